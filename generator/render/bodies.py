"""The bodies of capture functions. Captures that differ in names alone share one rendering."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import fields, replace

from changelane.generator.capture.capture import Capture
from changelane.generator.render.templating import render_body

_PLAIN = re.compile("[a-z0-9_]{2,}")
"""Names that SQL, JSON and identifiers spell alike."""
_MARKS = "ghijklmnopqrstuvwxyz"
"""The second characters of stand-ins, after a digit: no hash and no keyword holds such a pair."""


class Bodies:
    """Renders the bodies of one run.

    The first capture of a kind is rendered by itself. For the second one, stand-ins of the same lengths take
    the place of its names, so that lines break alike. The later ones take that rendering with their names in
    place of the stand-ins, if it yields the first one's body from the first one's names.
    """

    def __init__(self) -> None:
        self._firsts: dict[Hashable, tuple[Capture, str]] = {}
        self._shared: dict[Hashable, _Shared | None] = {}

    def render(self, capture: Capture) -> tuple[str, bool]:
        """The body, and whether it differs from an earlier one in plain names alone."""
        stand_in = _stand_in(capture)
        if stand_in is None:
            return render_body(capture), False
        kind = _describe(stand_in)
        if kind not in self._firsts:
            body = render_body(capture)
            self._firsts[kind] = capture, body
            return body, False
        if kind not in self._shared:
            first, body = self._firsts[kind]
            made = _Shared(stand_in)
            self._shared[kind] = made if made.fill(first) == body else None
        shared = self._shared[kind]
        return (shared.fill(capture), True) if shared else (render_body(capture), False)


class _Shared:
    """A body in pieces: the stand-ins for names, and the text between them."""

    def __init__(self, stand_in: Capture) -> None:
        self._stand_ins = _list_names(stand_in)
        self._pieces = re.split(f"({'|'.join(self._stand_ins)})", render_body(stand_in))

    def fill(self, capture: Capture) -> str:
        names = dict(zip(self._stand_ins, _list_names(capture), strict=True))
        return "".join(names.get(piece, piece) for piece in self._pieces)


def _list_names(capture: Capture) -> tuple[str, ...]:
    """The function's name first, because it holds the route's."""
    return (capture.name, capture.route, *capture.declared, *capture.queues)


def _stand_in(capture: Capture) -> Capture | None:
    """The capture with stand-ins for its names. None when a name is not plain, or when there are many."""
    names = _list_names(capture)[1:]
    if len(names) > len(_MARKS) or not all(map(_PLAIN.fullmatch, (*names, *capture.table.identity))):
        return None
    route, schema, table, *queues = (
        f"7{mark}".ljust(len(name), "7") for mark, name in zip(_MARKS, names, strict=False)
    )
    stood = dict(zip(capture.queues, queues, strict=True))
    # The body names the table that carries the trigger through the function's name only.
    carrier = capture.table.model_copy(update={"schema_": "", "name": ""})
    return replace(
        capture,
        route=route,
        declared=(schema, table),
        table=carrier,
        queues=tuple(queues),
        waking=tuple(stood[queue] for queue in capture.waking),
    )


def _describe(capture: Capture) -> Hashable:
    """All that the rendering depends on."""
    values = (getattr(capture, field.name) for field in fields(capture))
    return tuple(tuple(value.items()) if isinstance(value, Mapping) else value for value in values)
