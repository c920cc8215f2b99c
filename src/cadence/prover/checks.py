"""What refutes a policy: for each rule that it breaks, the shortest history that shows it.

Three kinds of faults. What the *states* show: the charter has to stop the plan somewhere on plan,
or a planned gap shrinks; ways there are searched in order of their events, and the first on which
the engine names the rule is the counterexample. What *can be seen in the file*: an exit that is
missing or leaves no time to answer. What only *playing* shows: silences are played through the
engine to their end, with everything that can happen tried at each touch.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import Final

from cadence.domain.events import (
    AutoReplyReceived,
    Channel,
    ContactPointFailed,
    Event,
    Intent,
    OptOutRequested,
    ReplyReceived,
)
from cadence.domain.stages import Stage
from cadence.engine.decision import Decision, Verdict
from cadence.engine.invariants import CONCERN_ATTEMPTS, CONCERN_DAYS
from cadence.engine.reasons import Reason
from cadence.engine.schedule import unmet_requirement
from cadence.policy.guards import Pause
from cadence.policy.model import PlannedTouch, Policy
from cadence.policy.rules import Rule
from cadence.prover.bounds import least_days
from cadence.prover.gap_check import shrinking
from cadence.prover.search import Node, ways
from cadence.prover.simulation import MONDAY, Rehearsal
from cadence.prover.state_space import Broken, Graph, State
from cadence.prover.witness import begin, beginnings, go, play, play_to_the_exit
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = ["CHARTER", "Refutation", "refutations"]

CHARTER: Final = (
    Rule.OPT_OUT,
    Rule.SPACED_CAP,
    Rule.GAP,
    Rule.POLITE_EXIT,
    Rule.BOUNDED,
    Rule.FORGOTTEN,
    Rule.CONCERN,
    Rule.CONTACT_POINT,
    Rule.GUARD,
    Rule.DETERMINISTIC,
    Rule.ORDER,
)
"""The rules of the charter, in its order."""

Refutation = tuple[Rule, str, tuple[Event, ...]]
"""The rule, what breaks it, and a history on which the engine names it.

