"""A store outlives threads, goes on in forked children, and closes for good (ADR 0064)."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import children
import pgserver
import psycopg
import pytest
from nightly import NIGHTLY

from cadence.domain.events import InterestNoted, ProspectAdded
from cadence.errors import InputError, StoreError
from cadence.store import Cadence
from cadence.store.directory import directory
from cadence.store.due_list import Prepared

# Python 3.12 and later warn of every fork beside threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

NOW = datetime(2026, 12, 1, 14, tzinfo=UTC)
THREADS = 1000
FORKS = 200 if NIGHTLY else 25
SPARE = 3  # descriptors: SQLite keeps one of a closed connection for the next
AT_ONCE = 12
ADDED = ProspectAdded("Ada Brook", "America/New_York", "US")


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a new store that several processes can share."""
    return str(tmp_path / "c.db") if request.param == "sqlite" else pgserver.new_address()


def opened(address: str | None, *, read_only: bool = False) -> Cadence:
    return Cadence.open(address, read_only=read_only, clock=lambda: NOW, lock_timeout_seconds=30)


def added(app: Cadence, *prospects: str) -> None:
    for one in prospects:
        app.execute(one, ProspectAdded(f"Name of {one}", "UTC"))


@pytest.mark.parametrize("seconds", [0, -1, 0.5, float("nan"), "5", None])
def test_a_lock_timeout_is_at_least_a_second(address: str | None, seconds: object) -> None:
    with pytest.raises(InputError) as caught:
        Cadence.open(address, lock_timeout_seconds=seconds)  # type: ignore[arg-type]
    assert caught.value.what == f"lock_timeout_seconds: invalid {seconds!r}"
    assert caught.value.hint == "give 1 or more"


def note(app: Cadence, prospect: str, text: str) -> None:
    app.execute(prospect, InterestNoted(text))


def name_of(app: Cadence, prospect: str) -> str:
    return str(app.load(prospect).identity.name)


def versions(app: Cadence, prospect: str) -> list[int]:
    return [event.version for event in app.history(prospect)]


# Forks ------------------------------------------------------------------------------------------


def test_forked_children_and_their_parent_read_and_write_at_once(shared: str) -> None:
    with opened(shared) as app:
        added(app, "p", "q0", "q1", "q2")

        def work(own: str) -> str:
            for number in range(20):
                note(app, own, f"own {number}")
                note(app, "p", f"{own} {number}")
                assert name_of(app, own) == f"Name of {own}"
            return name_of(app, own)

        started = [children.fork(lambda own=own: work(own)) for own in ("q0", "q1", "q2")]
        for number in range(20):
            note(app, "p", f"parent {number}")
            assert name_of(app, "q0") == "Name of q0"
        assert [one.result() for one in started] == [f"Name of q{n}" for n in range(3)]
        assert versions(app, "p") == list(range(1, 82))
        assert versions(app, "q1") == list(range(1, 22))


def test_children_of_a_process_with_busy_threads_go_on(shared: str) -> None:
    with opened(shared) as app:
        added(app, "p", "q0", "q1", "q2")
        done = threading.Event()

        def work(own: str) -> None:
            number = 0
            while not done.is_set():
                assert name_of(app, own) == f"Name of {own}"
                number += 1
                if number % 20 == 0:
                    note(app, own, f"{number}")

        with ThreadPoolExecutor(3) as pool:
            busy = [pool.submit(work, one) for one in ("q0", "q1", "q2")]
            try:
                for number in range(FORKS):
                    child = children.fork(lambda number=number: note(app, "p", f"{number}"))
                    assert child.result() == "None"
            finally:
                done.set()
            for one in busy:
                one.result()
        assert versions(app, "p") == list(range(1, FORKS + 2))


def test_a_child_of_a_child_has_connections_of_its_own(shared: str) -> None:
    with opened(shared) as app:
        added(app, "p")

        def first() -> str:
            note(app, "p", "first")
            inner = children.fork(lambda: note(app, "p", "second"))
            assert inner.result() == "None"
            note(app, "p", "third")
            return str(versions(app, "p"))

        assert children.fork(first).result() == "[1, 2, 3, 4]"
        note(app, "p", "parent")
        assert versions(app, "p") == [1, 2, 3, 4, 5]


