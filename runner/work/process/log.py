"""The worker's log, on stderr: for people on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from changelane.runner.work.process.log_sink import LogWriter

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor


_sinks: dict[int, LogWriter] = {}


def flush() -> None:
    """Wait briefly until the log is written, before the process ends or others write to stderr."""
    for sink in list(_sinks.values()):
        sink.drain()


atexit.register(flush)


def open_log(level: str = "info") -> FilteringBoundLogger:
    """A logger for this level and above. It leaves an application's structlog configuration alone."""
    import structlog

    # None when the process was started without stderr.
    stream = sys.stderr
    terminal = stream is not None and stream.isatty()
    sink = _sinks.get(id(stream))
    if sink is None or sink.stream is not stream:
        sink = _sinks[id(stream)] = LogWriter(stream)
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
        # One write a line: processes that share the stream would break each other's lines apart.
        structlog.WriteLogger(cast(TextIO, sink)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log
