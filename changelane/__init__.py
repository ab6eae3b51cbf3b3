"""Changelane: from a change in a table, or a message sent, to handled work, with nothing but Postgres."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from changelane.change import Change, DeadLetter, Discard, Failed, Retry
    from changelane.embedding import run_worker
    from changelane.errors import ChangelaneError, DatabaseError, ManifestError, SpecError
    from changelane.message import Message
    from changelane.producing import send, send_batch

    __version__: str

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

if not TYPE_CHECKING:
    # A command needs none of these names, and loading them takes a quarter of `changelane --help`.
    _HOMES = {
        "change": ("Change", "DeadLetter", "Discard", "Failed", "Retry"),
        "embedding": ("run_worker",),
        "errors": ("ChangelaneError", "DatabaseError", "ManifestError", "SpecError"),
        "message": ("Message",),
        "producing": ("send", "send_batch"),
    }

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("changelane")
        for home, names in _HOMES.items():
            if name in names:
                from importlib import import_module

                value = globals()[name] = getattr(import_module(f"changelane.{home}"), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__all__, "__version__"})
