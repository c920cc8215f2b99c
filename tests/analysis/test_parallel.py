"""Every history of a store, page by page and on several processes."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import msgspec
import pgserver
import pytest
from clocks import ahead
from engine_lives import PLACES, live
from filled_in import as_given
from own_addresses import own_addresses

from cadence.analysis import parallel as sweep_module
from cadence.analysis.parallel import map_histories
from cadence.analysis.whatif import whatif
from cadence.audit.runner import Summary, audit
from cadence.domain.events import Event, Unreadable
from cadence.errors import StoreError
from cadence.policy import builtin
from cadence.store import Cadence

LIVES = [live(place, attempts=attempts) for place in PLACES for attempts in (2, 5)]
IDS = [f"p{number:03}" for number in range(57)] + ["Ünïcode", "a'b", "日本"]


def histories(ids: Sequence[str] = IDS) -> list[list[Event]]:
    return [
        [
            own_addresses(number, msgspec.structs.replace(event, prospect=one))
            for event in LIVES[number % len(LIVES)]
        ]
        for number, one in enumerate(sorted(ids))
    ]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cadence]:
    places = {"memory": lambda: None, "sqlite": lambda: str(tmp_path / "s.db")}
    with Cadence.open(places.get(request.param, pgserver.new_address)()) as app:
        app.append_histories([(one, 0) for one in histories()], at=ahead())
        yield app


def count(page: Sequence[Sequence[Event]]) -> tuple[list[str], int, int]:
    return [one[0].prospect for one in page], sum(map(len, page)), os.getpid()


def test_the_pages_hold_every_history_once_and_in_order(store: Cadence) -> None:
    assert list(store.histories()) == histories()
    pages = list(store.pages(7))
    assert sum(size for _, _, size in pages) == len(IDS) == store.count()
    assert [one for first, last, _ in pages for one in store.page(first, last)] == histories()
    assert store.page("p010", "p012") == [store.history(one) for one in ("p010", "p011", "p012")]
    assert store.page("nobody", "nobody") == []


def test_several_processes_give_what_one_gives_in_the_same_order(
    store: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "PAGE", 4)
    told: list[tuple[int, int | None]] = []
    alone = list(map_histories(store, count, jobs=1))
    several = list(map_histories(store, count, jobs=2, progress=lambda *done: told.append(done)))
    assert [one[:2] for one in several] == [one[:2] for one in alone]
    assert [one for page in alone for one in page[0]] == sorted(IDS)
    assert told[-1] == (len(IDS), len(IDS))
    elsewhere = {one[2] for one in several} - {os.getpid()}
    assert bool(elsewhere) == (store.address is not None)


def test_a_small_store_is_not_worth_another_process(store: Cadence) -> None:
    assert {one[2] for one in map_histories(store, count)} == {os.getpid()}


def test_audit_and_whatif_say_the_same_on_several_processes(
    store: Cadence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "PAGE", 8)
    for jobs in (1, 2):
        summary = Summary()
        for page in audit(store, jobs=jobs):
            summary.add(page)
        assert (summary.prospects, summary.count()) == (len(IDS), 0)
        assert summary.events == sum(map(len, histories()))
    alone = list(whatif(store, builtin(), jobs=1))
    assert list(whatif(store, builtin(), jobs=2)) == alone


def test_rows_of_an_old_shape_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with Cadence.open(str(path)) as app:
        app.append_histories([(one, 0) for one in histories(["a", "b", "c"])], at=ahead())
        new = list(app.histories())
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
        assert [as_given(one) for one in app.histories()] == [as_given(one) for one in new]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM stored_events WHERE originator_version = 2",
        "UPDATE stored_events SET state = '{}' WHERE originator_id = 'p003'",
        "UPDATE stored_events SET state = replace(state, 'AttemptMade.2', 'AttemptMade.9')",
    ],
)
def test_histories_that_cannot_be_read_are_findings_in_every_process(
    tmp_path: Path, jobs: int, statement: str
) -> None:
    path = tmp_path / "broken.db"
    with Cadence.open(str(path)) as app:
        app.append_histories([(one, 0) for one in histories()], at=ahead())
    with sqlite3.connect(path) as rows:
        rows.execute(statement)
    with Cadence.open(str(path), read_only=True) as app:
        broken = {
            one[0].prospect
            for one in app.histories()
            if any(isinstance(event.data, Unreadable) for event in one)
        }
        pages = list(audit(app, jobs=jobs))
    found = [one for page in pages for one in page.findings if one.rule == "forgotten"]
    assert broken
    assert [one.prospect for one in found] == sorted(broken)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_missing_table_is_named_whichever_process_meets_it(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "broken.db"
    with Cadence.open(str(path)) as app:
        app.append_histories([(one, 0) for one in histories()], at=ahead())
    with sqlite3.connect(path) as rows:
        rows.execute("DROP TABLE stored_events")
    with Cadence.open(str(path), read_only=True) as app, pytest.raises(StoreError):
        list(audit(app, jobs=jobs))


def ended(_: Sequence[Sequence[Event]]) -> None:
    if parent_process() is not None:  # the tests' own process works too
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_module, "PAGE", 4)
    path = tmp_path / "killed.db"
    with Cadence.open(str(path)) as app:
        app.append_histories([(one, 0) for one in histories()], at=ahead())
        with pytest.raises(StoreError, match="ended from outside\ntry again"):
            list(map_histories(app, ended, jobs=2))
