"""Opens a connection to the database, chosen by option or environment, and describes it without its
password.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from changelane.contract.sql_text import load_sql
from changelane.errors import DatabaseError
from changelane.runner.live import pgmq
from changelane.runner.live.moment import register_time_loaders
from changelane.runner.live.pinned import PinnedConnection

CONNECT_TIMEOUT = 10
"""Seconds, if neither the conninfo nor PGCONNECT_TIMEOUT sets it."""

KEEPALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Defaults that detect a dead host within a minute: seconds, probes, and the milliseconds for which sent data
may stay unacknowledged.
"""

PINNED = {
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
}
"""Settings of every connection, whatever server, database, role or environment set. The server reports each
of them when a session starts (https://www.postgresql.org/docs/current/protocol-flow.html).
"""

_PIN = load_sql(__name__, "pin")


def resolve(database_url: str | None) -> str:
    """The conninfo to use. In this order: the one given; DATABASE_URL; an empty string, with which libpq
    reads its PG* variables, if PGHOST or PGSERVICE is set; the local server, started on demand.

    Raises ServerError when the local server cannot be started.
    """
    given = database_url or os.environ.get("DATABASE_URL")
    if given:
        return given
    if os.environ.get("PGHOST") or os.environ.get("PGSERVICE"):
        return ""
    return start_local()


def start_local() -> str:
    """Start the server of the current directory unless it runs, and install pgmq in it; returns its URL."""
    from changelane.runner.local import server

    url = server.start(Path.cwd() / server.FOLDER)
    with connect(url, kind=PinnedConnection) as conn:
        pgmq.install(conn)
    return url


def connect(
    conninfo: str,
    *,
    autocommit: bool = True,
    application_name: str = "changelane",
    kind: type[Connection[TupleRow]] = Connection,
) -> Connection[TupleRow]:
    """Connect with the PINNED settings. Raises DatabaseError with one line that says why.

    ``application_name`` applies unless the conninfo or PGAPPNAME names another. ``kind`` is the class of the
    connection: PinnedConnection for our own statements, Connection for a user's, which resolve names by the
    role's search_path. Any pooler works: one that refuses settings in the startup packet gets them
    afterwards.
    """
    try:
        pinned, plain = _complete(conninfo, application_name)
        try:
            conn = kind.connect(pinned, autocommit=True)
        except psycopg.OperationalError as error:
            if not _refuses_options(error):
                raise
            conn = kind.connect(plain, autocommit=True)
        try:
            _check_encoding(conn)
            names = _find_unpinned(conn)
            if names:
                conn.execute(_PIN, [names, [PINNED[name] for name in names]], prepare=False)
            if isinstance(conn, PinnedConnection):
                conn.pin()
            if kind in (Connection, PinnedConnection):
                # Not on a connection that is lent to a handler, which expects psycopg's own values for times.
                register_time_loaders(conn)
            conn.autocommit = autocommit
        except BaseException:
            conn.close()
            raise
    except psycopg.Error as error:
        raise _explain_failure(error, conninfo) from None
    return conn


async def connect_async(
    conninfo: str, *, application_name: str, kind: type[AsyncConnection[TupleRow]] = AsyncConnection
) -> AsyncConnection[TupleRow]:
    """As ``connect``, for an async connection in autocommit."""
    try:
        pinned, plain = _complete(conninfo, application_name)
        try:
            conn = await kind.connect(pinned, autocommit=True)
        except psycopg.OperationalError as error:
            if not _refuses_options(error):
                raise
            conn = await kind.connect(plain, autocommit=True)
        try:
            _check_encoding(conn)
            names = _find_unpinned(conn)
            if names:
                await conn.execute(_PIN, [names, [PINNED[name] for name in names]], prepare=False)
        except BaseException:
            await conn.close()
            raise
    except psycopg.Error as error:
        raise _explain_failure(error, conninfo) from None
    return conn


def _complete(conninfo: str, application_name: str) -> tuple[str, str]:
    """The conninfo with its defaults filled in: once with PINNED in the startup packet, once without."""
    parameters = conninfo_to_dict(conninfo)
    if "PGCONNECT_TIMEOUT" not in os.environ:
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT)
    parameters.setdefault("fallback_application_name", application_name)
    for name, value in KEEPALIVE.items():
        parameters.setdefault(name, value)
    parameters["client_encoding"] = PINNED["client_encoding"]
    plain = make_conninfo("", **parameters)
    if "service" in parameters or "PGSERVICE" in os.environ:
        # The service may have ``options``, which options given here would replace.
        return plain, plain
    given = str(parameters.get("options") or os.environ.get("PGOPTIONS", ""))
    settings = [f"-c {name}={value.replace(' ', '')}" for name, value in PINNED.items()]
    return make_conninfo(plain, options=" ".join([given, *settings]).strip()), plain


