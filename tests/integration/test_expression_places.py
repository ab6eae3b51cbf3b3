"""One expression over citext, in each place of a spec or a command that takes an expression."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.api_roles import lend_roles
from support.command_line import RunChangelane
from support.dashboard import open_panel
from support.deployment import bring, declare, find_wrong

from changelane.contract.catalog import load_catalog
from changelane.errors import SpecError
from changelane.generator.sql import builtin

Connection = psycopg.Connection[Any]

TABLE = """
CREATE EXTENSION citext SCHEMA public;
CREATE DOMAIN email AS citext;
CREATE TABLE people (id int PRIMARY KEY, mail email, plain text);
"""
ROWS = "INSERT INTO people VALUES (1, 'admin@x.org', 'a'), (2, 'ADMIN@X.ORG', 'A'), (3, 'else@x.org', 'a')"
SPEC = """
version: 1
project: shop
queues:
  all: {{}}
  people:
    access:
      - role: {reader}
        allow: [read]
        using: (message->'new'->>'mail')::public.citext = 'Admin@X.org'
routes:
  - name: people
    table: public.people
    events: [insert, update, delete]
    update_of: [mail]
    when: new.mail = 'Admin@x.org' or old.mail = 'Admin@x.org'
    payload: {{extra: {{short: "nullif(coalesce(new.mail, old.mail), 'ADMIN@x.org')"}}}}
    queue: people
  - {{name: all, table: public.people, events: [insert], queue: all}}
"""


@pytest.fixture
def reader(conn: Connection) -> Iterator[str]:
    with lend_roles(conn, ["reader"]) as roles:
        yield roles["reader"]


def take(conn: Connection, queue: str) -> list[dict[str, Any]]:
    query = psycopg.sql.SQL("DELETE FROM {} RETURNING msg_id, message").format(
        psycopg.sql.Identifier("pgmq", f"q_{queue}")
    )
    return [message for _, message in sorted(conn.execute(query).fetchall(), key=lambda row: row[0])]


def test_every_place_compares_as_the_owner_does(
    conn: Connection, tmp_path: Path, run_changelane: RunChangelane, reader: str
) -> None:
    conn.execute(TABLE.encode())
    declared = declare(conn, tmp_path, SPEC.format(reader=reader))
    bring(conn, declared)
    assert find_wrong(conn, declared) == []
    conn.execute(ROWS.encode())
    wanted = [1, 2]
    found = take(conn, "people")
    assert [message["new"]["id"] for message in found] == wanted
    assert [message["extra"]["short"] for message in found] == [None, None]

    # A changed case is a change of the column, though the two are equal.
    conn.execute("UPDATE people SET mail = upper(mail::text)")
    assert [message["new"]["id"] for message in take(conn, "people")] == [1]
    conn.execute("DELETE FROM people WHERE id = 2")
    assert [message["old"]["id"] for message in take(conn, "people")] == [2]
    conn.execute("INSERT INTO people VALUES (2, 'admin@X.org', 'A')")
    take(conn, "people")
    take(conn, "all")

    done = run_changelane("backfill", "all", "--where", "new.mail = 'adMin@x.org'")
    assert done.returncode == 0, done.stderr
    assert [message["new"]["id"] for message in take(conn, "all")] == wanted

    for mail in ("ADMIN@x.ORG", "other@x.org"):
        for queue in ("people", "people_dlq"):
            message = json.dumps({"new": {"mail": mail}})
            conn.execute("SELECT pgmq.send(%s, %s::jsonb)", [queue, message])
    with conn.transaction():
        conn.execute(psycopg.sql.SQL("SET LOCAL ROLE {}").format(psycopg.sql.Identifier(reader)))
        seen = conn.execute("SELECT message -> 'new' ->> 'mail' FROM pgmq.q_people").fetchall()
    assert seen == [("ADMIN@x.ORG",)]
    where = "(message->'new'->>'mail')::citext = 'admin@x.org'"
    done = run_changelane("dead-letter", "list", "people", "--where", where, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [letter["id"] for letter in json.loads(done.stdout)["dead_letters"]] == [1]


def test_the_dashboard_compares_as_the_owner_does(
    conn: Connection, tmp_path: Path, database: str, reader: str
) -> None:
    conn.execute(TABLE.encode())
    bring(conn, declare(conn, tmp_path, SPEC.format(reader=reader)))
    for mail in ("ADMIN@x.ORG", "other@x.org"):
        conn.execute("SELECT pgmq.send('people_dlq', %s::jsonb)", [json.dumps({"new": {"mail": mail}})])
    on = "/dead-letters/people"
    with open_panel(tmp_path, database) as panel:
        panel.wait("/queues", lambda page: "people_dlq" in page.words)
        where = "(message->'new'->>'mail')::citext = 'admin@x.org'"
        asked = panel.post(f"{on}/discard", on=on, where=where)
        assert "Discard 1 dead letter of people?" in asked.words
        panel.confirm(asked)
        refused = panel.post(
            f"{on}/discard", on=on, where="to_regclass('people') IS NOT NULL", confirmed="yes"
        )
        assert refused.status == 409
        assert "public.people" in refused.words
    left = conn.execute("SELECT message->'new'->>'mail' FROM pgmq.q_people_dlq").fetchall()
    assert left == [("other@x.org",)]
    # The record shows the expression as people wrote it.
    found = conn.execute(
        "SELECT DISTINCT arguments->>'where' FROM changelane.audit WHERE outcome <> 'failed'"
    )
    assert where in {text for (text,) in found}


def test_an_extension_that_is_not_on_the_owners_path_is_asked_for(conn: Connection, tmp_path: Path) -> None:
    conn.execute(
        "CREATE SCHEMA hidden; CREATE EXTENSION citext SCHEMA hidden; CREATE EXTENSION hstore SCHEMA hidden"
    )
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, mail hidden.citext, tags hidden.hstore)")
    spec = """
