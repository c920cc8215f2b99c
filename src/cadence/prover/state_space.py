"""Every history that a policy allows, folded into finitely many states.

What of a history can decide which touch comes next? How far the plan has come, which channels are
lost, and what the charter counts: attempts (more than it asks about are all alike), spaced calls,
whether the concern message was sent, whether they agreed to be followed up. The gap is not among
them: that gaps never shrink is a lemma over the steps (``prover/proof.py``).

Two sets of states. *On plan* are those that a silence reaches by touches of the plan alone, made
on time or late, with touches passed over because they lapsed or their channels were lost: there
the charter must never have to stop the plan, or the policy is at fault. *Any* are all others too:
after attempts off policy, after adopting the policy in the middle of a silence, after guards have
vetoed at will: there the charter may have to stop the plan, and must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Final, NamedTuple

from cadence.domain.events import Channel
from cadence.domain.stages import Stage, rank
from cadence.engine.invariants import CONCERN_ATTEMPTS, SPACED_CAP, Counts, violation
from cadence.engine.schedule import unmet_requirement
from cadence.policy.model import PlannedTouch, Policy
from cadence.policy.rules import Rule

__all__ = ["Broken", "Graph", "Move", "Start", "State"]

_NONE: Final[frozenset[Channel]] = frozenset()


class State(NamedTuple):
    """A set of histories that can't be told apart by what comes next.

    Attributes:
        next: the touch of the plan that is looked at; those before it are behind.
        lost: channels that had to be lost since the last attempt for the plan to come here.
        attempts: so far in the silence; the largest number asked about stands for more.
        spaced_calls: so far; one more than the cap stands for more.
        concern: whether the concern message was sent.
        guidelines: whether they agreed to be followed up.
    """

    next: int
    lost: frozenset[Channel]
    attempts: int
    spaced_calls: int
    concern: bool
    guidelines: bool

    @property
    def counts(self) -> Counts:
        """What the charter and the plan ask about."""
        return Counts(self.attempts, self.spaced_calls, self.concern, self.guidelines)


class Move(NamedTuple):
    """One edge: what happened to a touch of the plan, by its index, and the state after it.

    ``how`` is ``made`` (on the channel ``on``), ``lapsed``, ``lost`` or ``passed``.
    """

    how: str
    touch: int
    on: Channel | None
    to: State


class Start(NamedTuple):
    """How a silence begins: with an appointment, an owner's own attempt, or after a pause."""

    how: str
    on: Channel | None
    state: State


class Broken(NamedTuple):
    """A rule that the engine itself would let a touch break, somewhere among all states."""

    rule: Rule
    state: State
    touch: str


