"""Looks at the destinations of all relays, in the worker's way to connect, and publishes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from changelane.contract.destination import Destination, Relay
from changelane.contract.manifest import Consumer
from changelane.errors import DestinationError
from changelane.runner.relay.destinations import make_engine
from changelane.runner.relay.engine import Finding, Misconfigured, Unavailable
from changelane.text import clean_line

PATIENCE = 5.0
"""Seconds that each step of one destination may take, unless its relay's timeout is shorter."""

LIMIT = 20.0
"""Seconds that the look at all of them may take."""


@dataclass(frozen=True, slots=True)
class DestinationFinding:
    """What was found at the destination of one queue's relay."""

    queue: str
    destination: str
    engine: str
    finding: Finding


def check_destinations(
    consumers: Sequence[Consumer], destinations: Sequence[Destination]
) -> list[DestinationFinding]:
    """Every finding, by queue: what the worker would stop at or warn of. It connects to all destinations at
    once, takes LIMIT seconds at most, and raises nothing. What could not be looked at is a finding, too.
    """
    declared = {destination.name: destination for destination in destinations}
    found: dict[str, list[Finding]] = {}
    threads: list[threading.Thread] = []
    relays = [(consumer, consumer.relay) for consumer in consumers if consumer.relay is not None]
    for consumer, relay in relays:
        arguments = (consumer, relay, declared[relay.to], found)
        threads.append(threading.Thread(target=_look, args=arguments, daemon=True))
        threads[-1].start()
    until = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    late = Finding("error", f"no answer within {LIMIT:g} s", "see that it answers from here, and run again")
    return [
        DestinationFinding(consumer.queue, relay.to, declared[relay.to].kind, _clean(finding))
        for consumer, relay in relays
        for finding in found.get(consumer.queue, [late])
    ]


def _look(
    consumer: Consumer, relay: Relay, destination: Destination, found: dict[str, list[Finding]]
) -> None:
    try:
        found[consumer.queue] = _examine(consumer, relay, destination)
    except Exception as error:  # noqa: BLE001 - a client may raise anything
        text = f"{type(error).__name__}: {error}"
        found[consumer.queue] = [Finding("error", text, "see the client's words")]


def _examine(consumer: Consumer, relay: Relay, destination: Destination) -> list[Finding]:
    timeout = min(PATIENCE, relay.timeout)
    try:
        _read_secrets(destination)
        engine = make_engine(destination)
    except DestinationError as error:
        # The worker may have what this machine lacks.
        return [Finding("warning", f"not looked at: {error.what}", error.fix)]
    try:
        engine.connect(timeout=timeout)
        # Its findings are those of the relay as it is declared, whatever this look may take.
        return engine.check(relay, lease=consumer.lease, timeout=timeout)
    except Misconfigured as error:
        return [Finding("error", str(error), error.fix or "change the engine or the spec")]
    except Unavailable as error:
        return [Finding("error", str(error), "start it, or mend the address; a worker pauses until then")]
    finally:
        engine.close()


def _clean(finding: Finding) -> Finding:
    """An engine may say what changes the state of a terminal."""
    return Finding(finding.severity, clean_line(finding.text), clean_line(finding.fix))


def _read_secrets(destination: Destination) -> None:
    """Raises DestinationError where a secret is not to be found on this machine."""
    for secret in destination.list_secrets():
        secret.read()
