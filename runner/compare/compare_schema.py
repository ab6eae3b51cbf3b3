"""Compares schemas ``pgmq`` and ``changelane`` with the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from changelane.contract.schema import SCHEMA_VERSION, parse_schema_comment
from changelane.runner.compare.object import Object
from changelane.runner.live.definers import OtherOwner
from changelane.runner.live.observe import Observed
from changelane.text import spell_name


def _refuse_strangers(strangers: Sequence[OtherOwner]) -> Object:
    """The schema as foreign, if an owner of its objects could make code run with the rights of the
    captures.
    """
    owned = "; ".join(
        f"{one.what} belongs to {spell_name(one.owner)}, who may not act as role {spell_name(one.definer)}"
        for one in strangers
    )
    fixes = "; ".join(dict.fromkeys(one.fix for one in strangers))
    grants = "; ".join(dict.fromkeys(f'GRANT "{one.definer}" TO "{one.owner}"' for one in strangers))
    return Object(
        kind="schema",
        name="changelane",
        state="foreign",
        detail=f"{owned}: capture functions call its functions, so its owner could run code as that role",
        fix=f"{fixes}; or, where you trust the owner with all rights of that role: {grants}",
    )


def compare_schemas(observed: Observed) -> Iterator[Object]:
    """The states of both schemas, in the order of their creation."""
    session = observed.session
    if session.has_pgmq and not session.reads_queues:
        yield Object(
            kind="schema",
            name="pgmq",
            state="blocked",
            detail=f"it is there, and not visible to role {session.role}",
            fix=f'to look: GRANT USAGE ON SCHEMA pgmq TO "{session.role}"; GRANT SELECT ON pgmq.meta TO '
            f'"{session.role}". To apply: GRANT ALL ON SCHEMA pgmq TO "{session.role}"; '
            f'GRANT ALL ON pgmq.meta TO "{session.role}"',
        )
    elif session.has_pgmq:
        yield Object(kind="schema", name="pgmq", state="ok")
    else:
        yield Object(kind="schema", name="pgmq", state="missing", detail="not installed", action="create")

    found = parse_schema_comment(session.schema_comment or "")
    if not session.has_schema:
        yield Object(kind="schema", name="changelane", state="missing", action="create")
    elif strangers := observed.definers.strangers:
        yield _refuse_strangers(strangers)
    elif session.schema_comment is None:
        yield Object(
            kind="schema",
            name="changelane",
            state="drifted",
            detail="its comment, which holds its version, is missing",
            action="replace",
        )
    elif found is None:
        yield Object(
            kind="schema",
            name="changelane",
            state="foreign",
            detail=f"its comment is not Changelane's: {session.schema_comment[:60]!r}",
            fix="rename that schema: Changelane keeps its functions in one of this name",
        )
    elif found > SCHEMA_VERSION:
        yield Object(
            kind="schema",
            name="changelane",
            state="blocked",
            detail=f"it is of version {found}, this Changelane knows {SCHEMA_VERSION}",
            fix="upgrade Changelane: a newer one has applied to this database",
        )
    elif session.emptied:
        # To create a schema takes a right that this needs not: it is there.
        yield Object(
            kind="schema",
            name="changelane",
            state="missing",
            detail="destroyed; no more than its audit log is kept",
            action="replace",
        )
    elif found < SCHEMA_VERSION:
        yield Object(
            kind="schema",
            name="changelane",
            state="outdated",
            detail=f"it is of version {found}, this Changelane makes {SCHEMA_VERSION}",
            action="replace",
        )
    elif not (session.has_tables and session.grants_right):
        yield Object(
            kind="schema",
            name="changelane",
            state="drifted",
            detail="the rights on it or on its tables are others"
            if session.has_tables
            else "a table or function of its own is missing",
            action="replace",
        )
    elif session.functions_comment != f"changelane:functions live={session.schema_live}":
        yield Object(
            kind="schema",
            name="changelane",
            state="drifted",
            detail="a function that captures or workers share was changed",
            action="replace",
        )
    else:
        yield Object(kind="schema", name="changelane", state="ok")
