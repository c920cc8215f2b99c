"""Keep everything in one SQLite file: the embedded default, with WAL and full synchronous.

Events and due rows are written in one transaction, so a crash can't part them. The file carries our
application id; another program's file is refused before a byte of it is touched.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from cadence.domain.events import Event
from cadence.domain.stored import decode_page, decode_rows, decode_stream
from cadence.errors import StoreBusy, StoreError
from cadence.store.due_list import AddressRow, DueRow, Prepared
from cadence.store.feed import FeedPosition, FeedRow, number_of
from cadence.store.recorder import (
    ADDRESSES_WHOLE,
    DUE_STAMP,
    REBUILD_MARK,
    AddressChange,
    AddressesChanged,
    ClaimChange,
    ClaimChanged,
    ClaimWrite,
    EntryRow,
    Refreshed,
    SettingRow,
)
from cadence.store.recorders.lifetime import (
    abandon,
    closed,
    hold_at_forks,
    renew_in_children,
    started_elsewhere,
    unfit_connection,
)
from cadence.store.recorders.sql import (
    ADDED_COLUMNS,
    ASK_OTHERS,
    DELETE_ADDRESS,
    DELETE_ADDRESSES,
    DELETE_BEHIND,
    DELETE_META,
    DELETE_ORPHANS,
    DUE_COLUMNS,
    END_CLAIM,
    END_ENTRY,
    INSERT_SETTING,
    NEWEST_VERSION,
    OPEN_TOKENS,
    SELECT_ADDRESSES,
    TELL_OTHERS,
    UPDATE_DUE,
    UPSERT_ADDRESS,
    UPSERT_CLAIM,
    UPSERT_META,
    EntryStatement,
    SQLRecorder,
    check_addresses,
    check_claim,
    copying,
    inserting,
)
from cadence.store.recorders.sqlite_borrowed import LentConnection
from cadence.store.recorders.sqlite_file import (
    APPLICATION_ID,
    SCHEMA,
    SQLiteConnection,
    begin,
    connect_to_read,
    connect_to_write,
    explain_sqlite_error,
    file_uri,
)

__all__ = ["SQLiteRecorder"]

_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS due ("
    "prospect TEXT PRIMARY KEY, verdict TEXT NOT NULL, at INTEGER, wake INTEGER, "
    "owner TEXT, name TEXT, channels TEXT, stamp TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
    # Stops, which have no time, stay out of it.
    "CREATE INDEX IF NOT EXISTS due_order ON due (at, prospect, wake, verdict) "
    "WHERE at IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS settings (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
    "value TEXT, changed_by TEXT NOT NULL, changed_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS claims (token TEXT PRIMARY KEY, prospect TEXT NOT NULL, "
    "claim TEXT NOT NULL, ended TEXT) WITHOUT ROWID",
    # At most one of a prospect is open.
    "CREATE UNIQUE INDEX IF NOT EXISTS claims_open ON claims (prospect) WHERE ended IS NULL",
    "CREATE TABLE IF NOT EXISTS holders (base TEXT NOT NULL, prospect TEXT NOT NULL, "
    "key TEXT NOT NULL, holding TEXT NOT NULL, speaks INTEGER NOT NULL, "
    "PRIMARY KEY (base, prospect, key)) WITHOUT ROWID",
    # A rebuild, and the audit, read the addresses of a prospect.
    "CREATE INDEX IF NOT EXISTS holders_prospect ON holders (prospect, key)",
    "CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, base TEXT NOT NULL, "
    "key TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL, channel TEXT NOT NULL, "
    "entry TEXT NOT NULL, ended INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entries_base ON entries (base, ended, key)",
    # Lists that are too old, and what was taken back, are few among many.
    "CREATE INDEX IF NOT EXISTS entries_kind ON entries (kind, ended, number)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA}",
)
# SQLite joins the rows itself, so Python handles one string instead of a row object an event;
# the order is checked when the versions are.
_LINES_OF: Final = (
    "SELECT count(*), group_concat(CAST(state AS TEXT), char(10)) FROM ("
    "SELECT state FROM stored_events WHERE originator_id {} ORDER BY {})"
)
_SELECT_STREAM: Final = _LINES_OF.format("= ?", "originator_version")
_MANY: Final = "originator_id, originator_version"
# A page of prospects at once, for readers of everything; and those that are named.
_SELECT_PAGE: Final = _LINES_OF.format("BETWEEN ? AND ?", _MANY)
_SELECT_STREAMS: Final = _LINES_OF.format("IN (SELECT value FROM json_each(?))", _MANY)
_SELECT_ROWS: Final = (
    "SELECT originator_version, state FROM {schema}.stored_events WHERE originator_id = ? "
    "ORDER BY originator_version"
)
# Rows are never deleted, so their numbers stay also when the file is packed (VACUUM).
_SELECT_FEED: Final = (
    "SELECT 0, rowid, originator_id, originator_version, topic, state FROM {schema}.stored_events "
    "WHERE rowid > ? AND rowid <= ? ORDER BY rowid LIMIT ?"
)
_SELECT_EVENTS: Final = (
    "SELECT originator_id, originator_version, topic, state FROM {schema}.stored_events "
    "WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? "
    "ORDER BY originator_version "
)
_SELECT_NOTIFICATIONS: Final = (
    "SELECT rowid, originator_id, originator_version, topic, state FROM {schema}.stored_events "
    "WHERE rowid >= ? AND rowid <= ?",
    " AND topic {many}",
    " ORDER BY rowid LIMIT ?",
)
_SELECT_NEWEST: Final = "SELECT max(rowid) FROM {schema}.stored_events"
_LARGEST: Final = 2**63 - 1  # the greatest row or version that SQLite has
_SELECT_MENTIONING: Final = (
    "SELECT DISTINCT originator_id FROM {schema}.stored_events "
    "WHERE instr(state, ?) > 0 ORDER BY originator_id"
)
_SELECT_TABLE: Final = "SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?"
_SELECT_COLUMN: Final = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
_SELECT_NAMES: Final = "SELECT name FROM {schema}.sqlite_master"
_LOOK_AGAIN_MS: Final = 4
_INSERT_EVENT: Final = "INSERT INTO stored_events VALUES (?, ?, ?, ?)"
_NAMES: Final = {
    "stored_events",
    "due",
    "due_order",
    "due_owner",
    "due_stamp",
    "meta",
    "settings",
    "claims",
    "claims_open",
    "holders",
    "holders_prospect",
    "entries",
    "entries_base",
    "entries_kind",
}
_CREATE_INDEXES: Final = (
    # One owner's page reads one owner's rows.
    "CREATE INDEX IF NOT EXISTS due_owner ON due (owner, at, prospect, wake) WHERE at IS NOT NULL",
    # Whether rows are stale is asked by every listing.
    "CREATE INDEX IF NOT EXISTS due_stamp ON due (stamp, prospect)",
)
_VALUES: Final = ", ".join("?" * len(DUE_COLUMNS))
_IF_CHANGED: Final = (
    # A note changes nothing that is due: then no page of the list need be written.
    f"{UPDATE_DUE} WHERE ({', '.join(f'due.{column}' for column in DUE_COLUMNS[1:])}) "
    f"IS NOT ({', '.join(f'excluded.{column}' for column in DUE_COLUMNS[1:])})"
)
_INSERT_DUE: Final = f"INSERT INTO due ({', '.join(DUE_COLUMNS)})"
_UPSERT_DUE: Final = f"{_INSERT_DUE} VALUES ({_VALUES}) {_IF_CHANGED}"


@lru_cache(maxsize=64)
def _sql(statement: str) -> str:
    """Put SQLite's name of the schema into a shared statement."""
    return statement.format(schema="main", many="IN (SELECT value FROM json_each(?))")


