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

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from cadence.core.events import AttemptStage, Channel, EndReason, Intent
from cadence.core.prospect import Attempt, ContactKind, Prospect
from cadence.core.stages import ENDED, Stage, rank
from cadence.errors import InputError
from cadence.policy import charter
from cadence.policy.business_time import SEARCH_DAYS
from cadence.policy.case import (
    ESCALATE,
    EXACT,
    MINUTE,
    Case,
    DaysOff,
    Delay,
    data_versions,
    decided,
    span,
    time_for,
)
from cadence.policy.charter import DESIGN, Rule
from cadence.policy.decision import Decision, Reason, Said, Touch, TouchPart, Verdict
from cadence.policy.model import Policy, Step

__all__ = ["next_touch", "unknown_policy"]

_ENDED: Final = frozenset({*ENDED, Stage.OPTED_OUT})
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
        case = Case(prospect, policy, now)
    except InputError as error:
        # A place that nobody knows: no time of day can be right, so somebody must look.
        reason = Reason(Rule.FORGOTTEN, error.what, (), DESIGN)
        at = prospect.contact.recorded_at + timedelta(days=1)
        return decided(prospect, policy, Verdict.TASK, at, (reason,), task=f"mend {error.what}")
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
    if stage is Stage.POLITE_EXIT:
        return _answer(case) or _exit(case, [])
    return _outreach(case, stage, [])


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
    at = prospect.contact.recorded_at + timedelta(days=1)
    reasons = (reason, data_versions())
    task = f"make the policy {ref.name} known, or adopt another"
    stage = prospect.stage
    return Decision(prospect.id, stage, Verdict.TASK, at, None, task, reasons, ref)


# Beside the plan ----------------------------------------------------------------------------------


