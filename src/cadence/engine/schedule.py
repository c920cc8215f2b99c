"""When a touch of the plan is due: its planned time, moved later by every rule that delays it.

The plan proposes a time (:func:`plan`). A promise, the ratchet on gaps, answer times, required
days, suspensions, quiet hours, business hours and guards each may move it later, never earlier
(:func:`timing`), and each leaves a reason that says what it added.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.events import AttemptStage, Gap
from cadence.domain.prospect import Attempt, Prospect
from cadence.domain.stages import Stage
from cadence.engine import invariants
from cadence.engine.context import DecisionContext
from cadence.engine.invariants import DESIGN, Counts, Facts
from cadence.engine.reasons import Reason, ReasonKind, Sink
from cadence.policy.guard_runner import GuardFailed
from cadence.policy.model import EXACT, PlannedTouch, Policy, Rotate, Step
from cadence.policy.rules import Rule
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.calendar import WorkCalendar
from cadence.worktime.suspensions import SuspendedTime
from cadence.worktime.zone_calendar import SEARCH_DAYS

__all__ = [
    "TOLERANCE",
    "NoOpenTime",
    "Plan",
    "Replaced",
    "Stopped",
    "Timing",
    "Unmet",
    "is_behind_horizon",
    "made_from",
    "next_turn",
    "own_attempt_from",
    "plan",
    "progress",
    "timing",
    "unmet_requirement",
]

TOLERANCE: Final = timedelta(minutes=5)
"""How long before its time a touch may be made: a call at 8:59 for 9:00 is in order."""

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_LONG: Final = timedelta(days=3650)
# Looked up once: to look a member up in its class costs more than to compare it.
_CONCERN: Final = AttemptStage.CONCERN
_EXTRA: Final = AttemptStage.EXTRA
_ON_TIME: Final = AttemptStage.ON_TIME
_STAGES: Final[dict[AttemptStage, Stage]] = {
    stage: Stage(stage.value) for stage in AttemptStage if stage is not AttemptStage.EXTRA
}


class Plan(msgspec.Struct, frozen=True):
    """When the plan alone would make a touch.

    Attributes:
        at: when, suspended time and rotation included.
        events: what it is planned from, for its reasons.
        is_from_last_attempt: whether that is the last attempt of the silence.
    """

    at: datetime
    events: tuple[int, ...]
    is_from_last_attempt: bool


class Replaced(msgspec.Struct, frozen=True):
    """A touch skipped for its lateness: a touch that replaces it is never earlier than it was due.

    Attributes:
        due: when it was due.
        step: its name.
        rule: why it was skipped.
        events, source: those of the delay that set the time it was due.
    """

    due: datetime
    step: str
    rule: Rule
    events: tuple[int, ...]
    source: str


class Timing(msgspec.Struct, frozen=True):
    """When a touch is due, and when it may be made as seen now; whether guards delayed it."""

    due: datetime
    possible: datetime
    by_guards: bool = False


class NoOpenTime(msgspec.Struct, frozen=True):
    """No open time is found within 30 days of ``since``; ``by_guards``: guards stand in its way."""

    since: datetime
    by_guards: bool


class Stopped(msgspec.Struct, frozen=True):
    """A guard vetoed the touch, or gave no valid answer (``has_failed``)."""

    guard: str
    said: str
    events: tuple[int, ...]
    has_failed: bool


class Unmet(msgspec.Struct, frozen=True):
    """A requirement of the policy that waiting can't meet: its code and the facts."""

    code: str
    facts: Facts


# Which touches are ahead --------------------------------------------------------------------------


