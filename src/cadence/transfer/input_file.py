"""Opening a file to import: plain or gzip, whatever its name, a block or a line at a time."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, cast

from cadence.errors import InputError

__all__ = ["LONGEST_LINE", "Input", "open_input"]

LONGEST_LINE: Final = 64 * 1024 * 1024
"""How long one line, cell or attribute may be, in bytes; what bounds the memory of an import."""

_GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 64 * 1024
_HEAD: Final = 4096


class Input:
    """The bytes of a file, unpacked.

    Attributes:
        name: what to call it in errors.
        head: how it begins, some 4,000 bytes at most.
    """

    def __init__(self, raw: IO[bytes] | io.RawIOBase, name: str) -> None:
        """Args:
        raw: the file as it lies there.
        name: what to call it in errors.
        """
        self.name = name
        self._raw = raw
        try:
            self._size: int | None = os.fstat(raw.fileno()).st_size if raw.seekable() else None
        except (OSError, AttributeError):
            self._size = None
        buffered = io.BufferedReader(cast("io.RawIOBase", raw), _BLOCK)
        self._file = buffered
        with self._reading():
            if buffered.peek(2)[:2] == _GZIP:
                unpacked = gzip.GzipFile(fileobj=buffered)
                self._file = io.BufferedReader(cast("io.RawIOBase", unpacked), _BLOCK)
            self.head = self._file.peek(_HEAD)[:_HEAD]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.name}: the gzip data is broken ({str(error).rstrip('.')})",
                "fetch or pack the file again; nothing was imported",
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.name}: {error.strerror or error}", "name a file that can be read"
            ) from None

    def blocks(self) -> Iterator[bytes]:
        """All of it, some 64 kB at a time."""
        while True:
            with self._reading():
                block = self._file.read(_BLOCK)
            if not block:
                return
            yield block

    def lines(self) -> Iterator[bytes]:
        """All of it, a line at a time.

        Raises:
            InputError: a line is longer than 64 MB.
        """
        number = 0
        while True:
            number += 1
            with self._reading():
                line = self._file.readline(LONGEST_LINE)
            if not line:
                return
            if len(line) >= LONGEST_LINE:
                raise InputError(
                    f"{self.name}: line {number} is longer than {LONGEST_LINE // 1024**2} MB",
                    "this is no file with an event or a row a line",
                )
            yield line

    def position(self) -> tuple[int, int | None]:
        """How many bytes of the file have been read, and how many there are if that is known."""
        if self._size is None:
            return 0, None
        return self._raw.tell(), self._size


@contextmanager
def open_input(file: str) -> Iterator[Input]:
    """Open a file to import.

    Args:
        file: its name; ``-`` is standard input.

    Raises:
        InputError: it can't be read.
    """
    if file == "-":
        if sys.stdin is None:
            raise InputError("-: standard input is closed", "name a file, or pipe one in")
        buffer: Any = sys.stdin.buffer
        yield Input(buffer.raw, "-")
        return
    try:
        raw = Path(file).open("rb", buffering=0)  # noqa: SIM115  (closed below)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{file}: {reason}", "name a file that can be read") from None
    with raw:
        yield Input(raw, file)
