"""The eventsourcing package's own tests of a recorder, on every recorder that we subclass."""

import sys
import threading
from abc import ABC
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest import TestCase, mock
from uuid import uuid4

import pgserver
import pytest
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory
from eventsourcing.utils import Environment

from cadence.store.memory import MemoryFactory, MemoryRecorder
from cadence.store.postgres import PostgresDueRecorder, postgres_factory
from cadence.store.sqlite import SQLiteDueFactory, SQLiteDueRecorder

# The package's tests of mappers, which we don't use, want its cipher and so a package for that.
_cipher = ModuleType("eventsourcing.cipher")
_cipher.AESCipher = None  # type: ignore[attr-defined]
with mock.patch.dict(sys.modules, {"eventsourcing.cipher": _cipher}):
    from eventsourcing.tests.persistence import (
        ApplicationRecorderTestCase,
        NonInterleavingNotificationIDsBaseCase,
    )


def _wait_for_readers() -> None:
    """The package's tests leave threads that still read when they end: close after those."""
    for thread in threading.enumerate():
        if "read_continuously" in thread.name:
            thread.join(30)


class OurRecorder(TestCase, ABC):
    """Makes a recorder as the application does, with ids of text as ours are."""

    recorder_class: type[ApplicationRecorder]

    def create_factory(self) -> InfrastructureFactory:
        raise NotImplementedError

    def new_originator_id(self) -> str:
        return f"prospect-{uuid4()}"

    def create_recorder(self) -> ApplicationRecorder:
        factory = self.create_factory()
        self.addCleanup(factory.close)
        self.addCleanup(_wait_for_readers)
        recorder = factory.application_recorder()
        assert type(recorder) is self.recorder_class
        return recorder


class Memory(OurRecorder):
    recorder_class = MemoryRecorder

    def create_factory(self) -> InfrastructureFactory:
        return MemoryFactory(Environment("cadence", {}))


class SQLite(OurRecorder):
    recorder_class = SQLiteDueRecorder

    def create_factory(self) -> InfrastructureFactory:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        # A hundred writes wait in a row for the one lock, each for a full flush to the disk.
        return SQLiteDueFactory(Path(folder.name) / "cadence.db", lock_timeout_seconds=60)


class Postgres(OurRecorder):
    recorder_class = PostgresDueRecorder

    def create_factory(self) -> InfrastructureFactory:
        return postgres_factory(pgserver.new_address(), lock_timeout_seconds=60)


class TestMemoryRecorder(Memory, ApplicationRecorderTestCase[MemoryRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestSQLiteRecorder(SQLite, ApplicationRecorderTestCase[SQLiteDueRecorder]):
    def test_insert_subscribe(self) -> None:
        # The package has no subscription on SQLite, and says so.
        with pytest.raises(NotImplementedError, match="does not support subscriptions"):
            self.create_recorder().subscribe()


class TestPostgresRecorder(Postgres, ApplicationRecorderTestCase[PostgresDueRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestMemoryNotificationIds(Memory, NonInterleavingNotificationIDsBaseCase):
    pass


class TestSQLiteNotificationIds(SQLite, NonInterleavingNotificationIDsBaseCase):
    pass


class TestPostgresNotificationIds(Postgres, NonInterleavingNotificationIDsBaseCase):
    pass


# Or pytest would take the package's abstract cases for tests of this file.
del ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase
