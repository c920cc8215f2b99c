"""The JSON form of an event: one object a line, as section 8 of the design fixes it.

    {"prospect": "jerry", "version": 3, "type": "AttemptMade",
     "occurred_at": "2026-12-01T14:00:00Z", "recorded_at": "…", "data": {…}}

Reading is strict: a field that is missing, unknown or of the wrong kind is named in the error.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from cadence.domain.events import DATA_TYPES, Aware, Data, Event, type_name
from cadence.errors import InputError, did_you_mean

__all__ = [
    "Line",
    "check_id",
    "data_fields",
    "decode_line",
    "encode_line",
    "in_utc",
    "parse_instant",
    "to_builtins",
    "to_utc",
]

_YEARS: Final = (1970, 2199)
_LONGEST_ID: Final = 200
_VERSIONS: Final = 1_000_000_000


class Line(msgspec.Struct, frozen=True):
    """An event as a line gives it: ``version`` and ``recorded_at`` may be missing.

    ``given`` are the names of the data fields that the line itself carries, so that an importer
    can tell them from what it fills in.
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


# What reading JSON can raise beside a wrong field: broken syntax, bad UTF-8, nesting without end.
_NO_JSON: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


def to_builtins(event: Event) -> dict[str, Any]:
    """``event`` as the JSON object of section 8, in builtin types."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    data: dict[str, Any] = plain["data"]
    del data["type"]
    found: dict[str, Any] = {
        "prospect": plain["prospect"],
        "version": plain["version"],
        "type": type_name(event.data),
        "occurred_at": plain["occurred_at"],
        "recorded_at": plain["recorded_at"],
        "data": data,
    }
    for name in ("by", "correlation", "command_id", "uncertain"):
        if name in plain:
            found[name] = plain[name]
    return found


def data_fields(data: Data) -> dict[str, Any]:
    """The fields of ``data`` that are set, in builtin types."""
    plain: dict[str, Any] = msgspec.to_builtins(data)
    del plain["type"]
    return plain


def encode_line(event: Event) -> bytes:
    """``event`` as one line of JSONL, without the line break."""
    return msgspec.json.encode(to_builtins(event))


def decode_line(line: bytes | str) -> Line:
    """Read one line of JSONL.

    Raises:
        InputError: the line is no JSON, or a field is missing, unknown or wrong; ``what`` begins
            with the field.
    """
    try:
        envelope = _ENVELOPE.decode(line)
    except msgspec.ValidationError as error:
        raise _wrong_field(error, "") from None
    except _NO_JSON as error:
        raise _no_json(error) from None
    check_id(envelope.prospect)
    if envelope.version is not None and not 1 <= envelope.version <= _VERSIONS:
        raise InputError("version: out of range", "versions count 1, 2, 3 …")
    cls = DATA_TYPES.get(envelope.type)
    if cls is None:
        raise InputError(
            f"type: unknown {envelope.type!r}", did_you_mean(envelope.type, DATA_TYPES)
        )
    try:
        data = msgspec.json.decode(envelope.data, type=cls)
        given = frozenset(msgspec.json.decode(envelope.data, type=dict[str, msgspec.Raw]))
    except msgspec.ValidationError as error:
        raise _wrong_field(error, "data") from None
    except _NO_JSON as error:
        raise _no_json(error) from None
    if "type" in given:
        raise InputError("data.type: no such field", "the type stands beside data, not in it")
    return Line(
        prospect=envelope.prospect,
        occurred_at=to_utc(envelope.occurred_at, "occurred_at"),
        data=in_utc(data),
        given=given,
        version=envelope.version,
        recorded_at=None
        if envelope.recorded_at is None
        else to_utc(envelope.recorded_at, "recorded_at"),
        by=envelope.by,
        correlation=envelope.correlation,
        command_id=envelope.command_id,
        uncertain=envelope.uncertain,
    )


def check_id(prospect: str) -> None:
    """Check that ``prospect`` can be an id.

    Raises:
        InputError: it is empty, longer than 200 characters, or holds what can't be printed.
    """
    if not prospect.strip() or not prospect.isprintable() or len(prospect) > _LONGEST_ID:
        shown = repr(prospect) if len(prospect) <= _LONGEST_ID else f"{prospect[:20]!r}…"
        raise InputError(
            f"prospect: {shown} is no id",
            f"an id is 1 to {_LONGEST_ID} printable characters, not only spaces",
        )


def parse_instant(text: str, field: str) -> datetime:
    """Read an instant such as ``2026-12-01T14:00:00Z`` into UTC.

    Args:
        text: ISO 8601 with an offset or ``Z``.
        field: what the instant is for, to be named in the error.

    Raises:
        InputError: no such instant, no offset (a naive time), or outside the years 1970 to 2199.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{field}: {text!r} is no instant",
            "write it like 2026-12-01T14:00:00Z or 2026-12-01T09:00:00-05:00",
        ) from None
    if instant.tzinfo is None:
        raise InputError(
            f"{field}: {text!r} has no zone (a naive time)",
            f"add Z or an offset, like {instant.isoformat()}Z",
        )
    return to_utc(instant, field)


def to_utc(instant: datetime, field: str) -> datetime:
    """``instant``, which is aware, in UTC.

    Args:
        instant: any.
        field: what the instant is for, to be named in the error.

    Raises:
        InputError: it lies outside the years 1970 to 2199.
    """
    try:
        found = instant.astimezone(UTC)
    except OverflowError:
        found = instant
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise InputError(
            f"{field}: {instant.isoformat()} is out of range",
            f"instants lie in the years {_YEARS[0]} to {_YEARS[1]}",
        )
    return found


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def in_utc(data: _Struct) -> _Struct:
    """``data`` with its instants in UTC.

    Raises:
        InputError: one lies outside the years 1970 to 2199.
    """
    changed = {
        name: to_utc(value, f"data.{name}")
        for name in data.__struct_fields__
        if isinstance(value := getattr(data, name), datetime)
    }
    return msgspec.structs.replace(data, **changed) if changed else data


def _no_json(error: BaseException) -> InputError:
    reason = "nested too deep" if isinstance(error, RecursionError) else str(error).rstrip(".")
    return InputError(
        f"not a JSON object: {reason}", "each line must be one whole JSON object, in UTF-8"
    )


def _wrong_field(error: msgspec.ValidationError, prefix: str) -> InputError:
    """Turn msgspec's "Expected `str`, got `int` - at `$.a.b`" into "a.b: expected …"."""
    text = str(error)
    message, _, path = text.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    field = ".".join(part for part in (prefix, path) if part)
    message = message.replace("`", "'")
    if message.endswith("with a timezone component"):
        message = "a naive time, without a zone"
        hint = "write instants like 2026-12-01T14:00:00Z"
    elif message.startswith("Object missing"):
        hint = "add the field"
    elif message.startswith("Object contains unknown"):
        hint = "remove or rename the field"
    else:
        hint = "see the table of events in docs/events.md"
    where = f"{field}: " if field else ""
    return InputError(f"{where}{message[0].lower()}{message[1:]}", hint)
