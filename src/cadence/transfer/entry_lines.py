"""Read and write lines of type ``AddressEntry``: what a list or an owner says of an address.

    {"type": "AddressEntry", "data": {"key": "+12125550100", "kind": "suppressed", …}}

They stand before the histories. One that was taken back says who did it, when and why (ADR 0070).
"""

from __future__ import annotations

from typing import Final

import msgspec

from cadence.domain.addresses import address_key, key_or_unusable, lacks_country
from cadence.domain.channels import CALL, AddressKind, Channel, check_channel
from cadence.domain.codec import in_utc
from cadence.domain.elsewhere import kind_of_key
from cadence.domain.limits import check_texts
from cadence.domain.words import AddressEntry, EntryKind
from cadence.errors import InputError
from cadence.transfer.line_types import is_line_of

__all__ = ["decode_entry", "encode_entry", "is_entry_line"]

_TYPE: Final = "AddressEntry"


class _Data(AddressEntry, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class _EntryLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    data: _Data


_DECODE: Final = msgspec.json.Decoder(_EntryLine).decode


def is_entry_line(text: bytes) -> bool:
    """Return whether a line brings an entry."""
    return is_line_of(text, b'"AddressEntry"')


def decode_entry(text: bytes) -> AddressEntry:
    """Read an entry from its line.

    Raises:
        InputError: a field is missing or invalid; ``what`` names it.
    """
    try:
        data = _DECODE(text).data
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(
            f"AddressEntry: invalid line: {str(error).rstrip('.')}",
            "give type, and data with key, kind, at and by, as it was exported",
        ) from None
    entry = AddressEntry(*(getattr(data, field) for field in AddressEntry.__struct_fields__))
    check_texts(entry, "data")
    if entry.channel is not None:
        check_channel(entry.channel, "data.channel")
    if not entry.by.strip():
        raise InputError("data.by: missing", "give who said so")
    _check_times(entry)
    if entry.kind is EntryKind.LIST:
        _check_list(entry)
    else:
        _check_key(entry)
    return in_utc(entry)


def _check_times(entry: AddressEntry) -> None:
    for field in ("at", "ended_at"):
        instant = getattr(entry, field)
        if instant is not None and instant.tzinfo is None:
            raise InputError(f"data.{field}: missing zone", "give a time in UTC, with a Z")
    ended = entry.ended_at, entry.ended_by, entry.ended_why
    if None in ended and any(one is not None for one in ended):
        raise InputError(
            "data.ended_at, ended_by, ended_why: missing one of them",
            "give all three where it was taken back, else none",
        )


def _check_list(entry: AddressEntry) -> None:
    if entry.dated is None or not entry.most_days or entry.most_days < 1:
        raise InputError(
            "data.dated, most_days: missing", "give the day of the list, and 1 or more"
        )
    if not entry.source or entry.key != f"{EntryKind.LIST.value}:{entry.source}":
        raise InputError(f"data.key: invalid {entry.key!r}", "use list: and the source")


def _check_key(entry: AddressEntry) -> None:
    """Check that the key is one: what it says of another form of the address holds nowhere."""
    key, kind = entry.key, kind_of_key(entry.key)
    prefix, _, handle = key.partition(":")
    try:
        if kind is AddressKind.HANDLE:
            check_channel(prefix)
            read = address_key(kind, Channel(prefix), handle, None)
        else:
            read = address_key(kind, entry.channel or CALL, key, None)
    except InputError:
        read = None
    is_number = lacks_country(key) or key_or_unusable(AddressKind.PHONE, CALL, key, None)
    if read != key or (kind is AddressKind.POST and is_number):
        raise InputError(
            f"data.key: invalid {key!r}",
            "give the address in its normal form, like +12125550100 or ann@example.com",
        )


def encode_entry(entry: AddressEntry) -> bytes:
    """Encode an entry as one line of JSONL, without the line break."""
    data = _Data(*(getattr(entry, field) for field in AddressEntry.__struct_fields__))
    return msgspec.json.encode(_EntryLine(_TYPE, data))
