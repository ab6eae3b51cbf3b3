"""Generated SQL is reviewed by people: how long its lines are, and how many a plain route takes."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent
WIDTH = 110
FILES = sorted(
    path
    for folder in (ROOT / "sql_out", *(HERE / "golden").glob("*"))
    for path in folder.rglob("*.sql")
    if path.name != "schema.sql" or path.parent.name == "sql_out"
)


def test_a_plain_route_of_three_events_takes_150_lines() -> None:
    text = (ROOT / "sql_out" / "routes" / "customers.sql").read_text()
    assert text.count("CREATE OR REPLACE FUNCTION") == 3
    assert len(text.splitlines()) <= 150


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_generated_sql_fit_a_screen(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line for line in lines if line != line.rstrip() or "\t" in line] == []
