"""Find what refutes a policy: for each rule that it breaks, the shortest history that shows it.

There are three kinds of checks. *Searched*: an invariant has to stop the plan in some state, or a
planned gap shrinks; the shortest path there on which the engine names the rule is shown. *Seen in
the file*: a polite exit that is missing or leaves no time to answer, a step where none can be made.
*Played*: silences are played to their end (``prover/played.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice, product
from typing import Final, NamedTuple

from cadence.domain.events import Event
from cadence.domain.plurals import plural
from cadence.domain.stages import OUTREACH, Signal, Stage, look_up
from cadence.engine import invariants
from cadence.engine.decision import Task
from cadence.engine.invariants import CONCERN_ATTEMPTS, CONCERN_DAYS, Invariant, ProvedBy
from cadence.engine.schedule import unmet_requirement
from cadence.policy.model import PlannedTouch
from cadence.policy.rules import Rule
from cadence.prover.bounds import least_days
from cadence.prover.frequency import too_frequent
from cadence.prover.played import fault_of, play_silences, words_of_task
from cadence.prover.search import TRIES, exact_paths, paths_to
from cadence.prover.simulation import Simulation, history_naming, replay_path
from cadence.prover.state_space import State, StateSpace, Step, UnstoppedTouch
from cadence.prover.weekends import countries, weeks

__all__ = ["Refutation", "refutations"]

Refutation = tuple[str, str, tuple[Event, ...]]
"""The rule, what breaks it, and a history on which the engine names it.

