"""The input of a handler by its annotation, and bodies that fit it or do not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, List, Optional, TypedDict, Union  # noqa: UP035

import pytest
from pydantic import BaseModel, ConfigDict, JsonValue, field_validator
from typing_extensions import TypeAliasType
from typing_extensions import TypedDict as NewTypedDict

from changelane import Change, Discard, Message
from changelane.message import Message as Letter
from changelane.runner.queue.delivery import decode_json
from changelane.runner.work.handlers.body import BodyType, InvalidBody
from changelane.runner.work.handlers.handler_input import HandlerInput, UnsuitedAnnotation, read_handler_input

if TYPE_CHECKING:
    import typing as ty

    import changelane as cl


class OrdersRow(TypedDict):
    id: int


class PartsRow(TypedDict):
    number: str


class MailJob(NewTypedDict):
    to: str
    at: dt.datetime
    total: Decimal


@dataclass
class Part:
    name: str


@dataclass
class Parcel:
    parts: list[Part]
    weight: float


class Odd:
    pass


class Visit(BaseModel):
    model_config = ConfigDict(strict=True)
    day: dt.date
    total: Decimal = Decimal(0)


class Choosy(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def decide(cls, n: int) -> int:
        if n == 1:
            raise Discard
        if n == 2:
            raise ValueError("two is not for us")
        return n


Alias = TypeAliasType("Alias", "list[Message[MailJob]]")


def bare(change) -> None: ...  # type: ignore[no-untyped-def]
def anything(change: Any) -> None: ...
def objects(change: object) -> None: ...
def change(change: Change) -> None: ...
def row(change: Change[OrdersRow]) -> None: ...
def rows(change: Change[OrdersRow | PartsRow]) -> None: ...
def rows_apart(change: Change[OrdersRow] | Change[PartsRow]) -> None: ...
def loose(change: Change[dict[str, Any]]) -> None: ...
def message(message: Message) -> None: ...
def message_any(message: Message[Any]) -> None: ...
def renamed(message: Letter[MailJob]) -> None: ...
def typed(message: Message[MailJob]) -> None: ...
def either(message: Message[MailJob | Parcel]) -> None: ...
def apart(message: Message[MailJob] | Message[Parcel]) -> None: ...
def both(item: Change | Message) -> None: ...
def both_typed(item: Union[Change[OrdersRow], Message[Parcel], None]) -> None: ...  # noqa: UP007
def batch(changes: list[Change]) -> None: ...
def batch_bare(changes: list) -> None: ...  # type: ignore[type-arg]
def batch_both(items: Sequence[Change | Message[MailJob]]) -> None: ...
def batch_old(items: Optional[List[Message]]) -> None: ...  # noqa: UP006, UP045
def annotated(items: Annotated[list[Annotated[Message, 1]], 5]) -> None: ...
def alias(items: Alias) -> None: ...
def elsewhere(items: ty.List[cl.Message]) -> None: ...  # noqa: UP006


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (bare, "change"),
        (anything, "change"),
        (objects, "change"),
        (change, "change"),
        (row, "change OrdersRow"),
        (rows, "change OrdersRow | PartsRow"),
        (rows_apart, "change OrdersRow | PartsRow"),
        (loose, "change"),
        (message, "message"),
        (message_any, "message"),
        (renamed, "message MailJob"),
        (typed, "message MailJob"),
        (either, "message MailJob | Parcel"),
        (apart, "message MailJob | Parcel"),
        (both, "change message"),
        (both_typed, "change OrdersRow message Parcel"),
        (batch, "list of change"),
        (batch_bare, "list of change"),
        (batch_both, "list of change message MailJob"),
        (batch_old, "list of message"),
        (annotated, "list of message"),
        (alias, "list of message MailJob"),
        (elsewhere, "list of message"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("resolved", [False, True])
def test_each_form_of_handler_input_is_recognised(
    function: Callable[..., Any], expected: str, resolved: bool
) -> None:
    (annotation,) = list(function.__annotations__.values())[:1] if function is not bare else [Any]
    if resolved and function is not elsewhere and isinstance(annotation, str):
        annotation = eval(annotation, globals())
    assert spell(read_handler_input(function, annotation)) == expected


def spell(takes: HandlerInput) -> str:
    parts = ["list of"] * takes.batch + ["change"] * takes.change
    parts += [takes.row.name] if takes.row else []
    parts += ["message"] * takes.message + ([takes.body.name] if takes.body else [])
    return " ".join(parts)


def number(change: Change[int]) -> None: ...  # type: ignore[type-var]
def unknown(message: Message[Odd]) -> None: ...


@pytest.mark.parametrize(
    ("function", "what"),
    [(number, "int is not a TypedDict"), (unknown, "bodies that cannot be checked: Odd")],
)
def test_types_that_nothing_is_checked_against_are_refused(function: Callable[..., Any], what: str) -> None:
    with pytest.raises(UnsuitedAnnotation, match=what):
        read_handler_input(function, next(iter(function.__annotations__.values())))


def check(kind: Any, text: str) -> Any:
    sent = Message(
        body=decode_json(text), queue="q", msg_id=1, attempt=1, enqueued_at=dt.datetime.now(dt.UTC)
    )
    return BodyType(kind).check(sent, text).body


MAIL = '{"to": "ann", "at": "2026-11-22T18:54:03+00:00", "total": 0.12345678901234567890, "more": 1}'


def test_bodies_are_converted_and_numbers_stay_exact() -> None:
    assert check(MailJob, MAIL) == {
        "to": "ann",
        "at": dt.datetime(2026, 11, 22, 18, 54, 3, tzinfo=dt.UTC),
        "total": Decimal("0.12345678901234567890"),
        "more": 1,
    }
    assert check(Parcel, '{"parts": [{"name": "x"}], "weight": 2.5}') == Parcel([Part("x")], 2.5)
    assert check(list[int], "[1, 2.0]") == [1, 2]


def test_a_strict_model_reads_what_json_has_and_loses_no_digit() -> None:
    assert check(Visit, '{"day": "2026-11-22", "total": 1.5}') == Visit(
        day=dt.date(2026, 11, 22), total=Decimal("1.5")
    )
    assert check(JsonValue, '{"a": [1.5]}') == {"a": [1.5]}
    with pytest.raises(InvalidBody, match=r"body\.day"):
        check(Visit, '{"day": "2026-11-22", "total": 0.12345678901234567890}')


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [
        (MailJob, '{"to": "secret"}', "the body is not a MailJob: body.at: Field required; body.total"),
        (MailJob, "[]", "the body is not a MailJob: body: "),
        (Parcel, '{"parts": [{"name": "x"}, {"name": ["secret"]}], "weight": 1}', "body.parts.1.name: "),
        (Choosy, '{"n": 2}', "body.n: Value error, two is not for us"),
        (int, "null", "the body is not a int: body: "),
    ],
)
def test_a_misfit_names_its_place_and_quotes_no_value(kind: Any, text: str, what: str) -> None:
    with pytest.raises(InvalidBody) as caught:
        check(kind, text)
    assert what in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_validator_may_decide() -> None:
    with pytest.raises(Discard):
        check(Choosy, '{"n": 1}')
