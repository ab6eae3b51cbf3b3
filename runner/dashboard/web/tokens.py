"""Who may log in: one token, or several with names and rights, from a file that is read again when it
changes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from changelane.errors import ChangelaneError

SHORTEST = 16
"""Characters of a token, at least. Its length alone protects it, because wrong tokens never lock the right
one out.
"""

LARGEST = 1_048_576
"""Bytes of the file, at most."""

LOOK_EVERY = 1.0
"""Seconds for which the file is taken to be as it was."""

Right = Literal["read", "operate"]

_NAME = re.compile(r"[A-Za-z0-9_.@+-]{1,60}")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token: a name, and what it may. ``digest`` is the SHA-256 of the token, never shown."""

    name: str
    right: Right
    digest: bytes = field(repr=False)


class Tokens:
    """The token of the command line, if any, and those of ``file``. Without both, ``guarded`` is false.

    A file that cannot be read, or that others may read, lets nobody in until it is mended; ``log`` says so.
    Raises ChangelaneError if it is so at the start.
    """

    def __init__(
        self, token: str | None, *, file: Path | None = None, log: Callable[[str], None] = lambda _: None
    ) -> None:
        self.guarded = token is not None or file is not None
        self._own = [Holder("token", "operate", digest(token))] if token is not None else []
        self._file = file
        self._log = log
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._stamp: tuple[int, ...] | None = None
        self._held: Sequence[Holder] = ()
        if file is not None:
            self._held, self._stamp = read_tokens(file), _look(file)

    @property
    def own(self) -> Holder | None:
        """The holder of the command line's token."""
        return self._own[0] if self._own else None

    def admit(self, given: str) -> Holder | None:
        """The holder of a token. All are compared, in constant time."""
        wanted, found = digest(given), None
        for holder in self._list():
            if hmac.compare_digest(holder.digest, wanted):
                found = holder
        return found

    def find(self, mark: str, mark_of: Callable[[Holder], str]) -> Holder | None:
        """The holder with this mark, which a session carries; None once the token is gone."""
        found = None
        for holder in self._list():
            if hmac.compare_digest(mark_of(holder).encode(), mark.encode()):
                found = holder
        return found

    def _list(self) -> list[Holder]:
        if self._file is None:
            return self._own
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= LOOK_EVERY:
                self._looked_at = now
                stamp = _look(self._file)
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._read(self._file)
            return [*self._own, *self._held]

    def _read(self, file: Path) -> None:
        try:
            self._held = read_tokens(file)
            self._log(f"tokens read again from {file}: {', '.join(holder.name for holder in self._held)}")
        except ChangelaneError as error:
            self._held = ()
            self._log(f"{error.what}; its tokens let nobody in now; {error.fix}")


def read_tokens(file: Path) -> list[Holder]:
    """The holders in a file with a line for each: name, right and token. Raises ChangelaneError, which never
    quotes a token.
    """
    try:
        # Not blocking, so that a pipe of this name ends nothing.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            _check(file, os.fstat(opened.fileno()))
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise ChangelaneError(
            f"the tokens in {file} cannot be read: {error.strerror}", fix="name a plain file that is there"
        ) from None
    if len(content) > LARGEST:
        raise ChangelaneError(f"{file} is larger than {LARGEST} bytes", fix="keep tokens alone in it")
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise ChangelaneError(f"{file} is not UTF-8", fix="write it anew as text") from None
    problems: list[str] = []
    holders: list[Holder] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _read_line(line, holders)
        if isinstance(found, Holder):
            holders.append(found)
        else:
            problems.append(f"{file}:{number}: {found}")
    if not holders and not problems:
        problems.append(f"{file} holds no token")
    if problems:
        raise ChangelaneError(
            "; ".join(problems),
            fix="write a line for each: NAME, then read or operate, then a token of "
            f"{SHORTEST} characters or more, as `openssl rand -hex 24` makes them",
        )
    return holders


def digest(token: str) -> bytes:
    # Hashes, so that lengths and non-ASCII characters do not matter to a comparison.
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _read_line(line: str, others: Sequence[Holder]) -> Holder | str:
    """The holder of a line, or what is wrong with it."""
    words = line.split()
    if len(words) != 3:
        return f"{len(words)} words, where a name, a right and a token belong"
    name, right, token = words
    if not _NAME.fullmatch(name):
        return "the name holds more than 60 characters, or others than letters, digits and _ . @ + -"
    known: Right | None = next((one for one in get_args(Right) if one == right), None)
    if known is None:
        return f"the right of {name} is neither read nor operate"
    if len(token) < SHORTEST:
        return f"the token of {name} has {len(token)} characters, which can be guessed"
    if any(other.name == name for other in others):
        return f"{name} is there twice"
    if any(other.digest == digest(token) for other in others):
        return f"{name} has the token of another"
    return Holder(name, known, digest(token))


def _check(file: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ChangelaneError(f"{file} is no plain file", fix="name a file with a line for each token")
    if found.st_uid not in (os.geteuid(), 0):
        raise ChangelaneError(f"{file} belongs to another user, who can change it", fix=f"chown it: {file}")
    if found.st_mode & 0o077:
        raise ChangelaneError(
            f"{file} is open to other users of this machine (mode {stat.S_IMODE(found.st_mode):03o})",
            fix=f"run `chmod 600 {file}`, and replace the tokens if somebody may have read them",
        )


def _look(file: Path) -> tuple[int, ...] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid, found.st_ctime_ns)
