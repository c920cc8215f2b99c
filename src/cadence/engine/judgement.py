"""Judge an attempt: whose place it takes, and which rules it breaks.

One judgement serves a strict command, an attempt that is only recorded, ``may`` and ``explain``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from cadence.domain.addresses import is_elsewhere
from cadence.domain.channels import Channel
from cadence.domain.events import AttemptStage, Gap, Intent, Part
from cadence.domain.prospect import Attempt, Prospect, Reachability
from cadence.domain.stages import OUTREACH, Stage
from cadence.domain.standing import counts_at
from cadence.domain.words import Obstacle
from cadence.engine import invariants
from cadence.engine.channels import parts_on, points_left
from cadence.engine.claims import Claim, Claimed
from cadence.engine.context import calendar_for, preferred_hours
from cadence.engine.decision import Close, Decision, Due, Stop, Task, Wait
from cadence.engine.invariants import Phase
from cadence.engine.next_touch import what_is_planned
from cadence.engine.schedule import TOLERANCE, progress
from cadence.errors import InputError
from cadence.policy.guard_runner import GuardFailed
from cadence.policy.model import EXACT, Policy
from cadence.policy.rules import Rule
from cadence.policy.touch import GuardDelay, Touch, TouchPart, Veto
from cadence.worktime.calendar import WorkCalendar
from cadence.worktime.suspensions import SuspendedTime

__all__ = [
    "ALWAYS",
    "AttemptContext",
    "AttemptTime",
    "Judgement",
    "decision_of",
    "judge",
    "objections",
    "open_parts",
]

ALWAYS: Final = datetime.max.replace(tzinfo=UTC)
"""Everything recorded is known, also what a clock recorded that was ahead and was set back."""

# Attempts off policy take the place of the touch that was next, if it was one of these.
_REPLACEABLE: Final = frozenset({Stage.TEN_MINUTES, Stage.HALF_DAY, Stage.SPACED, Stage.NURTURE})
# What a response changes: the plan, and what it waits for.
_OF_THE_PLAN: Final = frozenset(
    {Rule.PLAN, Rule.APPOINTMENT, Rule.CONCERN, Rule.POLITE_EXIT, Rule.SUSPENDED}
)
# Where an owner's own attempt is in order.
_OWNERS: Final = frozenset({Stage.NEW, Stage.SCHEDULED, Stage.ENGAGED})
# The appointment's own steps: business hours do not bind them.
_EXACT: Final = frozenset(Stage(stage.value) for stage in EXACT)


class Judgement(msgspec.Struct, frozen=True):
    """The place an attempt takes, and the rules it breaks.

    Attributes:
        stage: the stage whose place it takes, or ``extra``.
        step: the step whose place it takes.
        touch: the id of the touch it carries out.
        gap: the distance to the attempt before, measured now.
        gap_from: the version of that attempt.
        broke: the rules it breaks, each once, in the order in which they are checked.
        decision: what came next at its moment.
        objections: the guards that object to it, by name, with their answers.
        held: the claim that another holds on the prospect.
        obstacle: what others say that stops an address it uses.
    """

    stage: AttemptStage
    step: str | None
    touch: str | None
    gap: Gap | None
    gap_from: int | None
    broke: tuple[str, ...]
    decision: Decision
    objections: tuple[tuple[str, GuardDelay | Veto], ...] = ()
    held: Claim | None = None
    obstacle: Obstacle | None = None


class AttemptTime(NamedTuple):
    """When an attempt is made: by the clock, and as it counts.

    The two differ only where one of two clocks was wrong (:func:`counts_at`). What hour it is for
    them, and what is due, is asked of the clock: the later time only keeps the order. Everything
    recorded counts all the same, so silences, gaps and limits go by the later time.

    Attributes:
        clock: what the clock showed.
        at: when it counts as made.
        known_at: the time until which records were known to the caller of the attempt.
    """

    clock: datetime
    at: datetime
    known_at: datetime

    @classmethod
    def of(
        cls, prospect: Prospect, clock: datetime, recorded_at: datetime | None = None
    ) -> AttemptTime:
        """Return the time of an attempt.

        Args:
            prospect: the fold of the events before it.
            clock: when it is made, as the clock shows it.
            recorded_at: when it is recorded. Logged at once, it is judged by everything recorded;
                logged later, or where this is left out, by what was recorded when it was made.
        """
        if recorded_at is None:
            return cls(clock, clock, clock)
        at = counts_at(clock, recorded_at, prospect.newest)
        return cls(clock, at, ALWAYS if recorded_at <= at else at)

    def knowing_all(self) -> AttemptTime:
        """Return the same time, judged by everything recorded."""
        return self._replace(known_at=ALWAYS)


class AttemptContext:
    """An attempt at its moment: what the checks of the invariants look at.

    Attributes:
        prospect: the fold of the events before it.
        policy: the policy it is judged under.
        parts: what was or would be done.
        clock, at, known_at: when; see :class:`AttemptTime`.
        given: the stage that a record names for it, right or wrong; limits are counted by it.
        takes: the stage whose place it takes; ``extra`` until that is known.
        joins: the attempt just made that it is another part of; ``None`` for most.
        objections: the guards that object to it, with their answers; empty until they are asked.
        held: the claim that another holds on the prospect.
        own: the claim that it carries out.
    """

    __slots__ = (
        "_calendar",
        "at",
        "clock",
        "given",
        "held",
        "joins",
        "known_at",
        "objections",
        "own",
        "parts",
        "policy",
        "prospect",
        "takes",
    )

    def __init__(
        self,
        prospect: Prospect,
        policy: Policy,
        parts: tuple[Part, ...],
        time: AttemptTime,
        given: AttemptStage | None = None,
        claimed: Claimed | None = None,
    ) -> None:
        self.prospect = prospect
        self.policy = policy
        self.parts = parts
        self.clock, self.at, self.known_at = time
        self.given = given
        self.takes = AttemptStage.EXTRA
        self.objections: list[tuple[str, GuardDelay | Veto]] = []
        self._calendar: WorkCalendar | None = None
        claim = None if claimed is None else claimed.claim
        is_own = claimed is not None and claimed.is_own
        self.held = None if is_own else claim
        self.own = claim if is_own and claim is not None and claim.is_about(parts) else None
        self.joins = _joined(self)

    @property
    def is_exact(self) -> bool:
        """Whether it is known to be one of the appointment's own steps, whatever is next."""
        claim = self.own if self.own is not None and self.own.touch is not None else None
        carried_out = self.joins or claim
        stage = self.given or (None if carried_out is None else carried_out.stage)
        return stage in EXACT

    @property
    def before(self) -> list[Attempt]:
        """The attempts of the silence that count for it, in order: those made by then."""
        return [one for one in self.prospect.silence.known if one.at <= self.at]

    @property
    def calendar(self) -> WorkCalendar | None:
        """The prospect's work calendar; ``None`` where its zone or country is not known."""
        if self._calendar is None:
            try:
                self._calendar = calendar_for(self.prospect, self.policy)
            except InputError:
                return None
        return self._calendar

    @property
    def suspended(self) -> tuple[SuspendedTime, ...] | None:
        """The suspended time of the silence; ``None`` if there is none."""
        suspensions = self.prospect.silence.suspensions
        calendar = self.calendar
        return None if calendar is None or not suspensions else calendar.suspended(suspensions)

    @property
    def is_suspended(self) -> bool:
        """Whether it is made inside suspended time."""
        return any(
            start <= instant < end
            for one in self.suspended or ()
            for start, end in one.spans
            for instant in (self.clock, self.at)
        )

    def has_failed(self, part: Part) -> bool:
        """Return whether ``part`` uses a contact point known to have failed."""
        if _uses_failed(self.prospect.reach, part, self.known_at):
            return True
        elsewhere = self.prospect.elsewhere
        if not elsewhere.failed:
            return False
        found = [elsewhere.failure(key) for key in self._addresses(part)]
        return bool(found) and all(
            one is not None and one.failure.at <= self.known_at for one in found
        )

    @property
    def obstacle(self) -> Obstacle | None:
        """What others say that was known to stop an address it uses; ``None``: nothing does."""
        stops = (self._stop_of(part) for part in self.parts)
        return next((stop for stop in stops if stop is not None), None)

    def _stop_of(self, part: Part) -> Obstacle | None:
        elsewhere = self.prospect.elsewhere
        if elsewhere.is_silent:
            return None
        stops = [elsewhere.obstacle(part.channel, key) for key in self._addresses(part) or ("",)]
        known = [stop for stop in stops if stop is not None and stop.at <= self.known_at]
        return known[0] if len(known) == len(stops) else None

    def _addresses(self, part: Part) -> list[str]:
        """The keys that ``part`` may have used: its own, or those they have on its channel."""
        if part.same is not None and not is_elsewhere(part.same):
            return [part.same]
        points = self.prospect.reach.contact_points
        return [point.same for point in points if point.channel == part.channel]

    def was_lost_since(self, part: Part) -> bool:
        """Return whether what ``part`` uses has been lost, but was not known to be."""
        return self._is_lost(part, ALWAYS) and not self._is_lost(part, self.known_at)

    def _is_lost(self, part: Part, by: datetime) -> bool:
        reach = self.prospect.reach
        return reach.opted_out.known_by(part.channel, by) or _uses_failed(reach, part, by)


