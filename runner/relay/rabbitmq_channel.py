"""A channel of RabbitMQ in confirm mode, which carries one batch at a time.

A broker closes a channel for one message that it does not take, and everything in flight there fails. So no
two batches share a channel.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pika import exceptions, spec
from pika.channel import Channel

from changelane.runner.relay.batch import Batch
from changelane.runner.relay.engine import CONFIRMED, Outcome, Outgoing, Unavailable

PERSISTENT = 2

LONGEST_ID = 255
"""Bytes of AMQP's short strings, and ids are ASCII. The header ``id`` has the whole id."""

_BESIDE = 1024
"""Bytes of a header frame beside its headers, at most."""

_REJECTED = Outcome("unavailable", "the broker rejects messages, as a full queue does")
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED, _TOO_LARGE = 403, 404, 406, 311
_LIMIT = re.compile(r"larger than (?:configured )?max size (\d+)")


class ConfirmChannel:
    """``open`` it first. It belongs to one event loop.

    ``refusal`` is set when the broker closed the channel for one of its messages: it is the outcome of all
    that had no confirm then. ``limit`` is the most bytes that the broker takes, where it said so.
    """

    def __init__(self, connection: Any) -> None:
        self.refusal: Outcome | None = None
        self.limit: int | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._batch = Batch(0)
        self._tag = 0
        self._pending: dict[int, int] = {}
        self._returned: dict[tuple[str, str], str] = {}
        self._longest_headers = connection.params.frame_max - _BESIDE
        self._channel: Channel = connection.channel(on_open_callback=self._confirm)
        self._channel.add_on_return_callback(self._take_back)
        self._channel.add_on_close_callback(self._note_closed)

    async def open(self, *, timeout: float) -> None:
        """Raises Unavailable."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready
        except TimeoutError:
            raise Unavailable(f"no channel within {timeout:g} s") from None

    @property
    def is_open(self) -> bool:
        return bool(self._channel.is_open)

    def close(self) -> None:
        with suppress(exceptions.AMQPError):
            self._channel.close()

    async def send(
        self, messages: Sequence[Outgoing], *, exchange: str, timeout: float
    ) -> list[Outcome | None]:
        """Publish, and wait for the confirms; None stands for a message without an answer."""
        batch = self._batch = Batch(len(messages))
        self._pending, self._returned = {}, {}
        for index, message in enumerate(messages):
            size = sum(len(name) + len(value.encode()) + 6 for name, value in message.headers.items())
            if size > self._longest_headers:
                # The broker would close the connection.
                text = f"headers of {size} bytes; a frame takes {self._longest_headers}"
                batch.put(index, Outcome("refused", text))
                continue
            headers: dict[str, Any] = dict(message.headers)
            properties = spec.BasicProperties(
                content_type=headers.pop("content-type", None),
                delivery_mode=PERSISTENT,
                message_id=message.id[:LONGEST_ID],
                headers=headers,
            )
            try:
                self._channel.basic_publish(
                    exchange, message.address, message.body, properties, mandatory=True
                )
            except exceptions.AMQPError as error:
                for rest in range(index, len(messages)):
                    batch.put(rest, Outcome("unavailable", say(error)))
                break
            self._tag += 1
            self._pending[self._tag] = index
        await batch.wait(timeout)
        self._pending = {}
        return [self._look_up(*pair) for pair in zip(messages, batch.outcomes, strict=True)]

    def fail(self, outcome: Outcome) -> None:
        """End everything that waits for a confirm."""
        pending, self._pending = self._pending, {}
        for index in pending.values():
            self._batch.put(index, outcome)

    def _look_up(self, message: Outgoing, outcome: Outcome | None) -> Outcome | None:
        if outcome is not CONFIRMED or not self._returned:
            return outcome
        text = self._returned.get((message.id[:LONGEST_ID], message.address))
        return outcome if text is None else Outcome("unroutable", text)

    def _confirm(self, channel: Channel) -> None:
        def finish(_frame: Any) -> None:
            if not self._ready.done():
                self._ready.set_result(None)

        channel.confirm_delivery(self._hear, finish)

    def _hear(self, frame: Any) -> None:
        """Take a confirm, of one message or of all up to it."""
        method = frame.method
        outcome = _REJECTED if isinstance(method, spec.Basic.Nack) else CONFIRMED
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._pending if tag <= method.delivery_tag]
        for tag in tags:
            index = self._pending.pop(tag, None)
            if index is not None:
                self._batch.put(index, outcome)

    def _take_back(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        """A message that no queue takes comes back, and is confirmed after that."""
        where = f"exchange {method.exchange}" if method.exchange else "the default exchange"
        text = f"{method.reply_text}: no queue takes routing key {method.routing_key} at {where}"
        self._returned[str(properties.message_id), method.routing_key] = text

    def _note_closed(self, _channel: Channel, error: BaseException) -> None:
        text, code = say(error), 0
        if isinstance(error, exceptions.ChannelClosedByBroker):
            code = error.reply_code
        if not self._ready.done():
            self._ready.set_exception(Unavailable(text))
        if code in (_ACCESS_REFUSED, _NOT_FOUND):
            self.fail(Outcome("misconfigured", text))
        elif code in (_PRECONDITION_FAILED, _TOO_LARGE):
            self.refusal = Outcome("refused", text)
            limit = _LIMIT.search(text)
            self.limit = int(limit[1]) if limit else None
            self.fail(self.refusal)
        else:
            self.fail(Outcome("unavailable", text))


def say(error: BaseException | str) -> str:
    """The broker's or the client's words, one line."""
    text = getattr(error, "reply_text", None) or str(error)
    return str(text).partition("\n")[0] or type(error).__name__
