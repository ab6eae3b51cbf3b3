"""Finds values of a spec that contradict each other. It reads the raw tree, so one mistake hides no other."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import PydanticCustomError

from changelane.contract.queue_name import LONGEST as QUEUE_LENGTH
from changelane.contract.queue_name import fold
from changelane.diagnostic import Diagnostic
from changelane.generator.spec.access_rules import check_access
from changelane.generator.spec.claim_rules import check_claims
from changelane.generator.spec.coalesce_rules import check_coalesce
from changelane.generator.spec.codes import Code
from changelane.generator.spec.fair_rules import check_fair
from changelane.generator.spec.format_rules import check_formats
from changelane.generator.spec.relay_rules import check_relays
from changelane.generator.spec.scalars import YEAR, read_duration, read_whole_seconds, show
from changelane.generator.spec.yaml_source import Node, Source, Step
from changelane.suggestion import suggest

LONGEST = {
    "interval": (YEAR, "1 year"),
    "retain": (100 * YEAR, "100 years"),
    "keep": (100 * YEAR, "100 years"),
}

_LOSES = {"unlogged": "a crash", "partitioned": "retention"}


def check(source: Source) -> Iterator[Diagnostic]:
    """Every contradiction. A value of the wrong type is skipped, because another check reports it."""
    yield from _check_repeats(source, source.root, ())
    yield from _check_routes(source)
    yield from _check_names(source)
    yield from _check_kinds(source)
    yield from _check_consumers(source)
    yield from _check_dead_letters(source)
    yield from check_access(source)
    yield from _check_schedules(source)
    yield from check_relays(source)
    yield from check_formats(source)
    yield from check_fair(source)
    yield from check_coalesce(source)
    yield from check_claims(source)


def _content(source: Source, *path: Step) -> str | list[Node] | dict[str, Node] | None:
    node = source.find(*path)
    return None if node is None else node.content


def _keys(source: Source, *path: Step) -> list[str]:
    content = _content(source, *path)
    return list(content) if isinstance(content, dict) else []


def _indexes(source: Source, *path: Step) -> range:
    content = _content(source, *path)
    return range(len(content)) if isinstance(content, list) else range(0)


def _text(source: Source, *path: Step) -> str:
    content = _content(source, *path)
    return str(content) if isinstance(content, str) else ""


def _whole_seconds(source: Source, *path: Step) -> int | None:
    try:
        return read_whole_seconds(_text(source, *path))
    except PydanticCustomError:
        return None


def _seconds(source: Source, *path: Step, default: str = "") -> float | None:
    text = _text(source, *path) if source.find(*path) else default
    try:
        return read_duration(text)
    except PydanticCustomError:
        return None


def _check_repeats(source: Source, node: Node, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """Every list of scalars is a set: columns, events, tables, queues. A message's body may repeat itself."""
    if path[:1] == ("schedules",) and path[2:3] == ("body",):
        return
    seen: set[str] = set()
    children = node.content.items() if isinstance(node.content, dict) else ()
    for key, child in children:
        yield from _check_repeats(source, child, (*path, key))
    for position, child in enumerate(node.content if isinstance(node.content, list) else ()):
        if not isinstance(child.content, str):
            yield from _check_repeats(source, child, (*path, position))
            continue
        if child.content in seen:
            message = f"{show(child.content)} stands in this list twice"
            yield source.diagnose(Code.REPEATED, message, *path, position, fix="delete one of them")
        seen.add(child.content)


def _check_routes(source: Source) -> Iterator[Diagnostic]:
    lines: dict[str, int] = {}
    for index in _indexes(source, "routes"):
        route = ("routes", index)
        if not isinstance(_content(source, *route), dict):
            continue
        name = _text(source, *route, "name")
        if name in lines:
            message = f"a route {show(name)} is declared already"
            fix = f"the first is on line {lines[name]}; rename one"
            yield source.diagnose(Code.DUPLICATE_ROUTE, message, *route, "name", fix=fix)
        elif name:
            lines[name] = source.locate(*route, "name").line
        yield from _check_either(source, route, "table", "tables", example="public.orders")
        yield from _check_either(source, route, "queue", "queues", example="order_events")
        yield from _check_both(source, (*route, "payload"), "columns", "exclude")
        yield from _check_update_of(source, route)
        yield from _check_delay(source, *route, "delay")
        yield from _check_queue(source, *route, "queue")
        for position in _indexes(source, *route, "queues"):
            yield from _check_queue(source, *route, "queues", position)


def _check_either(
    source: Source, path: tuple[Step, ...], one: str, several: str, *, example: str
) -> Iterator[Diagnostic]:
    if source.find(*path, one) is None and source.find(*path, several) is None:
        message = f"`{one}` is missing in route {int(path[-1]) + 1}"
        yield source.diagnose(Code.MISSING_KEY, message, *path, fix=f"for example `{one}: {example}`")
    yield from _check_both(source, path, one, several)


