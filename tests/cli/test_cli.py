"""The contract of the command line (design, section 8): every command, option and exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from clocks import AFTER
from command_line import ADDED, CADENCE, INSTANT, Cli, Done, two_lines

CHANNELS = {"call", "email", "sms", "mail", "video_email"}
STAGES = {
    *("new", "scheduled", "on_time", "ten_minutes", "half_day", "spaced", "concern", "nurture"),
    *("polite_exit", "closed", "engaged", "won", "lost", "opted_out"),
}

# The story: added on Monday, called as agreed on Tuesday at nine in New York.
APPOINTED = "2026-12-01T14:00:00Z"
TEN_MINUTES = "2026-12-01T14:10:00Z"
HALF_DAY = "2026-12-01T18:10:00Z"
FIRST_SPACED = "2026-12-04T18:10:00Z"


def call(cli: Cli, at: str, *more: str, disposition: str = "no_answer") -> Done:
    return cli(
        *("attempt", "jerry", "--channel", "call", "--disposition", disposition, "--at", at),
        *more,
    )


@pytest.fixture
def silent(jerry: Cli) -> Cli:
    """Jerry was called on time, ten minutes later and half a day later, and didn't answer."""
    assert jerry("appoint", "jerry", APPOINTED, "--at", ADDED).code == 0
    for at in (APPOINTED, TEN_MINUTES, HALF_DAY):
        assert call(jerry, at).code == 0
    return jerry


@pytest.fixture
def left(silent: Cli) -> Cli:
    """Jerry got the polite exit, and did not answer it."""
    failed = ("failed", "jerry", "--channel", "call", "--address", "+12125550100")
    assert silent(*failed, "--at", HALF_DAY).code == 0
    decision = silent("explain", "jerry", "--at", HALF_DAY, "--json").json
    assert decision["touch"]["stage"] == "polite_exit"
    done = silent(
        *("attempt", "jerry", "--channel", "email", "--disposition", "sent"),
        *("--at", decision["at"]),
    )
    assert done.code == 0
    return silent


def events(cli: Cli, prospect: str = "jerry") -> list[dict[str, Any]]:
    return [step["event"] for step in cli("replay", prospect, "--json").json]


def last(cli: Cli) -> tuple[str, dict[str, Any]]:
    """Type and data of the last event."""
    found = events(cli)[-1]
    return found["type"], found["data"]


def refused(done: Done, *words: str) -> tuple[str, str]:
    assert done.code == 1, done
    assert done.out == ""
    what, hint = done.err.rstrip("\n").split("\n")
    for word in words:
        assert word in what, (word, what)
    return what, hint


# JSON ---------------------------------------------------------------------------------------------


def is_instant(value: Any) -> bool:
    return isinstance(value, str) and INSTANT.match(value) is not None


def check_decision(decision: dict[str, Any], *, is_listed: bool = False) -> None:
    """Exactly the keys of section 8, with the right types; a list says who it is, too."""
    assert set(decision) == {
        *(("name", "owner") if is_listed else ()),
        *(
            "prospect",
            "stage",
            "decision",
            "at",
            "from",
            "due_since",
            "touch",
            "task",
            "reasons",
            "policy",
        ),
    }
    verdict = decision["decision"]
    assert isinstance(decision["prospect"], str)
    assert decision["stage"] in STAGES
    assert verdict in {"due", "wait", "task", "close", "stop"}
    assert (decision["at"] is None) == (verdict == "stop")
    assert decision["at"] is None or is_instant(decision["at"])
    assert decision["due_since"] is None or (
        verdict == "wait" and is_instant(decision["due_since"])
    )
    assert (decision["task"] is None) == (verdict != "task")
    assert decision["task"] is None or decision["task"]
    touch = decision["touch"]
    assert touch is not None or verdict != "due"
    assert touch is None or verdict in {"due", "wait"}
    if touch is not None:
        assert set(touch) == {"id", "stage", "step", "parts"}
        assert touch["stage"] in STAGES
        assert all(isinstance(touch[key], str) and touch[key] for key in ("id", "stage", "step"))
        assert touch["parts"]
        for part in touch["parts"]:
            promised = {"channel", "address", "script", "text"}
            assert promised <= set(part) <= promised | {"form", "subject", "live"}
            assert part["channel"] in CHANNELS
            assert all(isinstance(value, str) and value for value in part.values())
    assert decision["reasons"]
    for reason in decision["reasons"]:
        assert set(reason) == {"rule", "code", "because", "events", "source"}
        assert all(reason[key] for key in ("rule", "code", "because", "source"))
        assert all(isinstance(version, int) for version in reason["events"])
    policy = decision["policy"]
    assert set(policy) == {"name", "version", "digest"}
    assert isinstance(policy["version"], int)
    assert re.fullmatch("[0-9a-f]{64}", policy["digest"])


def check_event(event: dict[str, Any]) -> None:
    keys = ["prospect", "version", "type", "occurred_at", "recorded_at", "data"]
    assert list(event)[:6] == keys
    assert set(event) <= {*keys, "by", "correlation", "command_id"}
    assert is_instant(event["occurred_at"])
    assert is_instant(event["recorded_at"])


