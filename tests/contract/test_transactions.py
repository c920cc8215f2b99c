"""In a transaction of the caller's: their rows and ours together, or neither."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pgserver
import psycopg
import pytest
from adoption_cases import OURS
from eventsourcing.persistence import IntegrityError
from psycopg.rows import dict_row

from cadence.domain.channels import CALL
from cadence.domain.events import (
    ContactPoint,
    EndReason,
    InterestNoted,
    OptOutRequested,
    ProspectAdded,
)
from cadence.engine.commands import EndFollowUp, SetAppointment
from cadence.errors import InputError, Refused, StoreBusy, StoreError, UnknownProspect
from cadence.policy.rules import Rule
from cadence.store import Cadence
from cadence.store.adoption import adopt
from cadence.store.due_list import AddressRow
from cadence.store.recorder import AddressChange
from cadence.store.serializer import EventMapper

NOW = datetime(2026, 11, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ADDED = ProspectAdded("Jo", "UTC", contact_points=(ContactPoint(CALL, "+1 212 555 0101"),))
END = EndFollowUp(EndReason.BOUGHT)
KIM = ProspectAdded("Kim", "UTC", contact_points=(ContactPoint(CALL, "+1 212 555 0102"),))

Connection = Any  # sqlite3.Connection or psycopg.Connection: what both have is used


class Base:
    """A database, and what a team does with it beside cadence."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_postgres = address.startswith("postgresql")

    def connect(self, **options: Any) -> Connection:
        if self.is_postgres:
            return psycopg.connect(self.address.partition("&schema=")[0], **options)
        return sqlite3.connect(self.address, **options)

    @property
    def table(self) -> str:
        return f"{pgserver.schema_of(self.address)}.crm" if self.is_postgres else "crm"

    def note(self, connection: Connection, text: str) -> None:
        connection.execute(f"INSERT INTO {self.table} VALUES ('{text}')")

    def notes(self) -> list[str]:
        with closing(self.connect()) as connection:
            return [row[0] for row in connection.execute(f"SELECT * FROM {self.table}").fetchall()]


