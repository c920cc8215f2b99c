"""Look up public holidays in the ``holidays`` package."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from cadence.errors import InputError, did_you_mean

__all__ = ["check_country", "holidays_version", "public_holidays"]


@lru_cache(maxsize=1)
def holidays_version() -> str:
    """Return the version of the holiday data, e.g. ``holidays 0.109``."""
    from importlib import metadata  # slow to load; needed once

    return f"holidays {metadata.version('holidays')}"


@lru_cache(maxsize=4096)
def public_holidays(country: str, subdivision: str | None, year: int) -> dict[int, str]:
    """Return the names of the public holidays of a year, by the ordinal of the day.

    Cached: reading a country takes some 10 ms, and every calendar of that country needs it.
    """
    # Imported here: it is slow to load, and a prospect without a country never needs it.
    from holidays import country_holidays

    with warnings.catch_warnings():
        # Some countries' data end in a few years, with a warning; ADR 0006 says what that means.
        warnings.simplefilter("ignore", UserWarning)
        found = country_holidays(country, subdiv=subdivision, years=year)
    return {day.toordinal(): name for day, name in found.items() if day.year == year}


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
