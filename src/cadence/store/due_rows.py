"""Compute the rows of the due list, hold stored ones against the events, and rebuild them.

What a row is, :mod:`cadence.store.due_list` says. Here it is made with what a store knows: its
policies, and what other records say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Final

from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, Stop
from cadence.engine.loop import silent_decision_for
from cadence.engine.lower_bound import decide_early
from cadence.policy.registry import PolicyRegistry
from cadence.store.addresses import AddressIndex
from cadence.store.due_list import DueRow, due_row, is_missed, unknown_row
from cadence.store.executors import PageOfIds, map_items, pages
from cadence.store.gate import WriteGate
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import Recorder, Refreshed

if TYPE_CHECKING:
    from cadence.store.service import Cadence, Progress

__all__ = ["DueRows"]

_ENGINE: Final = "8"  # raised when the same events would give other due rows
_LONGEST_WAIT: Final = 0.05  # seconds
_BATCH: Final = 64  # prospects of a rebuild that are written at once
_BATCHES: Final = 4  # that a worker computes at once


class DueRows:
    """The rows of a store's due list. Every method raises ``StoreError`` where it can't be used."""

    def __init__(
        self,
        app: Cadence,
        recorder: Recorder,
        library: PolicyLibrary,
        addresses: AddressIndex,
        gate: WriteGate,
    ) -> None:
        """Args:
        app: the store, whose histories are read.
        recorder: keeps the rows.
        library: the policies that prospects are under.
        addresses: what others say.
        gate: lets writes through.
        """
        self._app = app
        self._recorder = recorder
        self._library = library
        self._addresses = addresses
        self._gate = gate

    # Reading --------------------------------------------------------------------------------------

    def stored(self, after: str | None = None, last: str | None = None) -> list[DueRow]:
        """Read the rows as they are stored, in order of the prospect's id.

        Args:
            after: only rows behind this id.
            last: only rows up to this id.
        """
        return self._recorder.due_rows(after, last)

    def are_stale(self) -> bool:
        """Return whether rows were made by another engine, or are missing.

        Listings are right all the same; :meth:`rebuild` makes them as quick as they can be.
        """
        return next(self.stale(1), None) is not None

    def stale(self, size: int) -> Iterator[list[str]]:
        """List the prospects whose row is missing, or was made by another engine, by pages.

        Args:
            size: how many a page has at most.
        """
        if self._recorder.due_stamp() is None:
            after: str | None = None
            while page := self._recorder.select_prospects(after, size):
                after = page[-1]
                yield page
            return
        behind: tuple[str, str] | None = None
        stamps = (_ENGINE, self.stamp())
        while rows := self._recorder.select_stale(stamps, behind, size):
            behind = rows[-1]
            yield [prospect for _, prospect in rows]

    def is_wrong(self, prospect: Prospect, row: DueRow | None) -> bool:
        """Return whether a stored row is missing, or keeps ``prospect`` from being listed in time.

        A row of another engine never does: every reader decides such prospects again.
        """
        if row is not None:
            if row.stamp not in (_ENGINE, self.stamp()):
                return False
            prospect = self._addresses.read(prospect)
            early = self._early(prospect, self._library.registry)
            # It may have been made with other data, which can't move the early decision.
            made = due_row(prospect, early, early, "") if early else self.row(prospect)
            if not is_missed(row, made):
                return False
        # Nothing is read from a list that was never whole. Asked last: most rows are right.
        return self._recorder.due_stamp() is not None

    # Computing ------------------------------------------------------------------------------------

    def stamp(self) -> str:
        """What makes a row of a history that names no policy; the engine alone makes the others."""
        return f"{_ENGINE} {self._library.registry.unnamed.digest}"

    def row(
        self,
        prospect: Prospect,
        decision: Decision | None = None,
        policies: PolicyRegistry | None = None,
    ) -> DueRow:
        """Compute the row of a prospect.

        Args:
            prospect: the fold of its history.
            decision: that of when its last event was recorded, if it is known.
            policies: where its policy is found; by default those of the store.
        """
        policies = policies or self._library.registry
        # As every reader does: an address that can't be read ends the follow-up of a history from
        # before, too.
        prospect = self._addresses.read(prospect)
        stamp = self.stamp() if prospect.policy is None else _ENGINE
        early = self._early(prospect, policies)
        if early is None or not (prospect.elsewhere.is_silent or isinstance(early, Stop)):
            return unknown_row(prospect, stamp)
        decision = decision or silent_decision_for(prospect, policies, prospect.recorded_at)
        return due_row(prospect, decision, early, stamp)

    def _early(self, prospect: Prospect, policies: PolicyRegistry) -> Decision | None:
        """Decide without what other programs may know otherwise; ``None``: always review it."""
        policy = policies.of(prospect)
        # A reader may or may not have its policy, or read all its events.
        if policy is None or prospect.unreadable is not None:
            return None
        is_arriving = policies.is_arriving(policy.digest)
        if not self._library.is_shared(policy, is_arriving=is_arriving):
            return None
        return decide_early(prospect, policy, prospect.recorded_at)

    # Rebuilding -----------------------------------------------------------------------------------

    def rebuild(self, *, executor: Executor | None = None, progress: Progress | None = None) -> int:
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
        self._gate.check()
        done, stamp = 0, self.stamp()
        made_by, _, after = (self._recorder.due_mark() or "").partition("\n")
        last = after if made_by == stamp and after else None
        behind = pages(self._app, _BATCH, last)
        work = _Refreshing()
        computed = map_items(self._app, work, behind, executor=executor, together=_BATCHES)
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

    def refreshed(self, page: PageOfIds) -> list[Refreshed]:
        """Compute the due rows and address rows of a page of prospects."""
        folded = [fold(None, one) for one in self._app.histories.page(page.first, page.last)]
        return [
            Refreshed(self.row(one), one.version, self._addresses.rows_for(one))
            for one in folded
            if one is not None
        ]

    def begin(self) -> None:
        """Mark the list of a new store as whole, which has no prospects."""
        if self._recorder.due_stamp() is None and not self._recorder.select_prospects(None, 1):
            self._recorder.finish_due(None, self.stamp())


class _Refreshing:
    """Computes due rows and address rows, a page of prospects at a time."""

    def __call__(self, app: Cadence) -> Callable[[PageOfIds], list[Refreshed]]:
        return app.due_rows.refreshed
