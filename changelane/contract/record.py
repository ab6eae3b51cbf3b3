"""What the models of the manifest and of the catalog have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value that refuses unknown fields."""

    # Most commands read few of these classes, and a class is slow to build.
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)
