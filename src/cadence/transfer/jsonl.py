"""Read and write histories as JSONL, one event a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import IO

from cadence.domain.codec import encode_line
from cadence.domain.events import Event
from cadence.domain.words import AddressEntry
from cadence.errors import InputError
from cadence.policy.registry import is_builtin, policy_named_by
from cadence.store.service import Cadence, Progress
from cadence.transfer.entry_lines import decode_entry, encode_entry, is_entry_line
from cadence.transfer.exporter import Exported, write_histories
from cadence.transfer.importer import ImportResult, import_all
from cadence.transfer.policy_lines import decode_policy, encode_policy, is_policy_line
from cadence.transfer.source import (
    BadLine,
    Position,
    Source,
    SourceEntry,
    SourceEvent,
    decode_checked,
)

__all__ = ["JsonlSource", "export_jsonl", "import_jsonl"]

_BOM = b"\xef\xbb\xbf"


class JsonlSource(Source):
    """The lines of a JSONL file."""

    def __init__(self, lines: Iterable[bytes], position: Position | None = None) -> None:
        """Args:
        lines: the file's lines.
        position: says how many bytes have been read.
        """
        super().__init__(position)
        self._lines = lines

    def __iter__(self) -> Iterator[SourceEvent | SourceEntry | BadLine]:
        for number, raw in enumerate(self._lines, 1):
            text = raw.removeprefix(_BOM) if number == 1 else raw
            if not text.strip():
                continue
            self.tally.rows += 1
            try:
                if is_policy_line(text):
                    policy = decode_policy(text)
                    self.policies[policy.digest] = policy
                    continue
                if is_entry_line(text):
                    yield SourceEntry(number, decode_entry(text))
                    continue
                yield SourceEvent(number, decode_checked(text))
            except InputError as error:
                yield BadLine.of(number, error)


def import_jsonl(
    app: Cadence,
    lines: Iterable[bytes],
    *,
    at: datetime | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportResult:
    """Import a JSONL file, all of it or nothing.

    Args:
        app: the store to import into.
        lines: the file's lines.
        at: the time of the import, after which nothing may lie; by default the machine's clock.
        force: record it also over a year after both the machine's clock and the newest event.
        progress: told how far each step of the work is.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
        Conflict: another writer changed one of the prospects meanwhile.
        StoreError: the database can't be written.
    """
    report = progress or (lambda done, total: None)
    source = JsonlSource(lines)
    return import_all(app, source, at=at, force=force, steps=lambda step: nullcontext(report))


def export_jsonl(app: Cadence, out: IO[bytes], *, progress: Progress | None = None) -> Exported:
    """Write every history as JSONL, and what it needs before it.

    The entries of suppression lists and lines come first, also those that were taken back. Each
    policy stands before the first event that names it; the catalogue is left out, since every
    cadence has it.
    """
    written: set[str] = set()

    def encode(prospect: str, events: list[Event]) -> bytes:
        return b"".join(line + b"\n" for event in events for line in lines(event))

    def lines(event: Event) -> Iterator[bytes]:
        ref = policy_named_by(event.data)
        if ref is not None and ref.digest not in written and not is_builtin(ref):
            written.add(ref.digest)
            policy = app.policies.by_ref(ref)
            if policy is not None:  # else its text was never here
                yield encode_policy(policy)
        yield encode_line(event)

    def entry_line(entry: AddressEntry) -> bytes:
        return encode_entry(entry) + b"\n"

    return write_histories(app, out, encode, progress, encode_entry=entry_line)
