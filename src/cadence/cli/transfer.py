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
from cadence.history.jsonl import Imported, export_jsonl, import_jsonl

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
        with session.writing() as store, session.progress("importing") as progress:
            if file == "-":
                done: Imported = import_jsonl(store, sys.stdin.buffer, progress=progress)
            else:
                try:
                    with Path(file).open("rb") as lines:
                        done = import_jsonl(store, lines, progress=progress)
                except OSError as error:
                    raise InputError(
                        f"{file}: {error.strerror or error}", "name a file that can be read"
                    ) from None
        if session.json:
            session.print_json(done._asdict())
            return
        session.write(
            f"{done.prospects} prospects: {done.events} events imported, "
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
                # Written beside and moved into place, so that a full disk leaves no half file.
                with tempfile.NamedTemporaryFile(dir=path.absolute().parent, delete=False) as out:
                    try:
                        written = export_jsonl(store, out, progress=progress)
                        out.flush()
                        os.chmod(out.name, 0o644)
                        Path(out.name).replace(path)
                    except BaseException:
                        os.unlink(out.name)
                        raise
            except OSError as error:
                raise StoreError(
                    f"{file}: {error.strerror or error}", "name a file that can be written"
                ) from None
        if session.json:
            session.print_json({"events": written})
            return
        session.write(f"{written} events exported to {file}")
