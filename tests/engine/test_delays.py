"""What holds a touch back, to the minute, and the invariants' own answers."""

from datetime import timedelta

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
    OptOutRequested,
    PauseRequested,
    PreferenceStated,
    ProspectUpdated,
    Stage,
)
from cadence.engine import Verdict, invariants, next_touch

ON_TIME, TEN = AttemptStage.ON_TIME, AttemptStage.TEN_MINUTES
MEETING = MONDAY + 2 * DAY


def meeting(*others: Happened, agreed: timedelta = timedelta()) -> list[Happened]:
    return [added(), (MONDAY + agreed, AppointmentSet(MEETING)), *others]


def test_an_absence_holds_a_touch_from_its_first_instant_to_its_last() -> None:
    found = []
    for early in (-MINUTE, timedelta(), MINUTE):
        away = (MONDAY + DAY, AutoReplyReceived(Channel("email"), MEETING + 2 * HOUR))
        begins = (MEETING + early, AutoReplyReceived(Channel("email"), MEETING + 2 * HOUR))
        for absence in (away, begins):
            decision = next_touch(after(*meeting(absence)), TIP8, MEETING - HOUR)
            found.append((decision.at or MEETING) - MEETING)
    held, free = 2 * HOUR, timedelta()
    assert found == [held, held, held, held, held, free]


def test_one_absence_after_another_holds_a_touch_until_the_last_has_ended() -> None:
    one = (MONDAY + DAY, AutoReplyReceived(Channel("email"), MEETING + HOUR))
    two = (MONDAY + DAY + HOUR, AutoReplyReceived(Channel("email"), MEETING + 3 * HOUR))
    decision = next_touch(after(*meeting(one, two)), TIP8, MONDAY + DAY)
    assert decision.at == MEETING + 3 * HOUR
    assert reasons(decision)[-1] == (
        "suspended",
        "suspended until Wed 2026-11-04 13:00: +3 h",
        (3, 4),
    )


def test_an_appointment_agreed_at_the_very_time_of_an_absence_was_agreed_in_it() -> None:
    away = (MONDAY + HOUR, AutoReplyReceived(Channel("email"), MEETING + DAY))
    for agreed, at in ((59 * MINUTE, MEETING + DAY), (HOUR, MEETING), (61 * MINUTE, MEETING)):
        decision = next_touch(after(*meeting(away, agreed=agreed)), TIP8, MEETING - HOUR)
        assert decision.at == at


def test_an_appointment_agreed_while_away_frees_its_own_steps_and_no_other() -> None:
    away = (MONDAY - HOUR, AutoReplyReceived(Channel("email"), MEETING + DAY + HOUR))
    history = [
        (MONDAY - DAY, added()[1]),
        away,
        (MONDAY, AppointmentSet(MEETING)),
        attempt(MEETING, ON_TIME),
    ]
    ten = next_touch(after(*history), TIP8, MEETING)
    assert ten.at == MEETING + 10 * MINUTE
    half = after(*history, attempt(MEETING + 10 * MINUTE, TEN))
    decision = next_touch(half, TIP8, MEETING + 10 * MINUTE)
    assert decision.touch is not None
    # Four hours that do not count while they are away.
    assert (decision.touch.step, decision.at) == ("half_day", MEETING + DAY + 5 * HOUR)


def test_an_absence_that_an_appointment_was_agreed_in_holds_the_touches_after_it() -> None:
    plain = policy("""
[[steps]]
id = "on_time"
stage = "on_time"
at = "appointment"
parts = [{ channels = ["call"], script = "on_time" }]
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
parts = [{ channels = ["call"], script = "spaced" }]
""")
    eight = MEETING - 2 * HOUR
    back = eight + 6 * DAY + 30 * MINUTE  # Tuesday, before business hours: a day like any other
    prospect = after(
        (MONDAY - DAY, added()[1]),
        (MONDAY - DAY, PreferenceStated(hours="08:00-12:00")),
        (MONDAY - HOUR, AutoReplyReceived(Channel("email"), back)),
        (MONDAY, AppointmentSet(eight)),
        attempt(eight, ON_TIME),
    )
    decision = next_touch(prospect, plain, eight)
    assert (decision.verdict, decision.at) == (Verdict.WAIT, back)
    assert reasons(decision)[-1][:2] == (
        "suspended",
        "suspended until Tue 2026-11-10 08:30: +30 min",
    )


def test_quiet_hours_say_by_how_much_they_hold_a_touch_back() -> None:
    moved = (MONDAY + HOUR, ProspectUpdated(timezone="America/Los_Angeles"))
    decision = next_touch(after(*meeting(moved)), TIP8, MONDAY + HOUR)
    assert (decision.verdict, decision.at) == (Verdict.WAIT, MEETING + 6 * HOUR)
    assert reasons(decision) == [
        ("appointment", "called at the time agreed, Wed 2026-11-04 02:00", (2,)),
        ("quiet_hours", "quiet hours, 21:00 to 08:00 local: +6 h to Wed 2026-11-04 08:00", ()),
    ]


