"""Says of a missing file in which folder it was looked for, and which folder near it has one of that name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

CHILDREN = 200
"""Folders below the present one that are looked at, at most."""


def describe_missing(path: Path) -> str:
    """That the file does not exist; a relative path comes with the folder that it is relative to."""
    return f"{path} does not exist" if path.is_absolute() else f"{path} does not exist in {Path.cwd()}"


def suggest_folder(path: Path, *, fix: str) -> str:
    """The fix, and before it the nearest folder in which the relative path exists, if there is one."""
    if path.is_absolute():
        return fix
    folder = next((folder for folder in _list_near(Path.cwd()) if _has(folder, path)), None)
    return f"cd {folder}, which has one; or {fix}" if folder else fix


def _list_near(folder: Path) -> Iterator[Path]:
    """The folders above, the nearest first, then those right below."""
    yield from folder.parents
    try:
        yield from sorted(child for child in islice(folder.iterdir(), CHILDREN) if child.is_dir())
    except OSError:
        return


def _has(folder: Path, path: Path) -> bool:
    try:
        return (folder / path).is_file()
    except OSError:
        return False
