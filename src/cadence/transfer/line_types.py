"""Tell the lines of JSONL that are no events by their type."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["is_line_of"]


class _Kind(msgspec.Struct, frozen=True):
    type: str


_DECODE_KIND: Final = msgspec.json.Decoder(_Kind).decode


def is_line_of(text: bytes, quoted: bytes) -> bool:
    """Return whether a line is of a type, given in its quotes: most lines do not even hold it."""
    if quoted not in text:
        return False
    try:
        return _DECODE_KIND(text).type.encode() == quoted[1:-1]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False  # the reader of events says what is wrong
