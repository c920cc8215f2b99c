"""The audit and the page keep to the weekend, region and half days of the prospect's country."""

from datetime import UTC, datetime, timedelta

import pytest
from audit_cases import TIP8, attempt, found, plant, rules
from engine_lives import DAY, HOUR, Place, live

from cadence.audit import Auditor
from cadence.domain.events import AttemptMade, AttemptStage, Gap
from cadence.policy.registry import PolicyRegistry
from cadence.replay import annotate
from cadence.reports.shading import ShadeKind, shades

RIYADH = Place(("Asia/Riyadh",), "SA", None, 9)
ABROAD = [
    RIYADH,
    Place(("Asia/Tehran",), "IR", None, 8),
    Place(("Asia/Brunei",), "BN", None, 4),
    Place(("Europe/London",), "GB", None, 12),
    Place(("Atlantic/Reykjavik",), "IS", None, 12),
    Place(("Asia/Colombo",), "LK", None, 6),
]


@pytest.mark.parametrize("place", ABROAD, ids=lambda place: place.country)
@pytest.mark.parametrize("late", [(), (0 * DAY, 2 * HOUR, DAY, 5 * DAY, HOUR, 9 * DAY)])
def test_what_the_engine_did_abroad_breaks_nothing(place, late):
    assert Auditor(TIP8).audit(live(place, late=late, close=True)) == []


def days_of(history):
    return [one.occurred_at for one in history if isinstance(one.data, AttemptMade)]


def test_a_call_on_their_weekend_is_a_finding():
    """Where the policy's own weekdays would allow it, and the gap is kept."""
    history = live(RIYADH, attempts=4)
    last = days_of(history)[-1]
    friday = last + timedelta(days=(4 - last.weekday()) % 7 + 7)
    made = attempt(AttemptStage.SPACED, "spaced#2")
    assert rules(plant(history, made, friday)) == [(len(history) + 1, "business_hours")]
    sunday = friday + 2 * DAY
    assert "business_hours" not in [rule for _, rule in rules(plant(history, made, sunday))]


@pytest.mark.parametrize(("days", "is_explained"), [(3, True), (4, False)])
def test_a_gap_recorded_before_the_weekend_was_known_counts_as_measured(days, is_explained):
    """From Tuesday to Friday the policy's own weekdays count three days, and Riyadh's two."""
    history = live(RIYADH, attempts=4)
    last = days_of(history)[-1]
    tuesday = last + timedelta(days=(1 - last.weekday()) % 7 + 7)
    history = plant(history, attempt(AttemptStage.SPACED, "spaced#2", gap=Gap(6, 0)), tuesday)
    made = attempt(AttemptStage.SPACED, "spaced#3", gap=Gap(days, 0))
    said = [one.because for one in found(plant(history, made, tuesday + 3 * DAY))]
    assert any("no holidays explain" in because for because in said) is not is_explained


def test_the_page_shades_friday_and_not_sunday_in_riyadh():
    history = live(RIYADH, attempts=1)
    policies = PolicyRegistry(TIP8)
    steps = list(annotate(history, policies))
    start = datetime(2027, 1, 3, 21, tzinfo=UTC)  # midnight, on the day of 4 January in Riyadh
    closed = [
        one
        for one in shades(steps, policies, start, start + 7 * DAY, hours=True)
        if one.kind is ShadeKind.HOURS
    ]
    noons = [start + n * DAY + 12 * HOUR for n in range(7)]
    shaded = [any(one.start <= noon < one.end for one in closed) for noon in noons]
    assert shaded == [False, False, False, False, True, True, False]


def test_the_page_names_a_half_day_in_its_afternoon():
    history = live(Place(("Atlantic/Reykjavik",), "IS", None, 12), attempts=1)
    policies = PolicyRegistry(TIP8)
    eve = datetime(2026, 12, 24, tzinfo=UTC)
    named = list(shades(list(annotate(history, policies)), policies, eve, eve + DAY, hours=False))
    assert [(one.start.hour, one.name) for one in named] == [
        (13, "Christmas Eve (from 1pm), a half day")
    ]
