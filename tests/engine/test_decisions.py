"""Whole decisions, word for word: who is preferred, what waits for what, and by when."""

from datetime import UTC, datetime, timedelta

import pytest

from cadence.domain import (
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
    ValueKind,
    ValueNoted,
    fold,
)
from cadence.engine import (
    CancelAppointment,
    Decision,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    Verdict,
    calendar_for,
    decide,
    next_touch,
)
from cadence.engine.loop import decision_for
from cadence.errors import InputError, Refused
from cadence.policy import PolicyRegistry, Rule, builtin
from cadence.prover import loads

TIP8 = builtin("tip8")
MONDAY = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CALL, MAIL = ContactPoint(Channel("call"), "+1"), ContactPoint(Channel("mail"), "1 Way")
EMAIL, SMS = ContactPoint(Channel("email"), "j@x"), ContactPoint(Channel("sms"), "+1")
NO_ANSWER = (Part(Channel("call"), Disposition.NO_ANSWER, "+1"),)
SENT = (Part(Channel("email"), Disposition.SENT, "j@x"),)


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
    assert exit_channel(CALL, EMAIL, SMS, prefers=Channel("sms")) == [("sms", "+1")]
    assert exit_channel(CALL, EMAIL, SMS, prefers=Channel("email")) == [("email", "j@x")]
    assert exit_channel(CALL, EMAIL, prefers=Channel("sms")) == [("email", "j@x")]


def test_a_preference_does_not_undo_an_opt_out() -> None:
    found = exit_channel(CALL, EMAIL, SMS, prefers=Channel("sms"), gone=Channel("sms"))
    assert found == [("email", "j@x")]
    assert exit_channel(CALL, EMAIL, MAIL, gone=Channel("email")) == [("call", "+1")]


def test_a_preferred_channel_that_the_step_does_not_use_changes_nothing() -> None:
    prospect = after(
        (MONDAY, added()), (MONDAY, PreferenceStated(Channel("email"))), spaced(MONDAY)
    )
    decision = next_touch(prospect, TIP8, MONDAY)
    assert decision.touch is not None
    assert decision.touch.parts[0].channel is Channel("call")


def test_preferred_hours_take_the_place_of_business_hours_and_say_so() -> None:
    prospect = after(
        (MONDAY, added()), (MONDAY, PreferenceStated(hours="18:00-20:00")), spaced(MONDAY)
    )
    decision = next_touch(prospect, TIP8, MONDAY + 3 * DAY)
    assert (decision.verdict, decision.at) == (Verdict.WAIT, MONDAY + 3 * DAY + 8 * HOUR)
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
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, MONDAY + 3 * DAY + 2 * HOUR)
    assert caught.value.rule == Rule.BUSINESS_HOURS
    assert caught.value.until == MONDAY + 3 * DAY + 8 * HOUR


def test_preferred_hours_at_night_are_not_followed() -> None:
    prospect = after(
        (MONDAY, added()), (MONDAY, PreferenceStated(hours="22:00-23:30")), spaced(MONDAY)
    )
    assert next_touch(prospect, TIP8, MONDAY + 3 * DAY).verdict is Verdict.DUE


def test_a_task_is_escalated_once_its_deadline_has_passed_and_not_before() -> None:
    prospect = after((MONDAY, added()))
    deadline = MONDAY + 2 * DAY
    assert next_touch(prospect, TIP8, MONDAY).at == deadline
    assert reasons(next_touch(prospect, TIP8, deadline)) == [
        ("plan", "no attempt was made yet", (1,))
    ]
    late = next_touch(prospect, TIP8, deadline + MINUTE)
    assert late.at == deadline
    assert reasons(late)[1:] == [("forgotten", "the deadline has passed: escalate it", ())]


