"""The flow as a diagram: tables, routes, queues and consumers in columns, and the lines between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from changelane.runner.dashboard.data.alarms import Alarm, Alarms
from changelane.runner.dashboard.data.declared import Declared
from changelane.runner.dashboard.data.samples import Reading
from changelane.runner.dashboard.web.formats import fit, slug
from changelane.text import spell

WIDTH = 232
HEIGHT = 78
GAP = 72
"""Pixels between columns."""

STEP = 94
"""Pixels from one box to the next below it."""

TOP = 34
_KINDS = ("table", "route", "queue", "consumer")
COLUMNS = ("Tables", "Routes", "Queues", "Consumers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One object of the diagram. ``queue`` is set for queues and consumers; ``bad`` describes its
    problem. ``alarms`` are those of a queue; a consumer has those that concern it.
    """

    kind: str
    name: str
    x: int
    y: int
    href: str
    detail: str = ""
    queue: str = ""
    reading: Reading | None = None
    letters: Reading | None = None
    bad: str = ""
    alarms: Sequence[Alarm] = ()

    @property
    def level(self) -> str:
        """The level of the worst alarm, or empty."""
        return self.alarms[0].level if self.alarms else ""

    @property
    def title(self) -> str:
        return fit(self.name, WIDTH - 24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line from the right of one box to the left of another; ``d`` is the attribute of an SVG path.

    ``way`` names the rate of ``queue`` by which it moves: ``sent`` or ``left``; ``moving``: it moves now.
    """

    d: str
    queue: str
    way: str
    moving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    box_width: int = WIDTH
    box_height: int = HEIGHT

    @property
    def columns(self) -> list[tuple[int, str]]:
        return [(_x(index), name) for index, name in enumerate(COLUMNS)]


def draw(
    declared: Declared,
    readings: Mapping[str, Reading],
    *,
    wrong: Mapping[str, str],
    alarms: Alarms,
    halted: Mapping[str, str],
) -> Picture:
    """Draw the diagram. ``wrong`` maps ``route NAME`` and ``queue NAME`` to differences from the spec;
    ``halted`` maps queues to the states of their relays that do not run.
    """
    routes = declared.routes
    letters = declared.letters(frozenset(readings))
    hidden = set(letters.values())
    tables = {
        name: sorted({spell(capture.identity) for capture in captures}) for name, captures in routes.items()
    }
    targets = {
        name: sorted({queue for capture in captures for queue in capture.queues})
        for name, captures in routes.items()
    }
    places: dict[tuple[str, str], int] = {}
    _place(places, "table", sorted({table for found in tables.values() for table in found}), {})
    _place(
        places, "route", routes, {name: [places["table", table] for table in tables[name]] for name in routes}
    )
    sources: dict[str, list[int]] = {}
    for route, found in targets.items():
        for queue in found:
            sources.setdefault(queue, []).append(places["route", route])
    known = (sources.keys() | readings.keys() | declared.queues.keys() | declared.consumers.keys()) - hidden
    _place(places, "queue", sorted(known), sources)
    for queue in declared.consumers:
        if ("queue", queue) in places:
            places["consumer", queue] = places["queue", queue]

    boxes = []
    for (kind, name), row in places.items():
        box = Box(kind=kind, name=name, x=_x(_KINDS.index(kind)), y=TOP + row * STEP, href="/routes")
        if kind == "route":
            events = ", ".join(dict.fromkeys(capture.event for capture in routes[name]))
            bad = wrong.get(f"route {name}", "")
            box = replace(box, href=f"/routes/{slug(name)}", detail=events, bad=bad)
        elif kind == "queue":
            box = replace(
                box,
                href=f"/queues/{slug(name)}",
                queue=name,
                reading=readings.get(name),
                letters=readings.get(letters.get(name, "")),
                bad=wrong.get(f"queue {name}", ""),
                alarms=alarms.get(name, ()),
            )
        elif kind == "consumer":
            consumer = declared.consumers[name]
            relay = consumer.relay
            title = f"relay to {relay.to}" if relay else consumer.handler or ""
            detail = relay.format if relay else consumer.mode.replace("_", " ")
            unconsumed = [alarm for alarm in alarms.get(name, ()) if alarm.state == "unconsumed"]
            box = replace(
                box,
                name=title,
                href=f"/queues/{slug(name)}",
                detail=detail,
                queue=name,
                bad=halted.get(name, ""),
                alarms=unconsumed,
            )
        boxes.append(box)
    pairs = [
        *((("table", table), ("route", route), "", "") for route in routes for table in tables[route]),
        *(
            (("route", route), ("queue", queue), queue, "sent")
            for route in routes
            for queue in targets[route]
        ),
        *((("queue", queue), ("consumer", queue), queue, "left") for queue in declared.consumers),
    ]
    lines = [
        Line(
            d=_curve(left, places[left], right, places[right]),
            queue=queue,
            way=way,
            moving=bool(way and getattr(readings.get(queue), way, None)),
        )
        for left, right, queue, way in pairs
        if left in places and right in places
    ]
    rows = max(places.values(), default=-1) + 1
    return Picture(
        boxes=tuple(boxes),
        lines=tuple(lines),
        width=_x(len(COLUMNS)) - GAP + 2,
        height=TOP + rows * STEP,
    )


def _place(
    places: dict[tuple[str, str], int], kind: str, names: Iterable[str], pulls: Mapping[str, list[int]]
) -> None:
    """Place rows from the top, each near the middle of its neighbours, so that few lines cross."""
    ordered = sorted(names, key=lambda name: (mean(pulls[name]) if pulls.get(name) else float("inf"), name))
    for row, name in enumerate(ordered):
        places[kind, name] = row


def _x(index: int) -> int:
    return 1 + index * (WIDTH + GAP)


def _curve(left: tuple[str, str], left_row: int, right: tuple[str, str], right_row: int) -> str:
    x1, x2 = _x(_KINDS.index(left[0])) + WIDTH, _x(_KINDS.index(right[0]))
    y1, y2 = (TOP + row * STEP + HEIGHT // 2 for row in (left_row, right_row))
    bend = GAP // 2
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
