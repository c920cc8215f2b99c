"""The guards of a policy, read a second time: what forbids an attempt, and until when.

Nothing of how the engine asks them is used. A function of the team's own can't be asked about the
past at all: ``plan.py`` names it, and it is left out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.audit.invariants import Breach, show
from cadence.audit.plan import GuardRead
from cadence.audit.records import Made
from cadence.audit.state import File
from cadence.domain.events import Channel, Intent
from cadence.worktime.calendar import work_calendar

__all__ = ["Used", "guarded", "objections"]

Used = tuple[Channel, str | None]
"""A channel that an attempt uses, and the address on it where that is known."""

_NEVER: Final = timedelta(days=3660)


class Objection(NamedTuple):
    """A guard forbids an attempt.

    Attributes:
        until: the first moment at which it would no longer, for all that is known.
        because: why.
        learnt: when we learnt of what it goes by, where that may have been after the attempt.
    """

    until: datetime
    because: str
    learnt: datetime | None = None


def guarded(file: File, made: Made) -> Iterator[Breach]:
    """The guards of the policy that forbade an attempt when it was made.

    Args:
        file: as it stood before.
        made: the attempt.
    """
    used = [(part.channel, part.address) for part in made.parts]
    for guard, found in objections(file, used, made.at):
        until = f"; not before {show(file, found.until)}"
        if found.until - made.at > _NEVER / 2:
            until = ""
        yield Breach(guard.name, f"{found.because}{until}", found.learnt)


def objections(
    file: File, used: Sequence[Used], at: datetime
) -> Iterator[tuple[GuardRead, Objection]]:
    """The guards that forbid an attempt at ``at``, and why.

    Args:
        file: as it stands.
        used: what the attempt uses.
        at: when.
    """
    for guard in file.plan.guards:
        if guard.channels and not any(channel in guard.channels for channel, _ in used):
            continue
        found = _KINDS[guard.kind](file, guard, used, at)
        if found is not None:
            yield guard, found


# One function for each kind -----------------------------------------------------------------------


def _window(file: File, guard: GuardRead, used: Sequence[Used], at: datetime) -> Objection | None:
    assert file.time is not None  # whoever asks looked
    for calendar in file.time.calendars:
        local = at.astimezone(calendar.tz)
        second = local.hour * 3600 + local.minute * 60 + local.second
        if not any(start <= second < end for start, end in guard.week[local.weekday()]):
            break
    else:
        return None
    opens = work_calendar(file.zones, guard.week, None, None, frozenset()).next_open(at)
    return Objection(opens or at + _NEVER, f"{show(file, at)} is outside the contact window")


def _cap(file: File, guard: GuardRead, used: Sequence[Used], at: datetime) -> Objection | None:
    places: list[Used | None] = [None]
    if guard.per_address:
        places = [
            one
            for one in used
            if one[1] is not None and (not guard.channels or one[0] in guard.channels)
        ]
    for place in places:
        counted = [
            made
            for made in (*file.earlier, *file.attempts)
            if at - guard.window < made.at <= at and _counts(guard, made, place)
        ]
        if len(counted) < guard.attempts:
            continue
        ends = sorted(made.at for made in counted)[-guard.attempts] + guard.window
        where = "" if place is None else f" to {place[0]} {place[1]}"
        because = (
            f"{len(counted)} attempt{'' if len(counted) == 1 else 's'}{where} in the "
            f"{_span(guard.window)} before; at most {guard.attempts}"
        )
        learnt = sorted(made.recorded for made in counted)[guard.attempts - 1]
        return Objection(ends, because, learnt)
    return None


def _counts(guard: GuardRead, made: Made, place: Used | None) -> bool:
    for part in made.parts:
        if guard.channels and part.channel not in guard.channels:
            continue
        # Where nobody wrote down which address was used, it may have been this one.
        if place is None or (part.channel is place[0] and part.address in (None, place[1])):
            return True
    return False


def _span(window: timedelta) -> str:
    hours = window // timedelta(hours=1)
    if hours % 24:
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{hours // 24} day{'' if hours == 24 else 's'}"


def _cool_down(
    file: File, guard: GuardRead, used: Sequence[Used], at: datetime
) -> Objection | None:
    if file.silence.version == 1:
        return None  # nobody has said anything yet
    if guard.after == "conversation" and not file.by_conversation:
        return None
    if guard.after == "refusal" and file.intent is not Intent.NO:
        return None
    said = file.silence
    assert file.time is not None  # whoever asks looked
    if guard.lasts is not None:
        until = said.occurred + guard.lasts
    else:
        until = file.time.after_business_days(said.occurred, guard.lasts_business_days)
    if at >= until:
        return None
    because = f"too soon after their {guard.after} of {show(file, said.occurred)} "
    return Objection(until, f"{because}(event {said.version})", said.recorded)


def _holiday(file: File, guard: GuardRead, used: Sequence[Used], at: datetime) -> Objection | None:
    country, subdivision = guard.country, guard.subdivision
    if country is None:
        country, subdivision = file.country, file.subdivision
    if country is None:
        return None
    days = file.plan.holidays(file.zones, country, subdivision)
    ends = [
        calendar.at(calendar.nth_business_day(day, 1), 0)
        for calendar in days.calendars
        if not calendar.is_business_day(day := calendar.day(at))
    ]
    if not ends:
        return None
    return Objection(max(ends), f"{show(file, at)} is a public holiday in {country}")


def _pause(file: File, guard: GuardRead, used: Sequence[Used], at: datetime) -> Objection | None:
    assert file.time is not None  # whoever asks looked
    ends = [
        calendar.at(guard.last_day + 1, 0)
        for calendar in file.time.calendars
        if guard.first_day <= calendar.day(at) <= guard.last_day
    ]
    if not ends:
        return None
    return Objection(max(ends), f"{show(file, at)} falls in a pause of the team's")


_KINDS: Final[
    dict[str, Callable[[File, GuardRead, Sequence[Used], datetime], Objection | None]]
] = {
    "contact_window": _window,
    "frequency_cap": _cap,
    "cool_down": _cool_down,
    "holiday_ban": _holiday,
    "pause": _pause,
}
