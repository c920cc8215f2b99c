"""Histories as JSONL: reading a file into events, all or nothing, and writing one.

Reading collects every bad line before it refuses the file, fills in what an attempt from elsewhere
does not carry, and skips what is stored already, so that importing twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import IO, NamedTuple

import msgspec

from cadence.core.events import AttemptMade, Event, ProspectAdded, ProspectUpdated
from cadence.core.evolve import evolve, fold
from cadence.core.prospect import Prospect
from cadence.core.wire import Line, data_fields, decode_line, encode_line
from cadence.errors import InputError
from cadence.policy.decide import check_fact, complete_attempt, unjudged_attempt
from cadence.store.application import Cadence, Progress

__all__ = ["BadLine", "ImportRefused", "Imported", "export_jsonl", "import_jsonl"]


class BadLine(NamedTuple):
    """A line that is no event, or does not fit its history."""

    number: int
    what: str
    mend: str


class ImportRefused(InputError):
    """Nothing of the file was imported; ``lines`` says why, line by line."""

    def __init__(self, lines: list[BadLine]) -> None:
        self.lines = lines
        shown = "\n".join(f"line {line.number}: {line.what} ({line.mend})" for line in lines)
        count = f"{len(lines)} bad line{'s' if len(lines) > 1 else ''}"
        super().__init__(
            f"{count}; nothing was imported\n{shown}", "mend these lines and import the file again"
        )


class _Taken(InputError):
    """The line's version is taken by something else; the lines after it can still be judged."""


class Imported(NamedTuple):
    """What an import did."""

    prospects: int
    events: int
    skipped: int
    """Events that were stored already."""


def import_jsonl(
    app: Cadence, lines: Iterable[bytes], *, progress: Progress | None = None
) -> Imported:
    """Import a JSONL file, all of it or nothing.

    Args:
        app: where to.
        lines: the file's lines.
        progress: told how many prospects are done.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
    """
    bad: list[BadLine] = []
    by_prospect: dict[str, list[tuple[int, Line]]] = {}
    for number, raw in enumerate(lines, 1):
        text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        if not text.strip():
            continue
        try:
            line = decode_line(text)
            if not isinstance(line.data, ProspectUpdated):  # its country may stand above
                check_fact(line.data)
        except InputError as error:
            bad.append(BadLine(number, error.what, error.mend))
            continue
        by_prospect.setdefault(line.prospect, []).append((number, line))
    histories: list[tuple[list[Event], int]] = []
    skipped = 0
    for prospect, found in by_prospect.items():
        builder = _Builder(app, prospect)
        for number, line in found:
            try:
                builder.add(line)
            except _Taken as error:
                bad.append(BadLine(number, error.what, error.mend))
            except InputError as error:
                bad.append(BadLine(number, error.what, error.mend))
                break  # what follows would only be measured against the gap this leaves
        histories.append((builder.history, builder.stored))
        skipped += builder.skipped
    if bad:
        raise ImportRefused(sorted(bad))
    events = app.append_histories(histories, progress=progress)
    return Imported(len(by_prospect), events, skipped)


class _Builder:
    """One prospect's history: what is stored, and what the file adds to it."""

    def __init__(self, app: Cadence, prospect: str) -> None:
        self.app = app
        self.id = prospect
        self.history = app.stream(prospect)
        self.stored = len(self.history)
        self.skipped = 0
        self.folded: Prospect | None = fold(None, self.history)
        self._seen: dict[tuple[type, datetime], list[Event]] = {}
        for event in self.history:
            self._remember(event)

    def _remember(self, event: Event) -> None:
        self._seen.setdefault((type(event.data), event.occurred_at), []).append(event)

    def add(self, line: Line) -> None:
        """Take one line in.

        Raises:
            InputError: its version is taken by something else, or leaves a hole, or the history
                does not begin with ``ProspectAdded``.
        """
        if line.version is None:
            same = self._seen.get((type(line.data), line.occurred_at), ())
            if any(_same(line, event) for event in same):
                self.skipped += 1
                return
        elif line.version <= len(self.history):
            event = self.history[line.version - 1]
            if not _same(line, event):
                raise _Taken(
                    f"version: {line.version} of {self.id!r} is taken by "
                    f"{type(event.data).__name__} of {_instant(event.occurred_at)}",
                    "an event is never rewritten; add a new one at the end",
                )
            self.skipped += 1
            return
        elif line.version > len(self.history) + 1:
            raise InputError(
                f"version: {line.version} of {self.id!r} leaves a hole after {len(self.history)}",
                f"the next version is {len(self.history) + 1}",
            )
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

    def _append(self, line: Line) -> None:
        data = line.data
        if isinstance(data, AttemptMade):
            assert self.folded is not None  # add() looked
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


def export_jsonl(
    app: Cadence, out: IO[bytes], *, progress: Callable[[int, int | None], None] | None = None
) -> int:
    """Write every history as JSONL, prospect by prospect, in order of version.

    Returns:
        How many events were written.
    """
    written = 0
    for number, prospect in enumerate(app.prospects(), 1):
        for line in _lines(app, prospect):
            out.write(line)
            written += 1
        if progress is not None:
            progress(number, None)
    return written


def _lines(app: Cadence, prospect: str) -> Iterator[bytes]:
    for event in app.history(prospect):
        yield encode_line(event) + b"\n"