def test_the_decision_has_exactly_the_promised_keys(left: Cli) -> None:
    """All five kinds of it, wherever one is printed."""
    seen = set()
    steps = left("replay", "jerry", "--json").json
    for step in steps:
        assert set(step) == {"event", "stage", "decision"}
        check_event(step["event"])
        check_decision(step["decision"])
        assert step["stage"] == step["decision"]["stage"]
        seen.add(step["decision"]["decision"])
    assert [step["event"]["version"] for step in steps] == list(range(1, len(steps) + 1))
    for at in (ADDED, TEN_MINUTES, FIRST_SPACED, "2027-03-01T15:00:00Z"):
        explained = left("explain", "jerry", "--at", at, "--json")
        assert explained.code == 0
        decision = json.loads(explained.out)  # stderr notes events recorded after the instant
        check_decision(decision, is_listed=True)
        seen.add(decision["decision"])
        for one in left("due", "--all", "--at", at, "--json").json:
            check_decision(one, is_listed=True)
            assert one == decision
    [closed] = left("tick", "--at", "2027-03-01T15:00:00Z", "--json").json
    check_decision(closed)
    seen.add(closed["decision"])
    assert seen == {"task", "wait", "close", "stop"}


def test_a_decision_that_is_due(silent: Cli) -> None:
    decision = silent("explain", "jerry", "--at", FIRST_SPACED, "--json").json
    check_decision(decision, is_listed=True)
    assert decision["decision"] == "due"
    assert decision["at"] == FIRST_SPACED
    assert decision["stage"] == "half_day"
    assert decision["touch"]["stage"] == "spaced"
    assert decision["touch"]["step"] == "spaced#1"
    [part] = decision["touch"]["parts"]
    assert (part["channel"], part["address"]) == ("call", "+12125550100")
    assert silent("due", "--at", FIRST_SPACED, "--json").json == [decision]


def test_every_write_prints_the_decision_as_json(jerry: Cli) -> None:
    at = ("--at", ADDED, "--json")
    for arguments in (
        ["add", "ann", "--name", "Ann", "--timezone", "Europe/Berlin"],
        ["update", "jerry", "--owner", "kim"],
        ["update", "jerry", "--email", "j@example.com"],
        ["appoint", "jerry", APPOINTED],
        ["cancel", "jerry"],
        ["attempt", "jerry", "--channel", "call", "--disposition", "busy"],
        ["reply", "jerry", "--channel", "sms", "--intent", "later"],
        ["pause", "jerry", "2026-12-09T14:00:00Z"],
        ["auto-reply", "jerry"],
        ["failed", "jerry", "--channel", "call", "--address", "+12125550100"],
        ["opt-out", "jerry", "--channel", "sms"],
        ["opt-in", "jerry"],
        ["note", "jerry", "--interest", "price"],
        ["referral", "jerry", "--name", "Bea"],
        ["end", "jerry", "declined"],
        ["reopen", "jerry", "met again"],
    ):
        decision = jerry(*arguments, *at).json
        check_decision(decision)
        assert decision["prospect"] == arguments[1]


# Commands that write ------------------------------------------------------------------------------


def test_add(cli: Cli) -> None:
    done = cli(
        *("add", "ann", "--name", "Ann Lee", "--timezone", "Europe/Berlin", "--country", "DE"),
        *(
            "--subdivision",
            "BY",
            "--call",
            "+493012345671",
            "--call",
            "+493012345672",
            "--email",
            "a@x.de",
        ),
        *(
            "--sms",
            "+493012345673",
            "--mail",
            "Weg 1",
            "--video-email",
            "v@x.de",
            "--source",
            "fair",
        ),
        *("--owner", "kim", "--by", "me", "--command-id", "c1", "--at", ADDED),
    )
    assert (done.code, done.err) == (0, "")
    assert "ann" in done.out
    [event] = events(cli, "ann")
    assert event["data"].pop("policy")["name"] == "tip8"
    assert event == {
        "prospect": "ann",
        "version": 1,
        "type": "ProspectAdded",
        "occurred_at": ADDED,
        "recorded_at": ADDED,
        "by": "me",
        "command_id": "c1",
        "data": {
            "name": "Ann Lee",
            "timezone": "Europe/Berlin",
            "country": "DE",
            "subdivision": "BY",
            "contact_points": [
                {"channel": "call", "address": "+493012345671", "key": "+493012345671"},
                {"channel": "call", "address": "+493012345672", "key": "+493012345672"},
                {"channel": "email", "address": "a@x.de", "key": "a@x.de"},
                {"channel": "sms", "address": "+493012345673", "key": "+493012345673"},
                {"channel": "mail", "address": "Weg 1", "key": "weg 1"},
                {"channel": "video_email", "address": "v@x.de", "key": "v@x.de"},
            ],
            "source": "fair",
            "owner": "kim",
        },
    }


def test_add_with_several_zones(cli: Cli) -> None:
    zones = ["America/New_York", "America/Los_Angeles"]
    options = [word for zone in zones for word in ("--timezone", zone)]
    assert cli("add", "ann", "--name", "Ann", *options).code == 0
    assert events(cli, "ann")[0]["data"]["timezone"] == zones


def test_add_again_is_refused(jerry: Cli) -> None:
    done = jerry("add", "jerry", "--name", "J", "--timezone", "UTC", "--at", ADDED)
    refused(done, "jerry", "Jerry Doe")
    assert len(events(jerry)) == 1


def test_appoint_and_cancel(jerry: Cli) -> None:
    assert jerry("appoint", "jerry", "2026-12-01T09:00:00-05:00", "--at", ADDED).code == 0
    assert last(jerry) == ("AppointmentSet", {"at": APPOINTED})
    assert jerry("appoint", "jerry", "2026-12-02T14:00:00Z", "--at", ADDED).code == 0
    assert jerry("cancel", "jerry", "--at", ADDED).code == 0
    assert last(jerry)[0] == "AppointmentCancelled"
    refused(jerry("cancel", "jerry", "--at", ADDED), "jerry", "appointment")


