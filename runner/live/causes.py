"""Reads an error and its causes, without trust in the code of its class."""

from __future__ import annotations

from typing import Any

CHAIN = 10
"""Causes followed, at most."""


def follow(error: BaseException) -> list[BaseException]:
    """Yield the error, then its causes in order; causes suppressed with ``from None`` are left out."""
    chain: list[BaseException] = []
    link: Any = error
    while is_kind(link, BaseException) and len(chain) < CHAIN:
        chain.append(link)
        link = get(link, "__cause__") or (
            None if get(link, "__suppress_context__") else get(link, "__context__")
        )
    return chain


def get(thing: object, name: str) -> Any:
    """The attribute, or None if it is missing or its code raises."""
    try:
        return getattr(thing, name)
    except BaseException:  # noqa: BLE001 - of a class that anyone wrote
        return None


def is_kind(thing: object, kind: type) -> bool:
    # isinstance() reads the object's __class__, which may lie.
    return issubclass(type(thing), kind)
