"""Describe a mapping: how the rows of another program's file become events.

``transfer/mapping_loader.py`` reads one from TOML; ``docs/how-to/import.md`` tells how to write
one.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from cadence.domain.channels import Channel
from cadence.policy.field_types import PolicyChannel
from cadence.transfer.row_updates import IDENTITY_FIELDS, UpdateMode

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
    """The value of a column, or of an attribute of a log.

    Attributes:
        source: the column's name in the mapping; ``from`` in the file.
        table: the name of the table that translates the value.
        split: what separates several values in one cell.
        notation: how the other program writes the value (``transfer/notations.py``).
    """

    source: str
    table: str | None = None
    split: str | None = None
    notation: str | None = None


FORMATS: Final = ("iso", "epoch_ms", "epoch_s", "date")
"""ISO 8601, milliseconds or seconds since 1970, a day without a time."""

Field = Annotated[
    str | From | tuple[str | From, ...],
    msgspec.Meta(description='a text, { from = "column" }, or a list of these'),
]
"""A constant text, the value of a column, or a list of these: the first that is not empty."""


class At(_Table, frozen=True, rename={"source": "from"}):
    """A time in a column.

    Attributes:
        source: the column; ``from`` in the file.
        formats: tried in order: one of :data:`FORMATS`, or a pattern such as ``%d.%m.%Y %H:%M``.
        zone: the IANA zone of times without one; ``prospect`` for the person's own.
        uncertain: why the time is not that of the event itself.
        planned: it is when it was to be done. What was done before is taken at the time of the
            import at the latest.
    """

    source: str
    formats: tuple[str, ...] = ("iso",)
    zone: str | None = None
    uncertain: str | None = None
    planned: bool = False


ImportTime = Literal["import"]
"""The time of the import, for rows that say what is true and not since when."""


class ContactPointField(_Table, frozen=True):
    """A way to reach the person."""

    channel: Channel
    address: Field


class ProspectFields(_Table, frozen=True):
    """Who a row is about, and how to add them if they are not known yet.

    Attributes:
        needs: the kind of event without which a person is skipped.
    """

    id: Field
    timezone: Field
    name: Field | None = None
    country: Field | None = None
    subdivision: Field | None = None
    owner: Field | None = None
    source: Field | None = None
    given_name: Field | None = None
    family_name: Field | None = None
    salutation: Field | None = None
    language: Field | None = None
    company: Field | None = None
    contact_points: tuple[ContactPointField, ...] = ()
    needs: Literal["attempt", "reply", "end"] | None = None

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the attributes that are a :data:`Field`."""
        return ("id", "source", *IDENTITY_FIELDS)


class RecordFields(_Table, frozen=True):
    """The record that a row holds: its id in the other system, its time, and who did it."""

    at: At | ImportTime | tuple[At | ImportTime, ...]
    id: Field | None = None
    by: Field | None = None

    @property
    def times(self) -> tuple[At, ...]:
        """The columns that may hold the time; the first that is not empty counts."""
        given = self.at if isinstance(self.at, tuple) else (self.at,)
        return tuple([one for one in given if isinstance(one, At)])

    @property
    def is_else_import(self) -> bool:
        """Whether a row without a time is as old as the import."""
        return "import" in (self.at if isinstance(self.at, tuple) else (self.at,))


Kind = Literal["attempt", "reply", "end", "opt_out", "interest", "person", "pass_over", "bad_line"]


class Rule(_Table, frozen=True):
    """Which rows become which event; of several rules the first that fits counts.

    Attributes:
        event: the kind of event, ``person`` for a row that only says who they are, or ``pass_over``
            and ``bad_line`` for rows that make none.
        when: the values that columns must have; ``*`` is any value, an empty text none.
        unless: the values that columns must not have, in the same form; one is enough.
        because: why rows are skipped or refused.
        state: the columns say how it is, not what happened: it is recorded where it is not so
            already, and the rules after this one are asked too.
        first_of: only the first event of each calendar day of the person counts.
        id: in place of that of the prospect.
        contact_points: in place of those of the prospect.
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
    state: bool = False
    first_of: Literal["day"] | None = None
    id: Field | None = None
    contact_points: tuple[ContactPointField, ...] | None = None


class Mapping(_Table, frozen=True):
    """A whole mapping.

    Attributes:
        name: part of each event's ``command_id``.
        columns: names of the mapping's own for columns of the file.
        ignore: columns that are known and not imported.
        required: columns without which a file is refused.
        tables: by name, words of the other system and ours.
        changed: what to do with a record that was imported before with other content.
        update: what rows change about people who are known.
        channels: channels of the team's own that rows may name, beside the built-in ones.
        extends: the mapping that a file completes; the loader merges the two.
    """

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
    changed: Literal["refuse", "keep", "correct"] = "refuse"
    update: UpdateMode = "always"
    channels: tuple[PolicyChannel, ...] = ()
    extends: str | None = None


def fields_of(field: Field | None) -> tuple[str | From, ...]:
    """List the alternatives of a field; none if it is not given."""
    if field is None:
        return ()
    return field if isinstance(field, tuple) else (field,)
