"""The contract of a store notices what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent

from cadence.store.due_list import DueQuery, DueRow
from cadence.store.feed import FeedPosition, FeedRow
from cadence.store.recorder import AddressChange, ClaimChange, EntryRow, Refreshed
from cadence.store.recorders.memory import MemoryRecorder
from cadence.testing import StoreContract


class WritesHalf(MemoryRecorder):
    """Due rows stay where a version is taken."""

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        rows = list(due)
        super().insert_events([], rows)
        return super().insert_events(stored_events, rows, claims, addresses)


class TakesEveryVersion(MemoryRecorder):
    """The last writer wins."""

    def insert_events(self, *args: Any, **kwargs: Any) -> Sequence[int] | None:
        with suppress(IntegrityError):
            return super().insert_events(*args, **kwargs)
        return []


class IgnoresOthers(MemoryRecorder):
    """What others say is held against nothing."""

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        unheard = [AddressChange(one.prospect, (), None, *one[3:]) for one in addresses]
        return super().insert_events(stored_events, due, claims, unheard)


class IgnoresClaims(MemoryRecorder):
    """Two workers may hold one prospect."""

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        for one in claims:
            self._change_claim(one)
        return super().insert_events(stored_events, due, (), addresses)


class FeedRepeats(MemoryRecorder):
    """A page begins with the last of the page before."""

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        return super().select_feed(FeedPosition(0, max(0, after.number - 1)), limit)


class FeedStops(MemoryRecorder):
    """The newest event is held back."""

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        return super().select_feed(after, limit + 1)[:-1]


class SortsLikeAPhoneBook(MemoryRecorder):
    """Capital letters come with small ones."""

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        every = sorted(super().select_prospects(None, 1000), key=str.casefold)
        start = 0 if after is None else every.index(after) + 1
        return every[start : start + limit]


class ForgetsTheOwner(MemoryRecorder):
    """A page of the due list forgets the owner."""

    def select_due(
        self, query: DueQuery, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        return super().select_due(DueQuery(query.review_until, None, query.channel), after, limit)


class RebuildsOver(MemoryRecorder):
    """A rebuild replaces newer rows."""

    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        super().refresh_due(rows, after, last, mark)
        super().insert_events([], [one.row for one in rows])


class TellsNone(MemoryRecorder):
    """An entry tells no holder."""

    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        before = self.due_rows()
        new = super().insert_entries(rows)
        super().insert_events([], before)
        return new


class CopiesAsStanding(MemoryRecorder):
    """An entry that was taken back in the other store stands here."""

    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        return self.insert_entries(EntryRow(*row[:6]) for row in rows)


CONTRACT = StoreContract()
WRONG: list[tuple[type[MemoryRecorder], Callable[[MemoryRecorder], object]]] = [
    (WritesHalf, CONTRACT.test_a_version_that_is_taken_is_refused_and_nothing_is_written),
    (TakesEveryVersion, CONTRACT.test_of_writers_of_one_version_one_wins),
    (IgnoresOthers, CONTRACT.test_a_write_holds_against_what_others_said_when_it_was_decided),
    (IgnoresClaims, CONTRACT.test_a_claim_holds_against_the_one_that_was_seen),
    (IgnoresClaims, CONTRACT.test_of_workers_that_claim_at_once_one_wins),
    (CopiesAsStanding, CONTRACT.test_entries_of_another_store_come_as_they_are),
    (FeedRepeats, CONTRACT.test_the_feed_gives_each_event_once_in_pages),
    (FeedStops, CONTRACT.test_the_feed_misses_nothing_while_many_write),
    (SortsLikeAPhoneBook, CONTRACT.test_ids_are_in_the_order_of_their_code_points),
    (ForgetsTheOwner, CONTRACT.test_due_rows_are_chosen_by_owner_channel_and_review),
    (RebuildsOver, CONTRACT.test_a_rebuild_leaves_the_row_of_a_newer_version),
    (TellsNone, CONTRACT.test_an_entry_stands_once_and_tells_every_holder),
]


@pytest.mark.parametrize(("wrong", "promise"), WRONG)
def test_a_store_that_breaks_a_promise_fails(
    wrong: type[MemoryRecorder], promise: Callable[[MemoryRecorder], object]
) -> None:
    promise(MemoryRecorder())
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        promise(wrong())
