"""Whole decisions, word for word: who is preferred, what waits for what, and by when."""

from datetime import UTC, datetime, timedelta

import pytest

from cadence.core import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointFailed,
    Data,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    Gap,
    Intent,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    Prospect,
    ProspectAdded,
    ReplyReceived,
    Stage,
    fold,
)
from cadence.errors import InputError, Refused
from cadence.policy import (
    Decision,
    EndFollowUp,
    MakeAttempt,
    Policies,
    Rule,
    SetAppointment,
    Verdict,
    builtin,
    decide,
    loads,
    next_touch,
    time_for,
)

TIP8 = builtin("tip8")
MONDAY = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CALL, MAIL = ContactPoint(Channel.CALL, "+1"), ContactPoint(Channel.MAIL, "1 Way")
EMAIL, SMS = ContactPoint(Channel.EMAIL, "j@x"), ContactPoint(Channel.SMS, "+1")
NO_ANSWER = (Part(Channel.CALL, Disposition.NO_ANSWER, "+1"),)
SENT = (Part(Channel.EMAIL, Disposition.SENT, "j@x"),)


def added(*points: ContactPoint, zones: str | tuple[str, ...] = "UTC") -> Data:
    return ProspectAdded("Kim", zones, contact_points=points or (CALL, EMAIL))


def after(*events: tuple[datetime, Data] | tuple[datetime, datetime, Data]) -> Prospect:
    found = []
    for version, (occurred, *recorded, data) in enumerate(events, 1):
        found.append(Event("kim", version, occurred, recorded[0] if recorded else occurred, data))
    prospect = fold(None, found)
    assert prospect is not None
    return prospect


def spaced(at: datetime, gap: Gap | None = None) -> tuple[datetime, Data]:
    return at, AttemptMade(NO_ANSWER, AttemptStage.SPACED, "spaced#1", gap=gap)


def reasons(decision: Decision) -> list[tuple[str, str, tuple[int, ...]]]:
    return [
        (one.rule, one.because, one.events)
        for one in decision.reasons
        if one.rule != Rule.DETERMINISTIC
    ]


def exit_channel(
    *points: ContactPoint, prefers: Channel | None = None, gone: Channel | None = None
):
    events: list[tuple[datetime, Data]] = [(MONDAY, added(*points)), spaced(MONDAY)]
    if prefers is not None:
        events.append((MONDAY, PreferenceStated(prefers)))
    if gone is not None:
        events.append((MONDAY, OptOutRequested(gone)))
    decision = next_touch(after(*events), TIP8, MONDAY + 200 * DAY)
    assert decision.touch is not None
    return [(part.channel, part.address) for part in decision.touch.parts]


def test_the_exit_is_written_on_the_channel_they_prefer() -> None:
    assert exit_channel(CALL, EMAIL, SMS) == [("email", "j@x")]
    assert exit_channel(CALL, EMAIL, SMS, prefers=Channel.SMS) == [("sms", "+1")]
    assert exit_channel(CALL, EMAIL, SMS, prefers=Channel.EMAIL) == [("email", "j@x")]
    assert exit_channel(CALL, EMAIL, prefers=Channel.SMS) == [("email", "j@x")]


def test_a_preference_does_not_undo_an_opt_out() -> None:
    found = exit_channel(CALL, EMAIL, SMS, prefers=Channel.SMS, gone=Channel.SMS)
    assert found == [("email", "j@x")]
    assert exit_channel(CALL, EMAIL, MAIL, gone=Channel.EMAIL) == [("call", "+1")]


def test_a_preferred_channel_that_the_step_does_not_use_changes_nothing() -> None:
    prospect = after((MONDAY, added()), (MONDAY, PreferenceStated(Channel.EMAIL)), spaced(MONDAY))
    decision = next_touch(prospect, TIP8, MONDAY)
    assert decision.touch is not None
    assert decision.touch.parts[0].channel is Channel.CALL


