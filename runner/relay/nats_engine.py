"""NATS JetStream: messages are published at once, and each is confirmed by the stream's own answer.

The client never reconnects by itself. Its buffer would deliver messages after we have given them back. A
connection that was lost, or that did not answer in time, is cut off, and ``connect`` makes a new one.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

import nkeys
import orjson
from nats import errors
from nats.aio.client import Client, RawCredentials

from changelane.contract.destination import Nats, Relay
from changelane.contract.template import parse_template
from changelane.errors import DestinationError
from changelane.runner.relay.batch import Batch
from changelane.runner.relay.engine import (
    Finding,
    Misconfigured,
    Outcome,
    Outgoing,
    Unavailable,
)
from changelane.runner.relay.event_loop import EventLoop
from changelane.runner.relay.nats_client import LACKS_STREAM, AnsweringClient, Place, spell_headers
from changelane.runner.relay.tls import find_refusal, make_tls_context

PENDING = 64 * 1024 * 1024
"""Bytes that the client buffers before it waits for the socket."""

LEAVE = 1.0
"""Seconds that a connection has to close in order."""


class NatsEngine:
    """A destination of kind ``nats``."""

    def __init__(self, destination: Nats, *, name: str) -> None:
        self._destination = destination
        self._name = name
        self._loop = EventLoop(name=f"relay-{name}")
        self._client: AnsweringClient | None = None
        self._connecting = asyncio.Lock()
        self._sound = ""
        self._number = 0
        self._pending: dict[bytes, tuple[Batch, Sequence[Outgoing]]] = {}

    def connect(self, *, timeout: float) -> None:
        self._loop.run(self._open(timeout))

    def check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        return self._loop.run(self._check(relay, lease=lease, timeout=timeout))

    def publish(self, batch: Sequence[Outgoing], *, relay: Relay) -> list[Outcome]:
        return self._loop.run(self._publish(batch, relay))

    def close(self) -> None:
        async def leave() -> None:
            client, self._client = self._client, None
            if client is not None:
                if self._pending:
                    _cut_off(client)
                self._fail("the worker ends")
                with suppress(Exception):
                    await asyncio.wait_for(client.close(), LEAVE)

        self._loop.run(leave())
        self._loop.close()

    async def _open(self, timeout: float) -> AnsweringClient:
        async with self._connecting:
            if self._client is not None and self._client.is_connected:
                return self._client
            try:
                options = self._read_options()
            except DestinationError as error:
                raise Misconfigured(error.what, fix=error.fix) from None
            servers = list(self._destination.servers)
            random.shuffle(servers)
            problem: Exception = Unavailable("no server is named")
            until = time.monotonic() + timeout
            for server in servers:
                try:
                    left = max(0.5, until - time.monotonic())
                    client = await asyncio.wait_for(self._dial(server, left, options), left)
                except Exception as error:  # noqa: BLE001 - the client raises errors of many kinds
                    problem = _explain(error, server)
                    continue
                self._client = client
                return client
            raise problem

    async def _dial(self, server: str, timeout: float, options: dict[str, Any]) -> AnsweringClient:
        async def note(error: Exception) -> None:
            self._note(error)

        async def end() -> None:
            self._fail("the connection was lost")

        client = AnsweringClient(self._hear)
        await client.connect(
            server,
            name="changelane",
            allow_reconnect=False,
            connect_timeout=ceil(timeout),
            ping_interval=10,
            reconnect_time_wait=0,
            pending_size=PENDING,
            error_cb=note,
            closed_cb=end,
            **options,
        )
        await client.listen()
        return client

    def _read_options(self) -> dict[str, Any]:
        named = self._destination
        options: dict[str, Any] = {}
        if named.username is not None:
            options["user"] = named.username
        if named.password is not None:
            options["password"] = named.password.read()
        if named.token is not None:
            options["token"] = named.token.read()
        if named.nkey is not None:
            options["nkeys_seed_str"] = named.nkey.read()
        if named.credentials is not None:
            text = named.credentials.read()
            if not all(f"BEGIN {part}" in text for part in ("NATS USER JWT", "USER NKEY SEED")):
                raise Misconfigured("the credentials are none of NATS", fix="give the .creds file of a user")
            options["user_credentials"] = RawCredentials(text)
        if named.tls is not None:
            options["tls"] = make_tls_context(named.tls)
        return options

    async def _publish(self, batch: Sequence[Outgoing], relay: Relay) -> list[Outcome]:
        state = Batch(len(batch))
        until = time.monotonic() + relay.timeout
        try:
            client = await self._open(relay.timeout)
        except (Unavailable, Misconfigured) as error:
            kind: Any = "misconfigured" if isinstance(error, Misconfigured) else "unavailable"
            return [Outcome(kind, str(error))] * len(batch)
        self._number += 1
        number = self._number
        self._pending[b"%d" % number] = state, batch
        frames = self._make_frames(client, batch, state, number=number, deduplicate=relay.deduplicate)
        try:
            await client.send(frames)
        except (TimeoutError, errors.Error, OSError) as error:
            self._fail(_say(error))
        if not await state.wait(until - time.monotonic()):
            _cut_off(client)
            self._fail(f"no answer within {relay.timeout:g} s")
        self._pending.pop(b"%d" % number, None)
        outcomes = [outcome or Outcome("unavailable", "no answer") for outcome in state.outcomes]
        return await self._explain_no_stream(client, batch, outcomes)

    def _make_frames(
        self,
        client: AnsweringClient,
        batch: Sequence[Outgoing],
        state: Batch,
        *,
        number: int,
        deduplicate: bool,
    ) -> Iterator[bytes]:
        """A frame for each message but those that cannot be sent."""
        for index, message in enumerate(batch):
            try:
                self._require_subject(message.address)
                lines = spell_headers(
                    message.headers, id=message.id if deduplicate and message.lasting else ""
                )
            except ValueError as error:
                state.put(index, Outcome("refused", str(error)))
                continue
            size = len(message.body) + len(lines)
            if size > client.max_payload:
                # The server would close the connection, and all that is in flight would fail.
                text = f"{size} bytes with its headers; the server's max_payload is {client.max_payload}"
                state.put(index, Outcome("refused", text))
                continue
            yield client.make_frame(message.address, lines, message.body, batch=number, index=index)

    def _hear(self, places: Sequence[Place], outcome: Outcome) -> None:
        for number, index in places:
            entry = self._pending.get(number)
            if entry is not None:
                entry[0].put(int(index), outcome)

    def _require_subject(self, subject: str) -> None:
        """Raises ValueError for one that would break the protocol's line."""
        if subject != self._sound and subject.split() != [subject]:
            raise ValueError(f"{subject!r} is no subject")
        self._sound = subject

    def _note(self, error: Exception) -> None:
        """A refused subject is told on the connection alone, never as an answer to the message."""
        found = re.search(r'permissions violation for publish to "([^"]*)"', str(error), re.IGNORECASE)
        if found:
            outcome = Outcome("misconfigured", f"the user may not publish to {found[1]}")
            for state, batch in self._pending.values():
                for index, message in enumerate(batch):
                    if message.address == found[1]:
                        state.put(index, outcome)

    def _fail(self, text: str) -> None:
        """Fail everything that waits for an answer."""
        outcome = Outcome("unavailable", text)
        for state, _ in self._pending.values():
            state.put_rest(outcome)
        self._pending.clear()

    async def _explain_no_stream(
        self, client: Client, batch: Sequence[Outgoing], outcomes: list[Outcome]
    ) -> list[Outcome]:
        """Where nobody answered for a subject: no stream takes it, or its stream has no leader just now."""
        silent = {
            message.address
            for message, outcome in zip(batch, outcomes, strict=True)
            if outcome.kind == "unavailable" and outcome.text == LACKS_STREAM
        }
        lacking = set()
        for address in silent:
            try:
                if not await _list_streams(client, address, timeout=5.0):
                    lacking.add(address)
            except (Unavailable, Misconfigured):
                break
        return [
            Outcome("unroutable", f"{LACKS_STREAM} {message.address}")
            if outcome.text == LACKS_STREAM and message.address in lacking
            else outcome
            for message, outcome in zip(batch, outcomes, strict=True)
        ]

    async def _check(self, relay: Relay, *, lease: float, timeout: float) -> list[Finding]:
        client = await self._open(timeout)
        pattern = generalize(relay.address)
        names = await _list_streams(client, pattern, timeout=timeout)
        if not names:
            return [
                Finding(
                    "error",
                    f"{LACKS_STREAM} {pattern}",
                    f"create one: nats stream add {_suggest_name(pattern)} --subjects '{_widen(pattern)}' "
                    "--discard new --defaults",
                )
            ]
        findings: list[Finding] = []
        for name in names:
            reply = await _ask(client, f"$JS.API.STREAM.INFO.{name}", {}, timeout=timeout)
            findings += _judge_stream(name, reply.get("config") or {}, relay, lease=lease)
        return findings


