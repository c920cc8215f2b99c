"""A naive model of the design's semantics: the whole history is read again for every question.

It is written from sections 3 to 8 of the design alone, in another manner than the implementation:
no fold, no state, plain dicts, business days counted by walking day by day with ``datetime.date``.
It knows ``tip8`` (business hours 9 to 17 from Monday to Friday, horizon of 45 business days) and
nothing of other policies. It computes when a touch is due at the earliest, which ``model.py``, for
all events and every policy, does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import msgspec

from cadence.domain.events import Event
from cadence.engine.decision import Decision

Fact = dict[str, Any]

CHANNELS = ("call", "email", "sms", "mail", "video_email")
OUTREACH = (
    "on_time",
    "ten_minutes",
    "half_day",
    "spaced",
    "concern",
    "nurture",
    "polite_exit",
)
ENDS = {
    "bought": "won",
    "declined": "lost",
    "disqualified": "lost",
    "deceased": "lost",
    "no_response": "closed",
    "unreachable": "closed",
    "mistaken": "closed",
}
ENDED = ("won", "lost", "closed")
DELIVERED = ("sent", "voicemail_left", "connected")
OPEN_FROM, OPEN_TO = time(9), time(17)
WAKING_FROM, WAKING_TO = time(8), time(21)
CAP = 6
HORIZON = 45
ANSWER_DAYS, ANSWER_DAYS_BY_MAIL = 2, 10

TOLERATED: set[str] = set()
"""Where the implementation is known to be wrong; take a line out when it has been mended."""


# The history as plain facts ---------------------------------------------------------------------


def facts(history: Sequence[Event]) -> list[Fact]:
    """The events as dicts; ``type`` and the data are on one level."""
    found: list[Fact] = []
    newest = None
    for event in history:
        plain = msgspec.to_builtins(event, builtin_types=(datetime,))
        data = dict(plain.pop("data"))
        data["type"] = data["type"].split(".")[0]
        # The envelope's own "at"-like names can't collide: the data has "at" and "until" only.
        found.append(
            {
                **data,
                "prospect": plain["prospect"],
                "version": plain["version"],
                "occurred": plain["occurred_at"],
                "recorded": plain["recorded_at"],
            }
        )
        # Recorded before what an earlier record tells of: it follows that at once.
        if newest is not None and newest - plain["recorded_at"] > timedelta(minutes=5):
            found[-1]["occurred"] = max(newest, plain["occurred_at"])
        newest = max(newest or found[-1]["occurred"], found[-1]["occurred"])
    return found


def connected(fact: Fact) -> bool:
    return fact["type"] == "AttemptMade" and any(
        part["disposition"] == "connected" for part in fact["parts"]
    )


def is_contact(fact: Fact) -> bool:
    said = {"ReplyReceived", "PauseRequested", "OptedBackIn", "ReferralGiven"}
    return fact["type"] in said or connected(fact)


def by_occurrence(found: Sequence[Fact]) -> list[Fact]:
    return sorted(found, key=lambda fact: (fact["occurred"], fact["version"]))


# The silence ------------------------------------------------------------------------------------


def last_contact(history: Sequence[Fact]) -> Fact:
    """The contact that began the running silence: the last by occurrence, or the adding."""
    contacts = [fact for fact in history if is_contact(fact)]
    return by_occurrence([history[0], *contacts])[-1]


def attempts(history: Sequence[Fact]) -> list[Fact]:
    """The attempts of the running silence, in the order in which they occurred."""
    since = last_contact(history)
    return by_occurrence(
        [
            fact
            for fact in history
            if fact["type"] == "AttemptMade" and not connected(fact) and in_silence(fact, since)
        ]
    )


def in_silence(fact: Fact, since: Fact) -> bool:
    return (fact["occurred"], fact["version"]) > (since["occurred"], since["version"])


def is_spaced_call(fact: Fact) -> bool:
    return fact["stage"] in {"spaced", "extra"} and any(
        part["channel"] == "call" for part in fact["parts"]
    )


def spaced_calls(history: Sequence[Fact]) -> int:
    return sum(1 for attempt in attempts(history) if is_spaced_call(attempt))


def since_on_time(history: Sequence[Fact]) -> list[Fact]:
    """The attempts from the last on-time one on (all of them when there is none)."""
    found = attempts(history)
    for index in range(len(found) - 1, -1, -1):
        if found[index]["stage"] == "on_time":
            return found[index:]
    return found


# Who and how ------------------------------------------------------------------------------------


def given(history: Sequence[Fact], field: str) -> Any:
    """The last value given for a field of the prospect."""
    value = None
    for fact in history:
        if fact["type"] in {"ProspectAdded", "ProspectUpdated"} and fact.get(field) is not None:
            value = fact[field]
    return value


def zones(history: Sequence[Fact]) -> tuple[str, ...]:
    zone = given(history, "timezone")
    return (zone,) if isinstance(zone, str) else tuple(zone)


def place(history: Sequence[Fact]) -> tuple[str | None, str | None]:
    """Country and subdivision (a new country takes the old subdivision with it)."""
    country, subdivision = None, None
    for fact in history:
        if fact["type"] in {"ProspectAdded", "ProspectUpdated"}:
            if fact.get("country") is not None and fact["country"] != country:
                country, subdivision = fact["country"], None
            if fact.get("subdivision") is not None:
                subdivision = fact["subdivision"]
    return country, subdivision


def stale(history: Sequence[Fact], fact: Fact) -> bool:
    """Whether an opt-in was said before an opt-out that is known: they changed their mind."""
    return any(
        other["type"] == "OptOutRequested"
        and other["version"] < fact["version"]
        and other["occurred"] > fact["occurred"]
        for other in history
    )


def opted_out(history: Sequence[Fact]) -> set[str]:
    gone: set[str] = set()
    for fact in history:
        channels = set(CHANNELS) if fact.get("channel") is None else {fact["channel"]}
        if fact["type"] == "OptOutRequested":
            gone |= channels
        elif fact["type"] == "OptedBackIn" and not stale(history, fact):
            gone -= channels
    return gone


def left_open(history: Sequence[Fact]) -> set[str]:
    """The channels that they left open by name when they opted out of all: theirs, too."""
    is_out_of_all = False
    for fact in history:
        if fact.get("channel") is None and fact["type"] == "OptOutRequested":
            is_out_of_all = True
        elif fact.get("channel") is None and fact["type"] == "OptedBackIn":
            is_out_of_all = is_out_of_all and stale(history, fact)
    return set(CHANNELS) - opted_out(history) if is_out_of_all else set()


def key_of(one: Fact) -> str | None:
    """The key of an address, or the address itself in a history from before."""
    found = one.get("key")
    return one.get("address") if found is None else found


def failed(history: Sequence[Fact]) -> set[str]:
    """Failed keys; where no address was recorded, the first that was left was used."""
    found: set[str] = set()
    for index, fact in enumerate(history):
        if fact["type"] == "ContactPointFailed":
            if fact.get("reason") not in {"mailbox_full", "temporary"}:
                found.add(str(key_of(fact)))
        elif fact["type"] == "ContactPointRestored":
            found.discard(str(key_of(fact)))
        elif fact["type"] == "AttemptMade":
            for part in fact["parts"]:
                if part["disposition"] in {"wrong_number", "bounced"}:
                    left = [p for p in known_points(history[:index]) if p[1] not in found]
                    mine = [p for p in left if p[0] == part["channel"]]
                    key = key_of(part)
                    if key is not None:
                        found.add(key)
                    elif mine:
                        found.add(mine[0][1])
    return found


def known_points(history: Sequence[Fact]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for fact in history:
        if fact["type"] == "ProspectAdded":
            found += [(p["channel"], str(key_of(p))) for p in fact.get("contact_points", ())]
        elif fact["type"] == "ContactPointAdded":
            found.append((fact["channel"], str(key_of(fact))))
        elif fact["type"] == "ContactPointRemoved":
            found = [point for point in found if point[1] != key_of(fact)]
    return found


def usable_points(history: Sequence[Fact]) -> list[tuple[str, str]]:
    gone, bad = opted_out(history), failed(history)
    known = known_points(history)
    return [point for point in known if point[0] not in gone and point[1] not in bad]


# The stage --------------------------------------------------------------------------------------


def stage(history: Sequence[Fact]) -> str:
    return stages(history)[-1]


def stages(history: Sequence[Fact]) -> list[str]:
    """The stage after each event, from the sentences of section 5."""
    return [str(told["stage"]) for told in story(history)]


def end(history: Sequence[Fact]) -> str | None:
    """The end the file has, also while opted out after it."""
    told: str | None = story(history)[-1]["end"]
    return told


def standing_appointment(history: Sequence[Fact]) -> Fact | None:
    """The appointment, until it is moved, cancelled, passed or its on-time attempt made."""
    told: Fact | None = story(history)[-1]["appointment"]
    return told


def waits_for_contact(history: Sequence[Fact]) -> bool:
    """Whether the file was reopened and nothing was heard since."""
    return bool(story(history)[-1]["waits"])


def paused_until(history: Sequence[Fact]) -> datetime | None:
    """The pause that outreach resumes after, if the last contact asked for one."""
    since = last_contact(history)
    return since["until"] if since["type"] == "PauseRequested" else None


def story(history: Sequence[Fact]) -> list[Fact]:
    """Where the file stands after each event: stage, end, appointment, whether it waits."""
    told: list[Fact] = []
    at: Fact = {"stage": "new", "end": None, "appointment": None, "waits": False}
    for index in range(len(history)):
        at = {**at, **_change(history[: index + 1], at)}
        told.append(at)
    return told


def _change(history: Sequence[Fact], at: Fact) -> Fact:
    """What the last event of ``history`` changes."""
    fact, before, now = history[-1], history[:-1], at["stage"]
    kind = fact["type"]
    if kind == "OptOutRequested":
        mine = {channel for channel, _ in known_points(history)} or set(CHANNELS)
        mine |= left_open(history)
        if fact.get("channel") is not None and not mine <= opted_out(history):
            return {}
        return {"stage": "opted_out", "appointment": None, "waits": False}
    if kind == "OptedBackIn" and now == "opted_out" and not stale(history, fact):
        if at["end"] in {"won", "lost"}:
            return {"stage": at["end"]}
        return {"stage": "engaged", "end": None}
    if is_contact(fact):
        if fact is not last_contact(history):
            return {}
        appointment = at["appointment"]
        if kind == "AttemptMade" and fact["stage"] == "on_time":
            appointment = None
        if appointment is not None and appointment["at"] <= fact["occurred"]:
            appointment = None
        change = {"appointment": appointment, "waits": False}
        if now in {"won", "lost", "opted_out"}:
            return change
        return {**change, "stage": "scheduled" if appointment else "engaged", "end": None}
    if kind == "FollowUpEnded":
        change = {"appointment": None, "waits": False}
        if at["end"] in {"won", "lost"}:  # the first of won and lost counts
            return change
        ended = ENDS[fact["reason"]]
        return {**change, "end": ended, "stage": now if now == "opted_out" else ended}
    if kind == "FollowUpReopened" and now in ENDED:
        return {"stage": "engaged", "end": None, "waits": True}
    if kind == "AppointmentSet" and now in {"new", "engaged", "scheduled"}:
        if attempts(before) or at["waits"]:
            return {}
        return {"stage": "scheduled", "appointment": fact}
    if kind == "AppointmentCancelled" and now == "scheduled":
        first = last_contact(history) is history[0]
        return {"stage": "new" if first else "engaged", "appointment": None}
    if kind == "AppointmentCancelled":
        return {"appointment": None}
    if kind == "AttemptMade" and in_silence(fact, last_contact(before)):
        after, appointment = _stage_after(fact["stage"], now, at["waits"]), at["appointment"]
        if fact["stage"] == "on_time":
            appointment = None
        # Outreach that has gone on past the appointment has passed it.
        if appointment and after != "scheduled" and appointment["at"] <= fact["occurred"]:
            appointment = None
        return {"stage": after, "appointment": appointment}
    return {}


def _stage_after(made: str, now: str, waits: bool) -> str:
    """Where an unanswered attempt of a stage brings the file."""
    if made == "extra" or now in (*ENDED, "opted_out") or waits:
        return now
    if now in {"new", "engaged"} and made in {"on_time", "ten_minutes", "half_day"}:
        return now  # these need an appointment
    if now in OUTREACH and OUTREACH.index(made) < OUTREACH.index(now):
        return now
    return made


# Business time ----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _closed(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """Public holidays; without a region also those of at least half of them."""
    found = set(holidays.country_holidays(country, subdiv=subdivision, years=year))
    regions = () if subdivision else getattr(holidays, country).subdivisions
    every = [
        set(holidays.country_holidays(country, subdiv=region, years=year)) for region in regions
    ]
    for day in set().union(*every):
        if 2 * sum(day in one for one in every) >= len(every):
            found.add(day)
    return frozenset(found)


@lru_cache(maxsize=65536)
def is_business_day(day: date, country: str | None, subdivision: str | None) -> bool:
    if day.weekday() >= 5:
        return False
    return country is None or day not in _closed(country, subdivision, day.year)


def at_local(day: date, clock: time, zone: str) -> datetime:
    """The first instant at which the clocks of ``zone`` show this, or the next time they show."""
    wall = datetime.combine(day, clock)
    while True:
        instant = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
        if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall:
            return instant
        wall = wall.replace(second=0, microsecond=0) + timedelta(minutes=1)


def local(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone))


def days(after: date, until: date) -> Iterator[date]:
    day = after + timedelta(days=1)
    while day <= until:
        yield day
        day += timedelta(days=1)


def suspensions(history: Sequence[Fact], zone: str) -> list[tuple[datetime, datetime]]:
    """Pauses and auto-replies of the running silence."""
    since = last_contact(history)
    found = []
    for fact in history:
        if fact["type"] == "PauseRequested" and fact is since:
            found.append((fact["occurred"], fact["until"]))
        elif fact["type"] == "AutoReplyReceived" and in_silence(fact, since):
            until = fact.get("until")
            if until is None:
                until = after_business_days(history, fact["occurred"], 5, zone)
            found.append((fact["occurred"], until))
    return [(start, until) for start, until in found if start < until]


def after_business_days(
    history: Sequence[Fact], start: datetime, count: int, zone: str
) -> datetime:
    """The same local time on the ``count``-th business day after ``start``; none suspended."""
    here = local(start, zone)
    day = here.date()
    while count:
        day += timedelta(days=1)
        if is_business_day(day, *place(history)):
            count -= 1
    return at_local(day, here.timetz().replace(tzinfo=None), zone)


def is_suspended_day(day: date, zone: str, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    """Whether any of the business hours of the day are suspended."""
    opens, closes = at_local(day, OPEN_FROM, zone), at_local(day, OPEN_TO, zone)
    return any(start < closes and opens < until for start, until in spans)


def gap_in(
    history: Sequence[Fact], first: datetime, second: datetime, zone: str
) -> tuple[int, int]:
    spans = suspensions(history, zone)
    country, subdivision = place(history)
    count = sum(
        1
        for day in days(local(first, zone).date(), local(second, zone).date())
        if is_business_day(day, country, subdivision) and not is_suspended_day(day, zone, spans)
    )
    if count:
        return count, 0
    elapsed = second - first
    merged = _merge(spans)
    for start, until in merged:
        elapsed -= max(timedelta(), min(until, second) - max(start, first))
    return 0, int(max(elapsed, timedelta()) // timedelta(minutes=1))


def _merge(spans: Sequence[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for start, until in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until))
        else:
            merged.append((start, until))
    return merged


def gap(history: Sequence[Fact], first: datetime, second: datetime) -> tuple[int, int]:
    """The distance between two attempts: the smallest of the candidate zones' measures."""
    return min(gap_in(history, first, second, zone) for zone in zones(history))


