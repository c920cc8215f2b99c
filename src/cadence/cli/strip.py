"""A history as a strip of text that moves along with the reader: events over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final

from rich.text import Text

from cadence.domain.events import (
    AttemptMade,
    Event,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    ReplyReceived,
)
from cadence.engine.context import calendar_for
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.replay.formatting import local_zone, month, weekday
from cadence.replay.steps import AnnotatedStep
from cadence.worktime.zone_calendar import ZoneCalendar

__all__ = ["strip"]

_MARKS: Final = {"attempt": "●", "response": "◆", "end": "■", "fact": "·"}
_STYLES: Final = {"attempt": "cyan", "response": "bold green", "end": "bold", "fact": ""}
_RANKS: Final = ("fact", "attempt", "response", "end")


def strip(
    events: Sequence[Event],
    step: AnnotatedStep,
    policies: PolicyRegistry,
    width: int,
    span: timedelta,
) -> list[Text]:
    """Three lines: events, where the reader is on the axis, and dates.

    Args:
        events: of the whole replay.
        step: where the reader is; what was recorded later is dim.
        policies: those it was replayed with; they say which days are closed.
        width: in columns.
        span: how much time is shown; the step is in the middle, except near the ends.
    """
    start = _start(events, step, span)
    column = span / width

    def place(instant: datetime) -> int:
        return int((instant - start) / column)

    found: dict[int, tuple[int, bool]] = {}
    for event in events:
        where = place(event.occurred_at)
        if 0 <= where < width:
            known = event.version <= step.prospect.version
            if event.prospect != step.prospect.id:  # its versions are another record's
                known = event.recorded_at <= step.seen_at
            rank = _RANKS.index(_kind(event))
            found[where] = max(found.get(where, (-1, False)), (rank, known))
    marks, axis = Text(), Text()
    here, due = place(step.seen_at), step.decision.at
    there = -1 if due is None else place(due)
    tz = local_zone(step.prospect)
    calendar = _calendar(step, policies)
    for where in range(width):
        if where in found:
            rank, known = found[where]
            kind = _RANKS[rank]
            marks.append(_MARKS[kind], _STYLES[kind] if known else "dim")
        else:
            marks.append(" ")
        if where == here:
            axis.append("▲", "bold magenta")
        elif where == there:
            axis.append("○", "bold yellow")
        else:
            day = (start + where * column).astimezone(tz).toordinal()
            closed = calendar is not None and not calendar.is_business_day(day)
            axis.append("┈" if closed else "─", "dim")
    return [marks, axis, _dates(start, span, width, tz)]


def _start(events: Sequence[Event], step: AnnotatedStep, span: timedelta) -> datetime:
    first = min(events[0].occurred_at, step.event.occurred_at) - span / 20
    last = max(events[-1].recorded_at, step.decision.at or step.seen_at) + span / 20
    return max(first, min(step.seen_at - span / 2, last - span))


def _kind(event: Event) -> str:
    data = event.data
    if isinstance(data, AttemptMade):
        return "response" if data.connected else "attempt"
    if isinstance(data, ReplyReceived | PauseRequested | OptedBackIn):
        return "response"
    return "end" if isinstance(data, FollowUpEnded | OptOutRequested) else "fact"


def _calendar(step: AnnotatedStep, policies: PolicyRegistry) -> ZoneCalendar | None:
    policy = policies.of(step.prospect)
    try:
        return None if policy is None else calendar_for(step.prospect, policy).calendars[0]
    except InputError:
        return None


def _dates(start: datetime, span: timedelta, width: int, tz: tzinfo) -> Text:
    """Dates under the axis, as many as there is room for."""
    days = max(1, round(span / timedelta(days=1) * 14 / width))
    local = start.astimezone(tz)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    line = ""
    while True:
        where = int((day - start) / (span / width))
        label = f"{weekday(day)} {day.day} {month(day)}"
        if days > 20:
            label = f"{month(day)} {day.year}"
        if where + len(label) > width:
            return Text(line, "dim")
        if where >= len(line) + (2 if line else 0):
            line = line.ljust(where) + label
        day += timedelta(days=days)