def _uses_failed(reach: Reachability, part: Part, by: datetime) -> bool:
    """Whether ``part`` uses what was known by then to have failed, or has nothing left to use."""
    if part.same is not None:
        return reach.has_failed(part.same, by)
    points = [point for point in reach.contact_points if point.channel == part.channel]
    return bool(points) and all(reach.has_failed(point.same, by) for point in points)


def _joined(attempt: AttemptContext) -> Attempt | None:
    """Return the attempt just made, if this is an open part of the same touch, on the same day.

    A voicemail now and its email four minutes later are one touch, logged in two pieces.
    """
    if attempt.calendar is None:
        return None
    left = {
        part.channel
        for part in open_parts(attempt.prospect, attempt.policy, attempt.at, attempt.calendar)
    }
    is_open = bool(left) and all(part.channel in left for part in attempt.parts)
    return attempt.prospect.silence.attempts[-1] if is_open else None


def open_parts(
    prospect: Prospect, policy: Policy, at: datetime, calendar: WorkCalendar
) -> tuple[TouchPart, ...]:
    """Return the parts of the touch just made that were not logged yet, while its day lasts.

    Args:
        prospect: the prospect.
        policy: the policy it is under.
        at: when.
        calendar: the prospect's.
    """
    attempts = prospect.silence.attempts
    last = attempts[-1] if attempts else None
    if last is None or last.touch is None or last.at > at:
        return ()
    planned = policy.by_name.get(last.step or "")
    if last.stage is AttemptStage.POLITE_EXIT:
        planned = policy.exit_point
    if planned is None or len(planned.parts) == 1 or planned.stage.value != last.stage.value:
        return ()
    if calendar.start_of_day(last.at) != calendar.start_of_day(at):
        return ()
    made = {part.channel for part in last.parts}
    touch = parts_on(prospect, planned.parts, points_left(prospect, policy))
    if len(made) >= len(touch):
        return ()
    return tuple(part for part in touch if part.channel not in made)


