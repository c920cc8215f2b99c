"""Two reps, two dispatchers: claim, release, and what due and may say of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import INSTANT, Cli, two_lines

from cadence import Cadence, Refused
from cadence.domain import AttemptMade, Disposition, Part
from cadence.domain.channels import EMAIL
from cadence.engine.claims import Claim

MEETING = "2026-12-01T14:00:00Z"
AT = ("--at", MEETING)
CALL = ("--channel", "call", "--disposition", "no_answer")


@pytest.fixture
def due(jerry: Cli) -> Cli:
    """Jerry's on-time call is due."""
    assert jerry("appoint", "jerry", MEETING, "--at", "2026-11-30T15:00:00Z").code == 0
    return jerry


def test_of_two_reps_one_gets_the_touch_and_the_other_sees_who_has_it(due: Cli) -> None:
    taken = due("claim", "jerry", "--by", "ann", *AT)
    assert taken.code == 0
    assert taken.out.startswith("jerry: on_time by call +12125550100  (ann has it until ")
    refused = due("claim", "jerry", "--by", "ben", *AT)
    two_lines(refused, 1, "ann holds it until")
    assert "(ann has it until " in due("due", *AT).out
    assert "ann has it until" in due("explain", "jerry", *AT).out
    assert "ann has it until" in due("show", "jerry", *AT).out
    (decision,) = due("due", "--json", *AT).json
    assert (decision["claim"]["by"], decision["claim"]["state"]) == ("ann", "held")
    assert INSTANT.match(decision["claim"]["until"])
    assert due("show", "jerry", "--json", *AT).json["decision"]["claim"] == decision["claim"]


def test_may_says_who_holds_it_but_not_to_the_holder(
    due: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    due("claim", "jerry", "--by", "ann", *AT)
    asked = due("may", "jerry", "--by", "ben", *AT)
    assert asked.code == 1
    assert "it breaks claimed: ann holds it until" in asked.out
    monkeypatch.setenv("CADENCE_BY", "ann")
    assert due("may", "jerry", *AT).code == 0


def test_an_attempt_by_another_is_logged_names_claimed_and_is_found_by_the_audit(due: Cli) -> None:
    due("claim", "jerry", "--by", "ann", *AT)
    strict = due("attempt", "jerry", *CALL, "--strict", "--by", "ben", *AT)
    assert strict.code == 1
    assert "refused by claimed: ann holds it until" in strict.err
    logged = due("attempt", "jerry", *CALL, "--by", "ben", *AT)
    assert logged.code == 0
    assert "broke claimed" in logged.err
    own = due("log", "jerry", "na", "--by", "ann", "--at", "2026-12-01T14:01:00Z")
    assert (own.code, own.err) == (0, "")
    assert "(ann has it" not in due("due", "--all", *AT).out
    found = due("audit", "--json")
    assert found.code == 1
    assert '"version":3,"rule":"claimed","because":"another held the claim' in found.out


def test_the_holder_is_who_works_here_where_nothing_else_is_said(
    due: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CADENCE_BY", "ann")
    assert due("claim", "jerry", "--json", *AT).json["by"] == "ann"
    due("log", "jerry", "na", *AT)
    assert "on_time" in due("replay", "jerry", *AT).out
    assert due("release", "jerry", *AT).out.startswith("jerry: no claim stands\n")


def test_a_claim_is_given_back_by_its_holder_or_in_their_name(due: Cli) -> None:
    due("claim", "jerry", "--by", "ann", *AT)
    refused = due("release", "jerry", "--by", "ben", *AT)
    two_lines(refused, 1, "cadence release jerry --by ann")
    assert due("release", "jerry", "--by", "ann", "--json", *AT).json == {
        "prospect": "jerry",
        "released": True,
    }
    assert due("claim", "jerry", "--by", "ben", *AT).code == 0


@pytest.mark.parametrize("lease", ["", "soon", "15", "-1m", "0m", "31d", "1e9m", "1.5h"])
def test_an_invalid_lease_is_bad_input(due: Cli, lease: str) -> None:
    done = due("claim", "jerry", "--lease", lease, "--by", "ann", *AT)
    two_lines(done, 2, "lease: invalid")


@pytest.mark.parametrize(("lease", "hours"), [("90m", 1.5), ("2h", 2), ("1 d", 24), ("30MIN", 0.5)])
def test_a_lease_is_given_in_minutes_hours_or_days(due: Cli, lease: str, hours: float) -> None:
    taken = due("claim", "jerry", "--lease", lease, "--by", "ann", "--json", *AT).json
    start, end = map(datetime.fromisoformat, (taken["claimed_at"], taken["until"]))
    assert (end - start).total_seconds() == hours * 3600


def test_a_claim_on_an_unknown_prospect_leaves_no_database(cli: Cli, db: Path) -> None:
    for command in ("claim", "release"):
        assert cli(command, "jerry", "--by", "ann").code == 2
    assert not db.exists()


def test_tick_records_what_a_lease_left_to_be_assumed(due: Cli, db: Path) -> None:
    now = datetime(2026, 12, 1, 14, tzinfo=UTC)
    with Cadence.open(str(db), clock=lambda: now.replace(year=2020)) as app:
        app.claim("jerry", by="bot", on_expiry="assume_made", at=now)
    listed = due("due", *AT).out
    assert "bot had it until" in listed
    assert "cadence tick records it" in listed
    ticked = due("tick", "--at", "2026-12-01T14:20:00Z")
    assert ticked.out == (
        "jerry: assumed made by bot, recorded as version 3\n0 follow-ups closed\n"
    )


def test_case_24_of_two_dispatchers_one_sends_the_exit(cli: Cli, db: Path) -> None:
    """Two workers read one list at the same moment; each sent the polite exit."""
    at = ("--at", "2026-11-30T15:00:00Z")
    points = ("--email", "q@example.com", "--call", "+1 212 555 0101")
    cli(
        "add", "q", "--name", "Q", "--timezone", "America/New_York", "--country", "US", *points, *at
    )
    cli("attempt", "q", "--channel", "call", "--disposition", "wrong_number", *at)
    now = datetime(2026, 12, 3, 15, tzinfo=UTC)
    sent: list[Claim] = []
    refused: list[tuple[str, str]] = []
    with Cadence.open(str(db)) as one, Cadence.open(str(db)) as two:
        seen = [(name, app, list(app.due(now))) for name, app in (("one", one), ("two", two))]
        for name, app, decisions in seen:
            for decision in decisions:
                assert decision.touch is not None
                try:
                    sent.append(app.claim("q", decision.touch.id, by=name, at=now))
                except Refused as error:
                    refused.append((name, error.rule))
        assert refused == [("two", "claimed")]
        assert [(claim.by, claim.step) for claim in sent] == [("one", "polite_exit")]
        one.complete(sent[0], [Part(EMAIL, Disposition.SENT)], at=now)
        assert list(two.due(now)) == []
        made = two.history("q")[-1].data
        assert isinstance(made, AttemptMade)
        assert made.broke == ()
