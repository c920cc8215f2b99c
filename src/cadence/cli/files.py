"""Writing a file that somebody named: the whole of it, or nothing."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from cadence.errors import InputError, StoreError

__all__ = ["write_text"]


def write_text(file: str, text: str, *, db: str) -> None:
    """Write ``text`` to ``file``; ``-`` is standard output.

    Args:
        file: where to; a file that is there is replaced in one go, a pipe is written into.
        text: the whole of it.
        db: the database, which must not be overwritten.

    Raises:
        InputError: the file is the database.
        StoreError: the file can't be written.
    """
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        path = Path(file)
        for name in (db, f"{db}-wal", f"{db}-shm"):
            if path.exists() and Path(name).exists() and path.samefile(name):
                raise InputError(f"{file}: is the database itself", "name another file to write")
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{file}: {reason}", "name a file that can be written") from None


def _replace(path: Path, text: str) -> None:
    # As open() would make it: what the umask allows, and no more.
    umask = os.umask(0)
    os.umask(umask)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as out:
        try:
            out.write(text)
            out.flush()
            os.chmod(out.name, 0o666 & ~umask)
            Path(out.name).replace(path)
        except BaseException:
            os.unlink(out.name)
            raise
