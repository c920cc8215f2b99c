"""Search: every place that can be reached, the one of the fewest events first.

The prover asks all its questions by this one search: is there a fault, what is the shortest history
that shows it (places are states), and where do two policies part (places are silences played under
both). It is a uniform-cost search: what comes first is as short as anything that follows.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import chain, count, islice
from typing import Final, Generic, NamedTuple, TypeVar

from cadence.policy.model import PlannedTouch
from cadence.prover.state_space import Start, State, StateSpace, Step

__all__ = ["TRIES", "Cost", "ExactPath", "Path", "exact_paths", "paths_to", "search"]

Place = TypeVar("Place", bound=Hashable)
Move = TypeVar("Move")

TRIES: Final = 500
"""How many paths are replayed before the engine is taken to disagree with the states."""

Cost = tuple[int, int, int]
"""Events first; the rest decides between paths of as many events, the plainest first."""


class Path(NamedTuple, Generic[Move, Place]):
    """How a place is reached: by the last of its moves, from the path before."""

    place: Place
    cost: Cost
    move: Move
    before: Path[Move, Place] | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        """All moves, the first of which begins the path."""
        found = []
        path: Path[Move, Place] | None = self
        while path is not None:
            found.append(path.move)
            path = path.before
        return tuple(reversed(found))


def search(
    begun: Iterable[Path[Move, Place]],
    extend: Callable[[Path[Move, Place]], Iterable[Path[Move, Place]]],
) -> Iterator[Path[Move, Place]]:
    """Yield a cheapest path to every place, the cheapest first.

    Args:
        begun: paths of one move.
        extend: the paths that are one move longer than the one given, and cost as much or more.
    """
    best: dict[Place, Cost] = {}
    turn = count()  # of paths that cost the same the one found first comes first
    queue: list[tuple[Cost, int, Path[Move, Place]]] = []

    def add(paths: Iterable[Path[Move, Place]]) -> None:
        for path in paths:
            known = best.get(path.place)
            if known is None or path.cost < known:
                best[path.place] = path.cost
                heapq.heappush(queue, (path.cost, next(turn), path))

    add(begun)
    while queue:
        cost, _, path = heapq.heappop(queue)
        if cost == best[path.place]:
            yield path
            add(extend(path))


# Exact states -------------------------------------------------------------------------------------

Carried = TypeVar("Carried", bound=Hashable)
ExactPath = Path[Start | Step, tuple[State, Carried]]
"""A silence from its start: how it begins, then each step; a place is a state and what is carried.
"""


def exact_paths(
    space: StateSpace,
    first: Carried,
    carry: Callable[[Carried, State, PlannedTouch], Carried],
    *,
    may_leave: bool = False,
) -> Iterator[ExactPath[Carried]]:
    """Yield the shortest silence to each exact state, the shortest first.

    Args:
        space: the states of the policy.
        first: what is carried along at first.
        carry: what is carried after a touch was made: from before, the state, and the touch.
        may_leave: whether everything may be left undone until only the polite exit is left.
    """

    def begun() -> Iterator[ExactPath[Carried]]:
        for start in space.exact_starts():
            cost = (start.events, int(start.is_wrong), len(start.channels))
            yield Path((start.state, first), cost, start)

    def extend(path: ExactPath[Carried]) -> Iterator[ExactPath[Carried]]:
        state, carried = path.place
        events, unusual, points = path.cost
        left_undone = space.leave(state) if may_leave and state.next < space.end else ()
        for step, after in chain(space.steps(state), left_undone):
            kept = carried
            if step.is_attempt and step.touch is not None:
                kept = carry(carried, state, step.touch)
            cost = (events + step.events, unusual + step.unusual, points)
            yield Path((after, kept), cost, step, path)

    return search(begun(), extend)


def paths_to(
    space: StateSpace, is_goal: Callable[[State], bool], *, may_leave: bool = False
) -> Iterator[ExactPath[None]]:
    """Yield the shortest paths to states that are a goal, as many as are worth a try."""
    paths = exact_paths(space, None, lambda *_: None, may_leave=may_leave)
    return islice((path for path in paths if is_goal(path.place[0])), TRIES)
