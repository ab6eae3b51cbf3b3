"""Random routes over random tables and programs send what an oracle expects, in sessions of random settings.

CHANGELANE_ROUTES is how many tables are tried in all, each with up to four routes; a failure names its seed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.captures import Rig, lend_rig
from support.random_names import draw_queue_names
from support.random_routes import AUDIT, Change, Route, draw_route, expect, normalise
from support.random_statements import OPERATIONS, run_programs
from support.random_tables import KEYS, NAMES, VALUES, Shape, Table
from support.shadow_table import encode
from test_encodings import lend_encoded

from changelane.contract.queue_name import queue_table
from changelane.runner.live import pgmq

TOTAL = int(os.environ.get("CHANGELANE_ROUTES", "96"))
PARTS = 4
"""The number of tests, so that several processes share the work."""
KEPT = (40, 56)
"""Seeds that found bugs: blanks were added after a line break in a name or a literal."""
SETTINGS = (
    "DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kathmandu'", "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'", "extra_float_digits = -15", "quote_all_identifiers = on",
    "plpgsql.variable_conflict = 'error'", "plpgsql.extra_errors = 'all'", "enable_hashjoin = off",
    "enable_mergejoin = off", "enable_nestloop = off", "enable_material = off", "enable_sort = off",
    "plan_cache_mode = 'force_generic_plan'", "plan_cache_mode = 'force_custom_plan'", "work_mem = '64kB'",
    "row_security = off", "transform_null_equals = on", "jit_above_cost = 0", "parallel_setup_cost = 0",
    "default_transaction_isolation = 'repeatable read'", "default_transaction_isolation = 'serializable'",
    "join_collapse_limit = 1", "search_path = pg_temp, app, public, pg_catalog",
)  # fmt: skip


@pytest.fixture(scope="module")
def rig(server: str, template: str) -> Iterator[Rig]:
    for rig in lend_rig(server, template):
        rig.run("SET client_min_messages = warning")
        yield rig


def decode(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def draw_table(random: Random) -> Table:
    names = random.sample(range(len(NAMES)), random.randint(0, 4))
    return Table(
        Shape(
            kind=random.choice(("plain", "plain", "unlogged", "list", "range", "hash", "inherited")),
            key=random.choice(("none", "plain", "plain", "deferrable")),
            generated=random.random() < 0.3,
            columns=tuple((name, random.randrange(len(VALUES))) for name in names),
            echoes=random.random() < 0.3,
        )
    )


def check_headers(route: Route, message: dict[str, Any], headers: dict[str, Any], *, number: int) -> None:
    """The route's name, and where a consumer keeps the order of keys, the key, and both where it changed."""
    change = headers.pop("key_change", None)
    group = headers.pop("x-pgmq-group", None)
    assert headers == {"route": f"route{number}"}
    if change:
        side = {"delete": "from", "insert": "to"}[message["op"]]
        assert route.halves
        assert normalise(decode(json.dumps(change[side]))) == normalise(message["key"])
        assert change["from"] != change["to"]
    key = message["key"]
    assert (group and decode(group)) == (key if route.ordered and key else None)


def check(rig: Rig, seed: int) -> None:
    random = Random(seed)
    table = draw_table(random)
    rig.clear()
    rig.run("SET client_min_messages = warning", "SELECT pgmq.drop_queue(queue_name) FROM pgmq.meta")
    rig.run(*AUDIT, *table.create(), *table.create_writers())
    for name in ("t", *(table.parts if table.shape.kind == "inherited" else ())):
        rig.run(
            f"CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON app.{name}"
            " FOR EACH ROW EXECUTE FUNCTION public.audit()"
        )
    rig.run(
        "CREATE TRIGGER audit_truncate AFTER TRUNCATE ON app.t"
        " FOR EACH STATEMENT EXECUTE FUNCTION public.audit()"
    )
    count = random.randint(1, 4)
    # These have their own source of random numbers, so that a seed keeps its table and its program.
    names = draw_queue_names(Random(seed), 3 * count, ascii=rig.value("SHOW server_encoding") != "UTF8")
    routes = [draw_route(random, table, queues=names[3 * number :]) for number in range(count)]
    # Each route gets its own copy, because later steps change it.
    rig.capture(*(json.loads(json.dumps(route.spec)) for route in routes))
    with ExitStack() as stack:
        conns = [stack.enter_context(rig.session()) for _ in range(2)]
        for conn in conns:
            conn.execute("SET lock_timeout = '3ms'; SET client_min_messages = error")
            for setting in random.sample(SETTINGS, random.randint(0, 6)):
                conn.execute(f"SET {setting}".encode())
            conn.commit()
        programs = [
            [
                (
                    random.randrange(2),
                    random.randrange(OPERATIONS),
                    random.randrange(KEYS),
                    random.randrange(12),
                )
                for _ in range(random.randint(4, 14))
            ]
            for _ in range(4)
        ]
        run_programs(conns, table, programs)
    changes: list[Change] = [
        (op, old and decode(old), new and decode(new), bool(same))
        for op, old, new, same in rig.rows(
            "SELECT op, old::text, new::text, same FROM public.audit ORDER BY n"
        )
    ]
    for number, route in enumerate(routes):
        expected = expect(route, changes)
        tables = [sql.Identifier("pgmq", queue_table(queue)).as_string(rig.conn) for queue in route.queues]
        ids = [rig.rows(f"SELECT message->>'id' FROM {name} ORDER BY 1") for name in tables]
        assert all(found == ids[0] for found in ids)
        assert len({id for (id,) in ids[0]}) == len(ids[0])
        for queue, name in zip(route.queues, tables, strict=True):
            found = rig.rows(f"DELETE FROM {name} RETURNING (message - 'at' - 'txid' - 'id')::text, headers")
            for message, headers in found:
                check_headers(route, decode(message), headers, number=number)
            sent = sorted(encode(normalise(decode(message))) for message, _ in found)
            assert sent == expected, f"seed {seed}, queue {queue!r}, {table.shape}, {route.spec}"


@pytest.mark.parametrize("seed", KEPT)
def test_seeds_that_once_failed_pass(rig: Rig, seed: int) -> None:
    check(rig, seed)


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
def test_routes_send_it_in_databases_of_other_encodings(server: str, encoding: str) -> None:
    for url in lend_encoded(server, encoding):
        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as conn:
            pgmq.install(conn)
            begin = int(os.environ.get("CHANGELANE_SEED", Random().randrange(10**9)))
            for seed in range(begin, begin + TOTAL // 16):
                check(Rig(conn, url), seed)


@pytest.mark.parametrize("part", range(PARTS))
def test_routes_send_what_an_oracle_expects(rig: Rig, part: int) -> None:
    # Each run takes other tables. CHANGELANE_SEED sets the first seed, for a bisection.
    begin = int(os.environ.get("CHANGELANE_SEED", Random().randrange(10**9)))
    for seed in range(begin + part, begin + part + TOTAL // PARTS):
        check(rig, seed)
