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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import msgspec

from cadence.domain.channels import CALL, Channel, check_known
from cadence.domain.codec import check_id
from cadence.domain.events import (
    Event,
    EventCorrected,
    Part,
    Unreadable,
)
from cadence.domain.fold import fold
from cadence.domain.limits import check_texts, is_storable
from cadence.domain.prospect import Prospect
from cadence.engine.claims import Claim, Claimed, OnExpiry
from cadence.engine.commands import (
    Command,
    EndFollowUp,
    MakeAttempt,
)
from cadence.engine.decision import Close, Decision, Verdict
from cadence.engine.loop import decision_for
from cadence.engine.precheck import Precheck, precheck
from cadence.errors import (
    InputError,
    Refused,
    StoreError,
    UnknownProspect,
)
from cadence.policy.guard_runner import allowed
from cadence.policy.loader import builtin
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry
from cadence.prover.proof import require_proof
from cadence.store import feed
from cadence.store.address_book import AddressBook
from cadence.store.addresses import AddressIndex
from cadence.store.claims import ClaimRequest, Claims, ClaimTerms, judged_again, retried
from cadence.store.clock import StoreClock, shown, utc
from cadence.store.due_page import NOW, DueFilter, DuePage, parse_page_end
from cadence.store.due_reader import DueReader
from cadence.store.due_rows import DueRows
from cadence.store.feed import FeedItem
from cadence.store.gate import WriteGate
from cadence.store.handler import Call, CommandHandler, Outcome
from cadence.store.histories import Histories
from cadence.store.merges import Merges
from cadence.store.next_claims import NextClaims
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import Recorder
from cadence.store.recorders.awaited import AwaitedRecorder
from cadence.store.recorders.opening import open_recorder, read_team
from cadence.store.settings import (
    DEFAULT_POLICY,
    Settings,
    SettingsTable,
    SettingValue,
    check_value,
)
from cadence.store.source import StoreSource, absolute, has_event, newest_event
from cadence.store.writer import StreamWriter

__all__ = ["Cadence", "Progress"]

_PAGE: Final = 256  # prospects

if TYPE_CHECKING:
    import psycopg_pool

