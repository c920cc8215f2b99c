"""When a touch of the plan may be made, and on which channels, as the audit works it out.

Everything here is a lower bound of what the engine may propose: where it depends on what a history
does not tell, the earlier time is taken, so that nobody is accused in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.audit.guards import Used, objections
from cadence.audit.invariants import show, span
from cadence.audit.plan import Place
from cadence.audit.records import EXIT, Made
from cadence.audit.state import File
from cadence.domain.events import Channel, Gap
from cadence.errors import InputError
from cadence.worktime.calendar import SuspendedTime
from cadence.worktime.hours import Hours, parse_hours

__all__ = [
    "Earliest",
    "behind_horizon",
    "earliest",
    "planned",
    "possible",
    "preferred",
    "would_use",
]

_CONCERN: Final = 5
_CONCERN_DAYS: Final = 21
_HALF_DAY: Final = 3
_QUIET_UNTIL: Final = 8 * 3600
_QUIET_FROM: Final = 21 * 3600
_DAY: Final = timedelta(days=1)
_SEARCH: Final = timedelta(days=30)


# On which channels --------------------------------------------------------------------------------


def would_use(file: File, place: Place) -> list[Used]:
    """What the touch would use: for each part the preferred channel or the first that is left.

    None twice; a part that goes along with a channel only if a part before it is on that. The
    exit takes whatever is left, if none of its own channels is.
    """
    used: list[Used] = []
    taken: set[Channel] = set()
    left = [point for point in file.points_left() if point[0] in file.plan.usable]
    if place.rank == EXIT:
        tried = file.tried()
        left = [point for point in left if point not in tried]
    preferred_channel = file.preferred_channel
    for channels, along_with in place.parts:
        if along_with is not None and along_with not in taken:
            continue
        if preferred_channel in channels:
            channels = (preferred_channel, *channels)
        for channel in channels:
            address = next((one[1] for one in left if one[0] is channel), None)
            if address is not None and channel not in taken:
                taken.add(channel)
                used.append((channel, address))
                break
    if not used and place.rank == EXIT:
        used += left[:1]
    return used


# When ---------------------------------------------------------------------------------------------


def planned(file: File, place: Place, after_pause: bool, lapsed: datetime | None) -> datetime:
    """When the plan alone would make the touch.

    Args:
        file: as it stood before.
        place: the touch.
        after_pause: it is the first one after a pause.
        lapsed: the planned time of a touch that lapsed before it.
    """
    appointment, time = file.appointment, file.time
    assert time is not None  # plan_breach() looked
    if place.rank == 1:
        return file.since if appointment is None else appointment.at
    if after_pause and file.pause_until is not None:
        return file.pause_until
    last = file.attempts[-1] if file.attempts else None
    if place.elapsed is not None:
        # The exact steps are measured from the plan, not from extras.
        last = _last_of_the_plan(file)
    if last is not None and appointment is not None and appointment.at > last.at:
        last = None
    start = file.since if last is None else last.at
    if last is None and appointment is not None:
        start = appointment.at
    if lapsed is not None and lapsed > start:
        start = lapsed
    suspended = file.suspended
    if place.elapsed is not None:
        if place.rank < _HALF_DAY:
            suspended = None  # the appointment's own steps are not moved
        return time.after_elapsed(start, place.elapsed, suspended)
    assert place.business_days is not None  # a step is one or the other
    found = time.after_business_days(start, place.business_days, suspended)
    if place.seconds or place.weekdays:
        found = time.turn(found, _next_time(file, place, last), _next_weekday(file, place, last))
    return found


def _last_of_the_plan(file: File) -> Made | None:
    """The last attempt that took the place of a touch; if none did, the last of all."""
    for made in reversed(file.attempts):
        if made.rank:
            return made
    return file.attempts[-1] if file.attempts else None


def _next_time(file: File, place: Place, last: Made | None) -> int | None:
    """The time of day after that of ``last``, which counts for the latest that it had reached."""
    if not place.seconds:
        return None
    if last is None:
        return place.seconds[0]
    assert file.time is not None  # plan_breach() looked
    local = file.time.local(last.at)
    clock = local.hour * 3600 + local.minute * 60 + local.second
    before = [second for second in place.seconds if second <= clock] or [min(place.seconds)]
    return place.seconds[(place.seconds.index(max(before)) + 1) % len(place.seconds)]


def _next_weekday(file: File, place: Place, last: Made | None) -> int | None:
    if not place.weekdays:
        return None
    assert file.time is not None  # plan_breach() looked
    day = None if last is None else file.time.local(last.at).weekday()
    if day not in place.weekdays:
        return place.weekdays[0]
    return place.weekdays[(place.weekdays.index(day) + 1) % len(place.weekdays)]


class Earliest(NamedTuple):
    """Before when a touch may not be made; ``because`` ends where that time is to be named."""

    at: datetime
    because: str


def earliest(
    file: File, place: Place, after_pause: bool, lapsed: datetime | None, *, instead: bool
) -> Earliest:
    """Before when the touch may not be made, whatever the hour.

    Args:
        file: as it stood before.
        place: the touch.
        after_pause: it is the first one after a pause.
        lapsed: the planned time of a touch that lapsed before it.
        instead: it replaces one that was passed over for its lateness. When that one had been due
            is not known, so of the day to which the largest gap moves it any time will do.
    """
    time = file.time
    assert time is not None  # plan_breach() looked
    found = Earliest(planned(file, place, after_pause, lapsed), f"{place.name} was planned for ")
    if file.not_before is not None and file.not_before > found.at:
        because = f"when the policy was adopted, {place.name} was promised for "
        found = Earliest(file.not_before, because)
    answered = _answered(file)
    if answered is not None and answered[0] > found.at:
        because = f"they had time to answer {answered[1]}, so {place.name} was next on "
        found = Earliest(answered[0], because)
    if place.rank != 1 and file.attempts and (file.largest_days or file.largest_minutes):
        gap = Gap(file.largest_days, file.largest_minutes)
        ratchet = time.earliest_with_gap(file.attempts[-1].at, gap, file.suspended)
        if ratchet > found.at:
            if file.largest_days and not instead:
                ratchet = time.same_time(found.at, ratchet)
                weekday = _next_weekday(file, place, file.attempts[-1])
                if weekday is not None:
                    ratchet = time.turn(ratchet, None, weekday)
            longest = span(file.largest_days, file.largest_minutes)
            because = f"the largest gap so far is {longest}, so {place.name} was next on "
            found = Earliest(ratchet, because)
    days = max(place.requires_days, _CONCERN_DAYS if place.rank == _CONCERN else 0)
    if days and file.attempts:
        required = file.attempts[0].at + days * _DAY
        if required > found.at:
            because = f"{place.name} requires {days} days of silence, so it was next on "
            found = Earliest(required, because)
    return found


def _answered(file: File) -> tuple[datetime, str] | None:
    """The end of the time that the last touch gave them to answer, and which that was."""
    answers = file.plan.answers
    last = _last_of_the_plan(file) if answers else None
    lasts = None if last is None else answers.get(last.step or "")
    if last is None or lasts is None:
        return None
    assert file.time is not None  # plan_breach() looked
    if lasts.elapsed is not None:
        until = file.time.after_elapsed(last.at, lasts.elapsed, file.suspended)
    else:
        until = file.time.after_business_days(last.at, lasts.business_days, file.suspended)
    return until, f"{last.step} until {show(file, until)}"


def possible(file: File, place: Place, used: Sequence[Used], since: datetime) -> datetime | None:
    """The first moment from ``since`` on at which hours and guards let the touch pass.

    ``None`` if there is none within 30 days.
    """
    moment = _open(file, place, since)
    if moment is None or not file.plan.guards:
        return moment
    limit = moment + _SEARCH
    while moment is not None and moment <= limit:
        held = [objection.until for _, objection in objections(file, used, moment)]
        if not held:
            return moment
        moment = None if max(held) > limit else _open(file, place, max(held))
    return None


def _open(file: File, place: Place, since: datetime) -> datetime | None:
    """The first moment from ``since`` on that is not suspended, quiet or closed."""
    assert file.time is not None  # plan_breach() looked
    own = place.rank < _HALF_DAY
    suspended = _suspended_for(file) if own else file.suspended
    hours = None if own else preferred(file)
    moment: datetime | None = since
    before: datetime | None = None
    while moment is not None and moment != before:
        before = moment
        for one in suspended or ():
            for away, back in one.spans:
                if away <= moment < back:
                    moment = back
        moment = file.time.next_waking(moment)
        if moment is not None and not own:
            moment = file.time.next_open(moment, hours)
    return moment


def _suspended_for(file: File) -> tuple[SuspendedTime, ...] | None:
    """What suspends the appointment's own steps: not what had begun before it was agreed."""
    appointment = file.appointment or file.kept
    if appointment is None or file.time is None:
        return file.suspended
    agreed = appointment.agreed.occurred
    return file.time.suspended(tuple(one for one, _ in file.suspensions if one.start > agreed))


def preferred(file: File) -> Hours | None:
    """The hours that they prefer, as far as those are waking hours."""
    if file.preferred_hours is None:
        return None
    try:
        start, end = parse_hours(file.preferred_hours)
    except InputError:
        return None
    start, end = max(start, _QUIET_UNTIL), min(end, _QUIET_FROM)
    return (start, end) if start < end else None


def behind_horizon(file: File, place: Place, at: datetime) -> bool:
    """Whether ``at`` is so late in the silence that only the polite exit is left."""
    if not file.attempts or place.rank < _HALF_DAY:
        return False
    first, days = file.attempts[0], file.plan.horizon_business_days
    if at - first.at <= days * _DAY:
        return False
    assert file.time is not None  # plan_breach() looked
    return file.time.gap(first.at, at, file.suspended).business_days > days
