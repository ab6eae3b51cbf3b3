"""What captures call for large rows and for masks; apply makes it, and so do files that are run by hand."""

from __future__ import annotations

from pathlib import Path

MEASURE = (Path(__file__).parent / "sql" / "measure.sql").read_text()
"""SQL that creates ``changelane.measure(record)`` and ``changelane.digest(text)`` where they are missing; it
needs the schema."""
