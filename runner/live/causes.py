"""An error and what caused it, read without trust in the code of its class."""

from __future__ import annotations

from typing import Any

CHAIN = 10
"""Causes that are followed, at most."""


def follow(error: BaseException) -> list[BaseException]:
    """The error, then what caused it, one after the other; causes that were put aside are left out."""
    chain: list[BaseException] = []
    link: Any = error
    while is_kind(link, BaseException) and len(chain) < CHAIN:
        chain.append(link)
        link = get(link, "__cause__") or (
            None if get(link, "__suppress_context__") else get(link, "__context__")
        )
    return chain


def get(thing: object, name: str) -> Any:
    """An attribute that may be missing, or be code that raises: None then."""
    try:
        return getattr(thing, name)
    except BaseException:  # noqa: BLE001 - of a class that anyone wrote
        return None


def is_kind(thing: object, kind: type) -> bool:
    # isinstance() asks the thing for its class, which may lie.
    return issubclass(type(thing), kind)
