"""Objects that the doctor's role may not see."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Manifest
from changelane.runner.live.missing_rights import (
    LISTING,
    Need,
    find_hidden,
    find_lacks,
    need_queue,
    read_role,
)


def find_blind_spots(conn: psycopg.Connection[Any], manifest: Manifest) -> list[str]:
    """Objects that exist but are hidden from the role, and the grants that would show them; raises
    psycopg.Error.
    """
    role = read_role(conn)
    spots = []
    if conn.execute("SELECT pg_has_role('pg_read_all_stats', 'USAGE')").fetchone() != (True,):
        spots.append(
            f"sessions of other roles are not visible to role {role}, so transactions that they hold open "
            f"are not looked at: GRANT pg_read_all_stats TO {sql.Identifier(role).as_string()}"
        )
    names = [queue.name for queue in manifest.queues]
    needs = [*LISTING, *(need for name in names for need in need_queue(name))]
    if lacks := find_lacks(conn, needs):
        spots.append(f"role {role} cannot see all queues, so doctor did not look at them: {'; '.join(lacks)}")
    if hidden := find_hidden(conn, names):
        spots.append(
            f"row security shows role {role} no message of queue {', '.join(hidden)}, so doctor looked at "
            f"none of its messages: "
            "run doctor as its owner, or declare `read` for this role under `access`"
        )
    if lacks := find_lacks(conn, [Need("changelane", "pauses", "SELECT", "since")]):
        spots.append(f"pauses of queues are not visible to role {role}: {'; '.join(lacks)}")
    return spots
