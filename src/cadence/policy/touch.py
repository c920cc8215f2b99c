"""Define a touch, and what a guard may answer about it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cadence.domain.channels import Channel
from cadence.domain.stages import Stage

__all__ = ["GuardDelay", "Touch", "TouchPart", "Veto"]


class TouchPart(msgspec.Struct, frozen=True):
    """One channel's share of a touch.

    Attributes:
        channel: how to reach them.
        address: where.
        script: the name of the text to use.
        text: the text itself, which ``cadence.messages`` fills in.
        key: the key of the address, by which it is compared.
        form: how ``text`` is said: voicemail, email, sms or letter.
        subject: of an email.
        live: of a call, what to say, ask and agree if the prospect answers.
    """

    channel: Channel
    address: str
    script: str
    text: str = ""
    key: str = ""
    form: str = ""
    subject: str = ""
    live: str = ""

    @property
    def same(self) -> str:
        """What is compared: the key, or the address where a caller gave no key."""
        return self.key or self.address


class Touch(msgspec.Struct, frozen=True):
    """What to do next.

    Attributes:
        id: made of prospect, silence, attempt and step, so the same on every machine.
        stage: the stage it leads to.
        step: the id of the step, ``spaced#3`` for the third of a repeated one.
        parts: what to do at once, at most one part for each channel.
    """

    id: str
    stage: Stage
    step: str
    parts: tuple[TouchPart, ...]


class GuardDelay(msgspec.Struct, frozen=True):
    """A guard's answer: not before ``until``.

    Attributes:
        until: the earliest time; aware. The engine ignores a time that has come.
        because: the reason, for readers.
        events: the versions of the events that caused it.
    """

    until: datetime
    because: str
    events: tuple[int, ...] = ()


class Veto(msgspec.Struct, frozen=True):
    """A guard's answer: not at all; the touch is skipped.

    Attributes:
        because: the reason, for readers.
        events: the versions of the events that caused it.
    """

    because: str
    events: tuple[int, ...] = ()
