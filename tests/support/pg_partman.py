"""pg_partman, which only some servers have."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest

NEEDED = "CHANGELANE_TEST_PARTMAN"
"""Set where the server is known to have it, so that a test that misses it fails."""


def install_partman(conn: psycopg.Connection[Any]) -> None:
    """Create the extension; skips the test on a server that does not offer it."""
    offered = conn.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_partman'").fetchone()
    if offered is None:
        assert not os.environ.get(NEEDED), "the server does not offer pg_partman"
        pytest.skip("the server does not offer pg_partman")
    conn.execute("CREATE SCHEMA partman; CREATE EXTENSION pg_partman SCHEMA partman")
