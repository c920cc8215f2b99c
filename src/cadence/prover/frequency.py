"""Prove that a plan keeps to ``frequency``, or find the shortest history on which it does not.

The rule has three parts, and each is judged by what it is about. A *touch* has at most two parts:
seen in the state where it is made. Two *neighbours* from ``spaced`` on are a business day apart:
seen in the distance of the second. A *span* of the silence has at most so many parts: summed over
every row of touches that fits into it, each as close to the one before as its distance allows.

The sum is too large where the touches of such a row can't all be made, or not that close. So it
proves a policy, but refutes none: for that the plan is followed through the engine, for every
choice of contact points, until the engine names the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice, product
from typing import Any, Final, NamedTuple

from cadence.domain.channels import Channel
from cadence.domain.events import Event
from cadence.domain.plurals import plural
from cadence.domain.stages import Stage, rank
from cadence.engine.invariants import MOST_PARTS, MOST_PARTS_IN_TOUCH
from cadence.engine.wording import parts_in
from cadence.policy.model import PlannedTouch
from cadence.policy.rules import Rule
from cadence.prover.search import ExactPath, Path, paths_to
from cadence.prover.simulation import replay_path
from cadence.prover.state_space import Start, State, StateSpace, channels_used
from cadence.prover.weekends import countries, weeks
from cadence.worktime.hours import Week

__all__ = ["least_business_days", "most_parts", "most_within", "too_frequent", "touches_made"]

_DAY: Final = 24 * 60  # minutes
_CLOCK_CHANGE: Final = 60  # minutes
_SPACED: Final = rank(Stage.SPACED)
_PATHS: Final = 40
"""How many paths are replayed before the engine is taken to disagree with the sum."""

_Refutation = tuple[str, str, tuple[Event, ...]]


def too_frequent(space: StateSpace) -> Iterator[_Refutation]:
    """Yield where the engine has to delay what the plan proposes, for its frequency."""
    shortest = math.inf
    exit_point = space.policy.exit_point
    touches = [*space.touches, *([] if exit_point is None else [exit_point])]
    for may_be, is_wrong in (
        (_is_close, _comes_too_soon),
        (_has_many_parts, _has_too_many_parts),
    ):
        # The exact states are many: they are searched only where a touch of the file is suspect.
        if not any(map(may_be, touches)):
            continue
        paths = paths_to(space, partial(_is_wrong_next, space, is_wrong))
        for refutation in islice(_replayed(space, islice(paths, _PATHS)), 1):
            yield refutation
            shortest = min(shortest, len(refutation[2]))
    if _may_exceed(space):
        yield from _crowded(space, shortest)


def _replayed(
    space: StateSpace, paths: Iterable[ExactPath[None]], country: str | None = None
) -> Iterator[_Refutation]:
    """Yield the history of each path on which the engine names the rule, and what it says."""
    policy = space.policy
    for path in paths:
        simulation = replay_path(policy, path, Rule.FREQUENCY, country)
        if simulation is None:
            continue
        decision = simulation.explain()
        named = [reason for reason in decision.reasons if reason.rule == Rule.FREQUENCY]
        if not named or decision.touch is None:
            continue
        touch = policy.by_name.get(decision.touch.step) or policy.exit_point
        if touch is None:
            continue
        events = tuple(simulation.events)
        if Rule.FREQUENCY in simulation.make_off_plan(touch):
            events = tuple(simulation.events)
        yield Rule.FREQUENCY, _words(touch, named[0].facts), events


def _words(touch: PlannedTouch, facts: Mapping[str, Any]) -> str:
    """Say what is wrong with a touch, from the facts of the engine's reason."""
    if "left_out" in facts:
        return f"{touch.name} has {plural(len(touch.parts), 'part')}; at most {facts['most']}"
    if "business_days" in facts:
        return f"{touch.name} comes {touch.after} after the attempt before, not a business day"
    return f"with {touch.name} there are more than {parts_in(facts)}"


# A touch, and its neighbour -----------------------------------------------------------------------


def _is_wrong_next(
    space: StateSpace, is_wrong: Callable[[StateSpace, PlannedTouch, State], bool], state: State
) -> bool:
    """Whether the touch that is made at ``state``, or the exit at the end, is wrong."""
    if state.next < space.end:
        touch = space.touches[state.next]
        return space.may_be_made(state) and is_wrong(space, touch, state)
    exit_point = space.policy.exit_point
    is_left = bool(state.have) and state.counts.attempts > 0
    return exit_point is not None and is_left and is_wrong(space, exit_point, state)


