"""How generate, plan and apply grow from 10 to 1,000 routes over up to 300 tables, and how init, generate and
models grow with a wide schema that one glob captures.

    python benchmarks/scale.py [--json FILE] [--routes 10 100 1000] [--wide 100 400]

Runs each command as a user does, in a process of its own, on a server of its own with its default settings,
and prints a table, then JSON. Exits 1 when the largest size misses a target.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
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

TARGETS = {"generate": 3.0, "plan": 1.0, "apply": 30.0}
"""Seconds, for 1,000 routes over 300 tables."""

GROWTH = 1.5
"""How much more processor time than in proportion a larger wide schema may take."""

_TABLE = sql.SQL(
    "CREATE TABLE {} (id bigint PRIMARY KEY, status text, total numeric, note text, at timestamptz)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Seconds of each command; ``edited_files`` and ``edited_steps`` are what one edited route changes."""

    routes: int
    tables: int
    captures: int
    inspect: float
    generate: float
    apply: float
    plan: float
    verify: float
    queries: int
    edited_files: list[str]
    edited_steps: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """Processor seconds of each command on a schema of so many wide tables; ``bytes`` of the one SQL file."""

    tables: int
    bytes: int
    init: float
    inspect: float
    generate: float
    models: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routes", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--wide", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="changelane-scale-") as folder:
        root = Path(folder)
        url = server.start(root / "server")
        try:
            results = [measure(url, root / str(routes), routes=routes) for routes in arguments.routes]
            wide = [measure_wide(url, root / f"wide{tables}", tables=tables) for tables in arguments.wide]
        finally:
            server.remove(root / "server")
    print(render(results))
    for one in wide:
        print(
            f"{one.tables} wide tables, {one.bytes / 2**20:.1f} MiB of SQL, processor seconds:"
            f" init {one.init:.2f}, inspect {one.inspect:.2f}, generate {one.generate:.2f},"
            f" models {one.models:.2f}"
        )
    found = {"results": [asdict(result) for result in results], "wide": [asdict(one) for one in wide]}
    text = json.dumps({"format_version": 1, "targets": TARGETS, **found}, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    missed = [
        f"{name} took {getattr(results[-1], name):.2f} s of {seconds:g}"
        for name, seconds in (TARGETS.items() if results else ())
        if getattr(results[-1], name) > seconds
    ]
    if len(wide) > 1:
        least, most = wide[0], wide[-1]
        times = most.tables / least.tables
        missed += [
            f"{name} took {getattr(most, name) / getattr(least, name):.1f} times as long for {times:g} times"
            " the tables"
            for name in ("init", "generate", "models")
            if getattr(most, name) > GROWTH * times * getattr(least, name)
        ]
    for text in missed:
        print(f"missed: {text}", file=sys.stderr)
    return 1 if missed else 0


def measure(url: str, folder: Path, *, routes: int) -> Result:
    """One size, from an empty database."""
    folder.mkdir()
    tables = max(1, min(300, routes * 3 // 10))
    name = f"scale_{routes}"
    with connect(url) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url.replace("/postgres?", f"/{name}?")
    with connect(url) as conn:
        pgmq.install(conn)
        for table in range(tables):
            conn.execute(_TABLE.format(sql.Identifier(f"t{table}")))
    spec = folder / "pipelines.yaml"
    spec.write_text(write_spec(routes=routes, tables=tables, edited=False))
    seconds = {command: run(folder, url, command) for command in ("inspect", "generate", "apply")}
    seconds |= {command: run(folder, url, command) for command in ("plan", "verify")}
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
        **seconds,
        queries=Counting.take(),
        edited_files=sorted(name for name in after if after[name] != before.get(name)),
        edited_steps=[f"{step['action']} {step['kind']} {step['name']}" for step in plan["steps"]],
    )


_WIDE = """
CREATE DOMAIN wide_name AS varchar(80) CHECK (value <> '');
CREATE TYPE wide_state AS ENUM ('new', 'open', 'done');
"""
_WIDE_COLUMNS = (
    "gid uuid",
    "name wide_name",
    "state wide_state",
    "note text",
    "tags text[]",
    "begun date",
    "amount numeric(12, 2)",
    "edits integer",
    "at timestamptz",
    "detail jsonb",
)


def measure_wide(url: str, folder: Path, *, tables: int) -> Wide:
    """A schema of ``tables`` tables of 5 to 40 columns, one in three with a key of two, under one glob."""
    folder.mkdir()
    name = f"wide_{tables}"
    with connect(url) as maintenance:
        maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = url.replace("/postgres?", f"/{name}?")
    with connect(url) as conn, conn.transaction():
        conn.execute(_WIDE)
        for table in range(tables):
            columns = [
                f"{_WIDE_COLUMNS[number % len(_WIDE_COLUMNS)].replace(' ', f'_{number} ', 1)}"
                for number in range(5 + table * 7 % 36)
            ]
            key = "PRIMARY KEY (id, kind)" if table % 3 == 0 else "PRIMARY KEY (id)"
            body = ", ".join(["id bigint", "kind text NOT NULL", *columns, key])
            conn.execute(f"CREATE TABLE wide_{table} ({body})".encode())
    spec = folder / "pipelines.yaml"
    init = spend(folder, url, "init")
    spec.write_text(
        "version: 1\nproject: wide\nqueues: {changes: {}}\nroutes:\n"
        "  - {name: all, table: 'public.*', events: [insert, update, delete], queue: changes}\n"
    )
    seconds = {command: spend(folder, url, command) for command in ("inspect", "generate", "models")}
    size = (folder / "sql_out" / "routes" / "all.sql").stat().st_size
    return Wide(tables=tables, bytes=size, init=init, **seconds)


def spend(folder: Path, url: str, command: str) -> float:
    """Processor seconds of a command, those of its start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder, url, *([command, "--force"] if command == "init" else [command]))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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


def run(folder: Path, url: str, command: str, *options: str) -> float:
    """Seconds that a command takes, its process included."""
    start = time.perf_counter()
    call(folder, url, command, *(["--yes"] if command == "apply" else options))
    return time.perf_counter() - start


def call(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "changelane", *arguments],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": url},
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
    heads = (
        "routes",
        "tables",
        "captures",
        "inspect",
        "generate",
        "apply",
        "plan",
        "verify",
        "queries",
        "edit",
    )
    rows = [
        [
            *map(str, (result.routes, result.tables, result.captures)),
            *(
                f"{getattr(result, name):.2f} s"
                for name in ("inspect", "generate", "apply", "plan", "verify")
            ),
            str(result.queries),
            f"{len(result.edited_files)} files, {len(result.edited_steps)} steps",
        ]
        for result in results
    ]
    widths = [max(len(row[column]) for row in [list(heads), *rows]) for column in range(len(heads))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
                     for row in [list(heads), *rows])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
