"""What the audit knows of reaching one prospect: contact points, failures and opt-outs.

A part of the audit's own reading of a history (``state.py``). Addresses are compared by their
keys, which stand in the events; a history from before has none, and there the address stands for
the key.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cadence.domain.channels import CHANNELS, Channel
from cadence.domain.events import AddressesRead, ContactPoint, Event, OptOutRequested

__all__ = ["ContactRecord", "RecordedFact"]

_EXTENSION = ";ext="


class RecordedFact(NamedTuple):
    """When something happened, when we learnt of it, and by which event."""

    occurred: datetime
    recorded: datetime
    version: int


class ContactRecord:
    """The contact points of a prospect, those that failed, and what they opted out of.

    Attributes:
        points: in the order in which they became known, failed ones included.
        failed: the keys that failed, with what said so first.
        by_name: the channels that they opted out of by name.
        from_all: the opt-out from every channel but the exceptions, if there is one.
        exceptions: the channels that it leaves open.
        restored: the keys that work again, and when that was recorded last.
    """

    __slots__ = ("by_name", "exceptions", "failed", "from_all", "points", "restored")

    def __init__(self) -> None:
        self.points: list[ContactPoint] = []
        self.failed: dict[str, RecordedFact] = {}
        self.by_name: dict[Channel, RecordedFact] = {}
        self.from_all: RecordedFact | None = None
        self.exceptions: set[Channel] = set()
        self.restored: dict[str, datetime] = {}

    # Contact points -------------------------------------------------------------------------------

    def add(self, point: ContactPoint) -> None:
        """Add a contact point, unless its address is known on that channel."""
        for known in self.points:
            if known.channel == point.channel and known.same == point.same:
                if point.same or known.address == point.address:
                    return
        self.points.append(point)

    def remove(self, point: ContactPoint) -> None:
        """Take an address away, on every channel; one without a key as it is spelled."""
        if point.same:
            self.points = [known for known in self.points if known.same != point.same]
        else:
            self.points = [known for known in self.points if known.address != point.address]

    def fail(self, channel: Channel, key: str | None, fact: RecordedFact) -> None:
        """Note that an address failed; without one, the first of the channel that had not."""
        if key is None:
            of_channel = (known.same for known in self.points if known.channel == channel)
            key = next((one for one in of_channel if self.failure(one) is None), None)
        if key:
            self.failed.setdefault(key, fact)

    def restore(self, key: str, recorded: datetime) -> None:
        """Note that an address works again, and so does the number that it is an extension of."""
        self.restored[key] = recorded
        for name in {key, _without_extension(key)}:
            self.failed.pop(name, None)

    def take_over(self, other: ContactRecord, version: int) -> None:
        """Add what another record of the person knows; ``version`` is the event that merged it."""
        for point in other.points:
            self.add(point)
        failed = {
            key: fact for key, fact in self.failed.items() if not other.has_restored(key, fact)
        }
        for key, fact in other.failed.items():
            if not self.has_restored(key, fact):
                failed.setdefault(key, fact._replace(version=version))
        self.failed = failed
        for key, at in other.restored.items():
            self.restored[key] = max(at, self.restored.get(key, at))
        if other.from_all is not None and self.from_all is None:
            self.from_all = other.from_all._replace(version=version)
            self.exceptions = set(other.exceptions)
        elif other.from_all is not None:
            for channel in self.exceptions - other.exceptions:
                self.by_name.setdefault(channel, other.from_all._replace(version=version))
            self.exceptions &= other.exceptions
        for channel, fact in other.by_name.items():
            self.by_name.setdefault(channel, fact._replace(version=version))

    def has_restored(self, key: str, failed: RecordedFact) -> bool:
        """Return whether an address was found to work after it was recorded as failed."""
        ats = [at for one, at in self.restored.items() if key in (one, _without_extension(one))]
        return any(at >= failed.recorded for at in ats)

    def is_out(self) -> bool:
        """Return whether they opted out of every channel that they have, and of each left open."""
        if self.from_all is None and not self.by_name:
            return False
        theirs = {point.channel for point in self.points} or set(CHANNELS)
        return all(self.word(channel) is not None for channel in theirs | self.exceptions)

    def failure(self, key: str) -> RecordedFact | None:
        """Return what says that an address failed, or the number that it is an extension of."""
        if not self.failed:
            return None
        return self.failed.get(key) or self.failed.get(_without_extension(key))

    def read(self, data: AddressesRead) -> None:
        """Put the keys in, where a history from before has addresses only."""
        keys = {(one.channel, one.address): one for one in data.contact_points}
        self.points = [
            keys.get((known.channel, known.address), known) if known.key is None else known
            for known in self.points
        ]
        by_address = {one.address: one.key for one in data.contact_points if one.key}
        self.failed = {by_address.get(key) or key: fact for key, fact in self.failed.items()}

    def left(self) -> list[ContactPoint]:
        """Return the contact points that may still be used, but for an opt-out from everything."""
        return [
            point
            for point in self.points
            if point.same and self.failure(point.same) is None and self.word(point.channel) is None
        ]

    # Opt-outs -------------------------------------------------------------------------------------

    def opt_out(self, data: OptOutRequested, event: Event) -> bool:
        """Note an opt-out; return whether no channel that they have is left."""
        fact = RecordedFact(event.occurred_at, event.recorded_at, event.version)
        if data.channel is not None:
            if self.word(data.channel) is None:
                self.by_name[data.channel] = fact
        elif self.from_all is None:
            self.from_all, self.exceptions = fact, set(data.except_channels)
        else:
            for channel in self.exceptions - set(data.except_channels):
                self.by_name.setdefault(channel, fact)
            self.exceptions &= set(data.except_channels)
        if data.channel is None and not data.except_channels:
            return True
        return self.is_out()

    def opt_in(self, channel: Channel | None) -> None:
        """Lift the opt-outs of one channel, or of all."""
        if channel is None:
            self.by_name, self.from_all, self.exceptions = {}, None, set()
        else:
            self.by_name.pop(channel, None)
            self.exceptions.add(channel)

    def word(self, channel: Channel) -> RecordedFact | None:
        """Return the opt-out that holds for a channel; ``None``: there is none."""
        by_name = self.by_name.get(channel)
        if by_name is not None:
            return by_name
        return None if channel in self.exceptions else self.from_all


def _without_extension(key: str) -> str:
    return key.partition(_EXTENSION)[0]
