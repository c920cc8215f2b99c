"""Heavy reads give the same on any executor: threads, processes, the workers of a cluster."""

from __future__ import annotations

import io
import os
import pickle
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import msgspec
import pgserver
import policies
import pytest
from clocks import ahead
from distributed import LocalCluster
from engine_lives import PLACES, live
from filled_in import as_given
from own_addresses import own_addresses

from cadence.analysis.whatif import whatif
from cadence.audit.runner import audit
from cadence.domain.channels import CALL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    EventRetracted,
    InterestNoted,
    OptOutRequested,
    Part,
    PolicyAdopted,
    ProspectAdded,
    ReplyReceived,
    Unreadable,
)
from cadence.errors import ExecutorFailed, InputError, StoreError
from cadence.policy import builtin, guard_runner
from cadence.store import Cadence, due_rows, executors, worker
from cadence.store.adoption import adopt, preview
from cadence.store.executors import PageOfIds, map_pages
from cadence.store.source import StoreSource, pickled
from cadence.store.worker import Sent

LIVES = [live(place, attempts=attempts) for place in PLACES for attempts in (2, 5)]
IDS = [f"p{number:03}" for number in range(57)] + ["Ünïcode", "a'b", "日本"]
OURS = policies.changed(builtin(), lambda raw: raw.update(id="ours", version=7))
THEIRS = policies.changed(builtin(), lambda raw: raw.update(id="theirs", version=8))


def histories(ids: Sequence[str] = IDS) -> list[list[Event]]:
    return [
        [
            own_addresses(number, msgspec.structs.replace(event, prospect=one))
            for event in LIVES[number % len(LIVES)]
        ]
        for number, one in enumerate(sorted(ids))
    ]


NOW = max(event.recorded_at for history in histories() for event in history) + timedelta(days=1)
DAY = timedelta(days=1)
PLACES_OF_STORES: dict[str, Callable[[Path], str | None]] = {
    "memory": lambda _: None,
    "sqlite": lambda folder: str(folder / "s.db"),
    "postgres": lambda _: pgserver.new_address(),
}


