"""Changes that triggers, views, rules and transactions make, each captured once and in order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.captures import WAYS, Rig, delete, insert, name_way, sort, update

BLOCKED = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


@pytest.fixture(params=WAYS, ids=name_way)
def table(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """Table ``t`` of three rows, all its changes captured."""
    rig.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    )
    rig.capture(request.param)
    return rig


def test_writes_from_other_triggers(table: Rig) -> None:
    table.run(
        "CREATE TABLE source (id int)",
        "CREATE FUNCTION write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO app.t VALUES (new.id, 'by trigger'); UPDATE app.t SET a = a || '?' WHERE id = new.id;"
        " RETURN NULL; END $$",
        "CREATE TRIGGER write AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION write()",
        "INSERT INTO source VALUES (10), (11)",
    )
    assert table.sent() == [
        insert(10, "by trigger"),
        update((10, "by trigger"), (10, "by trigger?")),
        insert(11, "by trigger"),
        update((11, "by trigger"), (11, "by trigger?")),
    ]


def test_the_row_is_sent_as_before_triggers_changed_it(table: Rig) -> None:
    table.run(
        "CREATE FUNCTION rewrite() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.id % 2 = 0 THEN RETURN NULL; END IF; new.a := upper(new.a); RETURN new; END $$",
        "CREATE TRIGGER rewrite BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION rewrite()",
        "INSERT INTO t VALUES (10, 'no'), (11, 'yes'), (13, 'yes')",
    )
    assert table.sent() == [insert(11, "YES"), insert(13, "YES")]
    table.run("UPDATE t SET a = a || '!' WHERE id IN (1, 2, 3)")
    assert sort(table.sent()) == sort([update((1, "one"), (1, "ONE!")), update((3, "three"), (3, "THREE!"))])


def test_a_trigger_on_the_table_that_writes_it_again(table: Rig) -> None:
    table.run(
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM made WHERE length(a) < 8) THEN UPDATE app.t SET a = a || '+'"
        " WHERE id IN (SELECT id FROM made); END IF; RETURN NULL; END $$",
        "CREATE TRIGGER again AFTER UPDATE ON t REFERENCING NEW TABLE AS made"
        " FOR EACH STATEMENT EXECUTE FUNCTION again()",
        "UPDATE t SET a = a || '-' WHERE id < 3",
    )
    sent = table.sent()
    assert len(sent) == 10
    # Inner statements may be captured before the outer one, so only the sum of all changes is certain.
    now = [tuple(row) for row in table.rows("SELECT * FROM t")]
    assert sort([old for _, old, _ in sent] + now) == sort(
        [new for _, _, new in sent] + [(1, "one"), (2, "two"), (3, "three")]
    )


def test_deferred_constraint_triggers_that_write(table: Rig) -> None:
    table.run(
        "CREATE TABLE source (id int)",
        "CREATE FUNCTION write() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO app.t VALUES (new.id, 'deferred'); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER write AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION write()",
    )
    with table.session() as session:
        session.execute("INSERT INTO source VALUES (10), (11)")
        session.execute("INSERT INTO t VALUES (12, 'first')")
        session.commit()
    assert table.sent() == [insert(12, "first"), insert(10, "deferred"), insert(11, "deferred")]


def test_a_deferred_constraint_that_fails_takes_the_messages_along(table: Rig) -> None:
    table.run("ALTER TABLE t ADD CONSTRAINT one UNIQUE (a) DEFERRABLE INITIALLY DEFERRED")
    with table.session() as session:
        session.execute("INSERT INTO t VALUES (10, 'one')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.commit()
    assert table.sent() == []


def test_changes_that_are_rolled_back_are_not_sent(table: Rig) -> None:
    with table.session() as session:
        session.execute("INSERT INTO t VALUES (10, 'kept')")
        session.execute("SAVEPOINT one")
        session.execute("INSERT INTO t VALUES (11, 'undone'), (12, 'undone')")
        session.execute("ROLLBACK TO one")
        session.execute("INSERT INTO t VALUES (13, 'kept')")
        session.execute("SAVEPOINT two")
        session.execute("DELETE FROM t WHERE id = 1")
        session.execute("RELEASE two")
        session.commit()
        session.execute("DELETE FROM t")
        session.rollback()
    assert table.sent() == [insert(10, "kept"), insert(13, "kept"), delete(1, "one")]


def test_an_exception_block_that_undoes_a_write(table: Rig) -> None:
    table.run(
        "DO $$ BEGIN INSERT INTO app.t VALUES (10, 'kept'); BEGIN INSERT INTO app.t VALUES (11, 'undone');"
        " INSERT INTO app.t VALUES (1, 'twice'); EXCEPTION WHEN unique_violation THEN NULL; END; END $$"
    )
    assert table.sent() == [insert(10, "kept")]


def test_prepared_transactions_send_with_their_commit(table: Rig) -> None:
    with table.session() as session:
        for name, end in (("undone", "ROLLBACK"), ("kept", "COMMIT")):
            session.execute("INSERT INTO t VALUES (%s, %s)", [len(name) + 10, name])
            session.execute(f"PREPARE TRANSACTION '{name}'".encode())
            session.commit()
            assert table.sent() == []
            table.run(f"{end} PREPARED '{name}'")
    assert table.sent() == [insert(14, "kept")]


def test_an_updatable_view_and_one_with_instead_of_triggers(table: Rig) -> None:
    table.run(
        "CREATE VIEW simple AS SELECT id, a FROM t WHERE id < 100",
        "INSERT INTO simple VALUES (10, 'ten')",
        "UPDATE simple SET a = 'x' WHERE id = 1",
        "DELETE FROM simple WHERE id = 2",
    )
    assert table.sent() == [insert(10, "ten"), update((1, "one"), (1, "x")), delete(2, "two")]
    table.run(
        "CREATE VIEW joined AS SELECT id, count(*) AS n FROM t GROUP BY id",
        "CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF tg_op = 'DELETE' THEN DELETE FROM app.t WHERE id = old.id; RETURN old; END IF;"
        " INSERT INTO app.t VALUES (new.id, 'instead'); RETURN new; END $$",
        "CREATE TRIGGER instead INSTEAD OF INSERT OR DELETE ON joined"
        " FOR EACH ROW EXECUTE FUNCTION instead()",
        "INSERT INTO joined VALUES (20, 1), (21, 1)",
        "DELETE FROM joined WHERE id IN (3, 20)",
    )
    assert sort(table.sent()) == sort(
        [insert(20, "instead"), insert(21, "instead"), delete(3, "three"), delete(20, "instead")]
    )


def test_a_rule_that_adds_a_statement(table: Rig) -> None:
    table.run(
        "CREATE TABLE source (id int)",
        "CREATE RULE more AS ON INSERT TO source DO ALSO INSERT INTO app.t SELECT new.id, 'by rule'",
        "INSERT INTO source VALUES (10), (11)",
    )
    assert table.sent() == [insert(10, "by rule"), insert(11, "by rule")]


def test_an_update_that_waited_for_another_sees_its_row(table: Rig) -> None:
    with table.session() as first, ThreadPoolExecutor() as pool:
        first.execute("UPDATE t SET a = 'first' WHERE id = 1")
        waiting = pool.submit(table.run, "UPDATE t SET a = a || ' second' WHERE id < 3")
        while first.execute(BLOCKED).fetchone() is None:
            time.sleep(0.01)
        first.commit()
        waiting.result()
    assert sort(table.sent()) == sort(
        [
            update((1, "one"), (1, "first")),
            update((1, "first"), (1, "first second")),
            update((2, "two"), (2, "two second")),
        ]
    )


def test_a_writer_without_any_right_on_pgmq_or_changelane(table: Rig) -> None:
    table.run(
        "DO $$ BEGIN CREATE ROLE writer; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT USAGE ON SCHEMA app TO writer",
        "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO writer",
        "SET ROLE writer",
        "INSERT INTO t VALUES (4, 'four')",
        "INSERT INTO t VALUES (5, 'five'), (6, 'six')",
        "UPDATE t SET a = 'x' WHERE id = 1",
        "UPDATE t SET a = 'y' WHERE id IN (2, 3)",
        "DELETE FROM t WHERE id = 4",
        "DELETE FROM t WHERE id > 4",
        "TRUNCATE t",
    )
    for denied in ("SELECT pgmq.send('events', '{}')", "SELECT changelane.route0_insert_00000000()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            table.run(denied)
    table.run("RESET ROLE")
    assert len(table.sent()) == 3 + 1 + 2 + 3 + 1


@pytest.mark.parametrize("fire", ["origin", "always", "replica"])
def test_fire_decides_under_which_replication_role(rig: Rig, fire: str) -> None:
    rig.run("CREATE TABLE t (id int PRIMARY KEY)")
    rig.capture(*({**way, "fire": fire} for way in WAYS))
    rig.run("INSERT INTO t VALUES (1)")
    assert len(rig.sent()) == (0 if fire == "replica" else 4)
    rig.run("SET session_replication_role = replica", "INSERT INTO t VALUES (2)")
    assert len(rig.sent()) == (0 if fire == "origin" else 4)
