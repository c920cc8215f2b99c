"""Count business days, and read open hours and the clock, in one time zone.

Instants are aware and in UTC. Days are proleptic ordinals (``date.toordinal``) of local dates.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple

from cadence.errors import InputError
from cadence.worktime.holidays import public_holidays
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, Hours, Week
from cadence.worktime.zones import from_local, zone

__all__ = ["SEARCH_DAYS", "Region", "ZoneCalendar"]

Region = tuple[str, str | None]
"""A country and its subdivision (ISO 3166), whose public holidays are meant."""

SEARCH_DAYS: Final = 30
"""A touch that finds no open time within 30 days becomes a task (rule ``forgotten``)."""

_SEARCH: Final = timedelta(days=SEARCH_DAYS)


class _Years(NamedTuple):
    """The business days of some whole years.

    Attributes:
        first: the ordinal of the first day.
        last: the ordinal of the last day.
        days: the business days in order.
        counts: at ``n``, how many business days there are before the day ``first + n``.
        off: the weekdays with open hours that are closed, and why.
    """

    first: int
    last: int
    days: list[int]
    counts: list[int]
    off: list[tuple[int, str]]


class ZoneCalendar:
    """The business days and open hours of one zone.

    Attributes:
        tz: the zone.
        week: the open hours by weekday; a weekday without hours has no business days.
        closed: the ordinals of closed days.
        regions: where public holidays are no business days.
    """

    def __init__(
        self,
        zone_name: str,
        week: Week,
        *,
        closed: frozenset[int] = frozenset(),
        regions: tuple[Region, ...] = (),
    ) -> None:
        """Make the calendar of the zone with the IANA name ``zone_name``.

        Raises:
            InputError: the zone is unknown.
        """
        self.tz = zone(zone_name)
        self.week = week
        self.closed = closed
        self.regions = regions
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
            first, last = min(first, known.first), max(last, known.last)
        years = range(date.fromordinal(first).year, date.fromordinal(last).year + 1)
        first = date(years[0], 1, 1).toordinal()
        last = date(years[-1], 12, 31).toordinal()
        off = dict.fromkeys(self.closed, "closed by the policy")
        for country, subdivision in self.regions:
            for year in years:
                off.update(public_holidays(country, subdivision, year))
        week = self.week
        is_open = [
            bool(week[(day + 6) % 7]) and day not in off  # day 1 was a Monday
            for day in range(first, last + 1)
        ]
        self._known = _Years(
            first,
            last,
            [day for day, opens in enumerate(is_open, first) if opens],
            [0, *accumulate(is_open)],
            sorted((day, name) for day, name in off.items() if week[(day + 6) % 7]),
        )
        return self._known

    def is_business_day(self, day: int) -> bool:
        """Tell whether ``day`` has business hours and is neither a holiday nor closed."""
        years = self._years(day, day)
        position = day - years.first
        return years.counts[position] < years.counts[position + 1]

    def business_days(self, after: int, until: int) -> int:
        """Count the business days after ``after``, up to and including ``until``."""
        if until <= after:
            return 0
        years = self._years(after, until)
        return years.counts[until - years.first + 1] - years.counts[after - years.first + 1]

    def nth_business_day(self, after: int, n: int) -> int:
        """Return the ``n``-th business day after ``after``; ``n`` is at least 1.

        Raises:
            InputError: the calendar has so few business days that there is none in ``n`` years.
        """
        reach = after
        for _ in range(n + 6):  # pragma: no mutate (how long is a matter of patience)
            years = self._years(after, reach)
            position = years.counts[after - years.first + 1] + n - 1
            if position < len(years.days):
                return years.days[position]
            reach += 366  # pragma: no mutate (a year, more or less)
        raise InputError(
            f"calendar: missing {n} business days after {date.fromordinal(after)}",
            "give the calendar more open days of the week",
        )

    def days_off(self, after: int, until: int) -> list[tuple[int, str]]:
        """List the closed days after ``after`` up to ``until``, and why each is closed.

        Only days whose weekday has business hours are listed.
        """
        off = self._years(after, until).off
        return off[bisect_left(off, (after + 1,)) : bisect_left(off, (until + 1,))]

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
            weekday: the weekday, 0 for Monday; ``None``: any. Where it is no business day within
                two weeks, the day stays.
        """
        day = self.day(instant)
        if weekday is not None:
            ahead = (weekday - (day - 1)) % 7
            for candidate in (day + ahead, day + ahead + 7):
                if self.is_business_day(candidate):
                    day = candidate
                    break
        return self.same_time(instant, day) if second is None else self.at(day, second)

    # Hours --------------------------------------------------------------------------------------

    def is_open_between(self, day: int, start: datetime, end: datetime) -> bool:
        """Tell whether business hours of the weekday of ``day`` lie between two instants."""
        for opens, closes in self.week[(day + 6) % 7]:
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


def _second(local: datetime) -> int:
    """Return how many seconds after midnight the clock shows."""
    return local.hour * 3600 + local.minute * 60 + local.second
