"""Names of objects within text, such as ``'orders'::regclass``, which Postgres looks up when it runs them.

A capture function searches only ``pg_catalog``, so such a name needs its schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pglast import ast
from pglast.parser import ParseError

from changelane.generator.sql.builtin import SCHEMA, load_builtins
from changelane.generator.sql.expression import ExpressionError, read_tree
from changelane.generator.sql.lookup import quote_schema
from changelane.generator.sql.typesystem import TypeSystem

_KINDS = {
    "regclass": "table or sequence", "regtype": "type", "regproc": "function", "regprocedure": "function",
    "regoper": "operator", "regoperator": "operator", "regconfig": "text search configuration",
    "regdictionary": "text search dictionary", "regcollation": "collation",
}  # fmt: skip
"""Types whose text is a name that the search_path resolves, and the kind of object that it names."""
_NUMBERS = {"oid", "int2", "int4", "int8"}
_TEXTS = {"text", "varchar", "bpchar", "name"}
_TAKERS = {
    **{f"to_{kind}": (0, kind) for kind in _KINDS if kind not in ("regconfig", "regdictionary")},
    **dict.fromkeys(("pg_get_serial_sequence", "pg_get_viewdef", "row_security_active"), (0, "regclass")),
    **dict.fromkeys(
        ("has_table_privilege", "has_any_column_privilege", "has_sequence_privilege"), (-2, "regclass")
    ),
    "to_regtypemod": (0, "regtype"), "has_column_privilege": (-3, "regclass"),
    "has_function_privilege": (-2, "regprocedure"), "has_type_privilege": (-2, "regtype"),
}  # fmt: skip
"""Functions that take a name as text: the argument's position, and the kind of object that it names."""
_NAME = r'\s*("(?:[^"]|"")+"|[^\s".(]+)\s*'
_PLACED = re.compile(rf"{_NAME}\.(?:{_NAME})?")
_FORMATTED = re.compile(r"%(\d+\$)?I\.")

Problem = tuple[str, str] | None
"""The reason, and the text to write."""


def check_cast(value: Any, given: str, wanted: str, types: TypeSystem) -> Problem:
    """Whether reading or writing a value of type ``given`` as ``wanted`` depends on the search_path."""
    if given in _KINDS and wanted in _TEXTS:
        return (
            f"the text of a {given} follows the search_path of the capture function",
            f"compare it as it is: '{quote_schema(types.first)}.name'::{given}",
        )
    if wanted not in _KINDS or given in _NUMBERS or given in _KINDS:
        return None
    return _check_name(value, wanted, types)


def check_call(
    name: str, arguments: Sequence[Any], given: Sequence[str], wanted: Sequence[str], types: TypeSystem
) -> Problem:
    """Whether one of the arguments is a name; ``wanted`` are the types to which they are converted, if
    known.
    """
    if name in _TAKERS:
        place, kind = _TAKERS[name]
        place += len(arguments) if place < 0 else 0
        if 0 <= place < len(arguments) and given[place] not in _NUMBERS:
            return _check_name(arguments[place], kind, types)
    if not wanted:
        known = [found.arguments for found in types.builtins.functions.get(name, ())]
        wanted = known[0] if len(known) == 1 else ()
    for value, of, type in zip(arguments, given, wanted, strict=False):
        if type in _KINDS and (problem := check_cast(value, of, type, types)):
            return problem
    return None


def find_names(node: Any) -> Iterator[tuple[str, str]]:
    """The objects that a cast or a call names in its literals, as (schema, name); the name may be empty."""
    match node:
        case ast.TypeCast(arg=value, typeName=ast.TypeName(names=(*_, ast.String(sval=kind)))) if (
            kind in _KINDS
        ):
            yield from _split(value)
        case ast.FuncCall(funcname=(*_, ast.String(sval=name)), args=tuple(arguments)):
            places = {place for place, _ in [_TAKERS[name]]} if name in _TAKERS else set()
            for found in load_builtins().functions.get(name or "", ()):
                places |= {at for at, type in enumerate(found.arguments) if type in _KINDS}
            for place in places:
                if -len(arguments) <= place < len(arguments):
                    yield from _split(arguments[place])


def _split(value: Any) -> Iterator[tuple[str, str]]:
    if found := _PLACED.match(_read_text(_find_begin(value)) or ""):
        schema, name = (_fold(part or "") for part in found.groups())
        yield schema, name


def _fold(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _check_name(value: Any, kind: str, types: TypeSystem) -> Problem:
    whole = _read_text(value)
    if whole is None:
        return _check_computed(value, kind, types)
    text = whole.strip()
    if text == "-" or text.isdigit() or _is_found(text, kind, types):
        return None
    return (
        f"{_KINDS[kind]} {text} has no schema, and a capture function looks in pg_catalog alone",
        f"write its schema, as in '{quote_schema(types.first)}.{text}'",
    )


def _is_found(text: str, kind: str, types: TypeSystem) -> bool:
    """Whether the name has a schema, or means the same in ``pg_catalog`` as it means to the owner."""
    if kind == "regtype":
        return _is_type_found(text, types)
    head, _, rest = text.partition("(")
    inner = [part for part in rest.rstrip(" )").split(",") if part.strip().lower() not in ("", "none")]
    if not all(_is_type_found(part, types) for part in inner):
        return False
    if _PLACED.match(head):
        return True
    builtins = types.builtins
    name = head.strip()
    known = {
        "regclass": name.startswith("pg_"),
        "regproc": name in builtins.functions or name in builtins.aggregates,
        "regprocedure": name in builtins.functions or name in builtins.aggregates,
        "regoper": name in builtins.operators,
        "regoperator": name in builtins.operators,
        "regconfig": name in builtins.configs,
        "regdictionary": name in builtins.dictionaries,
        # The list depends on the server; `apply` reports one that does not exist.
        "regcollation": True,
    }
    return types.path[0] == SCHEMA and known[kind]


def _is_type_found(text: str, types: TypeSystem) -> bool:
    try:
        tree: Any = read_tree(f"NULL::{text}")
    except (ParseError, ExpressionError):
        return False
    type = tree.typeName if isinstance(tree, ast.TypeCast) else None
    names = (type and type.names) or (ast.String(sval=""),)
    return len(names) > 1 or (types.path[0] == SCHEMA and names[0].sval in types.builtins.types)


def _check_computed(value: Any, kind: str, types: TypeSystem) -> Problem:
    """Check a name that is composed when the row is written: it must begin with a known schema."""
    begin = _read_text(_find_begin(value))
    if begin is not None and (_PLACED.match(begin) or _FORMATTED.match(begin)):
        return None
    return (
        f"a {_KINDS[kind]}'s name is looked up in pg_catalog alone by a capture function",
        f"put the schema before it: ('{quote_schema(types.first)}.' || quote_ident(...))::{kind}",
    )


def _find_begin(value: Any) -> Any:
    """The first part of the value's text."""
    match value:
        case ast.A_Expr(name=(*_, ast.String(sval="||")), lexpr=left):
            return _find_begin(left)
        case ast.FuncCall(funcname=(*_, ast.String(sval="concat" | "format")), args=(first, *_)):
            return _find_begin(first)
        case ast.TypeCast(arg=inner):
            return _find_begin(inner)
    return value


def _read_text(value: Any) -> str | None:
    """The text of a literal, perhaps with a cast; empty for a null."""
    if isinstance(value, ast.TypeCast):
        return _read_text(value.arg)
    if not isinstance(value, ast.A_Const):
        return None
    if value.isnull:
        return "-"
    return value.val.sval if isinstance(value.val, ast.String) else "0"
