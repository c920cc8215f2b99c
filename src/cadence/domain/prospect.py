"""The prospect: everything that the events so far say about one person, as an immutable value.

Nothing in here is decided; ``domain/fold.py`` folds the events into it. The fields stand in groups:
who they are (:class:`Identity`), how they can be reached (:class:`Reachability`), the running
silence (:class:`Silence`) and how the follow-up ended (:class:`Ending`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from cadence.domain.addresses import UNUSABLE, covers
from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.events import (
    DELIVERED,
    AttemptStage,
    ContactPoint,
    EndReason,
    Gap,
    Intent,
    Part,
    PolicyRef,
    ReferralGiven,
    ValueNoted,
    WordRef,
)
from cadence.domain.stages import Stage
from cadence.domain.words import NOWHERE, Elsewhere, Failure, MergedRecord, OptOuts

__all__ = [
    "NO_GAP",
    "RECENT_DAYS",
    "Appointment",
    "Attempt",
    "Ending",
    "Identity",
    "Prospect",
    "Reachability",
    "Response",
    "ResponseKind",
    "Silence",
    "Suspension",
    "UnreadableEvent",
    "is_same_address",
]

NO_GAP: Final = Gap(0, 0)
"""What the ratchet starts from."""
RECENT_DAYS: Final = 90
"""How long attempts are remembered beyond their silence; caps on frequency reach no further."""

_BRINGING: Final = frozenset({AttemptStage.SPACED, AttemptStage.NURTURE})
"""An attempt of these stages brings something of value, and uses it up."""


class ResponseKind(StrEnum):
    """How the last silence ended (``added``: this is the first silence)."""

    ADDED = "added"
    REPLY = "reply"
    CONVERSATION = "conversation"
    PAUSE = "pause"
    OPT_IN = "opt_in"
    REFERRAL = "referral"


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


class Attempt(msgspec.Struct, frozen=True):
    """An attempt as it was recorded.

    Attributes:
        at: when it was made.
        version: its event.
        stage: the stage whose place it took, or ``extra``.
        step: the step whose place it took.
        gap: the distance to the attempt before it, as measured then.
        parts: one a channel.
        is_spaced_call: an attempt at stage ``spaced``, or an extra, with a call among its parts.
        gap_from: version of the attempt that ``gap`` was measured from, or 0: a late fact can come
            between the two.
        touch: the touch that it carries out; a part that is logged alone joins it.
    """

    at: datetime
    version: int
    stage: AttemptStage
    step: str | None
    gap: Gap | None
    parts: tuple[Part, ...]
    is_spaced_call: bool = False
    gap_from: int = 0
    touch: str | None = None


class Silence(msgspec.Struct, frozen=True):
    """The stretch since the last response.

    Counts stand beside the attempts they are counted from, so that a decision need not count.

    Attributes:
        response: what began it.
        attempts: in the order in which they occurred.
        suspensions: in the order in which they began.
        spaced_calls: how many of the attempts are spaced calls (rule ``spaced_cap``).
        largest_gap: the largest gap, as measured then, since the on-time attempt (rule ``gap``).
        unmeasured: positions of attempts whose gap to the one before was not measured then,
            because one of the two was learnt of late; ``invariants.largest_gap`` measures them.
        is_joined: a response in it was taken back, or two records were merged, so it was two
            silences before. A polite exit that was delivered stays delivered, whatever was sent in
            the second.
        merged: the last merge in it, or 0. All attempts up to it were known to one record or the
            other.
        merged_gap: the largest gap that one of the two had to keep then.
    """

    response: Response
    attempts: tuple[Attempt, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    spaced_calls: int = 0
    largest_gap: Gap = NO_GAP
    unmeasured: tuple[int, ...] = ()
    is_joined: bool = False
    merged: int = 0
    merged_gap: Gap = NO_GAP

    @property
    def since(self) -> datetime:
        """When it began."""
        return self.response.at

    @property
    def version(self) -> int:
        """The event that began it."""
        return self.response.version

    @property
    def known(self) -> tuple[Attempt, ...]:
        """The attempts made since we knew of the response, in the order in which they occurred.

        What was made before that broke nothing, and no gap and no frequency counts from it.
        """
        version, merged = self.response.version, self.merged
        return tuple(
            [one for one in self.attempts if one.version >= version or one.version <= merged]
        )


class Identity(msgspec.Struct, frozen=True):
    """Who and where they are.

    Attributes:
        name: as it was given.
        zones: IANA names, one or several candidates.
        country: ISO 3166; ``None``: only weekends are closed.
        subdivision: its state, region or canton.
        owner: who follows up.
        source: where they came from.
        given_name, family_name, salutation, language, company: what messages are written with.
    """

    name: str = ""
    zones: tuple[str, ...] = ("UTC",)
    country: str | None = None
    subdivision: str | None = None
    owner: str | None = None
    source: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    salutation: str | None = None
    language: str | None = None
    company: str | None = None


class Reachability(msgspec.Struct, frozen=True):
    """How they can be reached, and how they want to be.

    Attributes:
        contact_points: in the order in which they became known, failed ones included.
        failed: keys that must never be used again, on any channel, and what says so.
        restored: keys that failed and work again, and when that was recorded.
        former: keys that were theirs once; what they said holds there too.
        opted_out: channels they opted out of.
        failed_at: when a contact point was last recorded as lost, by failure, removal or opt-out.
        failed_version: the event by which the last contact point failed, or 0.
        opted_out_at: when the last opt-out occurred; an opt-in said before it lifts nothing.
        opted_out_version: the last opt-out, or 0.
        lifted: opt-outs of other holders that count no longer since they opted back in, each with
            the channel (``None``: all).
        not_same: prospects with an address of theirs who are other people.
        preferred_channel: the channel they prefer.
        preferred_hours: local hours as ``"HH:MM-HH:MM"``.
        preference_version: the event that stated it, or 0.
    """

    contact_points: tuple[ContactPoint, ...] = ()
    failed: Mapping[str, Failure] = {}
    restored: Mapping[str, datetime] = {}
    former: frozenset[str] = frozenset()
    opted_out: OptOuts = OptOuts()
    failed_at: datetime | None = None
    failed_version: int = 0
    opted_out_at: datetime | None = None
    opted_out_version: int = 0
    lifted: tuple[tuple[Channel | None, WordRef], ...] = ()
    not_same: frozenset[str] = frozenset()
    preferred_channel: Channel | None = None
    preferred_hours: str | None = None
    preference_version: int = 0

    def has_failed(self, key: str, by: datetime | None = None) -> bool:
        """Return whether a key has failed; with ``by``, whether that was recorded by then.

        A number that failed has failed with every extension.
        """
        if not self.failed:
            return False
        return any(
            covers(failed, key) and (by is None or one.at <= by)
            for failed, one in self.failed.items()
        )

    def has(self, point: ContactPoint) -> bool:
        """Return whether they have an address on its channel, however it is spelled."""
        return any(
            one.channel == point.channel and is_same_address(one, point)
            for one in self.contact_points
        )

    @property
    def is_opted_out(self) -> bool:
        """Whether they opted out of every channel they have.

        One that they left open by name is theirs too, before its address is known.
        """
        if not self.opted_out:
            return False
        known = {point.channel for point in self.contact_points} or set(CHANNELS)
        return all(one in self.opted_out for one in known | self.opted_out.exceptions)

    @property
    def unread(self) -> tuple[ContactPoint, ...]:
        """The contact points whose address has no key yet; only histories from before have any."""
        return tuple([point for point in self.contact_points if point.key is None])


def is_same_address(one: ContactPoint, other: ContactPoint) -> bool:
    """Return whether two contact points have one address; unusable ones are spelled alike."""
    if one.same == UNUSABLE == other.same:
        return one.address == other.address
    return one.same == other.same


class Ending(msgspec.Struct, frozen=True):
    """How the follow-up ended, and what came after that.

    Attributes:
        reason: that of the end that counts, while ended or opted out after it.
        version: the event of the end that counts, or the last that did, or 0.
        pending_response: version of a response that came after the end and waits for the owner,
            or 0.
        pending_response_at: when it was recorded.
        reopened: version of the reopening that still waits for a response, or 0.
        reopened_at: when it was recorded.
        into: the record that goes on for this one, at stage ``merged``.
    """

    reason: EndReason | None = None
    version: int = 0
    pending_response: int = 0
    pending_response_at: datetime | None = None
    reopened: int = 0
    reopened_at: datetime | None = None
    into: str | None = None


class UnreadableEvent(msgspec.Struct, frozen=True):
    """An event that this version can't read; until it can, nothing is decided.

    Attributes:
        version: the event's.
        recorded_at: when it was recorded, as far as that is known.
        what: why it can't be read.
        is_damaged: its row is broken or missing; otherwise a newer version wrote it.
    """

    version: int
    recorded_at: datetime
    what: str
    is_damaged: bool


class Prospect(msgspec.Struct, frozen=True):
    """One prospect after ``version`` events.

    Attributes:
        id: the prospect's id.
        version: how many events were folded.
        recorded_at: when the last of them was recorded.
        stage: where the prospect stands.
        stage_at: when what brought the prospect to its stage was recorded.
        silence: the running silence.
        newest: when the newest of the events occurred.
        added_at: when the first of them was recorded.
        identity: who and where they are.
        reach: how they can be reached.
        ending: how the follow-up ended.
        appointment: the standing appointment, until its on-time attempt.
        kept_appointment: the appointment that the on-time attempt of this silence was made for.
        pause_until: the end of a pause that they asked for in the last response.
        policy: the policy they are under; ``None``, in histories from before, means the default.
        policy_version: the event that says so, or 0.
        not_before: the time promised for the next touch when the policy was adopted.
        guidelines_agreed: whether they agreed to be followed up.
        guidelines_version: the event by which they did, or 0.
        interests: what they care about.
        referral: the person they named, where the last response was a referral.
        values: reasons worth a call.
        used_values: ids of the values that were used.
        recent: attempts that are not of the running silence (of earlier ones, and conversations),
            in their order, as far as they are at most :data:`RECENT_DAYS` older than the newest.
        merged: the records that were merged into this one, by id.
        unreadable: the first event that can't be read, or that takes another back where the
            history before it is not at hand.
        elsewhere: what other records say to them. It is no part of the fold: who decides reads it
            beside the history.
    """

    id: str
    version: int
    recorded_at: datetime
    stage: Stage
    stage_at: datetime
    silence: Silence
    newest: datetime
    added_at: datetime
    identity: Identity = Identity()
    reach: Reachability = Reachability()
    ending: Ending = Ending()
    appointment: Appointment | None = None
    kept_appointment: Appointment | None = None
    pause_until: datetime | None = None
    policy: PolicyRef | None = None
    policy_version: int = 0
    not_before: datetime | None = None
    guidelines_agreed: bool = False
    guidelines_version: int = 0
    interests: tuple[str, ...] = ()
    referral: ReferralGiven | None = None
    values: tuple[ValueNoted, ...] = ()
    used_values: frozenset[str] = frozenset()
    recent: tuple[Attempt, ...] = ()
    merged: Mapping[str, MergedRecord] = {}
    unreadable: UnreadableEvent | None = None
    elsewhere: Elsewhere = NOWHERE

    @property
    def response(self) -> Response:
        """The last response; it began the running silence."""
        return self.silence.response

    def made_at(self, stage: Stage) -> int:
        """Count the attempts of the running silence that took a place at ``stage``."""
        name = stage.value
        return sum(1 for attempt in self.silence.attempts if attempt.stage.value == name)

    def next_value(self) -> ValueNoted | None:
        """Return the next reason worth a call that has not been used; each is used once.

        Personal and professional ones take turns, as long as there are both; of one kind in the
        order in which they were noted.
        """
        used = [value.kind for value in self.values if value.id in self.used_values]
        unused = [value for value in self.values if value.id not in self.used_values]
        return min(unused, key=lambda value: used.count(value.kind), default=None)

    def value_used(self, stage: AttemptStage) -> str | None:
        """Return the id of the value that an attempt of this stage uses up now; ``None``: none."""
        value = self.next_value() if stage in _BRINGING else None
        return None if value is None else value.id

    def exit_delivered(self) -> tuple[Attempt, tuple[Part, ...]] | None:
        """Return the last delivered polite exit and its delivered parts; ``None`` if there is none.

        A part counts when it was sent, left or connected at a known address that has not failed
        since (rule ``polite_exit``).
        """
        for attempt in self.exits():
            parts = tuple(
                [
                    part
                    for part in attempt.parts
                    if part.disposition in DELIVERED
                    and part.same
                    and not self.reach.has_failed(part.same)
                ]
            )
            if parts:
                return attempt, parts
        return None

    def exits(self) -> list[Attempt]:
        """Return the polite exits since any other outreach, the last first."""
        exits: list[Attempt] = []
        for attempt in reversed(self.silence.attempts):
            if attempt.stage is AttemptStage.POLITE_EXIT:
                exits.append(attempt)
            elif attempt.stage is not AttemptStage.EXTRA and not self.silence.is_joined:
                break
        return exits
