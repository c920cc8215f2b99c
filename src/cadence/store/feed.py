"""Give every event once, in an order in which nothing appears behind a position.

A position is a place in that order. On SQLite and in memory it is the number that a stored event
got; one writer commits at a time, so a smaller number is never seen later. On PostgreSQL several
commit at once: there the transaction comes first, and a reader waits until none can appear before
what it reads (:mod:`cadence.store.recorders.postgres_feed`).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from itertools import islice
from typing import Final, NamedTuple, Protocol

import msgspec
from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

from cadence.domain.events import Event
from cadence.domain.stored import decode_row
from cadence.errors import InputError

__all__ = [
    "START",
    "FeedItem",
    "FeedPosition",
    "FeedRow",
    "FeedSource",
    "FeedSubscription",
    "events",
    "follow",
    "follow_pages",
    "number_of",
    "poll",
]

_PAGE: Final = 1000  # events that are read at once
_LOOK_AGAIN: Final = 0.01  # seconds; doubled while nothing comes …
_LONGEST_WAIT: Final = 0.25  # … up to this
_FORM: Final = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


class FeedPosition(NamedTuple):
    """A place in the order of the feed.

    Attributes:
        transaction: the number of the transaction; 0 where one writer commits at a time.
        number: of the stored event.
    """

    transaction: int
    number: int

    @classmethod
    def parse(cls, text: str | None) -> FeedPosition:
        """Read what ``str`` of a position gives; ``None``: the beginning.

        Raises:
            InputError: it is something else.
        """
        if text is None:
            return START
        found = _FORM.fullmatch(text)
        if found is None:
            raise _not_ours(text)
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.transaction}-{self.number}"


START: Final = FeedPosition(0, 0)
"""Before the first event."""


class FeedRow(NamedTuple):
    """A stored event in the feed."""

    transaction: int
    number: int
    prospect: str
    version: int
    topic: str
    state: bytes

    @property
    def position(self) -> FeedPosition:
        """Where it stands."""
        return FeedPosition(self.transaction, self.number)


class FeedItem(msgspec.Struct, frozen=True):
    """An event, and where it stands in the feed.

    Attributes:
        position: of this store alone. Keep it with what was made of the event, and go on ``after``
            it. Do not look inside.
        event: what happened.
    """

    position: str
    event: Event


class FeedSource(Protocol):
    """What a store offers to those who read its feed."""

    def select_feed(self, after: FeedPosition, limit: int) -> list[FeedRow]:
        """Read a page of the events behind a position, as far as none can appear before them."""

    def listen(self) -> AbstractContextManager[Callable[[float], bool]]:
        """Listen for writers.

        Yields:
            A function that waits up to so many seconds, and returns whether events may have come.
        """


def events(source: FeedSource, after: str | None, limit: int | None) -> Iterator[FeedItem]:
    """Read what is there behind a position.

    Args:
        source: the store.
        after: a position; ``None``: the beginning.
        limit: how many at most; ``None``: all.

    Raises:
        InputError: ``after`` or ``limit`` is invalid.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: invalid {limit}", "give 1 or more, or None for all")
    pages = _pages(source, FeedPosition.parse(after), _PAGE if limit is None else min(limit, _PAGE))
    return islice((_item(row) for page in pages for row in page), limit)


def follow(
    source: FeedSource,
    after: str | None,
    timeout: timedelta | None,
    stop: threading.Event | None,
) -> Iterator[FeedItem]:
    """Read what is there behind a position, and wait for more.

    Args:
        source: the store.
        after: a position; ``None``: the beginning.
        timeout: end when none has come for so long; ``None``: never.
        stop: end when this is set.

    Raises:
        InputError: ``after`` is invalid.
    """
    return map(_item, _follow(source, FeedPosition.parse(after), timeout, stop))


