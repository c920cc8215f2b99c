"""Compare recorded histories with what another policy would have done.

Everything that the prospect said or did stays as it was recorded, and so does what only an owner
could decide. Our own attempts are taken out; in their stead come those that the other policy would
have made, each when it was due and unanswered, until the next thing that was recorded. Silence by
silence the first attempt is held against the first, the second against the second, and so on.

The decisions are the engine's own: this is the loop with another policy, not a second version.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

import msgspec

from cadence.analysis.other_policy import OtherPolicy
from cadence.domain.events import (
    AttemptMade,
    ContactPointFailed,
    Disposition,
    EndReason,
    Event,
    FollowUpEnded,
    FollowUpReopened,
    GuidelinesAgreed,
    InterestNoted,
    Noted,
    PolicyAdopted,
    Unreadable,
    ValueNoted,
)
from cadence.domain.standing import standing_events
from cadence.policy.model import Policy
from cadence.store.executors import PageOfIds, map_pages
from cadence.store.service import Cadence, Progress

__all__ = ["DAYS", "Answered", "Bar", "Compared", "compare", "whatif"]

DAYS: Final = (0, 1, 2, 4, 8, 15, 29, 57, 113)
"""From which day of a silence on each bar of the picture counts; day 0 is its first attempt's."""

# By day, as long as it is not the last bar: which it is counted in.
_LAST_BAR: Final = DAYS[-1]
_BARS: Final = tuple(bisect_right(DAYS, day) - 1 for day in range(_LAST_BAR))

# They change nothing that the other policy decides by.
_NOTES: Final = frozenset({GuidelinesAgreed, InterestNoted, Noted, PolicyAdopted, ValueNoted})
_OUR_CLOSE: Final = frozenset({EndReason.NO_RESPONSE, EndReason.UNREACHABLE})
_FAILING: Final = frozenset({Disposition.WRONG_NUMBER, Disposition.BOUNCED})


class Answered(msgspec.Struct, frozen=True):
    """A prospect who answered after an attempt that the other policy had not made by then.

    Attributes:
        prospect: the prospect's id.
        version: the event in which they answered.
        attempt: the version of the recorded attempt before it.
        number: which attempt of the silence that was.
        made: how many the other policy had made by then.
    """

    prospect: str
    version: int
    attempt: int
    number: int
    made: int


class Compared(msgspec.Struct):
    """What the comparison of some histories adds up to.

    Attributes:
        prospects, events: how many were looked at.
        left_out: prospects with an event that can't be read; they are not compared.
        changed: prospects with any attempt that differs.
        recorded, under: attempts as recorded, and under the other policy.
        same, sooner, later: pairs on the same local day, or on an earlier or later one.
        dropped: recorded attempts that it would not have made, or not before they answered.
        added: attempts that it would have made and that were not made.
        answered: who answered after an attempt that it had not made by then.
        recorded_by_day, under_by_day: attempts by the day of their silence, see :data:`DAYS`.
    """

    prospects: int = 0
    events: int = 0
    left_out: int = 0
    changed: int = 0
    recorded: int = 0
    under: int = 0
    same: int = 0
    sooner: int = 0
    later: int = 0
    dropped: int = 0
    added: int = 0
    answered: list[Answered] = msgspec.field(default_factory=list)
    recorded_by_day: list[int] = msgspec.field(default_factory=lambda: [0] * len(DAYS))
    under_by_day: list[int] = msgspec.field(default_factory=lambda: [0] * len(DAYS))

    def bars(self) -> list[Bar]:
        """The bars of the picture on which there is any attempt."""
        ends: list[int | None] = [day - 1 for day in DAYS[1:]]
        bars = map(Bar, DAYS, [*ends, None], self.recorded_by_day, self.under_by_day)
        return [bar for bar in bars if bar.recorded or bar.under]

    def add(self, other: Compared) -> None:
        """Count ``other`` too, except for who answered: that list is for the caller to keep."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in (
            (self.recorded_by_day, other.recorded_by_day),
            (self.under_by_day, other.under_by_day),
        ):
            for position, number in enumerate(theirs):
                mine[position] += number


class Bar(NamedTuple):
    """The attempts of some days of their silence, as recorded and under the other policy."""

    first: int
    last: int | None
    recorded: int
    under: int

    def days(self, to: str) -> str:
        """The days in words, with ``to`` between the first and the last."""
        if self.last is None:
            return f"{self.first} or later"
        return f"{self.first}" if self.first == self.last else f"{self.first}{to}{self.last}"


_NUMBERS: Final = (
    "prospects",
    "events",
    "left_out",
    "changed",
    "recorded",
    "under",
    "same",
    "sooner",
    "later",
    "dropped",
    "added",
)


def whatif(
    store: Cadence,
    policy: Policy,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Iterator[Compared]:
    """Compare every history of a store with what ``policy`` would have made of it, page by page.

    Args:
        store: whose histories.
        policy: the other policy.
        executor: does the work, a page at a time; by default the caller.
        progress: told how many prospects are done, of how many.

    Raises:
        ExecutorFailed: a worker ended, or can't be reached.
        CadenceError: a history is broken, or the store can't be read.
    """
    return map_pages(store, _Comparing(policy), executor=executor, progress=progress)


class _Comparing:
    """Compares a page of histories after the other."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def __call__(self, store: Cadence) -> Callable[[PageOfIds], Compared]:
        return partial(_compare_page, store, self.policy)


def _compare_page(store: Cadence, policy: Policy, page: PageOfIds) -> Compared:
    total = Compared()
    for history in store.histories.page(page.first, page.last):
        compare(history, policy, total)
    return total


