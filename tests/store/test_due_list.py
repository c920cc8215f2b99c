"""The due list is soonest first, and a row is never later than what is decided later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cadence.domain.channels import CALL
from cadence.domain.events import ContactPoint, Disposition, Part, ProspectAdded
from cadence.domain.fold import fold
from cadence.engine import MakeAttempt, SetAppointment
from cadence.engine.decision import Due, Task
from cadence.engine.loop import silent_decision_for
from cadence.store import Cadence
from cadence.store.due_list import due_row, to_micros
from cadence.testing import History, histories, policies


def test_what_was_due_before_a_closed_hour_keeps_its_place_in_the_list() -> None:
    points = (ContactPoint(CALL, "+1 212 555 0101"),)
    added = datetime(2026, 11, 16, 14, tzinfo=UTC)
    night = datetime(2026, 11, 19, 12, 59, tzinfo=UTC)  # 7:59 in New York
    with Cadence.open() as store:
        for name in ("p1", "p2"):
            person = ProspectAdded(name, "America/New_York", "US", contact_points=points)
            store.execute(name, person, at=added)
        store.execute("p2", SetAppointment(datetime(2026, 11, 16, 14, 59, tzinfo=UTC)), at=added)
        call = (Part(CALL, Disposition.NO_ANSWER, "+1 212 555 0101"),)
        store.execute("p2", MakeAttempt(call, why="rang too early"), at=night)
        listed = list(store.due(datetime(2026, 11, 19, 13, 9, tzinfo=UTC)))
    ats = [decision.at for decision in listed]
    assert len(ats) == 2
    assert ats == sorted(ats)  # type: ignore[type-var]  # every decision in the list has a time


def test_a_closed_store_leaves_one_file_that_can_be_copied(tmp_path: Path) -> None:
    """The last connection folds the write-ahead log into the file; it has to be the writer's."""
    path = tmp_path / "whole.db"
    with Cadence.open(str(path)) as app:
        at = datetime(2026, 11, 16, 14, tzinfo=UTC)
        app.execute("jo", ProspectAdded("Jo", "UTC"), at=at)
        app.explain("jo", at)
    assert [found.name for found in tmp_path.iterdir()] == ["whole.db"]


@given(
    policies().flatmap(histories),
    st.integers(min_value=1),
    st.lists(st.integers(min_value=0, max_value=60 * 24 * 60), min_size=1, max_size=6),
)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_no_later_decision_comes_before_its_row_or_is_due_before_the_row_is_reviewed(
    life: History, cut: int, minutes: list[int]
) -> None:
    prospect = fold(None, life.events[: 1 + cut % len(life.events)])
    assert prospect is not None
    seen = prospect.recorded_at
    row = due_row(prospect, silent_decision_for(prospect, life.policies, seen))
    for later in minutes:
        now = seen + timedelta(minutes=later)
        decision = silent_decision_for(prospect, life.policies, now)
        if decision.at is not None:
            assert row.at is not None
            assert row.at <= to_micros(decision.at)
        if isinstance(decision, Due | Task):
            assert row.review_from is not None
            assert row.review_from <= to_micros(now)
