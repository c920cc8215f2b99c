"""The plan, read a second time: what a recorded attempt breaks of the policy it was made under.

Everything that depends on the steps of a policy is in here, and is asked only of attempts that
broke nothing of the charter: who called after the exit need not be told that it was also too early.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from cadence.audit.due import (
    behind_horizon,
    earliest,
    planned,
    possible,
    preferred,
    would_use,
)
from cadence.audit.findings import (
    APPOINTMENT,
    BOUNDED,
    BUSINESS_HOURS,
    HORIZON,
    LAPSED,
    PLAN,
)
from cadence.audit.invariants import Breach, show
from cadence.audit.plan import Place
from cadence.audit.records import EXIT, Made, Phase
from cadence.audit.state import File
from cadence.domain.events import AttemptMade

__all__ = ["plan_breach"]

_CAP: Final = 6
_SPACED: Final = 4
_CONCERN: Final = 5
_CONCERN_ATTEMPTS: Final = 5
_HALF_DAY: Final = 3


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
        # A guard of the team's own may have left it to the owner.
        if file.plan.own_guards or _is_for_the_owner(file, made.at, after_pause):
            return None
        place = _next_up(file, made.at, after_pause).place
        named = "" if place is None else f"; {place.name} was next"
        return Breach(PLAN, f"it took no touch's place{named}")
    breach = _touch(file, made, data, after_pause)
    if breach is None or breach.rule == APPOINTMENT:
        return breach
    return None if _is_for_the_owner(file, made.at, after_pause) else breach


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
    count = _reached(file)[_SPACED]
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


def _is_for_the_owner(file: File, at: datetime, after_pause: bool) -> bool:
    """Whether there was no touch to make, but a task, in which an owner may try what they like."""
    if file.waiting:
        return True
    time = file.time
    assert time is not None  # plan_breach() looked
    if time.next_waking(at) is None or time.next_open(at, preferred(file)) is None:
        return True
    if file.phase == Phase.SCHEDULED and not file.plan.begins_on_time:
        return True
    next_up = _next_up(file, at, after_pause)
    place, left = next_up.place, file.points_left()
    if place is None:
        return True  # nothing is left of a plan without an exit
    if place.rank == EXIT and left:
        # A way out can't be the first word, nor come on a channel that the team does not use, nor
        # twice on the same.
        if not file.attempts or not would_use(file, place):
            return True
    if not file.plan.guards:
        return False
    used = would_use(file, place)
    since = earliest(file, place, after_pause, next_up.lapsed, instead=next_up.late)
    return possible(file, place, used, since.at) is None or possible(file, place, used, at) is None


# Which touch --------------------------------------------------------------------------------------


class _Next(NamedTuple):
    """A touch and what was passed over before it.

    Attributes:
        place: the touch; ``None`` where nothing is left of a plan without an exit.
        lapsed: the planned time of the last that lapsed.
        late: whether some were passed over for their lateness.
    """

    place: Place | None
    lapsed: datetime | None
    late: bool


def _reached(file: File) -> list[int]:
    """For each rank how far the silence has come: the position of its next touch.

    An attempt has come as far as the touch that it names; one that names none one further.
    """
    found = [0] * 8
    for made in file.attempts:
        further = found[made.rank] + 1
        place = file.plan.by_name.get(made.step or "")
        if place is not None and place.rank == made.rank:
            further = max(further, place.position + 1)
        found[made.rank] = further
    return found


def _next_up(file: File, at: datetime, after_pause: bool, before: int = EXIT * 1000) -> _Next:
    """The touch that was next at ``at``: the first that was not rightly left out.

    Args:
        file: as it stood.
        at: when.
        after_pause: the plan goes on after a pause.
        before: look no further than to the touch with this number.
    """
    start = _SPACED if after_pause else file.reach if file.phase == Phase.OUTREACH else 0
    reached = _reached(file)
    lapsed: datetime | None = None
    late = False
    late_step = ""
    for place in file.plan.places:
        if place.number >= before:
            break
        if place.rank < start or place.position < reached[place.rank] or place.step == late_step:
            continue
        if file.plan.own_guards or _asks_in_vain(file, place, at):
            continue
        used = would_use(file, place)
        if not used:
            continue
        moment = possible(file, place, used, at) if file.plan.guards else at
        if place.within is not None and moment is not None:
            exact = planned(file, place, after_pause, lapsed)
            if moment > exact + place.within:
                lapsed, late = exact, True
                continue
        if moment is not None and behind_horizon(file, place, moment):
            late, late_step = True, place.step
            continue
        return _Next(place, lapsed, late)
    return _Next(file.plan.exit, lapsed, late)


def _asks_in_vain(file: File, place: Place, at: datetime) -> bool:
    """Whether a touch is passed over for what the charter or the policy asks of it."""
    if place.stopped:
        return True
    made, calls = len(file.attempts), file.spaced_calls
    if place.rank == _SPACED and place.may_call:
        most = file.plan.most_spaced_calls
        if calls >= _CAP or (most is not None and calls >= most):
            return True
    if place.rank == _CONCERN and (made < _CONCERN_ATTEMPTS or file.place_counts[_CONCERN]):
        return True
    if place.requires_guidelines and (file.guidelines is None or file.guidelines.recorded > at):
        return True
    most = file.plan.most_attempts
    return place.requires_attempts > made or (most is not None and made >= most)


def _touch(file: File, made: Made, data: AttemptMade, after_pause: bool) -> Breach | None:
    plan = file.plan
    if made.rank == 1 and file.appointment is None:
        return Breach(APPOINTMENT, "made as the call at an appointment, but none stands")
    place: Place | None = plan.exit
    if made.rank != EXIT:
        reached = _reached(file)[made.rank]
        place = plan.by_name.get(data.step or "")
        if place is None or place.rank != made.rank:
            ranked = (one for one in plan.places if one.rank == made.rank)
            place = next((one for one in ranked if one.position == reached), None)
        follows = place is not None and place.number == file.next_place
        if place is not None and place.position < reached and not follows:
            return Breach(PLAN, f"{place.name} had been made before in this silence")
    if place is None:
        if plan.counts[made.rank]:
            because = (
                f"attempt number {file.place_counts[made.rank] + 1} at stage {data.stage}; "
                f"{plan.ref.name} has {plan.counts[made.rank]}"
            )
            return Breach(BOUNDED, because)
        return Breach(PLAN, f"{plan.ref.name} has no step at stage {data.stage}")
    next_up = _Next(place, None, False)
    if place.number != file.next_place:
        next_up = _next_up(file, made.at, after_pause, before=place.number)
        if next_up.place is not None and next_up.place.number < place.number:
            return Breach(PLAN, f"made as {place.name}, but {next_up.place.name} was next")
    if made.rank != EXIT:
        breach = _wrong_channel(file, made, place) or _unmet(file, place)
        if breach is not None:
            return breach
    first: Breach | None = None
    for breach in _untimely(file, made, place, next_up, after_pause):
        if breach.rule in data.broke:
            return breach  # what the attempt says of itself first: one act is one finding
        first = first or breach
    return first


def _unmet(file: File, place: Place) -> Breach | None:
    """What the policy asks of a touch and was not so."""
    plan, made, calls = file.plan, len(file.attempts), file.spaced_calls
    because = ""
    if place.requires_attempts > made:
        because = f"{place.name} requires {place.requires_attempts} attempts before it"
        because += f"; {made} were made"
    elif place.requires_guidelines and file.guidelines is None:
        because = f"{place.name} requires that they agreed to be followed up; they had not"
    elif plan.most_attempts is not None and made >= plan.most_attempts:
        because = f"attempt number {made + 1} of the silence; {plan.ref.name} allows "
        because += f"{plan.most_attempts} before the polite exit"
    elif plan.most_spaced_calls is not None and place.rank == _SPACED and place.may_call:
        if calls >= plan.most_spaced_calls:
            because = f"spaced call number {calls + 1} of the silence; {plan.ref.name} allows "
            because += f"{plan.most_spaced_calls}"
    return Breach(PLAN, because) if because else None


def _wrong_channel(file: File, made: Made, place: Place) -> Breach | None:
    used = {part.channel for part in made.parts}
    proposed = {channel for channel, _ in would_use(file, place)}
    if used <= proposed:
        return None
    wrong = ", ".join(sorted(channel.value for channel in used - proposed))
    right = ", ".join(sorted(channel.value for channel in proposed)) or "no channel that is left"
    return Breach(PLAN, f"{place.name} by {wrong}; the policy proposes {right}")


# When ---------------------------------------------------------------------------------------------


def _untimely(
    file: File, made: Made, place: Place, asked: _Next, after_pause: bool
) -> Iterator[Breach]:
    """What is wrong with the time of an attempt: too early, too late, at a closed hour."""
    at = made.at
    if not _surely_late_enough(file, made, place, after_pause):
        allowed = earliest(file, place, after_pause, asked.lapsed, instead=asked.late)
        if at < allowed.at:
            because = f"{allowed.because}{show(file, allowed.at)}; made on {show(file, at)}"
            yield Breach(PLAN, because)
    if place.within is not None:
        exact = planned(file, place, after_pause, asked.lapsed)
        if at > exact + place.within:
            because = f"{place.name} was to be made at {show(file, exact)}, or not at all"
            yield Breach(LAPSED, f"{because}; made on {show(file, at)}")
    if place.rank != EXIT and behind_horizon(file, place, at):
        first = file.attempts[0]
        because = (
            f"more than {file.plan.horizon_business_days} business days after the first attempt "
            f"of the silence (event {first.version}) only the polite exit is left"
        )
        yield Breach(HORIZON, because)
    closed = _closed(file, made)
    if closed is not None:
        yield closed


def _surely_late_enough(file: File, made: Made, place: Place, after_pause: bool) -> bool:
    """Whether the measured gap alone says so, at little cost."""
    if place.business_days is None or after_pause or place.requires_days or file.not_before:
        return False
    if not file.attempts or file.appointment is not None:
        return False
    before = file.attempts[-1]
    if place.seconds or place.weekdays or place.rank == _CONCERN:
        return False
    if file.plan.answers and (not before.rank or before.step in file.plan.answers):
        return False
    if made.after != before.version or before.time is not made.time:
        return False
    days = max(place.business_days, file.largest_days)
    if made.days != days or file.calendar is None:
        # More days in the zone that counts least are more days in every zone.
        return made.days > days
    return made.second > before.second or (
        made.second == before.second and made.at.microsecond >= before.at.microsecond
    )


def _closed(file: File, made: Made) -> Breach | None:
    """Outside business hours, or the hours that they prefer; an appointment's own steps may be."""
    if made.rank < _HALF_DAY:
        return None
    assert file.time is not None  # plan_breach() looked
    hours, calendar = preferred(file), file.calendar
    if calendar is not None:
        spans = (hours,) if hours is not None else file.plan.week[(made.day + 6) % 7]
        for start, end in spans:
            if start <= made.second < end and calendar.is_business_day(made.day):
                return None
    elif file.time.next_open(made.at, hours) == made.at:
        return None
    wanted = "business hours" if hours is None else f"the hours they prefer, {file.preferred_hours}"
    return Breach(BUSINESS_HOURS, f"{show(file, made.at)} is outside {wanted}")
