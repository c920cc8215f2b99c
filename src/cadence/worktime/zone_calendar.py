"""Count business days, and read open hours and the clock, in one time zone.

Instants are aware and in UTC. Days are proleptic ordinals (``date.toordinal``) of local dates.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

from cadence.errors import InputError
from cadence.worktime.holidays import half_days, is_known, public_holidays, weekends
from cadence.worktime.hours import (
    QUIET_FROM,
    QUIET_UNTIL,
    Hours,
    OpenTimes,
    Region,
    Weekend,
    weekday_sources,
)
from cadence.worktime.zones import from_local, skipped_days, zone

__all__ = ["SEARCH_DAYS", "ZoneCalendar"]

SEARCH_DAYS: Final = 30
"""A touch that finds no open time within 30 days becomes a task (rule ``forgotten``)."""

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_MOST_COUNTED: Final = 60_000
"""Business days; more than there are between any two events."""
_FAR: Final = 30 * 366
"""Days; years further apart are not kept together."""

_Listed = list[tuple[int, str]]
"""Days in order, each with why it is listed."""


class _Years(NamedTuple):
    """The business days of some whole years.

    Attributes:
        first: the ordinal of the first day.
        last: the ordinal of the last day.
        hours: the open hours of each day, from the first on.
        days: the business days in order.
        counts: at ``n``, how many business days there are before the day ``first + n``.
        weekdays: which weekday of the policy each day stands for.
        moved: the days that the weekend of the country closes or opens.
        off: the days that would have open hours and are closed, and why.
        short: the days that have other hours than their weekday, and why.
    """

    first: int
    last: int
    hours: list[tuple[Hours, ...]]
    days: list[int]
    counts: list[int]
    weekdays: list[int]
    moved: list[int]
    off: _Listed
    short: _Listed


class ZoneCalendar:
    """The business days and open hours of one zone.

    Attributes:
        tz: the zone.
        times: the open hours and closed days; a weekday without hours has no business days.
        home: where the prospect lives; ``None``: unknown.
        regions: where public holidays are no business days.
    """

    def __init__(self, zone_name: str, times: OpenTimes, home: Region | None = None) -> None:
        """Make the calendar of the zone with the IANA name ``zone_name``.

        Raises:
            InputError: the zone is unknown.
        """
        self.tz = zone(zone_name)
        self.times = times
        self.home = home
        own = (home,) if home is not None and times.has_their_holidays else ()
        self.regions: tuple[Region, ...] = tuple(dict.fromkeys((*own, *times.regions)))
        # The years that were asked for so far. Replaced as a whole where it must grow, so that
        # another thread sees either the old years or the new ones.
        self._known: _Years | None = None
        # The midnight of each day asked for so far, and whether it is a plain day: to look one up
        # takes a hundredth of the time of reading the zone's rules.
        self._midnights: dict[int, tuple[datetime, bool]] = {}

    # Days ---------------------------------------------------------------------------------------

    def _years(self, first: int, last: int) -> _Years:
        """Return whole years that include the days from ``first`` to ``last``."""
        known = self._known
        if known is not None:
            if known.first <= first and last <= known.last:
                return known
            # Years far away are kept alone: no caller asks for the centuries between.
            if known.first - _FAR < last and first < known.last + _FAR:
                first, last = min(first, known.first), max(last, known.last)
        years = range(date.fromordinal(first).year, date.fromordinal(last).year + 1)
        first = date(years[0], 1, 1).toordinal()
        last = date(years[-1], 12, 31).toordinal()
        weekdays, hours = self._written(years, first, last)
        week = self.times.week
        moved = [day for day, opens in enumerate(hours, first) if opens != week[(day + 6) % 7]]
        off = {day: why for day, why in self._closures(years).items() if hours[day - first]}
        for day in off:
            hours[day - first] = ()
        short = self._shortened(years, first, hours, off)
        counts = [0, *accumulate(map(bool, hours))]
        days = [day for day, opens in enumerate(hours, first) if opens]
        listed = sorted(off.items()), sorted(short.items())
        self._known = _Years(first, last, hours, days, counts, weekdays, moved, *listed)
        return self._known

    def _written(
        self, years: range, first: int, last: int
    ) -> tuple[list[int], list[tuple[Hours, ...]]]:
        """Return the weekday that each day stands for, and the hours that this gives it."""
        times, home = self.times, self.home
        week = times.week
        if home is None or not times.has_their_weekend:
            weekdays = [(day + 6) % 7 for day in range(first, last + 1)]  # day 1 was a Monday
            return weekdays, [week[weekday] for weekday in weekdays]
        order = times.moves_with or week
        weekdays, hours = [], []
        for year in years:
            january, december = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            monday = january - (january + 6) % 7
            theirs = weekends(*home, year)
            for day in range(january, december + 1):
                weekday, kinds = (day + 6) % 7, theirs[(day - monday) // 7]
                stands_for = weekday_sources(order, kinds[0])[weekday]
                is_closed = times.moves_with is None and any(
                    weekday in kind or not week[weekday_sources(order, kind)[weekday]]
                    for kind in kinds
                )
                weekdays.append(stands_for)
                hours.append(() if is_closed else week[stands_for])
        return weekdays, hours

    def _closures(self, years: range) -> dict[int, str]:
        """Return the days that are closed whatever their weekday, and why."""
        first, last = date(years[0], 1, 1).toordinal(), date(years[-1], 12, 31).toordinal()
        closed = (day for day in self.times.closed if first <= day <= last)
        off = dict.fromkeys(closed, "closed by the policy")
        for country, subdivision in self.regions:
            for year in years:
                off.update(public_holidays(country, subdivision, year))
        for year in years:
            # A day that never was is no day on which they can be silent.
            name = f"a day that {self.tz.key} skipped"
            off.update(dict.fromkeys(skipped_days(self.tz.key, year), name))
        return off

    def _shortened(
        self, years: range, first: int, hours: list[tuple[Hours, ...]], off: dict[int, str]
    ) -> dict[int, str]:
        """Give single days the hours that the policy or a half day gives them.

        Args:
            years: which.
            first: the ordinal of their first day.
            hours: of each day; changed here.
            off: gets the half days that have no hours left.

        Returns:
            The days whose hours are others than their weekday's, and why.
        """
        times, short = self.times, {}
        own = dict(times.on)
        for day, theirs in times.on:
            if 0 <= day - first < len(hours) and hours[day - first]:
                hours[day - first] = theirs
                short[day] = "hours of that date by the policy"
        until = times.half_days_until
        if until is None:
            return short
        for country, subdivision in self.regions:
            for year in years:
                for day, name in half_days(country, subdivision, year).items():
                    whole = hours[day - first]
                    left = tuple((a, min(b, until)) for a, b in whole if a < until)
                    if day in own or left == whole:
                        continue
                    hours[day - first] = left
                    (short if left else off)[day] = f"{name}, a half day"
        return short

    def hours_on(self, day: int) -> tuple[Hours, ...]:
        """Return the open hours of ``day``; empty where it is not a business day."""
        years = self._known
        if years is None or not years.first <= day <= years.last:
            years = self._years(day, day)
        return years.hours[day - years.first]

    def weekday(self, day: int) -> int:
        """Return the weekday of the policy that ``day`` stands for; Monday is 0.

        It is another than the calendar's where the weekend of the prospect's country moves it.
        """
        years = self._years(day, day)
        return years.weekdays[day - years.first]

    def all_hours(self, first: int, last: int) -> list[tuple[Hours, ...]]:
        """Return the open hours of each day from ``first`` to ``last``."""
        years = self._years(first, last)
        return years.hours[first - years.first : last - years.first + 1]

    def is_business_day(self, day: int) -> bool:
        """Tell whether ``day`` has business hours and is neither a holiday nor closed."""
        return bool(self.hours_on(day))

    def business_days(self, after: int, until: int) -> int:
        """Count the business days after ``after``, up to and including ``until``.

        Estimated where :meth:`nth_business_day` is.
        """
        if until <= after:
            return 0
        if until - after > _MOST_COUNTED * 7 // 5:
            return (until - after) * 5 // 7
        years = self._years(after, until)
        return years.counts[until - years.first + 1] - years.counts[after - years.first + 1]

    def nth_business_day(self, after: int, n: int) -> int:
        """Return the ``n``-th business day after ``after``; ``n`` is at least 1.

        Beyond any time between two events it is estimated: nothing is due then, and to count the
        holidays of so many years takes minutes.

        Raises:
            InputError: the calendar has so few business days that there is none in ``n`` years.
        """
        if n > _MOST_COUNTED:
            return after + n * 7 // 5
        reach = after
        for _ in range(n + 6):  # pragma: no mutate (how long is a matter of patience)
            years = self._years(after, reach)
            position = years.counts[after - years.first + 1] + n - 1
            if position < len(years.days):
                return years.days[position]
            # Each of the missing days takes a day at least. Year by year would be slow.
            reach += max(366, position - len(years.days))  # pragma: no mutate
        raise InputError(
            f"calendar: missing {n} business days after {date.fromordinal(after)}",
            "give the calendar more open days of the week",
        )

    def days_off(self, after: int, until: int) -> list[tuple[int, str]]:
        """List the closed days after ``after`` up to ``until``, and why each is closed.

        Only days that would have business hours are listed; weekends are not.
        """
        return _between(self._years(after, until).off, after, until)

    def short_days(self, after: int, until: int) -> list[tuple[int, str]]:
        """List the days after ``after`` up to ``until`` with other hours than their weekday."""
        return _between(self._years(after, until).short, after, until)

    def skipped_days(self, after: int, until: int) -> list[int]:
        """List the business days after ``after`` up to ``until`` that the zone skipped."""
        years = range(date.fromordinal(after).year, date.fromordinal(until).year + 1)
        skipped = {day for year in years for day in skipped_days(self.tz.key, year)}
        return [day for day, _ in self.days_off(after, until) if day in skipped]

    def moved_days(self, after: int, until: int) -> list[int]:
        """List the days after ``after`` up to ``until`` that their weekend closes or opens."""
        moved = self._years(after, until).moved
        return moved[bisect_right(moved, after) : bisect_right(moved, until)]

    def weekend(self, day: int) -> Weekend:
        """Return the weekend of the prospect's country in the week of ``day``."""
        if self.home is None:
            return frozenset()
        january = date(date.fromordinal(day).year, 1, 1)
        monday = january.toordinal() - january.weekday()
        return weekends(*self.home, january.year)[(day - monday) // 7][0]

    def unknown_years(self, first: int, last: int) -> list[tuple[str, int]]:
        """List the countries, and years from ``first`` to ``last``, without holiday data."""
        countries = dict.fromkeys(country for country, _ in self.regions)
        years = range(date.fromordinal(first).year, date.fromordinal(last).year + 1)
        return [(one, year) for one in countries for year in years if not is_known(one, year)]

    # Clocks -------------------------------------------------------------------------------------

    def day(self, instant: datetime) -> int:
        """Return the local date of ``instant``."""
        return instant.astimezone(self.tz).toordinal()

    def at(self, day: int, second: int, microsecond: int = 0) -> datetime:
        """Return the instant at which the clock of ``day`` shows ``second`` after midnight."""
        midnight, is_plain = self._midnights.get(day) or self._midnight(day)
        since = timedelta(0, second, microsecond)
        if is_plain:
            return midnight + since
        return from_local(datetime.fromordinal(day) + since, self.tz)

    def _midnight(self, day: int) -> tuple[datetime, bool]:
        """Return the midnight of ``day``, and whether clocks skip or repeat nothing on it."""
        midnight, after = (from_local(datetime.fromordinal(n), self.tz) for n in (day, day + 1))
        # On a day of 24 hours that begins at midnight clocks neither skip nor repeat anything.
        begins = midnight.astimezone(self.tz).hour == 0  # pragma: no mutate (only saves time)
        is_plain = begins and after - midnight == timedelta(hours=24)
        self._midnights[day] = midnight, is_plain  # pragma: no mutate (only saves time)
        return midnight, is_plain

    def same_time(self, instant: datetime, day: int) -> datetime:
        """Return the local time of day of ``instant`` on another ``day``."""
        local = instant.astimezone(self.tz)
        return self.at(day, _second(local), local.microsecond)

    def after_business_days(self, anchor: datetime, n: int) -> datetime:
        """Return the local time of day of ``anchor`` on the ``n``-th business day after it."""
        local = anchor.astimezone(self.tz)
        day = self.nth_business_day(local.toordinal(), n)
        return self.at(day, _second(local), local.microsecond)

    def turn(self, instant: datetime, second: int | None, weekday: int | None) -> datetime:
        """Return another time of day, on the same day or a later business day.

        Args:
            instant: an instant of the first possible day.
            second: the local time of day, in seconds after midnight; ``None``: that of ``instant``.
            weekday: the weekday of the policy, 0 for Monday; ``None``: any. Where it is no business
                day within two weeks, the day stays.
        """
        day = self.day(instant)
        if weekday is not None:
            years = self._years(day, day + 13)
            start = day - years.first
            for position in range(start, start + 14):
                if years.weekdays[position] == weekday and years.hours[position]:
                    day = years.first + position
                    break
        return self.same_time(instant, day) if second is None else self.at(day, second)

    # Hours --------------------------------------------------------------------------------------

    def is_open_between(self, day: int, start: datetime, end: datetime) -> bool:
        """Tell whether business hours of ``day`` lie between two instants."""
        for opens, closes in self.hours_on(day):
            if self.at(day, opens) < end and start < self.at(day, closes):
                return True
        return False

    def next_waking(self, instant: datetime) -> datetime:
        """Return ``instant``, or the end of the quiet hours that it falls in."""
        local = instant.astimezone(self.tz)
        second = _second(local)
        if second < QUIET_UNTIL:
            return max(instant, self.at(local.toordinal(), QUIET_UNTIL))
        if second >= QUIET_FROM:
            return self.at(local.toordinal() + 1, QUIET_UNTIL)
        return instant

    def next_open(self, instant: datetime, hours: Hours | None = None) -> datetime | None:
        """Return ``instant``, or the next opening; ``None`` if there is none in 30 days.

        Args:
            instant: the earliest time.
            hours: hours that the prospect prefers, in place of the business hours.
        """
        local = instant.astimezone(self.tz)
        second = _second(local)
        first = day = local.toordinal()
        while day - first <= SEARCH_DAYS:
            opened = self.hours_on(day)
            if opened:
                for start, end in (hours,) if hours else opened:
                    if second < start:
                        # A start that the clocks skip can lie behind an instant after the skip.
                        opening = max(instant, self.at(day, start))
                        return opening if opening - instant <= _SEARCH else None
                    if second < end:
                        return instant
            day += 1
            second = -1
        return None


def _second(local: datetime) -> int:
    """Return how many seconds after midnight the clock shows."""
    return local.hour * 3600 + local.minute * 60 + local.second


def _between(listed: _Listed, after: int, until: int) -> _Listed:
    """Return the entries of days after ``after`` up to ``until``."""
    return listed[bisect_left(listed, (after + 1,)) : bisect_left(listed, (until + 1,))]
