"""Word events, decisions and times: the same in a terminal and on a page.

Text that a person typed stays as it is. The caller makes it harmless for its medium:
``cli/terminal.py`` for a terminal, escaping for a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import msgspec

from cadence.domain.codec import data_fields
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Data,
    Event,
    EventCorrected,
    EventRetracted,
    Gap,
    Noted,
    PolicyRef,
    ProspectsMerged,
    WordRef,
    type_name,
)
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Close, Decision, Task, Verdict, Wait
from cadence.engine.reasons import Reason
from cadence.engine.wording import duration
from cadence.errors import InputError
from cadence.replay.steps import AnnotatedStep, Overdue, OverdueKind, ReplayStep
from cadence.worktime.hours import WEEKDAYS
from cadence.worktime.zones import zone

__all__ = [
    "breach_line",
    "clock",
    "due_time",
    "event_data",
    "gap_text",
    "local_zone",
    "measure_line",
    "missed_time",
    "month",
    "next_action",
    "overdue_lines",
    "punctuality_line",
    "short_clock",
    "summary",
    "taken_back_line",
    "unrecorded_lines",
    "weekday",
]

_WHEN: Final = {
    Verdict.DUE: "due since",
    Verdict.WAIT: "wait until",
    Verdict.TASK: "task by",
    Verdict.CLOSE: "close, since",
    Verdict.STOP: "stop",
}
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_NO_TIME: Final = timedelta(0)
_MINUTE: Final = timedelta(minutes=1)


# Values -------------------------------------------------------------------------------------------


def weekday(day: datetime) -> str:
    """Return the short name of a weekday: ``Mon``."""
    return WEEKDAYS[day.weekday()].capitalize()


def month(day: datetime) -> str:
    """Return the short name of a month: ``Jan``."""
    return _MONTHS[day.month - 1]


def local_zone(prospect: Prospect) -> tzinfo:
    """Return the prospect's first zone; UTC where it is unknown."""
    try:
        return zone(prospect.identity.zones[0])
    except InputError:
        return UTC


def clock(prospect: Prospect, instant: datetime | None) -> str:
    """Return an instant on the prospect's clock: ``Fri 2026-12-04 13:10``."""
    if instant is None:
        return "-"
    local = instant.astimezone(local_zone(prospect))
    return f"{weekday(local)} {local:%Y-%m-%d %H:%M}"


def short_clock(prospect: Prospect, instant: datetime | None) -> str:
    """Return an instant on the prospect's clock, for a narrow column: ``Fri 12-04 13:10``."""
    if instant is None:
        return "-"
    local = instant.astimezone(local_zone(prospect))
    return f"{weekday(local)} {local:%m-%d %H:%M}"


def gap_text(distance: Gap) -> str:
    """Return a gap: ``3 business days``, or ``10 min`` where no business day lies between."""
    if distance.business_days:
        return plural(distance.business_days, "business day")
    return f"{distance.minutes} min"


# Decisions ----------------------------------------------------------------------------------------


def next_action(decision: Decision) -> str:
    """Return what is to be done: ``spaced#2: call +1 212 555 0100``, a task or an end."""
    if decision.touch is not None:
        parts = ", ".join(f"{part.channel} {part.address}" for part in decision.touch.parts)
        return f"{decision.touch.step}: {parts}"
    if isinstance(decision, Task):
        return decision.task
    if isinstance(decision, Close):
        return f"close the follow-up as {decision.end}"
    return "await their answer" if decision.verdict is Verdict.WAIT else ""


def due_time(prospect: Prospect, decision: Decision) -> str:
    """Return the kind of a decision and its time: ``wait until Fri 2026-12-04 13:10``.

    A wait whose touch was due before says that first: at night nothing is due, and yet late.
    """
    when = _WHEN[decision.verdict]
    if decision.at is not None:
        when += f" {clock(prospect, decision.at)}"
    missed = missed_time(prospect, decision)
    return f"{missed}; {when}" if missed else when


def missed_time(prospect: Prospect, decision: Decision) -> str:
    """Return since when the touch of a wait was due and not made; empty if it was not due."""
    if not isinstance(decision, Wait) or decision.due_since is None:
        return ""
    return f"due since {clock(prospect, decision.due_since)}, not made"


# Events -------------------------------------------------------------------------------------------


def summary(event: Event, longest: int | None = None) -> str:
    """Return what an event says, in one line, and for which merged record it came.

    Args:
        event: the event.
        longest: cut longer values to so many characters; ``None``: cut none.
    """
    text = event_data(event.data, longest)
    came_for = event.merged_from
    if came_for is None:
        return text
    came = f"came for {_value(came_for, longest)}"
    return f"{text}, {came}" if text else came


