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


EventId = tuple[str, int]
"""An event: its prospect and version."""


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
        merged: attempts at a record for which another goes on.
        lost: what came for a merged record, and was not given back when the merge ended.
        crossed: what was said in the minutes in which the attempt was made; told, and no fault.
        stopped: how many prospects a word stopped at the end.
        told: the attempts of which something was found, also what crossed them.
    """

    attempts: int
    opted_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    capped: tuple[str, ...] = ()
    frequent: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    crossed: int = 0
    stopped: int = 0
    told: frozenset[EventId] = frozenset()

    @property
    def is_bad(self) -> bool:
        """Whether something was found."""
        return any(one for one in self if isinstance(one, tuple))

    def text(self) -> str:
        """Say it, a line for each kind, and what was found of it."""
        lines = []
        for name, value in self._asdict().items():
            if name == "told":
                continue
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
            if event["type"] not in (
                "Policy",
                "AddressEntry",
            ):  # the lists are in a file of their own
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


def standing(events: list[Json], *, is_taking_back: bool = False) -> Iterator[Json]:
    """The events that count: without those retracted, with those corrected as they were.

    Args:
        events: of one history.
        is_taking_back: with those that take another back.
    """
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
        if event["version"] in retracted:
            continue
        if event["type"] == "EventRetracted":
            if is_taking_back:
                yield event
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


class OptOut(NamedTuple):
    """An opt-out of one channel.

    Attributes:
        events: by which it is named: its own, and the merges that took it over.
        at: when it was recorded.
    """

    events: tuple[EventId, ...]
    at: datetime


class Known:
    """What was known of one person at a time: of a record, and of those merged into it.

    Attributes:
        ids: the record, and those that were merged into it.
        names: what they are called, as compared.
        points: the addresses that are theirs, by channel and key.
        ever: the keys of those that ever were.
        closed: the opt-outs of each channel.
        said_from: the addresses from which they opted out.
        lifted: the opt-outs of others that they took back for themselves: channel, record, version.
        failed: when an address failed, and whether it was a stranger's.
        restored: when an address was said to work.
        response: when they last said something, and in which event.
        attempts: in the order in which they came.
        joined: those that were there when the last merge was made, in the silence of that time.
        asks: whether something was settled with them that others may be asked about.
        not_same: records that are someone else.
    """

    def __init__(self, prospect: str, begin: datetime) -> None:
        self.ids = {prospect}
        self.names: set[str] = set()
        self.points: dict[tuple[str, str], None] = {}
        self.ever: set[str] = set()
        self.closed: dict[str, list[OptOut]] = {}
        self.said_from: set[str] = set()
        self.lifted: list[tuple[str | None, str, int]] = []
        self.failed: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
        self.restored: dict[str, datetime] = {}
        self.response: tuple[datetime, EventId] = (begin, (prospect, 0))
        self.attempts: list[Json] = []
        self.joined: set[EventId] = set()
        self.asks = False
        self.not_same: set[str] = set()
        self._newest_word = begin

    def tell(self, event: Json) -> None:
        """Learn of an event of the record itself."""
        data, kind = event["data"], event["type"]
        if kind == "ProspectAdded":
            for point in data.get("contact_points", ()):
                self.points[point["channel"], point["key"]] = None
                self.ever.add(point["key"])
        if kind in ("ProspectAdded", "ProspectUpdated") and data.get("name"):
            self.names = {folded(data["name"])}
        elif kind == "ContactPointAdded":
            self.points[data["channel"], data["key"]] = None
            self.ever.add(data["key"])
        elif kind == "ContactPointRemoved":
            self.points = {one: None for one in self.points if one[1] != data["key"]}
        elif kind == "ContactPointFailed" and data.get("reason") not in SOFT:
            self._fails(data["key"], event, data.get("reason") == "wrong_number")
        elif kind == "ContactPointRestored":
            self.restored[data["key"]] = event["recorded_at"]
            for one in [one for one in self.failed if covers(one, data["key"])]:
                del self.failed[one]
        elif kind == "OptOutRequested":
            self._opts_out(event)
        elif kind == "OptedBackIn":
            self._opts_in(event)
        elif kind == "SamePersonDenied":
            self.not_same.add(data["prospect"])
        elif kind == "FollowUpEnded":
            self.asks = self.asks or data["reason"] in REASONS_TO_ASK
        is_connected = kind == "AttemptMade" and self._is_tried(event)
        self.asks = self.asks or data.get("intent") == "no"
        if (kind in RESPONSES or is_connected) and event["occurred_at"] >= self.response[0]:
            self.response = (event["occurred_at"], (event["prospect"], event["version"]))
            self.joined = set()

    def _fails(self, key: str | None, event: Json, is_strangers: bool) -> None:
        if key:
            self.failed[key].append((event["recorded_at"], is_strangers))

    def _opts_out(self, event: Json) -> None:
        data = event["data"]
        self._newest_word = max(self._newest_word, event["occurred_at"])
        chosen = data.get("channel")
        named = [chosen] if chosen else set(CHANNELS) - set(data.get("except_channels", ()))
        word = OptOut(((event["prospect"], event["version"]),), event["recorded_at"])
        for channel in named:
            self.closed.setdefault(channel, []).append(word)
        if data.get("key"):
            self.said_from.add(data["key"])

    def _opts_in(self, event: Json) -> None:
        data = event["data"]
        self.lifted += [
            (data.get("channel"), one["prospect"], one["version"]) for one in data.get("lifts", ())
        ]
        # One that was said before the opt-out takes nothing back.
        if event["occurred_at"] >= self._newest_word:
            for channel in [data["channel"]] if data.get("channel") else CHANNELS:
                self.closed.pop(channel, None)
            if not data.get("channel"):
                self.said_from = set()

    def _is_tried(self, event: Json) -> bool:
        """Learn of an attempt; return whether it reached them."""
        data = event["data"]
        self.attempts.append(event)
        self.asks = self.asks or data.get("stage") == "polite_exit"
        for part in data["parts"]:
            if part["disposition"] in ("wrong_number", "bounced"):
                self._fails(part.get("key"), event, part["disposition"] == "wrong_number")
            self.asks = self.asks or part.get("intent") == "no"
        return any(part["disposition"] == "connected" for part in data["parts"])

    def join(self, other: Known, merge: EventId) -> None:
        """Learn that another record is the same person: what both know holds from now on."""
        self.ids |= other.ids
        self.names |= other.names
        self.points |= other.points
        self.ever |= other.ever
        for channel, words in other.closed.items():
            taken = [OptOut((*word.events, merge), word.at) for word in words]
            self.closed.setdefault(channel, []).extend(taken)
        self.said_from |= other.said_from
        self.lifted += other.lifted
        own, theirs = self._left(other.restored), other._left(self.restored)
        self.failed = defaultdict(list, own)
        for key, times in theirs.items():
            self.failed[key] = [*self.failed[key], *times]
        for key, at in other.restored.items():
            self.restored[key] = max(at, self.restored.get(key, at))
        self.response = max(self.response, other.response, key=lambda one: one[0])
        self.attempts += other.attempts
        self.joined = {(one["prospect"], one["version"]) for one in self.attempts}
        self.asks = self.asks or other.asks
        self.not_same |= other.not_same
        self._newest_word = max(self._newest_word, other._newest_word)

    def _left(self, restored: dict[str, datetime]) -> dict[str, list[tuple[datetime, bool]]]:
        """What failed, without what the other record has said since to work."""
        left = {}
        for key, times in self.failed.items():
            again = [at for one, at in restored.items() if covers(key, one)]
            kept = [one for one in times if all(at < one[0] for at in again)]
            if kept:
                left[key] = kept
        return left


class People:
    """Every record, and who it was at a time.

    A merge stands on the survivor's history, and what it takes over is read here from the history
    of the other record itself, never from what the merge says of it.
    """

    def __init__(self, histories: dict[str, list[Json]]) -> None:
        self.histories = histories
        self.ever_merged = {
            one["prospect"]
            for events in histories.values()
            for one in events
            if one["type"] == "FollowUpEnded" and one["data"]["reason"] == "merged"
        }

    def told(self, prospect: str, at: datetime) -> list[Json]:
        """What was recorded of a record before ``at``."""
        return [event for event in self.histories[prospect] if event["recorded_at"] < at]

    def known(self, prospect: str, at: datetime) -> Known:
        """Read a record as it was recorded before ``at``, with those merged into it by then."""
        known = Known(prospect, datetime.min.replace(tzinfo=at.tzinfo))
        for event in standing(self.told(prospect, at)):
            if event["type"] == "ProspectsMerged":
                other = self.known(event["data"]["prospect"], at)
                known.join(other, (prospect, event["version"]))
            else:
                known.tell(event)
        return known

    def root(self, prospect: str, at: datetime) -> str:
        """The record that went on for this one at a time; mostly itself."""
        if prospect not in self.ever_merged:
            return prospect
        for event in standing(self.told(prospect, at)):
            if event["type"] == "FollowUpEnded" and event["data"]["reason"] == "merged":
                return self.root(event["data"]["into"], at)
        return prospect


# The check ----------------------------------------------------------------------------------------


class Check:
    """Holds every attempt of a worker against what everyone had said by then."""

    def __init__(
        self, histories: dict[str, list[Json]], entries: list[Json], crossing: timedelta
    ) -> None:
        self.histories = histories
        self.people = People(histories)
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
        self.told: set[EventId] = set()

    def run(self, decisions: list[Json]) -> Findings:
        judged = 0
        for prospect, events in self.histories.items():
            for event in standing(events):
                if event["type"] == "AttemptMade" and event.get("by", "").startswith("worker"):
                    judged += 1
                    self.judge(prospect, event)
        for prospect, events in self.histories.items():
            self.judge_unmerges(prospect, events)
        stopped = sum([self.judge_end(decision) for decision in decisions])
        return Findings(
            judged,
            **{kind: tuple(texts) for kind, texts in self.found.items()},
            crossed=self.crossed,
            stopped=stopped,
            told=frozenset(self.told),
        )

    def judge(self, prospect: str, event: Json) -> None:
        """Judge one attempt by what was known when it was made; count a word that crossed it."""
        at = event["occurred_at"]
        for kind, text in self.faults(prospect, event, at):
            self.told.add((prospect, event["version"]))
            if (kind, text) in list(self.faults(prospect, event, at - self.crossing)):
                self.found[kind].append(f"{prospect} {event['version']} {at:%m-%d %H:%M}: {text}")
            else:
                self.crossed += 1

    def faults(self, prospect: str, event: Json, at: datetime) -> Iterator[tuple[str, str]]:
        own = self.people.known(prospect, at)
        into = self.people.root(prospect, at)
        if into != prospect:
            yield "merged", f"{into} goes on for it"
        keys = {part["key"] for part in event["data"]["parts"] if part.get("key")}
        others = self.others(into, keys | {key for _, key in own.points}, at)
        for part in event["data"]["parts"]:
            channel, key = part["channel"], part.get("key") or ""
            if channel in own.closed:
                yield "opted_out", f"{channel}: opted out themselves"
            for name, other in others.items():
                if self.word(own, other, channel, key, at):
                    yield "opted_out", f"{channel} {key}: {name} opted out"
                if self.has_failed(own, other, list(others.values()), key):
                    yield "failed", f"{channel} {key}: failed for {name}"
            if any(covers(one, key) for one in own.failed):
                yield "failed", f"{channel} {key}: failed for them"
            for entry in self.standing_entries(key, "suppressed", at):
                if entry.get("channel") in (None, channel):
                    yield "listed", f"{channel} {key}: {entry.get('source')}"
        yield from self.counted(event, own, others, at)

    def others(self, prospect: str, keys: set[str], at: datetime) -> dict[str, Known]:
        """Everyone else who ever named one of ``keys``, each person once."""
        named = {one for key in keys for one in self.named.get(bare(key), ())}
        names = {self.people.root(one, at) for one in named} - {prospect}
        return {name: self.people.known(name, at) for name in sorted(names)}

    def standing_entries(self, key: str, kind: str, at: datetime) -> list[Json]:
        return [
            entry
            for entry in self.entries.get(bare(key), ())
            if entry["kind"] == kind
            and covers(entry["key"], key)
            and instant(entry["at"]) < at
            and (entry.get("ended_at") is None or instant(entry["ended_at"]) >= at)
        ]

    def word(self, own: Known, other: Known, channel: str, key: str, at: datetime) -> bool:
        """Whether the word of another holder of ``key`` closes a channel there."""
        theirs = [one for one in other.ever | other.said_from if covers(one, key)]
        if not theirs:
            return False
        lines = self.standing_entries(key, "line", at)
        since = min((instant(line["at"]) for line in lines), default=None)
        is_from = any(one in other.said_from for one in theirs)
        for word in other.closed.get(channel, ()):
            is_lifted = any(
                who == name and version <= until and on in (None, channel)
                for on, who, until in own.lifted
                for name, version in word.events
            )
            is_theirs_alone = since is not None and word.at > since and not is_from
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
                if is_strangers and not own.names & other.names:
                    continue
                again = [
                    at
                    for one in (own, *others)
                    if not is_strangers or one.names & own.names
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
        silence = [one for one in silence if (one["prospect"], one["version"]) != response]
        made = event["occurred_at"]
        calls = [one for one in (*silence, event) if is_spaced_call(one)]
        if is_spaced_call(event) and len(calls) > SPACED_CALLS:
            yield "capped", f"more than {SPACED_CALLS} spaced calls"
        if event["data"].get("stage") in EXACT:
            return
        times = [
            one["occurred_at"]
            for one in silence
            if self.is_known(one, own)
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

    def is_known(self, attempt: Json, own: Known) -> bool:
        """Whether an attempt was made in the knowledge of the last response, or joined to it."""
        by, version = own.response[1]
        made = (attempt["prospect"], attempt["version"])
        return made in own.joined or by != attempt["prospect"] or attempt["version"] > version

    def judge_unmerges(self, prospect: str, events: list[Json]) -> None:
        """Look whether what came for a merged record went back to it when the merge ended."""
        for end in standing(events, is_taking_back=True):
            merge = next(
                (one for one in events if one["version"] == end["data"].get("version")), {}
            )
            if end["type"] != "EventRetracted" or merge.get("type") != "ProspectsMerged":
                continue
            other = merge["data"]["prospect"]
            before = [one for one in events if one["version"] < end["version"]]
            back = {(one["type"], one["occurred_at"]) for one in self.histories[other]}
            for one in standing(before):
                came_for = (one.get("meta") or {}).get("merged_from")
                is_theirs = came_for == other and one["version"] > merge["version"]
                if is_theirs and (one["type"], one["occurred_at"]) not in back:
                    text = f"{one['type']} {one['version']} of {prospect} came for it"
                    self.found["lost"].append(f"{other}: {text}, and was not given back")

    # At the end -----------------------------------------------------------------------------------

    def judge_end(self, decision: Json) -> bool:
        """Look whether someone who is held is held by a word; return whether they are held."""
        rules = [reason["rule"] for reason in decision["reasons"]]
        if decision["touch"] is not None or not {"suppressed", "opt_out"} & set(rules[:1]):
            return False
        prospect = decision["prospect"]
        end = max(event["recorded_at"] for one in self.histories.values() for event in one)
        at = end + timedelta(seconds=1)
        own = self.people.known(prospect, at)
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
        for other in self.others(prospect, own.ever, at).values():
            if any(
                self.word(own, other, channel, key, at)
                for channel, key in [(c, k) for k in keys | own.ever for c in CHANNELS]
            ):
                return True
            denied = other.ids & own.not_same or own.ids & other.not_same
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
