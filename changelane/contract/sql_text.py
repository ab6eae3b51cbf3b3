"""Loads the text of a statement from its file."""

from __future__ import annotations

import pkgutil
from functools import cache


@cache
def load_sql(module: str, name: str, *, whole: bool = False) -> str:
    """The text of ``sql/NAME.sql`` beside the module with this ``__name__``.

    The comments at its top are left out unless ``whole``, for texts that a reviewer reads.
    """
    package = module.rpartition(".")[0]
    content = pkgutil.get_data(package, f"sql/{name}.sql")
    assert content is not None, "the loader of Changelane's modules reads no files"
    text = content.decode()
    if whole:
        return text
    lines = text.splitlines()
    while lines and lines[0].startswith("--"):
        del lines[0]
    return "\n".join(lines)
