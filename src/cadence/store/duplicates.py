"""Find records that may be one person: by an address, then by name and company."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from cadence.domain.elsewhere import Held, bases_of, folded_name, keys_of, may_be_same
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.stages import Stage
from cadence.store.address_book import SharedAddress

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["Duplicate", "duplicates", "duplicates_at", "duplicates_by_address", "first_duplicate"]

_NONE: Final = frozenset[str]()


class Duplicate(NamedTuple):
    """Two records that may be one person.

    Attributes:
        prospect, other: their ids.
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

    Where several may be one, each is listed with one that stands before it, in order of the ids:
    so many merges join them. Left out are postal addresses, lines, numbers with five holders or
    more unless the name is the same, and those that were said to be two people (``not-same``).

    Args:
        app: whose records.
        progress: told how many prospects were looked at, of how many.
    """
    by_address = duplicates_by_address(app)
    yield from by_address
    yield from _by_name_and_company(app, by_address, progress)


def duplicates_by_address(app: Cadence) -> list[Duplicate]:
    """Find the records that may be one person because they have one address, in order."""
    found: dict[tuple[str, str], Duplicate] = {}
    for shared in app.addresses.shared():
        for one in _pairs(shared):
            # The two stand in order of the ids.
            pair = one.other, one.prospect
            known = found.get(pair)
            keys = one.keys if known is None else known.keys + one.keys
            found[pair] = Duplicate(*pair, keys, one.has_same_name)
    return sorted(found.values())


def duplicates_at(shared: SharedAddress, new: Container[str]) -> Iterator[Duplicate]:
    """Find of some records, at one address, who else each may be: first of those known before.

    Args:
        shared: the address and its holders.
        new: the records to name. Of several that may be one person, the first is not named.
    """
    for one in _pairs(shared, last=new):
        if one.prospect in new:
            yield one


def first_duplicate(app: Cadence, prospect: Prospect) -> Duplicate | None:
    """Return who else a prospect may be by its addresses: one of the same name before others.

    Args:
        app: the store that has it.
        prospect: whose addresses.
    """
    found: dict[str, Duplicate] = {}
    for shared in app.addresses.shared_among(bases_of(keys_of(prospect))):
        for one in duplicates_at(shared, {prospect.id}):
            known = found.get(one.other)
            keys = one.keys if known is None else known.keys + one.keys
            found[one.other] = Duplicate(prospect.id, one.other, keys, one.has_same_name)
    return min(found.values(), key=lambda one: (not one.has_same_name, one.other), default=None)


class _Record(NamedTuple):
    """What tells a record from others.

    Attributes:
        id: the prospect's id.
        name: theirs, folded for comparison.
        ids: its id, and those of the records that were merged into it.
        not_same: the prospects who are other people.
    """

    id: str
    name: str
    ids: frozenset[str]
    not_same: frozenset[str]

    @classmethod
    def of_holder(cls, held: Held) -> _Record:
        holding = held.holding
        ids = frozenset({held.prospect, *(one.prospect for one in holding.merged)})
        return cls(held.prospect, holding.name, ids, frozenset(holding.not_same))

    def is_told_apart(self, other: _Record) -> bool:
        """Whether the two were said to be two people, or records that were merged into them."""
        return not (self.ids.isdisjoint(other.not_same) and other.ids.isdisjoint(self.not_same))

    def first_alike(self, others: Iterable[_Record]) -> _Record | None:
        """Return the first of the others who was not said to be another person."""
        return next((one for one in others if not self.is_told_apart(one)), None)


def _pairs(shared: SharedAddress, last: Container[str] = _NONE) -> Iterator[Duplicate]:
    """Pair holders of an address each with one before it: of the same name, or the first.

    Thousands may have a placeholder such as none@example.com, so not every two of them are paired.

    Args:
        shared: the address and its holders.
        last: holders that stand after the others.
    """
    if shared.is_line:
        return
    key, count = shared.key, len(shared.holders)
    takes_any = may_be_same(key, count, is_same_name=False)
    takes_named = may_be_same(key, count, is_same_name=True)
    before: list[_Record] = []
    named: dict[str, list[_Record]] = {}
    records = map(_Record.of_holder, shared.holders)
    for record in sorted(records, key=lambda one: (one.id in last, one.id)):
        same = named.setdefault(record.name, [])
        other = record.first_alike(same) if takes_named and record.name else None
        is_same_name = other is not None
        if other is None and takes_any:
            other = record.first_alike(before)
        if other is not None:
            yield Duplicate(record.id, other.id, (key,), is_same_name)
        same.append(record)
        before.append(record)


def _by_name_and_company(
    app: Cadence,
    known: Sequence[Duplicate],
    progress: Callable[[int, int | None], None] | None,
) -> Iterator[Duplicate]:
    alike: dict[tuple[str, str], list[_Record]] = {}
    done, count = 0, app.count()
    for first, last, number in app.histories.pages():
        for history in app.histories.page(first, last):
            prospect = fold(None, history)
            if prospect is not None and prospect.stage is not Stage.MERGED:
                identity = prospect.identity
                named = folded_name(identity.name), folded_name(identity.company or "")
                if all(named):
                    ids = frozenset({prospect.id, *prospect.merged})
                    record = _Record(prospect.id, named[0], ids, prospect.reach.not_same)
                    alike.setdefault(named, []).append(record)
        done += number
        if progress is not None:
            progress(done, count)
    by_address: dict[str, set[str]] = {}
    for one in known:
        by_address.setdefault(one.other, set()).add(one.prospect)
    found: list[Duplicate] = []
    for records in alike.values():
        before: dict[str, _Record] = {}
        for record in sorted(records):
            if by_address.get(record.id, _NONE).isdisjoint(before):
                other = record.first_alike(before.values())
                if other is not None:
                    found.append(Duplicate(other.id, record.id, (), has_same_name=True))
            before[record.id] = record
    yield from sorted(found)
