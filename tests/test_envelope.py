"""The names of a message: one module, one schema, and SQL that spells the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from changelane.change import Change
from changelane.contract.envelope import GROUP as GROUP_HEADER
from changelane.contract.envelope import HEADERS, KEY_CHANGE, OPERATIONS, ROWS, TEXTS, VERSION, Envelope

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCES = ("changelane", "generator", "runner")
SCHEMA = json.loads((ROOT / "schema" / "message.schema.json").read_text())

_READ = re.compile(r"""\b(message|headers)\b\s*(?:OPERATOR\(pg_catalog\.)?(?:->>?|-)\)?\s*'([\w-]+)'""")

_ADDED = re.compile(r"\|\|\s+jsonb_build_object\(\s*'(\w+)',\s+jsonb_build_object")
"""The key of an object that is added to a message."""


def list_sources(*endings: str) -> Iterator[Path]:
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.name.endswith(endings):
                yield path


def split_arguments(text: str, start: int) -> list[str]:
    """The arguments of the call whose opening bracket is before ``start``."""
    found, depth, begin, quoted = [], 0, start, ""
    for place in range(start, len(text)):
        letter = text[place]
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "'\"":
            quoted = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]" and depth:
            depth -= 1
        elif letter == ")" or (letter == "," and not depth):
            found.append(text[begin:place].strip())
            begin = place + 1
            if letter == ")":
                return found
    raise AssertionError("the call does not end")


def list_envelopes(text: str) -> Iterator[list[str]]:
    """The keys of each message that the SQL builds."""
    for call in re.finditer(r"jsonb_build_object\(\s*(?='id', [^,]+, 'op')", text):
        arguments = split_arguments(text, call.end())
        assert len(arguments) % 2 == 0
        yield [argument.strip("'") for argument in arguments[::2]]


def test_the_schema_describes_each_key_of_the_envelope() -> None:
    assert set(SCHEMA["properties"]) == set(Envelope.__annotations__)
    assert set(SCHEMA["required"]) == Envelope.__required_keys__
    assert SCHEMA["properties"]["op"]["enum"] == list(OPERATIONS)
    assert SCHEMA["title"].endswith(f"version {VERSION}")


def test_a_change_holds_each_key_of_the_envelope() -> None:
    assert set(Envelope.__annotations__) <= {field.name for field in fields(Change)}
    assert {*TEXTS, *ROWS} <= set(Envelope.__annotations__)


@pytest.mark.parametrize(
    "file", sorted((HERE / "golden").glob("*/sql_out")), ids=lambda path: path.parent.name
)
def test_generated_sql_leaves_the_message_to_one_function(file: Path) -> None:
    for path in sorted((file / "routes").rglob("*.sql")):
        text = path.read_text()
        assert "changelane.message(" in text
        assert list(list_envelopes(text)) == []
        assert set(_ADDED.findall(text)) <= {"extra"} <= set(Envelope.__annotations__)


def test_shared_sql_builds_an_envelope_of_these_keys() -> None:
    text = (ROOT / "changelane" / "contract" / "sql" / "schema.sql").read_text()
    required = Envelope.__required_keys__ | {"id"}
    assert [set(keys) for keys in list_envelopes(text)] == [required]
    assert set(re.findall(r"""\|\| '\{"(\w+)": true\}'""", text)) == {"truncated"}
    assert required | {"extra", "truncated"} == set(Envelope.__annotations__)


def test_all_sql_reads_names_that_the_envelope_has() -> None:
    known = {"message": set(Envelope.__annotations__), "headers": set(HEADERS)}
    read = [
        (path.relative_to(ROOT), column, name)
        for path in list_sources(".sql", ".sql.j2", ".py")
        for column, name in _READ.findall(path.read_text())
    ]
    assert len(read) > 20
    assert [found for found in read if found[2] not in known[found[1]]] == []


def test_only_the_envelope_spells_its_headers_in_python() -> None:
    spelled = re.compile(rf"""["']({GROUP_HEADER}|{KEY_CHANGE}|traceparent)["']""")
    places = [
        path.name
        for path in list_sources(".py")
        if path.name != "envelope.py" and spelled.search(path.read_text())
    ]
    assert places == []
