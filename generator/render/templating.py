"""Captures and queues -> SQL text, one template each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.environment import TemplateModule

from changelane.contract.access import (
    ACCESS_SCHEMA,
    API_NAMES,
    API_SCHEMA,
    OPTIONAL_COLUMN,
    Place,
    find_functions,
)
from changelane.contract.envelope import RESERVED
from changelane.contract.marker import (
    ANCHOR,
    API_LIVE,
    FUNCTION_LIVE,
    POLICY_LIVE,
    SCHEMA,
    TRIGGER_EVENTS,
    TRIGGER_ROW,
    format_marker,
    hash_function,
    hash_trigger,
    spell_model,
)
from changelane.contract.queue_name import archive_table, encode, queue_table
from changelane.contract.units import spell_interval
from changelane.generator.capture.calls import list_names
from changelane.generator.capture.capture import (
    ESCAPED,
    FORMED,
    FORMED_COLUMN,
    NOT_JSONB,
    ROW_LIMIT,
    SHORT,
    SMALL_ARRAYS,
    SURELY_FORMED,
    SURELY_SMALL,
    Capture,
    bind_expression,
)
from changelane.generator.render.access_sql import Grant
from changelane.generator.render.fold import fold, quote_lines
from changelane.generator.render.owner_sql import Owner
from changelane.generator.render.queue_sql import QueuePlan
from changelane.generator.spec.models import Schedule
from changelane.generator.sql.quoting import (
    indent,
    quote_array,
    quote_body,
    quote_elements,
    quote_identifier,
    quote_literal,
)

TEMPLATE_VERSION = 5
"""Part of every spec hash; raised when a template's output changes in meaning."""


def spell_size(bytes: int) -> str:
    """A number of bytes, with the size in words where it is a round one. No function: each session would look
    it up in the catalog at its first write.
    """
    for unit, name in ((2**20, "MB"), (2**10, "kB")):
        if bytes >= 10 * unit or (bytes >= unit and bytes % unit == 0):
            return f"{bytes} /* {bytes // unit} {name} */" if bytes % unit == 0 else str(bytes)
    return str(bytes)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
    autoescape=False,  # noqa: S701 -- the output is SQL; the filters below quote
)
_ENVIRONMENT.filters |= {
    "identifier": quote_identifier,
    "literal": quote_literal,
    "array": quote_array,
    "elements": quote_elements,
    "queue_table": queue_table,
    "archive_table": archive_table,
    "encoded": encode,
    "tojson_literal": lambda value: quote_literal(json.dumps(value)),
    "quoted_body": quote_body,
    "indent": indent,
}
_ENVIRONMENT.filters["size"] = spell_size
_ENVIRONMENT.filters |= {"fold": fold, "lines": quote_lines}
_ENVIRONMENT.globals |= {
    "anchor": ANCHOR,
    "not_jsonb": NOT_JSONB,
    "escaped": ESCAPED,
    "limits": {
        "row": ROW_LIMIT,
        "formed": FORMED,
        "formed_column": FORMED_COLUMN,
        "surely_formed": SURELY_FORMED,
        "surely_small": SURELY_SMALL,
        "small_arrays": SMALL_ARRAYS,
        "short": SHORT,
    },
}

