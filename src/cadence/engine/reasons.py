"""Reasons as data: why a decision is what it is.

A reason names its rule, its kind and a code, and carries the facts that its sentence is made from.
``engine/wording.py`` makes the sentence, when a person reads it. No code looks into a sentence.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from cadence.domain.words import Obstacle
from cadence.engine import wording
from cadence.engine.invariants import DESIGN, Facts

__all__ = ["LocalTime", "Reason", "ReasonKind", "Sink", "skip", "stop_facts"]


class ReasonKind(StrEnum):
    """What a reason says."""

    CAUSE = "cause"
    """Why the decision is of its kind."""
    DELAY = "delay"
    """What moved the touch later."""
    SKIP = "skip"
    """Why touches of the plan are left out."""


class LocalTime(msgspec.Struct, frozen=True):
    """An instant, and the zone on whose clock a reader should see it."""

    instant: datetime
    zone: str


class Reason(msgspec.Struct, frozen=True):
    """Why.

    Attributes:
        rule: the id of an invariant, of another rule, or of a guard.
        code: which of the sentences of ``engine/wording.py`` says it.
        events: the versions of the events that caused it.
        source: where the rule comes from.
        kind: a cause, a delay or a skip.
        until: the instant to which this rule delays, where it delays.
        steps: the touches that are skipped.
        facts: what the sentence is made from.
    """

    rule: str
    code: str
    events: tuple[int, ...] = ()
    source: str = DESIGN
    kind: ReasonKind = ReasonKind.CAUSE
    until: datetime | None = None
    steps: tuple[str, ...] = ()
    facts: Facts = {}

    @property
    def because(self) -> str:
        """The sentence, in English."""
        return wording.because(self.rule, self.code, self.steps, self.facts)


Sink = list[Reason] | None
"""Where a decision's reasons go: a list to record them, ``None`` where they are not read.

The walk is the same either way. ``explain`` and replay record; the due list, what-if and the prover
do not.
"""


def stop_facts(stop: Obstacle) -> Facts:
    """Return the facts of what others say that stops a contact point."""
    if stop.entry is not None:
        return {"key": stop.key, "source": stop.entry.source}
    question = stop.question
    settled = None if question is None or question.settled is None else question.settled.kind
    return {
        "key": stop.key,
        "other": stop.prospect,
        "version": stop.version,
        "is_question": question is not None,
        "settled": settled,
    }


def skip(sink: list[Reason], step: str, reason: Reason) -> None:
    """Record that ``step`` is skipped, together with others before it of the same reason."""
    last = sink[-1] if sink else None
    if (
        last is not None
        and last.kind is ReasonKind.SKIP
        and (last.rule, last.code, last.facts) == (reason.rule, reason.code, reason.facts)
    ):
        sink[-1] = msgspec.structs.replace(last, steps=(*last.steps, step))
    else:
        sink.append(msgspec.structs.replace(reason, kind=ReasonKind.SKIP, steps=(step,)))
