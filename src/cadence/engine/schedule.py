"""When a touch of the plan is due: its planned time, moved later by every rule that delays it.

The plan proposes a time (:func:`planned`). A promise, the ratchet on gaps, answer times, required
days, suspensions, quiet hours, business hours and guards each may move it later, never earlier
(:func:`timing`), and each leaves a :class:`~cadence.engine.context.Delay` that says what it added.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.events import AttemptStage, Channel, Gap
from cadence.domain.prospect import Attempt, Prospect
from cadence.domain.stages import Stage
from cadence.engine import invariants
from cadence.engine.context import DaysOff, DecisionContext, Delay, Span, span
from cadence.engine.decision import Said
from cadence.engine.invariants import DESIGN
from cadence.policy.guard_runner import GuardFailed
from cadence.policy.model import EXACT, PlannedTouch, Policy, Rotate, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import Touch, Veto
from cadence.worktime.calendar import SEARCH_DAYS, WorkCalendar

__all__ = [
    "NoOpenTime",
    "Stopped",
    "Timing",
    "behind_horizon",
    "keeping",
    "next_turn",
    "planned",
    "reached",
    "timing",
    "unmet",
]

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_LONG: Final = timedelta(days=3650)
_STAGES: Final[dict[AttemptStage, Stage]] = {
    stage: Stage(stage.value) for stage in AttemptStage if stage is not AttemptStage.EXTRA
}


class Timing(msgspec.Struct, frozen=True):
    """When a touch is due, and when it may be made as seen now.

    ``delays`` are the rules that moved it from its planned time; where it was due and is closed
    now, also those that hold it until it opens again.
    """

    planned: Delay
    due: datetime
    possible: datetime
    delays: list[Delay]


class NoOpenTime(msgspec.Struct, frozen=True):
    """No open time is found within 30 days of ``since``, for the guards' ``delays`` among them."""

    since: datetime
    delays: list[Delay]


class Stopped(msgspec.Struct, frozen=True):
    """A guard vetoed the touch, or gave no answer that counts (``failed``)."""

    guard: str
    because: str
    events: tuple[int, ...]
    failed: bool


def reached(prospect: Prospect, policy: Policy) -> dict[Stage, int]:
    """How far the running silence has come in each stage: the position of its next touch.

    An attempt has come as far as the touch whose place it took; one that no touch of the policy
    is named for (made off policy, or under another) one further than before.
    """
    found: dict[Stage, int] = {}
    names = policy.by_name
    for attempt in prospect.silence.attempts:
        stage = _STAGES.get(attempt.stage)
        if stage is None:
            continue  # an extra
        further = found.get(stage, 0) + 1
        point = names.get(attempt.step or "")
        if point is not None and point.stage is stage and point.position >= further:
            further = point.position + 1
        found[stage] = further
    return found


def unmet(policy: Policy, planned_touch: PlannedTouch, so_far: invariants.Counts) -> str | None:
    """What the policy itself asks of a touch and waiting can't bring; ``None``: nothing."""
    requires, limits = planned_touch.step.requires, policy.limits
    if requires.attempts > so_far.attempts:
        return f"it requires {requires.attempts} attempts; {so_far.attempts} were made"
    if requires.guidelines and not so_far.guidelines:
        return "it requires that they agreed to be followed up, and they have not"
    if limits.attempts is not None and so_far.attempts >= limits.attempts:
        return f"{so_far.attempts} attempts were made; the policy allows {limits.attempts}"
    if (
        limits.spaced_calls is not None
        and so_far.spaced_calls >= limits.spaced_calls
        and planned_touch.stage is Stage.SPACED
        and Channel.CALL in planned_touch.channels
    ):
        return (
            f"{so_far.spaced_calls} spaced calls were made; the policy allows {limits.spaced_calls}"
        )
    return None


