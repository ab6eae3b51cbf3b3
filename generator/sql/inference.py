"""Walks over an expression's tree: finds the type of each part, and adds schemas where names need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, NullTestType

from changelane.generator.sql import node as make
from changelane.generator.sql.builtin import SCHEMA
from changelane.generator.sql.comparisons import BETWEEN, take_any, take_between, take_in, take_rows
from changelane.generator.sql.expression import PREFIX, ExpressionError, call_is_steady
from changelane.generator.sql.lookup import Lookup, Meaning, Undecided, quote_schema
from changelane.generator.sql.naming import check_call, check_cast
from changelane.generator.sql.typesystem import ANYTHING, POLYMORPHIC, SOME_BUILTIN, UNKNOWN, TypeSystem

_NAMED = {
    "SVFOP_CURRENT_DATE": "date", "SVFOP_CURRENT_TIME": "timetz", "SVFOP_CURRENT_TIME_N": "timetz",
    "SVFOP_CURRENT_TIMESTAMP": "timestamptz", "SVFOP_CURRENT_TIMESTAMP_N": "timestamptz",
    "SVFOP_LOCALTIME": "time", "SVFOP_LOCALTIME_N": "time",
    "SVFOP_LOCALTIMESTAMP": "timestamp", "SVFOP_LOCALTIMESTAMP_N": "timestamp",
}  # fmt: skip
_Typed = tuple[Any, str]


class Inference:
    """``columns`` maps a reference, as its names, to its type's key. ``changed``: a name got a schema."""

    def __init__(self, types: TypeSystem, columns: Mapping[tuple[str, ...], str]) -> None:
        self.types = types
        self.lookup = Lookup(types)
        self.columns = columns
        self.changed = False

    def take(self, node: Any) -> _Typed:
        """The node, or its replacement, and the key of its type. Raises ExpressionError."""
        method = self._METHODS.get(type(node))
        if method is not None:
            return method(self, node)
        self.take_children(node)
        return node, ANYTHING

    def take_children(self, node: Any) -> None:
        for name in node if isinstance(node, ast.Node) else ():
            value = getattr(node, name)
            if isinstance(value, tuple):
                setattr(node, name, tuple(self._take_part(part) for part in value))
            elif isinstance(value, ast.Node):
                setattr(node, name, self._take_part(value))

    def _take_part(self, part: Any) -> Any:
        return self.take(part)[0] if isinstance(part, ast.Node) else part

    def take_all(self, nodes: Sequence[Any] | None) -> tuple[tuple[Any, ...], list[str]]:
        taken = [self.take(node) for node in nodes or ()]
        return tuple(node for node, _ in taken), [type for _, type in taken]

    # Nodes that have a type of their own.

    def _take_constant(self, node: Any) -> _Typed:
        value = node.val
        if node.isnull or isinstance(value, ast.String) or value is None:
            return node, UNKNOWN
        if isinstance(value, ast.Integer):
            return node, "int4"
        if isinstance(value, ast.Boolean):
            return node, "bool"
        if isinstance(value, ast.BitString):
            return node, "bit"
        text = value.fval or ""
        small = text.isdigit() and int(text) < 2**63
        return node, ("int8" if small else "numeric")

    def _take_reference(self, node: Any) -> _Typed:
        return node, self.columns.get(tuple(field.sval for field in node.fields), ANYTHING)

    def _take_cast(self, node: Any) -> _Typed:
        node.arg, given = self.take(node.arg)
        key = make.read_key(node.typeName, self.types)
        if not key:
            name = node.typeName.names[-1].sval
            self.refuse(
                node.typeName,
                f"type {name} is not one of pg_catalog, where alone a capture function looks",
                f"write its schema, as in {quote_schema(self.types.first)}.{quote_schema(name)}",
            )
        self._refuse_name(node, check_cast(node.arg, given, key, self.types))
        found = self.types.types.get(key.removesuffix("[]"))
        if found and len(node.typeName.names) == 1:
            node.typeName.names = (make.string(found.schema_), make.string(found.name))
            self.changed = True
        return node, key

    def _take_named_value(self, node: Any) -> _Typed:
        return node, _NAMED.get(node.op.name, "name")

    def _take_boolean(self, node: Any) -> _Typed:
        self.take_children(node)
        return node, "bool"

    def _take_row(self, node: Any) -> _Typed:
        node.args, _ = self.take_all(node.args)
        return node, "record"

    def _take_collation(self, node: Any) -> _Typed:
        node.arg, found = self.take(node.arg)
        return node, found

    def _take_sub_select(self, node: Any) -> _Typed:
        target = node.subselect.targetList[0]
        target.val, found = self.take(target.val)
        return node, ("text" if found == UNKNOWN else found)

    # Nodes that have the common type of their parts.

    def _take_common(self, node: Any) -> _Typed:
        node.args, found = self.take_all(node.args)
        return node, self.types.choose_common(found)

    def _take_array(self, node: Any) -> _Typed:
        node.elements, found = self.take_all(node.elements)
        common = self.types.choose_common(found or [UNKNOWN])
        if common in (ANYTHING, SOME_BUILTIN) or common.endswith("[]"):
            return node, common
        return node, f"{common}[]"

    def _take_case(self, node: Any) -> _Typed:
        results = []
        for branch in node.args:
            branch.result, found = self.take(branch.result)
            results.append(found)
        default = UNKNOWN
        if node.defresult is not None:
            node.defresult, default = self.take(node.defresult)
        result = self.types.choose_common([default, *results])
        if node.arg is None:
            for branch in node.args:
                branch.expr, _ = self.take(branch.expr)
            return node, result
        node.arg, subject = self.take(node.arg)
        subject = "text" if subject == UNKNOWN else subject
        conditions = []
        for branch in node.args:
            branch.expr, found = self.take(branch.expr)
            conditions.append((branch.expr, self.mean(node, "=", [subject, found]), [subject, found]))
        if any(meaning.found for _, meaning, _ in conditions):
            self.check_repeatable(node, node.arg, "CASE ... WHEN", "CASE WHEN ... = ... THEN")
            for branch, (value, meaning, inputs) in zip(node.args, conditions, strict=True):
                branch.expr = self.compare("=", meaning, [node.arg, value], inputs)
            node.arg = None
        return node, result

    def _take_indirection(self, node: Any) -> _Typed:
        node.arg, found = self.take(node.arg)
        for part in node.indirection:
            if isinstance(part, ast.String):
                type = self.types.types.get(self.types.base(found))
                found = dict(type.fields).get(part.sval or "", ANYTHING) if type else ANYTHING
                continue
            self.take_children(part)
            if isinstance(part, ast.A_Indices) and not part.is_slice:
                base = self.types.base(found)
                whole = base if base == "jsonb" else "text" if base.endswith(".hstore") else ""
                found = whole or self.types.element(found) or ANYTHING
        return node, found

    # Nodes that look a name up.

    def _take_operator(self, node: Any) -> _Typed:
        if any(isinstance(side, ast.RowExpr) for side in (node.lexpr, node.rexpr)) or (
            isinstance(node.rexpr, tuple) and any(isinstance(one, ast.RowExpr) for one in node.rexpr)
        ):
            return take_rows(self, node)
        kind = node.kind
        if kind in BETWEEN:
            return take_between(self, node)
        if kind == A_Expr_Kind.AEXPR_IN:
            return take_in(self, node)
        if kind in (A_Expr_Kind.AEXPR_OP_ANY, A_Expr_Kind.AEXPR_OP_ALL):
            return take_any(self, node)
        sides = [side for side in (node.lexpr, node.rexpr) if side is not None]
        if kind in (A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT) and any(
            isinstance(side, ast.A_Const) and side.isnull for side in sides
        ):
            self.take_children(node)
            return node, "bool"
        nodes, inputs = self.take_all(sides)
        node.lexpr, node.rexpr = (None, *nodes) if len(nodes) == 1 else nodes
        *schema, name = [part.sval for part in node.name]
        meaning = self.mean(node, name, inputs, schema=schema[0] if schema else "")
        distinct = kind in (A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT)
        result = "bool" if distinct else meaning.result
        if kind == A_Expr_Kind.AEXPR_NULLIF:
            result = self._find_left(meaning, inputs[0])
        if meaning.found is None:
            return node, result
        if kind == A_Expr_Kind.AEXPR_NULLIF:
            self.check_repeatable(node, nodes[0], "NULLIF", "CASE WHEN a = b THEN NULL ELSE a END")
            equal = self.compare(name, meaning, nodes, inputs)
            return make.case([(equal, make.null())], self.cast(nodes[0], inputs[0], result)), result
        if distinct:
            equal = self.compare(name, meaning, nodes, inputs)
            alike = kind == A_Expr_Kind.AEXPR_NOT_DISTINCT
            if any(isinstance(side, ast.A_Const) for side in nodes):
                return make.boolean_test(equal, true=alike), "bool"
            for side in nodes:
                self.check_repeatable(node, side, "IS DISTINCT FROM", "a = b, and a test for null")
            nulls = [make.null_test(side, NullTestType.IS_NULL) for side in nodes]
            both = make.operation((("pg_catalog", "=") if alike else ("pg_catalog", "<>")), *nulls)
            differs = equal if alike else make.boolean(BoolExprType.NOT_EXPR, equal)
            return make.case([(make.boolean(BoolExprType.OR_EXPR, *nulls), both)], differs), "bool"
        return self.compare(name, meaning, nodes, inputs), result

    def _find_left(self, meaning: Meaning, given: str) -> str:
        """The type to which the left operand is converted."""
        if not meaning.taken:
            return SOME_BUILTIN if self.types.is_builtin(given) else ANYTHING
        return given if meaning.taken[0] in POLYMORPHIC else meaning.taken[0]

    def _take_call(self, node: Any) -> _Typed:
        named = any(isinstance(argument, ast.NamedArgExpr) for argument in node.args or ())
        *schema, name = [part.sval for part in node.funcname]
        if named or node.func_variadic:
            self.take_children(node)
            if not schema and (name in self.types.functions or name not in self.types.builtins.functions):
                self.refuse(
                    node,
                    f"which function {name} is meant is not known where it is called so",
                    f"write its schema, as in {quote_schema(self.types.first)}.{quote_schema(name)}(...)",
                )
            builtin = schema in ([], [SCHEMA])
            return node, (self.lookup.guess_function(name) if builtin else ANYTHING)
        node.args, inputs = self.take_all(node.args)
        try:
            meaning = self.lookup.find_function(name, inputs, schema=schema[0] if schema else "")
        except Undecided as undecided:
            self.refuse(node, undecided.why, undecided.fix)
        wanted = meaning.found.arguments if meaning.found else meaning.taken
        self._refuse_name(node, check_call(name, node.args, inputs, wanted, self.types))
        if meaning.found:
            self.changed = True
            node.funcname = (make.string(meaning.found.schema), make.string(name))
            if len(meaning.found.arguments) == len(inputs):
                node.args = tuple(map(self.cast, node.args, inputs, meaning.found.arguments))
        return node, meaning.result

    # How the result is written.

    def mean(self, node: Any, name: str, inputs: Sequence[str], *, schema: str = "") -> Meaning:
        try:
            return self.lookup.find_operator(name, inputs, schema=schema)
        except Undecided as undecided:
            self.refuse(node, undecided.why, undecided.fix)

    def compare(self, name: str, meaning: Meaning, nodes: Sequence[Any], inputs: Sequence[str]) -> ast.A_Expr:
        """The operation with its schema and its exact types, so that no operator defined later can be
        meant.
        """
        if meaning.found is None:
            return make.operation((name,), *nodes)
        self.changed = True
        cast = map(self.cast, nodes, inputs, meaning.found.arguments)
        return make.operation((meaning.found.schema, name), *cast)

    def cast(self, node: Any, given: str, wanted: str) -> Any:
        same = given == wanted or wanted.removesuffix("[]") in POLYMORPHIC or wanted == "any"
        return node if same else make.cast(node, wanted, self.types)

    def check_repeatable(self, node: Any, part: Any, form: str, instead: str) -> None:
        """Refuse a part that calls a function: a form that cannot name a schema is written with that part
        twice.
        """
        if not all(call_is_steady(call) or self._is_known(call) for call in make.list_calls(part)):
            self.refuse(node, f"{form} has no form with the schema of an operator, and calls a function",
                         f"write {instead}, with OPERATOR(schema.=)")  # fmt: skip

    def _is_known(self, call: Any) -> bool:
        return call.funcname[-1].sval in self.types.functions

    def _refuse_name(self, node: Any, problem: tuple[str, str] | None) -> None:
        if problem:
            self.refuse(node, *problem)

    def refuse(self, node: Any, why: str, fix: str) -> NoReturn:
        raise ExpressionError(why, start=max(0, (node.location or 0) - len(PREFIX)), fix=fix)

    _METHODS: ClassVar[Mapping[type, Callable[[Inference, Any], _Typed]]] = {
        ast.A_ArrayExpr: _take_array,
        ast.A_Const: _take_constant,
        ast.A_Expr: _take_operator,
        ast.A_Indirection: _take_indirection,
        ast.BoolExpr: _take_boolean,
        ast.BooleanTest: _take_boolean,
        ast.CaseExpr: _take_case,
        ast.CoalesceExpr: _take_common,
        ast.CollateClause: _take_collation,
        ast.ColumnRef: _take_reference,
        ast.FuncCall: _take_call,
        ast.JsonIsPredicate: _take_boolean,
        ast.MinMaxExpr: _take_common,
        ast.NullTest: _take_boolean,
        ast.RowExpr: _take_row,
        ast.SQLValueFunction: _take_named_value,
        ast.SubLink: _take_sub_select,
        ast.TypeCast: _take_cast,
    }
