"""A real RabbitMQ broker, Debian's, as an ordinary user on the loopback address."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from support.certificates import Certificates
from support.nats_server import find_port, wait_for_port

PROGRAMS = Path("/usr/lib/rabbitmq/bin")

USERS = {
    "guest": ("guest", "administrator", ".*", ".*"),
    # May write to every exchange, and may read nothing.
    "relay": ("right", "", "", ".*"),
    # May do nothing.
    "stranger": ("right", "", "^$", "^$"),
}
"""By name: password, tag, what it may configure and read, what it may write."""


class RabbitMqServer:
    """``settings`` are lines of rabbitmq.conf. It starts in seconds, so tests of a module share one, and take
    names of their own. Its ports stay the same when it is started anew. With ``tls`` there is a second one,
    which wants to see certificates of its clients.
    """

    def __init__(self, folder: Path, *settings: str, tls: Certificates | None = None) -> None:
        self.port, port = find_port(), find_port()
        self.url = f"amqp://127.0.0.1:{self.port}"
        self.tls_url = f"amqps://127.0.0.1:{port}"
        self._folder = folder
        folder.mkdir(exist_ok=True)
        epmd, distribution = find_port(), find_port()
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "loopback_users = none",
            f"load_definitions = {folder / 'definitions.json'}",
            "disk_free_limit.absolute = 1MB",
            "log.console = false",
            *settings,
        ]
        if tls:
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{port}",
                f"ssl_options.cacertfile = {tls.ca}",
                f"ssl_options.certfile = {tls.server[0]}",
                f"ssl_options.keyfile = {tls.server[1]}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = true",
            ]
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (folder / "definitions.json").write_text(json.dumps(_define()))
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "environment.conf").write_text("")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"changelane-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            # The script becomes the broker, instead of its parent.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        # Otherwise a process of Erlang stays after the broker has ended.
        self._epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(epmd)])
        self._process: subprocess.Popen[bytes] | None = None
        wait_for_port(epmd, self._epmd)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PROGRAMS / "rabbitmq-server"], env=self._environment, stdout=subprocess.DEVNULL
        )
        wait_for_port(self.port, self._process, seconds=300)

    def kill(self) -> None:
        if self._process is not None:
            self.thaw()
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

    def end(self) -> None:
        self.kill()
        self._epmd.kill()
        self._epmd.wait()

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl; returns its output."""
        return subprocess.run(
            [PROGRAMS / "rabbitmqctl", *arguments],
            env=self._environment, check=True, capture_output=True, text=True, timeout=300,
        ).stdout  # fmt: skip

    @contextmanager
    def open(self) -> Iterator[BlockingChannel]:
        parameters = pika.ConnectionParameters("127.0.0.1", self.port, heartbeat=0)
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()

    def add_queue(self, *, exchange: str = "", pattern: str = "#", **arguments: Any) -> str:
        """A new durable queue, bound to a topic exchange of the name if one is given."""
        name = f"q-{secrets.token_hex(4)}"
        with self.open() as channel:
            channel.queue_declare(name, durable=True, arguments=arguments)
            if exchange:
                channel.exchange_declare(exchange, "topic", durable=True)
                channel.queue_bind(name, exchange, pattern)
        return name

    def read(self, queue: str) -> list[tuple[Any, Any, bytes]]:
        """Delivery, properties and body of every message of the queue, which is empty after that."""
        found: list[tuple[Any, Any, bytes]] = []
        with self.open() as channel:
            while True:
                delivery, properties, body = channel.basic_get(queue, auto_ack=True)
                if delivery is None:
                    return found
                found.append((delivery, properties, body))

    def count(self, queue: str) -> int:
        with self.open() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)


def _define() -> dict[str, Any]:
    """Users and rights, which a broker reads as it starts."""
    names = USERS
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {"name": name, "password": password, "tags": tag, "limits": {}}
            for name, (password, tag, _, _) in names.items()
        ],
        "permissions": [
            {"user": name, "vhost": "/", "configure": looks, "read": looks, "write": writes}
            for name, (_, _, looks, writes) in names.items()
        ],
    }


@contextmanager
def run_rabbitmq(folder: Path, *settings: str, tls: Certificates | None = None) -> Iterator[RabbitMqServer]:
    program = PROGRAMS / "rabbitmq-server"
    if not program.exists() and os.environ.get("CI"):
        pytest.fail("rabbitmq-server is not installed")
    if not program.exists():
        pytest.skip("rabbitmq-server is not installed")
    server = RabbitMqServer(folder, *settings, tls=tls)
    try:
        yield server
    finally:
        server.end()
