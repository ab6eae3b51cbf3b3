"""Holds the columns that relays name, in addresses and for ``format: outbox``, against what routes send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from changelane.contract.destination import ADDRESSES
from changelane.contract.formats import OUTBOX_COLUMNS
from changelane.contract.template import Engine, Place, TemplateError, parse_template
from changelane.diagnostic import Diagnostic
from changelane.generator.capture.capture import Capture
from changelane.generator.spec.codes import Code
from changelane.generator.spec.yaml_source import Source, Step
from changelane.suggestion import suggest


@dataclass(frozen=True, slots=True)
class Lack:
    """Why messages of a capture have no value; ``fix`` is for the person who wrote the relay."""

    code: Code
    why: str
    fix: str


def check_relay_columns(source: Source, captures: Sequence[Capture]) -> Iterator[Diagnostic]:
    """Each place of a template that messages of a route cannot fill, and each outbox that lacks a column.

    A relay's values are read from the source, because a spec with mistakes elsewhere has no models.
    """
    consumers = source.find("consumers")
    for queue in consumers.content if consumers and isinstance(consumers.content, dict) else ():
        relay: tuple[Step, ...] = ("consumers", queue, "relay")
        sent = [capture for capture in captures if queue in capture.queues]
        outbox = _read(source, *relay, "format") == "outbox"
        if outbox:
            yield from _check_outbox(source, relay, sent)
            sent = [capture for capture in sent if capture.event == "insert"]
        yield from _check_address(source, relay, sent)


def _check_address(source: Source, relay: tuple[Step, ...], sent: Sequence[Capture]) -> Iterator[Diagnostic]:
    engines: dict[str, Engine] = {key: engine for engine, keys in ADDRESSES.items() for key in keys}
    for key, engine in engines.items():
        try:
            template = parse_template(_read(source, *relay, key), engine=engine)
        except TemplateError:
            continue
        for place in template.places:
            said: set[str] = set()
            for capture in sent:
                lack = _find_lack(place, capture)
                if lack is not None and lack.why not in said:
                    said.add(lack.why)
                    yield source.diagnose(
                        lack.code,
                        f"{place} has no value in messages of route {capture.route}: {lack.why}; each would "
                        "be a dead letter",
                        *relay, key, within=(place.at, len(str(place))), fix=lack.fix,
                    )  # fmt: skip


def _find_lack(place: Place, capture: Capture) -> Lack | None:
    table, fix = ".".join(capture.declared), f"take {capture.event} from the events of {capture.route}"
    if place.name == "key":
        if not capture.key:
            return Lack(Code.NO_KEY, f"{table} has no primary key", "add `key: [...]` to the route")
        if capture.event == "truncate":
            return Lack(Code.RELAY, "a truncate has no key", fix)
        return None
    if not place.column:
        return None
    other = "new" if place.name == "old" else "old"
    if place.name not in capture.sides:
        instead = f"{fix}, or write {{{other}.{place.column}}}" if capture.sides else fix
        return Lack(Code.RELAY, f"{_name_event(capture)} has no `{place.name}`", instead)
    if place.name == "old" and "new" in capture.sides and capture.old != "full":
        if capture.old == "none":
            why = "they leave `old` out (`payload.old: none`)"
            return Lack(Code.RELAY, why, f"write {{new.{place.column}}}, or `old: full` in the route")
        if capture.update_of != (place.column,):
            why = "`old` has only columns that changed (`payload.old: changed`)"
            return Lack(Code.RELAY, why, f"write {{new.{place.column}}}, or `old: full` in the route")
    return find_column_lack(place.column, capture)


def find_column_lack(name: str, capture: Capture) -> Lack | None:
    """Why messages of the capture lack a column; None where they have it."""
    table = ".".join(capture.declared)
    column = next((column for column in capture.table.columns if column.name == name), None)
    if column is None:
        known = [column.name for column in capture.table.columns]
        close = suggest(name, known, otherwise="run `changelane inspect` if it is new")
        return Lack(Code.NO_COLUMN, f"{table} has no column {name}", close)
    if name in capture.virtual:
        why = f"{table} column {name} is a virtual generated column, which triggers see as null"
        return Lack(Code.VIRTUAL_COLUMN, why, "make it stored, or use the columns that it is made of")
    if capture.columns is not None and name not in capture.columns:
        why = f"its payload leaves {name} of {table} out"
        return Lack(Code.RELAY, why, f"send {name} in the payload of {capture.route}, or use another column")
    if capture.mask.get(name) == "redact":
        why = f"its payload redacts {name} of {table}"
        return Lack(Code.RELAY, why, f"use another column, or write `{name}: sha256` under `payload.mask`")
    return None


def _check_outbox(source: Source, relay: tuple[Step, ...], sent: Sequence[Capture]) -> Iterator[Diagnostic]:
    said: set[str] = set()
    for capture in sent:
        inserts = any(other.route == capture.route and other.event == "insert" for other in sent)
        if not inserts and capture.route not in said:
            said.add(capture.route)
            yield source.diagnose(
                Code.RELAY,
                f"outbox sends only rows that are inserted, and route {capture.route} captures no insert",
                *relay, "format", fix=f"add insert to the events of {capture.route}",
            )  # fmt: skip
        for name in OUTBOX_COLUMNS if capture.event == "insert" else ():
            lack = find_column_lack(name, capture)
            absent = lack is not None and lack.code == Code.NO_COLUMN
            if lack is None or lack.why in said or (name == "type" and absent):
                continue
            said.add(lack.why)
            yield source.diagnose(
                lack.code,
                f"outbox reads {name}, and route {capture.route} sends none: {lack.why}",
                *relay, "format", fix=lack.fix,
            )  # fmt: skip


def _name_event(capture: Capture) -> str:
    return f"{'an' if capture.event[0] in 'iu' else 'a'} {capture.event}"


def _read(source: Source, *path: Step) -> str:
    node = source.find(*path)
    return node.content if node is not None and isinstance(node.content, str) else ""
