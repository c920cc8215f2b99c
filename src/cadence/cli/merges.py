"""The commands that merge records of one person, and take that back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Annotated

import typer

from cadence.cli.addresses import Why
from cadence.cli.prospects import P, complete
from cadence.cli.recording import By
from cadence.cli.session import Session, command, new_app
from cadence.cli.show import next_line
from cadence.domain.codec import to_builtins as event_to_builtins
from cadence.domain.plurals import plural
from cadence.domain.prospect import Prospect
from cadence.engine.decision import to_builtins
from cadence.errors import UnknownProspect
from cadence.store.merges import Merged

__all__ = ["app"]

app = new_app()


@command(app, "merge", example='cadence merge jerry-2 jerry --why "one email address"')
def merge(
    session: Session,
    p: P,
    into: Annotated[
        str,
        typer.Argument(metavar="INTO", help="The record that goes on.", autocompletion=complete),
    ],
    why: Why,
    keep: Annotated[
        str | None,
        typer.Option(metavar="P", help="Whose end or appointment counts, where they differ."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what it changes; record nothing.")
    ] = False,
    by: By = None,
) -> None:
    """Merge a record of a person into another.

    INTO goes on for both. It takes over addresses, opt-outs, failures and attempts, so they are
    called no more often. What comes for the merged record later is recorded for INTO. unmerge takes
    it back.
    """
    if not session.exists():
        raise UnknownProspect(p)
    opened = session.reading() if preview else session.writing()
    with opened as store:
        merged = store.merges.merge(
            p,
            into,
            why=why,
            keep=keep,
            by=session.who_if_known(by),
            at=session.given_at(),
            force=session.force,
            is_preview=preview,
        )
    if session.json:
        _print_json(session, merged)
        return
    if preview:
        session.write(f"{p}: would be merged into {into}; nothing was recorded")
    else:
        session.write(f"{p}: merged into {into}")
    was, other = merged.before
    for line in _taken_over(was, other, merged.survivor):
        session.write(f"  {line}")
    session.write(f"  {next_line(merged.survivor, merged.decision)}")


@command(app, "unmerge", example='cadence unmerge jerry-2 --why "father and son"')
def unmerge(session: Session, p: P, why: Why, by: By = None) -> None:
    """Take a merge back: the records stand by themselves again.

    What came for the merged record meanwhile goes back to it.
    """
    if not session.exists():
        raise UnknownProspect(p)
    with session.writing() as store:
        merged = store.merges.unmerge(
            p,
            why=why,
            by=session.who_if_known(by),
            at=session.given_at(),
            force=session.force,
        )
        decision = store.explain(p, session.now())
    if session.json:
        _print_json(session, merged)
        return
    other = merged.other
    back = sum(1 for one in merged.events if one.prospect == p) - 1
    went = f"; {plural(back, 'event')} went back to it" if back else ""
    session.write(f"{p}: no longer merged into {merged.survivor.id}{went}")
    session.write(f"  {p}: {next_line(other, decision).lstrip()}")
    session.write(f"  {merged.survivor.id}: {next_line(merged.survivor, merged.decision).lstrip()}")
    denied = shlex.join(["cadence", "not-same", p, merged.survivor.id, "--why", why])
    session.write(f"  if they are two people, say so: {denied}")


def _print_json(session: Session, merged: Merged) -> None:
    session.print_json(
        {
            "survivor": merged.survivor.id,
            "other": merged.other.id,
            "stage": merged.survivor.stage.value,
            "decision": to_builtins(merged.decision),
            "events": [event_to_builtins(event) for event in merged.events],
        }
    )


def _taken_over(was: Prospect, other: Prospect, now: Prospect) -> Iterator[str]:
    """What the record that goes on has more than before."""
    known = {(point.channel, point.same) for point in was.reach.contact_points}
    for point in now.reach.contact_points:
        if (point.channel, point.same) not in known:
            failed = ", which failed" if now.reach.has_failed(point.same) else ""
            yield f"takes over {point.channel} {point.address}{failed}"
    for key in now.reach.failed.keys() - was.reach.failed.keys():
        if key in {point.same for point in was.reach.contact_points}:
            yield f"{key} failed for {other.id}, and is not used any more"
    out, before = now.reach.opted_out, was.reach.opted_out
    if out.everything is not None and before.everything is None:
        yield f"is opted out of everything, as {other.id} was"
    for channel in sorted(out.channels.keys() - before.channels.keys()):
        yield f"is opted out of {channel}, as {other.id} was"
    attempts = len(now.silence.attempts) - len(was.silence.attempts)
    if now.silence.response.at != was.silence.response.at:
        yield f"counts the silence from {now.silence.since:%Y-%m-%d}, as {other.id} did"
    if attempts > 0:
        made = plural(len(now.silence.attempts), "attempt")
        calls = plural(now.silence.spaced_calls, "spaced call")
        yield f"counts {made} since the last response, {calls} among them"
    values = len(now.values) - len(was.values)
    if values:
        yield f"takes over {plural(values, 'reason')} worth a call"
    if now.stage is not was.stage:
        yield f"goes from {was.stage} to {now.stage}"
