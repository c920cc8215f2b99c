"""Moments: each step of a replay with what an auditor asks of it.

What was due and not done when the event came, how far it lay from the attempt before it, and what
had happened by then that nobody had recorded yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

import msgspec

from cadence.domain.enums import StrEnum
from cadence.domain.events import AttemptMade, Event, FollowUpEnded, Gap
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision, Task, Verdict
from cadence.engine.loop import decision_for
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule
from cadence.replay.formatting import what
from cadence.replay.steps import Replayed, replay

__all__ = ["SHOWN_UNKNOWN", "Measure", "Moment", "Undone", "UndoneKind", "moments"]

SHOWN_UNKNOWN: Final = 5
"""How many of the events that were not recorded yet a moment names."""


class UndoneKind(StrEnum):
    """What kind of thing was due and not done."""

    TOUCH = "touch"
    TASK = "task"
    CLOSE = "close"
    PASSED_OVER = "passed_over"


class Undone(msgspec.Struct, frozen=True):
    """Something that was due before an event came, and had not been done.

    Attributes:
        kind: a touch, an owner's task, a close; or a touch passed over for its lateness.
        what: in words.
        due: since when; ``None`` for what was passed over (``what`` tells).
        late: for how long, when the event was recorded; for an attempt, when it was made.
        touch: the id of the touch.
    """

    kind: UndoneKind
    what: str
    due: datetime | None = None
    late: timedelta | None = None
    touch: str | None = None


class Measure(msgspec.Struct, frozen=True):
    """How far an attempt lay from the one before it.

    Attributes:
        gap: the distance.
        measured_then: the attempt carries it; otherwise it is measured now.
        version: the attempt before it.
        start: when that one was made.
        elapsed: the time between the two.
        days_off: public holidays and closed days between them, which do not count.
        largest: the largest gap of the silence until then, which no touch undercuts.
    """

    gap: Gap
    measured_then: bool
    version: int
    start: datetime
    elapsed: timedelta
    days_off: tuple[tuple[date, str], ...]
    largest: Gap


class Moment(msgspec.Struct, frozen=True):
    """One step of a replay, with what was known, due and undone at it.

    Attributes:
        replayed: the event, what it led to, and the decision.
        before: where the prospect stood before it.
        changed: something else was decided than after the event before.
        pending: what was to be done when the event came, as far as was known.
        made: the event is an attempt that carried out the pending touch.
        undone: what was due and not done when the event came.
        measure: the gap of an attempt.
        unknown: what had occurred by then but was recorded only later; the first few.
        unknown_count: how many those are in all.
    """

    replayed: Replayed
    before: Stage | None
    changed: bool
    pending: Decision | None
    made: bool
    undone: tuple[Undone, ...]
    measure: Measure | None
    unknown: tuple[Event, ...]
    unknown_count: int

    @property
    def event(self) -> Event:
        """What was recorded."""
        return self.replayed.event

    @property
    def due(self) -> datetime | None:
        """When the touch that this attempt carried out was due; ``None`` if it did none."""
        return self.pending.at if self.made and self.pending is not None else None

    @property
    def prospect(self) -> Prospect:
        """The prospect after it."""
        return self.replayed.prospect

    @property
    def decision(self) -> Decision:
        """What was then decided."""
        return self.replayed.decision


def moments(
    events: Sequence[Event], policies: PolicyRegistry, limit: int | datetime | None = None
) -> Iterator[Moment]:
    """Step through a history, one moment an event.

    Args:
        events: the whole history of one prospect, in order of version, also what lies behind
            ``limit``: it says what was not yet known.
        policies: where the policies it was under are looked up.
        limit: stop at this version, or at this instant (see :func:`cadence.replay.steps`).
    """
    hindsight = _Hindsight(events)
    before: Replayed | None = None
    told: set[str] = set()
    for step in replay(events, policies, limit):
        unknown, count = hindsight.at(step)
        pending: Decision | None = None
        made = False
        undone: tuple[Undone, ...] = ()
        if before is not None:
            if before.prospect.silence.version != step.prospect.silence.version:
                told.clear()
            pending = decision_for(before.prospect, policies, _came_at(step.event))
            made = _carries_out(step.event, pending)
            undone = tuple(_undone(step.event, pending, made, told))
        yield Moment(
            step,
            None if before is None else before.stage,
            before is None or _core(before.decision) != _core(step.decision),
            pending,
            made,
            undone,
            None if before is None else _measure(before.prospect, step.event, policies),
            unknown,
            count,
        )
        before = step


def _core(decision: Decision) -> tuple[object, ...]:
    touch = decision.touch.id if decision.touch is not None else None
    task = decision.task if isinstance(decision, Task) else None
    return decision.verdict, decision.at, touch, task


def _came_at(event: Event) -> datetime:
    """When to ask what was due: an attempt is judged by when it was made."""
    return event.occurred_at if isinstance(event.data, AttemptMade) else event.recorded_at


def _carries_out(event: Event, pending: Decision) -> bool:
    data, touch = event.data, pending.touch
    if not isinstance(data, AttemptMade) or touch is None:
        return False
    if data.step is not None:
        return data.step == touch.step
    return data.stage is not None and data.stage.value == touch.stage.value


def _undone(event: Event, pending: Decision, made: bool, told: set[str]) -> Iterator[Undone]:
    came = _came_at(event)
    at = pending.at
    if at is not None and at < came:
        late = came - at
        if pending.verdict is Verdict.DUE and pending.touch is not None and not made:
            yield Undone(UndoneKind.TOUCH, what(pending), at, late, pending.touch.id)
        elif pending.verdict is Verdict.TASK:
            yield Undone(UndoneKind.TASK, what(pending), at, late)
        elif pending.verdict is Verdict.CLOSE and not isinstance(event.data, FollowUpEnded):
            yield Undone(UndoneKind.CLOSE, what(pending), at, late)
    for reason in pending.reasons:
        # Reasons with a time delay the touch; those without pass touches over.
        if reason.rule in (Rule.LAPSED, Rule.HORIZON) and reason.until is None:
            because = reason.because
            if because not in told:
                told.add(because)
                yield Undone(UndoneKind.PASSED_OVER, because)


def _measure(before: Prospect, event: Event, policies: PolicyRegistry) -> Measure | None:
    if not isinstance(event.data, AttemptMade):
        return None
    earlier = (a for a in reversed(before.silence.attempts) if a.at <= event.occurred_at)
    last = next(earlier, None)
    policy = policies.of(before)
    if last is None or policy is None:
        return None
    try:
        time = calendar_for(before, policy)
    except InputError:
        return None
    gap = event.data.gap
    if gap is None:
        gap = time.gap(last.at, event.occurred_at, time.suspended(before.silence.suspensions))
    return Measure(
        gap,
        event.data.gap is not None,
        last.version,
        last.at,
        event.occurred_at - last.at,
        tuple(time.days_off(last.at, event.occurred_at)),
        before.silence.largest_gap,
    )


class _Hindsight:
    """What had occurred by the moment of a step but was recorded after it."""

    def __init__(self, events: Sequence[Event]) -> None:
        late = [event for event in events if event.recorded_at > event.occurred_at]
        self._coming = sorted(late, key=lambda event: event.occurred_at)
        self._next = 0
        self._open: dict[int, Event] = {}

    def at(self, step: Replayed) -> tuple[tuple[Event, ...], int]:
        """The first few, and how many; to be asked step by step."""
        now = step.seen_at
        while self._next < len(self._coming) and self._coming[self._next].occurred_at <= now:
            event = self._coming[self._next]
            self._open[event.version] = event
            self._next += 1
        self._open.pop(step.event.version, None)
        unknown = [event for event in self._open.values() if event.recorded_at > now]
        # A clock that was set back may ask for an earlier instant than before.
        unknown = [event for event in unknown if event.occurred_at <= now]
        return tuple(islice(unknown, SHOWN_UNKNOWN)), len(unknown)
