"""One search over one state space: what comes first is the shortest, and no check is overlooked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from bad_policies import ALL
from cadence.domain.channels import CALL
from cadence.domain.stages import Stage
from cadence.engine import invariants
from cadence.engine.invariants import Counts, Effect, Facts, Invariant, ProvedBy
from cadence.policy import Policy, builtin, builtin_names
from cadence.policy.loader import parse_text
from cadence.policy.model import PlannedTouch
from cadence.prover import prove
from cadence.prover.search import Path, exact_paths, search
from cadence.prover.state_space import StateSpace

ROADS = {"a": {"b": 1, "c": 5}, "b": {"c": 2, "d": 9}, "c": {"d": 1}, "d": {"a": 0}}
POLICIES = [builtin(name) for name in builtin_names()] + [
    parse_text(bad.text, bad.name) for bad in ALL if bad.verdict == "refuted"
]


def drive(path: Path[str, str]) -> Iterator[Path[str, str]]:
    for place, miles in ROADS[path.place].items():
        yield Path(place, (path.cost[0] + miles, 0, 0), path.place + place, path)


def test_each_place_is_found_once_by_its_cheapest_path() -> None:
    found = list(search([Path("a", (0, 0, 0), "start")], drive))
    assert [(path.place, path.cost[0]) for path in found] == [
        ("a", 0),
        ("b", 1),
        ("c", 3),
        ("d", 4),
    ]
    assert found[-1].moves == ("start", "ab", "bc", "cd")


def test_of_paths_that_cost_the_same_the_first_is_kept() -> None:
    begun = [Path("d", (1, 0, 0), "first"), Path("d", (1, 0, 0), "second")]
    assert [path.moves[0] for path in search(begun, lambda _: ())] == ["first"]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_every_exact_path_is_one_of_the_open_states(policy: Policy) -> None:
    """Open states leave out nothing: what is proved there holds for every choice of channels."""
    space = StateSpace(policy)
    known = {(state.next, state.counts) for state in space.open_states}
    for number, path in enumerate(exact_paths(space, None, lambda *_: None)):
        state, _ = path.place
        assert (state.next, state.counts) in known, path.moves
        if number > 2_000:
            break


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_a_path_costs_the_events_of_its_steps(policy: Policy) -> None:
    for number, path in enumerate(exact_paths(StateSpace(policy), None, lambda *_: None)):
        assert path.cost[0] == sum(move.events for move in path.moves)
        if number > 500:
            break


@pytest.mark.parametrize("most", [0, 3, 5, 6, 8])
def test_a_check_of_any_number_of_attempts_is_refuted(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of more attempts than the invariants ask about today."""

    def stops(planned: PlannedTouch, so_far: Counts) -> Facts | None:
        return {"attempts": so_far.attempts} if so_far.attempts >= most else None

    row = Invariant(
        id="few_attempts",
        number=99,
        promise="few attempts in a silence",
        effect=Effect.SKIP,
        how_proved="proved in {states} states",
        stops=stops,
        because=lambda facts: f"{facts['attempts']} attempts were made",
        breaks=lambda planned, before, after: before.attempts >= most,
        proved_by=ProvedBy.SEARCH,
    )
    monkeypatch.setattr(invariants, "INVARIANTS", (*invariants.INVARIANTS, row))
    tip8 = builtin()
    proof = prove(tip8).rules[-1]
    assert (proof.rule, proof.proved) == ("few_attempts", False)
    assert proof.how.endswith(f"but {most} attempts were made")
    attempts = [
        event for event in proof.counterexample if type(event.data).__name__ == "AttemptMade"
    ]
    assert len(attempts) == most


def test_an_engine_that_does_not_ask_a_check_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second statement of a row, ``breaks``, is held against what the engine lets pass."""
    assert StateSpace(builtin()).explore()[2] == []
    without = tuple(
        structs.replace(row, stops=None) if row.id == "spaced_cap" else row
        for row in invariants.INVARIANTS
    )
    monkeypatch.setattr(invariants, "INVARIANTS", without)
    unstopped = StateSpace(builtin()).explore()[2]
    assert {one.rule for one in unstopped} == {"spaced_cap"}
    assert CALL in builtin().by_name[unstopped[0].touch].channels
    assert builtin().by_name[unstopped[0].touch].stage is Stage.SPACED
