"""Say what a history tells the other holders of its addresses, and gather what they tell it.

Both are functions: of one fold, and of the holdings of others. A keeper of the holdings by key
(the store's address index) can compute them again from the events at any time.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cadence.domain.addresses import bare, covers, is_elsewhere
from cadence.domain.channels import AddressKind
from cadence.domain.events import AttemptStage, EndReason, Intent
from cadence.domain.prospect import RECENT_DAYS, Attempt, Prospect
from cadence.domain.stages import Stage
from cadence.domain.words import (
    NOWHERE,
    AddressEntry,
    AttemptAt,
    Elsewhere,
    EntryKind,
    FailureElsewhere,
    Holding,
    MergedRecord,
    OptOuts,
    Question,
    Settled,
    SettledKind,
    WordElsewhere,
)

__all__ = [
    "HOLDERS_OF_A_LINE",
    "Held",
    "bases_of",
    "elsewhere",
    "folded_name",
    "holdings",
    "keys_of",
    "kind_of_key",
    "may_be_same",
]

HOLDERS_OF_A_LINE: Final = 5
"""From so many holders on, a number is taken to be a house's and not a person's."""

_EXIT_COUNTS: Final = timedelta(days=RECENT_DAYS)
_PHONE_KEY: Final = re.compile(r"\+\d+(;ext=\d+)?")
_HANDLE_KEY: Final = re.compile(r"[a-z][a-z0-9_]*:\S")
_SETTLED: Final = {
    EndReason.DECLINED: SettledKind.DECLINED,
    EndReason.DECEASED: SettledKind.DECEASED,
    EndReason.BOUGHT: SettledKind.BOUGHT,
}


class Held(NamedTuple):
    """A row of the address index: what ``prospect`` says of ``key``."""

    key: str
    prospect: str
    holding: Holding


# What one history says ----------------------------------------------------------------------------


def keys_of(prospect: Prospect) -> frozenset[str]:
    """Return the keys of the addresses that are or were theirs."""
    reach = prospect.reach
    keys = {point.key for point in reach.contact_points}
    return frozenset(key for key in (*keys, *reach.former) if key and not is_elsewhere(key))


def holdings(prospect: Prospect) -> dict[str, Holding]:
    """Return what a history says of each address that is or was theirs, or that was used."""
    reach = prospect.reach
    if prospect.stage is Stage.MERGED:
        # The record that goes on says it all, but for what still came here.
        word = reach.opted_out.after(prospect.ending.version, None)
        return {key: Holding(opt_outs=word) for key in sorted(keys_of(prospect))} if word else {}
    held = {point.key for point in reach.contact_points}
    attempts = _attempts_by_key(prospect)
    theirs = keys_of(prospect) | reach.opted_out.keys
    keys = theirs.union(attempts, reach.failed, reach.restored)
    if not keys:
        return {}
    name = folded_name(prospect.identity.name)
    opt_outs = reach.opted_out or None
    settled = _settled(prospect)
    return {
        key: Holding(
            name,
            is_held=key in held,
            opt_outs=opt_outs if key in theirs else None,
            failure=reach.failed.get(key),
            restored_at=reach.restored.get(key),
            settled=settled if key in held else None,
            not_same=tuple(sorted(reach.not_same)),
            attempts=tuple(attempts.get(key, ())),
            merged=tuple(prospect.merged.values()),
        )
        for key in sorted(keys)
        if not is_elsewhere(key)
    }


def _attempts_by_key(prospect: Prospect) -> dict[str, list[AttemptAt]]:
    found: dict[str, list[AttemptAt]] = {}
    made: Sequence[Attempt] = (*prospect.recent, *prospect.silence.attempts)
    if not made:
        return found
    oldest = max(attempt.at for attempt in made) - timedelta(days=RECENT_DAYS)
    for attempt in sorted(made, key=lambda attempt: attempt.at):
        if attempt.at >= oldest:
            for key in dict.fromkeys(part.key for part in attempt.parts):
                if key:
                    parts = tuple([part for part in attempt.parts if part.key == key])
                    at = AttemptAt(attempt.at, attempt.version, parts)
                    found.setdefault(key, []).append(at)
    return found


def _settled(prospect: Prospect) -> Settled | None:
    ending = prospect.ending
    kind = None if ending.reason is None else _SETTLED.get(ending.reason)
    if kind is not None:
        return Settled(kind, prospect.stage_at, ending.version)
    response = prospect.response
    if response.intent is Intent.NO:
        return Settled(SettledKind.SAID_NO, response.recorded_at, response.version)
    if any(one.stage is AttemptStage.POLITE_EXIT for one in prospect.silence.attempts):
        delivered = prospect.exit_delivered()
        if delivered is not None:
            return Settled(SettledKind.EXIT, delivered[0].at, delivered[0].version)
    return None


def folded_name(name: str) -> str:
    """Return a name as it is compared: without regard to case and spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