def progress(prospect: Prospect, policy: Policy) -> dict[Stage, int]:
    """Return how far the silence has come in each stage: the position of its next touch.

    An attempt has come as far as the touch whose place it took. An attempt that no touch of the
    policy is named for (made off policy, or under another) has come one further than before.
    """
    positions: dict[Stage, int] = {}
    names = policy.by_name
    for attempt in prospect.silence.attempts:
        stage = _STAGES.get(attempt.stage)
        if stage is None:
            continue  # an extra
        position = positions.get(stage, 0)
        planned = None if attempt.step is None else names.get(attempt.step)
        if planned is not None and planned.stage is stage and planned.position > position:
            position = planned.position
        positions[stage] = position + 1
    return positions


def unmet_requirement(policy: Policy, planned: PlannedTouch, so_far: Counts) -> Unmet | None:
    """Return what the policy requires of a touch and waiting can't bring; ``None``: nothing."""
    requires, limits = planned.step.requires, policy.limits
    if requires.attempts > so_far.attempts:
        facts: Facts = {"required": requires.attempts, "attempts": so_far.attempts}
        return Unmet("requires_attempts", facts)
    if requires.guidelines and not so_far.guidelines:
        return Unmet("requires_guidelines", {})
    if limits.attempts is not None and so_far.attempts >= limits.attempts:
        return Unmet("limit_attempts", {"attempts": so_far.attempts, "limit": limits.attempts})
    if (
        limits.spaced_calls is not None
        and so_far.spaced_calls >= limits.spaced_calls
        and planned.stage is Stage.SPACED
        and planned.may_be_call
    ):
        facts = {"spaced_calls": so_far.spaced_calls, "limit": limits.spaced_calls}
        return Unmet("limit_spaced_calls", facts)
    return None


# The planned time ---------------------------------------------------------------------------------


def plan(
    context: DecisionContext,
    planned: PlannedTouch,
    anchor: datetime | None,
    lapsed: datetime | None,
    delays: Sink,
) -> Plan:
    """Return when the plan alone would make a touch.

    Args:
        context: the prospect, the policy and the time.
        planned: the touch.
        anchor: the end of a pause: the first touch after it comes as soon as it is over.
        lapsed: when a lapsed touch before it was planned; it anchors this one.
        delays: gets the reasons.
    """
    prospect, step = context.prospect, planned.step
    appointment = prospect.appointment
    source = context.policy.source
    if step.at is not None and appointment is not None:
        at, events = appointment.at, (appointment.version,)
        if delays is not None:
            facts: Facts = {"at": context.local(at)}
            delays.append(_delay(Rule.APPOINTMENT, "at_appointment", at, events, source, facts))
        return Plan(at, events, False)
    if anchor is not None:
        events = (prospect.response.version,)
        if delays is not None:
            facts = {"until": context.local(anchor)}
            delays.append(_delay(Rule.PLAN, "after_pause", anchor, events, source, facts))
        return Plan(anchor, events, False)
    return _after_anchor(context, planned, lapsed, delays)


class _Anchor(msgspec.Struct, frozen=True):
    """What a step is planned from: an attempt, the appointment, the response, a lapsed touch."""

    start: datetime
    what: str
    events: tuple[int, ...]
    attempt: Attempt | None


def _anchor(prospect: Prospect, lapsed: datetime | None, *, is_exact: bool) -> _Anchor:
    """The last attempt, the appointment or the last response; or a touch that lapsed since."""
    appointment = prospect.appointment
    last = _anchor_attempt(prospect, is_exact=is_exact)
    if last is not None and appointment is not None and appointment.at > last.at:
        last = None  # nothing is planned from an attempt made before a standing appointment
    if last is not None:
        start, what, version = last.at, "attempt", last.version
    elif appointment is not None:
        start, what, version = appointment.at, "appointment", appointment.version
    else:
        response = prospect.response
        start, what, version = response.at, "response", response.version
    if lapsed is not None and lapsed > start:
        start, what = lapsed, "lapsed"
    return _Anchor(start, what, (version,), last)


