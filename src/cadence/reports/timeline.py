"""Lay a replay out as a timeline; the page draws it.

Stages are lanes. A bar shows when the prospect stood at a stage, as far as it was known then. A
mark stands where an event occurred, a ring where a touch was due.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from cadence.domain.events import (
    AttemptMade,
    FollowUpEnded,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    ReplyReceived,
    type_name,
)
from cadence.domain.stages import Stage
from cadence.engine.decision import Decision, Verdict
from cadence.policy.registry import PolicyRegistry
from cadence.replay.formatting import (
    clock,
    gap_text,
    local_zone,
    month,
    summary,
    taken_back_line,
    weekday,
)
from cadence.replay.steps import AnnotatedStep
from cadence.reports.shading import Shade, ShadeKind, shades
from cadence.worktime.zones import from_local

__all__ = ["Bar", "Line", "Mark", "MarkKind", "Ring", "RingKind", "Tick", "Timeline", "timeline"]

_DAY: Final = timedelta(days=1)
_LATE: Final = timedelta(minutes=1)
_NARROWEST, _WIDEST = 640, 12_000  # pixels
_PER_DAY, _PER_EVENT = 17, 10  # pixels
_HOURS_FROM: Final = 6  # pixels a day; narrower, closed hours would be one grey
_SHADED_YEARS: Final = 15
_PER_TICK: Final = 84  # pixels
_PER_LABEL: Final = 7  # pixels a character


class MarkKind(StrEnum):
    """What kind of event a mark stands for."""

    ATTEMPT = "attempt"
    BROKE = "broke"
    RESPONSE = "response"
    END = "end"
    FACT = "fact"
    TAKEN_BACK = "taken-back"


class RingKind(StrEnum):
    """What became of a touch that was due."""

    MADE = "made"
    UNDONE = "undone"
    OVERTAKEN = "overtaken"
    NEXT = "next"


class Bar(msgspec.Struct, frozen=True):
    """A stretch of time in a lane: a stay at a stage, or a gap with its label."""

    lane: int
    x: float
    width: float
    title: str
    label: str = ""


class Mark(msgspec.Struct, frozen=True):
    """An event, where it occurred."""

    kind: MarkKind
    lane: int
    x: float
    version: int
    title: str
    is_anothers: bool = False


class Ring(msgspec.Struct, frozen=True):
    """A touch, where it was due."""

    kind: RingKind
    lane: int
    x: float
    title: str


class Line(msgspec.Struct, frozen=True):
    """From a time due to the time done, or from an occurrence to its recording."""

    lane: int
    x: float
    end: float


class Tick(msgspec.Struct, frozen=True):
    """A date on the axis."""

    x: float
    label: str


class Shadow(msgspec.Struct, frozen=True):
    """A closed stretch of time across all lanes."""

    kind: ShadeKind
    x: float
    width: float
    title: str


class Timeline(msgspec.Struct, frozen=True):
    """Everything to draw. ``x``, ``width`` and ``end`` are percent of the width.

    Attributes:
        lanes: the stages, top to bottom.
        pixels: narrower than this it scrolls.
        late: from when a touch was due to when it was made or dropped; also backwards.
        learnt: from when an event occurred to when it was recorded.
        cursors: for each step, where it was.
        has_hours: whether closed hours are shaded; over too long a time they can't be seen.
    """

    lanes: tuple[Stage, ...]
    pixels: int
    ticks: tuple[Tick, ...]
    shadows: tuple[Shadow, ...]
    stays: tuple[Bar, ...]
    gaps: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    rings: tuple[Ring, ...]
    late: tuple[Line, ...]
    learnt: tuple[Line, ...]
    cursors: tuple[float, ...]
    has_hours: bool


class _Axis:
    """Maps instants to percent of the width."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start, self.end = start, end
        self._seconds = (end - start).total_seconds()

    def x(self, instant: datetime) -> float:
        share = (instant - self.start).total_seconds() / self._seconds
        return round(100 * min(1.0, max(0.0, share)), 4)


