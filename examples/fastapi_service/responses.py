"""What the service answers: the JSON of cadence, described for OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from cadence import Decision, Event, Outcome, Prospect
from cadence.domain import encode_line
from cadence.engine import Claim
from cadence.store import DuePage


class PolicyOut(BaseModel):
    """The policy that was decided under."""

    name: str
    version: int
    digest: str


class ReasonOut(BaseModel):
    """Why: a rule, a sentence, and the events that caused it."""

    rule: str
    code: str
    because: str
    events: list[int]
    source: str | None


class PartOut(BaseModel):
    """One channel's share of a touch; `text` is what to say, `live` if they answer a call."""

    channel: str
    address: str | None
    script: str
    text: str
    form: str | None = None
    subject: str | None = None
    live: str | None = None


class TouchOut(BaseModel):
    """What to do."""

    id: str
    stage: str
    step: str
    parts: list[PartOut]


class ClaimedOut(BaseModel):
    """Who has the touch, or had it last."""

    by: str
    until: datetime
    state: str


class DecisionOut(BaseModel):
    """What comes next for a prospect, and why."""

    prospect: str
    stage: str
    decision: str
    at: datetime | None
    from_: datetime | None = Field(alias="from")
    due_since: datetime | None
    touch: TouchOut | None
    task: str | None
    reasons: list[ReasonOut]
    policy: PolicyOut
    claim: ClaimedOut | None = None

    @classmethod
    def of(cls, decision: Decision) -> DecisionOut:
        """Describe a decision."""
        return cls.model_validate(decision.to_dict())


class EventOut(BaseModel):
    """One event of a history."""

    prospect: str
    version: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    data: dict[str, Any]
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None
    uncertain: str | None = None
    meta: dict[str, str] | None = None

    @classmethod
    def of(cls, event: Event) -> EventOut:
        """Describe an event."""
        return cls.model_validate_json(encode_line(event))


class OutcomeOut(BaseModel):
    """What a command recorded, and what comes next.

    `repeated`: it had been carried out before, and nothing was recorded now.
    """

    prospect: str
    version: int
    repeated: bool
    events: list[EventOut]
    decision: DecisionOut

    @classmethod
    def of(cls, outcome: Outcome) -> OutcomeOut:
        """Describe an outcome."""
        return cls(
            prospect=outcome.prospect.id,
            version=outcome.prospect.version,
            repeated=outcome.repeated,
            events=[EventOut.of(event) for event in outcome.events],
            decision=DecisionOut.of(outcome.decision),
        )


class DueOut(DecisionOut):
    """A line of the due list: a decision, and who it is about."""

    name: str
    owner: str | None


class DuePageOut(BaseModel):
    """A page of the due list; `after` is the cursor of the next one, or null at the end."""

    items: list[DueOut]
    after: str | None

    @classmethod
    def of(cls, page: DuePage, prospects: Iterable[Prospect]) -> DuePageOut:
        """Describe a page, with the prospects that it is about."""
        known = {one.id: one.identity for one in prospects}
        items = [
            DueOut.model_validate(
                {
                    **one.to_dict(),
                    "name": known[one.prospect].name,
                    "owner": known[one.prospect].owner,
                }
            )
            for one in page
        ]
        return cls(items=items, after=page.after)


class BrokenRuleOut(BaseModel):
    """A rule that an attempt would break now."""

    rule: str
    because: str
    until: datetime | None


class PrecheckOut(BaseModel):
    """What an attempt would be, and what it would break; empty `breaks`: it is in order."""

    prospect: str
    at: datetime
    channel: str
    address: str | None
    stage: str
    step: str | None
    breaks: list[BrokenRuleOut]


class ClaimOut(BaseModel):
    """A claim: `token` completes or releases it."""

    token: str
    prospect: str
    touch: str | None
    step: str | None
    parts: list[dict[str, Any]]
    by: str
    until: datetime

    @classmethod
    def of(cls, claim: Claim) -> ClaimOut:
        """Describe a claim."""
        return cls(
            token=claim.token,
            prospect=claim.prospect,
            touch=claim.touch,
            step=claim.step,
            parts=[{"channel": part.channel, "address": part.address} for part in claim.parts],
            by=claim.by,
            until=claim.until,
        )


class ReleasedOut(BaseModel):
    """Whether the claim was still open."""

    released: bool


class HeardOut(BaseModel):
    """For which prospects a webhook was recorded, now or before."""

    prospects: list[str]
    suppressed: bool = False
