"""Define the channels on which a person can be reached, as data.

What the program needs to know of a channel are its :class:`ChannelTraits`: the kind of its
addresses, whether it is spoken, and how long an answer takes. Five channels are built in. A policy
may declare more (``[channels.whatsapp]``), so a :class:`Channel` is a name and not an enum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, NewType

import msgspec

from cadence.errors import InputError, did_you_mean

__all__ = [
    "BUILT_IN",
    "CALL",
    "CHANNELS",
    "EMAIL",
    "MAIL",
    "SMS",
    "SPOKEN",
    "VIDEO_EMAIL",
    "AddressKind",
    "Channel",
    "ChannelName",
    "ChannelTraits",
    "check_channel",
    "check_known",
    "in_order",
]

Channel = NewType("Channel", str)
"""The name of a means of reaching a person: ``Channel("call")``."""

ChannelName = Annotated[Channel, msgspec.Meta(min_length=1, max_length=40)]
"""A channel in an event. :func:`check_channel` checks the letters where one is recorded."""

CALL: Final = Channel("call")
EMAIL: Final = Channel("email")
SMS: Final = Channel("sms")
MAIL: Final = Channel("mail")
VIDEO_EMAIL: Final = Channel("video_email")


class AddressKind(StrEnum):
    """What the addresses of a channel are; two channels of one kind may share an address."""

    PHONE = "phone"
    EMAIL = "email"
    POST = "post"
    HANDLE = "handle"
    """A name on one platform; on another platform the same name is another person."""


class ChannelTraits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the engine needs to know of a channel.

    Attributes:
        address: what its addresses are.
        spoken: whether a touch on it is a call: it counts for ``spaced_cap`` and connect rates.
        answer_business_days: how many business days an answer takes at least.
    """

    address: AddressKind
    spoken: bool = False
    answer_business_days: Annotated[int, msgspec.Meta(ge=1, le=60)] = 1


BUILT_IN: Final[Mapping[Channel, ChannelTraits]] = {
    CALL: ChannelTraits(AddressKind.PHONE, spoken=True),
    EMAIL: ChannelTraits(AddressKind.EMAIL),
    SMS: ChannelTraits(AddressKind.PHONE),
    # A letter takes days to arrive, and days to be answered.
    MAIL: ChannelTraits(AddressKind.POST, answer_business_days=10),
    VIDEO_EMAIL: ChannelTraits(AddressKind.EMAIL),
}
"""The channels that every policy knows."""

CHANNELS: Final = tuple(BUILT_IN)

SPOKEN: Final = frozenset(channel for channel, traits in BUILT_IN.items() if traits.spoken)
"""The built-in channels that are spoken; a part on a declared one says so itself."""


def in_order(channels: Iterable[str]) -> list[Channel]:
    """Return the channels as they are shown: the built-in ones first, then the others by name."""
    names = {Channel(one) for one in channels}
    return [*(one for one in CHANNELS if one in names), *sorted(names - set(CHANNELS))]


_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def check_channel(channel: str, field: str = "channel") -> None:
    """Check that ``channel`` can be the name of a channel.

    Args:
        channel: the name.
        field: the field that holds it, for the error.

    Raises:
        InputError: it has other characters than lower-case letters, digits and ``_``.
    """
    if _NAME.fullmatch(channel) is None:
        shown = repr(channel) if len(channel) <= 40 else f"{channel[:20]!r}…"
        raise InputError(
            f"{field}: invalid {shown}",
            f"use one of {', '.join(CHANNELS)}, or a name such as whatsapp in lower case",
        )


def check_known(channel: str, known: Iterable[str], field: str = "channel") -> None:
    """Check that ``channel`` is one that is known: what is said of another holds nowhere.

    Args:
        channel: the name.
        known: the names that are known.
        field: the field that holds it, for the error.

    Raises:
        InputError: it can't be the name of a channel, or is unknown.
    """
    check_channel(channel, field)
    words = in_order(known)
    if channel not in words:
        raise InputError(
            f"{field}: unknown {channel!r}",
            did_you_mean(
                channel,
                words,
                otherwise=f"use one of: {', '.join(words)}; a policy can declare others",
            ),
        )
