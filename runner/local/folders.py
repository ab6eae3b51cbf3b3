"""The folders of a local server, by paths that its account can reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from changelane.errors import ServerError
from changelane.runner.local import account, binaries
from changelane.runner.local.account import Account

PORT = 5432
"""Part of the socket's name; the server listens on no TCP port."""

# The limit of sun_path on the strictest system, less the socket's own name and a NUL.
_SOCKET_BYTES = 104 - len(f"/.s.PGSQL.{PORT}") - 1
_PRIVATE = "changelane-"


@dataclass(frozen=True, slots=True)
class ServerFolders:
    """``binaries``, ``data`` and ``socket`` are folders; all but ``data`` exist."""

    account: Account
    binaries: Path
    data: Path
    socket: Path


def prepare(root: Path) -> ServerFolders:
    """The place of the server of ``root``, an existing folder. Creates the folders of the server as needed.

    If the server runs as another account, data and socket are in a private folder under /var/tmp. Then
    ``root/data`` is a link to the data. Raises ServerError.
    """
    folder = binaries.find_folder()
    who = account.choose(int(_digest(root), 16))
    if not who.is_other:
        return ServerFolders(who, folder, root / "data", _make_socket(root))
    _, base = find_base(root)
    _claim(base, mode=0o711)
    (base / "root").write_bytes(os.fsencode(root))
    home = base / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    # The files may belong to an account that somebody else has now, or to the account of an older version.
    if home.stat().st_uid != who.uid:
        try:
            who.own(home)
        except OSError:
            # The container maps too few user numbers for this account.
            who = account.find_nobody()
            who.own(home)
    if not account.can_run(who, folder / "postgres"):
        folder = binaries.copy_tree(folder, base / "postgres")
    return ServerFolders(who, folder, home / "data", home)


def find_base(root: Path) -> tuple[bool, Path]:
    """The folder under /var/tmp for files of another account than the caller's, and whether it holds the data
    of ``root``.
    """
    data = root / "data"
    if data.is_symlink() and (base := Path(os.readlink(data)).parents[1]).name.startswith(_PRIVATE):
        return True, base
    return False, _name(Path("/var/tmp"), root)  # noqa: S108


def find_leftovers() -> list[Path]:
    """Folders under /var/tmp that belong to servers of this user whose own folders were deleted or moved."""
    left = []
    for base in sorted(_name(Path("/var/tmp"), Path()).parent.glob(f"{_PRIVATE}{os.geteuid()}-*")):  # noqa: S108
        with contextlib.suppress(OSError):
            root = Path(os.fsdecode((base / "root").read_bytes()))
            if base.stat().st_uid == os.geteuid() and not root.exists():
                left.append(base)
    return left


def is_private(socket: Path) -> bool:
    """Whether the socket's folder was made under /tmp for this server alone."""
    return socket.name.startswith(_PRIVATE)


def _make_socket(root: Path) -> Path:
    socket = root / "socket"
    if _fits(socket):
        socket.mkdir(mode=0o700, exist_ok=True)
    else:
        socket = _name(Path("/tmp"), root)  # noqa: S108
        _claim(socket, mode=0o700)
    return socket


def _fits(socket: Path) -> bool:
    """Whether the path of a socket there is short enough, and libpq reads it as a single host."""
    name = os.fsencode(socket)
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return len(name) <= _SOCKET_BYTES and b"," not in name


def _digest(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:12]


def _name(parent: Path, root: Path) -> Path:
    """The name of a folder for ``root`` in a world-writable ``parent``: the same at each call, different for
    each user.
    """
    return parent.resolve() / f"{_PRIVATE}{os.geteuid()}-{_digest(root)}"


def _claim(path: Path, *, mode: int) -> None:
    """Make the folder, or check that an existing one is ours: another user may have made it first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o066:
        raise ServerError(f"{path} is not a private folder of this user", fix=f"remove {path}")
    path.chmod(mode)
