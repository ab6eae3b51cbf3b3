"""Values of every type are restored from messages, under any settings of the writer's session."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from support.captures import Rig, lend_rig
from support.every_type import CONTRIB, SETUP, TYPES

HOSTILE = {
    "DateStyle": "'SQL, DMY'",
    "TimeZone": "'Asia/Kathmandu'",
    "IntervalStyle": "'sql_standard'",
    "bytea_output": "'escape'",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "escape_string_warning": "on",
    "backslash_quote": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "row_security": "off",
    "quote_all_identifiers": "on",
    "plpgsql.extra_errors": "'all'",
    "plpgsql.variable_conflict": "'error'",
    "plan_cache_mode": "'force_custom_plan'",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_nestloop": "off",
    "enable_material": "off",
    "from_collapse_limit": "1",
    "join_collapse_limit": "1",
    "work_mem": "'64kB'",
    "xmloption": "'document'",
    "search_path": "evil, app, public, pg_catalog",
}
"""Settings that any session may change."""

EVIL = (
    "DROP SCHEMA IF EXISTS evil CASCADE",
    "CREATE SCHEMA evil",
    *(
        f"CREATE FUNCTION evil.{name}({types}) RETURNS {result} LANGUAGE plpgsql"
        f" AS $$ BEGIN RETURN {value}; END $$"
        for name, types, result, value in (
            ("to_jsonb", "anyelement", "jsonb", "'\"evil\"'::jsonb"),
            ("to_jsonb", "record", "jsonb", "'\"evil\"'::jsonb"),
            ("jsonb_build_object", "text, text", "jsonb", "'\"evil\"'::jsonb"),
            ("clock_timestamp", "", "timestamptz", "'2000-01-01'::timestamptz"),
            ("pg_current_xact_id", "", "text", "'evil'"),
            ("pg_column_size", "anyelement", "int", "0"),
            ("current_setting", "text, boolean", "text", "'evil'"),
            ("cardinality", "anyarray", "int", "0"),
            ("row_number", "", "bigint", "1"),
        )
    ),
    "CREATE FUNCTION evil.same(record, record) RETURNS boolean LANGUAGE plpgsql"
    " AS $$ BEGIN RETURN false; END $$",
    "CREATE OPERATOR evil.*<> (LEFTARG = record, RIGHTARG = record, FUNCTION = evil.same)",
    "CREATE TABLE evil.meta (queue_name text)",
)


@pytest.fixture(scope="module")
def shared(server: str, template: str) -> Iterator[Rig]:
    for rig in lend_rig(server, template):
        rig.run(*EVIL)
        yield rig


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.clear()
    return shared


EVENTS = ["insert", "update", "delete"]
ROUTES: list[dict[str, Any]] = [
    {"capture": "statement", "send": "pgmq"},
    {"capture": "row", "send": "inline"},
    {"capture": "statement", "send": "inline", "payload": {"columns": ["id", "v"], "old": "changed"}},
    {"capture": "row", "send": "pgmq", "payload": {"columns": ["id", "v"]}},
]
"""Whole rows and named columns, by statement and by row."""


def declare(rig: Rig, type: str, values: list[str]) -> None:
    """Table ``source`` of these values, and ``t`` of the same shape, captured."""
    rig.run(
        f"CREATE TABLE source (id int PRIMARY KEY, v {type})",
        *(f"INSERT INTO source SELECT {number}, ({value})::{type}" for number, value in enumerate(values)),
        f"INSERT INTO source VALUES ({len(values)}, NULL)",
        "CREATE TABLE t (LIKE source INCLUDING ALL)",
    )
    rig.capture(*({"queue": f"q{number}", "events": EVENTS, **route} for number, route in enumerate(ROUTES)))


def write(rig: Rig) -> None:
    """Write each row by its own statement, then all rows by one; then set values to null and back."""
    rig.run(
        "DO $$ BEGIN FOR i IN 0..(SELECT max(id) FROM app.source) LOOP"
        " INSERT INTO app.t SELECT * FROM app.source WHERE id = i; END LOOP; END $$",
        "DELETE FROM app.t",
        "INSERT INTO app.t SELECT * FROM app.source",
        "UPDATE app.t SET v = NULL",
        "UPDATE app.t SET v = s.v FROM app.source s WHERE s.id = t.id",
        "DELETE FROM app.t",
    )


def read(rig: Rig, queue: str) -> list[str]:
    return [
        text
        for (text,) in rig.rows(
            "SELECT (message - 'at' - 'txid' - 'id')::text FROM pgmq.q_" + queue + " ORDER BY 1"
        )
    ]


def check(rig: Rig, *, equal: str = "(restored) *= (source)") -> None:
    """Every row restored from a message equals the source's, also under other settings of the session."""
    write(rig)
    plain = {queue: read(rig, queue) for queue in (f"q{number}" for number in range(4))}
    for queue, texts in plain.items():
        assert texts, queue
        wrong = rig.rows(
            f"SELECT message FROM pgmq.q_{queue},"
            " LATERAL (VALUES (message -> 'new'), (message -> 'old')) AS side (row),"
            " LATERAL jsonb_populate_record(NULL::app.source, side.row) AS restored,"
            " LATERAL (SELECT * FROM app.source WHERE source.id = (side.row ->> 'id')::int) AS source"
            # An update from or to null has a null on one side.
            " WHERE jsonb_typeof(side.row) = 'object' AND restored.v::text IS NOT NULL"
            f" AND side.row ? 'id' AND NOT ({equal})"
        )
        assert wrong == [], queue
        restored = rig.value(
            f"SELECT count(*) FROM pgmq.q_{queue} WHERE message -> 'new' ->> 'v' IS NOT NULL"
        )
        assert restored == 3 * rig.value("SELECT count(*) FROM app.source WHERE v::text IS NOT NULL")
        assert rig.changes(queue)
    rig.run(*(f"SET {name} = {value}" for name, value in HOSTILE.items()))
    write(rig)
    rig.run("RESET ALL", "SET search_path = app, public")
    for queue, texts in plain.items():
        assert read(rig, queue) == texts, queue


