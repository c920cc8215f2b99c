"""The states that a silence under a policy can be in, and what can happen in each.

A state is what of a history can decide which touch comes next: how far the plan has come, what the
invariants count, and the channels on which the prospect can be reached. It has no gaps: that gaps
never shrink is judged beside (``prover/checks.py``), or the states would grow with their square.

:meth:`StateSpace.steps` is the only place that says what can happen. It takes two kinds of states.
In an *exact* state the prospect's channels are known; the search for the shortest history uses
these. In an *open* state they are not: each attempt may use any channel that was not lost since the
attempt before. An open state stands for many exact ones, so a few hundred are enough for a proof.

*On plan* are the open states that a silence reaches by touches of the plan, made on time or late,
lapsed, or skipped because their channels are lost: there no invariant may have to stop the plan.
*Entries* are all open states, on plan or not: after attempts off policy, after an adoption in the
middle of a silence, after guards have vetoed at will. There the plan may propose what an invariant
forbids, and the engine must stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from itertools import combinations, product
from typing import Final, Literal, NamedTuple, TypeVar

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.stages import Stage, rank
from cadence.engine import invariants
from cadence.engine.invariants import CONCERN_ATTEMPTS, SPACED_CAP, Counts
from cadence.engine.schedule import unmet_requirement
from cadence.policy.model import PlannedTouch, Policy

__all__ = [
    "Beginning",
    "Channels",
    "Start",
    "State",
    "StateSpace",
    "Step",
    "UnstoppedTouch",
    "channels_used",
]

Channels = frozenset[Channel]
Value = TypeVar("Value")

_NONE: Final[Channels] = frozenset()

_MANY: Final = 1_000_000
"""More attempts than any silence has: what a check says here it says of every larger number."""

_Answer = str | bool | tuple[str, ...]
"""What becomes of a touch: the invariant that stops it, ``True`` for an unmet requirement, or the
invariants that it breaks where the engine would make it (none, if the engine is right)."""


class State(NamedTuple):
    """Histories that can't be told apart by what comes next.

    Attributes:
        next: the index of the touch that is looked at; those before it are behind.
        counts: what the invariants and the policy count. On plan the largest number of attempts
            stands for more, and so does one spaced call more than the cap.
        have: the channels on which the prospect can be reached; ``None`` in an open state.
        lost: the channels that were lacking when touches were skipped since the last attempt.
    """

    next: int
    counts: Counts
    have: Channels | None = None
    lost: Channels = _NONE


StepKind = Literal["made", "failed", "lapsed", "skipped", "lost", "found", "late"]


class Step(NamedTuple):
    """Something that happens in a silence.

    Attributes:
        kind: ``made`` and ``failed`` are attempts; on a failed one the contact points of
            ``channels`` turn out to be wrong. A touch ``lapsed``, or was ``skipped``. Contact
            points of ``channels`` are ``lost`` or ``found``. ``late``: only the exit is left.
        touch: the touch that it happens to.
        channels: those that are used, lost or found.
        events: how many events say so.
        unusual: whether it is out of the ordinary; of histories as short the plainest is shown.
    """

    kind: StepKind
    touch: PlannedTouch | None
    channels: Channels = _NONE
    events: int = 0
    unusual: int = 0

    @property
    def is_attempt(self) -> bool:
        """Whether the touch was made."""
        return self.kind in ("made", "failed")


class Beginning(StrEnum):
    """With what a silence begins."""

    ADDED = "added"
    """With nothing yet: the prospect was only added."""
    APPOINTMENT = "appointment"
    OWN = "own"
    """With an attempt of the owner's own, which is not answered."""
    PAUSE = "pause"


class Start(NamedTuple):
    """How a silence begins, and the state that this leads to.

    Attributes:
        beginning: with what.
        state: the state after it.
        on: the channel of the owner's own attempt.
        is_wrong: whether that attempt's contact point turned out to be wrong.
    """

    beginning: Beginning
    state: State
    on: Channel | None = None
    is_wrong: bool = False

    @property
    def channels(self) -> Channels:
        """The channels on which the prospect can be reached at first."""
        own = _NONE if self.on is None else frozenset({self.on})
        return (self.state.have or _NONE) | own

    @property
    def events(self) -> int:
        """How many events it takes."""
        return 2 + self.state.counts.guidelines


class UnstoppedTouch(NamedTuple):
    """A touch that the engine would make, and the invariant that this breaks."""

    rule: str
    counts: Counts
    touch: str


def channels_used(touch: PlannedTouch, have: Channels) -> Channels:
    """Return the channels on which ``touch`` is made for a prospect reached on ``have``."""
    taken: set[Channel] = set()
    for part in touch.parts:
        if part.along_with is None or part.along_with in taken:
            free = (c for c in part.channels if c in have and c not in taken)
            taken.update(channel for channel in [next(free, None)] if channel is not None)
    return frozenset(taken)