# The judgement ------------------------------------------------------------------------------------


def decision_of(attempt: AttemptContext) -> Decision:
    """Decide what the plan had next at the moment of an attempt; a wait names its delays."""
    decision = what_is_planned(attempt.prospect, attempt.policy, attempt.clock)
    if isinstance(decision, Wait) and attempt.at >= attempt.prospect.silence.since:
        return what_is_planned(attempt.prospect, attempt.policy, attempt.clock, explains=True)
    return decision


def judge(attempt: AttemptContext, decision: Decision) -> Judgement:
    """Judge an attempt by what was planned at its moment (:func:`decision_of`)."""
    if attempt.at < attempt.prospect.silence.since:
        # It belongs to a silence that is over; what was next then is not known any more. What
        # holds in every silence still holds.
        broke = _broken(attempt, Phase.LASTING)
        stage = AttemptStage.EXTRA
        return Judgement(
            *(stage, None, None, None, None, tuple(broke), decision),
            held=attempt.held,
            obstacle=attempt.obstacle,
        )
    broke = _rules_broken(attempt, decision)
    is_in_order = not _weighs(broke, decision)
    stage, step, touch = _place(attempt, decision, is_in_order=is_in_order)
    attempt.takes = attempt.given or stage
    counted = _broken(attempt, Phase.PLACE)
    if counted and decision.touch is None and not _keeps_its_place(attempt):
        stage, step = AttemptStage.EXTRA, None
        attempt.takes = attempt.given or stage
        counted = _broken(attempt, Phase.PLACE)
    broke = list(dict.fromkeys((*broke, *counted)))
    gap, gap_from = _gap(attempt)
    objected = tuple(attempt.objections)
    return Judgement(
        *(stage, step, touch, gap, gap_from, tuple(broke), decision, objected, attempt.held),
        attempt.obstacle,
    )


