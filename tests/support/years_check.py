"""Count in an export what must never happen, by code that shares nothing with cadence.

Written from sections 4 to 7 of the design. It reads three files: the histories as JSONL, what
suppression lists and owners say of addresses, and what was decided for everyone at the end. Each
attempt of a worker is held against everything that was recorded by then, one history after the
other, from its first event. Slow and plain, on purpose.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Findings", "check"]

CHANNELS = ("call", "email", "sms", "mail", "video_email")
EXACT = ("on_time", "ten_minutes")
RESPONSES = ("ReplyReceived", "PauseRequested", "OptedBackIn", "ReferralGiven")
SOFT = ("mailbox_full", "temporary")
LIMITS = ((timedelta(hours=24), 3), (timedelta(days=7), 5), (timedelta(days=30), 12))
SPACED_CALLS = 6
REASONS_TO_ASK = ("declined", "bought", "deceased")
Json = dict[str, Any]


class Findings(NamedTuple):
    """What was found: prospect, version and words of each.

    Attributes:
        attempts: how many attempts of workers were judged.
        opted_out: attempts at an address, or on a channel, after a holder's opt-out.
        failed: attempts at an address after a wrong number or a bounce.
        listed: attempts at an address on a suppression list.
        capped: spaced calls beyond six.
        frequent: parts beyond what a day, a week and a month allow.
        held: prospects that are held though no word about them stands.
        crossed: what was said in the minutes in which the attempt was made; told, and no fault.
        stopped: how many prospects a word stopped at the end.
    """

    attempts: int
    opted_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    capped: tuple[str, ...] = ()
    frequent: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    crossed: int = 0
    stopped: int = 0

    @property
    def is_bad(self) -> bool:
        """Whether something was found."""
        return any(one for one in self if isinstance(one, tuple))

    def text(self) -> str:
        """Say it, a line for each kind, and what was found of it."""
        lines = []
        for name, value in self._asdict().items():
            lines.append(f"{name:32}{value if isinstance(value, int) else len(value):>9,}")
            lines += [f"  {one}" for one in (value if isinstance(value, tuple) else ())[:9]]
        return "\n".join(lines)


def check(folder: Path, name: str, crossing: timedelta) -> Findings:
    """Read the files of ``folder``, and count.

    Args:
        folder: where they are.
        name: what their names begin with.
        crossing: a word so shortly before an attempt may have been said after its claim.
    """
    histories: dict[str, list[Json]] = defaultdict(list)
    with (folder / f"{name}-histories.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event["type"] != "Policy":
                for field in ("occurred_at", "recorded_at"):
                    event[field] = instant(event[field])
                histories[event["prospect"]].append(event)
    entries = json.loads((folder / f"{name}-entries.json").read_text(encoding="utf-8"))
    decisions = json.loads((folder / f"{name}-decisions.json").read_text(encoding="utf-8"))
    return Check(histories, entries, crossing).run(decisions)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def covers(key: str, other: str) -> bool:
    """A bare number covers its extensions."""
    return key == other or other.startswith(f"{key};ext=")


def bare(key: str) -> str:
    return key.split(";ext=")[0]


def folded(name: str) -> str:
    return " ".join(name.casefold().split())


# What stood at a time -----------------------------------------------------------------------------


def standing(events: list[Json]) -> Iterator[Json]:
    """The events that count: without those retracted, with those corrected as they were."""
    retracted: set[int] = set()
    corrected: dict[int, Json] = {}
    for event in reversed(events):
        if event["version"] in retracted:
            continue
        target = event["data"].get("version", 0)
        if event["type"] == "EventRetracted":
            retracted.add(target)
        elif event["type"] == "EventCorrected":
            corrected.setdefault(target, event["data"])
    for event in events:
        if event["version"] in retracted or event["type"].startswith("EventRe"):
            continue
        new = corrected.get(event["version"])
        if new is not None:
            data = {**event["data"], **new["data"]}
            occurred = new.get("occurred_at")
            event = {**event, "data": data}
            if occurred:
                event["occurred_at"] = instant(occurred)
        if event["type"] != "EventCorrected":
            yield event


class Known(NamedTuple):
    """What was known of one prospect at a time."""

    name: str
    points: dict[tuple[str, str], None]
    ever: set[str]
    closed: dict[str, list[tuple[int, datetime]]]
    said_from: set[str]
    lifted: list[tuple[str | None, str, int]]
    failed: dict[str, list[tuple[datetime, bool]]]
    own_failed: set[str]
    restored: dict[str, datetime]
    response: tuple[datetime, int]
    attempts: list[Json]
    asks: bool
    not_same: set[str]


def known(events: list[Json], at: datetime) -> Known:
    """Read a history as it was recorded before ``at``."""
    told = [event for event in events if event["recorded_at"] < at]
    points: dict[tuple[str, str], None] = {}
    ever: set[str] = set()
    closed: dict[str, list[tuple[int, datetime]]] = {}
    said_from: set[str] = set()
    lifted: list[tuple[str | None, str, int]] = []
    failed: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    own_failed: set[str] = set()
    restored: dict[str, datetime] = {}
    not_same: set[str] = set()
    attempts: list[Json] = []
    name, asks = "", False
    response = (datetime.min.replace(tzinfo=at.tzinfo), 0)
    newest_word = response[0]

    def fails(key: str | None, event: Json, is_strangers: bool) -> None:
        if key:
            failed[key].append((event["recorded_at"], is_strangers))
            own_failed.add(key)

    for event in standing(told):
        data, kind = event["data"], event["type"]
        when, version = event["recorded_at"], event["version"]
        if kind == "ProspectAdded":
            for point in data.get("contact_points", ()):
                points[point["channel"], point["key"]] = None
                ever.add(point["key"])
        if kind in ("ProspectAdded", "ProspectUpdated"):
            name = data.get("name", name)
        elif kind == "ContactPointAdded":
            points[data["channel"], data["key"]] = None
            ever.add(data["key"])
        elif kind == "ContactPointRemoved":
            points = {one: None for one in points if one[1] != data["key"]}
        elif kind == "ContactPointFailed" and data.get("reason") not in SOFT:
            fails(data["key"], event, data.get("reason") == "wrong_number")
        elif kind == "ContactPointRestored":
            restored[data["key"]] = when
            own_failed = {one for one in own_failed if not covers(one, data["key"])}
            for one in [one for one in failed if covers(one, data["key"])]:
                del failed[one]
        elif kind == "OptOutRequested":
            newest_word = max(newest_word, event["occurred_at"])
            chosen = data.get("channel")
            named = [chosen] if chosen else set(CHANNELS) - set(data.get("except_channels", ()))
            for channel in named:
                closed.setdefault(channel, []).append((version, when))
            if data.get("key"):
                said_from.add(data["key"])
        elif kind == "OptedBackIn":
            lifted += [
                (data.get("channel"), one["prospect"], one["version"])
                for one in data.get("lifts", ())
            ]
            # One that was said before the opt-out takes nothing back.
            if event["occurred_at"] >= newest_word:
                for channel in [data["channel"]] if data.get("channel") else CHANNELS:
                    closed.pop(channel, None)
                if not data.get("channel"):
                    said_from = set()
        elif kind == "SamePersonDenied":
            not_same.add(data["prospect"])
        elif kind == "FollowUpEnded":
            asks = asks or data["reason"] in REASONS_TO_ASK
        is_connected = False
        if kind == "AttemptMade":
            attempts.append(event)
            asks = asks or data.get("stage") == "polite_exit"
            for part in data["parts"]:
                is_connected = is_connected or part["disposition"] == "connected"
                if part["disposition"] in ("wrong_number", "bounced"):
                    fails(part.get("key"), event, part["disposition"] == "wrong_number")
                asks = asks or part.get("intent") == "no"
        asks = asks or data.get("intent") == "no"
        if (kind in RESPONSES or is_connected) and event["occurred_at"] >= response[0]:
            response = (event["occurred_at"], version)
    return Known(
        folded(name),
        points,
        ever,
        closed,
        said_from,
        lifted,
        failed,
        own_failed,
        restored,
        response,
        attempts,
        asks,
        not_same,
    )


# The check ----------------------------------------------------------------------------------------


class Check:
    """Holds every attempt of a worker against what everyone had said by then."""

    def __init__(
        self, histories: dict[str, list[Json]], entries: list[Json], crossing: timedelta
    ) -> None:
        self.histories = histories
        self.crossing = crossing
        self.entries: dict[str, list[Json]] = defaultdict(list)
        for entry in entries:
            self.entries[bare(entry["key"])].append(entry)
        # Who ever named an address, in whatever way, also if that was taken back.
        self.named: dict[str, set[str]] = defaultdict(set)
        for prospect, events in histories.items():
            for key in keys_in(events):
                self.named[bare(key)].add(prospect)
        self.found: dict[str, list[str]] = defaultdict(list)
        self.crossed = 0

    def run(self, decisions: list[Json]) -> Findings:
        judged = 0
        for prospect, events in self.histories.items():
            for event in standing(events):
                if event["type"] == "AttemptMade" and event.get("by", "").startswith("worker"):
                    judged += 1
                    self.judge(prospect, event)
        stopped = sum([self.judge_end(decision) for decision in decisions])
        return Findings(
            judged,
            **{kind: tuple(texts) for kind, texts in self.found.items()},
            crossed=self.crossed,
            stopped=stopped,
        )

    def judge(self, prospect: str, event: Json) -> None:
        """Judge one attempt by what was known when it was made; count a word that crossed it."""
        at = event["occurred_at"]
        for kind, text in self.faults(prospect, event, at):
            if (kind, text) in list(self.faults(prospect, event, at - self.crossing)):
                self.found[kind].append(f"{prospect} {event['version']} {at:%m-%d %H:%M}: {text}")
            else:
                self.crossed += 1

    def faults(self, prospect: str, event: Json, at: datetime) -> Iterator[tuple[str, str]]:
        own = known(self.histories[prospect], at)
        keys = {part["key"] for part in event["data"]["parts"] if part.get("key")}
        others = self.others(prospect, keys | {key for _, key in own.points}, at)
        for part in event["data"]["parts"]:
            channel, key = part["channel"], part.get("key") or ""
            if channel in own.closed:
                yield "opted_out", f"{channel}: opted out themselves"
            for name, other in others.items():
                if self.word(own, name, other, channel, key, at):
                    yield "opted_out", f"{channel} {key}: {name} opted out"
                if self.has_failed(own, other, list(others.values()), key):
                    yield "failed", f"{channel} {key}: failed for {name}"
            if any(covers(one, key) for one in own.own_failed):
                yield "failed", f"{channel} {key}: failed for them"
            for entry in self.standing_entries(key, "suppressed", at):
                if entry.get("channel") in (None, channel):
                    yield "listed", f"{channel} {key}: {entry.get('source')}"
        yield from self.counted(event, own, others, at)

    def others(self, prospect: str, keys: set[str], at: datetime) -> dict[str, Known]:
        names = {one for key in keys for one in self.named.get(bare(key), ())} - {prospect}
        return {name: known(self.histories[name], at) for name in sorted(names)}

    def standing_entries(self, key: str, kind: str, at: datetime) -> list[Json]:
        return [
            entry
            for entry in self.entries.get(bare(key), ())
            if entry["kind"] == kind
            and covers(entry["key"], key)
            and instant(entry["at"]) < at
            and (entry.get("ended_at") is None or instant(entry["ended_at"]) >= at)
        ]

    def word(
        self, own: Known, name: str, other: Known, channel: str, key: str, at: datetime
    ) -> bool:
        """Whether the word of another holder of ``key`` closes a channel there."""
        theirs = [one for one in other.ever | other.said_from if covers(one, key)]
        if not theirs:
            return False
        lines = self.standing_entries(key, "line", at)
        since = min((instant(line["at"]) for line in lines), default=None)
        is_from = any(one in other.said_from for one in theirs)
        for version, when in other.closed.get(channel, ()):
            is_lifted = any(
                who == name and version <= until and on in (None, channel)
                for on, who, until in own.lifted
            )
            is_theirs_alone = since is not None and when > since and not is_from
            if not is_lifted and not is_theirs_alone:
                return True
        return False

    def has_failed(self, own: Known, other: Known, others: list[Known], key: str) -> bool:
        """Whether an address failed for another holder, and no holder restored it since.

        A wrong number is restored by holders of the same name alone.
        """
        for failed, times in other.failed.items():
            if not covers(failed, key):
                continue
            for when, is_strangers in times:
                if is_strangers and own.name != other.name:
                    continue
                again = [
                    at
                    for one in (own, *others)
                    if not is_strangers or one.name == own.name
                    for restored, at in one.restored.items()
                    if covers(failed, restored)
                ]
                if all(at < when for at in again):
                    return True
        return False

    def counted(
        self, event: Json, own: Known, others: dict[str, Known], at: datetime
    ) -> Iterator[tuple[str, str]]:
        start, response = own.response
        silence = [one for one in own.attempts if one["occurred_at"] >= start]
        silence = [one for one in silence if one["version"] != response]
        made = event["occurred_at"]
        before = [one for one in silence if one["version"] < event["version"]]
        calls = [one for one in (*before, event) if is_spaced_call(one)]
        if is_spaced_call(event) and len(calls) > SPACED_CALLS:
            yield "capped", f"more than {SPACED_CALLS} spaced calls"
        if event["data"].get("stage") in EXACT:
            return
        times = [
            one["occurred_at"]
            for one in before
            if one["version"] > response
            for _ in one["data"]["parts"]
        ]
        for other in others.values():
            for one in other.attempts:
                for part in one["data"]["parts"]:
                    key = part.get("key") or ""
                    is_theirs = any(key == mine for _, mine in own.points)
                    if is_theirs and not self.standing_entries(key, "line", at):
                        times.append(one["occurred_at"])
        parts = len(event["data"]["parts"])
        for span, most in LIMITS:
            count = parts + sum(made - span < one <= made for one in times)
            if count > most:
                yield "frequent", f"more than {most} parts in {span.days} days"

    # At the end -----------------------------------------------------------------------------------

    def judge_end(self, decision: Json) -> bool:
        """Look whether someone who is held is held by a word; return whether they are held."""
        rules = [reason["rule"] for reason in decision["reasons"]]
        if decision["touch"] is not None or not {"suppressed", "opt_out"} & set(rules[:1]):
            return False
        prospect = decision["prospect"]
        end = max(event["recorded_at"] for one in self.histories.values() for event in one)
        at = end + timedelta(seconds=1)
        own = known(self.histories[prospect], at)
        if rules[0] == "opt_out":
            is_held = bool(own.closed)
        else:
            is_held = self.is_held(prospect, own, at)
        if not is_held:
            self.found["held"].append(f"{prospect}: {decision['reasons'][0]['because']}")
        return True

    def is_held(self, prospect: str, own: Known, at: datetime) -> bool:
        keys = {key for _, key in own.points}
        if any(self.standing_entries(key, "suppressed", at) for key in keys):
            return True
        for name, other in self.others(prospect, own.ever, at).items():
            if any(
                self.word(own, name, other, channel, key, at)
                for channel, key in [(c, k) for k in keys | own.ever for c in CHANNELS]
            ):
                return True
            denied = name in own.not_same or prospect in other.not_same
            if other.asks and not denied:
                return True
        return False


def keys_in(events: list[Json]) -> set[str]:
    found: set[str] = set()
    for event in events:
        data = event["data"].get("data", event["data"])
        found |= {one["key"] for one in data.get("contact_points", ()) if one.get("key")}
        found |= {one["key"] for one in data.get("parts", ()) if one.get("key")}
        if data.get("key"):
            found.add(data["key"])
    return found


def is_spaced_call(event: Json) -> bool:
    data = event["data"]
    if data.get("stage") not in ("spaced", "extra"):
        return False
    return any(part.get("spoken", part["channel"] == "call") for part in data["parts"])
