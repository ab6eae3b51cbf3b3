"""How often a session plans the queries of a capture function."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.captures import Rig, lend_rig


@pytest.fixture(scope="module")
def shared(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_a_session_plans_the_query_of_a_single_row_once(shared: Rig, send: str) -> None:
    shared.clear()
    shared.run("CREATE TABLE t (id int PRIMARY KEY, status text)")
    events = ["insert", "update", "delete"]
    shared.capture({"send": send, "events": events})
    planned: list[str] = []
    with psycopg.connect(shared.url, autocommit=True, prepare_threshold=None) as session:
        session.add_notice_handler(lambda notice: planned.append(notice.message_primary or ""))
        session.execute("SET client_min_messages = log; SET log_planner_stats = on")
        counts = []
        # A statement of many rows among those of one must not change the plan that the next ones use.
        for rows in (1, 1, 1, 3000, 1, 1, 1, 1):
            found = []
            for statement in (
                f"INSERT INTO app.t SELECT number, 'x' FROM generate_series(1, {rows}) AS number",
                "UPDATE app.t SET status = 'y'",
                "DELETE FROM app.t",
            ):
                planned.clear()
                session.execute(statement.encode())
                found.append(planned.count("PLANNER STATISTICS"))
            if rows == 1:
                counts.append(found)
    # What stays is the statement itself, and the dynamic SQL of pgmq.send.
    assert counts[1:] == [[1 + (send == "pgmq")] * 3] * (len(counts) - 1)
