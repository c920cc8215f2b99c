"""Map a row of another program's file to the events that it stands for.

A row is its columns by name, or the attributes of an event of a log. Each error names the column
and its value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from cadence.domain.addresses import key_elsewhere
from cadence.domain.channels import CHANNELS, Channel, in_order
from cadence.domain.codec import Line, check_id, to_utc
from cadence.domain.events import (
    AttemptMade,
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
from cadence.domain.limits import check_texts
from cadence.engine.commands import check_fact
from cadence.errors import InputError, did_you_mean
from cadence.store.clock import WriteClock
from cadence.transfer.mapping_model import (
    At,
    ContactPointField,
    Field,
    From,
    Rule,
    fields_of,
)
from cadence.transfer.mapping_model import Mapping as MappingModel
from cadence.transfer.notations import NOTATIONS
from cadence.transfer.row_updates import CONTACT_POINTS, IDENTITY_FIELDS
from cadence.transfer.source import NAMED_AT, RECORD, SourceEvent, ZoneLookup, format_instant
from cadence.worktime.zones import from_local, zone

__all__ = ["CompiledRule", "MappedRow", "Person", "RowMapper"]

_Row = Mapping[str, str]
_Reader = Callable[[_Row], str]
_Condition = tuple[str, frozenset[str]]
_Word = TypeVar("_Word", bound=StrEnum)

_NEEDED_TYPES: Final[dict[str, type[Data]]] = {
    "attempt": AttemptMade,
    "reply": ReplyReceived,
    "end": FollowUpEnded,
}
"""The types of event that a mapping can make its prospects need."""

_DATA_FIELDS: Final = ("channel", "disposition", "address", "intent", "reason", "text")
"""The keys of a rule that say what happened."""

_NAME_PARTS: Final = ("given_name", "family_name")

_PARTS: Final = frozenset({"parts"})
"""What a mapped attempt states; the importer completes the rest."""


class MappedRow(NamedTuple):
    """A row and the rule that fits it.

    Attributes:
        number: of the line or element.
        values: of its columns, by name.
        rule: the first that fits.
    """

    number: int
    values: _Row
    rule: CompiledRule


class Person(NamedTuple):
    """Who a row is about.

    Attributes:
        ids: of the prospects; most rows are about one.
        zone: of the row, for prospects that are new.
        data: how to add a new prospect.
        stated: the fields of ``data`` that columns say, and not the mapping. A row about several
            people says nothing about each of them.
    """

    ids: tuple[str, ...]
    zone: ZoneInfo
    data: ProspectAdded
    stated: tuple[str, ...] = ()


class MappedTime(NamedTuple):
    """When a row says that something happened.

    Attributes:
        at: when; in UTC.
        uncertain: why that is uncertain.
        field: the column that says so.
        named: what the column names, where it may have happened before that.
        local: the time on the person's own clock, where the row gives no other.
    """

    at: datetime
    uncertain: str | None
    field: str
    named: datetime | None = None
    local: datetime | None = None


class RowMapper:
    """A mapping compiled for rows.

    Attributes:
        name: of the mapping.
        needs: the type of event without which a prospect is skipped.
    """

    def __init__(self, mapping: MappingModel, labels: Mapping[str, str] | None = None) -> None:
        """Args:
        mapping: what the rows stand for.
        labels: names of the columns in the file, where they differ from the mapping's.
        """
        self.name = mapping.name
        about = mapping.prospect
        self.needs = None if about.needs is None else _NEEDED_TYPES[about.needs]
        self._fields = _FieldCompiler(mapping, labels or {})
        # What a column says is about the person; the texts of the mapping stand in its place.
        self._columns: dict[str, _Reader] = {}
        self._texts: dict[str, str] = {"source": self.name}
        for name in ("source", *IDENTITY_FIELDS):
            columns, text = _columns_and_text(getattr(about, name))
            if columns:
                self._columns[name] = self._fields.compile(columns)
            if text:
                self._texts[name] = text
        self._update = mapping.update
        self._times = mapping.record.times
        self._is_else_import = mapping.record.is_else_import
        self._record = self._fields.compile(mapping.record.id)
        self._by = self._fields.compile(mapping.record.by)
        self._rules = [
            CompiledRule(number, rule, mapping, self._fields)
            for number, rule in enumerate(mapping.rules)
        ]
        self._key, self._rules_by_value = _index_rules(self._rules)

    def rules_for(self, values: _Row) -> list[CompiledRule]:
        """Find the rules for a row: the first that fits, then the states that hold with it.

        A state comes last: what was done in its row was done before.
        """
        rules = self._rules
        if self._key is not None:
            value = values.get(self._key, "").strip().casefold()
            rules = self._rules_by_value.get(value, [])
        states: list[CompiledRule] = []
        for rule in rules:
            if rule.fits(values):
                if not rule.is_state:
                    has_none = rule.skips is not None and bool(states)
                    return states if has_none else [rule, *states]
                states.append(rule)
        return states

    def person(self, values: _Row, rule: CompiledRule, zone_of: ZoneLookup) -> Person | None:
        """Read who a row is about; ``None`` where its id columns are empty.

        Args:
            values: the columns that say so.
            rule: the one that fits the row.
            zone_of: finds the zone of a known prospect, for a row that names none.

        Raises:
            InputError: the rule refuses the row, or a value is invalid, such as an unknown zone.
        """
        if rule.refuses is not None:
            raise self._refused(values, rule)
        ids = self._fields.ids(values, rule.ids)
        if not ids:
            return None
        said = {name: text for name, read in self._columns.items() if (text := read(values))}
        # Exports of contacts often have no full name; half of one is not what is kept.
        parts = [said[name] for name in _NAME_PARTS if name in said]
        if len(parts) == len(_NAME_PARTS):
            said.setdefault("name", " ".join(parts))
        about = {"name": " ".join(parts) or ids[0], **self._texts, **said}
        timezone = about.get("timezone")
        if timezone is None:
            kept = [zone_of(one) for one in ids]
            if None in kept:
                raise InputError("timezone: missing", "give one in the mapping, after the column")
            about["timezone"] = timezone = str(kept[0])
        found = [point for read in rule.points if (point := read(values)) is not None]
        points = tuple(dict.fromkeys(found))
        data = ProspectAdded(**about, contact_points=points, policy=None)
        check_fact(data)
        return Person(ids, zone(timezone), data, _stated(ids, said, points))

    def _refused(self, values: _Row, rule: CompiledRule) -> InputError:
        columns = dict.fromkeys(name for name, _ in (*rule.when, *rule.unless))
        shown = ", ".join(
            f"{self._fields.label(name)}: {values.get(name, '')!r}" for name in columns
        )
        return InputError(
            f"{shown} {rule.refuses}",
            f"give its meaning in {self.name}, or in a mapping that extends it",
        )

    def time(self, values: _Row, zone: ZoneInfo, clock: WriteClock) -> MappedTime:
        """Read when it happened.

        Args:
            values: the columns that say so.
            zone: of times that name none.
            clock: what was planned for later was done by then.

        Raises:
            InputError: the columns are empty, or hold no time.
        """
        for at in self._times:
            value = values.get(at.source, "").strip()
            if value:
                label = self._fields.label(at.source)
                read, is_day, local = _parse_time(value, at, zone, label)
                instant = to_utc(read, label)
                uncertain = at.uncertain or ("only the day is known" if is_day else None)
                if not (at.planned or is_day):
                    return MappedTime(instant, uncertain, label, local=local)
                is_over = instant <= clock.now
                if at.planned and not is_over:
                    uncertain = (
                        f"{label} names {value}, after the import; this is the import's time"
                    )
                has_begun = clock.now.astimezone(zone).date() >= read.astimezone(zone).date()
                is_taken = not is_over and (at.planned or has_begun)
                taken = clock.now if is_taken else instant
                return MappedTime(taken, uncertain, label, instant, local)
        names = ", ".join(self._fields.label(at.source) for at in self._times)
        if self._is_else_import:
            return MappedTime(clock.now, "the row has no time; this is the import's time", names)
        raise InputError(f"{names}: missing", "give each row a time")

    def events(
        self,
        row: MappedRow,
        person: Person,
        zone_of: ZoneLookup,
        clock: WriteClock,
        *,
        added_at: datetime | None = None,
        record: str | None = None,
    ) -> Iterator[SourceEvent]:
        """Iterate over the events of a row, one for each prospect that it is about.

        Args:
            row: whose rule makes an event.
            person: who it is about.
            zone_of: finds the zone of a known prospect; it takes precedence over the row's,
                unless the row may correct it.
            clock: the time of the import.
            added_at: when a new prospect was added, if before the row.
            record: the row's id, where the mapping names no column for it.

        Raises:
            InputError: a value is invalid.
        """
        number, values, rule = row
        data = None if rule.is_person else rule.data(values)
        record = self._record(values) or record
        command_id = None if record is None else f"{self.name}:{record}"
        meta_of_state = {} if command_id is None else {RECORD: command_id}
        given = _PARTS if isinstance(data, AttemptMade) else frozenset()
        by = self._by(values) or None
        corrects = self._update == "always" and "timezone" in person.stated
        for prospect in person.ids:
            zone = person.zone if corrects else zone_of(prospect) or person.zone
            instant, uncertain, label, named, local = self.time(values, zone, clock)
            # By the time that it names, the row is known again when it is imported another time.
            meta = meta_of_state if rule.is_state else {}
            if named is not None and named > instant:
                meta = {**meta, NAMED_AT: format_instant(named)}
            once = None
            if rule.first_of_day:
                once = f"{rule.number} {instant.astimezone(zone).date()}"
            first = instant if added_at is None else min(added_at, instant)
            added = person.data if len(person.ids) == 1 else replace(person.data, name=prospect)
            line = Line(
                prospect,
                instant,
                data or added,
                given,
                by=by,
                command_id=None if rule.is_state else command_id,
                uncertain=uncertain,
                meta=meta or None,
            )
            begins = Line(prospect, first, added, frozenset())
            check_texts(line)
            check_texts(begins)
            field = label if instant > clock.latest else None
            yield SourceEvent(
                number, line, begins, once, named, field, person.stated, local, rule.is_state
            )


class CompiledRule:
    """A rule compiled for rows.

    Attributes:
        number: its place among the rules.
        first_of_day: only the first event of each calendar day of the person counts.
        is_person: the rows only say who they are.
        is_state: the rows say how it is; it is recorded where it is not so already.
        skips: why the rows are skipped; ``None`` for other rules.
        refuses: why the rows are refused; ``None`` for other rules.
        when: the conditions that must hold.
        unless: the conditions of which none may hold.
        ids: where the ids of the prospects stand.
        points: the readers of the contact points.
    """

    def __init__(
        self, number: int, rule: Rule, mapping: MappingModel, fields: _FieldCompiler
    ) -> None:
        """Args:
        number: its place among the rules.
        rule: what it says.
        mapping: the mapping that it belongs to.
        fields: compiles its fields.
        """
        self.number = number
        self.first_of_day = rule.first_of == "day"
        self.is_person = rule.event == "person"
        self.is_state = rule.state
        self.skips = rule.because if rule.event == "pass_over" else None
        self.refuses = rule.because if rule.event == "bad_line" else None
        self.when, self.unless = _conditions(rule.when), _conditions(rule.unless)
        about = mapping.prospect
        self.ids = fields_of(about.id if rule.id is None else rule.id)
        points = about.contact_points if rule.contact_points is None else rule.contact_points
        self.points = [fields.compile_point(point) for point in points]
        self._event = rule.event
        self._channels = frozenset((*CHANNELS, *mapping.channels))
        self._read = {
            name: fields.compile(getattr(rule, name), strip=name != "text") for name in _DATA_FIELDS
        }
        # Most rules of a log make the same event each time; reading it once saves 3% of the import.
        is_constant = all(isinstance(getattr(rule, name), str | None) for name in _DATA_FIELDS)
        makes_event = self.skips is None and self.refuses is None and not self.is_person
        self._constant = self._read_data({}) if is_constant and makes_event else None

    def fits(self, values: _Row) -> bool:
        """Whether the rule is for this row."""
        for condition in self.when:
            if not _holds(condition, values):
                return False
        return not any(_holds(condition, values) for condition in self.unless)

    def data(self, values: _Row) -> Data:
        """Read what happened.

        Raises:
            InputError: a value is invalid.
        """
        return self._constant or self._read_data(values)

    def _read_data(self, values: _Row) -> Data:
        read = self._read
        match self._event:
            case "attempt":
                channel = self._channel(values)
                disposition = self._word("disposition", values, Disposition)
                return AttemptMade((Part(channel, disposition, read["address"](values) or None),))
            case "reply":
                intent = self._word("intent", values, Intent) if read["intent"](values) else None
                return ReplyReceived(self._channel(values), intent)
            case "end":
                return FollowUpEnded(self._word("reason", values, EndReason))
            case "opt_out":
                of_all = not read["channel"](values)
                return OptOutRequested(None if of_all else self._channel(values))
            case _:
                return InterestNoted(read["text"](values))

    def _channel(self, values: _Row) -> Channel:
        value = self._read["channel"](values)
        if value not in self._channels:
            raise _unknown_word("channel", value, in_order(self._channels))
        return Channel(value)

    def _word(self, name: str, values: _Row, kind: type[_Word]) -> _Word:
        value = self._read[name](values)
        try:
            return kind(value)
        except ValueError:
            raise _unknown_word(name, value, [one.value for one in kind]) from None


def _stated(
    ids: tuple[str, ...], said: Mapping[str, str], points: Iterable[ContactPoint]
) -> tuple[str, ...]:
    """The fields of a person that the columns of a row say."""
    if len(ids) > 1:
        return ()
    # Where a person has no name, the id stands for it. Where they came from does not change.
    names = [name for name in said if name != "source" and (name != "name" or said[name] != ids[0])]
    if any(point.key is None for point in points):
        names.append(CONTACT_POINTS)
    return tuple(names)


def _unknown_word(name: str, value: str, known: Iterable[str]) -> InputError:
    what = f"invalid {value!r}" if value else "missing"
    hint = did_you_mean(value, known)
    return InputError(f"{name}: {what}", f"{hint}; a table in the mapping can translate it")


def _conditions(columns: Mapping[str, str | tuple[str, ...]]) -> list[_Condition]:
    return [
        (name, frozenset(value.strip().casefold() for value in _as_tuple(values)))
        for name, values in columns.items()
    ]


def _holds(condition: _Condition, row: _Row) -> bool:
    name, values = condition
    value = row.get(name, "").strip()
    return value.casefold() in values or bool(value and "*" in values)


def _as_tuple(values: str | tuple[str, ...]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else values


def _index_rules(rules: list[CompiledRule]) -> tuple[str | None, dict[str, list[CompiledRule]]]:
    """Index the rules by the values of one column, if every rule tests that column."""
    tested = [{name for name, _ in rule.when} for rule in rules]
    common = set.intersection(*tested)
    key = next((name for name, _ in rules[0].when if name in common), None)
    if any("*" in values for rule in rules for name, values in rule.when if name == key):
        key = None
    index: dict[str, list[CompiledRule]] = {}
    for rule in rules:
        for name, values in rule.when:
            if name == key:
                for value in values:
                    index.setdefault(value, []).append(rule)
    return key, index


# Fields -------------------------------------------------------------------------------------------


def _columns_and_text(field: Field | None) -> tuple[tuple[From, ...], str]:
    """The columns of a field, and the text that stands where they are empty."""
    columns: list[From] = []
    for one in fields_of(field):
        if isinstance(one, str):
            return tuple(columns), one
        columns.append(one)
    return tuple(columns), ""


class _FieldCompiler:
    """Turns the fields of a mapping into functions that read them out of a row."""

    def __init__(self, mapping: MappingModel, labels: Mapping[str, str]) -> None:
        self._mapping = mapping.name
        self._labels = labels
        self._tables = {
            name: {theirs.strip().casefold(): ours for theirs, ours in words.items()}
            for name, words in mapping.tables.items()
        }

    def label(self, name: str) -> str:
        """The name of the column in the file."""
        return self._labels.get(name, name)

    def compile(self, field: Field | None, *, strip: bool = True) -> _Reader:
        """Make the reader of a field; it gives an empty text where there is nothing.

        Args:
            field: where the value stands.
            strip: remove the spaces around it.
        """
        alternatives = fields_of(field)
        if not alternatives:
            return lambda row: ""
        if len(alternatives) == 1 and isinstance(alternatives[0], str):
            constant = alternatives[0]
            return lambda row: constant

        def read(row: _Row) -> str:
            for one in alternatives:
                if isinstance(one, str):
                    return one
                value = row.get(one.source, "").strip()
                if not value:
                    continue
                if not strip:
                    return row[one.source]
                return self.translate(one, value)
            return ""

        return read

    def compile_point(self, point: ContactPointField) -> Callable[[_Row], ContactPoint | None]:
        """Make the reader of a contact point; it gives ``None`` where there is no address.

        A text in place of a column says that the other system has the address.
        """
        channel, elsewhere = point.channel, key_elsewhere(point.channel)
        columns, text = _columns_and_text(point.address)
        column = self.compile(columns)

        def read(row: _Row) -> ContactPoint | None:
            address = column(row)
            if address:
                return ContactPoint(channel, address)
            return ContactPoint(channel, text, elsewhere) if text else None

        return read

    def translate(self, field: From, value: str) -> str:
        """Translate a value that is not empty, by the table or the notation of its column.

        Raises:
            InputError: the table lacks it, or it is not in the notation.
        """
        if field.table is not None:
            return self._look_up(field, field.table, value)
        if field.notation is not None:
            return NOTATIONS[field.notation](value, self.label(field.source))
        return value

    def ids(self, row: _Row, fields: tuple[str | From, ...]) -> tuple[str, ...]:
        """Read the ids of the prospects, each once.

        Raises:
            InputError: one can't be an id.
        """
        for field in fields:
            if isinstance(field, str):
                check_id(field)
                return (field,)
            value = row.get(field.source, "").strip()
            if value:
                parts = value.split(field.split) if field.split else [value]
                given = [part.strip() for part in parts if part.strip()]
                ids = tuple(dict.fromkeys(self.translate(field, part) for part in given))
                for one in ids:
                    check_id(one)
                return ids
        return ()

    def _look_up(self, field: From, table: str, value: str) -> str:
        word = self._tables[table].get(value.casefold())
        if word is None:
            raise InputError(
                f"{self.label(field.source)}: unknown {value!r} in the table {table}",
                f"give it in [tables.{table}] of {self._mapping}, or of a mapping that extends it",
            )
        return word


# Times --------------------------------------------------------------------------------------------

_NOON: Final = time(12)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE_LENGTH: Final = len("2026-12-01")
_TIME_OF_DAY: Final = ("%H", "%I", "%c", "%X", "%T", "%R", "%f")
"""The codes of ``strptime`` with a time of day; a pattern without them is a bare date."""


def _parse_time(
    value: str, at: At, own: ZoneInfo, label: str
) -> tuple[datetime, bool, datetime | None]:
    """Parse a time in one of the listed formats; nothing is guessed.

    Args:
        value: the text.
        at: the formats to try, and the zone of times without one.
        own: the person's zone.
        label: the name of the column, for errors.

    Returns:
        The instant, whether only its day is known, and the time on the person's clock if only
        that is given.

    Raises:
        InputError: it is in none of the formats, or its zone is unknown.
    """
    for form in at.formats:
        local = _parse_format(value, form)
        if local is None:
            continue
        if not isinstance(local, datetime):
            # At noon of the person's own day the date stays the same in most zones.
            noon = datetime.combine(local, _NOON)
            return from_local(noon, own), True, noon
        if local.tzinfo is not None:
            return local, False, None
        if at.zone is None:
            raise InputError(
                f"{label}: invalid {value!r}: it has no zone (a naive time)",
                'give its zone in the mapping: zone = "Europe/Berlin", or "prospect"',
            )
        if at.zone == "prospect":
            return from_local(local, own), False, local
        return from_local(local, zone(at.zone)), False, None
    raise InputError(
        f"{label}: invalid {value!r}; expected {' or '.join(at.formats)}",
        "give its format in the mapping, under formats",
    )


def _parse_format(value: str, form: str) -> datetime | date | None:
    try:
        if form == "iso":
            # A date alone would become midnight, and midnight is another day elsewhere.
            is_time = len(value) > _DATE_LENGTH and ":" in value
            return datetime.fromisoformat(value) if is_time else None
        if form == "date":
            return date.fromisoformat(value) if len(value) == _DATE_LENGTH else None
        if form == "epoch_ms":
            return _parse_epoch(value, 1000)
        if form == "epoch_s":
            return _parse_epoch(value, 1)
        parsed = datetime.strptime(value, form)  # noqa: DTZ007  (the caller adds the zone)
    except (ValueError, OverflowError, OSError):
        return None
    return parsed if any(code in form for code in _TIME_OF_DAY) else parsed.date()


def _parse_epoch(value: str, units_a_second: int) -> datetime | None:
    if not value.isascii() or not value.removeprefix("-").isdigit():
        return None
    return _EPOCH + timedelta(seconds=1) * int(value) / units_a_second
