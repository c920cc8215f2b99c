"""A given time is the clock; without one it is the machine's, with five minutes of grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cadence.domain.channels import EMAIL
from cadence.domain.events import ContactPoint, ProspectAdded, ReplyReceived
from cadence.errors import InputError
from cadence.store import Cadence

NOW = datetime(2026, 12, 1, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADDED = ProspectAdded("Ann", "UTC", contact_points=(ContactPoint(EMAIL, "ann@example.com"),))
REPLY = ReplyReceived(EMAIL)


class Clock:
    """A machine's clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now.astimezone(timezone(timedelta(hours=-5)))


def test_calls_that_give_no_time_read_the_clock_of_the_machine() -> None:
    clock = Clock()
    with Cadence.open(None, clock=clock) as app:
        [added] = app.execute("ann", ADDED).events
        assert (added.occurred_at, added.recorded_at) == (NOW, NOW)
        assert [one.prospect for one in app.due()] == ["ann"]
        clock.now += 30 * 24 * 60 * MINUTE
        assert app.explain("ann") == app.explain("ann", clock.now)
        assert app.tick() == []
        changed = app.change_settings({"team.company": "Acme"}, by="ann")
        company = next(one for one in changed.entries if one.name == "team.company")
        assert company.changes[-1].at == clock.now


@pytest.mark.parametrize(("minutes", "is_taken"), [(-60, True), (0, True), (5, True), (6, False)])
def test_what_occurred_up_to_five_minutes_after_the_clock_of_the_machine_is_taken(
    minutes: int, is_taken: bool
) -> None:
    occurred = NOW + minutes * MINUTE
    with Cadence.open(None, clock=Clock()) as app:
        app.execute("ann", ADDED)
        if not is_taken:
            with pytest.raises(InputError, match="occurred_at"):
                app.execute("ann", REPLY, occurred_at=occurred)
            assert len(app.history("ann")) == 1
            return
        [reply] = app.execute("ann", REPLY, occurred_at=occurred).events
        assert (reply.occurred_at, reply.recorded_at) == (occurred, max(NOW, occurred))


def test_a_given_time_is_the_clock_without_grace() -> None:
    with Cadence.open(None, clock=Clock()) as app:
        later = NOW + 999 * MINUTE
        app.execute("ann", ADDED, at=later)
        app.execute("ann", REPLY, at=later, occurred_at=later)
        with pytest.raises(InputError, match="occurred_at"):
            app.execute("ann", REPLY, at=later, occurred_at=later + MINUTE)


def test_a_clock_without_a_zone_is_refused() -> None:
    with (
        Cadence.open(None, clock=lambda: NOW.replace(tzinfo=None)) as app,
        pytest.raises(InputError, match="clock: missing time zone"),
    ):
        app.execute("ann", ADDED)
