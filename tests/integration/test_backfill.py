"""Backfills: existing rows are sent once, in the form of captured rows, also under faults and writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import bring, declare

Connection = psycopg.Connection[Any]
SPEC = """
version: 1
project: shop
queues:
  a: {}
  b: {}
routes:
  - name: rows
    table: public.t
    events: [insert, update]
    when: new.wanted
    payload:
      exclude: [secret]
      mask: {email: sha256, iban: redact}
      extra: {how: "op || ':' || new.id"}
      max_bytes: 2 kB
    queues: [a, b]
consumers:
  b:
    handler: handlers:handle
    ordering: key
"""
TABLE = """
CREATE TABLE t (
    id bigint, part "char", email text, iban text, secret text, wanted bool DEFAULT true,
    at timestamptz DEFAULT '2026-01-01 00:00:00.123456+02',
    raw bytea DEFAULT '\\xdead', span interval DEFAULT '1 day',
    PRIMARY KEY (part, id)
)
"""


def fill(conn: Connection, first: int, last: int) -> None:
    conn.execute(
        "INSERT INTO t (id, part, email, iban, secret) "
        "SELECT n, chr(97 + n %% 3)::\"char\", 'e' || n, 'i', 's' "
        "FROM generate_series(%s::int, %s::int) AS n",
        [first, last],
    )


def read(conn: Connection, queue: str) -> list[dict[str, Any]]:
    query = psycopg.sql.SQL("SELECT message FROM {} ORDER BY msg_id").format(
        psycopg.sql.Identifier("pgmq", f"q_{queue}")
    )
    return [row[0] for row in conn.execute(query)]


def strip(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in ("id", "op", "at", "txid", "extra")}


@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_a_snapshot_says_the_same_as_the_insert(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, send: str
) -> None:
    conn.execute(TABLE.encode())
    bring(conn, declare(conn, tmp_path, SPEC.replace("queues: [a, b]", f"queues: [a, b]\n    send: {send}")))
    fill(conn, 1, 25)
    conn.execute("INSERT INTO t (id, part, wanted) VALUES (26, 'a', false)")
    conn.execute("INSERT INTO t (id, part, email) VALUES (27, 'a', repeat(md5('x'), 100))")
    captured = {queue: read(conn, queue) for queue in "ab"}
    conn.execute("DELETE FROM pgmq.q_a; DELETE FROM pgmq.q_b")
    conn.execute(f"ALTER DATABASE {conn.info.dbname} SET bytea_output = escape".encode())
    found = run_changelane("backfill", "rows", "--chunk", "7")
    assert found.returncode == 0, found.stderr
    assert found.stdout == "27 rows of public.t read, and sent as route rows sends them.\n"
    for queue in "ab":
        sent = read(conn, queue)
        assert {message["op"] for message in sent} == {"snapshot"}
        order = sorted(captured[queue], key=lambda message: (message["key"]["part"], message["key"]["id"]))
        assert [strip(message) for message in sent] == [strip(message) for message in order]
        assert all(
            message.get("truncated") or message["extra"]["how"] == f"snapshot:{message['key']['id']}"
            for message in sent
        )
    row = conn.execute(
        "SELECT count(*) FROM pgmq.q_b WHERE headers->>'x-pgmq-group' = message->>'key'"
    ).fetchone()
    assert row == (len(captured["b"]),)
    assert conn.execute("SELECT FROM changelane.progress").fetchall() == []


def test_a_killed_backfill_goes_on_and_sends_each_row_once(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    fill(conn, 1, 3000)
    bring(conn, declare(conn, tmp_path, SPEC))
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "backfill", "rows", "--chunk", "20"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATABASE_URL": database},
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        before = len(read(conn, "a"))
        while process.poll() is None and len(read(conn, "a")) < before + 200:
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    done = run_changelane("backfill", "rows")
    assert done.returncode == 0, done.stderr
    ids = Counter(message["key"]["id"] for message in read(conn, "a"))
    assert ids == Counter(range(1, 3001))


def test_a_backfill_of_another_request_is_not_mixed_with_one_that_was_cut_short(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    fill(conn, 1, 10)
    bring(conn, declare(conn, tmp_path, SPEC))
    conn.execute(
        "INSERT INTO changelane.progress (task, asked) VALUES ('backfill shop rows public.t', %s)",
        ['{"where": "new.id > 5"}'],
    )
    refused = run_changelane("backfill", "rows")
    assert refused.returncode == 1
    assert "other options was interrupted: --where new.id > 5" in refused.stderr
    assert "10 rows" in run_changelane("backfill", "rows", "--restart").stdout


def test_rows_are_chosen_by_an_expression(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    fill(conn, 1, 50)
    bring(conn, declare(conn, tmp_path, SPEC))
    found = run_changelane("backfill", "rows", "--where", "new.id % 10 = 0", "--chunk", "3")
    assert found.returncode == 0, found.stderr
    assert sorted(message["key"]["id"] for message in read(conn, "a")) == [10, 20, 30, 40, 50]
    for wrong in ("old.id = 1", "new.nothing = 1", "true) OR (true", "(SELECT true)", "true; DROP TABLE t"):
        refused = run_changelane("backfill", "rows", "--where", wrong)
        assert refused.returncode == 1
        assert "--where" in refused.stderr


def test_a_change_made_meanwhile_is_sent_after_the_snapshot_of_its_row(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0, wanted bool DEFAULT true)")
    conn.execute("INSERT INTO t SELECT n FROM generate_series(1, 2000) AS n")
    spec = """
