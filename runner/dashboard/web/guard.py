"""Checks before every page (host, token, forged requests, size, read-only), and the headers of every
response.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.web.guess_limit import GuessLimit
from changelane.runner.dashboard.web.proxies import Persons, Proxies
from changelane.runner.dashboard.web.sessions import LIFETIME, Sessions, Visit, read_cookie

BODY = 1_048_576
"""Bytes of a POST, at most."""

FIELDS = 2000
SECONDS = 15.0
"""Seconds for a POST to arrive."""

FORM = "application/x-www-form-urlencoded"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers would hide the Origin of forms, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Refusal(ChangelaneError):
    """A refused request, with the HTTP ``status`` of the response."""

    def __init__(self, status: int, what: str, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.status = status


Tell = Callable[[Request, Refusal], Response]
"""Makes the page of a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``hosts`` are the host names that a request may carry, None for any. ``origin`` is that of a proxy in
    front, as ``https://host``, or empty. ``proxies`` may report the visitor's address. ``cookie`` names the
    session's cookie. ``persons`` says by which header a proxy names the person.
    """

    hosts: frozenset[str] | None
    origin: str
    proxies: Proxies
    cookie: str
    read_only: bool
    persons: Persons


class Guard:
    """ASGI middleware around the whole site; puts a Visit into ``scope["visit"]``."""

    def __init__(
        self, app: ASGIApp, *, rules: Rules, sessions: Sessions, guesses: GuessLimit, tell: Tell
    ) -> None:
        self._app = app
        self._rules = rules
        self._sessions = sessions
        self._guesses = guesses
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        visit = self._identify(request)
        scope["visit"] = visit
        answer = self._dress(request, visit, send)
        try:
            self._check_host(request)
            if request.method not in ("GET", "HEAD", "POST"):
                raise Refusal(405, "only GET, HEAD and POST are answered")
            if not visit.user and not _is_open(request.url.path):
                status = await self._guesses.hold() if visit.program else 401
                await self._turn_away(request, status)(scope, receive, answer)
                return
            if request.method == "POST":
                scope["visit"] = visit = replace(visit, form=await _read_form(request))
                self._check_form(request, visit)
            await self._app(scope, receive, answer)
        except Refusal as refusal:
            await self._tell(request, refusal)(scope, receive, answer)

    def _identify(self, request: Request) -> Visit:
        sessions = self._sessions
        peer = request.client.host if request.client else "unknown"
        remote = self._rules.proxies.find_visitor(peer, request.headers.getlist("x-forwarded-for"))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        person = self._rules.persons.find_name(peer, request.headers)
        if sessions.guarded and scheme.lower() == "bearer":
            # The header was decoded as Latin-1, but clients send UTF-8.
            given = given.strip().encode("latin-1").decode(errors="replace")
            holder = sessions.admit(given)
            return Visit(
                user=holder is not None,
                program=True,
                session="",
                fresh=False,
                csrf="",
                who=f"{person}{holder.name if holder else 'nobody'}, by a program",
                remote=remote,
                reads_only=holder is not None and holder.right == "read",
            )
        cookie = read_cookie(request.headers.get("cookie", ""), self._rules.cookie)
        valid, holder = sessions.check(cookie)
        if not valid:
            cookie = sessions.issue()
        nobody = "nobody" if sessions.guarded else "local"
        return Visit(
            user=holder is not None or not sessions.guarded,
            program=False,
            session=cookie,
            fresh=not valid,
            csrf=sessions.protect(cookie),
            who=f"{person}{holder.name if holder else nobody}, session {sessions.name(cookie)}",
            remote=remote,
            reads_only=holder is not None and holder.right == "read",
        )

    def _check_host(self, request: Request) -> None:
        hosts = request.headers.getlist("host")
        name = _read_host(hosts[0]) if len(hosts) == 1 else ""
        if not name:
            raise Refusal(400, "the request names no host, or several")
        if self._rules.hosts is not None and name not in self._rules.hosts:
            # DNS rebinding: another site's name was pointed at this server, and the browser sends that name
            # as the host.
            raise Refusal(
                421,
                f"this dashboard is not reached as {hosts[0]!r}",
                fix="open it by the address that it printed; behind a proxy, start it with --url",
            )

    def _turn_away(self, request: Request, status: int) -> Response:
        if status == 401 and request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)
        refusal = Refusal(status, "this takes the token", fix="send `Authorization: Bearer TOKEN`, or log in")
        told = self._tell(request, refusal)
        told.headers["WWW-Authenticate"] = 'Bearer realm="changelane"'
        return told

    def _check_form(self, request: Request, visit: Visit) -> None:
        if self._rules.read_only and request.url.path not in ("/login", "/logout"):
            raise Refusal(
                403, "the dashboard runs with --read-only", fix="nothing was changed; restart it without"
            )
        if visit.user and visit.reads_only and request.url.path != "/logout":
            raise Refusal(
                403, "your token may read only", fix="nothing was changed; log in with one that may operate"
            )
        origin = request.headers.get("origin") or _read_origin(request.headers.get("referer", ""))
        known = {f"{request.url.scheme}://{request.headers['host']}", self._rules.origin} - {""}
        # No browser sends an Authorization header by itself, so the request is not forged. A foreign origin
        # is refused all the same.
        if origin not in known and (origin or not visit.program):
            raise Refusal(
                403,
                f"the form came from {origin!r}" if origin else "the request names no origin",
                fix="nothing was changed; --url names a proxy, and programs send the token as a header",
            )
        if not visit.program and (
            visit.fresh or not self._sessions.is_protected(visit.session, visit.get("csrf"))
        ):
            raise Refusal(
                403,
                "the form is not of this session",
                fix="nothing was changed; reload the page and try again: a restart ends all sessions",
            )

    def _dress(self, request: Request, visit: Visit, send: Send) -> Callable[[Message], Awaitable[None]]:
        """A ``send`` that adds the headers of every response, and the cookie of a new session."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if request.url.path.startswith("/static/"):
                    headers["Cache-Control"] = "no-cache"
                else:
                    headers["Cache-Control"] = "no-store"
                    if visit.fresh and "set-cookie" not in headers:
                        headers.append("Set-Cookie", make_cookie(self._rules, visit.session))
            await send(message)

        return dressed


def make_cookie(rules: Rules, session: str) -> str:
    """The header that sets the session's cookie in the browser."""
    secure = "; Secure" if rules.origin.startswith("https:") else ""
    return f"{rules.cookie}={session}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Strict{secure}"


def _is_open(path: str) -> bool:
    return path in ("/login", "/healthz") or path.startswith("/static/")


def _read_host(header: str) -> str:
    try:
        return (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


def _read_origin(referer: str) -> str:
    try:
        parts = urlsplit(referer)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


async def _read_form(request: Request) -> Mapping[str, list[str]]:
    too_large = Refusal(413, f"the form is larger than {BODY} bytes")
    headers = request.headers
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY:
                    raise too_large
    except TimeoutError:
        raise Refusal(408, f"the form did not arrive within {SECONDS:g} seconds") from None
    if body and headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refusal(415, f"a form is sent as {FORM}")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FIELDS, errors="strict")
    except ValueError:
        raise Refusal(400, "the form cannot be read") from None
