"""What every store promises, by name: one suite, run on memory, SQLite and Postgres."""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pgserver
import pytest
from adoption_cases import OURS
from eventsourcing.persistence import IntegrityError

from cadence.domain.channels import CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    EndReason,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine.commands import EndFollowUp, NoteValue, SetAppointment
from cadence.engine.decision import Verdict
from cadence.errors import (
    Conflict,
    InputError,
    Refused,
    StoreError,
    UnknownProspect,
)
from cadence.store import Cadence
from cadence.store.due_list import DueQuery, DueRow
from cadence.store.recorder import Refreshed, SettingRow
from cadence.store.recorders.opening import open_recorder
from cadence.store.recorders.postgres import PostgresRecorder
from cadence.store.recorders.postgres_connection import without_password
from cadence.store.recorders.sql import ADDED_COLUMNS
from cadence.store.serializer import EventMapper

STORES = ["memory", "sqlite", "postgres"]
SHARED = ["sqlite", "postgres"]  # by several processes

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
ADDED = ProspectAdded(
    "Jerry", "Europe/Berlin", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),)
)

# Printable, not only spaces, and awkward for SQL, JSON, files, formats, sorting or eyes.
AWKWARD_IDS = [
    "jerry",
    "Jerry",
    "o'brien",
    'he said "no"',
    "'; DROP TABLE due; --",
    "back\\slash",
    "%s",
    "%(name)s",
    "{}",
    "$1",
    "?",
    ":name",
    "../../etc/passwd",
    "a/b?c=d&e#f",
    "NULL",
    "0",
    "-1",
    " leading",
    "trailing ",
    "two  spaces",
    "ä",
    "a\u0308",
    "İstanbul",
    "straße",
    "שלום",
    "مرحبا",
    "日本語",
    "\uffee",
    "🙂",
    "𝔸",
    "x" * 200,
]


@dataclass(frozen=True)
class Place:
    """Where a store is; ``address`` is what ``Cadence.open`` takes."""

    kind: str
    address: str | None


def new_place(kind, folder):
    if kind == "memory":
        return Place(kind, None)
    return Place(kind, str(folder / "cadence.db") if kind == "sqlite" else pgserver.new_address())


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    return new_place(request.param, tmp_path)


@pytest.fixture
def app(place):
    with Cadence.open(place.address, lock_timeout_seconds=30) as opened:
        yield opened


@pytest.fixture
def store(app):
    return app._recorder


def noted(prospect, version, text="x"):
    return Event(prospect, version, NOW, NOW, InterestNoted(text))


def stored(*events):
    return [EventMapper().to_stored_event(event) for event in events]


def row(prospect, at, wake=0, verdict="wait"):
    return DueRow(prospect, verdict, at, wake)


def texts(events):
    return [event.data.text for event in events]


def test_a_commit_on_sqlite_is_synced_before_it_is_acknowledged(tmp_path):
    """Nothing but the setting tells: a killed process does not lose what a power cut would."""
    with Cadence.open(str(tmp_path / "c.db")) as app, app._recorder._write() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


# A version is written once -----------------------------------------------------------------------


def test_the_policies_that_are_kept_are_listed_by_digest_each_once(place, app, store):
    assert store.policy_digests() == []
    app.execute("p", ADDED, at=NOW)
    for digest, text in (("b" * 64, "one"), ("a" * 64, "two"), ("b" * 64, "three")):
        store.save_policy(digest, text)
    assert store.policy_digests() == ["a" * 64, "b" * 64]
    assert store.policy_text("b" * 64) == "three"
    assert app.library.kept() == []  # none of these texts is a policy
    if place.address is not None:
        with Cadence.open(place.address, read_only=True) as other:
            assert other._recorder.policy_digests() == ["a" * 64, "b" * 64]


def setting(number, name="default_region", value="DE"):
    return SettingRow(name, value, f"user {number}", number)


def test_the_changes_of_settings_come_back_in_order_and_by_name(place, app, store):
    assert store.select_settings() == []
    rows = [
        setting(1),
        setting(3, "team.company", "O'Neill & Söhne 🙂 %s {schema} ?"),
        setting(2, value=None),
    ]
    store.insert_settings(rows[:2])
    store.insert_settings(rows[2:])
    assert store.select_settings() == rows
    assert store.select_settings("default_region") == [rows[0], rows[2]]
    assert store.select_settings("nothing") == []
    if place.kind != "memory":
        with Cadence.open(place.address) as again:
            assert again._recorder.select_settings() == rows


def test_settings_changed_by_several_threads_are_all_kept(store):
    names = [f"team.owners.{number}.name" for number in range(8)]

    def change(name):
        for number in range(5):
            store.insert_settings([setting(number, name), setting(number, "team.company", name)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, names))
    found = store.select_settings()
    assert len(found) == 80
    for name in names:
        assert [row.at for row in found if row.name == name] == list(range(5))
    # A change of two settings stands together.
    assert all(one.name == other.value for one, other in zip(found[::2], found[1::2], strict=True))


