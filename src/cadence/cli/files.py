"""Writing a file that somebody named: the whole of it, or nothing."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from cadence.errors import InputError, StoreError

__all__ = ["write_text", "writing"]


@contextmanager
def writing(
    file: str, *, db: str, policy: str | None = None, new: bool = False
) -> Iterator[IO[bytes]]:
    """What to write into; the file is there once all of it is, and as it was if that fails.

    Args:
        file: where to; ``-`` is standard output. A file that is there is replaced in one go, a
            pipe or a device is written into.
        db: the database, which must not be overwritten.
        policy: the policy file that was read, which must not be overwritten either.
        new: whether a file that is there must not be replaced.

    Raises:
        InputError: the file is the database or the policy, or is there and should not be.
        StoreError: the file can't be written.
    """
    if file == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if "\0" in file:
        raise _unwritable(file, "a null character is in the name")
    try:
        path = Path(file).resolve()
        _refuse(file, path, db, policy, new=new)
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


def write_text(
    file: str, text: str, *, db: str, policy: str | None = None, new: bool = False
) -> None:
    """Write the whole of ``text``; see :func:`writing`."""
    with writing(file, db=db, policy=policy, new=new) as out:
        out.write(text.encode())


def _refuse(file: str, path: Path, db: str, policy: str | None, *, new: bool) -> None:
    if new and os.path.lexists(file):
        raise _there_already(file)
    kept = {db: "database", f"{db}-wal": "database", f"{db}-shm": "database"}
    if policy is not None:
        kept[policy] = "policy"
    for name, what in kept.items():
        if path.exists() and Path(name).exists() and path.samefile(name):
            raise InputError(f"{file}: is the {what} itself", "name another file to write")


def _put(made: Path, path: Path, *, new: bool) -> None:
    """Move a file that is whole into its place; somebody may have put a ``new`` one there."""
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
    return InputError(f"{file}: exists already", "choose another name")


def _unwritable(file: str, why: str) -> StoreError:
    return StoreError(f"{file}: {why}", "name a file that can be written")
