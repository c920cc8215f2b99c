"""The application: commands in, events kept, decisions out.

It reads a clock only where the caller gives no time, loads a prospect with one query, decides with
the pure core, and appends the events together with the prospect's due row in one transaction.
"""

from __future__ import annotations

import heapq
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    Mapper,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.utils import Environment

from cadence.domain.codec import check_id
from cadence.domain.events import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    Data,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    ProspectAdded,
    type_name,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine.commands import (
    CancelAppointment,
    Command,
    EndFollowUp,
    MakeAttempt,
    ReopenFollowUp,
    SetAppointment,
    decide,
    unchecked_attempt,
)
from cadence.engine.decision import Decision, Verdict
from cadence.engine.loop import advance, decision_for
from cadence.errors import Conflict, InputError, PolicyError, Refused, StoreError, UnknownProspect
from cadence.policy.guards import Custom
from cadence.policy.loader import builtin, parse_text
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry, is_builtin
from cadence.policy.rules import Rule
from cadence.policy.writer import to_toml
from cadence.prover.proof import require_proof
from cadence.store.due_list import DueRow, DueStore, Prepared, due_row, to_micros
from cadence.store.memory import MemoryFactory
from cadence.store.serializer import EventMapper
from cadence.store.sqlite import SQLiteDueFactory
from cadence.store.sqlite_file import check_file, explain_sqlite_error
from cadence.worktime.holidays import holidays_version
from cadence.worktime.zones import zones_version

__all__ = ["Cadence", "Outcome"]

