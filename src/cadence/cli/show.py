"""How decisions and histories look in a terminal, and as plain text when piped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from cadence.core.events import AttemptMade, Data, type_name
from cadence.core.prospect import Prospect
from cadence.core.wire import data_fields
from cadence.errors import InputError
from cadence.history.anyway import Anyway
from cadence.history.replay import Replayed
from cadence.policy.charter import Rule
from cadence.policy.decision import Decision, Reason, Verdict
from cadence.policy.zones import zone

__all__ = [
    "anyway_lines",
    "clock",
    "due_header",
    "due_line",
    "explanation",
    "fact",
    "next_line",
    "paint",
    "plain",
    "replay_lines",
]

_STYLES = {
    Verdict.DUE: "bold green",
    Verdict.TASK: "bold yellow",
    Verdict.WAIT: "cyan",
    Verdict.CLOSE: "magenta",
    Verdict.STOP: "dim",
}


def plain(text: str) -> str:
    """``text`` without what would steer a terminal: control codes become visible."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def paint(text: str, style: str) -> str:
    """``text`` in colour in a terminal that wants it, as it is otherwise."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    from rich.style import Style

    return Style.parse(style).render(text)


def clock(prospect: Prospect, instant: datetime | None) -> str:
    """An instant on the prospect's clock."""
    if instant is None:
        return "-"
    try:
        local = instant.astimezone(zone(prospect.zones[0]))
    except InputError:
        local = instant
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return f"{days[local.weekday()]} {local:%Y-%m-%d %H:%M}"


def _what(decision: Decision) -> str:
    if decision.touch is not None:
        parts = ", ".join(f"{part.channel} {plain(part.address)}" for part in decision.touch.parts)
        return f"{decision.touch.step}: {parts}"
    if decision.task is not None:
        return plain(decision.task)
    if decision.end is not None:
        return f"close the file as {decision.end}"
    return "await their answer" if decision.decision is Verdict.WAIT else ""


def due_header() -> str:
    """The column titles of :func:`due_line`."""
    return paint(f"{'what':6} {'when (their time)':23} {'prospect':20} {'stage':12} next", "bold")


def due_line(prospect: Prospect, decision: Decision) -> str:
    """One decision as a line of the due list."""
    verdict = paint(f"{decision.decision:6}", _STYLES[decision.decision])
    when = clock(prospect, decision.at)
    if decision.decision is Verdict.TASK:
        when = f"by {when}"
    late = "  (overdue)" if any(_escalates(reason) for reason in decision.reasons) else ""
    what = f"{_what(decision)}{late}"
    return f"{verdict} {when:23} {prospect.id:20} {decision.stage:12} {what}".rstrip()


def _escalates(reason: Reason) -> bool:
    return reason.rule == Rule.FORGOTTEN and "escalate" in reason.because


def next_line(prospect: Prospect, decision: Decision) -> str:
    """What comes next, in one line."""
    verdict = decision.decision
    when = {
        Verdict.DUE: "due since",
        Verdict.WAIT: "wait until",
        Verdict.TASK: "task by",
        Verdict.CLOSE: "close, since",
        Verdict.STOP: "stop",
    }[verdict]
    at = f" {clock(prospect, decision.at)} {prospect.zones[0]}" if decision.at is not None else ""
    return f"{paint(when + at, _STYLES[verdict])}  {_what(decision)}".rstrip()


def explanation(prospect: Prospect, decision: Decision) -> Iterable[str]:
    """A decision in full: what, what to say, and why."""
    yield f"{paint(prospect.id, 'bold')}  {plain(prospect.name)}  stage {decision.stage}"
    yield f"  {next_line(prospect, decision)}"
    for part in decision.touch.parts if decision.touch is not None else ():
        if part.text:
            yield f"  say ({part.channel}): {plain(part.text)}"
    yield "  why:"
    for reason in decision.reasons:
        yield f"    {_reason(reason)}"
    ref = decision.policy
    if decision.decision is Verdict.WAIT:
        held = [r for r in decision.reasons if r.until is not None]
        rules = "; ".join(f"{r.rule} until {clock(prospect, r.until)}" for r in held)
        yield f"  not earlier: {rules}"
    if len(prospect.zones) > 1:
        yield f"  in every zone they may be in: {', '.join(prospect.zones)}"
    yield paint(f"  policy {ref.name} version {ref.version}, digest {ref.digest[:12]}…", "dim")


def anyway_lines(prospect: Prospect, answer: Anyway) -> Iterable[str]:
    """What an attempt made now would break."""
    yield f"  if you tried by {answer.channel} now anyway:"
    if answer.address is None:
        yield f"    no {answer.channel} contact point is left"
    if not answer.breaks:
        place = answer.step or answer.stage
        yield "    it breaks nothing" + (f"; it counts as {place}" if place != "extra" else "")
    for broken in answer.breaks:
        until = f" (until {clock(prospect, broken.until)})" if broken.until is not None else ""
        yield plain(f"    it breaks {broken.rule}: {broken.because}{until}")


def _reason(reason: Reason) -> str:
    events = f" [event {', '.join(map(str, reason.events))}]" if reason.events else ""
    text = plain(f"{reason.rule:14} {reason.because}{events} ({reason.source})")
    return paint(text, "dim") if reason.rule == Rule.DETERMINISTIC else text


def fact(data: Data) -> str:
    """What happened, in a line."""
    if isinstance(data, AttemptMade):
        parts = ", ".join(f"{part.channel} {part.disposition}" for part in data.parts)
        place = plain(data.step or data.stage or "")
        broke = plain(f", broke {', '.join(data.broke)}") if data.broke else ""
        gap = ""
        if data.gap is not None:
            gap = (
                f", gap {data.gap.business_days} business day{'s' * (data.gap.business_days > 1)}"
                if data.gap.business_days
                else f", gap {data.gap.minutes} min"
            )
        why = f" ({_short(data.why)})" if data.why else ""
        return f"{place}{': ' if place else ''}{parts}{gap}{broke}{why}"
    fields: dict[str, Any] = data_fields(data)
    return ", ".join(f"{name} {_short(value)}" for name, value in fields.items())


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_short(one) for one in value)
    if isinstance(value, dict):
        return plain("=".join(str(one) for one in value.values()))
    text = plain(str(value).replace("\n", " "))
    return text if len(text) <= 40 else text[:39] + "…"


def replay_lines(steps: Iterable[Replayed]) -> Iterable[str]:
    """A replay: two lines an event, what happened and what followed."""
    for step in steps:
        event, prospect = step.event, step.prospect
        when = clock(prospect, event.occurred_at)
        late = ""
        if event.recorded_at != event.occurred_at:
            late = paint(f" (recorded {clock(prospect, event.recorded_at)})", "dim")
        if event.uncertain is not None:
            late += paint(f" (order uncertain: {plain(event.uncertain)})", "yellow")
        head = f"{event.version:>4}  {when}  {paint(type_name(event.data), 'bold')}"
        yield f"{head}  {fact(event.data)}{late}"
        yield f"      → {step.stage:12} {next_line(prospect, step.decision)}"
