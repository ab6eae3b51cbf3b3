"""HTTP: each message is a POST, signed if the destination says so, and confirmed by an answer of 2xx.

Connections are kept. Redirects are not followed, proxies of the environment not used, cookies not kept.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from changelane.contract.destination import Http, Relay
from changelane.errors import DestinationError
from changelane.runner.relay.address_ranges import AddressRanges, Denied
from changelane.runner.relay.engine import Finding, Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.event_loop import EventLoop
from changelane.runner.relay.http_answers import judge
from changelane.runner.relay.standard_webhooks import Secret, read_secret, sign
from changelane.runner.relay.tls import make_tls_context

AGENT = "changelane"
DRAINED = 64 * 1024
"""Bytes of an answer that are read, so that the connection can be used again. After more it is closed."""

KEPT = 30.0
"""Seconds that a connection without requests is kept."""

CONNECT = 10.0
"""Seconds in which a connection must be made, at most."""

LEAVE = 1.0
"""Seconds that connections have to close in order."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Values read from the environment: never shown."""

    url: str
    parts: SplitResult
    headers: dict[str, str]
    secrets: tuple[Secret, ...]
    context: ssl.SSLContext

    @property
    def place(self) -> str:
        """The receiver as errors name it, without the path, which may hold a secret."""
        return self.parts.netloc


class _Resolver(ThreadedResolver):
    """Leaves out addresses that are excluded. Raises Denied where no address is left."""

    def __init__(self, ranges: AddressRanges) -> None:
        super().__init__()
        self._ranges = ranges

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        allowed = set(self._ranges.select([entry["host"] for entry in found]))
        return [entry for entry in found if entry["host"] in allowed]


class HttpEngine:
    """A destination of kind ``http``."""

    def __init__(self, destination: Http, *, name: str) -> None:
        self._destination = destination
        self._loop = EventLoop(name=f"relay-{name}")
        self._ranges = AddressRanges(allow=destination.allow, deny=destination.deny)
        self._target: _Target | None = None
        self._session: aiohttp.ClientSession | None = None
        self._slots: asyncio.Semaphore | None = None
        self._sending: set[asyncio.Task[Outcome]] = set()
        self._publishing: set[asyncio.Task[Any]] = set()
        self._next = 0.0
        self._answered = 0.0

    def connect(self, *, timeout: float) -> None:
        self._loop.run(self._reach(timeout))

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        target = self._read_target()
        secret = self._destination.sign or [
            name for name, value in self._destination.headers.items() if not isinstance(value, str)
        ]
        if target.parts.scheme == "http" and secret and not _is_local(target.parts.hostname or ""):
            text = f"{target.place} gets its secrets and the changes unencrypted"
            return [Finding("warning", text, "use https:// in the URL")]
        return []

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        return self._loop.run(self._publish(batch, relay.timeout))

    def close(self) -> None:
        async def leave() -> None:
            for task in self._sending:
                task.cancel()
            if self._publishing:
                await asyncio.wait(self._publishing)
            session, self._session = self._session, None
            if session is not None:
                with suppress(Exception):
                    await asyncio.wait_for(session.close(), LEAVE)

        self._loop.run(leave())
        self._loop.close()

    async def _reach(self, timeout: float) -> None:
        """Connect once, so that an outage is over before messages are claimed."""
        target = self._read_target()
        host, port = target.parts.hostname or "", target.parts.port or _PORTS[target.parts.scheme]
        try:
            async with asyncio.timeout(timeout):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                allowed = self._ranges.select([str(info[4][0]) for info in found])
                encrypted = target.parts.scheme == "https"
                _, writer = await asyncio.open_connection(
                    allowed[0],
                    port,
                    ssl=target.context if encrypted else None,
                    server_hostname=host if encrypted else None,
                )
        except Denied as denied:
            raise Misconfigured(f"{target.place} is refused: {denied}") from None
        except ssl.SSLCertVerificationError as error:
            text = f"the certificate of {target.place} is not trusted: {error.verify_message}"
            raise Misconfigured(text) from None
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{target.place} cannot be reached: {_say(error)}") from None
        writer.transport.abort()

    def _read_target(self) -> _Target:
        """Read URL, headers and secrets once. Raises Misconfigured, without showing any of them."""
        if self._target is None:
            try:
                self._target = _read_target(self._destination)
            except DestinationError as error:
                raise Misconfigured(error.what, fix=error.fix) from None
        return self._target

    async def _publish(self, batch: Sequence[Outgoing], timeout: float) -> list[Outcome]:
        try:
            target = self._read_target()
        except Misconfigured as error:
            return [Outcome("misconfigured", str(error))] * len(batch)
        current = asyncio.current_task()
        assert current is not None
        self._publishing.add(current)
        session = self._open(target)
        tasks = [asyncio.create_task(self._send(session, target, message, timeout)) for message in batch]
        self._sending.update(tasks)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        self._sending.difference_update(tasks)
        self._publishing.discard(current)
        return [
            outcome if isinstance(outcome, Outcome) else Outcome("unavailable", "the worker ends")
            for outcome in outcomes
        ]

    def _open(self, target: _Target) -> aiohttp.ClientSession:
        if self._session is None:
            concurrency = self._destination.concurrency
            self._slots = asyncio.Semaphore(concurrency)
            connector = aiohttp.TCPConnector(
                limit=concurrency,
                ssl=target.context,
                keepalive_timeout=KEPT,
                resolver=_Resolver(self._ranges),
                socket_factory=self._ranges.open_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    async def _send(
        self, session: aiohttp.ClientSession, target: _Target, message: Outgoing, timeout: float
    ) -> Outcome:
        if len(message.body) > self._destination.max_body:
            limit = self._destination.max_body
            return Outcome("refused", f"{len(message.body)} bytes, and `max_body` is {limit} bytes")
        assert self._slots is not None
        async with self._slots:
            await self._take_turn()
            begun = time.monotonic()
            headers = {"user-agent": AGENT, **message.headers, **target.headers}
            if target.secrets:
                headers |= sign(message.body, id=message.id, at=int(time.time()), secrets=target.secrets)
            try:
                async with session.post(
                    target.url,
                    data=message.body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, CONNECT)),
                ) as response:
                    self._answered = time.monotonic()
                    return judge(response.status, response.headers, await _drain(response))
            except Exception as error:  # noqa: BLE001 - the client raises errors of many kinds
                return self._explain(error, target, begun=begun, timeout=timeout)

    async def _take_turn(self) -> None:
        """Wait until the rate allows one more request."""
        rate = self._destination.rate
        if rate is None:
            return
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + 1 / rate
        await asyncio.sleep(turn - now)

    def _explain(self, error: Exception, target: _Target, *, begun: float, timeout: float) -> Outcome:
        place = target.place
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return Outcome("misconfigured", f"the certificate of {place} is not trusted: {_say(error)}")
        if isinstance(error, aiohttp.InvalidURL):
            return Outcome("misconfigured", "the URL cannot be used")
        if isinstance(error, OSError) and (denied := _find_denied(error)):
            return Outcome("misconfigured", f"{place} is refused: {denied}")
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            text = f"{place} did not answer within {timeout:g} s"
            # Others that were sent meanwhile were answered: it is this message that takes so long.
            alive = self._answered > begun + timeout / 2
            return Outcome("failed" if alive else "unavailable", text)
        if isinstance(error, (aiohttp.ClientConnectionError, OSError)):
            return Outcome("unavailable", f"{place} cannot be reached: {_say(error)}")
        return Outcome("failed", f"{place} gave no answer of HTTP: {type(error).__name__}")


