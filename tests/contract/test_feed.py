"""The feed gives every event once, on every store, also while many write."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pgserver
import psycopg
import pytest
from eventsourcing.persistence import IntegrityError
from nightly import NIGHTLY

from cadence.domain import Event, ProspectAdded
from cadence.domain.events import InterestNoted, Unreadable
from cadence.errors import InputError
from cadence.store import Cadence, FeedItem
from cadence.store.serializer import EventMapper

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
ADDED = ProspectAdded("Ada", "UTC")
NOTE = InterestNoted("less paper")
SOON = timedelta(seconds=0.3)
WRITES = 300 if NIGHTLY else 40


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address, lock_timeout_seconds=30) as opened:
        yield opened


shared = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
on_postgres = pytest.mark.parametrize("address", ["postgres"], indirect=True)


def names(items: Iterable[FeedItem]) -> list[str]:
    return [f"{item.event.prospect}{item.event.version}" for item in items]


def fill(app: Cadence) -> None:
    for prospect in ("a", "b"):
        app.execute(prospect, ADDED, at=NOW)
    for prospect in ("b", "a", "b"):
        app.execute(prospect, NOTE, at=NOW)


# Reading ------------------------------------------------------------------------------------------


def test_every_event_comes_once_in_the_order_in_which_it_was_recorded(app: Cadence) -> None:
    assert list(app.events()) == []
    fill(app)
    items = list(app.events())
    assert names(items) == ["a1", "b1", "b2", "a2", "b3"]
    assert [item.event for item in items] == [
        app.history(item.event.prospect)[item.event.version - 1] for item in items
    ]
    for number, item in enumerate(items, 1):
        assert list(app.events(item.position)) == items[number:]
        assert list(app.events(limit=number)) == items[:number]
        assert list(app.events(item.position, limit=2)) == items[number : number + 2]
    assert list(app.events(items[-1].position)) == []


def test_a_position_is_a_text_that_goes_through_json(app: Cadence) -> None:
    fill(app)
    for item in app.events():
        assert msgspec.json.decode(msgspec.json.encode(item), type=FeedItem) == item
        assert isinstance(item.position, str)


@shared
def test_a_position_holds_when_the_store_is_opened_again(address: str) -> None:
    with Cadence.open(address) as app:
        fill(app)
        items = list(app.events())
    with Cadence.open(address) as app:
        assert list(app.events(items[1].position)) == items[2:]
        app.execute("c", ADDED, at=NOW)
        assert names(app.events(items[4].position)) == ["c1"]
    with Cadence.open(address, read_only=True) as app:
        assert names(app.events(items[3].position)) == ["b3", "c1"]


def test_many_events_come_page_by_page_and_each_once(app: Cadence) -> None:
    histories = [
        [
            Event(f"p{number}", version, NOW, NOW, NOTE if version > 1 else ADDED)
            for version in range(1, 8)
        ]
        for number in range(400)
    ]
    app.histories.append((history, 0) for history in histories)
    items = list(app.events())
    assert len({item.position for item in items}) == 2800
    assert sorted((item.event for item in items), key=_by_version) == sorted(
        (event for history in histories for event in history), key=_by_version
    )
    assert_in_order_of_version(items)
    assert list(app.events(items[1499].position, limit=1200)) == items[1500:2700]


def _by_version(event: Event) -> tuple[str, int]:
    return event.prospect, event.version


def assert_in_order_of_version(items: Iterable[FeedItem]) -> None:
    last: dict[str, int] = {}
    for item in items:
        event = item.event
        assert event.version == last.get(event.prospect, 0) + 1
        last[event.prospect] = event.version


def test_a_write_that_was_refused_leaves_nothing_in_the_feed(app: Cadence) -> None:
    fill(app)
    known = list(app.events())
    again = [Event("c", 1, NOW, NOW, ADDED), Event("a", 1, NOW, NOW, ADDED)]
    with pytest.raises(IntegrityError):
        app._recorder.insert_events(list(map(EventMapper().to_stored_event, again)))
    assert list(app.events()) == known
    app.execute("c", ADDED, at=NOW)
    assert names(app.events(known[-1].position)) == ["c1"]


def test_an_event_that_can_not_be_read_stands_in_its_place(app: Cadence) -> None:
    fill(app)
    row = EventMapper().to_stored_event(Event("a", 3, NOW, NOW, NOTE))
    app._recorder.insert_events([type(row)("a", 3, row.topic, b"{")])
    app.execute("b", NOTE, at=NOW)
    items = list(app.events())
    assert names(items)[-2:] == ["a3", "b4"]
    assert isinstance(items[-2].event.data, Unreadable)


@pytest.mark.parametrize(
    "after", ["", "x", "1", "1-", "-1-2", "1-2-3", "1-2 ", "١-٢", "9" * 30 + "-1"]
)
def test_what_is_no_position_is_refused_before_anything_is_read(after: str) -> None:
    with Cadence.open() as app:
        for read in (app.events, app.follow, app.follow_pages):
            with pytest.raises(InputError, match="after: invalid"):
                read(after)
        with pytest.raises(InputError, match="after: invalid"):
            next(app.follow_pages(lambda: after))
        with pytest.raises(InputError, match="limit: invalid 0"):
            app.events(limit=0)


@pytest.mark.parametrize("address", ["memory", "sqlite"], indirect=True)
def test_a_position_of_another_store_is_refused(app: Cadence) -> None:
    with pytest.raises(InputError, match="'753-1'"):
        list(app.events("753-1"))


# Waiting ------------------------------------------------------------------------------------------


def test_who_follows_gets_what_is_there_and_what_comes(app: Cadence) -> None:
    fill(app)
    seen = app.follow()
    assert names(next(seen) for _ in range(5)) == ["a1", "b1", "b2", "a2", "b3"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, seen)
        app.execute("c", ADDED, at=NOW)
        assert names([waiting.result(30)]) == ["c1"]
    last = app.follow(list(app.events())[-2].position, timeout=SOON)
    assert names(last) == ["c1"]


def test_who_follows_is_stopped_also_while_waiting(app: Cadence) -> None:
    fill(app)
    stop = threading.Event()
    seen = app.follow(stop=stop)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: names(seen))
        app.execute("c", ADDED, at=NOW)
        stop.set()
        assert done.result(30)[:5] in ([], ["a1", "b1", "b2", "a2", "b3"])
    assert names(app.follow(stop=stop)) == []


def test_the_time_that_a_follower_takes_for_an_event_is_not_waiting(app: Cadence) -> None:
    fill(app)
    seen = app.follow(timeout=timedelta(microseconds=1))
    pause = threading.Event()
    taken = []
    for item in seen:
        pause.wait(0.01)
        taken.append(item)
    assert len(taken) == 5


def test_who_follows_by_pages_gets_as_many_events_as_are_there(app: Cadence) -> None:
    fill(app)
    items = list(app.events())
    for size in (1, 2, 5, 1000):
        pages = list(app.follow_pages(size=size, timeout=timedelta(0)))
        assert [item for page in pages for item in page] == items
        assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
    assert list(app.follow_pages(items[2].position, timeout=timedelta(0))) == [items[3:]]
    assert list(app.follow_pages(items[-1].position, timeout=timedelta(0))) == []
    seen = app.follow_pages(items[-1].position)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, seen)
        app.execute("c", ADDED, at=NOW)
        assert names(waiting.result(30)) == ["c1"]


def test_a_page_begins_where_who_reads_says(app: Cadence) -> None:
    fill(app)
    items = list(app.events())
    asked = iter([None, items[1].position, items[3].position, None, items[-1].position])
    pages = app.follow_pages(lambda: next(asked), size=2, timeout=timedelta(0))
    assert list(pages) == [items[:2], items[2:4], items[4:]]
    stop = threading.Event()
    again = app.follow_pages(lambda: None, size=2, stop=stop)
    assert next(again) == next(again) == items[:2]
    stop.set()
    assert list(again) == []


@shared
def test_who_follows_a_store_that_is_not_there_yet_gets_its_first_event(address: str) -> None:
    with Cadence.open(address, read_only=True) as reader, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, reader.follow())
        with Cadence.open(address) as app:
            app.execute("a", ADDED, at=NOW)
            assert names([waiting.result(30)]) == ["a1"]


# PostgreSQL: transactions that commit in another order --------------------------------------------


@contextmanager
def late(address: str, prospect: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction of a program that inserts an event by itself, and commits at the end."""
    schema = pgserver.schema_of(address)
    with pgserver.connect(address) as connection, connection.transaction():
        insert_raw(connection, schema, prospect)
        yield connection