def event_data(data: Data, longest: int | None = None) -> str:
    """Return what the data of an event say, in one line; ``longest`` as for :func:`summary`."""
    if isinstance(data, AttemptMade):
        return _attempt(data, longest)
    if isinstance(data, EventRetracted | EventCorrected):
        return _taken_back(data, longest)
    if isinstance(data, ProspectsMerged):
        return _merged(data, longest)
    # A key is the address once more; what can't be read says so.
    fields = {name: getattr(data, name) for name in data_fields(data) if name != "key"}
    if isinstance(data, Noted):
        fields = {"kind": data.kind, **(data.data or {})}
    return ", ".join(f"{name} {_value(value, longest)}" for name, value in fields.items())


def _taken_back(data: EventRetracted | EventCorrected, longest: int | None) -> str:
    line = f"version {data.version}"
    if isinstance(data, EventCorrected):
        line += f" is {event_data(data.data, longest)}"
        if data.occurred_at is not None:
            line += f" at {data.occurred_at:%Y-%m-%dT%H:%M:%SZ}"
    return f"{line} ({_value(data.why, longest)})" if data.why else line


def _merged(data: ProspectsMerged, longest: int | None) -> str:
    keep = "" if data.keep is None else f", {data.keep} counts"
    said = f"{data.prospect} with {plural(len(data.history), 'event')}{keep}"
    return f"{said} ({_value(data.why, longest)})"


def _attempt(data: AttemptMade, longest: int | None) -> str:
    parts = ", ".join(
        f"{part.channel} {part.disposition}" + (f" ({part.intent})" if part.intent else "")
        for part in data.parts
    )
    name = data.step or data.stage
    line = f"{name}: {parts}" if name else parts
    if data.gap is not None:
        line += f", gap {gap_text(data.gap)}"
    if data.broke:
        line += f", broke {', '.join(data.broke)}"
    return f"{line} ({_value(data.why, longest)})" if data.why else line


def _value(value: object, longest: int | None) -> str:
    match value:
        case tuple():
            return " ".join(_value(item, longest) for item in value)
        case ContactPoint():
            unusable = " (unusable)" if value.key == "" else ""
            return f"{value.channel}={value.address}{unusable}"
        case PolicyRef():
            return f"{value.name} version {value.version}"
        case WordRef():
            return f"event {value.version} of {value.prospect}"
    text = str(msgspec.to_builtins(value)).replace("\n", " ")
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


# Annotations --------------------------------------------------------------------------------------


def taken_back_line(step: ReplayStep) -> str:
    """Return who took the event back, and what is true instead; empty if it stands."""
    by = step.taken_back_by
    if by is None:
        return ""
    data = by.data
    how = "corrected" if isinstance(data, EventCorrected) else "retracted"
    line = f"{how} by event {by.version}"
    named = [text for text in (by.by, getattr(data, "why", None)) if text]
    if named:
        line += f" ({': '.join(named)})"
    return line


def breach_line(step: ReplayStep) -> str:
    """Return the rules that an attempt says it broke, and why; empty for all others."""
    data = step.event.data
    if not isinstance(data, AttemptMade) or not data.broke:
        return ""
    return f"{', '.join(data.broke)}: {data.why or 'no reason given'}"


def overdue_lines(step: AnnotatedStep) -> Iterator[str]:
    """Yield what was due and not done when the event came, one line each."""
    for item in step.overdue:
        yield _overdue(step.prospect, item)


def _overdue(prospect: Prospect, item: Overdue) -> str:
    if isinstance(item.pending, Reason):
        return item.pending.because
    action = next_action(item.pending)
    if item.late is None:
        return action
    since = "by" if item.kind is OverdueKind.TASK else "since"
    return f"{action}, due {since} {clock(prospect, item.due)}; {duration(item.late)} late by then"


def punctuality_line(step: AnnotatedStep) -> str:
    """Return how late or early the attempt carried out its touch; empty if it was in time."""
    if step.due is None:
        return ""
    late = step.event.occurred_at - step.due
    if abs(late) < _MINUTE:
        return ""
    when = "after" if late > _NO_TIME else "before"
    return f"made {duration(abs(late))} {when} it was due, {clock(step.prospect, step.due)}"


def measure_line(step: AnnotatedStep) -> str:
    """Return the gap of an attempt with its measure; empty if there is none."""
    found = step.measure
    if found is None:
        return ""
    since = clock(step.prospect, found.start)
    line = f"{gap_text(found.gap)} after event {found.version} ({since})"
    if found.gap.business_days:
        line += f", {duration(found.elapsed)} elapsed"
    if found.days_off:
        off = ", ".join(f"{name} ({day})" for day, name in found.days_off)
        line += f", not counting {off}"
    if found.largest.business_days or found.largest.minutes:
        line += f"; largest before: {gap_text(found.largest)}"
    return line if found.is_recorded else f"{line}; measured now, not then"


def unrecorded_lines(step: AnnotatedStep) -> Iterator[str]:
    """Yield what had occurred by then but was recorded later, one line each."""
    for event in step.unrecorded:
        occurred = clock(step.prospect, event.occurred_at)
        recorded = clock(step.prospect, event.recorded_at)
        yield f"event {event.version}, {type_name(event.data)} of {occurred}, recorded {recorded}"
    more = step.unrecorded_count - len(step.unrecorded)
    if more:
        yield f"and {more} more"
