"""Random programs over random tables, replayed by a real worker into a shadow that must equal the source.

An example is one table and several programs over it, in three sessions at once. CHANGELANE_PROGRAMS is how
many programs are run in all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.captures import WAYS, Rig, lend_rig
from support.random_names import draw_queue_names
from support.random_statements import OPERATIONS, Program, run_programs
from support.random_tables import KEYS, NAMES, VALUES, Shape, Table
from support.shadow_table import LEDGER, check_pairs, check_shadow, drain

TOTAL = int(os.environ.get("CHANGELANE_PROGRAMS", "2048"))
PROGRAMS = 16
"""Of an example."""
KINDS = ("plain", "unlogged", "list", "hash", "inherited", "plain", "range", "list")
"""One test each, so that several processes share the work."""
QUEUES = draw_queue_names(Random(), len(WAYS))

Bench = tuple[Rig, list[psycopg.Connection[Any]]]


@pytest.fixture(scope="module")
def bench(server: str, template: str) -> Iterator[Bench]:
    """A database, and three sessions that wait for no lock."""
    for rig in lend_rig(server, template):
        rig.run("SET client_min_messages = warning", LEDGER)
        rig.run(*(f"SELECT pgmq.create('{queue}'), pgmq.create('{queue}_dlq')" for queue in QUEUES))
        with ExitStack() as stack:
            conns = [stack.enter_context(rig.session()) for _ in range(3)]
            for conn in conns:
                conn.execute("SET lock_timeout = '3ms'; SET client_min_messages = error")
                conn.commit()
            yield rig, conns


def prepare(rig: Rig, table: Table) -> list[str]:
    """Make the table, captured in every way that there is for it; returns the queues."""
    rig.clear()
    rig.run(
        "TRUNCATE public.ledger",
        *table.create(),
        *table.create_writers(),
    )
    # By statement and by row are one where the generator chooses rows.
    ways = [way for way in WAYS if not table.parts or way["capture"] == "row"]
    if table.shape.echoes:
        # Beside other triggers rows are chosen; by statement, as declared, the order is not kept.
        ways = [{"send": way["send"]} if way["capture"] == "statement" else way for way in ways]
    queues = QUEUES[: len(ways)]
    rig.capture(*({**way, "queue": queue} for way, queue in zip(ways, queues, strict=True)))
    return queues


def check(bench: Bench, shape: Shape, programs: list[Program]) -> None:
    rig, conns = bench
    table = Table(shape)
    queues = prepare(rig, table)
    run_programs(conns, table, programs)
    drain(rig, queues)
    for queue in queues:
        check_shadow(rig, queue, "app.t")
        check_pairs(rig, queue, "rid")
        assert rig.messages(f"{queue}_dlq") == []


def draw_shapes(kind: str) -> st.SearchStrategy[Shape]:
    # The shadow's rows are read from JSON, of which Postgres makes no hstore.
    types = [number for number, type in enumerate(VALUES) if type != "public.hstore"]
    column = st.tuples(st.integers(0, len(NAMES) - 1), st.sampled_from(types))
    return st.builds(
        Shape,
        kind=st.just(kind),
        key=st.sampled_from(("none", "plain", "deferrable")),
        generated=st.booleans(),
        echoes=st.booleans(),
        columns=st.lists(column, max_size=4, unique_by=lambda pair: pair[0]).map(tuple),
    )


OPERATION = st.tuples(
    st.integers(0, 2), st.integers(0, OPERATIONS - 1), st.integers(0, KEYS - 1), st.integers(0, 11)
)
DRAWN = st.lists(st.lists(OPERATION, min_size=3, max_size=14), min_size=PROGRAMS, max_size=PROGRAMS)


@pytest.mark.parametrize("part", range(len(KINDS)))
def test_the_shadow_equals_the_source(bench: Bench, part: int) -> None:
    @settings(
        max_examples=max(1, TOTAL // PROGRAMS // len(KINDS)),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(shape=draw_shapes(KINDS[part]), programs=DRAWN)
    def run(shape: Shape, programs: list[Program]) -> None:
        check(bench, shape, programs)

    run()