def test_a_store_in_memory_refuses_a_forked_child_and_serves_its_parent() -> None:
    app = opened(None)
    added(app, "p")

    def every_call() -> str:
        for call in calls(app):
            with pytest.raises(StoreError, match="belongs to the process that opened it"):
                call()
        app.close()
        with opened(None) as own:
            added(own, "p")
            return str(versions(own, "p"))

    assert children.fork(every_call).result() == "[1]"
    note(app, "p", "parent")
    assert versions(app, "p") == [1, 2]


def test_a_pool_of_forked_workers_uses_the_store_that_was_opened_before(shared: str) -> None:
    with opened(shared) as app:
        added(app, *(f"q{n}" for n in range(8)))
        _inherited.append(app)
        try:
            with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
                found = list(pool.map(_note_in_worker, [f"q{n}" for n in range(8)]))
        finally:
            _inherited.clear()
        assert found == [f"Name of q{n}" for n in range(8)]
        assert [versions(app, f"q{n}") for n in range(8)] == [[1, 2]] * 8


_inherited: list[Cadence] = []


def _note_in_worker(prospect: str) -> str:
    (app,) = _inherited
    note(app, prospect, "from a worker")
    return name_of(app, prospect)


def test_a_child_that_closes_the_store_leaves_that_of_its_parent_open(shared: str) -> None:
    with opened(shared) as app:
        added(app, "p")
        before = children.descriptors()

        def close_and_forget() -> str:
            nonlocal app
            app.close()
            with pytest.raises(StoreError, match="closed"):
                app.history("p")
            del app
            gc.collect()
            return "closed"

        assert children.fork(close_and_forget).result() == "closed"
        note(app, "p", "parent")
        assert versions(app, "p") == [1, 2]
        assert children.descriptors() == before  # not replaced: what was open still works


PROGRAM = """
import os, sys
from datetime import UTC, datetime
from cadence.domain.events import InterestNoted, ProspectAdded
from cadence.store import Cadence

now = datetime(2026, 12, 1, 14, tzinfo=UTC)
app = Cadence.open(sys.argv[1], clock=lambda: now)
app.execute("p", ProspectAdded("Ada Brook", "UTC"))
before = sorted(os.listdir("/proc/self/fd"))
pid = os.fork()
if pid == 0:
    app.execute("p", InterestNoted("child"))
    sys.exit()  # Python shuts down, and takes every object apart
assert os.waitpid(pid, 0)[1] == 0
assert sorted(os.listdir("/proc/self/fd")) == before
app.execute("p", InterestNoted("parent"))
print([event.version for event in app.history("p")])
"""


def test_a_child_that_ends_as_a_program_ends_disturbs_nothing(shared: str) -> None:
    # From Python 3.13 on it warns of connections that the child leaves alone on purpose.
    ignored = ("ignore::DeprecationWarning", "ignore:unclosed database:ResourceWarning")
    options = [word for one in ignored for word in ("-W", one)]
    command = [sys.executable, "-X", "dev", *options, "-c", PROGRAM, shared]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2, 3]\n", "")
    with opened(shared) as app:
        assert versions(app, "p") == [1, 2, 3]


def test_a_child_has_no_socket_of_its_parent() -> None:
    before = set(children.descriptors().values())
    with opened(pgserver.new_address()) as app:
        added(app, "p")
        following = app.follow()
        next(following)
        made = set(children.descriptors().values()) - before
        sockets = {one for one in made if one.startswith("socket:")}
        assert len(sockets) >= 2

        def look() -> str:
            held = sockets & set(children.descriptors().values())
            note(app, "p", "child")
            return f"{sorted(held)} {name_of(app, 'p')}"

        assert children.fork(look).result() == "[] Name of p"
        assert next(following).event.version == 2
        del following


def test_the_server_sees_the_end_of_a_parent_whose_children_live_on() -> None:
    address = f"{pgserver.new_address()}&application_name=cadence-parent"
    go_on, ends = os.pipe()
    ready, tells = os.pipe()

    def parent() -> None:
        app = opened(address)
        added(app, "p")
        if os.fork() == 0:
            os.close(ends)
            os.write(tells, b".")
            os.read(go_on, 1)
            os._exit(0)
        os.read(ready, 1)
        os._exit(0)  # as if it were killed: it says no word to the server

    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            parent()
        os._exit(1)
    os.close(go_on)
    assert os.waitpid(pid, 0)[1] == 0
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cadence-parent'"
    with pgserver.connect(address) as connection:
        left = -1
        for _ in range(300):
            left = connection.execute(asked).fetchone()[0]  # type: ignore[index]
            if left == 0:
                break
            connection.execute("SELECT pg_sleep(0.1)")
    for one in (ends, ready, tells):
        os.close(one)
    assert left == 0


