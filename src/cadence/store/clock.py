"""Hold the times of what is written against a clock.

A time that a caller gives is the clock. Without one it is the machine's, with some grace: clocks of
two machines differ. A clock that is years ahead would push every gap and limit away, so a write far
beyond everything known needs to be forced (ADR 0048).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cadence.domain.events import Event
from cadence.domain.fold import CLOCK_GRACE
from cadence.errors import InputError

__all__ = ["WriteClock", "year_after"]


class WriteClock(NamedTuple):
    """The clock of one write; its instants are in UTC.

    Attributes:
        now: what it shows.
        latest: what happened, or was recorded, after this is refused.
        farthest: what is recorded after this needs to be forced; ``None``: nothing does.
    """

    now: datetime
    latest: datetime
    farthest: datetime | None = None

    @classmethod
    def given(cls, at: datetime) -> WriteClock:
        """Return the clock that a caller gives; it has no grace."""
        return cls(at, at)

    @classmethod
    def of_machine(cls, now: datetime) -> WriteClock:
        """Return the clock of the machine, which shows ``now``."""
        return cls(now, now + CLOCK_GRACE)

    def behind(self, event: Event | None) -> WriteClock:
        """Return the same clock for what follows ``event``, which may be recorded after it."""
        if event is None or event.recorded_at <= self.latest:
            return self
        return WriteClock(self.now, event.recorded_at, self.farthest)

    def check(self, occurred_at: datetime, recorded_at: datetime, field: str | None = None) -> None:
        """Check the times of an event.

        Args:
            occurred_at: when it happened.
            recorded_at: when it is recorded.
            field: where the file says when it happened; ``occurred_at`` if it is not given.

        Raises:
            InputError: a time lies after the clock, or too far beyond everything known.
        """
        times = (field or "occurred_at", occurred_at), ("recorded_at", recorded_at)
        for name, instant in times:
            if instant > self.latest:
                raise InputError(
                    f"{name}: invalid {_shown(instant)}, after the clock ({_shown(self.now)})",
                    "fix it, or give the time of this write as at",
                )
        self.check_distance(recorded_at)

    def check_distance(self, recorded_at: datetime) -> None:
        """Check that a write is not recorded too far beyond everything known.

        Raises:
            InputError: it is.
        """
        if self.farthest is not None and recorded_at > self.farthest:
            raise InputError(
                f"recorded_at: invalid {_shown(recorded_at)}, over a year after the machine's "
                "clock and the newest stored event",
                "fix the time, or force it",
            )

    def check_event(self, event: Event) -> None:
        """Check an event that is complete.

        Raises:
            InputError: as of :meth:`check`.
        """
        try:
            self.check(event.occurred_at, event.recorded_at)
        except InputError as error:
            what = f"{event.prospect}: version {event.version}: {error.what}"
            raise InputError(what, error.hint) from None


def year_after(instant: datetime) -> datetime:
    """Return the same day and time a year later; 1 March for 29 February."""
    try:
        return instant.replace(year=instant.year + 1)
    except ValueError:
        return instant.replace(year=instant.year + 1, month=3, day=1)


def _shown(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
