"""Whether an attempt was the plan's: asked of the engine, at the moment of the attempt.

The engine decides what comes next, so it is also asked what was next then. The events before the
attempt are folded, and ``what_is_planned`` is asked about the time of the attempt. The answer gives
the rules ``plan``, ``lapsed``, ``horizon``, ``business_hours`` and ``bounded``. The guards of the
policy are asked about the channels and addresses that were used.

This is shared code, on purpose: the invariants are judged without it (``invariants.py``), and the
plan's rules have an independent oracle in the tests (``tests/support/naive_audit.py``).

A guard that is a function of the team's own is not asked: it may answer otherwise today. What it
may have vetoed is taken to have been vetoed, so that no attempt is accused in doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from cadence.audit.invariants import Violation
from cadence.domain.events import AttemptMade, AttemptStage, Event
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import TAKING_BACK
from cadence.domain.words import NOWHERE, Elsewhere
from cadence.engine.channels import parts_on, points_left
from cadence.engine.context import preferred_hours
from cadence.engine.decision import Decision, Due, Stop, Task
from cadence.engine.next_touch import what_is_planned
from cadence.engine.reasons import ReasonKind
from cadence.engine.schedule import TOLERANCE, progress
from cadence.policy.guards import Answer, Custom
from cadence.policy.model import EXACT, PlannedTouch, Policy
from cadence.policy.rules import Rule
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.calendar import WorkCalendar

__all__ = ["FoldedHistory", "PastAttempt", "PlanRules", "check_guards", "check_plan"]

_EXTRA: Final = (None, AttemptStage.EXTRA)
_LONG: Final = timedelta(days=3650)
_STAGES: Final[dict[AttemptStage | None, Stage]] = {
    stage: Stage(stage.value) for stage in AttemptStage if stage is not AttemptStage.EXTRA
}
# What moves a touch that is due to the next open hour; every other delay moves the plan itself.
_OPENING: Final = frozenset({"suspended", "quiet_hours", "outside_hours", "guard_delay"})


class FoldedHistory:
    """One history, folded as far as it is asked for.

    Needs at least one event before the first that is asked about.
    """

    __slots__ = ("_events", "_folded", "_prospect")

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._folded = 0
        self._prospect: Prospect | None = None

    def before(self, position: int) -> Prospect:
        """The prospect before the event at ``position``; to be asked in ascending order."""
        events = self._events[self._folded : position]
        if any(isinstance(event.data, TAKING_BACK) for event in events):
            prospect = fold(None, self._events[:position])
        else:
            prospect = fold(self._prospect, events)
        if prospect is None:
            raise ValueError("nothing stands before the first event")
        self._prospect, self._folded = prospect, position
        return prospect

    def whole(self) -> Prospect:
        """The prospect after all events; nothing can be asked after it."""
        return self.before(len(self._events))

    def known_at(self, position: int, at: datetime) -> tuple[Prospect, datetime | None]:
        """What of the events before ``position`` had been recorded by ``at``.

        The first event always counts: without it there is no prospect.

        Returns:
            The prospect as known then, and when the last of the other events was recorded; that is
            ``None`` where all of them were known.
        """
        first, *rest = self._events[:position]
        late = [event.recorded_at for event in rest if event.recorded_at > at]
        if not late:
            return self.before(position), None
        known = fold(None, [first, *[event for event in rest if event.recorded_at <= at]])
        return known or self.before(position), max(late)


class PlanRules:
    """One policy, in the forms in which the engine is asked about it.

    Attributes:
        policy: as it is.
        without_guards: the plan alone.
        guards: those that can be asked about the past.
        own_guards: names of the guards that are functions of the team's own.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = self.without_guards = policy
        if policy.guards:
            self.without_guards = msgspec.structs.replace(policy, guards=())
        self.guards = tuple(one for one in policy.guards if not isinstance(one, Custom))
        self.own_guards = tuple(one.name for one in policy.guards if isinstance(one, Custom))
        self._favouring: dict[str, Policy] = {}

    def favouring(self, step: str) -> Policy:
        """The policy, with guards in place of the team's own that favour an attempt at ``step``."""
        if not self.own_guards:
            return self.policy
        if step not in self._favouring:
            guards = tuple(
                _MayVeto(id=one.name, function=step, version=1) if isinstance(one, Custom) else one
                for one in self.policy.guards
            )
            self._favouring[step] = msgspec.structs.replace(self.policy, guards=guards)
        return self._favouring[step]


