"""What the events add up to: the fold from events to a :class:`Prospect`.

Total: it never refuses and never raises on an event, whatever the history looks like. It reads no
clock, no policy and no calendar, because an event already carries what was decided when it was
made; so an edited policy can't change what a history says.

Late facts. Events fold in the order of ``version``, the order in which we learnt of them. An
attempt that *occurred* before the last contact changes nothing in the present silence; when a
contact is learnt of late, the attempts that occurred after it belong to the silence after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    ValueNoted,
)
from cadence.domain.prospect import (
    NO_GAP,
    RECENT_DAYS,
    Appointment,
    Attempt,
    LostContactPoint,
    Prospect,
    Response,
    ResponseKind,
    Silence,
    Suspension,
)
from cadence.domain.stages import Signal, Stage, follow

__all__ = ["evolve", "fold"]

# Looking a member up in its class costs more than the rest of a comparison, and the fold of every
# stored attempt passes here.
_CALL: Final = Channel.CALL
_CONNECTED: Final = Disposition.CONNECTED
_EXTRA: Final = AttemptStage.EXTRA
_ON_TIME: Final = AttemptStage.ON_TIME
_SPACED: Final = AttemptStage.SPACED
_SCHEDULED: Final = Stage.SCHEDULED

_ALL_CHANNELS: Final = frozenset(Channel)
_WON_REASONS: Final = frozenset({EndReason.BOUGHT})
_CLOSED_REASONS: Final = frozenset({EndReason.NO_RESPONSE, EndReason.UNREACHABLE})
_ATTEMPT_SIGNAL: Final = {stage: Signal(f"attempt_{stage}") for stage in AttemptStage}
_RECENT: Final = timedelta(days=RECENT_DAYS)
_FAILING: Final = frozenset({Disposition.WRONG_NUMBER, Disposition.BOUNCED})


def evolve(prospect: Prospect | None, event: Event) -> Prospect:
    """The prospect after ``event``; ``None`` before the first."""
    folded = fold(prospect, (event,))
    assert folded is not None  # one event was folded
    return folded


def fold(prospect: Prospect | None, events: Iterable[Event]) -> Prospect | None:
    """The prospect after ``events``, in order; ``None`` only if there are none at all."""
    draft = _Draft(prospect) if prospect is not None else None
    for event in events:
        if draft is None:
            draft = _Draft(None)
            draft.begin(event)
        draft.version = event.version
        draft.recorded_at = event.recorded_at
        data = event.data
        stage = draft.stage
        _HANDLERS[type(data)](draft, event, data)
        if draft.stage is not stage:
            draft.stage_at = event.recorded_at
    return None if draft is None else draft.freeze()


class _Draft:
    """A prospect while events are folded: one mutable copy instead of one value an event."""

    __slots__ = (
        "appointment",
        "attempts",
        "contact_points",
        "country",
        "end",
        "end_version",
        "failed",
        "failed_at",
        "failed_version",
        "guidelines_agreed",
        "guidelines_version",
        "id",
        "interests",
        "kept",
        "lost",
        "name",
        "not_before",
        "opted_out",
        "opted_out_at",
        "opted_out_version",
        "owner",
        "pause_until",
        "pending_response",
        "pending_response_at",
        "policy",
        "policy_version",
        "preference_version",
        "preferred_channel",
        "preferred_hours",
        "recent",
        "recorded_at",
        "reopened",
        "reopened_at",
        "response",
        "since",
        "source",
        "stage",
        "stage_at",
        "subdivision",
        "suspensions",
        "used_values",
        "values",
        "version",
        "zones",
    )

    # Filled in by begin() for a new prospect; declared for the type checker.
    id: str
    version: int
    recorded_at: datetime
    since: datetime
    response: Response
    stage_at: datetime

    def __init__(self, prospect: Prospect | None) -> None:
        if prospect is None:
            self.stage: Stage = Stage.NEW
            self.name = ""
            self.zones: tuple[str, ...] = ("UTC",)
            self.country: str | None = None
            self.subdivision: str | None = None
            self.owner: str | None = None
            self.source: str | None = None
            self.contact_points: tuple[ContactPoint, ...] = ()
            self.failed: frozenset[tuple[Channel, str]] = frozenset()
            self.opted_out: frozenset[Channel] = frozenset()
            self.guidelines_agreed = False
            self.preferred_channel: Channel | None = None
            self.preferred_hours: str | None = None
            self.preference_version = 0
            self.interests: tuple[str, ...] = ()
            self.values: tuple[ValueNoted, ...] = ()
            self.used_values: frozenset[str] = frozenset()
            self.appointment: Appointment | None = None
            self.pause_until: datetime | None = None
            self.policy: PolicyRef | None = None
            self.policy_version = 0
            self.not_before: datetime | None = None
            self.end: EndReason | None = None
            self.reopened = 0
            self.pending_response = 0
            self.kept: Appointment | None = None
            self.pending_response_at: datetime | None = None
            self.failed_at: datetime | None = None
            self.opted_out_at: datetime | None = None
            self.reopened_at: datetime | None = None
            self.end_version = 0
            self.failed_version = 0
            self.opted_out_version = 0
            self.recent: tuple[Attempt, ...] = ()
            self.guidelines_version = 0
            self.lost: tuple[LostContactPoint, ...] = ()
            self.attempts: list[Attempt] = []
            self.suspensions: tuple[Suspension, ...] = ()
            return
        # Written out: every command folds one event onto a prospect; a loop takes twice as long.
        self.id = prospect.id
        self.version = prospect.version
        self.recorded_at = prospect.recorded_at
        self.stage = prospect.stage
        self.response = prospect.response
        self.name = prospect.name
        self.zones = prospect.zones
        self.country = prospect.country
        self.subdivision = prospect.subdivision
        self.owner = prospect.owner
        self.source = prospect.source
        self.contact_points = prospect.contact_points
        self.failed = prospect.failed
        self.opted_out = prospect.opted_out
        self.guidelines_agreed = prospect.guidelines_agreed
        self.preferred_channel = prospect.preferred_channel
        self.preferred_hours = prospect.preferred_hours
        self.preference_version = prospect.preference_version
        self.interests = prospect.interests
        self.values = prospect.values
        self.used_values = prospect.used_values
        self.appointment = prospect.appointment
        self.pause_until = prospect.pause_until
        self.policy = prospect.policy
        self.policy_version = prospect.policy_version
        self.not_before = prospect.not_before
        self.end = prospect.end
        self.reopened = prospect.reopened
        self.pending_response = prospect.pending_response
        self.kept = prospect.kept
        self.failed_at = prospect.failed_at
        self.opted_out_at = prospect.opted_out_at
        self.reopened_at = prospect.reopened_at
        self.pending_response_at = prospect.pending_response_at
        self.stage_at = prospect.stage_at
        self.end_version = prospect.end_version
        self.failed_version = prospect.failed_version
        self.opted_out_version = prospect.opted_out_version
        self.recent = prospect.recent
        self.guidelines_version = prospect.guidelines_version
        self.lost = prospect.lost
        silence = prospect.silence
        self.since = silence.since
        self.attempts = list(silence.attempts)
        self.suspensions = silence.suspensions

    def begin(self, event: Event) -> None:
        """The first silence begins with the first event, whatever that is."""
        self.id = event.prospect
        self.since = event.occurred_at
        self.stage_at = event.recorded_at
        self.response = Response(
            ResponseKind.ADDED, event.occurred_at, event.recorded_at, event.version
        )

    def freeze(self) -> Prospect:
        spaced_calls = 0
        # The ratchet starts anew at the on-time attempt, and the first attempt of a silence has
        # no gap within it (its recorded one, if any, reaches back into the silence before).
        largest = NO_GAP
        unmeasured: list[int] = []
        attempts = self.attempts
        before = 0
        for position, attempt in enumerate(attempts):
            if attempt.is_spaced_call:
                spaced_calls += 1
            gap = attempt.gap
            if attempt.stage is _ON_TIME:
                largest = NO_GAP
                unmeasured.clear()
            elif before and (gap is None or attempt.gap_from != before):
                unmeasured.append(position)
            elif before and gap is not None and gap > largest:
                largest = gap
            before = attempt.version
        silence = Silence(
            self.since,
            self.response.version,
            tuple(attempts),
            self.suspensions,
            spaced_calls,
            largest,
            tuple(unmeasured),
        )
        return Prospect(
            self.id,
            self.version,
            self.recorded_at,
            self.stage,
            silence,
            self.response,
            self.stage_at,
            self.name,
            self.zones,
            self.country,
            self.subdivision,
            self.owner,
            self.source,
            self.contact_points,
            self.failed,
            self.opted_out,
            self.guidelines_agreed,
            self.preferred_channel,
            self.preferred_hours,
            self.preference_version,
            self.interests,
            self.values,
            self.used_values,
            self.appointment,
            self.pause_until,
            self.policy,
            self.policy_version,
            self.not_before,
            self.end,
            self.reopened,
            self.pending_response,
            self.kept,
            self.failed_at,
            self.opted_out_at,
            self.reopened_at,
            self.pending_response_at,
            self.end_version,
            self.failed_version,
            self.opted_out_version,
            self.recent,
            self.guidelines_version,
            self.lost,
        )

    def signal(self, signal: Signal) -> None:
        self.stage = follow(self.stage, signal)

    def end_silence(
        self,
        kind: ResponseKind,
        event: Event,
        *,
        intent: Intent | None = None,
        signal: Signal | None = None,
    ) -> bool:
        """Let a contact end the silence; ``False`` if a later contact has done so already."""
        at = event.occurred_at
        if at < self.since:
            return False
        # The appointment stands if it lay ahead when they spoke.
        standing = self.appointment is not None and self.appointment.at > at
        if signal is None:
            signal = Signal.RESPONSE_BEFORE_APPOINTMENT if standing else Signal.RESPONSE
        if not standing:
            self.appointment = None
        self.signal(signal)
        self.since = at
        self.response = Response(kind, at, event.recorded_at, event.version, intent)
        self.kept = None
        before = [attempt for attempt in self.attempts if attempt.at <= at]
        if before:
            self.remember(before)
            self.attempts = [attempt for attempt in self.attempts if attempt.at > at]
        self.suspensions = tuple(s for s in self.suspensions if s.start > at)
        self.pause_until = None
        self.not_before = None
        self.reopened = 0
        if self.stage is Stage.ENGAGED:
            self.end = None
        # After the end, or an opt-out, the contact moves nothing; somebody has to look at it.
        ended = self.stage in (Stage.WON, Stage.LOST, Stage.OPTED_OUT)
        self.pending_response = event.version if ended else 0
        self.pending_response_at = event.recorded_at if ended else None
        return True

    def remember(self, attempts: list[Attempt]) -> None:
        """Keep attempts that are not of the running silence, while a cap may still count them."""
        kept = sorted((*self.recent, *attempts), key=_when)
        oldest = kept[-1].at - _RECENT
        self.recent = tuple(attempt for attempt in kept if attempt.at >= oldest)

    def fail(self, channel: Channel, address: str | None) -> None:
        if address is None:
            # No address was recorded: it was the first of the channel that had not failed.
            address = next(
                (
                    point.address
                    for point in self.contact_points
                    if point.channel is channel and (channel, point.address) not in self.failed
                ),
                None,
            )
        self.failed_at, self.failed_version = self.recorded_at, self.version
        if address is not None and (channel, address) not in self.failed:
            self.failed |= {(channel, address)}
            self.lost = (*self.lost, LostContactPoint(channel, address, self.recorded_at))


def _added(draft: _Draft, event: Event, data: ProspectAdded) -> None:
    draft.name = data.name
    draft.zones = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
    draft.country = data.country
    draft.subdivision = data.subdivision
    draft.owner = data.owner
    draft.source = data.source
    draft.contact_points = data.contact_points


def _updated(draft: _Draft, event: Event, data: ProspectUpdated) -> None:
    if data.name is not None:
        draft.name = data.name
    if data.timezone is not None:
        draft.zones = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
    if data.country is not None:
        # A subdivision belongs to its country; a move leaves the old one behind.
        if data.country != draft.country:
            draft.subdivision = None
        draft.country = data.country
    if data.subdivision is not None:
        draft.subdivision = data.subdivision
    if data.owner is not None:
        draft.owner = data.owner


def _point_added(draft: _Draft, event: Event, data: ContactPointAdded) -> None:
    point = ContactPoint(data.channel, data.address)
    if point not in draft.contact_points:
        draft.contact_points = (*draft.contact_points, point)


def _point_failed(draft: _Draft, event: Event, data: ContactPointFailed) -> None:
    draft.fail(data.channel, data.address)


def _guidelines(draft: _Draft, event: Event, data: GuidelinesAgreed) -> None:
    draft.guidelines_agreed = True
    draft.guidelines_version = event.version


def _preference(draft: _Draft, event: Event, data: PreferenceStated) -> None:
    if data.channel is not None:
        draft.preferred_channel = data.channel
    if data.hours is not None:
        draft.preferred_hours = data.hours
    draft.preference_version = event.version


def _interest(draft: _Draft, event: Event, data: InterestNoted) -> None:
    draft.interests = (*draft.interests, data.text)


def _value(draft: _Draft, event: Event, data: ValueNoted) -> None:
    draft.values = (*draft.values, data)


def _appointed(draft: _Draft, event: Event, data: AppointmentSet) -> None:
    # In a silence that already has attempts nobody can have agreed to it: it changes nothing.
    if draft.attempts or draft.reopened:
        return
    before = draft.stage
    draft.signal(Signal.APPOINTED)
    if draft.stage is Stage.SCHEDULED:
        draft.appointment = Appointment(data.at, event.occurred_at, event.version)
        if before is not Stage.SCHEDULED:
            draft.pause_until = None


def _cancelled(draft: _Draft, event: Event, data: AppointmentCancelled) -> None:
    draft.appointment = None
    untouched = draft.response.kind is ResponseKind.ADDED
    draft.signal(Signal.CANCELLED_BEFORE_RESPONSE if untouched else Signal.CANCELLED)


def _attempt(draft: _Draft, event: Event, data: AttemptMade) -> None:
    at = event.occurred_at
    stage = data.stage or _EXTRA
    if data.value is not None:
        draft.used_values |= {data.value}
    connected = has_call = False
    for part in data.parts:
        disposition = part.disposition
        if disposition is _CONNECTED:
            connected = True
        elif disposition in _FAILING:
            draft.fail(part.channel, part.address)
        if part.channel is _CALL:
            has_call = True
    if at < draft.since:  # it belongs to a silence that is over
        draft.remember([Attempt(at, event.version, stage, data.step, data.gap, data.parts)])
        return
    draft.pending_response = 0
    if stage is _ON_TIME:
        draft.kept, draft.appointment = draft.appointment, None
    if connected:
        draft.end_silence(ResponseKind.CONVERSATION, event)
        draft.remember([Attempt(at, event.version, stage, data.step, data.gap, data.parts)])
        draft.pending_response = 0  # a conversation is not waiting to be answered
        return
    # A file reopened has no outreach until a contact: whatever was tried there moves no stage.
    draft.stage = follow(draft.stage, _ATTEMPT_SIGNAL[_EXTRA if draft.reopened else stage])
    if (
        draft.appointment is not None
        and draft.appointment.at <= at
        and draft.stage is not _SCHEDULED
    ):
        # Outreach has gone on past it, without an on-time call.
        draft.kept, draft.appointment = draft.appointment, None
    attempts = draft.attempts
    spaced_call = has_call and (stage is _SPACED or stage is _EXTRA)
    position = len(attempts)
    while position and attempts[position - 1].at > at:
        position -= 1
    before = attempts[position - 1].version if position else 0
    attempt = Attempt(
        at, event.version, stage, data.step, data.gap, data.parts, spaced_call, before
    )
    attempts.insert(position, attempt)
    if stage is not _EXTRA:
        draft.not_before = None  # the promised touch has been made


def _replied(draft: _Draft, event: Event, data: ReplyReceived) -> None:
    draft.end_silence(ResponseKind.REPLY, event, intent=data.intent)


def _auto_replied(draft: _Draft, event: Event, data: AutoReplyReceived) -> None:
    # One that is older than the last contact is out of date: they were there after it.
    if event.occurred_at >= draft.since:
        away = Suspension(event.occurred_at, data.until, event.version)
        draft.suspensions = tuple(sorted((*draft.suspensions, away), key=_start))


def _start(suspension: Suspension) -> datetime:
    return suspension.start


def _when(attempt: Attempt) -> datetime:
    return attempt.at


def _paused(draft: _Draft, event: Event, data: PauseRequested) -> None:
    if draft.end_silence(ResponseKind.PAUSE, event):
        draft.pause_until = data.until
        if data.until > event.occurred_at:
            pause = Suspension(event.occurred_at, data.until, event.version)
            later = draft.suspensions  # what is left of them began after this contact
            draft.suspensions = (pause, *later)


def _referred(draft: _Draft, event: Event, data: ReferralGiven) -> None:
    pass  # another person; the history keeps it


def _opted_out(draft: _Draft, event: Event, data: OptOutRequested) -> None:
    draft.failed_at = event.recorded_at
    draft.opted_out_version = event.version
    draft.opted_out_at = max(draft.opted_out_at or event.occurred_at, event.occurred_at)
    channels = _ALL_CHANNELS if data.channel is None else frozenset({data.channel})
    lost = sorted(channels - draft.opted_out)
    draft.lost = (
        *draft.lost,
        *[LostContactPoint(channel, None, event.recorded_at) for channel in lost],
    )
    if data.channel is None:
        draft.opted_out = _ALL_CHANNELS
    else:
        draft.opted_out |= {data.channel}
        known = {point.channel for point in draft.contact_points} or _ALL_CHANNELS
        if not known <= draft.opted_out:
            return
    draft.appointment = None
    draft.kept = None
    draft.pause_until = None
    draft.reopened = 0
    draft.pending_response = 0
    draft.signal(Signal.OPT_OUT)


def _opted_in(draft: _Draft, event: Event, data: OptedBackIn) -> None:
    if draft.opted_out_at is not None and event.occurred_at < draft.opted_out_at:
        # They changed their mind since. It is still a contact, and where they are opted out it is
        # for the owner to find out what they want.
        draft.end_silence(ResponseKind.OPT_IN, event)
        if draft.stage is Stage.OPTED_OUT:
            draft.pending_response, draft.pending_response_at = event.version, event.recorded_at
        return
    if data.channel is None:
        draft.opted_out = frozenset()
    else:
        draft.opted_out -= {data.channel}
    draft.lost = tuple(
        [one for one in draft.lost if one.address is not None or one.channel in draft.opted_out]
    )
    if draft.stage is not Stage.OPTED_OUT:
        draft.end_silence(ResponseKind.OPT_IN, event)
        return
    signal = Signal.OPT_IN
    if draft.end in _WON_REASONS:
        signal = Signal.OPT_IN_WON
    elif draft.end is not None and draft.end not in _CLOSED_REASONS:
        signal = Signal.OPT_IN_LOST
    if not draft.end_silence(ResponseKind.OPT_IN, event, signal=signal):
        # Said before the last contact but after the opt-out, learnt of now: it lifts it.
        draft.signal(signal)
    draft.pending_response = 0


def _adopted(draft: _Draft, event: Event, data: PolicyAdopted) -> None:
    draft.policy = PolicyRef(data.name, data.version, data.digest)
    draft.policy_version = event.version
    draft.not_before = data.not_before


def _ended(draft: _Draft, event: Event, data: FollowUpEnded) -> None:
    draft.pending_response = 0
    # The first end counts; only a file closed for silence can still be won or lost.
    if draft.end is None or draft.end in _CLOSED_REASONS:
        draft.end, draft.end_version = data.reason, event.version
    if data.reason in _WON_REASONS:
        draft.signal(Signal.END_WON)
    elif data.reason in _CLOSED_REASONS:
        draft.signal(Signal.END_CLOSED)
    else:
        draft.signal(Signal.END_LOST)
    draft.appointment = None
    draft.pause_until = None
    draft.reopened = 0


def _reopened(draft: _Draft, event: Event, data: FollowUpReopened) -> None:
    if draft.stage in (Stage.CLOSED, Stage.WON, Stage.LOST):
        draft.signal(Signal.REOPENED)
        draft.end = None
        draft.pending_response = 0
        draft.reopened = event.version
        draft.reopened_at = event.recorded_at


# Keyed by exact type: each handler takes the data type it is filed under.
_HANDLERS: Final[dict[type, Callable[[_Draft, Event, Any], None]]] = {
    ProspectAdded: _added,
    ProspectUpdated: _updated,
    ContactPointAdded: _point_added,
    ContactPointFailed: _point_failed,
    GuidelinesAgreed: _guidelines,
    PreferenceStated: _preference,
    InterestNoted: _interest,
    ValueNoted: _value,
    AppointmentSet: _appointed,
    AppointmentCancelled: _cancelled,
    AttemptMade: _attempt,
    ReplyReceived: _replied,
    AutoReplyReceived: _auto_replied,
    PauseRequested: _paused,
    ReferralGiven: _referred,
    OptOutRequested: _opted_out,
    OptedBackIn: _opted_in,
    PolicyAdopted: _adopted,
    FollowUpEnded: _ended,
    FollowUpReopened: _reopened,
}
