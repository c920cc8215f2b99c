"""Everything in one SQLite file: the embedded default, with WAL and full synchronous.

Events and due rows are written in one transaction, so a crash can't part them. The file carries our
application id; a file that isn't ours is refused before a byte of it is touched.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteDatastore,
    SQLiteFactory,
)
from eventsourcing.utils import Environment

from cadence.domain.events import Event
from cadence.store.due_list import DueRow, Prepared
from cadence.store.serializer import decode_page, decode_rows, decode_stream
from cadence.store.sqlite_file import APPLICATION_ID, SCHEMA, connect_to_read, file_uri

__all__ = ["SQLiteDueFactory", "SQLiteDueRecorder"]

_T = TypeVar("_T")

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
_INSERT_EVENT: Final = "INSERT INTO stored_events VALUES (?, ?, ?, ?)"
_UPSERT_DUE: Final = (
    "INSERT INTO due (prospect, verdict, at, wake) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (prospect) DO UPDATE "
    "SET verdict = excluded.verdict, at = excluded.at, wake = excluded.wake "
    # A note changes nothing that is due: then no page of the list need be written.
    "WHERE (due.verdict, due.at, due.wake) "
    "IS NOT (excluded.verdict, excluded.at, excluded.wake)"
)


def _patiently(function: Callable[[], _T], lock_timeout_seconds: int | None) -> _T:
    """Call ``function`` until the file is not locked.

    While a file is being made, or turned to WAL, SQLite says "locked" at once instead of waiting.
    """
    last = time.monotonic() + (lock_timeout_seconds or 0)
    while True:
        try:
            return function()
        except (sqlite3.OperationalError, PersistenceError) as error:
            if "locked" not in str(error) or time.monotonic() > last:
                raise
            time.sleep(0.02)


class _Pool(SQLiteConnectionPool):
    """Connections with full synchronous: a command that was acknowledged survives a power cut."""

    def _create_connection(self) -> SQLiteConnection:
        try:
            # The package's pool keeps its writer lock for ever where this raises.
            made = _patiently(super()._create_connection, self.lock_timeout)
        except sqlite3.Error as error:
            raise InterfaceError(error) from error
        cursor = made.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        return made


class SQLiteFile(SQLiteDatastore):
    """One file, and the package's pool of connections to it."""

    def __init__(self, path: Path, lock_timeout_seconds: int) -> None:
        # The parent's __init__ would make a pool of its own.
        self.path = path
        # As a URI, because a plain name that begins with file: would be read as one.
        self.pool = _Pool(db_name=file_uri(path, "mode=rwc"), lock_timeout=lock_timeout_seconds)
        self.single_row_tracking = True
        self.originator_id_type = "text"


