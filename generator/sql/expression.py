"""SQL expressions of a spec, checked on their parse tree: over a change (new, old, op), or over a message."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pglast import ast, parse_sql
from pglast.enums import CoercionForm, SQLValueFunctionOp, SubLinkType
from pglast.parser import ParseError, Token, scan
from pglast.visitors import Visitor

from changelane.generator.sql.definer import find_definer_value

PREFIX = "SELECT ("
# The line break ends a trailing comment, so that it cannot swallow the parenthesis.
_SUFFIX = "\n)"
_LONGEST = 100_000


class ExpressionError(Exception):
    """``what`` is the problem in ``length`` characters from ``start`` of the expression; ``fix`` is the
    fix.
    """

    def __init__(self, what: str, *, start: int = 0, length: int = 1, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.start = start
        self.length = max(1, length)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Reference:
    """Characters ``start`` to ``end`` name ``column`` of the row ``new`` or ``old`` or of a message, or the
    text ``op``.
    """

    start: int
    end: int
    row: Literal["new", "old", "op", "message"]
    column: str = ""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: its text, and its references to the change or message, in order. When schemas
    were added to its names, ``plain`` is the expression as written.

    ``repeatable``: it calls no function of unknown effect, so a second evaluation gives the same value.
    ``swayed``: it holds more than columns and simple tests, so its value may depend on any session setting.
    """

    text: str
    references: tuple[Reference, ...]
    repeatable: bool = False
    swayed: bool = False
    plain: Expression | None = None

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(reference.column for reference in self.references if reference.column)

    def bind(self, replace: Callable[[Reference], str]) -> str:
        """The text with each reference replaced; the result is in parentheses."""
        pieces: list[str] = []
        position = 0
        for reference in self.references:
            pieces += [self.text[position : reference.start], replace(reference)]
            position = reference.end
        pieces.append(self.text[position:])
        return f"({''.join(pieces)})"


def parse_expression(text: str) -> Expression:
    """Check that ``text`` is one expression over new.<column>, old.<column> and op.

    Raises ExpressionError for anything else: statements, sub-selects, other names, aggregates and window
    calls, parameters, comments. It does not check whether the columns exist.
    """
    return _parse(text, columns=(), example="new.status = 'paid'")


def parse_message_expression(text: str, *, columns: Collection[str]) -> Expression:
    """Check that ``text`` is one expression over the ``columns`` of a message, without a row's name.

    As ``parse_expression``, but sub-selects without a FROM are allowed; they are evaluated once a statement.
    """
    return _parse(text, columns=columns, example="message->>'op' = 'insert'")


def _parse(text: str, *, columns: Collection[str], example: str) -> Expression:
    tokens = _scan(text, over=", ".join(columns) or "new, old and op")
    _check_parentheses(tokens)
    try:
        statements = parse_sql(PREFIX + text + _SUFFIX)
    except ParseError as error:
        message, position = error.args
        # The parser gives None for the end of the input.
        start = len(text) if position is None else position - len(PREFIX)
        if start >= len(text):
            message, start = "it ends too early", len(text) - 1
        raise ExpressionError(
            f"not an SQL expression: {message}", start=max(0, start), length=_length_at(tokens, start)
        ) from None
    if len(statements) != 1:
        raise ExpressionError("more than one statement", length=len(text), fix="write one expression")
    value = take_value(statements[0].stmt, text, example=example)
    check = _Check(text=text, tokens=tokens, columns=columns)
    check(value)
    references = tuple(sorted(check.references, key=lambda found: found.start))
    return Expression(text=text, references=references, repeatable=not check.calls, swayed=check.swayed)


def read_tree(text: str) -> ast.Node:
    """The tree of a checked expression; locations in it count from the start of ``PREFIX + text``."""
    return take_value(parse_sql(PREFIX + text + _SUFFIX)[0].stmt, text, example="")


def parse_like(other: Expression, text: str) -> Expression:
    """``text`` as an expression over the same columns as ``other``. Raises as the parse of ``other``
    would.
    """
    columns = {reference.column for reference in other.references if reference.row == "message"}
    return _parse(text, columns=columns, example="")


def call_is_steady(call: ast.FuncCall) -> bool:
    """Whether the call's function is built in and returns the same value for the same arguments."""
    *schema, name = [part.sval for part in call.funcname or () if isinstance(part, ast.String)]
    return schema in ([], ["pg_catalog"]) and name in _STEADY_CALLS


