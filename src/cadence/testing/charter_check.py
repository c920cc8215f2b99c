"""The charter, said once more from the events alone, for any policy.

:func:`breaches` reads a whole history again for every question: no fold of counts, no ratchet, no
states; business days are counted by walking from day to day. It shares no code with the engine's
charter, its plan or the prover, so that neither can be wrong unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import holidays

from cadence.core.events import (
    AttemptMade,
    AttemptStage,
    AutoReplyReceived,
    Channel,
    ContactPointAdded,
    ContactPointFailed,
    Disposition,
    EndReason,
    Event,
    GuidelinesAgreed,
    Intent,
    OptedBackIn,
    OptOutRequested,
    PauseRequested,
    PreferenceStated,
    ProspectAdded,
    ProspectUpdated,
    ReplyReceived,
)
from cadence.core.prospect import Prospect
from cadence.core.stages import ENDED, OUTREACH, Stage
from cadence.policy.catalogue import Policies
from cadence.policy.decision import Decision, Touch, TouchPart, Verdict
from cadence.policy.guards import (
    ContactWindow,
    CoolDown,
    FrequencyCap,
    Guard,
    HolidayBan,
    Pause,
)
from cadence.policy.model import Policy
from cadence.policy.zones import from_local, zone

__all__ = ["Breach", "Past", "breaches"]

Gap = tuple[int, int]
Span = tuple[datetime, datetime]

_RANKS: Final = [stage.value for stage in OUTREACH]
_EXACT: Final = ("on_time", "ten_minutes")
_REACHED: Final = (Disposition.SENT, Disposition.VOICEMAIL_LEFT, Disposition.CONNECTED)
_WAKING: Final = (time(8), time(21))


class Breach(NamedTuple):
    """A rule that a decision, or an attempt that was said to be in order, breaks."""

    rule: str
    because: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.because}"


class Past:
    """A history read from its beginning, as far as it was known with its last event."""

    def __init__(self, events: Sequence[Event], policy: Policy) -> None:
        self.events = list(events)
        self.policy = policy

    # What was said ------------------------------------------------------------------------------

    @property
    def contact(self) -> Event:
        """The contact that began the running silence; at first, the adding."""
        found = self.events[0]
        for event in self.events:
            data = event.data
            spoke = isinstance(data, ReplyReceived | PauseRequested | OptedBackIn)
            if spoke or (isinstance(data, AttemptMade) and _connected(data)):
                if event.occurred_at >= found.occurred_at:
                    found = event
        return found

    @property
    def attempts(self) -> list[Event]:
        """The attempts of the running silence."""
        since = self.contact
        return [
            event
            for event in self.events
            if isinstance(event.data, AttemptMade)
            and not _connected(event.data)
            and (event.occurred_at, event.version) > (since.occurred_at, since.version)
        ]

    @property
    def opted_out(self) -> set[Channel]:
        """The channels that they want no more of."""
        gone: set[Channel] = set()
        for event in self.events:
            data = event.data
            if isinstance(data, OptOutRequested):
                gone |= set(Channel) if data.channel is None else {data.channel}
            elif isinstance(data, OptedBackIn):
                gone -= set(Channel) if data.channel is None else {data.channel}
        return gone

    @property
    def known(self) -> list[tuple[Channel, str]]:
        """Every contact point, in the order in which they became known."""
        found = []
        for event in self.events:
            if isinstance(event.data, ProspectAdded):
                found += [(point.channel, point.address) for point in event.data.contact_points]
            elif isinstance(event.data, ContactPointAdded):
                found.append((event.data.channel, event.data.address))
        return found

    @property
    def failed(self) -> set[tuple[Channel, str]]:
        """The contact points that failed, by themselves or in an attempt."""
        found = set()
        for event in self.events:
            data = event.data
            if isinstance(data, ContactPointFailed):
                found.add((data.channel, data.address))
            elif isinstance(data, AttemptMade):
                for part in data.parts:
                    if part.disposition in (Disposition.WRONG_NUMBER, Disposition.BOUNCED):
                        found.add((part.channel, part.address or ""))
        return found

    @property
    def left(self) -> list[tuple[Channel, str]]:
        """The contact points that may still be used, on channels that the team uses."""
        gone, bad, usable = self.opted_out, self.failed, self.policy.channels or tuple(Channel)
        return [p for p in self.known if p[0] not in gone and p not in bad and p[0] in usable]

    @property
    def zones(self) -> tuple[str, ...]:
        """Where they may be."""
        given: str | tuple[str, ...] = "UTC"
        for event in self.events:
            if isinstance(event.data, ProspectAdded | ProspectUpdated):
                given = event.data.timezone or given
        return (given,) if isinstance(given, str) else given

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Country and subdivision."""
        country: str | None = None
        subdivision: str | None = None
        for event in self.events:
            data = event.data
            if isinstance(data, ProspectAdded | ProspectUpdated):
                if data.country is not None and data.country != country:
                    country, subdivision = data.country, None
                subdivision = data.subdivision or subdivision
        return country, subdivision

    @property
    def hours(self) -> tuple[time, time] | None:
        """The waking part of the hours they prefer, if there is one."""
        found = None
        for event in self.events:
            if isinstance(event.data, PreferenceStated) and event.data.hours is not None:
                start, end = (time.fromisoformat(text) for text in event.data.hours.split("-"))
                start, end = max(start, _WAKING[0]), min(end, _WAKING[1])
                found = (start, end) if start < end else None
        return found

    # Days ---------------------------------------------------------------------------------------

    def is_business_day(self, day: date) -> bool:
        """Whether the policy has hours that day, and it is no holiday and not closed."""
        calendar = self.policy.calendar
        places = [self.place] if self.place[0] is not None else []
        places += [(also.country, also.subdivision) for also in calendar.holidays]
        return (
            bool(self.opening(day))
            and day not in calendar.closed
            and not any(_is_holiday(day, country, part) for country, part in places if country)
        )

    def opening(self, day: date) -> list[tuple[time, time]]:
        """The policy's hours of that weekday."""
        return _hours(self.policy.calendar, day)

    def suspensions(self, where: str) -> list[Span]:
        """Pauses and absences of the running silence."""
        since, found = self.contact, []
        if isinstance(since.data, PauseRequested):
            found.append((since.occurred_at, since.data.until))
        for event in self.events:
            data = event.data
            if isinstance(data, AutoReplyReceived) and event.version > since.version:
                until = data.until or self._later(event.occurred_at, 5, where, [])
                found.append((event.occurred_at, until))
        return [(start, until) for start, until in found if start < until]

    def suspended_day(self, day: date, where: str, spans: Sequence[Span]) -> bool:
        """Whether any business hours of the day are suspended."""
        for opens, closes in self.opening(day):
            begin, finish = _at(day, opens, where), _at(day, closes, where)
            if any(start < finish and begin < until for start, until in spans):
                return True
        return False

    def _later(self, start: datetime, count: int, where: str, spans: Sequence[Span]) -> datetime:
        """The same local time on the ``count``-th business day after ``start``."""
        here = start.astimezone(zone(where))
        day, left = here.date(), count
        while left:
            day += timedelta(days=1)
            if self.is_business_day(day) and not self.suspended_day(day, where, spans):
                left -= 1
        return _at(day, here.timetz().replace(tzinfo=None), where)

    def gap(self, first: datetime, second: datetime) -> Gap:
        """The distance between two attempts: the smallest of the candidate zones' measures."""
        return min(self._gap(first, second, where) for where in self.zones)

    def _gap(self, first: datetime, second: datetime, where: str) -> Gap:
        spans = self.suspensions(where)
        day, last = (one.astimezone(zone(where)).date() for one in (first, second))
        days = 0
        while day < last:
            day += timedelta(days=1)
            days += self.is_business_day(day) and not self.suspended_day(day, where, spans)
        if days:
            return days, 0
        elapsed, reached = second - first, first
        for start, until in sorted(spans):
            start, until = max(start, reached), min(until, second)
            if start < until:
                elapsed, reached = elapsed - (until - start), until
        return 0, max(0, int(elapsed.total_seconds() // 60))

    @property
    def answer_ends(self) -> datetime | None:
        """When the time to answer a delivered polite exit ends; ``None``: none was delivered."""
        bad = self.failed
        for event in reversed(self.attempts):
            data = event.data
            assert isinstance(data, AttemptMade)  # attempts has nothing else
            if data.stage is AttemptStage.EXTRA:
                continue
            if data.stage is not AttemptStage.POLITE_EXIT:
                return None
            reached = {
                part.channel
                for part in data.parts
                if part.disposition in _REACHED and (part.channel, part.address or "") not in bad
            }
            if reached:
                exits = [s for s in self.policy.steps if s.stage is AttemptStage.POLITE_EXIT]
                answer = exits[0].answer_within if exits else None
                days = max(1, (answer.business_days or 1) if answer else 1)
                days = max(days, 10) if reached == {Channel.MAIL} else days
                return max(
                    self._later(event.occurred_at, days, where, self.suspensions(where))
                    for where in self.zones
                )
        return None


def _connected(data: AttemptMade) -> bool:
    return any(part.disposition is Disposition.CONNECTED for part in data.parts)


def _at(day: date, clock: time, where: str) -> datetime:
    if clock == time.max:
        return from_local(datetime.combine(day + timedelta(days=1), time()), zone(where))
    return from_local(datetime.combine(day, clock), zone(where))


def _hours(table: object, day: date) -> list[tuple[time, time]]:
    given = getattr(table, ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()])
    return [tuple(map(_clock, text.split("-"))) for text in given]  # type: ignore[misc]


def _clock(text: str) -> time:
    return time.max if text == "24:00" else time.fromisoformat(text)


@lru_cache(maxsize=4096)
def _holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))