def _check_claim(connection: SQLiteConnection, claim: ClaimChange) -> None:
    prospect = (claim.prospect,)
    tokens = [row[0] for row in connection.execute(_sql(OPEN_TOKENS), prospect)]
    version = None
    if claim.version is not None:
        version = connection.execute(_sql(NEWEST_VERSION), prospect).fetchone()[0]
    check_claim(claim, tokens, version)


def _change_claim(connection: SQLiteConnection, claim: ClaimChange) -> None:
    if claim.ended is not None:
        connection.execute(_sql(END_CLAIM), (claim.ended, claim.seen))
    if claim.taken is not None:
        connection.execute(_sql(UPSERT_CLAIM), claim.taken)


def _holds(connection: SQLiteConnection, write: ClaimWrite) -> bool:
    """Return whether a claim may still be taken."""
    try:
        for claim in write.claims:
            _check_claim(connection, claim)
        _check_addresses(connection, write.addresses)
    except (ClaimChanged, AddressesChanged):
        return False
    return True


def _as_json(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _check_addresses(connection: SQLiteConnection, change: AddressChange) -> None:
    if change.bases and change.seen is not None:
        asked = _as_json(change.bases)
        rows = connection.execute(_sql(SELECT_ADDRESSES), (asked, asked))
        check_addresses(change, rows)


def _change_addresses(connection: SQLiteConnection, change: AddressChange) -> None:
    for base, key in change.gone:
        connection.execute(_sql(DELETE_ADDRESS), (base, key, change.prospect))
    _write_addresses(connection, change.prospect, change.written)


def _write_addresses(
    connection: SQLiteConnection, prospect: str, rows: Sequence[AddressRow]
) -> None:
    connection.executemany(_sql(UPSERT_ADDRESS), rows)
    speaking = [row.base for row in rows if row.speaks]
    if speaking:
        connection.execute(_sql(TELL_OTHERS), (_as_json(speaking), prospect))


def _ask_others(connection: SQLiteConnection, prospect: str, rows: Sequence[AddressRow]) -> None:
    if rows:
        asked = _as_json(row.base for row in rows)
        connection.execute(_sql(ASK_OTHERS), (prospect, asked, prospect, asked))


class _Reader(NamedTuple):
    """A thread's connection for reading; who closes it, or forks, waits for the read."""

    connection: sqlite3.Connection
    lock: threading.RLock


class _OfThread:
    """Lies in a thread's own storage, and closes the thread's connection when the thread ends."""

    def __init__(self, reader: _Reader, readers: dict[int, _Reader]) -> None:
        """Args:
        reader: of the thread.
        readers: of all threads, by their ``id``.
        """
        self.reader = reader
        self._readers = readers
        self._process = os.getpid()

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:
        # In a forked child the parent's other threads seem to end too: before anything else runs.
        if getpid() == self._process:
            connection, lock = self.reader
            with lock:
                connection.close()
            self._readers.pop(id(self.reader), None)


class SQLiteRecorder(SQLRecorder):
    """Keeps events and due list in one file.

    It reads and writes on connections of its own: the bookkeeping of the package's pool costs more
    than a read or a write (ADR 0007). One thread writes at a time; each thread reads by itself, and
    its connection is closed when it ends. A forked child opens the file again.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str = "",
        lock_timeout_seconds: int = 5,
        lent: LentConnection | None = None,
        feed_end: int = _LARGEST,
        known: Iterable[str] = (),
    ) -> None:
        """Args:
        path: the file; made by :meth:`create_tables` if it does not exist.
        name: what to call it in errors; by default the path.
        lock_timeout_seconds: how long to wait for another writer.
        lent: a connection of the caller's, in whose transaction it reads and writes.
        feed_end: the last row of the feed. What a transaction has not committed is not in it yet:
            a rollback would give its position to another event.
        known: as of :class:`SQLRecorder`.
        """
        # It only says how the table of events is made, and connects to nothing.
        package_recorder = SQLiteApplicationRecorder(
            SQLiteDatastore(file_uri(path, "mode=rwc"), originator_id_type="text")
        )
        super().__init__(package_recorder, known)
        self._lent = lent
        self._feed_end = feed_end
        self._create_events = package_recorder.construct_create_table_statements()
        self._path = path
        self._name = name or str(path)
        self._lock_timeout = lock_timeout_seconds
        self._is_closed = False
        self._writer: sqlite3.Connection | None = None
        self._begin_without_connections()
        renew_in_children(self)
        hold_at_forks(self)

    def _begin_without_connections(self) -> None:
        self._local = threading.local()
        self._readers: dict[int, _Reader] = {}
        # Reentrant, because a thread may fork while it has them.
        self._connecting = threading.RLock()
        self._writing = threading.RLock()
        self._writer = None

    def locks(self) -> Iterator[threading.RLock]:
        """Give what every thread takes that calls SQLite."""
        yield self._writing
        yield self._connecting
        for reader in list(self._readers.values()):
            yield reader.lock

    def renew(self) -> None:
        """Leave the connections to the parent, and let this forked child make its own."""
        abandon(self._local, self._readers, self._writer)
        self._begin_without_connections()

    def create_tables(self) -> None:
        """Make the file and its tables where there are none; several programs may do so at once.

        Raises:
            StoreError: the file can't be written.
        """

        def create() -> None:
            with self._write() as connection:
                for statement in (*self._create_events, *_CREATE):
                    connection.execute(statement)
                there = {row[1] for row in connection.execute("PRAGMA table_info(due)")}
                for column in ADDED_COLUMNS:
                    if column not in there:  # made by an older cadence
                        kind = "TEXT NOT NULL DEFAULT ''" if column == "stamp" else "TEXT"
                        connection.execute(f"ALTER TABLE due ADD COLUMN {column} {kind}")
                for statement in _CREATE_INDEXES:
                    connection.execute(statement)

        self._patiently(create)

    def is_complete(self) -> bool:
        """Return whether a file of ours has every table, so that it is opened without a lock."""
        try:
            with closing(connect_to_read(self._path)) as connection:
                names = {str(row[0]) for row in connection.execute(_sql(_SELECT_NAMES))}
                columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(due)")}
        except sqlite3.Error as error:
            raise explain_sqlite_error(error, self._name) from None
        return names >= _NAMES and columns >= set(DUE_COLUMNS)

    def _patiently(self, function: Callable[[], None]) -> None:
        """Call ``function`` until the file is not locked.

        While a file is being made, or turned to WAL, SQLite says "locked" at once, without waiting.
        """
        last = time.monotonic() + self._lock_timeout
        while True:
            try:
                return function()
            except StoreBusy:
                if time.monotonic() > last:
                    raise
                time.sleep(0.02)

    def in_transaction(self, connection: object) -> SQLiteRecorder:
        if not isinstance(connection, sqlite3.Connection):
            raise unfit_connection(self._label, connection, "a sqlite3.Connection")
        try:
            lent = LentConnection(connection, self._path, self._label, self._lock_timeout)
        except sqlite3.Error as error:
            raise explain_sqlite_error(error, self._name) from None
        [(committed,)] = self._fetch(_SELECT_NEWEST)
        return SQLiteRecorder(
            self._path,
            name=self._name,
            lent=lent,
            feed_end=min(self._feed_end, committed or 0),
            known=self.known,
        )

    # Writing ------------------------------------------------------------------------------------

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int]:
        ids: list[int] = []
        with self._write() as connection:
            for claim in claims:
                _check_claim(connection, claim)
            for change in addresses:
                _check_addresses(connection, change)
            for claim in claims:
                _change_claim(connection, claim)
            for change in addresses:
                _change_addresses(connection, change)
            for event in stored_events:
                row = (event.originator_id, event.originator_version, event.topic, event.state)
                ids.append(connection.execute(_INSERT_EVENT, row).lastrowid or 0)
            for one in due:
                connection.execute(_UPSERT_DUE, one)
        return ids

    def insert_claims(self, writes: Sequence[ClaimWrite]) -> list[bool]:
        with self._write() as connection:
            taken = [_holds(connection, write) for write in writes]
            for write in compress(writes, taken):
                for claim in write.claims:
                    _change_claim(connection, claim)
        return taken

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        done = 0
        # What does not fit the cache goes to the log, where it counts from the commit on.
        with self._write() as connection:
            for events, row, addresses in batches:
                connection.executemany(
                    _INSERT_EVENT,
                    [(e.originator_id, e.originator_version, e.topic, e.state) for e in events],
                )
                connection.execute(_UPSERT_DUE, row)
                if events and events[0].originator_version > 1:
                    connection.execute(_sql(DELETE_ADDRESSES), (row.prospect,))
                _write_addresses(connection, row.prospect, addresses)
                _ask_others(connection, row.prospect, addresses)
                done += len(events)
        return done

    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        with self._write() as connection:
            connection.execute(_sql(DELETE_ORPHANS), (after or "", last))
            for row, version, addresses in rows:
                prospect = (row.prospect,)
                if connection.execute(_sql(NEWEST_VERSION), prospect).fetchone()[0] == version:
                    connection.execute(_UPSERT_DUE, row)
                    connection.execute(_sql(DELETE_ADDRESSES), prospect)
                    _write_addresses(connection, row.prospect, addresses)
                    _ask_others(connection, row.prospect, addresses)
            connection.execute(_sql(UPSERT_META), (REBUILD_MARK, mark))

    def finish_due(self, after: str | None, stamp: str) -> None:
        with self._write() as connection:
            connection.execute(_sql(DELETE_BEHIND), (after or "",))
            connection.execute(_sql(DELETE_META), (REBUILD_MARK,))
            connection.execute(_sql(UPSERT_META), (DUE_STAMP, stamp))
            connection.execute(_sql(UPSERT_META), (ADDRESSES_WHOLE, "whole"))

    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        return self._write_entries(rows, inserting)

    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        return self._write_entries(rows, copying)

    def _write_entries(self, rows: Iterable[EntryRow], statement: EntryStatement) -> int:
        told = []
        with self._write() as connection:
            for row in rows:
                sql, params = statement(row)
                if connection.execute(_sql(sql), params).rowcount:
                    told.append(row.base)
            connection.execute(_sql(TELL_OTHERS), (_as_json(told), ""))
        return len(told)

    def end_entry(self, row: EntryRow) -> bool:
        with self._write() as connection:
            return bool(connection.execute(_sql(END_ENTRY), (row.entry, row.number)).rowcount)

    def _many(self, values: Sequence[str]) -> object:
        return _as_json(values)

    def set_meta(self, key: str, value: str) -> None:
        with self._write() as connection:
            connection.execute(_sql(UPSERT_META), (key, value))

    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        with self._write() as connection:
            connection.executemany(_sql(INSERT_SETTING), rows)

    @contextmanager
    def _write(self) -> Iterator[SQLiteConnection]:
        """Run one transaction on the connection for writing, all or nothing.

        Raises:
            IntegrityError: a row is there already; nothing was written.
            StoreError: the file can't be written, or the store is closed; nothing was written.
        """
        if self._lent is not None:
            with self._explained(), self._lent.write() as lent:
                yield lent
            return
        with self._writing, self._explained():
            connection = self._writer
            if connection is None:
                if self._is_closed:
                    raise closed(self._label)
                connection = connect_to_write(self._path, self._lock_timeout)
                connection.execute(f"PRAGMA busy_timeout = {_LOOK_AGAIN_MS}")
                self._writer = connection
            begin(connection, self._lock_timeout)
            try:
                yield connection
                if self._writer is not connection:
                    raise started_elsewhere(self._label)
                connection.commit()
            except BaseException:
                if self._writer is connection:
                    connection.rollback()
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Word the errors of SQLite."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise IntegrityError(error) from error
        except sqlite3.Error as error:
            raise explain_sqlite_error(error, self._name) from None

    # Reading ------------------------------------------------------------------------------------

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        name = originator_id.hex if isinstance(originator_id, UUID) else originator_id
        bounds = (-1 if gt is None else gt, _LARGEST if lte is None else lte)
        # A negative limit is none.
        rows = self._fetch(
            f"{_SELECT_EVENTS}{'DESC' if desc else 'ASC'} LIMIT ?",
            (name, *bounds, -1 if limit is None else limit),
        )
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        first = 0 if start is None else start + (not inclusive_of_start)
        statement, only, in_order = _SELECT_NOTIFICATIONS
        asked = (_as_json(topics),) if topics else ()
        rows = self._fetch(
            statement + (only if topics else "") + in_order,
            (first, _LARGEST if stop is None else stop, *asked, limit),
        )
        return [
            Notification(
                id=number, originator_id=name, originator_version=version, topic=topic, state=state
            )
            for number, name, version, topic, state in rows
        ]

    def max_notification_id(self) -> int | None:
        newest: int | None = self._fetch(_SELECT_NEWEST)[0][0]
        return newest

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        rows = self._fetch(_SELECT_FEED, (number_of(after), self._feed_end, limit))
        return [FeedRow(*row) for row in rows]

    def select_stream(self, prospect: str) -> list[Event]:
        joined = self._join(_SELECT_STREAM, (prospect,))
        events = None if joined is None else decode_stream(prospect, joined[1], joined[0])
        if events is None:
            events = decode_rows(prospect, self._fetch(_SELECT_ROWS, (prospect,)))
        return events

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        streams: dict[str, list[Event]] = {prospect: [] for prospect in prospects}
        ids = msgspec.json.encode(list(streams)).decode()
        histories = self._select_many(_SELECT_STREAMS, (ids,))
        if histories is None or any(one[0].prospect not in streams for one in histories):
            # Row by row: one has an old shape, or is broken.
            return {prospect: self.select_stream(prospect) for prospect in streams}
        for history in histories:
            streams[history[0].prospect] = history
        return streams

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        return self._select_many(_SELECT_PAGE, (first, last))

    def select_mentioning(self, text: str) -> list[str]:
        return [str(row[0]) for row in self._fetch(_SELECT_MENTIONING, (text.encode(),))]

    def _select_many(self, statement: str, params: tuple[str, ...]) -> list[list[Event]] | None:
        """Read the histories that a statement gives; ``None`` if they must be read row by row."""
        joined = self._join(statement, params)
        if joined is None:
            return None
        count, lines = joined
        return decode_page(lines, count)

    def _join(self, statement: str, params: tuple[str, ...]) -> tuple[int, str | None] | None:
        """Fetch how many states there are, and all of them as lines of one text.

        Returns:
            ``None`` if SQLite can't give them as one text: one of them is not UTF-8, or together
            they are longer than it allows (1 GB).
        """
        try:
            with self._reading() as connection:
                joined: tuple[int, str | None] = connection.execute(statement, params).fetchone()
        except sqlite3.DataError:
            return None
        except sqlite3.Error as error:
            if "UTF-8" in str(error):
                return None
            raise self._explain(error) from None
        return joined

    def _fetch(self, statement: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._reading() as connection:
                return connection.execute(_sql(statement), tuple(params)).fetchall()
        except sqlite3.Error as error:
            raise self._explain(error) from None

    def _explain(self, error: sqlite3.Error) -> StoreError:
        return closed(self._label) if self._is_closed else explain_sqlite_error(error, self._name)

    @property
    def _label(self) -> str:
        return f"database {self._name}"

    def _has_table(self, name: str) -> bool:
        return bool(self._fetch(_SELECT_TABLE, (name,)))

    def _has_column(self, table: str, column: str) -> bool:
        return bool(self._fetch(_SELECT_COLUMN, (table, column)))

    @contextmanager
    def _reading(self) -> Iterator[SQLiteConnection]:
        """Read on this thread's connection, or on the caller's."""
        if self._lent is not None:
            yield self._lent.read()
            return
        connection, lock = self._reader()
        with lock:
            yield connection

    def _reader(self) -> _Reader:
        """Return this thread's connection for reading."""
        found: _OfThread | None = getattr(self._local, "found", None)
        if found is None:
            with self._connecting:
                if self._is_closed:
                    raise closed(self._label)
                reader = _Reader(connect_to_read(self._path), threading.RLock())
                self._readers[id(reader)] = reader
            found = self._local.found = _OfThread(reader, self._readers)
        return found.reader

    def close(self) -> None:
        if self._lent is not None:
            self._lent.close()
        with self._connecting:
            self._is_closed = True
            readers = list(self._readers.values())
            self._readers.clear()
        for connection, lock in readers:
            with lock:
                connection.close()
        self._local = threading.local()
        # The writer last: the last connection folds the write-ahead log into the file, and one that
        # only reads can't.
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
