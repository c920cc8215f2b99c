"""Make rows of a team's own from the feed, each event once.

The rows and the position in the feed are committed in one transaction of the team's database. So a
program that is killed at any point has applied an event and moved past it, or neither. Another
version of a projection is filled into tables of its own while the first goes on, and takes its
place in one transaction (ADR 0060).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Generic

import msgspec

from cadence.domain.events import Event, Unreadable
from cadence.errors import InputError, StoreError
from cadence.store.feed import FeedItem, FeedPosition
from cadence.store.targets import DB, Target

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["Projection"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_PAGE: Final = 1000  # events
_START: Final = ""
_ENDED: Final = "ended"  # in place of a position: another version took over


class Projection(msgspec.Struct, Generic[DB], frozen=True):
    """Rows of a team's own, made from the events of a store.

    Its functions get the team's connection, within a transaction that they leave open, and the name
    of the version's table (:attr:`table`).

    Attributes:
        name: of lower-case letters, digits and ``_``; it stays the same for ever.
        apply: adds a page of events to the rows.
        version: of the rows: another number fills tables of its own, beside those of the live one.
        create: makes the tables of the version; called once, before its first page.
        publish: shows readers the tables of the version; called once, when it becomes the live one.
    """

    name: str
    apply: Callable[[DB, str, Sequence[Event]], object]
    version: int = 1
    create: Callable[[DB, str], object] | None = None
    publish: Callable[[DB, str], object] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"name: invalid {self.name!r}",
                "use at most 40 lower-case letters, digits and _, a letter first",
            )
        if self.version < 1:
            raise InputError(f"version: invalid {self.version}", "give 1 or more")

    @property
    def table(self) -> str:
        """The version's table, such as ``calls_2``; the prefix of their names if it has several."""
        return f"{self.name}_{self.version}"

    def run(
        self,
        app: Cadence,
        target: Target[DB],
        *,
        size: int = _PAGE,
        timeout: timedelta | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Apply every event that is there, each once, and wait for more.

        Several programs may run one version: each page is applied by one of them. Where anything
        raises, nothing of its page is kept; run it again.

        The first version of a name is the live one from its beginning. One that another was swapped
        in for has ended, and returns at the next event.

        Args:
            app: the store to read.
            target: the database of the rows.
            size: how many events are applied in one transaction, at most.
            timeout: return when none has come for so long; zero: at the end of what is there;
                ``None``: never.
            stop: return soon after this is set, between two pages.

        Raises:
            StoreError: the store can't be read, or a newer cadence wrote the next event. No event
                is left out.
        """
        with target.connect() as db:
            with target.begin(db):
                position = self._enter(target, db)
            if position == _ENDED:
                return
            pages = app.follow_pages(
                lambda: position or None, size=size, timeout=timeout, stop=stop
            )
            for page in pages:
                readable = list(takewhile(_is_readable, page))
                with target.begin(db):
                    held = target.hold(db, self._key)
                    is_next = held == position
                    if is_next and readable:
                        held = self._apply_page(target, db, readable)
                if held is None or held == _ENDED:
                    return
                if is_next and len(readable) < len(page):
                    raise self._too_new(page[len(readable)])
                position = held  # or where another runner is: the next page is read from there

    def swap(self, app: Cadence, target: Target[DB], *, size: int = _PAGE) -> None:
        """Make this version the live one, in one transaction.

        It applies what it has not applied yet, ends the version that was live, and publishes its
        own tables. So readers see no event less than before. Call :meth:`run` with a ``timeout`` of
        zero first, and little is left to apply. Where it is the live one already, nothing happens.

        Args:
            app: the store to read.
            target: the database of the rows.
            size: how many events are given to ``apply`` at once, at most.

        Raises:
            InputError: the version has ended, or the store has not all events that the live version
                has applied.
            StoreError: as :meth:`run`.
        """
        with target.connect() as db, target.begin(db):
            live = target.hold(db, self.name)
            old = None if live is None else self._key_of(live)
            # From here on no runner of the live version applies anything.
            reached = None if old is None else target.hold(db, old)
            position = self._enter(target, db)
            if old is None or old == self._key:
                return
            if position == _ENDED:
                raise InputError(
                    f"{self.name}: version {self.version} has ended",
                    "give its functions a new version, and fill that",
                )
            for page in app.follow_pages(position or None, size=size, timeout=timedelta(0)):
                for item in page:
                    if not _is_readable(item):
                        raise self._too_new(item)
                position = self._apply_page(target, db, page)
            if FeedPosition.parse(position or None) < FeedPosition.parse(reached or None):
                raise InputError(
                    f"{self.name}: the store has not all events of the live version {live}",
                    "open the store that it reads, on its primary server",
                )
            target.keep(db, old, _ENDED)
            self._go_live(target, db)

    @property
    def _key(self) -> str:
        return self._key_of(str(self.version))

    def _key_of(self, version: str) -> str:
        return f"{self.name}#{version}"

    def _enter(self, target: Target[DB], db: DB) -> str:
        """Return the position, after making the tables of a version that has not begun."""
        # In this order, as swap() does: two that wait for each other would wait for ever.
        live = target.hold(db, self.name)
        position = target.hold(db, self._key)
        if position is None:
            position = _START
            target.keep(db, self._key, position)
            if self.create is not None:
                self.create(db, self.table)
            if live is None:
                self._go_live(target, db)
        return position

    def _apply_page(self, target: Target[DB], db: DB, page: Sequence[FeedItem]) -> str:
        """Apply a page, and keep the position behind it."""
        self.apply(db, self.table, [item.event for item in page])
        position = page[-1].position
        target.keep(db, self._key, position)
        return position

    def _go_live(self, target: Target[DB], db: DB) -> None:
        target.keep(db, self.name, str(self.version))
        if self.publish is not None:
            self.publish(db, self.table)

    def _too_new(self, item: FeedItem) -> StoreError:
        event = item.event
        return StoreError(
            f"{self.name}: a newer cadence wrote event {event.version} of {event.prospect}",
            "run the projection with that cadence; it goes on with this event",
        )


def _is_readable(item: FeedItem) -> bool:
    """Return whether a newer cadence would read this event no better.

    A damaged event counts as readable: no version can read more of it.
    """
    data = item.event.data
    return not isinstance(data, Unreadable) or data.is_damaged