def timeline(steps: list[AnnotatedStep], policies: PolicyRegistry) -> Timeline:
    """Where everything of a replay goes.

    Args:
        steps: its steps, at least one.
        policies: those it was replayed with.
    """
    axis = _axis(steps)
    days = (axis.end - axis.start) / _DAY
    wanted = max(days * _PER_DAY, len(steps) * _PER_EVENT)
    pixels = round(min(_WIDEST, max(_NARROWEST, wanted)))
    lanes = _lanes(steps)
    lane = {stage: number for number, stage in enumerate(lanes)}
    hours = pixels / days >= _HOURS_FROM
    closed: list[Shade] = []
    if days <= _SHADED_YEARS * 366:
        closed = list(shades(steps, policies, axis.start, axis.end, hours=hours))
    rings, late = _rings(steps, axis, lane)
    return Timeline(
        lanes,
        pixels,
        tuple(_ticks(axis, local_zone(steps[-1].prospect), pixels)),
        tuple(_shadow(one, axis, steps[-1]) for one in closed),
        tuple(_stays(steps, axis, lane)),
        tuple(_gaps(steps, axis, pixels)),
        tuple(_mark(step, axis, lane) for step in steps),
        tuple(rings),
        tuple(late),
        tuple(
            Line(lane[m.prospect.stage], axis.x(m.event.occurred_at), axis.x(m.event.recorded_at))
            for m in steps
            if m.event.recorded_at - m.event.occurred_at >= _LATE
        ),
        tuple(axis.x(step.seen_at) for step in steps),
        hours,
    )


def _axis(steps: list[AnnotatedStep]) -> _Axis:
    start = min(step.event.occurred_at for step in steps)
    end = max(max(m.event.occurred_at, m.event.recorded_at, m.seen_at) for m in steps)
    span = max(end - start, _DAY)
    following = steps[-1].decision.at
    if following is not None and end < following <= end + span / 2 + 30 * _DAY:
        end = following
    margin = max(end - start, _DAY) / 50
    return _Axis(start - margin, end + margin)


# Where a response leads stands where the next outreach begins.
_LANES: Final = (Stage.NEW, Stage.ENGAGED, *(s for s in Stage if s not in ("new", "engaged")))


def _lanes(steps: list[AnnotatedStep]) -> tuple[Stage, ...]:
    stages = {step.prospect.stage for step in steps}
    for step in steps:
        for decision in (step.decision, step.pending):
            if decision is not None and decision.touch is not None:
                stages.add(decision.touch.stage)
    return tuple(stage for stage in _LANES if stage in stages)


# Bars and marks -----------------------------------------------------------------------------------


def _stays(steps: list[AnnotatedStep], axis: _Axis, lane: dict[Stage, int]) -> list[Bar]:
    bars: list[Bar] = []
    first = steps[0]
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if following is not None and following.prospect.stage is step.prospect.stage:
            continue
        start = axis.x(first.event.recorded_at)
        until = step.seen_at if following is None else following.event.recorded_at
        width = max(0.0, round(axis.x(until) - start, 4))
        stage = step.prospect.stage
        since = clock(first.prospect, first.event.recorded_at)
        title = f"{stage} from {since}"
        if following is not None:
            title += f" to {clock(step.prospect, until)}"
            first = following
        bars.append(Bar(lane[stage], start, width, title))
    return bars


def _mark(step: AnnotatedStep, axis: _Axis, lane: dict[Stage, int]) -> Mark:
    event = step.event
    data = event.data
    kind = MarkKind.FACT
    if step.taken_back_by is not None:
        kind = MarkKind.TAKEN_BACK
    elif isinstance(data, AttemptMade):
        kind = MarkKind.BROKE if data.broke else MarkKind.ATTEMPT
        if data.connected:
            kind = MarkKind.RESPONSE
    elif isinstance(data, ReplyReceived | PauseRequested | OptedBackIn):
        kind = MarkKind.RESPONSE
    elif isinstance(data, FollowUpEnded | OptOutRequested):
        kind = MarkKind.END
    when = clock(step.prospect, event.occurred_at)
    which = event.prospect if step.is_anothers else event.version
    title = f"{which}  {when}  {type_name(data)}  {summary(event, 60)}"
    if step.taken_back_by is not None:
        title += f"; {taken_back_line(step)}"
    x = axis.x(event.occurred_at)
    lane_of = lane[step.prospect.stage]
    return Mark(kind, lane_of, x, event.version, title, is_anothers=step.is_anothers)


def _gaps(steps: list[AnnotatedStep], axis: _Axis, pixels: int) -> list[Bar]:
    bars = []
    for step in steps:
        if step.measure is None:
            continue
        start, end = axis.x(step.measure.start), axis.x(step.event.occurred_at)
        gap = step.measure.gap
        days = gap.business_days
        label = f"{days} bd" if days else f"{gap.minutes} min"
        if (end - start) * pixels / 100 < _PER_LABEL * len(label):
            label = ""
        title = f"gap before event {step.event.version}: {gap_text(gap)}"
        bars.append(Bar(0, start, round(max(0.0, end - start), 4), title, label))
    return bars


