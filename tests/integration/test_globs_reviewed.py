"""Tables that `except` leaves out of a glob, its columns, and tables that two routes send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.deployment import Declared, bring, declare, find_wrong
from support.globs import ATTACH, NAMED, SPEC, Connection, apply_glob, read, tell

from changelane.errors import SpecError
from changelane.generator.render.sql_out import generate
from changelane.generator.spec.loading import read_spec
from changelane.runner.live.inspect import inspect


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    return apply_glob(conn, tmp_path)


def problems(conn: Connection, folder: Path, spec: str) -> list[str]:
    """The problems of a spec, each with its line."""
    try:
        declare(conn, folder, spec)
    except SpecError as error:
        return [f"{problem.span.line}: {problem.summary}" for problem in error.diagnostics]
    return []


def warn(conn: Connection, folder: Path, spec: str) -> list[str]:
    path = folder / "pipelines.yaml"
    path.write_text(spec)
    return [problem.summary for problem in generate(read_spec(path), inspect(conn)).warnings]


def route(*lines: str) -> str:
    """The glob's route with further keys."""
    return SPEC.replace("    events:", "".join(f"    {line}\n" for line in lines) + "    events:")


@pytest.mark.parametrize(
    ("excepted", "left"),
    [
        ("app.a", {"b", "p"}),
        ("a", {"b", "p"}),
        ('"[ab]", b', {"a", "p"}),
        ('"app.?"', set()),
        ('"*.p"', {"a", "b"}),
        ("'app.\"a\"'", {"b", "p"}),
        ('"attic.*", a', {"b", "p"}),
    ],
)
def test_except_leaves_tables_out_of_globs(
    conn: Connection, declared: Declared, tmp_path: Path, excepted: str, left: set[str]
) -> None:
    if not left:
        conn.execute("CREATE TABLE app.more (id int PRIMARY KEY)")
        left = {"more"}
    fewer = declare(conn, tmp_path, route(f"except: [{excepted}]"))
    assert {capture.table for capture in fewer.manifest.captures} == left
    bring(conn, fewer, prune=True)
    assert find_wrong(conn, fewer) == []


