"""The cost of a queue's statistics does not depend on its depth."""

from __future__ import annotations

import re

import psycopg

from changelane.runner.dashboard.data.samples import peek, read_queues, read_session

DEPTH = 60_000


def test_a_look_at_a_deep_queue_passes_a_bounded_number_of_rows(
    conn: psycopg.Connection[tuple[object, ...]],
) -> None:
    conn.execute("SELECT pgmq.create('deep')")
    conn.execute(
        "INSERT INTO pgmq.q_deep (vt, message)"
        " SELECT now() + CASE WHEN number %% 100 = 0 THEN interval '1 day' ELSE interval '0' END, '{}'"
        " FROM generate_series(1, %s) AS number",
        [DEPTH],
    )
    conn.execute("ANALYZE pgmq.q_deep")
    (queue,) = (each for each in read_queues(conn, read_session(conn)) if each.name == "deep")
    plans: list[str] = []
    conn.add_notice_handler(lambda notice: plans.append(str(notice.message_primary)))
    conn.execute("LOAD 'auto_explain'")
    conn.execute("SET auto_explain.log_min_duration = 0")
    conn.execute("SET auto_explain.log_analyze = on")
    conn.execute("SET auto_explain.log_level = notice")
    depth = peek(conn, queue)
    assert (depth.about, depth.delayed) == (True, DEPTH // 100)
    assert plans
    removed = [int(count) for plan in plans for count in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
    assert max(removed, default=0) <= 1000
