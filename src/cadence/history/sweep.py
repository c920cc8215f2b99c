"""Every history of a store, a page at a time, on all cores.

Memory is bounded by a page, not by the store: pages are handed out as they are asked for, and only
a few are on the way at any time. Each process opens the store for itself, to read.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, Final, NamedTuple, TypeVar

from cadence.core.events import Event
from cadence.errors import CadenceError, StoreError
from cadence.store.application import Cadence, Progress

__all__ = ["PAGE", "cores", "sweep", "without_collector"]

PAGE: Final = 256
"""How many prospects are read at a time."""

# In pages. A process takes half a second to start, in which one core audits 50,000 events.
_WORTH_A_PROCESS: Final = 16
_AHEAD: Final = 3

_T = TypeVar("_T")
Work = Callable[[Sequence[Sequence[Event]]], _T]
"""What is done with the histories of a page; it is sent to other processes, so it must pickle."""
_Page = tuple[str, str, int]


class _Failed(NamedTuple):
    """An error of ours, as it travels between processes."""

    kind: type[CadenceError]
    what: str
    mend: str
    exit_code: int

    def error(self) -> CadenceError:
        if issubclass(self.kind, StoreError):
            return self.kind(self.what, self.mend, exit_code=self.exit_code)
        return self.kind(self.what, self.mend)


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system knows
        return os.cpu_count() or 1


def sweep(
    store: Cadence,
    work: Work[_T],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Iterator[_T]:
    """Do ``work`` on every history, page by page, in order of the prospects' ids.

    Args:
        store: whose histories.
        work: what to do with those of a page.
        jobs: how many processes; by default one for each core where there is enough to do.
        progress: told how many prospects are done, of how many.

    Raises:
        CadenceError: a history is broken, or the store can't be read.
    """
    pages = store.pages(PAGE)
    first = list(islice(pages, _WORTH_A_PROCESS))
    many = len(first) == _WORTH_A_PROCESS
    wanted = cores() if jobs is None else jobs
    total = store.count() if progress is not None else None
    done = 0
    # A store in memory can't be opened by another process.
    alone = store.address is None or wanted < 2 or (jobs is None and not many)
    results = (
        ((page, _on_page(store, work, page)) for page in chain(first, pages))
        if alone
        else _on_all_cores(store.address or "", work, chain(first, pages), wanted)
    )
    for page, result in results:
        done += page[2]
        if progress is not None:
            progress(done, total)
        yield result


def _on_page(store: Cadence, work: Work[_T], page: _Page) -> _T:
    with without_collector():
        return work(store.page(page[0], page[1]))


@contextmanager
def without_collector() -> Iterator[None]:
    """Events hold no cycles; looking for some while a page is decoded takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _on_all_cores(
    address: str, work: Work[_T], pages: Iterator[_Page], jobs: int
) -> Iterator[tuple[_Page, _T]]:
    # Started afresh rather than forked: a fork would share the connections to the database.
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(address, work)
    )
    waiting: deque[tuple[_Page, Future[Any]]] = deque()
    try:
        for page in islice(pages, jobs * _AHEAD):
            waiting.append((page, pool.submit(_in_worker, page)))
        while waiting:
            page, future = waiting.popleft()
            result = future.result()
            if isinstance(result, _Failed):
                raise result.error()
            for following in islice(pages, 1):
                waiting.append((following, pool.submit(_in_worker, following)))
            yield page, result
    except BrokenProcessPool:
        raise StoreError(
            "a process that read the database was ended from outside",
            "try again, or use one process with --jobs 1",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


# In the other processes ---------------------------------------------------------------------------

_worker: tuple[Cadence, Work[Any]] | _Failed | None = None


def _start(address: str, work: Work[Any]) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us stops us
    try:
        _worker = Cadence.open(address, read_only=True), work
    except CadenceError as error:
        _worker = _Failed(type(error), error.what, error.mend, error.exit_code)


def _in_worker(page: _Page) -> Any:
    assert _worker is not None  # the pool starts every process with _start
    if isinstance(_worker, _Failed):
        return _worker
    try:
        return _on_page(*_worker, page)
    except CadenceError as error:
        return _Failed(type(error), error.what, error.mend, error.exit_code)
