"""Do the planned gaps ever shrink? A lemma over the steps; a search only where it fails.

The lemma: if no planned gap is smaller than any planned before it, no way through the plan shrinks,
whatever is passed over; and the engine takes the larger of plan and ratchet, so lateness, holidays
and guards only raise gaps. Kept out of the states, gaps cost nothing; as a part of them they would
make their number grow with the square of the steps.
"""

from __future__ import annotations

from collections import deque

from cadence.policy.model import Touchpoint
from cadence.policy.states import Graph, Move, Start, State

__all__ = ["Shrinking", "shrinking"]

Gap = tuple[int, int]
"""Business days, or minutes where those are 0."""

Shrinking = tuple[Start, tuple[Move, ...], str, Touchpoint]
"""A way on plan, the largest gap on it, and the touch whose planned gap is smaller."""

_NO_GAP: Gap = (0, 0)
_Node = tuple[State, Gap, Gap]
"""A state, the largest gap on the way to it, and the answer time that the last touch gave."""


def shrinking(graph: Graph) -> Shrinking | None:
    """The shortest way on plan on which a planned gap shrinks; ``None`` if there is none."""
    return None if _never_shrinks(graph) else _search(graph)


def _gap(point: Touchpoint) -> Gap:
    return _NO_GAP if point.after is None else point.after.gap


def _answer(point: Touchpoint) -> Gap:
    answer = point.step.answer_within
    return _NO_GAP if answer is None else answer.gap


def _never_shrinks(graph: Graph) -> bool:
    """The lemma. The first touch has no gap; what follows it has, whichever comes next."""
    points = [p for p in graph.points if not p.backward and not p.behind_exit]
    exit_point = graph.policy.exit_point
    if exit_point is not None:
        points.append(exit_point)
    largest = answer = _NO_GAP
    for position, point in enumerate(points):
        if position and _gap(point) < largest:
            return False
        # An answer time makes the next gap at least as large, whichever touch is next.
        largest = max(largest, answer)
        if position or point.step.at is None:
            largest = max(largest, _gap(point))
        answer = max(answer, _answer(point))
    return True


def _search(graph: Graph) -> Shrinking | None:
    before: dict[_Node, tuple[_Node, Move] | Start] = {}
    queue: deque[_Node] = deque()
    for start in sorted(graph.starts(), key=lambda start: start.state.attempts):
        node = (start.state, _NO_GAP, _NO_GAP)
        if node not in before:
            before[node] = start
            queue.append(node)
    while queue:
        node = queue.popleft()
        state, largest, answer = node
        point = graph.policy.exit_point if state.next == graph.end else graph.points[state.next]
        if point is None:
            continue
        gap = max(_gap(point), answer)
        if state.attempts and point.after is not None and gap < largest:
            if state.next == graph.end or any(m.how == "made" for m in graph.moves(state)):
                return (*_way(before, node), _said(largest), point)
        if state.next == graph.end:
            continue
        for move in graph.moves(state):
            after: _Node = (move.to, largest, answer)
            if move.how == "made":
                grown = max(largest, gap) if state.attempts and point.after is not None else largest
                after = (move.to, grown, _answer(point))
            if after not in before:
                before[after] = (node, move)
                if move.how in ("made", "lost"):
                    queue.append(after)
                else:
                    queue.appendleft(after)
    return None


def _way(
    before: dict[_Node, tuple[_Node, Move] | Start], node: _Node
) -> tuple[Start, tuple[Move, ...]]:
    moves: list[Move] = []
    while True:
        found = before[node]
        if isinstance(found, Start):
            return found, tuple(reversed(moves))
        node, move = found
        moves.append(move)


def _said(gap: Gap) -> str:
    days, minutes = gap
    return f"{days} business day{'' if days == 1 else 's'}" if days else f"{minutes} minutes"
