"""Records of one person are merged into one, and taken apart again, on every store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from nightly import NIGHTLY

from cadence.audit.runner import audit
from cadence.domain import (
    AttemptMade,
    ContactPoint,
    ContactPointFailed,
    ContactPointRestored,
    Disposition,
    Event,
    EventCorrected,
    EventRetracted,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
    SamePersonDenied,
    ValueNoted,
)
from cadence.domain.channels import CALL, EMAIL, Channel
from cadence.domain.events import (
    MERGED_FROM,
    EndReason,
    FailureReason,
    FollowUpEnded,
    Intent,
    ValueKind,
)
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine import (
    CancelAppointment,
    Close,
    Due,
    EndFollowUp,
    MakeAttempt,
    SetAppointment,
    Stop,
    Task,
    Undo,
    Wait,
)
from cadence.errors import InputError, Refused, UnknownProspect
from cadence.policy.rules import Rule
from cadence.store import Cadence

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)  # a Monday, ten o'clock in New York
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CALLED = MakeAttempt((Part(CALL, Disposition.NO_ANSWER),))
ROUNDS = 1000 if NIGHTLY else 30


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address) as opened:
        yield opened


def person(number: str, email: str, name: str = "Ada Brook") -> ProspectAdded:
    points = (ContactPoint(CALL, number), ContactPoint(EMAIL, email))
    return ProspectAdded(name, "America/New_York", "US", contact_points=points)


@pytest.fixture
def pair(app: Cadence) -> Cadence:
    """Two records of one person, without a common address."""
    app.execute("one", person("+1 212 555 0101", "ada@example.com"), at=NOW)
    app.execute("two", person("+1 212 555 0102", "ada@work.example.com"), at=NOW)
    return app


def merge(app: Cadence, days: float = 20, **given: str) -> Prospect:
    return app.merges.merge("two", "one", why="they said so", at=NOW + days * DAY, **given).survivor


def test_the_survivor_has_the_addresses_of_both_and_the_other_stands_at_merged(
    pair: Cadence,
) -> None:
    survivor = merge(pair)
    assert [point.key for point in survivor.reach.contact_points] == [
        *("+12125550101", "ada@example.com"),
        *("+12125550102", "ada@work.example.com"),
    ]
    assert pair.load("two").stage is Stage.MERGED
    assert isinstance(pair.explain("two", NOW + 21 * DAY), Stop)
    assert pair.find("+1 212 555 0102") == ["one"]
    assert [one.prospect for one in pair.due(NOW + 21 * DAY)] == ["one"]


def test_attempts_of_both_count_and_the_larger_gap_goes_on(pair: Cadence) -> None:
    for days in (0, 3, 8):
        pair.execute("two", CALLED, at=NOW + days * DAY)
    pair.execute("one", CALLED, at=NOW + 9 * DAY)
    gap = pair.load("two").silence.largest_gap
    survivor = merge(pair, 10)
    assert survivor.silence.spaced_calls == 4
    assert len(survivor.silence.attempts) == 4
    assert survivor.silence.largest_gap == gap
    assert survivor.stage is Stage.SPACED
    before = pair.explain("one", NOW + 10 * DAY)
    assert isinstance(before, Wait)
    assert before.at is not None
    assert before.at >= NOW + 9 * DAY + gap.business_days * DAY


def test_the_cap_on_spaced_calls_is_one_for_both(pair: Cadence) -> None:
    for days in (0, 3, 8):
        for record in ("one", "two"):
            at = NOW + days * DAY + (record == "two") * HOUR
            pair.execute(record, CALLED, at=at)
    assert merge(pair, 9).silence.spaced_calls == 6
    for days in (9, 20, 60):
        touch = pair.explain("one", NOW + days * DAY).touch
        assert touch is None or touch.stage is not Stage.SPACED


def test_every_opt_out_and_failure_of_the_other_holds(pair: Cadence) -> None:
    pair.execute("two", OptOutRequested(EMAIL), at=NOW)
    failed = ContactPointFailed(CALL, "+1 212 555 0102", FailureReason.DISCONNECTED)
    pair.execute("two", failed, at=NOW)
    reach = merge(pair).reach
    assert EMAIL in reach.opted_out
    assert reach.has_failed("+12125550102")
    assert not reach.has_failed("+12125550101")
    pair.execute("one", OptedBackIn(EMAIL, why="they wrote"), at=NOW + 21 * DAY)
    assert EMAIL not in pair.load("one").reach.opted_out


def test_opted_out_of_everything_is_so_for_both(pair: Cadence) -> None:
    pair.execute("two", OptOutRequested(), at=NOW)
    assert merge(pair).stage is Stage.OPTED_OUT
    assert isinstance(pair.explain("one", NOW + 21 * DAY), Stop)


def test_the_silence_is_that_since_the_last_response_of_either(pair: Cadence) -> None:
    pair.execute("one", CALLED, at=NOW)
    pair.execute("two", ReplyReceived(EMAIL), at=NOW + 5 * DAY)
    pair.execute("one", CALLED, at=NOW + 6 * DAY)
    survivor = merge(pair, 7)
    assert survivor.silence.since == NOW + 5 * DAY
    assert [attempt.at for attempt in survivor.silence.attempts] == [NOW + 6 * DAY]
    # The call was made in ignorance of the reply, so the owner has to talk to them.
    assert survivor.stage is Stage.ENGAGED
    assert isinstance(pair.explain("one", NOW + 8 * DAY), Task)


def test_what_ended_after_the_exit_of_this_silence_does_not_begin_anew(app: Cadence) -> None:
    app.execute("two", person("+1 212 555 0102", "ada@example.com"), at=NOW)
    app.execute("two", ReplyReceived(EMAIL), at=NOW)
    now = NOW + HOUR
    app.execute("two", CALLED, at=now)
    while app.load("two").stage is not Stage.CLOSED:
        now += HOUR
        decision = app.explain("two", now)
        if isinstance(decision, Due):
            channels = [part.channel for part in decision.touch.parts]
            how = {CALL: Disposition.NO_ANSWER, EMAIL: Disposition.SENT}
            app.execute("two", MakeAttempt(tuple(Part(c, how[c]) for c in channels)), at=now)
        app.tick(now)
    assert app.load("two").silence.attempts[-1].stage == "polite_exit"
    app.execute("one", person("+1 212 555 0101", "ada@work.example.com"), at=now)
    merged = app.merges.merge("two", "one", why="they look alike", keep="one", at=now)
    assert merged.survivor.stage is Stage.POLITE_EXIT
    assert isinstance(merged.decision, Close)
    assert [one for page in audit(app) for one in page.findings] == []


def test_a_refusal_and_a_pause_are_taken_over(pair: Cadence) -> None:
    pair.execute("one", CALLED, at=NOW)
    pair.execute("two", ReplyReceived(EMAIL, Intent.NO), at=NOW + DAY)
    survivor = merge(pair, 2)
    assert survivor.response.intent is Intent.NO
    assert pair.explain("one", NOW + 40 * DAY).touch is None


def test_a_pause_of_the_other_holds_up_the_next_touch(pair: Cadence) -> None:
    pair.execute("two", PauseRequested(NOW + 30 * DAY), at=NOW + DAY)
    merge(pair, 2)
    decision = pair.explain("one", NOW + 3 * DAY)
    assert decision.at is not None
    assert decision.at >= NOW + 30 * DAY


def test_values_of_both_are_there_and_a_used_one_is_used(pair: Cadence) -> None:
    for record in ("one", "two"):
        noted = ValueNoted("value-1", f"of {record}", ValueKind.PERSONAL)
        pair.execute(record, noted, at=NOW)
        pair.execute(record, InterestNoted("price"), at=NOW)
    survivor = merge(pair)
    assert {value.id: value.text for value in survivor.values} == {
        "value-1": "of one",
        "two/value-1": "of two",
    }
    assert survivor.interests == ("price",)


def test_an_end_against_an_open_record_needs_the_owners_choice(pair: Cadence) -> None:
    pair.execute("two", EndFollowUp(EndReason.BOUGHT), at=NOW)
    with pytest.raises(Refused) as refused:
        merge(pair)
    assert "one is new and two is won" in refused.value.what
    assert merge(pair, keep="two").stage is Stage.WON
    pair.merges.unmerge("two", why="two people", at=NOW + 21 * DAY)
    assert merge(pair, 22, keep="one").stage is Stage.NEW


def test_two_appointments_need_the_owners_choice(pair: Cadence) -> None:
    pair.execute("one", SetAppointment(NOW + 30 * DAY), at=NOW)
    pair.execute("two", SetAppointment(NOW + 31 * DAY), at=NOW)
    with pytest.raises(Refused) as refused:
        merge(pair)
    assert refused.value.rule == Rule.APPOINTMENT
    survivor = merge(pair, keep="two")
    assert survivor.appointment is not None
    assert survivor.appointment.at == NOW + 31 * DAY
    assert survivor.stage is Stage.SCHEDULED


def test_an_appointment_is_not_dropped_in_silence(pair: Cadence) -> None:
    pair.execute("one", SetAppointment(NOW + 30 * DAY), at=NOW)
    pair.execute("two", CALLED, at=NOW + DAY)
    with pytest.raises(Refused) as refused:
        merge(pair)
    assert "one has one at 2026-04-01T15:00:00Z" in refused.value.what
    pair.execute("one", CancelAppointment(), at=NOW + 2 * DAY)
    assert merge(pair).stage is Stage.SPACED


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"prospect": "one"}, InputError),
        ({"prospect": "three"}, UnknownProspect),
        ({"into": "three"}, UnknownProspect),
        ({"why": " "}, InputError),
        ({"keep": "three"}, InputError),
    ],
)
def test_a_merge_of_what_is_not_there_is_refused_and_writes_nothing(
    pair: Cadence, given: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        pair.merges.merge(
            **{"prospect": "two", "into": "one", "why": "they said so", **given}, at=NOW + DAY
        )
    assert [len(history) for history in pair.histories.all()] == [1, 1]


def test_people_who_were_told_apart_are_not_merged(pair: Cadence) -> None:
    pair.execute("one", SamePersonDenied("two", "sisters"), at=NOW)
    with pytest.raises(Refused):
        merge(pair)
    pair.execute("one", Undo(), at=NOW + HOUR)
    assert merge(pair).merged.keys() == {"two"}


def test_a_claimed_record_is_not_merged(pair: Cadence) -> None:
    claim = pair.claim("two", own=CALL, by="bob", at=NOW)
    with pytest.raises(Refused) as refused:
        merge(pair)
    assert refused.value.rule == Rule.CLAIMED
    pair.release(claim)
    merge(pair)
    with pytest.raises(Refused) as refused:
        pair.claim("two", by="bob", at=NOW + 21 * DAY)
    assert "merged into one" in refused.value.what


def test_a_claim_that_ran_out_is_completed_for_the_survivor() -> None:
    clock = NOW
    with Cadence.open(clock=lambda: clock) as app:
        app.execute("one", person("+1 212 555 0101", "ada@example.com"))
        app.execute("two", person("+1 212 555 0102", "ada@work.example.com"))
        claim = app.claim("two", own=CALL, by="bob", lease=HOUR)
        clock = NOW + 2 * HOUR
        app.merges.merge("two", "one", why="they said so")
        outcome = app.complete(claim, CALLED.parts)
    assert outcome.events[0].prospect == "one"
    assert outcome.overtaken_by is not None
    assert outcome.overtaken_by.data == FollowUpEnded(EndReason.MERGED, "one")


# What comes later ---------------------------------------------------------------------------------


def test_what_comes_for_the_merged_record_is_recorded_for_the_survivor(pair: Cadence) -> None:
    merge(pair)
    at = NOW + 21 * DAY
    outcome = pair.execute("two", ReplyReceived(EMAIL), at=at, meta={"campaign": "spring"})
    assert outcome.prospect.id == "one"
    assert outcome.events[0].meta == {"campaign": "spring", MERGED_FROM: "two"}
    pair.execute("two", OptOutRequested(), at=at + HOUR)
    assert pair.load("one").stage is Stage.OPTED_OUT
    assert len(pair.history("two")) == 2


def test_a_command_that_comes_twice_has_no_second_effect_over_a_merge(pair: Cadence) -> None:
    pair.execute("two", ReplyReceived(EMAIL), at=NOW, command_id="mail-1")
    merge(pair)
    at = NOW + 21 * DAY
    assert pair.execute("two", ReplyReceived(EMAIL), at=at, command_id="mail-1").repeated
    first = pair.execute("two", ReplyReceived(EMAIL), at=at, command_id="mail-2")
    again = pair.execute("two", ReplyReceived(EMAIL), at=at, command_id="mail-2")
    assert again.repeated
    assert again.events == first.events


@pytest.mark.parametrize("command", [ReplyReceived(EMAIL), OptOutRequested()])
def test_ids_of_commands_for_the_merged_record_are_not_those_of_the_survivor(
    pair: Cadence, command: ReplyReceived | OptOutRequested
) -> None:
    pair.execute("one", ReplyReceived(EMAIL), at=NOW, command_id="1")
    merge(pair)
    at = NOW + 21 * DAY
    first = pair.execute("two", command, at=at, command_id="1")
    assert not first.repeated
    assert [(event.prospect, event.data) for event in first.events] == [("one", command)]
    assert pair.execute("two", command, at=at + HOUR, command_id="1").events == first.events
    assert pair.execute("one", ReplyReceived(EMAIL), at=at, command_id="1").events[0].version == 2


@pytest.mark.parametrize("version", [None, 2, 4])
def test_undo_takes_back_what_came_for_one_record_where_both_used_the_id(
    pair: Cadence, version: int | None
) -> None:
    pair.execute("one", ReplyReceived(EMAIL), at=NOW, command_id="1")
    merge(pair)
    pair.execute("two", OptOutRequested(), at=NOW + 21 * DAY, command_id="1")
    undone = pair.execute("one", Undo("wrong", version), at=NOW + 22 * DAY).events
    assert [one.data for one in undone] == [EventRetracted(version or 4, "wrong")]


def test_what_is_taken_back_of_the_old_record_is_taken_back_for_the_survivor(
    pair: Cadence,
) -> None:
    pair.execute("two", OptOutRequested(), at=NOW + DAY)
    merge(pair)
    assert pair.load("one").stage is Stage.OPTED_OUT
    retraction = EventRetracted(2, "a mistake")
    outcome = pair.execute("two", retraction, at=NOW + 21 * DAY, by="ann")
    assert outcome.prospect.id == "two"
    assert isinstance(pair.history("one")[-1].data, EventCorrected)
    assert pair.load("one").stage is Stage.NEW
    assert not pair.due_rows.are_stale()
    assert [one for page in audit(pair) for one in page.findings] == []


def test_undo_takes_back_the_last_that_came_and_then_names_the_merge(pair: Cadence) -> None:
    merge(pair)
    pair.execute("two", ReplyReceived(EMAIL), at=NOW + 21 * DAY)
    assert pair.execute("two", Undo(), at=NOW + 22 * DAY).prospect.id == "one"
    assert pair.load("one").stage is Stage.NEW
    for record, version in (("two", None), ("one", 2)):
        with pytest.raises(Refused) as refused:
            pair.execute(record, Undo("wrong", version), at=NOW + 23 * DAY)
        assert "cadence unmerge two" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "half",
    [FollowUpEnded(EndReason.MERGED, "one"), EndFollowUp(EndReason.MERGED)],
)
def test_half_a_merge_is_no_fact_and_no_command(
    pair: Cadence, half: FollowUpEnded | EndFollowUp
) -> None:
    with pytest.raises(InputError):
        pair.execute("two", half, at=NOW)


# Taken back ---------------------------------------------------------------------------------------


def test_a_merge_that_is_taken_back_leaves_both_as_they_were(pair: Cadence) -> None:
    pair.execute("two", CALLED, at=NOW)
    pair.execute("one", OptOutRequested(EMAIL), at=NOW + DAY)
    before = [pair.load(one) for one in ("one", "two")]
    merge(pair)
    merged = pair.merges.unmerge("two", why="mother and daughter", at=NOW + 21 * DAY)
    after = [merged.survivor, pair.load("two")]
    for was, is_now in zip(before, after, strict=True):
        for part in ("stage", "silence", "reach", "identity", "ending", "appointment", "values"):
            assert getattr(is_now, part) == getattr(was, part), part


def test_what_came_meanwhile_goes_back_with_its_time(pair: Cadence) -> None:
    merge(pair)
    at = NOW + 21 * DAY
    pair.execute("two", CALLED, at=at, by="bob", command_id="call-1")
    pair.execute("one", ReplyReceived(EMAIL), at=at + HOUR)
    pair.execute("two", ProspectUpdated(owner="cleo"), at=at + HOUR)
    pair.merges.unmerge("two", why="two people", at=NOW + 30 * DAY, by="ann")
    (*_, made, updated) = pair.history("two")
    assert isinstance(made.data, AttemptMade)
    assert (made.occurred_at, made.recorded_at) == (at, NOW + 30 * DAY)
    assert (made.by, made.command_id, made.meta) == ("bob", "call-1", None)
    assert updated.data == ProspectUpdated(owner="cleo")
    assert pair.load("one").stage is Stage.ENGAGED
    assert pair.load("one").identity.owner is None
    assert pair.execute("two", CALLED, at=NOW + 31 * DAY, command_id="call-1").repeated


def test_what_is_merged_into_a_merged_record_is_taken_apart_from_the_outside(
    pair: Cadence,
) -> None:
    pair.execute("three", person("+1 212 555 0103", "ada@home.example.com"), at=NOW)
    merge(pair)
    pair.merges.merge("one", "three", why="they said so", at=NOW + 21 * DAY)
    pair.execute("two", ReplyReceived(EMAIL), at=NOW + 22 * DAY)
    assert pair.load("three").stage is Stage.ENGAGED
    assert len(pair.load("three").reach.contact_points) == 6
    with pytest.raises(Refused) as refused:
        pair.merges.unmerge("two", why="no", at=NOW + 23 * DAY)
    assert "cadence unmerge one" in (refused.value.hint or "")
    pair.merges.unmerge("one", why="no", at=NOW + 24 * DAY)
    assert pair.load("one").stage is Stage.ENGAGED
    pair.merges.unmerge("two", why="no", at=NOW + 25 * DAY)
    assert [pair.load(one).stage for one in ("one", "two", "three")] == [
        *(Stage.NEW, Stage.ENGAGED, Stage.NEW)
    ]


def test_a_retraction_far_below_reaches_the_top(pair: Cadence) -> None:
    pair.execute("three", person("+1 212 555 0103", "ada@home.example.com"), at=NOW)
    pair.execute("two", OptOutRequested(), at=NOW)
    merge(pair)
    pair.merges.merge("one", "three", why="they said so", at=NOW + 21 * DAY)
    assert pair.load("three").stage is Stage.OPTED_OUT
    pair.execute("two", EventRetracted(2, "a mistake"), at=NOW + 22 * DAY, by="ann")
    assert pair.load("three").stage is Stage.NEW


def test_an_attempt_that_goes_back_names_what_others_had_said(pair: Cadence) -> None:
    """Both numbers are stopped: the attempt broke that while it was merged, and does still."""
    shared = ContactPoint(CALL, "+1 212 555 0102")
    third = ProspectAdded("Bea Lin", "America/New_York", "US", contact_points=(shared,))
    pair.execute("three", third, at=NOW)
    merge(pair, 1)
    pair.execute("three", OptOutRequested(), at=NOW + 2 * DAY)
    called = AttemptMade((Part(CALL, Disposition.NO_ANSWER, "+1 212 555 0102"),))
    (came,) = pair.execute("two", called, at=NOW + 3 * DAY).events
    assert isinstance(came.data, AttemptMade)
    assert "suppressed" in came.data.broke
    gone = pair.merges.unmerge("two", why="two people", at=NOW + 4 * DAY)
    back = gone.events[-1]
    assert isinstance(back.data, AttemptMade)
    assert (back.prospect, back.version) == ("two", 4)
    assert "suppressed" in back.data.broke
    (found,) = [one for page in audit(pair) for one in page.findings]
    assert (found.prospect, found.version, found.rule) == ("two", 4, "suppressed")
    assert found.because.endswith("(off policy, said so: it came while merged into one)")


def test_an_attempt_that_goes_back_names_what_the_record_had_said_that_goes_on(
    app: Cadence,
) -> None:
    number = "+1 212 555 0102"
    app.execute("one", person(number, "ada@example.com"), at=NOW)
    app.execute("two", person(number, "ada@work.example.com"), at=NOW)
    merge(app, 1)
    app.execute("one", OptOutRequested(CALL), at=NOW + 2 * DAY)
    called = AttemptMade((Part(CALL, Disposition.NO_ANSWER, number),))
    app.execute("two", called, at=NOW + 3 * DAY)
    gone = app.merges.unmerge("two", why="two people", at=NOW + 4 * DAY)
    back = gone.events[-1]
    assert isinstance(back.data, AttemptMade)
    assert "suppressed" in back.data.broke
    (found,) = [one for page in audit(app) for one in page.findings]
    assert (found.prospect, found.rule) == ("two", "suppressed")
    assert "off policy, said so" in found.because


def test_a_record_that_is_not_merged_is_not_unmerged(pair: Cadence) -> None:
    with pytest.raises(Refused):
        pair.merges.unmerge("two", why="no", at=NOW)
    with pytest.raises(InputError):
        pair.merges.unmerge("two", why="", at=NOW)


def test_a_preview_writes_nothing(pair: Cadence) -> None:
    pair.execute("two", CALLED, at=NOW)
    shown = pair.merges.merge("two", "one", why="x", at=NOW + DAY, is_preview=True)
    assert shown.survivor.stage is Stage.SPACED
    assert shown.decision == merged_decision(pair)
    assert [len(history) for history in pair.histories.all()] == [2, 3]


def merged_decision(app: Cadence) -> object:
    return app.merges.merge("two", "one", why="x", at=NOW + DAY).decision


def test_others_hear_the_merged_word_from_the_survivor(pair: Cadence) -> None:
    shared = person("+1 212 555 0102", "cy@example.com", "Cy Lund")
    pair.execute("cy", shared, at=NOW)
    pair.execute("two", OptOutRequested(), at=NOW + DAY)
    merge(pair)
    words = pair.load("cy").elsewhere.words
    assert [(word.prospect, word.key) for word in words] == [("one", "+12125550102")]
    pair.execute("cy", OptedBackIn(why="they called"), at=NOW + 21 * DAY)
    assert not pair.load("cy").elsewhere.words
    pair.merges.unmerge("two", why="two people", at=NOW + 22 * DAY)
    assert not pair.load("one").reach.opted_out


def test_what_another_record_lifted_before_the_merge_stays_lifted(pair: Cadence) -> None:
    pair.execute("cy", person("+1 212 555 0102", "cy@example.com", "Cy Lund"), at=NOW)
    pair.execute("two", OptOutRequested(), at=NOW + DAY)
    pair.execute("cy", OptedBackIn(why="they called"), at=NOW + 2 * DAY)
    merge(pair)
    assert not pair.load("cy").elsewhere.words
    pair.execute("one", OptOutRequested(), at=NOW + 21 * DAY)
    assert [word.prospect for word in pair.load("cy").elsewhere.words] == ["one"]


def test_a_wrong_number_stays_one_for_holders_of_the_merged_name(pair: Cadence) -> None:
    pair.execute("two", ProspectUpdated(name="Ada B."), at=NOW)
    pair.execute("cy", person("+1 212 555 0102", "cy@example.com", "Ada B."), at=NOW)
    pair.execute("two", AttemptMade((Part(CALL, Disposition.WRONG_NUMBER),)), at=NOW)
    merge(pair)
    assert [*pair.load("cy").elsewhere.failed] == ["+12125550102"]


def test_the_survivor_hears_of_a_wrong_number_under_the_merged_name(pair: Cadence) -> None:
    pair.execute("two", ProspectUpdated(name="Ada B."), at=NOW)
    pair.execute("cy", person("+1 212 555 0102", "cy@example.com", "Ada B."), at=NOW)
    pair.execute("cy", AttemptMade((Part(CALL, Disposition.WRONG_NUMBER),)), at=NOW)
    merge(pair)
    assert [*pair.load("one").elsewhere.failed] == ["+12125550102"]
    restored = ContactPointRestored(CALL, "+1 212 555 0102", "they called from it")
    pair.execute("cy", restored, at=NOW + 21 * DAY)
    assert not pair.load("one").elsewhere.failed


def test_an_export_of_the_survivor_alone_is_whole(pair: Cadence) -> None:
    pair.execute("two", OptOutRequested(CALL), at=NOW)
    merge(pair)
    with Cadence.open() as other:
        other.histories.append([(pair.history("one"), 0)], at=NOW + 21 * DAY)
        assert other.load("one") == pair.load("one")


# Races --------------------------------------------------------------------------------------------

_RACER = """
import sys
from datetime import UTC, datetime, timedelta
from cadence.domain import OptOutRequested, ReplyReceived, EventRetracted
from cadence.domain.channels import CALL, EMAIL
from cadence.errors import CadenceError
from cadence.store import Cadence
address, what = sys.argv[1:]
app = Cadence.open(address, lock_timeout_seconds=60)
print("ready", flush=True)
for line in sys.stdin:
    number = line.strip()
    at = datetime(2026, 3, 2, 15, tzinfo=UTC) + timedelta(days=1)
    try:
        if what == "merge":
            app.merges.merge(f"two-{number}", f"one-{number}", why="x", at=at)
        elif what == "opt_out":
            app.execute(f"two-{number}", OptOutRequested(), at=at)
        elif what == "retract":
            app.execute(f"two-{number}", EventRetracted(2, "x"), at=at)
        elif what == "claim":
            app.claim(f"two-{number}", own=CALL, by="bob", at=at)
        print("done", flush=True)
    except CadenceError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.fixture
