"""What comes next, at the edges: by when, from when on, in which words, and what is passed over."""

from datetime import date, timedelta

import msgspec
import pytest
from histories import (
    CALL,
    DAY,
    EMAIL,
    HOUR,
    MAIL,
    MINUTE,
    MONDAY,
    SENT,
    SMS,
    TIP8,
    Happened,
    added,
    after,
    attempt,
    policy,
    reasons,
)

from cadence.domain import (
    AppointmentSet,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointFailed,
    Disposition,
    EndReason,
    FollowUpEnded,
    Gap,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PreferenceStated,
    ReplyReceived,
)
from cadence.engine import Decision, Verdict, next_touch
from cadence.policy.model import Calendar
from cadence.worktime.calendar import work_calendar
from cadence.worktime.hours import WEEKDAYS

EXTRA, EXIT = AttemptStage.EXTRA, AttemptStage.POLITE_EXIT
ON_TIME, TEN = AttemptStage.ON_TIME, AttemptStage.TEN_MINUTES
CALLS = """
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
times = 4
parts = [{ channels = ["call"], script = "spaced" }]
"""


def step(decision: Decision) -> str | None:
    return None if decision.touch is None else decision.touch.step


def said(decision: Decision) -> list[tuple[str, str]]:
    return [(rule, because) for rule, because, _ in reasons(decision)]


# After the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "task", "because"),
    [
        (
            FollowUpEnded(EndReason.BOUGHT),
            "they wrote or called: answer, reopen the follow-up, or leave it ended",
            "they responded after the follow-up was won",
        ),
        (
            FollowUpEnded(EndReason.DECEASED),
            "they wrote or called: answer, reopen the follow-up, or leave it ended",
            "they responded after the follow-up was lost",
        ),
        (
            OptOutRequested(),
            "they responded: record an opt-in if they gave one, or end the follow-up",
            "they responded after the follow-up was opted out",
        ),
    ],
)
def test_who_contacts_us_after_the_end_is_a_task_that_says_what_may_be_done(
    end: FollowUpEnded | OptOutRequested, task: str, because: str
) -> None:
    wrote = (MONDAY + DAY, ReplyReceived(Channel("email")))
    decision = next_touch(after(added(), (MONDAY, end), wrote), TIP8, MONDAY + DAY)
    assert (decision.verdict, decision.task) == (Verdict.TASK, task)
    assert reasons(decision) == [("forgotten", because, (3,))]


def test_the_owner_has_until_the_deadline_and_not_a_minute_longer_also_after_the_end() -> None:
    wrote = (MONDAY + DAY, ReplyReceived(Channel("email")))
    prospect = after(added(), (MONDAY, FollowUpEnded(EndReason.BOUGHT)), wrote)
    deadline = MONDAY + 3 * DAY
    assert len(reasons(next_touch(prospect, TIP8, deadline))) == 1
    assert said(next_touch(prospect, TIP8, deadline + MINUTE))[1] == (
        "forgotten",
        "the deadline has passed: escalate it",
    )


def test_a_contact_after_the_end_is_looked_at_from_when_we_learnt_of_it() -> None:
    wrote = (MONDAY + DAY, MONDAY + 8 * DAY, ReplyReceived(Channel("email")))
    prospect = after(added(), (MONDAY, FollowUpEnded(EndReason.BOUGHT)), wrote)
    assert next_touch(prospect, TIP8, MONDAY + 8 * DAY).at == MONDAY + 10 * DAY


def test_where_nobody_knows_the_calendar_the_owners_time_is_plain_days() -> None:
    wrote = (MONDAY + 4 * DAY, ReplyReceived(Channel("email")))
    prospect = after(added(zones="Mars/Olympus"), (MONDAY, FollowUpEnded(EndReason.BOUGHT)), wrote)
    decision = next_touch(prospect, TIP8, MONDAY + 4 * DAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + 6 * DAY)


# Before anything was tried ------------------------------------------------------------------------