Database: TypeAlias = "str | os.PathLike[str] | psycopg_pool.ConnectionPool[Any] | Recorder | None"
"""What a store may be opened with."""

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are if that is known."""


def _machine_clock() -> datetime:
    return datetime.now(UTC)


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
        clock: reads the time, and checks the times of each write against it.
        due_rows: the rows of the due list, and how to rebuild them.
        histories: whole histories, many at a time: to read, and to take in.
        library: the policies that the store keeps, and the default.
        merges: merges records of one person, and takes that back.
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
        default: the policy of new prospects; by default that of the settings.
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
        self._recorder = recorder
        self._read_only = read_only
        self.address = address
        self.clock = StoreClock(clock, recorder)
        self._gate = WriteGate(
            recorder, read_only=read_only, rebuild=lambda: self.due_rows.rebuild()
        )
        self._settings = SettingsTable(recorder, default=default, file=team)
        self.library = PolicyLibrary(
            recorder,
            self._settings,
            self._gate,
            default=default,
            others=policies,
            allow_code=allow_code,
        )
        self._addresses = AddressIndex(recorder, lambda: self.settings().default_region)
        self.addresses = AddressBook(
            recorder, self._addresses, self._gate, self.clock, lambda: self.library.channels()
        )
        self.due_rows = DueRows(self, recorder, self.library, self._addresses, self._gate)
        self.histories = Histories(
            recorder, self._addresses, self.library, self.due_rows, self.clock, self._gate
        )
        writer = StreamWriter(recorder, self.library, self._gate)
        self._claims = Claims(self, recorder, self._addresses, self.clock.now)
        self.merges = Merges(self, recorder, self._addresses, self._claims, writer)
        self._handler = CommandHandler(
            recorder,
            self._addresses,
            self._claims,
            self.merges,
            self.library,
            self.due_rows,
            writer,
        )
        self._due = DueReader(recorder, self._claims, self.histories, self.library, self.due_rows)
        self._next_claims = NextClaims(
            recorder,
            self._addresses,
            self._claims,
            self._due,
            self.due_rows,
            self.library,
            self.clock,
        )
        if isinstance(recorder, AwaitedRecorder):
            recorder.when_found(self.library.find_unnamed)
        self.library.default()

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
            default: the policy of new prospects; by default that of the settings, which is
                ``tip8`` until it is changed. A prospect keeps its policy when the default changes.
            use_unproved_policies: take ``policies`` and ``default`` also if the prover refutes
                them. The invariants still stop what they must.
            allow_code: import and call the functions that policies of the store name as guards.
                Without it such a guard is not called, and every touch that it would judge is
                held. Only for a database whose writers may run code here.
            lock_timeout_seconds: how long to wait for another writer. The connections of a pool of
                your own keep their own timeouts.
            clock: the clock of the store, for calls that give no time, and for leases; aware. By
                default it is the machine's.

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
        if not read_only:
            app.due_rows.begin()
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
    def policies(self) -> PolicyRegistry:
        """The policies that prospects may be under, and the default, as they were read last."""
        return self.library.registry

    @property
    def is_missing(self) -> bool:
        """Whether the database does not exist yet; opened read-only, it reads as empty."""
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
            self._gate.make_ready()
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

    # Prospects ------------------------------------------------------------------------------------

    def _stream(self, prospect: str) -> list[Event]:
        """Read the history of ``prospect``; that of an id that no store can keep is empty."""
        return self._recorder.select_stream(prospect) if is_storable(prospect) else []

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

    def load(self, prospect: str, keys: Iterable[str] = ()) -> Prospect:
        """Fold a prospect's history, and add what other records and lists say of its addresses.

        Args:
            prospect: its id.
            keys: further address keys to look up.

        Raises:
            UnknownProspect: it has none.
        """
        folded = fold(None, self._stream(prospect))
        if folded is None:
            raise UnknownProspect(prospect)
        folded = self._addresses.read(folded)
        return self._addresses.hear(folded, keys).told_to(folded)

    def find(self, address: str) -> list[str]:
        """List the ids of the prospects that have an address, however it is spelled, in order.

        A bare number is also had by who has it with an extension.

        Raises:
            InputError: it can't be an address.
        """
        return self._addresses.holders(self.addresses.key(address))

    def count(self) -> int:
        """Count the prospects, as the due list has them."""
        return self._recorder.count_due()

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

    # Decisions ------------------------------------------------------------------------------------

    def explain(self, prospect: str, now: datetime | None = None) -> Decision:
        """Decide what comes next for a prospect, and why.

        Args:
            prospect: its id.
            now: the time to decide for; by default the clock's.

        Raises:
            UnknownProspect: it has no history.
        """
        return self._explained(self.load(prospect), self.clock.at(now, "now"))

    def _explained(self, prospect: Prospect, now: datetime) -> Decision:
        """Decide, and say who has the touch."""
        claims = self._claims.going_on([prospect.id])
        return self._claims.show(
            decision_for(prospect, self.policies, now), claims.get(prospect.id)
        )

    def compose(self, prospect: str, now: datetime | None = None) -> Decision:
        """Say what comes next as :meth:`explain` does, with the texts of its touch filled in.

        Names and addresses of the team are those of the settings.

        Args:
            prospect: its id.
            now: the time to decide for; by default the clock's.

        Raises:
            UnknownProspect: it has no history.
        """
        # Imported here: templates load slowly.
        from cadence.messages import compose

        now, folded = self.clock.at(now, "now"), self.load(prospect)
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
            now: the time to decide for; by default the clock's.
            address: to which address; by default that of the next touch, or else the first that
                is left.
            by: who would make it; their own claim forbids nothing.

        Raises:
            UnknownProspect: it has no history.
            InputError: the channel is unknown, or the address can't be one.
        """
        now = self.clock.at(now, "now")
        folded, key = self.load(prospect), None
        check_known(channel, self.library.channels_of(folded))
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
            now: the time to decide for; by default the clock's.
            limit: how many at most; ``None``: all.
            after: the ``after`` of the page before.
            owner: only prospects of this owner.
            channel: only touches that use this channel.
            verdicts: only decisions with these verdicts; by default those that are due or a task.

        Raises:
            InputError: ``limit`` or ``after`` is invalid, or the channel is unknown.
        """
        if limit is not None and limit < 1:
            raise InputError(f"limit: invalid {limit}", "give 1 or more, or None for all")
        beyond = None if after is None else parse_page_end(after)
        which = DueFilter(owner, channel, beyond, frozenset(verdicts))
        return DuePage((one for _, one in self.listing(now, which)), limit)

    def listing(
        self, now: datetime | None = None, which: DueFilter | None = None
    ) -> Iterator[tuple[Prospect, Decision]]:
        """List who to contact now, like :meth:`due`, each decision with its prospect.

        Only prospects whose row is to be reviewed are loaded, a page at a time; each is decided
        again.

        Args:
            now: the time to decide for; by default the clock's.
            which: only these.

        Raises:
            InputError: the owner or the channel is invalid.
        """
        which = which or DueFilter()
        self._check(which)
        return self._due.listing(self.clock.at(now, "now"), which)

    def _check(self, which: DueFilter) -> None:
        which.check()
        if which.channel is not None:
            check_known(which.channel, self.library.channels())

    def next_review(self, owner: str | None = None, now: datetime | None = None) -> datetime | None:
        """Return when to ask :meth:`due` again, for a scheduler that sleeps until then.

        Until then no prospect joins the list of ``now``, no task's deadline passes and no lease
        runs out, unless something is recorded. The time may be early by more than a day, because
        due rows serve every program. Prospects already on the list are not counted. It reads as
        much as :meth:`due` does.

        Args:
            owner: only prospects of this owner, but the leases of all.
            now: the time to decide for; by default the clock's.

        Returns:
            An instant after ``now``; ``None``: nothing comes up by time alone.
        """
        self._check(DueFilter(owner))
        return self._due.next_review(self.clock.at(now, "now"), owner)

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
            at: when it is recorded; by default the clock's time.
            occurred_at: when it happened; by default when it is recorded. It may not lie after
                ``at``; where that is left out, it may lie five minutes after the machine's clock.
            by: who did it.
            correlation: what it belongs to.
            command_id: an id of the caller's, for this prospect; the same command with the same id
                has no second effect.
            meta: a team's own texts by name, kept with the events.
            expect: the version that the prospect must be at, as who decided saw it; 0: it must not
                exist yet. A repeat of a ``command_id`` is a repeat at any version.
            force: record it even if it is more than a year later than both the machine's clock and
                the newest event.

        Raises:
            Refused: a rule forbids the command; nothing was recorded.
            UnknownProspect: it has no history, and this command does not add it.
            InputError: a value is invalid, or another command of theirs had this ``command_id``.
            VersionConflict: it is not at the version ``expect``; nothing was recorded.
            Conflict: other writers kept winning; nothing was recorded.
            StoreError: the database can't be written; nothing was recorded.
        """
        if expect is not None and expect < 0:
            raise InputError(f"expect: invalid {expect}", "give the version that you saw, or 0")
        clock = self.clock.for_write(at, force=force)
        recorded = clock.now
        occurred = recorded if occurred_at is None else utc(occurred_at, "occurred_at")
        if recorded < occurred <= clock.latest:
            recorded = occurred  # the clock of the program that saw it is ahead of ours
        _check_times(prospect, occurred, clock.latest)
        if isinstance(command, EventCorrected) and isinstance(command.occurred_at, datetime):
            _check_times(prospect, utc(command.occurred_at, "data.occurred_at"), clock.latest)
        clock.check_distance(recorded)
        check_texts(command, "data")
        if isinstance(command, Unreadable):
            raise InputError("Unreadable: invalid; it is never stored", "give what happened")
        for field, text in (("by", by), ("correlation", correlation), ("command_id", command_id)):
            check_texts(text, field)
        check_texts(dict(meta or {}), "meta")
        call = Call(
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

        return retried(prospect, lambda: self._handler.carry_out(call))

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
        clock of the store (``clock`` of :meth:`open`), whatever ``at`` is.

        Args:
            prospect: the prospect's id.
            touch: the id of the touch, as a decision names it; by default the next one.
            own: in place of a touch: the channel of an owner's own attempt.
            by: who claims it.
            lease: for how long; at most 30 days.
            on_expiry: what it means if the lease runs out. ``return``: the touch was not made, and
                is free again. ``assume_made``, for a machine that may have sent it: it is recorded
                as an attempt of unknown outcome, made when it was claimed.
            at: when it is claimed, on the clock of the history; by default the clock's time.
            force: as of :meth:`execute`.

        Raises:
            Refused: another holds a claim on the prospect (``claimed``), or the attempt is not in
                order now.
            UnknownProspect: it has no history.
            InputError: a value is invalid.
            Conflict: other writers kept winning.
            StoreError: the database can't be written.
        """
        clock = self.clock.for_write(at, force=force)
        clock.check_distance(clock.now)
        request = ClaimRequest(prospect, touch, own, ClaimTerms(by, lease, on_expiry, clock.now))
        request.check()
        self._gate.make_ready()
        return retried(prospect, lambda: self._claims.take(request, self.library.judging))

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
        """Claim up to ``count`` due touches, the longest due first.

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
        self._check(which)
        clock = self.clock.for_write(at)
        clock.check_distance(clock.now)
        terms = ClaimTerms(by, lease, on_expiry, clock.now)
        terms.check()
        self._gate.make_ready()
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
            at: when it is recorded; by default the clock's time.
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
        token = claim if isinstance(claim, str) else claim.token
        if parts and not_made:
            raise InputError(f"claim {token}: invalid parts with not_made", "give one of them")
        if not parts and not not_made:
            raise InputError(
                f"claim {token}: missing parts", "give what was done, or not_made=True"
            )
        at = None if at is None else utc(at, "at")
        attempt = None if not_made else MakeAttempt(tuple(parts), why, note)
        if occurred_at is not None:
            occurred_at = utc(occurred_at, "occurred_at")
        name, outcome, overtaken_by = self._claims.complete(
            claim, attempt, at, occurred_at, force=force
        )
        if outcome is None:
            folded = self.load(name)
            outcome = Outcome(folded, (), decision_for(folded, self.policies, self.clock.at(at)))
        return msgspec.structs.replace(outcome, overtaken_by=overtaken_by)

    def release(self, claim: Claim | str) -> bool:
        """Give a claim back; return whether it was still open.

        Raises:
            InputError: the claim is unknown.
            StoreError: the database can't be written.
        """
        self._gate.check()
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
        """Close the follow-ups whose answer time has passed, and record what claims left to assume.

        Any number of programs may do so at once: each follow-up is closed once, and each attempt
        assumed once.

        Args:
            now: the time to decide for; by default the clock's.
            force: as of :meth:`execute`.
            progress: told how many are closed, of how many.

        Returns:
            What this call recorded.
        """
        now = self.clock.at(now, "now")
        outcomes = list(self._claims.assume_all(now, force=force))
        # A close may carry a time after ``now``: a clock that was ahead recorded what it follows.
        closing = [one.prospect for one in self._due.to_review(now) if isinstance(one, Close)]
        for number, prospect in enumerate(closing, 1):
            with suppress(Refused):  # they may have answered in the meantime
                outcomes += judged_again(partial(self._close, prospect, now, force=force))
            if progress is not None:
                progress(number, len(closing))
        return outcomes

    def _close(self, prospect: str, now: datetime, *, force: bool) -> list[Outcome]:
        """Close a follow-up if that is still what comes next.

        Raises:
            VersionConflict: another program wrote to it first.
        """
        folded = self.load(prospect)
        decision = decision_for(folded, self.policies, now)
        if not isinstance(decision, Close):
            return []
        command = EndFollowUp(decision.end)
        return [self.execute(prospect, command, at=now, expect=folded.version, force=force)]

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
            at: when; by default the clock's time.

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
        now = self.clock.at(at)
        self._gate.check()
        policy = checked.get(DEFAULT_POLICY)
        if isinstance(policy, Policy):
            self.library.keep(policy)
        self._settings.change(checked, by, now)
        return self.settings()


def _check_times(prospect: str, occurred: datetime, latest: datetime) -> None:
    check_id(prospect)
    if occurred > latest:
        raise InputError(
            f"{prospect}: invalid occurred_at {shown(occurred)}, after {shown(latest)}",
            "give an earlier occurred_at, or a later at",
        )
