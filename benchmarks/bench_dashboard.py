"""How long each page of the dashboard takes over a deep queue.

    python benchmarks/bench_dashboard.py [--messages 1000000] [--rounds 5]

A server of its own holds a queue of so many messages, as many in its archive, and as many dead letters, and
the history of a week of twenty queues.
Each page is asked for in turn, ``rounds`` times; the median counts. The target is 300 ms.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from changelane.contract.schema import SCHEMA_SQL
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.local import server

TARGET = 0.3
FILL = """
    INSERT INTO pgmq.{table} (vt, read_ct, message, headers)
    SELECT now() + CASE number %% 10 WHEN 0 THEN interval '1 day' ELSE interval '0' END,
        (number %% 7 = 0)::int,
        jsonb_build_object('op', 'insert', 'schema', 'public', 'table', 'orders',
            'key', jsonb_build_object('id', number),
            'new', jsonb_build_object('id', number, 'name', md5(number::text))),
        jsonb_build_object('x-pgmq-group', (number %% 1000)::text, 'dead_letter', jsonb_build_object(
            'queue', 'deep', 'msg_id', number, 'attempts', 3, 'error', 'ValueError: no', 'traceback', '...'))
    FROM generate_series(1, %s) AS number
"""
ARCHIVE = """
    INSERT INTO pgmq.a_deep (msg_id, vt, message, headers)
    SELECT msg_id, vt, message, headers FROM pgmq.q_deep
"""
HISTORY = """
    INSERT INTO changelane.history
    SELECT CASE number WHEN 1 THEN 'deep' ELSE 'other' || number END, seconds, at, 60, 1, 1, 60,
        extract(epoch FROM at)::bigint, array_fill(3, ARRAY[17]), array_fill(3, ARRAY[17])
    FROM generate_series(1, 20) AS number, (
        SELECT 60 AS seconds, now() - n * interval '1 minute' AS at FROM generate_series(1, 1440) AS n
        UNION ALL SELECT 900, now() - n * interval '15 minutes' FROM generate_series(97, 768) AS n
    ) AS spans
"""
PAGES = (
    "/",
    "/?range=24h",
    "/?range=7d",
    "/workers",
    "/queues",
    "/queues/deep",
    "/queues/deep?range=7d",
    "/queues/deep?msg_id=500000",
    "/queues/deep?order=newest",
    "/queues/deep?state=available",
    "/queues/deep?state=delayed",
    "/queues/deep?state=leased",
    "/queues/deep?state=blocked",
    "/queues/deep?state=archived",
    "/queues/deep?state=archived&order=newest",
    "/queues/deep?after=500000",
    "/queues/deep?state=available&after=900000",
    "/queues/deep?state=archived&after=900000",
    "/queues/deep?text=nothing-is-like-this",
    "/queues/deep?text=nothing-is-like-this&order=newest",
    "/queues/deep?text=nothing-is-like-this&state=archived",
    "/queues/deep?key=77",
    "/queues/deep?key=nothing&state=delayed",
    "/queues/deep?since=2001-01-01T00:00",
    "/queues/deep?since=2099-01-01T00:00",
    "/queues/deep?until=2001-01-01T00:00&order=newest",
    "/queues/deep/messages/500000",
    "/queues/deep/purge",
    "/queues/deep/drop",
    "/dead-letters",
    "/dead-letters/deep",
    "/dead-letters/deep?after=900000",
    "/dead-letters/deep/500",
    "/routes",
    "/access",
    "/doctor",
    "/audit",
    "/drift",
)


@contextmanager
def run_dashboard(folder: Path, url: str) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "changelane", "--database-url", url, "dashboard", "--port", "0", "--no-token"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.wait()


def measure(address: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(address) as answer:
        answer.read()
    return time.perf_counter() - began


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    times: dict[str, list[float]] = {page: [] for page in PAGES}
    with tempfile.TemporaryDirectory(prefix="changelane-bench-") as name:
        folder = Path(name)
        url = server.start(folder / "server", settings={"fsync": "off"})
        try:
            with connect(url) as conn:
                pgmq.install(conn)
                conn.execute("SELECT pgmq.create('deep'), pgmq.create('deep_dlq')")
                conn.execute(FILL.format(table="q_deep").encode(), [options.messages])
                conn.execute(ARCHIVE.encode())
                conn.execute(FILL.format(table="q_deep_dlq").encode(), [options.messages])
                conn.execute(SCHEMA_SQL.encode())
                conn.execute(HISTORY.encode())
                conn.execute("ANALYZE")
            with run_dashboard(folder, url) as address:
                time.sleep(5)
                for _ in range(options.rounds):
                    for page in PAGES:
                        times[page].append(measure(address + page))
        finally:
            server.remove(folder / "server")
    missed = 0
    for page, found in times.items():
        median = statistics.median(found)
        missed += median > TARGET
        print(
            f"{page:45} {median * 1000:6.0f} ms  worst {max(found) * 1000:6.0f}"
            f"  {'met' if median <= TARGET else 'MISSED'}"
        )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