def largest_gap(history: Sequence[Fact]) -> tuple[int, int]:
    """The largest gap since the on-time attempt, each as measured when both were known."""
    return max(
        (
            gap(
                facts_until(history, max(first["version"], second["version"])),
                first["occurred"],
                second["occurred"],
            )
            for first, second in pairwise(known_tries(history))
        ),
        default=(0, 0),
    )


def known_tries(history: Sequence[Fact]) -> list[Fact]:
    """Those since the on-time attempt, without those made before we knew that they had spoken."""
    known = last_contact(history)["version"]
    return [one for one in since_on_time(history) if one["version"] > known]


def business_days_of_silence(history: Sequence[Fact], until: datetime) -> int:
    """Counted from the first attempt of the silence: before it nobody was silent to us."""
    return gap(history, attempts(history)[0]["occurred"], until)[0]


def hours(history: Sequence[Fact]) -> tuple[time, time]:
    """Business hours, or the waking part of the hours they prefer, if there is one."""
    found = (OPEN_FROM, OPEN_TO)
    for fact in history:
        if fact["type"] == "PreferenceStated" and fact.get("hours") is not None:
            start, until = (time.fromisoformat(text) for text in fact["hours"].split("-"))
            start, until = max(start, WAKING_FROM), min(until, WAKING_TO)
            found = (start, until) if start < until else (OPEN_FROM, OPEN_TO)
    return found


