"""Hold the lines of an import until all of them are known to be good, in bounded memory.

The staging area is a temporary SQLite database. What exceeds its cache goes to a file without a
name, so that not even ``kill -9`` leaves it behind. It sorts the lines by prospect; a file from
another program need not be sorted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, overload

import msgspec
from eventsourcing.persistence import StoredEvent

from cadence.domain.codec import Line
from cadence.domain.words import AddressEntry
from cadence.errors import StoreError
from cadence.store.due_list import AddressRow, DueRow, Prepared, to_micros
from cadence.store.duplicates import Duplicate
from cadence.transfer.likely_duplicates import (
    MOST_HOLDERS,
    MOST_NAMED,
    LikelyDuplicates,
    find_duplicates,
    first_of_each,
)
from cadence.transfer.source import BadLine, SourceEntry, SourceEvent

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["BadLines", "StagingArea"]

_BATCH: Final = 500
"""How many rows are held before they are inserted together."""
_CACHE_KB: Final = 2_000
"""SQLite's cache of the temporary database."""
_FEW_BAD_LINES: Final = 1_000
"""Up to so many bad lines are given as a list; more are read when they are asked for."""

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(
    tuple[
        Line,
        Line | None,
        str | None,
        datetime | None,
        str | None,
        tuple[str, ...],
        datetime | None,
        bool,
    ]
).decode

_DECODE_ADDRESSES: Final = msgspec.msgpack.Decoder(tuple[AddressRow, ...]).decode

_TABLES: Final = """
CREATE TABLE lines (prospect TEXT, at INTEGER, number INTEGER, line BLOB);
CREATE TABLE entries (number INTEGER, entry BLOB);
CREATE TABLE bad (number INTEGER, what TEXT, hint TEXT);
CREATE TABLE events (prospect TEXT, version INTEGER, topic TEXT, state BLOB);
CREATE TABLE holders (base TEXT, prospect TEXT);
CREATE TABLE duplicates (prospect TEXT, other TEXT, key TEXT, has_same_name INTEGER);
CREATE TABLE due (prospect TEXT, verdict TEXT, at INTEGER, review_from INTEGER, owner TEXT,
name TEXT, channels TEXT, stamp TEXT, addresses BLOB);
"""
_COUNT_DUPLICATES: Final = "SELECT count(DISTINCT prospect) FROM duplicates"
_FIRST_DUPLICATES: Final = (
    "SELECT * FROM duplicates WHERE prospect IN (SELECT DISTINCT prospect FROM duplicates "
    f"ORDER BY prospect LIMIT {MOST_NAMED}) ORDER BY prospect, other, key"
)
_BAD_IN_ORDER: Final = "SELECT number, what, hint FROM bad ORDER BY number, rowid"


