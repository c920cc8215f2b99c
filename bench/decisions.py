"""Decisions a second on one core, with holidays and zones warm, over a mix of prospects.

The mix: stages ``scheduled``, ``half_day``, ``spaced`` and ``polite_exit`` in twelve places, every
fourth life with a suspension, every twelfth prospect in one of two zones; each decided when its
last event was recorded (mostly a wait) and at the time that this decision names (mostly due). The
reference is a fixed loop of zone conversions and dict look-ups, for comparing machines. With
reasons a decision is also made for each region that might matter, where theirs is not known.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from lives import PLACES, life, mondays
from measure import Figure, Plan, Side, figure, interleave, ratio, repeated

from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.engine.loop import decision_for
from cadence.engine.next_touch import decide_silently, next_touch
from cadence.store import Cadence

__all__ = ["NAME", "run"]

NAME = "decisions"

_STAGES: Final = (Stage.SCHEDULED, Stage.HALF_DAY, Stage.SPACED, Stage.POLITE_EXIT)


def mix() -> list[tuple[Prospect, datetime]]:
    """Prospects, each with an instant to decide at."""
    found: list[tuple[Prospect, datetime]] = []
    with Cadence.open(None) as app:
        number = 0
        for start in mondays(4):
            for place in PLACES:
                for stage in _STAGES:
                    number += 1
                    away = stage if number % 4 == 0 else None
                    name = f"p{number}"
                    shift = timedelta(minutes=number * 37 % 240, seconds=number % 60)
                    life(app, name, place, start, until=stage, away_from=away, shift=shift)
                    prospect = app.load(name)
                    found.append((prospect, prospect.recorded_at))
                    at = decision_for(prospect, app.policies, prospect.recorded_at).at
                    if at is not None:
                        found.append((prospect, at))
            # So that suspensions meet every stage over the starts.
            number += 1
    return found


def run(plan: Plan) -> list[Figure]:
    cases = mix()
    with Cadence.open(None) as app:
        policy = app.policies.default
    zone = ZoneInfo("America/New_York")
    instants = [datetime(2026, 1 + n % 12, 1 + n, 12, tzinfo=UTC) for n in range(20)]
    table = {n: n for n in range(20)}

    def decide() -> int:
        for prospect, now in cases:
            decide_silently(prospect, policy, now)
        return len(cases)

    def explain() -> int:
        for prospect, now in cases:
            next_touch(prospect, policy, now)
        return len(cases)

    def reference() -> int:
        for _ in range(100):
            for instant in instants:
                instant.astimezone(zone)
            for n in range(20):
                table[n]
        return 100

    plain = [case for case in cases if not case[0].silence.suspensions]

    def decide_plain() -> int:
        for prospect, now in plain:
            decide_silently(prospect, policy, now)
        return len(plain)

    sides: dict[str, Side] = {
        "without reasons": decide,
        "without reasons, none suspended": decide_plain,
        "with reasons": explain,
        "20 astimezone + 20 look-ups": reference,
    }
    rates = interleave(
        {name: repeated(side, plan.slice_seconds) for name, side in sides.items()},
        plan.repetitions,
    )
    return [
        figure(
            NAME,
            f"without reasons, {len(cases)} cases",
            "/s",
            rates["without reasons"],
            target=60_000,
        ),
        figure(
            NAME,
            f"without reasons, the {len(plain)} without suspensions",
            "/s",
            rates["without reasons, none suspended"],
            target=80_000,
        ),
        figure(NAME, f"with reasons, {len(cases)} cases", "/s", rates["with reasons"]),
        ratio(NAME, rates, "without reasons", "20 astimezone + 20 look-ups"),
    ]
