"""Play a policy: an imagined prospect, driven through the engine like a real one.

The timetable, the counterexamples of the prover and its comparison of policies are simulations, so
none of them can show anything that the engine would not do. A path that the prover found among its
states counts only if :func:`replay_path` can follow it here: where the engine decides otherwise,
the states are too coarse and the engine is right. Its owner has something of value for every
nurture touch: a policy is judged by what it does where it may go on.
"""

from __future__ import annotations

import copy
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from cadence.domain.channels import (
    CALL,
    EMAIL,
    MAIL,
    SMS,
    VIDEO_EMAIL,
    AddressKind,
    Channel,
    in_order,
)
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Data,
    Disposition,
    Event,
    GuidelinesAgreed,
    Part,
    PauseRequested,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage, rank
from cadence.engine.channels import parts_on
from cadence.engine.commands import complete_attempt
from cadence.engine.context import DecisionContext
from cadence.engine.decision import Decision, Due, Task, Wait
from cadence.engine.invariants import contact_points_left
from cadence.engine.judgement import objections, own_touch
from cadence.engine.next_touch import what_is_planned
from cadence.engine.schedule import plan
from cadence.policy.model import PlannedTouch, Policy
from cadence.policy.registry import PolicyRegistry
from cadence.prover.search import ExactPath
from cadence.prover.state_space import Beginning, Start, Step
from cadence.worktime.zone_calendar import SEARCH_DAYS, ZoneCalendar

__all__ = [
    "EXAMPLES",
    "MONDAY",
    "Scenario",
    "Simulation",
    "beginnings",
    "history_naming",
    "replay_path",
]

# A plain week without holidays; the appointment is at the first opening of its first business day.
MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""When a simulation begins, unless it is told otherwise."""

EXAMPLES: Final[dict[Channel, str]] = {
    CALL: "+1 212 555 0100",
    EMAIL: "somebody@example.com",
    SMS: "+1 212 555 0101",
    MAIL: "1 Example Street",
    VIDEO_EMAIL: "somebody@video.example.com",
}
"""The addresses of the imagined prospect, in domains and numbers that are reserved for examples."""

_OF_KIND: Final = {
    AddressKind.PHONE: "+1 212 555 01{:02}",
    AddressKind.EMAIL: "somebody@{}.example.com",
    AddressKind.POST: "{} Example Street",
    AddressKind.HANDLE: "somebody-{}",
}

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_HOUR: Final = timedelta(hours=1)


class Scenario(NamedTuple):
    """How an imagined silence begins.

    Attributes:
        channels: those on which the prospect has a contact point.
        beginning: with what it begins.
        guidelines: whether they agreed to be followed up.
        around: it begins at the first opening after this.
        country: where they are; without one there are no holidays of their own.
    """

    channels: AbstractSet[Channel]
    beginning: Beginning
    guidelines: bool = False
    around: datetime = MONDAY
    country: str | None = None


def beginnings(policy: Policy) -> tuple[Beginning, ...]:
    """Return how silences under ``policy`` begin; the plan's own way first."""
    touches = policy.planned_touches
    has_appointment = bool(touches) and touches[0].step.at is not None
    found = (Beginning.APPOINTMENT, Beginning.OWN) if has_appointment else (Beginning.OWN,)
    # After a pause the plan goes on with the spaced touches; without any it is for the owner.
    goes_on = any(rank(touch.stage) >= rank(Stage.SPACED) for touch in touches)
    return (*found, Beginning.PAUSE) if goes_on else found


