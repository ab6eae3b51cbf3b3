from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.manifest_by_hand import Sample

from changelane.contract.manifest import load_manifest, read_files, read_step
from changelane.errors import ManifestError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return Sample().queue("events").capture().save(tmp_path / "sql_out")


def test_a_manifest_loads_as_it_was_dumped(out: Path) -> None:
    manifest = load_manifest(out)
    assert manifest == Sample().queue("events").capture().manifest
    assert manifest.dump() == (out / "manifest.json").read_text()


def test_a_step_is_the_slice_of_its_file(out: Path) -> None:
    manifest = load_manifest(out)
    files = read_files(manifest, out)
    (capture,) = manifest.captures
    assert read_step(capture.function_step, files).startswith("CREATE OR REPLACE FUNCTION")
    assert read_step(capture.trigger_step, files).startswith("CREATE OR REPLACE TRIGGER")


def test_a_missing_manifest_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist") as caught:
        load_manifest(tmp_path)
    assert "changelane generate" in caught.value.fix


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json"])
def test_a_file_that_is_no_manifest_is_refused(out: Path, text: str) -> None:
    (out / "manifest.json").write_text(text)
    with pytest.raises(ManifestError, match="not a manifest"):
        load_manifest(out)


def test_a_manifest_of_another_format_is_refused(out: Path) -> None:
    content = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**content, "format_version": 2}))
    with pytest.raises(ManifestError, match="format 1"):
        load_manifest(out)


def test_all_files_edited_by_hand_or_missing_are_named_together(out: Path) -> None:
    manifest = load_manifest(out)
    (out / "queues/events.sql").unlink()
    with (out / "routes/shop_paid.sql").open("a") as file:
        file.write("-- by hand\n")
    with pytest.raises(ManifestError) as caught:
        read_files(manifest, out)
    assert "queues/events.sql" in caught.value.what
    assert "routes/shop_paid.sql" in caught.value.what


def test_a_file_outside_of_sql_out_is_never_read(out: Path) -> None:
    manifest = load_manifest(out)
    (out.parent / "x.sql").write_text("select 1")
    evil = manifest.model_copy(update={"files": {"../x.sql": "0" * 64}})
    with pytest.raises(ManifestError, match=r"x\.sql"):
        read_files(evil, out)


def test_a_step_whose_range_was_moved_is_refused(out: Path) -> None:
    manifest = load_manifest(out)
    files = read_files(manifest, out)
    step = manifest.captures[0].function_step
    with pytest.raises(ManifestError, match="not what the manifest says"):
        read_step(step.model_copy(update={"end": step.end - 1}), files)
