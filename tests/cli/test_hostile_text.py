"""No text of a user, a file or a database steers the terminal, whichever command shows it.

Everything that is written goes through ``cli/terminal.py``, so these tests try every command and
every parameter rather than a list of known places.
"""

from __future__ import annotations

import ast
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from clocks import AFTER
from command_line import Cli
from hypothesis import given
from hypothesis import strategies as st
from terminals import shown

from cadence.cli import terminal
from cadence.cli.commands import command_line

HOSTILE = "\x1b]0;PWN\x07\x1b[31mRED\x1b[0m\u202eRTL\u2028\r\nFAKE\x9b31m\x7f\U000e0001"
AT = "2026-12-07T15:00:00Z"
SOURCES = Path(terminal.__file__).parent
STYLES = re.compile(r"\x1b\[(?:[124]|3[1-6]|0)(?:;(?:[124]|3[1-6]))*m")


def line(kind: str, version: int, data: dict[str, object]) -> str:
    envelope = dict.fromkeys(("by", "correlation", "command_id", "uncertain"), HOSTILE)
    at = f"2026-11-30T15:{version:02}:00Z"
    return json.dumps(
        {"prospect": "eve", "version": version, "type": kind, "occurred_at": at, "data": data}
        | envelope
        | {"meta": {HOSTILE: HOSTILE}}
    )


def history() -> str:
    """A history that has hostile text wherever an event may have text."""
    x = HOSTILE
    point = {"channel": "call", "address": x}
    names = ("name", "company", "source", "owner", "given_name", "family_name", "salutation")
    part = {"channel": "call", "disposition": "no_answer", "address": x}
    kinds: list[tuple[str, dict[str, object]]] = [
        (
            "ProspectAdded",
            {**dict.fromkeys(names, x), "timezone": "UTC", "contact_points": [point]},
        ),
        ("ContactPointAdded", {"channel": "email", "address": "e@example.com", "reason": x}),
        ("ContactPointFailed", {**point, "reason": "bounced", "why": x}),
        ("ContactPointRestored", {**point, "why": x}),
        ("Noted", {"kind": x, "data": {x: x}}),
        ("GuidelinesAgreed", {"note": x}),
        ("InterestNoted", {"text": x}),
        ("ValueNoted", {"id": x, "text": x, "kind": "personal"}),
        (
            "AttemptMade",
            {"parts": [part], "why": x, "note": x, "value": x, "touch": x, "broke": [x]},
        ),
        ("ReferralGiven", {"name": x, "contact_points": [point]}),
        ("FollowUpEnded", {"reason": "declined"}),
        ("FollowUpReopened", {"why": x}),
        ("PolicyAdopted", {"name": x, "version": 1, "digest": x}),
    ]
    return "\n".join(line(kind, number, data) for number, (kind, data) in enumerate(kinds, 1))


@pytest.fixture
def eve(cli: Cli, folder: Path) -> Cli:
    """A database that holds hostile text."""
    (folder / "eve.jsonl").write_text(history())
    done = cli("import", "--at", AFTER, "eve.jsonl")
    assert (done.code, done.err) == (0, ""), done.err
    (folder / f"{HOSTILE}.toml").write_text(f"{json.dumps(HOSTILE)} = 1\n")
    return cli


def is_harmless(text: str) -> bool:
    lines = text.split("\n")
    return all(map(str.isprintable, lines)) and not any(one.startswith("FAKE") for one in lines)


