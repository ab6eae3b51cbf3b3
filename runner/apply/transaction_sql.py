"""The SQL of a plan's steps, and the statements that open each transaction."""

from __future__ import annotations

from collections.abc import Iterable

from changelane.contract.manifest import read_step
from changelane.runner.apply.step import Step
from changelane.runner.compare.statement import lock_tables

OPENING = """SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = 0;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;"""
"""No writer waits behind our lock request for more than a second. The reviewed SQL means the same whatever
the role or database has set.
"""


def open_transaction(steps: Iterable[Step]) -> str:
    """The opening statements of these steps' transaction: they take all its table locks at once, or none.

    ``lock_timeout`` limits each lock by itself: with partitions or several tables, writers would wait for the
    sum. So one statement takes all locks, within one second.
    """
    locking = [step for step in steps if step.takes_table]
    if not locking:
        return OPENING
    exclusive = any(step.mode == "ACCESS EXCLUSIVE" for step in locking)
    tables = {step.table: step.relation == "p" for step in locking if step.table}
    lock = lock_tables(tables, mode="ACCESS EXCLUSIVE" if exclusive else "SHARE ROW EXCLUSIVE")
    return f"{OPENING}\nSET LOCAL statement_timeout = '1s';\n{lock}\nSET LOCAL statement_timeout = 0;"


def read_parts(step: Step, files: dict[str, bytes]) -> list[str]:
    """The SQL of each part of a step. Raises ManifestError when a file is not as generated."""
    return [(part if isinstance(part, str) else read_step(part, files)).strip() for part in step.sql]


def read_sql(step: Step, files: dict[str, bytes], *, alone: bool = False) -> str | None:
    """The SQL of a step, None for the installation of pgmq. ``alone`` returns the form that runs outside of a
    transaction.

    Raises ManifestError when its file is not as generated.
    """
    if not step.sql:
        return None
    text = "\n".join(read_parts(step, files))
    # CREATE INDEX CONCURRENTLY cannot run within a transaction; the plain form makes senders wait.
    return text.replace(" INDEX CONCURRENTLY ", " INDEX ") if step.action == "index" and not alone else text
