"""Read CSV as a stream: a row at a time, with the line in which it begins.

A text that is not in the expected encoding is refused line by line, because a garbled name can't
be restored later. Cells may hold line breaks, quotes, and notes of a megabyte.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator

from cadence.domain.limits import COLUMNS, LINE_BYTES
from cadence.errors import InputError
from cadence.transfer.source import BadLine

__all__ = ["CsvTable"]

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class CsvTable:
    """A CSV file with a header.

    Attributes:
        columns: the names in the header, without spaces around them.
    """

    def __init__(
        self, lines: Iterable[bytes], name: str, *, delimiter: str = ",", encoding: str = "utf-8"
    ) -> None:
        """Args:
        lines: the file's lines, with their ends.
        name: what to call the file in errors.
        delimiter: what separates the cells.
        encoding: of the text; UTF-8 may begin with a byte order mark.

        Raises:
            InputError: the header is missing, two columns have one name, or the file is in UTF-16.
        """
        self._name = name
        self._delimiter = delimiter
        self._rows = _read_rows(lines, name, delimiter, encoding)
        _, header = next(self._rows, (1, None))
        if header is None:
            raise InputError(f"{name}: missing header", "give a file with a row of column names")
        if isinstance(header, BadLine):
            raise InputError(f"{name}: line {header.number}: {header.what}", header.hint)
        if len(header) > COLUMNS:
            raise InputError(
                f"{name}: line 1: invalid header, {len(header):,} columns",
                f"use at most {COLUMNS:,}, and the delimiter of the file",
            )
        self.columns = [column.strip() for column in header]
        self._index: dict[str, int] = {}
        for number, column in enumerate(self.columns):
            first = self._index.setdefault(column.casefold(), number) if column else number
            if first != number:
                raise InputError(
                    f"{name}: line 1: invalid header: {column!r} is the name of two columns "
                    f"({first + 1} and {number + 1})",
                    "fix the name of one, or remove it",
                )

    def find(self, names: Iterable[str]) -> int | None:
        """Find the index of the first of these columns that exists; case does not matter."""
        for name in names:
            index = self._index.get(name.strip().casefold())
            if index is not None:
                return index
        return None

    def columns_besides(self, used: Collection[int]) -> list[str]:
        """List the columns that are not among these indexes."""
        return [name for index, name in enumerate(self.columns) if name and index not in used]

    def rows(self) -> Iterator[tuple[int, list[str] | BadLine]]:
        """Iterate over the rows below the header, each with the line in which it begins.

        Raises:
            InputError: a quote is never closed.
        """
        width = len(self.columns)
        for number, cells in self._rows:
            if not isinstance(cells, BadLine) and len(cells) != width:
                yield (
                    number,
                    BadLine(
                        number,
                        f"invalid row: {len(cells)} cells, the header has {width}",
                        f"fix the quotes of cells that hold {self._delimiter!r} or line breaks",
                    ),
                )
            else:
                yield number, cells


def _read_rows(
    lines: Iterable[bytes], name: str, delimiter: str, encoding: str
) -> Iterator[tuple[int, list[str] | BadLine]]:
    text = _Text(lines, name, encoding)
    csv.field_size_limit(LINE_BYTES)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        text.row_bytes = 0
        try:
            row = next(reader, None)
        except csv.Error as error:
            what = str(error)
            # The module tells these cases apart only in its message.
            if "limit" in what or "unexpected end" in what:
                raise InputError(
                    f"{name}: line {begins}: invalid quote, it is never closed",
                    "fix the quote; nothing was imported",
                ) from None
            yield begins, BadLine(begins, f"invalid row: {what}", "fix the quotes there")
            continue
        if row is None:
            return
        bad = text.bad_line(begins, reader.line_num)
        if bad is not None:
            yield begins, bad
        elif row:
            yield begins, row


class _Text:
    """Lines as text; those in another encoding are remembered until their row is complete.

    Attributes:
        row_bytes: how long the row is so far.
    """

    def __init__(self, lines: Iterable[bytes], name: str, encoding: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._encoding = encoding
        self._number = 0
        self.row_bytes = 0
        self._bad: list[tuple[int, str]] = []

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        raw = next(self._lines)
        self._number += 1
        self.row_bytes += len(raw)
        if self.row_bytes > 2 * LINE_BYTES:  # several cells, each shorter than the longest
            raise InputError(
                f"{self._name}: line {self._number}: invalid, a row of more than "
                f"{2 * LINE_BYTES // 1024**2} MB",
                "fix the quotes; nothing was imported",
            )
        if self._number == 1:
            if raw.startswith(_UTF16_BOMS):
                raise InputError(f"{self._name}: invalid encoding UTF-16", "use UTF-8")
            raw = raw.removeprefix(_UTF8_BOM)
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            self._bad.append((self._number, f"byte 0x{byte:02x} at {error.start + 1}"))
            return raw.decode(self._encoding, "replace")

    def bad_line(self, first: int, last: int) -> BadLine | None:
        """Make the error for the first of these lines that is in another encoding."""
        if not self._bad:
            return None
        (number, what), *_ = self._bad
        self._bad = [bad for bad in self._bad if bad[0] > last]
        if not first <= number <= last:
            return None
        return BadLine(
            number,
            f"invalid {self._encoding.upper()} text: {what}",
            'use UTF-8, or set the encoding in the mapping, e.g. encoding = "windows-1252"',
        )
