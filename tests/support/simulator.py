"""Simulate workers that crash, stall and lose their connection, in an order that a seed decides.

    python tests/support/simulator.py [--seeds N] [--first N] [--days N]

One store in memory; each process has a service of its own on it. They are threads of which one runs
at a time: at every call of the store the scheduler may let another go on, let the call fail before
or after it was carried out, or kill the process there. Time is the scheduler's, and passes only
when all wait. What people get and say is known outside the store, so it is held against the
history in the end:

- what was acknowledged is there, once;
- no touch was made twice by machines, and each one that was made is in the history;
- an attempt of unknown outcome stands only where a machine stopped between its claim and its word;
- nothing was sent for a claim that was taken after a word that was acknowledged before;
- the feed gave each event once, in order;
- the audit finds nothing, and a rebuild changes no due row.
"""

from __future__ import annotations

import argparse
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

from cadence.audit import Noticed
from cadence.audit.runner import audit
from cadence.domain import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    EventCorrected,
    EventRetracted,
    OptOutRequested,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.domain.channels import CALL, EMAIL, SMS
from cadence.engine import Due, SetAppointment
from cadence.engine.claims import Claim
from cadence.engine.commands import Command
from cadence.errors import Refused, StoreBusy, StoreError
from cadence.store import Cadence, claims
from cadence.store.recorder import Recorder
from cadence.store.recorders.memory import MemoryRecorder

__all__ = ["Report", "simulate"]

BEGIN: Final = datetime(2026, 1, 5, 14, tzinfo=UTC)
LEASE: Final = timedelta(minutes=15)
MACHINES: Final = 3
_T = TypeVar("_T")


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


# Who runs -----------------------------------------------------------------------------------------


class Scheduler:
    """Lets one process run at a time, and decides which, by its seed."""

    def __init__(self, seed: int, until: datetime) -> None:
        self.random = Random(seed)
        self.now = BEGIN
        self.until = until
        self.counts: Counter[str] = Counter()
        self.is_calm = False  # no more faults: what is left is finished
        self._baton = threading.Semaphore(0)
        self._waiting: list[tuple[datetime, int, Process]] = []
        self._number = 0
        self.errors: list[BaseException] = []

    def start(self, process: Process, after: timedelta = timedelta()) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (self.now + after, self._number, process))

    def run(self) -> None:
        """Let all run until none is left."""
        while self._waiting and not self.errors:
            first = self._waiting[0][0]
            self.now = max(self.now, first)
            ready = [one for one in self._waiting if one[0] <= self.now]
            chosen = self.random.choice(ready)
            self._waiting.remove(chosen)
            heapq.heapify(self._waiting)
            chosen[2].go_on()
            self._baton.acquire()
        if self.errors:
            raise self.errors[0]

    def give_back(self) -> None:
        self._baton.release()


class Process:
    """A process, as a thread that runs when it is its turn."""

    def __init__(self, scheduler: Scheduler, name: str, work: Callable[[Process], None]) -> None:
        self.scheduler = scheduler
        self.name = name
        self._work = work
        self._turn = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            self._work(self)
        except BaseException as error:  # it is the main thread's to raise
            self.scheduler.errors.append(error)
        finally:
            self.scheduler.give_back()

    def go_on(self) -> None:
        self._turn.release()

    def sleep(self, length: timedelta) -> None:
        """Let so much time pass, and others run."""
        self.scheduler.start(self, length)
        self.scheduler.give_back()
        self._turn.acquire()


# What goes wrong ----------------------------------------------------------------------------------

_WRITES: Final = {
    "insert_events",
    "insert_batches",
    "insert_entries",
    "insert_copies",
    "insert_settings",
    "set_meta",
    "end_entry",
}


