from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changelane.runner.work.process import supervisor
from changelane.runner.work.process.log import open_log


@pytest.fixture
def handlers() -> Iterator[None]:
    """The signal handlers of this process, which a supervisor replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_process_that_was_being_started_when_a_signal_came_is_told(
    handlers: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 50\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    start = supervisor.Process.__init__

    def start_late(process: supervisor.Process, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        start(process, **options)

    monkeypatch.setattr(supervisor.Process, "__init__", start_late)
    began = time.monotonic()
    assert supervisor.supervise(commands=[["work"]], environment={}, grace=30.0, log=open_log()) == 0
    assert time.monotonic() - began < 20
