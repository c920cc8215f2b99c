"""Read whole histories, many at a time, and take whole histories in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from eventsourcing.persistence import IntegrityError

from cadence.domain.events import Event
from cadence.domain.fold import fold
from cadence.domain.limits import check_texts
from cadence.domain.others import Others
from cadence.domain.prospect import Prospect
from cadence.errors import Conflict, InputError
from cadence.policy.registry import PolicyRegistry
from cadence.store.addresses import AddressIndex
from cadence.store.clock import StoreClock, WriteClock
from cadence.store.due_list import Prepared
from cadence.store.due_rows import DueRows
from cadence.store.gate import WriteGate
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import Recorder
from cadence.store.serializer import EventMapper

if TYPE_CHECKING:
    from datetime import datetime

    from cadence.store.service import Progress

__all__ = ["Histories"]

_PAGE: Final = 256  # prospects


class Histories:
    """The histories of a store. Every method raises ``StoreError`` where it can't be used."""

    def __init__(
        self,
        recorder: Recorder,
        addresses: AddressIndex,
        library: PolicyLibrary,
        rows: DueRows,
        clock: StoreClock,
        gate: WriteGate,
    ) -> None:
        """Args:
        recorder: keeps the events.
        addresses: what others say.
        library: the policies that they are under.
        rows: computes the due rows of what is taken in.
        clock: that of the store.
        gate: lets writes through.
        """
        self._recorder = recorder
        self._addresses = addresses
        self._library = library
        self._rows = rows
        self._clock = clock
        self._gate = gate
        self._mapper = EventMapper()

    # Reading --------------------------------------------------------------------------------------

    def of(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """Read the histories of several prospects; that of an unknown one is empty."""
        return self._recorder.select_streams(prospects)

    def all(self) -> Iterator[list[Event]]:
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

    def mentioning(self, text: str) -> list[str]:
        """List the ids of prospects with an event that holds ``text`` as it was stored.

        Raises:
            InputError: no store can hold it.
        """
        check_texts(text, "text")
        return self._recorder.select_mentioning(text)

    def load(self, prospects: Sequence[str]) -> list[Prospect]:
        """Fold the histories of several prospects, with what other records say to them beside it.

        Unknown ones are left out.
        """
        folded = [fold(None, one) for one in self._recorder.select_streams(prospects).values()]
        return self._addresses.beside_all([one for one in folded if one is not None])

    def others_of(self, histories: Sequence[Sequence[Event]]) -> dict[str, Others]:
        """Read who else has the addresses of some prospects, for what they had said when.

        Args:
            histories: theirs, whole.

        Returns:
            By prospect; one whose addresses no other record knows is left out.
        """
        return self._addresses.others_of(histories)

    # Taking in ------------------------------------------------------------------------------------

    def append(
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
            at: no event may lie after it; by default five minutes after the clock's time.
            force: as of :meth:`Cadence.execute`.
            progress: told how many prospects are done.

        Returns:
            How many events were appended.

        Raises:
            InputError: an event lies after the clock; nothing was recorded.
            Conflict: another writer wrote to one of the prospects; nothing was recorded.
        """
        clock = self._clock.for_write(at, force=force)

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
            clock: no event may lie after it; by default the machine's.
            policies: where its policy is found, if the library remembers some before this is
                written; by default those of the store.

        Raises:
            InputError: an event lies after the clock.
        """
        clock = clock or self._clock.for_write()
        for event in new:
            clock.check_event(event)
        row = self._rows.row(prospect, policies=policies)
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
        waiting = map(_checked, batches)
        first = next(waiting, None)
        if first is None:
            return 0
        self._gate.make_ready()
        # A history that names no policy is judged by the default.
        self._library.remember([self._library.registry.default])
        try:
            return self._recorder.insert_batches(chain((first,), waiting))
        except IntegrityError:
            raise Conflict(
                "another writer wrote to one of the prospects meanwhile; nothing was recorded",
                "try again",
            ) from None


def _checked(prepared: Prepared) -> Prepared:
    prospect = prepared.row.prospect
    if any(event.originator_id != prospect for event in prepared.events):
        raise InputError(
            f"{prospect}: its due row came with events of another prospect",
            "use prepare() for each prospect",
        )
    return prepared