def _after_the_end(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    stage = prospect.stage
    if prospect.kept_contact:
        because = f"they contacted us after the file was {stage.value.replace('_', ' ')}"
        reason = Reason(Rule.FORGOTTEN, because, (prospect.kept_contact,), DESIGN)
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
    since, days = prospect.kept_at or prospect.silence.since, policy.task_business_days
    try:
        return time_for(prospect, policy).after_business_days(since, days)
    except InputError:
        return since + timedelta(days=days)


def _engaged(case: Case) -> Decision:
    prospect, contact = case.prospect, case.prospect.contact
    known = max(contact.recorded_at, prospect.stage_at)
    if prospect.reopened:
        because = "the file was reopened; outreach waits for a contact, which we can't make up"
        reason = Reason(Rule.PLAN, because, (prospect.reopened,), DESIGN)
        since = prospect.reopened_at or prospect.recorded_at
        return case.task("find out whether they want to hear from us", since, reason)
    if contact.intent is Intent.NO:
        reason = Reason(Rule.PLAN, "they said no", (contact.version,), DESIGN)
        return case.task("end it, or agree otherwise", known, reason)
    # What was sent before we knew of the contact belongs to this silence: if the last word was
    # among it, the plan can't begin again, and somebody has to talk to them.
    last_word = any(
        a.stage is not AttemptStage.EXTRA and rank(Stage(a.stage.value)) > _SPACED
        for a in prospect.silence.attempts
    )
    if contact.kind is ContactKind.PAUSE and prospect.pause_until is not None and not last_word:
        return _outreach(case, Stage.SPACED, [], anchor=prospect.pause_until)
    because = f"a contact ended the silence ({contact.kind.value.replace('_', ' ')})"
    reason = Reason(Rule.PLAN, because, (contact.version,), DESIGN)
    return case.task("agree the next step", known, reason)


def _scheduled(case: Case) -> Decision:
    prospect, policy = case.prospect, case.policy
    appointment = prospect.appointment
    assert appointment is not None  # evolve keeps it for as long as the stage is `scheduled`
    first = policy.touchpoints[0] if policy.touchpoints else None
    if first is None or first.step.stage is not AttemptStage.ON_TIME:
        reason = Reason(
            Rule.APPOINTMENT,
            "the policy has no on-time step; the owner keeps the appointment",
            (appointment.version,),
            policy.source,
        )
        return case.task("keep the appointment", appointment.at, reason, by=appointment.at)
    if case.now < appointment.at and not charter.contact_points_left(prospect):
        return _no_way_to_begin(case, [], None)
    return _outreach(case, Stage.SCHEDULED, [])


# The plan -----------------------------------------------------------------------------------------


def _outreach(
    case: Case, stage: Stage, passed: list[Reason], anchor: datetime | None = None
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
    made = dict.fromkeys(AttemptStage, 0)
    for attempt in attempts:
        made[attempt.stage] += 1
    lapsed: datetime | None = None
    behind: list[str] = []
    late_step: Step | None = None
    # What replaces a touch that was passed over for its lateness never comes before it.
    floor: datetime | None = None
    for touchpoint in policy.ahead[stage]:
        step = touchpoint.step
        if touchpoint.position < made[step.stage]:
            continue
        if behind and step is late_step:
            behind.append(touchpoint.name)  # planned for the same time, so as late as the first
            continue
        because = _forbidden(case, step)
        if because is not None:
            _pass_over(passed, touchpoint.name, because)
            continue
        parts = _parts(case, step, touchpoint.name, passed)
        if not parts:
            continue
        timing = _timing(case, step, _planned(case, step, anchor, lapsed), floor)
        if isinstance(timing, datetime):
            return _no_open_time(case, touchpoint.name, timing)
        if step.within is not None:
            planned = timing.planned
            limit = planned.until + timedelta(minutes=step.within.minutes)
            if timing.possible > limit:
                passed.append(
                    Reason(
                        Rule.LAPSED,
                        f"{touchpoint.name} was to be made between {case.show(planned.until)} and "
                        f"{str(case.show(limit))[-5:]}; it is too late to be exact",
                        planned.events,
                        policy.source,
                    )
                )
                lapsed, floor = planned.until, timing.due
                continue
        if _behind_horizon(case, step, timing.possible):
            behind.append(touchpoint.name)
            floor, late_step = timing.due, step
            continue
        touch = _touch(case, touchpoint.stage, touchpoint.name, parts)
        return _due_or_wait(case, touch, timing, passed)
    if behind:
        passed.append(_lateness(case, behind))
    if not attempts and charter.contact_points_left(prospect):
        return _no_way_to_begin(case, passed, anchor)
    return _exit(case, passed, anchor=anchor, lapsed=lapsed, floor=floor)


def _forbidden(case: Case, step: Step) -> Reason | None:
    """Why the charter, or an unmet requirement that waiting can't mend, passes ``step`` over."""
    prospect = case.prospect
    attempts = prospect.silence.attempts
    if (
        step.stage is AttemptStage.SPACED
        and charter.spaced_cap_reached(prospect)
        and any(Channel.CALL in part.channels for part in step.parts)
    ):
        because = f"{prospect.silence.spaced_calls} spaced calls were made; no more than "
        return Reason(
            Rule.SPACED_CAP,
            f"{because}{charter.SPACED_CAP} in a silence",
            tuple(a.version for a in attempts if a.is_spaced_call),
            DESIGN,
        )
    if step.stage is AttemptStage.CONCERN and charter.concern_from(prospect) is None:
        asked = charter.concern_asked(prospect)
        because = (
            "it has been asked in this silence"
            if asked
            else f"only {len(attempts)} of {charter.CONCERN_ATTEMPTS} attempts were made"
        )
        return Reason(Rule.CONCERN, because, tuple(a.version for a in attempts), DESIGN)
    if step.requires.attempts > len(attempts):
        because = f"it requires {step.requires.attempts} attempts; {len(attempts)} were made"
        return Reason(Rule.PLAN, because, tuple(a.version for a in attempts), case.policy.source)
    return None


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


def _parts(case: Case, step: Step, name: str, passed: list[Reason]) -> tuple[TouchPart, ...]:
    """The parts of ``step`` for which a channel is left; notes it if there is none."""
    prospect = case.prospect
    parts = _parts_on(prospect, step, charter.contact_points_left(prospect))
    if not parts:
        wanted = [channel for part in step.parts for channel in part.channels]
        names = ", ".join(dict.fromkeys(channel.value for channel in wanted))
        if any(channel in prospect.opted_out for channel in wanted):
            events = (prospect.opted_out_version,)
            reason = Reason(Rule.OPT_OUT, f"they want no more of {names}", events, DESIGN)
        else:
            because = f"no contact point is left for {names}"
            reason = Reason(Rule.CONTACT_POINT, because, _lost(prospect), DESIGN)
        _pass_over(passed, name, reason)
    return parts


def _parts_on(
    prospect: Prospect, step: Step, left: Sequence[tuple[Channel, str]]
) -> tuple[TouchPart, ...]:
    """The parts of ``step`` on the first channel of each for which a contact point is ``left``."""
    parts: list[TouchPart] = []
    for part in step.parts:
        for channel in charter.allowed_channels(prospect, part.channels):
            address = next((a for c, a in left if c is channel), None)
            if address is not None:
                parts.append(TouchPart(channel, address, part.script))
                break
    return tuple(parts)


def _lost(prospect: Prospect) -> tuple[int, ...]:
    """The events by which contact points were lost."""
    return tuple(v for v in (prospect.failed_version, prospect.opted_out_version) if v)


def _planned(
    case: Case, step: Step, anchor: datetime | None, lapsed: datetime | None
) -> list[Delay]:
    """When the plan alone would make ``step``, and what suspended time adds to that."""
    prospect, policy = case.prospect, case.policy
    appointment = prospect.appointment
    events: tuple[int, ...] = ()
    if step.at is not None and appointment is not None:
        because = Said("called at the time agreed, {}", (case.show(appointment.at),))
        events = (appointment.version,)
        return [Delay(Rule.APPOINTMENT, appointment.at, because, events, policy.source)]
    if anchor is not None:
        # After a pause the first touch comes as soon as the pause is over.
        because = Said("they asked for a pause until {}", (case.show(anchor),))
        return [Delay(Rule.PLAN, anchor, because, (prospect.contact.version,), policy.source)]
    after = step.after
    assert after is not None  # the loader: a step has either `at` or `after`
    elapsed = after.elapsed
    last = _anchor_attempt(prospect, exact=elapsed is not None)
    if last is not None and appointment is not None and appointment.at > last.at:
        last = None  # nothing is planned from an attempt made before a standing appointment
    if last is not None:
        start, what, events = last.at, "the attempt of", (last.version,)
    elif appointment is not None:
        start, what = appointment.at, "the appointment of"
        events = (appointment.version,)
    else:
        start, what = prospect.silence.since, "the last contact,"
        events = (prospect.silence.version,)
    if lapsed is not None and lapsed > start:
        start, what = lapsed, "the time planned for the touch that lapsed,"
    off: object = ""
    plain = planned = start
    if elapsed is not None:
        plain = planned = start + elapsed
        # An exact step of the appointment is not moved: if its time is suspended, it lapses.
        if step.stage not in EXACT:
            planned = case.time.after_elapsed(start, elapsed, case.suspended)
    else:
        assert after.business_days is not None  # the loader: exactly one unit
        planned = case.time.after_business_days(start, after.business_days, case.suspended)
        plain = planned
        if case.suspended is not None:
            plain = case.time.after_business_days(start, after.business_days)
        off = DaysOff(start, plain, case.time)
    because = Said("{} after {} {}{}: {}", (after, what, case.show(start), off, case.show(plain)))
    plans = [Delay(Rule.PLAN, plain, because, events, policy.source)]
    if planned != plain:
        away = tuple(s.version for s in prospect.silence.suspensions)
        added = Said(
            "suspended time does not count: +{} to {}", (span(planned - plain), case.show(planned))
        )
        plans.append(Delay(Rule.SUSPENDED, planned, added, away, DESIGN))
    return plans


def _anchor_attempt(prospect: Prospect, *, exact: bool) -> Attempt | None:
    """The attempt that a step is planned from: the last; for exact steps, the last of the plan."""
    attempts = prospect.silence.attempts
    if exact:
        for attempt in reversed(attempts):
            if attempt.stage is not AttemptStage.EXTRA:
                return attempt
    return attempts[-1] if attempts else None


class _Timing(NamedTuple):
    """When a step is due, and when it may be made as seen now.

    ``delays`` are the rules that moved it from its planned time; where it was due and is closed
    now, also those that hold it until it opens again.
    """

    planned: Delay
    due: datetime
    possible: datetime
    delays: list[Delay]


def _timing(
    case: Case, step: Step, plans: list[Delay], floor: datetime | None
) -> _Timing | datetime:
    """The timing of ``step``; or the instant after which no open time is found."""
    planned = plans[-1]
    due, delays = _delayed(case, step, plans, floor)
    if due is None:
        return planned.until
    possible: datetime | None = due
    if case.now > due:
        possible = case.next_open(case.now, delays, step)
    return due if possible is None else _Timing(planned, due, possible, delays)


def _delayed(
    case: Case, step: Step, plans: list[Delay], floor: datetime | None
) -> tuple[datetime | None, list[Delay]]:
    """The planned time moved later by each rule that delays it; ``None``: no open time."""
    prospect = case.prospect
    due = plans[-1].until
    delays = list(plans)
    if floor is not None and floor > due:
        because = f"not before the touch it replaces: {case.show(floor)}"
        delays.append(Delay(Rule.LAPSED, floor, because, (), case.policy.source))
        due = floor
    promised = prospect.not_before
    if promised is not None and promised > due:
        because = f"promised for {case.show(promised)} when the policy was adopted"
        delays.append(
            Delay(Rule.PLAN, promised, because, (prospect.policy_version,), case.policy.source)
        )
        due = promised
    # Gaps start anew at the on-time attempt, which no ratchet delays: they agreed to that time.
    if step.stage is not AttemptStage.ON_TIME:
        allowed = charter.gap_allows_from(prospect, case.time, case.suspended)
        if allowed is not None and allowed[0] > due:
            from_then, largest = allowed
            # Days apart at the same time of day, as planned; only minutes are exact.
            if largest.business_days:
                from_then = case.time.same_time(due, from_then)
            measure = (
                f"{largest.business_days} business days"
                if largest.business_days
                else f"{largest.minutes} minutes"
            )
            because = (
                f"gaps never shrink: the largest so far is {measure}: +{span(from_then - due)}"
            )
            last = prospect.silence.attempts[-1].version
            delays.append(Delay(Rule.GAP, from_then, because, (last,), DESIGN))
            due = from_then
    days = step.requires.days
    start = prospect.silence.attempts[0].at if prospect.silence.attempts else None
    if step.stage is AttemptStage.CONCERN:
        days = max(days, charter.CONCERN_DAYS)
    if days and start is not None and start + timedelta(days=days) > due:
        rule = Rule.CONCERN if step.stage is AttemptStage.CONCERN else Rule.PLAN
        until = start + timedelta(days=days)
        because = f"{days} days after the first attempt of the silence: +{span(until - due)}"
        version = prospect.silence.attempts[0].version
        delays.append(Delay(rule, until, because, (version,), case.policy.source))
        due = until
    return case.next_open(due, delays, step), delays


def _behind_horizon(case: Case, step: Step, instant: datetime) -> bool:
    """Whether ``instant`` lies behind the horizon, counted from the silence's first attempt."""
    attempts = case.prospect.silence.attempts
    if not attempts or step.stage in EXACT:
        return False
    first = attempts[0].at
    horizon = case.policy.horizon_business_days
    # Cheap first: that many business days need at least as many days.
    if instant - first <= timedelta(days=horizon):
        return False
    return case.time.beyond(first, horizon, instant, case.suspended)


def _lateness(case: Case, behind: list[str]) -> Reason:
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


def _no_open_time(case: Case, name: str, since: datetime) -> Decision:
    because = f"{name} finds no open time within {SEARCH_DAYS} days of {case.show(since)}"
    prospect = case.prospect
    if case.hours() is not None:
        because += f", within the hours they prefer ({prospect.preferred_hours})"
    if len(prospect.zones) > 1:
        because += f", in every zone they may be in ({', '.join(prospect.zones)})"
    reason = Reason(Rule.FORGOTTEN, because, (), DESIGN)
    return case.task(f"find a time for {name}, or find out more about their hours", since, reason)


def _no_way_to_begin(case: Case, passed: list[Reason], anchor: datetime | None) -> Decision:
    """Every step was passed over before anybody tried: a way out can't be the first word."""
    prospect = case.prospect
    since = anchor or prospect.silence.since
    because = "no attempt was made in this silence, and no step of the policy has a channel left"
    reason = Reason(Rule.CONTACT_POINT, because, (prospect.silence.version,), DESIGN)
    task = "reach them another way, add a contact point, or end the file"
    by = None if prospect.appointment is None else prospect.appointment.at
    decision = case.task(task, since, reason, by=by)
    return msgspec.structs.replace(decision, reasons=(*decision.reasons, *passed))


def _touch(case: Case, stage: Stage, name: str, parts: tuple[TouchPart, ...]) -> Touch:
    silence = case.prospect.silence
    number = len(silence.attempts) + 1
    return Touch(f"{case.prospect.id}:{silence.version}:{number}:{name}", stage, name, parts)


def _due_or_wait(case: Case, touch: Touch, timing: _Timing, passed: list[Reason]) -> Decision:
    due, possible, now = timing.due, timing.possible, case.now
    reasons = [Reason(d.rule, d.because, d.events, d.source, d.until) for d in timing.delays]
    if due <= now and possible <= now:
        late = now - due
        if touch.stage is Stage.ON_TIME and late >= MINUTE:
            because = f"the appointment was missed by {span(late)}; it stays due, and says so"
            reasons.append(Reason(Rule.APPOINTMENT, because, (), case.policy.source))
        elif late >= _HOUR:
            said = Said("overdue by {}; the gaps after it grow with it", (span(late),))
            reasons.append(Reason(Rule.PLAN, said, (), case.policy.source))
        verdict, at = Verdict.DUE, due
    else:
        verdict, at = Verdict.WAIT, max(due, possible)
    return decided(case.prospect, case.policy, verdict, at, (*reasons, *passed), touch=touch)


# The polite exit ----------------------------------------------------------------------------------


def _exit(
    case: Case,
    passed: list[Reason],
    *,
    anchor: datetime | None = None,
    lapsed: datetime | None = None,
    floor: datetime | None = None,
) -> Decision:
    """The polite exit on the first channel that is left and has not been tried for it."""
    prospect, policy = case.prospect, case.policy
    left = charter.contact_points_left(prospect)
    if not left:
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
    step = policy.polite_exit
    tried = {
        (part.channel, part.address or "") for attempt in prospect.exits() for part in attempt.parts
    }
    parts = _exit_parts(case, step, [point for point in left if point not in tried])
    if not parts:
        reason = Reason(
            Rule.POLITE_EXIT,
            "the polite exit was tried on every contact point that is left and reached none",
            tuple(attempt.version for attempt in prospect.exits()),
            DESIGN,
        )
        what = "deliver the polite exit another way, or end the file as unreachable"
        return case.task(what, prospect.exits()[0].at, reason)
    timing = _timing(case, step, _planned(case, step, anchor, lapsed), floor)
    if isinstance(timing, datetime):
        return _no_open_time(case, step.id, timing)
    touch = _touch(case, Stage.POLITE_EXIT, step.id, parts)
    return _due_or_wait(case, touch, timing, passed)


def _exit_parts(case: Case, step: Step, left: list[tuple[Channel, str]]) -> tuple[TouchPart, ...]:
    """The exit's parts on contact points not tried; on any channel when the planned ones are."""
    parts = _parts_on(case.prospect, step, left)
    if parts or not left:
        return parts
    channel, address = left[0]
    return (TouchPart(channel, address, step.parts[0].script),)


def _answer(case: Case) -> Decision | None:
    """Waiting for the answer to a delivered exit, then the close; ``None`` if undelivered."""
    prospect, policy = case.prospect, case.policy
    delivered = prospect.exit_delivered()
    if delivered is None:
        return None
    attempt, parts = delivered
    answer = policy.polite_exit.answer_within
    assert answer is not None  # the loader: the polite exit gives a time to answer …
    assert answer.business_days is not None  # … in business days
    days = answer.business_days
    if all(part.channel is Channel.MAIL for part in parts):
        days = max(days, charter.MAIL_ANSWER_BUSINESS_DAYS)
    deadline = case.time.after_business_days(attempt.at, days, case.suspended)
    because = "{} business days to answer the polite exit of {}"
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
