"""Join two records of one person: what the record that goes on takes over from the other.

It never gets more calls, or smaller gaps, than either would have had. Every opt-out and failure of
either holds. Both have the silence since the last response of either, with the attempts of both
and the larger gap. Attempts that one record made after a response of the other were made in
ignorance of it, as after any response that is recorded late: the owner has to talk to them.

Total, like the fold that it is part of. What needs the owner's choice is asked before there is an
event (``engine/merging.py``); where a history comes without it, the survivor's own side counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace

from cadence.domain.addresses import covers
from cadence.domain.events import AttemptStage, Disposition, Event, ProspectsMerged, ValueNoted
from cadence.domain.prospect import (
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
)
from cadence.domain.silences import counted, remembered
from cadence.domain.stages import ENDED, OUTREACH, Stage, rank
from cadence.domain.words import Failure, MergedRecord

__all__ = ["appointment_of", "is_begun", "joined", "left_of", "silence_of"]

_FILLED: Final = (
    "owner",
    "source",
    "given_name",
    "family_name",
    "salutation",
    "language",
    "company",
)
"""What is taken over of who they are, where the survivor does not say it."""


def joined(
    prospect: Prospect, other: Prospect, event: Event, data: ProspectsMerged
) -> dict[str, Any]:
    """Return what a merge changes of the survivor.

    Args:
        prospect: the survivor before it.
        other: the fold of the history that is merged into it.
        event: the merge.
        data: its data.
    """
    version = event.version
    reach = _reach(prospect, other, version)
    silence, before = _silence_and_before(prospect, other, version)
    gaps = [left_of(one, silence.response.at).largest_gap for one in (prospect, other)]
    gap = max(gaps if data.gap is None else (*gaps, data.gap))
    silence = counted(silence.response, silence.attempts, silence.suspensions, version, gap)
    appointment = appointment_of(prospect, other, silence, data.keep, version)
    stage = _stage(prospect, other, silence, reach, data.keep, is_agreed=appointment is not None)
    values, used = _values(prospect, other)
    changes: dict[str, Any] = {
        "stage": stage,
        "stage_at": event.recorded_at,
        "identity": _identity(prospect.identity, other.identity),
        "reach": reach,
        "silence": silence,
        "ending": _ending(prospect, other, stage, data.keep, event),
        "appointment": appointment,
        "kept_appointment": prospect.kept_appointment or other.kept_appointment,
        "pause_until": _later(prospect.pause_until, other.pause_until),
        "not_before": _later(prospect.not_before, other.not_before),
        "interests": tuple(dict.fromkeys((*prospect.interests, *other.interests))),
        "values": values,
        "used_values": used,
        "recent": remembered(prospect.recent, [*before, *_taken(other.recent, version)]),
        "merged": _merged(prospect, other, version),
        "newest": max(prospect.newest, other.newest, event.occurred_at),
        "added_at": min(prospect.added_at, other.added_at),
    }
    if other.guidelines_agreed and not prospect.guidelines_agreed:
        changes["guidelines_agreed"], changes["guidelines_version"] = True, version
    if silence.response.version == version:  # it is the other's
        changes["referral"] = other.referral
    if other.unreadable is not None and prospect.unreadable is None:
        what = f"of {other.id}: {other.unreadable.what}"
        changes["unreadable"] = UnreadableEvent(
            version, event.recorded_at, what, other.unreadable.is_damaged
        )
    return changes


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _identity(own: Identity, other: Identity) -> Identity:
    # Not the place: the survivor's says when it is day for them.
    filled = {name: getattr(other, name) for name in _FILLED if getattr(own, name) is None}
    return replace(own, name=own.name or other.name, **filled)


def _merged(prospect: Prospect, other: Prospect, version: int) -> dict[str, MergedRecord]:
    # Of a record that had others in it, whose word is whose can't be told.
    newest = None if other.merged else other.reach.opted_out.newest
    taken = {id_: MergedRecord(id_, version, name=one.name) for id_, one in other.merged.items()}
    theirs = MergedRecord(other.id, version, newest, other.identity.name)
    return {**prospect.merged, **taken, other.id: theirs}


# How they can be reached --------------------------------------------------------------------------


def _reach(prospect: Prospect, other: Prospect, version: int) -> Reachability:
    own, theirs = prospect.reach, other.reach
    points = [point for point in theirs.contact_points if not own.has(point)]
    failed = {key: one for key, one in own.failed.items() if not _is_restored(theirs, key, one)}
    for key, one in theirs.failed.items():
        if not _is_restored(own, key, one):
            failed[key] = _both(failed.get(key), one, version)
    restored = dict(own.restored)
    for key, at in theirs.restored.items():
        restored[key] = max(at, restored.get(key, at))
    changed: dict[str, Any] = {
        "contact_points": (*own.contact_points, *points),
        "failed": failed,
        "restored": restored,
        "former": own.former | theirs.former,
        "opted_out": own.opted_out.together(theirs.opted_out, version),
        "failed_at": _later(own.failed_at, theirs.failed_at),
        "opted_out_at": _later(own.opted_out_at, theirs.opted_out_at),
        "lifted": (*own.lifted, *theirs.lifted),
        "not_same": own.not_same | theirs.not_same,
    }
    if theirs.failed_version:
        changed["failed_version"] = version
    if theirs.opted_out:
        changed["opted_out_version"] = version
    if own.preferred_channel is None and theirs.preferred_channel is not None:
        changed["preferred_channel"], changed["preference_version"] = (
            theirs.preferred_channel,
            version,
        )
    if own.preferred_hours is None and theirs.preferred_hours is not None:
        changed["preferred_hours"], changed["preference_version"] = theirs.preferred_hours, version
    return replace(own, **changed)


def _is_restored(reach: Reachability, key: str, failure: Failure) -> bool:
    """Whether a record has said since that an address works."""
    return any(covers(key, one) and at >= failure.newest_at for one, at in reach.restored.items())


def _both(own: Failure | None, theirs: Failure, version: int) -> Failure:
    if own is None:
        return replace(theirs, version=version)
    return own.again(theirs.newest_at, is_strangers=theirs.is_strangers)


# The silence --------------------------------------------------------------------------------------


def silence_of(prospect: Prospect, other: Prospect, version: int) -> Silence:
    """Return the silence that two records have together, not counted yet.

    Args:
        prospect, other: the survivor, and the record that is merged into it.
        version: the merge; it stands for the events of the other history.
    """
    return _silence_and_before(prospect, other, version)[0]


def left_of(prospect: Prospect, since: datetime) -> Silence:
    """Return what a record's silence is where it began only at ``since``, with its own versions."""
    silence = prospect.silence
    attempts = tuple([one for one in silence.attempts if one.at > since or silence.since == since])
    if len(attempts) == len(silence.attempts):
        return silence
    return counted(
        silence.response, attempts, silence.suspensions, silence.merged, silence.merged_gap
    )


