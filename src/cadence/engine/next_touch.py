"""What comes next for a prospect: the plan proposes, the invariants limit it.

:func:`next_touch` is the only place that decides. It is pure: the same prospect, policy and ``now``
give the same :class:`Decision`. It works in three moves:

1. *Which touch?* The policy's touches still ahead of the prospect's stage, in order. One is
   skipped, with its reason, when the policy's requirements or an invariant forbid it, when no
   channel is left for it, when a guard vetoes it, when it lapsed, or when it would fall behind the
   horizon. What is left in the end is the polite exit, the answer time, and the close.
2. *When?* The time the step plans, moved later, never earlier, by each rule that delays it
   (``engine/schedule.py``).
3. *Now?* Due if that time has come and it is open now; a wait otherwise.

Last, a nurture touch without something of value to bring is left to the owner (ADR 0052).

:func:`decide_silently` is the same walk without reasons, for callers that read only what and when.
:func:`what_is_planned` stops before the last move, for callers that ask what is on plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import AttemptStage, Disposition, EndReason, Intent, PolicyRef
from cadence.domain.prospect import Attempt, Prospect, ResponseKind, UnreadableEvent
from cadence.domain.stages import OUTREACH, OVER, Stage, rank
from cadence.domain.words import Obstacle
from cadence.engine import invariants
from cadence.engine.calendar_reasons import calendar_reasons
from cadence.engine.channels import ContactPoints, exit_parts, parts_on, points_left
from cadence.engine.context import DecisionContext, calendar_for, data_versions, escalation
from cadence.engine.decision import Close, Decision, Due, Stop, Task, TaskKind, Wait
from cadence.engine.invariants import (
    DESIGN,
    MOST_PARTS_IN_TOUCH,
    Counts,
    contact_points_left,
    stops_elsewhere,
    violation,
)
from cadence.engine.reasons import Reason, ReasonKind, Sink, skip, stop_facts
from cadence.engine.schedule import (
    NoOpenTime,
    Plan,
    Replaced,
    Stopped,
    Timing,
    is_behind_horizon,
    made_from,
    own_attempt_from,
    plan,
    progress,
    timing,
    unmet_requirement,
)
from cadence.errors import InputError
from cadence.policy.model import PlannedTouch, Policy, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch, TouchPart

__all__ = ["decide_silently", "lacks_value", "next_touch", "unknown_policy", "what_is_planned"]

_UNDER_WAY: Final = frozenset(OUTREACH) - {Stage.POLITE_EXIT}
_SPACED: Final = rank(Stage.SPACED)
# Looked up once: to look a member up in its class costs more than to compare it.
_NEW_STAGE: Final = Stage.NEW
_ENGAGED_STAGE: Final = Stage.ENGAGED
_SCHEDULED_STAGE: Final = Stage.SCHEDULED
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def next_touch(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    """Decide what comes next for ``prospect`` under ``policy``, seen at ``now``, and say why.

    Args:
        prospect: the fold of its events.
        policy: the policy it is under.
        now: an aware instant; nothing here reads a clock.
    """
    decision = what_is_planned(prospect, policy, now, explains=True)
    return _with_a_value(decision, prospect, policy, now, explains=True)


def decide_silently(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    """Decide as :func:`next_touch` does, without recording reasons."""
    decision = what_is_planned(prospect, policy, now)
    return _with_a_value(decision, prospect, policy, now, explains=False)


def what_is_planned(
    prospect: Prospect, policy: Policy, now: datetime, *, explains: bool = False
) -> Decision:
    """Decide by the plan and the invariants alone, whether or not there is something to say.

    An attempt is judged by it: it takes the place of a nurture touch also where the owner has noted
    nothing of value. The prover and what-if go by it: values are found in time.
    """
    if prospect.unreadable is not None:
        return _unreadable(prospect, prospect.unreadable, policy.ref)
    stage = prospect.stage
    if stage in OVER:
        return _after_the_end(prospect, policy, now, explains=explains)
    try:
        context = DecisionContext(prospect, policy, now, explains=explains)
    except InputError as error:
        return _unknown_place(prospect, policy, error.what)
    decision = _decide_at(stage, context)
    added = calendar_reasons(context, decision, what_is_planned) if explains else ()
    return _because(decision, added)


def lacks_value(prospect: Prospect, decision: Decision) -> bool:
    """Return whether a nurture touch is next, and nothing of value is left to bring."""
    touch = decision.touch
    return touch is not None and touch.stage is Stage.NURTURE and prospect.next_value() is None


def _because(decision: Decision, added: tuple[Reason, ...]) -> Decision:
    """Return the decision with more reasons, before the data that it was made with."""
    if not added:
        return decision
    reasons = list(decision.reasons)
    rules = [one.rule for one in reasons]
    before = rules.index(Rule.DETERMINISTIC) if Rule.DETERMINISTIC in rules else len(rules)
    reasons[before:before] = added
    return msgspec.structs.replace(decision, reasons=tuple(reasons))


def _with_a_value(
    decision: Decision, prospect: Prospect, policy: Policy, now: datetime, *, explains: bool
) -> Decision:
    """Return the task to find something of value, once a nurture touch is due without it.

    Until then the wait says that it lacks it. Neither holds up the end: a touch that is not made in
    time falls behind the horizon, and the polite exit is next.
    """
    touch = decision.touch
    if touch is None or not lacks_value(prospect, decision):
        return decision
    causes: Sink = None
    if explains:
        facts = {"noted": len(prospect.values), "step": touch.step}
        causes = [Reason(Rule.PLAN, "no_value_left", (), policy.source, facts=facts)]
    since = decision.at if isinstance(decision, Due) else None
    if isinstance(decision, Wait):
        since = decision.due_since  # it stands while it is closed, too
    if since is None:
        return _because(decision, tuple(causes or ()))
    if causes is not None:
        # Why the touch is due; what only moves it to an open hour does not move the task.
        causes += [
            one
            for one in decision.reasons
            if one.rule != Rule.DETERMINISTIC and (one.until is None or one.until <= now)
        ]
    context = DecisionContext(prospect, policy, now, explains=explains)
    return context.task(TaskKind.FIND_VALUE, since, causes, step=touch.step)


def _decide_at(stage: Stage, context: DecisionContext) -> Decision:
    stops = stops_elsewhere(context.prospect)
    if stops:
        # The last word may have been delivered before: then nothing more is to be sent.
        closing = _answer(context) if stage is Stage.POLITE_EXIT else None
        return closing or _stopped_elsewhere(context, stops)
    if stage in _UNDER_WAY:
        return _Walk(context, stage).decide()
    if stage is _NEW_STAGE:
        return _new(context)
    if stage is _ENGAGED_STAGE:
        return _engaged(context)
    if stage is _SCHEDULED_STAGE:
        return _scheduled(context)
    return _answer(context) or _Walk(context, stage).exit()


# Where nothing can be decided ---------------------------------------------------------------------


def _unknown_place(prospect: Prospect, policy: Policy, what: str) -> Task:
    """A zone or country that is not known: no time of day can be right, so the owner must look."""
    reason = Reason(Rule.FORGOTTEN, "unknown_place", facts={"what": what})
    return Task(
        prospect=prospect.id,
        stage=prospect.stage,
        policy=policy.ref,
        reasons=(reason, data_versions()),
        at=prospect.response.recorded_at + timedelta(days=1),
        kind=TaskKind.FIX_PLACE,
        facts={"what": what},
    )


def _unreadable(prospect: Prospect, event: UnreadableEvent, policy: PolicyRef) -> Task:
    """The task for a history that can't be read, also after the end: it may not be the end."""
    reason = Reason(Rule.FORGOTTEN, "unreadable", (event.version,), facts={"what": event.what})
    kind = TaskKind.REPAIR_HISTORY if event.is_damaged else TaskKind.USE_NEWER_VERSION
    return Task(
        prospect=prospect.id,
        stage=prospect.stage,
        policy=policy,
        reasons=(reason, data_versions()),
        at=event.recorded_at + timedelta(days=1),
        kind=kind,
        facts={"version": event.version},
    )


