"""The prospect: everything that the events so far say about one person, as an immutable value.

Nothing in here is decided; it is what ``domain/fold.py`` folds the events into. Counts of the
running silence are kept beside the attempts they are counted from, so a decision need not count.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.enums import StrEnum
from cadence.domain.events import (
    DELIVERED,
    AttemptStage,
    Channel,
    ContactPoint,
    EndReason,
    Gap,
    Intent,
    Part,
    PolicyRef,
    ValueNoted,
)
from cadence.domain.stages import Stage

__all__ = [
    "NO_GAP",
    "RECENT_DAYS",
    "Appointment",
    "Attempt",
    "LostContactPoint",
    "Prospect",
    "Response",
    "ResponseKind",
    "Silence",
    "Suspension",
]

NO_GAP: Final = Gap(0, 0)
"""What the ratchet starts from."""
RECENT_DAYS: Final = 90
"""How long attempts are remembered beyond their silence; caps on frequency reach no further."""


class ResponseKind(StrEnum):
    """How the last silence ended (``added``: it is the first)."""

    ADDED = "added"
    REPLY = "reply"
    CONVERSATION = "conversation"
    PAUSE = "pause"
    OPT_IN = "opt_in"


class Response(msgspec.Struct, frozen=True):
    """Something the prospect said to us; it ends a silence and begins the next."""

    kind: ResponseKind
    at: datetime
    recorded_at: datetime
    version: int
    intent: Intent | None = None


class Appointment(msgspec.Struct, frozen=True):
    """A time we agreed to call at. ``set_at``: when it was agreed."""

    at: datetime
    set_at: datetime
    version: int


class Suspension(msgspec.Struct, frozen=True):
    """Time that counts neither in gaps nor in answer times; ``until`` ``None``: five business days.

    ``version`` is the event that began it.
    """

    start: datetime
    until: datetime | None
    version: int


class LostContactPoint(msgspec.Struct, frozen=True):
    """A contact point that failed, or (``address`` ``None``) a channel that they want no more of.

    ``at`` is when that was recorded.
    """

    channel: Channel
    address: str | None
    at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """An attempt of the running silence, as it was recorded.

    ``gap_from`` is the version of the attempt that ``gap`` was measured from, or 0: a late fact can
    come between the two.
    """

    at: datetime
    version: int
    stage: AttemptStage
    step: str | None
    gap: Gap | None
    parts: tuple[Part, ...]
    is_spaced_call: bool = False
    """An attempt at stage ``spaced``, or an extra, with a call among its parts."""
    gap_from: int = 0


class Silence(msgspec.Struct, frozen=True):
    """The stretch since the last contact.

    Attributes:
        since: when it began.
        version: the event that began it.
        attempts: in the order in which they occurred.
        suspensions: in the order in which they began.
        spaced_calls: how many of the attempts are spaced calls (rule ``spaced_cap``).
        largest_gap: the largest gap, as measured then, since the on-time attempt (rule ``gap``).
        unmeasured: positions of attempts whose gap to the one before was not measured then,
            because one of the two was learnt of late; ``charter.largest_gap`` measures them.
    """

    since: datetime
    version: int
    attempts: tuple[Attempt, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    spaced_calls: int = 0
    largest_gap: Gap = NO_GAP
    unmeasured: tuple[int, ...] = ()


class Prospect(msgspec.Struct, frozen=True):
    """One prospect after ``version`` events.

    Attributes:
        id: the prospect's id.
        version: how many events were folded.
        recorded_at: when the last of them was recorded.
        stage: where the prospect stands.
        silence: the running silence.
        contact: the contact that began it.
        stage_at: when what brought the prospect to its stage was recorded.
        zones: IANA names, one or several candidates.
        failed: (channel, address) pairs that must never be used again.
        failed_at: when we last learnt that a contact point is lost, by failure or opt-out.
        opted_out: channels they want no more of; all five after an opt-out from everything.
        opted_out_at: when the last opt-out occurred; an opt-in said before it lifts nothing.
        preferred_hours: local hours as ``"HH:MM-HH:MM"``.
        appointment: the standing appointment, until its on-time attempt.
        kept: the appointment that the on-time attempt of this silence was made for.
        pause_until: the end of a pause that they asked for in the last contact.
        policy: the policy adopted; ``None`` means the default.
        not_before: the time promised for the next touch when the policy was adopted.
        end: the reason of the end that counts, while ended or opted out after it.
        reopened: version of the reopening that still waits for a contact, or 0.
        reopened_at: when it was recorded.
        kept_contact: version of a contact that came after the end and waits for the owner, or 0.
        kept_at: when it was recorded.
        end_version: the event of the end that counts, or the last that did, or 0.
        failed_version: the event by which the last contact point failed, or 0.
        opted_out_version: the last opt-out, or 0.
        recent: attempts that are not of the running silence (of earlier ones, and conversations),
            in their order, as far as they are at most :data:`RECENT_DAYS` older than the newest.
        guidelines_version: the event by which they agreed to be followed up, or 0.
        lost: what of ``failed`` and ``opted_out`` was learnt when: what was tried before that broke
            nothing that was known.
    """

    id: str
    version: int
    recorded_at: datetime
    stage: Stage
    silence: Silence
    response: Response
    stage_at: datetime
    name: str = ""
    zones: tuple[str, ...] = ("UTC",)
    country: str | None = None
    subdivision: str | None = None
    owner: str | None = None
    source: str | None = None
    contact_points: tuple[ContactPoint, ...] = ()
    failed: frozenset[tuple[Channel, str]] = frozenset()
    opted_out: frozenset[Channel] = frozenset()
    guidelines_agreed: bool = False
    preferred_channel: Channel | None = None
    preferred_hours: str | None = None
    preference_version: int = 0
    interests: tuple[str, ...] = ()
    values: tuple[ValueNoted, ...] = ()
    used_values: frozenset[str] = frozenset()
    appointment: Appointment | None = None
    pause_until: datetime | None = None
    policy: PolicyRef | None = None
    policy_version: int = 0
    not_before: datetime | None = None
    end: EndReason | None = None
    reopened: int = 0
    pending_response: int = 0
    kept: Appointment | None = None
    failed_at: datetime | None = None
    opted_out_at: datetime | None = None
    reopened_at: datetime | None = None
    pending_response_at: datetime | None = None
    end_version: int = 0
    failed_version: int = 0
    opted_out_version: int = 0
    recent: tuple[Attempt, ...] = ()
    guidelines_version: int = 0
    lost: tuple[LostContactPoint, ...] = ()

    def made_at(self, stage: Stage) -> int:
        """How many attempts of the running silence took a place at ``stage``."""
        name = stage.value
        return sum(1 for attempt in self.silence.attempts if attempt.stage.value == name)

    def next_value(self) -> ValueNoted | None:
        """The first reason worth a call that has not been used; each is used once."""
        for value in self.values:
            if value.id not in self.used_values:
                return value
        return None

    def exit_delivered(self) -> tuple[Attempt, tuple[Part, ...]] | None:
        """The last polite exit that reached them, and the parts that did; or ``None``.

        A part counts when it was sent, left or connected and its contact point has not failed
        since (rule ``polite_exit``).
        """
        for attempt in self.exits():
            parts = tuple(
                part
                for part in attempt.parts
                if part.disposition in DELIVERED and not self._has_failed(part)
            )
            if parts:
                return attempt, parts
        return None

    def _has_failed(self, part: Part) -> bool:
        if part.address is not None:
            return (part.channel, part.address) in self.failed
        # Nobody wrote down which address was used, so a failure of any may be of this one.
        return any(channel is part.channel for channel, _ in self.failed)

    def exits(self) -> list[Attempt]:
        """The polite exits since any other outreach, the last first."""
        found: list[Attempt] = []
        for attempt in reversed(self.silence.attempts):
            if attempt.stage is AttemptStage.POLITE_EXIT:
                found.append(attempt)
            elif attempt.stage is not AttemptStage.EXTRA:
                break
        return found
