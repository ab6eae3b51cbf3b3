import json
from pathlib import Path

import pytest

from changelane.cli import main

WRONG = "version: 1\nprojet: shop\n"


def run(path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["--file", str(path), "--out", str(path.parent / "sql_out"), "validate", "--format", form])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "pipelines.yaml"


def test_problems_as_text_are_on_stderr(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(WRONG)
    code, out, err = run(spec, "text", capsys)
    assert (code, out) == (1, "")
    assert f"{spec}:2:1: error[CL101]: unknown key `projet`" in err
    assert "did you mean `project`?" in err


def test_problems_as_data_are_on_stdout(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(WRONG)
    code, out, err = run(spec, "json", capsys)
    assert (code, err) == (1, "")
    assert [problem["code"] for problem in json.loads(out)["diagnostics"]] == ["CL102", "CL101"]
    code, out, err = run(spec, "github", capsys)
    assert (code, err) == (1, "")
    assert out.count("::error file=") == 2


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_spec_that_is_not_there_is_an_error_in_every_format(
    spec: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    code, out, err = run(spec, form, capsys)
    assert (code, out) == (1, "")
    assert "does not exist" in err
