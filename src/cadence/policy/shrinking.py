"""Do the planned gaps ever shrink? A lemma over the steps; ways are searched only where it fails.

The lemma: if no planned gap is smaller than any planned before it, no way through the plan shrinks,
whatever is passed over; and the engine takes the larger of plan and ratchet, so lateness, holidays
and guards only raise gaps. Kept out of the states, gaps cost nothing; as a part of them they would
make their number grow with the square of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from cadence.policy.charter import stops
from cadence.policy.model import Touchpoint
from cadence.policy.plan import unmet
from cadence.policy.shortest import Found, Node, ways
from cadence.policy.states import Graph

__all__ = ["shrinking"]

Gap = tuple[int, int]
"""Business days, or minutes where those are 0."""

_NO_GAP: Gap = (0, 0)


def shrinking(graph: Graph) -> Iterator[tuple[Found, str, Touchpoint]]:
    """The ways on plan on which a planned gap shrinks, the shortest first; none by the lemma.

    With each, the largest gap on it, and the touch whose planned gap is smaller.
    """
    if _never_shrinks(graph):
        return
    points = (*graph.points, graph.policy.exit_point)

    def shrinks(node: Node) -> bool:
        state, point = node.state, points[node.state.next]
        if not state.attempts or point is None or point.after is None:
            return False
        largest, answer = _carried(node)
        if max(_gap(point), answer) >= largest:
            return False
        if state.next == graph.end:
            return True
        asked = unmet(graph.policy, point, state.counts) or stops(point, state.counts)
        return not asked and bool(point.channels & node.have)

    def carry(node: Node, point: Touchpoint) -> tuple[Gap, Gap]:
        largest, answer = _carried(node)
        if node.state.attempts and point.after is not None:
            largest = max(largest, _gap(point), answer)
        return largest, _answer(point)

    for found in ways(graph, shrinks, carried=(_NO_GAP, _NO_GAP), carry=carry):
        point = points[found.at.state.next]
        assert point is not None  # it shrinks
        yield found, _said(_carried(found.at)[0]), point


def _carried(node: Node) -> tuple[Gap, Gap]:
    """The largest gap on the way to ``node``, and the answer time that the last touch gave."""
    carried: tuple[Gap, Gap] = node.carried  # type: ignore[assignment]
    return carried


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


def _said(gap: Gap) -> str:
    days, minutes = gap
    return f"{days} business day{'' if days == 1 else 's'}" if days else f"{minutes} minutes"
