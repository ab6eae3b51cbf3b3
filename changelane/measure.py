"""The function by which captures measure large rows; apply makes it, and so do files that are run by hand."""

from __future__ import annotations

from pathlib import Path

MEASURE = (Path(__file__).parent / "sql" / "measure.sql").read_text()
"""SQL that creates ``changelane.measure(record)`` where it is missing; needs the schema."""
