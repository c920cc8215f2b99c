"""What a history says to the other holders of its addresses, and what the others say to it.

A *holder* of an address key is a prospect with a contact point that has it. People are several
records in every CRM, so what one record learnt of an address holds for the others (rule
``suppressed``): an opt-out, a dead line, a wrong number. Nothing of it is written into the others'
histories. A history's *holding* of a key is a function of its fold; the store keeps the holdings
by key, and a decision is given :class:`Elsewhere`: what the other holdings and the suppression
lists say to this prospect (``elsewhere.py``). So no order of events and imports can lose a word, or
keep one that was taken back (ADR 0057).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from cadence.domain.addresses import covers
from cadence.domain.channels import Channel, ChannelName
from cadence.domain.events import Part

__all__ = [
    "NOWHERE",
    "AddressEntry",
    "AttemptAt",
    "Elsewhere",
    "EntryKind",
    "Failure",
    "FailureElsewhere",
    "Holding",
    "MergedRecord",
    "Obstacle",
    "OptOuts",
    "Question",
    "Said",
    "Settled",
    "SettledKind",
    "WordElsewhere",
]


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """When something was recorded, and by which event.

    Attributes:
        at: when it was recorded first.
        version: the event.
        last: when it was recorded again, and by which event; an opt-in that another holder gave
            before that does not lift it.
    """

    at: datetime
    version: int
    last: tuple[datetime, int] | None = None

    @property
    def newest(self) -> int:
        """The last event that said it."""
        return self.version if self.last is None else self.last[1]

    def again(self, later: Said) -> Said:
        """Return it as said once more."""
        return Said(self.at, self.version, later.last or (later.at, later.version))

    def after(self, version: int) -> Said | None:
        """Return what of it was said after an event."""
        if self.version > version:
            return self
        if self.last is None or self.last[1] <= version:
            return None
        return Said(*self.last)

    def without(self, version: int) -> Said | None:
        """Return it where what one event said counts no longer."""
        if self.version == version:
            return None if self.last is None or self.last[1] == version else Said(*self.last)
        return Said(self.at, self.version) if self.newest == version else self


class OptOuts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The channels that they opted out of: *all*, *all except*, or *these*.

    Channels are an open set, so "all" also holds for those that a policy declares later. An opt-out
    holds from when it was recorded: an attempt made before that broke nothing that was known.

    Attributes:
        everything: by what they opted out of every channel; ``None``: they did not.
        exceptions: the channels that this leaves open.
        channels: the channels that they opted out of by name.
        keys: the addresses that they said it from; there it holds for every holder.
    """

    everything: Said | None = None
    exceptions: frozenset[ChannelName] = frozenset()
    channels: Mapping[ChannelName, Said] = {}
    keys: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.everything is not None or bool(self.channels)

    def __contains__(self, channel: Channel) -> bool:
        return channel in self.channels or (
            self.everything is not None and channel not in self.exceptions
        )

    @property
    def newest(self) -> int:
        """The last event by which they opted out of something that still holds, or 0."""
        versions = [said.newest for said in self.channels.values()]
        return max(
            versions + ([] if self.everything is None else [self.everything.newest]), default=0
        )

    def said(self, channel: Channel) -> Said | None:
        """Return by what they first opted out of ``channel``; ``None``: they did not."""
        of_all = None if channel in self.exceptions else self.everything
        by_name = self.channels.get(channel)
        if of_all is None or by_name is None:
            return of_all or by_name
        return min(of_all, by_name, key=lambda said: said.at)

    def known_by(self, channel: Channel, instant: datetime) -> bool:
        """Return whether an opt-out of ``channel`` had been recorded at ``instant``."""
        said = self.said(channel)
        return said is not None and said.at <= instant

    def with_channel(self, channel: Channel, said: Said) -> OptOuts:
        """Return them with one channel more, or with the same one said again."""
        known = self.channels.get(channel)
        said = said if known is None else known.again(said)
        return replace(self, channels={**self.channels, channel: said})

    def with_all(self, exceptions: frozenset[Channel], said: Said) -> OptOuts:
        """Return them with every channel but the exceptions; an opt-out gives none back."""
        if self.everything is None:
            return replace(self, everything=said, exceptions=exceptions)
        left = self
        for channel in self.exceptions - exceptions:
            left = left.with_channel(channel, said)
        return replace(
            left,
            everything=self.everything.again(said),
            exceptions=self.exceptions & exceptions,
        )

    def without(self, channel: Channel) -> OptOuts:
        """Return them after an opt-in for one channel."""
        channels = {name: said for name, said in self.channels.items() if name != channel}
        exceptions = self.exceptions if self.everything is None else self.exceptions | {channel}
        return replace(self, exceptions=exceptions, channels=channels)

    def together(self, other: OptOuts, version: int) -> OptOuts:
        """Return these with those of another record that is merged into this one.

        Args:
            other: its opt-outs.
            version: the event that merged it; it stands for the events of the other history.
        """
        joined = self
        if other.everything is not None:
            joined = joined.with_all(other.exceptions, Said(other.everything.at, version))
        for channel, said in other.channels.items():
            joined = joined.with_channel(channel, Said(said.at, version))
        return replace(joined, keys=joined.keys | other.keys)

    def without_event(self, version: int, channel: Channel | None) -> OptOuts:
        """Return what is left where the word of one event counts no longer, and all others do.

        Args:
            version: the event.
            channel: on this channel; ``None``: on every channel.
        """
        everything = None if self.everything is None else self.everything.without(version)
        channels = {
            one: left for one, said in self.channels.items() if (left := said.without(version))
        }
        if channel is None:
            return replace(self, everything=everything, channels=channels)
        found = self.without(channel)
        for said in (None if channel in self.exceptions else everything, channels.get(channel)):
            if said is not None:
                found = found.with_channel(channel, said)
        return found

    def after(self, version: int, channel: Channel | None) -> OptOuts:
        """Return what is left where those said up to an event count no longer.

        Args:
            version: the event.
            channel: on this channel; ``None``: on every channel.
        """
        of_all = None if self.everything is None else self.everything.after(version)
        later = {one: left for one, said in self.channels.items() if (left := said.after(version))}
        if channel is None:
            return replace(self, everything=of_all, channels=later)
        if channel in self.exceptions:
            of_all = None
        by_name = later.get(channel)
        left = of_all.again(by_name) if of_all and by_name else of_all or by_name
        others = self.without(channel)
        return others if left is None else others.with_channel(channel, left)


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an address became known not to reach them.

    Attributes:
        at: when that was recorded.
        version: the event.
        is_strangers: it reaches another person; otherwise it reaches no one.
        last_at: when it was recorded again; a restoration by another holder before that counts no
            longer.
    """

    at: datetime
    version: int
    is_strangers: bool = False
    last_at: datetime | None = None

    @property
    def newest_at(self) -> datetime:
        """When it was recorded last."""
        return self.last_at or self.at

    def again(self, at: datetime, *, is_strangers: bool) -> Failure:
        """Return it as recorded once more; an address that is dead reaches no stranger either."""
        is_strangers = self.is_strangers and is_strangers
        return Failure(self.at, self.version, is_strangers, max(at, self.newest_at))


class SettledKind(StrEnum):
    """How far it came with a person, so that they should not be begun with again."""

    DECLINED = "declined"
    SAID_NO = "said_no"
    DECEASED = "deceased"
    BOUGHT = "bought"
    EXIT = "exit"


class Settled(msgspec.Struct, frozen=True):
    """What was settled with a person, when that was recorded, and by which event."""

    kind: SettledKind
    at: datetime
    version: int


class MergedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another record of the person that was merged into one.

    Attributes:
        prospect: its id.
        version: the event that merged it.
        opted_out_version: its last event, in its own history, by which it had opted out of
            something; 0: it had not. ``None``: its words can't be told from those of another.
        name: what it called them.
    """

    prospect: str
    version: int
    opted_out_version: int | None = None
    name: str = ""


