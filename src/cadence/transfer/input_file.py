"""Open a file to import: plain or gzip, whatever its name, a block or a line at a time."""

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

from cadence.domain.limits import LINE_BYTES, UNPACKED_BYTES, UNPACKED_RATIO
from cadence.errors import InputError

__all__ = ["Input", "open_input"]

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_BLOCK: Final = 64 * 1024
_HEAD: Final = 4096
"""Bytes that are read ahead; enough to recognise a format."""


class Input:
    """The bytes of a file, unpacked.

    Attributes:
        name: what to call it in errors.
        head: its first bytes, at most 4,096.
    """

    def __init__(self, raw: IO[bytes] | io.RawIOBase, name: str) -> None:
        """Args:
        raw: the file, plain or gzip, unbuffered.
        name: what to call it in errors.

        Raises:
            InputError: it can't be read, its gzip data is broken, or it is a ZIP archive.
        """
        self.name = name
        self._raw = raw
        self._packed: _Counted | None = None
        self._unpacked = 0
        try:
            self._size: int | None = os.fstat(raw.fileno()).st_size if raw.seekable() else None
        except (OSError, AttributeError):
            self._size = None
        counted = _Counted(raw)
        buffered = io.BufferedReader(cast("io.RawIOBase", counted), _BLOCK)
        self._file = buffered
        with self._reading():
            if buffered.peek(2)[:2] == _GZIP:
                unpacked = gzip.GzipFile(fileobj=buffered)
                self._file = io.BufferedReader(cast("io.RawIOBase", unpacked), _BLOCK)
                self._packed = counted
            self.head = self._file.peek(_HEAD)[:_HEAD]
        if self.head.startswith(_ZIP):
            raise InputError(
                f"{name}: invalid: a ZIP archive or a workbook",
                "unpack it, or save the sheet as CSV",
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.name}: invalid gzip data ({str(error).rstrip('.')})",
                "fix the file: fetch or pack it again; nothing was imported",
            ) from None
        except OSError as error:
            raise InputError(
                f"{self.name}: {error.strerror or error}", "give a file that can be read"
            ) from None

    def blocks(self) -> Iterator[bytes]:
        """Iterate over its bytes, some 64 kB at a time.

        Raises:
            InputError: it can't be read, or its gzip data is broken.
        """
        while True:
            with self._reading():
                block = self._file.read(_BLOCK)
            if not block:
                return
            self._count(block)
            yield block

    def lines(self) -> Iterator[bytes]:
        """Iterate over its lines, with their ends.

        Raises:
            InputError: a line is longer than 64 MB, it can't be read, or its gzip data is broken.
        """
        number = 0
        while True:
            number += 1
            with self._reading():
                line = self._file.readline(LINE_BYTES)
            if not line:
                return
            if len(line) >= LINE_BYTES:
                raise InputError(
                    f"{self.name}: line {number}: invalid, longer than {LINE_BYTES // 1024**2} MB",
                    "give a file with one event or row a line",
                )
            self._count(line)
            yield line

    def _count(self, unpacked: bytes) -> None:
        """Refuse a gzip file that unpacks to far more than files of its size hold."""
        if self._packed is None:
            return
        self._unpacked += len(unpacked)
        if self._unpacked > UNPACKED_BYTES + UNPACKED_RATIO * self._packed.count:
            raise InputError(
                f"{self.name}: invalid gzip data, more than {UNPACKED_RATIO} times its packed size",
                "unpack it first, if it can be trusted; nothing was imported",
            )

    def position(self) -> tuple[int, int | None]:
        """How many bytes have been read, and how many there are; ``None`` if that is unknown."""
        if self._size is None:
            return 0, None
        return self._raw.tell(), self._size


class _Counted(io.RawIOBase):
    """A file whose bytes are counted as they are read; a pipe can't say how many they were."""

    def __init__(self, raw: IO[bytes] | io.RawIOBase) -> None:
        self._inner = cast("io.RawIOBase", raw)
        self.count = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes."""
        read = self._inner.readinto(buffer)
        self.count += read or 0
        return read


@contextmanager
def open_input(file: str) -> Iterator[Input]:
    """Open a file to import.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        InputError: it can't be read.
    """
    if file == "-":
        if sys.stdin is None:
            raise InputError("-: standard input is closed", "give a file, or pipe one in")
        buffer: Any = sys.stdin.buffer
        yield Input(buffer.raw, "-")
        return
    try:
        raw = Path(file).open("rb", buffering=0)  # noqa: SIM115  (closed below)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{file}: {reason}", "give a file that can be read") from None
    with raw:
        yield Input(raw, file)
