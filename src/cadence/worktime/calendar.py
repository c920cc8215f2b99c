"""Measure gaps and find open times for a prospect, whose time zone may be uncertain.

A :class:`WorkCalendar` asks the calendar of each zone that the prospect may be in. A touch must be
allowed in every zone, a gap is the smallest of their measures, and a deadline is the latest. All
instants are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from cadence.domain.events import Gap
from cadence.domain.prospect import Suspension
from cadence.errors import InputError
from cadence.worktime.holidays import check_country
from cadence.worktime.hours import Hours, OpenTimes
from cadence.worktime.suspensions import SuspendedTime, suspended_time
from cadence.worktime.zone_calendar import SEARCH_DAYS, ZoneCalendar

__all__ = ["WorkCalendar", "work_calendar"]

_SEARCH: Final = timedelta(days=SEARCH_DAYS)


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

    def skipped_days(self, start: datetime, end: datetime) -> list[date]:
        """List the business days between two instants that the first zone skipped."""
        calendar = self._first
        skipped = calendar.skipped_days(calendar.day(start), calendar.day(end))
        return [date.fromordinal(day) for day in skipped]

    def unknown_years(self, start: datetime, end: datetime) -> list[tuple[str, int]]:
        """List the countries, and years between two instants, whose holidays are not known."""
        calendar = self._first
        return calendar.unknown_years(calendar.day(start), calendar.day(end))

    def has_hours_of(self, other: WorkCalendar, start: datetime, end: datetime) -> bool:
        """Tell whether another calendar of the same zones has the same hours between two dates."""
        return all(
            mine.all_hours(mine.day(start), mine.day(end))
            == theirs.all_hours(mine.day(start), mine.day(end))
            for mine, theirs in zip(self.calendars, other.calendars, strict=True)
        )

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