def unknown_policy(prospect: Prospect, other: Policy, now: datetime) -> Decision:
    """Return the task for a prospect whose adopted policy is not at hand: nothing is guessed.

    Args:
        prospect: it adopted a policy.
        other: any policy; what comes after the end is the same under all.
        now: seen when.
    """
    ref = prospect.policy or other.ref
    if prospect.unreadable is not None:
        return _unreadable(prospect, prospect.unreadable, ref)
    if prospect.stage in OVER:
        after_end = _after_the_end(prospect, other, now, explains=True)
        return msgspec.structs.replace(after_end, policy=ref)
    facts = {"name": ref.name, "version": ref.version, "digest": ref.digest}
    events = (prospect.policy_version,)
    reason = Reason(Rule.FORGOTTEN, "unknown_policy", events, facts=facts)
    return Task(
        prospect=prospect.id,
        stage=prospect.stage,
        policy=ref,
        reasons=(reason, data_versions()),
        at=prospect.response.recorded_at + timedelta(days=1),
        kind=TaskKind.MAKE_POLICY_KNOWN,
        facts={"name": ref.name},
    )


# Beside the plan ----------------------------------------------------------------------------------


def _after_the_end(
    prospect: Prospect, policy: Policy, now: datetime, *, explains: bool
) -> Task | Stop:
    stage, ending = prospect.stage, prospect.ending
    if ending.pending_response:
        return _responded_after_the_end(prospect, policy, now)
    reasons: tuple[Reason, ...] = ()
    if explains and stage is Stage.OPTED_OUT:
        events: tuple[int, ...] = (prospect.reach.opted_out_version,)
        reasons = (Reason(Rule.OPT_OUT, "opted_out", events),)
    elif explains and stage is Stage.MERGED:
        facts: dict[str, Any] = {"into": ending.into}
        reasons = (Reason(Rule.PLAN, "merged", (ending.version,), facts=facts),)
    elif explains:
        why = None if ending.reason is None else ending.reason.value
        events = (ending.version,) if ending.version else ()
        facts = {"stage": stage.value, "reason": why}
        reasons = (Reason(Rule.PLAN, "ended", events, policy.source, facts=facts),)
    return Stop(prospect=prospect.id, stage=stage, policy=policy.ref, reasons=reasons)