def _scan(text: str, *, over: str) -> Sequence[Token]:
    if not text.strip():
        raise ExpressionError("an empty expression", fix=f"write SQL over {over}, or leave the key out")
    if len(text) > _LONGEST:
        raise ExpressionError(
            f"an expression of more than {_LONGEST:,} characters",
            fix="keep such lists in a table, and let the handler look there",
        )
    if "\0" in text:
        raise ExpressionError("a NUL character in an expression", start=text.index("\0"))
    try:
        tokens: Sequence[Token] = scan(text)
    except ParseError as error:
        message, position = error.args
        raise ExpressionError(
            f"not an SQL expression: {message}", start=min(position or 0, len(text) - 1)
        ) from None
    for token in tokens:
        if token.name in ("SQL_COMMENT", "C_COMMENT"):
            raise ExpressionError(
                "a comment inside an expression",
                start=token.start,
                length=token.end - token.start + 1,
                fix="write the comment in YAML, with #",
            )
    return tokens


def _check_parentheses(tokens: Sequence[Token]) -> None:
    """Raise unless every closing parenthesis closes one of the expression. ``a) OR (b`` would parse inside
    the surrounding parentheses, and mean something else.
    """
    depth = 0
    for token in tokens:
        depth += (token.name == "ASCII_40") - (token.name == "ASCII_41")
        if depth < 0:
            raise ExpressionError("not an SQL expression: this parenthesis closes nothing", start=token.start)


def _length_at(tokens: Sequence[Token], start: int) -> int:
    return next((token.end - token.start + 1 for token in tokens if token.start == start), 1)


_CLAUSES = (
    "distinctClause", "intoClause", "fromClause", "whereClause", "groupClause", "havingClause",
    "windowClause", "valuesLists", "sortClause", "limitOffset", "limitCount", "lockingClause", "withClause",
    "larg", "rarg",
)  # fmt: skip


def take_value(statement: ast.Node | None, text: str, *, example: str) -> ast.Node:
    """The expression of ``SELECT (expression)``. Raises for anything around it, which the text has added."""

    def refuse(what: str) -> ExpressionError:
        return ExpressionError(what, length=len(text), fix=f"write one expression, such as {example}")

    if not isinstance(statement, ast.SelectStmt) or any(getattr(statement, name) for name in _CLAUSES):
        raise refuse("a statement where an expression is expected")
    targets = statement.targetList or ()
    if len(targets) != 1 or targets[0].name or targets[0].indirection:
        raise refuse("more than one expression")
    value = targets[0].val
    implicit = isinstance(value, ast.RowExpr) and value.row_format == CoercionForm.COERCE_IMPLICIT_CAST
    if not isinstance(value, ast.Node) or implicit:
        raise refuse("more than one expression")
    return value


_STEADY_CALLS = {
    *(
        "abs",
        "btrim",
        "ceil",
        "current_setting",
        "extract",
        "floor",
        "left",
        "length",
        "lower",
        "ltrim",
        "md5",
    ),
    *("mod", "octet_length", "position", "replace", "right", "round", "rtrim", "split_part", "starts_with"),
    *("strpos", "substr", "substring", "upper"),
}
"""Built-in functions on text and numbers whose result no session setting changes."""
_STEADY_CASTS = {
    *(
        "bool",
        "bpchar",
        "int2",
        "int4",
        "int8",
        "json",
        "jsonb",
        "name",
        "numeric",
        "text",
        "uuid",
        "varchar",
    ),
}


