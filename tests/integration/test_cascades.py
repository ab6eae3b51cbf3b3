"""Foreign keys that write captured tables: the messages of a row stay in order, and replicas stay equal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.captures import Rig, lend_rig

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT")
WRITES = (
    "INSERT INTO app.t VALUES (0, NULL), (1, NULL), (2, 1), (3, 2)",
    "INSERT INTO app.child VALUES (10, 1), (11, 2), (12, 3)",
    "UPDATE app.t SET id = id + 100 WHERE id = 2",
    "UPDATE app.t SET id = 50 WHERE id = 1",
    "INSERT INTO app.t VALUES (50, 3) ON CONFLICT (id) DO UPDATE SET id = 51",
    "WITH gone AS (DELETE FROM app.child WHERE id = 12) DELETE FROM app.t WHERE id = 3",
    "DELETE FROM app.t WHERE id = 51",
    "DELETE FROM app.t WHERE id > 0",
)


@pytest.fixture(scope="module")
def rig(server: str, template: str) -> Iterator[Rig]:
    yield from lend_rig(server, template)


@pytest.mark.parametrize("ways", [{}, {"send": "inline"}, {"capture": "row"}], ids=str)
@pytest.mark.parametrize("deferred", ["", " DEFERRABLE INITIALLY DEFERRED"])
@pytest.mark.parametrize("action", ACTIONS)
def test_changes_by_foreign_keys_are_sent_in_order(
    rig: Rig, action: str, deferred: str, ways: dict[str, str]
) -> None:
    rig.clear()
    key = f"DEFAULT 0 REFERENCES app.t ON DELETE {action} ON UPDATE {action}{deferred}"
    rig.run(
        f"CREATE TABLE app.t (id int PRIMARY KEY, parent int {key})",
        f"CREATE TABLE app.child (id int PRIMARY KEY, t int {key})",
    )
    events = ["insert", "update", "delete"]
    rig.capture({"tables": ["app.t", "app.child"], "events": events, **ways})
    for write in WRITES:
        rig.run(write)
    last: dict[tuple[str, Any], Any] = {}
    for change in rig.changes():
        was = last.pop((change.table, change.old["id"]), None) if change.old else None
        assert was == change.old, f"{change.op} of {change.table} says {change.old}, and before it was {was}"
        if change.new is not None:
            last[change.table, change.new["id"]] = change.new
    rows = {
        (table, id): row
        for table in ("t", "child")
        for id, row in rig.rows(f"SELECT id, to_jsonb(x) FROM app.{table} AS x")
    }
    assert last == rows
