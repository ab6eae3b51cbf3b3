"""Captures -> the files of ``sql_out/``, byte-identical for the same spec and catalog."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from changelane.contract import coalesce as coalescing
from changelane.contract import manifest as contract
from changelane.contract.access import find_api_functions
from changelane.contract.catalog import Catalog
from changelane.contract.digest import digest_spec
from changelane.contract.file import write_whole
from changelane.contract.manifest import Manifest, Step
from changelane.contract.marker import hash_model
from changelane.contract.schema import SCHEMA_SQL
from changelane.diagnostic import Diagnostic
from changelane.generator.capture.calls import list_calls
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.resolution import Resolution, resolve
from changelane.generator.render import templating
from changelane.generator.render.access_sql import Grant, list_grants
from changelane.generator.render.owner_sql import gather_owner
from changelane.generator.render.queue_sql import QueuePlan, describe_dead_letters, group_by, list_queues
from changelane.generator.render.relays import describe_destinations, describe_relay
from changelane.generator.render.renderings import Renderings
from changelane.generator.spec.loading import Document
from changelane.generator.spec.models import Coalesce, Consumer, Route, Schedule
from changelane.generator.spec.scalars import read_rate
from changelane.generator.sql.grammar import check_statements

_NOTICE = "-- Written by `changelane generate`: edit pipelines.yaml, not this file.\n"
_SINGLE = ("api.sql", "owner.sql", "schedules.sql")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_LONGEST_NAME = 200
"""Characters of a file's name without its ending; file systems hold 255 bytes."""
_ACCESS_HEAD = "SET LOCAL search_path = pg_catalog, pg_temp;\n"


@dataclass(frozen=True, slots=True)
class Output:
    """``files`` maps a path below ``sql_out/`` to its text; ``warnings`` are for people."""

    files: Mapping[str, str]
    warnings: tuple[Diagnostic, ...]


def generate(document: Document, catalog: Catalog) -> Output:
    """Render everything. Raises SpecError with every problem that the catalog shows in the spec."""
    resolution = resolve(document, catalog)
    required = resolution.require()
    files: dict[str, SqlFile] = {}
    schema = _render_schema(files)
    queues = [_render_queue(document, name, queue, files) for name, queue in list_queues(document)]
    renderings = Renderings()
    captures = [
        entry
        for route, captured in groupby(required, key=lambda capture: capture.route)
        for entry in _render_route(route, captured, files, renderings)
    ]
    owner = _render_owner(document.spec.owner, required, files) if document.spec.owner else None
    grants = list_grants(document, resolution.using)
    access = [_render_access(name, grant, files) for name, grant in grants]
    api = _render_api(document, [grant for _, grant in grants], files) if document.spec.api else None
    schedules = [
        _render_schedule(document.spec.project, name, schedule, files)
        for name, schedule in sorted(document.spec.schedules.items())
    ]
    texts = {name: file.join() for name, file in files.items()}
    manifest = Manifest(
        project=document.spec.project,
        schema_step=schema,
        owner=owner,
        spec=digest_spec(document.source.text.encode()).sha256,
        files={name: contract.hash_text(text) for name, text in sorted(texts.items())},
        queues=tuple({queue.name: queue for queue in queues}.values()),
        captures=tuple(captures),
        routes=tuple(_describe_routes(document.spec.routes, resolution)),
        tables=tuple(_describe_tables(resolution.captures)),
        consumers=tuple(
            _describe_consumer(document, queue, consumer, resolution.captures)
            for queue, consumer in document.spec.consumers.items()
        ),
        destinations=tuple(describe_destinations(document.spec)),
        access=tuple(access),
        schedules=tuple(schedules),
        api=api,
    )
    return Output(
        files={**texts, "manifest.json": manifest.dump()},
        warnings=tuple(sorted(set(resolution.diagnostics))),
    )


class SqlFile:
    """A file that grows by steps and knows where each one lies, in bytes."""

    def __init__(self, name: str, head: str) -> None:
        self.name = name
        self.parts = [head]
        self.length = len(head.encode())

    def add(self, sql: str, *, gap: str = "\n") -> Step:
        content = sql.encode()
        start = self.length + len(gap)
        self.length = start + len(content)
        self.parts += [gap, sql]
        return Step(file=self.name, start=start, end=self.length, sha256=hashlib.sha256(content).hexdigest())

    def join(self) -> str:
        return "".join(self.parts)


def _render_schema(files: dict[str, SqlFile]) -> Step:
    check_statements(SCHEMA_SQL)
    file = files["schema.sql"] = SqlFile("schema.sql", _NOTICE)
    return file.add(SCHEMA_SQL)


