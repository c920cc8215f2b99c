"""Business time against numpy, the holidays package, and naive walks written here."""

from datetime import UTC, date, datetime, time, timedelta

import holidays
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cadence.domain.events import Gap
from cadence.domain.prospect import Suspension
from cadence.errors import InputError
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.holidays import check_country, holidays_version
from cadence.worktime.hours import OpenTimes, parse_hours
from cadence.worktime.zone_calendar import SEARCH_DAYS, ZoneCalendar

QUARTER = timedelta(minutes=15)
TICK = timedelta(microseconds=1)
NINE_TO_FIVE = ((9 * 3600, 17 * 3600),)
WEEKDAYS = (NINE_TO_FIVE,) * 5 + ((), ())
EVERY_DAY = (NINE_TO_FIVE,) * 7
FIRST_DAY = date(2026, 1, 1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
PLACES = [
    ("DE", "BY"),
    ("DE", "BE"),
    ("US", None),
    ("US", "CA"),
    ("US", "HI"),
    ("GB", "SCT"),
    ("CH", "GE"),
    ("JP", None),
    ("BR", "SP"),
    ("IL", None),
    ("AU", "VIC"),
    ("CA", "QC"),
    ("ZA", None),
    ("IN", "MH"),
]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@st.composite
def weeks(draw):
    """Random weeks with at least one business day; hours within 08:00 to 21:00."""
    days = [()] * 7
    for day in draw(st.sets(st.integers(0, 6), min_size=1)):
        edges = draw(st.lists(st.integers(32, 84), min_size=2, max_size=2, unique=True))
        start, end = sorted(edges)
        days[day] = ((start * 900, end * 900),)
    return tuple(days)


def closed_days(last=730):
    day = st.integers(0, last).map(lambda n: FIRST_DAY.toordinal() + n)
    return st.frozensets(day, max_size=40)


def calendars(zones=ZONES):
    return st.builds(
        lambda zone, week, closed: ZoneCalendar(zone, OpenTimes(week, closed=closed)),
        st.sampled_from(zones),
        weeks(),
        closed_days(),
    )


@st.composite
def several(draw, least=2):
    """The same calendar on the clocks of several candidate zones."""
    week, closed = draw(weeks()), draw(closed_days())
    names = draw(st.lists(st.sampled_from(ZONES), min_size=least, max_size=3, unique=True))
    return WorkCalendar(tuple(ZoneCalendar(name, OpenTimes(week, closed=closed)) for name in names))


def quarters(first=0, days=300):
    start = utc(2026, 2, 1)
    return st.integers(first, days * 96).map(lambda n: start + n * QUARTER)


def suspensions():
    span = st.builds(
        lambda start, length: Suspension(start, start + length * QUARTER, 1),
        quarters(days=60),
        st.integers(0, 96 * 12),
    )
    open_ended = st.builds(lambda start: Suspension(start, None, 1), quarters(days=60))
    return st.lists(span | open_ended, max_size=4).map(tuple)


class Naive:
    """A second implementation of one calendar: walks, and nothing remembered."""

    def __init__(self, calendar, spans=()):
        self.calendar = calendar
        self.tz = calendar.tz
        self.mask = [bool(hours) for hours in calendar.times.week]
        self.holidays = [date.fromordinal(day) for day in calendar.times.closed]
        self.spans = [(s.start, s.until or self.five_days_after(s.start)) for s in spans]

    def five_days_after(self, start):
        day = self.shift(self.day(start), 5)
        return self.at(day, self.local(start).time())

    def local(self, instant):
        return instant.astimezone(self.tz).replace(tzinfo=None)

    def day(self, instant):
        return self.local(instant).date()

    def at(self, day, clock):
        # Reads fold 0; the two clocks of one skip differ by it, and the tests choose no skips.
        return datetime.combine(day, clock, tzinfo=self.tz).astimezone(UTC)

    def is_business_day(self, day):
        return bool(np.is_busday(day, weekmask=self.mask, holidays=self.holidays))

    def shift(self, day, n):
        moved = np.busday_offset(
            day, n, roll="preceding", weekmask=self.mask, holidays=self.holidays
        )
        return moved.astype(object)

    def count(self, after, until):
        one = timedelta(days=1)
        return int(
            np.busday_count(after + one, until + one, weekmask=self.mask, holidays=self.holidays)
        )

    def is_suspended_day(self, day):
        for first, last in self.calendar.times.week[day.weekday()]:
            midnight = datetime.combine(day, datetime.min.time(), tzinfo=self.tz)
            opens = (midnight + timedelta(seconds=first)).astimezone(UTC)
            closes = (midnight + timedelta(seconds=last)).astimezone(UTC)
            for start, end in self.spans:
                if max(start, opens) < min(end, closes):
                    return True
        return False

    def is_open(self, instant):
        local = self.local(instant)
        second = local.hour * 3600 + local.minute * 60
        return self.is_business_day(local.date()) and any(
            first <= second < last for first, last in self.calendar.times.week[local.weekday()]
        )

    def is_awake(self, instant):
        return 8 <= self.local(instant).hour < 21

    def silent_quarters(self, start, end):
        found = 0
        while start < end:
            found += not any(first <= start < last for first, last in self.spans)
            start += QUARTER
        return found

    def gap(self, start, end):
        first, last = self.day(start), self.day(end)
        found = 0
        day = first
        while day < last:
            day += timedelta(days=1)
            found += self.is_business_day(day) and not self.is_suspended_day(day)
        return (found, 0) if found else (0, 15 * self.silent_quarters(start, end))


def pair(gap):
    return gap.business_days, gap.minutes


# Business days ------------------------------------------------------------------------------------


@given(calendars(), st.integers(0, 900), st.integers(1, 60))
def test_the_nth_business_day_is_numpys(calendar, after, n):
    day = FIRST_DAY + timedelta(days=after)
    assert (
        calendar.nth_business_day(day.toordinal(), n) == Naive(calendar).shift(day, n).toordinal()
    )


@given(calendars(), st.integers(0, 900), st.integers(0, 400))
def test_business_days_are_counted_as_numpy_counts_them(calendar, after, length):
    day = FIRST_DAY + timedelta(days=after)
    until = day + timedelta(days=length)
    assert calendar.business_days(day.toordinal(), until.toordinal()) == Naive(calendar).count(
        day, until
    )


@given(calendars(), st.lists(st.integers(-20_000, 60_000), min_size=1, max_size=4))
@settings(max_examples=30)
def test_a_calendar_asked_out_of_order_over_many_years_gives_the_same_days(calendar, offsets):
    naive = Naive(calendar)
    for offset in offsets:
        day = FIRST_DAY + timedelta(days=offset)
        assert calendar.is_business_day(day.toordinal()) == naive.is_business_day(day)
        assert calendar.nth_business_day(day.toordinal(), 3) == naive.shift(day, 3).toordinal()


@given(calendars(), st.integers(0, 900), st.integers(1, 60))
def test_adding_business_days_and_counting_them_agree(calendar, after, n):
    start = FIRST_DAY.toordinal() + after
    end = calendar.nth_business_day(start, n)
    assert calendar.is_business_day(end)
    assert calendar.business_days(start, end) == n
    assert calendar.business_days(start, end - 1) == n - 1


@given(calendars(), st.integers(0, 900), st.integers(0, 100))
def test_nothing_lies_between_a_day_and_an_earlier_one(calendar, after, back):
    day = FIRST_DAY.toordinal() + after
    assert calendar.business_days(day, day - back) == 0


@pytest.mark.parametrize(("country", "subdivision"), PLACES)
def test_public_holidays_are_those_of_the_holidays_package(country, subdivision):
    known = holidays.country_holidays(country, subdiv=subdivision, years=range(2023, 2034))
    off = frozenset(day.toordinal() for day in known)
    theirs = ZoneCalendar("UTC", OpenTimes(WEEKDAYS, regions=((country, subdivision),)))
    ours = ZoneCalendar("UTC", OpenTimes(WEEKDAYS, closed=off))
    first, last = date(2024, 1, 1).toordinal(), date(2032, 12, 31).toordinal()
    differing = [
        date.fromordinal(day)
        for day in range(first, last)
        if theirs.is_business_day(day) != ours.is_business_day(day)
    ]
    assert differing == []


@given(st.sampled_from(PLACES), st.integers(0, 2000), st.integers(1, 40))
def test_the_nth_business_day_of_a_real_country_is_numpys(place, after, n):
    country, subdivision = place
    known = holidays.country_holidays(country, subdiv=subdivision, years=range(2025, 2034))
    calendar = ZoneCalendar("UTC", OpenTimes(WEEKDAYS, regions=((country, subdivision),)))
    naive = Naive(
        ZoneCalendar("UTC", OpenTimes(WEEKDAYS, closed=frozenset(d.toordinal() for d in known)))
    )
    day = FIRST_DAY + timedelta(days=after)
    assert calendar.nth_business_day(day.toordinal(), n) == naive.shift(day, n).toordinal()


def test_without_a_country_only_weekends_are_off():
    calendar = ZoneCalendar("Europe/Berlin", OpenTimes(WEEKDAYS))
    assert calendar.is_business_day(date(2026, 12, 25).toordinal())
    assert not calendar.is_business_day(date(2026, 12, 26).toordinal())


def test_a_policy_may_close_further_days():
    closed = frozenset({date(2026, 12, 24).toordinal()})
    calendar = ZoneCalendar(
        "Europe/Berlin", OpenTimes(WEEKDAYS, closed=closed, regions=(("DE", None),))
    )
    found = [
        day for day in range(20, 32) if calendar.is_business_day(date(2026, 12, day).toordinal())
    ]
    assert found == [21, 22, 23, 28, 29, 30, 31]


def test_days_off_are_named_and_weekends_are_not():
    closed = frozenset({date(2026, 12, 24).toordinal()})
    calendar = ZoneCalendar(
        "Europe/Berlin", OpenTimes(WEEKDAYS, closed=closed, regions=(("DE", None),))
    )
    found = WorkCalendar((calendar,)).days_off(utc(2026, 12, 23, 9), utc(2026, 12, 29, 9))
    assert [day for day, _ in found] == [date(2026, 12, 24), date(2026, 12, 25)]
    assert found[0][1] == "closed by the policy"
    assert found[1][1]


def test_a_calendar_that_never_opens_is_an_input_error_and_no_endless_search():
    calendar = ZoneCalendar("UTC", OpenTimes(((),) * 7))
    with pytest.raises(InputError):
        calendar.nth_business_day(FIRST_DAY.toordinal(), 1)


# Gaps ---------------------------------------------------------------------------------------------


@given(calendars(), quarters(days=60), st.integers(0, 96 * 40))
def test_a_gap_is_the_business_days_after_the_first_date_or_else_the_minutes(calendar, start, n):
    end = start + n * QUARTER
    assert pair(WorkCalendar((calendar,)).gap(start, end)) == Naive(calendar).gap(start, end)


@given(calendars(), suspensions(), quarters(days=60), st.integers(0, 96 * 40))
def test_a_gap_leaves_suspended_days_and_minutes_out(calendar, spans, start, n):
    end = start + n * QUARTER
    days = WorkCalendar((calendar,))
    assert pair(days.gap(start, end, days.suspended(spans))) == Naive(calendar, spans).gap(
        start, end
    )


@given(several(), suspensions(), quarters(days=60), st.integers(0, 96 * 40))
def test_with_several_zones_a_gap_is_the_smallest_of_their_measures(days, spans, start, n):
    end = start + n * QUARTER
    expected = min(Naive(calendar, spans).gap(start, end) for calendar in days.calendars)
    assert pair(days.gap(start, end, days.suspended(spans))) == expected


@given(
    several(least=1), suspensions(), quarters(days=60), st.lists(st.integers(0, 3000), min_size=2)
)
def test_a_gap_never_shrinks_as_time_goes_on(days, spans, start, steps):
    suspended = days.suspended(spans)
    found = [days.gap(start, start + n * QUARTER, suspended) for n in sorted(steps)]
    assert found == sorted(found)


def test_three_business_days_over_a_weekend_are_no_more_than_the_three_that_follow():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    assert days.gap(utc(2026, 11, 5, 9), utc(2026, 11, 10, 9)) == Gap(3, 0)
    assert days.gap(utc(2026, 11, 10, 9), utc(2026, 11, 13, 9)) == Gap(3, 0)


def test_within_one_date_a_gap_is_whole_elapsed_minutes():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    start = utc(2026, 11, 5, 9)
    assert days.gap(start, start) == Gap(0, 0)
    assert days.gap(start, start + timedelta(minutes=10)) == Gap(0, 10)
    assert days.gap(start, start + timedelta(minutes=10) - TICK) == Gap(0, 9)


def test_over_a_weekend_without_a_business_day_a_gap_is_elapsed_minutes():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    assert days.gap(utc(2026, 11, 6, 16), utc(2026, 11, 8, 16)) == Gap(0, 2 * 24 * 60)
    assert days.gap(utc(2026, 11, 6, 16), utc(2026, 11, 9, 0)) == Gap(1, 0)


def test_elapsed_minutes_are_real_ones_when_clocks_change():
    days = WorkCalendar((ZoneCalendar("Europe/Berlin", OpenTimes(WEEKDAYS)),))
    start = utc(2026, 10, 24, 22)
    assert days.gap(start, utc(2026, 10, 25, 6)) == Gap(0, 8 * 60)


def test_a_second_zone_across_the_date_line_makes_a_gap_smaller():
    names = ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    both = WorkCalendar(tuple(ZoneCalendar(name, OpenTimes(WEEKDAYS)) for name in names))
    alone = WorkCalendar((ZoneCalendar(names[0], OpenTimes(WEEKDAYS)),))
    start, end = utc(2026, 11, 4, 9), utc(2026, 11, 4, 10, 30)
    assert alone.gap(start, end) == Gap(1, 0)
    assert both.gap(start, end) == Gap(0, 90)


def test_overlapping_suspensions_are_counted_once():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    spans = (
        Suspension(utc(2026, 11, 3, 8), utc(2026, 11, 4, 18), 1),
        Suspension(utc(2026, 11, 4, 8), utc(2026, 11, 5, 18), 2),
    )
    suspended = days.suspended(spans)
    assert days.gap(utc(2026, 11, 2, 9), utc(2026, 11, 6, 9), suspended) == Gap(1, 0)
    assert days.gap(utc(2026, 11, 2, 9), utc(2026, 11, 5, 18), suspended) == Gap(0, 23 * 60)


def test_a_suspension_that_ends_before_it_begins_is_none():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    spans = (Suspension(utc(2026, 11, 6, 8), utc(2026, 11, 3, 18), 1),)
    start, end = utc(2026, 11, 2, 9), utc(2026, 11, 9, 9)
    assert days.gap(start, end, days.suspended(spans)) == Gap(5, 0)


def test_who_is_away_until_noon_was_not_silent_that_morning():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    start, end = utc(2026, 11, 2, 9), utc(2026, 11, 4, 9)
    for until, expected in ((utc(2026, 11, 3, 9), 2), (utc(2026, 11, 3, 9, 15), 1)):
        spans = (Suspension(utc(2026, 11, 2, 18), until, 1),)
        assert days.gap(start, end, days.suspended(spans)) == Gap(expected, 0)


def test_a_suspension_inside_the_lunch_break_suspends_no_business_day():
    lunch = ((9 * 3600, 12 * 3600), (13 * 3600, 17 * 3600))
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes((lunch,) * 5 + ((), ()))),))
    spans = (Suspension(utc(2026, 11, 3, 12), utc(2026, 11, 3, 13), 1),)
    found = days.gap(utc(2026, 11, 2, 9), utc(2026, 11, 4, 9), days.suspended(spans))
    assert found == Gap(2, 0)