def _after_anchor(
    context: DecisionContext, planned: PlannedTouch, lapsed: datetime | None, delays: Sink
) -> Plan:
    """The planned distance after what the step is planned from."""
    prospect, rotate = context.prospect, planned.step.rotate
    anchor = _anchor(prospect, lapsed, is_exact=planned.elapsed is not None)
    last, events = anchor.attempt, anchor.events
    at = _distance(context, planned, anchor.start, context.suspended)
    if delays is not None:
        is_plain = context.suspended is None
        plain = at if is_plain else _distance(context, planned, anchor.start, None)
        delays.append(_planned_reason(context, planned, anchor, plain))
        if at != plain:
            delays.append(_suspended(context, "suspended_plan", plain, at))
            events = context.suspended_by()
    if rotate is not None:
        calendar = context.calendar
        last_at = None if last is None else last.at
        at, events = calendar.turn(at, *next_turn(calendar, rotate, last_at)), anchor.events
        if delays is not None:
            facts: Facts = {"until": context.local(at)}
            source = context.policy.source
            delays.append(_delay(Rule.PLAN, "rotated", at, events, source, facts))
    return Plan(at, events, last is not None and last is prospect.silence.attempts[-1])


def _distance(
    context: DecisionContext,
    planned: PlannedTouch,
    start: datetime,
    suspended: tuple[SuspendedTime, ...] | None,
) -> datetime:
    """The planned distance after ``start``, without what is suspended."""
    calendar, after, elapsed = context.calendar, planned.after, planned.elapsed
    if elapsed is not None:
        # An exact step of the appointment is not moved: if its time is suspended, it lapses.
        if suspended is None or planned.step.stage in EXACT:
            return start + elapsed
        return calendar.after_elapsed(start, elapsed, suspended)
    days = 0 if after is None else after.business_days or 0
    return calendar.after_business_days(start, days, suspended)


def _planned_reason(
    context: DecisionContext, planned: PlannedTouch, anchor: _Anchor, plain: datetime
) -> Reason:
    start = anchor.start
    is_elapsed = planned.elapsed is not None
    facts: Facts = {
        "after": str(planned.after),
        "anchor": anchor.what,
        "start": context.local(start),
        "days_off": () if is_elapsed else tuple(context.calendar.days_off(start, plain)),
        "until": context.local(plain),
    }
    return _delay(Rule.PLAN, "planned", plain, anchor.events, context.policy.source, facts)


def _anchor_attempt(prospect: Prospect, *, is_exact: bool) -> Attempt | None:
    """The attempt that a step is planned from: the last; for exact steps, the last of the plan."""
    attempts = prospect.silence.attempts
    if is_exact:
        for attempt in reversed(attempts):
            if attempt.stage is not _EXTRA:
                return attempt
    return attempts[-1] if attempts else None


def next_turn(
    calendar: WorkCalendar, rotate: Rotate, last: datetime | None
) -> tuple[int | None, int | None]:
    """Return the time of day, in seconds, and the weekday to try next after the last attempt's.

    An attempt counts for the latest of the times that its time of day had reached; made before
    the first of them, for the first.
    """
    seconds, weekdays = rotate.seconds, rotate.weekdays
    local = None if last is None else calendar.local(last)
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
        today = None if last is None else calendar.weekday(last)
        if today in weekdays:
            turn = weekdays.index(today) + 1
        weekday = weekdays[turn % len(weekdays)]
    return second, weekday


# Moved later --------------------------------------------------------------------------------------


def timing(
    context: DecisionContext,
    planned: PlannedTouch,
    touch: Touch,
    at: Plan,
    replaced: Replaced | None,
    delays: Sink,
) -> Timing | NoOpenTime | Stopped:
    """Return when a touch is due; or why it can't be.

    Args:
        context: the prospect, the policy and the time.
        planned: its place in the plan.
        touch: what is to be done, as guards see it.
        at: from :func:`plan`.
        replaced: the touch in whose place it comes.
        delays: gets the reasons.
    """
    since = _delayed(context, planned, touch, at, replaced, delays)
    if not context.policy.guards:
        return _without_guards(context, planned.step, at.at, since, delays)
    settling = _Settling(context, planned.step, touch, delays)
    due = settling.first_time(since)
    if due is None:
        return NoOpenTime(at.at, settling.by_guards)
    if isinstance(due, Stopped):
        return due
    if context.now <= due:
        return Timing(due, due, settling.by_guards)
    possible = settling.first_time(context.now)
    if possible is None:
        return NoOpenTime(due, settling.by_guards)
    if isinstance(possible, Stopped):
        return possible
    return Timing(due, possible, settling.by_guards)


