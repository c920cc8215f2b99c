"""A store on a CRM's own tables keeps the contract, in the CRM's transaction too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pgserver
import pytest
from sqlalchemy import Engine, create_engine, func, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy_store.recorder import SQLAlchemyRecorder
from sqlalchemy_store.tables import ACTIVITIES, CUSTOMERS, METADATA

from cadence.domain import InterestNoted, ProspectAdded
from cadence.engine.commands import SetAppointment
from cadence.errors import InputError, Refused
from cadence.store import Cadence
from cadence.store.recorder import Recorder
from cadence.testing import StoreContract

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


def sqlite_engine(folder: Path) -> Engine:
    return create_engine(f"sqlite:///{folder / 'crm.db'}", connect_args={"timeout": 30})


def postgres_engine() -> Engine:
    schema = pgserver.new_schema()
    with pgserver.connect(pgserver.server().get_uri()) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    uri = pgserver.server().get_uri().replace("postgresql://", "postgresql+psycopg://")
    return create_engine(f"{uri}&options=-csearch_path%3D{schema}", pool_size=8)


class TestOnSQLite(StoreContract):
    def new_recorder(self, folder: Path) -> Recorder:
        return SQLAlchemyRecorder(sqlite_engine(folder))


class TestOnPostgres(StoreContract):
    def new_recorder(self, folder: Path) -> Recorder:
        return SQLAlchemyRecorder(postgres_engine())


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = sqlite_engine(tmp_path) if request.param == "sqlite" else postgres_engine()
    METADATA.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def app(engine: Engine) -> Cadence:
    opened = Cadence.open(SQLAlchemyRecorder(engine))
    opened.execute("ada", ProspectAdded("Ada Brook", "UTC"), at=NOW)
    with engine.begin() as connection:
        connection.execute(insert(CUSTOMERS).values(id="ada"))
    return opened


def balance(engine: Engine) -> int | None:
    with engine.connect() as connection:
        return connection.scalar(select(CUSTOMERS.c.balance))


def test_the_crms_rows_and_ours_are_written_together(app: Cadence, engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.execute(update(CUSTOMERS).values(balance=900))
        with app.using(session.connection()) as here:
            here.execute("ada", InterestNoted("bought"), at=NOW)
        assert len(app.history("ada")) == 1
    assert balance(engine) == 900
    assert len(app.history("ada")) == 2


def test_neither_is_written_where_the_crm_rolls_back(app: Cadence, engine: Engine) -> None:
    with Session(engine) as session:
        session.execute(update(CUSTOMERS).values(balance=900))
        with app.using(session.connection()) as here:
            here.execute("ada", InterestNoted("bought"), at=NOW)
            with pytest.raises(Refused):
                here.execute("ada", SetAppointment(NOW - timedelta(days=1)), at=NOW)
            assert len(here.history("ada")) == 2
        session.rollback()
    assert balance(engine) == 0
    assert len(app.history("ada")) == 1


def test_our_events_lie_among_the_crms_activities(app: Cadence, engine: Engine) -> None:
    with engine.begin() as connection:
        note = {"customer": "ada", "source": "crm", "kind": "note", "body": b"tall"}
        connection.execute(insert(ACTIVITIES).values(note))
    app.execute("ada", InterestNoted("bought"), at=NOW)
    assert [item.event.version for item in app.events()] == [1, 2]
    with engine.connect() as connection:
        counted = select(ACTIVITIES.c.source, func.count()).group_by(ACTIVITIES.c.source)
        found = connection.execute(counted.order_by(ACTIVITIES.c.source))
        assert [tuple(row) for row in found] == [("cadence", 2), ("crm", 1)]


def test_a_connection_of_another_engine_is_refused(app: Cadence, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = sqlite_engine(tmp_path / "other")
    with other.connect() as connection, pytest.raises(InputError), app.using(connection):
        raise AssertionError("it was not refused")
