"""Define what an import reads: a file as a source of events and bad lines, and its counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cadence.domain.codec import Line, decode_line
from cadence.domain.events import MERGED_FROM, Data, Event, ProspectAdded, ProspectUpdated
from cadence.domain.limits import NAME, check_texts
from cadence.domain.words import AddressEntry
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.policy.model import Policy
from cadence.store.clock import WriteClock
from cadence.transfer.row_updates import UpdateMode
from cadence.worktime.zones import from_local

__all__ = [
    "NAMED_AT",
    "RECORD",
    "BadLine",
    "FieldCounts",
    "Position",
    "Source",
    "SourceEntry",
    "SourceEvent",
    "Tally",
    "ZoneLookup",
    "decode_checked",
    "format_instant",
]

Position = Callable[[], tuple[int, int | None]]
"""Says how many bytes have been read, and how many there are; ``None`` if that is unknown."""

ZoneLookup = Callable[[str], ZoneInfo | None]
"""Finds the zone of a prospect by id; ``None`` if the store has no such prospect."""

_MAX_LENGTH: Final = 500
"""How many characters of an error's text are kept; a cell may hold a megabyte."""


def format_instant(instant: datetime) -> str:
    """Format an instant in UTC."""
    return f"{instant:%Y-%m-%dT%H:%M:%S.%fZ}"


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


RECORD: Final = "record"
"""The entry of ``meta`` that names the record whose row says what it says of a person."""
NAMED_AT: Final = "named_at"
"""The entry of ``meta`` that keeps the time a row names, where the event has another."""


class SourceEvent(NamedTuple):
    """An event as a file gives it.

    Attributes:
        number: of the line, row or element that holds it.
        line: the event.
        added: how to add the prospect if the store has none; ``None``: it must be there.
        once: of the prospect's events with the same text here, only the first counts.
        named: the time that the row names, where it may have happened before: the row says when it
            was planned, or the day alone. In an import before it ``line`` has the import's time.
        field: where a time after the clock stands; ``None`` elsewhere, and in cadence's own files.
        stated: the fields of ``added`` that columns of the row say, and not the mapping.
        local: the time on the person's own clock, where the row gives no other.
        is_state: it says how it is, and is recorded where it is not so already.
    """

    number: int
    line: Line
    added: Line | None = None
    once: str | None = None
    named: datetime | None = None
    field: str | None = None
    stated: tuple[str, ...] = ()
    local: datetime | None = None
    is_state: bool = False

    @property
    def is_person(self) -> bool:
        """Whether it only says who they are."""
        return self.added is not None and isinstance(self.line.data, ProspectAdded)

    def moved(self, survivor: str) -> SourceEvent:
        """Return it for the record that goes on for a merged one, without who they are."""
        line = self.line
        meta = {MERGED_FROM: line.prospect, **(line.meta or {})}
        return self._replace(
            line=replace(line, prospect=survivor, meta=meta), added=None, stated=()
        )

    def in_zone(self, zone: ZoneInfo) -> SourceEvent:
        """Return it with its local time read in another zone of the person."""
        if self.local is None:
            return self
        at = from_local(self.local, zone).astimezone(UTC)
        line = replace(self.line, occurred_at=at)
        return self._replace(line=line, named=None if self.named is None else at)

    def happened_at(self, event: Event) -> datetime:
        """Return when the row says that it happened, if it is that of a stored ``event``."""
        if self.named is None:
            return self.line.occurred_at
        is_taken = (event.meta or {}).get(NAMED_AT) == format_instant(self.named)
        return event.occurred_at if is_taken else self.named

    def check(self, clock: WriteClock) -> None:
        """Check that neither the event nor its recording lies after the clock.

        Raises:
            InputError: one does; ``what`` begins with the field.
        """
        line = self.line
        clock.check(line.occurred_at, line.recorded_at or line.occurred_at, self.field)


class SourceEntry(NamedTuple):
    """What a list or an owner says of an address, as a file gives it.

    Attributes:
        number: of the line that holds it.
        entry: what is said.
    """

    number: int
    entry: AddressEntry

    def check(self, clock: WriteClock) -> None:
        """Check that nothing of it lies after the clock.

        Raises:
            InputError: it does; ``what`` begins with the field.
        """
        for name in ("at", "ended_at"):
            instant = getattr(self.entry, name)
            if instant is not None:
                clock.check(instant, instant, f"data.{name}")


@dataclass
class FieldCounts:
    """Counts people by the fields in which something is so.

    Attributes:
        people: how many.
        fields: how many of them by the name of each field.
    """

    people: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    def add(self, fields: Collection[str]) -> None:
        """Count one person; without fields there is nothing to count."""
        self.people += bool(fields)
        self.fields.update(fields)

    def to_dict(self) -> dict[str, Any]:
        """Give them as ``import --json`` prints them."""
        return {"people": self.people, "fields": dict(sorted(self.fields.items()))}


class Tally:
    """Counts of a source, complete once it has been read.

    Attributes:
        rows: rows, lines or events of the file.
        skipped_rows: rows that lead to no event, by the reason.
        unknown_columns: columns that the mapping does not mention.
        skipped_prospects: prospects without an event that the mapping needs.
        unusable_addresses: addresses that can't be read; they are kept, and never used.
        corrected: events that were corrected.
        updated: what was taken over about people.
        differing: in what the newest rows of people differ from what is kept.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.skipped_rows: Counter[str] = Counter()
        self.unknown_columns: list[str] = []
        self.skipped_prospects = 0
        self.unusable_addresses = 0
        self.corrected = 0
        self.updated = FieldCounts()
        self.differing = FieldCounts()


class Source(ABC):
    """A file to import.

    Attributes:
        tally: its counts.
        by_time: the events of a prospect are ordered by ``occurred_at``, not as they stand.
        by_record: an event is recognised by its ``command_id``, which names its record.
        changed: what becomes of a record that was imported before with other content: the file
            is refused, the stored event is kept, or it is corrected.
        update: what its rows change about people who are known.
        needs: prospects without an event of this type are skipped.
        clock: nothing may lie after it.
        policies: those whose text the file brings, by digest; complete once it has been read.
        zone_of: finds the zone of a known prospect, on whose calendar a bare date is a day.
    """

    by_time = False
    by_record = False
    changed: Literal["refuse", "keep", "correct"] = "refuse"
    update: UpdateMode = "always"
    needs: type[Data] | None = None

    clock: WriteClock

    def __init__(self, position: Position | None = None) -> None:
        """Args:
        position: says how far the file has been read; by default in rows.
        """
        self.tally = Tally()
        self.policies: dict[str, Policy] = {}
        self.zone_of: ZoneLookup = lambda prospect: None
        self.position = position or (lambda: (self.tally.rows, None))

    @abstractmethod
    def __iter__(self) -> Iterator[SourceEvent | SourceEntry | BadLine]:
        """Iterate over the events, the entries about addresses and the bad lines."""


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
