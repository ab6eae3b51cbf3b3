"""The JSON Schema (draft-07) of ``pipelines.yaml``, rendered from the spec's models."""

from __future__ import annotations

import json
from typing import Any

from changelane.generator.spec.models import Spec

Schema = dict[str, Any]


def render_schema() -> str:
    """The text of ``schema/pipelines.schema.json``: the supported keys, each with a description."""
    generated = Spec.model_json_schema(by_alias=True)
    definitions = generated.pop("$defs")
    schema = _simplify(generated, definitions)
    _complete(schema)
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Changelane pipelines.yaml",
        **schema,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _simplify(schema: Any, definitions: Schema) -> Any:
    """The schema with references inlined, without ``| None`` and generated titles: in YAML, an absent key is
    None.
    """
    if isinstance(schema, list):
        return [_simplify(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        variants = [variant for variant in schema["anyOf"] if variant != {"type": "null"}]
        if len(variants) == 1:
            schema = {**variants[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        # The first sentence of a docstring is for users, the rest for readers of the models.
        summary = target["description"].split(". ")[0].rstrip(".") + "."
        schema = {
            **target,
            "description": summary,
            **{key: value for key, value in schema.items() if key != "$ref"},
        }
    if "patternProperties" in schema:
        ((names, content),) = schema["patternProperties"].items()
        schema = {key: value for key, value in schema.items() if key != "patternProperties"}
        schema |= {"propertyNames": {"pattern": names}, "additionalProperties": content}
    return {
        key: (
            {name: _simplify(value, definitions) for name, value in content.items()}
            if key == "properties"
            else _simplify(content, definitions)
        )
        for key, content in schema.items()
        if not _is_noise(key, content)
    }


def _is_noise(key: str, content: object) -> bool:
    return (key == "title" and isinstance(content, str)) or (
        key == "default" and (content is None or isinstance(content, (dict, list)))
    )


def _complete(schema: Schema) -> None:
    """Rules on shapes that the validator enforces and the models cannot express."""
    route = schema["properties"]["routes"]["items"]
    route["allOf"] = [
        {"oneOf": [{"required": ["table"]}, {"required": ["tables"]}]},
        {"oneOf": [{"required": ["queue"]}, {"required": ["queues"]}]},
    ]
    route["not"] = {"required": ["update_of", "unchanged"]}
    route["properties"]["payload"]["not"] = {
        "required": ["columns", "exclude"],
        "patternProperties": {"^columns$": {"not": {"const": "reviewed"}}},
    }
    queues = schema["properties"]["queues"]
    queues["additionalProperties"]["type"] = ["object", "null"]
    # All entries may be commented out.
    schema["properties"]["routes"]["type"] = ["array", "null"]
    schema["properties"]["consumers"]["type"] = ["object", "null"]
    schema["properties"]["consumers"]["additionalProperties"]["oneOf"] = [
        {"required": ["handler"]},
        {"required": ["relay"]},
    ]
    destinations = schema["properties"]["destinations"]
    destinations["type"] = ["object", "null"]
    destinations["additionalProperties"] |= {"minProperties": 1, "maxProperties": 1}
    _complete_secrets(destinations)
    schedules = schema["properties"]["schedules"]
    schedules["type"] = ["object", "null"]
    schedules["additionalProperties"] |= {
        "oneOf": [{"required": ["cron"]}, {"required": ["every"]}],
        "not": {"required": ["every", "timezone"]},
    }
    _forbid_repeats(schema)


def _complete_secrets(schema: Any) -> None:
    """A secret has one place."""
    if isinstance(schema, dict):
        if "file_env" in schema.get("properties", {}):
            schema |= {"minProperties": 1, "maxProperties": 1}
        for content in schema.values():
            _complete_secrets(content)


def _forbid_repeats(schema: Any) -> None:
    if isinstance(schema, dict):
        if schema.get("type") == "array" and schema["items"].get("type") != "object":
            schema["uniqueItems"] = True
        for content in schema.values():
            _forbid_repeats(content)
