"""The worker's log, on stderr: for people on a terminal, one JSON object a line otherwise."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, TextIO, cast

from changelane.runner.work.process.log_sink import Sink

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor


_sinks: dict[int, Sink] = {}


def flush() -> None:
    """Wait a moment until the log is written: what follows ends the process, or writes on stderr, too."""
    for sink in list(_sinks.values()):
        sink.drain()


atexit.register(flush)


def open_log(level: str = "info") -> FilteringBoundLogger:
    """A logger of its own, from that level on; what an application makes of structlog is left alone."""
    import structlog

    # None where the process was started without it.
    stream = sys.stderr
    terminal = stream is not None and stream.isatty()
    sink = _sinks.get(id(stream))
    if sink is None or sink.stream is not stream:
        sink = _sinks[id(stream)] = Sink(stream)
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
        structlog.WriteLogger(cast(TextIO, sink)),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    return log
