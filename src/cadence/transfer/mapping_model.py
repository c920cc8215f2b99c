"""What a mapping says: how the rows of somebody else's file become events.

It is read from TOML (``mapping_load``); ``docs/import.md`` tells how to write one.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from cadence.domain.events import Channel

__all__ = [
    "FORMATS",
    "At",
    "ContactPointField",
    "Field",
    "From",
    "Kind",
    "Mapping",
    "ProspectFields",
    "RecordFields",
    "Rule",
    "fields_of",
]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all tables of a mapping."""


class From(_Table, frozen=True, rename={"source": "from"}):
    """What stands in a column, or in an attribute.

    ``table`` is the name of the table that translates it; ``split`` the sign that parts several.
    """

    source: str
    table: str | None = None
    split: str | None = None


FORMATS: Final = ("iso", "epoch_ms", "epoch_s", "date")
"""ISO 8601, milliseconds or seconds since 1970, a day without a time."""

Field = str | From | tuple[str | From, ...]
"""A text that always holds, what stands in a column, or the first of several that is not empty."""


class At(_Table, frozen=True, rename={"source": "from"}):
    """A time in a column.

    ``formats`` are tried in order: one of :data:`FORMATS`, or a pattern such as ``%d.%m.%Y %H:%M``.
    ``zone`` is that of times without one, ``prospect`` for the person's own.
    ``uncertain`` says why the time is not that of the event itself.
    """

    source: str
    formats: tuple[str, ...] = ("iso",)
    zone: str | None = None
    uncertain: str | None = None


class ContactPointField(_Table, frozen=True):
    """A way to reach the person."""

    channel: Channel
    address: Field


class ProspectFields(_Table, frozen=True):
    """Who a row is about, and how to add them if they are not known yet.

    ``needs``: the event without which a person is passed over.
    """

    id: Field
    timezone: Field
    name: Field | None = None
    country: Field | None = None
    subdivision: Field | None = None
    owner: Field | None = None
    source: Field | None = None
    contact_points: tuple[ContactPointField, ...] = ()
    needs: Literal["attempt", "reply", "end"] | None = None


class RecordFields(_Table, frozen=True):
    """The row itself: its id there, when it happened, who did it."""

    at: At | tuple[At, ...]
    id: Field | None = None
    by: Field | None = None

    @property
    def times(self) -> tuple[At, ...]:
        """The columns that may say when it happened; the first that is not empty counts."""
        return (self.at,) if isinstance(self.at, At) else self.at


Kind = Literal["attempt", "reply", "end", "opt_out", "interest", "pass_over", "bad_line"]


class Rule(_Table, frozen=True):
    """Which rows become which event; of several rules the first that fits.

    ``when``: what must stand in which columns; ``*`` is anything, an empty text nothing.
    ``unless``: what may not, in the same form; any one of them is enough. ``id`` and
    ``contact_points`` take the place of those of the prospect.
    """

    event: Kind
    when: dict[str, str | tuple[str, ...]] = {}
    unless: dict[str, str | tuple[str, ...]] = {}
    channel: Field | None = None
    disposition: Field | None = None
    address: Field | None = None
    intent: Field | None = None
    reason: Field | None = None
    text: Field | None = None
    because: str | None = None
    first_of: Literal["day"] | None = None
    id: Field | None = None
    contact_points: tuple[ContactPointField, ...] | None = None


class Mapping(_Table, frozen=True):
    """A whole mapping."""

    name: str
    format: Literal["csv", "xes"]
    prospect: ProspectFields
    record: RecordFields
    rules: tuple[Rule, ...]
    about: str = ""
    columns: dict[str, str | tuple[str, ...]] = {}
    ignore: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    tables: dict[str, dict[str, str]] = {}
    delimiter: str = ","
    encoding: str = "utf-8"
    changed: Literal["refuse", "keep"] = "refuse"


def fields_of(field: Field | None) -> tuple[str | From, ...]:
    """``field`` as the alternatives that it is."""
    if field is None:
        return ()
    return field if isinstance(field, tuple) else (field,)
