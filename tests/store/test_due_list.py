"""The due list is soonest first, and a row is never later than what is decided later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cadence.domain.channels import CALL
from cadence.domain.events import ContactPoint, Disposition, Part, ProspectAdded
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.engine import MakeAttempt, SetAppointment
from cadence.engine.decision import Close, Decision, Due, Task, TaskKind
from cadence.engine.loop import silent_decision_for
from cadence.engine.lower_bound import decide_early
from cadence.policy.registry import PolicyRegistry
from cadence.store import Cadence
from cadence.store.due_list import DueRow, due_row, to_micros
from cadence.testing import History, histories, policies
from cadence.worktime import zone_calendar
from cadence.worktime.calendar import work_calendar


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


def row_of(prospect: Prospect, policies: PolicyRegistry) -> DueRow:
    policy = policies.of(prospect)
    assert policy is not None
    seen = prospect.recorded_at
    decision = silent_decision_for(prospect, policies, seen)
    return due_row(prospect, decision, decide_early(prospect, policy, seen), "")


def check_holds(row: DueRow, decision: Decision, now: datetime) -> None:
    """Check that a row is no later than a decision that is made at ``now``."""
    if decision.at is not None:
        assert row.at is not None
        assert row.at <= to_micros(decision.at)
    if isinstance(decision, Due | Task | Close):
        assert row.review_from is not None
        assert row.review_from <= to_micros(now)


MINUTES = st.lists(st.integers(min_value=0, max_value=60 * 24 * 60), min_size=1, max_size=6)


@given(policies().flatmap(histories), st.integers(min_value=1), MINUTES)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_no_later_decision_comes_before_its_row_or_is_due_before_the_row_is_reviewed(
    life: History, cut: int, minutes: list[int]
) -> None:
    prospect = fold(None, life.events[: 1 + cut % len(life.events)])
    assert prospect is not None
    row = row_of(prospect, life.policies)
    for later in minutes:
        now = prospect.recorded_at + timedelta(minutes=later)
        check_holds(row, silent_decision_for(prospect, life.policies, now), now)


@contextmanager
def other_data(closed: frozenset[int], behind: int) -> Iterator[None]:
    """Decide as with other versions of ``holidays`` and ``tzdata``.

    Args:
        closed: the days of the year that are public holidays, everywhere.
        behind: how many hours the clocks of every zone are behind UTC.
    """

    def holidays(country: str, subdivision: str | None, year: int) -> dict[int, str]:
        first = date(year, 1, 1).toordinal()
        return {first + day: "a holiday" for day in closed}

    def zone(name: str) -> ZoneInfo:
        return ZoneInfo(f"Etc/GMT+{behind}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone_calendar, "public_holidays", holidays)
        patch.setattr(zone_calendar, "zone", zone)
        work_calendar.cache_clear()
        yield
    work_calendar.cache_clear()


CLOSED = st.one_of(
    st.just(frozenset[int]()),
    st.frozensets(st.integers(0, 364), max_size=120),
    st.integers(0, 300).map(lambda first: frozenset(range(first, first + 14))),
)
# That no time is found is told when it is found by the data of the reader: at the latest on the day
# before the touch was planned.
NO_TIME = {TaskKind.FIND_TIME, TaskKind.FIND_TIME_DESPITE_GUARDS}
DATA = st.tuples(CLOSED, st.integers(5, 8))


@given(policies().flatmap(histories), st.integers(min_value=1), MINUTES, DATA, DATA)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_a_row_holds_under_the_holidays_and_zones_of_every_other_program(
    life: History,
    cut: int,
    minutes: list[int],
    here: tuple[frozenset[int], int],
    there: tuple[frozenset[int], int],
) -> None:
    prospect = fold(None, life.events[: 1 + cut % len(life.events)])
    assert prospect is not None
    prospect = replace(prospect, identity=replace(prospect.identity, country="US"))
    with other_data(*here):
        row = row_of(prospect, life.policies)
    with other_data(*there):
        for later in minutes:
            now = prospect.recorded_at + timedelta(minutes=later)
            decision = silent_decision_for(prospect, life.policies, now)
            if not isinstance(decision, Task):
                check_holds(row, decision, now)
            elif decision.kind not in NO_TIME:
                assert row.review_from is not None
                assert row.review_from <= to_micros(now)
