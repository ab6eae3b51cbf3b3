"""Several claimed messages of one key as a single delivery: what the worker holds for one merged change."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

from changelane.contract.envelope import LONGEST_ID
from changelane.runner.queue.delivery import Delivery, count_notes, decode_json


class MergedDelivery(Delivery, eq=False):
    """The messages of one change, in the order of their ids; the last one's id is the delivery's.

    ``key`` is the hash of their key, None without one. ``msg_ids`` and ``read_cts`` go together.
    """

    key: int | None = None
    msg_ids: Sequence[int] = ()
    read_cts: Sequence[int] = ()


def name_ids(ids: Sequence[str | None], *, queue: str, msg_ids: Sequence[int]) -> tuple[str, ...]:
    """The ids of merged changes; ``queue:msg_id`` for a message that has none."""
    return tuple(
        name if name and len(name) <= LONGEST_ID else f"{queue}:{msg_id}"
        for name, msg_id in zip(ids, msg_ids, strict=True)
    )


def count_together(delivery: Delivery, notes: Iterable[str]) -> None:
    """Count the attempts of all merged messages on their delivery.

    The highest count of each kind holds, so that a change that keeps failing ends, whatever joins it. So does
    the highest number of workers that vanished with one of the messages.
    """
    vanished = 0
    for text in notes:
        value = decode_json(text)
        if not isinstance(value, dict):
            continue
        failed, released = count_notes(value, "attempts"), count_notes(value, "released")
        vanished = max(vanished, count_notes(value, "claims") - 1 - failed - released)
        if failed >= delivery.failed and value.get("error"):
            delivery.error = str(value["error"])
        delivery.failed = max(delivery.failed, failed)
        delivery.released = max(delivery.released, released)
        delivery.returned = max(delivery.returned, count_notes(value, "returned"))
    delivery.claims = 1 + delivery.failed + delivery.released + vanished


def pair_all(deliveries: Collection[MergedDelivery]) -> dict[str, Any]:
    """Ids and fencing tokens of all messages, with the id and the size of the change that each belongs to."""
    return {
        "msg_ids": _spell(chain.from_iterable(item.msg_ids for item in deliveries)),
        "read_cts": _spell(chain.from_iterable(item.read_cts for item in deliveries)),
        "leads": _spell(item.msg_id for item in deliveries for _ in item.msg_ids),
        "sizes": _spell(len(item.msg_ids) for item in deliveries for _ in item.msg_ids),
    }


def _spell(numbers: Iterable[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def spread_notes(delivery: MergedDelivery, notes: str) -> list[str]:
    """The notes of each message. In ``seen``, each names its own ``read_ct``."""
    value = json.loads(notes)
    if "seen" not in value:
        return [notes] * len(delivery.msg_ids)
    spelled = {read_ct: json.dumps({**value, "seen": read_ct}) for read_ct in set(delivery.read_cts)}
    return [spelled[read_ct] for read_ct in delivery.read_cts]
