"""Access to the dashboard: one-time addresses, tokens, redirects, proxies, and limits on visitors."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from support.command_line import RunChangelane
from support.dashboard import Panel, open_panel

TOKEN = "a token of more than sixteen characters"


@pytest.fixture
def panel(database: str, tmp_path: Path) -> Iterator[Panel]:
    """A dashboard with TOKEN, and a visitor who has not logged in."""
    with open_panel(tmp_path, database, env={"CHANGELANE_DASHBOARD_TOKEN": TOKEN}) as panel:
        yield panel


def ask_as_program(panel: Panel, token: str, **headers: str) -> int:
    said = {"Authorization": f"Bearer {token}", "Cookie": "", **headers}
    return panel.ask("GET", "/queues", headers=said).status


def test_without_a_token_of_the_users_only_the_one_time_address_lets_in_and_only_once(
    database: str, tmp_path: Path
) -> None:
    with open_panel(tmp_path, database) as panel:
        panel.open("/queues")
        panel.cookie = ""
        for path in ("/", "/queues", "/audit", "/samples.json", "/events"):
            assert panel.get(path).status in (303, 401), path
        again = panel.get(panel.invitation)
        assert again.status == 401
        assert "was used already" in again.words
        assert panel.get("/queues").status == 303
        assert panel.get("/login?once=" + "x" * 32).status == 401


def test_no_token_is_explicit_on_loopback_only_and_warned_of(
    database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    with open_panel(tmp_path, database, "--no-token") as panel:
        panel.open("/queues")
        panel.wait("/healthz", lambda _: "--no-token" in panel.log.read_text())
    for options in (["--no-token", "--host", "0.0.0.0"], ["--no-token", "--url", "https://x.example"]):
        refused = run_changelane("dashboard", "--port", "0", *options)
        assert refused.returncode == 1
        assert "needs a token" in refused.stderr
    both = run_changelane("dashboard", "--port", "0", "--no-token", "--token", TOKEN)
    assert "contradicts" in both.stderr
    short = run_changelane("dashboard", "--port", "0", "--token", "hunter2")
    assert short.returncode == 1
    assert "7 characters" in short.stderr


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/%01/evil.example", "/\t/evil.example", "/\\evil.example", "\\\\evil.example",
     "https://evil.example", "/\x00/evil.example", "///evil.example", "/ok\r\nX: y", "javascript:alert(1)",
     "/\u2028/evil.example", "evil", "/\x7f/evil.example"],
)  # fmt: skip
def test_a_login_leads_to_no_other_site(panel: Panel, target: str) -> None:
    for raw in {target, target.replace("%01", "\x01")}:
        csrf = panel.get(f"/login?next={quote(raw)}").csrf
        entered = panel.send("/login", {"token": TOKEN, "csrf": csrf, "next": raw})
        assert entered.status == 303
        location = entered.headers["location"]
        assert location in ("/", quote(raw, safe="/%")), location
        assert not re.match(r"/[/\\]|/%01/", location.replace("%01", "")) or location == raw
        panel.cookie = ""


def test_a_login_leads_back_to_the_page_that_asked_for_it(panel: Panel) -> None:
    turned = panel.get("/queues?sort=age")
    assert turned.status == 303
    csrf = panel.get(turned.headers["location"]).csrf
    entered = panel.send("/login", {"token": TOKEN, "csrf": csrf, "next": "/queues?sort=age"})
    assert entered.headers["location"] == "/queues?sort=age"


def test_guesses_are_limited_for_all_together_and_never_lock_the_right_token_out(panel: Panel) -> None:
    began, statuses = time.monotonic(), []
    sockets = []
    for n in range(70):
        # These claim 70 addresses, but no named proxy says so.
        wire = http.client.HTTPConnection(panel.host, panel.port, timeout=60)
        wire.request("GET", "/queues", headers={
            "Authorization": f"Bearer wrong {n}", "X-Forwarded-For": f"192.0.2.{n}",
        })  # fmt: skip
        sockets.append(wire)
    assert ask_as_program(panel, TOKEN) == 200
    right = time.monotonic() - began
    for wire in sockets:
        statuses.append(wire.getresponse().status)
        wire.close()
    took = time.monotonic() - began
    assert set(statuses) == {401, 429}
    assert right < took, "the right token waited behind the wrong ones"
    # 70 of them, 8 at once, half a second each.
    assert took >= 4
    csrf = panel.get("/login").csrf
    assert panel.send("/login", {"token": TOKEN, "csrf": csrf}).status == 303


@pytest.mark.parametrize(
    ("proxy", "forwarded", "seen"),
    [
        (None, "203.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8", "6.6.6.6, 203.0.113.9, 127.0.0.7", "203.0.113.9"),
        ("127.0.0.1", "6.6.6.6, <script>", "127.0.0.1"),
        ("192.0.2.1", "203.0.113.9", "127.0.0.1"),
    ],
)
def test_the_visitors_address_is_taken_from_named_proxies_only(
    conn: psycopg.Connection[Any],
    database: str,
    tmp_path: Path,
    proxy: str | None,
    forwarded: str,
    seen: str,
) -> None:
    conn.execute("SELECT pgmq.create('orders')")
    options = ["--proxy", proxy] if proxy else []
    with open_panel(tmp_path, database, *options, env={"FORWARDED_ALLOW_IPS": "*"}) as panel:
        panel.headers["X-Forwarded-For"] = forwarded
        panel.wait("/queues", lambda page: "orders" in page.words)
        panel.post("/queues/orders/pause", on="/queues/orders")
    row = conn.execute("SELECT remote FROM changelane.audit").fetchone()
    assert row == (seen,)


def test_a_proxy_that_is_no_address_is_refused(run_changelane: RunChangelane) -> None:
    refused = run_changelane("dashboard", "--port", "0", "--proxy", "proxy.internal")
    assert refused.returncode == 1
    assert "neither an address nor a network" in refused.stderr


def test_streams_are_counted_before_they_are_answered(panel: Panel) -> None:
    wires = []
    for _ in range(90):
        wire = http.client.HTTPConnection(panel.host, panel.port, timeout=60)
        wire.request("GET", "/events", headers={"Authorization": f"Bearer {TOKEN}"})
        wires.append(wire)
    statuses = [wire.getresponse().status for wire in wires]
    assert statuses.count(200) == 64
    assert statuses.count(503) == 26
    for wire in wires:
        wire.close()
    # Their places are free again.
    deadline = time.monotonic() + 60
    while True:
        wire = http.client.HTTPConnection(panel.host, panel.port, timeout=60)
        wire.request("GET", "/events", headers={"Authorization": f"Bearer {TOKEN}"})
        status = wire.getresponse().status
        wire.close()
        if status == 200:
            return
        assert time.monotonic() < deadline


def test_connections_are_bounded_and_a_head_that_never_ends_is_cut_off(panel: Panel) -> None:
    wires = [socket.create_connection((panel.host, panel.port), timeout=60) for _ in range(300)]
    wires[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    closed = 0
    for wire in wires:
        try:
            # All end: those over the bound at once, the others when their time is up.
            closed += wire.recv(1) == b""
        except ConnectionResetError:
            closed += 1
        wire.close()
    assert closed == 300
    assert panel.get("/healthz").text == "ok\n"


def test_programs_share_no_notes(conn: psycopg.Connection[Any], panel: Panel) -> None:
    conn.execute("SELECT pgmq.create('orders')")
    program = {"Authorization": f"Bearer {TOKEN}", "Cookie": ""}
    panel.wait("/healthz", lambda _: panel.ask("GET", "/queues/orders", headers=program).status == 200)
    paused = panel.ask(
        "POST", "/queues/orders/pause", body="",
        headers={**program, "Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert paused.status == 303
    other = panel.ask("GET", "/queues", headers=program)
    assert "is paused." not in other.words
