"""Read and write the JSON form of an event: one object a line, as design section 8 fixes it.

    {"prospect": "jerry", "version": 3, "type": "AttemptMade",
     "occurred_at": "2026-12-01T14:00:00Z", "recorded_at": "…", "data": {…}}

Reading is strict: a field that is missing, unknown or of the wrong kind is named in the error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from cadence.domain.channels import Channel, check_channel
from cadence.domain.events import (
    DATA_TYPES,
    Aware,
    Data,
    Event,
    EventCorrected,
    ProspectsMerged,
    type_name,
)
from cadence.domain.limits import PROSPECT_ID
from cadence.errors import InputError, did_you_mean

__all__ = [
    "InvalidJson",
    "Line",
    "channels_in",
    "check_channels",
    "check_id",
    "data_fields",
    "decode_line",
    "encode_line",
    "in_utc",
    "invalid_field",
    "invalid_json",
    "parse_fact",
    "parse_instant",
    "to_builtins",
    "to_utc",
]

_YEARS: Final = (1970, 2199)
_LARGEST_VERSION: Final = 1_000_000_000


class InvalidJson(InputError):
    """A line, or its data, that holds no JSON object."""

    code = "invalid_json"
    http_status = 400


class Line(msgspec.Struct, frozen=True):
    """An event as a line gives it: ``version`` and ``recorded_at`` may be missing.

    Attributes:
        prospect: the id of the prospect.
        occurred_at: when it happened; in UTC.
        data: what happened.
        given: the names of the data fields that the line itself has. An importer may fill in
            others.
        version: its place in the stream, if it is given.
        recorded_at: when it was recorded, in UTC, if it is given.
        by, correlation, command_id, uncertain, meta: as of :class:`~cadence.domain.events.Event`.
    """

    prospect: str
    occurred_at: datetime
    data: Data
    given: frozenset[str]
    version: int | None = None
    recorded_at: datetime | None = None
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None
    uncertain: str | None = None
    meta: dict[str, str] | None = None


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prospect: str
    type: str
    occurred_at: Aware
    data: msgspec.Raw
    version: int | None = None
    recorded_at: Aware | None = None
    by: str | None = None
    correlation: str | None = None
    command_id: str | None = None
    uncertain: str | None = None
    meta: dict[str, str] | None = None


# What reading JSON can raise beside an invalid field: bad syntax, bad UTF-8, endless nesting.
_JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def to_builtins(event: Event) -> dict[str, Any]:
    """Return ``event`` as the JSON object of design section 8, in builtin types."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    data = _named(event.data, plain["data"])
    line: dict[str, Any] = {
        "prospect": plain["prospect"],
        "version": plain["version"],
        "type": type_name(event.data),
        "occurred_at": plain["occurred_at"],
        "recorded_at": plain["recorded_at"],
        "data": data,
    }
    for name in ("by", "correlation", "command_id", "uncertain", "meta"):
        if name in plain:
            line[name] = plain[name]
    return line


def data_fields(data: Data) -> dict[str, Any]:
    """Return the fields of ``data`` that are set, in builtin types."""
    return _named(data, msgspec.to_builtins(data))


def _named(data: Data, plain: dict[str, Any]) -> dict[str, Any]:
    """Take the stored type out of ``plain``; data inside it has its event's name instead."""
    del plain["type"]
    if isinstance(data, EventCorrected):
        inner = _named(data.data, plain["data"])
        plain["data"] = {"type": type_name(data.data), **inner}
    if isinstance(data, ProspectsMerged):
        plain["history"] = list(map(to_builtins, data.history))
    return plain


def _decode_data(raw: bytes | msgspec.Raw, cls: type[Data]) -> tuple[Data, frozenset[str]]:
    """Read the data of an event of type ``cls``; also returns the names of its fields."""
    given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if cls is ProspectsMerged and "history" in given:
        lines = msgspec.json.decode(given["history"], type=list[msgspec.Raw])
        plain = msgspec.json.decode(raw, type=dict[str, Any])
        events = [_decode_event(one, number) for number, one in enumerate(lines)]
        plain["history"] = msgspec.to_builtins(events)
        return msgspec.convert(plain, type=ProspectsMerged), frozenset(given)
    if cls is not EventCorrected or "data" not in given:
        return msgspec.json.decode(raw, type=cls), frozenset(given)
    inner = msgspec.json.decode(given["data"], type=dict[str, msgspec.Raw])
    kind = msgspec.json.decode(inner.pop("type", msgspec.Raw(b'""')), type=str)
    of_type = DATA_TYPES.get(kind)
    if of_type is None:
        raise InputError(f"data.data.type: unknown {kind!r}", did_you_mean(kind, DATA_TYPES))
    try:
        data, _ = _decode_data(msgspec.json.encode(inner), of_type)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "data.data") from None
    plain = msgspec.json.decode(raw, type=dict[str, Any])
    plain["data"] = msgspec.to_builtins(data)
    return msgspec.convert(plain, type=EventCorrected), frozenset(given)


