"""A claimed message: the decoded envelope, and the notes that count its attempts.

Attempts are counted in the message's headers, under ``changelane``. pgmq's ``read_ct`` cannot count them,
because it also counts deliveries that no handler saw::

    {"attempts": 2, "released": 1, "claims": 4, "seen": 4, "error": "ValueError: no such customer"}

``attempts`` counts failed attempts. ``released`` counts deliveries that came back without a failure
(shutdown, transient error). ``claims`` counts the workers' own claims, from the second on, whatever other
readers do. Every claim that ends normally adds one to ``attempts`` or ``released``. So each claim in
``claims - 1`` beyond their sum belongs to a worker that vanished: it was killed, or it stalled past its
lease, or the server ended its session.

Two vanished workers make a message *suspect*: it may be what kills them. A process runs one suspect at a
time. It charges the attempt before the handler runs, and takes the charge back when the handler does not
fail. So a message that always kills its worker becomes a dead letter after two deaths more than its attempts.
Messages that ran beside it, or were prefetched, are charged nothing. After a single death all messages come
back at full speed, and ordinary messages cost no extra write.

``seen`` is the ``read_ct`` at which a message was given back. ``blocked`` says that the message now blocks
its key. ``returned`` counts how often it came back because of a database error.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from changelane.change import Change
from changelane.contract.envelope import LONGEST_ID, NOTES, ROUTE, ROWS, TEXTS, Row
from changelane.message import Message
from changelane.runner.queue.unreadable import Unreadable

MOST = 1_000_000
"""The limit up to which attempts and releases are counted."""

LAST_COUNT = 2**31 - 1
"""The highest count of deliveries. From there on, one claim cannot be told from the next."""


def _parse_long(digits: str) -> int:
    # int() refuses more than 4300 digits; jsonb holds up to 131072.
    return int(digits) if len(digits) < 4000 else int(Decimal(digits))


_decode = msgspec.json.Decoder(float_hook=Decimal).decode
# For what the faster one refuses: integers of thousands of digits, and text that a stricter reader would not
# accept.
_decode_any = json.JSONDecoder(parse_float=Decimal, parse_int=_parse_long).decode


class Malformed(Exception):
    """A message that its handler can never take: it is not a change, or it cannot be read."""


_ROW_TYPES = (dict, NoneType)

Content = Change[Any] | Message[Any]
"""What a handler receives."""


class Delivery(msgspec.Struct, eq=False):
    """One claim of one message. ``read_ct`` is the fencing token; ``leased_until`` is on the monotonic clock.

    ``failed`` counts the failed attempts before this one, ``claims`` the claims up to this one. ``returned``
    counts how often the message came back because of a database error. ``lost`` says that another worker
    holds the message now; ``settling`` says that its lease must not be renewed any more. ``text`` is the
    message as claimed; ``content`` is the handler's argument, made from it. ``malformed`` says why that is
    impossible. ``due`` is when it could be claimed, on the monotonic clock; of a batch's middle, about.
    ``ids`` are those of the changes that were merged into this one; empty where none were.
    ``take`` is the open transaction that took the message; None while a lease holds it.
    ``void``: they undo each other, so there is nothing to hand over.
    """

    msg_id: int
    read_ct: int
    failed: int = 0
    released: int = 0
    error: str = ""
    leased_until: float = 0.0
    content: Content | None = None
    malformed: str = ""
    lost: bool = False
    settling: bool = False
    queue: str = ""
    text: str | None = None
    enqueued_at: str | None = None
    headers: dict[str, Any] = {}
    returned: int = 0
    claims: int = 1
    due: float | None = None
    ids: tuple[str, ...] = ()
    void: bool = False
    take: Any = None

    @property
    def name(self) -> str:
        """The name by which ``Failed`` identifies the message."""
        return f"{self.queue}:{self.msg_id}"

    @property
    def captured(self) -> bool:
        """Whether a capture function wrote the message: only such messages name a route."""
        return isinstance(self.headers.get(ROUTE), str)

    @property
    def suspect(self) -> bool:
        return self.claims - 1 > self.failed + self.released + 1

    def notes(
        self,
        *,
        failed: int,
        released: int,
        error: str,
        returned: int = 0,
        held: bool = False,
        blocked: bool = False,
    ) -> str:
        """The value of the ``changelane`` header as JSON text; ``held``: not given back yet."""
        notes: dict[str, Any] = {"attempts": failed, "released": released, "claims": self.claims}
        if returned:
            notes["returned"] = returned
        if not held:
            notes["seen"] = self.read_ct
        if blocked:
            notes["blocked"] = True
        return json.dumps({**notes, "error": error})


def decode_json(text: str) -> Any:
    """JSON with numbers as ``int`` and ``Decimal``, never ``float``. Raises Malformed for deep nesting."""
    try:
        try:
            return _decode(text)
        except ValueError:
            return _decode_any(text)
    except RecursionError:
        raise Malformed("the message is nested too deep") from None


_common: tuple[str, dict[str, Any]] = "{}", {}
"""Headers with nothing but a route, as text and decoded: most messages of a queue have the same."""


def read_delivery(
    *,
    queue: str,
    msg_id: int,
    read_ct: int,
    message: str | Unreadable | None,
    headers: str | Unreadable | None,
    leased_until: float,
    enqueued_at: str | None = None,
    kind: type[Delivery] = Delivery,
) -> Delivery:
    """One claimed row, with its attempts counted. The message is decoded later."""
    malformed = ""
    if read_ct >= LAST_COUNT:
        malformed = f"its read_ct is {read_ct}, which only somebody sets: claims end there"
    global _common
    head: Any = None
    if headers == _common[0]:
        head = _common[1].copy()
    elif isinstance(headers, str):
        try:
            head = decode_json(headers)
        except Malformed as problem:
            malformed = str(problem)
        else:
            if type(head) is dict and len(head) == 1 and type(head.get(ROUTE)) is str:
                _common = headers, head.copy()
    elif headers is not None:
        malformed = headers.why
    if isinstance(message, Unreadable):
        malformed, message = message.why, None
    if type(head) is not dict:
        head = {}
    delivery = kind(
        msg_id,
        read_ct,
        leased_until=leased_until,
        malformed=malformed,
        queue=queue,
        text=message,
        enqueued_at=enqueued_at,
        headers=head,
    )
    if len(head) < 2 and NOTES not in head:
        return delivery
    notes = head.get(NOTES)
    if type(notes) is dict:
        delivery.failed = count_notes(notes, "attempts")
        delivery.released = count_notes(notes, "released")
        delivery.returned = count_notes(notes, "returned")
        delivery.claims = max(1, count_notes(notes, "claims"))
        delivery.error = str(notes.get("error") or "")
    return delivery


def count_notes(notes: dict[str, Any], name: str) -> int:
    """A count of a message's notes, between 0 and MOST."""
    # Anyone can send headers, and a count of thousands of digits could not be written back.
    value = notes.get(name)
    return max(0, min(value, MOST)) if type(value) is int else 0


