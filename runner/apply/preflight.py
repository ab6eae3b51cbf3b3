"""Checks before apply that find every reason why it would fail half-way."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from changelane.contract.queue_name import queue_table
from changelane.errors import ChangelaneError, DatabaseError
from changelane.runner.apply.plan import Plan
from changelane.runner.apply.step import Step
from changelane.runner.compare.compare_functions import check_functions
from changelane.runner.compare.compare_owner import check_owner, list_lacks
from changelane.runner.live.observe import Observed, Relation
from changelane.text import spell, spell_name


def check(plan: Plan, observed: Observed) -> list[ChangelaneError]:
    """The plan's problems, then the privileges that the role lacks for its steps."""
    problems = [*_find_read_only(plan, observed), *plan.problems, *_find_missing_privileges(plan, observed)]
    problems += check_owner(plan.objects, observed)
    problems += check_functions(plan.objects, observed)
    problems += _find_unable_senders(plan, observed)
    return [DatabaseError(what, fix=fix) for what, fix in dict.fromkeys(problems)]


def _find_unable_senders(plan: Plan, observed: Observed) -> Iterator[tuple[str, str]]:
    """Reasons why functions that this plan makes or replaces could not send."""
    if observed.session.has_pgmq and not observed.session.reads_queues:
        return
    changed = {step.name for step in plan.steps if step.kind == "function" and step.action != "destroy"}
    lacks = [
        lack
        for thing in plan.objects
        if thing.kind == "function" and thing.capture and thing.name in changed
        for lack in list_lacks(thing.capture, observed)
    ]
    if lacks := list(dict.fromkeys(lacks)):
        yield (
            f"role {observed.session.role}, as which the triggers run, may not "
            f"{'; '.join(lack.what for lack in lacks)}: writes would fail",
            "; ".join(lack.fix for lack in lacks),
        )


def _find_read_only(plan: Plan, observed: Observed) -> Iterator[tuple[str, str]]:
    session = observed.session
    if not plan.steps:
        return
    if session.standby:
        yield f"database {session.database} is on a standby, which takes no writes", "connect to the primary"
    elif session.reads_only:
        yield (
            f"the transactions of role {session.role} in database {session.database} are read-only",
            f'take that back (ALTER ROLE "{session.role}", or ALTER DATABASE "{session.database}", '
            "RESET default_transaction_read_only), or set PGOPTIONS='-c default_transaction_read_only=off'",
        )


def _find_missing_privileges(plan: Plan, observed: Observed) -> Iterator[tuple[str, str]]:
    session = observed.session
    role = session.role
    for step in plan.steps:
        if step.kind == "schema":
            yield from _check_schema(step, observed)
        elif step.kind == "queue" and session.has_pgmq:
            if step.action == "add" and not session.creates_queues:
                yield (
                    f"role {role} may not create queues in schema pgmq",
                    f'GRANT ALL ON SCHEMA pgmq TO "{role}"; GRANT ALL ON pgmq.meta TO "{role}"',
                )
            elif step.action != "add" and not observed.queues[step.name].owned:
                yield f"role {role} does not own queue {step.name}", "apply as its owner"
        elif step.kind == "function":
            function = observed.functions.get(step.name)
            if function and not function.owned:
                yield (
                    f"function changelane.{step.name} belongs to {function.owner}, and role {role} may not "
                    "replace or drop it",
                    f'apply as {function.owner}, or GRANT "{function.owner}" TO "{role}"',
                )
            if not function and session.has_schema and not session.creates_functions:
                yield (
                    f"role {role} may not create functions in schema changelane",
                    f'GRANT USAGE, CREATE ON SCHEMA changelane TO "{role}"',
                )
        elif step.kind == "trigger" and step.table:
            relation = observed.relations.get(step.table)
            if relation and not relation.owned and step.action != "destroy":
                yield from _check_strange_table(step, relation, plan, role=role)
            if relation and not relation.reachable:
                schema = sql.Identifier(relation.schema).as_string()
                yield (
                    f"role {role} may not use schema {spell_name(relation.schema)}, in which table "
                    f"{spell_name(relation.name)} is",
                    f'GRANT USAGE ON SCHEMA {schema} TO "{role}"',
                )
            if relation and relation.barred and step.action != "destroy":
                yield (
                    f"role {role} may not make triggers on partitions of {spell(step.table)}: "
                    f"{', '.join(relation.barred)}",
                    f'apply as their owner, or GRANT TRIGGER ON {", ".join(relation.barred)} TO "{role}"',
                )
        elif step.kind == "schedule" and any(not row.writable for row in observed.schedules.values()):
            yield (
                f"role {role} may not write table changelane.schedules",
                f"apply as the owner of schema changelane, or GRANT INSERT, UPDATE, DELETE ON "
                f'changelane.schedules TO "{role}"',
            )
        elif step.kind in ("access", "api"):
            yield from _check_access(step, observed)