# What the others say ------------------------------------------------------------------------------


def bases_of(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses at which others may say something of ``keys``, in order.

    A word about a bare number holds for its extensions, so they have one base.
    """
    return tuple(sorted({bare(key) for key in keys if key}))


def kind_of_key(key: str) -> AddressKind:
    """Return what kind of address a key is of, as its form says."""
    if _PHONE_KEY.fullmatch(key):
        return AddressKind.PHONE
    if _HANDLE_KEY.match(key):
        return AddressKind.HANDLE
    return AddressKind.EMAIL if "@" in key and " " not in key else AddressKind.POST


def elsewhere(
    prospect: Prospect,
    others: Sequence[Held],
    entries: Sequence[AddressEntry] = (),
    at: datetime | None = None,
    holders: Mapping[str, int] | None = None,
) -> Elsewhere:
    """Gather what other records say to ``prospect``.

    Args:
        prospect: the fold of its history.
        others: the rows of others at its keys (:func:`bases_of`); its own are left out.
        entries: what lists and owners say of these keys; those taken back are left out.
        at: as known then; ``None``: as known now.
        holders: how many others hold each key, where ``others`` has only those that say something.
    """
    rows = [one for one in others if one.prospect != prospect.id]
    standing = [
        entry
        for entry in entries
        if entry.ended_at is None or (at is not None and entry.ended_at > at)
    ]
    if not rows and not standing:
        return NOWHERE
    lines = _Lines(standing, rows)
    listed = tuple([entry for entry in standing if entry.kind is EntryKind.SUPPRESSED])
    words = {
        (one.key, one.prospect): left
        for one in rows
        if (left := _opt_outs_for(prospect, one)) is not None
    }
    own = {point.key for point in prospect.reach.contact_points}
    counted = own.difference(lines)
    attempts = [
        (key, attempt) for key, _, holding in rows if key in counted for attempt in holding.attempts
    ]
    attempts.sort(key=lambda found: found[1].at)
    return Elsewhere(
        tuple(
            [
                WordElsewhere(key, other, held)
                for (key, other), said in words.items()
                if (held := _at_line(said, key, lines.get(key)))
            ]
        ),
        listed,
        tuple(_questions(prospect, rows, words, lines, holders)),
        _failures(prospect, rows),
        tuple(attempts),
    )


class _Lines(dict[str, datetime]):
    """The addresses of rows that were declared lines, and when; an extension of one is one too."""

    def __init__(self, entries: Sequence[AddressEntry], rows: Sequence[Held]) -> None:
        for line in entries:
            if line.kind is EntryKind.LINE:
                for key in {one.key for one in rows}:
                    if covers(line.key, key):
                        self[key] = min(line.at, self.get(key, line.at))


def _opt_outs_for(prospect: Prospect, row: Held) -> OptOuts | None:
    """The opt-outs of a row that count for ``prospect``: not those that it lifted."""
    said = row.holding.opt_outs
    if said is None:
        return None
    merged = {one.prospect: one for one in row.holding.merged}
    for channel, lifted in prospect.reach.lifted:
        if lifted.prospect == row.prospect:
            said = said.after(lifted.version, channel)
        one = merged.get(lifted.prospect)
        if one is not None and one.opted_out_version is not None:
            # They lifted it before it was merged: as part of that record it counts no more either.
            if lifted.version >= one.opted_out_version:
                said = said.without_event(one.version, channel)
    return said or None


def _at_line(said: OptOuts, key: str, line_since: datetime | None) -> OptOuts | None:
    """What a word of one holder is to the others at ``key``.

    At a line it is the holder's alone, unless they said it from there. A word that stood when the
    line was declared is not released by that.
    """
    if line_since is None or key in said.keys:
        return said
    stood = {one: by for one, by in said.channels.items() if by.at <= line_since}
    everything = said.everything
    if everything is not None and everything.at > line_since:
        everything = None
    return OptOuts(everything, said.exceptions, stood) or None


def _questions(
    prospect: Prospect,
    rows: Sequence[Held],
    words: dict[tuple[str, str], OptOuts],
    lines: _Lines,
    holders: Mapping[str, int] | None,
) -> Iterator[Question]:
    """Who of the others may be the same person, and what of it waits for the owner's word."""
    reach = prospect.reach
    own = {point.key for point in reach.contact_points}
    names = _names(folded_name(prospect.identity.name), prospect.merged.values()) - {""}
    ours = {prospect.id, *prospect.merged}
    asked: set[str] = set()
    theirs = (own | reach.former).difference(lines)
    if holders is None:
        holders = Counter(one.key for one in rows if one.holding.is_held)
    for key, other, holding in rows:
        if other in asked or key not in theirs:
            continue
        theirs_too = {other, *(one.prospect for one in holding.merged)}
        if theirs_too & reach.not_same or ours.intersection(holding.not_same):
            continue
        said, settled = words.get((key, other)), holding.settled
        is_same_name = bool(names & _names(holding.name, holding.merged))
        if settled is not None and not _is_asked(prospect, settled):
            settled = None
        if said is None and settled is None:
            continue
        if may_be_same(key, 1 + holders.get(key, 0), is_same_name=is_same_name):
            asked.add(other)
            yield Question(other, key, said, settled)


def _is_asked(prospect: Prospect, settled: Settled) -> bool:
    """Whether something settled with another raises the question for one who was added later."""
    if settled.kind is SettledKind.DECEASED:
        return True
    if settled.at > prospect.added_at:
        return False
    return settled.kind is not SettledKind.EXIT or prospect.added_at - settled.at <= _EXIT_COUNTS


def may_be_same(key: str, holders: int, *, is_same_name: bool) -> bool:
    """Return whether two holders of an address may be one person.

    Households share a postal address, and a house its number.

    Args:
        key: the address.
        holders: how many prospects have it.
        is_same_name: whether the two have one name.
    """
    kind = kind_of_key(key)
    if kind is AddressKind.EMAIL:
        return True
    return kind is not AddressKind.POST and (holders < HOLDERS_OF_A_LINE or is_same_name)


def _names(name: str, merged: Iterable[MergedRecord]) -> set[str]:
    """The names of a person, as they are compared: also those of the records merged into theirs."""
    return {name, *(folded_name(one.name) for one in merged if one.name)}


def _failures(prospect: Prospect, rows: Sequence[Held]) -> dict[str, FailureElsewhere]:
    """What failed for others, and was not restored since by anyone.

    A dead line is dead for all. A wrong number is one for holders of the same name, and what
    another holder says of the number does not make it theirs. A person of several records has the
    names of all.
    """
    own = _names(folded_name(prospect.identity.name), prospect.merged.values())
    restored = [(key, own, at) for key, at in prospect.reach.restored.items()]
    for key, _, holding in rows:
        if holding.restored_at is not None:
            restored.append((key, _names(holding.name, holding.merged), holding.restored_at))
    failed: dict[str, FailureElsewhere] = {}
    for key, other, holding in rows:
        failure = holding.failure
        if failure is None:
            continue
        if failure.is_strangers and own.isdisjoint(_names(holding.name, holding.merged)):
            continue
        if not any(
            at >= failure.newest_at
            and covers(key, one)
            and not (failure.is_strangers and own.isdisjoint(by))
            for one, by, at in restored
        ):
            known = failed.get(key)
            if known is None or failure.at < known.failure.at:
                failed[key] = FailureElsewhere(other, failure)
    return failed
