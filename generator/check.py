"""Every problem of a spec in one run, whether the spec alone shows it or the catalog does."""

from __future__ import annotations

from pathlib import Path

from changelane.contract.catalog import Catalog
from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError
from changelane.generator.capture.capture import Capture
from changelane.generator.capture.resolution import resolve
from changelane.generator.render.sql_out import Output, generate
from changelane.generator.spec.loading import Document, examine, limit, read_spec


def find_problems(path: Path, catalog: Catalog | None) -> tuple[Diagnostic, ...]:
    """All problems and warnings, by position; a part that is invalid by itself is not compared with the
    catalog.

    Raises SpecError where the text is not YAML, ChangelaneError when the file cannot be read.
    """
    document, problems = examine(path)
    if catalog is None:
        return tuple(problems)
    places = {problem.span for problem in problems}
    against = [problem for problem in resolve(document, catalog).diagnostics if problem.span not in places]
    return tuple(limit([*problems, *against]))


def build(path: Path, catalog: Catalog) -> tuple[Document, Output]:
    """The spec, and everything rendered from it.

    Raises SpecError with all that ``find_problems`` finds, ChangelaneError when the file cannot be read.
    """
    try:
        document = read_spec(path)
        return document, generate(document, catalog)
    except SpecError:
        raise SpecError(find_problems(path, catalog)) from None


def resolve_spec(path: Path, catalog: Catalog) -> list[Capture]:
    """The captures of a spec, not rendered. Raises as ``build``."""
    try:
        return resolve(read_spec(path), catalog).require()
    except SpecError:
        raise SpecError(find_problems(path, catalog)) from None
