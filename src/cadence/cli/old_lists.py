"""Say on stderr which suppression lists are older than they may be."""

from __future__ import annotations

from cadence.cli.session import Session
from cadence.store import Cadence

__all__ = ["note_old_lists"]


def note_old_lists(session: Session, store: Cadence) -> None:
    """Name each list that is too old; nothing is held up by it."""
    for entry in store.addresses.lists_too_old(session.now()):
        session.note(
            f"the list {entry.source} is of {entry.dated} and may be {entry.most_days} days old; "
            f"give a newer one: cadence suppress --source {entry.source} --date DATE --file CSV"
        )
