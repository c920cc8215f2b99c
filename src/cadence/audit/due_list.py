"""Hold the due list against the events: no prospect may be listed later than they should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cadence.audit.findings import Finding, Noticed
from cadence.domain.prospect import Prospect
from cadence.policy.rules import Rule
from cadence.store.due_list import DueRow
from cadence.store.service import Cadence

__all__ = ["check_due_list", "rows_of_nobody"]

_TRIES: Final = 3
"""A writer may come between a row and its events; then both are read again."""


def check_due_list(
    store: Cadence, prospects: Iterable[Prospect], after: str | None, last: str
) -> Iterator[Finding]:
    """Find the prospects whose due row is missing or would list them too late.

    Args:
        store: whose list.
        prospects: every one behind ``after`` up to ``last``.
        after: the id before the first; ``None``: there is none.
        last: the last id.
    """
    rows = {row.prospect: row for row in store.due_rows(after, last)}
    for prospect in prospects:
        row = rows.pop(prospect.id, None)
        if store.due_row_is_wrong(prospect, row) and _is_still_wrong(store, after, prospect.id):
            yield _finding(prospect.id, prospect.version, _why(prospect, row))
    yield from _of_nobody(store, rows.values())


def rows_of_nobody(store: Cadence, after: str | None) -> list[Finding]:
    """Find the rows behind the last prospect."""
    return list(_of_nobody(store, store.due_rows(after)))


def _is_still_wrong(store: Cadence, after: str | None, name: str) -> bool:
    for _ in range(_TRIES):
        rows = [row for row in store.due_rows(after, name) if row.prospect == name]
        row = rows[0] if rows else None
        if not store.due_row_is_wrong(store.load(name), row):
            return False
    return True


def _why(prospect: Prospect, row: DueRow | None) -> str:
    what = "has no row" if row is None else "is listed too late, or for another owner"
    return f"{prospect.id} {what} in the due list; rebuild the list"


def _of_nobody(store: Cadence, rows: Iterable[DueRow]) -> Iterator[Finding]:
    what = "the due list has a row without events; rebuild the list"
    for row in rows:
        if not store.histories_of([row.prospect])[row.prospect]:
            yield _finding(row.prospect, 0, what)


def _finding(prospect: str, version: int, because: str) -> Finding:
    return Finding(prospect, version, Rule.DUE_LIST, because, Noticed.UNDECLARED)