def _refuses_options(error: psycopg.OperationalError) -> bool:
    """Whether a pooler refuses settings in the startup packet: PgBouncer before 1.20, RDS Proxy."""
    return "startup parameter" in str(error) or "command-line options" in str(error)


def _find_unpinned(conn: Connection[Any] | AsyncConnection[Any]) -> list[str]:
    """The settings that differ from PINNED, as the server or a pooler reported them."""
    return [name for name, value in PINNED.items() if conn.info.parameter_status(name) != value]


def _check_encoding(conn: Connection[Any] | AsyncConnection[Any]) -> None:
    if conn.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise DatabaseError(
            f"database {conn.info.dbname} has the encoding SQL_ASCII, in which nobody knows what text means",
            fix="dump it, make one by `createdb --encoding UTF8 --template template0`, and restore into it",
        )


def _explain_failure(error: psycopg.Error, conninfo: str) -> DatabaseError:
    if isinstance(error, psycopg.ProgrammingError):
        return DatabaseError(
            f"{redact(conninfo)!r} is not a database URL: {_explain(error, conninfo)}",
            fix="write postgresql://USER@HOST:PORT/DATABASE, with special characters percent-encoded "
            "(@ is %40, / is %2F, % is %25), or libpq's keyword=value pairs",
        )
    return DatabaseError(
        f"cannot connect to {redact(conninfo) or 'the database of the PG* variables'}: "
        f"{_explain(error, conninfo)}",
        fix="check --database-url, DATABASE_URL or PG*; the host must accept connections",
    )


_PRIVATE = r"(?:ssl)?password|oauth_client_secret|scram_client_key|scram_server_key"
_HOST = r"(?:\[[^\]/?@]*\]|[^\[\]:/?@,]*)(?::\d*)?"
_HOSTS = rf"{_HOST}(?:,{_HOST})*"
_OPEN_URL = re.compile(rf"(?:[^:/?@]*@)?{_HOSTS}(?:[/?].*)?", re.DOTALL)
_SECRET_URLS = (
    re.compile(rf"([^:/?@]*:)([^/@]*)(@{_HOSTS}(?:[/?].*)?)", re.DOTALL),
    # The conninfo is malformed, for example by an unencoded @ or /. Hide too much rather than too little.
    re.compile(r"([^:]*:)(.*)(@[^@]*)", re.DOTALL),
)
_SECRET_QUERY = re.compile(rf"([?&](?:{_PRIVATE})=)([^&]*)()", re.IGNORECASE)
_SECRET_PAIR = re.compile(
    rf"(\b(?:{_PRIVATE})\s*=\s*)('(?:\\.|[^'\\])*'?|(?:\\.|[^\s\\])*)()", re.IGNORECASE | re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BARE_URL = re.compile(r"[^\s=]*:\S*@")


def redact(conninfo: str) -> str:
    """The conninfo, URL or keyword=value pairs, well-formed or not, with every secret replaced by ``***``."""
    return _hide(conninfo)[0]


def _hide(conninfo: str) -> tuple[str, list[str]]:
    """The redacted conninfo, and the secrets in it as they were written."""
    secrets: list[str] = []

    def hide(match: re.Match[str]) -> str:
        secrets.append(match[2])
        return f"{match[1]}***{match[3]}"

    scheme = _SCHEME.match(conninfo)
    if scheme is None and not _BARE_URL.match(conninfo):
        return _SECRET_PAIR.sub(hide, conninfo), secrets
    start = scheme.end() if scheme else 0
    rest = conninfo[start:]
    if not _OPEN_URL.fullmatch(rest):
        for pattern in _SECRET_URLS:
            match = pattern.fullmatch(rest)
            if match:
                rest = hide(match)
                break
    return conninfo[:start] + _SECRET_QUERY.sub(hide, rest), secrets


def _explain(error: psycopg.Error, conninfo: str) -> str:
    """libpq's reason in one line, without any part of a secret that it may quote."""
    scheme = _SCHEME.match(conninfo)
    if scheme and scheme[0].lower() not in ("postgresql://", "postgres://"):
        return f"the scheme {scheme[0]} is not postgresql://"
    redacted, secrets = _hide(conninfo)
    message = str(error).replace(conninfo, redacted) if conninfo else str(error)
    # libpq never quotes the password that it parsed, only parts of one that it mistook for another field.
    understood = _values(conninfo)
    lost = [secret for secret in secrets if not {unquote(secret), secret.strip("'")} & understood]
    for secret in filter(None, lost):
        message = message.replace(secret, "***")
    pieces = "\n".join(text for secret in lost for text in (secret, unquote(secret)))
    message = re.sub(r'"([^"]+)"', lambda match: '"***"' if match[1] in pieces else match[0], message)
    return " ".join(message.split())


def _values(conninfo: str) -> set[str]:
    try:
        return {str(value) for value in conninfo_to_dict(conninfo).values()}
    except psycopg.ProgrammingError:
        return set()