def planned(
    case: DecisionContext,
    planned_touch: PlannedTouch,
    anchor: datetime | None,
    lapsed: datetime | None,
) -> list[Delay]:
    """When the plan alone would make a touch, and what suspended time adds to that."""
    prospect, policy, step = case.prospect, case.policy, planned_touch.step
    appointment = prospect.appointment
    events: tuple[int, ...] = ()
    if step.at is not None and appointment is not None:
        because = Said("called at the time agreed, {}", (case.show(appointment.at),))
        events = (appointment.version,)
        return [Delay(Rule.APPOINTMENT, appointment.at, because, events, policy.source)]
    if anchor is not None:
        # After a pause the first touch comes as soon as the pause is over.
        because = Said("they asked for a pause until {}", (case.show(anchor),))
        return [Delay(Rule.PLAN, anchor, because, (prospect.response.version,), policy.source)]
    after = planned_touch.after
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
    plain = until = start
    if elapsed is not None:
        plain = until = start + elapsed
        # An exact step of the appointment is not moved: if its time is suspended, it lapses.
        if step.stage not in EXACT:
            until = case.time.after_elapsed(start, elapsed, case.suspended)
    else:
        assert after.business_days is not None  # the loader: exactly one unit
        until = case.time.after_business_days(start, after.business_days, case.suspended)
        plain = until
        if case.suspended is not None:
            plain = case.time.after_business_days(start, after.business_days)
        off = DaysOff(start, plain, case.time)
    because = Said("{} after {} {}{}: {}", (after, what, case.show(start), off, case.show(plain)))
    plans = [Delay(Rule.PLAN, plain, because, events, policy.source)]
    if until != plain:
        away = tuple(s.version for s in prospect.silence.suspensions)
        added = Said(
            "suspended time does not count: +{} to {}", (Span(until - plain), case.show(until))
        )
        plans.append(Delay(Rule.SUSPENDED, until, added, away, DESIGN))
    if step.rotate is not None:
        last_at = None if last is None else last.at
        turned = case.time.turn(until, *next_turn(case.time, step.rotate, last_at))
        said = Said("another time than the last attempt's: {}", (case.show(turned),))
        plans.append(Delay(Rule.PLAN, turned, said, events, policy.source))
    return plans


def _anchor_attempt(prospect: Prospect, *, exact: bool) -> Attempt | None:
    """The attempt that a step is planned from: the last; for exact steps, the last of the plan."""
    attempts = prospect.silence.attempts
    if exact:
        for attempt in reversed(attempts):
            if attempt.stage is not AttemptStage.EXTRA:
                return attempt
    return attempts[-1] if attempts else None


def next_turn(
    time: WorkCalendar, rotate: Rotate, last: datetime | None
) -> tuple[int | None, int | None]:
    """The time of day, in seconds, and the weekday to try next: those after the last attempt's.

    An attempt counts for the latest of the times that its time of day had reached; made before
    the first of them, for the first.
    """
    seconds, weekdays = rotate.seconds, rotate.weekdays
    local = None if last is None else time.local(last)
    second: int | None = None
    if seconds:
        turn = 0
        if local is not None:
            clock = local.hour * 3600 + local.minute * 60 + local.second
            reached = [s for s in seconds if s <= clock]
            turn = seconds.index(max(reached) if reached else min(seconds)) + 1
        second = seconds[turn % len(seconds)]
    weekday: int | None = None
    if weekdays:
        turn = 0
        if local is not None and local.weekday() in weekdays:
            turn = weekdays.index(local.weekday()) + 1
        weekday = weekdays[turn % len(weekdays)]
    return second, weekday


def timing(
    case: DecisionContext,
    planned_touch: PlannedTouch,
    touch: Touch,
    plans: list[Delay],
    replaced: Delay | None,
) -> Timing | NoOpenTime | Stopped:
    """When ``touch`` is due; or why it can't be.

    Args:
        case: whom it is for, under what, when.
        touchpoint: its place in the plan.
        touch: what is to be done, as guards see it.
        plans: from :func:`planned`.
        replaced: when a touch that it replaces was due, and why it does not come before that.
    """
    delays = _delayed(case, planned_touch, plans, replaced)
    since = delays[-1].until
    due = _settle(case, since, delays, planned_touch.step, touch)
    if due is None:
        return NoOpenTime(plans[-1].until, _by_guards(case, delays))
    if isinstance(due, Stopped):
        return due
    possible: datetime | Stopped | None = due
    if case.now > due:
        possible = _settle(case, case.now, delays, planned_touch.step, touch)
    if possible is None:
        return NoOpenTime(due, _by_guards(case, delays))
    if isinstance(possible, Stopped):
        return possible
    return Timing(plans[-1], due, possible, delays)


