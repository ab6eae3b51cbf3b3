"""Dead letters in the dashboard: listed, edited, sent back, discarded, and searched."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dashboard import Panel, open_panel
from support.deployment import Declared, bring, declare
from test_dashboard_actions import LETTER, SPEC, Connection, audit, one


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


def test_dead_letters_are_shown_sent_back_and_discarded(panel: Panel, conn: Connection) -> None:
    for n in range(6):
        conn.execute(LETTER, {"n": n})
    assert "90 d 5" in panel.open("/dead-letters").words
    page = panel.open("/dead-letters/events")
    assert "ValueError: <b>no</b>" in page.words.replace("&lt;", "<").replace("&gt;", ">")
    assert "<b>no</b>" not in page.text
    assert re.search(r"ValueError 6 20\S+ \S+ 20\S+ \S+ Send back", page.words)
    chosen = html.unescape(re.findall(r'type="hidden" name="where" value="([^"]*)"', page.text)[0])
    assert chosen == "starts_with(headers->'dead_letter'->>'error', 'ValueError')"
    asked = panel.post("/dead-letters/events/discard", on="/dead-letters/events", where=chosen)
    assert "Discard 6 dead letters of events?" in asked.words
    assert "Traceback of it" in panel.open("/dead-letters/events/1").words
    on = "/dead-letters/events"
    asked = panel.post("/dead-letters/events/redrive", on=on, id=["1", "2"])
    assert "Send back 2 dead letters of events?" in asked.words
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0
    panel.post("/dead-letters/events/redrive", on=on, id=["1", "2"], confirmed="yes")
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 2
    asked = panel.post("/dead-letters/events/discard", on=on, where="(message->>'n')::int > 3", all="yes")
    assert "Discard 2 dead letters of events?" in asked.words
    panel.confirm(asked)
    assert one(conn, "SELECT array_agg(message->'n' ORDER BY msg_id) FROM pgmq.q_events_dlq") == [2, 3]
    panel.confirm(panel.post("/dead-letters/events/discard", on=on, all="yes", confirmed="yes"))
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_dlq") == 0
    assert [action for action, *_ in audit(conn)] == [
        *["dead-letter preview"] * 1, "dead-letter redrive", "dead-letter preview",
        *["dead-letter discard"] * 2,
    ]  # fmt: skip


def test_only_the_confirmed_messages_are_changed(panel: Panel, conn: Connection) -> None:
    on = "/dead-letters/events"
    for n in range(3):
        conn.execute(LETTER, {"n": n})
    for choice in ({"all": "yes"}, {"where": "true"}):
        asked = panel.post("/dead-letters/events/discard", on=on, **choice)
        assert "Discard 3 dead letters of events?" in asked.words
        conn.execute(
            "DELETE FROM pgmq.q_events_dlq WHERE msg_id = (SELECT min(msg_id) FROM pgmq.q_events_dlq)"
        )
        for n in range(3):
            conn.execute(LETTER, {"n": 100 + n})
        assert "2 dead letters of events discarded; 1 dead letter gone since" in panel.confirm(asked).words
        assert one(conn, "SELECT count(*) FROM pgmq.q_events_dlq WHERE message->>'n' >= '100'") == 3
        again = panel.confirm(asked)
        assert again.status == 409
        assert "confirmed already" in again.words


def test_letters_are_listed_by_error_newest_first_and_one_is_edited(panel: Panel, conn: Connection) -> None:
    for n in range(3):
        conn.execute(LETTER, {"n": n})
    conn.execute(
        LETTER.replace("ValueError: <b>no</b>", "KeyError: gone").replace("'events_dlq'", "'events_dlq'"),
        {"n": 9},
    )
    page = panel.open("/dead-letters/events")
    assert re.findall(r'aria-label="Choose dead letter (\d)"', page.text) == ["4", "3", "2", "1"]
    oldest = panel.open("/dead-letters/events?order=oldest")
    assert re.findall(r'aria-label="Choose dead letter (\d)"', oldest.text) == ["1", "2", "3", "4"]
    group = panel.open("/dead-letters/events?error=KeyError")
    assert re.findall(r'aria-label="Choose dead letter (\d)"', group.text) == ["4"]
    panel.wait("/", lambda page: re.search(r"data-dead>4<", page.text))
    on = "/dead-letters/events/4/edit"
    assert '"n": 9' in panel.open(on).words
    wrong = panel.post(on, on=on, message='{"n": ')
    assert wrong.status == 409
    assert '{"n": ' in wrong.words
    conn.execute('UPDATE pgmq.q_events_dlq SET headers = headers || \'{"route": "orders"}\' WHERE msg_id = 4')
    sent = panel.post(on, on=on, message='{"n": 10, "exact": 0.1000}')
    assert "Dead letter 4 edited and sent to events as message 1." in sent.words
    assert conn.execute("SELECT message::text, headers FROM pgmq.q_events").fetchall() == [
        ('{"n": 10, "exact": 0.1000}', {"route": "orders", "edited_from": 4})
    ]
    assert panel.post(on, on="/dead-letters/events", message="{}").status == 409
    assert "dead-letter edit" in [action for action, *_ in audit(conn)]


@pytest.mark.parametrize(
    "where", ["true; DROP TABLE orders", "true) OR (true", "pg_sleep(9) IS NULL OR", "nothing = 1"]
)
def test_a_hostile_expression_does_nothing(panel: Panel, conn: Connection, where: str) -> None:
    conn.execute(LETTER, {"n": 1})
    refused = panel.post(
        "/dead-letters/events/discard", on="/dead-letters/events", where=where, confirmed="yes"
    )
    assert refused.status == 409
    assert "Dead letters of events" in refused.words
    assert "Nothing was changed" in refused.words
    assert f'value="{html.escape(where)}"' in refused.text.replace("&#34;", "&quot;").replace(
        "&#39;", "&#x27;"
    )
    assert one(conn, "SELECT count(*) FROM pgmq.q_events_dlq") == 1
    assert one(conn, "SELECT to_regclass('orders') IS NOT NULL")
