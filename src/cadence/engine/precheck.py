"""What if I called now anyway? Which rules an attempt at this moment would break.

The answer is that of the command itself: the attempt is decided as if it were made off policy, and
what it would record as broken is told instead of recorded.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from cadence.domain.events import AttemptMade, Channel, Disposition, Part
from cadence.domain.prospect import Prospect
from cadence.engine.commands import MakeAttempt, decide
from cadence.engine.decision import Decision
from cadence.engine.invariants import SPACED_CAP
from cadence.engine.loop import decision_for
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule

__all__ = ["Anyway", "Broken", "anyway", "to_builtins"]


class Broken(msgspec.Struct, frozen=True):
    """A rule that the attempt would break, why, and until when, if waiting helps."""

    rule: str
    because: str
    until: datetime | None


class Anyway(msgspec.Struct, frozen=True):
    """What an attempt made now would be.

    Attributes:
        prospect: the prospect's id.
        at: now.
        channel: by what.
        address: the contact point it would use; ``None``: none is known.
        stage, step: whose place it would take; ``extra`` for none.
        breaks: the rules it would break; empty if it is in order.
    """

    prospect: str
    at: datetime
    channel: Channel
    address: str | None
    stage: str
    step: str | None
    breaks: tuple[Broken, ...]


_SAYS: Final[dict[str, str]] = {
    Rule.OPT_OUT: "they want no more of it",
    Rule.CONTACT_POINT: "the contact point failed and is never used again",
    Rule.SPACED_CAP: f"{SPACED_CAP} spaced calls were made in this silence",
    Rule.GAP: "it would come sooner than the largest gap so far of the silence",
    Rule.POLITE_EXIT: "nothing comes after the polite exit",
    Rule.CONCERN: "the concern message is not in order yet",
    Rule.APPOINTMENT: "an appointment stands",
    Rule.PLAN: "the policy proposes something else now",
    Rule.SUSPENDED: "they are away or asked for a pause",
    Rule.QUIET_HOURS: "quiet hours, 21:00 to 08:00 local",
    Rule.BUSINESS_HOURS: "outside business hours",
}


def anyway(
    prospect: Prospect, policies: PolicyRegistry, now: datetime, channel: Channel = Channel.CALL
) -> Anyway:
    """What an unanswered attempt on ``channel`` would break if it were made now.

    Args:
        prospect: whom.
        policies: where the policy it is under is looked up; under one that is not at hand nothing
            can be judged, and that is what is told.
        now: when.
        channel: by what.
    """
    decision = decision_for(prospect, policies, now)
    policy = policies.of(prospect)
    if policy is None:
        reason = decision.reasons[0]
        unjudged = Broken(reason.rule, f"nothing can be judged: {reason.because}", None)
        return Anyway(prospect.id, now, channel, None, "extra", None, (unjudged,))
    parts = (Part(channel, Disposition.UNKNOWN),)
    (made,) = decide(prospect, MakeAttempt(parts, off_policy="what if"), policy, now)
    assert isinstance(made, AttemptMade)  # what MakeAttempt leads to
    return Anyway(
        prospect.id,
        now,
        channel,
        made.parts[0].address,
        "extra" if made.stage is None else made.stage.value,
        made.step,
        tuple(_broken(rule, decision, now) for rule in made.broke),
    )


def _broken(rule: str, decision: Decision, now: datetime) -> Broken:
    """The reason of the decision that delays it, in its own words, where there is one."""
    lasting = rule in (Rule.OPT_OUT, Rule.CONTACT_POINT, Rule.POLITE_EXIT)
    for reason in () if lasting else decision.reasons:
        if reason.rule == rule and reason.until is not None and reason.until > now:
            return Broken(rule, reason.because, reason.until)
    because = _SAYS.get(rule, "it forbids it now")
    if rule == Rule.PLAN and decision.touch is not None:
        by = " and ".join(part.channel for part in decision.touch.parts)
        because = f"the policy proposes {decision.touch.step} by {by}"
    elif rule == Rule.PLAN and decision.reasons:
        because = decision.reasons[0].because
    return Broken(rule, because, None)


def to_builtins(answer: Anyway) -> dict[str, object]:
    """The JSON object."""
    found: dict[str, object] = msgspec.to_builtins(answer)
    return found
