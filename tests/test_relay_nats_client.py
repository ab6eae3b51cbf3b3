"""The client of NATS: answers are read wherever the network cuts them, and headers stay lines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from changelane.runner.relay.batch import Batch
from changelane.runner.relay.engine import CONFIRMED, Outcome
from changelane.runner.relay.nats_client import AnsweringClient, Place, judge, spell_headers

INBOX = b"_INBOX.abc."

ANSWERS = [
    *[(b'{"stream":"S", "seq":17}', "confirmed")] * 6,
    (b'{"stream":"S", "domain":"hub", "seq":17}', "confirmed"),
    (b'{"stream":"S","seq":1,"duplicate": true}', "duplicate"),
    (b'{"stream":"S", "seq":17, "later":{"members":1}}', "confirmed"),
    (b'{"error":{"code":400,"err_code":10054,"description":"MSG"},"seq":0}', "refused"),
]


def make_answer(batch: int, index: int, text: bytes) -> bytes:
    return b"MSG %b%d.%d 1 %d\r\n%b\r\n" % (INBOX, batch, index, len(text), text)


def read(pieces: list[bytes]) -> tuple[list[tuple[int, int, str]], list[bytes]]:
    """The answers that our parser reads, and the bytes that the client gets."""
    heard: list[tuple[int, int, str]] = []
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

    def hear(places: Sequence[Place], outcome: Outcome) -> None:
        heard.extend((int(batch), int(index), outcome.kind) for batch, index in places)

    async def run() -> None:
        client = Client(hear)
        client._answers, client._inbox = 1, INBOX
        client._parser.listen(INBOX)
        for piece in pieces:
            await client._ps.parse(piece)

    asyncio.run(run())
    return heard, others


def test_answers_are_read_wherever_they_are_cut() -> None:
    chance = random.Random(7)
    # A payload that looks like an answer does not count as one.
    lure = make_answer(9, 99, b'{"stream":"S", "seq":1}')
    for _ in range(300):
        stream, expected, others = b"", [], []
        for index in range(chance.randint(1, 24)):
            batch = chance.randint(1, 2)
            match chance.randint(0, 8):
                case 0:
                    stream += b"PING\r\n"
                    others.append(b"PING")
                case 1:
                    stream += b"MSG other 2 %d\r\nx\r\n%b\r\n" % (len(lure) + 3, lure)
                    others.append(b"x\r\n" + lure)
                case 2:
                    headers = b"NATS/1.0 503\r\n\r\n"
                    size = len(headers)
                    stream += b"HMSG %b%d.%d 1 %d %d\r\n%b\r\n" % (
                        INBOX, batch, index, size, size, headers,
                    )  # fmt: skip
                    expected.append((batch, index, "unavailable"))
                case 3:
                    stream += b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"
                    others.append(b'permissions violation for publish to "x"')
                case _:
                    text, kind = chance.choice(ANSWERS)
                    stream += make_answer(batch, index, text)
                    expected.append((batch, index, kind))
        cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randint(0, 8)))
        pieces = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        heard, got = read(pieces)
        assert heard == expected
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
    assert spell_headers({}, id="1") == b"NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n"
    for value in ("a\r\nb: c", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line end"):
            spell_headers({"id": value})
        with pytest.raises(ValueError, match="line end"):
            spell_headers({"x": "1"}, id=value)


def test_an_answer_to_nothing_that_was_sent_is_no_answer() -> None:
    async def run() -> None:
        batch = Batch(1)
        batch.put(7, CONFIRMED)
        assert batch.outcomes == [None]
        batch.put(0, CONFIRMED)
        batch.put_rest(Outcome("unavailable"))
        assert batch.outcomes == [CONFIRMED]
        assert await batch.wait(0.0)

    asyncio.run(run())
