"""A CSV file with a mapping, as something to import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cadence.errors import InputError
from cadence.transfer.csv_reader import Columns, read_table
from cadence.transfer.mapping_model import Field, From, Mapping, fields_of
from cadence.transfer.row_mapper import Mapped, data_type
from cadence.transfer.source import Position, Source
from cadence.transfer.staging import BadLine, Found

__all__ = ["CsvSource"]


class CsvSource(Source):
    """The rows of a CSV file, as a mapping reads them; at most one event a row and person."""

    by_time = True
    by_record = True

    def __init__(
        self, mapping: Mapping, lines: Iterable[bytes], name: str, position: Position | None = None
    ) -> None:
        """Args:
        mapping: what the rows stand for.
        lines: the lines of the file, unpacked.
        name: what to call the file in errors.
        position: says how many bytes have been read.

        Raises:
            InputError: there is no header, or a column that the mapping needs is missing or is
                there twice.
        """
        super().__init__(position)
        self.keep_changed = mapping.changed == "keep"
        self.needs = data_type(mapping.prospect.needs)
        self._name = name
        self._rows = read_table(lines, name, delimiter=mapping.delimiter, encoding=mapping.encoding)
        _, header = next(self._rows, (1, None))
        if header is None:
            raise InputError(f"{name}: is empty", "name a file that has a row of column names")
        if isinstance(header, BadLine):
            raise InputError(f"{name}: line {header.number}: {header.what}", header.hint)
        columns = Columns(header, name)
        self._width = len(header)
        self._used = _used(mapping, columns, name)
        labels = {one: columns.names[place] for one, place in self._used.items()}
        self._mapped = Mapped(mapping, labels)
        known = {*self._used.values()}
        ignored = {one.casefold() for one in mapping.ignore}
        ignored |= {one.casefold() for names in mapping.columns.values() for one in _several(names)}
        self.tally.unknown_columns = [
            one
            for place, one in enumerate(columns.names)
            if place not in known and one and one.casefold() not in ignored
        ]

    def __iter__(self) -> Iterator[Found | BadLine]:
        mapped, tally, used = self._mapped, self.tally, list(self._used.items())
        for number, cells in self._rows:
            tally.rows += 1
            if isinstance(cells, BadLine):
                yield cells
                continue
            if len(cells) != self._width:
                yield BadLine(
                    number,
                    f"has {len(cells)} cells, the header has {self._width}",
                    "quote the cells that hold the delimiter or line breaks",
                )
                continue
            row = {name: cells[place] for name, place in used}
            rule = mapped.rule(row)
            if rule is None or rule.passes_over is not None:
                why = "no rule fits" if rule is None else str(rule.passes_over)
                tally.passed_over[why] += 1
                continue
            try:
                person = mapped.person(row, rule)
                if person is None:
                    tally.passed_over["about nobody: the columns of the id are empty"] += 1
                    continue
                yield from mapped.found(number, rule, row, person, zone_of=self.zone_of)
            except InputError as error:
                yield BadLine.of(number, error)


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def _used(mapping: Mapping, columns: Columns, file: str) -> dict[str, int]:
    """Where the columns stand that the mapping reads.

    Raises:
        InputError: one that it can't do without is missing.
    """
    found: dict[str, int] = {}
    for name in _read(mapping):
        place = columns.find(_spellings(mapping, name))
        if place is not None:
            found[name] = place
    needed = [
        [one.source for one in fields_of(mapping.prospect.id) if isinstance(one, From)],
        [at.source for at in mapping.record.times],
        *([name] for name in mapping.required),
    ]
    for names in needed:
        if names and not any(name in found for name in names):
            wanted = " or ".join(repr(one) for n in names for one in _spellings(mapping, n))
            there = ", ".join(one for one in columns.names if one)
            raise InputError(
                f"{file}: line 1: no column {wanted}",
                f"there are: {there}; is it the right mapping, and its delimiter "
                f"({mapping.delimiter!r}) the right one?",
            )
    zones = fields_of(mapping.prospect.timezone)
    if not any(isinstance(one, str) or one.source in found for one in zones):
        raise InputError(
            f"{file}: line 1: no column says in which time zone the people are",
            "give one to all with --timezone, or see docs/import.md",
        )
    return found


def _spellings(mapping: Mapping, name: str) -> tuple[str, ...]:
    return _several(mapping.columns.get(name, name))


def _read(mapping: Mapping) -> list[str]:
    """The names of all columns that the mapping reads."""
    about, record = mapping.prospect, mapping.record
    fields: list[Field | None] = [
        *(getattr(about, name) for name in about.__struct_fields__ if name not in _NO_FIELDS),
        *(point.address for point in about.contact_points),
        record.id,
        record.by,
    ]
    names = [at.source for at in record.times]
    for rule in mapping.rules:
        fields += [rule.channel, rule.disposition, rule.address, rule.intent, rule.reason]
        fields += [rule.text, rule.id, *(one.address for one in rule.contact_points or ())]
        names += (*rule.when, *rule.unless)
    names += [one.source for field in fields for one in fields_of(field) if isinstance(one, From)]
    return list(dict.fromkeys([*names, *mapping.required]))


_NO_FIELDS = ("contact_points", "needs")
