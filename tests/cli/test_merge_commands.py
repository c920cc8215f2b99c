"""merge and unmerge as a person types them, and what the other commands say of both records."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Cli, two_lines

ADDED = ("--at", "2026-03-02T15:00:00Z")
CALLED = ("--at", "2026-03-02T16:00:00Z")
MERGED = ("--at", "2026-03-03T15:00:00Z")
LATER = ("--at", "2026-03-10T15:00:00Z")
WHY = ("--why", "they said so")
WHERE = ("--timezone", "America/New_York", "--country", "US")
JERRY = ("add", "jerry", "--name", "Jerry Doe", *WHERE, "--call", "+1 212 555 0100", *ADDED)
CALL = ("--channel", "call", "--disposition", "no_answer")
MERGE = ("merge", "jerry-2", "jerry", *WHY)


@pytest.fixture
def pair(cli: Cli) -> Cli:
    """Two records of Jerry; one was called."""
    cli(*JERRY)
    points = ("--call", "+1 212 555 0199", "--email", "jd@example.org")
    cli("add", "jerry-2", "--name", "J. Doe", *WHERE, *points, *ADDED)
    assert cli("attempt", "jerry-2", *CALL, *CALLED).code == 0
    return cli


@pytest.fixture
def merged(pair: Cli) -> Cli:
    """The second record was merged into the first."""
    assert pair(*MERGE, *MERGED).code == 0
    return pair


# merge --------------------------------------------------------------------------------------------


def test_a_merge_says_what_the_record_that_goes_on_takes_over(pair: Cli) -> None:
    done = pair(*MERGE, *MERGED)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "jerry-2: merged into jerry",
        "  takes over call +1 212 555 0199",
        "  takes over email jd@example.org",
        "  counts 1 attempt since the last response, 1 spaced call among them",
        "  goes from new to spaced",
        "  wait until Thu 2026-03-05 11:00 America/New_York  spaced#2: call +1 212 555 0100",
    ]


def test_a_merge_says_which_words_and_failures_come_along(pair: Cli) -> None:
    pair("note", "jerry-2", "--value", "a trip", *CALLED)
    pair("reply", "jerry-2", "--channel", "email", *CALLED)
    pair("opt-out", "jerry-2", "--channel", "email", *CALLED)
    number = ("--channel", "call", "--address", "+1 212 555 0199")
    assert pair("failed", "jerry-2", *number, "--reason", "disconnected", *CALLED).code == 0
    said = pair(*MERGE, *MERGED).out
    assert "  takes over call +1 212 555 0199, which failed\n" in said
    assert "  is opted out of email, as jerry-2 was\n" in said
    assert "  counts the silence from 2026-03-02, as jerry-2 did\n" in said
    assert "  takes over 1 reason worth a call\n" in said
    assert "  goes from new to engaged\n" in said


def test_a_merge_of_a_record_that_opted_out_stops_the_other(pair: Cli) -> None:
    pair("opt-out", "jerry-2", *CALLED)
    lines = pair(*MERGE, *MERGED).out.splitlines()
    assert "  is opted out of everything, as jerry-2 was" in lines
    assert lines[-1] == "  stop"


def test_a_preview_says_the_same_and_records_nothing(pair: Cli) -> None:
    first, *lines = pair(*MERGE, "--preview", *MERGED).out.splitlines()
    assert first == "jerry-2: would be merged into jerry; nothing was recorded"
    assert "merged" not in pair("list", *MERGED).out
    assert pair(*MERGE, *MERGED).out.splitlines()[1:] == lines


def test_a_merge_as_json_has_both_records_and_what_comes_next(pair: Cli) -> None:
    found = pair("--json", *MERGE, "--by", "ann", *MERGED).json
    assert (found["survivor"], found["other"], found["stage"]) == ("jerry", "jerry-2", "spaced")
    assert found["decision"]["decision"] == "wait"
    merge, end = found["events"]
    assert (merge["prospect"], merge["type"], merge["by"]) == ("jerry", "ProspectsMerged", "ann")
    assert [one["type"] for one in merge["data"]["history"]] == ["ProspectAdded", "AttemptMade"]
    assert end["data"] == {"reason": "merged", "into": "jerry"}


def test_a_preview_as_json_records_nothing(pair: Cli) -> None:
    previewed = pair("--json", *MERGE, "--preview", *MERGED).json
    assert pair("--json", "show", "jerry", *MERGED).json["stage"] == "new"
    assert pair("--json", *MERGE, *MERGED).json["events"] == previewed["events"]


def test_an_end_against_an_open_record_needs_keep(pair: Cli) -> None:
    assert pair("end", "jerry-2", "bought", *CALLED).code == 0
    refused = pair(*MERGE, *MERGED)
    two_lines(refused, 1, "jerry is new and jerry-2 is won", "keep jerry or jerry-2")
    assert "merged" not in pair("list", *MERGED).out
    two_lines(pair(*MERGE, "--keep", "kim", *MERGED), 2, "keep: unknown 'kim'", "jerry-2")
    assert pair(*MERGE, "--keep", "jerry", "--preview", *MERGED).code == 0
    kept = pair(*MERGE, "--keep", "jerry-2", *MERGED).out.splitlines()
    assert kept[-1] == "  stop"


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("merge", "jerry-2", "jerry"), 2, "Missing option '--why'"),
        (("merge", "jerry-2", "jerry", "--why", " "), 2, "why: missing"),
        (("merge", "jerry-2", "jerry-2", *WHY), 2, "into: invalid 'jerry-2'"),
        (("merge", "jerry-2", "kim", *WHY), 2, "unknown prospect 'kim'"),
        (("merge", "kim", "jerry", *WHY), 2, "unknown prospect 'kim'"),
        (("merge", "jerry-2", "two words", *WHY), 2, "two words"),
        (("unmerge", "jerry-2"), 2, "Missing option '--why'"),
        (("unmerge", "jerry-2", "--why", " "), 2, "why: missing"),
        (("unmerge", "kim", *WHY), 2, "unknown prospect 'kim'"),
        (("unmerge", "jerry-2", *WHY), 1, "jerry-2: unmerge refused by plan: it is not merged"),
    ],
)
def test_what_can_not_be_merged_is_said_in_two_lines_and_changes_nothing(
    pair: Cli, arguments: tuple[str, ...], code: int, named: str
) -> None:
    two_lines(pair(*arguments, *MERGED), code, named)
    assert len(pair("--json", "show", "jerry", *MERGED).json["events"]) == 1
    assert len(pair("--json", "show", "jerry-2", *MERGED).json["events"]) == 2


def test_people_who_were_told_apart_are_not_merged(pair: Cli) -> None:
    pair("not-same", "jerry", "jerry-2", "--why", "father and son", *CALLED)
    two_lines(pair(*MERGE, *MERGED), 1, "jerry-2: merge into jerry refused")


def test_a_claimed_record_is_not_merged(pair: Cli) -> None:
    assert pair("claim", "jerry-2", "--by", "ben", "--at", "2026-03-05T16:30:00Z").code == 0
    two_lines(pair(*MERGE, "--at", "2026-03-05T16:31:00Z"), 1, "ben")


@pytest.mark.parametrize(
    "arguments", [("merge", "jerry-2", "jerry", *WHY), ("unmerge", "jerry-2", *WHY)]
)
def test_a_database_that_does_not_exist_is_not_made(
    cli: Cli, db: Path, arguments: tuple[str, ...]
) -> None:
    two_lines(cli(*arguments), 2, "unknown prospect 'jerry-2'")
    two_lines(cli(*arguments, "--preview"), 2)
    assert not db.exists()


# What the other commands say ----------------------------------------------------------------------


def test_a_merged_record_stops_and_names_the_one_that_goes_on(merged: Cli) -> None:
    because = "this record was merged into jerry, which goes on"
    shown = merged("show", "jerry-2", *LATER).out
    assert shown.startswith("jerry-2  J. Doe  stage merged\n")
    assert because in shown
    assert because in merged("explain", "jerry-2", *LATER).out
    replayed = merged("replay", "jerry-2", *LATER).out
    assert "→ merged       stop" in replayed
    assert because in replayed
    asked = merged("may", "jerry-2", "--channel", "call", *LATER)
    assert (asked.code, because in asked.out) == (1, True)


def test_the_merged_record_is_listed_and_never_due(merged: Cli) -> None:
    listed = merged("--json", "list", *LATER).json
    assert [(one["prospect"], one["decision"]) for one in listed] == [
        ("jerry", "due"),
        ("jerry-2", "stop"),
    ]
    for arguments in (("due",), ("due", "--all")):
        due = merged("--json", *arguments, *LATER).json
        assert [one["prospect"] for one in due] == ["jerry"]


def test_an_address_finds_the_record_that_goes_on_and_a_name_both(merged: Cli) -> None:
    for asked, found in (
        ("+1 212 555 0199", ["jerry"]),
        ("JD@example.org", ["jerry"]),
        ("Doe", ["jerry", "jerry-2"]),
    ):
        listed = merged("--json", "find", asked, *LATER).json
        assert [one["prospect"] for one in listed] == found


def test_a_replay_shows_the_events_that_the_merge_brought_under_their_own_id(merged: Cli) -> None:
    lines = merged("replay", "jerry", *LATER).out.splitlines()
    brought = [line for line in lines if line.startswith("   ·")]
    assert [line.split()[4:6] for line in brought] == [
        ["jerry-2:", "ProspectAdded"],
        ["jerry-2:", "AttemptMade"],
    ]
    assert any("ProspectsMerged  jerry-2 with 2 events (they said so)" in line for line in lines)


def test_what_is_recorded_for_the_merged_id_says_where_it_went(merged: Cli) -> None:
    done = merged("attempt", "jerry-2", *CALL, *LATER)
    assert done.out.splitlines()[0] == (
        "jerry-2: AttemptMade recorded as version 3 of jerry, into which it was merged"
    )
    undone = merged("undo", "jerry-2", *LATER).out.splitlines()[0]
    assert undone.endswith(
        "EventRetracted recorded as version 4 of jerry, into which it was merged"
    )


def test_half_a_merge_is_not_undone_and_the_hint_says_what_is(merged: Cli) -> None:
    hint = "take the merge back: cadence unmerge jerry-2"
    for arguments in (("undo", "jerry-2"), ("undo", "jerry"), ("undo", "jerry", "--version", "2")):
        two_lines(merged(*arguments, *LATER), 1, "it is half of a merge", hint)


def test_half_of_what_took_a_merge_back_is_not_undone_alone(merged: Cli) -> None:
    assert merged("unmerge", "jerry-2", "--why", "two people", *LATER).code == 0
    hint = "merge again: cadence merge jerry-2 jerry --why WHY"
    for name, version in (("jerry-2", "4"), ("jerry", "3")):
        undo = merged("undo", name, "--version", version, *LATER)
        two_lines(undo, 1, "it is half of what took a merge back", hint)


def test_an_old_event_that_is_taken_back_counts_no_longer_in_the_other(merged: Cli) -> None:
    done = merged("undo", "jerry-2", "--version", "2", *LATER).out.splitlines()
    assert done == [
        "jerry-2: EventRetracted recorded as version 4",
        "  stop",
        "  jerry, into which it was merged, counts this too",
    ]
    shown = merged("--json", "show", "jerry", *LATER).json
    assert shown["stage"] == "new"


def test_a_second_merge_of_the_same_record_is_refused(merged: Cli) -> None:
    two_lines(merged(*MERGE, *LATER), 1, "jerry-2 was merged into jerry", "unmerge jerry-2")
    two_lines(merged("merge", "jerry", "jerry-2", *WHY, *LATER), 1, "jerry-2 was merged into jerry")


def test_the_audit_lists_a_merge_and_names_no_duplicates_of_it(merged: Cli) -> None:
    audited = merged("--json", "audit", *LATER).json
    (review,) = audited["to_review"]
    assert (review["prospect"], review["version"]) == ("jerry", 2)
    assert "jerry-2 was merged into it as the same person" in review["because"]
    assert audited["findings"] == []
    assert "duplicates" not in audited
    assert merged("--json", "duplicates", *LATER).json == []


# unmerge ------------------------------------------------------------------------------------------


def test_an_unmerge_gives_back_what_came_and_says_what_comes_next(merged: Cli) -> None:
    merged("attempt", "jerry-2", *CALL, *LATER)
    done = merged("unmerge", "jerry-2", "--why", "father and son", *LATER)
    assert (done.code, done.err) == (0, "")
    first, other, survivor, hint = done.out.splitlines()
    assert first == "jerry-2: no longer merged into jerry; 1 event went back to it"
    assert other.startswith("  jerry-2: wait until ")
    assert survivor.startswith("  jerry: task by ")
    assert hint == (
        "  if they are two people, say so: cadence not-same jerry-2 jerry --why 'father and son'"
    )
    assert merged("not-same", "jerry-2", "jerry", "--why", "father and son", *LATER).code == 0
    assert [one["stage"] for one in merged("--json", "list", *LATER).json] == ["new", "spaced"]


def test_an_unmerge_at_once_gives_nothing_back(merged: Cli) -> None:
    done = merged("unmerge", "jerry-2", *WHY, *LATER).out
    assert done.splitlines()[0] == "jerry-2: no longer merged into jerry"
    two_lines(merged("unmerge", "jerry-2", *WHY, *LATER), 1, "it is not merged (stage spaced)")


def test_an_unmerge_as_json_has_the_events_of_both(merged: Cli) -> None:
    found = merged("--json", "unmerge", "jerry-2", *WHY, *LATER).json
    assert (found["survivor"], found["other"], found["stage"]) == ("jerry", "jerry-2", "new")
    assert [(one["prospect"], one["type"]) for one in found["events"]] == [
        ("jerry", "EventRetracted"),
        ("jerry-2", "EventRetracted"),
    ]


def test_a_merge_below_another_is_taken_back_after_that(merged: Cli) -> None:
    merged("add", "kim", "--name", "Kim", *WHERE, "--call", "+1 212 555 0177", *ADDED)
    assert merged("merge", "jerry", "kim", *WHY, *LATER).code == 0
    refused = merged("unmerge", "jerry-2", *WHY, *LATER)
    two_lines(refused, 1, "jerry was merged into kim", "cadence unmerge jerry")
    assert merged("unmerge", "jerry", *WHY, *LATER).code == 0
    assert merged("unmerge", "jerry-2", *WHY, *LATER).code == 0


def test_both_records_are_explained_after_a_merge_was_taken_back(merged: Cli) -> None:
    merged("attempt", "jerry-2", *CALL, *LATER)
    merged("unmerge", "jerry-2", *WHY, *LATER)
    for prospect in ("jerry", "jerry-2"):
        for arguments in (("explain", prospect), ("replay", prospect), ("show", prospect)):
            done = merged(*arguments, *LATER)
            assert (done.code, done.err) == (0, "")


def test_correct_takes_the_newest_attempt_wherever_it_is_recorded(merged: Cli) -> None:
    corrected = ("correct", "jerry-2", "--disposition", "voicemail_left", "--why", "he left one")
    old = merged(*corrected, *LATER).out.splitlines()[0]
    assert old == "jerry-2: EventCorrected recorded as version 4"
    assert merged("attempt", "jerry-2", *CALL, *LATER).code == 0
    new = merged(*corrected, *LATER).out.splitlines()[0]
    assert new.startswith("jerry: EventCorrected recorded as version ")
