"""Read the due list: decide each prospect whose row is to be reviewed, and those without a row."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Final

from cadence.domain.prospect import Prospect
from cadence.engine.claims import Claim
from cadence.engine.decision import Decision, Verdict
from cadence.engine.loop import decision_for, silent_decision_for
from cadence.store.claims import Claims
from cadence.store.due_list import DueQuery, DueRow, from_micros, position, to_micros
from cadence.store.due_page import DueFilter
from cadence.store.due_rows import DueRows
from cadence.store.histories import Histories
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import Recorder

__all__ = ["DueReader"]

_PAGE: Final = 256  # prospects
_FIRST_PAGE: Final = 32  # prospects: a reader waits for the first lines


class DueReader:
    """Reads the due list of a store; it writes nothing."""

    def __init__(
        self,
        recorder: Recorder,
        claims: Claims,
        histories: Histories,
        library: PolicyLibrary,
        rows: DueRows,
    ) -> None:
        """Args:
        recorder: keeps the rows.
        claims: who has which touch.
        histories: those of the prospects.
        library: the policies that they are under.
        rows: says which rows hold.
        """
        self._recorder = recorder
        self._claims = claims
        self._histories = histories
        self._library = library
        self._rows = rows

    def listing(self, now: datetime, which: DueFilter) -> Iterator[tuple[Prospect, Decision]]:
        """List decisions at ``now``, soonest first, each with its prospect."""
        # Where each stands is decided without reasons; those are made for what is asked for alone.
        ready: list[tuple[tuple[int, str], Prospect, Claim | None]] = []
        decided: set[str] = set()
        # Rows of another engine say nothing: those prospects are decided before the first is shown.
        for page in self._rows.stale(_PAGE):
            claims = self._claims.going_on(page)
            for unlisted in self._histories.load(page):
                decided.add(unlisted.id)
                decision = silent_decision_for(unlisted, self._library.registry, now)
                if which.has(unlisted, decision):
                    ready.append((position(decision), unlisted, claims.get(unlisted.id)))
        heapq.heapify(ready)
        # Who waits is not to be reviewed yet.
        until = None if Verdict.WAIT in which.verdicts else to_micros(now)
        # Rows before the page are read too: what they decide may come later than they stand.
        query = DueQuery(until, which.owner, which.channel)
        for listed in self._due_pages(query, _FIRST_PAGE):
            # Another writer may move a row on, and it is read again: list each prospect once.
            rows = [row for row in listed if row.prospect not in decided]
            names = [row.prospect for row in rows]
            decided.update(names)
            claims = self._claims.going_on(names)
            known = {one.id: one for one in self._histories.load(names)}
            for row in rows:
                # A row's time is never later than that of its decision, so whatever sorts before
                # the next row may go out.
                while ready and ready[0][0] <= row.position:
                    yield self._explained(*heapq.heappop(ready)[1:], now)
                prospect = known.get(row.prospect)
                if prospect is not None:
                    decision = silent_decision_for(prospect, self._library.registry, now)
                    if which.has(prospect, decision):
                        claim = claims.get(prospect.id)
                        heapq.heappush(ready, (position(decision), prospect, claim))
        while ready:
            yield self._explained(*heapq.heappop(ready)[1:], now)

    def _explained(
        self, prospect: Prospect, claim: Claim | None, now: datetime
    ) -> tuple[Prospect, Decision]:
        """Decide with reasons, and say who has the touch."""
        decision = decision_for(prospect, self._library.registry, now)
        return prospect, self._claims.show(decision, claim)

    def next_review(self, now: datetime, owner: str | None) -> datetime | None:
        """Return the first instant after ``now`` at which another prospect may come up."""
        instants = [claim.until for claim in self._claims.every_open().values()]
        instants += [one.at for one in self.to_review(now, owner) if one.at is not None]
        behind = (to_micros(now) + 1, "")
        later = chain.from_iterable(self._due_pages(DueQuery(None, owner), _FIRST_PAGE, behind))
        # In order of time: the first that is not reviewed now comes before all others.
        froms = (row.review_from for row in later if row.review_from)
        instants += [from_micros(one) for one in islice(froms, 1)]
        return min((instant for instant in instants if instant > now), default=None)

    def to_review(self, now: datetime, owner: str | None = None) -> Iterator[Decision]:
        """Decide at ``now`` for every prospect (of ``owner``) whose row is to be reviewed."""
        decided: set[str] = set()
        for prospect in self._unlisted():
            decided.add(prospect.id)
            if owner in (None, prospect.identity.owner):
                yield silent_decision_for(prospect, self._library.registry, now)
        for page in self._due_pages(DueQuery(to_micros(now), owner), _PAGE):
            ids = [row.prospect for row in page if row.prospect not in decided]
            for prospect in self._histories.load(ids):
                yield silent_decision_for(prospect, self._library.registry, now)

    def _unlisted(self) -> Iterator[Prospect]:
        """Load the prospects whose row is missing, or was made by another engine."""
        for page in self._rows.stale(_PAGE):
            yield from self._histories.load(page)

    def _due_pages(
        self, query: DueQuery, size: int, after: tuple[int, str] | None = None
    ) -> Iterator[list[DueRow]]:
        """Read the due list behind a place, page by page.

        The first page has ``size`` rows, and each further one twice as many.
        """
        if self._recorder.due_stamp() is None:
            return  # it was never whole: every prospect is decided as if it had no row
        while page := self._recorder.select_due(query, after, size):
            after = page[-1].position
            yield page
            size = min(2 * size, _PAGE)
