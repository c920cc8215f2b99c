"""Replay a history: each event, where it led, and what was then decided.

:func:`replay` steps through a history with the loop of the service. :func:`annotate` adds to each
step what an auditor asks: what was overdue, how far an attempt lay from the one before it, and what
had occurred by then but was recorded only later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import groupby, islice, takewhile
from typing import Any, Final

import msgspec

from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.events import AttemptMade, Event, FollowUpEnded, Gap, ProspectsMerged
from cadence.domain.fold import fold
from cadence.domain.others import Others
from cadence.domain.prospect import Prospect
from cadence.domain.shown import Shown
from cadence.domain.stages import Stage
from cadence.domain.standing import TAKING_BACK, standing, taken_back_by
from cadence.domain.team import NO_TEAM, Team
from cadence.engine.context import calendar_for
from cadence.engine.decision import Close, Decision, Due, Task
from cadence.engine.decision import to_builtins as decision_to_builtins
from cadence.engine.loop import decision_for
from cadence.engine.reasons import Reason, ReasonKind
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule
from cadence.worktime.zones import from_local, zone

__all__ = [
    "SHOWN_UNRECORDED",
    "AnnotatedStep",
    "History",
    "Measure",
    "Overdue",
    "OverdueKind",
    "ReplayStep",
    "annotate",
    "composed",
    "end_of_day",
    "replay",
    "to_builtins",
    "until",
]

SHOWN_UNRECORDED: Final = 5
"""How many of the events that were not recorded yet a step holds."""


# Steps --------------------------------------------------------------------------------------------


class ReplayStep(msgspec.Struct, frozen=True):
    """One step of a replay.

    Attributes:
        event: what was recorded.
        prospect: the prospect after it.
        decision: what was decided then.
        seen_at: the instant of the decision: when the event was recorded. For the last step of a
            replay up to an instant, it is that instant.
        taken_back_by: the retraction or correction of the event among those replayed.
        merged_by: the version of the merge by which an event of another record counts here too; 0:
            it is the prospect's own, or the word of another person.
    """

    event: Event
    prospect: Prospect
    decision: Decision
    seen_at: datetime
    taken_back_by: Event | None = None
    merged_by: int = 0

    @property
    def stage(self) -> Stage:
        """Where the prospect stood after the event."""
        return self.prospect.stage

    @property
    def is_anothers(self) -> bool:
        """Whether the event is of another prospect, or a list, and says something to this one."""
        return self.event.prospect != self.prospect.id


def until(events: Iterable[Event], limit: int | datetime | None) -> list[Event]:
    """Return the events up to a version, or those that were recorded by an instant."""
    if limit is None:
        return list(events)
    if isinstance(limit, int):
        return [event for event in events if event.version <= limit]
    # A clock that was set back may have recorded a later version at an earlier time: stop at the
    # first that was not there yet, so that no version is missing in between.
    return list(takewhile(lambda event: event.recorded_at <= limit, events))


def end_of_day(events: Iterable[Event], day: date) -> tuple[datetime, str]:
    """Return the last instant of a local day of the prospect with these events, and the zone.

    The zone is the first of those they may be in, as everywhere a clock is shown; UTC where it is
    unknown.
    """
    prospect = fold(None, events)
    name = "UTC" if prospect is None else prospect.identity.zones[0]
    try:
        found = zone(name)
    except InputError:  # a history may name any zone
        name, found = "UTC", zone("UTC")
    midnight = datetime.combine(day + timedelta(days=1), time())
    return from_local(midnight, found) - timedelta(microseconds=1), name


def replay(
    events: Iterable[Event],
    policies: PolicyRegistry,
    limit: int | datetime | None = None,
    others: Others | None = None,
) -> Iterator[ReplayStep]:
    """Step through a history with the loop that the service runs.

    Args:
        events: the history of one prospect, in order of version.
        policies: where the policies that it names are looked up.
        limit: stop at this version, or at this instant. At an instant, the last decision is the
            one of that instant, not the one of its step.
        others: the other holders of its addresses; what they say to it are steps too, whose event
            is of the other prospect.

    The events of records that were merged into it are steps too: the histories are shown as one.
    """
    last: ReplayStep | None = None
    for step in _steps(until(events, limit), policies, limit, others):
        if last is not None:
            yield last
        last = step
    if last is not None:
        yield _as_of(last, limit, policies, others) if isinstance(limit, datetime) else last


def _as_of(
    step: ReplayStep, instant: datetime, policies: PolicyRegistry, others: Others | None
) -> ReplayStep:
    """The last step of a replay, with what was decided at the instant up to which it goes."""
    prospect = step.prospect if others is None else others.tell(step.prospect, instant)
    decision = decision_for(prospect, policies, instant)
    return msgspec.structs.replace(step, prospect=prospect, decision=decision, seen_at=instant)


def _steps(
    kept: Sequence[Event],
    policies: PolicyRegistry,
    limit: int | datetime | None,
    others: Others | None,
) -> Iterator[ReplayStep]:
    """Step through ``kept``, each step with what was decided when its event was recorded."""
    taken_back = taken_back_by(kept)
    waiting = _merged_events(kept)
    prospect: Prospect | None = None
    for number, event in enumerate(kept, 1):
        seen_at = event.recorded_at
        if isinstance(event.data, TAKING_BACK):
            prospect = fold(None, kept[:number])
        else:
            prospect = fold(prospect, (event,))
        assert prospect is not None, "an event was folded"
        if others is not None:
            prospect = others.tell(prospect, seen_at)
        decision = decision_for(prospect, policies, seen_at)
        yield ReplayStep(event, prospect, decision, seen_at, taken_back.get(event.version))
        end = kept[number].recorded_at if number < len(kept) else None
        if end is None and limit is not None:
            end = limit if isinstance(limit, datetime) else seen_at
        came = [one for one in waiting if end is None or one[0].recorded_at <= end]
        waiting = [one for one in waiting if one not in came]
        words = [] if others is None else others.words_between(seen_at, end)
        merged_by = {(one.prospect, one.version): version for one, version in came}
        known = {(one.prospect, one.version) for one in words}
        words += [one for one, _ in came if (one.prospect, one.version) not in known]
        for at, together in groupby(
            sorted(words, key=lambda one: one.recorded_at), lambda one: one.recorded_at
        ):
            told = prospect if others is None else others.tell(prospect, at)
            # Which of those recorded at one instant says it can't be told: all are shown.
            is_heard = told.elsewhere.stops != prospect.elsewhere.stops
            if is_heard:
                prospect, decision = told, decision_for(told, policies, at)
            for word in together:
                merge = merged_by.get((word.prospect, word.version), 0)
                if is_heard or merge:
                    yield ReplayStep(word, prospect, decision, at, merged_by=merge)


class History(Shown):
    """A history with the stage and the decision after each event, as a notebook shows it.

    Attributes:
        steps: its steps.
    """

    def __init__(
        self,
        events: Iterable[Event],
        policies: PolicyRegistry,
        limit: int | datetime | None = None,
        others: Others | None = None,
    ) -> None:
        """Args:
        events, policies, limit, others: as of :func:`replay`.

        Raises:
            InputError: there are no events.
        """
        self.steps = tuple(replay(events, policies, limit, others))
        if not self.steps:
            raise InputError("nothing had been recorded by then", "give a later version or instant")

    def __iter__(self) -> Iterator[ReplayStep]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        last = self.steps[-1]
        return f"History({last.prospect.id!r}, {len(self)} steps, {last.stage.value})"


def _merged_events(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """The events of the records that were merged into a history, each with the merge."""
    found: list[tuple[Event, int]] = []
    for event, _ in standing(events):
        if isinstance(event.data, ProspectsMerged):
            inner = [one for one, _ in _merged_events(event.data.history)]
            found += [(one, event.version) for one in (*event.data.history, *inner)]
    return found


def composed(step: ReplayStep, policies: PolicyRegistry, team: Team = NO_TEAM) -> Decision:
    """Return the decision of a step with what was to be said then.

    Args:
        step: a step of :func:`replay` or :func:`annotate`.
        policies: those that it was replayed with.
        team: who speaks, as known now: a store keeps no team of the past.
    """
    from cadence.messages import compose  # loads the template engine, which only this needs

    return compose(step.decision, step.prospect, policies, step.seen_at, team)


def to_builtins(step: ReplayStep, policies: PolicyRegistry, team: Team = NO_TEAM) -> dict[str, Any]:
    """Return the JSON object of section 8, with what was to be said then.

    Args:
        step: a step of :func:`replay` or :func:`annotate`.
        policies: those that it was replayed with.
        team: who speaks.
    """
    decision = composed(step, policies, team)
    plain: dict[str, Any] = {
        "event": event_to_builtins(step.event),
        "stage": step.stage.value,
        "decision": decision_to_builtins(decision),
    }
    if step.taken_back_by is not None:
        plain["taken_back_by"] = step.taken_back_by.version
    return plain


# Annotated steps ----------------------------------------------------------------------------------


class OverdueKind(StrEnum):
    """What was overdue."""

    TOUCH = "touch"
    TASK = "task"
    CLOSE = "close"
    SKIPPED = "skipped"


class Overdue(msgspec.Struct, frozen=True):
    """Something that was due before an event came, and had not been done.

    Attributes:
        kind: a touch, an owner's task or a close; or touches that were skipped for lateness.
        pending: the decision that was due; the reason of the skip for :attr:`OverdueKind.SKIPPED`.
        due: since when; ``None`` for skipped touches.
        late: for how long, until the event was recorded; for an attempt, until it was made.
    """

    kind: OverdueKind
    pending: Due | Task | Close | Reason
    due: datetime | None = None
    late: timedelta | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What was overdue, to count it once over all steps."""
        if isinstance(self.pending, Reason):
            return self.kind, self.pending.rule, self.pending.steps
        if isinstance(self.pending, Due):
            return self.kind, self.pending.touch.id
        return self.kind, getattr(self.pending, "kind", None)