version: 1
project: shop
queues: {{people: {{}}}}
routes:
  - {{name: t, table: public.t, events: [insert], queue: people, when: "{when}"}}
"""
    with pytest.raises(SpecError) as caught:
        declare(conn, tmp_path, spec.format(when="new.mail = 'A'"))
    (problem,) = caught.value.diagnostics
    assert "not on the search_path" in problem.summary
    assert "OPERATOR(hidden.=)" in problem.fix
    # An expression with a single meaning is accepted.
    for when in ("new.mail OPERATOR(hidden.=) 'A'", "new.mail::text = 'a'", "new.tags -> 'k' = 'v'"):
        bring(conn, declare(conn, tmp_path, spec.format(when=when)))
        conn.execute("TRUNCATE t; INSERT INTO t VALUES (1, 'a', 'k=>v')")
        assert [message["new"]["id"] for message in take(conn, "people")] == [1], when


def test_the_catalog_holds_only_what_the_columns_need(conn: Connection, tmp_path: Path) -> None:
    conn.execute(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TABLE t (id int PRIMARY KEY, note text)"
    )
    spec = "version: 1\nproject: shop\nqueues: {q: {}}\n"
    spec += "routes: [{name: t, table: public.t, events: [insert], queue: q}]\n"
    out = declare(conn, tmp_path, spec).out
    catalog = load_catalog(out / "catalog.json")
    assert (catalog.types, catalog.operators, catalog.functions) == ((), (), ())
    conn.execute("ALTER TABLE t ADD COLUMN mail citext")
    declare(conn, tmp_path, spec)
    catalog = load_catalog(out / "catalog.json")
    assert [type.name for type in catalog.types] == ["citext"]
    assert {operator.schema_ for operator in catalog.operators} == {"public"}
    again = (out / "catalog.json").read_bytes()
    declare(conn, tmp_path, spec)
    assert (out / "catalog.json").read_bytes() == again


def test_the_built_in_operators_and_functions_are_those_of_the_server(
    conn: Connection, request: pytest.FixtureRequest
) -> None:
    path = Path(builtin.__file__).with_name("builtin.txt")
    known = set(path.read_text().splitlines())
    query = (Path(__file__).parent.parent / "support" / "builtin.sql").read_bytes()
    found = {f"{fact} {text}" for fact, text in conn.execute(query).fetchall()}
    if request.config.getoption("--update-golden"):
        path.write_text("".join(f"{line}\n" for line in sorted(known | found)))
        return
    assert len(found) > 3000
    # Older servers have functions that are gone since; one of these is refused unless its schema is written.
    gone = {fact for fact in found - known if fact.startswith("function ")}
    assert found - known - gone == set()
    assert gone == set() or conn.info.server_version < 180000
