"""Hold the due list and the address index against the events that they are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from cadence.audit.findings import Finding, Noticed
from cadence.domain.prospect import Prospect
from cadence.policy.rules import Rule
from cadence.store.due_list import AddressRow, DueRow
from cadence.store.service import Cadence

__all__ = ["check_indexes", "rows_of_nobody"]

Row = TypeVar("Row")

_TRIES: Final = 3
"""A writer may come between a row and its events; then both are read again."""


class _Index(NamedTuple, Generic[Row]):
    """What is kept of each prospect beside the events.

    Attributes:
        rule: names it in a finding.
        read: reads what is kept of the prospects behind one id up to another.
        is_wrong: whether that is wrong of a prospect; ``None``: nothing is kept of it.
        because: what is wrong then.
        without_events: what is wrong where a prospect has no events.
    """

    rule: Rule
    read: Callable[[str | None, str], dict[str, Row]]
    is_wrong: Callable[[Prospect, Row | None], bool]
    because: Callable[[Prospect, Row | None], str]
    without_events: str


def check_indexes(
    store: Cadence, prospects: Iterable[Prospect], after: str | None, last: str
) -> Iterator[Finding]:
    """Find the prospects of which the due list or the address index has something else.

    No prospect may be listed later than they should be, and the address index has just the rows
    that the history gives.

    Args:
        store: whose lists.
        prospects: every one behind ``after`` up to ``last``.
        after: the id before the first; ``None``: there is none.
        last: the last id.
    """
    every = list(prospects)
    yield from _check(store, _due_list(store), every, after, last)
    if store.addresses.is_whole():  # or it was never made, and nothing is read from it
        yield from _check(store, _address_index(store), every, after, last)


def rows_of_nobody(store: Cadence, after: str | None) -> list[Finding]:
    """Find the rows of the due list behind the last prospect."""
    left = [row.prospect for row in store.due_rows.stored(after)]
    return list(_without_events(store, _due_list(store), left))


def _due_list(store: Cadence) -> _Index[DueRow]:
    def read(after: str | None, last: str) -> dict[str, DueRow]:
        return {row.prospect: row for row in store.due_rows.stored(after, last)}

    def because(prospect: Prospect, row: DueRow | None) -> str:
        what = "has no row" if row is None else "is listed too late, or for another owner"
        return f"{prospect.id} {what} in the due list; rebuild the list"

    without = "the due list has a row without events; rebuild the list"
    return _Index(Rule.DUE_LIST, read, store.due_rows.is_wrong, because, without)


def _address_index(store: Cadence) -> _Index[list[AddressRow]]:
    def read(after: str | None, last: str) -> dict[str, list[AddressRow]]:
        found: dict[str, list[AddressRow]] = {}
        for row in store.addresses.rows_of(after, last):
            found.setdefault(row.prospect, []).append(row)
        return found

    def is_wrong(prospect: Prospect, rows: list[AddressRow] | None) -> bool:
        return tuple(rows or ()) != store.addresses.rows_for(prospect)

    wrong = "the address index has other rows than the history gives; rebuild it"
    without = "the address index has rows without events; rebuild it"
    return _Index(Rule.ADDRESS_INDEX, read, is_wrong, lambda *_: wrong, without)


def _check(
    store: Cadence, index: _Index[Row], prospects: list[Prospect], after: str | None, last: str
) -> Iterator[Finding]:
    kept = index.read(after, last)
    for prospect in prospects:
        row = kept.pop(prospect.id, None)
        if index.is_wrong(prospect, row) and _is_still_wrong(store, index, after, prospect.id):
            yield _finding(index, prospect.id, prospect.version, index.because(prospect, row))
    yield from _without_events(store, index, kept)


def _is_still_wrong(store: Cadence, index: _Index[Row], after: str | None, name: str) -> bool:
    for _ in range(_TRIES):
        row = index.read(after, name).get(name)
        if not index.is_wrong(store.load(name), row):
            return False
    return True


def _without_events(store: Cadence, index: _Index[Row], names: Iterable[str]) -> Iterator[Finding]:
    for name in names:
        if not store.histories.of([name])[name]:
            yield _finding(index, name, 0, index.without_events)


def _finding(index: _Index[Row], prospect: str, version: int, because: str) -> Finding:
    return Finding(prospect, version, index.rule, because, Noticed.UNDECLARED)