def insert_raw(connection: psycopg.Connection[Any], schema: str, prospect: str) -> None:
    row = EventMapper().to_stored_event(Event(prospect, 1, NOW, NOW, ADDED))
    connection.execute(
        f"INSERT INTO {schema}.stored_events "
        "(originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
        (row.originator_id, row.originator_version, row.topic, row.state),
    )


@on_postgres
def test_what_commits_late_comes_before_what_was_written_after_it(
    app: Cadence, address: str
) -> None:
    app.execute("a", ADDED, at=NOW)
    [first] = app.events()
    with late(address, "late"):
        app.execute("b", ADDED, at=NOW)
        assert app.explain("b", NOW).prospect == "b"  # it waits for no one, and can be read
        assert names(app.events()) == ["a1"]
        assert names(app.follow(first.position, timeout=SOON)) == []
    assert names(app.events(first.position)) == ["late1", "b1"]


@on_postgres
def test_what_is_rolled_back_holds_up_no_reader_after_it(app: Cadence, address: str) -> None:
    with late(address, "late") as connection, connection.transaction(force_rollback=True):
        app.execute("b", ADDED, at=NOW)
        insert_raw(connection, pgserver.schema_of(address), "never")
    with pgserver.connect(address) as connection, connection.transaction(force_rollback=True):
        insert_raw(connection, pgserver.schema_of(address), "never")
        app.execute("c", ADDED, at=NOW)
        assert names(app.events()) == ["late1", "b1"]
    assert names(app.events()) == ["late1", "b1", "c1"]


