"""Read the short words for how a touch went, such as ``vm`` for a voicemail that was left.

They are about the touch that is next, or about a part of the one just made that was not logged yet.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from cadence.domain.events import Disposition, Intent, Part
from cadence.domain.prospect import Prospect
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision
from cadence.engine.judgement import open_parts
from cadence.errors import InputError
from cadence.policy.model import Policy

__all__ = ["OutcomeWord", "parts_of"]


class OutcomeWord(StrEnum):
    """How the touch went: no answer, voicemail left, busy, talked, wrong number, or sent."""

    NA = "na"
    VM = "vm"
    BUSY = "busy"
    TALKED = "talked"
    WRONG = "wrong"
    SENT = "sent"


_DISPOSITIONS: Final = {
    OutcomeWord.NA: Disposition.NO_ANSWER,
    OutcomeWord.VM: Disposition.VOICEMAIL_LEFT,
    OutcomeWord.BUSY: Disposition.BUSY,
    OutcomeWord.TALKED: Disposition.CONNECTED,
    OutcomeWord.WRONG: Disposition.WRONG_NUMBER,
    OutcomeWord.SENT: Disposition.SENT,
}


def parts_of(
    prospect: Prospect,
    policy: Policy,
    decision: Decision,
    word: OutcomeWord,
    at: datetime,
    intent: Intent | None = None,
) -> tuple[Part, ...]:
    """Return the parts of the attempt that ``word`` logs.

    ``sent`` is of what is written, every other word of what is spoken.

    Args:
        prospect: the prospect.
        policy: the policy it is under.
        decision: what is next.
        word: how it went.
        at: when it was made.
        intent: what they want, where they talked.

    Raises:
        InputError: no touch is next that the word can be about.
    """
    is_sent = word is OutcomeWord.SENT
    left = open_parts(prospect, policy, at, calendar_for(prospect, policy))
    planned = () if decision.touch is None else decision.touch.parts
    for parts in (left, planned):
        meant = [part for part in parts if (part.channel in policy.spoken) is not is_sent]
        if meant:
            went = _DISPOSITIONS[word]
            said = intent if went is Disposition.CONNECTED else None
            return tuple(
                Part(part.channel, went, part.address, part.key, intent=said) for part in meant
            )
    use = (
        f"use: cadence attempt {prospect.id} --channel CHANNEL --disposition {_DISPOSITIONS[word]}"
    )
    if decision.touch is None:
        raise InputError(f"{prospect.id}: no touch is next that {word} can be about", use)
    channels = " and ".join(part.channel for part in planned)
    raise InputError(
        f"{prospect.id}: invalid outcome {word} of {decision.touch.step}, which is by {channels}",
        use,
    )
