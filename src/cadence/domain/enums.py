"""Define the base of every fixed set of words: channels, stages, rules."""

from __future__ import annotations

import enum

__all__ = ["StrEnum"]


class StrEnum(enum.StrEnum):
    """A word from a fixed set, equal to the plain string and hashed like it.

    ``enum.StrEnum`` hashes a member in Python code. Stages and signals are looked up with every
    event, and the string's own hash is several times as fast.
    """

    __hash__ = str.__hash__
