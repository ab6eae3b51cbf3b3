"""The guards of the dashboard: read-only, forged requests, tokens, headers, and hostile content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def test_with_read_only_nothing_is_offered_and_nothing_is_done(
    conn: Connection, declared: Declared, database: str, tmp_path: Path
) -> None:
    conn.execute("SELECT pgmq.send('events', '{}')")
    conn.execute(LETTER, {"n": 1})
    with open_panel(tmp_path, database) as writing:
        csrf = writing.open("/queues/events").csrf
    with open_panel(tmp_path, database, "--read-only") as panel:
        for path in ("/queues/events", "/dead-letters/events", "/dead-letters/events/1", "/routes/orders"):
            page = panel.open(path)
            allowed = r'<button>Search</button>|<button class="quiet">Log out</button>'
            assert "<button" not in re.sub(allowed, "", page.text)
            assert ">Discard<" not in page.text
            assert ">Purge<" not in page.text
        for path in (
            "/queues/events/purge",
            "/queues/events/messages/delete",
            "/dead-letters/events/discard",
        ):
            refused = panel.send(path, {"csrf": csrf, "confirmed": "yes", "id": "1:0", "all": "yes"})
            assert refused.status == 403
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 1
    assert audit(conn) == []


def test_a_forged_request_changes_nothing(panel: Panel, conn: Connection) -> None:
    conn.execute("SELECT pgmq.send('events', '{}')")
    csrf = panel.open("/queues/events").csrf
    path, values = "/queues/events/purge", {"confirmed": "yes"}
    assert panel.send(path, values).status == 403, panel.log.read_text()
    assert panel.send(path, {**values, "csrf": "0" * 64}).status == 403
    assert panel.send(path, {**values, "csrf": csrf}, Origin="http://evil.example").status == 403
    assert panel.send(path, {**values, "csrf": csrf}, Host="evil.example").status in (400, 403, 421)
    assert panel.ask("POST", path, body="{}", headers={"Content-Type": "application/json"}).status in (
        400, 403, 415,
    )  # fmt: skip
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 1
    assert panel.send(path, {**values, "csrf": csrf}).status == 303
    assert one(conn, "SELECT count(*) FROM pgmq.q_events") == 0


def test_off_loopback_it_wants_a_token_and_lets_nobody_in_without(
    conn: Connection, declared: Declared, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    refused = run_changelane("dashboard", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "CHANGELANE_DASHBOARD_TOKEN" in refused.stderr
    blank = run_changelane("dashboard", "--port", "0", "--token", "  ")
    assert blank.returncode == 1
    assert "the token is empty" in blank.stderr
    token = "correct hörse battery staple"
    with open_panel(tmp_path, database, env={"CHANGELANE_DASHBOARD_TOKEN": token}) as panel:
        for path in ("/", "/queues/events", "/audit", "/samples.json", "/events"):
            assert panel.get(path).status in (302, 303, 401, 403)
        wrong = panel.send("/login", {"token": "<script>alert(1)</script>", "csrf": panel.get("/login").csrf})
        assert wrong.status in (401, 403)
        assert "<script>alert" not in wrong.text
        entered = panel.send("/login", {"token": token, "csrf": panel.get("/login").csrf})
        assert entered.status == 303
        panel.wait("/queues", lambda page: "events" in page.words)
        bearer = f"Bearer {token}".encode().decode("latin-1")
        assert panel.ask("GET", "/queues", headers={"Authorization": bearer, "Cookie": ""}).status == 200
        assert panel.ask("GET", "/queues", headers={"Authorization": "Bearer x", "Cookie": ""}).status != 200
        assert token not in panel.log.read_text()
        command = Path(f"/proc/{panel.process.pid}/cmdline")
        assert token not in command.read_text()


def test_every_answer_keeps_browsers_strict(panel: Panel) -> None:
    for path in ("/", "/queues/events", "/nowhere", "/static/style.css"):
        headers = panel.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    page = panel.open("/").text
    assert "<script>" not in page
    assert " style=" not in page
    assert "http://" not in page.replace(panel.origin, "").replace("http://www.w3.org", "")


def test_the_content_of_a_message_is_shown_as_text_only(panel: Panel, conn: Connection) -> None:
    evil = "</code><script>alert(1)</script><img src=x onerror=alert(1)>\"' {{ 7*7 }} \u202e"
    conn.execute(
        "SELECT pgmq.send('events', jsonb_build_object('x', %s::text), jsonb_build_object('h', %s::text))",
        [evil, evil],
    )
    for path in (
        "/queues/events",
        "/queues/events/messages/1",
        "/queues/events?text=%3Cscript%3E&key=%22%3E",
    ):
        page = panel.open(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7*7 }}" in page or "text=" in path


def test_a_role_with_few_rights_sees_what_it_may_and_is_told_the_rest(
    conn: Connection, declared: Declared, database: str, tmp_path: Path
) -> None:
    role = f"reader_{tmp_path.name[-6:].strip('_')}_{abs(hash(database)) % 10**8}"
    conn.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
    try:
        conn.execute(f'GRANT USAGE ON SCHEMA pgmq TO "{role}"'.encode())
        conn.execute(f'GRANT SELECT ON pgmq.meta TO "{role}"'.encode())
        with open_panel(tmp_path, database.replace("user=postgres", f"user={role}")) as panel:
            panel.wait("/queues", lambda page: "events" in page.words)
            assert "lacks" in panel.open("/queues/events").words
            for path in ("/", "/access", "/doctor", "/audit", "/routes", "/dead-letters"):
                panel.open(path)
    finally:
        conn.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"'.encode())
