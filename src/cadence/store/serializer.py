"""Turn events into stored rows and back, whatever shape they were stored in.

The package's own mapper stores ``vars()`` of an object under its Python path. Ours stores the JSON
of the event under a stable type name, so code can move and rows stay readable (ADR 0004). The
stored type is the event's name, followed by ``.2``, ``.3`` … once its shape has changed. It is the
``topic`` of the row and the ``type`` inside the stored data. An upcaster takes the plain JSON of
one shape to the next shape; stored rows are never rewritten.

A row that can't be read stops nothing: it is read as an event with ``Unreadable`` data, which the
fold marks the prospect with (ADR 0044).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from cadence.domain.events import (
    DATA_TYPES,
    Aware,
    Event,
    EventCorrected,
    ProspectsMerged,
    Unreadable,
)

__all__ = [
    "UPCASTERS",
    "EventMapper",
    "decode_page",
    "decode_row",
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


_CORRECTED: Final = str(EventCorrected.__struct_config__.tag)
_MERGED: Final = str(ProspectsMerged.__struct_config__.tag)

UPCASTERS: Final[dict[str, tuple[str, Callable[[Plain], Plain]]]] = {
    "AttemptMade": ("AttemptMade.2", _attempt_1_to_2),
}
"""Stored type → the next stored type, and the function that takes its data there."""


def upcast(data: Plain) -> Plain:
    """Return ``data`` in its newest shape; data in that shape comes back unchanged."""
    if data["type"] == _CORRECTED:  # it holds the data of another event
        data = {**data, "data": upcast(data["data"])}
    if data["type"] == _MERGED:  # it holds the events of another history
        events = [{**event, "data": upcast(event["data"])} for event in data["history"]]
        data = {**data, "history": events}
    while (step := UPCASTERS.get(data["type"])) is not None:
        stored_type, function = step
        data = {**function({k: v for k, v in data.items() if k != "type"}), "type": stored_type}
    return data


_DECODER: Final = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()
_STORED_TYPES: Final = {cls: cls.__struct_config__.tag for cls in DATA_TYPES.values()}
_KNOWN: Final = frozenset(str(tag) for tag in _STORED_TYPES.values()) | frozenset(UPCASTERS)
# What a broken row can raise: bad syntax, bad UTF-8, endless nesting, a shape no upcaster expects.
_BROKEN: Final = (
    msgspec.MsgspecError,
    UnicodeError,
    RecursionError,
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
)
_LONGEST_WHAT: Final = 200  # characters
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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

        One that can't be read has :class:`~cadence.domain.events.Unreadable` data, so a reader of
        many rows goes on.
        """
        prospect, version = str(stored_event.originator_id), stored_event.originator_version
        return decode_row(prospect, version, stored_event.state)


def decode_row(prospect: str, version: int, state: bytes) -> Event:
    """Return the event of a row, as :meth:`EventMapper.to_domain_event` does."""
    return _decode(prospect, version, state, _EPOCH)


class _Outline(msgspec.Struct, frozen=True):
    """What can be read of an event whose data a newer version wrote."""

    prospect: str
    version: int
    occurred_at: Aware
    recorded_at: Aware
    data: msgspec.Raw
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None


_OUTLINE: Final = msgspec.json.Decoder(_Outline)


def _decode(prospect: str, version: int, state: bytes | str, before: datetime) -> Event:
    """Read one row; ``before``: when the row above it was recorded."""
    what = ""
    outline: _Outline | Event
    try:
        outline = _DECODER.decode(state)
    except _BROKEN:
        try:
            outline = _OUTLINE.decode(state)
            try:
                outline = _decode_old(state)
            except _BROKEN as error:
                what = _one_line(error)
        except _BROKEN as error:
            return _damaged(prospect, version, before, f"invalid stored event: {_one_line(error)}")
    if (outline.prospect, outline.version) != (prospect, version):
        other = f"version {outline.version} of {outline.prospect} stands in its place"
        return _damaged(prospect, version, before, other)
    if isinstance(outline, Event):
        return outline
    return Event(
        prospect,
        version,
        outline.occurred_at,
        outline.recorded_at,
        Unreadable(what),
        outline.by,
        outline.correlation,
        outline.command_id,
    )


def _decode_old(state: bytes | str) -> Event:
    plain: dict[str, Any] = msgspec.json.decode(state)
    kind = plain["data"]["type"]
    if kind not in _KNOWN:
        raise ValueError(f"unknown event type {kind!r}")
    return msgspec.convert({**plain, "data": upcast(plain["data"])}, type=Event)


def _damaged(prospect: str, version: int, at: datetime, what: str) -> Event:
    return Event(prospect, version, at, at, Unreadable(what, is_damaged=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_WHAT] or type(error).__name__


def decode_stream(prospect: str, lines: str | None, count: int) -> list[Event] | None:
    """Read the events of one prospect from their stored JSON, one a line, in order of version.

    Args:
        prospect: the prospect's id.
        lines: the stored states, joined by line breaks (JSON itself holds none).
        count: how many there are.

    Returns:
        ``None`` if something in there must be looked at row by row (:func:`decode_rows`): an old
        shape, a broken row, a version that is missing.
    """
    histories = decode_page(lines, count)
    if histories is not None and not histories:
        return []
    if histories is None or len(histories) > 1 or histories[0][0].prospect != prospect:
        return None
    return histories[0]


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


def decode_rows(prospect: str, rows: Iterable[tuple[int, bytes | str | None]]) -> list[Event]:
    """Read the events of one prospect row by row; the only place where damage is met.

    Args:
        prospect: the prospect's id.
        rows: version and state of each, in order of version.

    Returns:
        One event for each row. One that can't be read has
        :class:`~cadence.domain.events.Unreadable` data, and so has the first version of a hole.
    """
    events: list[Event] = []
    following = 1
    at = _EPOCH
    for version, state in rows:
        if version > following:
            missing = f"version {following} is missing"
            if version > following + 1:
                missing = f"versions {following} to {version - 1} are missing"
            events.append(_damaged(prospect, following, at, missing))
        event = _decode(prospect, version, state or b"", at)
        events.append(event)
        following, at = version + 1, event.recorded_at
    return events
