"""Do the planned gaps ever shrink? A lemma over the steps; ways are searched only where it fails.

The lemma: if no planned gap is smaller than any planned before it, no way through the plan shrinks,
whatever is passed over; and the engine takes the larger of plan and ratchet, so lateness, holidays
and guards only raise gaps. Kept out of the states, gaps cost nothing; as a part of them they would
make their number grow with the square of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from cadence.domain.events import Channel
from cadence.policy.model import PlannedTouch
from cadence.prover.search import Found, Node, ways
from cadence.prover.state_space import Graph, State

__all__ = ["shrinking"]

Gap = tuple[int, int]
"""Business days, or minutes where those are 0."""

_NO_GAP: Gap = (0, 0)


class _Carried(NamedTuple):
    """The largest gap on the way, and the answer time that the last touch gave."""

    largest: Gap = _NO_GAP
    answer: Gap = _NO_GAP

    def after(self, state: State, point: PlannedTouch) -> _Carried:
        """What it is once ``point`` was made at ``state``."""
        largest = self.largest
        if state.attempts and point.after is not None:
            largest = max(largest, _gap(point), self.answer)
        return _Carried(largest, _answer(point))


def shrinking(graph: Graph) -> Iterator[tuple[Found, str, PlannedTouch]]:
    """The ways on plan on which a planned gap shrinks, the shortest first; none by the lemma.

    With each, the largest gap on it, and the touch whose planned gap is smaller.
    """
    if _never_shrinks(graph) or not _may_shrink(graph):
        return

    def shrinks(node: Node) -> bool:
        return _shrinks(graph, node.state, node.have, _carried(node)) is not None

    def carry(node: Node, point: PlannedTouch) -> _Carried:
        return _carried(node).after(node.state, point)

    for found in ways(graph, shrinks, carried=_Carried(), carry=carry):
        carried = _carried(found.at)
        point = _shrinks(graph, found.at.state, found.at.have, carried)
        assert point is not None  # that is the goal
        yield found, _said(carried.largest), point


def _carried(node: Node) -> _Carried:
    assert isinstance(node.carried, _Carried)  # shrinking() has nothing else carried
    return node.carried


def _shrinks(
    graph: Graph, state: State, have: AbstractSet[Channel], so_far: _Carried
) -> PlannedTouch | None:
    """The touch that is next at ``state``, if it can be made and its planned gap is smaller."""
    if state.next == graph.end:
        point = graph.policy.exit_point if have else None
    elif graph.may_be_made(state, have):
        point = graph.points[state.next]
    else:
        return None
    if not state.attempts or point is None or point.after is None:
        return None
    return point if max(_gap(point), so_far.answer) < so_far.largest else None


def _may_shrink(graph: Graph) -> bool:
    """Whether a gap shrinks if the largest of all ways to a state is taken to be on each."""
    worst = {start.state: _Carried() for start in graph.starts()}
    usable = graph.policy.usable
    for state in graph.on_plan:
        if _shrinks(graph, state, usable - state.lost, worst[state]._replace(answer=_NO_GAP)):
            return True
        for move in graph.moves(state) if state.next < graph.end else ():
            after = worst[state]
            if move.how == "made":
                after = after.after(state, graph.points[move.touch])
            before = worst.get(move.to, after)
            larger = max(after.largest, before.largest)
            worst[move.to] = _Carried(larger, max(after.answer, before.answer))
    return False


def _gap(point: PlannedTouch) -> Gap:
    return _NO_GAP if point.after is None else point.after.gap


def _answer(point: PlannedTouch) -> Gap:
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


def _said(gap: Gap) -> str:
    days, minutes = gap
    return f"{days} business day{'' if days == 1 else 's'}" if days else f"{minutes} minutes"
