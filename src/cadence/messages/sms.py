"""Count the parts of a text message, and write one so that it needs few.

A message in the GSM 7-bit alphabet (3GPP TS 23.038, 6.2.1) has 160 characters in one part, and 153
in each of several, which carry a header. Any other character makes it UCS-2: 70, and 67.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

__all__ = ["sms_parts", "sms_text"]

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""Each takes two of the 160, an escape before it."""
_PLAIN: Final = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."}
)


def sms_parts(text: str) -> int:
    """Return in how many parts a text message is sent; an empty one in none."""
    if all(c in _BASIC or c in _EXTENDED for c in text):
        return _count((2 if c in _EXTENDED else 1 for c in text), 160, 153)
    return _count((2 if ord(c) > 0xFFFF else 1 for c in text), 70, 67)


def _count(units: Iterable[int], alone: int, joined: int) -> int:
    """Count the parts; a character of two units is never split."""
    sizes = list(units)
    if sum(sizes) <= alone:
        return 1 if sizes else 0
    parts, used = 1, 0
    for size in sizes:
        if used + size > joined:
            parts, used = parts + 1, 0
        used += size
    return parts


def sms_text(text: str) -> str:
    """Write a text message with the characters that phones count as one.

    Typographic quotes and dashes become plain. Accents that the alphabet lacks (á, í, ó, ú) are
    left out where that makes it shorter to send, as people do who type on a phone.
    """
    text = text.translate(_PLAIN).replace("\u202f", " ").replace("\xa0", " ")
    plain = "".join(c if c in _BASIC else _without_accent(c) for c in text)
    return plain if sms_parts(plain) < sms_parts(text) else text


def _without_accent(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[0]
    return base if base in _BASIC else char