def test_a_spaced_call_made_before_a_pause_was_known_is_followed_by_the_next_one() -> None:
    pause = (MONDAY + DAY, MONDAY + 4 * DAY, PauseRequested(MONDAY + 9 * DAY))
    call = attempt(MONDAY + 3 * DAY)
    decision = next_touch(after(added(), call, pause), TIP8, MONDAY + 4 * DAY)
    assert (decision.verdict, step(decision), decision.at) == (
        Verdict.WAIT,
        "spaced#2",
        MONDAY + 9 * DAY,
    )


def test_an_unreachable_prospect_is_a_task_until_the_appointment_then_closed() -> None:
    meeting = MONDAY + 9 * DAY
    failed = (MONDAY + DAY, ContactPointFailed(Channel("call"), "+1"))
    prospect = after(added(CALL), (MONDAY, AppointmentSet(meeting)), failed)
    before = next_touch(prospect, TIP8, meeting - MINUTE)
    assert (before.verdict, before.at) == (Verdict.TASK, meeting)
    then = next_touch(prospect, TIP8, meeting)
    assert (then.verdict, then.at, then.end) == (Verdict.CLOSE, meeting, EndReason.UNREACHABLE)


def test_who_can_not_be_called_after_a_pause_is_a_task_counted_from_its_end() -> None:
    pause = (MONDAY, PauseRequested(MONDAY + 2 * DAY + 3 * HOUR))
    decision = next_touch(after(added(EMAIL), pause), TIP8, MONDAY + 3 * DAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + 4 * DAY + 3 * HOUR)
    assert [rule for rule, _ in said(decision)] == ["contact_point", "contact_point"]


# What is passed over ------------------------------------------------------------------------------


def test_what_lateness_cost_is_said_with_every_name_once() -> None:
    prospect = after(added(), attempt(MONDAY), attempt(MONDAY + 3 * DAY, gap=Gap(3, 0)))
    decision = next_touch(prospect, TIP8, MONDAY + 100 * DAY)
    assert (decision.verdict, step(decision)) == (Verdict.DUE, "polite_exit")
    assert decision.at == MONDAY + 8 * DAY
    assert reasons(decision) == [
        (
            "plan",
            "3 business days after the attempt of Thu 2026-11-05 10:00: Tue 2026-11-10 10:00",
            (3,),
        ),
        ("plan", "overdue by 92 d; the gaps after it grow with it", ()),
        (
            "horizon",
            "lateness cost 4 touches (spaced#3, spaced#4, spaced#5, spaced#6): "
            "they would fall behind the horizon of 45 business days of silence",
            (2,),
        ),
    ]


def test_what_replaces_a_touch_that_came_too_late_does_not_come_before_it() -> None:
    slow = policy(CALLS.replace("= 3", "= 5").replace("times = 4", "times = 2"), horizon=5)
    prospect = after(added(), attempt(MONDAY))
    assert step(next_touch(prospect, slow, MONDAY + 7 * DAY)) == "spaced#2"
    late = next_touch(prospect, slow, MONDAY + 8 * DAY)
    assert (step(late), late.at) == ("polite_exit", MONDAY + 7 * DAY)
    assert said(late)[:2] == [
        (
            "plan",
            "3 business days after the attempt of Mon 2026-11-02 10:00: Thu 2026-11-05 10:00",
        ),
        ("horizon", "not before spaced#2, which it replaces: +4 d"),
    ]
    assert reasons(late)[1][2] == (2,)  # what spaced#2 was planned from
    assert said(late)[-1] == (
        "horizon",
        "lateness cost 1 touch (spaced#2): they would fall behind the horizon of "
        "5 business days of silence",
    )


def test_what_replaces_a_touch_says_what_delays_both() -> None:
    """The ratchet holds the exit as long as the call that it replaces, and is its reason."""
    calls = policy(CALLS, horizon=16)
    prospect = after(
        added(),
        attempt(MONDAY),
        attempt(MONDAY + 14 * DAY, gap=Gap(10, 0)),
        attempt(MONDAY + 14 * DAY + HOUR, EXTRA),
    )
    late = next_touch(prospect, calls, MONDAY + 15 * DAY)
    assert (step(late), late.at) == ("polite_exit", MONDAY + 28 * DAY + HOUR)
    assert [one for one in reasons(late) if one[0] in ("gap", "lapsed")] == [
        (
            "gap",
            "gaps never shrink, and the largest so far is 10 business days: "
            "+11 d to Mon 2026-11-30 11:00",
            (3, 4),
        )
    ]
    assert said(late)[-1][1].startswith("lateness cost")


