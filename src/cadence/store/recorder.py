"""Define what a store offers the service: events, due rows, claims, policies and settings.

:class:`Recorder` is the port: a team with a database of its own implements it. Ours are recorders
of the ``eventsourcing`` package too, with a due list in the same transactions. The package's own
recorder is held, not inherited: it reads notifications, and no private member of it is used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import repeat
from typing import Any, Final, NamedTuple
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)

from cadence.domain.events import Event
from cadence.domain.stored import decode_rows
from cadence.errors import InputError, StoreError
from cadence.store.due_list import AddressRow, DueQuery, DueRow, Prepared
from cadence.store.feed import START, FeedPosition, FeedRow, FeedSubscription, poll

__all__ = [
    "ADDRESSES_WHOLE",
    "DUE_STAMP",
    "REBUILD_MARK",
    "AddressChange",
    "AddressRow",
    "AddressesChanged",
    "ClaimChange",
    "ClaimChanged",
    "ClaimRow",
    "ClaimWrite",
    "DueQuery",
    "DueRow",
    "EntryQuery",
    "EntryRow",
    "EventSourcingRecorder",
    "FeedPosition",
    "FeedRow",
    "Prepared",
    "Recorder",
    "Refreshed",
    "SettingRow",
    "StreamWrite",
]

DUE_STAMP: Final = "due"
"""The key of meta under which :meth:`Recorder.finish_due` keeps the stamp."""
REBUILD_MARK: Final = "due rebuild"
"""The key under which :meth:`Recorder.refresh_due` keeps how far a rebuild is."""
ADDRESSES_WHOLE: Final = "addresses"
"""The key under which :meth:`Recorder.finish_due` keeps that the address index is whole."""
_POLICY: Final = "policy "
_PAGE: Final = 10_000  # events that are read at once
_LAST: Final = "\U0010ffff"  # behind every id


class SettingRow(NamedTuple):
    """One change of a setting.

    Attributes:
        name: of the setting.
        value: what it was changed to; ``None``: it was taken away.
        by: who changed it.
        at: when, in microseconds since 1970.
    """

    name: str
    value: str | None
    by: str
    at: int


class ClaimRow(NamedTuple):
    """A claim as it is stored. At most one of a prospect is open.

    Attributes:
        token: names it.
        prospect: the prospect's id.
        claim: the claim as JSON.
        ended: how it ended, in a word; ``None``: it is open, also when its lease ran out.
    """

    token: str
    prospect: str
    claim: str
    ended: str | None = None


class ClaimChange(NamedTuple):
    """What a transaction asks and changes of the claims on one prospect.

    Attributes:
        prospect: the prospect's id.
        seen: the token of the open claim that the writer read; ``None``: there was none.
        ended: how that one ends, in a word; ``None``: it stays open.
        taken: the claim to write: a new one, or the open one with another lease.
        version: the last event that ``taken`` was judged by.
    """

    prospect: str
    seen: str | None = None
    ended: str | None = None
    taken: ClaimRow | None = None
    version: int | None = None


class ClaimChanged(IntegrityError):
    """The open claim on a prospect, or its history, is another; nothing was written."""


class AddressChange(NamedTuple):
    """What a transaction asks and changes of the address index.

    Attributes:
        prospect: the prospect's id.
        bases: the addresses that were asked for.
        seen: what others said there when it was decided; ``None``: it is not held against that.
        written: rows of the prospect, new or changed.
        gone: rows of the prospect that are no more: base and key.
    """

    prospect: str
    bases: tuple[str, ...] = ()
    seen: tuple[AddressRow, ...] | None = None
    written: tuple[AddressRow, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()


class AddressesChanged(IntegrityError):
    """What others say of an address is not what was decided by; nothing was written."""


class ClaimWrite(NamedTuple):
    """What takes one claim of several that are written at once.

    Attributes:
        claims: the change that takes it, and what was seen of claims on other prospects.
        addresses: what others say, which it was judged by.
    """

    claims: tuple[ClaimChange, ...]
    addresses: AddressChange


class StreamWrite(NamedTuple):
    """What one transaction writes of one prospect.

    Attributes:
        events: the new ones.
        row: its due row after them.
        addresses: what it says of its addresses after them, and what it was decided by.
        claim: what becomes of the open claim on it; ``None``: that is not asked.
    """

    events: tuple[Event, ...]
    row: DueRow
    addresses: AddressChange
    claim: ClaimChange | None = None


class EntryRow(NamedTuple):
    """An entry that a suppression list or an owner made about an address.

    Attributes:
        base: as of :class:`AddressRow`.
        key: the address key.
        kind: of the entry.
        source: the list.
        channel: the channel, or ``""`` for every one.
        entry: the entry as JSON.
        ended: whether it was taken back.
        number: its place among all entries; 0 until it is stored.
    """

    base: str
    key: str
    kind: str
    source: str
    channel: str
    entry: str
    ended: bool = False
    number: int = 0


class EntryQuery(NamedTuple):
    """Which entries about addresses to read; ``None``: all.

    Attributes:
        base: those of one address.
        source: those of one list.
        kind: those of one kind.
        ended: those that were taken back, or those that stand.
    """

    base: str | None = None
    source: str | None = None
    kind: str | None = None
    ended: bool | None = None


class Refreshed(NamedTuple):
    """What a rebuild computed for one prospect, from its events up to ``version``."""

    row: DueRow
    version: int
    addresses: tuple[AddressRow, ...] = ()


class Recorder(ABC):
    """What keeps a store; a team with a database of its own writes one.

    ``cadence.testing.StoreContract`` says whether it is right. What is abstract must be written;
    the rest works on that, and may be written for speed. Every method raises ``StoreError`` where
    the database can't be used, and may be called from several threads.
    """

    # Writing ------------------------------------------------------------------------------------

    @abstractmethod
    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
    ) -> Sequence[int] | None:
        """Write events, due rows, and changes of claims and the address index in one transaction.

        They may be of several prospects. Every change is held against what is stored before the
        first is made. Where a written row may stop other holders, their due rows say "look now"
        from here on.

        Returns:
            The notification ids of the events.

        Raises:
            AddressesChanged: what others say is not what was decided by.
            ClaimChanged: an open claim, or the version it was judged by, is another.
            IntegrityError: one of the versions is taken; nothing was written.
        """

    def insert_claims(self, writes: Sequence[ClaimWrite]) -> list[bool]:
        """Take several claims at once; leave out what can't be had.

        Each is held against what is stored, as by :meth:`insert_events`. What another writer is
        about to change may be left out.

        Args:
            writes: each on another prospect.

        Returns:
            For each whether it was taken. What fails once some are taken is left out.
        """
        taken: list[bool] = []
        for write in writes:
            try:
                self.insert_events([], claims=write.claims, addresses=[write.addresses])
            except IntegrityError:
                taken.append(False)
            except StoreError:
                if not any(taken):
                    raise
                return [*taken, *repeat(False, len(writes) - len(taken))]
            else:
                taken.append(True)
        return taken

    @abstractmethod
    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        """Write events, due rows and addresses of many prospects in one transaction, as they come.

        The address rows of each replace those that it had. Where another holder says something that
        may stop it, its due row says "look now"; and that of others, where it says so.

        Returns:
            How many events were written.

        Raises:
            IntegrityError: one of the versions is taken; nothing was written.
        """

    @abstractmethod
    def refresh_due(
        self, rows: Sequence[Refreshed], after: str | None, last: str, mark: str
    ) -> None:
        """Write the rows of some prospects again in one short transaction, beside writers.

        Args:
            rows: each with the last version that it was computed from. Where the prospect has a
                newer one, its writer wrote due row and addresses, and they stay.
            after: rows behind this id …
            last: … up to this one, of prospects without events, are deleted.
            mark: kept in the same transaction, so that a rebuild goes on from there.
        """

    @abstractmethod
    def finish_due(self, after: str | None, stamp: str) -> None:
        """Delete the rows behind ``after``, drop the mark, and say that the list is whole.

        Args:
            after: the id of the last prospect.
            stamp: says with which engine, and which default of histories that name no policy.
        """

    @abstractmethod
    def insert_entries(self, rows: Iterable[EntryRow]) -> int:
        """Add entries about addresses in one transaction; return how many are new.

        One that stands already, of the same key, kind, source and channel, is left out. The due
        rows of all holders say "look now" from here on.
        """

    @abstractmethod
    def insert_copies(self, rows: Iterable[EntryRow]) -> int:
        """Take in entries of another store in one transaction; return how many changed something.

        One without a number is added, whether or not it was taken back, and also where another of
        its key, kind, source and channel stands. It is left out where the same text is there at its
        address. One with a number ends the entry that has it, as by :meth:`end_entry`. The due
        rows of all holders say "look now" from here on.
        """

    @abstractmethod
    def end_entry(self, row: EntryRow) -> bool:
        """End the entry with the number of ``row``; return whether it still stood."""

    @abstractmethod
    def insert_settings(self, rows: Sequence[SettingRow]) -> None:
        """Add changes of settings, behind those that are there, in one transaction."""

    @abstractmethod
    def set_meta(self, key: str, value: str) -> None:
        """Keep a text under a key, in place of the one that was there."""

    def save_policy(self, digest: str, text: str) -> None:
        """Keep the text of a policy that prospects adopt, by its digest."""
        self.set_meta(f"{_POLICY}{digest}", text)

    def in_transaction(self, connection: object) -> Recorder:
        """Return a recorder that reads and writes in a transaction of the caller's.

        It begins the transaction if the connection does so by itself, and never commits. After its
        ``close`` it refuses every call; the connection stays open.

        Args:
            connection: as the database's driver makes it.

        Raises:
            InputError: the connection can't be used for that.
        """
        raise InputError(
            "the store has no transactions that a caller can begin", "give it a file or a server"
        )

    # Reading: events ----------------------------------------------------------------------------

    @abstractmethod
    def select_states(self, prospect: str) -> Sequence[tuple[int, bytes]]:
        """Read version and state of all events of one prospect, in order of version."""

    @abstractmethod
    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        """Read a page of the events behind a position, in the order of the feed.

        Only those before which none can appear any more.

        Raises:
            InputError: the position is one of another store.
        """

    @abstractmethod
    def newest(self) -> FeedRow | None:
        """Read the event that was written last; ``None``: there is none."""

    @abstractmethod
    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        """Read a page of the ids of all prospects that have events, in order."""

    def select_stream(self, prospect: str) -> list[Event]:
        """Read all events of one prospect, in order of version; empty if there are none.

        One that can't be read comes with ``Unreadable`` data (``stored.decode_rows``).
        """
        return decode_rows(prospect, self.select_states(prospect))

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """Read all events of several prospects; an empty list where there are none."""
        return {prospect: self.select_stream(prospect) for prospect in prospects}

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        """Read the histories of all prospects from id ``first`` to id ``last``, in order.

        Returns:
            ``None`` if they must be read one by one (see ``stored.decode_page``).
        """
        return None

    def select_mentioning(self, text: str) -> list[str]:
        """Read the ids of prospects with an event whose stored JSON holds ``text``, in order."""
        sought = text.encode()
        return sorted({row.prospect for row in self._all_rows() if sought in row.state})

    def select_topics(self, topics: Sequence[str]) -> Iterator[FeedRow]:
        """Read the events of some types, of each prospect in order of version."""
        return (row for row in self._all_rows() if row.topic in topics)

    def _all_rows(self) -> Iterator[FeedRow]:
        after = START
        while page := self.select_feed(after, _PAGE):
            after = page[-1].position
            yield from page

    def listen(self) -> AbstractContextManager[Callable[[float], bool]]:
        """Listen for writers, as ``feed.FeedSource`` says."""
        return poll()

    # Reading: the due list ----------------------------------------------------------------------

    @abstractmethod
    def select_due(
        self, query: DueQuery, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        """Read a page of the due list, in order of time and id; stops are left out.

        Args:
            query: which rows.
            after: the position of the last row of the page before.
            limit: how many rows a page has at most.
        """

    @abstractmethod
    def due_rows(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        """Read the rows of the due list, in order of the prospect's id.

        Args:
            after: only those behind this id.
            last: only those up to this id.
        """

    def count_due(self) -> int:
        """Count the rows of the due list: one for each prospect."""
        return len(self.due_rows())

    def select_stale(
        self, stamps: Sequence[str], after: tuple[str, str] | None, limit: int
    ) -> list[tuple[str, str]]:
        """Read a page of the rows that have none of these stamps: stamp and id, in their order.

        Args:
            stamps: those of rows that hold.
            after: the last of the page before.
            limit: how many a page has at most.
        """
        rows = sorted((row.stamp, row.prospect) for row in self.due_rows())
        stale = [row for row in rows if row[0] not in stamps and (after is None or row > after)]
        return stale[:limit]

    def due_stamp(self) -> str | None:
        """Read the stamp of the list; ``None``: it was never whole."""
        return self.meta(DUE_STAMP)

    def due_mark(self) -> str | None:
        """Read how far a rebuild that was interrupted had come; ``None``: there was none."""
        return self.meta(REBUILD_MARK)

    # Reading: addresses and claims --------------------------------------------------------------

    @abstractmethod
    def select_addresses(self, bases: Sequence[str]) -> list[AddressRow]:
        """Read what is said of some addresses: of each holder a row, and of each standing entry.

        In order of base, prospect and key; an entry has the prospect ``""``, and the entry in the
        place of the holding.
        """

    @abstractmethod
    def address_rows(self, after: str | None, last: str) -> list[AddressRow]:
        """Read the rows of the prospects behind one id up to another, by prospect and key."""

    @abstractmethod
    def select_entries(
        self, query: EntryQuery, after: int = 0, limit: int = 1000
    ) -> list[EntryRow]:
        """Read a page of the entries, in the order in which they came.

        Args:
            query: which entries.
            after: only those behind this number.
            limit: how many at most.
        """

    def entries_of(self, bases: Sequence[str]) -> list[EntryRow]:
        """Read every entry about some addresses, in the order in which they came."""
        found = [
            row for base in sorted(set(bases)) for row in self.select_entries(EntryQuery(base))
        ]
        return sorted(found, key=lambda row: row.number)

    def select_shared(self, after: str, limit: int) -> list[str]:
        """Read a page of the addresses that several prospects hold or used, in order.

        Args:
            after: only those behind this one.
            limit: how many at most.
        """
        holders: dict[str, set[str]] = {}
        for row in self.address_rows(None, _LAST):
            holders.setdefault(row.base, set()).add(row.prospect)
        return sorted(base for base, who in holders.items() if base > after and len(who) > 1)[
            :limit
        ]

    def count_holders(self, bases: Sequence[str]) -> dict[str, int]:
        """Count the rows of some addresses, those with several only, in order."""
        counts = Counter(row.base for row in self.select_addresses(bases) if row.prospect)
        return {base: counts[base] for base in sorted(counts) if counts[base] > 1}

    def addresses_are_whole(self) -> bool:
        """Return whether the address index has every event.

        A database of an older cadence has none until it is rebuilt.
        """
        return self.meta(ADDRESSES_WHOLE) is not None

    @abstractmethod
    def open_claims(self, prospect: str | None = None) -> list[ClaimRow]:
        """Read the claims that have not ended, by prospect; all, or that on one prospect."""

    def claims_on(self, prospects: Sequence[str]) -> list[ClaimRow]:
        """Read the claims on some prospects that have not ended."""
        return [row for prospect in prospects for row in self.open_claims(prospect)]

    def newest_versions(self, prospects: Sequence[str]) -> dict[str, int]:
        """Read the version of the last event of each of some prospects that has one."""
        states = {prospect: self.select_states(prospect) for prospect in prospects}
        return {prospect: rows[-1][0] for prospect, rows in states.items() if rows}

    @abstractmethod
    def find_claim(self, token: str) -> ClaimRow | None:
        """Read the claim with this token, also one that has ended; ``None``: it is unknown."""

    # Reading: the rest --------------------------------------------------------------------------

    @abstractmethod
    def meta(self, key: str) -> str | None:
        """Read the text under a key; ``None``: there is none."""

    @abstractmethod
    def meta_keys(self, prefix: str) -> list[str]:
        """List the keys that begin with ``prefix``, in order."""

    def policy_text(self, digest: str) -> str | None:
        """Read the text of the policy with this digest; ``None`` if it was not kept here."""
        return self.meta(f"{_POLICY}{digest}")

    def policy_digests(self) -> list[str]:
        """List the digests of the kept policies, in order."""
        return [key.removeprefix(_POLICY) for key in self.meta_keys(_POLICY)]

    @abstractmethod
    def select_settings(self, name: str | None = None) -> list[SettingRow]:
        """Read the changes of all settings, or of one, in the order in which they were added.

        A store of an older cadence that was opened read-only has none.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connections of every thread; each call from here on raises ``StoreError``.

        A call that has begun in another thread may end first. Closing twice is closing once.
        """


class EventSourcingRecorder(Recorder, ApplicationRecorder):
    """A recorder of ours, which is one of the ``eventsourcing`` package's too."""

    def __init__(self, package_recorder: ApplicationRecorder) -> None:
        """Args:
        package_recorder: the package's own recorder of the same tables.
        """
        self._package_recorder = package_recorder

    # The package's own reading ------------------------------------------------------------------

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self._package_recorder.select_events(
            originator_id, gt=gt, lte=lte, desc=desc, limit=limit
        )

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        return self._package_recorder.select_notifications(
            start, limit, stop, topics, inclusive_of_start=inclusive_of_start
        )

    def max_notification_id(self) -> int | None:
        return self._package_recorder.max_notification_id()

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the events, in the order of the feed.

        It begins behind the event with the number ``gt``, or else at the first with a larger one.
        """
        after = START if gt is None else self.feed_position(gt)
        return FeedSubscription(self, self, after, topics)

    def feed_position(self, number: int) -> FeedPosition:
        """Return the place in the feed behind the event with this number."""
        return FeedPosition(0, number)

    @abstractmethod
    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        due: Iterable[DueRow] = (),
        claims: Sequence[ClaimChange] = (),
        addresses: Sequence[AddressChange] = (),
        **kwargs: Any,
    ) -> Sequence[int] | None:
        """Write as :meth:`Recorder.insert_events` does; the package passes options of its own."""

    # For us, by the package's -------------------------------------------------------------------

    def select_states(self, prospect: str) -> Sequence[tuple[int, bytes]]:
        # The package's recorder in memory keeps them in the order in which they were written.
        return sorted((row.originator_version, row.state) for row in self.select_events(prospect))

    def newest(self) -> FeedRow | None:
        last = self.max_notification_id()
        found = [] if last is None else self.select_notifications(last, 1)
        return next((_as_row(one) for one in found), None)

    def select_topics(self, topics: Sequence[str]) -> Iterator[FeedRow]:
        start: int | None = None
        while page := self.select_notifications(start, _PAGE, topics=topics):
            yield from map(_as_row, page)
            start = page[-1].id + 1


def _as_row(one: Notification) -> FeedRow:
    return FeedRow(0, one.id, str(one.originator_id), one.originator_version, one.topic, one.state)