class Simulation:
    """One imagined silence under a policy, from its first event on.

    Attributes:
        policy: under which.
        events: what has happened so far.
        prospect: their fold.
        now: when it is looked at; it never runs back.
        first: when it begins: the first opening.
    """

    def __init__(self, policy: Policy, scenario: Scenario) -> None:
        self.policy = policy
        self.policies = PolicyRegistry(policy)
        self.calendar = ZoneCalendar(
            "UTC",
            msgspec.structs.replace(policy.open_times, regions=()),
            None if scenario.country is None else (scenario.country, None),
        )
        self.first = self.calendar.next_open(scenario.around) or scenario.around
        self._found = 0
        known = [channel for channel in policy.traits if channel in scenario.channels]
        known += sorted(scenario.channels - policy.traits.keys())
        points = tuple(ContactPoint(channel, _example(channel, policy)) for channel in known)
        added = ProspectAdded("Somebody", "UTC", scenario.country, contact_points=points)
        self.now = before = self.first - timedelta(days=1)
        self.events = [Event("somebody", 1, before, before, added)]
        self.prospect = _folded(None, self.events[0])
        self._decision: Decision | None = None
        if scenario.guidelines:
            self.record(GuidelinesAgreed(), before)
        if scenario.beginning is Beginning.APPOINTMENT:
            self.record(AppointmentSet(self.first), before)
        self.now = self.first
        if scenario.beginning is Beginning.OWN and known:
            self.make_own_attempt(known[0])
        elif scenario.beginning is Beginning.PAUSE:
            self.record(PauseRequested(self.now + timedelta(days=1)), self.now)

    def copy(self) -> Simulation:
        """Return another that goes on from here by itself."""
        other = copy.copy(self)
        other.events = list(self.events)
        return other

    # Looking --------------------------------------------------------------------------------------

    @property
    def decision(self) -> Decision:
        """What comes next, seen at :attr:`now`, without reasons."""
        if self._decision is None:
            self._decision = what_is_planned(self.prospect, self.policy, self.now)
        return self._decision

    def explain(self) -> Decision:
        """Return the same with reasons."""
        return what_is_planned(self.prospect, self.policy, self.now, explains=True)

    def decide_under(self, policy: Policy, at: datetime) -> Decision:
        """Return what another policy decides at ``at`` after the same events, without reasons."""
        return what_is_planned(self.prospect, policy, at)

    def decide_after(self, data: Data) -> Decision:
        """Return what would come next if ``data`` happened now; nothing is recorded."""
        after = _folded(self.prospect, self._event(data))
        return what_is_planned(after, self.policy, self.now)

    def names(self, rule: str) -> bool:
        """Whether a reason of the decision is of ``rule``."""
        return any(reason.rule == rule for reason in self.explain().reasons)

    def _event(self, data: Data) -> Event:
        return Event("somebody", self.prospect.version + 1, self.now, self.now, data)

    def business_day(self, at: datetime | None = None) -> int:
        """Return how many business days after the first day it is, or was at ``at``."""
        zero = self.calendar.day(self.first)
        return self.calendar.business_days(zero, self.calendar.day(at or self.now))

    # Letting time pass ----------------------------------------------------------------------------

    def look(self, at: datetime) -> Decision:
        """Look at the decision at ``at``, or now where that is later."""
        self.now = max(self.now, at)
        self._decision = None
        return self.decision

    def wait(self) -> Decision:
        """Let the time pass for which the decision waits."""
        decision = self.decision
        return self.look(decision.at) if isinstance(decision, Wait) else decision

    def leave(self) -> Decision:
        """Let the time pass until only the polite exit is left: beyond the horizon."""
        attempts = self.prospect.silence.attempts
        begun = attempts[0].at if attempts else self.first
        behind = self.policy.horizon_business_days + 1
        day = self.calendar.nth_business_day(self.calendar.day(begun), behind)
        return self.look(self.calendar.at(day, 0))

    # Letting things happen ------------------------------------------------------------------------

    def record(self, data: Data, at: datetime) -> None:
        """Let ``data`` happen at ``at``, or now where that is later."""
        self.now = max(self.now, at)
        event = self._event(data)
        self.events.append(event)
        self.prospect, self._decision = _folded(self.prospect, event), None

    def make(self, *, wrong: AbstractSet[Channel] = frozenset()) -> None:
        """Make the touch that is next, when it is due; the prospect does not answer.

        A polite exit by call is left on the voicemail: it is delivered.

        Args:
            wrong: the contact points used on these channels turn out to be wrong.
        """
        decision = self.wait()
        if not isinstance(decision, Due):
            return
        touch = decision.touch
        delivered = touch.stage is Stage.POLITE_EXIT
        parts = tuple(
            self._failed(part.channel, part.address)
            if part.channel in wrong
            else self._unanswered(part.channel, part.address, delivered=delivered)
            for part in touch.parts
        )
        self.make_attempt(parts)

    def make_own_attempt(self, *channels: Channel, is_wrong: bool = False) -> None:
        """Make an attempt of the owner's own at the first hour that no rule forbids.

        Where none is found within 30 days it is not made.

        Args:
            channels: each used at its first contact point.
            is_wrong: those contact points turn out to be wrong.
        """
        part = self._failed if is_wrong else self._unanswered
        parts = tuple(part(channel, _example(channel, self.policy)) for channel in channels)
        own = own_touch(self.prospect, parts)
        at: datetime | None = self.now
        while at is not None and at - self.now < _SEARCH:
            # Asked first: the guards alone cost a fiftieth of what the whole judgement does.
            if not objections(self.prospect, self.policy, own, at):
                made = complete_attempt(self.prospect, AttemptMade(parts), self.policy, at)
                if not made.broke:
                    self.record(made, at)
                    return
            at = self.calendar.next_open(at + _HOUR)

    def make_attempt(self, parts: tuple[Part, ...]) -> tuple[str, ...]:
        """Make an attempt now; return the rules that the engine says it breaks."""
        made = complete_attempt(self.prospect, AttemptMade(parts), self.policy, self.now)
        used = None if made.stage is None else self.prospect.value_used(made.stage)
        if used is not None:
            made = msgspec.structs.replace(made, value=used)
        self.record(made, self.now)
        return made.broke

    def make_off_plan(self, touch: PlannedTouch) -> tuple[str, ...]:
        """Make ``touch`` as its file has it, whatever stops it; return the rules this breaks."""
        left = contact_points_left(self.prospect)
        chosen = parts_on(self.prospect, touch.parts, left, most=len(touch.parts))
        parts = tuple(self._unanswered(part.channel, part.address) for part in chosen)
        if not parts:
            return ()
        if touch.after is not None:
            context = DecisionContext(self.prospect, self.policy, self.now)
            self.look(plan(context, touch, None, None, None).at)
        return self.make_attempt(parts)

    def lose(self, channel: Channel) -> None:
        """Learn that every contact point of ``channel`` is wrong."""
        for point in contact_points_left(self.prospect):
            if point.channel == channel:
                self.record(ContactPointFailed(channel, point.address), self.now)

    def find(self, channel: Channel) -> None:
        """Learn of a new contact point of ``channel``."""
        self._found += 1
        # One that can be read: a counterexample is a history that can be imported.
        kind = self.policy.traits[channel].address
        address = _OF_KIND[kind].format(20 + self._found)
        self.record(ContactPointAdded(channel, address), self.now)

    def _unanswered(self, channel: Channel, address: str, *, delivered: bool = False) -> Part:
        how = Disposition.SENT
        if channel in self.policy.spoken:
            how = Disposition.VOICEMAIL_LEFT if delivered else Disposition.NO_ANSWER
        return Part(channel, how, address)

    def _failed(self, channel: Channel, address: str) -> Part:
        is_phone = channel in self.policy.spoken
        how = Disposition.WRONG_NUMBER if is_phone else Disposition.BOUNCED
        return Part(channel, how, address)


