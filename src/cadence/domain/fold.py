"""The fold from events to a :class:`Prospect`.

Total: it never refuses and never raises on an event, whatever the history looks like. It reads no
clock, no policy and no calendar, because an event already carries what was decided when it was
made; so an edited policy can't change what a history says.

A handler returns what its event changes; :func:`evolve` applies that at once.

Late facts. Events fold in the order of ``version``, the order in which we learnt of them. An
attempt that *occurred* before the last response changes nothing in the present silence; when a
response is learnt of late, the attempts that occurred after it belong to the silence after it.

Taking back. The fold of a history is that of what stands of it (``standing.py``). An event that was
taken back may have changed anything since, so the history is folded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from cadence.domain.addresses import covers
from cadence.domain.channels import Channel
from cadence.domain.events import (
    FAILING,
    SOFT_FAILURES,
    AddressesRead,
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FailureReason,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    Intent,
    InterestNoted,
    Noted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    PolicyAdopted,
    PolicyRef,
    PreferenceStated,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    SamePersonDenied,
    Unreadable,
    ValueNoted,
)
from cadence.domain.merging import joined
from cadence.domain.prospect import (
    NO_GAP,
    Appointment,
    Attempt,
    Ending,
    Identity,
    Prospect,
    Reachability,
    Response,
    ResponseKind,
    Silence,
    Suspension,
    UnreadableEvent,
    is_same_address,
)
from cadence.domain.silences import counted, remembered
from cadence.domain.stages import Signal, Stage, follow
from cadence.domain.standing import counts_at, responses_taken_back, standing
from cadence.domain.words import Failure, OptOuts, Said

__all__ = ["evolve", "fold"]

Changes = dict[str, Any]
"""New values of fields of the prospect, by name."""

# Looking a member up in its class costs more than the rest of a comparison, and the fold of every
# stored attempt passes here.
_CONNECTED: Final = Disposition.CONNECTED
_EXTRA: Final = AttemptStage.EXTRA
_ON_TIME: Final = AttemptStage.ON_TIME
_SPACED: Final = AttemptStage.SPACED
_SCHEDULED: Final = Stage.SCHEDULED

_PLAIN_FIELDS: Final = [
    "name",
    "owner",
    "given_name",
    "family_name",
    "salutation",
    "language",
    "company",
]
_WON_REASONS: Final = frozenset({EndReason.BOUGHT})
_CLOSED_REASONS: Final = frozenset(
    {EndReason.NO_RESPONSE, EndReason.UNREACHABLE, EndReason.MISTAKEN}
)
_ATTEMPT_SIGNAL: Final = {stage: Signal(f"attempt_{stage}") for stage in AttemptStage}


def evolve(prospect: Prospect | None, event: Event) -> Prospect:
    """Return the prospect after ``event``; ``None`` stands before the first."""
    if prospect is None:
        prospect = _begin(event)
    else:
        at = counts_at(event.occurred_at, event.recorded_at, prospect.newest)
        if at is not event.occurred_at:
            event = replace(event, occurred_at=at)
    data = event.data
    changes = _HANDLERS[type(data)](prospect, event, data)
    if changes.get("stage", prospect.stage) is not prospect.stage:
        changes["stage_at"] = event.recorded_at
    if event.occurred_at > prospect.newest:
        changes["newest"] = event.occurred_at
    return replace(prospect, version=event.version, recorded_at=event.recorded_at, **changes)


def fold(prospect: Prospect | None, events: Iterable[Event]) -> Prospect | None:
    """Return the prospect after ``events``, in order; ``None`` only if there are none at all.

    Args:
        prospect: the fold of the events before them; ``None``: there are none before. Where one of
            ``events`` takes another back, the whole history is needed: otherwise nothing can be
            decided, as where an event can't be read.
        events: in order of version.
    """
    if prospect is not None:
        for event in events:
            prospect = evolve(prospect, event)
        return prospect
    history = events if isinstance(events, Sequence) else list(events)
    for event in history:
        prospect = evolve(prospect, event)
    # Asked afterwards: hardly any history takes something back.
    if prospect is not None and prospect.unreadable is not None:
        return _fold_standing(history)
    return prospect


def _fold_standing(events: Sequence[Event]) -> Prospect:
    """Fold a history in which something may have been taken back."""
    folded: Prospect | None = None
    kept = standing(events)
    for event, learnt in kept:
        folded = evolve(folded, event)
        response = folded.silence.response
        if learnt != event.version == response.version:
            # Attempts made before the correction were made before we knew that they had spoken.
            response = replace(response, version=learnt)
            folded = replace(folded, silence=replace(folded.silence, response=response))
    last = events[-1]
    if folded is None:  # nothing of it stands
        folded = _begin(events[0])
    if any(one.occurred_at > folded.silence.since for one in responses_taken_back(events, kept)):
        folded = replace(folded, silence=replace(folded.silence, is_joined=True))
    return replace(folded, version=last.version, recorded_at=last.recorded_at)


def _begin(event: Event) -> Prospect:
    """The first silence begins with the first event, whatever that is."""
    response = Response(ResponseKind.ADDED, event.occurred_at, event.recorded_at, event.version)
    return Prospect(
        event.prospect,
        0,
        event.recorded_at,
        Stage.NEW,
        event.recorded_at,
        Silence(response),
        event.occurred_at,
        event.recorded_at,
    )


# Who they are and how they can be reached ---------------------------------------------------------


def _added(prospect: Prospect, event: Event, data: ProspectAdded) -> Changes:
    zones = (data.timezone,) if isinstance(data.timezone, str) else data.timezone
    identity = Identity(
        data.name,
        zones,
        data.country,
        data.subdivision,
        data.owner,
        data.source,
        data.given_name,
        data.family_name,
        data.salutation,
        data.language,
        data.company,
    )
    changes: Changes = {
        "identity": identity,
        "reach": replace(
            prospect.reach,
            contact_points=data.contact_points,
            former=prospect.reach.former | {one.same for one in prospect.reach.contact_points},
        ),
    }
    if data.policy is not None:
        changes["policy"], changes["policy_version"] = data.policy, event.version
    return changes


def _updated(prospect: Prospect, event: Event, data: ProspectUpdated) -> Changes:
    changed: dict[str, Any] = {}
    if data.timezone is not None:
        one = isinstance(data.timezone, str)
        changed["zones"] = (data.timezone,) if one else data.timezone
    if data.country is not None:
        # A subdivision belongs to its country; a move leaves the old one behind.
        if data.country != prospect.identity.country:
            changed["subdivision"] = None
        changed["country"] = data.country
    if data.subdivision is not None:
        changed["subdivision"] = data.subdivision
    for name in _PLAIN_FIELDS:
        value = getattr(data, name)
        if value is not None:
            changed[name] = value
    return {"identity": replace(prospect.identity, **changed)}


def _point_added(prospect: Prospect, event: Event, data: ContactPointAdded) -> Changes:
    point = ContactPoint(data.channel, data.address, data.key)
    reach = prospect.reach
    if reach.has(point):
        return {}
    return {"reach": replace(reach, contact_points=(*reach.contact_points, point))}


def _point_failed(prospect: Prospect, event: Event, data: ContactPointFailed) -> Changes:
    # A soft failure passes by itself: the history keeps it, and nothing is lost.
    if data.reason in SOFT_FAILURES:
        return {}
    key = data.address if data.key is None else data.key
    is_strangers = data.reason is FailureReason.WRONG_NUMBER
    reach = _without(prospect.reach, event, data.channel, key, is_strangers=is_strangers)
    return {"reach": reach}


def _without(
    reach: Reachability, event: Event, channel: Channel, key: str | None, *, is_strangers: bool
) -> Reachability:
    """``reach`` after a key failed: on every channel, or a stranger would be sent a text."""
    if key is None:
        # No address was recorded: it was the first of the channel that had not failed.
        key = next(
            (
                point.same
                for point in reach.contact_points
                if point.channel == channel and not reach.has_failed(point.same)
            ),
            None,
        )
    failed = reach.failed
    if key:
        known, at = failed.get(key), event.recorded_at
        failure = (
            Failure(at, event.version, is_strangers)
            if known is None
            else known.again(at, is_strangers=is_strangers)
        )
        failed = {**failed, key: failure}
    return replace(reach, failed=failed, failed_at=event.recorded_at, failed_version=event.version)


def _point_restored(prospect: Prospect, event: Event, data: ContactPointRestored) -> Changes:
    reach = prospect.reach
    key = data.address if data.key is None else data.key
    failed = {one: by for one, by in reach.failed.items() if not covers(one, key)}
    restored = {**reach.restored, key: event.recorded_at}
    return {"reach": replace(reach, failed=failed, restored=restored)}


def _point_removed(prospect: Prospect, event: Event, data: ContactPointRemoved) -> Changes:
    # By its key, on every channel: an address that is not theirs is a stranger's on each of them.
    reach, gone = prospect.reach, ContactPoint(data.channel, data.address, data.key)
    left = tuple([point for point in reach.contact_points if not is_same_address(point, gone)])
    if len(left) == len(reach.contact_points):
        return {}
    return {
        "reach": replace(
            reach,
            contact_points=left,
            former=reach.former | {gone.same},
            failed_at=event.recorded_at,
            failed_version=event.version,
        )
    }


def _addresses_read(prospect: Prospect, event: Event, data: AddressesRead) -> Changes:
    """Put the keys in wherever an address stands without one."""
    reach = prospect.reach
    keys = {(point.channel, point.address): point.key for point in data.contact_points}
    by_address = {point.address: point.key for point in data.contact_points if point.key}
    return {
        "reach": replace(
            reach,
            contact_points=tuple(
                [
                    point if point.key is not None else replace(point, key=_key(keys, point))
                    for point in reach.contact_points
                ]
            ),
            failed={by_address.get(one) or one: by for one, by in reach.failed.items()},
        ),
        "silence": replace(prospect.silence, attempts=_with_keys(prospect.silence.attempts, keys)),
        "recent": _with_keys(prospect.recent, keys),
    }


_Keys = dict[tuple[Channel, str], str | None]


def _key(keys: _Keys, one: ContactPoint | Part) -> str | None:
    return None if one.address is None else keys.get((one.channel, one.address))


def _with_keys(attempts: tuple[Attempt, ...], keys: _Keys) -> tuple[Attempt, ...]:
    return tuple(
        [
            replace(
                attempt,
                parts=tuple(
                    [
                        part if part.key is not None else replace(part, key=_key(keys, part))
                        for part in attempt.parts
                    ]
                ),
            )
            for attempt in attempts
        ]
    )


def _preference(prospect: Prospect, event: Event, data: PreferenceStated) -> Changes:
    changed: dict[str, Any] = {"preference_version": event.version}
    if data.channel is not None:
        changed["preferred_channel"] = data.channel
    if data.hours is not None:
        changed["preferred_hours"] = data.hours
    return {"reach": replace(prospect.reach, **changed)}


# What is good to know -----------------------------------------------------------------------------


def _guidelines(prospect: Prospect, event: Event, data: GuidelinesAgreed) -> Changes:
    return {"guidelines_agreed": True, "guidelines_version": event.version}


def _interest(prospect: Prospect, event: Event, data: InterestNoted) -> Changes:
    return {"interests": (*prospect.interests, data.text)}


def _value(prospect: Prospect, event: Event, data: ValueNoted) -> Changes:
    return {"values": (*prospect.values, data)}


def _noted(prospect: Prospect, event: Event, data: Noted) -> Changes:
    return {}  # the team's own; the history keeps it


def _adopted(prospect: Prospect, event: Event, data: PolicyAdopted) -> Changes:
    return {
        "policy": PolicyRef(data.name, data.version, data.digest),
        "policy_version": event.version,
        "not_before": data.not_before,
    }


# Appointments -------------------------------------------------------------------------------------


def _appointed(prospect: Prospect, event: Event, data: AppointmentSet) -> Changes:
    # In a silence that already has attempts no response can have agreed to it: it changes nothing.
    if prospect.silence.attempts or prospect.ending.reopened:
        return {}
    stage = follow(prospect.stage, Signal.APPOINTED)
    if stage is not _SCHEDULED:
        return {"stage": stage}
    changes: Changes = {
        "stage": stage,
        "appointment": Appointment(data.at, event.occurred_at, event.version),
    }
    if prospect.stage is not _SCHEDULED:
        changes["pause_until"] = None
    return changes


def _cancelled(prospect: Prospect, event: Event, data: AppointmentCancelled) -> Changes:
    untouched = prospect.response.kind is ResponseKind.ADDED
    signal = Signal.CANCELLED_BEFORE_RESPONSE if untouched else Signal.CANCELLED
    return {"stage": follow(prospect.stage, signal), "appointment": None}


# Attempts -----------------------------------------------------------------------------------------


def _attempt(prospect: Prospect, event: Event, data: AttemptMade) -> Changes:
    at, stage = event.occurred_at, data.stage or _EXTRA
    changes: Changes = {}
    if data.value is not None:
        changes["used_values"] = prospect.used_values | {data.value}
    connected = has_call = False
    for part in data.parts:
        disposition = part.disposition
        if disposition is _CONNECTED:
            connected = True
        elif disposition in FAILING:
            reach = changes.get("reach", prospect.reach)
            is_strangers = disposition is Disposition.WRONG_NUMBER
            changes["reach"] = _without(
                reach, event, part.channel, part.same, is_strangers=is_strangers
            )
        if part.is_call:
            has_call = True
    silence = prospect.silence
    if at < silence.response.at:  # it belongs to a silence that is over
        attempt = Attempt(at, event.version, stage, data.step, data.gap, data.parts)
        changes["recent"] = remembered(prospect.recent, [attempt])
        return changes
    if connected:
        return {**changes, **_conversation(prospect, event, data, stage)}
    ending = prospect.ending
    if ending.pending_response:
        changes["ending"] = replace(ending, pending_response=0, pending_response_at=None)
    # A follow-up reopened has no outreach until a response: an attempt there moves no stage.
    goal = follow(prospect.stage, _ATTEMPT_SIGNAL[_EXTRA if ending.reopened else stage])
    changes["stage"] = goal
    appointment = prospect.appointment
    if stage is _ON_TIME:
        changes["kept_appointment"], changes["appointment"] = appointment, None
    elif appointment is not None and appointment.at <= at and goal is not _SCHEDULED:
        # Outreach has gone on past it, without an on-time call.
        changes["kept_appointment"], changes["appointment"] = appointment, None
    if stage is not _EXTRA:
        changes["not_before"] = None  # the promised touch has been made
    is_spaced_call = has_call and (stage is _SPACED or stage is _EXTRA)
    changes["silence"] = _with_attempt(silence, event, data, stage, is_spaced_call)
    return changes


def _conversation(
    prospect: Prospect, event: Event, data: AttemptMade, stage: AttemptStage
) -> Changes:
    """An attempt that connected: a response, which is remembered and awaits no answer."""
    if stage is _ON_TIME:
        prospect = replace(prospect, appointment=None)
    changes = _respond(prospect, event, ResponseKind.CONVERSATION, intent=data.intent)
    attempt = Attempt(event.occurred_at, event.version, stage, data.step, data.gap, data.parts)
    changes["recent"] = remembered(changes.get("recent", prospect.recent), [attempt])
    changes["ending"] = replace(changes["ending"], pending_response=0, pending_response_at=None)
    return changes


def _is_one_touch(attempt: Attempt, data: AttemptMade, stage: AttemptStage) -> bool:
    return attempt.touch is not None and (attempt.touch, attempt.stage) == (data.touch, stage)


def _with_attempt(
    silence: Silence, event: Event, data: AttemptMade, stage: AttemptStage, is_spaced_call: bool
) -> Silence:
    """``silence`` with one attempt more, in the order in which they occurred."""
    at, attempts = event.occurred_at, silence.attempts
    last = attempts[-1] if attempts else None
    if last is not None and _is_one_touch(last, data, stage) and last.at <= at:
        # A part of the same touch that was logged alone: one attempt, and one spaced call.
        joined = replace(
            last,
            parts=(*last.parts, *data.parts),
            is_spaced_call=last.is_spaced_call or is_spaced_call,
        )
        return replace(
            silence,
            attempts=(*attempts[:-1], joined),
            spaced_calls=silence.spaced_calls + joined.is_spaced_call - last.is_spaced_call,
        )
    position = len(attempts)
    while position and attempts[position - 1].at > at:
        position -= 1
    before = attempts[position - 1].version if position else 0
    if before < silence.version:
        # Made before we knew of the response: no gap is kept from there.
        known = [one.version for one in silence.known if one.at <= at]
        before = known[-1] if known else 0
    gap = data.gap
    measured_from = before if data.gap_from is None else data.gap_from
    attempt = Attempt(
        at,
        event.version,
        stage,
        data.step,
        gap,
        data.parts,
        is_spaced_call,
        measured_from,
        data.touch,
    )
    if position < len(attempts):  # learnt of late
        attempts = (*attempts[:position], attempt, *attempts[position:])
        recounted = counted(
            silence.response, attempts, silence.suspensions, silence.merged, silence.merged_gap
        )
        return replace(recounted, is_joined=silence.is_joined)
    largest, unmeasured = silence.largest_gap, silence.unmeasured
    if stage is _ON_TIME:
        largest, unmeasured = NO_GAP, ()
    elif before and (gap is None or measured_from != before):
        unmeasured = (*unmeasured, position)
    elif before and gap is not None and gap > largest:
        largest = gap
    return Silence(
        silence.response,
        (*attempts, attempt),
        silence.suspensions,
        silence.spaced_calls + is_spaced_call,
        largest,
        unmeasured,
        silence.is_joined,
        silence.merged,
        silence.merged_gap,
    )


# Responses ----------------------------------------------------------------------------------------


def _respond(
    prospect: Prospect,
    event: Event,
    kind: ResponseKind,
    *,
    intent: Intent | None = None,
    signal: Signal | None = None,
) -> Changes:
    """What a response changes: it ends the silence. Nothing, if a later one has done so already."""
    at, silence, ending = event.occurred_at, prospect.silence, prospect.ending
    if at < silence.since:
        return {}
    # The appointment stands if it lay ahead when they spoke.
    standing = prospect.appointment is not None and prospect.appointment.at > at
    if signal is None:
        signal = Signal.RESPONSE_BEFORE_APPOINTMENT if standing else Signal.RESPONSE
    stage = follow(prospect.stage, signal)
    response = Response(kind, at, event.recorded_at, event.version, intent)
    before = [attempt for attempt in silence.attempts if attempt.at <= at]
    # After the end, or an opt-out, the response moves nothing; the owner has to look at it.
    ended = stage in (Stage.WON, Stage.LOST, Stage.OPTED_OUT)
    changes: Changes = {
        "stage": stage,
        "silence": counted(
            response,
            silence.attempts[len(before) :],
            tuple(s for s in silence.suspensions if s.start > at),
        ),
        "kept_appointment": None,
        "pause_until": None,
        "not_before": None,
        "referral": None,
        "ending": replace(
            ending,
            reason=None if stage is Stage.ENGAGED else ending.reason,
            pending_response=event.version if ended else 0,
            pending_response_at=event.recorded_at if ended else None,
            reopened=0,
        ),
    }
    if not standing:
        changes["appointment"] = None
    if before:
        changes["recent"] = remembered(prospect.recent, before)
    return changes


def _replied(prospect: Prospect, event: Event, data: ReplyReceived) -> Changes:
    return _respond(prospect, event, ResponseKind.REPLY, intent=data.intent)


def _referred(prospect: Prospect, event: Event, data: ReferralGiven) -> Changes:
    changes = _respond(prospect, event, ResponseKind.REFERRAL)
    if changes:
        changes["referral"] = data
    return changes


def _auto_replied(prospect: Prospect, event: Event, data: AutoReplyReceived) -> Changes:
    # One that is older than the last response is out of date: they were there after it.
    silence = prospect.silence
    if event.occurred_at < silence.since:
        return {}
    away = Suspension(event.occurred_at, data.until, event.version)
    suspensions = tuple(sorted((*silence.suspensions, away), key=_start))
    return {"silence": replace(silence, suspensions=suspensions)}


def _start(suspension: Suspension) -> datetime:
    return suspension.start


def _paused(prospect: Prospect, event: Event, data: PauseRequested) -> Changes:
    changes = _respond(prospect, event, ResponseKind.PAUSE)
    if changes:
        changes["pause_until"] = data.until
        if data.until > event.occurred_at:
            pause = Suspension(event.occurred_at, data.until, event.version)
            silence: Silence = changes["silence"]
            # What is left of the others began after this response.
            changes["silence"] = replace(silence, suspensions=(pause, *silence.suspensions))
    return changes


# Opt-outs -----------------------------------------------------------------------------------------


def _opted_out(prospect: Prospect, event: Event, data: OptOutRequested) -> Changes:
    reach, at = prospect.reach, event.occurred_at
    said = Said(event.recorded_at, event.version)
    if data.channel is None:
        opted_out = reach.opted_out.with_all(frozenset(data.except_channels), said)
    else:
        opted_out = reach.opted_out.with_channel(data.channel, said)
    if data.key:
        opted_out = replace(opted_out, keys=opted_out.keys | {data.key})
    reach = replace(
        reach,
        opted_out=opted_out,
        failed_at=event.recorded_at,
        opted_out_at=max(reach.opted_out_at or at, at),
        opted_out_version=event.version,
    )
    if not reach.is_opted_out:
        return {"reach": reach}
    return {
        "reach": reach,
        "stage": follow(prospect.stage, Signal.OPT_OUT),
        "appointment": None,
        "kept_appointment": None,
        "pause_until": None,
        "ending": replace(
            prospect.ending, pending_response=0, pending_response_at=None, reopened=0
        ),
    }


def _opted_in(prospect: Prospect, event: Event, data: OptedBackIn) -> Changes:
    reach, ending = prospect.reach, prospect.ending
    if data.lifts:
        lifted = tuple([(data.channel, one) for one in data.lifts])
        reach = replace(reach, lifted=(*reach.lifted, *lifted))
    if reach.opted_out_at is not None and event.occurred_at < reach.opted_out_at:
        # They changed their mind since. It is still a response, and where they are opted out it is
        # for the owner to find out what they want.
        changes = {"reach": reach, **_respond(prospect, event, ResponseKind.OPT_IN)}
        if changes.get("stage", prospect.stage) is Stage.OPTED_OUT:
            changes["ending"] = replace(
                changes.get("ending", ending),
                pending_response=event.version,
                pending_response_at=event.recorded_at,
            )
        return changes
    opted_out = OptOuts() if data.channel is None else reach.opted_out.without(data.channel)
    changes = {"reach": replace(reach, opted_out=opted_out)}
    if prospect.stage is not Stage.OPTED_OUT:
        return {**changes, **_respond(prospect, event, ResponseKind.OPT_IN)}
    signal = _signal_of_opt_in(ending)
    response = _respond(prospect, event, ResponseKind.OPT_IN, signal=signal)
    if not response:
        # Said before the last response but after the opt-out, learnt of now: it lifts it.
        response = {"stage": follow(prospect.stage, signal), "ending": ending}
    response["ending"] = replace(response["ending"], pending_response=0, pending_response_at=None)
    return {**changes, **response}


def _other_person(prospect: Prospect, event: Event, data: SamePersonDenied) -> Changes:
    reach = prospect.reach
    return {"reach": replace(reach, not_same=reach.not_same | {data.prospect})}


def _merged(prospect: Prospect, event: Event, data: ProspectsMerged) -> Changes:
    other = fold(None, data.history)
    return {} if other is None else joined(prospect, other, event, data)


def _signal_of_opt_in(ending: Ending) -> Signal:
    """An opt-in leads back to the end that the follow-up had."""
    if ending.reason in _WON_REASONS:
        return Signal.OPT_IN_WON
    if ending.reason is not None and ending.reason not in _CLOSED_REASONS:
        return Signal.OPT_IN_LOST
    return Signal.OPT_IN


# Ends ---------------------------------------------------------------------------------------------


def _ended(prospect: Prospect, event: Event, data: FollowUpEnded) -> Changes:
    ending = prospect.ending
    if data.reason is EndReason.MERGED:
        return {
            "stage": follow(prospect.stage, Signal.END_MERGED),
            "ending": Ending(data.reason, event.version, into=data.into),
        }
    reason, version = ending.reason, ending.version
    # The first end counts; only a follow-up closed for silence can still be won or lost.
    if reason is None or reason in _CLOSED_REASONS:
        reason, version = data.reason, event.version
    signal = Signal.END_LOST
    if data.reason in _WON_REASONS:
        signal = Signal.END_WON
    elif data.reason in _CLOSED_REASONS:
        signal = Signal.END_CLOSED
    return {
        "stage": follow(prospect.stage, signal),
        "appointment": None,
        "pause_until": None,
        "ending": replace(
            ending,
            reason=reason,
            version=version,
            pending_response=0,
            pending_response_at=None,
            reopened=0,
        ),
    }


def _reopened(prospect: Prospect, event: Event, data: FollowUpReopened) -> Changes:
    if prospect.stage not in (Stage.CLOSED, Stage.WON, Stage.LOST):
        return {}
    return {
        "stage": follow(prospect.stage, Signal.REOPENED),
        "ending": Ending(
            version=prospect.ending.version,
            reopened=event.version,
            reopened_at=event.recorded_at,
        ),
    }


def _takes_back(prospect: Prospect, event: Event, data: EventRetracted | EventCorrected) -> Changes:
    if prospect.unreadable is not None:
        return {}
    what = f"it takes event {data.version} back; fold the whole history"
    return {"unreadable": UnreadableEvent(event.version, event.recorded_at, what, is_damaged=True)}


def _unreadable(prospect: Prospect, event: Event, data: Unreadable) -> Changes:
    # What can be read still counts, an opt-out behind it above all.
    if prospect.unreadable is not None:
        return {}
    found = UnreadableEvent(event.version, event.recorded_at, data.what, data.is_damaged)
    return {"unreadable": found}


# Keyed by exact type: each handler takes the data type it is filed under.
_HANDLERS: Final[dict[type, Callable[[Prospect, Event, Any], Changes]]] = {
    ProspectAdded: _added,
    ProspectUpdated: _updated,
    ContactPointAdded: _point_added,
    ContactPointFailed: _point_failed,
    ContactPointRestored: _point_restored,
    ContactPointRemoved: _point_removed,
    AddressesRead: _addresses_read,
    Noted: _noted,
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
    SamePersonDenied: _other_person,
    ProspectsMerged: _merged,
    PolicyAdopted: _adopted,
    FollowUpEnded: _ended,
    FollowUpReopened: _reopened,
    EventRetracted: _takes_back,
    EventCorrected: _takes_back,
    Unreadable: _unreadable,
}
