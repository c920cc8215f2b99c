"""Work on connections of the caller's: those of a pool, or one with a transaction that is open.

Nothing of them is changed for good: how they make cursors and rows is put back after each call, and
their timeouts are the caller's. What is written in a caller's transaction counts when the caller
commits; each call is a savepoint in it, so one that is refused leaves the rest as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import psycopg
from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import ConnectionPool

from cadence.errors import InputError, StoreError
from cadence.store.recorders.lifetime import no_transaction, other_database, transaction_ended
from cadence.store.recorders.postgres_connection import (
    Datastore,
    check_encoding,
    committing_alone,
    explain_postgres_error,
)

__all__ = ["LentConnection", "LentPool", "connect_by", "join_transaction"]

_ISOLATION: Final = "read committed"
_ASK: Final = (
    "SELECT current_setting('transaction_isolation'), "
    "(SELECT oid FROM pg_database WHERE datname = current_database()), "
    "pg_postmaster_start_time(), (SELECT c.oid FROM pg_class c JOIN pg_namespace n "
    "ON n.oid = relnamespace WHERE nspname = %s AND relname = 'stored_events')"
)


@contextmanager
def _as_ours(connection: Connection[Any]) -> Iterator[Connection[DictRow]]:
    """Let a connection make cursors and rows as we need them; a framework may have its own."""
    kept = connection.row_factory, connection.cursor_factory
    connection.row_factory, connection.cursor_factory = dict_row, Cursor
    try:
        yield connection
    finally:
        connection.row_factory, connection.cursor_factory = kept


# A pool -----------------------------------------------------------------------------------------


class LentPool:
    """A caller's pool, where our own would be."""

    is_transaction: Final = False

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        """Args:
        pool: open.
        """
        self._pool = pool

    @contextmanager
    def connection(self) -> Iterator[Connection[DictRow]]:
        """Borrow a connection, which commits by itself meanwhile."""
        with (
            self._pool.connection() as lent,
            committing_alone(lent),
            _as_ours(lent) as ours,
        ):
            yield ours

    def check(self) -> None:
        """Replace the connections that were lost."""
        self._pool.check()

    def open(self, wait: bool, timeout: float) -> None:
        """It is open, or was closed by the caller."""

    def close(self) -> None:
        """It is the caller's to close."""


def connect_by(pool: ConnectionPool[Any]) -> Datastore:
    """Work on the connections of a caller's pool, which keep their own timeouts.

    Args:
        pool: open. The tables lie where its connections make tables (``search_path``).

    Raises:
        InvalidStore: the database can't hold every text.
        StoreError: the pool gives no connection.
    """
    lent = LentPool(pool)
    try:
        with lent.connection() as connection:
            info = connection.info
            parameters = {**info.get_parameters(), "password": info.password or None}
            name = f"{info.dbname} at {info.host or 'localhost'}"
            check_encoding(connection, name)
            found = connection.execute("SELECT current_schema() AS name").fetchone()
    except psycopg.Error as error:
        raise explain_postgres_error(error, pool.name) from None
    schema = str(found["name"]) if found and found["name"] else "public"
    return Datastore(parameters, name=name, schema=schema, lock_timeout_seconds=0, lent=lent)


# A transaction ----------------------------------------------------------------------------------


class LentConnection:
    """A caller's connection, while its transaction is open, where our own pool would be."""

    is_transaction: Final = True

    def __init__(self, connection: Connection[Any], name: str) -> None:
        """Args:
        connection: in a transaction.
        name: what to call the database in errors.
        """
        self._connection = connection
        self._name = name

    @contextmanager
    def connection(self) -> Iterator[Connection[DictRow]]:
        """Give the connection, within its transaction."""
        status = self._connection.info.transaction_status
        if status is TransactionStatus.INERROR:
            raise StoreError(
                f"database {self._name}: the caller's transaction has failed",
                "roll it back, and begin it again",
            )
        if status is not TransactionStatus.INTRANS:
            raise transaction_ended(f"database {self._name}")
        with _as_ours(self._connection) as ours:
            yield ours

    def check(self) -> NoReturn:
        """Replace nothing: with the connection the transaction was lost."""
        raise StoreError(
            f"database {self._name}: the connection was lost, and the caller's transaction with it",
            "begin the transaction again",
        )

    def open(self, wait: bool, timeout: float) -> None:
        """It is open, or was closed by the caller."""

    def close(self) -> None:
        """It is the caller's to close."""


def join_transaction(connection: Connection[Any], base: Datastore) -> Datastore:
    """Join the transaction of a connection; begin one if the connection does so by itself.

    Args:
        connection: of the same database; not in autocommit mode, or in a transaction.
        base: the connections of the store.

    Raises:
        InputError: it is none that can be joined.
        StoreError: the database can't be used.
    """
    name = f"database {base.name}"
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise no_transaction(name)
    asked = (base.schema,)
    try:
        with Cursor(connection, row_factory=tuple_row) as curs:
            isolation, *theirs = curs.execute(_ASK, asked).fetchall()[0]
    except psycopg.Error as error:
        raise explain_postgres_error(error, base.name) from None
    with base.get_connection() as own, own.cursor(row_factory=tuple_row) as curs:
        _, *ours = curs.execute(_ASK, asked).fetchall()[0]
    if theirs != ours:
        raise other_database(name)
    if isolation != _ISOLATION:
        raise InputError(
            f"{name}: the transaction is {isolation}, so it would not see what others recorded",
            f"begin it as {_ISOLATION}",
        )
    lent = LentConnection(connection, base.name)
    return Datastore(
        base.parameters, name=base.name, schema=base.schema, lock_timeout_seconds=0, lent=lent
    )
