"""The functions that captures call for large rows and for masks. `apply` creates them, and so do files that
people run by hand.
"""

from __future__ import annotations

from pathlib import Path

MEASURE = (Path(__file__).parent / "sql" / "measure.sql").read_text()
"""SQL that creates ``changelane.measure(record)`` and ``changelane.digest(text)`` when they are missing. The
schema must exist.
"""
