"""Keeps children that a handler forks from the worker's connections and from its work."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class DescriptorHolder(Protocol):
    """An object with open descriptors that belong to the parent alone."""

    def list_descriptors(self) -> Iterable[int]: ...


_lock = threading.Lock()
_forks = 0
_owners: WeakSet[DescriptorHolder] = WeakSet()


def keep_from_children(owner: DescriptorHolder) -> None:
    """Replace the owner's descriptors by the null device in each child of this process, as soon as it
    starts.
    """
    with _lock:
        _owners.add(owner)


def count_forks() -> int:
    """How many forks are between the first process and this one. Cheaper than to ask for the process's id."""
    return _forks


def end_child(parent: int, error: BaseException | None = None, *, told: bool = True) -> None:
    """End this process with the exit code of the error, unless ``count_forks`` gave ``parent`` in it.

    Call it wherever a handler's call returns. With ``told``, it prints the error on stderr in one write,
    indented. So a child's lines never mix with the parent's log, nor look like a failure of the worker.
    """
    if _forks != parent:
        _end(error, told=told)


def _end(error: BaseException | None, *, told: bool) -> None:
    code = 0 if error is None else 1
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None and told:
        trace = textwrap.indent("".join(traceback.format_exception(error)), "  ")
        text = f"a child that a handler forked failed, and ends here:\n{trace}"
        with suppress(OSError):
            os.write(2, text.encode(errors="replace"))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    os._exit(code & 0xFF)


def _part() -> None:
    global _forks
    _forks += 1
    _lock.release()
    null = os.open(os.devnull, os.O_RDWR)
    for owner in list(_owners):
        for descriptor in owner.list_descriptors():
            os.dup2(null, descriptor)
    os.close(null)


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_part)
