"""Files that somebody names for output: the whole of it or nothing, and never over what is read."""

from __future__ import annotations

import importlib
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

import cadence.cli
from cadence.cli import files
from cadence.cli.files import write_text, writing
from cadence.errors import InputError, StoreError
from cadence.policy import builtin
from cadence.policy.write import to_toml
from test_cli import Cli, cli, db, jerry, raw

__all__ = ["cli", "db", "jerry", "raw"]  # fixtures

NONE = "no.db"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, to work in."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("before", [None, "what was there"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt])
def test_what_fails_half_way_leaves_what_was_there(
    folder: Path, before: str | None, error: BaseException
) -> None:
    file = folder / "out.txt"
    if before is not None:
        file.write_text(before, encoding="utf-8")
    kind = error if isinstance(error, type) else type(error)

    def fail() -> None:
        with writing("out.txt", db=NONE) as out:
            out.write(b"half of i")
            out.flush()
            raise error

    with pytest.raises(StoreError if kind is OSError else kind):
        fail()
    assert names(folder) == (set() if before is None else {"out.txt"})
    assert before is None or file.read_text(encoding="utf-8") == before


def test_nobody_sees_half_a_file(folder: Path) -> None:
    with writing("out.txt", db=NONE) as out:
        out.write(b"half")
        out.flush()
        assert not (folder / "out.txt").exists()
    assert (folder / "out.txt").read_bytes() == b"half"
    assert names(folder) == {"out.txt"}


def test_a_file_may_be_read_by_whom_the_umask_allows(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text("out.txt", "x", db=NONE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "out.txt").stat().st_mode) == 0o640


def test_a_link_stays_a_link_and_what_it_names_is_written(folder: Path) -> None:
    (folder / "link").symlink_to("far.txt")
    write_text("link", "é", db=NONE)
    assert (folder / "link").is_symlink()
    assert (folder / "far.txt").read_bytes() == "é".encode()


def test_a_pipe_is_written_into(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append((folder / "pipe").read_text()))
    reader.start()
    write_text("pipe", "through", db=NONE)
    reader.join(30)
    assert seen == ["through"]
    assert stat.S_ISFIFO((folder / "pipe").stat().st_mode)


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_never_replaces_one_that_came_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # as some file systems have none

        def refused(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(files.os, "link", refused)
    write_text("first.txt", "ours", db=NONE, new=True)
    assert (folder / "first.txt").read_text(encoding="utf-8") == "ours"

    def write() -> None:
        with writing("out.txt", db=NONE, new=True) as out:
            out.write(b"ours")
            (folder / "out.txt").write_text("theirs", encoding="utf-8")

    with pytest.raises(InputError, match="exists already"):
        write()
    assert (folder / "out.txt").read_text(encoding="utf-8") == "theirs"
    assert names(folder) == {"first.txt", "out.txt"}


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("no/such/out.txt", "No such file or directory"),
        (".", "Is a directory"),
        ("x" * 300, "too long"),
        ("a\0b", "null character"),
        ("", "Is a directory"),
    ],
)
def test_a_file_that_can_not_be_written_is_named_with_why(
    folder: Path, file: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        write_text(file, "x", db=NONE)
    assert "\n" not in caught.value.what
    assert names(folder) == set()


# Through the commands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("export",),
        ("export", "--format", "csv"),
        ("replay", "jerry", "--html"),
        ("replay", "--all", "--html"),
        ("policy", "show", "tip8", "--html"),
        ("policy", "check", "seven.toml", "--save"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["{db}", "{db}-wal", "other-name.db"])
def test_no_command_writes_over_the_database(
    jerry: Cli, folder: Path, db: Path, arguments: tuple[str, ...], name: str
) -> None:
    text = to_toml(builtin()).replace("times = 6", "times = 7")
    (folder / "seven.toml").write_text(text, encoding="utf-8")
    (folder / "other-name.db").symlink_to(db)
    Path(f"{db}-wal").touch()
    before = db.read_bytes()
    done = jerry(*arguments, name.format(db=db))
    assert done.code == 2, done
    assert "is the database itself" in done.err
    assert done.err.count("\n") == 2
    assert db.read_bytes() == before


def test_a_page_of_a_policy_goes_to_standard_output(raw: Cli, folder: Path) -> None:
    done = raw("policy", "show", "tip8", "--html", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<!doctype html>")
    assert raw("policy", "show", "tip8", "--html", "page.html").code == 0
    assert (folder / "page.html").read_text(encoding="utf-8") == done.out
    refused = raw("policy", "check", "tip8", "--save", "-")
    assert refused.code == 2
    assert refused.err.count("\n") == 2


def test_an_export_that_fails_half_way_leaves_the_one_before(
    jerry: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cadence.history import formats

    assert jerry("export", "out.jsonl").code == 0
    before = (folder / "out.jsonl").read_bytes()
    assert before

    def full(store: object, out: object, *, progress: object) -> int:
        out.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(formats.EXPORTS, "jsonl", full)
    done = jerry("export", "out.jsonl")
    assert (done.code, done.out) == (1, "")
    assert "out.jsonl: No space left on device" in done.err
    assert (folder / "out.jsonl").read_bytes() == before
    assert names(folder) == {"out.jsonl"}


# Where there is no POSIX terminal -----------------------------------------------------------------


def test_without_termios_only_the_viewer_is_missing_and_says_so(
    jerry: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("termios", "tty"):
        monkeypatch.setitem(sys.modules, name, None)
    # Imported anew, as where it has never been; other tests keep theirs.
    monkeypatch.delitem(sys.modules, "cadence.cli.viewer", raising=False)
    monkeypatch.setattr(cadence.cli, "viewer", None, raising=False)
    viewer = importlib.import_module("cadence.cli.viewer")
    monkeypatch.setattr(viewer, "can_view", lambda: True)
    done = jerry("replay", "jerry", "-i")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 2
    assert "termios is missing" in done.err
    assert jerry("replay", "jerry").code == 0