def _decode_event(raw: msgspec.Raw, number: int) -> Event:
    """Read one event of the history that a merge brings along."""
    where = f"data.history[{number}]"
    try:
        line = decode_line(bytes(raw))
    except InputError as error:
        raise InputError(f"{where}.{error.what}", error.hint) from None
    if line.version is None or line.recorded_at is None:
        raise InputError(
            f"{where}: missing version or recorded_at", "give every event of it as it was recorded"
        )
    return Event(
        line.prospect,
        line.version,
        line.occurred_at,
        line.recorded_at,
        line.data,
        line.by,
        line.correlation,
        line.command_id,
        line.uncertain,
        line.meta,
    )


def encode_line(event: Event) -> bytes:
    """Encode ``event`` as one line of JSONL, without the line break."""
    return msgspec.json.encode(to_builtins(event))


def decode_line(line: bytes | str) -> Line:
    """Read one line of JSONL.

    Raises:
        InvalidJson: the line holds no JSON object.
        InputError: a field is missing, unknown or invalid; ``what`` begins with the field.
    """
    try:
        envelope = _ENVELOPE.decode(line)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "") from None
    except _JSON_ERRORS as error:
        raise invalid_json(error) from None
    check_id(envelope.prospect)
    version = envelope.version
    if version is not None and not 1 <= version <= _LARGEST_VERSION:
        raise InputError(f"version: invalid {version}", "use 1, 2, 3 …, in order")
    data, given = _parse_data(envelope.type, envelope.data)
    return Line(
        prospect=envelope.prospect,
        occurred_at=to_utc(envelope.occurred_at, "occurred_at"),
        data=data,
        given=given,
        version=version,
        recorded_at=None
        if envelope.recorded_at is None
        else to_utc(envelope.recorded_at, "recorded_at"),
        by=envelope.by,
        correlation=envelope.correlation,
        command_id=envelope.command_id,
        uncertain=envelope.uncertain,
        meta=envelope.meta,
    )


def _parse_data(kind: str, raw: bytes | msgspec.Raw) -> tuple[Data, frozenset[str]]:
    """Read and check the data of an event by its name; also returns the names of its fields."""
    cls = DATA_TYPES.get(kind)
    if cls is None:
        raise InputError(f"type: unknown {kind!r}", did_you_mean(kind, DATA_TYPES))
    try:
        data, given = _decode_data(raw, cls)
    except msgspec.ValidationError as error:
        raise invalid_field(error, "data") from None
    except _JSON_ERRORS as error:
        raise invalid_json(error) from None
    if "type" in given:
        raise InputError("data.type: unknown field", "give the type beside data, not in it")
    check_channels(data)
    return in_utc(data), given


def parse_fact(kind: str, data: Mapping[str, object]) -> Data:
    """Read what happened from plain values, as a webhook brings them.

    Args:
        kind: the name of the event, such as ``ReplyReceived`` (docs/reference/events.md).
        data: its fields, as JSON has them; instants may also be aware datetimes.

    Returns:
        What :meth:`Cadence.execute <cadence.Cadence.execute>` records.

    Raises:
        InputError: the name is unknown, or a field is missing, unknown or invalid; ``what``
            begins with it, such as ``data.channel``.
    """
    try:
        raw = msgspec.json.encode(dict(data))
    except (TypeError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())
        raise InputError(f"data: invalid, {what}", "give values as JSON has them") from None
    return _parse_data(kind, raw)[0]


def _named_channels(data: Any) -> Iterator[tuple[str, Channel]]:
    """Yield every channel that a command or event names, with its field."""
    for name in ("channel", "agreed_by"):
        channel = getattr(data, name, None)
        if channel is not None:
            yield name, channel
    if isinstance(data, EventCorrected):
        yield from _named_channels(data.data)
    if isinstance(data, ProspectsMerged):
        for number, event in enumerate(data.history):
            for field, channel in _named_channels(event.data):
                yield f"history[{number}].data.{field}", channel
    for name in ("parts", "contact_points"):
        for number, one in enumerate(getattr(data, name, ())):
            yield f"{name}[{number}].channel", one.channel
    for number, channel in enumerate(getattr(data, "except_channels", ())):
        yield f"except_channels[{number}]", channel


def channels_in(data: Any) -> set[Channel]:
    """Return the channels that a command, or the data of an event, names."""
    return {channel for _, channel in _named_channels(data)}


