"""Plans for manifests and databases made by hand."""

from __future__ import annotations

from typing import Any

from changelane.runner.apply.plan import Plan, plan
from changelane.runner.compare.compare import compare
from changelane.runner.live.observe import Observed
from support.manifest_by_hand import Sample


def states(sample: Sample, observed: Observed) -> dict[str, str]:
    return {thing.kind: thing.state for thing in compare(sample.manifest, observed) if thing.name != "pgmq"}


def actions(planned: Plan) -> list[str]:
    return [f"{step.action} {step.kind} {step.name}" for step in planned.steps]


def make_plan(sample: Sample, observed: Observed, **options: Any) -> Plan:
    return plan(sample.manifest, observed, **options)