def test_what_an_absence_adds_to_the_ratchet_is_not_the_ratchets() -> None:
    away = AutoReplyReceived(Channel("email"), MONDAY + 30 * DAY)
    prospect = after(
        added(),
        attempt(MONDAY),
        attempt(MONDAY + 14 * DAY, gap=Gap(10, 0)),
        (MONDAY + 20 * DAY, away),
    )
    decision = next_touch(prospect, policy(CALLS), MONDAY + 21 * DAY)
    assert decision.at == MONDAY + 38 * DAY
    assert reasons(decision)[1:] == [
        (
            "gap",
            "gaps never shrink, and the largest so far is 10 business days: "
            "+11 d to Mon 2026-11-30 10:00",
            (3,),
        ),
        (
            "suspended",
            "suspended time does not count towards the gap: +10 d to Thu 2026-12-10 10:00",
            (4,),
        ),
    ]


def test_an_exact_touch_kept_from_its_time_names_the_rule_and_is_not_late() -> None:
    evening = MONDAY + 10 * HOUR + 55 * MINUTE  # 20:55
    kept = after(added(), (MONDAY, AppointmentSet(evening)), attempt(evening, ON_TIME))
    quiet = next_touch(kept, TIP8, evening)
    assert step(quiet) == "half_day"
    assert said(quiet)[-2:] == [
        (
            "lapsed",
            "ten_minutes was to be made between Mon 2026-11-02 21:05 and 21:20; it is kept from "
            "that",
        ),
        ("quiet_hours", "quiet hours, 21:00 to 08:00 local: +10 h 55 min to Tue 2026-11-03 08:00"),
    ]
    gone = (MONDAY + 5 * MINUTE, AutoReplyReceived(Channel("email"), MONDAY + 2 * DAY))
    away = after(added(), (MONDAY, AppointmentSet(MONDAY)), attempt(MONDAY, ON_TIME), gone)
    held = reasons(next_touch(away, TIP8, MONDAY + 5 * MINUTE))
    assert held[-2][1].endswith("it is kept from that")
    assert (held[-1][0], held[-1][2]) == ("suspended", (4,))
    late = next_touch(kept, TIP8, evening + 26 * MINUTE)
    assert said(late)[-1][1].endswith("it is too late to be exact")


def test_the_horizon_is_counted_in_business_days_of_silence_and_is_not_behind_itself() -> None:
    ten = policy(CALLS, horizon=10)
    prospect = after(added(), attempt(MONDAY), attempt(MONDAY + 8 * DAY, gap=Gap(6, 0)))
    assert step(next_touch(prospect, ten, MONDAY + 8 * DAY)) == "polite_exit"
    within = after(added(), attempt(MONDAY), attempt(MONDAY + 7 * DAY, gap=Gap(5, 0)))
    assert next_touch(within, ten, MONDAY + 7 * DAY).at == MONDAY + 14 * DAY
    assert step(next_touch(within, ten, MONDAY + 14 * DAY)) == "spaced#3"


def test_no_calendar_passes_the_horizon_in_the_time_that_is_not_counted() -> None:
    """A business day more may begin soon after that time, also where clocks go forward."""
    open_days = dict.fromkeys(WEEKDAYS, ("09:00-17:00",))
    for horizon in (1, 4, 10, 11):
        limited = msgspec.structs.replace(
            TIP8, calendar=Calendar(**open_days), horizon_business_days=horizon
        )
        time = work_calendar(limited.open_times, ("America/New_York",), None, None)
        starts = [MONDAY + 120 * DAY + number * HOUR for number in range(24 * 21)]
        assert not any(time.is_beyond(at, horizon, at + limited.horizon) for at in starts)
        assert any(time.is_beyond(at, horizon, at + limited.horizon + 2 * DAY) for at in starts)