def test_a_deadline_runs_from_when_we_learnt_of_its_cause() -> None:
    late = (MONDAY + DAY, MONDAY + 10 * DAY, ReplyReceived(Channel("email")))
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
        (MONDAY + DAY, ReplyReceived(Channel("call"))),
    )
    decision = next_touch(prospect, TIP8, MONDAY + DAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + 3 * DAY)
    assert reasons(decision) == [("forgotten", "they responded after the follow-up was won", (3,))]
    assert len(reasons(next_touch(prospect, TIP8, MONDAY + 4 * DAY))) == 2
    answered = (MONDAY + 2 * DAY, AttemptMade(NO_ANSWER, AttemptStage.EXTRA))
    done = after(
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
        (MONDAY + DAY, ReplyReceived(Channel("call"))),
        answered,
    )
    assert next_touch(done, TIP8, MONDAY + 4 * DAY).verdict is Verdict.STOP


def test_a_stop_says_why_and_by_which_event() -> None:
    ended = after((MONDAY, added()), (MONDAY, FollowUpEnded(EndReason.DECLINED)))
    assert reasons(next_touch(ended, TIP8, MONDAY)) == [
        ("plan", "the follow-up is lost (declined)", (2,))
    ]
    gone = after((MONDAY, added()), (MONDAY, OptOutRequested()))
    decision = next_touch(gone, TIP8, MONDAY)
    assert (decision.verdict, decision.at, decision.touch) == (Verdict.STOP, None, None)
    assert reasons(decision) == [("opt_out", "they opted out of everything", (2,))]


def test_a_reopened_file_is_a_task_whose_deadline_notes_do_not_move() -> None:
    events: list[tuple[datetime, Data]] = [
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.DECLINED)),
        (MONDAY + DAY, FollowUpReopened("met again")),
        (MONDAY + 8 * DAY, PreferenceStated(Channel("email"))),
    ]
    decision = next_touch(after(*events), TIP8, MONDAY + 8 * DAY)
    assert (decision.task, decision.at) == (
        "find out whether they want to hear from us",
        MONDAY + 3 * DAY,
    )
    with pytest.raises(Refused) as caught:
        decide(after(*events), MakeAttempt(NO_ANSWER, is_strict=True), TIP8, MONDAY + 8 * DAY)
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
        "gaps never shrink, and the largest so far is 7 business days: "
        "+4 d to Fri 2026-11-20 10:00",
        (2,),
    )
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, first + 5 * DAY)
    assert caught.value.rule == Rule.GAP


def test_suspended_time_is_a_reason_of_its_own_with_what_it_added() -> None:
    prospect = after(
        (MONDAY, added()),
        spaced(MONDAY),
        (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MONDAY + 2 * DAY)),
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
    assert (kept.verdict, kept.at) == (Verdict.DUE, nine)
    set_before = (MONDAY, AppointmentSet(nine))
    waits = next_touch(after((MONDAY, added()), set_before, pause), TIP8, nine)
    assert (waits.verdict, waits.at) == (Verdict.WAIT, MONDAY + 7 * DAY)
    assert reasons(waits)[-1][0] == "suspended"
    on_time = (nine, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    soon = next_touch(after((MONDAY, added()), pause, set_in_it, on_time), TIP8, nine + MINUTE)
    assert soon.touch is not None
    assert (soon.touch.step, soon.at) == ("ten_minutes", nine + 10 * MINUTE)


def test_nothing_is_planned_before_a_standing_appointment() -> None:
    wrong = (Part(Channel("call"), Disposition.WRONG_NUMBER, "+1"),)
    far = MONDAY + 28 * DAY
    prospect = after(
        (MONDAY, added()),
        (MONDAY, AppointmentSet(far)),
        (MONDAY + DAY, AttemptMade(wrong, AttemptStage.EXTRA)),
    )
    decision = next_touch(prospect, TIP8, MONDAY + 10 * DAY)
    assert decision.at is not None
    assert decision.at > far


def test_an_attempt_before_an_appointment_is_an_extra_that_breaks_it_and_counts() -> None:
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
        if next_touch(prospect, TIP8, at).verdict is Verdict.WAIT:
            with pytest.raises(Refused):
                decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, at)


def test_the_refusal_says_what_is_proposed_instead() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY))
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(SENT, is_strict=True), TIP8, MONDAY + 3 * DAY)
    assert "the policy proposes spaced#2 by call now" in caught.value.what
    assert "--strict" in caught.value.hint


