"""A first ``pipelines.yaml`` for a schema: a route per table, each commented out."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import yaml

from changelane.contract.catalog import Catalog, Table
from changelane.errors import ChangelaneError
from changelane.generator.spec.well_known import find_secrets, is_bookkeeping
from changelane.generator.spec.yaml_source import REFUSED
from changelane.generator.sql.quoting import quote_identifier
from changelane.text import clean_line

LIMIT = 1000
"""Routes that are suggested, at most: a spec has a size limit."""
OWNER = "changelane_capture"
"""The role that is suggested to own capture functions."""
LARGE = 20
"""The number of tables in a schema from which a route over a glob is suggested too."""

_HEAD = """\
# yaml-language-server: $schema={schema}
# What Changelane captures, where it goes, and who handles it. Written by `changelane init` {origin}.
#
# Every route below is switched off: take the `# ` away from the lines of those that you want. Then:
#
#   changelane inspect            writes sql_out/catalog.json from the live schema
#   changelane generate           writes the SQL, to be reviewed and committed
#   changelane apply              shows the plan, then brings the database to it
#   changelane try "UPDATE ..."   shows what a statement would send, and rolls it back
#   changelane work               consumes the queues into handlers
#
# An editor with a YAML language server completes and checks this file: the first line names its JSON Schema.
# After an upgrade of Changelane, `changelane schema > {schema_file}` writes it anew.
version: 1

# Marks all that is applied as this spec's own; two projects of one database do not touch each other.
project: {project}

# The role that capture functions belong to: it may send to the queues and do nothing else. What runs in them,
# such as a cast of a column's type, can do no more. `apply` makes the role where it is missing.
{owner}

# Each queue gets a dead-letter queue, here {queue}_dlq. Declare more, for handlers that are to be apart.
queues:
  {queue}: {{}}

# A route may also say:
#   update_of: [status]              an update counts only if one of these columns changed
#   when: new.status = 'paid'        SQL over new, old and op; only rows for which it is true are sent
#   payload: {{exclude: [password]}}   or columns: [...], or columns: reviewed; old: changed | none
#   key: [customer_id]               default: the primary key
#   delay: 30s                       before a message can be read
routes:
"""

_TAIL = """\
# A handler is a Python function; `changelane work` calls it with each change.
consumers:
  # {queue}:
  #   handler: handlers:on_change
  ## Many changes of a row can be one call with its last state: `coalesce: {{by: key, quiet: 2s}}`.
  ## Or relayed to an engine: `relay: {{to: bus, subject: "{queue}.{{table}}.{{op}}"}}`, and
  ## destinations: {{bus: {{nats: {{servers: ["nats://127.0.0.1:4222"]}}}}}}

# Messages at set times, sent by any running worker.
schedules:
  # nightly: {{cron: "0 3 * * *", timezone: UTC, queue: {queue}, body: {{kind: nightly}}}}