def _check_both(source: Source, path: tuple[Step, ...], one: str, other: str) -> Iterator[Diagnostic]:
    first, second = source.find(*path, one), source.find(*path, other)
    if first and second and not (one == "columns" and first.content == "reviewed"):
        late = one if first.start > second.start else other
        message = f"both `{one}` and `{other}` are given"
        yield source.diagnose(Code.ONE_OF, message, *path, late, key=True, fix="keep one of them")


def _check_update_of(source: Source, route: tuple[Step, ...]) -> Iterator[Diagnostic]:
    events = {_text(source, *route, "events", position) for position in _indexes(source, *route, "events")}
    for key in ("update_of", "unchanged"):
        if events and events <= {"insert", "delete", "truncate"} and source.find(*route, key):
            yield source.diagnose(
                Code.UPDATE_OF,
                f"`{key}` is given, but `update` is not among the events",
                *route,
                key,
                key=True,
                fix=f"add update to `events`, or delete `{key}`",
            )
    yield from _check_both(source, route, "update_of", "unchanged")


def _check_delay(source: Source, *path: Step) -> Iterator[Diagnostic]:
    delay = _whole_seconds(source, *path)
    if delay is not None and delay > YEAR:
        yield source.diagnose(Code.OUT_OF_RANGE, "`delay` must be at most 1 year", *path)


def _check_queue(source: Source, *path: Step, key: bool = False) -> Iterator[Diagnostic]:
    """A queue that a route's value or a consumer's key names."""
    name = str(path[-1]) if key else _text(source, *path)
    declared = source.find("queues")
    if not name or (declared and (not isinstance(declared.content, dict) or name in declared.content)):
        return
    yield source.diagnose(
        Code.UNKNOWN_QUEUE,
        f"the queue {show(name)} is not declared",
        *path,
        key=key,
        fix=suggest(
            name, _keys(source, "queues"), otherwise=f"add `{name[:QUEUE_LENGTH]}: {{}}` under `queues`"
        ),
    )


def _check_names(source: Source) -> Iterator[Diagnostic]:
    """Queues, dead-letter queues among them, whose tables pgmq would give the same name."""
    names: dict[str, str] = {}
    for queue in _keys(source, "queues"):
        first = names.setdefault(fold(queue), queue)
        if first != queue:
            yield _report_shared(source, queue, first, "queues", queue, key=True)
    for queue in sorted(set(names.values()), key=_keys(source, "queues").index):
        target = _text(source, "queues", queue, "dead_letter")
        letters = target or f"{queue}_dlq"
        first = names.setdefault(fold(letters), letters)
        if first != letters:
            path: tuple[Step, ...] = ("queues", queue, "dead_letter") if target else ("queues", queue)
            yield _report_shared(source, letters, first, *path, key=not target)


def _report_shared(source: Source, name: str, first: str, *path: Step, key: bool) -> Diagnostic:
    return source.diagnose(
        Code.BAD_NAME,
        f"the queues {show(first)} and {show(name)} would share their tables, which pgmq names in lower case",
        *path,
        key=key,
        fix="give one of them another name",
    )


def _check_kinds(source: Source) -> Iterator[Diagnostic]:
    for queue in _keys(source, "queues"):
        path = ("queues", queue)
        partitioned = _text(source, *path, "kind") == "partitioned"
        if partitioned and source.find(*path, "partition") is None:
            message = "`kind: partitioned` lacks `partition`, which says how the queue is cut"
            fix = "for example `partition: {interval: 1 day, retain: 14 days}`"
            yield source.diagnose(Code.PARTITION, message, *path, "kind", fix=fix)
        if not partitioned and source.find(*path, "partition") is not None:
            message = "`partition` is given, but the queue is not partitioned"
            fix = "add `kind: partitioned`, or delete `partition`"
            yield source.diagnose(Code.PARTITION, message, *path, "partition", key=True, fix=fix)
        if partitioned and "." in queue:
            message = f"pg_partman takes no table whose name holds a dot, as that of {show(queue)} would"
            yield source.diagnose(Code.PARTITION, message, *path, key=True, fix="write _ instead")
        yield from _check_retention(source, *path)
        delay = _seconds(source, *path, "autovacuum", "cost_delay")
        if delay is not None and delay > 0.1:
            message = "`cost_delay` must be at most 100ms"
            yield source.diagnose(Code.OUT_OF_RANGE, message, *path, "autovacuum", "cost_delay")


def _check_retention(source: Source, *path: Step) -> Iterator[Diagnostic]:
    places = [(*path, "partition", "interval"), (*path, "partition", "retain"), (*path, "archive", "keep")]
    places.append((*path, "dead_letters", "keep"))
    for place in places:
        seconds = _whole_seconds(source, *place)
        longest, shown = LONGEST[str(place[-1])]
        if seconds is not None and not 0 < seconds <= longest:
            bound = "more than 0" if seconds == 0 else f"at most {shown}"
            yield source.diagnose(Code.OUT_OF_RANGE, f"`{place[-1]}` must be {bound}", *place)
    interval, retain = (_whole_seconds(source, *place) for place in places[:2])
    if interval and retain and retain < interval:
        message = (
            f"`retain` ({_text(source, *places[1])}) is shorter than `interval` "
            f"({_text(source, *places[0])}): messages are dropped by whole partitions"
        )
        yield source.diagnose(Code.PARTITION, message, *places[1], fix="raise `retain`, or lower `interval`")


