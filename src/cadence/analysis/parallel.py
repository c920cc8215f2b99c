"""Work on every history of a store, a page at a time, on all cores.

Memory is bounded by a page, not by the store: pages are handed out on request, and only a few are
under way at any time. Each process opens the store for itself, read-only. Work that is not done by
pages goes through :func:`map_items`.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cadence.domain.events import Event
from cadence.errors import StoreError
from cadence.store.service import Cadence, Progress

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["PAGE", "batches", "cores", "map_histories", "map_items", "without_collector"]

PAGE: Final = 64
"""How many prospects are read at a time: their events fit into a core's cache together."""

# In pages: how many another process is sent at a time, and from how many on it is started. It takes
# half a second to start, in which one core audits 50,000 events.
_SENT: Final = 4
_WORTH_A_PROCESS: Final = 64
_AHEAD: Final = 3

_Item = TypeVar("_Item")
_T = TypeVar("_T")
Task = Callable[[Cadence, _Item], _T]
"""Work on one item, with the store at hand; it is sent to other processes, so it pickles."""
Work = Callable[[Sequence[Sequence[Event]]], _T]
"""Work on the histories of one page; it pickles too."""
_Page = tuple[str, str, int]


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
    pages = store.pages(PAGE)
    first = list(islice(pages, _WORTH_A_PROCESS))
    many = len(first) == _WORTH_A_PROCESS
    wanted = cores() if jobs is None else jobs
    total = store.count() if progress is not None else None
    done = 0
    each = 1 if jobs is None and not many else wanted
    for some, results in map_items(
        store, _OnPages(work), batches(chain(first, pages), _SENT), jobs=each
    ):
        done += sum(page[2] for page in some)
        if progress is not None:
            progress(done, total)
        yield from results


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Split ``items`` into lists of ``size``, read on request."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


class _OnPages(Generic[_T]):
    """Reads some pages, one after the other, and works on each."""

    def __init__(self, work: Work[_T]) -> None:
        self.work = work

    def __call__(self, store: Cadence, pages: Sequence[_Page]) -> list[_T]:
        return [self.work(store.page(first, last)) for first, last, _ in pages]


def map_items(
    store: Cadence, task: Task[_Item, _T], items: Iterable[_Item], *, jobs: int
) -> Iterator[tuple[_Item, _T]]:
    """Do ``task`` on each of ``items``, in order.

    Args:
        store: what the task reads.
        task: what to do with an item.
        items: each is sent to a process.
        jobs: how many processes; a store in memory can be read by this one only.

    Yields:
        Each item and what came of it.

    Raises:
        CadenceError: the task raised it, or the store can't be read.
    """
    if store.address is None or jobs < 2:
        for item in items:
            with without_collector():
                result = task(store, item)
            yield item, result
        return
    yield from _on_all_cores(store.address, task, iter(items), jobs)


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


def _on_all_cores(
    address: str, task: Task[_Item, _T], items: Iterator[_Item], jobs: int
) -> Iterator[tuple[_Item, _T]]:
    # Loaded here: every command waits for what this module loads, and few need other processes.
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Spawned, not forked: a fork would share the connections to the database.
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(address, task)
    )
    waiting: deque[tuple[_Item, Future[Any]]] = deque()
    try:
        for item in islice(items, jobs * _AHEAD):
            waiting.append((item, pool.submit(_in_worker, item)))
        while waiting:
            item, future = waiting.popleft()
            result = future.result()
            for following in islice(items, 1):
                waiting.append((following, pool.submit(_in_worker, following)))
            yield item, result
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


def _start(address: str, task: Task[Any, Any]) -> None:
    global _address, _task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process stops this one
    _address, _task = address, task


def _in_worker(item: Any) -> Any:
    global _store
    assert _task is not None  # the pool starts every process with _start
    if _store is None:  # opened here, not in _start: an error raised here reaches the caller
        _store = Cadence.open(_address, read_only=True)
    with without_collector():
        return _task(_store, item)
