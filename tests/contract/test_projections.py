"""Rows and position are committed together, on every store and into every database."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pgserver
import projected
import psycopg
import psycopg_pool
import pytest
from nightly import NIGHTLY
from projected import Rows, Stopping, in_feed
from psycopg.rows import dict_row

from cadence.domain import Event, ProspectAdded
from cadence.domain.events import InterestNoted
from cadence.errors import InputError, StoreError
from cadence.store import Cadence, PostgresTarget, Projection, SQLiteTarget, Target
from cadence.store.serializer import EventMapper

# Python 3.12 and later warn of every fork beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
ADDED = ProspectAdded("Ada", "UTC")
NOTE = InterestNoted("less paper")
TO_THE_END = timedelta(0)
SECONDS = 60  # after which a test that hangs fails
KILLS = 400 if NIGHTLY else 12
WRITES = 300 if NIGHTLY else 40

PAIRS = [
    ("memory", "file"),
    ("memory", "elsewhere"),
    ("sqlite", "file"),
    ("sqlite", "beside"),
    ("sqlite", "elsewhere"),
    ("postgres", "file"),
    ("postgres", "beside"),
    ("postgres", "elsewhere"),
]
"""A store, and where the rows are: a SQLite file, the store's own database, another PostgreSQL."""


@pytest.fixture
def rows(request: pytest.FixtureRequest, address: str | None, tmp_path: Path) -> Rows:
    if request.param == "file":
        return projected.in_file(tmp_path / "rows.db")
    if request.param == "beside":
        assert address is not None
        is_file = address.endswith(".db")
        return projected.in_file(Path(address)) if is_file else projected.in_postgres(address)
    return projected.in_postgres(projected.elsewhere())


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address, lock_timeout_seconds=30) as opened:
        yield opened