def test_an_automatic_reply_without_an_end_suspends_for_five_business_days():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS, regions=(("DE", None),))),))
    start = utc(2026, 12, 18, 12)
    (suspended,) = days.suspended((Suspension(start, None, 1),))
    # 21, 22, 23, 24 and, after Christmas and the weekend, 28 December.
    assert suspended.spans == [(start, utc(2026, 12, 28, 12))]


@given(calendars(["UTC", "Asia/Kathmandu", "Pacific/Kiritimati"]), quarters(days=300))
def test_an_open_ended_suspension_ends_at_the_same_local_time_on_the_fifth_day(calendar, start):
    days = WorkCalendar((calendar,))
    (suspended,) = days.suspended((Suspension(start, None, 1),))
    ((first, last),) = suspended.spans
    assert first == start
    assert last == Naive(calendar).five_days_after(start)


# Adding -------------------------------------------------------------------------------------------


@given(calendars(), quarters(), st.integers(1, 40))
def test_business_days_later_is_the_same_local_time_on_numpys_day(calendar, anchor, n):
    naive = Naive(calendar)
    found = WorkCalendar((calendar,)).after_business_days(anchor, n)
    day = naive.shift(naive.day(anchor), n)
    wanted = datetime.combine(day, naive.local(anchor).time())
    back = wanted.replace(tzinfo=naive.tz).astimezone(UTC)
    assert naive.day(found) == day
    if naive.local(back) == wanted:
        assert found == back
    else:
        assert naive.local(found) > wanted


