"""Count what a move to another policy would mean for many prospects, and show some of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from cadence.engine.decision import Decision, Verdict
from cadence.policy.model import Policy
from cadence.replay.formatting import clock
from cadence.store import Cadence
from cadence.store.adoption import PolicyMove, Previewing, SkipReason, batches
from cadence.store.executors import map_items

__all__ = ["COUNTS", "Row", "Seen", "look"]

COUNTS: Final = ("moved", "later", "dropped", "added", "touches_dropped", "touches_added")
"""What of the moves is counted."""

_SHOWN: Final = 20
_SHARE: Final = 256  # prospects


class Row(NamedTuple):
    """One move as a line: what is next before and after it, in words."""

    prospect: str
    before: str
    after: str
    later: bool
    dropped: int
    added: int


class Seen(NamedTuple):
    """What was seen: counts (of moves, and of those left alone by why), and some of the moves."""

    tally: Counter[str]
    rows: list[Row]
    moves: list[dict[str, Any]]


def look(
    store: Cadence,
    policy: Policy,
    prospects: Iterable[str],
    now: datetime,
    *,
    total: int,
    under: str | None,
    full: bool,
    executor: Executor | None,
    progress: Callable[[int, int | None], None],
) -> Seen:
    """Look at what moving ``prospects`` to ``policy`` would mean.

    Args:
        store: where they are.
        policy: the one to move to.
        prospects: their ids, read while others are looked at.
        now: when.
        total: how many there are.
        under: leave alone who is not under the policy of this name.
        full: whether every move is wanted as plain data.
        executor: does the work; ``None``: this process.
        progress: told how many have been looked at.

    Raises:
        UnknownProspect: one of them has no history.
        ExecutorFailed: a worker ended, or can't be reached.
    """
    work = _Looking(Previewing(policy, now, under), full)
    seen = Seen(Counter(), [], [])
    looked = 0
    for share, one in map_items(store, work, batches(prospects, _SHARE), executor=executor):
        seen.tally.update(one.tally)
        seen.rows.extend(one.rows[: _SHOWN - len(seen.rows)])
        seen.moves.extend(one.moves)
        looked += len(share)
        progress(looked, max(total, looked))
    return seen


class _Looking(msgspec.Struct, frozen=True):
    """Counts what moving some prospects would change."""

    previewing: Previewing
    full: bool

    def __call__(self, store: Cadence) -> Callable[[Sequence[str]], Seen]:
        preview = self.previewing(store)
        return lambda prospects: self._seen(preview(prospects))

    def _seen(self, moves: Iterable[PolicyMove | SkipReason]) -> Seen:
        tally = dict.fromkeys((*COUNTS, *SkipReason), 0)
        seen = Seen(Counter(), [], [])
        for move in moves:
            if isinstance(move, SkipReason):
                tally[move] += 1
                continue
            dropped, added = move.dropped, move.added
            tally["moved"] += 1
            tally["later"] += move.is_later
            tally["dropped"] += dropped > 0
            tally["added"] += added > 0
            tally["touches_dropped"] += dropped
            tally["touches_added"] += added
            if len(seen.rows) < _SHOWN:
                seen.rows.append(_row(move))
            if self.full:
                seen.moves.append(_plain(move))
        seen.tally.update(tally)
        return seen


def _row(move: PolicyMove) -> Row:
    before, after = (_next(move, decision) for decision in (move.before, move.after))
    return Row(move.prospect.id, before, after, move.is_later, move.dropped, move.added)


def _next(move: PolicyMove, decision: Decision) -> str:
    when = clock(move.prospect, decision.at)
    if decision.touch is not None:
        return f"{decision.touch.step} {when}"
    if decision.verdict is Verdict.WAIT:
        return f"answer by {when}"
    if decision.verdict is Verdict.TASK:
        return f"task by {when}"
    return str(decision.verdict)


def _plain(move: PolicyMove) -> dict[str, Any]:
    return {
        "prospect": move.prospect.id,
        "before": _decision(move.before),
        "after": _decision(move.after),
        "later": move.is_later,
        "dropped": move.dropped,
        "added": move.added,
        "not_before": msgspec.to_builtins(move.promised),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    step = None if decision.touch is None else decision.touch.step
    at = msgspec.to_builtins(decision.at)
    return {"decision": decision.verdict.value, "step": step, "at": at}
