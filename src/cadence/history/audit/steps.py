"""The plan, read a second time: what a recorded attempt breaks of the policy it was made under.

Everything that depends on the steps of a policy is in here, and is asked only of attempts that
broke nothing of the charter: who called after the exit need not be told that it was also too early.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from cadence.core.events import AttemptMade, Channel, Gap
from cadence.errors import InputError
from cadence.history.audit.charter import Breach, show, span
from cadence.history.audit.file import File
from cadence.history.audit.findings import (
    APPOINTMENT,
    BOUNDED,
    BUSINESS_HOURS,
    HORIZON,
    LAPSED,
    PLAN,
)
from cadence.history.audit.plan import Place
from cadence.history.audit.records import EXIT, Made, Phase
from cadence.policy.business_time import Hours, parse_hours

__all__ = ["plan_breach"]

_CAP: Final = 6
_SPACED: Final = 4
_CONCERN: Final = 5
_CONCERN_ATTEMPTS: Final = 5
_HALF_DAY: Final = 3
_QUIET_UNTIL: Final = 8 * 3600
_QUIET_FROM: Final = 21 * 3600
_DAY: Final = timedelta(days=1)


def plan_breach(file: File, made: Made, data: AttemptMade, before: Made | None) -> Breach | None:
    """What the plan has against an attempt; ``None``: it was in order.

    Args:
        file: as it stood before the attempt.
        made: the attempt, with its gap measured.
        data: as it was recorded.
        before: the attempt before it in the silence.
    """
    if not file.plan.known or file.time is None:
        return None
    if before is not (file.attempts[-1] if file.attempts else None):
        return None  # recorded after later ones: what was next at its time was decided without it
    after_pause = _resumes_after_pause(file)
    if file.phase == Phase.NEW or (file.phase == Phase.ENGAGED and not after_pause):
        return _owners_own(file, made, data)
    if not made.rank:
        if _is_for_the_owner(file, made.at):
            return None
        return Breach(PLAN, f"it took no touch's place; {_next_up(file, made.at, after_pause)}")
    breach = _touch(file, made, data, after_pause)
    if breach is None or breach.rule == APPOINTMENT or not _is_for_the_owner(file, made.at):
        return breach
    return None


# Whose turn it was --------------------------------------------------------------------------------


def _resumes_after_pause(file: File) -> bool:
    """Whether the plan goes on by itself once the pause that they asked for is over."""
    if file.phase != Phase.ENGAGED or file.pause_until is None:
        return False
    return not any(made.rank > _SPACED for made in file.attempts)


def _owners_own(file: File, made: Made, data: AttemptMade) -> Breach | None:
    """At ``new`` and ``engaged`` an owner's own attempt is in order; it is the first spaced one."""
    if not made.rank:
        return None
    if made.rank == 1:
        return Breach(APPOINTMENT, "made as the call at an appointment, but none stands")
    place = file.plan.by_name.get(data.step or "")
    count = file.place_counts[_SPACED]
    first = place is None or place.position <= count
    if made.rank == _SPACED and first and data.touch is None:
        return None
    if file.silence.version == 1:
        return Breach(PLAN, f"made as {data.step or data.stage}, but nobody had tried before")
    because = (
        f"sent after the reply of {show(file, file.silence.occurred)} (event "
        f"{file.silence.version}) as {data.step or data.stage}, as if there had been none"
    )
    return Breach(PLAN, because, file.silence.recorded)


def _is_for_the_owner(file: File, at: datetime) -> bool:
    """Whether there was no touch to make, but a task, in which an owner may try what they like."""
    if file.waiting:
        return True
    time = file.time
    if time is None or time.next_waking(at) is None or time.next_open(at, _hours(file)) is None:
        return True
    if file.phase == Phase.SCHEDULED and not file.plan.begins_on_time:
        return True
    left = file.points_left()
    if not file.attempts and left:
        return not any(_channels(file, place) for place in file.plan.places)
    if file.reach == EXIT and left:
        tried = {(p.channel, p.address or "") for one in file.exits() for p in one.parts}
        return all(point in tried for point in left)
    return False


def _next_up(file: File, at: datetime, after_pause: bool) -> str:
    for place in _ahead(file, after_pause):
        if not _excuse(file, place, at):
            return f"{place.name} was next"
    return f"{file.plan.exit.name} was next"


# Which touch --------------------------------------------------------------------------------------


