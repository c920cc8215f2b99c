"""Read and write in a transaction of a caller's on the same SQLite file.

What is written counts when the caller commits. Each call is a savepoint in the transaction, so one
that is refused leaves the rest as it was.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cadence.errors import InputError
from cadence.store.recorders.lifetime import (
    block_is_over,
    no_transaction,
    other_database,
    renew_in_children,
    started_in_parent,
    transaction_ended,
)
from cadence.store.recorders.sqlite_file import SQLiteConnection, begin

__all__ = ["LentConnection"]

_SAVEPOINT: Final = "cadence"


class _Plain:
    """A connection whose rows are plain tuples, whatever its owner makes of rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Args:
        connection: of the caller's.
        """
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = (), /) -> sqlite3.Cursor:
        """Run a statement."""
        return self._cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[object]], /) -> sqlite3.Cursor:
        """Run a statement for each of several rows."""
        return self._cursor().executemany(sql, parameters)

    def _cursor(self) -> sqlite3.Cursor:
        curs = sqlite3.Cursor(self._connection)
        curs.row_factory = None
        return curs


class LentConnection:
    """A caller's connection, in a transaction that the caller has begun and will commit.

    Where the connection begins transactions by itself, one is begun at once, as a writer: one that
    has only read can be too late to write.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, label: str, lock_timeout_seconds: int
    ) -> None:
        """Args:
        connection: to the same file.
        path: the file.
        label: what to call it in errors.
        lock_timeout_seconds: how long to wait for another writer.

        Raises:
            InputError: the connection can't be used for that.
            sqlite3.Error: another program writes all the time.
        """
        self._connection = connection
        self._label = label
        self._is_closed = False
        self._is_elsewhere = False
        self._check(path)
        if not connection.in_transaction:
            begin(connection, lock_timeout_seconds)
        renew_in_children(self)

    def _check(self, path: Path) -> None:
        connection = self._connection
        if connection.text_factory is not str:
            raise InputError(
                f"{self._label}: the connection has a text_factory of its own",
                "give one whose text_factory is str",
            )
        files = {name: file for _, name, file in _Plain(connection).execute("PRAGMA database_list")}
        if not files["main"] or not path.samefile(files["main"]):
            raise other_database(self._label)
        # Since Python 3.12 a connection has an attribute that says it.
        is_alone = getattr(connection, "autocommit", False) is True
        if not connection.in_transaction and (is_alone or connection.isolation_level is None):
            raise no_transaction(self._label)

    def renew(self) -> None:
        """Refuse every call in this forked child: the connection is the parent's."""
        self._is_elsewhere = True

    def close(self) -> None:
        """Refuse every call from here on; the connection stays open."""
        self._is_closed = True

    def read(self) -> SQLiteConnection:
        """Return the connection, within its transaction.

        Raises:
            StoreError: the transaction is over, or this is closed.
        """
        if self._is_elsewhere:
            raise started_in_parent(self._label)
        if self._is_closed:
            raise block_is_over(self._label)
        if not self._connection.in_transaction:
            raise transaction_ended(self._label)
        return _Plain(self._connection)

    @contextmanager
    def write(self) -> Iterator[SQLiteConnection]:
        """Write something as a whole, or not at all."""
        connection = self.read()
        connection.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield connection
        except BaseException:
            if self._connection.in_transaction:  # a full disk rolls all of it back
                connection.execute(f"ROLLBACK TO {_SAVEPOINT}")
            raise
        finally:
            if self._connection.in_transaction:
                connection.execute(f"RELEASE {_SAVEPOINT}")
