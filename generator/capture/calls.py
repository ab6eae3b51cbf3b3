"""The objects outside ``pg_catalog`` that a capture function's SQL names, so that its owner gets only rights
on these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pglast import ast, parse_sql
from pglast.visitors import Visitor

from changelane.generator.capture.capture import Capture, bind_expression
from changelane.generator.sql.naming import find_names

_OURS = ("pg_catalog", "pgmq", "changelane")


def list_calls(capture: Capture) -> tuple[tuple[str, str], ...]:
    """Functions, operators, types and sequences of other schemas in the capture's expressions and in their
    literals, each as (schema, name).

    A name without a schema means ``pg_catalog``, because the function pins its search_path.
    """
    return list_names(_list_texts(capture))


def list_names(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Objects that expressions name in schemas of users, each as (schema, name), sorted."""
    return tuple(sorted(frozenset().union(*map(_find_names, texts))))


@lru_cache(maxsize=1024)
def _find_names(text: str) -> frozenset[tuple[str, str]]:
    """Kept, because a route's tables and events repeat the texts of its expressions."""
    found = _Names()
    found(parse_sql(f"SELECT {text}"))
    return frozenset(found.names)


def _list_texts(capture: Capture) -> Iterator[str]:
    if capture.when:
        yield bind_expression(capture, capture.when)
    for expression in capture.extra.values():
        yield bind_expression(capture, expression)
    for type in capture.borrowed:
        yield f"NULL::{type}"


class _Names(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[tuple[str, str]] = set()

    def _note(self, parts: object) -> None:
        names = [part.sval or "" for part in parts if isinstance(part, ast.String)]  # type: ignore[attr-defined]
        if len(names) == 2 and names[0] not in _OURS:
            self.names.add((names[0], names[1]))

    def _note_literals(self, node: ast.Node) -> None:
        self.names.update(found for found in find_names(node) if found[0] not in _OURS)

    def visit_FuncCall(self, ancestors: object, node: ast.FuncCall) -> None:
        self._note(node.funcname or ())
        self._note_literals(node)

    def visit_TypeCast(self, ancestors: object, node: ast.TypeCast) -> None:
        self._note_literals(node)

    def visit_TypeName(self, ancestors: object, node: ast.TypeName) -> None:
        self._note(node.names or ())

    def visit_A_Expr(self, ancestors: object, node: ast.A_Expr) -> None:
        self._note(node.name or ())
