"""The context that all pages share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from changelane.contract.statement import Statement
from changelane.runner.dashboard.data.background import BackgroundRefresh
from changelane.runner.dashboard.data.declared import Project
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.data.timeline import Timelines
from changelane.runner.dashboard.web.guard import Rules
from changelane.runner.dashboard.web.guess_limit import GuessLimit
from changelane.runner.dashboard.web.selections import Selections
from changelane.runner.dashboard.web.sessions import Sessions
from changelane.runner.dashboard.web.tasks import Tasks
from changelane.runner.operate.backfill import Source

NOTES = 1000
"""Sessions for which notes are kept."""

Split = Callable[[str], Sequence[Statement]]
"""Splits SQL into statements that a rollback undoes; raises ChangelaneError."""

Resolve = Callable[[str], str]
"""Qualifies the operators of an expression over messages with their schemas; raises ChangelaneError."""

Describe = Callable[[str], Sequence[tuple[str, str]]]
"""What the spec says of a route: titles and texts; raises ChangelaneError."""

Prepare = Callable[[str, str], Source]
"""The rows of a route's table (``schema.name``), ready to be sent; raises ChangelaneError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What only the generator can tell, and the dashboard is given as functions."""

    split: Split
    resolve: Resolve
    describe: Describe
    prepare: Prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """``pool`` is for pages. ``trying`` and ``searching`` are for statements and expressions of people, so
    that pages never wait for those. ``log`` prints one line on the server's stderr.
    """

    pool: Pool
    trying: Pool
    searching: Pool
    project: Project
    sessions: Sessions
    guesses: GuessLimit
    rules: Rules
    watch: BackgroundRefresh
    spec: Spec
    log: Callable[[str], None]
    timelines: Timelines = field(default_factory=Timelines)
    selections: Selections = field(default_factory=Selections)
    tasks: Tasks = field(default_factory=Tasks)
    _notes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def read_only(self) -> bool:
        return self.rules.read_only

    def add_note(self, session: str, note: str) -> None:
        """Show the text on the next page of this session. Programs have no session, and read responses
        instead.
        """
        if not session:
            return
        self._notes.setdefault(session, []).append(note)
        if len(self._notes) > NOTES:
            del self._notes[next(iter(self._notes))]

    def take_notes(self, session: str) -> Sequence[str]:
        """Take the texts to show, once."""
        return self._notes.pop(session, [])
