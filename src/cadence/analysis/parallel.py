"""Work on every history of a store, a page at a time, on all cores.

Memory is bounded by a page, not by the store: pages are handed out on request, and only a few are
under way at any time. This process works too, and hands pages to the others; each of those opens
the store for itself, read-only. Work that is not done by pages goes through :func:`map_items`.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

from cadence.domain.events import Event
from cadence.errors import StoreError
from cadence.policy import guard_runner
from cadence.store.service import Cadence, Progress

__all__ = [
    "PAGE",
    "PageOfIds",
    "batches",
    "cores",
    "map_histories",
    "map_items",
    "map_pages",
    "without_collector",
]

PAGE: Final = 64
"""How many prospects are read at a time: their events fit into a core's cache together."""

# From how many pages on other processes are started. One takes half a second to start, in which
# this process audits some 20 pages.
_WORTH_A_PROCESS: Final = 64
# How many items wait for each other process: with two, none is idle while results come back, and
# at the end this process waits for little.
_AHEAD: Final = 2

_Item = TypeVar("_Item")
_T = TypeVar("_T")
Task = Callable[[Cadence, _Item], _T]
"""Work on one item, with the store at hand; it is sent to other processes, so it pickles."""
Work = Callable[[Sequence[Sequence[Event]]], _T]
"""Work on the histories of one page; it pickles too."""


class PageOfIds(NamedTuple):
    """Prospects whose ids follow one another.

    Attributes:
        after: the last id before the page; ``None``: it is the first page.
        first, last: the ids of its ends.
        size: how many there are.
    """

    after: str | None
    first: str
    last: str
    size: int


def cores() -> int:
    """Count the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system knows
        return os.cpu_count() or 1


def map_histories(
    store: Cadence,
    work: Work[_T],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Iterator[_T]:
    """Do ``work`` on every history, page by page, in order of prospect id.

    Args:
        store: whose histories.
        work: what to do with the histories of a page.
        jobs: how many processes; by default one for each core, where there is enough work.
        progress: told how many prospects are done, of how many.

    Raises:
        CadenceError: a history is broken, or the store can't be read.
    """
    yield from map_pages(store, _OnPage(work), jobs=jobs, progress=progress)


def map_pages(
    store: Cadence,
    task: Task[PageOfIds, _T],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Iterator[_T]:
    """Do ``task`` on every page of prospects, with the store at hand; see :func:`map_histories`."""
    pages = _with_the_one_before(store.pages(PAGE))
    first = list(islice(pages, _WORTH_A_PROCESS))
    many = len(first) == _WORTH_A_PROCESS
    wanted = cores() if jobs is None else jobs
    total = store.count() if progress is not None else None
    done = 0
    each = 1 if jobs is None and not many else wanted
    for page, result in map_items(store, task, chain(first, pages), jobs=each):
        done += page.size
        if progress is not None:
            progress(done, total)
        yield result


def _with_the_one_before(pages: Iterable[tuple[str, str, int]]) -> Iterator[PageOfIds]:
    after: str | None = None
    for first, last, size in pages:
        yield PageOfIds(after, first, last, size)
        after = last


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Split ``items`` into lists of ``size``, read on request."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


class _OnPage(Generic[_T]):
    """Reads a page, and works on it."""

    def __init__(self, work: Work[_T]) -> None:
        self.work = work

    def __call__(self, store: Cadence, page: PageOfIds) -> _T:
        return self.work(store.page(page.first, page.last))


def map_items(
    store: Cadence, task: Task[_Item, _T], items: Iterable[_Item], *, jobs: int
) -> Iterator[tuple[_Item, _T]]:
    """Do ``task`` on each of ``items``, in order.

    Args:
        store: what the task reads.
        task: what to do with an item.
        items: each is done by one process.
        jobs: how many processes, with this one; a store in memory can be read by this one only.

    Yields:
        Each item and what came of it.

    Raises:
        CadenceError: the task raised it, or the store can't be read.
    """
    if store.address is None or jobs < 2:
        for item in items:
            yield item, _do(task, store, item)
        return
    yield from _with_others(store, store.address, task, items, jobs - 1)


def _do(task: Task[_Item, _T], store: Cadence, item: _Item) -> _T:
    with without_collector():
        return task(store, item)


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


def _with_others(
    store: Cadence, address: str, task: Task[_Item, _T], items: Iterable[_Item], others: int
) -> Iterator[tuple[_Item, _T]]:
    # Loaded here: every command waits for what this module loads, and few need other processes.
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Spawned, not forked: a fork would share the connections to the database.
    pool = ProcessPoolExecutor(
        others,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(address, task, guard_runner.allowed()),
    )
    waiting: deque[tuple[_Item, Future[Any]]] = deque()
    try:
        for item in items:
            if sum(not future.done() for _, future in waiting) < others * _AHEAD:
                waiting.append((item, pool.submit(_in_worker, item)))
            else:  # the others have enough to do, or are still starting
                own: Future[Any] = Future()
                own.set_result(_do(task, store, item))
                waiting.append((item, own))
            while waiting and waiting[0][1].done():
                done, future = waiting.popleft()
                yield done, future.result()
        for item, future in waiting:
            yield item, future.result()
    except BrokenProcessPool:
        raise StoreError(
            "a process that read the database was ended from outside",
            "try again; where memory runs out, close other programs before",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


# In the other processes ---------------------------------------------------------------------------

_address = ""
_task: Task[Any, Any] | None = None
_store: Cadence | None = None


def _start(address: str, task: Task[Any, Any], functions: frozenset[str]) -> None:
    global _address, _task
    guard_runner.allow(functions)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process stops this one
    _address, _task = address, task


def _in_worker(item: Any) -> Any:
    global _store
    assert _task is not None  # the pool starts every process with _start
    if _store is None:  # opened here, not in _start: an error raised here reaches the caller
        _store = Cadence.open(_address, read_only=True)
    return _do(_task, _store, item)