# The polite exit --------------------------------------------------------------------------------


def exits(history: Sequence[Fact]) -> list[Fact]:
    """The polite exits after all other outreach: the last outreach has to be one."""
    found: list[Fact] = []
    for attempt in attempts(history):
        if attempt["stage"] == "polite_exit":
            found.append(attempt)
        elif attempt["stage"] != "extra":
            found = []
    return found


def delivered_parts(history: Sequence[Fact], attempt: Fact) -> list[str]:
    """The channels on which this exit reached them and has not bounced since."""
    bad = failed(history)
    return [
        part["channel"]
        for part in attempt["parts"]
        if part["disposition"] in DELIVERED and key_of(part) and key_of(part) not in bad
    ]


def may_have_arrived(history: Sequence[Fact], attempt: Fact) -> bool:
    """Whether the outcome of an exit is not known, at an address that has not failed since."""
    bad = failed(history)
    return any(
        part["disposition"] == "unknown" and key_of(part) and key_of(part) not in bad
        for part in attempt["parts"]
    )


def exit_delivered(history: Sequence[Fact]) -> Fact | None:
    """The last polite exit that reached them."""
    for attempt in reversed(exits(history)):
        if delivered_parts(history, attempt):
            return attempt
    return None


def answer_ends(history: Sequence[Fact]) -> datetime | None:
    """Same local time on the last business day of the answer time, in the latest zone."""
    attempt = exit_delivered(history)
    if attempt is None:
        return None
    by_mail_alone = set(delivered_parts(history, attempt)) == {"mail"}
    count = ANSWER_DAYS_BY_MAIL if by_mail_alone else ANSWER_DAYS
    ends = []
    for zone in zones(history):
        here = local(attempt["occurred"], zone)
        spans, left, day = suspensions(history, zone), count, here.date()
        while left:
            day += timedelta(days=1)
            if is_business_day(day, *place(history)) and not is_suspended_day(day, zone, spans):
                left -= 1
        ends.append(at_local(day, here.timetz().replace(tzinfo=None), zone))
    return max(ends)


