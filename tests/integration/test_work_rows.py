"""Typed rows from the live schema to the handler."""

from __future__ import annotations

from typing import Any

from support.command_line import RunChangelane
from support.workers import Bench

SPEC = """
version: 1
project: shop
queues: {jobs: {}}
routes:
  - {name: things, table: public.things, events: [insert, update], queue: jobs, payload: {old: changed}}
consumers:
  jobs: {handler: "handlers:handle", concurrency: 1, retry: {attempts: 2, first: 1s}}
"""

TABLE = """
CREATE TYPE mood AS ENUM ('calm');
CREATE DOMAIN email AS text;
CREATE TABLE things (
    id bigint PRIMARY KEY, total numeric(30, 10) NOT NULL, share double precision NOT NULL, at timestamptz,
    day date, hour time, uid uuid, tags text[], data jsonb, mood mood, email email, raw bytea, span interval,
    "class" bool NOT NULL
);
"""

INSERT = """
INSERT INTO things VALUES (
    9007199254740993, 0.1000000000, 0.1, '2026-11-22 18:54:03.120311+01', '2026-11-22', '12:30',
    '0b7b0a9e-6d1b-4b4e-9d0e-2f4d3c1b0a99', '{a,NULL}', '{"x": [1.10]}', 'calm', 'a@b', '\\x00ff', '1 day',
    true
)
"""


def test_rows_of_any_type_reach_the_handler_as_the_models_say(
    bench: Bench, run_changelane: RunChangelane
) -> None:
    bench.conn.execute(TABLE)
    (bench.folder / "pipelines.yaml").write_text(SPEC)
    (bench.folder / "handlers.py").write_text(
        "import os, psycopg\n"
        "from changelane import Change\n"
        "from models import ThingsRow\n"
        "def handle(change: Change[ThingsRow]) -> None:\n"
        "    with psycopg.connect(os.environ['DATABASE_URL'], autocommit=True) as conn:\n"
        "        for text in (change.new, change.old, sorted(change.changed)):\n"
        "            conn.execute('INSERT INTO notes (note) VALUES (%s)', [repr(text)])\n"
    )
    for arguments in (
        ["inspect"],
        ["generate"],
        ["models", "--output", "models.py"],
        ["models", "--output", "models.py", "--check"],
        ["apply", "--yes"],
    ):
        done = run_changelane(*arguments)
        assert done.returncode == 0, done.stderr
    bench.conn.execute(INSERT)
    bench.conn.execute("UPDATE things SET total = 2, at = NULL")
    bench.drain()
    new, old, _, newer, older, changed = bench.notes
    assert eval(new.replace("TzInfo(0)", "dt.timezone.utc"), NAMES) == ROW
    assert (old, changed) == ("None", "['at', 'total']")
    assert eval(newer, NAMES) == {**ROW, "total": NAMES["Decimal"]("2"), "at": None}
    assert sorted(eval(older.replace("TzInfo(0)", "dt.timezone.utc"), NAMES)) == ["at", "total"]

    # The models name a column that no longer exists, so no row fits.
    bench.conn.execute("ALTER TABLE things DROP COLUMN share")
    bench.conn.execute("UPDATE things SET total = 3")
    bench.drain()
    (headers,) = bench.dead
    assert headers["dead_letter"]["error"] == (
        "InvalidRow: public.things is not a ThingsRow: new.share: Field required"
    )
    stale = run_changelane("inspect"), run_changelane("models", "--output", "models.py", "--check")
    assert [done.returncode for done in stale] == [0, 2]


def _names() -> dict[str, Any]:
    import datetime
    from decimal import Decimal
    from uuid import UUID

    return {"datetime": datetime, "dt": datetime, "Decimal": Decimal, "UUID": UUID}


NAMES = _names()
_dt = NAMES["datetime"]
ROW = {
    "id": 9007199254740993,
    "total": NAMES["Decimal"]("0.1000000000"),
    "share": 0.1,
    "at": _dt.datetime(2026, 11, 22, 17, 54, 3, 120311, _dt.UTC),
    "day": _dt.date(2026, 11, 22),
    "hour": _dt.time(12, 30),
    "uid": NAMES["UUID"]("0b7b0a9e-6d1b-4b4e-9d0e-2f4d3c1b0a99"),
    "tags": ["a", None],
    "data": {"x": [NAMES["Decimal"]("1.10")]},
    "mood": "calm",
    "email": "a@b",
    "raw": "\\x00ff",
    "span": "1 day",
    "class": True,
}
