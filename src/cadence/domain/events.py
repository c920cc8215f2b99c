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

from cadence.domain.channels import SPOKEN, ChannelName

__all__ = [
    "DATA_TYPES",
    "DELIVERED",
    "FAILING",
    "MERGED_FROM",
    "SOFT_FAILURES",
    "AddressesRead",
    "AppointmentCancelled",
    "AppointmentSet",
    "AttemptMade",
    "AttemptStage",
    "AutoReplyReceived",
    "Aware",
    "ContactPoint",
    "ContactPointAdded",
    "ContactPointFailed",
    "ContactPointRemoved",
    "ContactPointRestored",
    "Data",
    "Disposition",
    "EndReason",
    "Event",
    "EventCorrected",
    "EventRetracted",
    "FailureReason",
    "FollowUpEnded",
    "FollowUpReopened",
    "Gap",
    "GuidelinesAgreed",
    "Intent",
    "InterestNoted",
    "Noted",
    "OptOutRequested",
    "OptedBackIn",
    "Part",
    "PauseRequested",
    "PolicyAdopted",
    "PolicyRef",
    "PreferenceStated",
    "ProspectAdded",
    "ProspectUpdated",
    "ProspectsMerged",
    "ReferralGiven",
    "ReplyReceived",
    "SamePersonDenied",
    "Unreadable",
    "ValueKind",
    "ValueNoted",
    "WordRef",
    "ends_outreach",
    "type_name",
]

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
"""An instant: a datetime with a zone (naive ones do not decode)."""

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]

Zones = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]

Version = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


MERGED_FROM: Final = "merged_from"
"""The name in an event's ``meta`` of the merged record that it came for."""


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


FAILING: Final = frozenset({Disposition.WRONG_NUMBER, Disposition.BOUNCED})
"""Dispositions after which the address has failed (invariant ``contact_point``)."""


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
    """Why a contact point did not reach them; all but the soft failures are for good."""

    WRONG_NUMBER = "wrong_number"
    BOUNCED = "bounced"
    DISCONNECTED = "disconnected"
    MAILBOX_FULL = "mailbox_full"
    TEMPORARY = "temporary"


SOFT_FAILURES: Final = frozenset({FailureReason.MAILBOX_FULL, FailureReason.TEMPORARY})
"""Reasons that pass by themselves: they are recorded, and the contact point stays in use."""


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
    """Why a follow-up ended: ``won`` for bought, ``lost`` for three, ``closed`` for three.

    ``mistaken``: it should never have been added. ``merged``: another record of the person goes on.
    """

    BOUGHT = "bought"
    DECLINED = "declined"
    DISQUALIFIED = "disqualified"
    DECEASED = "deceased"
    NO_RESPONSE = "no_response"
    UNREACHABLE = "unreachable"
    MISTAKEN = "mistaken"
    MERGED = "merged"


