"""Read and change what is known of addresses: holders, suppression lists and lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby, islice
from typing import Final, NamedTuple

from msgspec.structs import replace

from cadence.domain.addresses import address_key, bare, covers, key_or_unusable, lacks_country
from cadence.domain.channels import (
    BUILT_IN,
    CALL,
    EMAIL,
    MAIL,
    AddressKind,
    Channel,
    ChannelTraits,
    check_known,
)
from cadence.domain.elsewhere import Held
from cadence.domain.limits import check_texts
from cadence.domain.prospect import Prospect
from cadence.domain.words import AddressEntry, EntryKind
from cadence.errors import InputError, Refused
from cadence.policy.rules import Rule
from cadence.store.addresses import AddressIndex, as_entry, as_holding, entry_row
from cadence.store.clock import StoreClock
from cadence.store.distinct import DistinctIds
from cadence.store.gate import WriteGate
from cadence.store.list_load import LeftOut, ListLoad, Suppressed, Suppression
from cadence.store.recorder import AddressRow, EntryQuery, EntryRow, Recorder
from cadence.worktime.holidays import check_country

__all__ = ["AddressBook", "SharedAddress"]

_PAGE: Final = 1000
_SHARED_PAGE: Final = 64
_LIST: Final = "list:"


class SharedAddress(NamedTuple):
    """An address that several prospects have.

    Attributes:
        base: the address without an extension.
        key: the address key.
        holders: who has it, in order of their ids.
        is_line: whether it was declared a house's line.
    """

    base: str
    key: str
    holders: list[Held]
    is_line: bool


class AddressBook:
    """The addresses of a store. Every method raises ``StoreError`` where it can't be used."""

    def __init__(
        self,
        recorder: Recorder,
        index: AddressIndex,
        gate: WriteGate,
        clock: StoreClock,
        channels: Callable[[], Mapping[Channel, ChannelTraits]],
    ) -> None:
        """Args:
        recorder: keeps the entries.
        index: who has which address.
        gate: lets writes through.
        clock: that of the store.
        channels: which are known, built in or declared by a policy of the store.
        """
        self._recorder = recorder
        self._index = index
        self._gate = gate
        self._clock = clock
        self._channels = channels

    # Reading --------------------------------------------------------------------------------------

    def key(
        self, address: str, channel: Channel | None = None, *, region: str | None = None
    ) -> str:
        """Read an address into its key.

        Args:
            address: an email address has an ``@``, a handle begins with its channel and a colon
                (``telegram:jo``), the others are numbers.
            channel: on which channel it is one; by default what its form says.
            region: ISO 3166 code of the country of a number without one; by default that of the
                settings.

        Raises:
            InputError: it can't be an address, or the channel is unknown.
        """
        kind, channel, text = self._form(address, channel)
        return address_key(kind, channel, text, region or self._index.region())

    def _form(self, address: str, channel: Channel | None) -> tuple[AddressKind, Channel, str]:
        """Return the kind of an address, its channel, and the address without a handle's prefix."""
        if channel is None:
            prefix, colon, handle = address.partition(":")
            traits = self._channels().get(Channel(prefix)) if colon else None
            if traits is not None and traits.address is AddressKind.HANDLE:
                return traits.address, Channel(prefix), handle
            channel = EMAIL if "@" in address else CALL
        return self._traits(channel).address, channel, address

    def _traits(self, channel: Channel) -> ChannelTraits:
        traits = BUILT_IN.get(channel)
        if traits is None:
            known = self._channels()
            check_known(channel, known)
            traits = known[channel]
        return traits

    def _key_of_entry(self, address: str) -> str:
        """Read an address into its key; what can't be read is a postal one if an entry has it."""
        try:
            return self.key(address)
        except InputError:
            key = address_key(AddressKind.POST, MAIL, address, None)
            if not self._recorder.select_entries(EntryQuery(key), limit=1):
                raise
            return key

    def entries(
        self,
        *,
        address: str | None = None,
        source: str | None = None,
        ended: bool | None = False,
    ) -> Iterator[AddressEntry]:
        """List what is said of addresses without a prospect, in the order in which it was recorded.

        Args:
            address: only of this one.
            source: only of this list.
            ended: what was taken back, in place of what stands; ``None``: both.
        """
        base = None if address is None else bare(self._key_of_entry(address))
        for row in self._rows(EntryQuery(base, source, ended=ended)):
            yield as_entry(row.entry)

    def _rows(self, query: EntryQuery) -> Iterator[EntryRow]:
        after = 0
        while page := self._recorder.select_entries(query, after, _PAGE):
            yield from page
            after = page[-1].number

    def is_whole(self) -> bool:
        """Return whether the index has every event; a database of an older cadence has none."""
        return self._recorder.addresses_are_whole()

    def shared(self) -> Iterator[SharedAddress]:
        """List the addresses with several holders, in order."""
        every = self._index.shared()
        while bases := list(islice(every, _SHARED_PAGE)):
            yield from _shared(self._index.rows(bases))

    def shared_among(self, bases: Sequence[str], most: int | None = None) -> list[SharedAddress]:
        """List those of some addresses that have several holders, in order.

        Args:
            bases: the addresses, without extensions.
            most: leave out an address that more records than this have or had.
        """
        counts = self._index.count_holders(bases)
        asked = [base for base, count in counts.items() if most is None or count <= most]
        return list(_shared(self._index.rows(asked))) if asked else []

    def rows_for(self, prospect: Prospect) -> tuple[AddressRow, ...]:
        """Compute the rows that the index has to have of a prospect."""
        return self._index.rows_for(prospect)

    def rows_of(self, after: str | None, last: str) -> list[AddressRow]:
        """Read the rows of the prospects behind one id up to another, by prospect and key."""
        return self._index.rows_of(after, last)

    def lists_of(self, address: str) -> list[AddressEntry]:
        """List the entries by which an address is suppressed; one of a bare number covers it too.

        Raises:
            InputError: it can't be an address.
        """
        key = self._key_of_entry(address)
        query = EntryQuery(bare(key), kind=EntryKind.SUPPRESSED.value, ended=False)
        return [as_entry(row.entry) for row in self._rows(query) if covers(row.key, key)]

    def lists_too_old(self, now: datetime | None = None) -> list[AddressEntry]:
        """List the suppression lists that are older than they may be, by the entry of each."""
        today = self._clock.at(now).date()
        rows = self._rows(EntryQuery(kind=EntryKind.LIST.value, ended=False))
        return [entry for row in rows if (entry := as_entry(row.entry)).is_old(today)]

    def holders_of(self, entries: Sequence[AddressEntry]) -> list[tuple[str, ...]]:
        """Find the prospects that have the address of each of some entries, read at once.

        Returns:
            For each entry the ids, in order.
        """
        found: dict[str, list[AddressRow]] = {}
        bases = {bare(entry.key) for entry in entries if entry.kind is not EntryKind.LIST}
        for row in self._index.rows(sorted(bases)) if bases else ():
            if row.prospect and row.is_held:
                found.setdefault(row.base, []).append(row)
        return [
            tuple(
                dict.fromkeys(
                    row.prospect
                    for row in found.get(bare(entry.key), ())
                    if covers(entry.key, row.key)
                )
            )
            for entry in entries
        ]

    def check_not_older(self, source: str, dated: date) -> None:
        """Check that no list of a later day is there.

        Args:
            source: the name of the list.
            dated: of which day the one is that comes.

        Raises:
            Refused: one is.
        """
        query = EntryQuery(f"{_LIST}{source}", source, EntryKind.LIST.value, ended=False)
        for row in self._rows(query):
            known = as_entry(row.entry).dated
            if known is not None and known > dated:
                raise Refused(
                    f"list {source}: invalid date {dated}, older than the stored list of {known}",
                    "use a newer list, or give force=True",
                    rule=Rule.SUPPRESSED,
                )

    # Writing --------------------------------------------------------------------------------------

    def suppress(  # noqa: PLR0913  (each may be left out)
        self,
        addresses: Iterable[Suppression | str],
        *,
        by: str,
        source: str = "",
        why: str = "",
        region: str | None = None,
        dated: date | None = None,
        at: datetime | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Suppressed:
        """Suppress addresses, for everyone who has them now or later (rule ``suppressed``).

        They are written in batches as they come. Interrupted, it goes on when it is called again:
        what is suppressed already stays as it is.

        Args:
            addresses: as they are written; one that can't be read is left out and counted.
            by: who does it.
            source: the list, or what it comes from.
            why: the reason.
            region: ISO 3166 code of the country of numbers without one; by default that of the
                settings.
            dated: of which day the list is. What was taken back of this list on a later day stays
                so; without a day, or on the same, it is suppressed again.
            at: when; by default the clock's time.
            progress: told how many are done.

        Raises:
            InputError: a value is too long, ``by`` is missing, or a channel or the region unknown.
        """
        self._check(by, source, why)
        if region is not None:
            check_country(region, None)
        now = self._clock.at(at)
        self._gate.make_ready()
        with DistinctIds() as ids:
            load = ListLoad(self._recorder, self._index, source, dated, ids)
            batch: list[AddressEntry] = []
            for key, channel in self._keys(addresses, load, region or self._index.region()):
                kind = EntryKind.SUPPRESSED
                batch.append(AddressEntry(key, kind, now, by, channel, source, why))
                if len(batch) == _PAGE:
                    load.write(batch)
                    batch.clear()
                    if progress is not None:
                        progress(load.done, None)
            load.write(batch)
            if progress is not None:
                progress(load.done, None)
            return load.result()

    def _keys(
        self, addresses: Iterable[Suppression | str], load: ListLoad, region: str | None
    ) -> Iterator[tuple[str, Channel | None]]:
        """Read addresses into keys, each with the one channel that it is suppressed on."""
        for place, one in enumerate(addresses, 1):
            given = Suppression(one) if isinstance(one, str) else one
            kind, channel, text = self._form(given.address, given.channel)
            key = key_or_unusable(kind, channel, text, region)
            if key:
                yield key, given.channel
            else:
                lacks = region is None and lacks_country(given.address)
                line = place if given.line is None else given.line
                load.leave_out(LeftOut.of(line, given.address, lacks_country=lacks))

    def unsuppress(
        self,
        address: str,
        *,
        by: str,
        why: str,
        source: str | None = None,
        at: datetime | None = None,
    ) -> int:
        """Take the entries of suppression lists back; return how many stood.

        Args:
            address: whose entries.
            by: who does it.
            why: how we know that it may be used.
            source: only those of this list.
            at: when; by default the clock's time.

        Raises:
            InputError: it can't be an address, or ``by`` or ``why`` is missing.
        """
        return self._end(EntryKind.SUPPRESSED, self._key_of_entry(address), by, why, source, at)

    def take_in(self, entries: Iterable[AddressEntry]) -> int:
        """Take in the entries of another store, also those that were taken back.

        One that is there already is left out; it is ended where it was taken back only there. So
        neither the order of the entries nor how often they come matters. They are written in
        batches.

        Returns:
            How many are new, or were ended.
        """
        self._gate.make_ready()
        changed = 0
        waiting = iter(entries)
        while page := list(islice(waiting, _PAGE)):
            rows = self._recorder.entries_of(list({bare(entry.key) for entry in page}))
            known = {as_entry(row.entry).as_made: row for row in rows}
            written: dict[AddressEntry, EntryRow] = {}
            for entry in page:
                made = entry.as_made
                was = written.get(made) or known.get(made)
                if was is None or (entry.ended_at is not None and not was.ended):
                    written[made] = entry_row(entry, 0 if was is None else was.number)
            changed += self._recorder.insert_copies(list(written.values())) if written else 0
        return changed

    def has(self, entry: AddressEntry) -> bool:
        """Return whether an entry is here, standing or taken back."""
        rows = self._recorder.entries_of([bare(entry.key)])
        return any(as_entry(row.entry).as_made == entry.as_made for row in rows)

    def declare_line(self, address: str, *, by: str, why: str, at: datetime | None = None) -> bool:
        """Declare a number to be a line, such as a switchboard.

        From now on, what one holder says counts for that holder alone. Earlier words stay, and so
        does an opt-out that was made from the line.

        Args:
            address: the number.
            by: who says so.
            why: how they know.
            at: when; by default the clock's time.

        Returns:
            Whether it was not one before.

        Raises:
            InputError: it can't be an address, or ``by`` or ``why`` is missing.
        """
        self._check(by, "", why, needs_why=True)
        entry = AddressEntry(self.key(address), EntryKind.LINE, self._clock.at(at), by, why=why)
        self._gate.make_ready()
        return self._insert(entry)

    def _insert(self, entry: AddressEntry) -> bool:
        rows = self._recorder.entries_of([bare(entry.key)])
        entry = entry.unlike({as_entry(row.entry).as_made for row in rows if row.ended})
        return bool(self._recorder.insert_entries([entry_row(entry)]))

    def withdraw_line(self, address: str, *, by: str, why: str, at: datetime | None = None) -> bool:
        """Take a declared line back; return whether it was one."""
        return bool(self._end(EntryKind.LINE, self.key(address), by, why, None, at))

    def date_list(
        self,
        source: str,
        dated: date,
        *,
        by: str,
        most_days: int,
        at: datetime | None = None,
        force: bool = False,
    ) -> None:
        """Say of which day a suppression list is, and how old it may become.

        Args:
            source: its name.
            dated: the day.
            by: who says so.
            most_days: how many days old it may be: 31 for the national registry of the United
                States (16 CFR 310.4(b)(3)(iv)).
            at: when; by default the clock's time.
            force: also where a list of a later day is there.

        Raises:
            InputError: a value is invalid.
            Refused: a list of a later day is there.
        """
        self._check(by, source, "")
        if not source:
            raise InputError("source: missing", "give the name of the list")
        if most_days < 1:
            raise InputError(f"most_days: invalid {most_days}", "give 1 or more")
        if not force:
            self.check_not_older(source, dated)
        now = self._clock.at(at)
        entry = AddressEntry(
            f"{_LIST}{source}",
            EntryKind.LIST,
            now,
            by,
            source=source,
            dated=dated,
            most_days=most_days,
        )
        self._gate.make_ready()
        known = self._recorder.entries_of([bare(entry.key)])
        # In one transaction: a list without a date is never too old.
        rows = [
            _ended(row, now, by, "a newer one came")
            for row in known
            if (row.key, row.kind) == (entry.key, entry.kind) and not row.ended
        ]
        rows.append(entry_row(entry.unlike({as_entry(row.entry).as_made for row in known})))
        self._recorder.insert_copies(rows)

    def _end(
        self,
        kind: EntryKind,
        key: str,
        by: str,
        why: str,
        source: str | None,
        at: datetime | None,
    ) -> int:
        self._check(by, source or "", why, needs_why=True)
        now = self._clock.at(at)
        self._gate.make_ready()
        ended = 0
        for row in self._rows(EntryQuery(bare(key), source, kind.value, ended=False)):
            if row.key == key:
                ended += self._recorder.end_entry(_ended(row, now, by, why))
        return ended

    def _check(self, by: str, source: str, why: str, *, needs_why: bool = False) -> None:
        if not by.strip() or not by.isprintable():
            raise InputError(f"by: invalid {by!r}", "give who says so")
        if needs_why and not why.strip():
            raise InputError("why: missing", "give how you know")
        for field, text in (("by", by), ("source", source), ("why", why)):
            check_texts(text, field)


def _ended(row: EntryRow, at: datetime, by: str, why: str) -> EntryRow:
    """The row of an entry once it is ended."""
    entry = replace(as_entry(row.entry), ended_at=at, ended_by=by, ended_why=why)
    return entry_row(entry, row.number)


def _shared(rows: Iterable[AddressRow]) -> Iterator[SharedAddress]:
    """Give the addresses with several holders, of rows in the order of the index."""
    for base, group in groupby(rows, key=lambda row: row.base):
        lines: list[str] = []
        held: dict[str, list[Held]] = {}
        for row in group:
            if not row.prospect:
                entry = as_entry(row.holding)
                lines += [entry.key] if entry.kind is EntryKind.LINE else []
            elif (holding := as_holding(row.holding)).is_held:
                held.setdefault(row.key, []).append(Held(row.key, row.prospect, holding))
        for key, holders in held.items():
            if len(holders) > 1:
                yield SharedAddress(base, key, holders, any(covers(line, key) for line in lines))