def _without_guards(
    context: DecisionContext, step: Step, planned_at: datetime, since: datetime, delays: Sink
) -> Timing | NoOpenTime:
    """When a touch is due, where the calendar alone has a say."""
    due = context.next_open(since, step, delays)
    if due is None:
        return NoOpenTime(planned_at, False)
    if context.now <= due:
        return Timing(due, due)
    possible = context.next_open(context.now, step, delays)
    return NoOpenTime(due, False) if possible is None else Timing(due, possible)


def made_from(
    context: DecisionContext,
    planned: PlannedTouch,
    touch: Touch,
    at: Plan,
    replaced: Replaced | None,
    due: datetime,
) -> datetime:
    """Return from when on a touch may be made that is due at ``due``.

    One that is planned in business days may be made at any open time of the local day that this
    leads to, and each five minutes early. Both only where every rule but the plan's hour permits.
    """
    prospect, calendar, step = context.prospect, context.calendar, planned.step
    first = due
    keeps_gap = _surely_keeps(prospect, planned, at)
    if planned.after is not None and planned.elapsed is None and step.stage not in EXACT:
        since = calendar.start_of_day(at.at)
        is_plain = keeps_gap and replaced is None and prospect.not_before is None
        if not is_plain or context.policy.answers or step.requires.days or step.stage is _CONCERN:
            that_day = Plan(since, at.events, at.is_from_last_attempt)
            since = _delayed(context, planned, touch, that_day, replaced, None)
        opened: datetime | Stopped | None
        if context.policy.guards:
            opened = _Settling(context, step, touch, None).first_time(since)
        else:
            opened = context.next_open(since, step, None)
        if isinstance(opened, datetime) and opened < due:
            first = opened
    return _a_little_early(context, planned, touch, first, keeps_gap=keeps_gap)


def _a_little_early(
    context: DecisionContext,
    planned: PlannedTouch,
    touch: Touch,
    first: datetime,
    *,
    keeps_gap: bool,
) -> datetime:
    """``first``, or up to five minutes before it, as far as the invariants permit."""
    prospect, calendar, suspended = context.prospect, context.calendar, context.suspended
    stage = planned.step.stage
    early = first - TOLERANCE
    if stage is not _ON_TIME:
        if not keeps_gap:
            gap = invariants.gap_allows_from(prospect, calendar, suspended)
            early = early if gap is None else max(early, gap[0])
        limit = invariants.frequency_allows_from(
            prospect, stage, len(touch.parts), calendar, suspended, is_days_apart=keeps_gap
        )
        early = early if limit is None else max(early, limit[0])
    is_awake = calendar.next_waking(early) == early
    is_free = context.blocked_until(early, pauses_since=None) == early
    return early if early < first and is_awake and is_free else first


_OWN: Final = Step("own", AttemptStage.SPACED)


