"""Business time at its edges: the last day of a year, the thirtieth day, the first second."""

import warnings
from datetime import UTC, date, datetime, timedelta

import pytest

from cadence.domain import Gap
from cadence.domain.prospect import Suspension
from cadence.errors import InputError
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.holidays import check_country
from cadence.worktime.hours import OpenTimes, Week, parse_hours
from cadence.worktime.suspensions import SuspendedTime
from cadence.worktime.zone_calendar import ZoneCalendar

NINE_TO_FIVE = ((9 * 3600, 17 * 3600),)
LUNCH = ((9 * 3600, 12 * 3600), (13 * 3600, 17 * 3600))
WEEKDAYS: Week = (NINE_TO_FIVE,) * 5 + ((), ())
EVERY_DAY: Week = (NINE_TO_FIVE,) * 7
MONDAYS: Week = (NINE_TO_FIVE, (), (), (), (), (), ())
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 2, 10, tzinfo=UTC)


def here(week: Week = WEEKDAYS, *closed: date, zones: tuple[str, ...] = ("UTC",)) -> WorkCalendar:
    off = frozenset(day.toordinal() for day in closed)
    return WorkCalendar(tuple(ZoneCalendar(zone, OpenTimes(week, closed=off)) for zone in zones))


def ordinal(month: int, day: int, year: int = 2026) -> int:
    return date(year, month, day).toordinal()


def away(*spans: tuple[datetime, datetime]) -> tuple[Suspension, ...]:
    return tuple(Suspension(start, end, version) for version, (start, end) in enumerate(spans, 1))


# Days ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked_before", [(), (2024,), (2030,), (2024, 2030)])
def test_the_first_and_last_day_of_a_year_are_days_like_any_other(
    asked_before: tuple[int, ...],
) -> None:
    calendar = ZoneCalendar("UTC", OpenTimes(WEEKDAYS))
    for year in asked_before:
        calendar.business_days(ordinal(6, 1, year), ordinal(6, 30, year))
    assert calendar.business_days(ordinal(1, 1), ordinal(12, 31)) == 260
    assert calendar.is_business_day(ordinal(1, 1))
    assert calendar.is_business_day(ordinal(12, 31))
    assert not calendar.is_business_day(ordinal(1, 3))
    assert calendar.business_days(ordinal(12, 30), ordinal(1, 1, 2027)) == 2
    assert calendar.nth_business_day(ordinal(12, 30), 1) == ordinal(12, 31)
    assert calendar.nth_business_day(ordinal(12, 31), 1) == ordinal(1, 1, 2027)


def test_up_to_the_day_itself_there_is_no_business_day() -> None:
    calendar = ZoneCalendar("UTC", OpenTimes(WEEKDAYS))
    assert calendar.business_days(ordinal(11, 2), ordinal(11, 2)) == 0


def test_holidays_count_in_every_year_that_was_asked_for() -> None:
    calendar = ZoneCalendar("UTC", OpenTimes(EVERY_DAY, regions=(("DE", None),)))
    calendar.business_days(ordinal(12, 31), ordinal(1, 2, 2027))
    for year in (2025, 2026, 2027, 2028):
        assert not calendar.is_business_day(ordinal(1, 1, year))
        assert not calendar.is_business_day(ordinal(12, 25, year))


def test_a_calendar_that_opens_again_after_years_is_looked_through_to_that_day() -> None:
    closed = [date(2026, 1, 5) + 7 * n * DAY for n in range(3 * 53)]  # three years of Mondays
    calendar = ZoneCalendar(
        "UTC", OpenTimes(MONDAYS, closed=frozenset(day.toordinal() for day in closed))
    )
    assert calendar.nth_business_day(ordinal(1, 2), 2) == closed[-1].toordinal() + 14


