"""The demonstration: example histories in a database of their own, decided and explained."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

from cadence.cli.session import Session, command, new_app
from cadence.cli.show import due_header, due_line, explanation, paint, replay_lines
from cadence.domain.codec import parse_instant
from cadence.engine.decision import to_builtins
from cadence.engine.loop import decision_for
from cadence.replay.steps import annotate
from cadence.store import Cadence

__all__ = ["app"]

app = new_app()

_AT = "2026-12-14T18:15:00Z"


@command(app, "demo", example="cadence demo")
def demo(session: Session) -> None:
    """Import the example histories, print the due list, explain one, replay one.

    Uses a database of its own, which is deleted afterwards; yours is not touched.
    """
    from cadence.messages import compose

    now = session.now() if session.has_at else parse_instant(_AT, "--at")
    with (
        tempfile.TemporaryDirectory(prefix="cadence-demo-") as folder,
        Cadence.open(str(Path(folder) / "demo.db")) as store,
    ):
        if session.json:
            _import(store)
            session.print_json(
                [
                    to_builtins(compose(decision, prospect, store.policies, now))
                    for prospect, decision in store.listing(now)
                ]
            )
            return
        session.write(_title("1. Import example histories (examples/histories)"))
        for name, prospects, events in _import(store):
            session.write(f"{name:26}{prospects:>2} prospects {events:>4} events")
        session.write(_title(f"2. Whom now? (cadence due --at {now:%Y-%m-%dT%H:%M:%SZ})"))
        session.write(due_header())
        first = None
        for prospect, decision in store.listing(now):
            session.write(due_line(prospect, decision))
            if first is None and decision.touch is not None:
                first = prospect
        if first is not None:
            session.write(_title(f"3. Why? (cadence explain {first.id})"))
            decision = compose(decision_for(first, store.policies, now), first, store.policies, now)
            for line in explanation(first, decision):
                session.write(line)
        one = "jerry-never-answers"
        session.write(_title(f"4. What was it like? (cadence replay {one})"))
        found = annotate(store.history(one), store.policies)
        for line in replay_lines(found, brief=True):
            session.write(line)


def _import(store: Cadence) -> list[tuple[str, int, int]]:
    from cadence.transfer import import_jsonl

    found = []
    folder = resources.files("cadence.cli").joinpath("histories")
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".jsonl"):
            with entry.open("rb") as lines:
                done = import_jsonl(store, lines)
            found.append((entry.name, done.prospects, done.events))
    return found


def _title(text: str) -> str:
    return "\n" + paint(text, "bold underline")
