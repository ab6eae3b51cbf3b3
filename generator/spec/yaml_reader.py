"""Builds a tree of nodes from libyaml's events, within limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from changelane.diagnostic import Diagnostic
from changelane.errors import SpecError
from changelane.generator.spec.codes import Code
from changelane.generator.spec.yaml_source import REFUSED, Node, Plain, Source

LIMIT_NODES = 50_000
LIMIT_DEPTH = 64
LIMIT_PROBLEMS = 200
_TOO_DEEP = f"nested more than {LIMIT_DEPTH} deep"

_HELP = (
    ("mapping values are not allowed", "a value that holds `: ` needs quotes"),
    ("found unexpected end of stream", "close the quote that opens in this value"),
    ("tab character", "indent with blanks, not with tabs"),
    ("expected ',' or", "close the bracket that opens before this, or put the value in quotes"),
    ("did not find expected node content", "close the bracket that opens before this"),
    ("did not find expected", "check the indentation of this line and of those above"),
    ("could not find expected ':'", "a key needs a colon and a blank after it"),
    ("escape", "in double quotes a backslash starts an escape: write it twice, or use single quotes"),
)


_ANCHOR = re.compile(r"&\S+\s*")


@dataclass(slots=True)
class _Frame:
    """A collection that is still open. ``key`` is the key whose value comes next."""

    node: Node
    anchor: str | None
    flow: bool
    key: Node | None = None
    ignored: bool = False
    """Whether the next value belongs to a key that was refused."""


@dataclass(slots=True)
class _Reader:
    source: Source
    problems: list[Diagnostic] = field(default_factory=list)
    frames: list[_Frame] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)
    root: Node | None = None
    documents: int = 0

    def report(self, code: Code, summary: str, start: int, end: int, *, fix: str = "") -> Diagnostic:
        return self.source.report(code, summary, self.source.span(start, end), fix=fix)

    def note(self, code: Code, summary: str, start: int, end: int, *, fix: str = "") -> None:
        if len(self.problems) < LIMIT_PROBLEMS:
            self.problems.append(self.report(code, summary, start, end, fix=fix))

    def stop(self, code: Code, summary: str, start: int, end: int, *, fix: str = "") -> SpecError:
        return SpecError(sorted([*self.problems, self.report(code, summary, start, end, fix=fix)]))

    def accept(self, event: yaml.Event) -> None:
        if event.start_mark is None or event.end_mark is None:
            return
        start, end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.NodeEvent) and event.anchor and not isinstance(event, yaml.AliasEvent):
            anchor = _ANCHOR.match(self.source.text, start)
            start = anchor.end() if anchor else start
            end = max(start, end)
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self.stop(
                        Code.NOT_A_SPEC,
                        "a second document starts here",
                        start,
                        end,
                        fix="a spec is one document: delete this line and all that follows",
                    )
            case yaml.ScalarEvent():
                self.accept_scalar(event, start, end)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.check_tag(event.tag, start, end)
                content: dict[str, Node] | list[Node] = (
                    {} if isinstance(event, yaml.MappingStartEvent) else []
                )
                self.frames.append(
                    _Frame(Node(start, end, content), anchor=event.anchor, flow=bool(event.flow_style))
                )
                if len(self.frames) > LIMIT_DEPTH:
                    raise self.stop(Code.LIMIT, _TOO_DEEP, start, end)
                if event.anchor:
                    self.anchors[event.anchor] = None
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                frame = self.frames.pop()
                if frame.flow:
                    frame.node.end = end
                if frame.anchor:
                    self.anchors[frame.anchor] = frame.node
                self.place(frame.node)
            case yaml.AliasEvent():
                self.accept_alias(str(event.anchor), start, end)

    def accept_scalar(self, event: yaml.ScalarEvent, start: int, end: int) -> None:
        quoted = bool(event.style)
        explicit = event.tag if not any(event.implicit) else None
        self.check_tag(explicit, start, end)
        found = REFUSED.search(event.value.replace("\r", " "))
        if found:
            self.note(
                Code.CHARACTER,
                f"an escape stands for U+{ord(found[0]):04X}, which is not allowed",
                start,
                end,
            )
        node = Node(start, end, event.value if quoted else Plain(event.value))
        if event.anchor:
            self.anchors[event.anchor] = node
        self.place(node)

    def accept_alias(self, anchor: str, start: int, end: int) -> None:
        if anchor not in self.anchors:
            raise self.stop(
                Code.ALIAS,
                f"the alias `*{anchor}` names no anchor above it",
                start,
                end,
                fix=f"mark the value meant with `&{anchor}`",
            )
        node = self.anchors[anchor]
        if node is None:
            raise self.stop(Code.ALIAS, f"the alias `*{anchor}` stands within what it names", start, end)
        if len(self.frames) + node.height > LIMIT_DEPTH:
            raise self.stop(Code.LIMIT, f"{_TOO_DEEP} with this alias", start, end)
        self.place(node)

    def check_tag(self, tag: str | None, start: int, end: int) -> None:
        if tag is not None:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            self.note(
                Code.YAML_FEATURE,
                f"the tag `{shown[:60]}` is not allowed",
                start,
                end,
                fix="a spec holds plain text, numbers, lists and mappings: delete the tag",
            )

    def place(self, node: Node) -> None:
        """Put a finished node into the collection that contains it."""
        if not self.frames:
            self.root = node
            return
        frame = self.frames[-1]
        parent = frame.node
        parent.size += node.size
        if parent.size + sum(above.node.size for above in self.frames[:-1]) > LIMIT_NODES:
            raise self.stop(
                Code.LIMIT, f"the spec holds more than {LIMIT_NODES:,} values", node.start, node.end
            )
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.content, list):
            parent.content.append(node)
        elif isinstance(parent.content, dict) and frame.ignored:
            frame.ignored = False
        elif isinstance(parent.content, dict) and frame.key is None:
            frame.ignored = not self.accept_key(node, parent)
            frame.key = None if frame.ignored else node
        elif isinstance(parent.content, dict) and frame.key is not None:
            key = str(frame.key.content)
            parent.content[key] = node
            parent.keys[key] = (frame.key.start, frame.key.end)
            frame.key = None
        if not frame.flow:
            parent.end = max(parent.end, node.end)

    def accept_key(self, node: Node, parent: Node) -> bool:
        """Whether a mapping's key is valid; notes the problem when it is not."""
        key = node.content
        if not isinstance(key, str):
            self.note(
                Code.KEY_NOT_TEXT,
                "a key must be text, not a collection",
                node.start,
                node.end,
                fix="write `key: value`",
            )
            return False
        if isinstance(key, Plain) and (kind := _read_as(key)):
            if kind == "merge":
                self.note(
                    Code.YAML_FEATURE,
                    "merge keys (`<<`) are not supported",
                    node.start,
                    node.end,
                    fix="repeat the keys, or use an alias for a whole value",
                )
            else:
                self.note(
                    Code.KEY_NOT_TEXT,
                    f"YAML 1.1 reads the key `{key[:60]}` as {kind}, not as text",
                    node.start,
                    node.end,
                    fix=f'put it in quotes: "{key[:60]}"',
                )
            return False
        if key in parent.keys:
            first = self.source.span(*parent.keys[key]).line
            self.note(
                Code.DUPLICATE_KEY,
                f"the key `{key[:60]}` is given twice",
                node.start,
                node.end,
                fix=f"the first is on line {first}; keep one of them",
            )
            return False
        return True


