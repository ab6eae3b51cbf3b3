"""``changelane dashboard``"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from changelane.cli import Settings
from changelane.commands.where import resolve_where
from changelane.contract.statement import Statement
from changelane.errors import ChangelaneError
from changelane.runner.live.database import resolve

if TYPE_CHECKING:
    from changelane.runner.operate.backfill import Source


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="0 takes any free one."
)
@click.option(
    "--token",
    envvar="CHANGELANE_DASHBOARD_TOKEN",
    metavar="TOKEN",
    help="The login token, at least 16 characters; required beyond loopback. Prefer the variable "
    "CHANGELANE_DASHBOARD_TOKEN: an option shows in `ps`.",
)
@click.option(
    "--no-token",
    is_flag=True,
    help="Ask for no token: every account of this machine gets in. Loopback only; not recommended.",
)
@click.option(
    "--tokens",
    "tokens_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file with a line for each person or program: NAME, `read` or `operate`, TOKEN. For its owner "
    "alone (chmod 600); read again when it changes.",
)
@click.option("--read-only", is_flag=True, help="Refuse every change, also by read-only connections.")
@click.option(
    "--url",
    default="",
    metavar="URL",
    help="The public URL behind a proxy, such as https://dashboard.example.com; needs a token.",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Address or network of a proxy whose X-Forwarded-For is trusted; repeatable.",
)
@click.option(
    "--trust-header",
    "persons",
    default="",
    metavar="NAME",
    help="The header in which a proxy names the person, such as X-Forwarded-User, for the audit log; taken "
    "from loopback and --proxy alone.",
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    host: str,
    port: int,
    token: str | None,
    tokens_file: Path | None,
    no_token: bool,
    read_only: bool,
    url: str,
    proxies: Sequence[str],
    persons: str,
) -> int:
    """Serve the web page: the flow with its rates, queues and messages, dead letters, routes, doctor.

    Runs until SIGTERM (exits 0) or SIGINT (exits 130). Without a token it prints an address that lets one
    browser in, once. On an address other than loopback it refuses to start without a token. Users act with
    the rights of the database's role. Every change is written to the table changelane.audit.
    """
    from changelane.runner.dashboard.server import Options, serve
    from changelane.runner.dashboard.web.context import Spec
    from changelane.runner.dashboard.web.proxies import read_proxies

    # The login strips blanks around the token, so do the same here.
    if token is not None and not (token := token.strip()):
        raise ChangelaneError(
            "the token is empty: not started", fix="give a long random text, or no token on loopback"
        )
    if no_token and (token is not None or tokens_file):
        raise ChangelaneError(
            "--no-token contradicts the token that was given: not started",
            fix="leave out --no-token, or --token, --tokens and CHANGELANE_DASHBOARD_TOKEN",
        )
    invites = token is None and tokens_file is None and not no_token
    options = Options(
        host=host,
        port=port,
        token=secrets.token_urlsafe(32) if invites else token,
        invites=invites,
        read_only=read_only,
        url=url.rstrip("/"),
        proxies=read_proxies(proxies),
        tokens_file=tokens_file,
        persons=persons,
    )
    return serve(
        options,
        conninfo=resolve(settings.database_url),
        out=settings.out,
        path=settings.file,
        spec=Spec(
            split=split,
            resolve=lambda text: resolve_where(text, out=settings.out, shown=text),
            describe=lambda route: describe_route(settings.file, route),
            prepare=lambda route, table: prepare_rows(settings, route=route, table=table),
        ),
    )


def split(text: str) -> Sequence[Statement]:
    """Split SQL into statements that a rollback undoes; raises ChangelaneError."""
    from changelane.generator.sql.script import split_script

    return split_script(text)


def describe_route(path: Path, name: str) -> list[tuple[str, str]]:
    """What the spec says of a route: titles and texts, without what is left at its default. Empty for a route
    that it does not have. Raises ChangelaneError.
    """
    from changelane.generator.spec.loading import read_spec

    route = next((route for route in read_spec(path).spec.routes if route.name == name), None)
    if route is None:
        return []
    payload = route.payload
    columns = payload.columns
    if columns is None:
        sent = f"all but {', '.join(payload.exclude)}" if payload.exclude else "all"
    else:
        sent = ", ".join(columns) if columns else "those of the catalog, as reviewed"
    old = {"full": "", "changed": "only what differs", "none": "not sent"}[payload.old]
    largest = f"{payload.max_bytes:,} bytes; of a larger row, its key alone" if payload.max_bytes else ""
    said = [
        ("Condition", route.when or ""),
        ("Counts only changes of", ", ".join(route.update_of)),
        ("Columns", sent),
        ("Row before the change", old),
        ("Masks", ", ".join(f"{column}: {mask}" for column, mask in payload.mask.items())),
        ("Further values", ", ".join(f"{extra} = {text}" for extra, text in payload.extra.items())),
        ("Key", ", ".join(route.key) or "the primary key"),
        ("Delay", f"{route.delay:g} s" if route.delay else ""),
        ("Largest message", largest),
    ]
    return [(title, text) for title, text in said if text]


def prepare_rows(settings: Settings, *, route: str, table: str) -> Source:
    """The rows of a route's table, ready to be sent. Raises ChangelaneError."""
    from changelane.commands.backfill import list_sources

    (source,), _ = list_sources(settings, route=route, table=table, where=None)
    return source
