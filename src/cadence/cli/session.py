"""What every command shares: the global options, the store, the clock and the output.

This is the only module of the command line that reads a clock.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import typer
from typer.core import TyperCommand, TyperOption

from cadence.cli import terminal
from cadence.cli.instants import Reader
from cadence.cli.prospects import suggest
from cadence.errors import InputError, InvalidStore, UnknownProspect
from cadence.store import Cadence

__all__ = ["DEFAULT_DB", "Session", "SessionCommand", "command", "global_options", "new_app"]

DEFAULT_DB: Final = "cadence.db"
_META: Final = "cadence."

_Function = TypeVar("_Function", bound=Callable[..., None])


class Session(typer.Context):
    """One call: the option parser's context, with the global options and what follows from them."""

    @property
    def db(self) -> str:
        """The database: a path or an address."""
        given: str | None = self.meta.get(_META + "db")
        return os.environ.get("CADENCE_DB") or DEFAULT_DB if given is None else given

    @property
    def json(self) -> bool:
        """Whether to print JSON."""
        return bool(self.meta.get(_META + "json"))

    @property
    def allow_code(self) -> bool:
        """Whether functions that policies name as guards may be imported."""
        return bool(self.meta.get(_META + "allow_code"))

    @property
    def has_at(self) -> bool:
        """Whether ``--at`` was given."""
        return _META + "at" in self.meta

    @property
    def force(self) -> bool:
        """Whether to record what lies over a year after everything known."""
        return bool(self.meta.get(_META + "force"))

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the output, and not as JSON."""
        return sys.stdout.isatty() and not self.json

    def check(self) -> None:
        """Refuse global options that can't be used.

        Raises:
            InputError: the name of the database is empty, or ``--at`` is invalid.
        """
        if not self.db.strip():
            raise InputError("--db: missing name", "give a file, or leave --db out")
        self.now()

    def now(self) -> datetime:
        """Return the instant given with ``--at``, or the clock's; the same all through a call."""
        at: str | None = self.meta.get(_META + "at")
        clock: datetime = self.meta.setdefault(_META + "clock", datetime.now(UTC))
        return clock if at is None else self._read(at, "--at", clock)

    def given_at(self) -> datetime | None:
        """Return the instant given with ``--at``; without one the store reads the clock."""
        return self.now() if self.has_at else None

    def instant(self, text: str, field: str, *, is_past: bool = False) -> datetime:
        """Read an instant that was typed; say on stderr which one it is where that is not plain.

        Args:
            text: with an offset, in the prospect's time, or relative to now.
            field: the argument or option that holds it.
            is_past: a weekday is the last one, not the next.

        Raises:
            InputError: it is invalid, or may mean several instants.
        """
        return self._read(text, field, self.now(), is_past=is_past)

    def _read(self, text: str, field: str, now: datetime, *, is_past: bool = False) -> datetime:
        # Read once, however often it is asked for: what is relative stays, and is said once.
        key = f"{_META}instant {field} {text}"
        if key not in self.meta:
            reader = Reader(now, self._zones)
            self.meta[key], shown = reader.read(text, field, is_past=is_past)
            if shown is not None:
                self.note(f"{field} is {shown}")
        found: datetime = self.meta[key]
        return found

    def _zones(self) -> Sequence[str]:
        """Look up the candidate zones of the prospect; none where the command names no prospect."""
        prospect: str | None = self.params.get("p")
        if prospect is None:
            return ()
        try:
            with self.reading_if_there() as store:
                return store.load(prospect).identity.zones
        except UnknownProspect:
            given: list[str] | None = self.params.get("timezone")  # of `add`
            if not given:
                raise
            return given

    def who(self, by: str | None) -> str:
        """Return who gives this command: what ``--by`` says, CADENCE_BY, or the login name.

        Raises:
            InputError: none of them says.
        """
        found = self.who_if_known(by)
        if found is None:
            raise InputError("--by: missing", "give who does this with --by or CADENCE_BY")
        return found

    def who_if_known(self, by: str | None) -> str | None:
        """Return who gives this command, as :meth:`who` does; ``None``: nothing says."""
        given = os.environ.get("CADENCE_BY") if by is None else by
        if given is None:
            try:
                given = getpass.getuser()
            except (OSError, KeyError, ImportError):  # a user id without a name
                return None
        return given if given.strip() else None

    def exists(self) -> bool:
        """Return whether the database exists; a server's is taken to."""
        if "://" in self.db:
            return True
        try:
            return os.path.getsize(self.db) > 0
        except OSError:
            return False

    @contextmanager
    def reading(self) -> Iterator[Cadence]:
        """Open the store without changing it.

        Raises:
            InvalidStore: there is none.
        """
        with self.reading_if_there() as store:
            if store.is_missing:
                # An address may hold a password.
                where = "at this address" if "://" in self.db else self.db
                raise InvalidStore(
                    f"database {where}: missing",
                    "give the one to read, or make it with: cadence add, or cadence import",
                )
            yield store

    @contextmanager
    def reading_if_there(self) -> Iterator[Cadence]:
        """Open the store without changing it; one that does not exist is empty."""
        with Cadence.open(self.db, read_only=True, allow_code=self.allow_code) as store:
            yield store

    @contextmanager
    def writing(self) -> Iterator[Cadence]:
        """Open the store; create it if it does not exist."""
        with Cadence.open(self.db, allow_code=self.allow_code) as store:
            yield store

    def print_json(self, value: object) -> None:
        """Print ``value`` as JSON, indented in a terminal."""
        text = msgspec.json.encode(value)
        if sys.stdout.isatty():
            text = msgspec.json.format(text, indent=2)
        self.write_json(text.decode())

    def write_json(self, text: str) -> None:
        """Print a piece of JSON, ended by a line break."""
        terminal.write_json(text)

    def write(self, text: str) -> None:
        """Print a line; what could steer a terminal is shown as escapes."""
        terminal.write(text)

    def note(self, text: str) -> None:
        """Print a line on stderr, beside the output."""
        terminal.write_error(f"note: {text}")

    @contextmanager
    def progress(
        self, what: str, *, in_bytes: bool = False
    ) -> Iterator[Callable[[int, int | None], None]]:
        """Show a progress bar on stderr in a terminal; nothing otherwise."""
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