@pytest.fixture(params=list(PLACES_OF_STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cadence]:
    with Cadence.open(PLACES_OF_STORES[request.param](tmp_path)) as app:
        app.histories.append([(one, 0) for one in histories()], at=ahead())
        yield app


@pytest.fixture
def address(tmp_path: Path) -> str:
    found = str(tmp_path / "s.db")
    with Cadence.open(found) as app:
        app.histories.append([(one, 0) for one in histories()], at=ahead())
    return found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some thirty pages, in fifteen tasks."""
    monkeypatch.setattr(executors, "PAGE", 2)
    monkeypatch.setattr(executors, "TOGETHER", 2)
    monkeypatch.setattr(due_rows, "_BATCH", 2)


# Executors: each is started once, by the first test that needs it ---------------------------------


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0"
    ) as found:
        yield found


@pytest.fixture(scope="module")
def dask(cluster: LocalCluster) -> Iterator[Executor]:
    with cluster.get_client() as client:
        yield client.get_executor()


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def executor_of(request: pytest.FixtureRequest, name: str) -> Executor:
    found: Executor = request.getfixturevalue(name)
    return found


# What is the same ---------------------------------------------------------------------------------


def entangle(app: Cadence) -> None:
    """Let records speak to each other that lie on pages far apart, and spoil some rows."""

    def point(number: int) -> tuple[ContactPoint, ...]:
        return (ContactPoint(CALL, f"+1 212 555 9{number:03}"),)

    called = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    for number, (first, last) in enumerate([("a1", "z1"), ("a2", "z2"), ("a3", "z3")]):
        for name in (first, last):
            added = ProspectAdded(f"N {name}", "America/New_York", "US")
            added = msgspec.structs.replace(added, contact_points=point(number))
            app.execute(name, added, at=NOW)
    app.execute("a1", OptOutRequested(), at=NOW + DAY)
    app.execute("z1", called, at=NOW + 2 * DAY)  # a finding because of a record on another page
    app.execute("z2", OptOutRequested(), at=NOW + DAY)
    app.execute("z2", EventRetracted(2, "a mistake"), at=NOW + DAY)
    app.merges.merge("z3", "a3", why="one person", at=NOW + DAY)
    merged = app.history("z3")  # has more than the record that goes on for it knows of
    note = Event("z3", len(merged) + 1, NOW + DAY, NOW + DAY, InterestNoted("x"))
    app.histories.append([([*merged, note], len(merged))], at=ahead())
    app.execute("p001", PolicyAdopted("gone", 1, "0" * 64), at=NOW)
    app.execute("p001", called, at=NOW + DAY)  # under a policy that is not at hand
    app.execute("p002", called, at=NOW)
    app.execute("p003", ReplyReceived(CALL), at=NOW)
    app.addresses.suppress(["+1 212 555 9001"], source="list", why="x", by="kim", at=NOW)
    adopt(app, THEIRS, ["p004", "p005"], NOW)
    rows = {row.prospect: row for row in app.due_rows.stored()}
    late = [rows[name]._replace(at=None, review_from=None) for name in ("p007", "z2")]
    app._recorder.insert_events([], due=late)


def everything(app: Cadence, executor: Executor | None = None) -> tuple[Any, ...]:
    names = list(app.prospects())
    return (
        list(audit(app, others=[OURS], executor=executor)),
        list(whatif(app, OURS, executor=executor)),
        list(preview(app, OURS, names, NOW + DAY, executor=executor)),
        list(
            preview(app, builtin("are-you-ok"), names[::-1], NOW, under="tip8", executor=executor)
        ),
    )


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    ("place", "name"),
    [
        *[(place, "threads") for place in PLACES_OF_STORES],
        *[(place, name) for place in ("sqlite", "postgres") for name in ("processes", "dask")],
    ],
)
def test_every_heavy_read_gives_the_same_on_any_executor(
    place: str, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    executor = executor_of(request, name)
    # Given only to this store: a worker that opened it without them would decide otherwise.
    given = {"policies": [THEIRS], "default": builtin("polite-persistence")}
    with Cadence.open(PLACES_OF_STORES[place](tmp_path), **given) as app:  # type: ignore[arg-type]
        app.histories.append([(one, 0) for one in histories()], at=ahead())
        entangle(app)
        alone = everything(app)
        assert everything(app, executor) == alone
        found = {one.rule for page in alone[0] for one in page.findings}
        assert found >= {"suppressed", "due_list", "forgotten"}
        assert any(page.unknown for page in alone[0])

        spoiled = app.due_rows.stored()
        told: list[tuple[int, int | None]] = []
        count = app.due_rows.rebuild(executor=executor, progress=lambda *done: told.append(done))
        rebuilt = app.due_rows.stored()
        assert (count, told[-1]) == (len(rebuilt), (count, None))
        assert rebuilt != spoiled
        assert app.due_rows.rebuild() == count
        assert app.due_rows.stored() == rebuilt
        again = {one.rule for page in audit(app, executor=executor) for one in page.findings}
        assert "due_list" not in again


def test_the_pages_hold_every_history_once_and_in_order(store: Cadence) -> None:
    assert list(store.histories.all()) == histories()
    pages = list(store.histories.pages(7))
    assert sum(size for _, _, size in pages) == len(IDS) == store.count()
    assert [
        one for first, last, _ in pages for one in store.histories.page(first, last)
    ] == histories()
    assert list(store.histories.pages(7, pages[2][1])) == pages[3:]
    assert store.histories.page("p010", "p012") == [
        store.history(one) for one in ("p010", "p011", "p012")
    ]
    assert store.histories.page("nobody", "nobody") == []


class Counting:
    """Names the prospects of a page, and the process that read them."""

    def __init__(self, *, is_deadly: bool = False, seconds: float = 0) -> None:
        self.is_deadly = is_deadly
        self.seconds = seconds

    def __call__(self, store: Cadence) -> Callable[[PageOfIds], tuple[list[str], int]]:
        return partial(self.count, store)

    def count(self, store: Cadence, page: PageOfIds) -> tuple[list[str], int]:
        time.sleep(self.seconds)
        if self.is_deadly and parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return [one[0].prospect for one in store.histories.page(page.first, page.last)], os.getpid()


@pytest.mark.usefixtures("small_pages")
def test_pages_come_in_order_of_the_ids_with_progress(address: str, processes: Executor) -> None:
    told: list[tuple[int, int | None]] = []
    with Cadence.open(address, read_only=True) as app:
        every = map_pages(
            app, Counting(), executor=processes, progress=lambda *one: told.append(one)
        )
        found = list(every)
    assert [one for names, _ in found for one in names] == sorted(IDS)
    assert told[0] == (2, len(IDS))
    assert told[-1] == (len(IDS), len(IDS))
    assert os.getpid() not in {process for _, process in found}


# What is sent -------------------------------------------------------------------------------------


class Remembering(Executor):
    """Does each task at once, or when it is asked for, and remembers what was sent."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.left: list[Future[Any]] = []
        self.at_once = at_once

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.sent.append((fn, *args))
        future: Future[Any] = Future()
        if self.at_once:
            future.set_result(fn(*args, **kwargs))
        self.left.append(future)
        return future


@pytest.mark.usefixtures("small_pages")
def test_a_task_is_small_and_names_nothing_but_code_of_cadence_and_plain_data(
    address: str,
) -> None:
    executor = Remembering()
    with Cadence.open(address, policies=[THEIRS]) as app:
        list(audit(app, others=[OURS], executor=executor))
        list(whatif(app, builtin(), executor=executor))
        list(preview(app, builtin(), IDS, NOW, executor=executor))
        app.due_rows.rebuild(executor=executor)
    assert len(executor.sent) > 30
    for task in executor.sent:
        sent = task[1]
        assert len(sent.source) + len(sent.work) < 40_000
        for text in (pickled(task), sent.source, sent.work):
            named = modules_named_by(text)
            plain = {"builtins", "datetime", "msgspec._core"}
            assert all(one in plain or one.startswith("cadence.") for one in named), named
            assert not any(one.endswith(("recorder", "sqlite", "model")) for one in named), named


class Naming(pickle.Unpickler):
    """Notes the modules of the classes and functions that are named."""

    def __init__(self, text: bytes) -> None:
        super().__init__(io.BytesIO(text))
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str, /) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)


