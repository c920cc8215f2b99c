"""Encode events as they are stored, and decode them from whatever shape they were stored in.

The form is one JSON object. The type inside ``data`` is the event's name, followed by ``.2``,
``.3`` … once its shape has changed. An upcaster takes the plain JSON of one shape to the next
shape; stored rows are never rewritten.

A row that can't be read stops nothing: it is read as an event with ``Unreadable`` data, which the
fold marks the prospect with (ADR 0044).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from cadence.domain.codec import invalid_field, invalid_json
from cadence.domain.events import (
    DATA_TYPES,
    Aware,
    Event,
    EventCorrected,
    ProspectsMerged,
    Unreadable,
)
from cadence.errors import InputError

__all__ = [
    "UPCASTERS",
    "decode_event",
    "decode_page",
    "decode_row",
    "decode_rows",
    "decode_stream",
    "encode_event",
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


def encode_event(event: Event) -> bytes:
    """Encode an event in the form in which every store of cadence keeps it: one line of JSON.

    Raises:
        InputError: its data is ``Unreadable``. Keep the bytes that it was read from.
    """
    if isinstance(event.data, Unreadable):
        raise InputError(
            f"{event.prospect}: event {event.version} can't be read ({event.data.what})",
            "keep what it was read from",
        )
    return _ENCODER.encode(event)


def decode_event(stored: bytes | str) -> Event:
    """Decode what :func:`encode_event` made, in this version of cadence or in an older one.

    Data that a newer version wrote, or that is damaged, is
    :class:`~cadence.domain.events.Unreadable`: the fold marks the prospect with it, and the others
    go on.

    Raises:
        InputError: it is no stored event at all; ``what`` begins with the field.
    """
    try:
        return _read(stored)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise invalid_json(error) from None


def decode_row(prospect: str, version: int, state: bytes) -> Event:
    """Return the event of a row, whatever shape it was stored in.

    One that can't be read has :class:`~cadence.domain.events.Unreadable` data, so a reader of many
    rows goes on.
    """
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
    try:
        event = _read(state)
    except _BROKEN as error:
        return _damaged(prospect, version, before, f"invalid stored event: {_one_line(error)}")
    if (event.prospect, event.version) != (prospect, version):
        other = f"version {event.version} of {event.prospect} stands in its place"
        return _damaged(prospect, version, before, other)
    return event


def _read(state: bytes | str) -> Event:
    """Read a stored event; one whose data a newer version wrote has ``Unreadable`` data.

    Raises one of :data:`_BROKEN` where there is not even an outline.
    """
    try:
        return _DECODER.decode(state)
    except _BROKEN:
        outline = _OUTLINE.decode(state)
    try:
        return _decode_old(state)
    except _BROKEN as error:
        return Event(
            outline.prospect,
            outline.version,
            outline.occurred_at,
            outline.recorded_at,
            Unreadable(_one_line(error)),
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
