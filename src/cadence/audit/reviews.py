"""What an auditor should look at though it breaks no rule: it took back what protects them.

A user who can retract an opt-out can call a prospect who said no. A user who can retract an
attempt can make a breach vanish. So each retraction of an opt-out, a refusal, an end or an attempt
is listed, with the rules that the attempt broke, and so is each attempt that it made possible
(design, section 4b; ADR 0071).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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


def reviews(events: Sequence[Event], violated: Mapping[int, Collection[str]]) -> list[Finding]:
    """Return what of a history is to be reviewed, in order of version.

    Args:
        events: the history.
        violated: the rules that the audit finds each event to violate where nothing is taken back,
            by its version.
    """
    found = []
    for event in events:
        data = event.data
        if isinstance(data, TAKING_BACK):
            target = next((one for one in events if one.version == data.version), None)
            broke = _broken_by(target, events, violated)
            one = _of_taking_back(event, data, target, broke)
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


def _broken_by(
    target: Event | None, events: Sequence[Event], violated: Mapping[int, Collection[str]]
) -> tuple[str, ...]:
    """The rules that an attempt broke, or its correction: as it says itself, and as is found."""
    if target is None:
        return ()
    said = [target.data.data if isinstance(target.data, EventCorrected) else target.data]
    said += [
        one.data.data
        for one in events
        if isinstance(one.data, EventCorrected) and one.data.version == target.version
    ]
    rules = [rule for one in said if isinstance(one, AttemptMade) for rule in one.broke]
    if isinstance(target.data, AttemptMade):
        rules += violated.get(target.version, ())
    return tuple(dict.fromkeys(rules))


def _of_taking_back(
    event: Event,
    data: EventRetracted | EventCorrected,
    target: Event | None,
    broke: Sequence[str],
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
    if not (broke or ends_outreach(target.data) or isinstance(target.data, AttemptMade)):
        return None
    how = "corrected" if isinstance(data, EventCorrected) else "retracted"
    what = f"{type_name(target.data)} (version {target.version})"
    if broke:
        # What it broke beside the plan says most.
        rule = next((one for one in broke if one != Rule.PLAN), broke[0])
        what = f"{what}, which broke {', '.join(broke)}, was {how}"
        return _review(event, rule, what, data.why, Noticed.BREACH_TAKEN_BACK)
    return _review(event, _rule_of(target.data), f"{what} was {how}", data.why)


def _rule_of(data: Data) -> str:
    """The rule that an event holds us to: without it we may do more."""
    if isinstance(data, OptOutRequested):
        return Rule.OPT_OUT
    if isinstance(data, FollowUpEnded):
        return Rule.POLITE_EXIT
    return Rule.PLAN if ends_outreach(data) else Rule.FREQUENCY


def _review(
    event: Event, rule: str, what: str, why: str | None, noticed: Noticed = Noticed.TO_REVIEW
) -> Finding:
    by = "" if event.by is None else f" by {event.by}"
    because = f"{what}{by}: {why or 'no reason given'}"
    return Finding(event.prospect, event.version, str(rule), because, noticed)


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
