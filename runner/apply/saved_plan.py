"""A saved plan, which is applied exactly as reviewed or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from changelane.contract.file import write_whole
from changelane.errors import ChangelaneError
from changelane.runner.apply.plan import Plan
from changelane.runner.apply.plan_text import render_json, to_record
from changelane.runner.compare.fingerprint import find_differences

FORMAT_VERSION = 2


class Options(BaseModel):
    """The options of ``plan`` that shaped this plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prune: bool
    only: str | None


class Saved(BaseModel):
    """The parts of ``plan --format json`` that show whether the plan is still current."""

    model_config = ConfigDict(frozen=True)

    format_version: Literal[2]
    project: str
    manifest: str
    observed: Mapping[str, str]
    options: Options
    steps: tuple[Mapping[str, Any], ...]


def save_plan(plan: Plan, files: dict[str, bytes], path: Path) -> None:
    """Write the plan as JSON, atomically. Raises ChangelaneError when the file cannot be written."""
    try:
        write_whole(path, render_json(plan, files) + "\n")
    except OSError as error:
        raise ChangelaneError(f"cannot write {path}: {error.strerror}") from None


def load_plan(path: Path) -> Saved:
    """Read a saved plan. Raises ChangelaneError if the file is missing or is not a plan."""
    try:
        return Saved.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ChangelaneError(
            f"cannot read {path}: {error.strerror}", fix=f"run `changelane plan --save {path}` to write it"
        ) from None
    except ValidationError as error:
        raise ChangelaneError(
            f"{path} is not a plan of format {FORMAT_VERSION}: {error.errors()[0]['msg']}",
            fix=f"run `changelane plan --save {path}` to write it anew",
        ) from None


def check_saved(saved: Saved, now: Plan, files: dict[str, bytes]) -> None:
    """Raise ChangelaneError with the difference unless ``now`` equals the saved plan, step for step."""
    reasons = []
    if saved.project != now.project:
        reasons.append(f"it is of project {saved.project}, sql_out/ of {now.project}")
    if saved.manifest != now.manifest:
        reasons.append("sql_out/ was generated anew since")
    if differences := find_differences(saved.observed, now.observed):
        shown = ", ".join(differences[:10]) + (", ..." if len(differences) > 10 else "")
        reasons.append(f"not found as when it was saved: {shown}")
    if not reasons and json.loads(json.dumps(to_record(now, files)["steps"])) != list(map(dict, saved.steps)):
        reasons.append("its steps are not those that follow from sql_out/ and the database")
    if reasons:
        raise ChangelaneError(
            f"the saved plan is stale: {'; '.join(reasons)}; nothing was changed",
            fix="run `changelane plan --save` again, and review what it says",
        )
