"""Keep how far a projection has come in the database that holds its rows.

A target gives the runner a transaction of the team's own database. What is kept there are texts by
name, in one small table beside the team's. A name that is held is read and changed by one
transaction at a time, so of two runners one waits for the other.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from cadence.errors import InputError

if TYPE_CHECKING:
    from psycopg import Connection

__all__ = ["PostgresTarget", "SQLiteTarget", "Target"]

DB = TypeVar("DB")
"""A connection of the team's database."""

_TABLE: Final = "cadence_projections"
_CREATE: Final = f"CREATE TABLE IF NOT EXISTS {_TABLE} (name text PRIMARY KEY, value text)"
_SELECT: Final = f"SELECT value FROM {_TABLE} WHERE name = "
_UPSERT: Final = (
    f"INSERT INTO {_TABLE} (name, value) VALUES {{}} "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_PATIENCE: Final = 30.0  # seconds that one waits for another writer of a SQLite file


class Target(Protocol[DB]):
    """The database that holds a projection's rows, and how far it has come.

    It has no state: any thread or process may use it, each on the connections that it opens.
    """

    def connect(self) -> AbstractContextManager[DB]:
        """Open a connection, and close it at the end of the block."""

    def begin(self, db: DB) -> AbstractContextManager[object]:
        """Begin a transaction. Commit it at the end of the block; roll it back if that raises."""

    def hold(self, db: DB, name: str) -> str | None:
        """Read what is kept under a name; ``None``: nothing is.

        No other transaction holds the name until this one ends, also where nothing is kept yet.
        """

    def keep(self, db: DB, name: str, value: str) -> None:
        """Keep a text under a name, in place of what was kept there."""


class SQLiteTarget:
    """A SQLite file: the team's own, or the store's, whose writers then wait for each page."""

    def __init__(self, file: str | os.PathLike[str] | Callable[[], sqlite3.Connection]) -> None:
        """Args:
        file: its path; it is made if it does not exist. Or what opens a connection to it, where
            that needs more than the path.
        """
        self._file = file

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open a connection, and close it at the end of the block."""
        file = self._file
        with closing(file() if callable(file) else sqlite3.connect(file, _PATIENCE)) as db:
            db.isolation_level = None  # no transaction but those of begin()
            db.execute(_CREATE)
            yield db

    @contextmanager
    def begin(self, db: sqlite3.Connection) -> Iterator[None]:
        """Begin a transaction. Commit it at the end of the block; roll it back if that raises.

        Raises:
            InputError: the block ended the transaction by itself.
        """
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if not db.in_transaction:
                raise InputError(
                    "the transaction of a projection was committed or rolled back within",
                    "leave both out of its functions; executescript() commits too",
                )
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def hold(self, db: sqlite3.Connection, name: str) -> str | None:
        """Read what is kept under a name; the transaction holds the whole file."""
        row = db.cursor().execute(f"{_SELECT}?", (name,)).fetchone()
        return None if row is None else row[0]

    def keep(self, db: sqlite3.Connection, name: str, value: str) -> None:
        """Keep a text under a name, in place of what was kept there."""
        db.execute(_UPSERT.format("(?, ?)"), (name, value))


class PostgresTarget:
    """A PostgreSQL database: that of the store, or any other."""

    def __init__(
        self, database: str | Callable[[], AbstractContextManager[Connection[Any]]]
    ) -> None:
        """Args:
        database: its address, as that of a store: what has no other schema lies in ``?schema=``.
            Or what gives a connection for a ``with`` block, such as ``pool.connection``.
        """
        self._database = database if callable(database) else partial(_connect, database)

    @contextmanager
    def connect(self) -> Iterator[Connection[Any]]:
        """Open a connection, and close it at the end of the block."""
        # Imported here: only the extra brings psycopg.
        from cadence.store.recorders.postgres_connection import committing_alone

        with self._database() as db:
            db.commit()  # what was begun while it was opened, or begin() would not commit
            with committing_alone(db):  # no transaction but those of begin()
                self._create_table(db)
                yield db

    def begin(self, db: Connection[Any]) -> AbstractContextManager[object]:
        """Begin a transaction. Commit it at the end of the block; roll it back if that raises."""
        return db.transaction()

    def hold(self, db: Connection[Any], name: str) -> str | None:
        """Read what is kept under a name; its row is locked until the transaction ends."""
        from psycopg.rows import tuple_row

        with db.cursor(row_factory=tuple_row) as cursor:
            select = f"{_SELECT}%s FOR UPDATE"
            row = cursor.execute(select, (name,)).fetchone()
            if row is None:  # a row that is not there can't be locked
                cursor.execute(
                    f"INSERT INTO {_TABLE} VALUES (%s, NULL) ON CONFLICT DO NOTHING", (name,)
                )
                row = cursor.execute(select, (name,)).fetchone()
            return None if row is None else row[0]

    def keep(self, db: Connection[Any], name: str, value: str) -> None:
        """Keep a text under a name, in place of what was kept there."""
        db.execute(_UPSERT.format("(%s, %s)"), (name, value))

    def _create_table(self, db: Connection[Any]) -> None:
        from psycopg.rows import tuple_row

        with db.transaction(), db.cursor(row_factory=tuple_row) as cursor:
            # Looked for first: not each user may make tables.
            found = cursor.execute("SELECT to_regclass(%s)", (_TABLE,)).fetchone()
            if found == (None,):
                # Of two that make a table at once, PostgreSQL refuses one.
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (_TABLE,))
                cursor.execute(_CREATE)


def _connect(address: str) -> Connection[Any]:
    import psycopg

    from cadence.store.recorders.postgres_connection import parse_address

    parameters, schema = parse_address(address)
    db = psycopg.connect(**parameters)
    if schema != "public":
        db.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema,))
    return db
