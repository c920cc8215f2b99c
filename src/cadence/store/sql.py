"""Share the statements that SQLite and PostgreSQL have in common.

They are written with ``?`` for a value and ``{schema}`` for the schema; each recorder puts in what
its database calls them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from cadence.store.due_list import DueRow
from cadence.store.recorder import DueRecorder, SettingRow

__all__ = ["DELETE_DUE", "INSERT_SETTING", "UPSERT_META", "SQLRecorder"]

DELETE_DUE: Final = "DELETE FROM {schema}.due"
UPSERT_META: Final = (
    "INSERT INTO {schema}.meta (key, value) VALUES (?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
INSERT_SETTING: Final = (
    "INSERT INTO {schema}.settings (name, value, changed_by, changed_at) VALUES (?, ?, ?, ?)"
)
_SELECT_SETTINGS: Final = (
    "SELECT name, value, changed_by, changed_at FROM {schema}.settings",
    " WHERE name = ?",
    " ORDER BY number",
)
_SELECT_META: Final = "SELECT value FROM {schema}.meta WHERE key = ?"
_SELECT_POLICIES: Final = "SELECT key FROM {schema}.meta WHERE substr(key, 1, 7) = 'policy '"
_SELECT_PROSPECTS: Final = (
    "SELECT DISTINCT originator_id FROM {schema}.stored_events "
    "WHERE originator_id > ? ORDER BY originator_id LIMIT ?"
)
_SELECT_DUE: Final = (
    "SELECT prospect, verdict, at, wake FROM {schema}.due WHERE at IS NOT NULL",
    " AND wake <= ?",
    " AND (at, prospect) > (?, ?)",
    " ORDER BY at, prospect LIMIT ?",
)
_SELECT_ROWS: Final = "SELECT prospect, verdict, at, wake FROM {schema}.due ORDER BY prospect"
_COUNT_DUE: Final = "SELECT count(*) FROM {schema}.due"


class SQLRecorder(DueRecorder):
    """Reads due list, policies, settings and ids by the shared statements."""

    _has_settings = False

    @abstractmethod
    def _fetch(self, statement: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Fetch all rows of a shared statement.

        Raises:
            StoreError: the database can't be read.
        """

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        return [row[0] for row in self._fetch(_SELECT_PROSPECTS, (after or "", limit))]

    def select_due(
        self, review_until: int | None, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        statement, only_until, only_after, in_order = _SELECT_DUE
        params: list[object] = []
        if review_until is not None:
            statement += only_until
            params.append(review_until)
        if after is not None:
            statement += only_after
            params.extend(after)
        rows = self._fetch(statement + in_order, (*params, limit))
        return [DueRow(*row) for row in rows]

    def due_rows(self) -> list[DueRow]:
        return [DueRow(*row) for row in self._fetch(_SELECT_ROWS)]

    def count_due(self) -> int:
        return int(self._fetch(_COUNT_DUE)[0][0])

    def due_stamp(self) -> str | None:
        return self._meta("due")

    def policy_text(self, digest: str) -> str | None:
        return self._meta(f"policy {digest}")

    def policy_digests(self) -> list[str]:
        keys = [str(row[0]) for row in self._fetch(_SELECT_POLICIES)]
        return sorted(key.removeprefix("policy ") for key in keys)

    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        # An older cadence made no such table. Once it is there, it stays.
        self._has_settings = self._has_settings or self._has_table("settings")
        if not self._has_settings:
            return []
        statement, only_one, in_order = _SELECT_SETTINGS
        params = () if name is None else (name,)
        rows = self._fetch(statement + (only_one if params else "") + in_order, params)
        return [SettingRow(*row) for row in rows]

    @abstractmethod
    def _has_table(self, name: str) -> bool:
        """Return whether the database has one of our tables."""

    def _meta(self, key: str) -> str | None:
        rows = self._fetch(_SELECT_META, (key,))
        return str(rows[0][0]) if rows else None
