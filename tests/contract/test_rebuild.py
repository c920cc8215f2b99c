"""The due list is rebuilt beside writers, in steps that go on after an interruption."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pgserver
import pytest

from cadence.domain.channels import CALL
from cadence.domain.events import (
    AttemptMade,
    AttemptStage,
    ContactPoint,
    Disposition,
    Event,
    InterestNoted,
    Part,
    ProspectAdded,
)
from cadence.domain.prospect import Prospect
from cadence.engine.commands import SetAppointment
from cadence.engine.decision import Decision, Verdict
from cadence.errors import StoreError
from cadence.store import Cadence, due_rows
from cadence.store.due_list import DueRow
from cadence.store.due_rows import DueRows

NOW = datetime(2026, 11, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ADDED = ProspectAdded(
    "Ann", "America/New_York", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),)
)
NAMES = [f"p{number:03}" for number in range(40)]


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = str(tmp_path / "a.db") if request.param == "sqlite" else pgserver.new_address()
    with Cadence.open(found) as app:
        for name in NAMES:
            app.execute(name, ADDED, at=NOW)
            app.execute(name, SetAppointment(NOW + DAY), at=NOW)
    return found


@pytest.fixture
def app(address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cadence]:
    monkeypatch.setattr(due_rows, "_BATCH", 8)
    with Cadence.open(address) as opened:
        yield opened


def spoil(app: Cadence) -> None:
    """Give every prospect the row of another engine, which never wakes."""
    rows = [row._replace(stamp="999", review_from=None, at=None) for row in app.due_rows.stored()]
    app._recorder.insert_events([], due=rows)


def test_a_rebuild_that_was_interrupted_goes_on_where_it_stopped(app: Cadence) -> None:
    rows = app.due_rows.stored()
    spoil(app)

    def stop(done: int, total: int | None) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        app.due_rows.rebuild(progress=stop)
    assert app.due_rows.stored()[:16] == rows[:16]
    assert app.due_rows.are_stale()
    assert app.due_rows.rebuild() == 24
    assert app.due_rows.stored() == rows
    assert not app.due_rows.are_stale()
    assert app.due_rows.rebuild() == 40


def test_what_is_written_while_rows_are_computed_waits_for_nothing_and_stays(
    app: Cadence, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(app)
    written: list[str] = []
    compute = DueRows.row

    with Cadence.open(address, lock_timeout_seconds=1) as other:

        def write_first(
            self: DueRows, prospect: Prospect, decision: Decision | None = None
        ) -> DueRow:
            row = compute(self, prospect, decision)
            if self is app.due_rows and prospect.version == 2:
                other.execute(prospect.id, InterestNoted("x"), at=NOW + DAY)
                written.append(prospect.id)
            return row

        monkeypatch.setattr(DueRows, "row", write_first)
        app.due_rows.rebuild()
    assert written == NAMES
    kept = app.due_rows.stored()
    app.due_rows.rebuild()
    assert app.due_rows.stored() == kept


def test_with_stale_rows_and_a_writer_a_store_opens_at_once_and_lists_right(
    app: Cadence, address: str
) -> None:
    spoil(app)
    stale = app.due_rows.stored()

    def hold() -> Iterator[tuple[list[Event], int]]:
        for number in range(600):  # PostgreSQL takes hundreds before it locks the table
            yield [Event(f"q{number:03}", 1, NOW, NOW, ADDED)], 0
        started = time.monotonic()
        with Cadence.open(address, lock_timeout_seconds=1) as other:
            with pytest.raises(StoreError):
                other.execute("p000", InterestNoted("x"), at=NOW)
            waited = time.monotonic() - started
            assert [one.prospect for one in other.due(NOW + DAY)] == NAMES
            assert other.tick(NOW + DAY) == []
            assert other.due_rows.are_stale()
        assert time.monotonic() - started - waited < 1

    app.histories.append(hold())
    assert [row for row in app.due_rows.stored() if row.prospect in NAMES] == stale
    with Cadence.open(address, read_only=True) as reader:
        assert [one.prospect for one in reader.due(NOW + DAY)][:40] == NAMES


def test_a_row_is_made_from_addresses_as_they_are_read(app: Cadence) -> None:
    """In a history from before no address has a key. "a" is no number: their follow-up ends."""
    points = (ContactPoint(CALL, "a"),)
    attempt = AttemptMade((Part(CALL, Disposition.NO_ANSWER),), stage=AttemptStage.SPACED)
    history = [
        Event("old", 1, NOW, NOW, ProspectAdded("Old", "UTC", contact_points=points)),
        Event("old", 2, NOW, NOW, attempt),
    ]
    app.histories.append([(history, 0)], at=NOW)
    assert app.explain("old", NOW).verdict is Verdict.CLOSE
    [appended] = [row for row in app.due_rows.stored() if row.prospect == "old"]
    app.due_rows.rebuild()
    [rebuilt] = [row for row in app.due_rows.stored() if row.prospect == "old"]
    assert appended == rebuilt
    assert [outcome.prospect.id for outcome in app.tick(NOW)] == ["old"]
