"""Simulate a year of a hundred reps, and count what must never happen in it.

    python tests/support/years.py [--people N] [--seed N] [--memory] [--keep FOLDER]

Eight workers share one SQLite file, each in a thread with connections of its own. They read the due
list, claim, and log outcomes; some crash, and the lease of their claim runs out. Meanwhile people
reply, opt out, opt in again; opt-outs that were a mistake are taken back; lists and old histories
are imported. A fifth of the people are two or three records, with their addresses typed in several
spellings. ``years_check.py`` then reads the export alone, and counts.

Time is simulated, and runs for all workers alike. What people say is recorded at the start of each
hour of the simulation, and touches are made ten minutes later. In between some words cross a touch
that was claimed before.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from years_check import Findings, check

from cadence import builtin
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
from cadence.engine import Decision, EndFollowUp, SetAppointment, Task
from cadence.engine.claims import Claim
from cadence.engine.decision import TaskKind
from cadence.errors import CadenceError, Refused
from cadence.store import Cadence
from cadence.store.address_book import Suppression
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
    """

    people: int = 400
    days: int = 365
    seed: int = 1


class Result(NamedTuple):
    """What was counted, by the check and by the simulation itself."""

    findings: Findings
    counts: Counter[str]
    seconds: float


class Person(NamedTuple):
    """A human being, with what is theirs."""

    name: str
    phone: str
    mobile: str
    email: str
    desk: str | None