class Measure(msgspec.Struct, frozen=True):
    """How far an attempt lay from the one before it.

    Attributes:
        gap: the distance.
        is_recorded: the attempt carries the gap; otherwise it is measured now.
        version: the attempt before it.
        start: when that one was made.
        elapsed: the time between the two.
        days_off: the public holidays and closed days between them, which do not count.
        largest: the largest gap of the silence until then. No touch may undercut it.
    """

    gap: Gap
    is_recorded: bool
    version: int
    start: datetime
    elapsed: timedelta
    days_off: tuple[tuple[date, str], ...]
    largest: Gap


class AnnotatedStep(ReplayStep, frozen=True, kw_only=True):
    """One step of a replay, with what was known, due and overdue at it.

    Attributes:
        stage_before: where the prospect stood before the event; ``None`` for the first.
        is_changed: the decision differs from the one after the event before.
        pending: what was to be done when the event came, as far as was known.
        is_planned: the event is an attempt that carried out the pending touch.
        overdue: what was due and not done when the event came.
        measure: the gap of an attempt.
        unrecorded: the first few events that had occurred by then but were recorded later.
        unrecorded_count: how many there are.
    """

    stage_before: Stage | None
    is_changed: bool
    pending: Decision | None
    is_planned: bool
    overdue: tuple[Overdue, ...]
    measure: Measure | None
    unrecorded: tuple[Event, ...]
    unrecorded_count: int

    @property
    def due(self) -> datetime | None:
        """When the touch that this attempt carried out was due; ``None`` for other events."""
        return self.pending.at if self.is_planned and self.pending is not None else None


