"""Word dates and times in the prospect's language and by the customs of their country."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

__all__ = ["clock_words", "date_words", "day_words", "is_one", "locale_of"]


@lru_cache(maxsize=512)
def locale_of(language: str, country: str | None) -> Locale:
    """Return the locale of a language in a country; of English, where neither is known to Babel."""
    for name in (f"{language}_{country}" if country else language, language):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


@lru_cache(maxsize=2048)
def clock_words(at: datetime, locale: Locale) -> str:
    """Word a time of day: ``9:00 AM``, ``09:00``."""
    return _plain(format_time(at.time(), "short", locale=locale))


@lru_cache(maxsize=2048)
def day_words(day: date, locale: Locale, own: str | None = None) -> str:
    """Word a day with its date: ``Friday, December 4``; by a pattern of one's ``own``, if given."""
    if own is not None:
        return _plain(format_date(day, own, locale=locale))
    pattern = locale.datetime_skeletons.get("MMMMEd")
    if pattern is None:
        return _plain(format_date(day, "full", locale=locale))
    # The weekday in full: "Fri" is not how a person speaks.
    whole = re.sub("E+", "EEEE", pattern.pattern)
    return _plain(format_date(day, whole, locale=locale))


@lru_cache(maxsize=2048)
def date_words(day: date, locale: Locale) -> str:
    """Word the date of a letter: ``December 4, 2026``."""
    return _plain(format_date(day, "long", locale=locale))


def is_one(clock: str) -> bool:
    """Return whether a time of day is between one and two as it is said: ``1:10 PM``, ``01:30``."""
    return re.match(r"0?1\b", clock) is not None


def _plain(text: str) -> str:
    # Babel writes narrow and unbreakable spaces, which cost a text message half its length.
    return text.replace("\u202f", " ").replace("\xa0", " ")
