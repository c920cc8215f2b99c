"""How decisions and histories look in a terminal, and as plain text when piped."""

from __future__ import annotations

from collections.abc import Iterable

from cadence.cli.terminal import paint
from cadence.domain.events import Data, type_name
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, Task, Verdict
from cadence.engine.precheck import Precheck
from cadence.engine.reasons import Reason
from cadence.replay.formatting import (
    clock,
    due_time,
    event_data,
    measure_line,
    missed_time,
    next_action,
    overdue_lines,
    punctuality_line,
    summary,
    unrecorded_lines,
)
from cadence.replay.steps import AnnotatedStep

__all__ = [
    "anyway_lines",
    "details",
    "due_header",
    "due_line",
    "explanation",
    "fact",
    "happened",
    "next_line",
    "replay_lines",
    "stood",
]

_STYLES = {
    Verdict.DUE: "bold green",
    Verdict.TASK: "bold yellow",
    Verdict.WAIT: "cyan",
    Verdict.CLOSE: "magenta",
    Verdict.STOP: "dim",
}


def due_header() -> str:
    """The column titles of :func:`due_line`."""
    return paint(f"{'what':6} {'when (their time)':23} {'prospect':20} {'stage':12} next", "bold")


def due_line(prospect: Prospect, decision: Decision) -> str:
    """One decision as a line of the due list."""
    verdict = paint(f"{decision.verdict:6}", _STYLES[decision.verdict])
    when = clock(prospect, decision.at)
    if decision.verdict is Verdict.TASK:
        when = f"by {when}"
    late = "overdue" if isinstance(decision, Task) and decision.is_overdue else ""
    late = late or missed_time(prospect, decision)
    next_ = next_action(decision) + (f"  ({late})" if late else "")
    return f"{verdict} {when:23} {prospect.id:20} {decision.stage:12} {next_}".rstrip()


def next_line(prospect: Prospect, decision: Decision) -> str:
    """What comes next, in one line."""
    words = due_time(prospect, decision)
    if decision.at is not None:
        words += f" {prospect.identity.zones[0]}"
    painted = paint(words, _STYLES[decision.verdict])
    return f"{painted}  {next_action(decision)}".rstrip()


def explanation(prospect: Prospect, decision: Decision) -> Iterable[str]:
    """A decision in full: what, what to say, and why."""
    yield f"{paint(prospect.id, 'bold')}  {prospect.identity.name}  stage {decision.stage}"
    yield f"  {next_line(prospect, decision)}"
    for part in decision.touch.parts if decision.touch is not None else ():
        if part.text:
            yield f"  say ({part.channel}): {part.text}"
    yield "  why:"
    for reason in decision.reasons:
        yield f"    {_reason(reason)}"
    ref = decision.policy
    if decision.verdict is Verdict.WAIT:
        held = [r for r in decision.reasons if r.until is not None]
        rules = "; ".join(f"{r.rule} until {clock(prospect, r.until)}" for r in held)
        yield f"  not earlier: {rules}"
    if len(prospect.identity.zones) > 1:
        yield f"  in every zone they may be in: {', '.join(prospect.identity.zones)}"
    yield paint(f"  policy {ref.name} version {ref.version}, digest {ref.digest[:12]}…", "dim")


def anyway_lines(prospect: Prospect, answer: Precheck) -> Iterable[str]:
    """What an attempt made now would break."""
    yield f"  if you tried by {answer.channel} now anyway:"
    if answer.address is None:
        yield f"    no {answer.channel} contact point is left"
    if not answer.breaks:
        place = answer.step or answer.stage
        yield "    it breaks nothing" + (f"; it counts as {place}" if place != "extra" else "")
    for broken in answer.breaks:
        until = f" (until {clock(prospect, broken.until)})" if broken.until is not None else ""
        yield f"    it breaks {broken.rule}: {broken.because}{until}"


def _reason(reason: Reason) -> str:
    events = f" [event {', '.join(map(str, reason.events))}]" if reason.events else ""
    text = f"{reason.rule:14} {reason.because}{events} ({reason.source})"
    return paint(text, "dim") if reason.code == "data_versions" else text


_LONGEST = 40  # of a value in a line of a replay


def fact(data: Data) -> str:
    """What happened, in a line."""
    return event_data(data, _LONGEST)


def happened(step: AnnotatedStep) -> str:
    """What was recorded, and when, in one line."""
    event, prospect = step.event, step.prospect
    when = clock(prospect, event.occurred_at)
    late = ""
    if event.recorded_at != event.occurred_at:
        late = paint(f" (recorded {clock(prospect, event.recorded_at)})", "dim")
    if event.uncertain is not None:
        late += paint(f" (order uncertain: {event.uncertain})", "yellow")
    head = f"{event.version:>4}  {when}  {paint(type_name(event.data), 'bold')}"
    return f"{head}  {summary(event, _LONGEST)}{late}"


def stood(step: AnnotatedStep) -> str:
    """Where that led, and what was then decided, in one line."""
    decided = next_line(step.prospect, step.decision)
    seen = ""
    if step.seen_at != step.event.recorded_at:
        seen = paint(f" (seen {clock(step.prospect, step.seen_at)})", "dim")
    return f"      → {step.prospect.stage:12} {decided}{seen}"


def details(step: AnnotatedStep) -> Iterable[str]:
    """Yield the reasons, what was overdue, the gap's measure, and what was not recorded yet."""
    for reason in step.decision.reasons:
        if reason.code != "data_versions":  # the same at every step
            yield f"why: {_reason(reason)}"
    punctual = punctuality_line(step)
    if punctual:
        yield paint(f"when: {punctual}", "yellow")
    for one in overdue_lines(step):
        yield paint(f"not done: {one}", "yellow")
    measured = measure_line(step)
    if measured:
        yield f"gap: {measured}"
    for one in unrecorded_lines(step):
        yield paint(f"not yet recorded: {one}", "magenta")


def replay_lines(steps: Iterable[AnnotatedStep], *, brief: bool = False) -> Iterable[str]:
    """A replay: what happened, what followed, and (unless ``brief``) why and what was missed."""
    for step in steps:
        yield happened(step)
        yield stood(step)
        if not brief:
            for line in details(step):
                yield f"        {line}"
