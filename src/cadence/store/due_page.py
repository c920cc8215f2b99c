"""A page of the due list, and the place where the next one begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, NamedTuple

from cadence.domain.codec import parse_instant
from cadence.domain.limits import check_texts, is_storable
from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, Stop, Verdict
from cadence.errors import InputError
from cadence.store.due_list import position, to_micros

__all__ = ["EVERY", "NOW", "DueFilter", "DuePage", "page_end", "parse_page_end"]


NOW: Final = frozenset({Verdict.DUE, Verdict.TASK})
"""The verdicts of those who are to be contacted, or looked at, now."""
EVERY: Final = frozenset(Verdict) - {Verdict.STOP}
"""The verdicts of the due list: all but those of prospects whose follow-up is over."""


class DueFilter(NamedTuple):
    """Which decisions of the due list are asked for.

    Attributes:
        owner: of prospects of this owner; ``None``: of everybody's.
        channel: touches that use this channel; ``None``: all decisions.
        beyond: those behind this place in the list.
        verdicts: decisions of these; a stop is never listed.
    """

    owner: str | None = None
    channel: str | None = None
    beyond: tuple[int, str] | None = None
    verdicts: frozenset[Verdict] = NOW

    def check(self) -> None:
        """Check the texts that the store is asked for.

        Raises:
            InputError: no store can hold one.
        """
        check_texts(self.owner, "owner")
        check_texts(self.channel, "channel")

    def has(self, prospect: Prospect, decision: Decision) -> bool:
        """Return whether a decision is asked for."""
        if isinstance(decision, Stop) or decision.verdict not in self.verdicts:
            return False
        if self.owner is not None and prospect.identity.owner != self.owner:
            return False
        if self.channel is not None:
            parts = decision.touch.parts if decision.touch is not None else ()
            if all(part.channel != self.channel for part in parts):
                return False
        return self.beyond is None or position(decision) > self.beyond


class DuePage:
    """Decisions of the due list, soonest first; they are made as they are asked for.

    Iterating gives the decisions of the page, as often as it is done.
    """

    def __init__(self, decisions: Iterator[Decision], limit: int | None) -> None:
        """Args:
        decisions: those of this page, and at least one more if there is one.
        limit: how many a page has at most; ``None``: all.
        """
        self._waiting = decisions if limit is None else islice(decisions, limit + 1)
        self._limit = limit
        self._made: list[Decision] = []

    def __iter__(self) -> Iterator[Decision]:
        number = 0
        while (self._limit is None or number < self._limit) and self._make(number + 1):
            yield self._made[number]
            number += 1

    @property
    def items(self) -> list[Decision]:
        """The decisions of the page."""
        return list(self)

    @property
    def after(self) -> str | None:
        """Where the next page begins: the ``after`` to ask for it; ``None``: this is the last."""
        if self._limit is None or not self._make(self._limit + 1):
            return None
        return page_end(self._made[self._limit - 1])

    def _make(self, count: int) -> bool:
        """Make decisions until there are ``count``; return whether there are."""
        self._made += islice(self._waiting, max(0, count - len(self._made)))
        return len(self._made) >= count


def page_end(last: Decision) -> str:
    """Name the place after a decision, for a page that begins there."""
    if last.at is None:
        raise ValueError("a stop stands in no list")
    at = last.at.isoformat().replace("+00:00", "Z")
    return f"{at}/{last.prospect}"


def parse_page_end(text: str) -> tuple[int, str]:
    """Read what :func:`page_end` made: a place in the list.

    Raises:
        InputError: it is something else.
    """
    at, _, prospect = text.partition("/")
    with suppress(InputError):
        if prospect and is_storable(prospect):
            return to_micros(parse_instant(at, "after")), prospect
    raise InputError(
        f"after: invalid {text!r}",
        "give the time and id of the last one before, like 2026-12-01T14:00:00Z/jerry",
    )
