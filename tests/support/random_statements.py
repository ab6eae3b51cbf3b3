"""Random programs of statements over a random table, in several sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from support.random_tables import KEYS, Table

Operation = tuple[int, int, int, int]
"""A session, an operation, and two numbers for its variants."""

Program = list[Operation]


def insert_one(t: Table, a: int, b: int) -> str:
    return f"INSERT INTO app.t ({t.names}) VALUES ({t.row(a, b)})"


def insert_many(t: Table, a: int, b: int) -> str:
    rows = ", ".join(f"({t.row(a + n, b)})" for n in range(2 + b % 4))
    return f"INSERT INTO app.t ({t.names}) VALUES {rows}"


def insert_select(t: Table, a: int, b: int) -> str:
    others = ", ".join(["p", *t.columns])
    source = f"SELECT k + 100 + {a}, g, {others} FROM app.t WHERE k < {b % KEYS}"
    return f"INSERT INTO app.t (k, g, {others}) {source}"


def insert_nothing(t: Table, a: int, b: int) -> str:
    return f"{insert_many(t, a, b)} ON CONFLICT DO NOTHING"


def upsert(t: Table, a: int, b: int) -> str:
    if not t.arbiter:
        return insert_one(t, a, b)
    where = " WHERE excluded.p > 2" if b % 3 == 0 else ""
    return f"{insert_many(t, a, b)} ON CONFLICT (k, g) DO UPDATE SET {t.assignment(a, b)}{where}"


def upsert_key(t: Table, a: int, b: int) -> str:
    if not t.arbiter:
        return insert_one(t, a, b)
    return f"{insert_many(t, a, b)} ON CONFLICT (k, g) DO UPDATE SET k = t.k + 1000"


def update_one(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET {t.assignment(a, b)} WHERE k = {a}"


def update_all(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET {t.assignment(a, b)}, k = k"


def update_nothing(t: Table, a: int, b: int) -> str:
    return "UPDATE app.t SET k = k, p = p" if b % 2 else "UPDATE app.t SET k = 5 WHERE false"


def shift_keys(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET k = k + {1 + b % 2} WHERE k >= {a % 3}"


def swap_keys(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET k = {a % KEYS} + {b % KEYS} - k WHERE k IN ({a % KEYS}, {b % KEYS})"


def negate_keys(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET k = -k, {t.assignment(a, b)}"


def move(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.t SET g = (g + {1 + b % 2}) % 3 WHERE k % 2 = {a % 2}"


def delete_one(t: Table, a: int, b: int) -> str:
    return f"DELETE FROM app.t WHERE k = {a}"


def delete_some(t: Table, a: int, b: int) -> str:
    return f"DELETE FROM app.t WHERE k % 3 = {a % 3} OR k > 500"


def update_from(t: Table, a: int, b: int) -> str:
    return (
        f"UPDATE app.t SET {t.assignment(a, b)} FROM generate_series({a % 4}, {a % 4 + 4}) AS n (n)"
        " WHERE t.k IN (n.n, n.n + 1)"
    )


def merge(t: Table, a: int, b: int) -> str:
    row = t.row(a, b).partition(", ")[2]
    return where_known(
        f"MERGE INTO app.t USING (SELECT generate_series({a % KEYS}, {a % KEYS + 4})) AS s (k)"
        f" ON t.k = s.k AND t.g = {b % 3}"
        f" WHEN MATCHED AND s.k % 3 = {b % 3} THEN DELETE"
        f" WHEN MATCHED AND s.k % 4 = 1 THEN DO NOTHING"
        f" WHEN MATCHED THEN UPDATE SET {t.assignment(a, b)}, k = t.k + {b % 2 * 50}"
        f" WHEN NOT MATCHED AND s.k % 2 = 0 THEN INSERT ({t.names}) VALUES (s.k, {row})"
    )


def merge_by_source(t: Table, a: int, b: int) -> str:
    return where_known(
        f"MERGE INTO app.t USING (SELECT generate_series({a % KEYS}, {a % KEYS + 3})) AS s (k) ON t.k = s.k"
        f" WHEN MATCHED THEN UPDATE SET {t.assignment(a, b)}"
        f" WHEN NOT MATCHED BY SOURCE AND t.k % 3 = {b % 3} THEN DELETE"
        f" WHEN NOT MATCHED BY SOURCE AND t.k > 100 THEN UPDATE SET p = NULL"
        f" WHEN NOT MATCHED THEN INSERT (k, g) VALUES (s.k, {b % 3}) RETURNING merge_action(), t.*"
    )


def where_known(statement: str) -> str:
    """A statement that only newer majors know; on older ones it does nothing."""
    return f"DO $$ BEGIN EXECUTE $m${statement}$m$; EXCEPTION WHEN syntax_error THEN NULL; END $$"


def write_view(t: Table, a: int, b: int) -> str:
    return (
        f"INSERT INTO app.seen (k, g) VALUES ({a}, {b % 3}), ({a + 1}, {b % 3})",
        f"UPDATE app.seen SET k = k + 1 WHERE k % 3 = {a % 3}",
        f"DELETE FROM app.seen WHERE k = {a}",
    )[b % 3]


def attach_again(t: Table, a: int, b: int) -> str:
    if t.shape.kind != "list":
        return update_nothing(t, a, b)
    part, bound = (("p0", "FOR VALUES IN (0)"), ("p1", "FOR VALUES IN (1)"), ("p2", "DEFAULT"))[b % 3]
    detach = f"ALTER TABLE app.t DETACH PARTITION app.{part}"
    return f"{detach}; ALTER TABLE app.t ATTACH PARTITION app.{part} {bound}"


def retype(t: Table, a: int, b: int) -> str:
    return f"ALTER TABLE app.t ALTER p TYPE {'bigint' if b % 2 else 'int'}"


def alter(t: Table, a: int, b: int) -> str:
    """A change of the table that leaves its rows and names as they were."""
    return (
        "ALTER TABLE app.t ADD COLUMN brief int DEFAULT 1; ALTER TABLE app.t DROP COLUMN brief",
        "ALTER TABLE app.t RENAME p TO parent; ALTER TABLE app.t RENAME parent TO p",
        "ALTER TABLE app.t RENAME TO other; ALTER TABLE app.other RENAME TO t",
        "ALTER TABLE app.t SET SCHEMA public; ALTER TABLE public.t SET SCHEMA app",
        "ALTER TABLE app.t ADD CONSTRAINT brief CHECK (k < 10000); ALTER TABLE app.t DROP CONSTRAINT brief",
        "ALTER TABLE app.t ALTER p SET DEFAULT 1; ALTER TABLE app.t ALTER p DROP DEFAULT",
        "ALTER TABLE app.t ALTER g TYPE int USING g + 0; ALTER TABLE app.t REPLICA IDENTITY FULL",
        "ALTER TABLE app.t DISABLE TRIGGER USER; ALTER TABLE app.t ENABLE TRIGGER USER",
    )[(a + b) % 8]


def touch_often(t: Table, a: int, b: int) -> str:
    return (
        f"WITH one AS ({insert_many(t, a + 20, b)} RETURNING k),"
        f" two AS (UPDATE app.t SET {t.assignment(a, b)} WHERE k % 4 = 0 RETURNING k),"
        " three AS (DELETE FROM app.t WHERE k % 4 = 1 RETURNING k),"
        f" four AS (UPDATE app.t SET p = {b % KEYS} WHERE k % 4 = 2 RETURNING k)"
        f" INSERT INTO app.t ({t.names}) SELECT k + 300, {t.row(a, b).partition(', ')[2]} FROM three"
    )


def delete_parent(t: Table, a: int, b: int) -> str:
    return f"DELETE FROM app.parent WHERE id = {a}"


def update_parents(t: Table, a: int, b: int) -> str:
    return f"UPDATE app.parent SET id = id + {KEYS} WHERE id % 2 = {a % 2}"


def insert_parents(t: Table, a: int, b: int) -> str:
    return f"INSERT INTO app.parent SELECT generate_series(0, {KEYS - 1}) ON CONFLICT DO NOTHING"


def write_part(t: Table, a: int, b: int) -> str:
    if not t.parts:
        return update_one(t, a, b)
    part = t.parts[a % len(t.parts)]
    return (
        f"INSERT INTO app.{part} ({t.names}) VALUES ({t.row(a, b)})",
        f"UPDATE app.{part} SET {t.assignment(a, b)}",
        f"DELETE FROM app.{part} WHERE k % 2 = {a % 2}",
        f"UPDATE app.{part} SET k = k + 1",
    )[b % 4]


def use_cursor(t: Table, a: int, b: int) -> str:
    what = f"UPDATE app.t SET {t.assignment(a, b)}" if b % 2 else "DELETE FROM app.t"
    return (
        f"DO $$ DECLARE c CURSOR FOR SELECT * FROM app.t WHERE k >= {a % KEYS} FOR UPDATE;"
        f" BEGIN OPEN c; MOVE c; IF FOUND THEN {what} WHERE CURRENT OF c; END IF; END $$"
    )


def loop(t: Table, a: int, b: int) -> str:
    return (
        f"DO $$ BEGIN FOR n IN 1..3 LOOP BEGIN {insert_one(t, a, b)}; {update_one(t, a, b + 1)};"
        " IF n = 2 THEN RAISE division_by_zero; END IF; EXCEPTION WHEN OTHERS THEN NULL; END;"
        " END LOOP; END $$"
    )


def by_trigger(t: Table, a: int, b: int) -> str:
    return f"INSERT INTO app.outside VALUES ({a}), ({b % KEYS})"


def truncate(t: Table, a: int, b: int) -> str:
    if a:
        return delete_one(t, a, b)
    # A cascade leaves children alone, and a message says that all is gone.
    cascade = "app.t" if t.shape.kind == "inherited" else "app.parent CASCADE"
    return f"TRUNCATE {('app.t', 'app.outside, app.t', cascade)[b % 3]}"


Write = Callable[[Table, int, int], str]

WRITES: tuple[Write, ...] = (
    insert_one, insert_many, insert_many, insert_select, insert_nothing, upsert, upsert_key,
    update_one, update_all, update_nothing, shift_keys, swap_keys, negate_keys, move, delete_one,
    delete_some, update_from, merge, touch_often, delete_parent, update_parents, insert_parents,
    write_part, use_cursor, loop, by_trigger, truncate, merge_by_source, write_view, attach_again, retype,
    alter,
)  # fmt: skip
ENDS = ("savepoint", "rollback to", "release", "commit", "rollback", "prepare", "copy")
OPERATIONS = len(WRITES) + len(ENDS)


class Sessions:
    """Three sessions. One that fails, or would wait for a lock, is rolled back to its last savepoint."""

    def __init__(self, conns: Sequence[psycopg.Connection[Any]]) -> None:
        self.conns = conns
        self.savepoints = [0] * len(conns)
        self.prepared: list[str] = []

    def run(self, table: Table, operation: Operation) -> None:
        number, which, a, b = operation
        number %= len(self.conns)
        conn = self.conns[number]
        try:
            if which < len(WRITES):
                conn.execute(WRITES[which](table, a, b).encode())
            else:
                self.end(number, ENDS[which - len(WRITES)], table=table, a=a, b=b)
        except psycopg.Error:
            if self.savepoints[number]:
                conn.execute(f"ROLLBACK TO s{self.savepoints[number]}".encode())
            else:
                conn.rollback()

    def end(self, number: int, how: str, *, table: Table, a: int, b: int) -> None:
        conn = self.conns[number]
        depth = self.savepoints[number]
        if how == "savepoint":
            conn.execute(f"SAVEPOINT s{depth + 1}".encode())
            self.savepoints[number] += 1
        elif how in ("rollback to", "release") and depth:
            conn.execute(f"{how} s{depth}".encode())
            self.savepoints[number] -= how == "release"
        elif how == "copy":
            with conn.cursor().copy("COPY app.t (k, g) FROM STDIN") as copy:
                for n in range(b % 4):
                    copy.write_row((200 + a * 10 + n, n % 3))
        elif how == "prepare":
            # Names of prepared transactions belong to the whole server.
            name = f"{conn.info.backend_pid} {len(self.prepared)}"
            self.savepoints[number] = 0
            conn.execute(f"PREPARE TRANSACTION '{name}'".encode())
            # It stays open until the program ends, or ends now.
            self.prepared.append(f"{'COMMIT' if a % 3 else 'ROLLBACK'} PREPARED '{name}'")
            if b % 2:
                self.finish(conn)
        else:
            self.savepoints[number] = 0
            if how == "rollback":
                conn.rollback()
            else:
                conn.commit()

    def finish(self, conn: psycopg.Connection[Any]) -> None:
        conn.commit()
        conn.autocommit = True
        for statement in self.prepared:
            conn.execute(statement.encode())
        conn.autocommit = False
        self.prepared.clear()


def run_programs(conns: Sequence[psycopg.Connection[Any]], table: Table, programs: Sequence[Program]) -> None:
    """Run each program to its end. Then open transactions commit, except in every third session."""
    for program in programs:
        sessions = Sessions(conns)
        for operation in program:
            sessions.run(table, operation)
        for number, conn in enumerate(conns):
            try:
                conn.rollback() if number % 3 == 2 else conn.commit()
            except psycopg.Error:
                conn.rollback()
        sessions.finish(conns[0])
