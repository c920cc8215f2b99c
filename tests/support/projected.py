"""Projections of tests: one row an event, in the order of applying, in a database of each kind."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pgserver

from cadence.domain import Event
from cadence.store import Cadence, PostgresTarget, Projection, SQLiteTarget, Target

Applied = list[tuple[str, int]]
"""Prospect and version of each event, in the order in which they were applied."""


class Rows(NamedTuple):
    """A database for rows."""

    target: Target[Any]
    mark: str
    number: str

    def projection(self, version: int = 1, name: str = "seen") -> Projection[Any]:
        """Make a row of each event; nothing in the database keeps a second one out."""
        return Projection(name, self.apply, version, create=self.create, publish=publisher(name))

    def apply(self, db: Any, table: str, events: Sequence[Event]) -> None:
        db.cursor().executemany(
            f"INSERT INTO {table} (prospect, version) VALUES ({self.mark}, {self.mark})",
            [(event.prospect, event.version) for event in events],
        )

    def create(self, db: Any, table: str) -> None:
        db.execute(f"CREATE TABLE {table} (number {self.number}, prospect text, version integer)")

    def read(self, table: str = "seen") -> Applied:
        """Read what was applied; ``seen``: to the version that is live."""
        with self.target.connect() as db:
            return list(db.execute(f"SELECT prospect, version FROM {table} ORDER BY number"))

    def kept(self) -> dict[str, str]:
        with self.target.connect() as db:
            return dict(db.execute("SELECT * FROM cadence_projections WHERE value IS NOT NULL"))


def publisher(name: str) -> Callable[[Any, str], None]:
    def publish(db: Any, table: str) -> None:
        db.execute(f"DROP VIEW IF EXISTS {name}")
        db.execute(f"CREATE VIEW {name} AS SELECT * FROM {table}")

    return publish


def in_file(path: Path) -> Rows:
    return Rows(SQLiteTarget(path), "?", "INTEGER PRIMARY KEY")


def in_postgres(address: str) -> Rows:
    return Rows(PostgresTarget(address), "%s", "bigserial PRIMARY KEY")


def conninfo(address: str) -> str:
    """An address for others than cadence: what they name without a schema is in this one."""
    base, _, schema = address.partition("&schema=")
    return f"{base}&options=-csearch_path%3D{schema}"


def elsewhere() -> str:
    """The address of a new schema in another database of the server."""
    schema = pgserver.new_schema()
    address = _other_database()
    with pgserver.connect(address) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{address}&schema={schema}"


@functools.cache
def _other_database() -> str:
    with pgserver.connect(pgserver.new_address()) as connection:
        connection.execute("CREATE DATABASE other")
    return str(pgserver.server().get_uri("other"))


def in_feed(app: Cadence) -> Applied:
    return [(item.event.prospect, item.event.version) for item in app.events()]


class Stopping:
    """A target that calls a function at each point at which a program may end."""

    def __init__(self, target: Target[Any], at_point: Callable[[int], None]) -> None:
        self._target = target
        self._at_point = at_point
        self.points = 0

    def connect(self) -> AbstractContextManager[Any]:
        return self._target.connect()

    @contextmanager
    def begin(self, db: Any) -> Iterator[None]:
        with self._target.begin(db):
            yield
            self._reach()  # before the commit
        self._reach()  # behind it

    def hold(self, db: Any, name: str) -> str | None:
        held = self._target.hold(db, name)
        self._reach()
        return held

    def keep(self, db: Any, name: str, value: str) -> None:
        self._reach()
        self._target.keep(db, name, value)
        self._reach()

    def _reach(self) -> None:
        self.points += 1
        self._at_point(self.points)
