"""Random tables, and statements that write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

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
    "numeric[]": ("'{1.50,NULL}'", "'{1e500}'", "NULL", "array_fill(1e99::numeric, '{5}')"),
    "text[]": ("'{}'", "'{a,NULL}'", "array_fill(NULL::text, '{20}')", "NULL"),
    "numrange": ("'[1.5,2)'", "'empty'", "'(,1e300]'", "NULL"),
    "varbit": ("'101'", "''", "NULL"),
    "app.named": ("'x'", "'ä'", "repeat('y', 20)"),
    "app.positive": ("1", "2147483647"),
    "app.words": ("'{}'", "'{a,b}'"),
    "app.pair": ("'(1,a)'", "'(,)'", "NULL"),
    "public.citext": ("'A'", "'a'", "'Ä'", "NULL"),
    "public.hstore": ("'a=>1, b=>NULL'", "''", '\'"A b"=>""\'', "NULL"),
    "public.ltree": ("'a.b'", "'a'", "''", "NULL"),
    "public.isbn": ("'0-306-40615-2'", "'0-14-044913-2'", "NULL"),
    "public.cube": ("'(1.5,2),(3,4)'", "'(1)'", "NULL"),
}
DOMAINS = (
    "CREATE DOMAIN app.named AS text NOT NULL DEFAULT 'none'",
    "CREATE DOMAIN app.positive AS int CHECK (value IS NOT NULL AND value > 0) DEFAULT 1",
    "CREATE DOMAIN app.words AS text[] CHECK (value IS NOT NULL) DEFAULT '{}'",
    "CREATE TYPE app.pair AS (x int, y text)",
)
"""Types whose null fails a cast, and a composite; inserts that leave such a column out take the default."""
EXTENSIONS = {"citext": "citext", "hstore": "hstore", "ltree": "ltree", "isbn": "isn", "cube": "cube"}
"""Types of ``public``, and the extensions that bring them."""
NAMES = (
    "a", "new", "old", "message", 'Quoted "name"', "many", "op", "changelane", "source", "two\n  lines",
    "null", "name", "was", "it's",
)  # fmt: skip
KEYS = 8


@dataclass(frozen=True)
class Shape:
    """A table. ``key``: none, its columns k and g, or these and deferrable, so that keys may shift.

    ``columns`` are pairs of numbers, of a name and of a type. ``echoes``: triggers of the table's own change
    each row again that a statement inserted or updated.
    """

    kind: Literal["plain", "unlogged", "list", "range", "hash", "inherited"]
    key: Literal["none", "plain", "deferrable"]
    generated: bool
    columns: tuple[tuple[int, int], ...]
    echoes: bool = False


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
    def strict(self) -> list[tuple[str, str]]:
        """Columns of types that forbid null: as SQL, and as the catalog has them."""
        names = zip(self.columns.items(), [NAMES[name] for name, _ in self.shape.columns], strict=True)
        forbidding = ("app.named", "app.positive", "app.words")
        return [(column, name) for (column, type), name in names if type in forbidding]

    @property
    def arbiter(self) -> bool:
        return self.shape.key == "plain" and self.shape.kind != "inherited"

    def create(self) -> list[str]:
        kind = self.shape.kind
        columns = ["rid bigint NOT NULL DEFAULT nextval('app.rids')", "k int NOT NULL", "g int NOT NULL"]
        deleted = "CASCADE" if self.shape.generated else "SET NULL"
        columns += [f"p int REFERENCES app.parent ON DELETE {deleted} ON UPDATE CASCADE"]
        columns += [f"{name} {type}" for name, type in self.columns.items()]
        if self.shape.generated:
            columns.append("twice int GENERATED ALWAYS AS (k * 2) STORED")
        if self.shape.key != "none":
            deferrable = " DEFERRABLE" if self.shape.key == "deferrable" else ""
            columns.append(f"PRIMARY KEY (k, g){deferrable}")
        head = "CREATE UNLOGGED TABLE" if kind == "unlogged" else "CREATE TABLE"
        parent = head.replace("TABLE", "TABLE app.parent (id int PRIMARY KEY)")
        needed = {EXTENSIONS[type[7:]] for type in self.columns.values() if type.startswith("public.")}
        made = [
            *(f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public" for name in sorted(needed)),
            *DOMAINS,
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
        elif kind == "range":
            self.parts = ("p0", "p1", "p1a", "p2")
            made += [
                text + " PARTITION BY RANGE (g)",
                "CREATE TABLE app.p0 PARTITION OF app.t FOR VALUES FROM (MINVALUE) TO (1)",
                "CREATE TABLE app.p1 PARTITION OF app.t FOR VALUES FROM (1) TO (2) PARTITION BY LIST (g)",
                "CREATE TABLE app.p1a PARTITION OF app.p1 DEFAULT",
                "CREATE TABLE app.p2 PARTITION OF app.t FOR VALUES FROM (2) TO (MAXVALUE)",
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

    def create_writers(self) -> list[str]:
        """A table whose triggers write this one, now and at the commit, and a view that writes it instead."""
        return [
            "CREATE TABLE app.outside (k int)",
            "CREATE VIEW app.seen AS SELECT k, g, count(*) AS n FROM app.t GROUP BY k, g",
            "CREATE FUNCTION app.instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF tg_op <> 'INSERT' THEN DELETE FROM app.t WHERE k = old.k AND g = old.g; END IF;"
            " IF tg_op = 'DELETE' THEN RETURN old; END IF;"
            " INSERT INTO app.t (k, g) VALUES (new.k, new.g) ON CONFLICT DO NOTHING; RETURN new; END $$",
            "CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE OR DELETE ON app.seen"
            " FOR EACH ROW EXECUTE FUNCTION app.instead()",
            "CREATE FUNCTION app.write() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO app.t (k, g) VALUES (new.k + 400, 1) ON CONFLICT DO NOTHING;"
            " UPDATE app.t SET p = NULL WHERE k = new.k; RETURN NULL; END $$",
            "CREATE TRIGGER write AFTER INSERT ON app.outside FOR EACH ROW EXECUTE FUNCTION app.write()",
            "CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.outside DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (new.k % 2 = 0) EXECUTE FUNCTION app.write()",
            *(self.create_echo() if self.shape.echoes else ()),
        ]

    def create_echo(self) -> list[str]:
        """Two triggers, of which the first in Postgres' order is older than any capture."""
        return [
            "CREATE FUNCTION app.echo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF pg_trigger_depth() = 1 THEN UPDATE app.t SET p = tg_nargs + 1 WHERE rid = new.rid; END IF;"
            " RETURN NULL; END $$",
            'CREATE TRIGGER "0 echo" AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.echo(1)',
            "CREATE TRIGGER echo AFTER INSERT OR UPDATE ON app.t FOR EACH ROW EXECUTE FUNCTION app.echo()",
        ]

    def list_names(self) -> list[str]:
        """Its columns, as the catalog has them."""
        own = [NAMES[name] for name, _ in self.shape.columns]
        return ["rid", "k", "g", "p", *own, *(["twice"] if self.shape.generated else [])]

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
