from __future__ import annotations

from pathlib import Path

import click
import pytest

from changelane.cli import COMMANDS, GROUPS, main
from changelane.commands.duration import parse_duration
from changelane.errors import LockNotObtained
from changelane.generator.spec.scalars import read_duration


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_help_answers_to_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert "Usage: changelane" in capsys.readouterr().out


def test_a_usage_error_exits_1_as_2_means_a_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--no-such-option") == 1
    assert "--no-such-option" in capsys.readouterr().err


def test_a_misspelt_command_is_told_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("aply") == 1
    assert "Did you mean `apply`?" in capsys.readouterr().err


def test_a_missing_manifest_is_one_line_and_its_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", str(tmp_path), "work") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0] == f"error: {tmp_path / 'manifest.json'} does not exist"
    assert error[1].startswith("  fix: run `changelane generate`")
    assert len(error) == 2


def test_a_wrong_folder_is_named_with_the_folder_that_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, deep = tmp_path / "shop", tmp_path / "shop" / "src" / "app"
    deep.mkdir(parents=True)
    (shop / "pipelines.yaml").write_text("version: 1\n")
    for folder in (deep, tmp_path):
        monkeypatch.chdir(folder)
        assert run("validate") == 1
        error = capsys.readouterr().err
        assert (
            f"error: pipelines.yaml does not exist in {folder}\n  fix: cd {shop}, which has one; or" in error
        )
    (shop / "pipelines.yaml").unlink()
    assert run("validate") == 1
    assert "fix: `changelane init` writes a first one" in capsys.readouterr().err


def test_the_help_lists_each_command_once_in_the_order_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line.rstrip(":") for line in lines if line.rstrip(":") in GROUPS]
    assert titles == ["Declare", "Apply", "Work", "Operate", "Look"]
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line.split()[0] in COMMANDS]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", ["catalog.json", "manifest.json"])
def test_a_file_that_the_system_refuses_is_one_line_and_its_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).mkdir()
    assert run("--out", str(tmp_path), "generate" if name == "catalog.json" else "plan") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0] == f"error: {tmp_path / name}: Is a directory"
    assert "--out" in error[1]
    assert len(error) == 2


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"manifest\.json does not exist"):
        main(["--debug", "--out", str(tmp_path), "work"])


def test_a_lock_that_was_not_obtained_exits_75() -> None:
    assert LockNotObtained("x").exit_code == 75


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2d", 172_800),
        ("1w", 604_800),
        ("5 minutes", 300),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("7", 7),
    ],
)
def test_an_option_takes_a_duration_as_the_spec_writes_it(text: str, seconds: float) -> None:
    option = click.Option(["--max-wait"])
    assert parse_duration(click.Context(click.Command("apply")), option, text) == seconds
    assert text == "7" or read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 month", "1h30m", "٣s", "9" * 400])
def test_text_that_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write one as in 500ms, 90s"):
        parse_duration(click.Context(click.Command("apply")), click.Option(["--max-wait"]), text)
