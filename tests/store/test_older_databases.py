"""Databases that an older cadence made open in place, and are read and written as new ones."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import children
import pgserver
import psycopg
import pytest
from nightly import NIGHTLY

from cadence import Cadence
from cadence.audit.auditor import Auditor
from cadence.domain.events import InterestNoted
from cadence.store.recorder import ADDRESSES_WHOLE
from cadence.store.recorders.sql import ADDED_COLUMNS

NOW = datetime(2026, 12, 1, 14, tzinfo=UTC)
DUMPS = Path(__file__).parents[1] / "golden" / "stores"
PEOPLE = ["ann", "ben", "cleo", "twin"]
"""Ann is claimed, Ben was called, Cleo's number is on a list, and Twin has Ben's number."""


@pytest.fixture(params=sorted(path.name for path in DUMPS.glob("*.sql")))
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of the day that the name says, as its own programs dump it."""
    dump = (DUMPS / request.param).read_text(encoding="utf-8")
    if ".sqlite." in request.param:
        path = tmp_path / "c.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(dump)
        yield str(path)
        return
    address = pgserver.new_address()
    with psycopg.connect(address.partition("&schema=")[0], autocommit=True) as connection:
        # Each of its statements ends at the end of a line.
        for statement in dump.split(";\n"):
            connection.execute(statement.replace("kept", pgserver.schema_of(address)).encode())
    yield address


def test_a_database_of_an_older_cadence_is_read_before_it_is_changed(address: str) -> None:
    with Cadence.open(address, read_only=True, clock=lambda: NOW) as reader:
        assert list(reader.prospects()) == PEOPLE
        assert [len(reader.history(name)) for name in PEOPLE] == [2, 3, 2, 2]
        assert reader.settings().default_region == "US"
        listed = {one.prospect: one for one in reader.due(NOW)}
        assert listed["ann"].claim is not None
        assert listed["ann"].claim.by == "kim"
        assert [item.event.prospect for item in reader.events()].count("ben") == 3


def test_a_database_of_an_older_cadence_is_written_in_place(address: str) -> None:
    with Cadence.open(address, clock=lambda: NOW) as app:
        app.execute("ann", InterestNoted("less paper"), at=NOW)
        # Ann is claimed, Ben was called a moment ago, and Cleo's number is on a list.
        assert [claim.prospect for claim in app.claim_next(4, by="sam", at=NOW)] == ["twin"]
        (held,) = app._recorder.open_claims("ann")
        assert app.release(held.token)
        assert [claim.prospect for claim in app.claim_next(4, by="sam", at=NOW)] == ["ann"]
        app.due_rows.rebuild()
        assert not app.due_rows.are_stale()
        assert app.claim_next(4, by="kim", at=NOW) == []
        findings = [
            Auditor(app.library.default()).audit(history) for history in app.histories.all()
        ]
        assert findings == [[], [], [], []]
        app.execute("cleo", InterestNoted("boats"), at=NOW + timedelta(minutes=1))
        assert app.find("+1 212 555 0102") == ["ben", "twin"]
        last = [item.event for item in app.events()][-1]
    assert (last.prospect, last.version) == ("cleo", 3)
    with Cadence.open(address, clock=lambda: NOW) as again:
        assert [len(again.history(name)) for name in PEOPLE] == [3, 3, 3, 2]


def test_a_database_of_an_older_cadence_gets_the_tables_of_a_new_one(
    address: str, tmp_path: Path
) -> None:
    is_file = not address.startswith("postgresql")
    new = str(tmp_path / "new.db") if is_file else pgserver.new_address()
    for one in (address, new):
        Cadence.open(one, clock=lambda: NOW).close()
    look = tables_of_file if is_file else tables_of_schema
    assert look(address) == look(new)


# An upgrade that is killed -----------------------------------------------------------------------

ADDED_TABLES = ("claims", "holders", "entries", "settings")