@on_postgres
def test_an_idle_reader_holds_the_feed_up_not_and_an_idle_writer_until_it_ends(
    app: Cadence, address: str
) -> None:
    schema = pgserver.schema_of(address)
    app.execute("a", ADDED, at=NOW)
    with pgserver.connect(address) as idle:
        idle.execute(f"CREATE TABLE {schema}.theirs (number int)")
        with idle.transaction():
            idle.execute(f"SELECT * FROM {schema}.stored_events")
            app.execute("b", ADDED, at=NOW)
            assert names(app.events()) == ["a1", "b1"]
            idle.execute(f"INSERT INTO {schema}.theirs VALUES (1)")
            app.execute("c", ADDED, at=NOW)
            assert names(app.events()) == ["a1", "b1"]
    assert names(app.events()) == ["a1", "b1", "c1"]


@on_postgres
def test_a_writer_wakes_who_listens(app: Cadence) -> None:
    app.execute("a", ADDED, at=NOW)
    with app._recorder.listen() as wait, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, 60.0)
        app.execute("a", NOTE, at=NOW)
        assert waiting.result(50)


@on_postgres
def test_a_follower_whose_connection_was_lost_goes_on(app: Cadence, address: str) -> None:
    fill(app)
    seen = app.follow()
    assert names(next(seen) for _ in range(5))[-1] == "b3"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, seen)
        with pgserver.connect(address) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'cadence' AND pid <> pg_backend_pid()"
            )
        app.execute("c", ADDED, at=NOW)
        assert names([waiting.result(30)]) == ["c1"]


# Older and restored databases ---------------------------------------------------------------------


def as_it_was(address: str) -> None:
    """Take away what this cadence added for the feed."""
    schema = pgserver.schema_of(address)
    with pgserver.connect(address) as connection:
        connection.execute(f"DROP INDEX {schema}.stored_events_feed")
        connection.execute(f"ALTER TABLE {schema}.stored_events DROP COLUMN written_in")


@on_postgres
def test_the_feed_of_an_older_cadence_goes_on_where_it_is_opened_to_write(address: str) -> None:
    with Cadence.open(address) as app:
        fill(app)
    as_it_was(address)
    with Cadence.open(address, read_only=True) as reader:
        items = list(reader.events())
        assert names(items) == ["a1", "b1", "b2", "a2", "b3"]
        assert list(reader.events(items[2].position)) == items[3:]
        with Cadence.open(address) as app:
            assert list(app.events()) == list(reader.events()) == items
            app.execute("c", ADDED, at=NOW)
            with pgserver.connect(address) as older:  # it still writes as it did
                insert_raw(older, pgserver.schema_of(address), "d")
            assert names(reader.events(items[4].position)) == ["c1", "d1"]
            assert list(app.events(items[2].position)) == list(reader.events(items[2].position))


@on_postgres
def test_several_programs_open_an_older_database_at_once(address: str) -> None:
    with Cadence.open(address) as app:
        fill(app)
    as_it_was(address)

    def read(_: int) -> list[str]:
        with Cadence.open(address, lock_timeout_seconds=30) as app:
            return names(app.events())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(4))) == [["a1", "b1", "b2", "a2", "b3"]] * 4


