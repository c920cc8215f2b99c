"""The course of a silence: every touch that is made while nobody answers, one after the other.

``next_touch`` decides one touch and says why. Who compares years of histories asks it for nothing
but the next time, a dozen times for each silence. Where the calendar alone says what comes when, a
course gives the same touches at the same times without the reasons, and without folding each
attempt; it ends as soon as anything else has a say, and ``next_touch`` is asked again.
``tests/engine/test_course.py`` holds the one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.events import AttemptStage, Channel, Gap
from cadence.domain.prospect import NO_GAP, Prospect
from cadence.domain.stages import Stage, rank
from cadence.engine.channels import exit_parts, left, parts_on
from cadence.engine.context import MINUTE, DecisionContext
from cadence.engine.invariants import SPACED_CAP
from cadence.engine.schedule import behind_horizon, keeping, next_turn, reached
from cadence.errors import InputError
from cadence.policy.model import EXACT, PlannedTouch, Policy, StepPart
from cadence.policy.touch import TouchPart
from cadence.worktime.calendar import Stride

__all__ = ["Made", "course"]

# Looking a member up in its class takes longer than the rest of a comparison.
_ON_TIME: Final = Stage.ON_TIME
_SPACED: Final = Stage.SPACED
_CALL: Final = Channel.CALL
_FIRST: Final = rank(Stage.ON_TIME)
_EXIT: Final = rank(Stage.POLITE_EXIT)


class Made(msgspec.Struct, frozen=True):
    """One touch, made as soon as it is due and open.

    Attributes:
        at: when.
        point: which touch of the plan.
        parts: on what.
        gap: since the attempt before it in the silence, if there is one.
    """

    at: datetime
    point: PlannedTouch
    parts: tuple[TouchPart, ...]
    gap: Gap | None


def course(prospect: Prospect, policy: Policy, now: datetime) -> Iterator[Made]:
    """The touches that come for ``prospect`` from ``now`` on if nobody answers.

    Args:
        prospect: the fold of its events.
        policy: the policy it is under.
        now: from when on; what was due before it is made now.

    Returns:
        The touches, as far as the calendar alone decides, at most to the polite exit. That there
        is none says nothing: ask ``next_touch``.
    """
    if policy.plain and _begins_plainly(prospect, policy):
        try:
            return iter(_Course(DecisionContext(prospect, policy, now)))
        except InputError:
            pass  # a place that nobody knows is a task
    return iter(())


def _begins_plainly(prospect: Prospect, policy: Policy) -> bool:
    """Whether the silence stands where its plan left it, with nothing promised beside it."""
    if prospect.not_before is not None:
        return False
    attempts, appointment = prospect.silence.attempts, prospect.appointment
    if prospect.stage is Stage.SCHEDULED:
        points = policy.planned_touches
        return (
            appointment is not None
            and not attempts
            and bool(points)
            and points[0].stage is Stage.ON_TIME
            and points[0].step.at is not None
        )
    return (
        _FIRST <= rank(prospect.stage) < _EXIT
        and appointment is None
        and bool(attempts)
        and attempts[-1].stage is not AttemptStage.EXTRA
        and not prospect.silence.unmeasured
    )


class _Course:
    """What is known of the silence while it goes on."""

    def __init__(self, case: DecisionContext) -> None:
        silence = case.prospect.silence
        self.case = case
        self.now = case.now
        self.last = silence.attempts[-1].at if silence.attempts else None
        self.largest = silence.largest_gap
        self.points = left(case.prospect, case.policy)
        self.hours = case.hours()
        self.calendars = case.time.calendars
        # Where the last touch is the start of a stride, one in each zone.
        self.strides: list[Stride] = []
        # From when on no suspended time is left.
        self.clear_from: datetime | None = None
        if case.suspended:
            ends = (end for one in case.suspended for _, end in one.spans)
            self.clear_from = max(ends, default=None)

    def __iter__(self) -> Iterator[Made]:
        case = self.case
        prospect, policy = case.prospect, case.policy
        made = reached(prospect, policy)
        spaced_calls = prospect.silence.spaced_calls
        # Cheap first: so many business days need at least as many days.
        horizon = timedelta(days=policy.horizon_business_days)
        first = prospect.silence.attempts[0].at if self.last is not None else None
        surely_before = None if first is None else first + horizon
        planned: tuple[StepPart, ...] = ()
        parts: tuple[TouchPart, ...] = ()
        by_call = False
        for point in policy.ahead[prospect.stage]:
            stage = point.stage
            if made and point.position < made.get(stage, 0):
                continue
            if point.parts is not planned:  # the touches of a step share theirs
                planned, parts = point.parts, parts_on(prospect, point.parts, self.points)
                by_call = _CALL in [part.channel for part in parts]
            if not parts:
                continue
            if (stage is _ON_TIME) is not (self.last is None):
                return
            spaced = stage is _SPACED
            if spaced and spaced_calls >= SPACED_CAP and Channel.CALL in point.channels:
                return
            found = self._striding(point, parts) or self._closer(point, parts)
            if found is None:
                return
            at, gap = found.at, found.gap
            if gap is None:
                first, surely_before = at, at + horizon  # on time: gaps start anew
            elif surely_before is None or at > surely_before:
                if first is not None and behind_horizon(case, point.step, at, first):
                    return
            if gap is not None and gap > self.largest:
                self.largest = gap
            if spaced and by_call:
                spaced_calls += 1
            self.last = self.now = at
            yield found
        exit_point = policy.exit_point
        if exit_point is None or self.last is None:
            return
        parts = exit_parts(prospect, exit_point, self.points)
        if parts:
            found = self._striding(exit_point, parts) or self._closer(exit_point, parts)
            if found is not None:
                yield found

    def _striding(self, point: PlannedTouch, parts: tuple[TouchPart, ...]) -> Made | None:
        """Most touches: open at the time of the last one, so many business days on.

        Returns:
            ``None`` where that takes a closer look.
        """
        gap, last = point.stride, self.last
        if gap is None or last is None or gap < self.largest:
            return None
        if self.clear_from is not None and last < self.clear_from:
            return None
        strides = self.strides
        if not strides:
            strides += [Stride(calendar, last, self.hours) for calendar in self.calendars]
        days = gap.business_days
        at = strides[0].on(days)
        for other in strides[1:]:
            if other.on(days) != at:
                return None  # their clocks or holidays differ on the way
        if at is None or at < self.now:
            return None
        return Made(at, point, parts, gap)

    def _closer(self, point: PlannedTouch, parts: tuple[TouchPart, ...]) -> Made | None:
        """The closer look; ``None`` where the touch lapses or finds no open time."""
        self.strides.clear()
        return self._soon(point, parts) or self._later(point, parts)

    def _soon(self, point: PlannedTouch, parts: tuple[TouchPart, ...]) -> Made | None:
        """The appointment's own, and others some minutes on: no rule but the calendar delays them.

        Returns:
            ``None`` where that takes a closer look.
        """
        calendars, last, hours = self.calendars, self.last, self.hours
        if last is None:
            planned = None if self.case.suspended else self._planned(point)
            if planned is None or planned < self.now:
                return None
            if [one for one in calendars if one.next_waking(planned) != planned]:
                return None
            return Made(planned, point, parts, None)
        step = point.step
        elapsed = None if point.after is None else point.after.elapsed
        if elapsed is None or step.rotate is not None:
            return None
        if self.clear_from is not None and last < self.clear_from:
            return None
        gap, at = Gap(0, elapsed // MINUTE), last + elapsed
        if gap < self.largest or at < self.now:
            return None
        # Business hours lie within the waking ones, so the appointment's own steps pass too.
        if not [one for one in calendars if not one.open_same_day(last, at, hours)]:
            return Made(at, point, parts, gap)
        if len(calendars) > 1 or step.within is not None or step.stage in EXACT:
            return None
        opened = calendars[0].next_open(at, hours)
        return None if opened is None else self._made(opened, point, parts)

    def _later(self, point: PlannedTouch, parts: tuple[TouchPart, ...]) -> Made | None:
        """Planned, delayed and opened as ``next_touch`` does it."""
        case, step = self.case, point.step
        planned = self._planned(point)
        if planned is None:
            return None
        at = case.next_open(self._keeping_gaps(planned, point), [], step)
        if at is not None and self.now > at:
            at = case.next_open(self.now, [], step)
        if at is None:
            return None
        if step.within is not None and point.stage is not Stage.POLITE_EXIT:
            if at > planned + timedelta(minutes=step.within.minutes):
                return None
        return self._made(at, point, parts)

    def _made(self, at: datetime, point: PlannedTouch, parts: tuple[TouchPart, ...]) -> Made:
        case, last = self.case, self.last
        gap = None if last is None else case.time.gap(last, at, case.suspended)
        return Made(at, point, parts, gap)

    def _planned(self, point: PlannedTouch) -> datetime | None:
        case, last, after = self.case, self.last, point.after
        if last is None:
            appointment = case.prospect.appointment
            return None if appointment is None else appointment.at
        if after is None:
            return None
        if after.business_days is not None:
            planned = case.time.after_business_days(last, after.business_days, case.suspended)
        else:
            assert after.elapsed is not None  # the loader: exactly one unit
            exact = point.step.stage in EXACT
            suspended = None if exact else case.suspended
            planned = case.time.after_elapsed(last, after.elapsed, suspended)
        rotate = point.step.rotate
        if rotate is not None:
            planned = case.time.turn(planned, *next_turn(case.time, rotate, last))
        return planned

    def _keeping_gaps(self, planned: datetime, point: PlannedTouch) -> datetime:
        last, largest, after = self.last, self.largest, point.after
        if last is None or largest == NO_GAP:
            return planned
        days = None if after is None else after.business_days
        if days and days >= largest.business_days:
            return planned  # as many business days from the same attempt are no smaller a gap
        case = self.case
        allowed = case.time.earliest_with_gap(last, largest, case.suspended)
        if allowed <= planned:
            return planned
        return keeping(case.time, point.step, largest, planned, allowed, last)