def test_preferred_hours_take_the_place_of_business_hours_and_say_so() -> None:
    prospect = after(
        (MONDAY, added()), (MONDAY, PreferenceStated(hours="18:00-20:00")), spaced(MONDAY)
    )
    decision = next_touch(prospect, TIP8, MONDAY + 3 * DAY)
    assert (decision.decision, decision.at) == (Verdict.WAIT, MONDAY + 3 * DAY + 8 * HOUR)
    assert reasons(decision) == [
        (
            "plan",
            "3 business days after the attempt of Mon 2026-11-02 10:00: Thu 2026-11-05 10:00",
            (3,),
        ),
        (
            "business_hours",
            "outside the hours they prefer, 18:00-20:00: +8 h to Thu 2026-11-05 18:00",
            (2,),
        ),
    ]
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(NO_ANSWER), TIP8, MONDAY + 3 * DAY + 2 * HOUR)
    assert caught.value.rule == Rule.BUSINESS_HOURS
    assert caught.value.until == MONDAY + 3 * DAY + 8 * HOUR


def test_preferred_hours_at_night_are_not_followed() -> None:
    prospect = after(
        (MONDAY, added()), (MONDAY, PreferenceStated(hours="22:00-23:30")), spaced(MONDAY)
    )
    assert next_touch(prospect, TIP8, MONDAY + 3 * DAY).decision is Verdict.DUE


def test_a_task_is_escalated_once_its_deadline_has_passed_and_not_before() -> None:
    prospect = after((MONDAY, added()))
    deadline = MONDAY + 2 * DAY
    assert next_touch(prospect, TIP8, MONDAY).at == deadline
    assert reasons(next_touch(prospect, TIP8, deadline)) == [("plan", "nobody has tried yet", (1,))]
    late = next_touch(prospect, TIP8, deadline + MINUTE)
    assert late.at == deadline
    assert reasons(late)[1:] == [("forgotten", "the deadline has passed: escalate it", ())]


def test_a_deadline_runs_from_when_we_learnt_of_its_cause() -> None:
    late = (MONDAY + DAY, MONDAY + 10 * DAY, ReplyReceived(Channel.EMAIL))
    engaged = next_touch(after((MONDAY, added()), late), TIP8, MONDAY + 10 * DAY)
    assert (engaged.task, engaged.at) == ("agree the next step", MONDAY + 14 * DAY)
    cancelled = after(
        (MONDAY, added()),
        (MONDAY, AppointmentSet(MONDAY + 20 * DAY)),
        (MONDAY + 9 * DAY, AppointmentCancelled()),
    )
    assert next_touch(cancelled, TIP8, MONDAY + 9 * DAY).at == MONDAY + 11 * DAY


def test_a_contact_after_the_end_is_a_task_that_escalates() -> None:
    prospect = after(
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
        (MONDAY + DAY, ReplyReceived(Channel.CALL)),
    )
    decision = next_touch(prospect, TIP8, MONDAY + DAY)
    assert (decision.decision, decision.at) == (Verdict.TASK, MONDAY + 3 * DAY)
    assert reasons(decision) == [("forgotten", "they contacted us after the file was won", (3,))]
    assert len(reasons(next_touch(prospect, TIP8, MONDAY + 4 * DAY))) == 2
    answered = (MONDAY + 2 * DAY, AttemptMade(NO_ANSWER, AttemptStage.EXTRA))
    done = after(
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
        (MONDAY + DAY, ReplyReceived(Channel.CALL)),
        answered,
    )
    assert next_touch(done, TIP8, MONDAY + 4 * DAY).decision is Verdict.STOP


def test_a_stop_says_why_and_by_which_event() -> None:
    ended = after((MONDAY, added()), (MONDAY, FollowUpEnded(EndReason.DECLINED)))
    assert reasons(next_touch(ended, TIP8, MONDAY)) == [
        ("plan", "the file is lost (declined)", (2,))
    ]
    gone = after((MONDAY, added()), (MONDAY, OptOutRequested()))
    decision = next_touch(gone, TIP8, MONDAY)
    assert (decision.decision, decision.at, decision.touch) == (Verdict.STOP, None, None)
    assert reasons(decision) == [("opt_out", "they want no more of us", (2,))]


