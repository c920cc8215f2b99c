"""List the weeks that a policy comes to under the weekends that prospects may have.

A proof holds for prospects of every country. Where the weekend matters, the prover takes the worst
one that a country has or had (``worktime/holidays.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from cadence.policy.model import Policy
from cadence.worktime.holidays import KNOWN_WEEKENDS
from cadence.worktime.hours import Week, week_under, weekday_sources

__all__ = ["Arrangement", "arrangements", "countries", "weeks"]

Arrangement = tuple[Week, tuple[int, ...]]
"""Open hours by weekday, and the weekday of the policy that each weekday stands for."""


def arrangements(policy: Policy) -> dict[Arrangement, str | None]:
    """Return the arrangements of its week, the one as written first.

    Each comes with a country that has it today; ``None``: prospects whose country is not known, or
    a weekend that no country has any more.
    """
    found: dict[Arrangement, str | None] = {(policy.week, tuple(range(7))): None}
    if policy.calendar.weekend == "prospect":
        for weekend, country in KNOWN_WEEKENDS.items():
            week = week_under(policy.week, weekend)
            found.setdefault((week, weekday_sources(policy.week, weekend)), country)
    return found


def weeks(policy: Policy) -> tuple[Week, ...]:
    """Return the open hours by weekday under every weekend, each once."""
    return tuple(dict.fromkeys(week for week, _ in arrangements(policy)))


def countries(policy: Policy) -> Iterator[str]:
    """Yield a country for each arrangement that is another than as written."""
    return (country for country in arrangements(policy).values() if country is not None)
