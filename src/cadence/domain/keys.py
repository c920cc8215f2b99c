"""Fill in address keys where addresses are recorded.

Callers write addresses as they have them: ``ContactPoint(Channel("call"), "+1 212 555 0100")``.
The service and the importer fill in the keys before an event exists. So the events compare by
keys, and the fold reads no address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cadence.domain.addresses import address_key, is_elsewhere, key_or_unusable
from cadence.domain.channels import BUILT_IN, CALL, EMAIL, AddressKind, Channel, ChannelTraits
from cadence.domain.events import (
    AddressesRead,
    AttemptMade,
    ContactPoint,
    ContactPointAdded,
    ContactPointFailed,
    ContactPointRemoved,
    ContactPointRestored,
    Data,
    EventCorrected,
    OptedBackIn,
    OptOutRequested,
    Part,
    ProspectAdded,
    ProspectUpdated,
    ReferralGiven,
)
from cadence.domain.prospect import Prospect

__all__ = ["KeyReader", "addresses_read", "keys_in", "read_again"]

_One = TypeVar("_One", ContactPoint, Part)

# Rows of one person repeat their address, and reading a number takes some 50 microseconds.
_remembered: Final = lru_cache(maxsize=65_536)(key_or_unusable)


class KeyReader:
    """Fills in the keys of what is recorded about one prospect.

    Attributes:
        unusable: how many addresses could not be read; none where that is an error.
    """

    def __init__(
        self,
        traits: Mapping[Channel, ChannelTraits],
        country: Callable[[], str | None],
        known: Iterable[ContactPoint] = (),
        *,
        is_strict: bool = True,
    ) -> None:
        """Args:
        traits: the channels that the prospect's policy knows.
        country: finds the ISO 3166 code of the country in which their national numbers are
            read; it is asked only where a phone number has to be read.
        known: their contact points: an address that is spelled like one of these has its key.
        is_strict: whether an address that can't be read is an error; an import keeps it.
        """
        self._traits = traits
        self._country = country
        self._known = {(point.channel, point.address): point.key for point in known}
        self._is_strict = is_strict
        self.unusable = 0

    def key(self, channel: Channel, address: str) -> str:
        """Return the key of an address.

        Raises:
            InputError: it can't be read, and that is an error here.
        """
        known = self._known.get((channel, address))
        if known is not None:
            return known
        traits = self._traits.get(channel) or BUILT_IN.get(channel)
        kind = AddressKind.HANDLE if traits is None else traits.address
        country = self._country() if kind is AddressKind.PHONE else None
        if self._is_strict:
            return address_key(kind, channel, address, country)
        key = _remembered(kind, channel, address, country)
        self.unusable += not key
        return key

    def each(self, given: tuple[_One, ...]) -> tuple[_One, ...]:
        """Return contact points, or parts of an attempt, with their keys."""
        if all(one.key is not None or one.address is None for one in given):
            return given
        return tuple(
            [
                one
                if one.key is not None or one.address is None
                else replace(one, key=self.key(one.channel, one.address))
                for one in given
            ]
        )

    def data(self, data: Data) -> Data:
        """Return event data with every key filled in that it lacks.

        Raises:
            InputError: an address can't be read, and that is an error here.
        """
        if isinstance(data, ProspectAdded | ReferralGiven):
            return replace(data, contact_points=self.each(data.contact_points))
        if isinstance(data, AttemptMade):
            return replace(data, parts=self.each(data.parts))
        if isinstance(
            data,
            ContactPointAdded | ContactPointFailed | ContactPointRestored | ContactPointRemoved,
        ):
            return replace(data, key=data.key or self.key(data.channel, data.address))
        if isinstance(data, EventCorrected):
            return replace(data, data=self.data(data.data))
        if isinstance(data, OptOutRequested | OptedBackIn):
            if data.address is not None and data.key is None:
                channel = data.channel or _guessed(data.address)
                return replace(data, key=self.key(channel, data.address))
        return data


def keys_in(value: object) -> list[str]:
    """Return every address key in a command or in event data."""
    if isinstance(value, tuple):
        return [key for one in value for key in keys_in(one)]
    if not isinstance(value, Struct):
        return []
    found: list[str] = []
    for field in value.__struct_fields__:
        held = getattr(value, field)
        if field == "key" and isinstance(held, str):
            found.append(held)
        elif isinstance(held, tuple | Struct):
            found += keys_in(held)
    return found


def _guessed(address: str) -> Channel:
    """The channel that an address can be read as one of, where none is given."""
    return EMAIL if "@" in address else CALL


def addresses_read(prospect: Prospect, reader: KeyReader) -> AddressesRead | None:
    """Read the addresses of a history from before, which has no keys.

    Args:
        prospect: its fold.
        reader: not strict, because what was recorded stays recorded.

    Returns:
        What to record before anything else; ``None``: every address has its key.
    """
    attempts = (*prospect.recent, *prospect.silence.attempts)
    given: list[ContactPoint | Part] = list(prospect.reach.contact_points)
    given += [part for attempt in attempts for part in attempt.parts]
    unread = {
        (one.channel, one.address): None
        for one in given
        if one.key is None and one.address is not None
    }
    if not unread:
        return None
    # What failed and is no contact point is kept by its address alone.
    seen = {address for _, address in unread}
    failed = [(_guessed(one), one) for one in prospect.reach.failed if one not in seen]
    return AddressesRead(
        tuple(
            [
                ContactPoint(channel, address, reader.key(channel, address))
                for channel, address in (*unread, *failed)
            ]
        )
    )


def read_again(
    prospect: Prospect, updated: ProspectUpdated, traits: Mapping[Channel, ChannelTraits]
) -> tuple[Data, ...]:
    """Return what a corrected country changes: numbers that were read in the wrong one.

    Each is removed under its old key and added with the new one, so nothing that was said about
    the old number stays with the new one.

    Args:
        prospect: before the correction.
        updated: the correction.
        traits: the channels that the prospect's policy knows.
    """
    country = updated.country
    if country is None or country == prospect.identity.country:
        return ()
    reader = KeyReader(traits, lambda: country, is_strict=False)
    changes: list[Data] = []
    for point in prospect.reach.contact_points:
        if point.key is None or is_elsewhere(point.key):
            continue
        key = reader.key(point.channel, point.address)
        if key != point.key:
            channel, address, why = point.channel, point.address, f"read again in {country}"
            changes.append(ContactPointRemoved(channel, address, why, point.key))
            changes.append(ContactPointAdded(channel, address, why, key))
    return tuple(changes)
