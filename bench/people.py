"""What addresses cost that many records have: commands, look-ups, suppression lists.

    python bench/people.py [--prospects N] [--listed N] [--postgres ADDRESS]

A command on a prospect with two addresses of its own is held against one on a prospect at a
company's number, in turn, by processor time; ``against.py`` holds the first against an older
commit. A list is suppressed by a process of its own, whose peak memory is the figure.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Final

from due_list import Seen, run_child
from lives import LATER, chunks
from measure import Figure, Plan, alternate, figure, progress, ratio
from rich.console import Console
from run import machine, table

from cadence.domain.channels import BUILT_IN, CALL, EMAIL
from cadence.domain.events import (
    AttemptMade,
    ContactPoint,
    Disposition,
    Event,
    InterestNoted,
    OptOutRequested,
    Part,
    ProspectAdded,
)
from cadence.domain.keys import KeyReader
from cadence.engine.commands import Command
from cadence.store import Cadence

_NAME: Final = "people"

_BEGIN: Final = datetime(2026, 1, 12, 15, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_HOLDERS: Final = 200
_DESK: Final = "+1 212 555 0100"
_OPTED_OUT: Final = 20
_FINDS: Final = 500


def _number(number: int) -> str:
    return f"+1 {212 + number // 10**7} {2_000_000 + number % 7_000_000:07}"


def _fill(app: Cadence, count: int, *, desk: str | None = None, name: str = "p") -> list[str]:
    """Add prospects with a number and an email address; ``desk``: the number of all of them."""
    reader = KeyReader(BUILT_IN, lambda: "US")

    def histories() -> Iterator[tuple[list[Event], int]]:
        for number in range(count):
            phone = ContactPoint(CALL, desk or _number(number))
            points = (phone, ContactPoint(EMAIL, f"{name}{number}@example.com"))
            added = ProspectAdded(f"Jo {number}", "America/New_York", "US", contact_points=points)
            at = _BEGIN
            yield [Event(f"{name}{number:07}", 1, at, at, reader.data(added))], 0

    with progress(f"adding {count:,} prospects", count) as done:
        made = 0
        for chunk in chunks(histories(), 5_000):
            app.histories.append(chunk, at=LATER)
            made += len(chunk)
            done(made)
    return [f"{name}{number:07}" for number in range(count)]


# Commands -----------------------------------------------------------------------------------------


def _commands(plan: Plan, folder: Path) -> list[Figure]:
    call = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
    cases: list[tuple[str, Command]] = [("note", InterestNoted("less paper")), ("attempt", call)]
    figures = []
    for is_line in (False, True):
        for what, command in cases:
            path = folder / f"{what}-{is_line}.db"
            figures.append(_beside_a_company(plan, path, what, command, is_line=is_line))
    return figures


def _beside_a_company(
    plan: Plan, path: Path, what: str, command: Command, *, is_line: bool
) -> Figure:
    """Hold a command at a number of many holders against one at two addresses alone."""
    with Cadence.open(str(path)) as app:
        alone, desk = _fill(app, _HOLDERS), _fill(app, _HOLDERS, desk=_DESK, name="desk")
        if is_line:
            app.addresses.declare_line(_DESK, by="ann", why="the front desk", at=_BEGIN)
        call = AttemptMade((Part(CALL, Disposition.NO_ANSWER),))
        for one in (*alone, *desk):
            app.execute(one, call, at=_BEGIN + _DAY)
        for one in (*alone[:_OPTED_OUT], *desk[:_OPTED_OUT]):
            app.execute(one, OptOutRequested(EMAIL), at=_BEGIN + 2 * _DAY)
        sides = (f"{what}, {_HOLDERS} holders{', a line' if is_line else ''}", f"{what}, alone")
        steps: dict[str, Callable[[], object]] = {}
        for side, names in zip(sides, (desk, alone), strict=True):
            steps[side] = partial(_next, app, cycle(names), command)
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(plan.repetitions + 1):
            _, busy = alternate(steps, plan.commands // 5)
            if turn:  # the first warms up
                for side in sides:
                    rates[side].append(busy[side])
    return ratio(_NAME, rates, *sides, target=0.5, note=", processor time")


def _next(app: Cadence, names: Iterator[str], command: Command) -> None:
    app.execute(next(names), command, at=_BEGIN + 9 * _DAY)


# Look-ups -----------------------------------------------------------------------------------------


def _look_ups(plan: Plan, app: Cadence, store: str) -> list[Figure]:
    count = plan.due_prospects
    _fill(app, count)
    times = []
    for turn in range(_FINDS):
        number = turn * 7919 % count
        started = perf_counter()
        found = app.find(_number(number))
        times.append(perf_counter() - started)
        assert found == [f"p{number:07}"]
    beside = {"99 of 100": f"{sorted(times)[-_FINDS // 100] * 1000:.2f} ms"}
    what = f"find, {count:,} prospects, {store}"
    return [figure(_NAME, what, "s", times, target=0.001, better="less", beside=beside)]


# Suppression lists --------------------------------------------------------------------------------


def _suppress(folder: Path, address: str, listed: int, store: str) -> list[Figure]:
    """Suppress a list, in a process of its own; half of its numbers are those of prospects."""
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8") as out:
        out.write("address\n")
        for number in range(listed):
            out.write(f"{_number(2 * number)}\n")
    command = [sys.executable, "-m", "cadence", "--db", address, "suppress"]
    given = ["--file", str(path), "--source", "list", "--by", "ann"]
    seen: Seen = run_child([*command, *given])
    what = f"a list of {listed:,}, {store}"
    return [
        figure(_NAME, what, "s", [seen.total_seconds], better="less"),
        figure(_NAME, f"{what}: peak", "MB", [seen.peak_mb], target=200, better="less"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--prospects", type=int, default=100_000)
    parser.add_argument("--listed", type=int, default=1_000_000)
    parser.add_argument("--postgres", help="also there: the address of an empty database")
    parser.add_argument("--no-commands", action="store_true", help="only look-ups and the list")
    given = parser.parse_args()
    plan = Plan(due_prospects=given.prospects)
    with tempfile.TemporaryDirectory(prefix="cadence-bench-") as name:
        folder = Path(name)
        figures = [] if given.no_commands else _commands(plan, folder)
        for store, address in (("SQLite", str(folder / "find.db")), ("PostgreSQL", given.postgres)):
            if address is not None:
                with Cadence.open(address) as app:
                    figures += _look_ups(plan, app, store)
                if given.listed:
                    figures += _suppress(folder, address, given.listed, store)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(", ".join(f"{one} {text}" for one, text in machine().items()), highlight=False)
    console.print(table(figures))


if __name__ == "__main__":
    main()
