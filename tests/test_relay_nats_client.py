"""The client of NATS: answers are read wherever the network cuts them, and headers stay lines."""

from __future__ import annotations

import asyncio
import random

import pytest

from changelane.runner.relay.engine import Outcome
from changelane.runner.relay.nats_client import AnsweringClient, judge, spell_headers

INBOX = b"_INBOX.abc."


def make_answer(number: int, text: bytes, *, subject: bytes = INBOX) -> bytes:
    return b"MSG %b%d 1 %d\r\n%b\r\n" % (subject, number, len(text), text)


def read(pieces: list[bytes]) -> tuple[list[tuple[int, Outcome]], list[bytes]]:
    """The answers that our parser reads, and the bytes that the client gets."""
    heard: list[tuple[int, Outcome]] = []
    others: list[bytes] = []

    class Client(AnsweringClient):
        async def _process_msg(
            self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
        ) -> None:
            if sid != self._answers:
                others.append(data)
            else:
                await super()._process_msg(sid, subject, reply, data, headers)

        async def _process_ping(self) -> None:
            others.append(b"PING")

        async def _process_err(self, err_msg: str) -> None:
            others.append(err_msg.strip("'").encode())

    async def run() -> None:
        client = Client(lambda number, outcome: heard.append((number, outcome)))
        client._answers, client._inbox = 1, INBOX
        client._parser.listen(INBOX)
        for piece in pieces:
            await client._ps.parse(piece)

    asyncio.run(run())
    return heard, others


def test_answers_are_read_wherever_they_are_cut() -> None:
    chance = random.Random(7)
    # A payload that looks like an answer does not count as one.
    lure = make_answer(99, b"{}")
    for _ in range(300):
        stream, expected, others = b"", [], []
        for number in range(chance.randint(1, 12)):
            match chance.randint(0, 5):
                case 0:
                    stream += b"PING\r\n"
                    others.append(b"PING")
                case 1:
                    stream += b"MSG other 2 %d\r\nx\r\n%b\r\n" % (len(lure) + 3, lure)
                    others.append(b"x\r\n" + lure)
                case 2:
                    headers = b"NATS/1.0 503\r\n\r\n"
                    size = len(headers)
                    stream += b"HMSG %b%d 1 %d %d\r\n%b\r\n" % (INBOX, number, size, size, headers)
                    expected.append((number, "unavailable"))
                case 3:
                    stream += b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"
                    others.append(b'permissions violation for publish to "x"')
                case _:
                    twice = chance.random() < 0.3
                    text = b'{"stream":"S","seq":1%b}' % (b',"duplicate": true' if twice else b"")
                    stream += make_answer(number, text)
                    expected.append((number, "duplicate" if twice else "confirmed"))
        cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randint(0, 8)))
        pieces = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        heard, got = read(pieces)
        assert [(number, outcome.kind) for number, outcome in heard] == expected
        assert got == others


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b'{"stream":"error","seq":1}', "confirmed"),
        (b'{"stream":"duplicate","seq":1,"duplicate":false}', "confirmed"),
        (b'{"stream":"S","seq":1,"duplicate":true}', "duplicate"),
        (b'{"error":{"code":400,"err_code":10054,"description":"large"},"seq":0}', "refused"),
        (b'{"stream":"S","error":{"code":503,"description":"full"}}', "unavailable"),
        (b'{"error":{"code":403,"description":"no"}}', "misconfigured"),
        (b'{"error":"odd"}', "failed"),
        (b"[]", "failed"),
        (b"hello", "failed"),
        (b"", "failed"),
    ],
)  # fmt: skip
def test_an_answer_says_what_became_of_the_message(text: bytes, kind: str) -> None:
    assert judge(text, None).kind == kind


def test_no_value_begins_another_header() -> None:
    assert spell_headers({"id": "1", "x": "é"}) == "NATS/1.0\r\nid: 1\r\nx: é\r\n\r\n".encode()
    for value in ("a\r\nb: c", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line end"):
            spell_headers({"id": value})