def _responded_after_the_end(prospect: Prospect, policy: Policy, now: datetime) -> Task:
    stage, ending = prospect.stage, prospect.ending
    since, days = ending.pending_response_at or prospect.silence.since, policy.task_business_days
    try:
        at = calendar_for(prospect, policy).after_business_days(since, days)
    except InputError:
        at = since + timedelta(days=days)
    facts = {"stage": stage.value.replace("_", " ")}
    reason = Reason(Rule.FORGOTTEN, "responded_after_end", (ending.pending_response,), facts=facts)
    late = (escalation(),) if now > at else ()
    is_opted_out = stage is Stage.OPTED_OUT
    return Task(
        prospect=prospect.id,
        stage=stage,
        policy=policy.ref,
        reasons=(reason, *late, data_versions()),
        at=at,
        kind=TaskKind.RECORD_OPT_IN if is_opted_out else TaskKind.ANSWER,
        is_overdue=bool(late),
    )


def _new(context: DecisionContext) -> Task:
    prospect, causes = context.prospect, context.sink()
    is_tried = bool(prospect.silence.attempts)
    if causes is not None:
        code = "no_response_yet" if is_tried else "not_tried"
        events = (prospect.silence.version,)
        causes.append(Reason(Rule.PLAN, code, events, context.policy.source))
    kind = TaskKind.BEGIN_AGAIN if is_tried else TaskKind.BEGIN
    return _owners_task(context, kind, prospect.stage_at, causes)


def _owners_task(
    context: DecisionContext, kind: TaskKind, since: datetime, causes: Sink, **facts: Any
) -> Task:
    """A task to try them: its deadline is not before the first time at which that is allowed."""
    delays = context.sink()
    first = own_attempt_from(context, since, delays)
    task = context.task(kind, since, causes, **facts)
    if first <= task.at:
        return task
    held = None if causes is None else [*causes, *(delays or ())]
    return context.task(kind, since, held, by=first, **facts)


def _engaged(context: DecisionContext) -> Decision:
    prospect, response = context.prospect, context.prospect.response
    ending, causes = prospect.ending, context.sink()
    known = max(response.recorded_at, prospect.stage_at)
    if ending.reopened:
        if causes is not None:
            causes.append(Reason(Rule.PLAN, "reopened", (ending.reopened,)))
        since = ending.reopened_at or prospect.recorded_at
        return context.task(TaskKind.ASK_WHETHER_WELCOME, since, causes)
    if response.intent is Intent.NO:
        if causes is not None:
            causes.append(Reason(Rule.PLAN, "said_no", (response.version,)))
        return context.task(TaskKind.END_OR_AGREE, known, causes)
    # What was sent before we knew of the response belongs to this silence: if the last word was
    # among it, the plan can't begin again, and the owner has to talk to them.
    last_word = any(
        a.stage is not AttemptStage.EXTRA and rank(Stage(a.stage.value)) > _SPACED
        for a in prospect.silence.attempts
    )
    is_pause = response.kind is ResponseKind.PAUSE and prospect.pause_until is not None
    if is_pause and not last_word:
        return _Walk(context, Stage.SPACED, prospect.pause_until).decide()
    if causes is not None:
        facts = {"response": response.kind.value.replace("_", " ")}
        causes.append(Reason(Rule.PLAN, "responded", (response.version,), facts=facts))
    if prospect.referral is not None:
        return _owners_task(
            context,
            TaskKind.FOLLOW_REFERRAL,
            known,
            causes,
            name=prospect.referral.name,
            source=f"referral by {prospect.id}",
        )
    return _owners_task(context, TaskKind.AGREE_NEXT_STEP, known, causes)


