"""The application's own triggers that write a captured table: messages of one row stay in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.captures import Rig, lend_rig
from support.command_line import RunChangelane
from support.deployment import bring, declare, find_wrong

from changelane.runner.apply.plan import plan
from changelane.runner.compare.order_risk import find_risks
from changelane.runner.doctor.examine import examine
from changelane.runner.live.observe import observe

SPEC = """
version: 1
project: shop
queues: {{events: {{}}}}
routes:
  - {{name: rows, table: app.t, events: [insert, update, delete], queue: events{more}}}
"""
TABLE = "CREATE TABLE app.t (id int PRIMARY KEY, parent int, path text, n int NOT NULL DEFAULT 0)"
TOUCH = """
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF pg_trigger_depth() = 1 THEN
        IF tg_op = 'DELETE' THEN
            UPDATE app.t SET n = n + 1 WHERE id = old.parent AND n < 9;
        ELSIF tg_level = 'ROW' THEN
            UPDATE app.t SET path = coalesce(path, '') || '.' || new.id, n = n + 1
            WHERE id IN (new.id, new.parent) AND n < 9;
        ELSE
            UPDATE app.t SET n = n + 1 WHERE n < 4;
        END IF;
    END IF;
    RETURN NULL;
END $$
"""
ROW = (
    "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OR DELETE ON app.t"
    " FOR EACH ROW EXECUTE FUNCTION app.touch()"
)
FOREIGN = {
    "row": [ROW.format(name="aaa")],
    "capitals and digits": [ROW.format(name='"0A"')],
    "quoted": [ROW.format(name="\"'#\"")],
    "same mark": [ROW.format(name='"!"')],
    "blank": [ROW.format(name='" aaa"')],
    "control character": [ROW.format(name='"\x02"')],
    "statement": [ROW.format(name="aaa").replace("ROW", "STATEMENT")],
    "both": [ROW.format(name="aaa"), ROW.format(name="zzz").replace("ROW", "STATEMENT")],
    "constraint": [
        ROW.format(name="aaa").replace("TRIGGER", "CONSTRAINT TRIGGER", 1).replace(
            "FOR EACH", "DEFERRABLE INITIALLY DEFERRED FOR EACH"
        )
    ],
    "second table": [
        "CREATE TABLE app.other (id int)",
        "CREATE FUNCTION app.first() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO app.other VALUES (new.id); RETURN NULL; END $$",
        "CREATE FUNCTION app.second() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE app.t SET n = n + 1 WHERE id = new.id; RETURN NULL; END $$",
        "CREATE TRIGGER aaa AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.first()",
        "CREATE TRIGGER aaa AFTER INSERT ON app.other FOR EACH ROW EXECUTE FUNCTION app.second()",
    ],
    "foreign key": [
        "ALTER TABLE app.t ADD FOREIGN KEY (parent) REFERENCES app.t ON DELETE CASCADE ON UPDATE CASCADE"
    ],
}  # fmt: skip
CALLED = (
    "CREATE VIEW app.seen AS SELECT * FROM app.t",
    "CREATE TABLE app.ruled (id int)",
    "CREATE RULE elsewhere AS ON INSERT TO app.ruled DO INSTEAD UPDATE app.t SET n = 1",
    'CREATE TABLE app."Chained, too" (id int, parent int)',
    'CREATE TRIGGER x AFTER INSERT ON app."Chained, too" FOR EACH ROW EXECUTE FUNCTION app.touch()',
    "CREATE TABLE app.parents (id int PRIMARY KEY)",
    "ALTER TABLE app.t ADD FOREIGN KEY (parent) REFERENCES app.parents ON DELETE SET NULL",
    "CREATE TABLE app.notes (id int)",
    "CREATE FUNCTION app.renumber(int) RETURNS int LANGUAGE sql"
    " AS 'UPDATE app.t SET n = n + 1 WHERE id > $1 RETURNING n'",
    "CREATE PROCEDURE app.work() LANGUAGE plpgsql AS 'DECLARE n int := app.renumber(1); BEGIN END'",
    "CREATE FUNCTION app.\"Odd name\"() RETURNS void LANGUAGE sql AS 'SELECT app.renumber(1)'",
    "CREATE FUNCTION app.atomic() RETURNS void LANGUAGE sql BEGIN ATOMIC UPDATE app.t SET n = 1; END",
    "CREATE FUNCTION app.double(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'",
    "CREATE FUNCTION app.note(int) RETURNS void LANGUAGE sql AS 'INSERT INTO app.notes VALUES ($1)'",
)
WRITES = (
    "INSERT INTO app.t VALUES (1, NULL), (2, 1), (3, 1)",
    "INSERT INTO app.t VALUES (3, 2), (4, 3) ON CONFLICT (id) DO UPDATE SET parent = 2, n = 0",
    "UPDATE app.t SET n = 0 WHERE id > 2",
    "UPDATE app.t SET id = 40 WHERE id = 4",
    "WITH gone AS (DELETE FROM app.t WHERE id = 40 RETURNING parent)"
    " UPDATE app.t SET n = 7 FROM gone WHERE id = 1",
    "DELETE FROM app.t WHERE id = 1",
)


@pytest.fixture(scope="module")
def rig(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


def read_rows(rig: Rig) -> dict[int, Any]:
    return dict(rig.rows("SELECT id, to_jsonb(t) FROM app.t"))


def check_chains(rig: Rig, key: str = "id", known: dict[int, Any] | None = None) -> int:
    """Check that each message's old row is the previous message's new row; returns the number of messages."""
    last: dict[Any, Any] = dict(known or {})
    changes = rig.changes()
    for change in changes:
        was = last.pop(change.old[key], None) if change.old else None
        assert was == change.old, f"{change.op} says {change.old}, and before it the row was {was}"
        if change.new is not None:
            assert change.new[key] not in last
            last[change.new[key]] = change.new
    assert last == read_rows(rig)
    return len(changes)


@pytest.mark.parametrize("send", ["pgmq", "inline"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_messages_of_a_row_are_in_order_beside_triggers_of_others(rig: Rig, kind: str, send: str) -> None:
    rig.clear()
    rig.run(TABLE, TOUCH, *FOREIGN[kind])
    manifest = rig.capture({"send": send, "events": ["insert", "update", "delete"]})
    assert {capture.level for capture in manifest.captures} == {"row"}
    assert all("twice as much" in capture.reason for capture in manifest.captures)
    rig.run(*WRITES)
    assert check_chains(rig) > len(WRITES)


@pytest.mark.parametrize("kind", ["partitioned", "partition", "inherited"])
def test_the_trigger_of_one_partition_or_child_fires_after_the_capture(rig: Rig, kind: str) -> None:
    rig.clear()
    rig.run(TOUCH)
    if kind == "inherited":
        rig.run(TABLE, "CREATE TABLE app.child () INHERITS (app.t)")
    else:
        rig.run(TABLE + " PARTITION BY LIST (id)", "CREATE TABLE app.child PARTITION OF app.t DEFAULT")
    table = "app.child" if kind == "partition" else "app.t"
    owner = "app.t" if kind == "partition" else "app.child"
    rig.run(ROW.format(name='" a"').replace("app.t ", f"{owner} "))
    rig.capture({"events": ["insert", "update", "delete"], "table": table})
    rig.run("INSERT INTO app.child VALUES (1, NULL)", "UPDATE app.child SET n = 0")
    assert check_chains(rig) == 4


def test_without_triggers_that_write_capture_stays_by_statement(rig: Rig) -> None:
    rig.clear()
    rig.run(
        TABLE,
        "CREATE TABLE app.line (id int REFERENCES app.t ON DELETE CASCADE)",
        "CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$",
        "CREATE TRIGGER stamp BEFORE INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.stamp()",
        TOUCH,
        ROW.format(name="off"),
        "ALTER TABLE app.t DISABLE TRIGGER off",
    )
    manifest = rig.capture({})
    assert {capture.level for capture in manifest.captures} == {"statement"}
    assert {capture.trigger_name[0] for capture in manifest.captures} == {"!"}
    assert list(find_risks(manifest, observe(rig.conn, manifest))) == []
    # Its cascade may lead back now.
    rig.run("CREATE TRIGGER back AFTER DELETE ON app.line FOR EACH ROW EXECUTE FUNCTION app.touch()")
    assert {capture.level for capture in rig.capture({}).captures if capture.event != "truncate"} == {"row"}


def test_declared_statement_capture_is_kept_and_its_risk_named(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    conn.execute("CREATE SCHEMA app")
    conn.execute(TABLE.encode() + b";" + TOUCH.encode() + b";" + ROW.format(name="set_path").encode())
    declared = declare(conn, tmp_path, SPEC.format(more=", capture: statement"))
    assert {capture.level for capture in declared.manifest.captures} == {"statement"}
    planned = bring(conn, declared)
    (note,) = [note for note in planned.notes if "capture: statement" in note]
    assert "route rows" in note
    assert "app.t" in note
    assert "set_path" in note
    assert "older row" in note
    assert find_wrong(conn, declared) == []
    findings = [finding for finding in examine(conn, declared.manifest) if finding.code == "order-at-risk"]
    assert [("set_path" in finding.what, "app.t" in finding.what) for finding in findings] == [
        (True, True)
    ] * 2


@pytest.mark.parametrize(
    ("trigger", "body", "named"),
    [
        ("AFTER INSERT", "UPDATE app.t SET n = 1 WHERE id > new.id", True),
        ("AFTER INSERT", "EXECUTE 'SELECT 1'", True),
        ("AFTER INSERT", "PERFORM pg_notify('t', 'update t') /* update t */", False),
        ("AFTER INSERT", "INSERT INTO app.log VALUES (new.id)", False),
        ("AFTER INSERT", "INSERT INTO app.chained VALUES (new.id)", True),
        ("BEFORE INSERT", "UPDATE app.t SET n = 1 WHERE id < new.id", True),
        ("BEFORE INSERT", "IF tg_op = 'UPDATE' THEN new.n := 1; END IF", False),
        # Functions that the function calls count, too.
        ("AFTER INSERT", "PERFORM app.renumber(new.id)", True),
        ("AFTER INSERT", "new.n := app.renumber(new.id)", True),
        ("AFTER INSERT", "CALL app.work()", True),
        ("AFTER INSERT", 'PERFORM app."Odd name"()', True),
        ("AFTER INSERT", "PERFORM app.atomic()", True),
        ("AFTER INSERT", "PERFORM app.double(new.id), upper(new.path)", False),
        ("AFTER INSERT", "PERFORM app.note(new.id)", False),
        ("AFTER INSERT", "PERFORM pgmq.send('events', '{}')", False),
        # What writes a table under another name.
        ("AFTER INSERT", "UPDATE app.seen SET n = 1 WHERE id > new.id", True),
        ("AFTER INSERT", "INSERT INTO app.ruled VALUES (new.id)", True),
        ("AFTER INSERT", 'INSERT INTO app."Chained, too" VALUES (new.id)', True),
        ("AFTER INSERT", "DELETE FROM app.parents WHERE id = new.parent", True),
        # Quotes that hide no code.
        ("AFTER INSERT", "new.path := E'\\''; UPDATE app.t SET n = 1; new.path := 'x'", True),
        ("AFTER INSERT", """new."it's" := 1; UPDATE app.t SET n = 1; new.path := 'x'""", True),
        ("AFTER INSERT", "new.path := $q$'$q$; UPDATE app.t SET n = 1; new.path := 'x'", True),
    ],
)
def test_triggers_that_no_name_can_order_are_named(rig: Rig, trigger: str, body: str, named: bool) -> None:
    rig.clear()
    rig.run(
        TABLE,
        TOUCH,
        *CALLED,
        "CREATE TABLE app.log (id int)",
        "CREATE TABLE app.chained (id int, parent int)",
        "CREATE TRIGGER x AFTER INSERT ON app.chained FOR EACH ROW EXECUTE FUNCTION app.touch()",
        f"CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN new; END $$",
        f"CREATE TRIGGER theirs {trigger} ON app.t FOR EACH ROW EXECUTE FUNCTION app.f()",
    )
    manifest = rig.capture({})
    observed = observe(rig.conn, manifest)
    risks = [risk for risk in find_risks(manifest, observed) if "theirs on app.t" in risk.what]
    assert bool(risks) == named
    notes = plan(manifest, observed).notes
    assert bool([note for note in notes if "theirs on app.t" in note and "older row" in note]) == named


@pytest.mark.parametrize(
    "after",
    ["CREATE TRIGGER theirs AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.touch()",
     "ALTER TABLE app.t ENABLE TRIGGER off",
     "ALTER TABLE app.t ADD FOREIGN KEY (parent) REFERENCES app.t ON DELETE SET NULL"],
)  # fmt: skip
def test_a_trigger_that_came_after_inspect_is_seen(
    conn: psycopg.Connection[Any], tmp_path: Path, run_changelane: RunChangelane, after: str
) -> None:
    conn.execute("CREATE SCHEMA app")
    conn.execute(
        f"{TABLE}; {TOUCH}; {ROW.format(name='off')}; ALTER TABLE app.t DISABLE TRIGGER off".encode()
    )
    (tmp_path / "pipelines.yaml").write_text(SPEC.format(more=""))
    for command in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
        assert run_changelane(*command).returncode == 0
    conn.execute(after.encode())
    name = re.findall(r"theirs|off|t_parent_fkey", after + " t_parent_fkey")[0]
    verified = run_changelane("verify")
    assert verified.returncode == 2
    assert name in verified.stdout + verified.stderr
    for other in ("plan", "doctor"):
        result = run_changelane(other)
        assert name in result.stdout
        assert "changelane inspect" in result.stdout
    for command in (["inspect"], ["generate"], ["apply", "--yes"], ["verify"]):
        assert run_changelane(*command).returncode == 0
    conn.execute("INSERT INTO app.t VALUES (1)")
    assert conn.execute("SELECT message->>'op' FROM pgmq.q_events ORDER BY msg_id").fetchone() == ("insert",)


@pytest.mark.parametrize("theirs", ["", ROW.format(name="aaa")], ids=["statement", "row"])
def test_apply_brings_over_what_an_older_version_named(rig: Rig, theirs: str) -> None:
    """Triggers had the names of their functions, and were by statement beside others, too."""
    rig.clear()
    rig.run(TABLE, TOUCH)
    manifest = rig.capture({"capture": "statement"})
    for capture in manifest.captures:
        rig.run(f'ALTER TRIGGER "{capture.trigger_name}" ON app.t RENAME TO "{capture.name}"')
    if theirs:
        rig.run(theirs)
    new, _ = rig.generate({})
    with rig.session() as writer:
        planned = plan(new, observe(rig.conn, new))
        of_table = [step for step in planned.steps if step.table == ("app", "t") and step.kind == "trigger"]
        assert {step.transaction for step in of_table} == {"table app.t"}
        assert {step.action for step in of_table} == {"rename"}
        writer.execute("INSERT INTO app.t VALUES (2)")
        writer.commit()
        assert [change.op for change in rig.changes()] == (["update", "insert"] if theirs else ["insert"])
        known = read_rows(rig)
        rig.manifest = rig.capture({})
        writer.execute("INSERT INTO app.t VALUES (3), (4)")
        writer.commit()
    names = {row[0] for row in rig.rows("SELECT tgname FROM pg_trigger WHERE tgname ~ 'route0'")}
    assert names == {capture.trigger_name for capture in rig.manifest.captures}
    assert {name[0] for name in names} == {"!"}
    check_chains(rig, known=known)
