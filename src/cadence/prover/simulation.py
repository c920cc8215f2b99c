"""Playing a policy through: an imagined prospect, driven by the same loop as a real one.

The timetable, the prover's counterexamples and its bounds are rehearsals; so none of them can say
anything that the engine would not do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Final

from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Data,
    Disposition,
    Event,
    GuidelinesAgreed,
    Part,
    ProspectAdded,
)
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.commands import complete_attempt
from cadence.engine.context import DecisionContext
from cadence.engine.decision import Decision, Verdict
from cadence.engine.invariants import contact_points_left
from cadence.engine.loop import advance, decision_for
from cadence.engine.next_touch import next_touch
from cadence.engine.schedule import plan
from cadence.policy.model import PlannedTouch, Policy
from cadence.policy.registry import PolicyRegistry
from cadence.worktime.zone_calendar import SEARCH_DAYS, ZoneCalendar

__all__ = ["ADDRESSES", "MONDAY", "Rehearsal"]

# A plain week without holidays; the appointment is at the first opening of its first business day.
MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
"""When a rehearsal begins, unless it is told otherwise."""

ADDRESSES: Final = {
    Channel.CALL: "+1 555 0100",
    Channel.EMAIL: "somebody@example.com",
    Channel.SMS: "+1 555 0101",
    Channel.MAIL: "1 Example Street",
    Channel.VIDEO_EMAIL: "somebody@video.example.com",
}
"""Where the imagined prospect is reached; in domains and numbers that nobody has."""

_SEARCH: Final = timedelta(days=SEARCH_DAYS)
_HOUR: Final = timedelta(hours=1)


class Rehearsal:
    """One imagined silence under a policy, from its first event on.

    Attributes:
        events: what has happened so far.
        prospect: their fold.
        decision: what comes next, seen at :attr:`now`.
        first: when it begins: the first opening.
    """

    def __init__(
        self,
        policy: Policy,
        channels: Iterable[Channel],
        *,
        appointment: bool,
        guidelines: bool = False,
        around: datetime = MONDAY,
        country: str | None = None,
    ) -> None:
        """Args:
        policy: under which.
        channels: on which the prospect has a contact point.
        appointment: whether it begins with one; otherwise with the owner's own attempt.
        guidelines: whether they agreed to be followed up.
        around: it begins at the first opening after this.
        country: where the prospect is; nowhere in particular.
        """
        self.policy = policy
        self.policies = PolicyRegistry(policy)
        self.calendar = ZoneCalendar("UTC", policy.week, closed=policy.closed)
        self.first = self.calendar.next_open(around) or around
        self.events: list[Event] = []
        self._added = 0
        before = self.first - timedelta(days=1)
        points = tuple(ContactPoint(channel, ADDRESSES[channel]) for channel in channels)
        self.now = before
        self.prospect, self.decision = self._begin(
            ProspectAdded("Somebody", "UTC", country, contact_points=points)
        )
        if guidelines:
            self.record(GuidelinesAgreed(), before)
        if appointment:
            self.record(AppointmentSet(self.first), before)
        self.look(self.first)

    def _begin(self, data: ProspectAdded) -> tuple[Prospect, Decision]:
        event = Event("somebody", 1, self.now, self.now, data)
        self.events.append(event)
        return advance(None, (event,), self.policies, self.now)

    def copy(self) -> Rehearsal:
        """Another that goes on from here by itself."""
        other = copy.copy(self)
        other.events = list(self.events)
        return other

    def seen_by(self, policy: Policy, at: datetime) -> Decision:
        """What another policy would decide at ``at``, after the same events."""
        return next_touch(self.prospect, policy, at)

    def look(self, at: datetime) -> Decision:
        """The decision as seen at ``at``; time never runs back."""
        self.now = max(self.now, at)
        self.decision = decision_for(self.prospect, self.policies, self.now)
        return self.decision

    def record(self, data: Data, at: datetime) -> Decision:
        """Let ``data`` happen at ``at``."""
        self.now = max(self.now, at)
        event = Event("somebody", self.prospect.version + 1, self.now, self.now, data)
        self.events.append(event)
        self.prospect, self.decision = advance(self.prospect, (event,), self.policies, self.now)
        return self.decision

    def imagine(self, data: Data) -> Decision:
        """What would come next if ``data`` happened now; nothing is recorded."""
        event = Event("somebody", self.prospect.version + 1, self.now, self.now, data)
        return advance(self.prospect, (event,), self.policies, self.now)[1]

    def wait(self) -> Decision:
        """Let the time pass for which the decision waits."""
        if self.decision.verdict is Verdict.WAIT and self.decision.at is not None:
            self.look(self.decision.at)
        return self.decision

    def leave_lying(self) -> Decision:
        """Let the time pass until only the polite exit is left: beyond the horizon."""
        attempts = self.prospect.silence.attempts
        begun = attempts[0].at if attempts else self.first
        behind = self.policy.horizon_business_days + 1
        day = self.calendar.nth_business_day(self.calendar.day(begun), behind)
        return self.look(self.calendar.at(day, 0))

    def make(self, *, wrong: AbstractSet[Channel] = frozenset()) -> Decision:
        """Make the touch that is next, when it is due, and meet silence.

        A polite exit by call is left on the voicemail: it is delivered.

        Args:
            wrong: the contact points used on these channels turn out to be wrong.
        """
        self.wait()
        touch = self.decision.touch
        if self.decision.verdict is not Verdict.DUE or touch is None:
            return self.decision
        exit_ = touch.stage is Stage.POLITE_EXIT
        parts = tuple(
            _failed(p.channel, p.address)
            if p.channel in wrong
            else _unanswered(p.channel, p.address, delivered=exit_)
            for p in touch.parts
        )
        return self.attempt(parts)

    def own_attempt(self, *channels: Channel, wrong: bool = False) -> Decision:
        """An attempt of the owner's own, on ``channels``, at the first hour that no rule forbids.

        Where none is found within 30 days it is not made.

        Args:
            channels: each used at its first contact point.
            wrong: those contact points turn out to be wrong.
        """
        part = _failed if wrong else _unanswered
        parts = tuple(part(channel, ADDRESSES[channel]) for channel in channels)
        at: datetime | None = self.now
        while at is not None and at - self.now < _SEARCH:
            made = complete_attempt(self.prospect, AttemptMade(parts), self.policy, at)
            if not made.broke:
                return self.record(made, at)
            at = self.calendar.next_open(at + _HOUR)
        return self.decision

    def attempt(self, parts: tuple[Part, ...]) -> Decision:
        """Make an attempt now, judged by the engine."""
        made = complete_attempt(self.prospect, AttemptMade(parts), self.policy, self.now)
        return self.record(made, self.now)

    def make_anyway(self, point: PlannedTouch) -> tuple[str, ...]:
        """Make ``point`` as the file has it, whatever the charter says; the rules it broke."""
        left = dict(contact_points_left(self.prospect))
        used = [
            next((channel for channel in part.channels if channel in left), None)
            for part in point.parts
        ]
        parts = tuple(_unanswered(c, left[c]) for c in dict.fromkeys(used) if c is not None)
        if not parts:
            return ()
        if point.after is not None:
            case = DecisionContext(self.prospect, self.policy, self.now)
            self.now = max(self.now, plan(case, point, None, None, None).at)
        self.attempt(parts)
        made = self.events[-1].data
        assert isinstance(made, AttemptMade)  # attempt() recorded it
        return made.broke

    def lose(self, channel: Channel) -> Decision:
        """Learn that every contact point of ``channel`` is wrong."""
        for point in contact_points_left(self.prospect):
            if point[0] is channel:
                self.record(ContactPointFailed(*point), self.now)
        return self.decision

    def gain(self, channel: Channel) -> Decision:
        """Learn of a new contact point of ``channel``."""
        self._added += 1
        return self.record(ContactPointAdded(channel, f"{channel}-{self._added}"), self.now)

    @property
    def business_day(self) -> int:
        """How many business days after the first day it is."""
        zero = self.calendar.day(self.first)
        return self.calendar.business_days(zero, self.calendar.day(self.now))


def _unanswered(channel: Channel, address: str, *, delivered: bool = False) -> Part:
    how = Disposition.SENT
    if channel is Channel.CALL:
        how = Disposition.VOICEMAIL_LEFT if delivered else Disposition.NO_ANSWER
    return Part(channel, how, address)


def _failed(channel: Channel, address: str) -> Part:
    call = channel is Channel.CALL
    return Part(channel, Disposition.WRONG_NUMBER if call else Disposition.BOUNCED, address)