# What the invariants forbid ----------------------------------------------------------------------


def charter_breaches(history: Sequence[Fact], decision: Decision, now: datetime) -> list[str]:
    """The rules that a proposed decision breaks; empty if it is in order."""
    found = [*_forgotten(history, decision), *_ending(history, decision)]
    if decision.touch is not None and decision.verdict.value in {"due", "wait"}:
        found += _touch(history, decision, now)
    return found


def _forgotten(history: Sequence[Fact], decision: Decision) -> Iterator[str]:
    kind, here = decision.verdict.value, stage(history)
    open_file = here not in (*ENDED, "opted_out")
    if open_file and kind == "stop":
        yield "forgotten: an open prospect is stopped"
    if kind != "stop" and decision.at is None:
        yield f"forgotten: {kind} without a time"
    if kind == "due" and decision.touch is None:
        yield "forgotten: due without a touch"
    if kind == "task" and not getattr(decision, "task", ""):
        yield "forgotten: a task without words"
    if kind in {"task", "close", "stop"} and decision.touch is not None:
        yield f"forgotten: {kind} has a touch beside"
    if not open_file and kind not in {"stop", "task"}:
        yield f"opt_out: {kind} for a file that is {here}"
    if kind == "task" and here == "closed":
        yield "forgotten: a task for a closed file"


