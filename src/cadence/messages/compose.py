"""Turn the scripts that a decision names into text."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from cadence.domain.events import AttemptMade, AttemptStage, Disposition, Event, Part
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision, Due, Wait
from cadence.engine.loop import advance
from cadence.errors import InputError
from cadence.messages.scripts import render
from cadence.policy.registry import PolicyRegistry
from cadence.policy.touch import Touch
from cadence.worktime.calendar import WorkCalendar
from cadence.worktime.hours import WEEKDAY_NAMES

__all__ = ["compose"]

_LATE: Final = timedelta(minutes=1)
"""How much later than agreed a call says that it is late."""

# Not strftime: its names follow the machine's locale, and the scripts are in English.
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def compose(
    decision: Decision, prospect: Prospect, policies: PolicyRegistry, now: datetime
) -> Decision:
    """Fill in the text of each part of a decision's touch.

    Args:
        decision: made for ``prospect`` at ``now``.
        prospect: who the touch is for.
        policies: where the prospect's policy is found.
        now: when the words would be said (UTC). Those of a wait are said when it is over.

    Returns:
        The decision with texts; unchanged if it has no touch, or if its policy or the prospect's
        time zone is unknown.
    """
    touch = decision.touch
    policy = policies.of(prospect)
    if touch is None or decision.at is None or policy is None:
        return decision
    said_at = max(now, decision.at)
    try:
        time = calendar_for(prospect, policy)
    except InputError:
        return decision
    following = _following(touch, prospect, policies, said_at)
    words = {
        **_known_words(touch, prospect),
        **_time_words(touch, prospect, time, said_at, following),
    }
    parts = tuple(
        msgspec.structs.replace(
            part,
            text=render(part.script, policy.scripts, {**words, "channel": part.channel}),
        )
        for part in touch.parts
    )
    return msgspec.structs.replace(decision, touch=msgspec.structs.replace(touch, parts=parts))


def _known_words(touch: Touch, prospect: Prospect) -> dict[str, object]:
    """The placeholders that the prospect fills; empty texts where nothing is known."""
    names = prospect.identity.name.split()
    value = prospect.next_value()
    return {
        "name": names[0] if names else "there",
        "interest": prospect.interests[-1] if prospect.interests else "",
        "value": "" if value is None else value.text,
        "owner": prospect.identity.owner or "",
        "channels": tuple(part.channel for part in touch.parts),
    }


def _time_words(
    touch: Touch,
    prospect: Prospect,
    time: WorkCalendar,
    said_at: datetime,
    following: datetime | None,
) -> dict[str, object]:
    """The placeholders that say a time, on the prospect's clock."""
    next_time = "" if following is None else _when(time, said_at, following)
    words: dict[str, object] = {
        "time": f"{time.local(said_at):%H:%M}",
        "next_time": next_time,
        "deadline": next_time,
        "appointment_time": "",
        "late": False,
    }
    agreed = _agreed(prospect)
    if agreed is not None:
        words["appointment_time"] = _clock(time, said_at, agreed)
        called = said_at if touch.stage is Stage.ON_TIME else agreed
        kept = prospect.appointment or prospect.kept_appointment
        words["late"] = kept is not None and called - kept.at >= _LATE
    return words


def _agreed(prospect: Prospect) -> datetime | None:
    """The agreed time: still ahead, or that of the on-time attempt that was made for it."""
    if prospect.appointment is not None:
        return prospect.appointment.at
    for attempt in reversed(prospect.silence.attempts):
        if attempt.stage is AttemptStage.ON_TIME:
            return attempt.at
    return None


def _following(
    touch: Touch, prospect: Prospect, policies: PolicyRegistry, said_at: datetime
) -> datetime | None:
    """When the next touch or the end follows if the prospect does not answer.

    The loop is asked one touch ahead. ``None`` if the owner is next: a script promises no time
    that depends on the owner.
    """
    attempt = AttemptMade(
        parts=tuple(Part(p.channel, Disposition.SENT, p.address) for p in touch.parts),
        stage=AttemptStage(touch.stage.value),
        step=touch.step,
    )
    imagined = Event(prospect.id, prospect.version + 1, said_at, said_at, attempt)
    _, after = advance(prospect, (imagined,), policies, said_at)
    return after.at if isinstance(after, Due | Wait) else None


def _clock(time: WorkCalendar, said_at: datetime, then: datetime) -> str:
    """Word a time: ``09:00`` today, else ``09:00 on Tuesday, 1 December``."""
    here, there = time.local(said_at), time.local(then)
    if here.date() == there.date():
        return f"{there:%H:%M}"
    return f"{there:%H:%M} on {_day(there)}"


def _when(time: WorkCalendar, said_at: datetime, then: datetime) -> str:
    """Word a time: ``at 09:10`` today, else ``on Friday, 4 December, at 13:10``."""
    here, there = time.local(said_at), time.local(then)
    if here.date() == there.date():
        return f"at {there:%H:%M}"
    return f"on {_day(there)}, at {there:%H:%M}"


def _day(there: datetime) -> str:
    return f"{WEEKDAY_NAMES[there.weekday()]}, {there.day} {_MONTHS[there.month - 1]}"
