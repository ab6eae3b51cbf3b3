"""The demo as a user runs it, and its comparison and handler on rows that differ slightly."""

from __future__ import annotations

import importlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import psycopg
import pytest
from psycopg.rows import TupleRow
from rich.console import Console

from changelane import Change
from changelane.runner.local.server import find_binary

DEMO = Path(__file__).parents[2] / "examples" / "pgbench"
EQUAL = "The replica is equal to the source, row by row."
SMALL = ("--scale", "1", "--clients", "2", "--rate", "60", "--seconds", "3")

Connection = psycopg.Connection[TupleRow]


class Demo(subprocess.Popen[str]):
    """The demo, with its temporary files in ``folder``, which identifies all processes that it starts."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(
            [sys.executable, DEMO / "demo.py", *SMALL, *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "CI": "1",
                "DATABASE_URL": "postgresql://nobody@nowhere.invalid/nothing",
                "PGHOST": "nowhere.invalid",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def await_workers(demo: Demo) -> list[int]:
    """Read its progress until changes are handled; returns the workers' process ids."""
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"handled +[1-9].*\(pid (\d+), (\d+)\)", line)
        if found:
            return [int(found[1]), int(found[2])]
    raise AssertionError(f"the demo ended early with {demo.wait()}")


def find_processes(folder: Path) -> list[str]:
    """Command lines that name ``folder``."""
    if not Path("/proc/self").exists():
        listed = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True)
        return [line for line in listed.stdout.splitlines() if str(folder) in line]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos, and holds them to leaving nothing behind."""
    demos: list[Demo] = []

    def start(*arguments: str) -> Demo:
        demos.append(Demo(tmp_path, *arguments))
        return demos[-1]

    yield start
    for demo in demos:
        demo.terminate()
        demo.communicate(timeout=60)
    assert find_processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_demo_ends_with_equal_replicas_though_a_worker_is_killed_from_outside(
    start: Callable[..., Demo],
) -> None:
    demo = start()
    os.kill(await_workers(demo)[0], signal.SIGKILL)
    output, progress = demo.communicate(timeout=90)
    assert demo.returncode == 0, output + progress
    assert EQUAL in output
    assert "workers killed 1" in output
    assert "takes its place" in progress


def test_the_demo_ends_with_equal_replicas_when_it_kills_a_worker_itself(
    start: Callable[..., Demo],
) -> None:
    demo = start("--kill-worker")
    output, progress = demo.communicate(timeout=90)
    assert demo.returncode == 0, output + progress
    assert EQUAL in output
    assert "workers killed 1" in output
    assert "DATABASE_URL, PGHOST set and ignored" in progress
    captured = re.search(r"captured +([\d,]+) changes", output)
    handled = re.search(r"handled +([\d,]+), none twice", output)
    assert captured is not None
    assert handled is not None
    assert captured[1] == handled[1] != "0"


def test_an_interrupted_demo_leaves_nothing_behind(start: Callable[..., Demo], tmp_path: Path) -> None:
    demo = start()
    await_workers(demo)
    assert find_processes(tmp_path)
    demo.send_signal(signal.SIGTERM)
    output, progress = demo.communicate(timeout=60)
    assert demo.returncode == 130, output + progress
    assert "interrupted; everything is stopped" in progress


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its modules can be imported, for one test."""
    names = [path.stem for path in DEMO.glob("*.py")]
    monkeypatch.syspath_prepend(str(DEMO))
    yield
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def tables(example: None, database: str, conn: Connection) -> ModuleType:
    """Source and replica with a few rows, and no load; returns the module ``report``."""
    command: list[str | Path] = [find_binary("pgbench"), "-i", "-q", "--init-steps=tp", database]
    subprocess.run(command, check=True, capture_output=True)
    conn.execute("INSERT INTO pgbench_accounts SELECT aid, 1, 0, 'opened' FROM generate_series(1, 20) AS aid")
    conn.execute("INSERT INTO pgbench_tellers SELECT tid, 1, 0, NULL FROM generate_series(1, 3) AS tid")
    conn.execute("INSERT INTO pgbench_branches VALUES (1, 0, NULL)")
    conn.execute((DEMO / "sql" / "schema.sql").read_bytes())
    return importlib.import_module("report")