class StateSpace:
    """The states of one policy, and the steps between them.

    Attributes:
        policy: whose.
        touches: those of its plan, in order.
        end: the index behind the last of them, where only the polite exit is left.
        attempts: the numbers of attempts that some check tells apart. Each stands for those up to
            the next, and the last for every larger number.
        spaced_calls: the same of the spaced calls.
        most_attempts: the number of attempts on plan that stands for more.
        guidelines: whether the prospect may have agreed to be followed up, as far as it matters.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.touches = policy.planned_touches
        self.end = len(self.touches)
        self.guidelines = (False, True) if policy.asks_guidelines else (False,)
        self._usable = [touch.channels & policy.usable for touch in self.touches]
        self._judged: dict[tuple[int, Counts], str | bool] = {}
        self._breaks = [
            (row.id, row.breaks) for row in invariants.INVARIANTS if row.breaks is not None
        ]
        self.attempts, self.spaced_calls = self._counts_told_apart()
        # On plan a silence has no more attempts than the plan has touches, and one of the owner's.
        self.most_attempts = min(self.attempts[-1], self.end + 1)

    # What can happen ------------------------------------------------------------------------------

    def starts(self) -> Iterator[Start]:
        """Yield every way in which a silence begins in order, as open states."""
        spaced_on = (t.index for t in self.touches if rank(t.stage) >= rank(Stage.SPACED))
        first_spaced = next(spaced_on, self.end)
        # An owner's own attempt, unanswered, is the first spaced one.
        spaced = (t.index + 1 for t in self.touches if t.stage is Stage.SPACED)
        behind = next(spaced, first_spaced)
        for agreed in self.guidelines:
            nothing = Counts(0, 0, False, agreed)
            if self.touches and self.touches[0].step.at is not None:
                yield Start(Beginning.APPOINTMENT, State(0, nothing))
            yield Start(Beginning.PAUSE, State(first_spaced, nothing))
            for channel in self.policy.traits:
                if channel in self.policy.usable:
                    calls = int(channel in self.policy.spoken)
                    state = State(behind, Counts(1, calls, False, agreed))
                    yield Start(Beginning.OWN, state, channel)

    def exact_starts(self) -> Iterator[Start]:
        """Yield the same with every choice of contact points that makes a difference."""
        channels = self._distinct_channels()
        sizes = range(1, len(channels) + 1)
        choices = [frozenset(some) for size in sizes for some in combinations(channels, size)]
        for beginning, state, on, _ in self.starts():
            for have in choices:
                if on is None:
                    yield Start(beginning, state._replace(have=have))
                elif on in have:
                    yield Start(beginning, state._replace(have=have), on)
                    yield Start(beginning, state._replace(have=have - {on}), on, is_wrong=True)

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield what can happen at ``state``, with the state after it; nothing at the end."""
        if state.next == self.end:
            return
        touch = self.touches[state.next]
        ahead = state._replace(next=state.next + 1)
        if self.is_skipped(state):
            yield Step("skipped", touch), ahead
            return
        usable, have = self._usable[state.next], state.have
        left = usable - state.lost if have is None else usable & have
        lacking = ahead._replace(lost=state.lost | usable, have=have and have - left)
        for on in self._channels_used(state):
            yield Step("made", touch, on, 1), self.attempted(state, on)
            for wrong in () if have is None else _may_be_wrong(on):
                yield Step("failed", touch, wrong, 1, 1), self.attempted(state, on, wrong)
        if not left:
            yield Step("skipped", touch), lacking
        else:
            if touch.step.within is not None:
                yield Step("lapsed", touch, unusual=1), ahead
            yield Step("lost", touch, left, len(left), 1), lacking
        if have is not None:
            # A touch that was skipped for want of a channel is next again when one is found.
            for channel in sorted(usable - have - state.lost):
                found = frozenset({channel})
                yield Step("found", touch, found, 1, 1), state._replace(have=have | found)

    def leave(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield the step of leaving everything undone until only the exit is left, if it can be."""
        if state.have and state.counts.attempts:
            # Without an exit to be made, something else must happen for a history to show it.
            events = int(self.policy.exit_point is None)
            yield Step("late", None, state.have, events, 1), state._replace(next=self.end)

    def attempted(self, state: State, on: Channels, wrong: Channels = _NONE) -> State:
        """Return the state after the touch at ``state`` was made.

        Args:
            state: where.
            on: the channels that were used. What was lost may be found again.
            wrong: those whose contact point turned out to be wrong.
        """
        touch = self.touches[state.next]
        so_far = _counted(touch, state.counts, is_call=not self.policy.spoken.isdisjoint(on))
        counts = msgspec.structs.replace(
            so_far,
            attempts=min(self.most_attempts, so_far.attempts),
            spaced_calls=min(self.spaced_calls[-1], so_far.spaced_calls),
        )
        return State(state.next + 1, counts, None if state.have is None else state.have - wrong)

    # What stops a touch ---------------------------------------------------------------------------

    def violation(self, state: State) -> str | None:
        """Return the invariant that stops the touch at ``state``, if one does.

        Whether the prospect has a channel for it is not asked: the engine names the rule first.
        """
        if state.next == self.end:
            return None
        found = self._judge(self.touches[state.next], state.counts)
        return None if isinstance(found, bool) else found

    def is_skipped(self, state: State) -> bool:
        """Whether the touch at ``state`` is never made there: stopped, or a requirement unmet."""
        return self._judge(self.touches[state.next], state.counts) is not False

    def may_be_made(self, state: State) -> bool:
        """Whether the touch at ``state`` is proposed there, to a prospect who has a channel."""
        return not self.is_skipped(state) and bool(self._channels_used(state))

    def _judge(self, touch: PlannedTouch, counts: Counts) -> str | bool:
        """Return the invariant that stops ``touch``; else whether a requirement of it is unmet."""
        key = touch.index, counts
        known = self._judged.get(key)
        if known is None:
            known = unmet_requirement(self.policy, touch, counts) is not None
            if not known:
                found = invariants.violation(touch, counts)
                known = found is not None and found.rule
            self._judged[key] = known
        return known

    def _channels_used(self, state: State) -> tuple[Channels, ...]:
        """Return every choice of channels on which the touch at ``state`` can be made there."""
        if state.have is not None:
            on = channels_used(self.touches[state.next], state.have & self.policy.usable)
            return (on,) if on else ()
        # What matters of an attempt is whether it is a call.
        left = self._usable[state.next] - state.lost
        spoken, known = self.policy.spoken, [one for one in self.policy.traits if one in left]
        call = next((channel for channel in known if channel in spoken), None)
        other = next((channel for channel in known if channel not in spoken), None)
        return tuple(frozenset({on}) for on in (call, other) if on is not None)

    def _distinct_channels(self) -> tuple[Channel, ...]:
        """Return the channels of the plan, and one that no touch uses: all such are alike."""
        exit_point, usable = self.policy.exit_point, self.policy.usable
        touches = [*self.touches, *([exit_point] if exit_point else [])]
        asked = {c for touch in touches for part in touch.parts for c in part.channels} & usable
        others = [channel for channel in self.policy.traits if channel in usable - asked]
        return (*(channel for channel in self.policy.traits if channel in asked), *others[:1])

    # On plan --------------------------------------------------------------------------------------

    @cached_property
    def open_states(self) -> dict[State, tuple[tuple[Step, State], ...]]:
        """Every open state that a silence begun in order comes to, with its steps."""
        found: dict[State, tuple[tuple[Step, State], ...]] = {}
        unseen = [start.state for start in self.starts()]
        while unseen:
            state = unseen.pop()
            if state not in found:
                found[state] = tuple(self.steps(state))
                unseen += [after for _, after in found[state]]
        return dict(sorted(found.items(), key=lambda item: item[0].next))

    @cached_property
    def on_plan(self) -> dict[State, tuple[tuple[Step, State], ...]]:
        """The open states in which the prospect can still be reached, in the order of the plan."""
        every = self.policy.usable
        return {
            state: tuple((step, after) for step, after in steps if after.lost != every)
            for state, steps in self.open_states.items()
            if state.lost != every
        }

    def along_plan(
        self,
        first: Callable[[State], Value],
        following: Callable[[Value, State, Step], Value],
        choose: Callable[[Value, Value], Value],
    ) -> dict[State, Value]:
        """Carry a value from the starts to each state on plan.

        Args:
            first: the value at a start.
            following: the value after a step, from the one before, the state and the step.
            choose: which of two values is kept where two paths meet.
        """
        values: dict[State, Value] = {}

        def put(state: State, value: Value) -> None:
            values[state] = choose(values[state], value) if state in values else value

        for start in self.starts():
            put(start.state, first(start.state))
        for state, steps in self.on_plan.items():
            for step, after in steps:
                put(after, following(values[state], state, step))
        return values

    def least(self, length: Callable[[PlannedTouch], int]) -> dict[State, int]:
        """Return the least sum of lengths on plan from the first attempt to each state.

        Args:
            length: of the distance from the attempt before to a touch.
        """

        def following(so_far: int, state: State, step: Step) -> int:
            if step.touch is None or not step.is_attempt or not state.counts.attempts:
                return so_far
            return so_far + length(step.touch)

        return self.along_plan(lambda _: 0, following, min)

    # Entries --------------------------------------------------------------------------------------

    def explore(self) -> tuple[int, int, list[UnstoppedTouch]]:
        """Go through every entry; whatever the engine proposes there must keep the invariants.

        Entries are all open states there are: attempts off policy, an adoption in the middle of a
        silence and vetoes of guards lead anywhere.

        Returns:
            How many states and steps there are, and what the engine would let a touch break:
            nothing, unless the checks of the invariants are wrong themselves.
        """
        every = self._entries(self.attempts, self.spaced_calls)
        transitions = 0
        unstopped: list[UnstoppedTouch] = []
        for touch in self.touches:
            calls = 1 + touch.may_be_call
            for counts in every:
                transitions += 2  # skipped for whatever cause, and an extra in its place
                answer = self._answer(touch, counts)
                if isinstance(answer, tuple):
                    transitions += calls
                    unstopped += [UnstoppedTouch(rule, counts, touch.name) for rule in answer]
        return len(every) * self.end, transitions, unstopped

    def _entries(self, attempts: Iterable[int], spaced_calls: Iterable[int]) -> list[Counts]:
        """Return every combination of what is counted."""
        return [
            Counts(made, calls, concern_asked, agreed)
            for made, calls in product(attempts, spaced_calls)
            for concern_asked in (False, True)
            for agreed in self.guidelines
        ]

    def _answer(self, touch: PlannedTouch, counts: Counts) -> _Answer:
        """Return what becomes of ``touch`` at an entry."""
        judged = self._judge(touch, counts)
        if judged is not False:
            return judged
        broken: tuple[str, ...] = ()
        for is_call in (True, False) if touch.may_be_call else (False,):
            after = _counted(touch, counts, is_call=is_call)
            for rule, breaks in self._breaks:
                if breaks(touch, counts, after):
                    broken += (rule,)
        return broken

    def _counts_told_apart(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the numbers of attempts, and of spaced calls, that some check tells apart.

        The policy says what it counts up to. The table of invariants does not: its checks are
        functions. So each is asked what it says of a great many. Where that is not what it says of
        few, the numbers between are halved until the one is found at which the answer turns. Both
        statements of a row are asked, ``stops`` and ``breaks``: where they part, the numbers at
        which they do are explored. A check must not change its answer and then change it back.
        """
        asked = [touch.step.requires.attempts for touch in self.touches]
        few = max(CONCERN_ATTEMPTS, self.policy.limits.attempts or 0, *asked, 0)
        attempts, spaced_calls = set(range(few + 1)), set(range(SPACED_CAP + 2))
        others = self._entries([few], [*spaced_calls, _MANY])
        attempts.update(self._turns("attempts", others))
        others = self._entries([*attempts, _MANY], [SPACED_CAP + 1])
        spaced_calls.update(self._turns("spaced_calls", others))
        return tuple(sorted(attempts)), tuple(sorted(spaced_calls))

    def _turns(self, counted: str, entries: list[Counts]) -> Iterator[int]:
        """Yield each larger number of what is ``counted`` at which the answer at an entry turns."""
        many = [msgspec.structs.replace(counts, **{counted: _MANY}) for counts in entries]
        for touch in self.touches:
            for few, most in zip(entries, many, strict=True):
                if self._answer(touch, few) != self._answer(touch, most):

                    def answer(n: int, touch: PlannedTouch = touch, few: Counts = few) -> _Answer:
                        return self._answer(touch, msgspec.structs.replace(few, **{counted: n}))

                    yield from _turns_between(answer, getattr(few, counted), _MANY)


def _turns_between(answer: Callable[[int], _Answer], low: int, high: int) -> Iterator[int]:
    """Yield each number up to ``high`` at which the answer is not that of the number before."""
    if answer(low) != answer(high):
        if high - low == 1:
            yield high
        else:
            middle = (low + high) // 2
            yield from _turns_between(answer, low, middle)
            yield from _turns_between(answer, middle, high)


def _counted(touch: PlannedTouch, so_far: Counts, *, is_call: bool) -> Counts:
    """Return the counts after ``touch`` was made."""
    return Counts(
        so_far.attempts + 1,
        so_far.spaced_calls + (is_call and touch.stage is Stage.SPACED),
        so_far.concern_asked or touch.stage is Stage.CONCERN,
        so_far.guidelines,
    )


def _may_be_wrong(on: Channels) -> tuple[Channels, ...]:
    """Return which contact points of an attempt may turn out to be wrong: all, or one of them."""
    return tuple(dict.fromkeys((on, *(frozenset({channel}) for channel in sorted(on)))))
