"""Looking people up: list, show, find, and ids that are completed or suggested."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import ADDED, CADENCE, Cli, two_lines

from cadence.cli.commands import full_command_line

PEOPLE = (
    ("jerry", "Jerry Doe", "ann", "--call", "+1 212 555 0100"),
    ("show-01", "Ada Brook", "sam", "--email", "Ada@Example.com"),
    ("show-02", "José Díaz", "ann", "--call", "+49 30 5550101"),
    ("zoe", "Zoe Doe", None, "--email", "zoe@example.com"),
)
AT = ("--at", ADDED)


@pytest.fixture
def people(cli: Cli) -> Cli:
    """Four prospects, one of whom bought."""
    for name, words, owner, *point in PEOPLE:
        owned = ("--owner", owner) if owner else ()
        new = ("add", name, "--name", words, "--timezone", "America/New_York", *point, *owned)
        assert cli(*new, *AT).code == 0
    assert cli("end", "zoe", "bought", *AT).code == 0
    return cli


def ids(cli: Cli, *arguments: str) -> list[str]:
    return [one["prospect"] for one in cli(*arguments, "--json", *AT).json]


def test_list_has_everybody_also_those_that_ended(people: Cli) -> None:
    assert ids(people, "list") == ["jerry", "show-01", "show-02", "zoe"]
    title, *lines = people("list", *AT).out.splitlines()
    assert title.split() == ["prospect", "name", "owner", "stage", "next"]
    assert lines[0].split() == [
        "jerry",
        "Jerry",
        "Doe",
        "ann",
        "new",
        "task",
        "Wed",
        "12-02",
        "10:00",
    ]
    assert lines[3].split() == ["zoe", "Zoe", "Doe", "-", "won", "stop"]
    entry = people("list", "--json", *AT).json[3]
    assert entry == {
        "prospect": "zoe",
        "name": "Zoe Doe",
        "owner": None,
        "stage": "won",
        "decision": "stop",
        "at": None,
    }


def test_list_is_asked_for_by_owner_and_page(people: Cli) -> None:
    assert ids(people, "list", "--owner", "ann") == ["jerry", "show-02"]
    assert ids(people, "list", "--owner", "nobody") == []
    assert "no prospect" in people("list", "--owner", "nobody", *AT).out
    done = people("list", "--limit", "3", *AT)
    assert done.err == "note: there are more: --after show-02\n"
    assert ids(people, "list", "--after", "show-02") == ["zoe"]
    assert people("list", "--limit", "4", *AT).err == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("doe", ["jerry", "zoe"]),
        ("DOE Jer", ["jerry"]),
        ("show-0", ["show-01", "show-02"]),
        ("díaz", ["show-02"]),
        ("+1 (212) 555-0100", ["jerry"]),
        ("555 0100", ["jerry"]),
        ("030 5550101", ["show-02"]),
        ("ada@example.COM", ["show-01"]),
        ("@example.com", ["show-01", "zoe"]),
        ("0100 555", []),
        ("nobody", []),
        ("example", []),
    ],
)
def test_find_takes_words_of_names_and_ids_and_addresses(
    people: Cli, words: str, found: list[str]
) -> None:
    assert ids(people, "find", *words.split()) == found


def test_find_forgets_an_address_that_was_taken_away(people: Cli) -> None:
    taken = ("remove", "jerry", "--address", "+12125550100", "--why", "never theirs", *AT)
    assert people(*taken).code == 0
    assert ids(people, "find", "5550100") == []


def test_find_needs_words(people: Cli) -> None:
    two_lines(people("find", " "), 2, "WORDS: missing")


def test_show_is_one_prospect_at_a_glance(people: Cli) -> None:
    people("failed", "jerry", "--channel", "call", "--address", "+12125550100", *AT)
    people("note", "jerry", "--interest", "a lot by the lake", *AT)
    out = people("show", "jerry", *AT).out
    for words in (
        "jerry  Jerry Doe  stage new",
        "owner       ann",
        "their time  Mon 2026-11-30 10:00 America/New_York",
        "call        +1 212 555 0100  (failed)",
        "interest    a lot by the lake",
        "next        task by",
        "why         plan",
        "event 3     Mon 2026-11-30 10:00  InterestNoted  text a lot by the lake",
    ):
        assert words in out, (words, out)
    shown = people("show", "jerry", "--json", *AT).json
    assert shown["contact_points"] == [
        {"channel": "call", "address": "+1 212 555 0100", "failed": True, "opted_out": False}
    ]
    explained = people("explain", "jerry", "--json", *AT).json
    assert {**shown["decision"], "name": "Jerry Doe", "owner": "ann"} == explained
    assert [one["version"] for one in shown["events"]] == [1, 2, 3]


@pytest.mark.parametrize("call", ["show", "explain", "replay", "cancel"])
def test_a_mistyped_id_is_answered_with_the_nearest(people: Cli, call: str) -> None:
    _, hint = two_lines_of(people, call, "show-2")
    assert hint == "use show-02"
    _, hint = two_lines_of(people, call, "somebody")
    assert "cadence list" in hint


def two_lines_of(cli: Cli, *arguments: str) -> list[str]:
    done = cli(*arguments)
    two_lines(done, 2, "unknown prospect")
    return done.err.splitlines()


@pytest.mark.parametrize("path", [(), ("policy",)])
def test_help_names_every_command_with_its_whole_summary(path: tuple[str, ...], raw: Cli) -> None:
    """Also in the narrowest window that help is written for."""
    parser: Any = full_command_line()
    for name in path:
        parser = parser.commands[name]
    done = raw(*path, "-h")
    assert done == raw(*path, "--help")
    shown = " ".join(done.out.split())
    for name, command in parser.commands.items():
        summary = " ".join((command.help or "").split("\n\n")[0].split())
        assert f"{name} {summary}" in shown


def test_help_groups_the_commands(raw: Cli) -> None:
    out = raw("--help").out
    titles = [line for line in out.splitlines() if line.endswith(":") and line[0].isupper()]
    assert titles[:3] == ["Options:", "Who and why:", "Attempts and responses:"]
    assert "Commands:" not in titles


def completed(db: Path, *words: str) -> list[str]:
    env = {
        **os.environ,
        "_CADENCE_COMPLETE": "complete_bash",
        "CADENCE_DB": str(db),
        "COMP_WORDS": " ".join(("cadence", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run([CADENCE], env=env, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_a_shell_completes_ids_and_commands(people: Cli, db: Path, tmp_path: Path) -> None:
    assert completed(db, "show", "sh") == ["show-01", "show-02"]
    assert completed(db, "attempt", "zoe") == ["zoe"]
    assert completed(db, "explain", "x") == []
    assert completed(tmp_path / "none.db", "show", "s") == []
    assert "appoint" in completed(db, "app")
