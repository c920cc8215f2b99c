"""Carry out commands, keep their events, and say what comes next.

The service reads a clock only where the caller gives no time. It loads a prospect with one query,
decides with the pure core, and appends the events together with the prospect's due row in one
transaction. It holds a recorder and inherits nothing, so every public way to write keeps events
and due list together (ADR 0030).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

import msgspec
from eventsourcing.persistence import IntegrityError

from cadence.domain.channels import BUILT_IN, CALL, Channel, check_channel
from cadence.domain.codec import check_id
from cadence.domain.events import (
    MERGED_FROM,
    AttemptMade,
    Data,
    Event,
    EventCorrected,
    OptedBackIn,
    Part,
    PolicyAdopted,
    PolicyRef,
    ProspectAdded,
    ProspectUpdated,
    Unreadable,
    WordRef,
    type_name,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.keys import KeyReader, addresses_read, keys_in, read_again
from cadence.domain.limits import check_texts, is_storable
from cadence.domain.others import Others
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.domain.standing import TAKING_BACK
from cadence.domain.stored import decode_row
from cadence.engine.claims import Claim, Claimed, OnExpiry
from cadence.engine.commands import (
    Command,
    EndFollowUp,
    MakeAttempt,
    SetAppointment,
    checked,
    decide,
    unchecked_attempt,
    with_keys,
)
from cadence.engine.corrections import TakeBack, take_back
from cadence.engine.decision import Close, Decision, Stop, Verdict
from cadence.engine.loop import decision_for, silent_decision_for
from cadence.engine.lower_bound import decide_early
from cadence.engine.precheck import Precheck, precheck
from cadence.engine.repeats import led_to
from cadence.errors import (
    Conflict,
    InputError,
    InvalidStore,
    Refused,
    StoreError,
    UnknownProspect,
    VersionConflict,
)
from cadence.policy.guard_runner import allowed
from cadence.policy.guards import Custom
from cadence.policy.loader import builtin
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry, is_builtin, policy_named_by
from cadence.policy.rules import Rule
from cadence.prover.proof import require_proof
from cadence.store import feed
from cadence.store.address_book import AddressBook
from cadence.store.addresses import AddressIndex, Heard, change_of_addresses
from cadence.store.awaited import AwaitedRecorder
from cadence.store.claims import ClaimRequest, Claims, ClaimTerms, change_of, retried
from cadence.store.clock import WriteClock, year_after
from cadence.store.directory import DirectoryEntry
from cadence.store.due_list import (
    DueRow,
    Prepared,
    due_row,
    is_missed,
    unknown_row,
)
from cadence.store.due_page import NOW, DueFilter, DuePage, parse_page_end
from cadence.store.due_reader import DueReader
from cadence.store.executors import PageOfIds, map_items, pages
from cadence.store.feed import FeedItem
from cadence.store.kept_policies import KeptPolicies
from cadence.store.merges import Merges
from cadence.store.next_claims import NextClaims
from cadence.store.opening import open_recorder, read_team
from cadence.store.recorder import ClaimChanged, Recorder, Refreshed, StreamWrite
from cadence.store.serializer import EventMapper
from cadence.store.settings import (
    DEFAULT_POLICY,
    Settings,
    SettingsTable,
    SettingValue,
    check_value,
)
from cadence.store.source import StoreSource, absolute, has_event, newest_event

__all__ = ["Cadence", "Outcome", "Progress"]

_LONGEST_WAIT: Final = 0.05  # seconds
_PAGE: Final = 256  # prospects
_BATCH: Final = 64  # prospects of a rebuild that are written at once
_BATCHES: Final = 4  # that a worker computes at once
_ENGINE: Final = "8"  # raised when the same events would give other due rows

if TYPE_CHECKING:
    import psycopg_pool

Database: TypeAlias = "str | os.PathLike[str] | psycopg_pool.ConnectionPool[Any] | Recorder | None"
"""What a store may be opened with."""

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are if that is known."""


def _machine_clock() -> datetime:
    return datetime.now(UTC)


class Outcome(msgspec.Struct, frozen=True):
    """Result of a command.

    Attributes:
        prospect: the prospect after it.
        events: the events that it recorded.
        decision: what comes next.
        repeated: the ``command_id`` had been seen before; nothing was recorded now.
        overtaken_by: of a claim that was completed: what had ended it before.
    """

    prospect: Prospect
    events: tuple[Event, ...]
    decision: Decision
    repeated: bool = False
    overtaken_by: Event | None = None


class _Call(NamedTuple):
    """One call of :meth:`Cadence.execute`, its instants in UTC."""

    prospect: str
    command: Command
    occurred_at: datetime
    recorded_at: datetime
    by: str | None
    correlation: str | None
    command_id: str | None
    meta: dict[str, str] | None = None
    expect: int | None = None

    def check_version(self, version: int) -> None:
        """Check that the prospect is at the version that the caller expects, if at any."""
        if self.expect not in (None, version):
            raise VersionConflict(self.prospect, version, self.expect)

    def of(self, survivor: str, command: Command) -> _Call:
        """Return the call for the record that goes on for a merged one."""
        meta = {MERGED_FROM: self.prospect, **(self.meta or {})}
        return _Call(survivor, command, *self[2:-2], meta)

    def events(self, version: int, data: Iterable[Data]) -> tuple[Event, ...]:
        """Make the events that follow after ``version``."""
        data = tuple(data)
        command_id = self.command_id
        if command_id is None and len(data) > 1:
            command_id = f"{self.prospect}#{version + 1}"  # they are taken back together
        return tuple(
            Event(
                self.prospect,
                number,
                self.occurred_at,
                self.recorded_at,
                one,
                self.by,
                self.correlation,
                command_id,
                meta=self.meta,
            )
            for number, one in enumerate(data, version + 1)
        )