def _ending(history: Sequence[Fact], decision: Decision) -> Iterator[str]:
    if decision.verdict.value != "close":
        return
    if getattr(decision, "end", None) is None:
        yield "polite_exit: closes without a reason"
    elif decision.end.value == "unreachable":
        if usable_points(history):
            yield f"contact_point: unreachable, but {usable_points(history)} are left"
    elif decision.end.value == "no_response":
        ends = answer_ends(history)
        if ends is None:
            yield "polite_exit: closes though no exit was delivered"
        elif decision.at is not None and decision.at < ends:
            yield f"polite_exit: closes at {decision.at}, the answer time ends {ends}"
    else:
        yield f"polite_exit: closes as {decision.end}"


def _touch(history: Sequence[Fact], decision: Decision, now: datetime) -> Iterator[str]:
    touch, at = decision.touch, decision.at
    assert touch is not None
    if at is None:
        return
    step = touch.stage.value
    if decision.verdict.value == "wait" and at <= now:
        yield f"plan: waits until {at}, which is not after {now}"
    if decision.verdict.value == "due" and at > now:
        yield f"plan: due at {at}, which is after {now}"
    gone, bad, known = opted_out(history), failed(history), known_points(history)
    if not touch.parts:
        yield "plan: a touch without a part"
    for part in touch.parts:
        point = (part.channel, part.same)
        if part.channel in gone:
            yield f"opt_out: {point}"
        if part.same in bad:
            yield f"contact_point: {point} failed"
        if point not in known:
            yield f"contact_point: {point} is not known"
    calls = any(part.channel == "call" for part in touch.parts)
    if step == "spaced" and calls and spaced_calls(history) >= CAP:
        yield f"spaced_cap: {spaced_calls(history)} already"
    made = attempts(history)
    known = [one for one in made if one["version"] > last_contact(history)["version"]]
    if step != "on_time" and known:
        before = gap(history, known[-1]["occurred"], at)
        late = any(b["version"] < a["version"] for a, b in pairwise(made))
        excused = late and "a gap learnt of late" in TOLERATED
        if before < largest_gap(history) and not excused:
            yield f"gap: {before} after {largest_gap(history)}"
    yield from _too_many(history, step, len(touch.parts), at)
    for attempt in made:
        # What was sent before the contact was learnt of was sent in another order.
        if attempt["version"] < last_contact(history)["version"]:
            continue
        if attempt["stage"] in OUTREACH and OUTREACH.index(attempt["stage"]) > OUTREACH.index(step):
            yield f"order: {step} after {attempt['stage']}"
    if step == "polite_exit" and exit_delivered(history) is not None:
        yield "polite_exit: a second one, though one was delivered"
    if step == "polite_exit" and any(may_have_arrived(history, one) for one in exits(history)):
        yield "polite_exit: a second one, though the first may have arrived"
    moved = stage(history) != "engaged" and "a reopened file moved by an import" in TOLERATED
    if waits_for_contact(history) and not moved:
        yield "plan: outreach in a file that was reopened"
    yield from _too_early(history, step, at)


