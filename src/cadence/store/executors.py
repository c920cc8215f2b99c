"""Spread work on the prospects of a store over any executor, in order.

Memory is bounded by the tasks that are under way, not by the store: pages are read on request. A
task holds plain data, so the executor may be threads, processes or a cluster. Without an executor
the caller does the same work, and gets the same.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar
from uuid import uuid4

from cadence.errors import ExecutorFailed, printable
from cadence.store.source import pickled
from cadence.store.worker import Answer, Offered, Sent, here, run, versions, without_collector

if TYPE_CHECKING:
    from cadence.store.service import Cadence, Progress

__all__ = ["IN_FLIGHT", "PAGE", "PageOfIds", "Work", "map_items", "map_pages", "pages"]

PAGE: Final = 64
"""How many prospects are read at a time: their events fit into a core's cache together."""

TOGETHER: Final = 8
"""How many pages a task has: some 100 ms of work, many times what a cluster takes to pass it on."""

IN_FLIGHT: Final = 128
"""How many tasks are under way at most; more than a PostgreSQL server has connections to spare."""

_Item = TypeVar("_Item")
_T = TypeVar("_T")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_T_co = TypeVar("_T_co", covariant=True)


class Work(Protocol[_Item_contra, _T_co]):
    """Work on a store. It pickles as plain data: no connection and no function of its own."""

    def __call__(self, store: Cadence, /) -> Callable[[_Item_contra], _T_co]:
        """Begin: return what is done on an item, by one thread."""


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


def pages(store: Cadence, size: int, after: str | None = None) -> Iterator[PageOfIds]:
    """Divide the prospects behind ``after``, in order of their ids, into pages.

    Args:
        store: whose.
        size: how many prospects a page has at most.
        after: an id; ``None``: all prospects.
    """
    for first, last, count in store.histories.pages(size, after):
        yield PageOfIds(after, first, last, count)
        after = last


def map_pages(
    store: Cadence,
    work: Work[PageOfIds, _T],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Iterator[_T]:
    """Do ``work`` on every page of prospects, in order of their ids.

    Args:
        store: whose prospects.
        work: what to do with a page.
        executor: does it; by default the caller.
        progress: told how many prospects are done, of how many.

    Raises:
        CadenceError: the work raised it, or the executor failed.
    """
    total = store.count() if progress is not None else None
    done = 0
    every = pages(store, PAGE)
    for page, result in map_items(store, work, every, executor=executor, together=TOGETHER):
        done += page.size
        if progress is not None:
            progress(done, total)
        yield result


def map_items(
    store: Cadence,
    work: Work[_Item, _T],
    items: Iterable[_Item],
    *,
    executor: Executor | None = None,
    together: int = 1,
) -> Iterator[tuple[_Item, _T]]:
    """Do ``work`` on each of ``items``, in order.

    Args:
        store: what the work reads.
        work: what to do with an item.
        items: plain data; read while others are worked on.
        executor: does it; by default the caller.
        together: how many items a task of the executor has.

    Yields:
        Each item and what came of it.

    Raises:
        ExecutorFailed: a worker ended, or can't be reached.
        CadenceError: the work raised it.
    """
    if executor is None:
        do = work(store)
        for item in items:
            with without_collector():
                result = do(item)
            yield item, result
        return
    sent = Sent(
        os.getpid(),
        uuid4().hex,  # also keeps two runs apart where equal tasks are done once
        versions(),
        pickled((type(store).open_source, store.source())),
        pickled(work),
    )
    here[sent.token] = Offered(store, work)
    waiting: deque[tuple[Sequence[_Item], Future[Answer]]] = deque()
    try:
        rest = iter(items)
        while share := tuple(islice(rest, together)):
            waiting.append((share, _submit(executor, sent, share)))
            while waiting[0][1].done() or len(waiting) == IN_FLIGHT:
                yield from _next(waiting)
                if not waiting:
                    break
        while waiting:
            yield from _next(waiting)
    finally:
        for _, future in waiting:
            future.cancel()
        del here[sent.token]


def _submit(executor: Executor, sent: Sent, share: Sequence[Any]) -> Future[Answer]:
    try:
        return executor.submit(run, sent, share)
    except Exception as error:
        raise _failed(error) from error


def _next(waiting: deque[tuple[Sequence[_Item], Future[Answer]]]) -> Iterator[tuple[_Item, Any]]:
    """Wait for the oldest task."""
    share, future = waiting.popleft()
    try:
        answer = future.result()
    except Exception as error:
        raise _failed(error) from error
    finally:
        future.cancel()  # where the wait was interrupted
    if answer.error is not None:
        raise answer.error
    return zip(share, answer.results, strict=True)


def _failed(error: Exception) -> ExecutorFailed:
    said = printable((str(error).splitlines() or [""])[0])[:200]
    name = type(error).__name__
    return ExecutorFailed(
        f"executor: a worker ended or can't be reached ({name}{': ' if said else ''}{said})",
        "try again; where memory runs out, give the workers more of it, or use fewer",
    )