class StagingArea:
    """Holds the lines of a file, and then the events that are to be written.

    Attributes:
        lines: how many events it took.
        entries: how many entries about addresses.
        prospects: how many prospects :meth:`by_prospect` has given.
        changed: how many prospects get new events.
        bad_count: how many bad lines it took.
    """

    def __init__(self, *, by_time: bool) -> None:
        """Args:
        by_time: order the events of a prospect by ``occurred_at``, not as they stand.

        Raises:
            StoreError: the temporary database can't be made.
        """
        self._by_time = by_time
        self._new_lines: list[tuple[str, int, int, bytes]] = []
        self._new_events: list[tuple[str, int, str, bytes]] = []
        self._new_due: list[tuple[object, ...]] = []
        self._new_holders: list[tuple[str, str]] = []
        self._new_entries: list[tuple[int, bytes]] = []
        self._new_bad: list[BadLine] = []
        self.lines = 0
        self.entries = 0
        self.prospects = 0
        self.changed = 0
        self.bad_count = 0
        with _storage_errors():
            # An empty name makes a temporary database that only this connection sees.
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN")

    def close(self) -> None:
        """Drop everything it holds."""
        self._db.close()

    # Lines of the file --------------------------------------------------------------------------

    def put(self, event: SourceEvent) -> None:
        """Take an event of the file."""
        self.lines += 1
        line = event.line
        order = to_micros(line.occurred_at) if self._by_time else event.number
        self._new_lines.append((line.prospect, order, event.number, _ENCODE(event[1:])))
        if len(self._new_lines) >= _BATCH:
            self._flush()

    def put_entry(self, one: SourceEntry) -> None:
        """Take an entry about an address."""
        self.entries += 1
        self._new_entries.append((one.number, msgspec.json.encode(one.entry)))
        if len(self._new_entries) >= _BATCH:
            self._flush()

    def put_bad(self, bad: BadLine) -> None:
        """Take a bad line of the file."""
        self.bad_count += 1
        self._new_bad.append(bad)
        if len(self._new_bad) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        with _storage_errors():
            self._db.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", self._new_lines)
            self._db.executemany("INSERT INTO bad VALUES (?, ?, ?)", self._new_bad)
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", self._new_events)
            self._db.executemany(
                "INSERT INTO due VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", self._new_due
            )
            self._db.executemany("INSERT INTO entries VALUES (?, ?)", self._new_entries)
            self._db.executemany("INSERT INTO holders VALUES (?, ?)", self._new_holders)
        for rows in (
            *(self._new_lines, self._new_bad, self._new_events, self._new_due),
            *(self._new_holders, self._new_entries),
        ):
            rows.clear()

    def by_prospect(self) -> Iterator[tuple[str, list[SourceEvent]]]:
        """Iterate over the prospects in order of their ids, each with its events in order."""
        self._flush()
        with _storage_errors():
            rows = self._db.execute(
                "SELECT prospect, number, line FROM lines ORDER BY prospect, at, number, rowid"
            )
            for prospect, group in groupby(rows, key=lambda row: str(row[0])):
                self.prospects += 1
                yield prospect, [SourceEvent(number, *_DECODE(line)) for _, number, line in group]

    def take_bad_lines(self) -> Sequence[BadLine]:
        """Give the bad lines in order of their numbers, and close; nothing else can be asked."""
        self._flush()
        lines = BadLines(self._db, self.bad_count)
        if self.bad_count > _FEW_BAD_LINES:
            return lines  # it keeps the database
        few = list(lines)
        self.close()
        return few

    # What is to be written ----------------------------------------------------------------------

    def keep(self, prepared: Prepared) -> None:
        """Take the new events of one prospect."""
        self._new_events += [
            (str(event.originator_id), event.originator_version, event.topic, event.state)
            for event in prepared.events
        ]
        self._new_due.append((*prepared.row, _ENCODE(prepared.addresses)))
        self._new_holders += [(row.base, row.prospect) for row in prepared.addresses if row.is_held]
        self.changed += 1
        if len(self._new_events) >= _BATCH:
            self._flush()

    def address_entries(self) -> Iterator[AddressEntry]:
        """Iterate over the entries about addresses, in the order of the file."""
        self._flush()
        with _storage_errors():
            for (entry,) in self._db.execute("SELECT entry FROM entries ORDER BY rowid"):
                yield msgspec.json.decode(entry, type=AddressEntry)

    def prepared(self) -> Iterator[Prepared]:
        """Iterate over what is to be written, prospect by prospect."""
        self._flush()
        with _storage_errors():
            rows = self._db.execute("SELECT * FROM events ORDER BY rowid")
            due_rows = self._db.execute("SELECT * FROM due ORDER BY rowid")
            for _, group in groupby(rows, key=lambda row: str(row[0])):
                events = [StoredEvent(*row) for row in group]
                *row, addresses = due_rows.fetchone()
                yield Prepared(events, DueRow(*row), _DECODE_ADDRESSES(addresses))

    # Who may be another record -------------------------------------------------------------------

    def find_duplicates(self, app: Cadence) -> LikelyDuplicates:
        """Find who of the file may be another record, after it was written into a store.

        Raises:
            StoreError: the store can't be read, or the temporary database can't be written.
        """
        self._flush()
        found = find_duplicates(app, self._holders())
        with _storage_errors():
            self._db.executemany(
                "INSERT INTO duplicates VALUES (?, ?, ?, ?)",
                ((one.prospect, one.other, *one.keys, one.has_same_name) for one in found),
            )
            (people,) = self._db.execute(_COUNT_DUPLICATES).fetchone()
            rows = self._db.execute(_FIRST_DUPLICATES).fetchall()
        first = (Duplicate(one, other, (key,), bool(same)) for one, other, key, same in rows)
        return LikelyDuplicates(people, tuple(first_of_each(first)))

    def _holders(self) -> Iterator[list[tuple[str, frozenset[str]]]]:
        """Give the addresses that people of the file have, some at a time, in order."""
        rows = self._db.execute("SELECT base, prospect FROM holders ORDER BY base")
        # An address of too many is not read; so many are enough to know.
        groups = (
            (base, frozenset(prospect for _, prospect in islice(group, MOST_HOLDERS + 1)))
            for base, group in groupby(rows, key=itemgetter(0))
        )
        while batch := list(islice(groups, _BATCH)):
            yield batch


class BadLines(Sequence[BadLine]):
    """Bad lines that are too many for memory, as a sequence."""

    def __init__(self, db: sqlite3.Connection, count: int) -> None:
        self._db = db
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> BadLine: ...
    @overload
    def __getitem__(self, index: slice) -> list[BadLine]: ...
    def __getitem__(self, index: int | slice) -> BadLine | list[BadLine]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        rows = self._db.execute(f"{_BAD_IN_ORDER} LIMIT 1 OFFSET ?", (index % self._count,))
        return BadLine(*rows.fetchone())

    def __iter__(self) -> Iterator[BadLine]:
        return (BadLine(*row) for row in self._db.execute(_BAD_IN_ORDER))


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"the import's temporary file can't be written ({error}); nothing was imported",
            "free some space in /var/tmp, or set TMPDIR to another folder",
        ) from None
