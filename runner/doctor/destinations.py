"""What is wrong with the engines that relays send to, seen from this machine."""

from __future__ import annotations

from changelane.contract.manifest import Manifest
from changelane.runner.doctor.finding import Finding
from changelane.runner.relay.survey import DestinationFinding, check_destinations


def find_destination_problems(manifest: Manifest) -> list[Finding]:
    """Connects to every destination, for some seconds at most, and publishes nothing."""
    return [_describe(look) for look in check_destinations(manifest.consumers, manifest.destinations)]


def _describe(look: DestinationFinding) -> Finding:
    what = f"destination {look.destination} ({look.engine}) of queue {look.queue}: {look.finding.text}"
    if look.finding.severity == "error":
        return Finding(
            code="destination-unready",
            what=what,
            why="its relay cannot send, and its messages wait",
            fix=look.finding.fix,
        )
    return Finding(
        code="destination-risky",
        what=what,
        why="messages may be lost, or stored twice, after the relay handed them over",
        fix=look.finding.fix,
    )
