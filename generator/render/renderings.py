"""The SQL of capture functions and triggers. Captures that differ in names alone share one rendering."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from changelane.contract.marker import hash_spelling
from changelane.generator.capture.capture import Capture
from changelane.generator.render import templating
from changelane.generator.sql.grammar import check_function, check_statements

_PLAIN = re.compile("[a-z0-9_]{2,}")
"""Names that SQL, JSON and identifiers spell alike."""
_MARKS = "ghijklmnopqrstuvwxyz"
"""The second characters of stand-ins, after a digit: no hash and no keyword holds such a pair."""
_HASHES = ("7_a777777777", "7_b777777777", "7_c777777777")
"""The stand-ins for the hashes ``spec``, ``function_live`` and ``trigger_live``."""
_NAMES = ("route", "declared", "table", "queues", "waking")
_REST = attrgetter(*(field.name for field in fields(Capture) if field.name not in _NAMES))
_GAP = "\0"
"""Divides the texts of a rendering. SQL cannot hold it."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a capture becomes. ``check`` follows SELECT to have Postgres look at the expressions. ``kin`` is a
    capture that differs from it in names alone, or the capture itself.
    """

    function: str
    trigger: str
    check: str
    spec: str
    function_live: str
    trigger_live: str
    kin: Capture


class Renderings:
    """Renders the captures of one run.

    The first capture of a kind is rendered by itself. For the second one, stand-ins of the same lengths take
    the place of its names, so that lines break alike. The later ones take that rendering with their names in
    place of the stand-ins, if it yields the first one's texts from the first one's names.
    """

    def __init__(self) -> None:
        self._firsts: dict[Hashable, tuple[Capture, Rendering]] = {}
        self._shared: dict[Hashable, _Shared | None] = {}
        self._shapes: dict[tuple[str, str], int] = {}
        self._numbers: dict[Hashable, int] = {}

    def render(self, capture: Capture) -> Rendering:
        """The rendering, which Postgres' parser has seen: itself, or with stand-ins for the names.

        A stand-in begins with a digit, so the parser refuses one outside of quotes, identifiers and comments.
        Any plain name can take its place there.
        """
        names = _list_names(capture)
        if len(names) + len(_HASHES) > len(_MARKS) or not all(map(_PLAIN.fullmatch, names)):
            return _render(capture)
        kind = self._describe(capture)
        if kind not in self._firsts:
            rendering = _render(capture)
            self._firsts[kind] = capture, rendering
            return rendering
        first, rendering = self._firsts[kind]
        if kind not in self._shared:
            made = _Shared(_stand_in(capture))
            self._shared[kind] = made if made.fill(first, kin=first) == rendering else None
        shared = self._shared[kind]
        return shared.fill(capture, kin=first) if shared else _render(capture)

    def _describe(self, capture: Capture) -> Hashable:
        """All that the rendering depends on; of names that is their lengths."""
        identity = capture.table.identity
        if identity not in self._shapes:
            shape = capture.table.model_copy(update={"schema_": "", "name": ""})
            self._shapes[identity] = self._numbers.setdefault(shape, len(self._numbers))
        return (
            self._shapes[identity],
            capture.declared == identity,
            *map(len, _list_names(capture)),
            *(queue in capture.waking for queue in capture.queues),
            *(tuple(value.items()) if isinstance(value, Mapping) else value for value in _REST(capture)),
        )


class _Shared:
    """A rendering in pieces: the stand-ins for names and hashes, and the text between them."""

    def __init__(self, stand_in: Capture) -> None:
        self._stand_ins = (stand_in.name, *_list_names(stand_in))
        body = templating.render_body(stand_in)
        spec, function_live, trigger_live = _HASHES
        function = templating.render_function(stand_in, body=body, spec=spec, live=function_live)
        trigger = templating.render_trigger(stand_in, spec=spec, live=trigger_live)
        check = templating.render_check(stand_in)
        _parse(function, trigger, check)
        self._hashed = self._divide(templating.spell_capture(stand_in), body)
        self._written = self._divide(function, trigger, check)

    def _divide(self, *texts: str) -> list[str]:
        return re.split(f"({'|'.join((*self._stand_ins, *_HASHES))})", _GAP.join(texts))

    def fill(self, capture: Capture, *, kin: Capture) -> Rendering:
        names = dict(zip(self._stand_ins, (capture.name, *_list_names(capture)), strict=True))
        spelled, body = "".join([names.get(piece, piece) for piece in self._hashed]).split(_GAP)
        hashes = (
            hash_spelling(spelled),
            templating.hash_live_function(capture, body=body),
            templating.hash_live_trigger(capture),
        )
        names |= zip(_HASHES, hashes, strict=True)
        written = "".join([names.get(piece, piece) for piece in self._written])
        function, trigger, check = written.split(_GAP)
        return Rendering(function, trigger, check, *hashes, kin)


def _render(capture: Capture) -> Rendering:
    body = templating.render_body(capture)
    spec = hash_spelling(templating.spell_capture(capture))
    function_live = templating.hash_live_function(capture, body=body)
    trigger_live = templating.hash_live_trigger(capture)
    function = templating.render_function(capture, body=body, spec=spec, live=function_live)
    trigger = templating.render_trigger(capture, spec=spec, live=trigger_live)
    check = templating.render_check(capture)
    _parse(function, trigger, check)
    return Rendering(function, trigger, check, spec, function_live, trigger_live, capture)


def _parse(function: str, trigger: str, check: str) -> None:
    check_statements(function + trigger + f"SELECT {check};\n")
    check_function(function)


def _list_names(capture: Capture) -> tuple[str, ...]:
    """The names of the route, the tables and the queues. The function's name, which holds the route's and a
    hash, follows from them.
    """
    return (capture.route, *capture.declared, *capture.table.identity, *capture.queues)


def _stand_in(capture: Capture) -> Capture:
    """The capture with stand-ins for its names."""
    route, schema, table, own_schema, own_table, *queues = (
        f"7{mark}".ljust(len(name), "7") for mark, name in zip(_MARKS, _list_names(capture), strict=False)
    )
    if capture.declared == capture.table.identity:
        own_schema, own_table = schema, table
    stood = dict(zip(capture.queues, queues, strict=True))
    return replace(
        capture,
        route=route,
        declared=(schema, table),
        table=capture.table.model_copy(update={"schema_": own_schema, "name": own_table}),
        queues=tuple(queues),
        waking=tuple(stood[queue] for queue in capture.waking),
    )
