"""Which of several operators or functions of one name Postgres chooses for given argument types.

The steps are those of func_select_candidate, binary_oper_exact and func_get_detail in Postgres' parser. The
manual describes them in its chapter on type conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from changelane.generator.sql.builtin import Signature
from changelane.generator.sql.typesystem import UNKNOWN, TypeSystem


def choose_operator(
    candidates: Sequence[Signature], inputs: Sequence[str], types: TypeSystem
) -> Signature | None:
    """The operator; None without a candidate that fits, or without a best one. Of equal ones, the first."""
    known = _drop_hidden(found for found in candidates if len(found.arguments) == len(inputs))
    assumed = tuple(inputs)
    literal = len(inputs) == 2 and UNKNOWN in inputs
    if literal:
        # A literal beside a known type takes that type, if such an operator exists.
        given = next((type for type in inputs if type != UNKNOWN), UNKNOWN)
        assumed = (given, given)
    for wanted in (assumed, tuple(map(types.base, assumed)) if literal else assumed):
        for found in known:
            if found.arguments == wanted:
                return found
    return _choose(known, inputs, types)


def choose_function(
    candidates: Sequence[Signature], inputs: Sequence[str], types: TypeSystem
) -> Signature | None:
    """The function, with as many arguments as inputs; None without a fitting one, or without a best one."""
    known = _drop_hidden(fit for found in candidates if (fit := _fit(found, len(inputs))))
    for found in known:
        if found.arguments == tuple(inputs):
            return found
    return _choose(known, inputs, types)


def _fit(found: Signature, count: int) -> Signature | None:
    """The signature with ``count`` arguments: repeated or omitted as it allows; None when it does not."""
    declared = len(found.arguments)
    if found.variadic and count >= declared:
        last = found.arguments[-1].removesuffix("[]")
        element = {"anyarray": "anyelement", "anycompatiblearray": "anycompatible"}.get(last, last)
        arguments = (*found.arguments[:-1], *[element] * (count - declared + 1))
        return replace(found, arguments=arguments)
    if declared - found.defaults <= count <= declared:
        return replace(found, arguments=found.arguments[:count])
    return None


def _drop_hidden(candidates: Iterable[Signature]) -> list[Signature]:
    """The candidates without those that an earlier one with the same arguments hides; variadic ones come
    last.
    """
    first: dict[tuple[str, ...], Signature] = {}
    for found in sorted(candidates, key=lambda found: found.variadic):
        first.setdefault(found.arguments, found)
    return list(first.values())


def _choose(candidates: Sequence[Signature], inputs: Sequence[str], types: TypeSystem) -> Signature | None:
    left = [found for found in candidates if types.match(found.arguments, inputs) is not None]
    if len(left) < 2:
        return left[0] if left else None
    bases = [type if type == UNKNOWN else types.base(type) for type in inputs]

    def keep_best(score: Callable[[str, str], bool]) -> list[Signature]:
        scores = [
            sum(
                base != UNKNOWN and score(wanted, base)
                for wanted, base in zip(found.arguments, bases, strict=True)
            )
            for found in left
        ]
        return [found for found, points in zip(left, scores, strict=True) if points == max(scores)]

    def prefers(wanted: str, base: str) -> bool:
        return wanted == base or (types.rank(wanted) == (types.rank(base)[0], True))

    left = keep_best(lambda wanted, base: wanted == base)
    if len(left) > 1:
        left = keep_best(prefers)
    if len(left) > 1 and UNKNOWN in bases:
        left = _guess(left, bases, types)
    return left[0] if len(left) == 1 else None


def _guess(left: list[Signature], bases: Sequence[str], types: TypeSystem) -> list[Signature]:
    """The types of literals: those that the candidates expect there, else those of the other inputs."""
    slots: dict[int, tuple[str, bool]] = {}
    for place, base in enumerate(bases):
        if base != UNKNOWN:
            continue
        ranks = [types.rank(found.arguments[place]) for found in left]
        categories = {category for category, _ in ranks}
        if len(categories) > 1 and "S" not in categories:
            slots.clear()
            break
        category = "S" if "S" in categories else ranks[0][0]
        slots[place] = category, any(preferred for name, preferred in ranks if name == category)
    if slots:
        kept = [
            found
            for found in left
            if all(
                types.rank(found.arguments[place])[0] == category
                and (not preferred or types.rank(found.arguments[place])[1])
                for place, (category, preferred) in slots.items()
            )
        ]
        left = kept or left
        if len(left) == 1:
            return left
    known = {base for base in bases if base != UNKNOWN}
    if len(known) == 1:
        same = [*known] * len(bases)
        fitting = [found for found in left if types.match(found.arguments, same) is not None]
        if len(fitting) == 1:
            return fitting
    return left
