"""The worker's log, on stderr: for people on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor


def open_log() -> FilteringBoundLogger:
    """A logger of its own: what the handlers' application makes of structlog is left alone."""
    import structlog

    terminal = sys.stderr.isatty()
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
        last,
    ]
    log: FilteringBoundLogger = structlog.wrap_logger(
        # One write for each line: processes that share the stream would tear each other's lines.
        structlog.WriteLogger(sys.stderr),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return log
