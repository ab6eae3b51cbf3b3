"""Helpers for tests of handlers: changes without a database, and a scratch database with real queues."""

from changelane.testing.changes import make_change, make_message

__all__ = ["make_change", "make_message"]
