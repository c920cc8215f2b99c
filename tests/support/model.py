"""A second, naive model of a history, written from ``docs/design.md`` without reading the code.

Plain lists and loops over the whole history; slow and obvious. Where the design leaves something
open, the model allows every answer: it keeps a *set* of stages at which a prospect may stand. When
a touch is due it leaves to ``naive.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from cadence.domain import (
    AppointmentCancelled,
    AppointmentSet,
    AttemptMade,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Event,
    EventCorrected,
    EventRetracted,
    FollowUpEnded,
    FollowUpReopened,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    ProspectAdded,
    ReferralGiven,
    ReplyReceived,
)

# Section 4, "Channels": those that the program comes with.
CHANNELS = ("call", "email", "sms", "mail", "video_email")
# Section 5: outreach, in the order in which it moves forward.
OUTREACH = ("on_time", "ten_minutes", "half_day", "spaced", "concern", "nurture", "polite_exit")
# Section 5: here the next thing is `stop`.
ENDED = frozenset({"closed", "won", "lost", "opted_out"})
# Section 4, `FollowUpEnded`: which stage each reason leads to.
END_STAGES = {
    "bought": "won",
    "declined": "lost",
    "disqualified": "lost",
    "deceased": "lost",
    "no_response": "closed",
    "unreachable": "closed",
    "mistaken": "closed",
}
# Section 4, "Clocks": two clocks that differ by no more are not called wrong.
GRACE = timedelta(minutes=5)
# Section 7, rule 2.
MOST_SPACED_CALLS = 6
# Section 7, rule 12.
MOST_PARTS = ((timedelta(hours=24), 3), (timedelta(days=7), 5), (timedelta(days=30), 12))
# Section 6: quiet hours, local time.
QUIET_FROM, QUIET_UNTIL = time(21), time(8)


def standing(history: Sequence[Event]) -> list[Event]:
    """Section 4, "Taking back": what counts, without the gaps between times that have moved since.

    A gap is measured to when an attempt counts as made, so what moves that undoes the measure.
    """
    counts = _standing(history)
    now = moments(counts)
    stands = []
    for event in counts:
        data = event.data
        if isinstance(data, AttemptMade) and data.gap is not None and data.gap_from:
            measured = learnt_at(history)[event.version]
            then = moments(_standing([one for one in history if one.version <= measured]))
            pair = {event.version, data.gap_from} & then.keys()
            if any(one not in now or now[one].counted != then[one].counted for one in pair):
                data = msgspec.structs.replace(data, gap=None, gap_from=None)
                event = msgspec.structs.replace(event, data=data)
        stands.append(event)
    return stands


def _standing(history: Sequence[Event]) -> list[Event]:
    """Without what was retracted, and with what was corrected in its place."""
    retracted = _retracted(history)
    stands = []
    for event in history:
        if event.version in retracted or isinstance(event.data, EventRetracted | EventCorrected):
            continue
        counts = event
        for later in history:
            if (
                isinstance(later.data, EventCorrected)
                and later.data.version == event.version
                and later.version not in retracted
            ):
                when = later.data.occurred_at or event.occurred_at
                # Section 6a: what a correction says is known from when it was recorded.
                counts = msgspec.structs.replace(
                    event, data=later.data.data, occurred_at=when, recorded_at=later.recorded_at
                )
        stands.append(counts)
    return stands


def _retracted(history: Sequence[Event]) -> set[int]:
    # An event that takes another back can itself be taken back: so the last one is asked first.
    retracted: set[int] = set()
    for event in reversed(history):
        if isinstance(event.data, EventRetracted) and event.version not in retracted:
            retracted.add(event.data.version)
    return retracted


def learnt_at(history: Sequence[Event]) -> dict[int, int]:
    """ADR 0050: what a correction says we learn late, at the correction's version."""
    gone = _retracted(history)
    found = {event.version: event.version for event in history}
    for event in history:
        if isinstance(event.data, EventCorrected) and event.version not in gone:
            found[event.data.version] = event.version
    return found


def retracted_versions(history: Sequence[Event]) -> set[int]:
    """Name the versions that were taken back."""
    return _retracted(history)


