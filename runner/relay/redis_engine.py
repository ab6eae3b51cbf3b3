"""Redis and Valkey streams: a pipeline of XADD, with a reply for each.

The client retries nothing: it cannot know whether the server stored what it did not confirm. A connection
that failed is closed, and its pipeline given back.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from changelane.contract.destination import Redis as Destination
from changelane.contract.destination import Relay
from changelane.contract.template import parse_template
from changelane.errors import DestinationError
from changelane.runner.relay.engine import CONFIRMED, Finding, Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.tls import find_refusal, make_tls_context

_LATER = (
    "OOM",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
)
"""First words of errors that pass: no memory, a replica, a server that starts, no disk."""

_NEVER = ("NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK")
"""First words of errors that a person must act on."""


class RedisEngine:
    """A destination of kind ``redis``."""

    def __init__(self, destination: Destination, *, name: str) -> None:
        self._destination = destination
        self._name = name
        self._lock = threading.Lock()
        self._client: Redis | None = None

    def connect(self, *, timeout: float) -> None:
        try:
            self._open(timeout).ping()
        except exceptions.RedisError as error:
            raise _explain(error) from None

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        client = self._open(timeout)
        findings = []
        try:
            facts: Any = client.info()
        except exceptions.ResponseError:
            # A user that may do XADD alone.
            return []
        except exceptions.RedisError as error:
            raise _explain(error) from None
        policy, limit = facts.get("maxmemory_policy"), facts.get("maxmemory")
        if limit and policy != "noeviction":
            findings.append(
                Finding(
                    "warning",
                    f"Redis deletes keys at {facts.get('maxmemory_human')} ({policy}), whole streams too",
                    "CONFIG SET maxmemory-policy noeviction",
                )
            )
        if facts.get("aof_enabled") == 0:
            findings.append(
                Finding(
                    "warning",
                    "Redis confirms before it writes to disk, and keeps no append-only file: a crash loses "
                    "entries that were confirmed",
                    "CONFIG SET appendonly yes",
                )
            )
        parts = parse_template(relay.address, engine="redis").parts
        if (
            len(parts) == 1
            and isinstance(parts[0], str)
            and client.type(parts[0]) not in (b"none", b"stream")
        ):
            findings.append(Finding("error", f"key {parts[0]} is no stream", "name another stream"))
        return findings

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        try:
            client = self._open(relay.timeout)
            pipeline = client.pipeline(transaction=False)
            for message in batch:
                fields: Any = {**message.headers, "data": message.body}
                pipeline.xadd(message.address, fields)
            replies = pipeline.execute(raise_on_error=False)
        except Misconfigured as error:
            return [Outcome("misconfigured", str(error))] * len(batch)
        except exceptions.RedisError as error:
            self.close()
            problem = _explain(error)
            kind: Any = "misconfigured" if isinstance(problem, Misconfigured) else "unavailable"
            return [Outcome(kind, str(problem))] * len(batch)
        return [_judge(reply) for reply in replies]

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self, timeout: float) -> Redis:
        with self._lock:
            if self._client is None:
                try:
                    url, options = self._destination.url.read(), self._read_options()
                    if self._destination.tls is not None and not url.startswith("rediss://"):
                        text = "`tls` is given for an address that is not encrypted"
                        raise Misconfigured(text, fix="write rediss://")
                    self._client = Redis.from_url(
                        url,
                        client_name="changelane",
                        socket_timeout=timeout,
                        socket_connect_timeout=timeout,
                        retry=Retry(NoBackoff(), 0),
                        retry_on_error=[],
                        health_check_interval=0,
                        **options,
                    )
                except DestinationError as error:
                    raise Misconfigured(error.what, fix=error.fix) from None
                except ValueError as error:
                    raise Misconfigured(f"the address cannot be used: {_spare(error)}") from None
            return self._client

    def _read_options(self) -> dict[str, Any]:
        named = self._destination
        options: dict[str, Any] = {}
        if named.username is not None:
            options["username"] = named.username
        if named.password is not None:
            options["password"] = named.password.read()
        if named.tls is not None:
            make_tls_context(named.tls)
            options |= {
                "ssl_ca_certs": named.tls.ca, "ssl_certfile": named.tls.cert, "ssl_keyfile": named.tls.key,
            }  # fmt: skip
        return options


def _judge(reply: object) -> Outcome:
    if not isinstance(reply, Exception):
        return CONFIRMED
    text = str(reply)
    if isinstance(reply, (exceptions.AuthenticationError, exceptions.NoPermissionError)):
        return Outcome("misconfigured", text)
    word = text.partition(" ")[0]
    kinds = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.BusyLoadingError)
    if word in _LATER or isinstance(reply, kinds):
        return Outcome("unavailable", text)
    if word in _NEVER:
        return Outcome("misconfigured", text)
    return Outcome("refused", text)


def _explain(error: exceptions.RedisError) -> Exception:
    # A refused login is a ConnectionError, too.
    text = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, exceptions.AuthenticationError):
        return Misconfigured(f"the server refuses the login: {text}")
    if isinstance(error, exceptions.NoPermissionError):
        return Misconfigured(f"the user lacks a right: {text}")
    if refusal := find_refusal(text):
        return Misconfigured(refusal)
    return Unavailable(text)


def _spare(error: ValueError) -> str:
    """The client's words, unless they may quote the address, which may hold a password."""
    return str(error) if "://" not in str(error) and "@" not in str(error) else "it is no URL of Redis"
