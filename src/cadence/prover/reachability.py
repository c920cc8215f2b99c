"""Find touches that are never made, and why."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import NamedTuple

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.stages import Stage
from cadence.engine.schedule import unmet_requirement
from cadence.engine.wording import because
from cadence.policy.model import EXACT, PlannedTouch, Policy
from cadence.policy.rules import Rule
from cadence.prover.state_space import Channels, State, StateSpace, channels_used
from cadence.prover.weekends import Arrangement, arrangements
from cadence.worktime.hours import QUIET_FROM, QUIET_UNTIL, Week

__all__ = ["ClosedTurn", "Unreachable", "closed_turns", "unreachable"]


class Unreachable(msgspec.Struct, frozen=True):
    """A touch that no history on plan ever makes, and the rule that skips or holds it."""

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
    how much there was of what it asks for. The nearest is the one to fix.
    """

    nearness: tuple[int, int]
    rule: str
    because: str


def unreachable(space: StateSpace) -> Iterator[Unreachable]:
    """Yield touches that no path on plan makes, each with its nearest cause.

    A guard is counted only where it is certain, for every prospect: a function of the team's own,
    a cap or a cool-down that holds a touch on one history may let it pass on another.
    """
    policy = space.policy
    windows = {touch.index: _never_open(policy, touch) for touch in space.touches}
    days = space.least(lambda touch: 0 if touch.after is None else touch.after.gap[0])
    # An owner's own attempt, which begins a silence, takes the place of the first spaced touch.
    first = next((touch.index for touch in space.touches if touch.stage is Stage.SPACED), None)
    own = (channel for channel in policy.usable if not _shut(policy, {channel}, any_day=True))
    made = {first} if any(own) else set()
    nearest: dict[int, _Cause] = {}
    for state, so_far in days.items():
        if state.next >= space.end:
            continue
        touch = space.touches[state.next]
        if touch.channels & policy.usable and touch.channels & policy.usable <= state.lost:
            continue  # with one of its channels they would stand here too
        cause = _cause(space, state, so_far, windows[touch.index])
        if cause is None:
            made.add(touch.index)
        elif touch.index not in nearest or cause.nearness > nearest[touch.index].nearness:
            nearest[touch.index] = cause
    for touch in space.touches:
        if touch.index not in made:
            nowhere = _Cause((0, 0), Rule.ORDER, "no path leads to it")
            cause = nearest.get(touch.index, nowhere)
            yield Unreachable(touch.name, cause.rule, cause.because)


def closed_turns(policy: Policy) -> Iterator[ClosedTurn]:
    """Yield weekdays whose turn comes and whose touch is then made on the next business day.

    A time of day outside business hours is none: some prospects prefer it.
    """
    for step in policy.steps:
        if step.rotate is not None:
            for name, weekday in zip(step.rotate.days, step.rotate.weekdays, strict=True):
                if not policy.week[weekday]:
                    yield ClosedTurn(step.id, name)


def _cause(space: StateSpace, state: State, so_far: int, window: str | None) -> _Cause | None:
    """Return why the touch at ``state`` can't be made there; ``None``: it can.

    Args:
        space: the states.
        state: where.
        so_far: how many business days after the first attempt they come here at least.
        window: the guard that never lets the touch pass, if there is one.
    """
    policy, touch, attempts = space.policy, space.touches[state.next], state.counts.attempts
    asked = unmet_requirement(policy, touch, state.counts)
    if asked is not None:
        made = min(attempts, touch.step.requires.attempts)
        return _Cause((0, made), Rule.PLAN, because(Rule.PLAN, asked.code, (), asked.facts))
    rule = space.violation(state)
    if rule is not None:
        return _Cause((1, attempts), rule, f"stopped by {rule}")
    if not touch.channels & policy.usable:
        return _Cause((2, 0), Rule.CONTACT_POINT, "the team uses no channel of it")
    if window is not None:
        return _Cause((3, 0), window, "it is never open at a time at which this may be made")
    gap = touch.after.gap[0] if touch.after is not None and attempts else 0
    if so_far + gap > policy.horizon_business_days:
        far = f"it lies {so_far + gap} business days after the first attempt at least"
        return _Cause((4, -so_far), Rule.HORIZON, far)
    return None


def _never_open(policy: Policy, touch: PlannedTouch) -> str | None:
    """Return the guard whose contact window never lets ``touch`` pass, for any prospect."""
    exact = touch.step.stage in EXACT
    shut = [_shut(policy, on, any_day=exact) for on in _choices(policy, touch)]
    return shut[0] if shut and all(shut) else None


def _choices(policy: Policy, touch: PlannedTouch) -> list[Channels]:
    """Return every set of channels on which ``touch`` is made for some prospect."""
    channels = sorted({c for part in touch.parts for c in part.channels} & policy.usable)
    sizes = range(1, len(channels) + 1)
    have = (frozenset(some) for n in sizes for some in combinations(channels, n))
    return list(dict.fromkeys(on for on in (channels_used(touch, some) for some in have) if on))


def _shut(policy: Policy, on: AbstractSet[Channel], *, any_day: bool) -> str | None:
    """Return the guard whose contact window never lets an attempt pass, if there is one.

    Args:
        policy: whose guards.
        on: the channels of the attempt.
        any_day: whether it may be made on any day; business days, if not. They may prefer any
            waking hours to business hours.
    """
    shut = [_shut_in(policy, one, on, any_day=any_day) for one in arrangements(policy)]
    return shut[0] if all(shut) else None


def _shut_in(
    policy: Policy, arrangement: Arrangement, on: AbstractSet[Channel], *, any_day: bool
) -> str | None:
    """Return the guard that lets no attempt pass under the weekend of one ``arrangement``."""
    week, sources = arrangement
    days = [day for day in range(7) if any_day or week[day]]
    opened = [(day, QUIET_UNTIL, QUIET_FROM) for day in days]
    for guard in policy.guards:
        window = guard.weekly_hours()
        if window is not None and (not guard.channels or on & set(guard.channels)):
            opened = _within(opened, tuple(window[source] for source in sources))
            if not opened:
                return guard.name
    return None


def _within(spans: list[tuple[int, int, int]], week: Week) -> list[tuple[int, int, int]]:
    """Return the parts of ``spans`` (weekday, start, end) at which ``week`` is open."""
    return [
        (day, max(start, opens), min(end, closes))
        for day, start, end in spans
        for opens, closes in week[day]
        if max(start, opens) < min(end, closes)
    ]