@on_postgres
def test_a_database_restored_on_another_server_goes_on_above_its_numbers(address: str) -> None:
    """Its events have the numbers of the first server, which are far above those of this one."""
    schema = pgserver.schema_of(address)
    with Cadence.open(address) as app:
        fill(app)
    for _ in range(2):  # and again on a third
        with pgserver.connect(address) as connection:
            connection.execute(
                f"UPDATE {schema}.stored_events SET written_in = written_in + 1000000000"
            )
        with Cadence.open(address) as app:
            items = list(app.events())
            kept = items[-1].position
            app.execute("a", NOTE, at=NOW)
            assert names(app.events(kept)) == [f"a{app.load('a').version}"]
        with Cadence.open(address) as app:
            app.execute("b", NOTE, at=NOW)
            assert len(list(app.events(kept))) == 2
            assert list(app.events())[: len(items)] == items


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_positions_stay_when_a_file_is_packed(address: str) -> None:
    with Cadence.open(address) as app:
        fill(app)
        items = list(app.events())
    with closing(sqlite3.connect(address)) as connection:
        connection.execute("VACUUM")
    with Cadence.open(address) as app:
        assert list(app.events()) == items


# Many at once, in real processes ------------------------------------------------------------------

WRITER = """
import random, sys, time
from datetime import UTC, datetime
from cadence import Cadence
from cadence.domain import Event, ProspectAdded
from cadence.domain.events import InterestNoted
from cadence.store.serializer import EventMapper

address, worker, writes = sys.argv[1], *map(int, sys.argv[2:])
draw = random.Random(worker)
now = datetime(2026, 3, 2, 15, tzinfo=UTC)
added, note = ProspectAdded("Ada", "UTC"), InterestNoted("x")

def raw(number):
    # Another program's transaction, which stays open for a while.
    import psycopg
    base, _, schema = address.partition("&schema=")
    with psycopg.connect(base) as connection:
        for version, data in ((1, added), (2, note)):
            event = Event(f"raw{worker}-{number}", version, now, now, data)
            row = EventMapper().to_stored_event(event)
            connection.execute(
                f"INSERT INTO {schema}.stored_events "
                "(originator_id, originator_version, topic, state) VALUES (%s, %s, %s, %s)",
                (row.originator_id, row.originator_version, row.topic, row.state))
            time.sleep(draw.uniform(0, 0.03))

with Cadence.open(address, lock_timeout_seconds=60) as app:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(writes):
        kind = draw.randrange(8)
        if kind == 0 and "&schema=" in address:
            raw(number)
        elif kind == 1:
            name = f"i{worker}-{number}"
            events = [Event(name, v, now, now, note if v > 1 else added) for v in range(1, 9)]
            app.histories.append([(events, 0)])
        else:
            name = f"p{worker}-{number % 5}"
            app.execute(name, note if app.histories.of([name])[name] else added, at=now)
            app.execute("one", note, at=now)
"""


@shared
def test_nothing_is_missed_or_repeated_while_several_processes_write(address: str) -> None:
    with Cadence.open(address, lock_timeout_seconds=60) as app:
        app.execute("one", ADDED, at=NOW)
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, address, str(number), str(WRITES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(3)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        stop = threading.Event()
        with ThreadPoolExecutor(8) as pool:
            pages = [pool.submit(read_in_pages, address, number, stop) for number in range(2)]
            follower = pool.submit(lambda: list(app.follow(stop=stop)))
            ended = [pool.submit(writer.communicate, "go\n") for writer in writers]
            for one in ended:
                one.result(300)
            assert [writer.returncode for writer in writers] == [0, 0, 0]
            while len(list(app.events())) < count(app):  # another test's transaction may run
                pass
            stop.set()
            read = [one.result(60) for one in pages]
            followed = follower.result(60)
        whole = list(app.events())
        assert sum(len(history) for history in app.histories.all()) == len(whole)
        assert len({_by_version(item.event) for item in whole}) == len(whole)
        assert_in_order_of_version(whole)
        for seen in (*read, followed):
            assert seen == whole[: len(seen)]
            assert seen + list(app.events(seen[-1].position)) == whole


def count(app: Cadence) -> int:
    return sum(len(history) for history in app.histories.all())


def read_in_pages(address: str, seed: int, stop: threading.Event) -> list[FeedItem]:
    """Read what is there, in pages of any size, again and again."""
    draw = random.Random(seed)
    seen: list[FeedItem] = []
    with Cadence.open(address, read_only=True) as app:
        while not stop.is_set():
            after = seen[-1].position if seen else None
            seen += app.events(after, limit=draw.randrange(1, 40))
    return seen
