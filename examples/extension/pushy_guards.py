"""The guard of our_guards.py, with four mistakes that its contract finds."""

from datetime import datetime, timedelta

from cadence.domain import Prospect
from cadence.policy import GuardDelay, Touch, Veto

_asked: set[str] = set()


def no_mondays(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay | Veto | None:
    """Delay what falls on a Monday, wrongly."""
    if at.weekday() == 0:
        # Five o'clock of the same day: asked about a Monday evening, that has passed.
        return GuardDelay(at.replace(hour=17), "not on a Monday")
    if prospect.identity.country == "US" and at.month == 11:
        raise LookupError("who knows what is open there in November")
    if touch.step == "half_day" and touch.id not in _asked:
        _asked.add(touch.id)  # asked again, it says something else
        return GuardDelay(at + timedelta(hours=1), "not at once")
    if touch.step == "polite_exit":
        return Veto("we never let go")
    return None
