"""What comes next for a prospect: the plan proposes, the charter disposes.

:func:`next_touch` is the only place that decides. It is pure: the same prospect, policy and ``now``
give the same :class:`Decision`, with its reasons. It works in three moves:

1. *Which touch?* The policy's touches still ahead of the prospect's stage, in order. One is passed
   over, with its reason, when the charter forbids it (``spaced_cap``, ``contact_point``,
   ``concern``), when it lapsed, or when it would fall behind the horizon. What is left in the end
   is the polite exit, the answer time, and the close.
2. *When?* The time the step plans, moved later, never earlier, by each rule that delays it: a
   promised time, the ratchet on gaps, required days, suspensions, quiet hours, business hours.
   Each delay becomes a reason that says what it added.
3. *Now?* Due if that time has come and it is open now; a wait otherwise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.events import AttemptStage, EndReason, Intent
from cadence.domain.prospect import Prospect, ResponseKind
from cadence.domain.stages import ENDED, OUTREACH, Stage, rank
from cadence.engine import invariants
from cadence.engine.channels import exit_parts, left, parts_on
from cadence.engine.context import (
    ESCALATE,
    MINUTE,
    DecisionContext,
    Delay,
    Span,
    calendar_for,
    data_versions,
    decided,
    span,
)
from cadence.engine.decision import Decision, Reason, Said, Verdict
from cadence.engine.invariants import DESIGN
from cadence.engine.schedule import (
    NoOpenTime,
    Stopped,
    Timing,
    behind_horizon,
    planned,
    reached,
    timing,
    unmet,
)
from cadence.errors import InputError
from cadence.policy.model import PlannedTouch, Policy, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch, TouchPart
from cadence.worktime.calendar import SEARCH_DAYS

__all__ = ["next_touch", "unknown_policy"]

_ENDED: Final = frozenset({*ENDED, Stage.OPTED_OUT})
_UNDER_WAY: Final = frozenset(OUTREACH) - {Stage.POLITE_EXIT}
_SPACED: Final = rank(Stage.SPACED)
_HOUR: Final = timedelta(hours=1)


def next_touch(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    """What comes next for ``prospect`` under ``policy``, seen at ``now``.

    Args:
        prospect: the fold of its events.
        policy: the policy it is under.
        now: an aware instant; nothing here reads a clock.

    Returns:
        A decision that is due, waits, is a task, closes or stops, with its reasons.
    """
    stage = prospect.stage
    if stage in _ENDED:
        return _after_the_end(prospect, policy, now)
    try:
        case = DecisionContext(prospect, policy, now)
    except InputError as error:
        # A place that nobody knows: no time of day can be right, so somebody must look.
        reason = Reason(Rule.FORGOTTEN, error.what, (), DESIGN)
        at = prospect.response.recorded_at + timedelta(days=1)
        return decided(prospect, policy, Verdict.TASK, at, (reason,), task=f"mend {error.what}")
    if stage in _UNDER_WAY:
        return _outreach(case, stage, [])
    if stage is Stage.NEW:
        tried = bool(prospect.silence.attempts)
        because = "there was no contact yet" if tried else "nobody has tried yet"
        reason = Reason(Rule.PLAN, because, (prospect.silence.version,), policy.source)
        task = "set an appointment or make the first attempt"
        if tried:
            task = "make an attempt, or record the contact that agrees to an appointment"
        return case.task(task, prospect.stage_at, reason)
    if stage is Stage.ENGAGED:
        return _engaged(case)
    if stage is Stage.SCHEDULED:
        return _scheduled(case)
    return _answer(case) or _exit(case, [])


def unknown_policy(prospect: Prospect, other: Policy, now: datetime) -> Decision:
    """The task for a prospect that adopted a policy which is not at hand: nothing is guessed.

    Args:
        prospect: who adopted it.
        other: any policy; what comes after the end is the same under all.
        now: seen when.
    """
    assert prospect.policy is not None  # one that adopted none is under the default
    ref = prospect.policy
    if prospect.stage in _ENDED:
        return msgspec.structs.replace(_after_the_end(prospect, other, now), policy=ref)
    because = (
        f"the policy {ref.name} version {ref.version} (digest {ref.digest[:12]}…) is not known here"
    )
    reason = Reason(Rule.FORGOTTEN, because, (prospect.policy_version,), DESIGN)
    at = prospect.response.recorded_at + timedelta(days=1)
    reasons = (reason, data_versions())
    task = f"make the policy {ref.name} known, or adopt another"
    stage = prospect.stage
    return Decision(prospect.id, stage, Verdict.TASK, at, None, task, reasons, ref)


# Beside the plan ----------------------------------------------------------------------------------


def _after_the_end(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    stage = prospect.stage
    if prospect.pending_response:
        because = f"they contacted us after the file was {stage.value.replace('_', ' ')}"
        reason = Reason(Rule.FORGOTTEN, because, (prospect.pending_response,), DESIGN)
        at = _owners_time(prospect, policy)
        task = "they wrote or called: answer, reopen the file, or leave it ended"
        if stage is Stage.OPTED_OUT:
            task = "they contacted us: record an opt-in if they gave one, or end the file"
        reasons: tuple[Reason, ...] = (reason,)
        if now > at:
            reasons = (reason, Reason(Rule.FORGOTTEN, ESCALATE, (), DESIGN))
        return decided(prospect, policy, Verdict.TASK, at, reasons, task=task)
    if stage is Stage.OPTED_OUT:
        events: tuple[int, ...] = (prospect.opted_out_version,)
        reason = Reason(Rule.OPT_OUT, "they want no more of us", events, DESIGN)
    else:
        why = f" ({prospect.end.value})" if prospect.end is not None else ""
        events = (prospect.end_version,) if prospect.end_version else ()
        reason = Reason(Rule.PLAN, f"the file is {stage.value}{why}", events, policy.source)
    return decided(prospect, policy, Verdict.STOP, None, (reason,))


def _owners_time(prospect: Prospect, policy: Policy) -> datetime:
    """By when the owner must have looked at what was learnt with the last event that waits."""
    since, days = prospect.pending_response_at or prospect.silence.since, policy.task_business_days
    try:
        return calendar_for(prospect, policy).after_business_days(since, days)
    except InputError:
        return since + timedelta(days=days)


def _engaged(case: DecisionContext) -> Decision:
    prospect, response = case.prospect, case.prospect.response
    known = max(response.recorded_at, prospect.stage_at)
    if prospect.reopened:
        because = "the file was reopened; outreach waits for a contact, which we can't make up"
        reason = Reason(Rule.PLAN, because, (prospect.reopened,), DESIGN)
        since = prospect.reopened_at or prospect.recorded_at
        return case.task("find out whether they want to hear from us", since, reason)
    if response.intent is Intent.NO:
        reason = Reason(Rule.PLAN, "they said no", (response.version,), DESIGN)
        return case.task("end it, or agree otherwise", known, reason)
    # What was sent before we knew of the contact belongs to this silence: if the last word was
    # among it, the plan can't begin again, and somebody has to talk to them.
    last_word = any(
        a.stage is not AttemptStage.EXTRA and rank(Stage(a.stage.value)) > _SPACED
        for a in prospect.silence.attempts
    )
    if response.kind is ResponseKind.PAUSE and prospect.pause_until is not None and not last_word:
        return _outreach(case, Stage.SPACED, [], anchor=prospect.pause_until)
    because = f"a contact ended the silence ({response.kind.value.replace('_', ' ')})"
    reason = Reason(Rule.PLAN, because, (response.version,), DESIGN)
    return case.task("agree the next step", known, reason)


def _scheduled(case: DecisionContext) -> Decision:
    prospect, policy = case.prospect, case.policy
    appointment = prospect.appointment
    assert appointment is not None  # evolve keeps it for as long as the stage is `scheduled`
    first = policy.planned_touches[0] if policy.planned_touches else None
    if first is None or first.step.stage is not AttemptStage.ON_TIME:
        reason = Reason(
            Rule.APPOINTMENT,
            "the policy has no on-time step; the owner keeps the appointment",
            (appointment.version,),
            policy.source,
        )
        return case.task("keep the appointment", appointment.at, reason, by=appointment.at)
    if case.now < appointment.at and not invariants.contact_points_left(prospect):
        return _no_way_to_begin(case, [], None)
    return _outreach(case, Stage.SCHEDULED, [])


# The plan -----------------------------------------------------------------------------------------


def _outreach(
    case: DecisionContext, stage: Stage, passed: list[Reason], anchor: datetime | None = None
) -> Decision:
    """The first touch of the plan that may be made; the polite exit when there is none.

    Args:
        case: whom, under what, when.
        stage: stages before this one are behind the prospect.
        passed: reasons of touches passed over so far; added to.
        anchor: what the first step is planned from, if not the last attempt.
    """
    prospect, policy = case.prospect, case.policy
    attempts = prospect.silence.attempts
    made = reached(prospect, policy)
    so_far = invariants.counts(prospect)
    lapsed: datetime | None = None
    behind: list[str] = []
    late_step: Step | None = None
    # What replaces a touch that was passed over for its lateness never comes before it.
    replaced: Delay | None = None
    for planned_touch in policy.ahead[stage]:
        step = planned_touch.step
        if planned_touch.position < made.get(planned_touch.stage, 0) and not planned_touch.backward:
            continue
        if behind and step is late_step:
            behind.append(planned_touch.name)  # planned for the same time, so as late as the first
            continue
        because = _forbidden(case, planned_touch, so_far)
        if because is not None:
            _pass_over(passed, planned_touch.name, because)
            continue
        parts = _parts(case, planned_touch, passed)
        if not parts:
            continue
        touch = _touch(case, planned_touch.stage, planned_touch.name, parts)
        plans = planned(case, planned_touch, anchor, lapsed)
        when = timing(case, planned_touch, touch, plans, replaced)
        if isinstance(when, NoOpenTime):
            return _no_open_time(case, planned_touch.name, when)
        if isinstance(when, Stopped):
            if when.failed:
                return _held(case, planned_touch.name, when, plans[-1].until)
            vetoed = Reason(when.guard, when.because, when.events, policy.source)
            _pass_over(passed, planned_touch.name, vetoed)
            continue
        if step.within is not None:
            plan = when.planned
            limit = plan.until + timedelta(minutes=step.within.minutes)
            if when.possible > limit:
                passed += _lapsed(case, planned_touch.name, when, limit)
                lapsed, replaced = plan.until, _replaced(planned_touch.name, when, Rule.LAPSED)
                continue
        if behind_horizon(case, step, when.possible):
            behind.append(planned_touch.name)
            late_step, replaced = step, _replaced(planned_touch.name, when, Rule.HORIZON)
            continue
        return _due_or_wait(case, touch, when, passed)
    if behind:
        passed.append(_lateness(case, behind))
    if not attempts and invariants.contact_points_left(prospect):
        return _no_way_to_begin(case, passed, anchor)
    return _exit(case, passed, anchor=anchor, lapsed=lapsed, replaced=replaced)


def _lapsed(case: DecisionContext, name: str, when: Timing, limit: datetime) -> list[Reason]:
    """Why an exact touch is passed over: it is too late for it, or it is kept from its time."""
    plan, source = when.planned, case.policy.source
    between = f"{name} was to be made between {case.show(plan.until)} and "
    between += str(case.show(limit))[-5:]
    if case.now > limit:
        because = f"{between}; it is too late to be exact"
        return [Reason(Rule.LAPSED, because, plan.events, source)]
    because = f"{between}; it is kept from that"
    kept = [delay for delay in when.delays if delay.until > plan.until]
    return [Reason(Rule.LAPSED, because, plan.events, source), *_said(kept)]


def _replaced(name: str, when: Timing, rule: Rule) -> Delay:
    """What comes in the place of a touch that was passed over is not made before its time."""
    reached = next(delay for delay in when.delays if delay.until == when.due)
    because = Said("not before {}, which it replaces", (name,))
    return Delay(rule, when.due, because, reached.events, reached.source)


def _forbidden(
    case: DecisionContext, planned_touch: PlannedTouch, so_far: invariants.Counts
) -> Reason | None:
    """Why the charter, or what the policy asks in vain, passes a touch over."""
    # The policy's own word first: the charter is named only where it has to stop the plan.
    asked = unmet(case.policy, planned_touch, so_far)
    if asked is not None:
        return Reason(Rule.PLAN, asked, _versions(case), case.policy.source)
    rule = invariants.stops(planned_touch, so_far)
    if rule is None:
        return None
    versions = _versions(case)
    if rule is Rule.SPACED_CAP:
        because = f"{so_far.spaced_calls} spaced calls were made; no more than "
        because += f"{invariants.SPACED_CAP} in a silence"
        attempts = case.prospect.silence.attempts
        versions = tuple(a.version for a in attempts if a.is_spaced_call)
    elif rule is Rule.CONCERN:
        because = (
            "it has been asked in this silence"
            if so_far.concern_asked
            else f"only {so_far.attempts} of {invariants.CONCERN_ATTEMPTS} attempts were made"
        )
    elif rule is Rule.ORDER:
        because, versions = "the file has it behind a later stage, and outreach moves forward", ()
    else:
        because, versions = "nothing comes after the polite exit", ()
    return Reason(rule, because, versions, DESIGN)


def _versions(case: DecisionContext) -> tuple[int, ...]:
    """The attempts of the silence."""
    return tuple(a.version for a in case.prospect.silence.attempts)


def _pass_over(passed: list[Reason], name: str, reason: Reason) -> None:
    """Note that ``name`` is passed over, together with others of the same reason."""
    if passed and passed[-1].rule == reason.rule and passed[-1].because.endswith(reason.because):
        names, _, rest = passed[-1].because.partition(" passed over: ")
        passed[-1] = Reason(
            reason.rule, f"{names}, {name} passed over: {rest}", reason.events, reason.source
        )
    else:
        because = f"{name} passed over: {reason.because}"
        passed.append(Reason(reason.rule, because, reason.events, reason.source))


def _parts(
    case: DecisionContext, planned_touch: PlannedTouch, passed: list[Reason]
) -> tuple[TouchPart, ...]:
    """The parts of a touch for which a channel is left; notes it if there is none."""
    prospect = case.prospect
    parts = parts_on(prospect, planned_touch.parts, left(prospect, case.policy))
    if not parts:
        wanted = [channel for part in planned_touch.parts for channel in part.channels]
        names = ", ".join(dict.fromkeys(channel.value for channel in wanted))
        if any(channel in prospect.opted_out for channel in wanted):
            events = (prospect.opted_out_version,)
            reason = Reason(Rule.OPT_OUT, f"they want no more of {names}", events, DESIGN)
        else:
            because = f"no contact point is left for {names}"
            reason = Reason(Rule.CONTACT_POINT, because, _lost(prospect), DESIGN)
        _pass_over(passed, planned_touch.name, reason)
    return parts


def _lost(prospect: Prospect) -> tuple[int, ...]:
    """The events by which contact points were lost."""
    return tuple(v for v in (prospect.failed_version, prospect.opted_out_version) if v)


def _lateness(case: DecisionContext, behind: list[str]) -> Reason:
    attempts = case.prospect.silence.attempts
    names = ", ".join(behind)
    calls = f"{len(behind)} touch{'es' if len(behind) > 1 else ''}"
    return Reason(
        Rule.HORIZON,
        f"lateness cost {calls} ({names}): they would fall behind the horizon of "
        f"{case.policy.horizon_business_days} business days of silence",
        tuple(a.version for a in attempts[:1]),
        case.policy.source,
    )


def _no_open_time(case: DecisionContext, name: str, found: NoOpenTime) -> Decision:
    since = found.since
    because = f"{name} finds no open time within {SEARCH_DAYS} days of {case.show(since)}"
    prospect = case.prospect
    if case.hours() is not None:
        because += f", within the hours they prefer ({prospect.preferred_hours})"
    if len(prospect.zones) > 1:
        because += f", in every zone they may be in ({', '.join(prospect.zones)})"
    reason = Reason(Rule.FORGOTTEN, because, (), DESIGN)
    what = f"find a time for {name}, or find out more about their hours"
    if found.delays:
        what = f"find a time for {name}: guards never let it pass"
    return case.task(what, since, reason, *_said(found.delays))


def _held(case: DecisionContext, name: str, stopped: Stopped, since: datetime) -> Decision:
    """A touch whose guard gave no answer that counts is held: the owner must look."""
    because = f"{name} is held: guard {stopped.guard} failed: {stopped.because}"
    reason = Reason(Rule.GUARD, because, stopped.events, DESIGN)
    return case.task(f"mend the guard {stopped.guard}, or decide on {name} yourself", since, reason)


def _said(delays: list[Delay]) -> list[Reason]:
    return [Reason(d.rule, d.because, d.events, d.source, d.until) for d in delays]


def _no_way_to_begin(
    case: DecisionContext, passed: list[Reason], anchor: datetime | None
) -> Decision:
    """Every step was passed over before anybody tried: a way out can't be the first word."""
    prospect = case.prospect
    since = anchor or prospect.silence.since
    because = "no attempt was made in this silence, and no step of the policy has a channel left"
    rule, task = Rule.CONTACT_POINT, "reach them another way, add a contact point, or end the file"
    if any(reason.rule == Rule.PLAN for reason in passed):
        because = "no attempt was made in this silence, and the policy asks for what there is not"
        rule, task = Rule.PLAN, "see to what the policy asks for, or end the file"
        if any("agreed to be followed up" in reason.because for reason in passed):
            task = "agree with them that you follow up and that they may say no"
    elif any(reason.rule in {guard.name for guard in case.policy.guards} for reason in passed):
        because = "no attempt was made in this silence, and guards veto what could begin it"
        rule, task = Rule.FORGOTTEN, "decide on the first attempt yourself, or end the file"
    reason = Reason(rule, because, (prospect.silence.version,), DESIGN)
    by = None if prospect.appointment is None else prospect.appointment.at
    decision = case.task(task, since, reason, by=by)
    return msgspec.structs.replace(decision, reasons=(*decision.reasons, *passed))


