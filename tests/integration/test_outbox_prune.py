"""Only those rows of an outbox are pruned that were relayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.command_line import RunChangelane
from support.deployment import Declared, bring, declare
from support.http_receiver import Answer, Request, run_receiver

from changelane.errors import ChangelaneError, DatabaseError, LockNotObtained, ProblemsError
from changelane.runner.operate.outbox import find_outbox, prune_outbox

Connection = psycopg.Connection[Any]

TABLE = """
    CREATE SCHEMA app;
    CREATE TABLE app.outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text,
        aggregateid text, type text, payload jsonb)
"""
SPEC = """
version: 1
project: shop
queues:
  outbox: {archive: {keep: 2 days}}
routes:
  - {name: events, table: app.outbox, events: [insert], queue: outbox}
destinations:
  hook: {http: {url: "http://127.0.0.1:9"}}
consumers:
  outbox: {relay: {to: hook, format: outbox}, retry: {attempts: 1}}
"""
ADD = "INSERT INTO app.outbox (aggregatetype, aggregateid, payload) SELECT 'order', unnest(%s::text[]), '{}'"
ACK = """
    SELECT pgmq.archive('outbox', ARRAY(
        SELECT msg_id FROM pgmq.q_outbox WHERE message->'new'->>'aggregateid' = ANY (%s)
    ))
