"""What other records had said to a prospect at times gone by, for the audit and for replays.

It is gathered from the histories of the other holders, as they were recorded by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cadence.domain.addresses import bare
from cadence.domain.elsewhere import Held, elsewhere, holdings, keys_of
from cadence.domain.events import Event
from cadence.domain.fold import fold
from cadence.domain.prospect import Prospect
from cadence.domain.words import NOWHERE, AddressEntry, Elsewhere

__all__ = ["Others", "PastHoldings"]


class PastHoldings:
    """What histories said of their addresses at times gone by; each is folded once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[Held, ...]] = {}

    def of(self, history: Sequence[Event], at: datetime) -> tuple[Held, ...]:
        """Return what a history said by what had been recorded at ``at``."""
        known = [event for event in history if event.recorded_at <= at]
        if not known:
            return ()
        name = known[0].prospect, len(known)
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
        self._others = others
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
        bases = {bare(key) for key in keys_of(prospect)}
        held = [one for one in self._known_by(at) if bare(one.key) in bases]
        return elsewhere(prospect, held, [one for one in self._entries if one.at <= at], at)

    def _known_by(self, at: datetime) -> Iterator[Held]:
        for history in self._others:
            yield from self._past.of(history, at)
