"""How generate, plan and apply grow from 10 to 1,000 routes over up to 300 tables. How they, init and models
grow with a wide schema that one glob captures.

    python benchmarks/scale.py [--json FILE] [--routes 10 100 1000] [--wide 100 371]

Runs each command as a user does, in a process of its own, on a server of its own with its default settings.
Prints a table of seconds by the clock and of processor seconds, then JSON. Processor seconds leave out the
server's. Exits 1 when the largest size misses a target by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from changelane.contract.manifest import load_manifest
from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.live.observe import observe
from changelane.runner.local import server

TARGETS = {"generate": 1.5, "plan": 0.8, "apply": 30.0}
"""Seconds by the clock, for 1,000 routes over 300 tables."""

WIDE_TARGETS = {"generate": 5.0}
"""Seconds by the clock, for one glob over 371 wide tables."""

GROWTH = 1.5
"""How much more processor time than in proportion a larger wide schema may take."""

_TABLE = sql.SQL(
    "CREATE TABLE {} (id bigint PRIMARY KEY, status text, total numeric, note text, at timestamptz)"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a command takes by the clock, and processor seconds, those of its start included."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The cost of each command; ``edited_files`` and ``edited_steps`` are what one edited route changes."""

    routes: int
    tables: int
    captures: int
    inspect: Cost
    generate: Cost
    apply: Cost
    plan: Cost
    verify: Cost
    queries: int
    edited_files: list[str]
    edited_steps: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """The cost of each command on a schema of so many wide tables; ``bytes`` of SQL in ``routes/``."""

    tables: int
    columns: int
    bytes: int
    init: Cost
    inspect: Cost
    generate: Cost
    models: Cost
    apply: Cost
    plan: Cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--wide", type=int, nargs="*", default=[100, 371])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="changelane-scale-") as folder:
        root = Path(folder)
        url = server.start(root / "server")
        try:
            # A first run has Python compile its modules, once for all later ones.
            measure(url, root / "warm", routes=1)
            results = [measure(url, root / str(routes), routes=routes) for routes in arguments.routes]
            wide = [measure_wide(url, root / f"wide{tables}", tables=tables) for tables in arguments.wide]
        finally:
            server.remove(root / "server")
    print(render(results))
    if wide:
        print(render_wide(wide))
    found = {"results": [asdict(result) for result in results], "wide": [asdict(one) for one in wide]}
    text = json.dumps(
        {"format_version": 1, "targets": TARGETS, "wide_targets": WIDE_TARGETS, **found}, indent=2
    )
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    missed = [
        f"{name} took {getattr(largest, name).clock:.2f} s of {seconds:g}"
        for sizes, targets in ((results, TARGETS), (wide, WIDE_TARGETS))
        for largest in sizes[-1:]
        for name, seconds in targets.items()
        if getattr(largest, name).clock > seconds
    ]
    if len(wide) > 1:
        least, most = wide[0], wide[-1]
        times = most.columns / least.columns
        for name in ("init", "generate", "models"):
            grown = getattr(most, name).processor / getattr(least, name).processor
            if grown > GROWTH * times:
                missed.append(f"{name} took {grown:.1f} times as long for {times:.1f} times the columns")
    for text in missed:
        print(f"missed: {text}", file=sys.stderr)
    return 1 if missed else 0