def _check_consumers(source: Source) -> Iterator[Diagnostic]:
    for queue in _keys(source, "consumers"):
        path = ("consumers", queue)
        yield from _check_queue(source, *path, key=True)
        lease = _seconds(source, *path, "lease")
        if lease is not None and lease < 1:
            yield source.diagnose(Code.OUT_OF_RANGE, "`lease` must be at least 1s", *path, "lease")
        if _seconds(source, *path, "timeout") == 0:
            fix = "delete the key for no limit"
            message = "`timeout` must be more than 0"
            yield source.diagnose(Code.OUT_OF_RANGE, message, *path, "timeout", fix=fix)
        yield from _check_retry(source, *path, "retry")
        if _text(source, *path, "on_exhausted") == "block" and _text(source, *path, "ordering") != "key":
            merges = source.find(*path, "coalesce") is not None
            yield source.diagnose(
                Code.BLOCK,
                "`on_exhausted: block` holds back single changes, and this consumer merges them"
                if merges
                else "`on_exhausted: block` holds back a key, and this consumer keeps no order of keys",
                *path,
                "on_exhausted",
                fix="let it be dead_letter" if merges else "add `ordering: key`, or let it be dead_letter",
            )


def _check_schedules(source: Source) -> Iterator[Diagnostic]:
    for name in _keys(source, "schedules"):
        path = ("schedules", name)
        content = _content(source, *path)
        if not isinstance(content, dict):
            continue
        yield from _check_queue(source, *path, "queue")
        yield from _check_both(source, path, "cron", "every")
        if "cron" not in content and "every" not in content:
            message = f"schedule {show(name)} does not say when it runs"
            fix = 'for example `cron: "0 3 * * *"`, or `every: 30s`'
            yield source.diagnose(Code.MISSING_KEY, message, *path, key=True, fix=fix)
        if "timezone" in content and "every" in content and "cron" not in content:
            message = "`timezone` is given, but `every` counts seconds, which are the same in all zones"
            fix = "delete `timezone`, or write `cron`"
            yield source.diagnose(Code.SCHEDULE, message, *path, "timezone", key=True, fix=fix)
        every = _whole_seconds(source, *path, "every")
        if every is not None and not 0 < every <= YEAR:
            bound = "at least 1s" if every == 0 else "at most 1 year"
            yield source.diagnose(Code.OUT_OF_RANGE, f"`every` must be {bound}", *path, "every")


def _check_retry(source: Source, *path: Step) -> Iterator[Diagnostic]:
    first = _seconds(source, *path, "first", default="1s")
    longest = _seconds(source, *path, "max", default="10m")
    if first is not None and longest is not None and first > longest:
        shown = [_text(source, *path, "first") or "1s", _text(source, *path, "max") or "10m"]
        message = f"the first pause ({shown[0]}) is longer than the longest, `max` ({shown[1]})"
        key = "first" if source.find(*path, "first") else "max"
        yield source.diagnose(Code.RETRY, message, *path, key, fix="raise `max`, or lower `first`")


def _check_dead_letters(source: Source) -> Iterator[Diagnostic]:
    owners: dict[str, str] = {}
    for queue in _keys(source, "queues"):
        path = ("queues", queue)
        target = _text(source, *path, "dead_letter")
        place: tuple[Step, ...] = (*path, "dead_letter") if target else path
        fix = "name another queue as `dead_letter`"
        target = target or f"{queue}_dlq"
        if len(target.encode()) > QUEUE_LENGTH and place == path:
            message = (
                f"the name {show(target)} of its dead-letter queue is longer than {QUEUE_LENGTH} characters"
            )
            fix = "name one of at most 47 characters: `dead_letter: ...`"
        elif target == queue:
            message = f"the queue {show(queue)} is its own dead-letter queue"
        elif (kind := _text(source, "queues", target, "kind")) in _LOSES:
            message = f"{show(target)} is {kind}: {_LOSES[kind]} would lose dead letters of {show(queue)}"
            fix = f"let {show(target)} be `kind: logged`, or name another queue as `dead_letter`"
        elif target in owners:
            message = f"{show(target)} is the dead-letter queue of {show(owners[target])} already"
        else:
            owners[target] = queue
            continue
        yield source.diagnose(Code.DEAD_LETTER, message, *place, fix=fix, key=place == path)
    yield from _check_circles(source, {queue: target for target, queue in owners.items()})


def _check_circles(source: Source, targets: dict[str, str]) -> Iterator[Diagnostic]:
    """Two queues never share a target, so a walk ends, comes back to its start, or meets an earlier walk."""
    seen: set[str] = set()
    for start in targets:
        at = start
        while at in targets and at not in seen:
            seen.add(at)
            at = targets[at]
            if at == start:
                message = f"dead letters of {show(start)} come back to it through {show(targets[start])}"
                path = ("queues", start, "dead_letter")
                yield source.diagnose(
                    Code.DEAD_LETTER, message, *path, fix="name another queue as `dead_letter`"
                )
