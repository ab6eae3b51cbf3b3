"""Relays that do not send, as their workers told it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from shlex import quote
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest
from changelane.runner.doctor.finding import Finding, say_seconds
from changelane.runner.live.relay_states import RelayState, list_relay_states
from changelane.text import clean_line

PAUSED = 60.0
"""Seconds after which a paused relay is a finding."""


def find_relays(conn: psycopg.Connection[Any], manifest: Manifest) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    ours = {consumer.queue for consumer in manifest.consumers if consumer.relay is not None}
    for relay in list_relay_states(conn):
        if relay.queue not in ours:
            continue
        if relay.state == "stopped":
            yield Finding(
                code="relay-stopped",
                what=f"{_name(relay)} stopped: {clean_line(relay.error or '')}",
                why="its messages wait until a person changes the engine or the spec",
                fix=f"change that, then: changelane work {quote(relay.queue)}",
            )
        elif relay.state == "paused" and (seconds := _measure(relay)) >= PAUSED:
            yield Finding(
                code="relay-paused",
                what=f"{_name(relay)} is paused for {say_seconds(seconds)}: {clean_line(relay.error or '')}",
                why="its engine does not answer; no attempt is spent, and the queue grows",
                fix=f"bring the engine of {relay.destination} back: the relay then goes on by itself",
            )


def _name(relay: RelayState) -> str:
    return f"the relay of queue {relay.queue} to {relay.destination} in process {clean_line(relay.process)}"


def _measure(relay: RelayState) -> float:
    return (datetime.now(UTC) - relay.since).total_seconds()
