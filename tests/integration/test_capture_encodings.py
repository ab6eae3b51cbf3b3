"""Captured writes in databases whose encoding is not UTF8."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import psycopg
import pytest
from support.captures import WAYS, Rig, name_way
from test_encodings import lend_encoded

from changelane.runner.live import pgmq

ENCODINGS = {
    # Text that the encoding can store, and escapes in JSON for characters that it cannot.
    "LATIN1": ("\N{LATIN SMALL LETTER E WITH ACUTE}", ["\\u4e2d", "\\u0100", "\\ud83d\\ude00", "\\u0000"]),
    "WIN1251": ("\N{CYRILLIC SMALL LETTER ZHE}", ["\\u4e2d", "\\u00e9", "\\ud83d\\ude00", "\\udc00"]),
    "EUC_JP": ("\N{HIRAGANA LETTER A}", ["\\u0e01", "\\ud83d\\ude00", "\\ud800"]),
}


@pytest.fixture(scope="module", params=ENCODINGS)
def shared(server: str, request: pytest.FixtureRequest) -> Iterator[tuple[Rig, str]]:
    for url in lend_encoded(server, request.param):
        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as conn:
            pgmq.install(conn)
            yield Rig(conn, url), request.param


@pytest.mark.parametrize("way", WAYS, ids=name_way)
def test_a_write_succeeds_whatever_its_json_holds(shared: tuple[Rig, str], way: dict[str, str]) -> None:
    rig, encoding = shared
    known, unknown = ENCODINGS[encoding]
    rig.clear()
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a text, b json, c json[])")
    rig.capture(
        {**way, "payload": {"mask": {"a": "sha256"}}},
        {**way, "queue": "keyed", "key": ["b", "id"], "payload": {"columns": ["id", "b"], "old": "changed"}},
        {
            **way,
            "queue": "other",
            "when": f"new.a <> '{known}!' OR old.id >= 0",
            "payload": {"columns": ["a"]},
        },
    )
    escapes = [*unknown, "\\u0041", f"\\u{ord(known):04x}"]
    for number, escape in enumerate(escapes):
        values = f"'{known}', '{{\"{escape}\": \"{known}\"}}', ARRAY['\"{escape}\"'::json]"
        rig.run(f"INSERT INTO t VALUES ({number}, {values})")
    rig.run("UPDATE t SET a = a || 'x'", "DELETE FROM t")
    lacking = len(unknown)
    for queue in ("events", "keyed"):
        cut = {message["key"]["id"]: message.get("truncated") for message, _ in rig.messages(queue)}
        assert cut == {number: True if number < lacking else None for number in range(len(escapes))}, queue
    other = [message for message, _ in rig.messages("other")]
    assert [message["op"] for message in other] == [
        op for op in ("insert", "update", "delete") for _ in escapes
    ]
    assert {(message["new"] or message["old"])["a"] for message in other} == {known, known + "x"}


def test_a_mask_is_the_hash_of_utf8_where_there_is_one(shared: tuple[Rig, str]) -> None:
    rig, encoding = shared
    known, _ = ENCODINGS[encoding]
    rig.clear()
    rig.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
    rig.capture({"payload": {"mask": {"a": "sha256"}}})
    rig.run(f"INSERT INTO t VALUES (1, '{known}')")
    ((message, _),) = rig.messages()
    assert message["new"]["a"] == hashlib.sha256(known.encode()).hexdigest()


def test_a_character_that_utf8_lacks_fails_no_write(server: str) -> None:
    for url in lend_encoded(server, "WIN1252"):
        with psycopg.connect(url, autocommit=True, client_encoding="utf8") as conn:
            pgmq.install(conn)
            rig = Rig(conn, url)
            rig.clear()
            rig.run("CREATE TABLE t (id int PRIMARY KEY, a text)")
            rig.capture({"payload": {"mask": {"a": "sha256"}}}, {"queue": "plain"})
            rig.run("INSERT INTO t VALUES (1, chr(129))", "UPDATE t SET a = a || 'x'", "DELETE FROM t")
            masked = [(message["new"] or message["old"])["a"] for message, _ in rig.messages()]
            digests = [hashlib.sha256(text).hexdigest() for text in (b"\x81", b"\x81x", b"\x81x")]
            assert masked == digests
            assert rig.value("SELECT count(*) FROM pgmq.q_plain") == 3
