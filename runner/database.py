"""A connection to the database: which one, opened how, and said without its password."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from changelane.errors import DatabaseError
from changelane.runner import pgmq
from changelane.runner.local import server

CONNECT_TIMEOUT = 10
"""Seconds, where neither the conninfo nor PGCONNECT_TIMEOUT says."""


def resolve(database_url: str | None) -> str:
    """The conninfo to use: the one given, else DATABASE_URL, else the empty string, by which libpq reads its
    PG* variables, if PGHOST or PGSERVICE is set, else that of the local server, started on demand.

    Raises ServerError when the local server cannot be started.
    """
    given = database_url or os.environ.get("DATABASE_URL")
    if given:
        return given
    if os.environ.get("PGHOST") or os.environ.get("PGSERVICE"):
        return ""
    return start_local()


def start_local() -> str:
    """Start the server of the current directory unless it runs, with pgmq in it; returns its URL."""
    url = server.start(Path.cwd() / server.FOLDER)
    with connect(url) as conn:
        pgmq.install(conn)
    return url


def connect(
    conninfo: str, *, autocommit: bool = True, application_name: str = "changelane"
) -> psycopg.Connection[TupleRow]:
    """Connect, or raise DatabaseError with one line that says why.

    ``application_name`` holds unless the conninfo or PGAPPNAME names another. Nothing is sent but the startup
    packet, so any pooler will do.
    """
    try:
        parameters = conninfo_to_dict(conninfo)
        if "connect_timeout" not in parameters and "PGCONNECT_TIMEOUT" not in os.environ:
            parameters["connect_timeout"] = CONNECT_TIMEOUT
        parameters.setdefault("fallback_application_name", application_name)
        return psycopg.connect(make_conninfo("", **parameters), autocommit=autocommit)
    except psycopg.ProgrammingError as error:
        raise DatabaseError(
            f"{redact(conninfo)!r} is not a database URL: {_explain(error, conninfo)}",
            help="write postgresql://USER@HOST:PORT/DATABASE, with special characters percent-encoded "
            "(@ is %40, / is %2F, % is %25), or libpq's keyword=value pairs",
        ) from None
    except psycopg.Error as error:
        raise DatabaseError(
            f"cannot connect to {redact(conninfo) or 'the database of the PG* variables'}: "
            f"{_explain(error, conninfo)}",
            help="check --database-url, DATABASE_URL or PG*; the host must accept connections",
        ) from None


def is_pooled(conn: psycopg.Connection[Any]) -> bool:
    """Whether a pooler is between: it tells clients process numbers of its own, to route cancel requests."""
    row = conn.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    return row is not None and row[0] != conn.info.backend_pid


_PRIVATE = r"(?:ssl)?password|oauth_client_secret|scram_client_key|scram_server_key"
_HOST = r"(?:\[[^\]/?@]*\]|[^\[\]:/?@,]*)(?::\d*)?"
_HOSTS = rf"{_HOST}(?:,{_HOST})*"
_OPEN_URL = re.compile(rf"(?:[^:/?@]*@)?{_HOSTS}(?:[/?].*)?", re.DOTALL)
_SECRET_URLS = (
    re.compile(rf"([^:/?@]*:)([^/@]*)(@{_HOSTS}(?:[/?].*)?)", re.DOTALL),
    # Malformed, as by an unencoded @ or /: hide too much rather than too little.
    re.compile(r"([^:]*:)(.*)(@[^@]*)", re.DOTALL),
)
_SECRET_QUERY = re.compile(rf"([?&](?:{_PRIVATE})=)([^&]*)()", re.IGNORECASE)
_SECRET_PAIR = re.compile(
    rf"(\b(?:{_PRIVATE})\s*=\s*)('(?:\\.|[^'\\])*'?|(?:\\.|[^\s\\])*)()", re.IGNORECASE | re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BARE_URL = re.compile(r"[^\s=]*:\S*@")


def redact(conninfo: str) -> str:
    """The conninfo, URL or keyword=value pairs, well-formed or not, with every secret in it as ``***``."""
    return _hide(conninfo)[0]


def _hide(conninfo: str) -> tuple[str, list[str]]:
    """The redacted conninfo, and the secrets found in it as they stood there."""
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
    # libpq never quotes what it took for the password, only pieces of one that it took for something else.
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