def test_equal_tables_compare_equal(
    tables: ModuleType, conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tables.print_comparison(conn) == 0
    output = capsys.readouterr().out
    assert EQUAL in output
    assert "accounts = pgbench_accounts: 20 rows, sum(abalance) = sum(delta) = 0" in output


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE replica.accounts SET abalance = 7 WHERE aid = 3",
            [
                "only in pgbench_accounts: aid=3, bid=1, abalance=0, filler=opened",
                "only in accounts: aid=3, bid=1, abalance=7, filler=opened",
            ],
        ),
        (
            "UPDATE replica.accounts SET filler = NULL WHERE aid = 3",
            ["aid=3, bid=1, abalance=0, filler=None"],
        ),
        ("DELETE FROM replica.accounts WHERE aid = 3", ["19 rows of 20", "only in pgbench_accounts: aid=3"]),
        ("UPDATE replica.tellers SET deleted = true WHERE tid = 2", ["only in pgbench_tellers: tid=2"]),
        ("INSERT INTO replica.branches VALUES (2, 0, NULL)", ["only in branches: bid=2"]),
        ("INSERT INTO pgbench_history VALUES (1, 1, 1, 50, now())", ["sum(delta) 50"]),
        ("UPDATE replica.accounts SET bid = 9", ["aid=1,", "and 30 more"]),
    ],
)
def test_any_difference_is_listed_and_fails_the_demo(
    tables: ModuleType,
    conn: Connection,
    capsys: pytest.CaptureFixture[str],
    statement: Any,
    expected: list[str],
) -> None:
    conn.execute(statement)
    assert tables.print_comparison(conn) == 1
    captured = capsys.readouterr()
    assert "DIFFERS" in captured.out
    for text in expected:
        assert text in captured.out
    assert EQUAL not in captured.out
    assert "NOT equal" in captured.err


@pytest.mark.usefixtures("example")
def test_a_terminal_shows_each_queue_and_how_to_kill_a_worker() -> None:
    screen = io.StringIO()
    measurements, display = importlib.import_module("measurement"), importlib.import_module("display")
    some = measurements.Progress("accounts", 1200, 1190, 10, 0, 0, 8.4, 31.0, 40.0)
    total = measurements.Progress("", 3600, 3590, 10, 0, 0, None, None, None)
    console = Console(file=screen, force_terminal=True, width=100)
    with display.LiveDisplay(console) as live:
        live.note("a note")
        live.show(measurements.Measurement((some,), total), elapsed=2.0, seconds=10.0, workers=[11, 12])
    plain = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", screen.getvalue())
    lines = [" ".join(line.split()) for line in plain.splitlines()]
    assert "a note" in lines
    assert "accounts 1,200 1,190 10 8 ms 31 ms" in lines
    assert "all 3,600 3,590 10 - -" in lines
    assert "2 workers; to try them: kill -9 11 12" in lines


@pytest.mark.parametrize(
    ("settings", "name"),
    [({}, "LiveDisplay"), ({"CI": "1"}, "PlainDisplay"), ({"TERM": "dumb"}, "PlainDisplay")],
    ids=str,
)
def test_progress_redraws_on_a_terminal_that_can_and_where_someone_looks(
    example: None, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], name: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for variable, value in {"FORCE_COLOR": "1", "TERM": "xterm", **settings}.items():
        monkeypatch.setenv(variable, value)
    assert type(importlib.import_module("display").open_display()).__name__ == name


def change(msg_id: int, op: Literal["insert", "update", "delete"], aid: int, balance: int = 0) -> Change:
    return Change(
        op=op,
        schema="public",
        table="pgbench_accounts",
        key={"aid": aid},
        new=None if op == "delete" else {"aid": aid, "bid": 1, "abalance": balance, "filler": "x"},
        old=None,
        at=datetime.now(UTC),
        txid="1000",
        route="accounts",
        queue="accounts",
        msg_id=msg_id,
        attempt=1,
    )


def keep(conn: Connection, changes: list[Change]) -> None:
    with conn.transaction():
        importlib.import_module("replica").keep(changes, conn)


def read_account(conn: Connection, aid: int) -> tuple[Any, ...] | None:
    return conn.execute("SELECT abalance, deleted FROM replica.accounts WHERE aid = %s", [aid]).fetchone()


@pytest.mark.usefixtures("tables")
def test_the_newest_change_wins_whatever_the_order(conn: Connection) -> None:
    keep(conn, [change(3, "update", 1, 300), change(1, "update", 1, 100)])
    keep(conn, [change(2, "update", 1, 200)])
    assert read_account(conn, 1) == (300, False)


@pytest.mark.usefixtures("tables")
def test_a_late_update_does_not_bring_a_deleted_row_back(conn: Connection) -> None:
    keep(conn, [change(5, "delete", 1)])
    keep(conn, [change(4, "update", 1, 400)])
    assert read_account(conn, 1) == (None, True)
    keep(conn, [change(6, "insert", 1, 600)])
    assert read_account(conn, 1) == (600, False)


@pytest.mark.usefixtures("tables")
def test_a_change_that_comes_twice_is_refused(conn: Connection) -> None:
    keep(conn, [change(1, "insert", 99, 1)])
    with pytest.raises(psycopg.errors.UniqueViolation):
        keep(conn, [change(1, "insert", 99, 1)])
