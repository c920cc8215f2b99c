"""How decisions and histories look in a terminal, and as plain text when piped."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from cadence.cli.terminal import bare, paint
from cadence.domain.channels import AddressKind
from cadence.domain.elsewhere import kind_of_key
from cadence.domain.events import Data, Event, type_name
from cadence.domain.prospect import Prospect
from cadence.domain.standing import taken_back_by
from cadence.engine.claims import ClaimState
from cadence.engine.decision import Decision, Verdict, Wait
from cadence.engine.precheck import Precheck
from cadence.engine.reasons import Reason
from cadence.engine.wording import duration
from cadence.policy.touch import TouchPart
from cadence.replay.formatting import (
    breach_line,
    clock,
    due_time,
    event_data,
    local_zone,
    measure_line,
    missed_time,
    next_action,
    overdue_lines,
    punctuality_line,
    short_clock,
    summary,
    taken_back_line,
    unrecorded_lines,
)
from cadence.replay.steps import AnnotatedStep
from cadence.store.duplicates import Duplicate

__all__ = [
    "claim_words",
    "details",
    "due_entry",
    "due_header",
    "due_line",
    "explanation",
    "fact",
    "glance",
    "happened",
    "how_to_settle",
    "list_header",
    "list_line",
    "next_line",
    "precheck_lines",
    "replay_lines",
    "stood",
]

_MINUTE: Final = timedelta(minutes=1)
_STYLES = {
    Verdict.DUE: "bold green",
    Verdict.TASK: "bold yellow",
    Verdict.WAIT: "cyan",
    Verdict.CLOSE: "magenta",
    Verdict.STOP: "dim",
}


_DUE_COLUMNS: Final = "{:5}  {:15}  {:11}  {:18}  {:16}  {:8}  {}"


def due_header() -> str:
    """The column titles of :func:`due_line`."""
    titles = ("what", "their time", "late", "name", "prospect", "owner", "next")
    return paint(_DUE_COLUMNS.format(*titles), "bold")


def due_line(prospect: Prospect, decision: Decision, now: datetime) -> str:
    """One decision as a line of the due list, for a file or another program."""
    who = (prospect.identity.name, prospect.id, prospect.identity.owner or "-")
    when, late = short_clock(prospect, decision.at), _lateness(decision, now) or "-"
    return _DUE_COLUMNS.format(decision.verdict, when, late, *who, _next(prospect, decision))


def due_entry(prospect: Prospect, decision: Decision, now: datetime) -> Iterable[str]:
    """One decision in the lines that a terminal shows: who and when, then what to do."""
    verdict = paint(f"{decision.verdict:5}", _STYLES[decision.verdict])
    when = short_clock(prospect, decision.at)
    late = _lateness(decision, now)
    late = paint(f"{late:11}", "yellow") if late else " " * 11
    owner = prospect.identity.owner
    who = paint(prospect.identity.name, "bold") + (f"  ({owner})" if owner else "")
    yield f"{verdict} {when:15}  {late}  {who}"
    yield f"      {paint(f'{prospect.id:28}', 'dim')} {_next(prospect, decision)}"


def _next(prospect: Prospect, decision: Decision) -> str:
    missed, claim = missed_time(prospect, decision), claim_words(prospect, decision)
    return "".join((next_action(decision), *(f"  ({one})" for one in (missed, claim) if one)))


def claim_words(prospect: Prospect, decision: Decision) -> str:
    """Return who has the touch, or had it last, and until when; empty without a claim."""
    claim = decision.claim
    if claim is None:
        return ""
    until = f"{short_clock(prospect, claim.until)} {local_zone(prospect)}"
    if claim.state is ClaimState.UNKNOWN:
        return f"{claim.by} had it until {until} and may have made it: cadence tick records it"
    return f"{claim.by} {'has' if claim.state is ClaimState.HELD else 'had'} it until {until}"


def _lateness(decision: Decision, now: datetime) -> str:
    """Return how late a decision is: ``7 d 8 h``; empty if it is not."""
    since = decision.due_since if isinstance(decision, Wait) else decision.at
    if since is None or now - since < _MINUTE:
        return ""
    return " ".join(duration(now - since).split(" ")[:4])  # the two largest units


_LIST_COLUMNS: Final = "{:16}  {:16}  {:8}  {:11}  {}"


def list_header() -> str:
    """The column titles of :func:`list_line`."""
    return paint(_LIST_COLUMNS.format("prospect", "name", "owner", "stage", "next"), "bold")


def list_line(prospect: Prospect, decision: Decision) -> str:
    """One prospect as a line of a list."""
    next_ = f"{decision.verdict:5} {short_clock(prospect, decision.at)}" if decision.at else "stop"
    when = paint(next_, _STYLES[decision.verdict])
    who = (prospect.id, prospect.identity.name, prospect.identity.owner or "-")
    return _LIST_COLUMNS.format(*who, prospect.stage, when)


def glance(
    prospect: Prospect, decision: Decision, events: Sequence[Event], now: datetime
) -> Iterable[str]:
    """One prospect at a glance: who, how to reach, what comes next and why, the last events."""
    identity, reach = prospect.identity, prospect.reach
    yield f"{paint(prospect.id, 'bold')}  {identity.name}  stage {prospect.stage}"
    for title, text in (
        ("owner", identity.owner),
        ("company", identity.company),
        ("source", identity.source),
        ("their time", f"{clock(prospect, now)} {', '.join(identity.zones)}"),
    ):
        if text:
            yield f"  {title:10}  {text}"
    for point in reach.contact_points:
        state = "  (failed)" if reach.has_failed(point.same) else ""
        state = "  (opted out)" if point.channel in reach.opted_out else state
        yield f"  {point.channel:10}  {point.address}{paint(state, 'yellow') if state else ''}"
    if reach.preferred_channel is not None or reach.preferred_hours is not None:
        yield f"  {'prefers':10}  {reach.preferred_channel or ''} {reach.preferred_hours or ''}"
    for interest in prospect.interests:
        yield f"  {'interest':10}  {interest}"
    for value in prospect.values:
        used = "  (used)" if value.id in prospect.used_values else ""
        yield f"  {'value':10}  {value.text}{used}"
    yield f"  {'next':10}  {next_line(prospect, decision)}"
    if decision.claim is not None:
        yield f"  {'claim':10}  {paint(claim_words(prospect, decision), 'yellow')}"
    for part in decision.touch.parts if decision.touch is not None else ():
        if part.text and decision.verdict is Verdict.DUE:
            yield from spoken_lines(part)
    for reason in decision.reasons:
        if reason.code != "data_versions":
            yield f"  {'why':10}  {_reason(reason)}"
    yield from _event_lines(prospect, events)


def _event_lines(prospect: Prospect, events: Sequence[Event]) -> Iterable[str]:
    taken_back = taken_back_by(events)
    for event in events:
        line = f"{clock(prospect, event.occurred_at)}  {_happened(event)}"
        by = taken_back.get(event.version)
        if by is not None:
            line = paint(bare(line), "strike dim")
            line += paint(f"  [taken back by event {by.version}]", "yellow")
        yield f"  {f'event {event.version}':10}  {line}"


def _happened(event: Event) -> str:
    return f"{paint(type_name(event.data), 'bold')}  {summary(event, _LONGEST)}".rstrip()


def next_line(prospect: Prospect, decision: Decision) -> str:
    """What comes next, in one line."""
    words = due_time(prospect, decision)
    if decision.at is not None:
        words += f" {prospect.identity.zones[0]}"
    painted = paint(words, _STYLES[decision.verdict])
    return f"{painted}  {next_action(decision)}".rstrip()


def may_be(one: Duplicate) -> str:
    """Say which other record a prospect may be, and by which addresses."""
    return f"{one.prospect} may be {one.other}, who has {', '.join(one.keys)} too"


def how_to_settle(keys: Iterable[str], *, of_many: bool = False) -> str:
    """Say what to do about records that may be one person: a number may also be a house's.

    Args:
        keys: the addresses that they have in common.
        of_many: of several pairs, so that no address is named.
    """
    numbers = [key for key in keys if kind_of_key(key) is AddressKind.PHONE]
    if not numbers:
        return "use cadence merge or cadence not-same"
    number = "ADDRESS" if of_many else shlex.quote(numbers[0])
    return f"use cadence merge or cadence not-same; for a house's number: cadence line {number}"


def explanation(prospect: Prospect, decision: Decision) -> Iterable[str]:
    """A decision in full: what, what to say, and why."""
    yield f"{paint(prospect.id, 'bold')}  {prospect.identity.name}  stage {decision.stage}"
    yield f"  {next_line(prospect, decision)}"
    if decision.claim is not None:
        yield f"  {paint(claim_words(prospect, decision), 'yellow')}"
    for part in decision.touch.parts if decision.touch is not None else ():
        if part.text:
            yield from spoken_lines(part)
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


def spoken_lines(part: TouchPart) -> Iterator[str]:
    """What to say on one channel: each form under its name, its lines indented."""
    by = part.channel if part.form in ("", part.channel) else f"{part.channel}, {part.form}"
    texts = [(by, part.subject and f"Subject: {part.subject}", part.text)]
    if part.live:
        texts.append((f"{part.channel}, if they answer", "", part.live))
    for name, subject, text in texts:
        if not text:
            continue
        lines = [*filter(None, [subject]), *text.splitlines()]
        if len(lines) == 1:
            yield f"  say ({name}): {lines[0]}"
            continue
        yield f"  say ({name}):"
        yield from (f"    {line}".rstrip() for line in lines)


def precheck_lines(prospect: Prospect, answer: Precheck) -> Iterable[str]:
    """What an attempt made now would break."""
    yield f"  if you tried by {answer.channel} now:"
    if answer.address is None:
        yield f"    no {answer.channel} contact point is left"
    if not answer.breaks:
        place = answer.step or answer.stage
        yield "    it breaks nothing" + (f"; it counts as {place}" if place != "extra" else "")
    for broken in answer.breaks:
        until = ""
        if broken.until is not None:
            until = f" (until {clock(prospect, broken.until)} {local_zone(prospect)})"
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
    if step.taken_back_by is not None:
        struck = paint(f"{when}  {type_name(event.data)}  {summary(event, _LONGEST)}", "strike dim")
        since = paint(f"  [{taken_back_line(step)}]", "yellow")
        return f"{event.version:>4}  {struck}{late}{since}"
    if step.is_anothers:
        whose = f"{event.prospect}: {type_name(event.data)}"
        return f"   ·  {when}  {paint(whose, 'bold')}  {summary(event, _LONGEST)}{late}"
    style = "bold red" if breach_line(step) else "bold"
    head = f"{event.version:>4}  {when}  {paint(type_name(event.data), style)}"
    return f"{head}  {summary(event, _LONGEST)}{late}"


def stood(step: AnnotatedStep) -> str:
    """Where that led, and what was then decided, in one line."""
    decided = next_line(step.prospect, step.decision)
    seen = ""
    if step.seen_at != step.event.recorded_at:
        seen = paint(f" (seen {clock(step.prospect, step.seen_at)})", "dim")
    return f"      → {step.prospect.stage:12} {decided}{seen}"


def details(step: AnnotatedStep) -> Iterable[str]:
    """Yield what was to be said, why, what was overdue, the gap's measure, and what was not known.

    What was to be said is there where the step's decision was composed.
    """
    for part in step.decision.touch.parts if step.decision.touch is not None else ():
        yield from (line.removeprefix("  ") for line in spoken_lines(part))
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
        if step.merged_by and not step.is_changed:
            continue  # it said nothing here until the merge
        yield stood(step)
        if not brief:
            for line in details(step):
                yield f"        {line}"