def test_the_days_off_between_two_dates_begin_after_the_first_and_end_with_the_last() -> None:
    closed = frozenset(ordinal(11, day) for day in (2, 3, 4, 5, 7))
    calendar = ZoneCalendar("UTC", OpenTimes(WEEKDAYS, closed=closed))
    found = calendar.days_off(ordinal(11, 2), ordinal(11, 4))
    assert found == [
        (ordinal(11, 3), "closed by the policy"),
        (ordinal(11, 4), "closed by the policy"),
    ]
    assert [day for day, _ in calendar.days_off(ordinal(11, 1), ordinal(11, 30))] == [
        ordinal(11, day) for day in (2, 3, 4, 5)
    ]
    assert calendar.days_off(ordinal(11, 4), ordinal(11, 4)) == []


def test_a_country_whose_holidays_are_known_for_some_years_only_raises_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        indian = ZoneCalendar("Asia/Kolkata", OpenTimes(WEEKDAYS, regions=(("IN", None),)))
        assert not indian.is_business_day(ordinal(1, 26, 2060))


# Openings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zones", [("UTC",), ("UTC", "Europe/London")])
def test_an_opening_exactly_thirty_days_away_is_found_and_a_minute_more_is_too_far(
    zones: tuple[str, ...],
) -> None:
    closed = [date(2026, 11, 2) + n * DAY for n in range(30)]
    days = here(EVERY_DAY, *closed, zones=zones)
    opens = datetime(2026, 12, 2, 9, tzinfo=UTC)
    assert days.next_open(opens - 30 * DAY) == opens
    assert days.next_open(opens - 30 * DAY - MINUTE) is None


def test_a_day_that_is_open_from_midnight_opens_at_midnight() -> None:
    days = here((((0, 6 * 3600),),) * 7)
    assert days.next_open(MONDAY) == MONDAY + 14 * HOUR
    assert days.next_open(MONDAY + 14 * HOUR) == MONDAY + 14 * HOUR


def test_an_opening_at_half_past_is_kept_to_the_second() -> None:
    days = here((((9 * 3600 + 1800, 17 * 3600 + 1800),),) * 7)
    for seconds, opens in ((-1, 0), (0, 0), (1, 1), (59, 59), (61, 61), (8 * 3600, 24 * 3600)):
        start = MONDAY - 30 * MINUTE
        assert days.next_open(start + timedelta(seconds=seconds)) == start + timedelta(
            seconds=opens
        )


def test_the_same_time_on_a_day_when_clocks_change_is_what_clocks_show_then() -> None:
    calendar = ZoneCalendar("Europe/Berlin", OpenTimes(EVERY_DAY))
    for day, hours in (
        (date(2026, 3, 28), 9),
        (date(2026, 3, 29), 8),
        (date(2026, 3, 30), 8),
        (date(2026, 10, 24), 8),
        (date(2026, 10, 25), 9),
        (date(2026, 10, 26), 9),
    ):
        ten = calendar.at(day.toordinal(), 10 * 3600)
        assert ten == datetime(day.year, day.month, day.day, hours, tzinfo=UTC)


# Suspended time -----------------------------------------------------------------------------------


def test_an_absence_that_ends_when_it_begins_suspends_nothing() -> None:
    calendar = ZoneCalendar("UTC", OpenTimes(WEEKDAYS))
    found = SuspendedTime(away((MONDAY, MONDAY)), calendar)
    assert (found.spans, found.days) == ([], [])


def test_any_of_the_business_hours_of_a_day_are_enough_to_suspend_it() -> None:
    calendar = ZoneCalendar("UTC", OpenTimes((LUNCH,) * 7))
    day = ordinal(11, 2)
    morning = SuspendedTime(away((MONDAY, MONDAY + HOUR)), calendar)
    afternoon = SuspendedTime(away((MONDAY + 4 * HOUR, MONDAY + 5 * HOUR)), calendar)
    assert morning.days == afternoon.days == [(day, day)]
    break_ = SuspendedTime(away((MONDAY + 2 * HOUR, MONDAY + 3 * HOUR)), calendar)
    evening = SuspendedTime(away((MONDAY + 7 * HOUR, MONDAY + 9 * HOUR)), calendar)
    assert break_.days == evening.days == []


