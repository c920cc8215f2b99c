"""Stand in for a database that is not there yet, where it was opened read-only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from cadence.store.recorder import Recorder
from cadence.store.recorders.lifetime import renew_in_children
from cadence.store.recorders.memory import MemoryRecorder

__all__ = ["AwaitedRecorder"]


class AwaitedRecorder:
    """Reads as empty until another program makes the database, then as that.

    It has every method of :class:`~cadence.store.recorder.Recorder`. Each call looks for the
    database until it is there.
    """

    def __init__(self, find: Callable[[], Recorder | None]) -> None:
        """Args:
        find: opens the database; ``None``: it is not there.
        """
        self._find = find
        self._empty = MemoryRecorder("database")
        self._found: Recorder | None = None
        self._lock = threading.Lock()
        self._when_found: Callable[[], None] = lambda: None
        renew_in_children(self)

    def renew(self) -> None:
        """Let this forked child look for the database itself."""
        self._lock = threading.Lock()
        if self._found is None:
            self._empty = MemoryRecorder("database")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recorder(), name)

    def when_found(self, call: Callable[[], None]) -> None:
        """Call this once, when the database has been found."""
        self._when_found = call

    def is_missing(self) -> bool:
        """Return whether the database is not there yet."""
        return self._recorder() is self._empty

    def close(self) -> None:
        """Close the connections, if there are any, and look no more."""
        with self._lock:
            self._found = self._found or self._empty
            self._found.close()

    def _recorder(self) -> Recorder:
        if self._found is None:
            with self._lock:
                is_new = self._found is None and (found := self._find()) is not None
                if is_new:
                    self._found = found
            if is_new:
                self._when_found()
        return self._found or self._empty
