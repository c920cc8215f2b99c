"""Simulate a year of a hundred reps, and count what must never happen in it.

    python tests/support/years.py [--people N] [--seed N] [--memory | --postgres] [--keep FOLDER]

Eight workers share one database, each in a process of its own. Two try to claim each touch that is
due, and the one that has it logs the outcome; some crash, and the lease of their claim runs out.
Meanwhile people reply, opt out, opt in again; opt-outs that were a mistake are taken back; lists
and old histories are imported. A fifth of the people are two or three records, with their addresses
typed in several spellings; records are merged, some wrongly, and merges are taken back.
``years_check.py`` then reads the export alone, and counts.

Time is simulated, and runs for all workers alike. What people say is recorded at the start of each
hour of the simulation, and touches are made ten minutes later. In between some words cross a touch
that was claimed before.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import pgserver
from years_check import Findings, check

from cadence import builtin
from cadence.audit.runner import audit
from cadence.domain import (
    AttemptMade,
    AutoReplyReceived,
    Channel,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Disposition,
    Event,
    EventRetracted,
    OptedBackIn,
    OptOutRequested,
    Part,
    PauseRequested,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
    ReplyReceived,
    SamePersonDenied,
)
from cadence.domain.channels import CALL, EMAIL, SMS
from cadence.domain.events import EndReason, FailureReason, Intent
from cadence.engine import Decision, Due, EndFollowUp, SetAppointment, Task
from cadence.engine.claims import Claim
from cadence.engine.decision import TaskKind, Verdict
from cadence.errors import CadenceError, Refused
from cadence.store import Cadence
from cadence.store.list_load import Suppression
from cadence.transfer import export_jsonl, import_jsonl

__all__ = ["Result", "Size", "simulate"]

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
WORKERS = 8
REPS = 100
POLICIES = ("tip8", "polite-persistence")
HOURS = (14, 17, 20)  # in UTC, on business days; New York opens at 14:00
CROSSING = timedelta(minutes=9)
"""How long a round of touches lasts at most: a word said in it may cross a touch."""

WINDOW = timedelta(minutes=8)
"""Touches that are due so soon after each other are made in one round."""


class Size(NamedTuple):
    """How much is simulated.

    Attributes:
        people: how many persons there are; a fifth of them are two or three records.
        days: how long.
        seed: what everything random comes from.
        minutes: it ends after so long on the machine's clock, wherever it is; ``None``: never.
    """

    people: int = 400
    days: int = 365
    seed: int = 1
    minutes: float | None = None


class Result(NamedTuple):
    """What was counted, by the check and by the simulation itself.

    Attributes:
        findings: of the check.
        audited: what the audit finds and the check does not.
        rebuilt: what a rebuild changes.
        counts: what was done, and what was refused.
        seconds: how long the simulation took.
        judging: how long the check and the audit took, in seconds.
    """

    findings: Findings
    audited: tuple[str, ...]
    rebuilt: tuple[str, ...]
    counts: Counter[str]
    seconds: float
    judging: float

    @property
    def is_bad(self) -> bool:
        """Whether something was found."""
        return self.findings.is_bad or bool(self.audited or self.rebuilt)

    def text(self) -> str:
        """Say it, a line for each kind."""
        lines = [f"{name:32}{count:>9,}" for name, count in sorted(self.counts.items())]
        lines.append(self.findings.text())
        for name, found in (("audited", self.audited), ("rebuilt", self.rebuilt)):
            lines += [f"{name:32}{len(found):>9,}", *(f"  {one}" for one in found[:9])]
        lines.append(f"{self.seconds:.0f} s, and {self.judging:.0f} s to judge it")
        return "\n".join(lines)


class Person(NamedTuple):
    """A human being, with what is theirs."""

    name: str
    phone: str
    mobile: str
    email: str
    desk: str | None


class Clock:
    """The time of all workers: it goes on by a hundredth of a second with each look at it.

    Args:
        shared: microseconds since the simulation began, in memory that all processes have.
    """

    def __init__(self, shared: Any) -> None:
        self._shared = shared

    def __call__(self) -> datetime:
        with self._shared.get_lock():
            self._shared.value += 10_000
            return self._at()

    @property
    def now(self) -> datetime:
        with self._shared.get_lock():
            return self._at()

    def go_to(self, instant: datetime) -> None:
        with self._shared.get_lock():
            passed = (instant - BEGIN) // timedelta(microseconds=1)
            self._shared.value = max(self._shared.value, passed)

    def _at(self) -> datetime:
        return BEGIN + timedelta(microseconds=self._shared.value)


class World:
    """People, their records, and what is known of both outside the store.

    Each worker has one of its own, and hears of the records of the others after each hour.
    """

    def __init__(self, size: Size, clock: Clock, worker: int = 0, workers: int = 1) -> None:
        self.random = Random(size.seed)
        self.size = size
        self.clock = clock
        self.until = BEGIN  # when the workers of this hour stop
        self.counts: Counter[str] = Counter()
        self.people = [self._person(number) for number in range(size.people)]
        self.waiting: list[tuple[str, Person]] = []
        self.records: dict[str, Person] = {}
        self.new: list[tuple[str, int]] = []  # records that the others don't know of yet
        self.soon: list[tuple[datetime, str]] = []  # when a worker looks again, after an attempt
        self.open: list[Claim] = []  # of touches that a crash left
        self.mistakes: list[tuple[str, int]] = []
        self.merged: list[str] = []  # wrongly, and not taken back yet
        self.ids = {person: number for number, person in enumerate(self.people)}
        for number, person in enumerate(self.people):
            draw = self.random.random()
            for copy in range(3 if draw < 0.05 else 2 if draw < 0.2 else 1):
                self.waiting.append((f"p{number:05}{'abc'[copy]}", person))
        self.random.shuffle(self.waiting)
        self.waiting = self.waiting[worker::workers]

    def learn(self, records: Iterable[tuple[str, int]]) -> None:
        """Hear of records that other workers added."""
        self.records.update((prospect, self.people[number]) for prospect, number in records)

    def add(self, prospect: str, person: Person) -> None:
        """Know a record, and let the others know."""
        self.records[prospect] = person
        self.new.append((prospect, self.ids[person]))

    def _person(self, number: int) -> Person:
        random = self.random
        name = f"{random.choice(FIRST)} {random.choice(LAST)}{'' if number % 3 else 'son'}"
        desk = None
        if random.random() < 0.2:  # a switchboard of some eight people, or a household of two
            desk = f"+1312555{random.randrange(max(1, self.size.people // 40)):04}"
        elif random.random() < 0.1:
            desk = f"+1415555{number // 20:04}"
        phone, mobile = f"+1212{2000000 + number}", f"+1646{2000000 + number}"
        return Person(name, phone, mobile, f"p{number}.x@example.com", desk)

    def added(self, random: Random, person: Person) -> ProspectAdded:
        """A record of a person, as one of many people typed it."""
        points = []
        if person.desk is not None and random.random() < 0.7:
            points.append(ContactPoint(CALL, spelled(random, person.desk)))
        elif random.random() < 0.85:
            points.append(ContactPoint(CALL, spelled(random, person.phone)))
        if random.random() < 0.25:
            points.append(ContactPoint(SMS, spelled(random, person.mobile)))
        if random.random() < 0.8 or not points:
            points.append(ContactPoint(EMAIL, spelled(random, person.email)))
        name = random.choice([person.name, person.name, person.name.upper(), f" {person.name}"])
        return ProspectAdded(
            name,
            "America/New_York",
            "US",
            contact_points=tuple(points),
            owner=f"rep{random.randrange(REPS):02}",
            policy=builtin(random.choice(POLICIES)).ref,
        )


FIRST = ["Ada", "Bo", "Cleo", "Dee", "Eve", "Fay", "Gus", "Hal", "Ida", "Jo"]
LAST = ["Brook", "Fox", "Lind", "Marsh", "North", "Orr", "Pike", "Quill", "Reed", "Stone"]


def spelled(random: Random, address: str) -> str:
    """An address in one of the ways in which people type it."""
    if "@" in address:
        return random.choice([address, address.upper(), address.title(), f"mailto:{address}"])
    area, first, last = address[2:5], address[5:8], address[8:]
    return random.choice(
        [
            address,
            f"+1 {area} {first} {last}",
            f"({area}) {first}-{last}",
            f"{area}.{first}.{last}",
            f"tel:+1-{area}-{first}-{last}",
        ]
    )


# What people say ----------------------------------------------------------------------------------

Word = Callable[[Cadence, World, Random], None]


def run(app: Cadence, world: World, prospect: str, data: Any, **more: Any) -> Any:
    """Record a fact or carry out a command; what is refused is counted."""
    at = world.clock()
    try:
        outcome = app.execute(prospect, data, at=at, by=more.pop("by", "desk"), **more)
    except Refused as refused:
        world.counts[f"refused: {refused.rule}"] += 1
        return None
    world.counts[type(data).__name__] += 1
    return outcome


def any_record(world: World, random: Random) -> tuple[str, Person]:
    return random.choice(list(world.records.items()))


def address_of(random: Random, person: Person) -> str:
    return random.choice([one for one in person[1:] if one is not None])


def channel_of(random: Random, address: str) -> Channel:
    return EMAIL if "@" in address else random.choice([CALL, CALL, SMS])


def opts_out(app: Cadence, world: World, random: Random) -> None:
    prospect, person = any_record(world, random)
    draw = random.random()
    data = OptOutRequested()
    if draw < 0.3:
        data = OptOutRequested(random.choice([CALL, EMAIL, SMS]))
    elif draw < 0.4:
        data = OptOutRequested(except_channels=(random.choice([CALL, EMAIL]),))
    elif draw < 0.55:
        data = OptOutRequested(address=spelled(random, address_of(random, person)))
    outcome = run(app, world, prospect, data)
    if outcome is not None and random.random() < 0.25:
        event = outcome.events[-1]  # of the record that goes on, if this one was merged
        world.mistakes.append((event.prospect, event.version))


def takes_mistake_back(app: Cadence, world: World, random: Random) -> None:
    if world.mistakes:
        prospect, version = world.mistakes.pop(random.randrange(len(world.mistakes)))
        run(app, world, prospect, EventRetracted(version, "the wrong record"))


def opts_in(app: Cadence, world: World, random: Random) -> None:
    prospect, _ = any_record(world, random)
    channel = random.choice([None, None, CALL, EMAIL])
    run(app, world, prospect, OptedBackIn(channel, why="they wrote to us"))


def replies(app: Cadence, world: World, random: Random) -> None:
    prospect, _ = any_record(world, random)
    intent = random.choice([*Intent, None, None])
    late = {}
    if random.random() < 0.3:
        late["occurred_at"] = world.clock.now - timedelta(hours=random.randrange(1, 60))
    run(app, world, prospect, ReplyReceived(random.choice([EMAIL, SMS]), intent), **late)


def says_something(app: Cadence, world: World, random: Random) -> None:
    prospect, person = any_record(world, random)
    until = world.clock.now + timedelta(days=random.randrange(2, 20))
    address = spelled(random, address_of(random, person))
    channel = channel_of(random, address)
    friend = (ContactPoint(CALL, spelled(random, random.choice(world.people).phone)),)
    data = random.choice(
        [
            AutoReplyReceived(EMAIL, until),
            PauseRequested(until),
            ReferralGiven("A Friend", friend),
            ContactPointAdded(channel, address),
            ContactPointAdded(channel, address),
            ContactPointRemoved(channel, address, "it was never theirs"),
            ContactPointFailed(channel, address, random.choice(list(FailureReason))),
            ContactPointRestored(channel, address, "they wrote from it"),
            ProspectUpdated(name=random.choice([person.name, f"{person.name} Jr"])),
        ]
    )
    run(app, world, prospect, data)


def adds(app: Cadence, world: World, random: Random) -> None:
    # Of eight workers one may be through with theirs, while others have some left.
    with suppress(IndexError):
        prospect, person = world.waiting.pop()
        run(app, world, prospect, world.added(random, person))
        world.add(prospect, person)


def imports(app: Cadence, world: World, random: Random) -> None:
    """A batch of old histories from another program, some of which end in an opt-out."""
    lines, added = [], {}
    for _ in range(max(1, len(world.people) // 60)):
        with suppress(IndexError):
            prospect, person = world.waiting.pop()
            lines += old_history(world, random, prospect, person)
            added[prospect] = person
    import_jsonl(app, lines, at=world.clock())
    for prospect, person in added.items():
        world.add(prospect, person)
    world.counts["imported"] += len(lines)


def old_history(world: World, random: Random, prospect: str, person: Person) -> list[bytes]:
    at = world.clock.now - timedelta(days=random.randrange(20, 60))
    events: list[Any] = [world.added(random, person)]
    call = next((p for p in events[0].contact_points if p.channel == CALL), None)
    for _ in range(random.randrange(4) if call is not None else 0):
        disposition = random.choice(["no_answer", "voicemail_left", "no_answer", "wrong_number"])
        events.append(AttemptMade((Part(CALL, Disposition(disposition)),)))
    if random.random() < 0.3:
        events.append(OptOutRequested(random.choice([None, None, CALL, EMAIL])))
    lines = []
    for number, data in enumerate(events):
        plain = msgspec.to_builtins(data)
        line = {"prospect": prospect, "type": plain.pop("type").split(".")[0], "data": plain}
        # Learnt of now: without it, it would count as recorded when it happened.
        when = {"occurred_at": at + timedelta(days=4 * number), "recorded_at": world.clock.now}
        lines.append(msgspec.json.encode(line | when | {"by": "importer"}) + b"\n")
    return lines


def suppresses(app: Cadence, world: World, random: Random) -> None:
    chosen = random.sample(world.people, max(1, len(world.people) // 40))
    addresses = [
        Suppression(spelled(random, address), random.choice([None, None, channel]))
        for person in chosen
        for address in [address_of(random, person)]
        for channel in [channel_of(random, address)]
    ]
    app.addresses.suppress(addresses, by="desk", source="list", at=world.clock())
    world.counts["suppressed"] += len(addresses)


def unsuppresses(app: Cadence, world: World, random: Random) -> None:
    standing = list(app.addresses.entries(source="list"))
    for entry in random.sample(standing, len(standing) // 5):
        world.counts["unsuppressed"] += app.addresses.unsuppress(
            entry.key, by="desk", why="an error of the list", at=world.clock()
        )


def declares_line(app: Cadence, world: World, random: Random) -> None:
    desk = random.choice([one.desk for one in world.people if one.desk] or [None])
    if desk is not None and desk.startswith("+1312"):
        app.addresses.declare_line(
            spelled(random, desk), by="desk", why="a switchboard", at=world.clock()
        )
        world.counts["lines"] += 1


def merges(app: Cadence, world: World, random: Random) -> None:
    """A rep notices that two records are one person, or is wrong about it."""
    by_person: dict[Person, list[str]] = {}
    for record, person in world.records.items():
        by_person.setdefault(person, []).append(record)
    twice = [records for records in by_person.values() if len(records) > 1]
    is_wrong = not twice or random.random() < 0.25
    if is_wrong:
        # People of one house are mistaken for each other more often than others.
        desks = [one.desk for one in by_person if one.desk is not None]
        desk = random.choice(desks) if desks and random.random() < 0.7 else None
        house = [records for one, records in by_person.items() if desk in (None, one.desk)]
        two = [random.choice(some) for some in random.sample(house, min(2, len(house)))]
    else:
        two = random.sample(random.choice(twice), 2)
    if len(two) < 2:
        return
    prospect, into = two
    keep = random.choice([None, prospect, into])
    merged = carried_out(
        world,
        "merge",
        lambda at: app.merges.merge(
            prospect, into, why="they look alike", by="desk", keep=keep, at=at
        ),
    )
    if merged:
        world.counts["merged wrongly"] += is_wrong
        if is_wrong or random.random() < 0.2:
            world.merged.append(prospect)


def unmerges(app: Cadence, world: World, random: Random) -> None:
    """A merge is taken back: most were wrong."""
    if not world.merged:
        return
    prospect = world.merged.pop(random.randrange(len(world.merged)))
    carried_out(
        world, "unmerge", lambda at: app.merges.unmerge(prospect, why="two", by="desk", at=at)
    )


def carried_out(world: World, what: str, do: Callable[[datetime], Any]) -> bool:
    """Do something of two records, and count whether it was carried out."""
    try:
        do(world.clock())
    except Refused as refused:
        world.counts[f"{what} refused: {refused.rule}"] += 1
        return False
    world.counts[what] += 1
    return True


def says_under_an_old_id(app: Cadence, world: World, random: Random) -> None:
    """Facts come for a merged record, and what was recorded on it is taken back."""
    merged = app.merges.survivors(list(world.records))
    if not merged:
        return
    prospect = random.choice(sorted(merged))
    person = world.records[prospect]
    draw = random.random()
    if draw < 0.35:
        history = app.history(prospect)
        word = [one for one in history if isinstance(one.data, OptOutRequested | AttemptMade)]
        if word:
            version = random.choice(word).version
            run(app, world, prospect, EventRetracted(version, "the wrong record"))
            world.counts["taken back of a merged record"] += 1
        return
    said = random.choice([OptOutRequested(), OptOutRequested(random.choice([CALL, EMAIL])), None])
    if said is None and draw < 0.7:
        said = ReplyReceived(EMAIL, random.choice([*Intent, None]))
    elif said is None:
        address = address_of(random, person)
        channel = EMAIL if "@" in address else CALL
        said = AttemptMade((Part(channel, outcome(random, channel), spelled(random, address)),))
        said = AttemptMade((with_intent(random, said.parts[0]),))
    outcome_ = run(app, world, prospect, said)
    if outcome_ is not None:
        world.counts["said under an old id"] += 1
        event = outcome_.events[-1]
        if isinstance(said, OptOutRequested) and random.random() < 0.3:
            world.mistakes.append((event.prospect, event.version))


# How often each is said in a year, for each record; and how often each is done at all.
A_RECORD: dict[Word, float] = {
    opts_out: 0.3,
    takes_mistake_back: 0.1,
    opts_in: 0.12,
    replies: 0.8,
    says_something: 0.6,
    merges: 0.3,
    unmerges: 0.2,
    says_under_an_old_id: 0.3,
}
A_YEAR: dict[Word, int] = {imports: 12, suppresses: 5, unsuppresses: 4, declares_line: 8}


# What workers do ----------------------------------------------------------------------------------


def work(app: Cadence, world: World, random: Random, name: str, dealt: Iterable[Decision]) -> None:
    """Do some of what was due, beside the others. A touch is whoever claims it first."""
    for decision in dealt:
        if world.clock.now > world.until:
            break
        try:
            if isinstance(decision, Task):
                settle(app, world, random, name, decision)
            else:
                touch(app, world, random, name, decision)
        except Refused as refused:
            world.counts[f"refused: {refused.rule}"] += 1


def deal(found: Iterable[Decision], random: Random, workers: int) -> list[list[Decision]]:
    """Give each touch to two workers, who both try to claim it, and each task to its owner.

    An owner sits at one desk.
    """
    dealt: list[list[Decision]] = [[] for _ in range(workers)]
    for decision in found:
        if isinstance(decision, Task):
            dealt[crc32(decision.prospect.encode()) % workers].append(decision)
        else:
            for worker in random.sample(range(workers), min(2, workers)):
                dealt[worker].append(decision)
    for some in dealt:
        random.shuffle(some)
    return dealt


def touch(
    app: Cadence, world: World, random: Random, name: str, decision: Decision, own: Any = None
) -> None:
    """Claim a touch, make it, and log how it went; a few crash in between."""
    crashes = random.random() < 0.03
    on_expiry: Any = random.choice(["return", "assume_made"]) if crashes else "return"
    claim = app.claim(
        decision.prospect,
        None if own is not None or decision.touch is None else decision.touch.id,
        own=own,
        by=name,
        on_expiry=on_expiry,
        at=world.clock(),
    )
    world.counts["claims"] += 1
    if crashes:
        world.counts["crashes"] += 1
        world.open.append(claim)
        return
    if random.random() < 0.02:
        opts_out(app, world, random)  # somebody says so while the phone rings
    parts = [
        Part(part.channel, outcome(random, part.channel), part.address) for part in claim.parts
    ]
    made = app.complete(claim, [with_intent(random, part) for part in parts], at=world.clock())
    world.counts["attempts"] += 1
    for event in made.events:
        for rule in getattr(event.data, "broke", ()):
            world.counts[f"broke: {rule}"] += 1
    if claim.step in ("on_time", "ten_minutes"):
        for later in (timedelta(minutes=10), timedelta(hours=4)):
            world.soon.append((world.clock.now + later, claim.prospect))


def outcome(random: Random, channel: Channel) -> Disposition:
    if channel != CALL:
        return Disposition("bounced" if random.random() < 0.06 else "sent")
    names = ["no_answer", "voicemail_left", "busy", "connected", "wrong_number"]
    return Disposition(random.choices(names, [55, 27, 5, 9, 4])[0])


def with_intent(random: Random, part: Part) -> Part:
    if part.disposition is not Disposition.CONNECTED:
        return part
    return msgspec.structs.replace(part, intent=random.choice([*Intent, None]))


def settle(app: Cadence, world: World, random: Random, name: str, task: Task) -> None:
    """Do what only an owner can do."""
    prospect = task.prospect
    person = world.records.get(prospect)
    if person is None:
        return
    world.counts[f"task: {task.kind}"] += 1
    if task.kind is TaskKind.SAME_PERSON:
        other = str(task.facts["other"])
        is_same = world.records.get(other) is person
        if is_same and random.random() < 0.5:
            why, keep = "the same address", random.choice([prospect, other])
            carried_out(
                world,
                "merge",
                lambda at: app.merges.merge(other, prospect, why=why, by=name, keep=keep, at=at),
            )
        elif is_same:
            run(app, world, prospect, EndFollowUp(EndReason.MISTAKEN), by=name)
        else:
            run(app, world, prospect, SamePersonDenied(other, "two people"), by=name)
    elif task.kind is TaskKind.FIND_ADDRESS and random.random() < 0.6:
        address = spelled(random, address_of(random, person))
        run(app, world, prospect, ContactPointAdded(channel_of(random, address), address), by=name)
    elif task.kind is TaskKind.RECORD_OPT_IN and random.random() < 0.5:
        run(app, world, prospect, OptedBackIn(why="they said so"), by=name)
    elif task.kind in (TaskKind.BEGIN, TaskKind.AGREE_NEXT_STEP) and random.random() < 0.85:
        if random.random() < 0.5:
            touch(app, world, random, name, task, own=random.choice([CALL, CALL, EMAIL]))
        else:
            day = world.clock.now.replace(hour=0, minute=0, second=0, microsecond=0)
            at = day + timedelta(days=random.randrange(1, 5), hours=random.choice(HOURS))
            run(app, world, prospect, SetAppointment(at), by=name)
    else:
        reason = random.choice([EndReason.DECLINED, EndReason.BOUGHT, EndReason.DISQUALIFIED])
        run(app, world, prospect, EndFollowUp(reason), by=name)


def come_back(app: Cadence, world: World, random: Random) -> None:
    """Workers that crashed say what became of their touch; some never do."""
    while world.open:
        claim = world.open.pop()
        if claim.on_expiry == "assume_made" and random.random() < 0.5:
            is_made = random.random() < 0.5
            parts = [
                Part(part.channel, outcome(random, part.channel), part.address)
                for part in claim.parts
            ]
            with suppress(CadenceError):
                # What the dialler kept says when; a moment after the claim.
                at = claim.at + timedelta(seconds=30)
                app.complete(claim, parts if is_made else [], not_made=not is_made, at=at)
                world.counts["came back"] += 1


# A year -------------------------------------------------------------------------------------------


class Hand:
    """A worker: a store of their own, and what they know."""

    def __init__(self, size: Size, clock: Clock, db: str | None, worker: int, workers: int) -> None:
        self.world = World(size, clock, worker, workers)
        self.app = opened(db, clock)
        self._name = f"worker{worker}"
        self._seed = f"{size.seed}/{worker}"

    def speak(self, number: int, words: list[Word], records: list[tuple[str, int]]) -> Any:
        """Record what people say; return the records that were added."""
        self.world.learn(records)
        random = Random(f"{self._seed}/{number}/said")
        for word in words:
            word(self.app, self.world, random)
        new, self.world.new = self.world.new, []
        return new

    def act(self, number: int, until: datetime, dealt: list[Decision]) -> Any:
        """Make touches; return when which prospects are to be looked at again."""
        self.world.until = until
        work(self.app, self.world, Random(f"{self._seed}/{number}/made"), self._name, dealt)
        soon, self.world.soon = self.world.soon, []
        return soon

    def come_back(self, number: int) -> Any:
        """Say what became of the touches that a crash left."""
        come_back(self.app, self.world, Random(f"{self._seed}/{number}/back"))

    def leave(self) -> Any:
        """Close the store, and return what was counted."""
        self.app.close()
        return self.world.counts


def opened(db: str | None, clock: Clock) -> Cadence:
    return Cadence.open(db, clock=clock, lock_timeout_seconds=60)


class Hands:
    """All workers: each in a process of its own, or one in this process."""

    def __init__(self, size: Size, clock: Clock, shared: Any, db: str | None) -> None:
        self.count = 1 if db is None else WORKERS
        self._own = Hand(size, clock, db, 0, 1) if db is None else None
        self._answers: list[Any] = []
        self._pipes: list[Any] = []
        self._processes: list[Any] = []
        context = get_context("spawn")
        for worker in range(0 if db is None else WORKERS):
            pipe, theirs = context.Pipe()
            given = (theirs, size, shared, db, worker)
            process = context.Process(target=_serve, args=given, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(pipe)
            self._processes.append(process)

    @property
    def own(self) -> Cadence | None:
        """The store of the one worker in this process."""
        return None if self._own is None else self._own.app

    def begin(self, what: str, calls: Sequence[tuple[Any, ...]]) -> None:
        """Let each worker do something; ``ended`` waits for it."""
        if self._own is not None:
            self._answers = [getattr(self._own, what)(*calls[0])]
        for pipe, call in zip(self._pipes, calls, strict=self._own is None):
            pipe.send((what, call))

    def ended(self) -> list[Any]:
        """What each worker returned, when all are done."""
        return [pipe.recv() for pipe in self._pipes] if self._own is None else self._answers

    def leave(self) -> list[Any]:
        """Let all go; what each counted."""
        if self._own is not None:
            return [self._own.world.counts]
        self.begin("leave", [()] * self.count)
        counts = self.ended()
        for process in self._processes:
            process.join()
        return counts

    def stop(self) -> None:
        """End the processes that are left, where something failed."""
        for process in self._processes:
            if process.is_alive():
                process.terminate()


def _serve(pipe: Any, size: Size, shared: Any, db: str, worker: int) -> None:
    """Do what is asked for, in a process of its own, until the worker leaves."""
    hand = Hand(size, Clock(shared), db, worker, WORKERS)
    what = ""
    while what != "leave":
        what, call = pipe.recv()
        pipe.send(getattr(hand, what)(*call))


def hours_of(world: World) -> Iterable[tuple[datetime, Sequence[str] | None]]:
    """When something happens: to everyone, or to the prospects who are looked at again alone.

    Three times on a business day, once on others, and in between where a touch is minutes later.
    """
    for day in range(world.size.days):
        start = BEGIN + timedelta(days=day)
        hours = HOURS if start.weekday() < 5 else HOURS[1:2]
        for hour in hours:
            at = start + timedelta(hours=hour)
            while soon := [one for one in world.soon if one[0] < at - timedelta(minutes=25)]:
                until = min(soon)[0] + WINDOW
                again = sorted({one for when, one in world.soon if when <= until})
                world.soon = [one for one in world.soon if one[0] > until]
                if world.clock.now < until:
                    yield until, again
            yield at, None


def words_of(world: World, random: Random, hours: float) -> list[Word]:
    """What is said in one hour of ``hours``."""
    said: list[Word] = [adds] * _about(random, len(world.people) * 1.25 / (hours * 0.7))
    for word, often in A_RECORD.items():
        said += [word] * _about(random, len(world.records) * often / hours)
    for word, times in A_YEAR.items():
        said += [word] * _about(random, times / hours)
    random.shuffle(said)
    return said if world.records else [adds]


def _about(random: Random, expected: float) -> int:
    return int(expected) + (random.random() < expected % 1)


def simulate(
    size: Size, folder: Path, *, is_in_memory: bool = False, db: str | None = None
) -> Result:
    """Live through the time, export it into ``folder``, and check the export.

    Args:
        size: how much.
        folder: for the export, and for the SQLite file.
        is_in_memory: one worker, in this process.
        db: the address of an empty database for the workers, instead of an SQLite file.
    """
    started = time.monotonic()
    (folder / "years.db").unlink(missing_ok=True)
    if db is None and not is_in_memory:
        db = str(folder / "years.db")
    shared = get_context("spawn").Value("q", 0)
    world = World(size, Clock(shared))
    if db is not None:  # it is made before all open it at once
        opened(db, world.clock).close()
    hands = Hands(size, world.clock, shared, db)
    try:
        with hands.own or opened(db, world.clock) as app:
            app.change_settings({"default_region": "US"}, by="desk", at=BEGIN)
            _live(world, app, hands)
            for counts in hands.leave():
                world.counts.update(counts)
            lived = time.monotonic()
            judged = _judge(world, app, folder)
    finally:
        hands.stop()
    return Result(*judged, world.counts, lived - started, time.monotonic() - lived)


def _live(world: World, app: Cadence, hands: Hands) -> None:
    hours = world.size.days * (5 * len(HOURS) + 2) / 7
    last, new = BEGIN, []
    end = None if world.size.minutes is None else time.monotonic() + 60 * world.size.minutes
    for number, (at, again) in enumerate(hours_of(world)):
        is_said = again is None
        world.clock.go_to(at - timedelta(minutes=20 if is_said else 0))
        random = Random(f"{world.size.seed}/{number}")
        if at.date() != last.date():
            if end is not None and time.monotonic() > end:
                break
            last = at
            world.counts["days"] += 1
            # One after the other: a claim that is completed in the very moment in which its
            # attempt is assumed is logged twice.
            is_assumed_before = random.random() < 0.5
            if is_assumed_before:
                app.tick(world.clock())
            hands.begin("come_back", [(number,)] * hands.count)
            hands.ended()
            if not is_assumed_before:
                app.tick(world.clock())
        if is_said:
            words: list[list[Word]] = [[] for _ in range(hands.count)]
            for word in words_of(world, random, hours):
                random.choice(words).append(word)
            hands.begin("speak", [(number, some, new) for some in words])
        # The list is read while people speak. What they say between it and the touch is for the
        # claim to find.
        if again is None:
            found: list[Decision] = list(app.due(at))
        else:
            found = [app.explain(prospect, at) for prospect in again]
        if is_said:
            new = [record for some in hands.ended() for record in some]
            world.learn(new)
        world.clock.go_to(at)
        until = world.clock.now + CROSSING - timedelta(minutes=1)
        dealt = deal([one for one in found if isinstance(one, Due | Task)], random, hands.count)
        hands.begin("act", [(number, until, some) for some in dealt])
        for soon in hands.ended():
            world.soon += soon
        world.counts["hours"] += 1


# Judging it ---------------------------------------------------------------------------------------


def _judge(
    world: World, app: Cadence, folder: Path
) -> tuple[Findings, tuple[str, ...], tuple[str, ...]]:
    """Check what happened; then take every word back, and check who is still held.

    Returns:
        What the check found, what the audit finds beyond it, and what a rebuild changes.
    """
    found = _check(world, app, folder, "year")
    audited, rebuilt = beyond(app, found), changed_by_rebuild(app, world.clock())
    for prospect in list(app.prospects()):
        for event in app.history(prospect):
            if isinstance(event.data, OptOutRequested):
                with suppress(Refused):  # it was taken back before
                    app.execute(prospect, EventRetracted(event.version, "all"), at=world.clock())
    for entry in list(app.addresses.entries(source="list")):
        app.addresses.unsuppress(entry.key, by="desk", why="all of them", at=world.clock())
    after = _check(world, app, folder, "after")
    audited += tuple(one for one in beyond(app, after._replace(told=found.told)))
    rebuilt += changed_by_rebuild(app, world.clock())
    held, lost = (*found.held, *after.held), (*found.lost, *after.lost)
    return found._replace(held=held, lost=lost), audited, rebuilt


def beyond(app: Cadence, found: Findings) -> tuple[str, ...]:
    """What the audit finds and the check does not.

    What was imported, or logged by others than workers, may break anything. So may an attempt that
    crossed what was said in the minutes in which it was made: it was claimed before.
    """
    left = []
    for page in audit(app):
        for one in page.findings:
            history = app.history(one.prospect)
            event = next((e for e in history if e.version == one.version), None)
            if event is not None and isinstance(event.data, AttemptMade):
                is_workers = (event.by or "").startswith("worker")
                is_told = (one.prospect, one.version) in found.told
                if not is_workers or is_told or has_crossed(event, history):
                    continue
            left.append(f"{one.prospect} {one.version} {one.rule}: {one.because} ({one.noticed})")
    return tuple(left)


def has_crossed(attempt: Event, history: Iterable[Event]) -> bool:
    """Whether something was said in the minutes in which an attempt was made."""
    return any(
        abs(event.recorded_at - attempt.recorded_at) < CROSSING
        for event in history
        if not isinstance(event.data, AttemptMade)
    )


def changed_by_rebuild(app: Cadence, now: datetime) -> tuple[str, ...]:
    """The prospects of which a rebuild changes the rows of the address index, or the decision."""

    def read() -> dict[str, Any]:
        last = max(app.prospects(), default="")
        rows: dict[str, Any] = {}
        for row in app.addresses.rows_of(None, last):
            rows.setdefault(row.prospect, []).append(row)
        listed = {one.prospect: one for one in app.due(now, verdicts=[*Verdict])}
        return {
            one: (rows.get(one), app.explain(one, now), listed.get(one)) for one in app.prospects()
        }

    before = read()
    app.due_rows.rebuild()
    after = read()
    return tuple(
        f"{one}: {before[one]} became {after[one]}" for one in before if before[one] != after[one]
    )


def _check(world: World, app: Cadence, folder: Path, name: str) -> Findings:
    now = world.clock()
    exported = io.BytesIO()
    export_jsonl(app, exported)
    entries = [*app.addresses.entries(), *app.addresses.entries(ended=True)]
    decisions = [app.explain(prospect, now).to_dict() for prospect in app.prospects()]
    files = {
        "histories.jsonl": exported.getvalue(),
        "entries.json": msgspec.json.encode(entries),
        "decisions.json": msgspec.json.encode(decisions),
    }
    for file, content in files.items():
        (folder / f"{name}-{file}").write_bytes(content)
    return check(folder, name, CROSSING)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--people", type=int, default=Size().people, help="2000 is the full size")
    parser.add_argument("--days", type=int, default=Size().days)
    parser.add_argument("--seed", type=int, default=Size().seed)
    parser.add_argument("--minutes", type=float, help="end after so long, wherever it is")
    parser.add_argument("--memory", action="store_true", help="one worker, and nothing on disk")
    parser.add_argument("--postgres", action="store_true", help="on the PostgreSQL of the tests")
    parser.add_argument("--db", help="the address of an empty PostgreSQL database")
    parser.add_argument("--keep", type=Path, help="keep what was exported there")
    given = parser.parse_args()
    size = Size(given.people, given.days, given.seed, given.minutes)
    db = pgserver.new_address() if given.postgres else given.db
    with tempfile.TemporaryDirectory(prefix="cadence-years-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = simulate(size, folder, is_in_memory=given.memory, db=db)
    print(result.text())
    return 1 if result.is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
