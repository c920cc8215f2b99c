"""Name the people of an import who may be in the store twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cadence.store.duplicates import Duplicate, duplicates_at

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["MOST_HOLDERS", "MOST_NAMED", "LikelyDuplicates", "find_duplicates", "first_of_each"]

MOST_NAMED: Final = 5
"""How many people are named."""
MOST_HOLDERS: Final = 1_000
"""An address of more records is a placeholder; it is not read, which bounds the memory."""


class LikelyDuplicates(NamedTuple):
    """People who may be another record.

    Attributes:
        people: how many.
        first: the first of them, in order of their ids, each with the record that it may be.
    """

    people: int = 0
    first: tuple[Duplicate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give it as ``import --json`` prints it."""
        first = [{**one._asdict(), "keys": list(one.keys)} for one in self.first]
        return {"people": self.people, "first": first}


def find_duplicates(
    app: Cadence, holders: Iterable[list[tuple[str, frozenset[str]]]]
) -> Iterator[Duplicate]:
    """Find out which of some people may be another record, one address after the other.

    Args:
        app: the store, with what was imported.
        holders: addresses without extensions, a few at a time, each with its holders in the file.
    """
    for batch in holders:
        new = dict(batch)
        for shared in app.addresses.shared_among(list(new), MOST_HOLDERS):
            yield from duplicates_at(shared, new[shared.base])


def first_of_each(found: Iterable[Duplicate]) -> Iterator[Duplicate]:
    """Join what was found of people by each address, and give the likeliest record for each.

    Args:
        found: in order of the people and of the others.
    """
    for _, of_one in groupby(found, key=itemgetter(0)):
        likeliest: Duplicate | None = None
        for _, group in groupby(of_one, key=itemgetter(1)):
            pairs = list(group)
            keys = tuple(key for pair in pairs for key in pair.keys)
            joined = Duplicate(*pairs[0][:2], keys, pairs[0].has_same_name)
            if likeliest is None or _likeness(joined) > _likeness(likeliest):
                likeliest = joined
        if likeliest is not None:
            yield likeliest


def _likeness(one: Duplicate) -> tuple[bool, int]:
    return one.has_same_name, len(one.keys)
