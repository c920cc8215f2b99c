"""The prover: does a policy keep the charter on every history, not on a sample of them?

A policy is *proved* when, on every history on plan, the charter never has to stop what the plan
proposes, and on every other history (off policy, late, adopted half-way, guards vetoing at will)
it stops what it must. It is *refuted* by the shortest history on plan on which the engine names a
rule of the charter and stops the plan, or leaves its owner with a task that has no end. Every
counterexample has been played through the engine itself (``prover/simulation.py``): where the
engine disagrees with the states, the engine is right and nothing is reported.

How each rule is proved is said in the proof, and at length in ``docs/prover.md``.
"""

from __future__ import annotations

import math

import msgspec

from cadence.domain.events import Event, PolicyRef
from cadence.domain.stages import OUTREACH, Signal, Stage, look_up
from cadence.errors import UnprovedPolicy
from cadence.policy.guards import Custom
from cadence.policy.model import Policy
from cadence.policy.registry import is_builtin
from cadence.policy.rules import Rule
from cadence.prover.bounds import Bounds, bounds
from cadence.prover.checks import CHARTER, refutations
from cadence.prover.reachability import ClosedTurn, Unreachable, closed_turns, unreachable
from cadence.prover.state_space import Graph

__all__ = ["CHARTER", "Proof", "RuleProof", "Unreachable", "prove", "require_proof"]


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


class Proof(msgspec.Struct, frozen=True):
    """What the prover says of a policy.

    Attributes:
        policy: which.
        rules: each rule of the charter.
        bounds: what a silence under it can come to; ``None`` where it is refuted.
        unreachable: touches that are never made; no fault, but hardly meant.
        closed_turns: weekdays to rotate to on which nothing is open; no fault either.
        states: how many were explored.
        transitions: how many moves between them.
    """

    policy: PolicyRef
    rules: tuple[RuleProof, ...]
    bounds: Bounds | None
    unreachable: tuple[Unreachable, ...]
    closed_turns: tuple[ClosedTurn, ...]
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
    for rule, how, events in refutations(graph, broken):
        known = refuted.get(rule)
        if known is None or _length(events) < _length(known.counterexample):
            refuted[rule] = RuleProof(rule, False, how, events)
    how_proved = _how(graph, states)
    rules = tuple(refuted.get(rule) or RuleProof(rule, True, how_proved[rule]) for rule in CHARTER)
    never = tuple(unreachable(graph))
    found = None if refuted else bounds(graph, {one.step for one in never})
    on_plan = len(graph.on_plan)
    turns = tuple(closed_turns(policy))
    return Proof(policy.ref, rules, found, never, turns, states + on_plan, transitions + on_plan)


def _length(events: tuple[Event, ...]) -> float:
    """How many events; a refutation without a history is the last resort."""
    return len(events) or math.inf


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
        raise UnprovedPolicy(
            f"{name or policy.id}: policy {policy.id} is refuted: {rules}: {refuted[0].how}",
            f"see the history on which it goes wrong with: cadence policy check {name or 'FILE'}",
        )


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
    assert never  # tests/domain/test_stages.py walks every cell
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
    return f"guards ({names})" if names else "any guard"
