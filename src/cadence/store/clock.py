"""Hold the times of what is written against a clock.

A time that a caller gives is the clock. Without one it is the machine's, with some grace: clocks of
two machines differ. A clock that is years ahead would push every gap and limit away, so a write far
beyond everything known needs to be forced (ADR 0048).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cadence.domain.events import Event
from cadence.domain.standing import CLOCK_GRACE
from cadence.domain.stored import decode_row
from cadence.errors import InputError
from cadence.store.feed import START, FeedRow
from cadence.store.recorder import Recorder

__all__ = ["StoreClock", "WriteClock", "shown", "utc", "year_after"]

_PAGE: Final = 1000  # events that are read at once


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
                    f"{name}: invalid {shown(instant)}, after the clock ({shown(self.now)})",
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
                f"recorded_at: invalid {shown(recorded_at)}, over a year after the machine's "
                "clock and the newest stored event",
                "fix the time, or give force=True",
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


class StoreClock:
    """The clock of a store: what the caller says, else what the machine's shows."""

    def __init__(
        self,
        machine: Callable[[], datetime],
        recorder: Recorder,
    ) -> None:
        """Args:
        machine: the machine's clock.
        recorder: keeps the events.
        """
        self._machine = machine
        self._recorder = recorder
        self._newest: datetime | None = None  # recorded_at of an event that is stored
        self._read_to = START

    def now(self) -> datetime:
        """Read the machine's clock, in UTC."""
        return utc(self._machine(), "clock")

    def at(self, instant: datetime | None, name: str = "at") -> datetime:
        """Return an instant that a caller gives in UTC, or what the machine's clock shows.

        Args:
            instant: what was given.
            name: how the caller calls it.

        Raises:
            InputError: it has no time zone.
        """
        return self.now() if instant is None else utc(instant, name)

    def for_write(self, at: datetime | None = None, *, force: bool = False) -> WriteClock:
        """Return what the times of a write are held against.

        Args:
            at: the time of the write; the machine's clock, with five minutes of grace.
            force: let it be recorded however far beyond the newest event.

        Raises:
            InputError: ``at`` has no time zone.
        """
        machine = self.now()
        if at is None:
            return WriteClock.of_machine(machine)
        clock = WriteClock.given(utc(at, "at"))
        farthest = year_after(machine)
        if force or clock.now <= farthest:
            return clock
        newest = self._newest_event(clock.now)
        if newest is None:
            return clock  # an empty store takes any time
        return WriteClock(clock.now, clock.latest, year_after(max(machine, newest)))

    def _newest_event(self, wanted: datetime) -> datetime | None:
        """Read when the newest event was recorded, or one within a year before ``wanted``.

        It is asked only for writes far in the future. Where the last event that was written does
        not do, all are read, each once.
        """

        def is_near() -> bool:
            return self._newest is not None and wanted <= year_after(self._newest)

        if not is_near():
            last = self._recorder.newest()
            self._see([] if last is None else [last])
        while not is_near():
            page = self._recorder.select_feed(self._read_to, _PAGE)
            if not page:
                break
            self._see(page)
            self._read_to = page[-1].position
        return self._newest

    def _see(self, rows: Iterable[FeedRow]) -> None:
        for row in rows:
            event = decode_row(row.prospect, row.version, row.state)
            self._newest = max(self._newest or event.recorded_at, event.recorded_at)


def utc(instant: datetime, name: str) -> datetime:
    """Return an aware instant in UTC.

    Raises:
        InputError: it has no time zone; ``name`` says which it is.
    """
    if instant.tzinfo is None:
        raise InputError(
            f"{name}: missing time zone in {instant.isoformat()}",
            "give an aware datetime, such as one with tzinfo=UTC",
        )
    return instant.astimezone(UTC)


def year_after(instant: datetime) -> datetime:
    """Return the same day and time a year later; 1 March for 29 February."""
    try:
        return instant.replace(year=instant.year + 1)
    except ValueError:
        return instant.replace(year=instant.year + 1, month=3, day=1)


def shown(instant: datetime) -> str:
    """Format an instant in UTC for an error, with the fraction of its second if it has one."""
    return instant.isoformat().replace("+00:00", "Z")
