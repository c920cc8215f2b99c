"""Turn events into stored rows and back, whatever shape they were stored in.

The package's own mapper stores ``vars()`` of an object under its Python path. Ours stores the JSON
of the event under a stable type name, so code can move and rows stay readable (ADR 0004). The
stored type is the event's name, followed by ``.2``, ``.3`` … once its shape has changed. It is the
``topic`` of the row and the ``type`` inside the stored data. An upcaster takes the plain JSON of
one shape to the next shape; stored rows are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from cadence.domain.events import DATA_TYPES, Event
from cadence.errors import CorruptStream, UnknownEventType

__all__ = [
    "UPCASTERS",
    "EventMapper",
    "decode_page",
    "decode_rows",
    "decode_stream",
    "stored_type",
    "upcast",
]

Plain = dict[str, Any]


def _attempt_1_to_2(data: Plain) -> Plain:
    """Shape 1 knew one channel an attempt; since shape 2 a touch may use several at once."""
    part = {"channel": data.pop("channel"), "disposition": data.pop("disposition")}
    if "address" in data:
        part["address"] = data.pop("address")
    return {**data, "parts": [part]}


UPCASTERS: Final[dict[str, tuple[str, Callable[[Plain], Plain]]]] = {
    "AttemptMade": ("AttemptMade.2", _attempt_1_to_2),
}
"""Stored type → the next stored type, and the function that takes its data there."""


def upcast(data: Plain) -> Plain:
    """Return ``data`` in its newest shape; data in that shape comes back unchanged."""
    while (step := UPCASTERS.get(data["type"])) is not None:
        stored_type, function = step
        data = {**function({k: v for k, v in data.items() if k != "type"}), "type": stored_type}
    return data


_BACKUP: Final = "use a backup of the database; nothing was changed"
_DECODER: Final = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()
_STORED_TYPES: Final = {cls: cls.__struct_config__.tag for cls in DATA_TYPES.values()}
_KNOWN: Final = frozenset(str(tag) for tag in _STORED_TYPES.values()) | frozenset(UPCASTERS)


def stored_type(event: Event) -> str:
    """Return the stored type of ``event``, such as ``AttemptMade.2``."""
    return str(_STORED_TYPES[type(event.data)])


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
            state=_ENCODER.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Event:
        """Return the event of a row, whatever shape it was stored in.

        Raises:
            UnknownEventType: written by a newer cadence.
            CorruptStream: the row holds no event.
        """
        where = f"{stored_event.originator_id} version {stored_event.originator_version}"
        return _decode(stored_event.state, where)


def _decode(state: bytes | str, where: str) -> Event:
    try:
        return _DECODER.decode(state)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_old(state, where)


def _decode_old(state: bytes | str, where: str) -> Event:
    try:
        plain: dict[str, Any] = msgspec.json.decode(state)
        kind = plain["data"]["type"]
        if kind not in _KNOWN:
            raise UnknownEventType(
                f"{where}: unknown event type {kind!r}",
                "use a newer cadence: this event was written by one",
            )
        return msgspec.convert({**plain, "data": upcast(plain["data"])}, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CorruptStream(f"{where}: invalid stored event: {error}", _BACKUP) from None


def decode_stream(prospect: str, lines: str | None, count: int) -> list[Event]:
    """Read the events of one prospect from their stored JSON, one a line, in order of version.

    Args:
        prospect: the prospect's id, for errors.
        lines: the stored states, joined by line breaks (JSON itself holds none).
        count: how many there are.

    Raises:
        UnknownEventType: one was written by a newer cadence.
        CorruptStream: one holds no event, or the versions are not 1, 2, … without a hole.
    """
    if not count:
        return []
    lines = lines or ""
    try:
        events = _DECODER.decode_lines(lines)
    except msgspec.DecodeError:
        events = [
            _decode(line, f"{prospect}, row {number}")
            for number, line in enumerate(lines.split("\n"), 1)
        ]
    return check_stream(prospect, events, count)


def check_stream(prospect: str, events: list[Event], count: int) -> list[Event]:
    """Return ``events`` if they are the versions 1 to ``count`` in order.

    Raises:
        CorruptStream: a version is missing, doubled, or out of place.
    """
    for number, event in enumerate(events, 1):
        if event.version != number or event.prospect != prospect:
            raise CorruptStream(
                f"{prospect}: missing version {number}; version {event.version} of "
                f"{event.prospect} stands in its place",
                _BACKUP,
            )
    if len(events) != count:
        raise CorruptStream(f"{prospect}: {count} rows hold {len(events)} events", _BACKUP)
    return events


def decode_page(lines: str | None, count: int) -> list[list[Event]] | None:
    """Read the histories of several prospects from their stored JSON, one event a line.

    Args:
        lines: the stored states, in order of prospect and version, joined by line breaks.
        count: how many there are.

    Returns:
        One history for each prospect; ``None`` if something in there must be looked at row by row:
        an old shape, a broken row, a version that is missing.
    """
    if not count:
        return []
    try:
        events = _DECODER.decode_lines(lines or "")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if len(events) != count:
        return None
    histories: list[list[Event]] = []
    start = 0
    prospect = events[0].prospect
    for position, event in enumerate(events):
        if event.prospect != prospect:
            histories.append(events[start:position])
            start, prospect = position, event.prospect
        if event.version != position - start + 1:
            return None
    histories.append(events[start:])
    return histories


def decode_rows(prospect: str, states: Sequence[bytes]) -> list[Event]:
    """Read the events of one prospect from rows that were fetched one by one.

    Raises:
        UnknownEventType: one was written by a newer cadence.
        CorruptStream: one holds no event, or a version is missing.
    """
    events = [_decode(state, f"{prospect}, row {number}") for number, state in enumerate(states, 1)]
    return check_stream(prospect, events, len(states))
