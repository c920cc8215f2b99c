"""The due list: one row a prospect that says from when on it must be looked at.

A row is a function of the prospect's events alone (the decision at the moment its last event was
recorded), so the list can be kept in the same transaction as the events and rebuilt to exactly the
same content. It stays right when nothing but time passes, because it does not say what is due: it
says from when on (``wake``) the decision may be due or a task, and whoever lists decides anew. Time
alone never moves a decision to an earlier instant, so the rows' order is the list's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Protocol

from eventsourcing.persistence import StoredEvent

from cadence.domain.events import Event
from cadence.engine.decision import Decision, Verdict

__all__ = ["DueRow", "DueStore", "Prepared", "due_row", "to_micros"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class DueRow(NamedTuple):
    """One prospect in the due list; instants in microseconds since 1970."""

    prospect: str
    verdict: str
    at: int | None
    """What the list is ordered by; ``None`` for stop."""
    wake: int | None
    """From when on the prospect must be looked at; ``None``: only after another event."""


class Prepared(NamedTuple):
    """What is to be written of one prospect."""

    events: Sequence[StoredEvent]
    row: DueRow


class DueStore(Protocol):
    """What every recorder of ours can do beside recording events.

    ``insert_events`` of each takes ``due=`` rows and writes them in the same transaction.
    """

    def insert_batches(self, batches: Iterable[Prepared]) -> int:
        """Write events and due rows of many prospects in one transaction, as they come.

        Returns:
            How many events were written.

        Raises:
            IntegrityError: one of the versions is taken; nothing was written.
        """

    def select_stream(self, prospect: str) -> list[Event]:
        """All events of one prospect, in order of version; empty if there are none."""

    def select_streams(self, prospects: Sequence[str]) -> dict[str, list[Event]]:
        """All events of several prospects."""

    def select_page(self, first: str, last: str) -> list[list[Event]] | None:
        """The histories of all prospects whose ids lie from ``first`` to ``last``, in order.

        ``None`` if they must be read one by one (see ``mapper.decode_page``).
        """

    def select_due(
        self, wake: int | None, after: tuple[int, str] | None, limit: int
    ) -> list[DueRow]:
        """A page of the list by (at, prospect); with ``wake``, rows that wake up to then."""

    def select_prospects(self, after: str | None, limit: int) -> list[str]:
        """A page of the ids of all prospects that have events, in order."""

    def count_due(self) -> int:
        """How many rows the list has: one for each prospect."""

    def replace_due(self, rows: Iterable[DueRow], stamp: str) -> None:
        """Replace the whole list and its stamp in one transaction."""

    def due_stamp(self) -> str | None:
        """Which rules and data the list was made with."""

    def due_rows(self) -> Iterator[DueRow]:
        """Every row, in order of the prospect's id."""

    def save_policy(self, digest: str, text: str) -> None:
        """Keep the file of a policy that prospects adopt, by its digest."""

    def policy_text(self, digest: str) -> str | None:
        """The file of the policy with this digest; ``None``: it was not kept here."""

    def policy_digests(self) -> list[str]:
        """The digests under which files of policies are kept, in order."""


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def due_row(decision: Decision, seen: datetime) -> DueRow:
    """The row of a prospect, from the decision at the moment its last event was recorded.

    Args:
        decision: what was decided then.
        seen: that moment.
    """
    at = None if decision.at is None else to_micros(decision.at)
    # A task is there at once, whatever its deadline.
    wake = 0 if decision.verdict is Verdict.TASK else at
    if decision.verdict is Verdict.WAIT and decision.touch is not None:
        planned = min((r.until for r in decision.reasons if r.until is not None), default=seen)
        if planned < seen:
            # It waits for an hour that opens again; then it is due since it was due at first.
            at = to_micros(planned)
    return DueRow(decision.prospect, decision.verdict.value, at, wake)