@given(calendars(), suspensions(), quarters(days=60), st.integers(1, 12))
def test_business_days_later_leaves_suspended_days_out(calendar, spans, anchor, n):
    days = WorkCalendar((calendar,))
    naive = Naive(calendar, spans)
    found = days.after_business_days(anchor, n, days.suspended(spans))
    day = naive.day(anchor)
    counted = 0
    while counted < n:
        day += timedelta(days=1)
        counted += naive.is_business_day(day) and not naive.is_suspended_day(day)
    assert naive.day(found) == day


@given(several(), suspensions(), quarters(days=60), st.integers(1, 12))
def test_with_several_zones_business_days_later_is_the_latest(days, spans, anchor, n):
    suspended = days.suspended(spans)
    alone = [WorkCalendar((calendar,)) for calendar in days.calendars]
    each = [one.after_business_days(anchor, n, one.suspended(spans)) for one in alone]
    found = days.after_business_days(anchor, n, suspended)
    assert found == max(each)
    assert days.gap(anchor, found, suspended) >= Gap(n, 0)


@pytest.mark.parametrize(
    ("zone", "anchor", "days", "expected"),
    [
        ("Europe/Berlin", utc(2026, 3, 27, 8), 1, utc(2026, 3, 30, 7)),
        ("Europe/Berlin", utc(2026, 10, 23, 7), 1, utc(2026, 10, 26, 8)),
        ("America/New_York", utc(2026, 10, 30, 13), 2, utc(2026, 11, 3, 14)),
        ("Australia/Lord_Howe", utc(2026, 4, 2, 22), 2, utc(2026, 4, 6, 22, 30)),
        ("Asia/Kathmandu", utc(2026, 4, 3, 3, 15), 2, utc(2026, 4, 7, 3, 15)),
    ],
)
def test_an_answer_time_ends_at_the_same_local_time_across_a_clock_change(
    zone, anchor, days, expected
):
    assert (
        WorkCalendar((ZoneCalendar(zone, OpenTimes(WEEKDAYS)),)).after_business_days(anchor, days)
        == expected
    )