def test_except_holds_for_tables_to_come_and_for_inheritance_children(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE attic.a_audit () INHERITS (app.a)")
    fewer = declare(conn, tmp_path, route('except: ["*_audit"]', "capture: row"))
    assert {capture.table for capture in fewer.manifest.captures} == {"a", "b", "p"}
    bring(conn, fewer)
    conn.execute("CREATE TABLE app.new_audit (id int)")
    assert find_wrong(conn, fewer) == []
    assert warn(conn, tmp_path, route('except: ["*_audit"]')) == []


def test_an_except_without_effect_is_a_warning_and_on_a_named_table_an_error(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    (warning,) = warn(conn, tmp_path, route("except: [app.c, b]"))
    assert warning == "app.c leaves out no table that the route's globs match"
    both = NAMED.replace("    events:", "    except: [a]\n    events:")
    assert problems(conn, tmp_path, both) == ["7: app.a is both named and left out by `except`"]
    assert problems(conn, tmp_path, route("except: []"))
    assert problems(conn, tmp_path, route("except: [app.b.c.d]"))


def test_columns_of_a_glob_are_those_of_some_table(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    conn.execute("ALTER TABLE app.b ADD COLUMN secret text; ALTER TABLE app.b ADD COLUMN mail text")
    chosen = declare(conn, tmp_path, route("payload: {exclude: [secret], mask: {mail: redact}}"))
    bring(conn, chosen)
    conn.execute("INSERT INTO app.a VALUES (1, 'x'); INSERT INTO app.b VALUES (2, 'x', 's', 'm')")
    sent = conn.execute("SELECT message->'new' FROM pgmq.q_events ORDER BY msg_id").fetchall()
    assert sent == [({"id": 1, "v": "x"},), ({"id": 2, "v": "x", "mail": "[redacted]"},)]
    read(conn)
    listed = declare(conn, tmp_path, route("payload: {columns: [id, mail]}"))
    bring(conn, listed)
    conn.execute("INSERT INTO app.a VALUES (3, 'x'); INSERT INTO app.b VALUES (4, 'x', 's', 'm')")
    sent = conn.execute("SELECT message->'new' FROM pgmq.q_events ORDER BY msg_id").fetchall()
    assert sent == [({"id": 3},), ({"id": 4, "mail": "m"},)]
    wrong = problems(conn, tmp_path, route("payload: {exclude: [secrat, v], mask: {nothing: redact}}"))
    assert wrong == [
        "8: no table of route all has a column secrat",
        "8: no table of route all has a column nothing",
    ]
    mixed = route("payload: {exclude: [secret]}").replace('["app.*"]', '["app.*", app.a]')
    assert problems(conn, tmp_path, mixed) == ["8: app.a has no column secret"]


@pytest.mark.parametrize(
    ("payload", "sends"),
    [
        ("{old: full}", True),
        ("{columns: reviewed}", False),
        ("{columns: reviewed, exclude: [v]}", False),
        ("{exclude: [v]}", False),
        ("{columns: [id, v]}", None),
    ],
)
def test_a_new_column_is_reported_until_it_is_reviewed(
    conn: Connection,
    declared: Declared,
    tmp_path: Path,
    run_changelane: Any,
    payload: str,
    sends: bool | None,
) -> None:
    spec = route(f"payload: {payload}")
    bring(conn, declare(conn, tmp_path, spec))
    conn.execute("ALTER TABLE app.a ADD COLUMN fresh text; INSERT INTO app.a VALUES (1, 'v', 'new')")
    ((message,),) = conn.execute("SELECT message->'new' FROM pgmq.q_events").fetchall()
    assert ("fresh" in message) == bool(sends)
    assert ("v" in message) == ("exclude" not in payload)
    verified = run_changelane("verify")
    assert verified.returncode == 0, verified.stdout
    does = "sends" if sends else "does not send"
    word = f"app.a has column fresh, which catalog.json has not: route all {does} it"
    for told in (verified.stdout, run_changelane("plan").stdout):
        assert (word in told) == (sends is not None)
    after = declare(conn, tmp_path, spec)
    bring(conn, after)
    assert "catalog.json has not" not in run_changelane("verify").stdout
    conn.execute("INSERT INTO app.a VALUES (2, 'v', 'new')")
    ((message,),) = conn.execute(
        "SELECT message->'new' FROM pgmq.q_events ORDER BY msg_id DESC LIMIT 1"
    ).fetchall()
    assert ("fresh" in message) == (sends is not None)


def test_a_named_table_that_becomes_a_partition_of_a_named_one_is_sent_once(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    both = SPEC.replace('["app.*"]', "[app.p, app.a]")
    before = declare(conn, tmp_path, both)
    bring(conn, before, prune=True)
    conn.execute(ATTACH)
    assert any("is sent twice" in detail for detail in tell(conn, before).values())
    (warning,) = warn(conn, tmp_path, both)
    assert warning.startswith("app.a is a partition of app.p, which the route captures, too")
    after = declare(conn, tmp_path, both)
    bring(conn, after)
    conn.execute("INSERT INTO app.a VALUES (11)")
    assert read(conn) == [("insert", "p", "11")]
    assert find_wrong(conn, after) == []


@pytest.mark.parametrize(
    ("keys", "doubled"),
    [
        ("table: app.b, events: [insert], queue: events", ["app.b"]),
        ("table: app.p1, events: [update], queue: events", ["app.p1"]),
        ('tables: ["app.?"], events: [insert], queues: [others, events]', ["app.a and of 2 more tables"]),
        ("table: app.b, events: [insert], queue: others", []),
        ("table: app.b, events: [truncate], queue: events", []),
        ("table: app.b, events: [insert], when: new.id > 1, queue: events", ["app.b"]),
    ],
)
def test_a_change_that_two_routes_send_to_one_queue_is_warned_of(
    conn: Connection, declared: Declared, tmp_path: Path, keys: str, doubled: list[str]
) -> None:
    spec = SPEC.replace("events: {}", "events: {}, others: {}") + f"  - {{name: more, {keys}}}\n"
    assert warn(conn, tmp_path, spec) == [
        f"routes all and more both send changes of {tables} to queue events" for tables in doubled
    ]
    conditional = spec.replace("    queue: events\n", "    when: new.id < 2\n    queue: events\n", 1)
    if "when" in keys:
        assert warn(conn, tmp_path, conditional) == [], "the conditions may exclude each other"