def _ahead(file: File, after_pause: bool) -> list[Place]:
    """The touches of the plan that are not behind the prospect."""
    start = _SPACED if after_pause else file.reach if file.phase == Phase.OUTREACH else 0
    counts = file.place_counts
    return [
        place
        for place in file.plan.places
        if place.rank >= start and place.position >= counts[place.rank]
    ]


def _touch(file: File, made: Made, data: AttemptMade, after_pause: bool) -> Breach | None:
    plan, counts = file.plan, file.place_counts
    if made.rank == 1 and file.appointment is None:
        return Breach(APPOINTMENT, "made as the call at an appointment, but none stands")
    place: Place | None = plan.exit
    if made.rank != EXIT:
        place = plan.by_name.get(data.step or "")
        if place is None or place.rank != made.rank:
            ranked = (one for one in plan.places if one.rank == made.rank)
            place = next((one for one in ranked if one.position == counts[made.rank]), None)
    if place is None:
        if plan.counts[made.rank]:
            because = (
                f"attempt number {counts[made.rank] + 1} at stage {data.stage}; "
                f"{plan.ref.name} has {plan.counts[made.rank]}"
            )
            return Breach(BOUNDED, because)
        return Breach(PLAN, f"{plan.ref.name} has no step at stage {data.stage}")
    if made.rank != EXIT and place.position < counts[made.rank]:
        return Breach(PLAN, f"{place.name} had been made before in this silence")
    lapsed: datetime | None = None
    if place.number != file.next_place:
        for one in _ahead(file, after_pause):
            if one.number >= place.number:
                break
            if not _excuse(file, one, made.at):
                return Breach(PLAN, f"made as {place.name}, but {one.name} was next")
            if one.within is not None and _channels(file, one):
                lapsed = _planned(file, one, after_pause, lapsed)
    if made.rank != EXIT:
        breach = _wrong_channel(file, made, place)
        if breach is not None:
            return breach
        if place.requires_attempts > len(file.attempts):
            because = f"{place.name} requires {place.requires_attempts} attempts before it"
            return Breach(PLAN, f"{because}; {len(file.attempts)} were made")
    return (
        _too_early(file, made, place, after_pause, lapsed)
        or _too_late(file, made, place, after_pause, lapsed)
        or _closed(file, made)
    )


def _excuse(file: File, place: Place, at: datetime) -> bool:
    """Whether a touch of the plan was rightly left out by ``at``."""
    if place.optional or not _channels(file, place):
        return True
    if place.rank == _SPACED and file.spaced_calls >= _CAP and place.may_call:
        return True
    if place.requires_attempts > len(file.attempts):
        return True
    if place.rank == _CONCERN and (
        len(file.attempts) < _CONCERN_ATTEMPTS or file.place_counts[_CONCERN]
    ):
        return True
    if place.within is not None and _planned(file, place, False, None) + place.within < at:
        return True
    return _behind_horizon(file, place, at)


def _channels(file: File, place: Place) -> set[Channel]:
    """The channels that the touch would use: of each part the preferred, or the first, left."""
    found: set[Channel] = set()
    left, preferred = file.reachable, file.preferred_channel
    for channels in place.parts:
        if preferred in channels and preferred in left:
            found.add(preferred)
            continue
        for channel in channels:
            if channel in left:
                found.add(channel)
                break
    return found


def _wrong_channel(file: File, made: Made, place: Place) -> Breach | None:
    used = {part.channel for part in made.parts}
    planned = _channels(file, place)
    if used <= planned:
        return None
    wrong = ", ".join(sorted(channel.value for channel in used - planned))
    right = ", ".join(sorted(channel.value for channel in planned)) or "no channel that is left"
    return Breach(PLAN, f"{place.name} by {wrong}; the policy proposes {right}")


# When ---------------------------------------------------------------------------------------------


def _planned(file: File, place: Place, after_pause: bool, lapsed: datetime | None) -> datetime:
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
        last = next((made for made in reversed(file.attempts) if made.rank), last)
    start = file.since if last is None else last.at
    if appointment is not None and (last is None or appointment.at > last.at):
        start = appointment.at
    if lapsed is not None and lapsed > start:
        start = lapsed
    suspended = file.suspended
    if place.elapsed is None:
        assert place.business_days is not None  # a step is one or the other
        return time.after_business_days(start, place.business_days, suspended)
    if place.rank < _HALF_DAY:
        suspended = None  # the appointment's own steps are not moved
    return time.after_elapsed(start, place.elapsed, suspended)


