"""A problem at a place in a file, as data, and its three renderings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Where in a file: line and column count from 1; ``end_column`` is one past the last character."""

    file: str
    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """``code`` is stable; ``summary`` names the problem, ``fix`` the edit, ``source`` is the line."""

    span: Span
    code: str
    summary: str
    fix: str = ""
    source: str = ""
    severity: Literal["error", "warning"] = "error"


def locate(text: str, offset: int) -> str:
    """``line L, column C`` of an offset in characters; both count from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - start + 1}"


def render_text(diagnostics: Sequence[Diagnostic]) -> str:
    return "\n".join(_render_one(diagnostic) for diagnostic in diagnostics)


def _render_one(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    place = f"{span.file}:{span.line}:{span.column}"
    head = f"{place}: {diagnostic.severity}[{diagnostic.code}]: {diagnostic.summary}"
    lines = [head]
    if diagnostic.source:
        gutter = f"{span.line:>5} | "
        width = max(1, min(span.end_column, len(diagnostic.source) + 1) - span.column)
        lines += [gutter + diagnostic.source, " " * (len(gutter) + span.column - 1) + "^" * width]
    if diagnostic.fix:
        lines.append(f"  fix: {diagnostic.fix}")
    return "\n".join(lines) + "\n"


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    return json.dumps(
        {"format_version": 2, "diagnostics": [asdict(diagnostic) for diagnostic in diagnostics]}, indent=2
    )


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Workflow commands, one a line, that annotate a pull request."""
    return "\n".join(
        f"::{diagnostic.severity} file={_property(diagnostic.span.file)},line={diagnostic.span.line},"
        f"col={diagnostic.span.column},endColumn={diagnostic.span.end_column},title={_property(diagnostic.code)}"
        f"::{_data(diagnostic.summary)}"
        for diagnostic in diagnostics
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