class SessionCommand(TyperCommand):
    """A command that takes the global options, and whose function gets the :class:`Session`."""

    context_class = Session

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += global_options()

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            ctx.check()
            result = super().invoke(ctx)
            sys.stdout.flush()
        except UnknownProspect as error:
            raise suggest(ctx, error) from None
        except BrokenPipeError:
            # The reader has seen enough. The option parser would exit with 1, but all is done.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return None
        return result


def global_options() -> list[TyperOption]:
    """Return the options that stand before or behind a command's name; the last one counts."""

    def keep(ctx: typer.Context, option: typer.CallbackParam, value: Any) -> None:
        if value is not None and value is not False:
            ctx.meta[f"{_META}{option.name}"] = value

    db_help = f"A path, or postgresql://…; also CADENCE_DB [default: {DEFAULT_DB}]"
    at_help = "In place of now, like 2026-12-01T14:00:00Z or -2h."
    return [
        TyperOption(param_decls=["--db"], help=db_help, expose_value=False, callback=keep),
        TyperOption(
            param_decls=["--at"],
            metavar="INSTANT",
            help=at_help,
            expose_value=False,
            callback=keep,
        ),
        TyperOption(
            param_decls=["--json"],
            is_flag=True,
            help="Print JSON.",
            expose_value=False,
            callback=keep,
        ),
        TyperOption(
            param_decls=["--force"],
            is_flag=True,
            help="Record also what lies over a year after everything known.",
            expose_value=False,
            callback=keep,
        ),
        TyperOption(
            param_decls=["--allow-code"],
            is_flag=True,
            help="Run Python functions that policies name as guards; trust them first.",
            expose_value=False,
            callback=keep,
        ),
    ]


def new_app(**settings: Any) -> typer.Typer:
    """Return a place to register commands."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


def command(
    app: typer.Typer, name: str, *, example: str, cls: type[SessionCommand] = SessionCommand
) -> Callable[[_Function], _Function]:
    """Register a command whose first parameter is the :class:`Session`.

    Args:
        app: where to register it.
        name: its name.
        example: a call, shown by ``--help``.
        cls: how it is parsed.
    """
    return app.command(name, cls=cls, epilog=f"Example: {example}")
