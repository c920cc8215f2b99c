"""What is said, on the command line: the team's facts, notes, forms, languages, the linter."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from command_line import ADDED, Cli, two_lines

from cadence.policy.loader import builtin
from cadence.policy.writer import to_toml

AT = "2026-12-01T14:00:00Z"
ADD = ("add", "jerry", "--name", "Dr. Jerry Doe", "--timezone", "America/New_York", "--at", ADDED)
TEAM = """
company = "Acme"
address = "1 Main Street"
callbacks = ["+49 30 901820", "+1 212 555 0190"]
opt_out = { en = "Say no more." }

[owners.ann]
name = "Ann Lee"
languages = ["en", "es"]
"""


@pytest.fixture
def jerry(cli: Cli) -> Cli:
    reach = ("--call", "+1 212 555 0100", "--country", "US", "--owner", "ann")
    assert cli(*ADD, *reach).code == 0
    assert cli("appoint", "jerry", AT, "--at", ADDED).code == 0
    return cli


def test_due_and_check_name_in_one_line_what_messages_lack(jerry: Cli) -> None:
    done = jerry("due", "--at", AT)
    assert done.err == (
        "note: messages lack team.company, team.owners.ann.name, team.callbacks; "
        "set them with: cadence settings\n"
    )
    lines = jerry("policy", "check", "tip8").out.splitlines()
    assert lines[-1].startswith("messages lack team.company, team.owners.OWNER.name, ")


def test_a_team_file_says_who_is_calling(jerry: Cli, tmp_path: Path) -> None:
    (tmp_path / "cadence.toml").write_text(TEAM, encoding="utf-8")
    assert jerry("due", "--at", AT).err == ""
    (decision,) = jerry("due", "--json", "--at", AT).json
    (part,) = decision["touch"]["parts"]
    assert part["text"] == (
        "Hello Dr. Doe, this is Ann Lee from Acme. I am calling for our appointment at 9:00 AM. "
        "You may be tied up, so I will try again in ten minutes. My number is (212) 555-0190."
    )
    assert part["form"] == "voicemail"
    assert "subject" not in part
    assert "Ask: What would make this call worth your while?" in part["live"]
    shown = jerry("explain", "jerry", "--at", AT).out
    assert "  say (call, voicemail): Hello Dr. Doe, this is Ann Lee from Acme." in shown
    assert "  say (call, if they answer):\n    Hello Dr. Doe" in shown


def test_a_replay_shows_what_was_to_be_said_then_by_whom(jerry: Cli, tmp_path: Path) -> None:
    (tmp_path / "cadence.toml").write_text(TEAM, encoding="utf-8")
    hello = "Hello Dr. Doe, this is Ann Lee from Acme. I am calling for our appointment at 9:00 AM."
    (*_, last) = jerry("replay", "jerry", "--json", "--until", AT).json
    (part,) = last["decision"]["touch"]["parts"]
    assert part["text"].startswith(hello)
    assert part["live"].startswith(hello)
    assert hello not in jerry("replay", "jerry", "--until", AT).out
    shown = jerry("replay", "jerry", "--until", AT, "--script").out
    assert f"say (call, voicemail): {hello}" in shown
    assert "say (call, if they answer):" in shown
    page = tmp_path / "page.html"
    jerry("replay", "jerry", "--until", AT, "--html", str(page))
    assert hello in page.read_text(encoding="utf-8")


def test_a_prospect_is_addressed_in_their_language(jerry: Cli, tmp_path: Path) -> None:
    (tmp_path / "cadence.toml").write_text(TEAM, encoding="utf-8")
    jerry("update", "jerry", "--language", "es", "--at", ADDED)
    (decision,) = jerry("due", "--json", "--at", AT).json
    assert decision["touch"]["parts"][0]["text"].startswith("Hola, Dr. Doe. Le habla Ann Lee, de")


def test_a_team_adds_a_language_by_a_file(jerry: Cli, tmp_path: Path) -> None:
    english = resources.files("cadence.messages").joinpath("languages/en.toml")
    text = english.read_text(encoding="utf-8").replace("Hello", "Bonjour")
    (tmp_path / "fr.toml").write_text(text, encoding="utf-8")
    (tmp_path / "cadence.toml").write_text('languages = { fr = "fr.toml" }\n', encoding="utf-8")
    jerry("update", "jerry", "--language", "fr", "--at", ADDED)
    (decision,) = jerry("due", "--json", "--at", AT).json
    assert decision["touch"]["parts"][0]["text"].startswith("Bonjour Dr. Doe.")
    # And in the database, for several machines.
    (tmp_path / "cadence.toml").unlink()
    done = jerry("settings", "team.languages.fr", str(tmp_path / "fr.toml"), "--by", "kim")
    assert done.code == 0
    assert done.out.startswith("team.languages.fr: # English. One file a language")
    (decision,) = jerry("due", "--json", "--at", AT).json
    assert decision["touch"]["parts"][0]["text"].startswith("Bonjour Dr. Doe.")
    (tmp_path / "bad.toml").write_text(text.replace("[phrases]", "[phrasis]"), encoding="utf-8")
    done = jerry("settings", "team.languages.fr", str(tmp_path / "bad.toml"), "--by", "kim")
    two_lines(done, 2, "bad.toml")


def test_a_note_shows_the_sentence_that_it_completes(jerry: Cli) -> None:
    done = jerry("note", "jerry", "--interest", "the price, and which lots are free", "--at", ADDED)
    assert done.out.splitlines()[-1] == (
        'it completes: "You told me that you care about the price, and which lots are free."'
    )
    assert done.err == ""
    done = jerry("note", "jerry", "--value", "a map", "--kind", "personal", "--at", ADDED)
    assert done.out.splitlines()[-1] == 'it completes: "This made me think of you: a map."'


def test_values_are_noted_from_a_file_and_each_is_shown(jerry: Cli, tmp_path: Path) -> None:
    file = tmp_path / "values.txt"
    file.write_bytes(
        b"\xef\xbb\xbfa map of the moorings\r\n\n  \n"
        b"a book about old boats,\n  with pictures\nurgent\n"
    )
    ask = ("note", "jerry", "--value-file", str(file), "--kind", "personal")
    done = jerry(*ask, "--at", ADDED, "--command-id", "v1")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("it completes")] == [
        'it completes: "This made me think of you: a map of the moorings."',
        'it completes: "This made me think of you: a book about old boats, with pictures."',
        'it completes: "This made me think of you: urgent."',
    ]
    assert "'urgent'" in done.err
    noted = [one["data"] for one in events_of(jerry, tmp_path) if one["type"] == "ValueNoted"]
    assert [(one["id"], one["kind"]) for one in noted] == [
        (f"value-{number}", "personal") for number in (1, 2, 3)
    ]
    again = jerry(*ask, "--at", ADDED, "--command-id", "v1")
    assert "was recorded before" in again.out
    file.write_text("a map of the moorings\n", encoding="utf-8")
    two_lines(jerry(*ask, "--at", ADDED, "--command-id", "v1"), 2, "command_id")
    assert jerry("undo", "jerry", "--at", ADDED).code == 0
    assert jerry("show", "jerry", "--json", "--at", AT).json["values"] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a map\n\n\xff\nA MAP\n", "2 bad lines: line 3: invalid: not UTF-8; line 4: "),
        (b"a map\n" + b"x" * 301, "1 bad line: line 2: invalid: 301 characters, more than 300"),
        (b"\n  \n", "no value in it"),
        (b"".join(b"map %d\n" % n for n in range(1001)), "line 1001: invalid: more than 1,000"),
    ],
)
def test_a_file_with_a_bad_line_notes_nothing(
    jerry: Cli, tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "values.txt"
    file.write_bytes(content)
    before = jerry("show", "jerry", "--json", "--at", AT).json
    two_lines(jerry("note", "jerry", "--value-file", str(file), "--at", ADDED), 2, words)
    assert jerry("show", "jerry", "--json", "--at", AT).json == before
    two_lines(jerry("note", "jerry", "--value-file", "none.txt", "--at", ADDED), 2, "none.txt")


def events_of(cli: Cli, folder: Path) -> list[dict[str, Any]]:
    """The events that the database exports."""
    cli("export", str(folder / "all.jsonl"))
    lines = (folder / "all.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("text", ["duplicate?", "he wants a discount", "urgent"])
def test_a_note_that_reads_badly_is_recorded_and_says_so(jerry: Cli, text: str) -> None:
    done = jerry("note", "jerry", "--interest", text, "--at", ADDED)
    assert done.code == 0
    assert "write it as the end of that sentence" in done.err
    assert jerry("show", "jerry", "--json", "--at", AT).json["interests"] == [text]


def test_check_fails_for_a_script_at_fault_unless_the_policy_says_why(
    cli: Cli, tmp_path: Path
) -> None:
    text = to_toml(builtin("tip8")).replace('id = "tip8"', 'id = "ours"', 1)
    script = '\n[scripts.half_day]\nvoicemail = "{{ cares }} Act now. {{ again }} {{ number }}"\n'
    script += 'live = "{{ cares }}"\n'
    file = tmp_path / "ours.toml"
    file.write_text(text + script, encoding="utf-8")
    done = cli("policy", "check", str(file))
    assert done.code == 1
    assert "wording: script half_day (voicemail, en): 'act now': it presses" in done.out
    found = json.loads(cli("policy", "check", str(file), "--json").out)
    assert [one["rule"] for one in found["wording"] if one["fault"]] == ["urgency"]
    accepted = '\n[[wording]]\nrule = "urgency"\nwhy = "it is urgent"\n'
    file.write_text(text + script + accepted, encoding="utf-8")
    done = cli("policy", "check", str(file))
    assert done.code == 0
    assert "accepted: it is urgent" in done.out


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_policy_is_shown_as_a_conversation(cli: Cli, language: str, tmp_path: Path) -> None:
    done = cli("policy", "show", "tip8", "--script", "--language", language)
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.startswith("day ")][:4] == [
        "day 0, 09:00  on_time",
        "day 0, 09:10  ten_minutes",
        "day 0, 13:10  half_day",
        "day 3, 13:10  spaced#1",
    ]
    page = tmp_path / "page.html"
    cli("policy", "show", "tip8", "--html", str(page), "--language", language)
    hello = {"en": "Hello Jane, this is Ann Lee from Acme.", "es": "Le habla Ann Lee, de Acme."}
    assert hello[language] in done.out
    assert hello[language] in page.read_text(encoding="utf-8")


def test_an_unknown_language_is_named(cli: Cli) -> None:
    done = cli("policy", "show", "tip8", "--script", "--language", "xx")
    assert done.code == 2
    assert "--language: unknown 'xx'" in done.err
