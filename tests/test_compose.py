"""docker-compose.yml and the Dockerfile, held against the command line and the tree that they name."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from changelane.cli import cli
from changelane.runner import database

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OLDEST_PGMQ = (1, 5, 1)
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def interpolate(value: Any) -> Any:
    """The value with every ``${NAME:-default}`` as its default, as on a machine that sets none."""
    if isinstance(value, dict):
        return {key: interpolate(each) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each) for each in value]
    return VARIABLE.sub(lambda found: found[2], value) if isinstance(value, str) else value


CONFIGURATION: dict[str, Any] = interpolate(yaml.safe_load(COMPOSE))
SERVICES: dict[str, Any] = CONFIGURATION["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]


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


def test_worker_and_server_share_one_password() -> None:
    passwords = {SERVICES[name]["environment"]["PGPASSWORD"] for name in OURS}
    assert passwords == {SERVICES["db"]["environment"]["POSTGRES_PASSWORD"]}


def test_a_machine_that_sets_no_variable_can_run_it() -> None:
    variables = VARIABLE.findall(COMPOSE)
    assert variables
    assert all(default for _, default in variables)
    assert "$" not in VARIABLE.sub("", COMPOSE)


def test_the_server_is_reached_from_this_machine_only() -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["db"]["ports"])


def test_apply_waits_for_the_server_and_the_worker_for_apply() -> None:
    assert SERVICES["apply"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert SERVICES["worker"]["depends_on"] == {"apply": {"condition": "service_completed_successfully"}}
    assert "restart" not in SERVICES["apply"]
    assert SERVICES["db"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_the_image_has_a_pgmq_and_a_postgres_that_are_supported() -> None:
    found = re.fullmatch(r"ghcr\.io/pgmq/pg(\d+)-pgmq:v(\d+)\.(\d+)\.(\d+)", SERVICES["db"]["image"])
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


def test_the_dockerfile_copies_what_the_tree_holds_and_dockerignore_lets_through() -> None:
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
    found = re.fullmatch(r"python:3\.(\d+)-slim", images[0])
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