@pytest.mark.parametrize("type", TYPES)
def test_a_value_comes_back_whatever_the_session_is_set_to(rig: Rig, type: str) -> None:
    rig.run(*SETUP)
    values = list(TYPES[type])
    if type == "interval" and rig.conn.info.server_version >= 170000:
        values += ["'infinity'", "'-infinity'"]
    if type == "xml" and "--with-libxml" not in rig.value(
        "SELECT setting FROM pg_config WHERE name = 'CONFIGURE'"
    ):
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            declare(rig, type, values)
        return
    declare(rig, type, values)
    check(rig, equal="restored.v::jsonb = source.v::jsonb" if type == "json" else "(restored) *= (source)")


@pytest.mark.parametrize("type", CONTRIB)
def test_a_value_of_a_contrib_type_comes_back(rig: Rig, type: str) -> None:
    values, extension = CONTRIB[type]
    rig.run(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
    declare(rig, type, values)
    check(rig)


def test_hstore_becomes_an_object(rig: Rig) -> None:
    rig.run("CREATE EXTENSION IF NOT EXISTS hstore SCHEMA public")
    declare(rig, "hstore", ["'a=>1, \"b c\"=>NULL'"])
    rig.run("INSERT INTO t SELECT * FROM source WHERE id = 0")
    (change,) = rig.changes("q0")
    assert change.new == {"id": 0, "v": {"a": "1", "b c": None}}


@pytest.mark.parametrize(
    ("type", "value", "restored"),
    [
        ("float8", "'-0'", "0"),
        ("float4", "'-0'", "0"),
        ("jsonb", "'null'", None),
        ("int[]", "'[2:3]={1,2}'", "{1,2}"),
        ("int2vector", "'1 2'", "{1,2}"),
        ("json", '\' {"b":1,  "a":1, "a":2}\'', '{"a": 2, "b": 1}'),
        ("point3", "ROW(NULL, NULL, NULL, NULL)", "(,,,)"),
    ],
)
def test_values_outside_json_are_lost_as_documented(
    rig: Rig, type: str, value: str, restored: str | None
) -> None:
    rig.run(*SETUP)
    declare(rig, type, [value])
    rig.run("INSERT INTO t SELECT * FROM source WHERE id = 0")
    for queue in ("q0", "q1", "q2", "q3"):
        if type == "int2vector":
            assert rig.value(f"SELECT message #> '{{new,v}}' FROM pgmq.q_{queue}") == [1, 2]
            continue
        found = rig.value(
            f"SELECT (jsonb_populate_record(NULL::app.t, message -> 'new')).v::text FROM pgmq.q_{queue}"
        )
        assert found == restored


def test_numbers_reach_python_exactly(rig: Rig) -> None:
    rig.run("CREATE TABLE t (a bigint, b numeric, c numeric, d float8, e real)")
    rig.capture({})
    rig.run(
        "INSERT INTO t VALUES (9223372036854775807, '123456789012345678901234567890.1234567890', '1.50',"
        " 0.1, 0.1), (NULL, ('-' || repeat('9', 131072))::numeric, 'NaN', 'Infinity', '1e-45')"
    )
    first, second = rig.changes()
    assert first.new == {
        "a": 9223372036854775807,
        "b": Decimal("123456789012345678901234567890.1234567890"),
        "c": Decimal("1.50"),
        "d": Decimal("0.1"),
        "e": Decimal("0.1"),
    }
    assert first.new is not None
    assert str(first.new["c"]) == "1.50"
    assert second.new is not None
    assert second.new["b"] == 1 - 10**131072
    assert (second.new["c"], second.new["d"], second.new["e"]) == ("NaN", "Infinity", Decimal("1e-45"))


def test_expressions_do_not_follow_the_session_either(rig: Rig) -> None:
    expressions = (
        "new.d::text", "new.d || ''", "'2020-05-04'::timestamptz", "to_char(new.at, 'HH24')", "new.at::date",
        "interval '1 day 2 hours'", "date_trunc('day', new.at)", "decode('00ff', 'hex')", "0.1::float8 + 0.2",
        "concat(new.d)", "make_interval(days => 3)", "date '2020-02-01'", "new.d > '03/04/2020'",
    )  # fmt: skip
    rig.run("CREATE TABLE t (id int, d date, at timestamptz)")
    ways = [{"capture": capture, "send": "inline"} for capture in ("statement", "row")]
    rig.capture(
        *({**way, "payload": {"extra": {"x": text}}} for way in ways for text in expressions),
        *({**way, "when": "new.d::text = '2020-03-05'"} for way in ways),
    )
    row = "INSERT INTO app.t VALUES (1, '2020-03-05', '2020-01-02T23:04:05Z')"
    rig.run(row)
    plain = [(message.get("extra"), headers) for message, headers in rig.messages()]
    assert len(plain) == 2 * len(expressions) + 2
    rig.run(*(f"SET {name} = {value}" for name, value in HOSTILE.items()))
    rig.run(row, "RESET ALL", "SET search_path = app, public")
    assert [(message.get("extra"), headers) for message, headers in rig.messages()] == plain


def test_hashes_do_not_follow_the_session_either(rig: Rig) -> None:
    rig.run("CREATE TABLE t (id int, at timestamptz, raw bytea, i interval, f float8)")
    rig.capture({"payload": {"mask": dict.fromkeys(("at", "raw", "i", "f"), "sha256")}})
    row = r"INSERT INTO t VALUES (1, '2020-01-02T03:04:05Z', '\x00ff', 'P1DT2H', 0.1)"
    rig.run(row)
    rig.run(*(f"SET {name} = {value}" for name, value in HOSTILE.items()))
    rig.run(row.replace(r"\x", r"\\x"), "RESET ALL", "SET search_path = app, public")
    first, second = rig.changes()
    assert first.new == second.new