def test_a_deadline_at_a_skipped_local_time_is_the_first_instant_after_the_skip():
    days = WorkCalendar((ZoneCalendar("Europe/Berlin", OpenTimes(EVERY_DAY)),))
    assert days.after_business_days(utc(2026, 3, 28, 1, 30), 1) == utc(2026, 3, 29, 1)


def test_a_deadline_at_a_doubled_local_time_is_the_first_of_the_two():
    days = WorkCalendar((ZoneCalendar("Europe/Berlin", OpenTimes(EVERY_DAY)),))
    assert days.after_business_days(utc(2026, 10, 24, 0, 30), 1) == utc(2026, 10, 25, 0, 30)


@given(calendars(), suspensions(), quarters(days=60), st.integers(0, 400))
def test_elapsed_time_leaves_suspended_time_out(calendar, spans, anchor, n):
    days = WorkCalendar((calendar,))
    naive = Naive(calendar, spans)
    found = days.after_elapsed(anchor, n * QUARTER, days.suspended(spans))
    assert naive.silent_quarters(anchor, found) == n
    if n:
        assert naive.silent_quarters(anchor, found - QUARTER) == n - 1


@given(several(), suspensions(), quarters(days=60), st.integers(1, 400))
def test_with_several_zones_elapsed_time_has_passed_in_every_one(days, spans, anchor, n):
    found = days.after_elapsed(anchor, n * QUARTER, days.suspended(spans))
    passed = [Naive(calendar, spans).silent_quarters(anchor, found) for calendar in days.calendars]
    assert min(passed) == n