def _scheduled(context: DecisionContext) -> Decision:
    prospect, policy = context.prospect, context.policy
    appointment = prospect.appointment
    if appointment is None:  # the fold keeps it for as long as the stage is `scheduled`
        return _new(context)
    first = policy.planned_touches[0] if policy.planned_touches else None
    if first is None or first.step.stage is not AttemptStage.ON_TIME:
        causes = context.sink()
        if causes is not None:
            events = (appointment.version,)
            causes.append(Reason(Rule.APPOINTMENT, "no_on_time_step", events, policy.source))
        at = appointment.at
        return context.task(TaskKind.KEEP_APPOINTMENT, at, causes, by=at)
    walk = _Walk(context, Stage.SCHEDULED)
    if context.now < appointment.at and not contact_points_left(prospect):
        return walk.nothing_to_begin()
    return walk.decide()


def _stopped_elsewhere(context: DecisionContext, stops: tuple[Obstacle, ...]) -> Task:
    """A task where others' words leave no address: suppressed is never unreachable."""
    prospect, causes = context.prospect, context.sink()
    if causes is not None:
        for stop in stops:
            facts = stop_facts(stop)
            causes.append(Reason(Rule.SUPPRESSED, "stopped_elsewhere", facts=facts))
    known = max(stop.at for stop in stops)
    spoke = prospect.response
    is_word = all(stop.prospect is not None for stop in stops)
    asked = next((stop.question for stop in stops if stop.question is not None), None)
    if is_word and spoke.kind is not ResponseKind.ADDED and spoke.recorded_at >= known:
        kind, facts = TaskKind.RECORD_OPT_IN, {}
    elif asked is not None:
        kind, facts = TaskKind.SAME_PERSON, {"other": asked.prospect, "key": asked.key}
    else:
        kind, facts = TaskKind.FIND_ADDRESS, {"keys": tuple(stop.key for stop in stops)}
    since = max(known, prospect.added_at, spoke.recorded_at)
    return context.task(kind, since, causes, **facts)


# The plan -----------------------------------------------------------------------------------------