@pytest.mark.parametrize("kind", SHARED)
def test_a_store_of_an_older_cadence_has_no_settings_until_it_is_opened_to_write(kind, tmp_path):
    place = new_place(kind, tmp_path)
    with Cadence.open(place.address) as app:
        app.execute("p", ADDED, at=NOW)
    if kind == "sqlite":
        with closing(sqlite3.connect(place.address)) as connection:
            connection.execute("DROP TABLE settings")
    else:
        with pgserver.connect(place.address) as connection:
            connection.execute(f"DROP TABLE {pgserver.schema_of(place.address)}.settings")
    with Cadence.open(place.address, read_only=True) as reader:
        assert reader.explain("p", NOW).prospect == "p"
        assert reader.settings().default_region is None
        with Cadence.open(place.address) as app:
            app.change_settings({"default_region": "DE"}, by="kim", at=NOW)
        assert reader.settings().default_region == "DE"


@pytest.mark.parametrize("kind", SHARED)
def test_the_due_list_of_an_older_cadence_is_completed_when_it_is_opened_to_write(kind, tmp_path):
    place = new_place(kind, tmp_path)
    added = ProspectAdded("Ann", "UTC", owner="kim")
    with Cadence.open(place.address) as app:
        app.execute("p", added, at=NOW)
        rows = app.due_rows.stored()
    drop = "DROP INDEX {0}due_owner", "DROP INDEX {0}due_stamp"
    drop += tuple(f"ALTER TABLE {{0}}due DROP COLUMN {one}" for one in ADDED_COLUMNS)
    if kind == "sqlite":
        with closing(sqlite3.connect(place.address)) as connection, connection:
            for statement in drop:
                connection.execute(statement.format(""))
    else:
        with pgserver.connect(place.address) as connection:
            for statement in drop:
                connection.execute(statement.format(f"{pgserver.schema_of(place.address)}."))
    with Cadence.open(place.address, read_only=True) as reader:
        assert [one.prospect for one in reader.due(NOW, owner="kim")] == ["p"]
        assert reader.due(NOW, owner="nobody").items == []
    with Cadence.open(place.address) as app:
        for is_stale in (True, False):
            assert app.due_rows.are_stale() is is_stale
            assert [one.prospect for one in app.due(NOW, owner="kim")] == ["p"]
            app.due_rows.rebuild()
        assert app.due_rows.stored() == rows


def test_a_version_that_is_taken_is_refused_and_nothing_of_the_write_stays(store):
    store.insert_events(stored(noted("p", 1, "first")), due=[row("p", 1)])
    for late in ([1, 2], [2, 1], [2, 3, 3]):
        with pytest.raises(IntegrityError):
            store.insert_events(
                stored(noted("q", 1), *(noted("p", version, "late") for version in late)),
                due=[row("p", 2), row("q", 2)],
            )
    assert texts(store.select_stream("p")) == ["first"]
    assert store.select_stream("q") == []
    assert list(store.due_rows()) == [row("p", 1)]
    store.insert_events(stored(noted("p", 2)), due=[row("p", 3)])
    assert list(store.due_rows()) == [row("p", 3)]


def test_of_two_writers_of_one_version_one_wins_whole(store):
    start = threading.Barrier(2)

    def write(number, prospect):
        start.wait(10)
        events = [noted(prospect, version, str(number)) for version in (1, 2)]
        try:
            store.insert_events(stored(*events), due=[row(prospect, number)])
        except IntegrityError:
            return None
        return number

    with ThreadPoolExecutor(2) as pool:
        for prospect in map(str, range(25)):
            results = [pool.submit(write, number, prospect) for number in (1, 2)]
            [winner] = [found for one in results if (found := one.result(30)) is not None]
            assert texts(store.select_stream(prospect)) == [str(winner)] * 2
            assert row(prospect, winner) in list(store.due_rows())
    assert len(list(store.due_rows())) == 25


# Events and due row -----------------------------------------------------------------------------


def test_events_and_due_row_appear_together(store):
    done = threading.Event()
    parted = []

    def watch():
        while not done.is_set():
            # A row says how many events there were; the events are read after it.
            for found in store.select_due(DueQuery(), None, 10):
                if len(store.select_stream(found.prospect)) < found.at:
                    parted.append(found)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for version in range(1, 80):
            store.insert_events(stored(noted("p", version)), due=[row("p", version)])
            [found] = store.due_rows()
            assert found.at == version == len(store.select_stream("p"))
    finally:
        done.set()
        watcher.join(30)
    assert parted == []


