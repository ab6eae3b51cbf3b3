"""A real NATS server with JetStream, and the messages in its streams."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

T = TypeVar("T")


_held: list[int] = []
"""Descriptors of the locks on this process's ports."""


def find_port() -> int:
    """A free port that no connection gets as its own while the server of the port is down, and that no other
    call returns, in this process or another, before this process ends.
    """
    locks = Path(tempfile.gettempdir(), f"changelane-ports-{os.getuid()}")
    locks.mkdir(mode=0o700, exist_ok=True)
    while True:
        port = random.randrange(20_000, 32_768)
        lock = os.open(locks / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        with socket.socket() as free:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.bind(("127.0.0.1", port))
            except OSError:
                os.close(lock)
                continue
        _held.append(lock)
        return port


def wait_for_port(port: int, process: subprocess.Popen[Any], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.02)


class NatsServer:
    """``options`` are those of nats-server. A restart keeps its port."""

    def __init__(self, folder: Path, *options: str, connect: dict[str, Any] | None = None) -> None:
        self.port = find_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._options = options
        self._connect = connect or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
        self._process = subprocess.Popen(
            [
                program,
                "-js",
                "-sd",
                str(self._folder),
                "-a",
                "127.0.0.1",
                "-p",
                str(self.port),
                *self._options,
            ],
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(self.port, self._process)

    def kill(self) -> None:
        """Kill it, like a crash."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process: connections stay open, and nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, question: Callable[[Client], Awaitable[T]]) -> T:
        """Run a coroutine over a connection; returns its result."""

        async def run() -> T:
            client = await nats.connect(self.url, connect_timeout=30, **self._connect)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(run())

    def add_stream(self, name: str, *subjects: str, **options: Any) -> None:
        async def add(client: Client) -> None:
            await client.jetstream(timeout=30).add_stream(name=name, subjects=list(subjects), **options)

        self.ask(add)

    def delete_stream(self, name: str) -> None:
        async def delete(client: Client) -> None:
            await client.jetstream(timeout=30).delete_stream(name)

        self.ask(delete)

    def count(self, stream: str) -> int:
        """Messages in the stream."""

        async def look(client: Client) -> int:
            return (await client.jetstream(timeout=30).stream_info(stream)).state.messages

        return self.ask(look)

    def read(self, stream: str) -> list[Msg]:
        """Every message of the stream, in its order."""

        async def fetch(client: Client) -> list[Msg]:
            context = client.jetstream(timeout=30)
            left = (await context.stream_info(stream)).state.messages
            # Of those that wait for an ack the server hands out 1,000, and after 30 s the same again.
            config = ConsumerConfig(ack_policy=AckPolicy.NONE)
            reader = await context.pull_subscribe(">", stream=stream, config=config)
            found: list[Msg] = []
            while len(found) < left:
                found += await reader.fetch(min(1000, left - len(found)), timeout=30)
            return found

        return self.ask(fetch)


@contextmanager
def run_nats(folder: Path, *options: str, connect: dict[str, Any] | None = None) -> Iterator[NatsServer]:
    server = NatsServer(folder, *options, connect=connect)
    try:
        yield server
    finally:
        server.kill()