_RETRIES: Final = 100
_LONGEST_WAIT: Final = 0.05  # seconds
_PAGE: Final = 256
_ENGINE: Final = "2"  # raised when the same events would give other due rows

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are if that is known."""


class Outcome(msgspec.Struct, frozen=True):
    """What a command led to.

    Attributes:
        prospect: the prospect after it.
        events: the events that it recorded.
        decision: what comes next.
        repeated: the ``command_id`` had been seen before; nothing was recorded now.
    """

    prospect: Prospect
    events: tuple[Event, ...]
    decision: Decision
    repeated: bool = False


class Cadence(Application[str]):
    """Follow-ups in a store.

    Open one with :meth:`open`, close it with :meth:`close` or a ``with`` block, after the threads
    that use it have ended. Methods may be called from several threads, and several processes may
    use one database: of two writers on one prospect one wins, and the other reloads and decides
    again.
    """

    name = "cadence"

    def __init__(
        self,
        factory: InfrastructureFactory[Any],
        *,
        place: str,
        read_only: bool = False,
        policies: Iterable[Policy] = (),
        default: Policy | None = None,
    ) -> None:
        """Args:
        factory: makes the recorder.
        place: what to call the store in errors.
        read_only: refuse to write.
        policies: policies beside the catalogue that a prospect may have adopted.
        default: the policy of a prospect that adopted none; ``tip8``.
        """
        self._factory = factory
        self._place = place
        self.address: str | None = None
        self._read_only = read_only
        self.policies = PolicyRegistry(default, policies, find=self._kept_policy)
        self._kept: set[str] = set()
        with self._errors():
            super().__init__()
        self._store = cast("DueStore", self.recorder)

    @classmethod
    def open(
        cls,
        db: str | None = None,
        *,
        read_only: bool = False,
        policies: Iterable[Policy] = (),
        default: Policy | None = None,
        use_unproved_policies: bool = False,
        lock_timeout_seconds: int = 5,
    ) -> Cadence:
        """Open a store.

        Args:
            db: a path (made if it does not exist), a ``postgresql://`` address, or ``None`` for
                memory.
            read_only: write nothing; a file that does not exist is an empty store.
            policies: policies beside the catalogue that a prospect may have adopted.
            default: the policy of a prospect that adopted none; ``tip8``.
            use_unproved_policies: take ``policies`` and ``default`` also if the prover refutes
                them. The charter still stops what it must.
            lock_timeout_seconds: how long to wait for another writer.

        Raises:
            UnprovedPolicy: a policy is refuted.
            StoreError: the database can't be used.
        """
        policies = tuple(policies)
        if not use_unproved_policies:
            for policy in (*policies, *([] if default is None else [default])):
                require_proof(policy)
        factory: InfrastructureFactory[Any]
        place = "memory" if db is None else db
        if db is None:
            factory = MemoryFactory(Environment("cadence", {}))
        elif db.startswith(("postgresql://", "postgres://")):
            # Imported here: only the extra brings psycopg.
            from cadence.store.postgres import postgres_factory, without_password

            place = without_password(db)
            factory = postgres_factory(
                db, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds
            )
        else:
            path = Path(db)
            if not check_file(path) and read_only:
                factory = MemoryFactory(Environment("cadence", {}))
            else:
                factory = SQLiteDueFactory(
                    path, read_only=read_only, lock_timeout_seconds=lock_timeout_seconds
                )
        app = cls(factory, place=place, read_only=read_only, policies=policies, default=default)
        app.address = db
        # Rows that were made under other data must not be mixed with ours.
        if not read_only and app._call(app._store.due_stamp) != app._stamp():
            app.rebuild_due()
        return app

    # What the eventsourcing package asks for -----------------------------------------------------

    def construct_factory(self, env: Environment) -> Any:
        return self._factory

    def construct_mapper(self) -> Mapper[str]:
        return EventMapper()

    def construct_recorder(self) -> ApplicationRecorder:
        return self._factory.application_recorder()

    def stream(self, prospect: str) -> list[Event]:
        """The history of ``prospect``; empty if nothing is known of it."""
        found: list[Event] = self._call(self._store.select_stream, prospect)
        return found

    def streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """The histories of several prospects; an empty one if nothing is known of one."""
        found: dict[str, list[Event]] = self._call(self._store.select_streams, prospects)
        return found

    # Reading --------------------------------------------------------------------------------------

    def history(self, prospect: str) -> list[Event]:
        """The history of ``prospect``, in order of version.

        Raises:
            UnknownProspect: it has none.
        """
        found = self.stream(prospect)
        if not found:
            raise UnknownProspect(prospect)
        return found

    def histories_of(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """The histories of several prospects; those of whom nothing is known are empty."""
        found: dict[str, list[Event]] = self._call(self._store.select_streams, prospects)
        return found

    def load(self, prospect: str) -> Prospect:
        """The fold of the history of ``prospect``.

        Raises:
            UnknownProspect: it has none.
        """
        folded = fold(None, self.stream(prospect))
        if folded is None:
            raise UnknownProspect(prospect)
        return folded

    def prospects(self) -> Iterator[str]:
        """The ids of all prospects, in order."""
        after: str | None = None
        while page := self._call(self._store.select_prospects, after, _PAGE):
            yield from page
            after = page[-1]

    def pages(self, size: int = _PAGE) -> Iterator[tuple[str, str, int]]:
        """All prospects, in order of their ids, as pages: first id, last id, how many.

        Args:
            size: how many prospects a page has at most.
        """
        after: str | None = None
        while page := self._call(self._store.select_prospects, after, size):
            after = page[-1]
            yield page[0], page[-1], len(page)

    def page(self, first: str, last: str) -> list[list[Event]]:
        """The histories of the prospects from one id to another, in order of their ids.

        Raises:
            CorruptStream: one of them can't have been written by cadence.
        """
        found: list[list[Event]] | None = self._call(self._store.select_page, first, last)
        if found is not None:
            return found
        # Something in there must be looked at: an old shape, or what is broken, which is named.
        histories = [self.stream(first)]
        after = first
        while after < last:
            page = self._call(self._store.select_prospects, after, _PAGE)
            histories += [self.stream(one) for one in page if one <= last]
            after = page[-1] if page else last
        return [history for history in histories if history]

    def histories(self) -> Iterator[list[Event]]:
        """Every history, in order of the prospects' ids; only a page of them is held at a time."""
        for first, last, _ in self.pages():
            yield from self.page(first, last)

    def count(self) -> int:
        """How many prospects there are, as the due list has it."""
        return int(self._call(self._store.count_due))

    def decision(self, prospect: Prospect, now: datetime) -> Decision:
        """What comes next for ``prospect``, seen at ``now``."""
        return decision_for(prospect, self.policies, now)

    def explain(self, prospect: str, now: datetime | None = None) -> Decision:
        """What comes next for the prospect with this id, and why.

        Raises:
            UnknownProspect: it has no history.
        """
        return self.decision(self.load(prospect), _utc(now, "now"))

    def due(self, now: datetime | None = None, *, everything: bool = False) -> Iterator[Decision]:
        """Whom to contact now: decisions that are due or a task, soonest first.

        Args:
            now: as seen when.
            everything: also those that wait or close.
        """
        for _, decision in self.listing(now, everything=everything):
            yield decision

    def listing(
        self, now: datetime | None = None, *, everything: bool = False
    ) -> Iterator[tuple[Prospect, Decision]]:
        """Like :meth:`due`, each with its prospect.

        Only prospects whose row has woken are loaded, a page at a time, and each is decided anew.
        """
        now = _utc(now, "now")
        wanted = set(Verdict) - {Verdict.STOP} if everything else {Verdict.DUE, Verdict.TASK}
        if self.due_is_stale():
            # The rows were made with other data; until they are rebuilt, ask every prospect.
            pairs = ((one, self.decision(one, now)) for one in map(self.load, self.prospects()))
            found = [pair for pair in pairs if pair[1].verdict in wanted]
            yield from sorted(found, key=lambda pair: _order(pair[1]))
            return
        wake = None if everything else to_micros(now)
        ready: list[tuple[tuple[int, str], Prospect, Decision]] = []
        after: tuple[int, str] | None = None
        # A row's time is never later than that of its decision, so whatever sorts before the next
        # row may go out. The first page is small: somebody is waiting for the first lines.
        size = 32
        while page := self._call(self._store.select_due, wake, after, size):
            streams = self._call(self._store.select_streams, [row.prospect for row in page])
            for row in page:
                assert row.at is not None  # the listing leaves stops out
                after = (row.at, row.prospect)
                while ready and ready[0][0] <= after:
                    yield heapq.heappop(ready)[1:]
                prospect = fold(None, streams[row.prospect])
                if prospect is not None:
                    decision = self.decision(prospect, now)
                    if decision.verdict in wanted:
                        heapq.heappush(ready, (_order(decision), prospect, decision))
            size = _PAGE
        while ready:
            yield heapq.heappop(ready)[1:]

    def due_rows(self) -> list[DueRow]:
        """The due list as it is stored, in order of the prospect's id."""
        found: list[DueRow] = self._call(lambda: list(self._store.due_rows()))
        return found

    def due_is_stale(self) -> bool:
        """Whether the due list was made with another policy, holiday or zone data, or engine."""
        return self._call(self._store.due_stamp) not in (None, self._stamp())

    # Writing --------------------------------------------------------------------------------------

    def execute(
        self,
        prospect: str,
        command: Command,
        *,
        at: datetime | None = None,
        occurred_at: datetime | None = None,
        by: str | None = None,
        correlation: str | None = None,
        command_id: str | None = None,
    ) -> Outcome:
        """Carry out a command, or record a fact.

        Args:
            prospect: the prospect's id.
            command: what to do, or (as event data) what happened.
            at: when it is recorded; now.
            occurred_at: when it happened; by default when it is recorded.
            by: who did it.
            correlation: what it belongs to.
            command_id: an id of the caller's; the same id again has no second effect.

        Raises:
            Refused: a rule forbids the command; nothing was recorded.
            UnknownProspect: nothing is known of it, and this does not add it.
            InputError: a value that can't be.
            Conflict: other writers kept winning; nothing was recorded.
            StoreError: the database can't be written; nothing was recorded.
        """
        recorded = _utc(at, "at")
        occurred = recorded if occurred_at is None else _utc(occurred_at, "occurred_at")
        _check(prospect, recorded, occurred)
        for attempt in range(_RETRIES):
            if attempt:
                # At random times, or a writer in a loop would win every single time.
                time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.001 * 2**attempt)))
            history = self.stream(prospect)
            folded = fold(None, history)
            if command_id is not None and folded is not None:
                done = tuple(event for event in history if event.command_id == command_id)
                if done:
                    _check_repeated(command, done)
                    return Outcome(folded, done, self.decision(folded, recorded), repeated=True)
            if folded is None and not _begins(command):
                raise UnknownProspect(prospect)
            policy = self.policies.default if folded is None else self.policies.of(folded)
            version = 0 if folded is None else folded.version
            new = tuple(
                Event(
                    prospect,
                    version + number,
                    occurred,
                    recorded,
                    data,
                    by,
                    correlation,
                    command_id,
                )
                for number, data in enumerate(_decide(folded, command, policy, occurred), 1)
            )
            after, decision = advance(folded, new, self.policies, recorded)
            try:
                self._append(new, (self._row(after, decision),))
            except IntegrityError:
                continue  # somebody else wrote this version first: reload and decide again
            return Outcome(after, new, decision)
        raise Conflict(
            f"{prospect}: other writers won {_RETRIES} times in a row; nothing was recorded",
            "try again",
        )

    def tick(
        self, now: datetime | None = None, *, progress: Progress | None = None
    ) -> list[Outcome]:
        """Close the files whose answer time has passed; records nothing else."""
        now = _utc(now, "now")
        closing = [
            (one.prospect, one.end)
            for one in self._woken(now)
            if one.verdict is Verdict.CLOSE
            and one.end is not None
            and one.at is not None
            and one.at <= now
        ]
        outcomes = []
        for number, (prospect, end) in enumerate(closing, 1):
            with suppress(Refused):  # they may have answered in the meantime
                outcomes.append(self.execute(prospect, EndFollowUp(end), at=now))
            if progress is not None:
                progress(number, len(closing))
        return outcomes

    def append_histories(
        self,
        histories: Iterable[tuple[Sequence[Event], int]],
        *,
        progress: Progress | None = None,
    ) -> int:
        """Append events that are complete already, of many prospects, in one transaction.

        They are taken in as they come, so there may be more of them than fit into memory; the
        transaction is open meanwhile, so whatever makes them must not write here.

        Args:
            histories: for each prospect its whole history, and how much of it is stored already.
            progress: told how many prospects are done.

        Returns:
            How many events were appended.

        Raises:
            Conflict: somebody else wrote to one of the prospects meanwhile; nothing was recorded.
        """

        def prepared() -> Iterator[Prepared]:
            for number, (history, stored) in enumerate(histories, 1):
                prospect = fold(None, history)
                if prospect is not None and len(history) > stored:
                    yield self.prepare(prospect, history[stored:])
                if progress is not None:
                    progress(number, None)

        return self.append_prepared(prepared())

    def prepare(self, prospect: Prospect, new: Sequence[Event]) -> Prepared:
        """What :meth:`append_prepared` writes of one prospect; nothing is written yet.

        Args:
            prospect: the fold of its whole history, the new events included.
            new: the events that are not stored yet.
        """
        return Prepared([self.mapper.to_stored_event(event) for event in new], self._row(prospect))

    def append_prepared(self, batches: Iterable[Prepared]) -> int:
        """Append what was prepared, of many prospects, in one transaction; as it comes.

        Returns:
            How many events were appended.

        Raises:
            Conflict: somebody else wrote to one of the prospects meanwhile; nothing was recorded.
        """
        waiting = iter(batches)
        first = next(waiting, None)
        if first is None:
            return 0
        self._check_writable()
        try:
            with self._errors():
                return self._store.insert_batches(chain((first,), waiting))
        except IntegrityError:
            raise Conflict(
                "somebody else wrote to one of the prospects meanwhile; nothing was recorded",
                "try again",
            ) from None

    def append_decided(self, pairs: Iterable[tuple[Event, Prospect]]) -> None:
        """Append one event each of several prospects, in one transaction.

        Args:
            pairs: each event, and the prospect after it.

        Raises:
            Conflict: somebody else wrote to one of the prospects meanwhile; nothing was recorded.
        """
        self.append_prepared(self.prepare(prospect, (event,)) for event, prospect in pairs)

    def rebuild_due(self, *, progress: Progress | None = None) -> int:
        """Make the due list anew from the events, in one transaction.

        Returns:
            How many prospects it holds.
        """
        done = 0

        def rows() -> Iterator[DueRow]:
            nonlocal done
            for one in self.prospects():
                yield self._row(self.load(one))
                done += 1
                if progress is not None:
                    progress(done, None)

        self._call(self._store.replace_due, rows(), self._stamp())
        return done

    # Inside ---------------------------------------------------------------------------------------

    def _row(self, prospect: Prospect, decision: Decision | None = None) -> DueRow:
        """The due row of ``prospect``, from the decision when its last event was recorded."""
        if prospect.policy is not None and not self._is_everywhere(prospect):
            # Whoever lists may or may not have the policy it adopted: always look at it.
            return DueRow(prospect.id, Verdict.TASK.value, 0, 0)
        seen = prospect.recorded_at
        return due_row(decision or self.decision(prospect, seen), seen)

    def _is_everywhere(self, prospect: Prospect) -> bool:
        """Whether whoever opens this store decides under the policy that ``prospect`` adopted."""
        policy = self.policies.of(prospect)
        if prospect.policy is None or policy is None:
            return False
        if is_builtin(prospect.policy):
            return True
        # Functions of a team's own may be missing elsewhere.
        own = any(isinstance(guard, Custom) for guard in policy.guards)
        return not own and self._is_kept(policy.digest)

    def _is_kept(self, digest: str) -> bool:
        if digest not in self._kept and self._kept_policy(digest) is not None:
            self._kept.add(digest)
        return digest in self._kept

    def _kept_policy(self, digest: str) -> Policy | None:
        """The policy that was kept with the store when somebody adopted it."""
        text = self._call(self._store.policy_text, digest)
        if text is None:
            return None
        try:
            policy = parse_text(text, f"policy {digest[:12]}…", find_guards=False)
        except PolicyError:
            return None  # not what was kept: as good as none, and its prospects become tasks
        return policy if policy.digest == digest else None

    def kept_policies(self) -> list[Policy]:
        """The policies that were kept with the store when somebody adopted them, by digest.

        What is kept as one and can't be read as it is left out, as where a decision needs it.
        """
        digests: list[str] = self._call(self._store.policy_digests)
        found = map(self._kept_policy, digests)
        return [policy for policy in found if policy is not None]

    def keep_policy(self, policy: Policy) -> None:
        """Keep a policy with the store, so that whoever opens it knows what was adopted.

        One that is kept already stays as it is; what is kept in its place and is another is
        replaced.

        Raises:
            UnprovedPolicy: it is not proved.
            StoreError: the database can't be written.
        """
        require_proof(policy)
        self._check_writable()
        if self._kept_policy(policy.digest) is None:
            with self._errors():
                self._store.save_policy(policy.digest, to_toml(policy))

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreError(
                f"database {self._place}: was opened to be read only",
                "open it without read_only",
            )

    def _append(self, events: Sequence[Event], rows: Sequence[DueRow]) -> None:
        self._check_writable()
        stored: list[StoredEvent] = [self.mapper.to_stored_event(event) for event in events]
        with self._errors():
            self.recorder.insert_events(stored, due=rows)

    def _woken(self, now: datetime) -> Iterator[Decision]:
        """The decisions, at ``now``, of every prospect whose row has woken."""
        after: tuple[int, str] | None = None
        wake = to_micros(now)
        while page := self._call(self._store.select_due, wake, after, _PAGE):
            for row in page:
                assert row.at is not None  # the listing leaves stops out
                yield self.decision(self.load(row.prospect), now)
                after = (row.at, row.prospect)

    def _stamp(self) -> str:
        data = (_ENGINE, self.policies.default.digest, holidays_version(), zones_version())
        return " ".join(data)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except (sqlite3.Error, PersistenceError) as error:
            raise explain_sqlite_error(error, self._place) from None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (sqlite3.Error, PersistenceError) as error:
            raise explain_sqlite_error(error, self._place) from None