class ContactPoint(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An address on a channel: a phone number, a mail address.

    Attributes:
        channel: the means of reaching them.
        address: as it was given.
        key: its normal form (``domain/addresses.py``); ``""`` where the address can't be read.
            The service fills it in. Histories from before have none: there the address stands
            for it.
    """

    channel: ChannelName
    address: NonEmpty
    key: str | None = None

    @property
    def same(self) -> str:
        """What is compared: the key, or the address of a history that has no keys."""
        return self.address if self.key is None else self.key


class Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One channel's share of an attempt.

    Attributes:
        channel: the means that was used.
        disposition: how it went.
        address: what was used, as it was given.
        key: its normal form, like that of a :class:`ContactPoint`.
        spoken: whether the channel is spoken; ``None``: as the built-in channel is.
        intent: what they asked for, where the part connected.
    """

    channel: ChannelName
    disposition: Disposition
    address: str | None = None
    key: str | None = None
    spoken: bool | None = None
    intent: Intent | None = None

    @property
    def same(self) -> str | None:
        """What is compared: the key, or the address of a history that has no keys."""
        return self.address if self.key is None else self.key

    @property
    def is_call(self) -> bool:
        """Whether it counts as a call (``spaced_cap``, connect rates)."""
        return self.channel in SPOKEN if self.spoken is None else self.spoken


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
    version: Version
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
    """A person to follow up with was added.

    Attributes:
        name: their full name.
        timezone: an IANA name, or several candidates.
        country: ISO 3166; without one only weekends are closed.
        subdivision: its state, region or canton.
        contact_points: how they can be reached.
        source: where they came from, such as a list or a referral.
        owner: who follows up.
        given_name, family_name, salutation, language, company: what messages are written with.
        policy: the policy they are under from the start; histories from before have none.
    """

    name: str
    timezone: str | Zones
    country: str | None = None
    subdivision: str | None = None
    contact_points: tuple[ContactPoint, ...] = ()
    source: str | None = None
    owner: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    salutation: str | None = None
    language: str | None = None
    company: str | None = None
    policy: PolicyRef | None = None


class ProspectUpdated(_Data, frozen=True):
    """Fields of the prospect were corrected; ``None`` leaves a field as it was."""

    name: str | None = None
    timezone: str | Zones | None = None
    country: str | None = None
    subdivision: str | None = None
    owner: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    salutation: str | None = None
    language: str | None = None
    company: str | None = None


class ContactPointAdded(_Data, frozen=True):
    """We learnt another contact point of theirs."""

    channel: ChannelName
    address: NonEmpty
    reason: str | None = None
    key: str | None = None


class ContactPointFailed(_Data, frozen=True):
    """A contact point did not reach them (rule ``contact_point``).

    Its key is never used again, on every channel that shares it. A soft failure
    (:data:`SOFT_FAILURES`) is only kept in the history.
    """

    channel: ChannelName
    address: NonEmpty
    reason: FailureReason | None = None
    key: str | None = None
    why: str | None = None


class ContactPointRestored(_Data, frozen=True):
    """A contact point that had failed works again; ``why``: how we know."""

    channel: ChannelName
    address: NonEmpty
    why: NonEmpty
    key: str | None = None


class ContactPointRemoved(_Data, frozen=True):
    """A contact point was never theirs, or is not theirs any more; ``why``: how we know."""

    channel: ChannelName
    address: NonEmpty
    why: NonEmpty
    key: str | None = None


class AddressesRead(_Data, frozen=True):
    """The addresses of a history from before got their keys; recorded once."""

    contact_points: tuple[ContactPoint, ...]


class Noted(_Data, frozen=True):
    """A team's own event, such as a demo given; it is kept, and changes nothing.

    Attributes:
        kind: the team's name for it.
        data: its values, by name.
    """

    kind: NonEmpty
    data: dict[str, str] | None = None


class GuidelinesAgreed(_Data, frozen=True):
    """They agreed that we follow up, and know that they may say no."""

    note: str | None = None


class PreferenceStated(_Data, frozen=True):
    """They named the channel or the local hours (``"18:00-20:00"``) that they prefer."""

    channel: ChannelName | None = None
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
    before it, as measured then, and ``gap_from`` the version of that attempt. ``value``: the id of
    the value used. ``broke``: the ids of the rules it broke. ``why``: the reason given for going
    off policy (ADR 0002). ``note``: private; no script may use it.

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
    gap_from: Version | None = None
    note: str | None = None

    @property
    def connected(self) -> bool:
        """Whether a part reached the person: the attempt is then a conversation, and a response."""
        return Disposition.CONNECTED in [part.disposition for part in self.parts]

    @property
    def has_call(self) -> bool:
        """Whether a call is among the parts, for the cap on spaced calls (``spaced_cap``)."""
        return any(part.is_call for part in self.parts)

    @property
    def intent(self) -> Intent | None:
        """What they asked for in the conversation, if a part says so."""
        return next((part.intent for part in self.parts if part.intent is not None), None)


class ReplyReceived(_Data, frozen=True):
    """They replied."""

    channel: ChannelName
    intent: Intent | None = None


class AutoReplyReceived(_Data, frozen=True):
    """An out-of-office reply came: no response, it suspends until ``until`` or 5 business days."""

    channel: ChannelName
    until: Aware | None = None


class PauseRequested(_Data, frozen=True):
    """They asked us to wait until then."""

    until: Aware


class ReferralGiven(_Data, frozen=True):
    """They named another person to talk to: a response, and a task for the owner."""

    name: str
    contact_points: tuple[ContactPoint, ...] = ()


class OptOutRequested(_Data, frozen=True):
    """They asked for no more messages.

    Attributes:
        channel: on this channel only; ``None``: on every channel, also on those that a policy
            declares later.
        except_channels: where ``channel`` is ``None``, the channels on which they still agree.
        address: the address that they said it from.
        key: its normal form; the opt-out holds for every holder of it.
    """

    channel: ChannelName | None = None
    except_channels: tuple[ChannelName, ...] = ()
    address: NonEmpty | None = None
    key: str | None = None


class WordRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What another prospect had said by one of its events.

    Attributes:
        prospect: the other prospect.
        version: its last event that counts.
    """

    prospect: str
    version: Version


class OptedBackIn(_Data, frozen=True):
    """They took an opt-out back, for one channel or (``None``) for all.

    Attributes:
        channel: on this channel only.
        address: the address that they said it from.
        key: its normal form.
        why: how we know.
        lifts: the opt-outs of other holders of their addresses that were known then. For this
            prospect they count no longer (rule ``suppressed``); the service fills them in.
    """

    channel: ChannelName | None = None
    address: NonEmpty | None = None
    key: str | None = None
    why: str | None = None
    lifts: tuple[WordRef, ...] = ()


class SamePersonDenied(_Data, frozen=True):
    """Another prospect with one of their addresses is another person (rule ``suppressed``).

    It holds for both, and for what either says later.

    Attributes:
        prospect: the other one's id.
        why: how we know.
    """

    prospect: NonEmpty
    why: NonEmpty


class PolicyAdopted(_Data, frozen=True):
    """The prospect moved to this policy; ``not_before``: the time already promised."""

    name: str
    version: Version
    digest: str
    not_before: Aware | None = None


class ProspectsMerged(_Data, frozen=True):
    """Another record of the same person was merged into this one, which goes on for both.

    What is taken over is a function of the other history (``domain/merging.py``), so that is what
    the event holds. Where something of it is taken back later, a correction brings it as it is
    then.

    Attributes:
        prospect: the other record's id.
        history: its events, without the end that the merge gave it.
        why: how we know that they are one person.
        keep: the id of the record whose end, or appointment, counts; ``None``: this one's.
        gap: the largest gap that either has to keep, as measured then; ``None``: as their attempts
            say.
    """

    prospect: NonEmpty
    history: Annotated[tuple[Event, ...], msgspec.Meta(min_length=1)]
    why: NonEmpty
    keep: str | None = None
    gap: Gap | None = None


class FollowUpEnded(_Data, frozen=True):
    """The follow-up ended as won, lost or closed, or in another record of the person.

    Attributes:
        reason: why.
        into: where it was merged, the id of the record that goes on.
    """

    reason: EndReason
    into: NonEmpty | None = None


class FollowUpReopened(_Data, frozen=True):
    """An ended follow-up was taken up again; outreach waits for a response."""

    why: str


class EventRetracted(_Data, frozen=True):
    """An earlier event never happened: it is kept and shown, and no longer counts.

    Attributes:
        version: the event.
        why: how we know.
    """

    version: Version
    why: str | None = None


class EventCorrected(_Data, frozen=True):
    """An earlier event happened otherwise: it is kept and shown, and this counts in its place.

    Attributes:
        version: the event.
        data: what happened; of the same type.
        occurred_at: when it happened; ``None``: when the event says.
        why: how we know.
    """

    version: Version
    data: Data
    occurred_at: Aware | None = None
    why: str | None = None


class Unreadable(_Data, frozen=True):
    """Stands where an event can't be read; it is made when a row is read, and never stored.

    Attributes:
        what: why it can't be read.
        is_damaged: the row is broken or missing; otherwise a newer version wrote it.
    """

    what: str
    is_damaged: bool = False


Data = (
    ProspectAdded
    | ProspectUpdated
    | ContactPointAdded
    | ContactPointFailed
    | ContactPointRestored
    | ContactPointRemoved
    | AddressesRead
    | Noted
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
    | SamePersonDenied
    | ProspectsMerged
    | PolicyAdopted
    | FollowUpEnded
    | FollowUpReopened
    | EventRetracted
    | EventCorrected
    | Unreadable
)
"""The data of an event: what happened."""

DATA_TYPES: Final[dict[str, type[Data]]] = {
    cls.__name__: cls for cls in Data.__args__ if cls is not Unreadable
}
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
        meta: a team's own texts by name: a recording, a campaign, a tenant.
    """

    prospect: str
    version: Version
    occurred_at: Aware
    recorded_at: Aware
    data: Data
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None
    uncertain: str | None = None
    meta: dict[str, str] | None = None

    @property
    def merged_from(self) -> str | None:
        """The merged record that it came for; ``None``: it came for the prospect itself."""
        return None if self.meta is None else self.meta.get(MERGED_FROM)

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


def ends_outreach(data: Data) -> bool:
    """Return whether an event keeps us from contacting them: an opt-out, a refusal, an end."""
    if isinstance(data, AttemptMade | ReplyReceived):
        return data.intent is Intent.NO
    return isinstance(data, OptOutRequested | FollowUpEnded)