def test_where_the_due_row_can_not_be_written_neither_are_the_events(place, store):
    store.insert_events(stored(noted("p", 1)), due=[row("p", 1)])
    broken = [(row("p", 2) for _ in "a" if 1 / 0)]
    if place.kind != "memory":  # which has no columns that could refuse a value
        broken.append([row("p", 2), DueRow("q", None, 1, 1)])
    for due in broken:
        with pytest.raises((IntegrityError, ZeroDivisionError)):
            store.insert_events(stored(noted("p", 2), noted("q", 1)), due=due)
    assert len(store.select_stream("p")) == 1
    assert store.select_stream("q") == []
    assert list(store.due_rows()) == [row("p", 1)]


WRITER = """
import sys
from datetime import UTC, datetime
from cadence.domain.events import InterestNoted, ProspectAdded
from cadence.store import Cadence

number = 0
with Cadence.open(sys.argv[1]) as app:
    while True:
        number += 1
        now = datetime(2026, 11, 2, 9, tzinfo=UTC)
        app.execute(f"p{number}", ProspectAdded("Jerry", "Europe/Berlin"), at=now)
        app.execute(f"p{number}", InterestNoted("x"), at=now)
        print(number, flush=True)
"""


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_a_killed_process_leaves_whole_writes_and_all_it_acknowledged(place):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, place.address], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            acknowledged = [next(process.stdout) for _ in range(30)]
        finally:
            os.kill(process.pid, signal.SIGKILL)
    with Cadence.open(place.address) as app:
        for line in acknowledged:
            assert len(app.history(f"p{line.strip()}")) == 2
        found = app.due_rows.stored()
        assert [one.prospect for one in found] == list(app.prospects())
        app.due_rows.rebuild()
        assert app.due_rows.stored() == found


# Streams ----------------------------------------------------------------------------------------


def test_an_id_that_is_any_printable_text_works(app):
    for number, prospect in enumerate(AWKWARD_IDS):
        app.execute(prospect, ADDED, at=NOW)
        app.execute(prospect, InterestNoted(str(number)), at=NOW)
    assert list(app.prospects()) == sorted(AWKWARD_IDS)
    assert [one.prospect for one in app.due_rows.stored()] == sorted(AWKWARD_IDS)
    assert {one.prospect for one in app.due(NOW)} == set(AWKWARD_IDS)
    streams = app._recorder.select_streams([*AWKWARD_IDS, "unknown"])
    for number, prospect in enumerate(AWKWARD_IDS):
        assert app.load(prospect).id == prospect
        assert app.history(prospect)[1].data == InterestNoted(str(number))
        assert streams[prospect] == app.history(prospect)
    assert streams["unknown"] == []


def test_any_text_in_an_event_comes_back_as_it_was(store):
    awkward = ["", "\x00", "a\nb\r\nc\u2028d", '"\\', "🙂\u202e", "\ufeff", "null"]
    store.insert_events(stored(*(noted("p", n, text) for n, text in enumerate(awkward, 1))))
    assert texts(store.select_stream("p")) == awkward


def test_streams_come_back_in_order_of_version(store):
    prospects = ["b", "a", "c"]
    for version in range(1, 121):
        store.insert_events(stored(*(noted(prospect, version) for prospect in prospects)))
    for prospect, events in store.select_streams(prospects).items():
        assert [event.version for event in events] == list(range(1, 121))
        assert {event.prospect for event in events} == {prospect}
        assert store.select_stream(prospect) == events


def test_a_stream_is_in_order_of_version_however_it_was_written(store):
    store.insert_events(stored(noted("p", 3)))
    store.insert_events(stored(noted("p", 2), noted("p", 1)))
    assert [event.version for event in store.select_stream("p")] == [1, 2, 3]


def test_the_ids_of_all_prospects_come_in_pages_and_in_order(store):
    ids = sorted(f"p{number % 7}-{number}" for number in range(50))
    for prospect in ids:
        store.insert_events(stored(noted(prospect, 1), noted(prospect, 2)))
    for limit in (1, 7, 49, 50, 51):
        found = []
        while page := store.select_prospects(found[-1] if found else None, limit):
            assert len(page) <= limit
            found += page
        assert found == ids
    assert store.select_prospects("p3", 2) == [one for one in ids if one > "p3"][:2]


def test_many_events_of_many_prospects_are_appended_in_one_transaction(app):
    histories = [[noted(f"p{number}", v) for v in range(1, 61)] for number in range(25)]
    assert app.histories.append((history, 0) for history in histories) == 1500
    assert [app.history(history[0].prospect) for history in histories] == histories
    longer = [[*history, noted(history[0].prospect, 61)] for history in histories]
    assert app.histories.append((history, 60) for history in longer) == 25
    found = app.due_rows.stored()
    assert len(found) == 25
    app.due_rows.rebuild()
    assert app.due_rows.stored() == found


