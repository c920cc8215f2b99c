"""What other records had said to a prospect at times gone by, for the audit and for replays.

It is gathered from the histories of the other holders, as they were recorded by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from cadence.domain.addresses import bare
from cadence.domain.elsewhere import Held, bases_of, elsewhere, holdings, keys_of
from cadence.domain.events import (
    FAILING,
    AttemptMade,
    Event,
    GuidelinesAgreed,
    InterestNoted,
    Noted,
    PreferenceStated,
    ProspectsMerged,
    ValueNoted,
)
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.words import NOWHERE, AddressEntry, Elsewhere

__all__ = ["Others", "PastHoldings"]


_SILENT: Final = (GuidelinesAgreed, InterestNoted, Noted, PreferenceStated, ValueNoted)


def _may_say(event: Event) -> bool:
    """Whether an event may change what its prospect says to others; most attempts do not."""
    data = event.data
    if isinstance(data, AttemptMade):
        return data.connected or any(part.disposition in FAILING for part in data.parts)
    return not isinstance(data, _SILENT)


def _without(history: Sequence[Event], own: str) -> Sequence[Event]:
    """A history of another holder without what is of ``own``, which was merged into it for a time.

    What a merge brought along, and what came for the merged record, are its own words.
    """
    if not any(_is_of(event, own) for event in history):
        return history
    return [event for event in history if not _is_of(event, own)]


def _is_of(event: Event, own: str) -> bool:
    data = event.data
    if isinstance(data, ProspectsMerged):
        return data.prospect == own
    return event.merged_from == own


def _as_events(entry: AddressEntry) -> list[Event]:
    """An entry of a list as events that a reader can be shown."""
    address = {"address": entry.key}
    if entry.channel is not None:
        address["channel"] = str(entry.channel)
    said = {"source": entry.source, "why": entry.why}
    shown = address | {name: text for name, text in said.items() if text}
    events = [Event(entry.key, 0, entry.at, entry.at, Noted(entry.kind.value, shown), entry.by)]
    if entry.ended_at is not None:
        shown = address | ({"why": entry.ended_why} if entry.ended_why else {})
        what = Noted(f"no longer {entry.kind.value}", shown)
        events.append(Event(entry.key, 0, entry.ended_at, entry.ended_at, what, entry.ended_by))
    return events


class PastHoldings:
    """What histories said of their addresses at times gone by; each is folded once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, tuple[int, ...]], tuple[Held, ...]] = {}

    def of(self, history: Sequence[Event], at: datetime) -> tuple[Held, ...]:
        """Return what a history said by what had been recorded at ``at``."""
        known = [event for event in history if event.recorded_at <= at]
        if not known:
            return ()
        # Some readers leave out what was merged into it.
        name = known[0].prospect, tuple([event.version for event in known])
        if name not in self._found:
            folded = fold(None, known)
            said = {} if folded is None else holdings(folded)
            held = tuple([Held(key, name[0], holding) for key, holding in said.items()])
            self._found[name] = held
        return self._found[name]


class Others:
    """The other holders of one prospect's addresses, with their histories."""

    def __init__(
        self,
        history: Sequence[Event],
        others: Sequence[Sequence[Event]],
        entries: Iterable[AddressEntry],
        past: PastHoldings,
    ) -> None:
        """Args:
        history: of the prospect that is audited.
        others: the histories of the other holders.
        entries: what lists and owners said of its addresses, also what was taken back.
        past: folds them.
        """
        self._history = history
        own = history[0].prospect
        self._others = [left for one in others if (left := _without(one, own))]
        self._entries = tuple(entries)
        self._past = past

    def said_by(self, at: datetime, version: int) -> Elsewhere:
        """Return what others had said when an attempt was made.

        Args:
            at: when; what was recorded later was not known.
            version: the event of the attempt; what the prospect's own history said before it.
        """
        prospect = fold(None, [event for event in self._history if event.version < version])
        return NOWHERE if prospect is None else self.said_to(prospect, at)

    def said_to(self, prospect: Prospect, at: datetime) -> Elsewhere:
        """Return what others had said at an instant to a prospect as it was folded then."""
        bases = set(bases_of(keys_of(prospect)))
        held = [one for one in self._known_by(at) if bare(one.key) in bases]
        return elsewhere(prospect, held, [one for one in self._entries if one.at <= at], at)

    def tell(self, prospect: Prospect, at: datetime) -> Prospect:
        """Return a prospect, as it was folded at an instant, with what others had said to it."""
        said = self.said_to(prospect, at)
        return prospect if said == prospect.elsewhere else replace(prospect, elsewhere=said)

    def words_between(self, start: datetime, end: datetime | None) -> list[Event]:
        """Return events by which others may have said something, in the order of recording.

        An entry of a list, or its end, is shown as an event of the list's own.

        Args:
            start: those recorded after this …
            end: … and by this; ``None``: all.
        """
        found = [event for history in self._others for event in history if _may_say(event)]
        found += [event for entry in self._entries for event in _as_events(entry)]
        return sorted(
            (
                one
                for one in found
                if start < one.recorded_at and (end is None or one.recorded_at <= end)
            ),
            key=lambda one: (one.recorded_at, one.prospect, one.version),
        )

    def _known_by(self, at: datetime) -> Iterator[Held]:
        for history in self._others:
            yield from self._past.of(history, at)
