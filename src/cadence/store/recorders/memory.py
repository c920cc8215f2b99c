"""Keep events, due rows, claims, policies and settings in memory, for tests and trials."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import compress
from threading import RLock
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from cadence.domain.events import Event
from cadence.errors import StoreError
from cadence.store.due_list import AddressRow, DueQuery, DueRow, Prepared, in_order
from cadence.store.feed import FeedPosition, FeedRow, number_of
from cadence.store.recorder import (
    ADDRESSES_WHOLE,
    DUE_STAMP,
    REBUILD_MARK,
    AddressChange,
    AddressesChanged,
    ClaimChange,
    ClaimChanged,
    ClaimRow,
    ClaimWrite,
    EntryQuery,
    EntryRow,
    EventSourcingRecorder,
    Refreshed,
    SettingRow,
)
from cadence.store.recorders.lifetime import Refusing, closed, renew_in_children
from cadence.store.recorders.sql import check_addresses, check_claim

__all__ = ["MemoryRecorder"]


class MemoryRecorder(EventSourcingRecorder):
    """Holds the package's in-memory recorder, and a due list under one lock with it.

    It belongs to one process. A forked child has a copy, in which events would be lost without a
    word, so there it refuses every call.
    """

    def __init__(self, name: str = "store in memory") -> None:
        """Args:
        name: what to call it in errors.
        """
        self._events = POPOApplicationRecorder()
        super().__init__(self._events)
        self._name = name
        # Every call takes it. Reentrant, because the list is refreshed by what is read meanwhile.
        self._lock: AbstractContextManager[object, None] = RLock()
        self._ids: set[str] = set()
        self._due: dict[str, DueRow] = {}
        self._meta: dict[str, str] = {ADDRESSES_WHOLE: "whole"}
        self._settings: list[SettingRow] = []
        self._claims: dict[str, ClaimRow] = {}
        self._addresses: dict[str, dict[tuple[str, str], AddressRow]] = {}
        self._entries: list[EntryRow] = []
        renew_in_children(self)

    def renew(self) -> None:
        """Refuse every call in this forked child."""
        if not isinstance(self._lock, Refusing):
            self._lock = Refusing(
                StoreError(
                    f"{self._name}: it belongs to the process that opened it",
                    "open one in each process, or give all of them a file or a server",
                )
            )

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        with self._lock:
            return super().select_events(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        with self._lock:
            return super().select_notifications(
                start, limit, stop, topics, inclusive_of_start=inclusive_of_start
            )

    def max_notification_id(self) -> int | None:
        with self._lock:
            return super().max_notification_id()

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        rows = {row.prospect: row for row in due}  # may raise, so before anything is written
        with self._lock:
            for claim in claims:
                self._check_claim(claim)
            for change in addresses:
                check_addresses(change, self.select_addresses(change.bases))
            ids = self._events.insert_events(stored_events, **kwargs)
            self._ids.update(str(event.originator_id) for event in stored_events)
            self._due.update(rows)
            for claim in claims:
                self._change_claim(claim)
            for change in addresses:
                for base, key in change.gone:
                    self._addresses.get(base, {}).pop((change.prospect, key), None)
                self._write_addresses(change.written)
        return ids

    def _write_addresses(self, rows: Iterable[AddressRow]) -> None:
        for row in rows:
            self._addresses.setdefault(row.base, {})[row.prospect, row.key] = row
            if row.speaks:
                self._look_now(one for one, _ in self._addresses[row.base] if one != row.prospect)

    def _look_now(self, prospects: Iterable[str]) -> None:
        for prospect in prospects:
            row = self._due.get(prospect)
            if row is not None and row.at is not None:
                self._due[prospect] = row.look_now()

    def _look_if_told(self, prospect: str, rows: Iterable[AddressRow]) -> None:
        """Say "look now" of a prospect whose row was made without what others say."""
        others = self.select_addresses([row.base for row in rows])
        if any(one.prospect != prospect and (one.speaks or not one.prospect) for one in others):
            self._look_now([prospect])

    def insert_claims(self, writes: Sequence[ClaimWrite]) -> list[bool]:
        with self._lock:
            taken = [self._holds(write) for write in writes]
            for write in compress(writes, taken):
                for claim in write.claims:
                    self._change_claim(claim)
        return taken

    def _holds(self, write: ClaimWrite) -> bool:
        try:
            for claim in write.claims:
                self._check_claim(claim)
            check_addresses(write.addresses, self.select_addresses(write.addresses.bases))
        except (ClaimChanged, AddressesChanged):
            return False
        return True

    def _check_claim(self, claim: ClaimChange) -> None:
        tokens = [row.token for row in self.open_claims(claim.prospect)]
        version = None if claim.version is None else self._newest_version(claim.prospect)
        check_claim(claim, tokens, version)

    def _change_claim(self, claim: ClaimChange) -> None:
        if claim.ended is not None and claim.seen is not None:
            token, prospect, taken, _ = self._claims[claim.seen]
            self._claims[token] = ClaimRow(token, prospect, taken, claim.ended)
        if claim.taken is not None:
            self._claims[claim.taken.token] = claim.taken

    def _newest_version(self, prospect: str) -> int | None:
        newest = self.select_events(prospect, desc=True, limit=1)
        return newest[0].originator_version if newest else None

    def open_claims(self, prospect: str | None = None) -> list[ClaimRow]:
        with self._lock:
            rows = [row for row in self._claims.values() if row.ended is None]
        return sorted(
            (row for row in rows if prospect in (None, row.prospect)), key=lambda row: row.prospect
        )

    def claims_on(self, prospects: Sequence[str]) -> list[ClaimRow]:
        asked = set(prospects)
        return [row for row in self.open_claims() if row.prospect in asked]

    def find_claim(self, token: str) -> ClaimRow | None:
        with self._lock:
            return self._claims.get(token)

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        prepared = list(batches)  # may raise, so before anything is written
        events = [event for one in prepared for event in one.events]
        with self._lock:
            self.insert_events(events, due=[one.row for one in prepared])
            for one in prepared:
                self._replace_addresses(one.row.prospect, one.addresses)
        return len(events)

    def _replace_addresses(self, prospect: str, rows: Sequence[AddressRow]) -> None:
        for held in self._addresses.values():
            for who, key in [one for one in held if one[0] == prospect]:
                del held[who, key]
        self._write_addresses(rows)
        self._look_if_told(prospect, rows)

    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        with self._lock:
            self._drop_orphans(after, last)
            for row, version, addresses in rows:
                if self._newest_version(row.prospect) == version:
                    self._due[row.prospect] = row
                    self._replace_addresses(row.prospect, addresses)
            self._meta[REBUILD_MARK] = mark

    def finish_due(self, after: str | None, stamp: str) -> None:
        with self._lock:
            self._drop_orphans(after, None)
            self._meta[DUE_STAMP] = stamp
            self._meta.pop(REBUILD_MARK, None)

    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        given = list(rows)  # may raise, so before anything is written
        new = 0
        with self._lock:
            for row in given:
                if not any(one[:5] == row[:5] and not one.ended for one in self._entries):
                    new += 1
                    self._entries.append(EntryRow(*row[:7], number=len(self._entries) + 1))
                    self._look_now(who for who, _ in self._addresses.get(row.base, {}))
        return new

    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        given = list(rows)
        changed = 0
        with self._lock:
            for row in given:
                if row.number:
                    is_new = self.end_entry(row)
                else:
                    place = row.base, row.entry
                    is_new = all((one.base, one.entry) != place for one in self._entries)
                    if is_new:
                        self._entries.append(EntryRow(*row[:7], number=len(self._entries) + 1))
                changed += is_new
                if is_new:
                    self._look_now(who for who, _ in self._addresses.get(row.base, {}))
        return changed

    def end_entry(self, row: EntryRow) -> bool:
        with self._lock:
            stood = not self._entries[row.number - 1].ended
            if stood:
                self._entries[row.number - 1] = EntryRow(*row[:6], True, row.number)
        return stood

    def select_addresses(self, bases: Sequence[str]) -> list[AddressRow]:
        with self._lock:
            found = [row for base in set(bases) for row in self._addresses.get(base, {}).values()]
            found += [
                AddressRow(row.base, row.key, "", row.entry, False)
                for row in self._entries
                if row.base in bases and not row.ended
            ]
        return sorted(found, key=in_order)

    def address_rows(self, after: str | None, last: str) -> list[AddressRow]:
        with self._lock:
            rows = [row for held in self._addresses.values() for row in held.values()]
        return sorted(
            (row for row in rows if (after or "") < row.prospect <= last),
            key=lambda row: (row.prospect, row.key),
        )

    def select_entries(
        self, query: EntryQuery, after: int = 0, limit: int = 1000
    ) -> list[EntryRow]:
        with self._lock:
            found = [
                row
                for row in self._entries[after:]
                if query.base in (None, row.base)
                and query.source in (None, row.source)
                and query.kind in (None, row.kind)
                and query.ended in (None, row.ended)
            ]
        return found[:limit]

    def entries_of(self, bases: Sequence[str]) -> list[EntryRow]:
        asked = frozenset(bases)
        with self._lock:
            return [row for row in self._entries if row.base in asked]

    def _drop_orphans(self, after: str | None, last: str | None) -> None:
        for row in self.due_rows(after, last):
            if row.prospect not in self._ids:
                del self._due[row.prospect]

    def set_meta(self, key: str, value: str) -> None:
        with self._lock:
            self._meta[key] = value

    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        with self._lock:
            self._settings += rows

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        rows = self.select_notifications(number_of(after), limit, inclusive_of_start=False)
        return [
            FeedRow(0, row.id, str(row.originator_id), row.originator_version, row.topic, row.state)
            for row in rows
        ]

    def select_stream(self, prospect: str) -> list[Event]:
        with self._lock:
            if prospect not in self._ids:
                return []  # the package's recorder would keep an entry for every id it is asked for
        return super().select_stream(prospect)

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        ids = self._sorted_ids()
        start, end = bisect.bisect_left(ids, first), bisect.bisect_right(ids, last)
        return [self.select_stream(one) for one in ids[start:end]]

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        ids = self._sorted_ids()
        start = 0 if after is None else bisect.bisect_right(ids, after)
        return ids[start : start + limit]

    def _sorted_ids(self) -> list[str]:
        with self._lock:
            return sorted(self._ids)

    def select_mentioning(self, text: str) -> list[str]:
        sought = text.encode()
        return [
            one
            for one in self._sorted_ids()
            if any(sought in row.state for row in self.select_events(one))
        ]

    def select_due(
        self, query: DueQuery, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        until, owner, channel = query
        with self._lock:
            rows = sorted(
                (row.at, row.prospect, row)
                for row in self._due.values()
                if row.at is not None
                and (until is None or (row.review_from is not None and row.review_from <= until))
                and owner in (None, row.owner)
                and (channel is None or f",{channel}," in row.channels)
            )
        start = 0 if after is None else bisect.bisect_right([row[:2] for row in rows], after)
        return [row for _, _, row in rows[start : start + limit]]

    def due_rows(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        with self._lock:
            return sorted(
                (
                    row
                    for row in self._due.values()
                    if row.prospect > (after or "") and (last is None or row.prospect <= last)
                ),
                key=lambda row: row.prospect,
            )

    def meta(self, key: str) -> str | None:
        with self._lock:
            return self._meta.get(key)

    def meta_keys(self, prefix: str) -> list[str]:
        with self._lock:
            return sorted(key for key in self._meta if key.startswith(prefix))

    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        with self._lock:
            return [row for row in self._settings if name in (None, row.name)]

    def close(self) -> None:
        """Refuse every call from here on; nothing that it held is left."""
        self._lock = Refusing(closed(self._name))