def test_of_many_appended_at_once_none_is_recorded_when_one_was_overtaken(app):
    app.histories.append([([noted("p1", 1), noted("p1", 2)], 0)])
    before = app.due_rows.stored()
    overtaken = [([noted(f"p{n}", 1), noted(f"p{n}", 2)], 0) for n in (0, 2, 1, 3)]
    with pytest.raises(Conflict):
        app.histories.append(overtaken)
    assert list(app.prospects()) == ["p1"]
    assert app.due_rows.stored() == before


# The due list -----------------------------------------------------------------------------------


def some_rows(count):
    """Rows of which many share a time, some have none, and ids sort in an awkward way."""
    chosen = random.Random(7)
    ends = ["a", "B", "Z", "ä", "_", "\uffee", "🙂", "ﬀ"]
    return [
        row(
            f"{ends[number % len(ends)]}{number}",
            chosen.choice([None, 0, 5, 5, 6, 10**15]),
            chosen.choice([0, 3, 9]),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("limit", [1, 2, 7, 64, 1000])
def test_the_due_list_comes_in_pages_by_time_and_id_with_no_row_lost_or_doubled(store, limit):
    rows = some_rows(150)
    store.insert_events([], due=rows)
    for wake in (None, 0, 4, 9):
        found, after = [], None
        while page := store.select_due(DueQuery(wake), after, limit):
            assert len(page) <= limit
            found += page
            after = (page[-1].at, page[-1].prospect)
        wanted = [r for r in rows if r.at is not None and (wake is None or r.review_from <= wake)]
        assert found == sorted(wanted, key=lambda r: (r.at, r.prospect))


def test_the_due_list_is_read_by_owner_and_by_channel(store):
    rows = [
        row("p", 5)._replace(owner="ann", name="P", channels=",call,email,"),
        row("q", 4)._replace(owner="bob", name="Q", channels=",call,"),
        row("r", 3)._replace(owner="ann", name="R", channels=",video_email,"),
        row("s", 2)._replace(name="S"),
    ]
    store.insert_events([], due=rows)
    assert store.due_rows() == rows

    def found(**query):
        return [one.prospect for one in store.select_due(DueQuery(**query), None, 9)]

    assert found(owner="ann") == ["r", "p"]
    assert found(owner="an") == []
    assert found(channel="call") == ["q", "p"]
    assert found(channel="email") == ["p"]
    assert found(owner="ann", channel="video_email", review_until=0) == ["r"]
    assert [one.prospect for one in store.select_due(DueQuery(owner="ann"), (3, "r"), 9)] == ["p"]


def test_a_text_is_found_in_whatever_event_holds_it(store):
    store.insert_events(
        stored(noted("q", 1, "+12125550100"), noted("q", 2, "x")), due=[row("q", 1)]
    )
    store.insert_events(stored(noted("p", 1, "ring 2125550100 José")), due=[row("p", 1)])
    assert store.select_mentioning("2125550100") == ["p", "q"]
    assert store.select_mentioning("José") == ["p"]
    assert store.select_mentioning("3125550100") == []


def test_a_row_that_never_wakes_is_in_the_whole_list_only(store):
    store.insert_events([], due=[row("p", 5, None), row("q", 5, 0)])
    assert store.select_due(DueQuery(10), None, 5) == [row("q", 5, 0)]
    assert store.select_due(DueQuery(), None, 5) == [row("p", 5, None), row("q", 5, 0)]


def test_a_page_begins_after_any_place_whether_or_not_a_row_stands_there(store):
    store.insert_events([], due=[row("b", 5), row("d", 5), row("a", 6)])
    for after, first in (
        ((5, "a"), "b"),
        ((5, "b"), "d"),
        ((5, "c"), "d"),
        ((5, "z"), "a"),
        ((4, "z"), "b"),
    ):
        assert store.select_due(DueQuery(), after, 1)[0].prospect == first
    assert store.select_due(DueQuery(), (6, "a"), 1) == []


def test_refreshed_rows_replace_those_of_the_same_version_and_no_newer_one(store):
    for prospect in "pqr":
        store.insert_events(stored(noted(prospect, 1)), due=[row(prospect, 1)])
    store.insert_events(stored(noted("q", 2)), due=[row("q", 2)])
    rows = [Refreshed(row(prospect, 9), 1) for prospect in "pqr"]
    store.refresh_due(rows, None, "r", "up to r")
    assert store.due_rows() == [row("p", 9), row("q", 2), row("r", 9)]
    assert store.due_mark() == "up to r"
    assert store.due_stamp() is None or store.due_stamp() != "up to r"


def test_a_refresh_adds_missing_rows_and_deletes_those_of_nobody(store):
    store.insert_events(stored(noted("b", 1), noted("d", 1)), due=[row("b", 1)])
    store.insert_events([], due=[row("a", 1), row("c", 1), row("e", 1)])
    rows = [Refreshed(row("b", 1), 1), Refreshed(row("d", 2), 1)]
    store.refresh_due(rows, "a", "d", "mark")
    assert [one.prospect for one in store.due_rows()] == ["a", "b", "d", "e"]
    store.finish_due("d", "whole")
    assert [one.prospect for one in store.due_rows("a")] == ["b", "d"]
    assert [one.prospect for one in store.due_rows("a", "c")] == ["b"]
    assert (store.due_stamp(), store.due_mark()) == ("whole", None)


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_stale_rows_are_those_of_other_stamps_in_pages(store, limit):
    stamps = ["", "3", "4", "4 aa", "4 ab", "5", "5 aa", "5 ab", "6", "50"]
    rows = [
        row(f"{name}{number}", None if number % 3 else 5)._replace(stamp=stamp)
        for number, stamp in enumerate(stamps)
        for name in "pq"
    ]
    store.insert_events([], due=rows)
    for mine in (("5", "5 aa"), ("4", "4 zz"), ("7", "7 aa"), ("0", "0 aa")):
        found = []
        while page := store.select_stale(mine, found[-1] if found else None, limit):
            assert len(page) <= limit
            found += page
        wanted = [(one.stamp, one.prospect) for one in rows if one.stamp not in mine]
        assert sorted(found) == sorted(wanted)
        assert len(found) == len(wanted)


def carry_on(app):
    """A few lives of different length, the same each time."""
    for number in range(12):
        prospect = f"p{number}"
        point = ContactPoint(CALL, f"+1 212 555 01{number:02}")
        app.execute(prospect, ProspectAdded("Jo", "UTC", contact_points=(point,)), at=NOW)
        if number % 2:
            at = NOW + timedelta(days=1, hours=number % 5)
            app.execute(prospect, SetAppointment(at), at=NOW)
        if number % 3 == 1:
            tried = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
            for day in range(number):
                app.execute(prospect, tried, at=NOW + timedelta(days=2 + 3 * day))
        if number % 4 == 2:
            app.execute(prospect, ReplyReceived(EMAIL), at=NOW + timedelta(days=40))
        if number == 8:
            app.execute(prospect, OptOutRequested(), at=NOW + timedelta(days=41))
        if number == 9:
            app.execute(prospect, EndFollowUp(EndReason.BOUGHT), at=NOW + timedelta(days=41))


def test_the_list_that_was_kept_is_the_list_made_anew(app):
    carry_on(app)
    kept = app.due_rows.stored()
    assert len(kept) == 12
    assert len({one.verdict for one in kept}) > 2
    assert app.due_rows.rebuild() == 12
    assert app.due_rows.stored() == kept
    app._recorder.insert_events([], due=[row("p1", None), row("nobody", 1)])
    assert app.due_rows.are_stale()
    app.due_rows.rebuild()
    assert app.due_rows.stored() == kept
    assert not app.due_rows.are_stale()


def test_every_store_keeps_the_same_list(tmp_path):
    found = []
    for kind in STORES:
        with Cadence.open(new_place(kind, tmp_path).address) as app:
            carry_on(app)
            late = NOW + timedelta(days=60)
            found.append(
                (
                    app.due_rows.stored(),
                    list(app.due(late)),
                    list(app.due(late, verdicts=[*Verdict])),
                )
            )
    assert found[0] == found[1] == found[2]
    assert found[0][1]


# Commands ---------------------------------------------------------------------------------------


def test_two_threads_with_many_commands_on_one_prospect_lose_and_double_nothing(app):
    app.execute("p", ADDED, at=NOW)

    def work(name):
        for number in range(40):
            app.execute("p", InterestNoted(f"{name}{number}"), at=NOW)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, name) for name in "ab"]:
            done.result(60)
    check_both_worked(app, 40)


