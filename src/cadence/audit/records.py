"""What a file is made of: facts with the moment we learnt of them, attempts, phases."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from cadence.domain.events import EndReason, Part
from cadence.worktime.calendar import WorkCalendar

__all__ = ["BEYOND", "ENDED", "ENDS", "EXIT", "SPACED", "Appointed", "Known", "Made", "Phase"]

EXIT: Final = 7
SPACED: Final = 4


class Phase:
    """Where a file stands, as far as the rules tell it apart."""

    NEW: Final = 0
    SCHEDULED: Final = 1
    OUTREACH: Final = 2
    ENGAGED: Final = 3
    CLOSED: Final = 4
    WON: Final = 5
    LOST: Final = 6
    OPTED_OUT: Final = 7


BEYOND: Final = (Phase.WON, Phase.LOST, Phase.OPTED_OUT)
ENDED: Final = (Phase.CLOSED, Phase.WON, Phase.LOST)
ENDS: Final = {
    EndReason.BOUGHT: Phase.WON,
    EndReason.DECLINED: Phase.LOST,
    EndReason.DISQUALIFIED: Phase.LOST,
    EndReason.DECEASED: Phase.LOST,
    EndReason.NO_RESPONSE: Phase.CLOSED,
    EndReason.UNREACHABLE: Phase.CLOSED,
}


class Known(NamedTuple):
    """A fact, when it happened, and when we learnt of it."""

    occurred: datetime
    recorded: datetime
    version: int


class Appointed(NamedTuple):
    """An appointment, and when it was agreed."""

    at: datetime
    agreed: Known


class Made:
    """An attempt, as it was made.

    ``day`` and ``second`` are its local date and time of day on ``time``'s only calendar; with
    several candidate zones there is none, and ``clocks`` has both for each. ``days`` and
    ``minutes`` are its gap from the attempt with version ``after``; 0 for none.
    """

    __slots__ = (
        "after",
        "at",
        "clocks",
        "day",
        "days",
        "has_call",
        "minutes",
        "parts",
        "rank",
        "recorded",
        "second",
        "step",
        "time",
        "version",
    )

    def __init__(
        self,
        at: datetime,
        version: int,
        rank: int,
        parts: tuple[Part, ...],
        has_call: bool,
        day: int,
        second: int,
        time: WorkCalendar | None,
        recorded: datetime,
        step: str | None,
    ) -> None:
        self.at = at
        self.version = version
        self.rank = rank
        self.parts = parts
        self.has_call = has_call
        self.day = day
        self.second = second
        self.time = time
        self.recorded = recorded
        self.step = step
        self.clocks: tuple[tuple[int, int], ...] = ()
        self.days = 0
        self.minutes = 0
        self.after = 0

    @property
    def is_spaced_call(self) -> bool:
        """At stage ``spaced``, or an extra, with a call among its parts."""
        return self.has_call and (self.rank == 0 or self.rank == SPACED)
