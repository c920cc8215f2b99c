"""Events, decisions and times in words, the same in a terminal and on a page.

Whatever a person typed comes through as it is; whoever shows it makes it harmless for where it is
shown (``cli.show.plain`` for a terminal, escaping for a page).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cadence.domain.codec import data_fields
from cadence.domain.events import AttemptMade, Data, Event, Gap, type_name
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Close, Decision, Task, Verdict
from cadence.engine.wording import duration
from cadence.errors import InputError
from cadence.worktime.zones import zone

if TYPE_CHECKING:
    from cadence.replay.moments import Moment

__all__ = [
    "clock",
    "gap_words",
    "measure_line",
    "next_words",
    "punctual_line",
    "say",
    "summary",
    "undone_lines",
    "unknown_lines",
    "what",
]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WHEN: Final = {
    Verdict.DUE: "due since",
    Verdict.WAIT: "wait until",
    Verdict.TASK: "task by",
    Verdict.CLOSE: "close, since",
    Verdict.STOP: "stop",
}


_NO_TIME: Final = timedelta(0)
_MINUTE: Final = timedelta(minutes=1)


def clock(prospect: Prospect, instant: datetime | None) -> str:
    """An instant on the prospect's clock, e.g. ``Fri 2026-12-04 13:10``."""
    if instant is None:
        return "-"
    try:
        local = instant.astimezone(zone(prospect.identity.zones[0]))
    except InputError:
        local = instant
    return f"{_DAYS[local.weekday()]} {local:%Y-%m-%d %H:%M}"


def what(decision: Decision) -> str:
    """What is to be done: ``spaced#2: call +1 212 555 0100``, a task, an end."""
    if decision.touch is not None:
        parts = ", ".join(f"{part.channel} {part.address}" for part in decision.touch.parts)
        return f"{decision.touch.step}: {parts}"
    if isinstance(decision, Task):
        return decision.task
    if isinstance(decision, Close):
        return f"close the follow-up as {decision.end}"
    return "await their answer" if decision.verdict is Verdict.WAIT else ""


def next_words(prospect: Prospect, decision: Decision) -> str:
    """The kind of decision and its time, e.g. ``wait until Fri 2026-12-04 13:10``."""
    when = _WHEN[decision.verdict]
    return when if decision.at is None else f"{when} {clock(prospect, decision.at)}"


def gap_words(gap: Gap) -> str:
    """``3 business days``, or ``10 min`` where there is no business day between."""
    if gap.business_days:
        return f"{gap.business_days} business day{'s' * (gap.business_days > 1)}"
    return f"{gap.minutes} min"


def summary(event: Event, longest: int | None = None) -> str:
    """What an event says, in one line.

    Args:
        event: which.
        longest: values longer than so many characters are cut; ``None``: none is.
    """
    return say(event.data, longest)


def say(data: Data, longest: int | None = None) -> str:
    """What the data of an event say, in one line; ``longest`` as for :func:`summary`."""
    if isinstance(data, AttemptMade):
        parts = ", ".join(f"{part.channel} {part.disposition}" for part in data.parts)
        place = data.step or data.stage or ""
        gap = "" if data.gap is None else f", gap {gap_words(data.gap)}"
        broke = f", broke {', '.join(data.broke)}" if data.broke else ""
        why = f" ({_value(data.why, longest)})" if data.why else ""
        return f"{place}{': ' if place else ''}{parts}{gap}{broke}{why}"
    fields: dict[str, Any] = data_fields(data)
    return ", ".join(f"{name} {_value(value, longest)}" for name, value in fields.items())


def _value(value: object, longest: int | None) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_value(one, longest) for one in value)
    if isinstance(value, dict):
        return "=".join(str(one) for one in value.values())
    text = str(value).replace("\n", " ")
    return text if longest is None or len(text) <= longest else text[: longest - 1] + "…"


def undone_lines(moment: Moment) -> Iterator[str]:
    """What was due and not done when the event came, one line each."""
    for one in moment.undone:
        if one.due is None or one.late is None:
            yield one.what
        else:
            was = "by" if one.kind == "task" else "since"
            due = clock(moment.prospect, one.due)
            yield f"{one.what}, due {was} {due}; {duration(one.late)} late by then"


def punctual_line(moment: Moment) -> str:
    """How late or early the attempt carried out its touch; empty if in time, or it did none."""
    if moment.due is None:
        return ""
    late = moment.event.occurred_at - moment.due
    if abs(late) < _MINUTE:
        return ""
    when = "after" if late > _NO_TIME else "before"
    return f"made {duration(abs(late))} {when} it was due, {clock(moment.prospect, moment.due)}"


def measure_line(moment: Moment) -> str:
    """The gap of an attempt with its measure; empty if there is none."""
    measure = moment.measure
    if measure is None:
        return ""
    since = clock(moment.prospect, measure.start)
    line = f"{gap_words(measure.gap)} after event {measure.version} ({since})"
    if measure.gap.business_days:
        line += f", {duration(measure.elapsed)} elapsed"
    if measure.days_off:
        off = ", ".join(f"{name} ({day})" for day, name in measure.days_off)
        line += f", not counting {off}"
    if measure.largest.business_days or measure.largest.minutes:
        line += f"; largest before: {gap_words(measure.largest)}"
    return line if measure.measured_then else f"{line}; measured now, not then"


def unknown_lines(moment: Moment) -> Iterator[str]:
    """What had occurred by then but was recorded only later, one line each."""
    for event in moment.unknown:
        occurred = clock(moment.prospect, event.occurred_at)
        recorded = clock(moment.prospect, event.recorded_at)
        yield (f"event {event.version}, {type_name(event.data)} of {occurred}, recorded {recorded}")
    more = moment.unknown_count - len(moment.unknown)
    if more:
        yield f"and {more} more"
