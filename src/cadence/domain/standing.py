"""What stands of a history: without what was retracted, and with what was corrected in its place.

A history keeps everything. An event that was taken back no longer counts: the fold, the analysis
and the audit read what stands. As known at a version, that is what stands of the events up to it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    "LASTING",
    "TAKING_BACK",
    "corrected",
    "end_of_merge",
    "is_end_of_merge",
    "is_retraction",
    "merge_of",
    "responses_taken_back",
    "standing",
    "standing_events",
    "taken_back_by",
]

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

    Args:
        events: a history, in order of version, or the first part of one.
    """
    taken_back = taken_back_by(events)
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
