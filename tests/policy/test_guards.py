"""Guards: each may delay or veto a touch, none brings one forward, and none breaks the engine."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from importlib import metadata
from pathlib import Path
from typing import Any, get_args

import msgspec
import policies as policies_of_tests
import pytest
from guarded_policy import guarded
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Data,
    Disposition,
    Event,
    Intent,
    Part,
    PauseRequested,
    ProspectAdded,
    ReplyReceived,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine import (
    Decision,
    MakeAttempt,
    SetAppointment,
    Verdict,
    complete_attempt,
    decide,
    next_touch,
)
from cadence.engine.context import calendar_for
from cadence.engine.decision import to_builtins
from cadence.errors import PolicyError, Refused
from cadence.policy import (
    GuardDelay,
    Policy,
    PolicyRegistry,
    Rule,
    Touch,
    TouchPart,
    Veto,
)
from cadence.policy.guard_runner import loaded
from cadence.policy.guards import (
    ContactWindow,
    CoolDown,
    FrequencyCap,
    Guard,
    HolidayBan,
    Lasting,
    Pause,
)
from cadence.prover import prove
from cadence.testing.strategies import histories, policies
from cadence.worktime.hours import ALL_DAY

POINTS = (
    ContactPoint(CALL, "+1 212 555 0101"),
    ContactPoint(CALL, "+1 212 555 0102"),
    ContactPoint(EMAIL, "j@example.com"),
)
MONDAY = datetime(2026, 11, 2, 15, tzinfo=UTC)
"""A plain Monday, three in the afternoon."""
SILENT = "bad_guards:silent"
NO_ANSWER = (Part(CALL, Disposition.NO_ANSWER, "+1"),)


def custom(function: str) -> Policy:
    return guarded(f'kind = "custom"\nid = "ours"\nfunction = "{function}"\nversion = 1')


def prospect_after(
    *facts: tuple[datetime, Data],
    zone: str | tuple[str, ...] = "UTC",
    country: str | None = None,
    subdivision: str | None = None,
    policy: Policy | None = None,
) -> Prospect:
    """A prospect after some facts; attempts are judged under ``policy``."""
    first = facts[0][0] if facts else MONDAY
    added = ProspectAdded("Kim", zone, country, subdivision, POINTS)
    prospect = fold(None, [Event("kim", 1, first, first, added)])
    for at, data in facts:
        assert prospect is not None
        if isinstance(data, AttemptMade) and policy is not None:
            data = complete_attempt(prospect, data, policy, at)
        prospect = fold(prospect, [Event("kim", prospect.version + 1, at, at, data)])
    assert prospect is not None
    return prospect


def called(at: datetime, *parts: Part) -> tuple[datetime, AttemptMade]:
    return at, AttemptMade(parts or NO_ANSWER, AttemptStage.SPACED, "spaced#1")


def asked(
    guard: Guard,
    prospect: Prospect,
    at: datetime,
    *,
    stage: Stage = Stage.SPACED,
    address: str = "+1",
) -> GuardDelay | Veto | None:
    touch = Touch("t", stage, stage.value, (TouchPart(CALL, address, "spaced"),))
    return guard.ask(prospect, touch, at, calendar_for(prospect, guarded()))


def until(guard: Guard, prospect: Prospect, at: datetime, **more: Any) -> datetime | None:
    answer = asked(guard, prospect, at, **more)
    assert not isinstance(answer, Veto)
    return None if answer is None else answer.until


# What a kind says of itself -----------------------------------------------------------------------

KINDS: dict[type[Guard], Guard] = {}
for _guard in (*policies_of_tests.rich().guards, *custom(SILENT).guards):
    KINDS.setdefault(type(_guard), _guard)


def closed_on(guard: Guard, noon: datetime) -> bool:
    """Whether it objects at ``noon`` to a call to a German prospect to whom nothing happened."""
    asked_at = prospect_after(country="DE", subdivision="BY")
    return asked(guard, asked_at, noon) is not None


@pytest.mark.parametrize("kind", get_args(Guard))
def test_a_kind_says_which_dates_it_closes_and_whether_they_vary(kind: type[Guard]) -> None:
    """By which the prover plays silences and a timetable leaves guards out."""
    guard = KINDS[kind]
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    closed = {
        day.date(): closed_on(guard, day) for day in (noon + timedelta(n) for n in range(730))
    }
    by_weekday = {(day.weekday(), is_closed) for day, is_closed in closed.items()}
    assert guard.varies_by_year is (len(by_weekday) > 7)
    if guard.varies_by_year and guard.closed_holidays() is None:
        span = guard.closed_dates()
        assert span is not None
        assert {day for day, is_closed in closed.items() if is_closed} == {
            day for day in closed if span[0] <= day <= span[1]
        }


@pytest.mark.parametrize("kind", get_args(Guard))
def test_a_kind_says_at_which_hours_of_the_week_it_is_open(kind: type[Guard]) -> None:
    """By which the prover finds steps that no hour is left for, and tells policies apart."""
    guard = KINDS[kind]
    if guard.varies_by_year:
        assert guard.weekly_hours() is None
        return
    week = guard.weekly_hours() or ALL_DAY
    for hour in range(7 * 24):
        at = MONDAY.replace(hour=0) + timedelta(hours=hour, minutes=30)
        second = (at.hour * 60 + at.minute) * 60
        is_open = any(opens <= second < closes for opens, closes in week[at.weekday()])
        assert (asked(guard, prospect_after(), at) is None) is is_open


@pytest.mark.parametrize("kind", get_args(Guard))
def test_a_kind_says_whether_it_counts_attempts_or_heeds_responses(kind: type[Guard]) -> None:
    """By which two policies are compared."""
    guard = KINDS[kind]
    hours = [MONDAY + timedelta(minutes=n) for n in range(4)]
    at = hours[-1]
    plain = asked(guard, prospect_after(), at)
    tried = prospect_after(*(called(hour) for hour in hours[:3]))
    assert (asked(guard, tried, at) != plain) is (guard.attempts_counted > 0)
    said = prospect_after((MONDAY, ReplyReceived(EMAIL, Intent.NO)))
    spoke = prospect_after(called(MONDAY, Part(CALL, Disposition.CONNECTED, "+1")))
    answers = [asked(guard, one, at) for one in (said, spoke)]
    assert any(answer != plain for answer in answers) is guard.heeds_responses


# Contact windows ----------------------------------------------------------------------------------

WINDOW = ContactWindow(mon=("10:00-12:00",), wed=("14:00-16:00",))


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        (datetime(2026, 11, 2, 9, tzinfo=UTC), datetime(2026, 11, 2, 10, tzinfo=UTC)),
        (datetime(2026, 11, 2, 10, tzinfo=UTC), None),
        (datetime(2026, 11, 2, 11, 59, 59, tzinfo=UTC), None),
        (datetime(2026, 11, 2, 12, tzinfo=UTC), datetime(2026, 11, 4, 14, tzinfo=UTC)),
        (datetime(2026, 11, 4, 16, tzinfo=UTC), datetime(2026, 11, 9, 10, tzinfo=UTC)),
    ],
)
def test_a_contact_window_delays_until_it_opens(at: datetime, opens: datetime | None) -> None:
    assert until(WINDOW, prospect_after(), at) == opens


def test_a_contact_window_is_read_on_the_prospects_clock_across_a_clock_change() -> None:
    window = ContactWindow(sat=("08:00-10:00",), mon=("08:00-10:00",))
    berlin = prospect_after(zone="Europe/Berlin")
    before = datetime(2026, 3, 28, 4, tzinfo=UTC)  # Saturday; clocks change on Sunday
    assert until(window, berlin, before) == datetime(2026, 3, 28, 7, tzinfo=UTC)
    after = datetime(2026, 3, 29, 4, tzinfo=UTC)
    assert until(window, berlin, after) == datetime(2026, 3, 30, 6, tzinfo=UTC)


def test_a_contact_window_is_open_only_where_it_is_in_every_zone_they_may_be_in() -> None:
    window = ContactWindow(mon=("09:00-13:00",))
    coasts = prospect_after(zone=("America/New_York", "America/Los_Angeles"))
    at = datetime(2026, 11, 2, 14, tzinfo=UTC)  # nine in New York, six in Los Angeles
    assert until(window, coasts, at) == datetime(2026, 11, 2, 17, tzinfo=UTC)
    assert until(window, coasts, datetime(2026, 11, 2, 18, tzinfo=UTC)) == datetime(
        2026, 11, 9, 17, tzinfo=UTC
    )
    apart = prospect_after(zone=("America/New_York", "Asia/Tokyo"))
    answer = until(window, apart, at)
    assert answer is not None
    assert answer > at + timedelta(days=30)


def test_a_contact_window_for_a_channel_is_not_asked_about_others() -> None:
    window = 'kind = "contact_window"\nchannels = ["email"]\nmon = ["10:00-11:00"]'
    policy = guarded(window)
    prospect = prospect_after((MONDAY, ReplyReceived(EMAIL)), called(MONDAY))
    decision = next_touch(prospect, policy, MONDAY)
    assert decision.at == MONDAY + timedelta(days=1)
    assert [r.rule for r in decision.reasons if r.rule == "contact_window"] == []


def test_a_guard_is_asked_about_the_channels_used_and_not_about_those_that_were_due() -> None:
    """An email instead of the call that is due, outside the hours for emails, breaks the guard."""
    window = 'kind = "contact_window"\nid = "hours"\nchannels = ["email"]\ntue = ["10:00-11:00"]'
    policy, tuesday = guarded(window), MONDAY + timedelta(days=1)
    prospect = prospect_after(called(MONDAY), policy=policy)
    assert next_touch(prospect, policy, tuesday).verdict is Verdict.DUE
    email = (Part(EMAIL, Disposition.SENT, "j@x"),)
    for parts, broken in ((email, ("plan", "hours")), (NO_ANSWER, ())):
        made = MakeAttempt(parts, why="they asked for it", is_strict=not broken)
        (data,) = decide(prospect, made, policy, tuesday)
        assert isinstance(data, AttemptMade)
        assert data.broke == broken


def test_an_exit_on_another_channel_than_the_one_due_is_asked_for_its_own_channel() -> None:
    window = 'kind = "contact_window"\nid = "hours"\nchannels = ["call"]\nmon = ["10:00-11:00"]'
    policy = guarded(window)
    made = [called(MONDAY + timedelta(days=7 * week)) for week in range(3)]
    prospect = prospect_after(*made, policy=policy)
    monday = MONDAY + timedelta(days=21)
    decision = next_touch(prospect, policy, monday)
    assert decision.touch is not None
    assert (decision.verdict, decision.touch.step) == (Verdict.DUE, "polite_exit")
    with pytest.raises(Refused, match="hours"):
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), policy, monday)


def test_each_guard_that_delays_is_a_reason_of_its_own_with_what_it_added() -> None:
    policy = guarded(
        'kind = "contact_window"\nid = "thursdays"\nthu = ["08:00-20:00"]',
        'kind = "contact_window"\nid = "evenings"\nthu = ["16:00-20:00"]',
    )
    prospect = prospect_after(called(MONDAY))
    decision = next_touch(prospect, policy, MONDAY)
    assert decision.verdict is Verdict.WAIT
    assert decision.at == datetime(2026, 11, 5, 16, tzinfo=UTC)
    said = {r.rule: r.because for r in decision.reasons}
    assert "+1 d 17 h" in said["thursdays"]
    assert "to Thu 2026-11-05 16:00" in said["evenings"]


# Caps on frequency --------------------------------------------------------------------------------


def test_a_cap_delays_until_the_window_holds_one_attempt_fewer() -> None:
    cap = FrequencyCap(attempts=2, days=7)
    first, second = MONDAY, MONDAY + timedelta(days=2)
    prospect = prospect_after(called(first), called(second))
    assert until(cap, prospect, second + timedelta(hours=1)) == first + timedelta(days=7)
    assert until(cap, prospect, first + timedelta(days=7)) is None
    assert until(cap, prospect_after(called(first)), first + timedelta(hours=1)) is None


def test_a_cap_in_hours_counts_elapsed_hours_whatever_clocks_do() -> None:
    cap = FrequencyCap(attempts=1, hours=24)
    saturday = datetime(2026, 3, 28, 12, tzinfo=UTC)
    berlin = prospect_after(called(saturday), zone="Europe/Berlin")
    assert until(cap, berlin, saturday + timedelta(hours=23)) == saturday + timedelta(hours=24)


def test_a_cap_counts_across_silences() -> None:
    cap = FrequencyCap(attempts=2, days=7)
    reply = (MONDAY + timedelta(days=1), ReplyReceived(EMAIL))
    second = MONDAY + timedelta(days=2)
    prospect = prospect_after(called(MONDAY), reply, called(second))
    assert len(prospect.silence.attempts) == 1
    assert until(cap, prospect, second) == MONDAY + timedelta(days=7)


def test_a_cap_counts_a_conversation_too() -> None:
    cap = FrequencyCap(attempts=1, days=7)
    prospect = prospect_after(called(MONDAY, Part(CALL, Disposition.CONNECTED, "+1")))
    assert prospect.silence.attempts == ()
    assert until(cap, prospect, MONDAY + timedelta(days=1)) == MONDAY + timedelta(days=7)


def test_a_cap_for_a_channel_counts_only_attempts_on_it() -> None:
    cap = FrequencyCap(attempts=1, days=7, channels=(CALL,))
    written = called(MONDAY, Part(EMAIL, Disposition.SENT, "j@x"))
    assert until(cap, prospect_after(written), MONDAY + timedelta(days=1)) is None
    assert until(cap, prospect_after(called(MONDAY)), MONDAY + timedelta(days=1)) is not None


def test_a_cap_per_address_leaves_the_others_free() -> None:
    cap = FrequencyCap(attempts=1, days=7, per="address")
    prospect = prospect_after(called(MONDAY))
    later = MONDAY + timedelta(days=1)
    assert until(cap, prospect, later, address="+1") == MONDAY + timedelta(days=7)
    assert until(cap, prospect, later, address="+2") is None


def test_a_cap_per_address_takes_an_attempt_without_one_for_any() -> None:
    cap = FrequencyCap(attempts=1, days=7, per="address")
    prospect = prospect_after(called(MONDAY, Part(CALL, Disposition.NO_ANSWER)))
    assert until(cap, prospect, MONDAY + timedelta(days=1), address="+2") is not None


def test_a_cap_counts_what_was_made_off_policy() -> None:
    policy = guarded('kind = "frequency_cap"\nattempts = 1\ndays = 10')
    prospect = prospect_after((MONDAY, AttemptMade(NO_ANSWER)), policy=policy)
    night = MONDAY + timedelta(hours=8)
    (off,) = decide(prospect, MakeAttempt(NO_ANSWER, "he asked me to"), policy, night)
    assert isinstance(off, AttemptMade)
    assert "frequency_cap" in off.broke
    after = fold(prospect, [Event("kim", 3, night, night, off)])
    assert after is not None
    decision = next_touch(after, policy, night)
    assert decision.at is not None
    assert decision.at >= night + timedelta(days=10)


# Cool-downs ---------------------------------------------------------------------------------------

TALKED = called(MONDAY, Part(CALL, Disposition.CONNECTED, "+1"))
REFUSED = (MONDAY, ReplyReceived(EMAIL, Intent.NO))
REPLIED = (MONDAY, ReplyReceived(EMAIL))
PAUSED = (MONDAY, PauseRequested(MONDAY + timedelta(days=1)))


@pytest.mark.parametrize(
    ("after", "fact", "cools"),
    [
        ("conversation", TALKED, True),
        ("conversation", REPLIED, False),
        ("refusal", REFUSED, True),
        ("refusal", REPLIED, False),
        ("contact", TALKED, True),
        ("contact", REFUSED, True),
        ("contact", PAUSED, True),
        ("contact", called(MONDAY), False),
    ],
)
def test_a_cool_down_follows_what_it_says(
    after: Any, fact: tuple[datetime, Data], cools: bool
) -> None:
    guard = CoolDown(after=after, lasts=Lasting(hours=48))
    answer = until(guard, prospect_after(fact), MONDAY + timedelta(hours=47))
    assert answer == (MONDAY + timedelta(hours=48) if cools else None)
    assert until(guard, prospect_after(fact), MONDAY + timedelta(hours=48)) is None


def test_a_cool_down_in_business_days_ends_at_the_same_time_across_a_clock_change() -> None:
    friday = datetime(2026, 3, 27, 15, tzinfo=UTC)
    reply = (friday, ReplyReceived(EMAIL))
    guard = CoolDown(after="contact", lasts=Lasting(business_days=1))
    berlin = prospect_after(reply, zone="Europe/Berlin")
    assert until(guard, berlin, friday) == datetime(2026, 3, 30, 14, tzinfo=UTC)


# Bans and pauses ----------------------------------------------------------------------------------

THANKSGIVING = datetime(2026, 11, 26, 16, tzinfo=UTC)


def test_a_holiday_ban_delays_until_the_day_after() -> None:
    there = prospect_after(zone="America/New_York", country="US")
    assert until(HolidayBan(), there, THANKSGIVING) == datetime(2026, 11, 27, 5, tzinfo=UTC)
    assert until(HolidayBan(), there, THANKSGIVING - timedelta(days=1)) is None
    assert until(HolidayBan(), prospect_after(zone="America/New_York"), THANKSGIVING) is None


def test_a_holiday_ban_may_name_a_place_that_is_not_the_prospects() -> None:
    epiphany = datetime(2027, 1, 6, 10, tzinfo=UTC)
    there = prospect_after(zone="Europe/Berlin", country="DE", subdivision="BE")
    assert until(HolidayBan(), there, epiphany) is None
    bavarian = HolidayBan(country="DE", subdivision="BY")
    assert until(bavarian, there, epiphany) == datetime(2027, 1, 6, 23, tzinfo=UTC)


def test_a_holiday_ban_holds_for_the_appointments_own_steps_too() -> None:
    policy = guarded('kind = "holiday_ban"')
    there = prospect_after(zone="America/New_York", country="US")
    with pytest.raises(Refused, match="refused by holiday_ban") as caught:
        decide(there, SetAppointment(THANKSGIVING), policy, MONDAY)
    assert caught.value.rule == "holiday_ban"
    assert caught.value.until == datetime(2026, 11, 27, 13, tzinfo=UTC)
    assert decide(there, SetAppointment(THANKSGIVING), guarded(), MONDAY)


def test_a_pause_holds_from_its_first_local_day_through_its_last() -> None:
    pause = Pause(first_day=date(2026, 12, 24), last_day=date(2027, 1, 1))
    tokyo = prospect_after(zone="Asia/Tokyo")
    assert until(pause, tokyo, datetime(2026, 12, 23, 14, 59, tzinfo=UTC)) is None
    ends = datetime(2027, 1, 1, 15, tzinfo=UTC)
    assert until(pause, tokyo, datetime(2026, 12, 23, 15, tzinfo=UTC)) == ends
    assert until(pause, tokyo, ends - timedelta(seconds=1)) == ends
    assert until(pause, tokyo, ends) is None


def test_a_pause_that_ends_where_midnight_is_skipped_ends_with_the_next_hour() -> None:
    cairo = prospect_after(zone="Africa/Cairo")  # clocks go from midnight to one on 2026-04-24
    pause = Pause(first_day=date(2026, 4, 22), last_day=date(2026, 4, 23))
    assert until(pause, cairo, datetime(2026, 4, 23, 12, tzinfo=UTC)) == datetime(
        2026, 4, 23, 22, tzinfo=UTC
    )


def test_a_pause_holds_for_every_zone_they_may_be_in() -> None:
    pause = Pause(first_day=date(2026, 12, 25), last_day=date(2026, 12, 25))
    there = prospect_after(zone=("America/New_York", "Asia/Tokyo"))
    early = datetime(2026, 12, 24, 20, tzinfo=UTC)  # Christmas in Tokyo, not in New York
    first = until(pause, there, early)
    assert first is not None
    assert first >= datetime(2026, 12, 25, 15, tzinfo=UTC)
    assert until(pause, there, datetime(2026, 12, 26, 4, tzinfo=UTC)) is not None
    assert until(pause, there, datetime(2026, 12, 26, 5, tzinfo=UTC)) is None


# All of them --------------------------------------------------------------------------------------


@given(st.data())
def test_no_guard_ever_brings_a_touch_forward(data: st.DataObject) -> None:
    policy = data.draw(policies(faults=0, guarded=True))
    free = msgspec.structs.replace(policy, guards=())
    history = data.draw(histories(policy, most=12))
    for moment in history.moments:
        with_guards = next_touch(moment.prospect, policy, moment.now)
        without = next_touch(moment.prospect, free, moment.now)
        if with_guards.touch is not None and without.touch is not None:
            assert with_guards.at is not None
            assert without.at is not None
            assert with_guards.at >= without.at


# Guards of one's own ------------------------------------------------------------------------------


def _call(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Policy:
    """A policy whose guard is ``function``."""
    monkeypatch.setattr(sys.modules[__name__], "current", function, raising=False)
    loaded.cache_clear()
    return custom("test_guards:current")


def current(prospect: Prospect, touch: Touch, at: datetime) -> Any:
    return None


@pytest.fixture(autouse=True)
def _fresh_guards() -> Iterator[None]:
    loaded.cache_clear()
    yield
    loaded.cache_clear()


def decided(policy: Policy, now: datetime = MONDAY) -> Decision:
    return next_touch(prospect_after(called(MONDAY)), policy, now)


def is_held(decision: Decision, because: str) -> bool:
    reason = next((r for r in decision.reasons if r.rule == Rule.GUARD), None)
    assert reason is not None, decision.reasons
    assert because in reason.because
    assert decision.at is not None  # the owner has a deadline
    return decision.verdict is Verdict.TASK and decision.touch is None


def test_one_that_says_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = _call(lambda prospect, touch, at: None, monkeypatch)
    assert (decided(policy).at, decided(policy).touch) == (
        decided(guarded()).at,
        decided(guarded()).touch,
    )


def test_one_that_delays_is_asked_again_at_the_later_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[datetime] = []

    def not_before_noon(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | None:
        seen.append(at)
        noon = at.replace(hour=16, minute=30)
        return GuardDelay(noon, "after lunch") if at < noon else None

    decision = decided(_call(not_before_noon, monkeypatch))
    assert decision.at == datetime(2026, 11, 3, 16, 30, tzinfo=UTC)
    assert seen[:2] == [datetime(2026, 11, 3, 15, tzinfo=UTC), decision.at]
    assert [r.because for r in decision.reasons if r.rule == "ours"] == [
        "after lunch: +1 h 30 min to Tue 2026-11-03 16:30"
    ]


def test_one_that_vetoes_has_the_step_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_second(prospect: Prospect, touch: Touch, at: datetime) -> Veto | None:
        return Veto("not the second") if touch.step == "spaced#2" else None

    decision = decided(_call(no_second, monkeypatch))
    assert decision.touch is not None
    assert decision.touch.step == "spaced#3"
    assert ("ours", "spaced#2 skipped: not the second") in [
        (r.rule, r.because) for r in decision.reasons
    ]


def test_a_vetoed_exit_is_a_task_that_escalates(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = _call(lambda prospect, touch, at: Veto("never"), monkeypatch)
    decision = decided(policy)
    assert decision.verdict is Verdict.TASK
    assert decision.task == "leave them a polite way out another way, or end the follow-up"
    assert [r.rule for r in decision.reasons][:2] == ["ours", Rule.FORGOTTEN]
    assert decision.at is not None
    late = decided(policy, decision.at + timedelta(seconds=1))
    assert any("escalate" in r.because for r in late.reasons)


def test_where_guards_veto_whatever_could_begin_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = _call(lambda prospect, touch, at: Veto("never"), monkeypatch)
    agreed = (MONDAY, AppointmentSet(MONDAY + timedelta(hours=1)))
    decision = next_touch(prospect_after(agreed), policy, MONDAY)
    assert decision.verdict is Verdict.TASK
    assert decision.reasons[0].rule == Rule.FORGOTTEN
    assert "guards veto what could begin it" in decision.reasons[0].because
    assert decision.task == "decide on the first attempt yourself, or end the follow-up"
    rules = {reason.rule for reason in decision.reasons}
    assert "ours" in rules
    assert Rule.CONTACT_POINT not in rules


def _raises(error: Exception) -> Callable[..., Any]:
    def guard(prospect: Prospect, touch: Touch, at: datetime) -> Any:
        raise error

    return guard


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no such table\nsecond line"),
        KeyError("x"),
        RecursionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_one_that_raises_holds_the_touch(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = decided(_call(_raises(error), monkeypatch))
    assert is_held(decision, f"it raised {type(error).__name__}")
    assert all("\n" not in r.because for r in decision.reasons)


AWAY = timedelta(days=1)


class _NoZone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        raise ZeroDivisionError("no zone")

    def dst(self, when: datetime | None) -> timedelta | None:
        return None

    def tzname(self, when: datetime | None) -> str:
        return "none"


@pytest.mark.parametrize(
    "answer",
    [
        7,
        True,
        "tomorrow",
        (),
        object(),
        GuardDelay,
        GuardDelay(datetime(2026, 11, 9), "naive"),  # noqa: DTZ001
        GuardDelay("2026-11-09", "a text"),  # type: ignore[arg-type]
        GuardDelay(None, "nothing"),  # type: ignore[arg-type]
        GuardDelay(MONDAY + AWAY, 7),  # type: ignore[arg-type]
        Veto(None),  # type: ignore[arg-type]
        GuardDelay(datetime(2026, 11, 9, tzinfo=_NoZone()), "no zone"),
        Veto("of events", 5),  # type: ignore[arg-type]
        GuardDelay(MONDAY + 2 * AWAY, "of events", ("x",)),  # type: ignore[arg-type]
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_one_that_talks_nonsense_holds_the_touch(
    answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = decided(_call(lambda prospect, touch, at: answer, monkeypatch))
    assert msgspec.json.encode(to_builtins(decision))
    assert is_held(decision, "it ")


@pytest.mark.parametrize(
    "until_then",
    [
        MONDAY - 10 * AWAY,
        MONDAY + timedelta(minutes=1),
        datetime.min.replace(tzinfo=UTC),
        datetime(2026, 11, 3, 15, tzinfo=UTC),  # exactly when it is planned
    ],
    ids=str,
)
def test_one_can_not_bring_a_touch_forward(
    until_then: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = _call(lambda prospect, touch, at: GuardDelay(until_then, "sooner"), monkeypatch)
    decision = decided(policy)
    assert decision.at == decided(guarded()).at
    assert decision.touch == decided(guarded()).touch
    assert not any(r.rule == "ours" for r in decision.reasons)


@pytest.mark.parametrize(
    "zone",
    [
        "UTC",
        "America/New_York",
        "Asia/Kolkata",
    ],
)
def test_one_that_delays_for_ever_leaves_a_task(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    far = datetime.max.replace(tzinfo=UTC)
    policy = _call(lambda prospect, touch, at: GuardDelay(far, "some day"), monkeypatch)
    prospect = prospect_after(called(MONDAY), zone=zone)
    decision = next_touch(prospect, policy, MONDAY)
    assert decision.verdict is Verdict.TASK
    assert "guards never let it pass" in (decision.task or "")


def test_one_can_not_change_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def meddles(prospect: Prospect, touch: Touch, at: datetime) -> None:
        for thing, name in (
            (prospect, "opted_out"),
            (prospect, "stage"),
            (prospect.silence, "attempts"),
            (prospect.silence.attempts[0], "at"),
            (touch, "stage"),
            (touch.parts[0], "address"),
        ):
            try:
                setattr(thing, name, None)
            except AttributeError:
                tried.append(name)

    assert decided(_call(meddles, monkeypatch)).touch == decided(guarded()).touch
    assert tried[:6] == ["opted_out", "stage", "attempts", "at", "stage", "address"]


def test_one_sees_the_prospect_the_touch_and_the_time_and_no_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_: list[Any] = []
    decided(_call(lambda *args: given_.append(args), monkeypatch))
    prospect, touch, at = given_[0]
    assert (type(prospect), type(touch), type(at)) == (Prospect, Touch, datetime)
    seen, todo = set(), [prospect, touch, at]
    while todo:
        one = todo.pop()
        seen.add(type(one).__module__.partition(".")[0] + ":" + type(one).__name__)
        if isinstance(one, msgspec.Struct):
            assert type(one).__module__ in {
                "cadence.domain.prospect",
                "cadence.domain.words",
                "cadence.domain.events",
                "cadence.policy.touch",
            }
            todo += [getattr(one, name) for name in one.__struct_fields__]
        elif isinstance(one, tuple | frozenset):
            todo += list(one)
    assert not any("Cadence" in name or "sqlite" in name for name in seen)


def test_an_attempt_in_spite_of_one_is_refused_and_off_policy_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = _call(lambda p, t, at: GuardDelay(at + AWAY, "never today"), monkeypatch)
    prospect = prospect_after((MONDAY, AttemptMade(NO_ANSWER)), policy=guarded())
    later = MONDAY + AWAY
    with pytest.raises(Refused):
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), policy, later)
    (made,) = decide(prospect, MakeAttempt(NO_ANSWER, "they asked"), policy, later)
    assert isinstance(made, AttemptMade)
    assert "ours" in made.broke
    assert made.why == "they asked"
    # A fact that is imported is judged the same way.
    assert complete_attempt(prospect, AttemptMade(NO_ANSWER), policy, later).broke == made.broke


def test_an_attempt_while_one_fails_breaks_the_rule_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = _call(_raises(ValueError("x")), monkeypatch)
    prospect = prospect_after((MONDAY, AttemptMade(NO_ANSWER)), policy=guarded())
    with pytest.raises(Refused) as caught:
        decide(prospect, MakeAttempt(NO_ANSWER, is_strict=True), policy, MONDAY + AWAY)
    assert caught.value.rule == Rule.GUARD
    made = complete_attempt(prospect, AttemptMade(NO_ANSWER), policy, MONDAY + AWAY)
    assert Rule.GUARD in made.broke


def test_an_appointment_at_a_time_that_one_forbids_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_tuesdays(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | None:
        assert touch.stage is Stage.ON_TIME
        return GuardDelay(at + AWAY, "not on Tuesdays") if at.weekday() == 1 else None

    policy = _call(no_tuesdays, monkeypatch)
    tuesday = MONDAY + AWAY
    with pytest.raises(Refused, match="refused by ours: not on Tuesdays") as caught:
        decide(prospect_after(), SetAppointment(tuesday), policy, MONDAY)
    assert caught.value.until == tuesday + AWAY
    assert decide(prospect_after(), SetAppointment(tuesday + AWAY), policy, MONDAY) == (
        AppointmentSet(tuesday + AWAY),
    )


# Entry points -------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as a team would install it, with a guard among its entry points."""
    (tmp_path / "our_team_guards.py").write_text(
        textwrap.dedent("""
            from cadence.policy import Veto

            def no_seconds(prospect, touch, at):
                return Veto("never twice") if touch.step == "spaced#2" else None

            not_a_function = 7
        """)
    )
    info = tmp_path / "our_team-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-team\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[cadence.guards]\nno_seconds = our_team_guards:no_seconds\n"
        "broken = our_team_guards:gone\nseven = our_team_guards:not_a_function\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "our_team_guards", raising=False)
    return tmp_path


