"""Progress on stderr: a live table on a terminal, else about one plain line a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from measurement import Measurement, Progress
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


def format_time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.0f} ms"


class PlainDisplay:
    """Lines that a log can hold. ``interval`` in seconds."""

    interval = 1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Discard all lines."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def show(
        self, measurement: Measurement, *, elapsed: float, seconds: float, workers: Sequence[int]
    ) -> None:
        total = measurement.total
        pids = ", ".join(map(str, workers))
        self.note(
            f"  {elapsed:4.0f} s  captured {total.captured:>7,}  handled {total.handled:>7,}  "
            f"backlog {total.backlog:>6,}  p50 {format_time(total.p50):>8}  p99 {format_time(total.p99):>8}  "
            f"workers {len(workers)} (pid {pids})"
        )


class LiveDisplay(PlainDisplay):
    """A table that redraws in place; notes go above it."""

    interval = 0.5

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        self._console.print(Text(text))

    def show(
        self, measurement: Measurement, *, elapsed: float, seconds: float, workers: Sequence[int]
    ) -> None:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2))
        table.add_column("queue")
        for name in ("captured", "handled", "backlog", "p50", "p99"):
            table.add_column(name, justify="right", min_width=9)
        for progress in measurement.queues:
            table.add_row(progress.queue, *_cells(progress))
        table.add_row("all", *_cells(measurement.total), style="bold")
        phase = f"load, {elapsed:.0f} of {seconds:.0f} s" if elapsed < seconds else "drain"
        pids = " ".join(map(str, workers))
        foot = Text(f"{len(workers)} workers; to try them: kill -9 {pids}", style="dim")
        line = Table.grid(padding=(0, 2))
        line.add_row(ProgressBar(total=seconds, completed=min(elapsed, seconds), width=50), phase)
        self._live.update(Group(Text(), table, Text(), line, foot), refresh=True)


def _cells(progress: Progress) -> list[str]:
    counts = (progress.captured, progress.handled, progress.backlog)
    return [*(f"{count:,}" for count in counts), format_time(progress.p50), format_time(progress.p99)]


def open_display() -> PlainDisplay:
    console = Console(stderr=True, highlight=False)
    # A dumb terminal cannot go back to what it has shown.
    redraws = console.is_terminal and not console.is_dumb_terminal and not os.environ.get("CI")
    return LiveDisplay(console) if redraws else PlainDisplay()
