"""Define the events that can happen to a prospect, in the past tense, as frozen structs.

An :class:`Event` is an envelope (prospect, version, times) around its *data* (what happened). The
data types are those of section 4 of the design. They are shapes and judge nothing, because a fact
is never refused. Instants are aware and in UTC. Optional fields are ``None`` where they are not
given, and the JSON leaves them out.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec

__all__ = [
    "DATA_TYPES",
    "DELIVERED",
    "AppointmentCancelled",
    "AppointmentSet",
    "AttemptMade",
    "AttemptStage",
    "AutoReplyReceived",
    "Aware",
    "Channel",
    "ContactPoint",
    "ContactPointAdded",
    "ContactPointFailed",
    "Data",
    "Disposition",
    "EndReason",
    "Event",
    "FailureReason",
    "FollowUpEnded",
    "FollowUpReopened",
    "Gap",
    "GuidelinesAgreed",
    "Intent",
    "InterestNoted",
    "OptOutRequested",
    "OptedBackIn",
    "Part",
    "PauseRequested",
    "PolicyAdopted",
    "PolicyRef",
    "PreferenceStated",
    "ProspectAdded",
    "ProspectUpdated",
    "ReferralGiven",
    "ReplyReceived",
    "ValueKind",
    "ValueNoted",
    "type_name",
]

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant: a datetime with a zone (naive ones do not decode)."""

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

Zones = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

PolicyVersion = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class Channel(StrEnum):
    """A means of reaching a person."""

    CALL = "call"
    EMAIL = "email"
    SMS = "sms"
    MAIL = "mail"
    VIDEO_EMAIL = "video_email"


class Disposition(StrEnum):
    """How one part of an attempt went."""

    CONNECTED = "connected"
    NO_ANSWER = "no_answer"
    VOICEMAIL_LEFT = "voicemail_left"
    BUSY = "busy"
    WRONG_NUMBER = "wrong_number"
    SENT = "sent"
    BOUNCED = "bounced"
    UNKNOWN = "unknown"


DELIVERED: Final = frozenset({Disposition.SENT, Disposition.VOICEMAIL_LEFT, Disposition.CONNECTED})
"""Dispositions after which the prospect has our message (invariant ``polite_exit``)."""


class AttemptStage(StrEnum):
    """The outreach stage an attempt took the place of, or ``extra`` for none."""

    ON_TIME = "on_time"
    TEN_MINUTES = "ten_minutes"
    HALF_DAY = "half_day"
    SPACED = "spaced"
    CONCERN = "concern"
    NURTURE = "nurture"
    POLITE_EXIT = "polite_exit"
    EXTRA = "extra"


class FailureReason(StrEnum):
    """Why a contact point must never be used again."""

    WRONG_NUMBER = "wrong_number"
    BOUNCED = "bounced"


class Intent(StrEnum):
    """What a reply asks for."""

    YES = "yes"
    NO = "no"
    LATER = "later"
    QUESTION = "question"


class ValueKind(StrEnum):
    """Whether a reason worth a call concerns the person or their business."""

    PERSONAL = "personal"
    PROFESSIONAL = "professional"


class EndReason(StrEnum):
    """Why a follow-up ended: ``won`` for bought, ``lost`` for three, ``closed`` for two."""

    BOUGHT = "bought"
    DECLINED = "declined"
    DISQUALIFIED = "disqualified"
    DECEASED = "deceased"
    NO_RESPONSE = "no_response"
    UNREACHABLE = "unreachable"


class ContactPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address on a channel: a phone number, a mail address."""

    channel: Channel
    address: NonEmpty


class Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One channel's share of an attempt."""

    channel: Channel
    disposition: Disposition
    address: str | None = None


