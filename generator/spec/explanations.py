"""Turns pydantic's errors into plain sentences with a fix."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from changelane.diagnostic import Diagnostic
from changelane.generator.spec.codes import Code
from changelane.generator.spec.scalars import show
from changelane.generator.spec.yaml_source import Plain, Source, Step, resolve
from changelane.suggestion import suggest

Path = tuple[Step, ...]


def explain(error: ValidationError, *, source: Source, model: type[BaseModel]) -> Iterator[Diagnostic]:
    """A diagnostic for every error."""
    for detail in error.errors(include_url=False):
        path: Path = detail["loc"]
        if detail["type"] == "too_short" and detail["input"]:
            # Its items were refused, and each has an error of its own.
            continue
        names_key = path[-1:] == ("[key]",) and source.find(*path) is None
        yield _explain_one(detail, path[:-1] if names_key else path, source, model, names_key=names_key)


def _explain_one(
    detail: ErrorDetails, path: Path, source: Source, model: type[BaseModel], *, names_key: bool
) -> Diagnostic:
    context = detail.get("ctx", {})
    subject = f"a name under {_name(path[:-1])}" if names_key else _name(path)
    match detail["type"]:
        case "extra_forbidden":
            known = supported_keys(model, path[:-1])
            fix = suggest(path[-1], known, otherwise=f"known here: {', '.join(known)}")
            where = f" in {_name(path[:-1])}" if len(path) > 1 else ""
            return source.diagnose(
                Code.UNKNOWN_KEY, f"unknown key {show(path[-1])}{where}", *path, fix=fix, key=True
            )
        case "missing":
            where = f" in {_name(path[:-1])}" if len(path) > 1 else ""
            fix = _exemplify(model, path)
            return source.diagnose(Code.MISSING_KEY, f"{subject} is missing{where}", *path, fix=fix, key=True)
        case "literal_error":
            values = re.findall(r"'([^']*)'", str(context["expected"])) or [str(context["expected"])]
            return _refuse_value(detail["input"], subject, values, source, path)
        case "too_short":
            return source.diagnose(
                Code.EMPTY,
                f"{subject} is empty",
                *path,
                fix=_exemplify(model, path) or "name at least one, or delete the key",
            )
        case "greater_than_equal" | "less_than_equal":
            bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']:,}"
            message = f"{subject} must be {bound}, not {show(detail['input'])}"
            return source.diagnose(Code.OUT_OF_RANGE, message, *path)
        case "tuple_type" | "dict_type" | "model_type" | "model_attributes_type":
            return _refuse_type(detail, subject, source, path)
    message = f"{subject} {context.get('message', detail['msg'])}"
    code = detail["type"] if detail["type"] in set(Code) else Code.BAD_VALUE
    fix = str(context.get("fix", ""))
    if code == Code.EMPTY:
        fix = _exemplify(model, path) or fix
    if path[-1] in ("table", "queue") and isinstance(detail["input"], list):
        fix = f"write `{path[-1]}s:` for several"
    return source.diagnose(code, message, *path, fix=fix, key=names_key, within=context.get("within"))


def _refuse_value(value: object, subject: str, allowed: list[str], source: Source, path: Path) -> Diagnostic:
    if isinstance(value, (list, dict)):
        kind = "a list" if isinstance(value, list) else "a mapping"
        return source.diagnose(
            Code.WRONG_TYPE, f"{subject} must be one of {', '.join(allowed)}, not {kind}", *path
        )
    if resolve(value) is None:
        return source.diagnose(
            Code.EMPTY, f"{subject} has no value", *path, fix=f"write {_enumerate(allowed)}"
        )
    quoted = not isinstance(value, Plain) and value in allowed
    return source.diagnose(
        Code.BAD_VALUE,
        f"{subject} must be {_enumerate(allowed)}, not {'the text ' if quoted else ''}{show(value)}",
        *path,
        fix="delete the quotes" if quoted else suggest(value, allowed),
    )


def _refuse_type(detail: ErrorDetails, subject: str, source: Source, path: Path) -> Diagnostic:
    value = detail["input"]
    wants = "a list" if detail["type"] == "tuple_type" else "a mapping"
    got = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "one value"
    if resolve(value) is None:
        return source.diagnose(
            Code.EMPTY, f"{subject} has no value", *path, fix=f"it is {wants}: fill it, or delete the key"
        )
    fix = ""
    if wants == "a list" and isinstance(value, str):
        fix = f"write [{value}]" if len(value) < 60 else "write it in brackets"
    elif wants == "a list":
        fix = "start each item with `- `"
    elif got == "a list":
        fix = "write `name: value` lines, without `- `"
    return source.diagnose(Code.WRONG_TYPE, f"{subject} must be {wants}, not {got}", *path, fix=fix)


def _name(path: Path) -> str:
    """The reader's word for a place: its key, or the item of a list."""
    last = path[-1] if path else ""
    if isinstance(last, int):
        owner = str(path[-2]) if len(path) > 1 else ""
        return {"routes": f"route {last + 1}"}.get(owner, f"item {last + 1} of `{owner}`")
    return show(last)


def _enumerate(values: list[str]) -> str:
    if len(values) == 1:
        return f"`{values[0]}`"
    return f"{', '.join(f'`{value}`' for value in values[:-1])} or `{values[-1]}`"


def supported_keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that a mapping at ``path`` may have."""
    found = _find_model(model, path)
    if found is None:
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _exemplify(model: type[BaseModel], path: Path) -> str:
    """An example of a required key; empty for others."""
    owner = _find_model(model, path[:-1])
    for name, field in owner.model_fields.items() if owner else ():
        if (field.alias or name) == path[-1] and field.is_required() and field.examples:
            example = field.examples[0]
            text = f"[{', '.join(example)}]" if isinstance(example, list) else example
            return f"for example `{path[-1]}: {text}`"
    return ""


def _find_model(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model of the mapping at ``path``."""
    kind: Any = model
    for step in path:
        kind = _unwrap(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = next(
                (
                    field.annotation
                    for name, field in kind.model_fields.items()
                    if (field.alias or name) == step
                ),
                None,
            )
        elif get_origin(kind) in (dict, tuple):
            kind = get_args(kind)[1 if get_origin(kind) is dict else 0]
        else:
            return None
    kind = _unwrap(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _unwrap(kind: Any) -> Any:
    """A type without ``Annotated`` and ``| None``."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            kind = next(part for part in get_args(kind) if part is not type(None))
        else:
            return kind