def generalize(subject: str) -> str:
    """The pattern of NATS that takes every subject of a template: ``*`` stands for a token that varies."""
    parts = parse_template(subject, engine="nats").parts
    shape = "".join(part if isinstance(part, str) else "*" for part in parts)
    return ".".join("*" if "*" in token else token for token in shape.split("."))


def _suggest_name(pattern: str) -> str:
    return re.sub("[^A-Z0-9]+", "_", pattern.partition(".")[0].upper()).strip("_") or "CHANGES"


def _widen(pattern: str) -> str:
    head, dot, _ = pattern.partition(".")
    return f"{head}.>" if dot and head != "*" else pattern


def _judge_stream(name: str, config: dict[str, Any], relay: Relay, *, lease: float) -> list[Finding]:
    findings = []
    if config.get("no_ack"):
        findings.append(
            Finding("error", f"stream {name} never answers (no_ack)", f"nats stream edit {name} --ack")
        )
    window = (config.get("duplicate_window") or 0) / 1e9
    needed = lease + relay.timeout
    if relay.deduplicate and window < needed:
        findings.append(
            Finding(
                "warning",
                f"stream {name} knows ids for {window:g} s: a message that is sent again later, after lease "
                f"and timeout ({needed:g} s), is stored twice",
                f"nats stream edit {name} --dupe-window {round(needed * 2)}s",
            )
        )
    limits = [
        limit for limit in ("max_msgs", "max_bytes", "max_msgs_per_subject") if (config.get(limit) or 0) > 0
    ]
    if limits and config.get("discard") == "old":
        findings.append(
            Finding(
                "warning",
                f"stream {name} drops its oldest messages at {' and '.join(limits)} (discard: old), "
                "whether they were read or not",
                f"nats stream edit {name} --discard new",
            )
        )
    return findings


