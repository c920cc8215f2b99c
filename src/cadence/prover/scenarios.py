"""The silences on which two policies are compared.

A scenario says how a silence begins: on which channels, around which day, with or without
guidelines. It is played under one of the two with every touch made when it is due; and at each
touch one thing besides can happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AppointmentSet,
    AutoReplyReceived,
    ContactPointFailed,
    Data,
    Disposition,
    Intent,
    Part,
    PauseRequested,
    ReplyReceived,
)
from cadence.engine.context import calendar_for
from cadence.engine.decision import Due
from cadence.policy.guards import Guard
from cadence.policy.model import Policy
from cadence.prover.simulation import EXAMPLES, MONDAY, Scenario, Simulation, beginnings
from cadence.prover.state_space import Beginning
from cadence.prover.weekends import countries
from cadence.worktime.hours import ALL_DAY, OpenTimes, Week
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = ["Pair", "injected_events", "scenarios"]

Pair = tuple[Policy, Policy]

_LATE: Final = (timedelta(hours=1), timedelta(hours=7), timedelta(days=3), timedelta(days=40))
_DAY: Final = 24 * 3600  # seconds
_DAYS: Final = 24
"""How many of the days that one of the two closes are looked at, of each kind."""
_MOST_EXTRAS: Final = 20
_COUNTRY: Final = "US"
_HALF_DAYS: Final = tuple(date(year, 12, 24) for year in (2024, 2025, 2026, 2027, 2029))
"""One on each working day of the week."""
_HALF_DAY_COUNTRY: Final = "GR"


def scenarios(pair: Pair) -> Iterator[tuple[Policy, Scenario]]:
    """Yield every scenario worth playing for two policies, with its policy; the plainest first."""
    first, second = pair
    both = first.usable | second.usable
    alone = [
        frozenset({channel}) for channel in {**first.traits, **second.traits} if channel in both
    ]
    known = (*beginnings(first), *beginnings(second))
    begun = (Beginning.ADDED, *dict.fromkeys(known))
    asks = first.asks_guidelines or second.asks_guidelines
    for beginning in begun:
        for channels in (both, *alone):
            for agreed in (False, True) if asks else (False,):
                yield first, Scenario(channels, beginning, agreed)
    own, days = _days(pair)
    for day in days:
        for beginning in begun:
            # A day that one closes is met only on the other's path.
            for agreed in (False, True):
                for policy in pair:
                    yield policy, Scenario(both, beginning, agreed, _begin_of(day))
    for around, country in (*own, *_times(pair)):
        for beginning in begun:
            for agreed in (False, True):
                yield first, Scenario(both, beginning, agreed, around, country)


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _days(pair: Pair) -> tuple[list[tuple[datetime, str | None]], list[date]]:
    """Return two lists of dates that only one policy closes.

    Public holidays in the prospect's own country, with that country; and all other dates.
    """
    closed = [set(policy.calendar.closed) for policy in pair]
    days = sorted(closed[0] ^ closed[1])[:_DAYS]
    places: list[set[tuple[str, str | None]]] = [set(policy.holidays_of) for policy in pair]
    days += _holidays(places)
    own: list[tuple[datetime, str | None]] = []
    bans: list[set[tuple[str, str | None]]] = [set(), set()]
    for side, guard in _differing(pair):
        dates, region = guard.closed_dates(), guard.closed_holidays()
        if dates is not None:
            days += [*dates, dates[1] + timedelta(days=1)]
        if region is not None and region[0] is not None:
            bans[side].add((region[0], region[1]))
        elif region is not None:
            holidays = _holidays([{(_COUNTRY, None)}, set()])[:3]
            own = [(_begin_of(day), _COUNTRY) for day in holidays]
    days += _holidays(bans)
    return own, list(dict.fromkeys(days))


def _times(pair: Pair) -> Iterator[tuple[datetime, str | None]]:
    """Yield times from which on a silence meets hours of a date, half days or weekends of one.

    It begins on that day or on those before, as the day does or at an hour at which the two differ:
    most touches keep their time of day.
    """
    one, other = (policy.open_times for policy in pair)
    edges: list[tuple[date, list[int], str | None]] = []
    for ordinal in sorted({day for day, _ in set(one.on) ^ set(other.on)})[:_DAYS]:
        hours = [dict(times.on).get(ordinal, ()) for times in (one, other)]
        seconds = sorted({second for some in hours for span in some for second in span})
        edges.append((date.fromordinal(ordinal), seconds, None))
    until = sorted({times.half_days_until or 0 for times in (one, other)})
    if len(until) > 1:
        edges += [(day, until[:1], _HALF_DAY_COUNTRY) for day in _HALF_DAYS]
    for day, seconds in _weekdays(pair):
        for second in seconds:
            yield _begin_of(day) + timedelta(seconds=second), None
    for day, seconds, country in edges:
        for second in (0, *seconds):
            for before in range(_DAYS // 2):
                yield _begin_of(day) + timedelta(days=-before, seconds=second), country
    if len({policy.calendar.weekend for policy in pair}) > 1:
        for country in dict.fromkeys((*countries(pair[0]), *countries(pair[1]))):
            yield MONDAY, country


def _weekdays(pair: Pair) -> Iterator[tuple[date, list[int]]]:
    """Yield weekdays on which guards of the two are open at other hours, and when those change."""
    weeks: list[list[Week]] = [[], []]
    for side, guard in _differing(pair):
        week = guard.weekly_hours()
        if week is not None:
            weeks[side].append(week)
    for weekday in range(7):
        hours = [[week[weekday] for week in some] for some in weeks]
        if hours[0] != hours[1]:
            spans = {span for some in hours for day in some for span in day}
            seconds = sorted({second for span in spans for second in span if second < _DAY})
            yield (MONDAY + timedelta(days=weekday)).date(), [0, *seconds]


def _holidays(places: list[set[tuple[str, str | None]]]) -> list[date]:
    """Return the holidays of a year that only one of two sets of places has."""
    if places[0] == places[1]:
        return []
    first = date(MONDAY.year, 1, 1).toordinal() - 1
    found: list[set[int]] = []
    for some in places:
        calendar = ZoneCalendar("UTC", OpenTimes(ALL_DAY, regions=tuple(some)))
        found.append({day for day, _ in calendar.days_off(first, first + 366)})
    return [date.fromordinal(day) for day in sorted(found[0] ^ found[1])][:_DAYS]


def _differing(pair: Pair) -> Iterator[tuple[int, Guard]]:
    """Yield guards that only one of the two has, and which of the two."""
    known = [[_plain(guard) for guard in policy.guards] for policy in pair]
    for side, policy in enumerate(pair):
        for guard in policy.guards:
            if _plain(guard) not in known[1 - side]:
                yield side, guard


def _plain(guard: Guard) -> dict[str, object]:
    return {**guard.canonical(), "id": None}


# At a touch --------------------------------------------------------------------------------------


def injected_events(made: Simulation, pair: Pair) -> Iterator[Simulation]:
    """Yield what else can happen at a touch, each in a silence of its own."""
    for data in _facts(made):
        yield _with(made, data)
    yield from _made_late(made, pair)
    guards = [guard for _, guard in _differing(pair)]
    if any(guard.heeds_responses for guard in guards):
        yield from _spoken_to(made)
    caps = any(guard.attempts_counted for guard in guards)
    most = _extras(pair, guards)
    if most:
        yield from _off_plan(made, most, everywhere=caps)


def _with(made: Simulation, *facts: Data) -> Simulation:
    changed = made.copy()
    for data in facts:
        changed.record(data, changed.now)
    return changed


def _facts(made: Simulation) -> Iterator[Data]:
    decision = made.decision
    yield AutoReplyReceived(EMAIL)
    yield ReplyReceived(EMAIL, Intent.LATER)
    yield PauseRequested((decision.at or made.now) + timedelta(days=10))
    for part in decision.touch.parts if decision.touch is not None else ():
        yield ContactPointFailed(part.channel, part.address)


def _made_late(made: Simulation, pair: Pair) -> Iterator[Simulation]:
    """Yield the touch looked at too late, and made then."""
    if made.decision.touch is None:
        return
    due = made.copy()
    due.wait()
    for at in _late(due, pair):
        changed = due.copy()
        changed.look(at)
        yield changed.copy()
        if isinstance(changed.decision, Due):
            changed.make()
            yield changed


def _late(due: Simulation, pair: Pair) -> Iterator[datetime]:
    """Yield times hours and days late, too late for each exact step, and behind a horizon."""
    exact = {
        timedelta(minutes=step.within.minutes + 1)
        for policy in pair
        for step in policy.steps
        if step.within is not None
    }
    for late in (*sorted(exact), *_LATE):
        yield due.now + late
    horizons = sorted(policy.horizon_business_days for policy in pair)
    attempts = due.prospect.silence.attempts
    if attempts and horizons[0] != horizons[1]:
        time_ = calendar_for(due.prospect, pair[0])
        for distance in (horizons[0] + 1, horizons[1]):
            behind = time_.after_business_days(attempts[0].at, distance)
            opens = time_.next_open(behind.replace(hour=0, minute=0))
            if opens is not None and opens > due.now:
                yield opens


def _spoken_to(made: Simulation) -> Iterator[Simulation]:
    """Yield that they respond, and agree to a time soon after."""
    part = Part(CALL, Disposition.CONNECTED, EXAMPLES[CALL])
    for soon in (timedelta(hours=1), timedelta(days=1)):
        for intent in (Intent.NO, Intent.LATER):
            said = ReplyReceived(EMAIL, intent)
            yield _with(made, said, AppointmentSet(made.now + soon))
        spoken = made.copy()
        spoken.make_attempt((part,))
        yield _with(spoken, AppointmentSet(made.now + soon))


def _extras(pair: Pair, guards: list[Guard]) -> int:
    """Return how many attempts off plan may matter: as many as one of the two counts up to."""
    counted = [guard.attempts_counted for guard in guards if guard.attempts_counted]
    one, other = (policy.limits for policy in pair)
    for limit in (one.attempts, other.attempts) if one.attempts != other.attempts else ():
        counted.append(limit or 0)
    if one.spaced_calls != other.spaced_calls:
        counted += [one.spaced_calls or 0, other.spaced_calls or 0]
    asked = [{step.requires.attempts for step in policy.steps} for policy in pair]
    counted += asked[0] ^ asked[1]
    return min(max(counted, default=-1) + 1, _MOST_EXTRAS)


def _off_plan(made: Simulation, most: int, *, everywhere: bool) -> Iterator[Simulation]:
    """Yield attempts off plan, one and more: calls and others, or wherever a cap counts."""
    begun = made.prospect.silence.attempts
    spoken = made.policy.spoken
    points = [(point.channel, point.address) for point in made.prospect.reach.contact_points]
    if everywhere:
        points += [(channel, "another") for channel, _ in points]
    else:
        calls = [point for point in points if point[0] in spoken]
        points = [*calls[:1], *[point for point in points if point not in calls][:1]]
    for channel, address in points:
        how = Disposition.NO_ANSWER if channel in spoken else Disposition.SENT
        changed = made.copy()
        # Far along the plan one or two are enough: those before it are counted too.
        for _ in range(most if len(begun) < 2 else 2):
            changed.look(changed.now + timedelta(minutes=1))
            changed.make_attempt((Part(channel, how, address),))
            yield changed.copy()
