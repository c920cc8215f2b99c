"""Write histories as CSV for spreadsheets, and read such a file back without loss.

A row is an event. ``data`` and ``meta`` are JSON; the last three columns repeat what people look
for. A text that a spreadsheet would take for a formula is written with a ``'`` in front.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import IO, Final

import msgspec

from cadence.domain.codec import InvalidJson, Line, to_builtins
from cadence.domain.events import AttemptMade, Data, Event
from cadence.errors import InputError
from cadence.store.service import Cadence, Progress
from cadence.transfer.csv_reader import CsvTable
from cadence.transfer.exporter import Exported, write_histories
from cadence.transfer.source import BadLine, Position, Source, SourceEvent, decode_checked

__all__ = ["CadenceCsvSource", "export_csv", "is_cadence_header"]

_ENVELOPE: Final = (
    *("prospect", "version", "type", "occurred_at", "recorded_at"),
    *("by", "correlation", "command_id", "uncertain"),
)
_READABLE: Final = ("stage", "channels", "dispositions")
_HEADER: Final = (*_ENVELOPE, "meta", "data", *_READABLE)
_REQUIRED: Final = ("prospect", "type", "occurred_at", "data")
_TEXTS: Final = ("prospect", "by", "correlation", "command_id", "uncertain")
"""The columns in which an empty text differs from no value."""
_VERSION: Final = re.compile("[0-9]{1,10}")
_FORMULA: Final = tuple("=+-@\t\r'")


def export_csv(app: Cadence, out: IO[bytes], *, progress: Progress | None = None) -> Exported:
    """Write every history as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_HEADER)
    out.write(text.getvalue().encode())

    def encode(prospect: str, events: list[Event]) -> bytes:
        text.seek(0)
        text.truncate()
        writer.writerows(map(_row, events))
        return text.getvalue().encode()

    return write_histories(app, out, encode, progress)


def _row(event: Event) -> list[str]:
    plain = to_builtins(event)
    cells = [_escape(plain.get(name)) for name in _ENVELOPE]
    meta = "" if event.meta is None else msgspec.json.encode(event.meta).decode()
    return [*cells, meta, msgspec.json.encode(plain["data"]).decode(), *_readable(event.data)]


def _readable(data: Data) -> tuple[str, str, str]:
    if not isinstance(data, AttemptMade):
        return "", "", ""
    channels = " ".join(part.channel for part in data.parts)
    return data.stage or "", channels, " ".join(part.disposition for part in data.parts)


def _escape(text: object) -> str:
    if text is None:
        return ""
    shown = str(text)
    return f"'{shown}" if not shown or shown.startswith(_FORMULA) else shown


def is_cadence_header(line: bytes) -> bool:
    """Whether ``line`` is the header of a CSV file that cadence exported."""
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip()
    return {*_REQUIRED} <= {name.strip().strip('"').casefold() for name in text.split(",")}


class CadenceCsvSource(Source):
    """The rows of a CSV file that cadence exported."""

    def __init__(self, lines: Iterable[bytes], name: str, position: Position | None = None) -> None:
        """Args:
        lines: the lines of the file, unpacked.
        name: what to call the file in errors.
        position: says how many bytes have been read.

        Raises:
            InputError: a column is missing, or two have one name.
        """
        super().__init__(position)
        self._table = CsvTable(lines, name)
        self._columns = {
            column: index
            for column in _HEADER
            if (index := self._table.find((column,))) is not None
        }
        for column in _REQUIRED:
            if column not in self._columns:
                raise InputError(
                    f"{name}: line 1: missing column {column!r}", "give the file as it was exported"
                )
        self.tally.unknown_columns = self._table.columns_besides({*self._columns.values()})

    def __iter__(self) -> Iterator[SourceEvent | BadLine]:
        for number, cells in self._table.rows():
            self.tally.rows += 1
            if isinstance(cells, BadLine):
                yield cells
                continue
            try:
                yield SourceEvent(number, self._line(cells))
            except InputError as error:
                yield BadLine.of(number, error)

    def _line(self, cells: list[str]) -> Line:
        cell = {name: cells[index] for name, index in self._columns.items()}
        plain: dict[str, object] = {
            name: value
            for name in _ENVELOPE
            if (value := _value(name, cell.get(name, ""))) is not None
        }
        if cell.get("meta"):
            plain["meta"] = _meta(cell["meta"])
        plain["data"] = msgspec.Raw(cell["data"].encode())
        try:
            line = decode_checked(msgspec.json.encode(plain))
        except InvalidJson as error:
            raise InputError(f"data: {error.what}", "give one JSON object as data") from None
        for name, expected in zip(_READABLE, _readable(line.data), strict=True):
            shown = cell.get(name, expected)
            if shown != expected:
                raise InputError(
                    f"{name}: invalid {shown!r}; data says {expected!r}",
                    f"fix it in data, which alone counts, or leave the column {name} out",
                )
        return line


def _meta(cell: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(cell, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError):
        raise InputError("meta: invalid", "give one JSON object of texts, or nothing") from None


def _value(name: str, cell: str) -> object:
    """The value of a cell as the event's JSON has it; ``None`` if there is none."""
    if not cell:
        return None
    if name == "version":
        # A longer one is not a version; the reader of the event says so.
        return int(cell) if _VERSION.fullmatch(cell) else cell
    return cell.removeprefix("'") if name in _TEXTS else cell
