"""The contract of a store, on every store of ours."""

from pathlib import Path

import pgserver

from cadence.store.recorder import Recorder
from cadence.store.recorders.opening import open_recorder
from cadence.testing import StoreContract


class TestMemory(StoreContract):
    def new_recorder(self, folder: Path) -> Recorder:
        return open_recorder(None)


class TestSQLite(StoreContract):
    def new_recorder(self, folder: Path) -> Recorder:
        return open_recorder(str(folder / "c.db"), lock_timeout_seconds=30)


class TestPostgres(StoreContract):
    def new_recorder(self, folder: Path) -> Recorder:
        return open_recorder(pgserver.new_address(), lock_timeout_seconds=30)
