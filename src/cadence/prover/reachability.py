"""What of a plan no history on plan ever comes to, and what keeps it from that."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import NamedTuple

import msgspec

from cadence.domain.events import Channel
from cadence.domain.stages import Stage
from cadence.engine.invariants import violation
from cadence.engine.schedule import unmet_requirement
from cadence.engine.wording import because
from cadence.policy.guards import ContactWindow
from cadence.policy.model import EXACT, PlannedTouch, Policy
from cadence.policy.rules import Rule
from cadence.prover.search import used
from cadence.prover.state_space import Graph, State
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, Week, week_of

__all__ = ["ClosedTurn", "Unreachable", "closed_turns", "unreachable"]


class Unreachable(msgspec.Struct, frozen=True):
    """A touch that no history on plan ever makes, and the rule that passes it over or holds it."""

    step: str
    rule: str
    because: str


class ClosedTurn(msgspec.Struct, frozen=True):
    """A weekday that a step rotates to, on which the calendar has no hours."""

    step: str
    day: str


class _Cause(NamedTuple):
    """What keeps a touch from being made at one state.

    ``nearness`` orders causes: how many of the engine's checks it passed before this one, then
    how much there was of what it asks for. The nearest is what would have to be mended.
    """

    nearness: tuple[int, int]
    rule: str
    because: str


def unreachable(graph: Graph) -> Iterator[Unreachable]:
    """Touches that no way on plan makes, each with its nearest cause.

    A guard is counted only where it is certain, for every prospect: a function of the team's own,
    a cap or a cool-down that holds a touch on one history may let it pass on another.
    """
    policy = graph.policy
    windows = {point.index: _never_open(policy, point) for point in graph.points}
    days = graph.least(lambda point: 0 if point.after is None else point.after.gap[0])
    # An owner's own attempt, which begins a silence, takes the place of the first spaced touch.
    first = next((point.index for point in graph.points if point.stage is Stage.SPACED), None)
    own = (channel for channel in policy.usable if not _shut(policy, {channel}, any_day=True))
    made = {first} if any(own) else set()
    nearest: dict[int, _Cause] = {}
    for state, so_far in days.items():
        if state.next >= graph.end:
            continue
        point = graph.points[state.next]
        if point.channels & policy.usable and point.channels & policy.usable <= state.lost:
            continue  # with one of its channels they would stand here too
        cause = _cause(graph, state, so_far, windows[point.index])
        if cause is None:
            made.add(point.index)
        elif point.index not in nearest or cause.nearness > nearest[point.index].nearness:
            nearest[point.index] = cause
    for point in graph.points:
        if point.index not in made:
            nowhere = _Cause((0, 0), Rule.ORDER, "no way leads to it")
            cause = nearest.get(point.index, nowhere)
            yield Unreachable(point.name, cause.rule, cause.because)


def closed_turns(policy: Policy) -> Iterator[ClosedTurn]:
    """Weekdays whose turn comes and whose touch is then made on the next business day.

    A time of day outside business hours is none: some prospects prefer it.
    """
    for step in policy.steps:
        if step.rotate is not None:
            for name, weekday in zip(step.rotate.days, step.rotate.weekdays, strict=True):
                if not policy.week[weekday]:
                    yield ClosedTurn(step.id, name)


def _cause(graph: Graph, state: State, so_far: int, window: str | None) -> _Cause | None:
    """Why the touch at ``state`` can't be made there; ``None``: it can.

    Args:
        graph: the states.
        state: where.
        so_far: how many business days after the first attempt they come here at least.
        window: the guard that never lets the touch pass, if there is one.
    """
    policy, point = graph.policy, graph.points[state.next]
    asked = unmet_requirement(policy, point, state.counts)
    if asked is not None:
        return _Cause(
            (0, min(state.attempts, point.step.requires.attempts)),
            Rule.PLAN,
            because(Rule.PLAN, asked.code, (), asked.facts),
        )
    stopped = violation(point, state.counts)
    if stopped is not None:
        return _Cause((1, state.attempts), stopped.rule, f"stopped by {stopped.rule}")
    if not point.channels & policy.usable:
        return _Cause((2, 0), Rule.CONTACT_POINT, "nobody has a channel for it")
    if window is not None:
        return _Cause((3, 0), window, "it is never open at a time at which this may be made")
    gap = point.after.gap[0] if point.after is not None and state.attempts else 0
    if so_far + gap > policy.horizon_business_days:
        far = f"it lies {so_far + gap} business days after the first attempt at least"
        return _Cause((4, -so_far), Rule.HORIZON, far)
    return None


def _never_open(policy: Policy, point: PlannedTouch) -> str | None:
    """The guard whose contact window never lets ``point`` pass, whoever it is for."""
    exact = point.step.stage in EXACT
    shut = [_shut(policy, on, any_day=exact) for on in _choices(policy, point)]
    return shut[0] if shut and all(shut) else None


def _choices(policy: Policy, point: PlannedTouch) -> list[frozenset[Channel]]:
    """Every set of channels on which ``point`` is made for somebody."""
    channels = sorted({c for part in point.parts for c in part.channels} & policy.usable)
    sizes = range(1, len(channels) + 1)
    have = (frozenset(some) for n in sizes for some in combinations(channels, n))
    return list(dict.fromkeys(on for on in (used(point, some) for some in have) if on))


def _shut(policy: Policy, on: AbstractSet[Channel], *, any_day: bool) -> str | None:
    """The guard whose contact window never lets an attempt pass, if there is one.

    Args:
        policy: whose guards.
        on: the channels of the attempt.
        any_day: whether it may be made on any day; business days, if not. They may prefer any
            waking hours to business hours.
    """
    days = [day for day in range(7) if any_day or policy.week[day]]
    opened = [(day, QUIET_UNTIL, QUIET_FROM) for day in days]
    for guard in policy.guards:
        if isinstance(guard, ContactWindow) and (not guard.channels or on & set(guard.channels)):
            opened = _within(opened, week_of(guard))
            if not opened:
                return guard.name
    return None


def _within(spans: list[tuple[int, int, int]], week: Week) -> list[tuple[int, int, int]]:
    """The parts of ``spans`` (weekday, start, end) at which ``week`` is open."""
    return [
        (day, max(start, opens), min(end, closes))
        for day, start, end in spans
        for opens, closes in week[day]
        if max(start, opens) < min(end, closes)
    ]
