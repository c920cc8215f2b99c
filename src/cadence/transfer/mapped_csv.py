"""Read a CSV file of another program through a mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from cadence.errors import InputError
from cadence.transfer.csv_reader import CsvTable
from cadence.transfer.mapping_model import Field, From, Mapping, fields_of
from cadence.transfer.row_mapper import MappedRow, RowMapper
from cadence.transfer.source import BadLine, Position, Source, SourceEvent

__all__ = ["MappedCsvSource"]

_NO_RULE: Final = "no rule fits"
_NO_PERSON: Final = "the columns of the id are empty"


class MappedCsvSource(Source):
    """The rows of a CSV file, each at most one event for each of its prospects."""

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
            InputError: the header is missing, two columns have one name, or the mapping needs a
                column that is missing.
        """
        super().__init__(position)
        self._table = CsvTable(lines, name, delimiter=mapping.delimiter, encoding=mapping.encoding)
        columns = _Columns(mapping, self._table, name)
        self._columns = columns.found
        self._mapper = RowMapper(mapping, columns.labels())
        self.changed = mapping.changed
        self.update = mapping.update
        self.needs = self._mapper.needs
        self.tally.unknown_columns = columns.unknown()

    def __iter__(self) -> Iterator[SourceEvent | BadLine]:
        mapper, tally, columns = self._mapper, self.tally, list(self._columns.items())
        for number, cells in self._table.rows():
            tally.rows += 1
            if isinstance(cells, BadLine):
                yield cells
                continue
            values = {name: cells[index] for name, index in columns}
            rules = mapper.rules_for(values)
            first = rules[0] if rules else None
            if first is None or first.skips is not None:
                tally.skipped_rows[_NO_RULE if first is None else str(first.skips)] += 1
                continue
            try:
                person = mapper.person(values, first, self.zone_of)
                if person is None:
                    tally.skipped_rows[_NO_PERSON] += 1
                    continue
                for rule in rules:
                    row = MappedRow(number, values, rule)
                    yield from mapper.events(row, person, self.zone_of, self.clock)
            except InputError as error:
                yield BadLine.of(number, error)


class _Columns:
    """The columns of a file that a mapping reads.

    Attributes:
        found: the index of each, by its name in the mapping.
    """

    def __init__(self, mapping: Mapping, table: CsvTable, file: str) -> None:
        self._mapping = mapping
        self._table = table
        self._file = file
        self.found = {
            name: index
            for name in _read_names(mapping)
            if (index := table.find(self._spellings(name))) is not None
        }
        self._check()

    def _spellings(self, name: str) -> tuple[str, ...]:
        """The names that a column may have in the file."""
        names = self._mapping.columns.get(name, name)
        return (names,) if isinstance(names, str) else names

    def labels(self) -> dict[str, str]:
        """The name of each column in the file, by its name in the mapping."""
        return {name: self._table.columns[index] for name, index in self.found.items()}

    def unknown(self) -> list[str]:
        """The columns that the mapping does not mention."""
        known = {name.casefold() for name in self._mapping.ignore}
        known |= {name.casefold() for key in self._mapping.columns for name in self._spellings(key)}
        others = self._table.columns_besides({*self.found.values()})
        return [name for name in others if name.casefold() not in known]

    def _check(self) -> None:
        """Refuse the file if it lacks a column that the mapping needs."""
        mapping = self._mapping
        alternatives = [
            [one.source for one in fields_of(mapping.prospect.id) if isinstance(one, From)],
            [] if mapping.record.is_else_import else [at.source for at in mapping.record.times],
            *([name] for name in mapping.required),
        ]
        for names in alternatives:
            if names and not any(name in self.found for name in names):
                wanted = " or ".join(repr(one) for name in names for one in self._spellings(name))
                there = ", ".join(name for name in self._table.columns if name)
                raise InputError(
                    f"{self._file}: line 1: missing column {wanted}",
                    f"use the mapping of this file and its delimiter ({mapping.delimiter!r}); "
                    f"the columns are: {there}",
                )
        zones = fields_of(mapping.prospect.timezone)
        if not any(isinstance(one, str) or one.source in self.found for one in zones):
            raise InputError(
                f"{self._file}: line 1: missing column for the time zone",
                "give one zone for all with --timezone, or a column in the mapping",
            )


def _read_names(mapping: Mapping) -> list[str]:
    """The names of all columns that the mapping reads, each once."""
    about, record = mapping.prospect, mapping.record
    fields: list[Field | None] = [
        *(getattr(about, name) for name in about.field_names),
        *(point.address for point in about.contact_points),
        record.id,
        record.by,
    ]
    names = [at.source for at in record.times]
    for rule in mapping.rules:
        fields += [rule.channel, rule.disposition, rule.address, rule.intent, rule.reason]
        fields += [rule.text, rule.id, *(point.address for point in rule.contact_points or ())]
        names += (*rule.when, *rule.unless)
    names += [one.source for field in fields for one in fields_of(field) if isinstance(one, From)]
    return list(dict.fromkeys([*names, *mapping.required]))
