"""Prints ``docs/reference.md``, made from the code: commands, keys of the spec, codes of errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from changelane.cli import COMMANDS, cli
from changelane.generator.spec.json_schema import render_schema

HEAD = """\
# Reference

Made from the code by `python docs/reference.py`; a test holds it to that.

- [Commands](#commands)
- [Keys of pipelines.yaml](#keys-of-pipelinesyaml)
- [Codes of errors](#codes-of-errors)

## Commands

Exit codes: 0 ok; 1 error; 2 a difference was found (`plan --exit-code`, `generate --check`, `verify`); 75 a
lock was not obtained, nothing is half-done, and it is safe to run again; 130 interrupted. Results are on
stdout, progress and notes on stderr.
"""


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *render_commands(), *render_keys(), *render_codes()]).rstrip("\n") + "\n"


def render_commands() -> Iterator[str]:
    """Options that every command takes, then each command."""
    context = click.Context(cli, info_name="changelane")
    yield "### `changelane`\n"
    yield from render_options(cli, context)
    for name in sorted(COMMANDS):
        command = cli.get_command(context, name)
        assert command is not None
        yield from render_command(command, context, f"changelane {name}")


def render_command(command: click.Command, parent: click.Context, path: str) -> Iterator[str]:
    """Usage, help and options; of a group, those of its commands too."""
    context = click.Context(command, info_name=path.rpartition(" ")[2], parent=parent)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"### `{usage}`\n"
    for paragraph in re.split(r"\n\s*\n", command.help or COMMANDS[path.split()[1]]):
        yield " ".join(paragraph.split()) + "\n"
    yield from render_options(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from render_command(inner, context, f"{path} {name}")


def render_options(command: click.Command, context: click.Context) -> Iterator[str]:
    """A table of the options, if there are any but --help."""
    records = [
        parameter.get_help_record(context)
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]
    rows = [f"| `{escape(record[0])}` | {escape(record[1])} |" for record in records if record]
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows]) + "\n"


def render_keys() -> Iterator[str]:
    """Keys by path, from the JSON Schema."""
    yield "## Keys of pipelines.yaml\n"
    yield "The JSON Schema of the same, for editors: `changelane schema`.\n"
    yield "| key | value | |\n|---|---|---|"
    for path, schema, required in walk(json.loads(render_schema()), ""):
        facts = [schema["description"], "Required." if required else ""]
        if "default" in schema:
            facts.append(f"Default: `{schema['default']}`.")
        if "examples" in schema:
            facts.append(f"For example `{show(schema['examples'][0])}`.")
        yield f"| `{path}` | {describe(schema)} | {escape(' '.join(fact for fact in facts if fact))} |"
    yield ""


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Each property with its path, in the order of the models."""
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, inner, name in schema.get("required", [])
        yield from walk(inner, here)
        if isinstance(inner.get("items"), dict):
            yield from walk(inner["items"], f"{here}[]")
        if isinstance(inner.get("additionalProperties"), dict):
            yield from walk(inner["additionalProperties"], f"{here}.NAME")


def describe(schema: dict[str, Any]) -> str:
    """What a value may be."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "any")
    kind = next(kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null")
    if kind == "array":
        inner = schema["items"]
        return f"list of {describe(inner)}" if "enum" in inner else "list"
    if kind == "integer":
        return f"{schema['minimum']:,} to {schema['maximum']:,}" if "maximum" in schema else "whole number"
    return {"object": "mapping", "string": "text"}.get(kind, kind)


def show(example: object) -> str:
    """An example as YAML's flow style has it."""
    return example if isinstance(example, str) else json.dumps(example).replace('"', "")


def render_codes() -> Iterator[str]:
    """A list of the codes, as the page on errors heads them."""
    yield "## Codes of errors\n"
    yield "Each with an example in [errors.md](errors.md).\n"
    page = (Path(__file__).parent / "errors.md").read_text(encoding="utf-8")
    for code, title in re.findall(r"^### (CL\d+) (.*)$", page, re.MULTILINE):
        yield f"- {code}: {title}"


def escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    click.echo(render(), nl=False)
