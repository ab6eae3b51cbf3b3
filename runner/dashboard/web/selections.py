"""What a person was asked to confirm: exactly that is changed, whatever else matches by then."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from typing import Any

from changelane.runner.dashboard.web.guard import Refusal

KEPT = 20
"""Selections at once; the oldest is forgotten for a new one."""


class Selections:
    """Ids that were shown and wait for a confirmation, each under a name that cannot be guessed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, Sequence[Any]]] = {}
        self._lock = threading.Lock()

    def keep(self, place: str, items: Sequence[Any]) -> str:
        """Keep the items for the action at ``place``; returns the name of the selection."""
        name = secrets.token_urlsafe(18)
        with self._lock:
            self._kept[name] = (place, items)
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return name

    def take(self, place: str, name: str) -> Sequence[Any]:
        """The items, once. Raises Refusal if they are not kept any more."""
        with self._lock:
            found = self._kept.pop(name, None)
        if found is None or found[0] != place:
            raise Refusal(
                409,
                "this was confirmed already, or too long ago; nothing was changed",
                fix="go back and choose again",
            )
        return found[1]
