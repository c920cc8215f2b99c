"""The audit's counts on something like an event log, against a second, naive count.

The naive count below is written from section 7 of the design in another manner: plain lists, days
walked one by one, everything of a silence looked at again for each attempt. ``check_counts`` takes
any histories, for example those of a log that was imported.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import msgspec
import pytest

from cadence.core.events import AttemptMade, Event
from cadence.core.wire import encode_line
from cadence.history.audit import Auditor, Noticed
from cadence.history.files import open_input
from cadence.history.formats import choose_source, mapping_for
from cadence.history.importing import import_all
from cadence.history.jsonl import import_jsonl
from cadence.policy import builtin
from cadence.store import Cadence

BPI = Path(__file__).parents[2] / "shared" / "data" / "bpic2012.xes.gz"
DOI = "3926db30-f712-4394-aebc-75976070e91f"
RANK = ["extra", "on_time", "ten_minutes", "half_day", "spaced", "concern", "nurture"]
RANK.append("polite_exit")
COUNTED = {
    "opt_out",
    "spaced_cap",
    "gap",
    "polite_exit",
    "concern",
    "contact_point",
    "order",
    "appointment",
    "suspended",
    "quiet_hours",
}


def check_counts(histories: Iterable[Sequence[Event]]) -> Counter[str]:
    """That the audit counts as many breaches of each rule of the charter as the naive count.

    Args:
        histories: under ``tip8``, each attempt learnt of when it was made, one zone a prospect.

    Returns:
        The counts, so that a test can say that there was something to count.
    """
    auditor = Auditor(builtin())
    prospects = events = 0
    counts: Counter[str] = Counter()
    for history in histories:
        prospects, events = prospects + 1, events + len(history)
        theirs = Counter(
            (one.version, one.rule)
            for one in auditor.audit(history)
            if one.noticed is not Noticed.HINDSIGHT and one.rule in COUNTED
        )
        ours = Counter(naive_breaches(history))
        assert theirs == ours, (
            f"{history[0].prospect}: audit {theirs - ours}, naive {ours - theirs}"
        )
        counts.update(rule for _, rule in theirs.elements())
    assert (auditor.prospects, auditor.events) == (prospects, events)
    return counts


# The naive count ----------------------------------------------------------------------------------


@cache
def free_days(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))


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


def naive_breaches(history: Sequence[Event]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    facts = [msgspec.to_builtins(one, builtin_types=(datetime,)) for one in history]
    person = facts[0]["data"]
    points = [(p["channel"], p["address"]) for p in person.get("contact_points", ())]
    gone: set[str] = set()
    bad: set[tuple[str, str]] = set()
    tries: list[dict[str, Any]] = []
    away: list[Any] = []
    appointment: datetime | None = None
    state, said_no = "open", False
    bought = owed = moved = False
    agreed = None
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
                said_no and state == "open" and not moved and appointment is None,
                # Who agreed to an appointment while away agreed to both of its own steps.
                agreed if stage in ("on_time", "ten_minutes") else None,
                at,
                data,
            )
            found += [(version, rule) for rule in rules if rule in COUNTED]
            for part in data["parts"]:
                if part["disposition"] in ("wrong_number", "bounced"):
                    bad.add((part["channel"], part["address"]))
            if stage != "extra" and (appointment or RANK.index(stage) >= RANK.index("spaced")):
                moved = True
            if stage == "on_time":
                agreed, appointment = agreed if appointment else None, None
            owed = False
            if any(part["disposition"] == "connected" for part in data["parts"]):
                kind = "Contact"
            else:
                tries.append({"at": at, "stage": stage, "parts": data["parts"]})
                if appointment is not None and appointment <= at and stage != "extra":
                    appointment = None
        if kind in ("ReplyReceived", "PauseRequested", "OptedBackIn", "Contact"):
            tries, away, moved = [], [], False
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
            appointment, agreed = data["at"], at
        elif kind == "ContactPointFailed":
            bad.add((data["channel"], data["address"]))
        elif kind == "OptOutRequested":
            gone |= {data["channel"]} if data.get("channel") else {p[0] for p in points}
            if gone >= {p[0] for p in points}:
                state, appointment, owed = "opted out", None, False
        elif kind == "FollowUpEnded":
            if state == "open":
                rule = end_rule(person, points, gone, bad, tries, away, at, data["reason"])
                found += [(version, rule)] if rule else []
            bought = bought or data["reason"] in ("bought", "declined")  # won or lost: for good
            if state != "opted out":
                state = "done" if bought else "closed"
            appointment, owed = None, False
    return found


def delivered(tries: list[dict[str, Any]], bad: set[tuple[str, str]]) -> Any:
    """The last polite exit that arrived, if no other outreach came after it."""
    for one in reversed(tries):
        if one["stage"] not in ("polite_exit", "extra"):
            return None
        channels = [
            part["channel"]
            for part in one["parts"]
            if part["disposition"] in ("sent", "voicemail_left")
            and (part["channel"], part["address"]) not in bad
        ]
        if one["stage"] == "polite_exit" and channels:
            return one, channels
    return None


def attempt_rules(
    person: dict[str, Any],
    points: list[tuple[str, str]],
    gone: set[str],
    bad: set[tuple[str, str]],
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
    if any((part["channel"], part["address"]) in bad for part in parts):
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
    suspended = any(start <= at < end for start, end, _ in away if agreed is None or start > agreed)
    if suspended:
        rules.append("suspended")
    elif tries and stage != "on_time":
        starts = [i for i, one in enumerate(tries) if one["stage"] == "on_time"] or [0]
        since = tries[starts[-1] :]
        gaps = [
            naive_gap(person, one["at"], two["at"], [a for a in away if a[0] <= two["at"]])
            for one, two in itertools.pairwise(since)
        ]
        if gaps and naive_gap(person, tries[-1]["at"], at, away) < max(gaps):
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
    bad: set[tuple[str, str]],
    tries: list[dict[str, Any]],
    away: list[Any],
    at: datetime,
    reason: str,
) -> str | None:
    if reason == "unreachable":
        other = [i for i, one in enumerate(tries) if one["stage"] not in ("polite_exit", "extra")]
        tried = [
            (part["channel"], part["address"])
            for one in tries[other[-1] + 1 if other else 0 :]
            if one["stage"] == "polite_exit"
            for part in one["parts"]
        ]
        left = [p for p in points if p[0] not in gone and p not in bad and p not in tried]
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


# Something like an event log ----------------------------------------------------------------------


def log_like(seed: int, prospects: int) -> list[bytes]:
    """JSONL of people who were called and written to by hand, without any plan."""
    chance = random.Random(seed)
    lines = []
    for number in range(prospects):
        now = datetime.fromisoformat("2026-09-01T13:00:00+00:00")
        now += timedelta(days=chance.randrange(60), minutes=chance.randrange(600))
        zone, country = chance.choice([("Europe/Amsterdam", "NL"), ("America/New_York", "US")])
        points = [("call", "+1"), ("email", "a@x"), ("mail", "Street 1")]
        rows: list[tuple[datetime, str, dict[str, Any]]] = [
            (
                now,
                "ProspectAdded",
                {
                    "name": "N",
                    "timezone": zone,
                    "country": country,
                    "contact_points": [{"channel": c, "address": a} for c, a in points],
                },
            )
        ]
        for _ in range(chance.randrange(2, 22)):
            now += chance.choice(
                [timedelta(minutes=10), timedelta(hours=4), timedelta(days=1), timedelta(days=3)]
            ) * chance.randrange(1, 4)
            rows.append((now, *something(chance, now, points)))
        for at, kind, data in rows:
            line = {
                "prospect": f"case-{number}",
                "type": kind,
                "occurred_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "data": data,
            }
            lines.append(msgspec.json.encode(line))
    return lines


def something(
    chance: random.Random, now: datetime, points: list[tuple[str, str]]
) -> tuple[str, dict[str, Any]]:
    dice = chance.random()
    later = f"{now + timedelta(days=chance.randrange(1, 9)):%Y-%m-%dT%H:%M:%SZ}"
    if dice < 0.75:
        channel, address = chance.choice([points[0], *points])
        went = "no_answer" if channel == "call" else "sent"
        disposition = chance.choice([went] * 12 + ["connected", "bounced", "voicemail_left"])
        data: dict[str, Any] = {
            "parts": [{"channel": channel, "disposition": disposition, "address": address}]
        }
        if chance.random() < 0.5:
            data["stage"] = chance.choice(["spaced"] * 6 + RANK)
        return "AttemptMade", data
    return chance.choice(
        [
            ("ReplyReceived", {"channel": "email", "intent": chance.choice(["no", "yes"])}),
            ("AutoReplyReceived", {"channel": "email", "until": later}),
            ("PauseRequested", {"until": later}),
            ("AppointmentSet", {"at": later}),
            ("OptOutRequested", {"channel": "mail"}),
            ("OptOutRequested", {}),
            ("OptedBackIn", {}),
            ("FollowUpEnded", {"reason": chance.choice(["no_response", "unreachable", "bought"])}),
        ]
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_count_agrees_with_a_naive_one_on_something_like_a_log(seed: int) -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(seed, 400))
        counts = check_counts(store.histories())
    assert set(counts) == COUNTED, "the log has something to count for every rule"
    assert min(counts.values()) >= 1


def test_what_the_engine_recorded_as_a_breach_the_audit_finds(tmp_path: object) -> None:
    with Cadence.open(None) as store:
        import_jsonl(store, log_like(99, 60))
        auditor = Auditor(builtin())
        for history in store.histories():
            versions = {one.version for one in auditor.audit(history)}
            for event in history:
                if isinstance(event.data, AttemptMade) and event.data.broke:
                    assert event.version in versions, encode_line(event)


def test_every_count_agrees_with_a_naive_one_on_the_bpi_log(tmp_path: Path) -> None:
    """The whole log: 5,006 cases in which a Dutch lender called (see docs/import.md)."""
    if not BPI.exists():
        pytest.skip(f"the BPI log is not here ({BPI}); it is DOI 10.4121/uuid:{DOI}")
    with Cadence.open(str(tmp_path / "bpi.db")) as store:
        with open_input(str(BPI)) as file:
            import_all(store, choose_source(file, mapping_for("bpic2012")))
        counts = check_counts(store.histories())
    assert set(counts) == {"gap", "spaced_cap", "quiet_hours"}