def _too_early(
    file: File, made: Made, place: Place, after_pause: bool, lapsed: datetime | None
) -> Breach | None:
    if _surely_late_enough(file, made, place, after_pause):
        return None
    time, at = file.time, made.at
    assert time is not None  # plan_breach() looked
    planned = _planned(file, place, after_pause, lapsed)
    because = f"{place.name} was planned for "
    if file.not_before is not None and file.not_before > planned:
        planned = file.not_before
        because = f"when the policy was adopted, {place.name} was promised for "
    if place.rank != 1 and file.attempts and (file.largest_days or file.largest_minutes):
        gap = Gap(file.largest_days, file.largest_minutes)
        ratchet = time.earliest_with_gap(file.attempts[-1].at, gap, file.suspended)
        if ratchet > planned:
            planned = time.same_time(planned, ratchet) if file.largest_days else ratchet
            longest = span(file.largest_days, file.largest_minutes)
            because = f"the largest gap so far is {longest}, so {place.name} was next on "
    if place.requires_days and file.attempts:
        required = file.attempts[0].at + place.requires_days * _DAY
        if required > planned:
            planned = required
            because = (
                f"{place.name} requires {place.requires_days} days of silence, so it was next on "
            )
    if place.rotated:
        # Another time of that day than the attempt before; which, the plan works out by itself.
        planned = min(calendar.at(calendar.day(planned), 0) for calendar in time.calendars)
    if at >= planned:
        return None
    return Breach(PLAN, f"{because}{show(file, planned)}; made on {show(file, at)}")


def _surely_late_enough(file: File, made: Made, place: Place, after_pause: bool) -> bool:
    """Whether the measured gap alone says so, at little cost."""
    if place.business_days is None or after_pause or place.requires_days or file.not_before:
        return False
    if not file.attempts or file.appointment is not None:
        return False
    before = file.attempts[-1]
    if made.after != before.version or before.time is not made.time:
        return False
    days = max(place.business_days, file.largest_days)
    if made.days != days or file.calendar is None:
        # More days in the zone that counts least are more days in every zone.
        return made.days > days
    return made.second > before.second or (
        made.second == before.second and made.at.microsecond >= before.at.microsecond
    )


def _too_late(
    file: File, made: Made, place: Place, after_pause: bool, lapsed: datetime | None
) -> Breach | None:
    if place.within is not None:
        planned = _planned(file, place, after_pause, lapsed)
        if made.at > planned + place.within:
            because = f"{place.name} was to be made at {show(file, planned)}, or not at all"
            return Breach(LAPSED, f"{because}; made on {show(file, made.at)}")
    if place.rank != EXIT and _behind_horizon(file, place, made.at):
        first = file.attempts[0]
        because = (
            f"more than {file.plan.horizon_business_days} business days after the first attempt "
            f"of the silence (event {first.version}) only the polite exit is left"
        )
        return Breach(HORIZON, because)
    return None


def _behind_horizon(file: File, place: Place, at: datetime) -> bool:
    if not file.attempts or place.rank < _HALF_DAY:
        return False
    first, days = file.attempts[0], file.plan.horizon_business_days
    if at - first.at <= days * _DAY:
        return False
    assert file.time is not None  # plan_breach() looked
    return file.time.gap(first.at, at, file.suspended).business_days > days


def _closed(file: File, made: Made) -> Breach | None:
    """Outside business hours, or the hours that they prefer; an appointment's own steps may be."""
    if made.rank < _HALF_DAY:
        return None
    assert file.time is not None  # plan_breach() looked
    hours, calendar = _hours(file), file.calendar
    if calendar is not None:
        spans = (hours,) if hours is not None else file.plan.week[(made.day + 6) % 7]
        for start, end in spans:
            if start <= made.second < end and calendar.is_business_day(made.day):
                return None
    elif file.time.next_open(made.at, hours) == made.at:
        return None
    wanted = "business hours" if hours is None else f"the hours they prefer, {file.preferred_hours}"
    return Breach(BUSINESS_HOURS, f"{show(file, made.at)} is outside {wanted}")


def _hours(file: File) -> Hours | None:
    """The waking part of the hours that they prefer, if they have any and any of it is waking."""
    if file.preferred_hours is None:
        return None
    try:
        start, end = parse_hours(file.preferred_hours)
    except InputError:
        return None
    start, end = max(start, _QUIET_UNTIL), min(end, _QUIET_FROM)
    return (start, end) if start < end else None
