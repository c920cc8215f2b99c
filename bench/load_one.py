"""Loading one prospect of twelve events from SQLite.

Against (a) the stock ``eventsourcing`` library on SQLite, and (b) the bare query for the same rows
of the same file, fetched and not looked at. All three cycle over the same number of prospects.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lives import LATER, copies, twelve_events
from measure import Figure, Plan, Side, interleave, ratio, repeated
from stock import open_leads

from cadence.store import Cadence

__all__ = ["NAME", "run"]

NAME = "load"

SELECT = "SELECT * FROM stored_events WHERE originator_id = ? ORDER BY originator_version"


def run(plan: Plan, folder: Path) -> list[Figure]:
    history = twelve_events()
    path = folder / "load.db"
    ids = [f"p{number:05}" for number in range(plan.prospects)]
    leads = open_leads(folder / "load-stock.db")
    with Cadence.open(str(path)) as app:
        app.histories.append(copies(history, ids), at=LATER)
        lead_ids = [leads.add(history) for _ in ids]
        bare = sqlite3.connect(path)
        assert all(len(bare.execute(SELECT, (one,)).fetchall()) == 12 for one in ids)
        assert all(leads.get(one).version == 12 for one in lead_ids)
        assert all(app.load(one).version == 12 for one in ids)

        def ours() -> int:
            for one in ids:
                app.load(one)
            return len(ids)

        def stock() -> int:
            for one in lead_ids:
                leads.get(one)
            return len(lead_ids)

        def select() -> int:
            for one in ids:
                bare.execute(SELECT, (one,)).fetchall()
            return len(ids)

        sides: dict[str, Side] = {
            "Cadence.load": ours,
            "stock repository.get": stock,
            "bare SELECT": select,
        }
        rates = interleave(
            {name: repeated(side, plan.slice_seconds) for name, side in sides.items()},
            plan.repetitions,
        )
        bare.close()
    leads.close()
    return [
        ratio(NAME, rates, "Cadence.load", "stock repository.get", target=10),
        ratio(NAME, rates, "Cadence.load", "bare SELECT", target=0.5),
    ]