def _settle(
    case: DecisionContext, instant: datetime, delays: list[Delay], step: Step, touch: Touch
) -> datetime | Stopped | None:
    """The first instant from ``instant`` on that the calendar and every guard allow."""
    opened = case.next_open(instant, delays, step)
    if opened is None or not case.policy.guards:
        return opened
    limit = opened + _SEARCH
    while opened is not None and opened <= limit:
        held = _ask(case, touch, opened)
        if held is None or isinstance(held, Stopped):
            return held or opened
        delays.append(held)
        opened = None if held.until > limit else case.next_open(held.until, delays, step)
    return None


def _ask(case: DecisionContext, touch: Touch, at: datetime) -> Delay | Stopped | None:
    """The first guard that delays or stops ``touch`` at ``at``; ``None``: all let it pass."""
    for guard in case.policy.guards:
        if not guard.concerns(touch):
            continue
        try:
            answer = guard.ask(case.prospect, touch, at, case.time)
        except GuardFailed as error:
            return Stopped(guard.name, str(error), (), failed=True)
        if isinstance(answer, Veto):
            return Stopped(guard.name, answer.because, answer.events, failed=False)
        # A guard can't bring a touch forward: a time that has come is no delay.
        if answer is not None and answer.until > at:
            because = answer.because
            if answer.until - at < _LONG:
                because += f": +{span(answer.until - at)} to {case.show(answer.until)}"
            source = case.policy.source
            return Delay(guard.name, answer.until, because, answer.events, source)
    return None


def _by_guards(case: DecisionContext, delays: list[Delay]) -> list[Delay]:
    names = {guard.name for guard in case.policy.guards}
    return [delay for delay in delays if delay.rule in names]


def _delayed(
    case: DecisionContext, planned_touch: PlannedTouch, plans: list[Delay], replaced: Delay | None
) -> list[Delay]:
    """The planned time moved later by each rule that delays it; the last has the time."""
    prospect, step = case.prospect, planned_touch.step
    attempts = prospect.silence.attempts
    due = plans[-1].until
    delays = list(plans)
    promised = prospect.not_before
    if promised is not None and promised > due:
        because = Said("promised for {} when the policy was adopted", (case.show(promised),))
        delays.append(
            Delay(Rule.PLAN, promised, because, (prospect.policy_version,), case.policy.source)
        )
        due = promised
    answered = _answer_time(case)
    if answered is not None and answered.until > due:
        delays.append(answered)
        due = answered.until
    # Gaps start anew at the on-time attempt, which no ratchet delays: they agreed to that time.
    if step.stage is not AttemptStage.ON_TIME and not _surely_keeps(prospect, planned_touch, plans):
        ratcheted = _ratcheted(case, step, due, due if replaced is None else replaced.until)
        delays += ratcheted
        due = ratcheted[-1].until if ratcheted else due
    days = step.requires.days
    start = attempts[0].at if attempts else None
    if step.stage is AttemptStage.CONCERN:
        days = max(days, invariants.CONCERN_DAYS)
    if days and start is not None and start + timedelta(days=days) > due:
        rule = Rule.CONCERN if days > step.requires.days else Rule.PLAN
        until = start + timedelta(days=days)
        because = Said(
            "{} days after the first attempt of the silence: +{}", (days, Span(until - due))
        )
        delays.append(Delay(rule, until, because, (attempts[0].version,), case.policy.source))
        due = until
    # Last, for mostly the same rules delay it as what it replaces, and they say more.
    if replaced is not None and replaced.until > due:
        because = Said("{}: +{}", (replaced.because, Span(replaced.until - due)))
        delays.append(msgspec.structs.replace(replaced, because=because))
    return delays


def _surely_keeps(prospect: Prospect, planned_touch: PlannedTouch, plans: list[Delay]) -> bool:
    """Whether a touch is planned at least as many business days from the last attempt as the
    ratchet asks for.
    """
    silence, after = prospect.silence, planned_touch.after
    days = None if after is None else after.business_days
    return (
        days is not None
        and days >= silence.largest_gap.business_days
        and bool(silence.attempts)
        and not silence.unmeasured
        and plans[0].events == (silence.attempts[-1].version,)
    )


