"""Load a suppression list, batch by batch in bounded memory, and say what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from typing import Final, NamedTuple

from cadence.domain.addresses import bare, covers
from cadence.domain.channels import Channel
from cadence.domain.words import AddressEntry, EntryKind
from cadence.store.addresses import AddressIndex, as_entry, entry_row
from cadence.store.distinct import DistinctIds
from cadence.store.recorder import EntryQuery, Recorder

__all__ = [
    "FEW_HOLDERS",
    "MOST_NAMED",
    "Holders",
    "LeftOut",
    "ListLoad",
    "Suppressed",
    "Suppression",
]

MOST_NAMED: Final = 20
"""How many addresses of a list are named, of those that are left out or put back."""
FEW_HOLDERS: Final = 5
"""Up to so many prospects are named."""
_LONGEST: Final = 100  # characters that are kept of an address that can't be read


class Suppression(NamedTuple):
    """An address to suppress.

    Attributes:
        address: as it is written.
        channel: on this channel only; ``None``: on every one.
        line: where it stands in its list; its place among those that are given, if it says none.
    """

    address: str
    channel: Channel | None = None
    line: int | None = None


class LeftOut(NamedTuple):
    """An address of a list that can't be read.

    Attributes:
        line: where it stands in the list.
        address: as it is written.
        lacks_country: whether it may be a number that only lacks its country.
    """

    line: int
    address: str
    lacks_country: bool

    @classmethod
    def of(cls, line: int, address: str, *, lacks_country: bool) -> LeftOut:
        """Make one of an address; a long one is cut, since a cell may hold a megabyte."""
        cut = address if len(address) <= _LONGEST else f"{address[:_LONGEST]}…"
        return cls(line, cut, lacks_country)


class Holders(NamedTuple):
    """The prospects that have an address.

    Attributes:
        total: how many.
        first: the first ids of them, in order.
    """

    total: int = 0
    first: tuple[str, ...] = ()


class Suppressed(NamedTuple):
    """What became of the addresses of a list.

    Attributes:
        new: how many are suppressed now and were not before.
        known: how many were suppressed already.
        unusable: how many can't be read as an address, and are left out.
        left_out: the first of those.
        lacking_country: how many of those may be numbers that only lack their country.
        holders: the prospects that have an address of the list.
        put_back: how many had been taken back, and are suppressed again.
        put_back_first: the first entries of those, as they were taken back.
        kept_off: how many had been taken back after the day of the list, and stay so.
        kept_off_first: the first entries of those.
    """

    new: int
    known: int
    unusable: int
    left_out: tuple[LeftOut, ...] = ()
    lacking_country: int = 0
    holders: Holders = Holders()
    put_back: int = 0
    put_back_first: tuple[AddressEntry, ...] = ()
    kept_off: int = 0
    kept_off_first: tuple[AddressEntry, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether addresses were given, and each was left out."""
        return self.unusable > 0 and self.new + self.known + self.kept_off == 0


class ListLoad:
    """Writes a list batch by batch, and keeps count of what becomes of it."""

    def __init__(
        self,
        recorder: Recorder,
        index: AddressIndex,
        source: str,
        dated: date | None,
        ids: DistinctIds,
    ) -> None:
        """Args:
        recorder: keeps the entries.
        index: who has which address.
        source: the list.
        dated: of which day it is.
        ids: counts the prospects.
        """
        self._recorder = recorder
        self._index = index
        self._source = source
        self._dated = dated
        self._ids = ids
        self._new = self._known = self._unusable = self._lacking = 0
        self._left_out: list[LeftOut] = []
        self._put_back: list[AddressEntry] = []
        self._kept_off: list[AddressEntry] = []
        self._put_back_count = self._kept_off_count = 0
        query = EntryQuery(source=source, kind=EntryKind.SUPPRESSED.value, ended=True)
        self._has_ended = bool(recorder.select_entries(query, limit=1))

    @property
    def done(self) -> int:
        """How many addresses it was given so far."""
        return self._new + self._known + self._unusable + self._kept_off_count

    def leave_out(self, one: LeftOut) -> None:
        """Count an address that can't be read."""
        self._unusable += 1
        self._lacking += one.lacks_country
        if len(self._left_out) < MOST_NAMED:
            self._left_out.append(one)

    def write(self, batch: Sequence[AddressEntry]) -> None:
        """Write entries, and count who has their addresses."""
        if self._has_ended:
            batch = self._without_newer_words(batch)
        if not batch:
            return
        rows = [entry_row(entry) for entry in batch]
        keys: dict[str, list[str]] = {}
        for row in rows:
            keys.setdefault(row.base, []).append(row.key)
        self._ids.add(
            held.prospect
            for held in self._index.rows(list(keys))
            if held.prospect and held.is_held
            if any(covers(key, held.key) for key in keys[held.base])
        )
        done = self._recorder.insert_entries(rows)
        self._new, self._known = self._new + done, self._known + len(rows) - done

    def _without_newer_words(self, batch: Sequence[AddressEntry]) -> list[AddressEntry]:
        """Leave out what was taken back after the day of the list, and note what is put back."""
        standing: set[tuple[str, str]] = set()
        made: set[AddressEntry] = set()
        ended: dict[tuple[str, str], AddressEntry] = {}
        for row in self._recorder.entries_of([bare(entry.key) for entry in batch]):
            if row.source == self._source and row.kind == EntryKind.SUPPRESSED.value:
                if row.ended:
                    back = as_entry(row.entry)
                    ended[row.key, row.channel] = back  # the last one counts
                    made.add(back.as_made)
                else:
                    standing.add((row.key, row.channel))
        kept = []
        for entry in batch:
            place = (entry.key, entry.channel or "")
            was = None if place in standing else ended.pop(place, None)
            if was is not None and self._is_older_than(was):
                ended[place] = was  # the address may stand in the list again
                self._kept_off_count += 1
                if len(self._kept_off) < MOST_NAMED:
                    self._kept_off.append(was)
                continue
            if was is not None:
                self._put_back_count += 1
                if len(self._put_back) < MOST_NAMED:
                    self._put_back.append(was)
            kept.append(entry.unlike(made))
        return kept

    def _is_older_than(self, was: AddressEntry) -> bool:
        """Whether the list is older than the word that took an entry back.

        On the same day the list counts: a call too few costs less than a call too many.
        """
        return (
            self._dated is not None
            and was.ended_at is not None
            and was.ended_at.astimezone(UTC).date() > self._dated
        )

    def result(self) -> Suppressed:
        """Return what became of all of them."""
        return Suppressed(
            self._new,
            self._known,
            self._unusable,
            tuple(self._left_out),
            self._lacking,
            Holders(self._ids.count(), self._ids.first(FEW_HOLDERS)),
            self._put_back_count,
            tuple(self._put_back),
            self._kept_off_count,
            tuple(self._kept_off),
        )