def _render_queue(
    document: Document, name: str, queue: QueuePlan, files: dict[str, SqlFile]
) -> contract.Queue:
    head = _NOTICE + (_ACCESS_HEAD if document.spec.queues[name].access else "")
    path = _place_queue(name)
    file = files.setdefault(path, SqlFile(path, head))
    create = templating.render_queue(queue, project=document.spec.project)
    settings = templating.render_queue_settings(queue)
    check_statements(create + settings)
    return contract.Queue(
        name=queue.name,
        kind=queue.kind,
        partition=queue.partition,
        archive=queue.archive,
        autovacuum=" ".join(queue.autovacuum),
        dead_letter=queue.dead_letter,
        dead_letters=queue.dead_letters,
        ordered=queue.ordered,
        groups=queue.groups,
        counts=queue.counts,
        spec=queue.hash_spec(templating.TEMPLATE_VERSION),
        live=queue.hash_live(),
        step=file.add(create),
        settings_step=file.add(settings),
    )


def _place_queue(name: str) -> str:
    return f"queues/{name_file(name)}.sql"


def _render_access(name: str, grant: Grant, files: dict[str, SqlFile]) -> contract.Access:
    spec = hash_model(["access", templating.TEMPLATE_VERSION, grant.model()])
    sql = templating.render_access(grant, spec=spec)
    check_statements(sql)
    return contract.Access(
        queue=grant.queue,
        role=grant.role,
        caller=grant.caller,
        functions=tuple(grant.functions.values()),
        allow=tuple(grant.operations),
        narrowed=tuple(name for name, using in grant.operations.items() if using),
        policies=tuple(grant.list_policies("queue")),
        archive_policies=tuple(grant.list_policies("archive")),
        spec=spec,
        step=files[_place_queue(name)].add(sql),
    )


def _render_api(document: Document, grants: Iterable[Grant], files: dict[str, SqlFile]) -> contract.Api:
    allowed: dict[str, set[str]] = {}
    for grant in grants:
        allowed.setdefault(grant.caller or grant.role, set()).update(grant.operations)
    opened = {role: find_api_functions(operations) for role, operations in sorted(allowed.items())}
    project = document.spec.project
    spec = hash_model(["api", templating.render_api(project=project, spec="")])
    file = files["api.sql"] = SqlFile("api.sql", _NOTICE)
    functions = templating.render_api(project=project, spec=spec)
    opening = templating.render_api_grants(opened, project=project)
    check_statements(functions + opening)
    return contract.Api(grants=opened, spec=spec, step=file.add(functions), grant_step=file.add(opening))


def _render_schedule(
    project: str, name: str, schedule: Schedule, files: dict[str, SqlFile]
) -> contract.Schedule:
    declared = schedule.model_dump()
    spec = hash_model(["schedule", name, declared])
    sql = templating.render_schedule(name, schedule, project=project, spec=spec)
    check_statements(sql)
    file = files.setdefault("schedules.sql", SqlFile("schedules.sql", _NOTICE))
    return contract.Schedule(name=name, **declared, spec=spec, step=file.add(sql))


def _render_owner(role: str, captures: Iterable[Capture], files: dict[str, SqlFile]) -> contract.Owner:
    sql = templating.render_owner(gather_owner(role, captures))
    check_statements(sql)
    file = files["owner.sql"] = SqlFile("owner.sql", _NOTICE)
    return contract.Owner(role=role, step=file.add(sql))


def _render_route(
    route: str, captures: Iterable[Capture], files: dict[str, SqlFile], renderings: Renderings
) -> Iterator[contract.Capture]:
    captures = tuple(captures)
    alone = len({capture.table.identity for capture in captures}) == 1
    for capture in captures:
        name = f"routes/{route}.sql" if alone else f"routes/{route}/{name_file(*capture.table.identity)}.sql"
        file = files.setdefault(name, SqlFile(name, _NOTICE))
        rendering = renderings.render(capture)
        kin = rendering.kin
        yield contract.Capture(
            name=capture.name,
            trigger=capture.trigger,
            route=capture.route,
            schema_=capture.table.schema_,
            table=capture.table.name,
            event=capture.event,
            level=capture.level,
            reason=capture.reason,
            fire=capture.fire,
            send=capture.send,
            queues=capture.queues,
            calls=list_calls(kin),
            waking=bool(capture.waking),
            columns=tuple(column.name for column in kin.needed),
            types={column.name: column.type for column in kin.needed if column.name in kin.weighed},
            masked=tuple(sorted(capture.mask)),
            spec=rendering.spec,
            function_live=rendering.function_live,
            trigger_live=rendering.trigger_live,
            check=rendering.check,
            function_step=file.add(rendering.function),
            trigger_step=file.add(rendering.trigger, gap=""),
        )


