"""Touches that are claimed in batches: each by one worker, and what can't be had is left out."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pgserver
import psycopg
import pytest
from nightly import NIGHTLY

from cadence import Cadence
from cadence.domain import ContactPoint, Event, OptOutRequested, ProspectAdded, ReplyReceived
from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import AttemptMade, Disposition, InterestNoted, Part
from cadence.engine.claims import Claim
from cadence.engine.commands import SetAppointment
from cadence.errors import CadenceError, Conflict, InputError, StoreBusy
from cadence.store import due_rows, next_claims
from cadence.store.recorder import ClaimWrite, Recorder
from cadence.store.recorders import postgres_claims

MEETING = datetime(2026, 12, 1, 14, tzinfo=UTC)
LEASE = timedelta(minutes=15)
PEOPLE = 4000 if NIGHTLY else 400


class Clock:
    """The store's clock, set by the test."""

    now = MEETING

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(address: str | None, clock: Clock) -> Iterator[Cadence]:
    with Cadence.open(address, clock=clock) as opened:
        yield opened


def number_of(person: int) -> str:
    return f"+1212{5550000 + person:07}"


def add(app: Cadence, names: Sequence[str], numbers: Sequence[str] = ()) -> None:
    """Add prospects whose call is due at ``MEETING``, each with a number and an email address."""
    numbers = numbers or [number_of(one) for one in range(len(names))]
    histories: list[tuple[list[Event], int]] = []
    with Cadence.open(None, clock=lambda: MEETING) as made:
        for name, number in zip(names, numbers, strict=True):
            points = (ContactPoint(CALL, number), ContactPoint(EMAIL, f"{name}@example.com"))
            added = ProspectAdded("Jerry", "America/New_York", "US", contact_points=points)
            made.execute(name, added, at=MEETING - timedelta(days=1))
            made.execute(name, SetAppointment(MEETING), at=MEETING - timedelta(days=1))
            histories.append((made.history(name), 0))
    app.histories.append(histories)


def people(count: int) -> list[str]:
    return [f"p{number:04}" for number in range(count)]


def prospects(claims: Sequence[Claim]) -> list[str]:
    return [claim.prospect for claim in claims]


def meanwhile(app: Cadence, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]) -> None:
    """Let another writer come between the reading and the writing of the next batch."""
    kind, begun = type(app._recorder), list[int]()
    insert = kind.insert_claims

    def after_it(self: Recorder, writes: Sequence[ClaimWrite]) -> list[bool]:
        if not begun:
            begun.append(1)
            write()
        return insert(self, writes)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "insert_claims", after_it)


# What can't be had --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        lambda app: app.execute("p0002", OptOutRequested(), at=MEETING),
        lambda app: app.execute("p0002", InterestNoted("boats"), at=MEETING),
        lambda app: app.execute("twin", OptOutRequested(), at=MEETING),
        lambda app: app.addresses.suppress([number_of(2)], by="kim"),
        lambda app: app.claim("p0002", by="ben"),
        lambda app: app.claim("twin", own=CALL, by="ben"),
        lambda app: app.histories.append([(replied(app, "p0002"), 2)]),
    ],
    ids=["opt-out", "note", "opt-out of a twin", "list", "claim", "claim on a twin", "import"],
)
def test_a_word_that_comes_in_between_leaves_one_out_and_the_rest_is_had(
    app: Cadence, monkeypatch: pytest.MonkeyPatch, word: Callable[[Cadence], object]
) -> None:
    add(app, [*people(5), "twin"], [*map(number_of, range(5)), number_of(2)])
    meanwhile(app, monkeypatch, lambda: word(app))
    claims = app.claim_next(5, by="ann", at=MEETING)
    assert prospects(claims)[:4] == ["p0000", "p0001", "p0003", "p0004"]
    # The fifth is free where only its version had changed.
    assert set(prospects(claims)[4:]) <= {"p0002", "twin"}
    mine = {claim.token for claim in claims}
    stored = app._recorder.open_claims()
    assert {row.token for row in stored} >= mine
    assert_one_a_prospect_and_number([row.claim for row in stored])


def replied(app: Cadence, name: str) -> list[Event]:
    return [*app.history(name), Event(name, 3, MEETING, MEETING, ReplyReceived(EMAIL))]


