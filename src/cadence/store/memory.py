"""Keep events, due rows, claims, policies and settings in memory, for tests and trials."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from threading import RLock
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from cadence.domain.events import Event
from cadence.store.due_list import DueQuery, DueRow, Prepared
from cadence.store.recorder import ClaimChange, ClaimChanged, ClaimRow, DueRecorder, SettingRow
from cadence.store.serializer import decode_rows

__all__ = ["MemoryRecorder"]


class MemoryRecorder(DueRecorder):
    """Holds the package's in-memory recorder, and a due list under one lock with it."""

    def __init__(self) -> None:
        self._events = POPOApplicationRecorder()
        super().__init__(self._events)
        # Reentrant, because the list is refreshed by what is read meanwhile.
        self._lock = RLock()
        self._ids: set[str] = set()
        self._due: dict[str, DueRow] = {}
        self._stamp: str | None = None
        self._mark: str | None = None
        self._policies: dict[str, str] = {}
        self._settings: list[SettingRow] = []
        self._claims: dict[str, ClaimRow] = {}

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claim: ClaimChange | None = None,
        **kwargs: Any,
    ) -> Sequence[int] | None:
        rows = {row.prospect: row for row in due}  # may raise, so before anything is written
        with self._lock:
            if claim is not None:
                self._check_claim(claim)
            ids = self._events.insert_events(stored_events, **kwargs)
            self._ids.update(str(event.originator_id) for event in stored_events)
            self._due.update(rows)
            if claim is not None:
                self._change_claim(claim)
        return ids

    def _check_claim(self, claim: ClaimChange) -> None:
        if [row.token for row in self.open_claims(claim.prospect)] != (
            [] if claim.seen is None else [claim.seen]
        ):
            raise ClaimChanged
        if claim.version is not None and self._newest_version(claim.prospect) != claim.version:
            raise ClaimChanged

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

    def find_claim(self, token: str) -> ClaimRow | None:
        return self._claims.get(token)

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        prepared = list(batches)  # may raise, so before anything is written
        events = [event for one in prepared for event in one.events]
        self.insert_events(events, due=[one.row for one in prepared])
        return len(events)

    def refresh_due(
        self, rows: Sequence[tuple[DueRow, int]], after: str | None, last: str, mark: str
    ) -> None:
        with self._lock:
            self._drop_orphans(after, last)
            for row, version in rows:
                if self._newest_version(row.prospect) == version:
                    self._due[row.prospect] = row
            self._mark = mark

    def finish_due(self, after: str | None, stamp: str) -> None:
        with self._lock:
            self._drop_orphans(after, None)
            self._stamp, self._mark = stamp, None

    def _drop_orphans(self, after: str | None, last: str | None) -> None:
        for row in self.due_rows(after, last):
            if row.prospect not in self._ids:
                del self._due[row.prospect]

    def save_policy(self, digest: str, text: str) -> None:
        self._policies[digest] = text

    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        with self._lock:
            self._settings += rows

    def select_stream(self, prospect: str) -> list[Event]:
        if prospect not in self._ids:
            return []  # the package's recorder would keep an entry for every id it is asked for
        rows = sorted(self.select_events(prospect), key=lambda row: row.originator_version)
        return decode_rows(prospect, [(row.originator_version, row.state) for row in rows])

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        return {prospect: self.select_stream(prospect) for prospect in prospects}

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

    def select_stale(
        self, stamps: Sequence[str], after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        with self._lock:
            rows = sorted((row.stamp, row.prospect) for row in self._due.values())
        stale = [row for row in rows if row[0] not in stamps and (after is None or row > after)]
        return stale[:limit]

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

    def count_due(self) -> int:
        return len(self._due)

    def due_stamp(self) -> str | None:
        return self._stamp

    def due_mark(self) -> str | None:
        return self._mark

    def policy_text(self, digest: str) -> str | None:
        return self._policies.get(digest)

    def policy_digests(self) -> list[str]:
        return sorted(self._policies)

    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        with self._lock:
            return [row for row in self._settings if name in (None, row.name)]

    def close(self) -> None:
        """Keep everything: memory has no connections."""
