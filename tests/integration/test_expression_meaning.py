"""An expression has the same meaning in a capture as in an ordinary session of the table's owner."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from changelane.contract.catalog import Catalog
from changelane.generator.sql.expression import ExpressionError, Reference, parse_expression
from changelane.generator.sql.qualify import qualify
from changelane.generator.sql.typesystem import TypeSystem
from changelane.runner.live.database import connect
from changelane.runner.live.inspect import inspect

SCHEMA = """
CREATE SCHEMA ext;
CREATE SCHEMA hidden;
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION hstore SCHEMA public;
CREATE EXTENSION ltree SCHEMA ext;
CREATE EXTENSION isn SCHEMA ext;
CREATE EXTENSION cube SCHEMA ext;
CREATE EXTENSION seg SCHEMA ext;
CREATE EXTENSION intarray SCHEMA public;
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'HAPPY');
CREATE DOMAIN email AS citext;
CREATE DOMAIN word AS text;
CREATE DOMAIN emails AS citext[];
CREATE TYPE pair AS (one int, other citext);
CREATE TYPE citextrange AS RANGE (SUBTYPE = citext);
-- The user's own: pairs are equal whose first fields are; moods compare with text, by its lower case.
CREATE FUNCTION same_pair(pair, pair) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT $1.one OPERATOR(pg_catalog.=) $2.one';
CREATE FUNCTION other_pair(pair, pair) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT $1.one OPERATOR(pg_catalog.<>) $2.one';
CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same_pair, NEGATOR = <>);
CREATE OPERATOR <> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = other_pair, NEGATOR = =);
CREATE FUNCTION mood_is(mood, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT pg_catalog.lower($1::text) OPERATOR(pg_catalog.=) pg_catalog.lower($2)';
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = text, FUNCTION = mood_is);
CREATE FUNCTION upper(citext) RETURNS citext IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT pg_catalog.upper($1::text)::public.citext';
CREATE FUNCTION format(text, text) RETURNS text IMMUTABLE STRICT LANGUAGE sql
    AS 'SELECT $2 OPERATOR(pg_catalog.||) $1';
CREATE TABLE t (
    id int PRIMARY KEY, c citext, d citext, e email, es emails, w word, n text, v varchar(20), cs citext[],
    h hstore, l ext.ltree, ls ext.ltree[], i ext.isbn, cu ext.cube, sg ext.seg, tags int[], m mood, p pair,
    r citextrange, k int, b bigint, f float8, x numeric, bo boolean, j jsonb, at timestamptz, on_day date
);
INSERT INTO t
SELECT g, (ARRAY['A', 'a', 'B', 'ab', NULL])[1 + g % 5], (ARRAY['a', 'b', 'AB', NULL])[1 + g % 4],
    (ARRAY['A', 'a', 'aB', NULL])[1 + g % 4], ARRAY['A', 'b']::citext[], (ARRAY['a', 'A'])[1 + g % 2],
    (ARRAY['a', 'A', 'AB', NULL])[1 + g % 4], (ARRAY['A', 'b'])[1 + g % 2], ARRAY['a', 'B']::citext[],
    'a=>1, b=>A',
    (ARRAY['a.b', 'a', 'b.c'])[1 + g % 3]::ext.ltree, ARRAY['a.b', 'b']::ext.ltree[],
    (ARRAY['0-306-40615-2', '0-14-044913-2'])[1 + g % 2]::ext.isbn, '(1,2),(3,4)', '1 .. 3',
    (ARRAY['{1,2}', '{2,1}', '{3}'])[1 + g % 3]::int[], (ARRAY['sad', 'ok', 'HAPPY'])[1 + g % 3]::mood,
    ROW(g % 3, (ARRAY['A', 'a'])[1 + g % 2])::pair, citextrange('A', (ARRAY['b', 'C'])[1 + g % 2]::citext),
    g % 3, g % 4, g % 2, g % 3 + 0.5, g % 2 = 0, '{"a": "A", "b": 1}',
    '2026-01-01 00:00+00'::timestamptz + g * interval '1 day', '2026-01-02'
