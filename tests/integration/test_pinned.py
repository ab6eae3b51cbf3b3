"""Our own statements look names up in pg_catalog only, directly and through a pooler."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.pgbouncer import run_pooler

from changelane.runner.live.database import connect
from changelane.runner.live.pinned import PATH, PinnedConnection

HIJACK = """
    CREATE FUNCTION public.jsonb_build_object(text, jsonb) RETURNS jsonb
        LANGUAGE sql AS $$ SELECT '"taken"'::jsonb $$
"""
PROBE = "SELECT jsonb_build_object('a'::text, '1'::jsonb), current_setting('search_path')"
OURS = ({"a": 1}, PATH)


@pytest.fixture(params=["direct", "pooled"])
def url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(HIJACK)
    if request.param == "direct":
        yield database
        return
    with run_pooler(database, tmp_path, size=1) as pooled:
        yield pooled


def test_each_statement_is_pinned_and_no_other_session(url: str) -> None:
    with connect(url, kind=PinnedConnection) as conn, connect(url) as plain:
        assert conn.execute(PROBE).fetchone() == OURS
        assert conn.cursor().execute(PROBE).fetchone() == OURS
        with conn.transaction():
            assert conn.execute(PROBE).fetchone() == OURS
            with conn.transaction():
                assert conn.execute(PROBE).fetchone() == OURS
        with pytest.raises(psycopg.errors.DivisionByZero):
            conn.execute("SELECT 1 / 0")
        assert conn.execute(PROBE).fetchone() == OURS
        assert plain.execute(PROBE).fetchone() == ("taken", '"$user", public')


def test_a_statement_on_a_pinned_connection_commits(url: str) -> None:
    with connect(url, kind=PinnedConnection) as conn, connect(url) as plain:
        conn.execute("CREATE TABLE public.kept (id int)")
        assert conn.execute("INSERT INTO public.kept VALUES (%s) RETURNING id", [1]).fetchall() == [(1,)]
        with pytest.raises(psycopg.errors.RaiseException):
            conn.execute("DO $$ BEGIN INSERT INTO public.kept VALUES (2); RAISE 'no'; END $$")
        assert plain.execute("SELECT id FROM public.kept").fetchall() == [(1,)]