The history is empty where a fault can be seen in the file and no history gets as far.
"""

_TRIES: Final = 500
"""How many ways are played before the engine is taken to disagree with the states."""


def refutations(graph: Graph, broken: list[Broken]) -> Iterator[Refutation]:
    """Everything that refutes a policy; of two for one rule the shorter counts.

    Args:
        graph: its states.
        broken: what the engine itself would let break, from :meth:`Graph.explore`.
    """
    for fault in broken:
        yield fault.rule, f"the engine would make {fault.touch} at {fault.state}", ()
    yield from _stopped(graph)
    yield from _early_concern(graph)
    yield from _shrinking(graph)
    yield from _misplaced(graph)
    yield from _exit(graph)
    for rule, how, events in _rehearsed(graph):
        yield rule, how, events
        if rule in (Rule.FORGOTTEN, Rule.GUARD):
            yield from _left_sooner(graph, rule, len(events))


# In the states ------------------------------------------------------------------------------------


def _stopped(graph: Graph) -> Iterator[Refutation]:
    """The charter has to stop what the plan proposes."""
    for rule in sorted(graph.stopped & {Rule.SPACED_CAP, Rule.CONCERN}):

        def is_stopped(node: Node, rule: Rule = rule) -> bool:
            return graph.stops(node.state) is rule

        for found in islice(ways(graph, is_stopped), _TRIES):
            point = graph.points[found.at.state.next]
            events = play(graph.policy, found, rule, point)
            if events is not None:
                yield rule, f"{point.name} would be {_said(rule, found.at.state)}", events
                break


def _said(rule: Rule, state: State) -> str:
    if rule is Rule.SPACED_CAP:
        return f"a spaced call after {state.spaced_calls}"
    if rule is Rule.CONCERN and state.concern:
        return "a second concern message"
    plural = "" if state.attempts == 1 else "s"
    return f"the concern message after {state.attempts} attempt{plural}"


def _early_concern(graph: Graph) -> Iterator[Refutation]:
    """A concern message that the plan would send before its 21 days have passed."""

    def length(point: PlannedTouch) -> int:
        return least_days(point, graph.policy.week)

    def is_early(state: State, days: int) -> bool:
        if state.next == graph.end:
            return False
        point = graph.points[state.next]
        return (
            point.stage is Stage.CONCERN
            and point.step.requires.days < CONCERN_DAYS
            and days + length(point) < CONCERN_DAYS
            and not state.concern
            and state.attempts >= CONCERN_ATTEMPTS
        )

    def days_after(node: Node, point: PlannedTouch) -> int:
        days: int = node.carried  # type: ignore[assignment]
        return min(CONCERN_DAYS, days + length(point)) if node.state.attempts else 0

    def goal(node: Node) -> bool:
        days: int = node.carried  # type: ignore[assignment]
        return is_early(node.state, days)

    least = graph.least(length)
    if not any(is_early(state, days) for state, days in least.items()):
        return
    for found in islice(ways(graph, goal, carried=0, carry=days_after), _TRIES):
        point = graph.points[found.at.state.next]
        events = play(graph.policy, found, Rule.CONCERN, point)
        if events is not None:
            days = days_after(found.at, point)
            how = f"{point.name} would be sent {days} days after the first attempt, not "
            yield Rule.CONCERN, f"{how}{CONCERN_DAYS}", events
            return


def _shrinking(graph: Graph) -> Iterator[Refutation]:
    """A planned gap that is smaller than one before it."""
    for found, larger, point in islice(shrinking(graph), _TRIES):
        events = play(graph.policy, found, Rule.GAP, point)
        if events is not None:
            yield Rule.GAP, f"{point.name} comes {point.after} after a gap of {larger}", events
            return


# In the file --------------------------------------------------------------------------------------


def _exit(graph: Graph) -> Iterator[Refutation]:
    """A polite exit that is missing, or leaves them no time to answer."""
    policy = graph.policy
    step = policy.exit_step
    answer = None if step is None else step.answer_within
    if step is None:
        yield Rule.POLITE_EXIT, "there is no polite exit", _to_the_exit(graph)
    elif answer is None or answer.business_days is None:
        given = "no time to answer"
        if answer is not None:
            given = f"{answer} to answer, not a whole business day"
        yield Rule.POLITE_EXIT, f"{step.id} gives them {given}", _to_the_exit(graph)


def _to_the_exit(graph: Graph) -> tuple[Event, ...]:
    """The shortest silence at whose end the engine makes good what the exit lacks."""

    def at_the_end(node: Node) -> bool:
        return bool(node.have) and node.state.next == graph.end

    for found in islice(ways(graph, at_the_end, late=True), _TRIES):
        events = play_to_the_exit(graph.policy, found)
        if events is not None:
            return events
    return ()


def _misplaced(graph: Graph) -> Iterator[Refutation]:
    """Touches behind the polite exit, or behind a later stage, where they can't be made.

    They are ahead of every other until they are met: the first look beyond them names the rule.
    """
    for rule in (Rule.POLITE_EXIT, Rule.ORDER):
        points = [point for point in graph.points if _rule_of_place(point) is rule]
        if not points:
            continue
        how = f"{points[0].name} comes behind the polite exit"
        if rule is Rule.ORDER:
            how = f"{points[0].name}, of stage {points[0].stage}, comes behind a later stage"
        yield rule, how, _met(graph, rule, points)


def _met(graph: Graph, rule: Rule, points: list[PlannedTouch]) -> tuple[Event, ...]:
    """The shortest silence on which the engine comes by one of ``points``."""

    def is_met(node: Node) -> bool:
        return any(
            point.index <= node.state.next
            and not unmet_requirement(graph.policy, point, node.state.counts)
            for point in points
        )

    tried = islice(ways(graph, is_met), _TRIES)
    met = (play(graph.policy, found, rule) for found in tried)
    return next((events for events in met if events is not None), ())


def _rule_of_place(point: PlannedTouch) -> Rule | None:
    if point.behind_exit:
        return Rule.POLITE_EXIT
    return Rule.ORDER if point.backward else None


# Through the engine -------------------------------------------------------------------------------


def _rehearsed(graph: Graph) -> Iterator[Refutation]:
    """Silences played through to their end, with everything that can happen tried at each touch.

    One prospect has a contact point on each channel, others on one alone; a silence begins with
    an appointment, the owner's own attempt, a pause, and around each pause that a guard makes.
    """
    policy = graph.policy
    agreed = True in graph.guidelines
    first, *others = beginnings(policy)
    yield from _to_its_end(policy, policy.usable, first, guidelines=agreed, anything=True)
    for how in others:
        yield from _to_its_end(policy, policy.usable, how, guidelines=agreed)
    for channel in Channel:
        if channel in policy.usable and len(policy.usable) > 1:
            yield from _to_its_end(policy, {channel}, first, guidelines=agreed)
    for day in _long_stops(policy):
        around = datetime.combine(day, time(), UTC)
        for how in beginnings(policy)[-1:]:
            yield from _to_its_end(policy, policy.usable, how, around=around)


def _long_stops(policy: Policy) -> Iterator[date]:
    """Days on which something begins that may last: a pause, or a long row of closed days."""
    for guard in policy.guards:
        if isinstance(guard, Pause):
            yield guard.first_day
    calendar = ZoneCalendar("UTC", policy.week, closed=policy.closed)
    for day in sorted(policy.calendar.closed):
        if calendar.next_open(datetime.combine(day, time(), UTC)) is None:
            yield day
            return


def _to_its_end(
    policy: Policy,
    channels: AbstractSet[Channel],
    how: str,
    *,
    guidelines: bool = False,
    around: datetime = MONDAY,
    anything: bool = False,
) -> Iterator[Refutation]:
    rehearsal = begin(policy, channels, how, guidelines=guidelines, around=around)
    whole = channels == policy.usable
    for _ in range(3 * len(policy.planned_touches) + 20):
        decision = rehearsal.wait()
        if decision.verdict is Verdict.TASK and rehearsal.prospect.stage is not Stage.NEW:
            fault = _fault(decision, alone=not whole)
            if fault is not None:
                yield fault, _ending(decision), tuple(rehearsal.events)
            return
        if decision.verdict is not Verdict.DUE:
            return
        if anything:
            yield from _whatever_happens(rehearsal)
        rehearsal.make()
    yield Rule.BOUNDED, "the silence does not end", tuple(rehearsal.events)


def _fault(decision: Decision, *, alone: bool) -> Rule | None:
    """The rule that a silence left to its owner breaks; ``None`` where that is in order.

    Whoever can be reached on one channel alone may be one for whom the plan has nothing.
    """
    for reason in _own_reasons(decision):
        if reason.rule in CHARTER:
            rule = Rule(reason.rule)
            return None if alone and rule in (Rule.CONTACT_POINT, Rule.OPT_OUT) else rule
    return None


def _ending(decision: Decision) -> str:
    because = "; ".join(reason.because for reason in _own_reasons(decision)[:2])
    return f"it ends in a task: {because}"


def _own_reasons(decision: Decision) -> list[Reason]:
    """The reasons of a task itself: neither the data it was decided under, nor its deadline."""
    return [
        reason
        for reason in decision.reasons
        if reason.rule != Rule.DETERMINISTIC and reason.code != "escalate"
    ]


def _left_sooner(graph: Graph, rule: Rule, events: int) -> Iterator[Refutation]:
    """A silence of fewer than so many ``events`` that is left to its owner by ``rule``, if any."""

    def anywhere(node: Node) -> bool:
        return True

    for found in islice(ways(graph, anywhere, late=True), _TRIES):
        if found.events >= events:
            return
        rehearsal = go(graph.policy, found, rule)
        if rehearsal is None or rehearsal.decision.verdict is not Verdict.TASK:
            continue
        same = _fault(rehearsal.decision, alone=True) is rule
        if same and len(rehearsal.events) < events:
            yield rule, _ending(rehearsal.decision), tuple(rehearsal.events)
            return


def _whatever_happens(rehearsal: Rehearsal) -> Iterator[Refutation]:
    """At a touch that is due: what comes next if they answer, refuse, go away or are lost?"""
    touch, events = rehearsal.decision.touch, tuple(rehearsal.events)
    assert touch is not None  # it is due
    if rehearsal.imagine(OptOutRequested()).verdict is not Verdict.STOP:
        yield Rule.OPT_OUT, f"{touch.step} is not stopped by an opt-out", events
    for part in touch.parts:
        after = rehearsal.imagine(OptOutRequested(part.channel)).touch
        if after is not None and any(other.channel is part.channel for other in after.parts):
            yield Rule.OPT_OUT, f"{part.channel} is used after an opt-out from it", events
        after = rehearsal.imagine(ContactPointFailed(part.channel, part.address)).touch
        if after is not None and any(other.address == part.address for other in after.parts):
            yield Rule.CONTACT_POINT, f"{part.address} is used after it failed", events
    channel = touch.parts[0].channel
    if rehearsal.imagine(ReplyReceived(channel, Intent.NO)).verdict is not Verdict.TASK:
        yield Rule.FORGOTTEN, f"a refusal at {touch.step} is not left to the owner", events
    if rehearsal.imagine(AutoReplyReceived(channel)).verdict is Verdict.CLOSE:
        yield Rule.POLITE_EXIT, f"an automatic reply at {touch.step} closes the file", events
