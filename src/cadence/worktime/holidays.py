"""Public holidays, from the ``holidays`` package."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from cadence.errors import InputError, did_you_mean

__all__ = ["check_country", "holidays_version", "public_holidays"]


@lru_cache(maxsize=1)
def holidays_version() -> str:
    """The version of the holiday data, e.g. ``holidays 0.109``."""
    from importlib import metadata  # slow to load; needed once

    return f"holidays {metadata.version('holidays')}"


@lru_cache(maxsize=4096)
def public_holidays(country: str, subdivision: str | None, year: int) -> dict[int, str]:
    """The public holidays of a year, by ordinal."""
    # Imported here: it is slow to load, and a prospect without a country never needs it.
    from holidays import country_holidays

    with warnings.catch_warnings():
        # Some countries' data end in a few years, with a warning; ADR 0006 says what that means.
        warnings.simplefilter("ignore", UserWarning)
        found = country_holidays(country, subdiv=subdivision, years=year)
    return {day.toordinal(): name for day, name in found.items() if day.year == year}


def check_country(country: str, subdivision: str | None) -> None:
    """Check that holidays are known for a country and subdivision.

    Raises:
        InputError: they are not; names the nearest right spelling.
    """
    import holidays

    # The country's own class: the whole list is slow to make, and only an error needs it. Stock
    # exchanges have classes as well, and one of them (B3) a name as short as a country's.
    found: Any = (
        getattr(holidays, country, None) if len(country) == 2 and country.isupper() else None
    )
    if getattr(found, "country", None) is None:
        supported = holidays.list_supported_countries(include_aliases=False)
        hint = did_you_mean(
            country.upper(), supported, otherwise="use an ISO 3166 code such as US or DE"
        )
        raise InputError(f"country: {country!r} is not known", hint)
    known: tuple[str, ...] = found.subdivisions
    if subdivision is not None and subdivision not in known:
        hint = did_you_mean(
            subdivision.upper(),
            known,
            otherwise=None if known else f"give none; {country} has no subdivisions",
        )
        raise InputError(f"subdivision: {subdivision!r} is none of {country}", hint)
