"""Demonstrate cadence: example histories in a new database, decided, explained and replayed."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Final

from cadence.cli.session import Session, command, new_app
from cadence.cli.show import due_header, due_line, explanation, replay_lines
from cadence.cli.terminal import paint
from cadence.domain.codec import parse_instant
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.engine.decision import to_builtins
from cadence.engine.loop import decision_for
from cadence.replay.steps import annotate
from cadence.store import Cadence

__all__ = ["app"]

app = new_app()

_AT: Final = "2026-12-14T18:15:00Z"
_RECORDED: Final = "2027-01-06T00:00:00Z"  # when all of the histories has happened
_REPLAYED: Final = "jerry-never-answers"
_TEAM: Final = {
    "team.company": "Lakeside Homes",
    "team.address": "12 Harbor Road, Lakeside, NY 10001",
    "team.callbacks": "+1 212 555 0190",
    "team.owners.rosa.name": "Rosa Marsh",
}


@command(app, "demo", example="cadence demo")
def demo(session: Session) -> None:
    """Show example histories: who is due, why, and what happened.

    It makes a database of its own in a temporary folder, and ends with commands to try on it.
    """
    now = session.now() if session.has_at else parse_instant(_AT, "--at")
    if session.json:
        with tempfile.TemporaryDirectory(prefix="cadence-demo-") as folder:
            _print_json(session, Path(folder) / "demo.db", now)
        return
    _title(session, "1. Import example histories")
    db = Path(tempfile.mkdtemp(prefix="cadence-demo-")) / "demo.db"
    with Cadence.open(str(db)) as store:
        for name, prospects, events in _import(store, now):
            counts = f"{plural(prospects, 'prospect'):>12} {plural(events, 'event'):>10}"
            session.write(f"{name:26}{counts}")
            sys.stdout.flush()
        store.change_settings(_TEAM, by="demo", at=now)
        first = _list_due(session, store, now)
        if first is not None:
            _explain(session, store, first, now)
        _title(session, f"4. What happened (cadence replay {_REPLAYED})")
        for line in replay_lines(annotate(store.history(_REPLAYED), store.policies), brief=True):
            session.write(line)
    _title(session, "5. Try next, on the database of this demonstration")
    for call in _calls(db, _REPLAYED if first is None else first.id, now):
        session.write(f"  {shlex.join(call)}")


def _print_json(session: Session, db: Path, now: datetime) -> None:
    from cadence.messages import compose

    with Cadence.open(str(db)) as store:
        list(_import(store, now))
        team = store.change_settings(_TEAM, by="demo", at=now).team
        session.print_json(
            [
                to_builtins(compose(decision, prospect, store.policies, now, team))
                for prospect, decision in store.listing(now)
            ]
        )


def _import(store: Cadence, now: datetime) -> Iterator[tuple[str, int, int]]:
    from cadence.transfer import import_jsonl

    folder = resources.files("cadence.cli").joinpath("histories")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".jsonl"):
            with entry.open("rb") as lines:
                done = import_jsonl(store, lines, at=max(now, parse_instant(_RECORDED, "--at")))
            yield entry.name, done.prospects, done.events


def _list_due(session: Session, store: Cadence, now: datetime) -> Prospect | None:
    """Print the due list; return the first prospect with a touch."""
    _title(session, f"2. Who to contact now (cadence due --at {now:%Y-%m-%dT%H:%M:%SZ})")
    session.write(due_header())
    first = None
    for prospect, decision in store.listing(now):
        session.write(due_line(prospect, decision, now))
        if first is None and decision.touch is not None:
            first = prospect
    return first


def _explain(session: Session, store: Cadence, prospect: Prospect, now: datetime) -> None:
    from cadence.messages import compose

    _title(session, f"3. Why (cadence explain {prospect.id})")
    decision = decision_for(prospect, store.policies, now)
    team = store.settings().team
    for line in explanation(prospect, compose(decision, prospect, store.policies, now, team)):
        session.write(line)


def _calls(db: Path, prospect: str, now: datetime) -> Iterator[tuple[str, ...]]:
    at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    start = ("cadence", "--db", str(db))
    yield (*start, "may", prospect, "--at", at)
    yield (*start, "replay", prospect)
    yield (*start, "replay", "--all")


def _title(session: Session, text: str) -> None:
    session.write("")
    session.write(paint(text, "bold underline"))
    sys.stdout.flush()
