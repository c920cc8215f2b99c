"""Writers at once: on PostgreSQL those of other prospects and addresses do not wait."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pgserver
import pytest
from eventsourcing.persistence import StoredEvent
from nightly import NIGHTLY

from cadence.domain import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    OptOutRequested,
    Part,
    ProspectAdded,
)
from cadence.domain.channels import CALL
from cadence.domain.events import InterestNoted
from cadence.domain.fold import fold
from cadence.engine.commands import SetAppointment
from cadence.errors import Refused, StoreBusy
from cadence.policy.rules import Rule
from cadence.store import Cadence
from cadence.store.due_list import AddressRow, DueRow
from cadence.store.recorder import AddressChange, ClaimChange
from cadence.store.recorders.postgres import PostgresRecorder
from cadence.store.recorders.postgres_locks import Locks

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
MEETING = NOW + timedelta(hours=1)
NOTE = InterestNoted("less paper")
STEPS = 200 if NIGHTLY else 60


@pytest.fixture
def address() -> str:
    return pgserver.new_address()


@pytest.fixture
def app(address: str) -> Iterator[Cadence]:
    with Cadence.open(address, clock=lambda: NOW, lock_timeout_seconds=30) as opened:
        yield opened


def person(number: int) -> ProspectAdded:
    points = (ContactPoint(CALL, f"+1 212 555 01{number:02}"),)
    return ProspectAdded("Ada Brook", "America/New_York", "US", contact_points=points)


@contextmanager
def held(app: Cadence, write: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Hold a write before its commit, in a thread of its own; yield what lets it go on."""
    recorder = app._recorder
    assert isinstance(recorder, PostgresRecorder)
    written, go_on = threading.Event(), threading.Event()
    insert_all = PostgresRecorder._insert_all
    holder: list[threading.Thread] = []

    def hold(self: PostgresRecorder, *given: Any) -> list[int]:
        ids = insert_all(self, *given)
        if threading.current_thread() in holder:
            written.set()
            assert go_on.wait(30)
        return ids

    def run() -> object:
        holder.append(threading.current_thread())
        return write()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(PostgresRecorder, "_insert_all", hold)
        done = pool.submit(run)
        try:
            assert written.wait(30)
            yield go_on.set
        finally:
            go_on.set()
            done.result(30)


def is_waiting(address: str) -> bool:
    """Whether a program waits for an advisory lock of another."""
    with pgserver.connect(address) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchone()
    return found is not None and found[0] > 0


def until_it_waits(address: str, done: Future[Any]) -> None:
    while not is_waiting(address):
        assert not done.done()


def test_a_writer_waits_for_no_writer_to_another_prospect(app: Cadence) -> None:
    for number in (1, 2, 3):
        app.execute(f"p{number}", person(number), at=NOW)
    with held(app, lambda: app.execute("p1", OptOutRequested(), at=NOW)) as go_on:
        app.execute("p2", NOTE, at=NOW)
        app.execute("p3", OptOutRequested(), at=NOW)
        claim = app.claim("p2", own=CALL, by="ann")
        assert app.release(claim)
        app.addresses.suppress(["+1 212 555 0199"], by="ann")
        app.change_settings({"default_region": "DE"}, by="kim")
        assert [event.version for event in app.history("p1")] == [1]
        go_on()
    assert [event.version for event in app.history("p1")] == [1, 2]


def test_a_writer_waits_for_no_idle_transaction_of_another_program(
    app: Cadence, address: str
) -> None:
    app.execute("p1", person(1), at=NOW)
    schema = pgserver.schema_of(address)
    with pgserver.connect(address) as idle:
        idle.execute(f"CREATE TABLE {schema}.theirs (number int)")
        with idle.transaction():
            idle.execute(f"INSERT INTO {schema}.theirs VALUES (1)")
            idle.execute(f"SELECT count(*) FROM {schema}.stored_events JOIN {schema}.due ON true")
            app.execute("p1", NOTE, at=NOW)
            app.execute("p2", person(2), at=NOW)
            app.histories.append([([Event("p3", 1, NOW, NOW, person(3))], 0)])
            app.due_rows.rebuild()
    assert app.count() == 3


