"""The bodies that the service takes, and the commands and facts that they become."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
)

from cadence.domain import (
    Channel,
    ContactPoint,
    Data,
    Disposition,
    EndReason,
    Intent,
    Part,
    ProspectAdded,
    ValueKind,
    parse_fact,
)
from cadence.engine import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    NoteValue,
    ReopenFollowUp,
    SetAppointment,
)

Name = Annotated[str, Field(min_length=1, max_length=500)]
Address = Annotated[str, Field(min_length=1, max_length=500)]
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def _written_out(value: object) -> object:
    """Check that an instant is a text as OpenAPI has it; pydantic takes numbers too."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("use an instant like 2026-12-01T14:00:00Z")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out)]
ChannelName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$", examples=["call", "email"])]


class Body(BaseModel):
    """A body without unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Reachable(Body):
    """An address, and by what it is used."""

    channel: ChannelName
    address: Address

    def contact_point(self) -> ContactPoint:
        """Return it as cadence has it."""
        return ContactPoint(Channel(self.channel), self.address)


class NewProspect(Body):
    """A person to follow up with."""

    name: Name
    timezone: Name = Field(examples=["America/New_York"])
    country: str | None = Field(None, examples=["US"])
    subdivision: str | None = None
    contact_points: list[Reachable] = []
    source: Name | None = None
    owner: Name | None = None
    language: str | None = None
    company: Name | None = None

    def command(self) -> ProspectAdded:
        """Return the command that adds them."""
        return ProspectAdded(
            self.name,
            self.timezone,
            self.country,
            self.subdivision,
            tuple(one.contact_point() for one in self.contact_points),
            self.source,
            self.owner,
            language=self.language,
            company=self.company,
        )


class DonePart(Body):
    """What was done on one channel, and how it went."""

    channel: ChannelName
    disposition: Disposition
    address: Address | None = None
    intent: Intent | None = None

    def part(self) -> Part:
        """Return it as cadence has it."""
        return Part(Channel(self.channel), self.disposition, self.address, intent=self.intent)


Parts = Annotated[list[DonePart], Field(min_length=1, max_length=10)]


class LogAttempt(Body):
    """Log an attempt; with `is_strict` it is refused where a rule forbids it."""

    type: Literal["log_attempt"]
    parts: Parts
    why: str | None = None
    note: str | None = None
    is_strict: StrictBool = False

    def command(self) -> Command:
        """Return the command."""
        parts = tuple(one.part() for one in self.parts)
        return MakeAttempt(parts, self.why, self.note, self.is_strict)


class Appoint(Body):
    """Agree to call at a time."""

    type: Literal["set_appointment"]
    at: Instant

    def command(self) -> Command:
        """Return the command."""
        return SetAppointment(self.at)


class Cancel(Body):
    """Cancel the appointment."""

    type: Literal["cancel_appointment"]

    def command(self) -> Command:
        """Return the command."""
        return CancelAppointment()


class Value(Body):
    """Note a reason worth a call."""

    type: Literal["note_value"]
    text: Name
    kind: ValueKind = ValueKind.PROFESSIONAL

    def command(self) -> Command:
        """Return the command."""
        return NoteValue(self.text, self.kind)


class End(Body):
    """End the follow-up."""

    type: Literal["end"]
    reason: EndReason

    def command(self) -> Command:
        """Return the command."""
        return EndFollowUp(self.reason)


class Reopen(Body):
    """Take an ended follow-up up again."""

    type: Literal["reopen"]
    why: Name

    def command(self) -> Command:
        """Return the command."""
        return ReopenFollowUp(self.why)


AnyCommand = Annotated[
    LogAttempt | Appoint | Cancel | Value | End | Reopen, Field(discriminator="type")
]


class Fact(Body):
    """What happened: recorded in any case, also late. `data`: see docs/reference/events.md."""

    type: Literal[
        "AutoReplyReceived",
        "ContactPointAdded",
        "ContactPointFailed",
        "ContactPointRestored",
        "GuidelinesAgreed",
        "InterestNoted",
        "Noted",
        "OptedBackIn",
        "OptOutRequested",
        "PauseRequested",
        "PreferenceStated",
        "ProspectUpdated",
        "ReferralGiven",
        "ReplyReceived",
    ]
    data: dict[str, JsonValue] = {}
    occurred_at: Instant | None = None

    def fact(self) -> Data:
        """Return it as cadence has it."""
        return parse_fact(self.type, self.data)


class Lease(Body):
    """For how long a touch is claimed, and what it means if that runs out."""

    minutes: StrictInt = Field(15, ge=1, le=43_200)
    on_expiry: Literal["return", "assume_made"] = "return"

    @property
    def time(self) -> timedelta:
        """How long."""
        return timedelta(minutes=self.minutes)


class ClaimTouch(Lease):
    """Claim the touch of a prospect that is next, or (`own`) an attempt of one's own."""

    touch: Name | None = None
    own: ChannelName | None = None


class ClaimNext(Lease):
    """Claim touches that are due, those that are due longest first."""

    count: StrictInt = Field(1, ge=1, le=100)
    owner: Name | None = None
    channel: ChannelName | None = None


class Completed(Body):
    """What was done under a claim; without parts: it was not made."""

    parts: list[DonePart] = Field([], max_length=10)
    why: str | None = None
    note: str | None = None
