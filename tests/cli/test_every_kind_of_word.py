"""Each kind of word about a prospect is shown wherever a history or a decision is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import Cli

EMAIL, PHONE = "bo@example.com", "+1 212 555 0101"
SAID, TAKEN_BACK, NOW = (f"2026-03-0{day}T15:00:00Z" for day in (3, 4, 5))
WHY = ("--why", "asked on the phone", "--by", "kim")
P = (
    *("add", "p", "--name", "Bo Roe", "--timezone", "America/New_York", "--country", "US"),
    *("--email", EMAIL, "--call", PHONE, "--at", "2026-03-02T15:00:00Z"),
)
CALL = ("--channel", "call", "--disposition", "no_answer", "--address", PHONE)
ADA = ("add", "ada", *P[2:])

Command = tuple[str, ...]


class Kind(NamedTuple):
    """A kind of word: how it is said and taken back, and what a replay shows of both."""

    said: tuple[Command, ...]
    taken_back: tuple[Command, ...] = ()
    shown: tuple[str, ...] = ()
    shown_after: tuple[str, ...] = ()


KINDS = {
    "an opt-out of another record": Kind(
        (("opt-out", "ada"),),
        (("undo", "ada", *WHY),),
        ("·  Tue 2026-03-03 10:00  ada: OptOutRequested", "too and opted out (event 2 of ada)"),
        ("ada: EventRetracted  version 2 (asked on the phone)",),
    ),
    "an opt-out of one channel, said from an address": Kind(
        (("opt-out", "ada", "--channel", "email", "--address", EMAIL),),
        (("opt-in", "ada", "--channel", "email", *WHY[:2]),),
        ("ada: OptOutRequested  channel email, address bo@example.com",),
        ("ada: OptedBackIn  channel email",),
    ),
    "their own opt-out": Kind(
        (("opt-out", "p", "--by", "kim"),),
        (("undo", "p", *WHY),),
        ("2  Tue 2026-03-03 10:00  OptOutRequested",),
        ("[retracted by event 3 (kim: asked on the phone)]",),
    ),
    "an opt-in that lifts another's opt-out": Kind(
        (("opt-out", "ada"), ("opt-in", "p", *WHY[:2])),
        (("undo", "p", "--why", "a mistake"),),
        ("OptedBackIn  why asked on the phone, lifts event 2 of ada",),
        ("retracted by event 3",),
    ),
    "an entry of a list on every channel": Kind(
        (("suppress", EMAIL, "--by", "kim", "--reason", "asked", "--source", "dnc"),),
        (("unsuppress", EMAIL, *WHY),),
        ("bo@example.com: Noted  kind suppressed, address bo@example.com, source dnc, why asked",),
        ("Noted  kind no longer suppressed, address bo@example.com, why asked on the phone",),
    ),
    "an entry of a list on one channel": Kind(
        (("suppress", PHONE, "--by", "kim", "--channel", "call"),),
        (("unsuppress", PHONE, *WHY),),
        ("+12125550101: Noted  kind suppressed, address +12125550101, channel call",),
        ("Noted  kind no longer suppressed, address +12125550101, channel call, why asked",),
    ),
    "a line": Kind(
        (
            (
                "line",
                PHONE,
                "--why",
                "a switchboard",
                "--by",
                "kim",
                "--at",
                "2026-03-03T14:00:00Z",
            ),
            ("opt-out", "ada"),
        ),
        (("line", PHONE, "--end", *WHY),),
        ("ada: OptOutRequested",),
        ("Noted  kind no longer line, address +12125550101, why asked on the phone",),
    ),
    "a failure of another record": Kind(
        (("failed", "ada", "--channel", "email", "--address", EMAIL, "--reason", "bounced"),),
        (("restore", "ada", "--address", EMAIL, *WHY),),
        ("ada: ContactPointFailed  channel email, address bo@example.com, reason bounced",),
        ("ada: ContactPointRestored  channel email, address bo@example.com, why asked",),
    ),
    "a wrong number that another record found": Kind(
        (
            *(("attempt", "ada", *CALL),),
            *(("correct", "ada", "--disposition", "wrong_number"),),
        ),
        (("undo", "ada", "--version", "3", *WHY),),
        ("ada: EventCorrected  version 2 is ",),
        ("ada: EventRetracted  version 3 (asked on the phone)",),
    ),
    "an end of another record": Kind(
        (("end", "ada", "deceased"),),
        (("reopen", "ada", "they asked for it"),),
        ("ada: FollowUpEnded  reason deceased", "ada, who may be the same person,"),
        ("ada: FollowUpReopened  why they asked for it",),
    ),
    "two people": Kind(
        (("opt-out", "ada"), ("not-same", "p", "ada", *WHY)),
        (("undo", "p", *WHY),),
        ("SamePersonDenied  prospect ada, why asked on the phone",),
        ("[retracted by event 3 (kim: asked on the phone)]",),
    ),
    "a merge": Kind(
        (
            ("attempt", "ada", *CALL),
            ("merge", "ada", "p", *WHY),
            ("attempt", "ada", *CALL),
        ),
        (("unmerge", "ada", *WHY),),
        ("ada: AttemptMade  ", "ProspectsMerged  ada with 2 events (asked on the phone)"),
        ("[retracted by event 4 (kim: asked on the phone)]",),
    ),
    "a retracted and a corrected attempt": Kind(
        (
            ("attempt", "p", *CALL, "--by", "kim"),
            ("correct", "p", "--disposition", "busy", *WHY),
        ),
        (("undo", "p", "--version", "2", *WHY),),
        ("EventCorrected  version 2 is spaced#1: call busy (asked on the phone)",),
        ("[retracted by event 4 (kim: asked on the phone)]",),
    ),
    "a referral, a pause and an appointment": Kind(
        (
            ("referral", "p", "--name", "Cy", "--email", "cy@example.com"),
            ("pause", "p", "2026-03-20T15:00:00Z"),
            ("appoint", "p", "2026-04-20T15:00:00Z"),
        ),
        (("cancel", "p"),),
        ("name Cy, contact_points email=cy@example.com", "until 2026-03-20T15:00:00Z"),
        ("AppointmentCancelled",),
    ),
}
"""Each is said on 3 March and taken back on 4 March."""


@pytest.fixture
def people(cli: Cli) -> Cli:
    """Two records of one name, email and number."""
    for command in (P, ADA):
        assert cli(*command).code == 0
    return cli


def _do(cli: Cli, commands: tuple[Command, ...], at: str) -> None:
    for command in commands:
        done = cli(*command, *(() if "--at" in command else ("--at", at)))
        assert done.code == 0, done


def _shown(cli: Cli, *more: str) -> str:
    """The replay; it is shown as a page and as data too."""
    page = cli("replay", "p", "--html", "-", *more)
    assert (page.code, page.err) == (0, "")
    assert cli("--json", "replay", "p", *more).json
    done = cli("replay", "p", *more)
    assert (done.code, done.err) == (0, "")
    return re.sub(" +", " ", done.out)


def _read_everything(cli: Cli) -> None:
    for command in (("show", "p"), ("explain", "p"), ("due", "--all"), ("list",)):
        for more in ((), ("--json",)):
            done = cli(*command, *more, "--at", NOW)
            assert done.code == 0, done
    for channel in ("call", "email"):
        for more in ((), ("--json",)):
            assert cli("may", "p", "--channel", channel, *more, "--at", NOW).code in (0, 1)
    for command in (("audit",), ("suppress", "--list"), ("duplicates",), ("find", EMAIL)):
        assert cli(*command, "--at", NOW).code in (0, 1)
        assert json.loads(cli("--json", *command, "--at", NOW).out) is not None


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_word_is_shown_everywhere_and_once_taken_back_too(people: Cli, kind: Kind) -> None:
    _do(people, kind.said, SAID)
    before = _shown(people)
    for text in kind.shown:
        assert re.sub(" +", " ", text) in before
    _read_everything(people)
    _do(people, kind.taken_back, TAKEN_BACK)
    after = _shown(people)
    for text in kind.shown_after:
        assert re.sub(" +", " ", text) in after
    _read_everything(people)
    then = _shown(people, "--until", "2026-03-03T16:00:00Z")
    for text in kind.shown:
        assert re.sub(" +", " ", text) in then  # it was known by then
    assert "(seen Tue 2026-03-03 11:00)" in then
    assert "Wed 2026-03-04" not in re.sub("→.*|why:.*|not done:.*", "", then)


def test_an_event_of_a_team_may_name_its_values_as_it_likes(people: Cli, tmp_path: Path) -> None:
    note = {"kind": "demo", "data": {"address": "12 Elm St", "digest": "ab", "channel": "web"}}
    old = {"contact_points": [{"channel": "call", "address": "212", "key": ""}]}
    lines = [("Noted", note), ("AddressesRead", old)]
    file = tmp_path / "more.jsonl"
    file.write_text(
        "".join(
            json.dumps({"prospect": "p", "type": kind, "occurred_at": SAID, "data": data}) + "\n"
            for kind, data in lines
        )
    )
    assert people("import", file, "--at", SAID).code == 0
    shown = _shown(people)
    assert "Noted kind demo, address 12 Elm St, digest ab, channel web" in shown
    assert "AddressesRead contact_points call=212 (unusable)" in shown
    _read_everything(people)


def test_the_page_counts_their_own_events_and_the_others_apart(people: Cli) -> None:
    _do(people, (("attempt", "p", *CALL), ("suppress", EMAIL), ("opt-out", "ada")), SAID)
    page = people("replay", "p", "--html", "-").out
    shown = re.findall(r"<dt>(.*?)</dt><dd[^>]*><bdi>(.*?)</bdi>", page)
    facts = dict(shown)
    assert len(people("--json", "show", "p").json["events"]) == 2
    assert facts["events"] == "2, Mon 2026-03-02 10:00 to Tue 2026-03-03 10:00"
    assert facts["events of other records and lists"] == "2"
    assert facts["attempts"] == "1"
    assert "Made by cadence from 2 events, and 2 of other records and lists, under" in page


def test_the_page_shows_a_breach_at_its_head_and_at_its_event(people: Cli) -> None:
    assert "attempts that broke a rule</dt><dd><bdi>0" in people("replay", "p", "--html", "-").out
    _do(people, (("opt-out", "p"),), SAID)
    assert people("attempt", "p", *CALL, "--at", TAKEN_BACK).code == 0
    page = people("replay", "p", "--html", "-").out
    assert 'attempts that broke a rule</dt><dd class="broke"><bdi>1' in page
    said = '<small class="broke"><span class="tag">broke</span> <bdi>opt_out: no reason given</bdi>'
    assert said in page
