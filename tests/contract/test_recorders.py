"""The eventsourcing package's own tests of a recorder, on every recorder of ours."""

import sys
import threading
from abc import ABC
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest import TestCase, mock
from uuid import uuid4

import pgserver
from eventsourcing.persistence import ApplicationRecorder

from cadence.store.recorders.memory import MemoryRecorder
from cadence.store.recorders.opening import open_recorder
from cadence.store.recorders.postgres import PostgresRecorder
from cadence.store.recorders.sqlite import SQLiteRecorder

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
    """Makes a recorder as the service does, with ids of text as ours are."""

    recorder_class: type[ApplicationRecorder]

    def address(self) -> str | None:
        raise NotImplementedError

    def new_originator_id(self) -> str:
        return f"prospect-{uuid4()}"

    def create_recorder(self) -> ApplicationRecorder:
        # On SQLite a hundred writes wait in a row, each for a full flush to the disk.
        recorder = open_recorder(self.address(), lock_timeout_seconds=60)
        self.addCleanup(recorder.close)
        self.addCleanup(_wait_for_readers)
        assert type(recorder) is self.recorder_class
        return recorder


class Memory(OurRecorder):
    recorder_class = MemoryRecorder

    def address(self) -> None:
        return None


class SQLite(OurRecorder):
    recorder_class = SQLiteRecorder

    def address(self) -> str:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return str(Path(folder.name) / "cadence.db")


class Postgres(OurRecorder):
    recorder_class = PostgresRecorder

    def address(self) -> str:
        return pgserver.new_address()


class TestMemoryRecorder(Memory, ApplicationRecorderTestCase[MemoryRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestSQLiteRecorder(SQLite, ApplicationRecorderTestCase[SQLiteRecorder]):
    def test_insert_subscribe(self) -> None:
        # The package has no subscription on SQLite; ours reads the feed, as everywhere.
        self.optional_test_insert_subscribe()


class TestPostgresRecorder(Postgres, ApplicationRecorderTestCase[PostgresRecorder]):
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
