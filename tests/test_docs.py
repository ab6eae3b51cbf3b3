"""The pages of ``docs/`` show real output.

Of each page, blocks that name a file (```` ```sql shop.sql ````) are written, and the ``$`` lines of
``console`` blocks are run, in order, in a folder and with a local server of its own. Every line shown below a
command occurs in what it prints; ``...`` stands for lines left out; moments and sizes in bytes may differ.
What a page takes for granted is in its folder of ``tests/pages``, whose ``prepare.sh`` is run first.

``pytest tests/test_docs.py --update-golden`` rewrites the reference.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from changelane.cli import COMMANDS
from changelane.contract.manifest import load_manifest
from changelane.runner.local import server
from changelane.runner.local.binaries import find_binary

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"
PREPARED = Path(__file__).parent / "pages"
PAGES = sorted(page for page in DOCS.glob("*.md") if "```console\n$ changelane" in page.read_text())
BLOCK = re.compile(r"^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


PAY = """
    INSERT INTO shop.customers (email, name) VALUES ('ada@example.org', 'Ada');
    INSERT INTO shop.orders (customer_id, total) VALUES (1, 9.50), (1, 7);
    UPDATE shop.orders SET status = 'paid' WHERE id = 1;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "shop"
    path.mkdir()
    yield path
    server.remove(path / server.FOLDER)


def read_commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        while command.endswith("\\"):
            command = f"{command}\n{shown.pop(0)}"
        yield command, [line for line in shown if line.strip() and line.strip() != "..."]


def simplify(line: str) -> str:
    """Ignore differences in blanks, times, durations, and sizes of messages, which contain times."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "MOMENT", " ".join(line.split()))
    line = re.sub(r"in \d+\.\d\ds\b", "in N s", line)
    return re.sub(r"\b\d+ k?B\b", "N B", line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_do_as_the_page_says(page: Path, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{Path(find_binary('psql')).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    if (PREPARED / page.stem).is_dir():
        shutil.copytree(PREPARED / page.stem, folder, dirs_exist_ok=True)
        run("bash prepare.sh", folder=folder, environment=environment)
    for language, name, content in BLOCK.findall(page.read_text()):
        if name:
            (folder / name).write_text(content)
        elif language == "console":
            for command, shown in read_commands(content):
                printed = run(command, folder=folder, environment=environment)
                lines = {simplify(line) for line in printed.splitlines()}
                missing = [line for line in shown if simplify(line) not in lines]
                assert not missing, f"$ {command}\n{printed}"


def run(command: str, *, folder: Path, environment: dict[str, str]) -> str:
    """The output of a command, with stderr; it must exit 0."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, f"$ {command}\n{printed}"
    return printed


def test_every_page_with_commands_is_run() -> None:
    assert {
        "tutorial",
        "first-application",
        "backup",
        "supabase",
        "migrating",
        "handlers",
        "operations",
        "background-jobs",
    } <= {page.stem for page in PAGES}


def test_no_page_names_a_command_or_a_page_that_is_not_there() -> None:
    for page in (README, *DOCS.rglob("*.md")):
        text = page.read_text()
        for command in re.findall(r"(?:^\$ |`)changelane ([a-z][a-z-]*)", text, re.MULTILINE):
            assert command in COMMANDS, f"{page.name}: {command}"
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_spec_and_the_handler_of_the_readme_run_on_the_tables_of_the_shop(folder: Path) -> None:
    found = BLOCK.findall(README.read_text())
    blocks = {language: content for language, _, content in reversed(found)}
    (shown,) = (content for language, _, content in found if content.startswith("$ changelane inspect"))
    (folder / "handlers").mkdir()
    (folder / "handlers" / "orders.py").write_text(blocks["python"])
    (folder / "pipelines.yaml").write_text(blocks["yaml"])
    shutil.copy(DOCS.parent / "examples" / "shop" / "schema.sql", folder)
    (folder / "pay.sql").write_text(PAY)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder)}
    run("changelane db psql -f schema.sql", folder=folder, environment=environment)
    for command, _ in read_commands(shown):
        if "changelane work" in command:
            run("changelane db psql -f pay.sql", folder=folder, environment=environment)
            command = command.replace("changelane work", "changelane work --drain")
        run(command, folder=folder, environment=environment)
    receipts = "changelane db psql -Atc 'SELECT order_id, total FROM shop.receipts'"
    assert run(receipts, folder=folder, environment=environment) == "1|9.50\n"


