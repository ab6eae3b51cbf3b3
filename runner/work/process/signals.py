"""SIGTERM and SIGINT, obeyed in a thread of their own, whatever the main thread waits for."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def obeying(obey: Callable[[int], None]) -> Iterator[None]:
    """Call ``obey`` with each signal that comes meanwhile, one after the other. Main thread only."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def listen() -> None:
        while received := os.read(reader, 1):
            if received[0] in NUMBERS:
                obey(received[0])
        os.close(reader)

    # The interpreter writes a byte at once; a handler in Python would wait for the main thread's next step.
    earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in NUMBERS}
    threading.Thread(target=listen, name="signals", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(earlier)
        os.close(writer)
