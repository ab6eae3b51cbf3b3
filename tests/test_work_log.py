from __future__ import annotations

import io
import json
from datetime import datetime, timedelta

import pytest
import structlog

from changelane.runner.work.process.json_log import JsonLog
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


class Item:
    def __repr__(self) -> str:
        return "<item>"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_lines_hold_what_structlog_would_write(level: str) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    like = structlog.wrap_logger(
        structlog.WriteLogger(theirs),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    for log in (JsonLog(ours, level=level), like):
        log.debug("claimed", msg_ids=[1, 2])
        log.info("working", queues=["jobs"], pid=7)
        bound = log.bind(queue="jobs")
        bound.bind(attempt=2).warning("attempt failed", error="ValueError: ä \ud800 %s", queue="mail")
        bound.error("dead letter", msg_id=5, of=Item())
        bound.log(30, "a handler's record", logger="app")
        bound.log(50, "another")
        log.info("drained")
    lines, expected = ([json.loads(line) for line in text.getvalue().splitlines()] for text in (ours, theirs))
    for line, other in zip(lines, expected, strict=True):
        assert list(line) == list(other)
        written, wanted = (datetime.fromisoformat(item.pop("timestamp")) for item in (line, other))
        assert wanted - written < timedelta(minutes=1)
        assert written.tzinfo == wanted.tzinfo
        assert line == other
    assert len(lines) == {"debug": 7, "info": 6, "warning": 4, "error": 2}[level]