def check_both_worked(app, count):
    events = app.history("p")
    assert [event.version for event in events] == list(range(1, 2 * count + 2))
    for name in "ab":
        mine = [text for text in texts(events[1:]) if text.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(count)]
    kept = app.due_rows.stored()
    app.due_rows.rebuild()
    assert app.due_rows.stored() == kept


WORKER = """
import sys
from datetime import UTC, datetime
from cadence.domain.events import InterestNoted, ProspectAdded
from cadence.errors import Refused
from cadence.store import Cadence

address, name, count = sys.argv[1:]
now = datetime(2026, 11, 2, 9, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
with Cadence.open(address, lock_timeout_seconds=30) as app:
    try:
        app.execute("p", ProspectAdded("Jerry", "Europe/Berlin"), at=now)
    except Refused:
        pass  # the other was first
    for number in range(int(count)):
        app.execute("p", InterestNoted(f"{name}{number}"), at=now)
"""


@pytest.mark.parametrize("place", SHARED, indirect=True)
def test_two_processes_that_share_a_new_store_lose_and_double_nothing(place):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, place.address, name, "40"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert (worker.returncode, errors) == (0, "")
    with Cadence.open(place.address) as app:
        check_both_worked(app, 40)


def test_a_repeated_command_id_has_no_second_effect(app):
    app.execute("p", ADDED, at=NOW)
    first = app.execute("p", InterestNoted("once"), at=NOW, command_id="c1")
    again = app.execute("p", InterestNoted("once"), at=NOW + timedelta(hours=1), command_id="c1")
    assert not first.repeated
    assert again.repeated
    assert again.events == first.events
    with pytest.raises(InputError, match=r"'c1' was used for another InterestNoted \(version 2"):
        app.execute("p", InterestNoted("twice?"), at=NOW, command_id="c1")
    assert texts(app.history("p")[1:]) == ["once"]
    other = app.execute("p", InterestNoted("other"), at=NOW, command_id="c2")
    assert not other.repeated


