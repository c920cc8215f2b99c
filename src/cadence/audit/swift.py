"""Attempts that are surely in order, at little cost; all others are judged rule by rule.

Most attempts carry out the next touch of the plan, at its time, by its channel. One look at each of
the things that could be wrong then tells that nothing is. What passes here passes every rule of
``charter.py`` and ``steps.py`` too; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cadence.audit.guards import guarded
from cadence.audit.plan import Place
from cadence.audit.records import EXIT, Made, Phase
from cadence.audit.state import File
from cadence.domain.events import AttemptMade, Channel, Part

__all__ = ["surely_in_order"]

_CAP: Final = 6
_HALF_DAY: Final = 3
_QUIET_UNTIL: Final = 8 * 3600
_QUIET_FROM: Final = 21 * 3600
_NOON: Final = 12 * 3600
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


def surely_in_order(file: File, made: Made, data: AttemptMade, place: Place | None) -> bool:
    """Whether nothing can be held against ``made``, whose gap is then measured; else look closer.

    Args:
        file: as it stood before, with no contact point lost.
        made: the attempt.
        data: as it was recorded.
        place: of the plan, whose name it has.
    """
    plan, calendar, at, second = file.plan, file.calendar, made.at, made.second
    if (
        place is None
        or place.rank != made.rank
        or (calendar is None and (file.suspensions or not made.clocks))
        or file.silence.recorded > at
        or file.preferred_channel is not None
        or file.preferred_hours is not None
        or file.not_before is not None
        or file.reopened is not None
        or data.broke
        or (plan.asks_more and not _all_it_asks(file, made))
    ):
        return False
    parts = made.parts
    if made.rank != EXIT:
        usual, channel = place.usual, parts[0].channel
        if len(parts) != len(usual) or channel is not usual[0] or channel not in file.reachable:
            return False
        if len(parts) > 1 and not _as_usual(file, parts, usual):
            return False
    elif place.weekdays:
        return False
    attempts = file.attempts
    suspended = None
    if calendar is None:
        for _, clock in made.clocks:
            if not _QUIET_UNTIL <= clock < _QUIET_FROM:
                return False
        second = _NOON  # awake everywhere
    elif file.suspensions:
        every = file.suspended
        if made.rank < _HALF_DAY or place.elapsed is not None or not every:
            return False
        suspended = every[0]
        for away, back in suspended.spans:
            if away <= at < back:
                return False
    if made.rank == 1:
        appointment = file.appointment
        return (
            not attempts
            and place.number == 0
            and file.phase == Phase.SCHEDULED
            and appointment is not None
            and appointment.at <= at
            and _QUIET_UNTIL <= second < _QUIET_FROM
        )
    if (
        not attempts
        or place.number != file.next_place
        or file.phase != Phase.OUTREACH
        or file.reach == EXIT
        or file.highest > made.rank
        or (made.rank != EXIT and place.position < file.place_counts[made.rank])
        or file.appointment is not None
        or (made.has_call and file.spaced_calls >= _CAP)
    ):
        return False
    before = attempts[-1]
    gap, since = data.gap, before.at
    if before.time is not made.time or since > at or not before.rank:
        return False
    # The gap, and whether it is as large as it has to be.
    open_day = True
    if calendar is None:
        days = _fewest_days(made, before)
    elif made.day == before.day:
        days, open_day = 0, calendar.is_business_day(made.day)
    else:
        days, open_day = calendar.business_days_onto(before.day, made.day)
    if suspended is not None and calendar is not None:
        days -= suspended.business_days(calendar, before.day, made.day)
        if days <= 0:
            return False
    minutes = 0 if days else (at - since) // _MINUTE
    if gap is not None and (gap.business_days != days or gap.minutes != minutes):
        return False
    largest = file.largest_days
    if days < largest or (days == largest and minutes < file.largest_minutes):
        return False
    elapsed = place.elapsed
    if elapsed is None:
        wanted = place.business_days
        if wanted is None or days < wanted:
            return False
        clock, fraction = before.second, since.microsecond
        if place.seconds:
            if calendar is None:
                return False
            clock, fraction = _next_time(place.seconds, clock), 0
        if calendar is None:
            if days == largest > wanted:
                return False
            if days == wanted and not _not_before_on_any_clock(made, before):
                return False
        elif days == (wanted if wanted > largest else largest) and (
            second < clock or (second == clock and at.microsecond < fraction)
        ):
            return False
    else:
        planned = since + elapsed
        if at < planned or largest or (place.within is not None and at > planned + place.within):
            return False
    # The time of day, and how long the silence has been.
    if made.rank < _HALF_DAY:
        if not _QUIET_UNTIL <= second < _QUIET_FROM:
            return False
    elif calendar is None:
        if file.time is None or file.time.next_open(at) != at:
            return False
        if made.rank != EXIT and at - attempts[0].at > plan.horizon_business_days * _DAY:
            return False
    else:
        if not open_day:
            return False
        for start, end in plan.week[(made.day + 6) % 7]:
            if start <= second < end:
                break
        else:
            return False
        if made.rank != EXIT and at - attempts[0].at > plan.horizon_business_days * _DAY:
            return False
    made.days, made.minutes, made.after = days, minutes, before.version
    return True


def _as_usual(file: File, parts: Sequence[Part], usual: Sequence[Channel]) -> bool:
    return all(
        part.channel is channel and channel in file.reachable
        for part, channel in zip(parts, usual, strict=True)
    )


def _all_it_asks(file: File, made: Made) -> bool:
    """Whether guards, limits and answer times surely let the attempt pass."""
    plan, attempts = file.plan, file.attempts
    if attempts and attempts[-1].step in plan.answers:
        return False
    if made.rank != EXIT and (plan.most_attempts, plan.most_spaced_calls) != (None, None):
        return False
    return next(guarded(file, made), None) is None


def _next_time(seconds: tuple[int, ...], clock: int) -> int:
    """The time of day that follows the latest that ``clock`` had reached."""
    before = [second for second in seconds if second <= clock] or [min(seconds)]
    return seconds[(seconds.index(max(before)) + 1) % len(seconds)]


# Several candidate zones ------------------------------------------------------------------------


def _fewest_days(made: Made, before: Made) -> int:
    """The business days of the gap in the zone that counts least."""
    assert made.time is not None  # its clocks were read
    return min(
        calendar.business_days(first[0], last[0])
        for calendar, first, last in zip(
            made.time.calendars, before.clocks, made.clocks, strict=True
        )
    )


def _not_before_on_any_clock(made: Made, before: Made) -> bool:
    """Whether the time of day of ``made`` is not before that of ``before`` in any zone."""
    return made.at.microsecond >= before.at.microsecond and all(
        last[1] >= first[1] for first, last in zip(before.clocks, made.clocks, strict=True)
    )
