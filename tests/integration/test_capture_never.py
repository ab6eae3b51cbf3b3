"""Capture never makes an application's write fail."""

from __future__ import annotations

import pytest
from support.captures import WAYS, Rig, name_way

from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)


def test_a_row_without_a_text_form_does_not_fail_the_write(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY, raw bytea, n int)")
    rig.capture({"key": ["raw", "id"]})
    # In hex that is 1.1 GB; stored, it is compressed.
    rig.run(
        "INSERT INTO t SELECT 1, string_agg(decode(repeat('00', 55000000), 'hex'), '')"
        " FROM generate_series(1, 10)",
        "DELETE FROM t",
    )
    assert [(message["truncated"], message["key"]) for message, _ in rig.messages()] == (
        [(True, {"raw": None, "id": 1})] * 2
    )


JSON = [
    "'\"\\u0000\"'",
    "'{\"a\\u0000b\": 1}'",
    "'\"\\ud800\"'",
    "'\"\\udc00\"'",
    "'\"\\ude00\\ud83d\"'",
    "'[1e131073]'",
    "'-1.5E+200000'",
    "'1e-20000'",
    "repeat('9', 140000)::json",
    "('0.' || repeat('9', 20000))::json",
]


@ways
def test_json_that_jsonb_refuses(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a json, b json[])")
    rig.capture(
        way,
        {**way, "queue": "named", "payload": {"columns": ["a"], "mask": {"a": "sha256"}}},
        {**way, "queue": "keyed", "key": ["a"]},
    )
    for number, value in enumerate(JSON):
        rig.run(f"INSERT INTO t VALUES ({number}, ({value})::json, ARRAY[({value})::json])")
    rig.run(
        "UPDATE t SET a = '{}'", "DELETE FROM t", "INSERT INTO t SELECT 1, NULL, ARRAY['\"\\u0000\"'::json]"
    )
    for queue in ("events", "keyed"):
        truncated = [message.get("truncated") for message, _ in rig.messages(queue)]
        # An update's old row is as the insert was.
        assert truncated == [True] * (3 * len(JSON) + 1)
    assert [message.get("truncated") for message, _ in rig.messages("named")] == (
        [True] * 2 * len(JSON) + [None] * (len(JSON) + 1)
    )


def test_json_that_jsonb_takes_is_sent(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a json)")
    rig.capture({})
    fine = [
        "{\"a\": \"\\ud83d\\ude00\"}", "\"\\\\u0000\"", "\"\\\\\\\\ud800\"", "\"9e1234567\"", "1e999",
        "[1.5e-30, 12345678901234567890]", "\"da39a3ee5e6b4b0d3255bfef95601890afd80709\"",
    ]  # fmt: skip
    for number, text in enumerate(fine):
        rig.conn.execute("INSERT INTO t VALUES (%s, %s::json)", [number, text])
    assert rig.value("SELECT count(*) FROM pgmq.q_events WHERE message ? 'truncated'") == 0
    assert rig.value(
        "SELECT bool_and(message #> '{new,a}' = a::jsonb) FROM pgmq.q_events"
        " JOIN app.t ON id = (message #>> '{new,id}')::int"
    )


CHANGES = [
    "DROP COLUMN a",
    "RENAME COLUMN a TO z",
    "ALTER COLUMN a TYPE numeric USING 1",
    "ALTER COLUMN a TYPE bytea USING '\\x00'",
    "DROP COLUMN a, DROP COLUMN m, DROP COLUMN c, DROP COLUMN i",
    "ALTER COLUMN m TYPE text",
    "ALTER COLUMN id TYPE text",
    "DROP COLUMN id",
]


