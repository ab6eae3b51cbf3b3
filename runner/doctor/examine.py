"""All findings of the doctor, the worst first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest
from changelane.errors import ManifestError
from changelane.runner.doctor.access import find_access
from changelane.runner.doctor.capture import find_capture
from changelane.runner.doctor.finding import Finding
from changelane.runner.doctor.flow import count, find_flow, find_growth
from changelane.runner.doctor.horizon import find_horizon
from changelane.runner.doctor.installation import find_installation
from changelane.runner.doctor.letters import find_letters
from changelane.runner.doctor.relays import find_relays
from changelane.runner.doctor.schedules import find_schedules
from changelane.runner.doctor.upkeep import find_upkeep
from changelane.runner.live.observe import observe
from changelane.runner.live.pinned import PATH

LOOK = 3.0
"""Seconds between two counts of large queues, which show whether they grow."""


def examine(
    conn: psycopg.Connection[Any], manifest: Manifest, *, change: ManifestError | None = None
) -> list[Finding]:
    """Find all present and approaching problems, the worst first; changes nothing. ``conn`` is in autocommit.

    ``change`` is the result of ``changelane.digest.find_change``. Takes LOOK seconds longer if a queue holds
    many messages. Raises psycopg.Error.
    """
    observed = observe(conn, manifest)
    with conn.transaction():
        _prepare(conn)
        found = [
            *find_installation(conn),
            *_find_stale_spec(change),
            *find_capture(conn, manifest, observed),
            *find_access(conn, manifest, observed),
            *find_horizon(conn),
            *find_flow(conn, manifest, observed),
            *find_schedules(conn, manifest, observed),
            *find_relays(conn, manifest),
            *find_letters(conn, manifest, observed),
            *find_upkeep(conn, manifest, observed),
        ]
        counts = count(conn, observed)
    if counts:
        time.sleep(LOOK)
        with conn.transaction():
            _prepare(conn)
            found += find_growth(counts, count(conn, observed), seconds=LOOK)
    return found


def _find_stale_spec(change: ManifestError | None) -> Iterator[Finding]:
    if change is not None:
        yield Finding(
            code="spec-changed",
            what=change.what,
            why="the checks here use the old spec, and so do the workers",
            fix=change.fix,
        )


def _prepare(conn: psycopg.Connection[Any]) -> None:
    conn.execute("SET TRANSACTION READ ONLY")
    conn.execute(f"SET LOCAL search_path = {PATH}".encode())