class _MayVeto(Custom, frozen=True, kw_only=True, tag="custom"):
    """Stands in for a guard of the team's own: vetoes every touch but one, and the exit."""

    def ask(self, prospect: Prospect, touch: Touch, at: datetime, time: WorkCalendar) -> Answer:
        """Veto what a guard may have vetoed."""
        if touch.step == self.function or touch.stage is Stage.POLITE_EXIT:
            return None
        return Veto("it may have been vetoed")


class PastAttempt(NamedTuple):
    """An attempt in its history, to be judged by a policy.

    Attributes:
        rules: of the policy that it was made under.
        history: that it stands in.
        position: of the attempt in it; not the first.
        data: the attempt.
        clock, at: when it was made, as its clock showed and as it counts.
        time: the prospect's calendar.
        was_measured_otherwise: the gap on it was measured with other holiday data than today's.
        said: what other records had said by then.
    """

    rules: PlanRules
    history: FoldedHistory
    position: int
    data: AttemptMade
    clock: datetime
    at: datetime
    time: WorkCalendar
    was_measured_otherwise: bool
    said: Elsewhere = NOWHERE

    def before(self) -> Prospect:
        """The prospect before it, with what others had said."""
        return self._told(self.history.before(self.position))

    def known(self) -> tuple[Prospect, datetime | None]:
        """What was known of the prospect when it was made; see :meth:`FoldedHistory.known_at`."""
        known, learnt = self.history.known_at(self.position, self.at)
        return self._told(known), learnt

    def _told(self, prospect: Prospect) -> Prospect:
        if self.said == NOWHERE:
            return prospect
        return msgspec.structs.replace(prospect, elsewhere=self.said)

    def show(self, instant: datetime) -> str:
        """An instant on the prospect's clock, with its zone."""
        local = self.time.local(instant)
        return f"{local:%Y-%m-%d %H:%M} {local.tzinfo}"


# Guards -------------------------------------------------------------------------------------------


def check_guards(attempt: PastAttempt) -> list[Violation]:
    """Find the guards that forbade an attempt.

    One that forbids it by all that stands before it, but not by what had been recorded when it was
    made, carries when the rest was learnt.
    """
    if not attempt.rules.guards:
        return []
    found = _objections(attempt.before(), attempt)
    if not found:
        return []
    known, learnt = attempt.known()
    if learnt is None:
        return found
    then = {one.rule for one in _objections(known, attempt)}
    return [one if one.rule in then else one._replace(learnt=learnt) for one in found]


def _objections(prospect: Prospect, attempt: PastAttempt) -> list[Violation]:
    clock, data, found = attempt.clock, attempt.data, []
    parts = tuple(
        TouchPart(one.channel, one.address or "", "", key=one.same or "") for one in data.parts
    )
    touch = Touch(f"{prospect.id}:audit", prospect.stage, data.step or "", parts)
    for guard in attempt.rules.guards:
        at = attempt.at if guard.attempts_counted else clock
        answer = guard.ask(prospect, touch, at, attempt.time) if guard.concerns(touch) else None
        if isinstance(answer, GuardDelay) and answer.until > at:
            because = f"made on {attempt.show(at)}: {answer.because}"
            if answer.until - at < _LONG:
                because += f"; not before {attempt.show(answer.until)}"
            found.append(Violation(guard.name, because))
    return found


