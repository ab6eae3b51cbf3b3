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
