"""Every form of statement that changes rows, by every way of capture and sending."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from support.captures import WAYS, Rig, delete, insert, name_way, sort, update


@pytest.fixture(params=WAYS, ids=name_way)
def table(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """Table ``t`` of three rows, all its changes captured."""
    rig.run(
        "CREATE TABLE t (id int PRIMARY KEY, a text)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    )
    rig.capture(request.param)
    return rig


TRUNCATE = ("truncate", None, None)


def test_an_insert_of_one_row(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (4, 'four')")
    assert table.sent() == [insert(4, "four")]


def test_an_insert_of_several_rows_in_their_order(table: Rig) -> None:
    table.run("INSERT INTO t VALUES (5, 'five'), (4, NULL), (6, '')")
    assert table.sent() == [insert(5, "five"), insert(4, None), insert(6, "")]


def test_a_copy_of_several_rows_is_sent_in_order(table: Rig) -> None:
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


def test_updates_of_no_row_one_row_and_many_rows(table: Rig) -> None:
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


def test_deletes_of_no_row_one_row_and_all_rows(table: Rig) -> None:
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
    """The rows after their messages are applied in order; a row may change more than once."""
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


def test_merge_with_by_source_is_sent(table: Rig) -> None:
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


def test_changes_by_where_current_of_are_sent(table: Rig) -> None:
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