async def _list_streams(client: Client, subject: str, *, timeout: float) -> list[str]:
    reply = await _ask(client, "$JS.API.STREAM.NAMES", {"subject": subject}, timeout=timeout)
    return sorted(reply.get("streams") or ())


async def _ask(client: Client, api: str, request: dict[str, Any], *, timeout: float) -> dict[str, Any]:
    """The answer of JetStream's API. Raises Unavailable or Misconfigured."""
    try:
        reply = await client.request(api, json.dumps(request).encode(), timeout=timeout)
    except errors.NoRespondersError:
        raise Misconfigured(
            "JetStream is not enabled for this account", fix="start the server with -js, or enable it"
        ) from None
    except (TimeoutError, errors.Error, OSError) as error:
        raise Unavailable(f"JetStream does not answer: {_say(error)}") from None
    content = orjson.loads(reply.data)
    if problem := content.get("error"):
        if problem.get("code", 0) >= 500:
            raise Unavailable(str(problem.get("description")))
        raise Misconfigured(str(problem.get("description")))
    return content if isinstance(content, dict) else {}


def _explain(error: Exception, server: str) -> Exception:
    if isinstance(error, Misconfigured):
        return error
    text = _say(error)
    if isinstance(error, errors.AuthorizationError) or "authorization" in text.lower():
        return Misconfigured(f"{server} refuses the login: {text}")
    if refusal := find_refusal(error):
        return Misconfigured(f"{server}: {refusal}")
    if isinstance(error, (nkeys.NkeysError, binascii.Error)):
        return Misconfigured(f"the seed for {server} is none", fix="give the seed of a user: SU...")
    if isinstance(error, (errors.SecureConnRequiredError, errors.SecureConnWantedError)):
        return Misconfigured(f"{server}: {text}", fix="give `tls`, or tls:// in the server's URL")
    return Unavailable(f"{server} cannot be reached: {text}")


def _say(error: BaseException) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__).removeprefix("nats: ")


def _cut_off(client: Client) -> None:
    """Throw away what the connection has not sent yet. The client's own close would send it first."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