@dataclass(frozen=True)
class Moment:
    """When an event happened: as it says, and as it counts."""

    said: datetime
    counted: datetime

    @property
    def earliest(self) -> datetime:
        """The earlier reading."""
        return min(self.said, self.counted)

    @property
    def latest(self) -> datetime:
        """The later reading."""
        return max(self.said, self.counted)

    def is_surely_before(self, other: Moment) -> bool:
        """Tell whether it was earlier by every reading."""
        return self.latest < other.earliest

    def is_surely_after(self, other: Moment) -> bool:
        """Tell whether it was later by every reading."""
        return other.is_surely_before(self)


def moments(history: Sequence[Event]) -> dict[int, Moment]:
    """Section 4, "Clocks": what a clock recorded too early counts as following at once."""
    found = {}
    told: datetime | None = None
    for event in history:
        counted = event.occurred_at
        # Whoever wrote this knew of what was told before: their clock was behind.
        if told is not None and event.recorded_at < told:
            counted = max(counted, told)
        found[event.version] = Moment(event.occurred_at, counted)
        told = max(told or counted, counted)
    return found


@dataclass
class Naive:
    """What is known of one prospect, by what stands of the history."""

    stages: frozenset[str] = frozenset()
    # Channels that they surely opted out of, and those that they may have.
    out: set[str] = field(default_factory=set)
    maybe_out: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    # Where they can be reached: channel and address key, also those that failed.
    points: set[tuple[str, str]] = field(default_factory=set)
    added: Moment | None = None
    zones: tuple[str, ...] = ("UTC",)
    country: str | None = None
    # Taken up again by us, and they have not spoken since; `None`: it is open whether they have.
    is_reopened: bool | None = False
    # As what the follow-up may have ended.
    ended_as: frozenset[str] = frozenset()
    spoke_since_end: bool = False
    appointment: datetime | None = None
    # Whether the appointment surely stands, by the design.
    appointment_stands: bool = False
    responses: list[tuple[int, Moment]] = field(default_factory=list)
    attempts: list[tuple[Event, Moment]] = field(default_factory=list)

    @property
    def is_surely_ended(self) -> bool:
        """Tell whether they stand at an end, wherever they stand."""
        return self.stages <= ENDED

    @property
    def is_surely_open(self) -> bool:
        """Tell whether they stand at no end, wherever they stand."""
        return not self.stages & ENDED


def is_conversation(data: AttemptMade) -> bool:
    """Section 3, "response": a conversation is one, an attempt that connected."""
    return any(part.disposition == "connected" for part in data.parts)


def read(history: Sequence[Event]) -> Naive:
    """Go through what stands of ``history``, in order of version."""
    known = Naive()
    stands = standing(history)
    when = moments(stands)
    learnt = learnt_at(history)
    for event in stands:
        _read_one(known, event, when[event.version])
        known.responses = [
            (learnt[version] if version == event.version else version, at)
            for version, at in known.responses
        ]
    return known


def _read_one(known: Naive, event: Event, when: Moment) -> None:
    match event.data:
        case ProspectAdded() as data:
            known.stages = frozenset({"new"})
            zones = data.timezone
            known.zones = (zones,) if isinstance(zones, str) else tuple(zones)
            known.country = data.country
            known.added = when
            known.points = {(p.channel, p.key or p.address) for p in data.contact_points}
        case ReplyReceived() | PauseRequested() | ReferralGiven():
            _respond(known, event, when)
        case OptOutRequested() as data:
            _opt_out(known, data)
        case OptedBackIn() as data:
            _opt_in(known, data, event, when)
        case ContactPointFailed() as data:
            # Section 4a: a soft failure fails nothing.
            if data.reason not in ("mailbox_full", "temporary"):
                known.failed.add(data.key or data.address)
        case ContactPointRestored() as data:
            known.failed.discard(data.key or data.address)
            known.removed.discard(data.key or data.address)
        case ContactPointRemoved() as data:
            known.removed.add(data.key or data.address)
            known.points = {p for p in known.points if p[1] not in known.removed}
        case ContactPointAdded() as data:
            # Rule 8: a failed one is never used again, so adding it does not bring it back.
            known.removed.discard(data.key or data.address)
            known.points.add((data.channel, data.key or data.address))
        case AppointmentSet() as data:
            _appoint(known, data, when)
        case AppointmentCancelled():
            known.appointment_stands = False
            known.appointment = None
            if "scheduled" in known.stages:
                # `engaged` where they spoke to us, `new` where they did not yet.
                at = {"engaged"} if known.responses else {"new"}
                # One dated before they were added may count, or not.
                if any(_is_before_added(known, when) for _, when in known.responses):
                    at = {"engaged", "new"}
                known.stages = (known.stages - {"scheduled"}) | at
        case FollowUpEnded() as data:
            known.spoke_since_end = known.is_reopened = False
            _end(known, END_STAGES[data.reason])
        case FollowUpReopened():
            known.appointment_stands = False
            # While they are opted out there is nothing to reopen: whether it then counts is open.
            is_out = "opted_out" in known.stages
            known.ended_as = known.ended_as | {"engaged"} if is_out else frozenset()
            known.is_reopened = True if known.stages <= {"closed", "won", "lost"} else None
            # docs/reference/stages.md, "reopened": from an end of ours to `engaged`.
            known.stages = frozenset(
                "engaged" if s in ("closed", "won", "lost") else s for s in known.stages
            )
        case AttemptMade() as data:
            _attempt(known, event, data, when)
        case _:
            pass  # Section 4: notes, preferences, updates and automatic replies move no stage.


