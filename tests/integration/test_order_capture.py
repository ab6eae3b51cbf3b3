"""`ordering: key` from the spec to the queue: header, index, and the upgrade of an older database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane

SPEC = """
version: 1
project: order
queues: {{jobs: {{}}}}
routes:
  - name: things
    table: public.things
    events: [insert, update, delete, truncate]
    key: [owner]
    queue: jobs
    send: {send}
    capture: {capture}
consumers:
  jobs: {{handler: "handlers:handle"{ordering}}}
"""
COLUMNS = "SELECT headers->>'x-pgmq-group', message->>'op' FROM pgmq.q_jobs ORDER BY msg_id"


def declare(folder: Path, *, send: str = "pgmq", capture: str = "statement", ordered: bool = True) -> None:
    ordering = ", ordering: key" if ordered else ""
    (folder / "pipelines.yaml").write_text(SPEC.format(send=send, capture=capture, ordering=ordering))


def apply(run: RunChangelane, *options: str) -> str:
    for command in (["inspect"], ["generate"], ["apply", "--yes", *options], ["verify"]):
        result = run(*command)
        assert result.returncode == 0, result.stderr
        if command[0] == "apply":
            applied = result.stdout
    return applied


@pytest.fixture
def things(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    conn.execute("CREATE TABLE things (id bigint PRIMARY KEY, owner text)")
    return conn


@pytest.mark.parametrize("send", ["pgmq", "inline"])
@pytest.mark.parametrize("capture", ["statement", "row"])
def test_each_message_has_its_key_in_the_header_except_a_truncation(
    things: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path, send: str, capture: str
) -> None:
    declare(tmp_path, send=send, capture=capture)
    apply(run_changelane)
    things.execute("INSERT INTO things VALUES (1, 'a')")
    things.execute("INSERT INTO things VALUES (2, 'b'), (3, NULL)")
    things.execute("UPDATE things SET owner = 'c' WHERE id < 3")
    things.execute("DELETE FROM things WHERE id = 3")
    things.execute("TRUNCATE things")
    keys: dict[str | None, str] = {None: '{"owner": null}'} | {
        name: f'{{"owner": "{name}"}}' for name in "abc"
    }
    parts = [[(keys[old], "delete"), (keys["c"], "insert")] for old in "ab"]
    changed = [*parts[0], *parts[1]] if capture == "row" else [part[at] for at in (0, 1) for part in parts]
    assert things.execute(COLUMNS).fetchall() == [
        (keys["a"], "insert"),
        (keys["b"], "insert"),
        (keys[None], "insert"),
        # A changed key reaches both keys.
        *changed,
        (keys[None], "delete"),
        (None, "truncate"),
    ]


@pytest.mark.parametrize("options", [[], ["--single-transaction"]], ids=str)
def test_a_queue_in_use_gets_its_index_and_a_broken_one_is_replaced(
    things: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path, options: list[str]
) -> None:
    declare(tmp_path, ordered=False)
    apply(run_changelane)
    things.execute("INSERT INTO things VALUES (1, 'a')")
    declare(tmp_path)
    assert "Index of queue jobs:" in apply(run_changelane, *options)
    things.execute("DROP INDEX pgmq.q_jobs_key_idx; CREATE INDEX q_jobs_key_idx ON pgmq.q_jobs (msg_id)")
    assert run_changelane("verify").returncode == 2
    assert "Index of queue jobs:" in apply(run_changelane)


def test_a_database_of_an_older_version_is_brought_up_and_destroyed_whole(
    things: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path
) -> None:
    declare(tmp_path)
    apply(run_changelane)
    things.execute("DROP TABLE changelane.sleepers, changelane.pauses")
    things.execute("COMMENT ON SCHEMA changelane IS 'changelane:schema 1'")
    assert "~ schema changelane" in apply(run_changelane)
    assert run_changelane("destroy", "--yes", "--drop-queues").returncode == 0
    assert things.execute("SELECT to_regnamespace('changelane')").fetchone() == (None,)


def test_the_files_of_routes_and_queues_work_by_hand(
    things: psycopg.Connection[Any], run_changelane: RunChangelane, tmp_path: Path
) -> None:
    declare(tmp_path)
    run_changelane("inspect")
    run_changelane("generate")
    for name in ("schema.sql", "queues/jobs.sql", "routes/things.sql"):
        with things.transaction():
            things.execute((tmp_path / "sql_out" / name).read_bytes())
    things.execute("INSERT INTO things VALUES (1, 'a')")
    assert things.execute(COLUMNS).fetchall() == [('{"owner": "a"}', "insert")]
    apply(run_changelane)