def own_attempt_from(context: DecisionContext, since: datetime, delays: Sink) -> datetime:
    """Return the first time from ``since`` on at which the owner may try them, on any channel.

    Args:
        context: the prospect, the policy and the time.
        since: from when on.
        delays: gets the reasons of what stands in the way until then.
    """
    prospect, calendar, policy = context.prospect, context.calendar, context.policy
    if not (policy.guards or prospect.silence.attempts or prospect.elsewhere.attempts):
        return since
    first = since
    gap = invariants.gap_allows_from(prospect, calendar, context.suspended)
    if gap is not None and gap[0] > first:
        if delays is not None:
            events = invariants.gap_made_by(prospect, gap[1])
            shown = context.local(gap[0])
            facts: Facts = {"gap": gap[1], "added": gap[0] - first, "until": shown}
            delays.append(_delay(Rule.GAP, "gap", gap[0], events, DESIGN, facts))
        first = gap[0]
    limit = invariants.frequency_allows_from(prospect, _OWN.stage, 1, calendar, context.suspended)
    if limit is not None and limit[0] > first:
        until, events, limited = limit
        if delays is not None:
            delays.append(_too_often(context, first, until, events, limited))
        first = until
    best: datetime | None = None
    reasons: Sink = None
    for point in invariants.contact_points_left(prospect):
        part = TouchPart(point.channel, point.address, "", key=point.same)
        touch = Touch(f"{prospect.id}:own", prospect.stage, "own", (part,))
        found = context.sink()
        opened = _Settling(context, _OWN, touch, found).first_time(first)
        if isinstance(opened, datetime) and (best is None or opened < best):
            best, reasons = opened, found
    if best is None:
        return first  # no time is found on any channel: nothing to wait for
    if delays is not None:
        delays += reasons or ()
    return best


class _Settling:
    """The search for a time that the calendar and every guard allow."""

    __slots__ = ("_touch", "by_guards", "context", "delays", "step")

    def __init__(
        self,
        context: DecisionContext,
        step: Step,
        touch: Touch,
        delays: Sink,
    ) -> None:
        self.context = context
        self.step = step
        self.delays = delays
        self.by_guards = False
        self._touch = touch

    def first_time(self, instant: datetime) -> datetime | Stopped | None:
        """Return the first instant from ``instant`` on that the calendar and all guards allow."""
        context, touch = self.context, self._touch
        opened = context.next_open(instant, self.step, self.delays)
        if opened is None:
            return None
        limit = opened + _SEARCH
        while opened is not None and opened <= limit:
            until = self._ask(touch, opened)
            if until is None or isinstance(until, Stopped):
                return until or opened
            self.by_guards = True
            if until > limit:
                return None
            opened = context.next_open(until, self.step, self.delays)
        return None

    def _ask(self, touch: Touch, at: datetime) -> datetime | Stopped | None:
        """Until when the first guard that objects delays ``touch``, or that it stops it."""
        context = self.context
        for guard in context.policy.guards:
            if not guard.concerns(touch):
                continue
            try:
                answer = guard.ask(context.prospect, touch, at, context.calendar)
            except GuardFailed as error:
                return Stopped(guard.name, str(error), (), True)
            if isinstance(answer, Veto):
                return Stopped(guard.name, answer.because, answer.events, False)
            # A guard can't bring a touch forward: a time that has come is no delay.
            if answer is not None and answer.until > at:
                if self.delays is not None:
                    self.delays.append(_by_guard(context, guard.name, answer, at))
                return answer.until
        return None


def _by_guard(context: DecisionContext, guard: str, answer: GuardDelay, at: datetime) -> Reason:
    added = answer.until - at
    # A guard that never opens delays for years: that time is nothing to tell a reader.
    until = context.local(answer.until) if added < _LONG else None
    facts = {"said": answer.because, "until": until, "added": added}
    source = context.policy.source
    return _delay(guard, "guard_delay", answer.until, answer.events, source, facts)


