"""What can be imported: a file as events and bad lines, and what is counted on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

from cadence.domain.events import Data
from cadence.transfer.staging import BadLine, Found

__all__ = ["Position", "Source", "Tally"]

Position = Callable[[], tuple[int, int | None]]
"""Says how many bytes have been read, and how many there are if that is known."""


class Tally:
    """What a source counts while it is read.

    Attributes:
        rows: how many rows, lines or events the file has.
        passed_over: how many of them lead to no event, by the reason why.
        unknown_columns: columns that the mapping says nothing about.
        prospects_passed_over: how many prospects had nothing that the mapping needs.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.passed_over: Counter[str] = Counter()
        self.unknown_columns: list[str] = []
        self.prospects_passed_over = 0


ZoneOf = Callable[[str], ZoneInfo | None]
"""The zone of a prospect by id; ``None`` where nobody of that id is known."""


class Source(ABC):
    """A file, as something to import.

    Attributes:
        tally: what was counted while it was read.
        by_time: whether the events of a prospect are ordered by when they happened, not as they
            stand.
        by_record: whether an event is known again by its ``command_id``, which names the record
            that it is from.
        keep_changed: whether a record that was imported before with other content is passed over,
            not refused.
        needs: a prospect that has none of these is passed over.
        zone_of: the zone of somebody who is known already, on whose calendar a bare date is a day.
    """

    by_time = False
    by_record = False
    keep_changed = False
    needs: type[Data] | None = None

    def __init__(self, position: Position | None = None) -> None:
        """Args:
        position: says how many bytes have been read, and how many there are if that is known.
        """
        self.tally = Tally()
        self.zone_of: ZoneOf = lambda prospect: None
        self.position = position or (lambda: (self.tally.rows, None))

    @abstractmethod
    def __iter__(self) -> Iterator[Found | BadLine]:
        """The events, and the lines that are none."""
