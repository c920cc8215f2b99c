"""End what belongs to a process: after a fork the child uses nothing of the parent's (ADR 0064).

Python calls us around each fork, so that nothing is asked for each command. What a child must
neither use nor close is kept there until the process has ended: a closed SQLite handle may delete
the log of the parent, and a closed pool waits for threads that the child does not have.

The child has only the thread that forked. What another held at that moment is held there for ever;
SQLite has locks of its own, for the whole process. So a fork waits until no thread is in SQLite.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, NoReturn, Protocol
from weakref import WeakSet

from cadence.errors import InputError, StoreError

__all__ = [
    "Held",
    "Refusing",
    "Renewed",
    "abandon",
    "block_is_over",
    "closed",
    "hold_at_forks",
    "no_transaction",
    "other_database",
    "renew_in_children",
    "started_elsewhere",
    "started_in_parent",
    "transaction_ended",
    "unfit_connection",
]

_PATIENCE: Final = 10  # seconds; then it forks all the same


class Renewed(Protocol):
    """What has connections or locks of one process."""

    def renew(self) -> None:
        """Forget the connections and locks of the parent, without using or closing them."""


class Held(Protocol):
    """What a fork waits for."""

    def locks(self) -> Iterator[threading.RLock]:
        """Give the locks that a thread takes one inside the other, the outermost first."""


_renewed: Final[WeakSet[Renewed]] = WeakSet()
_held: Final[WeakSet[Held]] = WeakSet()
_taken: Final[list[threading.RLock]] = []
_forking: Final = threading.RLock()


def renew_in_children(one: Renewed) -> None:
    """Call ``one.renew()`` in each forked child, as long as something holds it."""
    _renewed.add(one)


def hold_at_forks(one: Held) -> None:
    """Hold its locks while the process forks, as long as something holds it."""
    _held.add(one)


def abandon(*objects: object) -> None:
    """Keep objects until the process has ended, also while Python shuts down."""
    # Loaded here: only forked children need it.
    import ctypes

    for one in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))


def _take_locks() -> None:
    _forking.acquire()
    waiting = [one.locks() for one in list(_held)]
    while waiting:
        # All outermost ones first: who has one may need an inner one of another store.
        for locks in list(waiting):
            lock = next(locks, None)
            if lock is None:
                waiting.remove(locks)
            elif lock.acquire(timeout=_PATIENCE):
                _taken.append(lock)


def _release_locks() -> None:
    while _taken:
        _taken.pop().release()
    _forking.release()


def _renew_all() -> None:
    _release_locks()
    for one in list(_renewed):
        one.renew()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(
        before=_take_locks, after_in_parent=_release_locks, after_in_child=_renew_all
    )


# Errors -----------------------------------------------------------------------------------------
# ``name`` is what to call the store.


def closed(name: str) -> StoreError:
    """The error of a call to a closed store."""
    return StoreError(f"{name}: closed", "open it again, and close it after the last call")


def block_is_over(name: str) -> StoreError:
    """The error of a call to the service of a block that is over."""
    return StoreError(
        f"{name}: the block of app.using(…) is over", "call the service that you opened"
    )


def started_elsewhere(name: str) -> StoreError:
    """The error of a write that another process began."""
    return StoreError(
        f"{name}: the process forked within a transaction; the child wrote nothing",
        "fork before or after the call, and call again in the child",
    )


def no_transaction(name: str) -> InputError:
    """The error of a connection that would commit each statement by itself."""
    return InputError(
        f"{name}: the connection has no transaction, and begins none",
        "begin one: with connection.transaction(), or BEGIN",
    )


def other_database(name: str) -> InputError:
    """The error of a connection to another database than the store's."""
    return InputError(
        f"{name}: the connection is to another database",
        "give a connection to the database, and the schema, that the store was opened with",
    )


def unfit_connection(name: str, given: object, wanted: str) -> InputError:
    """The error of a connection of another kind than the store's.

    Args:
        given: what was given as a connection.
        wanted: what it must be.
    """
    kind = type(given)
    return InputError(
        f"{name}: invalid connection {kind.__module__}.{kind.__qualname__}",
        f"give {wanted}; a framework's own wrapper has one inside",
    )


def started_in_parent(name: str) -> StoreError:
    """The error of a call in a forked child on connections that the parent was given."""
    return StoreError(
        f"{name}: its connections belong to the process that made them",
        "make connections, and open the store on them, in each process",
    )


def transaction_ended(name: str) -> StoreError:
    """The error of a call in a transaction of the caller's that is over."""
    return StoreError(
        f"{name}: the caller's transaction has ended", "call app.using(connection) in the next one"
    )


class Refusing(AbstractContextManager[None, None]):
    """Stands where a lock was, and refuses everyone."""

    def __init__(self, error: StoreError) -> None:
        """Args:
        error: is raised.
        """
        self._error = error

    def __enter__(self) -> NoReturn:
        # A new one each time: a traceback grows with each raise.
        raise StoreError(self._error.what, self._error.hint)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing was entered."""
