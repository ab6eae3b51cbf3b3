"""Engines that do the least that any client could, to tell the cost of an engine from that of its relay.

Each sends what a relay sends, headers and ids included, and waits until every message is confirmed. They do
nothing else: no login, no limit of time, no look at what an answer says, and nothing for a lost connection.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from confluent_kafka import Producer

from changelane.contract.destination import Relay
from changelane.runner.relay.engine import CONFIRMED, Finding, Outcome, Outgoing

READ = 65536
"""Bytes that are read at once."""

_CONNECT = b'CONNECT {"verbose":false,"headers":true,"protocol":1}\r\nSUB %b 1\r\nPING\r\n'
_ANSWER = re.compile(rb'MSG \S+ 1 \d+\r\n\{"stream":"')


class BareEngine:
    """What both have: nothing to look at, nothing to connect ahead."""

    def connect(self, *, timeout: float) -> None:
        pass

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        return []

    def close(self) -> None:
        pass


class BareNats(BareEngine):
    """A socket for each publisher."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._own = threading.local()

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        if not hasattr(self._own, "socket"):
            self._own.inbox = b"bare.%d" % threading.get_native_id()
            self._own.socket = self._open(self._own.inbox)
        frames, inbox = [], self._own.inbox
        for message in batch:
            lines = "".join([f"{name}: {value}\r\n" for name, value in message.headers.items()])
            head = f"NATS/1.0\r\n{lines}Nats-Msg-Id: {message.id}\r\n\r\n".encode()
            size = len(head)
            frames.append(
                b"HPUB %b %b %d %d\r\n%b%b\r\n"
                % (message.address.encode(), inbox, size, size + len(message.body), head, message.body)
            )
        self._own.socket.sendall(b"".join(frames))
        left, rest = len(batch), b""
        while left > 0:
            data = rest + self._own.socket.recv(READ)
            end = 0
            for answer in _ANSWER.finditer(data):
                left -= 1
                end = answer.end()
            rest = data[end:]
        return [CONFIRMED] * len(batch)

    def _open(self, inbox: bytes) -> socket.socket:
        opened = socket.create_connection(self._address)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(_CONNECT % inbox)
        heard = b""
        while b"PONG" not in heard:
            heard += opened.recv(READ)
        return opened


class BareKafka(BareEngine):
    """One producer, and a count of what it reported."""

    def __init__(self, address: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "linger.ms": 1,
                "log_level": 0,
            }
        )

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        done: list[object] = []

        def count(error: object, _message: object) -> None:
            assert error is None
            done.append(error)

        for message in batch:
            headers: dict[str, str | bytes | None] = dict(message.headers)
            self._producer.produce(
                message.address, value=message.body, key=message.key, headers=headers, on_delivery=count
            )
        while len(done) < len(batch):
            self._producer.poll(0.1)
        return [CONFIRMED] * len(batch)
