"""The example of background jobs ends by itself, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "jobs" / "demo.py"


def test_all_mails_are_sent_and_each_run_of_the_schedule_is_reported_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--runs", "2"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("mail ") for line in lines) == 3
    reports = [line for line in lines if line.startswith("report ") and "mails sent" in line]
    assert len(reports) >= 2
    assert len({line.split()[2] for line in reports}) == len(reports)
    assert list(tmp_path.glob("changelane-jobs-*")) == []
