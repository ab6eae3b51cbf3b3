"""Steps that give capture functions to the declared owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from changelane.contract.manifest import Manifest
from changelane.runner.apply.step import Step
from changelane.runner.compare import statement
from changelane.runner.live.observe import Observed


def lend_schema(steps: Sequence[Step], manifest: Manifest, observed: Observed) -> list[Step]:
    """The steps of one transaction. Around those that give functions to the declared owner, grant it CREATE
    in the schema and revoke it again.
    """
    if manifest.owner is None:
        return list(steps)
    role = manifest.owner.role
    given = [
        number
        for number, step in enumerate(steps)
        if step.kind == "function"
        and not ((live := observed.functions.get(step.name)) and live.owner == role)
    ]
    framed = list(steps)
    if given:
        first, last = given[0], given[-1]
        framed[first] = replace(framed[first], sql=(statement.lend_schema(role), *framed[first].sql))
        framed[last] = replace(framed[last], sql=(*framed[last].sql, statement.take_back_schema(role)))
    return framed
