"""Loads the text of a statement from its file."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def load_sql(module: str, name: str, *, whole: bool = False) -> str:
    """The text of ``sql/NAME.sql`` beside the module with this ``__name__``.

    The comments at its top are left out unless ``whole``, for texts that a reviewer reads.
    """
    package = module.rpartition(".")[0]
    text = resources.files(package).joinpath(f"sql/{name}.sql").read_text("utf-8")
    if whole:
        return text
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        del lines[0]
    return "\n".join(lines)