class _Check(Visitor):
    """Collects references, and refuses parts that an expression over one change cannot have. With
    ``columns``, the expression is over one message.
    """

    def __init__(self, *, text: str, tokens: Sequence[Token], columns: Collection[str]) -> None:
        super().__init__()
        self.text = text
        self.tokens = tokens
        self.columns = columns
        self.sees = "one message only" if columns else "the changed row only"
        self.references: list[Reference] = []
        self.calls = False
        self.swayed = False

    def visit_ColumnRef(self, ancestors: object, node: ast.ColumnRef) -> None:
        start = (node.location or 0) - len(PREFIX)
        names = [(isinstance(field, ast.String) and field.sval) or "*" for field in node.fields or ()]
        end = self._end_of(start, names)
        shown = self.text[start:end]
        if self.columns:
            self._refer_to_message(start, end, names)
        elif names == ["op"]:
            self.references.append(Reference(start=start, end=end, row="op"))
        elif len(names) == 2 and names[0] in ("new", "old") and names[1] != "*":
            self.references.append(Reference(start=start, end=end, row=names[0], column=names[1]))  # type: ignore[arg-type]
        elif names[0] in ("new", "old"):
            raise ExpressionError(
                f"{shown}: only one column of a row can be named",
                start=start, length=end - start, fix=f"write {names[0]}.<column>",
            )  # fmt: skip
        else:
            raise ExpressionError(
                f"{shown}: expressions see new, old and op only",
                start=start, length=end - start, fix=f"write new.{names[-1]} or old.{names[-1]}",
            )  # fmt: skip

    def _refer_to_message(self, start: int, end: int, names: Sequence[str]) -> None:
        if len(names) != 1 or names[0] not in self.columns:
            raise ExpressionError(
                f"{self.text[start:end]}: this expression sees the columns of a message only",
                start=start, length=end - start, fix=f"they are {', '.join(self.columns)}",
            )  # fmt: skip
        self.references.append(Reference(start=start, end=end, row="message", column=names[0]))

    def _end_of(self, start: int, names: Sequence[str]) -> int:
        """The offset after a dotted name, whose tokens alternate names and dots."""
        first = bisect_left(self.tokens, start, key=lambda token: token.start)
        return int(self.tokens[first : first + 2 * len(names) - 1][-1].end) + 1

    def visit_SubLink(self, ancestors: object, node: ast.SubLink) -> None:
        if not (self.columns and node.subLinkType == SubLinkType.EXPR_SUBLINK):
            self._refuse(node, "a sub-select", f"an expression sees {self.sees}")

    def visit_SelectStmt(self, ancestors: object, node: ast.SelectStmt) -> None:
        if not self.columns or any(getattr(node, name) for name in _CLAUSES):
            self._refuse(node, "a sub-select", f"an expression sees {self.sees}")

    def visit_ParamRef(self, ancestors: object, node: ast.ParamRef) -> None:
        self._refuse(node, f"the parameter ${node.number}", "write the value")

    def visit_SetToDefault(self, ancestors: object, node: ast.SetToDefault) -> None:
        self._refuse(node, "DEFAULT", "write the value")

    def visit_CurrentOfExpr(self, ancestors: object, node: ast.CurrentOfExpr) -> None:
        self._refuse(node, "WHERE CURRENT OF", f"an expression sees {self.sees}")

    def visit_GroupingFunc(self, ancestors: object, node: ast.GroupingFunc) -> None:
        self._refuse(node, "GROUPING", f"an expression sees {self.sees}")

    def visit_TypeCast(self, ancestors: object, node: ast.TypeCast) -> None:
        names = node.typeName.names if node.typeName else None
        *schema, name = [part.sval for part in names or () if isinstance(part, ast.String)]
        self.swayed |= schema not in ([], ["pg_catalog"]) or name not in _STEADY_CASTS

    def _refuse_definer_value(self, node: ast.Node) -> None:
        what, fix = ("", "") if self.columns else find_definer_value(node)
        if what:
            self._refuse(node, what, fix)

    def visit_SQLValueFunction(self, ancestors: object, node: ast.SQLValueFunction) -> None:
        self._refuse_definer_value(node)
        # The first of them tell the time; the others tell the user and place of the session.
        self.swayed |= node.op is not None and node.op <= SQLValueFunctionOp.SVFOP_LOCALTIMESTAMP_N

    def visit_FuncCall(self, ancestors: object, node: ast.FuncCall) -> None:
        self._refuse_definer_value(node)
        self.calls = True
        self.swayed |= not call_is_steady(node)
        if node.over or node.agg_star or node.agg_distinct or node.agg_order or node.agg_filter:
            self._refuse(node, "an aggregate or window call", f"an expression sees {self.sees}")

    def _refuse(self, node: ast.Node, what: str, fix: str) -> None:
        location = getattr(node, "location", None)
        start = max(0, location - len(PREFIX)) if isinstance(location, int) and location >= 0 else 0
        raise ExpressionError(
            f"{what} is not allowed in an expression",
            start=start, length=_length_at(self.tokens, start), fix=fix,
        )  # fmt: skip
