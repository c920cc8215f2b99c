"""Files that somebody names for output: the whole of it or nothing, and never over what is read."""

from __future__ import annotations

import ast
import importlib
import os
import re
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

import cadence.cli
from cadence.cli import files
from cadence.cli.commands import full_command_line
from cadence.cli.files import write_text, writing
from cadence.errors import InputError, StoreError
from cadence.policy import builtin
from cadence.policy.writer import to_toml

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
        ("x" * 300, "too long"),
        ("a\0b", "null character"),
    ],
)
def test_a_file_that_can_not_be_written_is_named_with_why(
    folder: Path, file: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said) as caught:
        write_text(file, "x", db=NONE)
    assert "\n" not in caught.value.what
    assert names(folder) == set()


@pytest.mark.parametrize("file", [".", ""])
def test_a_directory_is_bad_input(folder: Path, file: str) -> None:
    with pytest.raises(InputError, match="is a directory"):
        write_text(file, "x", db=NONE)
    assert names(folder) == set()


def test_inputs_of_any_kind_are_kept(folder: Path) -> None:
    (folder / "rows.csv").write_text("their rows", encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.csv: is the import file itself"):
        write_text("./rows.csv", "x", db=NONE, inputs={"rows.csv": "import file"})
    assert (folder / "rows.csv").read_text(encoding="utf-8") == "their rows"


# Through the commands -----------------------------------------------------------------------------


# How each command that writes a file is called, by the parameter that names the file ({}).
CALLS: dict[str, list[tuple[str, ...]]] = {
    "export file": [("export", "--format", kind, "{}") for kind in ("jsonl", "csv", "xes")],
    "replay html": [
        ("replay", "--all", "--html", "{}"),
        ("replay", "jerry", "--html", "{}"),
        ("replay", "jerry", "--policy", "p.toml", "--html", "{}"),
    ],
    "whatif html": [
        ("whatif", "--policy", "tip8", "--html", "{}"),
        ("whatif", "--policy", "p.toml", "--html", "{}"),
        ("whatif", "--policy", "p.toml", "--json", "--html", "{}"),
    ],
    "policy show html": [("policy", "show", name, "--html", "{}") for name in ("tip8", "p.toml")],
    "policy check save": [("policy", "check", "seven.toml", "--save", "{}")],
    "policy new file": [("policy", "new", "{}")],
}
# Parameters that speak of files and write none.
INPUTS = {
    *("import file", "import mapping", "audit policy", "replay policy", "whatif policy"),
    *("suppress file", "note value_file"),
}
GLOBAL = {"db", "at", "json"}
A_FILE = re.compile(r"file|path|page|folder|toml|html|csv|\bout\b|output|\bsave\b|write", re.I)

# Files that no command may write over, by the name that it is given.
DATABASE = {
    "{db}": "by its name",
    "../here/../cadence.db": "by another spelling",
    "{db}-wal": "its log",
    "{db}-shm": "its index",
    "{db}-journal": "its journal, which is not there",
    "link-to-db.toml": "by a symbolic link",
    "twin-of-db.toml": "by a hard link",
    "twin-of-wal.toml": "its log by a hard link",
}
POLICY = ("{policy}", "../here/./{policy}", "link-to-policy.toml", "twin-of-policy.toml")


def file_parameters() -> dict[str, str]:
    """Every parameter of the command line that may name a file, with what it says of itself."""
    found: dict[str, str] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*path, name))
        for one in command.params:
            said = f"{one.name} {one.metavar or ''} {getattr(one, 'help', None) or ''}"
            takes_text = not one.is_eager and one.type.name == "text"
            if path and takes_text and one.name not in GLOBAL and A_FILE.search(said):
                found[" ".join((*path, one.name))] = said

    walk(full_command_line(), ())
    return found


def test_every_parameter_that_names_a_file_is_known_to_be_read_or_tested_here() -> None:
    assert set(file_parameters()) == set(CALLS) | INPUTS


def test_no_module_but_one_writes_files() -> None:
    # Where a module has to write files of its own, name it here with its reason.
    allowed = {"cli/files.py", "cli/main.py"}  # main puts the null device where stdout was closed
    source = Path(cadence.__file__).parent
    writers = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _writes(node):
                writers.add(path.relative_to(source).as_posix())
    assert writers == allowed


def _writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if isinstance(call.func, ast.Attribute) and name in ("write_text", "write_bytes"):
        return True
    if name != "open":
        return name in ("NamedTemporaryFile", "mkstemp")
    said = [*call.args, *(word.value for word in call.keywords)]
    modes = [one.value for one in said if isinstance(one, ast.Constant)]
    return any(re.fullmatch(r"[wax][bt+]*|r[bt]*\+[bt]*", str(mode)) for mode in modes)


