"""A touch, and what a guard may answer about it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cadence.domain.events import Channel
from cadence.domain.stages import Stage

__all__ = ["GuardDelay", "Touch", "TouchPart", "Veto"]


class TouchPart(msgspec.Struct, frozen=True):
    """One channel's share of a touch; ``text`` is filled in by ``cadence.messages``."""

    channel: Channel
    address: str
    script: str
    text: str = ""


class Touch(msgspec.Struct, frozen=True):
    """What to do next. ``id`` is the same on every machine: silence, attempt and step make it."""

    id: str
    stage: Stage
    step: str
    parts: tuple[TouchPart, ...]


class GuardDelay(msgspec.Struct, frozen=True):
    """A guard's answer: not before ``until`` (aware); a time that has come is no delay."""

    until: datetime
    because: str
    events: tuple[int, ...] = ()


class Veto(msgspec.Struct, frozen=True):
    """A guard's answer: not at all; the step is passed over."""

    because: str
    events: tuple[int, ...] = ()
