from __future__ import annotations

import resource
from pathlib import Path

import pytest

from changelane.contract.file import write_whole


def test_a_file_holds_the_last_content_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.sql"
    write_whole(path, "é\n")
    write_whole(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_written_to_its_end_stays_as_it_was_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.sql"
    write_whole(path, "before\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_whole(path, "after\n" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(path)
    assert path.read_text() == "before\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_its_place_is_replaced_and_one_at_the_part_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept\n")
    path = tmp_path / "out" / "file.sql"
    path.parent.mkdir()
    path.symlink_to(victim)
    write_whole(path, "ours\n")
    assert (path.is_symlink(), path.read_text(), victim.read_text()) == (False, "ours\n", "kept\n")
    # Also an attacker who knew the name beforehand.
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * size)
    (path.parent / ".file.sql.00000000.part").symlink_to(victim)
    with pytest.raises(OSError, match="File exists"):
        write_whole(path, "theirs\n")
    assert (path.read_text(), victim.read_text()) == ("ours\n", "kept\n")
