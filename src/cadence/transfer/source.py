"""Define what an import reads: a file as a source of events and bad lines, and its counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cadence.domain.codec import Line, decode_line
from cadence.domain.events import Data, ProspectUpdated
from cadence.domain.limits import NAME, check_texts
from cadence.engine.commands import check_fact
from cadence.errors import InputError

__all__ = [
    "BadLine",
    "Position",
    "Source",
    "SourceEvent",
    "Tally",
    "ZoneLookup",
    "decode_checked",
]

Position = Callable[[], tuple[int, int | None]]
"""Says how many bytes have been read, and how many there are; ``None`` if that is unknown."""

ZoneLookup = Callable[[str], ZoneInfo | None]
"""Finds the zone of a prospect by id; ``None`` if the store has no such prospect."""

_MAX_LENGTH: Final = 500
"""How many characters of an error's text are kept; a cell may hold a megabyte."""


class BadLine(NamedTuple):
    """A line that is not an event, or that does not fit its history.

    Attributes:
        number: of the line, row or element.
        what: what is wrong, one line.
        hint: how to fix it.
    """

    number: int
    what: str
    hint: str

    @classmethod
    def of(cls, number: int, error: InputError) -> BadLine:
        """Make a bad line of an error; long values that it names are cut."""
        return cls(number, _cut(error.what), _cut(error.hint))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"


class SourceEvent(NamedTuple):
    """An event as a file gives it.

    Attributes:
        number: of the line, row or element that holds it.
        line: the event.
        added: how to add the prospect if the store has none; ``None``: it must be there.
        once: of the prospect's events with the same text here, only the first counts.
    """

    number: int
    line: Line
    added: Line | None = None
    once: str | None = None


class Tally:
    """Counts of a source, complete once it has been read.

    Attributes:
        rows: rows, lines or events of the file.
        skipped_rows: rows that lead to no event, by the reason.
        unknown_columns: columns that the mapping does not mention.
        skipped_prospects: prospects without an event that the mapping needs.
        unusable_addresses: addresses that can't be read; they are kept, and never used.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.skipped_rows: Counter[str] = Counter()
        self.unknown_columns: list[str] = []
        self.skipped_prospects = 0
        self.unusable_addresses = 0


class Source(ABC):
    """A file to import.

    Attributes:
        tally: its counts.
        by_time: the events of a prospect are ordered by ``occurred_at``, not as they stand.
        by_record: an event is recognised by its ``command_id``, which names its record.
        keep_changed: a record that was imported before with other content is skipped, not refused.
        needs: prospects without an event of this type are skipped.
        zone_of: finds the zone of a known prospect, on whose calendar a bare date is a day.
    """

    by_time = False
    by_record = False
    keep_changed = False
    needs: type[Data] | None = None

    def __init__(self, position: Position | None = None) -> None:
        """Args:
        position: says how far the file has been read; by default in rows.
        """
        self.tally = Tally()
        self.zone_of: ZoneLookup = lambda prospect: None
        self.position = position or (lambda: (self.tally.rows, None))

    @abstractmethod
    def __iter__(self) -> Iterator[SourceEvent | BadLine]:
        """Iterate over the events and the bad lines."""


def decode_checked(text: bytes | str) -> Line:
    """Decode an event from its JSON line, and check what it states.

    Raises:
        InputError: the line is not an event, or states something invalid, such as an unknown zone
            or a text that is too long.
    """
    line = decode_line(text)
    if len(text) > NAME:  # else no text in it can be too long
        check_texts(line)
    # An update may rely on a country that an earlier line gives; the importer checks it there.
    if not isinstance(line.data, ProspectUpdated):
        check_fact(line.data)
    return line
