"""Captures on every kind of table."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest
from support.captures import WAYS, Rig, name_way, sort

from changelane.errors import SpecError
from changelane.runner.apply.plan import plan
from changelane.runner.live.observe import observe

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)


@ways
def test_a_table_without_a_key(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE TABLE t (a int, b text)", "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (NULL, NULL)")
    rig.capture(way)
    rig.run("UPDATE t SET a = 2 WHERE a = 1", "DELETE FROM t WHERE a IS NULL")
    changes = rig.changes()
    assert [change.key for change in changes] == [None] * 3
    assert [change.old for change in changes] == [{"a": 1, "b": "x"}] * 2 + [{"a": None, "b": None}]


@ways
def test_a_composite_key_with_an_identity(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE TABLE t (b int GENERATED ALWAYS AS IDENTITY, a text, c int, PRIMARY KEY (a, b))")
    rig.capture(way)
    rig.run("INSERT INTO t (a) VALUES ('x'), ('y')", "UPDATE t SET c = 1 WHERE b = 2")
    changes = rig.changes()
    assert [change.key for change in changes] == [{"a": "x", "b": 1}, {"a": "y", "b": 2}, {"a": "y", "b": 2}]


@ways
def test_stored_generated_columns_are_sent(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE TABLE t (twice int GENERATED ALWAYS AS (id * 2) STORED, id int PRIMARY KEY)")
    rig.capture(way)
    rig.run("INSERT INTO t VALUES (DEFAULT, 1), (DEFAULT, 2)", "UPDATE t SET id = 5 WHERE id = 1")
    assert rig.sent() == [
        ("insert", None, (2, 1)),
        ("insert", None, (4, 2)),
        ("update", (2, 1), (10, 5)),
    ]


@ways
def test_virtual_generated_columns_are_left_out_with_a_warning(rig: Rig, way: dict[str, str]) -> None:
    if rig.conn.info.server_version < 180000:
        with pytest.raises(Exception, match="syntax error"):
            rig.run("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL)")
        return
    rig.run("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL, a int)")
    rig.capture(way)
    assert "virtual" in rig.warnings[0].summary
    rig.run("INSERT INTO t (id) VALUES (1)", "UPDATE t SET a = 1", "UPDATE t SET a = 1")
    changes = rig.changes()
    assert [change.new for change in changes] == [{"id": 1, "a": None}, {"id": 1, "a": 1}]


PARTITIONS = {
    "list": (
        "CREATE TABLE t (id int, part int, a text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
        "CREATE TABLE p1 PARTITION OF t FOR VALUES IN (1)",
        # Its columns stand in another order, and one was dropped.
        "CREATE TABLE p2 (a text, gone int, part int NOT NULL, id int NOT NULL)",
        "ALTER TABLE p2 DROP COLUMN gone",
        "ALTER TABLE t ATTACH PARTITION p2 FOR VALUES IN (2)",
    ),
    "range": (
        "CREATE TABLE t (id int, part int, a text, PRIMARY KEY (id, part)) PARTITION BY RANGE (part)",
        "CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (2)",
        "CREATE TABLE p2 PARTITION OF t DEFAULT",
    ),
    "hash": (
        "CREATE TABLE t (id int, part int, a text, PRIMARY KEY (id, part)) PARTITION BY HASH (part)",
        "CREATE TABLE p1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE p2 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ),
    "nested": (
        "CREATE TABLE t (id int, part int, a text, PRIMARY KEY (id, part)) PARTITION BY LIST (part)",
        "CREATE TABLE p1 PARTITION OF t FOR VALUES IN (1)",
        "CREATE TABLE p2 PARTITION OF t FOR VALUES IN (2) PARTITION BY RANGE (id)",
        "CREATE TABLE p2a PARTITION OF p2 FOR VALUES FROM (0) TO (100)",
        "CREATE TABLE p2b PARTITION OF p2 DEFAULT",
    ),
}


@pytest.mark.parametrize("send", ["pgmq", "inline"])
@pytest.mark.parametrize("kind", PARTITIONS)
def test_partitions_written_through_the_parent_and_directly(rig: Rig, kind: str, send: str) -> None:
    rig.run(*PARTITIONS[kind])
    manifest = rig.capture({"send": send})
    assert {capture.level for capture in manifest.captures if capture.event != "truncate"} == {"row"}
    assert all("partition" in capture.reason for capture in manifest.captures if capture.event != "truncate")
    rig.run("INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two'), (3, 1, NULL)")
    assert rig.sent() == [
        ("insert", None, (1, 1, "one")),
        ("insert", None, (2, 2, "two")),
        ("insert", None, (3, 1, None)),
    ]
    (where,) = {name for (name,) in rig.rows("SELECT tableoid::regclass::text FROM t WHERE id = 2")}
    rig.run(f"UPDATE {where} SET a = 'new' WHERE id = 2", f"DELETE FROM {where} WHERE id = 2")
    first, second = rig.changes()
    assert (first.table, first.key, first.new) == (
        "t",
        {"id": 2, "part": 2},
        {"id": 2, "part": 2, "a": "new"},
    )
    assert (second.op, second.table) == ("delete", "t")
    rig.run("TRUNCATE t")
    assert [change.op for change in rig.changes()] == ["truncate"]


def test_a_row_moved_between_partitions_is_a_delete_and_an_insert(rig: Rig) -> None:
    rig.run(*PARTITIONS["list"], "INSERT INTO t VALUES (1, 1, 'one')")
    rig.capture({})
    rig.run("UPDATE t SET part = 2")
    assert rig.sent() == [("delete", (1, 1, "one"), None), ("insert", None, (1, 2, "one"))]


def test_partitions_attached_and_detached_later(rig: Rig) -> None:
    rig.run(*PARTITIONS["list"])
    rig.capture({})
    rig.run(
        "CREATE TABLE p3 (a text, part int NOT NULL, id int NOT NULL)",
        "INSERT INTO p3 VALUES ('before', 3, 3)",
        "ALTER TABLE t ATTACH PARTITION p3 FOR VALUES IN (3)",
        "INSERT INTO p3 VALUES ('attached', 3, 4)",
        "INSERT INTO t VALUES (5, 3, 'through the parent')",
        "ALTER TABLE t DETACH PARTITION p3",
        "INSERT INTO p3 VALUES ('detached', 3, 6)",
    )
    assert rig.sent() == [
        ("insert", None, (4, 3, "attached")),
        ("insert", None, (5, 3, "through the parent")),
    ]


def test_a_partition_that_a_route_names(rig: Rig) -> None:
    rig.run(*PARTITIONS["list"])
    rig.capture({"table": "app.p2", "events": ["insert"]})
    rig.run("INSERT INTO t VALUES (1, 1, 'no'), (2, 2, 'yes')")
    (change,) = rig.changes()
    assert (change.table, change.new) == ("p2", {"id": 2, "part": 2, "a": "yes"})


def test_globs_pass_over_partitions(rig: Rig) -> None:
    rig.run(*PARTITIONS["nested"], "CREATE TABLE other (id int)")
    manifest = rig.capture({"tables": ["app.*"], "events": ["insert"]})
    assert [capture.table for capture in manifest.captures] == ["other", "t"]


@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_inheritance_children_written_through_the_parent_and_directly(rig: Rig, send: str) -> None:
    rig.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "CREATE TABLE child (more int, CHECK (id > 0)) INHERITS (t)",
        "CREATE TABLE grandchild () INHERITS (child)",
    )
    manifest = rig.capture({"send": send})
    truncates = [capture.table for capture in manifest.captures if capture.event == "truncate"]
    assert truncates == ["t"]
    rig.run(
        "INSERT INTO t VALUES (1, 'parent')",
        "INSERT INTO child VALUES (2, 'child', 7)",
        "INSERT INTO grandchild VALUES (3, 'grandchild', 8)",
        "UPDATE t SET a = a || '!'",
        "DELETE FROM ONLY t",
        "DELETE FROM t",
    )
    changes = rig.changes()
    assert {change.table for change in changes} == {"t"}
    assert Counter(change.op for change in changes) == {"insert": 3, "update": 3, "delete": 3}
    assert changes[2].new == {"id": 3, "a": "grandchild", "more": 8}
    assert {change.key["id"] for change in changes if change.key} == {1, 2, 3}


def test_a_child_that_has_a_route_of_its_own_is_sent_once_for_each_route_that_names_it(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE child () INHERITS (t)")
    rig.capture({"tables": ["app.t", "app.child"], "events": ["insert"]})
    rig.run("INSERT INTO child VALUES (1)")
    (change,) = rig.changes()
    assert change.table == "child"


@ways
def test_an_unlogged_table_is_captured(rig: Rig, way: dict[str, str]) -> None:
    rig.run("CREATE UNLOGGED TABLE t (id int PRIMARY KEY)")
    rig.capture(way)
    rig.run("INSERT INTO t VALUES (1)")
    assert rig.sent() == [("insert", None, (1,))]


LONG = "näme_" + "x" * 57
NAMES = [
    ('"Order"', '"User"', '"Select"'),
    ('"select"', '"table"', '"primary"'),
    ('"a.b"', '"c.d"', '"e\'f"'),
    ('"quo""te"', '"back\\slash"', '"$changelane$"'),
    (f'"{LONG}"', f'"{LONG[::-1]}"', '"日本語"'),
    ('" blank "', '"new"', '"old"'),
    ('"message"', '"many"', '"captured_at"'),
    ('"old_row"', '"new_row"', '"source"'),
    ('"made"', '"present"', '"absent"'),
    ('"op"', '"txid"', '"bytes"'),
    ('"messages"', '"was"', '"become"'),
    ('"two\nlines"', '"it\'s\n\n  three"', '"-- no\ncomment"'),
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[0].strip('"')[:10])
def test_names_of_every_sort(rig: Rig, names: tuple[str, str, str]) -> None:
    table, key, other = names
    rig.run(
        f"CREATE TABLE {table} ({key} int PRIMARY KEY, {other} text, plain int)",
        # pgmq's own functions do not compile under what follows.
        "SELECT pgmq.format_table_name('x', 'q')",
        # Text in a body is read as the writer's session reads it.
        "SET standard_conforming_strings = off",
    )
    key_name, other_name = (part[1:-1].replace('""', '"') for part in (key, other))
    payload = {"columns": [key_name, other_name], "mask": {other_name: "sha256"}, "old": "changed"}
    shape = {"table": f"app.{table}", "update_of": [other_name, "plain"], "key": [key_name, other_name]}
    for way in WAYS:
        rig.capture({**way, **shape, "payload": payload}, {**way, "table": f"app.{table}", "queue": "whole"})
        rig.run(
            f"INSERT INTO {table} VALUES (1, 'x'), (2, 'y')",
            f"INSERT INTO {table} VALUES (3, 'z')",
            f"UPDATE {table} SET {other} = 'new' WHERE {key} = 1",
            f"UPDATE {table} SET {other} = 'all', {key} = {key} + 10",
            f"DELETE FROM {table} WHERE {key} = 11",
            f"DELETE FROM {table}",
        )
        changes = rig.changes()
        assert len(changes) == 10
        assert {change.table for change in changes} == {table[1:-1].replace('""', '"')}
        assert changes[0].new is not None
        assert list(changes[0].new) == sorted(
            [key_name, other_name], key=lambda name: (len(name.encode()), name.encode())
        )
        whole = rig.changes("whole")
        assert [change.op for change in whole] == [change.op for change in changes]
        assert whole[0].new == {key_name: 1, other_name: "x", "plain": None}
        assert whole[3].old == {key_name: 1, other_name: "x", "plain": None}
    rig.run("SET standard_conforming_strings = on")


@pytest.mark.parametrize("capture", ["statement", "row"])
def test_inline_works_in_a_session_in_which_pgmq_does_not_compile(rig: Rig, capture: str) -> None:
    rig.run(r'CREATE TABLE t ("a\b" int PRIMARY KEY)')
    rig.capture({"capture": capture, "send": "inline"}, {"queue": "other", "events": ["delete"]})
    with rig.session(autocommit=True) as session:
        session.execute("SET standard_conforming_strings = off")
        session.execute("INSERT INTO t VALUES (1), (2)")
        session.execute("INSERT INTO t VALUES (3)")
        with pytest.raises(psycopg.errors.SyntaxError, match="unterminated quoted string"):
            session.execute("DELETE FROM t")
    assert [change.new for change in rig.changes()] == [{"a\\b": 1}, {"a\\b": 2}, {"a\\b": 3}]


def test_tables_of_one_name_in_several_schemas(rig: Rig) -> None:
    rig.run("DROP SCHEMA IF EXISTS app2 CASCADE", "CREATE SCHEMA app2")
    rig.run("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE app2.t (id int PRIMARY KEY, a text)")
    manifest = rig.capture({"tables": ["app.t", "app2.t"], "events": ["insert"]})
    assert len({capture.name for capture in manifest.captures}) == 2
    rig.run("INSERT INTO t VALUES (1)", "INSERT INTO app2.t VALUES (2, 'x')")
    assert [(change.schema, change.new) for change in rig.changes()] == [
        ("app", {"id": 1}),
        ("app2", {"id": 2, "a": "x"}),
    ]
    rig.run("DROP SCHEMA app2 CASCADE")


@ways
def test_a_table_of_1600_columns_is_captured(rig: Rig, way: dict[str, str]) -> None:
    names = [f"c{number}" for number in range(1600)]
    rig.run(f"CREATE TABLE t ({', '.join(f'{name} int' for name in names)}, PRIMARY KEY (c0))")
    rig.capture(
        way,
        {**way, "queue": "named", "payload": {"columns": names, "old": "changed"}, "update_of": names},
        {**way, "queue": "masked", "payload": {"mask": dict.fromkeys(names[1:], "sha256")}},
    )
    rig.run(
        "INSERT INTO t SELECT n, n FROM generate_series(1, 3) AS n",
        "UPDATE t SET c1599 = 7",
        "UPDATE t SET c1 = 9 WHERE c0 = 2",
        "DELETE FROM t",
    )
    for queue in ("events", "named", "masked"):
        changes = rig.changes(queue)
        assert len(changes) == 10
        assert changes[0].new is not None
        assert len(changes[0].new) == 1600
    with pytest.raises(Exception, match="1600 columns"):
        rig.run("ALTER TABLE t ADD COLUMN one_more int")


def test_columns_added_dropped_and_added_again(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    rig.capture(*({**way, "queue": f"q{number}"} for number, way in enumerate(WAYS)))
    rig.run(
        "INSERT INTO t VALUES (1, 'x')",
        "ALTER TABLE t ADD COLUMN b int DEFAULT 5",
        "UPDATE t SET a = 'y'",
        "ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (2, 6)",
        "ALTER TABLE t ADD COLUMN a int",
        "UPDATE t SET a = id",
        "ALTER TABLE t RENAME COLUMN a TO z",
        "ALTER TABLE t ALTER COLUMN z TYPE text",
        "DELETE FROM t",
    )
    for number in range(4):
        assert sort([(change.op, change.old, change.new) for change in rig.changes(f"q{number}")]) == sort(
            [
                ("insert", None, {"id": 1, "a": "x"}),
                ("update", {"id": 1, "a": "x", "b": 5}, {"id": 1, "a": "y", "b": 5}),
                ("insert", None, {"id": 2, "b": 6}),
                ("update", {"id": 1, "b": 5, "a": None}, {"id": 1, "b": 5, "a": 1}),
                ("update", {"id": 2, "b": 6, "a": None}, {"id": 2, "b": 6, "a": 2}),
                ("delete", {"id": 1, "b": 5, "z": "1"}, None),
                ("delete", {"id": 2, "b": 6, "z": "2"}, None),
            ]
        )


@pytest.mark.parametrize(
    ("create", "table", "reason"),
    [
        ("CREATE VIEW v AS SELECT 1 AS id", "app.v", "a view holds no rows of its own"),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS id", "app.m", "a refresh fires no trigger"),
        ("CREATE TEMPORARY TABLE gone (id int)", "pg_temp.gone", "a temporary table"),
        ("SELECT", "pg_catalog.pg_class", "a system table"),
        ("SELECT", "information_schema.sql_features", "a system table"),
        ("SELECT", "pg_toast.pg_toast_1255", "a system table"),
        ("SELECT", "pgmq.meta", "a system table"),
        ("CREATE SEQUENCE s", "app.s", "not in the catalog"),
        ("CREATE TABLE t (id int); CREATE INDEX i ON t (id)", "app.i", "not in the catalog"),
        ("CREATE TABLE t (id int, changelane_row int)", "app.t", "capture itself needs"),
    ],
)
def test_tables_that_cannot_be_captured_are_refused_with_the_reason(
    rig: Rig, create: str, table: str, reason: str
) -> None:
    rig.run(create)
    with pytest.raises(SpecError) as refused:
        rig.generate({"table": table})
    (problem,) = refused.value.diagnostics
    assert reason in problem.summary
    rig.run("DISCARD TEMPORARY", "SET search_path = app, public")


def test_a_foreign_table_is_refused_with_the_reason(rig: Rig) -> None:
    rig.run(
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE far (id int) SERVER elsewhere",
    )
    with pytest.raises(SpecError) as refused:
        rig.generate({"table": "app.far"})
    assert "a foreign table and cannot be captured: its rows change on another server" in (
        refused.value.diagnostics[0].summary
    )
    # A relation that has replaced a table since is told as well.
    rig.run("CREATE TABLE t (id int)")
    manifest, _ = rig.generate({"capture": "row"})
    rig.run("DROP TABLE t", "CREATE FOREIGN TABLE t (id int) SERVER elsewhere")
    differences = plan(manifest, observe(rig.conn, manifest)).differences
    assert any("foreign table now" in (thing.detail or "") for thing in differences)
    rig.run("DROP FOREIGN DATA WRAPPER nothing CASCADE")


def test_globs_pass_over_what_cannot_be_captured(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int)", "CREATE VIEW v AS SELECT * FROM t")
    manifest, _ = rig.generate({"tables": ["app.*"], "events": ["insert"]})
    assert [capture.table for capture in manifest.captures] == ["t"]
