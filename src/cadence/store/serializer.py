"""Map events to the rows of the recorders and back, under stable names (ADR 0004).

The package's own mapper stores ``vars()`` of an object under its Python path. Ours stores the JSON
of :mod:`cadence.domain.stored`, so code can move and rows stay readable. The stored type is the
``topic`` of the row and the ``type`` inside the stored data.
"""

from __future__ import annotations

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from cadence.domain.events import Event
from cadence.domain.stored import decode_row, encode_event, stored_type

__all__ = ["EventMapper"]


class EventMapper(Mapper[str]):
    """Maps :class:`~cadence.domain.Event` to stored events under stable type names."""

    def __init__(self) -> None:
        # No transcoder, compressor or cipher: msgspec does it in one step.
        pass

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Return the row of an event.

        Raises:
            TypeError: it is not an event of ours.
        """
        if not isinstance(domain_event, Event):
            raise TypeError(f"not a cadence event: {type(domain_event).__name__}")
        return StoredEvent(
            originator_id=domain_event.prospect,
            originator_version=domain_event.version,
            topic=stored_type(domain_event),
            state=encode_event(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Event:
        """Return the event of a row, whatever shape it was stored in.

        One that can't be read has :class:`~cadence.domain.events.Unreadable` data, so a reader of
        many rows goes on.
        """
        prospect, version = str(stored_event.originator_id), stored_event.originator_version
        return decode_row(prospect, version, stored_event.state)
