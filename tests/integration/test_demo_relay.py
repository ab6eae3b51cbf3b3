"""The example of a relay ends by itself, proves its count, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "relay" / "demo.py"


def test_each_change_arrives_once_though_a_worker_and_the_engine_are_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO), "--rounds", "8"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *_, arrived, proved = done.stdout.splitlines()
    assert "900 messages with 900 ids, of 900 changes: 0 missing, 0 twice, 0 rows out of order" in arrived
    assert proved.startswith("proved")
    assert list(tmp_path.glob("changelane-relay-*")) == []
