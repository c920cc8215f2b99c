"""The due list is soonest first, also where a touch was due already and its hour was closed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cadence.domain.events import Channel, ContactPoint, Disposition, Part, ProspectAdded
from cadence.engine import MakeAttempt, SetAppointment
from cadence.store import Cadence


def test_what_was_due_before_a_closed_hour_keeps_its_place_in_the_list() -> None:
    points = (ContactPoint(Channel.CALL, "+1"),)
    added = datetime(2026, 11, 16, 14, tzinfo=UTC)
    night = datetime(2026, 11, 19, 12, 59, tzinfo=UTC)  # 7:59 in New York
    with Cadence.open() as store:
        for name in ("p1", "p2"):
            person = ProspectAdded(name, "America/New_York", "US", contact_points=points)
            store.execute(name, person, at=added)
        store.execute("p2", SetAppointment(datetime(2026, 11, 16, 14, 59, tzinfo=UTC)), at=added)
        call = (Part(Channel.CALL, Disposition.NO_ANSWER, "+1"),)
        store.execute("p2", MakeAttempt(call, off_policy="rang too early"), at=night)
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
