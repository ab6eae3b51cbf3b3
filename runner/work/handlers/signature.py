"""Finds handlers by their ``module:function`` names and checks them before the first claim."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from changelane.change import DeadLetter, Discard, Failed, Retry
from changelane.contract.manifest import Consumer
from changelane.errors import HandlerError, PreflightError
from changelane.runner.work.handlers.handler_input import (
    CHANGES,
    HandlerInput,
    UnsuitedAnnotation,
    read_handler_input,
)
from changelane.suggestion import suggest

BUILTINS = "builtins"
"""The module of exceptions that a spec names without a module."""


@dataclass(frozen=True, slots=True)
class Handler:
    """``function`` is called with the argument that ``takes`` reads, and with a connection when
    ``transaction``. ``never`` are exceptions after which there is no further attempt.
    """

    function: Callable[..., Any]
    asynchronous: bool
    transaction: bool
    takes: HandlerInput = CHANGES
    never: tuple[type[Exception], ...] = ()

    @property
    def batch(self) -> bool:
        return self.takes.batch


def check_result(result: object) -> None:
    """Raise HandlerError when a handler returned a coroutine or a generator, whose work nobody has done."""
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if inspect.iscoroutine(result):
            result.close()
        raise HandlerError(
            f"the handler did nothing but return a {type(result).__name__}",
            fix="make it `async def`, and its decorators, too, or return nothing",
        )


def resolve_handlers(consumers: Sequence[Consumer]) -> dict[str, Handler]:
    """The handler of each consumer by its queue, imported from the current directory or the Python path.

    Raises HandlerError for one wrong handler, or PreflightError with one error for each of several.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    handlers: dict[str, Handler] = {}
    problems: list[HandlerError] = []
    for consumer in consumers:
        try:
            handler = resolve_handler(consumer)
        except HandlerError as problem:
            problems.append(problem)
        never = []
        for name in consumer.retry.never:
            try:
                never.append(resolve_exception(consumer, name))
            except HandlerError as problem:
                problems.append(problem)
        if not problems:
            handlers[consumer.queue] = replace(handler, never=tuple(never))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise PreflightError(problems)
    return handlers


def resolve_handler(consumer: Consumer) -> Handler:
    """Import and check one handler. Raises HandlerError that names the queue, the problem and the fix."""
    subject = f"consumer {consumer.queue}: handler {consumer.handler}"
    module, _, path = (consumer.handler or "").partition(":")
    if not module or not path:
        raise _wrong(subject, "is not of the form module:function", fix="for example handlers.orders:on_paid")
    found = _find(subject, module, path)
    if inspect.isclass(found) or not callable(found):
        raise _wrong(subject, "is not a function", fix="name a function that takes a Change or a Message")
    return _check(consumer, subject, found)


def resolve_exception(consumer: Consumer, name: str) -> type[Exception]:
    """Import one class of ``retry: {never}``. Raises HandlerError as ``resolve_handler`` does."""
    subject = f"consumer {consumer.queue}: retry.never: {name}"
    module, _, path = name.rpartition(":")
    found = _find(subject, module or BUILTINS, path)
    if not (inspect.isclass(found) and issubclass(found, Exception)):
        raise _wrong(subject, "is not an Exception class", fix="name the class that the handler raises")
    if issubclass(found, (Retry, Discard, DeadLetter, Failed)):
        raise _wrong(
            subject,
            "already decides the outcome of a message",
            fix="take it out of `never`, or raise another",
        )
    return found


def _find(subject: str, module: str, path: str) -> Any:
    found = _import(subject, module)
    for part in path.split("."):
        if not hasattr(found, part):
            known = getattr(found, "__dict__", {})
            callables = [name for name, value in known.items() if callable(value)]
            define = f"define {part} in {module}"
            if module == BUILTINS:
                define = f"write the module before it, as in app.errors:{part}"
            raise _wrong(
                subject,
                f"does not exist: {module} has no {part}",
                fix=suggest(part, callables, otherwise=define),
            )
        found = getattr(found, part)
    return found


def _import(subject: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise _wrong(
                subject,
                f"cannot be imported: there is no module {error.name}",
                fix=f"create it, or run from the folder that holds it (this is {os.getcwd()})",
            ) from error
        raise _failed(subject, name, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(subject, name, error) from error


def _failed(subject: str, module: str, error: BaseException) -> HandlerError:
    where = _locate(error)
    return _wrong(
        subject,
        f"cannot be imported: {where}: {type(error).__name__}: {' '.join(str(error).split())}",
        fix=f"fix {where}; `python -c 'import {module}'` shows the same error",
    )


def _locate(error: BaseException) -> str:
    """``file:line`` of the failing line: the last one in the user's own folder, else the last one outside the
    import system.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shorten(error.filename)}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen") and frame.filename not in (__file__, importlib.__file__)
    ]
    here = str(Path.cwd()) + os.sep
    own = [
        frame for frame in frames if frame.filename.startswith(here) and "site-packages" not in frame.filename
    ]
    last = (own or frames)[-1:]
    return f"{_shorten(last[0].filename)}:{last[0].lineno}" if last else "unknown line"


def _shorten(filename: str) -> str:
    here = str(Path.cwd()) + os.sep
    return filename.removeprefix(here)


def _check(consumer: Consumer, subject: str, function: Callable[..., Any]) -> Handler:
    call = function if inspect.isroutine(function) or not hasattr(function, "__call__") else function.__call__  # noqa: B004
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise _wrong(subject, "is a generator", fix="return instead of yielding")
    asynchronous = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise _wrong(subject, "has no signature to read", fix="wrap it in a Python function") from None
    positional = [
        item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    required = [item for item in positional if item.default is item.empty]
    forced = [item for item in parameters if item.kind is item.KEYWORD_ONLY and item.default is item.empty]
    if not positional or len(required) > 2 or forced:
        shape = ", ".join(str(item) for item in parameters)
        raise _wrong(
            subject,
            f"takes ({shape}), but is called with a change or message, and a connection where transactional",
            fix="def handler(change: Change) or def handler(change: Change, tx: psycopg.Connection)",
        )
    if len(required) == 2 and consumer.mode != "transactional":
        raise _wrong(
            subject,
            f"asks for a transaction ({required[1].name}), but the consumer's mode is {consumer.mode}",
            fix=f"set `mode: transactional`, or drop the parameter {required[1].name}",
        )
    transaction = consumer.mode == "transactional" and len(positional) > 1
    if transaction:
        _check_connection(subject, positional[1], asynchronous=asynchronous)
    try:
        takes = read_handler_input(call, positional[0].annotation)
    except UnsuitedAnnotation as error:
        raise _wrong(subject, error.what, fix=error.fix) from error
    return Handler(function=function, asynchronous=asynchronous, transaction=transaction, takes=takes)


def _check_connection(subject: str, parameter: inspect.Parameter, *, asynchronous: bool) -> None:
    text = str(parameter.annotation)
    wants_async = "AsyncConnection" in text
    if wants_async and not asynchronous:
        raise _wrong(
            subject,
            f"is a plain function, but its {parameter.name} is an AsyncConnection",
            fix="make it `async def`, or annotate psycopg.Connection",
        )
    if asynchronous and not wants_async and re.search(r"\bConnection\b", text):
        raise _wrong(
            subject,
            f"is async, but its {parameter.name} is a psycopg.Connection",
            fix="annotate psycopg.AsyncConnection and await what it does, or make it a plain `def`",
        )


def _wrong(subject: str, what: str, *, fix: str) -> HandlerError:
    return HandlerError(f"{subject} {what}", fix=fix)
