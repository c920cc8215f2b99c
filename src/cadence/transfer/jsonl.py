"""Histories as JSONL: reading a file line by line, and writing one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import IO

from cadence.domain.codec import decode_line, encode_line
from cadence.domain.events import ProspectUpdated
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.store.service import Cadence, Progress
from cadence.transfer.importer import (
    BadLine,
    Found,
    Imported,
    ImportRefused,
    import_all,
)
from cadence.transfer.source import Position, Source

__all__ = ["BadLine", "ImportRefused", "Imported", "Jsonl", "export_jsonl", "import_jsonl"]


class Jsonl(Source):
    """The lines of a JSONL file, as something to import."""

    def __init__(self, lines: Iterable[bytes], position: Position | None = None) -> None:
        """Args:
        lines: the file's lines.
        position: says how many bytes have been read.
        """
        super().__init__(position)
        self._lines = lines

    def __iter__(self) -> Iterator[Found | BadLine]:
        for number, raw in enumerate(self._lines, 1):
            text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not text.strip():
                continue
            self.tally.rows += 1
            try:
                line = decode_line(text)
                if not isinstance(line.data, ProspectUpdated):  # its country may stand above
                    check_fact(line.data)
                yield Found(number, line)
            except InputError as error:
                yield BadLine.of(number, error)


def import_jsonl(
    app: Cadence, lines: Iterable[bytes], *, progress: Progress | None = None
) -> Imported:
    """Import a JSONL file, all of it or nothing.

    Args:
        app: where to.
        lines: the file's lines.
        progress: told how far each step of the work is.

    Raises:
        ImportRefused: lines are bad; names each with its number and field.
    """
    told = progress or (lambda done, total: None)
    return import_all(app, Jsonl(lines), steps=lambda step: nullcontext(told))


def export_jsonl(
    app: Cadence, out: IO[bytes], *, progress: Callable[[int, int | None], None] | None = None
) -> int:
    """Write every history as JSONL, prospect by prospect, in order of version.

    Returns:
        How many events were written.
    """
    written = 0
    for number, prospect in enumerate(app.prospects(), 1):
        for event in app.history(prospect):
            out.write(encode_line(event) + b"\n")
            written += 1
        if progress is not None:
            progress(number, None)
    return written
