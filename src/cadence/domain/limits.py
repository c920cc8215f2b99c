"""Limit what comes in: the texts of commands and events, and the files that are read.

The limits hold at the edge only, in commands and imports. Stored events are never held against
them, because folding never fails.
"""

from __future__ import annotations

from typing import Final

import msgspec

from cadence.errors import InputError

__all__ = [
    "ADDRESS",
    "COLUMNS",
    "DEPTH",
    "ITEMS",
    "LINE_BYTES",
    "NAME",
    "NOTE",
    "PROSPECT_ID",
    "TEXTS",
    "TOML_BYTES",
    "UNPACKED_BYTES",
    "UNPACKED_RATIO",
    "check_texts",
]

# Texts, in characters -----------------------------------------------------------------------------

PROSPECT_ID: Final = 200
NAME: Final = 500
ADDRESS: Final = 500
NOTE: Final = 20_000

TEXTS: Final[dict[str, int]] = {
    **dict.fromkeys(("prospect", "into", "keep"), PROSPECT_ID),
    # Who, where from, and words of one line.
    **dict.fromkeys(("name", "given_name", "family_name", "salutation", "language"), NAME),
    **dict.fromkeys(("company", "source", "owner", "by", "uncertain", "hours", "kind"), NAME),
    **dict.fromkeys(("timezone", "country", "subdivision"), NAME),
    "what": NAME,
    # Ids, of ours and of other programs.
    **dict.fromkeys(("id", "correlation", "command_id", "digest", "step", "touch", "value"), NAME),
    **dict.fromkeys(("broke", "channel", "except_channels", "agreed_by"), NAME),
    "address": ADDRESS,
    "key": ADDRESS,
    # What people write.
    **dict.fromkeys(("note", "text", "more", "why", "reason", "data", "meta"), NOTE),
}
"""How long the text of each field may be, in every event and command that has such a field."""

ITEMS: Final = 1_000
"""How many values a list or a table of an event may have."""

# Files --------------------------------------------------------------------------------------------

LINE_BYTES: Final = 64 * 1024 * 1024
"""The longest line, cell or XML element, and the largest case of a log; it bounds the memory."""
COLUMNS: Final = 10_000
"""The most columns of a table."""
DEPTH: Final = 100
"""How deep the elements of a log may be nested."""
UNPACKED_RATIO: Final = 200
"""How many times its packed size a gzip file may have; histories have 5 to 30 times."""
UNPACKED_BYTES: Final = 16 * 1024 * 1024
"""What a gzip file may have whatever its packed size."""
TOML_BYTES: Final = 1_000_000
"""The largest policy, mapping or settings file; they have a few thousand bytes."""

_Path = tuple["_Path", str] | None


def check_texts(value: object, field: str | None = None) -> None:
    """Check the length of every text in ``value``.

    Args:
        value: a command, the data of an event, a line of a file, or one text.
        field: where it stands, for the error; ``None``: ``value`` is the whole.

    Raises:
        InputError: a text or a list is too long; ``what`` begins with its field.
    """
    _check(value, None if field is None else (None, field), field or "")


def _check(value: object, path: _Path, name: str) -> None:
    if type(value) is str:
        limit = TEXTS.get(name, NAME)
        if len(value) > limit:
            raise _too_long(path, f"{len(value):,} characters", limit)
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            member = getattr(value, field)
            if member is not None:
                _check(member, (path, field), field)
    elif isinstance(value, tuple | list):
        if len(value) > ITEMS:
            raise _too_long(path, f"{len(value):,} values", ITEMS)
        for number, one in enumerate(value):
            _check(one, (path, f"[{number}]"), name)
    elif isinstance(value, dict):
        if len(value) > ITEMS:
            raise _too_long(path, f"{len(value):,} values", ITEMS)
        for key, one in value.items():
            if len(key) > NAME:
                raise _too_long((path, f"{key[:20]}…"), f"a name of {len(key):,} characters", NAME)
            _check(one, (path, key), name)


def _too_long(path: _Path, found: str, limit: int) -> InputError:
    names: list[str] = []
    while path is not None:
        path, name = path
        names.insert(0, name)
    field = ".".join(names).replace(".[", "[")
    return InputError(f"{field}: invalid, {found}", f"use at most {limit:,}")