def test_ten_minutes_are_ten_minutes_over_a_clock_change():
    days = WorkCalendar((ZoneCalendar("Europe/Berlin", OpenTimes(EVERY_DAY)),))
    start = utc(2026, 3, 29, 0, 55)
    assert days.after_elapsed(start, timedelta(minutes=10)) == start + timedelta(minutes=10)


GAPS = st.one_of(
    st.builds(Gap, st.integers(1, 15), st.just(0)),
    st.builds(Gap, st.just(0), st.integers(0, 5 * 24 * 60)),
)


@given(several(least=1), suspensions(), quarters(days=60), GAPS)
def test_the_earliest_instant_with_a_gap_has_it_and_no_earlier_one_does(days, spans, start, gap):
    suspended = days.suspended(spans)
    found = days.earliest_with_gap(start, gap, suspended)
    assert found >= start
    assert days.gap(start, found, suspended) >= gap
    if found > start:
        assert days.gap(start, found - TICK, suspended) < gap


@given(several(least=1), suspensions(), quarters(days=60), st.integers(1, 15))
def test_the_earliest_instant_with_business_days_has_them_and_no_earlier_one_does(
    days, spans, start, n
):
    suspended = days.suspended(spans)
    found = days.earliest_with_gap(start, Gap(n, 0), suspended)
    assert days.gap(start, found, suspended) == Gap(n, 0)
    assert days.gap(start, found - TICK, suspended) < Gap(n, 0)


