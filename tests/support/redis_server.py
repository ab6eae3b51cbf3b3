"""A real Redis server, Debian's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from support.certificates import Certificates
from support.nats_server import find_port, wait_for_port


class RedisServer:
    """``options`` are those of redis-server. It keeps what it confirmed when it is killed.

    With ``tls`` it is encrypted, and wants to see certificates of its clients; ``client`` has none.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        *options: str,
        password: str | None = None,
        tls: Certificates | None = None,
    ) -> None:
        self.port = find_port()
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self.port}"
        self._listen = ["--port", str(self.port)]
        if tls:
            self._listen = [
                "--port", "0", "--tls-port", str(self.port), "--tls-cert-file", tls.server[0],
                "--tls-key-file", tls.server[1], "--tls-ca-cert-file", tls.ca,
            ]  # fmt: skip
        self._program = program
        self._folder = folder
        self._options = [*options, *(["--requirepass", password] if password else [])]
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)
        self.client: Any = Redis(port=self.port, password=password, socket_timeout=60)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                self._program, *self._listen, "--bind", "127.0.0.1", "--dir", str(self._folder),
                "--appendonly", "yes", "--appendfsync", "always", "--save", "", *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for_port(self.port, self._process)

    def kill(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def read(self, stream: str) -> list[dict[bytes, bytes]]:
        """The fields of every entry, in the stream's order."""
        return [fields for _, fields in self.client.xrange(stream)]


def find_redis() -> str:
    path = shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/bin:/usr/sbin")
    if path is None and os.environ.get("CI"):
        pytest.fail("redis-server is not installed")
    if path is None:
        pytest.skip("redis-server is not installed")
    return path


@contextmanager
def run_redis(
    folder: Path, *options: str, password: str | None = None, tls: Certificates | None = None
) -> Iterator[RedisServer]:
    server = RedisServer(find_redis(), folder, *options, password=password, tls=tls)
    try:
        yield server
    finally:
        server.kill()