def name_file(*names: str) -> str:
    """The names, joined by dots, as the name of a file on any system: what is no lower-case letter, digit or
    ``_`` is ``%`` and the hex of its bytes. A long name is cut, with a hash in place of the rest.
    """
    spelled = ".".join(
        "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in name.encode())
        for name in names
    )
    if len(spelled) <= _LONGEST_NAME:
        return spelled
    digest = hashlib.sha256(spelled.encode()).hexdigest()[:16]
    return f"{spelled[: _LONGEST_NAME - 17]}~{digest}"


def _describe_routes(routes: Iterable[Route], resolution: Resolution) -> Iterator[contract.Route]:
    closed = {capture.route for capture in resolution.captures if capture.columns is not None}
    for route in routes:
        yield contract.Route(
            name=route.name,
            selection=resolution.targets[route.name].selection,
            keyed=bool(route.key),
            sends="named" if route.payload.columns else "reviewed" if route.name in closed else "all",
        )


def _describe_tables(captures: Iterable[Capture]) -> Iterator[contract.Table]:
    tables = {capture.table.identity: capture.table for capture in captures}
    for _, table in sorted(tables.items()):
        yield contract.Table(
            schema_=table.schema_,
            name=table.name,
            primary_key=table.primary_key,
            columns=tuple(column.name for column in table.columns),
        )


def _describe_consumer(
    document: Document, queue: str, consumer: Consumer, captures: Iterable[Capture]
) -> contract.Consumer:
    retry = consumer.retry
    declared = document.spec.queues[queue]
    return contract.Consumer(
        queue=queue,
        handler=consumer.handler,
        mode=consumer.mode,
        ordering=consumer.ordering,
        coalesce=consumer.coalesce and _describe_coalesce(consumer.coalesce, queue, captures),
        concurrency=consumer.concurrency,
        lease=consumer.lease,
        retry=contract.Retry(
            attempts=retry.attempts,
            backoff=retry.backoff,
            first=retry.first,
            max=retry.max,
            never=retry.never,
        ),
        on_exhausted=consumer.on_exhausted,
        dead_letter=document.spec.dead_letter(queue),
        dead_letters=describe_dead_letters(declared),
        archive=declared.archive and contract.Archive(keep=declared.archive.keep),
        rate=consumer.rate and read_rate(consumer.rate),
        fair=consumer.fair
        and contract.Fair(
            by=group_by(consumer.fair),
            concurrency=consumer.fair.concurrency,
            rate=consumer.fair.rate and read_rate(consumer.fair.rate),
        ),
        limit=consumer.limit
        and contract.Limit(
            concurrency=consumer.limit.concurrency,
            rate=consumer.limit.rate and read_rate(consumer.limit.rate),
        ),
        claim=consumer.claim,
        **{"batch": consumer.batch, "timeout": consumer.timeout, **describe_relay(document.spec, consumer)},
    )


def _describe_coalesce(rule: Coalesce, queue: str, captures: Iterable[Capture]) -> coalescing.Coalesce:
    sending = [capture for capture in captures if queue in capture.queues]
    return coalescing.Coalesce(
        quiet=rule.quiet,
        at_most=rule.at_most,
        partial=tuple(sorted({capture.route for capture in sending if capture.old == "changed"})),
        shared=tuple(sorted({capture.route for capture in sending if not capture.names_row})),
    )


def find_stale(output: Output, out: Path) -> list[str]:
    """Paths below ``out`` that a write would add, change or delete, sorted."""
    wrong = [name for name, text in output.files.items() if _read(out / name) != text]
    return sorted([*wrong, *_find_leftover(output, out)])


def _find_leftover(output: Output, out: Path) -> list[str]:
    """Files that an earlier run wrote and this one does not; a file without our notice is left alone."""
    return [
        name
        for pattern in ("queues/*.sql", "routes/*.sql", "routes/*/*.sql", *_SINGLE)
        for path in sorted(out.glob(pattern))
        if (name := path.relative_to(out).as_posix()) not in output.files
        and (_read(path) or "").startswith(_NOTICE)
    ]


def write(output: Output, out: Path) -> list[str]:
    """Write files that differ, the manifest last, and delete files that are gone; returns the paths touched.

    A file is replaced whole, so an interrupted run leaves no half-written file.
    """
    stale = find_stale(output, out)
    for name in sorted(stale, key=lambda name: name == "manifest.json"):
        path = out / name
        if name not in output.files:
            path.unlink()
            with suppress(OSError):
                # The folder of a route that captures one table now, or none.
                path.parent.rmdir()
            continue
        write_whole(path, output.files[name])
    return stale


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
