"""Findings on capture: changes that are not captured or sent, now or soon, with the fix for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql

from changelane.contract.manifest import Capture, Manifest
from changelane.contract.marker import SCHEMA
from changelane.contract.queue_name import fold, queue_table
from changelane.contract.sql_text import load_sql
from changelane.runner.compare.compare import compare, list_other_projects
from changelane.runner.compare.compare_owner import DECLARE, describe_danger, find_lack
from changelane.runner.compare.compare_queue import remake
from changelane.runner.compare.order_risk import find_risks
from changelane.runner.compare.orphans import explain_retired, is_misplaced, list_retired
from changelane.runner.compare.renames import find_queues, read_queues
from changelane.runner.compare.statement import drop_trigger
from changelane.runner.doctor.finding import Finding
from changelane.runner.live.definers import MissingRight
from changelane.runner.live.observe import Observed
from changelane.text import spell, spell_name

_SUBSCRIPTIONS = load_sql(__name__, "subscriptions")
_SETTINGS = load_sql(__name__, "settings")
_HAS_TABLE = load_sql(__name__, "has_table")
_SENDERS = load_sql(__name__, "senders")


def find_capture(conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Reads in the connection's open transaction."""
    yield from _find_other_projects(manifest, observed)
    yield from _find_lost_queues(conn, manifest.project, observed)
    yield from _find_unable_senders(conn, manifest, observed)
    yield from _find_powerful_definers(manifest, observed)
    yield from _find_states(manifest, observed)
    yield from _find_leftovers(manifest, observed)
    for risk in find_risks(manifest, observed):
        yield Finding(code="order-at-risk", what=risk.what, why=risk.why, fix=risk.fix)
    yield from _find_replica_settings(conn, manifest)
    yield from _find_subscriptions(conn, manifest)


