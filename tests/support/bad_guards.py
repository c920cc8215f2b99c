"""Guards of a team's own as they should not be, and one that does nothing."""

from datetime import datetime, timedelta

from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.policy import GuardDelay, Touch, Veto

NAMES = tuple(
    f"bad_guards:{name}"
    for name in ("silent", "raises", "seven", "tomorrow", "vetoes_the_exit", "not_there")
)
"""As policies name them; the last is missing."""


def silent(prospect: Prospect, touch: Touch, at: datetime) -> None:
    """Never objects."""


def raises(prospect: Prospect, touch: Touch, at: datetime) -> None:
    raise ValueError("no such table: holidays\nsecond line")


def seven(prospect: Prospect, touch: Touch, at: datetime) -> int:
    return 7


def tomorrow(prospect: Prospect, touch: Touch, at: datetime) -> GuardDelay:
    return GuardDelay(at + timedelta(days=1), "not today")


def vetoes_the_exit(prospect: Prospect, touch: Touch, at: datetime) -> Veto | None:
    return Veto("we never let go") if touch.stage is Stage.POLITE_EXIT else None
