"""What the audit knows of one prospect: a reading of the events that is independent of the fold.

This module follows ``docs/design.md``, sections 3 to 6, by code of its own. It imports neither
``domain.fold`` nor ``engine``: a mistake there can't hide itself here. Shared are the events, the
policy as data, and the calendars of ``worktime``.

The invariants ask for little: contact points and opt-outs, the attempts of the running silence,
suspended time, the appointment, and how the follow-up ended. Each fact keeps when it happened and
when we learnt of it, because an attempt is judged by what was known when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.audit.contact_record import ContactRecord, RecordedFact
from cadence.domain.channels import Channel
from cadence.domain.events import (
    DELIVERED,
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    EndReason,
    Event,
    Intent,
    OptOutRequested,
    Part,
    PolicyRef,
)
from cadence.domain.prospect import Suspension
from cadence.domain.words import NOWHERE, Elsewhere
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.worktime.calendar import WorkCalendar, work_calendar
from cadence.worktime.suspensions import SuspendedTime
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = [
    "ENDED",
    "FAILING",
    "NO_STAGE",
    "RANK",
    "AgreedAppointment",
    "AttemptRecord",
    "AuditState",
    "Phase",
    "RecordedFact",
]

RANK: Final[dict[AttemptStage | None, int]] = {
    None: 0,
    AttemptStage.EXTRA: 0,
    AttemptStage.ON_TIME: 1,
    AttemptStage.TEN_MINUTES: 2,
    AttemptStage.HALF_DAY: 3,
    AttemptStage.SPACED: 4,
    AttemptStage.CONCERN: 5,
    AttemptStage.NURTURE: 6,
    AttemptStage.POLITE_EXIT: 7,
}
"""How far along outreach is at each stage (design, section 5); 0 for an extra."""

NO_STAGE: Final = RANK[None]
_ON_TIME: Final = RANK[AttemptStage.ON_TIME]
_HALF_DAY: Final = RANK[AttemptStage.HALF_DAY]
_SPACED: Final = RANK[AttemptStage.SPACED]
_EXIT: Final = RANK[AttemptStage.POLITE_EXIT]
_MINUTE: Final = timedelta(minutes=1)
FAILING: Final = (Disposition.WRONG_NUMBER, Disposition.BOUNCED)
"""After one of these the contact point is never used again."""

# Looked up once: every stored attempt passes here.
_CONNECTED: Final = Disposition.CONNECTED


class Phase:
    """Where a follow-up stands, as far as the invariants tell it apart.

    Plain numbers: they are compared for every stored event.
    """

    NEW: Final = 0
    SCHEDULED: Final = 1
    OUTREACH: Final = 2
    ENGAGED: Final = 3
    CLOSED: Final = 4
    WON: Final = 5
    LOST: Final = 6
    OPTED_OUT: Final = 7
    MERGED: Final = 8


ENDED: Final = (Phase.CLOSED, Phase.WON, Phase.LOST)
# A response does not lead out of these (design, section 5): it is kept for the owner.
_FINAL: Final = (Phase.WON, Phase.LOST, Phase.OPTED_OUT, Phase.MERGED)
_PHASE_AFTER: Final = {
    EndReason.BOUGHT: Phase.WON,
    EndReason.DECLINED: Phase.LOST,
    EndReason.DISQUALIFIED: Phase.LOST,
    EndReason.DECEASED: Phase.LOST,
    EndReason.NO_RESPONSE: Phase.CLOSED,
    EndReason.UNREACHABLE: Phase.CLOSED,
    EndReason.MISTAKEN: Phase.CLOSED,
    EndReason.MERGED: Phase.MERGED,
}


class AgreedAppointment(NamedTuple):
    """The time of an appointment, and the fact that it was agreed."""

    at: datetime
    agreed: RecordedFact


class AttemptRecord:
    """An attempt, as it was recorded.

    Attributes:
        clock, at: when, as the clock showed and as it counts; they differ where a clock was wrong.
        has_call: a call is among its parts.
        is_answered: it ended in a conversation.
        has_failed: it found a contact point to be dead.
        day: local date (its ordinal) on the prospect's only calendar; 0 with several candidate
            zones.
        second: local time of day by the clock, on the same.
        time: the calendar that ``day`` was read on.
        days, minutes: the gap to the attempt with version ``measured_from``; 0 for none.
        doubt: what is wrong with the gap that the event gives, if anything.
        was_measured_otherwise: that gap counts, and is another than would be measured today.
    """

    __slots__ = (
        "at",
        "clock",
        "day",
        "days",
        "doubt",
        "has_call",
        "has_failed",
        "is_answered",
        "measured_from",
        "minutes",
        "parts",
        "rank",
        "second",
        "time",
        "touch",
        "version",
        "was_measured_otherwise",
    )

    def __init__(
        self,
        event: Event,
        clock: datetime,
        stage: AttemptStage | None,
        parts: tuple[Part, ...],
        time: WorkCalendar | None,
        calendar: ZoneCalendar | None,
    ) -> None:
        self.at, self.clock = event.occurred_at, clock
        self.time = time
        self.day = self.second = 0
        if calendar is not None:
            local = self.at.astimezone(calendar.tz)
            self.day = local.toordinal()
            if clock is not event.occurred_at:
                local = clock.astimezone(calendar.tz)
            self.second = local.hour * 3600 + local.minute * 60 + local.second
        self.version = event.version
        self.touch = event.data.touch if isinstance(event.data, AttemptMade) else None
        self.rank = RANK[stage]
        self.parts = parts
        self.has_call = self.is_answered = self.has_failed = False
        for part in parts:
            if part.is_call:
                self.has_call = True
            if part.disposition is _CONNECTED:
                self.is_answered = True
            elif part.disposition in FAILING:
                self.has_failed = True
        self.days = 0
        self.minutes = 0
        self.measured_from = 0
        self.doubt = ""
        self.was_measured_otherwise = False

    def join(self, other: AttemptRecord) -> None:
        """Take over the parts of another record of the same touch."""
        self.parts = (*self.parts, *other.parts)
        self.has_call |= other.has_call
        self.has_failed |= other.has_failed

    @property
    def is_spaced_call(self) -> bool:
        """A spaced call (design, section 3): at ``spaced`` or an extra, with a call in it."""
        return self.has_call and self.rank in (NO_STAGE, _SPACED)


class AuditState:
    """What is known of one prospect, event by event, in order of version.

    Attributes:
        policy: whose calendar counts business days. Of a policy that is not at hand only the name
            is known; then the calendar is that of the default.
        policy_ref: the policy that the history names.
        is_policy_known: whether that is at hand.
        time: the prospect's calendar; ``None`` where the place is unknown.
        calendar: the only zone in it; ``None`` with several candidate zones.
        ended: the end of the follow-up, while it is ended.
        pending_response: version of a response that came after the end, or 0.
        has_spoken: what began the running silence is a response; otherwise they were added.
        is_joined: a response in the running silence was taken back, or a record merged in it.
        merged, merged_gap: the last merge in it, and the largest gap that one of the two had then.
        goes_on: outreach goes on from the attempts before that merge.
    """

    __slots__ = (
        "_default",
        "_policies",
        "appointment",
        "attempts",
        "calendar",
        "clocks",
        "contact",
        "country",
        "elsewhere",
        "ended",
        "goes_on",
        "has_spoken",
        "highest",
        "intent",
        "is_joined",
        "is_policy_known",
        "kept_appointment",
        "largest_gap",
        "lasting_end",
        "merged",
        "merged_gap",
        "opted_out_at",
        "opted_out_of_all",
        "pending_response",
        "phase",
        "policy",
        "policy_ref",
        "prospect",
        "reach",
        "reopened",
        "silence",
        "spaced_calls",
        "subdivision",
        "suspensions",
        "time",
        "zones",
    )

    def __init__(self, first: Event, default: Policy, policies: Mapping[str, Policy]) -> None:
        """Start a history.

        Args:
            first: the first event.
            default: the policy of the prospect until the history names another.
            policies: every policy at hand, by digest.
        """
        self.prospect = first.prospect
        self._default = self.policy = default
        self._policies = policies
        self.policy_ref = default.ref
        self.is_policy_known = True
        self.phase: int = Phase.NEW
        self.zones: tuple[str, ...] = ("UTC",)
        self.country: str | None = None
        self.subdivision: str | None = None
        self.contact = ContactRecord()
        self.clocks: dict[tuple[int, datetime], datetime] = {}
        self.elsewhere: Elsewhere = NOWHERE
        self.opted_out_of_all: RecordedFact | None = None
        self.opted_out_at: datetime | None = None
        # The running silence.
        self.silence = _fact(first)
        self.has_spoken = self.is_joined = False
        self.merged, self.merged_gap, self.goes_on = 0, (0, 0), False
        self.intent: Intent | None = None
        self.attempts: list[AttemptRecord] = []
        self.spaced_calls = 0
        self.reach = 0
        self.highest = 0
        self.largest_gap = (0, 0)
        self.suspensions: list[tuple[Suspension, datetime]] = []
        self.appointment: AgreedAppointment | None = None
        self.kept_appointment: AgreedAppointment | None = None
        # The end.
        self.lasting_end: int | None = None
        self.ended: RecordedFact | None = None
        self.reopened: RecordedFact | None = None
        self.pending_response = 0
        self.time: WorkCalendar | None = None
        self.calendar: ZoneCalendar | None = None
        self.find_calendar()

    # Time (design, section 6) ---------------------------------------------------------------------

    def find_calendar(self) -> None:
        """Find the calendar again: the place or the policy has changed."""
        policy = self.policy
        try:
            time: WorkCalendar | None = work_calendar(
                policy.open_times, self.zones, self.country, self.subdivision
            )
        except InputError:
            time = None
        self.time = time
        self.calendar = None
        if time is not None and len(time.calendars) == 1:
            self.calendar = time.calendars[0]

    def move(
        self,
        timezone: str | tuple[str, ...] | None,
        country: str | None,
        subdivision: str | None,
    ) -> None:
        """Take over what an event says of the place; ``None`` leaves it as it is."""
        if timezone is not None:
            self.zones = (timezone,) if isinstance(timezone, str) else timezone
        if country is not None and country != self.country:
            # A subdivision belongs to its country.
            self.country, self.subdivision = country, None
        if subdivision is not None:
            self.subdivision = subdivision
        self.find_calendar()

    def show(self, instant: datetime) -> str:
        """An instant on the prospect's clock with its zone; in UTC where the place is unknown."""
        local = instant if self.time is None else self.time.local(instant)
        return f"{local:%Y-%m-%d %H:%M} {local.tzinfo}"

    def when(self, at: datetime, version: int) -> str:
        """When something was done or said, as its event says, and by which event.

        Args:
            at: when it counts as done; later than it was where a clock before it was wrong.
            version: its event.
        """
        return f"{self.show(self.clocks.get((version, at), at))} (event {version})"

    @property
    def suspended(self) -> tuple[SuspendedTime, ...] | None:
        """The suspensions of the silence, as each calendar counts them."""
        if not self.suspensions or self.time is None:
            return None
        return self.time.suspended(tuple([one for one, _ in self.suspensions]))

    def suspend(self, suspension: Suspension, recorded: datetime) -> None:
        """Note time that counts neither in gaps nor in answer times."""
        self.suspensions.append((suspension, recorded))
        self.suspensions.sort(key=lambda one: one[0].start)

    def gap(self, before: AttemptRecord, attempt: AttemptRecord) -> tuple[int, int]:
        """The gap between two attempts: business days or, where there are none, minutes."""
        calendar = self.calendar
        if calendar is not None and not self.suspensions and before.time is self.time:
            days = calendar.business_days(before.day, attempt.day)
            if days:
                return days, 0
            return 0, max(0, (attempt.at - before.at) // _MINUTE)
        if self.time is None:
            return 0, 0
        gap = self.time.gap(before.at, attempt.at, self.suspended)
        return gap.business_days, gap.minutes

    def joined(self, attempt: AttemptRecord) -> AttemptRecord | None:
        """Return the last attempt, if this is another part of its touch."""
        last = self.attempts[-1] if self.attempts else None
        if last is None or last.touch is None:
            return None
        if (last.touch, last.rank) != (attempt.touch, attempt.rank):
            return None
        return last if last.at <= attempt.at else None

    # The polite exit ------------------------------------------------------------------------------

    def exits(self) -> list[AttemptRecord]:
        """The polite exits with no other outreach after them, the last first."""
        found: list[AttemptRecord] = []
        for attempt in reversed(self.attempts):
            if attempt.rank == _EXIT:
                found.append(attempt)
            elif attempt.rank and not self.is_joined:
                break
        return found

    def delivered_exit(self) -> tuple[AttemptRecord, list[Channel]] | None:
        """The last exit that was delivered and has not bounced since, and on which channels."""
        for attempt in self.exits():
            channels = [part.channel for part in attempt.parts if self._is_delivered(part)]
            if channels:
                return attempt, channels
        return None

    def _is_delivered(self, part: Part) -> bool:
        if part.disposition not in DELIVERED or not part.same:
            return False
        return self.contact.failure(part.same) is None

    def points_left(self) -> list[ContactPoint]:
        """The contact points that may still be used."""
        return [] if self.phase == Phase.OPTED_OUT else self.contact.left()

    # Silences (design, sections 3 and 5) ----------------------------------------------------------

    def respond(self, event: Event, *, intent: Intent | None = None) -> None:
        """Begin a silence: they said something.

        A response older than the one that began the running silence changes nothing. Attempts made
        after the response, in ignorance of it, belong to the new silence.
        """
        at = event.occurred_at
        if at < self.silence.occurred:
            return
        appointment = self.appointment
        if appointment is not None and appointment.at <= at:
            appointment = self.appointment = None  # only one in the future survives a response
        self.silence = _fact(event)
        self.has_spoken, self.is_joined = True, False
        self.merged, self.merged_gap, self.goes_on = 0, (0, 0), False
        self.intent = intent
        self.kept_appointment = None
        self.reopened = None
        self.attempts = [attempt for attempt in self.attempts if attempt.at > at]
        self.suspensions = [one for one in self.suspensions if one[0].start > at]
        self.pending_response = event.version if self.phase in _FINAL else 0
        if self.phase not in _FINAL:
            self.phase = Phase.ENGAGED if appointment is None else Phase.SCHEDULED
            if appointment is None:
                self.lasting_end = None
        self.reach = 0
        self.recount()

    def agree(self, at: datetime, event: Event) -> None:
        """Set an appointment for ``at``.

        In a silence that has attempts, and after a reopening, they can't have agreed to it, so it
        changes nothing (design, section 5).
        """
        if self.attempts or self.reopened is not None:
            return
        if self.phase in (Phase.NEW, Phase.ENGAGED, Phase.SCHEDULED):
            self.phase = Phase.SCHEDULED
            self.appointment = AgreedAppointment(at, _fact(event))

    def cancel(self) -> None:
        """Cancel the appointment."""
        self.appointment = None
        if self.phase == Phase.SCHEDULED:
            self.phase = Phase.NEW if self.silence.version == 1 else Phase.ENGAGED

    def keep_appointment(self) -> None:
        """Note that the on-time attempt was made."""
        self.kept_appointment, self.appointment = self.appointment, None

    def recount(self) -> None:
        """Count the attempts of the silence again, after some were added in between or removed."""
        self.spaced_calls = sum(1 for attempt in self.attempts if attempt.is_spaced_call)
        self.highest = max((attempt.rank for attempt in self.attempts), default=0)
        self.largest_gap = self.largest(self.attempts)

    def largest(self, attempts: Iterable[AttemptRecord]) -> tuple[int, int]:
        """The largest gap since the on-time attempt, where gaps start again (design, section 6).

        A gap that was measured when the attempt was made is kept. It is measured now only where a
        late fact came between the two attempts.
        """
        largest = self.merged_gap
        before: AttemptRecord | None = None
        for attempt in attempts:
            if not self.is_known(attempt):
                continue  # made before we knew of the response: no gap is kept from there
            if attempt.version <= self.merged:
                pass  # each of the two records kept its own gaps
            elif attempt.rank == _ON_TIME:
                largest = (0, 0)
            elif before is not None:
                gap = (attempt.days, attempt.minutes)
                if attempt.measured_from != before.version:
                    gap = self.gap(before, attempt)
                largest = max(largest, gap)
            before = attempt
        return largest

    def is_known(self, attempt: AttemptRecord) -> bool:
        """Return whether an attempt was made by a record that knew of the silence.

        Up to a merge each of the two was.
        """
        return attempt.version >= self.silence.version or attempt.version <= self.merged

    def is_ordered(self, attempt: AttemptRecord) -> bool:
        """Return whether outreach went on from an attempt.

        Not where one record made it in ignorance of what was said to the other: since the merge the
        owner is to talk to them.
        """
        return attempt.version > self.merged or self.goes_on

    def add_attempt(self, attempt: AttemptRecord) -> None:
        """Add an attempt of this silence that was not answered."""
        rank, at = attempt.rank, attempt.at
        if rank and self.reopened is None:
            self._move_forward(rank)
        appointment = self.appointment
        if appointment is not None and self.phase != Phase.SCHEDULED and appointment.at <= at:
            # Outreach went on past it, without an on-time attempt.
            self.kept_appointment, self.appointment = appointment, None
        attempts = self.attempts
        position = len(attempts)
        while position and attempts[position - 1].at > at:
            position -= 1
        attempts.insert(position, attempt)
        if position < len(attempts) - 1:
            self.recount()  # recorded after later ones
            return
        self.highest = max(self.highest, rank)
        if attempt.is_spaced_call:
            self.spaced_calls += 1
        gap = (attempt.days, attempt.minutes)
        if rank == _ON_TIME:
            self.largest_gap = (0, 0)
        elif gap > self.largest_gap:
            self.largest_gap = gap

    def _move_forward(self, rank: int) -> None:
        if self.phase in (Phase.SCHEDULED, Phase.OUTREACH):
            self.phase = Phase.OUTREACH
            self.reach = max(self.reach, rank)
        elif self.phase in (Phase.NEW, Phase.ENGAGED) and rank > _HALF_DAY:
            self.phase, self.reach = Phase.OUTREACH, rank

    # Opt-outs and ends ----------------------------------------------------------------------------

    def opt_out(self, data: OptOutRequested, event: Event) -> None:
        """Note that they want no more of some channels, or of all.

        Opted out of every channel that they have, one by one, is opted out of all.
        """
        fact = _fact(event)
        if self.opted_out_at is None or self.opted_out_at < event.occurred_at:
            self.opted_out_at = event.occurred_at
        if not self.contact.opt_out(data, event):
            return
        if self.opted_out_of_all is None:
            self.opted_out_of_all = fact
        self.phase = Phase.OPTED_OUT
        self.appointment = self.kept_appointment = None
        self.reopened = None
        self.pending_response = 0

    def opt_in(self, channel: Channel | None, event: Event) -> None:
        """Lift an opt-out; an opt-in older than the last opt-out lifts nothing."""
        was_out = self.phase == Phase.OPTED_OUT
        if self.opted_out_at is not None and event.occurred_at < self.opted_out_at:
            self.respond(event)
            if was_out:
                self.pending_response = event.version
            return
        self.contact.opt_in(channel)
        if was_out:
            self.opted_out_of_all = None
            end = self.lasting_end or Phase.ENGAGED
            self.phase = end if end in (Phase.WON, Phase.LOST) else Phase.ENGAGED
        self.respond(event)
        if was_out:
            self.pending_response = 0

    def end(self, reason: EndReason, event: Event) -> None:
        """End the follow-up; of won and lost the first counts."""
        self.pending_response = 0
        phase = _PHASE_AFTER[reason]
        if self.phase not in ENDED:
            self.ended = _fact(event)
        if self.lasting_end is None or self.lasting_end == Phase.CLOSED:
            self.lasting_end = phase
        if self.phase not in _FINAL or phase == Phase.MERGED:
            self.phase = phase
        self.appointment = None
        self.reopened = None

    # Another record of the person -----------------------------------------------------------------

    def take_over(self, other: AuditState, event: Event, keep: str | None) -> None:
        """Go on for another record of the person too (design, section 4a, *merge*).

        Args:
            other: what was known of it.
            event: the merge.
            keep: the id of the record whose end or appointment counts; ``None``: this one.
        """
        version = event.version
        self.contact.take_over(other.contact, version)
        outs = [at for at in (self.opted_out_at, other.opted_out_at) if at is not None]
        self.opted_out_at = max(outs, default=None)
        spoke = other if self._spoke_later(other) else self
        at = spoke.silence.occurred
        kept = [
            [made for made in one.attempts if made.at > at or one.silence.occurred == at]
            for one in (self, other)
        ]
        gap = max(one.largest(made) for one, made in zip((self, other), kept, strict=True))
        is_answered = spoke.phase in ENDED and any(one.rank for one in spoke.attempts)
        if spoke is other:
            silence = other.silence
            told = version if other.has_spoken else self.silence.version
            self.silence = silence._replace(version=told)
            self.intent, self.has_spoken = other.intent, other.has_spoken
        for attempt in other.attempts:
            attempt.version, attempt.measured_from = version, 0
        self.attempts = sorted((made for one in kept for made in one), key=lambda one: one.at)
        both_away = [*self.suspensions, *other.suspensions]
        self.suspensions = [
            one
            for one in both_away
            if one[0].start >= at or (one[0].until is not None and one[0].until > at)
        ]
        self.suspensions.sort(key=lambda one: one[0].start)
        self.is_joined, self.merged, self.merged_gap = True, version, gap
        self.reach = 0
        self.recount()
        self.kept_appointment = self.kept_appointment or other.kept_appointment
        self._agree_with(other, spoke, keep)
        phase = Phase.OUTREACH if is_answered else spoke.phase
        self._stand_with(other, phase, event, keep)
        self.goes_on = self.phase == Phase.OUTREACH

    def _spoke_later(self, other: AuditState) -> bool:
        if self.has_spoken != other.has_spoken:
            return other.has_spoken
        if not self.has_spoken:
            return other.silence.occurred < self.silence.occurred
        return other.silence.occurred > self.silence.occurred

    def _agree_with(self, other: AuditState, spoke: AuditState, keep: str | None) -> None:
        """Find the appointment that stands: outreach must not have begun since."""
        sides = (other, self) if keep == other.prospect else (self, other)
        found = None
        if not any(one.rank for one in self.attempts):
            for one in sides:
                agreed = one.appointment
                if agreed is not None and (one is spoke or agreed.at > self.silence.occurred):
                    found = agreed
                    break
        self.appointment = found

    def _stand_with(
        self, other: AuditState, spoke_phase: int, event: Event, keep: str | None
    ) -> None:
        """Find where the follow-up stands now.

        Args:
            other: what was known of the other record.
            spoke_phase: where the record stood with which they spoke last.
            event: the merge.
            keep: the id of the record whose end or appointment counts; ``None``: this one.
        """
        was, kept = self.phase, other if keep == other.prospect else self
        ends = [one for one in (kept, other, self) if one.lasting_end is not None]
        is_out = Phase.OPTED_OUT in (self.phase, other.phase) or self.contact.is_out()
        if is_out and self.opted_out_of_all is None:
            out = other.opted_out_of_all or _fact(event)
            self.opted_out_of_all = out._replace(version=event.version)
        reopened = [
            one.reopened
            for one in (self, other)
            if one.reopened is not None
            and (not self.has_spoken or one.reopened.occurred > self.silence.occurred)
        ]
        self.reopened = None
        pending = self.pending_response or (event.version if other.pending_response else 0)
        self.pending_response = 0
        if was == Phase.MERGED:
            return
        if is_out:
            self.phase = Phase.OPTED_OUT
            self.lasting_end = ends[0].lasting_end if ends else None
            self.pending_response = pending
        elif kept.phase in ENDED:
            self.lasting_end, self.ended = kept.lasting_end, kept.ended
            if kept is other and self.ended is not None:
                self.ended = self.ended._replace(version=event.version)
            self.phase = kept.phase
            self.pending_response = pending
        else:
            self.lasting_end = self.ended = None
            if reopened:
                self.phase, self.reopened = Phase.ENGAGED, _fact(event)
            elif self.appointment is not None:
                self.phase = Phase.SCHEDULED
            elif self.has_spoken and spoke_phase != Phase.OUTREACH:
                self.phase = Phase.ENGAGED
            elif self.highest:
                self.phase, self.reach = Phase.OUTREACH, self.highest
            else:
                self.phase = Phase.ENGAGED if self.has_spoken else Phase.NEW

    def reopen(self, event: Event) -> None:
        """Reopen an ended follow-up; outreach waits for a response."""
        if self.phase in ENDED:
            self.phase = Phase.ENGAGED
            self.lasting_end = None
            self.pending_response = 0
            self.reopened = _fact(event)

    def adopt(self, ref: PolicyRef) -> None:
        """Go on under the policy ``ref``."""
        if ref.digest == self.policy_ref.digest:
            return
        self.policy_ref = ref
        known = self._policies.get(ref.digest)
        self.is_policy_known = known is not None
        policy = known or self._default
        if policy is not self.policy:
            self.policy = policy
            self.find_calendar()


def _fact(event: Event) -> RecordedFact:
    return RecordedFact(event.occurred_at, event.recorded_at, event.version)
