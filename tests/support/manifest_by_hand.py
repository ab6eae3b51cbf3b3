"""Small manifests made by hand, with the files that they name, as the generator writes them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from changelane.contract.manifest import Capture, Manifest, Queue, Step
from changelane.contract.marker import (
    TRIGGER_EVENTS,
    format_marker,
    hash_function,
    hash_model,
    hash_queue,
    hash_trigger,
)
from changelane.contract.schema import SCHEMA_VERSION
from changelane.runner.live import observe

SESSION = observe.Session(
    server=18,
    database="app",
    role="deploy",
    pid=1,
    creates_schemas=True,
    has_pgmq=True,
    uses_pgmq=True,
    creates_queues=True,
    has_schema=True,
    schema_comment=f"changelane:schema {SCHEMA_VERSION}",
    schema_live="0123456789ab",
    functions_comment="changelane:functions live=0123456789ab",
    schema_objects=0,
    creates_functions=True,
    owns_schema=True,
)
COLUMNS = {
    "msg_id": "bigint",
    "read_ct": "integer",
    "enqueued_at": "timestamp with time zone",
    "vt": "timestamp with time zone",
    "message": "jsonb",
    "headers": "jsonb",
}
CONFIG = ("search_path=pg_catalog, pg_temp",)

_QUEUE = """DO $do$ BEGIN
    IF NOT EXISTS (SELECT FROM pgmq.meta WHERE queue_name = '{name}') THEN
        PERFORM pgmq.create('{name}');
        EXECUTE format('COMMENT ON TABLE pgmq.q_{name} IS %L',
            '{marker} pg=' || current_setting('server_version_num')::int / 10000);
    END IF;
END $do$;
"""

AUTOVACUUM = "autovacuum_vacuum_threshold=7"

_SETTINGS = "ALTER TABLE pgmq.q_{name} SET (autovacuum_vacuum_threshold = 7);\n"

_FUNCTION = """CREATE OR REPLACE FUNCTION changelane."{name}"() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function${body}$function$;
REVOKE ALL ON FUNCTION changelane."{name}"() FROM PUBLIC;
DO $do$ BEGIN
    EXECUTE format('COMMENT ON FUNCTION changelane."{name}"() IS %L',
        '{marker}');
END $do$;
"""

_TRIGGER = """CREATE OR REPLACE TRIGGER "{name}" AFTER {event} ON "{schema}"."{table}"
FOR EACH {level} {when}EXECUTE FUNCTION changelane."{name}"();
{enable}DO $do$ BEGIN
    EXECUTE format('COMMENT ON TRIGGER "{name}" ON "{schema}"."{table}" IS %L',
        '{marker}');
