"""Loads ``sql_out/`` if it is as generated; otherwise the error shows the edits."""

from __future__ import annotations

from difflib import unified_diff

from changelane.cli import Settings
from changelane.commands.project import load_current
from changelane.contract.manifest import Manifest, hash_text, read_files
from changelane.errors import ChangelaneError, ManifestError


def load_generated(settings: Settings) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the bytes of every file that it names.

    Raises ManifestError when the spec changed since, or when a file was edited. If the spec is unchanged, the
    error shows the edit as a diff.
    """
    manifest = load_current(settings)
    try:
        return manifest, read_files(manifest, settings.out)
    except ManifestError as error:
        raise ManifestError(f"{error.what}\n{_explain(settings, manifest)}", fix=error.fix) from None


def _explain(settings: Settings, manifest: Manifest) -> str:
    if not settings.file.exists():
        return f"  ({settings.file} is not here, so the edits cannot be shown)"
    # Imported only here: an unchanged sql_out/ needs neither pglast nor the generator.
    from changelane.contract.catalog import load_catalog
    from changelane.generator.render.sql_out import generate
    from changelane.generator.spec.loading import read_spec

    try:
        texts = generate(read_spec(settings.file), load_catalog(settings.out / "catalog.json")).files
    except ChangelaneError as error:
        return f"  (the edits cannot be shown: {error.what})"
    if any(hash_text(texts.get(name, "")) != digest for name, digest in manifest.files.items()):
        return f"  (the edits cannot be shown: {settings.file} or the catalog changed since, too)"
    lines: list[str] = []
    for name in manifest.files:
        path = settings.out / name
        found = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        lines += unified_diff(
            texts[name].splitlines(),
            found.splitlines(),
            fromfile=f"{path} as generated",
            tofile=f"{path}" if path.is_file() else "missing",
            lineterm="",
        )
    return "\n".join(lines)