def test_two_absences_on_one_day_suspend_it_once() -> None:
    days = here()
    twice = away((MONDAY, MONDAY + HOUR), (MONDAY + 3 * HOUR, MONDAY + 4 * HOUR))
    suspended = days.suspended(twice)
    assert suspended is not None
    assert suspended[0].days == [(ordinal(11, 2), ordinal(11, 2))]
    assert days.gap(MONDAY - 3 * DAY, MONDAY + 2 * DAY, suspended) == Gap(2, 0)


def test_a_short_absence_within_a_long_one_does_not_end_it() -> None:
    spans = away(
        (MONDAY, MONDAY + DAY),
        (MONDAY + 7 * DAY, MONDAY + 14 * DAY),
        (MONDAY + 8 * DAY, MONDAY + 9 * DAY),
    )
    found = SuspendedTime(spans, ZoneCalendar("UTC", OpenTimes(WEEKDAYS)))
    assert found.spans == [
        (MONDAY, MONDAY + DAY),
        (MONDAY + 7 * DAY, MONDAY + 14 * DAY),
    ]
    assert found.elapsed(MONDAY, MONDAY + 20 * DAY) == 8 * DAY


def test_elapsed_time_that_ends_as_an_absence_begins_is_over() -> None:
    days = here()
    suspended = days.suspended(away((MONDAY + 4 * HOUR, MONDAY + 6 * HOUR)))
    assert days.after_elapsed(MONDAY, 4 * HOUR, suspended) == MONDAY + 4 * HOUR
    assert days.after_elapsed(MONDAY, 4 * HOUR + MINUTE, suspended) == MONDAY + 6 * HOUR + MINUTE
    assert days.after_elapsed(MONDAY + 6 * HOUR, HOUR, suspended) == MONDAY + 7 * HOUR


def test_backwards_in_time_there_is_no_gap() -> None:
    for back in (MINUTE, HOUR, DAY, 30 * DAY):
        assert here().gap(MONDAY, MONDAY - back) == Gap(0, 0)


# Input --------------------------------------------------------------------------------------------


def test_without_any_zone_there_is_no_business_time() -> None:
    with pytest.raises(InputError, match="the list is empty"):
        work_calendar(OpenTimes(WEEKDAYS), (), None, None)


def test_a_day_may_close_at_midnight_and_hours_are_plain_digits() -> None:
    assert parse_hours("08:00-24:00") == (8 * 3600, 24 * 3600)
    assert parse_hours(" 08:00 - 17:30 ") == (8 * 3600, 17 * 3600 + 1800)
    for text in ("+8:00-17:00", "08:+1-17:00", "08:00-24:01", "٠٨:٠٠-١٧:٠٠", "08:00-17:60"):
        with pytest.raises(InputError):
            parse_hours(text)


def test_a_stock_exchange_is_no_country() -> None:
    with pytest.raises(InputError, match="unknown 'B3'"):
        check_country("B3", None)
    check_country("US", None)
    check_country("US", "CA")


@pytest.mark.parametrize(
    ("country", "subdivision", "what", "hint"),
    [
        ("us", None, "country: unknown 'us'", "use US"),
        ("DEU", None, "country: unknown 'DEU'", "use DE"),
        ("??", None, "country: unknown '??'", "use an ISO 3166 code such as US or DE"),
        ("DE", "by", "subdivision: unknown 'by' in DE", "use BY"),
        ("SG", "01", "subdivision: unknown '01' in SG", "give none; SG has no subdivisions"),
        (
            "AT",
            "??",
            "subdivision: unknown '??' in AT",
            "use one of: 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
    ],
)
def test_an_unknown_place_is_named_with_the_nearest_that_is_known(
    country: str, subdivision: str | None, what: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_country(country, subdivision)
    assert (caught.value.what, caught.value.hint) == (what, hint)


def test_no_gap_at_all_is_kept_at_once_also_in_suspended_time() -> None:
    time = here(EVERY_DAY)
    suspended = time.suspended(away((MONDAY - HOUR, MONDAY + HOUR)))
    assert time.earliest_with_gap(MONDAY, Gap(0, 0), suspended) == MONDAY
    assert time.earliest_with_gap(MONDAY, Gap(0, 1), suspended) == MONDAY + HOUR + MINUTE
