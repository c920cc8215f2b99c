"""Choose the recorder for a database (memory, a SQLite file or PostgreSQL) and its team file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from cadence.errors import InputError
from cadence.store.recorder import Recorder
from cadence.store.recorders.awaited import AwaitedRecorder
from cadence.store.recorders.memory import MemoryRecorder
from cadence.store.recorders.sqlite import SQLiteRecorder
from cadence.store.recorders.sqlite_file import check_file
from cadence.store.team_file import read_team_file

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

__all__ = ["open_recorder", "read_team"]

_POSTGRES: Final = ("postgresql://", "postgres://")


def open_recorder(
    db: str | ConnectionPool[Any] | Recorder | None,
    *,
    read_only: bool = False,
    lock_timeout_seconds: int = 5,
) -> Recorder:
    """Open the recorder of a database, and make its tables where there are none.

    Args:
        db: a path, a ``postgresql://`` address, a caller's pool, a recorder, or ``None`` for
            memory.
        read_only: write nothing; where there are no tables, the recorder is empty until another
            program makes them.
        lock_timeout_seconds: how long to wait for another writer.

    Raises:
        InputError: a value is invalid.
        InvalidStore: the database is another program's, damaged or too new.
        StoreError: the database can't be used.
    """
    if not isinstance(lock_timeout_seconds, int) or lock_timeout_seconds < 1:
        raise InputError(
            f"lock_timeout_seconds: invalid {lock_timeout_seconds!r}", "give 1 or more"
        )
    if db is None:
        return MemoryRecorder()
    if isinstance(db, Recorder):
        return db

    def find() -> Recorder | None:
        if not isinstance(db, str) or db.startswith(_POSTGRES):
            return _open_postgres(db, read_only, lock_timeout_seconds)
        return _open_sqlite(db, read_only, lock_timeout_seconds)

    found = find()
    # Where it is missing, what stands in for it passes each call on.
    return cast("Recorder", AwaitedRecorder(find)) if found is None else found


def _open_sqlite(db: str, read_only: bool, lock_timeout_seconds: int) -> Recorder | None:
    path = Path(db)
    is_there = check_file(path)
    if not is_there and read_only:
        return None
    sqlite = SQLiteRecorder(path, name=db, lock_timeout_seconds=lock_timeout_seconds)
    if not read_only:
        try:
            if not (is_there and sqlite.is_complete()):
                sqlite.create_tables()
        except BaseException:
            sqlite.close()
            raise
    return sqlite


def read_team(db: str | None) -> dict[str, str]:
    """Read the team file of a database; only a SQLite file has one beside it.

    Args:
        db: as for :func:`open_recorder`.

    Returns:
        The values by the names of the settings.

    Raises:
        InputError: the file is invalid.
    """
    return {} if db is None or db.startswith(_POSTGRES) else read_team_file(db)


def _open_postgres(
    db: str | ConnectionPool[Any], read_only: bool, lock_timeout_seconds: int
) -> Recorder | None:
    # Imported here: only the extra brings psycopg.
    from psycopg_pool import ConnectionPool

    from cadence.store.recorders.postgres import PostgresRecorder
    from cadence.store.recorders.postgres_borrowed import connect_by

    if isinstance(db, str):
        postgres = PostgresRecorder.open(
            db, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds
        )
    elif isinstance(db, ConnectionPool):
        postgres = PostgresRecorder(connect_by(db))
    else:
        kind = type(db)
        raise InputError(
            f"database: invalid {kind.__module__}.{kind.__qualname__}",
            "give a path, a postgresql:// address, a psycopg_pool.ConnectionPool, or a recorder",
        )
    try:
        if not read_only:
            postgres.create_tables()
        elif not postgres.has_tables():
            postgres.close()
            return None
    except BaseException:
        postgres.close()
        raise
    return postgres
