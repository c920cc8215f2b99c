"""Decide with everything left out that another program may know otherwise: a lower bound.

Programs that share a store may have other versions of the holiday and zone data, and a guard may
answer otherwise tomorrow. A due row must hold for all of them, so it is made from this decision
too. What is left out can only make a touch later: holidays, closed days, weekends, hours, zones,
guards, the horizon, a rotation, and gaps that are measured again (ADR 0045).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cadence.domain.prospect import Prospect
from cadence.domain.words import NOWHERE
from cadence.engine.decision import Decision
from cadence.engine.next_touch import what_is_planned
from cadence.policy.model import Policy

__all__ = ["MARGIN", "decide_early"]

MARGIN: Final = timedelta(days=1)
"""How much earlier other zone data, or hours of a single date, may make a decision."""


def decide_early(prospect: Prospect, policy: Policy, now: datetime) -> Decision:
    """Decide what comes next, no later than under any holidays, closed days and guards.

    Args:
        prospect: the fold of its events.
        policy: the policy it is under.
        now: seen when. Less :data:`MARGIN`, no later decision is due before this one.
    """
    silence = prospect.silence
    if silence.unmeasured:
        prospect = replace(prospect, silence=replace(silence, unmeasured=()))
    if prospect.elsewhere is not NOWHERE:  # another holder's attempts delay, and may be taken back
        prospect = replace(prospect, elsewhere=NOWHERE)
    return what_is_planned(prospect, policy.undelayed, now)