def assert_one_a_prospect_and_number(stored: Sequence[str]) -> None:
    """Check open claims, as the store has them."""
    claims = [msgspec.json.decode(one, type=Claim) for one in stored]
    names = prospects(claims)
    keys = [part.key for claim in claims for part in claim.parts]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("is_default", [False, True])
def test_one_that_is_judged_by_an_older_event_is_not_had(
    app: Cadence, monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    """Also by what a store of one's own inherits, and what each of ours reads by itself."""
    add(app, people(3))
    writes: list[ClaimWrite] = []
    recorder = app._recorder
    with monkeypatch.context() as patch:
        patch.setattr(
            type(recorder),
            "insert_claims",
            lambda _, given: writes.extend(given) or [False] * len(given),
        )
        assert app.claim_next(3, by="ann") == []
    app.execute("p0001", InterestNoted("boats"), at=MEETING)
    names = ["p0001", "p0002", "p0003"]
    versions = {"p0001": 3, "p0002": 2}
    if is_default:
        assert Recorder.insert_claims(recorder, writes[:3]) == [True, False, True]
        assert Recorder.insert_claims(recorder, writes[:3]) == [False, False, False]
        assert [row.prospect for row in Recorder.claims_on(recorder, names)] == ["p0002"]
        assert Recorder.newest_versions(recorder, names) == versions
    else:
        assert recorder.insert_claims(writes[:3]) == [True, False, True]
        assert recorder.insert_claims(writes[:3]) == [False, False, False]
        assert [row.prospect for row in recorder.claims_on(names)] == ["p0002"]
        assert recorder.newest_versions(names) == versions
    assert [row.prospect for row in recorder.open_claims()] == ["p0000", "p0002"]
    assert recorder.insert_claims([]) == recorder.claims_on([]) == []
    assert recorder.newest_versions([]) == {}


def test_of_many_records_with_one_number_one_is_claimed(app: Cadence) -> None:
    add(app, people(40), [number_of(1)] * 40)
    assert prospects(app.claim_next(50, by="ann")) == ["p0000"]
    assert app.claim_next(50, by="ben") == []
    assert [row.prospect for row in app._recorder.open_claims()] == ["p0000"]


def test_more_are_claimed_than_one_transaction_has_locks_for(app: Cadence) -> None:
    add(app, people(300))
    assert prospects(app.claim_next(280, by="ann")) == people(280)
    assert prospects(app.claim_next(280, by="ben")) == people(300)[280:]


@pytest.mark.parametrize("is_stale", [False, True])
@pytest.mark.parametrize(
    "error", [StoreBusy("busy", "wait"), Conflict("p: overtaken", "wait"), InputError("at", "no")]
)
def test_the_claims_that_are_held_are_had_where_a_later_batch_fails(
    app: Cadence, monkeypatch: pytest.MonkeyPatch, error: CadenceError, is_stale: bool
) -> None:
    add(app, people(5))
    monkeypatch.setattr(next_claims, "_MOST", 2)
    monkeypatch.setattr(next_claims, "_FEWEST", 2)
    monkeypatch.setattr(app.due_rows, "are_stale", lambda: is_stale)
    kind = type(app._recorder)
    insert, batches = kind.insert_claims, list[int]()

    def failing(self: Recorder, writes: Sequence[ClaimWrite]) -> list[bool]:
        batches.append(len(writes))
        if len(batches) > 1:
            raise error
        return insert(self, writes)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "insert_claims", failing)
    claims = app.claim_next(5, by="ann")
    assert prospects(claims) == people(2)
    assert {row.token for row in app._recorder.open_claims()} == {one.token for one in claims}
    with pytest.raises(type(error)):
        app.claim_next(5, by="ann")  # nothing is held of this call
    monkeypatch.undo()
    assert prospects(app.claim_next(5, by="ann")) == people(5)[2:]