def _keeps_its_place(attempt: AttemptContext) -> bool:
    """Whether it carries out a touch that was claimed: that was in order when it was taken.

    What others have done since without a claim takes no place of it, or it would be made again.
    """
    return attempt.own is not None and attempt.own.touch is not None


def _place(
    attempt: AttemptContext, decision: Decision, *, is_in_order: bool
) -> tuple[AttemptStage, str | None, str | None]:
    """The stage, step and touch whose place it takes."""
    prospect, touch, appointment = attempt.prospect, decision.touch, attempt.prospect.appointment
    attempts = prospect.silence.attempts
    # What was next at its time is known only if nothing was tried since; and before an appointment
    # there is no place to take.
    if attempt.joins is not None:
        return attempt.joins.stage, attempt.joins.step, attempt.joins.touch
    if attempt.held is not None:
        return AttemptStage.EXTRA, None, None
    own = attempt.own
    if own is not None and own.touch is not None:
        return own.stage, own.step, own.touch
    is_on_plan = _is_on_plan(attempt, decision)
    is_placeless = (
        (bool(attempts) and attempts[-1].at > attempt.at)
        or (appointment is not None and attempt.clock < appointment.at and not is_on_plan)
        or _is_again(attempt, decision)
    )
    if is_placeless:
        return AttemptStage.EXTRA, None, None
    if touch is not None and (touch.stage in _REPLACEABLE or (is_on_plan and is_in_order)):
        # On another channel it rings another bell: the touch is still to be made.
        planned = {part.channel for part in touch.parts}
        if touch.stage is Stage.POLITE_EXIT or any(p.channel in planned for p in attempt.parts):
            return AttemptStage(touch.stage.value), touch.step, touch.id
        return AttemptStage.EXTRA, None, None
    if isinstance(decision, Task) and is_in_order and prospect.stage in _OWNERS:
        # An owner's own attempt; unanswered, it is the first spaced one.
        return AttemptStage.SPACED, _next_spaced(prospect, attempt.policy), None
    return AttemptStage.EXTRA, None, None


def _is_on_plan(attempt: AttemptContext, decision: Decision) -> bool:
    """Whether it is made when the touch that is next is due, or may be made already."""
    if isinstance(decision, Wait) and decision.touch is not None and decision.from_ is not None:
        return attempt.clock >= decision.from_
    return isinstance(decision, Due)


def _is_again(attempt: AttemptContext, decision: Decision) -> bool:
    """Whether it follows within minutes after an attempt on the same channel.

    Not where it was claimed before that: the other one came between. And not where a policy plans
    a touch so soon, and it is due on that channel.
    """
    channels = {part.channel for part in attempt.parts}
    if attempt.own is not None or _is_due_on(channels, decision):
        return False
    return any(
        attempt.at - one.at < TOLERANCE and not channels.isdisjoint(p.channel for p in one.parts)
        for one in attempt.before
    )


