"""One prospect's history while it is imported: what is stored, and what the file adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from cadence.domain.codec import Line, data_fields
from cadence.domain.events import AttemptMade, Data, Event, ProspectAdded, ProspectUpdated
from cadence.domain.fold import evolve, fold
from cadence.domain.prospect import Prospect
from cadence.engine.commands import check_fact, complete_attempt, unchecked_attempt
from cadence.errors import InputError
from cadence.policy.registry import PolicyRegistry
from cadence.transfer.source import Source
from cadence.transfer.staging import BadLine, Found

__all__ = ["HistoryBuilder"]


class _Taken(InputError):
    """The line can't stand as it is; the lines after it can still be judged."""


class HistoryBuilder:
    """One prospect's history: what is stored, and what the file adds to it."""

    def __init__(
        self, policies: PolicyRegistry, prospect: str, history: list[Event], source: Source
    ) -> None:
        """Args:
        policies: under which attempts are filled in.
        prospect: its id.
        history: what is stored of it.
        source: where the new events come from.
        """
        self.id = prospect
        self.history = history
        self._policies = policies
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
        if self._stored and any(one.added is not None for one in found):
            self.skipped += 1  # that the person was added
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
                yield BadLine.of(number, error)
            except InputError as error:
                yield BadLine.of(number, error)
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
            check_fact(line.data, self.folded.identity.country)
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
            policy = self._policies.of(self.folded)
            if policy is not None:
                data = complete_attempt(self.folded, data, policy, line.occurred_at, line.given)
            else:
                data = unchecked_attempt(self.folded, data)
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