def test_values_noted_by_several_writers_at_once_have_ids_of_their_own(place, app):
    app.execute("p", ADDED, at=NOW)
    writers = [app] if place.address is None else [app, Cadence.open(place.address)]

    def note(number):
        return writers[number % len(writers)].execute("p", NoteValue(f"reason {number}"), at=NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(12)))
    for other in writers[1:]:
        other.close()
    values = app.load("p").values
    assert sorted(one.id for one in values) == sorted(f"value-{n}" for n in range(1, 13))
    assert len({one.text for one in values}) == 12


def test_a_command_id_repeated_by_several_at_once_has_one_effect(app):
    app.execute("p", ADDED, at=NOW)
    start = threading.Barrier(4)

    def work(number):
        start.wait(10)
        return app.execute("p", InterestNoted("x"), at=NOW, command_id=f"c{number}")

    with ThreadPoolExecutor(4) as pool:
        for number in range(10):
            outcomes = [pool.submit(work, number) for _ in range(4)]
            assert sum(not one.result(30).repeated for one in outcomes) == 1
    assert len(app.history("p")) == 11


def test_a_refused_command_writes_nothing(app):
    app.execute("p", ADDED, at=NOW)
    kept = app.due_rows.stored()
    with pytest.raises(Refused):
        app.execute("p", ADDED, at=NOW)
    assert len(app.history("p")) == 1
    assert app.due_rows.stored() == kept


def test_an_unknown_prospect_is_called_unknown(app):
    for ask in (
        app.history,
        app.load,
        app.explain,
        lambda p: app.execute(p, InterestNoted("x"), at=NOW),
        lambda p: app.execute(p, EndFollowUp(EndReason.BOUGHT), at=NOW),
    ):
        with pytest.raises(UnknownProspect) as caught:
            ask("newman")
        assert "newman" in caught.value.what
        assert caught.value.exit_code == 2
    assert list(app.prospects()) == []
    assert app.due_rows.stored() == []


def test_what_was_written_is_there_when_the_store_is_opened_again(tmp_path):
    for kind in SHARED:
        address = new_place(kind, tmp_path).address
        with Cadence.open(address) as app:
            carry_on(app)
            kept = app.due_rows.stored(), [app.history(prospect) for prospect in app.prospects()]
        with Cadence.open(address) as app:
            assert (app.due_rows.stored(), [app.history(one) for one in app.prospects()]) == kept


# Postgres alone ---------------------------------------------------------------------------------


@pytest.fixture
def address():
    return pgserver.new_address()


@pytest.fixture
def on_postgres(address):
    with Cadence.open(address) as opened:
        yield opened


def error_of(address, within=5.0):
    """The error of opening ``address``, which has two lines and comes soon."""
    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        Cadence.open(address)
    assert time.monotonic() - started < within
    error = caught.value
    assert "\n" not in error.what
    assert error.hint
    assert "\n" not in error.hint
    for secret in (pgserver.PASSWORD, "hunter2"):
        assert secret not in str(error)
    return error


def test_a_refused_connection_is_said_at_once_and_without_the_password():
    error = error_of("postgresql://kramer:hunter2@127.0.0.1:1/giddyup")
    assert "postgresql://kramer@127.0.0.1:1/giddyup: can't be reached" in error.what
    assert "refused" in error.what
    assert "port" in error.hint
    assert "can't be reached" in error_of("postgresql:///giddyup?host=/no/such/folder").what


def test_a_server_that_does_not_answer_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = error_of(f"postgresql://k:hunter2@127.0.0.1:{port}/d?connect_timeout=2", 8)
    assert "can't be reached" in error.what


