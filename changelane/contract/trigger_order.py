"""Foreign triggers on a captured table, and how they disturb the order of messages.

The generator asks these functions about the catalog, and the runner asks them about the live database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from changelane.contract.catalog import Trigger
from changelane.contract.manifest import Level

Triggers = Mapping[tuple[str, str], Sequence[Trigger]]
"""(schema, table) to the triggers on it that Changelane did not make."""

_PREFIXES = ("!", " ", "\x01")
_ROWS = frozenset({"insert", "update", "delete"})


def find_rivals(table: tuple[str, str], triggers: Triggers) -> tuple[str, ...]:
    """Names of the triggers that fire after rows of the table changed and may change them again; sorted.

    A statement trigger fires after all row triggers. The action of a foreign key counts when the rows that it
    changes may lead back to the table.
    """
    return tuple(
        sorted(
            {
                trigger.name
                for trigger in triggers.get(table, ())
                if trigger.timing == "after"
                and trigger.enabled != "disabled"
                and _ROWS.intersection(trigger.events)
                and (trigger.changes is None or _leads(trigger.changes, table, triggers))
            }
        )
    )


def _leads(start: tuple[str, str], table: tuple[str, str], triggers: Triggers) -> bool:
    """Whether a change of ``start`` may change ``table``: through keys, or through triggers, which may write
    anywhere.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [start]
    while waiting:
        place = waiting.pop()
        if place == table:
            return True
        if place in seen:
            continue
        seen.add(place)
        for trigger in triggers.get(place, ()):
            if trigger.enabled == "disabled":
                continue
            if trigger.changes is None:
                return True
            waiting.append(trigger.changes)
    return False


def choose_prefix(triggers: Iterable[Trigger]) -> str:
    """The prefix that makes a trigger fire before these: Postgres orders triggers by the bytes of their
    names.
    """
    names = [trigger.name.encode() for trigger in triggers if _is_named(trigger)]
    return next(
        (prefix for prefix in _PREFIXES if all(name[:1] > prefix.encode() for name in names)), _PREFIXES[-1]
    )


def is_trigger_of(name: str, function: str) -> bool:
    """Whether a trigger has the name of a capture's trigger, which may carry a prefix."""
    return name.removesuffix(function) in ("", *_PREFIXES) and name.endswith(function)


def find_earlier(name: str, level: Level, triggers: Iterable[Trigger]) -> tuple[str, ...]:
    """Names of the triggers of this level that fire before the capture trigger ``name``; sorted."""
    return tuple(
        sorted(
            {
                trigger.name
                for trigger in triggers
                if _is_named(trigger)
                and trigger.enabled != "disabled"
                and trigger.level == level
                and trigger.name.encode() < name.encode()
            }
        )
    )


def _is_named(trigger: Trigger) -> bool:
    """Whether Postgres made the trigger for a foreign key. The names of such triggers begin with RI."""
    return trigger.timing == "after" and trigger.changes is None
