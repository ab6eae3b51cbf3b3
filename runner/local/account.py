"""The account that runs the local server. Postgres refuses to run as root, so root uses another account
without rights.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changelane.errors import ServerError

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""The whole environment of the server's programs: neither locale nor PG* variables of the caller
reach them.
"""


Command = list[str | Path]


FIRST, COUNT = 61184, 4336
"""User numbers that systemd reserves for temporary accounts (DynamicUser: 61184 to 65519)."""


@dataclass(frozen=True, slots=True)
class Account:
    """``uid`` and ``gid`` are None for the caller's own account."""

    uid: int | None = None
    gid: int | None = None

    @property
    def is_other(self) -> bool:
        """Whether this is another account than the caller's. Such an account may not reach the caller's
        folders.
        """
        return self.uid is not None

    def spawn(self, command: Command, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command as this account, in the clean environment."""
        if self.is_other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": ()}
        return subprocess.Popen(command, env=ENVIRONMENT, cwd="/", **options)  # noqa: S603

    def own(self, path: Path) -> None:
        """Give this account a file, or a folder with all that is in it. Links are not followed."""
        if self.is_other:
            for place in (path, *path.rglob("*")):
                os.chown(place, self.uid or 0, self.gid or 0, follow_symlinks=False)


def choose(seed: int) -> Account:
    """The caller's own account; for root, an unused account number derived from ``seed``.

    The number needs no entry in /etc/passwd: the kernel accepts it for files and processes.
    """
    if os.geteuid() != 0:
        return Account()
    number = next(number for step in range(COUNT) if _is_free(number := FIRST + (seed + step) % COUNT))
    return Account(uid=number, gid=number)


def find_nobody() -> Account:
    """The account ``nobody``, which makes the cluster: initdb needs an account with a name. Raises
    ServerError.
    """
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerError(
            "Postgres does not run as root, and no account is called nobody",
            fix="run as another user, or use another server with --database-url or DATABASE_URL",
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def can_run(account: Account, program: Path) -> bool:
    """Whether the account can reach and start a program."""
    try:
        process = account.spawn(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    return process.wait() == 0


def _is_free(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        try:
            grp.getgrgid(number)
        except KeyError:
            return True
    return False
