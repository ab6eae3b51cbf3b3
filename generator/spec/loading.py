"""Reads ``pipelines.yaml``: a valid spec with the places of its parts, or all of its problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from changelane.diagnostic import Diagnostic, Span
from changelane.errors import SpecError
from changelane.generator.spec.codes import Code
from changelane.generator.spec.contradictions import check
from changelane.generator.spec.explanations import explain
from changelane.generator.spec.models import Route, Spec
from changelane.generator.spec.yaml_reader import LIMIT_PROBLEMS, parse_source
from changelane.generator.spec.yaml_source import Source, Step, Value, read_source


@dataclass(frozen=True, slots=True)
class Document:
    """A valid spec and the text from which it was read."""

    spec: Spec
    source: Source

    @property
    def path(self) -> str:
        return self.source.file

    def locate(self, *path: Step, key: bool = False) -> Span:
        """The place of the value at ``path``, or of its key; the nearest parent's place when it is absent."""
        return self.source.locate(*path, key=key)

    def locate_within(self, offset: int, length: int, *path: Step) -> Span:
        """The place of ``length`` characters from ``offset`` of the scalar at ``path``."""
        return self.source.locate_within(offset, length, *path)

    def diagnose(
        self,
        code: str,
        summary: str,
        *path: Step,
        fix: str = "",
        key: bool = False,
        within: tuple[int, int] | None = None,
        severity: Literal["error", "warning"] = "error",
    ) -> Diagnostic:
        """A problem at a path's value, at its key, or at a part of its scalar, ``within`` (offset and
        length).
        """
        return self.source.diagnose(code, summary, *path, fix=fix, key=key, within=within, severity=severity)


def read_spec(path: Path) -> Document:
    """Read and validate a spec on its own, without a catalog.

    Raises SpecError with every problem found, by position; ChangelaneError when the file cannot be read.
    """
    document, problems = examine(path)
    if problems:
        raise SpecError(problems)
    return document


def examine(path: Path) -> tuple[Document, list[Diagnostic]]:
    """The document and every problem found, by position.

    With problems, the document holds only the routes and keys that are valid by themselves. So these can
    still be checked against a catalog.

    Raises SpecError when the text cannot be read as YAML, ChangelaneError when the file cannot be read.
    """
    source = read_source(path)
    problems = parse_source(source)
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(source.root.plain())
    except ValidationError as error:
        explained = explain(error, source=source, model=Spec)
        problems += _add(problems, explained)
    problems += _add(problems, check(source))
    return Document(spec=spec or _salvage(source), source=source), limit(problems)


def _salvage(source: Source) -> Spec:
    """The routes that are valid, or become so without their invalid keys."""
    found = source.find("routes")
    nodes = found.content if found and isinstance(found.content, list) else []
    salvaged = {index: route for index, node in enumerate(nodes) if (route := _salvage_route(node.plain()))}
    spec = Spec.model_construct(
        version=1, project="", queues={}, routes=tuple(salvaged.values()), consumers={}
    )
    for index, route in salvaged.items():
        route._index = index
    return spec


def _salvage_route(value: Value) -> Route | None:
    try:
        return Route.model_validate(value)
    except ValidationError as error:
        wrong = [detail["loc"] for detail in error.errors()]
    right = value if isinstance(value, dict) else {}
    for path in wrong:
        right = _leave_out(right, path)
    # Placeholders for required keys: the catalog check looks only at tables and columns.
    try:
        return Route.model_validate({"name": "unnamed", "events": ["insert"], **right})
    except ValidationError:
        return None


def _leave_out(mapping: dict[str, Value], path: Sequence[Step]) -> dict[str, Value]:
    """The mapping without the innermost key on the path. A list is dropped whole: its other items must keep
    their indexes.
    """
    if not path:
        return mapping
    step, *rest = path
    kept = {key: value for key, value in mapping.items() if key != step}
    inner = mapping.get(step) if isinstance(step, str) else None
    if rest and isinstance(inner, dict) and isinstance(step, str):
        kept[step] = _leave_out(inner, rest)
    return kept


def _add(known: list[Diagnostic], found: Iterator[Diagnostic]) -> list[Diagnostic]:
    """Problems at places without an earlier problem. A missing key has no place of its own, so it always
    counts.
    """
    places = {problem.span for problem in known}
    fresh = (problem for problem in found if problem.code == Code.MISSING_KEY or problem.span not in places)
    return list(islice(fresh, LIMIT_PROBLEMS + 1))


def limit(problems: list[Diagnostic]) -> list[Diagnostic]:
    """Problems in file order, each once. Beyond the limit, one problem stands for the rest."""
    ordered = sorted(set(problems))
    if len(ordered) <= LIMIT_PROBLEMS:
        return ordered
    rest = ordered[LIMIT_PROBLEMS]
    summary = f"more problems follow; these are the first {LIMIT_PROBLEMS}"
    return [*ordered[:LIMIT_PROBLEMS], replace(rest, code=Code.TOO_MANY, summary=summary, fix="")]
