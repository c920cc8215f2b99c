"""Keep the address index: who has which address, and what that tells the other holders.

The rows of a prospect are a function of its history, so they are written with its events, in one
transaction, and can be computed again (``cadence rebuild``). A decision is made with what was read
here before it, and written only if that is still so: an opt-out that comes in between makes the
writer decide again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from cadence.domain.addresses import bare, covers
from cadence.domain.channels import BUILT_IN, Channel, ChannelTraits
from cadence.domain.elsewhere import Held, bases_of, elsewhere, holdings, keys_of
from cadence.domain.events import Event, FollowUpEnded, ProspectsMerged
from cadence.domain.fold import evolve, fold
from cadence.domain.keys import KeyReader, addresses_read, keys_in
from cadence.domain.others import Others, PastHoldings
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.words import NOWHERE, AddressEntry, Elsewhere, EntryKind, Holding
from cadence.store.due_list import in_order
from cadence.store.feed import FeedPosition
from cadence.store.recorder import AddressChange, AddressRow, EntryQuery, EntryRow, Recorder

__all__ = [
    "AddressIndex",
    "Heard",
    "address_rows",
    "as_entry",
    "as_holding",
    "change_of_addresses",
    "entry_row",
    "holders_of",
]

_PAGE = 256  # prospects
_RECORD = "\x1f"
"""Before the id of a merged record, in the place of an address; no address has a control code."""


class Heard(NamedTuple):
    """What was read of some addresses for one decision.

    Attributes:
        bases: the addresses that were asked for.
        rows: what others say there.
    """

    bases: tuple[str, ...] = ()
    rows: tuple[AddressRow, ...] = ()

    def told_to(self, prospect: Prospect, before: Prospect | None = None) -> Prospect:
        """Return the prospect with what others say to it.

        Args:
            prospect: the fold of its history.
            before: the same a few events ago, with what they said to it. If its addresses and its
                name did not change since, they say the same.
        """
        if before is not None and (before.reach, before.identity) == (
            prospect.reach,
            prospect.identity,
        ):
            said = before.elsewhere
        else:
            said = _said_at(self.rows).to(prospect) if self.rows else NOWHERE
        if said == prospect.elsewhere:
            return prospect
        return msgspec.structs.replace(prospect, elsewhere=said)


class AddressIndex:
    """Reads and changes the addresses of a store.

    Attributes:
        region: the country in which a national number is read, where the prospect has none.
    """

    def __init__(self, recorder: Recorder, region: Callable[[], str | None]) -> None:
        """Args:
        recorder: keeps the rows.
        region: the country in which a national number is read, where the prospect has none.
        """
        self._recorder = recorder
        self.region = region
        self._scanned: tuple[FeedPosition | None, dict[str, list[AddressRow]]] = (None, {})

    def reader(
        self, prospect: Prospect, traits: Mapping[Channel, ChannelTraits] | None
    ) -> KeyReader:
        """Return the address reader of a prospect.

        It reads numbers in the prospect's country, and keeps the spellings that the prospect has.

        Args:
            prospect: whose.
            traits: the channels that its policy knows; ``None``: those that are built in.
        """
        country = prospect.identity.country
        known = prospect.reach.contact_points
        return KeyReader(traits or BUILT_IN, lambda: country or self.region(), known)

    def read(self, prospect: Prospect) -> Prospect:
        """Add the missing address keys to a prospect; events of an older cadence have none."""
        if not prospect.reach.unread:
            return prospect
        country = prospect.identity.country
        reader = KeyReader(BUILT_IN, lambda: country or self.region(), is_strict=False)
        data = addresses_read(prospect, reader)
        if data is None:
            return prospect
        at = prospect.recorded_at
        return evolve(prospect, Event(prospect.id, prospect.version, at, at, data))

    def rows_for(self, prospect: Prospect) -> tuple[AddressRow, ...]:
        """Return the rows of a prospect: what it says of each of its addresses."""
        return address_rows(self.read(prospect))

    def hear(self, prospect: Prospect, keys: Iterable[str] = ()) -> Heard:
        """Read what others say of a prospect's addresses, and of other keys."""
        bases = bases_of((*keys_of(prospect), *keys))
        if not bases:
            return Heard()
        rows = [row for row in self.rows(bases) if row.prospect != prospect.id]
        return Heard(bases, tuple(rows))

    def hear_more(self, heard: Heard, prospect: Prospect) -> Heard:
        """Read what is said of the addresses of a prospect that was not read before.

        What was read before stays as it was, because something was decided by it.
        """
        asked = bases_of(keys_of(prospect))
        bases = tuple([base for base in asked if base not in heard.bases])
        if not bases:
            return heard
        rows = [row for row in self.rows(bases) if row.prospect != prospect.id]
        return Heard(
            tuple(sorted((*heard.bases, *bases))),
            tuple(sorted((*heard.rows, *rows), key=in_order)),
        )

    def beside_all(self, prospects: Sequence[Prospect]) -> list[Prospect]:
        """Return prospects with what others say to them, read at once.

        Thousands may have one address, such as none@example.com: it is looked through once.
        """
        prospects, asked, found = self._read_all(prospects)
        said = {base: _said_at(rows) for base, rows in found.items()}
        told = []
        for prospect in prospects:
            at = [said[base] for base in asked[prospect.id] if base in said]
            others = _together(at).without(prospect).to(prospect) if at else NOWHERE
            told.append(msgspec.structs.replace(prospect, elsewhere=others))
        return told

    def hear_all(self, prospects: Sequence[Prospect]) -> list[tuple[Prospect, Heard]]:
        """Read what others say of the addresses of several prospects, at once.

        Returns:
            Each prospect, its addresses read, and what others say to it.
        """
        prospects, asked, found = self._read_all(prospects)
        heard = []
        for prospect in prospects:
            theirs = asked[prospect.id]
            rows = [row for base in theirs for row in found.get(base, ())]
            others = tuple([row for row in rows if row.prospect != prospect.id])
            heard.append((prospect, Heard(theirs, others)))
        return heard

    def _read_all(
        self, prospects: Sequence[Prospect]
    ) -> tuple[list[Prospect], dict[str, tuple[str, ...]], dict[str, list[AddressRow]]]:
        """Read the addresses of prospects, their bases by prospect, and the rows by base."""
        prospects = [self.read(prospect) for prospect in prospects]
        asked = {prospect.id: bases_of(keys_of(prospect)) for prospect in prospects}
        bases = sorted({base for theirs in asked.values() for base in theirs})
        found: dict[str, list[AddressRow]] = {}
        for row in self.rows(bases) if bases else ():
            found.setdefault(row.base, []).append(row)
        return prospects, asked, found

    def rows(self, bases: Sequence[str]) -> list[AddressRow]:
        """Read what is said of some addresses, in order of base, prospect and key."""
        if self._recorder.addresses_are_whole():
            return self._recorder.select_addresses(bases)
        every = self._scan()
        return sorted((row for one in set(bases) for row in every.get(one, ())), key=in_order)

    def holders(self, key: str) -> list[str]:
        """Return the prospects that have an address, in order; a bare number with any extension."""
        rows = self.rows([bare(key)])
        return sorted(
            row.prospect for row in rows if row.prospect and row.is_held and covers(key, row.key)
        )

    def survivors(self, prospects: Sequence[str]) -> dict[str, str]:
        """Return, of some records, those that are merged, each with the record that goes on."""
        rows = self.rows([_RECORD + name for name in prospects])
        return {row.key.removeprefix(_RECORD): row.prospect for row in rows}

    def shared(self) -> Iterator[str]:
        """List the addresses that several prospects hold or used, in order."""
        if not self._recorder.addresses_are_whole():
            every = self._scan()
            yield from sorted(
                one for one, rows in every.items() if len({r.prospect for r in rows}) > 1
            )
            return
        after = ""
        while page := self._recorder.select_shared(after, _PAGE):
            yield from page
            after = page[-1]

    def count_holders(self, bases: Sequence[str]) -> dict[str, int]:
        """Count who has or had each of some addresses, those with several only, in order."""
        if self._recorder.addresses_are_whole():
            return self._recorder.count_holders(bases)
        every = self._scan()
        counts = {base: len(every.get(base, ())) for base in sorted(set(bases))}
        return {base: count for base, count in counts.items() if count > 1}

    def rows_of(self, after: str | None, last: str) -> list[AddressRow]:
        """Read the rows of the prospects behind one id up to another, by prospect and key."""
        if self._recorder.addresses_are_whole():
            return self._recorder.address_rows(after, last)
        every = (row for rows in self._scan().values() for row in rows)
        found = [row for row in every if (after or "") < row.prospect <= last]
        return sorted(found, key=lambda row: (row.prospect, row.key))

    def others_of(self, histories: Sequence[Sequence[Event]]) -> dict[str, Others]:
        """Find the other holders of the addresses of some prospects; most have none.

        Merged records are included, because they counted before the merge. So is a record that they
        were merged into for a time.
        """
        bases = {
            history[0].prospect: bases_of(key for event in history for key in keys_in(event.data))
            for history in histories
            if history
        }
        every = sorted({base for theirs in bases.values() for base in theirs})
        shared: dict[str, set[str]] = {}
        for row in self.rows(every) if every else ():
            if row.prospect:
                shared.setdefault(row.base, set()).add(row.prospect)
        entries = self._every_entry(every)
        streams = {history[0].prospect: history for history in histories if history}
        needed = {one for who in shared.values() for one in who}
        while needed := needed.union(*map(_merged_with, streams.values())) - streams.keys():
            streams |= self._recorder.select_streams(sorted(needed))
        past, found = PastHoldings(), {}
        for prospect, theirs in bases.items():
            direct = {one for base in theirs for one in shared.get(base, ())}
            names = _with_merged({prospect, *direct}, streams) - {prospect}
            said = [one for base in theirs for one in entries.get(base, ())]
            if names or said:
                others = [streams[name] for name in sorted(names)]
                found[prospect] = Others(streams[prospect], others, said, past)
        return found

    def _every_entry(self, bases: Iterable[str]) -> dict[str, list[AddressEntry]]:
        """Read the entries about some addresses, also those that were taken back."""
        if not self._recorder.select_entries(EntryQuery(), limit=1):
            return {}
        found: dict[str, list[AddressEntry]] = {}
        for row in self._recorder.entries_of(list(bases)):
            found.setdefault(row.base, []).append(as_entry(row.entry))
        return found

    def _scan(self) -> dict[str, list[AddressRow]]:
        """Compute every row: the database is that of an older cadence, and was not rebuilt yet."""
        last = self._recorder.newest()
        newest = None if last is None else last.position
        if self._scanned[0] != newest or newest is None:
            found: dict[str, list[AddressRow]] = {}
            for prospect in self._prospects():
                for row in self.rows_for(prospect):
                    found.setdefault(row.base, []).append(row)
            self._scanned = (newest, found)
        return self._scanned[1]

    def _prospects(self) -> Iterator[Prospect]:
        after: str | None = None
        while page := self._recorder.select_prospects(after, _PAGE):
            after = page[-1]
            for history in self._recorder.select_streams(page).values():
                prospect = fold(None, history)
                if prospect is not None:
                    yield prospect