version: 1
project: shop
queues: {a: {}}
routes:
  - {name: rows, table: public.t, events: [update], queue: a}
"""
    bring(conn, declare(conn, tmp_path, spec))
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as writer:
            while not stop.is_set():
                writer.execute("UPDATE t SET n = n + 1 WHERE id = 1 + (random() * 1999)::int")

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        found = run_changelane("backfill", "rows", "--chunk", "50")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert found.returncode == 0, found.stderr
    state: dict[int, int] = {}
    for message in read(conn, "a"):
        new = message["new"]
        assert new["n"] >= state.get(new["id"], 0)
        state[new["id"]] = new["n"]
    assert state == dict(conn.execute("SELECT id, n FROM t").fetchall())


def test_every_kind_of_table_is_read_whole(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(
        'CREATE TABLE "Odd "" %s {x}" ("The Key" text PRIMARY KEY, made int GENERATED ALWAYS AS (1) STORED)'
    )
    conn.execute("""INSERT INTO "Odd "" %s {x}" VALUES ('it''s'), ('{}'), ('%s'), (E'\\\\'), ('"'), ('')""")
    conn.execute("CREATE TABLE p (id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)")
    conn.execute("CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a')")
    conn.execute("CREATE TABLE p_rest PARTITION OF p DEFAULT")
    conn.execute("INSERT INTO p SELECT n, chr(97 + n % 3) FROM generate_series(1, 30) AS n")
    conn.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)"
    )
    conn.execute("INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (3), (4), (5)")
    spec = """
version: 1
project: shop
queues: {a: {}}
routes:
  - name: rows
    tables: ['public."Odd "" %s {x}"', public.p, public.parent]
    events: [insert]
    queue: a
"""
    bring(conn, declare(conn, tmp_path, spec))
    found = run_changelane("backfill", "rows", "--chunk", "2")
    assert found.returncode == 0, found.stderr
    by_table = Counter(message["table"] for message in read(conn, "a"))
    assert by_table == {'Odd " %s {x}': 6, "p": 30, "parent": 5}
    assert len({str(message["key"]) for message in read(conn, "a")}) == 41


def test_a_message_that_cannot_be_sent_is_refused_before_any_is_sent(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    conn.execute("CREATE TABLE keyless (id int)")
    spec = SPEC + ""
    spec = spec.replace(
        "consumers:", "  - {name: loose, table: public.keyless, events: [insert], queue: a}\nconsumers:"
    )
    declared = declare(conn, tmp_path, spec)
    assert "run `changelane apply` first" in run_changelane("backfill", "rows").stderr
    bring(conn, declared)
    assert "no primary key to go by: public.keyless" in run_changelane("backfill", "loose").stderr
    assert "did you mean `rows`?" in run_changelane("backfill", "row").stderr
    assert "captures no table public.x" in run_changelane("backfill", "rows", "--table", "public.x").stderr
    conn.execute("ALTER TABLE t DISABLE TRIGGER ALL")
    assert "is disabled" in run_changelane("backfill", "rows").stderr


def test_a_locked_row_is_waited_for_and_then_given_up(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    fill(conn, 1, 9)
    bring(conn, declare(conn, tmp_path, SPEC))
    with psycopg.connect(database) as holder:
        holder.execute("UPDATE t SET email = 'x' WHERE id = 8")
        stopped = run_changelane("backfill", "rows", "--chunk", "3", "--max-wait", "0s")
        assert stopped.returncode == 75
        assert "locked by others" in stopped.stderr
    assert run_changelane("backfill", "rows").returncode == 0
    # One more for the update, if it was committed.
    assert Counter(message["op"] for message in read(conn, "a"))["snapshot"] == 9


def test_a_deep_queue_is_waited_for(
    conn: Connection, database: str, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    fill(conn, 1, 10)
    bring(conn, declare(conn, tmp_path, SPEC))
    done: list[subprocess.CompletedProcess[str]] = []
    thread = threading.Thread(
        target=lambda: done.append(run_changelane("backfill", "rows", "--chunk", "4", "--max-depth", "4"))
    )
    thread.start()
    taken = 0
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        depth = len(read(conn, "a"))
        assert depth <= 8
        taken += conn.execute("DELETE FROM pgmq.q_a").rowcount
        conn.execute("DELETE FROM pgmq.q_b")
        time.sleep(0.05)
    thread.join()
    assert done[0].returncode == 0, done[0].stderr
    assert taken + len(read(conn, "a")) == 10


def test_the_sql_of_a_backfill_can_be_read_first(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane
) -> None:
    conn.execute(TABLE.encode())
    declare(conn, tmp_path, SPEC)
    shown = run_changelane("backfill", "rows", "--sql").stdout
    assert "changelane.message('snapshot'" in shown
    assert "secret" not in shown.replace("'{secret}'", "").replace("ARRAY['secret']", "")
