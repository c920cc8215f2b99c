"""Look up public holidays, half days and weekends in the ``holidays`` package.

A country given without its region (subdivision) has its national holidays and those of at least
half of its regions. What the package does not know is open: :func:`is_known` tells whether a year
lies within its data.
"""

from __future__ import annotations

import warnings
from collections import Counter
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cadence.errors import InputError, did_you_mean
from cadence.worktime.hours import Weekend

__all__ = [
    "KNOWN_WEEKENDS",
    "check_country",
    "half_days",
    "holidays_version",
    "is_known",
    "public_holidays",
    "regions_of",
    "weekends",
]

KNOWN_WEEKENDS: Final[dict[Weekend, str | None]] = {
    frozenset({5, 6}): "US",
    frozenset({4, 5}): "SA",
    frozenset({6}): "HK",
    frozenset({4, 6}): "BN",
    frozenset({4}): "IR",
    frozenset({3, 4}): None,  # until 2013
}
"""Every weekend that a country has or had since 1970, with a country that has it today.

Written down for the prover, which must not read 250 countries; a test compares it with the package.
"""

_PUBLIC: Final = "public"
_HALF_DAY: Final = "half_day"
_LANGUAGE: Final = "en_US"


class _Days(NamedTuple):
    """Days of one category in one year: their names by ordinal, and whether the data has it all."""

    names: dict[int, str]
    is_complete: bool


@lru_cache(maxsize=1)
def holidays_version() -> str:
    """Return the version of the holiday data, e.g. ``holidays 0.109``."""
    from importlib import metadata  # slow to load; needed once

    return f"holidays {metadata.version('holidays')}"


# Days ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def public_holidays(country: str, subdivision: str | None, year: int) -> dict[int, str]:
    """Return the names of the public holidays of a year, by the ordinal of the day.

    Args:
        country: its code in ISO 3166-1.
        subdivision: a part of it; ``None``: national holidays, and those of half of its regions.
        year: of the local dates.
    """
    return _days(country, subdivision, year, _PUBLIC)


@lru_cache(maxsize=4096)
def half_days(country: str, subdivision: str | None, year: int) -> dict[int, str]:
    """Return the names of the half days of a year, as :func:`public_holidays` does."""
    if _HALF_DAY not in _country_class(country).supported_categories:
        return {}
    return _days(country, subdivision, year, _HALF_DAY)


def is_known(country: str, year: int) -> bool:
    """Tell whether the package has all holidays of that year; where not, days are open."""
    entity = _country_class(country)
    if not entity.start_year <= year <= entity.end_year:
        return False
    return _read(country, None, year, _PUBLIC).is_complete


def _days(country: str, subdivision: str | None, year: int, category: str) -> dict[int, str]:
    found = _read(country, subdivision, year, category).names
    regions = () if subdivision is not None else regions_of(country)
    if not regions:
        return found
    regional = [_read(country, region, year, category).names for region in regions]
    counted = Counter(day for names in regional for day in names)
    usual = {day for day, count in counted.items() if 2 * count >= len(regions)}
    names = {day: name for one in reversed(regional) for day, name in one.items() if day in usual}
    return {**names, **found}


@lru_cache(maxsize=8192)
def _read(country: str, subdivision: str | None, year: int, category: str) -> _Days:
    """Read one category of days of a year from the package.

    Cached: reading a country takes up to 10 ms the first time and half a millisecond then, and
    every calendar of that country needs it.
    """
    entity = _country_class(country)
    # One language everywhere: the package would take that of the machine, and names are part of
    # a decision (rule `deterministic`).
    speaks = _LANGUAGE in entity.supported_languages
    with warnings.catch_warnings(record=True) as caught:
        # Some countries' data end before their last year, and only a warning says so.
        warnings.simplefilter("always", UserWarning)
        found = entity(
            subdiv=subdivision,
            years=year,
            categories=(category,),
            language=_LANGUAGE if speaks else entity.default_language,
        )
    is_complete = not any(issubclass(one.category, UserWarning) for one in caught)
    names = {day.toordinal(): name for day, name in found.items() if day.year == year}
    return _Days(names, is_complete)


# Weekends -----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def weekends(country: str, subdivision: str | None, year: int) -> tuple[tuple[Weekend, ...], ...]:
    """Return the weekend of each week of a year.

    The first week is the one of January 1; weeks begin on Monday. A week has several weekends
    where it or the week beside it changes from one to another: then a day is open only where it is
    open under each of them, so that no change brings two business days closer together than a
    week of either kind does.

    The package is asked about the first and the last week, and about the others only where those
    differ: a question takes 5 µs.
    """
    january = date(year, 1, 1)
    first = january.toordinal() - january.weekday()
    number = (date(year, 12, 31).toordinal() - first) // 7 + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        entity = _country_class(country)(subdiv=subdivision, expand=False)

    def weekend(week: int) -> Weekend:
        days = (date.fromordinal(first + 7 * week + day) for day in range(7))
        return frozenset(day.weekday() for day in days if entity.is_weekend(day))

    ends = weekend(-1), weekend(number)
    if ends[0] == ends[1]:
        return ((ends[0],),) * number
    every = [weekend(week) for week in range(-1, number + 1)]
    return tuple(
        tuple(dict.fromkeys((every[week], every[week - 1], every[week + 1])))
        for week in range(1, number + 1)
    )


# Countries ----------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _country_class(country: str) -> Any:
    """Return the class of the package for a country that :func:`check_country` accepts."""
    # Imported here: it is slow to load, and a prospect without a country never needs it.
    import holidays

    return getattr(holidays, country)


def regions_of(country: str) -> tuple[str, ...]:
    """Return the subdivisions of ``country`` whose holidays are known, by their codes."""
    known: tuple[str, ...] = _country_class(country).subdivisions
    return known


def check_country(country: str, subdivision: str | None) -> None:
    """Check that the holidays of a country and subdivision are known.

    Args:
        country: its code in ISO 3166-1.
        subdivision: a part of that country, by its code in ISO 3166-2.

    Raises:
        InputError: one of them is unknown; the hint names the nearest known one.
    """
    import holidays

    # Look for the country's own class: the list of all is slow to make, and only an error needs
    # it. Stock exchanges have classes too, and one of them (B3) has a name as short.
    found: Any = (
        getattr(holidays, country, None) if len(country) == 2 and country.isupper() else None
    )
    if getattr(found, "country", None) is None:
        supported = holidays.list_supported_countries(include_aliases=False)
        hint = did_you_mean(
            country.upper(), supported, otherwise="use an ISO 3166 code such as US or DE"
        )
        raise InputError(f"country: unknown {country!r}", hint)
    known: tuple[str, ...] = found.subdivisions
    if subdivision is not None and subdivision not in known:
        hint = did_you_mean(
            subdivision.upper(),
            known,
            otherwise=None if known else f"give none; {country} has no subdivisions",
        )
        raise InputError(f"subdivision: unknown {subdivision!r} in {country}", hint)