FROM generate_series(0, 11) AS g;
"""
COLUMNS = [
    *(
        "c",
        "d",
        "e",
        "es",
        "w",
        "n",
        "v",
        "cs",
        "h",
        "l",
        "ls",
        "i",
        "cu",
        "sg",
        "tags",
        "m",
        "p",
        "r",
        "k",
        "b",
    ),
    *("f", "x", "bo", "j", "at", "on_day"),
]
TEXTUAL = ["c", "d", "e", "w", "n", "v", "m", "p"]
LITERALS = [
    *(
        "'A'",
        "'a'",
        "'ab'",
        "'b'",
        "1",
        "2",
        "1.5",
        "NULL",
        "'{a,B}'",
        "'a.b'",
        "'0-306-40615-2'",
        "'(1,2)'",
        "'2'",
    ),
    *(
        "'{1,2}'",
        "'ok'",
        "'OK'",
        "'(1,A)'",
        "true",
        "'a=>1'",
        "'2026-01-02'",
        "ARRAY['A', 'b']",
        "ARRAY[1, 2]",
    ),
]
OPERATORS = [
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "~",
    "~*",
    "!~",
    "~~",
    "@>",
    "<@",
    "&&",
    "||",
    "->",
    "?",
    "%",
    "+",
    "-",
    "#",
]
COMBINING = ["||", "+", "-", "->>"]
CASTS = [
    "citext",
    "text",
    "email",
    "varchar",
    "mood",
    "ext.ltree",
    "int",
    "numeric",
    "hstore",
    "pair",
    "citext[]",
    "name",
]
FUNCTIONS = [
    ("lower", 1), ("upper", 1), ("length", 1), ("md5", 1), ("strpos", 2), ("replace", 3), ("split_part", 3),
    ("regexp_replace", 3), ("starts_with", 2), ("format", 2), ("concat", 2), ("left", 2), ("abs", 1),
    ("array_append", 2), ("array_position", 2), ("cardinality", 1), ("exist", 2), ("nlevel", 1),
    ("hstore", 2), ("to_jsonb", 1), ("isempty", 1), ("coalesce", 2), ("greatest", 2), ("nullif", 2),
    ("text", 1), ("citext", 1), ("translate", 3), ("array_cat", 2), ("subpath", 3),
]  # fmt: skip


@pytest.fixture(scope="module")
def places(server: str, template: str) -> Iterator[tuple[Any, Any, Catalog]]:
    """The owner's ordinary session, one that sees what a capture function sees, and the catalog."""
    from support.databases import lend

    for url in lend(server, template):
        with connect(url) as owner:
            owner.execute(SCHEMA)
            name = sql.Identifier(owner.info.dbname)
            owner.execute(sql.SQL("ALTER DATABASE {} SET search_path = public, ext").format(name))
        with connect(url) as owner, connect(url) as capture:
            capture.execute("SET search_path = pg_catalog, pg_temp")
            yield owner, capture, inspect(owner)