class Clock:
    """The time of all workers: it goes on by a hundredth of a second with each look at it."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self.now += timedelta(milliseconds=10)
            return self.now

    def go_to(self, instant: datetime) -> None:
        with self._lock:
            self.now = max(self.now, instant)


class World:
    """People, their records, and what is known of both outside the store."""

    def __init__(self, size: Size) -> None:
        self.random = Random(size.seed)
        self.size = size
        self.clock = Clock()
        self.until = BEGIN  # when the workers of this hour stop
        self.counts: Counter[str] = Counter()
        self.people = [self._person(number) for number in range(size.people)]
        self.waiting: list[tuple[str, Person]] = []
        self.records: dict[str, Person] = {}
        self.soon: list[datetime] = []  # when a worker looks again, minutes after an attempt
        self.open: list[Claim] = []  # of workers that crashed
        self.mistakes: list[tuple[str, int]] = []
        for number, person in enumerate(self.people):
            draw = self.random.random()
            for copy in range(3 if draw < 0.05 else 2 if draw < 0.2 else 1):
                self.waiting.append((f"p{number:05}{'abc'[copy]}", person))
        self.random.shuffle(self.waiting)

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
        world.mistakes.append((prospect, outcome.events[-1].version))


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
    with suppress(IndexError):
        prospect, person = world.waiting.pop()
        run(app, world, prospect, world.added(random, person))
        world.records[prospect] = person


def imports(app: Cadence, world: World, random: Random) -> None:
    """A batch of old histories from another program, some of which end in an opt-out."""
    lines, added = [], {}
    for _ in range(max(1, len(world.people) // 60)):
        with suppress(IndexError):
            prospect, person = world.waiting.pop()
            lines += old_history(world, random, prospect, person)
            added[prospect] = person
    import_jsonl(app, lines, at=world.clock())
    world.records.update(added)
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


# How often each is said in a year, for each record; and how often each is done at all.
A_RECORD: dict[Word, float] = {
    opts_out: 0.3,
    takes_mistake_back: 0.1,
    opts_in: 0.12,
    replies: 0.8,
    says_something: 0.6,
}
A_YEAR: dict[Word, int] = {imports: 12, suppresses: 5, unsuppresses: 4, declares_line: 8}


# What workers do ----------------------------------------------------------------------------------


def work(app: Cadence, world: World, random: Random, worker: int, workers: int) -> None:
    """Read what is due and do some of it, beside the others, who read the same.

    A touch is whoever claims it first; a task is its owner's, who sits at one desk.
    """
    name = f"worker{worker}"
    found = list(app.due(world.clock(), limit=60))
    random.shuffle(found)
    for decision in found:
        if world.clock.now > world.until:
            break
        try:
            if isinstance(decision, Task):
                if crc32(decision.prospect.encode()) % workers != worker:
                    continue
                settle(app, world, random, name, decision)
            else:
                touch(app, world, random, name, decision)
        except Refused as refused:
            world.counts[f"refused: {refused.rule}"] += 1


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
        world.soon.append(world.clock.now + timedelta(minutes=10))
        world.soon.append(world.clock.now + timedelta(hours=4))


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
        if world.records.get(other) is person:
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
                app.complete(
                    claim, parts if is_made else [], not_made=not is_made, at=world.clock()
                )
                world.counts["came back"] += 1


# A year -------------------------------------------------------------------------------------------


def hours_of(world: World) -> Iterable[tuple[datetime, bool]]:
    """When something happens, and whether people say something then or touches alone are made.

    Three times on a business day, once on others, and in between where a touch is minutes later.
    """
    for day in range(world.size.days):
        start = BEGIN + timedelta(days=day)
        hours = HOURS if start.weekday() < 5 else HOURS[1:2]
        for hour in hours:
            at = start + timedelta(hours=hour)
            while soon := [one for one in world.soon if one < at - timedelta(minutes=25)]:
                first = min(soon)
                world.soon = [one for one in world.soon if one > first + WINDOW]
                if world.clock.now < first + WINDOW:
                    yield first + WINDOW, False
            yield at, True


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


def simulate(size: Size, folder: Path, *, is_in_memory: bool = False) -> Result:
    """Live through the time, export it into ``folder``, and check the export."""
    started = time.monotonic()
    world = World(size)
    (folder / "years.db").unlink(missing_ok=True)
    db = None if is_in_memory else str(folder / "years.db")

    def opened() -> Cadence:
        return Cadence.open(db, clock=world.clock, lock_timeout_seconds=60)

    first = opened()
    first.change_settings({"default_region": "US"}, by="desk", at=BEGIN)
    apps = [first] if is_in_memory else [first, *(opened() for _ in range(WORKERS - 1))]
    try:
        with ThreadPoolExecutor(len(apps)) as pool:
            _live(world, apps, pool)
        findings = _judge(world, first, folder)
    finally:
        for app in apps:
            app.close()
    return Result(findings, world.counts, time.monotonic() - started)


def _live(world: World, apps: Sequence[Cadence], pool: ThreadPoolExecutor) -> None:
    hours = world.size.days * (5 * len(HOURS) + 2) / 7
    last = BEGIN
    for number, (at, is_said) in enumerate(hours_of(world)):
        world.clock.go_to(at - timedelta(minutes=20 if is_said else 0))
        random = Random(f"{world.size.seed}/{number}")
        words = words_of(world, random, hours) if is_said else []

        def speak(worker: int, words: list[Word] = words, number: int = number) -> None:
            mine = Random(f"{world.size.seed}/{number}/{worker}/said")
            for word in words[worker :: len(apps)]:
                word(apps[worker], world, mine)

        def act(worker: int, number: int = number) -> None:
            mine = Random(f"{world.size.seed}/{number}/{worker}/made")
            work(apps[worker], world, mine, worker, len(apps))

        list(pool.map(speak, range(len(apps))))
        if at.date() != last.date():
            last = at
            apps[0].tick(world.clock())
            come_back(apps[0], world, random)
        world.clock.go_to(at)
        world.until = world.clock.now + CROSSING - timedelta(minutes=1)
        list(pool.map(act, range(len(apps))))
        world.counts["hours"] += 1


def _judge(world: World, app: Cadence, folder: Path) -> Findings:
    """Check what happened; then take every word back, and check who is still held."""
    found = _check(world, app, folder, "year")
    for prospect in list(app.prospects()):
        for event in app.history(prospect):
            if isinstance(event.data, OptOutRequested):
                with suppress(Refused):  # it was taken back before
                    app.execute(prospect, EventRetracted(event.version, "all"), at=world.clock())
    for entry in list(app.addresses.entries(source="list")):
        app.addresses.unsuppress(entry.key, by="desk", why="all of them", at=world.clock())
    after = _check(world, app, folder, "after")
    return found._replace(held=(*found.held, *after.held))


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
    parser.add_argument("--memory", action="store_true", help="one worker, and nothing on disk")
    parser.add_argument("--keep", type=Path, help="keep what was exported there")
    given = parser.parse_args()
    size = Size(given.people, given.days, given.seed)
    with tempfile.TemporaryDirectory(prefix="cadence-years-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = simulate(size, folder, is_in_memory=given.memory)
    for name, count in sorted(result.counts.items()):
        print(f"{name:32}{count:>9,}")
    print(result.findings.text())
    print(f"{result.seconds:.0f} s")
    return 1 if result.findings.is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