def modules_named_by(text: bytes) -> set[str]:
    reader = Naming(text)
    reader.load()
    return reader.modules


@pytest.mark.usefixtures("small_pages")
def test_only_so_many_tasks_are_under_way(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "IN_FLIGHT", 3)
    executor = Remembering(at_once=False)
    most = 0

    def finish() -> None:
        nonlocal most
        done = 0
        while done < 15:
            time.sleep(0.01)
            most = max(most, len(executor.left) - done)
            if len(executor.left) > done and (len(executor.left) - done == 3 or done > 11):
                fn, *arguments = executor.sent[done]
                executor.left[done].set_result(fn(*arguments))
                done += 1

    helper = threading.Thread(target=finish)
    helper.start()
    with Cadence.open(address, read_only=True) as app:
        found = [
            name for names, _ in map_pages(app, Counting(), executor=executor) for name in names
        ]
    helper.join()
    assert found == sorted(IDS)
    assert most == 3


@pytest.mark.usefixtures("small_pages")
def test_a_reader_who_stops_early_cancels_what_is_left(address: str) -> None:
    executor = Remembering(at_once=False)
    with Cadence.open(address, read_only=True) as app:
        executor.left.append(Future())

        def interrupt() -> None:
            while len(executor.left) < 16:
                time.sleep(0.01)
            executor.left[1].set_exception(KeyboardInterrupt())

        helper = threading.Thread(target=interrupt)
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            list(map_pages(app, Counting(), executor=executor))
        helper.join()
        assert all(one.cancelled() for one in executor.left[2:])
        assert worker.here == {}


# What goes wrong ----------------------------------------------------------------------------------


def test_a_store_in_memory_refuses_other_processes(processes: Executor) -> None:
    with Cadence.open() as app:
        app.histories.append([(one, 0) for one in histories()], at=ahead())
        with pytest.raises(InputError, match="without an address") as raised:
            list(audit(app, executor=processes))
        assert "ThreadPoolExecutor" in raised.value.hint
        with pytest.raises(InputError, match="without an address"):
            app.due_rows.rebuild(executor=processes)