SPECS = [
    content
    for language, _, content in BLOCK.findall((DOCS / "coming-from.md").read_text())
    if language == "yaml" and content.startswith("version: 1")
]


def test_a_spec_beside_that_of_others_is_valid_and_can_be_applied(folder: Path) -> None:
    (folder / "orders.sql").write_text(
        "CREATE TABLE orders (id bigint PRIMARY KEY, status text, total numeric);"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder)}
    run("changelane db psql --quiet --file orders.sql", folder=folder, environment=environment)
    run("changelane inspect", folder=folder, environment=environment)
    assert len(SPECS) == 4
    for content in SPECS:
        (folder / "pipelines.yaml").write_text(content)
        for command in ("validate", "generate", "apply --yes"):
            run(f"changelane {command}", folder=folder, environment=environment)


def read_scripts(page: str) -> list[str]:
    """The lines of a page's ``sh`` blocks."""
    blocks = BLOCK.findall((DOCS / page).read_text())
    return [line for language, _, text in blocks if language == "sh" for line in text.splitlines()]


def test_the_line_for_cron_keeps_up_the_queues(folder: Path) -> None:
    (line,) = read_scripts("operations.md")
    found = re.fullmatch(r"\*/10 \* \* \* \*  (cd /srv/shop && .*)", line)
    assert found
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder)}
    (folder / "pipelines.yaml").write_text(
        "version: 1\nproject: shop\nqueues: {events: {archive: {keep: 1 day}}}\n"
    )
    run(
        "changelane inspect && changelane generate && changelane apply --yes",
        folder=folder,
        environment=environment,
    )
    command = found[1].replace("/srv/shop", f"'{folder}'")
    assert "events" in run(command, folder=Path("/"), environment=environment)


@pytest.mark.parametrize("line", read_scripts("dashboard.md"))
def test_the_dashboard_starts_as_its_page_says(line: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder)}
    run("changelane db start", folder=folder, environment=environment)
    command = line.partition("#")[0].replace("=...", "=a-token-of-some-length")
    process = subprocess.Popen(
        ["bash", "-c", f"{'' if '=' in command.split()[0] else 'exec '}{command} --port 0"],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    with process:
        try:
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found
            with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/healthz", timeout=30) as answer:
                assert answer.status == 200
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_what_the_first_application_deploys_runs(folder: Path) -> None:
    """The unit's command in its folder, and the image's in one that holds what the image holds."""
    files = {
        name: text for _, name, text in BLOCK.findall((DOCS / "first-application.md").read_text()) if name
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    programs = Path(sys.executable).parent
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}
    for command in ("db psql --quiet --file schema.sql", "inspect", "generate", "apply --yes"):
        run(f"changelane {command}", folder=folder, environment=environment)
    environment["DATABASE_URL"] = run("changelane db url", folder=folder, environment=environment).strip()

    unit = files["mailer-worker.service"]
    placed = unit.replace("/srv/mailer/.venv/bin", str(programs)).replace("/srv/mailer", str(folder))
    (folder / "mailer-worker.service").write_text(placed)
    if shutil.which("systemd-analyze"):
        verify = "systemd-analyze verify ./mailer-worker.service"
        assert "mailer-worker" not in run(verify, folder=folder, environment=environment)
    (start,) = re.findall(r"^ExecStart=(.*)$", placed, re.MULTILINE)
    work_until_ready(start.split(), folder=folder, environment=environment)

    lines = files["Dockerfile"].splitlines()
    image = folder / "image"
    image.mkdir()
    for sources in (line.split()[1:-1] for line in lines if re.match(r"COPY [^-]", line)):
        for source in sources:
            if (folder / source).is_dir():
                shutil.copytree(folder / source, image / source)
            else:
                shutil.copy(folder / source, image)
    words = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith(("ENTRYPOINT", "CMD"))]
    work_until_ready([word for part in words for word in part], folder=image, environment=environment)


