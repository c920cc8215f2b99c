"""A policy as a timetable: what happens on which business day when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cadence.core.events import AttemptMade
from cadence.policy.decision import Verdict
from cadence.policy.model import Policy
from cadence.policy.witness import begin, beginnings

__all__ = ["Entry", "timetable"]


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

    They have agreed to be followed up, and each touch is made when it is due. It is a rehearsal
    through the engine itself, so it can't promise anything else.
    """
    rehearsal = begin(policy, policy.usable, beginnings(policy)[0], guidelines=True)
    calendar, zero = rehearsal.calendar, rehearsal.calendar.day(rehearsal.first)
    shown = 0
    while True:
        for event in rehearsal.events[shown:]:
            if isinstance(event.data, AttemptMade):
                yield _entry(
                    event.data,
                    calendar.business_days(zero, calendar.day(event.occurred_at)),
                    f"{event.occurred_at:%H:%M}",
                )
        shown = len(rehearsal.events)
        decision = rehearsal.wait()
        if decision.decision is Verdict.CLOSE:
            yield Entry(rehearsal.business_day, f"{rehearsal.now:%H:%M}", "close", (), "")
        if decision.decision is not Verdict.DUE:
            return
        rehearsal.make()


def _entry(made: AttemptMade, day: int, at: str) -> Entry:
    gap = ""
    if made.gap is not None:
        days = made.gap.business_days
        gap = f"{days} business day{'s' * (days != 1)}" if days else f"{made.gap.minutes} minutes"
    channels = tuple(part.channel.value for part in made.parts)
    return Entry(day, at, made.step or "", channels, gap)