def test_a_wrong_or_missing_password_is_called_so():
    folder = pgserver.folder()
    error = error_of(f"postgresql://{pgserver.GUEST}:hunter2@/postgres?host={folder}")
    assert error.what.endswith("the password is wrong")
    assert "PGPASSWORD" in error.hint
    assert "password" in error_of(f"postgresql://{pgserver.GUEST}@/postgres?host={folder}").what


def test_the_right_password_lets_in_and_is_not_shown(on_postgres):
    given = f"postgresql://{pgserver.GUEST}:Tr0ub4dor%263@/postgres?host={pgserver.folder()}"
    error = error_of(f"{given}&schema={pgserver.new_schema()}")
    assert "permission denied" in error.what
    assert "ask the owner" in error.hint


def test_a_database_or_role_that_is_not_there_is_named():
    folder = pgserver.folder()
    error = error_of(f"postgresql://postgres@/nowhere?host={folder}")
    assert 'database "nowhere" does not exist' in error.what
    assert "createdb" in error.hint
    assert 'role "nobody" does not exist' in error_of(f"postgresql://nobody@/d?host={folder}").what


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:hunter2%zz@h/d",
        "postgresql://u:hunter2@h/d?nonsense=1",
        "postgresql://u:hunter2@[h/d",
        "postgresql://u:hunter2@h/d?sslmode",
    ],
)
def test_an_address_that_can_not_be_read_is_not_shown(address):
    error = error_of(address)
    assert error.exit_code == 2
    assert without_password(address) == "postgresql://…"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://u:p%40ss@h:5433/d?schema=s", "postgresql://u@h:5433/d?schema=s"),
        ("postgres://u:secret@h/d?sslmode=require", "postgresql://u@h/d"),
        ("postgresql:///d?host=/run/pg&password=secret", "postgresql:///d?host=/run/pg"),
        ("postgresql://", "postgresql:///"),
        ("postgresql://u%20v:@h/d%2Fe", "postgresql://u%20v@h/d%2Fe"),
    ],
)
def test_an_address_is_shown_without_its_password(address, shown):
    assert without_password(address) == shown


def test_tables_of_another_program_are_left_alone(address):
    schema = pgserver.schema_of(address)
    with pgserver.connect(address) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        for made in ("meta (key text, value text)", "due (x int)", "stored_events (x int)"):
            connection.execute(f"CREATE TABLE {schema}.{made}")
            error = error_of(address)
            assert made.partition(" ")[0] in error.what
            assert "?schema=" in error.hint
            assert error.exit_code == 2
        connection.execute(f"DROP TABLE {schema}.meta")
        connection.execute(f"CREATE TABLE {schema}.meta (x int)")
        error_of(address)
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = %s", (schema,)
        )
        assert tables.fetchone() == (3,)


def test_tables_of_a_newer_cadence_are_left_alone(address):
    with Cadence.open(address):
        pass
    with pgserver.connect(address) as connection:
        schema = pgserver.schema_of(address)
        connection.execute(f"UPDATE {schema}.meta SET value = '2' WHERE key = 'cadence'")
    error = error_of(address)
    assert "version 2" in error.what
    assert "newer cadence" in error.hint


def test_any_name_of_a_schema_works():
    address = pgserver.new_address("My-%22schema%22%20%C3%A4")
    with Cadence.open(address) as app:
        app.execute("p", ADDED, at=NOW)
        app.due_rows.rebuild()
        assert list(app.prospects()) == ["p"]
    with pgserver.connect(address) as connection:
        found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'due'")
        assert ('My-"schema" ä',) in found.fetchall()


def test_no_function_and_no_type_is_made(on_postgres, address):
    with pgserver.connect(address) as connection:
        for catalogue, column in (("pg_proc", "pronamespace"), ("pg_type", "typnamespace")):
            found = connection.execute(
                f"SELECT count(*) FROM {catalogue} JOIN pg_namespace n ON n.oid = {column} "
                f"WHERE nspname = %s AND {catalogue}.oid NOT IN "
                "(SELECT reltype FROM pg_class UNION SELECT typarray FROM pg_type "
                "WHERE typrelid <> 0)",
                (pgserver.schema_of(address),),
            )
            assert found.fetchone() == (0,)


@pytest.mark.parametrize(
    ("count", "size"),
    [(500, 1), (501, 1), (3000, 1), (40, 100_000), (499, 2000)],
)
def test_a_save_of_any_size_neither_hangs_nor_comes_in_parts(on_postgres, count, size):
    store = on_postgres._recorder
    events = [noted("p", version, "x" * size) for version in range(1, count + 1)]
    store.insert_events(stored(noted("p", count)))
    with pytest.raises(IntegrityError):
        store.insert_events(stored(*events), due=[row("p", 1)])
    assert list(store.due_rows()) == []
    moved = [noted("q", version, "x" * size) for version in range(1, count + 1)]
    ids = store.insert_events(stored(*moved), due=some_rows(700))
    assert list(ids) == list(range(ids[0], ids[0] + count))
    assert store.select_stream("q") == moved
    assert len(list(store.due_rows())) == 700


