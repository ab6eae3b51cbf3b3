"""Prints ``docs/decisions/README.md``: every decision record with its status and date."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "decisions"

HEAD = """\
# Decisions

Made from the records by `make docs`; a test holds it to that. A record says what was chosen, and why.

| | decision | status | date |
|---|---|---|---|
"""


def render() -> str:
    """The whole page. Raises ValueError for a record without a title, or without a status and its date."""
    return HEAD + "".join(map(_render_row, sorted(FOLDER.glob("[0-9]*.md"))))


def _render_row(path: Path) -> str:
    text = path.read_text()
    title = re.match(r"# (\d+)\. (.+)\n", text)
    status = re.search(r"^Status: (.+?), (\d{4}-\d\d-\d\d)\.", text, re.M)
    if title is None or status is None:
        raise ValueError(f"{path.name}: begin with `# NUMBER. TITLE`, then `Status: accepted, YYYY-MM-DD.`")
    return f"| {title[1]} | [{title[2]}]({path.name}) | {status[1]} | {status[2]} |\n"


if __name__ == "__main__":
    print(render(), end="")
