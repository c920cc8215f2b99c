"""Prove that a policy keeps the invariants on every history, or show where it does not.

A policy is *proved* when, on every history on plan, no invariant ever has to stop what the plan
proposes, and on every other history (off policy, late, adopted half-way, guards vetoing at will)
the engine stops what it must. It is *refuted* by the shortest history on plan on which the engine
names an invariant and stops the plan, or leaves its owner with a task that has no end. Every
counterexample has been played through the engine itself (``prover/simulation.py``): where the
engine disagrees with the states, the engine is right and nothing is reported.

The proof says how each invariant is proved; ``docs/explanation/proof.md`` says it at length.
"""

from __future__ import annotations

import math

import msgspec

from cadence.domain.events import Event, PolicyRef
from cadence.engine import invariants
from cadence.errors import UnprovedPolicy
from cadence.policy.loader import check_code, own_functions
from cadence.policy.model import Policy
from cadence.policy.registry import is_builtin
from cadence.prover.bounds import Bounds, bounds
from cadence.prover.checks import refutations
from cadence.prover.reachability import ClosedTurn, Unreachable, closed_turns, unreachable
from cadence.prover.state_space import StateSpace

__all__ = ["Proof", "RuleProof", "Unreachable", "prove", "require_proof"]


class RuleProof(msgspec.Struct, frozen=True):
    """One invariant under one policy.

    Attributes:
        rule: its id.
        proved: whether it holds.
        how: how it was proved, or what refutes it.
        counterexample: where it is refuted, the shortest history, as it can be imported; empty
            where a fault can be seen in the file and no history gets as far.
    """

    rule: str
    proved: bool
    how: str
    counterexample: tuple[Event, ...] = ()


class Proof(msgspec.Struct, frozen=True):
    """What the prover says of a policy.

    Attributes:
        policy: which.
        rules: each invariant that a policy can break, in the order of the design.
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
    space = StateSpace(policy)
    states, transitions, unstopped = space.explore()
    refuted: dict[str, RuleProof] = {}
    for rule, how, events in refutations(space, unstopped):
        known = refuted.get(rule)
        if known is None or _length(events) < _length(known.counterexample):
            refuted[rule] = RuleProof(rule, False, how, events)
    facts = _facts(space, states)
    rows = {row.id: row.how_proved.format(**facts) for row in invariants.of_policies()}
    never = tuple(unreachable(space))
    exit_point = policy.exit_point
    found = None
    if not refuted and exit_point is not None:
        found = bounds(space, exit_point, {one.step for one in never})
    return Proof(
        policy=policy.ref,
        rules=tuple(refuted.get(rule) or RuleProof(rule, True, how) for rule, how in rows.items()),
        bounds=found,
        unreachable=never,
        closed_turns=tuple(closed_turns(policy)),
        states=states + len(space.on_plan),
        transitions=transitions + len(space.on_plan),
    )


def _length(events: tuple[Event, ...]) -> float:
    """How many events; a refutation without a history is the last resort."""
    return len(events) or math.inf


def require_proof(policy: Policy, name: str | None = None) -> None:
    """Refuse a policy that is not proved; those of the catalogue are known to be.

    Args:
        policy: which.
        name: what to call it in the error; its id.

    Raises:
        UnprovedPolicy: it is refuted; names the rules.
        PolicyError: it has a guard whose code is not allowed, so it can't be proved.
    """
    if is_builtin(policy.ref):
        return
    check_code(policy, name)
    refuted = prove(policy).refuted
    if refuted:
        rules = ", ".join(one.rule for one in refuted)
        raise UnprovedPolicy(
            f"{name or policy.id}: policy {policy.id} is refuted: {rules}: {refuted[0].how}",
            f"see the history on which it goes wrong with: cadence policy check {name or 'FILE'}",
        )


def _facts(space: StateSpace, states: int) -> dict[str, object]:
    """Return what the sentences of the invariants table name: how each is proved."""
    policy, on_plan = space.policy, len(space.on_plan)
    own = own_functions(policy)
    names = ", ".join(guard.name for guard in policy.guards)
    return {
        "states": states + on_plan,
        "on_plan": on_plan,
        "touches": space.end,
        "horizon": policy.horizon_business_days,
        "guards": f"guards ({names})" if names else "any guard",
        "functions": f", as far as {', '.join(own)} answer the same each time" if own else "",
    }
