"""The prover: does a policy keep the charter on every history, not on a sample of them?

A policy is *proved* when, on every history on plan, the charter never has to stop what the plan
proposes, and on every other history (off policy, late, adopted half-way, guards vetoing at will)
it stops what it must. It is *refuted* by the shortest history on plan on which the engine names a
rule of the charter and stops the plan, or leaves its owner with a task that has no end. Every
counterexample has been played through the engine itself (``policy/rehearsal.py``): where the engine
disagrees with the states, the engine is right and nothing is reported.

How each rule is proved is said in the proof, and at length in ``docs/prover.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from typing import Final

import msgspec

from cadence.core.events import (
    AutoReplyReceived,
    Channel,
    ContactPointFailed,
    Event,
    Intent,
    OptOutRequested,
    PolicyRef,
    ReplyReceived,
)
from cadence.core.stages import OUTREACH, Signal, Stage, look_up
from cadence.errors import UnprovedPolicy
from cadence.policy.bounds import Bounds, bounds, least_days
from cadence.policy.business_time import LocalCalendar
from cadence.policy.catalogue import is_builtin
from cadence.policy.charter import CONCERN_ATTEMPTS, CONCERN_DAYS, Rule, stops
from cadence.policy.decision import Decision, Verdict
from cadence.policy.guards import Custom, Pause
from cadence.policy.model import Policy
from cadence.policy.plan import unmet
from cadence.policy.rehearsal import MONDAY, Rehearsal
from cadence.policy.shrinking import shrinking
from cadence.policy.states import Broken, Found, Graph, Move, Start, State
from cadence.policy.witness import begin, beginnings, play, witness

__all__ = ["CHARTER", "Proof", "RuleProof", "Unreachable", "prove", "require_proof"]

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


class RuleProof(msgspec.Struct, frozen=True):
    """One rule of the charter under one policy.

    Attributes:
        rule: its id.
        proved: whether it holds.
        how: how it was proved, or what refutes it.
        counterexample: where it is refuted, the shortest history, as it can be imported; empty
            where a fault can be seen in the file and no history gets as far.
    """

    rule: Rule
    proved: bool
    how: str
    counterexample: tuple[Event, ...] = ()


class Unreachable(msgspec.Struct, frozen=True):
    """A touch that no history on plan ever makes, and the rule that passes it over."""

    step: str
    rule: str
    because: str


class Proof(msgspec.Struct, frozen=True):
    """What the prover says of a policy.

    Attributes:
        policy: which.
        rules: each rule of the charter.
        bounds: what a silence under it can come to; ``None`` where it is refuted.
        unreachable: touches that are never made; no fault, but hardly meant.
        states: how many were explored.
        transitions: how many moves between them.
    """

    policy: PolicyRef
    rules: tuple[RuleProof, ...]
    bounds: Bounds | None
    unreachable: tuple[Unreachable, ...]
    states: int
    transitions: int

    @property
    def proved(self) -> bool:
        """Whether every rule holds."""
        return all(rule.proved for rule in self.rules)

    @property
    def refuted(self) -> tuple[RuleProof, ...]:
        """The rules that do not hold."""
        return tuple(rule for rule in self.rules if not rule.proved)


def prove(policy: Policy) -> Proof:
    """Prove ``policy``, or refute it with the shortest counterexample for each rule it breaks."""
    graph = Graph(policy)
    states, transitions, broken = graph.explore()
    refuted: dict[Rule, RuleProof] = {}
    for rule, how, events in _refutations(graph, broken):
        if rule not in refuted or len(events) < len(refuted[rule].counterexample):
            refuted[rule] = RuleProof(rule, False, how, events)
    for rule, how in _faults(policy):
        if rule not in refuted:
            refuted[rule] = RuleProof(rule, False, how, _to_the_end(policy, rule))
    how_proved = _how(graph, states)
    rules = tuple(refuted.get(rule) or RuleProof(rule, True, how_proved[rule]) for rule in CHARTER)
    unreachable = tuple(_unreachable(graph))
    found = None if refuted else bounds(graph, {one.step for one in unreachable})
    on_plan = len(graph.on_plan)
    return Proof(policy.ref, rules, found, unreachable, states + on_plan, transitions + on_plan)


def require_proof(policy: Policy, name: str | None = None) -> None:
    """Refuse a policy that the prover refutes; those of the catalogue are known to be proved.

    Args:
        policy: which.
        name: what to call it in the error; its id.

    Raises:
        UnprovedPolicy: it is refuted; names the rules.
    """
    if is_builtin(policy.ref):
        return
    refuted = prove(policy).refuted
    if refuted:
        rules = ", ".join(one.rule for one in refuted)
        called = name or policy.id
        raise UnprovedPolicy(
            f"{called}: policy {policy.id} is refuted: {rules}: {refuted[0].how}",
            f"see the history on which it goes wrong with: cadence policy check {called}",
        )


Refutation = tuple[Rule, str, tuple[Event, ...]]


def _refutations(graph: Graph, broken: list[Broken]) -> Iterator[Refutation]:
    for fault in broken:
        yield fault.rule, f"the engine would make {fault.touch} at {fault.state}", ()
    seen: set[Rule] = set()
    for found in graph.stopped():
        if found.rule not in seen:
            events = witness(graph.policy, found)
            if events is not None:
                seen.add(found.rule)
                yield found.rule, _stopped(graph, found), events
    yield from _early_concern(graph)
    way = shrinking(graph)
    if way is not None:
        start, moves, larger, point = way
        events = play(graph.policy, start, moves, Rule.GAP, point)
        if events is not None:
            after = point.after
            yield Rule.GAP, f"{point.name} comes {after} after a gap of {larger}", events
    yield from _rehearsed(graph)


def _stopped(graph: Graph, found: Found) -> str:
    point = graph.points[found.at.next]
    said = {
        Rule.SPACED_CAP: f"a spaced call after {found.at.spaced_calls}",
        Rule.CONCERN: "a second concern message"
        if found.at.concern
        else f"the concern message after {found.at.attempts} attempts",
        Rule.ORDER: f"stage {point.stage} after a later one",
        Rule.POLITE_EXIT: "a touch after the polite exit",
    }
    return f"{point.name} would be {said[found.rule]}"


def _faults(policy: Policy) -> Iterator[tuple[Rule, str]]:
    """What can be seen to be wrong without any history."""
    step = policy.exit_step
    answer = None if step is None else step.answer_within
    if step is None:
        yield Rule.POLITE_EXIT, "there is no polite exit"
    elif answer is None:
        yield Rule.POLITE_EXIT, f"{step.id} gives them no time to answer"
    elif answer.business_days is None:
        how = f"{step.id} gives them {answer} to answer, not a whole business day"
        yield Rule.POLITE_EXIT, how
    for point in policy.touchpoints:
        if point.behind_exit:
            yield Rule.POLITE_EXIT, f"{point.name} comes behind the polite exit"
        elif point.backward:
            yield Rule.ORDER, f"{point.name}, of stage {point.stage}, comes behind a later stage"


def _to_the_end(policy: Policy, rule: Rule) -> tuple[Event, ...]:
    """A silence up to where the engine stops the plan by ``rule``, or makes good what it lacks.

    Empty where no history on plan gets there, most often because another fault comes first.
    """
    rehearsal = begin(policy, policy.usable, beginnings(policy)[0])
    exit_ = policy.exit_step
    answer = None if exit_ is None else exit_.answer_within
    lacks = answer is None or answer.business_days is None
    for _ in range(_most_events(policy)):
        decision = rehearsal.decision
        if any(one.rule == rule for one in decision.reasons):
            # While they may answer, the exit is a reason of every policy.
            awaited = rehearsal.prospect.exit_delivered() is not None
            if rule is not Rule.POLITE_EXIT or (lacks if awaited else exit_ is None):
                return tuple(rehearsal.events)
        if decision.decision not in (Verdict.DUE, Verdict.WAIT):
            break
        rehearsal.make()
    return ()


def _most_events(policy: Policy) -> int:
    return 2 * len(policy.touchpoints) + 20


def _early_concern(graph: Graph) -> Iterator[Refutation]:
    """A concern message that the plan would send before its 21 days have passed."""
    points = [p for p in graph.points if p.stage is Stage.CONCERN]
    if all(point.step.requires.days >= CONCERN_DAYS for point in points):
        return
    days = graph.least(lambda point: least_days(point, graph.policy.week))
    for point in points:
        if point.step.requires.days >= CONCERN_DAYS:
            continue
        length = least_days(point, graph.policy.week)
        for state in sorted(days, key=lambda state: days[state][0]):
            early = days[state][0] + length < CONCERN_DAYS
            if (
                state.next != point.index
                or not early
                or state.concern
                or state.attempts < CONCERN_ATTEMPTS
            ):
                continue
            found = Found(Rule.CONCERN, *_least_way(graph, days, state), state)
            events = witness(graph.policy, found)
            if events is not None:
                at = max(days[state][0] + length, 0)
                yield (
                    Rule.CONCERN,
                    f"{point.name} would be sent {at} days after the first attempt, not "
                    f"{CONCERN_DAYS}",
                    events,
                )
                return


def _least_way(
    graph: Graph, sums: dict[State, tuple[int, State | None]], state: State
) -> tuple[Start, tuple[Move, ...]]:
    moves: list[Move] = []
    here = state
    before = sums[here][1]
    while before is not None:
        moves.append(next(move for move in graph.moves(before) if move.to == here))
        here = before
        before = sums[here][1]
    start = next(start for start in graph.starts() if start.state == here)
    return start, tuple(reversed(moves))


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
    calendar = LocalCalendar("UTC", policy.week, closed=policy.closed)
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
    for _ in range(3 * len(policy.touchpoints) + 20):
        decision = rehearsal.wait()
        if decision.decision is Verdict.TASK and rehearsal.prospect.stage is not Stage.NEW:
            fault = _fault(decision, alone=not whole)
            if fault is not None:
                reasons = [r for r in decision.reasons if r.rule != Rule.DETERMINISTIC]
                because = "; ".join(reason.because for reason in reasons[:2])
                yield fault, f"it ends in a task: {because}", tuple(rehearsal.events)
            return
        if decision.decision is not Verdict.DUE:
            return
        if anything:
            yield from _whatever_happens(rehearsal)
        rehearsal.make()
    yield Rule.BOUNDED, "the silence does not end", tuple(rehearsal.events)


def _fault(decision: Decision, *, alone: bool) -> Rule | None:
    """The rule that a silence left to its owner breaks; ``None`` where that is in order.

    Whoever can be reached on one channel alone may be one for whom the plan has nothing.
    """
    for reason in decision.reasons:
        if reason.rule in CHARTER and reason.rule != Rule.DETERMINISTIC:
            rule = Rule(reason.rule)
            return None if alone and rule in (Rule.CONTACT_POINT, Rule.OPT_OUT) else rule
    return None


def _whatever_happens(rehearsal: Rehearsal) -> Iterator[Refutation]:
    """At a touch that is due: what comes next if they answer, refuse, go away or are lost?"""
    touch, events = rehearsal.decision.touch, tuple(rehearsal.events)
    assert touch is not None  # it is due
    if rehearsal.imagine(OptOutRequested()).decision is not Verdict.STOP:
        yield Rule.OPT_OUT, f"{touch.step} is not stopped by an opt-out", events
    for part in touch.parts:
        after = rehearsal.imagine(OptOutRequested(part.channel)).touch
        if after is not None and any(other.channel is part.channel for other in after.parts):
            yield Rule.OPT_OUT, f"{part.channel} is used after an opt-out from it", events
        after = rehearsal.imagine(ContactPointFailed(part.channel, part.address)).touch
        if after is not None and any(other.address == part.address for other in after.parts):
            yield Rule.CONTACT_POINT, f"{part.address} is used after it failed", events
    channel = touch.parts[0].channel
    if rehearsal.imagine(ReplyReceived(channel, Intent.NO)).decision is not Verdict.TASK:
        yield Rule.FORGOTTEN, f"a refusal at {touch.step} is not left to the owner", events
    if rehearsal.imagine(AutoReplyReceived(channel)).decision is Verdict.CLOSE:
        yield Rule.POLITE_EXIT, f"an automatic reply at {touch.step} closes the file", events


# What is said -------------------------------------------------------------------------------------


def _unreachable(graph: Graph) -> Iterator[Unreachable]:
    """Touches that no way on plan makes."""
    policy = graph.policy
    made: set[int] = set()
    why: dict[int, tuple[str, str]] = {}
    days = graph.least(lambda point: 0 if point.after is None else point.after.gap[0])
    for start in graph.starts():
        if start.how == "own":
            made.add(start.state.next - 1)
    for state, (so_far, _) in days.items():
        if state.next >= graph.end:
            continue
        point = graph.points[state.next]
        gap = point.after.gap[0] if point.after is not None and state.attempts else 0
        because = unmet(policy, point, state.counts)
        rule = stops(point, state.counts)
        if because is not None:
            why.setdefault(point.index, (Rule.PLAN, because))
        elif rule is not None:
            why.setdefault(point.index, (rule, f"stopped by {rule}"))
        elif not (point.channels & policy.usable) - state.lost:
            why.setdefault(point.index, (Rule.CONTACT_POINT, "nobody has a channel for it"))
        elif so_far + gap > policy.horizon_business_days:
            because = f"it lies {so_far + gap} business days after the first attempt at least"
            why.setdefault(point.index, (Rule.HORIZON, because))
        else:
            made.add(point.index)
    for point in graph.points:
        if point.index not in made:
            found = why.get(point.index, (Rule.ORDER, "no way leads to it"))
            yield Unreachable(point.name, *found)


def _how(graph: Graph, states: int) -> dict[Rule, str]:
    """In one sentence each, how a rule that holds was proved."""
    policy = graph.policy
    on_plan, touches = len(graph.on_plan), len(graph.points)
    everywhere = f"in none of {on_plan} states on plan the charter has to stop the plan for it"
    stopped = f"and in all {states} it does"
    own = [guard.function for guard in policy.guards if isinstance(guard, Custom)]
    functions = f", as far as {', '.join(own)} answer the same when asked the same" if own else ""
    never = all(
        look_up(Stage.OPTED_OUT, Signal(f"attempt_{stage}")).stage is Stage.OPTED_OUT
        for stage in OUTREACH
    )
    assert never  # tests/test_stages.py walks every cell
    return {
        Rule.OPT_OUT: "no cell of the stage table leads from opted_out to outreach; tried at each "
        f"of {touches} touches, for all channels and for each",
        Rule.SPACED_CAP: f"{everywhere}, {stopped}",
        Rule.GAP: "no planned gap is smaller than one before it, whatever is passed over, and the "
        "engine takes the larger of plan and ratchet",
        Rule.POLITE_EXIT: "one polite exit, the last step, with at least a business day to answer; "
        "every silence was played to its end",
        Rule.BOUNDED: f"every move goes forward through {touches} touches, and nothing but the "
        f"exit is proposed behind {policy.horizon_business_days} business days",
        Rule.FORGOTTEN: f"each of {states} states has a touch, the exit or a task next; every "
        "silence that was played came to its end",
        Rule.CONCERN: f"{everywhere}, nor to delay it, {stopped}",
        Rule.CONTACT_POINT: "a lost channel is passed over wherever it is lost; tried at each of "
        f"{touches} touches, and with each channel alone",
        Rule.GUARD: f"{_guards(policy)} may delay and veto in any state; the engine takes the "
        "later time, passes over what is vetoed, and holds what fails",
        Rule.DETERMINISTIC: f"next_touch is a function of events, policy and now{functions}",
        Rule.ORDER: f"no step is behind a later stage, and in all {states} states none goes back",
    }


def _guards(policy: Policy) -> str:
    names = ", ".join(guard.name for guard in policy.guards)
    return f"guards ({names})" if names else "no guard"