def _is_close(touch: PlannedTouch) -> bool:
    """Whether a touch from ``spaced`` on is planned less than a business day after another."""
    return rank(touch.stage) >= _SPACED and touch.after is not None and not touch.after.gap[0]


def _comes_too_soon(space: StateSpace, touch: PlannedTouch, state: State) -> bool:
    return bool(state.counts.attempts) and _is_close(touch)


def _has_many_parts(touch: PlannedTouch) -> bool:
    return len(touch.parts) > MOST_PARTS_IN_TOUCH


def _has_too_many_parts(space: StateSpace, touch: PlannedTouch, state: State) -> bool:
    have = (state.have or frozenset()) & space.policy.usable
    return len(channels_used(touch, have)) > MOST_PARTS_IN_TOUCH


# The spans ----------------------------------------------------------------------------------------


def touches_made(space: StateSpace) -> list[PlannedTouch]:
    """Return every touch before the exit that some silence makes, in order."""
    made = {
        step.touch.index
        for steps in space.open_states.values()
        for step, _ in steps
        if step.is_attempt and step.touch is not None
    }
    touches = [touch for touch in space.touches if touch.index in made]
    exit_point = space.policy.exit_point
    if exit_point is not None and not any(touch.stage is Stage.SPACED for touch in touches):
        # Then an owner's own attempt, which begins a silence, takes the place of none of them.
        touches.insert(0, exit_point)
    return touches


def most_parts(space: StateSpace, channel: Channel | None = None) -> Callable[[PlannedTouch], int]:
    """Return how many parts a touch has at most: on one channel, or on all."""
    usable = space.policy.usable

    def parts(touch: PlannedTouch) -> int:
        channels = touch.channels & usable
        if touch.stage is Stage.POLITE_EXIT:
            channels = usable  # where its own are gone it takes any channel that is left
        if channel is not None:
            return int(channel in channels)
        return min(len(touch.parts), len(channels), MOST_PARTS_IN_TOUCH)

    return parts


class _Row(NamedTuple):
    """Touches in a row: how far the last is from the first at least.

    Attributes:
        business_days, minutes: the sum of their distances.
        is_turned: one is made at another time of day than the one before.
    """

    business_days: int = 0
    minutes: int = 0
    is_turned: bool = False

    def then(self, touch: PlannedTouch) -> _Row:
        """Return the row with one touch more."""
        days, minutes = (0, 0) if touch.after is None else touch.after.gap
        rotate = touch.step.rotate
        is_turned = self.is_turned or (rotate is not None and bool(rotate.times))
        return _Row(self.business_days + days, self.minutes + minutes, is_turned)

    def least_minutes(self, every: tuple[Week, ...]) -> int:
        """Return how many minutes it takes at least, in any of the weeks."""
        if not self.business_days:
            return self.minutes
        # The local time of day is kept, but for a clock that goes forward.
        less = _DAY if self.is_turned else _CLOCK_CHANGE
        return self.minutes + least_business_days(every, self.business_days) * _DAY - less

    def is_closer(self, other: _Row) -> bool:
        """Whether whatever fits behind ``other`` fits behind this."""
        return (
            self.business_days <= other.business_days
            and self.minutes <= other.minutes
            and self.is_turned >= other.is_turned
        )


def most_within(
    touches: Sequence[PlannedTouch],
    parts: Callable[[PlannedTouch], int],
    every: tuple[Week, ...],
    days: int,
    *,
    enough: int | None = None,
) -> int:
    """Return the most parts in ``days`` times 24 hours, each touch as early as its distance allows.

    Any touches may be left out between two: a prospect may have no channel for them.

    Args:
        touches: in the order in which they are made.
        parts: how many parts of a touch count.
        every: the weeks that the policy may come to.
        days: of 24 hours.
        enough: the search stops at the first number above this.
    """
    rows: dict[int, list[_Row]] = {}
    most = 0
    for touch in touches:
        counted = parts(touch)
        if not counted:
            continue
        found = [(counted, _Row())]
        for before, known in rows.items():
            for row in known:
                longer = row.then(touch)
                if longer.least_minutes(every) < days * _DAY:
                    found.append((before + counted, longer))
        for total, row in found:
            known = rows.setdefault(total, [])
            if not any(one.is_closer(row) for one in known):
                known[:] = [*(one for one in known if not row.is_closer(one)), row]
            most = max(most, total)
        if enough is not None and most > enough:
            break
    return most


