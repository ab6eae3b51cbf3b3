"""`changelane.testing.scratch`, and its page in the docs, whose files are run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from changelane.errors import ChangelaneError, HandlerError, ManifestError
from changelane.runner.local import server as servers
from changelane.testing.scratch import PREFIX, Scratch, Unhandled, address, make_scratch, make_template

PAGE = Path(__file__).parent.parent.parent / "docs" / "testing.md"
BLOCK = re.compile(r"^```\w+ ([\w./]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SPEC = """
version: 1
project: shop
queues: {things: {}, others: {}}
routes:
  - {name: things, table: public.things, events: [insert], queues: [things, others]}
consumers:
  things: {handler: "scratch_handlers:handle", mode: transactional, retry: {first: 60s, max: 60s}}
  others: {handler: "scratch_handlers:pass_by"}
"""

HANDLERS = """
import os, time
import psycopg
from changelane import Change

def handle(change: Change, tx: psycopg.Connection) -> None:
    tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.new["id"], change.attempt])
    if change.new["id"] == 2 and change.attempt < 3:
        raise ValueError("not yet")
    if change.new["id"] == 3:
        time.sleep(60)

def pass_by(change: Change) -> None:
    with psycopg.connect(os.environ.get("DATABASE_URL"), autocommit=True) as conn:
        conn.execute("INSERT INTO effects VALUES (0, 0)")
"""


def run_page(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run the page's tests; returns the process that it was, and what it said."""
    for name, content in BLOCK.findall(PAGE.read_text()):
        (folder / name).write_text(content)
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        return process.pid, process.communicate()[0]


def test_the_pages_tests_pass_on_the_server_of_database_url(tmp_path: Path, database: str) -> None:
    pid, said = run_page(tmp_path, DATABASE_URL=database)
    assert "5 passed" in said, said
    with psycopg.connect(database) as conn:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        assert conn.execute(query, [f"{PREFIX}{pid}_"]).fetchall() == []
        assert conn.execute("SELECT to_regclass('orders')").fetchone() == (None,)


def test_without_one_a_test_passes_on_the_local_server_which_ends_with_it(tmp_path: Path) -> None:
    _, said = run_page(tmp_path, "test_orders.py", "-k", "receipt")
    try:
        assert "1 passed" in said, said
        assert servers.find(tmp_path / servers.FOLDER) is None
    finally:
        servers.remove(tmp_path / servers.FOLDER)


@pytest.fixture(scope="module")
def scratch_template(server: str) -> Iterator[str]:
    with make_template(server) as name:
        yield name


@pytest.fixture
def scratch(
    server: str, scratch_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scratch]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "scratch_handlers", raising=False)
    (tmp_path / "pipelines.yaml").write_text(SPEC)
    (tmp_path / "scratch_handlers.py").write_text(HANDLERS)
    with make_scratch(server, template=scratch_template) as made:
        monkeypatch.setenv("DATABASE_URL", made.url)
        made.conn.execute(
            "CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE effects (id int, attempt int)"
        )
        made.apply()
        yield made


def effects(scratch: Scratch) -> list[Any]:
    return sorted(scratch.conn.execute("SELECT id, attempt FROM effects"))


def test_drain_works_all_queues_or_those_named(scratch: Scratch) -> None:
    scratch.conn.execute("INSERT INTO things VALUES (1)")
    assert scratch.drain("things") == {"handled": 1}
    assert effects(scratch) == [(1, 1)]
    assert scratch.drain() == {"handled": 1}
    assert effects(scratch) == [(0, 0), (1, 1)]


def test_a_failure_is_raised_with_its_traceback_and_attempts_do_not_wait(scratch: Scratch) -> None:
    scratch.conn.execute("INSERT INTO things VALUES (2)")
    with pytest.raises(Unhandled, match=r"1 of queue things.*(?s:.*)scratch_handlers\.py.*(?s:.*)not yet"):
        scratch.drain()
    scratch.conn.execute("TRUNCATE things; INSERT INTO things VALUES (2)")
    assert scratch.drain(attempts=3) == {"handled": 2, "failed": 2}
    assert effects(scratch)[-1] == (2, 3)
    assert [letter.attempts for letter in scratch.dead_letters("things")] == [1]


def test_a_drain_that_takes_too_long_is_given_up_and_signal_handlers_are_restored(scratch: Scratch) -> None:
    scratch.conn.execute("INSERT INTO things VALUES (3)")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TimeoutError, match=r"after 0\.5 s"):
        scratch.drain(timeout=0.5)
    assert signal.getsignal(signal.SIGINT) is before


def test_mistakes_are_reported(scratch: Scratch, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="queue thing has no consumer"):
        scratch.drain("thing")
    (tmp_path / "pipelines.yaml").write_text(
        SPEC.replace("scratch_handlers:handle", "scratch_handlers:handel")
    )
    scratch.apply()
    with pytest.raises(HandlerError, match="no handel"):
        scratch.drain()
    (tmp_path / "pipelines.yaml").write_text(SPEC.replace("public.things", "public.thing"))
    with pytest.raises(ChangelaneError, match=r"table public\.thing is not in the catalog"):
        scratch.apply()
    with pytest.raises(ManifestError, match="nothing is applied"):
        Scratch(url=scratch.url, conn=scratch.conn).drain()


@pytest.mark.parametrize(
    ("conninfo", "url"),
    [
        ("", "postgresql:///db"),
        ("host=/tmp/x user=a password='p&q'", "postgresql:///db?user=a&password=p%26q&host=%2Ftmp%2Fx"),
        ("postgresql://u@h:5433/other", "postgresql:///db?user=u&host=h&port=5433"),
    ],
)
def test_an_address_is_a_url_of_another_database_on_the_same_server(conninfo: str, url: str) -> None:
    made, expected = (set(text.partition("?")[2].split("&")) for text in (address(conninfo, "db"), url))
    assert made == expected
    assert address(conninfo, "d b").startswith("postgresql:///d%20b")
