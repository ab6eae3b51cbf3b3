"""Finds every invalid entry in the ``access`` of a spec's queues."""

from __future__ import annotations

from collections.abc import Iterator

from changelane.contract.access import COLUMNS
from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import show
from changelane.generator.spec.yaml_source import Node, Source, Step
from changelane.generator.sql.expression import Expression, ExpressionError, parse_message_expression

_CHANGED_BY_READ = {"vt", "read_ct"}
_NO_ROLE = {
    "public": "it would be every role there is; name each that is meant",
    "none": "no role can have this name",
}


def check_access(source: Source) -> Iterator[Diagnostic]:
    """Every invalid entry under ``access``, including invalid expressions."""
    queues = source.find("queues")
    for queue in queues.content if queues and isinstance(queues.content, dict) else ():
        yield from _check_queue(source, ("queues", queue, "access"))


def _check_queue(source: Source, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    known: dict[tuple[str, str], tuple[int, int]] = {}
    ways: dict[str, tuple[str, int]] = {}
    entries = _list(source.find(*path))
    yield from _check_together(source, path, entries)
    for index, entry in enumerate(entries):
        place = (*path, index)
        role = _text(entry.step("role"))
        if role in _NO_ROLE:
            message = f"{show(role)} is not a role that can be given access"
            yield source.diagnose(Code.ACCESS, message, *place, "role", fix=_NO_ROLE[role])
        allowed = [_text(node) for node in _list(entry.step("allow"))]
        for position, operation in enumerate(allowed):
            line = source.locate(*place, "allow", position).line
            first, its_line = known.setdefault((role, operation), (index, line))
            if role and first != index:
                yield source.diagnose(
                    Code.ACCESS,
                    f"{show(role)} is allowed {show(operation)} already",
                    *place, "allow", position,
                    fix=f"it is on line {its_line}: write one entry, its expressions joined by OR",
                )  # fmt: skip
        via = _text(entry.step("via")) or "tables"
        way, its_line = ways.setdefault(role, (via, source.locate(*place).line))
        if role and way != via:
            yield source.diagnose(
                Code.ACCESS,
                f"{show(role)} has access by {way} already, and no function holds back rights on tables",
                *place, *(("via",) if entry.step("via") else ()),
                fix=f"it is on line {its_line}: write the same `via` in both entries",
            )  # fmt: skip
        using = _text(entry.step("using"))
        if using:
            yield from _check_using(source, using, (*place, "using"), reads="read" in allowed)


def _check_together(source: Source, path: tuple[Step, ...], entries: list[Node]) -> Iterator[Diagnostic]:
    """Report operations of one role that need different messages but share a policy. Popping locks readable
    messages; archiving and popping delete. Policies go by the SQL command, so they cannot tell these apart.
    """
    found: dict[str, dict[str, tuple[str, int]]] = {}
    for index, entry in enumerate(entries):
        for operation in map(_text, _list(entry.step("allow"))):
            operations = found.setdefault(_text(entry.step("role")), {})
            operations.setdefault(operation, (_text(entry.step("using")), index))
    for role, operations in found.items():
        for one, other in (("read", "pop"), ("delete", "pop"), ("delete", "archive")):
            if one not in operations or other not in operations:
                continue
            (using, first), (its_using, second) = operations[one], operations[other]
            if using != its_using and (using or one == "read"):
                yield source.diagnose(
                    Code.ACCESS,
                    f"{show(role)} may {other} other messages than it may {one}: no policy keeps these apart",
                    *path, max(first, second),
                    fix=f"write one entry for both, or do not allow {show(other)}",
                )  # fmt: skip


def _check_using(source: Source, text: str, path: tuple[Step, ...], *, reads: bool) -> Iterator[Diagnostic]:
    try:
        expression = parse_message_expression(text, columns=COLUMNS)
    except ExpressionError as error:
        within = (error.start, error.length)
        yield source.diagnose(Code.EXPRESSION, error.what, *path, fix=error.fix, within=within)
        return
    if reads and (found := _find_changed(expression)):
        yield source.diagnose(
            Code.ACCESS,
            f"reading a message sets its {found[2]}, and the message must still meet the expression",
            *path, within=found[:2], fix="use another column, or declare `read` in an entry of its own",
        )  # fmt: skip


def _find_changed(expression: Expression) -> tuple[int, int, str] | None:
    for reference in expression.references:
        if reference.column in _CHANGED_BY_READ:
            return reference.start, reference.end - reference.start, reference.column
    return None


def _list(node: Node | None) -> list[Node]:
    return node.content if node is not None and isinstance(node.content, list) else []


def _text(node: Node | None) -> str:
    return str(node.content) if node is not None and isinstance(node.content, str) else ""
