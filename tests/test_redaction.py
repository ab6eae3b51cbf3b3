"""No error about a spec shows a secret that somebody wrote into it by mistake."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from changelane.cli import main
from changelane.diagnostic import render_github, render_json, render_text
from changelane.errors import SpecError
from changelane.generator.spec.loading import read_spec
from changelane.generator.spec.yaml_reader import parse_source
from changelane.generator.spec.yaml_source import Source

HEAD = "version: 1\nproject: shop\nqueues: {events: {}}\n"
SECRET = "hunter2-Zz9!q"

NATS = "destinations:\n  bus: {nats: {servers: ['nats://n1:4222'], "
KAFKA = "destinations:\n  log:\n    kafka:\n      servers: ['k1:9092']\n      "
HTTP = "destinations:\n  hook:\n    http:\n      url: https://a.example.com/\n      "

SPECS = {
    "password": NATS + "username: relay, password: %s}}\n",
    "in quotes": NATS + "token: '%s'}}\n",
    "on a line of its own": KAFKA + "password:\n        %s\n",
    "a block": KAFKA + "password: |\n        %s\n",
    "among options": "destinations:\n  log: {kafka: {servers: ['k1:9092'], options: {sasl.password: %s}}}\n",
    "options in lines": KAFKA + "options:\n        ssl.key.pem: %s\n",
    "userinfo": "destinations:\n  cache: {redis: {url: 'redis://relay:%s@cache:6379/0'}}\n",
    "userinfo of NATS": "destinations:\n  bus: {nats: {servers: ['nats://relay:%s@n1:4222']}}\n",
    "userinfo with a slash": "destinations:\n  cache: {redis: {url: 'redis://relay:a/%s@cache:6379/0'}}\n",
    "userinfo without a scheme": "destinations:\n  log: {kafka: {servers: ['relay:%s@k1:9092']}}\n",
    "userinfo in HTTP": "destinations:\n  hook: {http: {url: 'https://relay:%s@api.example.com/'}}\n",
    "a header": HTTP + "headers: {Authorization: %s}\n",
    "a signing secret": HTTP + "sign: {standard_webhooks: [whsec_%s]}\n",
    "where a variable is named": NATS + "token: {env: '%s'}}}\n",
    "an unknown key of a secret": NATS + "token: {value: %s}}}\n",
    "as a key": NATS + "token: {%s: x}}}\n",
    "a list": NATS + "token: [%s]}}\n",
    "beside another mistake": "destinations:\n  bus: {nats: {server: [], token: {env: A}, secret: %s}}\n",
    "twice": NATS + "token: {env: A}, token: %s}}\n",
    "a second mapping": "destinations: {}\ndestinations: {bus: {nats: {token: %s}}}\n",
    "an anchor": NATS + "username: a, password: &p %s}}\n"
    "  log: {kafka: {servers: ['k1:9092'], security: sasl_ssl, password: *p}}\n",
    "a misspelt section": "destination: {bus: {nats: {password: %s}}}\n",
    "no YAML": "destinations:\n  bus: {nats: {password: %s, username: 'open}}\n",
    "no YAML on that line": KAFKA + 'password: "%s\n',
    "no YAML below": KAFKA + "password: |\n        %s\x01\n",
}


def explain(path: Path) -> str:
    """All errors in all formats."""
    with pytest.raises(SpecError) as caught:
        read_spec(path)
    problems = caught.value.diagnostics
    assert all(problem.span.line > 1 for problem in problems)
    return "\n".join(
        [render_text(problems), render_json(problems), render_github(problems), str(caught.value)]
    )


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(HEAD + text % SECRET)
    assert SECRET not in explain(path)
    assert "hunter2" not in explain(path)


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_validate_points_at_a_secret_and_shows_none(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pipelines.yaml"
    path.write_text(HEAD + SPECS["password"] % SECRET)
    with pytest.raises(SystemExit) as stop:
        main(["--file", str(path), "--out", str(tmp_path / "sql_out"), "validate", "--format", form])
    assert stop.value.code == 1
    said = "".join(capsys.readouterr())
    assert "CL112" in said
    assert SECRET not in said
    if form == "json":
        (problem,) = json.loads(said)["diagnostics"]
        assert problem["span"]["line"] == 5
        assert problem["source"][problem["span"]["column"] - 1 :] == "*" * len(SECRET) + "}}"


def test_lines_without_a_secret_are_shown_unchanged() -> None:
    text = (
        f"{HEAD}routes:\n  - name: r\n"
        "    payload: {mask: {password: sha256}, extra: {token: 'upper(new.a)'}}\n"
        "destinations:\n  bus: {nats: {servers: ['nats://n1:4222'], token: {env: NATS_TOKEN}}}\n"
        "  hook: {http: {url: 'https://a.example.com/x', headers: {Authorization: {file: /run/secrets/a}}}}\n"
    )
    source = Source(text, file="pipelines.yaml")
    for _ in range(2):
        for number, line in enumerate(text.splitlines(), start=1):
            assert source.read_line(number) == line
        assert parse_source(source) == []


def test_a_hostile_text_takes_no_time() -> None:
    began = time.process_time()
    for piece in ("://", "a:b", "a@", "password: ", "'", "::", "password:\n ", "{[,"):
        source = Source(piece * (900_000 // len(piece)), file="pipelines.yaml")
        for _ in range(20):
            source.read_line(1)
    assert time.process_time() - began < 20