def test_an_exit_tried_everywhere_lets_the_owner_end_the_file() -> None:
    no_answer = AttemptMade(NO_ANSWER, AttemptStage.POLITE_EXIT, "polite_exit")
    prospect = after((MONDAY, added(CALL)), spaced(MONDAY), (MONDAY + 7 * DAY, no_answer))
    decision = next_touch(prospect, TIP8, MONDAY + 20 * DAY)
    assert (
        decision.task == "deliver the polite exit another way, or end the follow-up as unreachable"
    )
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
    assert (waiting.verdict, waiting.at, waiting.touch) == (Verdict.WAIT, answer, None)
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
    assert (closing.verdict, closing.at, closing.end) == (
        Verdict.CLOSE,
        answer,
        EndReason.NO_RESPONSE,
    )


def test_who_can_not_be_reached_is_closed_from_when_we_learnt_it() -> None:
    failed = (MONDAY + 2 * DAY, MONDAY + 4 * DAY, ContactPointFailed(Channel("call"), "+1"))
    prospect = after((MONDAY, added(CALL)), spaced(MONDAY), failed)
    decision = next_touch(prospect, TIP8, MONDAY + 9 * DAY)
    assert (decision.verdict, decision.at, decision.end) == (
        Verdict.CLOSE,
        MONDAY + 4 * DAY,
        EndReason.UNREACHABLE,
    )
    assert reasons(decision)[-1][2] == (3,)


def test_a_place_that_nobody_knows_is_a_task_and_never_an_exception() -> None:
    prospect = after((MONDAY, added(zones="Mars/Olympus")), spaced(MONDAY))
    decision = next_touch(prospect, TIP8, MONDAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + DAY)
    assert decision.task == "fix timezone: unknown time zone 'Mars/Olympus'"
    (made,) = decide(prospect, AttemptMade(NO_ANSWER), TIP8, MONDAY + DAY)
    assert isinstance(made, AttemptMade)
    assert made.gap is None


def test_zones_that_share_no_waking_hour_are_a_task_that_names_them() -> None:
    zones = ("UTC", "Asia/Tokyo", "America/Los_Angeles")
    decision = next_touch(after((MONDAY, added(zones=zones)), spaced(MONDAY)), TIP8, MONDAY)
    assert decision.verdict is Verdict.TASK
    assert "in every zone they may be in (UTC, Asia/Tokyo, America/Los_Angeles)" in (
        decision.reasons[0].because
    )


def test_a_policy_that_is_not_at_hand_is_a_task_until_the_file_ends() -> None:
    adopted = PolicyAdopted("ours", 3, "f" * 64)
    decision = decision_for(after((MONDAY, added()), (MONDAY, adopted)), PolicyRegistry(), MONDAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + DAY)
    assert decision.policy.name == "ours"
    assert "unknown policy ours version 3 (digest ffffffffffff…)" in decision.reasons[0].because
    gone = after((MONDAY, added()), (MONDAY, adopted), (MONDAY, OptOutRequested()))
    stopped = decision_for(gone, PolicyRegistry(), MONDAY)
    assert (stopped.verdict, stopped.policy.name) == (Verdict.STOP, "ours")


def test_after_a_no_an_own_attempt_is_refused_and_a_fact_is_an_extra() -> None:
    said_no = (MONDAY + DAY, ReplyReceived(Channel("email"), Intent.NO))
    prospect = after((MONDAY, added()), said_no)
    assert next_touch(prospect, TIP8, MONDAY + DAY).task == "end it, or agree otherwise"
    with pytest.raises(Refused):
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, MONDAY + DAY + HOUR)
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
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), plain, at - HOUR)
    assert caught.value.rule == Rule.APPOINTMENT
    (made,) = decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), plain, at)
    assert isinstance(made, AttemptMade)
    assert (made.stage, made.step) == (AttemptStage.SPACED, "spaced#1")
    later = fold(prospect, [Event("kim", 3, at, at, made)])
    assert later is not None
    assert later.stage is Stage.SPACED
    assert later.appointment is None


