"""Killed and stopped workers: no message is lost or done twice, and no message is suspected wrongly."""

from __future__ import annotations

import signal

from support.workers import Bench

from changelane.contract.manifest import Retry

SLOW_ONCE = """
    def handle(change: Change, tx: psycopg.Connection) -> None:
        tx.execute("INSERT INTO effects VALUES (%s, %s)", [change.msg_id, change.new["value"]])
        try:
            Path("once").touch(exist_ok=False)
        except FileExistsError:
            return
        note("slow")
        time.sleep(SLEEP)
"""


def test_a_killed_worker_leaves_its_messages_to_be_done_exactly_once(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "60"), mode="transactional", lease=1, batch=10, concurrency=2)
    ids = bench.send(*map(str, range(10)))
    with bench.worker() as process:
        bench.wait(lambda: bench.count("effects") >= 5)
        process.kill()
    bench.drain()
    assert sorted(bench.rows("SELECT msg_id FROM effects")) == [(msg_id,) for msg_id in ids]
    assert bench.dead == []


def test_a_worker_stopped_past_its_lease_acks_no_message_of_another_worker(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "0.5"), mode="transactional", lease=1, concurrency=1)
    bench.send("1")
    with bench.worker() as stale:
        bench.wait(lambda: bench.notes)
        stale.send_signal(signal.SIGSTOP)
        bench.drain()
        assert bench.count("effects") == 1
        stale.send_signal(signal.SIGCONT)
        stale.send_signal(signal.SIGTERM)
        assert stale.wait(30) == 0
    assert bench.count("effects") == 1
    assert '"lost": 1' in bench.log


def test_a_stale_worker_leaves_alone_a_message_that_another_still_holds(bench: Bench) -> None:
    bench.declare(SLOW_ONCE.replace("SLEEP", "0.5"), mode="transactional", lease=1, concurrency=1)
    (msg_id,) = bench.send("1")
    with bench.worker() as stale:
        bench.wait(lambda: bench.notes)
        stale.send_signal(signal.SIGSTOP)
        bench.wait(lambda: bench.rows("SELECT FROM pgmq.q_jobs WHERE vt < clock_timestamp()"))
        # Another consumer reads it by pgmq's own function.
        bench.conn.execute("SELECT pgmq.read('jobs', 3600, 1)")
        held = bench.rows("SELECT msg_id, read_ct, vt, headers FROM pgmq.q_jobs")
        stale.send_signal(signal.SIGCONT)
        stale.send_signal(signal.SIGTERM)
        assert stale.wait(30) == 0
    assert bench.rows("SELECT msg_id, read_ct, vt, headers FROM pgmq.q_jobs") == held
    assert bench.count("effects") == 0
    assert held[0][:2] == (msg_id, 2)


def test_a_handler_longer_than_its_lease_keeps_its_message(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.msg_id)
            time.sleep(2.5)
        """,
        lease=1,
        batch=4,
        concurrency=1,
    )
    ids = bench.send("1", "2")
    with bench.worker("--drain") as first, bench.worker("--drain") as second:
        assert (first.wait(20), second.wait(20)) == (0, 0)
    assert sorted(bench.notes) == [str(msg_id) for msg_id in ids]


def test_sigterm_releases_messages_that_no_handler_took_without_an_attempt(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            note(change.attempt)
            time.sleep(1)
        """,
        batch=10,
        concurrency=1,
        lease=3600,
        retry=Retry(attempts=1),
    )
    first, *rest = bench.send(*map(str, range(5)))
    for begun in (1, 2):
        with bench.worker() as process:
            bench.wait(lambda begun=begun: len(bench.notes) == begun)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert set(bench.notes) == {"1"}
    left = bench.rows("SELECT msg_id, headers->'changelane'->'attempts', vt <= now() FROM pgmq.q_jobs")
    assert len(left) >= 2
    assert {row[0] for row in left} < set(rest)
    assert {row[1:] for row in left} == {(0, True)}
    assert bench.dead == []
    assert first not in {row[0] for row in left}


def test_past_the_grace_a_running_async_handler_is_cancelled_and_released(bench: Bench) -> None:
    bench.declare(
        """
        async def handle(change: Change) -> None:
            note("began")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                note("cancelled")
                raise
        """,
        lease=3600,
    )
    bench.send("1")
    with bench.worker("--grace", "0.2") as process:
        bench.wait(lambda: bench.notes)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert bench.notes == ["began", "cancelled"]
    assert bench.rows("SELECT vt <= now(), headers->'changelane'->'released' FROM pgmq.q_jobs") == [(True, 1)]