_KINDS = {
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "null": "null",
    "timestamp": "a date",
    "merge": "merge",
}


def _read_as(text: str) -> str:
    """The type that YAML 1.1 gives unquoted text, when that is not text; else empty."""
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], []):
        if pattern.match(text):
            return _KINDS.get(tag.rpartition(":")[2], "")
    return ""


def parse_source(source: Source) -> list[Diagnostic]:
    """Give ``source`` its root and return the problems that leave the rest readable.

    Raises SpecError for a problem that does not: a syntax error, a limit, or a root that is not one mapping.
    """
    reader = _Reader(source)
    try:
        for event in yaml.parse(source.text, Loader=yaml.CSafeLoader):
            reader.accept(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark and error.context_mark and not source.text[mark.index :].strip():
            mark = error.context_mark
        place = mark.index if mark else len(source.text)
        if (error.problem or "").startswith("exceeded max"):
            # libyaml scans ahead of its events, and from 0.2.6 on has a limit of its own.
            raise reader.stop(Code.LIMIT, _TOO_DEEP, place, place + 1) from None
        summary = f"not YAML: {error.problem}{_tell_context(error)}"
        fix = _advise(error, source.text[place : place + 1])
        raise reader.stop(Code.SYNTAX, summary, place, place + 1, fix=fix) from None
    root = reader.root
    if root is None or root.start == root.end:
        raise reader.stop(Code.NOT_A_SPEC, "the file is empty", 0, 0, fix="start it with `version: 1`")
    if not isinstance(root.content, dict):
        kind = "a list" if isinstance(root.content, list) else "one value"
        raise reader.stop(
            Code.NOT_A_SPEC,
            f"the file holds {kind}, not a mapping of keys to values",
            root.start,
            root.end,
            fix="start it with `version: 1`",
        )
    source.root = root
    return reader.problems


def _tell_context(error: yaml.MarkedYAMLError) -> str:
    begin, end = error.context_mark, error.problem_mark
    if not error.context or begin is None or end is None or begin.line == end.line:
        return ""
    return f" ({error.context} that starts on line {begin.line + 1})"


def _advise(error: yaml.MarkedYAMLError, character: str) -> str:
    problem = error.problem or ""
    if "cannot start any token" in problem:
        if character == "\t":
            return "indent with blanks, not with tabs"
        return f"put a value that starts with `{character}` in quotes"
    return next((fix for part, fix in _HELP if part in problem), "")
