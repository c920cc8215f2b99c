"""Compute the due list: one row a prospect that says from when on it must be reviewed.

A row is a function of the prospect's events alone, so the list is kept in the same transaction as
the events, and can be rebuilt. It does not say what is due; it says from when on (``review_from``)
the decision may be due or a task, and a reader decides again. Time alone never moves a decision to
an earlier instant, and other holidays, zone data or guards than those of the writer can't undercut
a row, because it is made without them, less a day (ADR 0045). So a row holds for every program that
shares the store, whatever data it has. Only another engine, or another policy of a history that
names none, makes a row stale; its ``stamp`` says which made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from eventsourcing.persistence import StoredEvent

from cadence.domain.prospect import Prospect
from cadence.engine.decision import Close, Decision, Task, Verdict, Wait
from cadence.engine.lower_bound import MARGIN

__all__ = [
    "AddressRow",
    "DueQuery",
    "DueRow",
    "Prepared",
    "due_row",
    "from_micros",
    "in_order",
    "is_missed",
    "position",
    "to_micros",
    "unknown_row",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class DueRow(NamedTuple):
    """One prospect in the due list; instants in microseconds since 1970.

    Attributes:
        prospect: its id.
        verdict: of the decision when its last event was recorded.
        at: what the list is ordered by, a lower bound; ``None`` for stop.
        review_from: from when on the prospect must be reviewed; ``None``: only after another
            event. The column of the table is called ``wake``.
        owner: who follows up.
        name: of the prospect.
        channels: every channel on which the prospect has a contact point, each between commas; no
            touch is on another.
        stamp: the engine that made the row, and the policy if the history names none.
    """

    prospect: str
    verdict: str
    at: int | None
    review_from: int | None
    owner: str | None = None
    name: str = ""
    channels: str = ""
    stamp: str = ""

    @property
    def position(self) -> tuple[int, str]:
        """The place of the row in the list."""
        return (self.at or 0, self.prospect)

    def look_now(self) -> DueRow:
        """Return the row of a prospect that may be decided otherwise: always to be reviewed."""
        return DueRow(self.prospect, Verdict.TASK.value, 0, 0, *self[4:])


class DueQuery(NamedTuple):
    """Which rows of the due list to read.

    Attributes:
        review_until: those to review up to this instant, in microseconds; ``None``: all.
        owner: those of this owner; ``None``: everybody's.
        channel: those with a contact point on this channel; ``None``: all.
    """

    review_until: int | None = None
    owner: str | None = None
    channel: str | None = None


class AddressRow(NamedTuple):
    """What one prospect says of one address: a row of the address index.

    Attributes:
        base: the key of the bare number, where ``key`` has an extension; otherwise the key.
        key: the address key.
        prospect: the prospect's id.
        holding: what it says, as JSON.
        speaks: whether that may stop another holder.
    """

    base: str
    key: str
    prospect: str
    holding: str
    speaks: bool

    @property
    def is_held(self) -> bool:
        """Whether the address is a contact point of theirs."""
        return '"is_held":true' in self.holding  # most rows are never decoded

    @property
    def counts(self) -> bool:
        """Whether it says anything to another holder. In JSON a quote within a text is escaped."""
        return self.speaks or '"attempts":[' in self.holding or '"restored_at":' in self.holding


def in_order(row: AddressRow) -> tuple[str, str, str]:
    """Sort rows of the address index as the statements do."""
    return (row.base, row.prospect, row.key)


class Prepared(NamedTuple):
    """The events, the due row and the addresses to write for one prospect."""

    events: Sequence[StoredEvent]
    row: DueRow
    addresses: tuple[AddressRow, ...] = ()


def to_micros(instant: datetime) -> int:
    """Return ``instant`` in microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant of :func:`to_micros`."""
    return _EPOCH + micros * _MICROSECOND


def position(decision: Decision) -> tuple[int, str]:
    """Return the place of a decision in the due list."""
    return (0 if decision.at is None else to_micros(decision.at), decision.prospect)


def due_row(prospect: Prospect, decision: Decision, early: Decision, stamp: str) -> DueRow:
    """Compute the row of a prospect.

    Args:
        prospect: the fold of its events.
        decision: what was decided when its last event was recorded.
        early: the same without what other data may move (``engine/lower_bound.py``).
        stamp: the engine, and the policy of a history that names none.
    """
    instants = [instant for one in (decision, early) if (instant := _since(one)) is not None]
    at = to_micros(min(instants) - MARGIN) if instants else None
    # These are there at once, whatever the deadline of a task, and whatever clock recorded why.
    is_there = isinstance(decision, Task | Close) or isinstance(early, Task | Close)
    return _row(prospect, decision.verdict, at, 0 if is_there else at, stamp)


def _since(decision: Decision) -> datetime | None:
    # A touch that waits for an hour that opens again is then due since it was due at first.
    return (decision.due_since if isinstance(decision, Wait) else None) or decision.at


def is_missed(row: DueRow, made: DueRow) -> bool:
    """Return whether a row would list a prospect later than the row made now, or elsewhere."""
    if made.at is None or made.review_from is None:
        return False
    if row.at is None or row.review_from is None:
        return True
    return row.at > made.at or row.review_from > made.review_from or row[4:7] != made[4:7]


def unknown_row(prospect: Prospect, stamp: str) -> DueRow:
    """Return the row of a prospect that a reader may decide otherwise: always to be reviewed."""
    return _row(prospect, Verdict.TASK, 0, 0, stamp)


def _row(
    prospect: Prospect, verdict: Verdict, at: int | None, review_from: int | None, stamp: str
) -> DueRow:
    identity = prospect.identity
    channels = sorted({point.channel for point in prospect.reach.contact_points})
    return DueRow(
        prospect.id,
        verdict.value,
        at,
        review_from,
        identity.owner,
        identity.name,
        f",{','.join(channels)}," if channels else "",
        stamp,
    )