def _find_other_projects(manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    for trigger, project in list_other_projects(manifest, observed):
        function = observed.functions.get(trigger.function.removeprefix(f"{SCHEMA}."))
        queues = ", ".join(sorted(read_queues(function)))
        yield Finding(
            code="other-project",
            what=f"trigger {spell_name(trigger.name)} on {spell((trigger.schema, trigger.table))} is of "
            f"project {project}" + (f", and sends to {queues}" if queues else ""),
            why=f"project {manifest.project} captures this table, too: after a rename, changes go twice",
            fix=f"changelane destroy --project {project}, if there is no such project any more",
        )


def _find_lost_queues(conn: psycopg.Connection[Any], project: str, observed: Observed) -> Iterator[Finding]:
    if observed.session.has_pgmq and not observed.session.reads_queues:
        # A queue that the role may not see is not necessarily gone.
        return
    there = {fold(name): queue for name, queue in observed.queues.items()}
    unlisted: set[str] = set()
    for trigger in observed.triggers.values():
        function = observed.functions.get(trigger.function.removeprefix(f"{SCHEMA}."))
        # Tools may drop the comment of our function. Without it, the function still makes writes fail.
        marker = trigger.marker or (function.marker if function else None)
        if function is None or trigger.enabled == "D" or (marker and marker.project != project):
            continue
        for queue in sorted(find_queues(function.body)):
            live = there.get(fold(queue))
            if live is None and conn.execute(_HAS_TABLE, [queue_table(queue)]).fetchone() is not None:
                unlisted.add(queue)
            elif live is None or not live.has_table:
                table = spell((trigger.schema, trigger.table))
                yield Finding(
                    code="queue-gone",
                    what=f"trigger {spell_name(trigger.name)} on {table} sends to queue {queue}, "
                    "which is gone",
                    why=f"every write to {table} that it captures fails",
                    fix=remake(live.name, kind=live.kind)
                    if live
                    else "changelane apply, with --prune if the route is no longer declared",
                )
    for queue in sorted(unlisted):
        yield Finding(
            code="queue-unlisted",
            what=f"queue {queue} gets changes, and pgmq.meta does not list it",
            why="its table came with a dump of the schema alone, and no command or page finds the queue",
            fix="changelane apply",
        )


def _find_unable_senders(
    conn: psycopg.Connection[Any], manifest: Manifest, observed: Observed
) -> Iterator[Finding]:
    captures = {capture.name: capture for capture in manifest.captures}
    found: dict[str, dict[MissingRight, str]] = {}
    for function in observed.functions.values():
        if function.name in captures and function.marker and function.marker.project == manifest.project:
            for lack in observed.definers.find_lacks(captures[function.name], role=function.owner):
                found.setdefault(function.owner, {}).setdefault(lack, function.name)
    for owner, lacks in found.items():
        functions = ", ".join(f"{SCHEMA}.{name}" for name in dict.fromkeys(lacks.values()))
        yield Finding(
            code="sender-unable",
            what=f"role {sql.Identifier(owner).as_string()}, as which {functions} runs, may not "
            f"{'; '.join(lack.what for lack in lacks)}",
            why="writes that it captures fail",
            fix="; ".join(lack.fix for lack in lacks),
        )
    pairs = {
        (function.owner, queue): function.name
        for function in observed.functions.values()
        if function.marker and function.marker.project == manifest.project and function.name not in captures
        for queue in read_queues(function)
    }
    values = {"owners": [owner for owner, _ in pairs], "queues": [queue for _, queue in pairs]}
    for owner, queue, lacks in conn.execute(_SENDERS, values).fetchall() if observed.session.has_pgmq else ():
        if lacks:
            role = sql.Identifier(owner).as_string()
            yield Finding(
                code="sender-unable",
                what=f"role {owner}, as which function {SCHEMA}.{pairs[owner, queue]} runs, "
                f"may not send to queue {queue}",
                why="every write that the function captures fails",
                fix="; ".join(f"GRANT {privilege} TO {role}" for privilege in lacks),
            )


def _find_powerful_definers(manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    definers = observed.definers
    for name in sorted(set(definers.by_capture.values())):
        definer = definers.roles.get(name)
        if definer is None or not definer.makers or (manifest.owner and not definer.powers):
            continue
        yield Finding(
            code="definer-powerful",
            what=f"capture functions run as role {spell_name(name)}, "
            f"{describe_danger(definer) if not manifest.owner else 'who ' + ' and '.join(definer.powers)}",
            why="a cast or operator of a captured column's type runs with these rights at every write, and "
            f"{', '.join(map(spell_name, definer.makers))} can make one",
            fix="take these rights from it" if manifest.owner else f"{DECLARE}, generate and apply",
        )


def _find_states(manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    said = set()
    missing: dict[tuple[str, str], list[str]] = {}
    for thing in compare(manifest, observed):
        if thing.state == "disabled":
            yield Finding(
                code="trigger-disabled",
                what=f"{thing}: {thing.detail}",
                why=f"changes that route {thing.route} declares are not captured, now or later",
                fix="changelane apply",
            )
        elif thing.state == "blocked" and thing.capture and thing.detail not in said:
            if thing.detail == find_lack(thing.capture, observed)[0]:
                # The finding on its owner says this already.
                continue
            said.add(thing.detail)
            yield Finding(
                code="route-blocked",
                what=thing.detail,
                why=f"route {thing.route} cannot be applied",
                fix=thing.fix,
            )
        elif thing.kind == "api" and thing.state in ("missing", "drifted"):
            yield Finding(
                code="api-changed",
                what=f"schema {thing.name}: {thing.detail if thing.state == 'drifted' else 'it is gone'}",
                why="clients get errors, or rights that nobody declared; an update of pgmq drops functions "
                "that use a type that it recreates (message_record at 1.10.0)",
                fix="changelane apply",
            )
        elif thing.kind == "table" and thing.state == "missing":
            yield Finding(
                code="table-uncaptured",
                what=thing.detail,
                why=f"changes that route {thing.route} declares are not captured, now or later",
                fix=thing.fix,
            )
        elif thing.kind == "table":
            yield Finding(
                code="key-changed",
                what=thing.detail,
                why="consumers use a key that may not identify rows",
                fix=thing.fix,
            )
        elif thing.state == "missing" and thing.kind == "trigger" and thing.capture:
            missing.setdefault((thing.route, thing.place), []).append(thing.capture.event)
    for (route, table), events in missing.items():
        yield Finding(
            code="capture-missing",
            what=f"{table} has no trigger of route {route} for {', '.join(events)}",
            why=f"changes that route {route} declares are not captured, now or later",
            fix="changelane apply",
        )


def _find_leftovers(manifest: Manifest, observed: Observed) -> Iterator[Finding]:
    """Triggers of the project that still send although they are not declared, by route and table."""
    declared = {(*capture.identity, capture.trigger_name) for capture in manifest.captures}
    names: dict[tuple[str, str, bool], list[str]] = {}
    for trigger in list_retired(manifest.project, observed):
        yield Finding(
            code="trigger-retired",
            what=explain_retired(trigger).partition(":")[0],
            why="each write to the table pays for the call",
            fix=f"as {trigger.owner}: {drop_trigger(trigger.name, table=(trigger.schema, trigger.table))}",
        )
    for trigger in observed.triggers.values():
        marker = trigger.marker
        retired = marker is not None and marker.kind == "retired"
        if marker is None or retired or marker.project != manifest.project or trigger.enabled == "D":
            continue
        misplaced = is_misplaced(trigger)
        if misplaced or trigger.identity not in declared:
            place = spell((trigger.schema, trigger.table))
            names.setdefault((marker.name, place, misplaced), []).append(trigger.name)
    for (route, place, misplaced), triggers in names.items():
        listed = f"{place} has triggers of route {route}: {', '.join(triggers)}"
        if misplaced:
            yield Finding(
                code="trigger-misnamed",
                what=f"{listed}; they send its changes under the name of another table",
                why="who follows that other table applies changes that are not its own",
                fix="changelane inspect and changelane generate, then changelane apply --prune",
            )
        else:
            yield Finding(
                code="still-sending",
                what=f"{listed}; sql_out/ no longer declares them",
                why="they go on sending what nobody declares",
                fix="changelane apply --prune",
            )


def _find_replica_settings(conn: psycopg.Connection[Any], manifest: Manifest) -> Iterator[Finding]:
    skipped = {
        "replica": sorted({capture.route for capture in manifest.captures if capture.fire == "origin"}),
        "local": sorted({capture.route for capture in manifest.captures if capture.fire == "replica"}),
    }
    for role, database, value in conn.execute(_SETTINGS).fetchall():
        if routes := skipped.get(value, []):
            yield Finding(
                code="replication-role",
                what=f"session_replication_role is {value} for {_describe_whose(role, database)}",
                why=f"their writes do not fire the triggers of: {', '.join(routes)}",
                fix=_reset(role, database),
            )


def _describe_whose(role: str | None, database: str | None) -> str:
    if role is None and database is None:
        return "all sessions"
    whose = f"sessions of role {role}" if role else "all sessions"
    return f"{whose} in database {database}" if database else whose


def _reset(role: str | None, database: str | None) -> str:
    names = [sql.Identifier(name).as_string() if name else "" for name in (role, database)]
    if role and database:
        whose = f"ALTER ROLE {names[0]} IN DATABASE {names[1]}"
    elif role or database:
        whose = f"ALTER ROLE {names[0]}" if role else f"ALTER DATABASE {names[1]}"
    else:
        whose = "ALTER SYSTEM"
    return f"{whose} RESET session_replication_role; or declare fire: always on those routes"


def _find_subscriptions(conn: psycopg.Connection[Any], manifest: Manifest) -> Iterator[Finding]:
    tables: dict[tuple[str, str], list[Capture]] = {}
    for capture in manifest.captures:
        tables.setdefault(capture.identity, []).append(capture)
    values = {"schemas": [schema for schema, _ in tables], "tables": [table for _, table in tables]}
    for name, schema, table in conn.execute(_SUBSCRIPTIONS, values).fetchall():
        missed = {
            capture.route: needs for capture in tables[schema, table] if (needs := _find_needs(capture))
        }
        for route, needs in sorted(missed.items()):
            yield Finding(
                code="subscription-skips",
                what=f"subscription {name} applies changes to {spell((schema, table))}, "
                f"which route {route} does not see",
                why="logical replication fires only row triggers that are enabled ALWAYS or REPLICA",
                fix=f"declare {_list(needs)} in route {route}, then changelane generate and apply",
            )


def _find_needs(capture: Capture) -> Mapping[str, str]:
    """The options that a route must declare so that its capture fires on replicated changes; empty if it
    fires.
    """
    needs = {}
    if capture.fire == "origin":
        needs["fire"] = "always"
    if capture.level == "statement" and capture.event != "truncate":
        needs["capture"] = "row"
    return needs


def _list(needs: Mapping[str, str]) -> str:
    return " and ".join(f"{key}: {value}" for key, value in needs.items())
