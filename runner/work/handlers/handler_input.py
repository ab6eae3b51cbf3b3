"""The input that a handler takes, read from the annotation of its first parameter when the worker starts."""

from __future__ import annotations

import builtins
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ForwardRef, Union, get_args, get_origin

from changelane.change import Change
from changelane.message import Message
from changelane.runner.queue.delivery import Content, Delivery, Malformed, read_change, read_message
from changelane.runner.work.handlers.body import BodyType
from changelane.runner.work.handlers.typed_rows import RowType

_LISTS = (list, Sequence, Collection, Iterable)
_ANYTHING = (Any, object, inspect.Parameter.empty)


class UnsuitedAnnotation(Exception):
    """An annotation that no handler can have. ``what`` is the problem, ``fix`` the edit."""

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(frozen=True, slots=True)
class HandlerInput:
    """Whether a handler takes captured changes, messages or both, and lists of them (``batch``).

    ``row`` is the annotated type of a change's rows, ``body`` that of a message's body; None: not annotated.
    """

    batch: bool = False
    change: bool = True
    message: bool = False
    row: RowType | None = None
    body: BodyType | None = None

    def read(self, delivery: Delivery) -> Content:
        """The change or message of a delivery, as the handler takes it; call it once for each delivery.

        Raises Malformed for a message that the handler can never take. Raises InvalidRow, InvalidBody or any
        error of a validator for a value that does not fit the types.
        """
        if delivery.content is None:
            if delivery.malformed:
                raise Malformed(delivery.malformed)
            if not self.message:
                delivery.content = self._read_change(delivery)
            else:
                delivery.content = self._read_either(delivery)
            delivery.text = None
        return delivery.content

    def _read_either(self, delivery: Delivery) -> Content:
        if self.change and delivery.captured:
            try:
                return self._read_change(delivery)
            except Malformed:
                # Other senders may have written the header that marks captured changes: a message, then.
                pass
        message = read_message(delivery)
        return self.body.check(message, delivery.text) if self.body else message

    def _read_change(self, delivery: Delivery) -> Content:
        change = read_change(delivery)
        if not change.route and not delivery.captured:
            raise Malformed("the message is not a captured change: it lacks the header route")
        return self.row.check(change) if self.row else change


CHANGES = HandlerInput()
"""What a handler without an annotation takes."""


def read_handler_input(function: Callable[..., Any], annotation: Any) -> HandlerInput:
    """The input that a handler's first parameter asks for. Raises UnsuitedAnnotation for one that is neither
    a change nor a message.
    """
    members = list(_split(function, annotation))
    lists = [member for member in members if _is_list(member)]
    if lists and len(members) > 1:
        raise UnsuitedAnnotation(
            f"asks for {_show(annotation)}, but is given a list of both, or one of either",
            fix="annotate list[Change | Message], or Change | Message",
        )
    if lists:
        (item,) = get_args(lists[0]) or (Any,)
        members = list(_split(function, item))
    changes = [member for member in members if (get_origin(member) or member) is Change]
    messages = [member for member in members if (get_origin(member) or member) is Message]
    anything = [member for member in members if any(member is kind for kind in _ANYTHING)]
    for member in members:
        if member not in changes and member not in messages and member not in anything:
            _refuse(member)
    return HandlerInput(
        batch=bool(lists),
        change=bool(changes or anything),
        message=bool(messages),
        row=_find_rows(function, changes),
        body=_find_bodies(function, messages),
    )


def _refuse(member: Any) -> None:
    if isinstance(member, _Absent):
        raise UnsuitedAnnotation(
            f"asks for {member.__name__}, which is not there at run time",
            fix="import it outside `if TYPE_CHECKING`, or annotate changelane.Change or changelane.Message",
        )
    kind = get_origin(member) or member
    if inspect.isclass(kind) and issubclass(kind, Iterable) and not issubclass(kind, str):
        raise UnsuitedAnnotation(
            f"asks for a {_show(kind)}, but a batch comes in a list",
            fix="annotate list[Change] or list[Message]; Change or Message for one at a time",
        )
    raise UnsuitedAnnotation(
        f"asks for {_show(member)}, which is neither a Change nor a Message",
        fix="annotate changelane.Change (captured changes), changelane.Message (any), or both with |",
    )


def _find_rows(function: Callable[..., Any], changes: Sequence[Any]) -> RowType | None:
    rows = _find_arguments(function, changes)
    if any(row is dict or get_origin(row) in (dict, Mapping) for row in rows):
        return None
    try:
        return RowType(*rows) if rows else None
    except TypeError as error:
        raise UnsuitedAnnotation(
            f"asks for rows that cannot be checked: {error}",
            fix="annotate Change[...] with a TypedDict, such as `changelane models` writes, or Change alone",
        ) from error


def _find_bodies(function: Callable[..., Any], messages: Sequence[Any]) -> BodyType | None:
    bodies = _find_arguments(function, messages)
    try:
        return BodyType(*bodies) if bodies else None
    except TypeError as error:
        raise UnsuitedAnnotation(
            f"asks for bodies that cannot be checked: {error}",
            fix="annotate Message[...] with a TypedDict, dataclass or pydantic model, or Message alone",
        ) from error


def _find_arguments(function: Callable[..., Any], members: Sequence[Any]) -> list[Any]:
    """The annotated content types; empty when the annotation accepts anything."""
    found: list[Any] = []
    for member in members:
        arguments = [item for argument in get_args(member) for item in _split(function, argument)]
        if not arguments or any(item is kind for item in arguments for kind in _ANYTHING):
            return []
        for item in arguments:
            if isinstance(item, _Absent):
                raise UnsuitedAnnotation(
                    f"asks for {item.__name__}, which cannot be read",
                    fix="import what it names at run time, too, not `if TYPE_CHECKING` alone",
                )
        found += arguments
    return found


def _split(function: Callable[..., Any], annotation: Any) -> Iterator[Any]:
    """The members of a union except None. An alias, a text or Annotated is replaced by its meaning."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, {}, _Names(function))  # noqa: S307 - as inspect does with it
        except Exception as error:
            raise UnsuitedAnnotation(
                f"asks for {annotation}, which cannot be read ({error})",
                fix="import what it names at run time, too, not `if TYPE_CHECKING` alone",
            ) from error
    if hasattr(annotation, "__value__"):
        annotation = annotation.__value__
        yield from _split(function, annotation)
    elif get_origin(annotation) is Annotated:
        yield from _split(function, get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            if member is not types.NoneType:
                yield from _split(function, member)
    else:
        yield annotation


def _is_list(member: Any) -> bool:
    return (get_origin(member) or member) in _LISTS


def _show(kind: Any) -> str:
    return kind if isinstance(kind, str) else getattr(kind, "__name__", None) or str(kind)


class _Absent(type):
    """The class of stand-ins for names that only a type checker knows. A subscripted stand-in is itself."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _find_absent(name)

    def __getitem__(cls, item: Any) -> Any:
        return cls


class _Names(dict[str, Any]):
    """The names that a handler's annotations may use."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(getattr(inspect.unwrap(function), "__globals__", {}))

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name) if hasattr(builtins, name) else _find_absent(name)


def _find_absent(name: str) -> Any:
    # Modules may import Change, List and the like for type checkers only.
    known = {**vars(typing), "Change": Change, "Message": Message}
    return known[name] if name in known else _Absent(name, (), {})
