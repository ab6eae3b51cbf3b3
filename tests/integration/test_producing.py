"""``changelane.send`` and ``send_batch``: one statement in the caller's transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from pydantic import BaseModel, Field

import changelane
from changelane.encoding import encode
from changelane.runner.queue.delivery import decode_json
from changelane.runner.work.handlers.body import BodyType

Connection = psycopg.Connection[Any]
ODD = """it's "100%" %s {} \\ é 😀 \x1f"""


class Mood(Enum):
    CALM = "calm"


@dataclass
class Part:
    name: str
    price: Decimal


@dataclass
class Order:
    id: UUID
    parts: list[Part]
    mood: Mood
    at: dt.datetime
    wait: dt.timedelta


class Report(BaseModel):
    kind: str = Field(alias="type")
    day: dt.date
    order: Order | None = None


PARTS = [Part("lamp", Decimal("12.50")), Part(ODD, Decimal("0.12345678901234567890"))]
ORDER = Order(UUID(int=7), PARTS, Mood.CALM, dt.datetime(2026, 11, 22, tzinfo=dt.UTC), dt.timedelta(hours=3))


@pytest.fixture
def queue(conn: Connection) -> str:
    conn.execute("SELECT pgmq.create('mails')")
    return "mails"


def read(conn: Connection, queue: str = "mails") -> list[tuple[Any, ...]]:
    table = sql.Identifier("pgmq", f"q_{queue}")
    rows = conn.execute(
        sql.SQL("SELECT msg_id, message::text, headers FROM {} ORDER BY msg_id").format(table)
    ).fetchall()
    return [(msg_id, decode_json(message), headers) for msg_id, message, headers in rows]


def test_a_message_is_sent_with_the_transaction_or_not_at_all(
    conn: Connection, queue: str, database: str
) -> None:
    with psycopg.connect(database) as writer:
        changelane.send(writer, queue, {"n": 1})
        writer.rollback()
        assert changelane.send(writer, queue, {"n": 2}, headers={"source": ODD}) == 2
        assert changelane.send_batch(writer, queue, [[3], "4", None]) == [3, 4, 5]
        assert changelane.send_batch(writer, queue, []) == []
        assert read(conn) == []
    assert read(conn) == [(2, {"n": 2}, {"source": ODD}), (3, [3], {}), (4, "4", {}), (5, None, {})]


def test_it_is_one_statement(conn: Connection, queue: str) -> None:
    asked: list[Any] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, *arguments: Any, **options: Any) -> Any:
            asked.append(arguments)
            return super().execute(*arguments, **options)

    conn.cursor_factory = Counting
    changelane.send_batch(conn, queue, range(1000))
    assert len(asked) == 1


@pytest.mark.parametrize("kind", [psycopg.Cursor, psycopg.ClientCursor, psycopg.RawCursor])
def test_any_text_and_number_arrives_as_it_was(conn: Connection, queue: str, kind: Any) -> None:
    conn.cursor_factory = kind
    body = {"": ODD, "a.b": [2**200, Decimal("1.50"), Decimal("1E+30"), -0.1, True], "%(x)s": {"%s": ()}}
    changelane.send(conn, queue, body, headers={ODD: 2**70})
    ((_, found, headers),) = read(conn)
    assert found == {
        **body,
        "a.b": [2**200, Decimal("1.50"), Decimal("1E+30"), Decimal("-0.1"), True],
        "%(x)s": {"%s": []},
    }
    assert str(found["a.b"][1]) == "1.50"
    assert headers == {ODD: 2**70}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner)
    ),
)


@given(JSON)
def test_a_value_is_encoded_as_json_of_the_same_value(value: Any) -> None:
    def compare(made: Any, given: Any) -> bool:
        if isinstance(given, dict):
            return list(made) == list(given) and all(compare(made[key], given[key]) for key in given)
        if isinstance(given, list):
            return len(made) == len(given) and all(map(compare, made, given))
        return bool(made == (Decimal(repr(given)) if isinstance(given, float) else given))

    assert compare(decode_json(encode(value)), value)


def test_models_go_and_come_back(conn: Connection, queue: str) -> None:
    report = Report(type="nightly", day=dt.date(2026, 11, 22), order=ORDER)
    changelane.send_batch(conn, queue, [ORDER, report])
    made = [
        BodyType(kind)._adapter.validate_python(body)
        for kind, (_, body, _) in zip([Order, Report], read(conn), strict=True)
    ]
    assert made == [ORDER, report]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"a": ["x\0"]}, "text with NUL at a.0"),
        (float("nan"), "JSON has no nan"),
        (Decimal("-Infinity"), "JSON has no -Infinity"),
        (Decimal("1E+131072"), "no room for the number"),
        (Decimal("1E-16384"), "no room for the number"),
        ("\ud800", "not Unicode"),
        ({(1, 2): 3}, "a key of JSON is a text, not tuple"),
        ({"a": object()}, "JSON holds no object at a"),
    ],
)  # fmt: skip
def test_values_outside_jsonb_are_refused_before_they_end_the_transaction(
    conn: Connection, queue: str, body: Any, what: str
) -> None:
    with conn.transaction():
        with pytest.raises((ValueError, TypeError), match=what):
            changelane.send(conn, queue, body)
        changelane.send(conn, queue, "the next")
    assert [body for _, body, _ in read(conn)] == ["the next"]


