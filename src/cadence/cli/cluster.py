"""Reach the workers of a Dask cluster from the command line: within seconds, or say why not."""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import count
from typing import Any, Final
from weakref import WeakSet

from cadence.errors import ExecutorFailed, InputError, printable

__all__ = ["cluster"]

_PATIENCE: Final = 5.0  # seconds to reach a scheduler, and to find a worker
_LOST: Final = 10.0  # seconds for a worker to come back: a nanny starts one again in two or three
_LOOK_EVERY: Final = 1.0  # seconds


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Connect to a running scheduler; disconnect at the end, and cancel what has not been done.

    Args:
        address: of the scheduler.

    Raises:
        InputError: the package is missing, or the address is invalid.
        ExecutorFailed: no scheduler answers there, or it has no workers.
    """
    # What Dask would log on stderr, with tracebacks, is said by our errors; nothing else here logs.
    logging.disable(logging.CRITICAL)
    try:
        with _connected(address) as found:
            yield found
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _connected(address: str) -> Iterator[Executor]:
    client = _connect(address)
    try:
        if not _workers(client, _PATIENCE):
            raise ExecutorFailed(
                f"--dask: the scheduler at {address} has no workers",
                f"start some with: dask worker {address}",
            )
        with _Watched(client) as found:
            yield found
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=1)


def _connect(address: str) -> Any:
    try:
        # Not typed throughout, and no other command needs it.
        distributed: Any = import_module("distributed")
    except ImportError:
        raise InputError(
            "--dask: missing package distributed",
            "install it with: pip install 'cadence[cluster]'",
        ) from None
    security = distributed.Security()  # as the configuration of Dask has it

    async def ask() -> None:
        arguments = security.get_connection_args("client")
        async with distributed.rpc(address, connection_args=arguments) as scheduler:
            await scheduler.identity()

    try:
        # Asked first, because a client waits without a limit for a program that says nothing, and
        # writes to stderr where it can't connect.
        asyncio.run(asyncio.wait_for(ask(), _PATIENCE))
        with warnings.catch_warnings():
            # Of other versions of packages; we compare those that matter.
            warnings.simplefilter("ignore")
            return distributed.Client(
                address, security=security, timeout=_PATIENCE, set_as_default=False
            )
    except ValueError as error:
        raise InputError(
            f"--dask: invalid address {address!r} ({_first_line(error)})",
            "use one like tcp://10.0.0.5:8786",
        ) from None
    except Exception as error:
        raise ExecutorFailed(
            f"--dask: no scheduler answers at {address} ({_first_line(error)})",
            "start one with: dask scheduler; or fix host and port",
        ) from None


def _first_line(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {_PATIENCE:g} s"
    return printable((str(error).splitlines() or [""])[0]) or type(error).__name__


def _workers(client: Any, timeout: float) -> int:
    with suppress(TimeoutError, OSError):
        client.wait_for_workers(1, timeout=timeout)
        return len(client.nthreads())
    return 0


class _Watched(Executor):
    """The executor of a client, in order. Its tasks fail where no worker is left.

    Dask itself would wait for one without a limit. And it does tasks that are submitted within a
    tenth of a second in any order, so the oldest, which we wait for, could be the last.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # Not "pure": equal tasks of two runs are two tasks, for the store may have changed.
        self._inner: Executor = client.get_executor(pure=False)
        self._numbers = count()
        self._futures: WeakSet[Future[Any]] = WeakSet()
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task."""
        future = self._inner.submit(fn, *args, **kwargs, priority=-next(self._numbers))
        self._futures.add(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop watching; tasks that are left are cancelled."""
        self._is_over.set()
        self._inner.shutdown(wait=False)

    def _look(self) -> None:
        lost = 0.0
        while not self._is_over.wait(_LOOK_EVERY):
            lost = 0.0 if _workers(self._client, _LOOK_EVERY) else lost + 2 * _LOOK_EVERY
            if lost >= _LOST:
                for future in list(self._futures):
                    with suppress(Exception):  # it may be done in this very moment
                        future.set_exception(ConnectionError("the scheduler has no workers left"))
