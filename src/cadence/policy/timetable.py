"""A policy as a timetable: what happens on which business day when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cadence.core.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Channel,
    ContactPoint,
    Disposition,
    Event,
    Part,
    ProspectAdded,
)
from cadence.policy.business_time import LocalCalendar
from cadence.policy.catalogue import Policies
from cadence.policy.decide import complete_attempt
from cadence.policy.decision import Verdict
from cadence.policy.loop import advance
from cadence.policy.model import Policy

__all__ = ["Entry", "timetable"]

# A plain week without holidays; the appointment is at the first opening of its first business day.
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)


class Entry(msgspec.Struct, frozen=True):
    """One line of a timetable.

    Attributes:
        business_day: counted from the day of the appointment, which is 0.
        at: the time of day, as ``HH:MM``.
        step: the step's name; ``close`` for the end.
        channels: how, one a part.
        gap: distance to the touch before, for a reader.
    """

    business_day: int
    at: str
    step: str
    channels: tuple[str, ...]
    gap: str


def timetable(policy: Policy) -> Iterator[Entry]:
    """What ``policy`` does with somebody who has every channel and never answers.

    It follows the loop itself, each touch made when it is due, so it can't promise anything else.
    """
    calendar = LocalCalendar("UTC", policy.week, closed=policy.closed)
    first = calendar.next_open(_MONDAY) or _MONDAY
    zero = calendar.day(first)
    points = tuple(ContactPoint(channel, channel.value) for channel in Channel)
    added = ProspectAdded("Somebody", "UTC", contact_points=points)
    before = first - timedelta(days=1)
    policies = Policies(policy, [policy])
    begin = [
        Event("somebody", 1, before, before, added),
        Event("somebody", 2, before, before, AppointmentSet(first)),
    ]
    prospect, decision = advance(None, begin, policies, first)
    while decision.at is not None and decision.decision in (Verdict.DUE, Verdict.WAIT):
        at = decision.at
        if decision.decision is Verdict.WAIT:
            decision = policies.decision(prospect, at)
            if decision.decision is Verdict.CLOSE:
                days = calendar.business_days(zero, calendar.day(at))
                yield Entry(days, f"{at:%H:%M}", "close", (), "")
            continue
        touch = decision.touch
        assert touch is not None  # due is always a touch
        delivered = touch.stage.value == AttemptStage.POLITE_EXIT.value
        how = Disposition.SENT if delivered else Disposition.NO_ANSWER
        parts = tuple(Part(part.channel, how, part.address) for part in touch.parts)
        made = AttemptMade(parts, AttemptStage(touch.stage.value), touch.step)
        made = complete_attempt(prospect, made, policy, at, frozenset({"parts", "stage", "step"}))
        gap = ""
        if made.gap is not None:
            days = made.gap.business_days
            gap = f"{days} business days" if days else f"{made.gap.minutes} minutes"
        channels = tuple(part.channel.value for part in touch.parts)
        day = calendar.business_days(zero, calendar.day(at))
        yield Entry(day, f"{at:%H:%M}", touch.step, channels, gap)
        event = Event("somebody", prospect.version + 1, at, at, made)
        prospect, decision = advance(prospect, (event,), policies, at)
