"""Makes and examines nodes of a parse tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, BoolTestType, CoercionForm, NullTestType

from changelane.generator.sql.builtin import SCHEMA
from changelane.generator.sql.typesystem import ANYTHING, TypeSystem


def string(text: str) -> ast.String:
    return ast.String(sval=text)


def null() -> ast.A_Const:
    return ast.A_Const(isnull=True)


def operation(name: Sequence[str], *sides: Any, kind: A_Expr_Kind = A_Expr_Kind.AEXPR_OP) -> ast.A_Expr:
    left, right = (None, *sides) if len(sides) == 1 else sides
    return ast.A_Expr(kind=kind, name=tuple(map(string, name)), lexpr=left, rexpr=right)


def boolean(join: BoolExprType, *parts: Any) -> ast.BoolExpr:
    return ast.BoolExpr(boolop=join, args=parts)


def null_test(node: Any, test: NullTestType) -> ast.NullTest:
    return ast.NullTest(arg=node, nulltesttype=test, argisrow=False)


def boolean_test(node: Any, *, true: bool) -> ast.BooleanTest:
    """``node IS TRUE``, or ``IS NOT TRUE``."""
    return ast.BooleanTest(arg=node, booltesttype=BoolTestType.IS_TRUE if true else BoolTestType.IS_NOT_TRUE)


def case(branches: Sequence[tuple[Any, Any]], default: Any) -> ast.CaseExpr:
    args = tuple(ast.CaseWhen(expr=condition, result=result) for condition, result in branches)
    return ast.CaseExpr(args=args, defresult=default)


def array(elements: Sequence[Any]) -> ast.A_ArrayExpr:
    return ast.A_ArrayExpr(elements=tuple(elements))


def cast(node: Any, key: str, types: TypeSystem) -> ast.TypeCast:
    """The node as a value of the type with this key."""
    name = key.removesuffix("[]")
    found = types.types.get(name)
    names = (found.schema_, found.name) if found else (SCHEMA, name)
    bounds = (ast.Integer(ival=-1),) if key.endswith("[]") else None
    type = ast.TypeName(
        names=tuple(map(string, names)), arrayBounds=bounds, typemod=-1, setof=False, pct_type=False
    )
    return ast.TypeCast(arg=node, typeName=type)


def read_key(type: ast.TypeName, types: TypeSystem) -> str:
    """The key of a type by its name. ANYTHING for one that the catalog lacks; empty when there is no such
    name.
    """
    *schema, name = [part.sval or "" for part in type.names or () if isinstance(part, ast.String)]
    bounds = "[]" if type.arrayBounds else ""
    if not schema:
        key = types.find(name)
        return key and key + bounds
    key = name if schema == [SCHEMA] else ".".join((*schema, name))
    known = key in types.types or key in types.builtins.types
    return key + bounds if known else ANYTHING


def walk(node: Any) -> Iterator[ast.Node]:
    """The node and all below it."""
    if isinstance(node, tuple):
        for part in node:
            yield from walk(part)
    elif isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from walk(getattr(node, name))


def has_reference(node: Any) -> bool:
    return any(isinstance(part, ast.ColumnRef) for part in walk(node))


def list_calls(node: Any) -> list[ast.FuncCall]:
    return [part for part in walk(node) if isinstance(part, ast.FuncCall)]


_PLACES = {"location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end", "funcformat"}


def are_same(one: Any, other: Any) -> bool:
    """Whether two trees mean the same, apart from locations and from the spelling of function calls."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(are_same, one, other))
    if isinstance(one, ast.BoolExpr) and isinstance(other, ast.BoolExpr):
        return one.boolop == other.boolop and are_same(_flatten(one), _flatten(other))
    if isinstance(one, ast.Node) and isinstance(other, ast.Node):
        return type(one) is type(other) and all(
            name in _PLACES or are_same(getattr(one, name), getattr(other, name)) for name in one
        )
    if isinstance(one, CoercionForm) or one in (None, ()):
        return one == other or (not one and not other)
    return bool(one == other)


def _flatten(node: ast.BoolExpr) -> tuple[Any, ...]:
    """The operands of AND or OR, however deep they are nested."""
    parts: list[Any] = []
    for part in node.args or ():
        joined = isinstance(part, ast.BoolExpr) and part.boolop == node.boolop
        parts += _flatten(part) if joined and node.boolop != BoolExprType.NOT_EXPR else [part]
    return tuple(parts)
