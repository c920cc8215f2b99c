"""Undo and correct, as a rep types them, and what an auditor then finds."""

from __future__ import annotations

import json
import re
from pathlib import Path

from command_line import ADDED, Cli

DAY = "2026-12-07"


def at(clock: str) -> tuple[str, str]:
    return "--at", f"{DAY}T{clock}:00Z"


def call(cli: Cli, disposition: str, clock: str) -> None:
    done = cli("attempt", "jerry", "--channel", "call", "--disposition", disposition, *at(clock))
    assert done.code == 0


def test_an_undo_of_an_opt_out_needs_a_reason_and_lets_them_be_called(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    assert jerry("opt-out", "jerry", *at("15:01")).code == 0
    refused = jerry("undo", "jerry", *at("15:02"))
    assert refused.code == 1
    assert refused.err.splitlines()[0].endswith("it keeps us from contacting them")
    done = jerry("undo", "jerry", "--why", "another Jerry", *at("15:02"))
    assert done.code == 0
    assert "EventRetracted recorded as version 4" in done.out
    assert "spaced#2" in done.out


def test_a_second_undo_is_refused_until_it_names_what_it_takes_back(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    jerry("note", "jerry", "--interest", "price", *at("15:01"))
    assert jerry("undo", "jerry", *at("15:02")).code == 0
    again = jerry("undo", "jerry", *at("15:03"))
    assert again.code == 1
    assert "before it stands version 2, AttemptMade" in again.err
    assert jerry("undo", "jerry", "--version", "2", *at("15:03")).code == 0


def test_a_corrected_outcome_stands_and_the_old_one_is_shown_struck_through(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    done = jerry(
        *("correct", "jerry", "--disposition", "connected", "--intent", "later"),
        *("--why", "I pressed the wrong key", *at("15:05")),
    )
    assert done.code == 0
    assert "agree the next step" in done.out
    lines = jerry("replay", "jerry").out.splitlines()
    assert any("[corrected by event 3 (sam: I pressed the wrong key)]" in line for line in lines)
    assert any("version 2 is spaced#1: call connected (later)" in line for line in lines)
    steps = jerry("replay", "jerry", "--json").json
    assert [step.get("taken_back_by") for step in steps] == [None, 3, None]
    assert steps[1]["stage"] == "spaced"  # as it was known then
    assert steps[2]["stage"] == "engaged"


def test_as_known_before_a_correction_nothing_is_struck_through(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    jerry("correct", "jerry", "--disposition", "busy", *at("15:05"))
    steps = jerry("replay", "jerry", "--json", "--until", "2").json
    assert [step.get("taken_back_by") for step in steps] == [None, None]


def test_another_field_is_corrected_by_its_name(jerry: Cli) -> None:
    jerry("pause", "jerry", "2026-12-20 9:00", *at("15:00"))
    done = jerry("correct", "jerry", "--set", "until=2026-12-14 9:00", *at("15:01"), "--json")
    assert done.code == 0
    assert '"at":"2026-12-14T14:00:00Z"' in done.out
    unknown = jerry("correct", "jerry", "--version", "2", "--set", "till=x", *at("15:01"))
    assert unknown.code == 2
    assert "unknown field 'till' of PauseRequested" in unknown.err


def test_the_part_of_a_touch_to_correct_is_named_by_its_channel(jerry: Cli) -> None:
    jerry(
        *("attempt", "jerry", "--channel", "call", "--disposition", "voicemail_left"),
        *("--channel", "email", "--disposition", "sent", *at("15:00")),
    )
    assert jerry("correct", "jerry", "--disposition", "bounced", *at("15:05")).code == 2
    done = jerry(
        *("correct", "jerry", "--channel", "email", "--disposition", "bounced", *at("15:05"))
    )
    assert done.code == 0
    assert "call voicemail_left, email bounced" in jerry("replay", "jerry").out


def test_corrections_of_nothing_are_bad_input(jerry: Cli) -> None:
    assert jerry("correct", "jerry", "--disposition", "busy").code == 2
    call(jerry, "no_answer", "15:00")
    assert jerry("correct", "jerry").code == 2
    assert jerry("correct", "jerry", "--version", "7", "--disposition", "busy").code == 2
    assert jerry("correct", "jerry", "--version", "1", "--disposition", "busy").code == 2
    assert jerry("undo", "nobody").code == 2


def test_the_audit_lists_who_lifted_an_opt_out_and_what_was_done_since(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    jerry("opt-out", "jerry", *at("15:01"))
    jerry("undo", "jerry", "--why", "another Jerry", *at("15:02"))
    later = ("--at", "2026-12-10T15:00:00Z")
    jerry("attempt", "jerry", "--channel", "call", "--disposition", "no_answer", *later)
    done = jerry("audit", "--json")
    assert done.code == 0
    assert done.json["findings"] == []
    lifted, called = done.json["to_review"]
    assert (lifted["version"], lifted["rule"]) == (4, "opt_out")
    assert "retracted by sam: another Jerry" in lifted["because"]
    assert (called["version"], called["rule"]) == (5, "opt_out")
    assert "had version 3 stood" in called["because"]
    shown = jerry("audit").out
    assert "to review: in order, but each took back what protects them" in shown


def test_a_breach_that_is_taken_back_is_named_with_the_rules_that_it_broke(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    jerry("opt-out", "jerry", *at("15:01"))
    call(jerry, "no_answer", "15:20")
    assert jerry("audit").code == 1
    assert jerry("undo", "jerry", "--version", "4", *at("15:30")).code == 0
    done = jerry("audit", "--json")
    assert (done.code, done.json["findings"]) == (0, [])
    (review,) = done.json["to_review"]
    assert (review["version"], review["rule"]) == (5, "opt_out")
    assert review["because"] == (
        "AttemptMade (version 4), which broke opt_out, was retracted by sam: no reason given"
    )
    shown = jerry("audit").out
    title = "to review: each took back an attempt that broke a rule"
    assert shown.index(title) < shown.index(review["because"])
    assert "in order, but" not in shown


def test_a_breach_that_only_the_audit_noticed_is_named_when_taken_back(
    jerry: Cli, tmp_path: Path
) -> None:
    jerry("opt-out", "jerry", *at("15:01"))
    unnoticed = {
        "prospect": "jerry",
        "version": 3,
        "type": "AttemptMade",
        "occurred_at": f"{DAY}T15:20:00Z",
        "data": {
            "parts": [{"channel": "call", "disposition": "no_answer"}],
            "stage": "extra",
        },
        "by": "sam",
    }
    file = tmp_path / "more.jsonl"
    file.write_text(json.dumps(unnoticed) + "\n")
    assert jerry("import", file, *at("15:20")).code == 0
    assert jerry("correct", "jerry", "--disposition", "busy", *at("15:21")).code == 0
    (review,) = json.loads(jerry("audit", "--json").out)["to_review"]
    assert "which broke opt_out, was corrected by sam" in review["because"]
    jerry("undo", "jerry", "--version", "3", *at("15:22"))
    reviews = json.loads(jerry("audit", "--json").out)["to_review"]
    assert "which broke opt_out, was retracted by sam" in reviews[-1]["because"]


def test_the_retraction_of_a_correction_that_showed_a_breach_is_named(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    call(jerry, "no_answer", "15:20")
    jerry("undo", "jerry", "--version", "3", *at("15:21"))
    later = ("--at", "2026-12-10T15:00:00Z")
    jerry("attempt", "jerry", "--channel", "call", "--disposition", "no_answer", *later)
    true = ("--occurred", f"{DAY}T15:40:00Z", "--at", "2026-12-10T16:00:00Z")
    assert jerry("correct", "jerry", "--version", "5", *true).code == 0
    assert jerry("audit").code == 1
    jerry("undo", "jerry", "--version", "6", "--at", "2026-12-10T17:00:00Z")
    reviews = jerry("audit", "--json").json["to_review"]
    assert "EventCorrected (version 6), which broke" in reviews[-1]["because"]


def test_what_is_retracted_broke_nothing_and_what_is_corrected_is_judged_so(
    jerry: Cli,
) -> None:
    call(jerry, "no_answer", "15:00")
    call(jerry, "no_answer", "15:20")
    assert jerry("audit").code == 1
    right = ("correct", "jerry", "--occurred", "2026-12-10T15:00:00Z")
    later = ("--at", "2026-12-10T16:00:00Z")
    assert jerry(*right, *later).code == 0
    assert jerry("audit", "--json").json["findings"] == []
    jerry("undo", "jerry", *later)
    assert jerry("audit").code == 1
    jerry("undo", "jerry", "--version", "3", *later)
    assert jerry("audit").code == 0


def test_what_was_taken_back_goes_out_and_comes_in_again(
    jerry: Cli, raw: Cli, tmp_path: Path
) -> None:
    call(jerry, "no_answer", "15:00")
    jerry("correct", "jerry", "--disposition", "busy", *at("15:05"))
    jerry("opt-out", "jerry", *at("15:06"))
    jerry("undo", "jerry", "--why", "another Jerry", *at("15:07"))
    late = ("--at", "2026-12-10T16:00:00Z")
    for form in ("jsonl", "csv", "xes"):
        file, db = tmp_path / f"out.{form}", tmp_path / f"{form}.db"
        assert jerry("export", "--format", form, file).code == 0
        assert raw("import", file, "--db", db, *late).code == 0
        assert (
            raw("replay", "jerry", "--db", db, "--json").json
            == jerry("replay", "jerry", "--json").json
        )
        again = raw("import", file, "--db", db, "--json", *late)
        assert (again.code, again.json["events"]) == (0, 0)


def test_a_line_that_takes_back_what_is_not_there_is_a_bad_line(jerry: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(
        '{"prospect": "jerry", "type": "EventRetracted", '
        '"occurred_at": "2026-12-07T15:00:00Z", "data": {"version": 9}}\n'
        '{"prospect": "jerry", "type": "EventRetracted", '
        '"occurred_at": "2026-12-07T15:00:00Z", "data": {"version": 1}}\n'
    )
    done = jerry("import", file, "--at", "2026-12-10T16:00:00Z")
    assert done.code == 2
    assert "line 1: version: unknown 9; jerry has 1 event" in done.err


def test_what_if_compares_with_what_stands(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    call(jerry, "no_answer", "15:20")
    jerry("undo", "jerry", *at("15:21"))
    assert jerry("whatif", "--policy", "tip8", "--json").json["attempts"]["recorded"] == 1


assert f"{DAY}T15:00:00Z" > ADDED


def test_every_time_in_a_finding_names_its_zone(jerry: Cli) -> None:
    call(jerry, "no_answer", "15:00")
    asked = jerry("may", "jerry", *at("15:00")).out
    assert re.search(r"\(until \w+ [0-9-]+ [0-9:]+ America/New_York\)", asked)
    jerry("suppress", "+12125550100", "--by", "kim", "--source", "dnc", *at("15:01"))
    call(jerry, "no_answer", "15:30")
    jerry("opt-out", "jerry", *at("15:40"))
    call(jerry, "no_answer", "20:00")
    found = jerry("audit", "--json").out
    assert "+12125550100 was suppressed on 2026-12-07 10:01 America/New_York (dnc)" in found
    times = re.findall(r"[0-9-]{10} [0-9:]{5}", found)
    zoned = re.findall(r"[0-9-]{10} [0-9:]{5} America/New_York", found)
    assert len(times) == len(zoned) == 3


def test_a_finding_names_what_the_attempt_says_beside_it_and_counts_once(jerry: Cli) -> None:
    for day, clock in (("2026-12-07", "15:00"), ("2026-12-14", "15:00"), ("2026-12-15", "16:00")):
        given = ("--channel", "call", "--disposition", "no_answer")
        done = jerry("attempt", "jerry", *given, "--at", f"{day}T{clock}:00Z")
    assert "broke plan, gap" in done.err
    found = json.loads(jerry("audit", "--json").out)["findings"]
    assert [(one["version"], one["rule"]) for one in found] == [(4, "gap")]
    assert "plan" not in found[0]["because"]
    (line,) = [one for one in jerry("audit").out.splitlines() if " gap  " in one and "jerry" in one]
    assert line.endswith("; it says that it broke plan too: one act, one finding")


AHEAD = ("--at", "2027-03-01T15:00:00Z")


def test_a_finding_says_when_they_opted_out_also_behind_a_clock_that_was_ahead(jerry: Cli) -> None:
    jerry("note", "jerry", "--interest", "price", *AHEAD)
    jerry("opt-out", "jerry", *at("15:00"))
    call(jerry, "no_answer", "16:00")
    said = "they had opted out of everything on 2026-12-07 10:00 America/New_York (event 3)"
    for _ in range(2):
        (found,) = json.loads(jerry("audit", "--json").out)["findings"]
        assert (found["version"], found["rule"]) == (4, "opt_out")
        assert found["because"].startswith(said)
        jerry("undo", "jerry", "--version", "2", "--why", "the clock", *at("16:10"))


def test_the_audit_counts_without_a_wrong_clock_once_that_is_taken_back(jerry: Cli) -> None:
    """While it stood all calls behind it counted as made at one instant."""
    call(jerry, "no_answer", "15:00")
    jerry("note", "jerry", "--interest", "price", *AHEAD)
    given = ("attempt", "jerry", "--channel", "call", "--disposition", "no_answer", "--at")
    for day in ("10", "15", "22"):
        jerry(*given, f"2026-12-{day}T19:00:00Z")
    audited = jerry("audit", "--json")
    before = json.loads(audited.out)["findings"]
    assert {"gap", "frequency"} & {one["rule"] for one in before}
    assert "of 2026-12-10 14:00 America/New_York (event 4)" in audited.out
    later = ("--why", "the clock", "--at", "2026-12-22T20:00:00Z")
    jerry("undo", "jerry", "--version", "3", *later)
    after = json.loads(jerry("audit", "--json").out)
    # They were recorded as extras, and that stays said.
    assert {one["rule"] for one in after["findings"]} == {"plan"}
    assert "to_review" not in after
