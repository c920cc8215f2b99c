"""Lock what a transaction on PostgreSQL reads of others and changes, and no more.

Writers to different prospects and addresses do not wait for each other. Each takes, in this order:

1. the table of events, together with the other writers (``ROW EXCLUSIVE``);
2. advisory locks, in order of their number: one on each prospect that it writes to, and one on each
   address that it changes. On an address that it only asks about it takes a shared one. So what was
   read of them stays so until the commit;
3. rows, in order of the prospects' ids.

A transaction about many prospects takes the table alone instead (``EXCLUSIVE``) and no advisory
lock: the server has room for some 64 locks a connection. Writers of an older cadence always do so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from eventsourcing.persistence import StoredEvent

from cadence.store.due_list import DueRow
from cadence.store.recorder import AddressChange, ClaimChange

__all__ = ["LOCK_SETTINGS", "TAKE_ALONE", "TAKE_LOCKS", "TAKE_TOGETHER", "Locks"]

TAKE_TOGETHER: Final = "LOCK TABLE {schema}.stored_events IN ROW EXCLUSIVE MODE"
TAKE_ALONE: Final = "LOCK TABLE {schema}.stored_events IN EXCLUSIVE MODE"
TAKE_LOCKS: Final = (
    "SELECT CASE WHEN alone THEN pg_advisory_xact_lock(number) "
    "ELSE pg_advisory_xact_lock_shared(number) END "
    "FROM unnest(%s::bigint[], %s::bool[]) AS wanted (number, alone)"
)
"""Takes advisory locks in the order in which they are given."""
LOCK_SETTINGS: Final = "settings"
"""The setting rows, whose numbers come in the order of the commits."""

_MOST: Final = 32  # a prospect seldom has five addresses; a merge is about two of them


class Locks(NamedTuple):
    """The advisory locks of a transaction, in the order in which they are taken.

    Attributes:
        numbers: what they are called in the database.
        alone: for each, whether others must not share it.
    """

    numbers: list[int]
    alone: list[bool]

    @property
    def are_too_many(self) -> bool:
        """Whether the transaction takes the table alone instead."""
        return len(self.numbers) > _MOST

    @classmethod
    def on(cls, schema: str, changed: Iterable[str], asked: Iterable[str] = ()) -> Locks:
        """Return the locks on some names.

        Args:
            schema: in which their rows lie.
            changed: what is changed.
            asked: what must stay as it is.
        """
        wanted = {_number(schema, name): False for name in asked}
        wanted.update((_number(schema, name), True) for name in changed)
        numbers = sorted(wanted)
        return cls(numbers, [wanted[number] for number in numbers])

    @classmethod
    def of_write(
        cls,
        schema: str,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow],
        claims: Iterable[ClaimChange],
        addresses: Iterable[AddressChange],
    ) -> Locks:
        """Return the locks of a write: on its prospects and on the addresses that it is about."""
        changed = {_prospect(str(event.originator_id)) for event in stored_events}
        changed.update(_prospect(row.prospect) for row in due)
        changed.update(_prospect(claim.prospect) for claim in claims)
        asked: set[str] = set()
        for change in addresses:
            changed.add(_prospect(change.prospect))
            changed.update(_address(row.base) for row in change.written)
            changed.update(_address(base) for base, _ in change.gone)
            asked.update(map(_address, change.bases))
        return cls.on(schema, changed, asked)

    @classmethod
    def of_addresses(cls, schema: str, bases: Iterable[str]) -> Locks:
        """Return the locks of a change of what is said of some addresses."""
        return cls.on(schema, map(_address, bases))


def _prospect(name: str) -> str:
    return f"prospect {name}"


def _address(base: str) -> str:
    return f"address {base}"


def _number(schema: str, name: str) -> int:
    """Return the number of a lock. Two names may share one: then their writers wait in turn."""
    digest = hashlib.blake2b(f"{schema}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
