"""A log with a mapping, as something to import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from cadence.errors import InputError
from cadence.transfer.mapping_model import Mapping
from cadence.transfer.row_mapper import Mapped, Person, data_type
from cadence.transfer.source import Position, Source
from cadence.transfer.staging import BadLine, Found
from cadence.transfer.xes_reader import Case, read_xes

__all__ = ["XesSource"]

_UNRULED = "no rule names it"


class XesSource(Source):
    """The events of a log that a mapping names; who a case is about stands in its attributes.

    An event of a log has no id. What it is known by is its name, transition and time, and which of
    those that are equal in these it is.
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
        self.keep_changed = mapping.changed == "keep"
        self.needs = data_type(mapping.prospect.needs)
        self._mapped = Mapped(mapping)
        self._cases = read_xes(blocks, name)
        self._time = mapping.record.times[0].source

    def __iter__(self) -> Iterator[Found | BadLine]:
        rule_for, tally = self._mapped.rule, self.tally
        for case in self._cases:
            tally.rows += len(case.events)
            ruled = [
                (line, row, rule)
                for line, row in case.events
                if (rule := rule_for(row)) is not None
            ]
            tally.passed_over[_UNRULED] += len(case.events) - len(ruled)
            if not ruled:
                continue
            try:
                person = self._mapped.person(case.attributes, ruled[0][2])
            except InputError as error:
                yield BadLine.of(case.line, error)
                continue
            if person is None:
                tally.passed_over["the case has no id"] += len(ruled)
                continue
            added_at = self._begin(case, person)
            equal: Counter[str] = Counter()
            for line, row, rule in ruled:
                if rule.passes_over is not None:
                    tally.passed_over[rule.passes_over] += 1
                    continue
                record = self._record(row)
                equal[record] += 1
                if equal[record] > 1:
                    record = f"{record} #{equal[record]}"
                try:
                    yield from self._mapped.found(
                        line,
                        rule,
                        row,
                        person,
                        added_at=added_at,
                        record=record,
                        zone_of=self.zone_of,
                    )
                except InputError as error:
                    yield BadLine.of(line, error)

    def _begin(self, case: Case, person: Person) -> datetime | None:
        """When the case began; ``None`` if its first event does not say."""
        try:
            return self._mapped.time(case.events[0][1], person.zone)[0]
        except InputError:
            return None

    def _record(self, row: dict[str, str]) -> str:
        name, step = row.get("concept:name", ""), row.get("lifecycle:transition", "")
        return f"{name} {step} {row.get(self._time, '')}"
