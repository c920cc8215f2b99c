"""Import and export."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from cadence.cli.files import writing
from cadence.cli.session import Session, SessionCommand, command, new_app
from cadence.domain.events import Unreadable
from cadence.domain.plurals import plural
from cadence.errors import InputError
from cadence.store.service import Progress

if TYPE_CHECKING:
    from cadence.transfer.importer import ImportResult
    from cadence.transfer.source import Source

# What reads and writes files is loaded in the commands that need it: the others start without it.

__all__ = ["app"]

app = new_app()

_PREVIEW: Final = 10  # rows that --preview shows without a number


class Format(StrEnum):
    """The formats that ``export`` writes."""

    JSONL = "jsonl"
    CSV = "csv"
    XES = "xes"


_FILE = (
    "JSONL, or CSV and XES exported here; others with --mapping. May be gzip. - is standard input."
)
_MAPPING = "What the rows stand for: a mapping that comes with cadence, or a TOML file."


class _Import(SessionCommand):
    """Takes ``--preview`` without a number, also in front of the file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        following = [*args[1:], ""]
        for position, (word, after) in enumerate(zip(args, following, strict=True)):
            if word == "--preview" and not after.removeprefix("-").isdecimal():
                args[position] = f"--preview={_PREVIEW}"
        return super().parse_args(ctx, args)


@command(app, "import", example="cadence import histories.jsonl", cls=_Import)
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
            help=f"Show the first N events ({_PREVIEW}), and write nothing.",
        ),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Of prospects whose row names none."),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option("--country", help="Of prospects whose row names none."),
    ] = None,
) -> None:
    """Import histories, the whole file or nothing.

    Importing a file twice changes nothing.
    """
    from cadence.cli.preview import show_preview, summary
    from cadence.store.clock import WriteClock
    from cadence.transfer.formats import choose_source, mapping_for
    from cadence.transfer.input_file import open_input

    if mapping is None and (timezone is not None or country is not None):
        raise InputError(
            "--mapping: missing; --timezone and --country belong to one", "give --mapping"
        )
    chosen = None
    if mapping is not None:
        chosen = mapping_for(mapping, timezone=timezone, country=country)
    with open_input(file) as found:
        source = choose_source(found, chosen)
        if preview is not None:
            now = session.now()
            source.clock = WriteClock.given(now) if session.has_at else WriteClock.of_machine(now)
            show_preview(session, source, preview)
            return
        done = _import(session, source)
    if session.json:
        session.print_json(done.to_dict())
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
    """Export every history.

    A prospect with an event that can't be read is left out and named; the exit code is then 1.
    """
    from cadence.transfer.formats import EXPORTS

    with (
        session.reading() as store,
        session.progress("exporting") as progress,
        writing(file, db=session.db) as out,
        _packed(out, file) as packed,
    ):
        written = EXPORTS[format_](store, packed, progress=progress)
    if file != "-" and session.json:
        left_out = [event.prospect for event in written.left_out]
        shown: dict[str, object] = {"events": written.events, "left_out": left_out}
        if written.entries and format_ is Format.JSONL:
            shown["entries"] = written.entries
        session.print_json(shown)
    elif file != "-":
        session.write(f"{plural(written.events, 'event')} exported to {file}")
        if written.entries and format_ is Format.JSONL:
            session.write(f"  and {_entries(written.entries)} of suppression lists and lines")
    for event in written.left_out:
        what = event.data.what if isinstance(event.data, Unreadable) else ""
        session.note(f"{event.prospect} left out: event {event.version} can't be read ({what})")
    if format_ is not Format.JSONL and written.policies:
        names = ", ".join(f"{ref.name} version {ref.version}" for ref in written.policies)
        session.note(f"{names}: the texts of policies are not in {format_}, only in jsonl")
    if format_ is not Format.JSONL and written.entries:
        what = _entries(written.entries)
        session.note(f"{what} of suppression lists and lines: not in {format_}, only in jsonl")
    if written.left_out:
        raise typer.Exit(1)


def _entries(count: int) -> str:
    return plural(count, "entry", "entries")


# Import -------------------------------------------------------------------------------------------


def _import(session: Session, source: Source) -> ImportResult:
    from cadence.transfer.importer import READING, import_all, prepare

    def steps(step: str) -> AbstractContextManager[Progress]:
        return session.progress(step, in_bytes=step == READING)

    at = session.given_at()
    if session.exists():
        with session.writing() as store:
            return import_all(store, source, at=at, force=session.force, steps=steps)
    # A file that is refused must not leave an empty database behind.
    with (
        session.reading_if_there() as empty,  # holds what stands beside the database
        prepare(empty, source, at=at, steps=steps) as good,  # an empty store takes any time
        session.writing() as store,
    ):
        return good.write(store, steps=steps)


# Export -------------------------------------------------------------------------------------------


@contextmanager
def _packed(out: IO[bytes], file: str) -> Iterator[IO[bytes]]:
    """``out``, packed on the way if the file is to be gzip; the same bytes every time."""
    if Path(file).resolve().suffix != ".gz":
        yield out
        return
    with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed:
        yield cast("IO[bytes]", packed)
