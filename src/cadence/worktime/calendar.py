"""Business time: business days, public holidays, business hours, several candidate zones.

Two layers. A :class:`ZoneCalendar` knows one zone: which local dates are business days, when it is
open. :class:`WorkCalendar` asks one or several of them on behalf of a prospect whose zone may be
uncertain: a touch must be allowed in every zone, a gap is the smallest of their measures, a
deadline the latest. All instants are aware and in UTC; dates inside are proleptic ordinals.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

from cadence.domain.events import Gap
from cadence.domain.prospect import Suspension
from cadence.errors import InputError
from cadence.worktime.holidays import check_country, public_holidays
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, Hours, Week, parse_hours
from cadence.worktime.zones import from_local, zone

__all__ = [
    "AUTO_REPLY_BUSINESS_DAYS",
    "QUIET_FROM",
    "QUIET_UNTIL",
    "SEARCH_DAYS",
    "Hours",
    "Place",
    "Stride",
    "SuspendedTime",
    "WorkCalendar",
    "ZoneCalendar",
    "parse_hours",
    "work_calendar",
]

Place = tuple[str, str | None]
"""A country and its subdivision, whose public holidays are meant."""

SEARCH_DAYS: Final = 30
"""A touch that finds no open time within 30 days becomes a task (rule ``forgotten``)."""
AUTO_REPLY_BUSINESS_DAYS: Final = 5
"""How long an automatic reply that names no end suspends."""

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_STRIDE: Final = 366  # days that a stride looks ahead; behind them it starts anew


def _second(local: datetime) -> int:
    """How many seconds after midnight its clock shows."""
    return local.hour * 3600 + local.minute * 60 + local.second


def _within(second: int, spans: tuple[Hours, ...]) -> bool:
    for opens, closes in spans:  # noqa: SIM110  (a generator takes twice as long)
        if opens <= second < closes:
            return True
    return False


class ZoneCalendar:
    """Business days and open hours on the clocks and calendars of one place."""

    def __init__(
        self,
        zone_name: str,
        week: Week,
        *,
        country: str | None = None,
        subdivision: str | None = None,
        closed: frozenset[int] = frozenset(),
        also: tuple[Place, ...] = (),
    ) -> None:
        """Args:
        zone_name: IANA name.
        week: open hours by weekday; a day without hours is no business day.
        country: whose public holidays are no business days; ``None``: weekends only.
        subdivision: its state, region or canton.
        closed: ordinals of further days that are no business days.
        also: further countries and subdivisions whose public holidays are no business days.
        """
        self.tz = zone(zone_name)
        self.week = week
        self.country = country
        self.subdivision = subdivision
        self.closed = closed
        places = also if country is None else ((country, subdivision), *also)
        self._places = tuple(dict.fromkeys(places))
        # Business days of whole years around what was asked for so far, in order. Replaced as one
        # tuple when it must grow, so that threads see either the old span or the new one.
        self._span: tuple[int, int, list[int]] | None = None
        self._off: list[tuple[int, str]] = []
        # The hours of every day that has any, where those are the same.
        hours = {spans for spans in week if spans}
        self.daily = hours.pop() if len(hours) == 1 else None
        # The midnight of each day asked for so far, and whether clocks run through that day.
        self._midnights: dict[int, tuple[datetime, bool]] = {}

    # Days ---------------------------------------------------------------------------------------

    def _days(self, first: int, last: int) -> list[int]:
        if self._span is not None:
            low, high, days = self._span
            if low <= first and last <= high:
                return days
            first, last = min(first, low), max(last, high)
        years = range(date.fromordinal(first).year, date.fromordinal(last).year + 1)
        low = date(years[0], 1, 1).toordinal()
        high = date(years[-1], 12, 31).toordinal()
        off = dict.fromkeys(self.closed, "closed by the policy")
        for country, subdivision in self._places:
            for year in years:
                off.update(public_holidays(country, subdivision, year))
        week = self.week
        days = [day for day in range(low, high + 1) if week[(day + 6) % 7] and day not in off]
        self._off = sorted((day, name) for day, name in off.items() if week[(day + 6) % 7])
        self._span = (low, high, days)
        return days

    def is_business_day(self, day: int) -> bool:
        """Whether the ordinal ``day`` has business hours and is neither holiday nor closed."""
        days = self._days(day, day)
        position = bisect.bisect_left(days, day)
        return position < len(days) and days[position] == day

    def business_days(self, after: int, until: int) -> int:
        """How many business days lie after ``after``, up to and including ``until``."""
        if until <= after:
            return 0
        days = self._days(after, until)
        return bisect.bisect_right(days, until) - bisect.bisect_right(days, after)

    def business_days_onto(self, after: int, until: int) -> tuple[int, bool]:
        """:meth:`business_days`, and whether ``until``, a later day, is one itself."""
        days = self._days(after, until)
        position = bisect.bisect_right(days, until)
        onto = position > 0 and days[position - 1] == until
        return position - bisect.bisect_right(days, after, 0, position), onto

    def nth_business_day(self, after: int, n: int) -> int:
        """The ordinal of the ``n``-th business day after ``after``; ``n`` is at least 1."""
        # Ask for a span that surely holds it; a year with few business days needs a second look.
        reach = after + 2 * n + 30  # pragma: no mutate (how far at first only saves time)
        for _ in range(n + 5):  # pragma: no mutate (how long is a matter of patience)
            days = self._days(after, reach)
            position = bisect.bisect_right(days, after) + n - 1
            if position < len(days):
                return days[position]
            reach += 366  # pragma: no mutate (a year, more or less)
        raise InputError(
            f"no {n} business days follow {date.fromordinal(after)}",
            "the calendar has hardly any business days; open more days of the week",
        )

    def days_off(self, after: int, until: int) -> list[tuple[int, str]]:
        """The weekdays with business hours after ``after`` up to ``until`` that are closed, and
        why.
        """
        self._days(after, until)
        off = self._off
        return off[bisect.bisect(off, (after + 1,)) : bisect.bisect(off, (until + 1,))]

    # Clocks -------------------------------------------------------------------------------------

    def day(self, instant: datetime) -> int:
        """The ordinal of the local date."""
        return instant.astimezone(self.tz).toordinal()

    def at(self, day: int, second: int, microsecond: int = 0) -> datetime:
        """The instant at which the local clock of ``day`` shows ``second`` after midnight."""
        midnight, plain = self._midnights.get(day) or self._midnight(day)
        since = timedelta(0, second, microsecond)
        if plain:
            return midnight + since
        return from_local(datetime.fromordinal(day) + since, self.tz)

    def _midnight(self, day: int) -> tuple[datetime, bool]:
        midnight, after = (from_local(datetime.fromordinal(n), self.tz) for n in (day, day + 1))
        # On a day of 24 hours that begins at midnight clocks neither skip nor repeat anything.
        begins = midnight.astimezone(self.tz).hour == 0  # pragma: no mutate (only saves time)
        plain = begins and after - midnight == timedelta(hours=24)
        self._midnights[day] = midnight, plain  # pragma: no mutate (only saves time)
        return midnight, plain

    def same_time(self, instant: datetime, day: int) -> datetime:
        """The local time of day of ``instant`` on another ``day``."""
        local = instant.astimezone(self.tz)
        return self.at(day, _second(local), local.microsecond)

    def after_business_days(self, anchor: datetime, n: int) -> datetime:
        """The local time of day of ``anchor`` on the ``n``-th business day after it."""
        local = anchor.astimezone(self.tz)
        day = self.nth_business_day(local.toordinal(), n)
        return self.at(day, _second(local), local.microsecond)

    def open_same_day(self, anchor: datetime, instant: datetime, hours: Hours | None) -> bool:
        """Whether ``instant`` is on the local day of ``anchor``, a business day, and open."""
        local = instant.astimezone(self.tz)
        day = local.toordinal()
        if anchor.astimezone(self.tz).toordinal() != day or not self.is_business_day(day):
            return False
        return self._open_at(day, _second(local), hours)

    def _open_at(self, day: int, second: int, hours: Hours | None) -> bool:
        """Whether ``second`` lies in the hours of ``day``, if that is a business day."""
        return _within(second, (hours,) if hours else self.week[(day + 6) % 7])

    def open_between(self, day: int, start: datetime, end: datetime) -> bool:
        """Whether any business hours of ``day``'s weekday lie between two instants."""
        return any(
            self.at(day, opens) < end and start < self.at(day, closes)
            for opens, closes in self.week[(day + 6) % 7]
        )

    def next_waking(self, instant: datetime) -> datetime:
        """``instant``, or the end of the quiet hours that it falls in."""
        local = instant.astimezone(self.tz)
        second = _second(local)
        if second < QUIET_UNTIL:
            return max(instant, self.at(local.toordinal(), QUIET_UNTIL))
        if second >= QUIET_FROM:
            return self.at(local.toordinal() + 1, QUIET_UNTIL)
        return instant

    def next_open(self, instant: datetime, hours: Hours | None = None) -> datetime | None:
        """``instant``, or the next opening; ``None`` if there is none in 30 days.

        Args:
            instant: from when on.
            hours: hours that the prospect prefers, in place of the business hours.
        """
        local = instant.astimezone(self.tz)
        second = _second(local)
        first = day = local.toordinal()
        while day - first <= SEARCH_DAYS:
            if self.is_business_day(day):
                for start, end in (hours,) if hours else self.week[(day + 6) % 7]:
                    if second < start:
                        # A start that the clocks skip can lie behind an instant after the skip.
                        opening = max(instant, self.at(day, start))
                        return opening if opening - instant <= _SEARCH else None
                    if second < end:
                        return instant
            day += 1
            second = -1
        return None


