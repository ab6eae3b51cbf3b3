"""``changelane dashboard``"""

from __future__ import annotations

from collections.abc import Sequence

import click

from changelane.cli import Settings
from changelane.errors import ChangelaneError
from changelane.runner.database import resolve


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="0 takes any free one."
)
@click.option(
    "--token",
    envvar="CHANGELANE_DASHBOARD_TOKEN",
    metavar="TOKEN",
    help="What lets in; needed off loopback. Prefer CHANGELANE_DASHBOARD_TOKEN: an option shows in `ps`.",
)
@click.option("--read-only", is_flag=True, help="Change nothing; connections are read-only, too.")
@click.option(
    "--url",
    default="",
    metavar="URL",
    help="Where people reach it through a proxy, as https://dashboard.example.com; needs a token.",
)
@click.pass_obj
def command(settings: Settings, *, host: str, port: int, token: str | None, read_only: bool, url: str) -> int:
    """Serve the web page: the flow with its rates, queues and messages, dead letters, routes, doctor.

    Runs until SIGTERM (exits 0) or SIGINT (exits 130). On loopback whoever uses this machine may use it, with
    the rights of the database's role; on other addresses it refuses to start without a token. Every change is
    written to the table changelane.audit.
    """
    from changelane.runner.dashboard.server import Options, serve

    # What is typed or pasted at the login loses its blanks, too.
    if token is not None and not (token := token.strip()):
        raise ChangelaneError(
            "the token is empty: not started", help="give a long random text, or no token on loopback"
        )
    options = Options(host=host, port=port, token=token, read_only=read_only, url=url.rstrip("/"))
    return serve(
        options,
        conninfo=resolve(settings.database_url),
        out=settings.out,
        spec=settings.file,
        split=split,
    )


def split(text: str) -> Sequence[str]:
    """SQL as statements that a rollback undoes; raises ChangelaneError."""
    from changelane.generator.script import split_script

    return split_script(text)
