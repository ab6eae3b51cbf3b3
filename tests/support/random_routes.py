"""Random routes, and what they must send: judged from what a plain row trigger saw, in Python.

Nothing here is shared with what captures: a trigger that any application could have keeps each row before and
after as ``to_jsonb`` writes it, and the rest of a message follows from the route.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from support.captures import ALL, WAYS
from support.random_tables import Table
from support.shadow_table import encode

Row = dict[str, Any]
Change = tuple[str, Row | None, Row | None, bool]
"""Operation, row before, row after, and whether an update changed nothing."""
Judge = Callable[[Row, Row, str], Any]

LARGE = "x" * 3000
"""A value of ``tables``. Rows with it are larger than the limit, and all other rows are smaller."""

AUDIT = (
    "DROP TABLE IF EXISTS public.audit",
    "CREATE TABLE public.audit (n bigserial, op text, old jsonb, new jsonb, same boolean)",
    """
    CREATE OR REPLACE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'
        SET bytea_output = 'hex' SET extra_float_digits = 1 SET search_path = pg_catalog
    AS $$ BEGIN
        IF tg_op = 'INSERT' THEN
            INSERT INTO public.audit (op, new) VALUES ('insert', to_jsonb(new));
        ELSIF tg_op = 'DELETE' THEN
            INSERT INTO public.audit (op, old) VALUES ('delete', to_jsonb(old));
        ELSIF tg_op = 'UPDATE' THEN
            INSERT INTO public.audit (op, old, new, same)
            VALUES ('update', to_jsonb(old), to_jsonb(new), old::text = new::text);
        ELSE
            INSERT INTO public.audit (op) VALUES ('truncate');
        END IF;
        RETURN NULL;
    END $$
    """,
)

WHENS: tuple[tuple[str, Judge], ...] = (
    ("new.k > 2", lambda old, new, op: new and new["k"] > 2),
    ("old.k > 2 OR new.k < 2", lambda old, new, op: (old and old["k"] > 2) or (new and new["k"] < 2)),
    ("op <> 'update'", lambda old, new, op: op != "update"),
    ("new.k IS DISTINCT FROM old.k", lambda old, new, op: old.get("k") != new.get("k")),
    ("NOT (new.k = 3)", lambda old, new, op: new and new["k"] != 3),
    ("new.p = 1 OR op = 'truncate'", lambda old, new, op: new.get("p") == 1 or op == "truncate"),
    ("old.p IS NULL AND new.g < 2", lambda old, new, op: old.get("p") is None and new and new["g"] < 2),
    ("CASE op WHEN 'insert' THEN new.k % 2 = 0 ELSE true END",
     lambda old, new, op: op != "insert" or new["k"] % 2 == 0),
    ("coalesce(new.k, old.k, 99) <> 4", lambda old, new, op: (new or old).get("k", 99) != 4),
    ("NULL", lambda old, new, op: False),
)  # fmt: skip
EXTRAS: tuple[tuple[str, Judge], ...] = (
    ("upper(op)", lambda old, new, op: op.upper()),
    ("new.k - old.k", lambda old, new, op: new["k"] - old["k"] if new and old else None),
    ("coalesce(new.k, 0) || 'x'", lambda old, new, op: f"{new.get('k', 0)}x"),
    ("'a;b--/*\n  c'", lambda old, new, op: "a;b--/*\n  c"),
    ("old.p", lambda old, new, op: old.get("p")),
)


@dataclass(frozen=True)
class Route:
    """``spec`` is the route as in a file; ``key`` is its effective key."""

    spec: dict[str, Any]
    key: tuple[str, ...]
    when: Judge | None
    extra: dict[str, Judge]

    @property
    def queues(self) -> list[str]:
        return list(self.spec["queues"])

    @property
    def ordered(self) -> bool:
        return "ordered" in self.spec

    @property
    def halves(self) -> bool:
        """Whether an update that changes the key is sent as a delete and an insert."""
        return self.ordered and {"insert", "update", "delete"} <= set(self.spec["events"])


def draw_route(random: Random, table: Table, *, queues: Sequence[str]) -> Route:
    """A route of the options that a spec knows, crossed at random; it sends to the first of ``queues``."""
    names = table.list_names()
    events = random.sample(ALL, random.randint(1, 4))
    spec: dict[str, Any] = {**random.choice(WAYS), "events": events}
    spec["queues"] = list(queues[: random.choice((1, 1, 2, 3))])
    if "update" in events and random.random() < 0.4:
        spec["update_of"] = random.sample(names, random.randint(1, 3))
    if random.random() < 0.3:
        spec["key"] = random.sample(names, random.randint(1, 3))
    key = tuple(spec.get("key", () if table.shape.key == "none" else ("k", "g")))
    payload: dict[str, Any] = {"old": random.choice(("full", "changed", "none"))}
    sent = names
    if random.random() < 0.4:
        sent = payload["columns"] = random.sample(names, random.randint(1, len(names)))
    elif random.random() < 0.4:
        payload["exclude"] = random.sample(names, random.randint(1, len(names)))
        sent = [name for name in names if name not in payload["exclude"]]
    maskable = sorted({*sent, *key})
    if maskable and random.random() < 0.4:
        payload["mask"] = {
            name: "sha256" if name in key else random.choice(("sha256", "redact"))
            for name in random.sample(maskable, min(2, len(maskable)))
        }
    # Some values of these types are about as large as the limit.
    if random.random() < 0.3 and not {"text[]", "numeric[]"}.intersection(table.columns.values()):
        payload["max_bytes"] = "2 kB"
    when = random.choice(WHENS) if random.random() < 0.5 else None
    if when:
        spec["when"] = when[0]
    extra = dict(zip(("E 1", "it's"), random.sample(EXTRAS, 2), strict=True)) if random.random() < 0.4 else {}
    if table.strict and random.random() < 0.7:
        extra["strict"] = ask_null(*random.choice(table.strict), random.choice(("old", "new")))
    if extra:
        payload["extra"] = {name: text for name, (text, _) in extra.items()}
    if key and random.random() < 0.3:
        spec["ordered"] = spec["queues"][0]
    return Route(
        spec={**spec, "payload": payload},
        key=key,
        when=when and when[1],
        extra={name: judge for name, (_, judge) in extra.items()},
    )


def ask_null(column: str, name: str, row: str) -> tuple[str, Judge]:
    """Whether a column of a type that forbids null is null, because the event lacks that side."""

    def judge(old: Row, new: Row, op: str) -> bool:
        return {"old": old, "new": new}[row].get(name) is None

    return f"{row}.{column} IS NULL", judge


def expect(route: Route, changes: Sequence[Change]) -> list[str]:
    """The messages, less their ``at`` and ``txid``, as sorted JSON text."""
    return sorted(encode(message) for change in changes for message in _expect(route, *change))


def _expect(route: Route, op: str, old: Row | None, new: Row | None, same: bool) -> list[Row]:
    spec = route.spec
    if op not in spec["events"]:
        return []
    if op == "update" and old and new:
        watched = spec.get("update_of")
        if all(encode(old[name]) == encode(new[name]) for name in watched) if watched else same:
            return []
    if route.when and not route.when(old or {}, new or {}, op):
        return []
    extra = {name: judge(old or {}, new or {}, op) for name, judge in route.extra.items()}
    moved = old and new and any(encode(old[name]) != encode(new[name]) for name in route.key)
    if moved and route.halves:
        halves = (("delete", old, None), ("insert", None, new))
        return [_describe(route, half, was, become, extra) for half, was, become in halves]
    return [_describe(route, op, old, new, extra)]


def _describe(route: Route, op: str, old: Row | None, new: Row | None, extra: Row) -> Row:
    payload = route.spec["payload"]
    mask = payload.get("mask", {})

    def project(row: Row | None) -> Row | None:
        names = payload.get("columns") or [
            name for name in row or () if name not in payload.get("exclude", ())
        ]
        return row and {name: _mask(row[name], mask.get(name)) for name in names}

    def short(row: Row | None) -> Row | None:
        return {name: _mask(row[name], mask.get(name)) for name in route.key} if row and route.key else None

    was, become = project(old), project(new)
    if payload["old"] == "none":
        was = None
    elif payload["old"] == "changed" and op == "update" and was and become:
        was = {name: value for name, value in was.items() if encode(value) != encode(become[name])}
    message: Row = {
        "op": op,
        "schema": "app",
        "table": "t",
        "key": short(new or old),
        "new": become,
        "old": was,
    }
    if extra:
        message["extra"] = extra
    if "max_bytes" in payload and LARGE in encode(message):
        message |= {"new": short(new), "old": short(old) if payload["old"] != "none" else None}
        message.pop("extra", None)
        message["truncated"] = True
    normal: Row = normalise(message)
    return normal


def normalise(value: Any) -> Any:
    """Objects with their keys in one order."""
    if isinstance(value, dict):
        return {name: normalise(value[name]) for name in sorted(value)}
    return [normalise(item) for item in value] if isinstance(value, list) else value


def _mask(value: Any, how: str | None) -> Any:
    if how == "redact":
        return "[redacted]"
    if how is None or value is None:
        return value
    text = value if isinstance(value, str) else encode(value)
    return hashlib.sha256(text.encode()).hexdigest()
