"""Read a log of another program (XES) through a mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from cadence.errors import InputError
from cadence.transfer.mapping_model import Mapping
from cadence.transfer.row_mapper import MappedRow, Person, RowMapper
from cadence.transfer.source import BadLine, Position, Source, SourceEvent
from cadence.transfer.xes_reader import Case, read_xes

__all__ = ["MappedXesSource"]

_NO_RULE: Final = "no rule names it"
_NO_PERSON: Final = "the case has no id"
_NO_CASE: Final = "an event outside any case"


class MappedXesSource(Source):
    """The events of a log that a mapping names; the attributes of a case say who it is about.

    Events of a log have no id. An event is recognised by its name, transition and time, and by its
    number among the events that are equal in these.
    """

    by_time = True
    by_record = True

    def __init__(
        self, mapping: Mapping, blocks: Iterable[bytes], name: str, position: Position | None = None
    ) -> None:
        """Args:
        mapping: what the events stand for.
        blocks: the bytes of the file, unpacked.
        name: what to call the file in errors.
        position: says how many bytes have been read.
        """
        super().__init__(position)
        self._cases = read_xes(blocks, name)
        self._mapper = RowMapper(mapping)
        self._time = next((at.source for at in mapping.record.times), "")
        self.changed = mapping.changed
        self.update = mapping.update
        self.needs = self._mapper.needs

    def __iter__(self) -> Iterator[SourceEvent | BadLine]:
        rules_for, tally = self._mapper.rules_for, self.tally
        for case in self._cases:
            tally.rows += len(case.events)
            if case.is_outside:
                tally.skipped_rows[_NO_CASE] += 1
                continue
            fitting = [(line, values, rules_for(values)) for line, values in case.events]
            tally.skipped_rows[_NO_RULE] += sum(not rules for _, _, rules in fitting)
            rows = [
                MappedRow(line, values, rule) for line, values, rules in fitting for rule in rules
            ]
            if rows:
                yield from self._case_events(case, rows)

    def _case_events(self, case: Case, rows: list[MappedRow]) -> Iterator[SourceEvent | BadLine]:
        """Iterate over the events of a case; the rule of the first says who it is about."""
        tally = self.tally
        try:
            person = self._mapper.person(case.attributes, rows[0].rule, self.zone_of)
        except InputError as error:
            yield BadLine.of(case.line, error)
            return
        if person is None:
            tally.skipped_rows[_NO_PERSON] += len(rows)
            return
        added_at = self._begin(case, person)
        equal: Counter[str] = Counter()
        for row in rows:
            if row.rule.skips is not None:
                tally.skipped_rows[row.rule.skips] += 1
                continue
            record = self._record(row)
            equal[record] += not row.rule.is_state
            if equal[record] > 1:
                record = f"{record} #{equal[record]}"
            try:
                yield from self._mapper.events(
                    row, person, self.zone_of, self.clock, added_at=added_at, record=record
                )
            except InputError as error:
                yield BadLine.of(row.number, error)

    def _begin(self, case: Case, person: Person) -> datetime | None:
        """The time of the case's first event; ``None`` if it has none."""
        try:
            return self._mapper.time(case.events[0][1], person.zone, self.clock).at
        except InputError:
            return None

    def _record(self, row: MappedRow) -> str:
        values = row.values
        name, step = values.get("concept:name", ""), values.get("lifecycle:transition", "")
        return f"{name} {step} {values.get(self._time, '')}"
