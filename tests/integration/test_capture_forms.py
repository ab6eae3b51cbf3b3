"""Every form of change, by every way that it can reach its queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from support.captures import WAYS, Rig, lend_rig, name_way, sort

BLOCKED = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


@pytest.fixture(scope="module")
def shared(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.clear()
    return shared


@pytest.fixture(params=WAYS, ids=name_way)
def table(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """Table ``t`` of three rows, all its changes captured."""
    rig.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    )
    rig.capture(request.param)
    return rig


def insert(*new: Any) -> tuple[Any, ...]:
    return ("insert", None, new)


def update(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return ("update", old, new)


def delete(*old: Any) -> tuple[Any, ...]:
    return ("delete", old, None)


TRUNCATE = ("truncate", None, None)


def test_an_insert_of_one_row(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (4, 'four')")
    assert table.sent() == [insert(4, "four")]


def test_an_insert_of_several_rows_in_their_order(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (5, 'five'), (4, NULL), (6, '')")
    assert table.sent() == [insert(5, "five"), insert(4, None), insert(6, "")]


def test_a_copy(table: Rig) -> None:
    with table.conn.cursor().copy("COPY t FROM STDIN") as copy:
        for number in range(10, 2510):
            copy.write_row((number, f"row {number}"))
    assert table.sent() == [insert(number, f"row {number}") for number in range(10, 2510)]


def test_a_copy_of_no_rows(table: Rig) -> None:
    with table.conn.cursor().copy("COPY t FROM STDIN"):
        pass
    assert table.sent() == []


def test_an_insert_of_a_select(table: Rig) -> None:
    table.run("INSERT INTO t SELECT id + 10, a FROM t WHERE id < 3 ORDER BY id")
    assert table.sent() == [insert(11, "one"), insert(12, "two")]


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 2000])
def test_chunks_lose_nothing_at_their_edges(table: Rig, count: int) -> None:
    table.run(f"INSERT INTO t SELECT n, 'row ' || n FROM generate_series(10, 9 + {count}) AS n")
    assert table.sent() == [insert(number, f"row {number}") for number in range(10, 10 + count)]
    table.run("UPDATE t SET a = 'new' WHERE id >= 10")
    assert sort(table.sent()) == sort(
        [update((number, f"row {number}"), (number, "new")) for number in range(10, 10 + count)]
    )
    table.run("DELETE FROM t WHERE id >= 10")
    assert sort(table.sent()) == sort([delete(number, "new") for number in range(10, 10 + count)])


def test_on_conflict_do_nothing(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (1, 'x') ON CONFLICT DO NOTHING")
    assert table.sent() == []
    table.run("INSERT INTO t VALUES (1, 'x'), (4, 'four') ON CONFLICT DO NOTHING")
    assert table.sent() == [insert(4, "four")]


def test_on_conflict_do_update_that_inserts_and_updates(table: Rig) -> None:
    table.run(
        "INSERT INTO t VALUES (1, 'x'), (4, 'four'), (3, 'y'), (5, 'five'), (2, 'two')"
        " ON CONFLICT (id) DO UPDATE SET a = excluded.a, id = t.id + CASE t.id WHEN 3 THEN 100 ELSE 0 END"
    )
    assert sort(table.sent()) == sort(
        [
            insert(4, "four"),
            insert(5, "five"),
            update((1, "one"), (1, "x")),
            update((3, "three"), (103, "y")),
        ]
    )


def test_on_conflict_do_update_of_one_row(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET a = excluded.a")
    assert table.sent() == [update((1, "one"), (1, "x"))]
    table.run("INSERT INTO t VALUES (1, 'y') ON CONFLICT (id) DO UPDATE SET a = 'z' WHERE t.a = 'nothing'")
    assert table.sent() == []


def test_updates_of_none_one_and_many_rows(table: Rig) -> None:
    table.run("UPDATE t SET a = 'x' WHERE false")
    assert table.sent() == []
    table.run("UPDATE t SET a = 'x' WHERE id = 2")
    assert table.sent() == [update((2, "two"), (2, "x"))]
    table.run("UPDATE t SET a = a || '!'")
    assert sort(table.sent()) == sort(
        [
            update((1, "one"), (1, "one!")),
            update((2, "x"), (2, "x!")),
            update((3, "three"), (3, "three!")),
        ]
    )


def test_an_update_that_changes_nothing_sends_nothing(table: Rig) -> None:
    table.run("UPDATE t SET a = a WHERE id = 1", "UPDATE t SET a = a, id = id")
    assert table.sent() == []
    table.run("UPDATE t SET a = 'two'")
    assert sort(table.sent()) == sort([update((1, "one"), (1, "two")), update((3, "three"), (3, "two"))])


def test_a_change_from_and_to_null(table: Rig) -> None:
    table.run("UPDATE t SET a = NULL WHERE id = 1", "UPDATE t SET a = NULL WHERE id = 1")
    assert table.sent() == [update((1, "one"), (1, None))]
    table.run("UPDATE t SET a = 'x' WHERE id = 1")
    assert table.sent() == [update((1, None), (1, "x"))]


def test_an_update_of_one_key(table: Rig) -> None:
    table.run("UPDATE t SET id = 9 WHERE id = 1")
    (change,) = table.changes()
    assert (change.key, change.old, change.new) == ({"id": 9}, {"id": 1, "a": "one"}, {"id": 9, "a": "one"})


def test_a_shift_of_every_key(table: Rig) -> None:
    table.run(
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (id) DEFERRABLE",
        "INSERT INTO t SELECT n, 'r' || n FROM generate_series(4, 3000) AS n",
    )
    table.changes()
    table.run("UPDATE t SET id = id + 1")
    sent = table.sent()
    assert len(sent) == 3000
    assert all(old[0] + 1 == new[0] and old[1] == new[1] for _, old, new in sent)
    assert {old[0] for _, old, _ in sent} == set(range(1, 3001))


def test_a_swap_of_keys(table: Rig) -> None:
    table.run(
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY (id) DEFERRABLE",
        "UPDATE t SET id = CASE id WHEN 1 THEN 3 WHEN 3 THEN 1 ELSE 2 END",
    )
    assert sort(table.sent()) == sort([update((1, "one"), (3, "one")), update((3, "three"), (1, "three"))])


def test_deletes_of_none_one_and_all_rows(table: Rig) -> None:
    table.run("DELETE FROM t WHERE id = 0")
    assert table.sent() == []
    table.run("DELETE FROM t WHERE id = 2")
    (change,) = table.changes()
    assert (change.op, change.key, change.old, change.new) == (
        "delete",
        {"id": 2},
        {"id": 2, "a": "two"},
        None,
    )
    table.run("DELETE FROM t")
    assert sort(table.sent()) == sort([delete(1, "one"), delete(3, "three")])


def test_truncate_of_one_and_of_several_tables(table: Rig) -> None:
    table.run("CREATE TABLE other (id int)", "TRUNCATE t")
    (change,) = table.changes()
    assert (change.op, change.key, change.old, change.new) == ("truncate", None, None, None)
    table.run("TRUNCATE other, t")
    assert table.sent() == [TRUNCATE]


def test_truncate_cascade_reaches_the_tables_that_refer(table: Rig) -> None:
    table.run(
        "CREATE TABLE u (id int PRIMARY KEY)", "ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES u NOT VALID"
    )
    table.run("TRUNCATE u CASCADE")
    assert table.sent() == [TRUNCATE]


def test_foreign_keys_that_delete_set_null_and_update(rig: Rig) -> None:
    for way in WAYS:
        rig.clear()
        rig.run(
            "CREATE TABLE parent (id int PRIMARY KEY)",
            "CREATE TABLE t (id int PRIMARY KEY,"
            " gone int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE,"
            " kept int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE)",
            "INSERT INTO parent VALUES (1), (2), (3), (4)",
            "INSERT INTO t VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 3, 4), (5, 3, 4)",
        )
        rig.capture(way)
        rig.run("UPDATE parent SET id = 30 WHERE id = 3")
        assert sort(rig.sent()) == sort([update((4, 3, 4), (4, 30, 4)), update((5, 3, 4), (5, 30, 4))])
        rig.run("DELETE FROM parent WHERE id = 4")
        assert sort(rig.sent()) == sort(
            [update((4, 30, 4), (4, 30, None)), update((5, 30, 4), (5, 30, None))]
        )
        rig.run("UPDATE parent SET id = id + 100")
        bag = replay({(1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 30, None), (5, 30, None)}, rig.sent())
        assert bag == {tuple(row) for row in rig.rows("SELECT * FROM t")}
        rig.run("DELETE FROM parent WHERE id = 101")
        assert replay(bag, rig.sent()) == {tuple(row) for row in rig.rows("SELECT * FROM t")}


def replay(rows: set[tuple[Any, ...]], sent: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """What becomes of these rows; a row may change more than once."""
    rows = set(rows)
    for op, old, new in sent:
        if op == "truncate":
            rows.clear()
        if old is not None:
            rows.remove(old)
        if new is not None:
            assert new not in rows
            rows.add(new)
    return rows


def test_merge_with_all_its_branches(table: Rig) -> None:
    if table.conn.info.server_version < 150000:
        with pytest.raises(psycopg.errors.SyntaxError):
            table.run("MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DO NOTHING")
        return
    table.run(
        "MERGE INTO t USING (VALUES (1, 'x'), (2, NULL), (4, 'four'), (5, NULL), (3, 'three')) AS s (id, a)"
        " ON t.id = s.id"
        " WHEN MATCHED AND s.a IS NULL THEN DELETE"
        " WHEN MATCHED AND s.id = 3 THEN DO NOTHING"
        " WHEN MATCHED THEN UPDATE SET a = s.a, id = t.id + 10"
        " WHEN NOT MATCHED AND s.a IS NULL THEN DO NOTHING"
        " WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.a)"
    )
    assert sort(table.sent()) == sort([insert(4, "four"), update((1, "one"), (11, "x")), delete(2, "two")])
    table.run(
        "MERGE INTO t USING (VALUES (0)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 'no'"
        " WHEN NOT MATCHED AND false THEN INSERT VALUES (7, 'no')"
    )
    assert table.sent() == []


def test_merge_by_source(table: Rig) -> None:
    if table.conn.info.server_version < 170000:
        with pytest.raises(psycopg.errors.SyntaxError):
            table.run("MERGE INTO t USING t s ON true WHEN NOT MATCHED BY SOURCE THEN DELETE")
        return
    table.run(
        "MERGE INTO t USING (VALUES (1)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 'x'"
        " WHEN NOT MATCHED BY SOURCE AND t.id = 2 THEN DELETE"
        " WHEN NOT MATCHED BY SOURCE THEN UPDATE SET a = 'y' RETURNING merge_action(), t.*"
    )
    assert sort(table.sent()) == sort(
        [update((1, "one"), (1, "x")), update((3, "three"), (3, "y")), delete(2, "two")]
    )


def test_ctes_that_touch_the_table_several_times(table: Rig) -> None:
    table.run(
        "WITH first AS (INSERT INTO t VALUES (4, 'four'), (5, 'five') RETURNING *),"
        " second AS (UPDATE t SET a = a || '!' WHERE id = 1 RETURNING *),"
        " third AS (UPDATE t SET id = id + 100 WHERE id = 3 RETURNING *),"
        " fourth AS (DELETE FROM t WHERE id = 2 RETURNING *),"
        " fifth AS (INSERT INTO t SELECT id + 10, a FROM first RETURNING *)"
        " SELECT * FROM fifth, third"
    )
    assert sort(table.sent()) == sort(
        [
            insert(4, "four"),
            insert(5, "five"),
            insert(14, "four"),
            insert(15, "five"),
            update((1, "one"), (1, "one!")),
            update((3, "three"), (103, "three")),
            delete(2, "two"),
        ]
    )


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


def test_what_a_before_trigger_made_of_the_row(table: Rig) -> None:
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
    # Inner statements may be captured before the outer, so it is the sum of all changes that is right.
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


def test_savepoints_and_rollbacks(table: Rig) -> None:
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


def test_two_phase_commits(table: Rig) -> None:
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


def test_where_current_of(table: Rig) -> None:
    with table.session() as session:
        session.execute("DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id FOR UPDATE")
        session.execute("MOVE 1 IN c")
        session.execute("UPDATE t SET a = 'x' WHERE CURRENT OF c")
        session.execute("MOVE 2 IN c")
        session.execute("DELETE FROM t WHERE CURRENT OF c")
        session.commit()
    assert table.sent() == [update((1, "one"), (1, "x")), delete(3, "three")]


def test_update_from_and_delete_using(table: Rig) -> None:
    # Several matches of a row update it once.
    table.run("UPDATE t SET a = 'joined' FROM generate_series(1, 3) AS n WHERE t.id <= 2 AND n > 0")
    assert sort(table.sent()) == sort([update((1, "one"), (1, "joined")), update((2, "two"), (2, "joined"))])
    table.run("DELETE FROM t USING generate_series(1, 3) AS n WHERE t.id = 3")
    assert table.sent() == [delete(3, "three")]


def test_an_update_that_waited_for_another_sees_what_that_one_left(table: Rig) -> None:
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
