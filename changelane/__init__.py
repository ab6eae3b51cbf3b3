"""Changelane: from a change in a table, or a message sent, to handled work, with nothing but Postgres."""

from changelane.change import Change, DeadLetter, Discard, Failed, Retry
from changelane.embedding import run_worker
from changelane.errors import ChangelaneError, DatabaseError, ManifestError, SpecError
from changelane.message import Message
from changelane.producing import send, send_batch

__all__ = [
    "Change",
    "ChangelaneError",
    "DatabaseError",
    "DeadLetter",
    "Discard",
    "Failed",
    "ManifestError",
    "Message",
    "Retry",
    "SpecError",
    "run_worker",
    "send",
    "send_batch",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("changelane")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