def test_an_appointment_agreed_to_records_the_contact_first(silent: Cli) -> None:
    before = events(silent)
    appoint = ("appoint", "jerry", "2026-12-03T14:00:00Z", "--at", "2026-12-02T15:00:00Z")
    _, hint = refused(silent(*appoint), "jerry")
    assert "--agreed-by" in hint
    assert events(silent) == before
    assert silent(*appoint, "--agreed-by", "email").code == 0
    response, appointment = events(silent)[len(before) :]
    assert (response["type"], response["data"]["channel"]) == ("ReplyReceived", "email")
    assert appointment["type"] == "AppointmentSet"


def test_an_appointment_that_is_refused_says_until_when(jerry: Cli) -> None:
    # Ten at night in New York; they wake at eight.
    done = jerry("appoint", "jerry", "2026-12-02T03:00:00Z", "--at", ADDED)
    _, hint = refused(done, "jerry", "quiet_hours", "2026-12-02T03:00:00Z")
    assert "2026-12-02T13:00:00Z" in hint
    done = jerry("appoint", "jerry", "2026-11-01T14:00:00Z", "--at", ADDED)
    refused(done, "jerry", "2026-11-01T14:00:00Z", ADDED)
    assert len(events(jerry)) == 1


def test_attempts_take_their_places(silent: Cli) -> None:
    assert call(silent, FIRST_SPACED, disposition="voicemail_left").code == 0
    found = [one["data"] for one in events(silent) if one["type"] == "AttemptMade"]
    assert [one["stage"] for one in found] == ["on_time", "ten_minutes", "half_day", "spaced"]
    assert found[-1]["step"] == "spaced#1"
    assert found[-1]["gap"] == {"business_days": 3, "minutes": 0}
    assert found[-1]["parts"] == [
        {
            "channel": "call",
            "disposition": "voicemail_left",
            "address": "+12125550100",
            "key": "+12125550100",
        }
    ]
    assert set(found[-1]["policy"]) == {"name", "version", "digest"}
    assert all(not one.get("broke") for one in found)


def test_an_attempt_of_two_parts(jerry: Cli) -> None:
    done = jerry(
        *("attempt", "jerry", "--channel", "call", "--disposition", "voicemail_left"),
        *("--channel", "email", "--disposition", "sent", "--at", ADDED),
    )
    assert done.code == 0
    parts = last(jerry)[1]["parts"]
    assert [(one["channel"], one["disposition"]) for one in parts] == [
        ("call", "voicemail_left"),
        ("email", "sent"),
    ]


@pytest.mark.parametrize(
    ("at", "rule", "until"),
    [
        ("2026-12-01T18:11:00Z", "plan", FIRST_SPACED),
        ("2026-12-02T18:10:00Z", "plan", FIRST_SPACED),
        ("2026-12-04T04:00:00Z", "quiet_hours", FIRST_SPACED),
        ("2026-12-05T18:10:00Z", "business_hours", "2026-12-07T"),
    ],
)
def test_a_refused_attempt_says_which_rule_and_until_when(
    at: str, rule: str, until: str, silent: Cli
) -> None:
    before = events(silent)
    what, hint = refused(call(silent, at, "--strict"), "jerry", rule)
    assert until in what + hint
    assert "--strict" in hint
    assert events(silent) == before
    # What was done is logged, and names what it broke.
    done = call(silent, at)
    assert done.code == 0
    assert rule in last(silent)[1]["broke"]
    assert rule in done.err.split("\n")[0]
    assert "cadence may jerry --channel call" in done.err


def test_an_attempt_is_asked_for_before_it_is_made(silent: Cli) -> None:
    before = events(silent)
    asked = silent("may", "jerry", "--channel", "call", "--at", "2026-12-02T18:10:00Z")
    assert asked.code == 1
    assert "it breaks plan" in asked.out
    asked = silent("may", "jerry", "--channel", "call", "--at", FIRST_SPACED)
    assert asked.code == 0
    assert "it breaks nothing" in asked.out
    assert events(silent) == before


def test_an_outcome_is_logged_in_one_word(silent: Cli) -> None:
    done = silent("log", "jerry", "vm", "--note", "sounded busy", "--at", FIRST_SPACED)
    assert (done.code, done.err) == (0, "")
    _, data = last(silent)
    assert data["parts"][0]["disposition"] == "voicemail_left"
    assert (data["step"], data["note"]) == ("spaced#1", "sounded busy")
    wrong = silent("log", "jerry", "sent", "--at", FIRST_SPACED)
    assert wrong.code == 2
    assert "cadence attempt jerry --channel CHANNEL --disposition sent" in wrong.err
    assert silent("log", "jerry", "na", "--intent", "no", "--at", FIRST_SPACED).code == 2


def test_an_attempt_before_the_appointment_is_refused(jerry: Cli) -> None:
    assert jerry("appoint", "jerry", APPOINTED, "--at", ADDED).code == 0
    _, hint = refused(call(jerry, "2026-12-01T13:30:00Z", "--strict"), "jerry", "appointment")
    assert APPOINTED in hint
    assert len(events(jerry)) == 2


def test_an_attempt_after_an_opt_out_is_refused_for_good(silent: Cli) -> None:
    assert silent("opt-out", "jerry", "--at", HALF_DAY).code == 0
    before = events(silent)
    _, hint = refused(call(silent, FIRST_SPACED, "--strict"), "jerry", "opt_out")
    assert "until" not in hint
    assert events(silent) == before