class Writer:
    """Random expressions over the columns of ``t``, each as for a route."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def condition(self, depth: int = 0) -> str:
        pick = self.random.random()
        if depth < 2 and pick < 0.15:
            join = self.random.choice(["AND", "OR"])
            return f"({self.condition(depth + 1)} {join} {self.condition(depth + 1)})"
        if pick < 0.2:
            return f"NOT ({self.condition(depth + 1)})"
        left, right = self.value(depth), self.value(depth)
        if self.random.random() < 0.4:
            right = self.random.choice(LITERALS)
        negated = self.random.choice(["", "NOT "])
        sign, every = self.random.choice(["=", "<>", "<", "~~"]), self.random.choice(["ANY", "ALL"])
        forms = [
            *[f"{left} {self.random.choice(OPERATORS)} {right}"] * 5,
            f"{left} {negated}{self.random.choice(['LIKE', 'ILIKE', 'SIMILAR TO'])} {self.text()}",
            f"{left} {negated}LIKE {self.text()} ESCAPE 'x'",
            f"{left} {negated}IN ({', '.join(self.value(2) for _ in range(self.random.randint(1, 3)))})",
            f"{left} {sign} {every} ({self.array()})",
            f"{left} {negated}BETWEEN {self.random.choice(['', 'SYMMETRIC '])}{right} AND {self.value(2)}",
            f"{left} IS {negated}DISTINCT FROM {right}",
            f"CASE {left} WHEN {right} THEN 1 WHEN {self.value(2)} THEN 2 ELSE 3 END",
            f"({left}, new.k) {self.random.choice(['=', '<>', '<'])} ({right}, 1)",
        ]
        return self.random.choice(forms)

    def value(self, depth: int) -> str:
        pick = self.random.random()
        if pick < 0.55 or depth > 2:
            names = TEXTUAL if self.random.random() < 0.6 else COLUMNS
            return f"new.{self.random.choice(names)}"
        if pick < 0.75:
            return self.random.choice(LITERALS)
        if pick < 0.82:
            return f"({self.value(depth + 1)})::{self.random.choice(CASTS)}"
        if pick < 0.9:
            name, count = self.random.choice(FUNCTIONS)
            return f"{name}({', '.join(self.value(depth + 1) for _ in range(count))})"
        return self.random.choice(
            [
                "(new.p).other", "new.cs[1]", "new.es[1]", "new.h['a']", "new.h -> 'b'", "(new.p).one",
                f"CASE WHEN new.bo THEN {self.value(depth + 1)} ELSE {self.value(depth + 1)} END",
                "lower(new.r)",
                f"({self.value(depth + 1)} {self.random.choice(COMBINING)} {self.value(depth + 1)})",
                f"ARRAY[{self.value(depth + 1)}, {self.value(depth + 1)}]", "new.j ->> 'a'",
            ]
        )  # fmt: skip

    def text(self) -> str:
        return self.random.choice(["'a%'", "'A'", "new.n", "new.d", "new.w", "'%B%'", "new.c || '%'"])

    def array(self) -> str:
        return self.random.choice(
            ["new.cs", "new.es", "ARRAY['A', 'b']", "'{a,B}'", "ARRAY[new.c, 'x']", "ARRAY[new.n]"]
        )


def evaluate(conn: psycopg.Connection[Any], expression: str) -> tuple[str, Any]:
    """``value`` with what it is for each row, or ``error`` with its SQLSTATE."""
    query = f"SELECT array_agg(({expression})::pg_catalog.text ORDER BY id) FROM public.t"
    try:
        return "value", conn.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        return "error", error.sqlstate


@pytest.mark.parametrize("seed", range(8))
def test_an_expression_means_the_same_in_the_owners_session_or_is_refused(
    places: tuple[Any, Any, Catalog], seed: int
) -> None:
    owner, capture, catalog = places
    types = TypeSystem(catalog)
    (table,) = catalog.tables
    columns = {column.name: column.type for column in table.columns}
    writer = Writer(seed)
    outcomes: Counter[str] = Counter()
    for _ in range(500):
        text = writer.condition()
        wanted = evaluate(owner, parse_expression(text).bind(as_column))
        try:
            qualified = qualify(parse_expression(text), columns=columns, types=types)
        except ExpressionError as error:
            assert error.fix, text
            outcomes["refused" if wanted[0] == "value" else "refused, and an error"] += 1
            continue
        found = evaluate(capture, qualified.bind(as_column))
        if wanted[0] == "value":
            assert found == wanted, f"{text}\n{qualified.text}"
        elif found[0] == "value":
            assert wanted[1] not in ("42883", "42725", "42804"), f"{text}\n{qualified.text}: {wanted}"
        outcomes[wanted[0]] += 1
        outcomes["qualified"] += qualified.plain is not None and wanted[0] == "value"
    assert outcomes["value"] > 100
    assert outcomes["qualified"] > 25
    assert outcomes["refused"] < outcomes["value"] / 5


def as_column(reference: Reference) -> str:
    return f't."{reference.column}"' if reference.column else "'insert'::text"