@ways
@pytest.mark.parametrize("change", CHANGES)
def test_a_column_dropped_renamed_or_retyped_that_a_route_names(
    rig: Rig, way: dict[str, str], change: str
) -> None:
    rig.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TYPE pair AS (x int, y int)",
        "CREATE TABLE t (id int PRIMARY KEY, a text, m mood, c pair, i int, kept int)",
    )
    manifest = rig.capture(
        {
            **way,
            "update_of": ["a", "m", "kept"],
            "key": ["id", "a"],
            "payload": {"columns": ["id", "a", "m", "c"], "mask": {"a": "sha256"}, "old": "changed"},
        },
        {
            **way,
            "queue": "weighed",
            "when": "(new.c).x IS NULL AND old.m IS DISTINCT FROM 'sad' AND new.i IS DISTINCT FROM 5",
            "payload": {"extra": {"m": "new.m", "y": "(old.c).y"}},
        },
        {**way, "queue": "whole"},
    )
    rig.run(f"ALTER TABLE t {change}")
    if "DROP COLUMN m" in change or "m TYPE" in change:
        rig.run("DROP TYPE mood")
    rig.run(
        "INSERT INTO t (kept) VALUES (1), (2)"
        if "DROP COLUMN id" in change
        else "INSERT INTO t (id, kept) VALUES ('1', 1), ('2', 2)",
        "UPDATE t SET kept = kept + 1",
        "UPDATE t SET kept = 9 WHERE kept = 2",
        "DELETE FROM t WHERE kept = 9",
        "DELETE FROM t",
        "TRUNCATE t",
    )
    for queue in ("events", "weighed", "whole"):
        assert len(rig.changes(queue)) == 8
    differences = plan(manifest, observe(rig.conn, manifest)).differences
    # For columns that an expression names, the type matters, too.
    blocked = "DROP" in change or "RENAME" in change or "m TYPE" in change
    # A route without a `key` of its own follows the primary key.
    keyless = {"outdated"} if "DROP COLUMN id" in change else set()
    assert {thing.state for thing in differences} == ({"blocked"} if blocked else set()) | keyless


def test_a_table_and_its_types_that_move_to_another_schema(rig: Rig) -> None:
    rig.run("CREATE TYPE mood AS ENUM ('sad')", "CREATE TABLE t (id int PRIMARY KEY, m mood)")
    rig.capture({"when": "new.m = 'sad' OR op <> 'x'"})
    rig.run("DROP SCHEMA IF EXISTS app2 CASCADE", "CREATE SCHEMA app2")
    rig.run("ALTER TABLE t SET SCHEMA app2", "ALTER TYPE mood SET SCHEMA app2")
    rig.run("INSERT INTO app2.t VALUES (1, 'sad')", "DELETE FROM app2.t")
    assert [change.table for change in rig.changes()] == ["t", "t"]
    rig.run("DROP SCHEMA app2 CASCADE")


RENAMES = [
    ("ALTER TYPE pair RENAME TO couple",),
    ("ALTER DOMAIN email RENAME TO address",),
    ("ALTER SCHEMA app RENAME TO app2",),
    ("ALTER EXTENSION citext SET SCHEMA app",),
    ("ALTER TABLE t DROP COLUMN e, DROP COLUMN es", "DROP DOMAIN email"),
    ("ALTER TABLE t DROP COLUMN n", "DROP DOMAIN amount"),
    ("ALTER TABLE t DROP COLUMN g", "DROP EXTENSION citext"),
    ("ALTER TABLE t DROP COLUMN m",),
]


