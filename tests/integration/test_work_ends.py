"""The end of a worker process: forks, closed logs, threads that outlast their handler, and signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.workers import Bench

from changelane.contract.manifest import Retry

KINDS = ["", "async "]


CHILDREN = {
    "returns": "return",
    "raises": "raise ValueError('the child')",
    "exits": "raise SystemExit(3)",
    "writes": "{wait}tx.execute('INSERT INTO effects VALUES (-1, -1)')",
    "finishes": "tx.pgconn.finish()",
    "waits": "{sleep}(0.05)",
}


@pytest.mark.parametrize("mode", ["transactional", "at_least_once"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_child_ends_where_it_leaves_the_handler(bench: Bench, kind: str, mode: str) -> None:
    wait = "await " if kind else ""
    transactional = mode == "transactional"
    children = {name: code for name, code in CHILDREN.items() if transactional or "tx." not in code}
    cases = "\n".join(
        f"            if what == {name!r}: "
        + code.format(wait=wait, sleep="await asyncio.sleep" if kind else "time.sleep")
        for name, code in children.items()
    )
    insert = (
        f'{wait}tx.execute("INSERT INTO effects VALUES (%s, 1)", [change.msg_id])'
        if transactional
        else "pass"
    )
    bench.declare(
        f"""
    {kind}def handle(change: Change{", tx" if transactional else ""}) -> None:
        what = change.new["value"]
        {insert}
        child = os.fork()
        if child == 0:
            os.close(os.open("children", os.O_CREAT | os.O_APPEND | os.O_WRONLY))
{cases}
            return
        {"await asyncio.sleep(0)" if kind else ""}
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        note(f"{{what}} {{code}}")
        """,
        mode=mode,
        concurrency=2,
        retry=Retry(attempts=1),
    )
    bench.send(*(f'"{name}"' for name in children))
    bench.drain()
    assert bench.dead == []
    ends = dict(note.split() for note in bench.notes)
    assert set(ends) == set(children)
    assert (ends["returns"], ends["raises"], ends["exits"]) == ("0", "1", "3")
    assert "lost" not in re.findall(r'"event": "([^"]*)', bench.log)
    assert "a child that a handler forked failed, and ends here:\n  Traceback" in bench.log
    assert "\nTraceback" not in bench.log
    if transactional:
        assert bench.rows("SELECT count(*), count(DISTINCT msg_id), min(value) FROM effects") == [
            (len(children), len(children), 1)
        ]


@pytest.mark.parametrize("stderr", ["closed", "broken", "stuck", "full"])
def test_a_log_that_takes_nothing_stops_no_work(bench: Bench, stderr: str) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.attempt == 1:
                raise ValueError("x" * 4000)
            note(change.new["value"])
        """,
        retry=Retry(attempts=2, first=0.01),
    )
    bench.send(*map(str, range(300)))
    reader, writer = os.pipe()
    if stderr == "broken":
        os.close(reader)
    if stderr == "full":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    command = f'exec "{sys.executable}" -m changelane work --drain'
    process = subprocess.Popen(
        ["sh", "-c", command + (" 2>&-" if stderr == "closed" else "")],
        cwd=bench.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(bench.folder), "DATABASE_URL": bench.url},
        stderr=writer,
    )
    os.close(writer)
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        if stderr == "stuck":
            os.close(reader)
    assert len(bench.notes) == 300


def test_threads_of_the_handlers_own_do_not_keep_the_process_and_are_named(bench: Bench) -> None:
    bench.declare(
        """
        import threading

        def handle(change: Change) -> None:
            threading.Thread(target=time.sleep, args=[600], name="forgotten", daemon=False).start()
        """
    )
    bench.send("1")
    began = time.monotonic()
    bench.drain(timeout=60)
    assert time.monotonic() - began < 30
    assert '"threads": ["forgotten"]' in bench.log
    with bench.worker("--grace", "1") as process:
        bench.send("1")
        bench.wait(lambda: not bench.queued)
        process.terminate()
        assert process.wait(30) == 0