def _touch(case: DecisionContext, stage: Stage, name: str, parts: tuple[TouchPart, ...]) -> Touch:
    silence = case.prospect.silence
    number = len(silence.attempts) + 1
    return Touch(f"{case.prospect.id}:{silence.version}:{number}:{name}", stage, name, parts)


def _due_or_wait(
    case: DecisionContext, touch: Touch, when: Timing, passed: list[Reason]
) -> Decision:
    due, possible, now = when.due, when.possible, case.now
    reasons = _said(when.delays)
    if due <= now and possible <= now:
        late = now - due
        if touch.stage is Stage.ON_TIME and late >= MINUTE:
            because = f"the appointment was missed by {span(late)}; it stays due, and says so"
            reasons.append(Reason(Rule.APPOINTMENT, because, (), case.policy.source))
        elif late >= _HOUR:
            said = Said("overdue by {}; the gaps after it grow with it", (Span(late),))
            reasons.append(Reason(Rule.PLAN, said, (), case.policy.source))
        verdict, at = Verdict.DUE, due
    else:
        verdict, at = Verdict.WAIT, max(due, possible)
    return decided(case.prospect, case.policy, verdict, at, (*reasons, *passed), touch=touch)


# The polite exit ----------------------------------------------------------------------------------


def _exit(
    case: DecisionContext,
    passed: list[Reason],
    *,
    anchor: datetime | None = None,
    lapsed: datetime | None = None,
    replaced: Delay | None = None,
) -> Decision:
    """The polite exit on the first channel that is left and has not been tried for it."""
    prospect, policy = case.prospect, case.policy
    points = left(prospect, policy)
    if not points and invariants.contact_points_left(prospect):
        others = ", ".join(dict.fromkeys(c for c, _ in invariants.contact_points_left(prospect)))
        because = f"they can be reached by {others} alone, which the team does not use"
        reason = Reason(Rule.CONTACT_POINT, because, (), DESIGN)
        return case.task(
            "leave them a polite way out yourself, or end the file", _last(case), reason
        )
    if not points:
        failed = " (each failed, or they want no more of it)" if prospect.contact_points else ""
        because = f"no contact point is left{failed}"
        reason = Reason(Rule.CONTACT_POINT, because, _lost(prospect), DESIGN)
        at = prospect.failed_at or prospect.silence.since
        if prospect.appointment is not None:
            at = max(at, prospect.appointment.at)
        return decided(
            prospect,
            policy,
            Verdict.CLOSE,
            at,
            (*passed, reason),
            end=EndReason.UNREACHABLE,
        )
    point = policy.exit_point
    if point is None:
        because = "the policy has no polite exit, and no file is closed without one"
        reason = Reason(Rule.POLITE_EXIT, because, (prospect.silence.version,), DESIGN)
        since = prospect.silence.attempts[-1].at if prospect.silence.attempts else prospect.stage_at
        decision = case.task("leave them a polite way out, or end the file", since, reason)
        return msgspec.structs.replace(decision, reasons=(*decision.reasons, *passed))
    tried = {
        (part.channel, part.address or "") for attempt in prospect.exits() for part in attempt.parts
    }
    parts = exit_parts(prospect, point, [one for one in points if one not in tried])
    if not parts:
        reason = Reason(
            Rule.POLITE_EXIT,
            "the polite exit was tried on every contact point that is left and reached none",
            tuple(attempt.version for attempt in prospect.exits()),
            DESIGN,
        )
        what = "deliver the polite exit another way, or end the file as unreachable"
        return case.task(what, prospect.exits()[0].at, reason)
    touch = _touch(case, Stage.POLITE_EXIT, point.name, parts)
    plans = planned(case, point, anchor, lapsed)
    when = timing(case, point, touch, plans, replaced)
    if isinstance(when, NoOpenTime):
        return _no_open_time(case, point.name, when)
    if isinstance(when, Stopped):
        if when.failed:
            return _held(case, point.name, when, plans[-1].until)
        reason = Reason(when.guard, f"it vetoes {point.name}: {when.because}", (), policy.source)
        what = "leave them a polite way out another way, or end the file"
        left_to_owner = Reason(Rule.FORGOTTEN, "a vetoed exit is left to the owner", (), DESIGN)
        return case.task(what, plans[-1].until, reason, left_to_owner)
    return _due_or_wait(case, touch, when, passed)


