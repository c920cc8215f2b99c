"""A mapping at work: a row of somebody else's file becomes the event that it stands for.

A row is what stands in its columns, or in the attributes of an event of a log, by name. Whatever is
wrong with it is an error that names the column and the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cadence.domain.codec import Line, check_id, to_utc
from cadence.domain.enums import StrEnum
from cadence.domain.events import (
    AttemptMade,
    Channel,
    ContactPoint,
    Data,
    Disposition,
    EndReason,
    FollowUpEnded,
    Intent,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
    ReplyReceived,
)
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.transfer.mapping_model import Field, From, Rule, fields_of
from cadence.transfer.mapping_model import Mapping as Model
from cadence.transfer.source import ZoneOf
from cadence.transfer.staging import Found
from cadence.transfer.times import parse_time
from cadence.worktime.zones import zone

__all__ = ["Mapped", "Person", "Ready", "data_type"]

Row = Mapping[str, str]
_Reader = Callable[[Row], str]
_Term = TypeVar("_Term", bound=StrEnum)

_DATA_TYPES: Final[dict[str, type[Data]]] = {
    "attempt": AttemptMade,
    "reply": ReplyReceived,
    "end": FollowUpEnded,
}
_MOST_LOOKED_UP: Final = 1_000
_PARTS: Final = frozenset({"parts"})


def data_type(event: str | None) -> type[Data] | None:
    """The type of event that a mapping calls ``event``."""
    return None if event is None else _DATA_TYPES[event]


class Person(NamedTuple):
    """Who a row is about."""

    ids: tuple[str, ...]
    zone: ZoneInfo
    data: ProspectAdded


class Mapped:
    """A mapping, ready for rows."""

    def __init__(self, model: Model, labels: Mapping[str, str] | None = None) -> None:
        """Args:
        model: the mapping.
        labels: what the columns are called in the file, where that is not their name.
        """
        self.model = model
        self._labels = labels or {}
        self._tables = {
            name: {word.strip().casefold(): ours for word, ours in words.items()}
            for name, words in model.tables.items()
        }
        about = model.prospect
        self._about = {
            name: self.reader(getattr(about, name))
            for name in ("name", "timezone", "country", "subdivision", "owner", "source")
        }
        self._record = self.reader(model.record.id)
        self._by = self.reader(model.record.by)
        self._rules = [Ready(self, number, rule) for number, rule in enumerate(model.rules)]
        self._key, self._index = _index(self._rules)
        self._looked_up: dict[str, list[Ready]] = {}

    # Columns ------------------------------------------------------------------------------------

    def label(self, name: str) -> str:
        """What the column ``name`` is called in the file."""
        return self._labels.get(name, name)

    def reader(self, field: Field | None, *, exact: bool = False) -> _Reader:
        """What reads ``field`` out of a row; an empty text where there is nothing.

        Args:
            field: where it stands.
            exact: keep the spaces around it.
        """
        alternatives = fields_of(field)
        if not alternatives:
            return lambda row: ""
        if len(alternatives) == 1 and isinstance(alternatives[0], str):
            constant = alternatives[0]
            return lambda row: constant

        def read(row: Row) -> str:
            for one in alternatives:
                if isinstance(one, str):
                    return one
                value = row.get(one.source, "").strip()
                if value and exact:
                    return row[one.source]
                if value:
                    return value if one.table is None else self._translate(one, value)
            return ""

        return read

    def _translate(self, field: From, value: str) -> str:
        assert field.table is not None  # the caller looked
        found = self._tables[field.table].get(value.casefold())
        if found is None:
            raise InputError(
                f"{self.label(field.source)}: {value!r} is not in the table {field.table}",
                f'add it to [tables.{field.table}] in a mapping that extends = "{self.model.name}"',
            )
        return found

    # Rows ---------------------------------------------------------------------------------------

    def rule(self, row: Row) -> Ready | None:
        """The rule for a row: of several the first that fits."""
        rules = self._rules
        if self._key is not None:
            value = row.get(self._key, "")
            found = self._looked_up.get(value)
            if found is None:
                found = self._index.get(value.strip().casefold(), [])
                if len(self._looked_up) < _MOST_LOOKED_UP:
                    self._looked_up[value] = found
            rules = found
        for one in rules:
            if one.fits(row):
                return one
        return None

    def person(self, row: Row, rule: Ready) -> Person | None:
        """Who a row is about; ``None`` where it does not say.

        Args:
            row: what says so.
            rule: the one that fits it.

        Raises:
            InputError: a value that can't be, such as an unknown zone.
        """
        if rule.refuses is not None:
            columns = [name for name, _ in (*rule.when, *rule.unless)]
            values = ", ".join(
                f"{self.label(name)}: {row.get(name, '')!r}" for name in dict.fromkeys(columns)
            )
            raise InputError(
                f"{values} {rule.refuses}",
                f'say what it means in a mapping that extends = "{self.model.name}"',
            )
        ids = _read_ids(row, rule.ids)
        if not ids:
            return None
        read = {name: reader(row) or None for name, reader in self._about.items()}
        points = [(channel, reader(row)) for channel, reader in rule.points]
        name, zone_name = read["name"] or ids[0], read["timezone"]
        if zone_name is None:
            raise InputError(
                "timezone: is empty", "name a zone for such rows in the mapping, after the column"
            )
        data = ProspectAdded(
            name,
            zone_name,
            read["country"],
            read["subdivision"],
            tuple(ContactPoint(channel, address) for channel, address in points if address),
            read["source"] or self.model.name,
            read["owner"],
        )
        check_fact(data)
        return Person(ids, zone(zone_name), data)

    def time(self, row: Row, zone: ZoneInfo) -> tuple[datetime, str | None]:
        """When it happened, and why that is not certain.

        Args:
            row: what says so.
            zone: on whose clock it is read, where it names none.

        Raises:
            InputError: it does not say, or says what is no time.
        """
        for at in self.model.record.times:
            value = row.get(at.source, "").strip()
            if value:
                instant, is_day = parse_time(value, at, zone, self.label(at.source))
                why = at.uncertain or ("only the day is known" if is_day else None)
                return to_utc(instant, self.label(at.source)), why
        names = ", ".join(self.label(at.source) for at in self.model.record.times)
        raise InputError(f"{names}: is empty", "every row needs a time")

    def found(
        self,
        number: int,
        rule: Ready,
        row: Row,
        person: Person,
        *,
        added_at: datetime | None = None,
        record: str | None = None,
        zone_of: ZoneOf = lambda prospect: None,
    ) -> Iterator[Found]:
        """The events of a row, one for each person it is about.

        Args:
            number: of the row.
            rule: the one that fits it.
            row: what stands in it.
            person: who it is about.
            added_at: when the person was added, if they are not known; by default with the row.
            record: its id, where the mapping names no column for it.
            zone_of: the zone of somebody who is known already; it goes before that of the row.

        Raises:
            InputError: a value that can't be.
        """
        data = rule.data(row)
        record = self._record(row) or record
        command_id = None if record is None else f"{self.model.name}:{record}"
        given = _PARTS if isinstance(data, AttemptMade) else frozenset()
        by = self._by(row) or None
        for one in person.ids:
            where = zone_of(one) or person.zone
            instant, uncertain = self.time(row, where)
            once = None
            if rule.first_of_day:
                once = f"{rule.number} {instant.astimezone(where).date()}"
            first = instant if added_at is None else min(added_at, instant)
            whole = person.data if len(person.ids) == 1 else replace(person.data, name=one)
            added = Line(one, first, whole, frozenset())
            line = Line(
                one, instant, data, given, by=by, command_id=command_id, uncertain=uncertain
            )
            yield Found(number, line, added, once)


class Ready:
    """A rule, ready for rows."""

    def __init__(self, mapped: Mapped, number: int, rule: Rule) -> None:
        self.number = number
        self.rule = rule
        self.first_of_day = rule.first_of == "day"
        self.passes_over = rule.because if rule.event == "pass_over" else None
        self.refuses = rule.because if rule.event == "bad_line" else None
        self.when, self.unless = _conditions(rule.when), _conditions(rule.unless)
        about = mapped.model.prospect
        self.ids = fields_of(about.id if rule.id is None else rule.id)
        points = about.contact_points if rule.contact_points is None else rule.contact_points
        self.points = [(one.channel, mapped.reader(one.address)) for one in points]
        self._read = {
            name: mapped.reader(getattr(rule, name), exact=name == "text")
            for name in ("channel", "disposition", "address", "intent", "reason", "text")
        }
        fields = (rule.channel, rule.disposition, rule.intent, rule.reason)
        constant = all(one is None or isinstance(one, str) for one in fields)
        made = rule.event not in ("pass_over", "bad_line")
        self._always: Data | None = None
        if constant and rule.address is None and rule.text is None and made:
            self._always = self._make({})

    def fits(self, row: Row) -> bool:
        """Whether the rule is for this row."""
        for condition in self.when:
            if not _holds(condition, row):
                return False
        return not any(_holds(condition, row) for condition in self.unless)

    def data(self, row: Row) -> Data:
        """What happened.

        Raises:
            InputError: a value that can't be.
        """
        return self._always or self._make(row)

    def _make(self, row: Row) -> Data:
        event = self.rule.event
        if event == "attempt":
            channel = self._term("channel", row, Channel)
            disposition = self._term("disposition", row, Disposition)
            return AttemptMade((Part(channel, disposition, self._read["address"](row) or None),))
        if event == "reply":
            intent = self._term("intent", row, Intent) if self._read["intent"](row) else None
            return ReplyReceived(self._term("channel", row, Channel), intent)
        if event == "end":
            return FollowUpEnded(self._term("reason", row, EndReason))
        if event == "opt_out":
            every = not self._read["channel"](row)
            return OptOutRequested(None if every else self._term("channel", row, Channel))
        return InterestNoted(self._read["text"](row))

    def _term(self, name: str, row: Row, kind: type[_Term]) -> _Term:
        value = self._read[name](row)
        try:
            return kind(value)
        except ValueError:
            raise InputError(
                f"{name}: {value!r} is no {name}" if value else f"{name}: is empty",
                f"one of {', '.join(kind)}; translate it with a table in the mapping",
            ) from None


_Condition = tuple[str, frozenset[str]]


def _conditions(columns: Mapping[str, str | tuple[str, ...]]) -> list[_Condition]:
    return [
        (name, frozenset(one.strip().casefold() for one in _several(values)))
        for name, values in columns.items()
    ]


def _holds(condition: _Condition, row: Row) -> bool:
    name, values = condition
    value = row.get(name, "").strip()
    return value.casefold() in values or bool(value and "*" in values)


def _read_ids(row: Row, fields: tuple[str | From, ...]) -> tuple[str, ...]:
    for one in fields:
        if isinstance(one, str):
            return (one,)
        value = row.get(one.source, "").strip()
        if value:
            ids = value.split(one.split) if one.split else [value]
            found = tuple(dict.fromkeys(part.strip() for part in ids if part.strip()))
            for part in found:
                check_id(part)
            return found
    return ()


def _several(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values


def _index(rules: list[Ready]) -> tuple[str | None, dict[str, list[Ready]]]:
    """The rules by what must stand in one column, if there is one that every rule looks at."""
    names = [{name for name, _ in rule.when} for rule in rules]
    common = set.intersection(*names)
    key = next((name for name, values in rules[0].when if name in common), None)
    if any("*" in values for rule in rules for name, values in rule.when if name == key):
        key = None
    found: dict[str, list[Ready]] = {}
    for rule in rules:
        for name, values in rule.when:
            if name == key:
                for value in values:
                    found.setdefault(value, []).append(rule)
    return key, found