class SQLiteDueRecorder(SQLiteApplicationRecorder):
    """The package's SQLite recorder, with a due list in the same transactions."""

    datastore: SQLiteFile

    def __init__(self, datastore: SQLiteFile) -> None:
        super().__init__(datastore)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._writing = threading.Lock()
        self._writer: sqlite3.Connection | None = None

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS due ("
            "prospect TEXT PRIMARY KEY, verdict TEXT NOT NULL, at INTEGER, wake INTEGER"
            ") WITHOUT ROWID",
            # Covers the listing; stops, which have no time, stay out of it.
            "CREATE INDEX IF NOT EXISTS due_order ON due (at, prospect, wake, verdict) "
            "WHERE at IS NOT NULL",
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
            f"PRAGMA application_id = {APPLICATION_ID}",
            f"PRAGMA user_version = {SCHEMA}",
        ]

    # Writing ------------------------------------------------------------------------------------

    def insert_events(
        self, stored_events: Sequence[StoredEvent], due: Iterable[DueRow] = (), **kwargs: Any
    ) -> Sequence[int]:
        ids: list[int] = []
        with self._write() as connection:
            for event in stored_events:
                row = (event.originator_id, event.originator_version, event.topic, event.state)
                ids.append(connection.execute(_INSERT_EVENT, row).lastrowid or 0)
            for one in due:
                connection.execute(_UPSERT_DUE, one)
        return ids

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        done = 0
        # What does not fit the cache goes to the log, where it counts from the commit on.
        with self._write() as connection:
            for events, row in batches:
                connection.executemany(
                    _INSERT_EVENT,
                    [(e.originator_id, e.originator_version, e.topic, e.state) for e in events],
                )
                connection.execute(_UPSERT_DUE, row)
                done += len(events)
        return done

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One transaction on the connection for writing, all or nothing.

        Beside the package's pool, whose bookkeeping costs more than the writes (ADR 0007); its
        errors are raised as the package raises them.
        """
        with self._writing:
            if self._writer is None:
                made = self.datastore.pool._create_connection()
                self._writer = made._sqlite_conn
                self._writer.row_factory = None
            connection = self._writer
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
            except sqlite3.IntegrityError as error:
                raise IntegrityError(error) from error
            except sqlite3.Error as error:
                if connection.in_transaction:
                    connection.rollback()
                raise OperationalError(error) from error

    # Reading ------------------------------------------------------------------------------------

    def _reader(self) -> sqlite3.Connection:
        """This thread's connection for reading; the pool's bookkeeping costs more than a read."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = connect_to_read(self.datastore.path)
            self._local.connection = found
            with self._readers_lock:
                self._readers.append(found)
        return found

    def close(self) -> None:
        """Close the connections."""
        with self._writing:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        with self._readers_lock:
            while self._readers:
                self._readers.pop().close()
        self._local = threading.local()

    def select_stream(self, prospect: str) -> list[Event]:
        try:
            count, lines = self._reader().execute(_SELECT_STREAM, (prospect,)).fetchone()
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                raise
            rows = self._reader().execute(
                "SELECT state FROM stored_events WHERE originator_id = ? "
                "ORDER BY originator_version",
                (prospect,),
            )
            return decode_rows(prospect, [row[0] for row in rows])
        return decode_stream(prospect, lines, count)

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        found: dict[str, list[Event]] = {prospect: [] for prospect in prospects}
        histories = self._select_many(_SELECT_STREAMS, (msgspec.json.encode(list(found)).decode(),))
        if histories is None or any(one[0].prospect not in found for one in histories):
            # Something must be looked at row by row; whoever is broken is named.
            return {prospect: self.select_stream(prospect) for prospect in found}
        for history in histories:
            found[history[0].prospect] = history
        return found

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        return self._select_many(_SELECT_PAGE, (first, last))

    def _select_many(self, statement: str, params: tuple[str, ...]) -> list[list[Event]] | None:
        """The histories that a statement finds; ``None`` if a row must be looked at by itself."""
        try:
            count, lines = self._reader().execute(statement, params).fetchone()
        except sqlite3.OperationalError as error:
            if "UTF-8" not in str(error):
                raise
            return None
        return decode_page(lines, count)

    def select_due(
        self, wake: int | None, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        statement = "SELECT prospect, verdict, at, wake FROM due WHERE at IS NOT NULL"
        params: list[object] = []
        if wake is not None:
            statement += " AND wake <= ?"
            params.append(wake)
        if after is not None:
            statement += " AND (at, prospect) > (?, ?)"
            params.extend(after)
        statement += " ORDER BY at, prospect LIMIT ?"
        rows = self._reader().execute(statement, (*params, limit)).fetchall()
        return [DueRow(*row) for row in rows]

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        rows = self._reader().execute(
            "SELECT DISTINCT originator_id FROM stored_events "
            "WHERE originator_id > ? ORDER BY originator_id LIMIT ?",
            (after or "", limit),
        )
        return [row[0] for row in rows.fetchall()]

    def due_stamp(self) -> str | None:
        row = self._reader().execute("SELECT value FROM meta WHERE key = 'due'").fetchone()
        return None if row is None else str(row[0])

    def policy_text(self, digest: str) -> str | None:
        found = self._reader().execute(
            "SELECT value FROM meta WHERE key = ?", (f"policy {digest}",)
        )
        row = found.fetchone()
        return None if row is None else str(row[0])

    def policy_digests(self) -> list[str]:
        keys = self._reader().execute("SELECT key FROM meta WHERE key LIKE 'policy %' ORDER BY key")
        return [key.removeprefix("policy ") for (key,) in keys.fetchall()]

    def due_rows(self) -> Iterator[DueRow]:
        statement = "SELECT prospect, verdict, at, wake FROM due ORDER BY prospect"
        for row in self._reader().execute(statement):
            yield DueRow(*row)

    def count_due(self) -> int:
        row = self._reader().execute("SELECT count(*) FROM due").fetchone()
        return int(row[0])

    # Rebuilding ---------------------------------------------------------------------------------

    def replace_due(self, rows: Iterable[DueRow], stamp: str) -> None:
        with self._write() as connection:
            connection.execute("DELETE FROM due")
            connection.executemany(_UPSERT_DUE, rows)
            connection.execute(
                "INSERT INTO meta (key, value) VALUES ('due', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (stamp,),
            )

    def save_policy(self, digest: str, text: str) -> None:
        with self._write() as connection:
            connection.execute(
                "INSERT INTO meta (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (f"policy {digest}", text),
            )


class SQLiteDueFactory(SQLiteFactory):
    """Makes :class:`SQLiteDueRecorder` for one file."""

    def __init__(
        self, path: Path, *, read_only: bool = False, lock_timeout_seconds: int = 5
    ) -> None:
        """Args:
        path: the file; made if it does not exist.
        read_only: neither make nor change the file.
        lock_timeout_seconds: how long to wait for another writer.
        """
        # The grandparent's: the parent's would make a datastore of its own from environment names.
        super(SQLiteFactory, self).__init__(Environment("cadence", {}))
        self._read_only = read_only
        self._recorder: SQLiteDueRecorder | None = None
        self._file = SQLiteFile(path, lock_timeout_seconds)
        self.datastore = self._file

    def application_recorder(self) -> SQLiteDueRecorder:
        recorder = SQLiteDueRecorder(self._file)
        if not self._read_only:
            _patiently(recorder.create_table, self.datastore.pool.lock_timeout)
        self._recorder = recorder
        return recorder

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
        super().close()