def check_channels(data: Any) -> None:
    """Check that every channel in ``data`` is well written; whether it is known is not checked.

    Raises:
        InputError: one is not; ``what`` begins with the field.
    """
    for field, channel in _named_channels(data):
        check_channel(channel, f"data.{field}")


def check_id(prospect: str) -> None:
    """Check that ``prospect`` can be an id.

    Raises:
        InputError: it is empty, longer than 200 characters, or holds what can't be printed.
    """
    if not prospect.strip() or not prospect.isprintable() or len(prospect) > PROSPECT_ID:
        shown = repr(prospect) if len(prospect) <= PROSPECT_ID else f"{prospect[:20]!r}…"
        raise InputError(
            f"prospect: invalid id {shown}",
            f"use 1 to {PROSPECT_ID} printable characters, not only spaces",
        )


def parse_instant(text: str, field: str) -> datetime:
    """Read an instant such as ``2026-12-01T14:00:00Z`` into UTC.

    Args:
        text: ISO 8601 with an offset or ``Z``.
        field: the field that holds it, for the error.

    Raises:
        InputError: the text is invalid, has no offset (a naive time), or is outside the years 1970
            to 2199.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{field}: invalid instant {text!r}",
            "give it like 2026-12-01T14:00:00Z or 2026-12-01T09:00:00-05:00",
        ) from None
    if instant.tzinfo is None:
        raise InputError(
            f"{field}: missing zone in {text!r}, a naive time",
            f"give Z or an offset, like {instant.isoformat()}Z",
        )
    return to_utc(instant, field)


def to_utc(instant: datetime, field: str) -> datetime:
    """Convert ``instant`` to UTC.

    Args:
        instant: an aware datetime.
        field: the field that holds it, for the error.

    Raises:
        InputError: it is outside the years 1970 to 2199.
    """
    try:
        in_utc = instant.astimezone(UTC)
    except OverflowError:  # the first or the last day of all
        in_utc = instant
    if not _YEARS[0] <= in_utc.year <= _YEARS[1]:
        raise InputError(
            f"{field}: invalid {instant.isoformat()}, out of range",
            f"use an instant in the years {_YEARS[0]} to {_YEARS[1]}",
        )
    return in_utc


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def in_utc(data: _Struct) -> _Struct:
    """Return ``data`` with its instants in UTC.

    Raises:
        InputError: one is outside the years 1970 to 2199.
    """
    changed: dict[str, Any] = {
        name: to_utc(value, f"data.{name}")
        for name in data.__struct_fields__
        if isinstance(value := getattr(data, name), datetime)
    }
    if isinstance(data, EventCorrected):
        changed["data"] = in_utc(data.data)
    if isinstance(data, ProspectsMerged):
        changed["history"] = tuple([_event_in_utc(event) for event in data.history])
    return msgspec.structs.replace(data, **changed) if changed else data


def _event_in_utc(event: Event) -> Event:
    event = msgspec.structs.replace(event, data=in_utc(event.data))
    return in_utc(event)


def invalid_json(error: BaseException) -> InvalidJson:
    """Return the error for what holds no JSON."""
    reason = "nested too deep" if isinstance(error, RecursionError) else str(error).rstrip(".")
    return InvalidJson(f"invalid JSON: {reason}", "give one whole JSON object a line, in UTF-8")


_FIELD_ERRORS: Final = (
    (re.compile(r"Object missing required field `(.*)`"), "missing", "give this field"),
    (
        re.compile(r"Object contains unknown field `(.*)`"),
        "unknown field",
        "fix its name, or leave the field out",
    ),
)


def invalid_field(error: msgspec.ValidationError, prefix: str) -> InputError:
    """Turn msgspec's "Expected `str`, got `int` - at `$.a.b`" into "a.b: invalid, expected …"."""
    message, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    for pattern, what, hint in _FIELD_ERRORS:
        if match := pattern.fullmatch(message):
            return InputError(f"{_join(prefix, path, match[1])}: {what}", hint)
    field = _join(prefix, path)
    where = f"{field}: " if field else ""
    if message.endswith("with a timezone component"):
        return InputError(
            f"{where}missing zone, a naive time", "give instants like 2026-12-01T14:00:00Z"
        )
    message = message.replace("`", "'")
    if message.startswith("Invalid "):
        what = f"invalid {message.removeprefix('Invalid ').removeprefix('enum value ')}"
    else:
        what = f"invalid, {message[0].lower()}{message[1:]}"
    return InputError(f"{where}{what}", "use the table of events in the docs")


def _join(*names: str) -> str:
    return ".".join(name for name in names if name)
