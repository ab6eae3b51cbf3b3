"""Random tables, and random programs of statements over them in several sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

VALUES = {
    "int": ("0", "1", "NULL", "-2147483648"),
    "numeric": ("1.50", "1.5", "'NaN'", "NULL", "12345678901234567890.5"),
    "text": ("''", "'x'", "'ä😀\"\\'", "NULL", "repeat('x', 3000)"),
    "jsonb": ("'{\"a\": 1}'", "'[]'", "NULL", "'\"x\"'"),
    "timestamptz": ("'2020-01-01 00:00+00'", "'infinity'", "NULL", "'0044-03-15 BC'"),
    "bytea": ("'\\x00ff'", "''", "NULL"),
    "interval": ("'1 mon -2 days'", "'0'", "NULL"),
    "float8": ("0.1", "'NaN'", "'-Infinity'", "NULL"),
    "point": ("'(0,1)'", "'(1,0)'", "NULL"),
    "int[]": ("'{}'", "'{1,NULL}'", "'{{1},{2}}'", "NULL"),
    "boolean": ("true", "false", "NULL"),
}
NAMES = ("a", "new", "old", "message", 'Quoted "name"', "many", "op", "changelane", "source")
KEYS = 8


@dataclass(frozen=True)
class Shape:
    """A table. ``key``: none, its columns k and g, or these and deferrable, so that keys may shift.

    ``columns`` are pairs of numbers, of a name and of a type.
    """

    kind: Literal["plain", "unlogged", "list", "hash", "inherited"]
    key: Literal["none", "plain", "deferrable"]
    generated: bool
    columns: tuple[tuple[int, int], ...]


Operation = tuple[int, int, int, int]
"""Which session, which operation, and two numbers to vary it by."""

Program = list[Operation]


@dataclass
class Table:
    """``rid`` tells rows apart and never changes; ``k`` and ``g`` are the key, ``g`` the partition."""

    shape: Shape
    columns: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, type in self.shape.columns:
            quoted = NAMES[name % len(NAMES)].replace('"', '""')
            self.columns[f'"{quoted}"'] = tuple(VALUES)[type % len(VALUES)]

    @property
    def arbiter(self) -> bool:
        return self.shape.key == "plain" and self.shape.kind != "inherited"

    def create(self) -> list[str]:
        kind = self.shape.kind
        columns = ["rid bigint NOT NULL DEFAULT nextval('app.rids')", "k int NOT NULL", "g int NOT NULL"]
        columns += ["p int REFERENCES app.parent ON DELETE SET NULL ON UPDATE CASCADE"]
        columns += [f"{name} {type}" for name, type in self.columns.items()]
        if self.shape.generated:
            columns.append("twice int GENERATED ALWAYS AS (k * 2) STORED")
        if self.shape.key != "none":
            deferrable = " DEFERRABLE" if self.shape.key == "deferrable" else ""
            columns.append(f"PRIMARY KEY (k, g){deferrable}")
        head = "CREATE UNLOGGED TABLE" if kind == "unlogged" else "CREATE TABLE"
        parent = head.replace("TABLE", "TABLE app.parent (id int PRIMARY KEY)")
        made = [
            "CREATE SEQUENCE app.rids",
            parent,
            f"INSERT INTO app.parent SELECT generate_series(0, {KEYS - 1})",
        ]
        text = f"{head} app.t ({', '.join(columns)})"
        if kind == "list":
            self.parts = ("p0", "p1", "p2")
            other = [
                "dropped int",
                "g int NOT NULL",
                *reversed([f"{n} {t}" for n, t in self.columns.items()]),
            ]
            other += ["twice int GENERATED ALWAYS AS (k * 2) STORED"] if self.shape.generated else []
            other += ["p int", "k int NOT NULL", "rid bigint NOT NULL DEFAULT nextval('app.rids')"]
            made += [
                text + " PARTITION BY LIST (g)",
                "CREATE TABLE app.p0 PARTITION OF app.t FOR VALUES IN (0)",
                f"CREATE TABLE app.p1 ({', '.join(other)})",
                "ALTER TABLE app.p1 DROP COLUMN dropped",
                "ALTER TABLE app.t ATTACH PARTITION app.p1 FOR VALUES IN (1)",
                "CREATE TABLE app.p2 PARTITION OF app.t DEFAULT",
            ]
        elif kind == "hash":
            self.parts = ("p0", "p1")
            made += [text + " PARTITION BY HASH (g)"]
            made += [
                f"CREATE TABLE app.p{n} PARTITION OF app.t FOR VALUES WITH (MODULUS 2, REMAINDER {n})"
                for n in (0, 1)
            ]
        else:
            made.append(text)
        if kind == "inherited":
            self.parts = ("child", "grandchild")
            made += ["CREATE TABLE app.child (more text) INHERITS (app.t)"]
            made += ["CREATE TABLE app.grandchild () INHERITS (app.child)"]
        return made

    def row(self, a: int, b: int) -> str:
        """Values of k, g, p and the other columns."""
        values = [str(a % KEYS), str(b % 3), "NULL" if b % 4 == 0 else str((a + b) % KEYS)]
        return ", ".join(
            values + [self.value(type, a + b + i) for i, type in enumerate(self.columns.values())]
        )

    @property
    def names(self) -> str:
        return ", ".join(["k", "g", "p", *self.columns])

    def value(self, type: str, number: int) -> str:
        choices = VALUES[type]
        return f"({choices[number % len(choices)]})::{type}"

    def assignment(self, a: int, b: int) -> str:
        """Some SET of columns that are no key."""
        if not self.columns or b % 5 == 0:
            return f"p = {a % KEYS}"
        name, type = list(self.columns.items())[a % len(self.columns)]
        return f"{name} = {self.value(type, b)}"


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
    return (
        f"MERGE INTO app.t USING (SELECT generate_series({a % KEYS}, {a % KEYS + 4})) AS s (k)"
        f" ON t.k = s.k AND t.g = {b % 3}"
        f" WHEN MATCHED AND s.k % 3 = {b % 3} THEN DELETE"
        f" WHEN MATCHED AND s.k % 4 = 1 THEN DO NOTHING"
        f" WHEN MATCHED THEN UPDATE SET {t.assignment(a, b)}, k = t.k + {b % 2 * 50}"
        f" WHEN NOT MATCHED AND s.k % 2 = 0 THEN INSERT ({t.names}) VALUES (s.k, {row})"
    )


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
    return "TRUNCATE app.t" if a == 0 else delete_one(t, a, b)


Write = Callable[[Table, int, int], str]

WRITES: tuple[Write, ...] = (
    insert_one, insert_many, insert_many, insert_select, insert_nothing, upsert, upsert_key,
    update_one, update_all, update_nothing, shift_keys, swap_keys, negate_keys, move, delete_one,
    delete_some, update_from, merge, touch_often, delete_parent, update_parents, insert_parents,
    write_part, use_cursor, loop, by_trigger, truncate,
)  # fmt: skip
ENDS = ("savepoint", "rollback to", "release", "commit", "rollback", "prepare", "copy")
OPERATIONS = len(WRITES) + len(ENDS)


class Sessions:
    """Three sessions; one that fails, or waits for another's lock, is rolled back to its last savepoint."""

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
            # The server has one list of names for all its databases.
            name = f"{conn.info.backend_pid} {len(self.prepared)}"
            self.savepoints[number] = 0
            conn.execute(f"PREPARE TRANSACTION '{name}'".encode())
            # Left open until the program ends, or ended now.
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
    """Run each program to its end; what is left open then commits, but for every third session."""
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
