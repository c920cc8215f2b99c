"""Compare what rows say about a person with what is kept, and take over what is newer.

A row says what its columns hold. A constant of the mapping says nothing about the person, and an
empty cell erases nothing. A row is as old as what it records: of two rows the later one counts,
whatever the order of the rows and of the files (ADR 0056).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from cadence.domain.channels import Channel
from cadence.domain.events import (
    ContactPoint,
    ContactPointAdded,
    ContactPointRemoved,
    Event,
    EventCorrected,
    ProspectAdded,
    ProspectUpdated,
)
from cadence.domain.keys import KeyReader
from cadence.domain.prospect import Prospect
from cadence.errors import InputError
from cadence.worktime.zones import clock_of

__all__ = ["CONTACT_POINTS", "IDENTITY_FIELDS", "RowSaid", "RowUpdates", "UpdateMode"]

UpdateMode = Literal["always", "fill", "never"]
"""Whether rows change a person who is known: where they differ, where nothing is kept, never."""

IDENTITY_FIELDS: Final = (
    "timezone",
    "country",
    "subdivision",
    "name",
    "owner",
    "given_name",
    "family_name",
    "salutation",
    "language",
    "company",
)
"""The fields that a row can change. Where a person came from (``source``) stays as it was."""

CONTACT_POINTS: Final = "contact_points"

_Said = tuple[Any, str | None]
"""A value, and the country of its row: a subdivision belongs to one."""


class RowSaid(NamedTuple):
    """What a row says about a person.

    Attributes:
        added: what the row and the mapping say.
        stated: the names of the fields that columns of the row say.
        at: the time of the row.
        record: its ``command_id``, if it has one.
        is_seen: it was imported before, perhaps with other values.
    """

    added: ProspectAdded
    stated: tuple[str, ...]
    at: datetime
    record: str | None
    is_seen: bool


class RowUpdates:
    """What the rows of a file change about one prospect.

    Attributes:
        taken: the fields that were taken over.
    """

    def __init__(self, mode: UpdateMode, prospect: Prospect | None) -> None:
        """Args:
        mode: which values are taken over.
        prospect: as it is stored; ``None`` if the file brings it.
        """
        self._mode = mode
        self.taken: set[str] = set()
        self._was_kept: set[str] = set()
        self._channels: set[Channel] = set()
        if prospect is not None:
            self._was_kept = {one for one in IDENTITY_FIELDS if _kept(prospect, one) is not None}
            self._channels = {point.channel for point in prospect.reach.contact_points}
        self._stated_at: dict[str, datetime] = {}
        self._values: dict[str, set[Any]] = {}
        self._zones: set[str] = set()
        self._points: set[tuple[Channel, str]] = set()
        self._newest_row: dict[str, datetime] = {}
        self._said: dict[str, _Said] = {}
        self._said_points: set[tuple[Channel, str]] = set()
        self._agreed: object = None

    # What was said before -------------------------------------------------------------------------

    def note(self, event: Event) -> None:
        """Note what an event says about the person, also one that was taken back since."""
        if event.command_id is not None:
            mapping = _mapping_of(event.command_id)
            newest = self._newest_row.get(mapping, event.occurred_at)
            self._newest_row[mapping] = max(newest, event.occurred_at)
        data = event.data.data if isinstance(event.data, EventCorrected) else event.data
        if isinstance(data, ProspectAdded | ProspectUpdated):
            for field in IDENTITY_FIELDS:
                value = getattr(data, field)
                if value is not None:
                    before = self._stated_at.get(field, event.occurred_at)
                    self._stated_at[field] = max(before, event.occurred_at)
                    self._values.setdefault(field, set()).add(_comparable(field, value))
            names = data.timezone or ()
            self._zones |= {names} if isinstance(names, str) else set(names)
        if isinstance(data, ProspectAdded):
            self._points |= {(point.channel, point.same) for point in data.contact_points}
        elif isinstance(data, ContactPointAdded | ContactPointRemoved):
            same = ContactPoint(data.channel, data.address, data.key).same
            self._points.add((data.channel, same))

    def zones(self) -> list[str]:
        """Return every zone that the person was said to be in."""
        return sorted(self._zones)

    # What a row says ------------------------------------------------------------------------------

    def is_known(self, added: ProspectAdded, stated: tuple[str, ...]) -> bool:
        """Return whether a row says the same as the one before it, which changed nothing."""
        return (added, stated) == self._agreed

    def fields(self, prospect: Prospect, row: RowSaid) -> ProspectUpdated | None:
        """Return the fields that a row changes; ``None`` if there are none.

        Args:
            prospect: as known before the row.
            row: what it says.
        """
        added, stated = row.added, row.stated
        self._agreed = (added, stated)
        changed: dict[str, Any] = {}
        for field in IDENTITY_FIELDS:
            if field in stated:
                value = getattr(added, field)
                self._said[field] = (value, added.country)
                if self._differs(prospect, field):
                    self._agreed = None
                    if self._is_taken(prospect, field, row):
                        changed[field] = value
        if "subdivision" in stated:
            country = changed.get("country", prospect.identity.country)
            if country != added.country:
                changed.pop("subdivision", None)
            elif "country" in changed:  # which leaves the old subdivision behind
                changed["subdivision"] = added.subdivision
        self.taken |= changed.keys()
        return ProspectUpdated(**changed) if changed else None

    def _is_taken(self, prospect: Prospect, field: str, row: RowSaid) -> bool:
        """Whether a value that differs from what is kept is taken over."""
        if self._mode == "never" or (self._mode == "fill" and field in self._was_kept):
            return False
        if _kept(prospect, field) is None:
            return True
        # A stored row that said what was kept then left no event; its own time says that it did.
        newest = None if row.record is None else self._newest_row.get(_mapping_of(row.record))
        last = max(filter(None, (self._stated_at.get(field), newest)), default=row.at)
        if row.at < last:
            return False
        # An export repeats rows with what is true now. A value that was given up does not return.
        is_new = row.at > last and not row.is_seen
        value = _comparable(field, self._said[field][0])
        return is_new or value not in self._values.get(field, ())

    def points(
        self, prospect: Prospect, added: ProspectAdded, reader: KeyReader
    ) -> Iterator[ContactPointAdded]:
        """Iterate over the contact points that a row adds; none replaces another.

        Args:
            prospect: as known before, its country corrected.
            added: what the row says; those whose key is given only the other system knows.
            reader: reads the addresses.
        """
        have = {(point.channel, point.same): None for point in prospect.reach.contact_points}
        for point in added.contact_points:
            if point.key is not None:
                continue
            key = reader.key(point.channel, point.address)
            one = (point.channel, key)
            if not key or one in have:
                continue
            self._agreed = None
            self._said_points.add(one)
            have[one] = None
            # What was taken away was never theirs, or is not theirs any more: a user said so.
            is_free = self._mode == "always" or point.channel not in self._channels
            if self._mode != "never" and is_free and one not in self._points:
                self.taken.add(CONTACT_POINTS)
                yield ContactPointAdded(point.channel, point.address, key=key)

    # What remains ---------------------------------------------------------------------------------

    def differing(self, prospect: Prospect | None) -> set[str]:
        """Return the fields in which the newest row differs from what is kept in the end."""
        if prospect is None:
            return set()
        found = {field for field in self._said if self._differs(prospect, field)}
        have = {(point.channel, point.same) for point in prospect.reach.contact_points}
        return found | ({CONTACT_POINTS} if self._said_points - have else set())

    def _differs(self, prospect: Prospect, field: str) -> bool:
        value = _comparable(field, self._said[field][0])
        return bool(value != _comparable(field, _kept(prospect, field)))


def _kept(prospect: Prospect, field: str) -> Any:
    """What is kept of a field; ``None``: nothing."""
    identity = prospect.identity
    if field == "timezone":
        return identity.zones
    # Where a mapping gives no name, the id stands for it.
    if field == "name" and identity.name in ("", prospect.id):
        return None
    return getattr(identity, field)


def _comparable(field: str, value: Any) -> Any:
    """A value as it is compared: two names of one clock are one zone."""
    if field != "timezone":
        return value
    return tuple([_clock_of(name) for name in ((value,) if isinstance(value, str) else value)])


def _clock_of(name: str) -> bytes | str:
    try:
        return clock_of(name)
    except InputError:
        return name  # the stored zone is unknown


def _mapping_of(record: str) -> str:
    return record.partition(":")[0]
