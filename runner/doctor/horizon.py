"""Sessions, transactions, replication slots and standbys that keep vacuum from removing dead rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.sql_text import load_sql
from changelane.runner.doctor.finding import Finding, say_bytes, say_seconds

_HOLDERS = load_sql(__name__, "holders")
_SLOTS = load_sql(__name__, "slots")

IDLE = 30.0
"""Seconds after which a session idle in a transaction is a finding."""

LONG = 600.0
"""Seconds after which an active transaction is a finding."""

OLD = 1_000_000
"""Transactions that a standby or slot may lag behind."""

RETAINED = 64 * 2**20
"""Bytes of WAL that a slot without a reader may retain."""

_WHY = "vacuum removes no row that died since, so queues bloat and claims step over ever more dead rows"


def find_horizon(conn: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    for kind, name, state, seconds, age in conn.execute(_HOLDERS).fetchall():
        yield from _judge(kind, name, state, _count_seconds(seconds), age)
    for name, active, retained, status in conn.execute(_SLOTS).fetchall():
        slot = sql.Literal(name).as_string()
        if status in ("lost", "unreserved"):
            yield Finding(
                code="slot-lost",
                what=f"replication slot {name} is {status}",
                why="its reader has lost WAL, or is about to, and cannot go on",
                fix=f"SELECT pg_drop_replication_slot({slot}), and set its reader up anew",
            )
        elif not active and retained is not None and retained > RETAINED:
            yield Finding(
                code="slot-inactive",
                what=f"replication slot {name} has no reader and retains {say_bytes(retained)} of WAL",
                why="the disk fills up, because the server keeps all WAL since then",
                fix=f"start its reader, or SELECT pg_drop_replication_slot({slot})",
            )


def _judge(kind: str, name: str, state: str | None, seconds: float, age: int | None) -> Iterator[Finding]:
    behind = f", {age:,} transactions behind" if age else ""
    if (
        kind == "backend"
        and state is not None
        and state.startswith("idle in transaction")
        and seconds >= IDLE
    ):
        yield Finding(
            code="idle-in-transaction",
            what=f"{name} is {state} for {say_seconds(seconds)}{behind}",
            why=f"{_WHY}; and its locks make others wait",
            fix=f"SELECT pg_terminate_backend({_pid(name)}); and an idle_in_transaction_session_timeout",
        )
    elif kind == "backend" and age is not None and seconds >= LONG:
        yield Finding(
            code="transaction-long",
            what=f"{name} is in a transaction for {say_seconds(seconds)}{behind}",
            why=_WHY,
            fix=f"wait for it, or SELECT pg_terminate_backend({_pid(name)})",
        )
    elif kind == "prepared" and seconds >= IDLE:
        yield Finding(
            code="transaction-prepared",
            what=f"prepared transaction {name} waits for {say_seconds(seconds)}{behind}",
            why=f"{_WHY}; and its locks make others wait, across restarts, too",
            fix=f"COMMIT PREPARED or ROLLBACK PREPARED {sql.Literal(name).as_string()}",
        )
    elif kind == "slot" and age is not None and age >= OLD:
        yield Finding(
            code="slot-behind",
            what=f"replication slot {name} is {age:,} transactions behind",
            why=_WHY,
            fix=f"see to its reader, or SELECT pg_drop_replication_slot({sql.Literal(name).as_string()})",
        )
    elif kind == "standby" and age is not None and age >= OLD:
        yield Finding(
            code="standby-behind",
            what=f"{name} is {age:,} transactions behind, and hot_standby_feedback passes that on",
            why=_WHY,
            fix="end the long query on the standby, or set hot_standby_feedback = off there",
        )


def _pid(name: str) -> str:
    return name.split()[1]


def _count_seconds(age: timedelta | None) -> float:
    return age.total_seconds() if age is not None else 0.0