@ways
@pytest.mark.parametrize("changes", RENAMES, ids=lambda changes: changes[0][:24])
def test_a_type_renamed_moved_or_dropped_that_an_expression_needs(
    rig: Rig, way: dict[str, str], changes: tuple[str, ...]
) -> None:
    rig.run(
        "DROP SCHEMA IF EXISTS app2 CASCADE",
        "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public",
        "CREATE TYPE pair AS (x int, y int)",
        "CREATE DOMAIN email AS text",
        "CREATE DOMAIN amount AS int",
        "CREATE TYPE mood AS ENUM ('sad')",
        "CREATE TABLE t"
        " (id int PRIMARY KEY, c pair, e email, es email[], n amount, g citext, m mood, kept int)",
    )
    when = "(new.c).x IS NULL AND new.e IS DISTINCT FROM 'x' AND new.n + 1 IS NULL AND new.g = 'X' IS NULL"
    extra = {"e": "coalesce(old.e, new.e)", "es": "new.es[1]", "g": "old.g = 'X'", "n": "old.n > 5"}
    if changes[0] != RENAMES[2][0]:
        # Objects that expressions name must exist.
        extra["m"] = "new.m = 'sad'::app.mood"
    rig.capture(
        {**way, "events": ["insert", "update", "delete"], "when": when, "payload": {"extra": extra}},
        {**way, "events": ["truncate"], "when": "old.e IS NULL", "payload": {"extra": extra}},
    )
    with rig.session(autocommit=True) as session:
        session.execute("INSERT INTO t (id, kept) VALUES (1, 1)")
        rig.run(*changes)
        schema = "app2" if "RENAME TO app2" in changes[0] else "app"
        session.execute(f"SET search_path = {schema}, public".encode())
        for statement in (
            "INSERT INTO t (id, kept) VALUES (2, 1), (3, 1)",
            "UPDATE t SET kept = 2 WHERE id = 1",
            "UPDATE t SET kept = 3",
            "DELETE FROM t WHERE id = 1",
            "DELETE FROM t",
            "TRUNCATE t",
        ):
            session.execute(statement.encode())
    assert len(rig.changes()) == 1 + 2 + 1 + 3 + 1 + 2 + 1


DOMAINS = [
    "RENAME COLUMN n TO z",
    "DROP COLUMN n, DROP COLUMN tags, DROP COLUMN home",
    "ALTER COLUMN n TYPE bigint",
]


@ways
@pytest.mark.parametrize("change", [None, *DOMAINS])
def test_nulls_of_domains_that_forbid_null(rig: Rig, way: dict[str, str], change: str | None) -> None:
    rig.run(
        "CREATE DOMAIN amount AS int NOT NULL",
        "CREATE DOMAIN price AS amount CHECK (value > 0)",
        "CREATE DOMAIN tags AS text[] CHECK (value IS NOT NULL)",
        "CREATE TYPE pair AS (x amount, y text)",
        "CREATE DOMAIN home AS pair CHECK ((value).x IS NOT NULL)",
        "CREATE FUNCTION steep(value amount) RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN value > 5; END $$",
        "CREATE TABLE t (id int PRIMARY KEY, n amount, p price, tags tags, home home, kept int)",
    )
    extra = {"n": "new.n", "p": "coalesce(old.p, new.p)", "tag": "old.tags[1]", "x": "(new.home).x",
             "steep": "app.steep(new.n)", "was": "app.steep(old.n)"}  # fmt: skip
    if change and "bigint" in change:
        extra = {name: text for name, text in extra.items() if "steep" not in text}
    when = "new.n IS NULL OR new.n > 0 OR old.p > 0"
    rig.capture({**way, "when": when, "payload": {"extra": extra}})
    with rig.session(autocommit=True) as session:
        session.execute("INSERT INTO t VALUES (1, 7, 8, '{a}', '(1,b)', 1)")
        if change:
            rig.run(f"ALTER TABLE t {change}")
        for statement in (
            "INSERT INTO t SELECT * FROM t WHERE false",
            "UPDATE t SET kept = 2",
            "UPDATE t SET kept = 3 WHERE id = 1",
            "DELETE FROM t",
            "TRUNCATE t",
        ):
            session.execute(statement.encode())
    sent = rig.changes()
    assert [change.op for change in sent] == ["insert", "update", "update", "delete", "truncate"]
    assert sent[0].extra["n"] == 7


def test_statements_on_no_rows_send_nothing(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY)")
    rig.capture(*WAYS, *({**way, "queues": ["one", "two"], "when": "new.id > 0"} for way in WAYS))
    rig.run(
        "INSERT INTO t SELECT 1 WHERE false", "UPDATE t SET id = 1", "DELETE FROM t",
        "INSERT INTO t VALUES (-1)", "TRUNCATE pgmq.q_events", "UPDATE t SET id = id",
        "INSERT INTO t VALUES (-2), (-3)",
    )  # fmt: skip
    assert (rig.changes("one"), rig.changes("two")) == ([], [])