def holders_of(keys: Sequence[str], heard: Heard) -> list[str]:
    """Return who else has some addresses that are no lines, in order.

    Args:
        keys: the addresses.
        heard: what was read of them.
    """
    entries = [as_entry(row.holding) for row in heard.rows if not row.prospect]
    lines = [one.key for one in entries if one.kind is EntryKind.LINE]
    asked = [key for key in keys if not any(covers(line, key) for line in lines)]
    return sorted(
        {
            row.prospect
            for row in heard.rows
            if row.prospect and any(covers(key, row.key) or covers(row.key, key) for key in asked)
        }
    )


def _merged_with(history: Sequence[Event]) -> list[str]:
    """The records that were ever merged into one, and those into which it was."""
    found = [one.data.prospect for one in history if isinstance(one.data, ProspectsMerged)]
    ends = [one.data.into for one in history if isinstance(one.data, FollowUpEnded)]
    return found + [into for into in ends if into is not None]


def _with_merged(names: set[str], streams: Mapping[str, Sequence[Event]]) -> set[str]:
    """Some records, with those that were ever merged with one of them."""
    found, left = set(names), list(names)
    while left:
        more = set(_merged_with(streams[left.pop()])) - found
        found |= more
        left += more
    return found


def change_of_addresses(before: Prospect | None, after: Prospect, heard: Heard) -> AddressChange:
    """Return what a write asks and changes of the index.

    Args:
        before: the prospect as it was; ``None``: it is new.
        after: as it is now.
        heard: what it was decided by.
    """
    old = {} if before is None else {row.key: row for row in address_rows(before)}
    new = address_rows(after)
    written = tuple([row for row in new if old.pop(row.key, None) != row])
    gone = tuple([(row.base, key) for key, row in old.items()])
    return AddressChange(after.id, heard.bases, heard.rows, written, gone)


