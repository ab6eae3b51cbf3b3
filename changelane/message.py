"""What a handler is given of a message that no capture wrote."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

from changelane.contract.envelope import ID

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    BodyT_co = TypeVar("BodyT_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    BodyT_co = TypeVar("BodyT_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[BodyT_co]):
    """One message of a queue, whoever sent it.

    ``body`` is any JSON value. Its numbers are exact: ``int`` or ``Decimal``. ``enqueued_at`` is when it was
    sent. ``attempt`` counts from 1: failed attempts before this one, plus one.

    ``Message[MailJob]``, with a TypedDict, a dataclass or a pydantic model, is a message whose body is
    validated and converted before the handler gets it.
    """

    body: BodyT_co
    queue: str
    msg_id: int
    attempt: int
    enqueued_at: datetime
    headers: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The header ``id`` where it is a text, else ``queue:msg_id``: the identity for de-duplication."""
        given = self.headers.get(ID)
        return given if isinstance(given, str) and given else f"{self.queue}:{self.msg_id}"

    def __hash__(self) -> int:
        return hash((self.queue, self.msg_id))
