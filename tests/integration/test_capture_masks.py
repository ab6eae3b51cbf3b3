"""Columns that a payload leaves out or masks, on a live server."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from support.captures import MANY_TYPES, WAYS, Rig, name_way

from changelane.errors import SpecError

ways = pytest.mark.parametrize("way", WAYS, ids=name_way)


COLUMNS = ("id", "status", "total", "place", "doc", "mood", "home", "email", "tags")


@pytest.fixture
def rig(rig: Rig) -> Rig:
    rig.run(*MANY_TYPES)
    return rig


@ways
def test_columns_and_exclude_limit_every_row_of_a_message(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {**way, "queue": "columns", "payload": {"columns": ["status", "id"]}},
        {
            **way,
            "queue": "exclude",
            "payload": {"exclude": ["doc", "mood", "home", "email", "place", "tags"]},
        },
    )
    rig.run("INSERT INTO t (id, status, total) VALUES (1, 'x', 5)", "UPDATE t SET doc = '{}'", "TRUNCATE t")
    first, second, third = rig.changes("columns")
    assert first.new == {"status": "x", "id": 1}
    assert (second.old, second.new) == ({"status": "x", "id": 1},) * 2
    assert third.op == "truncate"
    assert rig.changes("exclude")[0].new == {"status": "x", "id": 1, "total": 5}


@ways
def test_masked_values_are_hashed_or_redacted(rig: Rig, way: dict[str, str]) -> None:
    rig.capture({**way, "payload": {"mask": {"email": "sha256", "total": "sha256", "status": "redact"}}})
    rig.run("INSERT INTO t (id, email, total, status) VALUES (1, 'ä@b', 1.50, 'x'), (2, NULL, NULL, NULL)")
    first, second = rig.changes()
    assert first.new is not None
    assert second.new is not None
    assert first.new["email"] == hashlib.sha256("ä@b".encode()).hexdigest()
    assert first.new["total"] == hashlib.sha256(b"1.50").hexdigest()
    assert (first.new["status"], second.new["status"]) == ("[redacted]", "[redacted]")
    assert (second.new["email"], second.new["total"]) == (None, None)


@ways
def test_no_part_of_a_masked_value_is_in_a_message(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {
            **way,
            "key": ["email"],
            "payload": {"mask": {"email": "sha256"}, "old": "changed", "max_bytes": "1 kB"},
        }
    )
    rig.run(
        "INSERT INTO t (id, email) VALUES (1, 'secret')",
        "UPDATE t SET email = 'secret2', status = repeat('x', 5000)",
        "UPDATE t SET status = 'x'",
        "DELETE FROM t",
    )
    found = rig.messages()
    assert len(found) == 4
    assert "secret" not in json.dumps(found)
    assert found[1][0]["key"] == {"email": hashlib.sha256(b"secret2").hexdigest()}
    assert found[1][0]["truncated"] is True


@ways
def test_columns_unknown_to_the_catalog_are_not_sent_beside_a_mask_or_an_exclusion(
    rig: Rig, way: dict[str, str]
) -> None:
    payloads: list[dict[str, Any]] = [
        {"exclude": ["email"]}, {"mask": {"email": "sha256"}}, {"mask": {"email": "redact"}},
        {"exclude": ["email"], "mask": {"place": "redact"}}, {"exclude": ["email"], "old": "changed"},
    ]  # fmt: skip
    rig.capture(
        *(
            {**way, "queue": f"q{number}", "payload": payload}
            for number, payload in enumerate([*payloads, {"exclude": list(COLUMNS)}])
        )
    )
    with rig.session(autocommit=True) as session:
        session.execute("INSERT INTO t (id, email) VALUES (1, 'secret')")
        rig.run("ALTER TABLE t RENAME COLUMN email TO mail", "ALTER TABLE t ADD COLUMN pin text")
        session.execute("UPDATE t SET pin = 'secret', mail = 'secret too'")
        session.execute(
            "INSERT INTO t (id, mail, pin) SELECT n, 'secret', 'secret' FROM generate_series(2, 3) AS n"
        )
        session.execute("DELETE FROM t")
    for number in range(len(payloads)):
        messages = [message for message, _ in rig.messages(f"q{number}")]
        assert [message["key"]["id"] for message in messages] == [1, 1, 2, 3, 1, 2, 3]
        assert "secret" not in json.dumps(messages)
        assert all({"pin", "mail"}.isdisjoint(message["new"] or {}) for message in messages)
    assert all({} in (message["new"], message["old"]) for message, _ in rig.messages(f"q{len(payloads)}"))


@ways
def test_updates_that_change_nothing_are_sent_where_they_are_wanted(rig: Rig, way: dict[str, str]) -> None:
    rig.capture(
        {**way, "unchanged": True, "payload": {"old": "changed"}},
        {**way, "queue": "some", "unchanged": True, "when": "new.total > 1"},
        {**way, "queue": "changed"},
    )
    rig.run(
        "INSERT INTO t (id, total) VALUES (1, 1), (2, 2), (3, 3)", "UPDATE t SET id = id",
        "UPDATE t SET total = total WHERE id = 2", "UPDATE t SET id = id WHERE false",
    )  # fmt: skip
    assert [(change.op, change.old) for change in rig.changes()[3:]] == [("update", {})] * 4
    some = [(change.op, change.key["id"]) for change in rig.changes("some") if change.key]
    assert some == [("insert", 2), ("insert", 3), ("update", 2), ("update", 3), ("update", 2)]
    assert [change.op for change in rig.changes("changed")] == ["insert"] * 3


def test_a_mask_that_hides_nothing_or_a_key_is_refused(rig: Rig) -> None:
    for route, what in (
        ({"payload": {"columns": ["id"], "mask": {"email": "redact"}}}, "the payload leaves it out"),
        ({"payload": {"exclude": ["email"], "mask": {"email": "redact"}}}, "the payload leaves it out"),
        ({"key": ["email"], "payload": {"mask": {"email": "redact"}}}, "tells no rows apart"),
        # The primary key is the key where the route names none.
        ({"payload": {"mask": {"id": "redact"}}}, "tells no rows apart"),
    ):
        with pytest.raises(SpecError) as refused:
            rig.generate(route)
        assert what in refused.value.diagnostics[0].summary


def test_a_masked_key_that_the_payload_leaves_out_is_a_hash_in_the_key(rig: Rig) -> None:
    rig.capture({"payload": {"columns": ["status"], "mask": {"id": "sha256"}}})
    rig.run("INSERT INTO t (id, status) VALUES (7, 'x')")
    (change,) = rig.changes()
    assert (change.key, change.new) == ({"id": hashlib.sha256(b"7").hexdigest()}, {"status": "x"})
