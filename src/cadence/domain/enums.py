"""The base of every set of fixed words: channels, stages, rules."""

from __future__ import annotations

import enum

__all__ = ["StrEnum"]


class StrEnum(enum.StrEnum):
    """A word out of a fixed set; equal to, and hashed like, the plain string.

    The standard library hashes an enum member by its name in Python code, on every look-up; stages
    and signals are looked up with every event.
    """

    __hash__ = str.__hash__
