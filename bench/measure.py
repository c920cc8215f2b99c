"""How the benchmarks measure: side by side in one run, interleaved, as ratios.

Machines differ and are noisy, so an absolute figure says little. Two *sides* take turns (A B A B …)
for at least five repetitions; each repetition gives one ratio, and the median of those is reported
with their least and greatest. Nothing here asserts: what was seen stands beside the target.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from time import perf_counter, process_time
from typing import Final, Literal

import msgspec

__all__ = [
    "Figure",
    "Plan",
    "Side",
    "alternate",
    "figure",
    "interleave",
    "progress",
    "ratio",
    "repeated",
    "say",
]

Side = Callable[[], int]
"""Does a slice of the work, and returns how many operations that were."""


class Plan(msgspec.Struct, frozen=True):
    """How much to measure.

    Attributes:
        repetitions: of each side; at least 5.
        slice_seconds: about how long one side runs before the other takes its turn.
        prospects: how many prospects to cycle over.
        commands: how many commands a side carries out in its turn.
        due_prospects: how many prospects the due list is listed from.
        import_prospects: how many prospects are imported at most, and a hundredth of that.
    """

    repetitions: int = 15
    slice_seconds: float = 0.2
    prospects: int = 500
    commands: int = 100
    due_prospects: int = 100_000
    import_prospects: int = 1_000_000

    @classmethod
    def quick(cls) -> Plan:
        """Enough to see that everything works; too little to quote."""
        return cls(
            repetitions=5,
            slice_seconds=0.04,
            prospects=200,
            commands=30,
            due_prospects=3_000,
            import_prospects=20_000,
        )


class Figure(msgspec.Struct, frozen=True):
    """One line of the report.

    Attributes:
        measurement: which measurement it belongs to.
        what: what was compared with what.
        unit: ``x`` for a ratio of speeds, otherwise ``/s``, ``s`` or ``MB``.
        median: over the repetitions; so are ``low`` and ``high``.
        repetitions: how many there were.
        target: what the project aims at; ``None``: given for comparison only.
        better: whether more or less is better.
        beside: the absolute figures, for orientation.
    """

    measurement: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    repetitions: int
    target: float | None = None
    better: Literal["more", "less"] = "more"
    beside: dict[str, str] = {}

    @property
    def seen(self) -> str:
        """How the median lies to the target, in words."""
        if self.target is None:
            return ""
        reached = (
            self.median >= self.target if self.better == "more" else self.median <= self.target
        )
        mixed = self.low < self.target < self.high
        return ("reached" if reached else "short") + (", some runs differ" if mixed else "")


def say(text: str) -> None:
    """Tell whoever waits what is going on; the report itself goes to standard output."""
    sys.stderr.write(text + "\n")


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a long preparation is: a bar on a terminal, a line elsewhere."""
    if not sys.stderr.isatty():
        say(f"{what} ({total:,}) …")
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


_MOST_REPEATS: Final = 10_000_000


def repeated(once: Side, seconds: float) -> Side:
    """A side that does ``once`` as often as fits into about ``seconds``."""
    repeats = 1
    while True:
        started = perf_counter()
        for _ in range(repeats):
            once()
        spent = perf_counter() - started
        if spent >= seconds / 4 or repeats >= _MOST_REPEATS:
            break
        repeats *= 2
    repeats = max(1, round(repeats * seconds / max(spent, 1e-9)))

    def run() -> int:
        done = 0
        for _ in range(repeats):
            done += once()
        return done

    return run


def interleave(sides: Mapping[str, Side], repetitions: int) -> dict[str, list[float]]:
    """Let the sides take turns.

    Args:
        sides: by name, in the order in which they take turns.
        repetitions: how many turns each has, after one that warms up and does not count.

    Returns:
        For each side its operations a second, one a turn.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repetitions + 1):
        for name, side in sides.items():
            gc.collect()
            started = perf_counter()
            done = side()
            spent = perf_counter() - started
            if turn:
                rates[name].append(done / spent)
    return rates


def alternate(
    steps: Mapping[str, Callable[[], object]], turns: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Let sides take turns after every single operation; for work that waits for a disk.

    A disk is slow for seconds at a time. Only what happens right after each other is comparable.

    Args:
        steps: one operation of each side, by name.
        turns: how many operations of each.

    Returns:
        For each side its operations a second; then the same by processor time alone, in which a
        wait for the disk does not count.
    """
    spent = dict.fromkeys(steps, 0.0)
    busy = dict.fromkeys(steps, 0.0)
    gc.collect()
    for _ in range(turns):
        for name, step in steps.items():
            began = process_time()
            started = perf_counter()
            step()
            spent[name] += perf_counter() - started
            busy[name] += process_time() - began
    return (
        {name: turns / seconds for name, seconds in spent.items()},
        {name: turns / seconds for name, seconds in busy.items()},
    )


def figure(
    measurement: str,
    what: str,
    unit: str,
    values: list[float],
    *,
    target: float | None = None,
    better: Literal["more", "less"] = "more",
    beside: dict[str, str] | None = None,
) -> Figure:
    """The median of ``values``, with their least and greatest."""
    return Figure(
        measurement,
        what,
        unit,
        median(values),
        min(values),
        max(values),
        len(values),
        target,
        better,
        beside or {},
    )


def ratio(
    measurement: str,
    rates: Mapping[str, list[float]],
    ours: str,
    theirs: str,
    *,
    target: float | None = None,
    note: str = "",
) -> Figure:
    """The speed of ``ours`` as a multiple of that of ``theirs``, turn by turn."""
    pairs = [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
    beside = {name: f"{_short(median(rates[name]))}/s" for name in (ours, theirs)}
    what = f"{ours} : {theirs}{note}"
    return figure(measurement, what, "x", pairs, target=target, beside=beside)


def _short(rate: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.3g}{letter}"
    return f"{rate:.3g}"