def test_a_claim_waits_for_a_word_of_another_record_and_is_refused_by_it(
    app: Cadence, address: str
) -> None:
    app.execute("lead", person(1), at=NOW)
    app.execute("contact", person(1), at=NOW)
    with (
        ThreadPoolExecutor(1) as pool,
        held(app, lambda: app.execute("lead", OptOutRequested(), at=NOW)) as go_on,
    ):
        claimed = pool.submit(lambda: app.claim("contact", own=CALL, by="ann"))
        until_it_waits(address, claimed)
        go_on()
        with pytest.raises(Refused) as caught:
            claimed.result(30)
    assert caught.value.rule == Rule.SUPPRESSED


def test_a_claim_is_judged_by_an_event_that_is_being_written(app: Cadence, address: str) -> None:
    app.execute("p1", person(1), at=NOW)
    with (
        ThreadPoolExecutor(1) as pool,
        held(app, lambda: app.execute("p1", NOTE, at=NOW)) as go_on,
    ):
        claimed = pool.submit(lambda: app.claim("p1", own=CALL, by="ann"))
        until_it_waits(address, claimed)
        go_on()
        assert claimed.result(30).version == 2


def test_what_locks_waited_for_is_seen_under_any_default_isolation(
    address: str,
) -> None:
    options = "&options=-c%20default_transaction_isolation%3Dserializable"
    with Cadence.open(address + options, clock=lambda: NOW, lock_timeout_seconds=30) as app:
        app.execute("p1", person(1), at=NOW)
        with (
            ThreadPoolExecutor(1) as pool,
            held(app, lambda: app.execute("p1", NOTE, at=NOW)) as go_on,
        ):
            claimed = pool.submit(lambda: app.claim("p1", own=CALL, by="ann"))
            until_it_waits(address, claimed)
            go_on()
            assert claimed.result(30).version == 2


def test_a_suppression_waits_for_an_attempt_that_was_decided_without_it(
    app: Cadence, address: str
) -> None:
    app.execute("p1", person(1), at=NOW)
    attempt = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    with (
        ThreadPoolExecutor(1) as pool,
        held(app, lambda: app.execute("p1", attempt, at=NOW)) as go_on,
    ):
        done = pool.submit(lambda: app.addresses.suppress(["+1 212 555 0101"], by="ann"))
        until_it_waits(address, done)
        go_on()
        assert done.result(30).new == 1
    [row] = app.due_rows.stored()
    assert row.at == 0  # "look now": the entry came last


def test_a_batch_of_claims_leaves_out_what_another_is_writing_about(app: Cadence) -> None:
    """It waits neither for a writer to one of the prospects, nor for one about an address."""
    for number in range(5):
        app.execute(f"p{number}", person(number), at=NOW)
        app.execute(f"p{number}", SetAppointment(MEETING), at=NOW)
    app.execute("twin", person(4), at=NOW)
    with (
        held(app, lambda: app.execute("p1", NOTE, at=MEETING)) as first,
        held(app, lambda: app.execute("twin", OptOutRequested(), at=MEETING)) as second,
    ):
        claims = app.claim_next(9, by="ann", at=MEETING)
        assert [claim.prospect for claim in claims] == ["p0", "p2", "p3"]
        first()
        second()
    assert [claim.prospect for claim in app.claim_next(9, by="ann", at=MEETING)] == ["p1"]


def test_a_batch_of_claims_waits_for_its_turn_where_too_many_are_written(
    app: Cadence, address: str
) -> None:
    """Each may need some hundreds of the locks that the server has room for."""
    for number in range(40):
        app.execute(f"p{number}", person(number), at=NOW)
        app.execute(f"p{number}", SetAppointment(MEETING), at=NOW)
    every_slot = (
        "SELECT pg_advisory_xact_lock(hashtext('cadence claims'), slot) "
        "FROM generate_series(0, 99) slot"
    )
    with ThreadPoolExecutor(1) as pool, pgserver.connect(address) as others:
        with others.transaction():
            others.execute(every_slot)
            done = pool.submit(lambda: app.claim_next(40, by="ann", at=MEETING))
            until_it_waits(address, done)
            assert len(app.claim_next(5, by="ben", at=MEETING)) == 5  # as few as any writer needs
        assert len(done.result(30)) == 35