class _Walk:
    """A walk through the touches ahead, to the first that may be made.

    Attributes:
        anchor: what the first step is planned from, if not the last attempt.
        skips: the reasons of touches skipped so far.
        skipped_by: the rules of those, and the codes, also where no reasons are recorded.
        is_guarded: guards vetoed a touch, or kept one from its time until it lapsed.
        lapsed: when the last lapsed touch was planned.
        replaced: the last touch that was skipped for its lateness.
        behind: the touches that fall behind the horizon.
        late_step: the step of the last of them.
    """

    __slots__ = (
        "anchor",
        "behind",
        "context",
        "is_guarded",
        "lapsed",
        "late_step",
        "replaced",
        "skipped_by",
        "skips",
        "stage",
    )

    def __init__(
        self, context: DecisionContext, stage: Stage, anchor: datetime | None = None
    ) -> None:
        self.context = context
        self.stage = stage
        self.anchor = anchor
        self.skips: Sink = context.sink()
        self.skipped_by: list[tuple[str, str]] = []
        self.is_guarded = False
        self.lapsed: datetime | None = None
        self.replaced: Replaced | None = None
        self.behind: list[str] = []
        self.late_step: Step | None = None

    def decide(self) -> Decision:
        """Return the first touch that may be made; the polite exit when there is none."""
        context = self.context
        prospect, policy = context.prospect, context.policy
        so_far = invariants.counts(prospect)
        points = points_left(prospect, policy)
        made = progress(prospect, policy)
        for planned in policy.ahead[self.stage]:
            if planned.position < made.get(planned.stage, 0) and not planned.backward:
                continue  # the silence has come past it; a misplaced one is looked at anyway
            if planned.step is self.late_step:
                # Planned for the same time, so as late as the first of the step.
                self.behind.append(planned.name)
                continue
            if self._is_forbidden(planned, so_far):
                continue
            parts = parts_on(prospect, planned.parts, points)
            if not parts:
                self._skip_unreachable(planned)
                continue
            decided = self._at_its_time(planned, parts)
            if decided is not None:
                return decided
        if self.behind and self.skips is not None:
            self.skips.append(self._lateness())
        if not prospect.silence.attempts and contact_points_left(prospect):
            return self.nothing_to_begin()
        return self.exit()

    def _at_its_time(self, planned: PlannedTouch, parts: tuple[TouchPart, ...]) -> Decision | None:
        """The touch at its time; ``None`` where it is skipped: vetoed, lapsed or too late."""
        context, step = self.context, planned.step
        delays = self._sink(planned, parts)
        touch = context.touch(planned, parts)
        at = plan(context, planned, self.anchor, self.lapsed, delays)
        when = timing(context, planned, touch, at, self.replaced, delays)
        if isinstance(when, NoOpenTime):
            return self._no_open_time(planned.name, when, delays)
        if isinstance(when, Stopped):
            if when.has_failed:
                return self._held(planned.name, when, at.at)
            self.is_guarded = True
            self._skip(planned.name, when.guard, "vetoed", when.events, {"said": when.said})
            return None
        if step.within is not None:
            limit = at.at + timedelta(minutes=step.within.minutes)
            if when.possible > limit:
                self.is_guarded |= when.by_guards and context.now <= limit
                self._lapse(planned.name, at.at, at.events, limit, delays)
                self._replace(planned.name, when, Rule.LAPSED, delays)
                self.lapsed = at.at
                return None
        if is_behind_horizon(context, step, when.possible):
            self.behind.append(planned.name)
            self.late_step = step
            self._replace(planned.name, when, Rule.HORIZON, delays)
            return None
        return self._due_or_wait(planned, touch, at, when, delays)

    def _sink(self, planned: PlannedTouch, parts: tuple[TouchPart, ...]) -> Sink:
        """Return a list for the reasons of a touch; it says first which parts are left out."""
        context = self.context
        reasons = context.sink()
        if reasons is None or len(planned.parts) <= MOST_PARTS_IN_TOUCH:
            return reasons
        prospect = context.prospect
        points = points_left(prospect, context.policy)
        every = parts_on(prospect, planned.parts, points, most=len(planned.parts))
        left_out = tuple(part.channel for part in every[len(parts) :])
        if left_out:
            facts = {"step": planned.name, "left_out": left_out, "most": MOST_PARTS_IN_TOUCH}
            reasons.append(Reason(Rule.FREQUENCY, "parts_left_out", (), DESIGN, facts=facts))
        return reasons

    def _due_or_wait(
        self,
        planned: PlannedTouch,
        touch: Touch,
        at: Plan,
        when: Timing,
        delays: Sink,
    ) -> Due | Wait:
        context = self.context
        prospect, now = context.prospect, context.now
        due, possible = when.due, when.possible
        is_due = due <= now and possible <= now
        reasons: tuple[Reason, ...] = ()
        if delays is not None:
            if is_due:
                delays += self._late(planned.stage, now - due)
            reasons = (*delays, *(self.skips or ()), data_versions())
        policy = context.policy.ref
        if is_due:
            return Due(
                prospect=prospect.id,
                stage=prospect.stage,
                policy=policy,
                reasons=reasons,
                at=due,
                touch=touch,
            )
        from_: datetime | None = None
        if delays is not None:
            from_ = made_from(context, planned, touch, at, self.replaced, max(due, possible))
        return Wait(
            prospect=prospect.id,
            stage=prospect.stage,
            policy=policy,
            reasons=reasons,
            at=max(due, possible),
            touch=touch,
            due_since=due if due < now else None,
            from_=from_,
        )

    def _late(self, stage: Stage, late: timedelta) -> list[Reason]:
        source = self.context.policy.source
        if stage is Stage.ON_TIME and late >= _MINUTE:
            facts = {"late": late}
            return [Reason(Rule.APPOINTMENT, "missed_appointment", (), source, facts=facts)]
        if late >= _HOUR:
            return [Reason(Rule.PLAN, "overdue", (), source, facts={"late": late})]
        return []

    # Skipped ----------------------------------------------------------------------------------

    def _skip(
        self, step: str, rule: str, code: str, events: tuple[int, ...], facts: dict[str, Any]
    ) -> None:
        self.skipped_by.append((rule, code))
        if self.skips is not None:
            is_invariant = invariants.find(rule) is not None
            source = DESIGN if is_invariant else self.context.policy.source
            skip(self.skips, step, Reason(rule, code, events, source, facts=facts))

    def _is_forbidden(self, planned: PlannedTouch, so_far: Counts) -> bool:
        """Skip a touch that an unmet requirement or an invariant forbids; whether it is one."""
        context = self.context
        # The policy's own word first: an invariant is named only where it has to stop the plan.
        unmet = unmet_requirement(context.policy, planned, so_far)
        if unmet is not None:
            events = context.attempts_made()
            self._skip(planned.name, Rule.PLAN, unmet.code, events, unmet.facts)
            return True
        stopped = violation(planned, so_far)
        if stopped is None:
            return False
        counted = stopped.invariant.counted
        attempts = () if counted is None else context.prospect.silence.attempts
        events = tuple([one.version for one in attempts if counted is not None and counted(one)])
        self._skip(planned.name, stopped.rule, stopped.rule, events, stopped.facts)
        return True

    def _skip_unreachable(self, planned: PlannedTouch) -> None:
        """Skip a touch for which no channel is left."""
        reach = self.context.prospect.reach
        wanted = [channel for part in planned.parts for channel in part.channels]
        facts = {"channels": tuple(dict.fromkeys(wanted))}
        rule, code, events = Rule.CONTACT_POINT, "no_point_for_channels", self._lost_by()
        stop = self._stop_of(wanted)
        if any(channel in reach.opted_out for channel in wanted):
            rule, code, events = Rule.OPT_OUT, "opted_out_channels", (reach.opted_out_version,)
        elif stop is not None:
            rule, code, events = Rule.SUPPRESSED, "stopped_elsewhere", ()
            facts |= stop_facts(stop)
        self._skip(planned.name, rule, code, events, facts)

    def _stop_of(self, wanted: Sequence[Channel]) -> Obstacle | None:
        """What others say that stops a contact point on one of the channels."""
        prospect = self.context.prospect
        if prospect.elsewhere.is_silent:
            return None
        stops = [
            prospect.elsewhere.obstacle(point.channel, point.same)
            for point in prospect.reach.contact_points
            if point.channel in wanted and not prospect.reach.has_failed(point.same)
        ]
        return next((stop for stop in stops if stop is not None), None)

    def _lost_by(self) -> tuple[int, ...]:
        """The events by which contact points were lost."""
        reach = self.context.prospect.reach
        return tuple(v for v in (reach.failed_version, reach.opted_out_version) if v)

    def _lapse(
        self,
        step: str,
        planned_at: datetime,
        events: tuple[int, ...],
        limit: datetime,
        delays: Sink,
    ) -> None:
        """Say why an exact touch is skipped: it is too late for it, or it is kept from its time."""
        skips, context = self.skips, self.context
        if skips is None or delays is None:
            return
        is_late = context.now > limit
        facts = {
            "step": step,
            "from": context.local(planned_at),
            "until": context.local(limit),
            "is_late": is_late,
        }
        source = context.policy.source
        kind = ReasonKind.SKIP
        skips.append(Reason(Rule.LAPSED, "lapsed", events, source, kind, None, (step,), facts))
        if not is_late:
            skips += [one for one in delays if one.until is not None and one.until > planned_at]

    def _replace(self, step: str, when: Timing, rule: Rule, delays: Sink) -> None:
        """Note that what comes in the place of a touch is not made before its time."""
        events: tuple[int, ...] = ()
        source = ""
        if delays is not None:
            reached = next(one for one in delays if one.until == when.due)
            events, source = reached.events, reached.source
        self.replaced = Replaced(when.due, step, rule, events, source)

    def _lateness(self) -> Reason:
        context = self.context
        return Reason(
            Rule.HORIZON,
            "lateness_cost",
            context.attempts_made()[:1],
            context.policy.source,
            ReasonKind.SKIP,
            steps=tuple(self.behind),
            facts={
                "steps": tuple(self.behind),
                "horizon_business_days": context.policy.horizon_business_days,
            },
        )

    # Left to the owner --------------------------------------------------------------------------

    def _no_open_time(self, step: str, when: NoOpenTime, delays: Sink) -> Task:
        context = self.context
        causes = context.sink()
        if causes is not None and delays is not None:
            identity, reach = context.prospect.identity, context.prospect.reach
            prefers = context.hours() is not None
            facts = {
                "step": step,
                "since": context.local(when.since),
                "preferred": reach.preferred_hours if prefers else None,
                "zones": identity.zones,
            }
            guards = {guard.name for guard in context.policy.guards}
            causes.append(Reason(Rule.FORGOTTEN, "no_open_time", facts=facts))
            causes += [delay for delay in delays if delay.rule in guards]
        kind = TaskKind.FIND_TIME_DESPITE_GUARDS if when.by_guards else TaskKind.FIND_TIME
        return context.task(kind, when.since, causes, step=step)

    def _held(self, step: str, stopped: Stopped, since: datetime) -> Task:
        """A touch whose guard gave no valid answer is held: the owner must look."""
        causes = self.context.sink()
        if causes is not None:
            facts = {"step": step, "guard": stopped.guard, "said": stopped.said}
            causes.append(Reason(Rule.GUARD, "guard_failed", stopped.events, facts=facts))
        kind = TaskKind.FIX_GUARD
        return self.context.task(kind, since, causes, guard=stopped.guard, step=step)

    def nothing_to_begin(self) -> Task:
        """Return the task where every step is skipped before any attempt: a way out can't be the
        first word.
        """
        context = self.context
        prospect = context.prospect
        rules = {rule for rule, _ in self.skipped_by}
        rule, code, kind = Rule.CONTACT_POINT, "no_channel_to_begin", TaskKind.REACH_OTHERWISE
        if Rule.PLAN in rules:
            rule, code, kind = Rule.PLAN, "requirements_to_begin", TaskKind.MEET_REQUIREMENTS
            if any(one == "requires_guidelines" for _, one in self.skipped_by):
                kind = TaskKind.AGREE_GUIDELINES
        elif self.is_guarded:
            rule, code = Rule.FORGOTTEN, "guards_to_begin"
            kind = TaskKind.DECIDE_FIRST_ATTEMPT
        causes = context.sink()
        if causes is not None:
            left = [point.channel for point in contact_points_left(prospect)]
            unknown = tuple(dict.fromkeys(c for c in left if c not in context.policy.traits))
            facts = {"unknown": unknown} if unknown and code == "no_channel_to_begin" else {}
            causes.append(Reason(rule, code, (prospect.silence.version,), facts=facts))
        since = self.anchor or prospect.silence.since
        by = None if prospect.appointment is None else prospect.appointment.at
        return context.task(kind, since, causes, self.skips, by=by)

    # The polite exit ------------------------------------------------------------------------------

    def exit(self) -> Decision:
        """Return the polite exit on the first channel that is left and not yet tried for it."""
        context = self.context
        prospect, policy = context.prospect, context.policy
        points = points_left(prospect, policy)
        if not points:
            return self._no_point_left()
        planned = policy.exit_point
        if planned is None:
            return self._no_exit()
        exits = prospect.exits()
        unknown = [attempt for attempt in exits if _may_have_arrived(prospect, attempt)]
        if unknown:
            # It may have been the last word: nothing is sent on another channel in its place.
            causes = context.sink()
            if causes is not None:
                events = tuple(attempt.version for attempt in unknown)
                causes.append(Reason(Rule.POLITE_EXIT, "exit_unknown", events))
            return context.task(TaskKind.FIND_OUT_EXIT, unknown[0].at, causes)
        tried = {(part.channel, part.same) for one in exits for part in one.parts}
        parts = exit_parts(
            prospect, planned, [one for one in points if (one.channel, one.same) not in tried]
        )
        if not parts:
            causes = context.sink()
            if causes is not None:
                events = tuple(attempt.version for attempt in exits)
                causes.append(Reason(Rule.POLITE_EXIT, "exit_undelivered", events))
            return context.task(TaskKind.DELIVER_EXIT, exits[0].at, causes)
        delays = self._sink(planned, parts)
        touch = context.touch(planned, parts)
        at = plan(context, planned, self.anchor, self.lapsed, delays)
        when = timing(context, planned, touch, at, self.replaced, delays)
        if isinstance(when, NoOpenTime):
            return self._no_open_time(planned.name, when, delays)
        if isinstance(when, Stopped):
            if when.has_failed:
                return self._held(planned.name, when, at.at)
            return self._vetoed_exit(planned.name, when, at.at)
        return self._due_or_wait(planned, touch, at, when, delays)

    def _no_point_left(self) -> Task | Close:
        """What comes where no contact point is left on a channel that the team uses."""
        context = self.context
        prospect, policy, causes = context.prospect, context.policy, context.sink()
        unused: ContactPoints = contact_points_left(prospect)
        if unused:
            if causes is not None:
                channels = tuple(dict.fromkeys(point.channel for point in unused))
                facts = {"channels": channels}
                causes.append(Reason(Rule.CONTACT_POINT, "only_unused_channels", facts=facts))
            attempts = prospect.silence.attempts
            since = attempts[-1].at if attempts else prospect.stage_at
            return context.task(TaskKind.LEAVE_EXIT_YOURSELF, since, causes)
        at = prospect.reach.failed_at or prospect.silence.since
        if prospect.appointment is not None:
            at = max(at, prospect.appointment.at)
        reasons: tuple[Reason, ...] = ()
        if causes is not None:
            facts_left = {"had_some": bool(prospect.reach.contact_points)}
            lost = Reason(Rule.CONTACT_POINT, "no_point_left", self._lost_by(), facts=facts_left)
            reasons = (*(self.skips or ()), lost, data_versions())
        return Close(
            prospect=prospect.id,
            stage=prospect.stage,
            policy=policy.ref,
            reasons=reasons,
            at=at,
            end=EndReason.UNREACHABLE,
        )

    def _no_exit(self) -> Task:
        context = self.context
        prospect, causes = context.prospect, context.sink()
        if causes is not None:
            causes.append(Reason(Rule.POLITE_EXIT, "no_exit", (prospect.silence.version,)))
        attempts = prospect.silence.attempts
        since = attempts[-1].at if attempts else prospect.stage_at
        return context.task(TaskKind.LEAVE_EXIT, since, causes, self.skips)

    def _vetoed_exit(self, step: str, stopped: Stopped, since: datetime) -> Task:
        context = self.context
        causes = context.sink()
        if causes is not None:
            facts = {"step": step, "said": stopped.said}
            source = context.policy.source
            causes.append(Reason(stopped.guard, "exit_vetoed", (), source, facts=facts))
            causes.append(Reason(Rule.FORGOTTEN, "vetoed_exit_left"))
        return context.task(TaskKind.LEAVE_EXIT_OTHERWISE, since, causes)


