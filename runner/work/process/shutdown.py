"""Ends the process: in order, and in bounded time, whatever hangs."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from typing import TYPE_CHECKING

from changelane.runner.work.process.log import flush

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


SPARE = 0.5
"""Seconds past the deadline after which C code ends the process, when a handler keeps Python from doing so.
"""


class ShutdownDeadline:
    """Ends the process at its deadline, unless it has ended by then."""

    def __init__(self, *, log: FilteringBoundLogger) -> None:
        self._code = 1
        self._log = log
        self._deadline: float | None = None
        self._changed = threading.Condition()
        # Not to stderr, where a reader that does not read would delay the end.
        self._nowhere = open(os.devnull, "w")  # noqa: SIM115

    def limit(self, seconds: float, code: int) -> None:
        """Let the process end within ``seconds``; a later deadline does not replace an earlier one."""
        with self._changed:
            self._code = code
            at = time.monotonic() + seconds
            if self._deadline is None:
                threading.Thread(target=self._wait, name="ending", daemon=True).start()
            self._deadline = at if self._deadline is None else min(at, self._deadline)
            left = max(0.0, self._deadline - time.monotonic())
            # This thread needs no interpreter lock, which a handler's call may keep.
            faulthandler.dump_traceback_later(left + SPARE, exit=True, file=self._nowhere)
            self._changed.notify()

    def _wait(self) -> None:
        with self._changed:
            while (left := (self._deadline or 0.0) - time.monotonic()) > 0:
                self._changed.wait(left)
        threads = sorted(
            thread.name
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        )
        if threads:
            self._log.error("threads that are not daemons kept the process running", threads=threads)
        else:
            self._log.error("the end took too long; unsettled messages come back when their leases run out")
        flush()
        os._exit(self._code)
