"""``changelane grants``: a worker needs all the printed grants in each mode, and no others."""

from __future__ import annotations

import logging
import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare

from changelane.change import Change
from changelane.errors import ChangelaneError
from changelane.runner.live.database import connect
from changelane.runner.queue import pruning, worked
from changelane.runner.queue.worker_rights import describe_lack, list_worker_grants
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.process import worker as workers

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  jobs: {{{queue}}}
routes:
  - {{name: orders, table: public.orders, events: [insert], queue: jobs}}
consumers:
  jobs: {{handler: handlers:on_change, {consumer}}}
"""
MODES = {
    "at_least_once": ("", "mode: at_least_once"),
    "transactional": ("", "mode: transactional"),
    "ordered": ("", "mode: transactional, ordering: key"),
    "archived": ("archive: {keep: 30 days}", "mode: at_least_once"),
    "exhausted": ("", "mode: at_least_once, on_exhausted: archive"),
    "blocking": ("", "mode: transactional, ordering: key, on_exhausted: block"),
    "letters": ("dead_letters: {keep: 30 days}", "mode: at_least_once"),
}


@pytest.fixture
def role(conn: Connection) -> Iterator[str]:
    name = f"worker_{uuid.uuid4().hex[:8]}"
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
    yield name
    conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(name)))


def prepare(conn: Connection, folder: Path, *, queue: str, consumer: str) -> Declared:
    conn.execute("CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY)")
    consumer += ", retry: {attempts: 2, first: 100ms, max: 100ms}"
    declared = declare(conn, folder, SPEC.format(queue=queue, consumer=consumer))
    bring(conn, declared)
    return declared


def work(declared: Declared, url: str) -> int:
    """Drain the queue, in which the change of order 2 always fails; returns the exit code."""

    def handle(change: Change) -> None:
        if change.new and change.new["id"] == 2:
            raise ValueError("no")

    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    known = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    (spec,) = declared.manifest.consumers
    plan = HandlerPlan(spec, Handler(function=handle, asynchronous=False, transaction=False))
    try:
        return workers.Worker(
            specs=[spec],
            sinks={"jobs": plan},
            conninfo=url,
            drain=True,
            grace=1.0,
            log=structlog.wrap_logger(logging.getLogger("grants"), wrapper_class=quiet),
        ).run()
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


def count(conn: Connection, table: str) -> int:
    row = conn.execute(sql.SQL("SELECT count(*) FROM pgmq.{}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("mode", MODES)
def test_a_worker_works_with_exactly_these(
    conn: Connection, database: str, tmp_path: Path, role: str, mode: str
) -> None:
    queue, consumer = MODES[mode]
    declared = prepare(conn, tmp_path, queue=queue, consumer=consumer)
    for grant in list_worker_grants(conn, declared.manifest.consumers, role=role):
        conn.execute(grant.encode())
    conn.execute("INSERT INTO orders VALUES (1), (2), (3)")
    url = make_conninfo(database, user=role)
    if mode == "blocking":
        with pytest.raises(ChangelaneError, match="block their keys"):
            work(declared, url)
    else:
        assert work(declared, url) == 0
    left = {"blocking": (1, 0, 0), "archived": (0, 2, 1), "exhausted": (0, 1, 0)}.get(mode, (0, 0, 1))
    assert (count(conn, "q_jobs"), count(conn, "a_jobs"), count(conn, "q_jobs_dlq")) == left


def split(grant: str) -> Iterator[str]:
    """The REVOKE statements for a GRANT of several privileges and columns, one for each."""
    found = re.fullmatch(r"GRANT (.+) ON (.+) TO (.+)", grant)
    assert found is not None
    privileges, place, role = found.groups()
    for privilege, columns in re.findall(r"([A-Z]+)(?: \((.+?)\))?", privileges):
        for column in columns.split(", ") if columns else [""]:
            yield f"REVOKE {privilege}{f' ({column})' if column else ''} ON {place} FROM {role}"


def drain(declared: Declared, conn: Connection, url: str, *, seconds: int = 5) -> tuple[int, int, int] | None:
    """The messages left of three, of which one fails. None if the worker does not start."""
    conn.execute(
        "TRUNCATE pgmq.q_jobs, pgmq.a_jobs, pgmq.q_jobs_dlq, orders; INSERT INTO orders VALUES (1), (2)"
    )

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    known = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        work(declared, url)
        with connect(url) as worker:
            pruning.prune(worker, queue="jobs", keep=86400, limit=1)
            pruning.prune_letters(worker, queue="jobs_dlq", keep=86400, limit=1)
    except (ChangelaneError, psycopg.Error, TimeoutError):
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, known)
    return count(conn, "q_jobs"), count(conn, "a_jobs"), count(conn, "q_jobs_dlq")


def test_nothing_that_it_prints_is_superfluous(
    conn: Connection, database: str, tmp_path: Path, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = "archive: {keep: 30 days}, dead_letters: {keep: 30 days}"
    declared = prepare(conn, tmp_path, queue=queue, consumer="mode: at_least_once")
    # It would refuse, whether the right is needed or not.
    monkeypatch.setattr(worked, "check_rights", lambda *arguments: None)
    url = make_conninfo(database, user=role)
    grants = list_worker_grants(conn, declared.manifest.consumers, role=role)
    for grant in grants:
        conn.execute(grant.encode())
    assert drain(declared, conn, url, seconds=60) == (0, 1, 1)
    superfluous = []
    for grant in grants:
        for revoke in split(grant):
            conn.execute(revoke.encode())
            with connect(url) as worker:
                asleep = describe_lack(worker).startswith("schema changelane is there")
            if not asleep and drain(declared, conn, url) == (0, 1, 1):
                superfluous.append(revoke)
            conn.execute(grant.encode())
    assert superfluous == []


def test_a_sequence_is_granted_where_ids_have_a_plain_default(
    conn: Connection, database: str, tmp_path: Path, role: str
) -> None:
    declared = prepare(conn, tmp_path, queue="", consumer="mode: at_least_once")
    conn.execute(
        "ALTER TABLE pgmq.q_jobs_dlq ALTER msg_id DROP IDENTITY; CREATE SEQUENCE pgmq.letters;"
        "ALTER TABLE pgmq.q_jobs_dlq ALTER msg_id SET DEFAULT nextval('pgmq.letters')"
    )
    grants = list_worker_grants(conn, declared.manifest.consumers, role=role)
    assert f'GRANT USAGE ON SEQUENCE pgmq.letters TO "{role}"' in grants
    for grant in grants:
        conn.execute(grant.encode())
    conn.execute("INSERT INTO orders VALUES (1), (2)")
    assert work(declared, make_conninfo(database, user=role)) == 0
    assert count(conn, "q_jobs_dlq") == 1


def test_the_command_prints_statements_and_says_what_they_do_not_open(
    conn: Connection, tmp_path: Path, role: str, run_changelane: RunChangelane
) -> None:
    access = f"access: [{{role: {role}, allow: [read]}}]"
    declared = prepare(conn, tmp_path, queue=access, consumer="mode: at_least_once")
    found = run_changelane("grants", "--role", 'new "one"')
    assert found.returncode == 0, found.stderr
    expected = list_worker_grants(conn, declared.manifest.consumers, role='new "one"')
    assert found.stdout == "".join(f"{grant};\n" for grant in expected)
    assert expected[0].endswith('TO "new ""one"""')
    assert "queue jobs has `access`, so row security hides its messages" in found.stderr
    unknown = run_changelane("grants", "job", "--role", role)
    assert unknown.returncode == 1
    assert "no consumer is declared for queue job" in unknown.stderr
    conn.execute("SELECT pgmq.drop_queue('jobs')")
    gone = run_changelane("grants", "--role", role)
    assert "queue jobs is not there" in gone.stderr
    assert "run `changelane apply` first" in gone.stderr
