"""What stands of a history: without what was retracted, and with what was corrected in its place.

A history keeps everything. An event that was taken back no longer counts: the fold, the analysis
and the audit read what stands. As known at a version, that is what stands of the events up to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cadence.domain.events import (
    AddressesRead,
    AttemptMade,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    OptedBackIn,
    PauseRequested,
    PolicyAdopted,
    ProspectAdded,
    ProspectsMerged,
    ReferralGiven,
    ReplyReceived,
)

__all__ = [
    "CLOCK_GRACE",
    "LASTING",
    "TAKING_BACK",
    "corrected",
    "counts_at",
    "end_of_merge",
    "is_end_of_merge",
    "is_retraction",
    "merge_of",
    "responses_taken_back",
    "standing",
    "standing_events",
    "taken_back_by",
]

CLOCK_GRACE: Final = timedelta(minutes=5)
"""How far clocks may be apart before one is taken to have been wrong."""
TAKING_BACK: Final = (EventRetracted, EventCorrected)
"""The events that take another back."""
LASTING: Final = (ProspectAdded, PolicyAdopted, AddressesRead)
"""The events that can't be taken back; what they say is changed by another event."""
_RESPONSES: Final = (OptedBackIn, PauseRequested, ReferralGiven, ReplyReceived)


def taken_back_by(events: Sequence[Event]) -> dict[int, Event]:
    """Return what took events back, by the version of the event that it took back.

    Of several the last counts, and a retraction more than a correction. One that was itself
    retracted does not count.

    Args:
        events: a history, in order of version, or the first part of one.
    """
    found: dict[int, Event] = {}
    lasting = {event.version for event in events if isinstance(event.data, LASTING)}
    for event in reversed(events):
        data = event.data
        if not isinstance(data, TAKING_BACK) or data.version in lasting:
            continue
        if data.version >= event.version or is_retraction(found.get(event.version)):
            continue
        before = found.get(data.version)
        if before is None or (isinstance(data, EventRetracted) and not is_retraction(before)):
            found[data.version] = event
    return found


