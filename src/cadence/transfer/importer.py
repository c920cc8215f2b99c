"""Importing: any file's events into the store, all of them or nothing, in bounded memory.

First every line is read and put into a spool, which sorts them by prospect. Then each prospect's
history is built: what is stored already is skipped, and an attempt gets what it does not carry.
Only when no line is bad is the result written, in one transaction; so an import that was
interrupted has left nothing, and importing twice changes nothing (ADR 0023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from cadence.domain.fold import fold
from cadence.errors import InputError
from cadence.store.due_list import Prepared
from cadence.store.service import Cadence, Progress
from cadence.transfer.builder import HistoryBuilder
from cadence.transfer.source import Source, Tally, ZoneOf
from cadence.transfer.staging import BadLine, BadLines, Found, Spool
from cadence.worktime.zones import zone

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

READING: Final = "reading"
"""The step of an import that counts bytes; the others count events and prospects."""

_SHOWN: Final = 20
_OFTEN: Final = 200
_GROUP: Final = 64
_GROUP_LINES: Final = 256


def _quietly(step: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda done, total: None)


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

    code = "import_refused"

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.lines = lines
        count = f"{len(lines)} bad line{'s' if len(lines) > 1 else ''}"
        super().__init__(
            f"{count}; nothing was imported", "mend these lines and import the file again"
        )

    def details(self) -> Iterator[str]:
        """One line of text for each bad line, in order."""
        return (f"line {line.number}: {line.what} ({line.hint})" for line in self.lines)

    def __str__(self) -> str:
        shown = list(islice(self.details(), _SHOWN))
        more = len(self.lines) - len(shown)
        return "\n".join([self.what, *shown, *([f"and {more} more"] if more else []), self.hint])


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
    source.zone_of = _zones(app)
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
            for group in _groups(spool.by_prospect()):
                stored = app.histories_of([prospect for prospect, _ in group])
                for prospect, found in group:
                    done += len(found)
                    builder = HistoryBuilder(app.policies, prospect, stored[prospect], source)
                    for bad in builder.build(found):
                        spool.put_bad(bad)
                    skipped += builder.skipped
                    if builder.new and builder.folded is not None:
                        spool.keep(app.prepare(builder.folded, builder.new))
                progress(done, spool.lines)
        if spool.bad_count:
            raise ImportRefused(spool.bad_lines())
    except BaseException as error:
        if not (isinstance(error, ImportRefused) and error.lines.__class__ is BadLines):
            spool.close()
        raise
    return Import(spool, source, skipped)


def _zones(app: Cadence) -> ZoneOf:
    """The zones of those whom ``app`` knows; asked once for each, as rows come."""
    if not app.count():
        return lambda prospect: None

    @lru_cache(maxsize=4096)
    def zone_of(prospect: str) -> ZoneInfo | None:
        folded = fold(None, app.histories_of([prospect])[prospect])
        try:
            return None if folded is None else zone(folded.identity.zones[0])
        except InputError:
            return None  # known with a zone that nobody knows: that of the row is the best there is

    return zone_of


def _groups(
    histories: Iterator[tuple[str, list[Found]]],
) -> Iterator[list[tuple[str, list[Found]]]]:
    """Histories by the few dozen, so that a database far away is not asked for each alone."""
    group: list[tuple[str, list[Found]]] = []
    lines = 0
    for history in histories:
        group.append(history)
        lines += len(history[1])
        if len(group) == _GROUP or lines >= _GROUP_LINES:
            yield group
            group, lines = [], 0
    if group:
        yield group


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
