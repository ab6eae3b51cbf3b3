"""A spec's text as values with positions: YAML without its surprises.

It is built from libyaml's events. So tags never construct anything, and depth, size and aliases are limited
before they cost time or memory. Offsets and columns count characters.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from changelane.contract.missing import describe_missing, suggest_folder
from changelane.diagnostic import Diagnostic, Span
from changelane.errors import ChangelaneError, SpecError
from changelane.generator.spec.codes import Code
from changelane.generator.spec.redaction import (
    Place,
    find_exempt,
    find_secrets,
    list_quoted,
    mask,
    mask_line,
    scrub,
)

LIMIT_BYTES = 1_000_000
LIMIT_LINE = 1_000
"""Characters of a source line that a diagnostic may carry."""

LOOKED_UP = 100
"""Lines above one that are read to see whether it belongs to a secret."""

REFUSED = re.compile(
    "[^\t\n\r -~\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
    "|\r(?!\n)"
)
"""Control characters, line ends that editors do not count, marks that make text look like other text."""


class Plain(str):
    """The literal text of an unquoted scalar; ``resolve`` gives its YAML meaning."""

    __slots__ = ()


Value = str | list["Value"] | dict[str, "Value"]
Step = str | int


@dataclass(slots=True)
class Node:
    """A value and its place: offsets into the text; ``end`` is one past its last character.

    ``keys`` holds the offsets of a mapping's keys; ``size`` and ``height`` count nodes with aliases expanded.
    """

    start: int
    end: int
    content: str | list[Node] | dict[str, Node]
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    size: int = 1
    height: int = 1

    def step(self, step: Step) -> Node | None:
        """The child at that key or index, or None."""
        content = self.content
        if isinstance(step, str):
            return content.get(step) if isinstance(content, dict) else None
        if isinstance(content, list) and 0 <= step < len(content):
            return content[step]
        return None

    def plain(self) -> Value:
        """The value without its positions."""
        if isinstance(self.content, dict):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_BOOLEAN = re.compile("true|True|TRUE|false|False|FALSE")
_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?[.](inf|Inf|INF)|[.](nan|NaN|NAN)"
    r"|[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?"
)


def resolve(value: object) -> object:
    """None or an int if an unquoted scalar means that, else the value as it is.

    Only text that every YAML reader takes as a number is one: ``012`` and ``12:30`` stay text.
    """
    if isinstance(value, Plain):
        if value in ("", "~", "null", "Null", "NULL"):
            return None
        if _INTEGER.fullmatch(value):
            return int(value)
    return value


def name_type(value: object) -> str:
    """The type that YAML 1.2 (section 10.3.2) gives unquoted text, when that is not text; else empty."""
    if isinstance(value, Plain):
        if _BOOLEAN.fullmatch(value):
            return "a boolean"
        if _NUMBER.fullmatch(value):
            return "a number"
    return ""


class Source:
    """A spec's text; ``file`` is its name in diagnostics, ``root`` the mapping that it holds once parsed."""

    def __init__(self, text: str, *, file: str) -> None:
        self.text = text
        self.file = file
        self._root = Node(0, 0, {})
        self._secrets: list[Place] = []
        self._exempt: list[Place] = []
        self._quoted = list_quoted(text, ())
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    @property
    def root(self) -> Node:
        return self._root

    @root.setter
    def root(self, root: Node) -> None:
        self._root = root
        self._secrets, self._exempt = find_secrets(root), find_exempt(root)
        self._quoted = list_quoted(self.text, self._secrets)

    def find(self, *path: Step) -> Node | None:
        """The node at a path of keys and indexes, or None."""
        node: Node | None = self._root
        for step in path:
            if node is None:
                return None
            node = node.step(step)
        return node

    def locate(self, *path: Step, key: bool = False) -> Span:
        """The place of the value at ``path``, or of its key; the nearest parent's place when it is absent."""
        node = self.root
        value_place = key_place = (node.start, node.end)
        for step in path:
            child = node.step(step)
            if child is None:
                return self.span(*key_place)
            value_place = (child.start, child.end)
            key_place = node.keys.get(step, value_place) if isinstance(step, str) else value_place
            node = child
        return self.span(*(key_place if key or node.start == node.end else value_place))

    def locate_within(self, offset: int, length: int, *path: Step) -> Span:
        """The place of ``length`` characters from ``offset`` of a scalar's value; the whole scalar when
        escapes make the value differ from its text.

        Blanks may be folded between the two; all other characters stand in both in the same order. So this
        counts the others.
        """
        node = self.find(*path)
        if node is None or not isinstance(node.content, str):
            return self.locate(*path)
        start, end = self._strip_style(node)
        places = [place for place in range(start, end) if not self.text[place].isspace()]
        inked = [index for index, character in enumerate(node.content) if not character.isspace()]
        if len(places) != len(inked) or any(
            self.text[place] != node.content[index] for place, index in zip(places, inked, strict=True)
        ):
            return self.span(node.start, node.end)
        if not places:
            return self.span(node.start, node.end)
        offset = min(max(offset, 0), len(node.content))
        first = _map(offset, inked=inked, places=places)
        last = _map(max(offset, offset + length - 1), inked=inked, places=places)
        return self.span(first, max(last + 1, first + 1))

    def _strip_style(self, node: Node) -> tuple[int, int]:
        raw = self.text[node.start : node.end]
        if isinstance(node.content, Plain):
            return node.start, node.end
        if raw[:1] in ("'", '"'):
            return node.start + 1, node.end - 1
        return node.start + raw.find("\n") + 1, node.end

    def span(self, start: int, end: int) -> Span:
        """The span of text offsets, cut off at the end of its first line."""
        start = min(max(start, 0), len(self.text))
        line = bisect_right(self._starts, start)
        origin = self._starts[line - 1]
        limit = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        content = self.text[origin:limit].rstrip()
        column = start - origin + 1
        end_column = max(min(end - origin, len(content)) + 1, column + 1)
        return Span(file=self.file, line=line, column=column, end_column=end_column)

    def read_line(self, line: int) -> str:
        """The text of a line, with blanks for tabs, and without secrets and characters that a terminal would
        act upon.
        """
        start, end = self._bound(line)
        exempt = any(first <= start < last for first, last in self._exempt)
        known = mask(self.text, self._secrets, start=start, end=end)
        above = [slice(*self._bound(at)) for at in range(line - 1, max(0, line - LOOKED_UP), -1)]
        masked = mask_line(known, before=[self.text[place] for place in above], exempt=exempt)
        return REFUSED.sub("\ufffd", masked.rstrip("\r\n").replace("\t", " "))

    def _bound(self, line: int) -> tuple[int, int]:
        """The offsets at which a line begins, and at which its shown part ends."""
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return start, min(end, start + LIMIT_LINE)

    def report(
        self,
        code: str,
        summary: str,
        span: Span,
        *,
        fix: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> Diagnostic:
        """A problem at a span, with its source line."""
        source = self.read_line(span.line)
        if span.column > len(source) + 1:
            source = ""
        return Diagnostic(
            span=span,
            code=str(code),
            summary=scrub(summary, self._quoted),
            fix=scrub(fix, self._quoted),
            source=source,
            severity=severity,
        )

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
        span = self.locate(*path, key=key) if within is None else self.locate_within(*within, *path)
        return self.report(code, summary, span, fix=fix, severity=severity)


def _map(index: int, *, inked: list[int], places: list[int]) -> int:
    """The place of a value's character. For a blank or the end, it is one past the character before."""
    at = bisect_right(inked, index) - 1
    if at < 0:
        return places[0]
    return places[at] + (0 if inked[at] == index else 1)


def read_source(path: Path) -> Source:
    """The text of a file, not parsed yet.

    Raises ChangelaneError when it cannot be read, SpecError when it is too long or is not text.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise ChangelaneError(
            describe_missing(path),
            fix=suggest_folder(path, fix="`changelane init` writes a first one; or name another with --file"),
        ) from None
    except OSError as error:
        raise ChangelaneError(
            f"{path} cannot be read: {error.strerror}", fix="name another file with --file"
        ) from None
    file_name = str(path)
    if len(content) > LIMIT_BYTES:
        source = Source("", file=file_name)
        message = f"the file is larger than {LIMIT_BYTES:,} bytes"
        raise SpecError(
            [source.report(Code.LIMIT, message, source.span(0, 0), fix="split the project in two")]
        )
    # Half of the bytes of ASCII text in UTF-16 or UTF-32 are zero.
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[:4].count(0) > 1
    try:
        text = content.decode("utf-8-sig")
        wrong = 0 if wide else None
    except UnicodeDecodeError as error:
        text = content.decode("utf-8-sig", errors="replace")
        wrong = 0 if wide else len(content[: error.start].decode("utf-8-sig"))
    source = Source(text, file=file_name)
    if wrong is not None:
        place = source.span(wrong, wrong + 1)
        message = "the file is not UTF-8 text"
        raise SpecError([source.report(Code.CHARACTER, message, place, fix="save it as UTF-8")])
    refused = [
        source.report(
            Code.CHARACTER,
            f"the character {_name(found[0])} is not allowed here",
            source.span(found.start(), found.end()),
            fix="delete it; in a quoted value an escape such as \\t may stand for it",
        )
        for found, _ in zip(REFUSED.finditer(text), range(100), strict=False)
    ]
    if refused:
        raise SpecError(refused)
    return source


def _name(character: str) -> str:
    return "carriage return without line feed" if character == "\r" else f"U+{ord(character):04X}"
