"""Histories as CSV, for spreadsheets, and back again without loss.

A row an event; ``data`` is the event's JSON, and the last three columns say of it what people look
for. A text that a spreadsheet would take for a formula is written with a ``'`` in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Final

import msgspec

from cadence.domain.codec import InvalidJson, Line, decode_line, to_builtins
from cadence.domain.events import AttemptMade, Data, Event, ProspectUpdated
from cadence.engine.commands import check_fact
from cadence.errors import InputError
from cadence.store.service import Cadence
from cadence.transfer.csv_reader import Columns, read_table
from cadence.transfer.source import Position, Source
from cadence.transfer.staging import BadLine, Found

__all__ = ["OwnCsv", "export_csv", "is_own_header"]

_ENVELOPE: Final = (
    *("prospect", "version", "type", "occurred_at", "recorded_at"),
    *("by", "correlation", "command_id", "uncertain"),
)
_READABLE: Final = ("stage", "channels", "dispositions")
_HEADER: Final = (*_ENVELOPE, "data", *_READABLE)
_NEEDED: Final = ("prospect", "type", "occurred_at", "data")
_TEXTS: Final = ("prospect", "by", "correlation", "command_id", "uncertain")
_FORMULA: Final = tuple("=+-@\t\r'")


def _escape(text: object) -> str:
    if text is None:
        return ""
    shown = str(text)
    return f"'{shown}" if not shown or shown.startswith(_FORMULA) else shown


def _unescape(cell: str) -> str | None:
    return cell.removeprefix("'") if cell else None


def _readable(data: Data) -> tuple[str, str, str]:
    if not isinstance(data, AttemptMade):
        return "", "", ""
    channels = " ".join(part.channel for part in data.parts)
    return data.stage or "", channels, " ".join(part.disposition for part in data.parts)


def _row(event: Event) -> list[str]:
    plain = to_builtins(event)
    cells = [_escape(plain.get(name)) for name in _ENVELOPE]
    return [*cells, msgspec.json.encode(plain["data"]).decode(), *_readable(event.data)]


def export_csv(
    app: Cadence, out: IO[bytes], *, progress: Callable[[int, int | None], None] | None = None
) -> int:
    """Write every history as CSV, prospect by prospect, in order of version.

    Returns:
        How many events were written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEADER)
    written = 0
    for number, prospect in enumerate(app.prospects(), 1):
        events = app.history(prospect)
        writer.writerows(map(_row, events))
        out.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
        written += len(events)
        if progress is not None:
            progress(number, None)
    out.write(text.getvalue().encode())
    return written


def is_own_header(line: bytes) -> bool:
    """Whether a CSV file that begins with ``line`` is one that was exported here."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip()
    return {*_NEEDED} <= {name.strip().strip('"').casefold() for name in text.split(",")}


class OwnCsv(Source):
    """The rows of a CSV file that was exported here, as something to import."""

    def __init__(self, lines: Iterable[bytes], name: str, position: Position | None = None) -> None:
        """Args:
        lines: the lines of the file, unpacked.
        name: what to call the file in errors.
        position: says how many bytes have been read.

        Raises:
            InputError: a column is missing, or is there twice.
        """
        super().__init__(position)
        self._rows = read_table(lines, name)
        _, header = next(self._rows)
        if isinstance(header, BadLine):
            raise InputError(f"{name}: line {header.number}: {header.what}", header.hint)
        columns = Columns(header, name)
        for column in _NEEDED:
            if columns.find((column,)) is None:
                raise InputError(
                    f"{name}: line 1: no column {column!r}", "export the histories again"
                )
        self._width = len(header)
        self._places = {
            column: place for column in _HEADER if (place := columns.find((column,))) is not None
        }
        known = {*self._places.values()}
        self.tally.unknown_columns = [
            one for place, one in enumerate(columns.names) if place not in known and one
        ]

    def __iter__(self) -> Iterator[Found | BadLine]:
        for number, cells in self._rows:
            self.tally.rows += 1
            if isinstance(cells, BadLine):
                yield cells
                continue
            try:
                yield Found(number, self._line(cells))
            except InputError as error:
                yield BadLine.of(number, error)

    def _line(self, cells: list[str]) -> Line:
        if len(cells) != self._width:
            raise InputError(
                f"has {len(cells)} cells, the header has {self._width}",
                "quote the cells that hold commas or line breaks",
            )
        cell = {name: cells[place] for name, place in self._places.items()}
        plain: dict[str, object] = {
            name: value
            for name in _ENVELOPE
            if (value := _read(name, cell.get(name, ""))) is not None
        }
        plain["data"] = msgspec.Raw(cell["data"].encode())
        try:
            line = decode_line(msgspec.json.encode(plain))
        except InvalidJson as error:
            raise InputError(f"data: {error.what}", "give one JSON object as data") from None
        if not isinstance(line.data, ProspectUpdated):  # its country may stand above
            check_fact(line.data)
        for name, wanted in zip(_READABLE, _readable(line.data), strict=True):
            found = cell.get(name, wanted)
            if found != wanted:
                raise InputError(
                    f"{name}: {found!r} is not what data says ({wanted!r})",
                    f"only data counts: change it there, or leave the column {name} out",
                )
        return line


def _read(name: str, cell: str) -> object:
    if name == "version":
        return int(cell) if cell.isascii() and cell.isdigit() else cell or None
    return _unescape(cell) if name in _TEXTS else cell or None
