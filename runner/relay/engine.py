"""What a relay asks of an engine: connect, check, publish, and say what became of each message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from changelane.contract.destination import Relay


@dataclass(slots=True, frozen=True)
class Outgoing:
    """One message for an engine. ``address`` is its subject, topic, stream or routing key, escaped already.

    Receivers de-duplicate by ``id``. ``key`` is the record key as bytes. ``headers`` hold text only.
    ``tombstone`` asks Kafka for a record without a value after this one. ``lasting`` says that no other
    message ever has this id.
    """

    id: str
    address: str
    body: bytes
    key: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    tombstone: bool = False
    lasting: bool = True


Kind = Literal["confirmed", "duplicate", "refused", "unroutable", "failed", "unavailable", "misconfigured"]


@dataclass(slots=True, frozen=True)
class Outcome:
    """What became of one message.

    ``confirmed``: the engine stored it, or ``duplicate``, had stored it before. ``refused``: no attempt can
    succeed, the message is at fault. ``unroutable``: nothing takes messages with its address. ``failed``:
    another attempt may succeed, and this one counts.
    ``unavailable``: the engine did not answer, or cannot store anything now. ``misconfigured``: nothing can
    be sent until a person changes the engine or the spec. ``text`` holds the engine's words.
    """

    kind: Kind
    text: str = ""
    after: float | None = None


CONFIRMED = Outcome("confirmed")
DUPLICATE = Outcome("duplicate")


@dataclass(slots=True, frozen=True)
class Finding:
    """Something on the engine's side that is wrong (``error``), or that may lose or repeat messages."""

    severity: Literal["error", "warning"]
    text: str
    fix: str = ""


class Unavailable(Exception):
    """The engine cannot be reached now. The text never holds a secret."""


class Misconfigured(Exception):
    """The engine refuses us until a person changes something; ``fix`` says what."""

    def __init__(self, text: str, *, fix: str = "") -> None:
        super().__init__(text)
        self.fix = fix


class Engine(Protocol):
    """One destination's connection, shared by the consumers of a process. Thread-safe."""

    def connect(self, *, timeout: float) -> None:
        """Connect where no connection is. Raises Unavailable or Misconfigured."""

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        """Missing or risky settings on the engine's side. Raises Unavailable or Misconfigured."""

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        """Publish, and wait for the engine's answers, at most for the relay's timeout; one outcome each.

        When it returns, nothing of the batch is on its way any more that this process could still take back.
        Raises nothing.
        """

    def close(self) -> None:
        """Give the connection up."""