def _respond(known: Naive, event: Event, when: Moment) -> None:
    """Section 5: a response leads to `engaged` from anywhere but three; an appointment survives."""
    stages: set[str] = set()
    for stage in known.stages:
        if stage in ("opted_out", "won", "lost"):
            stages.add(stage)
            continue
        stages |= _after_response(known, event, when)
        # Section 4, "Late facts": where something happened after it, the design leaves open
        # whether that already moved on.
        if _is_late(known, when):
            stages.add(stage)
    known.is_reopened = None if known.is_reopened and _is_late(known, when) else False
    known.stages = frozenset(stages)
    known.spoke_since_end = True
    known.responses.append((event.version, when))


def _after_response(known: Naive, event: Event, when: Moment) -> set[str]:
    at = known.appointment
    if at is None or at < min(when.earliest, event.recorded_at):
        return {"engaged"}
    if known.appointment_stands and at > max(when.latest, event.recorded_at):
        return {"scheduled"}
    return {"engaged", "scheduled"}


def _is_late(known: Naive, when: Moment) -> bool:
    """Tell whether something that we know already may have happened after it."""
    others = [moment for _, moment in known.attempts] + [moment for _, moment in known.responses]
    # Section 3, "silence": the first begins where they were added.
    others += [known.added] if known.added else []
    return "closed" in known.stages or any(other.latest > when.earliest for other in others)


def _is_before_added(known: Naive, when: Moment) -> bool:
    return known.added is not None and when.earliest < known.added.latest


def _opt_out(known: Naive, data: OptOutRequested) -> None:
    """Rule 1, and section 5: out of every channel one by one is out of all."""
    if data.channel is not None:
        known.out.add(data.channel)
        known.maybe_out.add(data.channel)
    else:
        known.out |= set(CHANNELS) - set(data.except_channels)
        known.maybe_out |= set(CHANNELS) - set(data.except_channels)
        # "On which they still agree": whether this takes back an earlier word is open.
        known.out -= set(data.except_channels)
    if known.out >= set(CHANNELS):
        known.stages = frozenset({"opted_out"})
        known.appointment_stands = False
    elif _may_be_all_out(known):
        known.stages |= {"opted_out"}
        known.appointment_stands = False


def _may_be_all_out(known: Naive) -> bool:
    """ADR 0003: every channel that they have, or all; whether a failed one counts is left open."""
    if not known.maybe_out:
        return False
    left = [(channel, key) for channel, key in known.points if channel not in known.maybe_out]
    return known.maybe_out >= set(CHANNELS) or all(key in known.failed for _, key in left)


def _opt_in(known: Naive, data: OptedBackIn, event: Event, when: Moment) -> None:
    """Section 5: `opted_out` ends by an opt-in alone, which is a response."""
    channels = set(CHANNELS) if data.channel is None else {data.channel}
    known.out -= channels
    known.maybe_out -= channels
    was_out = "opted_out" in known.stages
    rest = known.stages - {"opted_out"}
    known.stages = rest
    if rest:
        _respond(known, event, when)
    else:
        known.responses.append((event.version, when))
    if was_out:
        # "Back to engaged, or to the end the follow-up had"; an appointment is left open.
        back = set(known.ended_as) or {"engaged"}
        if "closed" in known.ended_as or known.appointment is not None:
            back |= {"engaged", "scheduled"}
        if _may_be_all_out(known):
            back |= {"opted_out"}
        known.stages |= back