def follow_pages(
    source: FeedSource,
    after: str | Callable[[], str | None] | None,
    size: int,
    timeout: timedelta | None,
    stop: threading.Event | None,
) -> Iterator[list[FeedItem]]:
    """Read what is there behind a position, page by page, and wait for more.

    Args:
        source: the store.
        after: a position; ``None``: the beginning. Or what gives one, asked before each page.
        size: how many events a page has at most.
        timeout: end when none has come for so long; ``None``: never.
        stop: end when this is set.

    Raises:
        InputError: ``after`` or ``size`` is invalid.
    """
    if size < 1:
        raise InputError(f"size: invalid {size}", "give 1 or more")
    start = after if callable(after) else FeedPosition.parse(after)
    pages = _follow_pages(source, start, size, timeout, stop)
    return ([_item(row) for row in page] for page in pages)


@contextmanager
def poll() -> Iterator[Callable[[float], bool]]:
    """Listen where writers give no sign: by looking again after a while."""

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    yield wait


def number_of(position: FeedPosition) -> int:
    """Return the number of a position in a store where one writer commits at a time.

    Raises:
        InputError: it is one of another store.
    """
    if position.transaction:
        raise _not_ours(str(position))
    return position.number


class FeedSubscription(Subscription[ApplicationRecorder]):
    """The package's subscription, in the order of the feed."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        source: FeedSource,
        after: FeedPosition,
        topics: Sequence[str],
    ) -> None:
        """Args:
        recorder: whose events.
        source: the same, as what is read.
        after: where it begins.
        topics: only events of these types; empty: all.
        """
        super().__init__(recorder, after.number, topics)
        self._stop = threading.Event()
        self._rows = _follow(source, after, None, self._stop)
        self._only = frozenset(topics)

    def stop(self) -> None:
        super().stop()
        self._stop.set()

    def __next__(self) -> Notification:
        for row in self._rows:
            if not self._only or row.topic in self._only:
                return Notification(
                    originator_id=row.prospect,
                    originator_version=row.version,
                    topic=row.topic,
                    state=row.state,
                    id=row.number,
                )
        raise StopIteration


def _pages(source: FeedSource, after: FeedPosition, size: int) -> Iterator[list[FeedRow]]:
    """Read pages until one is not full."""
    while page := source.select_feed(after, size):
        yield page
        if len(page) < size:
            return
        after = page[-1].position


def _follow(
    source: FeedSource,
    after: FeedPosition,
    timeout: timedelta | None,
    stop: threading.Event | None,
) -> Iterator[FeedRow]:
    """Read rows as they come, until none has come for so long, or it is stopped."""
    for page in _follow_pages(source, after, _PAGE, timeout, stop):
        for row in page:
            if stop is not None and stop.is_set():
                return
            yield row


def _follow_pages(
    source: FeedSource,
    after: FeedPosition | Callable[[], str | None],
    size: int,
    timeout: timedelta | None,
    stop: threading.Event | None,
) -> Iterator[list[FeedRow]]:
    """Read pages as they come, each behind the one before it or where ``after`` says."""
    seconds = None if timeout is None else timeout.total_seconds()
    with source.listen() as wait:
        quiet_since, pause = time.monotonic(), _LOOK_AGAIN
        while stop is None or not stop.is_set():
            read_from = FeedPosition.parse(after()) if callable(after) else after
            if page := source.select_feed(read_from, size):
                yield page
                if not callable(after):
                    after = page[-1].position
                quiet_since, pause = time.monotonic(), _LOOK_AGAIN
                if len(page) == size:
                    continue
            if seconds is not None:
                left = quiet_since + seconds - time.monotonic()
                if left <= 0:
                    return
                pause = min(pause, left)
            pause = _LOOK_AGAIN if wait(pause) else min(2 * pause, _LONGEST_WAIT)


def _item(row: FeedRow) -> FeedItem:
    transaction, number, prospect, version, _, state = row
    return FeedItem(f"{transaction}-{number}", decode_row(prospect, version, state))


def _not_ours(text: str) -> InputError:
    return InputError(f"after: invalid {text!r}", "give the position of an event of this store")
