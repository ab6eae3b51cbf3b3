"""Typed rows: checks and converts a change's rows as the handler's ``Change[OrdersRow]`` says."""

from __future__ import annotations

import types
from dataclasses import replace
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin

from pydantic import AllowInfNan, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from changelane.change import Change

SHOWN = 3
"""Columns that an error names, at most."""


class InvalidRow(Exception):
    """A row that does not fit the handler's annotation."""


class RowType:
    """The TypedDicts that rows must match: one, or a union of several.

    Columns that they do not name stay as they are. In ``old``, and in a row cut to its key, only the columns
    that exist are checked. Raises TypeError for a type that cannot be checked.
    """

    def __init__(self, *members: Any) -> None:
        for member in members:
            if not is_typeddict(member):
                raise TypeError(f"{spell(member)} is not a TypedDict")
        self.name = " | ".join(map(spell, members))
        try:
            self._whole = _adapt([copy_typed_dict(member) for member in members])
            self._part = _adapt([copy_typed_dict(member, partial=True) for member in members])
        except (PydanticUserError, NameError) as error:
            raise TypeError(f"{self.name}: {str(error).partition(chr(10))[0]}") from error

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
            found = describe(error, side)
        raise InvalidRow(f"{change.schema}.{change.table} is not a {self.name}: {found}")


def copy_typed_dict(member: Any, *, partial: bool = False) -> Any:
    """A copy of the TypedDict for the checker only: it accepts further columns and keeps numbers exact."""
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
    # Drop NotRequired and Required. Accept NaN, which numeric has.
    if hint is Decimal:
        return Annotated[Decimal, AllowInfNan(True)]
    if get_origin(hint) in (NotRequired, Required):
        return _admit(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return Union[*map(_admit, get_args(hint))]
    return hint


def describe(error: ValidationError, place: str) -> str:
    """Each misfit with its path from ``place``; quotes no value."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    shown = "; ".join(
        f"{'.'.join(map(str, (place, *problem['loc'])))}: {problem['msg']}" for problem in problems[:SHOWN]
    )
    return f"{shown} and {len(problems) - SHOWN} more" if len(problems) > SHOWN else shown


def spell(member: Any) -> str:
    return getattr(member, "__name__", None) or str(member)
