"""Finds the name that somebody meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest
from itertools import islice


def find_similar(word: object, known: Iterable[object]) -> str:
    """The name in ``known`` that is most like the word; an empty text if all differ too much.

    Only the few names that begin and end most alike are compared in full: a hostile spec may hold many.
    """
    text = str(word)
    if len(text) > 100:
        return ""
    names = [str(name) for name in islice(known, 1000)]
    likely = nlargest(
        10, names, key=lambda name: _count_shared(name, text) + _count_shared(name[::-1], text[::-1])
    )
    return next(iter(get_close_matches(text, likely, n=1)), "")


def suggest(word: object, known: Iterable[object], *, otherwise: str = "") -> str:
    """The most similar name in ``known``, as a question; ``otherwise`` if all differ too much."""
    similar = find_similar(word, known)
    return f"did you mean `{similar}`?" if similar else otherwise


def _count_shared(one: str, other: str) -> int:
    """The length of the common beginning of two words."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
