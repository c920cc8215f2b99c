"""The loop: event → stage → decision → next touch.

The service, the replay viewer and the tests all call :func:`advance`; none has its own version.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cadence.core.events import Event
from cadence.core.evolve import fold
from cadence.core.prospect import Prospect
from cadence.policy.catalogue import Policies
from cadence.policy.decision import Decision

__all__ = ["advance"]


def advance(
    prospect: Prospect | None, events: Iterable[Event], policies: Policies, now: datetime
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
    return folded, policies.decision(folded, now)
