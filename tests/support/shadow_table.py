"""Replays messages into a shadow of the table that they came from, through a real worker.

The handler keeps a ledger: of each change, the row before it leaves and the row after it comes, each as a
whole. The shadow is the sum. That is sound for whatever a statement does to keys (while ``id = id + 1`` is
replayed one row at a time, two rows bear one key), for tables without keys, and for messages handled in any
order; only what came before a truncate counts no more. A keyed replay would be sound just where no statement
moves a key to one that another row had.
"""

from __future__ import annotations

import logging
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import orjson
import psycopg
import structlog

from changelane.change import Change
from changelane.contract.manifest import Consumer
from changelane.runner.work.handlers.handler_input import HandlerInput
from changelane.runner.work.handlers.plan import HandlerPlan
from changelane.runner.work.handlers.signature import Handler
from changelane.runner.work.process.worker import Worker
from support.captures import Rig

LEDGER = (
    "CREATE TABLE IF NOT EXISTS public.ledger"
    " (queue text, msg_id bigint, op text, txid text, key text, old text, new text)"
)


def encode(value: Any) -> str:
    """JSON text with numbers as they are."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encode(name)}: {encode(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encode, value)) + "]"
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    return orjson.dumps(value).decode()


def keep(changes: list[Change], tx: psycopg.Connection[Any]) -> None:
    """The handler."""
    with tx.cursor().copy("COPY public.ledger FROM STDIN") as copy:
        for change in changes:
            rows = [None if row is None else encode(row) for row in (change.key, change.old, change.new)]
            copy.write_row((change.queue, change.msg_id, change.op, change.txid, *rows))


def drain(rig: Rig, queues: Sequence[str], *, handler: Callable[..., None] = keep, **consumer: Any) -> None:
    """Run a worker until these queues are empty."""
    specs = [
        Consumer(
            queue=queue, handler="shadow:keep", mode="transactional", batch=500, concurrency=1,
            dead_letter=f"{queue}_dlq", **consumer,
        )
        for queue in queues
    ]  # fmt: skip
    call = Handler(function=handler, asynchronous=False, transaction=True, takes=HandlerInput(batch=True))
    worker = Worker(
        specs=specs,
        sinks={spec.queue: HandlerPlan(spec, call) for spec in specs},
        conninfo=rig.url,
        drain=True,
        grace=5.0,
        log=structlog.wrap_logger(
            logging.getLogger("shadow"), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
        ),
    )  # fmt: skip
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert worker.run() == 0
    finally:
        for number, known in handlers.items():
            signal.signal(number, known)


def check_shadow(rig: Rig, queue: str, table: str) -> None:
    """Check that the ledger's sum equals the source, value by value in the source's own types."""
    difference = rig.rows(
        f"""
        WITH entry AS (
            SELECT * FROM public.ledger WHERE queue = '{queue}' AND msg_id > coalesce(
                (SELECT max(msg_id) FROM public.ledger WHERE queue = '{queue}' AND op = 'truncate'), 0)
        ), side AS (
            SELECT new AS row, 1 AS amount FROM entry WHERE new IS NOT NULL
            UNION ALL SELECT old, -1 FROM entry WHERE old IS NOT NULL
        ), shadow AS (
            SELECT jsonb_populate_record(NULL::{table}, row::jsonb)::text AS row, amount FROM side
            UNION ALL SELECT ({table.rpartition(".")[2]}.*)::{table}::text, -1 FROM {table}
        )
        SELECT row, sum(amount) FROM shadow GROUP BY row HAVING sum(amount) <> 0
        """
    )
    assert difference == [], f"{queue} differs from {table} by {difference[:3]}"


def check_pairs(rig: Rig, queue: str, column: str) -> None:
    """No message pairs the old of one row with the new of another, and those of a row form a chain.

    ``column`` tells rows apart and never changes. Changes of one row are in the order of msg_id, for the row
    is locked from each to its commit.
    """
    last: dict[Any, Any] = defaultdict(lambda: None)
    for op, old, new in rig.rows(
        f"SELECT op, old::jsonb, new::jsonb FROM public.ledger WHERE queue = '{queue}' ORDER BY msg_id"
    ):
        if op == "truncate":
            last.clear()
            continue
        row = (old or new)[column]
        assert new is None or new[column] == row, f"{queue} pairs {old} with {new}"
        assert last[row] == old, f"{queue}: row {row} was {last[row]}, and {op} says {old}"
        last[row] = new
