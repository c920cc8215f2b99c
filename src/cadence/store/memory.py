"""Everything in memory, for tests and trials."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder, POPOFactory

from cadence.domain.events import Event
from cadence.store.due_list import DueRow, Prepared
from cadence.store.serializer import decode_rows

__all__ = ["MemoryFactory", "MemoryRecorder"]


class MemoryRecorder(POPOApplicationRecorder):
    """The package's in-memory recorder, with a due list under the same lock."""

    def __init__(self) -> None:
        super().__init__()
        self._due: dict[str, DueRow] = {}
        self._stamp: str | None = None
        self._policies: dict[str, str] = {}

    def _update_table(
        self, stored_events: Sequence[StoredEvent], due: Iterable[DueRow] = (), **kwargs: Any
    ) -> Sequence[int] | None:
        rows = {row.prospect: row for row in due}  # may raise, so before anything is written
        ids = super()._update_table(stored_events, **kwargs)
        self._due.update(rows)
        return ids

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        made = list(batches)  # may raise, so before anything is written
        events = [event for one in made for event in one.events]
        self.insert_events(events, due=[one.row for one in made])
        return len(events)

    def select_stream(self, prospect: str) -> list[Event]:
        if prospect not in self._stored_events_index:
            return []  # the package's own would keep an entry for whoever is asked for
        rows = sorted(self.select_events(prospect), key=lambda row: row.originator_version)
        return decode_rows(prospect, [row.state for row in rows])

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        return {prospect: self.select_stream(prospect) for prospect in prospects}

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        with self._database_lock:
            ids = sorted(str(key) for key in self._stored_events_index)
        start, end = bisect.bisect_left(ids, first), bisect.bisect_right(ids, last)
        return [history for one in ids[start:end] if (history := self.select_stream(one))]

    def select_due(
        self, wake: int | None, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        with self._database_lock:
            rows = sorted(
                (row.at, row.prospect, row)
                for row in self._due.values()
                if row.at is not None
                and (wake is None or (row.wake is not None and row.wake <= wake))
            )
        start = 0 if after is None else bisect.bisect_right([row[:2] for row in rows], after)
        return [row for _, _, row in rows[start : start + limit]]

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        with self._database_lock:
            ids = sorted(str(key) for key, rows in self._stored_events_index.items() if rows)
        start = 0 if after is None else bisect.bisect_right(ids, after)
        return ids[start : start + limit]

    def replace_due(self, rows: Iterable[DueRow], stamp: str) -> None:
        with self._database_lock:
            # Nobody appends while the rows are made, so none is replaced by one that is older.
            made = {row.prospect: row for row in rows}
            self._due, self._stamp = made, stamp

    def count_due(self) -> int:
        return len(self._due)

    def due_stamp(self) -> str | None:
        return self._stamp

    def save_policy(self, digest: str, text: str) -> None:
        self._policies[digest] = text

    def policy_text(self, digest: str) -> str | None:
        return self._policies.get(digest)

    def policy_digests(self) -> list[str]:
        return sorted(self._policies)

    def due_rows(self) -> Iterator[DueRow]:
        with self._database_lock:
            return iter(sorted(self._due.values()))


class MemoryFactory(POPOFactory):
    """Makes :class:`MemoryRecorder`."""

    def application_recorder(self) -> ApplicationRecorder:
        return MemoryRecorder()