The history is empty where a fault can be seen in the file and no history gets as far.
"""


def refutations(space: StateSpace, unstopped: list[UnstoppedTouch]) -> Iterator[Refutation]:
    """Yield everything that refutes a policy; of two for one rule the shorter counts.

    Args:
        space: its states.
        unstopped: what the engine itself would let break, from :meth:`StateSpace.explore`.
    """
    for found in unstopped:
        yield found.rule, f"the engine would make {found.touch} after {found.counts}", ()
    yield from _stopped_touches(space)
    yield from _early_concern(space)
    for check in _RULES_OF:
        yield from check(space)
    yield from _unjudged()
    shortest: dict[str, int] = {}
    for rule, how, events in play_silences(space):
        yield rule, how, events
        shortest[rule] = min(len(events), shortest.get(rule, len(events)))
    for rule in shortest.keys() & {Rule.FORGOTTEN, Rule.GUARD}:
        yield from _left_sooner(space, rule, shortest[rule])


def _unjudged() -> Iterator[Refutation]:
    """Yield the rows of the table that no check judges: what is not looked at is not proved."""
    judged = {*chain(*_RULES_OF.values()), *_PLAYED, *_BY_CONSTRUCTION}
    for row in invariants.of_policies():
        searched = row.proved_by is ProvedBy.SEARCH
        if (row.stops is None) if searched else (row.id not in judged):
            yield row.id, "no check of the prover judges it", ()


# Searched -----------------------------------------------------------------------------------------


def _stopped_touches(space: StateSpace) -> Iterator[Refutation]:
    """Yield where an invariant has to stop what the plan proposes."""
    stopped = {space.violation(state) for state in space.open_states}
    for row in invariants.of_policies():
        if row.proved_by is not ProvedBy.SEARCH or row.id not in stopped:
            continue
        for path in paths_to(space, partial(_is_stopped, space, row.id)):
            touch = space.touches[path.place[0].next]
            events = history_naming(space.policy, path, row.id, touch)
            if events:
                yield row.id, _words(row, touch, path.place[0]), events
                break


def _is_stopped(space: StateSpace, rule: str, state: State) -> bool:
    return space.violation(state) == rule


def _words(row: Invariant, touch: PlannedTouch, state: State) -> str:
    facts = None if row.stops is None else row.stops(touch, state.counts)
    if row.because is None or facts is None:
        return f"the plan proposes {touch.name}, which {row.id} forbids"
    return f"the plan proposes {touch.name}, but {row.because(facts)}"


def _early_concern(space: StateSpace) -> Iterator[Refutation]:
    """Yield a concern message that the plan would send before its 21 days have passed."""
    every = weeks(space.policy)

    def length(touch: PlannedTouch) -> int:
        return least_days(touch, every)

    def days_after(days: int, state: State, touch: PlannedTouch) -> int:
        return min(CONCERN_DAYS, days + length(touch)) if state.counts.attempts else 0

    def is_early(state: State, days: int) -> bool:
        if state.next == space.end:
            return False
        touch = space.touches[state.next]
        return (
            touch.stage is Stage.CONCERN
            and touch.step.requires.days < CONCERN_DAYS
            and days + length(touch) < CONCERN_DAYS
            and not state.counts.concern_asked
            and state.counts.attempts >= CONCERN_ATTEMPTS
        )

    if not any(is_early(state, days) for state, days in space.least(length).items()):
        return
    early = (path for path in exact_paths(space, 0, days_after) if is_early(*path.place))
    for path, country in product(islice(early, TRIES), (None, *countries(space.policy))):
        state, days = path.place
        touch = space.touches[state.next]
        events = history_naming(space.policy, path, Rule.CONCERN, touch, country)
        if events:
            after = days_after(days, state, touch)
            how = f"{touch.name} would be sent {plural(after, 'day')} after the first attempt"
            yield Rule.CONCERN, f"{how}, not {CONCERN_DAYS}", events
            return


# Gaps ---------------------------------------------------------------------------------------------

Gap = tuple[int, int]
"""Business days, or minutes where those are 0."""

_NO_GAP: Final[Gap] = (0, 0)


class _Gaps(NamedTuple):
    """The largest gap on a path, and the answer time that the last touch gave."""

    largest: Gap = _NO_GAP
    answer: Gap = _NO_GAP

    def larger(self, other: _Gaps) -> _Gaps:
        """Return the larger of each."""
        return _Gaps(max(self.largest, other.largest), max(self.answer, other.answer))

    def after_step(self, state: State, step: Step) -> _Gaps:
        """Return what they are after a step at ``state``."""
        if step.touch is None or not step.is_attempt:
            return self
        return self.after(state, step.touch)

    def after(self, state: State, touch: PlannedTouch) -> _Gaps:
        """Return what they are once ``touch`` was made at ``state``."""
        largest = self.largest
        if state.counts.attempts and touch.after is not None:
            largest = max(largest, _gap(touch), self.answer)
        given = touch.step.answer_within
        return _Gaps(largest, _NO_GAP if given is None else given.gap)


def _gap(touch: PlannedTouch) -> Gap:
    return _NO_GAP if touch.after is None else touch.after.gap


def _shrinking_gap(space: StateSpace) -> Iterator[Refutation]:
    """Yield a planned gap that is smaller than one before it.

    The lemma that spares the search: no touch is planned closer than the largest gap of all paths
    to its state. The engine takes the larger of plan and ratchet, so that lateness, holidays and
    guards only raise gaps.
    """
    largest = space.along_plan(lambda _: _Gaps(), _Gaps.after_step, _Gaps.larger)
    without_answers = ((state, _Gaps(gaps.largest)) for state, gaps in largest.items())
    if not any(_shrinks(space, state, gaps) for state, gaps in without_answers):
        return
    paths = exact_paths(space, _Gaps(), _Gaps.after)
    shrinking = (path for path in paths if _shrinks(space, *path.place))
    for path in islice(shrinking, TRIES):
        touch = _shrinks(space, *path.place)
        events = history_naming(space.policy, path, Rule.GAP, touch)
        if touch is not None and events:
            how = f"{touch.name} comes {touch.after} after a gap of {_gap_words(path.place[1])}"
            yield Rule.GAP, how, events
            return


def _shrinks(space: StateSpace, state: State, gaps: _Gaps) -> PlannedTouch | None:
    """Return the touch that is next at ``state`` if its planned gap is smaller."""
    if state.next == space.end:
        touch = space.policy.exit_point if state.have != frozenset() else None
    else:
        touch = space.touches[state.next] if space.may_be_made(state) else None
    if touch is None or touch.after is None or not state.counts.attempts:
        return None
    return touch if max(_gap(touch), gaps.answer) < gaps.largest else None


def _gap_words(gaps: _Gaps) -> str:
    days, minutes = gaps.largest
    return plural(days, "business day") if days else plural(minutes, "minute")


# Seen in the file ---------------------------------------------------------------------------------


def _faulty_exit(space: StateSpace) -> Iterator[Refutation]:
    """Yield a polite exit that is missing, or leaves no time to answer."""
    step = space.policy.exit_step
    if step is None:
        yield Rule.POLITE_EXIT, "there is no polite exit", _to_the_exit(space)
    elif step.answer_within is None:
        yield Rule.POLITE_EXIT, f"{step.id} gives them no time to answer", _to_the_exit(space)
    elif step.answer_within.business_days is None:
        given = f"{step.answer_within} to answer, not a whole business day"
        yield Rule.POLITE_EXIT, f"{step.id} gives them {given}", _to_the_exit(space)


def _to_the_exit(space: StateSpace) -> tuple[Event, ...]:
    """Return the shortest silence at whose end the engine supplies what the exit lacks."""
    policy = space.policy

    def is_at_the_end(state: State) -> bool:
        return bool(state.have) and state.next == space.end

    for path in paths_to(space, is_at_the_end, may_leave=True):
        simulation = replay_path(policy, path, Rule.POLITE_EXIT)
        if simulation is not None and (policy.exit_point is None or _makes_exit(simulation)):
            if simulation.names(Rule.POLITE_EXIT):
                return tuple(simulation.events)
    return ()


def _makes_exit(simulation: Simulation) -> bool:
    """Make the polite exit; return whether it was next."""
    touch = simulation.wait().touch
    if touch is None or touch.stage is not Stage.POLITE_EXIT:
        return False
    simulation.make()
    return True


def _way_back_from_opt_out(_space: StateSpace) -> Iterator[Refutation]:
    """Yield attempts by which the stage table itself would leave ``opted_out``."""
    for stage in OUTREACH:
        if look_up(Stage.OPTED_OUT, Signal(f"attempt_{stage}")).stage is not Stage.OPTED_OUT:
            yield Rule.OPT_OUT, f"an attempt at stage {stage} leads out of opted_out", ()


def _misplaced_touches(space: StateSpace) -> Iterator[Refutation]:
    """Yield touches behind the polite exit, or behind a later stage, where they can't be made.

    They are ahead of every other until they are met: the first look beyond them names the rule.
    """
    behind = [touch for touch in space.touches if touch.behind_exit]
    if behind:
        how = f"{behind[0].name} comes behind the polite exit"
        yield Rule.POLITE_EXIT, how, _to_any_of(space, Rule.POLITE_EXIT, behind)
    back = [touch for touch in space.touches if touch.backward and not touch.behind_exit]
    if back:
        how = f"{back[0].name}, of stage {back[0].stage}, comes behind a later stage"
        yield Rule.ORDER, how, _to_any_of(space, Rule.ORDER, back)


def _to_any_of(space: StateSpace, rule: str, touches: Iterable[PlannedTouch]) -> tuple[Event, ...]:
    """Return the shortest silence on which the engine comes by one of ``touches``."""

    def is_met(state: State) -> bool:
        return any(
            touch.index <= state.next
            and unmet_requirement(space.policy, touch, state.counts) is None
            for touch in touches
        )

    replayed = (history_naming(space.policy, path, rule) for path in paths_to(space, is_met))
    return next((events for events in replayed if events), ())


# Played -------------------------------------------------------------------------------------------


def _left_sooner(space: StateSpace, rule: str, events: int) -> Iterator[Refutation]:
    """Yield a silence of fewer than so many ``events`` that is left to its owner by ``rule``."""
    for path in paths_to(space, lambda _: True, may_leave=True):
        if path.cost[0] >= events:
            return
        simulation = replay_path(space.policy, path, rule)
        decision = None if simulation is None else simulation.explain()
        if simulation is None or not isinstance(decision, Task):
            continue
        if fault_of(decision, is_alone=True) == rule and len(simulation.events) < events:
            yield rule, words_of_task(decision), tuple(simulation.events)
            return


# Which check judges which invariant ---------------------------------------------------------------

_RULES_OF: Final[dict[Callable[[StateSpace], Iterator[Refutation]], tuple[Rule, ...]]] = {
    _shrinking_gap: (Rule.GAP,),
    too_frequent: (Rule.FREQUENCY,),
    _misplaced_touches: (Rule.ORDER, Rule.POLITE_EXIT),
    _faulty_exit: (Rule.POLITE_EXIT,),
    _way_back_from_opt_out: (Rule.OPT_OUT,),
}
"""What each check of structure can refute. A new one is called by being here."""

_PLAYED: Final = (
    Rule.BOUNDED,
    Rule.OPT_OUT,
    Rule.CONTACT_POINT,
    Rule.FORGOTTEN,
    Rule.GUARD,
    Rule.POLITE_EXIT,
)
"""What silences that are played to their end can refute."""

_BY_CONSTRUCTION: Final = (Rule.DETERMINISTIC,)
"""What no check has to judge: ``next_touch`` is a function of events, policy and now."""
