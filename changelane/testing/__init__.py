"""Help for testing handlers: changes without a database, and a scratch database that is worked for real."""

from changelane.testing.changes import make_change, make_message

__all__ = ["make_change", "make_message"]