def _order(decision: Decision) -> tuple[int, str]:
    return (0 if decision.at is None else to_micros(decision.at), decision.prospect)


def _decide(
    prospect: Prospect | None, command: Command, policy: Policy | None, at: datetime
) -> tuple[Data, ...]:
    """``decide`` under a policy that may not be at hand: then facts are kept, nothing is judged."""
    if policy is not None:
        return decide(prospect, command, policy, at)
    assert prospect is not None  # without one there is no adopted policy
    assert prospect.policy is not None
    if isinstance(command, AttemptMade):
        return (unchecked_attempt(prospect, command),)
    if isinstance(command, MakeAttempt | SetAppointment | EndFollowUp):
        raise Refused(
            f"{prospect.id}: the policy {prospect.policy.name} version {prospect.policy.version} "
            "that it adopted is not known here, so nothing can be judged",
            "open the store with that policy: Cadence.open(…, policies=[load(path)])",
            rule=Rule.FORGOTTEN,
        )
    return decide(prospect, command, builtin(), at)


_LEADS_TO: Final[dict[type, type]] = {
    MakeAttempt: AttemptMade,
    SetAppointment: AppointmentSet,
    CancelAppointment: AppointmentCancelled,
    EndFollowUp: FollowUpEnded,
    ReopenFollowUp: FollowUpReopened,
}


def _check_repeated(command: Command, done: Sequence[Event]) -> None:
    wanted = _LEADS_TO.get(type(command), type(command))
    if not any(isinstance(event.data, wanted) for event in done):
        raise InputError(
            f"command id {done[0].command_id!r} was used for {type_name(done[0].data)} "
            f"(version {done[0].version} of {done[0].prospect})",
            "give every command an id of its own",
        )


def _begins(command: Command) -> bool:
    return isinstance(command, ProspectAdded)


def _utc(instant: datetime | None, name: str) -> datetime:
    if instant is None:
        return datetime.now(UTC)
    if instant.tzinfo is None:
        raise InputError(
            f"{name}: {instant.isoformat()} has no zone (a naive time)",
            "pass an aware datetime, e.g. with tzinfo=UTC",
        )
    return instant.astimezone(UTC)


def _check(prospect: str, recorded: datetime, occurred: datetime) -> None:
    check_id(prospect)
    if occurred > recorded:
        raise InputError(
            f"{prospect}: it can't have occurred at {occurred:%Y-%m-%dT%H:%M:%SZ}, after it was "
            f"recorded at {recorded:%Y-%m-%dT%H:%M:%SZ}",
            "correct one of the two times",
        )