def test_a_reopened_file_is_a_task_whose_deadline_notes_do_not_move() -> None:
    events: list[tuple[datetime, Data]] = [
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.DECLINED)),
        (MONDAY + DAY, FollowUpReopened("met again")),
        (MONDAY + 8 * DAY, PreferenceStated(Channel.EMAIL)),
    ]
    decision = next_touch(after(*events), TIP8, MONDAY + 8 * DAY)
    assert (decision.task, decision.at) == (
        "find out whether they want to hear from us",
        MONDAY + 3 * DAY,
    )
    with pytest.raises(Refused) as caught:
        decide(after(*events), MakeAttempt(NO_ANSWER), TIP8, MONDAY + 8 * DAY)
    assert caught.value.rule == Rule.PLAN
    with pytest.raises(Refused):
        decide(after(*events), SetAppointment(MONDAY + 9 * DAY), TIP8, MONDAY + 8 * DAY)


def test_a_gap_that_a_late_fact_opened_is_measured_now() -> None:
    first, late = MONDAY + 9 * DAY, MONDAY + HOUR
    prospect = after(
        (MONDAY, added()),
        spaced(first),
        (late, first + HOUR, AttemptMade(NO_ANSWER, AttemptStage.EXTRA)),
    )
    assert prospect.silence.unmeasured == (1,)
    decision = next_touch(prospect, TIP8, first + 2 * HOUR)
    assert decision.at == first + 9 * DAY  # seven business days later, at the planned time of day
    assert reasons(decision)[1] == (
        "gap",
        "gaps never shrink: the largest so far is 7 business days: +4 d",
        (2,),
    )
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(NO_ANSWER), TIP8, first + 5 * DAY)
    assert caught.value.rule == Rule.GAP


def test_suspended_time_is_a_reason_of_its_own_with_what_it_added() -> None:
    prospect = after(
        (MONDAY, added()),
        spaced(MONDAY),
        (MONDAY + HOUR, AutoReplyReceived(Channel.EMAIL, MONDAY + 2 * DAY)),
    )
    decision = next_touch(prospect, TIP8, MONDAY + 2 * HOUR)
    assert decision.at == MONDAY + 7 * DAY
    assert reasons(decision) == [
        (
            "plan",
            "3 business days after the attempt of Mon 2026-11-02 10:00: Thu 2026-11-05 10:00",
            (2,),
        ),
        ("suspended", "suspended time does not count: +4 d to Mon 2026-11-09 10:00", (3,)),
    ]


def test_an_appointment_agreed_in_a_pause_is_kept_and_one_agreed_before_it_waits() -> None:
    nine = MONDAY + 3 * DAY
    pause = (MONDAY + HOUR, PauseRequested(MONDAY + 7 * DAY))
    set_in_it = (MONDAY + 2 * HOUR, AppointmentSet(nine))
    kept = next_touch(after((MONDAY, added()), pause, set_in_it), TIP8, nine)
    assert (kept.decision, kept.at) == (Verdict.DUE, nine)
    set_before = (MONDAY, AppointmentSet(nine))
    waits = next_touch(after((MONDAY, added()), set_before, pause), TIP8, nine)
    assert (waits.decision, waits.at) == (Verdict.WAIT, MONDAY + 7 * DAY)
    assert reasons(waits)[-1][0] == "suspended"
    on_time = (nine, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    soon = next_touch(after((MONDAY, added()), pause, set_in_it, on_time), TIP8, nine + MINUTE)
    assert soon.touch is not None
    assert (soon.touch.step, soon.at) == ("ten_minutes", nine + 10 * MINUTE)


def test_nothing_is_planned_before_a_standing_appointment() -> None:
    wrong = (Part(Channel.CALL, Disposition.WRONG_NUMBER, "+1"),)
    far = MONDAY + 28 * DAY
    prospect = after(
        (MONDAY, added()),
        (MONDAY, AppointmentSet(far)),
        (MONDAY + DAY, AttemptMade(wrong, AttemptStage.EXTRA)),
    )
    decision = next_touch(prospect, TIP8, MONDAY + 10 * DAY)
    assert decision.at is not None
    assert decision.at > far


def test_before_an_appointment_every_attempt_is_an_extra_that_broke_it_and_the_cap_counts() -> None:
    prospect = after((MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + 28 * DAY)))
    for number in range(1, 9):
        at = MONDAY + number * DAY + timedelta(hours=number % 3)
        (made,) = decide(prospect, MakeAttempt(NO_ANSWER, "told to"), TIP8, at)
        assert isinstance(made, AttemptMade)
        assert made.stage is AttemptStage.EXTRA
        assert "appointment" in made.broke
        assert ("spaced_cap" in made.broke) == (number > 6)
        version = prospect.version + 1
        prospect = fold(prospect, [Event("kim", version, at, at, made)]) or prospect