def test_values_made_in_python_are_checked_like_any_other() -> None:
    prospect = after((MONDAY, added()))
    with pytest.raises(InputError) as caught:
        decide(prospect, MakeAttempt((), is_strict=True), TIP8, MONDAY)
    assert caught.value.what.startswith("MakeAttempt: ")
    assert caught.value.hint == "use the table of events in the docs"
    with pytest.raises(InputError):
        decide(prospect, ContactPointFailed(Channel("call"), ""), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(prospect, SetAppointment(datetime(2026, 11, 3, 10)), TIP8, MONDAY)  # noqa: DTZ001  (naive on purpose)
    plain = Part("call", "no_answer", "+1")  # type: ignore[arg-type]  # plain words on purpose
    (made,) = decide(prospect, MakeAttempt((plain,), is_strict=True), TIP8, MONDAY)
    assert isinstance(made, AttemptMade)
    assert made.parts == NO_ANSWER
    assert made.parts[0].channel is Channel("call")


# What the fold keeps for these decisions ---------------------------------------------------------


def test_a_prospect_just_added_has_nothing_but_what_was_said() -> None:
    prospect = after((MONDAY, added()))
    assert (prospect.version, prospect.stage_at) == (1, MONDAY)
    assert not prospect.guidelines_agreed
    numbers = (
        prospect.reach.preference_version,
        prospect.policy_version,
        prospect.ending.reopened,
        prospect.ending.pending_response,
        prospect.ending.version,
        prospect.reach.failed_version,
        prospect.reach.opted_out_version,
    )
    assert numbers == (0,) * 7
    assert (
        prospect.reach.failed_at,
        prospect.ending.pending_response_at,
        prospect.ending.reopened_at,
    ) == (
        None,
        None,
        None,
    )


def test_the_appointment_that_was_kept_is_forgotten_with_the_next_contact() -> None:
    on_time = (MONDAY + DAY, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    kept = after((MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), on_time)
    assert kept.kept_appointment is not None
    assert kept.kept_appointment.at == MONDAY + DAY
    for later in (ReplyReceived(Channel("email")), OptOutRequested()):
        events = [(MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), on_time]
        assert after(*events, (MONDAY + 2 * DAY, later)).kept_appointment is None


def test_an_opt_out_and_an_end_leave_nothing_waiting() -> None:
    pause = (MONDAY + HOUR, PauseRequested(MONDAY + 9 * DAY))
    for last in (OptOutRequested(), FollowUpEnded(EndReason.DECLINED)):
        prospect = after((MONDAY, added()), pause, (MONDAY + DAY, last))
        assert (
            prospect.pause_until,
            prospect.ending.reopened,
            prospect.ending.pending_response,
        ) == (None, 0, 0)
        reopened = after(
            (MONDAY, added()),
            (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
            (MONDAY + HOUR, ReplyReceived(Channel("email"))),
            (MONDAY + DAY, FollowUpReopened("again")),
            (MONDAY + 2 * DAY, last),
        )
        assert (reopened.ending.reopened, reopened.ending.pending_response) == (0, 0)


def test_a_contact_after_the_end_waits_until_it_is_answered_or_the_file_is_taken_up() -> None:
    events: list[tuple[datetime, Data]] = [
        (MONDAY, added()),
        (MONDAY, FollowUpEnded(EndReason.BOUGHT)),
        (MONDAY + HOUR, ReplyReceived(Channel("email"))),
    ]
    waiting = after(*events)
    ending = waiting.ending
    assert (ending.pending_response, ending.pending_response_at) == (3, MONDAY + HOUR)
    connected = (Part(Channel("call"), Disposition.CONNECTED, "+1"),)
    for answer in (
        AttemptMade(NO_ANSWER, AttemptStage.EXTRA),
        AttemptMade(connected, AttemptStage.EXTRA),
        FollowUpEnded(EndReason.BOUGHT),
        FollowUpReopened("again"),
    ):
        assert after(*events, (MONDAY + DAY, answer)).ending.pending_response == 0


def test_a_reopening_says_when_and_by_which_event() -> None:
    ended = (MONDAY, FollowUpEnded(EndReason.DECLINED))
    prospect = after((MONDAY, added()), ended, (MONDAY + DAY, FollowUpReopened("again")))
    assert (prospect.ending.reopened, prospect.ending.reopened_at) == (3, MONDAY + DAY)
    assert (prospect.ending.reason, prospect.ending.version) == (None, 2)


def test_what_happens_at_the_very_time_of_a_contact_came_before_it() -> None:
    at = MONDAY + DAY
    prospect = after((MONDAY, added()), spaced(at), (at, ReplyReceived(Channel("email"))))
    assert prospect.silence.attempts == ()
    away = (at, AutoReplyReceived(Channel("email"), at + DAY))
    told = after((MONDAY, added()), away, (at, ReplyReceived(Channel("email"))))
    assert told.silence.suspensions == ()
    later = after((MONDAY, added()), (at, ReplyReceived(Channel("email"))), away)
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
    sms = (MONDAY + 2 * DAY, OptOutRequested(Channel("sms")))
    email = (MONDAY + DAY, MONDAY + 3 * DAY, OptOutRequested(Channel("email")))
    prospect = after((MONDAY, added(CALL, EMAIL, SMS)), sms, email)
    assert (prospect.reach.opted_out_at, prospect.reach.opted_out_version) == (MONDAY + 2 * DAY, 3)
    assert prospect.reach.failed_at == MONDAY + 3 * DAY


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
    calendar = calendar_for(after((MONDAY, added())), TIP8)
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
    calendar = calendar_for(after((MONDAY, added())), TIP8)
    midnight = MONDAY.replace(hour=0)
    asked, found = (midnight + timedelta(hours=h, minutes=m, seconds=s) for h, m, s in (at, wakes))
    assert calendar.next_waking(asked) == found


def test_the_same_time_of_day_is_the_same_to_the_second() -> None:
    calendar = calendar_for(after((MONDAY, added())), TIP8)
    at = MONDAY + timedelta(minutes=12, seconds=34, microseconds=56)
    assert calendar.after_business_days(at, 1) == at + DAY


# Commands and facts, one by one -------------------------------------------------------------------


def recorded(prospect: Prospect, at: datetime, parts: tuple[Part, ...] = NO_ANSWER) -> AttemptMade:
    (made,) = decide(prospect, AttemptMade(parts), TIP8, at)
    assert isinstance(made, AttemptMade)
    return made


def test_a_prospect_is_added_once_and_with_values_that_can_be() -> None:
    with pytest.raises(Refused):
        decide(after((MONDAY, added())), added(), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(None, ReplyReceived(Channel("call")), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(None, ProspectAdded("Kim", ()), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(None, ProspectAdded("Kim", "UTC", subdivision="CA"), TIP8, MONDAY)
    with pytest.raises(InputError):
        decide(after((MONDAY, added())), PreferenceStated(hours="late"), TIP8, MONDAY)
    assert decide(after((MONDAY, added())), PreferenceStated(Channel("sms")), TIP8, MONDAY) == (
        PreferenceStated(Channel("sms")),
    )


def test_after_the_end_an_attempt_is_an_extra_that_says_what_it_broke() -> None:
    won = after((MONDAY, added()), (MONDAY, FollowUpEnded(EndReason.BOUGHT)))
    made = recorded(won, MONDAY + DAY)
    assert (made.stage, made.step, made.broke) == (AttemptStage.EXTRA, None, ("plan",))
    closed = after((MONDAY, added()), (MONDAY, FollowUpEnded(EndReason.NO_RESPONSE)))
    assert recorded(closed, MONDAY + DAY).broke == ("polite_exit",)
    gone = after((MONDAY, added()), (MONDAY, OptOutRequested()))
    assert recorded(gone, MONDAY + DAY).broke == ("opt_out",)


def test_nothing_may_follow_the_exit_while_their_answer_is_awaited() -> None:
    exit_ = AttemptMade(SENT, AttemptStage.POLITE_EXIT, "polite_exit")
    prospect = after((MONDAY, added()), spaced(MONDAY), (MONDAY + 3 * DAY, exit_))
    made = recorded(prospect, MONDAY + 4 * DAY)
    assert (made.stage, made.broke) == (AttemptStage.EXTRA, ("polite_exit", "gap"))


def test_an_attempt_while_they_are_away_says_so() -> None:
    away = (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MONDAY + 9 * DAY))
    prospect = after((MONDAY, added()), spaced(MONDAY), away)
    made = recorded(prospect, MONDAY + 2 * DAY)
    assert (made.stage, made.step) == (AttemptStage.SPACED, "spaced#2")
    assert made.broke == ("plan", "suspended")


def test_one_part_on_a_failed_contact_point_is_enough() -> None:
    failed = (MONDAY, ContactPointFailed(Channel("email"), "j@x"))
    made = recorded(after((MONDAY, added()), failed), MONDAY + HOUR, (*NO_ANSWER, *SENT))
    assert made.broke == ("contact_point",)


def test_an_attempt_outside_business_hours_says_so_and_at_night_that_it_was_quiet() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY))
    evening, night = MONDAY + 3 * DAY + 8 * HOUR, MONDAY + 3 * DAY + 12 * HOUR
    assert recorded(prospect, evening).broke == ("business_hours",)
    assert recorded(prospect, night).broke == ("quiet_hours", "business_hours")


def test_an_owners_own_attempts_are_counted_on_from_those_learnt_of_before() -> None:
    response = (MONDAY + HOUR, MONDAY + 2 * DAY, ReplyReceived(Channel("email")))
    prospect = after((MONDAY, added()), spaced(MONDAY + DAY), response)
    assert prospect.stage is Stage.ENGAGED
    made = recorded(prospect, MONDAY + 3 * DAY)
    assert (made.stage, made.step, made.gap) == (AttemptStage.SPACED, "spaced#2", None)
    assert made.broke == ()


def test_a_value_is_used_with_a_spaced_call_and_with_no_other() -> None:
    noted = (MONDAY, ValueNoted("value-1", "a drawing", ValueKind.PERSONAL))
    (own,) = decide(
        after((MONDAY, added()), noted), MakeAttempt(NO_ANSWER, is_strict=True), TIP8, MONDAY + HOUR
    )
    assert isinstance(own, AttemptMade)
    assert own.value == "value-1"
    set_ = (MONDAY, AppointmentSet(MONDAY + DAY))
    prospect = after((MONDAY, added()), noted, set_)
    (on_time,) = decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), TIP8, MONDAY + DAY)
    assert isinstance(on_time, AttemptMade)
    assert (on_time.stage, on_time.value) == (AttemptStage.ON_TIME, None)


def test_only_what_has_ended_is_reopened_and_only_what_stands_is_cancelled() -> None:
    prospect = after((MONDAY, added()))
    for command in (ReopenFollowUp("why not"), CancelAppointment()):
        with pytest.raises(Refused):
            decide(prospect, command, TIP8, MONDAY)
    gone = after((MONDAY, added()), (MONDAY, OptOutRequested()))
    with pytest.raises(Refused) as caught:
        decide(gone, ReopenFollowUp("why not"), TIP8, MONDAY)
    assert caught.value.rule == Rule.OPT_OUT


def test_closing_before_an_exit_was_delivered_names_no_time_to_wait_for() -> None:
    with pytest.raises(Refused) as caught:
        decide(after((MONDAY, added())), EndFollowUp(EndReason.NO_RESPONSE), TIP8, MONDAY)
    assert (caught.value.rule, caught.value.until) == (Rule.POLITE_EXIT, None)


def test_who_has_no_phone_at_an_appointment_is_a_task_by_its_time() -> None:
    at = MONDAY + 9 * DAY
    for points in ((EMAIL,), ()):
        events = (MONDAY, ProspectAdded("Kim", "UTC", contact_points=points))
        prospect = after(events, (MONDAY, AppointmentSet(at)))
        decision = next_touch(prospect, TIP8, MONDAY)
        assert (decision.verdict, decision.at) == (Verdict.TASK, at)
        assert decision.task == "reach them another way, add a contact point, or end the follow-up"
    only_email = after((MONDAY, added(EMAIL)), (MONDAY, PauseRequested(MONDAY + 2 * DAY)))
    paused = next_touch(only_email, TIP8, MONDAY + 3 * DAY)
    assert (paused.verdict, paused.at) == (Verdict.TASK, MONDAY + 4 * DAY)


def test_steps_passed_over_for_one_reason_are_named_together() -> None:
    failed = (MONDAY + HOUR, ContactPointFailed(Channel("call"), "+1"))
    prospect = after((MONDAY, added()), spaced(MONDAY), failed)
    names = "spaced#2, spaced#3, spaced#4, spaced#5, spaced#6"
    assert reasons(next_touch(prospect, TIP8, MONDAY + 2 * HOUR))[-1] == (
        "contact_point",
        f"{names} skipped: no contact point is left for call",
        (3,),
    )


def test_a_holiday_in_the_way_is_named() -> None:
    christmas = datetime(2026, 12, 22, 18, 0, tzinfo=UTC)
    american = ProspectAdded("Kim", "America/New_York", "US", "NY", (CALL, EMAIL))
    prospect = after((christmas - DAY, american), spaced(christmas))
    assert reasons(next_touch(prospect, TIP8, christmas))[0][1] == (
        "3 business days after the attempt of Tue 2026-12-22 13:00, not counting "
        "Christmas Day (2026-12-25): Mon 2026-12-28 13:00"
    )
    due = next_touch(
        after((christmas - 7 * DAY, american), spaced(christmas - 7 * DAY)),
        TIP8,
        datetime(2026, 12, 25, 18, 0, tzinfo=UTC),
    )
    assert reasons(due)[-1][1] == (
        "outside business hours (Christmas Day): +2 d 20 h to Mon 2026-12-28 09:00"
    )


def test_what_is_overdue_says_by_how_much() -> None:
    prospect = after((MONDAY, added()), spaced(MONDAY))
    due = next_touch(prospect, TIP8, MONDAY + 3 * DAY + 59 * MINUTE)
    assert len(reasons(due)) == 1
    late = next_touch(prospect, TIP8, MONDAY + 4 * DAY + HOUR)
    assert reasons(late)[1][1] == "overdue by 1 d 1 h; the gaps after it grow with it"
    missed = after((MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)))
    said = reasons(next_touch(missed, TIP8, MONDAY + DAY + 20 * MINUTE))
    assert said[1][1] == "the appointment was missed by 20 min; it stays due, and says so"


