"""Import a source into a store, all of it or nothing, in bounded memory.

First every line is read into a staging area, which sorts the lines by prospect. Then each
prospect's history is built: events that are stored already are skipped, and attempts get what they
lack. If no line is bad, everything is written in one transaction. So an interrupted import leaves
nothing, and a second import of the same file changes nothing (ADR 0023).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from cadence.domain.channels import BUILT_IN, Channel, ChannelTraits
from cadence.domain.codec import Line
from cadence.domain.events import (
    AttemptMade,
    Data,
    Event,
    EventCorrected,
    EventRetracted,
    OptedBackIn,
    OptOutRequested,
    ProspectAdded,
    ProspectsMerged,
    ProspectUpdated,
    Unreadable,
)
from cadence.domain.fold import evolve, fold
from cadence.domain.keys import KeyReader, addresses_read, read_again
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.domain.repeats import is_repeated
from cadence.domain.standing import (
    TAKING_BACK,
    corrected,
    is_retraction,
    standing_events,
    taken_back_by,
)
from cadence.engine.commands import check_fact, complete_attempt, unchecked_attempt
from cadence.engine.corrections import check_taking_back, correct
from cadence.errors import InputError, Refused, StoreError, printable
from cadence.policy.model import Policy
from cadence.policy.registry import PolicyRegistry, is_builtin, policy_named_by
from cadence.store.clock import WriteClock
from cadence.store.due_list import Prepared
from cadence.store.service import Cadence, Progress
from cadence.transfer.likely_duplicates import LikelyDuplicates
from cadence.transfer.row_updates import CONTACT_POINTS, RowSaid, RowUpdates
from cadence.transfer.source import (
    RECORD,
    BadLine,
    FieldCounts,
    Source,
    SourceEntry,
    SourceEvent,
    ZoneLookup,
)
from cadence.transfer.staging import StagingArea
from cadence.worktime.zones import zone

__all__ = [
    "READING",
    "ImportRefused",
    "ImportResult",
    "PreparedImport",
    "StepProgress",
    "import_all",
    "prepare",
]

StepProgress = Callable[[str], AbstractContextManager[Progress]]
"""Opens the progress report of a step of the import, by the step's name."""

READING: Final = "reading"
"""The step that counts bytes; the others count events and prospects."""

_MAX_SHOWN: Final = 20
"""How many bad lines the text of a refused import shows."""
_WHY_CORRECTED: Final = "the record has changed since it was imported"
_REPORT_EVERY: Final = 200
_GROUP: Final = 64
"""Histories that are looked up together, so that a database far away is asked less often."""
_GROUP_LINES: Final = 256
"""How many lines a group may have; it bounds the memory."""


