"""RabbitMQ: persistent, mandatory messages, each confirmed by the broker. pika brings the protocol.

A broker that is short of memory or disk stops to read from its publishers, and keeps what they sent before.
That connection is kept, too: it says when the alarm is over, without one more message that would be stored.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel

from changelane.contract.destination import RabbitMq, Relay
from changelane.contract.template import parse_template
from changelane.errors import DestinationError
from changelane.runner.relay.engine import Finding, Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.event_loop import EventLoop
from changelane.runner.relay.rabbitmq_channel import ConfirmChannel, say
from changelane.runner.relay.tls import find_refusal, make_tls_context

LEAVE = 1.0
"""Seconds that a connection has to close in order."""

HEARTBEAT = 20
"""Seconds after which a connection that says nothing is asked."""

_ACCESS_REFUSED, _NOT_FOUND = 403, 404
_REFUSED = re.compile(r"ConnectionClosedByBroker: \((?:403|530)\) '([^']*)'")


class _Connection(AsyncioConnection):  # type: ignore[misc]  # pika has no types.
    """Writes what a turn of the loop makes in one piece. The client's own way is a packet for each frame, of
    which a message has three.
    """

    def _adapter_emit_data(self, data: bytes) -> None:
        pieces: list[bytes] = self.__dict__.setdefault("_pieces", [])
        if not pieces:
            asyncio.get_running_loop().call_soon(self._write_pieces)
        pieces.append(data)

    def _write_pieces(self) -> None:
        pieces = self.__dict__.pop("_pieces")
        if self._transport is not None:
            super()._adapter_emit_data(b"".join(pieces))


class RabbitMqEngine:
    """A destination of kind ``rabbitmq``: one connection, and a channel for each batch in flight."""

    def __init__(self, destination: RabbitMq, *, name: str) -> None:
        self._destination = destination
        self._loop = EventLoop(name=f"relay-{name}")
        self._opening = asyncio.Lock()
        self._connection: AsyncioConnection | None = None
        self._idle: list[ConfirmChannel] = []
        self._blocked = ""
        self._limit: int | None = None

    def connect(self, *, timeout: float) -> None:
        self._loop.run(self._open(timeout))

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        return self._loop.run(self._check(relay, timeout))

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        return self._loop.run(self._publish(batch, relay))

    def close(self) -> None:
        async def leave() -> None:
            connection, self._connection = self._connection, None
            if connection is not None and connection.is_open:
                with suppress(exceptions.AMQPError):
                    connection.close()
                until = time.monotonic() + LEAVE
                while not connection.is_closed and time.monotonic() < until:
                    await asyncio.sleep(0.01)
            _cut_off(connection)

        self._loop.run(leave())
        self._loop.close()

    async def _open(self, timeout: float) -> AsyncioConnection:
        """The connection, made anew where it was lost. Raises Unavailable or Misconfigured."""
        async with self._opening:
            if self._connection is None or not self._connection.is_open:
                self._idle, self._blocked, self._limit = [], "", None
                self._connection = await self._dial(timeout)
            if self._blocked:
                raise Unavailable(self._blocked)
            return self._connection

    async def _dial(self, timeout: float) -> AsyncioConnection:
        opened: asyncio.Future[AsyncioConnection] = asyncio.get_running_loop().create_future()

        def succeed(connection: Any) -> None:
            if opened.done():
                _cut_off(connection)
            else:
                opened.set_result(connection)

        def fail(_connection: Any, error: BaseException | str) -> None:
            if not opened.done():
                opened.set_exception(_explain(error))

        def block(connection: Any, frame: Any) -> None:
            if connection is self._connection:
                self._blocked = f"the broker blocks publishers: {frame.method.reason}"

        def unblock(connection: Any, _frame: Any) -> None:
            if connection is self._connection:
                self._blocked = ""

        connection = _Connection(
            self._read_parameters(timeout), on_open_callback=succeed, on_open_error_callback=fail
        )
        connection.add_on_connection_blocked_callback(block)
        connection.add_on_connection_unblocked_callback(unblock)
        try:
            async with asyncio.timeout(timeout):
                return await opened
        except TimeoutError:
            raise Unavailable(f"no connection within {timeout:g} s") from None

    def _read_parameters(self, timeout: float) -> pika.URLParameters:
        named = self._destination
        try:
            url = named.url.read()
            parameters = pika.URLParameters(url)
            if named.username is not None and named.password is not None:
                parameters.credentials = pika.PlainCredentials(named.username, named.password.read())
            parts = urlsplit(url)
        except DestinationError as error:
            raise Misconfigured(error.what, fix=error.fix) from None
        except Exception:  # noqa: BLE001 - it may quote the address, which may hold a password
            raise Misconfigured("the address is no URL of AMQP", fix="as in amqp://host:5672/vhost") from None
        if parts.scheme == "amqps":
            parameters.ssl_options = pika.SSLOptions(make_tls_context(named.tls), parts.hostname)
        elif named.tls is not None:
            raise Misconfigured("`tls` is given for an address that is not encrypted", fix="write amqps://")
        parameters.heartbeat = HEARTBEAT
        parameters.connection_attempts = 1
        parameters.socket_timeout = parameters.stack_timeout = timeout
        parameters.client_properties = {"connection_name": "changelane"}
        return parameters

    async def _publish(self, batch: Sequence[Outgoing], relay: Relay) -> list[Outcome]:
        until = time.monotonic() + relay.timeout
        outcomes: list[Outcome | None] = [None] * len(batch)
        groups = [list(range(len(batch)))]
        while groups:
            group = self._refuse_large(groups.pop(), batch, outcomes)
            if not group:
                continue
            try:
                channel = await self._take_channel(until - time.monotonic())
            except (Unavailable, Misconfigured) as error:
                kind: Any = "misconfigured" if isinstance(error, Misconfigured) else "unavailable"
                rest = Outcome(kind, str(error))
                return [outcome or rest for outcome in outcomes]
            answers = await self._send(channel, [batch[index] for index in group], relay, until=until)
            for index, answer in zip(group, answers, strict=True):
                outcomes[index] = answer
            unsure = [
                index for index, answer in zip(group, answers, strict=True) if answer is channel.refusal
            ]
            if channel.refusal is None or len(unsure) < 2:
                continue
            for index in unsure:
                outcomes[index] = None
            if channel.limit is not None and channel.limit != self._limit:
                self._limit = channel.limit
                groups.append(unsure)
            else:
                half = len(unsure) // 2
                groups += [unsure[half:], unsure[:half]]
        return [outcome or Outcome("unavailable", "no confirm") for outcome in outcomes]

    def _refuse_large(
        self, group: list[int], batch: Sequence[Outgoing], outcomes: list[Outcome | None]
    ) -> list[int]:
        """Those of the group that the broker takes, as far as it has told its limit."""
        limit = self._limit
        if limit is None:
            return group
        for index in group:
            if len(batch[index].body) > limit:
                text = f"{len(batch[index].body)} bytes; the broker's max_message_size is {limit}"
                outcomes[index] = Outcome("refused", text)
        return [index for index in group if outcomes[index] is None]

    async def _take_channel(self, timeout: float) -> ConfirmChannel:
        """Raises Unavailable, Misconfigured."""
        connection = await self._open(max(0.1, timeout))
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                return channel
        try:
            channel = ConfirmChannel(connection)
            await channel.open(timeout=max(0.1, timeout))
        except exceptions.AMQPError as error:
            raise Unavailable(say(error)) from None
        except Unavailable:
            self._leave(connection)
            raise
        return channel

    async def _send(
        self, channel: ConfirmChannel, messages: list[Outgoing], relay: Relay, *, until: float
    ) -> list[Outcome]:
        """Send over a channel of our own, and put it back for the next batch."""
        connection = self._connection
        answers = await channel.send(
            messages, exchange=relay.exchange or "", timeout=until - time.monotonic()
        )
        if None not in answers:
            if channel.is_open and connection is self._connection:
                self._idle.append(channel)
        elif self._blocked and not _count_unsent(connection):
            channel.close()
        else:
            self._leave(connection)
        silent = Outcome("unavailable", self._blocked or f"no confirm within {relay.timeout:g} s")
        return [answer or silent for answer in answers]

    def _leave(self, connection: AsyncioConnection | None) -> None:
        if connection is self._connection:
            self._connection = None
        _cut_off(connection)

    async def _check(self, relay: Relay, timeout: float) -> list[Finding]:
        connection = await self._open(timeout)
        exchange = relay.exchange or ""
        parts = parse_template(relay.address, engine="rabbitmq").parts
        # The default exchange passes a message on to the queue of its routing key.
        queue = parts[0] if not exchange and len(parts) == 1 and isinstance(parts[0], str) else None
        if not exchange and queue is None:
            return []
        error = await _look(connection, exchange=exchange, queue=queue, timeout=timeout)
        code = getattr(error, "reply_code", 0)
        # A user that may write, and not look, is told at the first message.
        if error is None or code == _ACCESS_REFUSED:
            return []
        if code != _NOT_FOUND:
            raise Unavailable(say(error))
        vhost = connection.params.virtual_host
        command = ["rabbitmqadmin", *([] if vhost == "/" else [f"--vhost={vhost}"]), "declare"]
        if queue is None:
            command += ["exchange", f"name={exchange}", "type=topic", "durable=true"]
        else:
            command += ["queue", f"name={queue}", "durable=true"]
        return [Finding("error", say(error), f"create it: {shlex.join(command)}")]


async def _look(
    connection: AsyncioConnection, *, exchange: str, queue: str | None, timeout: float
) -> BaseException | None:
    """What the broker says of an exchange or a queue; None where it is there. Raises Unavailable."""
    answered: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def settle(error: BaseException | None) -> None:
        if not answered.done():
            answered.set_result(error)

    def ask(channel: Channel) -> None:
        # A passive declaration creates nothing; the broker closes the channel where nothing is there.
        if queue is None:
            channel.exchange_declare(exchange, passive=True, callback=lambda _frame: settle(None))
        else:
            channel.queue_declare(queue, passive=True, callback=lambda _frame: settle(None))

    channel = connection.channel(on_open_callback=ask)
    channel.add_on_close_callback(lambda _channel, error: settle(error))
    try:
        async with asyncio.timeout(timeout):
            error = await answered
    except TimeoutError:
        raise Unavailable(f"no answer within {timeout:g} s") from None
    if error is None:
        channel.close()
    return error


def _explain(error: BaseException | str) -> Exception:
    """The innermost of the errors that the client wraps into one another, as the kind that it is."""
    inner: Any = error
    while (cause := _find_cause(inner)) is not None:
        inner = cause
    if refusal := find_refusal(inner):
        return Misconfigured(refusal)
    # A broker that dies at that moment looks the same, but for its words.
    if refused := _REFUSED.search(str(inner)):
        return Misconfigured(f"the broker refuses the login: {refused[1]}")
    return Unavailable(f"the broker cannot be reached: {say(inner)}")


def _find_cause(error: Any) -> BaseException | None:
    causes = getattr(error, "exceptions", None) or [getattr(error, "exception", None)]
    if causes[-1] is None and getattr(error, "args", None):
        causes = [error.args[0]]
    return causes[-1] if isinstance(causes[-1], BaseException) else None


def _count_unsent(connection: AsyncioConnection | None) -> int:
    transport = getattr(connection, "_transport", None)
    return 0 if transport is None else int(transport.get_write_buffer_size())


def _cut_off(connection: AsyncioConnection | None) -> None:
    """Throw away what the connection has not sent yet. Its own close would send it first."""
    transport = getattr(connection, "_transport", None)
    if transport is not None:
        transport.abort()
