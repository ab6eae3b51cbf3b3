"""Long actions: each runs in a thread of its own, and a page shows how far it is."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.web.guard import Refusal
from changelane.runner.live.session import explain

RUNNING = 2
"""Tasks at once."""

KEPT = 50
"""Tasks whose end is remembered."""


@dataclass(slots=True, kw_only=True)
class Task:
    """One long action. ``done`` counts messages, of ``total`` if that is known; ``back`` is the page before.
    ``selection`` names the items that it chose, for the action at ``place`` to confirm.
    """

    name: str
    title: str
    back: str
    verb: str
    place: str
    total: int | None
    done: int = 0
    chosen: int = 0
    selection: str = ""
    outcome: str = ""
    error: str = ""
    ended: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


class Tasks:
    """The tasks of this process."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def start(
        self,
        work: Callable[[Task], str],
        *,
        title: str,
        back: str,
        verb: str = "",
        place: str = "",
        total: int | None = None,
    ) -> Task:
        """Begin. ``work`` returns the outcome in words, and ends early once ``stop`` is set.

        Raises Refusal.
        """
        task = Task(
            name=secrets.token_urlsafe(12), title=title, back=back, verb=verb, place=place, total=total
        )
        with self._lock:
            if sum(not other.ended for other in self._tasks.values()) >= RUNNING:
                raise Refusal(503, f"{RUNNING} long actions run already", fix="wait until one has ended")
            self._tasks[task.name] = task
            while len(self._tasks) > KEPT:
                del self._tasks[next(iter(self._tasks))]
        threading.Thread(target=_run, args=(task, work), name=f"task-{task.name}", daemon=True).start()
        return task

    def find(self, name: str) -> Task:
        """The task of this name. Raises Refusal."""
        task = self._tasks.get(name)
        if task is None:
            raise Refusal(404, "there is no such action any more", fix="the page Audit says how it ended")
        return task

    def close(self) -> None:
        """Ask all to end."""
        for task in self._tasks.values():
            task.stop.set()


def _run(task: Task, work: Callable[[Task], str]) -> None:
    try:
        task.outcome = work(task)
    except (ChangelaneError, psycopg.Error) as error:
        known = explain(error, doing="the database") if isinstance(error, psycopg.Error) else error
        task.error = f"{known.what}. {known.fix}" if known.fix else known.what
    finally:
        task.ended = True
