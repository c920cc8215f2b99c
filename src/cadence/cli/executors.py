"""Choose who does a heavy read: this process, others beside it, or the workers of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from cadence.errors import InputError
from cadence.store import Cadence

__all__ = ["DaskOption", "JobsOption", "chosen_executor", "cores"]

# From how many prospects on other processes are started. It takes them half a second to start, in
# which this process audits some 3,000.
_WORTH_PROCESSES: Final = 8_000

JobsOption = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="How many processes [default: one for each core]."),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Use the workers of a Dask cluster: its scheduler, like tcp://10.0.0.5:8786.",
    ),
]


@contextmanager
def chosen_executor(
    store: Cadence, jobs: int | None, dask: str | None, *, named: int = 0
) -> Iterator[Executor | None]:
    """Start or find the executor that was asked for.

    Args:
        store: what is to be read.
        jobs: as many processes; ``None``: one a core, where there is enough to do.
        dask: the address of a scheduler.
        named: how many prospects are to be read; 0: all.

    Returns:
        The executor; ``None``: this process does the work.

    Raises:
        InputError: both are given, or a package is missing.
        ExecutorFailed: no scheduler answers, or it has no workers.
    """
    if dask is not None:
        if jobs is not None:
            raise InputError(
                "--jobs: invalid with --dask", "leave it out: the cluster has its own workers"
            )
        # Loaded here: no other command needs it.
        from cadence.cli.cluster import cluster

        with cluster(dask) as found:
            yield found
        return
    wanted = _processes_for(store, named) if jobs is None else jobs
    if wanted == 1:
        yield None
        return
    # Loaded here: few commands need other processes, and each waits for what this module loads.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = set(active_children())
    # Spawned, not forked: this process may have threads.
    pool = ProcessPoolExecutor(
        wanted, mp_context=get_context("spawn"), initializer=_leave_ctrl_c_to_the_parent
    )
    # A process inherits what is ignored. So one that is still starting leaves Ctrl-C to us, too.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    for _ in range(wanted):
        pool.submit(int)  # starts one, since none is idle
    signal.signal(signal.SIGINT, before)
    try:
        yield pool
    except BaseException:
        # They only read. Each has tasks of seconds waiting, which none would see the end of.
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _processes_for(store: Cadence, named: int) -> int:
    size = named or next((size for _, _, size in store.histories.pages(_WORTH_PROCESSES)), 0)
    return cores() if size >= _WORTH_PROCESSES else 1


def cores() -> int:
    """Count the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system knows
        return os.cpu_count() or 1


def _leave_ctrl_c_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