END $do$;
"""


@dataclass
class Sample:
    """Collects queues and captures; ``manifest`` and ``files`` are made from them."""

    project: str = "shop"
    contents: dict[str, bytes] = field(default_factory=dict)
    queues: list[Queue] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)

    def queue(self, name: str, *, spec: str = "1", dead_letter: str | None = None) -> Sample:
        spec_hash, live = hash_model(spec), hash_queue(kind="logged", autovacuum=[AUTOVACUUM])
        marker = format_marker(project=self.project, kind="queue", name=name, spec=spec_hash, live=live)
        step = self._write(f"queues/{name}.sql", _QUEUE.format(name=name, marker=marker))
        settings = self._write(f"queues/{name}.sql", _SETTINGS.format(name=name))
        self.queues.append(
            Queue(
                name=name,
                dead_letter=dead_letter,
                autovacuum=AUTOVACUUM,
                spec=spec_hash,
                live=live,
                step=step,
                settings_step=settings,
            )
        )
        return self

    def capture(
        self,
        route: str = "paid",
        *,
        table: str = "public.orders",
        event: str = "insert",
        queue: str = "events",
        level: str = "row",
        body: str | None = None,
        when: str = "",
        fire: str = "origin",
        columns: tuple[str, ...] = (),
        spec: str = "1",
    ) -> Sample:
        schema, name = table.split(".")
        capture = f"{self.project}_{route}_{name}_{event}"
        if body is None:
            body = (
                f" BEGIN PERFORM pgmq.send('{queue}', pg_catalog.jsonb_build_object('op', lower(TG_OP)));"
                " RETURN NULL; END "
            )
        spec_hash = hash_model([spec, body, level, when, fire])
        function_live = hash_function(
            body=body, language="plpgsql", security_definer=True, config=CONFIG, public_execute=False
        )
        trigger_live = hash_trigger(
            function=f"changelane.{capture}",
            type=TRIGGER_EVENTS[event] + (level == "row"),
            old_table=None,
            new_table=None,
            conditional=bool(when),
            columns=0,
        )

        def mark(live: str) -> str:
            return format_marker(project=self.project, kind="route", name=route, spec=spec_hash, live=live)

        function_marker = format_marker(
            project=self.project,
            kind="route",
            name=route,
            spec=spec_hash,
            live=function_live,
            queues=(queue,),
        )

        file = f"routes/{self.project}_{route}.sql"
        function_step = self._write(file, _FUNCTION.format(name=capture, body=body, marker=function_marker))
        enable = (
            ""
            if fire == "origin"
            else f'ALTER TABLE "{schema}"."{name}" ENABLE {fire} TRIGGER "{capture}";\n'
        )
        trigger_step = self._write(
            file,
            _TRIGGER.format(
                name=capture,
                event=event.upper(),
                schema=schema,
                table=name,
                level=level.upper(),
                when=f"WHEN ({when}) " if when else "",
                enable=enable,
                marker=mark(trigger_live),
            ),
        )
        self.bodies[capture] = body
        values: dict[str, Any] = {"schema": schema, "level": level, "event": event, "fire": fire}
        self.captures.append(
            Capture(
                name=capture,
                route=route,
                table=name,
                queues=(queue,),
                columns=columns,
                spec=spec_hash,
                function_live=function_live,
                trigger_live=trigger_live,
                function_step=function_step,
                trigger_step=trigger_step,
                **values,
            )
        )
        return self

    def _write(self, file: str, text: str) -> Step:
        before = self.contents.get(file, b"")
        part = text.encode()
        self.contents[file] = before + part
        return Step(
            file=file, start=len(before), end=len(before) + len(part), sha256=hashlib.sha256(part).hexdigest()
        )

    @property
    def manifest(self) -> Manifest:
        return Manifest(
            project=self.project,
            files={name: hashlib.sha256(content).hexdigest() for name, content in self.contents.items()},
            queues=tuple(self.queues),
            captures=tuple(self.captures),
            consumers=(),
        )

    def save(self, out: Path) -> Path:
        """Write ``sql_out/`` as the generator does; returns it."""
        for name, content in self.contents.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
        (out / "manifest.json").write_text(self.manifest.dump())
        return out

    @property
    def empty(self) -> observe.Observed:
        """A database with every table, before the first apply."""
        session = replace(SESSION, has_schema=False, schema_comment=None)
        return observe.Observed(session=session, relations=self._relations)

    @property
    def applied(self) -> observe.Observed:
        """A database after apply."""
        queues = [
            observe.LiveQueue(
                name=queue.name,
                kind=queue.kind,
                has_table=True,
                columns=COLUMNS,
                autovacuum=(queue.autovacuum,),
                inserts=True,
                owned=True,
                comment=self._mark("queue", queue.name, queue.spec, queue.live),
            )
            for queue in self.queues
        ]
        functions = [
            observe.Function(
                name=capture.name,
                body=self.bodies[capture.name],
                language="plpgsql",
                security_definer=True,
                config=CONFIG,
                public_execute=False,
                owner="deploy",
                owned=True,
                comment=self._mark(
                    "route", capture.route, capture.spec, capture.function_live, queues=capture.queues
                ),
            )
            for capture in self.captures
        ]
        triggers = [
            observe.Trigger(
                name=capture.name,
                schema=capture.schema_,
                table=capture.table,
                function=f"changelane.{capture.name}",
                type=TRIGGER_EVENTS[capture.event] + (capture.level == "row"),
                enabled={"origin": "O", "always": "A", "replica": "R"}[capture.fire],
                old_table=None,
                new_table=None,
                conditional=False,
                columns=0,
                owned=True,
                comment=self._mark("route", capture.route, capture.spec, capture.trigger_live),
            )
            for capture in self.captures
        ]
        return observe.Observed(
            session=replace(SESSION, schema_objects=len(functions)),
            queues={queue.name: queue for queue in queues},
            functions={function.name: function for function in functions},
            triggers={trigger.identity: trigger for trigger in triggers},
            relations=self._relations,
        )

    def _mark(self, kind: str, name: str, spec: str, live: str, *, queues: tuple[str, ...] = ()) -> str:
        line = format_marker(project=self.project, kind=kind, name=name, spec=spec, live=live, queues=queues)
        return line if kind == "route" else f"{line} pg=18"

    @property
    def _relations(self) -> dict[tuple[str, str], observe.Relation]:
        return {
            capture.identity: observe.Relation(
                schema=capture.schema_,
                name=capture.table,
                kind="r",
                partition=False,
                has_children=False,
                has_parents=False,
                owned=True,
                owner="deploy",
                columns={"id": "integer", "status": "text"},
            )
            for capture in self.captures
        }


def with_function(
    observed: observe.Observed, change: Callable[[observe.Function], observe.Function | None]
) -> observe.Observed:
    """The same database with its only function changed, or without it."""
    ((name, function),) = observed.functions.items()
    changed = change(function)
    return replace(observed, functions={name: changed} if changed else {})


def with_trigger(
    observed: observe.Observed, change: Callable[[observe.Trigger], observe.Trigger | None]
) -> observe.Observed:
    """The same database with its only trigger changed, or without it."""
    ((identity, trigger),) = observed.triggers.items()
    changed = change(trigger)
    return replace(observed, triggers={identity: changed} if changed else {})