@pytest.mark.parametrize(
    ("hours", "until"),
    [
        ("20:00-23:00", 10 * HOUR),
        ("21:00-23:00", timedelta()),
        ("05:00-08:00", timedelta()),
        ("05:00-09:00", 22 * HOUR),
        ("whenever", timedelta()),
    ],
)
def test_of_preferred_hours_the_waking_part_counts_if_there_is_one(
    hours: str, until: timedelta
) -> None:
    prefers = (MONDAY, PreferenceStated(hours=hours))
    decision = next_touch(after(added(), prefers, attempt(MONDAY)), TIP8, MONDAY)
    assert decision.at == MONDAY + 3 * DAY + until


def test_only_the_day_off_that_is_in_the_way_is_named() -> None:
    days = 'closed = ["2026-11-05", "2026-11-06", "2026-11-10"]'
    shut = policy(
        """
[[steps]]
id = "spaced"
stage = "spaced"
after = { hours = 72 }
times = 3
parts = [{ channels = ["call"], script = "spaced" }]
""",
        calendar=days,
    )
    at = MONDAY + DAY
    decision = next_touch(after(added(), attempt(at)), shut, at)
    assert decision.at == MONDAY + 7 * DAY - HOUR
    assert reasons(decision)[-1] == (
        "business_hours",
        "outside business hours (closed by the policy): +2 d 23 h to Mon 2026-11-09 09:00",
        (),
    )


# The invariants' answers --------------------------------------------------------------------------


@pytest.mark.parametrize("preferred", [Channel("email"), Channel("sms"), Channel("mail")])
def test_the_preferred_channel_comes_first_wherever_it_stood(preferred: Channel) -> None:
    channels = (Channel("email"), Channel("sms"), Channel("mail"))
    prospect = after(added(EMAIL, SMS, MAIL), (MONDAY, PreferenceStated(preferred)))
    others = [channel for channel in channels if channel != preferred]
    assert invariants.allowed_channels(prospect, channels) == (preferred, *others)
    assert invariants.allowed_channels(prospect, (Channel("call"),)) == (Channel("call"),)


def test_a_channel_they_want_no_more_of_is_not_allowed_preferred_or_not() -> None:
    gone = (MONDAY, OptOutRequested(Channel("sms")))
    prefers = (MONDAY, PreferenceStated(Channel("sms")))
    for history in ([gone], [prefers, gone]):
        prospect = after(added(EMAIL, SMS, CALL), *history)
        channels = (Channel("email"), Channel("sms"), Channel("call"))
        assert invariants.allowed_channels(prospect, channels) == (
            Channel("email"),
            Channel("call"),
        )


def test_after_an_opt_out_from_everything_no_contact_point_is_left() -> None:
    prospect = after(added(CALL, EMAIL), (MONDAY, OptOutRequested()))
    assert prospect.stage is Stage.OPTED_OUT
    assert invariants.contact_points_left(prospect) == ()
    one_by_one = after(added(CALL), (MONDAY, OptOutRequested(Channel("call"))))
    assert invariants.contact_points_left(one_by_one) == ()


def test_the_invariants_count_attempts_spaced_calls_and_the_concern_of_a_silence() -> None:
    calls = [attempt(MONDAY + n * DAY) for n in range(5)]
    assert invariants.counts(after(added(), *calls[:4])) == invariants.Counts(4, 4, False, False)
    asked = attempt(MONDAY + 22 * DAY, AttemptStage.CONCERN, SENT)
    assert invariants.counts(after(added(), *calls, asked)) == invariants.Counts(6, 5, True, False)


def test_a_second_concern_message_of_a_policy_is_passed_over() -> None:
    twice = policy("""
[[steps]]
id = "spaced"
stage = "spaced"
after = { business_days = 1 }
times = 5
parts = [{ channels = ["call"], script = "spaced" }]
[[steps]]
id = "concern"
stage = "concern"
after = { business_days = 2 }
parts = [{ channels = ["email"], script = "concern" }]
[[steps]]
id = "again"
stage = "concern"
after = { business_days = 2 }
parts = [{ channels = ["email"], script = "concern" }]
""")
    calls = [attempt(MONDAY + n * DAY) for n in range(5)]
    asked = attempt(MONDAY + 21 * DAY, AttemptStage.CONCERN, SENT)
    decision = next_touch(after(added(), *calls, asked), twice, MONDAY + 25 * DAY)
    assert decision.touch is not None
    assert decision.touch.step == "polite_exit"
    assert reasons(decision)[-1] == (
        "concern",
        "again skipped: it has been asked in this silence",
        (2, 3, 4, 5, 6, 7),
    )


def test_a_pause_that_ends_in_the_evening_is_over_with_the_next_opening() -> None:
    pause = (MONDAY, PauseRequested(MONDAY + 2 * DAY + 8 * HOUR))
    decision = next_touch(after(added(), pause), TIP8, MONDAY + HOUR)
    assert (decision.verdict, decision.at) == (Verdict.WAIT, MONDAY + 3 * DAY - HOUR)
