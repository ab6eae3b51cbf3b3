"""Records of the handlers' own logging, as lines of the worker's log."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from changelane.runner.work.handlers.call_context import get_job

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

NAMED = 10
"""Messages of a batch that one line names, at most."""


class HandlerLogRecords(logging.Handler):
    """Passes records on, with the queue, message and attempt of the handler that wrote them.

    A thread that a handler started belongs to no message, so its records name none.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line. Raises nothing, whatever the record holds."""
        try:
            text = record.getMessage()
        except Exception as problem:  # noqa: BLE001 - its arguments may not fit its text
            text = f"{record.msg!r} (its arguments do not fit: {type(problem).__name__})"
        values: dict[str, Any] = {"logger": record.name, **_tell_job()}
        if record.exc_info and record.exc_info[1] is not None:
            values["exception"] = "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        level = max(10, min(50, record.levelno // 10 * 10))
        try:
            self._log.log(level, text, **values)
        except Exception:  # noqa: BLE001 - logging reports it on stderr, and the handler goes on
            self.handleError(record)


def join_logging(log: FilteringBoundLogger, *, level: str) -> None:
    """Have the root logger pass on records of that level or above.

    Call it before the import of the handlers' modules: their ``logging.basicConfig`` then does nothing.
    """
    root = logging.getLogger()
    root.addHandler(HandlerLogRecords(log))
    root.setLevel(level.upper())


def _tell_job() -> dict[str, Any]:
    job = get_job()
    if job is None or not job.handed:
        return {}
    first = job.handed[0]
    if len(job.handed) == 1:
        return {"queue": first.queue, "msg_id": first.msg_id, "attempt": first.failed + 1}
    return {"queue": first.queue, "msg_ids": [item.msg_id for item in job.handed[:NAMED]]}
