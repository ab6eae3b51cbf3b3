"""The base of the spec's models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen part of the spec that refuses unknown keys; its fields' descriptions are the schema's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
