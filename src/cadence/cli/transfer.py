"""Import and export."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from cadence.cli.session import Session, command
from cadence.errors import InputError, StoreError
from cadence.store import Cadence
from cadence.store.application import Progress

if TYPE_CHECKING:
    from cadence.history.importing import Imported, Source

# What reads and writes files is loaded in the commands that need it: the others start without it.

__all__ = ["PREVIEW", "register"]

PREVIEW: Final = 10
"""How many rows ``--preview`` shows where it does not say."""


class Format(StrEnum):
    """The formats that ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"
    XES = "xes"


_FILE = (
    "JSONL, or CSV and XES exported here; others with --mapping. May be gzip. - is standard input."
)
_MAPPING = "What the rows stand for: a mapping that comes with cadence, or a TOML file."


def register(app: typer.Typer) -> None:
    """Add these commands to ``app``."""

    @command(app, "import", example="cadence import histories.jsonl")
    def import_(
        session: Session,
        file: Annotated[str, typer.Argument(metavar="FILE", help=_FILE)],
        mapping: Annotated[
            str | None, typer.Option("--mapping", metavar="NAME or FILE", help=_MAPPING)
        ] = None,
        preview: Annotated[
            int | None,
            typer.Option(
                "--preview",
                metavar="[N]",
                min=1,
                help=f"Show the first N events ({PREVIEW}), and write nothing.",
            ),
        ] = None,
        timezone: Annotated[
            str | None,
            typer.Option("--timezone", help="Of people whose row does not say theirs."),
        ] = None,
        country: Annotated[
            str | None,
            typer.Option("--country", help="Of people whose row does not say theirs."),
        ] = None,
    ) -> None:
        """Import histories, all of the file or nothing; importing twice changes nothing."""
        from cadence.cli.preview import show_preview, summary
        from cadence.history.files import open_input
        from cadence.history.formats import choose_source, mapping_for

        if mapping is None and (timezone is not None or country is not None):
            raise InputError(
                "--timezone and --country belong to a mapping", "name one with --mapping"
            )
        chosen = None
        if mapping is not None:
            chosen = mapping_for(mapping, timezone=timezone, country=country)
        with open_input(file) as found:
            source = choose_source(found, chosen)
            if preview is not None:
                show_preview(session, source, preview)
                return
            done = _import(session, source)
        if session.json:
            session.print_json(done._asdict())
            return
        for line in summary(done):
            session.write(line)

    @command(app, "export", example="cadence export --format jsonl backup.jsonl")
    def export(
        session: Session,
        file: Annotated[
            str, typer.Argument(metavar="FILE", help="- is standard output; .gz is packed.")
        ],
        format_: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSONL,
    ) -> None:
        """Export every history."""
        with session.reading() as store, session.progress("exporting") as progress:
            if file == "-":
                _write(format_, store, sys.stdout.buffer, progress)
                sys.stdout.flush()
                return
            path = Path(file)
            try:
                _refuse_the_database(file, session.db)
                if path.exists() and not path.is_file():
                    with path.open("wb") as pipe:  # a pipe or a device is written into
                        written = _write(format_, store, pipe, progress)
                else:
                    written = _export_whole(store, path.resolve(), format_, progress)
            except OSError as error:
                raise StoreError(
                    f"{file}: {error.strerror or error}", "name a file that can be written"
                ) from None
        if session.json:
            session.print_json({"events": written})
            return
        session.write(f"{written} events exported to {file}")


# Import -------------------------------------------------------------------------------------------


def _import(session: Session, source: Source) -> Imported:
    from cadence.history.importing import READING, import_all, prepare

    def steps(step: str) -> AbstractContextManager[Progress]:
        return session.progress(step, in_bytes=step == READING)

    if session.exists():
        with session.writing() as store:
            return import_all(store, source, steps=steps)
    # A file that is refused must not leave an empty database behind.
    with (
        Cadence.open() as empty,
        prepare(empty, source, steps=steps) as good,
        session.writing() as store,
    ):
        return good.write(store, steps=steps)


# Export -------------------------------------------------------------------------------------------


def _write(format_: Format, store: Cadence, out: IO[bytes], progress: Progress) -> int:
    from cadence.history.formats import EXPORTS

    return EXPORTS[format_](store, out, progress=progress)


def _refuse_the_database(file: str, db: str) -> None:
    path = Path(file)
    for name in (db, f"{db}-wal", f"{db}-shm"):
        if path.exists() and Path(name).exists() and path.samefile(name):
            raise InputError(f"{file}: is the database itself", "name another file to export into")


def _export_whole(store: Cadence, path: Path, format_: Format, progress: Progress) -> int:
    """Write beside the file and move into its place, so that a full disk leaves no half file."""
    # As open() would make it: what the umask allows, and no more.
    umask = os.umask(0)
    os.umask(umask)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        try:
            with _packed(out, path) as packed:
                written = _write(format_, store, packed, progress)
            out.flush()
            os.chmod(out.name, 0o666 & ~umask)
            Path(out.name).replace(path)
        except BaseException:
            os.unlink(out.name)
            raise
    return written


@contextmanager
def _packed(out: Any, path: Path) -> Iterator[IO[bytes]]:
    """``out``, packed on the way if the file is to be gzip; the same bytes every time."""
    if path.suffix != ".gz":
        yield out
        return
    with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed:
        yield cast("IO[bytes]", packed)
