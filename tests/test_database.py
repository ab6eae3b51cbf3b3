"""The choice of the database, the errors of an unreachable one, and passwords that stay hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import TupleRow

from changelane.errors import DatabaseError
from changelane.runner.live import database as databases
from changelane.runner.live import pgmq
from changelane.runner.local import server


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DATABASE_URL", "PGHOST", "PGSERVICE", "PGPORT", "PGCONNECT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_url_given_comes_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgresql://from-environment")
    environment.setenv("PGHOST", "elsewhere")
    assert databases.resolve("postgresql://given") == "postgresql://given"
    assert databases.resolve(None) == "postgresql://from-environment"


@pytest.mark.parametrize("name", ["PGHOST", "PGSERVICE"])
def test_variables_of_libpq_count_where_they_name_a_server(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv("DATABASE_URL", "")
    environment.setenv(name, "elsewhere")
    assert databases.resolve(None) == ""


def test_without_any_of_them_it_is_the_local_server_with_pgmq(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.chdir(tmp_path)
    # Names no server.
    environment.setenv("PGPORT", "1")
    try:
        with databases.connect(databases.resolve(None)) as conn:
            assert pgmq.detect(conn)
    finally:
        server.remove(tmp_path / server.FOLDER)


@pytest.mark.parametrize(
    ("conninfo", "redacted"),
    [
        ("", ""),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://u@h:5432/db?user=a@b", "postgresql://u@h:5432/db?user=a@b"),
        ("postgresql://h:5432,i:5433/db?user=a@b", "postgresql://h:5432,i:5433/db?user=a@b"),
        ("postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql://u:secret@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgres://u:se%40cret@[::1]:5432/db?a=b@c", "postgres://u:***@[::1]:5432/db?a=b@c"),
        ("postgresql://u:sec?ret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:sec/ret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:sec@ret@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:sec:ret@h/db", "postgresql://u:***@h/db"),
        ("postgresql:///db?user=u&password=secret&port=1", "postgresql:///db?user=u&password=***&port=1"),
        ("postgresql:///db?sslpassword=secret", "postgresql:///db?sslpassword=***"),
        ("mysql://u:secret@h/db", "mysql://u:***@h/db"),
        ("postgresql+psycopg://u:secret@h/db", "postgresql+psycopg://u:***@h/db"),
        ("u:sec=ret@h/db", "u:***@h/db"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        (r"password = 'se\'cr et' host=h", "password = *** host=h"),
        (r"password=se\ cret host=h", "password=*** host=h"),
        ("host=h password='unclosed secret", "host=h password=***"),
        ("host=h passfile=/home/u/.pgpass", "host=h passfile=/home/u/.pgpass"),
    ],
)
def test_a_conninfo_is_shown_without_its_password(conninfo: str, redacted: str) -> None:
    assert databases.redact(conninfo) == redacted


@given(
    password=st.text(min_size=8, alphabet=st.characters(exclude_characters="\0*", exclude_categories=["Cs"]))
)
def test_no_password_is_shown_however_it_is_encoded(password: str) -> None:
    encoded = quote(password, safe="")
    assert databases.redact(f"postgresql://u:{encoded}@h/db") == "postgresql://u:***@h/db"
    assert databases.redact(f"postgresql://h/db?password={encoded}") == "postgresql://h/db?password=***"
    pairs = psycopg.conninfo.make_conninfo(host="h", password=password)
    assert databases.redact(pairs) == "host=h password=***"


@pytest.mark.parametrize(
    ("conninfo", "reason"),
    [
        ("mysql://u:hunter2@h/db", "scheme mysql:// is not postgresql://"),
        ("postgresql+psycopg://u:hunter2@h/db", "scheme postgresql+psycopg:// is not postgresql://"),
        ("u:hunter2@h/db", "missing"),
        ("postgresql://u:hunter%zz2@h/db", "percent-encoded"),
        ("postgresql://u:hunter2@[::1/db", "IPv6"),
        ("postgresql://h/db?nonsense=1", '"nonsense"'),
        ("host=h password='hunter2", "unterminated quoted string"),
        ("postgresql://u:hunter2/x@localhost:1/db", "port"),
        ("postgresql://u:hunter2@h/db?connect_timeout=soon", "connect_timeout"),
    ],
)
def test_a_malformed_conninfo_is_an_error_that_says_why_and_tells_no_secret(
    conninfo: str, reason: str
) -> None:
    with pytest.raises(DatabaseError, match=reason.replace("+", r"\+")) as caught:
        databases.connect(conninfo)
    assert "\n" not in caught.value.what
    assert "hunter" not in caught.value.what
    assert caught.value.fix


def test_an_unreachable_server_is_an_error_of_one_line(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatabaseError) as caught:
        databases.connect("postgresql://app:app@127.0.0.1:1,[::1]:1/app")
    assert "postgresql://app:***@127.0.0.1:1,[::1]:1/app" in caught.value.what
    assert "127.0.0.1" in caught.value.what
    assert "\n" not in caught.value.what
    assert "--database-url" in caught.value.fix


def test_an_unknown_database_is_named(server: str) -> None:
    with pytest.raises(DatabaseError, match='database "nowhere" does not exist'):
        databases.connect(psycopg.conninfo.make_conninfo(server, dbname="nowhere", password="nowhere"))


def test_a_server_that_never_answers_is_given_up(environment: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(DatabaseError, match="timeout"):
            databases.connect(f"postgresql://u@127.0.0.1:{deaf.getsockname()[1]}/db?connect_timeout=2")
        environment.setattr(databases, "CONNECT_TIMEOUT", 2)
        with pytest.raises(DatabaseError, match="timeout"):
            databases.connect(f"postgresql://u@127.0.0.1:{deaf.getsockname()[1]}/db")


def test_a_connection_has_an_application_name_unless_the_conninfo_gives_one(database: str) -> None:
    show = "SELECT current_setting('application_name')"
    with databases.connect(database, application_name="changelane work") as conn:
        assert conn.autocommit
        assert conn.execute(show).fetchone() == ("changelane work",)
    with databases.connect(f"{database}&application_name=mine", autocommit=False) as conn:
        assert not conn.autocommit
        assert conn.execute(show).fetchone() == ("mine",)


def test_pgmq_is_detected_with_its_abilities(conn: psycopg.Connection[TupleRow]) -> None:
    assert pgmq.detect(conn) == pgmq.Pgmq(version=None, headers=True, last_read_at=True)
    assert pgmq.Pgmq(version=None, headers=True, last_read_at=True).installed_as == "sql"
    conn.execute("ALTER TYPE pgmq.message_record DROP ATTRIBUTE last_read_at CASCADE")
    assert pgmq.detect(conn) == pgmq.Pgmq(version=None, headers=True, last_read_at=False)


def test_pgmq_is_installed_once(bare_database: str) -> None:
    with databases.connect(bare_database) as conn:
        notices: list[Any] = []
        conn.add_notice_handler(notices.append)
        assert pgmq.detect(conn) is None
        pgmq.install(conn)
        pgmq.install(conn)
        assert notices == []
        conn.execute("SELECT pgmq.create('q')")
        assert conn.execute("SELECT pgmq.send('q', '{}')").fetchone() == (1,)


def test_installs_of_pgmq_at_once_end_in_one(bare_database: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def install() -> bool:
        with databases.connect(bare_database) as conn:
            pgmq.install(conn)
            return pgmq.detect(conn) is not None

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: install(), range(4)))


def test_a_role_that_may_not_install_pgmq_is_told_so(bare_database: str) -> None:
    with databases.connect(bare_database) as conn:
        role = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("CREATE ROLE {}").format(role))
        try:
            conn.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(role))
            with pytest.raises(DatabaseError, match="may not install it") as caught:
                pgmq.install(conn)
            assert "CREATE EXTENSION pgmq" in caught.value.fix
            assert pgmq.detect(conn) is None
        finally:
            conn.execute("RESET SESSION AUTHORIZATION")
            conn.execute(sql.SQL("DROP ROLE {}").format(role))