def _is_holiday(day: date, country: str, subdivision: str | None) -> bool:
    return day in _holidays(country, subdivision, day.year)


# What is proposed ---------------------------------------------------------------------------------


def breaches(
    events: Sequence[Event],
    prospect: Prospect,
    policies: Policies,
    decision: Decision,
    now: datetime,
) -> list[Breach]:
    """The rules of the charter that a decision breaks, and the last event if it is an attempt.

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
        calls = [(part.channel, part.address) for part in decision.touch.parts]
        stage = decision.touch.stage.value
        found += _touch(past, stage, calls, decision.at)
        found += _hours_of(past, stage, decision.at)
        if decision.decision is Verdict.DUE:
            found += _guarded(past, decision.touch, now)
            found += _hours_of(past, stage, now)
    last = events[-1]
    if isinstance(last.data, AttemptMade) and not last.data.broke:
        before = Past(events[:-1], policy)
        made = [(part.channel, part.address or "") for part in last.data.parts]
        stage = "own" if last.data.touch is None else str(last.data.stage)
        found += _touch(before, stage, made, last.occurred_at)
        found += _measured(before, last)
        found += _waking(before, stage, last.occurred_at)
        touch = Touch("", Stage.SPACED, stage, tuple(TouchPart(*point, "") for point in made))
        found += _guarded(before, touch, last.occurred_at)
    return found


def _measured(before: Past, last: Event) -> Iterator[Breach]:
    data, attempts = last.data, before.attempts
    if isinstance(data, AttemptMade) and data.gap is not None and attempts:
        gap = before.gap(attempts[-1].occurred_at, last.occurred_at)
        if gap != (data.gap.business_days, data.gap.minutes):
            yield Breach("gap", f"recorded as {data.gap}, measured as {_said(gap)}")


def _forgotten(past: Past, stage: Stage, decision: Decision) -> Iterator[Breach]:
    kind = decision.decision
    if (kind is Verdict.STOP) and stage not in (*ENDED, Stage.OPTED_OUT):
        yield Breach("forgotten", f"an open prospect at stage {stage} is stopped")
    if (kind is Verdict.STOP) != (decision.at is None):
        yield Breach("forgotten", f"{kind} at {decision.at}")
    if (kind is Verdict.TASK) != (decision.task is not None):
        yield Breach("forgotten", f"{kind} with the task {decision.task!r}")
    if kind is Verdict.DUE and decision.touch is None:
        yield Breach("forgotten", "due without a touch")
    if stage in (*ENDED, Stage.OPTED_OUT) and kind not in (Verdict.STOP, Verdict.TASK):
        yield Breach("opt_out", f"{kind} for a file that is {stage}")
    refused = isinstance(past.contact.data, ReplyReceived) and past.contact.data.intent is Intent.NO
    if refused and decision.touch is not None and stage is Stage.ENGAGED:
        yield Breach("forgotten", "they said no, and are not left to the owner")


def _ending(past: Past, decision: Decision) -> Iterator[Breach]:
    if decision.decision is not Verdict.CLOSE:
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
    gone, bad = past.opted_out, past.failed
    for channel, address in points:
        if channel in gone:
            yield Breach("opt_out", f"{channel} is used after an opt-out")
        if (channel, address) in bad:
            yield Breach("contact_point", f"{channel} {address} failed, and is used again")
    calls = sum(1 for event in attempts if _is_spaced_call(event))
    if stage in ("spaced", "own") and Channel.CALL in channels and calls >= 6:
        yield Breach("spaced_cap", f"a spaced call after {calls}")
    if attempts and stage != "on_time":
        gap, largest = past.gap(attempts[-1].occurred_at, at), _largest_gap(past)
        if gap < largest:
            yield Breach("gap", f"{_said(gap)} after a gap of {_said(largest)}")
    made = [str(e.data.stage) for e in attempts if isinstance(e.data, AttemptMade)]
    ranks = [_RANKS.index(one) for one in made if one in _RANKS]
    if stage in _RANKS and ranks and max(ranks) > _RANKS.index(stage):
        yield Breach("order", f"{stage} after {_RANKS[max(ranks)]}")
    if past.answer_ends is not None:
        yield Breach("polite_exit", f"{stage} after a polite exit that was delivered")
    if stage == "concern":
        if "concern" in made:
            yield Breach("concern", "asked twice")
        if len(attempts) < 5:
            yield Breach("concern", f"asked after {len(attempts)} attempts")
        elif at < attempts[0].occurred_at + timedelta(days=21):
            yield Breach("concern", f"asked {at - attempts[0].occurred_at} after the first attempt")
    if attempts and stage not in (*_EXACT, "polite_exit", "own"):
        days = past.gap(attempts[0].occurred_at, at)[0]
        if days > past.policy.horizon_business_days:
            yield Breach("bounded", f"{stage} on business day {days} of silence")
    requires = [step.requires for step in past.policy.steps if step.stage == stage]
    agreed = any(isinstance(event.data, GuidelinesAgreed) for event in past.events)
    if requires and all(one.guidelines for one in requires) and not agreed:
        yield Breach("plan", f"{stage} without their agreement")


def _is_spaced_call(event: Event) -> bool:
    data = event.data
    return (
        isinstance(data, AttemptMade)
        and data.stage in (AttemptStage.SPACED, AttemptStage.EXTRA)
        and any(part.channel is Channel.CALL for part in data.parts)
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
    return f"{days} business days" if days else f"{minutes} minutes"


def _waking(past: Past, stage: str, at: datetime) -> Iterator[Breach]:
    for where in past.zones:
        here = at.astimezone(zone(where))
        if not _WAKING[0] <= here.time() < _WAKING[1]:
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
            any(opens <= one.time() < closes for opens, closes in _hours(guard, one.date()))
            for one in here
        )
    if isinstance(guard, Pause):
        return any(guard.first_day <= one.date() <= guard.last_day for one in here)
    if isinstance(guard, HolidayBan):
        where = (guard.country, guard.subdivision) if guard.country else past.place
        country, subdivision = where
        return country is not None and any(
            _is_holiday(one.date(), country, subdivision) for one in here
        )
    if isinstance(guard, FrequencyCap):
        return _capped(past, guard, touch, now)
    if isinstance(guard, CoolDown):
        return _cooling(past, guard, now)
    return False  # a function of their own says itself what it means


def _capped(past: Past, guard: FrequencyCap, touch: Touch, now: datetime) -> bool:
    channels = guard.channels or tuple(Channel)
    window = timedelta(days=guard.days or 0, hours=guard.hours or 0)
    recent = [
        event.data
        for event in past.events
        if isinstance(event.data, AttemptMade) and now - window < event.occurred_at <= now
    ]
    points = {(p.channel, p.address) for p in touch.parts if p.channel in channels}
    if guard.per == "prospect":
        used = [d for d in recent if any(p.channel in channels for p in d.parts)]
        return len(used) >= guard.attempts
    return any(
        sum(any((p.channel, p.address) == point for p in data.parts) for data in recent)
        >= guard.attempts
        for point in points
    )


def _cooling(past: Past, guard: CoolDown, now: datetime) -> bool:
    contact = past.contact
    data = contact.data
    meant = not isinstance(data, ProspectAdded)
    if guard.after == "conversation":
        meant = isinstance(data, AttemptMade)
    elif guard.after == "refusal":
        meant = isinstance(data, ReplyReceived) and data.intent is Intent.NO
    if not meant:
        return False
    if guard.lasts.hours is not None:
        return now < contact.occurred_at + timedelta(hours=guard.lasts.hours)
    days = guard.lasts.business_days or 1
    return any(now < past._later(contact.occurred_at, days, where, []) for where in past.zones)
