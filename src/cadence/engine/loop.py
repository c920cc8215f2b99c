"""The loop: event → stage → decision → next touch.

The service, the replay viewer and the tests all call :func:`advance`; none has its own version.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cadence.domain.events import Event
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision
from cadence.engine.next_touch import decide_silently, next_touch, unknown_policy
from cadence.policy.registry import PolicyRegistry

__all__ = ["advance", "decision_for", "silent_decision_for"]


def advance(
    prospect: Prospect | None, events: Iterable[Event], policies: PolicyRegistry, now: datetime
) -> tuple[Prospect, Decision]:
    """Fold ``events`` into ``prospect``, and decide what comes next.

    Args:
        prospect: the fold so far, or ``None`` before the first event.
        events: one event or more, in order of version.
        policies: where the policy that it is under after them is looked up.
        now: the instant at which to decide.

    Raises:
        ValueError: there is neither a prospect nor an event.
    """
    folded = fold(prospect, events)
    if folded is None:
        raise ValueError("there is neither a prospect nor an event to fold")
    return folded, decision_for(folded, policies, now)


def decision_for(prospect: Prospect, policies: PolicyRegistry, now: datetime) -> Decision:
    """Decide what comes next for ``prospect`` under the policy it is under, seen at ``now``."""
    policy = policies.of(prospect)
    if policy is None:
        return unknown_policy(prospect, policies.default, now)
    return next_touch(prospect, policy, now)


def silent_decision_for(prospect: Prospect, policies: PolicyRegistry, now: datetime) -> Decision:
    """Decide as :func:`decision_for` does, without recording reasons."""
    policy = policies.of(prospect)
    if policy is None:
        return unknown_policy(prospect, policies.default, now)
    return decide_silently(prospect, policy, now)
