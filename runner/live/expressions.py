"""Finds captures whose expressions no longer compile in the live database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest
from changelane.contract.sql_text import load_sql

_PREPARE = load_sql(__name__, "prepare_expressions")
_OBSERVE = load_sql(__name__, "observe_expressions")


def observe_expressions(conn: psycopg.Connection[Any], manifest: Manifest) -> Mapping[str, str]:
    """The error of Postgres for each capture that it refuses, by the capture's name.

    This is the check that ``apply`` makes with the function: Postgres analyses the expressions of a route as
    it would at the first write, without reading a row or evaluating anything. Reads in the connection's open
    transaction, whose settings stay. Raises psycopg.Error.
    """
    checks = {capture.check for capture in manifest.captures if capture.check}
    if not checks:
        return {}
    with conn.transaction(force_rollback=True):
        conn.execute(_PREPARE, [json.dumps(sorted(checks))])
        conn.execute(_OBSERVE)
        row = conn.execute("SELECT pg_catalog.current_setting('changelane.broken')").fetchone()
    broken: dict[str, str] = json.loads(row[0]) if row else {}
    return {capture.name: broken[capture.check] for capture in manifest.captures if capture.check in broken}
