"""Reading CSV as it streams by: a row at a time, with the line that it begins in.

A file in another encoding is refused line by line, because a name that is garbled can't be mended
later. Cells may hold line breaks, quotes, and notes of a megabyte.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from cadence.errors import InputError
from cadence.transfer.input_file import LONGEST_LINE
from cadence.transfer.staging import BadLine

__all__ = ["Columns", "read_table"]

_BOM = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")


class Columns:
    """The columns of a file: what they are called, and where they stand."""

    def __init__(self, header: list[str], name: str) -> None:
        """Args:
        header: the cells of the first row.
        name: what to call the file in errors.

        Raises:
            InputError: two columns have one name.
        """
        self.names = [one.strip() for one in header]
        self.place: dict[str, int] = {}
        for number, one in enumerate(self.names):
            if not one:
                continue
            first = self.place.setdefault(one.casefold(), number)
            if first != number:
                raise InputError(
                    f"{name}: line 1: the column {one!r} stands there twice "
                    f"(columns {first + 1} and {number + 1})",
                    "rename or remove one of the two",
                )

    def find(self, names: Iterable[str]) -> int | None:
        """Where the first of these columns that is there stands, whatever its case."""
        for one in names:
            found = self.place.get(one.strip().casefold())
            if found is not None:
                return found
        return None


def read_table(
    lines: Iterable[bytes], name: str, *, delimiter: str = ",", encoding: str = "utf-8"
) -> Iterator[tuple[int, list[str] | BadLine]]:
    """The rows of a CSV file, its header first, each with the line that it begins in.

    Args:
        lines: the file's lines, with their ends.
        name: what to call the file in errors.
        delimiter: what parts the cells.
        encoding: of the text; UTF-8 may begin with a byte order mark.

    Raises:
        InputError: the file is in UTF-16, or a cell has no end.
    """
    text = _Text(lines, name, encoding)
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            what = str(error)
            if "limit" in what or "unexpected end" in what:
                raise InputError(
                    f"{name}: line {begins}: a quote that opens there is never closed",
                    "close it; nothing was imported",
                ) from None
            yield begins, BadLine(begins, f"no row of cells: {what}", "mend the quotes there")
            continue
        if row is None:
            return
        bad = text.undecodable(begins, reader.line_num)
        if bad is not None:
            yield begins, bad
        elif row:
            yield begins, row


class _Text:
    """Lines as text; those that are not in the encoding are remembered until their row is there."""

    def __init__(self, lines: Iterable[bytes], name: str, encoding: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._encoding = encoding
        self._number = 0
        self._bad: list[tuple[int, str]] = []

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        raw = next(self._lines)
        self._number += 1
        if self._number == 1:
            if raw.startswith(_WIDE):
                raise InputError(
                    f"{self._name}: is in UTF-16",
                    "save it as UTF-8",
                )
            raw = raw.removeprefix(_BOM)
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            byte = raw[error.start]
            self._bad.append((self._number, f"byte 0x{byte:02x} at {error.start + 1}"))
            return raw.decode(self._encoding, "replace")

    def undecodable(self, first: int, last: int) -> BadLine | None:
        """What is wrong with the first of these lines that is not in the encoding."""
        if not self._bad:
            return None
        (number, what), *_ = self._bad
        self._bad = [one for one in self._bad if one[0] > last]
        if not first <= number <= last:
            return None
        return BadLine(
            number,
            f"is not in {self._encoding.upper()} ({what})",
            "save the file as UTF-8, or name its encoding in the mapping, "
            'e.g. encoding = "windows-1252"',
        )
