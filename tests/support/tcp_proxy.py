"""A TCP proxy in front of a server that can go silent: sockets stay open, and no data passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict


class Proxy:
    """``url`` is the database's, through the proxy. The system still answers the probes of TCP for it."""

    def __init__(self, url: str) -> None:
        self._parts = conninfo_to_dict(url)
        self._loop = asyncio.new_event_loop()
        self._gates: list[asyncio.Event] = []
        self._silent = False
        self._tasks: set[asyncio.Task[None] | None] = set()
        self._port = 0

    @property
    def url(self) -> str:
        parts = self._parts
        return f"postgresql://{parts['user']}@127.0.0.1:{self._port}/{parts['dbname']}"

    def silence(self, *, new: bool = True) -> None:
        """Pass no data on open connections, nor on new ones if ``new``."""
        asyncio.run_coroutine_threadsafe(self._silence(new), self._loop).result()

    def speak(self) -> None:
        """Pass data on new connections again; silent ones stay silent."""
        self._silent = False

    async def _silence(self, new: bool) -> None:
        self._silent = new
        for gate in self._gates:
            gate.clear()
        # Silent connections stay silent.
        self._gates = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The event loop has only weak references to tasks, so these are kept here.
        self._tasks.add(asyncio.current_task())
        gate = asyncio.Event()
        if not self._silent:
            gate.set()
            self._gates.append(gate)
        host, port = str(self._parts["host"]), str(self._parts["port"])
        # When the proxy ends, its connections end without a word.
        with suppress(OSError, asyncio.CancelledError):
            if host.startswith("/"):
                inner, outer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                inner, outer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_pump(reader, outer, gate), _pump(inner, writer, gate))

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self._port = server.sockets[0].getsockname()[1]
            started.set()
            async with server:
                await server.serve_forever()

        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(main())
        self._close()

    def _stop(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _close(self) -> None:
        while tasks := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event) -> None:
    try:
        while data := await reader.read(65536):
            await gate.wait()
            writer.write(data)
            await writer.drain()
        await gate.wait()
    except (OSError, asyncio.CancelledError):
        return
    finally:
        writer.close()


@contextmanager
def run_proxy(url: str) -> Iterator[Proxy]:
    """A proxy before the server of ``url``, in a thread."""
    proxy = Proxy(url)
    started = threading.Event()
    thread = threading.Thread(target=proxy._run, args=[started], daemon=True)
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        proxy._loop.call_soon_threadsafe(proxy._stop)
        thread.join(5)
