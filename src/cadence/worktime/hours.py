"""Define open hours by weekday, and the quiet hours that hold in every policy."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal, get_args

from cadence.errors import InputError

__all__ = [
    "ALL_DAY",
    "QUIET_FROM",
    "QUIET_UNTIL",
    "WEEKDAYS",
    "Hours",
    "Week",
    "Weekday",
    "parse_hours",
    "week_of",
]

Hours = tuple[int, int]
"""Open hours of a day: from (inclusive) and until (exclusive), in seconds after midnight."""

Week = tuple[tuple[Hours, ...], ...]
"""The open hours of each weekday, Monday first."""

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
"""A weekday, as policy files name it."""

WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
"""The weekdays, Monday first."""

ALL_DAY: Final[Week] = (((0, 24 * 3600),),) * 7
"""A week that is always open."""

QUIET_FROM: Final = 21 * 3600
"""Quiet hours begin at 21:00 local, in every policy (design, section 6)."""
QUIET_UNTIL: Final = 8 * 3600
"""Quiet hours end at 08:00 local."""


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
