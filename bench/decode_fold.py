"""Decoding and folding stored events, against the least that could be done with the same bytes.

The bytes come from a real SQLite file. The floor decodes them with the same ``msgspec`` type and
folds them by hand into a handful of local variables: whose, where, how often, when last.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

import msgspec
from lives import LATER, copies, lines_of, twelve_events
from measure import Figure, Plan, Side, interleave, ratio, repeated

from cadence.domain.channels import CALL
from cadence.domain.events import (
    AppointmentSet,
    AttemptMade,
    AttemptStage,
    Event,
    ProspectAdded,
)
from cadence.domain.fold import fold
from cadence.domain.stored import decode_stream
from cadence.store import Cadence

__all__ = ["NAME", "least", "run"]

NAME = "decode-fold"

_Seen = tuple[str, str | tuple[str, ...], str, int, int, datetime | None, datetime | None]


def least(events: list[Event]) -> _Seen:
    """Who, where, the stage, attempts, spaced calls, the last attempt and the appointment."""
    name, zone, stage = "", "", "new"
    timezone: str | tuple[str, ...] = zone
    attempts = spaced = 0
    last: datetime | None = None
    appointment: datetime | None = None
    for event in events:
        data = event.data
        kind = type(data)
        if kind is AttemptMade:
            assert isinstance(data, AttemptMade)
            attempts += 1
            if data.stage is not None:
                stage = data.stage
            if data.stage is AttemptStage.SPACED:
                for part in data.parts:
                    if part.channel == CALL:
                        spaced += 1
            last = event.occurred_at
        elif kind is ProspectAdded:
            assert isinstance(data, ProspectAdded)
            name, timezone = data.name, data.timezone
        elif kind is AppointmentSet:
            assert isinstance(data, AppointmentSet)
            appointment, stage = data.at, "scheduled"
    return name, timezone, stage, attempts, spaced, last, appointment


def run(plan: Plan, folder: Path) -> list[Figure]:
    path = folder / "decode.db"
    ids = [f"p{number:05}" for number in range(plan.prospects)]
    with Cadence.open(str(path)) as app:
        app.histories.append(copies(twelve_events(), ids), at=LATER)
    connection = sqlite3.connect(path)
    select = "SELECT state FROM stored_events WHERE originator_id = ? ORDER BY originator_version"
    stored: list[tuple[str, str, int]] = []
    for one in ids:
        rows = [row[0] for row in connection.execute(select, (one,))]
        stored.append((one, lines_of(rows), len(rows)))
    connection.close()
    decoder = msgspec.json.Decoder(Event)

    def ours() -> int:
        for prospect, lines, count in stored:
            fold(None, decode_stream(prospect, lines, count) or ())
        return len(stored) * 12

    def floor() -> int:
        for _, lines, _count in stored:
            least(decoder.decode_lines(lines))
        return len(stored) * 12

    def decode_only() -> int:
        for _, lines, _count in stored:
            decoder.decode_lines(lines)
        return len(stored) * 12

    sides: dict[str, Side] = {
        "decode_stream + fold": ours,
        "bare decode + least fold": floor,
        "bare decode alone": decode_only,
    }
    rates = interleave(
        {name: repeated(side, plan.slice_seconds) for name, side in sides.items()},
        plan.repetitions,
    )
    first = "decode_stream + fold"
    return [
        ratio(NAME, rates, first, "bare decode + least fold", target=0.6),
        ratio(NAME, rates, first, "bare decode alone"),
    ]