class Gap(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """The distance between two attempts, compared as the pair (business days, minutes).

    ``minutes`` is 0 whenever ``business_days`` is not: elapsed time can't be the measure, because
    three business days over a weekend are longer than the three that follow (design, section 6).
    """

    business_days: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    minutes: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class PolicyRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which policy an attempt was made under; ``digest`` is the SHA-256 of its canonical form."""

    name: str
    version: PolicyVersion
    digest: str


class _Data(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=True,
):
    """Base of all event data."""


class ProspectAdded(_Data, frozen=True):
    """A person to follow up with was added. ``timezone``: an IANA name, or several candidates."""

    name: str
    timezone: str | Zones
    country: str | None = None
    subdivision: str | None = None
    contact_points: tuple[ContactPoint, ...] = ()
    source: str | None = None
    owner: str | None = None


class ProspectUpdated(_Data, frozen=True):
    """Fields of the prospect were corrected; ``None`` leaves a field as it was."""

    name: str | None = None
    timezone: str | Zones | None = None
    country: str | None = None
    subdivision: str | None = None
    owner: str | None = None


class ContactPointAdded(_Data, frozen=True):
    """We learnt another contact point of theirs."""

    channel: Channel
    address: NonEmpty
    reason: str | None = None


class ContactPointFailed(_Data, frozen=True):
    """A contact point did not reach them; it is never used again (rule ``contact_point``)."""

    channel: Channel
    address: NonEmpty
    reason: FailureReason | None = None


class GuidelinesAgreed(_Data, frozen=True):
    """They agreed that we follow up, and know that they may say no."""

    note: str | None = None


class PreferenceStated(_Data, frozen=True):
    """They named the channel or the local hours (``"18:00-20:00"``) that they prefer."""

    channel: Channel | None = None
    hours: str | None = None


class InterestNoted(_Data, frozen=True):
    """They said what they care about; ``text`` is in their words."""

    text: str


class ValueNoted(_Data, frozen=True):
    """We noted a reason worth a call; each is used once."""

    id: str
    text: str
    kind: ValueKind


class AppointmentSet(_Data, frozen=True):
    """We agreed on a call at exactly this instant."""

    at: Aware


class AppointmentCancelled(_Data, frozen=True):
    """The appointment was called off."""


class AttemptMade(_Data, frozen=True, tag="AttemptMade.2"):
    """We made an attempt. What was decided then is kept with it.

    So a policy that is edited later can't rewrite it. ``stage`` and ``step``: the place it took in
    the plan. ``touch``: the id of the touch it carried out. ``gap``: the distance to the attempt
    before it, as measured then. ``value``: the id of the value used. ``broke``: the ids of the
    rules it broke. ``why``: the reason given for going off policy (ADR 0002).

    This is stored shape 2; shape 1 had one channel an attempt, and the store converts it.
    """

    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1)]
    stage: AttemptStage | None = None
    step: str | None = None
    touch: str | None = None
    gap: Gap | None = None
    value: str | None = None
    policy: PolicyRef | None = None
    broke: tuple[str, ...] = ()
    why: str | None = None

    @property
    def connected(self) -> bool:
        """Whether a part reached the person: the attempt is then a conversation, and a response."""
        return Disposition.CONNECTED in [part.disposition for part in self.parts]

    @property
    def has_call(self) -> bool:
        """Whether a call is among the parts, for the cap on spaced calls (``spaced_cap``)."""
        return Channel.CALL in [part.channel for part in self.parts]


class ReplyReceived(_Data, frozen=True):
    """They replied."""

    channel: Channel
    intent: Intent | None = None


class AutoReplyReceived(_Data, frozen=True):
    """An out-of-office reply came: no response, it suspends until ``until`` or 5 business days."""

    channel: Channel
    until: Aware | None = None


class PauseRequested(_Data, frozen=True):
    """They asked us to wait until then."""

    until: Aware


class ReferralGiven(_Data, frozen=True):
    """They named another person to talk to."""

    name: str
    contact_points: tuple[ContactPoint, ...] = ()


class OptOutRequested(_Data, frozen=True):
    """They asked for no more messages on this channel, or (``None``) on any."""

    channel: Channel | None = None


class OptedBackIn(_Data, frozen=True):
    """They took an opt-out back, for one channel or (``None``) for all."""

    channel: Channel | None = None


class PolicyAdopted(_Data, frozen=True):
    """The prospect moved to this policy; ``not_before``: the time already promised."""

    name: str
    version: PolicyVersion
    digest: str
    not_before: Aware | None = None


class FollowUpEnded(_Data, frozen=True):
    """The follow-up ended as won, lost or closed."""

    reason: EndReason


class FollowUpReopened(_Data, frozen=True):
    """An ended follow-up was taken up again; outreach waits for a response."""

    why: str


Data = (
    ProspectAdded
    | ProspectUpdated
    | ContactPointAdded
    | ContactPointFailed
    | GuidelinesAgreed
    | PreferenceStated
    | InterestNoted
    | ValueNoted
    | AppointmentSet
    | AppointmentCancelled
    | AttemptMade
    | ReplyReceived
    | AutoReplyReceived
    | PauseRequested
    | ReferralGiven
    | OptOutRequested
    | OptedBackIn
    | PolicyAdopted
    | FollowUpEnded
    | FollowUpReopened
)
"""The data of an event: what happened."""

DATA_TYPES: Final[dict[str, type[Data]]] = {cls.__name__: cls for cls in Data.__args__}
"""The event types by their names in JSON and in the database."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One event of one prospect.

    Attributes:
        prospect: the id of the prospect, whose stream it belongs to.
        version: its place in that stream: 1, 2, … without holes.
        occurred_at: when it happened; aware, in UTC.
        recorded_at: when we learnt of it; aware, in UTC.
        data: what happened.
        by: who recorded it.
        correlation: what it belongs to, such as a campaign.
        command_id: the command it came from; repeating that command has no second effect.
        uncertain: why ``occurred_at`` is not certain.
    """

    prospect: str
    version: int
    occurred_at: Aware
    recorded_at: Aware
    data: Data
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None
    uncertain: str | None = None

    # The two names under which the eventsourcing package asks for identity and position.
    @property
    def originator_id(self) -> str:
        """The prospect's id."""
        return self.prospect

    @property
    def originator_version(self) -> int:
        """The event's version."""
        return self.version


def type_name(data: Data) -> str:
    """Return the stable name of an event's type, e.g. ``"AttemptMade"``."""
    return type(data).__name__