def test_an_attempt_that_came_before_others_takes_no_place() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY + 5 * DAY))
    (made,) = decide(prospect, AttemptMade(NO_ANSWER), TIP8, MONDAY + HOUR)
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.step, made.touch) == (AttemptStage.EXTRA, None, None)


def test_a_wait_is_never_in_order() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY), spaced(MONDAY + 7 * DAY, Gap(5, 0)))
    for hours in range(0, 24 * 9, 5):
        at = MONDAY + 7 * DAY + hours * HOUR
        if next_touch(prospect, TIP8, at).decision is Verdict.WAIT:
            with pytest.raises(Refused):
                decide(prospect, MakeAttempt(NO_ANSWER), TIP8, at)


def test_the_refusal_says_what_is_proposed_instead() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY))
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(SENT), TIP8, MONDAY + 3 * DAY)
    assert "the policy proposes spaced#2 by call now" in caught.value.what
    assert "off-policy" in caught.value.mend


def test_an_exit_tried_everywhere_lets_the_owner_end_the_file() -> None:
    no_answer = AttemptMade(NO_ANSWER, AttemptStage.POLITE_EXIT, "polite_exit")
    prospect = after((MONDAY, added(CALL)), spaced(MONDAY), (MONDAY + 7 * DAY, no_answer))
    decision = next_touch(prospect, TIP8, MONDAY + 20 * DAY)
    assert decision.task == "deliver the polite exit another way, or end the file as unreachable"
    assert decision.at == MONDAY + 9 * DAY
    (ended,) = decide(prospect, EndFollowUp(EndReason.UNREACHABLE), TIP8, MONDAY + 20 * DAY)
    assert ended == FollowUpEnded(EndReason.UNREACHABLE)
    untried = after((MONDAY, added()), spaced(MONDAY), (MONDAY + 7 * DAY, no_answer))
    with pytest.raises(Refused) as caught:
        decide(untried, EndFollowUp(EndReason.UNREACHABLE), TIP8, MONDAY + 20 * DAY)
    assert "email j@x" in caught.value.what


def test_an_answer_time_says_until_when_and_then_that_it_has_passed() -> None:
    exit_ = AttemptMade(SENT, AttemptStage.POLITE_EXIT, "polite_exit")
    prospect = after((MONDAY, added()), spaced(MONDAY), (MONDAY + 3 * DAY, exit_))
    answer = MONDAY + 7 * DAY
    waiting = next_touch(prospect, TIP8, answer - MINUTE)
    assert (waiting.decision, waiting.at, waiting.touch) == (Verdict.WAIT, answer, None)
    assert reasons(waiting) == [
        (
            "polite_exit",
            "2 business days to answer the polite exit of Thu 2026-11-05 10:00: "
            "until Mon 2026-11-09 10:00",
            (3,),
        )
    ]
    with pytest.raises(Refused) as caught:
        decide(prospect, EndFollowUp(EndReason.NO_RESPONSE), TIP8, answer - MINUTE)
    assert caught.value.until == answer
    closing = next_touch(prospect, TIP8, answer)
    assert (closing.decision, closing.at, closing.end) == (
        Verdict.CLOSE,
        answer,
        EndReason.NO_RESPONSE,
    )