def _too_many(history: Sequence[Fact], step: str, parts: int, at: datetime) -> Iterator[str]:
    """Three parts a day, five a week, twelve in 30 days; a business day between spaced touches."""
    known = last_contact(history)["version"]
    made = [one for one in attempts(history) if one["version"] > known]
    if parts > 2:
        yield f"frequency: {parts} parts at once"
    if step in ("on_time", "ten_minutes") or not made:
        return
    for days_, most in ((1, 3), (7, 5), (30, 12)):
        recent = [one for one in made if at - one["occurred"] < timedelta(days=days_)]
        total = sum(len(one["parts"]) for one in recent) + parts
        if total > most:
            yield f"frequency: {total} parts in {days_} days"
    if OUTREACH.index(step) >= OUTREACH.index("spaced"):
        if gap(history, made[-1]["occurred"], at)[0] < 1:
            yield f"frequency: {step} less than a business day after {made[-1]['occurred']}"


def agreed_at(history: Sequence[Fact]) -> datetime:
    """When the appointment of the last on-time attempt was set; the beginning if there is none."""
    set_at: datetime = history[0]["occurred"]
    last: datetime = set_at
    for fact in history:
        if fact["type"] == "AppointmentSet":
            last = fact["occurred"]
        if fact["type"] == "AttemptMade" and fact["stage"] == "on_time":
            set_at = last
    return set_at


