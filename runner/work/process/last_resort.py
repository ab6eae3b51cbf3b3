"""Kills a process that cannot end itself: a handler that keeps the interpreter's lock lets no thread run.

The interpreter's C code writes each signal into a socket at once. A separate process, forked before anything
else, checks whether somebody reads it there.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

NUMBERS = (signal.SIGTERM, signal.SIGINT)

LOOK = 0.1
"""Seconds between two looks at a signal that nobody has read yet."""


def watch_over(signals: socket.socket, *, limit: float, hurry: float) -> None:
    """Have this process killed ``limit`` seconds after a signal that it does not read from ``signals``, or
    ``hurry`` seconds after the second one.

    Call it while there is only one thread. The watching process ends with this one and costs nothing until a
    signal comes. It is not our child, so no handler waits for it. It needs Linux 5.3. The first process of a
    container can be killed only from outside, so it is not watched.
    """
    if not hasattr(os, "pidfd_open") or os.getpid() == 1:
        return
    try:
        watched = os.pidfd_open(os.getpid())
    except OSError:
        return
    child = os.fork()
    if child:
        os.close(watched)
        os.waitpid(child, 0)
        return
    try:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            _release_files(watched, signals.fileno())
            _watch(watched, signals, limit=limit, hurry=hurry)
    finally:
        os._exit(0)


def _release_files(*kept: int) -> None:
    """Close inherited files: readers of our output and users of our files must not wait for this process."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))


def _watch(watched: int, signals: socket.socket, *, limit: float, hurry: float) -> None:
    poller = select.poll()
    poller.register(watched, select.POLLIN)
    poller.register(signals, select.POLLIN)
    since: list[float] = []
    while not any(descriptor == watched for descriptor, _ in poller.poll()):
        pending = _count(signals)
        now = time.monotonic()
        since = [*since[:pending], *[now] * (pending - len(since))]
        if (since and now - since[0] > limit) or (len(since) > 1 and now - since[1] > hurry):
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        time.sleep(LOOK)


def _count(signals: socket.socket) -> int:
    """The number of signals to end that nobody has read."""
    try:
        return sum(byte in NUMBERS for byte in signals.recv(64, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return 0
