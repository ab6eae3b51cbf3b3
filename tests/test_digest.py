"""The digest of a spec: which edits change it, and text that is no YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from changelane.contract.digest import digest_spec, find_change, read_digest
from changelane.contract.manifest import Manifest

SPEC = b"""version: 1
project: shop
queues:
  jobs: {kind: logged}
  project: {}
routes: []
"""


@pytest.mark.parametrize(
    "text",
    [
        b"# on top\nversion: 1 # one\n\nproject:   shop\n"
        b"queues: {jobs: {kind: logged}, project: {}}\nroutes: []\n",
        SPEC.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + SPEC,
    ],
)
def test_comments_layout_and_line_ends_do_not_count(text: bytes) -> None:
    assert digest_spec(text) == digest_spec(SPEC)
    assert digest_spec(text).project == "shop"


@pytest.mark.parametrize(
    "text",
    [
        SPEC.replace(b"logged", b"unlogged"),
        SPEC.replace(b"logged", b"'logged'"),
        SPEC.replace(b"version: 1", b"version: '1'"),
        SPEC.replace(b"jobs", b"job"),
        SPEC.replace(b"{kind: logged}", b"{}"),
        SPEC.replace(b"{kind: logged}", b"&one {kind: logged}"),
        SPEC.replace(b"[]", b"!!seq []"),
        SPEC + b"api: true\n",
        SPEC + b"---\n",
        SPEC + b"\xff",
        SPEC + b"{",
        b"",
    ],
)
def test_every_other_change_changes_the_digest(text: bytes) -> None:
    assert digest_spec(text).sha256 != digest_spec(SPEC).sha256


@pytest.mark.parametrize(
    ("text", "project"),
    [
        (b"queues: [1, {project: a}]\nroutes: {b: {project: c}}\nproject: 'd'\n", "d"),
        (b"a: project\nb: project\n", ""),
        (b"project: [a]\n", ""),
        (b"- project\n- a\n", ""),
        (b"project", ""),
        (b"[" * 100_000, ""),
        (b"a: &a [x]\nb: *a\nproject: e\n", "e"),
    ],
)
def test_the_project_is_that_of_the_outermost_mapping(text: bytes, project: str) -> None:
    assert digest_spec(text).project == project


def test_a_spec_that_differs_from_the_manifest_is_reported(tmp_path: Path) -> None:
    spec, out = tmp_path / "pipelines.yaml", Path("sql_out")
    manifest = Manifest(
        project="shop", spec=digest_spec(SPEC).sha256, files={}, queues=(), captures=(), consumers=()
    )
    assert read_digest(spec) is None
    assert find_change(spec, manifest, out=out) is None
    spec.write_bytes(SPEC + b"# a comment\n")
    assert find_change(spec, manifest, out=out) is None
    older = find_change(spec, manifest.model_copy(update={"spec": ""}), out=out)
    assert older is not None
    assert "older Changelane" in older.what
    for change, said in (
        (b"api: true\n", "changed since sql_out was generated"),
        (b"", "is of project store"),
    ):
        spec.write_bytes(SPEC + change if change else SPEC.replace(b"shop", b"store"))
        found = find_change(spec, manifest, out=out)
        assert found is not None
        assert said in found.what
        assert "changelane generate" in found.fix
    spec.unlink()
    spec.mkdir()
    found = find_change(spec, manifest, out=out)
    assert found is not None
    assert "cannot be read" in found.what
