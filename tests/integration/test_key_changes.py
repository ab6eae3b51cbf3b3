"""An update that changes the key of an ordered queue: both keys get a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.command_line import RunChangelane
from support.deployment import bring, declare

from changelane.runner.doctor.examine import examine

SPEC = """
version: 1
project: order
queues: {{jobs: {{}}, copies: {{}}}}
routes:
  - name: things
    table: app.t
    events: {events}
    queues: [jobs, copies]
    {options}
consumers:
  jobs: {{handler: "handlers:handle", ordering: key}}
"""
READ = "SELECT headers->>'x-pgmq-group', message, headers->'key_change' FROM pgmq.q_{} ORDER BY msg_id"
ALL = "[insert, update, delete]"
TABLES = {
    "plain": "CREATE TABLE app.t (id int PRIMARY KEY DEFERRABLE, v text)",
    "partitioned": "CREATE TABLE app.t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
    " CREATE TABLE app.low PARTITION OF app.t FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
}
WAYS = [
    pytest.param(table, f"capture: {capture}\n    send: {send}", id=f"{kind}-{capture}-{send}")
    for kind, table in TABLES.items()
    for capture in ("statement", "row")
    for send in ("pgmq", "inline")
    if kind == "plain" or capture == "row"
]


def apply(
    conn: psycopg.Connection[Any], folder: Path, table: str, options: str = "delay: 0s", events: str = ALL
) -> None:
    conn.execute(f"CREATE SCHEMA app; {table}".encode())
    bring(conn, declare(conn, folder, SPEC.format(events=events, options=options)))


def read(conn: psycopg.Connection[Any], queue: str = "jobs") -> list[tuple[Any, ...]]:
    """Group, operation, values of old and new, and the keys that the header names; the queue is emptied."""
    rows = conn.execute(READ.format(queue).encode()).fetchall()
    conn.execute(f"TRUNCATE pgmq.q_{queue}".encode())
    return [
        (
            json.loads(group)["id"],
            message["op"],
            message["old"] and message["old"]["v"],
            message["new"] and message["new"]["v"],
            change and (change["from"]["id"], change["to"]["id"]),
        )
        for group, message, change in rows
    ]


@pytest.mark.parametrize(("table", "options"), WAYS)
def test_both_keys_get_their_part_in_order(
    conn: psycopg.Connection[Any], tmp_path: Path, table: str, options: str
) -> None:
    apply(conn, tmp_path, table, options)
    conn.execute("INSERT INTO app.t VALUES (1, 'a'), (5, 'e')")
    conn.execute("UPDATE app.t SET v = 'b' WHERE id = 1")
    conn.execute("UPDATE app.t SET id = 2, v = 'c' WHERE id = 1")
    conn.execute("UPDATE app.t SET id = id WHERE id = 2")
    conn.execute("UPDATE app.t SET v = 'd' WHERE id = 2")
    conn.execute("UPDATE app.t SET id = id + 10, v = v || '!'")
    conn.execute("UPDATE app.t SET id = CASE id WHEN 15 THEN 16 ELSE id END, v = 'z'")
    expected = [
        (1, "insert", None, "a", None),
        (5, "insert", None, "e", None),
        (1, "update", "a", "b", None),
        (1, "delete", "b", None, (1, 2)),
        (2, "insert", None, "c", (1, 2)),
        (2, "update", "c", "d", None),
        (5, "delete", "e", None, (5, 15)),
        (2, "delete", "d", None, (2, 12)),
        (15, "insert", None, "e!", (5, 15)),
        (12, "insert", None, "d!", (2, 12)),
        (15, "delete", "e!", None, (15, 16)),
        (16, "insert", None, "z", (15, 16)),
        (12, "update", "d!", "z", None),
    ]
    for queue in ("jobs", "copies"):
        found = read(conn, queue)
        assert sorted(map(str, found)) == sorted(map(str, expected))
        assert found[:6] == expected[:6]
        # Of each key in order, whatever order the rows came in.
        for key in (2, 5, 12, 15, 16):
            assert [part for part in found if part[0] == key] == [part for part in expected if part[0] == key]


@pytest.mark.parametrize("send", ["pgmq", "inline"])
def test_keys_that_pass_from_row_to_row_end_with_the_row_that_has_them(
    conn: psycopg.Connection[Any], tmp_path: Path, send: str
) -> None:
    table = "CREATE TABLE app.t (id int PRIMARY KEY DEFERRABLE, v text)"
    apply(conn, tmp_path, table, f"send: {send}")
    conn.execute("INSERT INTO app.t SELECT n, 'row ' || n FROM generate_series(1, 6) AS n")
    conn.execute("UPDATE app.t SET id = id + 1")
    conn.execute("UPDATE app.t SET id = 9 - id WHERE id IN (4, 5)")
    conn.execute("DELETE FROM app.t WHERE id = 7")
    replica = {key: new for key, _, _, new, _ in read(conn)}
    rows = dict(conn.execute("SELECT id, v FROM app.t").fetchall())
    assert {key: value for key, value in replica.items() if value is not None} == rows


OWN_TRIGGER = """;
CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER note AFTER UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.note()
"""


@pytest.mark.parametrize("send", ["pgmq", "inline"])
@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("CREATE TABLE app.t (id int PRIMARY KEY DEFERRABLE, v text)", "capture: row"),
        ("CREATE TABLE app.t (id int PRIMARY KEY DEFERRABLE, v text)" + OWN_TRIGGER, "delay: 0s"),
        (TABLES["partitioned"].replace("PRIMARY KEY (id)", "PRIMARY KEY (id) DEFERRABLE"), "delay: 0s"),
    ],
    ids=["declared", "own trigger", "partitioned"],
)
def test_keys_that_pass_between_rows_captured_by_row_end_wrong_and_plan_and_doctor_say_so(
    conn: psycopg.Connection[Any], tmp_path: Path, table: str, options: str, send: str
) -> None:
    conn.execute(f"CREATE SCHEMA app; {table}".encode())
    declared = declare(conn, tmp_path, SPEC.format(events=ALL, options=f"{options}\n    send: {send}"))
    (note,) = [note for note in bring(conn, declared).notes if "DEFERRABLE" in note]
    assert "app.t" in note
    assert "route things" in note
    found = [finding for finding in examine(conn, declared.manifest) if "DEFERRABLE" in finding.what]
    assert [finding.code for finding in found] == ["order-at-risk"]

    conn.execute("INSERT INTO app.t SELECT n, 'row ' || n FROM generate_series(1, 3) AS n")
    read(conn)
    conn.execute("UPDATE app.t SET id = id + 1")
    # Of key 2: row 1 comes, then row 2 goes.
    passed = read(conn)
    assert [(op, old or new) for key, op, old, new, _ in passed if key == 2] == [
        ("insert", "row 1"), ("delete", "row 2"),
    ]  # fmt: skip
    # The header tells the two apart from a row that came and went.
    assert [change for key, _, _, _, change in passed if key == 2] == [(1, 2), (2, 3)]
    for key in (4, 3, 2):
        conn.execute("UPDATE app.t SET id = id + 10 WHERE id = %s", [key])
    conn.execute("UPDATE app.t SET id = id - 11 WHERE id = 12")
    replica = {key: new for key, _, _, new, _ in read(conn) if key > 3 or key == 1}
    rows = dict(conn.execute("SELECT id, v FROM app.t").fetchall())
    assert {key: value for key, value in replica.items() if value is not None} == rows


@pytest.mark.parametrize("descending", [False, True])
def test_a_key_that_is_checked_row_by_row_ends_right_by_row(
    conn: psycopg.Connection[Any], tmp_path: Path, descending: bool
) -> None:
    """Postgres lets a row take a key only when the row before it has gone from it."""
    conn.execute("CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text)")
    declared = declare(conn, tmp_path, SPEC.format(events=ALL, options="capture: row"))
    assert [note for note in bring(conn, declared).notes if "DEFERRABLE" in note] == []
    order = "DESC" if descending else "ASC"
    conn.execute(
        f"INSERT INTO app.t SELECT n, 'row ' || n FROM generate_series(1, 3) AS n ORDER BY n {order}".encode()
    )
    step = 1 if descending else -1
    conn.execute("UPDATE app.t SET id = id + %s", [step])
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("UPDATE app.t SET id = id - %s", [step])
    replica = {key: new for key, _, _, new, _ in read(conn)}
    rows = dict(conn.execute("SELECT id, v FROM app.t").fetchall())
    assert {key: value for key, value in replica.items() if value is not None} == rows


@pytest.mark.parametrize("events", ["[insert, update]", "[update, delete]", "[update]"])
def test_without_both_events_the_update_goes_to_the_new_key(
    conn: psycopg.Connection[Any], tmp_path: Path, events: str
) -> None:
    table = "CREATE TABLE app.t (id int PRIMARY KEY, v text)"
    apply(conn, tmp_path, table, events=events)
    conn.execute("INSERT INTO app.t VALUES (1, 'a')")
    read(conn)
    conn.execute("UPDATE app.t SET id = 2")
    assert read(conn) == [(2, "update", "a", "a", None)]


def test_conditions_and_options_are_those_of_the_update(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    table = "CREATE TABLE app.t (id int PRIMARY KEY, v text, secret text)"
    options = """when: op <> 'update' OR new.v <> 'silent'
    payload: {exclude: [secret], old: none, extra: {was: old.id, what: op}}"""
    apply(conn, tmp_path, table, options)
    conn.execute("INSERT INTO app.t VALUES (1, 'a', 's')")
    conn.execute("TRUNCATE pgmq.q_jobs")
    conn.execute("UPDATE app.t SET id = 2")
    conn.execute("UPDATE app.t SET id = 3, v = 'silent'")
    messages = [row[0] for row in conn.execute("SELECT message FROM pgmq.q_jobs ORDER BY msg_id").fetchall()]
    assert [(message["op"], message["key"], message["extra"]) for message in messages] == [
        ("delete", {"id": 1}, {"was": 1, "what": "update"}),
        ("insert", {"id": 2}, {"was": 1, "what": "update"}),
    ]
    assert messages[0]["old"] is None
    assert messages[1]["new"] == {"id": 2, "v": "a"}


def test_try_shows_both_parts(
    conn: psycopg.Connection[Any], tmp_path: Path, run_changelane: RunChangelane
) -> None:
    apply(conn, tmp_path, "CREATE TABLE app.t (id int PRIMARY KEY, v text)")
    conn.execute("INSERT INTO app.t VALUES (1, 'a')")
    shown = run_changelane("try", "UPDATE app.t SET id = 2").stdout
    assert shown.index("delete") < shown.index("insert")
