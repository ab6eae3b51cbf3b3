"""`coalesce`: what a claim makes of the messages of a key, compared with the states of the table."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.keyed_messages import INDEX, Row, send

from changelane.change import Change
from changelane.contract.coalesce import Coalesce
from changelane.runner.queue.coalesced import CoalescedQueue
from changelane.runner.queue.delivery import read_change
from changelane.runner.queue.fenced import open_queues
from changelane.runner.queue.merged import MergedDelivery

EXPIRE = "UPDATE pgmq.q_jobs SET vt = clock_timestamp() WHERE msg_id = ANY (%s)"

Opener = Callable[..., CoalescedQueue]


@pytest.fixture
def open_queue(conn: psycopg.Connection[Any]) -> Opener:
    conn.execute("SELECT pgmq.create('jobs'), pgmq.create('jobs_dlq')")
    conn.execute(INDEX)

    def open_one(*, keeping: bool = False, **rule: Any) -> CoalescedQueue:
        (queue,) = open_queues(
            conn,
            [("jobs", "jobs_dlq")],
            classes={"jobs": lambda **options: CoalescedQueue(rule=Coalesce(**rule), **options)},
            keeping=["jobs"] if keeping else [],
        )
        assert isinstance(queue, CoalescedQueue)
        return queue

    return open_one


def claim(
    queue: CoalescedQueue, conn: psycopg.Connection[Any], *, limit: int = 100
) -> dict[int | None, tuple[MergedDelivery, Change[Any]]]:
    """The claimed changes by the id of their row."""
    found = {}
    for delivery in queue.claim(conn, limit=limit, lease=30):
        assert isinstance(delivery, MergedDelivery)
        change = read_change(delivery)
        found[(change.key or {}).get("id")] = delivery, change
    return found


def take(queue: CoalescedQueue, conn: psycopg.Connection[Any]) -> tuple[MergedDelivery, Change[Any]]:
    ((only,),) = [claim(queue, conn).values()]
    return only


class Table:
    """Rows, and the changes of each that were captured."""

    def __init__(self, dice: random.Random, *, old: str) -> None:
        self.dice = dice
        self.old = old
        self.rows: dict[int, Row] = {}
        self.states: dict[int, list[tuple[int, Row | None, Row | None]]] = defaultdict(list)
        self.state_at: dict[int, tuple[Row | None, Row | None]] = {}

    def change(self, conn: psycopg.Connection[Any], key: int) -> None:
        before = self.rows.get(key)
        after = None
        if before is None or self.dice.random() < 0.7:
            after = {"id": key, **{name: self.dice.choice([0, 1, 1.5, "a", None]) for name in "abc"}}
        op = "insert" if before is None else "delete" if after is None else "update"
        old = before
        if before is not None and after is not None and self.old == "changed":
            old = {name: value for name, value in before.items() if after[name] != value}
        if self.old == "none":
            old = None
        msg_id = send(conn, op, key, old=old, new=after)
        self.state_at[msg_id] = before, after
        if after is None:
            del self.rows[key]
        else:
            self.rows[key] = after

    def fold(self, msg_ids: list[int]) -> tuple[str | None, Row | None, Row | None]:
        """What one change of all these messages is, by the states before and after them."""
        before, after = self.state_at[msg_ids[0]][0], self.state_at[msg_ids[-1]][1]
        if before is None:
            return (None, None, None) if after is None else ("insert", None, after)
        old = before
        if self.old == "changed" and after is not None:
            old = {name: value for name, value in before.items() if after[name] != value}
        return "delete" if after is None else "update", None if self.old == "none" else old, after


@pytest.mark.parametrize("old", ["full", "changed", "none"])
@pytest.mark.parametrize("seed", range(2))
def test_merged_changes_are_what_the_table_went_through(
    conn: psycopg.Connection[Any], open_queue: Opener, old: str, seed: int
) -> None:
    """Random changes of random rows, claimed at random times by several workers, acked, failed or lost."""
    dice = random.Random(f"{old} {seed}")
    queues = [open_queue(partial=("things",) if old == "changed" else ()) for _ in range(3)]
    table = Table(dice, old=old)
    replica: dict[int, tuple[str | None, Row | None]] = {}
    done: dict[int, list[int]] = defaultdict(list)
    touched: set[int] = set()
    flying: list[tuple[CoalescedQueue, MergedDelivery]] = []

    def settle(queue: CoalescedQueue, delivery: MergedDelivery, key: int, outcome: str) -> None:
        flying.remove((queue, delivery))
        if outcome == "ack":
            assert queue.ack(conn, [delivery]) == {delivery.msg_id}
            done[key] += delivery.msg_ids
        elif outcome == "release":
            entry = (delivery, 0.0, delivery.notes(failed=delivery.failed, released=1, error=""))
            assert queue.postpone(conn, [entry]) == {delivery.msg_id}
            touched.update(delivery.msg_ids)
        else:
            conn.execute(EXPIRE, [list(delivery.msg_ids)])
            touched.update(delivery.msg_ids)
        queue.note_settled([delivery])

    keys: dict[MergedDelivery, int] = {}
    for turn in range(60):
        for _ in range(dice.randrange(6)):
            table.change(conn, dice.randrange(4))
        if turn == 59:
            for queue, delivery in flying[:]:
                settle(queue, delivery, keys[delivery], "ack")
        queue = dice.choice(queues)
        for key, (delivery, change) in claim(queue, conn, limit=dice.randrange(1, 5)).items():
            assert key is not None
            assert not any(keys[other] == key for _, other in flying)
            flying.append((queue, delivery))
            keys[delivery] = key
            assert list(delivery.msg_ids) == sorted(delivery.msg_ids)
            assert not done[key] or done[key][-1] < delivery.msg_ids[0]
            assert change.merged == len(delivery.msg_ids)
            op, before, after = table.fold(list(delivery.msg_ids))
            if op is None:
                seen = touched.intersection(delivery.msg_ids)
                assert delivery.void == (not seen)
                assert change.op == "delete"
            else:
                assert not delivery.void
                assert (change.op, change.old, change.new) == (op, before, after)
            if not delivery.void:
                replica[key] = change.op, change.new
        for queue, delivery in flying[:]:
            if dice.random() < 0.5:
                settle(queue, delivery, keys[delivery], dice.choice(["ack", "ack", "release", "expire"]))
    for queue, delivery in flying[:]:
        settle(queue, delivery, keys[delivery], "ack")
    while found := claim(queues[0], conn):
        for key, (delivery, change) in found.items():
            assert key is not None
            assert queues[0].ack(conn, [delivery]) == {delivery.msg_id}
            if not delivery.void:
                replica[key] = change.op, change.new
    assert {key: row for key, (_, row) in replica.items() if row is not None} == table.rows
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (0,)


def test_ops_fold_by_the_states_before_and_after(conn: psycopg.Connection[Any], open_queue: Opener) -> None:
    """Each pair of operations that a row can go through, and what `new`, `old` and the ids are then."""
    queue = open_queue()
    one, two = {"id": 1, "v": 1}, {"id": 1, "v": 2}
    pairs = {
        ("insert", "update"): ("insert", None, two),
        ("insert", "snapshot"): ("insert", None, two),
        ("update", "update"): ("update", one, two),
        ("update", "delete"): ("delete", one, None),
        ("update", "snapshot"): ("update", one, two),
        ("delete", "insert"): ("update", one, two),
        ("delete", "snapshot"): ("update", one, two),
        ("snapshot", "update"): ("snapshot", None, two),
        ("snapshot", "delete"): ("delete", two, None),
    }
    for (first, last), expected in pairs.items():
        send(conn, first, 1, id="a", old=one if first in ("update", "delete") else None, new=two)
        old = two if last in ("update", "delete") else None
        last_id = send(conn, last, 1, id="b", old=old, new=None if last == "delete" else two)
        delivery, change = take(queue, conn)
        assert (change.op, change.old, change.new) == expected, (first, last)
        assert (change.ids, change.id, change.merged, change.msg_id) == (("a", "b"), "b", 2, last_id)
        assert not delivery.void
        queue.ack(conn, [delivery])


def test_what_is_inserted_and_deleted_is_nothing_unless_a_handler_may_have_seen_it(
    conn: psycopg.Connection[Any], open_queue: Opener
) -> None:
    queue = open_queue()
    send(conn, "insert", 1, new={"id": 1})
    first, _ = take(queue, conn)
    assert queue.postpone(conn, [(first, 0.0, first.notes(failed=1, released=0, error="x"))])
    for op in ("delete", "insert", "delete"):
        send(conn, op, 1, old={"id": 1} if op == "delete" else None, new=None)
    send(conn, "insert", 2, new={"id": 2})
    send(conn, "delete", 2, old={"id": 2})
    found = claim(queue, conn)
    seen, change = found[1]
    assert (seen.void, change.op, change.old, change.merged) == (False, "delete", {"id": 1}, 4)
    assert (seen.failed, seen.error, change.attempt) == (1, "x", 2)
    assert found[2][0].void


def test_only_captured_changes_of_one_route_and_table_are_merged(
    conn: psycopg.Connection[Any], open_queue: Opener
) -> None:
    queue = open_queue(shared=("totals",))
    for _ in range(2):
        send(conn, "update", 1, old={"a": 1}, new={"a": 2})
        send(conn, "update", 1, old={"a": 3}, new={"a": 4}, table="others")
        send(conn, "update", 1, old={"a": 5}, new={"a": 6}, route="again")
        send(conn, "insert", 1, new={"a": 7}, route=None)
        send(conn, "nonsense", 1, new={"a": 8})
        send(conn, "update", 2, old={"a": 9}, new={"a": 10}, route="totals")
    conn.execute("SELECT pgmq.send('jobs', '[1, 2]'), pgmq.send('jobs', 'null')")
    deliveries = queue.claim(conn, limit=100, lease=30)
    sizes = sorted(len(item.msg_ids) for item in deliveries if isinstance(item, MergedDelivery))
    assert sizes == [1, 1, 1, 1, 1, 1, 2, 2, 2, 2]
    # Where rows share a key, the last change stands for all.
    (last,) = [read_change(item) for item in deliveries if item.headers.get("route") == "totals"]
    assert (last.op, last.old, last.merged) == ("update", {"a": 9}, 2)
    assert len(queue.ack(conn, deliveries)) == 10
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (0,)


def test_a_change_cut_to_its_key_says_so(conn: psycopg.Connection[Any], open_queue: Opener) -> None:
    queue = open_queue()
    send(conn, "update", 1, old={"id": 1}, new={"id": 1}, truncated=True)
    send(conn, "update", 1, old={"id": 1, "v": 1}, new={"id": 1, "v": 2})
    _, change = take(queue, conn)
    assert (change.truncated, change.old, change.new) == (True, {"id": 1}, {"id": 1, "v": 2})


def test_an_ack_takes_all_messages_of_a_change_or_none(
    conn: psycopg.Connection[Any], open_queue: Opener
) -> None:
    queue = open_queue(keeping=True)
    first = send(conn, "update", 1, old={"v": 1}, new={"v": 2})
    send(conn, "update", 1, old={"v": 2}, new={"v": 3})
    send(conn, "update", 2, old={"v": 2}, new={"v": 3})
    found = claim(queue, conn)
    both = [delivery for delivery, _ in found.values()]
    conn.execute("UPDATE pgmq.q_jobs SET read_ct = read_ct + 1 WHERE msg_id = %s", [first])
    lost, whole = found[1][0], found[2][0]
    assert queue.renew(conn, both, lease=30) == {whole.msg_id}
    assert not queue.move_to_dead_letters(conn, lost, notes={})
    assert not queue.archive(conn, lost)
    with conn.transaction(force_rollback=True):
        assert conn.execute(queue.spell_ack(both)).rowcount == 1
    assert queue.ack(conn, both) == {whole.msg_id}
    kept = conn.execute("SELECT array_agg(msg_id) FROM pgmq.a_jobs").fetchone()
    assert kept == (list(whole.msg_ids),)
    assert conn.execute("SELECT count(*) FROM pgmq.q_jobs").fetchone() == (2,)


def test_all_messages_of_a_change_become_dead_letters_in_order(
    conn: psycopg.Connection[Any], open_queue: Opener
) -> None:
    queue = open_queue()
    sent = [send(conn, "update", 1, old={"v": n}, new={"v": n + 1}) for n in range(3)]
    delivery, _ = take(queue, conn)
    assert queue.move_to_dead_letters(conn, delivery, notes={"attempts": 3, "error": "no"})
    letters = conn.execute("SELECT message, headers FROM pgmq.q_jobs_dlq ORDER BY msg_id").fetchall()
    assert [message["new"] for message, _ in letters] == [{"v": 1}, {"v": 2}, {"v": 3}]
    notes = [headers["dead_letter"] for _, headers in letters]
    assert [note["msg_id"] for note in notes] == sent
    assert {(note["merged"], note["attempts"], note["error"]) for note in notes} == {(3, 3, "no")}


def test_a_key_waits_to_be_quiet_but_not_for_ever(conn: psycopg.Connection[Any], open_queue: Opener) -> None:
    """Time is moved by moving the messages."""
    queue = open_queue(quiet=20.0, at_most=60.0)
    back = "UPDATE pgmq.q_jobs SET vt = vt - %s * interval '1 second' WHERE read_ct = 0"

    def look(seconds: float) -> set[int | None]:
        conn.execute(back, [seconds])
        other = open_queue(quiet=20.0, at_most=60.0)
        return set(claim(other, conn))

    send(conn, "update", 1, new={"v": 1})
    assert set(claim(queue, conn)) == set()
    assert 0 < queue.next_at - time.monotonic() <= 20
    for _ in range(3):
        assert look(15) == set()
        send(conn, "update", 1, new={"v": 2})
    send(conn, "update", 2, new={"v": 2})
    # 45 seconds after the first, and none since 15.
    assert look(10) == set()
    assert look(6) == {1}
    assert look(5) == {2}