def test_off_policy_records_what_it_broke(silent: Cli) -> None:
    done = call(silent, "2026-12-02T18:10:00Z", "--off-policy", "was in the street")
    assert done.code == 0
    kind, data = last(silent)
    assert kind == "AttemptMade"
    assert data["broke"] == ["plan"]
    assert data["why"] == "was in the street"
    assert (data["stage"], data["step"]) == ("spaced", "spaced#1")
    # In order, there is nothing to excuse.
    assert call(silent, "2026-12-07T18:10:00Z", "--off-policy", "no need").code == 0
    assert "broke" not in last(silent)[1]


@pytest.mark.parametrize(
    ("arguments", "kind", "data"),
    [
        (["reply", "--channel", "sms"], "ReplyReceived", {"channel": "sms"}),
        (
            ["reply", "--channel", "email", "--intent", "no"],
            "ReplyReceived",
            {"channel": "email", "intent": "no"},
        ),
        (
            ["pause", "2027-01-11T09:00:00-05:00"],
            "PauseRequested",
            {"until": "2027-01-11T14:00:00Z"},
        ),
        (["auto-reply"], "AutoReplyReceived", {"channel": "email"}),
        (
            ["auto-reply", "--channel", "sms", "--until", "2026-12-14T14:00:00Z"],
            "AutoReplyReceived",
            {"channel": "sms", "until": "2026-12-14T14:00:00Z"},
        ),
        (
            [
                "failed",
                "--channel",
                "call",
                "--address",
                "+12125550100",
                "--reason",
                "wrong_number",
            ],
            "ContactPointFailed",
            {
                "channel": "call",
                "address": "+12125550100",
                "reason": "wrong_number",
                "key": "+12125550100",
            },
        ),
        (["opt-out"], "OptOutRequested", {}),
        (["opt-out", "--channel", "call"], "OptOutRequested", {"channel": "call"}),
        (["opt-in"], "OptedBackIn", {}),
        (["opt-in", "--channel", "call"], "OptedBackIn", {"channel": "call"}),
        (["note", "--interest", "price"], "InterestNoted", {"text": "price"}),
        (
            ["note", "--value", "the law changed", "--kind", "personal"],
            "ValueNoted",
            {"id": "value-1", "text": "the law changed", "kind": "personal"},
        ),
        (
            ["note", "--prefers", "sms", "--hours", "18:00-20:00"],
            "PreferenceStated",
            {"channel": "sms", "hours": "18:00-20:00"},
        ),
        (["note", "--guidelines"], "GuidelinesAgreed", {}),
        (
            ["referral", "--name", "Bea", "--call", "(212) 555 0102"],
            "ReferralGiven",
            {
                "name": "Bea",
                "contact_points": [
                    {"channel": "call", "address": "(212) 555 0102", "key": "+12125550102"}
                ],
            },
        ),
        (["update", "--owner", "kim"], "ProspectUpdated", {"owner": "kim"}),
        (
            ["update", "--email", "j@x.org"],
            "ContactPointAdded",
            {"channel": "email", "address": "j@x.org", "key": "j@x.org"},
        ),
        (["end", "bought"], "FollowUpEnded", {"reason": "bought"}),
        (["end", "deceased"], "FollowUpEnded", {"reason": "deceased"}),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else None,
)
def test_a_fact_is_recorded(
    arguments: list[str], kind: str, data: dict[str, Any], silent: Cli
) -> None:
    name, *options = arguments
    done = silent(name, "jerry", *options, "--at", HALF_DAY)
    assert (done.code, done.err) == (0, "")
    assert last(silent) == (kind, data)


@pytest.mark.parametrize("reason", ["no_response", "unreachable"])
def test_a_file_is_not_closed_out_of_turn(reason: str, silent: Cli) -> None:
    before = events(silent)
    refused(silent("end", "jerry", reason, "--at", HALF_DAY), "jerry")
    assert events(silent) == before


def test_reopen(silent: Cli) -> None:
    refused(silent("reopen", "jerry", "why", "--at", HALF_DAY), "jerry", "half_day")
    assert silent("end", "jerry", "declined", "--at", HALF_DAY).code == 0
    assert silent("reopen", "jerry", "met again", "--at", FIRST_SPACED).code == 0
    assert last(silent) == ("FollowUpReopened", {"why": "met again"})


def test_facts_are_recorded_after_the_end(silent: Cli) -> None:
    assert silent("end", "jerry", "declined", "--at", HALF_DAY).code == 0
    for arguments in (["reply", "jerry", "--channel", "sms"], ["note", "jerry", "--interest", "x"]):
        assert silent(*arguments, "--at", FIRST_SPACED).code == 0


def test_at_is_when_it_is_recorded_and_occurred_when_it_happened(jerry: Cli) -> None:
    reply = ("reply", "jerry", "--channel", "email", "--at", "2026-12-03T15:00:00Z")
    assert jerry(*reply).code == 0
    assert jerry(*reply, "--occurred", "2026-12-02T10:00:00-05:00").code == 0
    assert [(one["occurred_at"], one["recorded_at"]) for one in events(jerry)[1:]] == [
        ("2026-12-03T15:00:00Z", "2026-12-03T15:00:00Z"),
        ("2026-12-02T15:00:00Z", "2026-12-03T15:00:00Z"),
    ]


def test_an_attempt_is_judged_by_the_time_it_was_made(jerry: Cli) -> None:
    assert jerry("appoint", "jerry", APPOINTED, "--at", ADDED).code == 0
    # Told in the evening, made on time: in order.
    done = call(jerry, "2026-12-01T23:30:00Z", "--occurred", APPOINTED)
    assert done.code == 0
    assert last(jerry)[1]["stage"] == "on_time"


def test_a_command_id_has_its_effect_once(jerry: Cli) -> None:
    reply = ("reply", "jerry", "--channel", "email", "--command-id", "one", "--at", ADDED)
    assert jerry(*reply).code == 0
    done = jerry(*reply)
    assert done.code == 0
    assert len(events(jerry)) == 2
    assert jerry(*reply[:-3], "two", "--at", ADDED).code == 0
    assert len(events(jerry)) == 3


def test_tick_closes_what_has_had_its_time_and_nothing_else(left: Cli) -> None:
    assert left("add", "ann", "--name", "A", "--timezone", "UTC", "--at", ADDED).code == 0
    until = left("explain", "jerry", "--at", "2026-12-04T18:11:00Z", "--json").json
    assert (until["stage"], until["decision"], until["touch"]) == ("polite_exit", "wait", None)
    before = left("export", "-").out
    assert left("tick", "--at", "2026-12-04T18:11:00Z", "--json").json == []
    assert left("export", "-").out == before
    [closed] = left("tick", "--at", until["at"], "--json").json
    assert (closed["prospect"], closed["stage"], closed["decision"]) == ("jerry", "closed", "stop")
    assert last(left) == ("FollowUpEnded", {"reason": "no_response"})
    assert left("export", "-").out.count("\n") == before.count("\n") + 1
    assert left("tick", "--at", until["at"], "--json").json == []
    assert left("tick", "--at", until["at"]).code == 0


# Commands that read -------------------------------------------------------------------------------


def test_due(silent: Cli) -> None:
    assert silent("due", "--at", HALF_DAY, "--json").json == []
    assert silent("due", "--at", HALF_DAY).code == 0
    [waiting] = silent("due", "--all", "--at", HALF_DAY, "--json").json
    assert (waiting["decision"], waiting["at"]) == ("wait", FIRST_SPACED)
    assert waiting["touch"]["step"] == "spaced#1"
    [due] = silent("due", "--at", FIRST_SPACED, "--json").json
    assert due["decision"] == "due"
    text = silent("due", "--at", FIRST_SPACED).out
    assert "jerry" in text
    assert "+12125550100" in text


def test_due_is_in_order_of_time(cli: Cli) -> None:
    for number, hour in enumerate((15, 9, 12, 18, 11)):
        at = f"2026-11-30T{hour:02}:00:00Z"
        add = ("add", f"p{number}", "--name", "P", "--timezone", "UTC", "--call", "+12125550100")
        assert cli(*add, "--at", at).code == 0
    found = cli("due", "--at", "2026-12-08T12:00:00Z", "--json").json
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    assert len(found) == 5
    limited = cli("due", "--limit", "2", "--at", "2026-12-08T12:00:00Z", "--json").json
    assert limited == found[:2]


def test_due_names_owner_number_and_lateness(cli: Cli) -> None:
    new = ("add", "zoe", "--name", "Zoe Lane", "--timezone", "UTC", "--call", "+12125550100")
    assert cli(*new, "--owner", "ann", "--at", ADDED).code == 0
    assert cli("appoint", "zoe", "2026-12-01", "9:00", "--at", ADDED).code == 0
    late = ("--at", "2026-12-01T11:05:00Z")
    title, line = cli("due", *late).out.splitlines()
    assert title.split() == ["what", "their", "time", "late", "name", "prospect", "owner", "next"]
    for words in ("due ", "Tue 12-01 09:00", "2 h 5 min", "Zoe Lane", " zoe ", " ann "):
        assert words in line
    assert line.endswith("call +12125550100")


def test_due_is_asked_for_by_owner_channel_and_page(cli: Cli) -> None:
    for number in range(4):
        owner = ("--owner", "ann") if number % 2 else ()
        new = ("add", f"p{number}", "--name", f"P{number}", "--timezone", "UTC", *owner)
        assert cli(*new, "--email", f"p{number}@example.com", "--at", ADDED).code == 0
    at = ("--at", ADDED)

    def ids(*options: str) -> list[str]:
        return [one["prospect"] for one in cli("due", "--json", *options, *at).json]

    assert ids("--owner", "ann") == ["p1", "p3"]
    assert ids("--owner", "bob") == []
    assert ids("--channel", "call") == []
    done = cli("due", "--limit", "3", *at)
    *_, place = done.err.split()
    assert done.err == f"note: there are more: --after {place}\n"
    assert ids("--after", place) == ["p3"]
    assert cli("due", "--limit", "4", *at).err == ""
    two_lines(cli("due", "--after", "p3", *at), 2, "after: invalid")


def test_due_leaves_out_what_stopped(silent: Cli) -> None:
    assert silent("opt-out", "jerry", "--at", HALF_DAY).code == 0
    assert silent("due", "--all", "--at", FIRST_SPACED, "--json").json == []


def test_explain_says_what_and_why(silent: Cli) -> None:
    text = silent("explain", "jerry", "--at", HALF_DAY).out
    assert "jerry" in text
    assert "spaced#1" in text
    assert "2026-12-04 13:10" in text  # the prospect's clock
    assert "plan" in text
    assert "Follow Up Tip #8" in text


def test_replay_until(silent: Cli) -> None:
    full = silent("replay", "jerry", "--json").json
    assert len(full) == 5
    assert silent("replay", "jerry", "--until", "2", "--json").json == full[:2]
    assert silent("replay", "jerry", "--until", "99", "--json").json == full
    assert silent("replay", "jerry", "--until", TEN_MINUTES, "--json").json == full[:4]
    assert (
        silent("replay", "jerry", "--until", "2026-12-01T09:09:59-05:00", "--json").json
        == (full[:3])
    )
    assert silent("replay", "jerry", "--until", "2020-01-01T00:00:00Z", "--json").json == []
    text = silent("replay", "jerry").out
    assert [line for line in text.splitlines() if "AttemptMade" in line]


def test_replay_until_a_day_ends_with_it_on_their_clock(silent: Cli) -> None:
    full = silent("replay", "jerry", "--json").json
    end = "2026-12-02T04:59:59Z"  # in New York
    assert silent("note", "jerry", "--interest", "late", "--at", end).code == 0
    assert silent("note", "jerry", "--interest", "next", "--at", "2026-12-02T05:00:00Z").code == 0
    done = silent("replay", "jerry", "--until", "2026-12-01", "--json")
    assert len(json.loads(done.out)) == len(full) + 1
    assert (
        done.err == f"note: --until 2026-12-01 is the end of that day in America/New_York, {end}\n"
    )
    everyone = silent("replay", "--all", "--until", "2026-12-01", "--json").json
    assert everyone["events"] == len(full) + 1
    refused = silent("replay", "jerry", "--until", "2026-02-30")
    assert refused.code == 2
    assert "--until: invalid day '2026-02-30'" in refused.err


def test_a_wait_says_since_when_its_touch_was_due_and_not_made(silent: Cli) -> None:
    missed = "due since Fri 2026-12-04 13:10, not made"
    step = silent("replay", "jerry", "--until", "2026-12-04").out
    assert f"{missed}; wait until Mon 2026-12-07 09:00 America/New_York" in step
    night = ("--at", "2026-12-05T04:00:00Z")
    assert f"{missed}; wait until Mon" in silent("explain", "jerry", *night).out
    assert f"({missed})" in silent("due", "--all", *night).out
    decision = silent("explain", "jerry", *night, "--json").json
    assert (decision["decision"], decision["due_since"]) == ("wait", "2026-12-04T18:10:00Z")
    assert "quiet_hours" in [reason["code"] for reason in decision["reasons"]]
    page = silent("replay", "jerry", "--until", "2026-12-04", "--html", "-").out
    assert missed in page


def test_a_touch_that_is_due_or_was_not_due_before_has_no_due_since(silent: Cli) -> None:
    for at in (HALF_DAY, FIRST_SPACED):
        assert silent("explain", "jerry", "--at", at, "--json").json["due_since"] is None
        assert "not made" not in silent("explain", "jerry", "--at", at).out


def test_replay_of_a_past_instant_says_that_later_events_count(silent: Cli) -> None:
    note = "events recorded after 2026-12-01T14:10:00Z count here; for what was known then use:"
    assert note in silent("replay", "jerry", "--at", TEN_MINUTES).err
    assert silent("replay", "jerry", "--at", FIRST_SPACED).err == ""
    assert "count here" not in silent("replay", "jerry", "--at", TEN_MINUTES, "--until", "2").err


def test_replay_until_an_instant_leaves_no_hole(silent: Cli) -> None:
    # Learnt of in any order: a second clerk's clock is behind the first one's.
    for at in ("2026-12-03T15:00:00Z", "2026-12-02T15:00:00Z", "2026-12-03T16:00:00Z"):
        done = silent("note", "jerry", "--interest", at, "--at", at)
        assert done.code in (0, 1, 2)
    for until in ("2026-12-02T23:00:00Z", "2026-12-03T15:30:00Z", "2026-12-09T15:00:00Z"):
        steps = silent("replay", "jerry", "--until", until, "--json").json
        versions = [step["event"]["version"] for step in steps]
        assert versions == list(range(1, len(versions) + 1))


def test_replay_shows_the_decisions_of_their_time(silent: Cli) -> None:
    at = "2026-12-05T10:00:00Z"
    steps = silent("replay", "jerry", "--json", "--at", at).json
    explained = silent("explain", "jerry", "--json", "--at", HALF_DAY).json
    assert steps[-1]["decision"].items() <= explained.items()


# Import and export --------------------------------------------------------------------------------


def test_export_and_import_are_inverse(silent: Cli, raw: Cli, tmp_path: Path) -> None:
    assert silent("add", "ann", "--name", "Ünal 🙂", "--timezone", "UTC", "--at", ADDED).code == 0
    file, other = tmp_path / "all.jsonl", tmp_path / "other.db"
    assert silent("export", "--format", "jsonl", file).code == 0
    text = file.read_text(encoding="utf-8")
    assert silent("export", "--format", "jsonl", "-").out == text
    assert silent("export", "-").out == text
    for line in text.splitlines():
        check_event(json.loads(line))
    first = raw("import", "--at", AFTER, file, "--db", other)
    assert (first.code, first.err) == (0, "")
    assert raw("export", "-", "--db", other).out == text
    at = ("--at", FIRST_SPACED, "--json")
    assert raw("due", "--all", "--db", other, *at).json == silent("due", "--all", *at).json
    # Importing again changes nothing, nor does importing into the first.
    for place in (other, tmp_path / "cadence.db"):
        assert raw("import", "--at", AFTER, file, "--db", place).code == 0
        assert raw("export", "-", "--db", place).out == text


def test_import_fills_in_what_an_attempt_lacks(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "bare.jsonl"
    head = {"prospect": "jerry", "occurred_at": ADDED}
    file.write_text(
        "\n".join(
            json.dumps(one)
            for one in (
                {
                    **head,
                    "type": "ProspectAdded",
                    "data": {
                        "name": "J",
                        "timezone": "America/New_York",
                        "contact_points": [{"channel": "call", "address": "+1 212 555 0100"}],
                    },
                },
                {**head, "type": "AppointmentSet", "data": {"at": APPOINTED}},
                {
                    **head,
                    "type": "AttemptMade",
                    "occurred_at": APPOINTED,
                    "data": {"parts": [{"channel": "call", "disposition": "no_answer"}]},
                },
            )
        )
    )
    for imported in (3, 0):
        assert cli("import", "--at", AFTER, file, "--json").json["events"] == imported
    found = events(cli)
    assert [one["version"] for one in found] == [1, 2, 3]
    assert [one["recorded_at"] for one in found] == [ADDED, ADDED, APPOINTED]
    data = found[2]["data"]
    assert (data["stage"], data["step"]) == ("on_time", "on_time")
    part = data["parts"][0]
    assert (part["address"], part["key"]) == ("+1 212 555 0100", "+12125550100")
    assert data["policy"]["name"] == "tip8"


def test_import_reads_standard_input(silent: Cli, tmp_path: Path) -> None:
    text = silent("export", "-").out
    done = subprocess.run(
        [CADENCE, "import", "-", "--at", AFTER, "--db", tmp_path / "other.db", "--json"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["events"] == text.count("\n")


# The global options -------------------------------------------------------------------------------


def test_global_options_stand_before_or_after_the_command(silent: Cli, raw: Cli, db: Path) -> None:
    options = ["--db", str(db), "--at", FIRST_SPACED, "--json"]
    expected = raw("due", *options)
    assert expected.json[0]["prospect"] == "jerry"
    assert raw(*options, "due") == expected
    assert raw(*options[:2], "due", *options[2:]) == expected
    assert raw(*options[2:4], "due", *options[:2], *options[4:]) == expected
    assert raw("--json", "due", *options[:4]) == expected
    listing = raw("policy", "list", "--json")
    assert raw("--json", "policy", "list") == listing
    assert raw(*options, "explain", "jerry").json == expected.json[0]


def test_what_stands_after_the_command_counts(silent: Cli, raw: Cli, db: Path) -> None:
    done = raw("--at", ADDED, "--db", "/nowhere/x.db", "due", "--db", db, "--at", FIRST_SPACED)
    assert done.code == 0
    assert "jerry" in done.out


def test_the_environment_names_the_database(
    silent: Cli, raw: Cli, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CADENCE_DB", str(db))
    expected = silent("explain", "jerry", "--at", HALF_DAY)
    assert raw("explain", "jerry", "--at", HALF_DAY) == expected


@pytest.mark.parametrize("before", [True, False])
def test_the_option_counts_more_than_the_environment(
    before: bool, silent: Cli, raw: Cli, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.db"
    monkeypatch.setenv("CADENCE_DB", str(other))
    option = ["--db", str(db)]

    def run(*arguments: str) -> Done:
        return raw(*option, *arguments) if before else raw(*arguments, *option)

    assert run("explain", "jerry", "--at", HALF_DAY).code == 0
    assert run("note", "jerry", "--interest", "x", "--at", HALF_DAY).code == 0
    assert not other.exists()


def test_the_database_is_cadence_db_unless_named(
    raw: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert raw("add", "ann", "--name", "Ann", "--timezone", "UTC").code == 0
    assert (tmp_path / "cadence.db").is_file()


def test_without_at_it_is_now(cli: Cli) -> None:
    before = datetime.now().astimezone()
    assert cli("add", "ann", "--name", "Ann", "--timezone", "UTC").code == 0
    [event] = events(cli, "ann")
    assert event["occurred_at"] == event["recorded_at"]
    recorded = datetime.fromisoformat(event["recorded_at"])
    assert before <= recorded <= datetime.now().astimezone()


# Demo, policies -----------------------------------------------------------------------------------


@pytest.mark.parametrize("group", [(), ("policy",)])
def test_no_line_of_the_list_of_commands_is_cut_off(
    raw: Cli, monkeypatch: pytest.MonkeyPatch, group: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = raw(*group, "-h").out.partition("Commands:" if group else "Who and why:")[2]
    assert len(listed.splitlines()) > 5
    assert "..." not in listed


def test_demo_touches_nothing(
    raw: Cli,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("demo")))
    done = raw("demo")
    assert (done.code, done.err) == (0, "")
    for word in ("jerry-never-answers", "due", "why", "ProspectAdded"):
        assert word in done.out
    again = raw("demo")  # whatever the clock says; the folder is a new one
    assert re.sub(r"cadence-demo-\w+", "", again.out) == re.sub(r"cadence-demo-\w+", "", done.out)
    calls = [
        shlex.split(line) for line in done.out.splitlines() if line.startswith("  cadence --db")
    ]
    assert len(calls) == 3
    for call in calls:
        assert raw(*call[1:]).code == ("may" in call), call  # it is asked and answered no
    for decision in raw("demo", "--json").json:
        check_decision(decision)
    assert list(tmp_path.iterdir()) == []


def test_policies(raw: Cli, tmp_path: Path) -> None:
    listed = raw("policy", "list", "--json").json
    assert "tip8" in [one["name"] for one in listed]
    assert "tip8" in raw("policy", "list").out
    for one in listed:
        shown = raw("policy", "show", one["name"], "--json").json
        assert shown["digest"] == one["digest"]
        assert shown["timetable"]
        text = raw("policy", "show", one["name"])
        assert text.code == 0
        assert one["digest"] in text.out


def test_a_new_policy(raw: Cli, tmp_path: Path) -> None:
    file = tmp_path / "our-way.toml"
    done = raw("policy", "new", file, "--calls", "4", "--gap", "4", "--answer", "3")
    assert (done.code, done.err) == (0, "")
    text = file.read_text()
    shown = raw("policy", "show", file)
    assert (shown.code, shown.err) == (0, "")
    assert "spaced#4" in shown.out
    assert "spaced#5" not in shown.out
    done = raw("policy", "new", file, "--calls", "5")
    assert done.code == 2
    assert "exists" in done.err
    assert file.read_text() == text


# Help ---------------------------------------------------------------------------------------------

COMMANDS = [
    *("demo", "add", "update", "appoint", "cancel", "attempt", "reply", "pause", "auto-reply"),
    *("failed", "opt-out", "opt-in", "note", "referral", "end", "reopen", "due", "tick", "explain"),
    *("replay", "import", "export", "rebuild", "policy list", "policy show", "policy new"),
]


def example(raw: Cli, command: str) -> list[str]:
    """The words of the example in a command's help, without ``cadence``."""
    done = raw(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    _, _, text = done.out.partition("Example:")
    words = shlex.split(" ".join(text.split()))
    assert words[0] == "cadence"
    assert words[1 : 1 + len(command.split())] == command.split()
    return words[1:]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_runs(
    command: str, silent: Cli, raw: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "histories.jsonl").write_text(silent("export", "-").out)
    done = raw(*example(raw, command), "--db", tmp_path / "cadence.db")
    assert done.code in (0, 1), done
    if done.code == 1:
        refused(done)


def test_every_command_is_listed_and_tested(raw: Cli) -> None:
    found = []
    for group in ("", "policy"):
        done = raw(*group.split(), "--help")
        assert (done.code, done.err) == (0, "")
        _, _, text = done.out.partition("Commands:\n" if group else "Who and why:\n")
        names = re.findall(r"^  ([a-z-]+)  ", text, re.MULTILINE)
        found += [f"{group} {name}".strip() for name in names]
    found.remove("policy")
    for command in found:
        example(raw, command)
    assert set(COMMANDS) <= set(found)


def test_no_command_is_help(raw: Cli) -> None:
    assert "Usage:" in raw().out
    assert raw("--help").code == 0


# Looks --------------------------------------------------------------------------------------------


def shown_in_a_terminal(*arguments: object, **env: str) -> tuple[int, str]:
    """Exit code and output of the installed command in a pseudo terminal."""
    primary, secondary = pty.openpty()
    base = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = subprocess.Popen(
        [CADENCE, *map(str, arguments)],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env={**base, "TERM": "xterm-256color", **env},
    )
    os.close(secondary)
    text = b"".join(_blocks(primary))
    os.close(primary)
    return process.wait(), text.decode()


def _blocks(primary: int) -> Iterator[bytes]:
    while True:
        try:
            block = os.read(primary, 1 << 16)
        except OSError:  # the other end is closed
            return
        if not block:
            return
        yield block


LOOKS = [
    ["due", "--all", "--at", FIRST_SPACED],
    ["explain", "jerry", "--at", HALF_DAY],
    ["replay", "jerry"],
    ["policy", "list"],
    ["policy", "show", "tip8"],
    ["demo"],
    ["note", "jerry", "--interest", "x", "--at", FIRST_SPACED],
]


@pytest.mark.parametrize("arguments", LOOKS, ids=lambda one: one[0])
def test_colours_in_a_terminal_and_none_in_a_pipe(
    arguments: list[str], silent: Cli, db: Path
) -> None:
    assert "\x1b" not in silent(*arguments).out
    code, text = shown_in_a_terminal(*arguments, "--db", db)
    assert code == 0
    assert "\x1b[" in text


def test_no_colours_where_they_are_not_wanted(silent: Cli, db: Path) -> None:
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, text = shown_in_a_terminal("due", "--all", "--at", FIRST_SPACED, "--db", db, **env)
        assert code == 0
        assert "\x1b" not in text


def test_json_in_a_terminal_is_plain(silent: Cli, db: Path) -> None:
    for arguments in (["due", "--all"], ["explain", "jerry"], ["replay", "jerry"]):
        code, text = shown_in_a_terminal(*arguments, "--at", HALF_DAY, "--json", "--db", db)
        assert code == 0
        assert json.loads(text) == silent(*arguments, "--at", HALF_DAY, "--json").json


def test_a_policy_is_asked_for_in_a_terminal_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [CADENCE, "policy", "new", str(tmp_path / "a.toml")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_python_m_cadence_is_the_same(silent: Cli, db: Path) -> None:
    arguments = ["explain", "jerry", "--at", HALF_DAY, "--db", str(db)]
    done = subprocess.run(
        [sys.executable, "-m", "cadence", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.decode() == silent("explain", "jerry", "--at", HALF_DAY).out


def test_the_shell_completes_commands_and_options() -> None:
    def completed(*words: str) -> set[str]:
        typed = {"COMP_WORDS": " ".join(("cadence", *words)), "COMP_CWORD": str(len(words))}
        environment = {**os.environ, **typed, "_CADENCE_COMPLETE": "complete_bash"}
        done = subprocess.run(
            [sys.executable, "-m", "cadence"], env=environment, capture_output=True, text=True
        )
        return set(done.stdout.split())

    assert completed("ex") == {"explain", "export"}
    assert completed("policy", "ad") == {"adopt"}
    assert completed("attempt", "jo", "--c") == {"--channel", "--command-id"}
