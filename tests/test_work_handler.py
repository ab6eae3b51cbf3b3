from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changelane.contract.manifest import Consumer, Retry
from changelane.errors import HandlerError, PreflightError
from changelane.runner.work.handlers.signature import Handler, resolve_handlers

HEAD = """
from __future__ import annotations
from functools import partial
from typing import TYPE_CHECKING, Annotated, Iterable, List, Optional, Sequence
if TYPE_CHECKING:
    import psycopg
    from changelane import Change, Message
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def consume(handler: str = "shop:handle", *, queue: str = "jobs", **values: Any) -> Consumer:
    return Consumer(queue=queue, handler=handler, dead_letter=f"{queue}_dlq", **values)


def resolve(folder: Path, source: str, **values: Any) -> Handler:
    (folder / "shop.py").write_text(HEAD + textwrap.dedent(source))
    return resolve_handlers([consume(**values)])["jobs"]


@pytest.mark.parametrize(
    ("source", "mode", "expected"),
    [
        ("def handle(change: Change): ...", "at_least_once", (False, False, False)),
        ("def handle(change): ...", "transactional", (False, False, False)),
        ("async def handle(change: Change): ...", "at_least_once", (True, False, False)),
        ("def handle(change: Change, tx: psycopg.Connection): ...", "transactional", (False, False, True)),
        ("async def handle(c, tx: psycopg.AsyncConnection): ...", "transactional", (True, False, True)),
        ("def handle(changes: list[Change]): ...", "at_least_once", (False, True, False)),
        ("def handle(changes: Sequence[Change], tx): ...", "transactional", (False, True, True)),
        ("async def handle(changes: List[Change]): ...", "at_least_once", (True, True, False)),
        ("def handle(change, extra=None): ...", "at_least_once", (False, False, False)),
        ("def handle(changes: Optional[list[Change]]): ...", "at_least_once", (False, True, False)),
        (
            "def handle(changes: Annotated[list[Change], 5] | None): ...",
            "at_least_once",
            (False, True, False),
        ),
        ("def handle(changes: Iterable[Change] = ()): ...", "at_least_once", (False, True, False)),
        ("Batch = List['Change']\ndef handle(changes: Batch): ...", "at_least_once", (False, True, False)),
        ("def handle(message: Message): ...", "at_least_once", (False, False, False)),
        ("async def handle(m: list[Message[dict]], tx): ...", "transactional", (True, True, True)),
        ("handle = partial(lambda shop, change: None, 3)", "at_least_once", (False, False, False)),
        (
            "class A:\n    async def __call__(self, change): ...\nhandle = A()",
            "at_least_once",
            (True, False, False),
        ),
    ],
)
def test_the_input_of_a_handler_is_read_from_its_signature(
    folder: Path, source: str, mode: str, expected: tuple[bool, bool, bool]
) -> None:
    handler = resolve(folder, source, mode=mode)
    assert (handler.asynchronous, handler.batch, handler.transaction) == expected


@pytest.mark.parametrize(
    ("source", "mode", "what"),
    [
        (
            "def handle(change: dict | None): ...",
            "at_least_once",
            "asks for a dict, but a batch comes in a list",
        ),
        (
            "def handle(job: int): ...",
            "at_least_once",
            "asks for int, which is neither a Change nor a Message",
        ),
        ("def handle(changes: list[int]): ...", "at_least_once", "asks for int, which is neither"),
        ("def handle(change: Unknown): ...", "at_least_once", "asks for Unknown, which is not there"),
        ("def handle(c: list[Change] | Message): ...", "at_least_once", "is given a list of both"),
        ("def handle(m: Message[Missing]): ...", "at_least_once", "asks for Missing, which cannot be read"),
        ("def handle(m: Message[psycopg.Row]): ...", "at_least_once", "asks for Row, which cannot be read"),
        (
            "class Odd: ...\ndef handle(m: Message[Odd]): ...",
            "at_least_once",
            "bodies that cannot be checked: Odd",
        ),
        ("def handle(): ...", "at_least_once", "takes ()"),
        ("def handle(a, b, c): ...", "transactional", "takes (a, b, c)"),
        ("def handle(a, *, b): ...", "transactional", "takes (a, b)"),
        ("def handle(change, tx): ...", "at_least_once", "asks for a transaction (tx)"),
        ("def handle(change):\n    yield", "at_least_once", "is a generator"),
        ("async def handle(change):\n    yield", "at_least_once", "is a generator"),
        ("class handle: ...", "at_least_once", "is not a function"),
        ("handle = 3", "at_least_once", "is not a function"),
        ("def handel(change): ...", "at_least_once", "shop has no handle"),
        ("def handle(c, tx: psycopg.AsyncConnection): ...", "transactional", "is a plain function"),
        ("async def handle(c, tx: psycopg.Connection): ...", "transactional", "is async"),
        ("def handle(change): ...\nraise SystemExit(3)", "at_least_once", "shop.py:9: SystemExit: 3"),
        ("def handle(change: Change[int]): ...", "at_least_once", "rows that cannot be checked: int is not"),
        ("import nowhere", "at_least_once", "shop.py:8: ModuleNotFoundError: No module named 'nowhere'"),
        ("def handle(changes: tuple[Change, ...]): ...", "at_least_once", "asks for a tuple, but"),
        ("def handle(changes: dict[str, int]): ...", "at_least_once", "asks for a dict, but"),
        ("def handle(:", "at_least_once", "shop.py:8: SyntaxError"),
        ("import json\njson.loads('')", "at_least_once", "shop.py:9: JSONDecodeError"),
    ],
)
def test_a_handler_that_cannot_work_is_refused(folder: Path, source: str, mode: str, what: str) -> None:
    with pytest.raises(HandlerError) as caught:
        resolve(folder, source, mode=mode)
    assert caught.value.what.startswith("consumer jobs: handler shop:handle ")
    assert what in caught.value.what
    assert caught.value.fix


def test_a_misspelt_function_is_guessed(folder: Path) -> None:
    with pytest.raises(HandlerError) as caught:
        resolve(folder, "def handel(change): ...")
    assert caught.value.fix == "did you mean `handel`?"


def test_a_missing_handler_module_is_told_from_a_missing_import_of_it(folder: Path) -> None:
    with pytest.raises(HandlerError, match=r"there is no module shop$"):
        resolve_handlers([consume()])
    (folder / "store").mkdir()
    with pytest.raises(HandlerError, match=r"there is no module store\.orders$"):
        resolve_handlers([consume("store.orders:handle")])


def test_a_handler_without_a_colon_is_refused(folder: Path) -> None:
    with pytest.raises(HandlerError, match="not of the form module:function"):
        resolve_handlers([consume("shop.handle")])


def test_all_wrong_handlers_are_said_together(folder: Path) -> None:
    with pytest.raises(PreflightError) as caught:
        resolve_handlers([consume("a:b", queue="one"), consume("c:d", queue="two")])
    assert [problem.what.split(":")[0] for problem in caught.value.problems] == [
        "consumer one",
        "consumer two",
    ]


ERRORS = """
    class Gone(Exception): ...
    class Outer:
        class Inner(ValueError): ...
    class Ends(BaseException): ...
    class Again(Retry): ...
    NUMBER = 3