"""


def change(conn: Connection, folder: Path, spec: str = SPEC) -> Declared:
    declared = declare(conn, folder, spec)
    bring(conn, declared)
    return declared


def add(conn: Connection, *names: str) -> None:
    conn.execute(ADD, [list(names)])


def ack(conn: Connection, *names: str) -> None:
    """Move messages to the archive, as a worker does with a message that was confirmed."""
    conn.execute(ACK, [list(names)])


def list_rows(conn: Connection) -> list[str]:
    return [name for (name,) in conn.execute("SELECT aggregateid FROM app.outbox ORDER BY 1").fetchall()]


def prune(conn: Connection, declared: Declared, *, keep: float = 0, **options: Any) -> int:
    outbox = find_outbox(declared.manifest, "events", keep=keep)
    given = {"max_wait": 10.0, "notify": lambda text: None, **options}
    return sum(done.pruned for done in prune_outbox(conn, outbox, keep=keep, **given))


def test_only_rows_that_the_relay_confirmed_are_pruned(
    conn: Connection, run_changelane: RunChangelane, tmp_path: Path
) -> None:
    refused = {"refused"}

    def decide(request: Request) -> Answer:
        return Answer(400 if json.loads(request.body)["name"] in refused else 200)

    def run(*arguments: str) -> str:
        done = run_changelane(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    conn.execute(TABLE)
    with run_receiver(decide) as receiver:
        add(conn, "before")
        change(conn, tmp_path, SPEC.replace("http://127.0.0.1:9", receiver.url))
        named = (
            "INSERT INTO app.outbox (aggregatetype, aggregateid, payload)"
            " SELECT 'order', name, jsonb_build_object('name', name) FROM unnest(%s::text[]) AS name"
        )
        conn.execute(named, [["relayed", "refused"]])
        conn.execute("ALTER TABLE app.outbox DISABLE TRIGGER USER")
        add(conn, "disabled")
        conn.execute("ALTER TABLE app.outbox ENABLE TRIGGER USER")
        run("work", "--drain")
        conn.execute(named, [["waiting"]])

        told = run("maintain", "--outbox", "events", "--keep", "0s")
        assert told == "Project shop\napp.outbox: 1 relayed row pruned\n"
        assert list_rows(conn) == ["before", "disabled", "refused", "waiting"]

        refused.clear()
        run("dead-letter", "redrive", "outbox")
        run("work", "--drain")
        assert "2 relayed rows" in run("maintain", "--outbox", "events", "--keep", "0s")
        assert list_rows(conn) == ["before", "disabled"]

        conn.execute("UPDATE app.outbox SET payload = jsonb_build_object('name', aggregateid)")
        run("backfill", "events")
        run("work", "--drain")
        told = run("maintain", "--outbox", "events", "--keep", "0s", "--format", "json")
        tables = [{"table": "app.outbox", "pruned": 2}]
        assert json.loads(told) == {"format_version": 1, "route": "events", "tables": tables}
        assert list_rows(conn) == []


def test_rows_are_kept_for_a_time_after_they_were_relayed(conn: Connection, tmp_path: Path) -> None:
    conn.execute(TABLE)
    declared = change(conn, tmp_path)
    add(conn, "old", "young")
    ack(conn, "old")
    conn.execute("UPDATE pgmq.a_outbox SET archived_at = now() - interval '61 minutes'")
    ack(conn, "young")
    assert prune(conn, declared, keep=3600) == 1
    assert list_rows(conn) == ["young"]


def test_batches_go_on_in_the_middle_of_one_moment(conn: Connection, tmp_path: Path) -> None:
    conn.execute(TABLE)
    declared = change(conn, tmp_path)
    names = [str(number) for number in range(250)]
    add(conn, *names, "waiting")
    ack(conn, *names[:100])
    ack(conn, *names[100:])
    assert prune(conn, declared, batch=7) == 250
    assert list_rows(conn) == ["waiting"]
    assert prune(conn, declared, batch=7) == 0


def test_messages_that_no_capture_of_the_route_wrote_prove_nothing(conn: Connection, tmp_path: Path) -> None:
    conn.execute(TABLE)
    declared = change(conn, tmp_path)
    add(conn, "discarded", "a", "b", "c", "d", "e", "relayed")
    ack(conn, "a", "b", "c", "d", "e", "relayed")
    conn.execute("SELECT pgmq.delete('outbox', msg_id) FROM pgmq.q_outbox")
    for name, changed in {
        "a": "headers = headers - 'route'",
        "b": 'headers = headers || \'{"route": "others"}\'',
        "c": 'message = message || \'{"op": "update"}\'',
        "d": 'message = message || \'{"table": "other"}\'',
        "e": 'message = message || \'{"schema": "public"}\'',
    }.items():
        statement = f"UPDATE pgmq.a_outbox SET {changed} WHERE message->'new'->>'aggregateid' = %s"
        conn.execute(statement.encode(), [name])
    conn.execute("INSERT INTO pgmq.a_outbox (msg_id, vt, message) VALUES (99, now(), '7'), (98, now(), NULL)")
    assert prune(conn, declared) == 1
    assert list_rows(conn) == ["a", "b", "c", "d", "discarded", "e"]


REST = "aggregatetype text, aggregateid text, type text, payload jsonb"
KINDS = {
    "two columns": f"""
        CREATE TABLE app."%Out {{box}}" ("the %Key" bytea, id date, {REST}, PRIMARY KEY (id, "the %Key"))
    """,
    "a type of an extension": f'CREATE TABLE app."%Out {{box}}" (id citext PRIMARY KEY, {REST})',
    "partitions": f"""
        CREATE TABLE app."%Out {{box}}" (id int, at timestamptz DEFAULT now(), {REST}, PRIMARY KEY (id, at))
            PARTITION BY HASH (id);
        CREATE TABLE app.part0 PARTITION OF app."%Out {{box}}" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE app.part1 PARTITION OF app."%Out {{box}}" FOR VALUES WITH (MODULUS 2, REMAINDER 1)
    """,
    "a domain, and a column that must not be null": f"""
        CREATE DOMAIN app.given AS text NOT NULL CHECK (VALUE <> '');
        CREATE TABLE app."%Out {{box}}" (
            id varchar(9), more app.given DEFAULT 'x', seq app.given PRIMARY KEY, {REST}
        )
    """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_known_by_its_primary_key_of_any_type(conn: Connection, tmp_path: Path, kind: str) -> None:
    conn.execute("CREATE SCHEMA app; CREATE EXTENSION citext")
    conn.execute(KINDS[kind].encode())
    spec = SPEC.replace("app.outbox", "'app.\"%Out {box}\"'")
    declared = change(conn, tmp_path, spec)
    columns = {
        "two columns": ('id, "the %Key"', "'2026-11-29', '\\xff0{}'"),
        "a type of an extension": ("id", "'aB{}'"),
        "partitions": ("id", "{}"),
        "a domain, and a column that must not be null": ("id, seq", "'same', 'no {}'"),
    }[kind]
    for number in range(4):
        values = columns[1].format(number)
        conn.execute(
            f'INSERT INTO app."%Out {{box}}" ({columns[0]}, aggregateid) VALUES ({values}, {number})'.encode()
        )
    ack(conn, "1", "3")
    assert prune(conn, declared) == 2
    left = conn.execute('SELECT aggregateid FROM app."%Out {box}" ORDER BY 1').fetchall()
    assert left == [("0",), ("2",)]


def test_a_payload_may_leave_the_primary_key_out_where_the_key_has_it(
    conn: Connection, tmp_path: Path
) -> None:
    conn.execute("CREATE SCHEMA app")
    conn.execute(f"CREATE TABLE app.outbox (seq bigserial PRIMARY KEY, id uuid, {REST})".encode())
    without = SPEC.replace("queue: outbox}", "queue: outbox, payload: {exclude: [seq]}}")
    declared = change(conn, tmp_path, without)
    add(conn, "relayed", "waiting")
    ack(conn, "relayed")
    assert prune(conn, declared) == 1
    assert list_rows(conn) == ["waiting"]

    declared = change(
        conn, tmp_path, without.replace("events: [insert]", "events: [insert], key: [aggregateid]")
    )
    add(conn, "unknown")
    ack(conn, "unknown", "waiting")
    with pytest.raises(DatabaseError, match=r"1 archived messages of app.outbox have no seq") as caught:
        prune(conn, declared)
    assert "payload" in caught.value.fix
    assert list_rows(conn) == ["unknown"]


QUEUE = "outbox: {archive: {keep: 2 days}}"
REFUSED = {
    "--keep is not shorter than the 1 day": (QUEUE, "outbox: {archive: {keep: 1 day}}"),
    "--keep is not shorter than the 20 hours": (
        QUEUE,
        "outbox: {archive: {keep: 2d}, kind: partitioned, partition: {interval: 1 hour, retain: 20 hours}}",
    ),
    "keeps no archive": (QUEUE, "outbox: {}"),
    "`on_exhausted: archive`": ("{attempts: 1}", "{attempts: 1}, on_exhausted: archive"),
    "route events captures deletes": ("events: [insert]", "events: [insert, delete]"),
    "route gone captures deletes": (
        "destinations:",
        "  - {name: gone, table: app.outbox, events: [delete], queue: others}\ndestinations:",
    ),
    "masks id, of the primary key": ("queue: outbox}", "queue: outbox, payload: {mask: {id: sha256}}}"),
    "role reader may archive": (
        QUEUE, "outbox: {archive: {keep: 2 days}, access: [{role: reader, allow: [read, archive]}]}"
    ),
    "no relay of `format: outbox`": ("format: outbox", "format: row"),
    "several relays of `format: outbox`: others, outbox": (
        "  outbox: {relay", "  others: {relay: {to: hook, format: outbox}}\n  outbox: {relay"
    ),
}  # fmt: skip


def test_routes_that_cannot_prove_that_a_row_was_relayed_are_refused(
    conn: Connection, tmp_path: Path
) -> None:
    conn.execute(TABLE)
    base = SPEC.replace("routes:", "  others: {}\nroutes:")
    assert find_outbox(declare(conn, tmp_path, base).manifest, "events", keep=86400).queue == "outbox"
    for words, (old, new) in REFUSED.items():
        spec = base.replace(old, new)
        if "several" in words:
            spec = spec.replace("queue: outbox}", "queues: [outbox, others]}")
        with pytest.raises(ChangelaneError) as caught:
            find_outbox(declare(conn, tmp_path, spec).manifest, "events", keep=86400)
        (problem,) = caught.value.problems if isinstance(caught.value, ProblemsError) else (caught.value,)
        assert words in problem.what
        assert problem.fix
    with pytest.raises(ChangelaneError, match="no route is called event"):
        find_outbox(declare(conn, tmp_path, base).manifest, "event", keep=1)


def test_a_worker_that_may_archive_is_no_stranger(conn: Connection, tmp_path: Path) -> None:
    conn.execute(TABLE)
    access = "access: [{role: relay, allow: [send, read, archive, delete]}]"
    spec = SPEC.replace(QUEUE, f"outbox: {{archive: {{keep: 2 days}}, {access}}}")
    assert find_outbox(declare(conn, tmp_path, spec).manifest, "events", keep=60).queue == "outbox"


@pytest.mark.parametrize(
    ("words", "before"),
    [
        (
            "would change app.notes",
            "CREATE TABLE app.notes (id uuid REFERENCES app.outbox ON DELETE CASCADE)",
        ),
        ("other tables inherit", "CREATE TABLE app.child () INHERITS (app.outbox)"),
        ("no primary key", "ALTER TABLE app.outbox DROP CONSTRAINT outbox_pkey"),
        ("app.outbox does not exist", "DROP TABLE app.outbox"),
    ],
)
def test_a_table_whose_rows_cannot_be_deleted_alone_is_refused(
    conn: Connection, tmp_path: Path, words: str, before: str
) -> None:
    conn.execute(TABLE)
    declared = change(conn, tmp_path)
    add(conn, "relayed")
    ack(conn, "relayed")
    conn.execute(before.encode())
    with pytest.raises(DatabaseError, match=words) as caught:
        prune(conn, declared)
    assert caught.value.fix


def test_a_locked_row_is_waited_for_and_not_for_ever(conn: Connection, database: str, tmp_path: Path) -> None:
    conn.execute(TABLE)
    declared = change(conn, tmp_path)
    add(conn, "locked")
    ack(conn, "locked")
    notes: list[str] = []
    with psycopg.connect(database, application_name="editor") as other:
        other.execute("SELECT FROM app.outbox FOR UPDATE")
        with pytest.raises(LockNotObtained, match=r"rows of app.outbox .*editor"):
            prune(conn, declared, max_wait=1.5, notify=notes.append)
    assert "editor" in notes[0]
    assert prune(conn, declared) == 1


def test_a_role_without_the_right_is_told_the_grant_and_the_command_line_its_options(
    conn: Connection, run_changelane: RunChangelane, tmp_path: Path, database: str
) -> None:
    conn.execute(TABLE)
    change(conn, tmp_path)
    add(conn, "relayed")
    ack(conn, "relayed")
    role = f"pruner_{conn.info.dbname}"
    conn.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        as_role = {"PGOPTIONS": f"-c role={role}"}
        done = run_changelane("maintain", "--outbox", "events", "--keep", "0s", env=as_role)
        assert done.returncode == 1, done.stdout
        assert "GRANT DELETE, SELECT ON app.outbox TO" in done.stderr
        conn.execute(done.stderr.split("fix: ")[1].split("\n")[0].encode())
        done = run_changelane("maintain", "--outbox", "events", "--keep", "0s", env=as_role)
        assert "1 relayed row pruned" in done.stdout, done.stderr
    finally:
        conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(role)))
    for arguments in (
        ["--outbox", "events"],
        ["--keep", "1d"],
        ["outbox", "--outbox", "events", "--keep", "1d"],
    ):
        refused = run_changelane("maintain", *arguments)
        assert refused.returncode == 1
        assert "--outbox" in refused.stderr
