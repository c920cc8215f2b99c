"""A guard of our own: a function that may delay or veto a touch, and never bring one forward."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cadence.domain import Prospect
from cadence.policy import GuardDelay, Touch


def no_mondays(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | None:
    """Delay what would fall on a Monday of theirs."""
    local = at.astimezone(ZoneInfo(prospect.identity.zones[0]))
    if local.weekday() != 0:
        return None
    tuesday = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return GuardDelay(tuesday, "no calls on a Monday")
