"""Write an output file: all of it or nothing, and never over what the command reads.

Every command that writes a file goes through here (``tests/test_cli_files.py`` looks for others).
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, cast

from cadence.errors import InputError, StoreError, printable

__all__ = ["check_output", "write_text", "writing"]

_NO_INPUTS: Final[Mapping[str, str]] = MappingProxyType({})
# What SQLite keeps beside a database; overwriting one of them destroys the database as well.
_ENDS: Final = ("", "-wal", "-shm", "-journal")


def check_output(
    file: str, *, db: str, inputs: Mapping[str, str] = _NO_INPUTS, new: bool = False
) -> None:
    """Refuse an output file before any work is done for it; :func:`writing` checks again.

    Args:
        file: where to write; ``-`` is standard output.
        db: the database.
        inputs: the files that the command reads, each with what it is: ``{"p.toml": "policy"}``.
        new: whether an existing file must not be replaced.

    Raises:
        InputError: the file is the database or an input, by whatever name or link; or a directory
            or a block device; or it exists and must be new.
        StoreError: no file can have this name.
    """
    if file == "-":
        return
    if "\0" in file:
        raise _unwritable(file, "a null character is in the name")
    if new and os.path.lexists(file):
        raise _there_already(file)
    path = Path(os.path.realpath(file))
    kept = {f"{name}{end}": "database" for name in (db, os.path.realpath(db)) for end in _ENDS}
    for name, what in {**kept, **inputs}.items():
        if _is_same(path, name):
            raise InputError(f"{file}: is the {what} itself", "give another file to write")
    if path.is_dir() or path.is_block_device():
        what = "directory" if path.is_dir() else "block device"
        raise InputError(f"{file}: is a {what}", "give a file to write")


@contextmanager
def writing(
    file: str, *, db: str, inputs: Mapping[str, str] = _NO_INPUTS, new: bool = False
) -> Iterator[IO[bytes]]:
    """Open ``file`` for writing; it appears when it is complete, and stays as it was on failure.

    Args:
        file: where to write; ``-`` is standard output. An existing file is replaced in one step.
            A pipe or a character device is written into.
        db: the database.
        inputs: the files that the command reads, each with what it is.
        new: whether an existing file must not be replaced.

    Raises:
        InputError: :func:`check_output` refuses the file.
        StoreError: the file can't be written.
    """
    if file == "-":
        # main() puts it in the place of a closed one.
        if getattr(sys.stdout, "name", "") == os.devnull:
            raise StoreError("standard output: closed", "give a file")
        sys.stdout.flush()
        yield cast("IO[bytes]", _Shown()) if sys.stdout.isatty() else sys.stdout.buffer
        sys.stdout.flush()
        return
    try:
        check_output(file, db=db, inputs=inputs, new=new)
        path = Path(os.path.realpath(file))
        if path.exists() and not path.is_file():
            with path.open("wb") as pipe:
                yield pipe
            return
        out = tempfile.NamedTemporaryFile(dir=path.parent, delete=False)  # noqa: SIM115  (closed below)
        try:
            with out:
                yield cast("IO[bytes]", out)
            os.chmod(out.name, 0o666 & ~_umask())  # as open() would make it, and no more
            _put(Path(out.name), path, new=new)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise _there_already(file) from None
    except OSError as error:
        raise _unwritable(file, error.strerror or str(error)) from None


class _Shown(io.RawIOBase):
    """A file that a person sees in a terminal: what could steer it is shown as escapes."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, data: Any) -> int:
        """Show these bytes."""
        text = self._decoder.decode(bytes(data))
        sys.stdout.write("\n".join(map(printable, text.replace("\r\n", "\n").split("\n"))))
        return len(data)


def write_text(
    file: str,
    text: str,
    *,
    db: str,
    inputs: Mapping[str, str] = _NO_INPUTS,
    new: bool = False,
) -> None:
    """Write all of ``text``; see :func:`writing`."""
    with writing(file, db=db, inputs=inputs, new=new) as out:
        out.write(text.encode())


def _is_same(path: Path, name: str) -> bool:
    """Whether ``name`` leads to ``path``, by its name or as a hard link; also before it exists."""
    try:
        return str(path) == os.path.realpath(name) or path.samefile(name)
    except (OSError, ValueError):
        return False


def _put(made: Path, path: Path, *, new: bool) -> None:
    """Move a complete file into its place; if ``new``, never over one that came meanwhile."""
    if not new:
        made.replace(path)
        return
    try:
        os.link(made, path)  # unlike a move it never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with path.open("xb"):
            made.replace(path)
    else:
        made.unlink()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _there_already(file: str) -> InputError:
    return InputError(f"{file}: exists already", "give another name")


def _unwritable(file: str, why: str) -> StoreError:
    return StoreError(f"{file}: {why}", "give a file that can be written")
