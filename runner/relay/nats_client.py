"""nats-py's client, with a shorter way for a relay's work: many messages at once, and an answer to each.

The client writes each message by itself, and hands each answer to a task. That costs twice what the rest of a
relay does. So a batch is one write here, and answers are taken where the client's parser finds them. All
else is the client's: logins, encryption, pings, requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import orjson
from nats import errors
from nats.aio.client import Client
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from changelane.runner.relay.engine import CONFIRMED, DUPLICATE, Outcome

PART = 250
"""Messages that are written at once, so that the socket is busy while more are made."""

LACKS_STREAM = "no stream of JetStream takes the subject"

ID = "Nats-Msg-Id"

_STATUS = b"NATS/1.0"
_SILENT = b"503"
_TOO_LARGE = 10054
_CR = "\r"

_STORED = rb'\{"stream":"[^"\\\s]*", ?(?:"domain":"[^"\\\s]*", ?)?"seq":\d+\}'
"""An answer as the server writes it to all but a few messages: stored, for the first time. Nothing in it is
possessive, because Python before 3.11.5 matches possessive groups wrongly.
"""

Place = tuple[bytes, bytes]
"""The digits of a batch's number, and of a message's place in it: the end of the subject of an answer."""

Hear = Callable[[Sequence[Place], Outcome], None]


class _AnswerParser(Parser):
    """Reads answers itself, and leaves everything else to the client's parser."""

    def __init__(self, client: Client, hear: Hear) -> None:
        super().__init__(client)
        self._hear_answers = hear
        self.listen(b"\n")

    def listen(self, inbox: bytes) -> None:
        """Take what comes to the inbox as answers."""
        self._begin = b"MSG " + inbox
        line = re.escape(self._begin) + rb"(\d{1,18})\.(\d{1,9}) \d+ (\d{1,9})\r\n"
        stored = line + _STORED + rb"\r\n"
        self._line = re.compile(line)
        self._stored = re.compile(stored)
        # Hundreds of answers in one step.
        self._all_stored = re.compile(b"(?:%b)+" % stored)

    async def parse(self, data: bytes = b"") -> None:
        if self.state == AWAITING_CONTROL_LINE and self.buf:
            data = bytes(self.buf) + data
            self.buf.clear()
        at = 0
        while at < len(data):
            if self.state == AWAITING_CONTROL_LINE and not self.buf:
                at = self._take_answers(data, at)
                if self._is_part(data, at):
                    self.buf.extend(data[at:])
                    return
            found = data.find(b"\r\n" + self._begin, at)
            end = len(data) if found < 0 else found + 2
            await super().parse(data[at:end])
            at = end

    def _take_answers(self, data: bytes, at: int) -> int:
        """Where the first thing begins that is no whole answer."""
        while line := self._line.match(data, at):
            if stored := self._all_stored.match(data, at):
                places = [(batch, index) for batch, index, _ in self._stored.findall(data, at, stored.end())]
                self._hear_answers(places, CONFIRMED)
                at = stored.end()
                continue
            begin = line.end()
            end = begin + int(line[3])
            if end + 2 > len(data):
                return at
            self._hear_answers([(line[1], line[2])], judge(data[begin:end], None))
            at = end + 2
        return at

    def _is_part(self, data: bytes, at: int) -> bool:
        """Whether an answer begins there, and more of it is still to come."""
        begun = self._begin.startswith(data[at : at + len(self._begin)])
        return begun and (self._line.match(data, at) is not None or b"\r\n" not in data[at:])


class AnsweringClient(Client):
    """``hear`` gets the places of messages, as the subjects of their answers name them, and the outcome that
    these answers tell.
    """

    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear_answers = hear
        self._answers = -1
        self._inbox = b""
        self._ps = self._parser = _AnswerParser(self, hear)

    async def listen(self) -> None:
        """Take answers from now on."""
        inbox = self.new_inbox()
        self._answers = (await self.subscribe(f"{inbox}.*.*"))._id
        self._inbox = f"{inbox}.".encode()
        self._parser.listen(self._inbox)

    async def send(self, frames: Iterable[bytes]) -> None:
        """Write frames of ``make_frame``. Raises what the client raises for a connection that is gone."""
        rest = iter(frames)
        while part := b"".join(islice(rest, PART)):
            if not self.is_connected:
                raise errors.ConnectionClosedError
            await self._send_command(part)
            await self._flush_pending()

    def make_frame(self, subject: str, lines: bytes, body: bytes, *, batch: int, index: int) -> bytes:
        """One message with its answer due at a place of a batch; ``lines`` are of ``spell_headers``."""
        size = len(lines)
        return b"HPUB %b %b%d.%d %d %d\r\n%b%b\r\n" % (
            subject.encode(), self._inbox, batch, index, size, size + len(body), lines, body,
        )  # fmt: skip

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if sid == self._answers:
            # One with headers, as where nobody answers for a subject.
            batch, _, index = subject[len(self._inbox) :].partition(b".")
            self._hear_answers([(batch, index)], judge(data, headers))
        else:
            await super()._process_msg(sid, subject, reply, data, headers)


def spell_headers(headers: dict[str, str], *, id: str = "") -> bytes:
    """The lines of the headers, with an ``id`` by which the stream de-duplicates. Raises ValueError where a
    header would begin another one.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if id:
        lines += f"{ID}: {id}\r\n"
    count = len(headers) + bool(id)
    if lines.count("\n") != count or lines.count(_CR) != count:
        raise ValueError("a header with a line end")
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def judge(data: bytes, headers: bytes | None) -> Outcome:
    """What an answer of JetStream says."""
    if headers and headers.removeprefix(_STATUS).lstrip().startswith(_SILENT):
        return Outcome("unavailable", LACKS_STREAM)
    try:
        answer = orjson.loads(data)
        problem = answer.get("error")
        if problem is None:
            return DUPLICATE if answer.get("duplicate") else CONFIRMED
        code, text = problem.get("code", 0), str(problem.get("description"))
        if code >= 500:
            return Outcome("unavailable", text)
        if code in (401, 403):
            return Outcome("misconfigured", text)
        return Outcome("refused" if problem.get("err_code") == _TOO_LARGE else "failed", text)
    except (ValueError, AttributeError, TypeError):
        return Outcome("failed", "an answer that is not JetStream's")