class AttemptAt(msgspec.Struct, frozen=True):
    """An attempt at an address: its time, its event, and its parts there."""

    at: datetime
    version: int
    parts: tuple[Part, ...]


class Holding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one history says of one address key.

    Attributes:
        name: theirs, folded for comparison.
        is_held: it is a contact point of theirs; otherwise it was one, or was only used.
        opt_outs: what they opted out of; ``None``: nothing.
        failure: how the address failed, if it did.
        restored_at: when it was recorded that the address works again.
        settled: what was settled with them.
        not_same: prospects who are other people.
        attempts: those of the last :data:`~cadence.domain.prospect.RECENT_DAYS` days, in order.
        merged: the records that were merged into it.
    """

    name: str = ""
    is_held: bool = False
    opt_outs: OptOuts | None = None
    failure: Failure | None = None
    restored_at: datetime | None = None
    settled: Settled | None = None
    not_same: tuple[str, ...] = ()
    attempts: tuple[AttemptAt, ...] = ()
    merged: tuple[MergedRecord, ...] = ()

    @property
    def speaks(self) -> bool:
        """Whether it may stop another holder."""
        return any((self.opt_outs, self.failure, self.settled))


_TICK: Final = timedelta(microseconds=1)


class EntryKind(StrEnum):
    """What is said of an address without a prospect."""

    SUPPRESSED = "suppressed"
    LINE = "line"
    """It belongs to a house, such as a switchboard: a word of one who has it is theirs alone."""
    LIST = "list"
    """Of which day a suppression list is, and how old it may become; of no address."""


class AddressEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a suppression list, or an owner, says of an address.

    Attributes:
        key: of the address.
        kind: what is said.
        at: when it was recorded.
        by: who did.
        channel: on this channel only.
        source: the list, or what it comes from.
        why: the reason given.
        ended_at: when it was taken back.
        ended_by: who did.
        ended_why: why.
        dated: of a list: of which day it is.
        most_days: of a list: how many days old it may become.
    """

    key: str
    kind: EntryKind
    at: datetime
    by: str
    channel: ChannelName | None = None
    source: str = ""
    why: str = ""
    ended_at: datetime | None = None
    ended_by: str | None = None
    ended_why: str | None = None
    dated: date | None = None
    most_days: int | None = None

    @property
    def as_made(self) -> AddressEntry:
        """It, before it was taken back. By this it is recognised in another store."""
        if self.ended_at is None:
            return self
        return replace(self, ended_at=None, ended_by=None, ended_why=None)

    def unlike(self, made: Container[AddressEntry]) -> AddressEntry:
        """Return it a little later, where one of the same words was made at the same time.

        Args:
            made: the others, each as it was made.
        """
        entry = self
        while entry in made:
            entry = replace(entry, at=entry.at + _TICK)
        return entry

    def is_old(self, today: date) -> bool:
        """Return whether a list is older than it may be."""
        if self.dated is None or self.most_days is None:
            return False
        return (today - self.dated).days > self.most_days