"""


def resolve_never(folder: Path, *names: str) -> tuple[type[Exception], ...]:
    (folder / "shop.py").write_text("def handle(change): ...\n")
    (folder / "oops.py").write_text("from changelane import Retry\n" + textwrap.dedent(ERRORS))
    return resolve_handlers([consume(retry=Retry(never=names))])["jobs"].never


def test_exceptions_are_found_by_their_names(folder: Path) -> None:
    found = resolve_never(folder, "ValueError", "oops:Gone", "oops:Outer.Inner", "json:JSONDecodeError")
    assert [kind.__qualname__ for kind in found] == ["ValueError", "Gone", "Outer.Inner", "JSONDecodeError"]


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("ValuError", "does not exist: builtins has no ValuError", "did you mean `ValueError`?"),
        ("Missing", "does not exist: builtins has no Missing", "as in app.errors:Missing"),
        ("oops:Gon", "does not exist: oops has no Gon", "did you mean `Gone`?"),
        ("oops:Outer.Innr", "does not exist: oops has no Innr", "did you mean `Inner`?"),
        ("oops:NUMBER.Gone", "does not exist: oops has no Gone", "define Gone in oops"),
        ("nowhere:Gone", "cannot be imported: there is no module nowhere", "create it"),
        ("oops:NUMBER", "is not an Exception class", "name the class"),
        ("oops:Ends", "is not an Exception class", "name the class"),
        ("print", "is not an Exception class", "name the class"),
        ("oops:Again", "already decides the outcome of a message", "take it out of `never`"),
        ("changelane:DeadLetter", "already decides the outcome of a message", "take it out of `never`"),
    ],
)
def test_a_name_in_never_that_is_no_exception_is_refused_at_start(
    folder: Path, name: str, what: str, fix: str
) -> None:
    with pytest.raises(HandlerError) as refused:
        resolve_never(folder, name)
    assert refused.value.what == f"consumer jobs: retry.never: {name} {what}"
    assert fix in refused.value.fix


def test_wrong_exceptions_are_told_together_with_a_wrong_handler(folder: Path) -> None:
    with pytest.raises(PreflightError) as refused:
        resolve_handlers([consume("nothing:handle", retry=Retry(never=("Gone", "ValueError", "a:B")))])
    assert [
        problem.what.partition(" does")[0].partition(" cannot")[0] for problem in refused.value.problems
    ] == [
        "consumer jobs: handler nothing:handle",
        "consumer jobs: retry.never: Gone",
        "consumer jobs: retry.never: a:B",
    ]
