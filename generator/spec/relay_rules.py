"""Finds contradictions in a spec's ``destinations`` and in the ``relay`` of its consumers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from changelane.contract.destination import ADDRESSES, DEDUPLICATING, ENGINES
from changelane.contract.template import LONGEST, Engine, TemplateError, parse_template
from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import read_duration, show
from changelane.generator.spec.yaml_source import Node, Source, Step
from changelane.suggestion import suggest

_HANDLERS_ALONE = ("mode", "concurrency")
_LOGIN = ("mechanism", "username", "password")
_LEASE, _TIMEOUT = "60s", "30s"
_WAYS = ("credentials", "nkey", "token", "username")
"""How a client says who it is: one of them."""


def check_relays(source: Source) -> Iterator[Diagnostic]:
    """Every contradiction. A value of the wrong type is skipped, because another check reports it."""
    for name in _keys(source, "destinations"):
        yield from _check_destination(source, ("destinations", name))
    for queue in _keys(source, "consumers"):
        path = ("consumers", queue)
        consumer = source.find(*path)
        if consumer is None or not isinstance(consumer.content, dict):
            continue
        if "relay" in consumer.content:
            yield from _check_relay(source, path, consumer)
        elif "handler" not in consumer.content:
            yield source.diagnose(
                Code.MISSING_KEY,
                f"`handler` is missing in {show(queue)}",
                *path,
                key=True,
                fix="for example `handler: handlers.orders:on_paid`, or `relay: {to: bus, ...}`",
            )
    yield from _check_twice(source)


def _check_destination(source: Source, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    node = source.find(*path)
    if node is None or not isinstance(node.content, dict):
        return
    engines = [name for name in node.content if name in ENGINES]
    known = ", ".join(ENGINES)
    if not node.content:
        message = f"destination {show(path[-1])} names no engine"
        yield source.diagnose(Code.DESTINATION, message, *path, key=True, fix=f"there are: {known}")
    for other in engines[1:]:
        message = f"destination {show(path[-1])} has two engines"
        fix = "give each its own name under `destinations`"
        yield source.diagnose(Code.DESTINATION, message, *path, other, key=True, fix=fix)
    for engine in engines:
        yield from _check_login(source, (*path, engine), node.content[engine])
        yield from _check_secrets(source, (*path, engine), node.content[engine])
        yield from _check_encryption(source, (*path, engine))
    yield from _check_kafka(source, (*path, "kafka"))


def _check_login(source: Source, path: tuple[Step, ...], node: Node) -> Iterator[Diagnostic]:
    """Report a client that says twice who it is, or says half of it."""
    content = node.content if isinstance(node.content, dict) else {}
    given = [way for way in content if way in _WAYS]
    for late in given[1:]:
        message = f"both `{given[0]}` and `{late}` say who connects"
        yield source.diagnose(Code.ONE_OF, message, *path, late, key=True, fix="keep one of them")
    files = source.find(*path, "tls")
    for place, mapping, one, other in (
        (path, node, "username", "password"),
        (path, node, "password", "username"),
        ((*path, "tls"), files, "cert", "key"),
        ((*path, "tls"), files, "key", "cert"),
    ):
        inner = mapping.content if mapping is not None and isinstance(mapping.content, dict) else {}
        # Redis has passwords without a user.
        if one in inner and other not in inner and (one, path[-1]) != ("password", "redis"):
            message = f"`{one}` is given without `{other}`"
            yield source.diagnose(Code.DESTINATION, message, *place, one, key=True, fix=f"add `{other}`")


def _check_encryption(source: Source, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    """Report files for an address that is not encrypted. The worker looks at one of the environment."""
    scheme, colon, _ = _text(source, *path, "url").partition("://")
    if colon and source.find(*path, "tls") is not None and f"{scheme}s" in _ENCRYPTED:
        message = f"`tls` is given, and {scheme}:// is not encrypted"
        yield source.diagnose(
            Code.DESTINATION, message, *path, "tls", key=True, fix=f"write {scheme}s:// in `url`"
        )


_ENCRYPTED = ("amqps", "https", "rediss")


def _check_kafka(source: Source, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    node = source.find(*path)
    content = node.content if node is not None and isinstance(node.content, dict) else {}
    security = _text(source, *path, "security") or "plaintext"
    login = [key for key in _LOGIN if key in content]
    if security.startswith("sasl"):
        lacking = ", ".join(f"`{key}`" for key in _LOGIN if key not in content)
        if lacking:
            message = f"`security: {security}` is given without {lacking}"
            yield source.diagnose(Code.DESTINATION, message, *path, "security", fix=f"add {lacking}")
    elif login:
        message = f"`{login[0]}` is for a login, and `security: {security}` has none"
        fix = "write `security: sasl_ssl`"
        yield source.diagnose(Code.DESTINATION, message, *path, login[0], key=True, fix=fix)
    if "tls" in content and not security.endswith("ssl"):
        message = f"`tls` is given, and `security: {security}` does not encrypt"
        fix = f"write `security: {'sasl_ssl' if security.startswith('sasl') else 'ssl'}`"
        yield source.diagnose(Code.DESTINATION, message, *path, "tls", key=True, fix=fix)
    for option in _keys(source, *path, "options"):
        if re.search(_HIDDEN, option):
            yield source.diagnose(
                Code.NO_SECRETS,
                f"`{option}` is a secret, and no secret stands in a spec",
                *path, "options", option,
                key=True,
                fix="give user and password under `username` and `password`, keys as files under `tls`",
            )  # fmt: skip
        elif option in _OUR_OPTIONS:
            yield source.diagnose(
                Code.DESTINATION,
                f"`{option}` is set by Changelane, as its guarantees depend on it",
                *path, "options", option,
                key=True,
                fix=f"delete it{_OUR_OPTIONS[option]}",
            )  # fmt: skip


_HIDDEN = r"password|secret|jaas|oauthbearer\.(config|assertion)|ssl\.(key|ca|certificate|keystore)\.pem"
_OUR_OPTIONS = {
    "bootstrap.servers": ": write `servers`", "metadata.broker.list": ": write `servers`",
    "security.protocol": ": write `security`", "sasl.username": ": write `username`",
    "sasl.mechanism": ": write `mechanism`", "sasl.mechanisms": ": write `mechanism`",
    "ssl.ca.location": ": write `tls`", "ssl.certificate.location": ": write `tls`",
    "ssl.key.location": ": write `tls`", "message.timeout.ms": ": write `timeout` of the consumer",
    "delivery.timeout.ms": ": write `timeout` of the consumer", "enable.idempotence": "", "acks": "",
    "request.required.acks": "", "partitioner": "", "linger.ms": "", "queue.buffering.max.ms": "",
    "topic.metadata.propagation.max.ms": "", "transactional.id": "", "delivery.report.only.error": "",
    "dr_cb": "", "dr_msg_cb": "", "error_cb": "", "log_level": "", "plugin.library.paths": "",
    "enable.gapless.guarantee": "",
}  # fmt: skip
"""Each with the key to write instead, where there is one."""


def _check_secrets(source: Source, path: tuple[Step, ...], node: Node) -> Iterator[Diagnostic]:
    """Report each secret that is found in no place, or in several."""
    children: dict[Any, Node] = {}
    if isinstance(node.content, dict):
        children = {key: child for key, child in node.content.items() if key not in ("tls", "options")}
    elif isinstance(node.content, list):
        children = dict(enumerate(node.content))
    for key, child in children.items():
        yield from _check_secrets(source, (*path, key), child)
        if not isinstance(child.content, dict) or (key == "headers" and not child.content):
            continue
        places = [place for place in ("env", "file_env", "file") if place in child.content]
        if not child.content or (len(places) > 1 and set(child.content) == set(places)):
            named = f"`{key}`" if isinstance(key, str) else f"entry {key + 1}"
            message = f"{named} needs one place of the secret, not {len(places) or 'none'}"
            fix = "write {env: NAME}, {file_env: NAME} or {file: path}"
            yield source.diagnose(Code.NO_SECRETS, message, *path, key, fix=fix)


def _check_relay(source: Source, path: tuple[Step, ...], consumer: Node) -> Iterator[Diagnostic]:
    content = consumer.content if isinstance(consumer.content, dict) else {}
    if "handler" in content:
        message = "both `handler` and `relay` are given"
        yield source.diagnose(Code.ONE_OF, message, *path, "relay", key=True, fix="keep one of them")
    for key in (name for name in _HANDLERS_ALONE if name in content):
        message = f"`{key}` is for handlers, and this consumer relays"
        yield source.diagnose(Code.RELAY, message, *path, key, key=True, fix=f"delete `{key}`")
    if source.find(*path, "retry", "never") is not None:
        message = "`never` names exceptions of a handler, and this consumer relays"
        yield source.diagnose(Code.RELAY, message, *path, "retry", "never", key=True, fix="delete `never`")
    lease = _seconds(source, *path, "lease", default=_LEASE)
    timeout = _seconds(source, *path, "timeout", default=_TIMEOUT)
    if lease is not None and timeout is not None and timeout >= lease:
        given = [key for key in ("timeout", "lease") if key in content]
        yield source.diagnose(
            Code.RELAY,
            f"`lease` ({_text(source, *path, 'lease') or _LEASE}) must exceed `timeout` "
            f"({_text(source, *path, 'timeout') or _TIMEOUT}): another worker would publish messages that "
            "are still on their way",
            *path,
            *given[:1],
            fix="raise `lease`, or lower `timeout`",
        )
    relay = (*path, "relay")
    to = _text(source, *relay, "to")
    destination = source.find("destinations", to) if to else None
    if to and destination is None:
        known = _keys(source, "destinations")
        yield source.diagnose(
            Code.DESTINATION,
            f"the destination {show(to)} is not declared",
            *relay,
            "to",
            fix=suggest(to, known) or f"add `{to[:41]}` under `destinations`",
        )
    if destination is None or not isinstance(destination.content, dict):
        return
    engine = next((name for name in destination.content if name in ENGINES), None)
    if engine is not None and isinstance(content["relay"].content, dict):
        yield from _check_options(source, relay, content["relay"].content, engine)


def _check_options(
    source: Source, path: tuple[Step, ...], content: dict[str, Node], engine: Engine
) -> Iterator[Diagnostic]:
    """Report what the engine needs and is not given, and what it cannot honour."""
    for key in ADDRESSES[engine]:
        if key not in content:
            message = f"`{key}` is missing, which {engine} needs"
            fix = f"for example `{key}: shop.{{schema}}.{{table}}`"
            yield source.diagnose(Code.MISSING_KEY, message, *path, fix=fix)
        else:
            yield from _check_address(source, (*path, key), engine)
    others = {key for keys in ADDRESSES.values() for key in keys} - set(ADDRESSES[engine])
    others |= set() if engine == "rabbitmq" else {"exchange"}
    for key in (key for key in content if key in others):
        message = f"`{key}` is given, and {engine} has none"
        fix = f"{engine} has {', '.join(f'`{key}`' for key in ADDRESSES[engine]) or 'no address'}"
        yield source.diagnose(Code.RELAY, message, *path, key, key=True, fix=fix)
    if engine == "rabbitmq":
        yield from _check_exchange(source, (*path, "exchange"))
    yield from _check_format(source, path, content, engine)
    if _text(source, *path, "deduplicate") == "true" and engine not in DEDUPLICATING:
        message = f"`deduplicate` is given, and {engine} stores a message as often as it is sent"
        fix = "delete it, and let the reader drop ids that it knows"
        yield source.diagnose(Code.RELAY, message, *path, "deduplicate", key=True, fix=fix)


def _check_exchange(source: Source, path: tuple[Step, ...]) -> Iterator[Diagnostic]:
    exchange = _text(source, *path)
    if "{" in exchange or "}" in exchange:
        message, fix = "`exchange` is one name for all messages", "tell them apart by `routing_key`"
        yield source.diagnose(Code.TEMPLATE, message, *path, fix=fix)
    if (size := len(exchange.encode())) > LONGEST["rabbitmq"]:
        message, fix = f"an exchange of {size} bytes", f"RabbitMQ takes at most {LONGEST['rabbitmq']} bytes"
        yield source.diagnose(Code.BAD_NAME, message, *path, fix=fix)


_SETTINGS: dict[str, tuple[str, ...]] = {
    "source": ("cloudevents", "cloudevents_structured", "debezium"),
    "database": ("debezium",),
    "tombstone": ("debezium",),
}
"""By key: the formats that it is for."""


def _check_format(
    source: Source, path: tuple[Step, ...], content: dict[str, Node], engine: Engine
) -> Iterator[Diagnostic]:
    format = _text(source, *path, "format") or "changelane"
    if format == "cloudevents" and engine == "redis":
        message = "`cloudevents` needs headers, for which CloudEvents knows no binding to Redis"
        fix = "write cloudevents_structured"
        yield source.diagnose(Code.RELAY, message, *path, "format", fix=fix)
    for key, formats in _SETTINGS.items():
        if key in content and format not in formats:
            message = f"`{key}` is given, and the format {show(format)} has none"
            fix = f"delete it, or write `format: {formats[0]}`"
            yield source.diagnose(Code.RELAY, message, *path, key, key=True, fix=fix)
        elif key == "tombstone" and _text(source, *path, key) == "true" and engine != "kafka":
            message = f"`tombstone` is given, and {engine} has no records without a value"
            yield source.diagnose(Code.RELAY, message, *path, key, key=True, fix="delete it")


def _check_address(source: Source, path: tuple[Step, ...], engine: Engine) -> Iterator[Diagnostic]:
    text = _text(source, *path)
    if not text.strip():
        return
    try:
        parse_template(text, engine=engine)
    except TemplateError as error:
        end = text.find("}", error.at)
        length = end - error.at + 1 if text[error.at : error.at + 1] == "{" and end > 0 else 1
        message = f"`{path[-1]}` cannot be a template: {error}"
        within = (error.at, length)
        yield source.diagnose(Code.TEMPLATE, message, *path, within=within, fix=error.fix)


def _check_twice(source: Source) -> Iterator[Diagnostic]:
    """Report two relays of one route's queues that de-duplicate at one engine: it would drop one of two."""
    relays: dict[str, str] = {}
    for queue in _keys(source, "consumers"):
        relay = ("consumers", queue, "relay")
        to = _text(source, *relay, "to")
        if _text(source, *relay, "deduplicate") == "false":
            continue
        if any(source.find("destinations", to, engine) is not None for engine in DEDUPLICATING):
            relays[queue] = to
    routes = source.find("routes")
    for index in range(len(routes.content)) if routes and isinstance(routes.content, list) else ():
        seen: dict[str, str] = {}
        node = source.find("routes", index, "queues")
        queues = node.content if node and isinstance(node.content, list) else []
        for queue in (str(item.content) for item in queues):
            to = relays.get(queue, "")
            if to and to in seen:
                yield source.diagnose(
                    Code.RELAY,
                    f"{show(queue)} and {show(seen[to])} get the same changes of one route, with the same "
                    f"ids, and {show(to)} stores an id once: it would drop one of the two",
                    "consumers", queue, "relay",
                    fix="write `deduplicate: false` in one of them, or relay one queue only",
                )  # fmt: skip
            seen.setdefault(to, queue)


def _keys(source: Source, *path: Step) -> list[str]:
    node = source.find(*path)
    return list(node.content) if node is not None and isinstance(node.content, dict) else []


def _text(source: Source, *path: Step) -> str:
    node = source.find(*path)
    return str(node.content) if node is not None and isinstance(node.content, str) else ""


def _seconds(source: Source, *path: Step, default: str) -> float | None:
    try:
        return read_duration(_text(source, *path) if source.find(*path) else default)
    except PydanticCustomError:
        return None
