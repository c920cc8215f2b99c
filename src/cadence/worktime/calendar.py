"""Measure gaps and find open times for a prospect, whose time zone may be uncertain.

A :class:`WorkCalendar` asks the calendar of each zone that the prospect may be in. A touch must be
allowed in every zone, a gap is the smallest of their measures, and a deadline is the latest. All
instants are aware and in UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from cadence.domain.events import Gap
from cadence.domain.prospect import Suspension
from cadence.errors import InputError
from cadence.worktime.holidays import check_country, regions_of
from cadence.worktime.hours import Hours, OpenTimes, Weekend
from cadence.worktime.suspensions import SuspendedTime, suspended_time
from cadence.worktime.zone_calendar import SEARCH_DAYS, ZoneCalendar

__all__ = ["Peculiarities", "WorkCalendar", "unhindered", "work_calendar"]

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_MOST_SPANS: Final = 4096


class Peculiarities(NamedTuple):
    """What a reader may have to be told of the calendar of some days.

    Attributes:
        has_moved_days: whether the weekend of the country closes or opens one of them.
        regions: those with other hours on them, together where they have the same; none where the
            prospect's region is known.
        skipped: the business days that the zone skipped.
        unknown_years: countries, and the years without holiday data.
    """

    has_moved_days: bool
    regions: tuple[tuple[str, ...], ...]
    skipped: tuple[date, ...]
    unknown_years: tuple[tuple[str, int], ...]


_NOTHING: Final = Peculiarities(False, (), (), ())


class _PeculiarDays(NamedTuple):
    """The days of a year of which :class:`Peculiarities` are made, and all of them together."""

    every: list[int]
    differing: list[int]
    moved: list[int]
    skipped: list[int]
    unknown: list[tuple[str, int]]


class WorkCalendar:
    """The business days and open hours of one prospect.

    Attributes:
        calendars: one for each zone that the prospect may be in.
    """

    def __init__(self, calendars: tuple[ZoneCalendar, ...]) -> None:
        """Combine the calendars of the zones.

        Raises:
            InputError: there is none.
        """
        if not calendars:
            raise InputError("timezone: missing, the list is empty", "give at least one IANA zone")
        self.calendars = calendars
        self._first = calendars[0]
        self._one = len(calendars) == 1  # pragma: no mutate (only saves time)
        # Guards ask for theirs at every touch; making one takes as long as a hundred questions.
        self._windows: dict[OpenTimes, WorkCalendar] = {}
        # What reasons are made of, by year and by days: a country has up to 114 regions.
        self._regions: tuple[tuple[str, ZoneCalendar], ...] | None = None
        self._peculiar: dict[int, _PeculiarDays] = {}
        self._spans: dict[tuple[int, int], Peculiarities] = {}

    def suspended(self, suspensions: tuple[Suspension, ...]) -> tuple[SuspendedTime, ...] | None:
        """Return the suspended time as each zone counts it; ``None`` if there is none."""
        if not suspensions:
            return None
        return tuple([suspended_time(suspensions, calendar) for calendar in self.calendars])

    def _zones(
        self, suspended: tuple[SuspendedTime, ...] | None
    ) -> Iterator[tuple[ZoneCalendar, SuspendedTime | None]]:
        return zip(self.calendars, suspended or (None,) * len(self.calendars), strict=True)

    # Gaps ---------------------------------------------------------------------------------------

    def gap(
        self, start: datetime, end: datetime, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> Gap:
        """Measure the gap from ``start`` to ``end``; of several zones the smallest.

        It is the number of business days after the local date of ``start`` up to and including
        that of ``end``, without suspended ones. Where that is 0, it is the elapsed minutes.
        """
        if self._one and suspended is None:  # pragma: no mutate (only saves time)
            return _gap(self._first, None, start, end)
        return min(_gap(calendar, away, start, end) for calendar, away in self._zones(suspended))

    def after_business_days(
        self, anchor: datetime, n: int, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """Return the local time of ``anchor`` on the ``n``-th business day after it.

        Suspended days do not count. Of several zones it is the latest time, which every zone
        measures as ``n`` business days or more.
        """
        if self._one and suspended is None:  # pragma: no mutate (only saves time)
            return self._first.after_business_days(anchor, n)
        return max(
            calendar.same_time(anchor, (away or calendar).nth_business_day(calendar.day(anchor), n))
            for calendar, away in self._zones(suspended)
        )

    def after_elapsed(
        self, anchor: datetime, delta: timedelta, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """Return the time ``delta`` after ``anchor``, without suspended time."""
        end = anchor + delta
        if suspended is None:
            return end
        return max(away.extend(anchor, end) for away in suspended)

    def earliest_with_gap(
        self, start: datetime, gap: Gap, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """Return the first instant whose :meth:`gap` from ``start`` is at least ``gap``."""
        if self._one and suspended is None:  # pragma: no mutate (only saves time)
            return _earliest_with_gap(self._first, None, start, gap)
        return max(
            _earliest_with_gap(calendar, away, start, gap)
            for calendar, away in self._zones(suspended)
        )

    def is_beyond(
        self,
        start: datetime,
        n: int,
        instant: datetime,
        suspended: tuple[SuspendedTime, ...] | None = None,
    ) -> bool:
        """Tell whether ``instant`` is more than ``n`` business days after ``start`` everywhere."""
        return self.gap(start, instant, suspended).business_days > n

    # Times of day -------------------------------------------------------------------------------

    def same_time(self, instant: datetime, other: datetime) -> datetime:
        """Return the local time of day of ``instant`` on the local date of ``other``.

        It is ``other`` where that would be earlier, and of several zones the latest.
        """
        return max(other, *(cal.same_time(instant, cal.day(other)) for cal in self.calendars))

    def turn(self, instant: datetime, second: int | None, weekday: int | None) -> datetime:
        """Return another time of day, as :meth:`ZoneCalendar.turn`; of several zones the latest."""
        if self._one:  # pragma: no mutate (only saves time)
            return self._first.turn(instant, second, weekday)
        return max(calendar.turn(instant, second, weekday) for calendar in self.calendars)

    def start_of_day(self, instant: datetime) -> datetime:
        """Return when the local day of ``instant`` began; of several zones the latest."""
        return max(calendar.at(calendar.day(instant), 0) for calendar in self.calendars)

    def next_waking(self, instant: datetime) -> datetime | None:
        """Return ``instant``, or the next time outside the quiet hours of every zone.

        ``None``: the zones are so far apart that they have no such time in common.
        """
        if self._one:
            return self._first.next_waking(instant)
        return self._settle(instant, lambda calendar, at: calendar.next_waking(at))

    def next_open(self, instant: datetime, hours: Hours | None = None) -> datetime | None:
        """Return ``instant``, or the next time inside the hours of every zone.

        ``None``: there is none in 30 days.

        Args:
            instant: the earliest time.
            hours: hours that the prospect prefers, in place of the business hours.
        """
        if self._one:
            return self._first.next_open(instant, hours)
        return self._settle(instant, lambda calendar, at: calendar.next_open(at, hours))

    def _settle(
        self,
        instant: datetime,
        move: Callable[[ZoneCalendar, datetime], datetime | None],
    ) -> datetime | None:
        """Move ``instant`` until every zone leaves it; ``None`` if that takes over 30 days."""
        limit = instant + _SEARCH
        moving: datetime | None = instant
        while moving is not None and moving <= limit:
            before = moving
            for calendar in self.calendars:
                moving = move(calendar, moving)
                if moving is None:
                    return None
            if moving == before:
                return moving
        return None

    def weekday(self, instant: datetime) -> int:
        """Return the weekday of the policy for the local date, in the first zone; 0 for Monday."""
        return self._first.weekday(self._first.day(instant))

    def window(self, times: OpenTimes) -> WorkCalendar:
        """Return the calendar of a guard's hours, whose weekdays move with those of this one."""
        found = self._windows.get(times)
        if found is None:
            own = self._first.times
            moved = msgspec.structs.replace(
                times,
                has_their_holidays=False,
                has_their_weekend=own.has_their_weekend,
                moves_with=own.week,
            )
            found = WorkCalendar(
                tuple(ZoneCalendar(one.tz.key, moved, one.home) for one in self.calendars)
            )
            self._windows[times] = found
        return found

    # For readers --------------------------------------------------------------------------------

    def days_off(self, start: datetime, end: datetime) -> list[tuple[date, str]]:
        """List the holidays and closed days after the date of ``start`` up to that of ``end``."""
        calendar = self._first
        return _dated(calendar.days_off(calendar.day(start), calendar.day(end)))

    def short_days(self, start: datetime, end: datetime) -> list[tuple[date, str]]:
        """List the days with hours of their own after the date of ``start`` up to ``end``."""
        calendar = self._first
        return _dated(calendar.short_days(calendar.day(start), calendar.day(end)))

    def weekend(self, instant: datetime) -> Weekend:
        """Return the weekend of the prospect's country in the week of ``instant``."""
        return self._first.weekend(self._first.day(instant))

    def peculiarities(self, start: datetime, end: datetime) -> Peculiarities | None:
        """Return what a reader may have to be told of the calendar between two instants.

        The date of ``start`` itself is left out where ``end`` is later: no gap counts it, and what
        is closed on it opens on a later one. ``None``: nothing, as almost always.
        """
        # A day more on either side, so that the zone need not be asked.
        after, until = start.toordinal() - 2, end.toordinal() + 1
        for year in range(start.year, end.year + 1):
            days = (self._peculiar.get(year) or self._peculiar_days(year)).every
            if days and bisect_right(days, until) > bisect_right(days, after):
                break
        else:
            return None
        calendar = self._first
        first, last = calendar.day(start), calendar.day(end)
        found = self._spans.get((first, last))
        if found is None:
            found = self._peculiarities(first - (first == last), last)
            if len(self._spans) >= _MOST_SPANS:
                self._spans.clear()
            self._spans[first, last] = found
        return found if found != _NOTHING else None

    def _peculiar_days(self, year: int) -> _PeculiarDays:
        calendar = self._first
        first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
        mine = calendar.all_hours(first, last)
        differing = {
            day
            for _, theirs in self._regional()
            for day, hours in enumerate(theirs.all_hours(first, last), first)
            if hours != mine[day - first]
        }
        moved = calendar.moved_days(first - 1, last)
        skipped = calendar.skipped_days(first - 1, last)
        unknown = calendar.unknown_years(first, last)
        every = range(first, last + 1) if unknown else sorted({*differing, *moved, *skipped})
        found = self._peculiar[year] = _PeculiarDays(
            list(every), sorted(differing), moved, skipped, unknown
        )
        return found

    def _peculiarities(self, after: int, until: int) -> Peculiarities:
        """Return what is peculiar to the days after ``after`` up to ``until``."""
        years = range(date.fromordinal(after + 1).year, date.fromordinal(until).year + 1)
        known = [self._peculiar.get(year) or self._peculiar_days(year) for year in years]
        days = [day for year in known for day in year.differing if after < day <= until]
        groups: dict[tuple[tuple[Hours, ...], ...], list[str]] = {}
        for region, theirs in self._regional() if days else ():
            groups.setdefault(tuple(map(theirs.hours_on, days)), []).append(region)
        groups.pop(tuple(map(self._first.hours_on, days)), None)
        return Peculiarities(
            has_moved_days=any(after < day <= until for year in known for day in year.moved),
            regions=tuple(map(tuple, groups.values())),
            skipped=tuple(
                date.fromordinal(day)
                for year in known
                for day in year.skipped
                if after < day <= until
            ),
            unknown_years=tuple(one for year in known for one in year.unknown),
        )

    def _regional(self) -> tuple[tuple[str, ZoneCalendar], ...]:
        """Return the calendar of each region, where the prospect's own is not known."""
        if self._regions is None:
            name, times, home = self._first.tz.key, self._first.times, self._first.home
            self._regions = ()
            if home is not None and home[1] is None:
                self._regions = tuple(
                    (one, ZoneCalendar(name, times, (home[0], one))) for one in regions_of(home[0])
                )
        return self._regions

    def local(self, instant: datetime) -> datetime:
        """Return the date and time in the first zone that they may be in, with its zone."""
        return instant.astimezone(self._first.tz)


