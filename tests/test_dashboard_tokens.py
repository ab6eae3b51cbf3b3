"""The dashboard's file of tokens, and the header that names a person."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from changelane.errors import ChangelaneError
from changelane.runner.dashboard.web.proxies import read_persons, read_proxies
from changelane.runner.dashboard.web.tokens import Tokens, read_tokens

ALICE, BOT = ("a" * 20, "b" * 20)


def write(file: Path, text: str) -> Path:
    file.touch(0o600)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no token"),
        ("alice operate", "2 words"),
        (f"alice admin {ALICE}", "neither read nor operate"),
        ("alice read short", "can be guessed"),
        (f"al<b>ice read {ALICE}", "the name holds"),
        (f"alice read {ALICE}\nalice read {BOT}", "is there twice"),
        (f"alice read {ALICE}\nbot read {ALICE}", "has the token of another"),
    ],
)
def test_a_wrong_line_is_named_and_its_token_never(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ChangelaneError) as caught:
        read_tokens(write(tmp_path / "tokens", text))
    assert said in caught.value.what
    assert ALICE not in str(caught.value) + caught.value.fix


@pytest.mark.parametrize("kind", ["open", "folder", "none", "pipe", "large", "bytes"])
def test_a_file_that_is_not_for_its_owner_alone_is_refused(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path / "tokens", f"alice read {ALICE}\n")
    said = "chmod 600"
    if kind == "open":
        file.chmod(0o640)
    elif kind == "folder":
        file, said = tmp_path, "that is there"
    elif kind == "none":
        file, said = tmp_path / "elsewhere", "that is there"
    elif kind == "pipe":
        file, said = tmp_path / "pipe", "a line for each token"
        os.mkfifo(file, 0o600)
    elif kind == "large":
        file.write_bytes(b"#" * 1_048_577)
        said = "tokens alone"
    else:
        file.write_bytes(b"\xff\xfe")
        said = "as text"
    with pytest.raises(ChangelaneError) as caught:
        read_tokens(file)
    assert said in caught.value.fix


def test_tokens_tell_their_holders_and_show_no_token(tmp_path: Path) -> None:
    file = write(tmp_path / "tokens", f"# of the shop\nalice operate {ALICE}\nbot read {BOT}\n")
    tokens = Tokens("c" * 20, file=file)
    found = [tokens.admit(token) for token in (ALICE, BOT, "c" * 20, "d" * 20, "", "\u00e9")]
    assert [holder and (holder.name, holder.right) for holder in found] == [
        ("alice", "operate"), ("bot", "read"), ("token", "operate"), None, None, None,
    ]  # fmt: skip
    assert ALICE not in repr(found)
    assert not Tokens(None).guarded


def test_a_name_is_believed_from_loopback_and_named_addresses_alone() -> None:
    persons = read_persons("X-Forwarded-User", read_proxies(["10.0.0.0/24"]))
    headers = Headers({"x-forwarded-user": "zoe"})
    for peer in ("127.0.0.1", "::1", "10.0.0.7", "::ffff:10.0.0.7"):
        assert persons.find_name(peer, headers) == "zoe by ", peer
    for peer in ("10.0.1.7", "192.0.2.1", "unknown", ""):
        assert persons.find_name(peer, headers) == "", peer
    assert read_persons("", read_proxies([])).find_name("127.0.0.1", headers) == ""


@pytest.mark.parametrize("name", ["Cookie", "authorization", "X Y", "X-Forwarded-For", "a:b"])
def test_a_header_that_names_nobody_is_refused(name: str) -> None:
    with pytest.raises(ChangelaneError, match="is no header that names a person"):
        read_persons(name, read_proxies([]))
