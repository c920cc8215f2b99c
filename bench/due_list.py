"""``cadence due`` on many prospects: time to the first line, time in all, peak memory.

From the start of the process, as a person at a terminal meets it. Two instants over one database:
one at which a hundred prospects are due, one at which everybody is overdue; there also the first
page of one of two hundred owners. Beside it the floors: an interpreter that does nothing, and one
that selects twenty rows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from lives import LATER, PLACES, chunks, life, mondays, renamed
from measure import Figure, Plan, figure, progress

from cadence.domain.events import Event
from cadence.domain.stages import Stage
from cadence.engine.decision import Verdict
from cadence.store import Cadence
from cadence.worktime.calendar import work_calendar
from cadence.worktime.hours import OpenTimes, Week

__all__ = ["NAME", "Seen", "run", "run_child"]

NAME = "due"

_CHUNK: Final = 1_000
_DUE: Final = 100
_OWNERS: Final = 200
_PLACES: Final = tuple(
    place
    for place in PLACES
    if place.zones[0].startswith(("Europe", "America")) and "America/Los_Angeles" not in place.zones
)
_STAGES: Final = (Stage.SCHEDULED, Stage.HALF_DAY, Stage.SPACED)


class Seen(msgspec.Struct, frozen=True):
    """What one child process did."""

    first_seconds: float
    total_seconds: float
    peak_mb: float
    lines: int
    code: int


def make_database(path: Path, count: int) -> tuple[datetime, datetime]:
    """Fill a database with ``count`` prospects that wait, a hundred of them for less long.

    Returns:
        An instant at which those hundred are due and no other, and one at which all are.
    """
    # Winter, so that at one instant it is day from Chicago to Berlin, and all may be called.
    with Cadence.open(None) as app:
        soon, soon_at = _lives(app, mondays(1, first=4))
        kinds, kinds_at = _lives(app, mondays(3, first=6))
        week = app.policies.default.week
    few, everyone = _open_everywhere(max(soon_at), week), _open_everywhere(max(kinds_at), week)
    assert few < min(kinds_at), "the two groups must not overlap"
    with (
        Cadence.open(str(path)) as store,
        progress("due: making prospects", count) as done,
    ):
        made = 0
        for chunk in chunks(_people(kinds, soon, count), _CHUNK):
            store.histories.append(chunk, at=LATER)
            made += len(chunk)
            done(made)
    return few, everyone


def _lives(app: Cadence, starts: list[datetime]) -> tuple[list[list[Event]], list[datetime]]:
    """Histories of every place and stage, and when each comes due."""
    histories: list[list[Event]] = []
    ats: list[datetime] = []
    for start in starts:
        for place in _PLACES:
            for stage in _STAGES:
                name = f"{start:%m%d}-{len(histories)}"
                shift = timedelta(minutes=len(histories) * 13 % 120)
                histories.append(life(app, name, place, start, until=stage, shift=shift))
                decision = app.explain(name, histories[-1][-1].recorded_at)
                assert decision.verdict is Verdict.WAIT
                assert decision.at is not None
                ats.append(decision.at)
    return histories, ats


def _open_everywhere(after: datetime, week: Week) -> datetime:
    """The first 15:30 UTC after ``after`` at which it is business time in every place."""
    times = [
        work_calendar(OpenTimes(week), place.zones, place.country, place.subdivision)
        for place in _PLACES
    ]
    instant = after.replace(hour=15, minute=30, second=0, microsecond=0)
    while instant <= after or any(time.next_open(instant) != instant for time in times):
        instant += timedelta(days=1)
    return instant


def _people(
    kinds: list[list[Event]], soon: list[list[Event]], count: int
) -> Iterator[tuple[list[Event], int]]:
    for number in range(count):
        few = number % max(1, count // _DUE) == 0 and number // max(1, count // _DUE) < _DUE
        group = soon if few else kinds
        history = renamed(group[number % len(group)], f"p{number:07}")
        added = msgspec.structs.replace(history[0].data, owner=f"owner-{number % _OWNERS}")
        history[0] = msgspec.structs.replace(history[0], data=added)
        yield history, 0


def run_child(arguments: list[str]) -> Seen:
    """Run a command as a child; return how it went."""
    helper = Path(__file__).with_name("child.py")
    done = subprocess.run(
        [sys.executable, "-S", str(helper), *arguments], capture_output=True, check=True
    )
    seen = msgspec.json.decode(done.stdout, type=Seen)
    if seen.code:
        raise SystemExit(f"{' '.join(arguments)}: exit code {seen.code}")
    return seen


def run(plan: Plan, folder: Path) -> list[Figure]:
    path = folder / "due.db"
    few, everyone = make_database(path, plan.due_prospects)
    select = (
        "import sqlite3, sys\n"
        "rows = sqlite3.connect(sys.argv[1]).execute("
        "'SELECT prospect, at FROM due ORDER BY at LIMIT 20').fetchall()\n"
        "for row in rows: print(row)"
    )
    python = sys.executable

    def listing(at: datetime, *options: str) -> list[str]:
        instant = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        return [python, "-m", "cadence", "--db", str(path), "--at", instant, "due", *options]

    commands = {
        "python -c pass": [python, "-c", "pass"],
        "SELECT … LIMIT 20": [python, "-c", select, str(path)],
        "100 due": listing(few),
        "one owner's page": listing(everyone, "--owner", "owner-7", "--limit", "20"),
        "all overdue": listing(everyone),
    }
    seen: dict[str, list[Seen]] = {name: [] for name in commands}
    repetitions = max(5, min(plan.repetitions, 7))
    with progress("due: listing", repetitions + 1) as done:
        for turn in range(repetitions + 1):
            for name, arguments in commands.items():
                if turn == 0 and name == "all overdue":
                    continue  # warm enough from the one before, and long
                one = run_child(arguments)
                if turn:
                    seen[name].append(one)
            done(turn + 1)
    people = f"of {plan.due_prospects:,}"
    figures: list[Figure] = []
    for name in ("100 due", "one owner's page", "all overdue"):
        runs = seen[name]
        lines = {"lines": f"{runs[0].lines:,}"}
        what = f"{name} {people}"
        first = [one.first_seconds for one in runs]
        total = [one.total_seconds for one in runs]
        peak = [one.peak_mb for one in runs]
        figures += [
            figure(NAME, f"{what}: first line", "s", first, target=0.3, better="less"),
            figure(NAME, f"{what}: all", "s", total, better="less", beside=lines),
            figure(NAME, f"{what}: peak memory", "MB", peak, target=150, better="less"),
        ]
        for floor in ("python -c pass", "SELECT … LIMIT 20"):
            pairs = [a / b.total_seconds for a, b in zip(first, seen[floor], strict=True)]
            figures.append(figure(NAME, f"{what}: first line : {floor}", "x", pairs, better="less"))
    for name in ("python -c pass", "SELECT … LIMIT 20"):
        total = [one.total_seconds for one in seen[name]]
        peak = [one.peak_mb for one in seen[name]]
        figures += [
            figure(NAME, f"{name}: all", "s", total, better="less"),
            figure(NAME, f"{name}: peak memory", "MB", peak, better="less"),
        ]
    return figures