def address_rows(prospect: Prospect) -> tuple[AddressRow, ...]:
    """Return the rows of a prospect: what it says of each of its addresses."""
    # Who goes on for a merged record is found by its id, like a holder by an address.
    merged = sorted(prospect.merged) if prospect.stage is not Stage.MERGED else ()
    rows = [
        AddressRow(_RECORD + name, _RECORD + name, prospect.id, "{}", speaks=False)
        for name in merged
    ]
    rows += [
        AddressRow(
            bare(key),
            key,
            prospect.id,
            msgspec.json.encode(holding, order="deterministic").decode(),
            holding.speaks,
        )
        for key, holding in holdings(prospect).items()
    ]
    return tuple(rows)


def entry_row(entry: AddressEntry, number: int = 0) -> EntryRow:
    """Return an entry as it is stored."""
    return EntryRow(
        bare(entry.key),
        entry.key,
        entry.kind.value,
        entry.source,
        entry.channel or "",
        msgspec.json.encode(entry).decode(),
        entry.ended_at is not None,
        number,
    )


@lru_cache(maxsize=4096)
def as_entry(text: str) -> AddressEntry:
    """Read an entry as it was stored."""
    return msgspec.json.decode(text, type=AddressEntry)


@lru_cache(maxsize=4096)
def as_holding(text: str) -> Holding:
    """Read a holding as it was stored."""
    return msgspec.json.decode(text, type=Holding)


