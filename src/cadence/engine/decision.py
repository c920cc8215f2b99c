"""What is decided: a touch that is due, a wait, a task, a close or a stop, always with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from cadence.domain.enums import StrEnum
from cadence.domain.events import EndReason, PolicyRef
from cadence.domain.stages import Stage
from cadence.policy.touch import Touch

__all__ = [
    "Decision",
    "Reason",
    "Said",
    "Verdict",
    "to_builtins",
]


class Verdict(StrEnum):
    """What kind of decision it is."""

    DUE = "due"
    WAIT = "wait"
    TASK = "task"
    CLOSE = "close"
    STOP = "stop"


class Said(msgspec.Struct, frozen=True):
    """A sentence that is put together when somebody reads it.

    Most decisions are never read: the due list asks only what and when. Two are equal if their
    pattern and their facts are.
    """

    pattern: str
    facts: tuple[object, ...]

    def __str__(self) -> str:
        return self.pattern.format(*self.facts)


class Reason(msgspec.Struct, frozen=True):
    """Why.

    Attributes:
        rule: a rule id of the charter, or another of ``docs/guarantees.md``.
        said: one sentence; read it as :attr:`because`.
        events: the versions of the events that caused it.
        source: where the rule comes from.
        until: the instant to which this rule delays, where it delays.
    """

    rule: str
    said: str | Said
    events: tuple[int, ...]
    source: str
    until: datetime | None = None

    @property
    def because(self) -> str:
        """The sentence."""
        return str(self.said)


class Decision(msgspec.Struct, frozen=True):
    """What comes next for one prospect.

    Attributes:
        prospect: the prospect's id.
        stage: where the prospect stands.
        verdict: due, wait, task, close or stop.
        at: when it is due, until when it waits, a task's deadline; ``None`` for stop.
        touch: what is due or waited for.
        task: what only the owner can do.
        reasons: why; for a wait, one for each delay that was added.
        policy: the policy it was decided under.
        end: for a close, the reason to end with.
    """

    prospect: str
    stage: Stage
    verdict: Verdict
    at: datetime | None
    touch: Touch | None
    task: str | None
    reasons: tuple[Reason, ...]
    policy: PolicyRef
    end: EndReason | None = None


def to_builtins(decision: Decision, texts: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The JSON object of section 8.

    Args:
        decision: what was decided.
        texts: the text of each part of the touch by its position, as ``cadence.messages`` made it.
    """
    touch = decision.touch
    return {
        "prospect": decision.prospect,
        "stage": decision.stage.value,
        "decision": decision.verdict.value,
        "at": None if decision.at is None else msgspec.to_builtins(decision.at),
        "touch": None
        if touch is None
        else {
            "id": touch.id,
            "stage": touch.stage.value,
            "step": touch.step,
            "parts": [
                {
                    "channel": part.channel.value,
                    "address": part.address,
                    "script": part.script,
                    "text": part.text if texts is None else texts.get(position, part.text),
                }
                for position, part in enumerate(touch.parts)
            ],
        },
        "task": decision.task,
        "reasons": [
            {
                "rule": reason.rule,
                "because": reason.because,
                "events": list(reason.events),
                "source": reason.source,
            }
            for reason in decision.reasons
        ],
        "policy": msgspec.to_builtins(decision.policy),
    }
