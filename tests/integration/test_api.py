"""Schema ``pgmq_public``: Supabase's six functions as its clients call them, and our additional ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import TupleRow
from support.api_roles import lend_roles
from support.deployment import bring, declare

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
api: true
queues:
  jobs:
    access:
      - {{role: {authenticated}, allow: [send, read, pop, archive, delete]}}
routes: []
"""

# name: arguments, result. As in Supabase's documentation of the schema.
SUPABASE = {
    "archive": ("queue_name text, message_id bigint", "boolean"),
    "delete": ("queue_name text, message_id bigint", "boolean"),
    "pop": ("queue_name text", "SETOF pgmq.message_record"),
    "read": ("queue_name text, sleep_seconds integer, n integer", "SETOF pgmq.message_record"),
    "send": ("queue_name text, message jsonb, sleep_seconds integer DEFAULT 0", "SETOF bigint"),
    "send_batch": ("queue_name text, messages jsonb[], sleep_seconds integer DEFAULT 0", "SETOF bigint"),
}


@pytest.fixture
def client(conn: Connection, tmp_path: Path) -> Iterator[Connection]:
    """A session of the role ``authenticated``."""
    with lend_roles(conn, ["authenticated"]) as roles:
        bring(conn, declare(conn, tmp_path, SPEC.format(**roles)))
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles["authenticated"])))
        yield conn
        conn.execute("RESET ROLE")


def fetch(client: Connection, query: str, *values: Any) -> list[TupleRow]:
    return client.execute(query.encode(), values).fetchall()


def send(client: Connection, *messages: Any) -> list[int]:
    found = fetch(
        client, "SELECT pgmq_public.send_batch('jobs', %s::jsonb[])", [json.dumps(item) for item in messages]
    )
    return [msg_id for (msg_id,) in found]


def test_the_six_functions_are_supabases_and_run_as_their_caller(client: Connection) -> None:
    found = fetch(
        client,
        "SELECT proname, pg_get_function_arguments(oid), pg_get_function_result(oid), prosecdef, proconfig"
        " FROM pg_proc WHERE pronamespace = 'pgmq_public'::regnamespace",
    )
    known = {name: (arguments, result) for name, arguments, result, _, _ in found}
    assert {name: known[name] for name in SUPABASE} == SUPABASE
    # PostgREST distinguishes overloads only by the names of their arguments, so there are no overloads.
    assert len(known) == len(found)
    assert {(definer, tuple(config)) for *_, definer, config in found} == {(False, ('search_path=""',))}


def test_the_six_functions_behave_like_supabases(client: Connection) -> None:
    ((first,),) = fetch(client, "SELECT pgmq_public.send(queue_name => 'jobs', message => '{\"n\": 1}')")
    second, third = send(client, {"n": 2}, {"n": 3})
    fetch(client, "SELECT pgmq_public.send(queue_name => 'jobs', message => '{}', sleep_seconds => 60)")
    ((msg_id, read_ct, message),) = fetch(
        client,
        "SELECT msg_id, read_ct, message"
        " FROM pgmq_public.read(queue_name => 'jobs', sleep_seconds => 60, n => 1)",
    )
    assert (msg_id, read_ct, message) == (first, 1, {"n": 1})
    assert fetch(client, "SELECT msg_id, message FROM pgmq_public.pop(queue_name => 'jobs')") == [
        (second, {"n": 2})
    ]
    archive = "SELECT pgmq_public.archive(queue_name => 'jobs', message_id => %s)"
    delete = "SELECT pgmq_public.delete(queue_name => 'jobs', message_id => %s)"
    assert fetch(client, archive, first) == [(True,)]
    assert fetch(client, archive, first) == [(False,)]
    assert fetch(client, delete, third) == [(True,)]
    assert fetch(client, delete, third) == [(False,)]
    assert fetch(client, "SELECT * FROM pgmq_public.read('jobs', 60, 10)") == []
    client.execute("RESET ROLE")
    assert fetch(client, "SELECT msg_id FROM pgmq.a_jobs") == [(first,)]


