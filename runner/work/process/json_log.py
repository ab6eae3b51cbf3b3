"""A logger that writes one JSON object a line, by the calls of structlog's filtering logger.

Structlog's import alone would be a quarter of the processor time of a worker's start.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, TextIO

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class JsonLog:
    """Writes lines of this ``level`` and above, each with the logger's ``values``. Thread-safe."""

    def __init__(self, stream: TextIO, *, level: str, values: dict[str, Any] | None = None) -> None:
        self._stream = stream
        self._level = level
        self._values = values or {}

    def bind(self, **values: Any) -> JsonLog:
        """A logger whose lines have these values, too."""
        return JsonLog(self._stream, level=self._level, values={**self._values, **values})

    def debug(self, event: str, **values: Any) -> None:
        self._write("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write("error", event, values)

    def log(self, level: int, event: str, **values: Any) -> None:
        """A line of a level of Python's ``logging``: 10, 20, 30, 40 or 50."""
        self._write(next(name for name, number in LEVELS.items() if number >= level), event, values)

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        if LEVELS[level] < LEVELS[self._level]:
            return
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {**self._values, **values, "event": event, "level": level, "timestamp": at}
        self._stream.write(json.dumps(line, default=repr) + "\n")