def _call(recorder: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call the store for a process; what may go wrong there goes wrong here."""
    process: Process = recorder.process
    scheduler, random = process.scheduler, process.scheduler.random
    call = getattr(recorder.store, name)
    draw = 1.0 if scheduler.is_calm else random.random()
    if draw < 0.002:
        scheduler.counts["kills"] += 1
        raise Killed
    if draw < 0.006:
        scheduler.counts["lost"] += 1
        raise StoreBusy("the connection was lost", "try again")
    if draw < 0.5:  # another goes first
        process.sleep(timedelta(milliseconds=random.randrange(1, 200)))
    result = call(*args, **kwargs)
    if name in _WRITES and not scheduler.is_calm:
        draw = random.random()
        if draw < 0.02:
            scheduler.counts["kills"] += 1
            raise Killed
        if draw < 0.04:
            scheduler.counts["unsure"] += 1
            raise StoreError("the connection was lost while committing", "try again")
    return result


def _passing(name: str) -> Callable[..., Any]:
    def passed_on(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _call(self, name, *args, **kwargs)

    return passed_on


_PASSED: Final = {
    name: _passing(name)
    for name, method in vars(Recorder).items()
    if callable(method) and not name.startswith("_") and name not in ("close", "listen")
}
_Connection: Any = type("_Connection", (Recorder,), {**_PASSED, "close": lambda self: None})


def open_store(process: Process, store: MemoryRecorder) -> Cadence:
    """What a process opens: a service of its own on the one store."""
    connection = _Connection()
    connection.process, connection.store = process, store
    return Cadence.open(connection, clock=lambda: process.scheduler.now)


# The world ----------------------------------------------------------------------------------------


class Sent(NamedTuple):
    """What a person got."""

    prospect: str
    touch: str
    token: str
    by: str
    at: datetime
    claimed_at: datetime
    """When its worker had begun to claim it."""


class World:
    """People, what they get and say, and what the store has acknowledged."""

    def __init__(self, seed: int, days: int, people: int) -> None:
        self.scheduler = Scheduler(seed, BEGIN + timedelta(days=days))
        self.random = self.scheduler.random
        self.store = MemoryRecorder()
        self.sent: list[Sent] = []
        self.acknowledged: dict[str, str] = {}  # prospect by command id
        self.opted_out: dict[str, datetime] = {}  # when that was acknowledged, by prospect
        self.begun: Counter[tuple[str, str]] = Counter()  # workers that have told no outcome
        self.claimed: dict[str, tuple[str, str]] = {}  # touches by the token of their claim
        self.position: str | None = None
        self.followed: list[Event] = []
        self.people = [f"p{number:02}" for number in range(people)]
        self.first = [self.first_commands(number) for number in range(people)]
        self.number = 0

    def process(self, name: str, work: Callable[[Cadence, Process], None]) -> None:
        """Run ``work`` in a process; where that is killed, in another, until it is done."""

        def live(process: Process) -> None:
            while True:
                with suppress(Killed):
                    work(self.patiently(process, lambda: open_store(process, self.store)), process)
                    return
                process.sleep(timedelta(minutes=self.random.randrange(1, 30)))

        self.scheduler.start(Process(self.scheduler, name, live))

    def patiently(self, process: Process, call: Callable[[], _T]) -> _T:
        """Try again while the store may not have carried it out."""
        while True:
            try:
                return call()
            except StoreError:
                process.sleep(timedelta(seconds=self.random.randrange(1, 20)))

    def tell(self, process: Process, app: Cadence, name: str, command: Command, key: str) -> None:
        """Give a command under an id until it is acknowledged or refused; sometimes twice."""
        for _ in range(2 if self.random.random() < 0.2 else 1):
            try:
                self.patiently(
                    process, lambda: app.execute(name, command, command_id=key, by="webhook")
                )
            except Refused:
                return
            self.acknowledged[key] = name
            if isinstance(command, OptOutRequested):
                self.opted_out.setdefault(name, self.scheduler.now)
            process.sleep(timedelta(minutes=self.random.randrange(60)))

    def first_commands(self, number: int) -> tuple[ProspectAdded, SetAppointment]:
        """What begins a follow-up; every third record is another of the person before."""
        name = self.people[number]
        points = (
            ContactPoint(CALL, f"+1 212 555 {number - (number % 3 == 2):04}"),
            ContactPoint(EMAIL, f"{name}@x.example"),
            ContactPoint(SMS, f"+1 646 555 {number:04}"),
        )
        added = ProspectAdded(name, "America/New_York", "US", contact_points=points)
        later = timedelta(days=self.random.randrange(1, 20), hours=self.random.randrange(8))
        return added, SetAppointment(BEGIN + later)

    def add_people(self, app: Cadence, process: Process) -> None:
        """Add everybody, and agree on a call."""
        for name, (added, agreed) in zip(self.people, self.first, strict=True):
            self.tell(process, app, name, added, f"add {name}")
            self.tell(process, app, name, agreed, f"appoint {name}")

    def answer(self, sent: Sent) -> None:
        """Let a person say something later, or nothing."""
        draw = self.random.random()
        if draw > 0.12:
            return
        self.number += 1
        command: Command = OptOutRequested() if draw < 0.04 else ReplyReceived(EMAIL)
        key = f"word {self.number}"
        delay = timedelta(minutes=self.random.choice((1, 20, 600, 3000)))

        def deliver(app: Cadence, process: Process) -> None:
            process.sleep(delay)
            self.tell(process, app, sent.prospect, command, key)

        self.process(key, deliver)

    # What processes do ------------------------------------------------------------------------

    def is_over(self) -> bool:
        return self.scheduler.now > self.scheduler.until

    def make_touches(self, app: Cadence, process: Process) -> None:
        """Claim what is due, send it, and say so: a machine that may have sent it."""
        while not self.is_over():
            until = self.scheduler.now + timedelta(hours=1)
            with suppress(StoreError):
                due = [one for one in app.due() if isinstance(one, Due) and one.claim is None]
                if due:
                    self.make(app, process, self.random.choice(due))
                    continue
                until = min(app.next_review() or self.scheduler.until, until + timedelta(hours=11))
            late = timedelta(minutes=self.random.randrange(1, 20))
            process.sleep(max(until - self.scheduler.now, timedelta()) + late)

    def make(self, app: Cadence, process: Process, due: Due) -> None:
        """Make one touch. It may stall anywhere, also past its lease."""
        began = self.scheduler.now
        touch = due.prospect, due.touch.id
        self.begun[touch] += 1
        try:
            claim = self.patiently(
                process,
                lambda: app.claim(
                    due.prospect,
                    due.touch.id,
                    by=process.name,
                    lease=LEASE,
                    on_expiry="assume_made",
                ),
            )
        except Refused:
            self.scheduler.counts["claim refused"] += 1
            self.begun[touch] -= 1
            return
        self.claimed[claim.token] = touch
        self.stall(process)
        if self.random.random() < 0.05:  # its mailer is down
            self.say(app, process, claim, is_made=False)
            return
        sent = Sent(
            claim.prospect, str(claim.touch), claim.token, claim.by, self.scheduler.now, began
        )
        self.sent.append(sent)
        self.answer(sent)
        self.stall(process)
        self.say(app, process, claim, is_made=True)

    def say(self, app: Cadence, process: Process, claim: Claim, *, is_made: bool) -> None:
        """Say what became of a claim, until that is acknowledged."""
        parts = tuple(
            Part(
                part.channel,
                Disposition.NO_ANSWER if part.channel == CALL else Disposition.SENT,
                part.address,
            )
            for part in claim.parts
        )
        self.patiently(
            process, lambda: app.complete(claim, parts if is_made else (), not_made=not is_made)
        )
        del self.begun[claim.prospect, str(claim.touch)]

    def stall(self, process: Process) -> None:
        draw = self.random.random()
        if not self.scheduler.is_calm and draw < 0.02:
            self.scheduler.counts["kills"] += 1
            raise Killed
        if draw < 0.1:
            self.scheduler.counts["stalls"] += 1
            process.sleep(LEASE + timedelta(minutes=self.random.randrange(120)))
        process.sleep(timedelta(seconds=self.random.randrange(60)))

    def tick(self, app: Cadence, process: Process) -> None:
        """Close what is over, and record what leases left to be assumed."""
        while not self.is_over():
            with suppress(StoreError):
                app.tick()
            process.sleep(timedelta(hours=self.random.randrange(1, 12)))

    def follow(self, app: Cadence, process: Process) -> None:
        """Read the feed in pages, and keep each page and its position together."""
        while not self.is_over():
            with suppress(StoreError):
                page = list(app.events(after=self.position, limit=7))
                if page:
                    self.followed += [item.event for item in page]
                    self.position = page[-1].position
            process.sleep(timedelta(hours=self.random.randrange(1, 5)))


# The check ----------------------------------------------------------------------------------------


class Report(NamedTuple):
    """What was found, and what happened."""

    faults: tuple[str, ...]
    counts: Counter[str]


def simulate(seed: int, *, days: int = 60, people: int = 9) -> Report:
    """Simulate one store, and hold it against the world."""
    world = World(seed, days, people)
    sleep, claims.time.sleep = claims.time.sleep, lambda seconds: None
    try:
        world.process("adds", world.add_people)
        for number in range(MACHINES):
            world.process(f"machine {number}", world.make_touches)
        world.process("ticks", world.tick)
        world.process("follows", world.follow)
        world.scheduler.run()
    finally:
        claims.time.sleep = sleep
    world.scheduler.counts["days"] += days
    return Report(tuple(_faults(world)), world.scheduler.counts)


def _faults(world: World) -> Iterator[str]:
    """Yield what is wrong."""
    now = world.scheduler.now + timedelta(days=1)
    with Cadence.open(world.store, clock=lambda: now) as app:
        app.tick()
        histories = {name: app.history(name) for name in app.prospects()}
        yield from _lost(world, histories)
        yield from _touches(world, histories)
        yield from _after_a_word(world)
        yield from _feed(world, app, histories)
        for page in audit(app):
            for one in page.findings:
                # What a machine that stalled made too late, the engine has recorded as a breach.
                world.scheduler.counts["made late"] += one.noticed is Noticed.RECORDED
                if one.noticed is not Noticed.RECORDED:
                    yield f"audit: {one}"
        rows = app.due_rows.stored()
        wrong = [row for row in rows if app.due_rows.is_wrong(app.load(row.prospect), row)]
        yield from (f"due row: {row}" for row in wrong)


def _lost(world: World, histories: dict[str, list[Event]]) -> Iterator[str]:
    for key, name in world.acknowledged.items():
        found = [event for event in histories.get(name, ()) if event.command_id == key]
        if len(found) != 1:
            yield f"{name}: {key!r} was acknowledged, and is there {len(found)} times"
    world.scheduler.counts["acknowledged"] += len(world.acknowledged)


def _touches(world: World, histories: dict[str, list[Event]]) -> Iterator[str]:
    world.scheduler.counts["sent"] += len(world.sent)
    for (name, touch), often in Counter((one.prospect, one.touch) for one in world.sent).items():
        if often > 1:
            yield f"{name}: {touch} was made {often} times"
    for one in world.sent:
        made = [
            event
            for event in histories[one.prospect]
            if isinstance(event.data, AttemptMade)
            # After an answer in between it is an attempt of the next silence.
            and (
                event.data.touch == one.touch
                or event.command_id in (f"claim:{one.token}", f"assumed:{one.token}")
            )
        ]
        if not made:
            yield f"{one.prospect}: {one.touch} was made, and no attempt says so"
    for name, history in histories.items():
        for event in unknown(history):
            world.scheduler.counts["unknown"] += 1
            # Where its claim was not acknowledged, its worker knows of none.
            touch = world.claimed.get(str(event.command_id).removeprefix("assumed:"))
            if touch is not None and not world.begun[touch]:
                yield f"{name}: event {event.version} is unknown, and its worker told the outcome"


def unknown(history: list[Event]) -> Iterator[Event]:
    """Yield the attempts whose outcome stands as unknown."""
    told = {
        event.data.version
        for event in history
        if isinstance(event.data, EventRetracted | EventCorrected)
    }
    for event in history:
        if isinstance(event.data, AttemptMade) and event.version not in told:
            if any(part.disposition is Disposition.UNKNOWN for part in event.data.parts):
                yield event


def _after_a_word(world: World) -> Iterator[str]:
    for one in world.sent:
        heard = world.opted_out.get(one.prospect)
        if heard is not None and one.claimed_at > heard:
            yield f"{one.prospect}: {one.touch} was claimed after they had opted out"


def _feed(world: World, app: Cadence, histories: dict[str, list[Event]]) -> Iterator[str]:
    world.followed += [item.event for item in app.events(after=world.position)]
    seen: dict[str, list[int]] = {}
    for event in world.followed:
        seen.setdefault(event.prospect, []).append(event.version)
    world.scheduler.counts["events"] += len(world.followed)
    for name, history in histories.items():
        if seen.get(name) != [event.version for event in history]:
            yield f"{name}: the feed gave the versions {seen.get(name)}"


def main() -> None:
    """Simulate many, and say what was found."""
    parser = argparse.ArgumentParser(description="Workers that crash, in memory.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--days", type=int, default=60)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    started = time.monotonic()
    for seed in range(options.first, options.first + options.seeds):
        report = simulate(seed, days=options.days)
        counts += report.counts
        for fault in report.faults:
            print(f"seed {seed}: {fault}")
            counts["faults"] += 1
    counts["faults"] += 0
    for name, count in sorted(counts.items()):
        print(f"{name:20}{count:>10,}")
    print(f"{counts['days'] / (time.monotonic() - started) * 60:,.0f} simulated days a minute")


if __name__ == "__main__":
    main()
