"""Do work in the process of a worker: open the store there once, and keep it for the next call.

A worker may be a thread of the caller, a process beside it or a machine of a cluster. Nothing is
known of it but that it calls :func:`run`. What a task brings is plain data: how the store was
opened, the work, and its items. Where the caller's own store is at hand, that one is used.
"""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cadence.errors import CadenceError, InputError
from cadence.policy import guard_runner
from cadence.store.recorders.lifetime import renew_in_children

if TYPE_CHECKING:
    from cadence.store.service import Cadence

__all__ = ["Answer", "Offered", "Sent", "run", "versions", "without_collector"]

# For how many seconds a store that is not used stays open. Pages of one run follow each other
# within a second; an idle connection takes one of the server's.
_IDLE: Final = 30.0

# What the same events are decided with. Another version of one of them may decide otherwise.
_PACKAGES: Final = ("cadence", "holidays", "phonenumbers", "tzdata")


class Sent(NamedTuple):
    """What a worker is sent with each share of the items.

    Attributes:
        process, token: of the run, in the process where it began.
        versions: of the packages there, by name.
        source: what opens the store, pickled.
        work: what is done on an item, pickled.
    """

    process: int
    token: str
    versions: tuple[tuple[str, str], ...]
    source: bytes
    work: bytes


class Answer(NamedTuple):
    """What came of a share: one result an item, or why there is none.

    An error of the work is an answer. So whatever the executor itself raises is about a worker.
    """

    results: Sequence[Any]
    error: Exception | None = None


class Offered(NamedTuple):
    """A store that is open in this process, and the work that is done on it."""

    store: Cadence
    work: Any


@lru_cache(maxsize=1)
def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of what every decision depends on, by package."""
    # Loaded here: it is slow to load, and most programs have no workers.
    from importlib.metadata import version

    return tuple([(name, version(name)) for name in _PACKAGES])


@contextmanager
def without_collector() -> Iterator[None]:
    """Pause the garbage collector: events hold no cycles, and looking takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


here: Final[dict[str, Offered]] = {}
"""The runs of this process, by token."""


def run(sent: Sent, items: Sequence[Any]) -> Answer:
    """Do the work on each of ``items``; the function that an executor is given."""
    try:
        offered = here.get(sent.token)
        if offered is not None and sent.process == os.getpid():
            return Answer(_do(offered.work, offered.store, items))
        _check_versions(sent)
        with _kept.opened(sent.source) as one, guard_runner.allowing_only(one.functions):
            return Answer(_do(_work(sent.work), one.store, items))
    except CadenceError as error:
        return Answer((), error)
    except Exception as error:  # a fault of ours: what is known of it goes along
        error.add_note(traceback.format_exc())
        return Answer((), error)


def _do(
    work: Callable[[Cadence], Callable[[Any], Any]], store: Cadence, items: Sequence[Any]
) -> Any:
    do = work(store)
    with without_collector():
        return [do(item) for item in items]


# Cached, because each share of a run brings the same.
@lru_cache(maxsize=4)
def _work(pickled: bytes) -> Any:
    return pickle.loads(pickled)


def _check_versions(sent: Sent) -> None:
    other = [
        f"{name} {found} there, {wanted} here"
        for (name, wanted), (_, found) in zip(sent.versions, versions(), strict=True)
        if wanted != found
    ]
    if other:
        raise InputError(
            f"worker: it would decide by other versions: {'; '.join(other)}",
            "install the same versions on every machine",
        )


# The stores of this process -----------------------------------------------------------------------


class _Open:
    """A store that this process opened for its tasks.

    Attributes:
        functions: the guard functions that may be imported for this store, and no others.
        users: how many tasks use it.
        since: when the last of them ended, on the monotonic clock.
    """

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._store: Cadence | None = None
        self.functions: set[str] = set()
        self.users = 0
        self.since = 0.0

    @property
    def store(self) -> Cadence:
        """The store; the first task opens it, and the others wait for it."""
        with self._lock:
            if self._store is None:
                open_source, source = pickle.loads(self._source)
                self.functions.update(source.functions)
                with guard_runner.allowing_only(self.functions):
                    self._store = open_source(source)
            return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


class _KeptStores:
    """The stores of a process, each until it was idle for a while."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Let a forked child open its own."""
        self._lock = threading.Lock()
        self._open: dict[bytes, _Open] = {}
        self._closer: threading.Timer | None = None

    @contextmanager
    def opened(self, source: bytes) -> Iterator[_Open]:
        """Use a store; threads share it."""
        with self._lock:
            one = self._open.setdefault(source, _Open(source))
            one.users += 1
        try:
            yield one
        finally:
            with self._lock:
                one.users -= 1
                one.since = time.monotonic()
                self._close_later()

    def close_idle(self) -> None:
        """Close what was not used for a while."""
        with self._lock:
            self._closer = None
            over = time.monotonic() - _IDLE
            idle = [key for key, one in self._open.items() if not one.users and one.since <= over]
            closed = [self._open.pop(key) for key in idle]
            if self._open:
                self._close_later()
        for one in closed:
            one.close()

    def _close_later(self) -> None:
        if self._closer is None:
            self._closer = threading.Timer(_IDLE, self.close_idle)
            self._closer.daemon = True
            self._closer.start()


_kept: Final = _KeptStores()
