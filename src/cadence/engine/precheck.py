"""Say which rules an attempt at this moment would break, before it is made.

The answer is that of the command itself: the attempt is judged as if it were made, and what it
would record as broken is told instead of recorded.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from cadence.domain.channels import CALL, Channel
from cadence.domain.events import Disposition, Part
from cadence.domain.prospect import Prospect
from cadence.engine.claims import Claimed
from cadence.engine.commands import LASTING, delayed_until, why_refused, with_addresses
from cadence.engine.judgement import AttemptContext, AttemptTime, Judgement, judge
from cadence.engine.loop import decision_for
from cadence.engine.next_touch import what_is_planned
from cadence.policy.registry import PolicyRegistry
from cadence.policy.rules import Rule

__all__ = ["BrokenRule", "Precheck", "precheck"]


class BrokenRule(msgspec.Struct, frozen=True):
    """A rule that the attempt would break, why, and until when, if waiting helps."""

    rule: str
    because: str
    until: datetime | None


class Precheck(msgspec.Struct, frozen=True):
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
    breaks: tuple[BrokenRule, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        plain: dict[str, object] = msgspec.to_builtins(self)
        return plain


def precheck(
    prospect: Prospect,
    policies: PolicyRegistry,
    now: datetime,
    channel: Channel = CALL,
    claimed: Claimed | None = None,
    *,
    address: str | None = None,
    key: str | None = None,
) -> Precheck:
    """Return what an unanswered attempt on ``channel`` would break if it were made now.

    Args:
        prospect: the prospect of the attempt.
        policies: where its policy is looked up; under one that is not at hand, or where an
            event can't be read, nothing can be checked, and the answer says so.
        now: when.
        channel: by what.
        claimed: the claim on the prospect that stands.
        address: to which address; the one of the touch that is next, or the first that is left.
        key: the key of that address.
    """
    policy = policies.of(prospect)
    if policy is None or prospect.unreadable is not None:
        reason = decision_for(prospect, policies, now).reasons[0]
        unchecked = BrokenRule(reason.rule, f"nothing can be checked: {reason.because}", None)
        return Precheck(prospect.id, now, channel, address, "extra", None, (unchecked,))
    parts: tuple[Part, ...] = (Part(channel, Disposition.UNKNOWN, address, key),)
    time = AttemptTime.of(prospect, now, now).knowing_all()
    attempt = AttemptContext(prospect, policy, parts, time, claimed=claimed)
    planned = what_is_planned(prospect, policy, attempt.clock, explains=True)
    attempt.parts = with_addresses(prospect, parts, planned.touch)
    judged = judge(attempt, planned)
    (part,) = attempt.parts
    return Precheck(
        prospect.id,
        now,
        channel,
        part.address,
        judged.stage.value,
        judged.step,
        tuple(_broken(rule, judged, now) for rule in judged.broke),
    )


def _broken(rule: str, judged: Judgement, now: datetime) -> BrokenRule:
    """The rule, why, and until when."""
    decision = judged.decision
    if rule == Rule.PLAN and decision.touch is None and decision.reasons:
        return BrokenRule(rule, decision.reasons[0].because, None)
    until = None if rule in LASTING else delayed_until(rule, judged, now)
    return BrokenRule(rule, why_refused(rule, judged, now), until)