class Cadence:
    """Follow-ups in a store.

    Open one with :meth:`open`; close it with :meth:`close` or a ``with`` block. Methods may be
    called from several threads, and several processes may use one database: of two writers on one
    prospect one wins, and the other reloads and decides again. A forked child goes on with
    connections of its own; a store in memory refuses it. Every method raises
    :class:`~cadence.errors.StoreError` where the database can't be used.

    Attributes:
        address: what the store was opened with; ``None`` for memory.
        addresses: who has which address, suppression lists and lines.
        merges: merges records of one person, and takes that back.
        policies: the policies that prospects may be under, and the default.
    """

    def __init__(  # noqa: PLR0913  (each may be left out)
        self,
        recorder: Recorder,
        *,
        address: str | None = None,
        read_only: bool = False,
        policies: Iterable[Policy] = (),
        default: Policy | None = None,
        team: Mapping[str, str] = MappingProxyType({}),
        allow_code: bool = False,
        clock: Callable[[], datetime] = _machine_clock,
    ) -> None:
        """Args:
        recorder: keeps events, due rows, policies and settings.
        address: what the recorder was opened with.
        read_only: refuse to write.
        policies: policies beside the catalogue that a prospect may have adopted.
        default: the policy of new prospects; that of the settings.
        team: what the team file gives, by the names of the settings.
        allow_code: whether guard functions that policies of the store name may be imported.
        clock: the machine's clock.

        Raises:
            InvalidStore: the default policy of the settings can't be read.
        """
        policies = tuple(policies)
        self._source = StoreSource(
            absolute(address), policies, default, dict(team), allow_code=allow_code
        )
        self._recorder = recorder
        self._on = partial(
            Cadence,
            address=address,
            read_only=read_only,
            policies=policies,
            default=default,
            team=team,
            allow_code=allow_code,
            clock=clock,
        )
        self._mapper = EventMapper()
        self._kept = KeptPolicies(recorder, allow_code=allow_code)
        self._addresses = AddressIndex(recorder, self._region)
        self.addresses = AddressBook(
            recorder,
            self._addresses,
            self._region,
            self._make_ready,
            lambda at: self._time(at, "at"),
        )
        self._claims = Claims(self, recorder, self._addresses, lambda: self._time(None, "clock"))
        self.merges = Merges(self, recorder, self._addresses, self._claims, self._write)
        self._due = DueReader(
            recorder,
            self._claims,
            self.load_all,
            lambda: self.policies,
            lambda: (_ENGINE, self._stamp()),
        )
        self._next_claims = NextClaims(
            recorder,
            self._addresses,
            self._claims,
            self._due,
            self._policy_to_judge,
            lambda: self._time(None, "clock"),
        )
        self._read_only = read_only
        self._clock = clock
        self._newest: datetime | None = None  # recorded_at of an event that is stored
        self.address = address
        self._settings = SettingsTable(recorder, default=default, file=team)
        self._follows_settings = default is None
        self.policies = PolicyRegistry(default, policies, find=self._kept.find)
        self._find_unnamed()
        if isinstance(recorder, AwaitedRecorder):
            recorder.when_found(self._find_unnamed)
        self.default_policy()

    @classmethod
    def open(  # noqa: PLR0913  (each may be left out)
        cls,
        db: Database = None,
        *,
        read_only: bool = False,
        policies: Iterable[Policy] = (),
        default: Policy | None = None,
        use_unproved_policies: bool = False,
        allow_code: bool = False,
        lock_timeout_seconds: int = 5,
        clock: Callable[[], datetime] = _machine_clock,
    ) -> Cadence:
        """Open a store.

        Args:
            db: a path (made if it does not exist), a ``postgresql://`` address, a pool of your
                own, a recorder of your own (:mod:`cadence.testing` has its contract), or ``None``
                for memory. :attr:`address` has a path or address as a text.
            read_only: write nothing; a database that does not exist reads as empty until another
                program makes it.
            policies: policies beside the catalogue that a prospect may have adopted.
            default: the policy of new prospects. Without it, it is that of the settings, which is
                ``tip8`` until it is changed. A prospect keeps its policy when the default changes.
            use_unproved_policies: take ``policies`` and ``default`` also if the prover refutes
                them. The invariants still stop what they must.
            allow_code: import and call the functions that policies of the store name as guards.
                Without it they are data, and hold each touch that they are asked about. Only
                for a database whose writers may run code here.
            lock_timeout_seconds: how long to wait for another writer. The connections of a pool of
                your own keep their own timeouts.
            clock: the machine's clock, for calls that give no time; aware.

        Raises:
            UnprovedPolicy: a policy is refuted.
            PolicyError: ``policies`` or ``default`` name a guard whose code is not allowed.
            InputError: the team file beside the SQLite file is invalid.
            StoreError: the database can't be used.
        """
        policies = tuple(policies)
        if not use_unproved_policies:
            for policy in (*policies, *([] if default is None else [default])):
                require_proof(policy)
        if isinstance(db, os.PathLike):
            db = os.fspath(db)
        address = db if isinstance(db, str) else None
        team = read_team(address)
        recorder = open_recorder(db, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds)
        try:
            app = cls(
                recorder,
                address=address,
                read_only=read_only,
                policies=policies,
                default=default,
                team=team,
                allow_code=allow_code,
                clock=clock,
            )
        except BaseException:
            recorder.close()
            raise
        is_new = recorder.due_stamp() is None and not recorder.select_prospects(None, 1)
        if is_new and not read_only:
            recorder.finish_due(None, app._stamp())  # the list of no prospects is whole
        return app

    def source(self) -> StoreSource:
        """Describe the store as plain data, so that another process can open the same one."""
        functions, newest = allowed(), newest_event(self._recorder)
        return msgspec.structs.replace(self._source, functions=functions, newest=newest)

    @classmethod
    def open_source(cls, source: StoreSource) -> Self:
        """Open the store that another process described with :meth:`source`, to read it.

        Raises:
            InputError: it has no address, as in memory.
            StoreError: the database can't be used, or is another one.
        """
        if source.address is None:
            raise InputError(
                "executor: invalid for a store without an address, in memory or on your own pool",
                "use a ThreadPoolExecutor, or open a path or a postgresql:// address",
            )
        recorder = open_recorder(source.address, read_only=True)
        try:
            newest = source.newest
            if newest is not None and not has_event(recorder, newest):
                raise StoreError(
                    f"worker on {socket.gethostname()}: its database lacks events of this one",
                    "give an address that every machine reaches; a file needs the same path there",
                )
            return cls(
                recorder,
                address=source.address,
                read_only=True,
                policies=source.policies,
                default=source.default,
                team=source.team,
                allow_code=source.allow_code,
            )
        except BaseException:
            recorder.close()
            raise

    @property
    def is_missing(self) -> bool:
        """Whether the database does not exist yet; opened to be read only, it reads as empty."""
        return isinstance(self._recorder, AwaitedRecorder) and self._recorder.is_missing()

    @contextmanager
    def using(self, connection: object) -> Iterator[Cadence]:
        """Write in a transaction of your own: your rows and ours together, or neither.

        Call the yielded service, not this one. It reads what you have written, and nothing that it
        writes counts until you commit. A call that is refused leaves the transaction as it was.
        Until you commit, other writers to the same prospects and addresses wait, on SQLite all
        writers. Where two such transactions wait for each other, one fails with a retryable error:
        begin it again. Make contact only after the commit of what claims it.

        Args:
            connection: of the database that this store is in, as its driver makes it. It is in a
                transaction (``READ COMMITTED`` on PostgreSQL) or begins one by itself. Used by this
                thread alone meanwhile.

        Raises:
            InputError: the connection can't be used for that; in memory, none can.
            StoreError: the database can't be used.
        """
        if not self._read_only:
            self._make_addresses_whole()
        recorder = self._recorder.in_transaction(connection)
        try:
            yield self._on(recorder)
        finally:
            recorder.close()

    def close(self) -> None:
        """Close the connections of every thread, for good; closing twice is closing once.

        A call that has begun in another thread may end first. Every later one raises
        :class:`~cadence.errors.StoreError`.
        """
        self._recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Histories ------------------------------------------------------------------------------------

    def history(self, prospect: str) -> list[Event]:
        """Read the history of ``prospect``, in order of version.

        An event that can't be read (a newer version wrote it, or its row is broken or missing) has
        :class:`~cadence.domain.Unreadable` data.

        Raises:
            UnknownProspect: it has none.
        """
        events = self._stream(prospect)
        if not events:
            raise UnknownProspect(prospect)
        return events

    def histories_of(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """Read the histories of several prospects; that of an unknown one is empty."""
        return self._recorder.select_streams(prospects)

    def histories(self) -> Iterator[list[Event]]:
        """Read every history, in order of the prospects' ids; one page is held at a time."""
        for first, last, _ in self.pages():
            yield from self.page(first, last)

    def pages(self, size: int = _PAGE, after: str | None = None) -> Iterator[tuple[str, str, int]]:
        """Divide prospects, in order of their ids, into pages: first id, last id, how many.

        Args:
            size: how many prospects a page has at most.
            after: only those behind this id.
        """
        while page := self._recorder.select_prospects(after, size):
            after = page[-1]
            yield page[0], page[-1], len(page)

    def page(self, first: str, last: str) -> list[list[Event]]:
        """Read the histories of the prospects from one id to another, in order of their ids."""
        histories = self._recorder.select_page(first, last)
        if histories is not None:
            return histories
        # One of them has an old shape or is broken: read one by one.
        histories = [self._recorder.select_stream(first)]
        after = first
        while after < last:
            page = self._recorder.select_prospects(after, _PAGE)
            histories += [self._recorder.select_stream(one) for one in page if one <= last]
            after = page[-1] if page else last
        return [history for history in histories if history]

    # The feed -------------------------------------------------------------------------------------

    def events(self, after: str | None = None, *, limit: int | None = None) -> Iterator[FeedItem]:
        """Read every event that is there, once, each with its position.

        Events of a prospect come in order of version. None ever appears behind a position that was
        given out.

        Args:
            after: the position of the last one that was read; ``None``: from the beginning.
            limit: how many at most; ``None``: all.

        Raises:
            InputError: ``after`` is not a position of this store, or ``limit`` is invalid.
        """
        return feed.events(self._recorder, after, limit)

    def follow(
        self,
        after: str | None = None,
        *,
        timeout: timedelta | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[FeedItem]:
        """Read every event, as :meth:`events` does, and wait for more.

        Args:
            after: the position of the last one that was read; ``None``: from the beginning.
            timeout: end when none has come for so long; ``None``: never.
            stop: end soon after this is set.

        Raises:
            InputError: ``after`` is not a position of this store.
        """
        return feed.follow(self._recorder, after, timeout, stop)

    def follow_pages(
        self,
        after: str | Callable[[], str | None] | None = None,
        *,
        size: int = 1000,
        timeout: timedelta | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[list[FeedItem]]:
        """Read every event, as :meth:`follow` does, as many at once as are there.

        Args:
            after: the position of the last one that was read; ``None``: from the beginning. Or a
                function that gives it before each page, where others move the position too.
            size: how many events a page has at most.
            timeout: end when none has come for so long; ``None``: never.
            stop: end soon after this is set.

        Raises:
            InputError: ``after`` is not a position of this store, or ``size`` is invalid.
        """
        return feed.follow_pages(self._recorder, after, size, timeout, stop)

    # Prospects and decisions ----------------------------------------------------------------------

    def load(self, prospect: str, keys: Iterable[str] = ()) -> Prospect:
        """Fold the history of ``prospect``, with what other records say to it beside it.

        Args:
            prospect: its id.
            keys: addresses that are not theirs, of which that is asked too.

        Raises:
            UnknownProspect: it has none.
        """
        folded = fold(None, self._stream(prospect))
        if folded is None:
            raise UnknownProspect(prospect)
        folded = self._addresses.read(folded)
        return self._addresses.hear(folded, keys).told_to(folded)

    def load_all(self, prospects: Sequence[str]) -> list[Prospect]:
        """Fold the histories of several prospects, as :meth:`load` does; unknown ones are left out.

        Args:
            prospects: their ids.
        """
        folded = [fold(None, one) for one in self._recorder.select_streams(prospects).values()]
        return self._addresses.beside_all([one for one in folded if one is not None])

    def prospects(self, after: str | None = None) -> Iterator[str]:
        """List the ids of all prospects, in order.

        Args:
            after: only those behind this id.

        Raises:
            InputError: no store can hold ``after``.
        """
        check_texts(after, "after")
        while page := self._recorder.select_prospects(after, _PAGE):
            yield from page
            after = page[-1]

    def directory(self) -> Iterator[DirectoryEntry]:
        """List id, name and owner of every prospect, also of those that ended, by id."""
        if self.due_is_stale():
            for prospect in map(self.load, self.prospects()):
                yield DirectoryEntry(prospect.id, prospect.identity.name, prospect.identity.owner)
            return
        for row in self._recorder.due_rows():
            yield DirectoryEntry(row.prospect, row.name, row.owner)

    def mentioning(self, text: str) -> list[str]:
        """List the ids of prospects with an event that holds ``text`` as it was stored.

        Raises:
            InputError: no store can hold it.
        """
        check_texts(text, "text")
        return self._recorder.select_mentioning(text)

    def others_of(self, histories: Sequence[Sequence[Event]]) -> dict[str, Others]:
        """Read who else has the addresses of some prospects, for what they had said when.

        Args:
            histories: theirs, whole.

        Returns:
            By prospect; one whose addresses no other record knows is left out.
        """
        return self._addresses.others_of(histories)

    def find(self, address: str) -> list[str]:
        """List the ids of the prospects that have an address, however it is spelled.

        Raises:
            InputError: it can't be an address.
        """
        return self.addresses.holders(address)

    def count(self) -> int:
        """Count the prospects, as the due list has them."""
        return self._recorder.count_due()

    def explain(self, prospect: str, now: datetime | None = None) -> Decision:
        """Decide what comes next for a prospect, and why.

        Args:
            prospect: its id.
            now: as seen when; the clock's time.

        Raises:
            UnknownProspect: it has no history.
        """
        return self._explained(self.load(prospect), self._time(now, "now"))

    def _explained(self, prospect: Prospect, now: datetime) -> Decision:
        """Decide, and say who has the touch."""
        claims = self._claims.going_on(self._claims.open_on([prospect.id]))
        return self._claims.show(self._decision(prospect, now), claims.get(prospect.id))

    def compose(self, prospect: str, now: datetime | None = None) -> Decision:
        """Say what comes next as :meth:`explain` does, with the texts of its touch filled in.

        Names and addresses of the team are those of the settings.

        Args:
            prospect: its id.
            now: when the words are said; the clock's time.

        Raises:
            UnknownProspect: it has no history.
        """
        # Imported here: templates load slowly.
        from cadence.messages import compose

        now, folded = self._time(now, "now"), self.load(prospect)
        decision = self._explained(folded, now)
        return compose(decision, folded, self.policies, now, self.settings().team)

    def may(
        self,
        prospect: str,
        channel: Channel = CALL,
        now: datetime | None = None,
        *,
        address: str | None = None,
        by: str | None = None,
    ) -> Precheck:
        """Ask which rules an attempt would break if it were made now; nothing is recorded.

        Args:
            prospect: its id.
            channel: by what.
            now: as seen when; the clock's time.
            address: to which address; the one of the touch that is next, or the first that is left.
            by: who would make it; their own claim forbids nothing.

        Raises:
            UnknownProspect: it has no history.
            InputError: the channel or the address can't be one.
        """
        now = self._time(now, "now")
        check_channel(channel)
        folded, key = self.load(prospect), None
        if address is not None:
            policy = self.policies.of(folded)
            reader = self._addresses.reader(folded, None if policy is None else policy.traits)
            key = reader.key(channel, address)
            folded = self.load(prospect, [key])
        claimed = self.claimed_for(prospect, by)
        return precheck(folded, self.policies, now, channel, claimed, address=address, key=key)

    def due(
        self,
        now: datetime | None = None,
        *,
        limit: int | None = None,
        after: str | None = None,
        owner: str | None = None,
        channel: str | None = None,
        verdicts: Collection[Verdict] = NOW,
    ) -> DuePage:
        """List who to contact now: decisions that are due or a task, soonest first.

        Args:
            now: as seen when; the clock's time.
            limit: how many at most; ``None``: all.
            after: the ``after`` of the page before.
            owner: only prospects of this owner.
            channel: only touches that use this channel.
            verdicts: decisions of these; those who wait or close are listed if they are asked for.

        Raises:
            InputError: ``limit`` or ``after`` is invalid.
        """
        if limit is not None and limit < 1:
            raise InputError(f"limit: invalid {limit}", "give 1 or more, or None for all")
        beyond = None if after is None else parse_page_end(after)
        which = DueFilter(owner, channel, beyond, frozenset(verdicts))
        which.check()
        return DuePage((one for _, one in self.listing(now, which)), limit)

    def listing(
        self, now: datetime | None = None, which: DueFilter | None = None
    ) -> Iterator[tuple[Prospect, Decision]]:
        """List who to contact now, like :meth:`due`, each decision with its prospect.

        Only prospects whose row is to be reviewed are loaded, a page at a time; each is decided
        again.

        Args:
            now: as seen when; the clock's time.
            which: only these.
        """
        return self._due.listing(self._time(now, "now"), which or DueFilter())

    def next_review(self, owner: str | None = None, now: datetime | None = None) -> datetime | None:
        """Return when to ask :meth:`due` again, for a scheduler that sleeps until then.

        Before that instant no other prospect comes onto the list of ``now``, no deadline of a task
        passes and no lease runs out, unless something is recorded. It may be early, by a day and
        more, because it is read from rows that hold for every program. What is on the list already
        is not counted. It reads as much as :meth:`due` does.

        Args:
            owner: only prospects of this owner; leases of all.
            now: as seen when; the clock's time.

        Returns:
            An instant after ``now``; ``None``: nothing comes up by time alone.
        """
        DueFilter(owner).check()
        return self._due.next_review(self._time(now, "now"), owner)

    def due_rows(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        """Read the due list as it is stored, in order of the prospect's id.

        Args:
            after: only rows behind this id.
            last: only rows up to this id.
        """
        return self._recorder.due_rows(after, last)

    def due_row_is_wrong(self, prospect: Prospect, row: DueRow | None) -> bool:
        """Return whether a stored row is missing, or keeps ``prospect`` from being listed in time.

        A row of another engine never does: every reader decides such prospects again.
        """
        if row is not None:
            if row.stamp not in (_ENGINE, self._stamp()):
                return False
            prospect = self._addresses.read(prospect)
            early = self._early(prospect, self.policies)
            # It may have been made with other data, which can't move the early decision.
            made = due_row(prospect, early, early, "") if early else self._row(prospect)
            if not is_missed(row, made):
                return False
        # Nothing is read from a list that was never whole. Asked last: most rows are right.
        return self._recorder.due_stamp() is not None

    def due_is_stale(self) -> bool:
        """Return whether rows were made by another engine, or are missing.

        Listings are right all the same; :meth:`rebuild_due` makes them as quick as they can be.
        """
        return self._due.is_stale()

    # Writing --------------------------------------------------------------------------------------

    def execute(  # noqa: PLR0913  (each may be left out)
        self,
        prospect: str,
        command: Command,
        *,
        at: datetime | None = None,
        occurred_at: datetime | None = None,
        by: str | None = None,
        correlation: str | None = None,
        command_id: str | None = None,
        meta: Mapping[str, str] | None = None,
        expect: int | None = None,
        force: bool = False,
    ) -> Outcome:
        """Carry out a command, or record a fact.

        What comes for a record that was merged is recorded for the one that goes on.

        Args:
            prospect: the prospect's id.
            command: what to do, or (as event data) what happened.
            at: when it is recorded; the clock's time.
            occurred_at: when it happened; by default when it is recorded. It may not lie after
                ``at``; where that is left out, it may lie five minutes after the machine's clock.
            by: who did it.
            correlation: what it belongs to.
            command_id: an id of the caller's; the same command with the same id has no second
                effect.
            meta: a team's own texts by name, kept with the events.
            expect: the version that the prospect must be at, as who decided saw it; 0: it must not
                exist yet. A repeat of a ``command_id`` is a repeat at any version.
            force: record it also over a year after both the machine's clock and the newest event.

        Raises:
            Refused: a rule forbids the command; nothing was recorded.
            UnknownProspect: it has no history, and this command does not add it.
            InputError: a value is invalid, or another command had this ``command_id``.
            VersionConflict: it is not at the version ``expect``; nothing was recorded.
            Conflict: other writers kept winning; nothing was recorded.
            StoreError: the database can't be written; nothing was recorded.
        """
        if expect is not None and expect < 0:
            raise InputError(f"expect: invalid {expect}", "give the version that you saw, or 0")
        clock = self.write_clock(at, force=force)
        recorded = clock.now
        occurred = recorded if occurred_at is None else _utc(occurred_at, "occurred_at")
        if recorded < occurred <= clock.latest:
            recorded = occurred  # the clock of the program that saw it is ahead of ours
        _check(prospect, recorded, occurred)
        if isinstance(command, EventCorrected) and isinstance(command.occurred_at, datetime):
            _check(prospect, clock.latest, _utc(command.occurred_at, "data.occurred_at"))
        clock.check_distance(recorded)
        check_texts(command, "data")
        if isinstance(command, Unreadable):
            raise InputError("Unreadable: invalid; it is never stored", "give what happened")
        for field, text in (("by", by), ("correlation", correlation), ("command_id", command_id)):
            check_texts(text, field)
        check_texts(dict(meta or {}), "meta")
        call = _Call(
            prospect,
            command,
            occurred,
            recorded,
            by,
            correlation,
            command_id,
            dict(meta) if meta else None,
            expect,
        )

        return retried(prospect, lambda: self._carry_out(call))

    def claim(  # noqa: PLR0913  (each may be left out)
        self,
        prospect: str,
        touch: str | None = None,
        *,
        own: Channel | None = None,
        by: str,
        lease: timedelta = timedelta(minutes=15),
        on_expiry: OnExpiry = "return",
        at: datetime | None = None,
        force: bool = False,
    ) -> Claim:
        """Claim a touch before acting: until the lease runs out no other worker gets it.

        Who holds the claim and asks again gets the same one, with a new lease. Leases run on the
        machine's clock, whatever ``at`` is.

        Args:
            prospect: the prospect's id.
            touch: the id of the touch, as a decision names it; the one that is next.
            own: in place of a touch: the channel of an owner's own attempt.
            by: who claims it.
            lease: for how long; at most 30 days.
            on_expiry: what it means if the lease runs out. ``return``: the touch was not made, and
                is free again. ``assume_made``, for a machine that may have sent it: it is recorded
                as an attempt of unknown outcome, made when it was claimed.
            at: when it is claimed, on the clock of the history; the clock's time.
            force: as of :meth:`execute`.

        Raises:
            Refused: another holds a claim on the prospect (``claimed``), or the attempt is not in
                order now.
            UnknownProspect: it has no history.
            InputError: a value is invalid.
            Conflict: other writers kept winning.
            StoreError: the database can't be written.
        """
        clock = self.write_clock(at, force=force)
        clock.check_distance(clock.now)
        request = ClaimRequest(prospect, touch, own, ClaimTerms(by, lease, on_expiry, clock.now))
        request.check()
        self._make_ready()
        return retried(prospect, lambda: self._claims.take(request, self._policy_to_judge))

    def claim_next(
        self,
        count: int,
        *,
        by: str,
        owner: str | None = None,
        channel: str | None = None,
        lease: timedelta = timedelta(minutes=15),
        on_expiry: OnExpiry = "return",
        at: datetime | None = None,
    ) -> list[Claim]:
        """Claim the touches that are due, those that are due longest first, up to a number.

        Those that another worker holds, or takes meanwhile, are left out, and so are those that
        another writer is about to change. Each is judged as by :meth:`claim`, and all are written
        together. They come in the order of the due rows, which is about that of the list; many
        workers at once begin at different places of it.

        Args:
            count: how many at most. A hundred cost little more than ten.
            by, lease, on_expiry, at: as of :meth:`claim`.
            owner: only prospects of this owner.
            channel: only touches that use this channel.

        Raises:
            InputError: a value is invalid.
            StoreError: the database can't be written.
        """
        if count < 1:
            raise InputError(f"count: invalid {count}", "give 1 or more")
        which = DueFilter(owner, channel)
        which.check()
        clock = self.write_clock(at)
        clock.check_distance(clock.now)
        terms = ClaimTerms(by, lease, on_expiry, clock.now)
        terms.check()
        self._make_ready()
        return self._next_claims.take(count, terms, which)

    def complete(  # noqa: PLR0913  (each may be left out)
        self,
        claim: Claim | str,
        parts: Sequence[Part] = (),
        *,
        not_made: bool = False,
        at: datetime | None = None,
        occurred_at: datetime | None = None,
        note: str | None = None,
        why: str | None = None,
        force: bool = False,
    ) -> Outcome:
        """Log the attempt that a claim was taken for, and end the claim.

        It is logged in any case, as every attempt: also after the lease, and after something that
        they said ended the claim. The outcome names what ended it. Where the attempt was assumed
        to be made, this is the late truth, and corrects or retracts it.

        Args:
            claim: the claim, or its token.
            parts: what was done, one part a channel.
            not_made: nothing was done.
            at: when it is recorded; the clock's time.
            occurred_at: when it was made; by default when it is recorded, or where it was assumed
                to be made, when it was claimed.
            note: private; no script may use it.
            why: why it was made although a rule forbids it.
            force: as of :meth:`execute`.

        Raises:
            InputError: the claim is unknown, was completed with other parts, or a value is invalid.
            Conflict: other writers kept winning; nothing was recorded.
            StoreError: the database can't be written; nothing was recorded.
        """
        if bool(parts) is not_made:
            raise InputError("parts: invalid", "give what was done, or not_made=True")
        attempt = None if not_made else MakeAttempt(tuple(parts), why, note)
        if occurred_at is not None:
            occurred_at = _utc(occurred_at, "occurred_at")
        name, outcome, overtaken_by = self._claims.complete(
            claim, attempt, at, occurred_at, force=force
        )
        if outcome is None:
            folded = self.load(name)
            outcome = Outcome(folded, (), self._decision(folded, self._time(at, "at")))
        return msgspec.structs.replace(outcome, overtaken_by=overtaken_by)

    def release(self, claim: Claim | str) -> bool:
        """Give a claim back; return whether it was still open.

        Raises:
            InputError: the claim is unknown.
            StoreError: the database can't be written.
        """
        self._check_writable()
        return self._claims.release(claim)

    def claimed_for(self, prospect: str, by: str | None) -> Claimed | None:
        """Read the claim that stands on ``prospect``, and whether ``by`` holds it.

        Returns:
            ``None``: everybody may claim what is next.
        """
        claim = self._claims.open(prospect)
        return self._claims.claimed_for(claim, by, self._recorder.select_stream(prospect))

    def tick(
        self,
        now: datetime | None = None,
        *,
        force: bool = False,
        progress: Progress | None = None,
    ) -> list[Outcome]:
        """Close the follow-ups whose answer time has passed; record nothing else.

        An attempt that the lease of a claim left to be assumed is recorded too.

        Args:
            now: as seen when; the clock's time.
            force: as of :meth:`execute`.
            progress: told how many are closed, of how many.
        """
        now = self._time(now, "now")
        outcomes = list(self._claims.assume_all(now, force=force))
        # Also what a clock that was ahead recorded, and so is to be closed since a time to come.
        closing = [
            (one.prospect, one.end) for one in self._due.to_review(now) if isinstance(one, Close)
        ]
        for number, (prospect, reason) in enumerate(closing, 1):
            with suppress(Refused):  # they may have answered in the meantime
                outcomes.append(self.execute(prospect, EndFollowUp(reason), at=now, force=force))
            if progress is not None:
                progress(number, len(closing))
        return outcomes

    def append_histories(
        self,
        histories: Iterable[tuple[Sequence[Event], int]],
        *,
        at: datetime | None = None,
        force: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Append complete events of many prospects in one transaction.

        They are taken in as they come, so there may be more of them than fit into memory. The
        transaction is open meanwhile, so their source must not write here.

        Args:
            histories: for each prospect its whole history, and how much of it is stored already.
            at: no event may lie after it; the clock's time, and five minutes.
            force: as of :meth:`execute`.
            progress: told how many prospects are done.

        Returns:
            How many events were appended.

        Raises:
            InputError: an event lies after the clock; nothing was recorded.
            Conflict: another writer wrote to one of the prospects; nothing was recorded.
        """
        clock = self.write_clock(at, force=force)

        def prepared() -> Iterator[Prepared]:
            for number, (history, stored) in enumerate(histories, 1):
                prospect = fold(None, history)
                if prospect is not None and len(history) > stored:
                    before = history[stored - 1] if stored else None
                    yield self.prepare(prospect, history[stored:], clock.behind(before))
                if progress is not None:
                    progress(number, None)

        return self.append_prepared(prepared())

    def prepare(
        self,
        prospect: Prospect,
        new: Sequence[Event],
        clock: WriteClock | None = None,
        policies: PolicyRegistry | None = None,
    ) -> Prepared:
        """Compute what :meth:`append_prepared` writes for one prospect; write nothing yet.

        Args:
            prospect: the fold of its whole history, the new events included.
            new: the events that are not stored yet.
            clock: no event may lie after it; that of the machine.
            policies: where its policy is found, if :meth:`remember_policies` keeps some before this
                is written; those of the service.

        Raises:
            InputError: an event lies after the clock.
        """
        clock = clock or self.write_clock()
        for event in new:
            clock.check_event(event)
        row = self._row(prospect, policies=policies)
        stored = list(map(self._mapper.to_stored_event, new))
        return Prepared(stored, row, self._addresses.rows_for(prospect))

    def append_prepared(self, batches: Iterable[Prepared]) -> int:
        """Append what was prepared, of many prospects, in one transaction, as it comes.

        Returns:
            How many events were appended.

        Raises:
            InputError: a due row is not that of the events it comes with; nothing was recorded.
            Conflict: another writer wrote to one of the prospects; nothing was recorded.
        """
        waiting = map(_check_prepared, batches)
        first = next(waiting, None)
        if first is None:
            return 0
        self._check_writable()
        self._make_addresses_whole()
        self._remember_default()
        try:
            return self._recorder.insert_batches(chain((first,), waiting))
        except IntegrityError:
            raise Conflict(
                "another writer wrote to one of the prospects meanwhile; nothing was recorded",
                "try again",
            ) from None

    def rebuild_due(
        self, *, executor: Executor | None = None, progress: Progress | None = None
    ) -> int:
        """Compute due list and address index again from the events, beside writers.

        A few prospects are computed at a time, with no transaction open meanwhile, and written in
        order by the caller. Interrupted, it goes on where it stopped when it is called again.

        Args:
            executor: computes them; by default the caller.
            progress: told how many prospects are done.

        Returns:
            How many prospects it computed.

        Raises:
            ExecutorFailed: a worker ended, or can't be reached.
        """
        self._check_writable()
        done, stamp = 0, self._stamp()
        made_by, _, after = (self._recorder.due_mark() or "").partition("\n")
        last = after if made_by == stamp and after else None
        behind = pages(self, _BATCH, last)
        computed = map_items(self, _Computing(), behind, executor=executor, together=_BATCHES)
        for page, rows in computed:
            started = time.monotonic()
            self._recorder.refresh_due(rows, page.after, page.last, f"{stamp}\n{page.last}")
            # Writers that wait look again from time to time: leave them as much time as was taken.
            time.sleep(min(_LONGEST_WAIT, time.monotonic() - started))
            last = page.last
            done += len(rows)
            if progress is not None:
                progress(done, None)
        self._recorder.finish_due(last, stamp)
        return done

    # Policies -------------------------------------------------------------------------------------

    def kept_policies(self) -> list[Policy]:
        """List the policies that were kept with the store when prospects adopted them, by digest.

        A text that can't be read as a policy is left out, as where a decision needs it.
        """
        return self._kept.all()

    def keep_policy(self, policy: Policy) -> None:
        """Keep a policy with the store, so that every program that opens it knows the policy.

        A policy that is kept already stays; another text in its place is replaced.

        Raises:
            UnprovedPolicy: it is not proved.
            StoreError: the database can't be written.
        """
        require_proof(policy)
        self._check_writable()
        self._kept.keep(policy)

    def policies_with(self, arriving: Iterable[Policy]) -> PolicyRegistry:
        """Return the policies, with those that :meth:`remember_policies` keeps before a write.

        Functions that they name as guards are imported only if the store was opened with
        ``allow_code``.
        """
        arriving = tuple(arriving)
        for policy in arriving:
            self._kept.allow(policy)
        return self.policies.with_arriving(arriving)

    def remember_policies(self, policies: Iterable[Policy]) -> int:
        """Keep policies that histories name, proved or not; return how many are new.

        They are kept for these histories. Adopting one, or making it the default, needs its
        proof.

        Raises:
            StoreError: the database can't be written.
        """
        new = [
            one for one in policies if not is_builtin(one.ref) and not self._kept.has(one.digest)
        ]
        for policy in new:
            self._check_writable()
            self._kept.remember(policy)
        return len(new)

    def policies_in_use(self) -> dict[PolicyRef, int]:
        """Count the prospects under each policy, also those that ended, by name and version.

        Only the events that name a policy are read, not whole histories.
        """
        under: dict[str, PolicyRef] = {}
        for row in self._recorder.select_topics((ProspectAdded.__name__, PolicyAdopted.__name__)):
            event = decode_row(row.prospect, row.version, row.state)
            if not isinstance(event.data, Unreadable):
                named = policy_named_by(event.data)
                under[event.prospect] = named or self.policies.unnamed.ref
        counted = Counter(under.values())
        return {
            ref: counted[ref] for ref in sorted(counted, key=lambda ref: (ref.name, ref.version))
        }

    # Settings -------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Read the settings: default policy, default region and team, each with its source.

        A value comes from the first of these that has one: ``default=`` of :meth:`open`, the team
        file ``cadence.toml`` beside a SQLite file (as it was when the store was opened), the table
        of the store, what is built in.
        """
        return self._settings.current(builtin().ref)

    def change_settings(
        self,
        changes: Mapping[str, SettingValue],
        *,
        by: str,
        at: datetime | None = None,
    ) -> Settings:
        """Change settings of the store, all of them or none; who and when is kept.

        Every program that opens the store follows them, and those that have it open do so from
        their next call on. A default policy is kept with the store.

        Args:
            changes: by name: ``default_policy`` (a :class:`~cadence.policy.Policy`),
                ``default_region`` (an ISO 3166 country), ``team.company`` and others of the team,
                and ``team.owners.NAME.`` with ``name``, ``phone`` and others. ``None`` takes a
                value away.
            by: who changes them.
            at: when; the clock's time.

        Returns:
            The settings after it.

        Raises:
            InputError: a name is unknown, or a value or ``by`` is invalid.
            UnprovedPolicy: the prover refutes the default policy.
            StoreError: the database can't be written.
        """
        checked = {name: check_value(name, value) for name, value in changes.items()}
        if not by.strip() or not by.isprintable():
            raise InputError(f"by: invalid {by!r}", "give who changes the settings")
        now = self._time(at, "at")
        self._check_writable()
        policy = checked.get(DEFAULT_POLICY)
        if isinstance(policy, Policy):
            self.keep_policy(policy)
        self._settings.change(checked, by, now)
        return self.settings()

    def default_policy(self) -> Policy:
        """Read the policy of new prospects, as the settings have it now.

        Raises:
            InvalidStore: the settings name a policy that can't be read here.
        """
        if self._follows_settings:
            ref = self._settings.default_policy() or builtin().ref
            if ref.digest != self.policies.default.digest:
                policy = self.policies.find(ref.digest)
                if policy is None:
                    raise InvalidStore(
                        f"{DEFAULT_POLICY}: unknown policy {ref.name} version {ref.version}",
                        "use a newer cadence, or open the store with default=",
                    )
                self.policies = self.policies.with_default(policy)
        return self.policies.default

    # The clock ------------------------------------------------------------------------------------

    def write_clock(self, at: datetime | None = None, *, force: bool = False) -> WriteClock:
        """Return what the times of a write are held against.

        Args:
            at: the time of the write; the machine's clock, with five minutes of grace.
            force: let it be recorded however far beyond the newest event.
        """
        machine = _utc(self._clock(), "clock")
        if at is None:
            return WriteClock.of_machine(machine)
        clock = WriteClock.given(_utc(at, "at"))
        farthest = year_after(machine)
        if force or clock.now <= farthest:
            return clock
        newest = self._newest_event(clock.now)
        if newest is None:
            return clock  # an empty store takes any time
        return WriteClock(clock.now, clock.latest, year_after(max(machine, newest)))

    def _newest_event(self, wanted: datetime) -> datetime | None:
        """Read when the newest event was recorded, or one within a year before ``wanted``.

        It is asked only for writes far in the future. All events are read only where the last one
        that was written does not do.
        """

        def is_near() -> bool:
            return self._newest is not None and wanted <= year_after(self._newest)

        last = None if is_near() else self._recorder.newest()
        if last is not None:
            self._see([decode_row(last.prospect, last.version, last.state)])
            if not is_near():
                for history in self.histories():
                    self._see(history)
        return self._newest

    def _see(self, events: Iterable[Event]) -> None:
        for event in events:
            self._newest = max(self._newest or event.recorded_at, event.recorded_at)

    # Inside ---------------------------------------------------------------------------------------

    def _stream(self, prospect: str) -> list[Event]:
        """Read the history of ``prospect``; that of an id that no store can keep is empty."""
        return self._recorder.select_stream(prospect) if is_storable(prospect) else []

    def _carry_out(self, call: _Call) -> Outcome:
        """Load, decide and append once; where it is merged, for the record that goes on.

        Raises:
            IntegrityError: another writer took this version first.
        """
        try:
            return self._decide_and_write(call, None)
        except ClaimChanged:  # there is an open claim; most prospects have none
            claim = self._claims.before(
                call.prospect, call.command, call.by, call.command_id, call.recorded_at
            )
            return self._decide_and_write(call, claim)

    def _decide_and_write(self, call: _Call, claim: Claim | None) -> Outcome:
        """Load, decide and append once.

        Args:
            call: what to do.
            claim: the open claim on the prospect.

        Raises:
            ClaimChanged: another claim is open.
            IntegrityError: another writer took this version first.
        """
        history = self._recorder.select_stream(call.prospect)
        prospect = fold(None, history)
        before = prospect
        if prospect is None:
            if not isinstance(call.command, ProspectAdded):
                raise UnknownProspect(call.prospect)
            call.check_version(0)
            new = self._begin(call, call.command)
            change, heard, told = None, Heard(), None
        else:
            done = _find_repeated(call, history)
            if done:
                decision = self._decision(prospect, call.recorded_at)
                return Outcome(prospect, done, decision, repeated=True)
            call.check_version(prospect.version)
            if prospect.stage is Stage.MERGED:
                further = self.merges.goes_to(prospect, call.command)
                if further is not None:
                    return self._carry_out(call.of(*further))
            claimed = self._claims.claimed_for(claim, call.by, history)
            new, heard, told = self._go_on(call, prospect, history, claimed)
            change = change_of(call.prospect, claim, [*history, *new])
        events = new
        others: list[StreamWrite] = []
        if isinstance(new[-1].data, TAKING_BACK):
            prospect, events = None, (*history, *new)
            if before is not None and before.stage is Stage.MERGED:
                others = self.merges.updated_survivors(events, new)
        folded = fold(prospect, events)
        if folded is None:
            raise UnknownProspect(call.prospect)
        heard = self._addresses.hear_more(heard, folded)  # it may have addresses more now
        after = heard.told_to(folded, told)
        decision = self._decision(after, call.recorded_at)
        known = None if before is None else self._addresses.read(before)
        addresses = change_of_addresses(known, after, heard)
        self._write([StreamWrite(new, self._row(after, decision), addresses, change), *others])
        return Outcome(after, new, decision)

    def _policy_to_judge(self, prospect: Prospect) -> Policy:
        """Return the policy a prospect is under.

        Raises:
            Refused: nothing can be judged.
        """
        policy = self.policies.of(prospect)
        if policy is None or prospect.unreadable is not None:
            raise _cannot_judge(prospect)
        return policy

    def _begin(self, call: _Call, added: ProspectAdded) -> tuple[Event, ...]:
        """Decide the first event: it has the address keys, and the policy from here on."""
        default = self.default_policy()
        self._remember_default()
        # Checked first: the country says how national numbers are read.
        decide(None, added, default, call.occurred_at)
        reader = KeyReader(default.traits, lambda: added.country or self._region())
        keyed = reader.data(added)
        if isinstance(keyed, ProspectAdded) and keyed.policy is None:
            keyed = msgspec.structs.replace(keyed, policy=default.ref)
        return call.events(0, (keyed,))

    def _region(self) -> str | None:
        """The country in which a national number of a prospect without a country is read."""
        return self.settings().default_region

    def _remember_default(self) -> None:
        """Keep the default with the store, where a history is about to name it."""
        if not is_builtin(self.policies.default.ref):
            self._check_writable()
            self._kept.remember(self.policies.default)

    def _go_on(
        self,
        call: _Call,
        prospect: Prospect,
        history: Sequence[Event],
        claimed: Claimed | None,
    ) -> tuple[tuple[Event, ...], Heard, Prospect]:
        """Decide what a command leads to for a prospect that is known.

        Returns:
            The events, what was read of others, and the prospect with it that was decided on.
        """
        policy = self.policies.of(prospect)
        traits = BUILT_IN if policy is None else policy.traits
        country = prospect.identity.country

        def where() -> str | None:
            return country or self._region()

        before: tuple[Data, ...] = ()
        read = addresses_read(prospect, KeyReader(traits, where, is_strict=False))
        if read is not None:  # a history from before: from here on its addresses have keys
            before = (read,)
            (event,) = call.events(prospect.version, before)
            prospect = evolve(prospect, event)
        reader = self._addresses.reader(prospect, traits)
        command = with_keys(call.command, reader)
        heard = self._addresses.hear(prospect, keys_in(command))
        prospect = heard.told_to(prospect)
        command = _lifting(command, prospect)
        data: tuple[Data, ...]
        if isinstance(command, TakeBack):
            data = take_back(history, command, self.policies, call.by)
        elif policy is None or prospect.unreadable is not None:
            data = _decide_unjudged(prospect, command, call.occurred_at, claimed)
        else:
            data = decide(prospect, command, policy, call.occurred_at, call.recorded_at, claimed)
        if isinstance(command, ProspectUpdated):
            data += read_again(prospect, command, traits)
        return call.events(prospect.version - len(before), (*before, *data)), heard, prospect

    def _write(self, writes: Sequence[StreamWrite]) -> None:
        """Write one stream or several in one transaction."""
        self._check_writable()
        self._make_addresses_whole()
        events = [event for one in writes for event in one.events]
        for event in events:
            ref = policy_named_by(event.data)
            if ref is not None and not is_builtin(ref):
                policy = self.policies.by_ref(ref)
                self.remember_policies([] if policy is None else [policy])
        self._recorder.insert_events(
            list(map(self._mapper.to_stored_event, events)),
            due=[one.row for one in writes],
            claims=[one.claim for one in writes if one.claim is not None],
            addresses=[one.addresses for one in writes],
        )

    def _make_ready(self) -> None:
        self._check_writable()
        self._make_addresses_whole()

    def _make_addresses_whole(self) -> None:
        """Make the address index of a database of an older cadence, before the first write."""
        if not self._recorder.addresses_are_whole():
            self.rebuild_due()

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreError("the store was opened to be read only", "open it without read_only")

    def _decision(self, prospect: Prospect, now: datetime) -> Decision:
        return decision_for(prospect, self.policies, now)

    def _row(
        self,
        prospect: Prospect,
        decision: Decision | None = None,
        policies: PolicyRegistry | None = None,
    ) -> DueRow:
        """Compute the due row, from the decision when the last event was recorded."""
        policies = policies or self.policies
        # As every reader does: an address that can't be read ends the follow-up of a history from
        # before, too.
        prospect = self._addresses.read(prospect)
        stamp = self._stamp() if prospect.policy is None else _ENGINE
        early = self._early(prospect, policies)
        if early is None or not (prospect.elsewhere.is_silent or isinstance(early, Stop)):
            return unknown_row(prospect, stamp)
        decision = decision or silent_decision_for(prospect, policies, prospect.recorded_at)
        return due_row(prospect, decision, early, stamp)

    def _refreshed(self, page: PageOfIds) -> list[Refreshed]:
        """Compute the rows of a page of prospects."""
        folded = [fold(None, history) for history in self.page(page.first, page.last)]
        return [
            Refreshed(self._row(one), one.version, self._addresses.rows_for(one))
            for one in folded
            if one is not None
        ]

    def _early(self, prospect: Prospect, policies: PolicyRegistry) -> Decision | None:
        """Decide without what other programs may know otherwise; ``None``: always review it."""
        policy = policies.of(prospect)
        # A reader may or may not have its policy, or read all its events.
        if policy is None or prospect.unreadable is not None:
            return None
        if not self._is_shared(policy, policies.is_arriving(policy.digest)):
            return None
        return decide_early(prospect, policy, prospect.recorded_at)

    def _is_shared(self, policy: Policy, is_arriving: bool) -> bool:
        """Return whether every program that opens this store can read ``policy`` from it."""
        # A team's own functions may be missing elsewhere.
        has_own_guards = any(isinstance(guard, Custom) for guard in policy.guards)
        if has_own_guards or is_builtin(policy.ref):
            return not has_own_guards
        return is_arriving or self._kept.has(policy.digest)

    def _time(self, instant: datetime | None, name: str) -> datetime:
        """Return an instant that a caller gives, or what the machine's clock shows."""
        return _utc(self._clock(), "clock") if instant is None else _utc(instant, name)

    def _find_unnamed(self) -> None:
        """Find the policy of histories from before: they stay under the default of their time."""
        stamped = _stamped_policy(self._recorder.due_stamp(), self.policies)
        self.policies = self.policies.with_unnamed(stamped)

    def _stamp(self) -> str:
        """What makes a row of a history that names no policy; the engine alone makes the others."""
        return f"{_ENGINE} {self.policies.unnamed.digest}"


class _Computing:
    """Computes due rows and address rows, a page of prospects at a time."""

    def __call__(self, app: Cadence) -> Callable[[PageOfIds], list[Refreshed]]:
        return app._refreshed


def _stamped_policy(stamp: str | None, policies: PolicyRegistry) -> Policy | None:
    """Return the default that a due stamp names; ``None``: it names none that is known."""
    words = (stamp or "").split()
    return policies.find(words[1]) if len(words) > 1 else None


def _decide_unjudged(
    prospect: Prospect, command: Command, at: datetime, claimed: Claimed | None
) -> tuple[Data, ...]:
    """Decide where the policy is unknown or an event unreadable: facts are kept, unjudged."""
    if isinstance(command, MakeAttempt) and not command.is_strict:
        command = AttemptMade(command.parts, why=command.why, note=command.note)
    if isinstance(command, AttemptMade):
        return (unchecked_attempt(prospect, checked(command), claimed),)
    if isinstance(command, MakeAttempt | SetAppointment | EndFollowUp):
        raise _cannot_judge(prospect)
    return decide(prospect, command, builtin(), at)


def _cannot_judge(prospect: Prospect) -> Refused:
    event, ref = prospect.unreadable, prospect.policy
    if event is not None:
        what = f"event {event.version} can't be read ({event.what})"
        hint = "use a newer cadence" if not event.is_damaged else "use a backup of the database"
    else:
        adopted = "" if ref is None else f" {ref.name} version {ref.version}"
        what = f"unknown policy{adopted}, which it adopted"
        hint = "open the store with that policy: Cadence.open(…, policies=[load(path)])"
    return Refused(f"{prospect.id}: {what}; nothing can be judged", hint, rule=Rule.FORGOTTEN)


def _lifting(command: Command, prospect: Prospect) -> Command:
    """Name in an opt-in the opt-outs of other holders that it takes back for this prospect."""
    if not isinstance(command, OptedBackIn) or command.lifts:
        return command
    said: dict[str, int] = {}
    elsewhere = prospect.elsewhere
    words = [(word.prospect, word.opt_outs) for word in elsewhere.words]
    words += [(one.prospect, one.opt_outs) for one in elsewhere.questions if one.opt_outs]
    for other, opt_outs in words:
        said[other] = max(said.get(other, 0), opt_outs.newest)
    lifts = tuple([WordRef(other, version) for other, version in sorted(said.items())])
    return msgspec.structs.replace(command, lifts=lifts) if lifts else command


def _find_repeated(call: _Call, history: Sequence[Event]) -> tuple[Event, ...]:
    """Return the events that this command recorded before, under its id.

    Raises:
        InputError: another command has this id.
    """
    if call.command_id is None:
        return ()
    done = tuple([event for event in history if event.command_id == call.command_id])
    if not done or any(isinstance(event.data, Unreadable) for event in done):
        return done
    # Not when it occurred: who tries again may stamp it again.
    if not led_to(call.command, [event.data for event in done]):
        raise InputError(
            f"command_id: {call.command_id!r} was used for another {type_name(done[0].data)} "
            f"(version {done[0].version} of {done[0].prospect})",
            "give every command an id of its own, and repeat one with the same content",
        )
    return done


def _check_prepared(prepared: Prepared) -> Prepared:
    prospect = prepared.row.prospect
    if any(event.originator_id != prospect for event in prepared.events):
        raise InputError(
            f"{prospect}: its due row came with events of another prospect",
            "use prepare() for each prospect",
        )
    return prepared


def _utc(instant: datetime, name: str) -> datetime:
    if instant.tzinfo is None:
        raise InputError(
            f"{name}: missing time zone in {instant.isoformat()}",
            "give an aware datetime, such as one with tzinfo=UTC",
        )
    return instant.astimezone(UTC)


def _check(prospect: str, recorded: datetime, occurred: datetime) -> None:
    check_id(prospect)
    if occurred > recorded:
        raise InputError(
            f"{prospect}: invalid occurred_at {occurred:%Y-%m-%dT%H:%M:%SZ}, after recorded_at "
            f"{recorded:%Y-%m-%dT%H:%M:%SZ}",
            "fix one of the two times",
        )
