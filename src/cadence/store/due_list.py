"""Compute the due list: one row a prospect that says from when on it must be reviewed.

A row is a function of the prospect's events alone: it comes from the decision at the moment its
last event was recorded. So the list is kept in the same transaction as the events, and can be
rebuilt to exactly the same content. It stays right when only time passes. A row does not say what
is due; it says from when on (``review_from``) the decision may be due or a task, and a reader
decides again. Time alone never moves a decision to an earlier instant, so the order of the rows is
the order of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from eventsourcing.persistence import StoredEvent

from cadence.domain.prospect import Prospect
from cadence.engine.decision import Decision, Task, Verdict, Wait

__all__ = ["DueQuery", "DueRow", "Prepared", "due_row", "position", "to_micros", "unknown_row"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class DueRow(NamedTuple):
    """One prospect in the due list; instants in microseconds since 1970.

    Attributes:
        prospect: its id.
        verdict: of the decision when its last event was recorded.
        at: what the list is ordered by; ``None`` for stop.
        review_from: from when on the prospect must be reviewed; ``None``: only after another
            event. The column of the table is called ``wake``.
        owner: who follows up.
        name: of the prospect.
        channels: every channel on which the prospect has a contact point, each between commas; no
            touch is on another.
    """

    prospect: str
    verdict: str
    at: int | None
    review_from: int | None
    owner: str | None = None
    name: str = ""
    channels: str = ""

    @property
    def position(self) -> tuple[int, str]:
        """The place of the row in the list."""
        return (self.at or 0, self.prospect)


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


class Prepared(NamedTuple):
    """The events and the due row to write for one prospect."""

    events: Sequence[StoredEvent]
    row: DueRow


def to_micros(instant: datetime) -> int:
    """Return ``instant`` in microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def position(decision: Decision) -> tuple[int, str]:
    """Return the place of a decision in the due list."""
    return (0 if decision.at is None else to_micros(decision.at), decision.prospect)


def due_row(prospect: Prospect, decision: Decision) -> DueRow:
    """Compute the row of a prospect from the decision of when its last event was recorded."""
    at = None if decision.at is None else to_micros(decision.at)
    # A task is there at once, whatever its deadline.
    review_from = 0 if isinstance(decision, Task) else at
    if isinstance(decision, Wait) and decision.due_since is not None:
        # It waits for an hour that opens again; then it is due since it was due at first.
        at = to_micros(decision.due_since)
    return _row(prospect, decision.verdict, at, review_from)


def unknown_row(prospect: Prospect) -> DueRow:
    """Return the row of a prospect whose policy a reader may not have: always to be reviewed."""
    return _row(prospect, Verdict.TASK, 0, 0)


def _row(prospect: Prospect, verdict: Verdict, at: int | None, review_from: int | None) -> DueRow:
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
    )
