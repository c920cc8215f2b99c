"""Where an import waits until all of it is known to be good: a temporary file of bounded memory.

SQLite's own temporary database: what does not fit its cache goes to a file that has no name, so not
even ``kill -9`` leaves it behind. It sorts by prospect, which a file from elsewhere need not be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final, NamedTuple, overload

import msgspec
from eventsourcing.persistence import StoredEvent

from cadence.domain.codec import Line
from cadence.errors import InputError, StoreError
from cadence.store.due_list import DueRow, Prepared, to_micros

__all__ = ["BadLine", "BadLines", "Found", "Spool"]


class BadLine(NamedTuple):
    """A line that is no event, or does not fit its history."""

    number: int
    what: str
    hint: str

    @classmethod
    def of(cls, number: int, error: InputError) -> BadLine:
        """What ``error`` says of a line, however long the value is that it names."""
        return cls(number, _short(error.what), _short(error.hint))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Found(NamedTuple):
    """An event as a file gives it.

    Attributes:
        number: of the line, row or element that it stands in.
        line: the event.
        added: how to add the person if they are not known yet; ``None``: they must be.
        once: of those of a prospect that say the same here, only the first counts.
    """

    number: int
    line: Line
    added: Line | None = None
    once: str | None = None


_LONGEST: Final = 500
_BATCH: Final = 500
_CACHE_KB: Final = 2_000
_FEW: Final = 1_000
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(tuple[Line, Line | None, str | None]).decode

_IN_ORDER: Final = "SELECT number, what, mend FROM bad ORDER BY number, rowid"
_TABLES: Final = """
CREATE TABLE found (prospect TEXT, at INTEGER, number INTEGER, line BLOB);
CREATE TABLE bad (number INTEGER, what TEXT, mend TEXT);
CREATE TABLE events (prospect TEXT, version INTEGER, topic TEXT, state BLOB);
CREATE TABLE due (prospect TEXT, verdict TEXT, at INTEGER, wake INTEGER);
"""


class Spool:
    """Holds the lines of a file, then what is to be written. Use it in a ``with`` block."""

    def __init__(self, *, by_time: bool) -> None:
        """Args:
        by_time: order the events of a prospect by when they happened, not as they stand.
        """
        self._by_time = by_time
        self._waiting: list[tuple[str, int, int, bytes]] = []
        self._kept: list[tuple[str, int, str, bytes]] = []
        self._due: list[DueRow] = []
        self._bad: list[BadLine] = []
        self.bad_count = 0
        self.lines = 0
        self.prospects = 0
        self.changed = 0
        with _full():
            # An empty name: a temporary database of this connection's own.
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN")

    def close(self) -> None:
        """Let go of all it holds."""
        self._db.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        # Bad lines that are many are read from here when somebody looks at them.
        if self.bad_count <= _FEW:
            self.close()

    # Lines of the file --------------------------------------------------------------------------

    def put(self, found: Found) -> None:
        """Take an event in."""
        self.lines += 1
        line = found.line
        at = to_micros(line.occurred_at) if self._by_time else found.number
        self._waiting.append((line.prospect, at, found.number, _ENCODE(found[1:])))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def put_bad(self, bad: BadLine) -> None:
        """Take in what is wrong with a line."""
        self.bad_count += 1
        self._bad.append(bad)
        if len(self._bad) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        with _full():
            self._db.executemany("INSERT INTO found VALUES (?, ?, ?, ?)", self._waiting)
            self._db.executemany("INSERT INTO bad VALUES (?, ?, ?)", self._bad)
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", self._kept)
            self._db.executemany("INSERT INTO due VALUES (?, ?, ?, ?)", self._due)
        for waiting in (self._waiting, self._bad, self._kept, self._due):
            waiting.clear()

    def by_prospect(self) -> Iterator[tuple[str, list[Found]]]:
        """The events of one prospect after the other, in order of their ids."""
        self._flush()
        with _full():
            rows = self._db.execute(
                "SELECT prospect, number, line FROM found ORDER BY prospect, at, number, rowid"
            )
            for prospect, group in groupby(rows, key=lambda row: str(row[0])):
                self.prospects += 1
                yield prospect, [Found(number, *_DECODE(line)) for _, number, line in group]

    def bad_lines(self) -> Sequence[BadLine]:
        """What is wrong, in order of the lines."""
        self._flush()
        lines = BadLines(self._db, self.bad_count)
        return list(lines) if self.bad_count <= _FEW else lines

    # What is to be written ----------------------------------------------------------------------

    def keep(self, prepared: Prepared) -> None:
        """Take in what is to be written of one prospect."""
        self._kept += [
            (str(one.originator_id), one.originator_version, one.topic, one.state)
            for one in prepared.events
        ]
        self._due.append(prepared.row)
        self.changed += 1
        if len(self._kept) >= _BATCH:
            self._flush()

    def prepared(self) -> Iterator[Prepared]:
        """What is to be written, prospect by prospect."""
        self._flush()
        with _full():
            rows = self._db.execute("SELECT * FROM events ORDER BY rowid")
            dues = self._db.execute("SELECT * FROM due ORDER BY rowid")
            for _, group in groupby(rows, key=lambda row: str(row[0])):
                events = [StoredEvent(*row) for row in group]
                yield Prepared(events, DueRow(*dues.fetchone()))


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
        rows = self._db.execute(f"{_IN_ORDER} LIMIT 1 OFFSET ?", (index % self._count,))
        return BadLine(*rows.fetchone())

    def __iter__(self) -> Iterator[BadLine]:
        for row in self._db.execute(_IN_ORDER):
            yield BadLine(*row)


@contextmanager
def _full() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"the import's temporary file can't be written ({error})",
            "free some space in /var/tmp, or name another folder with TMPDIR; nothing was imported",
        ) from None
