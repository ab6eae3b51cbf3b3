"""Versions of pgmq, and updates of a database from one to another.

The SQL of 1.5.1 is ours, in its shape. PyPI's package ``pgmq`` holds that of two versions, and is the only
public package that holds any: each wheel is downloaded once, into ``.changelane/pgmq``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg

WHEELS = {"1.11.1": "1.1.3", "1.13.0": "1.1.4"}
"""Version of pgmq to the release of the package that holds it."""

OWN = {"1.5.1": Path(__file__).parent / "pgmq_1_5.sql"}
CLEAR = (Path(__file__).parent / "pgmq_clear.sql").read_text()
FOLDER = Path(__file__).parents[2] / ".changelane" / "pgmq"


def read_version(version: str) -> str:
    """The SQL that installs this version."""
    if version in OWN:
        return OWN[version].read_text()
    release = WHEELS[version]
    kept = FOLDER / f"pgmq-{version}.sql"
    if not kept.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
            subprocess.run(
                [sys.executable, "-m", "pip", "download", *options, f"pgmq=={release}"], check=True
            )
            (wheel,) = Path(folder).glob("*.whl")
            with ZipFile(wheel) as archive:
                assert archive.read("pgmq/sql/VERSION").decode().strip() == version
                text = archive.read("pgmq/sql/pgmq.sql")
            # Another process that does the same writes the same bytes.
            partial = Path(folder) / kept.name
            partial.write_bytes(text)
            partial.replace(kept)
    return kept.read_text()


def update(conn: psycopg.Connection[Any], version: str) -> None:
    """Bring pgmq to another version in one transaction, as its update scripts do; queues stay.

    They drop the types and functions that changed, this all of them: no script can drop more.
    """
    with conn.transaction():
        conn.execute("SET LOCAL client_min_messages = warning")
        conn.execute(CLEAR.encode())
        conn.execute(read_version(version).encode())