@pytest.fixture(params=["sqlite", "postgres"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    address = str(tmp_path / "c.db") if request.param == "sqlite" else pgserver.new_address()
    return Base(address)


@pytest.fixture
def server() -> Base:
    """Here several transactions write at a time, and one that has failed is over."""
    return Base(pgserver.new_address())


@pytest.fixture
def app(base: Base) -> Iterator[Cadence]:
    with Cadence.open(base.address, lock_timeout_seconds=10) as opened:
        opened.execute("jo", ADDED, at=NOW)
        with closing(base.connect()) as connection:
            connection.execute(f"CREATE TABLE {base.table} (note text)")
            connection.commit()
        yield opened


@contextmanager
def transaction(base: Base, **options: Any) -> Iterator[Connection]:
    """A connection in a transaction: committed at the end, or rolled back where it fails."""
    with closing(base.connect(**options)) as connection:
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


def refusal_in_a_child(call: Callable[[], object]) -> bool:
    """Whether a forked child is told that the connections are its parent's."""
    child = os.fork()
    if not child:
        status = 1
        try:
            call()
        except StoreError as error:
            status = 0 if "belong to the process" in error.what else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def refusal(app: Cadence, connection: Connection) -> str:
    """How a connection is refused."""
    with pytest.raises(InputError) as caught, app.using(connection):
        raise AssertionError("it was not refused")
    return caught.value.what


def rows_are_right(app: Cadence) -> None:
    rows = app.due_rows.stored()
    app.due_rows.rebuild()
    assert app.due_rows.stored() == rows


# Together, or neither -----------------------------------------------------------------------------


def test_what_is_written_counts_when_the_caller_commits(app: Cadence, base: Base) -> None:
    with transaction(base) as connection:
        base.note(connection, "won")
        with app.using(connection) as here:
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
            here.execute("kim", KIM, at=NOW)
            assert here.load("kim").version == 1
            assert [row.prospect for row in here.due_rows.stored()] == ["jo", "kim"]
        assert app.load("jo").version == 1
        assert list(app.prospects()) == ["jo"]
    assert base.notes() == ["won"]
    assert app.load("jo").version == 2
    assert list(app.prospects()) == ["jo", "kim"]
    rows_are_right(app)


def test_nothing_counts_when_the_caller_rolls_back(app: Cadence, base: Base) -> None:
    rows = app.due_rows.stored()
    with closing(base.connect()) as connection:
        base.note(connection, "won")
        with app.using(connection) as here:
            here.execute("jo", InterestNoted("x"), at=NOW)
            here.execute("kim", KIM, at=NOW)
            claim = here.claim("jo", own=CALL, by="ann", at=NOW)
        connection.rollback()
    assert base.notes() == []
    assert app.load("jo").version == 1
    assert app.due_rows.stored() == rows
    with pytest.raises(UnknownProspect):
        app.history("kim")
    with pytest.raises(InputError, match="unknown token"):
        app.release(claim.token)


def test_what_fails_within_the_block_is_the_callers_to_roll_back(app: Cadence, base: Base) -> None:
    def fail_late() -> None:
        with transaction(base) as connection, app.using(connection) as here:
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert app.load("jo").version == 1


def test_a_refused_command_leaves_the_transaction_as_it_was(app: Cadence, base: Base) -> None:
    app.execute("jo", END, at=NOW)
    with transaction(base) as connection, app.using(connection) as here:
        base.note(connection, "first")
        with pytest.raises(Refused):
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
        with pytest.raises(UnknownProspect):
            here.execute("nobody", InterestNoted("x"), at=NOW)
        base.note(connection, "second")
        here.execute("kim", KIM, at=NOW)
    assert base.notes() == ["first", "second"]
    assert app.load("kim").version == 1


def test_a_write_that_fails_half_way_leaves_no_half(app: Cadence, base: Base) -> None:
    taken = EventMapper().to_stored_event(app.history("jo")[0])
    said = AddressRow("tel:+1", "tel:+1", "jo", "{}", False)
    with transaction(base) as connection, app.using(connection) as here:
        with pytest.raises(IntegrityError):
            here._recorder.insert_events([taken], addresses=[AddressChange("jo", written=(said,))])
        base.note(connection, "won")
    assert base.notes() == ["won"]
    assert app._recorder.select_addresses(["tel:+1"]) == []


def test_a_command_that_another_writer_overtakes_is_decided_again(server: Base) -> None:
    with Cadence.open(server.address) as app, closing(server.connect()) as connection:
        app.execute("jo", ADDED, at=NOW)
        with app.using(connection) as here:
            read = here._recorder.select_stream

            def read_late(prospect: str) -> Any:
                events = read(prospect)
                if len(events) == 1:
                    app.execute("jo", InterestNoted("theirs"), at=NOW)
                return events

            here._recorder.select_stream = read_late  # type: ignore[method-assign]
            here.execute("jo", InterestNoted("ours"), at=NOW)
        connection.commit()
        assert [event.version for event in app.history("jo")] == [1, 2, 3]


def test_a_process_that_is_killed_before_the_commit_wrote_nothing(app: Cadence, base: Base) -> None:
    code = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from test_transactions import *
base = Base({base.address!r})
with Cadence.open(base.address) as app, transaction(base) as connection:
    base.note(connection, "won")
    with app.using(connection) as here:
        here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    assert base.notes() == []
    assert app.load("jo").version == 1
    app.execute("jo", SetAppointment(NOW + DAY), at=NOW)


def test_a_policy_that_was_rolled_back_is_kept_with_the_next_prospect(
    app: Cadence, base: Base
) -> None:
    with closing(base.connect()) as connection:
        with app.using(connection) as here:
            assert adopt(here, OURS, ["jo"], NOW) == 1
        connection.rollback()
    assert app.library.kept() == []
    assert adopt(app, OURS, ["jo"], NOW) == 1
    with Cadence.open(base.address) as other:
        assert other.explain("jo", NOW).policy == OURS.ref
        assert [one.digest for one in other.library.kept()] == [OURS.digest]


# Who waits for whom -------------------------------------------------------------------------------


def test_another_claim_waits_for_the_commit_and_is_refused(app: Cadence, base: Base) -> None:
    ended: list[object] = []

    def claim() -> None:
        try:
            ended.append(app.claim("jo", own=CALL, by="bob", at=NOW))
        except Refused as error:
            ended.append(error)

    with transaction(base) as connection:
        with app.using(connection) as here:
            here.claim("jo", own=CALL, by="ann", at=NOW)
        other = threading.Thread(target=claim)
        other.start()
        other.join(0.3)
        assert not ended
    other.join()
    [error] = ended
    assert isinstance(error, Refused)
    assert error.rule == Rule.CLAIMED


def test_of_two_transactions_that_wait_for_each_other_one_may_try_again(server: Base) -> None:
    both = threading.Barrier(2)
    failed: list[StoreError] = []

    def write(first: str, second: str) -> None:
        with closing(server.connect()) as connection:
            try:
                with app.using(connection) as here:
                    here.execute(first, InterestNoted("x"), at=NOW)
                    both.wait(10)
                    here.execute(second, InterestNoted("x"), at=NOW)
                connection.commit()
            except StoreError as error:
                failed.append(error)
                connection.rollback()

    with Cadence.open(server.address) as app:
        app.execute("jo", ADDED, at=NOW)
        app.execute("kim", KIM, at=NOW)
        threads = [
            threading.Thread(target=write, args=names) for names in (("jo", "kim"), ("kim", "jo"))
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        [error] = failed
        assert isinstance(error, StoreBusy)
        assert error.retryable
        assert [app.load(name).version for name in ("jo", "kim")] == [2, 2]


def test_what_is_rolled_back_never_had_a_position(app: Cadence, base: Base) -> None:
    with closing(base.connect()) as connection:
        for text in ("first", "second"):
            with app.using(connection) as here:
                here.execute("jo", InterestNoted(text), at=NOW)
                assert [item.event.version for item in here.events()] == [1]
        connection.rollback()
        *_, last = app.events()
        app.execute("jo", InterestNoted("third"), at=NOW)
        assert [item.event.version for item in app.events(after=last.position)] == [2]
        with app.using(connection) as here:
            assert len(list(here.events())) == 2


def test_the_feed_gives_events_in_order_whenever_their_transaction_began(base: Base) -> None:
    """The transaction has its number before another writes to the prospect that it writes to."""
    with Cadence.open(base.address) as app:
        app.execute("jo", ADDED, at=NOW)
        app.execute("kim", KIM, at=NOW)
        with closing(base.connect()) as connection:
            if base.is_postgres:
                connection.execute("SELECT pg_current_xact_id()")
            app.execute("jo", InterestNoted("first"), at=NOW)
            seen = list(app.events())
            with app.using(connection) as here:
                here.execute("jo", InterestNoted("second"), at=NOW)
                here.execute("kim", InterestNoted("x"), at=NOW)
                between = list(app.events(after=seen[-1].position))
                assert between == []
            connection.commit()
        seen += app.events(after=seen[-1].position)
        app.execute("jo", InterestNoted("third"), at=NOW)
        seen += app.events(after=seen[-1].position)
    assert [one.event.version for one in seen if one.event.prospect == "jo"] == [1, 2, 3, 4]
    assert [one.event.version for one in seen if one.event.prospect == "kim"] == [1, 2]


# What a connection must be ------------------------------------------------------------------------


def test_the_connection_stays_as_its_owner_made_it(app: Cadence, base: Base) -> None:
    with closing(base.connect()) as connection:
        if base.is_postgres:
            factory, cursors = dict_row, psycopg.ClientCursor  # as Django has it
            connection.row_factory, connection.cursor_factory = factory, cursors
        else:
            factory = connection.row_factory = sqlite3.Row
        with app.using(connection) as here:
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
            row = connection.execute("SELECT 1 AS one").fetchone()
            assert row["one"] == 1
            assert here.explain("jo", NOW).at == NOW + DAY
        assert connection.row_factory is factory
        if base.is_postgres:
            assert connection.cursor_factory is cursors
        connection.commit()
    assert app.load("jo").version == 2


def test_a_transaction_that_is_over_is_refused(app: Cadence, base: Base) -> None:
    with closing(base.connect()) as connection, app.using(connection) as here:
        here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
        connection.commit()
        for call in (lambda: here.load("jo"), lambda: here.execute("jo", END, at=NOW)):
            with pytest.raises(StoreError, match="the caller's transaction has ended"):
                call()
    assert app.load("jo").version == 2


def test_the_service_ends_with_the_block(app: Cadence, base: Base) -> None:
    with transaction(base) as connection:
        with app.using(connection) as here:
            pass
        with pytest.raises(StoreError, match=r"the block of app\.using\(…\) is over"):
            here.execute("jo", END, at=NOW)
    assert app.load("jo").version == 1


def test_a_connection_that_begins_no_transaction_is_refused(app: Cadence, base: Base) -> None:
    options = {"autocommit": True} if base.is_postgres else {"isolation_level": None}
    with closing(base.connect(**options)) as connection:
        assert "has no transaction" in refusal(app, connection)
        connection.execute("BEGIN")
        with app.using(connection) as here:
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
        connection.execute("COMMIT")
    assert app.load("jo").version == 2


def test_a_connection_to_another_database_is_refused(
    app: Cadence, base: Base, tmp_path: Path
) -> None:
    if base.is_postgres:
        with psycopg.connect(base.address.partition("&schema=")[0], autocommit=True) as connection:
            name = f"other_{pgserver.new_schema()}"
            connection.execute(f"CREATE DATABASE {name}")
        theirs = psycopg.connect(base.address.partition("&schema=")[0], dbname=name)
    else:
        theirs = sqlite3.connect(tmp_path / "other.db")
    with closing(theirs):
        assert "to another database" in refusal(app, theirs)


def test_a_connection_of_another_kind_is_refused(app: Cadence, base: Base) -> None:
    assert "invalid connection builtins.str" in refusal(app, "x")


def test_a_transaction_that_would_not_see_others_is_refused(app: Cadence, base: Base) -> None:
    with closing(base.connect()) as connection:
        if base.is_postgres:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            wanted = "the transaction is repeatable read"
        else:
            connection.text_factory = bytes
            wanted = "text_factory"
        assert wanted in refusal(app, connection)


def test_a_transaction_that_has_failed_is_refused(server: Base) -> None:
    with (
        Cadence.open(server.address) as app,
        closing(server.connect()) as connection,
        app.using(connection) as here,
    ):
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1/0")
        with pytest.raises(StoreError, match="transaction has failed"):
            here.execute("jo", ADDED, at=NOW)


def test_a_store_in_memory_has_no_transaction_of_a_caller() -> None:
    with Cadence.open() as app, closing(sqlite3.connect(":memory:")) as connection:
        assert "no transactions" in refusal(app, connection)


def test_a_forked_child_refuses_the_transaction_of_its_parent(app: Cadence, base: Base) -> None:
    with transaction(base) as connection, app.using(connection) as here:
        assert refusal_in_a_child(lambda: here.execute("jo", END, at=NOW))
        here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
    assert app.load("jo").version == 2


# A pool of the caller's ---------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[Any]:
    import psycopg_pool

    schema = pgserver.new_schema()
    with psycopg.connect(pgserver.server().get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"SET search_path TO {schema}")
        connection.commit()

    with psycopg_pool.ConnectionPool(
        pgserver.server().get_uri(), min_size=1, max_size=3, open=True, configure=configure
    ) as opened:
        yield opened


def test_a_store_works_on_a_pool_of_the_callers(pool: Any) -> None:
    with Cadence.open(pool) as app:
        app.execute("jo", ADDED, at=NOW)
        app.execute("kim", KIM, at=NOW)
        claim = app.claim("jo", own=CALL, by="ann", at=NOW)
        app.release(claim.token)
        app.execute("kim", OptOutRequested(), at=NOW)
        assert [item.event.prospect for item in app.events()] == ["jo", "kim", "kim"]
        with pool.connection() as connection, app.using(connection) as here:
            here.execute("jo", SetAppointment(NOW + DAY), at=NOW)
        assert app.load("jo").version == 2
        rows_are_right(app)
    with pool.connection() as connection:  # it stays open, and as it was
        assert not connection.autocommit
        assert connection.isolation_level is None
        assert connection.execute("SELECT count(*) FROM stored_events").fetchone() == (4,)


def test_a_forked_child_refuses_the_pool_of_its_parent(pool: Any) -> None:
    with Cadence.open(pool) as app:
        app.execute("jo", ADDED, at=NOW)
        assert refusal_in_a_child(lambda: app.load("jo"))
        assert app.load("jo").version == 1


def test_something_that_is_no_database_is_refused() -> None:
    with pytest.raises(InputError, match=r"database: invalid builtins\.int"):
        Cadence.open(3)  # type: ignore[arg-type]
