"""What the dashboard sends: archived messages again, and one row of a table by its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.dashboard import Panel, open_panel
from support.deployment import bring, declare

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {archive: {keep: 30 days}}
routes:
  - name: paid
    table: public.orders
    events: [insert]
    when: new.status = 'paid'
    payload: {columns: [id, part, email], mask: {email: redact}}
    queue: events
    delay: 30s
consumers:
  events:
    handler: "handlers:handle"
    fair: {by: new.part, concurrency: 2, rate: 5/s}
    limit: {concurrency: 8}
"""
EVIL = "'); DROP TABLE orders; --<b>"


@pytest.fixture
def panel(conn: Connection, database: str, tmp_path: Path) -> Iterator[Panel]:
    conn.execute("CREATE TABLE orders (id int, part text, status text, email text, PRIMARY KEY (id, part))")
    bring(conn, declare(conn, tmp_path, SPEC))
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "events_dlq" in page.words)
        yield panel


def read(conn: Connection, query: str) -> list[tuple[Any, ...]]:
    return conn.execute(query.encode()).fetchall()


def archive(conn: Connection, count: int) -> None:
    conn.execute(
        "SELECT pgmq.archive('events', sent) FROM generate_series(1, %s) AS n, "
        "pgmq.send('events', jsonb_build_object('n', n), %s::jsonb) AS sent",
        [count, '{"changelane": {"attempts": 3}, "a": 1}'],
    )


def test_archived_messages_that_were_ticked_are_sent_again_and_no_others(
    panel: Panel, conn: Connection
) -> None:
    archive(conn, 3)
    # A role with the right to archive can insert a copy of a message that stays in the queue.
    conn.execute("SELECT pgmq.send('events', '{\"n\": 4}')")
    conn.execute(
        "INSERT INTO pgmq.a_events (msg_id, read_ct, enqueued_at, vt, message, headers) "
        "SELECT msg_id, read_ct, enqueued_at, vt, message, headers FROM pgmq.q_events"
    )
    page = panel.open("/queues/events?state=archived")
    assert "Send again" in page.words
    asked = panel.post("/queues/events/messages/replay", on=page.url, id=["1:0", "3:0", "4:0", "2:7"])
    assert "Send 4 messages of events again?" in asked.words
    archive(conn, 1)
    assert "2 messages sent again; 2 messages gone or delivered since" in panel.confirm(asked).words
    assert read(conn, "SELECT message ->> 'n', headers FROM pgmq.q_events WHERE msg_id > 5 ORDER BY 1") == [
        ("1", {"a": 1, "replayed_from": 1}),
        ("3", {"a": 1, "replayed_from": 3}),
    ]
    assert read(conn, "SELECT count(*) FROM pgmq.a_events") == [(5,)]


def test_all_archived_messages_that_match_are_counted_first(panel: Panel, conn: Connection) -> None:
    archive(conn, 120)
    page = panel.post("/queues/events/matching/replay", on="/queues/events", state="archived", text='"n": 1')
    page = panel.wait(page.url, lambda page: "match" in page.words and "Cancel" in page.words)
    assert "32 messages of events match" in page.words
    archive(conn, 1)
    done = panel.confirm(page)
    panel.wait(done.url, lambda page: "32 messages sent again" in page.words)
    assert read(conn, "SELECT count(*) FROM pgmq.q_events") == [(32,)]
    refused = panel.post("/queues/events/matching/delete", on="/queues/events", state="archived")
    assert refused.status == 400
    assert panel.post("/queues/events/matching/replay", on="/queues/events").status == 400


def test_a_message_is_found_by_its_id(panel: Panel, conn: Connection) -> None:
    conn.execute("SELECT pgmq.send('events', jsonb_build_object('n', n)) FROM generate_series(1, 200) AS n")
    page = panel.open("/queues/events?msg_id=150")
    assert "Found by its id" in page.words
    assert "/messages/150" in page.text
    assert "/messages/151" not in page.text
    assert "No message is like that" in panel.open("/queues/events?msg_id=201").words
    for wrong in ("1e3", "-1", "9" * 40, "%D9%A1", "x%3Cb%3E"):
        assert "is no id of a message" in panel.open(f"/queues/events?msg_id={wrong}").words


def test_a_route_says_what_it_sends_and_one_row_is_fired(panel: Panel, conn: Connection) -> None:
    page = panel.open("/routes/paid")
    facts = ("Condition new.status = 'paid'", "Columns id, part, email", "Masks email: redact", "Delay 30 s")
    for fact in facts:
        assert fact in page.words
    conn.execute(
        "INSERT INTO orders VALUES (1, 'a', 'new', 'x@y'), (2, %(evil)s, 'new', 'x@y'), (3, 'c', 'new', 'x')",
        {"evil": EVIL},
    )
    conn.execute("UPDATE orders SET status = 'paid' WHERE id < 3")

    def fire(id: str, part: str, **others: Any) -> Any:
        fields = {"table": "public.orders", "columns": ["id", "part"], "key.id": id, "key.part": part}
        return panel.post("/routes/paid/fire", on="/routes/paid", **{**fields, **others})

    assert "1 message sent" in fire("2", EVIL).words
    ((message, delayed),) = read(
        conn, "SELECT message, vt > now() + interval '20 seconds' FROM pgmq.q_events"
    )
    assert (message["op"], message["new"]) == ("snapshot", {"id": 2, "part": EVIL, "email": "[redacted]"})
    assert delayed
    assert "the condition of the route does not hold" in fire("3", "c").words
    assert "has no row of this key" in fire("3", "z").words
    assert fire("x", "z").status == 409
    assert fire("1", "a", table="public.elsewhere").status == 400
    assert fire("1", "a", columns=["id"]).status == 409
    assert read(conn, "SELECT count(*) FROM pgmq.q_events") == [(1,)]
    assert "DROP TABLE" not in str(read(conn, "SELECT arguments FROM changelane.audit")), "it may be a secret"
    with conn.transaction():
        conn.execute("SELECT FROM orders WHERE id = 1 FOR UPDATE")
        assert "another session holds a lock" in fire("1", "a").words


def test_a_queue_says_its_rules(panel: Panel) -> None:
    words = panel.open("/queues/events").words
    assert "tried 8 times in all" in words
    assert "Groups by new.part take turns, each with at most 2 messages at once and 5.0 a second." in words
    assert "Over all workers, at most 8 messages at once." in words


def test_a_page_speaks_of_no_shell(panel: Panel) -> None:
    for path, fields, said in (
        ("/dead-letters/events/redrive", {"where": "foo("}, "the expression 'foo(': mismatched parentheses"),
        ("/queues/events/send", {"message": "{", "delay": "0"}, 'write JSON, such as {"id": 7}'),
        ("/queues/events/send", {"message": "{}", "headers": '{"route": "x"}'}, "“Send back” among the dead"),
    ):
        page = panel.post(path, on="/queues", **fields)
        assert page.status == 409
        assert said in page.words
        assert "--where" not in page.words
