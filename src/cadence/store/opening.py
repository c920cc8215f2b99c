"""Choose the recorder for a database: memory, a SQLite file or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from cadence.store.memory import MemoryRecorder
from cadence.store.recorder import DueRecorder
from cadence.store.sqlite import SQLiteRecorder
from cadence.store.sqlite_file import check_file

__all__ = ["open_recorder"]


def open_recorder(
    db: str | None, *, read_only: bool = False, lock_timeout_seconds: int = 5
) -> DueRecorder:
    """Open the recorder of a database, and make its tables where there are none.

    Args:
        db: a path, a ``postgresql://`` address, or ``None`` for memory.
        read_only: write nothing; where there are no tables, the recorder is empty.
        lock_timeout_seconds: how long to wait for another writer.

    Raises:
        InvalidStore: the database is another program's, damaged or too new.
        StoreError: the database can't be used.
    """
    if db is None:
        return MemoryRecorder()
    if db.startswith(("postgresql://", "postgres://")):
        return _open_postgres(db, read_only, lock_timeout_seconds)
    path = Path(db)
    if not check_file(path) and read_only:
        return MemoryRecorder()
    sqlite = SQLiteRecorder(path, name=db, lock_timeout_seconds=lock_timeout_seconds)
    if not read_only:
        try:
            sqlite.create_tables()
        except BaseException:
            sqlite.close()
            raise
    return sqlite


def _open_postgres(url: str, read_only: bool, lock_timeout_seconds: int) -> DueRecorder:
    # Imported here: only the extra brings psycopg.
    from cadence.store.postgres import PostgresRecorder

    postgres = PostgresRecorder.open(
        url, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds
    )
    try:
        if not read_only:
            postgres.create_tables()
        elif not postgres.has_tables():
            postgres.close()
            return MemoryRecorder()
    except BaseException:
        postgres.close()
        raise
    return postgres
