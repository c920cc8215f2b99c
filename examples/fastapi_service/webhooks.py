"""Record what a mailer and a dialler report.

Both deliver at least once, late, and in any order. The id of a report is the `command_id`, so a
second delivery has no effect. A fact is never refused, and carries when it happened.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from cadence.domain import (
    AutoReplyReceived,
    Channel,
    ContactPointFailed,
    Data,
    Disposition,
    FailureReason,
    Intent,
    OptOutRequested,
    Part,
    ReplyReceived,
)
from cadence.engine import MakeAttempt
from fastapi_service.requests import Address, Body, Instant, Name
from fastapi_service.responses import HeardOut, OutcomeOut
from fastapi_service.store import Store

EMAIL, CALL = Channel("email"), Channel("call")

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

ReportId = Annotated[str, Field(min_length=1, max_length=400)]


class MailReport(Body):
    """What became of an email, or what they wrote."""

    id: ReportId
    kind: Literal["bounced", "mailbox_full", "replied", "auto_replied", "opted_out"]
    address: Address
    at: Instant
    intent: Intent | None = None
    until: Instant | None = None

    def fact(self) -> Data:
        """Return what happened."""
        if self.kind == "bounced":
            return ContactPointFailed(EMAIL, self.address, FailureReason.BOUNCED)
        if self.kind == "mailbox_full":
            return ContactPointFailed(EMAIL, self.address, FailureReason.MAILBOX_FULL)
        if self.kind == "replied":
            return ReplyReceived(EMAIL, self.intent)
        if self.kind == "auto_replied":
            return AutoReplyReceived(EMAIL, self.until)
        return OptOutRequested(EMAIL, address=self.address)


class CallReport(Body):
    """How a call went; `claim` is the token under which it was made, if it was."""

    id: ReportId
    prospect: str
    number: Address | None = None
    disposition: Disposition
    at: Instant
    agent: Name
    intent: Intent | None = None
    claim: str | None = None


@router.post("/mailer")
def mail_report(report: MailReport, app: Store) -> HeardOut:
    """Record a report for all who have the address; an opt-out of a stranger is kept too."""
    holders = app.find(report.address)
    for prospect in holders:
        app.execute(
            prospect,
            report.fact(),
            occurred_at=report.at,
            by="mailer",
            command_id=f"mailer:{report.id}",
        )
    is_stranger = report.kind == "opted_out" and not holders
    if is_stranger:
        app.addresses.suppress([report.address], by="mailer", why="opted out by email")
    return HeardOut(prospects=holders, suppressed=is_stranger)


@router.post("/dialler")
def call_report(report: CallReport, app: Store) -> OutcomeOut:
    """Record how a call went, and end the claim under which it was made."""
    part = Part(CALL, report.disposition, report.number, intent=report.intent)
    if report.claim is not None:
        return OutcomeOut.of(app.complete(report.claim, [part], occurred_at=report.at))
    outcome = app.execute(
        report.prospect,
        MakeAttempt((part,)),
        occurred_at=report.at,
        by=report.agent,
        command_id=f"dialler:{report.id}",
    )
    return OutcomeOut.of(outcome)
