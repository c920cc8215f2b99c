"""The longest way to the end of a silence: every touch made when it is due.

Played from nine in the morning, a plan shows the days it takes from there. After an appointment in
the evening a touch half a day later opens only the next day, and the ratchet keeps every gap as
long as the longest before it. So the longest way is summed over every way through the plan, with
what each touch can come to at most. It is a bound: no history need be as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from cadence.domain.stages import Stage
from cadence.engine.invariants import CONCERN_DAYS
from cadence.policy.model import EXACT, Distance, PlannedTouch
from cadence.prover.state_space import Graph, State
from cadence.worktime.hours import QUIET_UNTIL, Week

__all__ = ["days_a_week", "longest_to_the_exit"]

_DAY: Final = 24 * 60
_WAKING_MINUTE: Final = QUIET_UNTIL // 60


class _Way(NamedTuple):
    """How long a silence may have lasted at a state, in business days, and what bears on the rest.

    Attributes:
        days: since the first attempt.
        gap: the largest gap, which no later one falls short of.
        any_hour: whether the last attempt may have been made outside business hours.
    """

    days: int
    gap: int
    any_hour: bool

    def covers(self, other: _Way) -> bool:
        """Whether nothing that follows ``other`` can last longer than what follows this."""
        return self.days >= other.days and self.gap >= other.gap and self.any_hour >= other.any_hour


def longest_to_the_exit(graph: Graph, least: Mapping[State, int]) -> tuple[int, int]:
    """The most business days from the first attempt of a silence to its polite exit.

    As in all bounds, in one place, without holidays, suspensions, guards and preferred hours.

    Args:
        graph: the states of the policy.
        least: how many business days it takes at least to each state.

    Returns:
        Those days, and the largest gap on the way, which an exit that is tried again waits for.
    """
    policy = graph.policy
    exit_point = policy.exit_point
    assert exit_point is not None  # bounds() looked
    horizon = policy.horizon_business_days
    ways: dict[State, list[_Way]] = {}
    for start in graph.starts():
        _add(ways, start.state, _Way(0, 0, any_hour=True))
    longest = largest = 0
    for state in graph.on_plan:
        for way in ways.get(state, ()):
            leaving = _most_days(graph, exit_point, way)
            if state.next == graph.end:
                longest = max(longest, way.days + leaving)
                largest = max(largest, leaving)
                continue
            for move in graph.moves(state):
                if move.how != "made":
                    _add(ways, move.to, way)
                    continue
                point = graph.points[move.touch]
                made = _made(graph, point, way, least.get(state, 0), first=not state.attempts)
                if made.days > horizon and point.step.stage not in EXACT:
                    # Behind the horizon only the exit comes, and not before what it replaces.
                    longest = max(longest, made.days, way.days + leaving)
                    largest = max(largest, leaving, made.days - way.days)
                    made = made._replace(days=horizon)
                _add(ways, move.to, made)
    return longest, largest


def _add(ways: dict[State, list[_Way]], state: State, way: _Way) -> None:
    """Keep ``way``, and of all at ``state`` only those that may turn out to be the longest."""
    known = ways.setdefault(state, [])
    if not any(one.covers(way) for one in known):
        known[:] = [*(one for one in known if not way.covers(one)), way]


def _made(graph: Graph, point: PlannedTouch, way: _Way, least: int, *, first: bool) -> _Way:
    """The way after ``point`` was made; ``least`` is how long the silence has lasted at least."""
    exact = point.step.stage in EXACT
    if first:
        return _Way(0, 0, any_hour=exact)
    gap = 0 if exact else _most_days(graph, point, way)
    days = way.days + gap
    required = point.step.requires.days
    if point.stage is Stage.CONCERN:
        required = max(required, CONCERN_DAYS)
    if required:
        until = _business_days_in(graph.policy.week, required) + 1
        days, gap = max(days, until), max(gap, until - least)
    return _Way(days, max(way.gap, gap), any_hour=exact)


def _most_days(graph: Graph, point: PlannedTouch, way: _Way) -> int:
    """How many business days after the attempt before a touch is made at most."""
    policy, after = graph.policy, point.after
    week, rotate = policy.week, point.step.rotate
    if after is None or after.business_days is None:
        days = _of(after, week, way.any_hour)
        if way.gap:  # the ratchet holds it for days, at an hour that may be closed
            days = max(days, way.gap + 1)
    else:
        # At the same hour as the attempt before, and so in business hours if that was.
        days = max(after.business_days, way.gap) + (way.any_hour or not _same_hours(week))
    for answer in policy.answers.values():
        days = max(days, _of(answer, week, any_hour=True) + 1)
    if rotate is not None:
        days += any(second >= 60 * _closing(week) for second in rotate.seconds)
        if rotate.weekdays:  # the next of its weekdays is less than a week away
            days += days_a_week(week) - 1
    return days


def _of(distance: Distance | None, week: Week, any_hour: bool) -> int:
    if distance is None:
        return 0
    if distance.business_days is not None:
        return distance.business_days
    elapsed = distance.elapsed
    return 0 if elapsed is None else _rolled(week, int(elapsed.total_seconds()) // 60, any_hour)


@lru_cache(maxsize=1024)
def _rolled(week: Week, minutes: int, any_hour: bool) -> int:
    """The most business days that so many minutes come to, the wait for an opening with them."""
    closing = _closing(week)
    begins = range(_WAKING_MINUTE, _DAY) if any_hour else _open_minutes(week)
    most = 0
    for begin in begins:
        days, minute = divmod(begin + minutes, _DAY)
        # A day that begins closed, a Sunday's appointment, waits for the next one.
        waits = minute >= closing or (any_hour and not days) or not _same_hours(week)
        most = max(most, days + waits)
    return most


def _open_minutes(week: Week) -> list[int]:
    return sorted({m for hours in week for a, b in hours for m in range(a // 60, -(-b // 60))})


@lru_cache(maxsize=256)
def _closing(week: Week) -> int:
    """The minute of the day at which the business day that ends first ends."""
    return min(hours[-1][1] for hours in week if hours) // 60


@lru_cache(maxsize=256)
def _same_hours(week: Week) -> bool:
    """Whether every business day has the same hours."""
    return len({hours for hours in week if hours}) == 1


def _business_days_in(week: Week, days: int) -> int:
    """The most business days that so many days hold."""
    weeks, left = divmod(days, 7)
    return weeks * days_a_week(week) + min(left, days_a_week(week))


def days_a_week(week: Week) -> int:
    """How many business days a week has."""
    return sum(1 for hours in week if hours)
