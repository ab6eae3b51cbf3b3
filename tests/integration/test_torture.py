"""A torture run leaves no process and no file behind, however it ends. `make torture` is the proof itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[1] / "torture"


def find_processes(folder: Path) -> list[int]:
    """Those that run in the folder or below."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            place = (entry / "cwd").readlink()
        except OSError:
            continue
        if entry.name.isdigit() and place.is_relative_to(folder):
            found.append(int(entry.name))
    return found


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def torture(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has come as far as to have workers, in a folder of its own below ``tmp_path``."""
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, str(TORTURE), "--seconds", "600", "--seed", "1"],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=said,
            stderr=said,
            text=True,
        )
    wait(lambda: list(tmp_path.glob("changelane-torture-*/worker-*.log")) or process.poll() is not None)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_process_and_no_folder_outlives_a_run_that_is_cut_short(
    torture: subprocess.Popen[str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    wait(lambda: len(find_processes(tmp_path)) > 2)
    torture.send_signal(number)
    assert torture.wait(60) == code, (tmp_path / "said").read_text()
    wait(lambda: not find_processes(tmp_path) and not list(tmp_path.glob("changelane-torture-*")))