def _silence_and_before(
    prospect: Prospect, other: Prospect, version: int
) -> tuple[Silence, list[Attempt]]:
    """The silence since the last response of either, and the attempts before it."""
    response = prospect.response
    if _is_later(other.response, response):
        response = replace(other.response, version=version)
    since, attempts, before = response.at, [], []
    for one in (prospect, other):
        made = one.silence.attempts
        # What one record had before its own silence may be of the silence that they have together.
        earlier = [a for a in one.recent if a.at > since and not _is_conversation(a)]
        made += tuple([_in_a_silence(attempt) for attempt in earlier])
        made = made if one is prospect else _taken(made, version)
        is_own = one.silence.since == since
        attempts += [attempt for attempt in made if attempt.at > since or is_own]
        before += [attempt for attempt in made if not (attempt.at > since or is_own)]
    suspensions = [*prospect.silence.suspensions]
    suspensions += [replace(one, version=version) for one in other.silence.suspensions]
    left = [one for one in suspensions if one.start >= response.at or _reaches(one, response)]
    silence = Silence(
        response,
        tuple(sorted(attempts, key=lambda one: one.at)),
        tuple(sorted(left, key=lambda one: one.start)),
    )
    return silence, before


def _is_later(other: Response, own: Response) -> bool:
    """Whether the response of the other record began the silence of both.

    To be added is a response to no one: what they said counts more, and of two records that were
    added the first.
    """
    is_added = (other.kind is ResponseKind.ADDED, own.kind is ResponseKind.ADDED)
    if is_added == (True, True):
        return other.at < own.at
    return other.at > own.at if is_added == (False, False) else is_added[1]


def _taken(attempts: tuple[Attempt, ...], version: int) -> tuple[Attempt, ...]:
    # No gap of theirs is measured from an attempt of the survivor's.
    return tuple([replace(one, version=version, gap_from=0) for one in attempts])


def _in_a_silence(attempt: Attempt) -> Attempt:
    """An attempt that was of no silence, as one that counts in it."""
    is_spaced = attempt.stage in (AttemptStage.SPACED, AttemptStage.EXTRA)
    return replace(
        attempt, is_spaced_call=is_spaced and any(part.is_call for part in attempt.parts)
    )


def _is_conversation(attempt: Attempt) -> bool:
    return any(part.disposition is Disposition.CONNECTED for part in attempt.parts)


def _reaches(suspension: Suspension, response: Response) -> bool:
    return suspension.until is not None and suspension.until > response.at