def test_a_lapsed_step_says_between_when_it_was_to_be_made() -> None:
    on_time = (MONDAY + DAY, AttemptMade(NO_ANSWER, AttemptStage.ON_TIME, "on_time"))
    prospect = after((MONDAY, added()), (MONDAY, AppointmentSet(MONDAY + DAY)), on_time)
    decision = next_touch(prospect, TIP8, MONDAY + DAY + 26 * MINUTE)
    assert decision.at == MONDAY + DAY + 250 * MINUTE
    assert reasons(decision)[-1] == (
        "lapsed",
        "ten_minutes was to be made between Tue 2026-11-03 10:10 and 10:25; "
        "it is too late to be exact",
        (3,),
    )
    assert next_touch(prospect, TIP8, MONDAY + DAY + 25 * MINUTE).verdict is Verdict.DUE


def test_the_last_word_sent_before_a_pause_was_known_leaves_it_to_the_owner() -> None:
    exit_ = (MONDAY + 3 * DAY, AttemptMade(SENT, AttemptStage.POLITE_EXIT, "polite_exit"))
    pause = (MONDAY + DAY, MONDAY + 4 * DAY, PauseRequested(MONDAY + 9 * DAY))
    decision = next_touch(after((MONDAY, added()), spaced(MONDAY), exit_, pause), TIP8, MONDAY)
    assert decision.task == "agree the next step"
    later = (MONDAY + 3 * DAY, AttemptMade(NO_ANSWER, AttemptStage.EXTRA))
    waiting = next_touch(after((MONDAY, added()), spaced(MONDAY), later, pause), TIP8, MONDAY)
    assert waiting.verdict is Verdict.WAIT
