"""A prospect's file as the audit reads it: a second reading of sections 3 to 6 of the design.

It shares nothing with ``core.evolve``, ``policy.next_touch`` or the charter's functions: a mistake
in those must not hide itself here. It keeps what the rules ask for, and beside every fact when it
was recorded, because an attempt is judged by what was known when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from cadence.audit.plan import Plan
from cadence.audit.records import (
    BEYOND,
    ENDED,
    ENDS,
    EXIT,
    SPACED,
    Appointed,
    Known,
    Made,
    Phase,
)
from cadence.domain.events import (
    DELIVERED,
    Channel,
    EndReason,
    Event,
    Intent,
    Part,
    PolicyRef,
)
from cadence.domain.prospect import Suspension
from cadence.worktime.calendar import (
    SuspendedTime,
    WorkCalendar,
    ZoneCalendar,
)

__all__ = ["File"]

_HALF_DAY: Final = 3
_MINUTE: Final = timedelta(minutes=1)
_RECENT: Final = timedelta(days=90)


class File:
    """What is known of one prospect, event by event, in order of version."""

    __slots__ = (
        "_suspended",
        "appointment",
        "attempts",
        "by_conversation",
        "by_pause",
        "calendar",
        "country",
        "deal",
        "default",
        "earlier",
        "ended",
        "failed",
        "guidelines",
        "highest",
        "intent",
        "kept",
        "largest_days",
        "largest_minutes",
        "next_place",
        "not_before",
        "opted_out",
        "opted_out_at",
        "opted_out_of_all",
        "pause_until",
        "phase",
        "place_counts",
        "plan",
        "plans",
        "points",
        "preferred_channel",
        "preferred_hours",
        "prospect",
        "reach",
        "reachable",
        "recorded",
        "reopened",
        "silence",
        "since",
        "spaced_calls",
        "subdivision",
        "suspensions",
        "time",
        "waiting",
        "zones",
    )

    def __init__(self, first: Event, plan: Plan, plans: Mapping[str, Plan]) -> None:
        """Args:
        first: the first event.
        plan: what the prospect is under until the history says otherwise.
        plans: every plan at hand, by the policy's digest.
        """
        self.prospect = first.prospect
        self.default = self.plan = plan
        self.plans = plans
        self.phase: int = Phase.NEW
        self.zones: tuple[str, ...] = ("UTC",)
        self.country: str | None = None
        self.subdivision: str | None = None
        self.points: list[tuple[Channel, str]] = []
        self.failed: dict[tuple[Channel, str], Known] = {}
        self.opted_out: dict[Channel, Known] = {}
        self.opted_out_of_all: Known | None = None
        self.opted_out_at: datetime | None = None
        self.preferred_channel: Channel | None = None
        self.preferred_hours: str | None = None
        # The running silence.
        self.since = first.occurred_at
        self.silence = Known(first.occurred_at, first.recorded_at, first.version)
        self.intent: Intent | None = None
        self.by_pause = self.by_conversation = False
        self.attempts: list[Made] = []
        # Attempts of other silences, while a cap on frequency may still count them.
        self.earlier: list[Made] = []
        self.guidelines: Known | None = None
        self.spaced_calls = 0
        self.reach = 0
        self.highest = 0
        self.place_counts = [0] * 8
        self.largest_days = 0
        self.largest_minutes = 0
        self.next_place = -1
        self.suspensions: list[tuple[Suspension, datetime]] = []
        self.pause_until: datetime | None = None
        self.appointment: Appointed | None = None
        self.kept: Appointed | None = None
        self.not_before: datetime | None = None
        # Ends.
        self.deal: int | None = None
        self.ended: Known | None = None
        self.reopened: Known | None = None
        self.waiting = 0
        self.reachable: set[Channel] = set()
        self.time: WorkCalendar | None = None
        self.calendar: ZoneCalendar | None = None
        self._suspended: tuple[SuspendedTime, ...] | None = None

    # Time -----------------------------------------------------------------------------------------

    def moved(self) -> None:
        """The place or the calendar has changed.

        ``time`` is the prospect's business time, ``None`` where nobody knows the place;
        ``calendar`` the only calendar in it, ``None`` with several candidate zones.
        """
        time = self.time = self.plan.time(self.zones, self.country, self.subdivision)
        one = time is not None and len(time.calendars) == 1
        self.calendar = time.calendars[0] if one and time is not None else None
        self._suspended = None

    @property
    def suspended(self) -> tuple[SuspendedTime, ...] | None:
        """The suspensions of the silence, as each calendar counts them."""
        if not self.suspensions or self.time is None:
            return None
        if self._suspended is None:
            self._suspended = self.time.suspended(tuple(one for one, _ in self.suspensions))
        return self._suspended

    def gap(self, before: Made, at: datetime, day: int) -> tuple[int, int]:
        """The gap from ``before`` to ``at``, which is on the local ``day``: days, or minutes."""
        calendar = self.calendar
        if calendar is not None and not self.suspensions and before.time is self.time:
            days = calendar.business_days(before.day, day)
            if days:
                return days, 0
            return 0, max(0, (at - before.at) // _MINUTE)
        if self.time is None:
            return 0, 0
        gap = self.time.gap(before.at, at, self.suspended)
        return gap.business_days, gap.minutes

    # Whom we can reach ----------------------------------------------------------------------------

    def points_left(self) -> list[tuple[Channel, str]]:
        """The contact points that may still be used."""
        if self.phase == Phase.OPTED_OUT:
            return []
        return [
            point
            for point in self.points
            if point not in self.failed and point[0] not in self.opted_out
        ]

    def points_changed(self) -> None:
        """A contact point was added, failed, or was opted out of."""
        self.reachable = {channel for channel, _ in self.points_left()}

    def fail(self, part: Channel, address: str | None, event: Event) -> None:
        """A contact point failed; without an address the first of the channel that was left."""
        if address is None:
            for point in self.points:
                if point[0] is part and point not in self.failed:
                    address = point[1]
                    break
            else:
                return
        known = Known(event.occurred_at, event.recorded_at, event.version)
        self.failed.setdefault((part, address), known)
        self.points_changed()

    # The polite exit ------------------------------------------------------------------------------

    def exits(self) -> list[Made]:
        """The polite exits with no other outreach after them, the last first."""
        found: list[Made] = []
        for made in reversed(self.attempts):
            if made.rank == EXIT:
                found.append(made)
            elif made.rank:
                break
        return found

    def tried(self) -> set[tuple[Channel, str]]:
        """The contact points on which the polite exit was tried."""
        return {(part.channel, part.address or "") for one in self.exits() for part in one.parts}

    def delivered_exit(self) -> tuple[Made, list[Channel]] | None:
        """The last exit that reached them and has not bounced since, and on which channels."""
        for made in self.exits():
            channels = [part.channel for part in made.parts if self._delivered(part)]
            if channels:
                return made, channels
        return None

    def _delivered(self, part: Part) -> bool:
        if part.disposition not in DELIVERED:
            return False
        if part.address is not None:
            return (part.channel, part.address) not in self.failed
        return all(channel is not part.channel for channel, _ in self.failed)

    # What events change ---------------------------------------------------------------------------

    def response(
        self,
        event: Event,
        *,
        intent: Intent | None = None,
        pause_until: datetime | None = None,
        conversation: bool = False,
    ) -> bool:
        """They said something: the silence is over, unless a later contact is known."""
        at = event.occurred_at
        if at < self.since:
            return False
        appointment = self.appointment
        if appointment is not None and appointment.at <= at:
            appointment = self.appointment = None
        self.since = at
        self.silence = Known(at, event.recorded_at, event.version)
        self.intent = intent
        self.by_pause = pause_until is not None
        self.by_conversation = conversation
        self.pause_until = pause_until
        self.not_before = None
        self.kept = None
        self.reopened = None
        if self.attempts:
            self.remember([made for made in self.attempts if made.at <= at])
            self.attempts = [made for made in self.attempts if made.at > at]
        self.suspensions = [one for one in self.suspensions if one[0].start > at]
        self._suspended = None
        self.waiting = event.version if self.phase in BEYOND else 0
        if self.phase not in BEYOND:
            self.phase = Phase.ENGAGED if appointment is None else Phase.SCHEDULED
            if appointment is None:
                self.deal = None
        self.reach = 0
        self.next_place = -1
        self.recount()
        return True

    def remember(self, attempts: list[Made]) -> None:
        """Keep attempts that are not of the running silence, for as long as a cap may reach."""
        kept = [*self.earlier, *attempts]
        if kept:
            newest = max(made.at for made in kept)
            self.earlier = [made for made in kept if newest - made.at <= _RECENT]

    def suspend(self, suspension: Suspension, recorded: datetime) -> None:
        """Time that counts in no gap has begun, or is to begin."""
        self.suspensions.append((suspension, recorded))
        self.suspensions.sort(key=lambda one: one[0].start)
        self._suspended = None

    def recount(self) -> None:
        """Count the attempts of the silence anew, after some of them changed places."""
        self.spaced_calls = sum(1 for made in self.attempts if made.is_spaced_call)
        self.place_counts = [0] * 8
        self.highest = 0
        for made in self.attempts:
            self.place_counts[made.rank] += 1
            self.highest = max(self.highest, made.rank)
        self.largest_days, self.largest_minutes = self.largest(self.attempts)

    def largest(self, attempts: Iterable[Made]) -> tuple[int, int]:
        """The largest gap since the on-time attempt; what was measured then is kept."""
        largest = (0, 0)
        before: Made | None = None
        for made in attempts:
            if made.rank == 1:
                largest = (0, 0)
            elif before is not None:
                gap = (made.days, made.minutes)
                if made.after != before.version:
                    gap = self.gap(before, made.at, made.day)
                largest = max(largest, gap)
            before = made
        return largest

    def made(self, made: Made) -> None:
        """An attempt of this silence that ended in no conversation."""
        rank, at = made.rank, made.at
        phase = self.phase
        if rank and not self.reopened:
            if phase == Phase.SCHEDULED or phase == Phase.OUTREACH:
                self.phase = Phase.OUTREACH
                if rank > self.reach:
                    self.reach = rank
            elif phase in (Phase.NEW, Phase.ENGAGED) and rank > _HALF_DAY:
                self.phase, self.reach = Phase.OUTREACH, rank
        if self.appointment is not None and self.phase != Phase.SCHEDULED:
            if self.appointment.at <= at:
                self.kept, self.appointment = self.appointment, None
        attempts = self.attempts
        late = bool(attempts) and attempts[-1].at > at
        if late:
            position = len(attempts)
            while position and attempts[position - 1].at > at:
                position -= 1
            attempts.insert(position, made)
            self.recount()
        else:
            attempts.append(made)
            self.place_counts[rank] += 1
            if rank > self.highest:
                self.highest = rank
            if made.has_call and (rank == 0 or rank == SPACED):
                self.spaced_calls += 1
            if rank == 1:
                self.largest_days = self.largest_minutes = 0
            elif made.days > self.largest_days:
                self.largest_days, self.largest_minutes = made.days, made.minutes
            elif made.days == self.largest_days and made.minutes > self.largest_minutes:
                self.largest_minutes = made.minutes
        if rank:
            self.not_before = None
            if self.phase != Phase.SCHEDULED and self.phase != Phase.ENGAGED:
                self.pause_until = None

    def opt_out(self, channel: Channel | None, event: Event) -> None:
        """They want no more of a channel, or of us; it holds from its recording."""
        known = Known(event.occurred_at, event.recorded_at, event.version)
        if self.opted_out_at is None or self.opted_out_at < event.occurred_at:
            self.opted_out_at = event.occurred_at
        for one in Channel if channel is None else (channel,):
            self.opted_out.setdefault(one, known)
        mine = {point[0] for point in self.points} or set(Channel)
        if channel is not None and not mine <= self.opted_out.keys():
            self.points_changed()
            return
        if self.opted_out_of_all is None:
            self.opted_out_of_all = known
        self.phase = Phase.OPTED_OUT
        self.points_changed()
        self.appointment = self.kept = self.pause_until = None
        self.reopened = None
        self.waiting = 0

    def opt_in(self, channel: Channel | None, event: Event) -> None:
        """They take an opt-out back; one that they said before the last opt-out lifts nothing."""
        was_out = self.phase == Phase.OPTED_OUT
        if self.opted_out_at is not None and event.occurred_at < self.opted_out_at:
            self.response(event)
            if was_out:
                self.waiting = event.version
            return
        for one in tuple(self.opted_out) if channel is None else (channel,):
            self.opted_out.pop(one, None)
        if not was_out:
            self.points_changed()
            self.response(event)
            return
        self.opted_out_of_all = None
        self.phase = self.deal if self.deal in (Phase.WON, Phase.LOST) else Phase.ENGAGED
        self.points_changed()
        self.response(event)
        self.waiting = 0

    def end(self, reason: EndReason, event: Event) -> None:
        """The file is ended; of won and lost the first counts."""
        self.waiting = 0
        ended = ENDS[reason]
        if self.phase not in ENDED:
            self.ended = Known(event.occurred_at, event.recorded_at, event.version)
        if self.deal is None or self.deal == Phase.CLOSED:
            self.deal = ended
        if self.phase not in BEYOND:
            self.phase = ended
        self.appointment = self.pause_until = None
        self.reopened = None

    def reopen(self, event: Event) -> None:
        """An ended file is taken up again; outreach waits for a contact."""
        if self.phase in ENDED:
            self.phase = Phase.ENGAGED
            self.deal = None
            self.waiting = 0
            self.reopened = Known(event.occurred_at, event.recorded_at, event.version)

    def under(self, ref: PolicyRef) -> None:
        """The history names a policy; of one that is not at hand nothing but the name is known."""
        plan = self.plans.get(ref.digest) or self.default.unknown(ref)
        if plan is not self.plan:
            other = (plan.week, plan.closed) != (self.plan.week, self.plan.closed)
            self.plan = plan
            self.next_place = -1
            if other:
                self.moved()