def _appoint(known: Naive, data: AppointmentSet, when: Moment) -> None:
    """Section 5: `scheduled`, if nothing of ours went unanswered yet."""
    is_clear = not _in_silence(known) and known.stages <= {"new", "scheduled", "engaged"}
    known.appointment = data.at
    known.appointment_stands = is_clear
    open_stages = {s for s in known.stages if s in ("new", "engaged", "scheduled")}
    if is_clear:
        known.stages = frozenset({"scheduled"})
    elif open_stages:
        # "Changes nothing" in a silence that has attempts: which ones count is left open.
        known.stages |= {"scheduled"}


def _in_silence(known: Naive) -> bool:
    """Tell whether there may be an attempt since the last response, by any reading of times."""
    if not known.responses:
        return bool(known.attempts)
    last = known.responses[-1][1]
    return any(not moment.is_surely_before(last) for _, moment in known.attempts)


def _end(known: Naive, end: str) -> None:
    """Section 4, `FollowUpEnded`."""
    known.appointment_stands = False
    if known.stages == {"opted_out"}:
        # "The end the follow-up had": one recorded meanwhile may be meant, or not.
        known.ended_as |= {end, "engaged"} if not known.ended_as else {end}
        return
    stages = {s for s in known.stages if s in ENDED}
    if known.stages - ENDED:
        stages.add(end)
    if "closed" in known.stages:
        stages.add(end)
    known.stages = frozenset(stages)
    # Ended as something else already: which of the two counts is left open.
    known.ended_as = frozenset({end} | (known.ended_as if stages != {end} else set()))


def _attempt(known: Naive, event: Event, data: AttemptMade, when: Moment) -> None:
    # Section 4, "Dispositions": these two fail the contact point that was used.
    for part in data.parts:
        if part.disposition in ("wrong_number", "bounced") and (part.key or part.address):
            known.failed.add(part.key or part.address or "")
    if data.stage == "on_time":
        known.appointment_stands = False  # it was kept
    if is_conversation(data):
        _respond(known, event, when)
    else:
        known.stages = frozenset(
            after for stage in known.stages for after in _moved(known, stage, str(data.stage), when)
        )
    known.attempts.append((event, when))


def _moved(known: Naive, stage: str, to: str, when: Moment) -> set[str]:
    """Section 5: outreach moves forward only; an extra moves nothing (section 4, "Places")."""
    # Section 5: no outreach until a response, where we took it up again ourselves.
    if stage in ENDED or to == "extra" or known.is_reopened:
        return {stage}
    if known.is_reopened is None:
        return {stage, to}
    # Section 4, "Late facts": before the last response it changes no stage.
    if any(when.is_surely_before(at) for _, at in known.responses):
        return {stage}
    if known.added and not when.is_surely_after(known.added) and when != known.added:
        return {stage, to}
    if stage in OUTREACH:
        return {OUTREACH[max(OUTREACH.index(stage), OUTREACH.index(to))]}
    is_doubtful = any(not when.is_surely_after(at) for _, at in known.responses)
    is_odd = stage != "scheduled" and to in ("on_time", "ten_minutes", "half_day")
    return {stage, to} if is_doubtful or is_odd else {to}


# Limits of one attempt that was allowed beforehand.


def forbids(history: Sequence[Event], parts: Iterable[Part], now: datetime) -> list[str]:
    """Name what forbids these parts at ``now``, whatever was done in this silence."""
    known = read(history)
    broke = []
    # Rule 1, and section 5: `stop`. A response after the end is answered: a task of the owner's.
    if known.stages == {"opted_out"} or (known.is_surely_ended and not known.spoke_since_end):
        broke.append("ended")
    for part in parts:
        if part.channel in known.out:
            broke.append("opt_out")  # rule 1
        if (part.key or part.address) in known.failed:
            broke.append("contact_point")  # rule 8
    # Section 6: quiet hours in every zone that they may be in, by the clock of now, also where
    # another that was ahead has recorded something (section 4, "Clocks").
    if any(is_quiet(now, zone) for zone in known.zones):
        broke.append("quiet_hours")
    return broke


