"""Replaying a history: after each event, where the prospect stood and what was then decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import takewhile

import msgspec

from cadence.core.events import Event
from cadence.core.prospect import Prospect
from cadence.core.stages import Stage
from cadence.policy.catalogue import Policies
from cadence.policy.decision import Decision
from cadence.policy.loop import advance

__all__ = ["Replayed", "replay", "until"]


class Replayed(msgspec.Struct, frozen=True):
    """One step of a replay: what was recorded, and what followed from it at that moment."""

    event: Event
    prospect: Prospect
    decision: Decision

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


def replay(events: Iterable[Event], policies: Policies) -> Iterator[Replayed]:
    """Step through a history with the same loop that the service runs.

    Args:
        events: of one prospect, in order of version.
        policies: where the policies it was under are looked up.
    """
    prospect: Prospect | None = None
    for event in events:
        prospect, decision = advance(prospect, (event,), policies, event.recorded_at)
        yield Replayed(event, prospect, decision)
