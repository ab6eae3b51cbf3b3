"""How a worker merges the changes of a key."""

from __future__ import annotations

from changelane.contract.record import Record


class Coalesce(Record):
    """The due messages of a key are one change. A key is due once no message came for ``quiet`` seconds, at
    most ``at_most`` seconds (None: without a limit) after its first.

    ``partial`` names the routes whose messages hold only those columns of the old row that differ. ``shared``
    names those whose key several rows may share: there the last change stands for all.
    """

    quiet: float = 0.0
    at_most: float | None = None
    partial: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