def _may_have_arrived(prospect: Prospect, attempt: Attempt) -> bool:
    """Return whether a part of an exit has an unknown outcome, at an address that has not failed.

    A claim whose lease ran out may leave one.
    """
    return any(
        part.disposition is Disposition.UNKNOWN
        and part.same is not None
        and not prospect.reach.has_failed(part.same)
        for part in attempt.parts
    )


def _answer(context: DecisionContext) -> Wait | Close | None:
    """Wait for the answer to a delivered exit, then close; ``None`` if it was not delivered."""
    prospect, policy = context.prospect, context.policy
    delivered = prospect.exit_delivered()
    if delivered is None:
        return None
    attempt, parts = delivered
    given = None if policy.exit_step is None else policy.exit_step.answer_within
    # One that this policy does not know is answered as quickly as the quickest.
    known = [policy.traits[part.channel] for part in parts if part.channel in policy.traits]
    days = invariants.answer_business_days(given, known if len(known) == len(parts) else ())
    deadline = context.calendar.after_business_days(attempt.at, days, context.suspended)
    is_over = context.now >= deadline
    reasons: tuple[Reason, ...] = ()
    if context.explains:
        is_least = given is None or given.business_days is None
        facts = {
            "business_days": days,
            "exit": context.local(attempt.at),
            "given": str(given or "no time") if is_least else None,
            "until": None if is_over else context.local(deadline),
        }
        awaited = Reason(
            Rule.POLITE_EXIT,
            "answer_awaited",
            (attempt.version,),
            policy.source,
            ReasonKind.CAUSE if is_over else ReasonKind.DELAY,
            None if is_over else deadline,
            facts=facts,
        )
        plain = context.calendar.after_business_days(attempt.at, days, None)
        away: tuple[Reason, ...] = ()
        if deadline > plain and not is_over:
            added: dict[str, Any] = {"added": deadline - plain, "until": context.local(deadline)}
            away = (
                Reason(
                    Rule.SUSPENDED,
                    "suspended_answer",
                    context.suspended_by(),
                    DESIGN,
                    ReasonKind.DELAY,
                    deadline,
                    facts=added,
                ),
            )
        reasons = (awaited, *away, data_versions())
    if is_over:
        return Close(
            prospect=prospect.id,
            stage=prospect.stage,
            policy=policy.ref,
            reasons=reasons,
            at=deadline,
            end=EndReason.NO_RESPONSE,
        )
    return Wait(
        prospect=prospect.id,
        stage=prospect.stage,
        policy=policy.ref,
        reasons=reasons,
        at=deadline,
    )