@pytest.fixture
def kept(folder: Path, db: Path, jerry: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A database and two policies, each also reached by links, in :func:`folder`."""
    (folder / "p.toml").write_text(to_toml(builtin()), encoding="utf-8")
    seven = to_toml(builtin()).replace("times = 6", "times = 7")
    (folder / "seven.toml").write_text(seven, encoding="utf-8")
    for end in ("-wal", "-shm"):
        Path(f"{db}{end}").touch()
    (folder / "link-to-db.toml").symlink_to(db)
    (folder / "twin-of-db.toml").hardlink_to(db)
    (folder / "twin-of-wal.toml").hardlink_to(f"{db}-wal")
    (folder / "folder.toml").mkdir()
    (folder / "device.toml").touch()
    monkeypatch.setattr(Path, "is_block_device", lambda path: path.name == "device.toml")
    return jerry


ALL_CALLS = [call for calls in CALLS.values() for call in calls]


def _policy_of(call: tuple[str, ...]) -> str | None:
    return next((one for one in call if one.endswith(".toml")), None)


def _refuses(kept: Cli, folder: Path, db: Path, call: tuple[str, ...], name: str) -> str:
    """The first line on stderr of a call that is refused and changes nothing."""
    files = [db, *folder.glob("*.toml")]
    before = {path: path.read_bytes() for path in files if path.is_file()}
    there = names(folder)
    done = kept(*(one.format(name) for one in call))
    assert (done.code, done.out) == (2, ""), done
    assert done.err.count("\n") == 2, done.err
    assert {path: path.read_bytes() for path in before} == before
    assert names(folder) == there
    return done.err.splitlines()[0]


@pytest.mark.parametrize("name", DATABASE)
@pytest.mark.parametrize("call", ALL_CALLS, ids=" ".join)
def test_no_command_writes_over_the_database(
    kept: Cli, folder: Path, db: Path, call: tuple[str, ...], name: str
) -> None:
    said = _refuses(kept, folder, db, call, name.format(db=db))
    if call[1] != "new":  # which takes only names of files that are not there
        assert said.endswith("is the database itself")


@pytest.mark.parametrize("name", POLICY)
@pytest.mark.parametrize("call", list(filter(_policy_of, ALL_CALLS)), ids=" ".join)
def test_no_command_writes_over_the_policy_that_it_reads(
    kept: Cli, folder: Path, db: Path, call: tuple[str, ...], name: str
) -> None:
    policy = str(_policy_of(call))
    (folder / "link-to-policy.toml").symlink_to(policy)
    (folder / "twin-of-policy.toml").hardlink_to(policy)
    said = _refuses(kept, folder, db, call, name.format(policy=policy))
    assert said.endswith("is the policy itself")


@pytest.mark.parametrize("name", ["folder.toml", "device.toml"])
@pytest.mark.parametrize("call", ALL_CALLS, ids=" ".join)
def test_no_command_writes_over_a_directory_or_a_block_device(
    kept: Cli, folder: Path, db: Path, call: tuple[str, ...], name: str
) -> None:
    said = _refuses(kept, folder, db, call, name)
    if call[1] != "new":
        assert said.endswith("is a directory" if name == "folder.toml" else "is a block device")


@pytest.mark.parametrize("call", ALL_CALLS, ids=" ".join)
def test_every_command_writes_all_of_a_file_or_nothing(
    kept: Cli, folder: Path, call: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = 1 if "--save" in call else 0  # a refuted policy
    assert kept(*(one.format("out.toml") for one in call)).code == code
    written = (folder / "out.toml").read_bytes()
    assert written
    there = names(folder)
    if call[1] != "new":
        (folder / "link.toml").symlink_to("out.toml")
        assert kept(*(one.format("link.toml") for one in call)).code == code
        assert (folder / "link.toml").is_symlink()
        assert names(folder) == {*there, "link.toml"}

    def full(*_: object, new: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_put", full)
    target = "second.toml" if call[1] == "new" else "out.toml"
    there = names(folder)
    done = kept(*(one.format(target) for one in call))
    assert (done.code, done.err.count("\n")) == (1, 2), done
    assert f"{target}: No space left on device" in done.err
    assert (folder / "out.toml").read_bytes() == written
    assert names(folder) == there


def test_a_page_of_a_policy_goes_to_standard_output(raw: Cli, folder: Path) -> None:
    done = raw("policy", "show", "tip8", "--html", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<!DOCTYPE html>")
    assert raw("policy", "show", "tip8", "--html", "page.html").code == 0
    assert (folder / "page.html").read_text(encoding="utf-8") == done.out
    refused = raw("policy", "check", "tip8", "--save", "-")
    assert refused.code == 2
    assert refused.err.count("\n") == 2


def test_an_export_that_fails_half_way_leaves_the_one_before(
    jerry: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cadence.transfer import formats

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
    assert "missing termios" in done.err
    assert jerry("replay", "jerry").code == 0