"""


def draft(
    catalog: Catalog,
    *,
    project: str,
    database: str,
    schema: str,
    sizes: Mapping[tuple[str, str], tuple[int, int, int]],
    owns: bool = False,
) -> str:
    """The text of a spec that is valid now, and stays valid when any routes are uncommented.

    ``sizes`` maps schema and name to rows (-1: not known), bytes, partitions. Whoever may create tables
    chooses their names, so the text quotes each name. ``project`` is any text: its letters, digits and _
    become the project's name. ``schema`` is the name of the JSON Schema's file, beside the spec. ``owns``:
    the role that applies can create a role that owns the capture functions.

    Raises ChangelaneError if no table can be captured.
    """
    project = _plain(project, longest=31) or _plain(database, longest=31) or "app"
    queue = f"{project}_changes"
    tables = [table for table in catalog.tables if _is_routable(table)]
    if not tables:
        raise ChangelaneError(
            f"database {clean_line(database)} has no table that can be captured; nothing was written",
            fix="create tables first, or name another database with --database-url; for queues without"
            " tables, write pipelines.yaml by hand: docs/background-jobs.md",
        )
    nameable = [
        table
        for table in tables
        if not REFUSED.search(table.schema_ + table.name) and not is_bookkeeping(table)
    ]
    parts = [
        _HEAD.format(
            schema=f"./{clean_line(schema)}",
            schema_file=shlex.quote(clean_line(schema)),
            origin=f"from database {clean_line(database)}",
            project=_scalar(project),
            owner=f"owner: {OWNER}" if owns else f"# owner: {OWNER}    (needs a role that may create roles)",
            queue=queue,
        )
    ]
    names = set[str]()
    for schema in sorted({table.schema_ for table in nameable}):
        beside = [table for table in tables if table.schema_ == schema]
        if len(beside) >= LARGE:
            parts.append("\n".join(_render_glob(schema, beside, names, queue=queue)) + "\n\n")
    for table in nameable[:LIMIT]:
        route = _name(table, names)
        parts.append("\n".join(_render(table, route, queue=queue, size=sizes.get(table.identity))) + "\n\n")
    parts.extend(f"  ## {note}\n\n" for note in _note(catalog, tables, nameable))
    parts.append(_TAIL.format(queue=queue))
    return "".join(parts)


def _is_routable(table: Table) -> bool:
    """Partitions and inheritance children are captured through their parents."""
    kinds = ("table", "partitioned", "hypertable")
    return table.kind in kinds and table.partition_of is None and not table.inherits


def _render_glob(schema: str, tables: list[Table], names: set[str], *, queue: str) -> Iterator[str]:
    """One route for a whole schema."""
    route = _take(f"all_{_plain(schema, longest=30)}".rstrip("_"), names=names)
    excepted = [table for table in tables if is_bookkeeping(table)]
    keys = {name for table in tables for name in table.primary_key}
    secrets = sorted({name for table in tables for name in find_secrets(table)} - keys)
    left = len(tables) - len(excepted)
    yield f"  ## {clean_line(schema)}: {left:,} tables. One route for all, now and later,"
    yield "  ## instead of routes of their own. `reviewed`: a new column is sent once it was inspected."
    if excepted:
        yield "  ## `except` names the bookkeeping of a migration tool."
    if secrets:
        yield "  ## `exclude` names columns that look secret."
    yield f"  # - name: {_scalar(route)}"
    yield f"  #   tables: [{json.dumps(f'{_quote(schema)}.*', ensure_ascii=False)}]"
    if excepted:
        listed = ", ".join(_scalar(".".join(map(_quote, table.identity))) for table in excepted)
        yield f"  #   except: [{listed}]"
    yield "  #   events: [insert, update, delete]"
    if listed := _list(secrets):
        yield f"  #   payload: {{columns: reviewed, exclude: {listed}}}"
    else:
        yield "  #   payload: {columns: reviewed}"
    yield f"  #   queue: {queue}"


def _list(columns: Iterable[str]) -> str:
    """Columns as a YAML list on one line; empty when a spec can name none of them."""
    named = [_scalar(name) for name in columns if not REFUSED.search(name) and name.strip()]
    return f"[{', '.join(named)}]" if named else ""


def _render(table: Table, route: str, *, queue: str, size: tuple[int, int, int] | None) -> Iterator[str]:
    facts = [*_measure(size)]
    facts.append(
        f"key {', '.join(map(clean_line, table.primary_key))}" if table.primary_key else "no primary key"
    )
    if table.inherited_by:
        facts.append("with its inheritance children")
    if table.persistence == "unlogged":
        facts.append("unlogged: empty after a crash")
    secrets = find_secrets(table)
    if secrets:
        facts.append(f"looks secret: {', '.join(map(clean_line, secrets))}")
    # Two signs: it stays a comment when an editor uncomments the routes below.
    yield f"  ## {clean_line(str(table))}: {'; '.join(facts)}"
    yield f"  # - name: {_scalar(route)}"
    yield f"  #   table: {_scalar('.'.join(map(_quote, table.identity)))}"
    yield "  #   events: [insert, update, delete]"
    if listed := _list(name for name in secrets if name not in table.primary_key):
        yield f"  #   payload: {{exclude: {listed}}}"
    yield f"  #   queue: {queue}"


def _measure(size: tuple[int, int, int] | None) -> Iterator[str]:
    if size is None:
        return
    rows, bytes, partitions = size
    yield f"about {rows:,} rows" if rows >= 0 else "rows not counted yet (ANALYZE)"
    yield _show_bytes(bytes)
    if partitions:
        yield f"{partitions} partition{'' if partitions == 1 else 's'}"


def _show_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def _note(catalog: Catalog, tables: list[Table], nameable: list[Table]) -> Iterator[str]:
    if len(nameable) > LIMIT:
        yield f"{len(nameable) - LIMIT:,} further tables are not listed."
    kept = [table for table in tables if is_bookkeeping(table)]
    if kept:
        listed = ", ".join(clean_line(str(table)) for table in kept)
        yield f"Bookkeeping of migration tools is not listed: {listed}."
    if len(nameable) + len(kept) < len(tables):
        lost = len(tables) - len(nameable) - len(kept)
        yield f"{lost} tables have names with characters that a spec may not hold."
    others = sum(table.kind in ("view", "materialized view", "foreign") for table in catalog.tables)
    if others:
        yield f"Views and foreign tables are not listed ({others}): no trigger here sees their rows change."


def _name(table: Table, taken: set[str]) -> str:
    """A route's name like the table's, which no other route has."""
    stem = _plain(table.name, longest=36) or "table"
    return _take(stem, _plain(f"{table.schema_}_{table.name}", longest=36), names=taken)


def _take(stem: str, *others: str, names: set[str]) -> str:
    """The first of the names that is free, or the first name with a number. It is marked as taken."""
    numbered = (f"{stem}_{number}" for number in range(2, LIMIT + 3))
    name = next(name for name in chain([stem, *others], numbered) if name and name not in names)
    names.add(name)
    return name


def _plain(text: str, *, longest: int) -> str:
    """Lower-case letters, digits and _ of a text, from the first letter on; may be empty."""
    return re.sub("[^a-z0-9_]+", "_", text.lower()).lstrip("_0123456789")[:longest].rstrip("_")


def _quote(name: str) -> str:
    """A part of a table's name as a spec writes it."""
    return name if re.fullmatch("[A-Za-z0-9_$]+", name) else quote_identifier(name)


def _scalar(text: str) -> str:
    """A YAML scalar of one line that every reader takes for this text."""
    if re.fullmatch(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_]+)?", text) and isinstance(yaml.safe_load(text), str):
        return text
    # A JSON string is a YAML string too.
    return json.dumps(text, ensure_ascii=False)
