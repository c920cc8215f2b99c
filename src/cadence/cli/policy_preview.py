"""What a move to another policy would mean for many prospects: counted, by several processes.

Each prospect is decided twice, which keeps a core busy for some 100 µs; so where there are
thousands, each core takes its share of them. A process opens the store for itself, to read only.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

import msgspec

from cadence.history.sweep import cores, without_collector
from cadence.history.words import clock
from cadence.policy.decision import Decision, Verdict
from cadence.policy.load import read_text
from cadence.policy.model import Policy
from cadence.policy.write import to_toml
from cadence.store import Cadence
from cadence.store.adoption import Left, Move, preview

__all__ = ["COUNTS", "Row", "Seen", "look"]

COUNTS: Final = ("moved", "later", "dropped", "added", "touches_dropped", "touches_added")
"""What of the moves is counted."""

_SHOWN: Final = 20
_MANY: Final = 5_000
_SHARE: Final = 1_000
_MOST_PROCESSES: Final = 8


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
    db: str,
    policy: Policy,
    prospects: Sequence[str],
    now: datetime,
    *,
    under: str | None,
    full: bool,
    progress: Callable[[int, int | None], None],
) -> Seen:
    """Look at what moving ``prospects`` to ``policy`` would mean.

    Args:
        store: where they are.
        db: its name, by which other processes can open it.
        policy: the one to move to.
        prospects: their ids.
        now: when.
        under: leave alone who is not under the policy of this name.
        full: whether every move is wanted as plain data.
        progress: told how many have been looked at.

    Raises:
        UnknownProspect: one of them has no history.
    """
    shares = [prospects[at : at + _SHARE] for at in range(0, len(prospects), _SHARE)]
    job = _Job(to_toml(policy), policy.id, now, under, full)
    processes = min(_MOST_PROCESSES, cores(), len(shares))
    seen = Seen(Counter(), [], [])
    looked = 0
    with _looking(store, db, policy, job, len(prospects), processes) as look_at:
        for one in look_at(shares):
            seen.tally.update(one.tally)
            seen.rows.extend(one.rows[: _SHOWN - len(seen.rows)])
            seen.moves.extend(one.moves)
            looked = min(looked + _SHARE, len(prospects))
            progress(looked, len(prospects))
    return seen


class _Job(NamedTuple):
    """What every process has to know."""

    policy: str
    name: str
    now: datetime
    under: str | None
    full: bool


_LookAt = Callable[[Sequence[Sequence[str]]], Iterator[Seen]]


@contextmanager
def _looking(
    store: Cadence, db: str, policy: Policy, job: _Job, count: int, processes: int
) -> Iterator[_LookAt]:
    """How to look at shares of the prospects: here, or in processes of their own."""
    if count < _MANY or processes < 2:
        yield lambda shares: (_look(store, policy, job, share) for share in shares)
        return
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(db, job)
    )
    try:
        yield lambda shares: pool.map(_look_there, shares)
    finally:
        pool.shutdown(cancel_futures=True)


class _There(NamedTuple):
    store: Cadence
    policy: Policy
    job: _Job


_there: _There | None = None


def _begin(db: str, job: _Job) -> None:
    """In a process of its own: open the store once."""
    global _there
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us stops us
    store = Cadence.open(db, read_only=True)
    _there = _There(store, read_text(job.policy, job.name), job)


def _look_there(share: Sequence[str]) -> Seen:
    assert _there is not None  # _begin ran before
    with without_collector():
        return _look(_there.store, _there.policy, _there.job, share)


def _look(store: Cadence, policy: Policy, job: _Job, share: Sequence[str]) -> Seen:
    tally = dict.fromkeys((*COUNTS, *Left), 0)
    seen = Seen(Counter(), [], [])
    for move in preview(store, policy, share, job.now, under=job.under):
        if isinstance(move, Left):
            tally[move] += 1
            continue
        dropped, added = move.dropped, move.added
        tally["moved"] += 1
        tally["later"] += move.later
        tally["dropped"] += dropped > 0
        tally["added"] += added > 0
        tally["touches_dropped"] += dropped
        tally["touches_added"] += added
        if len(seen.rows) < _SHOWN:
            seen.rows.append(_row(move))
        if job.full:
            seen.moves.append(_plain(move))
    seen.tally.update(tally)
    return seen


def _row(move: Move) -> Row:
    before, after = (_next(move, decision) for decision in (move.before, move.after))
    return Row(move.prospect.id, before, after, move.later, move.dropped, move.added)


def _next(move: Move, decision: Decision) -> str:
    when = clock(move.prospect, decision.at)
    if decision.touch is not None:
        return f"{decision.touch.step} {when}"
    if decision.decision is Verdict.WAIT:
        return f"answer by {when}"
    if decision.decision is Verdict.TASK:
        return f"task by {when}"
    return str(decision.decision)


def _plain(move: Move) -> dict[str, Any]:
    return {
        "prospect": move.prospect.id,
        "before": _decision(move.before),
        "after": _decision(move.after),
        "later": move.later,
        "dropped": move.dropped,
        "added": move.added,
        "not_before": msgspec.to_builtins(move.promised),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    step = None if decision.touch is None else decision.touch.step
    at = msgspec.to_builtins(decision.at)
    return {"decision": decision.decision.value, "step": step, "at": at}
