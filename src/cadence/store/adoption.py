"""Moving prospects to another policy: first a preview of what it would mean, then the move.

In a running silence nobody is contacted sooner than was promised under the policy before; counts
and gaps go on. A prospect that has the policy already is left alone, so a move that was interrupted
goes on where it stopped when it is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec

from cadence.core.events import Event, PolicyAdopted
from cadence.core.evolve import evolve, fold
from cadence.core.prospect import Prospect
from cadence.core.stages import ENDED, Stage
from cadence.errors import Conflict, UnknownProspect
from cadence.policy.decision import Decision, Verdict
from cadence.policy.model import Policy
from cadence.policy.next_touch import next_touch
from cadence.policy.plan import reached
from cadence.store.application import Cadence, Progress

__all__ = ["Move", "adopt", "preview"]

_BATCH = 256


class Move(msgspec.Struct, frozen=True):
    """What a prospect's move to a policy means.

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
        """The time promised for the next touch, before which it does not come."""
        data = self.event.data
        return data.not_before if isinstance(data, PolicyAdopted) else None

    @property
    def dropped(self) -> int:
        """How many touches fewer lie ahead."""
        return max(0, self.touches_before - self.touches_after)

    @property
    def added(self) -> int:
        """How many touches more lie ahead."""
        return max(0, self.touches_after - self.touches_before)

    @property
    def later(self) -> bool:
        """Whether the next touch comes later."""
        before, after = self.before, self.after
        if before.touch is None or after.touch is None:
            return False
        return before.at is not None and after.at is not None and after.at > before.at


def preview(
    app: Cadence, policy: Policy, prospects: Iterable[str], now: datetime
) -> Iterator[Move | None]:
    """What moving each of ``prospects`` to ``policy`` at ``now`` would mean.

    Yields:
        A move for each; ``None`` for one that has ended, or is under the policy already.

    Raises:
        UnknownProspect: one of them has no history.
    """
    names = iter(prospects)
    while batch := list(islice(names, _BATCH)):
        histories = app.histories_of(batch)
        for name in batch:
            prospect = fold(None, histories.get(name, ()))
            if prospect is None:
                raise UnknownProspect(name)
            yield _move(app, prospect, policy, now)


def _move(app: Cadence, prospect: Prospect, policy: Policy, now: datetime) -> Move | None:
    old = app.policies.of(prospect)
    if prospect.stage in ENDED or prospect.stage is Stage.OPTED_OUT:
        return None
    if old is not None and old.digest == policy.digest:
        return None
    before = app.policies.decision(prospect, now)
    # What was promised is the time of the touch that is next, whoever proposes it.
    promised = before.at if before.touch is not None else prospect.not_before
    data = PolicyAdopted(policy.id, policy.version, policy.digest, promised)
    at = max(now, prospect.recorded_at)
    event = Event(prospect.id, prospect.version + 1, at, at, data)
    after = evolve(prospect, event)
    decision = next_touch(after, policy, now)
    touches = 0 if old is None else _ahead(prospect, old, before)
    return Move(before, decision, touches, _ahead(after, policy, decision), event, after)


def _ahead(prospect: Prospect, policy: Policy, decision: Decision) -> int:
    """How many touches of ``policy`` lie ahead, the exit apart; none once nothing is planned."""
    if decision.touch is None and decision.decision in (Verdict.CLOSE, Verdict.WAIT):
        return 0
    made = reached(prospect, policy)
    ahead = policy.ahead[prospect.stage]
    return sum(1 for point in ahead if point.position >= made.get(point.stage, 0))


def adopt(
    app: Cadence,
    policy: Policy,
    prospects: Iterable[str],
    now: datetime,
    *,
    progress: Progress | None = None,
) -> int:
    """Move ``prospects`` to ``policy``; those that have ended or have it already are left alone.

    Every few hundred are one transaction. Interrupted, and repeated, it goes on where it stopped.

    Args:
        app: the store.
        policy: proved; it is kept with the store.
        prospects: their ids.
        now: when.
        progress: told how many have been looked at.

    Returns:
        How many were moved.

    Raises:
        UnprovedPolicy: the policy is refuted.
        UnknownProspect: one of them has no history; those before it have been moved.
    """
    app.keep_policy(policy)
    moved = looked = 0
    names = iter(prospects)
    while batch := list(islice(names, _BATCH)):
        moved += _adopt_batch(app, policy, batch, now)
        looked += len(batch)
        if progress is not None:
            progress(looked, None)
    return moved


def _adopt_batch(app: Cadence, policy: Policy, batch: list[str], now: datetime) -> int:
    for _ in range(_TRIES):
        moves = [move for move in preview(app, policy, batch, now) if move is not None]
        try:
            app.append_decided((move.event, move.prospect) for move in moves)
        except Conflict:
            continue  # somebody wrote to one of them meanwhile: look again
        return len(moves)
    raise Conflict(
        f"{policy.id}: other writers won {_TRIES} times in a row; {len(batch)} prospects from "
        f"{batch[0]} on were not moved",
        "repeat the command: it goes on where it stopped",
    )


_TRIES = 20
