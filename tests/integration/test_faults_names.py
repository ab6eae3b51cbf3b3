"""Names that try to break out of their quotes stay names in every statement."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import TupleRow
from support.deployment import bring, declare, find_wrong

from changelane.errors import SpecError
from changelane.runner.apply.destroy import destroy
from changelane.runner.apply.plan import plan
from changelane.runner.apply.plan_text import render_sql, render_text
from changelane.runner.compare.orphans import find_remains
from changelane.runner.live.observe import observe

Connection = psycopg.Connection[TupleRow]

HOSTILE = (
    "; DROP TABLE public.canary; --",
    "'; DROP TABLE public.canary; --",
    '"; DROP TABLE public.canary; --',
    "$$; DROP TABLE public.canary; $$",
    "$changelane$; DROP TABLE public.canary; --",
    "\n; DROP TABLE public.canary; --",
    "*/ DROP TABLE public.canary; /*",
    "\\'; DROP TABLE public.canary; --",
    "%I %s %L {} {{ name }} {% raw %}",
    "old_row new changelane_row",
)
PIECES = [
    '"',
    "'",
    ";",
    "$$",
    "$changelane$",
    "--",
    "/*",
    "*/",
    "\\",
    "\n",
    "\t",
    ".",
    "%",
    "%I",
    "{{",
    "{}",
    "é",
    "你",
]
PIECES += ["a", "new", "old", "message", "SELECT", " ", "*", "?", "🦄"]


def is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= 63 and text not in ("ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")


names = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join).filter(is_name)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("capture", ["statement", "row"])
@settings(
    max_examples=20,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=names, key=names, column=names)
@example(table=HOSTILE[0], key=HOSTILE[1], column=HOSTILE[2])
@example(table=HOSTILE[3], key=HOSTILE[4], column=HOSTILE[5])
@example(table=HOSTILE[5], key=HOSTILE[6], column=HOSTILE[7])
@example(table=HOSTILE[7], key=HOSTILE[8], column=HOSTILE[9])
@example(table=HOSTILE[2], key=HOSTILE[3], column=HOSTILE[0])
@example(table=HOSTILE[4], key=HOSTILE[5], column=HOSTILE[1])
@example(table=HOSTILE[6], key="new", column="old")
@example(table="a.b", key="source", column="message")
def test_a_hostile_name_is_captured_unchanged(
    conn: Connection, capture: str, table: str, key: str, column: str
) -> None:
    if key == column:
        column += "2"
    conn.execute("CREATE TABLE IF NOT EXISTS public.canary (id int); CREATE SCHEMA IF NOT EXISTS hostile")
    conn.execute(
        sql.SQL("CREATE TABLE {} ({} int PRIMARY KEY, {} text)").format(
            sql.Identifier("hostile", table), sql.Identifier(key), sql.Identifier(column)
        )
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            capture_once(conn, Path(folder), capture=capture, table=table, key=key, column=column)
    finally:
        conn.execute("DROP SCHEMA hostile CASCADE; DROP SCHEMA IF EXISTS changelane CASCADE")
        conn.execute("SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta")
    assert conn.execute("SELECT to_regclass('public.canary') IS NOT NULL").fetchone() == (True,)


def capture_once(conn: Connection, folder: Path, *, capture: str, table: str, key: str, column: str) -> None:
    # JSON is YAML.
    route: dict[str, Any] = {
        "name": "hostile",
        "table": f"hostile.{quote(table)}",
        "events": ["insert", "update", "delete"],
        "update_of": [column],
        "when": f"new.{quote(column)} IS DISTINCT FROM 'never' OR old.{quote(column)} IS NULL",
        "payload": {"columns": [key, column], "mask": {column: "redact"}},
        "key": [key],
        "queue": "events",
        "capture": capture,
    }
    spec = {"version": 1, "project": "shop", "queues": {"events": {}}, "routes": [route]}
    try:
        declared = declare(conn, folder, json.dumps(spec, ensure_ascii=False))
    except SpecError:
        # Names that the spec refuses reach no SQL.
        assert not {table, key, column} <= set(HOSTILE) or "\n" in table + key + column
        return
    planned = plan(declared.manifest, observe(conn, declared.manifest))
    for line in render_text(planned).splitlines():
        assert not line.startswith(";")
    assert len([line for line in render_sql(planned, declared.files).splitlines() if line == "BEGIN;"]) == 2
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    place = sql.Identifier("hostile", table)
    conn.execute(sql.SQL("INSERT INTO {} VALUES (7, 'secret')").format(place))
    conn.execute(sql.SQL("UPDATE {} SET {} = 'other'").format(place, sql.Identifier(column)))
    conn.execute(sql.SQL("DELETE FROM {}").format(place))
    messages = [row[0] for row in conn.execute("SELECT message FROM pgmq.q_events ORDER BY msg_id")]
    assert [message["op"] for message in messages] == ["insert", "update", "delete"]
    for message in messages:
        assert (message["schema"], message["table"]) == ("hostile", table)
        assert message["key"] == {key: 7}
        assert (message["new"] or message["old"]) == {key: 7, column: "[redacted]"}
    destroy(
        conn, declared.manifest, confirm=lambda planned: None, report=lambda step: None,
        notify=lambda message: None,
    )  # fmt: skip
    assert list(find_remains("shop", observe(conn, declared.manifest))) == []


def test_no_name_from_the_database_or_the_spec_acts_on_the_terminal(
    conn: Connection, tmp_path: Path, run_changelane: Any
) -> None:
    conn.execute("CREATE TABLE public.parcels (id int PRIMARY KEY, value int)")
    route = {"name": "parcels", "table": "public.parcels", "events": ["insert"], "queue": "events"}
    spec = {"version": 1, "project": "shop", "queues": {"events": {}}, "routes": [route]}
    declared = declare(conn, tmp_path, json.dumps(spec))
    bring(conn, declared)
    name = 'clear\x1b[2Jand\r\nmissing  trigger  "other'
    function = declared.manifest.captures[0].name
    conn.execute(
        sql.SQL(
            "CREATE TRIGGER {} AFTER INSERT ON public.parcels REFERENCING NEW TABLE AS new_rows "
            "FOR EACH STATEMENT EXECUTE FUNCTION changelane.{}()"
        ).format(sql.Identifier(name), sql.Identifier(function))
    )
    for command in ("status", "plan", "verify", "doctor"):
        told = run_changelane(command)
        text = told.stdout + told.stderr
        assert "clear" in text or command == "doctor", command
        assert all(letter.isprintable() or letter == "\n" for letter in text), command
        assert not any(line.lstrip().startswith("missing") for line in text.splitlines()), command
    (tmp_path / "pipelines.yaml").write_text(json.dumps({**spec, "que\x1b[2Jues": {}}, ensure_ascii=False))
    told = run_changelane("validate")
    assert told.returncode == 1
    assert "\x1b" not in told.stdout + told.stderr