def on(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    ids = [f"{store}-{rows}" for store, rows in pairs]
    return pytest.mark.parametrize(("address", "rows"), pairs, indirect=True, ids=ids)


NEAR = PAIRS if NIGHTLY else [PAIRS[0], PAIRS[2], PAIRS[6]]
"""All of them in the nightly profile; each store and each kind of database in any."""

everywhere = on(*PAIRS)
at_each_point = on(*NEAR)
in_processes = on(*(pair for pair in NEAR if pair[0] != "memory"))
in_each_database = on(("memory", "file"), ("postgres", "beside"))


def fill(app: Cadence, number: int = 0) -> None:
    """Record ten events."""
    for prospect in (f"a{number}", f"b{number}"):
        app.execute(prospect, ADDED, at=NOW)
        for _ in range(4):
            app.execute(prospect, NOTE, at=NOW)


@contextmanager
def running(
    projection: Projection[Any],
    app: Cadence,
    rows: Rows,
    count: int = 1,
    target: Target[Any] | None = None,
) -> Iterator[list[Future[None]]]:
    """Let runners follow, each in a thread; stop them at the end."""
    stop = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        runners = [
            pool.submit(projection.run, app, target or rows.target, size=3, stop=stop)
            for _ in range(count)
        ]
        try:
            wait_until(lambda: f"{projection.name}#{projection.version}" in rows.kept())
            yield runners
        finally:
            stop.set()
        for one in runners:
            one.result(SECONDS)


def wait_until(is_so: Callable[[], bool]) -> None:
    last = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < last
        time.sleep(0.005)


# Rows and position --------------------------------------------------------------------------------


@everywhere
def test_each_event_is_applied_once_and_in_order(app: Cadence, rows: Rows) -> None:
    seen = rows.projection()
    seen.run(app, rows.target, timeout=TO_THE_END)
    assert rows.read() == []
    for number in range(3):
        fill(app, number)
        seen.run(app, rows.target, size=number + 3, timeout=TO_THE_END)
        assert rows.read() == in_feed(app)
    assert len(rows.read()) == 30


@everywhere
def test_a_runner_waits_for_more_until_it_is_stopped(app: Cadence, rows: Rows) -> None:
    fill(app)
    with running(rows.projection(), app, rows) as [runner]:
        wait_until(lambda: rows.kept().get("seen#1", "") == list(app.events())[-1].position)
        fill(app, 1)
        wait_until(lambda: rows.read() == in_feed(app))
        assert not runner.done()
    assert len(rows.read()) == 20


@in_each_database
def test_several_projections_keep_their_positions_apart(app: Cadence, rows: Rows) -> None:
    fill(app)
    rows.projection().run(app, rows.target, timeout=TO_THE_END)
    fill(app, 1)
    rows.projection(name="too").run(app, rows.target, timeout=TO_THE_END)
    assert (len(rows.read()), len(rows.read("too"))) == (10, 20)


@in_each_database
def test_a_page_whose_function_raises_leaves_nothing(app: Cadence, rows: Rows) -> None:
    fill(app)
    calls = 0

    def apply(db: Any, table: str, events: Any) -> None:
        nonlocal calls
        calls += 1
        rows.apply(db, table, events)
        if calls % 2:
            raise ZeroDivisionError

    seen = Projection("seen", apply, create=rows.create)
    for page in range(5):
        with pytest.raises(ZeroDivisionError):
            seen.run(app, rows.target, size=2, timeout=TO_THE_END)
        assert rows.read("seen_1") == in_feed(app)[: 2 * page]
        calls = 1  # once well, then not
    calls = 1
    Projection("seen", rows.apply).run(app, rows.target, timeout=TO_THE_END)
    assert rows.read("seen_1") == in_feed(app)


@in_each_database
def test_an_event_of_a_newer_cadence_stops_before_it_and_a_damaged_one_does_not(
    app: Cadence, rows: Rows
) -> None:
    fill(app)
    row = EventMapper().to_stored_event(Event("new", 1, NOW, NOW, NOTE))
    app._recorder.insert_events([type(row)("bad", 1, row.topic, b"{")])
    newer = row.state.replace(b"InterestNoted", b"FromTomorrow")
    app._recorder.insert_events([type(row)("new", 1, row.topic, newer)])
    fill(app, 1)
    for size in (4, 1000):
        with pytest.raises(StoreError, match="a newer cadence wrote event 1 of new"):
            rows.projection().run(app, rows.target, size=size, timeout=TO_THE_END)
        assert rows.read() == in_feed(app)[:11]
        with pytest.raises(StoreError, match="a newer cadence wrote event 1 of new"):
            rows.projection(2).swap(app, rows.target, size=size)
    assert rows.kept()["seen"] == "1"


@in_each_database
def test_a_position_that_was_moved_by_hand_is_gone_on_from(app: Cadence, rows: Rows) -> None:
    fill(app)
    with running(rows.projection(), app, rows):
        wait_until(lambda: len(rows.read()) == 10)
        with rows.target.connect() as db, rows.target.begin(db):
            rows.target.keep(db, "seen#1", list(app.events())[7].position)
        fill(app, 1)
        wait_until(lambda: len(rows.read()) == 22)
    assert rows.read() == in_feed(app)[:10] + in_feed(app)[8:]


@in_each_database
def test_a_runner_ends_where_its_position_was_taken_away(app: Cadence, rows: Rows) -> None:
    fill(app)
    with running(rows.projection(), app, rows) as [runner]:
        wait_until(lambda: len(rows.read()) == 10)
        with rows.target.connect() as db, rows.target.begin(db):
            db.execute("DELETE FROM cadence_projections")
        fill(app, 1)
        runner.result(SECONDS)
    assert len(rows.read()) == 10


def test_a_name_that_is_no_name_of_a_table_is_refused() -> None:
    for name in ("", "Calls", "1st", "a-b", "a;b", "a#1", "ä", "a" * 41):
        with pytest.raises(InputError, match="name: invalid"):
            Projection(name, print)
    with pytest.raises(InputError, match="version: invalid 0"):
        Projection("calls", print, version=0)
    with Cadence.open() as app, pytest.raises(InputError, match="size: invalid 0"):
        app.follow_pages(size=0)


# The end of a program at every point --------------------------------------------------------------


class Crash(Exception):
    """The program ended."""


@at_each_point
def test_a_crash_at_any_point_neither_loses_nor_repeats(app: Cadence, rows: Rows) -> None:
    fill(app)
    for point in range(1, 100):

        def crash(reached: int, point: int = point) -> None:
            if reached == point:
                raise Crash

        name = f"seen{point}"
        stopping = Stopping(rows.target, crash)
        try:
            rows.projection(name=name).run(app, stopping, size=4, timeout=TO_THE_END)
        except Crash:
            rows.projection(name=name).run(app, rows.target, size=4, timeout=TO_THE_END)
        else:
            break
        assert rows.read(name) == in_feed(app)
    assert point == 24  # the start holds and keeps two names; each of three pages, one


@in_processes
def test_a_kill_at_any_point_neither_loses_nor_repeats(app: Cadence, rows: Rows) -> None:
    fill(app)
    for point in range(1, 25):

        def kill(reached: int, point: int = point) -> None:
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

        seen = rows.projection(name=f"seen{point}")
        stopping = Stopping(rows.target, kill)
        run = partial(seen.run, app, stopping, size=4, timeout=TO_THE_END)
        killed = ended(forked(run)) == signal.SIGKILL
        assert killed == (point < 24)
        seen.run(app, rows.target, timeout=TO_THE_END)
        assert rows.read(seen.name) == in_feed(app)


def forked(function: Callable[[], object]) -> int:
    """Call a function in a forked child, which has nothing but the store of its parent."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)  # none outlives its test for long
            function()
            status = 0
        finally:
            os._exit(status)  # nothing of the test runner may run twice
    return pid


def ended(pid: int) -> int:
    """Wait for the end of a child: 0, or the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or status == 0
    return os.WTERMSIG(status)


@in_processes
def test_runners_that_are_killed_while_many_write_miss_and_repeat_nothing(
    app: Cadence, rows: Rows
) -> None:
    """Two versions with two runners each, killed at any moment, and swapped in the middle."""
    draw = random.Random(1)
    first, second = rows.projection(1), rows.projection(2)
    first.run(app, rows.target, timeout=TO_THE_END)
    writers = [forked(lambda number=number: write(app, number)) for number in range(3)]
    killed, shown = 0, 0
    for turn in range(KILLS):
        runners = [
            forked(lambda version=version: version.run(app, rows.target, size=5))
            for version in (first, first, second, second)
        ]
        if turn == KILLS // 2:
            second.swap(app, rows.target)
            assert rows.read() == in_feed(app)[: len(rows.read())]
        time.sleep(draw.uniform(0, 0.1))
        for runner in runners:
            os.kill(runner, signal.SIGKILL)
            killed += ended(runner) == signal.SIGKILL
        assert len(rows.read()) >= shown
        shown = len(rows.read())
    assert [ended(writer) for writer in writers] == [0, 0, 0]
    assert killed > KILLS
    assert rows.kept()["seen#1"] == "ended"
    first.run(app, rows.target, timeout=TO_THE_END)
    second.run(app, rows.target, timeout=TO_THE_END)
    wait_until(lambda: len(in_feed(app)) == 3 * WRITES)
    second.run(app, rows.target, timeout=TO_THE_END)
    assert rows.read() == rows.read("seen_2") == in_feed(app)
    ended_at = len(rows.read("seen_1"))
    assert rows.read("seen_1") == in_feed(app)[:ended_at]


def write(app: Cadence, writer: int) -> None:
    for number in range(WRITES):
        prospect = f"p{writer}-{number % 5}"
        app.execute(prospect, NOTE if number >= 5 else ADDED, at=NOW)


# Several runners ----------------------------------------------------------------------------------


@everywhere
def test_runners_of_one_projection_apply_each_page_once(app: Cadence, rows: Rows) -> None:
    with running(rows.projection(), app, rows, count=3):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda number: fill(app, number), range(6)))
        wait_until(lambda: len(rows.read()) >= 60)
    assert rows.read() == in_feed(app)


