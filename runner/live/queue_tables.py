"""The tables of a queue as parts of a composed statement."""

from __future__ import annotations

import re

from psycopg import sql
from psycopg.abc import AdaptContext

from changelane.contract.queue_name import archive_table, queue_table


class Table(sql.Identifier):
    """A table of schema pgmq.

    The driver takes ``%`` in a statement for a placeholder, and a queue's name may hold it. Such a name is
    written by the codes of its characters.
    """

    def __init__(self, name: str) -> None:
        super().__init__("pgmq", name)
        self.name = name

    def as_bytes(self, context: AdaptContext | None = None) -> bytes:
        """The quoted name, as a part of a statement."""
        if "%" not in self.name:
            return super().as_bytes(context)
        coded = "".join(
            letter if letter.isalnum() and letter.isascii() else f"\\+{ord(letter):06x}"
            for letter in self.name
        )
        return f'"pgmq".U&"{coded}"'.encode()

    def as_string(self, context: AdaptContext | None = None) -> str:
        """The quoted name, as ``regclass`` reads it and a person writes it."""
        return sql.Identifier("pgmq", self.name).as_string()


def name_queue(queue: str) -> Table:
    """The table of the queue's messages."""
    return Table(queue_table(queue))


def name_archive(queue: str) -> Table:
    """The table of the queue's archived messages."""
    return Table(archive_table(queue))


def spell_queue(queue: str) -> str:
    """The table of the queue's messages, quoted only if it needs quotes."""
    return _spell(name_queue(queue))


def spell_archive(queue: str) -> str:
    """The table of the queue's archived messages, quoted only if it needs quotes."""
    return _spell(name_archive(queue))


def _spell(table: Table) -> str:
    return f"pgmq.{table.name}" if re.fullmatch("[a-z0-9_]+", table.name) else table.as_string()
