"""Every command that takes a policy finds the same one by a name, or says the same error."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, Done

import cadence.cli
from cadence.cli import policy_files
from cadence.cli.commands import full_command_line
from cadence.policy import Policy, builtin
from cadence.policy.loader import parse_text
from cadence.policy.writer import to_toml
from cadence.store import Cadence

# How each command that takes a policy is called, by the parameter that names it ({}).
CALLS: dict[str, tuple[str, ...]] = {
    "policy show policy": ("policy", "show", "{}"),
    "policy check policy": ("policy", "check", "{}"),
    "policy diff a": ("policy", "diff", "{}", "tip8"),
    "policy diff b": ("policy", "diff", "tip8", "{}"),
    "policy adopt policy": ("policy", "adopt", "{}", "--all"),
    "replay policy": ("replay", "jerry", "--policy", "{}"),
    "whatif policy": ("whatif", "--policy", "{}"),
    "audit policy": ("audit", "--policy", "{}"),
}


def variant(name: str, version: int, calls: int) -> Policy:
    text = to_toml(builtin()).replace('id = "tip8"', f'id = "{name}"')
    text = text.replace("version = 1", f"version = {version}").replace(
        "times = 6", f"times = {calls}"
    )
    return parse_text(text, f"{name}.toml")


OURS = variant("ours", 1, 5)
KEPT = variant("our-way", 1, 4)
TWICE = (variant("twice", 1, 4), variant("twice", 2, 5))
FORMER = variant("tip8", 1, 3)  # of the catalogue's name, and another

FOUND: dict[str, Policy] = {
    "tip8": builtin(),
    "are-you-ok": builtin("are-you-ok"),
    "ours.toml": OURS,
    "./ours.toml": OURS,
    "{folder}/ours.toml": OURS,
    "link.toml": OURS,
    "./bare": OURS,
    "./tip8.toml": OURS,
    "our-way": KEPT,
    KEPT.digest: KEPT,
    KEPT.digest[:12]: KEPT,
    KEPT.digest[:4].upper(): KEPT,
    builtin("are-you-ok").digest[:12]: builtin("are-you-ok"),
    TWICE[0].digest[:8]: TWICE[0],
    TWICE[1].digest[:8]: TWICE[1],
    FORMER.digest[:8]: FORMER,
}

ERRORS: dict[str, tuple[str, str]] = {
    "tpi8": ("policy: unknown 'tpi8'", "use tip8"),
    "our-wy": ("policy: unknown 'our-wy'", "use our-way"),
    "ourz.toml": ("ourz.toml: No such file or directory", "use ours.toml"),
    "bare": ("policy: unknown 'bare'", "use ./bare"),
    "link": ("policy: unknown 'link'", "use link.toml"),
    "twice": (
        "policy: invalid 'twice': 2 match",
        "use one of: "
        + ", ".join(
            f"{one.digest[:12]} (version {one.version})"
            for one in sorted(TWICE, key=lambda one: one.digest)
        ),
    ),
    KEPT.digest[:3]: (f"policy: unknown {KEPT.digest[:3]!r}", "use a .toml file or one of: "),
    "f" * 64: (f"policy: unknown {'f' * 64!r}", "use a .toml file or one of: "),
    "": ("policy: unknown ''", "use a .toml file or one of: "),
    "zz\nzz": (r"policy: unknown 'zz\nzz'", "use a .toml file or one of: "),
    "broken.toml": ("broken.toml: id: invalid 3", "use "),
    "folder.toml": ("folder.toml: Is a directory", "give a file that can be read"),
}


def policy_parameters() -> set[str]:
    """Every parameter of the command line that names a policy."""
    found = set()

    def walk(command: Any, path: tuple[str, ...]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, (*path, name))
        for one in command.params:
            if path and ("POLICY" in (one.metavar or "") or one.name == "policy"):
                found.add(" ".join((*path, one.name)))

    walk(full_command_line(), ())
    return found


@pytest.fixture
def place(jerry: Cli, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with policy files, beside a database in which policies were adopted."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("ours.toml", "bare", "tip8.toml"):
        (folder / name).write_text(to_toml(OURS), encoding="utf-8")
    (folder / "link.toml").symlink_to("ours.toml")
    (folder / "broken.toml").write_text("id = 3", encoding="utf-8")
    (folder / "folder.toml").mkdir()
    with Cadence.open(str(db)) as store:
        for one in (KEPT, *TWICE, FORMER):
            store.library.keep(one)
    return folder


Seen = Callable[[str, str], tuple[Done, set[str]]]


@pytest.fixture
def look_up(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Call a command with a policy; what it says, and the digests of what it looked up."""
    seen: list[str] = []

    def spy(*arguments: Any, **options: Any) -> Policy:
        found = policy_files.find_policy(*arguments, **options)
        seen.append(found.digest)
        return found

    for path in Path(cadence.cli.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"cadence.cli.{path.stem}")
        if module is not policy_files and hasattr(module, "find_policy"):
            monkeypatch.setattr(module, "find_policy", spy)

    def call(parameter: str, name: str) -> tuple[Done, set[str]]:
        seen.clear()
        done = cli(*(one.format(name) for one in CALLS[parameter]))
        return done, set(seen) - ({builtin().digest} if "diff" in parameter else set())

    return call


def test_every_parameter_that_names_a_policy_is_tested_here() -> None:
    assert policy_parameters() == set(CALLS)


READERS = {"cadence.policy", "cadence.policy.loader", "cadence.prover", "cadence.prover.trusted"}


def test_only_the_look_up_reads_policy_files() -> None:
    readers = set()
    for path in Path(cadence.cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module) in READERS:
                if {one.name for one in node.names} & {"load", "loads", "parse"}:
                    readers.add(path.name)
    assert readers == {"policy_files.py"}


@pytest.mark.parametrize("name", FOUND)
def test_every_command_finds_the_same_policy(place: Path, look_up: Seen, name: str) -> None:
    for parameter in CALLS:
        done, digests = look_up(parameter, name.format(folder=place))
        assert (done.code, done.err) == (0, ""), (parameter, done)
        expected = {FOUND[name].digest}
        if "diff" in parameter:
            expected -= {builtin().digest}
        assert digests == expected, parameter


@pytest.mark.parametrize("name", ERRORS)
def test_every_command_says_the_same_of_an_unknown_policy(look_up: Seen, name: str) -> None:
    what, hint = ERRORS[name]
    said = {look_up(parameter, name)[0] for parameter in CALLS}
    assert len(said) == 1, said
    done = said.pop()
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 2
    assert done.err.startswith(f"cadence: {what}\n{hint}")


def test_without_a_database_an_adopted_policy_is_unknown_and_none_is_made(
    raw: Cli, place: Path
) -> None:
    done = raw("--db", "none.db", "policy", "show", "our-way")
    assert (done.code, done.err.splitlines()[0]) == (2, "cadence: policy: unknown 'our-way'")
    assert not (place / "none.db").exists()


def test_an_adopted_policy_is_adopted_again_by_its_name(cli: Cli, place: Path) -> None:
    assert cli("policy", "adopt", "our-way", "jerry", "--apply").code == 0
    explained = cli("explain", "jerry", "--at", "2090-01-02T15:00:00Z", "--json")
    assert explained.json["policy"]["digest"] == KEPT.digest