@in_each_database
def test_a_runner_that_was_late_reads_again_from_where_the_other_is(
    app: Cadence, rows: Rows
) -> None:
    """The other is through while this one is about to begin its transaction."""
    fill(app)

    def overtake(reached: int) -> None:
        if reached == 8:  # behind the commit of the start
            rows.projection().run(app, rows.target, timeout=TO_THE_END)
            fill(app, 1)

    stopping = Stopping(rows.target, overtake)
    rows.projection().run(app, stopping, size=4, timeout=TO_THE_END)
    assert rows.read() == in_feed(app)


# Another version ----------------------------------------------------------------------------------


@everywhere
def test_a_rebuild_is_filled_beside_the_live_version_and_swapped_in(
    app: Cadence, rows: Rows
) -> None:
    fill(app)
    first, second = rows.projection(1), rows.projection(2)
    with running(first, app, rows) as [runner]:
        wait_until(lambda: len(rows.read()) == 10)
        second.run(app, rows.target, size=4, timeout=TO_THE_END)
        fill(app, 1)
        wait_until(lambda: len(rows.read()) == 20)
        assert len(rows.read("seen_2")) == 10
        with rows.target.connect() as db, rows.target.begin(db):
            db.execute("DELETE FROM seen_2 WHERE version = 1")  # to tell the two apart
        second.swap(app, rows.target)
        assert rows.read() == rows.read("seen_2")
        assert len(rows.read()) == 18
        fill(app, 2)
        runner.result(SECONDS)  # it has ended, without being stopped
    assert len(rows.read("seen_1")) == 20
    second.run(app, rows.target, timeout=TO_THE_END)
    assert rows.read()[8:] == in_feed(app)[10:]
    second.swap(app, rows.target)  # it is live
    assert rows.kept()["seen"] == "2"