TOGETHER = """
[[steps]]
id = "both"
stage = "spaced"
after = { business_days = 3 }
times = 6
parts = [
    { channels = ["email"], script = "spaced" },
    { channels = ["call"], script = "spaced" },
]
"""


def test_a_touch_with_a_call_among_its_parts_is_beyond_the_cap_too() -> None:
    together = policy(TOGETHER)
    extras = [attempt(MONDAY + n * HOUR, EXTRA, gap=Gap(0, 60)) for n in range(1, 6)]
    prospect = after(added(), attempt(MONDAY), *extras)
    decision = next_touch(prospect, together, MONDAY + 3 * DAY)
    assert step(decision) == "polite_exit"
    assert reasons(decision)[-1] == (
        "spaced_cap",
        "both#2, both#3, both#4, both#5, both#6 skipped: "
        "6 spaced calls were made; no more than 6 in a silence",
        (2, 3, 4, 5, 6, 7),
    )


def test_a_step_that_requires_more_attempts_is_skipped_and_says_how_many_it_had() -> None:
    needs = policy("""
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "letter"
stage = "nurture"
after = { business_days = 3 }
requires = { attempts = 3 }
parts = [{ channels = ["email"], script = "nurture" }]
""")
    two = [added(), attempt(MONDAY), attempt(MONDAY + HOUR, EXTRA)]
    decision = next_touch(after(*two), needs, MONDAY + DAY)
    assert step(decision) == "polite_exit"
    assert reasons(decision)[-1] == (
        "plan",
        "letter skipped: it requires 3 attempts; 2 were made",
        (2, 3),
    )
    three = after(*two, attempt(MONDAY + 2 * HOUR, EXTRA))
    assert step(next_touch(three, needs, MONDAY + DAY)) == "letter"


def test_steps_passed_over_are_grouped_by_reason_and_only_with_their_neighbours() -> None:
    mixed = policy("""
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 3
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "text"
stage = "nurture"
after = { business_days = 2 }
times = 2
parts = [{ channels = ["sms"], script = "nurture" }]
[[steps]]
id = "either"
stage = "nurture"
after = { business_days = 2 }
times = 2
parts = [{ channels = ["call", "mail"], script = "nurture" }]
""")
    gone = (MONDAY, OptOutRequested(Channel("call")))
    decision = next_touch(after(added(), attempt(MONDAY), gone), mixed, MONDAY + DAY)
    assert step(decision) == "polite_exit"
    assert reasons(decision)[1:] == [
        ("opt_out", "spaced#2, spaced#3 skipped: they opted out of call", (3,)),
        (
            "contact_point",
            "text#1, text#2 skipped: no contact point is left for sms",
            (3,),
        ),
        ("opt_out", "either#1, either#2 skipped: they opted out of call, mail", (3,)),
    ]


# From when on -------------------------------------------------------------------------------------


def test_a_plan_counts_from_the_attempt_made_at_the_very_time_of_the_appointment() -> None:
    meeting = MONDAY + 2 * DAY
    prospect = after(added(EMAIL), (MONDAY, AppointmentSet(meeting)), attempt(meeting, EXTRA, SENT))
    assert prospect.appointment is not None
    assert said(next_touch(prospect, TIP8, meeting))[0] == (
        "plan",
        "3 business days after the attempt of Wed 2026-11-04 10:00: Mon 2026-11-09 10:00",
    )
    early = after(
        added(EMAIL), (MONDAY, AppointmentSet(meeting)), attempt(meeting - MINUTE, EXTRA, SENT)
    )
    assert said(next_touch(early, TIP8, meeting))[0] == (
        "plan",
        "3 business days after the appointment of Wed 2026-11-04 10:00: Mon 2026-11-09 10:00",
    )


