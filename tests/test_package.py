"""What a user installs, and what the command line and the worker load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parent.parent
HEAVY = {"psycopg", "pydantic", "jinja2", "pglast", "yaml", "rich", "structlog", "orjson", "asyncio"}


def list_modules(code: str) -> set[str]:
    """Top-level modules loaded once ``code`` has run in a fresh interpreter."""
    program = f"import sys\n{code}\nprint(*sorted(sys.modules), sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stderr.splitlines())


def test_a_wheel_holds_one_package_with_its_sql_and_templates(tmp_path: Path) -> None:
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", *build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"changelane"}
    kept = ROOT / "changelane", ROOT / "generator", ROOT / "runner"
    files = {path for folder in kept for path in folder.rglob("*") if path.is_file()}
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert "runner/dashboard/static/style.css" in expected
    assert {f"changelane/{name.removeprefix('changelane/')}" for name in expected} <= names


def test_help_loads_nothing_that_it_does_not_need() -> None:
    code = "from changelane.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not HEAVY & list_modules(code)


def test_the_worker_loads_neither_pglast_nor_the_generator() -> None:
    modules = list_modules("import changelane.commands.work")
    assert "changelane.runner.work.process.worker" in modules
    assert not {name for name in modules if name.startswith(("pglast", "changelane.generator"))}


def test_a_handler_s_imports_load_no_more_than_they_name() -> None:
    assert not HEAVY & list_modules("from changelane import Change, DeadLetter, Discard, Retry")


def test_the_worker_loads_neither_metrics_nor_traces_unasked() -> None:
    modules = list_modules("import changelane.commands.work")
    assert not {name for name in modules if name.startswith(("prometheus_client", "opentelemetry"))}