@lru_cache(maxsize=4096)
def least_business_days(every: tuple[Week, ...], n: int) -> int:
    """Return how many days there are at least up to the ``n``-th business day after one."""
    return min(_days_until(week, start, n) for week in every for start in range(7))


def _days_until(week: Week, start: int, n: int) -> int:
    """Return how many days after weekday ``start`` the ``n``-th business day is."""
    days_a_week = sum(1 for hours in week if hours)
    whole, left = divmod(n - 1, days_a_week)
    days = 7 * whole
    while left >= 0:
        days += 1
        if week[(start + days) % 7]:
            left -= 1
    return days


def _may_exceed(space: StateSpace) -> bool:
    """Whether the sum says of any span that it may have too many parts."""
    policy = space.policy
    touches, parts, every = touches_made(space), most_parts(space), weeks(policy)
    if policy.exit_point is not None:
        touches += [policy.exit_point] * len(policy.usable)
    return any(
        most_within(touches, parts, every, span.days, enough=most) > most
        for span, most in MOST_PARTS
    )


def _crowded(space: StateSpace, known: float) -> Iterator[_Refutation]:
    """Yield the shortest history on which a span has too many parts, if the engine finds one.

    Args:
        space: the states of the policy.
        known: how many events the shortest refutation has that is known already.
    """
    every = weeks(space.policy)
    found: dict[tuple[object, ...], tuple[int, ExactPath[None]]] = {}
    for start, lapses in product(space.exact_starts(), (False, True)):
        path, made = _followed(space, start, known, lapses=lapses)
        attempts = _attempts_before_excess(made, every)
        if attempts is not None:
            # Of silences that make the same touches the plainest is replayed.
            key = start.beginning, *((touch and touch.name, parts) for touch, parts in made)
            found.setdefault(key, (start.events + attempts, path))
    likely = sorted(found.values(), key=lambda one: (one[0], one[1].cost))[:_PATHS]
    best: _Refutation | None = None
    for (events, path), country in product(likely, (None, *countries(space.policy))):
        if best is not None and events >= len(best[2]):
            break
        for refutation in _replayed(space, [path], country):
            if best is None or len(refutation[2]) < len(best[2]):
                best = refutation
    if best is not None and len(best[2]) < known:
        yield best


_Made = list[tuple[PlannedTouch | None, int]]
"""The touches that are made, each with its number of parts; ``None`` is an owner's own attempt."""


def _followed(
    space: StateSpace, start: Start, most_events: float, *, lapses: bool
) -> tuple[ExactPath[None], _Made]:
    """Follow the plan to its end: make every touch that can be made, or let lapse what may."""
    usable, exit_point = space.policy.usable, space.policy.exit_point
    cost = (start.events, int(start.is_wrong), len(start.channels))
    path: ExactPath[None] = Path((start.state, None), cost, start)
    made: _Made = [(None, 1)] if start.on is not None else []
    while path.place[0].next < space.end and path.cost[0] < most_events:
        state = path.place[0]
        steps = {step.kind: (step, after) for step, after in reversed([*space.steps(state)])}
        wanted = ("lapsed", "made", "skipped") if lapses else ("made", "skipped")
        step, after = next(steps[kind] for kind in wanted if kind in steps)
        events, unusual, points = path.cost
        cost = (events + step.events, unusual + step.unusual, points)
        if step.touch is not None and step.is_attempt:
            have = (state.have or frozenset()) & usable
            made.append((step.touch, len(channels_used(step.touch, have))))
        path = Path((after, None), cost, step, path)
    if exit_point is not None and made:
        made.append((exit_point, most_parts(space)(exit_point)))
    return path, made


def _attempts_before_excess(made: _Made, every: tuple[Week, ...]) -> int | None:
    """Return after how many attempts a span may have too many parts; ``None``: it never has."""
    month = MOST_PARTS[-1][0].days * _DAY
    before: list[tuple[_Row, int]] = []
    for number, (touch, parts) in enumerate(made):
        if touch is not None:
            rows = [(row.then(touch), count) for row, count in before]
            least = [(row, row.least_minutes(every), count) for row, count in rows]
            for span, most in MOST_PARTS:
                if sum(n for _, ago, n in least if ago < span.days * _DAY) + parts > most:
                    return number
            before = [(row, count) for row, ago, count in least if ago < month]
        before.append((_Row(), parts))
    return None
