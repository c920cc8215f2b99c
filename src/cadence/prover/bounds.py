"""Bound what a silence under a policy can come to, at most and at least, from its plan alone.

The longest path to the end is not played but summed. Played from nine in the morning, a plan shows
the days it takes from there. After an appointment in the evening a touch half a day later opens
only the next day, and the ratchet keeps every gap as long as the longest before it. So the most
that each touch can come to is summed over every path through the plan. It is a bound: no history
need be as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.stages import Stage
from cadence.engine.invariants import CONCERN_DAYS, MOST_PARTS, answer_business_days
from cadence.policy.model import EXACT, Distance, PlannedTouch
from cadence.prover.frequency import (
    least_business_days,
    most_parts,
    most_within,
    touches_made,
)
from cadence.prover.state_space import State, StateSpace, Step
from cadence.prover.weekends import weeks
from cadence.worktime.hours import QUIET_UNTIL, Week

__all__ = ["Bounds", "BusinessDays", "MostParts", "bounds", "least_days"]

_DAY: Final = 24 * 60  # minutes
_WAKING_MINUTE: Final = QUIET_UNTIL // 60


class BusinessDays(msgspec.Struct, frozen=True):
    """A span in business days, from the first attempt of a silence to its close.

    Attributes:
        shortest: everything is skipped that can be.
        longest: every touch is made when it is due, and the polite exit is delivered at once.
        longest_by_mail: the same, where mail alone is left for it, or a channel that a policy
            declares as slow.
        longest_undelivered: it is delivered on the last of their channels only, and by mail.
    """

    shortest: int
    longest: int
    longest_by_mail: int
    longest_undelivered: int


class MostParts(msgspec.Struct, frozen=True):
    """The most parts in one silence, and in any 24 hours, 7 days and 30 days of it."""

    in_silence: int
    in_24_hours: int
    in_7_days: int
    in_30_days: int


class Bounds(msgspec.Struct, frozen=True):
    """What a policy proposes in one silence, each touch made when it is due or later.

    A prospect has one contact point on each channel here: an undelivered polite exit is tried once
    on each. Suspensions, holidays, half days and guards only make the days more; attempts off
    policy are not the policy's. The bounds hold under the weekend of any country: no week has more
    open days than the policy, and the closest that these come together under one of them counts.

    Attributes:
        attempts_in_silence: the most.
        attempts_in_24_hours: the most in any 24 hours of it; so for 7 and 30 days.
        parts: the same in parts, which ``frequency`` counts: a call and an email at once are two.
        by_channel: the same for the parts on each channel that the plan uses.
        business_days_to_end: the shortest and the longest path to the close.
    """

    attempts_in_silence: int
    attempts_in_24_hours: int
    attempts_in_7_days: int
    attempts_in_30_days: int
    parts: MostParts
    by_channel: dict[Channel, MostParts]
    business_days_to_end: BusinessDays

    @property
    def rows(self) -> list[tuple[str, tuple[int, ...]]]:
        """What is counted, with the most in a silence, in 24 hours, in 7 and in 30 days of it."""
        attempts = (
            self.attempts_in_silence,
            self.attempts_in_24_hours,
            self.attempts_in_7_days,
            self.attempts_in_30_days,
        )
        counted = [("parts", self.parts), *self.by_channel.items()]
        parts = [(str(name), msgspec.structs.astuple(most)) for name, most in counted]
        return [("attempts", attempts), *parts]


def bounds(space: StateSpace, exit_point: PlannedTouch, never: AbstractSet[str]) -> Bounds:
    """Return the bounds of a policy that was proved.

    Args:
        space: its states.
        exit_point: its polite exit; no policy is proved without one.
        never: the names of touches that are never made.
    """
    policy = space.policy
    exits = len(policy.usable)
    touches = [touch for touch in touches_made(space) if touch.name not in never]
    every = weeks(policy)

    def most(parts: Callable[[PlannedTouch], int], exits: int) -> MostParts:
        in_silence = _most_in_silence(space, parts) + exits * parts(exit_point)
        made = [*touches, *[exit_point] * exits]
        # Where the sum is beyond a limit (when clocks go forward it is), the engine delays.
        spans = [
            min(in_silence, limit, most_within(made, parts, every, span.days))
            for span, limit in MOST_PARTS
        ]
        return MostParts(in_silence, *spans)

    attempts = most(lambda touch: 1, exits)
    # On each channel the exit is tried once.
    on_channel = {channel: most(most_parts(space, channel), 1) for channel in policy.traits}
    least = space.least(_business_days)
    to_exit, largest = _longest_to_exit(space, exit_point, least)
    given = exit_point.step.answer_within
    answer = answer_business_days(given, ())
    longest = by_mail = to_exit + answer
    for channel in policy.usable:
        slowest = answer_business_days(given, (policy.traits[channel],))
        by_mail = max(by_mail, to_exit + slowest)
    ends = [days for state, days in least.items() if state.next == space.end]
    shortest = min(ends, default=0) + _business_days(exit_point) + answer
    days = BusinessDays(
        # The horizon cuts the plan short, which the sums of the shortest path do not know.
        shortest=min(shortest, longest),
        longest=longest,
        longest_by_mail=by_mail,
        longest_undelivered=by_mail + (exits - 1) * largest,
    )
    return Bounds(
        attempts_in_silence=attempts.in_silence,
        attempts_in_24_hours=attempts.in_24_hours,
        attempts_in_7_days=attempts.in_7_days,
        attempts_in_30_days=attempts.in_30_days,
        parts=most(most_parts(space), exits),
        by_channel={channel: parts for channel, parts in on_channel.items() if parts.in_silence},
        business_days_to_end=days,
    )


def _most_in_silence(space: StateSpace, parts: Callable[[PlannedTouch], int]) -> int:
    """Return the most parts on a path on plan."""

    def following(so_far: int, state: State, step: Step) -> int:
        return so_far + (0 if step.touch is None or not step.is_attempt else parts(step.touch))

    # An owner's own attempt begins some silences; it has one part, on whatever channel.
    most = space.along_plan(lambda state: state.counts.attempts, following, max)
    return max(most.values(), default=0)


def _business_days(touch: PlannedTouch) -> int:
    return 0 if touch.after is None else touch.after.gap[0]


# Days of 24 hours ---------------------------------------------------------------------------------


def least_days(touch: PlannedTouch, every: tuple[Week, ...]) -> int:
    """Return how many days of 24 hours the distance of ``touch`` is at least, in any week."""
    after = touch.after
    if after is None:
        return 0
    elapsed = after.elapsed
    return (
        elapsed.days
        if elapsed is not None
        else least_business_days(every, after.business_days or 1)
    )


# The longest path ---------------------------------------------------------------------------------


class _Lasted(NamedTuple):
    """How long a silence may have lasted at a state, in business days, and what bears on the rest.

    Attributes:
        days: since the first attempt.
        gap: the largest gap, which no later one falls short of.
        any_hour: whether the last attempt may have been made outside business hours.
    """

    days: int
    gap: int
    any_hour: bool

    def covers(self, other: _Lasted) -> bool:
        """Whether nothing that follows ``other`` can last longer than what follows this."""
        return self.days >= other.days and self.gap >= other.gap and self.any_hour >= other.any_hour


def _longest_to_exit(
    space: StateSpace, exit_point: PlannedTouch, least: Mapping[State, int]
) -> tuple[int, int]:
    """Return the most business days from the first attempt of a silence to its polite exit.

    As in all bounds, in one place, without holidays, suspensions, guards and preferred hours.

    Args:
        space: the states of the policy.
        exit_point: its polite exit.
        least: how many business days it takes at least to each state.

    Returns:
        Those days, and the largest gap on the way, which an exit that is tried again waits for.
    """
    horizon = space.policy.horizon_business_days
    lasted: dict[State, list[_Lasted]] = {}
    for start in space.starts():
        _add(lasted, start.state, _Lasted(0, 0, any_hour=True))
    longest = largest = 0
    for state, steps in space.on_plan.items():
        for so_far in lasted[state]:
            leaving = _most_days(space, exit_point, so_far)
            if state.next == space.end:
                longest = max(longest, so_far.days + leaving)
                largest = max(largest, leaving)
            for step, after in steps:
                touch = step.touch
                if touch is None or not step.is_attempt:
                    _add(lasted, after, so_far)
                    continue
                made = _made(space, touch, so_far, least[state], is_first=not state.counts.attempts)
                if made.days > horizon and touch.step.stage not in EXACT:
                    # Behind the horizon only the exit comes, and not before what it replaces.
                    longest = max(longest, made.days, so_far.days + leaving)
                    largest = max(largest, leaving, made.days - so_far.days)
                    made = made._replace(days=horizon)
                _add(lasted, after, made)
    return longest, largest


def _add(lasted: dict[State, list[_Lasted]], state: State, new: _Lasted) -> None:
    """Keep ``new``, and of all at ``state`` only those that may turn out to be the longest."""
    known = lasted.setdefault(state, [])
    if not any(one.covers(new) for one in known):
        known[:] = [*(one for one in known if not new.covers(one)), new]


def _made(
    space: StateSpace, touch: PlannedTouch, so_far: _Lasted, least: int, *, is_first: bool
) -> _Lasted:
    """Return how long it has lasted once ``touch`` was made, after ``least`` days at least."""
    is_exact = touch.step.stage in EXACT
    if is_first:
        return _Lasted(0, 0, any_hour=is_exact)
    gap = 0 if is_exact else _most_days(space, touch, so_far)
    days = so_far.days + gap
    required = touch.step.requires.days
    if touch.stage is Stage.CONCERN:
        required = max(required, CONCERN_DAYS)
    if required:
        until = _business_days_in(space.policy.week, required) + 1
        days, gap = max(days, until), max(gap, until - least)
    return _Lasted(days, max(so_far.gap, gap), any_hour=is_exact)


def _most_days(space: StateSpace, touch: PlannedTouch, so_far: _Lasted) -> int:
    """Return how many business days after the attempt before a touch is made at most."""
    policy, after = space.policy, touch.after
    week, rotate = policy.week, touch.step.rotate
    if after is None or after.business_days is None:
        days = _days_of(after, week, so_far.any_hour)
        if so_far.gap:  # the ratchet holds it for days, at an hour that may be closed
            days = max(days, so_far.gap + 1)
    else:
        # At the same hour as the attempt before, and so in business hours if that was.
        days = max(after.business_days, so_far.gap) + (so_far.any_hour or not _same_hours(week))
    for answer in policy.answers.values():
        days = max(days, _days_of(answer, week, any_hour=True) + 1)
    if rotate is not None:
        days += any(second >= 60 * _closing(week) for second in rotate.seconds)
        if rotate.weekdays:  # the next of its weekdays is less than a week away
            days += _days_a_week(week) - 1
    return days


def _days_of(distance: Distance | None, week: Week, any_hour: bool) -> int:
    if distance is None:
        return 0
    if distance.business_days is not None:
        return distance.business_days
    elapsed = distance.elapsed
    return 0 if elapsed is None else _rolled(week, int(elapsed.total_seconds()) // 60, any_hour)


@lru_cache(maxsize=1024)
def _rolled(week: Week, minutes: int, any_hour: bool) -> int:
    """Return the most business days that so many minutes come to, with the wait for an opening."""
    closing = _closing(week)
    begins = range(_WAKING_MINUTE, _DAY) if any_hour else _open_minutes(week)
    most = 0
    for begin in begins:
        days, minute = divmod(begin + minutes, _DAY)
        # A day that begins closed, as with a Sunday's appointment, waits for the next one.
        waits = minute >= closing or (any_hour and not days) or not _same_hours(week)
        most = max(most, days + waits)
    return most


def _open_minutes(week: Week) -> list[int]:
    return sorted({m for hours in week for a, b in hours for m in range(a // 60, -(-b // 60))})


@lru_cache(maxsize=256)
def _closing(week: Week) -> int:
    """Return the minute of the day at which the business day that ends first ends."""
    return min(hours[-1][1] for hours in week if hours) // 60


@lru_cache(maxsize=256)
def _same_hours(week: Week) -> bool:
    """Whether every business day has the same hours."""
    return len({hours for hours in week if hours}) == 1


def _business_days_in(week: Week, days: int) -> int:
    """Return the most business days that so many days hold."""
    weeks, left = divmod(days, 7)
    return weeks * _days_a_week(week) + min(left, _days_a_week(week))


def _days_a_week(week: Week) -> int:
    """Return how many business days a week has."""
    return sum(1 for hours in week if hours)
