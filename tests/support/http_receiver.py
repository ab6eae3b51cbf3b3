"""An HTTP server on its own port that answers with any status, slowly, or not at all."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True)
class Request:
    """One request as it came. ``connection`` is the client's port, ``at`` on the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    at: float


@dataclass(frozen=True)
class Answer:
    """``after`` is in seconds; ``abort`` cuts the connection instead of answering."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: float = 0.0
    abort: bool = False


Decide = Callable[..., Answer]


class Receiver:
    """``requests`` are in the order of arrival. ``decide`` returns the answer to each."""

    def __init__(self, decide: Decide, *, tls: ssl.SSLContext | None = None) -> None:
        self.decide = decide
        self.requests: list[Request] = []
        self.port = 0
        self.at_once = 0
        self.most_at_once = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/hook"

    def open(self) -> None:
        """Listen, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)

    def close(self) -> None:
        """Refuse connections, and cut those that are open."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)

    def end(self) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    async def _open(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        ((_, self.port),) = self._runner.addresses

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            assert request.transport is not None
            found = Request(
                method=request.method,
                path=request.path_qs,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                connection=request.transport.get_extra_info("peername")[1],
                at=time.monotonic(),
            )
            self.requests.append(found)
            answer = self.decide(found)
            await asyncio.sleep(answer.after)
            if answer.abort:
                request.transport.abort()
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        finally:
            self.at_once -= 1


@contextmanager
def run_receiver(
    decide: Decide = lambda request: Answer(), *, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(decide, tls=tls)
    receiver.open()
    try:
        yield receiver
    finally:
        receiver.end()
