"""Look people up: by words of their name or id, or by an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["DirectoryEntry", "find"]

_PHONE: Final = re.compile(r"[0-9 +()./-]+")
_FEWEST_DIGITS: Final = 5


class DirectoryEntry(NamedTuple):
    """One prospect as a list of names has it."""

    prospect: str
    name: str
    owner: str | None


def find(app: Cadence, text: str) -> list[str]:
    """Find prospects by words, each in the name or the id, or by an address or a part of one.

    Returns:
        Their ids: first those found by words, then those found by an address, each in order.
    """
    words = text.casefold().split()
    by_words = [
        entry.prospect
        for entry in app.directory()
        if all(word in f"{entry.prospect} {entry.name}".casefold() for word in words)
    ]
    return list(dict.fromkeys((*by_words, *_by_address(app, text))))


def _by_address(app: Cadence, text: str) -> Iterator[str]:
    """Yield those with a contact point whose key holds the address."""
    sought = text.strip().casefold()
    if _PHONE.fullmatch(sought):
        # However it is typed, a key has the digits in one piece, without the zero of a trunk.
        sought = re.sub("[^0-9]", "", sought.replace("(0)", "")).lstrip("0")
        if len(sought) < _FEWEST_DIGITS:
            return
    elif "@" not in sought:
        return
    for one in app.mentioning(sought):
        prospect = fold(None, app.history(one))
        if prospect is not None and any(sought in key for key in _keys(prospect)):
            yield one


def _keys(prospect: Prospect) -> list[str]:
    return [point.same for point in prospect.reach.contact_points]
