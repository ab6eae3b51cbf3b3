"""Typed rows: what ``Change[OrdersRow]`` asks of a message, found in the handler's signature and checked."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin

from pydantic import AllowInfNan, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from changelane.change import Change
from changelane.runner.work.message import Delivery

SHOWN = 3
"""Columns named in an error."""


class InvalidRow(Exception):
    """A row that is not what the handler's annotation says."""


class RowType:
    """TypedDicts that rows are to be like: one, or a union of several.

    Columns that they do not name are kept as they are. Of ``old``, and of a row that was cut to its key, only
    the columns that are there are checked. Raises TypeError where a type is none that can be checked.
    """

    def __init__(self, *members: Any) -> None:
        for member in members:
            if not is_typeddict(member):
                raise TypeError(f"{_spell(member)} is not a TypedDict")
        self.name = " | ".join(map(_spell, members))
        try:
            self._whole = _adapt([_copy(member) for member in members])
            self._part = _adapt([_copy(member, partial=True) for member in members])
        except (PydanticUserError, NameError) as error:
            raise TypeError(f"{self.name}: {str(error).partition(chr(10))[0]}") from error

    def fit(self, delivery: Delivery) -> InvalidRow | None:
        """Give a delivery's rows their types; returns what is wrong with them."""
        if delivery.change is not None:
            try:
                delivery.change = self.check(delivery.change)
            except InvalidRow as problem:
                return problem
        return None

    def check(self, change: Change[Any]) -> Change[Any]:
        """The change with its values converted to their types. Raises InvalidRow, which quotes no value."""
        whole = self._part if change.truncated else self._whole
        return replace(
            change,
            new=self._convert(change, "new", whole),
            old=self._convert(change, "old", self._part),
        )

    def _convert(self, change: Change[Any], side: str, adapter: TypeAdapter[Any]) -> Any:
        row = getattr(change, side)
        if row is None:
            return None
        try:
            return adapter.validate_python(row)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            shown = "; ".join(
                f"{'.'.join(map(str, (side, *problem['loc'])))}: {problem['msg']}"
                for problem in problems[:SHOWN]
            )
            more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InvalidRow(f"{change.schema}.{change.table} is not a {self.name}: {shown}{more}")


def evaluate(function: Callable[..., Any], annotation: str) -> Any:
    """What the text of an annotation stands for. Raises whatever its evaluation does."""
    # Modules may import Change, List and the like for type checkers only.
    names = {**vars(typing), "Change": Change, **getattr(inspect.unwrap(function), "__globals__", {})}
    return eval(annotation, names)  # noqa: S307 - as inspect does with the handler's own text


def find_row_type(function: Callable[..., Any], annotation: Any) -> RowType | None:
    """The row type that a handler's first parameter asks for, or None where it asks for none.

    Raises TypeError, which says why, for one that cannot be read or checked.
    """
    if isinstance(annotation, str):
        if "Change[" not in annotation.replace(" ", ""):
            return None
        try:
            annotation = evaluate(function, annotation)
        except Exception as error:
            raise TypeError(
                f"{annotation} cannot be read ({error}); import what it names at run time, too, "
                "not `if TYPE_CHECKING` alone"
            ) from error
    if get_origin(annotation) is not Change and get_args(annotation):
        (annotation, *_) = get_args(annotation)
    if get_origin(annotation) is not Change:
        return None
    (row,) = get_args(annotation)
    if row is Any or row is dict or get_origin(row) in (dict, Mapping):
        return None
    union = get_origin(row) in (Union, types.UnionType)
    return RowType(*(get_args(row) if union else (row,)))


def _copy(member: Any, *, partial: bool = False) -> Any:
    """The TypedDict anew, for the checker alone: open to further columns, and exact with numbers."""
    hints = get_type_hints(member, include_extras=True)
    required = frozenset() if partial else member.__required_keys__
    fields = {
        name: Required[_admit(hint)] if name in required else NotRequired[_admit(hint)]
        for name, hint in hints.items()
    }
    make: Any = TypedDict
    made = make(member.__name__, fields)
    made.__pydantic_config__ = ConfigDict(extra="allow")
    return made


def _adapt(members: list[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(reduce(or_, members))


def _admit(hint: Any) -> Any:
    # Without NotRequired and its like, and with the NaN that numeric has.
    if hint is Decimal:
        return Annotated[Decimal, AllowInfNan(True)]
    if get_origin(hint) in (NotRequired, Required):
        return _admit(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return Union[*map(_admit, get_args(hint))]
    return hint


def _spell(member: Any) -> str:
    return getattr(member, "__name__", None) or str(member)
