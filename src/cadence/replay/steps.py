"""Replaying a history: after each event, where the prospect stood and what was then decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import takewhile
from typing import Any

import msgspec

from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.events import Event
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.decision import Decision
from cadence.engine.decision import to_builtins as decision_to_builtins
from cadence.engine.loop import advance
from cadence.policy.registry import PolicyRegistry

__all__ = ["Replayed", "replay", "to_builtins", "until"]


class Replayed(msgspec.Struct, frozen=True):
    """One step of a replay: what was recorded, and what followed from it at that moment.

    ``seen_at`` is the instant at which ``decision`` was made: when the event was recorded, or, for
    the last step of a replay up to an instant, that instant.
    """

    event: Event
    prospect: Prospect
    decision: Decision
    seen_at: datetime

    @property
    def stage(self) -> Stage:
        """Where the prospect stood after the event."""
        return self.prospect.stage


def until(events: Iterable[Event], limit: int | datetime | None) -> list[Event]:
    """The events up to a version, or up to what had been recorded by an instant."""
    if limit is None:
        return list(events)
    if isinstance(limit, int):
        return [event for event in events if event.version <= limit]
    # A clock that was set back may have recorded a later version at an earlier time: stop at the
    # first that was not there yet, so that no version is missing in between.
    return list(takewhile(lambda event: event.recorded_at <= limit, events))


def replay(
    events: Iterable[Event], policies: PolicyRegistry, limit: int | datetime | None = None
) -> Iterator[Replayed]:
    """Step through a history with the same loop that the service runs.

    Args:
        events: of one prospect, in order of version.
        policies: where the policies it was under are looked up.
        limit: stop at this version, or at this instant; then the last decision is the one as seen
            at that instant, not the one of its event.
    """
    kept = until(events, limit)
    prospect: Prospect | None = None
    for event in kept:
        last = event is kept[-1]
        seen_at = limit if last and isinstance(limit, datetime) else event.recorded_at
        prospect, decision = advance(prospect, (event,), policies, seen_at)
        yield Replayed(event, prospect, decision, seen_at)


def to_builtins(step: Replayed, policies: PolicyRegistry) -> dict[str, Any]:
    """The JSON object of section 8, with the words of its time in the touch.

    Args:
        step: what :func:`replay` gave.
        policies: those it was replayed with.
    """
    from cadence.messages import compose  # slow to load, and only this needs it

    decision = compose(step.decision, step.prospect, policies, step.seen_at)
    return {
        "event": event_to_builtins(step.event),
        "stage": step.stage.value,
        "decision": decision_to_builtins(decision),
    }
