"""Until the next review no other prospect comes onto the list, on every store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from clocks import ahead
from engine_lives import PLACES, live
from hypothesis import given
from hypothesis import strategies as st

from cadence.domain.channels import CALL
from cadence.domain.events import (
    ContactPoint,
    Disposition,
    Event,
    InterestNoted,
    Part,
    ProspectAdded,
)
from cadence.engine import MakeAttempt, SetAppointment
from cadence.engine.claims import Claim
from cadence.store import Cadence

FRIDAY = datetime(2026, 11, 27, 15, tzinfo=UTC)
NINE = datetime(2026, 12, 1, 14, tzinfo=UTC)  # 9:00 in New York
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def app(address: str | None) -> Iterator[Cadence]:
    with Cadence.open(address, clock=lambda: NINE) as app:
        yield app


def add(app: Cadence, name: str, number: int, at: datetime, owner: str | None = None) -> None:
    points = (ContactPoint(CALL, f"+1 212 555 {number:04}"),)
    added = ProspectAdded(name, "America/New_York", "US", contact_points=points, owner=owner)
    app.execute(name, added, at=FRIDAY)
    app.execute(name, SetAppointment(at), at=FRIDAY)


def listed(app: Cadence, now: datetime, owner: str | None = None) -> set[str]:
    return {decision.prospect for decision in app.due(now, owner=owner)}


def woken(app: Cadence, now: datetime, until: datetime, owner: str | None = None) -> list[datetime]:
    """When a scheduler wakes up that sleeps until the next review."""
    found = []
    while (instant := app.next_review(owner, now)) is not None and instant <= until:
        assert instant > now
        found.append(instant)
        now = instant
    return found


def test_nothing_comes_up_in_an_empty_store(app: Cadence) -> None:
    assert app.next_review(now=NINE) is None


def test_a_scheduler_wakes_up_early_at_most_and_then_to_the_microsecond(app: Cadence) -> None:
    add(app, "ann", 1, NINE)
    add(app, "bob", 2, NINE + timedelta(hours=2))
    wakings = woken(app, FRIDAY, NINE + timedelta(hours=3))
    assert {NINE, NINE + timedelta(hours=2)} <= set(wakings)
    assert len(wakings) <= 4  # each once by its row, and once by its decision
    assert listed(app, NINE - MICROSECOND) == set()
    assert listed(app, NINE) == {"ann"}


def test_who_is_on_the_list_already_does_not_keep_a_scheduler_awake(app: Cadence) -> None:
    add(app, "ann", 1, NINE)
    later = NINE + timedelta(minutes=3)
    assert listed(app, later) == {"ann"}
    instant = app.next_review(now=later)
    assert instant is None or instant > later


def test_only_the_prospects_of_an_owner_wake_that_owner(app: Cadence) -> None:
    add(app, "ann", 1, NINE, owner="kim")
    until = NINE + timedelta(days=1, hours=1)
    add(app, "bob", 2, until, owner="lee")
    assert NINE in woken(app, FRIDAY, until, "kim")
    assert NINE not in woken(app, NINE - timedelta(hours=1), until, "lee")
    assert until in woken(app, FRIDAY, until, "lee")
    assert app.next_review("pat", FRIDAY) is None


def test_a_deadline_of_a_task_and_the_end_of_a_lease_are_reviewed(app: Cadence) -> None:
    add(app, "ann", 1, NINE)
    app.execute("ann", MakeAttempt((Part(CALL, Disposition.CONNECTED),)), at=NINE)
    (task,) = app.due(NINE)
    assert task.verdict == "task"
    assert task.at is not None
    assert task.at > NINE
    assert app.next_review(now=NINE) == task.at
    add(app, "bob", 2, NINE)
    claim: Claim = app.claim("bob", by="kim", at=NINE, lease=timedelta(minutes=7))
    assert app.next_review(now=NINE) == claim.until == NINE + timedelta(minutes=7)


def test_what_is_recorded_meanwhile_moves_the_next_review(app: Cadence) -> None:
    add(app, "ann", 1, NINE + timedelta(days=30))
    before = app.next_review(now=NINE)
    app.execute("ann", InterestNoted("less paper"), at=NINE)
    app.execute("ann", SetAppointment(NINE + timedelta(minutes=90)), at=NINE)
    after = woken(app, NINE, NINE + timedelta(minutes=90))
    assert before is not None
    assert after[-1] == NINE + timedelta(minutes=90)
    assert after[-1] < before


LIVES = [live(place, close=True) for place in PLACES]


@given(
    life=st.sampled_from(LIVES),
    cut=st.integers(min_value=0),
    minutes=st.integers(0, 60 * 24 * 40),
    parts=st.lists(st.floats(0, 1, exclude_max=True), max_size=4),
)
def test_no_other_prospect_comes_onto_the_list_before_the_next_review(
    life: list[Event], cut: int, minutes: int, parts: list[float]
) -> None:
    events = life[: 1 + cut % len(life)]
    now = events[-1].recorded_at + timedelta(minutes=minutes)
    with Cadence.open() as app:
        app.histories.append([(events, 0)], at=ahead())
        known = listed(app, now)
        instant = app.next_review(now=now)
        end = instant or now + timedelta(days=400)
        for part in (*parts, 1.0):
            assert listed(app, now + (end - now) * part - MICROSECOND) <= known