def test_an_import_waits_for_writers_and_they_for_it(app: Cadence, address: str) -> None:
    app.execute("p1", person(1), at=NOW)
    impatient = Cadence.open(address, clock=lambda: NOW, lock_timeout_seconds=1)
    history = [Event("p2", 1, NOW, NOW, person(2))]
    note = held(app, lambda: app.execute("p1", NOTE, at=NOW))
    with impatient, note, pytest.raises(StoreBusy):
        impatient.histories.append([(history, 0)])
    refused: list[StoreBusy] = []

    def busy() -> Iterator[tuple[list[Event], int]]:
        yield history, 0
        for number in range(1000):  # so that the first have been sent
            yield [Event(f"q{number}", 1, NOW, NOW, ProspectAdded("Bo", "UTC"))], 0
        try:
            impatient.execute("p1", NOTE, at=NOW)
        except StoreBusy as error:
            refused.append(error)

    with Cadence.open(address, clock=lambda: NOW, lock_timeout_seconds=1) as impatient:
        app.histories.append(busy())
        assert len(refused) == 1
        impatient.execute("p1", NOTE, at=NOW)


def test_the_locks_of_a_write_are_on_what_it_changes_and_shared_on_what_it_asks() -> None:
    row = AddressRow("tel:+12125550101", "tel:+12125550101", "p1", "{}", True)
    change = AddressChange("p1", ("a", "b", row.base), (), (row,), (("c", "c"),))
    event = StoredEvent("p1", 2, "InterestNoted", b"{}")
    locks = Locks.of_write(
        "s", [event], [DueRow("p1", "wait", 1, 1)], [ClaimChange("p1")], [change]
    )
    assert locks.numbers == sorted(set(locks.numbers))
    assert sorted(locks.alone) == [False, False, True, True, True]  # a, b; p1, its number, c
    assert not locks.are_too_many
    assert locks == Locks.of_write("s", [event], (), [ClaimChange("p1")], [change])
    other = Locks.of_write("another schema", [event], (), (), [change])
    assert not set(other.numbers) & set(locks.numbers)


def test_a_write_of_many_prospects_does_not_use_up_the_locks_of_the_server(
    app: Cadence, address: str
) -> None:
    """The server has room for some thousands, for all programs together."""
    with pgserver.connect(address) as connection:
        found = connection.execute(
            "SELECT current_setting('max_locks_per_transaction')::int "
            "* current_setting('max_connections')::int"
        ).fetchone()
    assert found is not None
    many = 2 * int(found[0])
    assert Locks.on("s", map(str, range(many))).are_too_many
    app._recorder.insert_events([], due=[DueRow(f"p{n}", "wait", 1, 1) for n in range(many)])
    assert app.count() == many


# Many at once, in real processes ------------------------------------------------------------------

WORKER = """
import random, sys
from datetime import UTC, datetime, timedelta
from cadence import Cadence, Refused
from cadence.domain import (
    AttemptMade, ContactPoint, ContactPointAdded, Disposition, Event, InterestNoted, OptedBackIn,
    OptOutRequested, Part, ProspectAdded,
)
from cadence.domain.channels import CALL
from cadence.errors import InputError

address, worker, steps = sys.argv[1], *map(int, sys.argv[2:])
draw = random.Random(worker)
now = datetime(2026, 3, 2, 15, tzinfo=UTC)
numbers = [f"+1 212 555 01{number:02}" for number in range(6)]

def one(app, step, at):
    name, number = f"p{draw.randrange(12)}", draw.choice(numbers)
    again = dict(at=at, by=f"w{worker}", command_id=f"{worker}-{step}")
    kind = draw.randrange(14)
    said = {
        0: InterestNoted(f"{worker}-{step}"),
        1: InterestNoted(f"{worker}-{step}"),
        2: OptOutRequested(),
        3: OptedBackIn(),
        4: ContactPointAdded(CALL, number),
        5: AttemptMade((Part(CALL, Disposition.NO_ANSWER),)),
        6: AttemptMade((Part(CALL, Disposition.NO_ANSWER),)),
    }
    if kind in said:
        # What comes for a merged record is recorded for the one that goes on.
        return app.execute(name, said[kind], **again).prospect.id
    if kind == 7:
        app.merges.merge(name, f"p{draw.randrange(12)}", why="one person", by="kim", at=at)
    elif kind < 10 and step % 2:
        app.merges.unmerge(name, why="two people", by="kim", at=at)
    elif kind < 10:
        app.addresses.suppress([number], by="kim")
        app.addresses.unsuppress(number, by="kim", why="checked")
    elif kind == 10:
        claim = app.claim(name, own=CALL, by=f"w{worker}", at=at)
        app.release(claim)
    elif kind == 11:
        points = tuple(ContactPoint(CALL, one) for one in draw.sample(numbers, 2))
        added = ProspectAdded("Bo", "UTC", "US", contact_points=points)
        new = [f"i{worker}-{step}-{n}" for n in range(3)]
        app.histories.append([([Event(name, 1, at, at, added)], 0) for name in new])
    else:
        app.due_rows.rebuild()
    return None

with Cadence.open(address, clock=lambda: now + timedelta(days=30), lock_timeout_seconds=60) as app:
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(steps):
        try:
            name = one(app, step, now + timedelta(minutes=step))
            print("done", name or "-", f"{worker}-{step}", flush=True)
        except (Refused, InputError) as error:
            print("refused", error.what, flush=True)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_many_processes_about_few_addresses_lose_nothing_and_never_deadlock(
    kind: str, tmp_path: Path
) -> None:
    address = str(tmp_path / "c.db") if kind == "sqlite" else pgserver.new_address()
    with Cadence.open(address, clock=lambda: NOW) as app:
        for number in range(12):
            points = tuple(
                ContactPoint(CALL, f"+1 212 555 01{(number + n) % 6:02}") for n in (0, 1)
            )
            added = ProspectAdded("Ada Brook", "America/New_York", "US", contact_points=points)
            app.execute(f"p{number}", added, at=NOW)
    before = deadlocks(address) if kind == "postgres" else 0
    said = run_at_once(WORKER, address, STEPS)
    assert len(said) == 4 * STEPS
    acknowledged = [line.split()[1:] for line in said if line.startswith("done p")]
    assert len(acknowledged) > STEPS
    with Cadence.open(address, clock=lambda: NOW + timedelta(days=30)) as app:
        for name, command_id in acknowledged:
            history = app.history(name)
            assert [event.version for event in history] == list(range(1, len(history) + 1))
            assert sum(event.command_id == command_id for event in history) == 1
        assert app._recorder.open_claims() == []
        assert_the_index_is_that_of_the_histories(app)
        rows = {row.prospect: row for row in app.due_rows.stored()}
        for prospect in app.histories.load(list(rows)):
            assert not app.due_rows.is_wrong(prospect, rows[prospect.id])
    if kind == "postgres":
        assert deadlocks(address) == before


CIRCLE = """
import random, sys
from cadence.store.due_list import AddressRow, DueRow
from cadence.store.recorders.opening import open_recorder
from cadence.store.recorder import AddressChange