def measure(url: str, folder: Path, *, routes: int) -> Result:
    """One size, from an empty database, which has the folder's name."""
    folder.mkdir()
    tables = max(1, min(300, routes * 3 // 10))
    name = f"scale_{folder.name}"
    with connect(url) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url.replace("/postgres?", f"/{name}?")
    with connect(url) as conn:
        pgmq.install(conn)
        for table in range(tables):
            conn.execute(_TABLE.format(sql.Identifier(f"t{table}")))
    spec = folder / "pipelines.yaml"
    spec.write_text(write_spec(routes=routes, tables=tables, edited=False))
    costs = {
        command: run(folder, url, command) for command in ("inspect", "generate", "apply", "plan", "verify")
    }
    before = read(folder / "sql_out")
    spec.write_text(write_spec(routes=routes, tables=tables, edited=True))
    run(folder, url, "generate")
    after = read(folder / "sql_out")
    plan = json.loads(call(folder, url, "plan", "--format", "json"))
    manifest = load_manifest(folder / "sql_out")
    with psycopg.connect(url, autocommit=True, cursor_factory=Counting) as conn:
        observe(conn, manifest)
    return Result(
        routes=routes,
        tables=tables,
        captures=len(manifest.captures),
        **costs,
        queries=Counting.take(),
        edited_files=sorted(name for name in after if after[name] != before.get(name)),
        edited_steps=[f"{step['action']} {step['kind']} {step['name']}" for step in plan["steps"]],
    )


_WIDE_TYPES = """
CREATE DOMAIN wide_name AS varchar(80) CHECK (value <> '');
CREATE DOMAIN wide_amount AS numeric(12, 2) CHECK (value >= 0);
CREATE TYPE wide_state AS ENUM ('new', 'open', 'done');
CREATE TYPE wide_kind AS ENUM ('person', 'firm');
CREATE DOMAIN wide_open_state AS wide_state CHECK (value <> 'done');
"""
_COLUMN_TYPES = (
    "uuid", "wide_name", "wide_state", "wide_open_state", "wide_amount", "wide_kind[]", "text", "text[]",
    "date", "integer", "boolean", "double precision", "timestamptz", "interval", "bytea",
    "jsonb", "varchar(40)",
)  # fmt: skip
_KEY_TYPES = ("uuid", "integer", "wide_name", "wide_kind", "date")


def measure_wide(url: str, folder: Path, *, tables: int) -> Wide:
    """A schema of ``tables`` wide tables under one glob."""
    folder.mkdir()
    name = f"wide_{tables}"
    with connect(url) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url.replace("/postgres?", f"/{name}?")
    made = list(write_wide(tables=tables))
    with connect(url) as conn:
        pgmq.install(conn)
        conn.execute(_WIDE_TYPES)
        for text, _ in made:
            conn.execute(text.encode())
    spec = folder / "pipelines.yaml"
    costs = {"init": run(folder, url, "init", "--force")}
    spec.write_text(
        "version: 1\nproject: wide\nqueues: {changes: {}}\nroutes:\n"
        "  - {name: all, table: 'public.*', events: [insert, update, delete], queue: changes}\n"
    )
    costs |= {
        command: run(folder, url, command) for command in ("inspect", "generate", "models", "apply", "plan")
    }
    size = sum(path.stat().st_size for path in (folder / "sql_out" / "routes").rglob("*.sql"))
    return Wide(tables=tables, columns=sum(columns for _, columns in made), bytes=size, **costs)


def write_wide(*, tables: int) -> Iterator[tuple[str, int]]:
    """CREATE TABLE statements with their numbers of columns, 5 to 60 by a fixed seed. One in three has a key
    of two or three columns.
    """
    dice = random.Random(371)
    for table in range(tables):
        count = dice.randint(5, 60)
        keys = dice.choice((1, 1, 1, 1, 2, 3))
        types = [
            "bigint",
            *dice.choices(_KEY_TYPES, k=keys - 1),
            *dice.choices(_COLUMN_TYPES, k=count - keys),
        ]
        columns = [
            f"{type.split('(')[0].strip('[]').replace(' ', '_')}_{n} {type}" for n, type in enumerate(types)
        ]
        key = ", ".join(column.split()[0] for column in columns[:keys])
        yield f"CREATE TABLE wide_{table} ({', '.join(columns)}, PRIMARY KEY ({key}))", count


def write_spec(*, routes: int, tables: int, edited: bool) -> str:
    """So many routes, each of three events, one in three with a condition; ``edited`` changes one of them."""
    lines = ["version: 1", "project: scale", "queues:"]
    lines += [f"  q{number}: {{}}" for number in range(10)]
    lines.append("routes:")
    for number in range(routes):
        total = 1 if edited and number == routes // 2 else 0
        lines += [
            f"  - name: r{number}",
            f"    table: public.t{number % tables}",
            "    events: [insert, update, delete]",
            f"    queue: q{number % 10}",
        ]
        if number % 3 == 0 or total:
            lines.append(f"    when: coalesce(new.total, old.total) > {total}")
    return "\n".join(lines) + "\n"


def run(folder: Path, url: str, command: str, *options: str) -> Cost:
    """The cost of a command, its process included."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call(folder, url, command, *(["--yes"] if command == "apply" else options))
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def call(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "changelane", *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": url, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"changelane {' '.join(arguments)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def read(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


class Counting(psycopg.Cursor[TupleRow]):
    count = 0

    def execute(self, *arguments: Any, **options: Any) -> Counting:
        Counting.count += 1
        super().execute(*arguments, **options)
        return self

    @classmethod
    def take(cls) -> int:
        """The count so far, which is then 0."""
        count, cls.count = cls.count, 0
        return count


def render(results: list[Result]) -> str:
    commands = ("inspect", "generate", "apply", "plan", "verify")
    rows = [
        [
            *map(str, (result.routes, result.tables, result.captures)),
            *spell(result, commands),
            str(result.queries),
            f"{len(result.edited_files)} files, {len(result.edited_steps)} steps",
        ]
        for result in results
    ]
    return align(["routes", "tables", "captures", *commands, "queries", "edit"], rows)


def render_wide(wide: list[Wide]) -> str:
    commands = ("init", "inspect", "generate", "models", "apply", "plan")
    rows = [
        [str(one.tables), str(one.columns), f"{one.bytes / 2**20:.1f} MiB", *spell(one, commands)]
        for one in wide
    ]
    return align(["wide tables", "columns", "SQL", *commands], rows)


def spell(measured: Result | Wide, commands: Iterable[str]) -> list[str]:
    """Seconds by the clock, then processor seconds, of each command."""
    costs: list[Cost] = [getattr(measured, command) for command in commands]
    return [f"{cost.clock:.2f}/{cost.processor:.2f} s" for cost in costs]


def align(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    )


if __name__ == "__main__":
    sys.exit(main())
