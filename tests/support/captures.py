"""Captures on a real database by inspect, generate and apply, and their decoded messages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from changelane.change import Change
from changelane.contract.catalog import Catalog
from changelane.contract.manifest import Manifest
from changelane.contract.queue_name import queue_table
from changelane.diagnostic import Diagnostic
from changelane.generator.render.sql_out import generate
from changelane.generator.spec.loading import read_spec
from changelane.runner.apply.apply import apply
from changelane.runner.live.inspect import inspect
from changelane.runner.queue.delivery import read_delivery
from changelane.runner.work.handlers.handler_input import CHANGES
from support.databases import lend

WAYS = [{"capture": capture, "send": send} for capture in ("statement", "row") for send in ("pgmq", "inline")]
"""Every way that a change can reach its queue."""

ALL = ["insert", "update", "delete", "truncate"]

MANY_TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TYPE address AS (city text, zip int)",
    "CREATE TABLE t (id int PRIMARY KEY, status text, total numeric, place point, doc json, mood mood,"
    " home address, email text, tags int[])",
)
"""Table ``t`` with columns of many types."""


def name_way(way: dict[str, str]) -> str:
    return "-".join(way.values())


def insert(*new: Any) -> tuple[Any, ...]:
    return ("insert", None, new)


def update(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return ("update", old, new)


def delete(*old: Any) -> tuple[Any, ...]:
    return ("delete", old, None)


class Rig:
    """``conn`` is an autocommit connection to a database with pgmq; tables live in schema ``app``."""

    def __init__(self, conn: psycopg.Connection[Any], url: str) -> None:
        self.conn = conn
        self.url = url
        self.manifest: Manifest | None = None
        self.warnings: tuple[Diagnostic, ...] = ()

    def clear(self) -> None:
        """Reset the database to pgmq and empty queues."""
        self.conn.execute("RESET ALL")
        with self.conn.transaction():
            self.conn.execute("SET LOCAL client_min_messages = warning")
            self.conn.execute("DROP SCHEMA IF EXISTS app, changelane CASCADE; CREATE SCHEMA app")
            for (queue,) in self.conn.execute("SELECT queue_name FROM pgmq.meta").fetchall():
                self.conn.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier("pgmq", queue_table(queue))))
        self.conn.execute("SET search_path = app, public")

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.conn.execute(statement.encode())

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.conn.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        (row,) = self.rows(query)
        return row[0]

    def inspect(self) -> Catalog:
        return inspect(self.conn)

    def generate(self, *routes: dict[str, Any]) -> tuple[Manifest, dict[str, bytes]]:
        """The manifest and the files of these routes, each filled up with defaults. Raises SpecError."""
        filled = [
            {"name": f"route{number}", "table": "app.t", "events": ALL, "queue": "events", **route}
            for number, route in enumerate(routes)
        ]
        for route in filled:
            if "queues" in route:
                route.pop("queue")
            if "tables" in route:
                route.pop("table")
            if "update" not in route["events"]:
                route.pop("update_of", None)
        ordered = [route.pop("ordered") for route in filled if "ordered" in route]
        queues = {queue for route in filled for queue in route.get("queues", [route.get("queue")])}
        spec = {
            "version": 1,
            "project": "rig",
            "queues": {name: {} for name in sorted(queues)},
            "routes": filled,
            "consumers": {name: {"handler": "handlers:handle", "ordering": "key"} for name in ordered},
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pipelines.yaml"
            # JSON is YAML.
            path.write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
            output = generate(read_spec(path), self.inspect())
        self.warnings = output.warnings
        manifest = Manifest.model_validate_json(output.files["manifest.json"])
        return manifest, {name: text.encode() for name, text in output.files.items()}

    def capture(self, *routes: dict[str, Any]) -> Manifest:
        """Generate and apply."""
        self.manifest, files = self.generate(*routes)
        apply(
            self.conn,
            self.manifest,
            files=files,
            prune=True,
            confirm=lambda planned: False,
            report=lambda step: None,
            notify=lambda message: None,
        )
        return self.manifest

    def changes(self, queue: str = "events") -> list[Change]:
        """What was sent since the last call, in the order of msg_id, as a handler gets it."""
        table = sql.Identifier("pgmq", queue_table(queue))
        rows = self.conn.execute(
            sql.SQL("DELETE FROM {} RETURNING msg_id, message::text, headers::text").format(table)
        ).fetchall()
        found = []
        for msg_id, message, headers in sorted(rows):
            delivery = read_delivery(
                queue=queue, msg_id=msg_id, read_ct=1, message=message, headers=headers, leased_until=0
            )
            change = CHANGES.read(delivery)
            assert isinstance(change, Change)
            found.append(change)
        return found

    def sent(self, queue: str = "events") -> list[tuple[Any, ...]]:
        """(op, old, new) of what was sent since the last call, rows as tuples of values in column order."""
        order = [
            row[0]
            for row in self.rows(
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('app.t') AND attnum > 0"
                " AND NOT attisdropped ORDER BY attnum"
            )
        ]

        def flatten(row: dict[str, Any] | None) -> tuple[Any, ...] | None:
            return None if row is None else tuple(row[name] for name in order if name in row)

        return [(change.op, flatten(change.old), flatten(change.new)) for change in self.changes(queue)]

    def messages(self, queue: str = "events") -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Message and headers of what was sent since the last call, as psycopg decodes them."""
        table = sql.Identifier("pgmq", queue_table(queue))
        rows = self.conn.execute(
            sql.SQL("DELETE FROM {} RETURNING msg_id, message, headers").format(table)
        ).fetchall()
        return [(message, headers) for _, message, headers in sorted(rows, key=lambda row: row[0])]

    @contextmanager
    def session(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """Another session."""
        with psycopg.connect(self.url, autocommit=autocommit) as conn:
            conn.execute("SET search_path = app, public")
            if not autocommit:
                conn.commit()
            yield conn


def sort(sent: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Sort changes for a comparison without order."""
    return sorted(sent, key=repr)


def lend_rig(server: str, template: str) -> Iterator[Rig]:
    """A rig over a database of its own, for the fixtures of a module."""
    for url in lend(server, template):
        with psycopg.connect(url, autocommit=True) as conn:
            yield Rig(conn, url)