@everywhere
def test_a_rebuild_that_was_interrupted_goes_on(app: Cadence, rows: Rows) -> None:
    fill(app)
    rows.projection(1).run(app, rows.target, timeout=TO_THE_END)
    calls = 0

    def apply(db: Any, table: str, events: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise Crash
        rows.apply(db, table, events)

    second = Projection("seen", apply, 2, create=rows.create, publish=projected.publisher("seen"))
    for page in (1, 2):
        with pytest.raises(Crash):
            second.run(app, rows.target, size=3, timeout=TO_THE_END)
        assert rows.read("seen_2") == in_feed(app)[: 3 * page]
    fill(app, 1)
    with pytest.raises(Crash):
        second.swap(app, rows.target, size=8)
    assert rows.read() == rows.read("seen_1") == in_feed(app)[:10]
    assert len(rows.read("seen_2")) == 6  # the swap is one transaction
    calls = 0
    second.swap(app, rows.target)
    assert rows.read() == in_feed(app)


@at_each_point
def test_a_swap_that_ends_at_any_point_leaves_one_live_version(app: Cadence, rows: Rows) -> None:
    fill(app)
    for point in range(1, 100):

        def crash(reached: int, point: int = point) -> None:
            if reached == point:
                raise Crash

        first, second = (rows.projection(version, f"seen{point}") for version in (1, 2))
        first.run(app, rows.target, timeout=TO_THE_END)
        stopping = Stopping(rows.target, crash)
        is_swapped = False
        try:
            second.swap(app, stopping, size=6)
        except Crash:
            is_swapped = stopping.points == last_point
            assert rows.kept()[first.name] == ("2" if is_swapped else "1")
        else:
            break
        assert rows.read(first.name) == in_feed(app)
        (second if is_swapped else first).run(app, rows.target, timeout=TO_THE_END)
        second.swap(app, rows.target)
        assert rows.read(first.name) == rows.read(second.table) == in_feed(app)
    assert point == last_point + 1


last_point = 16
"""The one behind the commit of a swap of two pages into a version that has not begun."""


@everywhere
def test_readers_see_no_event_less_while_versions_are_swapped(app: Cadence, rows: Rows) -> None:
    rows.projection(1).run(app, rows.target, timeout=TO_THE_END)
    stop = threading.Event()

    def watch() -> list[int]:
        counts = []
        with rows.target.connect() as db:
            while not stop.is_set():
                counts += [row[0] for row in db.execute("SELECT count(*) FROM seen")]
        return counts

    with ThreadPoolExecutor(2) as pool:
        watched = pool.submit(watch)
        writing = pool.submit(lambda: [fill(app, number) for number in range(8)])
        for version in range(2, 8):
            with running(rows.projection(version - 1), app, rows):
                rows.projection(version).swap(app, rows.target)
        writing.result(SECONDS)
        stop.set()
        counts = watched.result(SECONDS)
    assert counts == sorted(counts)
    rows.projection(7).run(app, rows.target, timeout=TO_THE_END)
    assert rows.read() == in_feed(app)


@in_each_database
def test_a_version_that_has_ended_is_not_swapped_in_again(app: Cadence, rows: Rows) -> None:
    fill(app)
    rows.projection(1).run(app, rows.target, timeout=TO_THE_END)
    rows.projection(2).swap(app, rows.target)
    with pytest.raises(InputError, match="seen: version 1 has ended"):
        rows.projection(1).swap(app, rows.target)
    fill(app, 1)
    rows.projection(1).run(app, rows.target, timeout=TO_THE_END)
    assert rows.read("seen_1") == in_feed(app)[:10]


@in_each_database
def test_a_store_that_lacks_what_the_live_version_applied_is_not_swapped_to(
    app: Cadence, rows: Rows
) -> None:
    fill(app)
    rows.projection(1).run(app, rows.target, timeout=TO_THE_END)
    with Cadence.open() as other, pytest.raises(InputError, match="not all events of the live"):
        rows.projection(2).swap(other, rows.target)
    assert rows.read() == in_feed(app)
    assert rows.kept()["seen"] == "1"


@in_each_database
def test_the_first_version_may_be_swapped_in_too(app: Cadence, rows: Rows) -> None:
    fill(app)
    rows.projection(3).swap(app, rows.target)
    assert rows.kept()["seen"] == "3"
    rows.projection(3).run(app, rows.target, timeout=TO_THE_END)
    assert rows.read() == in_feed(app)


# The team's own database --------------------------------------------------------------------------


def commits(db: Any, table: str, events: Any) -> None:
    db.commit()


def runs_a_script(db: Any, table: str, events: Any) -> None:
    db.executescript("SELECT 1")


@pytest.mark.parametrize("function", [commits, runs_a_script])
def test_a_function_that_commits_by_itself_is_found_out(function: Any, tmp_path: Path) -> None:
    with Cadence.open() as app:
        fill(app)
        with pytest.raises(InputError, match="committed or rolled back within"):
            Projection("calls", function).run(app, SQLiteTarget(tmp_path / "r.db"))
        if function is commits:
            target = projected.in_postgres(projected.elsewhere()).target
            with pytest.raises(psycopg.ProgrammingError, match="commit"):
                Projection("calls", function).run(app, target)


def test_a_file_is_opened_as_the_team_opens_it(tmp_path: Path) -> None:
    def opened() -> sqlite3.Connection:
        connection = sqlite3.connect(tmp_path / "r.db")
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    checks: list[Any] = []

    def apply(db: sqlite3.Connection, table: str, events: Any) -> None:
        checks.append(db.execute("PRAGMA foreign_keys").fetchone()["foreign_keys"])

    with Cadence.open() as app:
        fill(app)
        Projection("calls", apply).run(app, SQLiteTarget(opened), size=5, timeout=TO_THE_END)
    assert checks == [1, 1]


@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_a_pool_gives_connections_and_gets_them_back_as_they_were(
    app: Cadence, address: str
) -> None:
    """With rows as tables, and a stricter isolation that the pool sets within a transaction."""
    fill(app)

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE

    as_tables = {"row_factory": dict_row}
    rows = projected.in_postgres(address)
    with psycopg_pool.ConnectionPool(
        projected.conninfo(address), min_size=1, max_size=2, kwargs=as_tables, configure=configure
    ) as pool:
        with running(rows.projection(), app, rows, 2, PostgresTarget(pool.connection)):
            fill(app, 1)
            wait_until(lambda: len(rows.read()) >= 20)
        with pool.connection() as connection:
            assert connection.isolation_level is psycopg.IsolationLevel.SERIALIZABLE
    assert rows.read() == in_feed(app)


@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_what_opening_a_connection_began_is_committed_first(app: Cadence, address: str) -> None:
    fill(app)

    @contextmanager
    def opened() -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(projected.conninfo(address)) as connection:
            connection.execute("SET application_name = 'team'")
            yield connection

    rows = projected.in_postgres(address)
    with rows.target.connect():
        pass
    names: list[str] = []

    def apply(db: psycopg.Connection[Any], table: str, events: Any) -> None:
        names.append(db.execute("SHOW application_name").fetchone()[0])
        assert rows.kept()["seen#1"] == position_of(len(names) - 1)

    def position_of(page: int) -> str:
        return "" if page == 0 else list(app.events())[4].position

    target = PostgresTarget(opened)
    Projection("seen", apply).run(app, target, size=5, timeout=TO_THE_END)
    assert names == ["team", "team"]


@on(("postgres", "beside"))
def test_a_run_ends_with_its_connection_and_the_next_goes_on(app: Cadence, rows: Rows) -> None:
    fill(app)

    def apply(db: Any, table: str, events: Any) -> None:
        rows.apply(db, table, events)
        if len(rows.read(table)) == 5:
            db.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    seen = Projection("seen", apply, create=rows.create)
    with pytest.raises(psycopg.OperationalError, match="terminat"):
        seen.run(app, rows.target, size=5, timeout=TO_THE_END)
    assert rows.read("seen_1") == in_feed(app)[:5]
    rows.projection().run(app, rows.target, timeout=TO_THE_END)
    assert rows.read("seen_1") == in_feed(app)


@pytest.mark.parametrize("address", ["postgres"], indirect=True)
def test_a_user_who_may_make_no_table_uses_the_one_that_is_there(
    app: Cadence, address: str
) -> None:
    fill(app)
    rows = projected.in_postgres(address)
    with rows.target.connect() as db, rows.target.begin(db):
        rows.create(db, "seen_1")
        schema = pgserver.schema_of(address)
        db.execute(f"GRANT USAGE ON SCHEMA {schema} TO {pgserver.GUEST}")
        for table in ("cadence_projections", "seen_1"):
            db.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO {pgserver.GUEST}")
        db.execute(f"GRANT USAGE ON SEQUENCE seen_1_number_seq TO {pgserver.GUEST}")
    guest = PostgresTarget(
        lambda: psycopg.connect(
            projected.conninfo(address), user=pgserver.GUEST, password=pgserver.PASSWORD
        )
    )
    Projection("seen", rows.apply).run(app, guest, timeout=TO_THE_END)
    assert rows.read("seen_1") == in_feed(app)


def test_several_programs_make_the_table_at_once() -> None:
    for rows in [projected.in_postgres(projected.elsewhere()) for _ in range(5)]:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _, rows=rows: rows.kept(), range(4))) == [{}] * 4