def test_who_can_not_be_reached_is_closed_from_when_we_learnt_it() -> None:
    failed = (MONDAY + 2 * DAY, MONDAY + 4 * DAY, ContactPointFailed(Channel.CALL, "+1"))
    prospect = after((MONDAY, added(CALL)), spaced(MONDAY), failed)
    decision = next_touch(prospect, TIP8, MONDAY + 9 * DAY)
    assert (decision.decision, decision.at, decision.end) == (
        Verdict.CLOSE,
        MONDAY + 4 * DAY,
        EndReason.UNREACHABLE,
    )
    assert reasons(decision)[-1][2] == (3,)


def test_a_place_that_nobody_knows_is_a_task_and_never_an_exception() -> None:
    prospect = after((MONDAY, added(zones="Mars/Olympus")), spaced(MONDAY))
    decision = next_touch(prospect, TIP8, MONDAY)
    assert (decision.decision, decision.at) == (Verdict.TASK, MONDAY + DAY)
    assert decision.task == "mend timezone: 'Mars/Olympus' is no zone"
    (made,) = decide(prospect, AttemptMade(NO_ANSWER), TIP8, MONDAY + DAY)
    assert isinstance(made, AttemptMade)
    assert made.gap is None


def test_zones_that_share_no_waking_hour_are_a_task_that_names_them() -> None:
    zones = ("UTC", "Asia/Tokyo", "America/Los_Angeles")
    decision = next_touch(after((MONDAY, added(zones=zones)), spaced(MONDAY)), TIP8, MONDAY)
    assert decision.decision is Verdict.TASK
    assert "in every zone they may be in (UTC, Asia/Tokyo, America/Los_Angeles)" in (
        decision.reasons[0].because
    )


def test_a_policy_that_is_not_at_hand_is_a_task_until_the_file_ends() -> None:
    adopted = PolicyAdopted("ours", 3, "f" * 64)
    decision = Policies().decision(after((MONDAY, added()), (MONDAY, adopted)), MONDAY)
    assert (decision.decision, decision.at) == (Verdict.TASK, MONDAY + DAY)
    assert decision.policy.name == "ours"
    assert "ours version 3 (digest ffffffffffff…) is not known here" in decision.reasons[0].because
    gone = after((MONDAY, added()), (MONDAY, adopted), (MONDAY, OptOutRequested()))
    stopped = Policies().decision(gone, MONDAY)
    assert (stopped.decision, stopped.policy.name) == (Verdict.STOP, "ours")


def test_after_a_no_an_own_attempt_is_refused_and_a_fact_is_an_extra() -> None:
    said_no = (MONDAY + DAY, ReplyReceived(Channel.EMAIL, Intent.NO))
    prospect = after((MONDAY, added()), said_no)
    assert next_touch(prospect, TIP8, MONDAY + DAY).task == "end it, or agree otherwise"
    with pytest.raises(Refused):
        decide(prospect, MakeAttempt(NO_ANSWER), TIP8, MONDAY + DAY + HOUR)
    (made,) = decide(prospect, AttemptMade(NO_ANSWER), TIP8, MONDAY + DAY + HOUR)
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.broke) == (AttemptStage.EXTRA, ("plan",))


def test_a_policy_without_an_on_time_step_leaves_the_appointment_to_the_owner() -> None:
    text = """
id = "plain"
version = 1
title = "Plain"
source = "a test"
horizon_business_days = 45
task_business_days = 2
[calendar]
mon = ["09:00-17:00"]
tue = ["09:00-17:00"]
wed = ["09:00-17:00"]
thu = ["09:00-17:00"]
fri = ["09:00-17:00"]
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
times = 2
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
"""
    plain = loads(text, "plain.toml")
    at = MONDAY + 2 * DAY
    prospect = after((MONDAY, added()), (MONDAY, AppointmentSet(at)))
    decision = next_touch(prospect, plain, MONDAY)
    assert (decision.task, decision.at) == ("keep the appointment", at)
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(NO_ANSWER), plain, at - HOUR)
    assert caught.value.rule == Rule.APPOINTMENT
    (made,) = decide(prospect, MakeAttempt(NO_ANSWER), plain, at)
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.step) == (AttemptStage.SPACED, "spaced#1")
    later = fold(prospect, [Event("kim", 3, at, at, made)])
    assert later is not None
    assert later.stage is Stage.SPACED
    assert later.appointment is None


