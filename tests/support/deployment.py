"""A spec's text -> manifest and files, through the generator, for a live database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest, load_manifest, read_files
from changelane.generator.render.sql_out import generate, write
from changelane.generator.spec.loading import read_spec
from changelane.runner.apply.apply import apply
from changelane.runner.apply.plan import Plan
from changelane.runner.compare.compare import compare
from changelane.runner.live.inspect import inspect
from changelane.runner.live.observe import observe


@dataclass(frozen=True)
class Declared:
    """The generated manifest and files of a spec; ``out`` is its ``sql_out/``."""

    manifest: Manifest
    files: dict[str, bytes]
    out: Path


def declare(conn: psycopg.Connection[Any], folder: Path, spec: str) -> Declared:
    """Write the spec below ``folder``, inspect the database, generate."""
    out = folder / "sql_out"
    out.mkdir(exist_ok=True)
    path = folder / "pipelines.yaml"
    path.write_text(spec)
    catalog = inspect(conn)
    (out / "catalog.json").write_text(catalog.dump())
    write(generate(read_spec(path), catalog), out)
    manifest = load_manifest(out)
    return Declared(manifest, read_files(manifest, out), out)


def bring(conn: psycopg.Connection[Any], declared: Declared, **options: Any) -> Plan:
    """Apply without questions or output."""
    silent = {"confirm": lambda planned: False, "report": lambda step: None, "notify": lambda message: None}
    return apply(conn, declared.manifest, files=declared.files, **{**silent, **options})


def find_wrong(conn: psycopg.Connection[Any], declared: Declared) -> list[str]:
    """Every object that is not ok, with its state."""
    objects = compare(declared.manifest, observe(conn, declared.manifest))
    return [f"{thing.state} {thing}" for thing in objects if thing.state != "ok"]
