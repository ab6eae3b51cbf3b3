"""Metrics and health over HTTP: /metrics, /healthz and /readyz."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from changelane.errors import ChangelaneError

if TYPE_CHECKING:
    from changelane.runner.work.process.metrics import Metrics


class Endpoint:
    """Serves one worker process, in threads of its own; ``port`` is the bound port.

    A ``shared`` port can also be bound by the process that replaces this one. Raises ChangelaneError when the
    port cannot be bound.
    """

    def __init__(self, *, host: str, port: int, metrics: Metrics, shared: bool = False) -> None:
        self._metrics = metrics
        handler = type("Handler", (_Handler,), {"metrics": metrics})
        self._server = _listen(host, port, handler, shared=shared)
        self._stopped = False
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; safe to repeat."""
        if not self._stopped:
            self._stopped = True
            self._server.shutdown()
            self._server.server_close()
            self._metrics.close()


def check_port(*, host: str, port: int) -> None:
    """Raise ChangelaneError, as an Endpoint would, when the port cannot be bound."""
    _listen(host, port, BaseHTTPRequestHandler).server_close()


class _Handler(BaseHTTPRequestHandler):
    metrics: Metrics
    timeout = 10

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept") or "")
            self._answer(200, encode(REGISTRY), kind)
        elif path in ("/healthz", "/readyz"):
            good = self.metrics.alive if path == "/healthz" else self.metrics.ready
            self._answer(200 if good else 503, b"ok\n" if good else b"not ok\n", "text/plain; charset=utf-8")
        else:
            self._answer(404, b"/metrics, /healthz, /readyz\n", "text/plain; charset=utf-8")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Logs nothing: a scrape is not worth a line."""


def _listen(
    host: str, port: int, kind: type[BaseHTTPRequestHandler], *, shared: bool = False
) -> ThreadingHTTPServer:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        settings = {"address_family": found[0][0], "allow_reuse_port": shared}
        server = type("Server", (ThreadingHTTPServer,), settings)
        made: ThreadingHTTPServer = server(found[0][4][:2], kind)
    except OSError as error:
        raise ChangelaneError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            fix="choose another --metrics-port, or --metrics-host",
        ) from None
    return made