def _too_early(history: Sequence[Fact], step: str, at: datetime) -> Iterator[str]:
    """Lower bounds of the time of a touch of ``tip8``."""
    country, subdivision = place(history)
    opens, closes = hours(history)
    for zone in zones(history):
        here = local(at, zone)
        if not WAKING_FROM <= here.time() < WAKING_TO:
            yield f"quiet_hours: {here}"
        if step not in {"on_time", "ten_minutes"}:
            if not is_business_day(here.date(), country, subdivision):
                yield f"business_hours: {here} is no business day"
            elif not opens <= here.time() < closes:
                yield f"business_hours: {here}"
        if step != "on_time":
            for start, until in suspensions(history, zone):
                # Who agreed to the appointment while away agreed to both of its steps.
                if step == "ten_minutes" and start <= agreed_at(history):
                    continue
                if start <= at < until:
                    yield f"suspended: {at} is in {start} to {until}"
    appointment = standing_appointment(history)
    if step == "on_time":
        if appointment is None:
            yield "appointment: on time for none"
        elif at < appointment["at"]:
            yield f"appointment: {at} is before {appointment['at']}"
        return
    made = attempts(history)
    if not made:
        since = last_contact(history)
        if since["type"] != "PauseRequested":
            yield f"plan: {step} with nothing before, after {since['type']}"
        elif at < since["until"]:
            yield f"suspended: {at} is before {since['until']}"
        return
    last = made[-1]
    if stage(history) == "engaged":  # a pause learnt of late: its end is what counts
        pause = paused_until(history)
        if pause is None or at < pause:
            yield f"suspended: {at} is before {pause}"
        return
    planned = [attempt for attempt in made if attempt["stage"] != "extra"]
    exact = (planned or made)[-1]  # the exact steps are measured from the plan, not from extras
    if step == "ten_minutes" and at < exact["occurred"] + timedelta(minutes=10):
        yield f"plan: {at} is not ten minutes after {exact['occurred']}"
    if step == "half_day" and at < exact["occurred"] + timedelta(hours=4):
        yield f"plan: {at} is not four hours after {exact['occurred']}"
    if step == "spaced" and gap(history, last["occurred"], at) < (3, 0):
        yield f"plan: {at} is not three business days after {last['occurred']}"
    if step == "polite_exit" and not exits(history):
        if gap(history, last["occurred"], at) < (3, 0):
            yield f"plan: {at} is not three business days after {last['occurred']}"
    if step in {"half_day", "spaced"} and business_days_of_silence(history, at) > HORIZON:
        yield f"horizon: {business_days_of_silence(history, at)} business days of silence"


def check(history: Sequence[Event], decision: Decision, now: datetime) -> list[str]:
    """:func:`charter_breaches` for events."""
    return charter_breaches(facts(history), decision, now)


def facts_until(history: Sequence[Fact], version: int) -> list[Fact]:
    return [fact for fact in history if fact["version"] <= version]


def authorised(history: Sequence[Fact]) -> list[Fact]:
    """Attempts that broke no rule."""
    return [f for f in history if f["type"] == "AttemptMade" and not f.get("broke")]


__all__ = [
    "CHANNELS",
    "ENDED",
    "OUTREACH",
    "Fact",
    "answer_ends",
    "attempts",
    "authorised",
    "charter_breaches",
    "check",
    "exit_delivered",
    "facts",
    "failed",
    "gap",
    "largest_gap",
    "last_contact",
    "opted_out",
    "spaced_calls",
    "stage",
    "stages",
]