def test_connections_that_were_lost_are_replaced_and_nothing_is_doubled(on_postgres, address):
    app = on_postgres
    app.execute("p", ADDED, at=NOW)
    with ThreadPoolExecutor(4) as pool:  # so that several connections lie in the pool
        list(pool.map(lambda _: app.load("p"), range(40)))
    for number in range(3):
        with pgserver.connect(address) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'cadence' AND pid <> pg_backend_pid()"
            )
        if number == 1:
            assert app.load("p").version == 2
        app.execute("p", InterestNoted(str(number)), at=NOW)
    assert texts(app.history("p")[1:]) == ["0", "1", "2"]


def test_a_connection_lost_while_committing_is_not_tried_again(on_postgres, monkeypatch):
    store = on_postgres._recorder
    whole = PostgresRecorder._insert_all
    calls = []

    def insert_and_lose(self, connection, *args, **kwargs):
        ids = whole(self, connection, *args, **kwargs)
        calls.append(ids)
        with pgserver.connect(pgserver.new_address()) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
        return ids

    monkeypatch.setattr(PostgresRecorder, "_insert_all", insert_and_lose)
    for count in (1, 501):
        with pytest.raises(StoreError, match="may have been recorded or not"):
            store.insert_events(stored(*(noted(f"p{count}", v + 1) for v in range(count))))
    assert len(calls) == 2


def test_a_lock_of_another_program_is_waited_for_so_long_and_then_named(address):
    with Cadence.open(address) as app:
        app.execute("p", ADDED, at=NOW)
    recorder = open_recorder(address, lock_timeout_seconds=1)
    try:
        with pgserver.connect(address) as connection, connection.transaction():
            connection.execute(
                f"LOCK TABLE {pgserver.schema_of(address)}.stored_events IN EXCLUSIVE MODE"
            )
            for write in (
                lambda: recorder.insert_events(stored(noted("p", 2))),
                lambda: recorder.insert_events(stored(*(noted("q", v) for v in range(1, 600)))),
                lambda: recorder.finish_due(None, "stamp"),
            ):
                started = time.monotonic()
                with pytest.raises(StoreError, match="locked"):
                    write()
                assert time.monotonic() - started < 3
            assert len(recorder.select_stream("p")) == 1
        recorder.insert_events(stored(noted("p", 2)))
    finally:
        recorder.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_reader_that_opened_first_sees_the_store_once_it_is_there(kind, tmp_path):
    place = str(tmp_path / "late.db") if kind == "sqlite" else pgserver.new_address()
    with Cadence.open(place, read_only=True) as reader:
        assert (reader.is_missing, reader.count(), list(reader.due(NOW))) == (True, 0, [])
        assert reader.settings().default_region is None
        with pytest.raises(StoreError, match="opened read-only"):
            reader.execute("p", ADDED, at=NOW)
        with Cadence.open(place, default=OURS) as writer:
            writer.execute("p", ADDED, at=NOW)
            writer.change_settings({"default_region": "DE"}, by="kim", at=NOW)
            assert not reader.is_missing
            assert reader.count() == 1
            assert list(reader.due(NOW)) == list(writer.due(NOW)) != []
            assert reader.library.kept() == [OURS]
            assert reader.settings().default_region == "DE"


def test_opened_for_reading_nothing_is_made_and_nothing_written(address):
    recorder = open_recorder(address, read_only=True)
    assert recorder.select_prospects(None, 10) == []
    assert recorder.policy_digests() == []
    recorder.close()
    with pgserver.connect(address) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname = %s", (pgserver.schema_of(address),)
        )
        assert found.fetchone() == (0,)
    with Cadence.open(address, read_only=True) as app:
        assert app.is_missing
    with Cadence.open(address) as app:
        app.execute("p", ADDED, at=NOW)
    with Cadence.open(address, read_only=True) as app:
        assert not app.is_missing
    recorder = open_recorder(address, read_only=True)
    try:
        assert recorder.select_prospects(None, 10) == ["p"]
        with pytest.raises(StoreError, match="read-only"):
            recorder.insert_events(stored(noted("p", 2)))
        with pytest.raises(StoreError, match="read-only"):
            recorder.finish_due(None, "stamp")
    finally:
        recorder.close()


def test_a_database_of_another_encoding_is_refused(monkeypatch, address):
    with pgserver.connect(address) as connection:
        connection.execute(
            "CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
        )
    error = error_of(f"postgresql://postgres@/ascii?host={pgserver.folder()}")
    assert "SQL_ASCII" in error.what
    assert error.exit_code == 2
