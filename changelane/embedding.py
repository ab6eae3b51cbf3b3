"""A worker inside another program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

TICK = 0.2
"""Seconds between looks at whether the worker has ended by itself."""


def run_worker(
    *queues: str,
    out: str | Path = "sql_out",
    database_url: str | None = None,
    drain: bool = False,
    grace: float = 30.0,
    stop: threading.Event | None = None,
    log_level: str = "info",
) -> int:
    """Consume those queues, or all that have a consumer, until ``stop`` is set; returns the exit code.

    ``out`` is the folder of ``manifest.json``. ``database_url`` None means what the command line means by it:
    DATABASE_URL, the PG* variables, or the local server. With ``drain``, it returns when they are empty.
    Handlers that run have ``grace`` seconds to finish. In the main thread, SIGTERM and SIGINT stop it, too.
    The log goes to stderr. Raises ChangelaneError for a manifest, handler or database that cannot be used.
    """
    import psycopg

    from changelane.contract.manifest import load_manifest
    from changelane.runner.live.database import resolve
    from changelane.runner.live.session import explain
    from changelane.runner.work.process.choice import choose_consumers
    from changelane.runner.work.process.clock import Clock
    from changelane.runner.work.process.log import flush, open_log
    from changelane.runner.work.process.worker import Worker
    from changelane.runner.work.sink_plans import plan_sinks

    manifest = load_manifest(Path(out))
    specs = choose_consumers(manifest, queues)
    log = open_log(log_level)
    try:
        worker = Worker(
            specs=specs,
            sinks=plan_sinks(specs, manifest.destinations),
            conninfo=resolve(database_url),
            drain=drain,
            grace=grace,
            log=log,
            clock=Clock(project=manifest.project, declared=bool(manifest.schedules), log=log),
        )
    except psycopg.Error as error:
        raise explain(error, doing="work") from error
    ended = threading.Event()
    if stop is not None:
        threading.Thread(target=_await, args=(stop, ended, worker.stop), name="stop", daemon=True).start()
    try:
        return worker.run(signals=threading.current_thread() is threading.main_thread())
    finally:
        ended.set()
        flush()


def _await(stop: threading.Event, ended: threading.Event, end: Callable[[], None]) -> None:
    while not ended.is_set():
        if stop.wait(TICK):
            end()
            return
