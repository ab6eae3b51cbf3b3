"""PgBouncer in transaction mode, before a test's database."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from changelane.runner.local import account

SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
server_check_query =
server_reset_query =
log_connections = 0
log_disconnections = 0
"""


def find_pgbouncer() -> str:
    path = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None and os.environ.get("CI"):
        pytest.fail("pgbouncer is not installed")
    if path is None:
        pytest.skip("pgbouncer is not installed")
    return path


@contextmanager
def run_pooler(url: str, folder: Path, *, size: int) -> Iterator[str]:
    """The URL of the same database through PgBouncer, with so many server connections."""
    program = find_pgbouncer()
    parameters = conninfo_to_dict(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    # Like Postgres, it refuses root; so it runs as the server does, in a folder that this account reaches.
    owner = Path(str(parameters["host"])).stat()
    runner = account.Account(uid=owner.st_uid, gid=owner.st_gid) if os.geteuid() == 0 else account.Account()
    home = Path(tempfile.mkdtemp(prefix="changelane-pooler-", dir="/var/tmp"))
    runner.own(home)
    settings = home / "pgbouncer.ini"
    settings.write_text(
        SETTINGS.format(
            host=parameters["host"],
            port=parameters["port"],
            user=parameters["user"],
            listen=listen,
            size=size,
        )
    )
    log = folder / "pgbouncer.log"
    with log.open("wb") as output:
        process = runner.spawn([program, settings], stdout=output, stderr=output)
    pooled = f"postgresql://{parameters['user']}@127.0.0.1:{listen}/{parameters['dbname']}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(pooled).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield pooled
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)
