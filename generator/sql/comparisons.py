"""Infers comparisons with several values: BETWEEN, IN, ANY, ALL, and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType

from changelane.generator.sql import node as make
from changelane.generator.sql.typesystem import ANYTHING, SOME_BUILTIN, UNKNOWN

if TYPE_CHECKING:
    from changelane.generator.sql.inference import Inference

BETWEEN = {
    A_Expr_Kind.AEXPR_BETWEEN: (">=", "<=", BoolExprType.AND_EXPR),
    A_Expr_Kind.AEXPR_NOT_BETWEEN: ("<", ">", BoolExprType.OR_EXPR),
    A_Expr_Kind.AEXPR_BETWEEN_SYM: (">=", "<=", BoolExprType.AND_EXPR),
    A_Expr_Kind.AEXPR_NOT_BETWEEN_SYM: ("<", ">", BoolExprType.OR_EXPR),
}
_Typed = tuple[Any, str]
"""A node, and the key of its type."""


def take_between(inference: Inference, node: Any) -> _Typed:
    lower, upper, join = BETWEEN[node.kind]
    node.lexpr, subject = inference.take(node.lexpr)
    node.rexpr, bounds = inference.take_all(node.rexpr)
    symmetric = node.kind in (A_Expr_Kind.AEXPR_BETWEEN_SYM, A_Expr_Kind.AEXPR_NOT_BETWEEN_SYM)
    orders = [(0, 1), (1, 0)] if symmetric else [(0, 1)]
    tests = [
        [
            (sign, inference.mean(node, sign, [subject, bounds[at]]), at)
            for sign, at in zip((lower, upper), order, strict=True)
        ]
        for order in orders
    ]
    if not any(meaning.found for test in tests for _, meaning, _ in test):
        return node, "bool"
    inference.check_repeatable(node, node.lexpr, "BETWEEN", "a >= b AND a <= c")
    parts = [
        make.boolean(
            join,
            *(
                inference.compare(sign, meaning, [node.lexpr, node.rexpr[at]], [subject, bounds[at]])
                for sign, meaning, at in test
            ),
        )
        for test in tests
    ]
    outer = BoolExprType.OR_EXPR if join == BoolExprType.AND_EXPR else BoolExprType.AND_EXPR
    return parts[0] if len(parts) == 1 else make.boolean(outer, *parts), "bool"


def take_any(inference: Inference, node: Any) -> _Typed:
    node.lexpr, left = inference.take(node.lexpr)
    node.rexpr, right = inference.take(node.rexpr)
    known = right in (UNKNOWN, ANYTHING, SOME_BUILTIN)
    element = right if known else inference.types.element(right) or ANYTHING
    *schema, name = [part.sval for part in node.name]
    meaning = inference.mean(node, name, [left, element], schema=schema[0] if schema else "")
    if meaning.found:
        wanted_left, wanted = meaning.found.arguments
        node.lexpr = inference.cast(node.lexpr, left, wanted_left)
        node.rexpr = inference.cast(node.rexpr, right, f"{wanted}[]")
        node.name = (make.string(meaning.found.schema), make.string(name))
        inference.changed = True
    return node, "bool"


def take_in(inference: Inference, node: Any) -> _Typed:
    """A list becomes an array. Its element type is the common type of the constants and the compared
    value.
    """
    node.lexpr, subject = inference.take(node.lexpr)
    node.rexpr, found = inference.take_all(node.rexpr)
    name = node.name[-1].sval
    fixed = [not make.has_reference(value) for value in node.rexpr]
    kept = [type for type, alone in zip(found, fixed, strict=True) if alone]
    common = inference.types.choose_common([subject, *kept]) if len(kept) > 1 else ANYTHING
    wanted = [
        common if alone and common != ANYTHING else type for type, alone in zip(found, fixed, strict=True)
    ]
    meanings = [inference.mean(node, name, [subject, type]) for type in wanted]
    chosen = {meaning.found for meaning in meanings}
    if chosen == {None}:
        return node, "bool"
    if len(chosen) == 1 and (one := meanings[0].found):
        array = inference.cast(make.array(node.rexpr), "", f"{one.arguments[1]}[]")
        kind = A_Expr_Kind.AEXPR_OP_ANY if name == "=" else A_Expr_Kind.AEXPR_OP_ALL
        left = inference.cast(node.lexpr, subject, one.arguments[0])
        inference.changed = True
        return make.operation((one.schema, name), left, array, kind=kind), "bool"
    parts = []
    for value, given, type, meaning in zip(node.rexpr, found, wanted, meanings, strict=True):
        typed = inference.cast(value, given, type)
        parts.append(inference.compare(name, meaning, [node.lexpr, typed], [subject, type]))
    return make.boolean(BoolExprType.OR_EXPR if name == "=" else BoolExprType.AND_EXPR, *parts), "bool"


def take_rows(inference: Inference, node: Any) -> _Typed:
    """Each pair of columns is compared by an operator of its own."""
    rows = node.rexpr if isinstance(node.rexpr, tuple) else (node.rexpr,)
    sides = [side for side in (node.lexpr, *rows) if isinstance(side, ast.RowExpr)]
    if len(sides) != 1 + len(rows) or len(node.name) > 1:
        inference.take_children(node)
        return node, "bool"
    lists = []
    for side in sides:
        side.args, found = inference.take_all(side.args)
        lists.append(found)
    equal = node.kind in (
        A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT, A_Expr_Kind.AEXPR_NULLIF,
    )  # fmt: skip
    name = "=" if equal else node.name[-1].sval
    meanings = [
        inference.mean(node, name, list(pair))
        for other in lists[1:]
        for pair in zip(lists[0], other, strict=False)
    ]
    if not any(meaning.found for meaning in meanings):
        return node, "bool"
    if node.kind != A_Expr_Kind.AEXPR_OP or name not in ("=", "<>") or len(lists[0]) != len(lists[1]):
        inference.refuse(
            node,
            f"rows with a value for which {name} is not that of pg_catalog",
            "compare the columns one by one, joined by AND or OR",
        )
    left, right = sides[0].args or (), sides[1].args or ()
    pairs = zip(left, right, lists[0], lists[1], meanings, strict=True)
    parts = [inference.compare(name, meaning, [a, b], [c, d]) for a, b, c, d, meaning in pairs]
    join = BoolExprType.AND_EXPR if name == "=" else BoolExprType.OR_EXPR
    return make.boolean(join, *parts), "bool"