_PORTS = {"http": 80, "https": 443}


def _read_target(destination: Http) -> _Target:
    """Raises DestinationError, Misconfigured."""
    url = destination.url.read().strip()
    try:
        parts = urlsplit(url)
        valid = parts.scheme in _PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.password is not None:
        raise Misconfigured(
            "the URL is not one of http:// or https:// without user and password",
            fix="give user and password as the header Authorization",
        )
    headers = {
        name: value if isinstance(value, str) else value.read() for name, value in destination.headers.items()
    }
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise Misconfigured(f"the value of header {name} is not printable ASCII")
    secrets = []
    for place in destination.sign.standard_webhooks if destination.sign else ():
        try:
            secrets.append(read_secret(place.read()))
        except ValueError as error:
            named = place.env or place.file_env or place.file
            raise Misconfigured(
                f"the secret to sign with ({named}) cannot be used: {error}",
                fix="take `whsec_` and base64 of 24 to 64 bytes, as the receiver has it",
            ) from None
    return _Target(url, parts, headers, tuple(secrets), make_tls_context(destination.tls))


async def _drain(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the answer. It is read to its end if it is short, else the connection is closed."""
    read = b""
    try:
        while len(read) < DRAINED and (part := await response.content.read(DRAINED)):
            read += part
    except (aiohttp.ClientError, OSError, TimeoutError):
        # The status is the answer; what follows it is not needed.
        response.close()
    else:
        if not response.content.at_eof():
            response.close()
    return read


def _find_denied(error: BaseException) -> str:
    """What the ranges said, however the client wrapped it; empty where they did not."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Denied):
            return str(seen)
        seen = getattr(seen, "os_error", None) or seen.__cause__
    return ""


def _is_local(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _say(error: BaseException) -> str:
    """The error without addresses of the client's making, which may show the path."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    return (isinstance(inner, OSError) and inner.strerror) or type(inner).__name__