# What the others say to one prospect --------------------------------------------------------------


class WordElsewhere(msgspec.Struct, frozen=True):
    """An opt-out of another holder of ``key``, as far as it holds for this prospect."""

    key: str
    prospect: str
    opt_outs: OptOuts


class FailureElsewhere(msgspec.Struct, frozen=True):
    """An address that failed for another holder, and therefore for this prospect."""

    prospect: str
    failure: Failure


class Question(msgspec.Struct, frozen=True):
    """Another holder may be the same person; until the owner answers, their word holds here too.

    Attributes:
        prospect: the other one.
        key: the address that both have.
        opt_outs: what the other opted out of; ``None``: it holds for every channel.
        settled: what was settled with the other, where that raises the question.
    """

    prospect: str
    key: str
    opt_outs: OptOuts | None = None
    settled: Settled | None = None

    def said(self, channel: Channel) -> Said | None:
        """Return what keeps ``channel`` waiting; ``None``: nothing does."""
        if self.settled is not None:
            return Said(self.settled.at, self.settled.version)
        return None if self.opt_outs is None else self.opt_outs.said(channel)


class Obstacle(msgspec.Struct, frozen=True):
    """What stops a contact point.

    Attributes:
        at: when it was recorded.
        key: the address by which it holds.
        prospect: whose word it is; ``None``: a list's.
        version: that prospect's event.
        entry: the list's entry.
        question: it holds only until the owner says whether they are the same person.
    """

    at: datetime
    key: str
    prospect: str | None = None
    version: int = 0
    entry: AddressEntry | None = None
    question: Question | None = None


class Elsewhere(msgspec.Struct, frozen=True):
    """What other records say to one prospect; no part of its fold.

    Attributes:
        words: opt-outs of other holders.
        entries: entries of suppression lists.
        questions: other holders who may be the same person.
        failed: addresses that failed for others, by key.
        attempts: attempts of other holders at the prospect's addresses that are no lines, in order,
            each with the address.
    """

    words: tuple[WordElsewhere, ...] = ()
    entries: tuple[AddressEntry, ...] = ()
    questions: tuple[Question, ...] = ()
    failed: Mapping[str, FailureElsewhere] = {}
    attempts: tuple[tuple[str, AttemptAt], ...] = ()

    @property
    def is_silent(self) -> bool:
        """Whether nothing in it can change which contact points may be used."""
        return not (self.words or self.entries or self.questions or self.failed)

    @property
    def stops(self) -> tuple[object, ...]:
        """What of it can stop a contact point: not the attempts, which only count."""
        return self.words, self.entries, self.questions, self.failed

    def obstacle(self, channel: Channel, key: str) -> Obstacle | None:
        """Return what stops an address on ``channel``, the earliest first; ``None``: nothing.

        What stops the address comes before what only waits for the owner's word.
        """
        stops = [*self._stops_at(channel, key)]
        if not stops:
            stops = [*self._waiting(channel)]
        return min(stops, key=lambda stop: stop.at, default=None)

    def _stops_at(self, channel: Channel, key: str) -> list[Obstacle]:
        stops = []
        for word in self.words:
            said = word.opt_outs.said(channel) if covers(word.key, key) else None
            if said is not None:
                stops.append(Obstacle(said.at, word.key, word.prospect, said.version))
        stops += [
            Obstacle(entry.at, entry.key, entry=entry)
            for entry in self.entries
            if entry.channel in (None, channel) and covers(entry.key, key)
        ]
        return stops

    def _waiting(self, channel: Channel) -> list[Obstacle]:
        waiting = [(one, one.said(channel)) for one in self.questions]
        return [
            Obstacle(said.at, one.key, one.prospect, said.version, question=one)
            for one, said in waiting
            if said is not None
        ]

    def failure(self, key: str) -> FailureElsewhere | None:
        """Return how an address failed for another holder; ``None``: it did not."""
        if not self.failed:
            return None
        return next((one for failed, one in self.failed.items() if covers(failed, key)), None)


NOWHERE = Elsewhere()
"""There are no other records that say anything."""