def every_command(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in group.list_commands(None):
        found = group.get_command(None, name)
        if hasattr(found, "list_commands"):
            yield from every_command(found, *path, name)
        else:
            yield (*path, name), found


COMMANDS = dict(every_command(typer.main.get_command(command_line())))


def calls(path: tuple[str, ...], command: Any) -> Iterator[list[str]]:
    """The command's example, with hostile text in place of each word and for each option."""
    example = shlex.split(command.epilog.removeprefix("Example: cadence "))
    words = [word for word in example if word not in (">", "policy.schema.json")]
    words = ["eve" if word in ("jerry", "jo") else word for word in words]
    for place in range(len(path), len(words)):
        yield [*words[:place], HOSTILE, *words[place + 1 :]]
    for parameter in command.params:
        if parameter.opts[0].startswith("--") and not getattr(parameter, "is_flag", False):
            yield [*words, parameter.opts[0], HOSTILE]
    yield [*words, f"--{HOSTILE}"]
    yield [*words, HOSTILE]


def test_there_is_a_call_for_every_command() -> None:
    assert len(COMMANDS) > 30
    assert all(list(calls(path, command)) for path, command in COMMANDS.items())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_parameter_of_a_command_steers_the_terminal(path: tuple[str, ...], eve: Cli) -> None:
    for words in calls(path, COMMANDS[path]):
        at = () if "--at" in words else ("--at", AT)
        done = eve(*words, *at)
        assert done.code in (0, 1, 2), words
        assert is_harmless(done.out), words
        assert is_harmless(done.err), words
        assert "Traceback" not in done.err


LOOKS = [
    ("due", "--all"),
    ("list",),
    ("find", "eve"),
    ("show", "eve"),
    ("explain", "eve"),
    ("replay", "eve"),
    ("replay", "--all"),
    ("audit",),
    ("whatif", "--policy", "tip8"),
    ("settings",),
    ("policy", "list"),
    ("policy", "show", f"{HOSTILE}.toml"),
    ("import", "eve.jsonl", "--preview"),
    ("export", "-"),
    ("export", "-", "--format", "csv"),
]


@pytest.mark.parametrize("arguments", LOOKS, ids=lambda one: " ".join(one)[:20])
def test_no_stored_text_steers_the_terminal(
    arguments: tuple[str, ...],
    eve: Cli,
    db: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert eve("settings", "company", HOSTILE, "--by", "x").code in (0, 2)
    _, text = shown(monkeypatch, 80, *arguments, "--db", db, "--at", AT)
    text = STYLES.sub("", text)
    if "csv" in arguments:
        text = text.replace("\nFAKE", "")  # a line break within a cell is one of the file
    assert is_harmless(text), text
    if arguments[0] != "export":
        assert is_harmless(eve(*arguments, "--at", AT).out)
        if "--json" not in arguments:
            said = eve(*arguments, "--json", "--at", AT)
            assert is_harmless(said.out)


def test_an_exported_file_holds_the_text_as_it_is(eve: Cli) -> None:
    lines = eve("export", "-").out.split("\n")
    assert [json.loads(one)["by"] for one in lines if one] == [HOSTILE] * 13


def test_json_says_the_text_as_it_is(eve: Cli) -> None:
    steps = json.loads(eve("replay", "eve", "--json").out)
    assert steps[0]["event"]["data"]["name"] == HOSTILE


# The one place where text goes out ----------------------------------------------------------------


@given(text=st.text())
def test_a_line_is_one_line_without_control_characters(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stream = io.StringIO()
        patch.setattr(sys, "stdout", stream)
        terminal.write(text + terminal.paint(text, "bold red"))
    assert stream.getvalue().endswith("\n")
    assert stream.getvalue()[:-1].isprintable()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_gets_the_styles_of_ours_and_no_others(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.write(f"{terminal.paint('a', 'bold green')}\x1b[1;32mb\x1b[0m")
    first = "\x1b[1;32ma\x1b[0m" if is_terminal else "a"
    assert stream.getvalue() == f"{first}\\x1b[1;32mb\\x1b[0m\n"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_for_a_terminal_is_the_same_json(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    said = terminal.printable_json(text)
    assert said.isprintable()
    assert json.loads(said) == value


def test_only_these_modules_write_to_the_terminal() -> None:
    """The viewer draws with rich, and files are written whole."""

    def writes(tree: ast.AST) -> bool:
        called = (ast.unparse(one.func) for one in ast.walk(tree) if isinstance(one, ast.Call))
        return any(
            re.fullmatch(r"print|typer\.s?echo|sys\.std(out|err)(\.buffer)?\.write(lines)?", one)
            for one in called
        )

    found = {
        path.relative_to(SOURCES.parent).as_posix()
        for path in SOURCES.parent.rglob("*.py")
        if writes(ast.parse(path.read_text()))
    }
    assert found == {"cli/terminal.py", "cli/files.py", "cli/viewer.py"}