def test_a_value_that_contains_itself_is_refused(conn: Connection, queue: str) -> None:
    body: list[Any] = []
    body.append(body)
    with pytest.raises(ValueError, match="nested too deep"):
        changelane.send(conn, queue, body)


@pytest.mark.parametrize("name", ["route", "changelane", "dead_letter"])
def test_reserved_headers_are_refused(conn: Connection, queue: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"header {name} is written by Changelane alone"):
        changelane.send(conn, queue, 1, headers={name: "x"})


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), dt.timedelta(days=9999)])
def test_a_delay_out_of_range_is_refused(conn: Connection, queue: str, delay: Any) -> None:
    with pytest.raises(ValueError, match="not a time within ten years"):
        changelane.send(conn, queue, 1, delay=delay)


def test_a_delayed_message_is_due_later(conn: Connection, queue: str) -> None:
    changelane.send(conn, queue, 1, delay=dt.timedelta(hours=2))
    changelane.send(conn, queue, 1, delay=59.9)
    found = conn.execute(
        "SELECT extract(epoch FROM vt - enqueued_at)::float FROM pgmq.q_mails ORDER BY msg_id"
    ).fetchall()
    assert [round(seconds) for (seconds,) in found] == [7200, 60]


@pytest.mark.parametrize(
    ("key", "group"),
    [
        ("a", "a"),
        (7, "7"),
        (ODD, ODD),
        ({"customer": 7, "id": "é"}, '{"id": "é", "customer": 7}'),
        ([Decimal("1E+3"), "x"], '[1000, "x"]'),
    ],
)
def test_the_key_is_the_group_that_capture_writes(conn: Connection, queue: str, key: Any, group: str) -> None:
    changelane.send(conn, queue, 1, key=key)
    assert read(conn)[0][2] == {"x-pgmq-group": group}


def make_sleeper(conn: Connection, queue: str) -> None:
    conn.execute("CREATE SCHEMA changelane")
    conn.execute("CREATE TABLE changelane.sleepers (queue text PRIMARY KEY, until timestamptz)")
    conn.execute("INSERT INTO changelane.sleepers VALUES (%s, now() + interval '1 hour')", [queue])


@pytest.mark.parametrize("name", ["mails", 'an "odd" %s name'])
def test_a_sleeping_worker_is_woken_by_the_commit(conn: Connection, database: str, name: str) -> None:
    conn.execute("SELECT pgmq.create(%s)", [name])
    make_sleeper(conn, name)
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(f"changelane_{name}")))
        with conn.transaction():
            changelane.send(conn, name, 1)
            assert list(listener.notifies(timeout=0.2)) == []
        assert len(list(listener.notifies(timeout=20, stop_after=1))) == 1
        conn.execute("UPDATE changelane.sleepers SET until = now()")
        changelane.send(conn, name, 1)
        assert list(listener.notifies(timeout=0.2)) == []


def test_a_role_that_may_not_use_the_schema_sends_all_the_same(conn: Connection, queue: str) -> None:
    make_sleeper(conn, queue)
    conn.execute("CREATE ROLE app; GRANT USAGE ON SCHEMA pgmq TO app")
    conn.execute(
        "GRANT INSERT, SELECT ON pgmq.q_mails TO app; GRANT USAGE ON ALL SEQUENCES IN SCHEMA pgmq TO app"
    )
    try:
        with conn.transaction():
            conn.execute("SET LOCAL ROLE app")
            assert changelane.send(conn, queue, 1) == 1
        conn.execute("GRANT USAGE ON SCHEMA changelane TO app")
        with conn.transaction():
            conn.execute("SET LOCAL ROLE app")
            assert changelane.send(conn, queue, 1) == 2
    finally:
        conn.execute("DROP OWNED BY app; DROP ROLE app")


def test_functions_on_the_sessions_path_are_never_called(conn: Connection, queue: str) -> None:
    make_sleeper(conn, queue)
    conn.execute("CREATE SCHEMA evil")
    conn.execute(
        "CREATE FUNCTION evil.format(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 1 / 0 $$"
    )
    conn.execute(
        "CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$"
    )
    conn.execute("CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = text, RIGHTARG = text)")
    conn.execute("CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql AS $$ SELECT 1 / 0 $$")
    with conn.transaction():
        conn.execute("SET LOCAL search_path = evil, pg_catalog, public")
        with pytest.raises(psycopg.errors.DivisionByZero), conn.transaction():
            conn.execute("SELECT 'a'::text = 'b'::text")
        assert changelane.send(conn, queue, 1) == 1