def test_headers_go_with_a_message_and_come_back(client: Connection) -> None:
    fetch(
        client,
        "SELECT pgmq_public.send_with_headers"
        "(queue_name => 'jobs', message => '1', headers => '{\"trace\": 7}')",
    )
    assert fetch(client, "SELECT headers FROM pgmq_public.read('jobs', 60, 1)") == [({"trace": 7},)]


def test_a_long_poll_returns_at_once_with_a_message_and_after_its_time_without(client: Connection) -> None:
    poll = (
        "SELECT message FROM pgmq_public.read_with_poll"
        "(queue_name => 'jobs', sleep_seconds => 60, n => 5, max_poll_seconds => %s)"
    )
    began = time.monotonic()
    assert fetch(client, poll, 1) == []
    assert time.monotonic() - began >= 0.9
    send(client, "soon")
    began = time.monotonic()
    assert fetch(client, poll, 25) == [("soon",)]
    assert time.monotonic() - began < 20


def test_visibility_is_set_by_the_delivery_that_holds_the_message_alone(client: Connection) -> None:
    (msg_id,) = send(client, "x")
    ((read_ct,),) = fetch(client, "SELECT read_ct FROM pgmq_public.read('jobs', 60, 1)")
    release = (
        "SELECT pgmq_public.set_visibility"
        "(queue_name => 'jobs', message_id => %s, read_count => %s, sleep_seconds => 0)"
    )
    assert fetch(client, release, msg_id, read_ct + 1) == [(False,)]
    assert fetch(client, release, msg_id, read_ct) == [(True,)]
    assert fetch(client, "SELECT msg_id, read_ct FROM pgmq_public.read('jobs', 60, 1)") == [
        (msg_id, read_ct + 1)
    ]
    # Another delivery has read it since.
    assert fetch(client, release, msg_id, read_ct) == [(False,)]


def test_many_are_archived_and_deleted_at_once_and_those_are_named_that_were(client: Connection) -> None:
    first, second, third = send(client, 1, 2, 3)
    archive = "SELECT pgmq_public.archive_batch(queue_name => 'jobs', message_ids => %s)"
    delete = "SELECT pgmq_public.delete_batch(queue_name => 'jobs', message_ids => %s)"
    assert sorted(fetch(client, archive, [first, second, 999])) == [(first,), (second,)]
    assert fetch(client, delete, [second, third]) == [(third,)]


def test_metrics_count_messages_and_those_that_are_due(client: Connection) -> None:
    metrics = "SELECT queue_length, visible_length, oldest_age_seconds FROM pgmq_public.metrics('jobs')"
    assert fetch(client, metrics) == [(0, 0, None)]
    send(client, 1, 2, 3)
    fetch(client, "SELECT FROM pgmq_public.read('jobs', 60, 1)")
    ((length, visible, age),) = fetch(client, metrics)
    assert (length, visible) == (3, 2)
    assert 0 <= age < 60


@pytest.mark.parametrize("name", ["nothing", "JOBS'; DROP TABLE pgmq.q_jobs; --", 'x" --', ""])
def test_a_queue_that_is_not_there_is_an_error_and_no_more(client: Connection, name: str) -> None:
    for query in (
        "SELECT pgmq_public.send(%s, '1')",
        "SELECT pgmq_public.read(%s, 1, 1)",
        "SELECT pgmq_public.set_visibility(%s, 1, 1, 0)",
        "SELECT pgmq_public.metrics(%s)",
    ):
        with pytest.raises((errors.UndefinedTable, errors.RaiseException, errors.InvalidParameterValue)):
            fetch(client, query, name)
    client.execute("RESET ROLE")
    assert fetch(client, "SELECT to_regclass('pgmq.q_jobs') IS NOT NULL") == [(True,)]