@pytest.mark.parametrize("store", ["a team's own", "postgres"])
def test_claims_that_are_committed_are_had_where_a_later_transaction_fails(
    monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    """Other stores take all of them in one transaction."""
    is_postgres = store == "postgres"
    address = pgserver.new_address() if is_postgres else None
    with Cadence.open(address, clock=lambda: MEETING) as app:
        add(app, people(3))
        kind: Any = type(app._recorder)
        method = "_take_claims" if is_postgres else "insert_events"
        if not is_postgres:
            monkeypatch.setattr(kind, "insert_claims", Recorder.insert_claims)
        write, writes = getattr(kind, method), list[int]()

        def failing(*given: object, **named: object) -> object:
            writes.append(1)
            if len(writes) != 1:
                raise StoreBusy("busy", "wait")
            return write(*given, **named)

        monkeypatch.setattr(kind, method, failing)
        monkeypatch.setattr(postgres_claims, "_MOST", 1)
        claims = app.claim_next(3, by="ann")
        assert prospects(claims) == people(1)
        assert [row.token for row in app._recorder.open_claims()] == [claims[0].token]
        with pytest.raises(StoreBusy):
            app.claim_next(3, by="ann")


# Leases -------------------------------------------------------------------------------------------


def test_a_lease_that_ran_out_is_claimed_again_in_a_batch(app: Cadence, clock: Clock) -> None:
    add(app, people(4))
    first = app.claim_next(2, by="ann")
    sent = app.claim_next(1, by="bot", on_expiry="assume_made")
    assert prospects(app.claim_next(4, by="ann")) == ["p0003"]  # not what ann holds already
    clock.now = first[0].until
    again = app.claim_next(4, by="ben", at=MEETING + timedelta(minutes=1))
    assert prospects(again) == ["p0000", "p0001", "p0003"]  # p0002 may have been sent
    assert {claim.until for claim in again} == {clock.now + LEASE}
    row = app._recorder.find_claim(first[0].token)
    assert row is not None
    assert row.ended == "expired"
    assert [one.state(clock.now).value for one in sent] == ["unknown"]


def test_a_claim_that_an_import_ended_stands_no_more(app: Cadence, clock: Clock) -> None:
    add(app, people(2))
    app.claim_next(2, by="ann")
    history = app.history("p0001")
    made = AttemptMade((Part(CALL, Disposition.CONNECTED),))
    app.histories.append([([*history, Event("p0001", 3, MEETING, MEETING, made)], 2)])
    claims = app._claims.open_on(["p0000", "p0001", "p0002"])
    assert sorted(claims) == ["p0000", "p0001"]
    assert app._claims.standing(claims) == {"p0000"}


@pytest.mark.parametrize("given", [{"by": " "}, {"by": "a", "lease": timedelta(0)}])
def test_an_invalid_batch_names_the_value(app: Cadence, given: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"by|lease"):
        app.claim_next(1, **given)  # type: ignore[arg-type]


# Along the list -----------------------------------------------------------------------------------


def test_what_was_given_back_is_claimed_again_before_the_list_is_over(
    app: Cadence, clock: Clock
) -> None:
    add(app, people(60))
    first = app.claim_next(20, by="ann")
    for claim in first[3:6]:
        app.release(claim)
    assert prospects(app.claim_next(5, by="ben")) == people(60)[20:25]  # not yet
    had = people(60)[20:25]
    clock.now += timedelta(seconds=10)
    while new := app.claim_next(5, by="ben"):
        had += prospects(new)
    assert sorted(had) == people(60)[3:6] + people(60)[20:]
    assert had.index("p0003") < len(had) - 5


def test_who_finds_rows_taken_begins_further_on_and_leaves_none_out(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(app, people(300))
    rival = Cadence(app._recorder, clock=app.clock.now)
    meanwhile(app, monkeypatch, lambda: rival.claim_next(10, by="rival", at=MEETING))
    claims = app.claim_next(10, by="ann", at=MEETING)
    assert len(claims) == 10
    assert min(prospects(claims)) > "p0019"  # some are left to the rival
    left = prospects(app.claim_next(300, by="ann", at=MEETING))
    assert sorted(left + prospects(claims)) == people(300)[10:]


def test_where_rows_are_of_another_engine_all_are_decided_first(
    app: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(app, people(5))
    monkeypatch.setattr(due_rows, "_ENGINE", "another")
    assert prospects(app.claim_next(3, by="ann")) == people(3)
    assert prospects(app.claim_next(3, by="ben")) == people(5)[3:]


def test_only_what_is_asked_for_is_claimed(app: Cadence) -> None:
    add(app, people(3))
    assert app.claim_next(3, by="ann", channel="email") == []
    assert app.claim_next(3, by="ann", owner="kim") == []
    assert app.claim_next(3, by="ann", at=MEETING - timedelta(hours=1)) == []
    assert len(app.claim_next(3, by="ann", channel="call")) == 3


# Many at once, in real processes ------------------------------------------------------------------

WORKER = """
import sys
from datetime import UTC, datetime
from cadence import Cadence

address, name, count = sys.argv[1:]
now = datetime(2026, 12, 1, 14, tzinfo=UTC)
with Cadence.open(address, clock=lambda: now, lock_timeout_seconds=60) as app:
    print("ready", flush=True)
    sys.stdin.readline()
    while claims := app.claim_next(int(count), by=name):
        for claim in claims:
            print(claim.prospect, claim.parts[0].key, flush=True)
"""
OPT_OUTS = """
import sys
from datetime import UTC, datetime, timedelta
from cadence import Cadence
from cadence.domain import OptOutRequested

address, first, step = sys.argv[1:]
now = datetime(2026, 12, 1, 14, tzinfo=UTC)
with Cadence.open(address, clock=lambda: now, lock_timeout_seconds=60) as app:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(first), 10**6, int(step)):
        if not app.histories.of([f"p{number:04}"])[f"p{number:04}"]:
            break
        app.execute(f"p{number:04}", OptOutRequested(), at=now)
"""


def run_at_once(workers: Sequence[tuple[str, ...]], address: str) -> list[list[str]]:
    """Let processes run at once; return the lines that each says."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, address, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for program, *given in workers
    ]
    for worker in started:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    said = []
    with ThreadPoolExecutor(len(started)) as pool:
        for out, errors in pool.map(lambda worker: worker.communicate("go\n"), started):
            assert errors == ""
            said.append(out.splitlines())
    return said


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that processes share."""
    return str(tmp_path / "c.db") if request.param == "sqlite" else pgserver.new_address()


def test_a_batch_in_a_transaction_of_the_callers_is_had_once_they_commit(shared: str) -> None:
    def connect() -> Any:
        is_file = not shared.startswith("postgresql")
        return sqlite3.connect(shared) if is_file else psycopg.connect(shared.split("&schema=")[0])

    with Cadence.open(shared, clock=lambda: MEETING) as app:
        add(app, people(40))
        for end in ("rollback", "commit"):
            with closing(connect()) as connection:
                with app.using(connection) as inside:
                    assert prospects(inside.claim_next(35, by="ann")) == people(35)
                assert app._recorder.open_claims() == []
                getattr(connection, end)()
        assert prospects(app.claim_next(35, by="ben")) == people(40)[35:]


def test_of_processes_that_claim_batches_at_once_none_holds_what_another_holds(
    shared: str,
) -> None:
    """Every number is of two records. In the end each was claimed once."""
    with Cadence.open(shared, clock=lambda: MEETING) as app:
        add(app, people(PEOPLE), [number_of(one // 2) for one in range(PEOPLE)])
    said = run_at_once([(WORKER, "ann", "3"), (WORKER, "ben", "4")], shared)
    claimed = [line.split() for lines in said for line in lines]
    assert len({name for name, _ in claimed}) == len(claimed)
    assert sorted(key for _, key in claimed) == sorted(number_of(one) for one in range(PEOPLE // 2))
    with Cadence.open(shared, clock=lambda: MEETING) as app:
        stored = app._recorder.open_claims()
    assert len(stored) == PEOPLE // 2
    assert_one_a_prospect_and_number([row.claim for row in stored])


def test_an_opt_out_and_a_batch_at_the_same_moment_see_each_other(shared: str) -> None:
    """Either the claim was refused by the word, or the word ended the claim."""
    with Cadence.open(shared, clock=lambda: MEETING) as app:
        add(app, people(PEOPLE // 2))
        # On a busy machine one side may be done before the other begins: some meet in any case.
        claimed = {claim.prospect for claim in app.claim_next(5, by="ann")}
    workers = [(OPT_OUTS, "0", "2"), (WORKER, "ann", "10"), (OPT_OUTS, "1", "4")]
    claimed |= {line.split()[0] for line in run_at_once(workers, shared)[1]}
    with Cadence.open(shared, clock=lambda: MEETING) as app:
        standing = app._claims.standing(app._claims.every_open())
        opted_out = {
            history[0].prospect
            for history in app.histories.all()
            if isinstance(history[-1].data, OptOutRequested)
        }
    assert standing <= claimed
    assert not standing & opted_out
    assert claimed & opted_out  # they did meet
    assert standing | opted_out == set(people(PEOPLE // 2))