EXACTLY = """
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
[[steps]]
id = "ten_minutes"
stage = "ten_minutes"
after = { minutes = 10 }
within = { minutes = 15 }
parts = [{ channels = ["call"], script = "ten_minutes" }]
[[steps]]
id = "half_day"
stage = "half_day"
after = { hours = 4 }
within = { minutes = 60 }
parts = [{ channels = ["call"], script = "half_day" }]
"""


def kept(*others: Happened) -> list[Happened]:
    """Called at the appointment of Monday at 10:00."""
    return [added(), (MONDAY, AppointmentSet(MONDAY)), attempt(MONDAY, ON_TIME), *others]


def test_a_step_that_lapsed_anchors_the_next_unless_something_was_done_since() -> None:
    then = EXACTLY.partition('[[steps]]\nid = "half_day"')[0] + CALLS
    lapsing = policy(then)
    now = MONDAY + HOUR
    planned = next_touch(after(*kept()), lapsing, now)
    assert (step(planned), planned.at) == ("spaced#1", MONDAY + 3 * DAY + 10 * MINUTE)
    assert said(planned)[0][1] == (
        "3 business days after the time planned for the touch that lapsed, "
        "Mon 2026-11-02 10:10: Thu 2026-11-05 10:10"
    )
    at_that_time = attempt(MONDAY + 10 * MINUTE, EXTRA, SENT)
    assert said(next_touch(after(*kept(at_that_time)), lapsing, now))[0][1] == (
        "3 business days after the attempt of Mon 2026-11-02 10:10: Thu 2026-11-05 10:10"
    )


def test_what_is_late_only_because_of_suspended_time_does_not_lapse() -> None:
    away = (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MONDAY + 2 * HOUR))
    prospect = after(*kept(attempt(MONDAY + 10 * MINUTE, TEN, gap=Gap(0, 10)), away))
    exact = policy(EXACTLY)
    planned = MONDAY + 5 * HOUR + 10 * MINUTE
    found = [
        (step(next_touch(prospect, exact, planned + late)), late)
        for late in (timedelta(), HOUR, HOUR + MINUTE)
    ]
    assert found == [("half_day", timedelta()), ("half_day", HOUR), ("polite_exit", HOUR + MINUTE)]


# A rule that moves nothing is no reason -----------------------------------------------------------


def adopted(not_before_days: int) -> Decision:
    ref = (MONDAY, PolicyAdopted("tip8", 1, TIP8.digest, MONDAY + not_before_days * DAY))
    return next_touch(after(added(), attempt(MONDAY), ref), TIP8, MONDAY)


def test_a_promised_time_is_a_reason_only_where_it_is_later_than_the_plan() -> None:
    assert adopted(4).at == MONDAY + 4 * DAY
    assert reasons(adopted(4))[1:] == [
        ("plan", "promised for Fri 2026-11-06 10:00 when the policy was adopted", (3,))
    ]
    for days in (2, 3):
        assert adopted(days).at == MONDAY + 3 * DAY
        assert len(reasons(adopted(days))) == 1


FIRST_DAY = """
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]

[[steps]]
id = "ten_minutes"
stage = "ten_minutes"
after = { minutes = 10 }
parts = [{ channels = ["call"], script = "ten_minutes" }]

[[steps]]
id = "half_day"
stage = "half_day"
after = { hours = 2 }
parts = [{ channels = ["call"], script = "half_day" }]
"""


def test_a_gap_is_a_reason_only_where_the_plan_alone_would_shrink_it() -> None:
    first_day = policy(FIRST_DAY)

    def half_day(minutes: int) -> Decision:
        made = [
            (MONDAY, AppointmentSet(MONDAY)),
            attempt(MONDAY, ON_TIME),
            attempt(MONDAY + minutes * MINUTE, TEN, gap=Gap(0, minutes)),
        ]
        return next_touch(after(added(), *made), first_day, MONDAY + 2 * HOUR)

    assert half_day(120).at == MONDAY + 4 * HOUR
    assert len(reasons(half_day(120))) == 1
    assert half_day(121).at == MONDAY + 4 * HOUR + 2 * MINUTE
    assert reasons(half_day(121))[1] == (
        "gap",
        "gaps never shrink, and the largest so far is 121 minutes: +1 min to Mon 2026-11-02 14:02",
        (4,),
    )


