"""What a handler is given and what it may raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic

from changelane.contract.envelope import ROUTE, TEXTS, Operation, Row
from changelane.contract.formats import Format
from changelane.contract.template import SIDES, Engine
from changelane.message import Message

LATEST = 10 * 365 * 86400.0
"""Seconds after which a message may be asked for again, at most."""

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from changelane.envelopes.record import Record

    RowT_co = TypeVar("RowT_co", bound=Mapping[str, Any], covariant=True, default=Row)
else:
    from typing import TypeVar

    RowT_co = TypeVar("RowT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[RowT_co]):
    """One change of one row, as the message holds it.

    ``new`` is None for delete and truncate, ``old`` for insert, truncate and snapshot; both are None where
    the route leaves them out. Numbers are exact: ``int`` or ``Decimal``. ``attempt`` counts from 1: failed
    attempts before this one, plus one. ``at`` is when the change was captured, ``txid`` the transaction that
    made it. ``extra`` holds what ``payload.extra`` adds; ``truncated`` says that the row was too large, and
    was cut to its key.

    ``id`` is by what to de-duplicate: one for each change and route, the same in all queues of the route and
    whatever becomes of the message (retries, dead letters, redrive, replay), and never used again. A message
    without one, which version 0.1 or a person sent, has ``queue:msg_id``.

    With ``coalesce``, a change may stand for several of one key. ``ids`` names them, the oldest first, and
    ``merged`` counts them. ``old`` is then that of the first; ``new``, ``id``, ``at``, ``txid`` and all else
    are those of the last.

    ``Change[OrdersRow]``, with a TypedDict as ``changelane models`` writes, is a change whose rows are
    checked and converted before the handler gets it.
    """

    op: Operation
    schema: str
    table: str
    key: Row | None
    new: RowT_co | None
    old: RowT_co | None
    at: datetime
    txid: str
    route: str
    queue: str
    msg_id: int
    attempt: int
    headers: Row = field(default_factory=dict)
    extra: Row = field(default_factory=dict)
    truncated: bool = False
    id: str = ""
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", f"{self.queue}:{self.msg_id}")
        if not self.ids:
            object.__setattr__(self, "ids", (self.id,))

    @property
    def merged(self) -> int:
        """How many changes this one stands for: 1 without ``coalesce``."""
        return len(self.ids)

    @property
    def changed(self) -> frozenset[str]:
        """Names of the columns whose values differ between ``old`` and ``new``; all where one is absent.

        With ``payload.old: changed``, ``old`` holds just those that differ, and so does this.
        """
        if self.new is None or self.old is None:
            return frozenset(self.new or self.old or ())
        missing = object()
        return frozenset(name for name, value in self.old.items() if self.new.get(name, missing) != value)

    def to(self, format: Format, *, binding: Engine = "http", **setting: Any) -> Record | None:
        """The change in a format that others read: ``cloudevents``, ``debezium``, ``hasura``, ``supabase``,
        ``outbox``, ``row`` or ``changelane``. The record has ``body``, ``headers``, ``key`` and ``id``; None
        where the format sends nothing for the change.

        ``binding`` is the engine for which headers are spelled. ``setting`` are further fields of
        ``changelane.envelopes.record.Setting``. Raises ``changelane.envelopes.record.Refused`` for a change
        that the format cannot say.
        """
        from changelane.encoding import encode
        from changelane.envelopes.event import Event
        from changelane.envelopes.record import Setting
        from changelane.envelopes.write import write_event

        body: dict[str, Any] = {name: getattr(self, name) for name in ("id", *TEXTS, "key", *SIDES)}
        body |= {"at": self.at.isoformat()}
        body |= {"extra": self.extra} if self.extra else {}
        body |= {"truncated": True} if self.truncated else {}
        event = Event(
            text=encode(body),
            queue=self.queue,
            msg_id=self.msg_id,
            headers={**self.headers, ROUTE: self.route},
            attempt=self.attempt,
        )
        return write_event(event, format=format, setting=Setting(binding=binding, **setting))

    def __hash__(self) -> int:
        return hash((self.queue, self.msg_id))


class Outcome(Exception):
    """Raised by a handler to decide the outcome of its message."""


class Retry(Outcome):
    """Handle the message again, ``after`` seconds (or a timedelta) from now, or by the consumer's backoff.

    Counts as an attempt, so that a handler that always asks for another reaches the dead letter. Raises
    ValueError or TypeError for an ``after`` that is no time, or more than ten years.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not seconds <= LATEST:
            raise ValueError(f"Retry(after={seconds}): not a time within ten years")
        self.after = None if seconds is None else max(0.0, float(seconds))


class Discard(Outcome):
    """Forget the message: it is acknowledged, and the handler's writes in its transaction are rolled back."""


class DeadLetter(Outcome):
    """Move the message to the dead-letter queue now, with this reason."""


Errors = (
    Mapping[Change[Any], BaseException | str]
    | Mapping[Message[Any], BaseException | str]
    | Mapping[Change[Any] | Message[Any], BaseException | str]
)


class Failed(Outcome):
    """Raised by a handler of batches: these of it failed, each with its error, and the others did not.

    An error is any exception, Retry, Discard and DeadLetter among them, or a text. The others are
    acknowledged; in a transaction, which is rolled back, the handler is called anew with them alone. Raises
    ValueError for an empty mapping, TypeError for a value that is neither an exception nor a text.
    """

    def __init__(self, errors: Errors) -> None:
        if not errors:
            raise ValueError("Failed names no change or message: raise it only where some failed")
        for error in errors.values():
            if not isinstance(error, BaseException | str):
                raise TypeError(f"Failed takes an exception or a text for each, not {error!r}")
        self.errors = {
            f"{item.queue}:{item.msg_id}": Retry(error) if isinstance(error, str) else error
            for item, error in errors.items()
        }
        super().__init__(f"{len(self.errors)} of the batch failed")