def _check_strange_table(
    step: Step, relation: Relation, plan: Plan, *, role: str
) -> Iterator[tuple[str, str]]:
    """On a table of another role, the privilege TRIGGER allows new triggers; all else is left to the table's
    owner.
    """
    table = sql.Identifier(relation.schema, relation.name).as_string()
    if not relation.takes_triggers:
        yield (
            f"role {role} may not make triggers on {spell(step.table)}, which belongs to {relation.owner}",
            f'let its owner run: GRANT TRIGGER ON {table} TO "{role}"; or apply as the owner',
        )
    fires = {
        thing.capture.fire
        for thing in plan.objects
        if thing.capture and (thing.kind, thing.name, thing.table) == ("trigger", step.name, step.table)
    }
    for fire in fires - {"origin"}:
        yield (
            f"role {role} does not own table {spell(step.table)}, which belongs to {relation.owner}: "
            f"only its owner may have a trigger fire {fire}",
            f"take `fire: {fire}` out of the route; or apply as {relation.owner}",
        )


def _check_schema(step: Step, observed: Observed) -> Iterator[tuple[str, str]]:
    session = observed.session
    if step.action == "add" and not session.creates_schemas:
        what = "install pgmq" if step.name == "pgmq" else "create schema changelane"
        fix = (
            "let the database's owner or a superuser run `CREATE EXTENSION pgmq`, or the SQL of pgmq"
            if step.name == "pgmq"
            else f'CREATE SCHEMA changelane AUTHORIZATION "{session.role}"'
        )
        yield (
            f"role {session.role} may not {what} in database {session.database}",
            f'{fix}; or GRANT CREATE ON DATABASE "{session.database}" TO "{session.role}"',
        )
    elif step.action == "change" and not session.owns_schema:
        yield (
            f"role {session.role} does not own schema changelane, which is to be changed: {step.reason}",
            "let its owner run `changelane apply`",
        )


def _check_access(step: Step, observed: Observed) -> Iterator[tuple[str, str]]:
    session, rights = observed.session, observed.rights
    role = session.role
    queue = next(
        (queue for queue in observed.queues.values() if step.table == ("pgmq", queue_table(queue.name))), None
    )
    if queue is not None and queue.has_table and not queue.owned:
        yield (
            f"role {role} does not own queue {queue.name}: giving access to it needs that",
            "apply as its owner",
        )
    if step.kind == "access" and step.action != "destroy" and session.has_pgmq and not session.lends_pgmq:
        yield (
            f"role {role} may not let others use schema pgmq",
            f'GRANT USAGE ON SCHEMA pgmq TO "{role}" WITH GRANT OPTION',
        )
    if step.kind == "api" and rights.api is not None and not rights.api.owned:
        yield (
            f"role {role} does not own schema pgmq_public and its functions, which are to be changed",
            "let its owner run `changelane apply`",
        )
    elif step.kind == "api" and rights.api is None and not session.creates_schemas:
        yield (
            f"role {role} may not create schema pgmq_public in database {session.database}",
            f'GRANT CREATE ON DATABASE "{session.database}" TO "{role}"',
        )