_PINS = (
    ("TimeZone", "UTC"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"), ("bytea_output", "hex"),
    ("extra_float_digits", "1"), ("quote_all_identifiers", "off"),
)  # fmt: skip
"""Settings on which the meaning of literals depends, and how the catalog spells an expression."""
_ENVIRONMENT.filters["interval"] = spell_interval


def render_queue(queue: QueuePlan, *, project: str) -> str:
    """SQL that creates a queue where it is missing, marks it as the project's own, and makes its indexes."""
    spec, live = queue.hash_spec(TEMPLATE_VERSION), queue.hash_live()
    marker = format_marker(project=project, kind="queue", name=queue.name, spec=spec, live=live) + " pg="
    return _render_queue("queue", queue, marker=marker)


def render_queue_settings(queue: QueuePlan) -> str:
    """SQL that gives a queue that is there the declared settings; no sender waits for it."""
    return _render_queue("queue_settings", queue)


def _render_queue(template: str, queue: QueuePlan, **values: str) -> str:
    return fold(
        _ENVIRONMENT.get_template(f"{template}.sql.j2").render(
            queue=queue, table=queue_table(queue.name), archive=archive_table(queue.name), **values
        )
    )


def render_schedule(name: str, schedule: Schedule, *, project: str, spec: str) -> str:
    """SQL that declares a schedule. A worker runs it, by this row."""
    return _ENVIRONMENT.get_template("schedule.sql.j2").render(
        name=name, schedule=schedule, project=project, spec=spec
    )


def render_body(capture: Capture) -> str:
    """The plpgsql of a capture function."""
    body = _render_body(capture, borrowing=True)
    if not capture.borrowed:
        return fold(body)
    body = _ENVIRONMENT.get_template("borrowing.sql.j2").render(
        types=capture.borrowed, body=body, body_without=_render_body(capture, borrowing=False)
    )
    return fold(body)


class _Named(NamedTuple):
    """A column that the function names, and a NULL of its type. Jinja reads attributes faster than keys."""

    name: str
    null: str


def _render_body(capture: Capture, *, borrowing: bool) -> str:
    values: dict[str, object] = {
        "capture": capture,
        "event": capture.event,
        "sides": capture.sides,
        **{
            group: [
                _Named(column.name, capture.write_null(column, borrowing=borrowing)) for column in columns
            ]
            for group, columns in (
                ("named", capture.named),
                ("needed", capture.needed),
                ("measured", capture.measured),
                ("spoken", capture.spoken),
            )
        },
        "when": bind_expression(capture, capture.when, borrowing=borrowing) if capture.when else None,
        "extra": {
            name: bind_expression(capture, value, borrowing=borrowing)
            for name, value in capture.extra.items()
        },
    }
    payload = _ENVIRONMENT.get_template("payload.sql.j2")
    halves: dict[str, TemplateModule | None] = {"leaving": None, "entering": None}
    if capture.halved and capture.event == "update":
        # The update reaches the key that the row leaves as a delete, and the other as an insert.
        halves["leaving"] = payload.make_module({**values, "event": "delete", "sides": ("old",)})
        halves["entering"] = payload.make_module({**values, "event": "insert", "sides": ("new",)})
    return _ENVIRONMENT.get_template("body.sql.j2").render(**values, **halves)


def spell_capture(capture: Capture) -> str:
    """The text whose hash is the spec hash of a capture's function."""
    return spell_model(["function", TEMPLATE_VERSION, capture.model()])


def hash_live_function(capture: Capture, *, body: str) -> str:
    """The live hash that the catalog yields once ``body`` is installed."""
    config = [f"{name}={value.strip(chr(39))}" for name, value in capture.settings]
    return hash_function(
        body=body, language="plpgsql", security_definer=True, config=config, public_execute=False
    )


def render_function(capture: Capture, *, body: str, spec: str, live: str) -> str:
    """SQL of the function, its revoked EXECUTE and its marker; takes no lock on any table."""
    return _ENVIRONMENT.get_template("function.sql.j2").render(
        name=capture.name,
        settings=capture.settings,
        body=body,
        anchor=ANCHOR if ANCHOR in body else None,
        schema=capture.table.schema_,
        table=capture.table.name,
        marker=format_marker(
            project=capture.project,
            kind="route",
            name=capture.route,
            spec=spec,
            live=live,
            queues=capture.queues,
        ),
        owner=capture.owner,
        check=render_check(capture),
    )


def render_check(capture: Capture) -> str:
    """What follows SELECT to have Postgres look at the capture's expressions; empty where it has none."""
    when = [f"{bind_expression(capture, capture.when)} IS TRUE"] if capture.when else []
    expressions = [*when, *(bind_expression(capture, value) for value in capture.extra.values())]
    if not expressions:
        return ""
    return _ENVIRONMENT.get_template("check.sql.j2").render(
        schema=capture.table.schema_, table=capture.table.name, sides=capture.sides, expressions=expressions
    )


def render_backfill(capture: Capture) -> str:
    """SQL of a temporary table whose new rows are sent as snapshots; takes no lock on the captured one."""
    return _ENVIRONMENT.get_template("backfill.sql.j2").render(
        settings=capture.settings,
        body=render_body(capture),
        schema=capture.table.schema_,
        table=capture.table.name,
    )


def hash_live_trigger(capture: Capture) -> str:
    """The live hash that the catalog yields once the trigger is installed."""
    return hash_trigger(
        function=f"changelane.{capture.name}",
        type=TRIGGER_EVENTS[capture.event] | (TRIGGER_ROW if capture.level == "row" else 0),
        old_table=_transition(capture, "old"),
        new_table=_transition(capture, "new"),
        conditional=False,
        columns=0,
    )


def _transition(capture: Capture, row: str) -> str | None:
    return f"changelane_{row}" if capture.level == "statement" and row in capture.sides else None


def render_trigger(capture: Capture, *, spec: str, live: str) -> str:
    """SQL of the trigger and its marker; locks the table in SHARE ROW EXCLUSIVE mode."""
    sql = _ENVIRONMENT.get_template("trigger.sql.j2").render(
        name=capture.trigger,
        function=capture.name,
        event=capture.event,
        level=capture.level,
        fire=capture.fire,
        schema=capture.table.schema_,
        table=capture.table.name,
        old_table=_transition(capture, "old"),
        new_table=_transition(capture, "new"),
        marker=format_marker(project=capture.project, kind="route", name=capture.route, spec=spec, live=live),
    )
    return fold(sql)


def render_owner(owner: Owner) -> str:
    """SQL that makes the role where it is missing, and gives it what it lacks to send; locks no table."""
    return fold(
        _ENVIRONMENT.get_template("owner.sql.j2").render(
            role=owner.role, queues=owner.queues, schemas=owner.schemas, functions=owner.functions
        )
    )


def render_access(grant: Grant, *, spec: str) -> str:
    """SQL that grants a role its declared rights, and revokes all others; locks the queue's tables."""
    spellings: dict[Place, Callable[[str], str]] = {"queue": queue_table, "archive": archive_table}
    tables: list[dict[str, Any]] = [
        {
            "place": place,
            "name": f"pgmq.{quote_identifier(spell(grant.queue))}",
            "rights": grant.list_rights(place, optional=False),
            "optional": grant.list_rights(place, optional=True),
            "policies": [
                {
                    "name": name,
                    "command": parts[0].command,
                    "restrictive": parts[0].restrictive,
                    "using": _unite((part.using, grant.operations[part.operation]) for part in parts),
                    "check": _unite(
                        (part.check or part.using, grant.operations[part.operation]) for part in parts
                    )
                    if any(part.check for part in parts)
                    else (),
                }
                for name, parts in grant.list_policies(place).items()
            ],
        }
        for place, spell in spellings.items()
    ]
    calls = list_names(using for using in grant.operations.values() if using) if grant.caller else ()
    values: dict[str, object] = {
        "queue": grant.queue,
        "role": grant.role,
        "tables": tables,
        "prefix": f"changelane:1 project={grant.project} access=",
        "marker": _mark_by_server(project=grant.project, kind="access", name=grant.queue, spec=spec),
    }
    given = _ENVIRONMENT.get_template("access.sql.j2").render(
        **values,
        summary=", ".join(grant.operations),
        names=[policy["name"] for table in tables for policy in table["policies"]],
        schemas=["pgmq", *([SCHEMA] if grant.working else []), *sorted({schema for schema, _ in calls})],
        functions=find_functions(grant.operations),
        optional=OPTIONAL_COLUMN,
        reserved=RESERVED,
        pins=_PINS,
        live=POLICY_LIVE,
    )
    if not grant.caller:
        return fold(given)
    role = _ENVIRONMENT.get_template("role.sql.j2").render(role=grant.role)
    functions = _ENVIRONMENT.get_template("access_functions.sql.j2").render(
        **values,
        caller=grant.caller,
        schema=ACCESS_SCHEMA,
        functions=grant.functions,
        calls=calls,
        function_live=FUNCTION_LIVE,
    )
    return fold(role + given + functions)


def _unite(parts: Iterable[tuple[str, str | None]]) -> tuple[tuple[str, str | None], ...]:
    """Kinds of rows with their expressions, without those that others among them include; a row of any kind
    passes.
    """
    found = [part for part in dict.fromkeys(parts) if part[0]]
    if ("rows", None) in found:
        return (("rows", None),)
    return tuple(part for part in found if part[0] != "none" or len(found) == 1)


def render_api(*, project: str, spec: str) -> str:
    """SQL of schema ``pgmq_public`` and its functions, which nobody may execute yet."""
    return fold(
        _ENVIRONMENT.get_template("api.sql.j2").render(
            schema=API_SCHEMA,
            access=ACCESS_SCHEMA,
            live=API_LIVE,
            reserved=RESERVED,
            marker=_mark_by_server(project=project, kind="api", name=API_SCHEMA, spec=spec),
        )
    )


def render_api_grants(grants: Mapping[str, Sequence[str]], *, project: str) -> str:
    """SQL that opens the API's functions to each role, as mapped, and closes them to all others."""
    return fold(
        _ENVIRONMENT.get_template("api_grants.sql.j2").render(
            schema=API_SCHEMA,
            names=API_NAMES,
            functions=[f"{API_SCHEMA}.{quote_identifier(name)}" for name in API_NAMES],
            grants=list(grants.items()),
            prefix=f"changelane:1 project={project} access=",
        )
    )


def _mark_by_server(*, project: str, kind: str, name: str, spec: str) -> str:
    """A marker as a pattern of ``format``, for the live hash is the server's to tell."""
    return format_marker(project=project, kind=kind, name=name, spec=spec, live="%s") + " pg="
