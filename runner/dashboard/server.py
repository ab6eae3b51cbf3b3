"""The process of the dashboard: its address, its start and its end."""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psycopg
import uvicorn

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.application import build
from changelane.runner.dashboard.data.background import BackgroundRefresh
from changelane.runner.dashboard.data.declared import Project
from changelane.runner.dashboard.data.pool import Pool
from changelane.runner.dashboard.web.connection import Connection
from changelane.runner.dashboard.web.context import Site, Spec
from changelane.runner.dashboard.web.guard import LOOPBACK, Rules
from changelane.runner.dashboard.web.guess_limit import GuessLimit
from changelane.runner.dashboard.web.proxies import Proxies, read_persons
from changelane.runner.dashboard.web.sessions import INVITATION, Sessions
from changelane.runner.dashboard.web.tokens import SHORTEST, Tokens

GRACE = 5
"""Seconds that running requests have after the signal to stop."""

TRYING = 1
"""Tried statements at once: two would wait for each other's grants on the same tables."""

SEARCHING = 2
"""Expressions of people at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``url`` is the public URL behind a proxy, or empty. Port 0 takes a free one. ``token`` None lets
    everybody in, unless there is a ``tokens_file``; ``invites`` prints an address that logs in one browser,
    once.

    Raises ChangelaneError if other machines could reach it without a token of the user's.
    """

    host: str
    port: int
    token: str | None
    invites: bool
    read_only: bool
    url: str
    proxies: Proxies
    tokens_file: Path | None = None
    persons: str = ""

    def __post_init__(self) -> None:
        if self.token and len(self.token) < SHORTEST:
            raise ChangelaneError(
                f"the token has {len(self.token)} characters, which can be guessed: not started",
                fix=f"give at least {SHORTEST} random ones, as `openssl rand -hex 24` makes them",
            )
        if (self.invites or not (self.token or self.tokens_file)) and (
            self.url or not is_loopback(self.host)
        ):
            what = f"--url {self.url}" if self.url else f"--host {self.host}"
            raise ChangelaneError(
                f"{what} opens the dashboard to other machines, and needs a token: not started",
                fix="set CHANGELANE_DASHBOARD_TOKEN to a long random text, as `openssl rand -hex 24` makes "
                "it, or name a file of tokens by --tokens; --token shows in the list of processes",
            )
        if self.url and not _read_origin(self.url):
            raise ChangelaneError(
                f"--url {self.url!r} is no address", fix="write it as https://dashboard.example.com"
            )


def serve(options: Options, *, conninfo: str, out: Path, path: Path, spec: Spec) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code, 0 or 130.

    Raises ChangelaneError when it cannot listen.
    """
    tokens = Tokens(options.token, file=options.tokens_file, log=_log)
    if not tokens.guarded:
        _log("--no-token: every account of this machine may use the dashboard, with its role's rights")
    with _listen(options.host, options.port) as listener:
        port = listener.getsockname()[1]
        pool = Pool(conninfo, read_only=options.read_only)
        pulse = Pool(conninfo, read_only=options.read_only, size=1)
        project = Project(out, spec=path)
        site = Site(
            pool=pool,
            trying=Pool(
                conninfo, read_only=options.read_only, size=TRYING, reuse=False, kind=psycopg.Connection
            ),
            searching=Pool(conninfo, read_only=options.read_only, size=SEARCHING, reuse=False),
            project=project,
            sessions=Sessions(tokens),
            guesses=GuessLimit(),
            rules=Rules(
                hosts=_name_hosts(options),
                origin=_read_origin(options.url),
                proxies=options.proxies,
                cookie=f"changelane_{port}",
                read_only=options.read_only,
                persons=read_persons(options.persons, options.proxies),
            ),
            watch=BackgroundRefresh(pool, project, pulse=pulse, log=_log),
            spec=spec,
            log=_log,
        )
        server = _Server(
            uvicorn.Config(
                build(site),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                ws="none",
                # The guard reads the proxy's headers itself, from trusted proxies only.
                proxy_headers=False,
                http=Connection,
                timeout_graceful_shutdown=GRACE,
                timeout_keep_alive=15,
            ),
            site.watch,
        )
        shown = f"[{options.host}]" if ":" in options.host else options.host
        notes = "read-only" if options.read_only else "changes are allowed"
        print(f"Dashboard on http://{shown}:{port}/ ({notes}); Ctrl-C ends it.", flush=True)
        if options.invites:
            address = f"http://{shown}:{port}/login?once={site.sessions.invite()}"
            minutes = INVITATION // 60
            print(f"Open {address} - it lets in once, within {minutes} minutes.", flush=True)
        server.run([listener])
        return 130 if server.interrupted else 0


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """Ends streams at once, and returns the signal that ended it instead of raising it again."""

    def __init__(self, config: uvicorn.Config, watch: BackgroundRefresh) -> None:
        super().__init__(config)
        self._watch = watch
        self.interrupted = False

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with super().capture_signals():
            try:
                yield
            finally:
                self.interrupted = 2 in self._captured_signals
                self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._watch.closing = True
        super().handle_exit(sig, frame)


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _explain(host, port, error) from None
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # Listen now: between bind and listen, a second process could bind the same port.
            listener.listen(128)
        except OSError as error:
            raise _explain(host, port, error) from None
        yield listener


def _explain(host: str, port: int, error: OSError) -> ChangelaneError:
    return ChangelaneError(
        f"cannot listen on {host} port {port}: {error.strerror or error}",
        fix="choose another --port (0 takes any free one), or --host",
    )


def _name_hosts(options: Options) -> frozenset[str] | None:
    """The host names that a request may carry; None for any, if every page needs the token."""
    if not is_loopback(options.host):
        return None
    named = urlsplit(options.url).hostname if options.url else None
    return LOOPBACK | {options.host.lower()} | ({named.lower()} if named else set())


def _read_origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "")


def _log(line: str) -> None:
    print(f"dashboard: {line}", file=sys.stderr, flush=True)