def annotate(
    events: Sequence[Event],
    policies: PolicyRegistry,
    limit: int | datetime | None = None,
    others: Others | None = None,
) -> Iterator[AnnotatedStep]:
    """Step through a history and annotate each step.

    Args:
        events: the whole history of one prospect, in order of version. What lies behind ``limit``
            says what was not known yet.
        policies: where the policies that it names are looked up.
        limit: stop at this version, or at this instant; see :func:`replay`.
        others: the other holders of its addresses; see :func:`replay`.
    """
    hindsight = _Hindsight(events)
    before: ReplayStep | None = None
    told: set[tuple[object, ...]] = set()
    for step in replay(events, policies, limit, others):
        # What a merged record knew by then, this one did not.
        unrecorded, count = ((), 0) if step.merged_by else hindsight.at(step)
        pending: Decision | None = None
        is_planned = False
        overdue: tuple[Overdue, ...] = ()
        measure: Measure | None = None
        if before is not None and not step.is_anothers:
            if before.prospect.silence.version != step.prospect.silence.version:
                told.clear()
            pending = decision_for(before.prospect, policies, _came_at(step.event))
            is_planned = _carries_out(step.event, pending)
            overdue = (
                *_overdue(step.event, pending, is_planned=is_planned),
                *_skipped_late(pending, told),
            )
            measure = _measure(before.prospect, step.event, policies)
        yield AnnotatedStep(
            step.event,
            step.prospect,
            step.decision,
            step.seen_at,
            step.taken_back_by,
            step.merged_by,
            stage_before=None if before is None else before.stage,
            is_changed=before is None or _outcome(before.decision) != _outcome(step.decision),
            pending=pending,
            is_planned=is_planned,
            overdue=overdue,
            measure=measure,
            unrecorded=unrecorded,
            unrecorded_count=count,
        )
        before = step


