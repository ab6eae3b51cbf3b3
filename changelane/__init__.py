"""Changelane: from a change in a Postgres table to handled work, with nothing but Postgres."""

from changelane.change import Change, DeadLetter, Discard, Failed, Retry

__all__ = ["Change", "DeadLetter", "Discard", "Failed", "Retry"]
