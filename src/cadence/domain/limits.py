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
    "is_storable",
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


def is_storable(text: str) -> bool:
    """Return whether every store can keep a text: it has neither NUL nor half a surrogate pair.

    PostgreSQL has no NUL, and UTF-8 no half of a pair. JSON may bring both in escapes.
    """
    if "\0" in text:
        return False
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def check_texts(value: object, field: str | None = None) -> None:
    """Check the length and the characters of every text in ``value``.

    Args:
        value: a command, the data of an event, a line of a file, or one text.
        field: where it stands, for the error; ``None``: ``value`` is the whole.

    Raises:
        InputError: a text or a list is too long, or a text can't be stored; ``what`` begins with
            its field.
    """
    _check(value, None if field is None else (None, field), field or "")


def _check(value: object, path: _Path, name: str) -> None:
    if type(value) is str:
        _check_text(value, path, TEXTS.get(name, NAME))
    elif isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            member = getattr(value, field)
            if member is not None:
                _check(member, (path, field), field)
    elif isinstance(value, tuple | list):
        _check_length(len(value), path)
        for number, one in enumerate(value):
            _check(one, (path, f"[{number}]"), name)
    elif isinstance(value, dict):
        _check_length(len(value), path)
        for key, one in value.items():
            _check_text(
                key, (path, key if len(key) <= NAME else f"{key[:20]}…"), NAME, "a name of "
            )
            _check(one, (path, key), name)


def _check_length(count: int, path: _Path) -> None:
    if count > ITEMS:
        raise InputError(f"{_field(path)}: invalid, {count:,} values", f"use at most {ITEMS:,}")


def _check_text(text: str, path: _Path, limit: int, what: str = "") -> None:
    if len(text) > limit:
        found = f"{what}{len(text):,} characters"
        raise InputError(f"{_field(path)}: invalid, {found}", f"use at most {limit:,}")
    if not is_storable(text):
        bad = next(one for one in text if not is_storable(one))
        raise InputError(f"{_field(path)}: invalid character {bad!r}", "leave that character out")


def _field(path: _Path) -> str:
    names: list[str] = []
    while path is not None:
        path, name = path
        names.insert(0, name)
    return ".".join(names).replace(".[", "[")
