"""Look people up: by words of their name or id, or by an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from cadence.domain.fold import fold
from cadence.errors import InputError

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["DirectoryEntry", "directory", "find"]

_PHONE: Final = re.compile(r"[0-9 +()./-]+")
_FEWEST_DIGITS: Final = 5
_PAGE: Final = 256


class DirectoryEntry(NamedTuple):
    """One prospect as a list of names has it."""

    prospect: str
    name: str
    owner: str | None


def directory(app: Cadence) -> Iterator[DirectoryEntry]:
    """List id, name and owner of every prospect, also of those that ended, by id."""
    if app.due_rows.are_stale():
        for prospect in map(app.load, app.prospects()):
            yield DirectoryEntry(prospect.id, prospect.identity.name, prospect.identity.owner)
        return
    for row in app.due_rows.stored():
        yield DirectoryEntry(row.prospect, row.name, row.owner)


def find(app: Cadence, text: str) -> list[str]:
    """Find prospects by words, each in the name or the id, or by an address or a part of one.

    Returns:
        Their ids: first those found by words, then those found by an address, each in order.
    """
    exact = _at_address(app, text)
    if exact:
        return exact
    words = text.casefold().split()
    by_words = [
        entry.prospect
        for entry in directory(app)
        if all(word in f"{entry.prospect} {entry.name}".casefold() for word in words)
    ]
    return list(dict.fromkeys((*by_words, *_by_address(app, text))))


def _at_address(app: Cadence, text: str) -> list[str]:
    """Those who have exactly this address, by the index; not a name, and not a part of one."""
    if "@" not in text and not _PHONE.fullmatch(text.strip()):
        return []
    try:
        return app.find(text)
    except InputError:
        return []  # a part of an address


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
    mentioning = iter(app.histories.mentioning(sought))
    while page := list(islice(mentioning, _PAGE)):
        for one, history in app.histories.of(page).items():
            prospect = fold(None, history)
            points = () if prospect is None else prospect.reach.contact_points
            if any(sought in point.same for point in points):
                yield one