def is_begun(silence: Silence) -> bool:
    """Return whether outreach has begun in a silence; an extra begins nothing."""
    return any(one.stage is not AttemptStage.EXTRA for one in silence.attempts)


# Where they stand ---------------------------------------------------------------------------------


def appointment_of(
    prospect: Prospect, other: Prospect, silence: Silence, keep: str | None, version: int
) -> Appointment | None:
    """Return the appointment that stands after a merge.

    One that lay ahead when they last spoke stands, unless outreach has begun since: then they have
    not agreed to it in this silence.

    Args:
        prospect, other: the survivor, and the record that is merged into it.
        silence: the one that they have together.
        keep: the id of the record whose appointment counts, if both have one.
        version: the merge.
    """
    if is_begun(silence):
        return None
    theirs = other.appointment
    standing = {
        prospect.id: prospect.appointment,
        other.id: None if theirs is None else replace(theirs, version=version),
    }
    is_others = silence.response.version == version
    spoke = other.id if is_others else prospect.id
    left = {
        name: one
        for name, one in standing.items()
        if one is not None and (name == spoke or one.at > silence.response.at)
    }
    return left.get(keep or prospect.id) or next(iter(left.values()), None)


def _stage(
    prospect: Prospect,
    other: Prospect,
    silence: Silence,
    reach: Reachability,
    keep: str | None,
    *,
    is_agreed: bool,
) -> Stage:
    both = (prospect, other)
    if prospect.stage is Stage.MERGED:
        return Stage.MERGED
    if reach.is_opted_out or any(one.stage is Stage.OPTED_OUT for one in both):
        return Stage.OPTED_OUT
    kept = other if keep == other.id else prospect
    if kept.stage in ENDED:
        return kept.stage
    if _is_reopened(prospect, other):
        return Stage.ENGAGED
    if is_agreed:
        return Stage.SCHEDULED
    spoke = prospect if silence.response.version == prospect.response.version else other
    is_response = silence.response.kind is not ResponseKind.ADDED
    # Where their own record ended after it had tried them, it knew of the response.
    is_answered = spoke.stage in ENDED and is_begun(spoke.silence)
    if is_response and spoke.stage not in OUTREACH and not is_answered:
        return Stage.ENGAGED
    reached = [Stage(one.stage.value) for one in silence.attempts if one.stage.value in _STAGES]
    if reached:
        return max(reached, key=rank)
    return Stage.ENGAGED if is_response else Stage.NEW


_STAGES: Final = frozenset(stage.value for stage in OUTREACH)


def _is_reopened(prospect: Prospect, other: Prospect) -> bool:
    """Whether one was reopened, and they have said nothing since."""
    spoke = [
        one.response.at for one in (prospect, other) if one.response.kind is not ResponseKind.ADDED
    ]
    last = max(spoke, default=None)
    reopened = [one.ending.reopened_at for one in (prospect, other) if one.ending.reopened]
    return any(at is None or last is None or at > last for at in reopened)


def _ending(
    prospect: Prospect, other: Prospect, stage: Stage, keep: str | None, event: Event
) -> Ending:
    kept, left = (other, prospect) if keep == other.id else (prospect, other)
    ended = next((one for one in (kept, left) if one.ending.reason is not None), None)
    if stage in ENDED or (stage is Stage.OPTED_OUT and ended is not None):
        found = kept if ended is None or stage in ENDED else ended
        ending = found.ending
        if found is other:
            ending = replace(ending, version=event.version if ending.version else 0)
    else:
        ending = Ending(version=prospect.ending.version)
    waiting = [one for one in (prospect, other) if one.ending.pending_response]
    is_over = stage in ENDED or stage is Stage.OPTED_OUT
    pending = waiting[0] if waiting and is_over else None
    is_reopened = stage is Stage.ENGAGED and _is_reopened(prospect, other)
    return replace(
        ending,
        pending_response=0 if pending is None else _in_survivor(pending, prospect, event),
        pending_response_at=None if pending is None else pending.ending.pending_response_at,
        reopened=event.version if is_reopened else 0,
        reopened_at=event.recorded_at if is_reopened else None,
    )


def _in_survivor(pending: Prospect, prospect: Prospect, event: Event) -> int:
    return pending.ending.pending_response if pending is prospect else event.version


def _values(prospect: Prospect, other: Prospect) -> tuple[tuple[ValueNoted, ...], frozenset[str]]:
    """The values of both, and those that were used; where both have an id, theirs gets another."""
    known = {value.id for value in prospect.values} | prospect.used_values
    named = {
        one: f"{other.id}/{one}" if one in known else one
        for one in {value.id for value in other.values} | other.used_values
    }
    values = [*prospect.values]
    values += [replace(value, id=named[value.id]) for value in other.values]
    return tuple(values), prospect.used_values | {named[one] for one in other.used_values}