# The plan -----------------------------------------------------------------------------------------


class _Moment(NamedTuple):
    """An attempt, and what was next at its time.

    Attributes:
        prospect: as known then, or as recorded before the attempt.
        policy: the one asked about.
        decision: what was next, with its reasons.
        attempt: what was made.
    """

    prospect: Prospect
    policy: Policy
    decision: Decision
    attempt: PastAttempt

    @property
    def next_up(self) -> str:
        """The name of the touch that was next."""
        touch = self.decision.touch
        return "" if touch is None else touch.step

    def is_behind(self, planned: PlannedTouch) -> bool:
        """Whether the silence has come past a touch."""
        return planned.position < progress(self.prospect, self.policy).get(planned.stage, 0)


def check_plan(attempt: PastAttempt) -> Violation | None:
    """Find what the plan has against an attempt; ``None``: it was in order.

    One act is one finding: the rule that the attempt itself names, or the first. What is wrong by
    all that stands before the attempt, but not by what had been recorded when it was made, carries
    when the rest was learnt.
    """
    found = _check_as_known(attempt.before(), attempt)
    if found is None:
        return None
    known, learnt = attempt.known()
    if learnt is not None and _check_as_known(known, attempt) is None:
        return found._replace(learnt=learnt)
    return found


def _check_as_known(prospect: Prospect, attempt: PastAttempt) -> Violation | None:
    rules, data, at = attempt.rules, attempt.data, attempt.clock
    attempts = prospect.silence.attempts
    if attempts and attempts[-1].at > attempt.at:
        return None  # recorded after later ones: what was next was decided without it
    policy = rules.without_guards
    if _is_proposed(what_is_planned(prospect, policy, at), data):
        return None
    decision = what_is_planned(prospect, policy, at, explains=True)
    moment = _Moment(prospect, policy, decision, attempt)
    if (rules.own_guards and data.stage in _EXTRA) or Rule.CLAIMED in data.broke:
        # A guard of the team's own may have left it to the owner, or the touch that was next was
        # another's; the hours are the same for all.
        return None if isinstance(moment.decision, Stop) else next(iter(_closed(moment)), None)
    found = _deviations(moment)
    if found and rules.policy.guards:
        # Guards skip and delay touches, and leave them to the owner.
        named = _planned_touch(prospect, policy, data)
        policy = rules.favouring("" if named is None else named.name)
        decision = what_is_planned(prospect, policy, at, explains=True)
        found = _deviations(_Moment(prospect, policy, decision, attempt))
    declared = [one for one in found if one.rule in data.broke]
    return next(iter(declared or found), None)


def _is_proposed(decision: Decision, data: AttemptMade) -> bool:
    """Whether the attempt is the touch that was due, on its channels.

    The exit may take any channel that is left.
    """
    if not isinstance(decision, Due):
        return False
    touch = decision.touch
    if touch.step != data.step or touch.stage is not _STAGES.get(data.stage):
        return False
    if touch.stage is Stage.POLITE_EXIT:
        return True
    proposed = [part.channel for part in touch.parts]
    return all(part.channel in proposed for part in data.parts)


def _deviations(moment: _Moment) -> list[Violation]:
    """How an attempt differs from what was next, where that was not left to the owner."""
    decision, data = moment.decision, moment.attempt.data
    if isinstance(decision, Task):
        return _own_attempt(moment) or _closed(moment)
    if isinstance(decision, Stop):
        return []  # an invariant judges what comes after the end
    if decision.touch is None:
        return [Violation(Rule.PLAN, f"no touch was next: {decision.reasons[0].because}")]
    if data.stage in _EXTRA:
        used = " and ".join(part.channel for part in data.parts)
        meant = " and ".join(part.channel for part in decision.touch.parts)
        because = f"{used} took no touch's place; {moment.next_up} by {meant} was next"
        return [Violation(Rule.PLAN, because)]
    made = _planned_touch(moment.prospect, moment.policy, data)
    if made is None:
        return [_unplanned(moment)]
    wrong = _wrong_channel(moment, made)
    if wrong is not None:
        return [wrong]
    if made.name != moment.next_up and not _follows_a_misnamed(moment, made):
        return _out_of_turn(moment, made)
    if isinstance(decision, Due):
        return []
    is_early = decision.from_ is None or moment.attempt.clock < decision.from_
    return [*(_too_early(moment, made) if is_early else []), *_closed(moment)]