def _ratcheted(case: DecisionContext, step: Step, due: datetime, floor: datetime) -> list[Delay]:
    """What the ratchet adds to ``due``, and what suspended time adds to that.

    A touch that it replaces keeps its gap at ``floor``: the ratchet asks for no more than that.
    """
    ratchet = invariants.gap_allows_from(case.prospect, case.time, case.suspended)
    if ratchet is None or ratchet[0] <= due:
        return []
    from_then, largest = ratchet
    last = case.prospect.silence.attempts[-1]
    otherwise = max(due, floor)
    until = keeping(case.time, step, largest, otherwise, from_then, last.at)
    if from_then <= floor:
        until = min(until, floor)
    working = until
    if case.suspended is not None:
        working = case.time.earliest_with_gap(last.at, largest)
        if working > due:
            working = keeping(case.time, step, largest, otherwise, working, last.at)
        working = min(max(working, due), until)
    found: list[Delay] = []
    if working > due:
        measure = largest.business_days or largest.minutes
        unit = "business days" if largest.business_days else "minutes"
        because = Said(
            "gaps never shrink: the largest so far is {} {}: +{}",
            (measure, unit, Span(working - due)),
        )
        made_by = invariants.gap_made_by(case.prospect, largest)
        found.append(Delay(Rule.GAP, working, because, made_by, DESIGN))
    if until > working:
        away = tuple(s.version for s in case.prospect.silence.suspensions)
        because = Said(
            "suspended time does not count towards the gap: +{} to {}",
            (Span(until - working), case.show(until)),
        )
        found.append(Delay(Rule.SUSPENDED, until, because, away, DESIGN))
    return found


def keeping(
    time: WorkCalendar, step: Step, largest: Gap, due: datetime, allowed: datetime, last: datetime
) -> datetime:
    """When a touch due at ``due`` is made if the ratchet allows it only from ``allowed`` on.

    Days apart it comes at the time of day that was planned, and on the weekday whose turn it is;
    only minutes are exact.

    Args:
        time: the prospect's business time.
        step: of the touch.
        largest: the gap that it has to keep.
        due: when it would be due otherwise.
        allowed: from when on the gap is kept.
        last: the attempt before.
    """
    if not largest.business_days:
        return allowed
    kept = time.same_time(due, allowed)
    if step.rotate is not None and step.rotate.days:
        _, weekday = next_turn(time, step.rotate, last)
        kept = time.turn(kept, None, weekday)
    return kept


def _answer_time(case: DecisionContext) -> Delay | None:
    """The end of the time that the last touch of the plan gave them to answer."""
    if not case.policy.answers:
        return None
    last = _anchor_attempt(case.prospect, exact=True)
    answer = None if last is None else case.policy.answers.get(last.step or "")
    if last is None or answer is None:
        return None
    elapsed = answer.elapsed
    if elapsed is not None:
        until = case.time.after_elapsed(last.at, elapsed, case.suspended)
    else:
        until = case.time.after_business_days(last.at, answer.business_days or 1, case.suspended)
    because = Said("{} to answer {}: until {}", (answer, last.step, case.show(until)))
    return Delay(Rule.PLAN, until, because, (last.version,), case.policy.source)


def behind_horizon(
    case: DecisionContext, step: Step, instant: datetime, first: datetime | None = None
) -> bool:
    """Whether ``instant`` lies behind the horizon, counted from the silence's first attempt.

    Args:
        case: whom it is for, under what.
        step: of the touch; the appointment's own lie before every horizon.
        instant: when it would be made.
        first: that first attempt, where it is not in the history yet.
    """
    if first is None:
        attempts = case.prospect.silence.attempts
        first = attempts[0].at if attempts else instant
    if step.stage in EXACT:
        return False
    horizon = case.policy.horizon_business_days
    # Cheap first: that many business days need at least as many days.
    if instant - first <= timedelta(days=horizon):
        return False
    return case.time.beyond(first, horizon, instant, case.suspended)