class _Said(NamedTuple):
    """What is said at some addresses.

    Attributes:
        held: what each holder says who says something.
        holders: how many hold each key; most say nothing.
        entries: what lists and owners say.
    """

    held: list[Held]
    holders: dict[str, int]
    entries: list[AddressEntry]

    def without(self, prospect: Prospect) -> _Said:
        """Return what the others say, where ``prospect`` is among the holders."""
        own = {point.key for point in prospect.reach.contact_points}
        holders = {key: count - (key in own) for key, count in self.holders.items()}
        return _Said(self.held, holders, self.entries)

    def to(self, prospect: Prospect) -> Elsewhere:
        """Gather what it says to ``prospect``."""
        return elsewhere(prospect, self.held, self.entries, holders=self.holders)


def _said_at(rows: Iterable[AddressRow]) -> _Said:
    said = _Said([], Counter(), [])
    for row in rows:
        if not row.prospect:
            said.entries.append(as_entry(row.holding))
            continue
        if row.counts:
            said.held.append(Held(row.key, row.prospect, as_holding(row.holding)))
        if row.is_held:
            said.holders[row.key] += 1
    return said


def _together(said: Sequence[_Said]) -> _Said:
    """Put together what is said at several addresses; no two have a key in common."""
    if len(said) == 1:
        return said[0]
    return _Said(
        [held for one in said for held in one.held],
        {key: count for one in said for key, count in one.holders.items()},
        [entry for one in said for entry in one.entries],
    )