def _example(channel: Channel, policy: Policy) -> str:
    """Return the imagined prospect's address on a channel; each channel has its own."""
    known = EXAMPLES.get(channel)
    if known is not None:
        return known
    traits = policy.traits.get(channel)
    kind = AddressKind.HANDLE if traits is None else traits.address
    number = list(policy.traits).index(channel) if traits is not None else 99
    return _OF_KIND[kind].format(number)


def _folded(before: Prospect | None, event: Event) -> Prospect:
    folded = fold(before, (event,))
    if folded is None:
        raise ValueError(f"no prospect after {event}")
    return folded


# Paths of the prover ------------------------------------------------------------------------------


def replay_path(
    policy: Policy, path: ExactPath[Any], rule: str, country: str | None = None
) -> Simulation | None:
    """Follow a path, or as far as the engine names ``rule``, which may be sooner.

    Args:
        policy: under which.
        path: of a silence.
        rule: looked for all along.
        country: of the prospect.

    Returns:
        ``None``: the engine proposes something else on the way.
    """
    start, *steps = path.moves
    if not isinstance(start, Start):
        return None
    beginning = Beginning.ADDED if start.on is not None else start.beginning
    guidelines = start.state.counts.guidelines
    scenario = Scenario(start.channels, beginning, guidelines, country=country)
    simulation = Simulation(policy, scenario)
    if start.on is not None:
        simulation.make_own_attempt(start.on, is_wrong=start.is_wrong)
    for step in steps:
        if simulation.names(rule):
            break
        if isinstance(step, Step) and not _replay_step(simulation, step):
            return None
    return simulation


def _replay_step(simulation: Simulation, step: Step) -> bool:
    """Let ``step`` happen; return whether the engine agrees that it is next."""
    touch, channels = step.touch, in_order(step.channels)
    if step.kind == "late":
        if isinstance(simulation.leave(), Task):
            # A history ends with an event, and an address more changes nothing.
            simulation.find(channels[0])
    elif step.kind == "lost":
        for channel in channels:
            simulation.lose(channel)
    elif step.kind == "found":
        for channel in channels:
            simulation.find(channel)
    elif touch is not None and step.kind in ("made", "failed", "lapsed"):
        return _replay_touch(simulation, step, touch)
    return True


def _replay_touch(simulation: Simulation, step: Step, touch: PlannedTouch) -> bool:
    """Make ``touch`` or let it lapse; return whether the engine proposes it."""
    proposed = simulation.wait().touch
    is_next = proposed is not None and proposed.step == touch.name
    if step.kind == "lapsed":
        if is_next and touch.step.within is not None:
            minutes = touch.step.within.minutes + 1
            simulation.look(simulation.now + timedelta(minutes=minutes))
        return True
    if not is_next or not isinstance(simulation.decision, Due):
        return False
    simulation.make(wrong=step.channels if step.kind == "failed" else frozenset())
    return True


def history_naming(
    policy: Policy,
    path: ExactPath[Any],
    rule: str,
    touch: PlannedTouch | None = None,
    country: str | None = None,
) -> tuple[Event, ...]:
    """Follow a path, and look whether the engine names ``rule`` at its end or sooner.

    Args:
        policy: under which.
        path: of a silence.
        rule: looked for all along.
        touch: the touch that it is about. If it can be made in spite of the rule, the history ends
            with that attempt, which the engine has marked as breaking it.
        country: of the prospect, where its weekend matters.

    Returns:
        The history; empty where the engine names no such rule.
    """
    simulation = replay_path(policy, path, rule, country)
    if simulation is None or not simulation.names(rule):
        return ()
    events = tuple(simulation.events)
    if touch is not None and rule in simulation.make_off_plan(touch):
        return tuple(simulation.events)
    return events
