"""Obeys SIGTERM and SIGINT in a thread of its own, whatever the main thread waits for."""

from __future__ import annotations

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handling_signals(
    obey: Callable[[int], None], pair: tuple[socket.socket, socket.socket] | None = None
) -> Iterator[None]:
    """Call ``obey`` with each signal that comes meanwhile, one after the other. Main thread only.

    The signals come through ``pair``, from its second socket to its first.
    """
    reader, writer = pair or socket.socketpair()
    writer.setblocking(False)
    poller = select.poll()
    poller.register(reader, select.POLLIN)

    def listen() -> None:
        # A thread that waits in recv() gets the byte even while a handler keeps the interpreter's lock.
        while poller.poll() and (received := reader.recv(1)):
            if received[0] in NUMBERS:
                obey(received[0])
        reader.close()

    # The interpreter writes a byte at once; a Python signal handler would wait for the main thread's next
    # step.
    earlier = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in NUMBERS}
    threading.Thread(target=listen, name="signals", daemon=True).start()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(earlier)
        writer.close()