def _is_due_on(channels: set[Channel], decision: Decision) -> bool:
    touch = decision.touch if isinstance(decision, Due) else None
    return touch is not None and any(part.channel in channels for part in touch.parts)


def _next_spaced(prospect: Prospect, policy: Policy) -> str:
    made = progress(prospect, policy).get(Stage.SPACED, 0)
    for planned in policy.planned_touches:
        if planned.step.stage is AttemptStage.SPACED and planned.position >= made:
            return planned.name
    return f"spaced#{made + 1}"


def _gap(attempt: AttemptContext) -> tuple[Gap | None, int | None]:
    """The gap to the attempt before it, measured now, and that attempt's version."""
    before = attempt.before
    if not before or attempt.calendar is None or attempt.joins is not None:
        return None, None
    gap = attempt.calendar.gap(before[-1].at, attempt.at, attempt.suspended)
    return gap, before[-1].version


# The rules it breaks ------------------------------------------------------------------------------


def _broken(attempt: AttemptContext, phase: Phase) -> list[str]:
    """The invariants of one phase that it breaks."""
    return [
        str(row.id)
        for row in invariants.INVARIANTS
        if row.phase is phase and row.forbids is not None and row.forbids(attempt)
    ]


def _rules_broken(attempt: AttemptContext, decision: Decision) -> list[str]:
    """The rules it breaks, each once; those that count what was made come later."""
    prospect = attempt.prospect
    touch = decision.touch
    planned = {part.channel for part in touch.parts} if touch is not None else set()
    others = [part for part in attempt.parts if part.channel not in planned]
    is_due = isinstance(decision, Due)
    broke = _broken(attempt, Phase.LASTING)
    if attempt.joins is None:
        broke += _off_plan(attempt, decision, others)
    if not is_due:
        broke += _untimely(attempt, decision)
    # What is due has passed the guards, but on its own channels.
    if not is_due or others:
        broke += _guarded(attempt, decision)
    is_in_time = attempt.joins is not None or _is_on_plan(attempt, decision)
    if isinstance(decision, Wait) and not is_in_time and not _weighs(broke, decision):
        broke.append(Rule.PLAN)  # a wait is never in order, whatever delay it is for
    if prospect.response.recorded_at > attempt.known_at:
        # They had spoken, and it was not known: it carried out what was next before that.
        broke = [rule for rule in broke if rule not in _OF_THE_PLAN]
    return [str(rule) for rule in dict.fromkeys(broke)]


def _weighs(broke: list[str], decision: Decision) -> bool:
    """Whether the rules it broke bear on its place, and explain why its touch waits.

    Business hours alone do so only where the touch waits for them: an owner's first attempt, made
    in the evening, begins the outreach all the same.
    """
    is_delayed = any(reason.code == "outside_hours" for reason in decision.reasons)
    return any(rule != Rule.BUSINESS_HOURS or is_delayed for rule in broke)


def _off_plan(attempt: AttemptContext, decision: Decision, others: list[Part]) -> list[str]:
    """The rules of the plan that it breaks, given the parts on ``others`` than its channels."""
    prospect = attempt.prospect
    if _is_again(attempt, decision) and prospect.stage in OUTREACH:
        return [Rule.PLAN]
    if _is_on_plan(attempt, decision) and decision.touch is not None:
        # What was lost since is not planned any more; when it was used it may have been.
        is_other = not all(attempt.was_lost_since(part) for part in others)
        return [Rule.PLAN] if is_other and decision.touch.stage is not Stage.POLITE_EXIT else []
    after_all = _broken(attempt, Phase.PLAN)
    if after_all:
        return after_all
    if isinstance(decision, Stop):
        return [] if prospect.stage is Stage.OPTED_OUT else [Rule.PLAN]
    if isinstance(decision, Close):
        return [Rule.PLAN]
    if isinstance(decision, Wait):
        return [
            reason.rule
            for reason in decision.reasons
            if reason.until is not None
            and reason.until > attempt.clock
            and reason.rule in (Rule.PLAN, Rule.APPOINTMENT, Rule.CONCERN)
        ]
    if prospect.stage is Stage.ENGAGED:
        is_refused = prospect.ending.reopened or prospect.response.intent is Intent.NO
        return [Rule.PLAN] if is_refused else []
    appointment = prospect.appointment
    is_early = appointment is not None and attempt.clock < appointment.at
    return [Rule.APPOINTMENT] if is_early else []


