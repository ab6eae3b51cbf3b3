"""docs/doctor.md lists every finding, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_lists_every_code_once() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "doctor.md").read_text(), re.MULTILINE)
    made = {
        code
        for module in (ROOT / "runner" / "doctor").glob("*.py")
        for code in re.findall(r'code="([a-z-]+)"', module.read_text())
    }
    assert sorted(told) == sorted(made)
