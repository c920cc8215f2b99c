"""Measure a command in a transaction of the caller's against one of our own and a row of theirs.

    python bench/transactions.py [--commands N] [--rounds N]

Both sides insert a row into a table of the caller's and record a note, on SQLite and on PostgreSQL:
"apart" commits twice, "together" once, with ``app.using``. PostgreSQL is a server of its own in a
temporary folder.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import psycopg
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.domain import InterestNoted, ProspectAdded
from cadence.store import Cadence

_HERE: Final = Path(__file__).parents[1]
_NOW: Final = datetime(2026, 1, 12, 15, tzinfo=UTC)
_INSERT: Final = "INSERT INTO crm VALUES ('won')"


def apart(app: Cadence, crm: Any, at: datetime) -> None:
    """Two transactions: a crash between them loses one."""
    crm.execute(_INSERT)
    crm.commit()
    app.execute("ada", InterestNoted("less paper"), at=at)


def together(app: Cadence, crm: Any, at: datetime) -> None:
    """One transaction."""
    crm.execute(_INSERT)
    with app.using(crm) as here:
        here.execute("ada", InterestNoted("less paper"), at=at)
    crm.commit()


def seconds(
    work: Callable[[Cadence, Any, datetime], None], app: Cadence, crm: Any, n: int
) -> float:
    """Time a turn of ``n`` commands on a new prospect."""
    started = perf_counter()
    for number in range(n):
        work(app, crm, _NOW + timedelta(seconds=number))
    return perf_counter() - started


def compare(address: str, crm: Any, commands: int, rounds: int) -> tuple[float, float]:
    """Return milliseconds a command, apart and together, as medians of turns."""
    crm.execute("CREATE TABLE crm (note text)")
    crm.commit()
    taken: dict[object, list[float]] = {apart: [], together: []}
    with Cadence.open(address) as app:
        app.execute("ada", ProspectAdded("Ada Brook", "UTC"), at=_NOW)
        for _ in range(rounds):
            for work in (apart, together):
                taken[work].append(seconds(work, app, crm, commands) / commands * 1000)
    crm.close()
    return median(taken[apart]), median(taken[together])


def main() -> int:
    """Measure both stores."""
    parser = argparse.ArgumentParser(description="A command in the caller's transaction.")
    parser.add_argument("--commands", type=int, default=100, help="in a turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Table("store", "apart, ms", "together, ms", "ratio")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "crm.db"))
        say("SQLite")
        Cadence.open(path).close()
        sqlite = compare(path, sqlite3.connect(path), options.commands, options.rounds)
        table.add_row("SQLite", *(f"{ms:.2f}" for ms in sqlite), f"{sqlite[1] / sqlite[0]:.2f}")
    say("PostgreSQL")
    sys.path.append(str(_HERE / "tests" / "support"))
    address = import_module("pgserver").new_address("public")
    theirs = psycopg.connect(address.partition("&schema=")[0])
    postgres = compare(address, theirs, options.commands, options.rounds)
    table.add_row(
        "PostgreSQL", *(f"{ms:.2f}" for ms in postgres), f"{postgres[1] / postgres[0]:.2f}"
    )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
