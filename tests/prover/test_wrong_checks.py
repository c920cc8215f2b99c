"""A mistake in ``stops`` or ``breaks`` of a row is found, however large the limit of the row is.

The prover compares the two statements of a row. A number of attempts at which only one of them
changes its answer must be among the states, also where no silence on plan gets as far.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from guarded_policy import BASE

from cadence.domain.stages import OUTREACH, Cell, Move, Signal, Stage, look_up
from cadence.engine import invariants
from cadence.engine.invariants import Counts, Effect, Invariant, ProvedBy
from cadence.policy import Policy, builtin
from cadence.policy.loader import parse_text
from cadence.policy.model import PlannedTouch
from cadence.prover import checks, prove
from cadence.prover.state_space import StateSpace

NURTURE = """
[[steps]]
id = "nurture"
stage = "nurture"
after = { business_days = 2 }
times = TIMES
parts = [{ channels = ["call", "email"], script = "nurture" }]
"""


def nurturing(times: int) -> Policy:
    """One appointment, and so many nurture touches."""
    head, exit_step = BASE.split('[[steps]]\nid = "spaced"')[0], BASE.split("[[steps]]")[-1]
    steps = NURTURE.replace("TIMES", str(times)) + "\n[[steps]]"
    text = head + steps + exit_step.replace("{ business_days = 1 }", "{ business_days = 2 }")
    return parse_text(text.replace("_days = 60", "_days = 200"), "nurturing.toml")


POLICIES = {
    "shorter than every limit": nurturing(2),
    "longer than every limit": nurturing(45),
    "of the catalogue": builtin("until-they-buy-or-say-stop"),
}
Value = Callable[[Counts], int]
COUNTED: dict[str, Value] = {
    "attempts": lambda counts: counts.attempts,
    "spaced calls": lambda counts: counts.spaced_calls,
}


def add_row(
    monkeypatch: pytest.MonkeyPatch, counted: Value, *, limit: int, stops_at: int | None
) -> None:
    """Forbid a nurture touch after ``limit``; stop it after ``stops_at``, or never."""

    def is_over(planned: PlannedTouch, so_far: Counts) -> bool:
        return (
            planned.stage is Stage.NURTURE
            and stops_at is not None
            and (counted(so_far) >= stops_at)
        )

    row = Invariant(
        id="few",
        number=99,
        promise="few nurture touches",
        effect=Effect.SKIP,
        how_proved="proved in {states} states",
        stops=lambda planned, so_far: {"n": counted(so_far)} if is_over(planned, so_far) else None,
        because=lambda facts: f"{facts['n']} were made",
        breaks=lambda planned, before, after: (
            planned.stage is Stage.NURTURE and counted(before) >= limit
        ),
        proved_by=ProvedBy.SEARCH,
    )
    monkeypatch.setattr(invariants, "INVARIANTS", (*invariants.INVARIANTS, row))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("counted", COUNTED)
@pytest.mark.parametrize("limit", [1, 6, 20, 40])
@pytest.mark.parametrize("later", [1, 10, None])
def test_a_limit_that_is_stopped_too_late_is_not_proved(
    name: str, counted: str, limit: int, later: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops_at = None if later is None else limit + later
    add_row(monkeypatch, COUNTED[counted], limit=limit, stops_at=stops_at)
    unstopped = StateSpace(POLICIES[name]).explore()[2]
    assert {one.rule for one in unstopped} == {"few"}
    assert min(COUNTED[counted](one.counts) for one in unstopped) == limit


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("stops_at", [21, 23, 30])
def test_a_policy_is_not_proved_by_a_check_that_stops_too_late(
    name: str, stops_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_row(monkeypatch, COUNTED["attempts"], limit=20, stops_at=stops_at)
    assert "few" in [one.rule for one in prove(POLICIES[name]).refuted]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("counted", COUNTED)
@pytest.mark.parametrize("limit", [20, 40])
def test_a_limit_that_is_stopped_in_time_is_explored_up_to_it(
    name: str, counted: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_row(monkeypatch, COUNTED[counted], limit=limit, stops_at=limit)
    space = StateSpace(POLICIES[name])
    assert space.explore()[2] == []
    assert {"attempts": space.attempts, "spaced calls": space.spaced_calls}[counted][-1] == limit
    goes_beyond = counted == "attempts" and name == "longer than every limit"
    assert prove(POLICIES[name]).proved is not goes_beyond


def test_a_limit_of_attempts_and_calls_together_is_explored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither count alone changes the answer within the numbers that a plan reaches."""

    def least(counts: Counts) -> int:
        return min(counts.attempts, counts.spaced_calls + 10)

    add_row(monkeypatch, least, limit=30, stops_at=None)
    for policy in POLICIES.values():
        assert {one.rule for one in StateSpace(policy).explore()[2]} == {"few"}


def test_the_states_grow_by_what_is_told_apart_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = POLICIES["of the catalogue"]
    states = StateSpace(policy).explore()[0]
    add_row(monkeypatch, COUNTED["attempts"], limit=100_000, stops_at=100_000)
    assert StateSpace(policy).explore()[0] == states * 7 // 6  # 0 to 5 attempts, and as many


@pytest.mark.parametrize("stage", OUTREACH)
def test_a_table_by_which_an_attempt_leaves_opted_out_proves_no_policy(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    way_out = Stage.OPTED_OUT, Signal(f"attempt_{stage}")

    def wrong(at: Stage, signal: Signal) -> Cell:
        return Cell(Move.GO, stage) if (at, signal) == way_out else look_up(at, signal)

    monkeypatch.setattr(checks, "look_up", wrong)
    refuted = prove(builtin()).refuted
    assert [(one.rule, one.counterexample) for one in refuted] == [("opt_out", ())]
    assert refuted[0].how == f"an attempt at stage {stage} leads out of opted_out"
