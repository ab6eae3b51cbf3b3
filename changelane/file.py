"""A file written whole."""

from __future__ import annotations

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all, with the folders above it.

    Raises OSError, which names the file.
    """
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        # What fails in the middle of writing, as for want of room, names none.
        raise OSError(error.errno, error.strerror, str(path)) from error
