"""Define open hours by weekday and date, and the quiet hours that hold in every policy.

A week is written for one weekend and holds for prospects who have another one: their weekend is
closed, and an open day that falls on it hands its hours to the next day that is neither open nor
weekend (:func:`weekday_sources`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Final, Literal, get_args

import msgspec

from cadence.errors import InputError

__all__ = [
    "ALL_DAY",
    "QUIET_FROM",
    "QUIET_UNTIL",
    "WEEKDAYS",
    "WEEKDAY_NAMES",
    "Hours",
    "OpenTimes",
    "Region",
    "Week",
    "Weekday",
    "Weekend",
    "parse_hours",
    "week_of",
    "week_under",
    "weekday_sources",
]

Hours = tuple[int, int]
"""Open hours of a day: from (inclusive) and until (exclusive), in seconds after midnight."""

Week = tuple[tuple[Hours, ...], ...]
"""The open hours of each weekday, Monday first."""

Weekend = frozenset[int]
"""The weekdays of a weekend; Monday is 0."""

Region = tuple[str, str | None]
"""A country and its subdivision (ISO 3166)."""

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""A weekday, as policy files name it."""

WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
"""The weekdays, Monday first."""

WEEKDAY_NAMES: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday"),
    *("Friday", "Saturday", "Sunday"),
)
"""Their names in full."""

ALL_DAY: Final[Week] = (((0, 24 * 3600),),) * 7
"""A week that is always open."""

QUIET_FROM: Final = 21 * 3600
"""Quiet hours begin at 21:00 local, in every policy (design, section 6)."""
QUIET_UNTIL: Final = 8 * 3600
"""Quiet hours end at 08:00 local."""


class OpenTimes(msgspec.Struct, frozen=True, cache_hash=True):
    """When a team, or a guard, is open, wherever the prospect lives.

    Attributes:
        week: open hours by weekday, Monday first.
        closed: ordinals of closed days.
        regions: where public holidays are closed too, beside the prospect's own.
        on: hours for single days, by their ordinals, in place of those of the weekday.
        half_days_until: when half days close, in seconds after midnight; ``None``: they do not.
        has_their_holidays: whether the prospect's own public holidays are closed.
        has_their_weekend: whether the weekend is that of the prospect's country.
        moves_with: of a guard: the week of the policy, whose days move at a weekend. The weekdays
            of the guard move alike, and no weekend closes it.
    """

    week: Week
    closed: frozenset[int] = frozenset()
    regions: tuple[Region, ...] = ()
    on: tuple[tuple[int, tuple[Hours, ...]], ...] = ()
    half_days_until: int | None = None
    has_their_holidays: bool = True
    has_their_weekend: bool = False
    moves_with: Week | None = None


def parse_hours(text: str) -> Hours:
    """Read ``"09:00-17:00"`` into seconds after midnight.

    Raises:
        InputError: the text is not of that form, or the end is not after the start.
    """
    with suppress(ValueError):
        start, end = (_clock(part) for part in text.split("-"))
        if start < end:
            return start, end
    raise InputError(f"invalid hours {text!r}", 'give local hours like "09:00-17:00"')


def _clock(text: str) -> int:
    hours, minutes = text.strip().split(":")
    digits = hours + minutes
    if [len(hours), len(minutes)] != [2, 2] or not (digits.isascii() and digits.isdigit()):
        raise ValueError(text)
    total = int(hours) * 60 + int(minutes)
    if int(minutes) >= 60 or total > 24 * 60:
        raise ValueError(text)
    return total * 60


def week_of(table: object) -> Week:
    """Return the open hours of a calendar or a contact window, each day's in order.

    Args:
        table: what has an attribute for each of :data:`WEEKDAYS`, with texts as of
            :func:`parse_hours`.

    Raises:
        InputError: a text is not of that form.
    """
    return tuple(tuple(sorted(map(parse_hours, getattr(table, day)))) for day in WEEKDAYS)


@lru_cache(maxsize=4096)
def weekday_sources(week: Week, weekend: Weekend) -> tuple[int, ...]:
    """Return for each weekday, Monday first, the weekday of ``week`` that it stands for.

    An open day on the weekend changes places with the next day that is neither open nor weekend.
    Where there is none it stays, and is closed: a week never has more open days than written.

    Args:
        week: the open hours as written.
        weekend: of the prospect's country.
    """
    sources = list(range(7))
    for day in range(7):
        if not week[day] or day not in weekend:
            continue
        for other in ((day + ahead) % 7 for ahead in range(1, 7)):
            if not week[other] and other not in weekend and sources[other] == other:
                sources[day], sources[other] = other, day
                break
    return tuple(sources)


@lru_cache(maxsize=4096)
def week_under(week: Week, weekend: Weekend) -> Week:
    """Return the open hours of ``week`` where the weekend is ``weekend``."""
    sources = weekday_sources(week, weekend)
    return tuple(() if day in weekend else week[source] for day, source in enumerate(sources))