def test_a_guard_is_found_by_the_name_of_its_entry_point(package: Path) -> None:
    assert "no_seconds" in metadata.entry_points(group="cadence.guards").names
    decision = decided(custom("no_seconds"))
    assert decision.touch is not None
    assert decision.touch.step == "spaced#3"
    assert any(r.because.endswith("never twice") for r in decision.reasons)
    assert prove(custom("no_seconds")).proved


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("no_second", "use no_seconds"),
        ("nobody_has_this", 'write it as "package.module:function"'),
        ("broken", "can't be loaded: AttributeError"),
        ("seven", "invalid int"),
        ("our_team_guards:gone", "can't be loaded: AttributeError"),
        ("no_such_module:f", "can't be loaded: ModuleNotFoundError"),
        ("our_team_guards:", "can't be loaded"),
        (":", "can't be loaded"),
    ],
)
def test_a_guard_that_is_not_there_is_told_when_the_file_is_read(
    package: Path, function: str, says: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        custom(function)
    assert "guards[0].function" in caught.value.what
    assert says in caught.value.what + caught.value.hint
    assert "\n" not in caught.value.what + caught.value.hint


def test_a_guard_that_went_away_later_holds_the_touch(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = custom("our_team_guards:no_seconds")
    loaded.cache_clear()
    monkeypatch.delattr(sys.modules["our_team_guards"], "no_seconds")
    assert is_held(decided(policy), "can't be loaded")


def test_its_name_version_and_function_are_in_the_digest() -> None:
    one = custom("test_guards:current")
    other = guarded('kind = "custom"\nid = "ours"\nfunction = "test_guards:current"\nversion = 2')
    assert one.digest != other.digest
    assert PolicyRegistry(one).default is one


@given(
    st.lists(
        st.sampled_from(
            [
                'kind = "pause"\nfirst_day = "2026-11-03"\nlast_day = "2026-11-05"',
                'kind = "pause"\nid = "friday"\nfirst_day = "2026-11-06"\nlast_day = "2026-11-06"',
                'kind = "contact_window"\nmon = ["10:00-11:00"]\nthu = ["13:00-14:00"]',
                'kind = "contact_window"\nid = "b"\nthu = ["13:30-22:00"]\nfri = ["07:00-09:00"]',
            ]
        ),
        max_size=3,
        unique=True,
    ),
    st.integers(0, 14 * 24 * 4),
    st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland"]),
)
def test_the_time_that_a_refused_appointment_names_is_accepted(
    guards: list[str], quarters: int, zone: str
) -> None:
    policy, prospect = guarded(*guards), prospect_after(zone=zone)
    command = SetAppointment(MONDAY + timedelta(minutes=15 * quarters + 1))
    named = None
    try:
        decide(prospect, command, policy, MONDAY)
    except Refused as refused:
        named = refused.until
    if named is not None:
        assert named > command.at
        decide(prospect, SetAppointment(named), policy, MONDAY)
