"""As whom the local server runs. Postgres refuses root, so root lends it a name that has no rights."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from changelane.errors import ServerError

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that the server's programs see: neither locale nor PG* variables of the caller reach them."""


Command = list[str | Path]


@dataclass(frozen=True, slots=True)
class Account:
    """``prefix`` goes before every command. ``uid`` and ``gid`` None: the caller's own."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    @property
    def is_other(self) -> bool:
        """Whether it is another account than the caller's, which may not reach the caller's folders."""
        return self.uid is not None

    def spawn(self, command: Command, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command as this account, in the clean environment."""
        if self.is_other:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": ()}
        return subprocess.Popen([*self.prefix, *command], env=ENVIRONMENT, cwd="/", **options)  # noqa: S603


def choose(folder: Path, binaries: Path) -> Account:
    """The account for a server whose data are in ``folder``: the caller's own, unless that is root.

    Root in a user namespace of its own is nobody special to Postgres, yet owns its files. Where the system
    allows no such namespace (or CHANGELANE_NO_USERNS is set), or root itself may not write the folder there,
    it is the account ``nobody``.
    """
    if os.geteuid() != 0:
        return Account()
    unshare = shutil.which("unshare")
    if unshare and not os.environ.get("CHANGELANE_NO_USERNS"):
        own = Account(prefix=(unshare, "--user", "--map-user=1000"))
        probe: Command = ["sh", "-c", 'test -w "$1" && "$2" --version', "sh", folder, binaries / "postgres"]
        if _runs(own, probe):
            return own
    return find_nobody()


def find_nobody() -> Account:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServerError(
            "Postgres does not run as root, user namespaces are not permitted, and no account is nobody",
            help="run as another user, or use another server with --database-url or DATABASE_URL",
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def can_run(account: Account, program: Path) -> bool:
    return _runs(account, [program, "--version"])


def _runs(account: Account, command: Command) -> bool:
    try:
        process = account.spawn(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    return process.wait() == 0
