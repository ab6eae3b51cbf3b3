"""Reports the progress of an apply: lines, a bar on a terminal, or events."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from changelane.commands.output import say
from changelane.errors import ChangelaneError, ProblemsError
from changelane.runner.apply.plan import Plan
from changelane.runner.apply.plan_text import render_text, to_record
from changelane.runner.apply.step import Step

if TYPE_CHECKING:
    from rich.progress import Progress

LONG = 100
"""Number of steps from which on a plan gets a progress bar."""


class TextProgress:
    """For people: results on stdout, waits and progress on stderr."""

    def __init__(self, *, out: str = "sql_out") -> None:
        self._out = out
        self._total = 0
        self._done = 0
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if isinstance(error, KeyboardInterrupt) and self._total:
            say(
                f"interrupted: {self._done} of {self._total} steps are done and hold; "
                "run again to do the rest",
                err=True,
            )

    def tell_plan(self, plan: Plan) -> None:
        say(render_text(plan, out=self._out))
        self._total = len(plan.steps)

    def tell_step(self, _: Step) -> None:
        # The plan above named the step.
        self._done += 1
        if self._total < LONG:
            return
        if sys.stderr.isatty():
            self._bar = self._bar or _make_bar(self._total)
            self._bar.advance(self._bar.task_ids[0])
        elif self._done * 10 // self._total > (self._done - 1) * 10 // self._total:
            say(f"{self._done} of {self._total} steps are done", err=True)

    def tell_wait(self, message: str) -> None:
        say(message, err=True)

    def tell_end(self, plan: Plan) -> None:
        add, change, destroy = plan.counts
        say(f"Applied and verified: {add} added, {change} changed, {destroy} destroyed.")


def _make_bar(total: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # Lines on the same terminal go above the bar; lines into a file need no care.
        redirect_stdout=sys.stdout.isatty(),
    )
    bar.add_task("", total=total)
    bar.start()
    return bar


class JsonProgress:
    """For programs: one JSON object a line on stdout, errors too."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, ChangelaneError):
            problems = error.problems if isinstance(error, ProblemsError) else ()
            self._say(
                "error",
                what=error.what,
                fix=error.fix,
                exit_code=error.exit_code,
                problems=[{"what": problem.what, "fix": problem.fix} for problem in problems],
            )
        elif isinstance(error, KeyboardInterrupt):
            self._say("interrupted")

    def tell_plan(self, plan: Plan) -> None:
        self._say("plan", **to_record(plan, self._files))

    def tell_step(self, step: Step) -> None:
        schema, table = step.table or ("", "")
        self._say("step", action=step.action, kind=step.kind, name=step.name, schema=schema, table=table)

    def tell_wait(self, message: str) -> None:
        self._say("wait", message=message)

    def tell_end(self, plan: Plan) -> None:
        add, change, destroy = plan.counts
        self._say("end", summary={"add": add, "change": change, "destroy": destroy})

    def _say(self, event: str, **facts: object) -> None:
        click.echo(json.dumps({"format_version": 2, "event": event} | facts))
