"""The functions that all captures share: reviewed, checked for drift, and replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.deployment import bring, declare, find_wrong

SPEC = """
version: 1
project: shared
queues: {one: {}}
routes: [{name: things, table: public.t, events: [insert], queue: one}]
"""
EDITS = (
    "CREATE OR REPLACE FUNCTION changelane.new_id() RETURNS text LANGUAGE sql AS $$ SELECT 'same' $$",
    "CREATE OR REPLACE FUNCTION changelane.headers(headers jsonb) RETURNS jsonb LANGUAGE sql RETURN $1",
    "ALTER FUNCTION changelane.add_trace(jsonb) SECURITY DEFINER",
    "ALTER FUNCTION changelane.send_all(refcursor, text[], jsonb, integer, boolean) RESET search_path",
    "DROP FUNCTION changelane.key_only(text, text, text, jsonb, jsonb)",
    "ALTER FUNCTION changelane.message(text, text, text, jsonb, anyelement, anycompatible) STABLE",
    "DROP PROCEDURE changelane.mark_trigger(text, text, text)",
    "COMMENT ON TABLE changelane.sleepers IS NULL",
)


@pytest.mark.parametrize("edit", EDITS, ids=range(len(EDITS)))
def test_edits_by_hand_are_drift_that_apply_fixes(
    edit: str, conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY)")
    declared = declare(conn, tmp_path, SPEC)
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute(edit.encode())
    assert find_wrong(conn, declared) == ["drifted schema changelane"]
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
