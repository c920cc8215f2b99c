"""What may be taken back, by whom, and what is recorded then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cadence import Cadence
from cadence.domain import (
    AttemptMade,
    Channel,
    ContactPoint,
    Disposition,
    EndReason,
    EventCorrected,
    EventRetracted,
    Intent,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
    Stage,
)
from cadence.engine import EndFollowUp, MakeAttempt, SetAppointment, Undo
from cadence.errors import InputError, Refused

NINE = datetime(2026, 11, 30, 14, tzinfo=UTC)  # Monday, 9:00 in New York
CALL, EMAIL = Channel("call"), Channel("email")
ADDED = ProspectAdded(
    "Jerry",
    "America/New_York",
    "US",
    contact_points=(ContactPoint(CALL, "+1 212 555 0100"), ContactPoint(EMAIL, "j@example.com")),
)


def called(disposition, intent=None):
    return MakeAttempt((Part(CALL, Disposition(disposition), intent=intent),))


@pytest.fixture
def app():
    with Cadence.open() as app:
        app.execute("jerry", ADDED, at=NINE, by="sam")
        app.execute("jerry", called("no_answer"), at=NINE + timedelta(minutes=5), by="sam")
        yield app


def do(app, command, minutes, by="sam", **more):
    return app.execute("jerry", command, at=NINE + timedelta(minutes=minutes), by=by, **more)


def test_an_undo_takes_the_last_command_back(app):
    before = app.load("jerry")
    do(app, InterestNoted("price"), 6)
    outcome = do(app, Undo(), 7)
    assert [event.data for event in outcome.events] == [EventRetracted(3)]
    assert outcome.prospect.interests == ()
    assert outcome.prospect.silence == before.silence
    assert len(app.history("jerry")) == 4


def test_an_undo_takes_back_every_event_of_the_command(app):
    meeting = SetAppointment(NINE + timedelta(days=1), agreed_by=EMAIL)
    assert len(do(app, meeting, 6).events) == 2
    outcome = do(app, Undo(), 7)
    assert [event.data.version for event in outcome.events] == [3, 4]
    assert outcome.prospect.stage is Stage.SPACED
    assert outcome.prospect.appointment is None


def test_a_corrected_country_is_taken_back_with_the_numbers_that_it_read_again():
    with Cadence.open() as app:
        added = ProspectAdded("Jo", "Europe/Berlin", "DE", contact_points=(point := berlin(),))
        app.execute("jo", added, at=NINE, by="sam")
        later = NINE + timedelta(minutes=1)
        app.execute("jo", ProspectUpdated(country="AT"), at=later, by="sam")
        assert len(app.history("jo")) == 4
        app.execute("jo", Undo(), at=later, by="sam")
        prospect = app.load("jo")
        assert prospect.identity.country == "DE"
        assert [one.address for one in prospect.reach.contact_points] == [point.address]
        assert prospect.reach.contact_points[0].key == "+4930123456"


def berlin():
    return ContactPoint(CALL, "030 123456")


def test_a_second_undo_names_what_it_would_take_back_and_asks_for_it(app):
    do(app, InterestNoted("price"), 6)
    do(app, Undo(), 7)
    with pytest.raises(Refused, match=r"before it stands version 2, AttemptMade") as caught:
        do(app, Undo(), 8)
    assert "version 2" in caught.value.hint
    assert do(app, Undo(version=2), 8).prospect.stage is Stage.NEW


def test_what_is_done_after_an_undo_can_be_undone_again(app):
    do(app, InterestNoted("price"), 6)
    do(app, Undo(), 7)
    do(app, InterestNoted("the price"), 8)
    assert do(app, Undo(), 9).events[0].data == EventRetracted(5)


@pytest.mark.parametrize(
    "command",
    [
        OptOutRequested(),
        ReplyReceived(EMAIL, Intent.NO),
        called("connected", Intent.NO),
        EndFollowUp(EndReason.DECLINED),
    ],
    ids=["opt-out", "refusal", "refusal by phone", "end"],
)
def test_what_keeps_us_from_contacting_them_is_taken_back_only_with_a_reason(app, command):
    do(app, command, 6)
    for given in (None, " "):
        with pytest.raises(Refused, match="only with a reason: it keeps us from"):
            do(app, Undo(given), 7)
    assert do(app, Undo("it was another Jerry"), 7).prospect.stage is Stage.SPACED


def test_what_somebody_else_recorded_is_taken_back_only_with_a_reason(app):
    do(app, InterestNoted("price"), 6)
    with pytest.raises(Refused, match="it was recorded by sam"):
        do(app, Undo(), 7, by="ann")
    do(app, Undo("sam asked me to"), 7, by="ann")


@pytest.mark.parametrize(
    ("version", "hint"), [(1, "end the follow-up as mistaken"), (3, "adopt the policy")]
)
def test_a_start_and_an_adoption_can_not_be_taken_back(app, version, hint):
    from cadence.domain import PolicyAdopted

    ref = app.load("jerry").policy
    do(app, PolicyAdopted(ref.name, ref.version, ref.digest), 6)
    with pytest.raises(Refused, match="can't be taken back") as caught:
        do(app, Undo(version=version, why="no"), 7)
    assert hint in caught.value.hint


def test_a_follow_up_that_should_not_be_there_ends_as_mistaken(app):
    outcome = do(app, EndFollowUp(EndReason.MISTAKEN), 6)
    assert outcome.prospect.stage is Stage.CLOSED
    assert outcome.decision.verdict == "stop"


def test_an_event_that_is_not_there_is_bad_input(app):
    for command in (Undo(version=9), EventRetracted(9), EventCorrected(9, InterestNoted("x"))):
        with pytest.raises(InputError, match="unknown 9; jerry has 2 events"):
            do(app, command, 6)


def test_an_event_is_retracted_once(app):
    do(app, EventRetracted(2), 6)
    with pytest.raises(Refused, match="is retracted already") as caught:
        do(app, EventRetracted(2), 7)
    assert "take version 3 back" in caught.value.hint
    assert do(app, EventRetracted(3), 7).prospect.stage is Stage.SPACED


def test_a_corrected_outcome_keeps_its_place_and_its_gap(app):
    second = NINE + timedelta(days=3, minutes=5)
    made = app.execute("jerry", called("no_answer"), at=second, by="sam").events[0].data
    talked = AttemptMade((Part(CALL, Disposition.CONNECTED, intent=Intent.LATER),))
    outcome = app.execute("jerry", EventCorrected(3, talked), at=second, by="sam")
    data = outcome.events[0].data.data
    assert (data.stage, data.step, data.touch) == (made.stage, made.step, made.touch)
    assert (data.gap, data.gap_from, data.value) == (made.gap, made.gap_from, made.value)
    assert data.parts[0].address == "+1 212 555 0100"
    assert data.parts[0].key == "+12125550100"
    assert outcome.prospect.stage is Stage.ENGAGED


def test_an_attempt_moved_to_another_time_is_judged_at_that_time(app):
    at_night = NINE + timedelta(days=3, hours=-6)
    noon = NINE + timedelta(days=3, hours=3)
    app.execute("jerry", called("no_answer"), at=noon, by="sam")
    moved = EventCorrected(3, called_fact(), at_night)
    data = app.execute("jerry", moved, at=noon, by="sam").events[0].data
    assert data.occurred_at == at_night
    assert "quiet_hours" in data.data.broke
    back = EventCorrected(3, called_fact(), noon)
    assert app.execute("jerry", back, at=noon, by="sam").events[0].data.data.broke == ()


def called_fact():
    return AttemptMade((Part(CALL, Disposition.NO_ANSWER),))


def test_an_attempt_by_another_channel_is_judged_anew(app):
    wrote = AttemptMade((Part(EMAIL, Disposition.SENT),))
    outcome = do(app, EventCorrected(2, wrote), 6)
    data = outcome.events[0].data.data
    assert data.parts[0].key == "j@example.com"
    assert outcome.prospect.silence.spaced_calls == 0


def test_a_correction_has_data_of_the_same_type_and_says_something_new(app):
    with pytest.raises(InputError, match="invalid InterestNoted; version 2 of jerry is Attempt"):
        do(app, EventCorrected(2, InterestNoted("x")), 6)
    with pytest.raises(Refused, match="says that already"):
        do(app, EventCorrected(2, called_fact()), 6)
    do(app, EventCorrected(2, AttemptMade((Part(CALL, Disposition.BUSY),))), 6)
    with pytest.raises(Refused, match="can't be corrected"):
        do(app, EventCorrected(3, EventCorrected(2, called_fact())), 7)


def test_the_same_correction_with_the_same_id_has_no_second_effect(app):
    busy = EventCorrected(2, AttemptMade((Part(CALL, Disposition.BUSY),)))
    do(app, busy, 6, command_id="a")
    assert do(app, busy, 7, command_id="a").repeated
    do(app, Undo(), 8, command_id="b")
    assert do(app, Undo(), 9, command_id="b").repeated
    assert len(app.history("jerry")) == 4


def test_values_of_a_correction_are_checked_before_anything_is_recorded(app):
    do(app, InterestNoted("price"), 6)
    with pytest.raises(InputError):
        do(app, EventCorrected(3, InterestNoted(7)), 7)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        do(app, EventCorrected(3, InterestNoted("x" * 30_000)), 7)
    assert len(app.history("jerry")) == 3


def test_a_later_attempt_keeps_its_gap_only_from_the_attempt_it_was_measured_from(app):
    for days in (3, 8):
        app.execute("jerry", called("no_answer"), at=NINE + timedelta(days=days, minutes=5))
    end = NINE + timedelta(days=9)
    assert app.load("jerry").silence.largest_gap.business_days == 3
    prospect = app.execute("jerry", EventRetracted(3, "not made"), at=end).prospect
    assert prospect.silence.unmeasured == (1,)
    until = app.explain("jerry", end).at
    assert until >= NINE + timedelta(days=16)  # six business days after the attempt of day 8