def _last(case: DecisionContext) -> datetime:
    """When they were last tried, or came to where they stand."""
    attempts = case.prospect.silence.attempts
    return attempts[-1].at if attempts else case.prospect.stage_at


def _answer(case: DecisionContext) -> Decision | None:
    """Waiting for the answer to a delivered exit, then the close; ``None`` if undelivered."""
    prospect, policy = case.prospect, case.policy
    delivered = prospect.exit_delivered()
    if delivered is None:
        return None
    attempt, parts = delivered
    given = None if policy.exit_step is None else policy.exit_step.answer_within
    days = invariants.answer_business_days(given, frozenset(part.channel for part in parts))
    deadline = case.time.after_business_days(attempt.at, days, case.suspended)
    because = f"{{}} business day{'s' * (days != 1)} to answer the polite exit of {{}}"
    if given is None or given.business_days is None:
        because += f" (the policy gives {given or 'no time'}; this is the least)"
    facts = (days, case.show(attempt.at))
    source = policy.source
    if case.now < deadline:
        reason = Reason(
            Rule.POLITE_EXIT,
            Said(because + ": until {}", (*facts, case.show(deadline))),
            (attempt.version,),
            source,
            deadline,
        )
        return decided(prospect, policy, Verdict.WAIT, deadline, (reason,))
    said = Said(because + " have passed", facts)
    reason = Reason(Rule.POLITE_EXIT, said, (attempt.version,), source)
    return decided(prospect, policy, Verdict.CLOSE, deadline, (reason,), end=EndReason.NO_RESPONSE)