def compare(history: Sequence[Event], policy: Policy, total: Compared | None = None) -> Compared:
    """Compare one history with what ``policy`` would have made of it.

    Args:
        history: of one prospect, in order of version.
        policy: the other policy.
        total: counted on, if given.
    """
    total = Compared() if total is None else total
    if any(type(event.data) is Unreadable for event in history):
        total.left_out += 1
        return total
    total.prospects += 1
    total.events += len(history)
    history = standing_events(history)
    before = (total.sooner, total.later, total.dropped, total.added)
    if history:
        _Comparison(history, policy, total).run()
    if before != (total.sooner, total.later, total.dropped, total.added):
        total.changed += 1
    return total


class _Comparison:
    """One history, walked once."""

    def __init__(self, history: Sequence[Event], policy: Policy, total: Compared) -> None:
        self.history = history
        self.total = total
        self.other = OtherPolicy(policy, history[0])
        self.recorded: list[tuple[datetime, int]] = []
        self.response = 1  # by its version there; that of the first event
        self.closed = False

    def run(self) -> None:
        other = self.other
        first, *others = self.history
        if isinstance(first.data, AttemptMade):  # without a ProspectAdded the owner tried
            self.recorded.append((first.occurred_at, first.version))
            other.made.append(first.occurred_at)
        for event in others:
            data = event.data
            if type(data) in _NOTES:
                continue
            other.advance(event.recorded_at)
            if isinstance(data, AttemptMade):
                self._attempt(event, data)
            elif isinstance(data, FollowUpEnded) and data.reason in _OUR_CLOSE:
                self.closed = True  # ours to decide, so the other policy decides it for itself
            else:
                if isinstance(data, FollowUpReopened):
                    self.closed = False
                self._fact(event)
        self._last()

    def _fact(self, event: Event) -> None:
        """Something they said or did, or that we learnt."""
        other = self.other
        other.take(event)
        response = other.response.version
        if response != self.response:
            self.response = response
            self._settle(event)

    def _attempt(self, event: Event, data: AttemptMade) -> None:
        other, at = self.other, event.occurred_at
        if at < other.since:
            return  # it belongs to a silence that is over
        if data.connected:
            # What they said stays. Which touch it answered is the one that was next.
            self.recorded.append((at, event.version))
            if len(other.made) < len(self.recorded):
                if other.is_task():
                    other.made.append(at)
                elif (planned := other.next_attempt()) is not None:
                    other.made.append(max(at, planned))
            self._fact(event)
            return
        self.recorded.append((at, event.version))
        # The owner's own, unless it is the record of one that the policy has made already.
        if len(other.made) < len(self.recorded) and other.is_task():
            other.owner_tried(event, data)
            return
        for part in data.parts:
            if part.disposition in _FAILING and part.address is not None:
                # What we learnt of a contact point stays learnt.
                failed = ContactPointFailed(part.channel, part.address, key=part.key)
                other.take(event, failed)

    def _settle(self, event: Event) -> None:
        """They answered: hold the attempts of the silence against each other."""
        at = event.occurred_at
        mine = [one for one in self.recorded if one[0] <= at]
        self.recorded = [one for one in self.recorded if one[0] > at]
        conversation = isinstance(event.data, AttemptMade)
        theirs, self.other.made = _split(self.other.made, at, keep_last=conversation)
        self._pair(mine, theirs, len(theirs))
        if len(mine) > len(theirs):
            self.total.answered.append(
                Answered(event.prospect, event.version, mine[-1][1], len(mine), len(theirs))
            )
        self.closed = False

    def _last(self) -> None:
        """The silence that nothing ended: as far as the record goes, or to the close."""
        other, mine = self.other, self.recorded
        until = None if self.closed else self.history[-1].recorded_at
        if until is None:
            other.advance(None)
        within = len(other.made)
        if len(mine) > within:
            other.advance(None, len(mine))  # later is not dropped
        self._pair(mine, other.made, within)

    def _pair(
        self, mine: list[tuple[datetime, int]], theirs: Sequence[datetime], within: int
    ) -> None:
        total = self.total
        mine.sort()  # one that was learnt of late stands where it was made
        pairs = min(len(mine), len(theirs))
        total.recorded += len(mine)
        total.under += max(pairs, within)
        total.dropped += len(mine) - pairs
        total.added += max(0, within - pairs)
        if not mine and not within:
            return
        recorded, made = [at for at, _ in mine], theirs[: max(pairs, within)]
        clock = self.other.clock()
        for was, would in zip(recorded, made, strict=False):
            if was != would:
                day, other_day = was.astimezone(clock).date(), would.astimezone(clock).date()
                if other_day < day:
                    total.sooner += 1
                    pairs -= 1
                elif other_day > day:
                    total.later += 1
                    pairs -= 1
        total.same += pairs
        first = min([*recorded[:1], *made[:1]])
        _count(total.recorded_by_day, recorded, first)
        _count(total.under_by_day, made, first)


def _count(bars: list[int], attempts: Sequence[datetime], first: datetime) -> None:
    for at in attempts:
        day = (at - first).days
        bars[_BARS[day] if day < _LAST_BAR else -1] += 1


def _split(
    made: list[datetime], at: datetime, *, keep_last: bool
) -> tuple[list[datetime], list[datetime]]:
    """The attempts up to a response, and those after it; a conversation's own comes before it."""
    if keep_last:
        return made, []
    return [one for one in made if one <= at], [one for one in made if one > at]
