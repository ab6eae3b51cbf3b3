"""The addresses that a relay over HTTP may connect to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support.http_receiver import Receiver, run_receiver
from support.webhook_engine import open_engine, post

from changelane.runner.relay.address_ranges import AddressRanges, Denied
from changelane.runner.relay.engine import Misconfigured, Outcome


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as found:
        yield found


@pytest.mark.parametrize(
    ("options", "reached"),
    [
        ({}, True),
        ({"deny": ["private"]}, False),
        ({"deny": ["127.0.0.0/8"]}, False),
        ({"allow": ["private"]}, True),
        ({"allow": ["10.0.0.0/8"]}, False),
        ({"allow": ["127.0.0.1/32", "::1/128"]}, True),
        ({"allow": ["private"], "deny": ["127.0.0.1", "::1"]}, False),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_only_addresses_in_the_allowed_ranges_are_connected_to(
    receiver: Receiver, options: dict[str, Any], reached: bool, host: str
) -> None:
    with open_engine(receiver.url.replace("127.0.0.1", host), **options) as engine:
        if reached:
            engine.connect(timeout=20)
            assert post(engine) == [Outcome("confirmed")]
        else:
            with pytest.raises(Misconfigured, match="exclude"):
                engine.connect(timeout=20)
            (outcome,) = post(engine)
            assert outcome.kind == "misconfigured"
            assert "exclude" in outcome.text
            assert receiver.requests == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1",
     "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe",
     "2002:7f00:1::", "224.0.0.1", "ff02::1", "255.255.255.255"],
)  # fmt: skip
def test_no_spelling_of_a_private_address_passes(address: str) -> None:
    with pytest.raises(Denied):
        AddressRanges(allow=(), deny=["private"]).check(address)


def test_public_addresses_pass() -> None:
    ranges = AddressRanges(allow=(), deny=["private"])
    for address in ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"):
        ranges.check(address)


def test_a_name_that_leads_to_another_address_later_is_judged_again(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up says a public address first and a private one later: no check is of another look-up."""
    real = socket.getaddrinfo
    answers = ["93.184.215.14", "127.0.0.1"]

    def look_up(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host != "rebinding.example":
            return real(host, port, *rest, **named)
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    ranges = AddressRanges(allow=(), deny=["private"])
    assert ranges.select([answers[0]]) == [answers[0]]
    answers.pop(0)
    with open_engine(receiver.url.replace("127.0.0.1", "rebinding.example"), deny=["private"]) as engine:
        (outcome,) = post(engine)
    assert outcome.kind == "misconfigured"
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f000001", "0177.0.0.1"])
def test_no_odd_spelling_in_the_url_leads_to_a_private_address(receiver: Receiver, host: str) -> None:
    with open_engine(receiver.url.replace("127.0.0.1", host), deny=["private"]) as engine:
        (outcome,) = post(engine)
    assert outcome.kind in ("misconfigured", "unavailable")
    assert receiver.requests == []
