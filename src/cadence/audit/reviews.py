"""What an auditor should look at though it breaks no rule: it took back what protects them.

A user who can retract an opt-out can call a prospect who said no. So each retraction of an opt-out,
a refusal, an end or an attempt is listed, and so is each attempt that it made possible (design,
section 4b).
"""

from __future__ import annotations

from collections.abc import Sequence

from cadence.audit.findings import Finding, Noticed
from cadence.domain.events import (
    AttemptMade,
    ContactPointRemoved,
    ContactPointRestored,
    Data,
    EndReason,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    ProspectsMerged,
    SamePersonDenied,
    ends_outreach,
    type_name,
)
from cadence.domain.standing import TAKING_BACK
from cadence.policy.rules import Rule

__all__ = ["reviews", "would_have_broken"]


def reviews(events: Sequence[Event]) -> list[Finding]:
    """Return what of a history is to be reviewed, in order of version."""
    found = []
    for event in events:
        data = event.data
        if isinstance(data, TAKING_BACK):
            target = next((one for one in events if one.version == data.version), None)
            one = _of_taking_back(event, data, target)
            found += [] if one is None else [one]
        elif isinstance(data, OptedBackIn):
            what = "everything" if data.channel is None else str(data.channel)
            found.append(_review(event, Rule.OPT_OUT, f"opted back in to {what}", data.why))
        elif isinstance(data, SamePersonDenied):
            what = f"{data.prospect} was said to be another person"
            found.append(_review(event, Rule.SUPPRESSED, what, data.why))
        elif isinstance(data, ProspectsMerged):
            what = f"{data.prospect} was merged into it as the same person"
            found.append(_review(event, Rule.SUPPRESSED, what, data.why))
        elif isinstance(data, ContactPointRemoved):
            what = f"{data.channel} {data.address} was removed"
            found.append(_review(event, Rule.CONTACT_POINT, what, data.why))
        elif isinstance(data, ContactPointRestored):
            what = f"{data.channel} {data.address} was restored"
            found.append(_review(event, Rule.CONTACT_POINT, what, data.why))
    return found


def _of_taking_back(
    event: Event, data: EventRetracted | EventCorrected, target: Event | None
) -> Finding | None:
    if target is None:
        return None
    if isinstance(target.data, ProspectsMerged):
        if isinstance(data, EventCorrected):
            return None  # what it brought changed, and is reviewed where that was taken back
        what = f"the merge of {target.data.prospect} (version {target.version}) was taken back"
        return _review(event, Rule.SUPPRESSED, what, data.why)
    if isinstance(target.data, FollowUpEnded) and target.data.reason is EndReason.MERGED:
        return None  # the same, on the other record
    if not (ends_outreach(target.data) or isinstance(target.data, AttemptMade)):
        return None
    how = "corrected" if isinstance(data, EventCorrected) else "retracted"
    what = f"{type_name(target.data)} (version {target.version}) was {how}"
    return _review(event, _rule_of(target.data), what, data.why)


def _rule_of(data: Data) -> str:
    if isinstance(data, OptOutRequested):
        return Rule.OPT_OUT
    return Rule.POLITE_EXIT if isinstance(data, FollowUpEnded) else Rule.PLAN


def _review(event: Event, rule: str, what: str, why: str | None) -> Finding:
    by = "" if event.by is None else f" by {event.by}"
    because = f"{what}{by}: {why or 'no reason given'}"
    return Finding(event.prospect, event.version, str(rule), because, Noticed.TO_REVIEW)


def would_have_broken(
    finding: Finding, event: Event, data: EventRetracted | EventCorrected
) -> Finding:
    """Return the review of an attempt that was in order only because another event was taken back.

    Args:
        finding: what the attempt would have broken otherwise.
        event: what took the other back.
        data: its data.
    """
    because = (
        f"would have broken it had version {data.version} stood, which version {event.version} "
        f"took back: {finding.because.rpartition(' (')[0]}"
    )
    return Finding(finding.prospect, finding.version, finding.rule, because, Noticed.TO_REVIEW)
