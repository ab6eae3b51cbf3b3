from __future__ import annotations

import io

import pytest

from changelane.runner.work.process.log import flush, open_log


def test_a_line_is_written_whole_so_that_processes_can_share_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setattr("sys.stderr", Stream())
    open_log().info("working", queue="jobs")
    flush()
    assert len(writes) == 1
    assert writes[0].endswith("}\n")