address, worker, steps = sys.argv[1], *map(int, sys.argv[2:])
draw = random.Random(worker)
store = open_recorder(address, lock_timeout_seconds=60)
print("ready", flush=True)
sys.stdin.readline()
for step in range(steps):
    me = f"w{worker}-{step % 5}"
    bases = draw.sample([f"b{number}" for number in range(8)], 4)
    written = tuple(AddressRow(base, base, me, str(step), True) for base in bases[:3])
    change = AddressChange(me, tuple(bases), None, written)
    store.insert_events([], due=[DueRow(me, "wait", 5, 5)], addresses=[change])
    store.insert_events([], due=[DueRow(f"holder{draw.randrange(20)}", "wait", 5, 5)])
    print("done", flush=True)
store.close()
"""


def test_writers_about_several_addresses_do_not_wait_in_a_circle(address: str) -> None:
    """Each locks some of eight addresses, and moves the due rows of twenty others."""
    bases = [f"b{number}" for number in range(8)]
    with Cadence.open(address) as app:
        for number in range(20):
            name = f"holder{number}"
            rows = tuple(AddressRow(base, base, name, "{}", False) for base in bases)
            due = [DueRow(name, "wait", 5, 5)]
            app._recorder.insert_events([], due, addresses=[AddressChange(name, written=rows)])
    before = deadlocks(address)
    said = run_at_once(CIRCLE, address, 5 * STEPS)
    assert said == ["done"] * 4 * 5 * STEPS
    assert deadlocks(address) == before


def run_at_once(program: str, address: str, steps: int) -> list[str]:
    """Let four processes run a program at once; return the lines that they say."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, address, str(number), str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    said = []
    with ThreadPoolExecutor(4) as pool:
        for out, errors in pool.map(lambda worker: worker.communicate("go\n"), workers):
            assert errors == ""
            said += out.splitlines()
    return said


def assert_the_index_is_that_of_the_histories(app: Cadence) -> None:
    stored = app.addresses.rows_of(None, "\uffff")
    folded = [fold(None, history) for history in app.histories.all()]
    made = [row for one in folded if one is not None for row in app.addresses.rows_for(one)]
    assert stored == sorted(made, key=lambda row: (row.prospect, row.key))


def deadlocks(address: str) -> int:
    with pgserver.connect(address) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        found = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert found is not None
    return int(found[0])