def standing(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Return the events that count, each with the version by which we learnt what it says.

    That is its own version; but a correction by which an attempt became a conversation told us of
    a response that we had not known of. A corrected event is recorded when it was corrected.

    A recorded gap stands while the attempt, and the one that it was measured from, count as made
    when they did then. Otherwise the attempt comes without it, and it is measured again.

    Args:
        events: a history, in order of version, or the first part of one.
    """
    taken_back = taken_back_by(events)
    kept = _kept(events, taken_back)
    moved = _with_moved_gap(events, kept, taken_back)
    if not moved:
        return kept
    return [(_without_gap(one) if one.version in moved else one, learnt) for one, learnt in kept]


def _kept(events: Sequence[Event], taken_back: Mapping[int, Event]) -> list[tuple[Event, int]]:
    """The events that count, with every gap as it was recorded."""
    kept: list[tuple[Event, int]] = []
    for event in events:
        if isinstance(event.data, TAKING_BACK):
            continue
        by = taken_back.get(event.version)
        if by is None:
            kept.append((event, event.version))
        elif isinstance(by.data, EventCorrected):
            now = replace(corrected(event, by.data), recorded_at=by.recorded_at)
            has_told = _is_conversation(now) and not _is_conversation(event)
            kept.append((now, by.version if has_told else event.version))
    return kept


def _with_moved_gap(
    events: Sequence[Event], kept: Sequence[tuple[Event, int]], taken_back: Mapping[int, Event]
) -> set[int]:
    """The attempts whose recorded gap lies between other times than those that they count at now.

    What moves a time is a correction, or the end of a record of a clock that was ahead: all that
    came after that record had counted as following it at once.
    """
    # Until when something stood that does not now. A gap measured outside of these is not moved.
    stood = [
        (event.data.version, event.version)
        for event in events
        if isinstance(event.data, TAKING_BACK)
    ]
    moved: set[int] = set()
    now: dict[int, datetime] = {}  # most histories need no times at all
    for event, _ in kept:
        data, by = event.data, taken_back.get(event.version)
        if not isinstance(data, AttemptMade) or data.gap is None or not data.gap_from:
            continue
        measured = event.version if by is None else by.version  # a correction measures again
        if not any(since < measured < until for since, until in stood):
            continue
        now = now or _times(kept)
        known = [one for one in events if one.version <= measured]
        then = _times(_kept(known, taken_back_by(known)))
        if any(then[one] != now.get(one) for one in (event.version, data.gap_from) if one in then):
            moved.add(event.version)
    return moved


def _without_gap(event: Event) -> Event:
    return replace(event, data=replace(event.data, gap=None, gap_from=None))


def _times(kept: Iterable[tuple[Event, int]]) -> dict[int, datetime]:
    """When each of the events counts as having occurred, by its version."""
    times: dict[int, datetime] = {}
    newest: datetime | None = None
    for event, _ in kept:
        at = event.occurred_at
        if newest is not None:
            at = counts_at(at, event.recorded_at, newest)
        times[event.version] = at
        newest = at if newest is None else max(newest, at)
    return times


def counts_at(occurred_at: datetime, recorded_at: datetime, newest: datetime) -> datetime:
    """Return when something counts as having occurred, given all that was recorded before it.

    Nothing is recorded before what an earlier record tells of has happened. Where the times say so,
    one of two clocks was wrong, and it can't be told which. Then it counts as following at once:
    left as it is, a response dated next month would make every attempt until then one of a silence
    that is over, which no limit counts.

    Args:
        occurred_at: when it occurred, as its clock says.
        recorded_at: when it was recorded.
        newest: when the newest of what was recorded before it occurred.
    """
    if newest - recorded_at > CLOCK_GRACE:
        return max(occurred_at, newest)
    return occurred_at


def standing_events(events: Sequence[Event]) -> Sequence[Event]:
    """Return the events that count, as :func:`standing` does; ``events`` where all of them do."""
    if any(isinstance(event.data, TAKING_BACK) for event in events):
        return [event for event, _ in standing(events)]
    return events


def responses_taken_back(events: Sequence[Event], kept: Sequence[tuple[Event, int]]) -> list[Event]:
    """Return the responses that no longer stand: what was two silences is one.

    Args:
        events: a history, in order of version, or the first part of one.
        kept: what stands of it, as :func:`standing` returns it.
    """
    left = {event.version: event for event, _ in kept}
    return [
        event
        for event in events
        if _is_response(event)
        and (event.version not in left or not _is_response(left[event.version]))
    ]


def _is_response(event: Event) -> bool:
    return isinstance(event.data, _RESPONSES) or _is_conversation(event)


def is_retraction(by: Event | None) -> bool:
    """Return whether what took an event back, if anything did, says that it never happened."""
    return by is not None and isinstance(by.data, EventRetracted)


def _is_conversation(event: Event) -> bool:
    return isinstance(event.data, AttemptMade) and event.data.connected


def corrected(event: Event, by: EventCorrected) -> Event:
    """Return ``event`` as a correction says that it happened."""
    occurred = event.occurred_at if by.occurred_at is None else by.occurred_at
    return replace(event, data=by.data, occurred_at=occurred)


# Merges -------------------------------------------------------------------------------------------


def is_end_of_merge(event: Event) -> bool:
    """Return whether an event ended a record because another goes on for it."""
    data = event.data
    return isinstance(data, FollowUpEnded) and data.reason is EndReason.MERGED


def end_of_merge(history: Sequence[Event]) -> Event | None:
    """Return the end by which a record was merged into another; ``None``: none stands."""
    found = [event for event, _ in standing(history) if is_end_of_merge(event)]
    return found[-1] if found else None


def merge_of(history: Sequence[Event], other: str) -> Event | None:
    """Return the event by which ``other`` was merged into a record; ``None``: none stands."""
    for event, _ in reversed(standing(history)):
        if isinstance(event.data, ProspectsMerged) and event.data.prospect == other:
            return next(one for one in history if one.version == event.version)
    return None
