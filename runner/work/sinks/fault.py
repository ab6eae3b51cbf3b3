"""The end of a handler's call as a plain value, read in the thread that ran the handler.

An exception is the handler's code: its text, attributes and class may raise, exit or lie. So it is read once,
here, and no later code touches it.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, Literal

from changelane.change import LATEST, DeadLetter, Discard, Failed, Retry
from changelane.runner.live.causes import follow, get, is_kind

Kind = Literal[
    "failed", "retry", "discard", "dead_letter", "divided", "transient", "interrupted",
    "released", "must_wait", "unfinished", "lost",
]  # fmt: skip

ERROR_LIMIT = 500

TRACE_LIMIT = 4000
"""Characters of traceback that are kept: its end, which says where the handler failed."""

FRAMES = 20
"""Stack frames of one error that the log shows, at most."""

_OURS = str(Path(__file__).parents[1])


class Released(Exception):
    """The worker stops before the handler ran or ended; the message goes back at once."""


class MustWait(Exception):
    """Another possible crasher runs in this process, so this one must wait."""


class TimedOut(Exception):
    """The handler ran longer than the consumer's timeout."""


class Unfinished(Exception):
    """Attempts were charged in advance and never settled: the worker died each time."""


class LeaseLost(Exception):
    """The fenced ack changed no row: another worker has the message now, so our writes must be rolled
    back.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` says how the call ended; the other fields hold the details.

    ``interrupted``: the server ended the session while the handler ran. ``divided``: ``parts`` are the faults
    of the messages that ``Failed`` named, by ``queue:msg_id``. ``after`` is in seconds. ``place`` says where
    the error was raised, as ``handlers.py:17 in reindex``. ``trace`` is the whole traceback. ``brief`` omits
    the further lines of messages, which quote values of rows. ``final``: another attempt would not help.
    """

    kind: Kind
    text: str = ""
    place: str = ""
    trace: str = ""
    brief: str = ""
    after: float | None = None
    final: bool = False
    parts: Mapping[str, Fault] = field(default_factory=dict)


_OWN: dict[type[BaseException], Kind] = {
    Released: "released",
    MustWait: "must_wait",
    LeaseLost: "lost",
    TimedOut: "failed",
    Unfinished: "unfinished",
}


def read_fault(
    error: BaseException, *, kind: Kind | None = None, never: Sequence[type[Exception]] = ()
) -> Fault:
    """The fault for an exception; the caller passes ``kind`` when it knows better. Raises nothing.

    Instances of ``never`` are final, unless they themselves decide the message's outcome.
    """
    own = _OWN.get(type(error))
    if own is not None:
        return Fault(kind or own, text=spell(error))
    try:
        return _read(error, kind or _find_kind(error), never)
    except BaseException as problem:  # noqa: BLE001 - any error in reading it means a failed attempt
        name = _name(type(problem))
        return Fault("failed", text=f"{_name(type(error))}: (it cannot be read: {name})")


def spell(error: BaseException) -> str:
    """The error's text, shortened, in a form that jsonb can hold."""
    try:
        text = str.__str__(str(error))
    except BaseException as problem:  # noqa: BLE001 - anyone may have written its class
        text = f"(its text raises {_name(type(problem))})"
    return _clean(text[:ERROR_LIMIT])


def _find_kind(error: BaseException) -> Kind:
    kinds: tuple[tuple[type[BaseException], Kind], ...] = (
        (Discard, "discard"), (DeadLetter, "dead_letter"), (Retry, "retry"), (Failed, "divided"),
    )  # fmt: skip
    return next((kind for outcome, kind in kinds if is_kind(error, outcome)), "failed")


def _read(error: BaseException, kind: Kind, never: Sequence[type[Exception]]) -> Fault:
    text, name = spell(error), _name(type(error))
    if kind == "discard":
        return Fault(kind)
    if kind == "divided":
        parts = _read_parts(get(error, "errors"), never)
        if parts:
            return Fault(kind, text=text, parts=parts)
        kind, text = "failed", "it names nothing that failed"
    if kind == "retry":
        text = text or "the handler asked for another attempt"
    elif kind == "dead_letter":
        text = text or "DeadLetter"
    else:
        text = f"{name}: {text}"[:ERROR_LIMIT]
    return Fault(
        kind,
        text=text,
        place=_find_place(get(error, "__traceback__")),
        trace=_format(error),
        brief=_format_briefly(error),
        after=_read_after(error) if kind == "retry" else None,
        final=kind != "retry" and any(_is_subclass(type(error), final) for final in never),
    )


def _read_parts(errors: Any, never: Sequence[type[Exception]]) -> dict[str, Fault]:
    if not is_kind(errors, Mapping):
        return {}
    parts = {}
    for name, error in dict(errors).items():
        known = is_kind(error, BaseException)
        parts[str(name)] = (
            read_fault(error, never=never)
            if known
            else Fault("failed", text=f"{_name(type(error))} is not an error")
        )
    return parts


def _read_after(error: BaseException) -> float | None:
    """Seconds, or None when the value makes no sense."""
    after = get(error, "after")
    if is_kind(after, timedelta):
        after = after.total_seconds()
    if type(after) not in (int, float) or math.isnan(after) or after > LATEST:
        return None
    return max(0.0, float(after))


def _find_place(trace: Any) -> str:
    """``file:line in function`` of the last frame in the user's own folder, else of the last frame."""
    here = _find_here()
    last = own = ""
    for code, line in _walk(trace):
        last = f"{code.co_filename.removeprefix(here)}:{line} in {code.co_name}"
        if code.co_filename.startswith(here) and "site-packages" not in code.co_filename:
            own = last
    return _clean((own or last)[:ERROR_LIMIT])


def _walk(trace: Any) -> list[tuple[CodeType, int]]:
    """Code and line of each frame outside the worker, the innermost last."""
    frames = []
    while is_kind(trace, TracebackType):
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(_OURS):
            frames.append((code, trace.tb_lineno or code.co_firstlineno))
        trace = trace.tb_next
    return frames


def _find_here() -> str:
    try:
        return f"{Path.cwd()}/"
    except OSError:
        return "/"


def _format(error: BaseException) -> str:
    try:
        return _clean("".join(traceback.format_exception(error))[-TRACE_LIMIT:])
    except BaseException:  # noqa: BLE001 - it asks the error for its text
        return ""


def _format_briefly(error: BaseException) -> str:
    parts: list[str] = []
    for link in reversed(follow(error)):
        frames = [
            f'  File "{code.co_filename}", line {line}, in {code.co_name}\n'
            for code, line in _walk(get(link, "__traceback__"))[-FRAMES:]
        ]
        first = spell(link).partition("\n")[0]
        parts.append(f"{''.join(frames)}{_name(type(link))}: {first}")
    text = "Traceback (most recent call last):\n" + "\nthen:\n".join(parts)
    return _clean(text[-TRACE_LIMIT:])


def _name(kind: type) -> str:
    # A metaclass may make a property of it.
    return str(type.__dict__["__name__"].__get__(kind))


def _is_subclass(kind: type, other: type) -> bool:
    # Like `except`, this does not run code of the class.
    return any(base is other for base in type.__dict__["__mro__"].__get__(kind))


def _clean(text: str) -> str:
    # jsonb accepts neither NUL nor lone surrogates.
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
