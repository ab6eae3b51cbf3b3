"""Supabase's linter finds no fault with the policies of access, for any combination of operations."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from support.advice import KNOWN, advise
from support.api_roles import lend_roles
from support.deployment import bring, declare, find_wrong

from changelane.contract.access import OPERATIONS

MINE = "message->>'tenant' = (select current_setting('request.tenant', true))"


def test_every_set_of_operations_has_one_policy_a_command(
    conn: psycopg.Connection[Any], tmp_path: Path
) -> None:
    sets = [chosen for size in range(1, 6) for chosen in combinations(OPERATIONS, size)]
    assert len(sets) == 31
    names = ["_".join(part[0] + part[-1] for part in chosen) for chosen in sets]
    with lend_roles(conn, names) as roles:
        access = [
            {"role": roles[name], "allow": list(chosen), **({"using": MINE} if number % 2 else {}),
             **({"via": "functions"} if number % 5 == 0 else {})}
            for number, (name, chosen) in enumerate(zip(names, sets, strict=True))
        ]  # fmt: skip
        # Half of a role's operations are for some messages, the others for all messages.
        access[0] = {"role": roles["sd"], "allow": ["send"]}
        access += [{"role": roles["sd"], "allow": ["read", "pop", "delete"], "using": MINE}]
        spec = {
            "version": 1, "project": "shop", "api": True, "routes": [],
            "queues": {"jobs": {"access": access}, "My Jobs": {"access": access[:3]}},
            "schedules": {"tick": {"cron": "0 0 29 2 *", "queue": "jobs", "body": {}}},
        }  # fmt: skip
        declared = declare(conn, tmp_path, json.dumps(spec))
        bring(conn, declared)
        assert find_wrong(conn, declared) == []
        assert advise(conn, clients=list(roles.values())) == KNOWN
        _send_and_read(conn, roles["sd"])


def _send_and_read(conn: psycopg.Connection[Any], role: str) -> None:
    """The policy for SELECT shows the message that the role just sent, and those of its tenant."""
    conn.execute(
        """SELECT pgmq.send('jobs', jsonb_build_object('tenant', of)) FROM unnest('{a,b}'::text[]) AS of"""
    )
    with conn.transaction():
        conn.execute(
            sql.SQL("SET LOCAL ROLE {}; SET LOCAL request.tenant = 'a'").format(sql.Identifier(role))
        )
        assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (1,)
        conn.execute("""SELECT pgmq.send('jobs', '{"tenant": "c"}')""")
        assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (2,)
        assert len(conn.execute("SELECT * FROM pgmq.read('jobs', 30, 10)").fetchall()) == 1
        popped = conn.execute("SELECT message->>'tenant' FROM pgmq.pop('jobs')").fetchall()
        assert popped == []
    with conn.transaction():
        conn.execute(
            sql.SQL("SET LOCAL ROLE {}; SET LOCAL request.tenant = 'b'").format(sql.Identifier(role))
        )
        assert conn.execute("SELECT message->>'tenant' FROM pgmq.pop('jobs')").fetchall() == [("b",)]


def test_no_queue_is_open_to_clients(conn: psycopg.Connection[Any], tmp_path: Path) -> None:
    with lend_roles(conn, ["anon", "authenticated", "service_role"]) as roles:
        # As Supabase sets it when Queues are exposed.
        conn.execute(
            sql.SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA pgmq GRANT ALL ON TABLES TO {}").format(
                sql.Identifier(roles["service_role"])
            )
        )
        access = [
            {"role": roles["authenticated"], "allow": ["send", "read", "archive"], "using": MINE},
            {"role": roles["service_role"], "allow": list(OPERATIONS)},
        ]
        spec = {
            "version": 1, "project": "shop", "api": True, "routes": [],
            "queues": {"jobs": {"access": access, "archive": {"keep": "1 day"}}, "plain": {}, "my-queue": {}},
        }  # fmt: skip
        bring(conn, declare(conn, tmp_path, json.dumps(spec)))
        clients = [roles["anon"], roles["authenticated"]]
        assert advise(conn, clients=clients) == KNOWN
        conn.execute(
            sql.SQL('GRANT SELECT (msg_id) ON pgmq."q_my-queue" TO {}').format(sql.Identifier(roles["anon"]))
        )
        named = advise(conn, clients=clients)["insecure_queue_exposed_in_api"]
        assert named == [('pgmq."q_my-queue"', roles["anon"])]