def test_a_pool_of_threads_that_is_idle_ends_by_itself(bench: Bench) -> None:
    bench.declare(
        """
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(2)

        async def handle(change: Change) -> None:
            pool.submit(note, "done").result()
            await asyncio.to_thread(note, "done")
        """
    )
    bench.send("1")
    bench.drain()
    assert bench.notes == ["done", "done"]
    assert "not daemons" not in bench.log


KEEPS = """
    import ctypes
    def handle(change: Change) -> None:
        note("keeps")
        # PyDLL keeps the interpreter's lock while the call runs.
        ctypes.PyDLL(None).sleep(120)
"""
SOON = """
    import ctypes
    def handle(change: Change) -> None:
        note("keeps")
        while not Path("go").exists():
            time.sleep(0.02)
        ctypes.PyDLL(None).sleep(120)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_that_keeps_the_interpreters_lock_ends_with_the_process(bench: Bench, number: int) -> None:
    bench.declare(KEEPS)
    bench.send("1")
    with bench.worker("--grace", "1") as process:
        bench.wait(lambda: bench.notes == ["keeps"])
        time.sleep(0.5)
        process.send_signal(number)
        began = time.monotonic()
        assert process.wait(60) == -signal.SIGKILL, bench.log
        assert 1 < time.monotonic() - began < 1 + 5 + 5


def test_a_second_signal_ends_such_a_call_at_once(bench: Bench) -> None:
    bench.declare(KEEPS)
    bench.send("1")
    with bench.worker("--grace", "60") as process:
        bench.wait(lambda: bench.notes == ["keeps"])
        time.sleep(0.5)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert process.wait(30) == -signal.SIGKILL, bench.log


def test_a_call_that_takes_the_lock_after_the_signal_ends_with_the_process(bench: Bench) -> None:
    bench.declare(SOON)
    bench.send("1")
    with bench.worker("--grace", "3") as process:
        bench.wait(lambda: bench.notes == ["keeps"])
        process.send_signal(signal.SIGTERM)
        bench.wait(lambda: '"stopping"' in bench.log)
        (bench.folder / "go").touch()
        began = time.monotonic()
        assert process.wait(60) == 1, bench.log
        assert time.monotonic() - began < 3 + 5 + 5


def test_the_watcher_of_a_process_ends_with_it_and_is_no_child_of_it(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            try:
                os.wait()
            except ChildProcessError:
                note("no child")
        """
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes == ["no child"])
        watching = find_watching(bench.folder, besides=process.pid)
        assert len(watching) == 1
        process.kill()
        process.wait()
        bench.wait(lambda: not find_watching(bench.folder, besides=process.pid))


