"""Adds schemas to the operators, functions and types that the table owner's session would find.

A capture function looks names up only in ``pg_catalog``. There, ``=`` on two citext values compares them as
text. So each name that means an object of another schema gets that schema, from the catalog. A name that the
catalog cannot decide is refused, with the text to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, cast

from pglast import ast
from pglast.stream import RawStream

from changelane.generator.sql import node as make
from changelane.generator.sql.expression import Expression, ExpressionError, parse_like, read_tree
from changelane.generator.sql.inference import Inference
from changelane.generator.sql.typesystem import ANYTHING, TypeSystem


def qualify(expression: Expression, *, columns: Mapping[str, str], types: TypeSystem) -> Expression:
    """The expression with such names qualified; the same object when there are none.

    ``columns`` are their types as ``format_type`` spells them. Raises ExpressionError for a name that the
    catalog cannot decide.
    """
    seen = {name: type for name, type in columns.items() if name in expression.columns}
    key = (expression.text, tuple(sorted(seen.items())))
    known = types.qualified.get(key)
    if known is None:
        known = types.qualified[key] = _qualify(expression, columns=seen, types=types)
    return known


def _qualify(expression: Expression, *, columns: Mapping[str, str], types: TypeSystem) -> Expression:
    keys = {"op": "text"} | {name: _read_type(type, types) for name, type in columns.items()}
    named: dict[tuple[str, ...], str] = {
        (reference.row, reference.column)
        if reference.row in ("new", "old")
        else (reference.column or "op",): (keys.get(reference.column or "op", ANYTHING))
        for reference in expression.references
    }
    inference = Inference(types, named)
    tree, _ = inference.take(read_tree(expression.text))
    if not inference.changed:
        return expression
    text = RawStream()(tree)
    if not make.are_same(read_tree(text), tree):
        raise ExpressionError(
            "this expression cannot be written with the schemas of its operators and functions",
            length=len(expression.text),
            fix="write them yourself: OPERATOR(schema.=), schema.function(...)",
        )
    written = parse_like(expression, text)
    return replace(written, repeatable=expression.repeatable, swayed=expression.swayed, plain=expression)


def _read_type(text: str, types: TypeSystem) -> str:
    return make.read_key(_parse_type(text), types) or ANYTHING


@cache
def _parse_type(text: str) -> ast.TypeName:
    value: Any = read_tree(f"NULL::{text}")
    return cast(ast.TypeName, value.typeName)