@pytest.mark.usefixtures("small_pages")
def test_a_worker_that_is_killed_is_told_in_two_lines(address: str) -> None:
    with (
        Cadence.open(address, read_only=True) as app,
        ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool,
        pytest.raises(ExecutorFailed, match="worker ended") as raised,
    ):
        list(map_pages(app, Counting(is_deadly=True), executor=pool))
    assert raised.value.what.startswith("executor: a worker ended or can't be reached (Broken")
    assert str(raised.value).count("\n") == 1


@pytest.mark.usefixtures("small_pages")
def test_where_dask_loses_a_worker_another_does_its_pages(
    address: str, cluster: LocalCluster, dask: Executor
) -> None:
    with Cadence.open(address, read_only=True) as app:
        every = map_pages(app, Counting(seconds=0.02), executor=dask)
        found = [next(every)]
        os.kill(found[0][1], signal.SIGKILL)
        found += every
    assert [one for names, _ in found for one in names] == sorted(IDS)
    assert len({process for _, process in found}) > 1


def test_an_executor_that_was_shut_down_is_told(address: str) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with (
        Cadence.open(address, read_only=True) as app,
        pytest.raises(ExecutorFailed, match="after shutdown"),
    ):
        list(audit(app, executor=pool))


def sent_from_elsewhere(app: Cadence, work: Any) -> Sent:
    """What another process would send."""
    source = pickled((Cadence.open_source, app.source()))
    return Sent(0, "of another process", worker.versions(), source, pickled(work))


def test_a_worker_that_reaches_another_database_is_told(address: str, tmp_path: Path) -> None:
    """A file that is missing there, and one with other events, both read as less than there is."""
    with Cadence.open(address) as app:
        source = app.source()
    for other in ("missing.db", "other.db"):
        path = str(tmp_path / other)
        if other == "other.db":
            with Cadence.open(path) as app:
                app.histories.append([(one, 0) for one in histories()[:-1]], at=ahead())
        moved = msgspec.structs.replace(source, address=path)
        with pytest.raises(StoreError, match="lacks events of this one") as raised:
            Cadence.open_source(moved)
        assert "same path" in raised.value.hint
    with Cadence.open_source(source) as same, Cadence.open(address) as app:
        assert list(same.histories.all()) == list(app.histories.all())


def test_a_worker_with_other_versions_is_refused(address: str) -> None:
    with Cadence.open(address) as app:
        sent = sent_from_elsewhere(app, Counting())
    old = tuple((name, "0.1" if name == "holidays" else one) for name, one in sent.versions)
    answer = worker.run(sent._replace(versions=old), [PageOfIds(None, "p001", "p002", 2)])
    assert isinstance(answer.error, InputError)
    assert "holidays" in answer.error.what
    assert "0.1 here" in answer.error.what
    assert "same versions" in answer.error.hint


def test_an_error_of_the_work_is_raised_as_it_is(address: str, processes: Executor) -> None:
    class_of = Failing()
    with Cadence.open(address, read_only=True) as app, pytest.raises(ZeroDivisionError) as raised:
        list(map_pages(app, class_of, executor=processes))
    assert "in fail" in raised.value.__notes__[0]


class Failing:
    def __call__(self, store: Cadence) -> Callable[[PageOfIds], float]:
        return self.fail

    def fail(self, page: PageOfIds) -> float:
        return 1 / 0


def test_guards_that_one_caller_allowed_are_not_asked_for_the_next() -> None:
    name = "bad_guards:fine"
    guard_runner.allow([name])
    with guard_runner.allowing_only(set()):
        assert not guard_runner.is_allowed(name)
        guard_runner.allow(["their.own:guard"])
        assert guard_runner.allowed() == {"their.own:guard"}
    assert guard_runner.is_allowed(name)
    assert not guard_runner.is_allowed("their.own:guard")


# The stores of a worker ---------------------------------------------------------------------------


