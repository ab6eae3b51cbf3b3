"""Rules for every SQL file of the runner."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_no_condition_on_vt_uses_the_volatile_clock() -> None:
    # An index on vt serves no comparison with clock_timestamp(); statement_timestamp() is stable.
    condition = re.compile(r"\b(?:WHERE|AND)\s+(?:\w+\.)?vt\s*[<>]=?\s*(?:pg_catalog\.)?clock_timestamp\(\)")
    files = list((ROOT / "runner").rglob("*.sql"))
    assert files
    assert [path.name for path in files if condition.search(path.read_text())] == []


def test_lines_of_the_schema_are_at_most_110_characters() -> None:
    # People review its text in sql_out/schema.sql.
    lines = (ROOT / "changelane/contract/sql/schema.sql").read_text().splitlines()
    assert [line for line in lines if len(line) > 110] == []
