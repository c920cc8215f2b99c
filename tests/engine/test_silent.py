"""The walk without reasons decides as the walk with them; a decision is plain data."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from engine_lives import PLACES, Place, live
from hypothesis import given
from hypothesis import strategies as st
from strategies import histories

from cadence.domain import fold
from cadence.domain.stages import Stage
from cadence.engine import Close, Due, Stop, Task, Wait, decide_silently, next_touch
from cadence.engine.context import DecisionContext
from cadence.engine.decision import Decision
from cadence.engine.reasons import Reason, ReasonKind
from cadence.policy import Policy, builtin, builtin_names

# By its path: the package has a function of the same name.
next_touch_module = importlib.import_module("cadence.engine.next_touch")

POLICIES = [builtin(name) for name in builtin_names()]


def without_reasons(decision: Decision) -> Decision:
    # From when on a touch may be made is asked only where reasons are.
    early = {"from_": None} if isinstance(decision, Wait) else {}
    return msgspec.structs.replace(decision, reasons=(), **early)


@given(history=histories(), policy=st.sampled_from(POLICIES), minutes=st.integers(0, 60 * 24 * 90))
def test_both_walks_decide_the_same_on_every_history(
    history: Any, policy: Policy, minutes: int
) -> None:
    prospect = fold(None, history)
    if prospect is None:
        return
    now = prospect.recorded_at + timedelta(minutes=minutes)
    told = next_touch(prospect, policy, now)
    silent = decide_silently(prospect, policy, now)
    assert without_reasons(silent) == without_reasons(told)
    assert told.reasons


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_both_walks_decide_the_same_in_a_whole_silence(place: Place, policy: Policy) -> None:
    history = live(place, close=True)
    for version in range(1, len(history) + 1):
        prospect = fold(None, history[:version])
        assert prospect is not None
        for hours in (0, 1, 20, 24 * 3, 24 * 40):
            now = prospect.recorded_at + timedelta(hours=hours)
            told = next_touch(prospect, policy, now)
            assert without_reasons(decide_silently(prospect, policy, now)) == without_reasons(told)


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.id)
def test_explaining_decides_once_and_again_only_for_another_calendar(
    place: Place, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another weekend or region that may move the time is decided for once each."""
    decided: list[tuple[object, ...]] = []
    whole = next_touch_module._decide_at

    def decide_at(stage: Stage, context: DecisionContext) -> Decision:
        where = context.prospect.identity
        decided.append((where.country, where.subdivision, context.policy.calendar.weekend))
        return whole(stage, context)

    monkeypatch.setattr(next_touch_module, "_decide_at", decide_at)
    history = live(place, close=True)
    for version in range(1, len(history) + 1):
        prospect = fold(None, history[:version])
        assert prospect is not None
        decided.clear()
        next_touch(prospect, policy, prospect.recorded_at)
        assert len(decided) == len(set(decided))


@given(history=histories(), policy=st.sampled_from(POLICIES))
def test_a_decision_pickles_copies_and_encodes(history: Any, policy: Policy) -> None:
    prospect = fold(None, history)
    if prospect is None:
        return
    decision = next_touch(prospect, policy, prospect.recorded_at)
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert copy.deepcopy(decision) == decision
    plain = json.loads(msgspec.json.encode(decision))
    assert plain["verdict"] == decision.verdict
    assert json.loads(json.dumps(decision.to_dict()))["decision"] == decision.verdict


def test_type_checkers_narrow_a_decision_by_its_class() -> None:
    """What each kind has is on its class; a touch is `None` where there is none."""
    assert {kind.__name__ for kind in Decision.__args__} == {"Due", "Wait", "Task", "Close", "Stop"}
    assert "touch" in Due.__struct_fields__
    assert "touch" in Wait.__struct_fields__
    for kind in (Task, Close, Stop):
        assert kind.touch is None


@given(history=histories(), policy=st.sampled_from(POLICIES), minutes=st.integers(0, 60 * 24 * 60))
def test_every_reason_has_its_kind_and_its_sentence(
    history: Any, policy: Policy, minutes: int
) -> None:
    prospect = fold(None, history)
    if prospect is None:
        return
    now = prospect.recorded_at + timedelta(minutes=minutes)
    for reason in next_touch(prospect, policy, now).reasons:
        assert isinstance(reason, Reason)
        assert reason.because
        assert reason.because != reason.rule
        assert (reason.kind is ReasonKind.DELAY) == (reason.until is not None)
        assert all(step in reason.because for step in reason.steps)
