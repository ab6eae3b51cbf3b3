"""Who may do what in the dashboard, and who did it: several tokens with rights, and the name that a proxy
gives.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.command_line import RunChangelane
from support.dashboard import Panel, open_panel

Connection = psycopg.Connection[TupleRow]
ALICE, BOT, EVE = ("a" * 20, "b" * 20, "e" * 20)
LINES = f"# name  right  token\nalice@example.com operate {ALICE}\n\nbot read {BOT}\n"


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write(tmp_path / "tokens", LINES)


@pytest.fixture
def panel(conn: Connection, database: str, tmp_path: Path, tokens: Path) -> Iterator[Panel]:
    conn.execute("SELECT pgmq.create('orders')")
    # Taken for a visitor of its own, who has not logged in.
    environment = {"CHANGELANE_DASHBOARD_TOKEN": "o" * 20}
    arguments = ("--tokens", str(tokens), "--trust-header", "X-Forwarded-User")
    with open_panel(tmp_path, database, *arguments, env=environment) as panel:
        yield panel


def write(file: Path, text: str) -> Path:
    file.touch(0o600)
    file.write_text(text)
    return file


def bear(token: str, **others: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **others}


def pause(panel: Panel, **headers: str) -> int:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return panel.ask("POST", "/queues/orders/pause", body="", headers={**form, **headers}).status


def log_in(panel: Panel, token: str) -> None:
    panel.cookie = ""
    assert panel.post("/login", on="/login", token=token, next="/queues").status == 200


def list_actors(conn: Connection) -> list[str]:
    return [who for (who,) in conn.execute("SELECT who FROM changelane.audit ORDER BY id")]


def test_a_token_has_a_name_and_a_right(panel: Panel, conn: Connection) -> None:
    log_in(panel, BOT)
    page = panel.open("/queues/orders")
    assert "Send a message" not in page.words
    assert "read-only" in page.words
    refused = panel.post("/queues/orders/pause", on="/queues")
    assert (refused.status, "your token may read only" in refused.words) == (403, True)
    assert pause(panel, **bear(BOT)) == 403
    assert pause(panel, **bear(EVE)) == 401
    assert pause(panel, **bear(ALICE)) == 303
    assert pause(panel, **bear("o" * 20)) == 303
    log_in(panel, ALICE)
    panel.post("/queues/orders/resume", on="/queues/orders")
    who = list_actors(conn)
    assert who[:2] == ["alice@example.com, by a program", "token, by a program"]
    assert who[2].startswith("alice@example.com, session ")
    assert len(who) == 3


def test_the_file_is_read_again_and_what_it_lost_ends(panel: Panel, tokens: Path) -> None:
    log_in(panel, ALICE)
    write(tokens, f"alice@example.com read {ALICE}\neve operate {EVE}\n")
    panel.wait("/queues/orders", lambda page: page.status == 303)
    assert pause(panel, **bear(EVE)) == 303, "and who came may operate"
    assert pause(panel, **bear(ALICE)) == 403
    assert pause(panel, **bear(BOT)) == 401
    tokens.chmod(0o644)
    panel.wait("/queues", lambda page: pause(panel, **bear(EVE)) == 401)
    assert pause(panel, **bear("o" * 20)) == 303, "the token of the command line stays"
    log = panel.log.read_text()
    assert "open to other users of this machine" in log
    tokens.chmod(0o600)
    panel.wait("/queues", lambda page: pause(panel, **bear(EVE)) == 303)
    assert not any(token in panel.log.read_text() for token in (ALICE, BOT, EVE)), "tokens are never logged"


def test_a_wrong_file_of_tokens_starts_nothing(run_changelane: RunChangelane, tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", f"alice admin {ALICE}\n")
    result = run_changelane("dashboard", "--port", "0", "--tokens", str(file))
    assert result.returncode == 1
    assert "neither read nor operate" in result.stderr
    assert ALICE not in result.stderr
    result = run_changelane("dashboard", "--port", "0", "--trust-header", "Cookie")
    assert (result.returncode, "is no header that names a person" in result.stderr) == (1, True)


def test_a_proxy_names_the_person(panel: Panel, conn: Connection) -> None:
    def act(*names: str) -> str:
        headers = [("Authorization", f"Bearer {ALICE}"), *(("X-Forwarded-User", name) for name in names)]
        connection = http.client.HTTPConnection(panel.host, panel.port, timeout=30)
        try:
            connection.putrequest("POST", "/queues/orders/pause")
            for name, value in [*headers, ("Content-Length", "0")]:
                connection.putheader(name, value.encode())
            connection.endheaders()
            assert connection.getresponse().status == 303
        finally:
            connection.close()
        return list_actors(conn)[-1]

    assert act("Zoë <b>") == "Zoë <b> by alice@example.com, by a program"
    assert act() == "alice@example.com, by a program"
    for names in (["one", "two"], ["x" * 101], ["bell\u0007"], ["\u202egnp"], [" "]):
        assert act(*names) == "(no valid name) by alice@example.com, by a program"
    panel.headers = {"Authorization": f"Bearer {ALICE}"}
    page = panel.open("/audit")
    assert "Zoë <b> by alice@example.com" in page.words
    assert "<b> by" not in page.text