def _dated(days: list[tuple[int, str]]) -> list[tuple[date, str]]:
    return [(date.fromordinal(day), name) for day, name in days]


def _gap(
    calendar: ZoneCalendar, suspended: SuspendedTime | None, start: datetime, end: datetime
) -> Gap:
    first, last = calendar.day(start), calendar.day(end)
    days = calendar.business_days(first, last)
    elapsed = end - start
    if suspended is not None:
        days -= suspended.business_days(first, last)
        elapsed -= suspended.elapsed(start, end)
    if days > 0:
        return Gap(days, 0)
    return Gap(0, max(0, elapsed // timedelta(minutes=1)))


def _earliest_with_gap(
    calendar: ZoneCalendar, suspended: SuspendedTime | None, start: datetime, gap: Gap
) -> datetime:
    days, first = suspended or calendar, calendar.day(start)
    if gap.business_days:
        return calendar.at(days.nth_business_day(first, gap.business_days), 0)
    if not gap.minutes:
        return start  # any gap is as large
    elapsed = start + timedelta(minutes=gap.minutes)
    if suspended is not None:
        elapsed = suspended.extend(start, elapsed)
    if calendar.day(elapsed) == first:
        return elapsed
    # Any number of minutes is less than one business day.
    return min(elapsed, calendar.at(days.nth_business_day(first, 1), 0))


class _Unhindered(WorkCalendar):
    """A calendar that has no time later than any calendar with so many open days a week.

    It knows no holidays, weekends, hours or clocks: of seven days in a row any may be open, but
    only so many of them.
    """

    def __init__(self, open_days: int) -> None:
        super().__init__((ZoneCalendar("UTC", OpenTimes((((0, 24 * 3600),),) * 7)),))
        self._open_days = open_days

    def after_business_days(
        self, anchor: datetime, n: int, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        found = super().after_business_days(anchor, self._days(n))
        if suspended is None:
            return found
        # Suspended time may be that of weekends, so it is left out of days without any.
        return max(found, super().after_business_days(anchor, n, suspended))

    def earliest_with_gap(
        self, start: datetime, gap: Gap, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        days = Gap(self._days(gap.business_days), gap.minutes)
        found = super().earliest_with_gap(start, days)
        if suspended is None:
            return found
        return max(found, super().earliest_with_gap(start, gap, suspended))

    def _days(self, n: int) -> int:
        """Return how many days ``n`` business days take at least."""
        return n + max(0, n - 1) // self._open_days * (7 - self._open_days)

    def next_waking(self, instant: datetime) -> datetime | None:
        return instant

    def next_open(self, instant: datetime, hours: Hours | None = None) -> datetime | None:
        return instant


@lru_cache(maxsize=7)
def unhindered(open_days: int) -> WorkCalendar:
    """Return a calendar under which no time is later than it may be for any prospect anywhere.

    Less a day, because clocks differ: a lower bound whatever the data on holidays and zones says.

    Args:
        open_days: how many days of a week have hours.
    """
    return _Unhindered(open_days)


@lru_cache(maxsize=16_384)
def work_calendar(
    times: OpenTimes, zones: tuple[str, ...], country: str | None, subdivision: str | None
) -> WorkCalendar:
    """Return the calendar of prospects who live there.

    It is cached here and nowhere else. Making one takes 140 µs, finding it 0.4 µs, as long as in
    a dictionary of the policy's own. A store has a few hundred places; 16,384 are kept.

    Args:
        times: when the team is open.
        zones: IANA names of the zones that the prospect may be in.
        country: where they live, whose holidays and weekend are closed; ``None``: unknown.
        subdivision: of that country.

    Raises:
        InputError: a zone, the country or the subdivision is unknown.
    """
    home = None
    if country is not None:
        check_country(country, subdivision)
        home = country, subdivision
    return WorkCalendar(tuple(ZoneCalendar(name, times, home) for name in zones))
