"""The audit's counts for ``tip8``, counted again by code that shares nothing with the audit.

Written from sections 5 to 7 of the design in another manner: plain lists, days walked one by one,
everything of a silence looked at again for each attempt. It asks that each attempt was learnt of
when it was made, and for one zone a prospect.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import msgspec

from cadence.domain.events import Event

__all__ = ["naive_breaches"]

RANK = ["extra", "on_time", "ten_minutes", "half_day", "spaced", "concern", "nurture"]
RANK.append("polite_exit")
TIP8 = ["on_time", "ten_minutes", "half_day", *(f"spaced#{n}" for n in range(1, 7))]
TIP8.append("polite_exit")


@cache
def free_days(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    found = set(holidays.country_holidays(country, subdiv=subdivision, years=year))
    regions = () if subdivision else getattr(holidays, country).subdivisions
    every = [
        set(holidays.country_holidays(country, subdiv=region, years=year)) for region in regions
    ]
    usual = {day for one in every for day in one if 2 * sum(day in x for x in every) >= len(every)}
    return frozenset(found | usual)


def business_days(person: dict[str, Any], first: date, last: date, away: list[Any]) -> int:
    zone, count, day = ZoneInfo(person["timezone"]), 0, first
    while day < last:
        day += timedelta(days=1)
        opens = datetime.combine(day, time(9), zone)
        closes = datetime.combine(day, time(17), zone)
        if day.weekday() > 4 or any(a < closes and opens < b for a, b, _ in away):
            continue
        if person.get("country") and day in free_days(
            person["country"], person.get("subdivision"), day.year
        ):
            continue
        count += 1
    return count


def naive_gap(person: dict[str, Any], first: datetime, second: datetime, away: list[Any]) -> Any:
    zone = ZoneInfo(person["timezone"])
    one, two = first.astimezone(zone).date(), second.astimezone(zone).date()
    days = business_days(person, one, two, away)
    elapsed, until = second - first, first
    for start, end, _ in sorted(away):
        elapsed -= max(timedelta(), min(end, second) - max(start, until))
        until = max(until, end)
    return (days, 0) if days else (0, max(elapsed, timedelta()) // timedelta(minutes=1))


def largest_gap(person: dict[str, Any], tries: list[dict[str, Any]], away: list[Any]) -> Any:
    """The largest since the call at the appointment, each as measured then."""
    starts = [i for i, one in enumerate(tries) if one["stage"] == "on_time"] or [0]
    gaps = [
        naive_gap(person, one["at"], two["at"], [a for a in away if a[0] <= two["at"]])
        for one, two in itertools.pairwise(tries[starts[-1] :])
    ]
    return max(gaps, default=(0, 0))


def key_of(one: dict[str, Any]) -> str:
    """The key of an address, or the address itself where it has none."""
    return str(one.get("key", one["address"]))


def naive_breaches(history: Sequence[Event]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    facts = [msgspec.to_builtins(one, builtin_types=(datetime,)) for one in history]
    person = facts[0]["data"]
    points = [(p["channel"], key_of(p)) for p in person.get("contact_points", ())]
    gone: set[str] = set()
    bad: set[str] = set()
    tries: list[dict[str, Any]] = []
    away: list[Any] = []
    appointment: datetime | None = None
    state, said_no = "open", False
    bought = owed = False
    agreed = pause = None
    reach, since = 0, facts[0]["occurred_at"]
    for fact in facts:
        data, at, version = fact["data"], fact["occurred_at"], fact["version"]
        kind = data["type"].split(".")[0]
        if kind == "AttemptMade":
            stage = data.get("stage") or "extra"
            rules = attempt_rules(
                person,
                points,
                gone,
                bad,
                tries,
                away,
                appointment,
                "open" if owed and state == "done" else state,
                said_no and state == "open" and not reach and appointment is None,
                # Who agreed to an appointment while away agreed to both of its own steps.
                agreed if stage in ("on_time", "ten_minutes") else None,
                at,
                data,
            )
            if not rules:
                asked = Asked(
                    *(person, points, gone, bad, tries, away, appointment),
                    *(since, pause, reach, at, data),
                )
                rules = asked.hours() if owed and state == "done" else asked.plan()
            found += [(version, rule) for rule in rules]
            for part in data["parts"]:
                if part["disposition"] in ("wrong_number", "bounced"):
                    bad.add(key_of(part))
            if stage != "extra" and (reach or appointment or RANK.index(stage) > 3):
                reach, pause = max(reach, RANK.index(stage)), None
            if stage == "on_time":
                agreed, appointment = agreed if appointment else None, None
            owed = False
            if any(part["disposition"] == "connected" for part in data["parts"]):
                kind = "Contact"
            else:
                step = data.get("step")
                tries.append({"at": at, "stage": stage, "step": step, "parts": data["parts"]})
                if appointment is not None and appointment <= at and stage != "extra":
                    appointment = None
        if kind in ("ReplyReceived", "PauseRequested", "OptedBackIn", "ReferralGiven", "Contact"):
            tries, away, reach, since = [], [], 0, at
            pause = data["until"] if kind == "PauseRequested" else None
            agreed = agreed if appointment is not None and appointment > at else None
            said_no = data.get("intent") == "no"
            if appointment is not None and appointment <= at:
                appointment = None
            owed = kind != "Contact" and state in ("done", "opted out")
            if kind == "OptedBackIn":
                gone = set()
                if state == "opted out":
                    state, owed = "done" if bought else "open", False
            if state == "closed":
                state = "open"
            if kind == "PauseRequested":
                away = [(at, data["until"], version)]
        elif kind == "AutoReplyReceived":
            away.append((at, data["until"], version))
        elif kind == "AppointmentSet" and not tries and state == "open":
            appointment, agreed, pause = data["at"], at, None
        elif kind == "ContactPointFailed":
            bad.add(key_of(data))
        elif kind == "OptOutRequested":
            gone |= {data["channel"]} if data.get("channel") else {p[0] for p in points}
            if gone >= {p[0] for p in points}:
                state, appointment, owed, pause = "opted out", None, False, None
        elif kind == "FollowUpEnded":
            if state == "open":
                rule = end_rule(person, points, gone, bad, tries, away, at, data["reason"])
                found += [(version, rule)] if rule else []
            bought = bought or data["reason"] in ("bought", "declined")  # won or lost: for good
            if state != "opted out":
                state = "done" if bought else "closed"
            appointment, owed, pause = None, False, None
    return found


def delivered(tries: list[dict[str, Any]], bad: set[str]) -> Any:
    """The last polite exit that arrived, if no other outreach came after it."""
    for one in reversed(tries):
        if one["stage"] not in ("polite_exit", "extra"):
            return None
        channels = [
            part["channel"]
            for part in one["parts"]
            if part["disposition"] in ("sent", "voicemail_left") and key_of(part) not in bad
        ]
        if one["stage"] == "polite_exit" and channels:
            return one, channels
    return None


def attempt_rules(
    person: dict[str, Any],
    points: list[tuple[str, str]],
    gone: set[str],
    bad: set[str],
    tries: list[dict[str, Any]],
    away: list[Any],
    appointment: datetime | None,
    state: str,
    said_no: bool,
    agreed: datetime | None,
    at: datetime,
    data: dict[str, Any],
) -> list[str]:
    rules = []
    stage, parts = data.get("stage") or "extra", data["parts"]
    channels = [part["channel"] for part in parts]
    if state == "opted out" or any(channel in gone for channel in channels):
        rules.append("opt_out")
    if any(key_of(part) in bad for part in parts):
        rules.append("contact_point")
    if state == "opted out":
        return rules
    if state == "closed":
        return [*rules, "polite_exit"]
    if state == "done" or said_no:
        return [*rules, "plan"]
    if delivered(tries, bad):
        return [*rules, "polite_exit"]
    places = [one["stage"] for one in tries if one["stage"] != "extra"]
    calls = [
        one
        for one in tries
        if one["stage"] in ("spaced", "extra") and "call" in [p["channel"] for p in one["parts"]]
    ]
    if stage in ("spaced", "extra") and "call" in channels and len(calls) >= 6:
        rules.append("spaced_cap")
    if stage not in ("on_time", "ten_minutes"):
        ago = [at - one["at"] for one in tries for _ in one["parts"]] + [timedelta(0)] * len(parts)
        days = [(1, 3), (7, 5), (30, 12)]
        crowded = any(sum(one < timedelta(days=n) for one in ago) > most for n, most in days)
        asleep = any(start <= at < end for start, end, _ in away)
        soon = RANK.index(stage) > 3 and tries and not asleep
        if crowded or (soon and not naive_gap(person, tries[-1]["at"], at, away)[0]):
            rules.append("frequency")
    suspended = any(start <= at < end for start, end, _ in away if agreed is None or start > agreed)
    if suspended:
        rules.append("suspended")
    elif tries and stage != "on_time":
        if naive_gap(person, tries[-1]["at"], at, away) < largest_gap(person, tries, away):
            rules.append("gap")
    if any(RANK.index(one) > RANK.index(stage) for one in places) and stage != "extra":
        rules.append("order")
    if stage == "concern":
        early = not tries or at - tries[0]["at"] < timedelta(days=21)
        if "concern" in places or len(tries) < 5 or early:
            rules.append("concern")
    if appointment is not None and at < appointment:
        rules.append("appointment")
    local = at.astimezone(ZoneInfo(person["timezone"])).time()
    if not time(8) <= local < time(21):
        rules.append("quiet_hours")
    if stage == "on_time" and appointment is None and not rules:
        rules.append("appointment")
    return rules


def end_rule(
    person: dict[str, Any],
    points: list[tuple[str, str]],
    gone: set[str],
    bad: set[str],
    tries: list[dict[str, Any]],
    away: list[Any],
    at: datetime,
    reason: str,
) -> str | None:
    if reason == "unreachable":
        other = [i for i, one in enumerate(tries) if one["stage"] not in ("polite_exit", "extra")]
        tried = [
            (part["channel"], key_of(part))
            for one in tries[other[-1] + 1 if other else 0 :]
            if one["stage"] == "polite_exit"
            for part in one["parts"]
        ]
        left = [p for p in points if p[0] not in gone and p[1] not in bad and p not in tried]
        return "contact_point" if left else None
    if reason != "no_response":
        return None
    arrived = delivered(tries, bad)
    if arrived is None:
        return "polite_exit"
    exit_, channels = arrived
    needed = 10 if set(channels) == {"mail"} else 2
    zone = ZoneInfo(person["timezone"])
    first = exit_["at"].astimezone(zone)
    day = first.date()
    while business_days(person, first.date(), day, away) < needed:
        day += timedelta(days=1)
    until = datetime.combine(day, first.time(), zone)
    return "polite_exit" if at < until else None


# The plan -----------------------------------------------------------------------------------------


class Asked:
    """One attempt that broke no invariant, and what was known before it."""

    def __init__(
        self,
        person: dict[str, Any],
        points: list[tuple[str, str]],
        gone: set[str],
        bad: set[str],
        tries: list[dict[str, Any]],
        away: list[Any],
        appointment: datetime | None,
        since: datetime,
        pause: datetime | None,
        reach: int,
        at: datetime,
        data: dict[str, Any],
    ) -> None:
        self.person, self.tries, self.away, self.appointment = person, tries, away, appointment
        self.since, self.reach, self.at, self.data = since, reach, at, data
        self.zone = ZoneInfo(person["timezone"])
        self.left = [p for p in points if p[0] not in gone and p[1] not in bad]
        self.call_left = any(channel == "call" for channel, _ in self.left)
        # After a pause the plan goes on by itself, from the spaced calls on.
        self.pause = pause if appointment is None and not reach else None
        self.stage, self.step = data.get("stage") or "extra", data.get("step")
        self.lapsed: datetime | None = None
        self.late = False

    def plan(self) -> list[str]:
        if self.appointment is None and not self.reach and self.pause is None:
            return self.owners_own()
        following = self.next()
        is_owners = following == "polite_exit" and self.left and self.the_exit_is_the_owners()
        if is_owners:
            return self.hours(is_agreed=self.is_their_day())
        return ["plan"] if self.stage == "extra" else self.touch(following)

    def is_their_day(self) -> bool:
        """Whether it is the day of the appointment."""
        if self.appointment is None:
            return False
        days = [one.astimezone(self.zone).date() for one in (self.at, self.appointment)]
        return days[0] == days[1]

    def hours(self, *, is_agreed: bool = False) -> list[str]:
        """What the owner does is in order, at an open time or an agreed one."""
        is_agreed = is_agreed or self.stage in ("on_time", "ten_minutes")
        return [] if is_agreed or self.open() else ["business_hours"]

    def owners_own(self) -> list[str]:
        if self.stage == "extra":
            return self.hours()
        number = int(self.step[7:]) if (self.step or "").startswith("spaced#") else 1
        in_turn = self.step not in TIP8 or number <= self.reached("spaced") + 1
        is_own = self.stage == "spaced" and in_turn and not self.data.get("touch")
        return self.hours() if is_own else ["plan"]

    def the_exit_is_the_owners(self) -> bool:
        """The last word can't be the first, nor be said twice in one place."""
        other = [i for i, t in enumerate(self.tries) if t["stage"] not in ("polite_exit", "extra")]
        tried = [
            (part["channel"], key_of(part))
            for one in self.tries[other[-1] + 1 if other else 0 :]
            if one["stage"] == "polite_exit"
            for part in one["parts"]
        ]
        return not self.tries or all(point in tried for point in self.left)

    def reached(self, stage: str) -> int:
        """How many touches of a stage are behind them."""
        count = 0
        for one in self.tries:
            if one["stage"] == stage:
                count += 1
                if one["step"] in TIP8 and one["step"].split("#")[0] == stage:
                    named = int(one["step"][7:]) if stage == "spaced" else 1
                    count = max(count, named)
        return count

    def next(self) -> str:
        """The touch that was next."""
        start = 4 if self.pause is not None else self.reach
        calls = [
            one
            for one in self.tries
            if one["stage"] in ("spaced", "extra")
            and "call" in [p["channel"] for p in one["parts"]]
        ]
        for name in TIP8[:-1]:
            stage = name.split("#")[0]
            number = int(name[7:]) if stage == "spaced" else 1
            if RANK.index(stage) < start or number <= self.reached(stage) or not self.call_left:
                continue
            if stage == "spaced" and len(calls) >= 6:
                continue
            if stage == "ten_minutes":
                exact = self.planned(name)
                if self.at > exact + timedelta(minutes=15):
                    self.lapsed, self.late = exact, True
                    continue
            if RANK.index(stage) > 2 and self.too_long_silent():
                self.late = True
                continue
            return name
        return "polite_exit"

    def too_long_silent(self) -> bool:
        tries = self.tries
        return bool(tries) and naive_gap(self.person, tries[0]["at"], self.at, self.away)[0] > 45

    def touch(self, following: str) -> list[str]:
        stage, meant = self.stage, self.step
        if stage == "polite_exit":
            meant = stage
        elif meant not in TIP8 or meant.split("#")[0] != stage:
            behind = self.reached(stage)
            meant = f"spaced#{behind + 1}" if stage == "spaced" and behind < 6 else stage
            if stage in ("concern", "nurture"):
                return ["plan"]
            if meant not in TIP8 or (stage != "spaced" and behind):
                return ["bounded"]
        number = int(meant[7:]) if meant.startswith("spaced#") else 1
        last = self.tries[-1] if self.tries else {"step": None, "stage": None}
        follows = last["step"] in TIP8 and last["step"].split("#")[0] == last["stage"]
        if not follows or TIP8.index(last["step"]) + 1 != TIP8.index(meant):
            if meant != "polite_exit" and number <= self.reached(stage):
                return ["plan"]
            if TIP8.index(following) < TIP8.index(meant):
                return ["plan"]
            if self.pause is not None and RANK.index(stage) < 4:
                return ["plan"]  # after a pause the appointment's own steps are behind them
        channels = {part["channel"] for part in self.data["parts"]}
        if stage != "polite_exit" and not (channels == {"call"} and self.call_left):
            return ["plan"]
        wrong = []
        if self.at < self.allowed_from(meant):
            wrong.append("plan")
        if stage == "ten_minutes" and self.at > self.planned(meant) + timedelta(minutes=15):
            wrong.append("lapsed")
        if stage in ("half_day", "spaced") and self.too_long_silent():
            wrong.append("horizon")
        if RANK.index(stage) > 2 and not self.open():
            wrong.append("business_hours")
        # One act, one finding: the one that it names itself, or the first.
        named = [rule for rule in wrong if rule in self.data.get("broke", ())]
        return [*named, *wrong][:1]

    def planned(self, name: str) -> datetime:
        if name == "on_time":
            return self.appointment or self.since
        if self.pause is not None:
            return self.pause
        anchors = self.tries
        if name in ("ten_minutes", "half_day"):
            anchors = [one for one in self.tries if one["stage"] != "extra"] or self.tries
        start = anchors[-1]["at"] if anchors else None
        if self.appointment is not None and (start is None or self.appointment > start):
            start = self.appointment
        start = max(one for one in (start or self.since, self.lapsed) if one is not None)
        if name == "ten_minutes":
            return start + timedelta(minutes=10)
        if name == "half_day":
            return self.without_absences(start, timedelta(hours=4))
        return self.at_the_same_time(start, self.day_with(start, 3))

    def without_absences(self, start: datetime, wait: timedelta) -> datetime:
        until = start + wait
        for leaves, back, _ in sorted(self.away):
            if leaves < until and back > start:
                until += back - max(leaves, start)
                start = back
        return until

    def day_with(self, start: datetime, count: int) -> date:
        """The first day that is so many business days after ``start``."""
        first = day = start.astimezone(self.zone).date()
        while business_days(self.person, first, day, self.away) < count:
            day += timedelta(days=1)
        return day

    def at_the_same_time(self, instant: datetime, day: date) -> datetime:
        return datetime.combine(day, instant.astimezone(self.zone).time(), self.zone)

    def earliest(self, name: str) -> datetime:
        found = self.planned(name)
        days, minutes = largest_gap(self.person, self.tries, self.away)
        if name == "on_time" or not self.tries or not (days or minutes):
            return found
        last = self.tries[-1]["at"]
        if days:
            day = self.day_with(last, days)
            midnight = datetime.combine(day, time(), self.zone)
            if midnight <= found:
                return found
            return midnight if self.late else max(midnight, self.at_the_same_time(found, day))
        until = self.without_absences(last, timedelta(minutes=minutes))
        if until.astimezone(self.zone).date() != last.astimezone(self.zone).date():
            morning = datetime.combine(self.day_with(last, 1), time(), self.zone)
            until = min(until, morning)
        return max(found, until)

    def allowed_from(self, name: str) -> datetime:
        """Five minutes early; what is days apart at any open time of its day."""
        due, early = self.earliest(name), timedelta(minutes=5)
        days, minutes = largest_gap(self.person, self.tries, self.away)
        if name.split("#")[0] in ("spaced", "polite_exit") and self.pause is None:
            opens = datetime.combine(due.astimezone(self.zone).date(), time(9), self.zone)
            return min(due, opens) - early if due - opens > -early else due
        if days or self.pause is not None:
            return due
        floor = (
            self.without_absences(self.tries[-1]["at"], timedelta(minutes=minutes))
            if minutes
            else due - early
        )
        return min(due, max(due - early, floor))

    def open(self) -> bool:
        local = self.at.astimezone(self.zone) + timedelta(minutes=5)
        if local.time() > time(9, 5):
            local -= timedelta(minutes=5)
        country = self.person.get("country")
        if country and local.date() in free_days(
            country, self.person.get("subdivision"), local.year
        ):
            return False
        return local.weekday() < 5 and time(9) <= local.time() < time(17)