class Graph:
    """The states of one policy, and the moves between them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.points = policy.planned_touches
        self.end = len(self.points)
        asked = [point.step.requires.attempts for point in self.points]
        limit = policy.limits.attempts or 0
        self.most_attempts = min(max(CONCERN_ATTEMPTS, limit, *asked, 0), self.end + 1)
        self.guidelines = (False, True) if policy.asks_guidelines else (False,)

    # On plan --------------------------------------------------------------------------------------

    def starts(self) -> Iterator[Start]:
        """Every way in which a silence begins in order."""
        first_spaced = next(
            (p.index for p in self.points if rank(p.stage) >= rank(Stage.SPACED)), self.end
        )
        for agreed in self.guidelines:
            if self.points and self.points[0].step.at is not None:
                yield Start("appointment", None, State(0, _NONE, 0, 0, False, agreed))
            yield Start("pause", None, State(first_spaced, _NONE, 0, 0, False, agreed))
            # An owner's own attempt, unanswered, is the first spaced one.
            spaced = next((p.index + 1 for p in self.points if p.stage is Stage.SPACED), None)
            behind = first_spaced if spaced is None else spaced
            for channel in Channel:
                if channel in self.policy.usable:
                    calls = int(channel is Channel.CALL)
                    state = State(behind, _NONE, 1, calls, False, agreed)
                    yield Start("own", channel, state)

    def moves(self, state: State) -> Iterator[Move]:
        """What can happen on plan to the touch at ``state``."""
        point = self.points[state.next]
        after = state.next + 1
        if unmet_requirement(self.policy, point, state.counts) or violation(point, state.counts):
            yield Move("passed", state.next, None, state._replace(next=after))
            return
        usable = point.channels & self.policy.usable
        left = usable - state.lost
        if not left:
            yield Move("passed", state.next, None, state._replace(next=after))
            return
        # Whoever has a call among the channels left may be called; whoever has another may not.
        if Channel.CALL in left:
            yield Move("made", state.next, Channel.CALL, self.made(state, point, Channel.CALL))
        other = next((c for c in Channel if c in left and c is not Channel.CALL), None)
        if other is not None:
            yield Move("made", state.next, other, self.made(state, point, other))
        if point.step.within is not None:
            yield Move("lapsed", state.next, None, state._replace(next=after))
        lost = state.lost | usable
        if lost != self.policy.usable:
            yield Move("lost", state.next, None, state._replace(next=after, lost=lost))

    def made(self, state: State, point: PlannedTouch, on: Channel) -> State:
        """The state after ``point`` was made on ``on``; what was lost may be found again."""
        called = point.stage is Stage.SPACED and on is Channel.CALL
        return State(
            point.index + 1,
            _NONE,
            min(self.most_attempts, state.attempts + 1),
            min(SPACED_CAP + 1, state.spaced_calls + called),
            state.concern or point.stage is Stage.CONCERN,
            state.guidelines,
        )

    @cached_property
    def on_plan(self) -> tuple[State, ...]:
        """Every state on plan, in the order of the plan."""
        found: dict[State, None] = dict.fromkeys(start.state for start in self.starts())
        todo = list(found)
        while todo:
            state = todo.pop()
            if state.next < self.end:
                after = [move.to for move in self.moves(state) if move.to not in found]
                found.update(dict.fromkeys(after))
                todo += after
        return tuple(sorted(found, key=lambda state: state.next))

    def may_be_made(self, state: State, have: AbstractSet[Channel]) -> bool:
        """Whether the touch at ``state`` is proposed to somebody who can be reached on ``have``."""
        point = self.points[state.next]
        asked = unmet_requirement(self.policy, point, state.counts) or violation(
            point, state.counts
        )
        return not asked and bool(point.channels & have)

    def stops(self, state: State) -> Rule | None:
        """The rule by which the charter stops the touch at ``state``, if it does.

        Whether they have a channel for it is not asked: the engine names the rule first.
        """
        if state.next >= self.end:
            return None
        point = self.points[state.next]
        if unmet_requirement(self.policy, point, state.counts):
            return None
        stopped = violation(point, state.counts)
        return None if stopped is None else Rule(stopped.rule)

    @cached_property
    def stopped(self) -> frozenset[Rule]:
        """The rules by which the charter has to stop the plan somewhere on plan."""
        concerns = [point.index for point in self.points if point.stage is Stage.CONCERN]
        found = set()
        for state in self.on_plan:
            found.add(self.stops(state))
            # Whoever loses every channel comes by all touches that are left.
            after = (index for index in concerns if index > state.next)
            found.update(self.stops(state._replace(next=index)) for index in after)
        return frozenset(rule for rule in found if rule is not None)

    def least(self, length: Callable[[PlannedTouch], int]) -> dict[State, int]:
        """The least sum of lengths on plan from the first attempt to each state.

        Args:
            length: of the distance from the attempt before to a touch.
        """
        sums = dict.fromkeys((start.state for start in self.starts()), 0)
        for state in self.on_plan:
            if state.next >= self.end:
                continue
            for move in self.moves(state):
                made = move.how == "made" and state.attempts
                so_far = sums[state] + (length(self.points[move.touch]) if made else 0)
                sums[move.to] = min(so_far, sums.get(move.to, so_far))
        return sums

    # Any ------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[State]:
        """Every state there is: attempts off policy, adoption and vetoes lead anywhere."""
        for index in range(self.end):
            for attempts in range(self.most_attempts + 1):
                for spaced_calls in range(SPACED_CAP + 2):
                    for concern in (False, True):
                        for agreed in self.guidelines:
                            yield State(index, _NONE, attempts, spaced_calls, concern, agreed)

    def explore(self) -> tuple[int, int, list[Broken]]:
        """Go through every state; what the engine proposes there must keep the charter.

        Returns:
            How many states and moves there are, and what the engine would let break: nothing,
            unless the charter's own checks are at fault.
        """
        states = transitions = 0
        broken: list[Broken] = []
        furthest = [0] * (self.end + 1)
        for point in self.points:
            before = furthest[point.index]
            kept = before if point.behind_exit else max(before, rank(point.stage))
            furthest[point.index + 1] = kept
        for state in self.entries():
            states += 1
            point = self.points[state.next]
            transitions += 2  # passed over for whatever cause, and an extra in its place
            if unmet_requirement(self.policy, point, state.counts) or violation(
                point, state.counts
            ):
                continue
            for on in (Channel.CALL, None):
                if on is not None and on not in point.channels:
                    continue
                transitions += 1
                after = self.made(state, point, on or Channel.EMAIL)
                rule = self._breaks(state, point, after, furthest[point.index])
                if rule is not None:
                    broken.append(Broken(rule, state, point.name))
        return states, transitions, broken

    def _breaks(
        self, state: State, point: PlannedTouch, after: State, furthest: int
    ) -> Rule | None:
        """The charter, said once more and otherwise, of one touch that the engine lets pass."""
        if after.spaced_calls > max(SPACED_CAP, state.spaced_calls):
            return Rule.SPACED_CAP
        if point.stage is Stage.CONCERN and (state.concern or state.attempts < 5):
            return Rule.CONCERN
        if rank(point.stage) < furthest:
            return Rule.ORDER
        if point.behind_exit:
            return Rule.POLITE_EXIT
        if after.next <= state.next:
            return Rule.BOUNDED
        return None
