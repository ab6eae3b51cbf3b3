"""Walks over an expression's tree: finds the type of each part, and adds schemas where names need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, NullTestType

from changelane.generator.sql import node as make
from changelane.generator.sql.builtin import SCHEMA
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
_BETWEEN = {
    A_Expr_Kind.AEXPR_BETWEEN: (">=", "<=", BoolExprType.AND_EXPR),
    A_Expr_Kind.AEXPR_NOT_BETWEEN: ("<", ">", BoolExprType.OR_EXPR),
    A_Expr_Kind.AEXPR_BETWEEN_SYM: (">=", "<=", BoolExprType.AND_EXPR),
    A_Expr_Kind.AEXPR_NOT_BETWEEN_SYM: ("<", ">", BoolExprType.OR_EXPR),
}
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
        self._take_children(node)
        return node, ANYTHING

    def _take_children(self, node: Any) -> None:
        for name in node if isinstance(node, ast.Node) else ():
            value = getattr(node, name)
            if isinstance(value, tuple):
                setattr(node, name, tuple(self._take_part(part) for part in value))
            elif isinstance(value, ast.Node):
                setattr(node, name, self._take_part(value))

    def _take_part(self, part: Any) -> Any:
        return self.take(part)[0] if isinstance(part, ast.Node) else part

    def _take_all(self, nodes: Sequence[Any] | None) -> tuple[tuple[Any, ...], list[str]]:
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
            self._refuse(
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
        self._take_children(node)
        return node, "bool"

    def _take_row(self, node: Any) -> _Typed:
        node.args, _ = self._take_all(node.args)
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
        node.args, found = self._take_all(node.args)
        return node, self.types.choose_common(found)

    def _take_array(self, node: Any) -> _Typed:
        node.elements, found = self._take_all(node.elements)
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
            conditions.append((branch.expr, self._mean(node, "=", [subject, found]), [subject, found]))
        if any(meaning.found for _, meaning, _ in conditions):
            self._check_repeatable(node, node.arg, "CASE ... WHEN", "CASE WHEN ... = ... THEN")
            for branch, (value, meaning, inputs) in zip(node.args, conditions, strict=True):
                branch.expr = self._compare("=", meaning, [node.arg, value], inputs)
            node.arg = None
        return node, result

    def _take_indirection(self, node: Any) -> _Typed:
        node.arg, found = self.take(node.arg)
        for part in node.indirection:
            if isinstance(part, ast.String):
                type = self.types.types.get(self.types.base(found))
                found = dict(type.fields).get(part.sval or "", ANYTHING) if type else ANYTHING
                continue
            self._take_children(part)
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
            return self._take_row_comparison(node)
        kind = node.kind
        if kind in _BETWEEN:
            return self._take_between(node)
        if kind == A_Expr_Kind.AEXPR_IN:
            return self._take_in(node)
        if kind in (A_Expr_Kind.AEXPR_OP_ANY, A_Expr_Kind.AEXPR_OP_ALL):
            return self._take_any(node)
        sides = [side for side in (node.lexpr, node.rexpr) if side is not None]
        if kind in (A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT) and any(
            isinstance(side, ast.A_Const) and side.isnull for side in sides
        ):
            self._take_children(node)
            return node, "bool"
        nodes, inputs = self._take_all(sides)
        node.lexpr, node.rexpr = (None, *nodes) if len(nodes) == 1 else nodes
        *schema, name = [part.sval for part in node.name]
        meaning = self._mean(node, name, inputs, schema=schema[0] if schema else "")
        distinct = kind in (A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT)
        result = "bool" if distinct else meaning.result
        if kind == A_Expr_Kind.AEXPR_NULLIF:
            result = self._find_left(meaning, inputs[0])
        if meaning.found is None:
            return node, result
        if kind == A_Expr_Kind.AEXPR_NULLIF:
            self._check_repeatable(node, nodes[0], "NULLIF", "CASE WHEN a = b THEN NULL ELSE a END")
            equal = self._compare(name, meaning, nodes, inputs)
            return make.case([(equal, make.null())], self._cast(nodes[0], inputs[0], result)), result
        if distinct:
            equal = self._compare(name, meaning, nodes, inputs)
            alike = kind == A_Expr_Kind.AEXPR_NOT_DISTINCT
            if any(isinstance(side, ast.A_Const) for side in nodes):
                return make.boolean_test(equal, true=alike), "bool"
            for side in nodes:
                self._check_repeatable(node, side, "IS DISTINCT FROM", "a = b, and a test for null")
            nulls = [make.null_test(side, NullTestType.IS_NULL) for side in nodes]
            both = make.operation((("pg_catalog", "=") if alike else ("pg_catalog", "<>")), *nulls)
            differs = equal if alike else make.boolean(BoolExprType.NOT_EXPR, equal)
            return make.case([(make.boolean(BoolExprType.OR_EXPR, *nulls), both)], differs), "bool"
        return self._compare(name, meaning, nodes, inputs), result

    def _find_left(self, meaning: Meaning, given: str) -> str:
        """The type to which the left operand is converted."""
        if not meaning.taken:
            return SOME_BUILTIN if self.types.is_builtin(given) else ANYTHING
        return given if meaning.taken[0] in POLYMORPHIC else meaning.taken[0]

    def _take_between(self, node: Any) -> _Typed:
        lower, upper, join = _BETWEEN[node.kind]
        node.lexpr, subject = self.take(node.lexpr)
        node.rexpr, bounds = self._take_all(node.rexpr)
        symmetric = node.kind in (A_Expr_Kind.AEXPR_BETWEEN_SYM, A_Expr_Kind.AEXPR_NOT_BETWEEN_SYM)
        orders = [(0, 1), (1, 0)] if symmetric else [(0, 1)]
        tests = [
            [
                (sign, self._mean(node, sign, [subject, bounds[at]]), at)
                for sign, at in zip((lower, upper), order, strict=True)
            ]
            for order in orders
        ]
        if not any(meaning.found for test in tests for _, meaning, _ in test):
            return node, "bool"
        self._check_repeatable(node, node.lexpr, "BETWEEN", "a >= b AND a <= c")
        parts = [
            make.boolean(
                join,
                *(
                    self._compare(sign, meaning, [node.lexpr, node.rexpr[at]], [subject, bounds[at]])
                    for sign, meaning, at in test
                ),
            )
            for test in tests
        ]
        outer = BoolExprType.OR_EXPR if join == BoolExprType.AND_EXPR else BoolExprType.AND_EXPR
        return parts[0] if len(parts) == 1 else make.boolean(outer, *parts), "bool"

    def _take_any(self, node: Any) -> _Typed:
        node.lexpr, left = self.take(node.lexpr)
        node.rexpr, right = self.take(node.rexpr)
        known = right in (UNKNOWN, ANYTHING, SOME_BUILTIN)
        element = right if known else self.types.element(right) or ANYTHING
        *schema, name = [part.sval for part in node.name]
        meaning = self._mean(node, name, [left, element], schema=schema[0] if schema else "")
        if meaning.found:
            wanted_left, wanted = meaning.found.arguments
            node.lexpr = self._cast(node.lexpr, left, wanted_left)
            node.rexpr = self._cast(node.rexpr, right, f"{wanted}[]")
            node.name = (make.string(meaning.found.schema), make.string(name))
            self.changed = True
        return node, "bool"

    def _take_in(self, node: Any) -> _Typed:
        """A list becomes an array. Its element type is the common type of the constants and the compared
        value.
        """
        node.lexpr, subject = self.take(node.lexpr)
        node.rexpr, found = self._take_all(node.rexpr)
        name = node.name[-1].sval
        fixed = [not make.has_reference(value) for value in node.rexpr]
        kept = [type for type, alone in zip(found, fixed, strict=True) if alone]
        common = self.types.choose_common([subject, *kept]) if len(kept) > 1 else ANYTHING
        wanted = [
            common if alone and common != ANYTHING else type for type, alone in zip(found, fixed, strict=True)
        ]
        meanings = [self._mean(node, name, [subject, type]) for type in wanted]
        chosen = {meaning.found for meaning in meanings}
        if chosen == {None}:
            return node, "bool"
        if len(chosen) == 1 and (one := meanings[0].found):
            array = self._cast(make.array(node.rexpr), "", f"{one.arguments[1]}[]")
            kind = A_Expr_Kind.AEXPR_OP_ANY if name == "=" else A_Expr_Kind.AEXPR_OP_ALL
            left = self._cast(node.lexpr, subject, one.arguments[0])
            self.changed = True
            return make.operation((one.schema, name), left, array, kind=kind), "bool"
        parts = []
        for value, given, type, meaning in zip(node.rexpr, found, wanted, meanings, strict=True):
            typed = self._cast(value, given, type)
            parts.append(self._compare(name, meaning, [node.lexpr, typed], [subject, type]))
        return make.boolean(BoolExprType.OR_EXPR if name == "=" else BoolExprType.AND_EXPR, *parts), "bool"

    def _take_row_comparison(self, node: Any) -> _Typed:
        """Each pair of columns is compared by an operator of its own."""
        rows = node.rexpr if isinstance(node.rexpr, tuple) else (node.rexpr,)
        sides = [side for side in (node.lexpr, *rows) if isinstance(side, ast.RowExpr)]
        if len(sides) != 1 + len(rows) or len(node.name) > 1:
            self._take_children(node)
            return node, "bool"
        lists = []
        for side in sides:
            side.args, found = self._take_all(side.args)
            lists.append(found)
        equal = node.kind in (
            A_Expr_Kind.AEXPR_DISTINCT, A_Expr_Kind.AEXPR_NOT_DISTINCT, A_Expr_Kind.AEXPR_NULLIF,
        )  # fmt: skip
        name = "=" if equal else node.name[-1].sval
        meanings = [
            self._mean(node, name, list(pair))
            for other in lists[1:]
            for pair in zip(lists[0], other, strict=False)
        ]
        if not any(meaning.found for meaning in meanings):
            return node, "bool"
        if node.kind != A_Expr_Kind.AEXPR_OP or name not in ("=", "<>") or len(lists[0]) != len(lists[1]):
            self._refuse(
                node,
                f"rows with a value for which {name} is not that of pg_catalog",
                "compare the columns one by one, joined by AND or OR",
            )
        left, right = sides[0].args or (), sides[1].args or ()
        pairs = zip(left, right, lists[0], lists[1], meanings, strict=True)
        parts = [self._compare(name, meaning, [a, b], [c, d]) for a, b, c, d, meaning in pairs]
        join = BoolExprType.AND_EXPR if name == "=" else BoolExprType.OR_EXPR
        return make.boolean(join, *parts), "bool"

    def _take_call(self, node: Any) -> _Typed:
        named = any(isinstance(argument, ast.NamedArgExpr) for argument in node.args or ())
        *schema, name = [part.sval for part in node.funcname]
        if named or node.func_variadic:
            self._take_children(node)
            if not schema and (name in self.types.functions or name not in self.types.builtins.functions):
                self._refuse(
                    node,
                    f"which function {name} is meant is not known where it is called so",
                    f"write its schema, as in {quote_schema(self.types.first)}.{quote_schema(name)}(...)",
                )
            builtin = schema in ([], [SCHEMA])
            return node, (self.lookup.guess_function(name) if builtin else ANYTHING)
        node.args, inputs = self._take_all(node.args)
        try:
            meaning = self.lookup.find_function(name, inputs, schema=schema[0] if schema else "")
        except Undecided as undecided:
            self._refuse(node, undecided.why, undecided.fix)
        wanted = meaning.found.arguments if meaning.found else meaning.taken
        self._refuse_name(node, check_call(name, node.args, inputs, wanted, self.types))
        if meaning.found:
            self.changed = True
            node.funcname = (make.string(meaning.found.schema), make.string(name))
            if len(meaning.found.arguments) == len(inputs):
                node.args = tuple(map(self._cast, node.args, inputs, meaning.found.arguments))
        return node, meaning.result

    # How the result is written.

    def _mean(self, node: Any, name: str, inputs: Sequence[str], *, schema: str = "") -> Meaning:
        try:
            return self.lookup.find_operator(name, inputs, schema=schema)
        except Undecided as undecided:
            self._refuse(node, undecided.why, undecided.fix)

    def _compare(
        self, name: str, meaning: Meaning, nodes: Sequence[Any], inputs: Sequence[str]
    ) -> ast.A_Expr:
        """The operation with its schema and its exact types, so that no operator defined later can be
        meant.
        """
        if meaning.found is None:
            return make.operation((name,), *nodes)
        self.changed = True
        cast = map(self._cast, nodes, inputs, meaning.found.arguments)
        return make.operation((meaning.found.schema, name), *cast)

    def _cast(self, node: Any, given: str, wanted: str) -> Any:
        same = given == wanted or wanted.removesuffix("[]") in POLYMORPHIC or wanted == "any"
        return node if same else make.cast(node, wanted, self.types)

    def _check_repeatable(self, node: Any, part: Any, form: str, instead: str) -> None:
        """Refuse a part that calls a function: a form that cannot name a schema is written with that part
        twice.
        """
        if not all(call_is_steady(call) or self._is_known(call) for call in make.list_calls(part)):
            self._refuse(node, f"{form} has no form with the schema of an operator, and calls a function",
                         f"write {instead}, with OPERATOR(schema.=)")  # fmt: skip

    def _is_known(self, call: Any) -> bool:
        return call.funcname[-1].sval in self.types.functions

    def _refuse_name(self, node: Any, problem: tuple[str, str] | None) -> None:
        if problem:
            self._refuse(node, *problem)

    def _refuse(self, node: Any, why: str, fix: str) -> NoReturn:
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
