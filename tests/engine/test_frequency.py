"""``frequency``: so many parts in 24 hours, 7 and 30 days, and a business day between attempts."""

from __future__ import annotations

from datetime import datetime, timedelta

from histories import (
    CALL,
    DAY,
    EMAIL,
    HOUR,
    MINUTE,
    MONDAY,
    NO_ANSWER,
    SENT,
    SMS,
    TIP8,
    Happened,
    added,
    after,
    attempt,
    fact,
    history,
    policy,
    reasons,
)
from hypothesis import given
from hypothesis import strategies as st

from cadence.audit import Auditor
from cadence.domain import AppointmentSet, AttemptStage, Gap, PauseRequested, ReplyReceived
from cadence.domain.channels import EMAIL as BY_EMAIL
from cadence.domain.events import Disposition, Part
from cadence.engine import Verdict, invariants, next_touch
from cadence.engine.context import calendar_for
from cadence.policy import Policy, builtin

EXTRA, HALF_DAY = AttemptStage.EXTRA, AttemptStage.HALF_DAY
ON_TIME, TEN = AttemptStage.ON_TIME, AttemptStage.TEN_MINUTES
BOTH = (*NO_ANSWER, *SENT)


def spaced(after_: str, parts: str = '{ channels = ["email"], script = "spaced" }') -> Policy:
    return policy(f"""
[[steps]]
id = "spaced"
stage = "spaced"
after = {{ {after_} }}
times = 20
parts = [{parts}]
""")


def extras(*when: datetime, parts: tuple[Part, ...] = SENT) -> list[Happened]:
    """Attempts off plan, each with a gap of nothing, so that no ratchet delays what follows."""
    return [attempt(at, EXTRA, parts=parts, gap=Gap(0, 0)) for at in when]


def delay_of(decision: object) -> str:
    found = [because for rule, because, _ in reasons(decision) if rule == "frequency"]
    return found[0] if found else ""


# Delayed ------------------------------------------------------------------------------------------


def test_a_fourth_part_waits_until_the_first_of_three_is_24_hours_ago() -> None:
    appointed = (MONDAY, AppointmentSet(MONDAY + HOUR))
    kept = attempt(MONDAY + HOUR, ON_TIME, parts=BOTH)
    again = attempt(MONDAY + HOUR + 10 * MINUTE, TEN, gap=Gap(0, 10))
    decision = next_touch(after(added(), appointed, kept, again), TIP8, MONDAY + 2 * HOUR)
    assert decision.touch is not None
    assert (decision.touch.step, decision.at) == ("half_day", MONDAY + DAY + HOUR)
    assert reasons(decision)[1] == (
        "frequency",
        "at most 3 parts in 24 hours: +19 h 50 min to Tue 2026-11-03 11:00",
        (3, 4),
    )


def test_a_sixth_part_waits_for_seven_days_and_a_thirteenth_for_thirty() -> None:
    # 7 days: a call and an email on Monday and Tuesday, an email on Wednesday.
    week = [*extras(MONDAY, MONDAY + DAY, parts=BOTH), *extras(MONDAY + 2 * DAY)]
    decision = next_touch(after(added(), *week), spaced("business_days = 1"), MONDAY + 2 * DAY)
    assert decision.verdict is Verdict.TASK  # extras begin no outreach
    begun = [attempt(MONDAY - DAY, gap=None), *week[1:]]
    decision = next_touch(
        after((MONDAY - DAY, added()[1]), *begun), spaced("business_days = 1"), MONDAY + 2 * DAY
    )
    assert delay_of(decision) == ""
    crowded = [attempt(MONDAY, parts=BOTH), *week[1:]]
    decision = next_touch(after(added(), *crowded), spaced("business_days = 1"), MONDAY + 2 * DAY)
    assert decision.at == MONDAY + 7 * DAY
    assert delay_of(decision) == "at most 5 parts in 7 days: +4 d to Mon 2026-11-09 10:00"

    days = [0, 7, 8, 9, 10, 14, 15, 16, 17, 21, 22, 23]
    month = [attempt(MONDAY), *extras(*(MONDAY + n * DAY for n in days[1:]))]
    decision = next_touch(after(added(), *month), spaced("business_days = 1"), MONDAY + 23 * DAY)
    assert delay_of(decision) == "at most 12 parts in 30 days: +6 d to Wed 2026-12-02 10:00"


def test_from_spaced_on_there_is_a_business_day_between_two_attempts() -> None:
    hourly = spaced("hours = 2")
    decision = next_touch(after(added(), attempt(MONDAY)), hourly, MONDAY)
    assert decision.at == MONDAY + DAY + 2 * HOUR  # at the time of day that was planned
    assert reasons(decision)[1] == (
        "frequency",
        "at least 1 business day after the attempt before: +1 d to Tue 2026-11-03 12:00",
        (2,),
    )


def test_what_is_closed_anyway_is_not_delayed_for_its_frequency() -> None:
    # Ten hours after 10:00 it is closed, and the next morning is a business day later.
    decision = next_touch(after(added(), attempt(MONDAY)), spaced("hours = 10"), MONDAY)
    assert decision.at == MONDAY + 23 * HOUR
    assert delay_of(decision) == ""


