"""Every error that Changelane raises for a person to fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from changelane.diagnostic import Diagnostic


class ChangelaneError(Exception):
    """Something that the user can fix: ``what`` went wrong and ``fix``, the command or edit.

    ``exit_code`` is what the command line exits with.
    """

    exit_code = 1

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class SpecError(ChangelaneError):
    """All the problems of one ``pipelines.yaml``, in file order."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        count = len(diagnostics)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the spec; nothing was written")
        self.diagnostics = tuple(diagnostics)


class DatabaseError(ChangelaneError):
    """The database could not be reached, or lacks something that a command needs."""


class ServerError(ChangelaneError):
    """The local server could not be started or stopped."""


class ManifestError(ChangelaneError):
    """``sql_out/`` is missing, stale, edited by hand, or of another version."""


class ProjectError(ManifestError):
    """The spec and ``sql_out/`` are of two projects."""


class HandlerError(ChangelaneError):
    """A consumer's handler is missing or takes what the worker cannot give; found before the first claim."""


class DestinationError(ChangelaneError):
    """A relay's destination is set up wrong: a secret is missing, or the engine lacks something."""


class ProblemsError(ChangelaneError):
    """Several problems at once, each an error with its own fix."""

    def __init__(self, what: str, problems: Sequence[ChangelaneError]) -> None:
        super().__init__(what)
        self.problems = tuple(problems)


class PreflightError(ProblemsError):
    """An apply that would fail half-way, refused before it changed anything; holds every problem found."""

    def __init__(self, problems: Sequence[ChangelaneError]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'' if count == 1 else 's'} found; nothing was changed", problems)


class IncompleteError(ProblemsError):
    """An apply that did what it could; holds everything that it left."""

    def __init__(self, problems: Sequence[ChangelaneError], *, done: int) -> None:
        count = len(problems)
        super().__init__(
            f"{done} step{'' if done == 1 else 's'} done and verified; "
            f"left: the {'problem' if count == 1 else f'{count} problems'} above",
            problems,
        )


class LockNotObtained(ChangelaneError):
    """Another session held a lock for too long. Finished steps stay, and the command is safe to repeat."""

    exit_code = 75
