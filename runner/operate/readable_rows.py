"""Reads rows of messages even if a few have values that cannot be read. Those are shown without their
text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from changelane.runner.queue.unreadable import Unreadable, is_unreadable

Rows = list[tuple[Any, ...]]

UNREADABLE = json.dumps("it cannot be read: as text it is too long, damaged, or not in the encoding")
"""Replaces a message that cannot be read, as JSON."""


def read_readable_rows(
    conn: psycopg.Connection[Any],
    look: Callable[[str, int | None], Rows],
    *,
    forms: Sequence[str],
) -> Rows:
    """The rows of ``look(form, None)`` in the first of the forms; each row begins with the id.

    If a value makes that fail, the last form lists the rows, and ``look(form, id)`` reads each row in the
    first form that works. ``conn`` is in a transaction. Raises psycopg.Error.
    """

    def attempt(form: str, id: int | None = None) -> Rows | None:
        try:
            with conn.transaction():
                return [tuple(map(_spell, row)) for row in look(form, id)]
        except psycopg.Error as error:
            if form == forms[-1] or not is_unreadable(error):
                raise
            return None

    rows = attempt(forms[0])
    if rows is not None:
        return rows
    found: Rows = []
    for bare in attempt(forms[-1]) or ():
        found += next(filter(None, (attempt(form, bare[0]) for form in forms)), [])
    return found


def _spell(value: Any) -> Any:
    return json.dumps(value.why) if isinstance(value, Unreadable) else value
