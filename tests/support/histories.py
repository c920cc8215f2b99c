"""Histories written by hand, short: who was added when, what happened, and what is decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cadence.domain import (
    AttemptMade,
    AttemptStage,
    Channel,
    ContactPoint,
    Data,
    Disposition,
    Event,
    Gap,
    Part,
    Prospect,
    ProspectAdded,
    fold,
)
from cadence.engine import Command, Decision, decide
from cadence.policy import Policy, Rule, builtin
from cadence.policy.loader import parse_text
from cadence.worktime.hours import WEEKDAYS

__all__ = [
    "CALL",
    "DAY",
    "EMAIL",
    "HOUR",
    "MAIL",
    "MINUTE",
    "MONDAY",
    "NO_ANSWER",
    "SENT",
    "SMS",
    "TIP8",
    "Happened",
    "added",
    "after",
    "attempt",
    "fact",
    "later",
    "policy",
    "reasons",
    "told",
]

TIP8 = builtin("tip8")
MONDAY = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CALL, EMAIL = ContactPoint(Channel("call"), "+1"), ContactPoint(Channel("email"), "j@x")
SMS, MAIL = ContactPoint(Channel("sms"), "+1"), ContactPoint(Channel("mail"), "1 Way")
NO_ANSWER = (Part(Channel("call"), Disposition.NO_ANSWER, "+1"),)
SENT = (Part(Channel("email"), Disposition.SENT, "j@x"),)

Happened = tuple[datetime, Data] | tuple[datetime, datetime, Data]
"""When it occurred, when it was recorded (left out: at once), and what."""


def added(*points: ContactPoint, zones: str | tuple[str, ...] = "UTC") -> Happened:
    """Added on Monday, with a phone and an email if nothing else is said."""
    return MONDAY, ProspectAdded("Kim", zones, contact_points=points or (CALL, EMAIL))


def attempt(
    at: datetime,
    stage: AttemptStage = AttemptStage.SPACED,
    parts: tuple[Part, ...] = NO_ANSWER,
    gap: Gap | None = None,
) -> Happened:
    """An attempt as it was stored, broken rules left out; an unanswered call, spaced."""
    return at, AttemptMade(parts, stage, stage.value, gap=gap)


def history(*happened: Happened) -> list[Event]:
    """These events, in the order in which we learnt of them."""
    events = []
    for version, (occurred, *recorded, data) in enumerate(happened, 1):
        seen = recorded[0] if recorded else occurred
        assert isinstance(data, Data)
        assert isinstance(seen, datetime)
        events.append(Event("kim", version, occurred, seen, data))
    return events


def after(*happened: Happened) -> Prospect:
    """The prospect after these events, in the order in which we learnt of them."""
    prospect = fold(None, history(*happened))
    assert prospect is not None
    return prospect


def later(prospect: Prospect, at: datetime, *happened: Data) -> Prospect:
    """``prospect`` after further events, all recorded at ``at``."""
    for data in happened:
        folded = fold(prospect, [Event(prospect.id, prospect.version + 1, at, at, data)])
        assert folded is not None
        prospect = folded
    return prospect


def fact(
    prospect: Prospect,
    at: datetime,
    parts: tuple[Part, ...] = NO_ANSWER,
    under: Policy = TIP8,
) -> AttemptMade:
    """An attempt that was made anyway, as it is recorded."""
    (made,) = decide(prospect, AttemptMade(parts), under, at)
    assert isinstance(made, AttemptMade)
    return made


def told(
    prospect: Prospect, command: Command, at: datetime, under: Policy = TIP8
) -> tuple[Data, ...]:
    """What a command leads to."""
    return decide(prospect, command, under, at)


def reasons(decision: Decision) -> list[tuple[str, str, tuple[int, ...]]]:
    """Rule, sentence and events of each reason, without the versions of the data."""
    return [
        (one.rule, one.because, one.events)
        for one in decision.reasons
        if one.rule != Rule.DETERMINISTIC
    ]


def policy(steps: str, *, horizon: int = 45, calendar: str = "") -> Policy:
    """A policy of these steps, open 9 to 5 on weekdays, with an exit by email at the end.

    Args:
        steps: TOML of the steps; the polite exit is added unless one of them is.
        horizon: in business days.
        calendar: further lines of the calendar.
    """
    days = "\n".join(f'{day} = ["09:00-17:00"]' for day in WEEKDAYS[:5])
    leave = """
[[steps]]
id = "polite_exit"
stage = "polite_exit"
after = { business_days = 3 }
answer_within = { business_days = 2 }
parts = [{ channels = ["email"], script = "polite_exit" }]
"""
    head = f"""
id = "ours"
version = 1
title = "Ours"
source = "a test"
horizon_business_days = {horizon}
task_business_days = 2
[calendar]
{days}
{calendar}
"""
    return parse_text(
        head + steps + ("" if "polite_exit" in steps else leave), "ours.toml", allow_code=True
    )