_BECAME: Final = {
    RingKind.MADE: "made",
    RingKind.UNDONE: "not done",
    RingKind.OVERTAKEN: "overtaken by events",
    RingKind.NEXT: "next",
}


def _rings(
    steps: list[AnnotatedStep], axis: _Axis, lane: dict[Stage, int]
) -> tuple[list[Ring], list[Line]]:
    """Each touch where it was last said to be due, and how long it stayed undone."""
    rings: list[Ring] = []
    late: list[Line] = []

    def draw(
        step: AnnotatedStep, decision: Decision, kind: RingKind, until: datetime | None
    ) -> None:
        touch, at = decision.touch, decision.at
        if touch is None or at is None or not axis.start <= at <= axis.end:
            return
        title = f"{touch.step} due {clock(step.prospect, at)}: {_BECAME[kind]}"
        rings.append(Ring(kind, lane[touch.stage], axis.x(at), title))
        if until is not None and abs(until - at) >= _LATE:
            late.append(Line(lane[touch.stage], axis.x(at), axis.x(until)))

    for step, following in pairwise(steps):
        pending = following.pending
        if pending is None or pending.touch is None:
            continue
        planned = step.decision.touch
        if planned is not None and planned.id != pending.touch.id:
            draw(step, step.decision, RingKind.UNDONE, None)  # it lapsed in between
        came = following.event.recorded_at
        after = following.decision.touch
        if following.is_planned:
            draw(following, pending, RingKind.MADE, following.event.occurred_at)
        elif after is not None and after.id == pending.touch.id:
            continue  # still the same touch; drawn once, where it ends up
        elif pending.verdict is Verdict.DUE:
            draw(following, pending, RingKind.UNDONE, came)
        else:
            draw(following, pending, RingKind.OVERTAKEN, None)
    last = steps[-1]
    if last.decision.verdict is Verdict.DUE:
        draw(last, last.decision, RingKind.UNDONE, last.seen_at)
    else:
        draw(last, last.decision, RingKind.NEXT, None)
    return rings, late


def _shadow(shade: Shade, axis: _Axis, last: AnnotatedStep) -> Shadow:
    start, end = axis.x(shade.start), axis.x(shade.end)
    title = shade.name or {
        ShadeKind.HOURS: "closed",
        ShadeKind.SUSPENDED: f"suspended until {clock(last.prospect, shade.end)}",
    }.get(shade.kind, "")
    return Shadow(shade.kind, start, round(end - start, 4), title)


# The axis -----------------------------------------------------------------------------------------


def _ticks(axis: _Axis, tz: tzinfo, pixels: int) -> list[Tick]:
    """Dates on their clock: days, Mondays, months or years, as many as there is room for."""
    most = max(2, pixels // _PER_TICK)
    first = axis.start.astimezone(tz).replace(tzinfo=None)
    last = axis.end.astimezone(tz).replace(tzinfo=None)
    days = (last - first) / _DAY
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=midnight.weekday())
    for start, step in ((midnight, 1), (monday, 7), (monday, 14)):
        if days / step <= most:
            every = (start + timedelta(days=n) for n in range(0, int(days) + step + 1, step))
            found = [
                (day, f"{weekday(day)} {day.day} {month(day)}")
                for day in every
                if first <= day <= last
            ]
            break
    else:
        found = _months(first, last, most)
    ticks = []
    year = 0
    for day, label in found:
        shown = label if day.year == year or label.isdigit() else f"{label} {day.year}"
        year = day.year
        x = axis.x(_instant(day, tz))
        room = (100 - x) * pixels / 100 > _PER_LABEL * len(shown)
        ticks.append(Tick(x, shown if room else ""))
    return ticks


def _months(first: datetime, last: datetime, most: int) -> list[tuple[datetime, str]]:
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next(n for n in (1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000) if months / n <= most)
    found = []
    for number in range(first.year * 12 + first.month, last.year * 12 + last.month):
        if number % step == 0:
            day = datetime(number // 12, number % 12 + 1, 1)  # noqa: DTZ001  (their clock)
            found.append((day, str(day.year) if step >= 12 else month(day)))
    return found


def _instant(day: datetime, tz: tzinfo) -> datetime:
    from zoneinfo import ZoneInfo

    return from_local(day, tz) if isinstance(tz, ZoneInfo) else day.replace(tzinfo=tz)
