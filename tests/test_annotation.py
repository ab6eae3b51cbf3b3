"""Handlers whose annotation does not fit the messages of their queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from changelane.commands.annotation import find_mismatches, read_annotation

SOURCE = """
raise SystemExit("nobody runs this")
import changelane as cl
from changelane import Change as Changed, Message

def bare(change): ...
def nothing(): ...
def change(change: Changed) -> None: ...
async def rows(changes: "list[cl.Change[Row]]", tx) -> None: ...
def message(message: Message[int]) -> None: ...
def both(item: Changed | cl.Message) -> None: ...
def other(item: int) -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "mails.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def (")
    return tmp_path


@pytest.mark.parametrize(
    ("handler", "taken"),
    [
        ("jobs.mails:bare", "changes"),
        ("jobs.mails:change", "changes"),
        ("jobs.mails:rows", "changes"),
        ("jobs.mails:message", "messages"),
        ("jobs.mails:both", "both"),
        ("jobs.mails:other", None),
        ("jobs.mails:nothing", None),
        ("jobs.mails:missing", None),
        ("missing:handle", None),
        ("broken:handle", None),
    ],
)
def test_the_annotation_is_read_without_running_the_file(
    folder: Path, handler: str, taken: str | None
) -> None:
    assert read_annotation(handler, folder=folder) == taken


def test_handlers_whose_annotation_does_not_fit_are_reported(folder: Path) -> None:
    handlers = {
        "a": "jobs.mails:message", "b": "jobs.mails:change", "c": "jobs.mails:both", "d": "jobs.mails:other",
    }  # fmt: skip
    fed = {name: {"paid"} for name in handlers}
    assert [queue for queue, *_ in find_mismatches(handlers, routes=fed, folder=folder)] == ["a"]
    assert [queue for queue, *_ in find_mismatches(handlers, routes={}, folder=folder)] == ["b"]
