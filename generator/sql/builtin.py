"""The types, implicit casts, operators and functions in Postgres' own ``pg_catalog``.

``tests/support/builtin.sql`` read ``builtin.txt`` from PostgreSQL 18; one fact a line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SCHEMA = "pg_catalog"


@dataclass(frozen=True, slots=True)
class Signature:
    """An operator or a function: the types of its arguments and of its result, as keys.

    A key is the name of a type of ``pg_catalog``, or ``schema.name``; ``[]`` after it makes it the array
    type. ``variadic``: the last argument may be repeated. ``defaults``: how many of the last ones may be
    omitted.
    """

    schema: str
    name: str
    arguments: tuple[str, ...]
    result: str
    variadic: bool = False
    defaults: int = 0


@dataclass(frozen=True, slots=True)
class BuiltinType:
    """``subtype`` is the type that a range is over."""

    category: str
    preferred: bool
    subtype: str


@dataclass(frozen=True, slots=True)
class Builtins:
    """``casts`` are the implicit ones, as pairs of source and target. ``aggregates`` are names and include
    window functions. ``configs`` and ``dictionaries`` are names of text search objects.
    """

    types: Mapping[str, BuiltinType]
    casts: frozenset[tuple[str, str]]
    operators: Mapping[str, Sequence[Signature]]
    functions: Mapping[str, Sequence[Signature]]
    aggregates: frozenset[str]
    configs: frozenset[str]
    dictionaries: frozenset[str]


@cache
def load_builtins() -> Builtins:
    types: dict[str, BuiltinType] = {}
    casts: set[tuple[str, str]] = set()
    names: dict[str, set[str]] = {"aggregate": set(), "config": set(), "dictionary": set()}
    operators: defaultdict[str, list[Signature]] = defaultdict(list)
    functions: defaultdict[str, list[Signature]] = defaultdict(list)
    for line in (Path(__file__).parent / "builtin.txt").read_text().splitlines():
        fact, name, *words = line.split(" ")
        if fact == "type":
            types[name] = BuiltinType(words[0][0], words[0].endswith("!"), words[1] if words[1:] else "")
        elif fact == "cast":
            casts.add((name, words[0]))
        elif fact == "operator":
            operators[name].append(Signature(SCHEMA, name, tuple(words[:-1]), words[-1]))
        elif fact in names:
            names[fact].add(name)
        else:
            functions[name].append(_read_function(name, *words))
    return Builtins(types, frozenset(casts), operators, functions, *map(frozenset, names.values()))


def _read_function(name: str, result: str, *words: str) -> Signature:
    marks = [word for word in words if word == "*" or word.startswith("-")]
    defaults = next((int(mark[1:]) for mark in marks if mark != "*"), 0)
    return Signature(SCHEMA, name, words[len(marks) :], result, "*" in marks, defaults)
