"""Brings the database to the manifest: in order, under one lock, then verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from changelane.contract.manifest import Manifest
from changelane.errors import ChangelaneError, DatabaseError, IncompleteError, PreflightError
from changelane.runner.apply.executor import run
from changelane.runner.apply.plan import Plan, plan
from changelane.runner.apply.preflight import check
from changelane.runner.apply.saved_plan import Saved, check_saved
from changelane.runner.apply.step import Step
from changelane.runner.live.lock_wait import hold_project
from changelane.runner.live.observe import observe


def apply(
    conn: psycopg.Connection[Any],
    manifest: Manifest,
    *,
    files: dict[str, bytes],
    prune: bool = False,
    only: str | None = None,
    saved: Saved | None = None,
    together: bool = False,
    max_wait: float = 60.0,
    confirm: Callable[[Plan], bool],
    report: Callable[[Step], None],
    notify: Callable[[str], None],
) -> Plan:
    """Bring the database to the state that the manifest declares; returns the plan that was carried out.

    ``conn`` is in autocommit. ``files`` is the result of ``read_files``. ``saved`` is a saved plan: the new
    plan must equal it, and its options apply. ``together`` puts all steps in one transaction. ``confirm``
    gets the plan before any change: it raises to stop, and returns True after it asked a person. Then the
    plan is made again, as the database may have changed meanwhile. ``report`` is called with each finished
    step, ``notify`` with each wait. ``max_wait`` is in seconds, once for the project's lock and once for all
    tables.

    Raises ChangelaneError for a stale saved plan and PreflightError, both before any change; LockNotObtained,
    DatabaseError, psycopg.Error. Raises IncompleteError if a table was left out after all else was done; with
    ``together`` such a table stops everything.
    """
    if saved is not None:
        prune, only = saved.options.prune, saved.options.only
    with hold_project(conn, project=manifest.project, max_wait=max_wait, notify=notify):
        observed = observe(conn, manifest)
        planned = plan(manifest, observed, prune=prune, only=only)
        if saved is not None:
            check_saved(saved, planned, files)
        left = [DatabaseError(what, fix=fix) for what, fix in planned.explain_left()]
        problems = check(planned, observed)
        if problems or (left and together):
            raise PreflightError([*problems, *left])
        asked = confirm(planned)
        if not planned.steps and not left:
            return planned
        if asked and plan(manifest, observe(conn, manifest), prune=prune, only=only) != planned:
            raise ChangelaneError(
                "the database changed after the plan was shown; nothing was changed", fix="run again"
            )
        run(
            conn,
            planned.steps,
            files=files,
            max_wait=max_wait,
            together=together,
            report=report,
            notify=notify,
        )
        _verify(plan(manifest, observe(conn, manifest), prune=prune, only=only), planned)
    if left:
        raise IncompleteError(left, done=len(planned.steps))
    return planned


def _verify(after: Plan, planned: Plan) -> None:
    left = set(map(str, planned.left))
    wrong = [
        thing
        for thing in after.differences
        if str(thing) not in left
        and (thing.action not in ("drop", "retire") or after.steps)
        and (thing.state != "orphaned" or thing.action)
    ]
    if wrong:
        raise DatabaseError(
            "applied, but the database reports something else: "
            + "; ".join(f"{thing} is {thing.state}" for thing in wrong),
            fix="another session may have changed it meanwhile; run `changelane plan` to see the difference",
        )
