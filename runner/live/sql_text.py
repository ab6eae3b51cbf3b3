"""Loads the text of a statement from its file."""

from importlib import resources


def load_sql(module: str, name: str) -> str:
    """Text of ``sql/NAME.sql`` beside the module with this ``__name__``, without the comments at its top."""
    package = module.rpartition(".")[0]
    lines = resources.files(package).joinpath(f"sql/{name}.sql").read_text("utf-8").splitlines()
    while lines and lines[0].startswith("--"):
        del lines[0]
    return "\n".join(lines)
