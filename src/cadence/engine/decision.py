"""What is decided: a touch that is due, a wait, a task, a close or a stop, always with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

import msgspec

from cadence.domain.events import EndReason, PolicyRef
from cadence.domain.shown import Shown
from cadence.domain.stages import Stage
from cadence.engine import wording
from cadence.engine.claims import ClaimShown
from cadence.engine.invariants import Facts
from cadence.engine.reasons import Reason
from cadence.policy.touch import Touch

__all__ = ["Close", "Decision", "Due", "Stop", "Task", "TaskKind", "Verdict", "Wait", "to_builtins"]


class Verdict(StrEnum):
    """What kind of decision it is."""

    DUE = "due"
    WAIT = "wait"
    TASK = "task"
    CLOSE = "close"
    STOP = "stop"


class TaskKind(StrEnum):
    """What only the owner can do."""

    BEGIN = "begin"
    BEGIN_AGAIN = "begin_again"
    AGREE_NEXT_STEP = "agree_next_step"
    FOLLOW_REFERRAL = "follow_referral"
    ASK_WHETHER_WELCOME = "ask_whether_welcome"
    END_OR_AGREE = "end_or_agree"
    KEEP_APPOINTMENT = "keep_appointment"
    ANSWER = "answer"
    RECORD_OPT_IN = "record_opt_in"
    REACH_OTHERWISE = "reach_otherwise"
    MEET_REQUIREMENTS = "meet_requirements"
    AGREE_GUIDELINES = "agree_guidelines"
    DECIDE_FIRST_ATTEMPT = "decide_first_attempt"
    FIND_VALUE = "find_value"
    FIND_TIME = "find_time"
    FIND_TIME_DESPITE_GUARDS = "find_time_despite_guards"
    FIX_GUARD = "fix_guard"
    FIX_PLACE = "fix_place"
    MAKE_POLICY_KNOWN = "make_policy_known"
    USE_NEWER_VERSION = "use_newer_version"
    REPAIR_HISTORY = "repair_history"
    LEAVE_EXIT = "leave_exit"
    LEAVE_EXIT_YOURSELF = "leave_exit_yourself"
    LEAVE_EXIT_OTHERWISE = "leave_exit_otherwise"
    DELIVER_EXIT = "deliver_exit"
    FIND_OUT_EXIT = "find_out_exit"
    SAME_PERSON = "same_person"
    FIND_ADDRESS = "find_address"


class _Decision(Shown, msgspec.Struct, frozen=True, kw_only=True, tag_field="verdict"):
    """What every decision has.

    Attributes:
        prospect: the prospect's id.
        stage: where the prospect stands.
        reasons: why; for a wait, one for each delay that was added. Empty where they were not
            asked for.
        policy: the policy it was decided under.
        claim: the claim on it, where a store knows of one; it is no part of what is decided.
    """

    prospect: str
    stage: Stage
    policy: PolicyRef
    reasons: tuple[Reason, ...] = ()
    claim: ClaimShown | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of section 8 of the design."""
        decision: Decision = self  # type: ignore[assignment]  # only the five below are made
        return to_builtins(decision)


class Due(_Decision, frozen=True, kw_only=True, tag="due"):
    """A touch is due. ``at``: since when."""

    at: datetime
    touch: Touch
    verdict: ClassVar[Verdict] = Verdict.DUE


class Wait(_Decision, frozen=True, kw_only=True, tag="wait"):
    """Nothing is to be done before ``at``.

    Attributes:
        at: until when it waits.
        touch: what it waits for; ``None`` while an answer is awaited.
        due_since: since when the touch was due and not made, where it waits for the next time at
            which it may be made; ``None`` for a touch that was not due before.
        from_: from when on the touch may be made: one that is planned in business days at any open
            time of its day, one that is exact five minutes early. ``None`` without a touch, or
            where no reasons were asked for.
    """

    at: datetime
    touch: Touch | None = None
    due_since: datetime | None = None
    from_: datetime | None = None
    verdict: ClassVar[Verdict] = Verdict.WAIT


class Task(_Decision, frozen=True, kw_only=True, tag="task"):
    """Something that only the owner can do.

    Attributes:
        at: the deadline.
        kind: what is to be done.
        facts: what its sentence is made from.
        is_overdue: the deadline has passed; it escalates.
    """

    at: datetime
    kind: TaskKind
    facts: Facts = {}
    is_overdue: bool = False
    verdict: ClassVar[Verdict] = Verdict.TASK
    touch: ClassVar[None] = None

    @property
    def task(self) -> str:
        """What is to be done, as a sentence in English."""
        return wording.task(self.kind, self.facts)


class Close(_Decision, frozen=True, kw_only=True, tag="close"):
    """The follow-up may be closed. ``at``: since when; ``end``: the reason to end it with."""

    at: datetime
    end: EndReason
    verdict: ClassVar[Verdict] = Verdict.CLOSE
    touch: ClassVar[None] = None


class Stop(_Decision, frozen=True, kw_only=True, tag="stop"):
    """Nothing is to be done any more."""

    verdict: ClassVar[Verdict] = Verdict.STOP
    touch: ClassVar[None] = None
    at: ClassVar[None] = None


Decision = Due | Wait | Task | Close | Stop
"""What comes next for one prospect; type checkers narrow it by class."""


def to_builtins(decision: Decision, texts: Mapping[int, str] | None = None) -> dict[str, Any]:
    """Return the JSON object of section 8.

    Args:
        decision: what was decided.
        texts: the text of each part of the touch by its position, as ``cadence.messages`` made it.
    """
    touch = decision.touch
    claim = {} if decision.claim is None else {"claim": msgspec.to_builtins(decision.claim)}
    return {
        "prospect": decision.prospect,
        "stage": decision.stage.value,
        "decision": decision.verdict.value,
        "at": _instant(decision.at),
        "from": _instant(_from(decision)),
        "due_since": _instant(decision.due_since if isinstance(decision, Wait) else None),
        "touch": None if touch is None else _touch(touch, texts or {}),
        "task": decision.task if isinstance(decision, Task) else None,
        "reasons": [
            {
                "rule": str(reason.rule),
                "code": reason.code,
                "because": reason.because,
                "events": list(reason.events),
                "source": reason.source,
            }
            for reason in decision.reasons
        ],
        "policy": msgspec.to_builtins(decision.policy),
        **claim,
    }


def _from(decision: Decision) -> datetime | None:
    """From when on the touch may be made."""
    if isinstance(decision, Wait):
        return decision.from_
    return decision.at if isinstance(decision, Due) else None


def _instant(instant: datetime | None) -> Any:
    return None if instant is None else msgspec.to_builtins(instant)


_SAID: Final = ("form", "subject", "live")
"""What a part has only where it was composed: a subject for an email, ``live`` for a call."""


def _touch(touch: Touch, texts: Mapping[int, str]) -> dict[str, Any]:
    return {
        "id": touch.id,
        "stage": touch.stage.value,
        "step": touch.step,
        "parts": [
            {
                "channel": part.channel,
                "address": part.address,
                "script": part.script,
                "text": texts.get(position, part.text),
                **{key: getattr(part, key) for key in _SAID if getattr(part, key)},
            }
            for position, part in enumerate(touch.parts)
        ],
    }
