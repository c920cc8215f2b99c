"""Find records that may be one person: by an address, then by name and company."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from cadence.domain.elsewhere import Held, folded_name, may_be_same
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["Duplicate", "duplicates"]


class Duplicate(NamedTuple):
    """Two records that may be one person.

    Attributes:
        prospect, other: their ids, in order.
        keys: the addresses that both have; none where only name and company are the same.
        has_same_name: whether they have one name.
    """

    prospect: str
    other: str
    keys: tuple[str, ...]
    has_same_name: bool


def duplicates(
    app: Cadence, progress: Callable[[int, int | None], None] | None = None
) -> Iterator[Duplicate]:
    """Find records that may be one person, those with a common address first.

    Left out are postal addresses, lines, numbers with five holders or more unless the name is the
    same, and those that were said to be two people (``not-same``).

    Args:
        app: whose records.
        progress: told how many prospects were looked at, of how many.
    """
    found: dict[tuple[str, str], Duplicate] = {}
    for key, holders, is_line in app.addresses.shared():
        for one, other in combinations(sorted(holders, key=lambda held: held.prospect), 2):
            is_same_name = bool(one.holding.name) and one.holding.name == other.holding.name
            if is_line or _are_told_apart(one, other):
                continue
            if may_be_same(key, len(holders), is_same_name=is_same_name):
                pair = one.prospect, other.prospect
                keys = found[pair].keys if pair in found else ()
                found[pair] = Duplicate(*pair, (*keys, key), is_same_name)
    yield from sorted(found.values())
    yield from _by_name_and_company(app, set(found), progress)


def _are_told_apart(one: Held, other: Held) -> bool:
    return other.prospect in one.holding.not_same or one.prospect in other.holding.not_same


def _by_name_and_company(
    app: Cadence,
    known: set[tuple[str, str]],
    progress: Callable[[int, int | None], None] | None,
) -> Iterator[Duplicate]:
    alike: dict[tuple[str, str], list[Prospect]] = {}
    done, count = 0, app.count()
    for first, last, number in app.pages():
        for history in app.page(first, last):
            prospect = fold(None, history)
            if prospect is not None and prospect.identity.company:
                identity = prospect.identity
                named = folded_name(identity.name), folded_name(identity.company or "")
                if all(named):
                    alike.setdefault(named, []).append(prospect)
        done += number
        if progress is not None:
            progress(done, count)
    for one, other in sorted(
        (pair for who in alike.values() for pair in combinations(who, 2)),
        key=lambda pair: (pair[0].id, pair[1].id),
    ):
        pair = one.id, other.id
        is_said = other.id in one.reach.not_same or one.id in other.reach.not_same
        if pair not in known and not is_said:
            yield Duplicate(*pair, (), has_same_name=True)
