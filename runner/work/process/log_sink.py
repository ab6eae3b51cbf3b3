"""Where the log goes: a stream that is closed, full or stuck delays nobody and ends nothing."""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TextIO

KEPT = 1000
"""Lines that may wait for a stream that accepts none; further lines are dropped."""

PATIENCE = 1.0
"""Seconds that ``drain`` waits for such a stream."""


class LogWriter:
    """Writes each text at once and whole, in a thread of its own, because processes may share the stream.

    ``dropped`` counts the lines that the stream did not accept. Writers can use this as a file.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.dropped = 0
        self.stream = stream
        self._texts: SimpleQueue[str | threading.Event] = SimpleQueue()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, text: str) -> None:
        """Add a text. Thread-safe; never waits for the stream."""
        if self.stream is None or self._texts.qsize() >= KEPT:
            self.dropped += 1
        else:
            self._texts.put(text)

    def flush(self) -> None:
        """Does nothing: a writer does not wait for its line."""

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
        # Not through the stream's buffer: a rest in it would change the interpreter's exit code.
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            data = data[os.write(descriptor, data) :]
