"""Weekends, regions, half days and skipped days, held against a naive calendar of the design."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cadence.domain.events import Gap
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.holidays import KNOWN_WEEKENDS, is_known, regions_of
from cadence.worktime.hours import ALL_DAY, OpenTimes, week_under, weekday_sources
from cadence.worktime.zone_calendar import ZoneCalendar
from cadence.worktime.zones import skipped_days, zone_names

NINE_TO_FIVE = ((9 * 3600, 17 * 3600),)
MORNING = ((9 * 3600, 12 * 3600),)
LUNCH = ((9 * 3600, 12 * 3600), (14 * 3600, 18 * 3600))
MON_TO_FRI = (NINE_TO_FIVE,) * 5 + ((), ())
MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
ONE_PM = 13 * 3600
PLACES = [
    ("US", None),
    ("US", "CA"),
    ("SA", None),
    ("EG", None),
    ("IL", None),
    ("IR", None),
    ("BN", None),
    ("HK", None),
    ("AE", None),
    ("GB", None),
    ("GB", "SCT"),
    ("DE", None),
    ("CH", None),
    ("IS", None),
    ("TR", None),
    ("AU", None),
    ("AU", "SA"),
    ("EE", None),
    ("MY", None),
    ("MY", "03"),
    ("LK", None),
    (None, None),
]


# A naive calendar: every day is looked at by itself ----------------------------------------------


@lru_cache(maxsize=2000)
def read(country, region, year, category="public"):
    cls = getattr(holidays, country)
    if category not in cls.supported_categories:
        return frozenset()
    return frozenset(holidays.country_holidays(country, region, years=year, categories=category))


def is_day(country, region, day, category="public"):
    """Whether a day is one of the region; without one, of the nation or of half of its regions."""
    if day in read(country, region, day.year, category):
        return True
    regions = getattr(holidays, country).subdivisions
    if region is not None or not regions:
        return False
    having = [one for one in regions if day in read(country, one, day.year, category)]
    return len(having) * 2 >= len(regions)


@lru_cache(maxsize=500)
def weekend_of(country, region):
    """The weekend of today: the weekdays of the week of 2026-06-01 that the package says it has."""
    known = holidays.country_holidays(country, region)
    days = [date(2026, 6, 1) + timedelta(days=n) for n in range(7)]
    return {day.weekday() for day in days if known.is_weekend(day)}


def moved_week(week, weekend):
    """An open day on the weekend hands its hours to the next day that is neither."""
    moved = [() if day in weekend else week[day] for day in range(7)]
    for day in range(7):
        if week[day] and day in weekend:
            later = [(day + ahead) % 7 for ahead in range(1, 7)]
            free = [one for one in later if one not in weekend and not moved[one]]
            if free:
                moved[free[0]] = week[day]
    return moved


def naive_hours(day, times, country, region):
    week = list(times.week)
    if country is not None and times.has_their_weekend:
        week = moved_week(week, weekend_of(country, region))
    hours = week[day.weekday()]
    if not hours or day.toordinal() in times.closed:
        return ()
    if country is not None and is_day(country, region, day):
        return ()
    if day.toordinal() in dict(times.on):
        return dict(times.on)[day.toordinal()]
    if country is not None and is_day(country, region, day, "half_day"):
        until = times.half_days_until
        return tuple((a, min(b, until)) for a, b in hours if a < until)
    return hours


@st.composite
def policy_times(draw):
    """The open times of a policy, around the days that matter."""
    week = draw(st.lists(st.sampled_from([(), (), NINE_TO_FIVE, MORNING, LUNCH]), min_size=7))
    week = tuple(week[:7])
    if not any(week):
        week = MON_TO_FRI
    day = st.dates(date(2024, 1, 1), date(2027, 12, 31))
    eve = st.sampled_from([date(2024, 12, 24), date(2025, 12, 31), date(2026, 12, 24)])
    closed = frozenset(one.toordinal() for one in draw(st.sets(day | eve, max_size=5)))
    dates = {one.toordinal(): MORNING for one in draw(st.sets(day | eve, max_size=5))}
    return OpenTimes(
        week,
        closed,
        on=tuple(sorted(dates.items())),
        half_days_until=draw(st.sampled_from([ONE_PM, 10 * 3600, 15 * 3600])),
        has_their_weekend=draw(st.sampled_from([True, True, False])),
    )


PLAIN = OpenTimes(MON_TO_FRI, half_days_until=ONE_PM, has_their_weekend=True)


@example(PLAIN, ("GB", None), date(2027, 3, 29))
@example(PLAIN, ("SA", None), date(2026, 10, 9))
@example(PLAIN, ("IS", None), date(2026, 12, 24))
@example(PLAIN, ("LK", None), date(2027, 1, 1))
@given(policy_times(), st.sampled_from(PLACES), st.dates(date(2023, 1, 9), date(2029, 12, 20)))
def test_the_hours_of_every_day_are_those_of_the_naive_calendar(times, place, first):
    calendar = ZoneCalendar("UTC", times, None if place[0] is None else place)
    days = [first + timedelta(days=n) for n in range(14)]
    found = [calendar.hours_on(day.toordinal()) for day in days]
    assert found == [naive_hours(day, times, *place) for day in days]


@given(
    policy_times(),
    st.sampled_from(PLACES),
    st.dates(date(2023, 1, 9), date(2029, 6, 1)),
    st.integers(1, 12),
)
def test_business_days_are_counted_and_found_as_the_naive_calendar_does(times, place, day, n):
    calendar = ZoneCalendar("UTC", times, None if place[0] is None else place)
    found, walked = 0, day
    while found < n:
        walked += timedelta(days=1)
        found += bool(naive_hours(walked, times, *place))
    assert calendar.nth_business_day(day.toordinal(), n) == walked.toordinal()
    assert calendar.business_days(day.toordinal(), walked.toordinal()) == n


# Weekends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weekend", "opened"),
    [
        ({SAT, SUN}, [MON, TUE, WED, THU, FRI]),
        ({FRI, SAT}, [MON, TUE, WED, THU, SUN]),
        ({FRI}, [MON, TUE, WED, THU, SAT]),
        ({FRI, SUN}, [MON, TUE, WED, THU, SAT]),
        ({SUN}, [MON, TUE, WED, THU, FRI]),
        ({THU, FRI}, [MON, TUE, WED, SAT, SUN]),
    ],
)
def test_five_days_from_monday_keep_to_the_weekend_of_the_country(weekend, opened):
    week = week_under(MON_TO_FRI, frozenset(weekend))
    assert [day for day in range(7) if week[day]] == opened


def test_a_day_on_the_weekend_without_another_day_is_closed():
    week = week_under((NINE_TO_FIVE,) * 6 + ((),), frozenset({FRI, SAT}))
    assert [day for day in range(7) if week[day]] == [MON, TUE, WED, THU, SUN]
    assert week_under((NINE_TO_FIVE,) * 7, frozenset({FRI, SAT}))[FRI] == ()


def test_the_hours_of_a_day_move_with_it():
    week = (NINE_TO_FIVE,) * 4 + (MORNING, (), ())
    assert week_under(week, frozenset({FRI, SAT}))[SUN] == MORNING


@given(policy_times(), st.sampled_from(list(KNOWN_WEEKENDS)))
def test_no_week_has_more_open_days_than_the_policy(times, weekend):
    week = week_under(times.week, weekend)
    assert 1 <= sum(map(bool, week)) <= sum(map(bool, times.week))
    assert not any(week[day] for day in weekend)
    assert sorted(weekday_sources(times.week, weekend)) == list(range(7))


def test_the_known_weekends_are_all_that_countries_have_or_had():
    """A new weekend in the package must be known to the prover."""
    known = set(KNOWN_WEEKENDS)
    for country in holidays.list_supported_countries(include_aliases=False):
        for region in (None, *regions_of(country)) if country == "MY" else (None,):
            entity = holidays.country_holidays(country, region, expand=False)
            for year in range(1970, 2031):
                week = [date(year, 7, 1) + timedelta(days=n) for n in range(7)]
                found = frozenset(day.weekday() for day in week if entity.is_weekend(day))
                assert found in known or (country == "TW" and year <= 2000), (country, year, found)
    for weekend, country in KNOWN_WEEKENDS.items():
        assert country is None or weekend_of(country, None) == weekend


CHANGES = [("AE", 2021), ("SA", 2013), ("KW", 2007), ("QA", 2003), ("SD", 2008), ("OM", 2013)]


@given(policy_times(), st.sampled_from(CHANGES), st.integers(0, 730), st.integers(1, 12))
def test_a_change_of_weekend_brings_no_days_closer_than_a_week_does(times, change, after, n):
    """The prover counts the closest under one weekend, and no change is closer."""
    country, year = change
    times = OpenTimes(times.week, has_their_weekend=True)
    calendar = ZoneCalendar("UTC", times, (country, None))
    day = date(year, 1, 1).toordinal() + after
    took = calendar.nth_business_day(day, n) - day
    closest = min(
        days_until(week_under(times.week, weekend), start, n)
        for weekend in KNOWN_WEEKENDS
        for start in range(7)
    )
    assert took >= closest


def days_until(week, start, n):
    days = 0
    while n:
        days += 1
        n -= bool(week[(start + days) % 7])
    return days


def test_a_country_that_changed_its_weekend_has_the_one_of_that_day():
    calendar = ZoneCalendar("Asia/Dubai", PLAIN, ("AE", None))
    assert calendar.is_business_day(date(2021, 10, 3).toordinal())  # a Sunday
    assert not calendar.is_business_day(date(2021, 10, 8).toordinal())
    assert calendar.is_business_day(date(2022, 10, 7).toordinal())  # a Friday
    assert not calendar.is_business_day(date(2022, 10, 9).toordinal())


def test_a_window_moves_with_the_calendar_and_no_weekend_closes_it():
    window = OpenTimes(((),) * 4 + (MORNING, LUNCH, ()))
    riyadh = work_calendar(PLAIN, ("Asia/Riyadh",), "SA", None)
    hours = [
        riyadh.window(window).calendars[0].hours_on(date(2026, 10, 5 + day).toordinal())
        for day in range(7)
    ]
    assert hours == [(), (), (), (), (), LUNCH, MORNING]
    everywhere = work_calendar(PLAIN, ("UTC",), None, None).window(window)
    assert everywhere.calendars[0].hours_on(date(2026, 10, 9).toordinal()) == MORNING


# Regions ------------------------------------------------------------------------------------------


def test_easter_monday_is_closed_in_britain_without_a_region_and_open_in_scotland():
    monday = date(2027, 3, 29).toordinal()
    opened = {
        region: ZoneCalendar("Europe/London", PLAIN, ("GB", region)).is_business_day(monday)
        for region in (None, "ENG", "SCT", "WLS", "NIR")
    }
    assert opened == {None: False, "ENG": False, "SCT": True, "WLS": False, "NIR": False}


@pytest.mark.parametrize(
    ("country", "day", "opens"),
    [
        ("ES", date(2026, 12, 7), False),  # ten of twenty regions
        ("FM", date(2026, 4, 3), False),  # two of four
        ("DE", date(2028, 10, 31), False),  # nine of seventeen
        ("DE", date(2027, 5, 27), True),  # seven of seventeen: Corpus Christi
    ],
)
def test_a_day_is_closed_that_half_of_the_regions_close(country, day, opens):
    calendar = ZoneCalendar("UTC", PLAIN, (country, None))
    assert calendar.is_business_day(day.toordinal()) is opens


# Half days and hours of a date --------------------------------------------------------------------


def test_a_half_day_closes_at_one_and_is_a_business_day():
    iceland = WorkCalendar((ZoneCalendar("Atlantic/Reykjavik", PLAIN, ("IS", None)),))
    assert iceland.next_open(datetime(2026, 12, 24, 13, 10, tzinfo=UTC)) == datetime(
        2026, 12, 28, 9, tzinfo=UTC
    )
    wednesday, thursday = (datetime(2026, 12, day, 9, tzinfo=UTC) for day in (23, 24))
    assert iceland.gap(wednesday, thursday) == Gap(1, 0)
    assert [name for _, name in iceland.short_days(wednesday, thursday)] == [
        "Christmas Eve (from 1pm), a half day"
    ]


def test_a_half_day_without_hours_left_is_closed_and_named():
    evening = OpenTimes((((14 * 3600, 18 * 3600),),) * 7, half_days_until=ONE_PM)
    calendar = ZoneCalendar("Atlantic/Reykjavik", evening, ("IS", None))
    eve = date(2026, 12, 24).toordinal()
    assert not calendar.is_business_day(eve)
    assert calendar.days_off(eve - 1, eve) == [(eve, "Christmas Eve (from 1pm), a half day")]


def test_hours_of_a_date_stand_in_place_of_its_weekdays_and_of_a_half_day():
    eve = date(2026, 12, 24).toordinal()
    times = OpenTimes(MON_TO_FRI, on=((eve, MORNING),), half_days_until=ONE_PM)
    assert ZoneCalendar("UTC", times).hours_on(eve) == MORNING
    assert ZoneCalendar("UTC", times, ("IS", None)).hours_on(eve) == MORNING
    assert ZoneCalendar("UTC", times, ("IS", None)).hours_on(eve + 1) == ()


# Days that never were -----------------------------------------------------------------------------


def test_a_day_that_a_zone_skipped_is_no_business_day():
    samoa = ZoneCalendar("Pacific/Apia", OpenTimes(MON_TO_FRI))
    thursday, friday, monday = (
        date(*day).toordinal() for day in ((2011, 12, 29), (2011, 12, 30), (2012, 1, 2))
    )
    assert not samoa.is_business_day(friday)
    assert samoa.nth_business_day(thursday, 1) == monday
    assert samoa.skipped_days(thursday, monday) == [friday]
    assert samoa.days_off(thursday, monday) == [(friday, "a day that Pacific/Apia skipped")]
    assert ZoneCalendar("Pacific/Pago_Pago", OpenTimes(MON_TO_FRI)).is_business_day(friday)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("Pacific/Apia", date(2011, 12, 30)),
        ("Pacific/Fakaofo", date(2011, 12, 30)),
        ("Pacific/Kwajalein", date(1993, 8, 21)),
        ("Pacific/Kiritimati", date(1994, 12, 31)),
    ],
)
def test_the_skipped_days_are_those_on_which_no_clock_shows_noon(name, day):
    assert [date.fromordinal(one) for one in skipped_days(name, day.year)] == [day]


def test_no_other_zone_skipped_a_day_since_1970():
    skipped = {
        (name, date.fromordinal(day))
        for name in zone_names()
        for year in range(1970, 2030)
        for day in skipped_days(name, year)
    }
    for name, day in skipped:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(name))
        assert noon.astimezone(UTC).astimezone(ZoneInfo(name)).date() != day
    assert {day for _, day in skipped} == {
        date(2011, 12, 30),
        date(1993, 8, 21),
        date(1994, 12, 31),
    }


# Where the data ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "year", "known"),
    [
        ("LK", 2026, True),
        ("LK", 2027, False),
        ("IN", 2035, True),
        ("IN", 2036, False),
        ("US", 2100, True),
        ("US", 2101, False),
        ("FJ", 2015, False),
    ],
)
def test_a_year_that_the_package_has_not_is_not_known(country, year, known):
    assert is_known(country, year) is known


def test_the_years_without_data_are_listed_for_a_prospects_country():
    lanka = ZoneCalendar("Asia/Colombo", OpenTimes(ALL_DAY), ("LK", None))
    first, last = date(2026, 12, 30).toordinal(), date(2027, 1, 4).toordinal()
    assert lanka.unknown_years(first, last) == [("LK", 2027)]
    assert lanka.unknown_years(first - 300, first) == []
