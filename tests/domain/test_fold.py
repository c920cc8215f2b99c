"""What the events add up to: sections 4 and 5, sentence by sentence."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import data_strategies, histories, moments, parts

from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.events import (
    AddressesRead,
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    Noted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    ValueKind,
    ValueNoted,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.prospect import NO_GAP, ResponseKind, Suspension
from cadence.domain.stages import ENDED, OUTREACH, OVER, Stage, rank

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
PHONE = ContactPoint(Channel("call"), "+491")
EMAIL = ContactPoint(Channel("email"), "j@x")
ADDED = (0, ProspectAdded("Jerry", "Europe/Berlin", contact_points=(PHONE, EMAIL)))
BEYOND_CONTACT = (Stage.OPTED_OUT, Stage.WON, Stage.LOST)
ALL = frozenset(CHANNELS)


def at(hours):
    return START + timedelta(hours=hours)


def events(*steps, first=1):
    """Events from (hours after the start, data); recorded in this order, an hour apart."""
    return [
        Event("jerry", version, at(hours), at(1000 + version), data)
        for version, (hours, data) in enumerate(steps, first)
    ]


def after(*steps):
    return fold(None, events(ADDED, *steps))


def attempt(hours, stage, *made, **fields):
    """An attempt; unless ``made`` says otherwise, a call that nobody answered."""
    outcomes = made or ((Channel("call"), Disposition.NO_ANSWER),)
    return hours, AttemptMade(
        tuple(Part(*outcome) for outcome in outcomes), AttemptStage(stage), **fields
    )


def reply(hours, intent=None):
    return hours, ReplyReceived(Channel("email"), intent)


def conversation(hours, stage="extra"):
    return attempt(hours, stage, (Channel("call"), Disposition.CONNECTED))


def pause(hours, until):
    return hours, PauseRequested(at(until))


def appointment(hours, when):
    return hours, AppointmentSet(at(when))


def end(hours, reason):
    return hours, FollowUpEnded(EndReason(reason))


def opt_out(hours, channel=None):
    return hours, OptOutRequested(channel)


def opt_in(hours, channel=None):
    return hours, OptedBackIn(channel)


def reopen(hours):
    return hours, FollowUpReopened("they may want to")


# How to get to each stage within the first hundred hours, without a standing appointment.
REACH = {
    Stage.NEW: [],
    Stage.SCHEDULED: [appointment(1, 24)],
    **{
        stage: [appointment(1, 24), *(attempt(24 + n, s) for n, s in enumerate(OUTREACH[:upto]))]
        for upto, stage in enumerate(OUTREACH, 1)
    },
    Stage.ENGAGED: [reply(1)],
    Stage.CLOSED: [attempt(1, "spaced"), end(2, "no_response")],
    Stage.WON: [end(1, "bought")],
    Stage.LOST: [end(1, "declined")],
    Stage.OPTED_OUT: [opt_out(1)],
}
CONTACTS = {
    "a reply": reply(200),
    "a pause": pause(200, 300),
    "an opt-in": opt_in(200),
    "a conversation": conversation(200),
}


def steps_of(history):
    """Every prospect on the way, with the event that led to it."""
    prospect = None
    found = []
    for event in history:
        prospect = evolve(prospect, event)
        found.append((event, prospect))
    return found


def assert_same_silence(one, other):
    assert one.stage is other.stage
    assert one.silence == other.silence
    assert one.response == other.response
    assert one.appointment == other.appointment


# The fold, for every history ----------------------------------------------------------------------


@given(histories(), st.integers(0, 25))
def test_folding_in_two_parts_is_folding_at_once(history, split):
    first, second = history[:split], history[split:]
    assert fold(fold(None, first), second) == fold(None, history)


@given(histories())
def test_folding_one_by_one_is_folding_at_once(history):
    prospect = None
    for event in history:
        prospect = evolve(prospect, event)
    assert prospect == fold(None, history)


@given(histories())
def test_folding_never_raises_and_ends_at_the_last_event(history):
    prospect = fold(None, history)
    if not history:
        assert prospect is None
        return
    assert prospect.id == "p"
    assert prospect.version == history[-1].version
    assert prospect.recorded_at == history[-1].recorded_at


@given(histories())
def test_folding_reads_a_generator_as_it_reads_a_list(history):
    assert fold(None, iter(history)) == fold(None, history)


@given(histories(), histories(max_size=5))
def test_folding_on_leaves_the_prospect_before_as_it_was(history, more):
    before = fold(None, history)
    copy = deepcopy(before)
    fold(before, more)
    assert before == copy


def test_nothing_folds_to_nothing():
    assert fold(None, []) is None
    prospect = after()
    assert fold(prospect, []) == prospect


def test_a_prospect_is_immutable():
    with pytest.raises(AttributeError):
        after().stage = Stage.WON


@given(histories())
def test_the_attempts_of_a_silence_are_in_order_and_none_is_older_than_it(history):
    for _, prospect in steps_of(history):
        times = [attempt.at for attempt in prospect.silence.attempts]
        assert times == sorted(times)
        assert all(time >= prospect.silence.since for time in times)


@given(histories())
def test_the_counts_of_a_silence_are_those_of_its_attempts(history):
    for _, prospect in steps_of(history):
        attempts = prospect.silence.attempts
        assert prospect.silence.spaced_calls == sum(
            attempt.stage in ("spaced", "extra") and any(part.is_call for part in attempt.parts)
            for attempt in attempts
        )
        measured, unmeasured, before = [], [], 0
        known, merged = prospect.silence.version, prospect.silence.merged
        for position, attempt in enumerate(attempts):
            if attempt.version > merged:  # each of two merged records kept its own gaps
                if attempt.version < known:
                    continue  # made before we knew of the response
                if attempt.stage == "on_time":
                    measured, unmeasured = [], []
                elif before and attempt.gap and attempt.gap_from == before:
                    measured.append(attempt.gap)
                elif before:
                    unmeasured.append(position)
            before = attempt.version
        started_again = merged and any(
            one.stage == "on_time" and one.version > merged for one in attempts
        )
        kept = NO_GAP if started_again else prospect.silence.merged_gap
        assert prospect.silence.largest_gap == max([kept, *measured])
        assert prospect.silence.unmeasured == tuple(unmeasured)


@given(histories())
def test_scheduled_always_has_an_appointment(history):
    for _, prospect in steps_of(history):
        if prospect.stage is Stage.SCHEDULED:
            assert prospect.appointment is not None


@given(histories())
def test_no_appointment_stands_where_none_would_be_kept(history):
    for _, prospect in steps_of(history):
        if prospect.stage in (Stage.NEW, Stage.ENGAGED, *ENDED, Stage.OPTED_OUT):
            assert prospect.appointment is None


@given(histories())
def test_within_a_silence_outreach_only_moves_forward(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if isinstance(event.data, ProspectsMerged):
            continue  # the other record may have spoken, or ended
        if before.silence.version == later.silence.version and before.stage in OUTREACH:
            if later.stage in OUTREACH:
                assert rank(later.stage) >= rank(before.stage)
            else:
                assert later.stage in OVER


@given(histories())
def test_only_a_contact_ends_a_silence_also_one_with_a_merged_record(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if before.silence.version == later.silence.version:
            assert before.response == later.response
            assert before.silence.since == later.silence.since
            continue
        data = event.data
        if isinstance(data, ProspectsMerged):  # they spoke with the other record
            assert later.silence.version == later.response.version == event.version
            continue
        spoke = isinstance(data, ReplyReceived | PauseRequested | OptedBackIn | ReferralGiven)
        assert spoke or (isinstance(data, AttemptMade) and data.connected)
        when = event.occurred_at
        if before.newest - event.recorded_at > timedelta(minutes=5):
            # What a merged record tells of came before, whatever the clock says.
            when = max(when, before.newest)
        assert later.silence.since == later.response.at == when
        assert later.silence.version == later.response.version == event.version
        assert later.silence.since >= before.silence.since


@given(histories())
def test_opted_out_ends_only_by_an_opt_in(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if before.stage is Stage.OPTED_OUT and later.stage is not Stage.OPTED_OUT:
            assert isinstance(event.data, OptedBackIn)
        if not isinstance(event.data, OptedBackIn):
            assert all(one in later.reach.opted_out for one in ALL if one in before.reach.opted_out)


@given(histories())
def test_won_and_lost_are_left_only_by_an_opt_out_or_a_reopening(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if before.stage in (Stage.WON, Stage.LOST) and later.stage is not before.stage:
            ends = OptOutRequested | FollowUpReopened | ProspectsMerged
            assert isinstance(event.data, ends) or later.stage is Stage.MERGED


@given(histories())
def test_a_failed_key_stays_so_until_it_is_restored_and_a_used_value_for_ever(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if not isinstance(event.data, ContactPointRestored | AddressesRead | ProspectsMerged):
            assert before.reach.failed.keys() <= later.reach.failed.keys()
        assert before.used_values <= later.used_values


@given(histories())
def test_what_is_only_good_to_know_moves_nothing(history):
    quiet = (
        ProspectUpdated
        | ContactPointAdded
        | ContactPointFailed
        | GuidelinesAgreed
        | PreferenceStated
        | InterestNoted
        | ContactPointRestored
        | ContactPointRemoved
        | Noted
        | ValueNoted
        | PolicyAdopted
    )
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if isinstance(event.data, quiet):
            assert_same_silence(before, later)


@given(histories())
def test_an_automatic_reply_is_no_contact(history):
    for (_, before), (event, later) in pairwise(steps_of(history)):
        if isinstance(event.data, AutoReplyReceived):
            assert before.stage is later.stage
            assert before.response == later.response
            assert before.silence.attempts == later.silence.attempts


@given(histories(), parts(few=True), st.sampled_from(AttemptStage), st.integers(1, 500))
def test_an_attempt_before_the_last_contact_changes_no_stage_and_no_count(
    history, made, stage, hours
):
    before = fold(None, history)
    if before is None:
        return
    occurred = before.silence.since - timedelta(hours=hours)
    late = Event("p", before.version + 1, occurred, at(5000), AttemptMade(made, stage))
    later = evolve(before, late)
    assert_same_silence(before, later)
    assert before.ending == later.ending
    assert before.reach.opted_out == later.reach.opted_out
    for name in ("pause_until", "not_before"):
        assert getattr(before, name) == getattr(later, name)


@given(histories(), moments())
def test_after_a_contact_only_attempts_that_came_after_it_belong_to_the_silence(history, when):
    before = fold(None, history)
    if before is None or when < before.silence.since:
        return
    response = Event("p", before.version + 1, when, at(5000), ReplyReceived(Channel("sms")))
    later = evolve(before, response)
    assert later.silence.since == when
    assert later.silence.attempts == tuple(a for a in before.silence.attempts if a.at > when)
    if before.stage in BEYOND_CONTACT:
        assert later.stage is before.stage
        assert later.ending.pending_response == response.version
    elif before.stage is Stage.MERGED:  # the record that goes on hears it
        assert later.stage is Stage.MERGED
    else:
        assert later.stage in (Stage.ENGAGED, Stage.SCHEDULED)


@given(histories(), moments(), st.none() | st.sampled_from(CHANNELS))
def test_an_opt_out_holds_from_its_recording_whenever_it_was_said(history, when, channel):
    before = fold(None, history)
    if before is None:
        return
    data = OptOutRequested(channel)
    later = evolve(before, Event("p", before.version + 1, when, at(5000), data))
    expected = {one for one in ALL if one in before.reach.opted_out or channel in (None, one)}
    assert {one for one in ALL if one in later.reach.opted_out} == expected
    if channel is None:
        assert later.stage is Stage.OPTED_OUT


@given(histories())
def test_a_history_may_begin_with_any_event(history):
    if not history:
        return
    prospect = evolve(None, history[0])
    assert prospect.id == "p"
    assert prospect.silence.since <= history[0].occurred_at


# What is known of a prospect ----------------------------------------------------------------------


@given(histories())
def test_a_response_that_waits_for_the_owner_says_since_when_and_nothing_else_does(history):
    for _, prospect in steps_of(history):
        ending = prospect.ending
        assert bool(ending.pending_response) == (ending.pending_response_at is not None)


def test_a_conversation_after_the_end_leaves_nothing_waiting():
    waiting = after(end(1, "bought"), reply(2))
    assert waiting.ending.pending_response_at == waiting.recorded_at
    talked = after(end(1, "bought"), reply(2), conversation(3))
    assert (talked.ending.pending_response, talked.ending.pending_response_at) == (0, None)


def test_who_was_added_is_new_and_their_silence_begins():
    data = ProspectAdded("J", ("UTC", "Asia/Tokyo"), "DE", "BY", (PHONE,), "fair", "ann")
    prospect = fold(None, events((0, data)))
    assert prospect.stage is Stage.NEW
    assert (prospect.identity.name, prospect.identity.zones) == ("J", ("UTC", "Asia/Tokyo"))
    assert (prospect.identity.country, prospect.identity.subdivision) == ("DE", "BY")
    assert (prospect.reach.contact_points, prospect.identity.source, prospect.identity.owner) == (
        (PHONE,),
        "fair",
        "ann",
    )
    assert prospect.silence.since == at(0)
    assert prospect.response.kind is ResponseKind.ADDED


def test_a_single_time_zone_is_one_candidate():
    assert after().identity.zones == ("Europe/Berlin",)


def test_an_update_changes_what_it_gives_and_leaves_the_rest():
    data = ProspectAdded("J", "UTC", "DE", "BY", (PHONE,), "fair", "ann")
    before = fold(None, events((0, data)))
    same = evolve(before, events((1, ProspectUpdated()), first=2)[0])
    assert same.identity.name == "J"
    assert (same.identity.zones, same.identity.country, same.identity.subdivision) == (
        ("UTC",),
        "DE",
        "BY",
    )
    changed = ProspectUpdated("K", ("Asia/Tokyo",), "JP", None, "bob")
    later = evolve(before, events((1, changed), first=2)[0])
    assert (later.identity.name, later.identity.zones, later.identity.owner) == (
        "K",
        ("Asia/Tokyo",),
        "bob",
    )
    assert (later.identity.country, later.identity.subdivision) == ("JP", None)
    assert later.identity.source == "fair"


def test_a_contact_point_is_known_once():
    prospect = after((1, ContactPointAdded(Channel("call"), "+491")))
    assert prospect.reach.contact_points == (PHONE, EMAIL)
    prospect = after((1, ContactPointAdded(Channel("sms"), "+491")))
    assert prospect.reach.contact_points == (PHONE, EMAIL, ContactPoint(Channel("sms"), "+491"))


@pytest.mark.parametrize("disposition", [Disposition.WRONG_NUMBER, Disposition.BOUNCED])
def test_a_wrong_number_or_a_bounce_fails_the_contact_point_that_was_used(disposition):
    prospect = after(attempt(1, "extra", (Channel("call"), disposition, "+499")))
    assert set(prospect.reach.failed) == {"+499"}


@pytest.mark.parametrize(
    "disposition", [d for d in Disposition if d not in ("wrong_number", "bounced")]
)
def test_no_other_disposition_fails_a_contact_point(disposition):
    assert not after(attempt(1, "extra", (Channel("call"), disposition, "+491"))).reach.failed


def test_an_attempt_fails_every_contact_point_that_it_found_dead():
    both = (
        (Channel("call"), Disposition.WRONG_NUMBER, "+491"),
        (Channel("email"), Disposition.BOUNCED),
    )
    prospect = after(attempt(1, "extra", *both))
    assert set(prospect.reach.failed) == {"+491", "j@x"}


def test_a_failure_without_an_address_is_that_of_the_first_contact_point_left():
    second = ContactPointAdded(Channel("call"), "+492")
    bad = (Channel("call"), Disposition.WRONG_NUMBER)
    one = after((1, second), attempt(2, "extra", bad))
    assert set(one.reach.failed) == {"+491"}
    two = after((1, second), attempt(2, "extra", bad), attempt(3, "extra", bad))
    assert set(two.reach.failed) == {"+491", "+492"}


def test_a_failed_contact_point_stays_failed_when_it_is_added_again():
    prospect = after(
        (1, ContactPointFailed(Channel("call"), "+491")),
        (2, ContactPointAdded(Channel("call"), "+491")),
    )
    assert "+491" in prospect.reach.failed


def test_a_late_attempt_still_fails_its_contact_point_and_uses_its_value():
    late = attempt(1, "spaced", (Channel("call"), Disposition.WRONG_NUMBER, "+491"), value="v")
    prospect = after(reply(10), late)
    assert set(prospect.reach.failed) == {"+491"}
    assert prospect.used_values == {"v"}


def test_each_value_is_used_once_and_in_order():
    values = [(n, ValueNoted(f"v{n}", "text", ValueKind.PERSONAL)) for n in (1, 2)]
    assert after(*values).next_value().id == "v1"
    assert after(*values, attempt(3, "spaced", value="v1")).next_value().id == "v2"
    used = [attempt(3, "spaced", value="v1"), attempt(4, "spaced", value="v2")]
    assert after(*values, *used).next_value() is None


def test_personal_and_professional_values_take_turns():
    kinds = {"a": "professional", "b": "professional", "c": "personal", "d": "personal"}
    events = [(1, ValueNoted(id_, id_, ValueKind(kind))) for id_, kind in kinds.items()]
    order = ""
    while (value := after(*events).next_value()) is not None:
        order += value.id
        events.append(attempt(3, "spaced", value=value.id))
    assert order == "acbd"


def test_preferences_guidelines_and_interests_are_kept():
    prospect = after(
        (1, PreferenceStated(Channel("sms"))),
        (2, PreferenceStated(None, "18:00-20:00")),
        (3, GuidelinesAgreed()),
        (4, InterestNoted("the pain")),
        (5, InterestNoted("the price")),
    )
    assert prospect.reach.preferred_channel == Channel("sms")
    assert prospect.reach.preferred_hours == "18:00-20:00"
    assert prospect.reach.preference_version == 3
    assert prospect.guidelines_agreed
    assert prospect.interests == ("the pain", "the price")


# Contacts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", REACH)
def test_every_stage_is_reached(stage):
    assert after(*REACH[stage]).stage is stage


@pytest.mark.parametrize("response", CONTACTS)
@pytest.mark.parametrize("stage", [stage for stage in REACH if stage not in BEYOND_CONTACT])
def test_a_contact_leads_to_engaged_from_anywhere_else_also_from_closed(stage, response):
    prospect = after(*REACH[stage], CONTACTS[response])
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.since == at(200)
    assert prospect.silence.attempts == ()
    assert prospect.silence.spaced_calls == 0
    assert prospect.silence.largest_gap == NO_GAP
    assert prospect.ending.reason is None


@pytest.mark.parametrize("response", ["a reply", "a pause"])
@pytest.mark.parametrize("stage", BEYOND_CONTACT)
def test_after_won_lost_or_an_opt_out_a_contact_is_kept_for_the_owner(stage, response):
    prospect = after(*REACH[stage], CONTACTS[response])
    assert prospect.stage is stage
    assert prospect.ending.pending_response == prospect.version
    assert prospect.response.version == prospect.version


def test_what_a_contact_was_is_kept_with_it():
    assert after(reply(1, Intent.NO)).response.intent is Intent.NO
    assert after(reply(1)).response.kind is ResponseKind.REPLY
    assert after(conversation(1)).response.kind is ResponseKind.CONVERSATION
    assert after(pause(1, 9)).response.kind is ResponseKind.PAUSE
    assert after(opt_in(1)).response.kind is ResponseKind.OPT_IN


def test_one_connected_part_makes_an_attempt_a_conversation():
    made = ((Channel("email"), Disposition.SENT), (Channel("call"), Disposition.CONNECTED))
    prospect = after(attempt(1, "spaced", *made))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.attempts == ()


def test_a_second_reply_begins_another_silence():
    prospect = after(reply(1), attempt(2, "spaced"), reply(3, Intent.LATER))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.since == at(3)
    assert prospect.silence.attempts == ()
    assert prospect.response.intent is Intent.LATER


# Appointments -------------------------------------------------------------------------------------


def test_an_appointment_leads_to_scheduled():
    prospect = after(appointment(1, 24))
    assert prospect.stage is Stage.SCHEDULED
    assert prospect.appointment.at == at(24)
    assert prospect.appointment.set_at == at(1)
    assert prospect.appointment.version == 2


@pytest.mark.parametrize(
    "response", [reply(5), pause(5, 50), opt_in(5), conversation(5)], ids=CONTACTS
)
def test_a_standing_appointment_in_the_future_survives_a_contact(response):
    prospect = after(appointment(1, 24), response)
    assert prospect.stage is Stage.SCHEDULED
    assert prospect.appointment.at == at(24)
    assert prospect.silence.since == at(5)


@pytest.mark.parametrize("response", CONTACTS)
def test_a_missed_appointment_does_not_survive_a_contact(response):
    prospect = after(appointment(1, 24), CONTACTS[response])
    assert prospect.stage is Stage.ENGAGED
    assert prospect.appointment is None


def test_a_contact_at_the_very_time_of_the_appointment_has_kept_it():
    assert after(appointment(1, 24), reply(24)).stage is Stage.ENGAGED


def test_a_standing_appointment_is_moved_or_cancelled():
    moved = after(appointment(1, 24), reply(5), appointment(6, 48))
    assert moved.stage is Stage.SCHEDULED
    assert moved.appointment.at == at(48)
    cancelled = after(appointment(1, 24), reply(5), (6, AppointmentCancelled()))
    assert cancelled.stage is Stage.ENGAGED
    assert cancelled.appointment is None


def test_cancelled_before_any_contact_the_prospect_is_new_again():
    prospect = after(appointment(1, 24), (2, AppointmentCancelled()))
    assert prospect.stage is Stage.NEW
    assert prospect.appointment is None


def test_a_standing_appointment_survives_a_contact_also_after_an_early_attempt():
    prospect = after(appointment(1, 24), attempt(2, "spaced"), reply(5))
    assert prospect.stage is Stage.SCHEDULED
    assert prospect.appointment.at == at(24)


@pytest.mark.parametrize("stage", ["spaced", "extra"])
def test_a_cancelled_appointment_does_not_stand_whatever_was_tried_before(stage):
    steps = [appointment(1, 24), attempt(2, stage), (3, AppointmentCancelled())]
    assert after(*steps).appointment is None
    assert after(*steps, reply(5)).stage is Stage.ENGAGED


@pytest.mark.parametrize("stage", ["on_time", "spaced", "extra"])
def test_an_appointment_set_in_a_silence_with_attempts_changes_nothing(stage):
    tried = [reply(1), attempt(2, stage)]
    before = after(*tried)
    assert_same_silence(before, after(*tried, appointment(3, 24)))


def test_an_appointment_that_a_contact_agreed_to_counts_in_a_silence_with_attempts():
    prospect = after(attempt(1, "spaced"), attempt(80, "spaced"), reply(90), appointment(90, 100))
    assert prospect.stage is Stage.SCHEDULED
    assert prospect.silence.attempts == ()


@pytest.mark.parametrize("stage", [*ENDED, Stage.OPTED_OUT])
def test_after_the_end_an_appointment_changes_nothing(stage):
    before = after(*REACH[stage])
    assert_same_silence(before, after(*REACH[stage], appointment(100, 200)))


@pytest.mark.parametrize("last", [end(5, "bought"), end(5, "no_response"), opt_out(5)])
def test_no_appointment_stands_after_the_end(last):
    assert after(appointment(1, 24), last).appointment is None


@pytest.mark.parametrize("made", [attempt(24, "on_time"), conversation(24, "on_time")])
def test_the_on_time_attempt_keeps_the_appointment(made):
    assert after(appointment(1, 48), made).appointment is None


# Attempts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [reply(1)]], ids=["new", "engaged"])
def test_an_owners_own_unanswered_attempt_is_the_first_spaced(before):
    prospect = after(*before, attempt(2, "spaced"))
    assert prospect.stage is Stage.SPACED
    assert prospect.silence.spaced_calls == 1


@pytest.mark.parametrize("stage", REACH)
def test_an_extra_counts_but_moves_no_stage(stage):
    before = after(*REACH[stage])
    prospect = after(*REACH[stage], attempt(150, "extra", gap=Gap(9, 0)))
    assert prospect.stage is stage
    assert len(prospect.silence.attempts) == len(before.silence.attempts) + 1
    assert prospect.silence.spaced_calls == before.silence.spaced_calls + 1
    if before.silence.attempts:
        assert prospect.silence.largest_gap == Gap(9, 0)


def test_an_attempt_without_a_stage_is_an_extra():
    made = AttemptMade((Part(Channel("call"), Disposition.NO_ANSWER),))
    prospect = after((1, made))
    assert prospect.stage is Stage.NEW
    assert prospect.silence.attempts[0].stage is AttemptStage.EXTRA


@pytest.mark.parametrize(
    ("stage", "channel", "counted"),
    [
        ("spaced", Channel("call"), 1),
        ("extra", Channel("call"), 1),
        ("spaced", Channel("email"), 0),
        ("extra", Channel("sms"), 0),
        ("on_time", Channel("call"), 0),
        ("ten_minutes", Channel("call"), 0),
        ("half_day", Channel("call"), 0),
        ("nurture", Channel("call"), 0),
        ("polite_exit", Channel("call"), 0),
    ],
)
def test_a_spaced_call_is_a_spaced_or_extra_attempt_with_a_call(stage, channel, counted):
    prospect = after(appointment(0, 1), attempt(1, stage, (channel, Disposition.UNKNOWN)))
    assert prospect.silence.spaced_calls == counted


def test_a_call_and_an_email_can_be_one_spaced_call():
    made = ((Channel("email"), Disposition.SENT), (Channel("call"), Disposition.BUSY))
    assert after(attempt(1, "spaced", *made)).silence.spaced_calls == 1


def test_a_spaced_call_beyond_the_cap_stays_spaced():
    calls = [attempt(n, "spaced", broke=("spaced_cap",)) for n in range(1, 9)]
    prospect = after(*calls)
    assert prospect.stage is Stage.SPACED
    assert prospect.silence.spaced_calls == 8
    assert prospect.made_at(Stage.SPACED) == 8


@pytest.mark.parametrize("stage", [*ENDED, Stage.OPTED_OUT])
@pytest.mark.parametrize("made", AttemptStage)
def test_after_the_end_an_attempt_is_recorded_and_moves_no_stage(stage, made):
    prospect = after(*REACH[stage], attempt(150, made))
    assert prospect.stage is stage
    assert prospect.silence.attempts[-1].at == at(150)


def test_the_largest_gap_is_that_of_the_silence():
    gaps = [Gap(0, 5000), Gap(3, 0), Gap(1, 0), Gap(0, 9)]
    made = [attempt(n * 100, "spaced", gap=gap) for n, gap in enumerate(gaps)]
    assert after(*made[:1]).silence.largest_gap == NO_GAP
    assert after(*made[:2]).silence.largest_gap == Gap(3, 0)
    assert after(*made).silence.largest_gap == Gap(3, 0)


def test_a_gap_in_business_days_is_larger_than_any_in_minutes():
    made = [
        attempt(1, "spaced"),
        attempt(2, "spaced", gap=Gap(1, 0)),
        attempt(3, "spaced", gap=Gap(0, 9999)),
    ]
    assert after(*made).silence.largest_gap == Gap(1, 0)


def test_gaps_start_anew_at_the_on_time_attempt():
    made = [
        appointment(0, 300),
        attempt(1, "extra"),
        attempt(100, "extra", gap=Gap(4, 0)),
        attempt(300, "on_time", gap=Gap(8, 0)),
    ]
    assert after(*made[:3]).silence.largest_gap == Gap(4, 0)
    assert after(*made).silence.largest_gap == NO_GAP
    later = attempt(301, "ten_minutes", gap=Gap(0, 10))
    assert after(*made, later).silence.largest_gap == Gap(0, 10)


def test_gaps_do_not_start_anew_at_an_appointment_or_an_adopted_policy():
    made = [attempt(1, "spaced"), attempt(100, "spaced", gap=Gap(4, 0))]
    adopted = (101, PolicyAdopted("other", 1, "00"))
    assert after(*made, appointment(102, 200), adopted).silence.largest_gap == Gap(4, 0)


# Late facts ---------------------------------------------------------------------------------------


def test_an_attempt_learnt_of_after_the_contact_that_followed_it_counts_no_more():
    prospect = after(reply(10), attempt(5, "spaced"))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.attempts == ()
    assert prospect.silence.spaced_calls == 0


def test_an_attempt_of_an_earlier_silence_is_remembered_as_it_was_recorded():
    late = attempt(10, "spaced", step="spaced#2", gap=Gap(2, 0))
    for history in ([reply(20), late], [late, reply(20)]):
        (remembered,) = after(*history).recent
        assert (remembered.at, remembered.stage) == (at(10), AttemptStage.SPACED)
        assert (remembered.step, remembered.gap) == ("spaced#2", Gap(2, 0))
        assert remembered.parts == late[1].parts


@pytest.mark.parametrize(("hours", "kept"), [(90 * 24, 2), (90 * 24 + 1, 1)])
def test_an_attempt_is_remembered_while_it_is_at_most_90_days_older_than_the_newest(hours, kept):
    prospect = after(attempt(0, "extra"), attempt(hours, "extra"), reply(hours + 1))
    assert len(prospect.recent) == kept


def test_a_conversation_before_the_last_contact_ends_nothing():
    before = after(reply(10), attempt(20, "spaced"))
    later = after(reply(10), attempt(20, "spaced"), conversation(5))
    assert_same_silence(before, later)


@pytest.mark.parametrize(
    "response", [reply(5), pause(5, 500), opt_in(5), conversation(5)], ids=CONTACTS
)
def test_a_contact_before_the_last_contact_ends_nothing(response):
    steps = [reply(10), attempt(20, "spaced")]
    assert_same_silence(after(*steps), after(*steps, response))


@pytest.mark.parametrize(
    "response", [reply(150), pause(150, 160), opt_in(150), conversation(150)], ids=CONTACTS
)
def test_attempts_after_a_contact_learnt_of_late_belong_to_the_silence_after_it(response):
    made = [attempt(100 * n, "spaced", gap=Gap(n, 0)) for n in range(1, 5)]
    prospect = after(*made, response)
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.since == at(150)
    assert [a.at for a in prospect.silence.attempts] == [at(200), at(300), at(400)]
    assert prospect.silence.spaced_calls == 3
    # They broke nothing that was known, and the answer to it has no gap of theirs to keep.
    assert prospect.silence.largest_gap == NO_GAP
    later = after(*made, response, attempt(500, "spaced"), attempt(600, "spaced", gap=Gap(2, 0)))
    assert later.silence.largest_gap == Gap(2, 0)


def test_the_gap_of_a_silences_first_attempt_reaches_back_and_does_not_count():
    made = [attempt(1, "spaced"), attempt(400, "spaced", gap=Gap(9, 0))]
    assert after(*made, reply(200)).silence.largest_gap == NO_GAP


def test_an_attempt_learnt_of_late_takes_its_place_in_time():
    prospect = after(attempt(1, "spaced"), attempt(300, "spaced"), attempt(150, "extra"))
    assert [a.at for a in prospect.silence.attempts] == [at(1), at(150), at(300)]
    assert [a.version for a in prospect.silence.attempts] == [2, 4, 3]


def test_an_opt_out_learnt_of_late_holds_from_then_on():
    prospect = after(attempt(10, "spaced"), attempt(80, "spaced"), opt_out(5))
    assert prospect.stage is Stage.OPTED_OUT
    assert all(channel in prospect.reach.opted_out for channel in (*ALL, Channel("whatsapp")))


def test_an_opt_out_said_before_a_later_contact_holds_all_the_same():
    assert after(reply(10), opt_out(5)).stage is Stage.OPTED_OUT


def test_an_attempt_before_the_opt_out_but_learnt_of_after_it_moves_nothing():
    assert after(opt_out(10), attempt(5, "spaced")).stage is Stage.OPTED_OUT


def test_a_reply_after_the_opt_out_does_not_lift_it():
    prospect = after(opt_out(10), reply(20, Intent.YES))
    assert prospect.stage is Stage.OPTED_OUT
    assert all(channel in prospect.reach.opted_out for channel in (*ALL, Channel("whatsapp")))


def test_an_opt_in_said_before_the_opt_out_lifts_nothing_and_is_kept_for_the_owner():
    prospect = after(reply(50), opt_out(60), opt_in(40))
    assert prospect.stage is Stage.OPTED_OUT
    assert all(channel in prospect.reach.opted_out for channel in (*ALL, Channel("whatsapp")))
    assert prospect.ending.pending_response == prospect.version
    assert prospect.ending.pending_response_at == prospect.recorded_at


def test_an_opt_in_said_after_the_opt_out_lifts_it_also_when_learnt_of_late():
    prospect = after(reply(50), opt_out(30), opt_in(40))
    assert prospect.stage is Stage.ENGAGED
    assert not prospect.reach.opted_out


# Opting out and in --------------------------------------------------------------------------------


def test_an_opt_out_of_one_channel_leaves_the_others():
    prospect = after(opt_out(1, Channel("call")))
    assert prospect.stage is Stage.NEW
    assert [one for one in CHANNELS if one in prospect.reach.opted_out] == ["call"]


def test_opted_out_of_every_known_channel_one_by_one_is_opted_out():
    prospect = after(opt_out(1, Channel("call")), opt_out(2, Channel("email")))
    assert prospect.stage is Stage.OPTED_OUT


def test_without_contact_points_every_channel_has_to_be_opted_out_of():
    bare = (0, ProspectAdded("J", "UTC"))
    steps = [opt_out(n, channel) for n, channel in enumerate(CHANNELS, 1)]
    assert fold(None, events(bare, *steps[:-1])).stage is Stage.NEW
    assert fold(None, events(bare, *steps)).stage is Stage.OPTED_OUT


def test_an_opt_in_is_a_contact_and_leads_back_to_engaged():
    prospect = after(attempt(1, "spaced"), opt_out(2), opt_in(3))
    assert prospect.stage is Stage.ENGAGED
    assert not prospect.reach.opted_out
    assert prospect.response.kind is ResponseKind.OPT_IN
    assert prospect.silence.attempts == ()


def test_an_opt_in_on_one_channel_leaves_the_others_opted_out():
    prospect = after(opt_out(1), opt_in(2, Channel("email")))
    assert prospect.stage is Stage.ENGAGED
    assert [one for one in CHANNELS if one not in prospect.reach.opted_out] == ["email"]


@pytest.mark.parametrize(
    ("reason", "stage"),
    [
        ("bought", Stage.WON),
        ("declined", Stage.LOST),
        ("disqualified", Stage.LOST),
        ("deceased", Stage.LOST),
    ],
)
@pytest.mark.parametrize("order", ["before", "while"])
def test_the_end_that_a_file_had_comes_back_after_an_opt_in(reason, stage, order):
    ends = [end(1, reason), opt_out(2)]
    if order == "while":
        ends = [opt_out(1), end(2, reason)]
    prospect = after(*ends, opt_in(3))
    assert after(*ends).stage is Stage.OPTED_OUT
    assert prospect.stage is stage
    assert prospect.ending.reason is EndReason(reason)
    assert not prospect.reach.opted_out


def test_who_opts_in_after_a_file_was_closed_for_silence_has_come_back():
    prospect = after(end(1, "no_response"), opt_out(2), opt_in(3))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.ending.reason is None


def test_an_opt_out_holds_after_the_end_too():
    for reason in set(EndReason) - {EndReason.MERGED}:
        assert after(end(1, reason), opt_out(2)).stage is Stage.OPTED_OUT


# Ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "stage"),
    [
        ("bought", "won"),
        ("declined", "lost"),
        ("disqualified", "lost"),
        ("deceased", "lost"),
        ("no_response", "closed"),
        ("unreachable", "closed"),
    ],
)
@pytest.mark.parametrize("before", [s for s in REACH if s not in (*BEYOND_CONTACT, *ENDED)])
def test_an_end_leads_to_its_stage_from_any_open_one(before, reason, stage):
    prospect = after(*REACH[before], end(200, reason))
    assert prospect.stage is Stage(stage)
    assert prospect.ending.reason is EndReason(reason)


@pytest.mark.parametrize("first", ["bought", "declined", "deceased"])
@pytest.mark.parametrize("second", [one for one in EndReason if one is not EndReason.MERGED])
def test_the_first_of_won_and_lost_counts(first, second):
    before = after(end(1, first))
    prospect = after(end(1, first), end(2, second))
    assert prospect.stage is before.stage
    assert prospect.ending.reason is EndReason(first)


@pytest.mark.parametrize("reason", ["bought", "declined"])
def test_a_file_closed_for_silence_can_still_be_won_or_lost(reason):
    prospect = after(end(1, "no_response"), end(2, reason))
    assert prospect.stage is (Stage.WON if reason == "bought" else Stage.LOST)
    assert prospect.ending.reason is EndReason(reason)


@pytest.mark.parametrize("stage", ENDED)
def test_a_reopened_file_waits_for_a_contact(stage):
    prospect = after(*REACH[stage], reopen(100))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.ending.reopened == prospect.version
    assert prospect.ending.reason is None
    answered = after(*REACH[stage], reopen(100), reply(101))
    assert answered.stage is Stage.ENGAGED
    assert answered.ending.reopened == 0


def test_a_reopening_ends_no_silence():
    before = after(attempt(1, "spaced"), end(2, "no_response"))
    assert after(attempt(1, "spaced"), end(2, "no_response"), reopen(3)).silence == before.silence


@pytest.mark.parametrize("stage", [s for s in REACH if s not in ENDED])
def test_a_file_that_has_not_ended_is_not_reopened(stage):
    before = after(*REACH[stage])
    later = after(*REACH[stage], reopen(100))
    assert_same_silence(before, later)
    assert later.ending.reopened == 0


@pytest.mark.parametrize("stage", ENDED)
def test_an_appointment_in_a_reopened_file_needs_a_contact_first(stage):
    steps = [*REACH[stage], reopen(100)]
    assert after(*steps, appointment(101, 200)).stage is Stage.ENGAGED
    assert after(*steps, reply(101), appointment(101, 200)).stage is Stage.SCHEDULED


# Pauses, automatic replies, adopted policies ------------------------------------------------------


def test_a_pause_is_a_contact_that_suspends_until_its_end():
    prospect = after(attempt(1, "spaced"), pause(5, 50))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.pause_until == at(50)
    assert prospect.silence.suspensions == (Suspension(at(5), at(50), 3),)


def test_a_pause_that_is_over_when_it_is_asked_for_suspends_nothing():
    prospect = after(pause(5, 4))
    assert prospect.stage is Stage.ENGAGED
    assert prospect.silence.suspensions == ()


@pytest.mark.parametrize("response", [reply(10), opt_in(10), conversation(10)])
def test_a_later_contact_lifts_a_pause(response):
    prospect = after(pause(5, 50), response)
    assert prospect.pause_until is None
    assert prospect.silence.suspensions == ()


def test_an_automatic_reply_suspends_and_is_no_contact():
    auto = AutoReplyReceived(Channel("email"), at(90))
    prospect = after(attempt(1, "spaced"), (2, auto))
    assert prospect.stage is Stage.SPACED
    assert prospect.silence.since == at(0)
    assert prospect.silence.suspensions == (Suspension(at(2), at(90), 3),)


def test_an_automatic_reply_without_an_end_says_so():
    prospect = after((2, AutoReplyReceived(Channel("email"))))
    assert prospect.silence.suspensions == (Suspension(at(2), None, 2),)


def test_an_automatic_reply_before_the_last_contact_suspends_nothing():
    assert after(reply(10), (5, AutoReplyReceived(Channel("email")))).silence.suspensions == ()


def test_a_policy_adopted_goes_on_with_the_running_silence():
    made = [attempt(1, "spaced"), attempt(100, "spaced", gap=Gap(4, 0))]
    adopted = PolicyAdopted("other", 2, "ab", at(300))
    before, prospect = after(*made), after(*made, (200, adopted))
    assert_same_silence(before, prospect)
    assert prospect.policy == PolicyRef("other", 2, "ab")
    assert prospect.policy_version == 4
    assert prospect.not_before == at(300)


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (reply(250), False),
        (attempt(300, "spaced"), False),
        (attempt(250, "extra"), True),
        ((250, InterestNoted("price")), True),
        ((250, AutoReplyReceived(Channel("email"))), True),
    ],
)
def test_a_promised_time_holds_until_the_touch_is_made_or_a_contact_comes(event, kept):
    adopted = (200, PolicyAdopted("other", 2, "ab", at(300)))
    prospect = after(attempt(1, "spaced"), adopted, event)
    assert (prospect.not_before is not None) == kept


# The polite exit ----------------------------------------------------------------------------------


def polite_exit(hours, *made):
    return attempt(hours, "polite_exit", *made)


@pytest.mark.parametrize("disposition", Disposition)
def test_an_exit_is_delivered_when_it_was_sent_left_or_connected(disposition):
    prospect = after(polite_exit(1, (Channel("email"), disposition, "j@x")))
    delivered = prospect.exit_delivered()
    assert (delivered is not None) == (disposition in ("sent", "voicemail_left"))


def test_an_exit_that_has_bounced_since_is_not_delivered():
    made = polite_exit(1, (Channel("email"), Disposition.SENT, "j@x"))
    assert after(made).exit_delivered() is not None
    bounced = (2, ContactPointFailed(Channel("email"), "j@x"))
    assert after(made, bounced).exit_delivered() is None


def test_an_exit_without_an_address_is_recorded_and_not_taken_for_delivered():
    made = polite_exit(1, (Channel("email"), Disposition.SENT, None))
    assert after(made).exits()
    assert after(made).exit_delivered() is None


def test_an_exit_on_another_channel_after_a_bounce_is_delivered():
    prospect = after(
        polite_exit(1, (Channel("email"), Disposition.BOUNCED, "j@x")),
        polite_exit(2, (Channel("call"), Disposition.VOICEMAIL_LEFT, "+491")),
    )
    delivered, made = prospect.exit_delivered()
    assert delivered.at == at(2)
    assert [part.channel for part in made] == [Channel("call")]
    assert [exit_.at for exit_ in prospect.exits()] == [at(2), at(1)]


def test_an_exit_before_other_outreach_is_not_the_last_word():
    sent = (Channel("email"), Disposition.SENT, "j@x")
    assert after(polite_exit(1, sent), attempt(2, "spaced")).exit_delivered() is None
    assert after(polite_exit(1, sent), attempt(2, "extra")).exit_delivered() is not None


def test_an_exit_of_an_earlier_silence_does_not_count():
    sent = (Channel("email"), Disposition.SENT, "j@x")
    assert after(polite_exit(1, sent), reply(2)).exit_delivered() is None


# Merges -------------------------------------------------------------------------------------------


@given(histories(8), data_strategies(moments(), few=True)[ProspectsMerged], histories(8))
def test_whatever_is_merged_into_whatever_is_folded(before, merge, after):
    at = before[-1].recorded_at if before else START
    events = [*before, Event("p", len(before) + 1, at, at, merge)]
    first = len(events)
    events += [msgspec.structs.replace(event, version=first + event.version) for event in after]
    prospect = fold(None, events)
    assert prospect.version == len(events)
    assert merge.prospect in prospect.merged
