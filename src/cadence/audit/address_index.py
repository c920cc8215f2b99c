"""Hold the address index against the events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cadence.audit.findings import Finding, Noticed
from cadence.domain.prospect import Prospect
from cadence.policy.rules import Rule
from cadence.store.due_list import AddressRow
from cadence.store.service import Cadence

__all__ = ["check_addresses"]

_TRIES: Final = 3
"""A writer may come between the index and the events; then both are read again."""


def check_addresses(
    store: Cadence, prospects: Iterable[Prospect], after: str | None, last: str
) -> Iterator[Finding]:
    """Find the prospects whose rows in the address index are not those of their events.

    Args:
        store: whose index.
        prospects: every one behind ``after`` up to ``last``.
        after: the id before the first; ``None``: there is none.
        last: the last id.
    """
    if not store.addresses.is_whole():
        return  # it was never made, so nothing is read from it
    rows: dict[str, list[AddressRow]] = {}
    for row in store.addresses.rows_of(after, last):
        rows.setdefault(row.prospect, []).append(row)
    for prospect in prospects:
        found = tuple(rows.pop(prospect.id, ()))
        if found != store.addresses.rows_for(prospect) and _is_still_wrong(
            store, after, prospect.id
        ):
            what = "the address index has other rows than the history gives; rebuild it"
            yield _finding(prospect.id, prospect.version, what)
    for name in rows:
        if not store.histories_of([name])[name]:
            what = "the address index has rows without events; rebuild it"
            yield _finding(name, 0, what)


def _is_still_wrong(store: Cadence, after: str | None, name: str) -> bool:
    for _ in range(_TRIES):
        found = tuple(row for row in store.addresses.rows_of(after, name) if row.prospect == name)
        if found == store.addresses.rows_for(store.load(name)):
            return False
    return True


def _finding(prospect: str, version: int, because: str) -> Finding:
    return Finding(prospect, version, Rule.ADDRESS_INDEX, because, Noticed.UNDECLARED)