def test_a_gap_in_minutes_is_reached_at_the_latest_with_the_next_business_day():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    wednesday = utc(2026, 11, 4, 16)
    assert days.earliest_with_gap(wednesday, Gap(0, 48 * 60)) == utc(2026, 11, 5, 0)


@given(
    several(least=1), suspensions(), quarters(days=60), st.integers(1, 40), st.integers(0, 96 * 60)
)
def test_beyond_means_more_business_days_than_that_in_every_zone(days, spans, start, n, quarter):
    end = start + quarter * QUARTER
    expected = all(Naive(calendar, spans).gap(start, end)[0] > n for calendar in days.calendars)
    assert days.is_beyond(start, n, end, days.suspended(spans)) == expected


def test_a_horizon_is_not_passed_by_days_that_they_were_away():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    monday, friday = utc(2026, 11, 2, 10), utc(2026, 11, 6, 10)
    away = days.suspended((Suspension(monday, utc(2026, 11, 5, 8), 1),))
    assert days.is_beyond(monday, 2, friday)
    assert not days.is_beyond(monday, 2, friday, away)


# Another time of day ------------------------------------------------------------------------------

STEADY = ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
"""Zones whose clocks never change, so that every time of day exists."""


@given(
    calendars(STEADY),
    quarters(days=60),
    st.none() | st.integers(0, 86_399),
    st.none() | st.integers(0, 6),
)
def test_another_time_of_day_is_that_time_on_the_first_business_day_of_its_weekday(
    calendar, instant, second, weekday
):
    naive = Naive(calendar)
    turned = naive.local(calendar.turn(instant, second, weekday))
    first, clock = naive.day(instant), naive.local(instant).time()
    if second is not None:
        clock = time(second // 3600, second // 60 % 60, second % 60)
    fortnight = [first + timedelta(days=n) for n in range(14)]
    fit = [d for d in fortnight if d.weekday() == weekday and naive.is_business_day(d)]
    assert turned == datetime.combine(fit[0] if fit else first, clock)


@given(
    several(), quarters(days=60), st.none() | st.integers(0, 86_399), st.none() | st.integers(0, 6)
)
def test_of_several_zones_another_time_of_day_is_the_latest(days, instant, second, weekday):
    turned = [calendar.turn(instant, second, weekday) for calendar in days.calendars]
    assert days.turn(instant, second, weekday) == max(turned)


# Opening ------------------------------------------------------------------------------------------


def walk(instant, content, days=SEARCH_DAYS):
    """The first quarter from ``instant`` on that ``content`` likes, within so many days."""
    for n in range(days * 96 + 1):
        if content(instant + n * QUARTER):
            return instant + n * QUARTER
    return None


@given(calendars(), quarters(days=300))
@settings(max_examples=60)
def test_the_next_opening_of_one_zone_is_that_of_a_walk(calendar, instant):
    expected = walk(instant, Naive(calendar).is_open)
    assume(expected is not None)
    assert WorkCalendar((calendar,)).next_open(instant) == expected


@given(several(), quarters(days=300))
@settings(max_examples=60)
def test_the_next_opening_of_several_zones_is_open_in_every_one(days, instant):
    naive = [Naive(calendar) for calendar in days.calendars]
    expected = walk(instant, lambda at: all(one.is_open(at) for one in naive))
    found = days.next_open(instant)
    if expected is not None:
        assert found == expected
    elif found is not None:
        assert all(one.is_open(found) for one in naive)


@given(several(least=1), quarters(days=300), st.integers(32, 83), st.integers(1, 20))
@settings(max_examples=40)
def test_hours_that_they_prefer_take_the_place_of_business_hours(days, instant, start, length):
    hours = (start * 900, min(84, start + length) * 900)
    naive = [Naive(calendar) for calendar in days.calendars]

    def preferred(at):
        return all(
            one.is_business_day(one.day(at))
            and hours[0] <= one.local(at).hour * 3600 + one.local(at).minute * 60 < hours[1]
            for one in naive
        )

    expected = walk(instant, preferred)
    assume(expected is not None)
    assert days.next_open(instant, hours) == expected


@given(several(least=1), quarters(days=300), st.integers(0, 899_999_999))
def test_an_opening_is_never_earlier_and_what_is_open_is_not_moved(days, instant, microseconds):
    instant += timedelta(microseconds=microseconds)
    found = days.next_open(instant)
    assume(found is not None)
    assert found >= instant
    assert days.next_open(found) == found


def test_open_hours_begin_inclusively_and_end_exclusively():
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    nine, five = utc(2026, 11, 5, 9), utc(2026, 11, 5, 17)
    assert days.next_open(nine) == nine
    assert days.next_open(nine - TICK) == nine
    assert days.next_open(five - TICK) == five - TICK
    assert days.next_open(five) == utc(2026, 11, 6, 9)


def test_between_two_openings_of_a_day_the_second_is_next():
    lunch = ((9 * 3600, 12 * 3600), (13 * 3600, 17 * 3600))
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes((lunch,) * 7)),))
    assert days.next_open(utc(2026, 11, 5, 12)) == utc(2026, 11, 5, 13)


