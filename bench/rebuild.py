"""A rebuild of the due list beside a writer: how long the writer waits.

The writer records a note every few milliseconds, first alone, then while another process rebuilds
the list of all prospects.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Final

from due_list import make_database
from measure import Figure, Plan, figure, progress

from cadence.domain.events import InterestNoted
from cadence.store import Cadence

__all__ = ["NAME", "run", "waits_beside_a_rebuild"]

NAME = "rebuild"

_PAUSE: Final = 0.005  # seconds
_ALONE: Final = 5.0  # seconds
_REBUILD: Final = (
    "import sys; from cadence import Cadence; Cadence.open(sys.argv[1]).due_rows.rebuild()"
)


def run(plan: Plan, folder: Path) -> list[Figure]:
    path = folder / "rebuild.db"
    _, now = make_database(path, plan.due_prospects)
    alone, beside, seconds = waits_beside_a_rebuild(str(path), now)
    people = f"of {plan.due_prospects:,}"
    writes = {"writes": f"{len(beside):,}", "alone": f"{len(alone):,}"}
    return [
        figure(NAME, f"{people}: a write", "s", beside, target=0.1, better="less", beside=writes),
        figure(NAME, "a write alone", "s", alone, better="less"),
        figure(NAME, f"{people}: longest write", "s", [max(beside)], target=0.1, better="less"),
        figure(NAME, f"{people}: all", "s", [seconds], better="less"),
    ]


def waits_beside_a_rebuild(address: str, now: datetime) -> tuple[list[float], list[float], float]:
    """Return how long each write took alone and beside a rebuild, and how long that took."""
    with Cadence.open(address, lock_timeout_seconds=30) as store, progress("rebuild", 1) as done:
        names = [name for name, _ in zip(store.prospects(), range(500), strict=False)]
        numbers = count()

        def write() -> float:
            number = next(numbers)
            started = perf_counter()
            at = now + timedelta(seconds=number)
            store.execute(names[number % len(names)], InterestNoted(f"note {number}"), at=at)
            taken = perf_counter() - started
            sleep(_PAUSE)
            return taken

        end = monotonic() + _ALONE
        alone: list[float] = []
        while monotonic() < end:
            alone.append(write())
        started = monotonic()
        child = subprocess.Popen([sys.executable, "-c", _REBUILD, address])
        beside: list[float] = []
        while child.poll() is None:
            beside.append(write())
        if child.returncode:
            raise SystemExit(f"rebuild: exit code {child.returncode}")
        done(1)
        return alone, beside, monotonic() - started