def test_the_appointments_own_steps_are_never_delayed_and_count_for_what_follows() -> None:
    appointed = (MONDAY, AppointmentSet(MONDAY + 3 * HOUR))
    tried = extras(MONDAY, MONDAY + HOUR, MONDAY + 2 * HOUR)
    decision = next_touch(after(added(), appointed, *tried), TIP8, MONDAY + 2 * HOUR)
    assert decision.touch is not None
    assert (decision.touch.step, decision.at) == ("on_time", MONDAY + 3 * HOUR)
    kept = attempt(MONDAY + 3 * HOUR, ON_TIME)
    decision = next_touch(after(added(), appointed, *tried, kept), TIP8, MONDAY + 3 * HOUR)
    assert decision.touch is not None
    assert (decision.touch.step, decision.at) == ("ten_minutes", MONDAY + 3 * HOUR + 10 * MINUTE)


def test_what_was_made_before_we_knew_that_they_had_spoken_does_not_count() -> None:
    made = [attempt(MONDAY + n * HOUR, EXTRA, parts=BOTH) for n in range(1, 4)]
    pause = (MONDAY, MONDAY + 4 * HOUR, PauseRequested(MONDAY + 5 * HOUR))
    first = (MONDAY - DAY, added()[1])
    decision = next_touch(after(first, *made, pause), TIP8, MONDAY + 4 * HOUR)
    assert decision.touch is not None
    assert (decision.at, delay_of(decision)) == (MONDAY + 5 * HOUR, "")


def test_a_response_begins_the_count_anew() -> None:
    week = [attempt(MONDAY), *extras(MONDAY + HOUR, MONDAY + 2 * HOUR)]
    replied = (MONDAY + 3 * HOUR, ReplyReceived(BY_EMAIL))
    assert "frequency" in fact(after(added(), *week), MONDAY + 4 * HOUR).broke
    assert fact(after(added(), *week, replied), MONDAY + 4 * HOUR).broke == ()


# Two parts a touch --------------------------------------------------------------------------------


def test_a_touch_has_two_parts_at_most_and_says_what_is_left_out() -> None:
    three = ", ".join(
        f'{{ channels = ["{channel}"], script = "spaced" }}' for channel in ("sms", "call", "email")
    )
    prospect = after(added(CALL, EMAIL, SMS), attempt(MONDAY))
    decision = next_touch(prospect, spaced("business_days = 3", three), MONDAY)
    assert decision.touch is not None
    assert [part.channel for part in decision.touch.parts] == ["sms", "call"]
    assert delay_of(decision) == "spaced#2 without email: a touch has at most 2 parts"
    without = after(added(CALL, EMAIL), attempt(MONDAY))
    decision = next_touch(without, spaced("business_days = 3", three), MONDAY)
    assert decision.touch is not None
    assert [part.channel for part in decision.touch.parts] == ["call", "email"]
    assert delay_of(decision) == ""


# Broken -------------------------------------------------------------------------------------------


def test_an_attempt_that_breaks_it_says_so_and_the_audit_finds_it() -> None:
    prospect = after(added(), attempt(MONDAY), *extras(MONDAY + HOUR, MONDAY + 2 * HOUR))
    fourth = fact(prospect, MONDAY + 3 * HOUR, SENT)
    assert "frequency" in fourth.broke
    events = history(
        added(),
        attempt(MONDAY),
        *extras(MONDAY + HOUR, MONDAY + 2 * HOUR),
        (MONDAY + 3 * HOUR, fourth),
    )
    found = [one for one in Auditor(builtin()).audit(events) if one.rule == "frequency"]
    assert [one.version for one in found] == [5]
    assert found[0].because.startswith("4 parts in 24 hours since 2026-11-02 10:00 UTC (event 2)")


def test_an_attempt_of_three_parts_breaks_it_only_where_they_are_too_many() -> None:
    three = (*BOTH, Part(SMS.channel, Disposition.SENT, "+1"))
    assert "frequency" not in fact(after(added(CALL, EMAIL, SMS)), MONDAY, three).broke
    made = after(added(CALL, EMAIL, SMS), attempt(MONDAY))
    assert "frequency" in fact(made, MONDAY + 3 * HOUR, three).broke


@given(
    st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=14).map(sorted),
    st.integers(1, 2),
)
def test_the_time_it_allows_is_the_first_that_it_allows(minutes: list[int], parts: int) -> None:
    """Counted minute by minute: a minute before, some span has one part too many."""
    times = [MONDAY + n * MINUTE for n in minutes]
    prospect = after(added(), *(attempt(at, HALF_DAY) for at in times))
    calendar = calendar_for(prospect, TIP8)
    allowed = invariants.frequency_allows_from(prospect, HALF_DAY, parts, calendar, None)
    assert allowed is not None

    def is_crowded(at: datetime) -> bool:
        return any(
            sum(at - timedelta(days=days) < one for one in times) + parts > most
            for days, most in ((1, 3), (7, 5), (30, 12))
        )

    assert not is_crowded(allowed[0])
    assert allowed[0] == times[-1] or is_crowded(allowed[0] - MINUTE)
