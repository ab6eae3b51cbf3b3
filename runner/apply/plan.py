"""The plan of apply: a pure function of the manifest and the observed database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from changelane.contract.manifest import Manifest, hash_text
from changelane.contract.schema import SCHEMA_SQL
from changelane.errors import ChangelaneError
from changelane.runner.apply.step import Mode, Sql, Step, do, drop, end_function
from changelane.runner.apply.steps_access import change_access, drop_api
from changelane.runner.apply.steps_owner import lend_schema
from changelane.runner.apply.steps_queue import do_queue, list_notes
from changelane.runner.apply.steps_schedule import declare_schedules, drop_schedules
from changelane.runner.compare import statement
from changelane.runner.compare.compare import compare, list_other_projects
from changelane.runner.compare.compare_access import list_notes as list_access_notes
from changelane.runner.compare.compare_owner import list_definer_notes
from changelane.runner.compare.compare_tables import note_unreviewed
from changelane.runner.compare.fingerprint import take_fingerprint
from changelane.runner.compare.object import Object
from changelane.runner.compare.order_risk import find_risks
from changelane.runner.compare.orphans import explain_retired, list_retired
from changelane.runner.compare.renames import Rename, find_renames
from changelane.runner.live.observe import Observed
from changelane.suggestion import suggest
from changelane.text import spell, spell_name

SETUP = "schema, queues and functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``steps`` are in the order of execution. ``problems`` holds (what, fix) of each reason for which apply
    refuses. ``left`` are the objects that apply leaves alone while it does the rest. ``drift`` are objects
    changed outside of Changelane, ``notes`` lines for a person.

    ``source`` is the manifest, ``live`` what was observed. These two and the options ``prune`` and ``only``
    determine the plan.
    """

    project: str
    source: Manifest | None = field(default=None, repr=False, compare=False)
    live: Observed | None = field(default=None, repr=False, compare=False)
    prune: bool = False
    only: str | None = None
    objects: tuple[Object, ...]
    steps: tuple[Step, ...]
    problems: tuple[tuple[str, str], ...] = ()
    left: tuple[Object, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def manifest(self) -> str:
        """The hash of the manifest, which only a saved plan and a record need."""
        return hash_text(self.source.dump()) if self.source else ""

    @property
    def observed(self) -> Mapping[str, str]:
        """Each object and the hash of its state, which only a saved plan needs."""
        return take_fingerprint(self.objects, self.live) if self.live else {}

    @property
    def drift(self) -> tuple[Object, ...]:
        return tuple(thing for thing in self.objects if thing.state in ("drifted", "disabled"))

    def explain_left(self) -> tuple[tuple[str, str], ...]:
        """(what, fix) of each object in ``left``, without repetition."""
        # A problem of a table blocks its function and its trigger; it is reported once, for the table.
        told = [
            (f"{thing}: {thing.detail}" if thing.state == "orphaned" else thing.detail, thing.fix)
            for thing in self.left
        ]
        return tuple(dict.fromkeys(told))

    @property
    def counts(self) -> tuple[int, int, int]:
        """The number of objects to add, to change and to destroy."""
        add = sum(step.action == "add" for step in self.steps)
        destroy = sum(step.action == "destroy" for step in self.steps)
        return add, len(self.steps) - add - destroy, destroy

    @property
    def differences(self) -> tuple[Object, ...]:
        """Objects that are not as declared. Not counted: queues no longer declared (they may hold messages),
        and an API that another tool owns.
        """
        return tuple(
            thing
            for thing in self.objects
            if thing.state != "ok"
            and (thing.kind, thing.state) not in (("queue", "orphaned"), ("api", "foreign"))
        )


def plan(manifest: Manifest, observed: Observed, *, prune: bool = False, only: str | None = None) -> Plan:
    """Compare and decide. ``prune`` destroys orphaned triggers and functions, and revokes undeclared rights;
    ``only`` limits the plan to one route.

    Raises ChangelaneError if there is no route named ``only``.
    """
    objects = compare(manifest, observed)
    renames = find_renames(objects, observed)
    if only is not None:
        objects = _narrow(objects, manifest, route=only, renames=renames)
        renames = [rename for rename in renames if rename.capture.route == only]
    steps = [
        *_set_up(objects, manifest, observed, renames),
        *change_access(
            [thing for thing in objects if prune or not thing.undeclared],
            observed,
            project=manifest.project,
            api=manifest.api,
        ),
        *_change_tables(objects, manifest, observed, renames),
    ]
    steps = _rename(
        steps, [rename for rename in renames if rename.known or prune], server=observed.session.server
    )
    doubles = [rename for rename in renames if rename.doubled]
    ended = [rename for rename in doubles if rename.known or prune]
    server = observed.session.server
    steps += drop((rename.explain_double() for rename in ended), server=server)
    steps += drop((rename.function for rename in ended if rename.function), server=server)
    problems = [
        (f"{thing}: {thing.detail}" if thing.capture is None else thing.detail, thing.fix)
        for thing in objects
        if thing.fix and thing.state != "orphaned" and not _holds_back_itself(thing)
    ]
    problems += [
        (
            f"{rename.trigger}, of a route that is no longer declared, may send what {rename.capture.name} "
            "is to send",
            "look at both; --prune drops it in the transaction that adds the new one",
        )
        for rename in renames
        if not (rename.known or prune or rename.doubled)
    ]
    problems += [
        (
            f"{rename.trigger}: it would go on sending what {rename.capture.name} is to send",
            rename.trigger.fix,
        )
        for rename in renames
        if not rename.trigger.action
    ]
    renamed = [thing for rename in renames for thing in rename.objects]
    orphans = [
        thing
        for thing in objects
        if thing.state == "orphaned" and thing not in renamed and not thing.withdrawal
    ]
    left = [thing for thing in objects if _holds_back_itself(thing)]
    notes = [f"{thing}: {thing.detail}; {thing.fix}" for thing in orphans if not thing.action]
    notes += [f"{thing}: {note}" for thing in objects for note in list_notes(thing, observed)]
    notes += list_access_notes(objects, observed)
    notes += map(explain_retired, list_retired(manifest.project, observed))
    notes += note_unreviewed(manifest, observed)
    notes += list_definer_notes(manifest, observed, changed=any(step.kind == "function" for step in steps))
    if only is None:
        notes += [
            f"trigger {spell_name(trigger.name)} on {spell((trigger.schema, trigger.table))} is of project "
            f"{project}, and captures this table, too; if that project is no more: "
            f"changelane destroy --project {project}"
            for trigger, project in list_other_projects(manifest, observed)
        ]
    notes += [f"{risk.what}: {risk.why}; {risk.fix}" for risk in find_risks(manifest, observed)]
    if prune:
        dropped = [thing for thing in orphans if thing.action in ("drop", "retire")]
        steps += [
            *drop_schedules(dropped, project=manifest.project),
            *drop(dropped, server=server),
            *(drop_api(thing) for thing in dropped if thing.kind == "api"),
        ]
    else:
        left += [thing for thing in orphans if thing.action and thing.fix]
        left += [rename.explain_double() for rename in doubles if not rename.known]
        notes += [
            f"orphaned: {thing}{f': {thing.detail}' if thing.detail else ''}; run with --prune to drop"
            for thing in orphans
            if thing.action and not thing.fix
        ]
        notes += [
            f"{thing}: {thing.detail}; declare it, or run with --prune to revoke it"
            for thing in objects
            if thing.undeclared
        ]
    return Plan(
        project=manifest.project,
        source=manifest,
        live=observed,
        prune=prune,
        only=only,
        objects=objects,
        steps=tuple(steps),
        problems=tuple(dict.fromkeys(problems)),
        left=tuple(left),
        notes=tuple(notes),
    )


def _holds_back_itself(thing: Object) -> bool:
    """Whether the problem stops apply for this object's table only."""
    return thing.kind == "table" or (thing.capture is not None and thing.state == "blocked")


def _narrow(
    objects: Iterable[Object], manifest: Manifest, *, route: str, renames: Iterable[Rename]
) -> tuple[Object, ...]:
    routes = sorted({capture.route for capture in manifest.captures})
    if route not in routes:
        raise ChangelaneError(
            f"no route is called {route}",
            fix=suggest(route, routes, otherwise=f"the routes are: {', '.join(routes)}"),
        )
    queues = {name for capture in manifest.captures if capture.route == route for name in capture.queues}
    queues |= {queue.dead_letter for queue in manifest.queues if queue.name in queues and queue.dead_letter}
    former = {rename.trigger.route for rename in renames if rename.capture.route == route}
    return tuple(
        thing
        for thing in objects
        if thing.kind in ("schema", "owner")
        or thing.route == route
        or (thing.state == "orphaned" and thing.route in former)
        or (thing.kind == "queue" and thing.name in queues)
    )


def _set_up(
    objects: Iterable[Object], manifest: Manifest, observed: Observed, renames: Iterable[Rename]
) -> list[Step]:
    objects = tuple(objects)
    together = _replaced_together(objects, renames)
    # A manifest of an older version has no file of it.
    schema = manifest.schema_step or SCHEMA_SQL
    steps = []
    functions: list[Step] = []
    apart: list[Step] = []
    for thing in objects:
        if thing.action in ("", "drop", "retire"):
            continue
        if thing.kind == "schema":
            pgmq = thing.name == "pgmq"
            steps.append(do(thing, sql=() if pgmq else (schema,), transaction=thing.name if pgmq else SETUP))
        elif thing.kind == "queue" and thing.queue:
            step = do_queue(thing, thing.queue, observed, project=manifest.project, transaction=SETUP)
            (steps if step.transaction == SETUP else apart).append(step)
        elif thing.kind == "function" and thing.name not in together:
            functions.append(_do_function(thing, manifest, observed, transaction=SETUP))
    # A new owner has no rights yet on objects that this transaction creates, so grant them afterwards.
    made = any(step.action == "add" for step in steps)
    for thing in objects:
        if thing.owner and thing.state != "blocked" and (thing.action or made):
            owner = replace(thing, action=thing.action or "replace")
            steps.append(do(owner, sql=(thing.owner.step,), transaction=SETUP))
    steps += declare_schedules(objects, transaction=SETUP)
    return [*steps, *lend_schema(functions, manifest, observed), *apart]


def _replaced_together(objects: Iterable[Object], renames: Iterable[Rename]) -> frozenset[str]:
    """Captures whose function and trigger both get a new definition, or whose trigger gets a new name.

    A function for rows fails under a trigger for statements, and the other way round; the application's write
    fails with it. So both change in the one transaction that holds the table's lock.
    """
    replaced = [thing for thing in objects if thing.action == "replace"]
    functions = {thing.name for thing in replaced if thing.kind == "function"}
    triggers = {thing.capture.name for thing in replaced if thing.kind == "trigger" and thing.capture}
    return frozenset(
        functions & (triggers | {rename.capture.name for rename in renames if not rename.doubled})
    )


def _change_tables(
    objects: Iterable[Object], manifest: Manifest, observed: Observed, renames: Iterable[Rename]
) -> list[Step]:
    objects = tuple(objects)
    together = _replaced_together(objects, renames)
    functions = {thing.name: thing for thing in objects if thing.kind == "function"}
    steps = []
    for thing in objects:
        capture = thing.capture
        if thing.kind != "trigger" or capture is None or not thing.action:
            continue
        transaction = f"table {thing.place}"
        if capture.name in together:
            step = _do_function(functions[capture.name], manifest, observed, transaction=transaction)
            steps += lend_schema([step], manifest, observed)
        sql: Sql = (capture.trigger_step,)
        if thing.action == "comment":
            mark = statement.mark_trigger(
                thing.name,
                table=capture.identity,
                project=manifest.project,
                route=capture.route,
                spec=capture.spec,
                live=capture.trigger_live,
            )
            sql = (mark,)
        elif thing.action == "enable":
            sql = (statement.enable_trigger(thing.name, table=capture.identity, fire=capture.fire),)
        mode: Mode = "ACCESS SHARE" if thing.action == "comment" else "SHARE ROW EXCLUSIVE"
        relation = observed.relations[capture.identity]
        steps.append(
            do(
                thing,
                sql=sql,
                transaction=transaction,
                mode=mode,
                relation=relation.kind,
                lockable=relation.lockable,
            )
        )
    return steps


def _do_function(thing: Object, manifest: Manifest, observed: Observed, *, transaction: str) -> Step:
    capture = thing.capture
    assert capture is not None
    sql: Sql = (capture.function_step,)
    if thing.action == "comment":
        mark = statement.mark_function(
            thing.name,
            project=manifest.project,
            route=capture.route,
            spec=capture.spec,
            live=capture.function_live,
            queues=capture.queues,
        )
        sql = (mark,)
    live = observed.functions.get(thing.name)
    owner = manifest.owner.role if manifest.owner else None
    if thing.action == "own":
        sql = (statement.own_function(thing.name, role=owner),)
    elif live and owner is None and not live.owner_creates:
        # CREATE OR REPLACE keeps the present owner.
        sql = (statement.own_function(thing.name, role=None), *sql)
    return do(thing, sql=sql, transaction=transaction)


def _name_former(rename: Rename) -> str:
    elsewhere = rename.trigger.table != rename.capture.identity
    return rename.trigger.name + (f" on {rename.trigger.place}" if elsewhere else "")


def _rename(steps: Sequence[Step], renames: Iterable[Rename], *, server: int) -> list[Step]:
    """The steps, with the drop of an orphan before the step that adds its replacement.

    The drop comes first because its lock is the strongest of the transaction. If only the table's owner may
    drop the orphan, its function is replaced by one that sends nothing.
    """
    former: dict[tuple[tuple[str, str], str], list[Rename]] = {}
    for rename in renames:
        for name in {rename.capture.name, rename.capture.trigger_name}:
            former.setdefault((rename.capture.identity, name), []).append(rename)
    renamed = []
    for step in steps:
        found = former.get((step.table, step.name), []) if step.table else []
        if not found or step.action != "add":
            renamed.append(step)
            continue
        was = f"was {', '.join(_name_former(rename) for rename in found)}"
        if step.kind == "function":
            renamed.append(replace(step, action="rename", reason=was))
            continue
        drops: list[str] = []
        for rename in found:
            assert rename.trigger.table is not None
            if rename.trigger.action == "drop":
                drops.append(statement.drop_trigger(rename.trigger.name, table=rename.trigger.table))
            drops += [end_function(rename.function, server=server)] if rename.function else []
        mode: Mode = (
            step.mode if any(rename.trigger.action != "drop" for rename in found) else "ACCESS EXCLUSIVE"
        )
        reason = "; ".join([f"{was}, and takes its place in one transaction", *filter(None, [step.reason])])
        renamed.append(replace(step, action="rename", mode=mode, reason=reason, sql=(*drops, *step.sql)))
    return renamed