def _delayed(
    context: DecisionContext,
    planned: PlannedTouch,
    touch: Touch,
    at: Plan,
    replaced: Replaced | None,
    delays: Sink,
) -> datetime:
    """The planned time, moved later by each rule that delays it."""
    prospect, step, source = context.prospect, planned.step, context.policy.source
    due = at.at
    promised = prospect.not_before
    if promised is not None and promised > due:
        if delays is not None:
            events, facts = (prospect.policy_version,), {"until": context.local(promised)}
            delays.append(_delay(Rule.PLAN, "promised", promised, events, source, facts))
        due = promised
    if context.policy.answers:
        due = _answered(context, due, delays)
    # Gaps start again at the on-time attempt, which no ratchet delays: they agreed to that time.
    if step.stage is not _ON_TIME and not _surely_keeps(prospect, planned, at):
        due = _ratcheted(context, step, due, due if replaced is None else replaced.due, delays)
    if step.stage is _CONCERN or step.requires.days:
        due = _after_required_days(context, step, due, delays)
    # Behind the delays that give more specific reasons.
    if replaced is not None and replaced.due > due:
        if delays is not None:
            replacing: Facts = {"step": replaced.step, "added": replaced.due - due}
            delays.append(
                _delay(
                    replaced.rule,
                    "replaces",
                    replaced.due,
                    replaced.events,
                    replaced.source,
                    replacing,
                )
            )
        due = replaced.due
    return _spread(context, planned, len(touch.parts), at, due, delays)


def _spread(
    context: DecisionContext,
    planned: PlannedTouch,
    parts: int,
    at: Plan,
    due: datetime,
    delays: Sink,
) -> datetime:
    """``due``, moved later until no span of the silence has more parts than ``frequency`` allows.

    It comes last: what a policy plans keeps to it, so it has nothing to add there.
    """
    prospect, calendar, step = context.prospect, context.calendar, planned.step
    is_days_apart = (
        at.is_from_last_attempt and planned.after is not None and planned.elapsed is None
    )
    allowed = invariants.frequency_allows_from(
        prospect,
        step.stage,
        parts,
        calendar,
        context.suspended,
        is_days_apart=is_days_apart,
    )
    if allowed is None or allowed[0] <= due:
        return due
    opened = context.next_open(due, step, None)
    if opened is None or allowed[0] <= opened:
        return due  # it is closed until then anyway
    until, events, facts = allowed
    if "business_days" in facts:
        # A day later, at the time of day that was planned.
        last = prospect.silence.attempts[-1]
        until = _at_its_hour(calendar, step, Gap(1, 0), due, until, last.at)
    if delays is not None:
        delays.append(_too_often(context, due, until, events, facts))
    return until


def _too_often(
    context: DecisionContext,
    before: datetime,
    until: datetime,
    events: tuple[int, ...],
    limit: Facts,
) -> Reason:
    facts = {**limit, "added": until - before, "until": context.local(until)}
    return _delay(Rule.FREQUENCY, "frequency", until, events, DESIGN, facts)


def _answered(context: DecisionContext, due: datetime, delays: Sink) -> datetime:
    """``due``, or the end of the time that the last touch of the plan gave them to answer."""
    last = _anchor_attempt(context.prospect, is_exact=True)
    answer = None if last is None else context.policy.answers.get(last.step or "")
    if last is None or answer is None:
        return due
    calendar, elapsed = context.calendar, answer.elapsed
    if elapsed is not None:
        until = calendar.after_elapsed(last.at, elapsed, context.suspended)
    else:
        days = answer.business_days or 1
        until = calendar.after_business_days(last.at, days, context.suspended)
    if until <= due:
        return due
    if delays is not None:
        facts = {"given": str(answer), "step": last.step, "until": context.local(until)}
        events, source = (last.version,), context.policy.source
        delays.append(_delay(Rule.PLAN, "time_to_answer", until, events, source, facts))
    return until


def _surely_keeps(prospect: Prospect, planned: PlannedTouch, at: Plan) -> bool:
    """Whether a touch is planned at least as many business days from the last attempt as the
    ratchet asks for.
    """
    silence, after = prospect.silence, planned.after
    days = None if after is None else after.business_days
    return (
        days is not None
        and at.is_from_last_attempt
        and days >= silence.largest_gap.business_days
        and not silence.unmeasured
    )


