"""The local server: the Postgres of one folder, started on demand, reached through a Unix socket only.

The folder holds ``data`` (the cluster), ``server.log`` and ``lock``. If the server runs as another account
than the caller's, ``data`` is a link into a private folder under /var/tmp. Only ``remove`` deletes that
folder. A server whose folder is deleted ends by itself within a minute.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from changelane.errors import ServerError
from changelane.runner.local import postmaster
from changelane.runner.local.account import find_nobody
from changelane.runner.local.binaries import find_binary
from changelane.runner.local.folders import PORT, ServerFolders, find_base, is_private, prepare
from changelane.runner.local.postmaster import Postmaster

__all__ = ["FOLDER", "find", "find_binary", "remove", "start", "stop"]

FOLDER = ".changelane"
"""Beside the spec, in the current directory."""

START_SECONDS = 60.0
SETTINGS = {"max_connections": "200", "shared_buffers": "128MB"}


def start(root: Path, *, settings: Mapping[str, str] | None = None) -> str:
    """Start the server of ``root`` unless it runs, and return its URL once it accepts connections.

    ``settings`` are additional ``postgresql.conf`` parameters for this start. Raises ServerError.
    """
    root = _absolute(root)
    with _locked(root, create=True) as lock:
        running = postmaster.find(root / "data")
        if running and running.ready and not _is_reachable(running):
            postmaster.end(root / "data")
            running = None
        if running is None or not running.ready:
            place = prepare(root)
            chosen = {**SETTINGS, **(settings or {})}
            if not (root / "data").exists():
                _initialise(root, place, lock, chosen)
            elif place.account.is_other and not (root / "data").is_symlink():
                # An older version started this server, with root's rights on files.
                _settle(root, place, root / "data")
            running = _launch(root, place, chosen)
        return _url(running.socket)


def find(root: Path) -> str | None:
    """The URL of the server of ``root``, or None if it does not accept connections."""
    running = postmaster.find(_absolute(root) / "data")
    return _url(running.socket) if running and running.ready and _is_reachable(running) else None


def stop(root: Path) -> bool:
    """Stop the server of ``root``, and return when its process is gone; False if none ran.

    Raises ServerError when it does not end.
    """
    root = _absolute(root)
    if not root.is_dir():
        return False
    with _locked(root, create=False):
        running = postmaster.find(root / "data")
        if running is None:
            return False
        if not postmaster.end(root / "data"):
            raise ServerError(
                f"the server of {root} (process {running.pid}) does not end", fix=f"kill -9 {running.pid}"
            )
        if is_private(running.socket):
            with contextlib.suppress(OSError):
                running.socket.rmdir()
        return True


def remove(root: Path) -> None:
    """Stop the server of ``root``, and delete the folder and the server's folders elsewhere.

    Raises ServerError when the server does not end.
    """
    root = _absolute(root)
    stop(root)
    for folder in (find_base(root)[1], root):
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(root: Path, *, create: bool) -> Iterator[int]:
    """Lock the folder against every other start and stop; yields the lock's file descriptor."""
    try:
        if create:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if create and root.stat().st_uid != os.geteuid():
            raise ServerError(
                f"{root} belongs to another user", fix="run as its owner, or from another folder"
            )
        if create:
            with contextlib.suppress(FileExistsError):
                ignore = os.open(root / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                with open(ignore, "w") as file:
                    file.write("*\n")
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ServerError(
            f"cannot write {root}: {error.strerror}",
            fix="run as its owner, or from another folder",
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _initialise(root: Path, place: ServerFolders, lock: int, settings: Mapping[str, str]) -> None:
    """Make the cluster in a temporary folder, then rename it, so that a killed start leaves no half-made
    cluster.
    """
    maker = find_nobody() if place.account.is_other else place.account
    workshop = place.data.parent.with_name("new") if place.account.is_other else place.data.parent
    partial = workshop / "data.new"
    shutil.rmtree(partial, ignore_errors=True)
    workshop.mkdir(mode=0o700, exist_ok=True)
    if maker.is_other:
        maker.own(workshop)
    command: list[str | Path] = [
        place.binaries / "initdb", "--pgdata", partial, "--username=postgres", "--auth=trust",
        "--encoding=UTF8", "--locale=C",
    ]  # fmt: skip
    if _major(place.binaries) >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if settings.get("fsync") == "off":
        command += ["--no-sync"]
    log = root / "server.log"
    with _append(log) as output:
        begin = output.tell()
        # initdb inherits the lock: if this process is killed, the next start waits until initdb has ended.
        process = maker.spawn(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=(lock,)
        )
        if process.wait() != 0:
            raise _failure("the local server's database could not be initialised", log, begin)
    if not place.account.is_other:
        partial.rename(place.data)
        return
    (root / "data").unlink(missing_ok=True)
    _settle(root, place, partial)
    workshop.rmdir()


def _settle(root: Path, place: ServerFolders, cluster: Path) -> None:
    """Move a stopped cluster to the folder of the server's account, and link it from ``root``."""
    # A server whose own folder was deleted may have left its data here.
    postmaster.end(place.data)
    shutil.rmtree(place.data, ignore_errors=True)
    moved = place.data.with_name("data.moved")
    shutil.rmtree(moved, ignore_errors=True)
    shutil.move(cluster, moved)
    place.account.own(moved)
    moved.rename(place.data)
    (root / "data").symlink_to(place.data)


def _append(log: Path) -> BinaryIO:
    """Open the log for appending. Raises OSError if a link is in its place."""
    return open(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "ab")


def _major(folder: Path) -> int:
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\) (\d+)", answer.stdout)
    return int(found[1]) if found else 0


def _launch(root: Path, place: ServerFolders, settings: Mapping[str, str]) -> Postmaster:
    """Start the postmaster, detached, and wait until it is ready."""
    # The setting is a list of quoted identifiers.
    socket = str(place.socket).replace('"', '""')
    own = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": f'"{socket}"',
        # The server's account and root may connect; root can reach every socket.
        "unix_socket_permissions": "0700",
    }
    command: list[str | Path] = [place.binaries / "postgres", "-D", place.data]
    for name, value in {**settings, **own}.items():
        command += ["-c", f"{name}={value}"]
    log = root / "server.log"
    process = None
    deadline = time.monotonic() + START_SECONDS
    with _append(log) as output:
        begin = output.tell()
        while time.monotonic() < deadline:
            found = postmaster.find(place.data)
            if found and found.ready:
                if process:
                    # The postmaster outlives this process, and another process may stop it.
                    process.returncode = 0
                return found
            if found is None and (process is None or process.poll() is not None):
                # The backends of a killed postmaster end a moment later, and hold its shared memory until
                # then.
                if process and b"pre-existing shared memory block" not in _since(log, begin):
                    raise _failure("the local server did not start", log, begin)
                postmaster.clear(place.data, place.socket)
                begin = output.seek(0, os.SEEK_END)
                process = place.account.spawn(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            time.sleep(0.02)
    raise _failure(f"the local server was not ready within {START_SECONDS:.0f} s", log, begin)


def _since(log: Path, begin: int) -> bytes:
    return log.read_bytes()[begin:]


def _failure(what: str, log: Path, begin: int) -> ServerError:
    lines = _since(log, begin).decode(errors="replace").splitlines()[-8:]
    return ServerError(
        "\n    ".join([f"{what}; the end of {log}:", *lines]),
        fix=f"fix what the log says; or, to begin with an empty database, remove {log.parent}",
    )


def _is_reachable(running: Postmaster) -> bool:
    """False if the folder was moved since, or a cleaner of /tmp deleted the socket."""
    return (running.socket / f".s.PGSQL.{PORT}").exists()


def _url(socket: Path) -> str:
    # Without a port, libpq would use PGPORT.
    return f"postgresql://postgres@/postgres?host={quote(os.fsencode(socket))}&port={PORT}"


def _absolute(root: Path) -> Path:
    return Path(root).resolve()