def test_a_second_signal_ends_a_blocked_worker_at_once(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change, tx: psycopg.Connection) -> None:
            tx.execute("INSERT INTO effects VALUES (1, 1)")
            note("began")
            time.sleep(60)
        """,
        mode="transactional",
        lease=3600,
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        process.send_signal(signal.SIGINT)
        bench.wait(lambda: '"stopping"' in bench.log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert bench.rows("SELECT FROM pgmq.q_jobs WHERE vt <= now()")
    assert bench.count("effects") == 0


def test_a_message_that_kills_its_worker_becomes_the_only_dead_letter(
    bench: Bench,
) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0:
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
            note(change.msg_id)
        """,
        lease=1,
        batch=10,
        concurrency=2,
        retry=Retry(attempts=2, first=0.1),
    )
    _, *others = bench.send("0", "1", "2", "3")
    assert drain_despite_deaths(bench) == 4
    assert {str(msg_id) for msg_id in others} == set(bench.notes)
    (headers,) = bench.dead
    assert headers["dead_letter"]["attempts"] == 2
    assert "vanished" in headers["dead_letter"]["error"]


def test_a_message_that_kills_its_worker_blames_no_slow_one_that_runs_beside_it(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0:
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.6)
            note(change.attempt)
        """,
        lease=1,
        batch=10,
        concurrency=3,
        retry=Retry(attempts=2, first=0.1),
    )
    bench.send("0", "1", "2")
    drain_despite_deaths(bench)
    assert bench.notes == ["1", "1"]
    assert [headers["dead_letter"]["msg_id"] for headers in bench.dead] == [1]


def drain_despite_deaths(bench: Bench) -> int:
    """Drain with a new worker after each that died; returns how many did."""
    for deaths in range(10):
        with bench.worker("--drain") as process:
            code = process.wait(30)
        if code == 0:
            return deaths
    raise AssertionError(bench.log)


def test_suspects_are_handled_while_other_work_keeps_coming(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 0 and not Path("died").exists():
                Path("died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            note(change.new["value"])
            if change.new["value"] == 0:
                Path("done").touch()
            elif not Path("done").exists():
                with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
                    conn.execute("SELECT pgmq.send('jobs', %s::jsonb, %s::jsonb)", [COPY, ROUTE])

        COPY = '''{"op": "insert", "schema": "public", "table": "things", "new": {"value": 1},
            "txid": "7", "at": "2026-11-22T18:54:03+00:00"}'''
        ROUTE = '{"route": "things"}'
        """,
        lease=1,
        batch=4,
        concurrency=1,
    )
    bench.send("0")
    with bench.worker() as process:
        process.wait(20)
    bench.send("1", "1", "1", "1", "1", "1", "1", "1")
    bench.drain()
    assert bench.notes.count("0") == 1


def test_new_messages_are_taken_while_a_long_handler_runs(bench: Bench) -> None:
    bench.declare(
        """
        def handle(change: Change) -> None:
            if change.new["value"] == 1:
                note("long began")
                while not Path("quick").exists():
                    time.sleep(0.05)
                note("long ended")
            else:
                note("quick")
                Path("quick").touch()
        """
    )
    bench.send("1")
    with bench.worker("--drain") as process:
        bench.wait(lambda: bench.notes)
        bench.send("2")
        assert process.wait(20) == 0
    assert bench.notes == ["long began", "quick", "long ended"]


def test_children_end_when_their_parent_is_killed(bench: Bench) -> None:
    bench.declare("def handle(change: Change) -> None: note(os.getpid())")
    with bench.worker("--processes", "2") as process:
        bench.wait(lambda: bench.log.count('"working"') == 2)
        process.kill()
    bench.wait(lambda: bench.log.count('"stopped"') == 2)


def test_a_signal_that_comes_once_more_while_it_ends_does_not_change_how(bench: Bench) -> None:
    bench.declare(
        """
        import atexit

        @atexit.register
        def last():
            for number in (signal.SIGTERM, signal.SIGINT):
                note(signal.getsignal(number) is signal.SIG_IGN)

        def handle(change: Change) -> None:
            note("handled")
        """
    )
    bench.send("1")
    with bench.worker() as process:
        bench.wait(lambda: bench.notes)
        process.terminate()
        assert process.wait(20) == 0
    assert bench.notes == ["handled", "True", "True"]