def find_watching(folder: Path, *, besides: int) -> list[int]:
    """Processes that are at home in the folder and have not ended."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if not place.name.isdigit() or int(place.name) == besides or (place / "cwd").readlink() != folder:
                continue
            if (place / "stat").read_text().rpartition(") ")[2][0] != "Z":
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_the_first_process_of_a_container_obeys_before_it_works(bench: Bench) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make a namespace of processes everywhere")
    bench.declare("def handle(change: Change) -> None: ...")
    (bench.folder / "handlers.py").write_text(
        "import time, pathlib\npathlib.Path('began').touch()\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "changelane", "work"],
        cwd=bench.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(bench.folder), "DATABASE_URL": bench.url},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            bench.wait(lambda: (bench.folder / "began").exists())
            (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(child), signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
        finally:
            process.kill()


@pytest.mark.parametrize(("processes", "code"), [("1", -signal.SIGINT), ("2", 130)])
def test_an_interrupt_that_an_import_swallows_ends_the_worker(
    bench: Bench, processes: str, code: int
) -> None:
    bench.declare("def handle(change: Change) -> None: ...")
    (bench.folder / "handlers.py").write_text(
        "import pathlib, sys, time\n"
        "def handle(change): ...\n"
        f"if {processes} == 1 or '--supervised' in sys.argv:\n"
        "    pathlib.Path('began').touch()\n"
        "    try:\n"
        "        time.sleep(600)\n"
        "    except BaseException:\n"
        "        time.sleep(600)\n"
    )
    with bench.worker("--processes", processes) as process:
        bench.wait(lambda: (bench.folder / "began").exists())
        process.send_signal(signal.SIGINT)
        assert process.wait(25) == code
    bench.wait(lambda: not find_watching(bench.folder, besides=0))


def read_processes(bench: Bench) -> list[int]:
    return [int(pid) for pid in re.findall(r'"pid": (\d+), "event": "working"', bench.log)]


HELD = """
    MEMORY = []

    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, os.getpid()])
        MEMORY.append(bytearray(SIZE))
        time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("size", "bound"),
    [
        ("0", ["--max-messages", "40"]),
        ("2_000_000", ["--max-memory", "160MB"]),
        ("0", ["--max-age", "1s"]),
    ],
)
def test_a_process_is_replaced_and_no_message_waits_for_that(
    bench: Bench, size: str, bound: list[str]
) -> None:
    bench.declare(
        HELD.replace("SIZE", size), mode="transactional", lease=3600, batch=10, concurrency=2,
        retry=Retry(attempts=1),
    )  # fmt: skip
    ids: list[int] = []
    with bench.worker("--processes", "2", *bound, "--grace", "10") as process:

        def replaced() -> bool:
            ids.extend(bench.send(*map(str, range(5))))
            time.sleep(0.05)
            return len(set(read_processes(bench))) >= 5

        bench.wait(replaced, seconds=60)
        bench.wait(lambda: not bench.queued, seconds=30)
        began = time.monotonic()
        process.terminate()
        assert process.wait(60) == 0
        assert time.monotonic() - began < 30
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]
    assert len({pid for (pid,) in bench.rows("SELECT value FROM effects")}) >= 3
    assert "to be replaced" in bench.log
    assert "ended; restarting" not in bench.log
    assert bench.dead == []


def test_a_process_that_is_replaced_finishes_what_it_began_however_long_that_takes(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 1:
                note("long began")
                while not Path("go").exists():
                    time.sleep(0.02)
            note(change.new["value"])
        """,
        lease=3600,
        retry=Retry(attempts=1),
    )
    bench.send("1", "2", "3")
    with bench.worker("--max-messages", "2", "--grace", "0", "--metrics-port", "0"):
        bench.wait(lambda: len(set(read_processes(bench))) >= 2)
        bench.wait(lambda: "finishing" in bench.log)
        bench.send("4")
        bench.wait(lambda: "4" in bench.notes)
        (bench.folder / "go").touch()
        bench.wait(lambda: "1" in bench.notes and not bench.queued)
    assert sorted(bench.notes) == ["1", "2", "3", "4", "long began"]


def test_a_port_is_handed_on_to_the_process_that_takes_the_place(bench: Bench) -> None:
    from test_work_metrics import fetch, find_ports

    bench.declare("def handle(change: Change) -> None: ...")
    port = find_ports(1)
    with bench.worker("--max-messages", "5", "--metrics-port", str(port)):
        bench.wait(lambda: read_processes(bench))
        bench.send("1", "2", "3", "4", "5")
        bench.wait(lambda: "finishing" in bench.log)
        bench.wait(lambda: fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200)
    assert "cannot listen" not in bench.log


@pytest.mark.parametrize("bound", [["--max-memory", "5 apples"], ["--max-age", "0"], ["--max-messages", "0"]])
def test_a_wrong_bound_is_refused(bench: Bench, bound: list[str]) -> None:
    bench.declare("def handle(change: Change) -> None: ...")
    with bench.worker(*bound) as process:
        assert process.wait(30) == 1
    assert bound[0] in bench.log
    assert "Traceback" not in bench.log
