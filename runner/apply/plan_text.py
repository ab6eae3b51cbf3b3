"""A plan as text, JSON or SQL."""

from __future__ import annotations

import json
from itertools import groupby

from changelane.runner.apply.plan import Plan
from changelane.runner.apply.step import Step
from changelane.runner.apply.transaction_sql import open_transaction, read_sql
from changelane.text import clean_line, spell

_SIGNS = {"add": "+", "destroy": "-"}


def render_text(plan: Plan, *, out: str = "sql_out") -> str:
    """Drift first, then the steps by transaction, problems, notes, and a summary as the last line. ``out`` is
    the folder of generated files, which the text names.
    """
    parts = []
    if plan.drift:
        lines = [f"  ! {thing}: {clean_line(thing.detail)}" for thing in plan.drift]
        parts.append("\n".join(["Changed outside Changelane:", *lines]))
    for transaction, steps in groupby(plan.steps, key=lambda step: step.transaction):
        parts.append("\n".join([f"{_title(transaction)}:", *map(_render_step, steps)]))
    for title, told in (
        ("Cannot be applied:", plan.problems),
        ("Left as it is:", plan.explain_left()),
    ):
        lines = [
            f"  {clean_line(what)}" + (f"\n    fix: {clean_line(fix)}" if fix else "") for what, fix in told
        ]
        parts += ["\n".join([title, *lines])] if lines else []
    if plan.notes:
        parts.append("\n".join(f"note: {clean_line(note)}" for note in plan.notes))
    parts.append(summarize(plan, out=out))
    return "\n\n".join(parts)


def summarize(plan: Plan, *, out: str = "sql_out") -> str:
    """The last line of a plan."""
    if not plan.steps and not plan.differences:
        return f"No changes. Database matches {out}/."
    add, change, destroy = plan.counts
    return f"Plan: {add} to add, {change} to change, {destroy} to destroy."


def render_json(plan: Plan, files: dict[str, bytes]) -> str:
    """``format_version`` first; ``sql`` is null for the installation of pgmq, which is not one statement."""
    return json.dumps(to_record(plan, files), indent=2)


def to_record(plan: Plan, files: dict[str, bytes]) -> dict[str, object]:
    """The plan as JSON-able data."""
    add, change, destroy = plan.counts
    return {
        "format_version": 2,
        "project": plan.project,
        "manifest": plan.manifest,
        "observed": plan.observed,
        "options": {"prune": plan.prune, "only": plan.only},
        "summary": {"add": add, "change": change, "destroy": destroy},
        "drift": [
            {
                "kind": thing.kind,
                "name": thing.name,
                "table": thing.place,
                "state": thing.state,
                "detail": thing.detail,
            }
            for thing in plan.drift
        ],
        "steps": [
            {
                "action": step.action,
                "kind": step.kind,
                "name": step.name,
                "table": spell(step.table),
                "transaction": step.transaction,
                "lock": step.lock,
                "reason": step.reason,
                "sql": read_sql(step, files),
            }
            for step in plan.steps
        ],
        "problems": [{"what": what, "fix": fix} for what, fix in plan.problems],
        "left": [{"what": what, "fix": fix} for what, fix in plan.explain_left()],
        "notes": plan.notes,
    }


def render_sql(plan: Plan, files: dict[str, bytes]) -> str:
    """The exact statements, grouped by transaction."""
    parts = []
    for transaction, group in groupby(plan.steps, key=lambda step: step.transaction):
        steps = list(group)
        opening = open_transaction(steps)
        alone = len(steps) == 1 and steps[0].alone
        texts = [read_sql(step, files, alone=alone) for step in steps]
        statements = [text.strip() for text in texts if text is not None]
        if alone:
            parts.append("\n".join([f"-- {transaction}, in no transaction", *statements]))
        elif statements:
            parts.append("\n".join([f"-- {transaction}", "BEGIN;", opening, *statements, "COMMIT;"]))
        else:
            parts.append("-- pgmq is missing: apply installs it first, as the extension or as plain SQL")
    if not parts:
        parts.append(f"-- {summarize(plan)}")
    return "\n\n".join(parts)


def _title(transaction: str) -> str:
    return transaction[0].upper() + transaction[1:]


def _render_step(step: Step) -> str:
    facts = [fact for fact in (step.reason, "" if step.lock == "none" else f"lock {step.lock}") if fact]
    sign = "~ rename" if step.action == "rename" else _SIGNS.get(step.action, "~")
    return f"  {sign} {step}" + (f"  ({'; '.join(facts)})" if facts else "")
