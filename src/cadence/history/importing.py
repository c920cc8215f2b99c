"""Importing: any file's events into the store, all of them or nothing, in bounded memory.

First every line is read and put into a spool, which sorts them by prospect. Then each prospect's
history is built: what is stored already is skipped, and an attempt gets what it does not carry.
Only when no line is bad is the result written, in one transaction; so an import that was
interrupted has left nothing, and importing twice changes nothing (ADR 0023).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from cadence.core.events import AttemptMade, Data, Event, ProspectAdded, ProspectUpdated
from cadence.core.evolve import evolve, fold
from cadence.core.prospect import Prospect
from cadence.core.wire import Line, data_fields
from cadence.errors import InputError
from cadence.history.spool import BadLine, BadLines, Found, Spool
from cadence.policy.decide import check_fact, complete_attempt, unjudged_attempt
from cadence.store.application import Cadence, Progress
from cadence.store.due import Prepared

__all__ = [
    "READING",
    "BadLine",
    "Found",
    "Import",
    "ImportRefused",
    "Imported",
    "Source",
    "Steps",
    "Tally",
    "import_all",
    "prepare",
]

Steps = Callable[[str], AbstractContextManager[Progress]]
"""Makes, for each step of the work, what is told how far it is."""

Position = Callable[[], tuple[int, int | None]]

READING: Final = "reading"
"""The step of an import that counts bytes; the others count events and prospects."""

_SHOWN: Final = 20
_OFTEN: Final = 200


def _quietly(step: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


class Tally:
    """What a source counts while it is read.

    Attributes:
        rows: how many rows, lines or events the file has.
        passed_over: how many of them lead to no event, by the reason why.
        unknown_columns: columns that the mapping says nothing about.
        prospects_passed_over: how many prospects had nothing that the mapping needs.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.passed_over: Counter[str] = Counter()
        self.unknown_columns: list[str] = []
        self.prospects_passed_over = 0


class Source(ABC):
    """A file, as something to import.

    Attributes:
        tally: what was counted while it was read.
        by_time: whether the events of a prospect are ordered by when they happened, not as they
            stand.
        by_record: whether an event is known again by its ``command_id``, which names the record
            that it is from.
        keep_changed: whether a record that was imported before with other content is passed over,
            not refused.
        needs: a prospect that has none of these is passed over.
    """

    by_time = False
    by_record = False
    keep_changed = False
    needs: type[Data] | None = None

    def __init__(self, position: Position | None = None) -> None:
        """Args:
        position: says how many bytes have been read, and how many there are if that is known.
        """
        self.tally = Tally()
        self.position = position or (lambda: (self.tally.rows, None))

    @abstractmethod
    def __iter__(self) -> Iterator[Found | BadLine]:
        """The events, and the lines that are none."""


class Imported(NamedTuple):
    """What an import did."""

    prospects: int
    events: int
    skipped: int
    """Events that were stored already."""
    rows: int = 0
    """Rows, lines or events of the file."""
    passed_over: dict[str, int] = {}  # noqa: RUF012  (never written to)
    """How many rows led to no event, by the reason why."""
    prospects_passed_over: int = 0
    """Prospects that had nothing that the mapping needs."""
    unknown_columns: tuple[str, ...] = ()


class ImportRefused(InputError):
    """Nothing of the file was imported; ``lines`` says why, line by line."""

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.lines = lines
        count = f"{len(lines)} bad line{'s' if len(lines) > 1 else ''}"
        super().__init__(
            f"{count}; nothing was imported", "mend these lines and import the file again"
        )

    def details(self) -> Iterator[str]:
        """One line of text for each bad line, in order."""
        return (f"line {line.number}: {line.what} ({line.mend})" for line in self.lines)

    def __str__(self) -> str:
        shown = list(islice(self.details(), _SHOWN))
        more = len(self.lines) - len(shown)
        return "\n".join([self.what, *shown, *([f"and {more} more"] if more else []), self.mend])


