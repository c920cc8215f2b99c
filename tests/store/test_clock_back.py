"""A clock that goes back stops no fact from being recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cadence import Cadence
from cadence.domain import (
    Channel,
    ContactPoint,
    Disposition,
    Part,
    PauseRequested,
    ProspectAdded,
)
from cadence.engine import MakeAttempt


def test_a_clock_that_went_back_decides_for_each_region_that_is_missing() -> None:
    noon = datetime(2026, 3, 2, 15, tzinfo=UTC)
    before = noon - timedelta(hours=30)
    with Cadence.open() as app:
        point = ContactPoint(Channel("call"), "+1 212 555 0100")
        added = ProspectAdded("Jo", "America/New_York", "US", contact_points=(point,))
        app.execute("jo", added, at=noon)
        made = MakeAttempt((Part(Channel("call"), Disposition.NO_ANSWER),))
        app.execute("jo", made, at=noon)
        paused = app.execute("jo", PauseRequested(before + timedelta(days=1)), at=before)
        assert paused.decision.at is not None
