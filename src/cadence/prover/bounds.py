"""What a silence under a policy can come to at most and at least, from its plan alone."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

import msgspec

from cadence.domain.events import Channel
from cadence.domain.stages import Stage
from cadence.engine.invariants import answer_business_days
from cadence.policy.model import PlannedTouch
from cadence.prover.longest import days_a_week, longest_to_the_exit
from cadence.prover.state_space import Graph, State
from cadence.worktime.hours import Week

__all__ = ["Bounds", "BusinessDays", "bounds", "least_days"]

_MINUTES_A_DAY: Final = 24 * 60
_CLOCK_CHANGE_MINUTES: Final = 60


class BusinessDays(msgspec.Struct, frozen=True):
    """A span in business days, from the first attempt of a silence to its close.

    Attributes:
        shortest: everything is passed over that can be.
        longest: every touch is made when it is due, and the polite exit reaches them at once.
        longest_by_mail: the same, where mail alone is left for it.
        longest_undelivered: it reaches them on the last of their channels only, and by mail.
    """

    shortest: int
    longest: int
    longest_by_mail: int
    longest_undelivered: int


class Bounds(msgspec.Struct, frozen=True):
    """What a policy proposes in one silence, each touch made when it is due or later.

    A prospect has one contact point on each channel here: an undelivered polite exit is tried once
    on each. Suspensions, holidays and guards only make the days more; attempts off policy are not
    the policy's.

    Attributes:
        attempts_in_silence: the most.
        attempts_in_24_hours: the most in any 24 hours of it; so for 7 and 30 days.
        business_days_to_end: the shortest and the longest way to the close.
    """

    attempts_in_silence: int
    attempts_in_24_hours: int
    attempts_in_7_days: int
    attempts_in_30_days: int
    business_days_to_end: BusinessDays


def least_days(point: PlannedTouch, week: Week) -> int:
    """How many days of 24 hours the distance of ``point`` is at least."""
    after = point.after
    if after is None:
        return 0
    elapsed = after.elapsed
    if elapsed is not None:
        return elapsed.days
    return _least_days(week, after.business_days or 1)


@lru_cache(maxsize=4096)
def _least_days(week: Week, n: int) -> int:
    """How many days there are at least up to the ``n``-th business day after one."""
    return min(_days_until(week, start, n) for start in range(7))


def _days_until(week: Week, start: int, n: int) -> int:
    """How many days after weekday ``start`` the ``n``-th business day is."""
    weeks, left = divmod(n - 1, days_a_week(week))
    days = 7 * weeks
    while left >= 0:
        days += 1
        if week[(start + days) % 7]:
            left -= 1
    return days


def bounds(graph: Graph, never: AbstractSet[str]) -> Bounds:
    """The bounds of a policy that was proved.

    Args:
        graph: its states.
        never: the names of touches that are never made.
    """
    policy = graph.policy
    exit_point = policy.exit_point
    assert exit_point is not None  # the prover: no policy is proved without one
    exits = len(policy.usable)
    most = _most_touches(graph) + exits
    points = [point for point in graph.points if point.name not in never]
    points += [exit_point] * exits
    if not any(point.stage is Stage.SPACED for point in points):
        # Then an owner's own attempt, which begins a silence, takes the place of none of them.
        points.insert(0, exit_point)
    day, week, month = (min(most, _most_within(points, policy.week, days)) for days in (1, 7, 30))
    least = graph.least(_business_days)
    to_exit, largest = longest_to_the_exit(graph, least)
    answer = exit_point.step.answer_within
    longest = to_exit + answer_business_days(answer, frozenset())
    by_mail = longest
    if Channel.MAIL in policy.usable:
        by_mail = to_exit + answer_business_days(answer, frozenset({Channel.MAIL}))
    undelivered = by_mail + (exits - 1) * largest
    # The horizon cuts the plan short, which the sums of the shortest way do not know.
    days = BusinessDays(min(_shortest(graph, least), longest), longest, by_mail, undelivered)
    return Bounds(most, day, week, month, days)


def _most_within(points: list[PlannedTouch], week: Week, days: int) -> int:
    """The most touches in ``days`` times 24 hours, each as close to the one before as may be."""
    best = 1
    for first in range(len(points)):
        business_days = minutes = turns = 0
        for position in range(first + 1, len(points)):
            point = points[position]
            least_gap = (0, 0) if point.after is None else point.after.gap
            business_days, minutes = business_days + least_gap[0], minutes + least_gap[1]
            if point.step.rotate is not None and point.step.rotate.times:
                turns = _MINUTES_A_DAY  # the time of day may be another than at the first of them
            least = minutes
            if business_days:
                least += _least_days(week, business_days) * _MINUTES_A_DAY
                least -= max(turns, _CLOCK_CHANGE_MINUTES)
            if least >= days * _MINUTES_A_DAY:
                break
            best = max(best, position - first + 1)
    return best


def _most_touches(graph: Graph) -> int:
    """The longest way on plan, in touches made."""
    most: dict[State, int] = {}
    for start in graph.starts():
        most[start.state] = max(most.get(start.state, 0), start.state.attempts)
    for state in graph.on_plan:
        if state.next < graph.end:
            for move in graph.moves(state):
                made = most[state] + (move.how == "made")
                most[move.to] = max(most.get(move.to, 0), made)
    return max(most.values(), default=0)


def _shortest(graph: Graph, least: Mapping[State, int]) -> int:
    """Business days from the first attempt to the close, if all that can be is passed over."""
    ends = [days for state, days in least.items() if state.next == graph.end]
    exit_point = graph.policy.exit_point
    assert exit_point is not None  # bounds() looked
    answer = answer_business_days(exit_point.step.answer_within, frozenset())
    return min(ends, default=0) + _business_days(exit_point) + answer


def _business_days(point: PlannedTouch) -> int:
    return 0 if point.after is None else point.after.gap[0]