class Import:
    """An import that was found good, and waits to be written. Use it in a ``with`` block."""

    def __init__(self, spool: Spool, source: Source, skipped: int) -> None:
        self._spool = spool
        self._tally = source.tally
        self._skipped = skipped

    def __enter__(self) -> Import:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def write(self, app: Cadence, *, steps: Steps = _quietly) -> Imported:
        """Write it, in one transaction.

        Raises:
            Conflict: somebody else wrote to one of the prospects meanwhile; nothing was imported.
            StoreError: the database can't be written; nothing was imported.
        """
        spool, tally = self._spool, self._tally

        def batches() -> Iterator[Prepared]:
            for number, one in enumerate(spool.prepared()):
                yield one
                if not number % _OFTEN:
                    progress(number, spool.changed)

        with steps("writing") as progress:
            events = app.append_prepared(batches())
        return Imported(
            spool.prospects - tally.prospects_passed_over,
            events,
            self._skipped,
            tally.rows,
            dict(tally.passed_over),
            tally.prospects_passed_over,
            tuple(tally.unknown_columns),
        )


def prepare(app: Cadence, source: Source, *, steps: Steps = _quietly) -> Import:
    """Read a source, and make of it what is to be written into ``app``; write nothing yet.

    Args:
        app: where to.
        source: the file.
        steps: makes what is told how far the reading, deciding and writing are.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file can't be read at all.
        StoreError: there is no room for what is read.
    """
    spool = Spool(by_time=source.by_time)
    try:
        with steps(READING) as progress:
            for number, item in enumerate(source):
                if isinstance(item, Found):
                    spool.put(item)
                else:
                    spool.put_bad(item)
                if not number % _OFTEN:
                    progress(*source.position())
        skipped = 0
        with steps("deciding") as progress:
            done = 0
            progress(done, spool.lines)
            for number, (prospect, lines) in enumerate(spool.by_prospect()):
                builder = _Builder(app, prospect, source)
                found = list(lines)
                done += len(found)
                for bad in builder.build(found):
                    spool.put_bad(bad)
                skipped += builder.skipped
                if builder.new and builder.folded is not None:
                    spool.keep(app.prepare(builder.folded, builder.new))
                if not number % _OFTEN:
                    progress(done, spool.lines)
        if spool.bad_count:
            raise ImportRefused(spool.bad_lines())
    except BaseException as error:
        if not (isinstance(error, ImportRefused) and error.lines.__class__ is BadLines):
            spool.close()
        raise
    return Import(spool, source, skipped)


def import_all(app: Cadence, source: Source, *, steps: Steps = _quietly) -> Imported:
    """Import a source, all of it or nothing: :func:`prepare` and write.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        InputError: the file can't be read at all.
        Conflict: somebody else wrote to one of the prospects meanwhile.
        StoreError: the database can't be written.
    """
    with prepare(app, source, steps=steps) as found:
        return found.write(app, steps=steps)


class _Taken(InputError):
    """The line can't stand as it is; the lines after it can still be judged."""


