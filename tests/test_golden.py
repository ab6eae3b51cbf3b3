"""Folders of ``golden/``: a spec, its schema, and all generated files, for review.

``pytest tests/test_golden.py --update-golden`` rewrites the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.manifest_by_hand import SESSION
from support.pg_partman import install_partman

from changelane.contract.catalog import Catalog, load_catalog
from changelane.contract.manifest import Manifest
from changelane.generator.render.sql_out import generate
from changelane.generator.spec.loading import read_spec
from changelane.runner.apply import plan_text
from changelane.runner.apply.plan import plan
from changelane.runner.live.definers import Definer, Definers
from changelane.runner.live.inspect import inspect
from changelane.runner.live.observe import Observed, Relation, observe
from changelane.runner.live.partman import Partman
from changelane.runner.live.rights import Rights, Role

FOLDERS = sorted(path.parent for path in (Path(__file__).parent / "golden").glob("*/pipelines.yaml"))
KINDS = {"table": "r", "partitioned": "p", "foreign": "f", "view": "v", "materialized view": "m"}
behaviours = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


def imagine(catalog: Catalog, manifest: Manifest) -> Observed:
    """A superuser's database with the catalog's tables, pgmq, pg_partman, and nothing else."""
    relations = [
        Relation(
            schema=table.schema_,
            name=table.name,
            kind=KINDS[table.kind],
            partition=table.partition_of is not None,
            has_children=bool(table.inherited_by) or table.kind == "partitioned",
            has_parents=bool(table.inherits) or table.partition_of is not None,
            owned=True,
            owner=SESSION.role,
            primary_key=table.primary_key,
            columns={column.name: column.type for column in table.columns},
        )
        for table in catalog.tables
    ]
    return Observed(
        partman=Partman(
            server=SESSION.server, version="5.2.4", schema="partman", readable=True, writable=True
        ),
        session=replace(SESSION, has_schema=False, schema_comment=None),
        definers=Definers(
            declared=manifest.owner is not None,
            by_capture={capture.name: SESSION.role for capture in manifest.captures},
            roles={SESSION.role: Definer(name=SESSION.role, superuser=True)},
        ),
        rights=Rights(
            roles={
                access.declared: Role(
                    name=access.declared,
                    bypasses=False,
                    memberships=(),
                    uses_pgmq=False,
                    uses_changelane=False,
                    barred=(),
                )
                for access in manifest.access
            }
        ),
        relations={(relation.schema, relation.name): relation for relation in relations},
        tables={table.identity: table for table in catalog.tables if table.kind in ("table", "partitioned")},
    )


def render(folder: Path) -> dict[str, str]:
    """All files that are generated from a folder's spec and catalog, by their path in it."""
    catalog = load_catalog(folder / "sql_out" / "catalog.json")
    output = generate(read_spec(folder / "pipelines.yaml"), catalog)
    manifest = Manifest.model_validate_json(output.files["manifest.json"])
    planned = plan(manifest, imagine(catalog, manifest))
    files = {name: text.encode() for name, text in output.files.items()}
    return {
        # schema.sql is the same in all folders, and plan.sql contains it.
        **{f"sql_out/{name}": text for name, text in output.files.items() if name != "schema.sql"},
        "plan.txt": plan_text.render_text(planned) + "\n",
        "plan.json": plan_text.render_json(planned, files) + "\n",
        "plan.sql": plan_text.render_sql(planned, files) + "\n",
    }


def find_files(folder: Path) -> Iterator[str]:
    """Paths in a folder of all that is rendered, but the catalog."""
    named = ("owner.sql", "api.sql", "schedules.sql", "manifest.json")
    for pattern in ("*/*", "*/*/*", *named):
        found = (path for path in (folder / "sql_out").glob(pattern) if path.is_file())
        yield from (path.relative_to(folder).as_posix() for path in found)
    yield from (path.relative_to(folder).as_posix() for path in folder.glob("plan.*"))


@behaviours
def test_the_catalog_matches_the_server_and_the_planned_sql_makes_it_so(
    folder: Path, conn: psycopg.Connection[TupleRow], update: bool
) -> None:
    if "kind: partitioned" in (folder / "pipelines.yaml").read_text():
        install_partman(conn)
    conn.execute((folder / "schema.sql").read_bytes())
    path = folder / "sql_out" / "catalog.json"
    found = inspect(conn).dump()
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(found)
        return
    assert path.read_text() == found
    manifest = Manifest.model_validate_json((folder / "sql_out" / "manifest.json").read_bytes())
    text = plan_text.render_text(plan(manifest, observe(conn, manifest)))
    text = text.replace(f"run as role {conn.info.user},", f"run as role {SESSION.role},")
    assert text + "\n" == (folder / "plan.txt").read_text()
    conn.execute((folder / "plan.sql").read_bytes())
    after = plan(manifest, observe(conn, manifest))
    assert plan_text.render_text(after) == "No changes. Database matches sql_out/."


@behaviours
def test_spec_and_catalog_yield_the_files_and_the_plan_that_were_reviewed(folder: Path, update: bool) -> None:
    expected = {name: (folder / name).read_text() for name in find_files(folder)}
    rendered = render(folder)
    if update:
        for name in expected.keys() - rendered.keys():
            (folder / name).unlink()
        for name, text in rendered.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text(text)
        return
    assert expected.keys() == rendered.keys(), "pytest tests/test_golden.py --update-golden"
    for name, text in rendered.items():
        # Of the first file that differs; the others follow from it.
        difference = list(
            unified_diff(
                expected[name].splitlines(), text.splitlines(), f"{folder.name}/{name}", "now", lineterm=""
            )
        )
        assert not difference, "\n".join([*difference[:40], "pytest tests/test_golden.py --update-golden"])
