"""One command on SQLite, with WAL and full synchronous: load, decide, append, due row, commit.

Against (a) a plain connection that only commits the one row such a command writes, byte for byte,
into a file with the same content, and (b) the stock library that loads, triggers and saves.
Every command goes to a prospect of twelve events that nobody has touched yet, so the histories on
all sides stay equally long; making those prospects is not timed. The sides take turns after every
command, because a disk is slow for seconds at a time.

How much a sync costs decides how much the rest counts: on a slow disk every side waits for it, on
``tmpfs`` (``TMPDIR=/dev/shm``) it costs nothing. The report says what the temporary files lie on,
and gives the ratios by processor time as well, which depend less on the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from uuid import UUID

from lives import LATER, attempt_for, chunks, copies, renamed, twelve_events
from measure import Figure, Plan, alternate, progress, ratio
from stock import open_leads, synchronous

from cadence.domain.events import Event, InterestNoted
from cadence.engine.commands import Command
from cadence.engine.decision import Verdict
from cadence.store import Cadence
from cadence.store.serializer import EventMapper

__all__ = ["NAME", "run"]

NAME = "command"

INSERT = "INSERT INTO stored_events VALUES (?, ?, ?, ?)"


def run(plan: Plan, folder: Path) -> list[Figure]:
    history = twelve_events()
    with Cadence.open(None) as app:
        app.histories.append([(history, 0)], at=LATER)
        now = history[-1].recorded_at
        waiting = app.explain("original", now)
        assert waiting.verdict is Verdict.WAIT
        assert waiting.at is not None
        attempt = attempt_for(waiting)
        note = InterestNoted("a quicker month end, and fewer spreadsheets")
        cases: list[tuple[str, Command, datetime]] = [
            ("execute(InterestNoted)", note, waiting.at),
            ("execute(MakeAttempt)", attempt, waiting.at),
        ]
        figures: list[Figure] = []
        for number, (name, command, at) in enumerate(cases):
            place = folder / f"command-{number}"
            place.mkdir()
            with Cadence.open(None) as scratch:
                scratch.histories.append([(history, 0)], at=LATER)
                written = scratch.execute("original", command, at=at).events
            assert len(written) == 1
            figures += _one(plan, place, name, history, command, at, written[0])
    return figures


def _one(
    plan: Plan,
    folder: Path,
    name: str,
    history: list[Event],
    command: Command,
    at: datetime,
    written: Event,
) -> list[Figure]:
    per_turn = plan.commands
    total = per_turn * (plan.repetitions + 1)
    ids = [f"p{number:06}" for number in range(total)]
    path, bare_path = folder / "cadence.db", folder / "bare.db"
    lead_ids: list[UUID] = []
    leads = open_leads(folder / "stock.db")
    with Cadence.open(str(path)) as app:
        with progress(f"{name}: making prospects", 2 * total) as done:
            made = 0
            for chunk in chunks(copies(history, ids), 500):
                app.histories.append(chunk, at=LATER)
                made += len(chunk)
                done(made)
            for _ in ids:
                lead_ids.append(leads.add(history))
                made += 1
                done(made)
        _copy(path, bare_path)
        bare = sqlite3.connect(bare_path, isolation_level=None)
        mode = bare.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        bare.execute("PRAGMA synchronous = FULL")
        assert mode == "wal"
        assert synchronous(leads) == 2, "the stock library must sync fully too"
        mapper = EventMapper()
        rows = iter(
            [
                (row.originator_id, row.originator_version, row.topic, row.state)
                for one in ids
                for row in [mapper.to_stored_event(renamed([written], one)[0])]
            ]
        )
        ours_next, stock_next = iter(ids), iter(lead_ids)
        steps: dict[str, Callable[[], object]] = {
            name: lambda: app.execute(next(ours_next), command, at=at),
            "bare one-row commit": lambda: bare.execute(INSERT, next(rows)),
            "stock load + trigger + save": lambda: leads.carry_out(next(stock_next), written),
        }
        rates: dict[str, list[float]] = {side: [] for side in steps}
        busy: dict[str, list[float]] = {side: [] for side in steps}
        for turn in range(plan.repetitions + 1):
            seen, alone = alternate(steps, per_turn)
            if turn:  # the first warms up
                for side in steps:
                    rates[side].append(seen[side])
                    busy[side].append(alone[side])
        count = bare.execute("SELECT count(*) FROM stored_events").fetchone()[0]
        assert count == 13 * total
        bare.close()
    leads.close()
    return [
        ratio(NAME, rates, name, "bare one-row commit", target=0.8),
        ratio(NAME, rates, name, "stock load + trigger + save", target=2),
        ratio(NAME, busy, name, "bare one-row commit", note=", processor time"),
        ratio(NAME, busy, name, "stock load + trigger + save", note=", processor time"),
    ]


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as read, sqlite3.connect(target) as write:
        read.backup(write)
    read.close()
    write.close()
