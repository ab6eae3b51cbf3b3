"""Actions on the dashboard: carried out, confirmed twice if they lose something, and recorded."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.dashboard import Panel, open_panel
from support.deployment import Declared, bring, declare

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {dead_letters: {keep: 90 days, alarm: 5}}
routes:
  - {name: orders, table: public.orders, events: [insert, update], queue: events}
consumers:
  events: {handler: "handlers:handle"}
"""
LETTER = """
    SELECT pgmq.send('events_dlq', jsonb_build_object('n', %(n)s::int), jsonb_build_object('dead_letter',
        jsonb_build_object('queue', 'events', 'msg_id', 7, 'attempts', 3, 'error', 'ValueError: <b>no</b>',
            'traceback', 'Traceback of it', 'at', now())))
"""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY, status text)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    return declared


@pytest.fixture
def panel(conn: Connection, declared: Declared, database: str, tmp_path: Path) -> Iterator[Panel]:
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "events_dlq" in page.words)
        yield panel


def one(conn: Connection, query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def audit(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "SELECT action, queue, arguments, outcome FROM changelane.audit ORDER BY id"
    ).fetchall()


@pytest.mark.parametrize(
    "path",
    ["/", "/queues", "/queues/events", "/queues/events/send", "/queues/events/keeping", "/queues/new",
     "/dead-letters", "/dead-letters/events", "/workers", "/routes", "/routes/orders", "/access", "/doctor",
     "/audit", "/drift", "/queues/events/purge"],
)  # fmt: skip
def test_every_page_is_there(panel: Panel, path: str) -> None:
    assert "<h1" in panel.open(path).text


def test_messages_are_sent_released_archived_and_deleted(panel: Panel, conn: Connection) -> None:
    on = "/queues/events/send"
    for n in range(4):
        said = panel.post(on, on=on, message=json.dumps({"n": n}), headers="{}", group="", delay="600")
        assert f"Message {n + 1} sent." in said.words
    asked = panel.post("/queues/events/messages/release", on="/queues/events", id="1:0")
    assert "Make 1 message of events due now?" in asked.words
    assert not one(conn, "SELECT vt <= clock_timestamp() FROM pgmq.q_events WHERE msg_id = 1")
    panel.post("/queues/events/messages/release", on="/queues/events", id="1:0", confirmed="yes")
    assert one(conn, "SELECT vt <= clock_timestamp() FROM pgmq.q_events WHERE msg_id = 1")
    for verb, chosen in (("archive", ["1:0", "2:0"]), ("delete", ["3:0"])):
        asked = panel.post(f"/queues/events/messages/{verb}", on="/queues/events", id=chosen)
        assert asked.status == 200
        assert f"{verb.capitalize()} {len(chosen)} message" in asked.words
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 4
    panel.post("/queues/events/messages/archive", on="/queues/events", id=["1:0", "2:0"], confirmed="yes")
    panel.post("/queues/events/messages/delete", on="/queues/events", id="3:0", confirmed="yes")
    assert one(conn, "SELECT array_agg(msg_id ORDER BY msg_id) FROM pgmq.a_events") == [1, 2]
    assert one(conn, "SELECT array_agg(msg_id) FROM pgmq.q_events") == [4]
    done = audit(conn)
    assert [action for action, *_ in done] == ["send"] * 4 + ["release", "archive", "delete"]
    assert done[-1] == ("delete", "events", {"ids": [3], "count": 1}, "1 message deleted")
    assert "1 message deleted" in panel.open("/audit").words


def test_a_message_that_was_delivered_meanwhile_is_left_alone(panel: Panel, conn: Connection) -> None:
    conn.execute("SELECT pgmq.send('events', '{}'), pgmq.send('events', '{}')")
    conn.execute("SELECT pgmq.read('events', 60, 1)")
    page = panel.post(
        "/queues/events/messages/delete", on="/queues/events", id=["1:0", "2:0"], confirmed="yes"
    )
    assert "1 message deleted; 1 message gone or delivered since, and left alone" in page.words
    assert one(conn, "SELECT array_agg(msg_id) FROM pgmq.q_events") == [1]


def test_a_queue_is_paused_and_goes_on(panel: Panel, conn: Connection) -> None:
    panel.post("/queues/events/pause", on="/queues/events")
    assert one(conn, "SELECT queue FROM changelane.pauses") == "events"
    panel.wait("/queues/events", lambda page: "Resume" in page.words)
    panel.post("/queues/events/resume", on="/queues/events")
    assert one(conn, "SELECT count(*) FROM changelane.pauses") == 0


def test_after_an_action_the_page_shows_the_new_state(panel: Panel, conn: Connection) -> None:
    assert "Resume" in panel.post("/queues/events/pause", on="/queues/events").words
    assert "Pause" in panel.post("/queues/events/resume", on="/queues/events").words
    panel.post("/queues/new", on="/queues/new", name="by_hand", kind="logged", dead_letter="yes")
    assert "by_hand_dlq" in panel.open("/queues").words
    panel.post("/queues/by_hand_dlq/drop", on="/queues/by_hand", confirmed="yes")
    dropped = panel.post("/queues/by_hand/drop", on="/queues", confirmed="yes")
    assert "Queue by_hand is dropped." in dropped.words
    assert "/queues/by_hand" not in dropped.text
    panel.post("/queues/events/send", on="/queues/events/send", message="{}", headers="{}")
    assert "1 waiting" in panel.open("/").words
    conn.execute(LETTER, {"n": 1})
    asked = panel.post("/dead-letters/events/discard", on="/dead-letters/events", all="yes")
    assert "1 dead letter of events discarded" in panel.confirm(asked).words
    assert re.search(r'data-letters="events_dlq">0<', panel.open("/queues").text)


def test_the_first_page_knows_the_queues(
    conn: Connection, declared: Declared, database: str, tmp_path: Path
) -> None:
    with open_panel(tmp_path, database) as panel:
        page = panel.open("/")
        assert "0 waiting" in page.words
        assert "first look" not in page.words
        # A sample is 2 seconds old at most; the queue is newer, and declared.
        conn.execute("SELECT pgmq.create('fresh')")
        declared = declare(conn, tmp_path, SPEC.replace("queues:\n", "queues:\n  fresh: {}\n"))
        for path in ("/", "/dead-letters"):
            bring(conn, declared)
            assert "not in the database" not in panel.open(path).words


def test_a_purge_is_asked_twice_and_spares_the_rest(panel: Panel, conn: Connection) -> None:
    conn.execute("SELECT pgmq.send('events', '{}') FROM generate_series(1, 30)")
    conn.execute("SELECT pgmq.archive('events', 1)")
    asked = panel.post("/queues/events/purge", on="/queues/events")
    assert "Purge queue events?" in asked.words
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 29
    done = panel.post("/queues/events/purge", on="/queues/events", confirmed="yes")
    assert "29 messages deleted" in done.words
    assert one(conn, "SELECT count(*) FROM pgmq.a_events") == 1
    assert [(action, outcome) for action, _, _, outcome in audit(conn)] == [
        ("purge", "begun"),
        ("purge", "done: 29 messages"),
    ]


def test_a_queue_outside_the_spec_is_made_and_dropped_and_its_loss_named(
    panel: Panel, conn: Connection
) -> None:
    panel.post("/queues/new", on="/queues/new", name="by_hand", kind="unlogged", dead_letter="yes")
    assert one(conn, "SELECT count(*) FROM pgmq.meta WHERE queue_name LIKE 'by_hand%'") == 2
    conn.execute("SELECT pgmq.send('by_hand', '{}')")
    asked = panel.post("/queues/by_hand/drop", on="/queues/by_hand", confirmed="yes")
    assert "Lose the messages in it" in asked.words
    assert one(conn, "SELECT to_regclass('pgmq.q_by_hand') IS NOT NULL")
    panel.post("/queues/by_hand/drop", on="/queues/by_hand", confirmed="yes", lose="yes")
    assert one(conn, "SELECT to_regclass('pgmq.q_by_hand') IS NULL")


def test_a_declared_queue_is_not_dropped(panel: Panel, conn: Connection) -> None:
    refused = panel.post("/queues/events/drop", on="/queues/events", confirmed="yes", lose="yes")
    assert refused.status == 409
    assert "queue events is declared" in refused.words
    assert one(conn, "SELECT to_regclass('pgmq.q_events') IS NOT NULL")


@pytest.mark.parametrize(
    "name", ["", "Events", 'x"; DROP TABLE orders; --', "a" * 48, "a\tb", "events", "a" * 44]
)
def test_a_name_that_cannot_be_is_refused(panel: Panel, conn: Connection, name: str) -> None:
    before = one(conn, "SELECT count(*) FROM pgmq.meta")
    refused = panel.post("/queues/new", on="/queues/new", name=name, kind="logged", dead_letter="yes")
    assert refused.status == 409
    assert "Create a queue" in refused.words
    assert one(conn, "SELECT count(*) FROM pgmq.meta") == before


def test_all_messages_that_match_are_counted_first_and_then_changed(panel: Panel, conn: Connection) -> None:
    conn.execute(
        "SELECT pgmq.send('events', jsonb_build_object('kind', (ARRAY['old', 'new'])[1 + (n > 1200)::int]))"
        " FROM generate_series(1, 3000) n"
    )
    conn.execute("UPDATE pgmq.q_events SET read_ct = 1, vt = now() + interval '1 h' WHERE msg_id = 7")
    asked = panel.post("/queues/events/matching/delete", on="/queues/events", text='"old"', state="available")
    task = urlsplit(asked.url).path
    asked = panel.wait(task, lambda page: "match" in page.words and "Stop" not in page.words)
    assert "1,199 messages of events match" in asked.words
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 3000
    conn.execute("SELECT pgmq.send('events', '{\"kind\": \"old\"}') FROM generate_series(1, 5)")
    conn.execute("UPDATE pgmq.q_events SET read_ct = 1 WHERE msg_id = 8")
    done = panel.confirm(asked)
    done = panel.wait(urlsplit(done.url).path, lambda page: "deleted" in page.words)
    assert "1,198 messages deleted; 1 message gone or delivered since, and left alone" in done.words
    assert one(conn, "SELECT count(*) FROM pgmq.q_events WHERE message->>'kind' = 'old'") == 2 + 5
    assert audit(conn)[-1] == (
        "delete", "events", {"count": 1199, "first": 1, "last": 1200}, "done: 1198 messages",
    )  # fmt: skip
    assert panel.get("/tasks/nothing").status == 404


def test_a_search_goes_on_by_itself_until_it_has_looked_at_all(panel: Panel, conn: Connection) -> None:
    conn.execute(
        "SELECT pgmq.send('events', jsonb_build_object('n', n, 'long', repeat(md5(n::text), 60)))"
        " FROM generate_series(1, 60000) n"
    )
    conn.execute("UPDATE pgmq.q_events SET message = '{\"rare\": 1}' WHERE msg_id IN (500, 59999)")
    path, steps = "/queues/events?text=rare", 0
    while True:
        page = panel.open(path)
        found = re.search(r'http-equiv="refresh" content="0; url=([^"#]*)', page.text)
        if not found:
            break
        assert "It goes on by itself" in page.words
        assert re.search(r"[1-9][\d,]* of about [\d,]+ messages searched", page.words)
        path, steps = html.unescape(found[1]), steps + 1
    assert steps
    assert re.findall(r'aria-label="Choose message (\d+)"', page.text) == ["500", "59999"]
    halted = panel.open("/queues/events?text=rare&halt=yes")
    assert "http-equiv" not in halted.text


def test_statements_are_tried_against_a_route_and_rolled_back(panel: Panel, conn: Connection) -> None:
    on = "/routes/orders"
    page = panel.open(on)
    assert "CREATE OR REPLACE FUNCTION" in page.words
    page = panel.post("/routes/orders/try", on=on, sql="INSERT INTO orders VALUES (1, 'tried')")
    assert "would have sent 1 message" in page.words
    assert "tried" in page.words
    assert one(conn, "SELECT count(*) FROM orders") == 0
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0
    for text in ("COMMIT", "INSERT INTO orders VALUES (2); COMMIT", "VACUUM", "nonsense", ""):
        assert panel.post("/routes/orders/try", on=on, sql=text).status == 409
    assert one(conn, "SELECT count(*) FROM orders") == 0


def test_the_pages_of_drift_access_and_doctor_are_true(panel: Panel, conn: Connection) -> None:
    conn.execute("ALTER TABLE orders DISABLE TRIGGER USER")
    conn.execute("GRANT SELECT ON pgmq.q_events TO PUBLIC")
    panel.open("/doctor?again=1")
    panel.wait("/doctor", lambda page: "trigger-disabled" in page.words)
    panel.wait("/drift", lambda page: "disabled" in page.words)
    panel.wait("/routes", lambda page: "disabled" in page.words)
    assert "PUBLIC" in panel.open("/access").words


def test_a_search_finds_by_payload_key_and_time(panel: Panel, conn: Connection) -> None:
    for n in range(3):
        message = json.dumps({"key": {"id": n}, "new": {"name": f"Anna {n}"}})
        conn.execute("SELECT pgmq.send('events', %s::jsonb)", [message])
    words = panel.open("/queues/events?text=anna+1").words
    assert "Anna 1" in words
    assert "Anna 2" not in words
    assert "No message is like that" in panel.open("/queues/events?until=2001-01-01T00:00").words
    assert "Anna 2" in panel.open("/queues/events?since=2001-01-01T00:00").words