def _outcome(decision: Decision) -> tuple[object, ...]:
    """What of a decision a reader sees as another decision: not its reasons."""
    touch = decision.touch.id if decision.touch is not None else None
    task = (decision.kind, decision.facts) if isinstance(decision, Task) else None
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


def _overdue(event: Event, pending: Decision, *, is_planned: bool) -> Iterator[Overdue]:
    """What was due, and is not what the event did."""
    came = _came_at(event)
    if pending.at is None or pending.at >= came:
        return
    late = came - pending.at
    match pending:
        case Due() if not is_planned:
            yield Overdue(OverdueKind.TOUCH, pending, pending.at, late)
        case Task():
            yield Overdue(OverdueKind.TASK, pending, pending.at, late)
        case Close() if not isinstance(event.data, FollowUpEnded):
            yield Overdue(OverdueKind.CLOSE, pending, pending.at, late)


def _skipped_late(pending: Decision, told: set[tuple[object, ...]]) -> Iterator[Overdue]:
    """The touches that lateness skipped; each once in a silence."""
    for reason in pending.reasons:
        if reason.kind is ReasonKind.SKIP and reason.rule in (Rule.LAPSED, Rule.HORIZON):
            skipped = Overdue(OverdueKind.SKIPPED, reason)
            if skipped.key not in told:
                told.add(skipped.key)
                yield skipped


def _measure(before: Prospect, event: Event, policies: PolicyRegistry) -> Measure | None:
    if not isinstance(event.data, AttemptMade):
        return None
    earlier = (a for a in reversed(before.silence.attempts) if a.at <= event.occurred_at)
    last = next(earlier, None)
    policy = policies.of(before)
    if last is None or policy is None:
        return None
    try:
        calendar = calendar_for(before, policy)
    except InputError:  # a history may name any place
        return None
    gap = event.data.gap
    if gap is None:
        suspended = calendar.suspended(before.silence.suspensions)
        gap = calendar.gap(last.at, event.occurred_at, suspended)
    return Measure(
        gap,
        is_recorded=event.data.gap is not None,
        version=last.version,
        start=last.at,
        elapsed=event.occurred_at - last.at,
        days_off=tuple(calendar.days_off(last.at, event.occurred_at)),
        largest=before.silence.largest_gap,
    )


class _Hindsight:
    """What had occurred by a step but was recorded after it."""

    def __init__(self, events: Sequence[Event]) -> None:
        late = [event for event in events if event.recorded_at > event.occurred_at]
        self._coming = sorted(late, key=lambda event: event.occurred_at)
        self._next = 0
        self._open: dict[int, Event] = {}

    def at(self, step: ReplayStep) -> tuple[tuple[Event, ...], int]:
        """Return the first few, and how many; to be asked step by step."""
        now = step.seen_at
        while self._next < len(self._coming) and self._coming[self._next].occurred_at <= now:
            event = self._coming[self._next]
            self._open[event.version] = event
            self._next += 1
        if not step.is_anothers:
            self._open.pop(step.event.version, None)
        # A clock that was set back may ask for an earlier instant than before.
        found = [e for e in self._open.values() if e.occurred_at <= now < e.recorded_at]
        return tuple(islice(found, SHOWN_UNRECORDED)), len(found)
