"""The shortest way on plan to a fault, in events, with the contact points a prospect really has.

The states (``prover/state_space.py``) say *whether* there is a fault; they leave open which
channels a prospect has and what a way costs. Here both are exact: a prospect has any channels at
first, loses and finds some on the way, each at the cost of the event that says so; a touch is made
on the channel that the engine would take. Ways are found in order of their events, so that the
first which the engine confirms is the shortest.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from itertools import combinations, count
from typing import Final, NamedTuple

from cadence.domain.events import Channel
from cadence.engine.invariants import violation
from cadence.engine.schedule import unmet_requirement
from cadence.policy.model import PlannedTouch, Policy
from cadence.prover.state_space import Graph, Start, State

__all__ = ["Found", "Leg", "Node", "used", "ways"]

_ORDER: Final = tuple(Channel)


class Node(NamedTuple):
    """A state, the channels on which they can be reached there, and what a search carries along."""

    state: State
    have: frozenset[Channel]
    carried: Hashable = None


class Leg(NamedTuple):
    """What happens next on a way.

    ``how`` is ``made``, ``failed`` (made, and the contact points of ``channels`` turn out to be
    wrong), ``lapsed``, ``passed``, ``lost`` or ``found`` (contact points of ``channels``), ``late``
    (nothing until all but the exit lies behind the horizon).
    """

    how: str
    point: PlannedTouch | None
    channels: frozenset[Channel]


class Found(NamedTuple):
    """How a silence begins, on which channels, and what happens then, up to ``at``.

    ``failed`` says that the contact point of the owner's own attempt turned out to be wrong,
    ``events`` how many there are.
    """

    start: Start
    failed: bool
    channels: frozenset[Channel]
    legs: tuple[Leg, ...]
    at: Node
    events: int


Carry = Callable[[Node, PlannedTouch], Hashable]
"""What is carried along after a touch was made."""

_How = tuple[Node, Leg] | tuple[Start, bool]
"""What came before a node: another and a leg, or a start and whether its attempt failed."""
_Cost = tuple[int, int, int]
"""Events, then what is out of the ordinary among them, then contact points."""


def used(point: PlannedTouch, have: frozenset[Channel]) -> frozenset[Channel]:
    """The channels on which ``point`` is made for somebody who can be reached on ``have``."""
    taken: set[Channel] = set()
    for part in point.parts:
        if part.along_with is None or part.along_with in taken:
            free = (c for c in part.channels if c in have and c not in taken)
            taken.update(channel for channel in [next(free, None)] if channel is not None)
    return frozenset(taken)


def ways(
    graph: Graph,
    goal: Callable[[Node], bool],
    *,
    carried: Hashable = None,
    carry: Carry | None = None,
    late: bool = False,
) -> Iterator[Found]:
    """Every way on plan to a node that is a ``goal``, the shortest in events first.

    Args:
        graph: the states of the policy.
        goal: where a way ends.
        carried: what the search carries along at first.
        carry: what it carries after a touch is made; the same, if none is given.
        late: whether everything may be left lying until only the polite exit is left.
    """
    came: dict[Node, _How] = {}
    best: dict[Node, _Cost] = {}
    turn = count()
    queue: list[tuple[_Cost, int, Node]] = []

    def reach(node: Node, cost: _Cost, how: _How) -> None:
        if node not in best or cost < best[node]:
            best[node], came[node] = cost, how
            heapq.heappush(queue, (cost, next(turn), node))

    for start, have in _starts(graph):
        events = 2 + start.state.guidelines
        reach(Node(start.state, have, carried), (events, 0, len(have)), (start, False))
        if start.on is not None:
            left = have - {start.on}
            reach(Node(start.state, left, carried), (events, 1, len(have)), (start, True))
    while queue:
        cost, _, node = heapq.heappop(queue)
        if cost > best[node]:
            continue
        if goal(node):
            yield _way(came, node, cost[0])
        if node.state.next >= graph.end:
            continue
        for leg, after, events, odd in _legs(graph, node, carry):
            reach(after, (cost[0] + events, cost[1] + odd, cost[2]), (node, leg))
        if late and node.have and node.state.attempts:
            after = node._replace(state=node.state._replace(next=graph.end))
            # Without an exit to be made, something else must happen for a history to show it.
            events = graph.policy.exit_point is None
            cost = (cost[0] + events, cost[1] + 1, cost[2])
            reach(after, cost, (node, Leg("late", None, node.have)))


def _way(came: dict[Node, _How], at: Node, events: int) -> Found:
    legs: list[Leg] = []
    node = at
    while True:
        before, how = came[node]
        if isinstance(before, Start):
            own = frozenset({before.on}) if how and before.on is not None else frozenset()
            return Found(before, bool(how), node.have | own, tuple(reversed(legs)), at, events)
        assert isinstance(how, Leg)  # the other kind of entry
        legs.append(how)
        node = before


def _starts(graph: Graph) -> Iterator[tuple[Start, frozenset[Channel]]]:
    """Every way to begin, with every choice of contact points that makes a difference."""
    channels = _channels(graph.policy)
    for start in graph.starts():
        if start.on is not None and start.on not in channels:
            continue
        for size in range(1, len(channels) + 1):
            for have in combinations(channels, size):
                if start.on is None or start.on in have:
                    yield start, frozenset(have)


def _channels(policy: Policy) -> tuple[Channel, ...]:
    """The channels of the plan, and one that no touch uses: all such are alike."""
    points = [*policy.planned_touches, *([policy.exit_point] if policy.exit_point else [])]
    asked = {c for point in points for part in point.parts for c in part.channels} & policy.usable
    other = [channel for channel in _ORDER if channel in policy.usable - asked]
    return (*(channel for channel in _ORDER if channel in asked), *other[:1])


def _legs(graph: Graph, node: Node, carry: Carry | None) -> Iterator[tuple[Leg, Node, int, int]]:
    """What can happen at ``node``, with the events it takes and how odd it is."""
    state, have = node.state, node.have
    point = graph.points[state.next]
    passed = node._replace(state=state._replace(next=state.next + 1))
    if unmet_requirement(graph.policy, point, state.counts) or violation(point, state.counts):
        yield Leg("passed", point, frozenset()), passed, 0, 0
        return
    usable = point.channels & graph.policy.usable
    missing = passed._replace(state=passed.state._replace(lost=state.lost | usable))
    left = usable & have
    if left:
        on = used(point, have)
        after = graph.made(state, point, _one(on))
        kept = node.carried if carry is None else carry(node, point)
        yield Leg("made", point, on), Node(after, have, kept), 1, 0
        for wrong in dict.fromkeys((on, *(frozenset({channel}) for channel in sorted(on)))):
            yield Leg("failed", point, wrong), Node(after, have - wrong, kept), 1, 1
        if point.step.within is not None:
            yield Leg("lapsed", point, frozenset()), passed, 0, 1
        yield Leg("lost", point, left), missing._replace(have=have - left), len(left), 1
    else:
        yield Leg("passed", point, frozenset()), missing, 0, 0
    # A touch that was passed over for want of a channel is next again when one is found.
    for channel in sorted(usable - have - state.lost):
        found = frozenset({channel})
        yield Leg("found", point, found), node._replace(have=have | found), 1, 1


def _one(on: frozenset[Channel]) -> Channel:
    return Channel.CALL if Channel.CALL in on else next(iter(on))
