"""`keep` of dead letters: workers and people prune them by age, and prune nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import Declared, bring, declare
from support.workers import Bench

from changelane.contract.manifest import DeadLetters
from changelane.runner.queue.pruning import prune_letters

Connection = psycopg.Connection[TupleRow]
RunChangelane = Callable[..., CompletedProcess[str]]

SPEC = """
version: 1
project: shop
queues:
  events: {dead_letter: gone, dead_letters: {keep: 90 days, alarm: 100}}
  others: {}
"""
LETTERS = """
    SELECT msg_id FROM pgmq.send_batch('gone', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, %s)))
        AS sent (msg_id)
"""
AGE = """
    UPDATE pgmq.q_gone
    SET enqueued_at = enqueued_at - %(age)s::interval, vt = vt - %(age)s::interval * %(unread)s::int
    WHERE msg_id BETWEEN %(first)s AND %(last)s
"""


@pytest.fixture
def declared(conn: Connection, tmp_path: Path) -> Declared:
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    return declared


def fill(conn: Connection, count: int) -> None:
    conn.execute(LETTERS, [count])


def age(conn: Connection, span: str, first: int, last: int, *, unread: bool = True) -> None:
    conn.execute(AGE, {"age": span, "first": first, "last": last, "unread": unread})


def list_letters(conn: Connection) -> list[int]:
    return [row[0] for row in conn.execute("SELECT msg_id FROM pgmq.q_gone ORDER BY msg_id").fetchall()]


DAY = 86400


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize("unread", [True, False])
def test_only_those_that_are_old_and_not_leased_are_pruned_in_batches(conn: Connection, unread: bool) -> None:
    fill(conn, 8)
    age(conn, "91 days", 1, 5, unread=unread)
    age(conn, "89 days", 6, 7, unread=unread)
    conn.execute("UPDATE pgmq.q_gone SET vt = now() + interval '1 minute' WHERE msg_id = 2")
    assert [prune_letters(conn, queue="gone", keep=90 * DAY, limit=3) for _ in range(3)] == [
        *([3, 1, 0] if unread else [2, 2, 0]),
    ]
    assert list_letters(conn) == [2, 6, 7, 8]
    conn.execute("UPDATE pgmq.q_gone SET vt = now() WHERE msg_id = 2")
    assert prune_letters(conn, queue="gone", keep=90 * DAY, limit=3) == 1


@pytest.mark.usefixtures("declared")
def test_dead_letters_with_repeated_ids_and_strange_times_are_listed(conn: Connection) -> None:
    fill(conn, 6)
    age(conn, "91 days", 5, 6)
    conn.execute("UPDATE pgmq.q_gone SET enqueued_at = '-infinity', vt = '-infinity' WHERE msg_id = 1")
    conn.execute("UPDATE pgmq.q_gone SET enqueued_at = 'infinity', vt = 'infinity' WHERE msg_id = 2")
    assert [prune_letters(conn, queue="gone", keep=90 * DAY, limit=1) for _ in range(3)] == [1, 1, 0]
    assert list_letters(conn) == [1, 2, 3, 4]


@pytest.mark.usefixtures("declared")
def test_one_process_prunes_at_a_time_and_reads_no_more_than_it_deletes(
    conn: Connection, database: str
) -> None:
    fill(conn, 20_000)
    age(conn, "91 days", 1, 10)
    conn.execute("VACUUM ANALYZE pgmq.q_gone")
    reads = "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname = 'q_gone'"
    with psycopg.connect(database) as other, other.transaction(force_rollback=True):
        assert prune_letters(other, queue="gone", keep=90 * DAY) == 10
        assert prune_letters(conn, queue="gone", keep=90 * DAY) is None
        assert other.execute(reads).fetchone() == (0,)
    with conn.transaction():
        assert prune_letters(conn, queue="gone", keep=90 * DAY) == 10


@pytest.mark.usefixtures("declared")
def test_maintain_prunes_them_and_says_how_many(conn: Connection, run_changelane: RunChangelane) -> None:
    fill(conn, 2105)
    age(conn, "91 days", 1, 2100)
    done = run_changelane("maintain")
    assert (done.returncode, done.stdout) == (0, "Project shop\nevents: 2,100 dead letters pruned\n"), (
        done.stderr
    )
    assert len(list_letters(conn)) == 5
    done = run_changelane("maintain", "--format", "json")
    (told,) = json.loads(done.stdout)["queues"]
    assert (told["queue"], told["pruned"], told["letters"]) == ("events", 0, 0)


def test_without_keep_no_dead_letter_is_pruned(
    conn: Connection, declared: Declared, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    fill(conn, 3)
    age(conn, "9000 days", 1, 3)
    bring(conn, declare(conn, tmp_path, SPEC.replace("keep: 90 days, ", "")))
    assert "No queue has an archive or dead letters to prune" in run_changelane("maintain").stdout
    assert len(list_letters(conn)) == 3


def test_keep_of_dead_letters_reaches_workers_and_is_no_step_of_a_plan(
    conn: Connection, declared: Declared, tmp_path: Path
) -> None:
    spec = f"{SPEC}consumers:\n  events: {{handler: 'm:f'}}\n"
    (consumer,) = declare(conn, tmp_path, spec).manifest.consumers
    assert consumer.dead_letters == DeadLetters(keep=90 * DAY, alarm=100)
    again = declare(conn, tmp_path, SPEC.replace("90 days", "80 days"))
    assert [queue.spec for queue in again.manifest.queues] == [
        queue.spec for queue in declared.manifest.queues
    ]


def test_workers_prune_dead_letters_older_than_declared(
    conn: Connection, database: str, tmp_path: Path
) -> None:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare("def handle(change: Change) -> None: ...", dead_letters=DeadLetters(keep=3600))
    conn.execute(LETTERS.replace("gone", "jobs_dlq").encode(), [2500])
    conn.execute("UPDATE pgmq.q_jobs_dlq SET enqueued_at = now() - interval '61 minutes' WHERE msg_id > 3")
    conn.execute("UPDATE pgmq.q_jobs_dlq SET enqueued_at = now() - interval '59 minutes' WHERE msg_id = 1")
    with bench.worker():
        bench.wait(lambda: '"dead letters pruned"' in bench.log)
    assert bench.rows("SELECT msg_id FROM pgmq.q_jobs_dlq ORDER BY msg_id") == [(1,), (2,), (3,)]


def test_a_worker_says_which_right_it_lacks_to_prune(conn: Connection, database: str, tmp_path: Path) -> None:
    bench = Bench(conn=conn, url=database, folder=tmp_path)
    bench.declare("def handle(change: Change) -> None: ...", dead_letters=DeadLetters(keep=3600))
    with lend_roles(conn, ["worker"]) as roles:
        role = roles["worker"]
        conn.execute(f"GRANT USAGE ON SCHEMA pgmq TO {role}".encode())
        conn.execute(f"GRANT SELECT, UPDATE, DELETE ON pgmq.q_jobs TO {role}".encode())
        conn.execute(f"GRANT INSERT ON pgmq.q_jobs_dlq TO {role}".encode())
        bench.url = f"{database}{'&' if '?' in database else '?'}options=-crole%3D{role}"
        with bench.worker() as process:
            assert process.wait(30) == 1
        assert f'GRANT DELETE, SELECT ON pgmq.q_jobs_dlq TO "{role}"' in bench.log