def _no_progress(step: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


class ImportResult(NamedTuple):
    """What an import did.

    Attributes:
        prospects: prospects with events in the file.
        events: events written.
        skipped: events that were stored already.
        rows: rows, lines or events of the file.
        skipped_rows: rows that led to no event, by the reason.
        skipped_prospects: prospects without an event that the mapping needs.
        unknown_columns: columns that the mapping does not mention.
        unusable_addresses: addresses that can't be read; they are kept, and never used.
        policies: policies that were kept, because events of the file name them.
        corrected: events that were corrected, because their record has changed since.
        updated: what was taken over about people who were known.
        differing: in what the newest rows of people differ from what is kept.
        duplicates: people of the file who may be another record, by an address of both.
        entries: entries of suppression lists and lines that are new, or were ended.
        entries_known: those that were there already.
    """

    prospects: int
    events: int
    skipped: int
    rows: int = 0
    skipped_rows: dict[str, int] = {}  # noqa: RUF012  (never written to)
    skipped_prospects: int = 0
    unknown_columns: tuple[str, ...] = ()
    unusable_addresses: int = 0
    policies: int = 0
    corrected: int = 0
    updated: FieldCounts = FieldCounts()
    differing: FieldCounts = FieldCounts()
    duplicates: LikelyDuplicates = LikelyDuplicates()
    entries: int = 0
    entries_known: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give it as ``import --json`` prints it."""
        plain = self._asdict()
        plain["passed_over"] = plain.pop("skipped_rows")
        plain["prospects_passed_over"] = plain.pop("skipped_prospects")
        plain["unknown_columns"] = plain.pop("unknown_columns")
        for name in ("entries", "entries_known"):
            count = plain.pop(name)
            if self.entries or self.entries_known:
                plain[name] = count
        for name in ("updated", "differing", "duplicates"):
            counts = plain.pop(name)
            if counts.people:
                plain[name] = counts.to_dict()
        return plain


class ImportRefused(InputError):
    """Nothing of the file was imported.

    Attributes:
        lines: what is wrong, line by line.
    """

    code = "import_refused"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.lines = lines
        count = f"{len(lines)} bad line{'s' if len(lines) > 1 else ''}"
        super().__init__(
            f"{count}; nothing was imported", "fix these lines and import the file again"
        )

    def details(self) -> Iterator[str]:
        """Iterate over the bad lines in order, each as one line of text."""
        for line in self.lines:
            yield printable(f"line {line.number}: {line.what} ({line.hint})")

    def __str__(self) -> str:
        shown = list(islice(self.details(), _MAX_SHOWN))
        more = len(self.lines) - len(shown)
        return "\n".join([self.what, *shown, *([f"and {more} more"] if more else []), self.hint])


class PreparedImport:
    """An import without bad lines that waits to be written. Use it in a ``with`` block."""

    def __init__(
        self, area: StagingArea, source: Source, skipped: int, policies: Sequence[Policy]
    ) -> None:
        self._area = area
        self._tally = source.tally
        self._skipped = skipped
        self._policies = policies

    def __enter__(self) -> PreparedImport:
        return self

    def __exit__(self, *_: object) -> None:
        self._area.close()

    def batches(self) -> Iterator[Prepared]:
        """Iterate over what is to be written, prospect by prospect."""
        return self._area.prepared()

    def write(self, app: Cadence, *, steps: StepProgress = _no_progress) -> ImportResult:
        """Write it in one transaction.

        Args:
            app: the store to import into, with the events that :func:`prepare` saw.
            steps: opens the progress report of each step.

        Raises:
            Conflict: another writer changed one of the prospects meanwhile; nothing was imported.
            StoreError: the database can't be written; nothing was imported, unless it says so.
        """
        area, tally = self._area, self._tally

        def reported() -> Iterator[Prepared]:
            for number, batch in enumerate(self.batches()):
                yield batch
                if not number % _REPORT_EVERY:
                    progress(number, area.changed)

        policies = app.library.remember(self._policies)
        # Before the histories, like the policies: a kill in between leaves what the file says.
        entries = app.addresses.take_in(area.address_entries()) if area.entries else 0
        with steps("writing") as progress:
            events = app.histories.append_prepared(reported())
        try:
            duplicates = area.find_duplicates(app)
        except StoreError as error:
            raise StoreError(
                f"everything was imported, but duplicates were not looked for ({error.what})",
                "list them with: cadence duplicates",
            ) from None
        return ImportResult(
            area.prospects - tally.skipped_prospects,
            events,
            self._skipped,
            tally.rows,
            dict(tally.skipped_rows),
            tally.skipped_prospects,
            tuple(tally.unknown_columns),
            tally.unusable_addresses,
            policies,
            tally.corrected,
            tally.updated,
            tally.differing,
            duplicates,
            entries,
            area.entries - entries,
        )


def import_all(
    app: Cadence,
    source: Source,
    *,
    at: datetime | None = None,
    force: bool = False,
    steps: StepProgress = _no_progress,
) -> ImportResult:
    """Import a source, all of it or nothing: :func:`prepare` and write.

    Args:
        app: the store to import into.
        source: the file.
        at: the time of the import, after which nothing may lie; by default the machine's clock.
        force: record it also over a year after both the machine's clock and the newest event.
        steps: opens the progress report of each step.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file can't be read at all.
        Conflict: another writer changed one of the prospects meanwhile.
        StoreError: the database can't be written.
    """
    with prepare(app, source, at=at, force=force, steps=steps) as prepared:
        return prepared.write(app, steps=steps)


def prepare(
    app: Cadence,
    source: Source,
    *,
    at: datetime | None = None,
    force: bool = False,
    steps: StepProgress = _no_progress,
) -> PreparedImport:
    """Read a source and build the histories that it leads to; write nothing yet.

    Args:
        app: the store to import into.
        source: the file.
        at, force: as of :func:`import_all`.
        steps: opens the progress report of each step.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file can't be read at all.
        StoreError: the staging area has no space left.
    """
    app.library.default()  # new prospects get the one that the settings have now
    source.zone_of = _zone_lookup(app)
    source.clock = app.clock.for_write(at, force=force)
    area = StagingArea(by_time=source.by_time)
    try:
        with steps(READING) as progress:
            _stage(app, source, area, progress)
        with steps("deciding") as progress:
            skipped, policies = _build_histories(app, source, area, progress)
    except BaseException:
        area.close()
        raise
    if area.bad_count:
        raise ImportRefused(area.take_bad_lines())
    return PreparedImport(area, source, skipped, policies)


def _zone_lookup(app: Cadence) -> ZoneLookup:
    """Make the look-up of zones of prospects that are stored."""
    if not app.count():
        return lambda prospect: None

    # A row asks for the zone of its prospect; without the cache each row would be a query.
    @lru_cache(maxsize=4096)
    def zone_of(prospect: str) -> ZoneInfo | None:
        folded = fold(None, app.histories.of([prospect])[prospect])
        try:
            return None if folded is None else zone(folded.identity.zones[0])
        except InputError:
            return None  # the stored zone is unknown; that of the row is the best there is

    return zone_of


def _stage(app: Cadence, source: Source, area: StagingArea, progress: Progress) -> None:
    """Read the source into the staging area; what came for a merged record goes to its survivor."""
    items = iter(source)
    while batch := list(islice(items, _REPORT_EVERY)):
        named = {item.line.prospect for item in batch if isinstance(item, SourceEvent)}
        survivors = app.merges.survivors(sorted(named))
        for item in batch:
            if isinstance(item, SourceEntry):
                _stage_entry(app, item, source.clock, area)
                continue
            if not isinstance(item, SourceEvent):
                area.put_bad(item)
                continue
            survivor = survivors.get(item.line.prospect)
            if survivor is not None and _goes_on(item):
                if item.is_person:
                    source.tally.skipped_rows["says who a merged record is"] += 1
                    continue
                item = item.moved(survivor)
            area.put(item)
        progress(*source.position())


def _stage_entry(app: Cadence, item: SourceEntry, clock: WriteClock, area: StagingArea) -> None:
    try:
        item.check(clock)
    except InputError as error:
        if not app.addresses.has(item.entry):
            area.put_bad(BadLine.of(item.number, error))
            return
    area.put_entry(item)


def _goes_on(item: SourceEvent) -> bool:
    """Whether an event of a merged record counts in the record that goes on.

    One with a version, and the beginning, are of the old stream.
    """
    is_beginning = isinstance(item.line.data, ProspectAdded) and item.added is None
    return item.line.version is None and not is_beginning


def _build_histories(
    app: Cadence, source: Source, area: StagingArea, progress: Progress
) -> tuple[int, list[Policy]]:
    """Build each prospect's history and stage its new events.

    Returns:
        How many events were stored already, and the policies that events of the file name.
    """
    skipped = done = 0
    policies = app.library.with_arriving(source.policies.values())
    named: dict[str, Policy] = {}
    region = app.settings().default_region
    progress(done, area.lines)
    for group in _groups(area.by_prospect()):
        stored = app.histories.of([prospect for prospect, _ in group])
        for prospect, events in group:
            done += len(events)
            builder = HistoryBuilder(policies, prospect, stored[prospect], source, region)
            for bad in builder.build(events):
                area.put_bad(bad)
            skipped += builder.skipped
            named |= builder.policies_named()
            if builder.new_events and builder.prospect is not None and not area.bad_count:
                before = stored[prospect][-1] if stored[prospect] else None
                clock = source.clock.behind(before)
                area.keep(
                    app.histories.prepare(builder.prospect, builder.new_events, clock, policies)
                )
        progress(done, area.lines)
    return skipped, list(named.values())


def _groups(
    histories: Iterator[tuple[str, list[SourceEvent]]],
) -> Iterator[list[tuple[str, list[SourceEvent]]]]:
    """Split the histories into groups that are looked up together."""
    group: list[tuple[str, list[SourceEvent]]] = []
    lines = 0
    for history in histories:
        group.append(history)
        lines += len(history[1])
        if len(group) == _GROUP or lines >= _GROUP_LINES:
            yield group
            group, lines = [], 0
    if group:
        yield group


# One history --------------------------------------------------------------------------------------


class _Taken(InputError):
    """The line is refused, but the lines after it can still be checked."""


class HistoryBuilder:
    """Builds one prospect's history: the stored events, and what the file adds to them.

    Attributes:
        prospect: as the history leaves it; ``None`` without events.
        skipped: how many events of the file were stored already.
    """

    def __init__(
        self,
        policies: PolicyRegistry,
        prospect: str,
        stored: list[Event],
        source: Source,
        region: str | None = None,
    ) -> None:
        """Args:
        policies: where the policy is found that completes attempts.
        prospect: the prospect's id.
        stored: its events in the store, in order.
        source: where the new events come from.
        region: the country in which national numbers are read where the prospect has none.
        """
        self.skipped = 0
        self._region = region
        self.prospect: Prospect | None = fold(None, stored)
        self._id = prospect
        self._policies = policies
        self._source = source
        self._history = list(stored)
        self._stored = len(stored)
        self._by_time: dict[tuple[type, datetime], list[Event]] = {}
        self._by_record: dict[str, Event] = {}
        self._once: dict[str, bool] = {}  # whether the first of these rows is stored
        self._changed: list[tuple[int, Line, Event]] = []
        self._contradicted: set[str] = set()
        self._updates = RowUpdates(source.update, self.prospect)
        for event in stored:
            self._index(event)
        for event in standing_events(stored):
            if isinstance(event.data, ProspectsMerged):
                self._index_merged(event.data.history)

    @property
    def new_events(self) -> list[Event]:
        """The events that are not stored yet."""
        return self._history[self._stored :]

    def policies_named(self) -> dict[str, Policy]:
        """Return the policies that its events name, stored or not, the catalogue apart."""
        refs = {ref.digest: ref for event in self._history if (ref := policy_named_by(event.data))}
        return {
            ref.digest: policy
            for ref in refs.values()
            if not is_builtin(ref) and (policy := self._policies.by_ref(ref)) is not None
        }

    def build(self, events: Sequence[SourceEvent]) -> Iterator[BadLine]:
        """Add the events in order; gives those that are refused."""
        source = self._source
        if source.needs is not None and not self._has(source.needs, events):
            source.tally.skipped_prospects += 1
            return
        if self._stored and any(event.added is not None for event in events):
            self.skipped += 1  # the prospect itself
        for event in events:
            once = event.once
            is_first = once is None or once not in self._once
            if once is not None and is_first:
                self._once[once] = self._repeated(event) is not None
            self._take_over(event)
            if not is_first:
                source.tally.skipped_rows["not the first of its day"] += 1
                continue
            try:
                if event.is_person and self.prospect is not None:
                    continue  # what it says was taken over
                if (event.is_state and self._is_so(event.line)) or self._is_stored(event):
                    self.skipped += 1
                    continue
                yield from self._late(event)
                if event.added is not None and self.prospect is None:
                    self._append(event.added)
                if not event.is_person:
                    self._add(event.line)
            except _Taken as error:
                yield BadLine.of(event.number, error)
            except InputError as error:
                yield BadLine.of(event.number, error)
                return  # the lines after it would only be measured against the gap that it leaves
        yield from self._correct()
        source.tally.updated.add(self._updates.taken)
        source.tally.differing.add(self._updates.differing(self.prospect) | self._contradicted)

    def _take_over(self, event: SourceEvent) -> None:
        """Record what a row says about the person, where that is newer than what is kept."""
        prospect, updates = self.prospect, self._updates
        if event.added is None or prospect is None or not event.stated:
            return
        added = event.added.data
        if not isinstance(added, ProspectAdded) or updates.is_known(added, event.stated):
            return
        line = event.line
        stored = self._repeated(event)
        is_seen = stored is not None or self._once.get(event.once or "", False)
        at = line.occurred_at if stored is None else stored.occurred_at
        says = Line(
            self._id, at, line.data, frozenset(), uncertain=line.uncertain, meta=_record_of(line)
        )
        row = RowSaid(added, event.stated, at, line.command_id, is_seen)
        fields = updates.fields(prospect, row)
        if fields is not None:
            self._append(msgspec.structs.replace(says, data=fields))
            for data in read_again(prospect, fields, self._traits()):
                self._append(msgspec.structs.replace(says, data=data))
        if CONTACT_POINTS in event.stated:
            read = addresses_read(self.prospect or prospect, self._reader(self._traits()))
            if read is not None:  # a history from before, whose addresses can't be compared yet
                self._append(msgspec.structs.replace(says, data=read))
            prospect = self.prospect or prospect
            reader = self._reader(self._traits())
            for data in list(updates.points(prospect, added, reader)):
                self._append(msgspec.structs.replace(says, data=data))
            self._source.tally.unusable_addresses += reader.unusable

    def _is_so(self, line: Line) -> bool:
        """Whether a state holds already, or was lifted after its row."""
        prospect, data = self.prospect, line.data
        if prospect is None or not isinstance(data, OptOutRequested):
            return False
        out = prospect.reach.opted_out
        is_of_all = out.everything is not None and not out.exceptions
        if is_of_all if data.channel is None else data.channel in out:
            return True
        lifted = [one for one in self._history if _is_about(one.data, OptedBackIn, data)]
        lifted += [
            by
            for version, by in taken_back_by(self._history).items()
            if _is_about(self._at(version).data, OptOutRequested, data)
        ]
        is_lifted = any(event.occurred_at >= line.occurred_at for event in lifted)
        if is_lifted:
            self._contradicted.add("opt_out")
        return is_lifted

    def _late(self, event: SourceEvent) -> Iterator[BadLine]:
        """Give what lies after the clock; the lines after it are checked as if it did not."""
        try:
            event.check(self._source.clock)
        except InputError as error:
            yield BadLine.of(event.number, error)

    def _has(self, kind: type[Data], events: Sequence[SourceEvent]) -> bool:
        return any(isinstance(event.line.data, kind) for event in events) or any(
            isinstance(event.data, kind) for event in self._history
        )

    def _add(self, line: Line) -> None:
        """Add one event that is not stored yet.

        Raises:
            InputError: the history would not begin with ``ProspectAdded``, or would have two.
        """
        if isinstance(line.data, ProspectUpdated) and self.prospect is not None:
            check_fact(line.data, self.prospect.identity.country)
        begins = isinstance(line.data, ProspectAdded)
        if begins and self.prospect is not None:
            raise InputError(
                f"type: invalid ProspectAdded; {self._id!r} was added before",
                "use ProspectUpdated to correct it",
            )
        if not begins and self.prospect is None:
            raise InputError(
                f"type: missing ProspectAdded; {self._id!r} begins without it",
                "give the ProspectAdded first",
            )
        into = None if self.prospect is None else self.prospect.ending.into
        if into is not None and line.version is None:
            raise InputError(
                f"prospect: {self._id!r} was merged into {into!r} meanwhile",
                "import the file again",
            )
        if isinstance(line.data, TAKING_BACK):
            try:
                check_taking_back(self._history, line.data)
            except Refused as error:
                raise InputError(error.what, error.hint) from None
        self._append(line)

    def _is_stored(self, source_event: SourceEvent) -> bool:
        """Return whether an event is stored already.

        Raises:
            InputError: its version or record is taken by another, or its version leaves a gap.
        """
        line = source_event.line
        if self._source.by_record and line.command_id is not None:
            return self._is_stored_record(source_event, line.command_id)
        if line.version is None:
            return self._same_by_time(source_event) is not None
        last = self._last
        if line.version <= last:
            event = self._at(line.version)
            if type(event.data) is not Unreadable and not _is_same(line, event):
                raise _Taken(
                    f"version: invalid {line.version}; {self._id!r} has {_name(event)} there",
                    "give a new event at the end; stored events never change",
                )
            return True
        if line.version > last + 1:
            raise InputError(
                f"version: invalid {line.version}; {self._id!r} has {plural(last, 'event')}",
                f"use {last + 1}, the next version",
            )
        return False

    def _repeated(self, event: SourceEvent) -> Event | None:
        """Find the event that was stored for a row when it was imported before."""
        record = event.line.command_id
        return self._same_by_time(event) if record is None else self._by_record.get(record)

    def _same_by_time(self, source_event: SourceEvent) -> Event | None:
        """Find the event that a line without a version or record repeats."""
        for one in self._readings(source_event):
            line = one.line
            for event in self._by_time.get((type(line.data), line.occurred_at), ()):
                if _is_same(line, event):
                    return event
        return None

    @property
    def _last(self) -> int:
        """The last version; that of a damaged history may be larger than its number of events."""
        return self._history[-1].version if self._history else 0

    def _at(self, version: int) -> Event:
        """Return the event of this version; in a hole, what stands for it."""
        return self._history[bisect_right(self._history, version, key=_version) - 1]

    def _is_stored_record(self, source_event: SourceEvent, record: str) -> bool:
        event = self._by_record.get(record)
        if event is None:
            return False
        # What it was corrected from was seen too: an old file corrects nothing back.
        versions = [event, *(corrected(event, one) for one in self._corrections_of(event))]
        for reading in self._readings(source_event):
            line = _line_for(reading, event)
            if any(_is_same(line, one) for one in versions):
                return True
        if event.prospect != self._id:
            # An event of a merged record; its own stream says what became of it.
            self._contradicted.add(f"record of {event.prospect}")
            return True
        line = _line_for(source_event, event)
        if self._source.changed == "refuse":
            raise _Taken(
                f"record: invalid {record!r}; {self._id!r} has it with other content as version "
                f"{event.version}, {_name(event)}",
                'set changed = "correct" in the mapping to correct it, or "keep" to keep it',
            )
        if self._source.changed == "correct":
            self._changed.append((source_event.number, line, event))
        return True

    def _readings(self, event: SourceEvent) -> Iterator[SourceEvent]:
        """Give a row as it is read now, and as it was read in each zone the person was in."""
        yield event
        if event.local is not None:
            for name in self._updates.zones():
                with suppress(InputError):  # a stored zone may be unknown
                    yield event.in_zone(zone(name))

    def _corrections_of(self, event: Event) -> Iterator[EventCorrected]:
        for one in self._history:
            if isinstance(one.data, EventCorrected) and one.data.version == event.version:
                yield one.data

    def _correct(self) -> Iterator[BadLine]:
        """Correct the records that changed since, after what is new: that was not known then."""
        for number, line, event in self._changed:
            if is_retraction(taken_back_by(self._history).get(event.version)):
                continue  # a user said that it never happened
            try:
                self._correct_one(line, event)
            except InputError as error:
                yield BadLine.of(number, error)
            except Refused:
                continue  # what was filled in says so already
            else:
                self.skipped -= 1
                self._source.tally.corrected += 1

    def _correct_one(self, line: Line, event: Event) -> None:
        prospect, at = self.prospect, self._source.clock.now
        policy = None if prospect is None else self._policies.of(prospect)
        data = self._with_keys(line.data, policy)
        now = msgspec.structs.replace(
            line, occurred_at=at, recorded_at=None, command_id=None, uncertain=None, meta=None
        )
        if type(data) is type(event.data):
            moved = None if line.occurred_at == event.occurred_at else line.occurred_at
            what = EventCorrected(event.version, data, moved, _WHY_CORRECTED)
            self._append(
                msgspec.structs.replace(now, data=correct(self._history, what, self._policies))
            )
            return
        retraction = EventRetracted(event.version, _WHY_CORRECTED)
        check_taking_back(self._history, retraction)
        self._append(msgspec.structs.replace(now, data=retraction))
        self._append(line)

    def _append(self, line: Line) -> None:
        prospect, data = self.prospect, line.data
        policy = self._policies.default if prospect is None else self._policies.of(prospect)
        data = self._with_keys(data, policy)
        if isinstance(data, ProspectAdded) and data.policy is None:
            data = msgspec.structs.replace(data, policy=self._policies.default.ref)
        recorded = line.recorded_at
        if recorded is None:
            # Not before it happened, and not before the event above it was recorded.
            before = prospect.recorded_at if prospect is not None else line.occurred_at
            recorded = max(before, line.occurred_at)
        if isinstance(data, AttemptMade) and prospect is not None:
            if policy is not None and prospect.unreadable is None:
                at = line.occurred_at
                data = complete_attempt(prospect, data, policy, at, recorded, given=line.given)
            else:
                data = unchecked_attempt(prospect, data)
        event = Event(
            self._id,
            self._last + 1,
            line.occurred_at,
            recorded,
            data,
            line.by,
            line.correlation,
            line.command_id,
            line.uncertain,
            line.meta,
        )
        self._history.append(event)
        if isinstance(data, TAKING_BACK):
            self.prospect = fold(None, self._history)
        else:
            self.prospect = evolve(prospect, event)
        self._index(event)

    def _with_keys(self, data: Data, policy: Policy | None) -> Data:
        """Fill in the keys of addresses; one that can't be read is kept, and counted."""
        prospect = self.prospect
        if prospect is not None and prospect.reach.unread:
            return data  # a history from before: the next command reads all its addresses
        country = data.country if isinstance(data, ProspectAdded) else None
        reader = self._reader(BUILT_IN if policy is None else policy.traits, country)
        keyed = reader.data(data)
        self._source.tally.unusable_addresses += reader.unusable
        return keyed

    def _reader(
        self, traits: Mapping[Channel, ChannelTraits], country: str | None = None
    ) -> KeyReader:
        """Make what reads addresses in the country of the prospect, or in the one given."""
        prospect = self.prospect
        known = () if prospect is None else prospect.reach.contact_points
        country = country if prospect is None else prospect.identity.country
        return KeyReader(traits, lambda: country or self._region, known, is_strict=False)

    def _traits(self) -> Mapping[Channel, ChannelTraits]:
        """The channels that the prospect's policy knows."""
        policy = None if self.prospect is None else self._policies.of(self.prospect)
        return BUILT_IN if policy is None else policy.traits

    def _index_merged(self, history: Sequence[Event]) -> None:
        """Know what was imported for a record before it was merged into this one."""
        for event in history:
            self._remember(event)
            if isinstance(event.data, ProspectsMerged):
                self._index_merged(event.data.history)

    def _index(self, event: Event) -> None:
        self._updates.note(event)
        self._remember(event)

    def _remember(self, event: Event) -> None:
        self._by_time.setdefault((type(event.data), event.occurred_at), []).append(event)
        if event.command_id is not None:
            self._by_record[event.command_id] = event


def _version(event: Event) -> int:
    return event.version


def _is_same(line: Line, event: Event) -> bool:
    """Whether ``line`` is ``event``, except for recorded_at and what an import completes."""
    if line.occurred_at != event.occurred_at:
        return False
    return is_repeated(line.data, event.data, line.given)


def _is_about(
    data: Data, kind: type[OptedBackIn | OptOutRequested], opt_out: OptOutRequested
) -> bool:
    """Whether ``data`` is of this kind and about all that ``opt_out`` is about."""
    return isinstance(data, kind) and data.channel in (None, opt_out.channel)


def _line_for(reading: SourceEvent, event: Event) -> Line:
    """The line of a row, at the time that it says if it is that of a stored ``event``."""
    if reading.named is None:
        return reading.line
    return msgspec.structs.replace(reading.line, occurred_at=reading.happened_at(event))


def _record_of(line: Line) -> dict[str, str] | None:
    return None if line.command_id is None else {RECORD: line.command_id}


def _name(event: Event) -> str:
    return f"{type(event.data).__name__} of {event.occurred_at:%Y-%m-%dT%H:%M:%SZ}"