class Stride:
    """One local time of day, on later and later business days.

    It answers where that takes no closer look, and keeps its place among the business days, so that
    a step costs no search.
    """

    __slots__ = ("_calendar", "_days", "_hours", "_open", "_position", "_second", "_since")

    def __init__(self, calendar: ZoneCalendar, anchor: datetime, hours: Hours | None) -> None:
        """Args:
        calendar: whose business days.
        anchor: the instant to start from, whose local time of day is kept.
        hours: hours that the prospect prefers, in place of the business hours.
        """
        local = anchor.astimezone(calendar.tz)
        self._calendar = calendar
        self._hours = hours
        self._second = _second(local)
        self._since = timedelta(0, self._second, local.microsecond)
        # Whether it is open at that time on every business day; ``None``: on some, perhaps.
        daily = (hours,) if hours else calendar.daily
        self._open = None if daily is None else _within(self._second, daily)
        day = local.toordinal()
        self._days = calendar._days(day, min(day + _STRIDE, date.max.toordinal()))
        self._position = bisect.bisect_right(self._days, day) - 1

    def on(self, n: int) -> datetime | None:
        """``n`` business days further on, at least 1, if it is open then.

        Returns:
            ``None`` where that takes a closer look: start anew from what it finds.
        """
        self._position += n
        if self._position >= len(self._days):
            return None
        day, calendar = self._days[self._position], self._calendar
        midnight, plain = calendar._midnights.get(day) or calendar._midnight(day)
        open_then = self._open
        if open_then is None:
            open_then = calendar._open_at(day, self._second, self._hours)
        return midnight + self._since if plain and open_then else None