@pytest.mark.parametrize("days_off", [1, 10, 29])
def test_an_opening_within_thirty_days_is_found(days_off):
    first = date(2026, 11, 2).toordinal()
    closed = frozenset(range(first, first + days_off))
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(EVERY_DAY, closed=closed)),))
    expected = utc(2026, 11, 2, 9) + timedelta(days=days_off)
    assert days.next_open(utc(2026, 11, 2, 12)) == expected


@pytest.mark.parametrize("days_off", [31, 32, 40])
@pytest.mark.parametrize("zones", [("UTC",), ("UTC", "Europe/Berlin")])
def test_an_opening_more_than_thirty_days_away_is_none(days_off, zones):
    first = date(2026, 11, 2).toordinal()
    closed = frozenset(range(first, first + days_off))
    days = WorkCalendar(
        tuple(ZoneCalendar(zone, OpenTimes(EVERY_DAY, closed=closed)) for zone in zones)
    )
    assert days.next_open(utc(2026, 11, 2, 0, 30)) is None


def test_zones_without_a_common_open_hour_never_open():
    names = ("Europe/Berlin", "Pacific/Auckland")
    days = WorkCalendar(tuple(ZoneCalendar(name, OpenTimes(WEEKDAYS)) for name in names))
    assert days.next_open(utc(2026, 11, 2, 9)) is None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ((20, 59, 59), None),
        ((21, 0, 0), (3, 8)),
        ((23, 59, 59), (3, 8)),
        ((0, 0, 0), (2, 8)),
        ((7, 59, 59), (2, 8)),
        ((8, 0, 0), None),
        ((12, 0, 0), None),
    ],
)
def test_quiet_hours_are_nine_in_the_evening_to_eight_in_the_morning(clock, expected):
    days = WorkCalendar((ZoneCalendar("UTC", OpenTimes(WEEKDAYS)),))
    instant = utc(2026, 11, 2, *clock)
    wanted = instant if expected is None else utc(2026, 11, *expected)
    assert days.next_waking(instant) == wanted


@given(calendars(), quarters(days=300))
@settings(max_examples=100)
def test_the_next_waking_time_of_one_zone_is_that_of_a_walk(calendar, instant):
    expected = walk(instant, Naive(calendar).is_awake)
    assert WorkCalendar((calendar,)).next_waking(instant) == expected


