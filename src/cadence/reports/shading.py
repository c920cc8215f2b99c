"""Find when no touch may be made: closed hours, holidays and suspensions of a stretch of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

import msgspec

from cadence.domain.prospect import Prospect, Suspension
from cadence.engine.context import calendar_for
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.replay.steps import AnnotatedStep
from cadence.worktime.calendar import WorkCalendar
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = ["Shade", "ShadeKind", "shades"]


class ShadeKind(StrEnum):
    """Why a stretch of time is closed."""

    HOURS = "hours"
    HOLIDAY = "holiday"
    SUSPENDED = "suspended"


class Shade(msgspec.Struct, frozen=True):
    """A closed stretch of time; ``name`` is the holiday's."""

    kind: ShadeKind
    start: datetime
    end: datetime
    name: str = ""


def shades(
    steps: list[AnnotatedStep],
    policies: PolicyRegistry,
    start: datetime,
    end: datetime,
    *,
    hours: bool,
) -> Iterator[Shade]:
    """Yield what was closed between two instants, by what was known at each of them.

    Args:
        steps: of a replay; where the prospect moves or changes its policy, so does
            the shading.
        policies: those they were replayed with.
        start: from when on.
        end: until when.
        hours: also the hours and days outside business hours, not only the holidays.
    """
    stretches: list[tuple[WorkCalendar, datetime, datetime]] = []
    times = [_time(step.prospect, policies) for step in steps]
    bounds = [start, *(step.event.recorded_at for step in steps[1:]), end]
    for time, (a, b) in zip(times, pairwise(bounds), strict=True):
        if time is None or a >= b:
            continue
        if stretches and stretches[-1][0] is time and stretches[-1][2] == a:
            stretches[-1] = (time, stretches[-1][1], b)
        else:
            stretches.append((time, a, b))
    for time, a, b in stretches:
        if hours:
            yield from _closed_hours(time, a, b)
        yield from _holidays(time.calendars[0], a, b)
    yield from _suspended(steps, times, end)


def _time(prospect: Prospect, policies: PolicyRegistry) -> WorkCalendar | None:
    policy = policies.of(prospect)
    try:
        return None if policy is None else calendar_for(prospect, policy)
    except InputError:
        return None  # an unknown place has no hours


def _closed_hours(time: WorkCalendar, start: datetime, end: datetime) -> Iterator[Shade]:
    """The times between those at which every candidate zone is open."""
    opened = _open(time.calendars[0], start, end)
    for calendar in time.calendars[1:]:
        opened = list(_both(opened, _open(calendar, start, end)))
    closed_from = start
    for opens, closes in opened:
        if opens > closed_from:
            yield Shade(ShadeKind.HOURS, closed_from, opens)
        closed_from = max(closed_from, closes)
    if closed_from < end:
        yield Shade(ShadeKind.HOURS, closed_from, end)


def _open(
    calendar: ZoneCalendar, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    found = []
    for day in range(calendar.day(start), calendar.day(end) + 1):
        for opens, closes in calendar.hours_on(day):
            a, b = max(start, calendar.at(day, opens)), min(end, calendar.at(day, closes))
            if a < b:
                found.append((a, b))
    return found


def _both(
    some: Iterable[tuple[datetime, datetime]], others: list[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    position = 0
    for a, b in some:
        while position < len(others) and others[position][1] <= a:
            position += 1
        for c, d in others[position:]:
            if c >= b:
                break
            yield max(a, c), min(b, d)


def _holidays(calendar: ZoneCalendar, start: datetime, end: datetime) -> Iterator[Shade]:
    first, last = calendar.day(start), calendar.day(end)
    for day, name in calendar.days_off(first - 1, last):
        a, b = max(start, calendar.at(day, 0)), min(end, calendar.at(day + 1, 0))
        if a < b:
            yield Shade(ShadeKind.HOLIDAY, a, b, name)
    for day, name in calendar.short_days(first - 1, last):
        closes = calendar.at(day, calendar.hours_on(day)[-1][1])
        a, b = max(start, closes), min(end, calendar.at(day + 1, 0))
        if a < b:
            yield Shade(ShadeKind.HOLIDAY, a, b, name)


def _suspended(
    steps: list[AnnotatedStep], times: list[WorkCalendar | None], end: datetime
) -> Iterator[Shade]:
    """Each suspension from its start to its end, or to the response that ended its silence."""
    begun: dict[int, tuple[Suspension, WorkCalendar]] = {}
    ended: dict[int, datetime] = {}
    before: tuple[Suspension, ...] = ()
    for step, time in zip(steps, times, strict=True):
        current = step.prospect.silence.suspensions
        if current is before:
            continue
        kept = {one.version for one in current}
        for one in before:
            if one.version not in kept:
                ended.setdefault(one.version, step.event.recorded_at)
        for one in current:
            if time is not None:
                begun.setdefault(one.version, (one, time))
        before = current
    for version, (one, time) in begun.items():
        suspended = time.suspended((one,))
        for a, b in suspended[0].spans if suspended is not None else ():
            until = min(b, end, ended.get(version, end))
            if a < until:
                yield Shade(ShadeKind.SUSPENDED, a, until)