def _untimely(attempt: AttemptContext, decision: Decision) -> list[str]:
    """The rules of time and distance that it breaks."""
    calendar, clock = attempt.calendar, attempt.clock
    if calendar is None:
        return []  # what time it is there is not known; the decision is a task that says so
    broke = _broken(attempt, Phase.TIME)
    if attempt.is_suspended:
        broke.append(Rule.SUSPENDED)
    if calendar.next_waking(clock) != clock:
        broke.append(Rule.QUIET_HOURS)
    if _is_bound_to_hours(attempt, decision, calendar):
        opened = calendar.next_open(clock, preferred_hours(attempt.prospect))
        if opened is None or opened - clock > TOLERANCE:
            broke.append(Rule.BUSINESS_HOURS)
    return broke


def _is_bound_to_hours(attempt: AttemptContext, decision: Decision, time: WorkCalendar) -> bool:
    """Whether business hours apply: to every attempt but those for which a time was agreed.

    The appointment's own steps are; so is what its owner does on its day where no touch is next.
    Another part of a touch belongs to the hour at which that was begun, while its day lasts.
    """
    touch, appointment = decision.touch, attempt.prospect.appointment
    if isinstance(decision, Stop) or attempt.is_exact or attempt.joins is not None:
        return False  # it is over, whatever the hour, or it is the appointment's own
    if touch is not None and touch.stage not in _EXACT:
        return True
    if appointment is None:
        return touch is None
    made, agreed = time.start_of_day(attempt.clock), time.start_of_day(appointment.at)
    return made < agreed if touch is not None else made != agreed


def _guarded(attempt: AttemptContext, decision: Decision) -> list[str]:
    """The guards that would not have let it pass."""
    if not attempt.policy.guards:
        return []
    # In its place, on the channels that were used, which may not be those proposed.
    touch = own = own_touch(attempt.prospect, attempt.parts)
    if decision.touch is not None:
        touch = msgspec.structs.replace(decision.touch, parts=own.parts)
    attempt.objections = objections(
        attempt.prospect, attempt.policy, touch, attempt.clock, attempt.at
    )
    return [name for name, _ in attempt.objections]


def own_touch(prospect: Prospect, parts: Iterable[Part]) -> Touch:
    """Return the touch that an owner's own attempt of these parts is for the guards."""
    asked = tuple(
        TouchPart(part.channel, part.address or "", "", key=part.same or "") for part in parts
    )
    return Touch(f"{prospect.id}:own", prospect.stage, "own", asked)


def objections(
    prospect: Prospect,
    policy: Policy,
    touch: Touch,
    clock: datetime,
    counted_at: datetime | None = None,
) -> list[tuple[str, GuardDelay | Veto]]:
    """Return the guards that object to a touch, by name, with their answers.

    One that gives no valid answer objects too, as rule ``guard``.

    Args:
        prospect: whose touch it is.
        policy: the policy with the guards.
        touch: what would be done.
        clock: when, by the clock.
        counted_at: when it counts as made, if that is another time: limits on attempts go by it.
    """
    answers: list[tuple[str, GuardDelay | Veto]] = []
    for guard in policy.guards:
        if not guard.concerns(touch):
            continue
        at = (counted_at or clock) if guard.attempts_counted else clock
        try:
            answer = guard.ask(prospect, touch, at, calendar_for(prospect, policy))
        except InputError:
            return answers  # what time it is there is not known; the decision is a task
        except GuardFailed as error:
            answers.append((Rule.GUARD, Veto(f"guard {guard.name} failed: {error}")))
            continue
        if isinstance(answer, Veto) or (answer is not None and answer.until > at):
            answers.append((guard.name, answer))
    return answers