class _Builder:
    """One prospect's history: what is stored, and what the file adds to it."""

    def __init__(self, app: Cadence, prospect: str, source: Source) -> None:
        self.app = app
        self.id = prospect
        self.history = app.stream(prospect)
        self.skipped = 0
        self.folded: Prospect | None = fold(None, self.history)
        self._source = source
        self._stored = len(self.history)
        self._seen: dict[tuple[type, datetime], list[Event]] = {}
        self._records: dict[str, Event] = {}
        self._once: set[str] = set()
        for event in self.history:
            self._remember(event)

    @property
    def new(self) -> list[Event]:
        """The events that are not stored yet."""
        return self.history[self._stored :]

    def build(self, found: Sequence[Found]) -> Iterator[BadLine]:
        """Take the lines in, in order; what comes out are those that can't be."""
        source = self._source
        if source.needs is not None and not self._has(source.needs, found):
            source.tally.prospects_passed_over += 1
            return
        for number, line, added, once in found:
            if once is not None:
                if once in self._once:
                    source.tally.passed_over["not the first of its day"] += 1
                    continue
                self._once.add(once)
            try:
                if added is not None and self.folded is None:
                    self._append(added)
                self._add(line)
            except _Taken as error:
                yield BadLine(number, error.what, error.mend)
            except InputError as error:
                yield BadLine(number, error.what, error.mend)
                break  # what follows would only be measured against the gap this leaves

    def _has(self, kind: type[Data], found: Sequence[Found]) -> bool:
        return any(isinstance(one.line.data, kind) for one in found) or any(
            isinstance(event.data, kind) for event in self.history
        )

    def _remember(self, event: Event) -> None:
        self._seen.setdefault((type(event.data), event.occurred_at), []).append(event)
        if event.command_id is not None:
            self._records[event.command_id] = event

    def _add(self, line: Line) -> None:
        """Take one line in.

        Raises:
            InputError: its version is taken by something else, or leaves a hole, or the history
                does not begin with ``ProspectAdded``.
        """
        if self._is_known(line):
            self.skipped += 1
            return
        if isinstance(line.data, ProspectUpdated) and self.folded is not None:
            check_fact(line.data, self.folded.country)
        begins = isinstance(line.data, ProspectAdded)
        if begins != (self.folded is None):
            raise InputError(
                f"type: {self.id!r} "
                + ("was added before" if begins else "begins without ProspectAdded"),
                "use ProspectUpdated to correct it" if begins else "add the person first",
            )
        self._append(line)

    def _is_known(self, line: Line) -> bool:
        """Whether the line is an event that is there already."""
        if self._source.by_record and line.command_id is not None:
            return self._is_known_record(line, line.command_id)
        if line.version is None:
            same = self._seen.get((type(line.data), line.occurred_at), ())
            return any(_same(line, event) for event in same)
        if line.version <= len(self.history):
            event = self.history[line.version - 1]
            if not _same(line, event):
                raise _Taken(
                    f"version: {line.version} of {self.id!r} is taken by "
                    f"{type(event.data).__name__} of {_instant(event.occurred_at)}",
                    "an event is never rewritten; add a new one at the end",
                )
            return True
        if line.version > len(self.history) + 1:
            raise InputError(
                f"version: {line.version} of {self.id!r} leaves a hole after {len(self.history)}",
                f"the next version is {len(self.history) + 1}",
            )
        return False

    def _is_known_record(self, line: Line, record: str) -> bool:
        event = self._records.get(record)
        if event is None:
            return False
        if not _same(line, event) and not self._source.keep_changed:
            raise _Taken(
                f"record: {record!r} of {self.id!r} stands there already as version "
                f"{event.version}, {type(event.data).__name__} of {_instant(event.occurred_at)}, "
                "with other content",
                'an event is never rewritten; to keep it as it is say changed = "keep" '
                "in the mapping",
            )
        return True

    def _append(self, line: Line) -> None:
        data = line.data
        if isinstance(data, AttemptMade):
            assert self.folded is not None  # _add() looked
            policy = self.app.policies.of(self.folded)
            if policy is not None:
                data = complete_attempt(self.folded, data, policy, line.occurred_at, line.given)
            else:
                data = unjudged_attempt(self.folded, data)
        recorded = line.recorded_at
        if recorded is None:
            # Nobody learnt of it before it happened, nor before what stands above it.
            before = self.folded.recorded_at if self.folded is not None else line.occurred_at
            recorded = max(before, line.occurred_at)
        event = Event(
            self.id,
            len(self.history) + 1,
            line.occurred_at,
            recorded,
            data,
            line.by,
            line.correlation,
            line.command_id,
            line.uncertain,
        )
        self.history.append(event)
        self.folded = evolve(self.folded, event)
        self._remember(event)


def _same(line: Line, event: Event) -> bool:
    """Whether ``line`` is ``event``, leaving aside recorded_at and what an importer fills in."""
    if type(line.data) is not type(event.data) or line.occurred_at != event.occurred_at:
        return False
    ours, theirs = data_fields(line.data), data_fields(event.data)
    if isinstance(line.data, AttemptMade) and isinstance(event.data, AttemptMade):
        theirs["parts"] = _bare(line.data, event.data)
        return all(ours.get(name) == theirs.get(name) for name in line.given)
    return ours == theirs


def _bare(line: AttemptMade, event: AttemptMade) -> list[dict[str, str]]:
    """The event's parts, without the addresses that the line did not give."""
    parts: list[dict[str, str]] = msgspec.to_builtins(event.parts)
    for given, part in zip(line.parts, parts, strict=False):
        if given.address is None:
            part.pop("address", None)
    return parts


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
