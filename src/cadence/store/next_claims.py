"""Claim the touches that are due next, many at once.

A worker reads a page of due rows, judges them, and claims them in as few statements as one claim
needs. It skips a touch that it cannot claim.

All workers read one list. A worker that loses rows to others skips a random number of batches. Its
next call goes on where the last one stopped. Claimed rows stay in the list, and while a transaction
is idle a database also keeps rows that have moved on: reading past both costs time. A worker starts
at the top again once it has claimed as many rows as it skipped, at most every ten seconds. So
skipping never costs more than claiming, and released touches are found soon.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import compress
from typing import Final, NamedTuple

from cadence.domain.fold import fold
from cadence.engine.claims import Claim
from cadence.engine.decision import Due
from cadence.engine.next_touch import decide_silently
from cadence.errors import CadenceError, Refused
from cadence.store.addresses import AddressIndex
from cadence.store.claims import (
    Claimable,
    ClaimRequest,
    Claims,
    ClaimTerms,
    is_untold,
    shared_address,
)
from cadence.store.clock import StoreClock
from cadence.store.due_list import DueQuery, to_micros
from cadence.store.due_page import DueFilter
from cadence.store.due_reader import DueReader
from cadence.store.due_rows import DueRows
from cadence.store.policy_library import PolicyLibrary
from cadence.store.recorder import ClaimWrite, Recorder

__all__ = ["NextClaims"]

_FEWEST: Final = 32  # rows that are read at once
_MOST: Final = 512
_PAUSE: Final = timedelta(seconds=10)  # between two walks from the top
_MOST_SKIPS: Final = 3  # in one call
_MOST_BATCHES_SKIPPED: Final = 64  # in one skip
_MOST_ROWS_SKIPPED: Final = 8192  # in one skip


class _Wanted(NamedTuple):
    """What to claim: how many at most, on which terms, and of which list."""

    most: int
    terms: ClaimTerms
    which: DueFilter


class _Place(NamedTuple):
    """How far a worker has come along the list since its top.

    Attributes:
        after: the position of the last row that was looked at; ``None``: the top.
        walked: how many rows were walked over.
        claimed: how many were claimed.
        begun: when it was at the top, on the store's clock.
        spread: how many batches it leaves to others at most: twice as many each time that it finds
            rows taken, and a sixteenth fewer each time that it does not.
    """

    after: tuple[int, str] | None
    walked: int
    claimed: int
    begun: datetime
    spread: int = 1

    def is_over(self, clock: datetime) -> bool:
        """Whether to begin at the top again."""
        return self.claimed >= self.walked and abs(clock - self.begun) >= _PAUSE


class _Taken(NamedTuple):
    """What came of some rows: how many were claimed, lost to others, and done."""

    claimed: int
    lost: int
    done: int

    @property
    def is_contended(self) -> bool:
        """Whether others claim the same rows."""
        return self.lost > self.claimed


class NextClaims:
    """Claims the touches of a store that are due, those whose row comes first."""

    def __init__(
        self,
        recorder: Recorder,
        addresses: AddressIndex,
        claims: Claims,
        due: DueReader,
        rows: DueRows,
        library: PolicyLibrary,
        clock: StoreClock,
    ) -> None:
        """Args:
        recorder: keeps the claims.
        addresses: what others say.
        claims: judges each claim.
        due: reads the list where its rows are of another engine.
        rows: says which rows hold.
        library: the policies that prospects are under.
        clock: that of the store.
        """
        self._recorder = recorder
        self._addresses = addresses
        self._claims = claims
        self._due = due
        self._rows = rows
        self._library = library
        self._clock = clock
        self._places: dict[tuple[str | None, str | None], _Place] = {}

    def take(self, count: int, terms: ClaimTerms, which: DueFilter) -> list[Claim]:
        """Claim up to ``count`` touches that are due at the time of the terms.

        Args:
            count: how many at most.
            terms: who claims them, and for how long.
            which: only these.
        """
        wanted = _Wanted(count, terms, which)
        claims: list[Claim] = []
        try:
            self._take(wanted, claims)
        except CadenceError:
            # The caller has to learn what it holds; the next call meets the error again.
            if not claims:
                raise
        return claims

    def _take(self, wanted: _Wanted, claims: list[Claim]) -> None:
        """Claim into ``claims``, which has each as soon as it is stored."""
        terms, which = wanted.terms, wanted.which
        if self._rows.are_stale():
            # Rows of another engine say nothing: every such prospect is decided first.
            listed = self._due.listing(terms.at, which)
            names = [prospect.id for prospect, decision in listed if isinstance(decision, Due)]
            self._claim_free(names, wanted, claims)
            return
        key = (which.owner, which.channel)
        clock = self._clock.now()
        place = self._places.get(key)
        if place is None or place.is_over(clock):
            place = _Place(None, 0, 0, clock, 1 if place is None else place.spread)
        self._places[key] = self._walk(wanted, place, claims)

    def _walk(self, wanted: _Wanted, place: _Place, claims: list[Claim]) -> _Place:
        """Claim along the list into ``claims``; return how far it came."""
        query = DueQuery(to_micros(wanted.terms.at), wanted.which.owner, wanted.which.channel)
        size = max(_FEWEST, min(wanted.most, _MOST))
        after, walked, claimed, begun, spread = place
        rounds, times = 1 if after is None else 2, _MOST_SKIPS
        leaves = random.randint(0, spread) if after is None and spread > 1 else 0
        while len(claims) < wanted.most:
            if leaves:
                left = self._recorder.select_due(
                    query, after, min(leaves * wanted.most, _MOST_ROWS_SKIPPED)
                )
                walked += len(left)
                after = left[-1].position if left else after
                rounds, leaves = 2, 0
            rows = self._recorder.select_due(query, after, size)
            if not rows:
                rounds -= 1
                if not rounds:
                    return _Place(None, 0, 0, begun, spread)
                after, walked, claimed = None, 0, 0  # what was left out comes last
                continue
            taken = self._claim_free([row.prospect for row in rows], wanted, claims)
            claimed += taken.claimed
            walked += taken.done - taken.claimed
            after = rows[taken.done - 1].position
            size = min(2 * size, _MOST)
            is_left = taken.is_contended or (spread > 1 and not taken.claimed)
            if taken.is_contended:
                spread = min(2 * spread, _MOST_BATCHES_SKIPPED)
            elif taken.claimed:
                spread = max(1, 15 * spread // 16)
            if is_left and times:  # another is at work here; bounded, or it would never end
                times -= 1
                leaves = random.randint(1, spread)
        return _Place(after, walked, claimed, begun, spread)

    def _claim_free(self, names: Sequence[str], wanted: _Wanted, claims: list[Claim]) -> _Taken:
        """Claim into ``claims`` of some prospects, those first on which no claim stands."""
        open_claims = self._claims.open_on(names)
        standing = self._claims.standing(open_claims)
        free = [name for name in names if name not in standing]
        claimed = lost = 0
        while free and len(claims) < wanted.most and lost <= claimed:
            part = free[: min(wanted.most - len(claims), _MOST)]
            free = free[len(part) :]
            judged = self._judge(part, open_claims, wanted)
            had = self._recorder.insert_claims([write for _, write in judged])
            claims += [claim for claim, _ in compress(judged, had)]
            claimed += had.count(True)
            lost += had.count(False)
        return _Taken(claimed, lost, names.index(free[0]) if free else len(names))

    def _judge(
        self, names: Sequence[str], claims: Mapping[str, Claim], wanted: _Wanted
    ) -> list[tuple[Claim, ClaimWrite]]:
        """Judge claims on some prospects, all by what is stored now; leave out what is refused."""
        terms = wanted.terms
        histories = self._recorder.select_streams(names)
        folded = [fold(None, history) for history in histories.values()]
        heard = self._addresses.hear_all([one for one in folded if one is not None])
        others = {row.prospect for _, said in heard for row in said.rows if row.prospect}
        open_on = partial(self._open_on, self._claims.open_on(sorted(others)), terms)
        judged: dict[str, tuple[Claim, ClaimWrite]] = {}
        for prospect, said in heard:
            name, told = prospect.id, said.told_to(prospect)
            before = claims.get(name)
            if before is not None and is_untold(before, histories[name]):
                continue  # its machine may have acted: that is told, or assumed, first
            with suppress(Refused):
                policy = self._library.judging(told)
                due = decide_silently(told, policy, terms.at)
                if not isinstance(due, Due) or not wanted.which.has(told, due):
                    continue
                request = ClaimRequest(name, due.touch.id, None, terms)
                given = Claimable(told, histories[name], said, before, due)
                claim, write = self._claims.judge(request, given, policy, open_on)
                rivals = [judged[one.prospect][0] for one in write.claims if one.prospect in judged]
                if not any(shared_address(claim, rival) for rival in rivals):
                    judged[name] = claim, write
        return list(judged.values())

    def _open_on(
        self, claims: Mapping[str, Claim], terms: ClaimTerms, prospect: str
    ) -> Claim | None:
        """Return the open claim on another prospect, once what it leaves to assume is recorded."""
        claim = claims.get(prospect)
        return None if claim is None else self._claims.settled(prospect, terms.at)
