"""Count ids of which many are the same, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from cadence.errors import StoreError

__all__ = ["DistinctIds"]

_CACHE_KB: Final = 2_000


class DistinctIds:
    """Holds each id once, in a temporary file where they are many. Use it in a ``with`` block."""

    def __init__(self) -> None:
        # An empty name makes a temporary database that only this connection sees.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")

    def __enter__(self) -> DistinctIds:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def add(self, ids: Iterable[str]) -> None:
        """Take ids.

        Raises:
            StoreError: the temporary file can't be written.
        """
        try:
            self._db.executemany("INSERT OR IGNORE INTO ids VALUES (?)", ((one,) for one in ids))
        except sqlite3.Error as error:
            raise StoreError(
                f"a temporary file can't be written ({error})",
                "free some space in /var/tmp, or set TMPDIR to another folder",
            ) from None

    def count(self) -> int:
        """Return how many there are."""
        (count,) = self._db.execute("SELECT count(*) FROM ids").fetchone()
        return int(count)

    def first(self, most: int) -> tuple[str, ...]:
        """Return the first of them in order."""
        rows = self._db.execute("SELECT id FROM ids ORDER BY id LIMIT ?", (most,))
        return tuple([row[0] for row in rows])