def racers(address: str | None) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    if address is None:
        pytest.skip("a store in memory has one process")
    begun: list[subprocess.Popen[str]] = []

    def begin(what: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _RACER, address, what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _race(one: subprocess.Popen[str], two: subprocess.Popen[str], number: int) -> list[str]:
    answers = []
    for process in (one, two):
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
    for process in (one, two):
        assert process.stdout is not None
        answers.append(process.stdout.readline().strip())
    return answers


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("what", ["opt_out", "retract", "claim"])
def test_a_merge_and_another_writer_come_one_after_the_other(
    app: Cadence, what: str, racers: Callable[[str], subprocess.Popen[str]]
) -> None:
    merging, other = racers("merge"), racers(what)
    for number in range(ROUNDS):
        for name in ("one", "two"):
            added = person(f"+1212555{number:04}", f"{name}-{number}@example.com", f"P {number}")
            app.execute(f"{name}-{number}", added, at=NOW)
        if what == "retract":
            app.execute(f"two-{number}", OptOutRequested(), at=NOW)
        merged, answer = _race(merging, other, number)
        survivor, two = app.load(f"one-{number}"), app.load(f"two-{number}")
        if what == "claim":
            # One of the two came first, and the other was refused.
            assert sorted([merged, answer]) == ["Refused", "done"], (merged, answer)
            assert (two.stage is Stage.MERGED) == (merged == "done")
            continue
        assert (merged, answer) == ("done", "done")
        assert two.stage is Stage.MERGED
        expected = Stage.OPTED_OUT if what == "opt_out" else Stage.NEW
        assert survivor.stage is expected, number
    app.due_rows.rebuild()


def test_the_index_is_the_one_that_a_rebuild_makes(pair: Cadence) -> None:
    merge(pair)
    pair.execute("two", ReplyReceived(EMAIL), at=NOW + 21 * DAY)
    kept = pair._recorder.address_rows(None, "~")
    pair.due_rows.rebuild()
    assert pair._recorder.address_rows(None, "~") == kept


def _shown(events: list[Event]) -> list[str]:
    return [type(event.data).__name__ for event in events]


def test_a_channel_that_the_team_declared_is_taken_over(pair: Cadence) -> None:
    other = Channel("whatsapp")
    pair.execute("two", OptOutRequested(other), at=NOW)
    assert other in merge(pair).reach.opted_out
    assert _shown(pair.history("one")) == ["ProspectAdded", "ProspectsMerged"]


def test_a_call_of_before_the_other_record_was_added_counts_as_a_spaced_call(
    app: Cadence,
) -> None:
    """One record was added first; the other's call was logged for a time before it was added."""
    app.execute("one", person("+1 212 555 0101", "ada@example.com"), at=NOW)
    app.execute("two", person("+1 212 555 0102", "ada@work.example.com"), at=NOW + 5 * DAY)
    app.execute("two", CALLED, at=NOW + 5 * DAY, occurred_at=NOW + 2 * DAY)
    assert app.load("two").silence.spaced_calls == 0
    assert merge(app, 6).silence.spaced_calls == 1