def test_values_made_in_python_are_checked_like_any_other() -> None:
    prospect = after((MONDAY, added()))
    with pytest.raises(InputError):
        decide(prospect, MakeAttempt(()), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(prospect, ContactPointFailed(Channel.CALL, ""), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(prospect, SetAppointment(datetime(2026, 11, 3, 10)), TIP8, MONDAY)  # noqa: DTZ001
    plain = Part("call", "no_answer", "+1")  # type: ignore[arg-type]
    (made,) = decide(prospect, MakeAttempt((plain,)), TIP8, MONDAY)
    assert isinstance(made, AttemptMade)
    assert made.parts == NO_ANSWER
    assert made.parts[0].channel is Channel.CALL


# What the fold keeps for these decisions ---------------------------------------------------------


def test_a_prospect_just_added_has_nothing_but_what_was_said() -> None:
    prospect = after((MONDAY, added()))
    assert (prospect.version, prospect.stage_at) == (1, MONDAY)
    assert not prospect.guidelines_agreed
    numbers = (
        prospect.preference_version,
        prospect.policy_version,
        prospect.reopened,
        prospect.kept_contact,
        prospect.end_version,
        prospect.failed_version,
        prospect.opted_out_version,
    )
    assert numbers == (0,) * 7
    assert (prospect.failed_at, prospect.kept_at, prospect.reopened_at) == (None, None, None)


def test_the_appointment_that_was_kept_is_forgotten_with_the_next_contact() -> None:
    on_time = (MONDAY + DAY, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    kept = after((MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), on_time)
    assert kept.kept is not None
    assert kept.kept.at == MONDAY + DAY
    for later in (ReplyReceived(Channel.EMAIL), OptOutRequested()):
        events = [(MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), on_time]
        assert after(*events, (MONDAY + 2 * DAY, later)).kept is None


def test_an_opt_out_and_an_end_leave_nothing_waiting() -> None:
    pause = (MONDAY + HOUR, PauseRequested(MONDAY + 9 * DAY))
    for last in (OptOutRequested(), FollowUpEnded(EndReason.DECLINED)):
        prospect = after((MONDAY, added()), pause, (MONDAY + DAY, last))
        assert (prospect.pause_until, prospect.reopened, prospect.kept_contact) == (None, 0, 0)
        reopened = after(
            (MONDAY, added()),
            (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
            (MONDAY + HOUR, ReplyReceived(Channel.EMAIL)),
            (MONDAY + DAY, FollowUpReopened("again")),
            (MONDAY + 2 * DAY, last),
        )
        assert (reopened.reopened, reopened.kept_contact) == (0, 0)


def test_a_contact_after_the_end_waits_until_it_is_answered_or_the_file_is_taken_up() -> None:
    events: list[tuple[datetime, Data]] = [
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
        (MONDAY + HOUR, ReplyReceived(Channel.EMAIL)),
    ]
    waiting = after(*events)
    assert (waiting.kept_contact, waiting.kept_at) == (3, MONDAY + HOUR)
    connected = (Part(Channel.CALL, Disposition.CONNECTED, "+1"),)
    for answer in (
        AttemptMade(NO_ANSWER, AttemptStage.EXTRA),
        AttemptMade(connected, AttemptStage.EXTRA),
        FollowUpEnded(EndReason.BOUGHT),
        FollowUpReopened("again"),
    ):
        assert after(*events, (MONDAY + DAY, answer)).kept_contact == 0


def test_a_reopening_says_when_and_by_which_event() -> None:
    ended = (MONDAY, FollowUpEnded(EndReason.DECLINED))
    prospect = after((MONDAY, added()), ended, (MONDAY + DAY, FollowUpReopened("again")))
    assert (prospect.reopened, prospect.reopened_at) == (3, MONDAY + DAY)
    assert (prospect.end, prospect.end_version) == (None, 2)


def test_what_happens_at_the_very_time_of_a_contact_came_before_it() -> None:
    at = MONDAY + DAY
    prospect = after((MONDAY, added()), spaced(at), (at, ReplyReceived(Channel.EMAIL)))
    assert prospect.silence.attempts == ()
    away = (at, AutoReplyReceived(Channel.EMAIL, at + DAY))
    told = after((MONDAY, added()), away, (at, ReplyReceived(Channel.EMAIL)))
    assert told.silence.suspensions == ()
    later = after((MONDAY, added()), (at, ReplyReceived(Channel.EMAIL)), away)
    assert len(later.silence.suspensions) == 1


def test_attempts_at_the_same_time_stand_in_the_order_of_their_versions() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY + DAY), spaced(MONDAY + DAY, Gap(0, 0)))
    assert [attempt.version for attempt in prospect.silence.attempts] == [2, 3]
    assert [attempt.gap_from for attempt in prospect.silence.attempts] == [0, 2]


def test_gaps_not_measured_before_the_on_time_attempt_do_not_count_after_it() -> None:
    early = (MONDAY + HOUR, AttemptMade(NO_ANSWER, AttemptStage.EXTRA))
    second = (MONDAY + 2 * HOUR, AttemptMade(NO_ANSWER, AttemptStage.EXTRA))
    on_time = (MONDAY + DAY, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    prospect = after(
        (MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), early, second, on_time
    )
    assert prospect.silence.unmeasured == ()


def test_the_last_opt_out_counts_by_when_it_was_said() -> None:
    sms = (MONDAY + 2 * DAY, OptOutRequested(Channel.SMS))
    email = (MONDAY + DAY, MONDAY + 3 * DAY, OptOutRequested(Channel.EMAIL))
    prospect = after((MONDAY, added(CALL, EMAIL, SMS)), sms, email)
    assert (prospect.opted_out_at, prospect.opted_out_version) == (MONDAY + 2 * DAY, 3)
    assert prospect.failed_at == MONDAY + 3 * DAY


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ((8, 59, 59), (9, 0, 0)),
        ((9, 0, 0), (9, 0, 0)),
        ((16, 59, 59), (16, 59, 59)),
        ((17, 0, 0), (33, 0, 0)),
        ((12, 34, 56), (12, 34, 56)),
    ],
)
def test_opening_hours_are_kept_to_the_second(
    at: tuple[int, int, int], opens: tuple[int, int, int]
) -> None:
    calendar = time_for(after((MONDAY, added())), TIP8)
    midnight = MONDAY.replace(hour=0)
    asked, found = (midnight + timedelta(hours=h, minutes=m, seconds=s) for h, m, s in (at, opens))
    assert calendar.next_open(asked) == found


@pytest.mark.parametrize(
    ("at", "wakes"),
    [
        ((7, 59, 59), (8, 0, 0)),
        ((8, 0, 0), (8, 0, 0)),
        ((20, 59, 59), (20, 59, 59)),
        ((21, 0, 0), (32, 0, 0)),
        ((7, 30, 30), (8, 0, 0)),
    ],
)
def test_quiet_hours_are_kept_to_the_second(
    at: tuple[int, int, int], wakes: tuple[int, int, int]
) -> None:
    calendar = time_for(after((MONDAY, added())), TIP8)
    midnight = MONDAY.replace(hour=0)
    asked, found = (midnight + timedelta(hours=h, minutes=m, seconds=s) for h, m, s in (at, wakes))
    assert calendar.next_waking(asked) == found


def test_the_same_time_of_day_is_the_same_to_the_second() -> None:
    calendar = time_for(after((MONDAY, added())), TIP8)
    at = MONDAY + timedelta(minutes=12, seconds=34, microseconds=56)
    assert calendar.after_business_days(at, 1) == at + DAY