class SuspendedTime:
    """The suspended time of a silence, as one calendar counts it.

    A business day is suspended if any of its business hours are: who is away until noon is not
    counted as having been silent that morning.
    """

    __slots__ = ("days", "spans")

    def __init__(self, suspensions: Iterable[Suspension], calendar: ZoneCalendar) -> None:
        spans = sorted((s.start, _end(s, calendar)) for s in suspensions)
        self.spans = _merge([(a, b) for a, b in spans if a < b])
        days: list[tuple[int, int]] = []
        for start, end in self.spans:
            first, last = calendar.day(start), calendar.day(end)
            if not calendar.open_between(last, start, end):
                last -= 1
            if not calendar.open_between(first, start, end):
                first += 1
            if first <= last:
                days.append((first, last))
        self.days = _merge(days)

    def business_days(self, calendar: ZoneCalendar, after: int, until: int) -> int:
        """How many of the business days after ``after`` up to ``until`` are suspended."""
        return sum(
            calendar.business_days(max(after, first - 1), min(until, last))
            for first, last in self.days
        )

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """How much of the time from ``start`` to ``end`` is suspended."""
        total = timedelta()
        for a, b in self.spans:
            total += max(timedelta(), min(b, end) - max(a, start))
        return total


def _turned(
    calendar: ZoneCalendar, instant: datetime, second: int | None, weekday: int | None
) -> datetime:
    day = calendar.day(instant)
    if weekday is not None:
        ahead = (weekday - (day - 1)) % 7
        for candidate in (day + ahead, day + ahead + 7):
            if calendar.is_business_day(candidate):
                day = candidate
                break
    return calendar.same_time(instant, day) if second is None else calendar.at(day, second)


