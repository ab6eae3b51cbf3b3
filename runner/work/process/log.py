"""The worker's log, on stderr: for people on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from changelane.runner.work.process.json_log import JsonLog
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
    # None when the process was started without stderr.
    stream = sys.stderr
    sink = _sinks.get(id(stream))
    if sink is None or sink.stream is not stream:
        sink = _sinks[id(stream)] = LogWriter(stream)
    # One write a line: processes that share the stream would break each other's lines apart.
    writer = cast(TextIO, sink)
    if stream is None or not stream.isatty():
        return cast("FilteringBoundLogger", JsonLog(writer, level=level))
    import structlog

    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ),
    ]
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(writer),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log