def broken_limits(history: Sequence[Event], version: int) -> list[str]:
    """Name what an attempt broke that was accepted as allowed, judged by what stood before it."""
    event = next(e for e in history if e.version == version)
    known = read([e for e in history if e.version < version])
    at = moments(standing(history[: history.index(event) + 1]))[version].counted
    data = event.data
    assert isinstance(data, AttemptMade)
    before = history[: history.index(event)]
    broke = [*data.broke, *forbids(before, data.parts, event.occurred_at)]
    silence = sure_silence(known, version)
    # Rule 2.
    calls = [e for e, _ in silence if is_spaced_call(e)]
    if is_spaced_call(event) and len(calls) + 1 > MOST_SPACED_CALLS:
        broke.append("spaced_cap")
    if data.stage in ("on_time", "ten_minutes"):
        return broke  # Rule 12: it never delays the appointment's own steps.
    for span, most in MOST_PARTS:
        parts = len(data.parts)
        for other, moment in silence:
            # A span is half open: what was made exactly so long ago is not in it.
            if (
                at - span < moment.earliest
                and moment.latest <= at
                and isinstance(other.data, AttemptMade)
            ):
                parts += len(other.data.parts)
        if parts > most:
            broke.append(f"frequency: {parts} in {span}")
    # Rule 12: from `spaced` on at least a business day after the attempt before.
    if data.stage in OUTREACH[OUTREACH.index("spaced") :]:
        for other, moment in silence:
            joins = isinstance(other.data, AttemptMade) and (
                (other.data.stage, other.data.step) == (data.stage, data.step)
            )
            if not joins and any(
                most_business_days(moment.latest, at, zone) < 1 for zone in known.zones
            ):
                broke.append(f"a business day after {other.version}")
    return broke


def sure_silence(known: Naive, version: int) -> list[tuple[Event, Moment]]:
    """List the attempts that surely belong to the silence before ``version``.

    Section 6a: what was made in ignorance of a response does not count after it.
    """
    return [
        (event, moment)
        for event, moment in known.attempts
        if event.version < version
        and isinstance(event.data, AttemptMade)
        and not is_conversation(event.data)
        # Section 3, "silence": the first begins where they were added.
        and (known.added is None or known.added.latest <= moment.earliest)
        and all(event.version > v and moment.is_surely_after(at) for v, at in known.responses)
    ]


def is_spaced_call(event: Event) -> bool:
    """Section 3, "spaced call": at stage `spaced`, or an extra, with a call among its parts."""
    data = event.data
    assert isinstance(data, AttemptMade)
    return data.stage in ("spaced", "extra") and any(p.channel == "call" for p in data.parts)


def is_quiet(at: datetime, zone: str) -> bool:
    """Section 6: 21:00 to 08:00 local time."""
    local = at.astimezone(ZoneInfo(zone)).time()
    return local >= QUIET_FROM or local < QUIET_UNTIL


def most_business_days(first: datetime, second: datetime, zone: str) -> int:
    """Count weekdays after the first local date up to the second's; holidays only take away."""
    day: date = first.astimezone(ZoneInfo(zone)).date()
    last: date = second.astimezone(ZoneInfo(zone)).date()
    count = 0
    while day < last:
        day += timedelta(days=1)
        count += day.weekday() < 5
    return count


# Claims.


@dataclass(frozen=True)
class NaiveClaim:
    """Section 7a: a lease on a prospect, as far as the model is sure of it."""

    by: str
    until: datetime
    token: str
    may_have_sent: bool
    is_sure: bool = True  # it stands, unless the lease ran out
    is_over: bool = False  # it was completed, or given back
    has_run_out: bool = False  # the clock stood at its end, wherever it stands now


def holder(claim: NaiveClaim | None, now: datetime) -> str | None:
    """Name who surely holds the prospect."""
    if claim is None or not claim.is_sure or claim.is_over or claim.has_run_out:
        return None
    if now >= claim.until:
        return None
    return claim.by


def is_surely_free(claim: NaiveClaim | None) -> bool:
    """Tell whether nobody can hold it."""
    return claim is None or claim.is_over


def channels_of(parts: Iterable[object]) -> list[str]:
    """List the channels of parts."""
    return [str(getattr(part, "channel", "")) for part in parts]
