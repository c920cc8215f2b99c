"""Read values that another program writes in a notation of its own.

A mapping declares the notation of a column; no value is guessed to be in one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cadence.errors import InputError, did_you_mean
from cadence.worktime.zones import zone_names

__all__ = ["NOTATIONS", "ZONE_NOTATION", "read_hubspot_zone", "read_salesforce_id"]

# HubSpot's time zones -----------------------------------------------------------------------------

# HubSpot's internal names have only letters, digits and underscores; these stand for the others.
_WORDS: Final = (("_slash_", "/"), ("_hyphen_", "-"), ("_minus_", "-"), ("_plus_", "+"))
_OFFSET: Final = re.compile(r"utc ?[+-]\d\d:\d\d ")
"""What a label begins with; it depends on the season in which HubSpot made the list."""
# The hyphen is kept before a digit: Etc/GMT-5 is not Etc/GMT+5, and Etc/GMT5 does not exist.
_SEPARATORS: Final = re.compile(r"[\s/_()]+|-(?!\d)")

_OLD_NAMES: Final = {
    "us pacific new": "America/Los_Angeles",  # IANA dropped US/Pacific-New in 2020; HubSpot has it
    "asia türkiye": "Turkey",
    "europe zaporizhzhia": "Europe/Zaporozhye",
}
"""HubSpot's options whose words are not those of the IANA name."""


def read_hubspot_zone(value: str, column: str) -> str:
    """Read a time zone as HubSpot's ``hs_timezone`` has it: the internal name or the label.

    ``us_slash_central``, ``UTC -05:00 US Central`` and ``US/Central`` are one zone, in any case.

    Args:
        value: the text.
        column: where it stands, for errors.

    Returns:
        The IANA name.

    Raises:
        InputError: the zone is unknown.
    """
    zones = _zones_by_words()
    text = value.casefold()
    words = _words_of(text)
    name = zones.get(words)
    label = _OFFSET.match(text)
    if label is not None:
        words = _words_of(text[label.end() :])
        # Labels put a continent before zones that are one word: "America Cuba" is Cuba.
        name = zones.get(words) or zones.get(words.partition(" ")[2])
    if name is None:
        near = did_you_mean(words, zones, otherwise="").removeprefix("use ")
        hint = f"use {zones[near]}" if near else "use an IANA name such as Europe/Berlin"
        raise InputError(f"{column}: unknown time zone {value!r}", hint)
    return name


@lru_cache(maxsize=1)
def _zones_by_words() -> dict[str, str]:
    return {**{_words_of(name.casefold()): name for name in zone_names()}, **_OLD_NAMES}


def _words_of(text: str) -> str:
    """The words of a zone in small letters, whatever separates them."""
    for word, sign in _WORDS:
        text = text.replace(word, sign)
    return " ".join(filter(None, _SEPARATORS.split(text)))


# Salesforce's ids ---------------------------------------------------------------------------------

_SHORT: Final = 15
_LONG: Final = 18
_SUFFIX: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
"""Each letter of a suffix is five bits: which of five characters are capitals, the first lowest."""


def read_salesforce_id(value: str, column: str) -> str:
    """Read a Salesforce id of 15 or 18 characters; both forms of a record are one id.

    In 15 characters case counts. The three that make it 18 say which of the 15 are capitals, so
    those 18 name the record in any case; programs that lose the case (spreadsheets, databases) do
    no harm. The API gives 18. As Apex's ``Id.valueOf`` with ``restoreCasing``, this believes those
    three where the case of the others says something else.

    Args:
        value: the text.
        column: where it stands, for errors.

    Returns:
        The id with 18 characters in the right case; a value of another length or with other
        characters than letters and digits, which is no Salesforce id, as it is.

    Raises:
        InputError: the last three of 18 characters don't belong to the others.
    """
    if len(value) not in (_SHORT, _LONG) or not (value.isascii() and value.isalnum()):
        return value
    if len(value) == _SHORT:
        return value + _suffix_of(value)
    body, suffix = value[:_SHORT], value[_SHORT:].upper()
    if set(suffix) <= set(_SUFFIX):
        bits = [number >> bit & 1 for number in map(_SUFFIX.index, suffix) for bit in range(5)]
        fixed = "".join(
            [one.upper() if bit else one.lower() for one, bit in zip(body, bits, strict=True)]
        )
        if _suffix_of(fixed) == suffix:  # else it says that a digit is a capital
            return fixed + suffix
    raise InputError(
        f"{column}: invalid Salesforce id {value!r}: its last three characters are another id's",
        "give the id as Salesforce shows it, with 15 or 18 characters",
    )


def _suffix_of(body: str) -> str:
    chunks = (body[start : start + 5] for start in range(0, _SHORT, 5))
    return "".join(
        [_SUFFIX[sum(one.isupper() << bit for bit, one in enumerate(chunk))] for chunk in chunks]
    )


ZONE_NOTATION: Final = "hubspot_zone"
NOTATIONS: Final[Mapping[str, Callable[[str, str], str]]] = MappingProxyType(
    {ZONE_NOTATION: read_hubspot_zone, "salesforce_id": read_salesforce_id}
)
"""The notations that a column of a mapping can have, and what reads each."""
