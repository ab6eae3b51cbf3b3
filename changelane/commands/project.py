"""The project of a command: that of ``sql_out/``, checked against the spec beside it."""

from __future__ import annotations

from changelane.cli import Settings
from changelane.commands.output import say
from changelane.contract.digest import find_change
from changelane.contract.manifest import Manifest, load_manifest
from changelane.errors import ProjectError


def load_current(settings: Settings) -> Manifest:
    """The manifest, if it was generated from the present spec.

    Without a spec, for example if only ``sql_out/`` is deployed, a note says that nothing was compared.
    Raises ManifestError when the spec changed since.
    """
    manifest = load_manifest(settings.out)
    if not settings.file.exists():
        say(f"note: {settings.file} is not here, so {settings.out} was not held against it", err=True)
    if change := find_change(settings.file, manifest, out=settings.out):
        raise change
    return manifest


def load_noted(settings: Settings) -> Manifest:
    """The manifest; a warning says that the spec changed since it was generated."""
    manifest = load_manifest(settings.out)
    if change := find_change(settings.file, manifest, out=settings.out):
        say(f"warning: {change.what}\n  fix: {change.fix}", err=True)
    return manifest


def announce(settings: Settings, *, quiet: bool = False) -> Manifest:
    """The manifest, for a command that destroys: it first prints the project's name, on stderr if ``quiet``.

    Raises ProjectError if the spec belongs to another project.
    """
    manifest = load_manifest(settings.out)
    if isinstance(change := find_change(settings.file, manifest, out=settings.out), ProjectError):
        change.fix += f"; `changelane destroy --project {manifest.project}` removes what that one left"
        raise change
    say(f"Project {manifest.project}", err=quiet)
    return manifest
