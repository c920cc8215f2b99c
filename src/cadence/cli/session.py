"""What every command shares: the global options, the store, the clock, and how to print.

This is the only place of the command line that reads a clock.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, get_type_hints

import msgspec
import typer

from cadence.domain.codec import parse_instant
from cadence.errors import InputError
from cadence.store import Cadence

__all__ = ["DEFAULT_DB", "AtOption", "DbOption", "JsonOption", "Session", "command"]

DEFAULT_DB = "cadence.db"

_DB_HELP = f"A path, or postgresql://…; also CADENCE_DB [default: {DEFAULT_DB}]"
DbOption = Annotated[str | None, typer.Option("--db", help=_DB_HELP, show_default=False)]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="INSTANT", help="In place of now, like 2026-12-01T14:00:00Z."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Session:
    """The options of one call, and what follows from them."""

    def __init__(self, db: str | None, at: str | None, json: bool) -> None:
        given = os.environ.get("CADENCE_DB") or DEFAULT_DB if db is None else db
        if not given.strip():
            raise InputError("--db: the name is empty", "name a file, or leave --db out")
        self.db = given
        self.json = json
        self._at = None if at is None else parse_instant(at, "--at")
        self.tty = sys.stdout.isatty() and not json

    @property
    def has_at(self) -> bool:
        """Whether ``--at`` was given."""
        return self._at is not None

    def now(self) -> datetime:
        """The instant given with ``--at``, or the clock's."""
        return self._at or datetime.now(UTC)

    def exists(self) -> bool:
        """Whether the database is there already, or is a server's to say."""
        if "://" in self.db:
            return True
        try:
            return os.path.getsize(self.db) > 0
        except OSError:
            return False

    @contextmanager
    def reading(self) -> Iterator[Cadence]:
        """The store, which is not changed."""
        with Cadence.open(self.db, read_only=True) as app:
            yield app

    @contextmanager
    def writing(self) -> Iterator[Cadence]:
        """The store; made if it does not exist."""
        with Cadence.open(self.db) as app:
            yield app

    def print_json(self, value: object) -> None:
        """Print ``value`` as JSON, indented where somebody is looking."""
        text = msgspec.json.encode(value)
        if sys.stdout.isatty():
            text = msgspec.json.format(text, indent=2)
        self.write(text.decode())

    def write(self, text: str) -> None:
        """Print a line as it is."""
        sys.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Print a line on stderr, beside what the command prints."""
        if sys.stderr is not None:
            sys.stderr.write(f"note: {text}\n")
            sys.stderr.flush()

    @contextmanager
    def progress(
        self, what: str, *, in_bytes: bool = False
    ) -> Iterator[Callable[[int, int | None], None]]:
        """A progress bar on stderr, where somebody is looking; nothing otherwise."""
        if sys.stderr is None or not sys.stderr.isatty():
            yield lambda done, total: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        count = DownloadColumn() if in_bytes else MofNCompleteColumn()
        columns = (TextColumn(f"{what:9}"), BarColumn(), count, TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def command(
    app: typer.Typer, name: str, *, example: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command whose first parameter is the :class:`Session`.

    The global options are accepted before the command's name and after it.

    Args:
        app: where to register it.
        name: its name.
        example: a call, shown by ``--help``.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        parameters = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]
        keyword = inspect.Parameter.KEYWORD_ONLY
        options: list[tuple[str, Any, Any]] = [
            ("db", DbOption, None),
            ("at", AtOption, None),
            ("json", JsonOption, False),
        ]

        def run(ctx: typer.Context, **values: Any) -> None:
            outer: dict[str, Any] = ctx.obj or {}
            # What was typed later counts.
            db, at, json = (values.pop(name) for name in ("db", "at", "json"))
            session = Session(
                outer.get("db") if db is None else db,
                outer.get("at") if at is None else at,
                json or outer.get("json", False),
            )
            try:
                function(session, **values)
                sys.stdout.flush()
            except BrokenPipeError:
                # The option parser would make an exit code of this; what was to be done is done.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        signature = [
            inspect.Parameter(
                "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
            ),
            *parameters,
            *(
                inspect.Parameter(option, keyword, default=default, annotation=annotation)
                for option, annotation, default in options
            ),
        ]
        run.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {one.name: one.annotation for one in signature}
        app.command(name, epilog=f"Example: {example}")(run)
        return function

    return register
