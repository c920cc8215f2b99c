"""From a decision to words: a decision names scripts and facts; here they become text."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from cadence.domain.events import AttemptMade, AttemptStage, Disposition, Event, Part
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.context import calendar_for
from cadence.engine.decision import Decision, Verdict
from cadence.engine.loop import advance
from cadence.errors import InputError
from cadence.messages.scripts import render
from cadence.policy.registry import PolicyRegistry
from cadence.worktime.calendar import WorkCalendar

__all__ = ["compose"]

_LATE = timedelta(minutes=1)


def compose(
    decision: Decision, prospect: Prospect, policies: PolicyRegistry, now: datetime
) -> Decision:
    """``decision`` with the text of each part of its touch filled in.

    Args:
        decision: made for ``prospect`` at ``now``.
        prospect: whom it is for.
        policies: where its policy is looked up.
        now: when the words would be said; for a wait, they are those of its time.
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
    words = {
        "name": prospect.identity.name.split()[0] if prospect.identity.name.split() else "there",
        "time": f"{time.local(said_at):%H:%M}",
        "next_time": "",
        "deadline": "",
        "appointment_time": "",
        "late": False,
        "interest": prospect.interests[-1] if prospect.interests else "",
        "value": "",
        "owner": prospect.identity.owner or "",
        "channels": tuple(part.channel.value for part in touch.parts),
    }
    value = prospect.next_value()
    if value is not None:
        words["value"] = value.text
    following = _following(decision, prospect, policies, said_at)
    if following is not None:
        words["next_time"] = words["deadline"] = _when(time, said_at, following)
    agreed = _agreed(prospect)
    if agreed is not None:
        words["appointment_time"] = _clock(time, said_at, agreed)
        called = said_at if touch.stage is Stage.ON_TIME else agreed
        kept = prospect.appointment or prospect.kept_appointment
        words["late"] = kept is not None and called - kept.at >= _LATE
    parts = tuple(
        msgspec.structs.replace(
            part,
            text=render(part.script, policy.scripts, {**words, "channel": part.channel.value}),
        )
        for part in touch.parts
    )
    return msgspec.structs.replace(decision, touch=msgspec.structs.replace(touch, parts=parts))


def _agreed(prospect: Prospect) -> datetime | None:
    """The time they agreed to: still ahead, or that of the on-time attempt made for it."""
    if prospect.appointment is not None:
        return prospect.appointment.at
    for attempt in reversed(prospect.silence.attempts):
        if attempt.stage is AttemptStage.ON_TIME:
            return attempt.at
    return None


def _following(
    decision: Decision, prospect: Prospect, policies: PolicyRegistry, said_at: datetime
) -> datetime | None:
    """When we would be in touch again, or close, if nobody answers: the loop, asked one ahead.

    ``None`` where that is not known: a deadline of the owner's is nothing to promise anybody.
    """
    touch = decision.touch
    assert touch is not None  # compose() looked
    attempt = AttemptMade(
        parts=tuple(Part(p.channel, Disposition.SENT, p.address) for p in touch.parts),
        stage=AttemptStage(touch.stage.value),
        step=touch.step,
    )
    imagined = Event(prospect.id, prospect.version + 1, said_at, said_at, attempt)
    _, after = advance(prospect, (imagined,), policies, said_at)
    return after.at if after.verdict in (Verdict.WAIT, Verdict.DUE) else None


def _clock(time: WorkCalendar, said_at: datetime, then: datetime) -> str:
    """``09:00`` today, ``09:00 on Tuesday, 1 December`` of another day."""
    here, there = time.local(said_at), time.local(then)
    if here.date() == there.date():
        return f"{there:%H:%M}"
    day = f"{_DAYS[there.weekday()]}, {there.day} {_MONTHS[there.month - 1]}"
    return f"{there:%H:%M} on {day}"


def _when(time: WorkCalendar, said_at: datetime, then: datetime) -> str:
    """``at 09:10`` today, ``on Friday, 4 December, at 13:10`` on another day."""
    here, there = time.local(said_at), time.local(then)
    if here.date() == there.date():
        return f"at {there:%H:%M}"
    return f"on {_DAYS[there.weekday()]}, {there.day} {_MONTHS[there.month - 1]}, at {there:%H:%M}"


# Not strftime: its names follow the machine's locale, and the scripts are in English.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
