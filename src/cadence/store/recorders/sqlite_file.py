"""Check an SQLite file without changing it, and word the errors of SQLite.

The header is read as bytes, so that nothing is left beside the database of another program. SQLite
is asked only where a log lies beside the file: the log may hold what the header doesn't say yet.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from cadence.errors import InvalidStore, StoreBusy, StoreError

__all__ = [
    "APPLICATION_ID",
    "DEFAULT_TIMEOUT",
    "SCHEMA",
    "SQLiteConnection",
    "begin",
    "check_file",
    "connect_to_read",
    "connect_to_write",
    "explain_sqlite_error",
    "file_uri",
]

APPLICATION_ID: Final = 0x43444E43
"""What marks a file as ours: "CDNC"."""
SCHEMA: Final = 1
"""The version of our tables."""

DEFAULT_TIMEOUT: Final = 5  # seconds
_MAGIC: Final = b"SQLite format 3\x00"


class _Header(NamedTuple):
    application_id: int
    schema: int
    has_tables: bool


def file_uri(path: Path, query: str) -> str:
    """The URI of ``path`` for SQLite, whatever characters its name has."""
    return f"file:{quote(str(path.absolute()))}?{query}"


def check_file(path: Path) -> bool:
    """Return whether ``path`` holds a database of ours; ``False`` if there is nothing yet.

    Raises:
        InvalidStore: it is something else, or damaged.
        StoreError: it can't be read.
    """
    try:
        if not path.exists():
            if not path.parent.is_dir():
                raise InvalidStore(
                    f"database {path}: missing folder {path.parent}",
                    "make the folder, or give another file",
                )
            return False
        if not path.is_file():
            raise InvalidStore(f"database {path}: not a file", "give a file")
        if path.stat().st_size == 0:
            return False
        header = _read_log(path) if _has_log(path) else _read_header(path)
    except OSError as error:
        raise StoreError(
            f"database {path}: {error.strerror or error}",
            "fix the permissions of the file and its folder, or give another file",
        ) from None
    except sqlite3.Error as error:
        raise explain_sqlite_error(error, str(path)) from None
    if header == _Header(0, 0, has_tables=False):
        return False
    if header.application_id != APPLICATION_ID:
        raise _not_ours(path)
    if header.schema > SCHEMA:
        raise InvalidStore(
            f"database {path}: unknown schema {header.schema}; this cadence knows {SCHEMA}",
            "use a newer cadence; nothing was changed",
        )
    return True


def _not_ours(path: Path) -> InvalidStore:
    return InvalidStore(
        f"database {path}: not a database of cadence; nothing was changed", "give another file"
    )


def _has_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _read_header(path: Path) -> _Header:
    """The header as SQLite's file format fixes it; offsets as in its documentation."""
    with path.open("rb") as file:
        head = file.read(105)
    if len(head) < 105 or not head.startswith(_MAGIC):
        raise _not_ours(path)

    def number(offset: int, length: int) -> int:
        return int.from_bytes(head[offset : offset + length], "big")

    page = number(16, 2)
    page = 65536 if page == 1 else page
    size = path.stat().st_size
    counted = number(28, 4) if number(24, 4) == number(92, 4) else 0
    found = _Header(number(68, 4), number(60, 4), has_tables=number(103, 2) > 0)
    if found.application_id == APPLICATION_ID and (size % page or counted * page > size):
        raise InvalidStore(
            f"database {path}: damaged: {size} bytes are not all of its pages",
            "use a backup; nothing was changed",
        )
    return found


def _read_log(path: Path) -> _Header:
    connection = connect_to_read(path)
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        connection.close()
    return _Header(application_id, schema, has_tables=tables > 0)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that can't write; also to a file on a read-only disk.

    Raises:
        StoreError: what was written last lies in a log that can't be read here.
        sqlite3.Error: the file can't be read.
    """
    connection = _connect(path, "mode=ro")
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if "readonly" not in str(error) and "unable to open" not in str(error):
            raise
        if _has_log(path):
            raise StoreError(
                f"database {path}: its newest changes lie in {path.name}-wal, which can't be read "
                "in a read-only folder",
                "give write permission for the folder, or copy both files elsewhere",
            ) from None
        # In WAL mode a reader needs the shared-memory file. Where it can't be made, no program can
        # be writing either, so the file may be read as it lies.
        connection = _connect(path, "immutable=1")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def connect_to_write(path: Path, lock_timeout_seconds: int) -> sqlite3.Connection:
    """Connect for writing; a missing file is made.

    A command that was acknowledged survives a power cut: WAL, with full synchronous.

    Args:
        path: the file.
        lock_timeout_seconds: how long to wait for another writer.

    Raises:
        sqlite3.Error: the file can't be opened, or another program is turning it to WAL.
    """
    connection = _connect(path, "mode=rwc", lock_timeout_seconds)
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0].lower() != "wal":
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect(
    path: Path, query: str, lock_timeout_seconds: int = DEFAULT_TIMEOUT
) -> sqlite3.Connection:
    return sqlite3.connect(
        file_uri(path, query),
        uri=True,
        check_same_thread=False,
        isolation_level=None,
        timeout=lock_timeout_seconds,
    )


def explain_sqlite_error(error: BaseException, name: str) -> StoreError:
    """Word an error of SQLite as one of ours: what is wrong, and how to fix it.

    Args:
        error: as ``sqlite3`` raised it.
        name: what to call the database.
    """
    text = " ".join(str(error).split())
    where = f"database {name}:"
    if "locked" in text or "busy" in text:
        return StoreBusy(
            f"{where} locked by another program or transaction",
            "let it end, and try again; nothing was recorded",
        )
    if "readonly" in text or "read-only" in text:
        return StoreError(
            f"{where} read-only",
            "give write permission for the file and its folder, or use another file",
        )
    if "full" in text or "disk I/O" in text:
        return StoreError(
            f"{where} the disk is full or fails ({text})",
            "give it some space and try again; nothing was recorded",
        )
    if "not a database" in text or "malformed" in text:
        return InvalidStore(
            f"{where} not a database of cadence, or damaged ({text})",
            "give another file, or use a backup",
        )
    if "unable to open" in text:
        return StoreError(
            f"{where} can't be opened", "fix the permissions of the file and its folder"
        )
    return StoreError(f"{where} {text}", "use a backup if the file is damaged")


def begin(connection: sqlite3.Connection, lock_timeout_seconds: int) -> None:
    """Begin a transaction as soon as other programs let us.

    SQLite's own waiting looks only every tenth of a second after a while, and misses the short
    moments between the transactions of a rebuild.

    Args:
        connection: has no transaction.
        lock_timeout_seconds: how long to wait.

    Raises:
        sqlite3.OperationalError: another program writes all the time.
    """
    last = time.monotonic() + lock_timeout_seconds
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > last:
                raise
        else:
            return


class SQLiteConnection(Protocol):
    """What is called of a connection within a transaction."""

    def execute(self, sql: str, parameters: Sequence[object] = ..., /) -> sqlite3.Cursor: ...

    def executemany(
        self, sql: str, parameters: Iterable[Sequence[object]], /
    ) -> sqlite3.Cursor: ...
