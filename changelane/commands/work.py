"""``changelane work``: consume queues into handlers."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import psycopg

from changelane.cli import Settings
from changelane.commands.duration import parse_duration
from changelane.commands.names import complete_consumer
from changelane.commands.size import parse_size
from changelane.contract.digest import find_change
from changelane.contract.manifest import load_manifest
from changelane.runner.live.database import connect, resolve
from changelane.runner.live.pinned import PinnedConnection
from changelane.runner.live.session import explain
from changelane.runner.queue.worked import open_worked
from changelane.runner.work.handlers.log_records import join_logging
from changelane.runner.work.process.choice import choose_consumers
from changelane.runner.work.process.clock import Clock
from changelane.runner.work.process.last_resort import watch_over
from changelane.runner.work.process.lifetime import Lifetime
from changelane.runner.work.process.log import flush, open_log
from changelane.runner.work.process.shutdown import ShutdownDeadline
from changelane.runner.work.process.supervisor import KILLED_AFTER, ParentConnection, supervise
from changelane.runner.work.process.worker import Worker
from changelane.runner.work.sink_plans import plan_sinks

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

HURRIED = 1.5
"""Seconds from a second signal until a process that does not react is killed."""

LAST = 5.0
"""Seconds that the process has to end after the worker."""

COLLECTED_AFTER = 10_000
"""New objects after which Python looks for garbage: the messages of a batch are thousands, and no garbage."""

_BEFORE = gc.get_threshold()


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...", shell_complete=complete_consumer)
@click.option("--drain", is_flag=True, help="Work until the queues are empty, retries included, then exit 0.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of worker processes. Each has the full concurrency of every consumer.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long running handlers may take to finish after SIGTERM or SIGINT.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve /metrics for Prometheus, /healthz and /readyz. Of several processes the first has this port, "
    "the second the next, and so on; 0 takes any free one.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="The address to serve them on; 0.0.0.0 is all.",
)
@click.option(
    "--max-messages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replace a process after N settled messages. Its successor starts before it ends.",
)
@click.option(
    "--max-memory",
    callback=parse_size,
    metavar="SIZE",
    help="Replace a process that uses this much memory, for example 512MB.",
)
@click.option(
    "--max-age",
    callback=parse_duration,
    metavar="DURATION",
    help="Replace a process at this age, for example 12h.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Log records of this level or above, including those of the handlers.",
)
@click.option("--supervised", is_flag=True, hidden=True)
@click.pass_obj
def command(
    settings: Settings,
    queues: tuple[str, ...],
    drain: bool,
    processes: int,
    grace: float,
    metrics_port: int | None,
    metrics_host: str,
    max_messages: int | None,
    max_memory: int | None,
    max_age: float | None,
    log_level: str,
    supervised: bool,
) -> int:
    """Consume queues into handlers: the named queues, or all that have a consumer.

    Exits 0 after SIGTERM or when drained, 130 after SIGINT. A second signal ends running handlers at once. A
    message whose lease another worker holds counts as not drained; dead letters do not count.

    An async handler past its timeout is cancelled. A plain one cannot be cancelled: its transaction is ended,
    its result discarded and its message retried, but its thread stays busy until it returns.
    """
    manifest = load_manifest(settings.out)
    specs = choose_consumers(manifest, queues)
    # Set up logging before the handlers' modules are imported, as these may set it up themselves.
    log = open_log(log_level)
    join_logging(log, level=log_level)
    if max_age == 0:
        raise click.BadParameter("0 is no age that a process could work for", param_hint="'--max-age'")
    lifetime = Lifetime(messages=max_messages, memory=max_memory, age=max_age)
    several = processes > 1 or lifetime.bounded
    signals = socket.socketpair()
    if not supervised and not several:
        watch_over(signals[0], limit=grace + KILLED_AFTER, hurry=HURRIED)
    # Check sinks here even if child processes will run them, so that a mistake is reported once.
    sinks = plan_sinks(specs, manifest.destinations)
    conninfo = resolve(settings.database_url)
    if not supervised:
        for spec in specs:
            if warning := sinks[spec.queue].warning:
                log.warning(warning, queue=spec.queue)
    if not supervised and (change := find_change(settings.file, manifest, out=settings.out)):
        log.warning(f"{change.what}: working by {settings.out}; {change.fix}")
    if not supervised and several:
        with connect(conninfo, application_name="changelane work", kind=PinnedConnection) as connection:
            open_worked(connection, specs)
        arguments = ["--out", str(settings.out), *(["--debug"] if settings.debug else []), "work", *queues]
        arguments += ["--grace", str(grace), "--supervised", *(["--drain"] if drain else [])]
        arguments += [f"--log-level={log_level}"]
        arguments += [f"--max-messages={max_messages}"] if max_messages else []
        arguments += [f"--max-memory={max_memory}B"] if max_memory else []
        arguments += [f"--max-age={max_age}s"] if max_age else []
        # The environment hides the value; every user of the machine can read a command line.
        environment = {"DATABASE_URL": conninfo} if conninfo else {}
        ports = choose_ports(host=metrics_host, first=metrics_port, count=processes)
        with ignoring_signals():
            return supervise(
                commands=[[*arguments, *port] for port in ports],
                environment=environment,
                grace=grace,
                log=log,
            )
    ending = ShutdownDeadline(log=log)
    line = ParentConnection() if supervised else None
    try:
        worker = Worker(
            specs=specs,
            sinks=sinks,
            conninfo=conninfo,
            drain=drain,
            grace=grace,
            log=log,
            limit=ending.limit,
            lifetime=lifetime,
            tell=line.tell if line else lambda said: None,
            signals=signals,
            clock=Clock(project=manifest.project, declared=bool(manifest.schedules), log=log),
        )
    except psycopg.Error as error:
        # A running worker reconnects. At the start, a lost server is reported at once.
        raise explain(error, doing="work") from error
    code = 1
    try:
        with (
            ignoring_signals(),
            serve(
                worker,
                project=manifest.project,
                conninfo=conninfo,
                host=metrics_host,
                port=metrics_port,
                log=log,
                shared=supervised,
            ) as close,
        ):
            if line:
                line.follow(retire=lambda: worker.retire(leave=close))
            spare_collector()
            code = worker.run()
    finally:
        # The handlers' own threads and atexit functions get this time to finish.
        ending.limit(LAST, code)
        flush()
    if worker.stuck:
        # Threads that outlasted the grace period may never end, so do not wait for them.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def spare_collector() -> None:
    """Keep the garbage collector from what was made up to now, and let it look for garbage less often, unless
    a handler's module has set it up itself.
    """
    gc.freeze()
    if gc.get_threshold() == _BEFORE:
        gc.set_threshold(COLLECTED_AFTER, *_BEFORE[1:])


@contextmanager
def ignoring_signals() -> Iterator[None]:
    """Ignore signals from now on: a signal would kill the process while the interpreter ends."""
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def choose_ports(*, host: str, first: int | None, count: int) -> list[list[str]]:
    """The options that give each of ``count`` processes its own port.

    Raises UsageError if there are too few ports, ChangelaneError if one is in use.
    """
    if first is None:
        return [[] for _ in range(count)]
    ports = [first + index if first else 0 for index in range(count)]
    if ports[-1] > 65535:
        raise click.UsageError(f"--metrics-port {first}: there are not {count} ports from there on")
    from changelane.runner.work.process.http_endpoint import check_port

    for port in ports:
        check_port(host=host, port=port)
    return [["--metrics-host", host, "--metrics-port", str(port)] for port in ports]


@contextmanager
def serve(
    worker: Worker,
    *,
    project: str,
    conninfo: str,
    host: str,
    port: int | None,
    log: FilteringBoundLogger,
    shared: bool,
) -> Iterator[Callable[[], None]]:
    """Serve metrics and health while the block runs, if a port is given; yields a function that stops it
    early.

    Raises ChangelaneError when the port is in use.
    """
    if port is None:
        yield lambda: None
        return
    from changelane.runner.work.process.http_endpoint import Endpoint
    from changelane.runner.work.process.metrics import Metrics

    endpoint = Endpoint(
        host=host,
        port=port,
        metrics=Metrics(project=project, consumers=worker.consumers, conninfo=conninfo, log=log),
        shared=shared,
    )
    endpoint.start()
    log.info("metrics", url=f"http://{host}:{endpoint.port}/metrics")
    try:
        yield endpoint.stop
    finally:
        endpoint.stop()
