"""Define a claim: a lease on a touch, taken before acting, so that one worker carries it out.

Claims are kept by the store, and are no part of the fold: a decision never depends on one. What is
here is pure: whether a claim still stands, and what it says of an attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    Disposition,
    Event,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    ReferralGiven,
    ReplyReceived,
)

__all__ = ["Claim", "ClaimShown", "ClaimState", "Claimed", "OnExpiry", "ended_by"]

OnExpiry = Literal["return", "assume_made"]
"""What a lease that ran out means: the touch was not made, or it may have been."""

# What they say ends a claim: it was taken for what was next before that.
_ENDING: Final = (
    ReplyReceived,
    PauseRequested,
    OptOutRequested,
    OptedBackIn,
    ReferralGiven,
    FollowUpEnded,
)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A lease on a touch.

    Attributes:
        token: names the claim; opaque.
        prospect: the prospect's id.
        version: the last event when it was taken.
        touch: the id of the touch; ``None``: an owner's own attempt.
        stage, step: whose place the attempt takes.
        parts: what is to be done, with the addresses; the disposition is not known yet.
        by: who holds it.
        at: when it was taken, on the clock of the prospect's history.
        claimed_at: the same on the store's clock, which leases run on.
        until: when the lease runs out, on the store's clock.
        on_expiry: ``return``: the touch is free again; ``assume_made``: it is recorded as an
            attempt of unknown outcome, at ``at``.
    """

    token: str
    prospect: str
    version: int
    touch: str | None
    stage: AttemptStage
    step: str | None
    parts: tuple[Part, ...]
    by: str
    at: datetime
    claimed_at: datetime
    until: datetime
    on_expiry: OnExpiry = "return"

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels of the touch."""
        return tuple(part.channel for part in self.parts)

    @property
    def completed_id(self) -> str:
        """The command that completes it."""
        return f"claim:{self.token}"

    def state(self, clock: datetime) -> ClaimState:
        """Return how it stands at ``clock``, if no event has ended it."""
        if clock < self.until:
            return ClaimState.HELD
        return ClaimState.UNKNOWN if self.on_expiry == "assume_made" else ClaimState.RETURNED

    def is_stopped_by(self, word: OptOutRequested) -> bool:
        """Return whether an opt-out is about a channel of the touch."""
        if word.channel is not None:
            return word.channel in self.channels
        return any(channel not in word.except_channels for channel in self.channels)

    def is_about(self, parts: Iterable[Part]) -> bool:
        """Return whether an attempt of these parts carries it out, at least in part."""
        return any(part.channel in self.channels for part in parts)


class ClaimState(StrEnum):
    """How a claim stands."""

    HELD = "held"
    """Its lease runs."""
    RETURNED = "returned"
    """Its lease ran out, and the touch is free again."""
    UNKNOWN = "unknown"
    """Its lease ran out, and the touch may have been made: it is held until that is recorded."""


class ClaimShown(msgspec.Struct, frozen=True):
    """What a decision says of a claim on it: who has or had it, until when, and how it stands."""

    by: str
    until: datetime
    state: ClaimState


class Claimed(NamedTuple):
    """The claim that stands while an attempt is judged, and whether it is the attempt's own."""

    claim: Claim
    is_own: bool


def ended_by(claim: Claim, events: Iterable[Event]) -> Event | None:
    """Return the event that ended a claim: the attempt, or something that they said.

    Args:
        claim: the claim.
        events: the prospect's history, or the end of it.
    """
    for event in events:
        data = event.data
        if event.version <= claim.version:
            continue
        if isinstance(data, _ENDING):
            if isinstance(data, OptOutRequested) and not claim.is_stopped_by(data):
                continue  # of another channel: the touch is being made all the same
            return event
        if isinstance(data, AttemptMade):
            is_answered = any(part.disposition is Disposition.CONNECTED for part in data.parts)
            is_holders = event.by == claim.by and claim.is_about(data.parts)
            # Completed by another channel than was claimed, it is completed all the same.
            if is_answered or is_holders or event.command_id == claim.completed_id:
                return event
    return None
