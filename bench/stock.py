"""The same prospect in the stock ``eventsourcing`` library, as its documentation shows it.

An ``Aggregate`` with ``@event`` methods, the default mapper and JSON transcoder, SQLite. The events
carry the same data as ours; the aggregate keeps about what a prospect keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from cadence.domain.events import AttemptMade, Event, ProspectAdded

__all__ = ["Lead", "Leads", "open_leads", "synchronous"]


class Lead(Aggregate):
    """A prospect, the stock way."""

    @event("Added")
    def __init__(self, name: str, data: dict[str, Any], occurred_at: str) -> None:
        self.name = name
        self.data = data
        self.since = occurred_at
        self.stage = "new"
        self.attempts: list[dict[str, Any]] = []
        self.noted: list[dict[str, Any]] = []

    @event("Noted")
    def note(self, kind: str, data: dict[str, Any], occurred_at: str) -> None:
        """Something else happened."""
        self.noted.append(data)

    @event("AttemptMade")
    def attempt(
        self,
        parts: list[dict[str, Any]],
        stage: str,
        step: str,
        touch: str,
        gap: dict[str, int] | None,
        policy: dict[str, Any] | None,
        occurred_at: str,
    ) -> None:
        """We tried."""
        self.stage = stage
        self.attempts.append({"parts": parts, "step": step, "gap": gap, "at": occurred_at})

    def take(self, one: Event) -> None:
        """Trigger the stock event with the data of one of ours."""
        plain = msgspec.to_builtins(one)
        data = plain["data"]
        if isinstance(one.data, AttemptMade):
            self.attempt(
                parts=data["parts"],
                stage=data["stage"],
                step=data["step"],
                touch=data["touch"],
                gap=data.get("gap"),
                policy=data["policy"],
                occurred_at=plain["occurred_at"],
            )
        else:
            self.note(kind=data.pop("type"), data=data, occurred_at=plain["occurred_at"])


class Leads(Application[UUID]):
    """The stock application."""

    def add(self, history: Sequence[Event]) -> UUID:
        """Store ``history`` as one aggregate."""
        added = history[0]
        assert isinstance(added.data, ProspectAdded)
        plain = msgspec.to_builtins(added)
        lead = Lead(name=added.data.name, data=plain["data"], occurred_at=plain["occurred_at"])
        for one in history[1:]:
            lead.take(one)
        self.save(lead)
        return lead.id

    def get(self, lead_id: UUID) -> Lead:
        """Load one."""
        found: Lead = self.repository.get(lead_id)
        return found

    def carry_out(self, lead_id: UUID, one: Event) -> None:
        """One command: load, trigger, save."""
        lead: Lead = self.repository.get(lead_id)
        lead.take(one)
        self.save(lead)


def open_leads(path: Path) -> Leads:
    """The stock application on a SQLite file."""
    return Leads(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)},
    )


def synchronous(leads: Leads) -> int:
    """What ``PRAGMA synchronous`` says on a connection of the stock application; 2 is FULL."""
    recorder: Any = leads.recorder
    with recorder.datastore.transaction(commit=False) as cursor:
        cursor.execute("PRAGMA synchronous")
        return int(cursor.fetchone()[0])
