"""Take several claims on PostgreSQL in one transaction, without waiting for other writers.

Every other writer waits for its locks in one order (``postgres_locks``). Here a lock that can't be
had at once leaves its claim out, so no order is needed, and no circle can form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, Final, NamedTuple

from psycopg import Cursor

from cadence.store.recorder import ClaimWrite
from cadence.store.recorders.postgres_locks import TAKE_TOGETHER, Locks
from cadence.store.recorders.sql import SELECT_ADDRESSES, as_address_rows

__all__ = ["INSERT_CLAIMS", "ClaimBatch", "claim_batches"]

# The server has room for some 64 locks a connection, and other writers need some of it. So a batch
# has a bound, and only so many batches are written at once as fill half of the room.
_MOST: Final = 512
_SLOTS: Final = (
    "greatest(1, current_setting('max_locks_per_transaction')::int "
    f"* current_setting('max_connections')::int / {2 * _MOST})"
)
_TRY_SLOT: Final = (
    f"SELECT slot FROM generate_series(0, {_SLOTS} - 1) AS slot "
    "WHERE pg_try_advisory_xact_lock(hashtext('cadence claims'), slot) LIMIT 1"
)
_TAKE_SLOT: Final = (
    f"SELECT pg_advisory_xact_lock(hashtext('cadence claims'), (random() * ({_SLOTS} - 1))::int)"
)
_TRY_LOCKS: Final = (
    "SELECT number, CASE WHEN alone THEN pg_try_advisory_xact_lock(number) "
    "ELSE pg_try_advisory_xact_lock_shared(number) END "
    "FROM unnest(%s::bigint[], %s::bool[]) AS wanted (number, alone)"
)
_SELECT_CLAIMED: Final = (
    "SELECT asked, (SELECT token FROM {schema}.claims WHERE prospect = asked AND ended IS NULL), "
    "(SELECT max(originator_version) FROM {schema}.stored_events WHERE originator_id = asked) "
    "FROM unnest(%s::text[]) AS asked"
)
_END: Final = (
    "UPDATE {schema}.claims SET ended = given.ended "
    "FROM unnest(%s::text[], %s::text[]) AS given (token, ended) WHERE claims.token = given.token"
)
INSERT_CLAIMS: Final = (
    "INSERT INTO {schema}.claims (token, prospect, claim, ended) "
    "SELECT token, prospect, claim, NULL "
    "FROM unnest(%s::text[], %s::text[], string_to_array(%s, chr(10))) "
    "AS given (token, prospect, claim) "
    "ON CONFLICT (token) DO UPDATE SET claim = excluded.claim"
)


class ClaimBatch(NamedTuple):
    """Claims that one transaction takes.

    Attributes:
        writes: what takes each.
        locks: those of each, in the same order.
    """

    writes: Sequence[ClaimWrite]
    locks: Sequence[Locks]

    @property
    def is_alone(self) -> bool:
        """Whether it is one claim that many others have to do with: it waits for its turn."""
        return len(self.writes) == 1 and self.locks[0].are_too_many

    def take(self, curs: Cursor[tuple[Any, ...]], sql: Callable[[str], bytes]) -> list[bool]:
        """Take, in the transaction of ``curs``, the claims that can be had; say which.

        Args:
            curs: gives rows as tuples.
            sql: puts the name of the schema into a statement.
        """
        curs.execute(sql(TAKE_TOGETHER))
        locked = self._lock(curs)
        # Read behind the locks, so that nothing of it changes any more.
        asked = sorted({claim.prospect for write in self.writes for claim in write.claims})
        rows = curs.execute(sql(_SELECT_CLAIMED), (asked,)).fetchall()
        newest = {prospect: (token, version) for prospect, token, version in rows}
        bases = sorted({base for write in self.writes for base in write.addresses.bases})
        said: dict[str, list[tuple[Any, ...]]] = {base: [] for base in bases}
        for row in curs.execute(sql(SELECT_ADDRESSES), (bases, bases)).fetchall():
            said[row[0]].append(row)
        taken = [
            is_locked and _is_unclaimed(write, newest) and _is_unsaid(write, said)
            for write, is_locked in zip(self.writes, locked, strict=True)
        ]
        self._write(curs, sql, list(compress(self.writes, taken)))
        return taken

    def _lock(self, curs: Cursor[tuple[Any, ...]]) -> list[bool]:
        """Take what locks there are; return for each claim whether all of its own were had."""
        wanted: dict[int, bool] = {}
        for one in self.locks:
            for number, alone in zip(*one, strict=True):
                wanted[number] = alone or wanted.get(number, False)
        locks = Locks(list(wanted), list(wanted.values()))
        if locks.are_too_many and not curs.execute(_TRY_SLOT).fetchall():
            curs.execute(_TAKE_SLOT)
        had = {number for number, is_had in curs.execute(_TRY_LOCKS, locks).fetchall() if is_had}
        return [had.issuperset(one.numbers) for one in self.locks]

    def _write(
        self,
        curs: Cursor[tuple[Any, ...]],
        sql: Callable[[str], bytes],
        writes: Sequence[ClaimWrite],
    ) -> None:
        changes = [claim for write in writes for claim in write.claims]
        ended = [(one.seen, one.ended) for one in changes if one.ended is not None]
        if ended:
            curs.execute(sql(_END), [list(column) for column in zip(*ended, strict=True)])
        rows = [one.taken for one in changes if one.taken is not None]
        if rows:
            # As lines, which JSON is free of: quoted as an array it takes as long as all the rest.
            lines = "\n".join(row.claim for row in rows)
            tokens, prospects = [row.token for row in rows], [row.prospect for row in rows]
            curs.execute(sql(INSERT_CLAIMS), (tokens, prospects, lines))


def claim_batches(schema: str, writes: Sequence[ClaimWrite]) -> Iterator[ClaimBatch]:
    """Share claims out over transactions, so that none needs too many locks.

    Args:
        schema: in which their rows lie.
        writes: what takes each.
    """
    locks = [Locks.of_write(schema, (), (), one.claims, [one.addresses]) for one in writes]
    begun = many = 0
    for number, one in enumerate(locks):
        if number > begun and (many + len(one.numbers) > _MOST or one.are_too_many):
            yield ClaimBatch(writes[begun:number], locks[begun:number])
            begun, many = number, 0
        many += _MOST if one.are_too_many else len(one.numbers)
    if writes:
        yield ClaimBatch(writes[begun:], locks[begun:])


def _is_unclaimed(write: ClaimWrite, newest: dict[str, tuple[str | None, int | None]]) -> bool:
    """Return whether the open claims, and the version, are those that were read."""
    for claim in write.claims:
        token, version = newest[claim.prospect]
        if token != claim.seen or claim.version not in (None, version):
            return False
    return True


def _is_unsaid(write: ClaimWrite, said: dict[str, list[tuple[Any, ...]]]) -> bool:
    """Return whether others say what was read, and no more."""
    change = write.addresses
    rows = [row for base in sorted(change.bases) for row in said[base] if row[2] != change.prospect]
    return change.seen is None or tuple(as_address_rows(rows)) == change.seen