def _ratcheted(
    context: DecisionContext, step: Step, due: datetime, floor: datetime, delays: Sink
) -> datetime:
    """``due``, moved later by the ratchet and by suspended time, which does not count in gaps.

    A touch that it replaces keeps its gap at ``floor``: the ratchet asks for no more than that.
    """
    prospect, calendar, suspended = context.prospect, context.calendar, context.suspended
    ratchet = invariants.gap_allows_from(prospect, calendar, suspended)
    if ratchet is None or ratchet[0] <= due:
        return due
    allowed, largest = ratchet
    last = prospect.silence.attempts[-1]
    otherwise = max(due, floor)
    until = _at_its_hour(calendar, step, largest, otherwise, allowed, last.at)
    if allowed <= floor:
        until = min(until, floor)
    if delays is None:
        return max(due, until)
    working = until
    if suspended is not None:
        working = calendar.earliest_with_gap(last.at, largest)
        if working > due:
            working = _at_its_hour(calendar, step, largest, otherwise, working, last.at)
        working = min(max(working, due), until)
    if working > due:
        events = invariants.gap_made_by(prospect, largest)
        facts: Facts = {"gap": largest, "added": working - due, "until": context.local(working)}
        delays.append(_delay(Rule.GAP, "gap", working, events, DESIGN, facts))
    if until > working:
        delays.append(_suspended(context, "suspended_gap", working, until))
    return max(due, until)


def _at_its_hour(
    calendar: WorkCalendar,
    step: Step,
    largest: Gap,
    due: datetime,
    allowed: datetime,
    last: datetime,
) -> datetime:
    """When a touch due at ``due`` is made if the ratchet allows it only from ``allowed`` on.

    Days apart it comes at the time of day that was planned, and on the weekday whose turn it is;
    only minutes are exact.
    """
    if not largest.business_days:
        return allowed
    kept = calendar.same_time(due, allowed)
    if step.rotate is not None and step.rotate.days:
        _, weekday = next_turn(calendar, step.rotate, last)
        kept = calendar.turn(kept, None, weekday)
    return kept


def _after_required_days(
    context: DecisionContext, step: Step, due: datetime, delays: Sink
) -> datetime:
    """``due``, or the end of the days that the step or the concern message requires."""
    days = step.requires.days
    if step.stage is _CONCERN:
        days = max(days, invariants.CONCERN_DAYS)
    attempts = context.prospect.silence.attempts
    if not days or not attempts:
        return due
    until = attempts[0].at + timedelta(days=days)
    if until <= due:
        return due
    if delays is not None:
        rule = Rule.CONCERN if days > step.requires.days else Rule.PLAN
        events, facts = (attempts[0].version,), {"days": days, "added": until - due}
        source = context.policy.source
        delays.append(_delay(rule, "required_days", until, events, source, facts))
    return until


def _delay(
    rule: str, code: str, until: datetime, events: tuple[int, ...], source: str, facts: Facts
) -> Reason:
    return Reason(rule, code, events, source, ReasonKind.DELAY, until, facts=facts)


def _suspended(context: DecisionContext, code: str, before: datetime, until: datetime) -> Reason:
    facts = {"added": until - before, "until": context.local(until)}
    return _delay(Rule.SUSPENDED, code, until, context.suspended_by(), DESIGN, facts)


# The horizon --------------------------------------------------------------------------------------


def is_behind_horizon(context: DecisionContext, step: Step, instant: datetime) -> bool:
    """Return whether ``instant`` lies behind the horizon, from the silence's first attempt on.

    Args:
        context: the prospect and the policy.
        step: of the touch; the appointment's own lie before every horizon.
        instant: when it would be made.
    """
    attempts = context.prospect.silence.attempts
    if not attempts or step.stage in EXACT:
        return False
    first, policy = attempts[0].at, context.policy
    # Most touches lie far before it, which needs no counting.
    if instant - first <= policy.horizon:
        return False
    days = policy.horizon_business_days
    return context.calendar.is_beyond(first, days, instant, context.suspended)