def make_older(address: str) -> None:
    """Take away what came after the first tables: an upgrade has the more to do."""
    drops = [f"DROP TABLE {{0}}{table}" for table in ADDED_TABLES]
    drops += ["DROP INDEX {0}due_owner", "DROP INDEX {0}due_stamp"]
    drops.append(f"DELETE FROM {{0}}meta WHERE key = '{ADDRESSES_WHOLE}'")
    drops += [f"ALTER TABLE {{0}}due DROP COLUMN {column}" for column in ADDED_COLUMNS]
    if not address.startswith("postgresql"):
        with closing(sqlite3.connect(address, isolation_level=None)) as connection:
            for statement in drops:
                connection.execute(statement.format(""))
        return
    drops.append("ALTER TABLE {0}stored_events DROP COLUMN written_in")
    with pgserver.connect(address) as connection:
        for statement in drops:
            connection.execute(statement.format(f"{pgserver.schema_of(address)}.").encode())


class Killing(sqlite3.Connection):
    """A connection that may be killed at any statement."""

    count: Callable[[object], None]

    def execute(self, sql: str, /, *given: object) -> sqlite3.Cursor:
        type(self).count(sql)
        return super().execute(sql, *given)  # type: ignore[arg-type]


def upgrade(address: str, left: int) -> str:
    """Upgrade in this process, which is killed before the statement behind ``left`` others."""

    def count(_statement: object) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    connect, execute = sqlite3.connect, psycopg.Cursor.execute

    def counted(self: psycopg.Cursor[object], query: object, *given: object, **named: object):
        count(query)
        return execute(self, query, *given, **named)  # type: ignore[arg-type]

    Killing.count = staticmethod(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=Killing)
        )
        patch.setattr(psycopg.Cursor, "execute", counted)
        with Cadence.open(address, clock=lambda: NOW) as app:
            app.execute("ben", InterestNoted("less paper"), at=NOW, command_id="upgraded")
    return "done"


def test_an_upgrade_that_is_killed_anywhere_changes_nothing_or_goes_on(
    address: str, tmp_path: Path
) -> None:
    """After every kill the database is read and written as before, and is then a new one."""
    make_older(address)
    is_file = not address.startswith("postgresql")
    kept, new = tmp_path / "kept.db", tmp_path / "new.db"
    if is_file:
        shutil.copy(address, kept)
    kills = 0
    for statements in range(0, 1000, 1 if NIGHTLY or is_file else 5):
        if is_file:  # each begins at the first statement; on a server it goes on
            for end in ("", "-wal", "-shm"):
                Path(f"{address}{end}").unlink(missing_ok=True)
            shutil.copy(kept, address)
        child = children.fork(lambda: upgrade(address, statements))  # noqa: B023
        with os.fdopen(child.heard) as told:
            said = told.read()
        _, status = os.waitpid(child.pid, 0)
        was_killed = os.WIFSIGNALED(status)
        assert was_killed or said == "done", said
        kills += was_killed
        with Cadence.open(address, read_only=True, clock=lambda: NOW) as reader:
            assert list(reader.prospects()) == PEOPLE
            assert len(reader.history("ann")) == 2
            assert [one.prospect for one in reader.due(NOW)]
        if not was_killed:
            break
    assert kills > 5
    with Cadence.open(address, clock=lambda: NOW) as app:
        again = app.execute("ben", InterestNoted("less paper"), at=NOW, command_id="upgraded")
        assert again.repeated
        assert len(app.history("ben")) == 4
    look = tables_of_file if is_file else tables_of_schema
    other = str(new) if is_file else pgserver.new_address()
    Cadence.open(other, clock=lambda: NOW).close()
    assert look(address) == look(other)


def tables_of_file(path: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT m.type, m.name, c.name, c.type, c.pk FROM sqlite_master m "
            "LEFT JOIN pragma_table_info(m.name) c ORDER BY 1, 2, 3"
        ).fetchall()


def tables_of_schema(address: str) -> list[tuple[object, ...]]:
    schema = pgserver.schema_of(address)
    with pgserver.connect(address) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable, "
            "column_default IS NULL FROM information_schema.columns WHERE table_schema = %s "
            "ORDER BY 1, 2",
            (schema,),
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, replace(indexdef, schemaname || '.', '') FROM pg_indexes "
            "WHERE schemaname = %s ORDER BY 1, 2",
            (schema,),
        ).fetchall()
    return columns + indexes
