from __future__ import annotations

from pathlib import Path

import pytest

from changelane.cli import COMMANDS, main
from changelane.errors import LockNotObtained


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
    assert "Did you mean 'apply'?" in capsys.readouterr().err


def test_a_missing_manifest_is_one_line_and_its_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", str(tmp_path), "work") == 1
    error = capsys.readouterr().err.splitlines()
    assert error[0] == f"error: {tmp_path / 'manifest.json'} does not exist"
    assert error[1].startswith("  fix: run `changelane generate`")
    assert len(error) == 2


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