def _skipping(
    start: datetime, end: datetime, spans: Sequence[tuple[datetime, datetime]]
) -> datetime:
    """``end`` moved later by as much of ``spans`` as lies between ``start`` and it."""
    for first, last in spans:
        if end <= first:
            break
        end += max(timedelta(), last - max(first, start))
    return end


def _end(suspension: Suspension, calendar: ZoneCalendar) -> datetime:
    if suspension.until is not None:
        return suspension.until
    day = calendar.nth_business_day(calendar.day(suspension.start), AUTO_REPLY_BUSINESS_DAYS)
    return calendar.same_time(suspension.start, day)


_T = TypeVar("_T", datetime, int)


def _merge(spans: Sequence[tuple[_T, _T]]) -> list[tuple[_T, _T]]:
    merged: list[tuple[_T, _T]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


class WorkCalendar:
    """Business time for one prospect: one calendar, or one for each zone they may be in."""

    def __init__(self, calendars: tuple[ZoneCalendar, ...]) -> None:
        if not calendars:
            raise InputError("timezone: the list is empty", "name at least one IANA zone")
        self.calendars = calendars
        self._first = calendars[0]
        self._one = len(calendars) == 1  # pragma: no mutate (only saves time)

    def suspended(self, suspensions: tuple[Suspension, ...]) -> tuple[SuspendedTime, ...] | None:
        """The suspensions as each calendar counts them; ``None`` if there are none."""
        if not suspensions:
            return None
        return tuple(SuspendedTime(suspensions, calendar) for calendar in self.calendars)

    def gap(
        self, start: datetime, end: datetime, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> Gap:
        """The gap from ``start`` to ``end``: the smallest that any candidate zone measures.

        The number of business days after the local date of ``start`` up to and including that of
        ``end``, suspended ones left out; where that is 0, the elapsed minutes.
        """
        if self._one and suspended is None:  # pragma: no mutate (only saves time)
            return self._gap(self._first, start, end, None)
        return min(
            self._gap(calendar, start, end, suspended[i] if suspended else None)
            for i, calendar in enumerate(self.calendars)
        )

    @staticmethod
    def _gap(
        calendar: ZoneCalendar, start: datetime, end: datetime, suspended: SuspendedTime | None
    ) -> Gap:
        first, last = calendar.day(start), calendar.day(end)
        days = calendar.business_days(first, last)
        elapsed = end - start
        if suspended is not None:
            days -= suspended.business_days(calendar, first, last)
            elapsed -= suspended.elapsed(start, end)
        if days > 0:
            return Gap(days, 0)
        return Gap(0, max(0, elapsed // timedelta(minutes=1)))

    def after_business_days(
        self, anchor: datetime, n: int, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """The same local time on the ``n``-th business day after ``anchor``, suspended ones left
        out; with several zones the latest of theirs, which every zone measures as ``n`` or more.
        """
        if self._one and suspended is None:  # pragma: no mutate (only saves time)
            return self._first.after_business_days(anchor, n)
        return max(
            calendar.same_time(anchor, self._nth(calendar, anchor, n, suspended, i))
            for i, calendar in enumerate(self.calendars)
        )

    @staticmethod
    def _nth(
        calendar: ZoneCalendar,
        anchor: datetime,
        n: int,
        suspended: tuple[SuspendedTime, ...] | None,
        index: int,
    ) -> int:
        first = calendar.day(anchor)
        day = calendar.nth_business_day(first, n)
        if suspended is None:
            return day
        left_out = 0
        for start, end in suspended[index].days:
            if day < start:
                break
            # The whole stretch is left out, so whatever falls into it comes after it.
            left_out += calendar.business_days(max(first, start - 1), end)
            day = calendar.nth_business_day(first, n + left_out)
        return day

    def same_time(self, instant: datetime, other: datetime) -> datetime:
        """The local time of day of ``instant`` on the local date of ``other``, or ``other`` where
        that would be earlier; with several zones the latest of theirs.
        """
        return max(other, *(cal.same_time(instant, cal.day(other)) for cal in self.calendars))

    def turn(self, instant: datetime, second: int | None, weekday: int | None) -> datetime:
        """The same day or a later business day of that ``weekday``, at ``second`` after midnight.

        The day is that of ``instant`` in each zone; with several the latest of theirs. Where no
        such weekday is a business day within two weeks, the day stays.

        Args:
            instant: on the first day that comes into question.
            second: the local time of day; ``None``: that of ``instant``.
            weekday: Monday is 0; ``None``: any.
        """
        if self._one:  # pragma: no mutate (only saves time)
            return _turned(self._first, instant, second, weekday)
        return max(_turned(calendar, instant, second, weekday) for calendar in self.calendars)

    def after_elapsed(
        self, anchor: datetime, delta: timedelta, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """``delta`` after ``anchor``, suspended time left out."""
        end = anchor + delta
        if suspended is None:
            return end
        return max(_skipping(anchor, end, one.spans) for one in suspended)

    def earliest_with_gap(
        self, start: datetime, gap: Gap, suspended: tuple[SuspendedTime, ...] | None = None
    ) -> datetime:
        """The first instant whose :meth:`gap` from ``start`` is at least ``gap``."""
        if self._one:  # pragma: no mutate (only saves time)
            return self._earliest(self._first, start, gap, suspended, 0)
        return max(
            self._earliest(calendar, start, gap, suspended, i)
            for i, calendar in enumerate(self.calendars)
        )

    def _earliest(
        self,
        calendar: ZoneCalendar,
        start: datetime,
        gap: Gap,
        suspended: tuple[SuspendedTime, ...] | None,
        index: int,
    ) -> datetime:
        if gap.business_days:
            return calendar.at(self._nth(calendar, start, gap.business_days, suspended, index), 0)
        if not gap.minutes:
            return start  # any gap is as large
        only = None if suspended is None else (suspended[index],)
        elapsed = self.after_elapsed(start, timedelta(minutes=gap.minutes), only)
        if calendar.day(elapsed) == calendar.day(start):
            return elapsed
        # Any number of minutes is less than one business day.
        return min(elapsed, calendar.at(self._nth(calendar, start, 1, suspended, index), 0))

    def is_beyond(
        self,
        start: datetime,
        n: int,
        instant: datetime,
        suspended: tuple[SuspendedTime, ...] | None = None,
    ) -> bool:
        """Whether ``instant`` lies more than ``n`` business days after ``start`` in every zone."""
        return self.gap(start, instant, suspended).business_days > n

    def next_waking(self, instant: datetime) -> datetime | None:
        """``instant``, or the next time outside the quiet hours of every zone; ``None`` if zones
        so far apart have none in common.
        """
        if self._one:
            return self._first.next_waking(instant)
        return self._settle(instant, lambda calendar, t: calendar.next_waking(t))

    def next_open(self, instant: datetime, hours: Hours | None = None) -> datetime | None:
        """``instant``, or the next time inside the hours of every zone; ``None`` beyond 30 days."""
        if self._one:
            return self._first.next_open(instant, hours)
        return self._settle(instant, lambda calendar, t: calendar.next_open(t, hours))

    def _settle(
        self,
        instant: datetime,
        move: Callable[[ZoneCalendar, datetime], datetime | None],
    ) -> datetime | None:
        """Move forward until every calendar is content; ``None`` if that takes over 30 days."""
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

    def days_off(self, start: datetime, end: datetime) -> list[tuple[date, str]]:
        """The holidays and closed days after the date of ``start`` up to that of ``end``."""
        calendar = self._first
        found = calendar.days_off(calendar.day(start), calendar.day(end))
        return [(date.fromordinal(day), name) for day, name in found]

    def local(self, instant: datetime) -> datetime:
        """The local date and time in the first candidate zone, with its zone."""
        return instant.astimezone(self._first.tz)


@lru_cache(maxsize=65536)
def work_calendar(
    zones: tuple[str, ...],
    week: Week,
    country: str | None,
    subdivision: str | None,
    closed: frozenset[int],
    also: tuple[Place, ...] = (),
) -> WorkCalendar:
    """The business time of a prospect; remembered, because calendars are costly to make.

    Raises:
        InputError: a zone, the country or the subdivision is not known.
    """
    return WorkCalendar(
        tuple(_calendar(name, week, country, subdivision, closed, also) for name in zones)
    )


@lru_cache(maxsize=4096)
def _calendar(
    name: str,
    week: Week,
    country: str | None,
    subdivision: str | None,
    closed: frozenset[int],
    also: tuple[Place, ...],
) -> ZoneCalendar:
    if country is not None:
        check_country(country, subdivision)
    return ZoneCalendar(
        name, week, country=country, subdivision=subdivision, closed=closed, also=also
    )