def _own_attempt(moment: _Moment) -> list[Violation]:
    """An owner's own attempt is in order; where none was made yet it is the first spaced one."""
    prospect, policy, data = moment.prospect, moment.policy, moment.attempt.data
    is_first = prospect.stage is Stage.NEW or (
        prospect.stage is Stage.ENGAGED and prospect.pause_until is None
    )
    if not is_first or data.stage in _EXTRA:
        return []
    named = policy.by_name.get(data.step or "")
    is_next = named is None or named.position <= progress(prospect, policy).get(Stage.SPACED, 0)
    if data.stage is AttemptStage.SPACED and is_next and data.touch is None:
        return []
    name, response = data.step or data.stage, prospect.response
    because = f"made as {name}, but no attempt had been made before"
    if response.version > 1:
        said = f"the reply of {moment.attempt.show(response.at)} (event {response.version})"
        because = f"sent after {said} as {name}, as if there had been none"
    return [Violation(Rule.PLAN, because)]


# Which touch --------------------------------------------------------------------------------------


def _planned_touch(prospect: Prospect, policy: Policy, data: AttemptMade) -> PlannedTouch | None:
    """The touch whose place an attempt says it took; without a name, the next of its stage."""
    if data.stage is AttemptStage.POLITE_EXIT:
        return policy.exit_point
    named = policy.by_name.get(data.step or "")
    if named is not None and named.step.stage is data.stage:
        return named
    made = progress(prospect, policy)
    staged = (one for one in policy.planned_touches if one.step.stage is data.stage)
    return next((one for one in staged if one.position == made.get(one.stage, 0)), None)


def _unplanned(moment: _Moment) -> Violation:
    """An attempt at a stage that has no touch left: ``bounded``, where it had any."""
    stage, policy = moment.attempt.data.stage, moment.policy
    count = sum(1 for one in policy.planned_touches if one.step.stage is stage)
    if not count:
        return Violation(Rule.PLAN, f"{policy.id} has no step at stage {stage}")
    number = sum(1 for one in moment.prospect.silence.attempts if one.stage is stage) + 1
    because = f"attempt number {number} at stage {stage}; {policy.id} has {count}"
    return Violation(Rule.BOUNDED, because)


def _wrong_channel(moment: _Moment, made: PlannedTouch) -> Violation | None:
    """The attempt was made on a channel that the policy does not propose for the touch."""
    if made.step.stage is AttemptStage.POLITE_EXIT:
        return None  # the exit may take any channel that is left
    points = points_left(moment.prospect, moment.policy)
    meant = {part.channel for part in parts_on(moment.prospect, made.parts, points)}
    used = {part.channel for part in moment.attempt.data.parts}
    if used <= meant:
        return None
    wrong = ", ".join(sorted(used - meant))
    right = ", ".join(sorted(meant)) or "no channel that is left"
    return Violation(Rule.PLAN, f"{made.name} by {wrong}; the policy proposes {right}")


def _follows_a_misnamed(moment: _Moment, made: PlannedTouch) -> bool:
    """Whether the silence came past a touch only because an attempt was made out of turn.

    The engine counts that one as a step further. What then goes on from the named place is not
    accused again: one wrong act is one finding.
    """
    attempts = moment.prospect.silence.attempts
    if not attempts or not moment.is_behind(made):
        return False
    last = moment.policy.by_name.get(attempts[-1].step or "")
    return (
        last is not None and last.step.stage is attempts[-1].stage and last.index + 1 == made.index
    )