def test_a_fork_within_a_transaction_writes_once(shared: str) -> None:
    with opened(shared) as app:
        with opened(None) as source:
            added(source, "p")
            first = app.histories.prepare(source.load("p"), source.history("p"))
        told: list[children.Child] = []
        process = os.getpid()

        def batches() -> Iterator[Prepared]:
            yield first
            heard, tells = os.pipe()
            pid = os.fork()
            if pid:
                os.close(tells)
                told.append(children.Child(pid, heard))
                return
            os.close(heard)
            signals.append(tells)

        signals: list[int] = []
        try:
            app.histories.append_prepared(batches())
            text = "written"
        except BaseException as error:
            text = type(error).__name__
        if os.getpid() != process:
            os.write(signals[0], text.encode())
            os._exit(0)
        assert text == "written"
        (child,) = told
        assert child.result() == "StoreError"
        assert versions(app, "p") == [1]
        note(app, "p", "parent")
        assert versions(app, "p") == [1, 2]


def test_a_child_goes_on_following(shared: str) -> None:
    with opened(shared) as app:
        added(app, "p")
        following = app.follow(timeout=timedelta(seconds=30))
        assert next(following).event.version == 1
        child = children.fork(lambda: next(following).event.version)
        note(app, "p", "parent")
        assert child.result() == "2"
        assert next(following).event.version == 2


# Threads ----------------------------------------------------------------------------------------


def test_threads_that_end_leave_no_descriptor(address: str | None) -> None:
    with opened(address) as app:
        added(app, "p")
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                app.explain("p", NOW)
                if number % 100 == 0:
                    note(app, "p", f"thread {number}")
            except BaseException as error:
                failed.append(error)

        for number in range(THREADS):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            thread.join()
            if number == 0:
                before = len(children.descriptors())
        assert failed == []
        assert len(children.descriptors()) <= before + SPARE
        assert len(versions(app, "p")) == 1 + THREADS // 100


def test_threads_that_come_and_go_together_leave_no_descriptor(address: str | None) -> None:
    with opened(address) as app:
        added(app, "p")
        before = len(children.descriptors())
        for _ in range(20):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda _: app.history("p"), range(5 * AT_ONCE)))
        # As many as were open at once may be kept for the next, whatever number came and went.
        assert len(children.descriptors()) <= before + AT_ONCE + SPARE


# The end ----------------------------------------------------------------------------------------


def calls(app: Cadence) -> list[Callable[[], object]]:
    """Calls of every kind, to a store that has a prospect ``p``."""
    return [
        lambda: app.history("p"),
        lambda: app.histories.of(["p"]),
        lambda: list(app.histories.all()),
        lambda: list(app.prospects()),
        lambda: list(directory(app)),
        lambda: list(app.events()),
        lambda: list(app.follow(timeout=timedelta(0))),
        lambda: app.histories.mentioning("Ada"),
        lambda: app.find("+1 212 555 0101"),
        lambda: app.load("p"),
        lambda: app.histories.load(["p"]),
        lambda: app.explain("p", NOW),
        lambda: app.may("p"),
        lambda: list(app.due(NOW)),
        lambda: app.next_review(),
        lambda: app.due_rows.stored(),
        lambda: app.due_rows.are_stale(),
        lambda: app.count(),
        lambda: app.execute("p", InterestNoted("late")),
        lambda: app.execute("new", ADDED),
        lambda: app.claim("p", by="kim"),
        lambda: app.claim_next(1, by="kim"),
        lambda: app.tick(NOW),
        lambda: app.due_rows.rebuild(),
        lambda: app.library.kept(),
        lambda: app.settings(),
        lambda: app.change_settings({"default_region": "DE"}, by="kim", at=NOW),
    ]


def test_a_closed_store_refuses_every_call(address: str | None) -> None:
    app = opened(address)
    added(app, "p")
    app.close()
    app.close()
    for call in calls(app):
        with pytest.raises(StoreError, match=r": closed\n.*open it again") as raised:
            call()
        assert not raised.value.retryable


