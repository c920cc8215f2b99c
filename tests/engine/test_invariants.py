"""One plain example for each sentence of sections 5, 6 and 7 of the design, under ``tip8``.

Where nothing else is said the prospect lives in UTC without public holidays, was added on Monday
2 November 2026 at 9:00 with a phone and an email, and has an appointment that day at 14:00.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Data,
    Disposition,
    EndReason,
    Event,
    FailureReason,
    FollowUpEnded,
    Gap,
    Intent,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    Prospect,
    ProspectAdded,
    ReplyReceived,
    fold,
)
from cadence.domain.channels import CALL, CHANNELS, EMAIL, MAIL, SMS
from cadence.engine import (
    CancelAppointment,
    Command,
    Decision,
    EndFollowUp,
    MakeAttempt,
    ReasonKind,
    ReopenFollowUp,
    SetAppointment,
    Task,
    Verdict,
    decide,
    next_touch,
)
from cadence.engine.invariants import contact_points_left
from cadence.errors import Refused
from cadence.policy import Policy, builtin

TIP8 = builtin()
CALL, EMAIL, MAIL, SMS = CALL, EMAIL, MAIL, SMS
PHONE, INBOX = ContactPoint(CALL, "+1"), ContactPoint(EMAIL, "jo@x")
LETTERBOX = ContactPoint(MAIL, "Street 1")
NO_ANSWER, SENT, CONNECTED = Disposition.NO_ANSWER, Disposition.SENT, Disposition.CONNECTED


def t(text: str) -> datetime:
    """``"11-02 14:00"`` of 2026, in UTC (``"2027-01-04 14:00"`` for another year)."""
    full = text if text.startswith("20") else f"2026-{text}"
    return datetime.fromisoformat(full).replace(tzinfo=UTC)


ADDED, MEETING = t("11-02 09:00"), t("11-02 14:00")


class File:
    """A history, and the questions one asks about it."""

    def __init__(
        self,
        *points: ContactPoint,
        zone: str | tuple[str, ...] = "UTC",
        country: str | None = None,
        added: datetime = ADDED,
        meeting: datetime | None = MEETING,
        policy: Policy = TIP8,
    ) -> None:
        self.policy = policy
        self.events: list[Event] = []
        self.fact(added, ProspectAdded("Jo", zone, country, None, points or (PHONE, INBOX)))
        if meeting is not None:
            self.do(added, SetAppointment(meeting))

    @property
    def prospect(self) -> Prospect:
        folded = fold(None, self.events)
        assert folded is not None
        return folded

    @property
    def stage(self) -> str:
        return self.prospect.stage.value

    def fact(self, at: datetime, data: Data, recorded: datetime | None = None) -> None:
        self.events.append(Event("jo", len(self.events) + 1, at, recorded or at, data))

    def do(self, at: datetime, command: Command) -> None:
        for data in decide(self.prospect, command, self.policy, at):
            self.fact(at, data)

    def refused(self, at: datetime, command: Command) -> str:
        """The rule that refuses it."""
        with pytest.raises(Refused) as caught:
            decide(self.prospect, command, self.policy, at)
        return str(caught.value.rule)

    def attempt(self, at: datetime, channel: Channel = CALL) -> None:
        """By the book, unanswered."""
        self.do(
            at,
            MakeAttempt((Part(channel, NO_ANSWER if channel == CALL else SENT),), is_strict=True),
        )

    def off_policy(self, at: datetime, channel: Channel = CALL) -> None:
        parts = (Part(channel, NO_ANSWER if channel == CALL else SENT),)
        self.do(at, MakeAttempt(parts, why="felt like it"))

    def at(self, now: datetime) -> Decision:
        return next_touch(self.prospect, self.policy, now)

    def next(self) -> Decision:
        """As seen when the last event was recorded."""
        return self.at(self.prospect.recorded_at)

    def silent(self, touches: int) -> File:
        """Make that many touches, each when it is due, unanswered."""
        for _ in range(touches):
            decision = self.next()
            assert decision.touch is not None
            assert decision.at is not None
            now = max(decision.at, self.prospect.recorded_at)
            self.attempt(now, decision.touch.parts[0].channel)
        return self

    def last(self) -> AttemptMade:
        data = self.events[-1].data
        assert isinstance(data, AttemptMade)
        return data


def step(decision: Decision) -> str | None:
    return None if decision.touch is None else decision.touch.step


def rules(decision: Decision) -> set[str]:
    return {str(reason.rule) for reason in decision.reasons}


def whole() -> File:
    """Up to the polite exit: on time, ten minutes, half a day, six spaced calls, the exit."""
    return File().silent(10)


# Section 5: stages --------------------------------------------------------------------------------


def test_a_new_prospect_is_a_task_with_a_deadline():
    decision = File(meeting=None).next()
    assert (decision.verdict, decision.at) == (Verdict.TASK, t("11-04 09:00"))


def test_scheduled_waits_for_the_on_time_touch_at_the_appointment():
    decision = File().next()
    assert (decision.verdict, decision.at, step(decision)) == (Verdict.WAIT, MEETING, "on_time")


def test_the_silent_way_goes_through_every_stage_of_tip8_in_order():
    file, seen = File(), []
    for _ in range(10):
        file.silent(1)
        seen.append(file.stage)
    assert seen == ["on_time", "ten_minutes", "half_day", *["spaced"] * 6, "polite_exit"]


def test_a_contact_leads_to_engaged_and_a_task_with_a_deadline():
    file = File().silent(5)
    file.fact(t("11-09 10:00"), ReplyReceived(EMAIL))
    assert file.stage == "engaged"
    assert (file.next().verdict, file.next().at) == (Verdict.TASK, t("11-11 10:00"))


def test_a_connected_attempt_is_a_contact():
    file = File()
    file.do(MEETING, MakeAttempt((Part(CALL, CONNECTED),), is_strict=True))
    assert (file.stage, file.prospect.silence.attempts) == ("engaged", ())


def test_a_contact_after_closing_means_they_came_back():
    file = whole()
    file.do(t("12-04 12:00"), EndFollowUp(EndReason.NO_RESPONSE))
    assert file.stage == "closed"
    file.fact(t("12-05 12:00"), ReplyReceived(EMAIL))
    assert (file.stage, file.next().verdict) == ("engaged", Verdict.TASK)


@pytest.mark.parametrize("reason", [EndReason.BOUGHT, EndReason.DECLINED])
def test_a_contact_after_won_or_lost_is_kept_and_gives_the_owner_a_task(reason: EndReason):
    file = File()
    file.do(MEETING, EndFollowUp(reason))
    assert file.next().verdict is Verdict.STOP
    ended = file.stage
    file.fact(t("11-03 10:00"), ReplyReceived(EMAIL))
    assert (file.stage, file.next().verdict) == (ended, Verdict.TASK)
    assert file.next().at is not None


def test_a_standing_appointment_in_the_future_survives_a_contact():
    file = File()
    file.fact(t("11-02 10:00"), ReplyReceived(EMAIL, Intent.YES))
    assert (file.stage, file.next().at, step(file.next())) == ("scheduled", MEETING, "on_time")


def test_an_appointment_can_be_moved():
    file = File()
    file.do(t("11-02 10:00"), SetAppointment(t("11-03 10:00")))
    assert (file.stage, file.next().at) == ("scheduled", t("11-03 10:00"))


def test_an_appointment_can_be_cancelled_before_anything_was_said():
    file = File()
    file.do(t("11-02 10:00"), CancelAppointment())
    assert (file.stage, file.next().verdict) == ("new", Verdict.TASK)


def test_opted_out_of_every_channel_one_by_one_is_opted_out():
    file = File()
    for channel in CHANNELS:
        file.fact(t("11-02 10:00"), OptOutRequested(channel))
    assert (file.stage, file.next().verdict) == ("opted_out", Verdict.STOP)


def test_opted_out_ends_only_by_opting_back_in():
    file = File()
    file.fact(t("11-02 10:00"), OptOutRequested())
    for data in (ReplyReceived(EMAIL), PauseRequested(t("11-05 10:00"))):
        file.fact(t("11-03 10:00"), data)
        assert file.stage == "opted_out"
        assert file.next().touch is None
    file.fact(t("11-04 10:00"), OptedBackIn())
    assert (file.stage, file.next().verdict) == ("engaged", Verdict.TASK)


def test_opting_back_in_returns_to_the_end_the_file_had():
    file = File()
    file.do(MEETING, EndFollowUp(EndReason.BOUGHT))
    file.fact(t("11-03 10:00"), OptOutRequested())
    assert file.stage == "opted_out"
    file.fact(t("11-04 10:00"), OptedBackIn())
    assert file.stage == "won"


def test_a_reopened_file_gives_its_owner_a_task_and_no_outreach_until_a_contact():
    file = File()
    file.do(MEETING, EndFollowUp(EndReason.DECLINED))
    file.do(t("11-03 10:00"), ReopenFollowUp("a new budget"))
    for later in (t("11-03 10:00"), t("11-20 10:00"), t("12-20 10:00")):
        assert file.at(later).verdict is Verdict.TASK
    assert file.refused(t("11-03 11:00"), SetAppointment(t("11-04 10:00"))) == "plan"
    assert (
        file.refused(t("11-03 11:00"), MakeAttempt((Part(CALL, NO_ANSWER),), is_strict=True))
        == "plan"
    )
    file.fact(t("11-03 12:00"), ReplyReceived(EMAIL))
    file.do(t("11-03 13:00"), SetAppointment(t("11-04 10:00")))
    assert file.stage == "scheduled"


def test_a_policy_adopted_goes_on_with_counts_gaps_and_the_promised_time():
    file = File().silent(5)
    before = file.prospect.silence
    promised = file.next().at
    assert promised is not None
    adopted = PolicyAdopted("tip8", 1, TIP8.digest, promised + timedelta(days=1))
    file.fact(t("11-10 10:00"), adopted)
    assert file.prospect.silence == before
    assert file.next().at == promised + timedelta(days=1)


def test_an_appointment_in_a_silence_changes_nothing_unless_a_response_agreed():
    file = File().silent(4)
    assert file.refused(t("11-06 09:00"), SetAppointment(t("11-09 10:00"))) == "plan"
    before = file.next()
    file.fact(t("11-06 09:00"), AppointmentSet(t("11-09 10:00")))
    assert (file.stage, step(file.next()), file.next().at) == ("spaced", step(before), before.at)
    file.do(t("11-06 10:00"), SetAppointment(t("11-09 10:00"), EMAIL))
    assert (file.stage, file.next().at) == ("scheduled", t("11-09 10:00"))


def test_after_a_pause_comes_the_first_spaced_touch_once_until_has_come():
    file = File().silent(4)
    file.fact(t("11-06 10:00"), PauseRequested(t("11-20 11:00")))
    decision = file.next()
    assert (decision.verdict, decision.at, step(decision)) == (
        Verdict.WAIT,
        t("11-20 11:00"),
        "spaced#1",
    )


def test_after_a_reply_no_there_is_a_task_only():
    file = File().silent(4)
    file.fact(t("11-06 10:00"), ReplyReceived(EMAIL, Intent.NO))
    for later in (t("11-06 10:00"), t("12-06 10:00")):
        assert (file.at(later).verdict, file.at(later).touch) == (Verdict.TASK, None)


def test_an_owners_own_unanswered_attempt_is_the_first_spaced():
    file = File(meeting=None)
    file.attempt(t("11-02 10:00"))
    assert (file.stage, file.last().step, file.last().broke) == ("spaced", "spaced#1", ())
    assert (step(file.next()), file.next().at) == ("spaced#2", t("11-05 10:00"))


def test_an_attempt_before_an_appointment_is_an_extra_and_moves_no_stage():
    file = File()
    assert (
        file.refused(t("11-02 10:00"), MakeAttempt((Part(CALL, NO_ANSWER),), is_strict=True))
        == "appointment"
    )
    file.off_policy(t("11-02 10:00"))
    assert file.last().stage is AttemptStage.EXTRA
    assert file.last().broke == ("appointment",)
    assert (file.stage, file.prospect.silence.spaced_calls) == ("scheduled", 1)


def test_an_attempt_that_broke_a_rule_takes_the_place_of_the_touch_that_was_next():
    file = File().silent(4)
    file.off_policy(t("11-06 10:00"))
    assert (file.last().stage, file.last().step) == (AttemptStage.SPACED, "spaced#2")
    assert "plan" in file.last().broke
    assert file.last().why == "felt like it"


def test_an_attempt_that_occurred_before_the_last_contact_changes_no_count():
    file = File()
    file.fact(t("11-02 11:00"), ReplyReceived(EMAIL))
    file.fact(t("11-02 10:00"), AttemptMade((Part(CALL, NO_ANSWER),)), t("11-02 12:00"))
    assert (file.stage, file.prospect.silence.attempts) == ("scheduled", ())


def test_attempts_after_a_contact_learnt_of_late_belong_to_the_silence_after_it():
    file = File().silent(5)  # on 2, 2, 2, 5 and 10 November
    made = [event.occurred_at for event in file.events[-2:]]
    file.fact(t("11-03 10:00"), ReplyReceived(EMAIL), t("11-11 10:00"))
    assert [attempt.at for attempt in file.prospect.silence.attempts] == made
    assert file.stage == "engaged"


# Section 6: time ----------------------------------------------------------------------------------


def test_a_missed_on_time_stays_due_with_a_reason_that_says_we_are_late():
    decision = File().at(t("11-04 12:00"))
    assert (decision.verdict, decision.at, step(decision)) == (Verdict.DUE, MEETING, "on_time")
    assert any("missed" in reason.because for reason in decision.reasons)


def test_ten_minutes_comes_exactly_ten_minutes_after_the_on_time_attempt():
    file = File()
    file.attempt(t("11-02 14:03"))
    assert (step(file.next()), file.next().at) == ("ten_minutes", t("11-02 14:13"))


def test_ten_minutes_lapses_after_15_minutes_and_still_anchors_the_half_day():
    file = File(meeting=t("11-02 10:00")).silent(1)
    assert step(file.at(t("11-02 10:25"))) == "ten_minutes"
    decision = file.at(t("11-02 10:26"))
    assert (step(decision), decision.at) == ("half_day", t("11-02 14:10"))
    assert "lapsed" in rules(decision)


def test_half_day_comes_four_hours_after_ten_minutes():
    file = File(meeting=t("11-02 10:00")).silent(2)
    assert (step(file.next()), file.next().at) == ("half_day", t("11-02 14:10"))


def test_half_day_rolls_forward_to_the_next_open_time():
    file = File().silent(2)  # four hours after 14:10 is 18:10, after business hours
    assert file.next().at == t("11-03 09:00")
    assert "business_hours" in rules(file.next())


def test_spaced_touches_come_whole_business_days_apart_at_the_same_time():
    file = File(meeting=t("11-02 10:00")).silent(3)
    times = []
    for _ in range(3):
        times.append(file.next().at)
        file.silent(1)
    assert times == [t("11-05 14:10"), t("11-10 14:10"), t("11-13 14:10")]


def test_a_public_holiday_is_no_business_day():
    added = t("11-23 15:00")  # Monday before Thanksgiving
    points = (PHONE, INBOX)
    file = File(*points, zone="America/New_York", country="US", added=added, meeting=None)
    file.attempt(added)
    assert file.next().at == t("11-27 15:00")
    assert any("Thanksgiving" in reason.because for reason in file.next().reasons)


def test_the_appointments_own_steps_obey_no_business_hours():
    saturday = t("11-07 18:00")
    file = File(meeting=saturday).silent(1)
    assert file.events[-1].occurred_at == saturday
    assert file.next().at == t("11-07 18:10")


def test_the_appointments_own_steps_obey_quiet_hours():
    file = File(meeting=t("11-02 20:55")).silent(1)
    decision = file.next()
    assert step(decision) == "half_day", "ten minutes later is too late to be exact"
    assert decision.at == t("11-03 09:00")


def test_appoint_refuses_a_time_that_quiet_hours_forbid():
    file = File(meeting=None)
    for hour in ("07:59", "21:00", "23:30"):
        assert file.refused(ADDED, SetAppointment(t(f"11-03 {hour}"))) == "quiet_hours"
    file.do(ADDED, SetAppointment(t("11-03 20:59")))


def test_of_several_candidate_zones_a_touch_is_allowed_in_every_one():
    zones = ("America/New_York", "America/Los_Angeles")
    file = File(zone=zones, added=t("11-02 15:00"), meeting=None)
    file.attempt(t("11-02 17:00"))  # 12:00 and 9:00
    assert file.next().at == t("11-05 17:00")
    early = File(zone=zones, added=t("11-02 15:00"), meeting=t("11-03 18:00")).silent(2)
    assert early.next().at == t("11-04 17:00"), "9:00 in California, 12:00 in New York"


def test_suspended_time_counts_in_no_gap():
    file = File(meeting=None)
    file.attempt(t("11-02 10:00"))  # next on the 5th
    file.fact(t("11-03 08:00"), AutoReplyReceived(EMAIL, t("11-05 08:00")))
    assert file.next().at == t("11-09 10:00"), "the 5th, 6th and 9th; not the 3rd and 4th"


def test_an_auto_reply_without_an_end_suspends_for_five_business_days():
    file = File(meeting=None)
    file.attempt(t("11-02 10:00"))
    file.fact(t("11-02 12:00"), AutoReplyReceived(EMAIL))
    at = file.next().at
    assert at is not None
    assert at >= t("11-09 12:00")
    assert file.stage == "spaced", "it is no contact"


def test_suspended_time_counts_in_no_answer_time():
    file = whole()
    assert file.events[-1].occurred_at == t("12-02 09:00")
    assert file.next().at == t("12-04 09:00")
    file.fact(t("12-02 10:00"), AutoReplyReceived(EMAIL, t("12-09 09:00")))
    assert file.next().at == t("12-10 09:00"), "the 9th and the 10th"


def test_an_answer_time_ends_at_the_same_local_time_on_its_last_business_day():
    meeting = t("11-04 14:00")
    file = File(zone="Europe/Berlin", country="DE", meeting=meeting).silent(10)
    sent = file.events[-1].occurred_at
    assert sent.weekday() == 4  # Friday
    assert file.next().at == sent + timedelta(days=4)


def test_the_same_local_time_is_kept_when_the_clocks_change():
    # Berlin leaves summer time on Sunday 25 October 2026.
    file = File(zone="Europe/Berlin", added=t("10-22 08:00"), meeting=None)
    file.attempt(t("10-22 08:00"))  # 10:00 there
    assert file.next().at == t("10-27 09:00")  # 10:00 there


def test_no_touch_comes_sooner_than_the_largest_gap_so_far():
    file = File(meeting=None)
    file.attempt(t("11-02 10:00"))
    file.attempt(t("11-10 10:00"))  # three days late: six business days
    assert file.last().gap == Gap(6, 0)
    assert file.next().at is not None
    assert (f"{file.next().at:%m-%d}", step(file.next())) == ("11-18", "spaced#3")
    assert "gap" in rules(file.next())


def test_gaps_start_anew_at_the_on_time_attempt():
    file = File(meeting=t("11-20 10:00"))
    file.off_policy(t("11-03 10:00"))
    file.off_policy(t("11-13 10:00"))  # a gap of eight business days before the appointment
    assert (file.next().at, step(file.next())) == (t("11-20 10:00"), "on_time")
    file.attempt(t("11-20 10:00"))
    assert (file.next().at, step(file.next())) == (t("11-20 10:10"), "ten_minutes")


def test_lateness_costs_calls_not_patience():
    file = File(meeting=None)
    file.attempt(t("11-02 10:00"))
    file.attempt(t("12-14 10:00"))  # thirty business days later
    decision = file.next()
    assert step(decision) == "polite_exit"
    assert any(r.rule == "horizon" and "cost" in r.because for r in decision.reasons)


# Section 7: the invariants ------------------------------------------------------------------------


def test_nothing_is_proposed_after_an_opt_out_from_everything():
    file = File().silent(5)
    file.fact(t("11-10 12:00"), OptOutRequested())
    assert file.next().verdict is Verdict.STOP
    assert (
        file.refused(t("11-16 12:00"), MakeAttempt((Part(CALL, NO_ANSWER),), is_strict=True))
        == "opt_out"
    )


def test_who_is_opted_out_has_no_contact_point_left_on_a_channel_declared_later():
    file = File()
    for channel in CHANNELS:
        file.fact(t("11-02 10:00"), OptOutRequested(channel))
    file.fact(t("11-03 10:00"), ContactPointAdded(Channel("whatsapp"), "+1 212 555 0123"))
    assert contact_points_left(file.prospect) == ()


def test_nothing_is_proposed_on_a_channel_after_an_opt_out_from_it():
    file = File().silent(5)
    file.fact(t("11-10 12:00"), OptOutRequested(CALL))
    decision = file.next()
    assert decision.touch is not None
    assert {part.channel for part in decision.touch.parts} == {EMAIL}
    assert step(decision) == "polite_exit"


def test_an_opt_out_holds_from_its_recording_though_a_contact_came_later():
    file = File().silent(5)
    file.fact(t("11-11 12:00"), ReplyReceived(EMAIL), t("11-11 12:00"))
    file.fact(t("11-10 12:00"), OptOutRequested(), t("11-12 12:00"))
    assert (file.stage, file.next().verdict) == ("opted_out", Verdict.STOP)


def test_a_seventh_spaced_call_is_never_proposed():
    file = File().silent(9)
    assert file.prospect.silence.spaced_calls == 6
    assert step(file.next()) == "polite_exit"


def test_a_seventh_spaced_call_is_never_proposed_when_extras_were_made():
    file = File(meeting=t("11-12 10:00"))
    for day in ("03", "04", "05", "06"):
        file.off_policy(t(f"11-{day} 12:00"))
    file.silent(3)
    assert file.prospect.silence.spaced_calls == 4
    file.silent(2)
    assert (file.prospect.silence.spaced_calls, step(file.next())) == (6, "polite_exit")


def test_a_spaced_call_beyond_the_cap_is_recorded_and_says_what_it_broke():
    file = File(PHONE, meeting=None)
    for _ in range(6):
        decision = file.next()
        file.attempt(file.prospect.recorded_at if decision.touch is None else decision.at or ADDED)
    now = file.prospect.recorded_at + timedelta(hours=1)
    parts = (Part(CALL, NO_ANSWER),)
    assert file.refused(now, MakeAttempt(parts, is_strict=True)) in {"spaced_cap", "plan", "gap"}
    file.off_policy(now)
    assert "spaced_cap" in file.last().broke


def test_no_file_is_closed_for_silence_before_an_exit_was_delivered():
    file = File().silent(9)
    for later in (t("12-31 12:00"), t("2028-01-10 12:00")):
        assert file.at(later).verdict is not Verdict.CLOSE
    assert file.refused(t("12-20 12:00"), EndFollowUp(EndReason.NO_RESPONSE)) == "polite_exit"


def test_no_file_is_closed_for_silence_before_the_answer_time_has_passed():
    file = whole()
    waiting = file.next()
    assert (waiting.verdict, waiting.touch) == (Verdict.WAIT, None)
    assert waiting.at is not None
    early = waiting.at - timedelta(minutes=1)
    assert file.refused(early, EndFollowUp(EndReason.NO_RESPONSE)) == "polite_exit"
    closing = file.at(waiting.at)
    assert (closing.verdict, closing.end) == (Verdict.CLOSE, EndReason.NO_RESPONSE)
    file.do(waiting.at, EndFollowUp(EndReason.NO_RESPONSE))
    assert file.stage == "closed"


def test_the_exit_goes_to_the_next_channel_when_it_bounced():
    file = whole()
    bounced = ContactPointFailed(EMAIL, "jo@x", FailureReason.BOUNCED)
    file.fact(file.prospect.recorded_at + timedelta(hours=1), bounced)
    decision = file.next()
    assert decision.touch is not None
    assert (step(decision), decision.touch.parts[0].channel) == ("polite_exit", CALL)


def test_the_exit_that_nobody_answers_on_the_phone_is_not_delivered():
    file = File(PHONE).silent(10)
    assert file.stage == "polite_exit"
    for later in (file.prospect.recorded_at, t("2028-01-10 12:00")):
        assert file.at(later).verdict is not Verdict.CLOSE


def test_mail_alone_needs_ten_business_days():
    file = File(PHONE, LETTERBOX).silent(9)
    decision = file.next()
    assert decision.touch is not None
    assert decision.at is not None
    at = decision.at
    file.do(at, MakeAttempt((Part(MAIL, SENT),), is_strict=True))
    assert file.next().at == at + timedelta(days=14)


def test_nothing_comes_after_the_polite_exit():
    file = whole()
    now = file.prospect.recorded_at + timedelta(hours=2)
    assert file.refused(now, MakeAttempt((Part(CALL, NO_ANSWER),), is_strict=True)) == "polite_exit"


def test_in_silence_the_history_ends():
    file = whole()
    assert len(file.prospect.silence.attempts) == 10
    closing = file.at(file.next().at or ADDED)
    assert closing.verdict is Verdict.CLOSE
    assert closing.at is not None
    assert closing.at - ADDED < timedelta(days=40)


def test_an_open_prospect_always_has_exactly_one_next_thing():
    file = File()
    for _ in range(10):
        for later in (0, 1, 20, 400):
            decision = file.at(file.prospect.recorded_at + timedelta(days=later))
            assert decision.at is not None
            assert (decision.touch is None) == isinstance(decision, Task)
        file.silent(1)


def test_a_touch_that_finds_no_open_time_becomes_a_task():
    # Business hours of Berlin and of Auckland never overlap.
    file = File(zone=("Europe/Berlin", "Pacific/Auckland"), added=t("11-02 07:00"), meeting=None)
    file.off_policy(t("11-02 07:30"))  # 8:30 and 20:30, outside the hours of each
    decision = file.next()
    assert decision.verdict is Verdict.TASK
    assert decision.at is not None
    assert "forgotten" in rules(decision)


def test_a_failed_contact_point_is_never_used_again():
    second = ContactPoint(CALL, "+2")
    file = File(PHONE, second, INBOX).silent(4)
    now = file.next().at
    assert now is not None
    file.do(now, MakeAttempt((Part(CALL, Disposition.WRONG_NUMBER),), is_strict=True))
    decision = file.next()
    assert decision.touch is not None
    assert [part.address for part in decision.touch.parts] == ["+2"]
    rule = file.refused(
        decision.at or now, MakeAttempt((Part(CALL, NO_ANSWER, "+1"),), is_strict=True)
    )
    assert rule == "contact_point"


def test_a_step_none_of_whose_channels_is_left_is_passed_over_with_a_reason():
    file = File().silent(4)
    file.fact(t("11-06 12:00"), ContactPointFailed(CALL, "+1"))
    decision = file.next()
    assert step(decision) == "polite_exit"
    assert any(r.kind is ReasonKind.SKIP and "spaced#2" in r.steps for r in decision.reasons)


def test_the_polite_exit_takes_any_channel_that_is_left():
    file = File(PHONE, LETTERBOX).silent(9)
    decision = file.next()
    assert decision.touch is not None
    file.fact(file.prospect.recorded_at, ContactPointFailed(CALL, "+1"))
    decision = file.next()
    assert decision.touch is not None
    assert [part.channel for part in decision.touch.parts] == [MAIL]


def test_none_left_is_unreachable():
    file = File(PHONE).silent(4)
    file.fact(t("11-06 12:00"), ContactPointFailed(CALL, "+1"))
    decision = file.next()
    assert (decision.verdict, decision.end) == (Verdict.CLOSE, EndReason.UNREACHABLE)


def test_the_same_events_policy_and_now_give_the_same_decision():
    file = File().silent(6)
    twice = fold(fold(None, file.events[:4]), file.events[4:])
    assert twice is not None
    now = t("11-20 12:00")
    assert next_touch(twice, TIP8, now) == file.at(now)
    assert any("holidays" in reason.because for reason in file.at(now).reasons)


def test_outreach_moves_forward_through_the_stages_within_a_silence():
    file = File().silent(4)
    file.fact(t("11-06 10:00"), AttemptMade((Part(CALL, NO_ANSWER),), AttemptStage.ON_TIME))
    assert file.stage == "spaced"
    assert step(file.next()) == "spaced#2"


def test_facts_after_the_end_are_recorded():
    file = File()
    file.do(MEETING, EndFollowUp(EndReason.DECLINED))
    now = t("11-03 10:00")
    for fact in (AttemptMade((Part(CALL, NO_ANSWER),)), FollowUpEnded(EndReason.DECLINED)):
        file.do(now, fact)
    assert file.stage == "lost"
    assert file.next().verdict is Verdict.STOP


def test_every_decision_carries_its_reasons():
    file = File()
    for _ in range(10):
        for reason in file.next().reasons:
            assert reason.rule
            assert reason.because
            assert reason.source
        assert file.next().reasons
        assert file.next().policy == TIP8.ref
        file.silent(1)
