"""Where the log goes: a stream that is closed, full or stuck holds up nobody and ends nothing."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TextIO

KEPT = 1000
"""Lines that wait for a stream which takes none; those beyond are dropped."""

PATIENCE = 1.0
"""Seconds that ``drain`` gives such a stream."""


class Sink:
    """Writes each text at once and whole, in a thread of its own: processes may share the stream.

    ``dropped`` counts what the stream did not take. A file for those who write to one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.dropped = 0
        self.stream = stream
        self._texts: SimpleQueue[str | threading.Event] = SimpleQueue()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, text: str) -> None:
        """From any thread; never waits for the stream."""
        if self.stream is None or self._texts.qsize() >= KEPT:
            self.dropped += 1
        else:
            self._texts.put(text)

    def flush(self) -> None:
        """Nothing: who logs a line does not wait for it."""

    def drain(self) -> None:
        """Wait until all is written, PATIENCE at most."""
        written = threading.Event()
        self._texts.put(written)
        written.wait(PATIENCE)

    def _run(self) -> None:
        while True:
            text = self._texts.get()
            if isinstance(text, threading.Event):
                text.set()
                continue
            try:
                self._write(text)
            except (OSError, ValueError):
                self.dropped += 1

    def _write(self, text: str) -> None:
        assert self.stream is not None
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError):
            self.stream.write(text)
            return
        # Past the stream's buffer: what is left in it would change the exit code of the interpreter.
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            data = data[os.write(descriptor, data) :]