CARING = (
    CALLS
    + """
[[steps]]
id = "concern"
stage = "concern"
after = { business_days = 2 }
parts = [{ channels = ["email"], script = "concern" }]
"""
)


def test_the_21_days_are_a_reason_only_where_the_plan_alone_would_come_before() -> None:
    caring = policy(CARING)

    def asked(last: int) -> Decision:
        calls = [
            attempt(MONDAY + day * DAY, gap=Gap(1, 0) if day else None) for day in (0, 1, 2, 3)
        ]
        calls.append(attempt(MONDAY + last * DAY, EXTRA, gap=Gap(1, 0)))
        return next_touch(after(added(), *calls), caring, MONDAY + last * DAY)

    assert (step(asked(17)), asked(17).at) == ("concern", MONDAY + 21 * DAY)
    assert [rule for rule, _ in said(asked(17))] == ["plan"]
    assert asked(16).at == MONDAY + 21 * DAY
    assert reasons(asked(16))[-1] == (
        "concern",
        "21 days after the first attempt of the silence: +3 d",
        (2,),
    )


def test_required_days_are_counted_from_the_first_attempt() -> None:
    waiting = policy("""
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 2
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "letter"
stage = "nurture"
after = { business_days = 1 }
requires = { days = 10 }
parts = [{ channels = ["email"], script = "nurture" }]
""")
    calls = [attempt(MONDAY), attempt(MONDAY + DAY, gap=Gap(1, 0))]
    decision = next_touch(after(added(), *calls), waiting, MONDAY + DAY)
    assert (step(decision), decision.at) == ("letter", MONDAY + 10 * DAY)
    assert reasons(decision)[-2] == (
        "plan",
        "10 days after the first attempt of the silence: +8 d",
        (2,),
    )


# How late -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late", "because"),
    [
        (59 * MINUTE, None),
        (HOUR, "overdue by 1 h; the gaps after it grow with it"),
        (HOUR + MINUTE, "overdue by 1 h 1 min; the gaps after it grow with it"),
    ],
)
def test_a_touch_is_overdue_after_an_hour(late: timedelta, because: str | None) -> None:
    decision = next_touch(after(added(), attempt(MONDAY)), TIP8, MONDAY + 3 * DAY + late)
    assert [why for _, why in said(decision)][1:] == ([] if because is None else [because])


@pytest.mark.parametrize(("seconds", "missed"), [(0, False), (59, False), (60, True), (61, True)])
def test_an_appointment_is_missed_after_a_minute(seconds: int, missed: bool) -> None:
    meeting = MONDAY + DAY
    prospect = after(added(), (MONDAY, AppointmentSet(meeting)))
    decision = next_touch(prospect, TIP8, meeting + timedelta(seconds=seconds))
    assert decision.verdict is Verdict.DUE
    assert any("was missed by" in why for _, why in said(decision)) == missed


def test_a_touch_that_was_not_made_in_time_waits_for_the_next_opening() -> None:
    decision = next_touch(after(added(), attempt(MONDAY)), TIP8, MONDAY + 3 * DAY + 8 * HOUR)
    assert (decision.verdict, decision.at) == (Verdict.WAIT, MONDAY + 4 * DAY - HOUR)
    assert said(decision)[1:] == [
        ("business_hours", "outside business hours: +15 h to Fri 2026-11-06 09:00")
    ]


# No open time -------------------------------------------------------------------------------------

MONTHS = (
    "closed = [" + ", ".join(str(date(2026, 11, 3) + timedelta(days=n)) for n in range(60)) + "]"
)


