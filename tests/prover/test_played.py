"""Silences that the prover plays show an engine that does wrong, at a touch or in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cadence.domain.events import (
    AutoReplyReceived,
    ContactPointFailed,
    Data,
    EndReason,
    Intent,
    OptOutRequested,
)
from cadence.engine import Close, Decision
from cadence.policy import builtin
from cadence.prover import prove
from cadence.prover.simulation import Simulation

Patch = pytest.MonkeyPatch


def closes(simulation: Simulation) -> Decision:
    """Close the follow-up."""
    decision = simulation.decision
    return Close(
        prospect=decision.prospect,
        stage=decision.stage,
        policy=decision.policy,
        reasons=(),
        at=simulation.now,
        end=EndReason.NO_RESPONSE,
    )


def goes_on(simulation: Simulation) -> Decision:
    """Propose the same touch as before."""
    return simulation.decision


@pytest.mark.parametrize(
    ("is_ignored", "instead", "rule"),
    [
        (lambda data: data == OptOutRequested(), goes_on, "opt_out"),
        (lambda data: isinstance(data, OptOutRequested) and data.channel, goes_on, "opt_out"),
        (lambda data: isinstance(data, ContactPointFailed), goes_on, "contact_point"),
        (lambda data: getattr(data, "intent", None) is Intent.NO, goes_on, "forgotten"),
        (lambda data: isinstance(data, AutoReplyReceived), closes, "polite_exit"),
    ],
    ids=["an opt-out", "an opt-out of a channel", "a failure", "a refusal", "an automatic reply"],
)
def test_a_policy_is_not_proved_by_an_engine_that_answers_wrongly_to(
    is_ignored: Callable[[Data], bool],
    instead: Callable[[Simulation], Decision],
    rule: str,
    monkeypatch: Patch,
) -> None:
    whole = Simulation.decide_after

    def decide_after(self: Simulation, data: Data) -> Decision:
        return instead(self) if is_ignored(data) else whole(self, data)

    monkeypatch.setattr(Simulation, "decide_after", decide_after)
    assert [one.rule for one in prove(builtin()).refuted] == [rule]


def test_a_silence_that_does_not_end_refutes_the_policy(monkeypatch: Patch) -> None:
    def make(self: Simulation, **_: object) -> None:
        """Make the touch; the engine takes no note of it."""

    monkeypatch.setattr(Simulation, "make", make)
    refuted = {one.rule: one.how for one in prove(builtin()).refuted}
    assert refuted == {"bounded": "the silence does not end"}