def test_a_worker_opens_a_store_once_for_all_threads_and_closes_it_when_it_is_idle(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Cadence.open(address) as app:
        sent = sent_from_elsewhere(app, Counting(seconds=0.01))
        expected = [one[0].prospect for one in app.histories.page("p001", "p002")]
    opened: list[Cadence] = []
    open_source = Cadence.open_source

    def remember(source: StoreSource) -> Cadence:
        opened.append(open_source(source))
        return opened[-1]

    monkeypatch.setattr(Cadence, "open_source", remember)
    monkeypatch.setattr(worker, "_IDLE", 0.1)
    page = PageOfIds(None, "p001", "p002", 2)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: worker.run(sent, [page]), range(12)))
    assert [one.results[0][0] for one in answers] == [expected] * 12
    (only,) = opened
    end = time.monotonic() + 10
    while worker._kept._open and time.monotonic() < end:
        time.sleep(0.02)
    with pytest.raises(StoreError, match="closed"):
        only.history("p001")
    assert worker.run(sent, [page]).results[0][0] == expected
    assert len(opened) == 2


def test_a_forked_worker_opens_stores_of_its_own(address: str) -> None:
    with Cadence.open(address) as app:
        sent = sent_from_elsewhere(app, Counting())
        page = PageOfIds(None, "p001", "p002", 2)
        here = worker.run(sent, [page])
        assert worker._kept._open
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
            there = pool.submit(worker.run, sent, [page]).result()
        assert there.results[0][0] == here.results[0][0]
        assert there.results[0][1] != here.results[0][1]
        assert worker.run(sent, [page]) == here


# Histories that can't be read ---------------------------------------------------------------------


def test_rows_of_an_old_shape_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with Cadence.open(str(path)) as app:
        app.histories.append([(one, 0) for one in histories(["a", "b", "c"])], at=ahead())
        new = list(app.histories.all())
    with sqlite3.connect(path) as rows:
        [(state,)] = rows.execute(
            "SELECT state FROM stored_events WHERE originator_id = 'b' "
            "AND topic = 'AttemptMade.2' ORDER BY originator_version LIMIT 1"
        )
        old: dict[str, Any] = msgspec.json.decode(state)
        part = old["data"].pop("parts")[0]
        del part["key"]  # shape 1 is from before the keys
        old["data"] |= {"type": "AttemptMade", **part}
        rows.execute(
            "UPDATE stored_events SET state = ?, topic = 'AttemptMade' "
            "WHERE originator_id = 'b' AND originator_version = ?",
            (msgspec.json.encode(old), old["version"]),
        )
    with Cadence.open(str(path), read_only=True) as app:
        assert [as_given(one) for one in app.histories.all()] == [as_given(one) for one in new]


@pytest.mark.parametrize("name", ["alone", "processes"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM stored_events WHERE originator_version = 2",
        "UPDATE stored_events SET state = '{}' WHERE originator_id = 'p003'",
        "UPDATE stored_events SET state = replace(state, 'AttemptMade.2', 'AttemptMade.9')",
    ],
)
def test_histories_that_cannot_be_read_are_findings_in_every_process(
    address: str, name: str, statement: str, request: pytest.FixtureRequest
) -> None:
    with sqlite3.connect(address) as rows:
        rows.execute(statement)
    executor = None if name == "alone" else executor_of(request, name)
    with Cadence.open(address, read_only=True) as app:
        broken = {
            one[0].prospect
            for one in app.histories.all()
            if any(isinstance(event.data, Unreadable) for event in one)
        }
        pages = list(audit(app, executor=executor))
    found = [one for page in pages for one in page.findings if one.rule == "forgotten"]
    assert broken
    assert [one.prospect for one in found] == sorted(broken)


@pytest.mark.parametrize("name", ["alone", "processes"])
def test_a_missing_table_is_named_whichever_process_meets_it(
    address: str, name: str, request: pytest.FixtureRequest
) -> None:
    with sqlite3.connect(address) as rows:
        rows.execute("DROP TABLE stored_events")
    executor = None if name == "alone" else executor_of(request, name)
    with Cadence.open(address, read_only=True) as app, pytest.raises(StoreError):
        list(audit(app, executor=executor))