def _read_time(text: Any) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read_message(delivery: Delivery) -> Message[Any]:
    """The message of a delivery, whatever its body. Raises Malformed for a value that Python cannot hold."""
    try:
        enqueued_at = _read_time(delivery.enqueued_at)
    except (TypeError, ValueError):
        raise Malformed(f"its enqueued_at is {delivery.enqueued_at}, which Python has no date for") from None
    return Message(
        body=decode_json(delivery.text) if delivery.text else None,
        queue=delivery.queue,
        msg_id=delivery.msg_id,
        attempt=delivery.failed + 1,
        enqueued_at=enqueued_at,
        headers=delivery.headers,
    )


class _Body(msgspec.Struct):
    """The envelope, with the types that a capture function writes."""

    op: str
    schema: str
    table: str
    txid: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    key: Row | None = None
    new: Row | None = None
    old: Row | None = None
    extra: Row | None = None
    truncated: bool = False
    id: str = ""


_decode_body = msgspec.json.Decoder(_Body, float_hook=Decimal).decode

_RowT = TypeVar("_RowT")


class _Draft(Generic[_RowT]):
    """A Change that is not frozen yet: it has the same slots, and its class is replaced when all are set. A
    frozen dataclass sets each field by a function call, which would be the dearest part of a message.
    """

    __slots__ = Change.__slots__


def read_change(delivery: Delivery) -> Change[Any]:
    """The change of a delivery. Raises Malformed for a message of another kind."""
    try:
        body = _decode_body(delivery.text or "null")
    except (ValueError, RecursionError):
        body = _read_odd_body(delivery.text)
    headers = delivery.headers
    route = headers.get(ROUTE)
    draft: Any = _Draft()
    draft.op = body.op
    draft.schema = body.schema
    draft.table = body.table
    draft.key = body.key
    draft.new = body.new
    draft.old = body.old
    draft.at = body.at
    draft.txid = body.txid
    draft.route = route if isinstance(route, str) else ""
    draft.queue = delivery.queue
    draft.msg_id = delivery.msg_id
    draft.attempt = delivery.failed + 1
    draft.headers = headers
    draft.extra = body.extra or {}
    draft.truncated = body.truncated
    draft.id = body.id if 0 < len(body.id) <= LONGEST_ID else delivery.name
    draft.ids = delivery.ids or (draft.id,)
    draft.__class__ = Change
    change: Change[Any] = draft
    return change


def _read_odd_body(text: str | None) -> _Body:
    """The envelope of a message that no capture function of this version wrote. Raises Malformed for one that
    is no change.
    """
    value = decode_json(text) if text else None
    if not isinstance(value, dict):
        raise Malformed("the message is not a JSON object")
    for name in (*TEXTS, "at"):
        if name not in value:
            raise Malformed(f"the message is not a change: it lacks {name!r}")
    try:
        at = _read_time(value["at"])
    except (TypeError, ValueError):
        raise Malformed("the message is not a change: 'at' is not a time stamp") from None
    for name in TEXTS:
        if type(value[name]) is not str:
            raise Malformed(f"the message is not a change: {name!r} is not a text")
    rows: dict[str, Any] = {name: value.get(name) for name in ROWS}
    rows["extra"] = rows["extra"] or {}
    for name, row in rows.items():
        if type(row) not in _ROW_TYPES:
            raise Malformed(f"the message is not a change: {name!r} is not an object")
    given = value.get("id")
    fields: dict[str, Any] = {name: value[name] for name in TEXTS}
    fields["id"] = given if type(given) is str else ""
    return _Body(**fields, **rows, at=at, truncated=value.get("truncated") is True)
