"""Each row of docs/security.md names tests that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "security.md"
_ROW = re.compile(r"\|.*\|")
_NAMED = re.compile(r"`(?:(test_\w+\.py)(?:::(test_\w+))?|(test_\w+))`")


def find_tests() -> dict[str, set[str]]:
    """The names of tests, by file."""
    return {
        path.name: {
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        for path in Path(__file__).parent.rglob("test_*.py")
    }


def list_rows() -> Iterator[str]:
    """Rows of the page's tables, without their heads."""
    for line in PAGE.read_text().splitlines():
        if _ROW.fullmatch(line) and not line.startswith("|---") and not line.endswith("| test |"):
            yield line


def test_every_row_names_tests_and_each_is_there() -> None:
    known = find_tests()
    rows = list(list_rows())
    assert len(rows) > 25
    unproven = [row for row in rows if not _NAMED.search(row)]
    assert unproven == []
    named = [found.groups() for row in rows for found in _NAMED.finditer(row)]
    every = set().union(*known.values())
    missing = [
        (file, test, alone)
        for file, test, alone in named
        if (alone and alone not in every)
        or (file and file not in known)
        or (file and test and test not in known[file])
    ]
    assert missing == []
