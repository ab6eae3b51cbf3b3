"""A spec that changed after generate, a renamed project, and confirmation without a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow
from support.dashboard import open_panel

Connection = psycopg.Connection[TupleRow]

SPEC = """
version: 1
project: shop
queues:
  events: {}
routes:
  - {name: placed, table: public.orders, events: [insert], queue: events}
consumers:
  events: {handler: "handlers:handle"}
"""


@pytest.fixture
def spec(conn: Connection, tmp_path: Path, run_changelane: Any) -> Path:
    """The spec of a project that is generated and not applied yet."""
    conn.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    (tmp_path / "handlers.py").write_text(
        "from changelane import Change\n\n\ndef handle(change: Change) -> None: ...\n"
    )
    spec = tmp_path / "pipelines.yaml"
    spec.write_text(SPEC)
    for command in ("inspect", "generate"):
        assert run_changelane(command).returncode == 0
    return spec


@pytest.fixture
def applied(spec: Path, run_changelane: Any) -> Path:
    assert run_changelane("apply", "--yes").returncode == 0
    return spec


def test_a_spec_that_changed_is_never_said_to_match(
    applied: Path, conn: Connection, run_changelane: Any
) -> None:
    verified = run_changelane("verify")
    assert (verified.returncode, verified.stdout) == (0, "Database matches sql_out/.\n")
    applied.write_text(SPEC + "# a comment\n")
    assert run_changelane("verify").returncode == 0
    applied.write_text(SPEC.replace("events: [insert]", "events: [insert, delete]"))
    for command in (["plan"], ["apply", "--yes"], ["verify"], ["verify", "--expect", "absent"]):
        failed = run_changelane(*command)
        assert failed.returncode == 1
        assert "pipelines.yaml changed since sql_out was generated from it" in failed.stderr
        assert "changelane generate" in failed.stderr
        assert failed.stdout == ""
    assert "warning: pipelines.yaml changed since" in run_changelane("status").stderr
    worked = run_changelane("work", "--drain")
    assert worked.returncode == 0
    assert "pipelines.yaml changed since sql_out was generated from it" in worked.stderr
    found = run_changelane("doctor", "--format", "json")
    assert "spec-changed" in {finding["code"] for finding in json.loads(found.stdout)["findings"]}
    assert run_changelane("generate").returncode == 0
    assert run_changelane("plan").returncode == 0
    applied.unlink()
    alone = run_changelane("plan")
    assert alone.returncode == 0
    assert "pipelines.yaml is not here, so sql_out was not held against it" in alone.stderr


def test_a_renamed_project_leaves_nothing_behind_in_silence(
    applied: Path, conn: Connection, run_changelane: Any
) -> None:
    applied.write_text(SPEC.replace("project: shop", "project: store"))
    for command in (
        ["destroy", "--yes"],
        ["purge", "events", "--yes"],
        ["dead-letter", "discard", "events", "--yes"],
        ["unblock", "events", "--discard", "--yes"],
        ["maintain"],
        ["apply", "--prune", "--yes"],
    ):
        refused = run_changelane(*command)
        assert refused.returncode == 1, command
        assert "pipelines.yaml is of project store, sql_out of shop" in refused.stderr
    renamed = run_changelane("generate")
    assert renamed.returncode == 0
    assert "project shop is project store now" in renamed.stderr
    assert "1 triggers on public.orders; queues events, events_dlq" in renamed.stderr
    assert "changelane destroy --project shop" in renamed.stderr
    assert "project shop" not in run_changelane("generate").stderr

    planned = run_changelane("plan")
    assert re.search(r"trigger \"!placed_insert_\w+\" on public.orders is of project shop", planned.stdout)
    assert run_changelane("apply", "--yes").returncode == 0
    found = json.loads(run_changelane("doctor", "--format", "json").stdout)["findings"]
    (said,) = [finding for finding in found if finding["code"] == "other-project"]
    assert "is of project shop, and sends to events" in said["what"]
    conn.execute("INSERT INTO orders VALUES (1)")
    assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (2,)

    destroyed = run_changelane("destroy", "--yes", "--project", "shop")
    assert destroyed.returncode == 0, destroyed.stderr
    assert destroyed.stdout.startswith("Project shop\n")
    assert "is of project" not in run_changelane("plan").stdout
    assert run_changelane("verify").returncode == 0
    conn.execute("INSERT INTO orders VALUES (2)")
    assert conn.execute("SELECT count(*) FROM pgmq.q_events").fetchone() == (3,)


def test_every_command_that_destroys_begins_with_its_projects_name(
    applied: Path, conn: Connection, run_changelane: Any
) -> None:
    conn.execute("INSERT INTO orders VALUES (1)")
    for command in (
        ["purge", "events", "--yes"],
        ["dead-letter", "discard", "events", "--yes"],
        ["unblock", "events", "--discard", "--yes"],
        ["maintain"],
    ):
        assert run_changelane(*command).stdout.startswith("Project shop\n"), command
    silent = run_changelane("purge", "events", "--yes", "--format", "json")
    assert json.loads(silent.stdout)["purged"] == 0
    assert silent.stderr.startswith("Project shop\n")
    applied.write_text(SPEC[: SPEC.index("routes:")] + "routes: []\n")
    assert run_changelane("generate").returncode == 0
    pruned = run_changelane("apply", "--prune", "--yes")
    assert pruned.stdout.startswith("Project shop\n")
    assert run_changelane("destroy", "--yes").stdout.startswith("Project shop\n")


@pytest.mark.parametrize("options", [[], ["--format", "json"], ["--single-transaction"]])
def test_an_apply_that_nobody_confirmed_changes_nothing(
    spec: Path, conn: Connection, run_changelane: Any, options: list[str]
) -> None:
    refused = run_changelane("apply", *options, input="y\n")
    assert refused.returncode == 1
    assert "add --yes" in refused.stderr
    assert conn.execute("SELECT to_regnamespace('changelane')").fetchone() == (None,)
    assert run_changelane("apply", "--yes", *options).returncode == 0
    # With nothing to do there is nothing to confirm.
    assert run_changelane("apply", *options).returncode == 0


@pytest.mark.parametrize("piped", [True, False])
def test_a_terminal_is_asked_only_where_it_can_read_the_plan(
    spec: Path, conn: Connection, database: str, piped: bool
) -> None:
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "changelane", "apply"],
        cwd=spec.parent,
        env={**os.environ, "DATABASE_URL": database},
        stdin=inner,
        stdout=subprocess.PIPE if piped else inner,
        stderr=subprocess.PIPE,
    )
    os.close(inner)
    os.write(outer, b"y\n")
    _, errors = process.communicate(timeout=120) if piped else (b"", b"")
    if not piped:
        shown = b""
        while b"Applied and verified" not in shown:
            shown += os.read(outer, 65536)
        process.wait(timeout=120)
    os.close(outer)
    done = conn.execute("SELECT to_regnamespace('changelane')").fetchone() != (None,)
    assert (process.returncode, done) == ((1, False) if piped else (0, True)), errors


def test_the_dashboard_says_that_the_spec_changed(
    applied: Path, database: str, tmp_path: Path, run_changelane: Any
) -> None:
    with open_panel(tmp_path, database) as panel:
        panel.wait("/", lambda page: "data-drift>in step<" in page.text)
        assert "sql_out was generated" not in panel.open("/").words
        applied.write_text(SPEC.replace("events: [insert]", "events: [insert, delete]"))
        page = panel.wait("/", lambda page: "changed since sql_out was generated from it" in page.words)
        assert "spec changed" in page.words
        assert "data-drift>in step<" not in page.text
        assert run_changelane("generate").returncode == 0
        panel.wait("/", lambda page: "changed since" not in page.words)
