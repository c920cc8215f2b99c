"""Import and export."""

from __future__ import annotations

import os
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cadence.cli.session import Session, command
from cadence.errors import InputError, StoreError
from cadence.history.files import open_input
from cadence.history.importing import Imported, Source, import_all, prepare
from cadence.history.jsonl import Jsonl, export_jsonl
from cadence.store import Cadence
from cadence.store.application import Progress

__all__ = ["register"]


class Format(StrEnum):
    """The formats that ``export`` writes."""

    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""

    @command(app, "import", example="cadence import histories.jsonl")
    def import_(
        session: Session,
        file: Annotated[str, typer.Argument(metavar="FILE", help="JSONL; - is standard input.")],
    ) -> None:
        """Import histories, all of the file or nothing; importing twice changes nothing."""
        with open_input(file) as found:
            done = _import(session, Jsonl(found.lines(), found.position))
        if session.json:
            session.print_json(done._asdict())
            return
        session.write(
            f"{done.prospects} prospect{'' if done.prospects == 1 else 's'}: "
            f"{done.events} events imported, "
            f"{done.skipped} were there already"
        )

    @command(app, "export", example="cadence export --format jsonl backup.jsonl")
    def export(
        session: Session,
        file: Annotated[str, typer.Argument(metavar="FILE", help="- is standard output.")],
        format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSONL,
    ) -> None:
        """Export every history."""
        with session.reading() as store, session.progress("exporting") as progress:
            if file == "-":
                export_jsonl(store, sys.stdout.buffer, progress=progress)
                sys.stdout.flush()
                return
            path = Path(file)
            try:
                _refuse_the_database(file, session.db)
                if path.exists() and not path.is_file():
                    with path.open("wb") as pipe:  # a pipe or a device is written into
                        written = export_jsonl(store, pipe, progress=progress)
                else:
                    written = _export_whole(store, path.resolve(), progress)
            except OSError as error:
                raise StoreError(
                    f"{file}: {error.strerror or error}", "name a file that can be written"
                ) from None
        if session.json:
            session.print_json({"events": written})
            return
        session.write(f"{written} events exported to {file}")


def _import(session: Session, source: Source) -> Imported:
    if session.exists():
        with session.writing() as store:
            return import_all(store, source, steps=session.progress)
    # A file that is refused must not leave an empty database behind.
    with (
        Cadence.open() as empty,
        prepare(empty, source, steps=session.progress) as good,
        session.writing() as store,
    ):
        return good.write(store, steps=session.progress)


def _refuse_the_database(file: str, db: str) -> None:
    path = Path(file)
    for name in (db, f"{db}-wal", f"{db}-shm"):
        if path.exists() and Path(name).exists() and path.samefile(name):
            raise InputError(f"{file}: is the database itself", "name another file to export into")


def _export_whole(store: Cadence, path: Path, progress: Progress) -> int:
    """Write beside the file and move into its place, so that a full disk leaves no half file."""
    # As open() would make it: what the umask allows, and no more.
    umask = os.umask(0)
    os.umask(umask)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        try:
            written = export_jsonl(store, out, progress=progress)
            out.flush()
            os.chmod(out.name, 0o666 & ~umask)
            Path(out.name).replace(path)
        except BaseException:
            os.unlink(out.name)
            raise
    return written