def work_until_ready(command: list[str], *, folder: Path, environment: dict[str, str]) -> None:
    """Run a worker on a free port until it is ready for messages, and ask it to end."""
    command[command.index("--metrics-port") + 1] = "0"
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    with process:
        try:
            found = next(filter(None, (re.search(r":(\d+)/metrics", line) for line in process.stderr)))
            for _ in range(300):
                with suppress(urllib.error.URLError):
                    urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/readyz", timeout=30).close()
                    break
                time.sleep(0.1)
            else:
                pytest.fail("it is not ready after 30 seconds")
        finally:
            process.terminate()
            process.stderr.read()
        assert process.wait() == 0


def test_the_reference_is_made_from_the_code_as_it_is(request: pytest.FixtureRequest) -> None:
    page = DOCS / "reference.md"
    made = subprocess.run(
        [sys.executable, str(DOCS / "reference.py")], capture_output=True, text=True, check=True
    ).stdout
    if request.config.getoption("--update-golden"):
        page.write_text(made)
    assert page.read_text() == made, "pytest tests/test_docs.py --update-golden"


def test_the_index_of_decisions_lists_each_record_with_its_status_and_date() -> None:
    made = subprocess.run(
        [sys.executable, str(DOCS / "decisions.py")], capture_output=True, text=True, check=True
    ).stdout
    assert (DOCS / "decisions" / "README.md").read_text() == made, "make docs"


def test_the_index_of_the_documentation_lists_each_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\((\w[\w-]*\.md)\)", index)) == pages


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_to_open_for_a_change_exist(page: str) -> None:
    rows = [line for line in (DOCS.parent / page).read_text().splitlines() if line.startswith("|")]
    named = [path for row in rows for path in re.findall(r"`((?:\w+/)+[\w.]*|\w+\.toml)`", row)]
    assert len(named) > 10
    assert [path for path in named if not (DOCS.parent / path).exists()] == []


def test_completion_offers_commands_and_options_in_bash(tmp_path: Path) -> None:
    script = """
        eval "$(changelane completion bash)"
        complete -p changelane
        COMP_WORDS=(changelane ins); COMP_CWORD=1; _changelane_completion changelane; echo "${COMPREPLY[@]}"
        COMP_WORDS=(changelane plan --fo); COMP_CWORD=2; _changelane_completion changelane
        echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-c", script], env={"PATH": path}, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "-F _changelane_completion changelane" in run.stdout
    assert run.stdout.splitlines()[1:] == ["inspect", "inspect --format"]


def test_completion_offers_the_names_of_the_manifest(tmp_path: Path) -> None:
    script = """
        eval "$(changelane completion bash)"
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _changelane_completion changelane
            echo "${COMPREPLY[*]}"; }
        complete_words changelane --out "$OUT" peek ""
        complete_words changelane --out "$OUT" dead-letter list ""
        complete_words changelane --out "$OUT" backfill cust
        complete_words changelane --out "$OUT" backfill customers --table shop.c
        complete_words changelane --out "$OUT" plan --only c
        complete_words changelane peek ""
    """
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OUT": str(DOCS.parent / "sql_out"),
    }
    run = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    manifest = load_manifest(DOCS.parent / "sql_out")
    queues = " ".join(sorted(queue.name for queue in manifest.queues))
    assert run.stdout.splitlines() == [queues, queues, "customers", "shop.customers", "customers", ""]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_has_a_script_for_other_shells(shell: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "changelane", "completion", shell],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_CHANGELANE_COMPLETE={shell}_complete" in run.stdout


def test_schema_prints_the_published_file(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "changelane", "schema"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == (DOCS.parent / "schema" / "pipelines.schema.json").read_text()
