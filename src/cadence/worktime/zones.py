"""Read time zones from the ``tzdata`` package, so that every machine knows the same ones.

The operating system's own zone files differ from machine to machine; a decision must not
(rule ``deterministic``). Local times follow two rules: one that does not exist, because clocks
went forward, moves to the next that does; one that occurs twice means the first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from cadence.errors import InputError, did_you_mean

__all__ = [
    "clock_of",
    "country_codes",
    "from_local",
    "skipped_days",
    "zone",
    "zone_names",
    "zones_version",
]

_HALF_A_DAY: Final = timedelta(hours=12)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the IANA names of all known zones."""
    text = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(text.split())


@lru_cache(maxsize=1)
def country_codes() -> frozenset[str]:
    """Return the ISO 3166-1 codes of all countries, of two letters, as the zone data has them."""
    text = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in text.splitlines() if not line.startswith("#"))


@lru_cache(maxsize=1)
def zones_version() -> str:
    """Return the version of the zone data, e.g. ``tzdata 2026.2``."""
    from importlib import metadata  # slow to load; needed once

    return f"tzdata {metadata.version('tzdata')}"


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone with the IANA name ``name``.

    Raises:
        InputError: the zone is unknown; the hint names the nearest known one.
    """
    if name not in zone_names():
        hint = did_you_mean(name, zone_names(), otherwise="use an IANA name such as Europe/Berlin")
        raise InputError(f"timezone: unknown time zone {name!r}", hint)
    source = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with source.open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


@lru_cache(maxsize=1024)
def clock_of(name: str) -> bytes:
    """Return what the zone data say of ``name``: equal for two names of one clock.

    ``US/Eastern`` is ``America/New_York``. Raises what :func:`zone` does.
    """
    zone(name)
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


@lru_cache(maxsize=16_384)
def skipped_days(name: str, year: int) -> tuple[int, ...]:
    """Return the ordinals of the days of ``year`` that the zone ``name`` skipped.

    Samoa had no 30 December 2011: it changed to the other side of the date line. Only a jump of
    the clocks by a day does that, so the days are looked at only between two months that differ
    by as much. Raises what :func:`zone` does.
    """
    tz = zone(name)
    firsts = [datetime(year, month, 1, tzinfo=tz) for month in range(1, 13)]
    firsts.append(datetime(year + 1, 1, 2, tzinfo=tz))
    offsets = [first.utcoffset() or timedelta() for first in firsts]
    if all(abs(b - a) < _HALF_A_DAY for a, b in pairwise(offsets)):
        return ()
    begins = date(year, 1, 1).toordinal()
    midnights = [
        from_local(datetime.fromordinal(day), tz)
        for day in range(begins, date(year + 1, 1, 1).toordinal() + 1)
    ]
    days = enumerate(pairwise(midnights), begins)
    return tuple(day for day, (midnight, after) in days if midnight == after)


def from_local(local: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant, in UTC, at which clocks in ``tz`` show the naive ``local``.

    A time that is skipped becomes the first instant after the skip; one that occurs twice, the
    first of the two.
    """
    first = local.replace(tzinfo=tz)
    offset = first.utcoffset()
    assert offset is not None  # a ZoneInfo always knows
    instant = (local - offset).replace(tzinfo=UTC)
    # The two readings of a clock differ only around a change. The later reading has the smaller
    # offset when the time occurs twice, the larger one when it is skipped.
    other = first.replace(fold=1).utcoffset()
    if other is None or other <= offset:
        return instant
    # Skipped: fold=1 reads the clock with the offset after the change, so the change itself lies
    # between the two readings.
    low = local.replace(tzinfo=tz, fold=1).astimezone(UTC)
    high = instant
    before = low.astimezone(tz).utcoffset()
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(tz).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
