"""Share the statements that SQLite and PostgreSQL have in common.

They are written with ``?`` for a value and ``{schema}`` for the schema; each recorder puts in what
its database calls them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from eventsourcing.persistence import ApplicationRecorder

from cadence.store.due_list import AddressRow, DueQuery, DueRow
from cadence.store.recorder import (
    AddressChange,
    AddressesChanged,
    ClaimChange,
    ClaimChanged,
    ClaimRow,
    EntryQuery,
    EntryRow,
    EventSourcingRecorder,
    SettingRow,
)

__all__ = [
    "ADDED_COLUMNS",
    "ASK_OTHERS",
    "DELETE_ADDRESS",
    "DELETE_ADDRESSES",
    "DELETE_BEHIND",
    "DELETE_META",
    "DELETE_ORPHANS",
    "DUE_COLUMNS",
    "END_CLAIM",
    "END_ENTRY",
    "INSERT_ENTRY",
    "INSERT_SETTING",
    "NEWEST_VERSION",
    "OPEN_TOKENS",
    "SELECT_ADDRESSES",
    "TELL_OTHERS",
    "UPDATE_DUE",
    "UPSERT_ADDRESS",
    "UPSERT_CLAIM",
    "UPSERT_META",
    "SQLRecorder",
    "as_address_rows",
    "check_addresses",
    "check_claim",
]

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
_SELECT_KEYS: Final = "SELECT key FROM {schema}.meta WHERE substr(key, 1, ?) = ?"
_SELECT_PROSPECTS: Final = (
    "SELECT DISTINCT originator_id FROM {schema}.stored_events "
    "WHERE originator_id > ? ORDER BY originator_id LIMIT ?"
)
DUE_COLUMNS: Final = ("prospect", "verdict", "at", "wake", "owner", "name", "channels", "stamp")
"""The columns of the due list, in the order of the fields of :class:`DueRow`."""
ADDED_COLUMNS: Final = DUE_COLUMNS[4:]
"""Those that the list of an older cadence lacks; its rows are stale until they are made again."""
_DUE: Final = ", ".join(DUE_COLUMNS)
UPDATE_DUE: Final = "ON CONFLICT (prospect) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in DUE_COLUMNS[1:]
)
_SELECT_DUE: Final = f"SELECT {_DUE} FROM {{schema}}.due WHERE at IS NOT NULL"
_SELECT_ROWS: Final = f"SELECT {_DUE} FROM {{schema}}.due WHERE prospect > ?"
_SELECT_STALE: Final = (
    "SELECT stamp, prospect FROM {schema}.due WHERE ",
    " AND stamp < ?",
    " ORDER BY stamp, prospect LIMIT ?",
)
DELETE_ORPHANS: Final = (
    "DELETE FROM {schema}.due WHERE prospect > ? AND prospect <= ? AND NOT EXISTS "
    "(SELECT 1 FROM {schema}.stored_events WHERE originator_id = prospect)"
)
DELETE_BEHIND: Final = (
    "DELETE FROM {schema}.due WHERE prospect > ? AND NOT EXISTS "
    "(SELECT 1 FROM {schema}.stored_events WHERE originator_id = prospect)"
)
DELETE_META: Final = "DELETE FROM {schema}.meta WHERE key = ?"
_COUNT_DUE: Final = "SELECT count(*) FROM {schema}.due"
OPEN_TOKENS: Final = "SELECT token FROM {schema}.claims WHERE prospect = ? AND ended IS NULL"
NEWEST_VERSION: Final = (
    "SELECT max(originator_version) FROM {schema}.stored_events WHERE originator_id = ?"
)
NEWEST_VERSIONS: Final = (
    "SELECT originator_id, max(originator_version) AS version FROM {schema}.stored_events "
    "WHERE originator_id {many} GROUP BY originator_id"
)
END_CLAIM: Final = "UPDATE {schema}.claims SET ended = ? WHERE token = ?"
UPSERT_CLAIM: Final = (
    "INSERT INTO {schema}.claims (token, prospect, claim, ended) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (token) DO UPDATE SET claim = excluded.claim"
)
_SELECT_CLAIMS: Final = "SELECT token, prospect, claim, ended FROM {schema}.claims"


_ADDRESSES: Final = "base, key, prospect, holding, speaks"
SELECT_ADDRESSES: Final = (
    f"SELECT {_ADDRESSES} FROM {{schema}}.holders WHERE base {{many}} UNION ALL "
    "SELECT base, key, '', entry, 0 FROM {schema}.entries WHERE base {many} AND ended = 0 "
    "ORDER BY 1, 3, 2"
)
"""What is said of some addresses; it takes them twice."""
UPSERT_ADDRESS: Final = (
    f"INSERT INTO {{schema}}.holders ({_ADDRESSES}) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (base, prospect, key) DO UPDATE SET holding = excluded.holding, "
    "speaks = excluded.speaks"
)
DELETE_ADDRESS: Final = "DELETE FROM {schema}.holders WHERE base = ? AND key = ? AND prospect = ?"
DELETE_ADDRESSES: Final = "DELETE FROM {schema}.holders WHERE prospect = ?"
_LOOK_NOW: Final = "UPDATE {schema}.due SET verdict = 'task', at = 0, wake = 0 WHERE at > 0 AND "
TELL_OTHERS: Final = (
    f"{_LOOK_NOW} prospect IN "
    "(SELECT prospect FROM {schema}.holders WHERE base {many} AND prospect <> ?)"
)
"""The due rows of other holders say "look now", where one says something that may stop them."""
ASK_OTHERS: Final = (
    f"{_LOOK_NOW} prospect = ? AND (EXISTS (SELECT 1 FROM {{schema}}.holders WHERE base {{many}} "
    "AND prospect <> ? AND speaks = 1) OR EXISTS "
    "(SELECT 1 FROM {schema}.entries WHERE base {many} AND ended = 0))"
)
"""The due row of a prospect says "look now", where another says something that may stop it."""
_ADDRESS_ROWS: Final = (
    f"SELECT {_ADDRESSES} FROM {{schema}}.holders WHERE prospect > ? AND prospect <= ? "
    "ORDER BY prospect, key"
)
_SELECT_SHARED: Final = (
    "SELECT base FROM {schema}.holders WHERE base > ? GROUP BY base "
    "HAVING count(DISTINCT prospect) > 1 ORDER BY base LIMIT ?"
)
_COUNT_HOLDERS: Final = (
    "SELECT base, count(*) FROM {schema}.holders WHERE base {many} GROUP BY base "
    "HAVING count(*) > 1 ORDER BY base"
)
_ENTRIES: Final = "base, key, kind, source, channel, entry, ended"
INSERT_ENTRY: Final = (
    f"INSERT INTO {{schema}}.entries ({_ENTRIES}) SELECT ?, ?, ?, ?, ?, ?, 0 WHERE NOT EXISTS "
    "(SELECT 1 FROM {schema}.entries WHERE base = ? AND key = ? AND kind = ? AND source = ? "
    "AND channel = ? AND ended = 0)"
)
COPY_ENTRY: Final = (
    f"INSERT INTO {{schema}}.entries ({_ENTRIES}) SELECT ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS "
    "(SELECT 1 FROM {schema}.entries WHERE base = ? AND entry = ?)"
)
END_ENTRY: Final = "UPDATE {schema}.entries SET ended = 1, entry = ? WHERE number = ? AND ended = 0"
_SELECT_ENTRIES: Final = f"SELECT {_ENTRIES}, number FROM {{schema}}.entries WHERE number > ?"
_ENTRIES_OF: Final = (
    f"SELECT {_ENTRIES}, number FROM {{schema}}.entries WHERE base {{many}} ORDER BY number"
)


EntryStatement = Callable[[EntryRow], tuple[str, tuple[object, ...]]]
"""Gives the statement that writes an entry, and its parameters."""


def inserting(row: EntryRow) -> tuple[str, tuple[object, ...]]:
    """Return the statement that adds an entry unless one like it stands, and its parameters."""
    return INSERT_ENTRY, (*row[:6], *row[:5])


def copying(row: EntryRow) -> tuple[str, tuple[object, ...]]:
    """Return the statement that takes in an entry of another store, and its parameters."""
    if row.number:
        return END_ENTRY, (row.entry, row.number)
    return COPY_ENTRY, (*row[:6], int(row.ended), row.base, row.entry)


def _as_entry_rows(rows: Iterable[tuple[Any, ...]]) -> list[EntryRow]:
    return [
        EntryRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6] != 0, row[7])
        for row in rows
    ]


def as_address_rows(rows: Iterable[tuple[Any, ...]]) -> list[AddressRow]:
    """Read rows of the address index as the statements give them."""
    return [AddressRow(*row) for row in rows]


def check_addresses(change: AddressChange, rows: Iterable[tuple[Any, ...]]) -> None:
    """Refuse a change where others say something else than it was decided by.

    Args:
        change: the change.
        rows: what is said of its addresses now, as the statement gives it.
    """
    if change.seen is not None:
        others = tuple([row for row in rows if row[2] != change.prospect])
        if others != change.seen:
            raise AddressesChanged


def check_claim(claim: ClaimChange, tokens: Sequence[object], version: object) -> None:
    """Refuse a change where another writer came first.

    Args:
        claim: the change.
        tokens: of the open claims on the prospect.
        version: of its last event, where the change names one.
    """
    if list(tokens) != ([] if claim.seen is None else [claim.seen]) or version != claim.version:
        raise ClaimChanged


class SQLRecorder(EventSourcingRecorder):
    """Reads due list, policies, settings and ids by the shared statements."""

    def __init__(self, package_recorder: ApplicationRecorder, known: Iterable[str] = ()) -> None:
        """Args:
        package_recorder: the package's own recorder of the same tables.
        known: what another recorder of the same database has found there.
        """
        super().__init__(package_recorder)
        self.known = set(known)
        """What an older cadence did not make, and was found: once it is there, it stays."""

    @abstractmethod
    def _fetch(self, statement: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Fetch all rows of a shared statement.

        Raises:
            StoreError: the database can't be read.
        """

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        return [row[0] for row in self._fetch(_SELECT_PROSPECTS, (after or "", limit))]

    def select_due(
        self, query: DueQuery, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        statement = _SELECT_DUE
        params: list[object] = []
        if query.owner is not None:
            statement += " AND owner = ?"
            params.append(query.owner)
        if query.review_until is not None:
            statement += " AND wake <= ?"
            params.append(query.review_until)
        if query.channel is not None:
            # An underscore stands for any character here: a row too many, which is decided anyway.
            statement += " AND channels LIKE ?"
            params.append(f"%,{query.channel},%")
        if after is not None:
            statement += " AND (at, prospect) > (?, ?)"
            params.extend(after)
        rows = self._fetch(f"{statement} ORDER BY at, prospect LIMIT ?", (*params, limit))
        return [DueRow(*row) for row in rows]

    def select_stale(
        self, stamps: Sequence[str], after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        statement, below, in_order = _SELECT_STALE
        # The stamps that lie between those that hold, one range after the other: so an index finds
        # in no time that there are none.
        ordered = sorted(stamps)
        for low, high in zip(
            ["", *(f"{one}\x01" for one in ordered)], [*ordered, None], strict=True
        ):
            if len(found) < limit and (after is None or high is None or after[0] < high):
                # One lower bound alone: of two, PostgreSQL begins at one and reads up to the other.
                is_behind = after is not None and after[0] >= low
                bound = "(stamp, prospect) > (?, ?)" if is_behind else "stamp >= ?"
                params: list[object] = [*after] if after is not None and is_behind else [low]
                bound += "" if high is None else below
                params += [] if high is None else [high]
                params.append(limit - len(found))
                found += self._fetch(statement + bound + in_order, params)
        return found

    def due_rows(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        statement, params = _SELECT_ROWS, [after or ""]
        if last is not None:
            statement += " AND prospect <= ?"
            params.append(last)
        return [DueRow(*row) for row in self._fetch(f"{statement} ORDER BY prospect", params)]

    def count_due(self) -> int:
        return int(self._fetch(_COUNT_DUE)[0][0])

    def open_claims(self, prospect: str | None = None) -> list[ClaimRow]:
        if prospect is None:
            return self._select_claims(" WHERE ended IS NULL ORDER BY prospect", ())
        return self._select_claims(" WHERE prospect = ? AND ended IS NULL", (prospect,))

    def claims_on(self, prospects: Sequence[str]) -> list[ClaimRow]:
        where = " WHERE prospect {many} AND ended IS NULL"
        return self._select_claims(where, (self._many(prospects),)) if prospects else []

    def newest_versions(self, prospects: Sequence[str]) -> dict[str, int]:
        if not prospects:
            return {}
        return dict(self._fetch(NEWEST_VERSIONS, (self._many(prospects),)))

    def find_claim(self, token: str) -> ClaimRow | None:
        return next(iter(self._select_claims(" WHERE token = ?", (token,))), None)

    def _select_claims(self, where: str, params: tuple[object, ...]) -> list[ClaimRow]:
        if not self.is_known("claims", lambda: self._has_table("claims")):
            return []
        return [ClaimRow(*row) for row in self._fetch(_SELECT_CLAIMS + where, params)]

    def select_addresses(self, bases: Sequence[str]) -> list[AddressRow]:
        if not bases or not self.addresses_are_whole():
            return []
        asked = self._many(bases)
        return as_address_rows(self._fetch(SELECT_ADDRESSES, (asked, asked)))

    def address_rows(self, after: str | None, last: str) -> list[AddressRow]:
        if not self.addresses_are_whole():
            return []
        return as_address_rows(self._fetch(_ADDRESS_ROWS, (after or "", last)))

    def select_shared(self, after: str, limit: int) -> list[str]:
        if not self.addresses_are_whole():
            return []
        return [row[0] for row in self._fetch(_SELECT_SHARED, (after, limit))]

    def count_holders(self, bases: Sequence[str]) -> dict[str, int]:
        if not bases or not self.addresses_are_whole():
            return {}
        return dict(self._fetch(_COUNT_HOLDERS, (self._many(bases),)))

    def select_entries(
        self, query: EntryQuery, after: int = 0, limit: int = 1000
    ) -> list[EntryRow]:
        if not self.addresses_are_whole():
            return []
        statement = _SELECT_ENTRIES
        params: list[object] = [after]
        ended = None if query.ended is None else int(query.ended)
        names = ("base", "source", "kind", "ended")
        for column, value in zip(names, (*query[:3], ended), strict=True):
            if value is not None:
                # An address has few entries, a kind a million: read them by the address.
                named = "kind || ''" if column == "kind" and query.base is not None else column
                statement += f" AND {named} = ?"
                params.append(value)
        return _as_entry_rows(self._fetch(f"{statement} ORDER BY number LIMIT ?", (*params, limit)))

    def entries_of(self, bases: Sequence[str]) -> list[EntryRow]:
        if not bases or not self.addresses_are_whole():
            return []
        return _as_entry_rows(self._fetch(_ENTRIES_OF, (self._many(bases),)))

    def addresses_are_whole(self) -> bool:
        # Once it is whole, every writer keeps it so.
        return self.is_known("addresses", super().addresses_are_whole)

    @abstractmethod
    def _many(self, values: Sequence[str]) -> object:
        """Return several values as the one parameter that ``{many}`` takes."""

    def due_stamp(self) -> str | None:
        # The rows of an older cadence have no stamp, and say nothing of owners.
        has_stamps = self.is_known("stamps", lambda: self._has_column("due", "stamp"))
        return super().due_stamp() if has_stamps else None

    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        if not self.is_known("settings", lambda: self._has_table("settings")):
            return []
        statement, only_one, in_order = _SELECT_SETTINGS
        params = () if name is None else (name,)
        rows = self._fetch(statement + (only_one if params else "") + in_order, params)
        return [SettingRow(*row) for row in rows]

    def is_known(self, what: str, look: Callable[[], bool]) -> bool:
        """Return whether something is there; once it has been found, nothing is asked."""
        if what not in self.known and look():
            self.known.add(what)
        return what in self.known

    @abstractmethod
    def _has_table(self, name: str) -> bool:
        """Return whether the database has one of our tables."""

    @abstractmethod
    def _has_column(self, table: str, column: str) -> bool:
        """Return whether one of our tables has a column."""

    def meta(self, key: str) -> str | None:
        rows = self._fetch(_SELECT_META, (key,))
        return str(rows[0][0]) if rows else None

    def meta_keys(self, prefix: str) -> list[str]:
        rows = self._fetch(_SELECT_KEYS, (len(prefix), prefix))
        return sorted(str(row[0]) for row in rows)