def test_a_touch_without_an_open_time_is_a_task_that_says_where_it_was_looked_for() -> None:
    shut = policy(CALLS.replace("business_days = 3", "hours = 24"), calendar=MONTHS)
    prospect = after(added(), attempt(MONDAY))
    decision = next_touch(prospect, shut, MONDAY)
    assert (decision.verdict, decision.touch) == (Verdict.TASK, None)
    assert decision.task == "find a time for spaced#2, or find out more about their hours"
    because = "spaced#2 finds no open time within 30 days of Tue 2026-11-03 10:00"
    assert said(decision) == [("forgotten", because)]
    prefers = (MONDAY, PreferenceStated(hours="10:00-12:00"))
    assert said(next_touch(after(added(), prefers, attempt(MONDAY)), shut, MONDAY)) == [
        ("forgotten", f"{because}, within the hours they prefer (10:00-12:00)")
    ]
    zones = added(zones=("UTC", "Europe/London"))
    assert said(next_touch(after(zones, attempt(MONDAY)), shut, MONDAY)) == [
        ("forgotten", f"{because}, in every zone they may be in (UTC, Europe/London)")
    ]


def test_an_exit_without_an_open_time_is_a_task_too() -> None:
    shut = policy(
        """
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 3 }
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { hours = 24 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
""",
        calendar=MONTHS,
    )
    decision = next_touch(after(added(), attempt(MONDAY)), shut, MONDAY)
    assert (decision.verdict, decision.task) == (
        Verdict.TASK,
        "find a time for polite_exit, or find out more about their hours",
    )


# The polite exit ----------------------------------------------------------------------------------


def test_an_exit_that_reached_nobody_is_a_task_counted_from_the_last_that_was_tried() -> None:
    bounced = (Part(Channel("email"), Disposition.BOUNCED, "j@x"),)
    prospect = after(
        added(),
        attempt(MONDAY),
        attempt(MONDAY + 3 * DAY, EXIT, bounced),
        attempt(MONDAY + 8 * DAY, EXIT),
    )
    decision = next_touch(prospect, TIP8, MONDAY + 8 * DAY)
    assert (decision.verdict, decision.at) == (Verdict.TASK, MONDAY + 10 * DAY)
    assert reasons(decision) == [
        (
            "polite_exit",
            "the polite exit was sent to every remaining contact point; none was delivered",
            (4, 3),
        )
    ]


def by_email(*points: ContactPoint) -> list[tuple[str, str, str]]:
    decision = next_touch(after(added(*points), attempt(MONDAY)), policy(CALLS), MONDAY + 90 * DAY)
    assert decision.touch is not None
    assert decision.touch.step == "polite_exit"
    return [(part.channel, part.address, part.script) for part in decision.touch.parts]


def test_an_exit_takes_the_planned_channel_or_else_the_first_contact_point_left() -> None:
    assert by_email(CALL, SMS, EMAIL) == [("email", "j@x", "polite_exit")]
    assert by_email(CALL, SMS, MAIL) == [("call", "+1", "polite_exit")]
    assert by_email(SMS, CALL) == [("sms", "+1", "polite_exit")]


def test_an_exit_on_a_channel_that_was_not_planned_says_what_its_first_part_says() -> None:
    both = policy(
        CALLS
        + """
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "exit" }, { channels = ["mail"], script = "letter" }]
"""
    )
    decision = next_touch(after(added(SMS), attempt(MONDAY)), both, MONDAY + 90 * DAY)
    assert decision.touch is not None
    assert [(one.channel, one.script) for one in decision.touch.parts] == [("sms", "exit")]


@pytest.mark.parametrize(
    ("channels", "days"),
    [((Channel("mail"),), 14), ((Channel("mail"), Channel("email")), 4), ((Channel("email"),), 4)],
)
def test_only_an_exit_by_mail_alone_is_given_ten_business_days(
    channels: tuple[Channel, ...], days: int
) -> None:
    address = {Channel("mail"): "1 Way", Channel("email"): "j@x"}
    parts = tuple(Part(one, Disposition.SENT, address[one]) for one in channels)
    exit_ = attempt(MONDAY + 3 * DAY, EXIT, parts)
    prospect = after(added(EMAIL, MAIL, CALL), attempt(MONDAY), exit_)
    assert next_touch(prospect, TIP8, MONDAY + 3 * DAY).at == MONDAY + (3 + days) * DAY
