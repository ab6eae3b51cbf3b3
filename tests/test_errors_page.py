"""``docs/errors.md``: every code has its section, whose example yields what is printed there.

``pytest tests/test_errors_page.py --update-golden`` rewrites the printed part.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import psycopg
import pytest
from psycopg.rows import TupleRow
from test_spec import as_seen_by_a_schema

from changelane.cli import Settings
from changelane.commands.validate import collect
from changelane.diagnostic import Diagnostic, render_text
from changelane.errors import SpecError
from changelane.generator.spec.codes import Code
from changelane.generator.spec.json_schema import render_schema
from changelane.generator.spec.yaml_reader import parse_source
from changelane.generator.spec.yaml_source import read_source
from changelane.runner.live.inspect import inspect

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"
FIRST_LIVE = "CL400"
SECTION = re.compile(r"^### (CL\d{3}) .*?(?=^##|\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

BY_SCHEMA = {code for code in Code if code.value.startswith("CL1")} | {Code.ONE_OF, Code.SCHEDULE}
BY_SCHEMA -= {Code.CRON, Code.TIMEZONE}
"""The errors on values that the JSON Schema refuses, too. It knows neither days nor zones."""


@dataclass(frozen=True)
class Example:
    code: str
    text: str

    def block(self, kind: str) -> str:
        return next((content for name, content in BLOCK.findall(self.text) if name == kind), "")


EXAMPLES = [Example(found[1], found[0]) for found in SECTION.finditer(PAGE.read_text())]
examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.code)


def prepare(example: Example, conn: psycopg.Connection[TupleRow], folder: Path) -> Settings:
    """A project in ``folder`` as the section says, its database included."""
    (tables,) = BLOCK.findall(PAGE.read_text().partition("\n## ")[0])
    conn.execute(tables[1].encode())
    statements = example.block("sql").encode()
    if example.code < FIRST_LIVE:
        conn.execute(statements)
    (folder / "sql_out").mkdir()
    (folder / "sql_out" / "catalog.json").write_text(inspect(conn).dump())
    (folder / "pipelines.yaml").write_text(example.block("yaml"))
    if script := example.block("sh"):
        subprocess.run(["bash", "-euc", script], cwd=folder, check=True)
    if example.code > FIRST_LIVE:
        conn.execute(statements)
    return Settings(file=Path("pipelines.yaml"), out=Path("sql_out"), database_url=conn.info.dsn, debug=False)


def diagnose(settings: Settings, *, live: bool) -> tuple[Diagnostic, ...]:
    try:
        return collect(settings, live=live)
    except SpecError as error:
        return error.diagnostics


def test_every_code_has_its_section_in_order() -> None:
    assert [example.code for example in EXAMPLES] == [code.value for code in Code]


@examples
def test_an_example_yields_its_code_and_what_is_printed(
    example: Example,
    conn: psycopg.Connection[TupleRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    settings = prepare(example, conn, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = diagnose(settings, live=example.code > FIRST_LIVE)
    assert example.code in {problem.code for problem in found}
    if example.code == Code.TOO_MANY:
        found = found[-1:]
    assert [problem.code for problem in found] == [example.code]
    assert found[0].fix or example.code in (Code.TOO_MANY, Code.OUT_OF_RANGE, Code.LIMIT, Code.CHARACTER)
    printed = render_text(found)
    if request.config.getoption("--update-golden"):
        page = PAGE.read_text()
        section = next(found[0] for found in SECTION.finditer(page) if found[1] == example.code)
        anew = section.replace(f"```text\n{example.block('text')}```", f"```text\n{printed}```")
        PAGE.write_text(page.replace(section, anew))
        return
    assert example.block("text") == printed


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if example.code > "CL1"], ids=lambda example: example.code
)
def test_the_json_schema_refuses_mistakes_of_single_values_only(example: Example, tmp_path: Path) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(example.block("yaml"))
    source = read_source(path)
    assert parse_source(source) == []
    validator = jsonschema.Draft7Validator(json.loads(render_schema()))
    accepted = validator.is_valid(as_seen_by_a_schema(source.root.plain()))
    assert accepted is (example.code not in BY_SCHEMA)