@given(several(), quarters(days=300))
@settings(max_examples=60)
@example(
    WorkCalendar(
        tuple(ZoneCalendar(n, OpenTimes(EVERY_DAY)) for n in ("UTC", "Pacific/Pago_Pago"))
    ),
    utc(2026, 2, 1, 22),
)
def test_the_next_waking_time_of_several_zones_is_outside_the_quiet_hours_of_each(days, instant):
    naive = [Naive(calendar) for calendar in days.calendars]
    expected = walk(instant, lambda at: all(one.is_awake(at) for one in naive), days=3)
    assume(expected is not None)
    assert days.next_waking(instant) == expected


def test_where_no_time_is_outside_the_quiet_hours_of_every_zone_none_is_given():
    names = ("UTC", "Asia/Tokyo", "America/Los_Angeles")
    days = WorkCalendar(tuple(ZoneCalendar(name, OpenTimes(EVERY_DAY)) for name in names))
    for hour in range(24):
        assert days.next_waking(utc(2026, 11, 2, hour)) is None


# Input --------------------------------------------------------------------------------------------


@given(st.integers(0, 23 * 60 + 59), st.integers(1, 24 * 60))
def test_hours_are_read_as_seconds_after_midnight(start, end):
    assume(start < end)
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    assert parse_hours(text) == (start * 60, end * 60)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "9-5",
        "9:00-17:00",
        "09:00",
        "09:00-",
        "-17:00",
        "09:00-09:00",
        "17:00-09:00",
        "09:60-17:00",
        "09:00-24:01",
        "25:00-26:00",
        "09:00-17:00-18:00",
        "09.00-17.00",
        "09:00:00-17:00:00",
        "aa:bb-cc:dd",
        "09:0x-17:00",
        "09:00–17:00",
    ],
)
def test_a_text_that_is_no_hours_is_an_input_error(text):
    with pytest.raises(InputError) as caught:
        parse_hours(text)
    assert caught.value.what == f"invalid hours {text!r}"
    assert caught.value.hint == 'give local hours like "09:00-17:00"'


@given(st.text(max_size=14))
def test_any_text_is_hours_or_an_input_error(text):
    try:
        start, end = parse_hours(text)
    except InputError:
        return
    assert 0 <= start < end <= 24 * 3600


@pytest.mark.parametrize(
    ("country", "subdivision", "where", "hint"),
    [
        ("XX", None, "country: unknown 'XX'", "ISO 3166"),
        ("us", None, "country: unknown 'us'", "US"),
        ("", None, "country: unknown ''", "ISO 3166"),
        ("USA", None, "country: unknown 'USA'", "US"),
        ("DE", "by", "subdivision: unknown 'by'", "BY"),
        ("DE", "XX", "subdivision: unknown 'XX'", "BY"),
        ("SG", "01", "subdivision: unknown '01'", "no subdivisions"),
    ],
)
def test_an_unknown_country_or_subdivision_is_an_input_error(country, subdivision, where, hint):
    with pytest.raises(InputError) as caught:
        check_country(country, subdivision)
    assert caught.value.what.startswith(where)
    assert hint in caught.value.hint
    with pytest.raises(InputError):
        work_calendar(OpenTimes(WEEKDAYS), ("UTC",), country, subdivision)


def test_an_unknown_zone_is_an_input_error():
    with pytest.raises(InputError, match="Europe/Berlin"):
        work_calendar(OpenTimes(WEEKDAYS), ("Europe/Berln",), None, None)


def test_business_time_has_a_calendar_for_every_candidate_zone():
    found = work_calendar(OpenTimes(WEEKDAYS), ("Europe/Berlin", "UTC"), "DE", "BY")
    assert [calendar.tz.key for calendar in found.calendars] == ["Europe/Berlin", "UTC"]
    assert {calendar.regions for calendar in found.calendars} == {(("DE", "BY"),)}
    assert found.local(utc(2026, 11, 2, 9)).hour == 10


def test_equal_open_times_and_places_share_one_calendar():
    def find(closed):
        return work_calendar(OpenTimes(tuple(WEEKDAYS), closed), ("UTC",), "DE", None)

    day = FIRST_DAY.toordinal()
    assert find(frozenset({day})) is find(frozenset({day}))
    assert find(frozenset({day})) is not find(frozenset())


def test_the_version_of_the_holiday_data_is_that_of_the_package():
    assert holidays_version() == f"holidays {holidays.__version__}"
