"""Import and export."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, Final, cast

import msgspec
import typer

from cadence.cli.session import Session, command
from cadence.cli.show import fact, paint, plain
from cadence.core.events import type_name
from cadence.core.wire import data_fields
from cadence.errors import InputError, StoreError
from cadence.history.files import open_input
from cadence.history.formats import EXPORTS, choose_source, mapping_for
from cadence.history.importing import (
    BadLine,
    Found,
    Imported,
    Source,
    import_all,
    prepare,
)
from cadence.store import Cadence
from cadence.store.application import Progress

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

    @command(app, "import", example="cadence import calls.csv --mapping hubspot_calls --preview")
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
                _preview(session, source, preview)
                return
            done = _import(session, source)
        if session.json:
            session.print_json(done._asdict())
            return
        for line in _summary(done):
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
                EXPORTS[format_](store, sys.stdout.buffer, progress=progress)
                sys.stdout.flush()
                return
            path = Path(file)
            try:
                _refuse_the_database(file, session.db)
                if path.exists() and not path.is_file():
                    with path.open("wb") as pipe:  # a pipe or a device is written into
                        written = EXPORTS[format_](store, pipe, progress=progress)
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


def _summary(done: Imported) -> Iterator[str]:
    yield (
        f"{done.prospects} prospect{'' if done.prospects == 1 else 's'}: "
        f"{done.events} events imported, "
        f"{done.skipped} were there already"
    )
    if done.prospects_passed_over:
        count = done.prospects_passed_over
        yield (
            f"passed over: {count} prospect{'' if count == 1 else 's'} "
            "(nothing there that the mapping needs)"
        )
    yield from _passed_over(done.passed_over, done.unknown_columns)


def _passed_over(reasons: dict[str, int], columns: Iterable[str]) -> Iterator[str]:
    for why, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        if count:
            yield f"passed over: {count} row{'' if count == 1 else 's'} ({why})"
    if columns:
        yield f"unknown columns, not imported: {', '.join(map(plain, columns))}"


def _preview(session: Session, source: Source, count: int) -> None:
    """Show the first events, as the file gives them, and what is wrong up to there."""
    shown: list[Found | BadLine] = list(islice(source, count))
    tally = source.tally
    if session.json:
        session.print_json(
            {
                "rows": [_plain(one) for one in shown],
                "read": tally.rows,
                "passed_over": dict(tally.passed_over),
                "unknown_columns": tally.unknown_columns,
            }
        )
    else:
        if shown:
            header = f"{'line':>7}  {'prospect':20} {'occurred (UTC)':20} event"
            session.write(paint(header, "bold"))
        for one in shown:
            session.write(_line(one))
        session.write(
            f"read so far: {tally.rows} row{'' if tally.rows == 1 else 's'}; nothing was written"
        )
        for line in _passed_over(dict(tally.passed_over), tally.unknown_columns):
            session.write(line)
    bad = sum(isinstance(one, BadLine) for one in shown)
    if bad:
        raise InputError(
            f"{bad} of the first {len(shown)} can't be imported",
            "mend these lines, or the mapping; nothing was written",
        )


def _line(one: Found | BadLine) -> str:
    if isinstance(one, BadLine):
        return f"{one.number:>7}  {paint(plain(f'{one.what} ({one.mend})'), 'red')}"
    line = one.line
    when = f"{line.occurred_at:%Y-%m-%d %H:%M:%S}"
    by = f", by {plain(line.by)}" if line.by else ""
    unsure = (
        paint(f" (order uncertain: {plain(line.uncertain)})", "yellow") if line.uncertain else ""
    )
    name = paint(type_name(line.data), "bold")
    return f"{one.number:>7}  {line.prospect:20} {when:20} {name}  {fact(line.data)}{by}{unsure}"


def _plain(one: Found | BadLine) -> dict[str, Any]:
    if isinstance(one, BadLine):
        return one._asdict()
    line = one.line
    found = {
        "number": one.number,
        "prospect": line.prospect,
        "type": type_name(line.data),
        "occurred_at": line.occurred_at,
        "data": data_fields(line.data),
    }
    for name in ("by", "command_id", "uncertain"):
        if getattr(line, name) is not None:
            found[name] = getattr(line, name)
    if one.added is not None:
        found["added"] = data_fields(one.added.data)
    plain_: dict[str, Any] = msgspec.to_builtins(found)
    return plain_


# Export -------------------------------------------------------------------------------------------


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
                written = EXPORTS[format_](store, packed, progress=progress)
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