def test_a_closed_store_is_closed_in_a_child_too(address: str | None) -> None:
    app = opened(address)
    added(app, "p")
    app.close()

    def ask() -> str:
        with pytest.raises(StoreError, match="closed"):
            app.history("p")
        return "refused"

    assert children.fork(ask).result() == "refused"


def test_closing_closes_the_connections_of_threads_that_are_idle(address: str | None) -> None:
    with opened(address) as app:
        added(app, "p")  # so that the server, the file and the modules are there
    before = children.descriptors()
    app = opened(address)
    if address is None:
        added(app, "p")
    read, closed = threading.Barrier(4), threading.Event()
    after: list[object] = []

    def work() -> None:
        app.history("p")
        read.wait(30)
        closed.wait(30)
        try:
            after.append(app.history("p"))
        except StoreError as error:
            after.append(error.what.rpartition(": ")[2])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    read.wait(30)
    following = app.follow()
    next(following)
    app.close()
    left = children.descriptors()
    closed.set()
    for thread in threads:
        thread.join()
    assert left.keys() <= before.keys()
    assert after == ["closed"] * 3
    with pytest.raises(StoreError, match="closed"):
        next(following)


def test_closing_beside_threads_that_read_and_write_gives_no_other_error(
    address: str | None,
) -> None:
    app = opened(address)
    added(app, *(f"q{n}" for n in range(4)))
    begun = threading.Barrier(5)
    acknowledged = [1] * 4

    def work(number: int) -> str:
        begun.wait(30)
        while True:
            try:
                note(app, f"q{number}", f"{acknowledged[number]}")
                acknowledged[number] += 1
                app.explain(f"q{number}", NOW)
            except StoreError as error:
                return error.what.rpartition(": ")[2]

    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(work, number) for number in range(4)]
        begun.wait(30)
        while min(acknowledged) < 3:
            threading.Event().wait(0.001)
        app.close()
        assert [one.result() for one in told] == ["closed"] * 4
    if address is not None:
        with opened(address) as again:
            found = [len(versions(again, f"q{number}")) for number in range(4)]
            assert found == acknowledged


def test_a_with_block_leaves_no_descriptor(address: str | None) -> None:
    with opened(address) as app:
        added(app, "p")
    before = children.descriptors()
    for _ in range(20):
        with opened(address) as app:
            if address is None:
                added(app, "p")
            note(app, "p", "again")
            app.explain("p", NOW)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda _: app.history("p"), range(4)))
    assert children.descriptors().keys() <= before.keys()


# Opened before the store is there ---------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True], ids=["nothing", "an empty file or schema"])
def test_what_was_opened_to_read_sees_the_store_once_it_is_made(
    shared: str, *, begun: bool
) -> None:
    if begun and "://" in shared:
        with pgserver.connect(shared) as connection:
            name = psycopg.sql.Identifier(pgserver.schema_of(shared))
            connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(name))
    elif begun:
        Path(shared).touch()
    with opened(shared, read_only=True) as reader, ThreadPoolExecutor(1) as pool:
        assert pool.submit(reader.count).result() == 0
        assert list(reader.events()) == []
        child = children.fork(lambda: (reader.is_missing, reader.count()))
        assert child.result() == "(True, 0)"
        with opened(shared) as writer:
            added(writer, "p")
            child = children.fork(lambda: (reader.is_missing, versions(reader, "p")))
            assert child.result() == "(False, [1])"
            assert pool.submit(versions, reader, "p").result() == [1]
            assert [one.event.version for one in reader.events()] == [1]
            assert [one.prospect for one in reader.due(NOW + timedelta(days=9))] == ["p"]


def test_what_was_closed_before_the_store_was_made_stays_closed(shared: str) -> None:
    reader = opened(shared, read_only=True)
    assert reader.count() == 0
    reader.close()
    reader.close()
    with opened(shared) as writer:
        added(writer, "p")
        with pytest.raises(StoreError, match="closed"):
            reader.count()
        assert children.fork(lambda: _error(reader.count)).result() == "database: closed"


def _error(call: Callable[[], object]) -> str:
    try:
        return str(call())
    except StoreError as error:
        return error.what
