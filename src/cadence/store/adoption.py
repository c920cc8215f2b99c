"""Move prospects to another policy: preview what it would change, then move.

In a running silence no prospect is contacted sooner than was promised under the policy before;
counts and gaps go on. A prospect that has the policy already is skipped, so an interrupted move
goes on where it stopped when it is repeated.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Final

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.events import Event, PolicyAdopted
from cadence.domain.fold import evolve
from cadence.domain.prospect import Prospect
from cadence.domain.stages import OVER, Stage
from cadence.engine.decision import Decision, Verdict
from cadence.engine.invariants import contact_points_left
from cadence.engine.loop import decision_for
from cadence.engine.next_touch import next_touch
from cadence.engine.schedule import progress
from cadence.errors import Conflict, UnknownProspect
from cadence.policy.model import Policy
from cadence.store.clock import WriteClock
from cadence.store.due_list import Prepared
from cadence.store.executors import map_items
from cadence.store.service import Cadence, Progress

__all__ = ["PolicyMove", "Previewing", "SkipReason", "adopt", "batches", "policy_name", "preview"]

_BATCH: Final = 256
_TRIES: Final = 200
_LONGEST_WAIT: Final = 0.05  # seconds


class SkipReason(StrEnum):
    """Why a prospect is not moved."""

    HAS_IT = "has it already"
    ENDED = "has ended"
    OTHER = "is under another policy"
    UNREADABLE = "has events that can't be read"


class PolicyMove(msgspec.Struct, frozen=True):
    """One prospect's move to a policy, and what it changes.

    Attributes:
        before: the decision under the policy until then.
        after: the decision under the new one.
        touches_before: how many touches lay ahead, the polite exit apart.
        touches_after: how many lie ahead then.
        event: what is recorded.
        prospect: the prospect after it.
    """

    before: Decision
    after: Decision
    touches_before: int
    touches_after: int
    event: Event
    prospect: Prospect

    @property
    def promised(self) -> datetime | None:
        """Time promised for the next touch; it never comes sooner."""
        data = self.event.data
        return data.not_before if isinstance(data, PolicyAdopted) else None

    @property
    def dropped(self) -> int:
        """Number of touches that no longer lie ahead."""
        return max(0, self.touches_before - self.touches_after)

    @property
    def added(self) -> int:
        """Number of touches that lie ahead only now."""
        return max(0, self.touches_after - self.touches_before)

    @property
    def is_later(self) -> bool:
        """Whether the next touch comes later."""
        before, after = self.before, self.after
        if before.touch is None or after.touch is None:
            return False
        return before.at is not None and after.at is not None and after.at > before.at


def preview(
    app: Cadence,
    policy: Policy,
    prospects: Iterable[str],
    now: datetime,
    *,
    under: str | None = None,
    executor: Executor | None = None,
) -> Iterator[PolicyMove | SkipReason]:
    """Compute what moving each of ``prospects`` to ``policy`` at ``now`` would change.

    Args:
        app: the store.
        policy: the one to move to.
        prospects: their ids.
        now: when.
        under: skip prospects that are not under the policy of this name.
        executor: does the work; by default the caller.

    Yields:
        For each a move, or why it is skipped.

    Raises:
        UnknownProspect: one of them has no history.
        ExecutorFailed: a worker ended, or can't be reached.
    """
    work = Previewing(policy, now, under)
    for _, found in map_items(app, work, batches(prospects, _BATCH), executor=executor):
        yield from found


class Previewing(msgspec.Struct, frozen=True):
    """Computes what moving some prospects would change, as :func:`preview` does.

    Attributes:
        policy: the one to move to.
        now: when.
        under: skip prospects that are not under the policy of this name.
    """

    policy: Policy
    now: datetime
    under: str | None = None

    def __call__(self, store: Cadence) -> Callable[[Sequence[str]], list[PolicyMove | SkipReason]]:
        """Begin to preview prospects of a store."""
        mover = _Mover(store, self.policy, self.now, self.under)
        return lambda prospects: list(mover.preview(prospects))


def batches(prospects: Iterable[str], size: int) -> Iterator[list[str]]:
    """Split ``prospects`` into lists of ``size``, read on request."""
    rest = iter(prospects)
    while some := list(islice(rest, size)):
        yield some


def policy_name(app: Cadence, prospect: Prospect) -> str:
    """Return the name of the policy that ``prospect`` is under."""
    return app.policies.default.id if prospect.policy is None else prospect.policy.name


Positions = list[int]
"""Touches by their number within their stage, in order."""


class _Mover:
    """Computes what moving prospects to one policy changes."""

    def __init__(self, app: Cadence, policy: Policy, now: datetime, under: str | None) -> None:
        self.app = app
        self.policy = policy
        self.now = now
        self.under = under
        self._positions: dict[
            tuple[str, Stage, frozenset[Channel]], list[tuple[Stage, Positions]]
        ] = {}

    def preview(self, prospects: Sequence[str]) -> Iterator[PolicyMove | SkipReason]:
        """Yield for each prospect a move, or why it is skipped."""
        known = {prospect.id: prospect for prospect in self.app.histories.load(prospects)}
        for name in prospects:
            prospect = known.get(name)
            if prospect is None:
                raise UnknownProspect(name)
            yield self._move(prospect)

    def move(self, prospects: Sequence[str], clock: WriteClock) -> int:
        """Move prospects in one transaction; return how many were moved."""
        moves = [move for move in self.preview(prospects) if isinstance(move, PolicyMove)]
        self.app.histories.append_prepared(self._prepare(move, clock) for move in moves)
        return len(moves)

    def _prepare(self, move: PolicyMove, clock: WriteClock) -> Prepared:
        # Not before what is recorded, which may lie after the clock.
        return self.app.histories.prepare(move.prospect, (move.event,), clock.behind(move.event))

    def _move(self, prospect: Prospect) -> PolicyMove | SkipReason:
        policies, policy, now = self.app.policies, self.policy, self.now
        if prospect.unreadable is not None:
            return SkipReason.UNREADABLE
        if self.under is not None and policy_name(self.app, prospect) != self.under:
            return SkipReason.OTHER
        if prospect.stage in OVER:
            return SkipReason.ENDED
        old = policies.of(prospect)
        if old is not None and old.digest == policy.digest:
            return SkipReason.HAS_IT
        before = decision_for(prospect, policies, now)
        data = PolicyAdopted(policy.id, policy.version, policy.digest, _promised(prospect, before))
        at = max(now, prospect.recorded_at)
        event = Event(prospect.id, prospect.version + 1, at, at, data)
        after = evolve(prospect, event)
        decision = next_touch(after, policy, now)
        left = frozenset([point.channel for point in contact_points_left(prospect)])
        touches = 0 if old is None else self._ahead(prospect, old, before, left)
        later = self._ahead(after, policy, decision, left)
        return PolicyMove(before, decision, touches, later, event, after)

    def _ahead(
        self, prospect: Prospect, policy: Policy, decision: Decision, left: frozenset[Channel]
    ) -> int:
        """Count the touches of ``policy`` that lie ahead, the exit apart; 0 if none is planned.

        Those for which they have no channel are not counted.
        """
        if decision.touch is None and decision.verdict in (Verdict.CLOSE, Verdict.WAIT):
            return 0
        key = (policy.digest, prospect.stage, left)
        positions = self._positions.get(key)
        if positions is None:
            positions = self._positions[key] = _positions(
                policy, prospect.stage, left & policy.usable
            )
        made = progress(prospect, policy)
        return sum([len(at) - bisect_left(at, made.get(stage, 0)) for stage, at in positions])


def _positions(
    policy: Policy, stage: Stage, usable: frozenset[Channel]
) -> list[tuple[Stage, Positions]]:
    """List by stage the positions of the touches from ``stage`` on that have a usable channel."""
    found: dict[Stage, Positions] = {}
    for point in policy.ahead[stage]:
        if not usable.isdisjoint(point.channels):
            found.setdefault(point.stage, []).append(point.position)
    return [(one, sorted(positions)) for one, positions in found.items()]


def _promised(prospect: Prospect, before: Decision) -> datetime | None:
    """Return the time promised until now: that of the next touch, of the plan or the engine."""
    touch = before.touch
    if touch is None:
        # Where an answer is awaited, nothing comes before its time is over.
        return before.at if before.verdict is Verdict.WAIT else prospect.not_before
    appointment = prospect.appointment
    if touch.stage is Stage.ON_TIME and appointment is not None and before.at == appointment.at:
        # The appointment stands by itself. It may be moved, and then the promise moves with it.
        return prospect.not_before
    return before.at


def adopt(
    app: Cadence,
    policy: Policy,
    prospects: Iterable[str],
    now: datetime,
    *,
    under: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> int:
    """Move ``prospects`` to ``policy``; skip those that have ended or have it already.

    Some hundreds are one transaction. Interrupted, and repeated, it goes on where it stopped.

    Args:
        app: the store.
        policy: proved; it is kept with the store.
        prospects: their ids.
        now: when.
        under: skip prospects that are not under the policy of this name.
        force: move them also over a year after both the machine's clock and the newest event.
        progress: told how many have been looked at.

    Returns:
        How many were moved.

    Raises:
        UnprovedPolicy: the policy is refuted.
        UnknownProspect: one of them has no history; hundreds before it may have been moved.
        Conflict: other writers kept winning on one of them; those before it have been moved.
    """
    app.library.keep(policy)
    mover, clock = _Mover(app, policy, now, under), app.clock.for_write(now, force=force)
    moved = looked = 0
    for batch in batches(prospects, _BATCH):
        moved += _adopt(mover, list(dict.fromkeys(batch)), clock)
        looked += len(batch)
        if progress is not None:
            progress(looked, None)
    return moved


def _adopt(mover: _Mover, batch: list[str], clock: WriteClock) -> int:
    """Move a batch in one transaction; in halves, where another writer wrote to one of them."""
    if len(batch) == 1:
        return _adopt_one(mover, batch, clock)
    try:
        return mover.move(batch, clock)
    except Conflict:
        half = len(batch) // 2
        return _adopt(mover, batch[:half], clock) + _adopt(mover, batch[half:], clock)


def _adopt_one(mover: _Mover, batch: list[str], clock: WriteClock) -> int:
    for number in range(_TRIES):
        try:
            return mover.move(batch, clock)
        except Conflict:
            # At random times, or a writer in a loop would win every single time.
            time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.001 * 2**number)))
    raise Conflict(
        f"{batch[0]}: other writers won {_TRIES} times in a row; it was not moved",
        "try again: it goes on where it stopped",
    )
