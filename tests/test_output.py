from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from changelane.contract.catalog import Catalog, load_catalog
from changelane.contract.coalesce import Coalesce
from changelane.contract.manifest import load_manifest, read_files, read_step
from changelane.errors import SpecError
from changelane.generator.render.sql_out import Output, SqlFile, find_stale, generate, name_file, write
from changelane.generator.spec.loading import read_spec

ROOT = Path(__file__).parent.parent


@pytest.fixture
def catalog() -> Catalog:
    return load_catalog(ROOT / "sql_out" / "catalog.json")


@pytest.fixture
def output(catalog: Catalog) -> Output:
    return generate(read_spec(ROOT / "pipelines.yaml"), catalog)


def test_the_committed_files_are_what_the_spec_generates(output: Output) -> None:
    assert find_stale(output, ROOT / "sql_out") == []


def test_two_runs_render_the_same_bytes(output: Output, catalog: Catalog) -> None:
    again = generate(read_spec(ROOT / "pipelines.yaml"), catalog)
    assert dict(again.files) == dict(output.files)


def test_a_second_write_touches_nothing(output: Output, tmp_path: Path) -> None:
    assert set(write(output, tmp_path)) == set(output.files)
    assert write(output, tmp_path) == []


def test_a_file_of_a_route_that_is_gone_is_deleted_and_one_of_a_user_stays(
    output: Output, tmp_path: Path
) -> None:
    write(output, tmp_path)
    generated = (tmp_path / "routes" / "customers.sql").read_text()
    (tmp_path / "routes" / "gone.sql").write_text(generated)
    (tmp_path / "routes" / "mine.sql").write_text("SELECT 1;\n")
    assert write(output, tmp_path) == ["routes/gone.sql"]
    assert (tmp_path / "routes" / "mine.sql").exists()


def test_a_route_over_several_tables_is_a_folder_that_goes_with_it(
    output: Output, catalog: Catalog, tmp_path: Path
) -> None:
    spec = tmp_path / "pipelines.yaml"
    spec.write_text(
        "version: 1\nproject: shop\nqueues: {all: {}}\n"
        "routes:\n- {name: customers, tables: [shop.*], events: [insert], queue: all}\n"
    )
    folder = tmp_path / "out"
    write(output, folder)
    several = generate(read_spec(spec), catalog)
    tables = [f"routes/customers/{table.schema_}.{table.name}.sql" for table in catalog.tables]
    assert sorted(name for name in several.files if name.startswith("routes/")) == sorted(tables)
    touched = write(several, folder)
    assert "routes/customers.sql" in touched
    assert not (folder / "routes" / "customers.sql").exists()
    assert find_stale(several, folder) == []
    manifest = load_manifest(folder)
    files = read_files(manifest, folder)
    assert [read_step(capture.trigger_step, files) for capture in manifest.captures]
    write(output, folder)
    assert not (folder / "routes" / "customers").exists()


def test_a_files_name_holds_any_tables_name() -> None:
    assert name_file("public", "orders") == "public.orders"
    assert name_file("My.Schema", "a/../b") == "%4Dy%2E%53chema.a%2F%2E%2E%2Fb"
    assert name_file("x", "Größe") == "x.%47r%C3%B6%C3%9Fe"
    long = [name_file("Ä" * 31, end + "Ü" * 31) for end in "ab"]
    assert len(set(long)) == 2
    assert all(len(name) == 200 for name in long)


def test_every_step_is_the_slice_that_the_manifest_names(output: Output, tmp_path: Path) -> None:
    write(output, tmp_path)
    manifest = load_manifest(tmp_path)
    files = read_files(manifest, tmp_path)
    steps = [queue.step for queue in manifest.queues]
    steps += [step for capture in manifest.captures for step in (capture.function_step, capture.trigger_step)]
    for step in steps:
        text = read_step(step, files)
        assert hashlib.sha256(text.encode()).hexdigest() == step.sha256
        assert text.startswith(("DO ", "CREATE OR REPLACE "))


def test_the_names_of_objects_fit_and_differ(output: Output, tmp_path: Path) -> None:
    write(output, tmp_path)
    names = [capture.name for capture in load_manifest(tmp_path).captures]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 63 for name in names)


def test_nothing_is_written_when_the_spec_names_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        generate(read_spec(ROOT / "pipelines.yaml"), Catalog())
    assert {diagnostic.code for diagnostic in caught.value.diagnostics} == {"CL301"}
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_many_steps_is_put_together_in_proportion_to_its_size() -> None:
    file = SqlFile("routes/all.sql", "-- head ü\n")
    texts = [f"SELECT {number}; -- {'é' * 5000}\n" for number in range(4000)]
    begun = time.process_time()
    steps = [file.add(text) for text in texts]
    content = file.join().encode()
    # Copied at each step, these 40 MB take minutes.
    assert time.process_time() - begun < 10
    assert [content[step.start : step.end].decode() for step in steps] == texts


def test_the_worker_knows_which_routes_of_merged_changes_need_care(catalog: Catalog, tmp_path: Path) -> None:
    """Routes that send part of the old row, and those whose key does not name one row."""
    spec = tmp_path / "pipelines.yaml"
    spec.write_text(
        "version: 1\nproject: shop\nqueues: {all: {}, other: {}}\nroutes:\n"
        "- {name: whole, table: shop.orders, events: [insert], queue: all}\n"
        "- {name: part, table: shop.orders, events: [update], queue: all, payload: {old: changed}}\n"
        "- {name: several, table: shop.orders, events: [update], queues: [all, other], key: [customer_id]}\n"
        "- {name: wider, table: shop.orders, events: [update], queue: all, key: [customer_id, id]}\n"
        "consumers:\n  all: {handler: 'app:handle', coalesce: {by: key, quiet: 2s, at_most: 1m}}\n"
        "  other: {handler: 'app:handle'}\n"
    )
    output = generate(read_spec(spec), catalog)
    write(output, tmp_path / "out")
    manifest = load_manifest(tmp_path / "out")
    consumers = {consumer.queue: consumer for consumer in manifest.consumers}
    assert consumers["all"].coalesce == Coalesce(quiet=2, at_most=60, partial=("part",), shared=("several",))
    assert consumers["other"].coalesce is None
    assert {queue.name for queue in manifest.queues if queue.ordered} == {"all"}
