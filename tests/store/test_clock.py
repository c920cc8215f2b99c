"""A given time is the clock; without one it is the machine's, with five minutes of grace."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cadence.domain.channels import EMAIL
from cadence.domain.events import ContactPoint, Event, ProspectAdded, ReplyReceived
from cadence.errors import InputError
from cadence.policy.loader import builtin
from cadence.store import Cadence
from cadence.store import clock as store_clock
from cadence.store.adoption import adopt
from cadence.store.clock import year_after

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


def added(prospect: str, at: datetime) -> Event:
    return Event(prospect, 1, at, at, ADDED)


def test_histories_that_lie_after_the_clock_are_refused() -> None:
    later = NOW + 6 * MINUTE
    with Cadence.open(None, clock=Clock()) as app:
        with pytest.raises(InputError, match=r"ann: version 1: occurred_at: .* after the clock"):
            app.histories.append([([added("ann", later)], 0)])
        assert app.count() == 0
        assert app.histories.append([([added("ann", later)], 0)], at=later) == 1
        assert app.histories.append([([added("bob", NOW + 5 * MINUTE)], 0)]) == 1


YEAR_ON = NOW.replace(year=2027)
BEYOND = YEAR_ON + MINUTE


def test_a_write_over_a_year_after_everything_known_is_refused_unless_forced() -> None:
    with Cadence.open(None, clock=Clock()) as app:
        app.execute("ann", ADDED, at=NOW)
        app.execute("ann", REPLY, at=YEAR_ON)
        far = BEYOND.replace(year=2028)
        with pytest.raises(InputError, match=r"recorded_at: .* over a year after"):
            app.execute("ann", REPLY, at=far)
        with pytest.raises(InputError, match="over a year after"):
            app.histories.append([([added("bob", far)], 0)], at=far)
        assert len(app.history("ann")) == 2
        assert app.histories.append([([added("bob", far)], 0)], at=far, force=True) == 1
        # From there on it is what is known.
        app.execute("ann", REPLY, at=far.replace(year=2029))
        # An old event is recorded whatever the clock shows.
        assert app.histories.append([([added("eve", NOW)], 0)], at=far.replace(year=2040)) == 1


def test_writes_far_in_the_future_read_each_stored_event_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Counter[str]()
    real = store_clock.decode_row

    def counted(prospect: str, version: int, state: bytes) -> Event:
        read[prospect] += 1
        return real(prospect, version, state)

    monkeypatch.setattr(store_clock, "decode_row", counted)
    far = BEYOND.replace(year=2199)
    names = [f"p{number}" for number in range(5)]
    with Cadence.open(None, clock=Clock()) as app:
        for name in names:
            app.histories.append([([added(name, NOW)], 0)], at=far)
        # As the last one that was written, and once more among all.
        assert read == dict.fromkeys(names[:-1], 2)


def test_an_empty_store_takes_any_time() -> None:
    with Cadence.open(None, clock=Clock()) as app:
        app.execute("ann", ADDED, at=BEYOND)
        app.execute("ann", REPLY, at=BEYOND + 999 * MINUTE)


def test_the_newest_event_need_not_be_the_last_one_written(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    with Cadence.open(path, clock=Clock()) as app:
        app.execute("ann", ADDED, at=BEYOND)
        app.execute("bob", ADDED, at=NOW)
    with Cadence.open(path, clock=Clock()) as app:
        app.execute("ann", REPLY, at=BEYOND + 999 * MINUTE)


def test_a_policy_is_adopted_far_in_the_future_only_if_forced() -> None:
    far, policy = BEYOND.replace(year=2029), builtin("polite-persistence")
    with Cadence.open(None, clock=Clock()) as app:
        app.execute("ann", ADDED, at=NOW)
        with pytest.raises(InputError, match="over a year after"):
            adopt(app, policy, ["ann"], far)
        assert adopt(app, policy, ["ann"], far, force=True) == 1


@pytest.mark.parametrize(
    ("day", "after"), [((2028, 2, 29), (2029, 3, 1)), ((2026, 5, 4), (2027, 5, 4))]
)
def test_a_year_after_is_the_same_day(
    day: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    assert year_after(datetime(*day, 9, tzinfo=UTC)) == datetime(*after, 9, tzinfo=UTC)


def test_a_time_just_after_the_clock_is_shown_with_its_fraction() -> None:
    """Two times that look equal would not explain the refusal."""
    at = NOW + timedelta(microseconds=250000)
    with (
        Cadence.open(None, clock=Clock()) as app,
        pytest.raises(InputError, match=r"14:00:00\.500000Z, after \S+14:00:00\.250000Z"),
    ):
        app.execute("ann", ADDED, at=at, occurred_at=NOW + timedelta(microseconds=500000))


def test_a_clock_without_a_zone_is_refused() -> None:
    with (
        Cadence.open(None, clock=lambda: NOW.replace(tzinfo=None)) as app,
        pytest.raises(InputError, match="clock: missing time zone"),
    ):
        app.execute("ann", ADDED)