def _out_of_turn(moment: _Moment, made: PlannedTouch) -> list[Violation]:
    """Another touch was next: this one was made before, skipped, or is yet to come."""
    if moment.is_behind(made):
        return [Violation(Rule.PLAN, f"{made.name} had been made before in this silence")]
    because = f"made as {made.name}, but {moment.next_up} was next"
    deviation = Violation(Rule.PLAN, because)
    for reason in moment.decision.reasons:
        is_late = reason.rule in (Rule.LAPSED, Rule.HORIZON) and reason.kind is ReasonKind.SKIP
        if is_late and made.name in reason.steps:
            late = Violation(reason.rule, f"{because}: {reason.because}")
            return [late, deviation, *_closed(moment)]
    return [deviation]


# When ---------------------------------------------------------------------------------------------


def _too_early(moment: _Moment, made: PlannedTouch) -> list[Violation]:
    """The touch was next but not due yet, whatever the hour.

    Guards are asked about the attempt itself, so they count for nothing here.
    """
    attempt = moment.attempt
    delays = [
        one
        for one in moment.decision.reasons
        if one.kind is ReasonKind.DELAY and one.code not in _OPENING
    ]
    due = delays[-1].until if delays else None
    if due is None or due <= attempt.clock or _was_due_as_measured(moment, made):
        return []
    because = f"{made.name} was due on {attempt.show(due)}; made on {attempt.show(attempt.clock)}"
    return [Violation(Rule.PLAN, f"{because} ({delays[-1].because})")]


def _was_due_as_measured(moment: _Moment, made: PlannedTouch) -> bool:
    """Whether the touch was due by the gap that was measured then, with other holiday data.

    That can be told only where this gap alone sets the time.
    """
    prospect, policy, attempt = moment.prospect, moment.policy, moment.attempt
    gap, after, step = attempt.data.gap, made.after, made.step
    attempts = prospect.silence.attempts
    if not attempt.was_measured_otherwise or gap is None or not attempts:
        return False
    if after is None or after.business_days is None or step.rotate or step.requires.days:
        return False
    if prospect.appointment or prospect.not_before or prospect.pause_until:
        return False
    last = attempts[-1]
    if policy.answers and (last.stage is AttemptStage.EXTRA or last.step in policy.answers):
        return False
    needed = max(after.business_days, prospect.silence.largest_gap.business_days)
    if gap.business_days != needed:
        return gap.business_days > needed
    return attempt.time.local(attempt.at).time() >= attempt.time.local(last.at).time()


def _closed(moment: _Moment) -> list[Violation]:
    """The attempt was made outside business hours, or outside the hours that they prefer.

    The appointment's own steps may be: they agreed to that time.
    """
    attempt, hours = moment.attempt, preferred_hours(moment.prospect)
    opens = attempt.time.next_open(attempt.clock, hours)
    if _is_agreed(moment) or (opens is not None and opens - attempt.clock <= TOLERANCE):
        return []
    what = "business hours"
    if hours is not None:
        what = f"the hours they prefer, {moment.prospect.reach.preferred_hours}"
    return [Violation(Rule.BUSINESS_HOURS, f"{attempt.show(attempt.clock)} is outside {what}")]


def _is_agreed(moment: _Moment) -> bool:
    """Whether a time was agreed for what was next, or for what was made in its place.

    Where no touch was next, that is the appointment's own day.
    """
    data, touch = moment.attempt.data, moment.decision.touch
    if data.stage in EXACT:
        return True
    if touch is not None:
        return data.stage in _EXTRA and touch.stage.value in EXACT
    appointment, attempt = moment.prospect.appointment, moment.attempt
    if appointment is None:
        return False
    return attempt.time.start_of_day(attempt.clock) == attempt.time.start_of_day(appointment.at)
