"""Check the invariants once more, from the events alone, for any policy.

:func:`breaches` reads a whole history again for every question (``past.py``). It shares no code
with the engine's invariants, its plan or the prover, so that neither can be wrong unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple, assert_never

from cadence.domain.channels import Channel
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    EndReason,
    Event,
    GuidelinesAgreed,
    Intent,
    ProspectAdded,
    ReplyReceived,
)
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.domain.stages import OUTREACH, OVER, Stage
from cadence.engine.decision import Close, Decision, Task, Verdict
from cadence.policy.guards import (
    ContactWindow,
    CoolDown,
    Custom,
    FrequencyCap,
    Guard,
    HolidayBan,
    Pause,
)
from cadence.policy.registry import PolicyRegistry
from cadence.policy.touch import Touch, TouchPart
from cadence.testing.past import WAKING, Gap, Past, is_holiday
from cadence.worktime.zones import zone

__all__ = ["Breach", "breaches"]

_RANKS: Final = [stage.value for stage in OUTREACH]
_EXACT: Final = ("on_time", "ten_minutes")


class Breach(NamedTuple):
    """A rule that a decision, or an attempt that was said to be in order, breaks."""

    rule: str
    because: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.because}"


# What is proposed ---------------------------------------------------------------------------------


def breaches(
    events: Sequence[Event],
    prospect: Prospect,
    policies: PolicyRegistry,
    decision: Decision,
    now: datetime,
) -> list[Breach]:
    """Return the invariants that a decision breaks, and those of a last event that is an attempt.

    Args:
        events: a whole history, in order; nothing in it was learnt of late.
        prospect: its fold; only its stage is looked at.
        policies: where the policy is found that it is under.
        decision: what was decided after it.
        now: when.
    """
    policy = policies.of(prospect)
    if policy is None:
        return []
    past = Past(events, policy)
    found = [*_forgotten(past, prospect.stage, decision), *_ending(past, decision)]
    if decision.touch is not None and decision.at is not None:
        calls = [(part.channel, part.same) for part in decision.touch.parts]
        stage = decision.touch.stage.value
        found += _touch(past, stage, calls, decision.at)
        found += _hours_of(past, stage, decision.at)
        if decision.verdict is Verdict.DUE:
            found += _guarded(past, decision.touch, now)
            found += _hours_of(past, stage, now)
    last = events[-1]
    if isinstance(last.data, AttemptMade) and not last.data.broke:
        before = Past(events[:-1], policy)
        made = [(part.channel, part.same or "") for part in last.data.parts]
        stage = "own" if last.data.touch is None else str(last.data.stage)
        found += _touch(before, stage, made, last.occurred_at)
        found += _measured(before, last)
        found += _waking(before, stage, last.occurred_at)
        parts = tuple(TouchPart(channel, key, "", key=key) for channel, key in made)
        touch = Touch("", Stage.SPACED, stage, parts)
        found += _guarded(before, touch, last.occurred_at)
    return found


def _measured(before: Past, last: Event) -> Iterator[Breach]:
    data, attempts = last.data, before.attempts
    if isinstance(data, AttemptMade) and data.gap is not None and attempts:
        gap = before.gap(attempts[-1].occurred_at, last.occurred_at)
        if gap != (data.gap.business_days, data.gap.minutes):
            yield Breach("gap", f"recorded as {data.gap}, measured as {_said(gap)}")


def _forgotten(past: Past, stage: Stage, decision: Decision) -> Iterator[Breach]:
    kind = decision.verdict
    if (kind is Verdict.STOP) and stage not in OVER:
        yield Breach("forgotten", f"an open prospect at stage {stage} is stopped")
    if (kind is Verdict.STOP) != (decision.at is None):
        yield Breach("forgotten", f"{kind} at {decision.at}")
    if isinstance(decision, Task) and not decision.task:
        yield Breach("forgotten", f"a task of kind {decision.kind} says nothing")
    if stage in OVER and kind not in (Verdict.STOP, Verdict.TASK):
        yield Breach("opt_out", f"{kind} for a file that is {stage}")
    said = past.response.data
    refused = isinstance(said, ReplyReceived | AttemptMade) and said.intent is Intent.NO
    if refused and decision.touch is not None and stage is Stage.ENGAGED:
        yield Breach("forgotten", "they said no, and are not left to the owner")


def _ending(past: Past, decision: Decision) -> Iterator[Breach]:
    if not isinstance(decision, Close):
        return
    if decision.end is EndReason.UNREACHABLE:
        if past.left:
            yield Breach("contact_point", f"closed as unreachable, but {past.left} are left")
        return
    ends = past.answer_ends
    if ends is None:
        yield Breach("polite_exit", "closed, though no polite exit was delivered")
    elif decision.at is None or decision.at < ends:
        yield Breach("polite_exit", f"closed at {decision.at}; the time to answer ends {ends}")


def _touch(
    past: Past, stage: str, points: Sequence[tuple[Channel, str]], at: datetime
) -> Iterator[Breach]:
    attempts, channels = past.attempts, {channel for channel, _ in points}
    bad = past.failed
    for channel, key in points:
        if past.is_opted_out(channel):
            yield Breach("opt_out", f"{channel} is used after an opt-out")
        if key in bad:
            yield Breach("contact_point", f"{channel} {key} failed, and is used again")
    calls = sum(1 for event in attempts if _is_spaced_call(event))
    if stage in ("spaced", "own") and channels & past.policy.spoken and calls >= 6:
        yield Breach("spaced_cap", f"a spaced call after {calls}")
    if attempts and stage != "on_time":
        gap, largest = past.gap(attempts[-1].occurred_at, at), _largest_gap(past)
        if gap < largest:
            yield Breach("gap", f"{_said(gap)} after a gap of {_said(largest)}")
    yield from _frequency(past, stage, len(points), at)
    made = [str(e.data.stage) for e in attempts if isinstance(e.data, AttemptMade)]
    ranks = [_RANKS.index(one) for one in made if one in _RANKS]
    if stage in _RANKS and ranks and max(ranks) > _RANKS.index(stage):
        yield Breach("order", f"{stage} after {_RANKS[max(ranks)]}")
    if past.answer_ends is not None:
        yield Breach("polite_exit", f"{stage} after a polite exit that was delivered")
    if stage == "concern":
        yield from _concern(attempts, made, at)
    if attempts and stage not in (*_EXACT, "polite_exit", "own"):
        days = past.gap(attempts[0].occurred_at, at)[0]
        if days > past.policy.horizon_business_days:
            yield Breach("bounded", f"{stage} on business day {days} of silence")
    yield from _agreement(past, stage)


def _frequency(past: Past, stage: str, parts: int, at: datetime) -> Iterator[Breach]:
    if parts > 2 and stage != "own":
        yield Breach("frequency", f"{stage} has {plural(parts, 'part')}")
    if stage in _EXACT:
        return
    made = [
        event.occurred_at
        for event in past.attempts
        if isinstance(event.data, AttemptMade)
        for _ in event.data.parts
    ]
    for days, most in ((1, 3), (7, 5), (30, 12)):
        recent = [one for one in made if one > at - timedelta(days=days)]
        if len(recent) + parts > most:
            yield Breach("frequency", f"{len(recent) + parts} parts in {plural(days, 'day')}")
    if made and stage not in ("half_day", "own") and past.gap(made[-1], at)[0] < 1:
        yield Breach("frequency", f"{stage} less than a business day after {made[-1]}")


def _concern(attempts: Sequence[Event], made: Sequence[str], at: datetime) -> Iterator[Breach]:
    if "concern" in made:
        yield Breach("concern", "asked twice")
    if len(attempts) < 5:
        yield Breach("concern", f"asked after {plural(len(attempts), 'attempt')}")
    elif at < attempts[0].occurred_at + timedelta(days=21):
        yield Breach("concern", f"asked {at - attempts[0].occurred_at} after the first attempt")


def _agreement(past: Past, stage: str) -> Iterator[Breach]:
    requires = [step.requires for step in past.policy.steps if step.stage == stage]
    agreed = any(isinstance(event.data, GuidelinesAgreed) for event in past.events)
    if requires and all(one.guidelines for one in requires) and not agreed:
        yield Breach("plan", f"{stage} without their agreement")


def _is_spaced_call(event: Event) -> bool:
    data = event.data
    return (
        isinstance(data, AttemptMade)
        and data.stage in (AttemptStage.SPACED, AttemptStage.EXTRA)
        and any(part.is_call for part in data.parts)
    )


def _largest_gap(past: Past) -> Gap:
    """The largest gap since the on-time attempt, as each was recorded when it was made."""
    attempts = past.attempts
    for position in range(len(attempts) - 1, 0, -1):
        data = attempts[position].data
        if isinstance(data, AttemptMade) and data.stage is AttemptStage.ON_TIME:
            attempts = attempts[position:]
            break
    largest = (0, 0)
    for _, second in pairwise(attempts):
        data = second.data
        if isinstance(data, AttemptMade) and data.gap is not None:
            largest = max(largest, (data.gap.business_days, data.gap.minutes))
    return largest


def _said(gap: Gap) -> str:
    days, minutes = gap
    return plural(days, "business day") if days else plural(minutes, "minute")


def _waking(past: Past, stage: str, at: datetime) -> Iterator[Breach]:
    for where in past.zones:
        here = at.astimezone(zone(where))
        if not WAKING[0] <= here.time() < WAKING[1]:
            yield Breach("quiet_hours", f"{stage} at {here:%H:%M} in {where}")


def _hours_of(past: Past, stage: str, at: datetime) -> Iterator[Breach]:
    yield from _waking(past, stage, at)
    for where in past.zones:
        here = at.astimezone(zone(where))
        clock = here.time()
        if stage in _EXACT:
            continue
        hours = [past.hours] if past.hours else past.opening(here.date())
        if not past.is_business_day(here.date()):
            yield Breach("business_hours", f"{stage} on {here:%a %Y-%m-%d} in {where}")
        elif not any(opens <= clock < closes for opens, closes in hours):
            yield Breach("business_hours", f"{stage} at {here:%a %H:%M} in {where}")
        if any(start <= at < until for start, until in past.suspensions(where)):
            yield Breach("suspended", f"{stage} at {here:%Y-%m-%d %H:%M} in {where}")


# Guards -------------------------------------------------------------------------------------------


def _guarded(past: Past, touch: Touch, now: datetime) -> Iterator[Breach]:
    for guard in past.policy.guards:
        concerned = [p for p in touch.parts if not guard.channels or p.channel in guard.channels]
        if concerned and _forbids(past, guard, touch, now):
            yield Breach(guard.name, f"{touch.step} at {now} in spite of this guard")


def _forbids(past: Past, guard: Guard, touch: Touch, now: datetime) -> bool:
    here = [now.astimezone(zone(where)) for where in past.zones]
    if isinstance(guard, ContactWindow):
        return not all(
            any(opens <= one.time() < closes for opens, closes in past.hours_in(guard, one.date()))
            for one in here
        )
    if isinstance(guard, Pause):
        return any(guard.first_day <= one.date() <= guard.last_day for one in here)
    if isinstance(guard, HolidayBan):
        where = (guard.country, guard.subdivision) if guard.country else past.place
        country, subdivision = where
        return country is not None and any(
            is_holiday(one.date(), country, subdivision) for one in here
        )
    if isinstance(guard, FrequencyCap):
        return _capped(past, guard, touch, now)
    if isinstance(guard, CoolDown):
        return _cooling(past, guard, now)
    if isinstance(guard, Custom):
        return False  # a function of their own says itself what it means
    assert_never(guard)


def _capped(past: Past, guard: FrequencyCap, touch: Touch, now: datetime) -> bool:
    def counts(channel: Channel) -> bool:
        return not guard.channels or channel in guard.channels

    window = timedelta(days=guard.days or 0, hours=guard.hours or 0)
    recent = [
        event.data
        for event in past.events
        if isinstance(event.data, AttemptMade) and now - window < event.occurred_at <= now
    ]
    if guard.per == "prospect":
        return sum(any(counts(p.channel) for p in d.parts) for d in recent) >= guard.attempts
    keys = {part.same for part in touch.parts if counts(part.channel)}
    return any(
        sum(any(p.same == key and counts(p.channel) for p in d.parts) for d in recent)
        >= guard.attempts
        for key in keys
    )


def _cooling(past: Past, guard: CoolDown, now: datetime) -> bool:
    response = past.response
    data = response.data
    meant = not isinstance(data, ProspectAdded)
    if guard.after == "conversation":
        meant = isinstance(data, AttemptMade)
    elif guard.after == "refusal":
        meant = isinstance(data, ReplyReceived | AttemptMade) and data.intent is Intent.NO
    if not meant:
        return False
    if guard.lasts.hours is not None:
        return now < response.occurred_at + timedelta(hours=guard.lasts.hours)
    days = guard.lasts.business_days or 1
    return any(now < past.later(response.occurred_at, days, where, []) for where in past.zones)
